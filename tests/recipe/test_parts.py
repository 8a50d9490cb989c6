"""Splitting comes first: shares by hand count, nothing in both parts, thinning in training only."""

import numpy as np
import pandas as pd
import pytest

from augsynth.core.errors import DataError
from augsynth.recipe.parts import cell_names, divide, subsample
from augsynth.recipe.schema import DataSection


def table(n=100):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": range(n),
            "x": rng.normal(size=n),
            "sex": ["f", "m"] * (n // 2),
            "y": ["a"] * (n - 20) + ["b"] * 20,
        }
    )


def section(**changes):
    return DataSection(path="t.csv", target="y", **changes)


def test_the_split_keeps_the_shares_and_nothing_is_in_both_parts():
    parts = divide(table(), section(test_size=0.25), seed=0)
    assert parts.y_test.value_counts().to_dict() == {"a": 20, "b": 5}
    assert parts.y.value_counts().to_dict() == {"a": 60, "b": 15}
    assert set(parts.X["id"]) | set(parts.X_test["id"]) == set(range(100))
    assert not set(parts.X["id"]) & set(parts.X_test["id"])
    again, other = divide(table(), section(), seed=0), divide(table(), section(), seed=1)
    assert again.X["id"].tolist() == parts.X["id"].tolist() != other.X["id"].tolist()


def test_thinning_takes_training_rows_only_and_the_split_stays():
    full, thin = divide(table(), section(), seed=0), divide(table(), section(thin={"b": 4}), seed=0)
    assert thin.y.value_counts().to_dict() == {"a": 60, "b": 4}
    assert thin.X_test.equals(full.X_test)
    assert set(thin.X["id"]) < set(full.X["id"])
    assert "b was thinned from 15 to 4" in thin.notes[0]


def test_a_split_column_makes_the_split_and_is_no_feature():
    frame = table().assign(split=["train"] * 50 + ["test"] * 30 + ["train"] * 20)
    parts = divide(frame, section(), seed=0)
    assert len(parts.y) == 70 and parts.X_test["id"].tolist() == list(range(50, 80))
    assert "split" not in parts.X and "'split'" in parts.notes[0]
    named = frame.rename(columns={"split": "part"})
    assert divide(named, section(split="part"), seed=0).X.shape == parts.X.shape
    with pytest.raises(DataError, match="train or test; given 'sometimes'"):
        divide(named.replace("test", "sometimes"), section(split="part"), seed=0)


def test_groups_are_columns_or_bands():
    parts = divide(table(), section(groups=["sex", "id"], bands={"id": [10, 90]}), seed=0)
    assert list(parts.groups) == ["sex", "id band"]
    by_hand = np.select([parts.X["id"] < 10, parts.X["id"] < 90], ["below 10", "10 to 90"], "90 or more")
    assert parts.groups["id band"].tolist() == by_hand.tolist()
    assert parts.X["id"].dtype.kind == "i"  # the number stays in the table
    assert cell_names(parts.y, parts.groups[["sex"]]).iloc[0] == f"{parts.y[0]} / {parts.X['sex'][0]}"


@pytest.mark.parametrize(
    ("frame", "changes", "told"),
    [
        (table(), {"drop": ["idd"]}, "Did you mean 'id'"),
        (table().assign(y=lambda f: f["y"].where(f["x"] > -1)), {}, "every row must have a label"),
        (table().assign(y=lambda f: f["x"]), {}, "labels must be classes"),
        (table().assign(y="a"), {}, "at least two classes"),
        (table().assign(y=["a"] * 99 + ["b"]), {}, "at least 2 training rows"),
        (table(), {"thin": {"c": 5}}, "labels must be in the target; given 'c'"),
        (table(), {"groups": ["sex"], "drop": ["sex"]}, "groups must stay"),
        (table()[["sex", "y"]], {"groups": [], "drop": ["sex"]}, "no column is left"),
        (table(), {"groups": ["sex"], "bands": {"sex": [1.0]}}, "must hold numbers"),
    ],
)
def test_tables_that_cannot_be_used(frame, changes, told):
    with pytest.raises(DataError, match=told):
        divide(frame, section(**changes), seed=0)


def test_a_subsample_keeps_rare_classes():
    y = pd.Series(["common"] * 9000 + ["rare"] * 60 + ["few"] * 10)
    chosen = y.iloc[subsample(y, 1000, seed=0)].value_counts()
    assert chosen.to_dict() == {"common": round(1000 * 9000 / 9070), "rare": 50, "few": 10}
    assert len(subsample(y, 10**6, seed=0)) == len(y)
