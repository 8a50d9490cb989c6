"""A generator that gives no density of these rows: the report says so, and why."""

import numpy as np
import pytest

from augsynth.check.gathering import gather
from augsynth.check.report.examination import examine
from augsynth.check.report.making import density_checks
from augsynth.core.errors import DataError

ROWS = [np.random.default_rng(seed).normal(size=(40, 2)) for seed in range(3)]


class Silent:
    def sample(self):
        return ROWS[1]


class Refusing(Silent):
    def __init__(self, error):
        self.error = error

    def log_prob(self, X, y=None):
        raise self.error


class Normal(Silent):
    def log_prob(self, X, y=None, *, random_state=None):
        return -0.5 * (np.asarray(X) ** 2).sum(axis=1)


def _found(generator, holdout=(ROWS[2], None)):
    evidence = gather(ROWS[0], None, ROWS[1], None, holdout=holdout)
    checks = density_checks(generator, (ROWS[0], None), holdout)
    return examine(evidence, checks, controls=False)[0]


@pytest.mark.parametrize(
    ("generator", "told"),
    [
        (Silent(), "Silent gives no densities."),
        (Refusing(NotImplementedError()), "Refusing gives no density of these rows."),
        (
            Refusing(DataError("only tables have one. Pass a table.")),
            "rows: only tables have one. Pass a table.",
        ),
        (Refusing(TypeError("1 argument")), "log_prob of Refusing failed with TypeError: 1 argument."),
        (Refusing(KeyError()), "log_prob of Refusing failed with KeyError."),
    ],
)
def test_a_density_that_is_not_there_gets_its_word(generator, told):
    (found,) = _found(generator)
    assert found.name == "log_likelihood" and np.isnan(found.value)
    assert found.caution.endswith(told)


def test_with_a_density_it_is_made_and_without_held_out_rows_it_says_what_it_needs():
    (found,) = _found(Normal())
    assert np.isfinite(found.value)
    (found,) = _found(Normal(), holdout=None)
    assert "that the generator has not seen" in found.caution
    assert _found(None) == []
