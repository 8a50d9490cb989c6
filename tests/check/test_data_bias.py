"""Data bias: hand counts, the level of its tests, and what it says of hard tables."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from augsynth.check.bias.data import data_bias
from augsynth.check.bias.data_shift import Pairing, _changes
from augsynth.check.bias.data_tables import representation, rows_needed, wilson
from augsynth.check.bias.levels import crossed, levels_of
from augsynth.core.errors import DataError, InputTypeError, ParameterError


def table(n=600, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"sex": rng.choice(["f", "m"], n, p=[0.3, 0.7]), "old": rng.random(n) < 0.5})
    frame["income"] = np.where(
        rng.random(n) < np.where(frame["sex"] == "f", 0.3, 0.05), np.nan, rng.random(n)
    )
    y = (rng.random(n) < np.where(frame["sex"] == "f", 0.1, 0.4)).astype(int)
    return frame, y


def test_rows_rates_and_intersections_by_hand():
    X, y = table()
    found = data_bias(X, y, group_columns=["sex", "old"])
    groups = found.groups.set_index(["attribute", "group"])
    assert groups.loc[("sex", "f"), "rows"] == (X["sex"] == "f").sum()
    inside = ((X["sex"] == "m") & X["old"]).to_numpy()
    assert groups.loc[("sex x old", "m / True"), "rows"] == inside.sum()
    rates = found.rates.set_index(["attribute", "group"])
    assert rates.loc[("sex x old", "m / True"), "rate"] == pytest.approx(y[inside].mean())
    assert rates.loc[("all rows", "all"), "hits"] == y.sum() and (rates["label"] == "1").all()
    assert found.gaps["sex", "1"].shown and not found.gaps["old", "1"].shown
    assert "differs by" in found.summary() and "<DataBias" in repr(found)
    json.dumps(found.to_dict())


def test_wilson_and_its_inverse():
    low, high = wilson([15, 0, 3], [50, 10, 0])
    assert (low[0], high[0]) == pytest.approx(stats.binomtest(15, 50).proportion_ci(method="wilson"))
    assert low[1] == 0 and np.isnan(low[2])
    for rate in (0.02, 0.3, 0.5):
        n = float(rows_needed(rate, 0.12))
        widths = [float(np.subtract(*wilson(rate * k, k)[::-1])) for k in (n, n - 1)]
        assert widths[0] <= 0.12 < widths[1]


def test_intervals_of_all_groups_cover_together():
    """Simultaneous 95 % over 8 groups of 60 rows: in 400 runs, at least 92.5 % (s.e. 1.1 points)."""
    rng = np.random.default_rng(0)
    rates = np.linspace(0.2, 0.6, 8)
    hits = rng.binomial(60, rates, size=(400, 8))
    low, high = wilson(hits, 60, 0.05, 8)
    assert ((low <= rates) & (rates <= high)).all(axis=1).mean() > 0.925


def test_representation_against_known_shares():
    X = pd.DataFrame({"sex": ["f"] * 30 + ["m"] * 70})
    found = data_bias(X, group_columns="sex", reference={"f": 0.5, "m": 0.5})
    groups = found.groups.set_index("group")
    assert groups["ratio"].tolist() == pytest.approx([0.6, 1.4])
    assert groups["standardised"].tolist() == pytest.approx([-4.0, 4.0])
    assert found.fit["sex"] == pytest.approx(stats.chisquare([30, 70], [50, 50]).pvalue)
    assert "too few of f" in found.summary()
    absent = data_bias(X, group_columns=["sex"], reference={"sex": {"f": 0.3, "m": 0.6, "x": 0.1}})
    assert absent.groups.set_index("group").loc["x", ["rows", "ratio"]].tolist() == [0, 0.0]


def test_the_fit_holds_its_level_also_with_few_rows_and_against_a_table():
    """p <= .05 in at most 7.5 % of 200 null runs each (binomial s.e. 1.5 points)."""
    rng = np.random.default_rng(1)
    shares = {"a": 0.9, "b": 0.07, "c": 0.03}
    p = []
    for seed in range(200):
        drawn = levels_of(pd.Series(rng.choice(list(shares), 60, p=list(shares.values()))))
        counted = rng.multinomial(500, list(shares.values())) / 500
        table = dict(zip(shares, counted, strict=True)), 500
        p.append([representation(drawn, *of, alpha=0.05, seed=seed)[1] for of in ((shares, None), table)])
    assert (np.array(p) <= 0.05).mean(axis=0).max() <= 0.075


def test_missing_cells_by_group():
    X, y = table()
    found = data_bias(X, y, group_columns=["sex", "old"])
    missing = found.missing.set_index(["attribute", "group"])
    share = X["income"].isna()[X["sex"] == "f"].mean()
    assert missing.loc[("sex", "f"), "share"] == pytest.approx(share)
    assert missing.loc[("sex", "f"), "p_adjusted"] < 1e-6 < missing.loc[("old", "True"), "p_adjusted"]
    assert "Missing more often: income in f" in found.summary()


def test_label_shift_between_two_tables():
    X, y = table(3000)
    more = X[(y == 1) & (X["sex"] == "f")]
    bigger, labels = pd.concat([X, more, more]), np.append(y, np.ones(2 * len(more), dtype=int))
    found = data_bias(X, y, group_columns=["sex"], other=(bigger, labels))
    shift = found.shift.set_index("group")
    assert shift.loc["f", "rate_there"] == pytest.approx(labels[bigger["sex"] == "f"].mean())
    assert shift.loc["f", "low"] > 0 and shift.loc["f", "p_adjusted"] < 1e-6
    assert shift.loc["m", "low"] <= 0 <= shift.loc["m", "high"]
    assert "differs most for f" in found.summary()


def enlarged(n=400, m=300, seed=3):
    X, y = table(n, seed)
    rng = np.random.default_rng(seed)
    new = pd.DataFrame(
        {"sex": rng.choice(["f", "m"], m), "old": rng.random(m) < 0.5, "income": rng.random(m)}
    )
    return X, y, pd.concat([X, new], ignore_index=True), np.append(y, rng.random(m) < 0.5).astype(int)


def test_an_enlarged_table_moves_by_its_new_rows_alone():
    X, y, both, labels = enlarged()
    found = data_bias(X, y, group_columns=["sex"], other=(both, labels))
    alone = data_bias(X, y, group_columns=["sex"], other=(both[400:], labels[400:]))
    assert found.settings["enlarged"] and found.settings["new_rows"] == 300
    assert not alone.settings["enlarged"]
    for name, key in (("shift", "rate"), ("share_shift", "share")):
        whole, part = found.to_frame(name), alone.to_frame(name)
        rows = both["sex"].value_counts()
        n, m = (
            (rows_of["sex"].value_counts().reindex(rows.index) for rows_of in (X, both[400:]))
            if name == "shift"
            else (pd.Series(k, rows.index) for k in (400, 300))
        )
        own = whole["attribute"] == "sex"
        factor = (m / (n + m)).reindex(whole[own]["group"]).to_numpy()
        for column in ("difference", "low", "high"):
            np.testing.assert_allclose(whole[own][column], factor * part[own][column])
        np.testing.assert_allclose(whole["p_adjusted"], part["p_adjusted"])
        np.testing.assert_allclose(whole[f"{key}_here"], part[f"{key}_here"])
    assert "the first one and 300 new rows (42.9% of it)" in found.summary()
    assert "300 other rows, independent of the first" in alone.summary()
    json.dumps(found.to_dict())


def test_an_enlarged_table_is_recognised_by_its_values():
    X, y, both, labels = enlarged()
    sex, more = X["sex"], both["sex"]

    def taken(first, second):
        return data_bias(*first, other=second[:2], **second[2]).settings["enlarged"]

    named = {"group_columns": ["sex"]}
    odd = both.assign(income=both["income"].astype("float32"), sex=pd.Categorical(more, ["m", "f", "x"]))
    assert taken((X, y), (odd, labels.astype(float), named))  # types do not count
    assert taken((X, y), (X, y, named))
    assert taken((X, y), (both[::-1], labels[::-1], named))
    assert taken((X, y), (both[["income", "old", "sex"]].assign(made=np.arange(700) > 399), labels, named))
    inf = both["income"].where(np.arange(700) != 7, np.inf)
    assert taken((X.assign(income=inf[:400]), y), (both.assign(income=inf), labels, named))
    assert not taken((X, y), (both[:300], labels[:300], named))
    assert not taken((X, y), (both, np.append(1 - labels[:1], labels[1:]), named))
    assert not taken((X, y), (both.assign(income=both["income"].fillna(0.0)), labels, named))
    array = np.arange(400.0)[:, None]
    same = data_bias(array, y, sensitive_features=sex, other=(np.arange(700.0)[:, None], labels, more))
    assert same.settings["enlarged"]
    swapped = more.replace({"f": "m", "m": "f"})
    other = data_bias(array, y, sensitive_features=sex, other=(np.arange(700.0)[:, None], labels, swapped))
    assert not other.settings["enlarged"]


def test_another_table_is_not_taken_for_the_first():
    """Numbers of customers, dates and seconds differ by little of their size, yet they differ."""
    y = np.tile([0, 1], 30)
    groups = np.repeat(["a", "b"], 30)
    number = np.arange(60)
    for here, there in (
        (10_000_000 + number, 10_000_060 + number),
        (1.7e9 + 10 * number, 1.7e9 + 3600 + 10 * number),
        (2**60 + number, 2**60 + number + 1),
        (pd.Timestamp("2024-01-01") + pd.to_timedelta(number, "s"), pd.Timestamp("2024-01-02") + pd.to_timedelta(number, "s")),
        ([f"k{k}" for k in number], [f"m{k}" for k in number]),
    ):  # fmt: skip
        found = data_bias(
            pd.DataFrame({"id": here}), y, sensitive_features=groups,
            other=(pd.DataFrame({"id": there}), y, groups),
        )  # fmt: skip
        assert not found.settings["enlarged"] and found.settings["shared"] <= 59
        assert (found.shift["high"] > 0).all()


def test_no_rows_and_an_unknown_way_of_drawing():
    X, y = table(40)
    with pytest.raises(DataError, match="X must have rows"):
        data_bias(X[:0], y[:0], group_columns=["sex"])
    with pytest.raises(ParameterError, match="drawn must be"):
        data_bias(X, y, group_columns=["sex"], other=(X, y), drawn="x")


def test_small_tables_of_few_kinds_of_rows_are_in_every_large_one():
    rng = np.random.default_rng(1)
    X, X_2 = (pd.DataFrame({"sex": rng.choice(["f", "m"], n)}) for n in (40, 4000))
    found = data_bias(X, rng.integers(0, 2, 40), group_columns=["sex"], other=(X_2, rng.integers(0, 2, 4000)))
    assert not found.settings["enlarged"] and found.settings["shared"] == 0
    assert "cell by cell" not in found.summary()


def test_tables_that_share_a_part_of_their_rows_are_told():
    X, y, both, labels = enlarged()
    found = data_bias(X, y, group_columns=["sex"], other=(both[100:], labels[100:]))
    assert not found.settings["enlarged"] and 300 <= found.settings["shared"] < 400
    assert f"holds {found.settings['shared']} of the first table's 400 rows" in found.summary()
    lists = pd.Series([[k, k] for k in range(700)])
    odd = data_bias(X.assign(a=lists[:400]), y, group_columns=["sex"], other=(both.assign(a=lists), labels))
    assert odd.settings["enlarged"]


def test_a_group_without_new_rows_has_not_moved():
    X, y, both, labels = enlarged()
    kept = (both["sex"] == "f") | (np.arange(700) < 400)
    found = data_bias(X, y, group_columns=["sex"], other=(both[kept], labels[kept]))
    row = found.shift.set_index("group").loc["m"]
    assert (row[["difference", "low", "high"]] == 0).all() and row["p_adjusted"] == 1
    same = data_bias(X, y, group_columns=["sex"], other=(X, y))
    assert (same.shift[["low", "high"]] == 0).all(axis=None) and "is the first one" in same.summary()
    assert (same.share_shift[["low", "high"]] == 0).all(axis=None)


@pytest.mark.parametrize("drawn", [True, False])
@pytest.mark.parametrize("ratio", [0.5, 2])
def test_changes_by_enlarging_are_covered(drawn, ratio):
    """1,000 runs, 3 groups: 93 to 98 % hold together (s.e. .7 points), and what has not moved is seldom said to."""
    rng = np.random.default_rng(5)
    n, truth, runs = np.array([400, 100, 60]), np.array([0.3, 0.1, 0.5]), 1000
    m, wanted = (n * ratio).astype(int), np.array([0.3, 0.4, 0.5])
    a = rng.binomial(n, truth, (runs, 3))
    x = rng.binomial(m, wanted, (runs, 3)) if drawn else np.tile(np.round(m * wanted).astype(int), (runs, 1))
    sizes = [np.tile(each, runs) for each in (n, n + m)]
    told = _changes((a.ravel(), (a + x).ravel()), sizes, 0.05, Pairing(True, drawn), 3, "rate")
    change = (wanted - truth) * m / (n + m)
    low, high = (told[name].to_numpy().reshape(runs, 3) for name in ("low", "high"))
    assert 0.93 <= ((low <= change) & (change <= high)).all(axis=1).mean() <= 0.98
    unmoved = change == 0
    assert ((low > 0) | (high < 0))[:, unmoved].mean() <= 0.03  # simultaneous: 1.7 % each


def test_a_numeric_target_has_means():
    X, _ = table()
    y = np.where(X["sex"] == "f", 1.0, 3.0) + np.random.default_rng(0).normal(size=len(X))
    found = data_bias(X, y, group_columns=["sex"])
    assert found.gaps["sex", "mean"].gap == pytest.approx(2.0, abs=0.4)
    assert found.rates.set_index("group").loc["f", "mean"] == pytest.approx(y[X["sex"] == "f"].mean())


def test_hard_tables():
    X, y = table(200)
    odd = X.assign(
        age=np.arange(200.0),
        day=pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(200), unit="D"),
        kind=pd.Categorical(["a"] * 199 + [None], ["a", "b"]),
        whole=pd.array([1, None] * 100, dtype="Int64"),
    ).set_index(np.arange(200)[::-1])
    found = data_bias(odd, y, group_columns=["age", "day", "kind", "whole"])
    assert set(found.groups[found.groups["attribute"] == "kind"]["group"]) == {"a", "missing"}
    assert found.groups[found.groups["attribute"] == "age"]["rows"].sum() == 200
    assert found.empty
    one = data_bias(X, np.zeros(200), sensitive_features=["g"] * 200)
    assert np.isnan(one.gaps["group", "0"].low) or not one.gaps["group", "0"].shown
    many = data_bias(X, y, sensitive_features=[f"g{k}" for k in range(200)])
    assert len(many.groups) == 200 and str(many)
    words = data_bias(X, np.where(y == 1, "yes", "no"), sensitive_features=X["sex"], pos_label="no")
    assert set(words.rates["label"]) == {"no"}
    three = data_bias(X, np.arange(200) % 3, sensitive_features=X["sex"])
    assert set(three.rates["label"]) == {"0", "1", "2"}


def test_levels_of_numbers_and_crossing():
    numbers = levels_of(pd.Series(np.arange(100.0), name="age"))
    assert numbers.conditions[0] == "age < 24" and numbers.counts.sum() == 100 and len(numbers.labels) == 4
    assert crossed(numbers, numbers).counts.tolist() == numbers.counts.tolist()
    skewed = levels_of(pd.Series([0.0] * 90 + list(range(1, 20)), name="gain"))
    assert len(skewed.labels) >= 1 and skewed.codes.max() < len(skewed.labels)
    few = levels_of(pd.Series(list("aaabbc")), most=2)
    assert few.labels == ["a", "(other)"] and few.counts.tolist() == [3, 3]


def test_clear_sentences():
    X, y = table(50)
    with pytest.raises(DataError, match="groups must be named"):
        data_bias(X, y)
    with pytest.raises(DataError, match="must name columns of X"):
        data_bias(X, y, group_columns=["race"])
    with pytest.raises(DataError, match="one label a row"):
        data_bias(X, y[:9], group_columns=["sex"])
    with pytest.raises(DataError, match="must name groups of sex"):
        data_bias(X, y, group_columns=["sex"], reference={"women": 1.0})
    with pytest.raises(DataError, match="reference must name 'sex'"):
        data_bias(X, y, group_columns=["sex"], reference={"gender": {"f": 1.0}})
    with pytest.raises(ParameterError, match="width must be"):
        data_bias(X, y, group_columns=["sex"], width=0)
    with pytest.raises(InputTypeError, match="must be \\(X, y\\)"):
        data_bias(X, y, group_columns=["sex"], other=X)
    with pytest.raises(DataError, match="one of the classes"):
        data_bias(X, y, group_columns=["sex"], other=(X, y + 1))


def test_rare_groups_are_judged_exactly():
    levels = levels_of(pd.Series(["a"] * 995 + ["b"] * 5, name="group"))
    table, _ = representation(levels, {"a": 0.999, "b": 0.001}, None, alpha=0.05, seed=0)
    exact = stats.binomtest(5, 1000, 0.001).pvalue
    assert table["p_adjusted"].to_numpy() == pytest.approx([2 * exact] * 2, rel=1e-6)
    counted, _ = representation(levels, {"a": 0.999, "b": 0.001}, 1000, alpha=0.05, seed=0)
    fisher = stats.fisher_exact([[5, 995], [1, 999]]).pvalue
    assert counted["p_adjusted"].to_numpy() == pytest.approx([min(1.0, 2 * fisher)] * 2)
