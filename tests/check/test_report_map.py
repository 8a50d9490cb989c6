"""The neighbour map: what was planted shows, the same rows give the same map, and what cannot be drawn is not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from augsynth.check.gathering import gather
from augsynth.check.report.maps import row_map
from augsynth.check.report.neighbour_map import MOST_EACH, _balanced, neighbour_map, neighbour_places

CENTRES = np.array([[0.0, 0, 0, 0], [9, 0, 0, 0], [0, 9, 0, 0], [0, 0, 9, 0]])


def rows(rng, counts):
    """Clusters of rows, so many around each centre."""
    return np.concatenate(
        [centre + rng.normal(size=(n, 4)) for centre, n in zip(CENTRES, counts, strict=True)]
    )


def planted(seed=0, scale=1.0):
    """Real rows in clusters 0, 1 and 2; new ones in 0, 1 and 3."""
    rng = np.random.default_rng(seed)
    real, new = rows(rng, (60, 60, 40, 0)), rows(rng, (60, 60, 0, 40))
    train = rows(rng, (60, 60, 40, 40))  # so that every cluster has a place in the coordinates
    return gather(train * scale, None, new * scale, None, holdout=(real * scale, None), random_state=seed)


def shares_of_new(evidence):
    """Return the share of new rows among the ten neighbours on the map of each row, real ones first."""
    places, _ = neighbour_places(evidence)
    n = len(places) // 2
    near = NearestNeighbors(n_neighbors=11).fit(places).kneighbors(places, return_distance=False)[:, 1:]
    return (near >= n).mean(axis=1), n


def test_what_is_missed_and_what_is_invented_are_spots_of_one_colour():
    evidence = planted()
    share, n = shares_of_new(evidence)
    new, real = evidence.matched
    assert n == 160
    missed, invented = real.z[:, 1] > 4, new.z[:, 2] > 4
    assert share[:n][missed].mean() < 0.2 and share[n:][invented].mean() > 0.8
    both = np.concatenate([share[:n][~missed], share[n:][~invented]])
    assert abs(both.mean() - 0.5) < 0.1  # 240 rows of one distribution: half and half


def test_the_same_rows_give_the_same_map_and_leave_the_global_generator_alone():
    state = np.random.get_state  # noqa: NPY002
    before = state()[1].copy()
    evidence, again = planted(), planted()
    first, second = neighbour_places(evidence), neighbour_places(again)
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
    assert np.array_equal(state()[1], before)
    assert neighbour_places(evidence) is first  # drawn twice, made once


def test_classes_are_balanced_as_far_as_there_are_rows():
    labels = np.repeat([3, 5, 7], [900, 400, 20])
    some = _balanced(labels, MOST_EACH, np.random.default_rng(0))
    assert np.unique(labels[some], return_counts=True)[1].tolist() == [340, 340, 20]
    assert len(some) == MOST_EACH == len(set(some.tolist()))


@pytest.mark.parametrize(
    "X", [np.zeros((200, 3)), np.arange(200.0)[:, None], np.random.default_rng(0).normal(size=(59, 3))]
)
def test_what_cannot_be_drawn_is_left_out(X):
    """Rows that are all equal, one column, few rows."""
    assert neighbour_map(gather(X, None, X[:150][::-1], None)) is None


def test_huge_values_missing_ones_and_names_that_are_code():
    rng = np.random.default_rng(0)
    X, new, held = (
        pd.DataFrame({"a": rng.normal(size=n), "b": rng.choice(["x", "y"], n), "c": rng.normal(size=n)})
        for n in (200, 180, 160)
    )
    new.loc[0, "a"], new.loc[1, "c"], X.loc[3, "a"] = 1e140, np.nan, np.nan
    labels = ["<b>", "c"] * 100
    evidence = gather(X, labels, new, labels[:180], holdout=(held, labels[:160]))
    drawn, note = neighbour_map(evidence)
    assert "<b>" not in drawn and "&lt;b&gt;" in drawn and "by class" in drawn
    assert "equally many of each class" in note and "mean nothing" in note


def test_pictures_have_a_map_with_the_names_of_their_classes():
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8)[:300]
    evidence = gather(X[:100], y[:100], X[100:200], y[100:200], holdout=(X[200:], y[200:300]))
    drawn, note = neighbour_map(evidence, "images")
    n = len(evidence.matched[0])
    assert f"{n} real and {n} new images" in note and drawn.count("onmap") == len(np.unique(y[:300]))
    assert "dotsreal" in drawn and "dotsnew" in drawn
    plain, _ = row_map(evidence, "images")  # of so many classes no colours: those of real and new
    assert "real images" in plain and "dotsreal" in plain and "dotsnew" in plain
