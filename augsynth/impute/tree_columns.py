"""One column by a forest, its draws from the leaves' rows."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from augsynth.core.persistence import persistent
from augsynth.encode.layout import Block
from augsynth.impute.column_model import ColumnModel, PredictorView
from augsynth.impute.design import center_and_scale
from augsynth.impute.grown_trees import GrownTrees

__all__ = ["TreeColumn"]

_POINT_TREES, _DRAW_TREES = 60, 12
_MOST_ROWS = 10_000
_LEAF = 3
_HUGE = 1e30  # features are single precision


@persistent
class TreeColumn(ColumnModel):
    """A column as the average of extremely randomised trees: no assumption but that near rows are alike.

    Trees see the design's columns: standardised numbers and indicators of levels.
    ``expect`` averages the trees; ``draw`` takes a random tree and in it a random training
    row of the leaf, so that drawn values are observed ones, of rows alike. At most
    10,000 rows are learned from, 3 a leaf. Parameters are drawn by one bootstrap of the
    rows, on which all trees of a draw grow.

    Notes
    -----
    ``error`` is out-of-bag.

    Deviation: Doove et al. grow CART trees; here the thresholds are random (Geurts et
    al.), which is several times faster and no worse.

    References
    ----------
    Doove, van Buuren and Dusseldorp, "Recursive partitioning for missing data imputation
    in the presence of interaction effects", CSDA 72, 2014, doi:10.1016/j.csda.2013.10.025.
    Geurts, Ernst and Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006,
    doi:10.1007/s10994-006-6226-1. Meinshausen, "Quantile regression forests", JMLR 7,
    2006. Stekhoven and Buehlmann, "MissForest", Bioinformatics 28(1), 2012,
    doi:10.1093/bioinformatics/btr597.

    Examples
    --------
    >>> from augsynth.encode.layout import Layout
    >>> layout = Layout((Block("x"), Block("y")))
    >>> x = np.linspace(-1.0, 1.0, 200)
    >>> view = PredictorView.of(np.column_stack([x, x]), layout, target=1)
    >>> model = TreeColumn(layout[1]).fit(view, np.abs(x), np.random.default_rng(0), drawn=False)
    >>> model.error < 0.3 * model.baseline
    True
    """

    def __init__(self, block: Block, *, n_donors: int = 5):
        super().__init__(block, n_donors=n_donors)
        self._forest: Any = None

    def _state(self) -> dict[str, Any]:
        return {**vars(self), "_forest": None if self._forest is None else GrownTrees.of(self._forest)}

    def _set_state(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def fit(self, view: PredictorView, target: np.ndarray, rng: np.random.Generator, *, drawn: bool) -> Self:
        """Grow the trees; see `ColumnModel.fit`."""
        if len(target) > _MOST_ROWS:
            where = np.sort(rng.permutation(len(target))[:_MOST_ROWS])
            view, target = view.take(where), target[where]
        if drawn:  # one sample for all trees: what is drawn differs between draws, not only between rows
            where = np.sort(rng.integers(0, len(target), len(target)))
            view, target = view.take(where), target[where]
        numeric = self.block.is_numeric
        self._mean, self._scale = center_and_scale(target) if numeric else (0.0, 1.0)
        y = (target - self._mean) / self._scale if numeric else target.astype(np.intp)
        if numeric:
            self._plain = np.zeros(1)
        else:
            self._plain = np.bincount(y, minlength=self.block.n_levels) / len(y)
        if not len(view.design_columns) or len(y) < 2 or (y == y[0]).all():
            self._values = target
            return self
        forest = ExtraTreesRegressor if numeric else ExtraTreesClassifier
        self._forest = forest(
            _DRAW_TREES if drawn else _POINT_TREES,
            bootstrap=not drawn,
            oob_score=not drawn,
            min_samples_leaf=_LEAF if numeric else 1,
            min_samples_split=2 if numeric else 4,
            max_features=1.0 if numeric else 0.5,
            random_state=int(rng.integers(2**31)),
        )
        x = self._features(view)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rows that are in every bootstrap sample
            self._forest.fit(x, y)
        if drawn:
            self._remember(x, target)
        else:
            self._judge(y)
        return self

    @staticmethod
    def _features(view: PredictorView) -> np.ndarray:
        return np.clip(view.design, -_HUGE, _HUGE).astype(np.float32)

    def _judge(self, y: np.ndarray) -> None:
        if self.block.is_numeric:
            rest = y - self._forest.oob_prediction_
            self.error = float(np.sqrt(np.mean(rest**2))) * self._scale
            self.baseline = float(y.std()) * self._scale
            return
        votes = self._forest.oob_decision_function_
        said = self._forest.classes_[np.nan_to_num(votes).argmax(axis=1)]
        self.error = float(np.mean(said != y))
        self.baseline = 1.0 - float(self._plain.max())

    def _remember(self, x: np.ndarray, target: np.ndarray) -> None:
        """Keep the rows of each leaf, tree by tree, sorted by leaf."""
        leaves = self._forest.apply(x)
        self._donors, self._first, self._count = [], [], []
        for t in range(leaves.shape[1]):
            mine = leaves[:, t]
            order = np.argsort(mine, kind="stable")
            n_nodes = self._forest.estimators_[t].tree_.node_count
            count = np.bincount(mine, minlength=n_nodes)
            self._donors.append(target[order])
            self._first.append(np.cumsum(count) - count)
            self._count.append(count)

    def expect(self, view: PredictorView) -> np.ndarray:
        """Return conditional means (n,), or probabilities of the levels (n, n_levels)."""
        n = len(view)
        if self.block.is_numeric:
            if self._forest is None or not n:
                return np.full(n, self._mean)
            return self._forest.predict(self._features(view)) * self._scale + self._mean
        if self._forest is None or not n:
            return np.tile(self._plain, (n, 1))
        out = np.zeros((n, self.block.n_levels))
        out[:, self._forest.classes_] = self._forest.predict_proba(self._features(view))
        return out

    def draw(self, view: PredictorView, u: np.ndarray) -> np.ndarray:
        """Return the value of a random row of the leaf in a random tree (n,)."""
        if self._forest is None or not len(view):
            return self._values[_pick(u[:, 1], len(self._values))] if len(view) else np.empty(0)
        leaves = self._forest.apply(self._features(view))
        trees = _pick(u[:, 0], leaves.shape[1])
        out = np.empty(len(view))
        for t in range(leaves.shape[1]):
            rows = np.flatnonzero(trees == t)
            leaf = leaves[rows, t]
            place = self._first[t][leaf] + _pick(u[rows, 1], self._count[t][leaf])
            out[rows] = self._donors[t][place]
        return out


def _pick(u: np.ndarray, size: int | np.ndarray) -> np.ndarray:
    """Return whole numbers below ``size``, by uniform numbers u (n,)."""
    return np.minimum((u * size).astype(np.intp), np.asarray(size) - 1)
