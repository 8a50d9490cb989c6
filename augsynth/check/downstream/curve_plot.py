"""The picture of a ratio curve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from augsynth.check.utility.verdict import HELPS, HURTS
from augsynth.core.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from augsynth.check.downstream.curve import RatioCurve

__all__ = ["curve_plot"]

_GREEN, _RED, _GREY, _INK, _FAINT, _BLUE = "#00796b", "#c0392b", "#757f8a", "#1f2933", "#d5dae0", "#2c5f9e"


def curve_plot(curve: RatioCurve, path: Any = None) -> Figure:
    """Draw score against ratio (evenly spaced), with its band; new rows alone and the chosen ratio beside."""
    from matplotlib.figure import Figure

    table = curve.table
    named = table["ratio"].map(lambda x: isinstance(x, str))
    ratios, beside = table[~named], table[named]
    figure = Figure(figsize=(8.5, 4.6), dpi=150, facecolor="white")
    axes = figure.add_axes((0.09, 0.16, 0.88, 0.66))
    x = np.arange(len(ratios), dtype=float)
    score, low, high = (ratios[name].to_numpy(dtype=float) for name in ("score", "low", "high"))
    axes.fill_between(x, low, high, color=_BLUE, alpha=0.10, lw=0)
    axes.axhline(score[0], color=_INK, lw=1.0, ls=(0, (4, 3)))
    axes.plot(x, score, color=_BLUE, lw=1.6, zorder=3)
    for place, (_, row) in enumerate(ratios.iterrows()):
        colour = {HELPS: _GREEN, HURTS: _RED}.get(row["verdict"], _BLUE)
        axes.plot(place, row["score"], "o", ms=8, mfc=colour, mec="white", mew=1.2, zorder=4)
    ticks = [f"{ratio:g}" for ratio in ratios["ratio"]]
    for place, (_, row) in enumerate(beside.iterrows()):
        at = len(ratios) + 0.3 + 1.15 * place
        colour = {HELPS: _GREEN, HURTS: _RED}.get(row["verdict"], _GREY)
        axes.plot(
            [at, at], [row["low"], row["high"]], color=colour, lw=3.0, solid_capstyle="round", alpha=0.5
        )
        axes.plot(at, row["score"], "D", ms=8, mfc=colour, mec="white", mew=1.2, zorder=4)
        style: dict[str, Any] = {"ha": "center", "color": colour, "size": 8.5}
        spot = (at, np.nan_to_num(row["high"], nan=row["score"]))
        axes.annotate(str(row["verdict"]), spot, (0, 5), textcoords="offset points", **style)
        x = np.append(x, at)
        ticks.append(str(row["ratio"]))
    axes.set_xticks(x, ticks)
    axes.set_xlim(-0.4, x[-1] + 0.6)
    axes.grid(axis="y", color=_FAINT, lw=0.6)
    axes.set_axisbelow(True)
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=_INK, labelsize=9)
    of = "real row" if curve.settings["add"] == "all" else "real row of the rarest class"
    axes.set_xlabel(f"new rows for each {of}", color=_INK, size=9.5)
    axes.set_ylabel(curve.metric_words, color=_INK, size=9.5)
    figure.text(0.01, 0.94, "How many new rows?", size=15, weight="bold", color=_INK, va="center")
    confidence = f"{1 - curve.settings['alpha']:.0%}".replace("%", " %")
    note = (
        f"{curve.settings['splits']} folds. Band: {confidence} interval of the mean. Dashed: nothing added."
    )
    figure.text(0.01, 0.875, note, size=9, color=_GREY, va="center")
    if path is not None:
        with atomic_path(path) as temporary:
            ending = Path(path).suffix.lstrip(".") or "png"
            figure.savefig(temporary, format=ending, bbox_inches="tight", pad_inches=0.2)
    return figure
