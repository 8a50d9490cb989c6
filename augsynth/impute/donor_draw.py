"""One random completion: a donor a row, drawn from a bootstrap sample of the pool."""

from __future__ import annotations

import numpy as np

from augsynth.core.random import ItemKeys
from augsynth.impute.donor_pool import DonorPool, kernel

__all__ = ["drawn"]

_BLOCK = 1 << 14  # rows whose candidates are held at once
_SPARE = 10  # donors beyond the nearest, for holes that none of those can fill


def drawn(
    pool: DonorPool, z: np.ndarray, group: np.ndarray, keys: ItemKeys, rng: np.random.Generator
) -> np.ndarray:
    """Fill each row's holes from one donor drawn among its nearest, or the next drawn where that has a hole.

    Donors are a bootstrap sample of the pool, the same for all rows (Rubin and Schenker 1986).

    Parameters
    ----------
    pool : DonorPool
    z : ndarray (n, p)
    group : ndarray (n,) of int
    keys : ItemKeys
        Noise of each row: which of its donors lends.
    rng : Generator
        Which donors there are.
    """
    m = len(pool.z)
    count = np.bincount(rng.integers(0, m, m), minlength=m)
    own = pool.weights / np.maximum(pool.weights.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    needy = np.isnan(pool.z).any(axis=0)
    common = own[needy].mean(axis=0) if needy.any() else own.mean(axis=0)
    filled = z.copy()
    for begin in range(0, len(z), _BLOCK):
        rows = np.arange(begin, min(begin + _BLOCK, len(z)))
        _fill(pool, filled, rows, group[rows], keys.take(rows), count, common)
    return filled


def _fill(
    pool: DonorPool,
    filled: np.ndarray,
    rows: np.ndarray,
    group: np.ndarray,
    keys: ItemKeys,
    count: np.ndarray,
    common: np.ndarray,
) -> None:
    z = filled[rows]
    holes = np.isnan(z)
    scores = pool.scored(z)
    u = keys.uniforms(pool.n_neighbors + _SPARE)
    empty, alone = holes.all(axis=1), holes.sum(axis=1) == 1
    jobs = [(np.flatnonzero(~empty & ~alone), common, np.arange(holes.shape[1]))]
    jobs += [(np.flatnonzero(alone & holes[:, j]), pool.weights[j], np.array([j])) for j in range(z.shape[1])]
    for some, weights, columns in jobs:
        able = (count > 0) & ~np.isnan(pool.z[:, columns]).all(axis=1)
        if not len(some) or not able.any():
            continue
        for part, donors in pool.lenders(able, group[some]):
            at = some[part]
            distance, position = pool.nearest(donors, weights, scores[at], u.shape[1])
            order = _ordered(kernel(distance, pool.n_neighbors) * count[position], position, u[at])
            z[at] = _taken(pool, z[at], order)
    if empty.any():
        for part, donors in pool.lenders(count > 0, group[empty]):
            at = np.flatnonzero(empty)[part]
            lent = np.repeat(donors, count[donors])
            z[at] = _taken(pool, z[at], lent[(u[at] * len(lent)).astype(np.intp)])
    _fill_rest(pool, z, scores, group, keys.child(1), count)
    filled[rows] = z


def _ordered(weight: np.ndarray, position: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return the donors of each row (n, K) in an order drawn by their weights, without replacement.

    The smallest of exponential waiting times, Efraimidis and Spirakis (2006),
    doi:10.1016/j.ipl.2005.11.003; donors of no weight come last, nearest first.
    """
    k = position.shape[1]
    with np.errstate(divide="ignore"):
        wait = -np.log1p(-u[:, :k]) / weight
    wait = np.where(weight > 0, wait, np.inf)
    return np.take_along_axis(position, np.argsort(wait, axis=1, kind="stable"), axis=1)


def _taken(pool: DonorPool, z: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Fill holes (n, p) from the first donor of each row's order (n, K) that has the cell."""
    z = z.copy()
    for i in range(order.shape[1]):
        open_ = np.flatnonzero(np.isnan(z).any(axis=1))
        if not len(open_):
            break
        z[open_] = np.where(np.isnan(z[open_]), pool.z[order[open_, i]], z[open_])
    return z


def _fill_rest(
    pool: DonorPool, z: np.ndarray, scores: np.ndarray, group: np.ndarray, keys: ItemKeys, count: np.ndarray
) -> None:
    """Fill, in place, holes that no candidate could fill: from donors that have that very cell."""
    for j in np.flatnonzero(np.isnan(z).any(axis=0)):
        at = np.flatnonzero(np.isnan(z[:, j]))
        able = ~np.isnan(pool.z[:, j])
        if (able & (count > 0)).any():  # a bootstrap sample may lack every donor of a rare column
            able &= count > 0
        u = keys.child(int(j)).take(at).uniforms(pool.n_neighbors)
        for part, donors in pool.lenders(able, group[at]):
            some = at[part]
            distance, position = pool.nearest(donors, pool.weights[j], scores[some], pool.n_neighbors)
            order = _ordered(kernel(distance) * np.maximum(count[position], 1), position, u[part])
            z[some, j] = pool.z[order[:, 0], j]
