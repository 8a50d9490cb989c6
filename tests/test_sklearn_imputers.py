"""scikit-learn's check suite over imputers, and those of its checks that the suite itself leaves out."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks as suite

from augsynth import registry
from augsynth.core.errors import ParameterError
from augsynth.testing.holes import toy_holes

pytestmark = pytest.mark.filterwarnings("ignore::augsynth.core.errors.AugsynthWarning")

SPECS = [
    {"kind": "donors"},
    {"kind": "donors", "add_indicator": True},
    {"kind": "chained", "n_rounds": 1},
    {"kind": "chained", "method": "pmm", "n_rounds": 1},
    {"kind": "chained", "method": "bayes", "n_rounds": 1},
    {"kind": "generative", "generator": {"kind": "gmm", "n_components": 2}},
    {"kind": "generative", "generator": {"kind": "trees"}, "n_rounds": 1, "n_draws": 2},
]


def imputer(spec):
    return registry.build("imputer", {**spec, "random_state": 0})


def name_of(spec):
    inner = spec.get("generator", {}).get("kind") or spec.get("method", "")
    return "-".join(filter(None, [spec["kind"], inner, "indicator" if spec.get("add_indicator") else ""]))


TREES = imputer({"kind": "chained", "method": "trees", "n_rounds": 1})
IMPUTERS = [imputer(spec) for spec in SPECS]
QUICK = [imputer(SPECS[k]) for k in (0, 4, 5)]  # one of each class where a class is what is checked

# Not one failure is expected: holes, subsets, orders, dtypes, names, tags, pickles, clones.


@suite.parametrize_with_checks(IMPUTERS)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.slow
@suite.parametrize_with_checks([TREES])
def test_scikit_learn_with_trees(estimator, check):
    check(estimator)


# The suite leaves these out for transformers of other libraries; its own transformers pass them.
# (Its checks of set_output("pandas") take a default output that is an array for granted; here a
# DataFrame comes back as one. test_set_output says what they say, without that.)
MORE = [
    suite.check_dataframe_column_names_consistency,
    suite.check_get_feature_names_out_error,
    suite.check_set_output_transform,
    suite.check_transformer_get_feature_names_out,
    suite.check_transformer_get_feature_names_out_pandas,
]


# scikit-learn's own transformers say so too in these checks, which fit a DataFrame and transform an array
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
@pytest.mark.parametrize("check", MORE, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", QUICK, ids=lambda e: type(e).__name__)
def test_checks_that_the_suite_leaves_out(estimator, check):
    check(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", QUICK, ids=lambda e: type(e).__name__)
def test_set_output(estimator):
    """The container that is asked for, the values of the default one, the names of get_feature_names_out."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 1)) + 0.5 * rng.normal(size=(20, 3))
    X[rng.random(X.shape) < 0.2] = np.nan
    frame = pd.DataFrame(X, columns=["a", "b", "c"], index=[f"r{k}" for k in range(20)])
    for add in (False, True):
        for given in (X, frame):
            fitted = clone(estimator).set_params(add_indicator=add).fit(given)
            plain, names = fitted.transform(given), list(fitted.get_feature_names_out())
            assert type(plain) is type(given)
            made = fitted.set_output(transform="pandas").transform(given)
            assert isinstance(made, pd.DataFrame) and list(made.columns) == names
            assert np.array_equal(made.to_numpy(float), np.asarray(plain, float))
            assert made.index.equals(frame.index if given is frame else pd.RangeIndex(20))
            with config_context(transform_output="pandas"):
                assert clone(estimator).fit_transform(given).shape == (20, 3)
            if importlib.util.find_spec("polars"):
                made = fitted.set_output(transform="polars").transform(given)
                assert list(made.columns) == names and type(made).__module__.startswith("polars")
            back = fitted.set_output(transform="default").transform(given)
            assert np.array_equal(np.asarray(back, float), np.asarray(plain, float))


def test_every_registered_imputer_is_here():
    classes = {registry.resolve("imputer", kind) for kind in registry.names("imputer")}
    assert classes == {type(each) for each in IMPUTERS} == {type(each) for each in QUICK}


def test_counts(capsys):
    """Print how many checks there are."""
    each = [len(list(suite.estimator_checks_generator(estimator))) for estimator in IMPUTERS]
    with capsys.disabled():
        left_out = len(MORE) * len(QUICK)
        print(
            f"\nscikit-learn checks: {sum(each)} over {len(each)} imputers, and {left_out} that it leaves out"
        )
    assert min(each) >= 44


@pytest.mark.parametrize("spec", SPECS, ids=name_of)
def test_parameters_are_checked_in_fit_by_name(spec):
    """A constructor only stores, so that clone works; fit says which parameter is wrong, and what it must be."""
    X = np.random.default_rng(0).normal(size=(12, 2))
    whole = [
        name
        for name, value in imputer(spec).get_params().items()
        if isinstance(value, int) and "__" not in name
    ]
    for name in whole:
        if name in ("random_state",) or isinstance(imputer(spec).get_params()[name], bool):
            continue
        broken = clone(imputer(spec)).set_params(**{name: -3})
        with pytest.raises(ParameterError, match=name):
            broken.fit(X)
    broken = clone(imputer(spec)).set_params(random_state="seed")
    with pytest.raises(ParameterError, match="random_state"):
        broken.fit(X)


@pytest.mark.parametrize("estimator", QUICK, ids=lambda e: type(e).__name__)
def test_a_place_in_pipelines_searches_and_column_transformers(estimator):
    X, y = toy_holes(60)
    numbers = ["income", "height", "rooms"]
    model = make_pipeline(
        ColumnTransformer([("fill", make_pipeline(clone(estimator), StandardScaler()), numbers)]),
        LogisticRegression(),
    )
    assert np.isfinite(cross_val_score(model, X, y, cv=2)).all()
    search = GridSearchCV(
        make_pipeline(clone(estimator), StandardScaler(), LogisticRegression()),
        {f"{type(estimator).__name__.lower()}__add_indicator": [False, True]},
        cv=2,
    ).fit(X[numbers].to_numpy(), y)
    assert 0.4 < search.best_score_ <= 1
    names = clone(estimator).set_params(add_indicator=True).fit(X[numbers]).get_feature_names_out()
    assert list(names) == [*numbers, *(f"missingindicator_{name}" for name in numbers)]


@pytest.mark.parametrize("estimator", QUICK, ids=lambda e: type(e).__name__)
def test_a_row_is_filled_alone_with_holes_as_the_suite_never_tries(estimator):
    """The suite's own checks of subsets and orders hold no missing cell."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 1)) + 0.5 * rng.normal(size=(40, 4))
    X[rng.random(X.shape) < 0.3] = np.nan
    fitted = clone(estimator).fit(X)
    whole, order = fitted.transform(X), rng.permutation(40)
    # matrix products of another height may differ in the last bit, which is all that they may
    ulps = 4 if type(estimator).__name__ == "GenerativeImputer" else 0
    for made in (fitted.transform(X[order])[np.argsort(order)], *[_by(fitted, X, n) for n in (1, 2, 7)]):
        np.testing.assert_allclose(made, whole, rtol=0, atol=ulps * np.finfo(float).eps)
    assert np.isfinite(whole).all()


def _by(fitted, X, n):
    return np.vstack([fitted.transform(X[k : k + n]) for k in range(0, len(X), n)])
