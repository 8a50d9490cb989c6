"""The tree of columns that tells most: each column is linked to the one it depends on most."""

from __future__ import annotations

import numpy as np

__all__ = ["dependence_tree"]

LEVELS = 32  # tokens are compared on at most this many groups
ROWS = 10_000
MOST_COLUMNS = 200


def dependence_tree(tokens: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Return the parent of each column (-1 for a root) in the tree of largest mutual information.

    Parameters
    ----------
    tokens : ndarray of int, (n, p)
    sizes : ndarray of int, (p,)
        Number of tokens of each column.
    rng : numpy Generator
        Picks the rows, where there are more than 10,000.

    Notes
    -----
    Mutual information is corrected for what chance alone would give, so that
    independent columns, and all columns of very short or very wide tables, stay
    unlinked. Costs one matrix product over (rows, groups).

    References
    ----------
    C. Chow, C. Liu, "Approximating discrete probability distributions with dependence
    trees", 1968, doi:10.1109/TIT.1968.1054142.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.integers(4, size=(2, 500))
    >>> dependence_tree(np.stack([a, b, a], axis=1), np.array([4, 4, 4]), rng)
    [-1, -1, 0]
    """
    n, p = tokens.shape
    parents = [-1] * p
    if p < 2 or p > MOST_COLUMNS:
        return parents
    if n > ROWS:
        tokens = tokens[np.sort(rng.permutation(n)[:ROWS])]
    gain = _information(tokens.astype(np.int64), np.asarray(sizes, dtype=np.int64))
    # Prim's algorithm: join the column that depends most on one already in; start where most is known.
    best, via = np.full(p, -np.inf), np.full(p, -1)
    left = np.ones(p, dtype=bool)
    column = int(np.argmax(gain.max(axis=1)))
    for _ in range(p):
        left[column] = False
        closer = left & (gain[column] > best)
        best[closer], via[closer] = gain[column][closer], column
        if not left.any():
            break
        column = int(np.flatnonzero(left)[np.argmax(best[left])])
        parents[column] = int(via[column]) if best[column] > 0 else -1
    return parents


def _information(tokens: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the mutual information of every pair beyond chance, (p, p), in nats."""
    n, p = tokens.shape
    groups = np.minimum(sizes, LEVELS)
    first = np.cumsum(groups) - groups
    onehot = np.zeros((n, int(groups.sum())), dtype=np.float32)
    onehot[np.arange(n)[:, None], tokens * groups // sizes + first] = 1.0
    joint = (onehot.T @ onehot).astype(np.float64) / n
    margin = np.diag(joint)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(joint > 0, joint * np.log(joint / np.outer(margin, margin)), 0.0)
    total = np.add.reduceat(np.add.reduceat(terms, first, axis=0), first, axis=1)
    used = np.add.reduceat((margin > 0).astype(np.float64), first)
    # Of independent columns, 2n times the information is chi-squared: three deviations beyond its mean count.
    freedom = np.outer(used - 1, used - 1)
    gain = total - (freedom + 3.0 * np.sqrt(2.0 * freedom)) / (2 * n)
    np.fill_diagonal(gain, -np.inf)
    return gain
