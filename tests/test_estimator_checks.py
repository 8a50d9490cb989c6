"""scikit-learn's and imbalanced-learn's own check suites, over everything that is registered.

Expected failures are listed in EXPECTED with their reason; nothing else may fail.
"""

import numpy as np
import pytest
from imblearn.utils import estimator_checks as sampler_suite
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks as sklearn_suite

from augsynth import registry
from augsynth.compose import Resampled, TrainOnly
from augsynth.perturb.table import ScaledJitter
from augsynth.resample.bootstrap import BootstrapResampler
from augsynth.resample.over import OverSampler
from augsynth.resample.under import UnderSampler


class Simulate:
    """A function whose name does not hold its address: parallel test runs compare names."""

    def __call__(self, y, rng):
        return rng.normal(size=(y if isinstance(y, int) else len(y), 2))

    def __repr__(self):
        return "simulate"


simulate = Simulate()


# The suites fit every instance dozens of times: the smallest models that are whole.
CHEAP = {
    "function": {"function": simulate},
    "gmm": {"n_components": 2},
    **{
        kind: {"trainer": {"steps": 2, "batch_size": 32}, "backbone": {"kind": "mlp", "width": 16}}
        for kind in ("autoregressive", "diffusion", "flow", "gan")
    },
    "vae": {"latent_dim": 2, "trainer": {"steps": 2, "batch_size": 32}},
}


def generator(kind):
    return registry.build("generator", {"kind": kind, **CHEAP.get(kind, {})})


KINDS = registry.names("generator")
# A function draws rows of its own width, whatever X is: only its fit can be checked in general.
DRAWN = [kind for kind in KINDS if kind != "function"]

GENERATORS = [generator(kind).set_params(random_state=0) for kind in KINDS]
RESAMPLERS = [
    *(OverSampler(generator(kind), random_state=0) for kind in DRAWN),
    UnderSampler(random_state=0),
    UnderSampler(replacement=True, random_state=0),
    BootstrapResampler(random_state=0),
]
RESAMPLED = [
    Resampled(RidgeClassifier(), OverSampler(generator("bootstrap"), random_state=0)),
    Resampled(RidgeClassifier(), OverSampler(generator("smote"), random_state=0)),
    Resampled(RidgeClassifier(), UnderSampler(random_state=0)),
]
OTHERS = [
    Resampled(Ridge(), BootstrapResampler(random_state=0)),
    Resampled(StandardScaler(), UnderSampler(random_state=0)),
    TrainOnly(ScaledJitter(), random_state=0),
]

SERVES_ANY_TARGET = {
    # A bootstrap draws rows and never looks at y: continuous, multilabel and one-class
    # targets are what it is for, so it must not refuse them as class balancers must.
    "check_target_type": "a bootstrap serves continuous and multilabel targets",
    "check_samplers_one_label": "a bootstrap serves a single class",
}
WEIGHTS_ARE_NOT_ROWS = {
    # The number of rows to make is counted in rows, not weights, by design: a row of
    # weight 2 and the same row twice ask for different numbers of new rows.
    "check_sample_weight_equivalence_on_dense_data": "resampling counts rows, not weights",
    "check_sample_weight_equivalence_on_sparse_data": "resampling counts rows, not weights",
}
TRAINS_ON_OTHER_ROWS = {
    # fit_transform (training rows, perturbed) differs from transform (any rows, as they
    # are) on purpose; these checks compare the two.
    "check_transformer_general": "fit_transform perturbs, transform does not",
    "check_transformer_data_not_an_array": "fit_transform perturbs, transform does not",
}


def expected(estimator):
    """Return the checks that an estimator fails by design, with the reason."""
    if isinstance(estimator, BootstrapResampler):
        return SERVES_ANY_TARGET
    if isinstance(estimator, Resampled):
        return WEIGHTS_ARE_NOT_ROWS
    return TRAINS_ON_OTHER_ROWS if isinstance(estimator, TrainOnly) else {}


@sklearn_suite.parametrize_with_checks(
    [*GENERATORS, *RESAMPLERS, *RESAMPLED, *OTHERS], expected_failed_checks=expected
)
def test_scikit_learn(estimator, check):
    check(estimator)


@sampler_suite.parametrize_with_checks([*RESAMPLERS, *RESAMPLED], expected_failed_checks=expected)
def test_imbalanced_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", RESAMPLERS, ids=lambda e: str(e)[:40])
def test_column_names_are_consistent(estimator):
    sampler_suite.check_dataframe_column_names_consistency(type(estimator).__name__, estimator)


def test_every_registered_component_is_here():
    for role, instances in (("generator", GENERATORS), ("resampler", RESAMPLERS)):
        classes = {registry.resolve(role, kind) for kind in registry.names(role)}
        assert classes == {type(instance) for instance in instances}


def test_counts(capsys):
    """Print how many checks there are; each sampler goes through at least 15 of imbalanced-learn's."""
    lines = []
    for name, suite, estimators in (
        ("scikit-learn", sklearn_suite, [*GENERATORS, *RESAMPLERS, *RESAMPLED, *OTHERS]),
        ("imbalanced-learn", sampler_suite, [*RESAMPLERS, *RESAMPLED]),
    ):
        total = failing = 0
        for estimator in estimators:
            checks = [_name(check) for _, check in suite.estimator_checks_generator(estimator)]
            total += len(checks)
            failing += int(np.isin(checks, list(expected(estimator))).sum())
            if suite is sampler_suite and hasattr(estimator, "fit_resample"):
                assert len(checks) >= 15
        lines.append(f"{name} checks: {total} over {len(estimators)} estimators, {failing} expected failures")
    with capsys.disabled():
        print("\n" + "\n".join(lines))


def _name(check):
    return getattr(check, "func", check).__name__
