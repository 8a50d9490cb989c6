"""Checks: Frechet and kernel distance between new and real pictures (or any features), with exact tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence, Rows
from augsynth.check.finding import Check, Finding
from augsynth.check.permutation import FIRM, often, swapped_labels, tail_p_value
from augsynth.check.pictures.frechet import FORMS, frechet_distance, frechet_infinity, gaussian_distance
from augsynth.check.pictures.kernel import block_sums
from augsynth.check.pictures.space import Space, compared, space_of
from augsynth.check.reference import tells_reference

__all__ = ["FrechetCheck", "KernelCheck"]

_FEW, _MANY, _WORK = 9, 199, 2e9  # permutations, and how much arithmetic they may take together
_TESTED = 99  # permutations below which p would rest on the fitted tail: then fewer dimensions are tested
_DIMENSIONS = 200
_GROUPS = 20  # of the grouped jackknife
_BLOCK = 1000  # rows of each side whose kernel is held at once
_FEWEST = 20


class _Distance(Check):
    part = "fidelity"

    def __init__(self, features: str = "auto"):
        self.features = features

    def applies(self, evidence: Evidence) -> str:
        """Pictures, clips, texts and features of the user's own; at least 20 rows to compare."""
        if evidence.modality == "table":
            return "For pictures, clips, texts and features of your own; tables have measures of their own."
        made, _ = compared(evidence, space_of(evidence, self.features))
        if len(made) < _FEWEST:
            return f"Only {len(made)} new rows have real ones of their class and group; {_FEWEST} are needed."
        return ""

    def _sides(self, evidence: Evidence) -> tuple[Space, Rows, np.ndarray, np.ndarray]:
        space = space_of(evidence, self.features)
        made, real = compared(evidence, space)
        return space, made, space.features(made), space.features(real)


def _said(p: float) -> str:
    if p < FIRM:
        return "more than chance allows"
    return (
        f"chance alone makes such a figure in {often(p)} cases" if p <= 0.05 else "which chance alone may do"
    )


class FrechetCheck(_Distance):
    """Frechet distance of the features of new and real pictures."""

    name, title = "frechet", "Frechet distance of features"

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the distance with full covariance."""
        _, _, made, real = self._sides(evidence)
        return frechet_distance(made, real)

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the distance with its value under "same distribution", which is far from 0 at few rows."""
        space, rows, made, real = self._sides(evidence)
        value = frechet_distance(made, real)
        d = made.shape[1]
        n_permutations = int(np.clip(_WORK / max(d, 8) ** 3, _FEW, _MANY))
        permuted = _permuted_frechet(made, real, swapped_labels(rows.cells, n_permutations, rng))
        null = permuted.mean(axis=0)
        tested, chances = value, permuted[:, 0]
        if n_permutations < _TESTED:
            first, second = _leading(made, real)
            tested, n_permutations = frechet_distance(first, second), _MANY
            chances = _permuted_frechet(first, second, swapped_labels(rows.cells, _MANY, rng))[:, 0]
        spread = _jackknife(made, real)
        endless, figures = frechet_infinity(made, real, cells=rows.cells, random_state=evidence.seed)
        forms = pd.DataFrame({
            "covariance": FORMS,
            "value": [value, frechet_distance(made, real, covariance="diagonal")],
            "null": null,
            "p_value": [tail_p_value(tested, chances), np.nan],
        })  # fmt: skip
        if len(permuted) >= _TESTED:
            forms.loc[1, "p_value"] = tail_p_value(float(forms.loc[1, "value"]), permuted[:, 1])
        p = float(forms.loc[0, "p_value"])
        said = _said(p)
        told = (
            f"Frechet distance (full covariance) {value:.3g}; two samples of {len(made):,} rows from one "
            f"distribution read {null[0]:.3g}: {said}. Extrapolated to endless rows: {endless:.3g}. "
            f"Measured in {d} {space.told}."
        )
        if len(permuted) < _TESTED:
            told += f" The test looks at their {_DIMENSIONS} leading principal components."
        return Finding(
            self.part, self.name, self.title, value, "squared distance, full covariance",
            max(value - 1.96 * spread, 0.0), value + 1.96 * spread, float(null[0]), p, len(made), told,
            "Comparable at this number of rows and in these features only; it sees means and covariances.",
            details={
                "forms": forms, "by_size": pd.DataFrame(figures, columns=["rows", "distance"]),
                "endless": float(endless), "features": space.told, "permutations": n_permutations,
            },
        )  # fmt: skip


def _leading(made: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides in the leading principal components of the pool, which no exchange changes."""
    pooled = np.vstack([made, real])
    pooled = pooled - pooled.mean(axis=0)
    axes = np.linalg.eigh(pooled.T @ pooled)[1][:, ::-1][:, :_DIMENSIONS]
    seen = pooled @ axes
    return seen[: len(made)], seen[len(made) :]


def _permuted_frechet(made: np.ndarray, real: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the distance (b, 2) in both forms under each labelling."""
    pooled = np.vstack([made, real])
    pooled = pooled - pooled.mean(axis=0)
    whole, total = pooled.T @ pooled, pooled.sum(axis=0)
    k = len(made)
    found = np.empty((len(labels), 2))
    for row, marked in enumerate(labels):
        side = pooled[marked]
        products, sums = side.T @ side, side.sum(axis=0)
        found[row] = _both_forms(products, sums, k, whole - products, total - sums, k)
    return found


def _both_forms(p: np.ndarray, s: np.ndarray, n: int, q: np.ndarray, t: np.ndarray, m: int) -> Any:
    """Return the distances of two samples from their sums of products and sums, full and diagonal."""
    means = s / n, t / m
    covariances = (p - np.outer(s, means[0])) / (n - 1), (q - np.outer(t, means[1])) / (m - 1)
    spreads = [np.sqrt(np.maximum(np.diag(each), 0.0)) for each in covariances]
    diagonal = np.sum((means[0] - means[1]) ** 2) + np.sum((spreads[0] - spreads[1]) ** 2)
    return gaussian_distance(means[0], covariances[0], means[1], covariances[1]), float(diagonal)


def _jackknife(made: np.ndarray, real: np.ndarray) -> float:
    """Return the standard error of the distance: each twentieth of the rows left out in turn."""
    groups = min(_GROUPS, len(made) // 4)
    if groups < 2 or made.shape[1] > 300:
        return float("nan")
    centre = real.mean(axis=0)
    sides = [each - centre for each in (made, real)]
    whole = [(each.T @ each, each.sum(axis=0)) for each in sides]
    left = np.empty(groups)
    for g in range(groups):
        parts: list[Any] = []
        for each, (products, sums) in zip(sides, whole, strict=True):
            out = each[g::groups]
            parts += [products - out.T @ out, sums - out.sum(axis=0), len(each) - len(out)]
        left[g] = _both_forms(*parts)[0]
    return float(np.sqrt((groups - 1) * left.var()))


class KernelCheck(_Distance):
    """Kernel distance (KID) of the features of new and real pictures."""

    name, title = "kernel_distance", "Kernel distance of features (KID)"

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the unbiased squared discrepancy, averaged over blocks of rows."""
        _, _, made, real = self._sides(evidence)
        seen = np.zeros((1, 2 * len(made)), dtype=bool)
        seen[:, : len(made)] = True
        return float(_over_blocks(made, real, seen).mean())

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the distance and its exact test; rows matched by cell read a little below 0."""
        space, rows, made, real = self._sides(evidence)
        k = len(made)
        labels = np.zeros((_MANY + 1, 2 * k), dtype=bool)
        labels[0, :k] = True
        blocks = _blocks(k)
        for block in blocks:
            places = np.concatenate([block, block + k])
            labels[1:, places] = swapped_labels(rows.cells[block], _MANY, rng)
        figures = _over_blocks(made, real, labels)
        weighed = figures.mean(axis=1)
        value, permuted = float(weighed[0]), weighed[1:]
        p = tail_p_value(value, permuted)
        error = (
            float(figures[0].std(ddof=1) / np.sqrt(len(blocks))) if len(blocks) > 2 else float(permuted.std())
        )
        said = _said(p)
        told = (
            f"Kernel distance (KID) {value:.3g}, where {permuted.mean():.2g} is expected if nothing differs "
            f"(95 % of chance figures lie below {np.quantile(permuted, 0.95):.2g}): {said}. "
            f"Measured in {made.shape[1]} {space.told}."
        )
        return Finding(
            self.part, self.name, self.title, value, "squared discrepancy, cubic kernel",
            value - 1.96 * error, value + 1.96 * error, float(permuted.mean()), p, k, told,
            "Comparable in these features only; rows matched by class and group read a little below 0.",
            details={"features": space.told, "permutations": _MANY, "blocks": len(blocks)},
        )  # fmt: skip


def _blocks(k: int) -> list[np.ndarray]:
    """Return places cut into blocks that each hold a like share of every cell: rows lie in that order."""
    n = max(1, round(k / _BLOCK))
    return [np.arange(start, k, n) for start in range(n)]


def _over_blocks(made: np.ndarray, real: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the discrepancy (b, blocks) under each labelling of the pooled rows."""
    k = len(made)
    found = []
    for block in _blocks(k):
        pooled = np.vstack([made[block], real[block]])
        found.append(block_sums(pooled, labels[:, np.concatenate([block, block + k])]))
    return np.column_stack(found)
