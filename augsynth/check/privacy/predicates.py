"""Conditions on columns, learned from new rows, that may hold for exactly one person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augsynth.encode.layout import Layout

__all__ = ["Predicates", "guessed", "met", "multivariate", "univariate"]

_EQUAL, _AT_MOST, _AT_LEAST = 0, 1, 2
_MOST_COLUMNS = 6
_TRIES = 4


@dataclass(frozen=True, eq=False)
class Predicates:
    """Conditions; each is met by rows that meet all its parts.

    Attributes
    ----------
    columns : ndarray (q, c) of int
        -1 where a condition has fewer parts.
    kinds : ndarray (q, c) of int
        0 equal, 1 at most, 2 at least.
    values : ndarray (q, c)
    """

    columns: np.ndarray
    kinds: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.columns)

    def take(self, rows: np.ndarray) -> Predicates:
        """Return some of them."""
        return Predicates(self.columns[rows], self.kinds[rows], self.values[rows])


def met(predicates: Predicates, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which conditions which rows meet: pairs of a condition and a row, in order of conditions.

    Examples
    --------
    >>> older = Predicates(np.array([[0, 1]]), np.array([[2, 0]]), np.array([[60.0, 1.0]]))
    >>> met(older, np.array([[70.0, 1.0], [70.0, 0.0], [50.0, 1.0]]))
    (array([0]), array([0]))
    """
    columns = np.ascontiguousarray(z.T)
    asked, rows = [], []
    for q in range(len(predicates)):
        left = np.arange(len(z))
        for j, kind, value in zip(
            predicates.columns[q], predicates.kinds[q], predicates.values[q], strict=True
        ):
            if j < 0 or not len(left):
                continue
            cells = columns[j][left]
            held = (
                cells == value if kind == _EQUAL else cells <= value if kind == _AT_MOST else cells >= value
            )
            left = left[held]
        asked.append(np.full(len(left), q))
        rows.append(left)
    empty = np.empty(0, dtype=np.intp)
    return np.concatenate([*asked, empty]), np.concatenate([*rows, empty])


def univariate(z: np.ndarray, layout: Layout, most: int, rng: np.random.Generator) -> Predicates:
    """Return conditions on one column that one new row meets: a value that is unique, the two extremes.

    No column gives more than its share, so that one with very many values does not
    decide alone.

    Parameters
    ----------
    z : ndarray (m, p)
        The new rows.
    most : int
        How many conditions.
    """
    found: list[list[tuple[int, int, float]]] = []
    for j in range(z.shape[1]):
        cells = z[~np.isnan(z[:, j]), j]
        values, counts = np.unique(cells, return_counts=True)
        single = [(j, _EQUAL, float(v)) for v in rng.permutation(values[counts == 1])[:most]]
        if layout[j].is_numeric and len(values) > 1:
            single[:0] = [(j, kind, float(v)) for kind, v in ((_AT_MOST, values[0]), (_AT_LEAST, values[-1]))]
        found.append(single)
    share = _fair_share([len(each) for each in found], most)
    return _packed([(part,) for each in found for part in each[:share]])


def multivariate(z: np.ndarray, layout: Layout, most: int, rng: np.random.Generator) -> Predicates:
    """Return conditions on two to six columns that exactly one new row meets.

    Each is read off a new row: equal where it is a category, at least (at most) where its
    number is above (below) the median. Columns are drawn with equal chances.
    """
    p = z.shape[1]
    if p < 2:
        return _packed([])
    middle = [float(np.median(c[~np.isnan(c)])) if (~np.isnan(c)).any() else 0.0 for c in z.T]
    tried = []
    for row in rng.integers(len(z), size=_TRIES * most):
        size = int(rng.integers(2, min(_MOST_COLUMNS, p) + 1))
        parts = []
        for j in rng.permutation(p)[:size]:
            value = float(z[row, j])
            if np.isnan(value):
                continue
            kind = _EQUAL if not layout[int(j)].is_numeric else _AT_LEAST if value > middle[j] else _AT_MOST
            parts.append((int(j), kind, value))
        if parts:
            tried.append(tuple(parts))
    every = _packed(tried)
    asked, _ = met(every, z)
    return every.take(np.flatnonzero(np.bincount(asked, minlength=len(every)) == 1)[:most])


def guessed(predicates: Predicates, z: np.ndarray, layout: Layout, rng: np.random.Generator) -> Predicates:
    """Return conditions on the same columns with values drawn blindly from the range of each column."""
    values = predicates.values.copy()
    for j in range(z.shape[1]):
        at = predicates.columns == j
        if not at.any():
            continue
        if layout[j].is_numeric:
            cells = z[~np.isnan(z[:, j]), j]
            low, high = (float(cells.min()), float(cells.max())) if len(cells) else (0.0, 0.0)
            drawn = rng.uniform(low, high, int(at.sum()))
            values[at] = np.round(drawn) if layout[j].integer else drawn
        else:
            values[at] = rng.integers(layout[j].n_levels, size=int(at.sum()))
    return Predicates(predicates.columns, predicates.kinds, values)


def _fair_share(sizes: list[int], most: int) -> int:
    """Return how many each column may give, so that all together give about ``most``."""
    share = 0
    while (
        share < most and sum(min(size, share + 1) for size in sizes) <= most and share < max(sizes, default=0)
    ):
        share += 1
    return max(share, 1)


def _packed(found: list[tuple[tuple[int, int, float], ...]]) -> Predicates:
    width = max((len(parts) for parts in found), default=1)
    columns = np.full((len(found), width), -1)
    kinds, values = np.zeros((len(found), width), dtype=int), np.zeros((len(found), width))
    for q, parts in enumerate(found):
        for c, (j, kind, value) in enumerate(parts):
            columns[q, c], kinds[q, c], values[q, c] = j, kind, value
    return Predicates(columns, kinds, values)
