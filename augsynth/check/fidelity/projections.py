"""Sliced Wasserstein distance: how far rows lie apart along many directions."""

from __future__ import annotations

from typing import Any

import numpy as np

from augsynth.check.evidence import Evidence
from augsynth.check.fidelity.coding import Coded
from augsynth.check.fidelity.exchange import (
    N_PERMUTATIONS,
    Exchange,
    PairedCheck,
    as_samples,
    joint_chance,
    reach,
    whole,
)
from augsynth.check.finding import Finding
from augsynth.check.reference import tells_reference
from augsynth.core.parameters import check_number
from augsynth.core.random import keyed_rng, resolve_seed

__all__ = ["SlicedWasserstein", "sliced_wasserstein"]

MOST = 4_000
_RANDOM, _PRINCIPAL = 64, 16
_STEPS = 128
_STREAM = 334


def sliced_wasserstein(a: Any, b: Any, *, n_directions: int = 100, random_state: Any = 0) -> float:
    """Tell how far new rows must be moved to become real ones, mean over random directions.

    Along each direction of unit length: the area between the two distribution functions of
    the projected rows (the Wasserstein-1 distance), exact for samples of any two sizes.

    Parameters
    ----------
    a, b : array-like (n, d), (m, d)
        New and real rows in coordinates whose Euclidean distance makes sense.
    n_directions : int, default=100
        Random directions, uniform on the sphere; of one column there is only one.
    random_state : int, Generator or None, default=0

    Returns
    -------
    float
        In the units of the coordinates. Never negative: samples of one distribution have a
        positive distance, which shrinks with the square root of the number of rows.

    References
    ----------
    Bonneel, Rabin, Peyre, Pfister (2015), Sliced and Radon Wasserstein barycenters of
    measures, doi:10.1007/s10851-014-0506-3.

    Examples
    --------
    >>> round(sliced_wasserstein([[0.0], [1.0]], [[2.0], [3.0]]), 6)
    2.0
    """
    first, second = as_samples(a, b, "sliced_wasserstein")
    check_number("sliced_wasserstein", "n_directions", n_directions, low=1, integer=True)
    rng = np.random.default_rng(resolve_seed(random_state))
    directions = _directions(first.shape[1], n_directions, rng)
    return float(np.mean([_line(first @ way, second @ way) for way in directions]))


def _directions(d: int, count: int, rng: np.random.Generator) -> np.ndarray:
    if d == 1:
        return np.ones((1, 1))
    ways = rng.normal(size=(count, d))
    return ways / np.linalg.norm(ways, axis=1, keepdims=True)


def _line(x: np.ndarray, y: np.ndarray) -> float:
    """Return the Wasserstein-1 distance of two samples on a line."""
    x, y = np.sort(x), np.sort(y)
    if len(x) == len(y):
        return float(np.abs(x - y).mean())
    every = np.sort(np.concatenate([x, y]))
    below = [np.searchsorted(each, every[:-1], side="right") / len(each) for each in (x, y)]
    return float(np.sum(np.abs(below[0] - below[1]) * np.diff(every)))


class SlicedWasserstein(PairedCheck):
    """Mean Wasserstein-1 distance along 64 random directions (at most 4,000 rows a side).

    The p-value is that of the worst among this mean and every single direction, 16 principal
    ones of the pooled rows included, each in units of its own spread under relabelling within
    classes and groups (on 128 steps a direction).
    """

    name, title = "sliced_wasserstein", "Sliced Wasserstein distance"

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the figure alone."""
        exchange = whole(evidence).smaller(MOST)
        k, lines = len(exchange), _lines(exchange)
        return float(np.mean([_line(x[:k], x[k:]) for x in lines.T[:_RANDOM]]))

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the figure with its interval, null value, p-value and sentence."""
        exchange = whole(evidence).smaller(MOST)
        every = _distances(exchange)
        mean = every[:, :_RANDOM].mean(axis=1)
        every = np.column_stack([mean, every])
        p, _ = joint_chance(every[0], every[1 : 1 + N_PERMUTATIONS])
        value, null = self.value(evidence, rng), float(mean[1 : 1 + N_PERMUTATIONS].mean())
        low, high = reach(value, mean[1 + N_PERMUTATIONS :])
        told = (
            f"Along a random direction, new rows lie {value:.3f} standard units from where real ones lie "
            f"({null:.3f} expected of equally good rows)."
        )
        return Finding(
            self.part, self.name, self.title, value, "standard units", low, high, null, p,
            len(exchange), told,
            "The figure depends on the coordinates: normal scores of numbers, one step a differing category.",
        )  # fmt: skip


def _lines(exchange: Exchange) -> np.ndarray:
    """Return the pooled rows along random, then along principal directions (2 k, q)."""
    x = exchange.design
    ways = _directions(x.shape[1], _RANDOM, keyed_rng(exchange.evidence.seed, _STREAM))
    if x.shape[1] > 1:
        centred = x - x.mean(axis=0)
        principal = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :_PRINCIPAL].T
        ways = np.vstack([ways, principal])
    return x @ ways.T


def _distances(exchange: Exchange) -> np.ndarray:
    """Return the distances (R, q) along directions, on a grid of equally full steps."""
    lines = _lines(exchange)
    n, q = lines.shape
    rank = np.argsort(np.argsort(lines, axis=0, kind="stable"), axis=0, kind="stable")
    ordered = np.sort(lines, axis=0)
    steps = min(_STEPS, n)
    codes = (rank * steps) // n
    sizes = np.full(q, steps)
    coded = Coded(codes, sizes, np.zeros(q, dtype=bool), [])
    first, second = (each.reshape(-1, q, steps) for each in exchange.sums(coded.hot(np.arange(q))))
    new, real = (each / each.sum(axis=2, keepdims=True) for each in (first, second))
    middle = np.stack(
        [
            ordered[places].mean(axis=0)
            for places in np.split(np.arange(n), np.flatnonzero(np.diff(np.arange(n) * steps // n)) + 1)
        ]
    )
    gaps = np.diff(middle, axis=0)
    below = np.abs(np.cumsum(new - real, axis=2))[:, :, :-1]
    return np.asarray(np.einsum("rqs,sq->rq", below, gaps.astype(np.float32)), dtype=float)
