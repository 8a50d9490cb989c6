"""Whole clusters for the hold-out: about as many rows as wanted, and no cluster preferred for its size."""

import numpy as np
import pytest

from augsynth.nn.held_clusters import by_cluster


def shares(sizes, wanted, runs=200):
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    n = len(clusters)
    held = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        rows, count = by_cluster(rng.permutation(n), clusters, int(wanted * n), rng)
        assert sorted(rows) == list(range(n))
        inside, outside = set(clusters[rows[:count]]), set(clusters[rows[count:]])
        assert inside and outside and not inside & outside
        held.append(np.isin(np.arange(len(sizes)), list(inside)))
    return np.array(held), np.array(held) @ sizes / n


def test_a_large_cluster_is_left_to_the_training():
    """600 of 1,000 rows are one person's: they are never held out where a tenth is wanted."""
    held, part = shares(np.array([600] + [10] * 40), 0.1)
    assert not held[:, 0].any() and (np.abs(part - 0.1) <= 0.005).all()


def test_clusters_of_every_size_have_their_turn():
    """Ten of 20 rows and ten of 80: each in 3 to 30 % of the 200 runs, large ones not more often than small."""
    held, part = shares(np.array([20] * 10 + [80] * 10), 0.1)
    assert (held.mean(axis=0) > 0.02).all() and part.max() <= 0.14
    assert held[:, 10:].mean() <= held[:, :10].mean()


@pytest.mark.parametrize(("sizes", "most"), [([90, 10], 0.1), ([50, 50], 0.5), ([40, 30, 30], 0.3)])
def test_few_clusters(sizes, most):
    """No choice gives a tenth: the smallest one is held out."""
    held, part = shares(np.array(sizes), 0.1)
    assert part.max() <= most
    assert sizes.count(min(sizes)) == held.any(axis=0).sum()  # equal ones in turn


def test_one_cluster_leaves_nothing_to_hold_out():
    assert by_cluster(np.arange(5), np.zeros(5), 1, np.random.default_rng(0))[1] == 0
