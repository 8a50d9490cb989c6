"""The forest plot of a comparison: a dot and an interval for each method and baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from augsynth.check.utility.table import difference_format, interval_text
from augsynth.check.utility.verdict import FAILED, HELPS, HURTS, IN_ALL, NOT_APPLICABLE
from augsynth.core.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from augsynth.check.utility.comparison import Comparison

__all__ = ["forest_plot"]

_GREEN, _RED, _GREY, _INK, _FAINT = "#00796b", "#c0392b", "#757f8a", "#1f2933", "#d5dae0"


def _colour(word: str) -> str:
    return {HELPS: _GREEN, HURTS: _RED}.get(word, _GREY)


def forest_plot(result: Comparison, path: Any = None) -> Figure:
    """Draw every method against every baseline; words and figures stand beside the dots.

    The thick bar is the interval at ``1 - alpha``, the thin one also allows for
    the number of methods tried (Holm). The colours are readable in grey, and the
    verdict is always written as well.

    Parameters
    ----------
    result : Comparison
    path : path-like, optional
        Where to write; the ending says the format.
    """
    from matplotlib.figure import Figure

    frame = result.to_frame()
    frame = frame[(frame["metric"] == result.metric) & (frame["scope"] == "all")]
    per_method = len(result.verdicts.columns) - 1
    lines = len(result.methods) * (per_method + 1.35)
    # inches are fixed, so that text keeps its place whatever the number of methods
    height = 0.36 * lines + 1.75
    figure = Figure(figsize=(10.0, height), dpi=150, facecolor="white")
    axes = figure.add_axes((0.20, 0.72 / height, 0.37, 0.36 * lines / height))
    _draw_rows(axes, result, frame)
    axes.set_ylim(-lines + 0.35, 0.6)
    _finish(figure, axes, result, frame, height)
    if path is not None:
        with atomic_path(path) as temporary:
            ending = Path(path).suffix.lstrip(".") or "png"
            figure.savefig(temporary, format=ending, bbox_inches="tight", pad_inches=0.2)
    return figure


def _draw_rows(axes: Axes, result: Comparison, frame: pd.DataFrame) -> None:
    decimals = difference_format(frame)
    beside = axes.get_yaxis_transform()  # x in shares of the axes, y in rows
    right = 1.86 + 0.06 * max(decimals - 3, 0)  # the three figures of a line grow with their decimals
    y = 0.0
    for method in result.methods:
        word = str(result.verdicts.loc[method, IN_ALL])
        badge, lost = word, int(result.costs.loc[method, "failed"])
        if lost and word != FAILED:
            badge += f", {lost} of {result.settings['splits']} folds failed"
        axes.text(-0.52, y, method, transform=beside, va="center", weight="bold", color=_INK, size=10.5)
        axes.text(
            right, y, badge, transform=beside, va="center", ha="right", weight="bold", color="white",
            size=9.5, bbox={"boxstyle": "round,pad=0.35", "facecolor": _colour(word), "edgecolor": "none"},
        )  # fmt: skip
        for _, row in frame[frame["method"] == method].iterrows():
            y -= 1.0
            colour = _colour(row["verdict"])
            axes.text(
                -0.04, y, f"against {row['against']}", transform=beside, va="center", ha="right", color=_INK,
                size=9.5,
            )  # fmt: skip
            if not np.isfinite(row["low"]):
                axes.text(1.05, y, row["flag"] or "undefined", transform=beside, va="center", color=_GREY)
                continue
            axes.plot([row["low_holm"], row["high_holm"]], [y, y], color=colour, lw=1.0, zorder=2)
            axes.plot(
                [row["low"], row["high"]], [y, y], color=colour, lw=3.6, solid_capstyle="round", zorder=3
            )
            axes.plot(row["difference"], y, "o", ms=8, mfc=colour, mec="white", mew=1.4, zorder=4)
            told = f"{row['difference']:+.{decimals}f}  {interval_text(row['low'], row['high'], decimals)}"
            axes.text(1.05, y, told, transform=beside, va="center", color=_INK, size=9.5)
            axes.text(
                right, y, row["verdict"], transform=beside, va="center", ha="right", color=colour, size=9.5
            )
        y -= 1.35


def _finish(figure: Figure, axes: Axes, result: Comparison, frame: pd.DataFrame, height: float) -> None:
    ends = frame[["low_holm", "high_holm"]].to_numpy(dtype=float)
    reach = float(np.nanmax(np.abs(ends), initial=0.0)) or 0.01
    low = min(float(np.nanmin(ends, initial=0.0)), -0.15 * reach)
    high = max(float(np.nanmax(ends, initial=0.0)), 0.15 * reach)
    axes.set_xlim(low - 0.06 * reach, high + 0.06 * reach)
    axes.axvline(0.0, color=_INK, lw=1.1, zorder=1)
    axes.axvspan(0.0, high + 0.06 * reach, color=_GREEN, alpha=0.035, lw=0)
    axes.grid(axis="x", color=_FAINT, lw=0.6)
    axes.set_axisbelow(True)
    axes.set_yticks([])
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
    axes.tick_params(axis="x", colors=_INK, labelsize=9, length=3)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(f"difference in {result.metric_words}   (right is better)", color=_INK, size=9.5)
    settings = result.settings
    judged = int((~result.verdicts[IN_ALL].isin([FAILED, NOT_APPLICABLE])).sum())
    confidence = f"{1 - settings['alpha']:.0%}".replace("%", " %")
    top = 1 - 0.26 / height
    figure.text(0.01, top, "Does it help?", size=15, weight="bold", color=_INK, va="center")
    missing = "".join(f"   {name}: not applicable." for name, why in result.baselines.items() if why)
    figure.text(
        0.01,
        top - 0.30 / height,
        f"{settings['splits']} paired folds, {settings['rows']} rows. Bar: {confidence} interval"
        + (f"; thin: also allows for {judged} methods" if judged > 1 else "")
        + f".{missing}",
        size=9,
        color=_GREY,
        va="center",
    )
