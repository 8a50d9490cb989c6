"""A decision tree as arrays: where rows go, without the object that learned it."""

from __future__ import annotations

from typing import Any

import numpy as np

from augsynth.core.persistence import persistent

__all__ = ["RoutingTree", "level_directions"]

_STOP = -1
_SHRINK = 10.0  # rows' worth of the overall mean in the mean of a level


@persistent
class RoutingTree:
    """Route rows to the leaves of a fitted scikit-learn tree, as its ``apply`` does.

    Parameters
    ----------
    tree : sklearn.tree.Tree
        The ``tree_`` of a fitted decision tree; its arrays are copied.
    """

    def __init__(self, tree: Any):
        self.left = tree.children_left.astype(np.int32)
        self.right = tree.children_right.astype(np.int32)
        self.feature = np.maximum(tree.feature, 0).astype(np.int32)
        self.threshold = tree.threshold.astype(np.float64)
        self.missing_left = tree.missing_go_to_left.astype(bool)
        self.n_rows = tree.n_node_samples.astype(np.int64)

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Return the leaf's node (n,) of each row of ``features`` (n, f) float32."""
        node = np.zeros(len(features), dtype=np.intp)
        active = np.arange(len(features)) if self.left[0] != _STOP else np.zeros(0, dtype=np.intp)
        while len(active):
            at = node[active]
            x = features[active, self.feature[at]]
            left = np.where(np.isnan(x), self.missing_left[at], x <= self.threshold[at])
            node[active] = at = np.where(left, self.left[at], self.right[at])
            active = active[self.left[at] != _STOP]
        return node

    def groups(self, min_rows: int) -> np.ndarray:
        """Return, for each node, its nearest ancestor (or itself) whose children would be too small."""
        group = np.arange(len(self.left))
        closed = np.zeros(len(self.left), dtype=bool)
        for i in range(len(self.left)):  # parents come before their children
            if self.left[i] == _STOP:
                continue
            children = [self.left[i], self.right[i]]
            if closed[i] or self.n_rows[children].min() < min_rows:
                closed[[i, *children]] = True
                group[children] = group[i]
        return group


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
