"""Pictures of a check of imputers: errors by column and group, filled-in values against the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from augsynth.check.panels import FAINT, PALETTE, labels_of, panel_figure, short_names
from augsynth.check.preservation.plot import INK, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from augsynth.check.imputers.report import ImputationReport

__all__ = ["error_plot", "values_plot"]

_MOST_COLUMNS, _MOST_GROUPS, _MOST_PANELS = 30, 24, 12
_LINE = 0.2  # inches between two dots


def error_plot(report: ImputationReport, path: Any = None) -> Figure:
    """Draw what share of the column mean's error each imputer saves, by column, and errors by group.

    Bars are 95 % intervals; left of the line at zero the column mean is better.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    names = [name for name in report.verdicts.index if name not in report.failures]
    columns, groups = report.to_frame("column"), report.to_frame("group")
    listed = list(pd.unique(columns["column"]))[:_MOST_COLUMNS] if len(columns) else []
    group_names = [] if groups.empty else groups[["feature", "group"]].drop_duplicates()[:_MOST_GROUPS]
    per_column = per_group = _LINE * len(names) + 0.16
    tall, own = per_column * (len(listed) + 1), per_group * len(group_names)
    below = own + 1.0 if own else 0.0
    width, height = 7.4, max(tall, 1.0) + below + 1.75
    figure = Figure(figsize=(width, height), dpi=130, facecolor="white")
    left, wide = 1.9 / width, 5.15 / width
    upper = figure.add_axes((left, (0.62 + below) / height, wide, max(tall, 1.0) / height))
    _gains(upper, report.to_frame(), columns, names, listed, tall, per_column)
    if len(group_names):
        lower = figure.add_axes((left, 0.62 / height, wide, own / height))
        _groups(lower, groups, names, group_names, own, per_group)
    handles = [
        Line2D([], [], marker="o", lw=2, color=PALETTE[k % len(PALETTE)], label=name)
        for k, name in enumerate(names)
    ]
    figure.legend(
        handles=handles, loc="upper left", ncols=min(len(handles), 5), frameon=False, fontsize=9,
        labelcolor=INK, bbox_to_anchor=(0.005, 1 - 0.58 / height),
    )  # fmt: skip
    s = report.settings
    figure.text(
        0.1 / width, 1 - 0.3 / height, "Does it beat the column mean?", size=14, weight="bold", color=INK
    )
    told = f"{s['share']:.0%} of the cells of {s['rows']:,} rows hidden ({s['mechanism']})"
    told += f", {s['repeats']} repeats"
    told += f"; failed: {', '.join(report.failures)}" if report.failures else ""
    figure.text(0.1 / width, 1 - 0.52 / height, told, size=9, color="#757f8a")
    write_figure(figure, path)
    return figure


def _gains(
    axis: Axes,
    frame: pd.DataFrame,
    columns: pd.DataFrame,
    names: list[str],
    listed: list[Any],
    tall: float,
    step: float,
) -> None:
    labels, places = ["all columns", *short_names([str(column) for column in listed], 22)], []
    for i, column in enumerate([None, *listed]):
        base = i * step
        places.append(base + step / 2)
        if i % 2 == 0:
            axis.axhspan(base, base + step, color="#f4f6f8", lw=0, zorder=0)
        for k, name in enumerate(names):
            if column is None:
                row = frame.loc[name]
            else:
                found = columns[(columns["imputer"] == name) & (columns["column"] == column)]
                if found.empty:
                    continue
                row = found.iloc[0]
            y = base + 0.08 + (k + 0.5) * _LINE
            _dot(axis, y, row["gain"], row["low"], row["high"], PALETTE[k % len(PALETTE)], column is None)
    axis.set_yticks(places, labels, fontsize=8.5, color=INK)
    axis.get_yticklabels()[0].set_fontweight("bold")
    axis.set_ylim(tall, 0)
    shown = columns[columns["column"].isin(listed)]
    ends = np.concatenate([shown["gain"], frame["gain"], np.clip(shown["low"], -1.0, None), [0.0]])
    axis.set_xlim(max(float(np.nanmin(ends)) - 0.05, -1.05), 1.02)
    axis.axvline(0.0, color=INK, lw=1.0, zorder=1)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    _finish(axis, "share of the column mean's error saved   (100 %: the truth)")


def _groups(
    axis: Axes, groups: pd.DataFrame, names: list[str], listed: Any, tall: float, step: float
) -> None:
    labels, places = [], []
    shown = short_names([f"{feature}: {group}" for feature, group in listed.itertuples(index=False)], 24)
    for i, (feature, group) in enumerate(listed.itertuples(index=False)):
        base = i * step
        here = groups[(groups["feature"] == feature) & (groups["group"] == group)].set_index("imputer")
        places.append(base + step / 2)
        labels.append(f"{shown[i]}\n{here['rows'].iloc[0]:,} rows")
        if i % 2 == 0:
            axis.axhspan(base, base + step, color="#f4f6f8", lw=0, zorder=0)
        for k, name in enumerate(names):
            if name in here.index:
                row = here.loc[name]
                half = (row["high"] - row["low"]) / 2
                colour = PALETTE[k % len(PALETTE)]
                y = base + 0.08 + (k + 0.5) * _LINE
                low, high = row["error"] - half, row["error"] + half
                _dot(axis, y, row["error"], low, high, colour, row["verdict"] == "imputed worse")
                axis.plot([row["rest"]] * 2, [y - 0.07, y + 0.07], color=INK, lw=1.3, zorder=4)
    axis.set_yticks(places, labels, fontsize=8.5, color=INK)
    axis.set_ylim(tall, 0)
    axis.set_xlim(left=0)
    axis.set_title(
        "By group: its error (dot), and that of all others (tick)", loc="left", size=9.5, color=INK
    )
    _finish(axis, "loss of a hidden cell   (1: column mean on average)")


def _dot(axis: Axes, y: float, x: float, low: float, high: float, colour: str, strong: bool) -> None:
    if not np.isfinite(x):
        return
    if np.isfinite(low):
        axis.plot(
            [low, high], [y, y], color=colour, lw=2.6 if strong else 1.5, solid_capstyle="round", zorder=2
        )
    axis.plot([x], [y], "o", ms=6 if strong else 4.5, color=colour, mec="white", mew=0.7, zorder=3)


def _finish(axis: Axes, label: str) -> None:
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(FAINT)
    axis.grid(axis="x", color=FAINT, lw=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", labelsize=8.5, colors=INK, length=3)
    axis.set_xlabel(label, color=INK, size=9)


def values_plot(report: ImputationReport, path: Any = None) -> Figure:
    """Draw what was filled into hidden cells against what they held, of the first repeat.

    Draws where an imputer makes them, else its best guesses: those heap up in the middle.
    """
    task, hidden, examples = report.examples
    names = [name for name in report.verdicts.index if name in examples][: len(PALETTE)]
    frame = report.to_frame("column")
    spread = frame.groupby("column", sort=False)["gain"].max().sort_values(ascending=False)
    panels = []
    for column in [*spread.index][:_MOST_PANELS]:
        j = task.codec.names.index(column)
        here = hidden.columns == j
        if not here.any():
            continue
        values = {"hidden truth": hidden.truth[here]}
        for name in names:
            cells, drawn = examples[name]
            values[name if drawn is None else f"{name} (draw)"] = (cells if drawn is None else drawn)[here]
        described = next(c for c in task.codec.schema if c.name == column)
        panels.append((str(column), f"{int(here.sum())} cells", labels_of(described), values))
    return panel_figure(panels, "Filled in against the truth", path)
