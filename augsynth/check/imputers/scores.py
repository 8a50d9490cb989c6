"""How far filled cells are from hidden ones: by column, as a distribution, in coverage and by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial.distance import cdist

from augsynth.check.imputers.trial import Hidden, Task, Trial
from augsynth.check.intervals import holm_levels

__all__ = [
    "EnergyDistance",
    "cell_losses",
    "column_scores",
    "coverage",
    "group_scores",
    "nominal_coverage",
]

_ENERGY_ROWS = 600  # all pairs of them are compared
_ALPHA = 0.05
_FEWEST = 10  # rows of a group, for it to be judged


def column_scores(task: Task, hidden: Hidden, trial: Trial) -> pd.DataFrame:
    """Return one row a column: error, MAE and the distance of distributions of its hidden cells.

    ``error`` is the root mean square in standard deviations of the column, or the share
    falsely classified. ``shape`` is the Kolmogorov-Smirnov or total variation distance
    between what was filled in and what was hidden; ``shape_draw`` the same for a draw.
    """
    found = []
    for j, block in enumerate(task.codec.layout):
        here = hidden.columns == j
        truth, made = hidden.truth[here], trial.cells[here]
        if not len(truth):
            continue
        gap = (made - truth) / task.scale[j]
        drawn = None if trial.draws is None else trial.draws[0, here]
        row = {"imputer": trial.name, "repeat": trial.repeat, "column": task.codec.names[j], "place": j}
        row |= {"kind": "numeric" if block.is_numeric else "categorical", "n": len(truth)}
        if block.is_numeric:
            row |= {"error": float(np.sqrt(np.mean(gap**2))), "mae": float(np.abs(gap).mean())}
        else:
            row |= {"error": float((gap != 0).mean()), "mae": np.nan}
        row["shape"] = _shape_distance(made, truth, block.is_numeric)
        row["shape_draw"] = np.nan if drawn is None else _shape_distance(drawn, truth, block.is_numeric)
        start = hidden.starts[j]
        row["moved"] = bool((np.abs(made - start) > 1e-9 * max(task.scale[j], abs(start))).any())
        found.append(row)
    return pd.DataFrame(found)


def _shape_distance(made: np.ndarray, truth: np.ndarray, numeric: bool) -> float:
    if numeric:
        return float(stats.ks_2samp(made, truth, method="asymp").statistic)
    levels = int(max(made.max(), truth.max())) + 1
    shares = [np.bincount(part.astype(np.intp), minlength=levels) / len(part) for part in (made, truth)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def cell_losses(task: Task, hidden: Hidden, trial: Trial) -> np.ndarray:
    """Return the loss of every hidden cell (K,): standard deviations off, or 1 where falsely classified."""
    numeric = np.array([block.is_numeric for block in task.codec.layout])[hidden.columns]
    gap = np.abs(trial.cells - hidden.truth) / task.scale[hidden.columns]
    return np.where(numeric, gap, gap != 0)


def nominal_coverage(m: int) -> tuple[int, float]:
    """Return which order statistics of m draws span the interval nearest to 90 %, and what it should cover.

    The k-th smallest and k-th largest of m draws hold another draw with chance 1 - 2 k / (m + 1).

    Examples
    --------
    >>> nominal_coverage(19)
    (1, 0.9)
    """
    k = max(1, round(0.05 * (m + 1)))
    return k, 1 - 2 * k / (m + 1)


def coverage(task: Task, hidden: Hidden, trial: Trial) -> dict[str, Any]:
    """Count how often intervals of the draws hold the truth, numeric columns only.

    ``cells``: the interval over the draws of a cell against its hidden value (of equal values, the
    share that chance would put inside). ``means``: the
    interval of a completed column's mean (t, m - 1 degrees of freedom, between-draw variance
    times 1 + 1/m: Rubin's rules without the variance that complete rows would have too),
    against the mean before cells were hidden.
    """
    if trial.draws is None or len(trial.draws) < 2:
        return {"cells": np.nan, "nominal": np.nan, "hits": 0, "means": 0}
    m = len(trial.draws)
    k, nominal = nominal_coverage(m)
    # the rank of the truth among the draws, spread evenly over ties
    low = (trial.draws < hidden.truth).sum(axis=0)
    high = (trial.draws <= hidden.truth).sum(axis=0)
    inside = np.maximum(np.minimum(high, m - k) - np.maximum(low, k) + 1, 0) / (high - low + 1)
    numeric = np.array([block.is_numeric for block in task.codec.layout])
    hits = means = 0
    for j in np.flatnonzero(numeric):
        here = hidden.columns == j
        if not here.any():
            continue
        gaps = (trial.draws[:, here] - hidden.truth[here]).sum(axis=1)  # of the column's sum
        reach = stats.t.ppf(0.95, m - 1) * np.sqrt((1 + 1 / m) * gaps.var(ddof=1))
        hits += bool(abs(gaps.mean()) <= reach)
        means += 1
    held = inside[numeric[hidden.columns]]
    return {
        "cells": float(held.mean()) if len(held) else np.nan,
        "nominal": nominal,
        "hits": hits,
        "means": means,
    }


class EnergyDistance:
    """The energy distance of completed tables to the true one, some rows of it.

    Coordinates: numbers in standard deviations, a differing category counts 1. The distance is
    2 E|X - Y| - E|X - X'| - E|Y - Y'| with X completed and Y true rows, 0 if nothing differs.

    References
    ----------
    Szekely and Rizzo, "Energy statistics: a class of statistics based on distances", Journal of
    Statistical Planning and Inference 143(8), 2013, doi:10.1016/j.jspi.2013.03.018.
    """

    def __init__(self, task: Task, hidden: Hidden, rng: np.random.Generator) -> None:
        self.rows = np.sort(rng.permutation(len(task.z))[:_ENERGY_ROWS])
        self.task, self.hidden = task, hidden
        self.numeric = np.array([block.is_numeric for block in task.codec.layout])
        self.truth = self._coordinates(None)
        self.within = _mean_distance(self.truth, self.truth)

    def _coordinates(self, cells: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        z = self.task.z
        if cells is not None:
            z = z.copy()
            z[self.hidden.rows, self.hidden.columns] = cells
        z = z[self.rows]
        z = np.where(np.isnan(z), self.hidden.starts, z)  # the table's own holes are the same in both
        return z[:, self.numeric] / self.task.scale[self.numeric], z[:, ~self.numeric]

    def __call__(self, cells: np.ndarray) -> float:
        """Return the distance of the table with these hidden cells."""
        made = self._coordinates(cells)
        between = _mean_distance(made, self.truth)
        return 2 * between - _mean_distance(made, made) - self.within


def _mean_distance(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> float:
    squared = cdist(a[0], b[0], "sqeuclidean") if a[0].shape[1] else np.zeros((len(a[1]), len(b[1])))
    for j in range(a[1].shape[1]):
        squared += a[1][:, j][:, None] != b[1][:, j][None, :]
    return float(np.sqrt(squared).mean())


def group_scores(
    groups: pd.DataFrame,
    losses: Sequence[np.ndarray],
    hiddens: Sequence[Hidden],
    names: Sequence[Any] = (),
) -> pd.DataFrame:
    """Compare the mean loss of each group's hidden cells with that of all others'.

    Parameters
    ----------
    groups : DataFrame (n, features)
    losses : sequence of ndarray (K,)
        Of every repeat, in units of the column mean's.
    hiddens : sequence of Hidden
        Of the same repeats.
    names : sequence, optional
        Names of the columns: cells of the group's own column do not count, for a rare group
        is always a poor guess.

    Returns
    -------
    DataFrame
        feature, group, rows, cells, error, rest, difference, low, high (95 %, over rows), p_value,
        level (that Holm's method tests at), verdict.
    """
    n, places = len(groups), list(names)
    found = []
    for feature in groups.columns:
        own_place = places.index(feature) if feature in places else -1
        total, count = np.zeros(n), np.zeros(n)
        for loss, hidden in zip(losses, hiddens, strict=True):
            kept = hidden.columns != own_place
            total += np.bincount(hidden.rows[kept], loss[kept], minlength=n)
            count += np.bincount(hidden.rows[kept], minlength=n)
        members = groups[feature].astype(str).to_numpy()
        for group in np.unique(members):
            inside = members == group
            if not count[inside].any() or not count[~inside].any():
                continue
            (own, own_error), (rest, rest_error) = (_ratio(total[w], count[w]) for w in (inside, ~inside))
            error = float(np.hypot(own_error, rest_error))
            p_value = float(2 * stats.norm.sf(abs(own - rest) / error)) if error > 0 else 1.0
            judged = min((count[inside] > 0).sum(), (count[~inside] > 0).sum()) >= _FEWEST
            sizes = (int(inside.sum()), int(count[inside].sum()))
            found.append((str(feature), group, *sizes, own, rest, own - rest, error, p_value, judged))
    columns = ["feature", "group", "rows", "cells", "error", "rest", "difference", "se", "p_value", "judged"]
    frame = pd.DataFrame(found, columns=columns)
    reach = stats.norm.ppf(1 - _ALPHA / 2) * frame["se"]
    frame["low"], frame["high"] = frame["difference"] - reach, frame["difference"] + reach
    frame["level"] = np.nan
    if frame["judged"].any():
        frame.loc[frame["judged"], "level"] = holm_levels(frame.loc[frame["judged"], "p_value"], _ALPHA)
    sure = frame["judged"] & (frame["p_value"] <= frame["level"])
    word = np.where(frame["difference"] > 0, "imputed worse", "imputed better")
    frame["verdict"] = np.where(~frame["judged"], "too few", np.where(sure, word, "no evidence"))
    return frame.drop(columns=["se", "judged"])


def _ratio(total: np.ndarray, count: np.ndarray) -> tuple[float, float]:
    """Return the mean loss of a cell, and its standard error over rows (cells of a row are dependent)."""
    mean = total.sum() / count.sum()
    rows = (count > 0).sum()
    if rows < 2:
        return float(mean), float("inf")
    return float(mean), float(np.sqrt(((total - mean * count) ** 2).sum() * rows / (rows - 1)) / count.sum())
