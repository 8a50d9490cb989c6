"""Bad input: one clear sentence each, from every generator and from OverSampler; and odd input that must work."""

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from test_contracts import cheap

from augsynth import OverSampler, Resampled, compare, registry
from augsynth.core.errors import AugsynthError, DataError, ThinCellWarning

KINDS = [k for k in registry.names("generator") if k != "function"]
TABLES = [k for k in KINDS if cheap("generator", k)._encodes]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = np.array([0] * 30 + [1] * 10)


def frame(**columns):
    return pd.DataFrame({"x": X[:, 0], **columns})


LISTS = pd.ArrowDtype(pa.list_(pa.int64()))
BAD = {
    "infinity": (np.where(np.arange(120).reshape(40, 3) == 7, np.inf, X), Y, "finite numbers; given -?inf"),
    "near the float limits": (X * 1e200, Y, "below 1e\\+150 in size"),
    "empty": (np.empty((0, 3)), np.empty(0), r"0 sample\(s\)"),
    "no columns": (np.empty((5, 0)), Y[:5], r"0 feature\(s\)"),
    "mixed types in one column": (frame(m=pd.Series([1, "a"] * 20, dtype=object)), Y, "one type"),
    "a dict in a cell": (frame(m=pd.Series([{}, "a"] * 20, dtype=object)), Y, "must be a string or a number"),
    "duplicate column names": (pd.DataFrame(X, columns=["a", "b", "a"]), Y, "column names must differ"),
    "wrong lengths": (X, Y[:-1], "as many rows"),
    "one-dimensional": (X[:, 0], Y, "Expected 2D array, got 1D array"),
    "ragged": ([[1, 2], [3]] * 20, Y, "equal lengths"),
    "sparse": (sparse.csr_matrix(X), Y, "sparse input is not supported"),
    "complex": (X + 1j, Y, "Complex data not supported"),
    "differences below the float limits": (RNG.integers(1, 9, (40, 2)) * 5e-324, Y, "must vary by more than"),
    "lists in an Arrow column": (frame(a=pd.array([[1]] * 40, dtype=LISTS)), Y, "must hold text, numbers"),
    "missing label": (X, np.where(Y == 1, np.nan, 0.0), "y must not be missing"),
    "not a table": ("rows", Y, "."),
    "a single value": (np.float64(3), Y, "a single value"),
    "names of two types": (pd.DataFrame(X[:, :2], columns=[0, "a"]), Y, "column names must be all text"),
    "complex labels": (X, Y * 1j, "Complex data not supported"),
    "labels that are lists": (X, pd.Series([[1], [2]] * 20), "a label must be a single value"),
    "labels that are tuples": (X, pd.Series([(1, 2), (3, 4)] * 20), "a label must be a single value"),
    "masked labels": (X, np.ma.masked_array(Y, mask=Y == 1), "y must not be missing"),
}
COPY_AS_IS = {
    "differences below the float limits",
    "lists in an Arrow column",
    "infinity",
    "near the float limits",
    "mixed types in one column",
    "a dict in a cell",
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("kind", KINDS)
def test_generators_refuse_in_one_sentence(kind, case):
    rows, labels, says = BAD[case]
    if kind in ("bootstrap", "perturbed") and case in COPY_AS_IS:
        return  # rows that are only copied may hold anything
    if cheap("generator", kind)._takes_unlabelled and case in ("missing label", "masked labels"):
        return  # rows without a label train deep generators
    with pytest.raises((AugsynthError, ValueError, TypeError), match=says) as caught:
        cheap("generator", kind).fit(rows, labels)
    text = str(caught.value)
    assert text.startswith(type(cheap("generator", kind)).__name__ + ":") and "\n" not in text, text


@pytest.mark.parametrize(
    "case", ["infinity", "empty", "duplicate column names", "wrong lengths", "sparse", "complex"]
)
def test_oversampler_refuses_in_one_sentence(case):
    rows, labels, _ = BAD[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        OverSampler(cheap("generator", "smote"), random_state=0).fit_resample(rows, labels)
    assert len(str(caught.value)) > 20


GOOD = {
    "one row": (X[:1], Y[:1]),
    "one class": (X, np.zeros(40)),
    "a class of one": (X, np.array([0] * 39 + [1])),
    "constant columns": (np.column_stack([X, np.ones(40), np.zeros(40)]), Y),
    "every column constant": (np.ones((40, 2)), Y),
    "one column": (X[:, :1], Y),
    "missing cells": (np.where(RNG.random((40, 3)) < 0.2, np.nan, X), Y),
    "a column all missing in one class": (np.column_stack([X, np.where(Y == 1, np.nan, X[:, 0])]), Y),
    "a column all missing": (np.column_stack([X, np.full(40, np.nan)]), Y),
    "lists": (X.tolist(), Y.tolist()),
    "object array of numbers": (X.astype(object), Y),
    "object array of text and numbers": (
        np.array([[float(a), "u" if a > 0 else "v"] for a in X[:, 0]], dtype=object),
        Y,
    ),
    "text labels": (X, np.where(Y == 1, "yes", "no")),
    "categories only": (pd.DataFrame({"a": list("uv") * 20, "b": list("xyzw") * 10}), Y),
    "many categories": (frame(c=[f"c{i}" for i in range(40)]), Y),
    "large numbers": (X * 1e100, Y),
    "tiny numbers": (X * 1e-100, Y),
    "far from zero": (X + 1e9, Y),
    "duplicates": (np.repeat(X[:4], 10, axis=0), Y),
    "other index": (pd.DataFrame(X, index=RNG.permutation(40) * 7), Y),
    "repeated index": (pd.DataFrame(X, index=[3] * 40), pd.Series(Y, index=[3] * 40)),
    "names that are numbers": (pd.DataFrame(X, columns=[5, 1, 9]), Y),
    "odd names": (pd.DataFrame(X, columns=["<script>", "", "a b"]), Y),
    "regression target": (X, X[:, 0] * 3 + 0.1),
}


@pytest.mark.parametrize("case", GOOD)
@pytest.mark.parametrize("kind", KINDS)
def test_odd_input_that_must_work(kind, case):
    rows, labels = GOOD[case]
    holes = "missing" in case
    generator = cheap("generator", kind).set_params(random_state=0)
    if holes and not generator._allows_missing:
        with pytest.raises(DataError, match="NaN"):
            generator.fit(rows, labels)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ThinCellWarning)
        drawn = generator.fit(rows, labels).sample_labelled(25, random_state=1)
    assert type(drawn.X) is type(rows) and len(drawn.X) == 25
    if isinstance(rows, pd.DataFrame):
        assert drawn.X.dtypes.equals(rows.dtypes)
    if not holes and not isinstance(rows, list):
        assert not pd.isna(np.asarray(drawn.X)).any()
        numbers = np.asarray(drawn.X)
        assert numbers.dtype.kind not in "f" or np.isfinite(numbers).all()


@pytest.mark.parametrize("kind", TABLES)
def test_ten_thousand_categories(kind):
    n = 12_000
    table = pd.DataFrame({"id": [f"c{i % 10_000}" for i in range(n)], "x": np.arange(n) / n})
    labels = np.arange(n) % 50 == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ThinCellWarning)
        new = cheap("generator", kind).set_params(random_state=0).fit(table, labels).sample(y=[True] * 50)
    assert new["id"].isin(table["id"]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_read_only_and_strided_arrays(kind):
    strided = np.repeat(X, 2, axis=1)[:, ::2]
    strided.setflags(write=False)
    labels = Y.copy()
    labels.setflags(write=False)
    new = cheap("generator", kind).set_params(random_state=0).fit(strided, labels).sample(y=[1] * 5)
    assert new.shape == (5, 3)


@pytest.mark.parametrize("kind", TABLES)
def test_queries_are_checked_too(kind):
    generator = cheap("generator", kind).set_params(random_state=0).fit(frame(t=["u", "v"] * 20), Y)
    for verb in ("log_prob", "complete"):
        if not hasattr(generator, verb):
            continue
        with pytest.raises(DataError, match="unseen 'w'"):
            getattr(generator, verb)(frame(t=["w", "v"] * 20), Y)
        with pytest.raises(DataError, match="y must be given"):
            getattr(generator, verb)(frame(t=["u", "v"] * 20))


GROUPS = np.array(["u", "v"] * 20)
BAD_CONDITIONS = {
    "a single group": ({"sensitive_features": "sex"}, "one group, or one row of groups"),
    "group names twice": (
        {"sensitive_features": pd.DataFrame([["u", "v"]] * 40, columns=["g", "g"])},
        "distinct names",
    ),
    "a missing group": ({"sensitive_features": [None, *GROUPS[1:]]}, "every row must have a group"),
    "too few groups": ({"sensitive_features": GROUPS[1:]}, "as many rows"),
    "weights of text": ({"sample_weight": ["a"] * 40}, "sample_weight must hold numbers"),
    "weights whose sum overflows": ({"sample_weight": [1e308] * 40}, "at most 1e\\+150"),
}


@pytest.mark.parametrize("case", BAD_CONDITIONS)
def test_groups_and_weights_are_refused_in_one_sentence(case):
    given, says = BAD_CONDITIONS[case]
    with pytest.raises(DataError, match=says):
        cheap("generator", "bootstrap").fit(X, Y, **given)


@pytest.mark.parametrize("schema", ["categorical", 5, {"t": ["u", "u", "v"]}, {"q": "ordinal"}], ids=str)
def test_schemas_are_checked(schema):
    generator = cheap("generator", "independent").set_params(schema=schema)
    with pytest.raises(AugsynthError, match="IndependentGenerator: schema"):
        generator.fit(frame(t=["u", "v"] * 20), Y)


@pytest.mark.parametrize("order", [5, "t", ["q"]], ids=str)
def test_the_order_of_trees_is_checked(order):
    with pytest.raises(AugsynthError, match="order must"):
        cheap("generator", "trees").set_params(order=order).fit(frame(t=["u", "v"] * 20), Y)


@pytest.mark.parametrize("y", [{"a": 1}, 1, "abc", {0, 1}], ids=str)
def test_oversampler_wants_one_label_a_row(y):
    with pytest.raises(DataError, match="y must hold one label a row"):
        OverSampler(cheap("generator", "bootstrap")).fit_resample(X, y)


@pytest.mark.parametrize("kind", KINDS)
def test_sparse_columns_of_a_table_stay_sparse(kind):
    table = frame(s=pd.arrays.SparseArray([0, 0, 1, 0] * 10))
    generator = cheap("generator", kind).set_params(random_state=0)
    assert generator.fit(table, Y).sample(5).dtypes.equals(table.dtypes)
    more, _ = OverSampler(generator, random_state=0).fit_resample(table, Y)
    assert more.dtypes.equals(table.dtypes)


def test_masked_cells_are_missing_cells():
    rows = np.ma.masked_array(np.full((40, 1), 7.0), mask=(np.arange(40) % 2 == 0)[:, None])
    rows.data[::2] = 1e9  # under the mask: nobody may see it
    drawn = cheap("generator", "independent").set_params(random_state=0).fit(rows, Y).sample(60)
    assert np.isnan(drawn).any() and np.nanmax(drawn) == 7


@pytest.mark.parametrize("estimator", [None, "svm", LogisticRegression], ids=str)
def test_what_is_no_estimator(estimator):
    resampler = OverSampler(cheap("generator", "bootstrap"))
    with pytest.raises(AugsynthError, match="Resampled: estimator must have fit"):
        Resampled(estimator, resampler).fit(X, Y)
    with pytest.raises(AugsynthError, match="compare: estimator must be an estimator"):
        compare(estimator, resampler, X, Y)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"n_jobs": 0}, "n_jobs must be a whole number"),
        ({"sample_weight": [-1] * 40}, "sample_weight must be finite, non-negative"),
        ({"sample_weight": "a"}, "sample_weight must hold numbers"),
        ({"sensitive_features": "a"}, "one group, or one row of groups"),
        ({"sensitive_features": [None, *GROUPS[1:]]}, "every row must have a group"),
        ({"X": None}, "X must be a DataFrame"),
    ],
    ids=str,
)
def test_compare_refuses_in_one_sentence(given, says):
    resampler = OverSampler(cheap("generator", "bootstrap"))
    with pytest.raises(AugsynthError, match=f"compare: .*{says}"):
        compare(LogisticRegression(), resampler, **({"X": X, "y": Y, "cv": 2, "n_repeats": 1} | given))


@pytest.mark.parametrize("given", [{"sensitive_features": "u"}, {"sensitive_features": {"a": 1}}], ids=str)
def test_oversampler_wants_one_group_a_row(given):
    with pytest.raises(DataError, match="sensitive_features must have one entry a row of X"):
        OverSampler(cheap("generator", "bootstrap"), by="group").fit_resample(X, Y, **given)
    with pytest.raises(AugsynthError, match="group_columns must be a list"):
        OverSampler(cheap("generator", "bootstrap"), by="group", group_columns=5).fit_resample(X, Y)
