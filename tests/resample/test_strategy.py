"""Counts by hand for every strategy, and agreement with imbalanced-learn where both speak."""

import numpy as np
import pandas as pd
import pytest
from imblearn.utils import check_sampling_strategy

from augsynth.core.errors import AugsynthWarning, DataError, ParameterError
from augsynth.resample.cells import cells_of, cross
from augsynth.resample.strategy import apportion, target_counts

Y = np.array(["a"] * 6 + ["b"] * 3 + ["c"] * 1)
# class a: f f m m m m; class b: f m m; class c: f
GROUP = np.array(list("ffmmmm") + list("fmm") + list("f"))


@pytest.mark.parametrize(
    ("strategy", "direction", "expected"),
    [
        ("auto", "over", {"a": 6, "b": 6, "c": 6}),
        ("not majority", "over", {"a": 6, "b": 6, "c": 6}),
        ("all", "over", {"a": 6, "b": 6, "c": 6}),
        ("minority", "over", {"a": 6, "b": 3, "c": 6}),
        ("not minority", "over", {"a": 6, "b": 6, "c": 1}),
        ({"b": 5}, "over", {"a": 6, "b": 5, "c": 1}),
        (lambda cells: {k: n + 2 for k, n in cells.value_counts().items()}, "over", {"a": 8, "b": 5, "c": 3}),
        ("auto", "under", {"a": 1, "b": 1, "c": 1}),
        ("majority", "under", {"a": 1, "b": 3, "c": 1}),
        ("not majority", "under", {"a": 6, "b": 1, "c": 1}),
        ({"a": 2, "b": 0}, "under", {"a": 2, "b": 0, "c": 1}),
    ],
)
def test_class_totals_by_hand(strategy, direction, expected):
    totals = target_counts(Y, sampling_strategy=strategy, direction=direction)
    assert totals.to_dict() == expected
    assert totals.index.name == "class"


@pytest.mark.parametrize(
    "container", [list, pd.Series, lambda y: pd.Series(y, dtype="category"), pd.DataFrame]
)
def test_any_container_of_y(container):
    assert target_counts(container(Y)).to_dict() == {"a": 6, "b": 6, "c": 6}


def test_ratio_by_hand():
    y = [0] * 100 + [1] * 10
    assert target_counts(y, sampling_strategy=0.5).to_dict() == {0: 100, 1: 50}
    assert target_counts(y, sampling_strategy=0.5, direction="under").to_dict() == {0: 20, 1: 10}
    assert target_counts(y, sampling_strategy=0.1).to_dict() == {0: 100, 1: 10}


@pytest.mark.parametrize("seed", range(20))
def test_same_rows_to_add_as_imbalanced_learn(seed):
    rng = np.random.default_rng(seed)
    y = rng.choice(4, size=rng.integers(20, 60), p=[0.1, 0.2, 0.3, 0.4])
    present, counts = np.unique(y, return_counts=True)
    for direction, names in (
        ("over", ["auto", "minority", "not minority", "not majority", "all"]),
        ("under", ["auto", "majority", "not minority", "not majority", "all"]),
    ):
        for name in names:
            theirs = check_sampling_strategy(name, y, f"{direction}-sampling")
            expected = dict(zip(present.tolist(), counts.tolist(), strict=True))
            for key, rows in theirs.items():
                expected[int(key)] = rows + (expected[int(key)] if direction == "over" else 0)
            assert target_counts(y, sampling_strategy=name, direction=direction).to_dict() == expected


def test_groups_and_cells_by_hand():
    # f: 2 + 1 + 1 = 4 rows, m: 4 + 2 = 6 rows
    assert target_counts(Y, GROUP, by="group").to_dict() == {"f": 6, "m": 6}
    with pytest.warns(AugsynthWarning, match=r"\('c', 'm'\)"):
        totals = target_counts(Y, GROUP, by="class+group")
    assert totals.to_dict() == dict.fromkeys([("a", "f"), ("a", "m"), ("b", "f"), ("b", "m"), ("c", "f")], 4)
    assert totals.index.names == ["class", "group_0"]
    asked = target_counts(Y, GROUP, by="class+group", sampling_strategy={("b", "f"): 9})
    assert asked[("b", "f")] == 9
    assert asked.sum() == 10 + 8


def test_several_group_columns():
    groups = pd.DataFrame({"sex": list("fmfm"), "race": [1, 1, 2, 2]})
    assert target_counts([0, 1, 0, 1], groups, by="group").to_dict() == {
        ("f", 1): 1, ("f", 2): 1, ("m", 1): 1, ("m", 2): 1,
    }  # fmt: skip
    with pytest.warns(AugsynthWarning, match="4 in all"):
        totals = target_counts([0, 1, 0, 1], groups, by="class+group")
    assert totals.index.names == ["class", "sex", "race"]
    assert (0, "f", 2) in totals.index


def test_target_bins_cover_every_row_and_even_out_rare_ranges():
    y = np.concatenate([np.linspace(0, 1, 200), np.linspace(9, 10, 20)])
    cells = cells_of(y, by="target_bins", where="test")
    for code, key in enumerate(cells.index):
        inside = y[cells.codes == code]
        assert len(inside) >= 5
        assert inside.min() >= key.left
        assert inside.max() <= key.right
    totals = target_counts(y, by="target_bins")
    assert (totals == totals.iloc[0]).all()
    assert totals.index.name == "target_bin"


def test_target_bins_of_few_distinct_values():
    cells = cells_of([0.0] * 30 + [5.0] * 30, by="target_bins", where="test")
    assert sorted(cells.counts) == [30, 30]
    with pytest.raises(DataError, match="at least two cells"):
        target_counts([1.5] * 30, by="target_bins")


def test_apportion_is_exact_and_never_crosses_a_count():
    rng = np.random.default_rng(0)
    for _ in range(200):
        counts = rng.integers(0, 30, size=rng.integers(1, 6))
        whole = int(counts.sum())
        up = apportion(whole + int(rng.integers(0, 50)), counts)
        down = apportion(int(rng.integers(0, whole + 1)), counts)
        if whole:
            assert (up >= counts).all()
            assert (down <= counts).all()
            assert np.abs(up - up.sum() * counts / whole).max() < 1
    assert apportion(7, np.array([2, 1, 1])).tolist() == [3, 2, 2]


def test_cross_keeps_observed_pairs_only():
    first = cells_of([1, 1, 2], by="class", where="test")
    second = cells_of(None, ["x", "y", "x"], by="group", where="test")
    both = cross(first, second)
    assert both.index.tolist() == [(1, "x"), (1, "y"), (2, "x")]
    assert both.codes.tolist() == [0, 1, 2]
    assert both.first_rows.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"sampling_strategy": "most"}, "'most'"),
        ({"sampling_strategy": "majority"}, "'majority'"),
        ({"sampling_strategy": "minority", "direction": "under"}, "'minority'"),
        ({"sampling_strategy": 0.5}, "3 cells"),
        ({"sampling_strategy": 1.5}, "1.5"),
        ({"sampling_strategy": {"z": 3}}, "'z'"),
        ({"sampling_strategy": {"a": 5}}, r"'a': 5 \(has 6\)"),
        ({"sampling_strategy": {"b": 5}, "direction": "under"}, r"'b': 5 \(has 3\)"),
        ({"sampling_strategy": {"a": 6.5}}, "6.5"),
        ({"sampling_strategy": {"a": -1}}, "-1"),
        ({"sampling_strategy": ["a"]}, "mapping"),
        ({"sampling_strategy": True}, "True"),
        ({"sampling_strategy": lambda cells: 3}, "a int"),
        ({"by": "sex"}, "'sex'"),
        ({"direction": "sideways"}, "'sideways'"),
    ],
)
def test_bad_values_get_a_sentence(kwargs, message):
    with pytest.raises(ParameterError, match=message) as caught:
        target_counts(Y, GROUP, **kwargs)
    assert str(caught.value).startswith("target_counts: ")


@pytest.mark.parametrize(
    ("y", "groups", "kwargs", "message"),
    [
        ([1, 1, 1], None, {}, "1 class"),
        (None, None, {}, "y is None"),
        ([1, 2, None], None, {}, "missing values"),
        ([1, 2], None, {"by": "group"}, "group_columns"),
        ([1, 2], ["f", None], {"by": "group"}, "row 1"),
        ([1, 2], ["f"], {"by": "class+group"}, "2 and 1 rows"),
        ([[1, 2], [3, 4]], None, {}, "2 columns"),
        (["x", "y"], None, {"by": "target_bins"}, "numbers"),
        ([1.0, np.inf], None, {"by": "target_bins"}, "finite"),
        ([[1, 0], [2, 1]], None, {"by": "class"}, "one column"),
    ],
)
def test_bad_data_gets_a_sentence(y, groups, kwargs, message):
    with pytest.raises(DataError, match=message):
        target_counts(y, groups, **kwargs)
