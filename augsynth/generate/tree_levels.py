"""The levels of a column in an order that a tree can cut."""

from __future__ import annotations

import numpy as np

__all__ = ["level_directions"]

_SHRINK = 10.0  # rows' worth of the overall mean in the mean of a level


def level_directions(
    codes: np.ndarray,
    n_levels: int,
    target: np.ndarray,
    weights: np.ndarray,
    n_directions: int,
) -> np.ndarray:
    """Place the levels of a column where rows with like targets are near.

    The mean target of each level, shrunk to the overall mean, is projected on its
    principal directions: an order of the levels in which a threshold makes sense,
    without a column a level.

    Parameters
    ----------
    codes : ndarray of int, (n,)
        Level of each row; ``n_levels`` stands for missing.
    target : ndarray, (n, t)

    Returns
    -------
    ndarray, (n_levels + 1, n_directions)
    """
    count = np.bincount(codes, weights, minlength=n_levels + 1)
    total = np.stack(
        [np.bincount(codes, weights * column, minlength=n_levels + 1) for column in target.T], axis=1
    )
    overall = np.average(target, axis=0, weights=weights)
    means = (total + _SHRINK * overall) / (count + _SHRINK)[:, None] - overall
    if target.shape[1] <= n_directions:
        return means
    _, vectors = np.linalg.eigh((means * count[:, None]).T @ means)
    return means @ vectors[:, : -n_directions - 1 : -1]
