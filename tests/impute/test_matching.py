"""Predictive mean matching against a search of all donors."""

import numpy as np
import pytest

from augsynth.impute.matching import Matcher


def shares(predicted, values, at, k, n=20_000):
    """Return how often each value is drawn at a prediction, by uniform numbers on a grid."""
    u = (np.arange(n) + 0.5) / n
    drawn = Matcher(predicted, values, k).draw(np.full(n, at), u)
    return {v: float((drawn == v).mean()) for v in np.unique(drawn)}


def test_draws_come_from_the_k_nearest_with_equal_chances():
    rng = np.random.default_rng(0)
    predicted, values = rng.normal(size=60), np.arange(60.0)
    for at in (-9.0, -0.3, 0.0, 1.1, 9.0):
        nearest = set(np.argsort(np.abs(predicted - at))[:5].astype(float))
        found = shares(predicted, values, at, 5)
        assert set(found) == nearest
        assert all(abs(share - 0.2) < 1e-3 for share in found.values())


def test_ties_share_the_places_that_are_left():
    # one donor at 0, then four equally far ones for the two places that are left of three
    predicted, values = np.array([0.0, 1.0, 1.0, 1.0, 1.0, 5.0]), np.arange(6.0)
    found = shares(predicted, values, 0.0, 3)
    assert found[0.0] == pytest.approx(1 / 3, abs=1e-3)
    assert all(found[v] == pytest.approx(2 / 3 / 4, abs=1e-3) for v in (1.0, 2.0, 3.0, 4.0))
    assert 5.0 not in found


def test_equally_far_on_both_sides_is_a_tie():
    predicted, values = np.array([-1.0, 1.0, 1.0, 7.0]), np.array([0.0, 1.0, 2.0, 3.0])
    found = shares(predicted, values, 0.0, 2)
    assert set(found) == {0.0, 1.0, 2.0}
    assert all(share == pytest.approx(1 / 3, abs=1e-3) for share in found.values())


def test_all_donors_alike_and_fewer_donors_than_asked():
    assert set(shares(np.zeros(4), np.arange(4.0), 0.0, 2)) == {0.0, 1.0, 2.0, 3.0}
    assert set(shares(np.array([3.0]), np.array([7.0]), 0.0, 5)) == {7.0}


def test_each_row_on_its_own():
    rng = np.random.default_rng(1)
    matcher = Matcher(rng.normal(size=50), rng.normal(size=50), 5)
    at, u = rng.normal(size=40), rng.random(40)
    together = matcher.draw(at, u)
    assert np.array_equal(together, [matcher.draw(at[i : i + 1], u[i : i + 1])[0] for i in range(40)])
