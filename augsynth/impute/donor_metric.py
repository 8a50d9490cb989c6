"""What one column tells of another: the weights by which rows are compared."""

from __future__ import annotations

import numpy as np

from augsynth.encode.layout import Layout

__all__ = ["associations", "spread_of_categories"]

_LEVELS = 30  # the most frequent levels of a column; rarer ones count as one
_ROWS = 5_000


def associations(scores: np.ndarray, layout: Layout) -> np.ndarray:
    """Return the share of each column's variance that each other column explains alone, (p, p).

    Row j, column k: how much of column j is known once k is. Two numbers: the squared
    correlation; a number and a category: the correlation ratio; two categories: Goodman
    and Kruskal's tau. All are the coefficient of determination of column j (as indicators
    of its levels, if a category), corrected for the number of levels, over the rows in
    which both are observed. The diagonal is 0.

    Parameters
    ----------
    scores : ndarray (n, p)
        Standardised numbers and level codes, NaN = missing. The first 5,000 rows are used.
    layout : Layout

    References
    ----------
    Goodman and Kruskal (1954), doi:10.1080/01621459.1954.10501231. Ezekiel (1930): the
    adjusted coefficient of determination.

    Examples
    --------
    >>> from augsynth.encode.layout import Block
    >>> scores = np.repeat([[-1.0, 0], [1.0, 1]], 50, axis=0)
    >>> associations(scores, Layout((Block("height"), Block("sex", n_levels=2)))).round(2)
    array([[0., 1.],
           [1., 0.]])
    """
    part = scores[:_ROWS]
    parts = [_indicators(part[:, j], block.n_levels) for j, block in enumerate(layout)]
    width = np.array([len(columns.T) for columns in parts])
    begin = np.concatenate([[0], np.cumsum(width)])
    x = np.hstack(parts)
    seen = (~np.isnan(part)).astype(float)
    n = seen.T @ seen  # (p, p): rows that have both
    sums, squares = x.T @ seen, (x * x).T @ seen  # (K, p): over the rows that also have column k
    cross = x.T @ x
    shares = np.zeros((len(layout), len(layout)))
    for k, block in enumerate(layout):
        own = slice(begin[k], begin[k + 1])
        both = np.maximum(np.repeat(n[:, k], width), 1.0)
        mean = sums[:, k] ** 2 / both
        total = squares[:, k] - mean
        if block.is_numeric:
            other = np.repeat(sums[begin[k]], width)
            spread = np.repeat(squares[begin[k]], width) - other**2 / both
            between = (cross[:, begin[k]] - sums[:, k] * other / both) ** 2 / np.maximum(spread, 1e-12)
        else:
            count = np.repeat(sums[own], width, axis=1)  # rows at each level of k that have column j
            between = (cross[own] ** 2 / np.maximum(count, 1.0)).sum(axis=0) - mean
        between_all, total_all = (np.add.reduceat(v, begin[:-1]) for v in (between, total))
        free = n[:, k] - max(width[k] - 1, 1) - 1
        known = (free > 1) & (total_all > 1e-9)
        left = 1.0 - between_all[known] / total_all[known]
        shares[known, k] = 1.0 - left * (n[known, k] - 1.0) / free[known]
    np.fill_diagonal(shares, 0.0)
    return np.clip(shares, 0.0, 1.0)


def _indicators(column: np.ndarray, n_levels: int) -> np.ndarray:
    """Return a column as numbers that can be summed, 0 where missing: itself, or one a level."""
    if not n_levels:
        return np.nan_to_num(column)[:, None]
    codes = np.where(np.isnan(column), -1.0, column).astype(np.intp)
    count = np.bincount(codes[codes >= 0], minlength=n_levels)
    frequent = np.argsort(-count, kind="stable")[:_LEVELS]
    place = np.full(n_levels + 1, len(frequent))
    place[frequent] = np.arange(len(frequent))
    place[-1] = len(frequent) + 1  # missing
    return (place[codes][:, None] == np.arange(len(frequent) + (n_levels > _LEVELS))).astype(float)


def spread_of_categories(scores: np.ndarray, layout: Layout) -> np.ndarray:
    """Return how likely two rows differ in each column, (p,); 1 for numbers, half their squared distance."""
    spread = np.ones(len(layout))
    for j in layout.categorical:
        codes = scores[~np.isnan(scores[:, j]), j].astype(np.intp)
        share = np.bincount(codes) / max(len(codes), 1)
        spread[j] = 1.0 - (share**2).sum()
    return spread
