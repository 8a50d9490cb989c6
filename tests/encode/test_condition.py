import numpy as np
import pandas as pd
import pytest

from augsynth.core.errors import ConditionError, DataError, ThinCellWarning
from augsynth.encode.condition import ConditionCodec

Y = ["no", "no", "no", "yes", "yes", "no"]
SEX = ["f", "m", "f", "f", "f", "m"]


def fitted(y=Y, groups=SEX):
    return ConditionCodec().fit(y, groups)


def test_cells_are_the_observed_combinations():
    codec = fitted()
    assert codec.n_cells == 3
    assert codec.names == ["y=no, group_0=f", "y=no, group_0=m", "y=yes, group_0=f"]
    assert codec.counts.tolist() == [2, 2, 2]
    assert codec.class_of_cell.tolist() == [0, 0, 1]
    assert codec.attributes.tolist() == [[0, 0], [0, 1], [1, 0]]


def test_encode_and_decode_are_inverse():
    codec = fitted()
    c = codec.encode(Y, SEX)
    y, groups = codec.decode(c)
    assert y == Y and list(groups) == SEX


@pytest.mark.parametrize(
    "y",
    [
        np.array([0, 1, 1]),
        np.array(["a", "b", "b"]),
        np.array([1.0, 2.0, 2.0], dtype=np.float32),
        pd.Series(["a", "b", "b"], name="label", dtype="string"),
        pd.Series(pd.Categorical(["a", "b", "b"], categories=["b", "a", "c"])),
        pd.Series([True, False, False]),
        pd.Series(pd.array([1, 2, 2], dtype="Int64")),
        [1, 0, 0],
    ],
    ids=lambda y: str(getattr(y, "dtype", "list")),
)
def test_labels_come_back_as_they_went_in(y):
    codec = ConditionCodec().fit(y)
    again, _ = codec.decode(codec.encode(y))
    if isinstance(y, pd.Series):
        pd.testing.assert_series_equal(again, y)
    else:
        assert type(again) is type(y) and list(again) == list(y)
        assert getattr(again, "dtype", None) == getattr(y, "dtype", None)


def test_what_is_not_asked_is_drawn_at_its_frequency():
    codec = ConditionCodec().fit(["a"] * 4, ["f", "f", "f", "m"])
    c = codec.encode("a", n=4000, rng=np.random.default_rng(0))
    share = (c == 0).mean()
    assert abs(share - 0.75) < 4 * (0.75 * 0.25 / 4000) ** 0.5  # four standard errors


def test_group_columns_are_matched_by_name():
    groups = pd.DataFrame({"sex": ["f", "m"], "race": ["x", "y"]})
    codec = ConditionCodec().fit([0, 1], groups)
    assert codec.encode([0, 1], groups[["race", "sex"]]).tolist() == [0, 1]
    _, again = codec.decode(np.array([0, 1]))
    pd.testing.assert_frame_equal(again, groups)


def test_unknown_labels_groups_and_combinations_are_named():
    codec = fitted()
    with pytest.raises(ConditionError, match="y must be one that fit saw .*given 'maybe'"):
        codec.encode(["maybe"])
    with pytest.raises(ConditionError, match="group_0 must be one that fit saw"):
        codec.encode(["no"], ["x"])
    with pytest.raises(ConditionError, match="y=yes, group_0=m"):
        codec.encode(["yes"], ["m"])


def test_thin_cells_pool_within_their_class_only():
    codec = ConditionCodec().fit(["a"] * 5 + ["b"], ["f"] * 4 + ["m", "m"])
    with pytest.warns(ThinCellWarning) as told:
        pool = codec.pool(3, where="here")
    assert pool.members(0) == (0,) and set(pool.members(1)) == {0, 1} and pool.members(2) == (2,)
    assert pool.pooled.tolist() == [False, True, False]
    assert "y=a, group_0=m" in str(told[0].message) and "y=b" in str(told[1].message)


def test_continuous_labels_become_bins():
    y = np.linspace(0.5, 100.5, 201)
    codec = ConditionCodec().fit(y)
    assert codec.is_binned and codec.n_cells == 10
    c = codec.encode(y)
    again, _ = codec.decode(c, np.random.default_rng(0))
    assert codec.encode(again).tolist() == c.tolist()


@pytest.mark.parametrize(
    ("y", "says"),
    [
        ([1.0, np.nan], "y must not be missing"),
        (["a", None], "missing in row 1"),
        (np.ones((2, 2)), "one-dimensional"),
        ([1.0, np.inf], "infinity"),
        ([f"u{i}" for i in range(1001)], "at most 1,000 labels"),
    ],
)
def test_bad_labels_get_a_sentence(y, says):
    with pytest.raises(DataError, match=says):
        ConditionCodec().fit(y)


def test_missing_groups_get_a_sentence():
    with pytest.raises(DataError, match="every row must have a group"):
        ConditionCodec().fit([0, 1], ["f", None])


def test_lengths_must_agree():
    with pytest.raises(DataError, match="as many rows"):
        ConditionCodec().fit([0, 1], ["f"])


def test_unlabelled_rows_make_cells_that_are_never_drawn():
    y = pd.Series(["a", None, "b", "a", None])
    codec = ConditionCodec().fit(y, np.array([0, 0, 1, 0, 1]), unlabelled=True)
    c = codec.pop_codes()
    assert codec.is_labelled.tolist() == [True, True, False, False]
    assert codec.class_of_cell.tolist() == [0, 1, -1, -1]
    assert c.tolist() == [0, 2, 1, 0, 3] and codec.counts.tolist() == [2, 1, 1, 1]
    assert codec.names[2] == "y=(unknown), group_0=0"
    drawn = codec.encode(None, None, n=500, rng=np.random.default_rng(0))
    assert set(drawn.tolist()) == {0, 1}
    assert codec.encode(None, [1] * 3).tolist() == [1, 1, 1]
    with pytest.raises(DataError, match="at least one label"):
        ConditionCodec().fit([None, None], unlabelled=True)
    with pytest.raises(DataError, match="must not be missing"):
        ConditionCodec().fit(y)
    numbers = np.array([0.5, np.nan, 1.5, 2.5, 9.5])
    assert ConditionCodec().fit(numbers, unlabelled=True).is_labelled.sum() >= 3


def test_cells_that_weigh_nothing_are_drawn_by_their_rows():
    y, groups = np.repeat([0, 1], [6, 8]), np.array(["a"] * 6 + ["a", "b", "b", "b"] * 2)
    codec = ConditionCodec().fit(y, groups, weights=np.where(y == 0, 1.0, 0.0))
    rng = np.random.default_rng(0)
    assert (codec.decode(codec.encode(None, n=50, rng=rng))[0] == 0).all()
    asked = codec.decode(codec.encode(np.ones(400), rng=rng))[1]
    assert 0.65 < (np.asarray(asked) == "b").mean() < 0.85
