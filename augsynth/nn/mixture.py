"""Gaussian mixtures with full covariances on latent codes, one a cell, chosen on held-out codes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from augsynth.core.persistence import persistent

__all__ = ["Mixture", "fit_mixture"]

SELECTION_ROWS = 6000  # rows on which numbers of components are compared
STEPS_TO_COMPARE, STEPS_TO_FIT = 12, 40


@persistent
@dataclass
class Mixture:
    """A Gaussian mixture: weights (k,), means (k, d), lower Cholesky factors (k, d, d)."""

    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray

    def log_joint(self, x: np.ndarray) -> np.ndarray:
        """Return log weight + log density of each row under each component, (n, k)."""
        out = np.empty((len(x), len(self.weights)))
        for k, (mean, factor) in enumerate(zip(self.means, self.factors, strict=True)):
            scaled = (x - mean) @ np.linalg.inv(factor).T
            out[:, k] = -0.5 * np.einsum("nd,nd->n", scaled, scaled) - np.log(np.diag(factor)).sum()
        with np.errstate(divide="ignore"):
            return out + np.log(self.weights) - 0.5 * x.shape[1] * math.log(2 * math.pi)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Return the log-density of rows (n, d), (n,)."""
        return _log_sum(self.log_joint(x))

    def draw(self, uniform: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Turn uniform (n,) and standard normal (n, d) numbers into draws (n, d)."""
        heights = np.cumsum(self.weights)
        pick = np.minimum(np.searchsorted(heights, uniform * heights[-1], side="right"), len(heights) - 1)
        return self.means[pick] + np.einsum("nij,nj->ni", self.factors[pick], normal)


def fit_mixture(x: np.ndarray, rng: np.random.Generator, *, most: int = 64) -> Mixture:
    """Fit a mixture; the number of components is doubled while held-out rows gain.

    Parameters
    ----------
    x : ndarray, (n, d) or (draws, n, d)
        Rows, or several draws of the code of each row. Draws add no rows: numbers of
        components are compared on one draw a row.
    rng : numpy Generator
    most : int, default=64
        Most components. Each needs some three rows a dimension, so short samples get
        one Gaussian, its covariance drawn towards its diagonal.
    """
    x = x[None] if x.ndim == 2 else x
    n, d = x.shape[1:]
    limit = max(1, min(most, n // (3 * d + 10)))
    best_k, best_score = 1, -math.inf
    if limit > 1:
        part = x[0, rng.permutation(n)[:SELECTION_ROWS]]
        cut = int(0.8 * len(part))
        k, worse = 1, 0
        while k <= min(limit, cut // (2 * d)) and worse < 2:
            score = float(_em(part[:cut], k, rng, STEPS_TO_COMPARE).log_prob(part[cut:]).mean())
            worse = 0 if score > best_score else worse + 1
            best_k, best_score = (k, score) if score > best_score else (best_k, best_score)
            k *= 2
        if len(part) < n:  # more rows carry more components than the comparison could
            best_k = min(limit, best_k * max(1, round(n / len(part))))
    return _em(x.reshape(-1, d), best_k, rng, STEPS_TO_FIT, rows=n)


def _em(x: np.ndarray, k: int, rng: np.random.Generator, steps: int, *, rows: int | None = None) -> Mixture:
    d, rows = x.shape[1], len(x) if rows is None else rows
    spread = np.cov(x.T, bias=True).reshape(d, d) if len(x) > 1 else np.zeros((d, d))
    floor = 1e-3 * float(np.trace(spread)) / d + 1e-6
    keep = rows / (rows + d)  # few rows tell little of how dimensions go together
    spread = keep * spread + (1 - keep) * np.diag(np.diag(spread))
    if k == 1:
        return _mixture(np.ones(1), x.mean(axis=0)[None], spread[None], floor)
    share = np.zeros((len(x), k))
    share[np.arange(len(x)), _clusters(x, k, rng)] = 1.0
    before = -math.inf
    for step in range(steps):
        made = _maximise(x, share, spread, floor)
        joint = made.log_joint(x)
        total = _log_sum(joint)
        share = np.exp(joint - total[:, None])
        now = float(total.mean())
        if step > 4 and now - before < 1e-3:
            break
        before = now
    return _maximise(x, share, spread, floor)


def _maximise(x: np.ndarray, share: np.ndarray, spread: np.ndarray, floor: float) -> Mixture:
    mass = share.sum(axis=0) + 1e-9
    means = (share.T @ x) / mass[:, None]
    covariances = np.empty((share.shape[1], x.shape[1], x.shape[1]))
    for k in range(share.shape[1]):
        centred = (x - means[k]) * np.sqrt(share[:, k, None])
        # As if one more row a dimension had come from the overall spread, a tenth as wide.
        covariances[k] = (centred.T @ centred + 0.1 * x.shape[1] * spread) / (mass[k] + x.shape[1])
    return _mixture(mass / mass.sum(), means, covariances, floor)


def _mixture(weights: np.ndarray, means: np.ndarray, covariances: np.ndarray, floor: float) -> Mixture:
    return Mixture(weights, means, np.linalg.cholesky(covariances + floor * np.eye(means.shape[1])))


def _clusters(x: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return a first assignment by a few rounds of k-means from k-means++ seeds."""
    squares = np.einsum("nd,nd->n", x, x)
    centres = x[rng.integers(len(x), size=1)]
    nearest = np.full(len(x), np.inf)
    for _ in range(k - 1):
        distance = squares - 2 * x @ centres[-1] + centres[-1] @ centres[-1]
        nearest = np.minimum(nearest, np.maximum(distance, 0.0))
        total = nearest.sum()
        pick = rng.choice(len(x), p=nearest / total) if total > 0 else rng.integers(len(x))
        centres = np.concatenate([centres, x[pick : pick + 1]])
    for _ in range(8):
        chosen = np.argmin(np.einsum("kd,kd->k", centres, centres) - 2 * x @ centres.T, axis=1)
        counts = np.bincount(chosen, minlength=k)
        sums = np.zeros_like(centres)
        np.add.at(sums, chosen, x)
        centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
    return chosen


def _log_sum(joint: np.ndarray) -> np.ndarray:
    top = joint.max(axis=1)
    return top + np.log(np.exp(joint - top[:, None]).sum(axis=1))
