"""Nearest rows: exactly those of a brute-force search, whatever the columns."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import nan_euclidean_distances

from augsynth.core.errors import ParameterError
from augsynth.encode import neighbors
from augsynth.encode.distance import MixedDistance
from augsynth.encode.layout import Block, Layout
from augsynth.encode.neighbors import NeighborIndex


def layout_of(p_num, levels=()):
    numbers = [Block(f"x{j}") for j in range(p_num)]
    return Layout((*numbers, *(Block(f"c{j}", n_levels=int(n)) for j, n in enumerate(levels))))


def table(rng, n, p_num, levels=(), *, lattice=False):
    x = rng.integers(0, 4, (n, p_num)).astype(float) if lattice else rng.normal(size=(n, p_num))
    return np.column_stack([x, *(rng.integers(0, m, n) for m in levels)]).astype(float)


def by_the_rule(a, b, layout, *, scale, penalty, weights, missing):
    """Distance of two rows, cell by cell, straight from the definition."""
    total = used = 0.0
    for j, block in enumerate(layout):
        gaps = int(np.isnan(a[j])) + int(np.isnan(b[j]))
        if gaps and missing == "rescale":
            continue
        used += weights[j]
        if gaps:
            delta = penalty if gaps == 1 else 0.0
        elif block.is_numeric:
            delta = (a[j] - b[j]) / scale[j]
        else:
            delta = penalty * (a[j] != b[j])
        total += weights[j] * delta**2
    return np.sqrt(total * weights.sum() / used) if used else np.inf


def brute(queries, references, distance, k, exclude=None):
    """All distances in double precision, ties in the order of the rows."""
    a, b = distance.prepare(queries), distance.prepare(references)
    d2 = distance.squared(a, b, np.tile(np.arange(len(references)), (len(queries), 1)))
    if exclude is not None:
        d2[np.arange(len(d2)), exclude] = np.nan
    order = np.lexsort((np.broadcast_to(np.arange(len(references)), d2.shape), d2), axis=-1)[:, :k]
    with np.errstate(over="ignore"):
        return np.sqrt(np.take_along_axis(d2, order, axis=1)) / distance.unit, order


@pytest.mark.parametrize("missing", ["rescale", "state"])
@pytest.mark.parametrize("standardize", [True, False])
def test_distance_is_the_stated_rule(missing, standardize):
    rng = np.random.default_rng(0)
    layout = layout_of(3, (2, 40))
    z = table(rng, 40, 3, (2, 40)) * [1, 10, 100, 1, 1]
    z[rng.random(z.shape) < 0.3] = np.nan
    weights = np.array([1.0, 0.5, 2.0, 1.5, 0.25])
    distance = MixedDistance.fit(z, layout, standardize=standardize, weights=weights, missing=missing)
    spread = np.nanstd(z[:, :3], axis=0)
    scale = np.r_[spread if standardize else np.ones(3), 1, 1]
    penalty = 1.0 if standardize else np.median(spread)
    expected = [
        by_the_rule(a, b, layout, scale=scale, penalty=penalty, weights=weights, missing=missing)
        for a, b in zip(z[:20], z[20:], strict=True)
    ]
    np.testing.assert_allclose(distance.pairs(z[:20], z[20:]), expected, rtol=1e-12)


def test_numeric_distance_with_gaps_is_the_nan_euclidean_one():
    rng = np.random.default_rng(1)
    z = table(rng, 60, 4)
    z[rng.random(z.shape) < 0.2] = np.nan
    z[:, 0] = rng.normal(size=60)
    index = NeighborIndex(z, MixedDistance.fit(z, layout_of(4), standardize=False))
    distances, positions = index.query(z, 60)
    full = nan_euclidean_distances(z)
    np.testing.assert_allclose(distances, np.take_along_axis(full, positions, axis=1), atol=1e-7)
    np.testing.assert_allclose(distances, np.sort(full, axis=1), atol=1e-7)


CASES = {
    "numbers": (8, ()),
    "few numbers": (2, ()),
    "mixed": (3, (2, 7, 30)),
    "categories": (0, (2, 3, 5, 30)),
    "many levels": (1, (10_000, 3)),
    "one column": (1, ()),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["continuous", "lattice", "duplicates", "gaps", "weighted"])
def test_neighbours_are_exactly_those_of_brute_force(case, kind):
    p_num, levels = CASES[case]
    rng = np.random.default_rng(2)
    layout = layout_of(p_num, levels)
    for n, k in ((7, 7), (90, 3), (700, 6)):
        z = table(rng, n, p_num, levels, lattice=kind == "lattice")
        queries = table(rng, 40, p_num, levels, lattice=kind == "lattice")
        if kind == "duplicates":
            z = z[rng.integers(0, n, n)]
        if kind == "gaps":
            z[rng.random(z.shape) < 0.3] = np.nan
            queries[rng.random(queries.shape) < 0.2] = np.nan
        weights = rng.random(len(layout)) + 0.1 if kind == "weighted" else None
        for missing in ("rescale", "state"):
            distance = MixedDistance.fit(z, layout, weights=weights, missing=missing)
            index = NeighborIndex(z, distance)
            for found, true in zip(index.query(queries, k), brute(queries, z, distance, k), strict=True):
                np.testing.assert_array_equal(found, true)
            own = rng.integers(0, n, 30)
            found = index.query(z[own], k - 1, exclude=own)
            for one, true in zip(found, brute(z[own], z, distance, k - 1, own), strict=True):
                np.testing.assert_array_equal(one, true)


@pytest.mark.parametrize("standardize", [True, False])
def test_numbers_of_every_size_stay_exact(standardize):
    rng = np.random.default_rng(3)
    z = table(rng, 400, 8) * 10.0 ** np.array([-300, -9, -3, 0, 3, 9, 30, 300])
    z[0] = np.finfo(float).max
    z[1] = -np.finfo(float).max
    distance = MixedDistance.fit(z, layout_of(8), standardize=standardize)
    found = NeighborIndex(z, distance).query(z[:60], 5, exclude=np.arange(60))
    for one, true in zip(found, brute(z[:60], z, distance, 5, np.arange(60)), strict=True):
        np.testing.assert_array_equal(one, true)
    assert not np.isnan(found[0]).any()


def test_a_large_offset_costs_no_precision():
    """Single precision alone would see these rows as equal."""
    rng = np.random.default_rng(4)
    z = 1e9 + table(rng, 500, 8)
    distance = MixedDistance.fit(z, layout_of(8), standardize=False)
    found = NeighborIndex(z, distance).query(z, 4, exclude=np.arange(500))[1]
    np.testing.assert_array_equal(found, brute(z, z, distance, 4, np.arange(500))[1])


def test_block_sizes_and_kept_features_change_nothing(monkeypatch):
    rng = np.random.default_rng(5)
    z = table(rng, 1500, 3, (2, 30))
    z[rng.random(z.shape) < 0.05] = np.nan
    distance = MixedDistance.fit(z, layout_of(3, (2, 30)))
    usual = NeighborIndex(z, distance).query(z, 5)
    one_by_one = NeighborIndex(z, distance).query(z[700:701], 5)
    for name, value in (("_BLOCK_CELLS", 500), ("_BLOCK_BOUNDS", 1 << 13), ("_CACHE_CELLS", 0)):
        monkeypatch.setattr(neighbors, name, value)
    small = NeighborIndex(z, distance).query(z, 5)
    for a, b, c in zip(usual, small, one_by_one, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a[700:701], c)


def test_rows_without_a_shared_column_are_infinitely_far():
    nan = np.nan
    z = np.array([[1.0, nan], [nan, 2.0], [3.0, 4.0]])
    index = NeighborIndex(z, MixedDistance.fit(z, layout_of(2), standardize=False))
    distances, positions = index.query(np.array([[0.0, nan], [nan, nan]]), 3)
    np.testing.assert_array_equal(positions, [[0, 2, 1], [0, 1, 2]])
    np.testing.assert_allclose(distances, [[np.sqrt(2), np.sqrt(18), np.inf], [np.inf] * 3])


def test_weight_zero_leaves_a_column_out():
    rng = np.random.default_rng(6)
    z = table(rng, 200, 3, (4,))
    some = MixedDistance.fit(z, layout_of(3, (4,)), weights=np.array([1.0, 0, 1, 0]))
    only = MixedDistance.fit(z[:, [0, 2]], layout_of(2))
    a = NeighborIndex(z, some).query(z[:50], 4)
    b = NeighborIndex(z[:, [0, 2]], only).query(z[:50][:, [0, 2]], 4)
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


def test_unknown_levels_of_a_query_match_nothing():
    z = np.array([[0.0], [1.0]])
    index = NeighborIndex(z, MixedDistance.fit(z, layout_of(0, (2,))))
    assert index.query(np.array([[5.0]]), 2)[0].tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("k", [0, 3])
def test_impossible_k_is_refused_in_one_sentence(k):
    z = np.array([[0.0], [1.0], [2.0]])
    index = NeighborIndex(z, MixedDistance.fit(z, layout_of(1)))
    with pytest.raises(ParameterError, match="k must be between 1 and the 2 reference rows"):
        index.query(z, k, exclude=np.arange(3))


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0], [-1.0, 1.0], [np.nan, 1.0]])
def test_bad_weights_are_refused(weights):
    with pytest.raises(ParameterError, match="weights must be 2 finite numbers"):
        MixedDistance.fit(np.zeros((3, 2)), layout_of(2), weights=np.array(weights))
