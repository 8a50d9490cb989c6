"""The contract of imputers, over everything that is registered; and faults that the checks must find."""

import numpy as np
import pytest

from augsynth import registry
from augsynth.impute.base import BaseImputer
from augsynth.testing.holes import toy_holes
from augsynth.testing.imputers import check_imputer, imputer_checks


class Marginal(BaseImputer):
    """Fills with the column's mean or most frequent level, and draws seen values: the least that is whole."""

    def __init__(self, *, use_target=False, add_indicator=False, schema=None, random_state=None):
        self.use_target = use_target
        self.add_indicator = add_indicator
        self.schema = schema
        self.random_state = random_state

    def _fit(self, z, rng):
        self._seen = [np.sort(column[~np.isnan(column)]) for column in z.T]
        self._typical = np.array(
            [
                np.nan
                if not len(seen)
                else seen.mean()
                if block.is_numeric
                else np.bincount(seen.astype(int)).argmax()
                for seen, block in zip(self._seen, self.layout_, strict=True)
            ]
        )

    def _point(self, z):
        return np.where(np.isnan(z), self._typical, z)

    def _draw(self, z, keys, rng):
        u = keys.uniforms(z.shape[1])
        drawn = np.column_stack(
            [seen[(u[:, j] * len(seen)).astype(int)] for j, seen in enumerate(self._seen)]
        )
        return np.where(np.isnan(z), drawn, z)


CHECKS = imputer_checks(Marginal())


@pytest.mark.parametrize("check", [pytest.param(check, id=name) for name, check in CHECKS])
def test_the_least_imputer_keeps_the_contract(check):
    check()


# Every dtype goes through the base, which the least imputer has shown: six columns serve for the models.
COLUMNS = ["income", "rooms", "visits", "town", "size", "since"]
WHOLE = [{"kind": "donors"}, {"kind": "generative", "generator": {"kind": "kde"}, "refit": False}]
SPECS = [
    {"kind": "donors", "add_indicator": True, "use_target": True},
    {"kind": "chained", "method": "pmm", "n_rounds": 1},
    {"kind": "chained", "method": "bayes", "n_rounds": 1, "use_target": True, "add_indicator": True},
    {"kind": "generative", "generator": {"kind": "gmm", "n_components": 2}},
    {"kind": "generative", "generator": {"kind": "trees"}, "n_rounds": 1, "n_draws": 2, "refit": False},
]
SLOW = [{"kind": "chained", "n_rounds": 1}, {"kind": "chained", "method": "trees", "n_rounds": 1}]


def name_of(spec):
    inner = spec.get("generator", {}).get("kind") or spec.get("method", "")
    return "-".join(
        [spec["kind"], *filter(None, [inner]), *(key for key, value in spec.items() if value is True)]
    )


@pytest.mark.parametrize("spec", WHOLE, ids=name_of)
def test_imputers_keep_the_contract_on_every_dtype(spec):
    check_imputer(registry.build("imputer", spec), *toy_holes(30))


@pytest.mark.parametrize(
    "spec", [*SPECS, *(pytest.param(s, marks=pytest.mark.slow) for s in SLOW)], ids=name_of
)
def test_imputers_keep_the_contract(spec):
    X, y = toy_holes(30)
    check_imputer(registry.build("imputer", spec), X[COLUMNS], y)


def test_every_registered_imputer_is_here():
    assert {spec["kind"] for spec in [*WHOLE, *SPECS]} == set(registry.names("imputer"))


class LooksAround(Marginal):
    """Fills with the mean of the rows that it is given."""

    def _point(self, z):
        means = np.nan_to_num(np.nanmean(np.vstack([z, self._typical]), axis=0))
        return np.where(np.isnan(z), np.where([b.is_numeric for b in self.layout_], means, self._typical), z)


class Rounds(Marginal):
    """Changes cells that were there."""

    def transform(self, X):
        made = super().transform(X)
        return made.assign(income=made["income"].round(2)) if "income" in made else made


class GivesUp(Marginal):
    """Leaves the holes of a column."""

    def transform(self, X):
        made = super().transform(X)
        if hasattr(made, "assign") and "income" in made:
            made["income"] = X["income"]
        return made


class ByPosition(Marginal):
    """Draws by the number of the row, not by what it holds."""

    def _draw(self, z, keys, rng):
        u = np.random.default_rng(int(rng.integers(9))).random(z.shape)
        drawn = np.column_stack(
            [seen[(u[:, j] * len(seen)).astype(int)] for j, seen in enumerate(self._seen)]
        )
        return np.where(np.isnan(z), drawn, z)


class Stuck(Marginal):
    """Draws the same whatever the seed."""

    def _draw(self, z, keys, rng):
        return self._point(z)


class Global(Marginal):
    """Uses the global generator."""

    def _fit(self, z, rng):
        np.random.random()  # noqa: NPY002
        super()._fit(z, rng)


class Loses(Marginal):
    """Comes back with another index."""

    def transform(self, X):
        made = super().transform(X)
        return made.reset_index(drop=True) if hasattr(made, "index") else made


@pytest.mark.parametrize(
    ("broken", "check", "told"),
    [
        (LooksAround, "rows_alone", "transform of every third row differs"),
        (Rounds, "observed_cells", "transform changed observed cells of income"),
        (GivesUp, "nothing_left", "transform left missing cells in income"),
        (ByPosition, "draws_of_rows_alone", "a draw of some rows"),
        (Stuck, "draws", "another seed gave the same draw"),
        (Global, "global_generators", "global generators were used: numpy"),
        (Loses, "container", "transform changed the index"),
    ],
)
def test_faults_are_found_and_named(broken, check, told):
    with pytest.raises(AssertionError, match=told):
        dict(imputer_checks(broken()))[check]()
    with pytest.raises(AssertionError):
        check_imputer(broken())


def test_the_toy_has_holes_of_every_dtype_and_no_equal_rows():
    X, y = toy_holes()
    assert len({str(dtype) for dtype in X.dtypes}) >= 12 and not X.astype(str).duplicated().any()
    assert (X.isna().sum() > 0).drop("member").all() and not X.iloc[:2].isna().any().any()
    assert set(y) == {"no", "yes"}
