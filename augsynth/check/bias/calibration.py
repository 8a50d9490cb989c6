"""Whether scores mean the same in every group: mean score against rate, and a binned calibration error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.random import keyed_rng, resolve_seed

__all__ = ["calibration_table"]

_BINS, _DRAWS, _STREAM = 10, 1000, 332
_COLUMNS = [
    "attribute",
    "group",
    "rows",
    "mean_score",
    "rate",
    "binned_error",
    "null",
    "null_high",
    "p_value",
]


def calibration_table(
    attribute: str,
    true: np.ndarray,
    score: np.ndarray,
    codes: np.ndarray,
    names: Sequence[str],
    *,
    weights: np.ndarray | None = None,
    min_rows: int = 20,
    random_state: Any = 0,
) -> pd.DataFrame:
    """Return a row a group: mean score, rate, binned calibration error and what chance alone would give.

    The binned error, mean |mean score - rate| over ten bins of equally many rows of the group, is
    never 0, not even for true probabilities; `null` is its mean and `null_high` its 95 % quantile if
    labels were drawn with the scores as chances, and `p_value` the chance of as large an error.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> score = rng.random(2000)
    >>> true = (rng.random(2000) < score).astype(int)
    >>> table = calibration_table("all", true, score, np.zeros(2000, int), ["all"])
    >>> bool(table["binned_error"][0] < table["null_high"][0])
    True
    """
    rng = keyed_rng(resolve_seed(random_state), _STREAM)
    weight = np.ones(len(true)) if weights is None else weights
    order = np.lexsort((score, codes))
    bounds = np.searchsorted(codes[order], np.arange(len(names) + 1))
    rows = []
    for place, name in enumerate(names):
        own = order[bounds[place] : bounds[place + 1]]
        total = weight[own].sum()
        row: list[object] = [attribute, name, len(own), float("nan"), float("nan")]
        if total > 0:
            row[3:] = [float(np.average(each[own], weights=weight[own])) for each in (score, true)]
        few = len(own) < min_rows or total <= 0
        figures = (float("nan"),) * 4 if few else _binned(true[own], score[own], weight[own], rng)
        rows.append([*row, *figures])
    return pd.DataFrame(rows, columns=_COLUMNS)


def _binned(
    true: np.ndarray, score: np.ndarray, weight: np.ndarray, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Return error, null mean, null 95 % quantile and p-value; rows come sorted by score."""
    bins = np.arange(len(true)) * min(_BINS, max(len(true) // 10, 1)) // len(true)
    gap = np.bincount(bins, weight * (score - true))
    spread = np.sqrt(np.bincount(bins, weight**2 * score * (1 - score)))  # of a bin's sum of labels
    total = weight.sum()
    error = float(np.abs(gap).sum() / total)
    null = np.abs(rng.standard_normal((_DRAWS, len(spread))) * spread).sum(axis=1) / total
    p = float((1 + np.sum(null >= error - 1e-12)) / (1 + _DRAWS))
    return error, float(null.mean()), float(np.quantile(null, 0.95)), p
