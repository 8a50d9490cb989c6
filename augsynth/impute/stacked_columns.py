"""One column as a linear function of the others and a forest of what that leaves over."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestRegressor

from augsynth.encode.layout import Block
from augsynth.impute.column_model import ColumnModel, PredictorView
from augsynth.impute.design import center_and_scale
from augsynth.impute.linear_columns import fit_ridge
from augsynth.impute.matching import Matcher

__all__ = ["StackedColumn"]

_FEW = 3_000  # rows up to which the residuals are learned by forests, else by boosting
_MOST_ROWS = 20_000
_MOST_LEVELS = 30  # levels that are predicted; the rarer ones keep their shares
_HUGE = 1e30


class StackedColumn(ColumnModel):
    """A column by ridge regression plus trees on its residuals, shrunk by their out-of-bag worth."""

    def __init__(self, block: Block, *, n_donors: int = 5):
        super().__init__(block, n_donors=n_donors)
        self._trees: list[Any] = []

    def fit(self, view: PredictorView, target: np.ndarray, rng: np.random.Generator, *, drawn: bool) -> Self:
        """Learn the linear part, then the trees; see `ColumnModel.fit`."""
        if len(target) > _MOST_ROWS:
            where = np.sort(rng.permutation(len(target))[:_MOST_ROWS])
            view, target = view.take(where), target[where]
        if drawn:
            where = np.sort(rng.integers(0, len(target), len(target)))
            view, target = view.take(where), target[where]
        y = self._targets(target)
        self._center = y.mean(axis=0)
        self._range = y.min(axis=0), y.max(axis=0)
        self._fit_linear(view.design, y)
        linear = self._linear(view)
        held_out = linear
        if len(y) >= 20 and len(view.design_columns) and (self._range[1] > self._range[0]).any():
            held_out = linear + self._fit_trees(self._features(view, linear), y - linear, rng, drawn)
        self._judge(held_out, y, target, drawn)
        if drawn and self.block.is_numeric:
            self._matcher = Matcher(held_out[:, 0], target, self.n_donors)
        return self

    def _targets(self, target: np.ndarray) -> np.ndarray:
        """Return standardised numbers (n, 1), or indicators of the commonest levels (n, k)."""
        if self.block.is_numeric:
            self._mean, self._scale = center_and_scale(target)
            return ((target - self._mean) / self._scale)[:, None]
        codes = target.astype(np.intp)
        counts = np.bincount(codes, minlength=self.block.n_levels)
        self._shares = counts / counts.sum()
        order = np.argsort(-counts, kind="stable")[:_MOST_LEVELS]
        self._levels = np.sort(order[counts[order] > 0])
        return (codes[:, None] == self._levels).astype(np.float64)

    def _fit_linear(self, design: np.ndarray, y: np.ndarray) -> None:
        self._coefficients = np.zeros((design.shape[1], y.shape[1]))
        self._intercepts = np.zeros(y.shape[1])
        for k in range(y.shape[1]):
            ridge = fit_ridge(design, y[:, k])
            self._coefficients[ridge.columns, k] = ridge.coefficients
            self._intercepts[k] = ridge.intercept

    def _linear(self, view: PredictorView) -> np.ndarray:
        low, high = self._range
        margin = 0.5 * (high - low)
        return np.clip(view.dot(self._coefficients) + self._intercepts, low - margin, high + margin)

    @staticmethod
    def _features(view: PredictorView, linear: np.ndarray) -> np.ndarray:
        return np.clip(np.hstack([view.design, linear]), -_HUGE, _HUGE).astype(np.float32)

    def _fit_trees(
        self, x: np.ndarray, rest: np.ndarray, rng: np.random.Generator, drawn: bool
    ) -> np.ndarray:
        """Fit trees to the residuals (n, k) and return their predictions of rows they did not see."""
        seed = int(rng.integers(2**31))
        target = rest[:, 0] if rest.shape[1] == 1 else rest
        if len(x) > _FEW and rest.shape[1] == 1:
            return self._fit_boosted(x, target, seed)[:, None]
        common = {"bootstrap": True, "oob_score": True, "min_samples_leaf": 3, "random_state": seed}
        self._trees = [
            ExtraTreesRegressor(30 if not drawn else 10, max_features=1.0, **common),
            RandomForestRegressor(30 if not drawn else 10, max_features=0.5, **common),
        ]
        held_out = np.zeros_like(rest)
        for trees in self._trees:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # rows in every bootstrap sample
                trees.fit(x, target)
            held_out += trees.oob_prediction_.reshape(rest.shape)
        return held_out / len(self._trees)

    def _fit_boosted(self, x: np.ndarray, rest: np.ndarray, seed: int) -> np.ndarray:
        trees = HistGradientBoostingRegressor(
            max_iter=80, learning_rate=0.1, max_leaf_nodes=24, early_stopping=False, random_state=seed
        )
        self._trees = [trees.fit(x, rest)]
        return trees.predict(x)

    def _predicted(self, view: PredictorView) -> np.ndarray:
        linear = self._linear(view)
        if not self._trees or not len(view):
            return linear
        x = self._features(view, linear)
        rest = sum(trees.predict(x).reshape(linear.shape) for trees in self._trees)
        return linear + rest / len(self._trees)

    def _judge(self, held_out: np.ndarray, y: np.ndarray, target: np.ndarray, drawn: bool) -> None:
        if drawn or len(y) < 3:
            return
        if self.block.is_numeric:
            self.error = float(np.sqrt(np.mean((held_out - y) ** 2))) * self._scale
            self.baseline = float(y.std(ddof=1)) * self._scale
        else:
            self.error = float(np.mean(self._levels[held_out.argmax(axis=1)] != target))
            self.baseline = 1.0 - float(self._shares.max())

    def expect(self, view: PredictorView) -> np.ndarray:
        """Return conditional means (n,), or probabilities of the levels (n, n_levels)."""
        predicted = self._predicted(view)
        if self.block.is_numeric:
            low, high = self._range
            margin = 0.5 * (high - low)
            return np.clip(predicted, low - margin, high + margin)[:, 0] * self._scale + self._mean
        known = np.clip(predicted, 1e-6, 1.0)
        out = np.tile(self._shares, (len(known), 1))
        rest = 1.0 - self._shares[self._levels].sum()
        out[:, self._levels] = known / known.sum(axis=1, keepdims=True) * (1.0 - rest)
        return out

    def draw(self, view: PredictorView, u: np.ndarray) -> np.ndarray:
        """Return observed values of near donors, or levels by their probabilities, (n,)."""
        if self.block.is_numeric:
            return self._matcher.draw(self._predicted(view)[:, 0], u[:, 0])
        chances = np.cumsum(self.expect(view), axis=1)
        return (chances[:, :-1] <= (u[:, 0] * chances[:, -1])[:, None]).sum(axis=1).astype(np.float64)
