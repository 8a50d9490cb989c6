"""Rows with holes under a normal distribution: one step of EM, and conditional means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["FEW", "MOST", "Numbers", "conditional_means", "em_step", "expected"]

MOST = 2**21  # floats of a batch of small matrices: 16 MiB
FEW = 8  # patterns of fewer rows are worked on together


@dataclass(frozen=True)
class _Gone:
    """Patterns (b,) with the same number k of missing cells.

    ``cells`` (b, k) are these, ``large`` the rows of each pattern of many, ``rows`` (m,)
    those of all patterns of few, and ``at`` (m,) their place among the patterns.
    """

    patterns: np.ndarray
    cells: np.ndarray
    large: list[tuple[int, np.ndarray]]
    rows: np.ndarray
    at: np.ndarray


class Numbers:
    """Rows of numbers (n, d), grouped by which of them are seen.

    Attributes
    ----------
    x : ndarray (n, d)
        0 where missing.
    seen : ndarray of bool (n, d)
    shown : ndarray of bool (P, d)
        The distinct patterns of seen cells.
    index : ndarray of int (n,)
        The pattern of each row.
    """

    def __init__(self, x: np.ndarray) -> None:
        seen = ~np.isnan(x)
        self.x = np.where(seen, x, 0.0)
        self.shown, self.index = _patterns(seen)
        self.seen = self.shown[self.index]
        self.is_sorted = bool((np.diff(self.index) >= 0).all())  # then patterns are slices, which is faster
        self.order = np.argsort(self.index, kind="stable")
        self.counts = np.bincount(self.index, minlength=len(self.shown))
        self.starts = np.concatenate([[0], np.cumsum(self.counts)])

    def __len__(self) -> int:
        return len(self.x)

    def parts(self) -> list[tuple[np.ndarray, Numbers]]:
        """Cut into (rows, Numbers) of few enough patterns that their matrices fit in memory."""
        step = max(1, MOST // max(self.x.shape[1] ** 2, 1))
        if len(self.shown) <= step:
            return [(np.arange(len(self)), self)]
        cuts = [*self.starts[:-1:step], len(self)]
        rows = [np.sort(self.order[a:b]) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
        return [(part, Numbers(np.where(self.seen[part], self.x[part], np.nan))) for part in rows]

    @cached_property
    def gone(self) -> list[_Gone]:
        """Batches of patterns with equally many missing cells."""
        found = []
        for patterns, cells in _by_holes(~self.shown):
            large = [
                (i, self.order[self.starts[p] : self.starts[p + 1]])
                for i, p in enumerate(patterns)
                if self.counts[p] > FEW
            ]
            few = np.flatnonzero(self.counts[patterns] <= FEW)
            size = self.counts[patterns[few]]
            first = np.repeat(self.starts[patterns[few]] - np.cumsum(size) + size, size)
            rows = self.order[first + np.arange(int(size.sum()))]
            found.append(_Gone(patterns, cells, large, rows, np.repeat(few, size)))
        return found


def expected(
    numbers: Numbers, mean: np.ndarray, covariance: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far rows are expected to lie from the mean, and how much their missing cells vary yet.

    Parameters
    ----------
    numbers : Numbers
    mean, covariance : ndarray (d,), (d, d)
    weights : ndarray (n,), optional
        Of the rows, in the second result; 1 each by default.

    Returns
    -------
    gap : ndarray (n, d)
        Row minus mean, the missing cells at their conditional means.
    left : ndarray (d, d)
        Weighted sum over the rows of the covariance of what is missing given what is seen.

    Notes
    -----
    Cost a pattern: the inverse of a matrix of the size of its holes, a block of the inverse covariance.

    Examples
    --------
    >>> covariance = np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> gap, left = expected(Numbers(np.array([[3.0, np.nan]])), np.array([1.0, 1.0]), covariance)
    >>> gap.tolist(), left.round(12).tolist()
    ([[2.0, 1.0]], [[0.0, 0.0], [0.0, 0.75]])
    """
    gap = np.where(numbers.seen, numbers.x - mean, 0.0)
    d = len(mean)
    left = np.zeros(d * d)
    if numbers.shown.all():
        return gap, left.reshape(d, d)
    precision = np.linalg.inv(covariance)
    pull = gap @ precision
    total = numbers.counts if weights is None else np.bincount(numbers.index, weights, len(numbers.shown))
    for some in numbers.gone:
        cells = some.cells
        inverse = np.linalg.inv(precision[cells[:, :, None], cells[:, None, :]])
        flat = (cells[:, :, None] * d + cells[:, None, :]).ravel()
        mass = inverse * total[some.patterns, None, None]
        left += np.bincount(flat, weights=mass.ravel(), minlength=d * d)
        for i, rows in some.large:
            block = np.ix_(rows, cells[i])
            gap[block] = -(pull[block] @ inverse[i])
        step = max(1, MOST // cells.shape[1] ** 2)
        for start in range(0, len(some.rows), step):
            rows, at = some.rows[start : start + step], some.at[start : start + step]
            here = rows[:, None], cells[at]
            alone = not some.large and len(some.rows) == len(cells)  # one row a pattern
            each = inverse[start : start + step] if alone else inverse[at]
            gap[here] = -np.einsum("nij,nj->ni", each, pull[here])
    return gap, left.reshape(d, d)


def em_step(numbers: Numbers, mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (d,) and covariance (d, d) after one step of EM, of unweighted rows.

    What regularises the covariance, and when to stop, is the caller's affair.

    References
    ----------
    Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
    JRSS B 39(1), 1977, doi:10.1111/j.2517-6161.1977.tb01600.x.

    Examples
    --------
    >>> rows = Numbers(np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]))
    >>> mean, covariance = em_step(rows, np.zeros(2), np.eye(2))
    >>> mean.tolist(), (3 * covariance).round(12).tolist()
    ([1.0, 2.0], [[2.0, 4.0], [4.0, 8.0]])
    """
    gap, left = expected(numbers, mean, covariance)
    shift = gap.mean(axis=0)
    gap -= shift
    return mean + shift, (gap.T @ gap + left) / max(len(gap), 1)


def conditional_means(x: np.ndarray, mean: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Return rows x (n, d) with every NaN at its mean given the row's other cells.

    No last bit of a row depends on the other rows.

    Parameters
    ----------
    x : ndarray (n, d)
    mean, precision : ndarray (d,), (d, d)
        Of the normal distribution; the precision is the inverse of its covariance.

    Examples
    --------
    >>> precision = np.linalg.inv(np.array([[1.0, 0.5], [0.5, 1.0]]))
    >>> conditional_means(np.array([[3.0, np.nan]]), np.array([1.0, 1.0]), precision).round(12).tolist()
    [[3.0, 2.0]]
    """
    out = x.copy()
    for rows, gone in _by_holes(np.isnan(x)):
        centred = x[rows] - mean
        np.put_along_axis(centred, gone, 0.0, axis=1)
        pull = np.zeros_like(centred)
        for column in range(x.shape[1]):  # not a matrix product: its last bits depend on the number of rows
            pull += centred[:, column, None] * precision[column]
        pull = np.take_along_axis(pull, gone, axis=1)
        within = precision[gone[:, :, None], gone[:, None, :]]
        out[rows[:, None], gone] = mean[gone] - np.linalg.solve(within, pull[:, :, None])[:, :, 0]
    return out


def _patterns(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows (P, d) of booleans, in their order, and which of them each row is (n,)."""
    if seen.all():
        return np.ones((1, seen.shape[1]), dtype=bool), np.zeros(len(seen), dtype=np.intp)
    bits: np.ndarray = np.packbits(seen, axis=1)
    if bits.shape[1] <= 8:  # one number a row is sorted many times quicker
        whole = np.ascontiguousarray(np.pad(bits, ((0, 0), (0, 8 - bits.shape[1]))))
        bits = whole.view(">u8").astype(np.uint64)[:, 0]
    _, first, index = np.unique(bits, axis=0, return_index=True, return_inverse=True)
    return seen[first], index.reshape(-1)


def _by_holes(holes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows with equally many holes, a batch at a time, and the positions of the holes (b, k)."""
    counts = holes.sum(axis=1)
    for k in np.unique(counts[counts > 0]):
        rows = np.flatnonzero(counts == k)
        size = max(1, MOST // 2 // max(int(k) ** 2, holes.shape[1]))
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield part, np.nonzero(holes[part])[1].reshape(len(part), k)
