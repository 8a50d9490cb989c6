import datetime
import decimal
import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from augsynth import BootstrapGenerator, FunctionGenerator, IndependentGenerator, load
from augsynth.core.errors import ModelFileError
from augsynth.core.persistence import pack, unpack
from augsynth.testing import toy_table


def round_trip(value):
    arrays = {}
    packed = json.loads(json.dumps(pack(value, arrays), allow_nan=False))
    return unpack(packed, arrays)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        2.5,
        float("-inf"),
        "text",
        [1, [2, "x"]],
        (1, (2,)),
        {"a": 1, 2: [None]},
        {("f", 1): 2},
        pd.Timestamp("2024-02-29", tz="UTC"),
        np.float32(1.5),
        np.dtype("float32"),
        pd.StringDtype(),
        pd.Int64Dtype(),
        pd.CategoricalDtype(["b", "a"], ordered=True),
        pd.DatetimeTZDtype("us", "Europe/Paris"),
    ],
    ids=repr,
)
def test_values_come_back(value):
    again = round_trip(value)
    assert again == value and type(again) is type(value)


def test_nan_comes_back():
    assert np.isnan(round_trip(float("nan")))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int8).reshape(2, 3),
        np.array([], dtype=np.float64),
        np.array(["a", "bc"]),
        np.array(["a", None, 3], dtype=object),
        np.array(["2024-01-01", "NaT"], dtype="datetime64[D]"),
        np.array([True, False]),
    ],
    ids=lambda a: str(a.dtype),
)
def test_arrays_come_back(array):
    again = round_trip(array)
    assert again.dtype == array.dtype and again.shape == array.shape
    assert list(again.ravel().astype(str)) == list(array.ravel().astype(str))


def test_frames_come_back_with_every_dtype():
    frame, y = toy_table()
    frame = frame.reset_index(drop=True)
    frame["arrow"] = pd.array(["x", None] * 60, dtype="string[pyarrow]")
    pd.testing.assert_frame_equal(round_trip(frame), frame)
    pd.testing.assert_series_equal(round_trip(y), y.reset_index(drop=True))


def test_functions_are_refused_and_nothing_is_written(tmp_path):
    g = FunctionGenerator(lambda y, rng: np.zeros((len(y), 1))).fit(np.ones((2, 1)), [0, 1])
    with pytest.raises(ModelFileError, match="must be data or a registered component; given function"):
        g.save(tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_an_unregistered_class_says_how_to_register_it(tmp_path):
    class Mine(IndependentGenerator):
        pass

    with pytest.raises(ModelFileError, match="Register your class"):
        Mine().fit(np.ones((2, 1))).save(tmp_path / "m")


def hostile(tmp_path, header):
    path = tmp_path / "m.safetensors"
    save_file({"augsynth": np.zeros(1, np.uint8)}, str(path), metadata={"augsynth": header})
    return path


@pytest.mark.parametrize(
    "entry",
    [
        {"$component": ["generator", "os:system"], "params": {}, "state": {}},
        {"$component": ["generator", "bootstrap"], "params": {"$dict": [["x", 1]]}, "state": {"$dict": []}},
        {"$value": "Popen", "state": {"$dict": []}},
        {"$import": "os"},
        {"$array": "absent", "shape": [10**12], "dtype": "<f8", "scalar": False},
        {"$dtype": "rubbish"},
        [[[[]]]] * 3 + [{"$arrow": "augsynth", "names": [], "name": None, "dtypes": [], "kind": "Series"}],
    ],
)
def test_hostile_files_fail_and_execute_nothing(tmp_path, entry):
    with pytest.raises(ModelFileError, match="load"):
        load(hostile(tmp_path, json.dumps({"format": 1, "object": entry})))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"$objects": [0], "shape": [1], "dtype": f"|V{2**31 - 1}", "scalar": False}, "objects or text"),
        (
            {
                "$table": "DataFrame",
                "rows": 10**12,
                "columns": [{"cells": [1], "dtype": {"$dtype": "numpy", "text": "<i8"}}],
                "names": ["a"],
                "name": None,
            },
            "1000000000000 rows",
        ),
    ],
)
def test_sizes_in_a_header_are_checked_before_memory_is_asked_for(entry, says):
    with pytest.raises(ModelFileError, match=says):
        unpack(entry, {})


@pytest.mark.parametrize("text", ["not json", "{}", "[]", '{"format": 99, "object": null}', "[" * 100_000])
def test_damaged_headers_get_a_sentence(tmp_path, text):
    with pytest.raises(ModelFileError, match="must be a model that augsynth saved"):
        load(hostile(tmp_path, text))


def test_other_files_get_a_sentence(tmp_path):
    text = tmp_path / "table.csv"
    text.write_text("a,b\n1,2\n")
    with pytest.raises(ModelFileError, match="must be a model that augsynth saved"):
        load(text)
    with pytest.raises(ModelFileError):
        load(tmp_path / "absent")


def test_a_truncated_model_fails(tmp_path):
    path = tmp_path / "m.safetensors"
    BootstrapGenerator().fit(np.random.default_rng(0).normal(size=(50, 3))).save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFileError):
        load(path)


def test_saving_over_a_full_disk_keeps_the_old_model(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    g = BootstrapGenerator(random_state=0).fit(np.arange(6.0).reshape(3, 2))
    g.save(path)
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError):
        g.save(path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_classes_of_the_same_name_in_two_modules_do_not_clash():
    from augsynth.core.persistence import persistent

    first, second = (
        persistent(type("Twin", (), {"__module__": module, "__eq__": lambda a, b: vars(a) == vars(b)}))
        for module in ("one", "two")
    )
    for cls in (first, second):
        value = cls()
        value.x = 1
        again = round_trip(value)
        assert type(again) is cls and again.x == 1


ODD_CELLS = [
    pd.Timedelta(1, unit="ns"),
    pd.Timestamp("2024-02-29 12:00:00.000000001", tz="Europe/Paris"),
    pd.Period("2024-01", freq="M"),
    pd.Interval(0, 2.5, closed="left"),
    datetime.date(2024, 2, 29),
    datetime.timedelta(days=-1, microseconds=3),
    decimal.Decimal("0.10"),
    b"\x00\xff",
    2**70,
    "\ud800",
    pd.NaT,
    pd.NA,
    1 + 2j,
]


@pytest.mark.parametrize("cell", ODD_CELLS, ids=repr)
def test_cells_of_every_type_come_back(cell):
    again = round_trip(pd.Series([cell, None], dtype=object)).tolist()
    assert type(again[0]) is type(cell) and again[1] is None
    assert again[0] is cell or again[0] == cell


@pytest.mark.parametrize(
    "index",
    [
        pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["u", None]),
        pd.Index([("a", "b"), None], dtype=object, tupleize_cols=False),
        pd.Index([1, "a", 2.5], dtype=object, name="mixed"),
        pd.Index([2**64 - 1, 3], dtype=object),
        pd.to_datetime(["2024-01-01"]).tz_localize("UTC"),
    ],
    ids=repr,
)
def test_indexes_come_back(index):
    again = round_trip(index)
    assert type(again) is type(index) and again.tolist() == index.tolist() and again.names == index.names
    frame = round_trip(pd.DataFrame([[0.5] * len(index)], columns=index))
    assert type(frame.columns) is type(index) and frame.columns.tolist() == index.tolist()


def test_categories_of_mixed_types_and_sparse_columns_come_back():
    mixed = pd.Series(pd.Categorical([3, "a", None, 3]))
    sparse = pd.Series(pd.arrays.SparseArray([0, 0, 1]))
    for column in (mixed, sparse):
        pd.testing.assert_series_equal(round_trip(column), column)


def test_arrays_that_the_format_cannot_hold_are_refused(tmp_path):
    rows = np.ones((4, 2), dtype=np.longdouble)
    with pytest.raises(ModelFileError, match=str(rows.dtype)):
        BootstrapGenerator().fit(rows).save(tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "packed",
    [
        {},
        {"$objects": ["a"], "shape": [1], "dtype": "<U900000000", "scalar": False},
        {"$dtype": "numpy", "text": "08"},
        {"$scalar": "os.system", "value": ["true"]},
        {"$scalar": "Decimal", "value": ["x"]},
    ],
    ids=str,
)
def test_hostile_headers_fail_in_one_sentence(tmp_path, packed):
    path = tmp_path / "m.safetensors"
    header = json.dumps({"format": 1, "object": packed})
    save_file({"augsynth": np.zeros(1, np.uint8)}, str(path), metadata={"augsynth": header})
    with pytest.raises(ModelFileError):
        load(path)
