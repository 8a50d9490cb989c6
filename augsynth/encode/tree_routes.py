"""A decision tree as arrays: where rows go, without the object that learned it."""

from __future__ import annotations

from typing import Any

import numpy as np

from augsynth.core.errors import ModelFileError
from augsynth.core.persistence import persistent

__all__ = ["RoutingTree"]

_STOP = -1


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

    def _set_state(self, state: dict[str, Any]) -> None:
        """Take the arrays of a file, unless rows would run in a circle in them."""
        vars(self).update(state)
        nodes = np.arange(len(self.left))
        inner = self.left != _STOP
        for child in (self.left, self.right):
            if not (child[inner] > nodes[inner]).all() or child.max(initial=0) >= len(nodes):
                raise ModelFileError("load: the children of a tree's node must come after it.")

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
