"""Linear models of one column given all others: Bayesian ridge, with matching, and logistic regression."""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.special import ndtri

from augsynth.core.persistence import persistent
from augsynth.encode.layout import Block
from augsynth.impute.column_model import ColumnModel, PredictorView
from augsynth.impute.design import center_and_scale
from augsynth.impute.matching import Matcher
from augsynth.impute.ridge import MOST_PREDICTORS, fit_ridge

__all__ = ["BayesLinearColumn", "LogisticColumn", "MatchedLinearColumn", "draw_levels"]

_MOST_LEVELS = 50  # levels with coefficients of their own; the rarer ones share one class
_MOST_LOGISTIC_ROWS = 20_000
_PRIOR = 1.0  # precision of the standardised logistic slopes


@persistent
class BayesLinearColumn(ColumnModel):
    """A numeric column as a linear function of the others, with normal residuals.

    The slopes have a normal prior whose width maximises the evidence. ``expect`` is the
    posterior mean, held to the observed range and half its width beyond; ``draw`` adds
    a normal residual and may leave that range.

    Deviation: van Buuren's algorithm has a fixed, tiny ridge in place of the evidence's
    one; draws of parameters keep to a tiny one where there are ten rows a slope.

    References
    ----------
    Rubin, "Multiple Imputation for Nonresponse in Surveys", 1987, p. 167. Van Buuren,
    "Flexible Imputation of Missing Data", 2018, algorithm 3.1. MacKay, "Bayesian
    interpolation", Neural Computation 4(3), 1992, doi:10.1162/neco.1992.4.3.415.
    """

    def fit(self, view: PredictorView, target: np.ndarray, rng: np.random.Generator, *, drawn: bool) -> Self:
        """Learn slopes; see `ColumnModel.fit`."""
        self._center, self._scale = center_and_scale(target)
        scaled = (target - self._center) / self._scale
        ridge = fit_ridge(view.design, scaled, flat=drawn)
        coefficients, self._intercept, self._sigma = (
            ridge.drawn(rng) if drawn else (ridge.coefficients, ridge.intercept, ridge.sigma)
        )
        self._coefficients = np.zeros(len(view.design_columns))
        self._coefficients[ridge.columns] = coefficients
        self._range = float(scaled.min()), float(scaled.max())
        if not drawn and len(target) > 2:
            # generalised cross-validation: the in-sample error over the share of freedom that is left
            self.error = ridge.sigma * self._scale * float(np.sqrt(len(target) / ridge.freedom))
            self.baseline = float(scaled.std(ddof=1)) * self._scale
        rows = rng.integers(0, len(target), len(target)) if drawn else np.arange(len(target))
        self._learned(ridge.fitted[rows], target[rows])
        return self

    def _learned(self, fitted: np.ndarray, target: np.ndarray) -> None:
        """Take fitted values (standardised) and targets: of a bootstrap of the rows, in draws."""

    def _linear(self, view: PredictorView) -> np.ndarray:
        return view.dot(self._coefficients) + self._intercept

    def expect(self, view: PredictorView) -> np.ndarray:
        """Return conditional means (n,)."""
        low, high = self._range
        margin = 0.5 * (high - low)
        return np.clip(self._linear(view), low - margin, high + margin) * self._scale + self._center

    def draw(self, view: PredictorView, u: np.ndarray) -> np.ndarray:
        """Return normal draws (n,)."""
        noise = ndtri(np.clip(u[:, 0], 1e-300, 1.0 - 1e-16))
        return (self._linear(view) + self._sigma * noise) * self._scale + self._center


@persistent
class MatchedLinearColumn(BayesLinearColumn):
    """A numeric column by predictive mean matching on the linear model: draws are observed values.

    Donors are compared by the posterior mean, recipients by the drawn slopes (van
    Buuren's type 1), so the uncertainty of the slopes enters the draws.

    Deviation: the donors of one draw are a bootstrap of the observed rows. Whatever few
    donors lie near, their mean departs from the model's, and by the same amount in every
    draw if they are always the same ones: intervals pooled over such draws are too short
    (89 instead of 95 % where cells are missing by the outcome).

    References
    ----------
    Rubin and Schenker, "Multiple imputation for interval estimation from simple random
    samples with ignorable nonresponse", JASA 81, 1986, doi:10.1080/01621459.1986.10478280.
    Heitjan and Little, "Multiple imputation for the Fatal Accident Reporting System",
    JRSS C 40(1), 1991, doi:10.2307/2347902.
    """

    def _learned(self, fitted: np.ndarray, target: np.ndarray) -> None:
        self._matcher = Matcher(fitted, target, self.n_donors)
        self._observed = float(target.min()), float(target.max())

    def expect(self, view: PredictorView) -> np.ndarray:
        """Return conditional means (n,), held to the observed range, as the draws are."""
        return np.clip(super().expect(view), *self._observed)

    def draw(self, view: PredictorView, u: np.ndarray) -> np.ndarray:
        """Return observed values of near donors (n,)."""
        return self._matcher.draw(self._linear(view), u[:, 0])


@persistent
class LogisticColumn(ColumnModel):
    """A categorical column by multinomial logistic regression, with a normal prior on standardised slopes.

    The prior (standard deviation 1, none on the intercepts) keeps perfectly separated
    levels finite. With two levels, parameters are drawn from the normal approximation
    of the posterior; with more, by a Bayesian bootstrap: the fit to rows weighted by
    standard exponential numbers. Levels beyond the 50 commonest are one class, split by
    their shares. At most 20,000 rows are used.

    Deviation: White et al. add weighted rows against separation; the prior here has the
    same purpose and costs nothing.

    References
    ----------
    White, Daniel and Royston, "Avoiding bias due to perfect prediction in multiple
    imputation of incomplete categorical variables", CSDA 54(10), 2010,
    doi:10.1016/j.csda.2010.04.005. Rubin, "The Bayesian bootstrap", Annals of
    Statistics 9(1), 1981, doi:10.1214/aos/1176345338.
    """

    def __init__(self, block: Block, *, n_donors: int = 5):
        super().__init__(block, n_donors=n_donors)
        self._coefficients: np.ndarray | None = None

    def fit(self, view: PredictorView, target: np.ndarray, rng: np.random.Generator, *, drawn: bool) -> Self:
        """Learn slopes; see `ColumnModel.fit`."""
        codes = target.astype(np.intp)
        counts = np.bincount(codes, minlength=self.block.n_levels)
        # class of each level, and the share of each level in its class
        order = np.argsort(-counts, kind="stable")
        order = order[counts[order] > 0]
        pooled = len(order) > _MOST_LEVELS + 1
        self._class = np.full(self.block.n_levels, -1)
        self._class[order] = np.minimum(np.arange(len(order)), _MOST_LEVELS if pooled else len(order))
        labels = self._class[codes]
        n_classes = int(labels.max()) + 1
        self._share = counts / np.maximum(np.bincount(labels, minlength=n_classes)[self._class], 1)
        sizes = np.bincount(labels, minlength=n_classes).astype(float)
        self._base = rng.dirichlet(sizes) if drawn else sizes / sizes.sum()
        self.baseline = 1.0 - counts.max() / len(codes) if not drawn else float("nan")
        if n_classes < 2 or not len(view.design_columns):
            return self
        if len(labels) > _MOST_LOGISTIC_ROWS:
            where = np.sort(rng.permutation(len(labels))[:_MOST_LOGISTIC_ROWS])
            view, labels = view.take(where), labels[where]
        x, columns = _predictors(view.design, labels, n_classes)
        weights = rng.standard_exponential(len(labels)) if drawn and n_classes > 2 else None
        if n_classes == 2:
            slopes = _newton(x, labels.astype(float), rng if drawn else None)
            slopes = np.stack([np.zeros_like(slopes), slopes], axis=1)
        else:
            slopes = _softmax_fit(x, labels, n_classes, weights)
        self._coefficients = np.zeros((len(view.design_columns), n_classes))
        self._coefficients[columns] = slopes[1:]
        self._intercepts = slopes[0]
        return self

    def expect(self, view: PredictorView) -> np.ndarray:
        """Return probabilities of the levels (n, n_levels)."""
        return np.where(self._class >= 0, self._classes(view)[:, self._class] * self._share, 0.0)

    def _classes(self, view: PredictorView) -> np.ndarray:
        if self._coefficients is None:
            return np.tile(self._base, (len(view), 1))
        # column by column, so that no last bit depends on the number of rows
        logits = view.dot(self._coefficients)
        top = np.full(len(view), -np.inf)
        for k in range(logits.shape[1]):
            logits[:, k] += self._intercepts[k]
            np.maximum(top, logits[:, k], out=top)
        total = np.zeros(len(view))
        for k in range(logits.shape[1]):
            logits[:, k] = np.exp(logits[:, k] - top)
            total += logits[:, k]
        return logits / total[:, None]

    def draw(self, view: PredictorView, u: np.ndarray) -> np.ndarray:
        """Return drawn level codes (n,)."""
        return draw_levels(self.expect(view), u[:, 0])


def draw_levels(probabilities: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return level codes (n,) of probabilities (n, n_levels), by inversion of uniform numbers (n,)."""
    n, n_levels = probabilities.shape
    codes, passed = np.zeros(n), np.zeros(n)
    last = n_levels - 1 - np.argmax(probabilities[:, ::-1] > 0, axis=1)  # rounding may pass the last level
    for k in range(n_levels - 1):
        passed += probabilities[:, k]
        codes += passed <= u
    return np.minimum(codes, last)


def _predictors(x: np.ndarray, labels: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a column of ones and the design columns of a fit, and their positions."""
    columns = np.arange(x.shape[1])
    if len(columns) > MOST_PREDICTORS:
        means = np.stack([x[labels == k].mean(axis=0) for k in range(n_classes)])
        shares = np.bincount(labels, minlength=n_classes) / len(labels)
        between = shares @ (means - x.mean(axis=0)) ** 2 / np.maximum(x.var(axis=0), 1e-18)
        columns = np.sort(np.argsort(-between, kind="stable")[:MOST_PREDICTORS])
        x = x[:, columns]
    return np.column_stack([np.ones(len(x)), x]), columns


def _newton(x: np.ndarray, y: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """Return the coefficients (q + 1,) of a binary logistic regression, or one posterior draw of them."""
    prior = np.full(x.shape[1], _PRIOR)
    prior[0] = 1e-3  # one row a level must not send the intercept away
    share = (y.sum() + 0.5) / (len(y) + 1.0)
    b = np.zeros(x.shape[1])
    b[0] = np.log(share / (1.0 - share))

    def loss(b: np.ndarray) -> tuple[float, np.ndarray]:
        eta = x @ b
        value = np.logaddexp(0.0, eta).sum() - y @ eta + 0.5 * prior @ b**2
        return float(value), 1.0 / (1.0 + np.exp(-np.clip(eta, -500, 500)))

    value, p = loss(b)
    for _ in range(50):
        hessian = (x * (p * (1.0 - p))[:, None]).T @ x + np.diag(prior)
        step = cho_solve(cho_factor(hessian), x.T @ (y - p) - prior * b)
        size = 1.0
        new_value, new_p = loss(b + step)
        while new_value > value + 1e-10 * abs(value) and size > 1e-4:  # a full step may overshoot
            size /= 2.0
            new_value, new_p = loss(b + size * step)
        b, gain = b + size * step, value - new_value
        value, p = new_value, new_p
        if gain <= 1e-8 * (1.0 + abs(value)):
            break
    if rng is None:
        return b
    hessian = (x * (p * (1.0 - p))[:, None]).T @ x + np.diag(prior)
    root = np.linalg.cholesky(hessian)
    return b + solve_triangular(root.T, rng.standard_normal(len(b)), lower=False)


def _softmax_fit(x: np.ndarray, labels: np.ndarray, n_classes: int, weights: np.ndarray | None) -> np.ndarray:
    """Return the coefficients (q + 1, n_classes) of a multinomial logistic regression."""
    n, q = x.shape
    w = np.ones(n) if weights is None else weights
    prior = np.full((q, 1), _PRIOR)
    prior[0] = 1e-3
    # in coordinates in which the rows and the prior have unit size L-BFGS needs few steps
    root = np.linalg.cholesky((x * w[:, None]).T @ x / n_classes + np.diag(prior[:, 0]))
    truth = np.zeros((n, n_classes))
    truth[np.arange(n), labels] = w

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        b = solve_triangular(root.T, flat.reshape(q, n_classes), lower=False)
        logits = x @ b
        logits -= logits.max(axis=1, keepdims=True)
        p = np.exp(logits)
        total = p.sum(axis=1, keepdims=True)
        value = w @ np.log(total[:, 0]) - (truth * logits).sum() + 0.5 * (prior * b**2).sum()
        p *= w[:, None] / total
        p -= truth
        slope = x.T @ p + prior * b
        return float(value), solve_triangular(root, slope, lower=True).ravel()

    start = np.zeros((q, n_classes))
    counts = np.bincount(labels, w, minlength=n_classes)
    start[0] = np.log(counts + 0.5)
    start[0] -= start[0].mean()
    found = minimize(
        loss, (root.T @ start).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 100, "ftol": 1e-7}
    )
    return solve_triangular(root.T, found.x.reshape(q, n_classes), lower=False)
