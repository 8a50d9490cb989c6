"""One column as a linear function of the others, and trees on what that leaves over."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestRegressor

from augsynth.core.persistence import persistent
from augsynth.encode.layout import Block
from augsynth.impute.column_model import ColumnModel, PredictorView
from augsynth.impute.design import center_and_scale
from augsynth.impute.grown_trees import GrownTrees
from augsynth.impute.matching import Matcher
from augsynth.impute.ridge import fit_ridge
from augsynth.impute.tree_columns import TreeColumn

__all__ = ["StackedColumn"]

_FEW = 3_000  # rows up to which forests learn the residuals, beyond it boosting (of numbers)
_MOST_FOREST_ROWS, _MOST_ROWS = 4_000, 20_000
_FEWEST_ROWS = 20  # below which there are no trees
_POINT_TREES, _DRAW_TREES = 30, 10  # of each of the two forests
_LEAF = 3
_MOST_LEVELS = 30  # levels that are predicted; the rarer ones keep their shares
_MARGIN = 2.0  # ranges of the observed values by which a prediction may leave them
_ENOUGH = 0.8  # slope of held-out predictions from which on nothing is shrunk
_HELD_OUT = 0.1  # share of the rows that boosting keeps for its judgement
_HUGE = 1e30  # features are single precision


@persistent
class StackedColumn(ColumnModel):
    """A column by ridge regression, and by trees on what that leaves over: the accurate default.

    The linear part (one a level, for categories) carries what is linear, also beyond the
    range of the rows; a forest of extremely randomised trees and a random forest, which
    see its prediction too, learn its residuals. Where the sum is worth little on held-out
    rows (a slope below 0.8, or more levels wrong than the commonest alone) it is shrunk
    towards the column's mean, so that a column that nothing predicts gets its mean.
    With more than 3,000 rows, gradient boosting takes the forests' place for numbers; at
    most 20,000 rows are learned from (categories: 4,000).

    ``draw`` of numbers matches on the predictions, with the slopes drawn from their
    posterior, few, random trees, and a bootstrap sample of the rows as donors, whose
    predictions are of trees that have not seen them (at most 4,000 rows); of categories,
    it is that of `TreeColumn`, whose joint distribution with the other columns measured
    closer to the truth.

    Notes
    -----
    ``error`` is that of rows held out of the trees (out-of-bag, or a tenth of the rows);
    the slopes of the linear part have seen them. Costs 60 trees, or 100 boosting rounds.

    Deviation: a stack in Breiman's sense weighs complete models; here the second learns
    the residuals of the first, and one weight is learned for the sum.

    References
    ----------
    Breiman, "Stacked regressions", Machine Learning 24, 1996, doi:10.1007/BF00117832.
    Zhang, Nettleton and Zhu, "Regression-enhanced random forests", 2019, arXiv:1904.10416.
    Geurts, Ernst and Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006,
    doi:10.1007/s10994-006-6226-1. Friedman, "Greedy function approximation", Annals of
    Statistics 29(5), 2001, doi:10.1214/aos/1013203451.

    Examples
    --------
    >>> from augsynth.encode.layout import Layout
    >>> layout = Layout((Block("x"), Block("y")))
    >>> x = np.linspace(-1.0, 1.0, 200)
    >>> y = 3.0 * x + np.abs(x)
    >>> view = PredictorView.of(np.column_stack([x, y]), layout, target=1)
    >>> model = StackedColumn(layout[1]).fit(view, y, np.random.default_rng(0), drawn=False)
    >>> model.error < 0.1 * model.baseline
    True
    """

    def __init__(self, block: Block, *, n_donors: int = 5):
        super().__init__(block, n_donors=n_donors)
        self._trees: list[Any] = []
        self._slope = 1.0
        self._slopes, self._intercepts = np.zeros((0, 1)), np.zeros(1)
        self._drawn = self._slopes, self._intercepts  # one draw of them

    def _state(self) -> dict[str, Any]:
        return {**vars(self), "_trees": [GrownTrees.of(trees) for trees in self._trees]}

    def _set_state(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def fit(self, view: PredictorView, target: np.ndarray, rng: np.random.Generator, *, drawn: bool) -> Self:
        """Learn the linear part, then the trees; see `ColumnModel.fit`."""
        if drawn and not self.block.is_numeric:
            self._leaves = TreeColumn(self.block).fit(view, target, rng, drawn=True)
            return self
        most = _MOST_ROWS if self.block.is_numeric and not drawn else _MOST_FOREST_ROWS
        if len(target) > most:
            where = np.sort(rng.permutation(len(target))[:most])
            view, target = view.take(where), target[where]
        y = self._targets(target)
        self._center, low, high = y.mean(axis=0), y.min(axis=0), y.max(axis=0)
        reach = _MARGIN * (high - low) if self.block.is_numeric else 0.5
        self._low, self._high = low - reach, high + reach
        self._fit_linear(view.design, y, rng, drawn)
        known = self._bounded(view.dot(self._slopes) + self._intercepts)
        held_out = known
        if len(y) >= _FEWEST_ROWS and self._slopes.size and (high > low).any():
            x = self._features(view, known)
            held_out = known + self._fit_trees(x, y - known, rng, drawn)
        if not drawn:
            self._judge(held_out, y, target)
            return self
        donors = np.flatnonzero(~np.isnan(held_out[:, 0]))
        donors = donors[rng.integers(0, len(donors), len(donors))]  # a sample too: between draws they differ
        self._matcher = Matcher(held_out[donors, 0], target[donors], self.n_donors)
        self._slopes, self._intercepts = self._drawn  # donors by the mean, recipients by the draw
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

    def _fit_linear(self, design: np.ndarray, y: np.ndarray, rng: np.random.Generator, drawn: bool) -> None:
        shape = design.shape[1], y.shape[1]
        self._slopes, self._intercepts = np.zeros(shape), np.zeros(shape[1])
        self._drawn = np.zeros(shape), np.zeros(shape[1])
        for k in range(shape[1]):
            ridge = fit_ridge(design, y[:, k], flat=drawn)
            self._slopes[ridge.columns, k], self._intercepts[k] = ridge.coefficients, ridge.intercept
            if drawn:
                self._drawn[0][ridge.columns, k], self._drawn[1][k], _ = ridge.drawn(rng)

    def _bounded(self, predicted: np.ndarray) -> np.ndarray:
        return np.clip(predicted, self._low, self._high)

    @staticmethod
    def _features(view: PredictorView, linear: np.ndarray) -> np.ndarray:
        return np.clip(np.hstack([view.design, linear]), -_HUGE, _HUGE).astype(np.float32)

    def _fit_trees(
        self, x: np.ndarray, rest: np.ndarray, rng: np.random.Generator, drawn: bool
    ) -> np.ndarray:
        """Fit trees to the residuals (n, k); return predictions of rows they did not see, others NaN."""
        seed = int(rng.integers(2**31 - 1))
        target = rest[:, 0] if rest.shape[1] == 1 else rest
        if len(x) > _FEW and rest.shape[1] == 1 and not drawn:
            last = rng.permutation(len(x))[: int(_HELD_OUT * len(x))]
            first = np.delete(np.arange(len(x)), last)
            boosted = HistGradientBoostingRegressor(
                max_iter=100, max_leaf_nodes=24, early_stopping=False, random_state=seed
            ).fit(x[first], target[first])
            self._trees = [boosted]
            held_out = np.full(rest.shape, np.nan)
            held_out[last, 0] = boosted.predict(x[last])
            return held_out
        common = {"bootstrap": True, "oob_score": True, "min_samples_leaf": _LEAF}
        n_trees = _DRAW_TREES if drawn else _POINT_TREES
        self._trees = [
            ExtraTreesRegressor(n_trees, max_features=1.0, random_state=seed, **common),
            RandomForestRegressor(n_trees, max_features=0.5, random_state=seed + 1, **common),
        ]
        total, times = np.zeros_like(rest), np.zeros(len(rest))
        for trees in self._trees:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of rows that are in every bootstrap sample
                trees.fit(x, target)
            spared = np.zeros(len(rest), dtype=bool)
            for sample in trees.estimators_samples_:
                spared |= np.bincount(sample, minlength=len(rest)) == 0
            total[spared] += trees.oob_prediction_.reshape(rest.shape)[spared]
            times += spared
        return np.where(times[:, None] > 0, total / np.maximum(times, 1.0)[:, None], np.nan)

    def _predicted(self, view: PredictorView) -> np.ndarray:
        linear = self._bounded(view.dot(self._slopes) + self._intercepts)
        if self._trees and len(view):
            x = self._features(view, linear)
            rest = sum(trees.predict(x).reshape(linear.shape) for trees in self._trees)
            linear = linear + rest / len(self._trees)
        return self._shrunk(linear)

    def _shrunk(self, predicted: np.ndarray) -> np.ndarray:
        return self._bounded(self._center + self._slope * (predicted - self._center))

    def _judge(self, held_out: np.ndarray, y: np.ndarray, target: np.ndarray) -> None:
        """Learn the slope of the held-out predictions, and the error that is left with it."""
        seen = ~np.isnan(held_out[:, 0])
        held_out, y, target = held_out[seen], y[seen], target[seen]
        if len(y) < _FEWEST_ROWS:
            return
        moved = held_out - self._center
        size = float((moved**2).sum())
        wrong = not self.block.is_numeric and np.mean(self._levels[held_out.argmax(axis=1)] != target)
        if size > 0 and (self.block.is_numeric or wrong > np.mean(target != self._shares.argmax())):
            slope = float((moved * (y - self._center)).sum() / size)
            # held-out slopes a little below one are the price of holding out, and no reason to shrink
            self._slope = min(max(slope / _ENOUGH, 0.0), 1.0)
        predicted = self._shrunk(held_out)
        if self.block.is_numeric:
            self.error = float(np.sqrt(np.mean((predicted - y) ** 2))) * self._scale
            self.baseline = float(np.sqrt(np.mean((self._center - y) ** 2))) * self._scale
        else:
            self.error = float(np.mean(self._levels[predicted.argmax(axis=1)] != target))
            self.baseline = float(np.mean(target != self._shares.argmax()))

    def expect(self, view: PredictorView) -> np.ndarray:
        """Return conditional means (n,), or probabilities of the levels (n, n_levels)."""
        predicted = self._predicted(view)
        if self.block.is_numeric:
            return predicted[:, 0] * self._scale + self._mean
        known = np.clip(predicted, 1e-6, 1.0)
        total = np.zeros(len(known))
        for k in range(known.shape[1]):  # not a sum over rows' ends, whose bits may depend on their number
            total += known[:, k]
        out = np.tile(self._shares, (len(known), 1))
        rest = 1.0 - float(self._shares[self._levels].sum())
        out[:, self._levels] = known / total[:, None] * (1.0 - rest)
        return out

    def draw(self, view: PredictorView, u: np.ndarray) -> np.ndarray:
        """Return observed values of near donors, or of rows of the same leaf, (n,)."""
        if self.block.is_numeric:
            return self._matcher.draw(self._predicted(view)[:, 0], u[:, 0])
        return self._leaves.draw(view, u)
