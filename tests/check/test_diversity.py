"""Diversity: planted support sizes, modes and spreads are found; equal samples are left in peace."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from augsynth.check.diversity import CHECKS, effective_number, support_size
from augsynth.check.diversity.clusters import modes_of
from augsynth.check.diversity.duplicates import near_duplicates, near_radius
from augsynth.check.diversity.modes import ModesCheck
from augsynth.check.diversity.support import SupportSizeCheck, from_pairs
from augsynth.check.diversity.swaps import exchange
from augsynth.check.diversity.variety import VarietyCheck
from augsynth.check.gathering import gather
from augsynth.core.errors import DataError
from augsynth.encode.distance import MixedDistance
from augsynth.encode.layout import Block, Layout

NUMBERS = ["a", "b", "far"]


def world(n, rng):
    """Return rows with two groups, and 5 % of them in a mode of their own."""
    far = rng.random(n) < 0.05
    X = pd.DataFrame(
        {
            "sex": rng.choice(["f", "m"], n, p=[0.4, 0.6]),
            "a": rng.normal(size=n),
            "b": rng.normal(size=n),
            "far": np.where(far, 9.0, 0.0) + rng.normal(size=n),
            "kind": np.where(far, "odd", rng.choice(["p", "q", "r"], n)),
        }
    )
    return X, (X["a"] + rng.normal(size=n) > 0).astype(int).to_numpy()


def evidence(n, seed, change=None):
    rng = np.random.default_rng(seed)
    train, made, held = (world(n, rng) for _ in range(3))
    if change is not None:
        made = change(*made, rng)
    return gather(*train, *made, holdout=held, group_columns=["sex"], random_state=seed)


def resampled(size):
    def change(X, y, rng):
        few, labels = world(size, rng)
        chosen = rng.integers(size, size=len(X))
        made = few.iloc[chosen].reset_index(drop=True)
        made[NUMBERS] += 1e-4 * rng.normal(size=(len(X), 3))
        return made, labels[chosen]

    return change


def found(kind, n, seed, change=None):
    return kind().run(evidence(n, seed, change), np.random.default_rng(seed))


@pytest.mark.parametrize("size", [200, 1000, 5000])
def test_support_of_planted_mode_loss(size):
    # 1,500 draws from 5,000 hold 225 pairs: a standard error of 7 %
    finding = found(SupportSizeCheck, 1500, size, resampled(size))
    assert size / 1.5 < finding.value < 1.5 * size
    assert finding.low < size * 1.03 and finding.high > size / 1.03
    assert finding.p_value < 1e-9
    pairs = finding.details["pairs"]
    assert (pairs["distance"] <= finding.details["radius"]).all() and (pairs["first"] < pairs["second"]).all()


def test_pairs_are_row_numbers_of_the_new_table():
    def change(X, y, rng):
        return pd.concat([X.iloc[:780], X.iloc[3:23]], ignore_index=True), np.r_[y[:780], y[3:23]]

    given = evidence(800, 1, change)
    pairs = SupportSizeCheck().run(given, np.random.default_rng(0)).details["pairs"]
    assert len(pairs) >= 10  # some cells hold fewer real rows, so that not all new ones are looked at
    assert (pairs["second"] - pairs["first"] == 777).all() and pairs["first"].between(3, 22).all()


def test_intervals_of_the_support_cover():
    # 300 samples of 100 rows from 400: 12.4 pairs expected; exact intervals cover in 95 % or more
    rng = np.random.default_rng(0)
    layout = Layout((Block("a", n_levels=400),))
    covered = []
    for _ in range(300):
        z = rng.integers(400, size=(100, 1)).astype(float)
        distance = MixedDistance.fit(z, layout, penalty=1.0)
        estimate = from_pairs(near_duplicates(z, distance, 0.0, rng).count, 100)
        covered.append(estimate.low <= 400 <= estimate.high)
    assert np.mean(covered) >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 300)


def test_uneven_rows_give_the_collision_entropy():
    rng = np.random.default_rng(3)
    p = np.r_[np.full(10, 0.05), np.full(500, 0.001)]
    points = rng.normal(size=(510, 4))
    a = points[rng.choice(510, 2000, p=p)]
    estimate = support_size(a, radius=1e-9)
    assert estimate.low < 1 / (p**2).sum() < estimate.high
    assert estimate.high < 1.5 * estimate.value


def test_birthdays():
    assert from_pairs(1, 23).value == pytest.approx(23 * 11 / (stats.chi2.ppf(0.5, 4) / 2))
    assert from_pairs(0, 23).high == np.inf
    # 23 people: a shared birthday is as likely as not
    assert from_pairs(10_000, 2701).half_batch == pytest.approx(23, abs=0.6)


def test_radius_gives_real_batches_few_pairs():
    # expected 0.05 pairs a batch: 100 batches hold 5; more than 20 or none by a factor of a thousand would be wrong
    rng = np.random.default_rng(5)
    layout = Layout(tuple(Block(str(j)) for j in range(4)))
    z = rng.normal(size=(2000, 4))
    distance = MixedDistance.fit(z, layout)
    radius = near_radius(z, distance, 300)
    counts = [near_duplicates(rng.normal(size=(300, 4)), distance, radius, rng).count for _ in range(100)]
    assert 0 < sum(counts) <= 20


def test_coarse_tables_are_judged_by_their_own_ties():
    rng = np.random.default_rng(6)

    def draw(n, m=3):
        return pd.DataFrame({c: rng.integers(m, size=n).astype(str) for c in "abc"})

    real = gather(draw(600), None, draw(600), None, holdout=(draw(600), None))
    less = gather(draw(600), None, draw(600, 2), None, holdout=(draw(600), None))
    same, few = (SupportSizeCheck().run(each, np.random.default_rng(0)) for each in (real, less))
    assert same.low < 27 < same.high and same.p_value > 0.01
    assert few.low < 8 < few.high and few.p_value < 1e-9


def test_a_dropped_mode_is_named():
    def dropped(X, y, rng):
        keep = (X["far"] < 4.5).to_numpy()
        return X[keep], y[keep]

    finding = found(ModesCheck, 1200, 2, dropped)
    assert finding.p_value < 1e-6
    lost = finding.details["modes"].iloc[0]
    assert lost["state"] == "missing" and ("far high" in lost["typical"] or "kind = odd" in lost["typical"])
    assert "missing" in finding.sentence
    assert finding.details["by_groups"]["missing"].sum() > 0


def test_a_reweighted_mode_is_found():
    def doubled(X, y, rng):
        more = [world(1200, rng) for _ in range(2)]
        both, labels = (
            pd.concat([m[0] for m in more], ignore_index=True),
            np.concatenate([m[1] for m in more]),
        )
        far = np.flatnonzero(both["far"] > 4.5)
        return pd.concat([X.iloc[: 1200 - len(far)], both.iloc[far]]), np.r_[
            y[: 1200 - len(far)], labels[far]
        ]

    assert found(ModesCheck, 1200, 3, doubled).p_value < 0.001


def test_shrunken_spread_is_found_in_its_column():
    def shrunk(X, y, rng):
        return X.assign(b=0.8 * X["b"]), y

    finding = found(VarietyCheck, 1500, 4, shrunk)
    assert finding.p_value < 1e-4
    worst = finding.details["columns"].iloc[0]
    assert worst["column"] == "b" and worst["ratio"] == pytest.approx(0.8, abs=0.06)
    assert finding.value < 1 and finding.details["by_cells"]["spread"].mean() < 1


def test_spread_of_equal_samples_in_closed_form():
    finding = found(VarietyCheck, 1500, 5)
    assert finding.low < 1 < finding.high
    assert finding.details["by_cells"]["volume"].between(0.85, 1.15).all()
    cells = finding.details["by_cells"]
    assert np.allclose(cells["effective"], cells["effective_real"], rtol=0.25)


def test_equal_samples_are_left_in_peace():
    # 3 checks x 8 samples at a level of 1 %: more than 3 alarms has chance < 0.001
    p = [found(kind, 200, seed).p_value for seed in range(8) for kind in CHECKS]
    assert np.sum(np.array(p) <= 0.01) <= 3


def test_swaps_are_exact_and_their_bound_holds():
    # all 2^8 swaps of eight pairs: the chance of the largest sum is 1 / 256
    result = exchange(np.ones((8, 1)), 20_000, np.random.default_rng(0))
    share = np.mean(result.swapped[:, 0] >= result.z[0] - 1e-9)
    assert share == pytest.approx(1 / 256, abs=4 * np.sqrt(1 / 256 / 20_000))
    assert np.exp(-0.5 * result.z[0] ** 2) >= 1 / 256
    assert exchange(np.zeros((5, 2)), 99, np.random.default_rng(0)).p_greatest() == 1.0


def test_effective_number_counts_clusters():
    centres = 100.0 * np.eye(5)
    assert effective_number(np.repeat(centres, 7, axis=0), 1.0) == pytest.approx(5)
    assert effective_number(np.zeros((4, 2))) == pytest.approx(1)


def test_bad_input_is_told():
    with pytest.raises(DataError, match="radius"):
        support_size(np.zeros((5, 2)))
    with pytest.raises(DataError, match="same columns"):
        support_size(np.zeros((5, 2)), np.zeros((5, 3)))
    with pytest.raises(DataError, match="array"):
        effective_number(np.zeros(3))


def test_few_rows_are_not_judged():
    few = evidence(8, 0)
    assert all("needed" in kind().applies(few) for kind in CHECKS)


def test_without_holdout_and_without_labels():
    rng = np.random.default_rng(8)
    X, made = world(200, rng)[0], world(200, rng)[0]
    plain = gather(X, None, made, None)
    for kind in CHECKS:
        finding = kind().run(plain, np.random.default_rng(0))
        assert "training rows" in finding.caution and np.isfinite(finding.value)


def test_what_is_kept_follows_seed_and_rows():
    rng = np.random.default_rng(0)
    found = gather(rng.normal(size=(200, 2)), None, rng.normal(size=(200, 2)), None)
    assert modes_of(found) is modes_of(replace(found, notes=[]))
    assert modes_of(found) is not modes_of(replace(found, seed=1))
    assert modes_of(found) is not modes_of(replace(found, max_rows=100))
