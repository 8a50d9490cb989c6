"""Edits of table rows: only what is edited changes, and it changes as it says."""

import numpy as np
import pandas as pd
import pytest

from augsynth.core.errors import DataError, ParameterError
from augsynth.perturb import CategoryFlip, Compose, Missingness, ScaledJitter, ValueSwap

RNG = np.random.default_rng(0)
X = pd.DataFrame(
    {
        "when": pd.to_datetime(RNG.integers(0, 2**60, 200)),  # nanoseconds that no float holds exactly
        "x": RNG.normal(size=200),
        "id": RNG.integers(2**60, 2**62, 200),
        "name": RNG.choice(["a", "b", "c"], 200),
        "flag": RNG.random(200) < 0.5,
        "constant": 7,
    }
)


@pytest.mark.parametrize(
    ("edit", "column"),
    [
        (ScaledJitter(columns=["x"]), "x"),
        (CategoryFlip(0.5, columns=["name"]), "name"),
        (ValueSwap(0.5, columns=["flag"]), "flag"),
        (Missingness(0.5, columns=["x"]), "x"),
    ],
)
def test_other_columns_stay_to_the_last_bit(edit, column):
    other = X.assign(constant=np.arange(200), when=X["when"] + pd.Timedelta(1, "ns"))
    if column != "name":
        other["name"] = "a name that fit never saw"
    new = edit.fit(X)(other, random_state=0)
    assert not new[column].equals(other[column])
    pd.testing.assert_frame_equal(new.drop(columns=column), other.drop(columns=column))
    assert new.dtypes.equals(other.dtypes)


def test_cells_that_are_not_hit_stay_to_the_last_bit():
    swap = ValueSwap(0.1).fit(X)
    params = swap.draw(X, np.random.default_rng(1))
    new = swap.apply(X, params)
    for j, name in enumerate(["when", "x", "id", "name", "flag"]):
        hit = params["hits"][:, j]
        assert new[name][~hit].equals(X[name][~hit]) and not new[name][hit].equals(X[name][hit])


def test_nothing_to_edit_changes_nothing():
    words = X[["name"]]
    assert ScaledJitter().fit(words)(words, random_state=0).equals(words)
    steps = Compose([ScaledJitter(), CategoryFlip(1.0)]).fit(words)
    assert set(steps(words, random_state=0)["name"]) <= {"a", "b", "c"}


def test_bad_columns_get_a_sentence():
    with pytest.raises(ParameterError, match="columns must be columns of X; given 'z'"):
        ScaledJitter(columns=["z"]).fit(X)
    with pytest.raises(ParameterError, match="'flag' must have a dtype that can be missing"):
        Missingness(columns=["flag"]).fit(X)
    with pytest.raises(DataError, match="unseen 'z'"):
        CategoryFlip(columns=["name"]).fit(X)(X.assign(name="z"), random_state=0)
