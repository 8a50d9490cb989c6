"""Modes of the training rows: clusters, and what is typical of each in plain words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import linkage
from scipy.stats import rankdata
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from augsynth.check.evidence import Evidence, Rows
from augsynth.check.kept import once
from augsynth.core.random import keyed_rng

__all__ = ["Modes", "modes_of"]

_STREAM = 341
_MOST_ROWS, _MOST_MODES, _ROWS_A_MODE, _COMPONENTS = 6_000, 40, 60, 16
_TYPICAL = 3
_FAR = 4.0  # standard deviations beyond which a number is not further away


@dataclass(frozen=True, eq=False)
class Modes:
    """Clusters of the training rows.

    Attributes
    ----------
    centre, scale : ndarray
        Mean and standard deviation of the numeric columns.
    reduce : PCA
    means : KMeans
    told : list of str
        What is typical of each cluster.
    unions : ndarray (k, k + u)
        Which clusters belong to each mode: every cluster alone, then neighbours joined step by
        step (Ward), so that a large mode that was cut into many is seen as one.
    """

    centre: np.ndarray
    scale: np.ndarray
    reduce: PCA
    means: KMeans
    told: list[str]
    unions: np.ndarray

    def of(self, evidence: Evidence, rows: Rows) -> np.ndarray:
        """Return the mode (n,) of each row."""
        return self.means.predict(self.reduce.transform(_vectors(evidence, rows, self.centre, self.scale)))


def modes_of(evidence: Evidence) -> Modes:
    """Cluster the training rows (k-means on principal components), a mode to about 60 rows, at most 40.

    The clusters are kept for as long as the training rows are: the controls share them.
    """
    key = "modes", evidence.seed, evidence.max_rows, evidence.holdout is None
    return once(evidence.train, key, lambda: _clustered(evidence))


def _clustered(evidence: Evidence) -> Modes:
    rows = evidence.capped(evidence.train, _MOST_ROWS)
    numbers = evidence.joint(rows)[:, evidence.joint_layout.numeric]
    seen = ~np.isnan(numbers)
    count = np.maximum(seen.sum(axis=0), 1)
    centre = np.where(seen, numbers, 0.0).sum(axis=0) / count
    scale = np.sqrt(np.where(seen, (numbers - centre) ** 2, 0.0).sum(axis=0) / count)
    scale = np.where(scale > 0, scale, 1.0)
    design = _vectors(evidence, rows, centre, scale)
    seed = int(keyed_rng(evidence.seed, _STREAM).integers(2**31))
    reduce = PCA(min(_COMPONENTS, *design.shape), random_state=seed, svd_solver="full").fit(design)
    k = int(np.clip(len(rows) // _ROWS_A_MODE, 1, _MOST_MODES))
    x = reduce.transform(design)
    means = KMeans(min(k, len(np.unique(x.round(9), axis=0))), n_init=3, random_state=seed).fit(x)
    return Modes(centre, scale, reduce, means, _typical(evidence, rows, means.labels_), _unions(means))


def _vectors(evidence: Evidence, rows: Rows, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the design with numbers as they are, standardised: normal scores would close gaps."""
    design = evidence.design(rows)
    numbers = (evidence.joint(rows)[:, evidence.joint_layout.numeric] - centre) / scale
    design[:, : len(centre)] = np.where(np.isnan(numbers), 0.0, np.clip(numbers, -_FAR, _FAR))
    return design


def _unions(means: KMeans) -> np.ndarray:
    k = len(means.cluster_centers_)
    members = list(np.eye(k))
    if k > 2:
        for first, second in linkage(means.cluster_centers_, "ward")[:-1, :2].astype(int):
            members.append(members[first] + members[second])
    return np.column_stack(members)


def _typical(evidence: Evidence, rows: Rows, modes: np.ndarray) -> list[str]:
    """Return for each mode the columns in which its rows differ most from all rows."""
    layout, z = evidence.joint_layout, evidence.joint(rows)
    frame = rows.X if evidence.modality == "table" and isinstance(rows.X, pd.DataFrame) else None
    columns = {} if frame is None else {str(name): frame[name] for name in frame.columns}
    count = modes.max() + 1
    found: list[list[tuple[float, str]]] = [[] for _ in range(count)]
    for j, block in enumerate(layout):
        seen = ~np.isnan(z[:, j])
        if not seen.any():
            continue
        shown = columns.get(block.name)
        if block.is_numeric:
            _numeric(found, block.name, z[:, j], seen, modes, shown)
        elif block.name == "target" and j == len(evidence.layout):
            _levels(found, block.name, z[:, j], seen, modes, list(evidence.classes))
        else:
            codes = z[seen, j].astype(int)
            names = [str(level) for level in range(block.n_levels)]
            if shown is not None:
                for code, text in zip(codes, shown[seen].astype(str), strict=True):
                    names[code] = text
            _levels(found, block.name, z[:, j], seen, modes, names)
    return ["; ".join(text for _, text in sorted(each, reverse=True)[:_TYPICAL]) for each in found]


def _numeric(
    found: list[list[tuple[float, str]]], name: str, x: np.ndarray, seen: np.ndarray, modes: np.ndarray,
    shown: pd.Series | None,
) -> None:  # fmt: skip
    rank = np.full(len(x), np.nan)
    rank[seen] = (rankdata(x[seen]) / (seen.sum() + 1) - 0.5) * np.sqrt(12)
    dates = shown is not None and not pd.api.types.is_numeric_dtype(shown)
    for mode, own in enumerate(found):
        inside = seen & (modes == mode)
        if not inside.any():
            continue
        far = float(rank[inside].mean())
        middle = np.median(x[inside]), np.median(x[seen])
        told = "" if dates else f" (median {_short(middle[0])}; all {_short(middle[1])})"
        own.append((abs(far), f"{name} {'high' if far > 0 else 'low'}{told}"))


def _levels(
    found: list[list[tuple[float, str]]], name: str, x: np.ndarray, seen: np.ndarray, modes: np.ndarray,
    names: list[str],
) -> None:  # fmt: skip
    codes = x[seen].astype(int)
    counts = np.zeros((len(found), len(names)))
    np.add.at(counts, (modes[seen], codes), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    whole = counts.sum(axis=0) / counts.sum()
    apart = (shares - whole) / np.sqrt(np.maximum(whole * (1 - whole), 0.02))
    for mode, own in enumerate(found):
        top = int(apart[mode].argmax())
        text = f"{name} = {names[top]} ({shares[mode, top]:.0%}; all {whole[top]:.0%})"
        own.append((float(min(apart[mode, top], 3.0)), text))


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
