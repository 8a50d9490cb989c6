"""The yardsticks of the imputation benchmark measure what they say, and the peers get their rows back whole."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import imputation_methods
import imputation_summary
from imputation_measures import Yardstick, downstream
from imputation_sets import Table, make_case

MISSING = np.array([[True, False], [False, True], [False, True], [False, False]])


@pytest.fixture
def table():
    X = pd.DataFrame({"x": [0.0, 2.0, 0.0, 2.0], "k": pd.Categorical(["a", "b", "a", "a"])})
    return Table("toy", X, np.array([0, 1, 0, 1]), True)


def mixed(n=80, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    X = pd.DataFrame(
        {"x": x, "w": 3 * x + rng.normal(size=n), "k": pd.Categorical(np.where(x > 0, "hi", "lo"))}
    )
    return Table("mixed", X, (x > 0).astype(int), True)


def test_errors_by_hand(table):
    yard = Yardstick(table)
    true = yard.code(table.X)
    made = true.copy()
    made[0, 0] = 3.0  # the column's standard deviation is 1
    made[1, 1] = 0.0
    found = yard.errors(made, true, MISSING)
    assert found == {"rmse": 3.0, "mae": 3.0, "pfc": 0.5, "left": 0}
    left = made.copy()
    left[0, 0] = np.nan  # counts as the mean, 1 away
    assert yard.errors(left, true, MISSING)["rmse"] == 1.0


def test_energy_distance_of_points_by_hand(table):
    yard = Yardstick(table)
    true = yard.code(table.X)
    assert yard.energy(true, true) == pytest.approx(0.0, abs=1e-12)
    zero, one = np.array([[0.0, 0.0]]), np.array([[3.0, 1.0]])
    # two points: 2 d; one number 3 apart and the two dummies 1/root(2) apart each
    assert yard.energy(zero, one) == pytest.approx(2 * np.sqrt(9 + 1))


def test_codes_and_frames_go_back_and_forth(table):
    yard = Yardstick(table)
    back = yard.frame(yard.code(table.X))
    pd.testing.assert_frame_equal(back, table.X)


@pytest.mark.parametrize("encoding", ["dummies", "codes"])
def test_coder_gives_observed_cells_back(encoding):
    case = make_case(mixed(), "MCAR", 0.3, 0)
    train = case.part(case.train)
    coder = imputation_methods.Coder(train, encoding)
    Z = coder.encode(train)
    assert np.isnan(Z).any()
    done = coder.decode(np.where(np.isnan(Z), 0.0, Z), train)
    assert not done.isna().any().any()
    seen = train.notna()
    pd.testing.assert_frame_equal(done.where(seen), train.where(seen), check_dtype=False)


@pytest.mark.parametrize("name", ["mean", "knn", "ridge"])
def test_peers_complete_and_beat_nothing_by_changing_cells(name):
    table = mixed()
    case = make_case(table, "MCAR", 0.2, 0)
    yard = Yardstick(table)
    done = imputation_methods.complete(name, case.part(case.train), case.part(case.test), 0, 2)
    for frame, rows in ((done.train, case.train), (done.test, case.test)):
        holes = case.part(rows).isna()
        assert not frame.isna().any().any()
        assert frame["x"][~holes["x"]].equals(table.X["x"].iloc[rows].reset_index(drop=True)[~holes["x"]])
    assert len(done.draws) == (2 if name == "ridge" else 0)
    y = table.y
    parts = (yard.code(done.train), y[case.train], yard.code(done.test), y[case.test])
    assert downstream(yard, *parts, True) > 0.8


def test_ranks_and_shares_by_hand():
    def row(method, rmse, **more):
        key = {"data": "d", "mechanism": "MCAR", "share": 0.1, "seed": 0, "method": method}
        return {**key, "rmse": rmse, **more}

    default = imputation_methods.DEFAULT
    rows = [row("mean", 1.0), row("knn", 0.5, point_cpu_s=1.0), row(default, 0.505, point_cpu_s=0.1)]
    cells = imputation_summary.by_cell(rows)
    ranks, n = imputation_summary.average_ranks(cells, "rmse", ["mean", "knn", default])
    assert ranks == {"mean": 3.0, "knn": 1.0, default: 2.0} and n == 1
    assert imputation_summary.close_to_best(cells, "rmse")[:2] == (1, 1)
    worse = imputation_summary.by_cell([*rows[:2], row(default, 0.52)])
    close, total, losses = imputation_summary.close_to_best(worse, "rmse")
    assert (close, total) == (0, 1) and losses[0][0] == pytest.approx(1.04)
    ratio = imputation_summary.ratios(cells, ("knn", "point_cpu_s"), (default, "point_cpu_s"))
    assert ratio == [pytest.approx(10.0)]
