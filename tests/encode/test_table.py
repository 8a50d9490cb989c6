import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from augsynth.core.errors import DataError, InputTypeError, ParameterError
from augsynth.encode.schema import Schema
from augsynth.encode.table import TableCodec

N = 20
RNG = np.random.default_rng(0)
DAYS = pd.Series(pd.date_range("2020", periods=N))
COLUMNS = {
    "float64": RNG.normal(size=N),
    "float32": RNG.normal(size=N).astype("float32"),
    "int64": RNG.integers(0, 9, N),
    "uint8": RNG.integers(0, 255, N).astype("uint8"),
    "huge ints": np.arange(N) + 2**60,
    "huge uints": np.arange(N).astype("uint64") + np.uint64(2**63),
    "Int64": pd.array([1, None, 3, 4] * 5, dtype="Int64"),
    "Float64": pd.array([1.5, None] * 10, dtype="Float64"),
    "category": pd.Categorical(RNG.choice(list("ab"), N), categories=list("abc")),
    "category of ints": pd.Categorical([10, 20] * 10),
    "category with holes": pd.Categorical(["a", "b", None, "a"] * 5),
    "ordered": pd.Categorical(RNG.choice(list("ab"), N), categories=list("ba"), ordered=True),
    "bool": RNG.random(N) > 0.5,
    "boolean": pd.array([True, False, None, True] * 5, dtype="boolean"),
    "str": RNG.choice(["x", "y"], N),
    "string with holes": pd.Series(["x", None] * 10, dtype="string"),
    "object text": pd.Series(["x", None] * 10, dtype=object),
    "object truth": pd.Series([True, False, None, True] * 5, dtype=object),
    "object numbers": pd.Series([1, 2.5] * 10, dtype=object),
    "datetime": DAYS,
    "datetime with holes": DAYS.where(np.arange(N) % 3 > 0),
    "datetime with zone": pd.date_range("2020", periods=N, tz="Europe/Paris"),
    "duration": pd.timedelta_range("1h", periods=N),
    "arrow int": pd.Series([1, None] * 10, dtype="int64[pyarrow]"),
    "arrow string": pd.Series(["a", None] * 10, dtype="string[pyarrow]"),
    "arrow double": pd.Series([1.5, None] * 10, dtype="double[pyarrow]"),
    "arrow bool": pd.Series([True, None, False, True] * 5, dtype="bool[pyarrow]"),
    "arrow time": DAYS.astype("timestamp[us][pyarrow]"),
    "arrow date": DAYS.dt.date.astype(pd.ArrowDtype(pa.date32())),
    "arrow decimal": pd.Series([decimal.Decimal("1.25"), decimal.Decimal("2.5")] * 10).astype(
        pd.ArrowDtype(pa.decimal128(7, 2))
    ),
    "arrow dictionary": pd.Series(["u", "v"] * 10).astype(
        pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))
    ),
    "constant": np.ones(N),
    "constant text": ["k"] * N,
    "constant date": pd.Timestamp("2020"),
    "all missing": np.full(N, np.nan),
    "all missing Int64": pd.array([None] * N, dtype="Int64"),
    "no categories": pd.Categorical([None] * N, categories=[]),
    "whole floats with holes": [1.0, np.nan] * 10,
}


@pytest.mark.parametrize("name", COLUMNS)
def test_every_dtype_comes_back_exactly(name):
    frame = pd.DataFrame({name: COLUMNS[name], "other": RNG.normal(size=N)})
    codec = TableCodec().fit(frame, Schema.infer(frame))
    z = codec.encode(frame)
    assert z.dtype == np.float64 and not np.isinf(z).any()
    pd.testing.assert_frame_equal(codec.decode(z), frame)


def test_kinds():
    frame = pd.DataFrame(COLUMNS)
    kinds = {c.name: c.kind for c in Schema.infer(frame)}
    assert kinds["float64"] == "continuous" and kinds["whole floats with holes"] == "integer"
    assert kinds["huge ints"] == "integer" and kinds["ordered"] == "ordinal"
    assert kinds["object truth"] == "boolean" and kinds["duration"] == "datetime"
    assert kinds["arrow decimal"] == "continuous" and kinds["arrow dictionary"] == "categorical"


def test_constants_are_left_out_and_put_back():
    frame = pd.DataFrame(COLUMNS)
    codec = TableCodec().fit(frame, Schema.infer(frame))
    left_out = {
        "constant",
        "constant text",
        "constant date",
        "all missing",
        "all missing Int64",
        "no categories",
    }
    assert set(frame.columns) - set(codec.names) == left_out
    assert not np.isnan(codec.encode(frame)).all(axis=0).any()


def test_changed_constants_are_found():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "k": ["x"] * 3, "n": [7] * 3})
    codec = TableCodec().fit(frame, Schema.infer(frame))
    assert codec.off_support(frame.assign(k=["x", "y", None])).tolist() == [False, True, False]
    assert codec.off_support(frame.assign(n=[7, 7, 8])).tolist() == [False, False, True]
    codec = TableCodec().fit(frame, Schema.infer(frame), given=["a"])
    assert codec.off_support(frame, frame[["a"]].assign(a=[1.0, 5.0, 3.0])).tolist() == [False, True, False]


def test_float64_arrays_are_not_copied():
    X = RNG.normal(size=(100, 3))
    frame = pd.DataFrame(X, copy=False)
    codec = TableCodec().fit(frame, Schema.infer(frame))
    assert np.shares_memory(codec.encode(frame), X)


def test_integers_stay_inside_their_dtype():
    frame = pd.DataFrame({"a": np.array([0, 255, 3], dtype=np.uint8)})
    codec = TableCodec().fit(frame, Schema.infer(frame))
    assert codec.decode(np.array([[-7.0], [300.4], [2.6]]))["a"].tolist() == [0, 255, 3]
    low = np.uint64(2**63)
    ends = {"signed": np.array([2**62 + 1, 2**62 + 9]), "unsigned": np.array([low + np.uint64(7), low])}
    for name, values in ends.items():
        frame = pd.DataFrame({name: values})
        codec = TableCodec().fit(frame, Schema.infer(frame))
        assert codec.decode(codec.encode(frame)).equals(frame)
        beyond = codec.decode(np.array([[1e30], [-1e30]]))[name].tolist()  # must not wrap round
        limit = np.iinfo(values.dtype)
        assert limit.max - 2048 < beyond[0] <= limit.max and beyond[1] < beyond[0]
    large = pd.DataFrame({"a": np.array([0, 5, 2**64 - 1], dtype=np.uint64)})
    codec = TableCodec().fit(large, Schema.infer(large))
    assert codec.decode(codec.encode(large))["a"].iloc[2] > 2**64 - 2049  # as near as a float comes


def test_overrides():
    frame = pd.DataFrame(
        {"grade": ["low", "high", "low"], "code": [3, 1, 3], "when": ["2020-01-01"] * 2 + ["2021-01-01"]}
    )
    schema = Schema.infer(frame, {"grade": ["low", "high"], "code": "categorical"})
    codec = TableCodec().fit(frame, schema)
    assert codec.encode(frame)[:, 0].tolist() == [0, 1, 0]
    assert [b.n_levels for b in codec.layout] == [2, 2, 2] and codec.layout[0].ordered
    pd.testing.assert_frame_equal(codec.decode(codec.encode(frame)), frame)


def test_unknown_overrides_get_a_sentence():
    frame = pd.DataFrame({"a": [1, 2]})
    with pytest.raises(ParameterError, match="schema must name columns of X; given 'b'"):
        Schema.infer(frame, {"b": "categorical"})
    with pytest.raises(ParameterError, match="must be 'continuous', .* given 'round'"):
        Schema.infer(frame, {"a": "round"})


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ([1.0, np.inf], DataError, r"column 'a' must hold finite numbers; given inf"),
        ([1.0, 1e200], DataError, r"below 1e\+150 in size; given 1e\+200"),
        (
            pd.Series([1, "x"], dtype=object),
            DataError,
            r"one type; given 1 of kind number \(such as 1\), 1 of kind text",
        ),
        (pd.Series([{}, 1], dtype=object), InputTypeError, r"given \{\} \(dict\)"),
        ([1 + 2j, 3], DataError, "Complex data not supported"),
        ([f"id{i}" for i in range(2)], None, ""),
    ],
)
def test_bad_columns_get_a_sentence(values, error, says):
    frame = pd.DataFrame({"a": values})
    if error is None:
        Schema.infer(frame)
        return
    with pytest.raises(error, match=says):
        Schema.infer(frame)


def test_ten_thousand_categories_work_and_one_more_does_not():
    frame = pd.DataFrame({"id": [f"c{i}" for i in range(10_000)]})
    codec = TableCodec().fit(frame, Schema.infer(frame))
    assert codec.layout[0].n_levels == 10_000
    pd.testing.assert_frame_equal(codec.decode(codec.encode(frame)), frame)
    with pytest.raises(DataError, match="at most 10,000 categories; given 10,001"):
        Schema.infer(pd.DataFrame({"id": [f"c{i}" for i in range(10_001)]}))


def test_unseen_categories_are_named():
    frame = pd.DataFrame({"a": ["x", "y"]})
    codec = TableCodec().fit(frame, Schema.infer(frame))
    with pytest.raises(DataError, match="unseen 'z'"):
        codec.encode(pd.DataFrame({"a": ["x", "z"]}))


def test_whole_days_stay_whole_days():
    frame = pd.DataFrame({"d": pd.Timestamp("2020-01-01") + pd.to_timedelta([0, 3, 700], unit="D")})
    codec = TableCodec().fit(frame, Schema.infer(frame))
    assert codec.encode(frame)[:, 0].tolist() == [0, 3, 700]
    assert codec.decode(np.array([[1.4], [35_000.0]]))["d"].tolist() == [
        pd.Timestamp("2020-01-02"),
        pd.Timestamp("2115-10-30"),
    ]
