"""Mixtures of products: Gaussian numbers times categorical columns, fitted by EM.

Rows are ``x`` (n, d) numbers in standard units and ``codes`` (n, q) level codes, both
NaN where missing, with weights ``w`` (n,) of mean 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.special import logsumexp

from augsynth.core.normal import Numbers
from augsynth.core.persistence import persistent
from augsynth.generate.gaussian import Gaussians

__all__ = [
    "NUMBERS_TRIED",
    "EMSettings",
    "Mixture",
    "MixtureRows",
    "bic",
    "climb",
    "fit_mixture",
    "select_mixture",
]

PRIOR_ROWS = 1.0  # rows by which a component's level frequencies are drawn towards those of all rows
START_ROWS = 2000  # rows on which the random starts compete
START_STEPS = 15
SEARCH_ROWS = 5000
NUMBERS_TRIED = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)


@dataclass(frozen=True)
class EMSettings:
    """How a mixture is fitted; see GaussianMixtureGenerator."""

    covariance_type: str
    reg_covar: float
    n_init: int
    max_iter: int
    tol: float = 1e-4
    pseudo_rows: float = 0.0  # rows of unit variance added to every component


class MixtureRows:
    """Rows prepared for EM.

    Attributes
    ----------
    numbers : Numbers
    parts : list of (rows, Numbers)
    one_hot : sparse matrix (n, sum of sizes)
        Indicators of the seen levels of all categorical columns.
    bounds : ndarray (q + 1,)
        Where each column's levels begin in it.
    frequencies : ndarray (sum of sizes,)
        Level frequencies of all rows, one row spread evenly added: never 0.
    """

    def __init__(self, x: np.ndarray, codes: np.ndarray, sizes: Sequence[int], w: np.ndarray) -> None:
        self.x, self.codes, self.sizes, self.w = x, codes, list(sizes), w
        self.numbers = Numbers(x)
        self.parts = self.numbers.parts()
        self.bounds = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.intp)
        seen = ~np.isnan(codes)
        starts = np.concatenate([[0], np.cumsum(seen.sum(axis=1))])
        places = (np.where(seen, codes, 0.0).astype(np.intp) + self.bounds[:-1])[seen]
        shape = (len(w), int(self.bounds[-1]))
        self.one_hot = sparse.csr_array((np.ones(len(places)), places, starts), shape=shape)
        self.counts = self.one_hot.T @ w
        each = np.repeat(self.sizes, self.sizes)
        self.frequencies = self.per_column(self.counts + 1.0 / each)

    def __len__(self) -> int:
        return len(self.w)

    def per_column(self, values: np.ndarray) -> np.ndarray:
        """Divide values (..., sum of sizes) by their sums over each categorical column."""
        if len(self.sizes) == 0:
            return values
        sums = np.add.reduceat(values, self.bounds[:-1], axis=-1)
        return values / np.repeat(sums, self.sizes, axis=-1)

    def take(self, rows: np.ndarray) -> MixtureRows:
        """Return some of the rows, with weights of mean 1."""
        w = self.w[rows]
        return MixtureRows(self.x[rows], self.codes[rows], self.sizes, w / w.mean())


@persistent
@dataclass(frozen=True)
class Mixture:
    """A fitted mixture of K components.

    Attributes
    ----------
    weights : ndarray (K,)
    gaussians : Gaussians
        Means and covariances in standard units.
    levels : ndarray (K, sum of sizes)
        Level probabilities of the categorical columns, side by side.
    bounds : ndarray (q + 1,)
        Where each column's levels begin.
    trace : list of float
        Penalised log likelihood after every EM step: it never falls.
    log_likelihood : float
        Of the rows it was fitted to, in standard units.
    covariance_type : str
    n_parameters : int
        Free parameters; levels that never occurred count as none.
    """

    weights: np.ndarray
    gaussians: Gaussians
    levels: np.ndarray
    bounds: np.ndarray
    trace: list[float]
    log_likelihood: float
    n_parameters: int
    covariance_type: str

    def __len__(self) -> int:
        return len(self.weights)

    def joint(self, rows: MixtureRows) -> np.ndarray:
        """Log of weight times density of the seen cells, (n, K)."""
        value = np.zeros((len(rows), len(self)))
        if rows.x.shape[1]:
            for part, numbers in rows.parts:
                value[part] = self.gaussians.log_density(numbers)
        with np.errstate(divide="ignore"):
            value += np.log(self.weights)
        if rows.codes.shape[1]:
            value += rows.one_hot @ np.ascontiguousarray(np.log(self.levels).T)
        return value

    def table(self, column: int) -> np.ndarray:
        """Level probabilities of one categorical column, (K, n_levels)."""
        return self.levels[:, self.bounds[column] : self.bounds[column + 1]]


def fit_mixture(
    rows: MixtureRows, n_components: int, settings: EMSettings, rng: np.random.Generator
) -> Mixture:
    """Fit K components by EM from the best of several short starts.

    References
    ----------
    Dempster, Laird, Rubin (1977), Maximum likelihood from incomplete data via the EM
    algorithm, doi:10.1111/j.2517-6161.1977.tb01600.x. Ghahramani, Jordan (1994),
    Supervised learning from incomplete data via an EM approach (missing cells).
    Biernacki, Celeux, Govaert (2003), doi:10.1016/S0167-9473(02)00163-9 (short starts).
    Hunt, Jorgensen (2003), doi:10.1016/S0167-9473(02)00190-1 (mixed kinds of columns).
    """
    if n_components == 1:
        return climb(rows, _start(rows, 1, settings, rng), settings, settings.max_iter)
    small = rows
    if len(rows) > START_ROWS:
        small = rows.take(np.sort(rng.choice(len(rows), START_ROWS, replace=False)))
    starts = [
        climb(small, _start(small, n_components, settings, rng), settings, START_STEPS)
        for _ in range(settings.n_init)
    ]
    return climb(rows, max(starts, key=lambda mixture: mixture.trace[-1]), settings, settings.max_iter)


def select_mixture(
    rows: MixtureRows, choices: Sequence[tuple[EMSettings, Sequence[int]]], rng: np.random.Generator
) -> tuple[Mixture, dict[str, dict[int, float]]]:
    """Choose the shape and the number of components by the BIC, and fit that to all rows.

    Parameters
    ----------
    choices : sequence of (settings, numbers of components)
        The numbers of a shape are tried in order until the BIC has risen twice in a
        row. The choice is made on at most ``SEARCH_ROWS`` rows.

    Returns
    -------
    mixture : Mixture
    tried : dict of dict
        The BIC, in standard units, of every covariance type and number of components tried.
    """
    if len(choices) == 1 and len(choices[0][1]) == 1:
        return fit_mixture(rows, choices[0][1][0], choices[0][0], rng), {}
    some = rows
    if len(rows) > SEARCH_ROWS:
        some = rows.take(np.sort(rng.choice(len(rows), SEARCH_ROWS, replace=False)))
    tried: dict[str, dict[int, float]] = {}
    fits = []
    for settings, numbers in choices:
        seen = tried.setdefault(settings.covariance_type, {})
        misses = 0
        for k in numbers:
            mixture = fit_mixture(some, k, replace(settings, tol=10 * settings.tol), rng)
            value = bic(mixture, some)
            misses = misses + 1 if seen and value >= min(seen.values()) else 0
            seen[k] = value
            fits.append((value, k, settings, mixture))
            if misses == 2:
                break
    _, k, settings, best = min(fits, key=lambda fit: fit[0])
    if some is rows:
        return climb(rows, best, settings, settings.max_iter), tried
    return fit_mixture(rows, k, settings, rng), tried


def bic(mixture: Mixture, rows: MixtureRows) -> float:
    """Schwarz's criterion: small is good."""
    return -2.0 * mixture.log_likelihood + mixture.n_parameters * float(np.log(max(rows.w.sum(), 1.0)))


def _start(rows: MixtureRows, k: int, settings: EMSettings, rng: np.random.Generator) -> Mixture:
    """Choose k distant rows (k-means++) and give every row to the nearest."""
    d = rows.x.shape[1]
    nearest = np.full(len(rows), np.inf)
    owner = np.zeros(len(rows), dtype=np.intp)
    means = np.zeros((k, d))
    probability = rows.w / rows.w.sum()
    for component in range(k):
        seed = int(rng.choice(len(rows), p=probability))
        means[component] = rows.numbers.x[seed]
        seen = rows.numbers.seen & rows.numbers.seen[seed]
        distance = np.square(np.where(seen, rows.numbers.x - means[component], 0.0)).sum(axis=1)
        for column in rows.codes.T:
            distance += column != column[seed]  # a missing level differs from every level
        owner[distance < nearest] = component
        nearest = np.minimum(nearest, distance)
        reach = nearest * rows.w
        probability = reach / reach.sum() if reach.sum() > 0 else rows.w / rows.w.sum()
    share = np.eye(k)[owner]
    shape = (k, d) if settings.covariance_type in ("diag", "spherical") else (k, d, d)
    unit = np.broadcast_to(np.ones(d) if len(shape) == 2 else np.eye(d), shape).copy()
    return _maximise(rows, Gaussians(means, unit), share, settings)


def climb(rows: MixtureRows, mixture: Mixture, settings: EMSettings, steps: int) -> Mixture:
    """Run EM until a step gains less than ``tol`` a row."""
    trace: list[float] = []
    for _ in range(steps):
        joint = mixture.joint(rows)
        total = logsumexp(joint, axis=1)
        trace.append(float(rows.w @ total) + _penalty(rows, mixture, settings))
        if len(trace) > 1 and trace[-1] - trace[-2] < settings.tol * len(rows):
            break
        mixture = _maximise(rows, mixture.gaussians, np.exp(joint - total[:, None]), settings)
    likelihood = float(rows.w @ logsumexp(mixture.joint(rows), axis=1))
    count = _count_parameters(rows, mixture, settings)
    return replace(mixture, trace=trace, log_likelihood=likelihood, n_parameters=count)


def _maximise(rows: MixtureRows, old: Gaussians, share: np.ndarray, settings: EMSettings) -> Mixture:
    """Find the parameters that maximise the expected penalised log likelihood."""
    share = share * rows.w[:, None]
    size = np.maximum(share.sum(axis=0), 1e-300)
    levels = rows.per_column((rows.one_hot.T @ share).T + PRIOR_ROWS * rows.frequencies)
    gaussians = _maximise_gaussians(rows, old, share, size, settings) if rows.x.shape[1] else old
    return Mixture(size / size.sum(), gaussians, levels, rows.bounds, [], np.nan, 0, settings.covariance_type)


def _maximise_gaussians(
    rows: MixtureRows, old: Gaussians, share: np.ndarray, size: np.ndarray, settings: EMSettings
) -> Gaussians:
    first, second = np.zeros_like(old.means), np.zeros_like(old.covariances)
    for part, numbers in rows.parts:
        one, two = old.moments(numbers, share[part])
        first += one
        second += two
    shift = first / size[:, None]
    added = settings.reg_covar * rows.w.sum() + settings.pseudo_rows
    weight = size + settings.pseudo_rows
    if old.is_diagonal:
        scatter = np.maximum(second - first * shift, 0.0) + added
        if settings.covariance_type == "spherical":
            scatter = np.broadcast_to(scatter.mean(axis=1, keepdims=True), scatter.shape)
        return Gaussians(old.means + shift, scatter / weight[:, None])
    scatter = second - first[:, :, None] * shift[:, None, :]
    scatter = 0.5 * (scatter + np.swapaxes(scatter, 1, 2))
    unit = np.eye(scatter.shape[1])
    if settings.covariance_type == "tied":
        pooled = (scatter.sum(axis=0) + added * unit) / (size.sum() + settings.pseudo_rows)
        return Gaussians(old.means + shift, np.repeat(pooled[None], len(size), axis=0))
    return Gaussians(old.means + shift, (scatter + added * unit) / weight[:, None, None])


def _penalty(rows: MixtureRows, mixture: Mixture, settings: EMSettings) -> float:
    """Log prior, up to a constant, of which every M step is the exact maximum."""
    value = PRIOR_ROWS * float((rows.frequencies * np.log(mixture.levels)).sum())
    if rows.x.shape[1] == 0:
        return value
    added = settings.reg_covar * rows.w.sum() + settings.pseudo_rows
    covariances = mixture.gaussians.covariances
    if settings.covariance_type == "tied":
        covariances = covariances[:1]
    if covariances.ndim == 2:
        traces, log_dets = (1.0 / covariances).sum(axis=1), np.log(covariances).sum(axis=1)
    else:
        traces = np.trace(np.linalg.inv(covariances), axis1=1, axis2=2)
        log_dets = np.linalg.slogdet(covariances)[1]
    return value - 0.5 * float(added * traces.sum() + settings.pseudo_rows * log_dets.sum())


def _count_parameters(rows: MixtureRows, mixture: Mixture, settings: EMSettings) -> int:
    k, d = mixture.gaussians.means.shape
    covariance = {
        "spherical": k * min(d, 1),
        "diag": k * d,
        "tied": d * (d + 1) // 2,
        "full": k * d * (d + 1) // 2,
    }[settings.covariance_type]
    seen = [int((part > 0).sum()) for part in np.split(rows.counts, rows.bounds[1:-1])]
    return k - 1 + k * d + covariance + k * sum(max(count - 1, 0) for count in seen)
