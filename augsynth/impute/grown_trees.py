"""Fitted trees of scikit-learn as arrays, which can be saved and give the same bits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Self

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from augsynth.core.errors import ModelFileError, sentence
from augsynth.core.persistence import persistent
from augsynth.encode.tree_routes import RoutingTree

__all__ = ["GrownTrees"]


@persistent
class GrownTrees:
    """Predict what a fitted forest or boosted trees predict, to the last bit.

    scikit-learn's own objects are the quicker ones; these are what is left of them in a
    file. Features must not be missing.

    Parameters
    ----------
    trees : list of RoutingTree
    values : list of ndarray (n_nodes, k)
        What each node of a tree predicts.
    start : float
        What the trees' values are added to.
    divisor : float
        By which the sum is divided: the number of trees of a forest, 1 for boosting.
    classes : ndarray, optional
        The labels of a classifier.

    Examples
    --------
    >>> from sklearn.ensemble import ExtraTreesRegressor
    >>> x = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    >>> forest = ExtraTreesRegressor(5, random_state=0).fit(x, x[:, 0] ** 2)
    >>> bool((GrownTrees.of(forest).predict(x) == forest.predict(x)).all())
    True
    """

    def __init__(
        self,
        trees: list[RoutingTree],
        values: list[np.ndarray],
        *,
        start: float = 0.0,
        divisor: float = 1.0,
        classes: np.ndarray | None = None,
    ):
        self.trees = trees
        self.values = values
        self.start = start
        self.divisor = divisor
        self.classes_ = classes

    @classmethod
    def of(cls, model: Any) -> Self:
        """Return the arrays of a fitted forest, or of a boosted regression of numbers."""
        if isinstance(model, cls):
            return model
        if isinstance(model, HistGradientBoostingRegressor):
            return cls._boosted(model)
        grown = [member.tree_ for member in model.estimators_]
        classes = getattr(model, "classes_", None)
        # one output: (nodes, 1, classes or 1); several outputs of a regression: (nodes, outputs, 1)
        values = [tree.value[:, 0, :] if tree.n_outputs == 1 else tree.value[:, :, 0] for tree in grown]
        return cls(
            [RoutingTree(tree) for tree in grown],
            [np.array(part) for part in values],
            divisor=float(len(grown)),
            classes=None if classes is None else np.asarray(classes),
        )

    @classmethod
    def _boosted(cls, model: Any) -> Self:
        try:  # scikit-learn shows no tree of its boosting in public
            nodes = [stage[0].nodes for stage in model._predictors]
            start = float(np.ravel(model._baseline_prediction)[0])
            trees = [RoutingTree(_as_tree(part)) for part in nodes]
        except (AttributeError, ValueError, IndexError) as error:
            must = "boosted trees must be laid out as in the scikit-learn that this version knows"
            raise ModelFileError(sentence("save", must, f"{type(error).__name__}: {error}")) from error
        return cls(trees, [part["value"][:, None].astype(np.float64) for part in nodes], start=start)

    def _state(self) -> dict[str, Any]:
        """Return all trees end to end: a file would take long over so many small arrays."""
        state: dict[str, Any] = {"start": self.start, "divisor": self.divisor, "classes_": self.classes_}
        state["nodes"] = np.array([len(tree.left) for tree in self.trees])
        state["values"] = np.concatenate(self.values)
        names = vars(self.trees[0])
        return state | {
            "trees": {name: np.concatenate([vars(tree)[name] for tree in self.trees]) for name in names}
        }

    def _set_state(self, state: dict[str, Any]) -> None:
        ends = np.cumsum(state.pop("nodes"))[:-1]
        parts = {name: np.split(array, ends) for name, array in state.pop("trees").items()}
        self.values = np.split(state.pop("values"), ends)
        self.trees = [object.__new__(RoutingTree) for _ in self.values]
        for k, tree in enumerate(self.trees):
            tree._set_state({name: arrays[k] for name, arrays in parts.items()})
        self.__dict__.update(state)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return predictions (n,), or (n, k) of several outputs, of rows x (n, f) float32."""
        total = self._sums(x)
        return total[:, 0] if total.shape[1] == 1 else total

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities (n, classes)."""
        return self._sums(x)

    def _sums(self, x: np.ndarray) -> np.ndarray:
        total = np.full((len(x), self.values[0].shape[1]), self.start)
        for tree, value in zip(self.trees, self.values, strict=True):  # one by one, as scikit-learn adds them
            total += value[tree.apply(x)]
        return total / self.divisor


def _as_tree(nodes: np.ndarray) -> SimpleNamespace:
    """Return the nodes of a boosted tree under the names that other trees have."""
    leaf = nodes["is_leaf"].astype(bool)
    return SimpleNamespace(
        children_left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        children_right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=nodes["num_threshold"],
        missing_go_to_left=nodes["missing_go_to_left"],
        n_node_samples=nodes["count"],
    )
