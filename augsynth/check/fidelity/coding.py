"""Columns of a mixed table as classes: bins of numbers, frequent levels, and one for missing cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from augsynth.encode.layout import Layout

__all__ = ["Coded", "code_columns"]


@dataclass(frozen=True, eq=False)
class Coded:
    """Columns as classes.

    Attributes
    ----------
    codes : ndarray (n, p) of int
    sizes : ndarray (p,) of int
        Classes of each column, that of missing cells included.
    missing : ndarray (p,) of bool
        Whether the last class of a column is that of its missing cells.
    scores : list of ndarray
        A number a class: mean normal score of a bin, 0 for missing; empty for categories.
    """

    codes: np.ndarray
    sizes: np.ndarray
    missing: np.ndarray
    scores: list[np.ndarray]

    def hot(self, columns: np.ndarray) -> sparse.csc_matrix:
        """Return one indicator a class of these columns, side by side."""
        starts = np.cumsum(self.sizes[columns]) - self.sizes[columns]
        return _indicators(self.codes[:, columns] + starts, int(self.sizes[columns].sum()))

    def tables(self, first: np.ndarray, second: np.ndarray, width: int) -> sparse.csc_matrix:
        """Return indicators of the cells (width x width) of the joint table of each pair of columns."""
        cells = self.codes[:, first] * width + self.codes[:, second]
        return _indicators(cells + np.arange(len(first)) * width**2, len(first) * width**2)


def _indicators(places: np.ndarray, width: int) -> sparse.csc_matrix:
    n, count = places.shape
    data = np.ones(n * count, dtype=np.float32)
    rows = np.tile(np.arange(n, dtype=np.int32), count)
    return sparse.csc_matrix((data, (rows, places.T.ravel().astype(np.int32))), shape=(n, width))


def code_columns(z: np.ndarray, layout: Layout, most: int) -> Coded:
    """Turn the columns of pooled rows into at most ``most`` classes each, missing cells in one of their own.

    The classes depend on the pool alone, so that they are the same under every relabelling.
    Equal numbers share a class; a column of few distinct numbers has a class for each.
    """
    p = z.shape[1]
    codes = np.zeros(z.shape, dtype=np.int64)
    sizes, missing = np.ones(p, dtype=np.int64), np.zeros(p, dtype=bool)
    scores = []
    for j, block in enumerate(layout):
        gap = np.isnan(z[:, j])
        seen = z[~gap, j]
        own, score = np.zeros(len(seen), dtype=np.int64), np.zeros(0)
        if len(seen):
            own = _bins(seen, most) if block.is_numeric else _levels(seen, most)
            score = _scores(own) if block.is_numeric else score
        sizes[j] = (own.max() + 1 if len(own) else 0) + gap.any()
        missing[j] = gap.any()
        codes[~gap, j], codes[gap, j] = own, sizes[j] - 1
        scores.append(np.append(score, 0.0) if gap.any() and len(score) else score)
    return Coded(codes, sizes, missing, scores)


def _bins(x: np.ndarray, most: int) -> np.ndarray:
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    if len(values) <= most:
        return inverse.astype(np.int64)
    middle = (np.cumsum(counts) - 0.5 * counts) / len(x)
    wide = np.minimum((middle * most).astype(np.int64), most - 1)
    return np.unique(wide, return_inverse=True)[1][inverse].astype(np.int64)


def _levels(codes: np.ndarray, most: int) -> np.ndarray:
    counts = np.bincount(codes.astype(np.int64))
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return np.minimum(rank[codes.astype(np.int64)], most - 1)


def _scores(own: np.ndarray) -> np.ndarray:
    """Return standardised normal scores of the middles of the bins."""
    from scipy.special import ndtri

    counts = np.bincount(own)
    score = ndtri((np.cumsum(counts) - 0.5 * counts) / len(own))
    mean = float(counts @ score / len(own))
    spread = float(np.sqrt(counts @ (score - mean) ** 2 / len(own)))
    return (score - mean) / spread if spread > 0 else np.zeros(len(score))
