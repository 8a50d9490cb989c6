"""Exact tests of "same distribution": the new and the real rows exchanged within cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["permutation_p_value", "permuted_values", "swapped_labels"]


def swapped_labels(cells: np.ndarray, n_permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Return labellings of the pooled rows of a matched pair, as likely as the one seen if nothing differs.

    Parameters
    ----------
    cells : ndarray (k,) of int
        Cells of one side of the matched pair, ascending; the other side has the same.

    Returns
    -------
    ndarray (n_permutations, 2 k) of bool
        True for "new"; in each, half of every cell's rows are. Pooled rows are the new
        ones first.

    Examples
    --------
    >>> swapped_labels(np.array([0, 0, 1]), 2, np.random.default_rng(0)).sum(axis=1)
    array([3, 3])
    """
    both = np.concatenate([cells, cells])
    order = np.argsort(both, kind="stable")
    sizes = 2 * np.unique(cells, return_counts=True)[1]
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    half = np.repeat(sizes // 2, sizes)
    made = np.zeros((n_permutations, len(both)), dtype=bool)
    for row in made:
        within = np.lexsort((rng.random(len(both)), both[order]))
        rank = np.empty(len(both), dtype=int)
        rank[within] = np.arange(len(both))
        row[order] = rank - starts < half
    return made


def permutation_p_value(value: float, permuted: np.ndarray) -> float:
    """Return the chance of a figure at least as large as ``value``, counting the one seen (never 0).

    Reference: Phipson and Smyth (2010), doi:10.2202/1544-6115.1585.

    Examples
    --------
    >>> permutation_p_value(3.0, np.array([1.0, 2.0, 5.0]))
    0.5
    """
    permuted = np.asarray(permuted, dtype=float)
    slack = 1e-12 * max(1.0, abs(value))
    return float((1 + np.sum(permuted >= value - slack)) / (1 + len(permuted)))


def permuted_values(
    statistic: Callable[[np.ndarray], float], cells: np.ndarray, n_permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """Return a statistic of the labels (2 k,) under each labelling."""
    return np.array([statistic(labels) for labels in swapped_labels(cells, n_permutations, rng)])
