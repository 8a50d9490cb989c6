"""Whether an imputer does better than the column mean on cells that it was not shown."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from augsynth.core.errors import AugsynthWarning
from augsynth.encode.layout import Layout

__all__ = ["column_starts", "errors_on_masked", "warn_if_no_better"]

_ROWS = 500
_SHARE = 0.1
_ENOUGH = 30  # masked cells, below which nothing is said of an imputer


def column_starts(z: np.ndarray, layout: Layout) -> np.ndarray:
    """Return the mean of each numeric column and the most frequent level of the others, (p,)."""
    starts = np.full(len(layout), np.nan)
    for j, block in enumerate(layout):
        seen = z[~np.isnan(z[:, j]), j]
        if not len(seen):
            continue
        scale = max(float(np.abs(seen).max()), 1.0)
        starts[j] = (
            (seen / scale).mean() * scale if block.is_numeric else np.bincount(seen.astype(np.intp)).argmax()
        )
    return starts


def errors_on_masked(
    z: np.ndarray,
    layout: Layout,
    point: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
    *,
    rows: int = _ROWS,
) -> pd.DataFrame:
    """Mask a tenth of the seen cells of some rows, fill them, and measure.

    Parameters
    ----------
    z : ndarray (n, p)
        Coded rows.
    point : function
        From rows with holes to filled rows.

    Returns
    -------
    DataFrame
        One row a column: name, kind ("numeric", "categorical"), n masked cells, error
        and baseline. Errors are root mean squares in standard deviations of the column,
        or shares falsely classified; the baseline is the column's mean or mode.
        ``changed`` says whether any cell got something else than the baseline.
    """
    part = z[np.sort(rng.permutation(len(z))[:rows])]
    seen = ~np.isnan(part)
    hidden = seen & (rng.random(part.shape) < _SHARE)
    hidden[np.flatnonzero(hidden.sum(1) == seen.sum(1))] = False  # a row keeps something to go by
    filled = point(np.where(hidden, np.nan, part))
    starts = column_starts(z, layout)
    found = []
    for j, block in enumerate(layout):
        here = hidden[:, j]
        truth, made = part[here, j], filled[here, j]
        plain = np.full(len(truth), starts[j])
        found.append(
            {
                "name": block.name,
                "kind": "numeric" if block.is_numeric else "categorical",
                "n": len(truth),
                "error": _error(made, truth, z[:, j], block.is_numeric),
                "baseline": _error(plain, truth, z[:, j], block.is_numeric),
                "changed": bool((made != plain).any()),
            }
        )
    return pd.DataFrame(found)


def _error(made: np.ndarray, truth: np.ndarray, column: np.ndarray, numeric: bool) -> float:
    if not len(truth):
        return float("nan")
    if not numeric:
        return float((made != truth).mean())
    seen = column[~np.isnan(column)]
    spread = float(np.abs(seen - np.median(seen)).max()) or 1.0  # huge values would overflow when squared
    unit = float((seen / spread).std()) or 1.0
    return float(np.sqrt((((made - truth) / spread) ** 2).mean()) / unit)


def warn_if_no_better(errors: pd.DataFrame, where: str) -> None:
    """Warn if an imputer as a whole is no better than the column means."""
    told = errors[errors["n"] > 0]
    if told["n"].sum() < _ENOUGH:
        return
    lines = []
    if "changed" in told and not told["changed"].any():
        lines.append("every cell got its column's mean or most frequent value")
    else:
        better = [
            group["error"].mean() < group["baseline"].mean() for _, group in told.groupby("kind", sort=True)
        ]
        if not any(better):
            lines.append(
                f"errors of {told['error'].mean():.3f} against {told['baseline'].mean():.3f} "
                "for the column means and most frequent values"
            )
    if lines:
        warnings.warn(
            f"{where}: did no better than the column mean on seen cells hidden from it: {lines[0]}. "
            "The columns may tell nothing of each other; self_check_ has the figures by column.",
            AugsynthWarning,
            stacklevel=4,
        )
