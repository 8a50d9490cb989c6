"""All judged figures in one picture, for papers and slides: each on its own axis, beside its controls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from augsynth.check.finding import CONTROLS, COPY, FAILED, HOLDOUT, INDEPENDENT, NOT_JUDGED, SMOTE, Finding
from augsynth.check.panels import FAINT
from augsynth.check.preservation.plot import INK, write_figure
from augsynth.check.report.answers import figure_words, status_words
from augsynth.check.report.markup import Axis, middle_cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from augsynth.check.report.report import Report

__all__ = ["findings_plot"]

_GOOD, _BAD, _SOFT = "#176b4d", "#b3261e", "#55616e"
_MARKS = {
    HOLDOUT: ("o", "#2f6690"),
    COPY: ("s", "#7a5195"),
    INDEPENDENT: ("D", _SOFT),
    SMOTE: ("^", "#8a6500"),
}


def findings_plot(report: Report, path: Any = None) -> Figure:
    """Draw a line a judged check; green passed, red failed, the dashed mark is "if nothing differed".

    Parameters
    ----------
    report : Report
    path : path-like, optional
        Where to write; the ending says the format.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    shown = [each for each in report.findings if each.status != NOT_JUDGED and math.isfinite(each.value)]
    height = 0.34 * len(shown) + 1.15
    figure_ = Figure(figsize=(9.8, height), dpi=130, facecolor="white")
    axes = figure_.add_axes((0.42, 0.5 / height, 0.41, max(0.34 * len(shown), 0.1) / height))
    for place, found in enumerate(shown):
        _line(axes, found, -place)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-max(len(shown), 1) + 0.4, 0.6)
    axes.set_axis_off()
    handles = [Line2D([], [], color=_SOFT, ls="--", lw=1.6, label="if nothing differed")]
    handles += [
        Line2D([], [], marker=_MARKS[name][0], color=_MARKS[name][1], mfc="white", ls="", label=name)
        for name in CONTROLS
    ]
    figure_.legend(handles=handles, loc="lower center", ncols=5, frameon=False, fontsize=8.5, labelcolor=INK)
    title = f"{report.settings['title']}: {report.verdict.word}"
    figure_.text(
        0.012, 1 - 0.3 / height, middle_cut(title, 90), size=13, weight="bold", color=INK, parse_math=False
    )
    write_figure(figure_, path)
    return figure_


def _line(axes: Axes, found: Finding, y: int) -> None:
    scale = Axis([found.value, found.low, found.high, found.null, *found.controls.values()])
    colour = _BAD if found.status == FAILED else _GOOD
    axes.plot([0, 1], [y, y], color=FAINT, lw=0.8, zorder=0)
    if math.isfinite(found.null):
        at = scale.share(found.null)
        axes.plot([at, at], [y - 0.36, y + 0.36], color=_SOFT, ls="--", lw=1.4, zorder=1)
    for name, value in found.controls.items():
        if math.isfinite(value):
            mark, ink = _MARKS[name]
            axes.plot(scale.share(value), y - 0.14, mark, ms=4.5, mfc="white", mec=ink, zorder=2)
    if math.isfinite(found.low) and math.isfinite(found.high):
        axes.plot(
            [scale.share(found.low), scale.share(found.high)], [y + 0.1, y + 0.1], color=colour, lw=2.6,
            alpha=0.7, solid_capstyle="round", zorder=3,
        )  # fmt: skip
    axes.plot(scale.share(found.value), y + 0.1, "o", ms=6.5, color=colour, mec="white", zorder=4)
    beside = axes.get_yaxis_transform()
    style: dict[str, Any] = {"transform": beside, "va": "center", "size": 9, "parse_math": False}
    axes.text(-0.04, y, middle_cut(found.title, 56), ha="right", color=INK, **style)
    told = f"{figure_words(found)}  {status_words(found)}"
    axes.text(1.05, y, told, ha="left", color=colour, **style)
