"""Pictures of holes and of what fills them: patterns, convergence traces, observed against imputed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from augsynth.check.panels import FAINT, PALETTE, bare, labels_of, panel_figure, short_names
from augsynth.check.preservation.plot import INK, write_figure
from augsynth.core.arrays import take_in
from augsynth.core.errors import DataError, InputTypeError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_number
from augsynth.encode.schema import Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["filled_plot", "pattern_plot", "trace_plot"]

SEEN, GONE = "#c5dbe6", "#c0392b"
_TRACED = 8  # columns


def pattern_plot(X: Any, path: Any = None, *, max_patterns: int = 20, max_columns: int = 30) -> Figure:
    """Draw which columns are missing together: one line a pattern, the most frequent on top.

    Red cells are missing. The bars beside say how many rows have the pattern, those on top what
    share of each column is missing; columns go from full to empty.

    Parameters
    ----------
    X : DataFrame, array, list of rows or tensor, shape (n, p)
    path : path-like, optional
        Where to write; the ending says the format.
    max_patterns, max_columns : int
        Draw at most so many, those with the most rows or holes.

    Examples
    --------
    >>> table = pd.DataFrame({"age": [1.0, np.nan, 3.0], "job": ["a", None, "b"]})
    >>> len(pattern_plot(table).axes)
    3
    """
    from matplotlib.figure import Figure

    check_number("pattern_plot", "max_patterns", max_patterns, low=1, integer=True)
    check_number("pattern_plot", "max_columns", max_columns, low=1, integer=True)
    frame, _ = take_in(X, where="pattern_plot")
    gone = frame.isna().to_numpy()
    share = gone.mean(axis=0)
    order = np.argsort(-share, kind="stable")[:max_columns]
    order = order[np.argsort(share[order], kind="stable")]
    shapes, inverse = np.unique(gone, axis=0, return_inverse=True)
    counts = np.bincount(inverse.reshape(-1))
    top = np.argsort(-counts, kind="stable")[:max_patterns]
    rest = len(counts) - len(top)
    wide, tall = 0.42 * len(order), 0.3 * len(top)
    names = short_names([str(frame.columns[j]) for j in order])
    below = 0.3 + 0.06 * max(len(name) for name in names) + (0.3 if rest else 0.0)
    left, right, above = 1.35, 2.1, 1.75
    width, height = max(left + wide + right, 6.0), below + tall + above
    figure = Figure(figsize=(width, height), dpi=130, facecolor="white")
    grid = figure.add_axes((left / width, below / height, wide / width, tall / height))
    cells = shapes[np.ix_(top, order)]
    for i, row in enumerate(cells):
        for j, missing in enumerate(row):
            grid.add_patch(_cell(j, i, GONE if missing else SEEN))
    grid.set_xlim(0, len(order))
    grid.set_ylim(len(top), 0)
    grid.set_xticks(np.arange(len(order)) + 0.5, names, rotation=50, ha="right", fontsize=8.5, color=INK)
    holes = cells.sum(axis=1) if len(order) == gone.shape[1] else shapes[top].sum(axis=1)
    grid.set_yticks(np.arange(len(top)) + 0.5, [_holes(int(k)) for k in holes], fontsize=8.5, color=INK)
    bare(grid)
    rows = figure.add_axes(((left + wide + 0.12) / width, below / height, 1.15 / width, tall / height))
    rows.barh(np.arange(len(top)) + 0.5, counts[top], height=0.62, color="#8fa3ad")
    for i, count in enumerate(counts[top]):
        rows.text(count, i + 0.5, f"  {count:,} ({count / len(gone):.0%})", va="center", size=8, color=INK)
    rows.set_ylim(len(top), 0)
    bare(rows, hide=True)
    above_axes = figure.add_axes((left / width, (below + tall + 0.1) / height, wide / width, 0.62 / height))
    above_axes.bar(np.arange(len(order)) + 0.5, share[order], width=0.62, color=GONE, alpha=0.75)
    for j, part in enumerate(share[order]):
        above_axes.text(j + 0.5, part, _percent(part), ha="center", va="bottom", size=7.5, color=INK)
    above_axes.set_xlim(0, len(order))
    above_axes.set_ylim(0, max(float(share.max()), 1e-9) * 1.15)
    bare(above_axes, hide=True)
    left_edge = 0.15 / width
    figure.text(left_edge, 1 - 0.3 / height, "What is missing together", size=13, weight="bold", color=INK)
    told = (
        f"{len(gone):,} rows, {gone.shape[1]} columns, {gone.mean():.1%} of the cells missing; "
        f"{(~gone.any(axis=1)).mean():.0%} of the rows are complete"
    )
    figure.text(left_edge, 1 - 0.56 / height, told, size=9, color=INK)
    if rest:
        others = 1 - counts[top].sum() / len(gone)
        text = f"and {rest:,} patterns more, of {others:.0%} of the rows"
        figure.text(left_edge, 0.12 / height, text, size=8.5, color=INK)
    write_figure(figure, path)
    return figure


def _cell(j: int, i: int, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((j + 0.05, i + 0.08), 0.9, 0.84, facecolor=colour, linewidth=0)


def _holes(count: int) -> str:
    return "complete" if count == 0 else f"{count} missing"


def _percent(share: float) -> str:
    return "" if share == 0 else "<1%" if share < 0.005 else f"{share:.0%}"


def trace_plot(trace: Any, path: Any = None, *, columns: Sequence[Any] | None = None) -> Figure:
    """Draw how the filled-in values move from round to round: chains that mix freely have converged.

    Parameters
    ----------
    trace : DataFrame
        Columns ``chain``, ``round``, ``column``, ``mean``, ``sd``, as from `ChainedImputer.trace`.
    path : path-like, optional
    columns : list, optional
        Default: the 8 with the most holes, which the chain visits last.

    Examples
    --------
    >>> trace = pd.DataFrame({"chain": [0, 0], "round": [1, 2], "column": "a", "mean": [1.0, 2], "sd": 1.0})
    >>> len(trace_plot(trace).axes)
    2
    """
    from matplotlib.figure import Figure

    frame, wanted = trace, ["chain", "round", "column", "mean", "sd"]
    if not isinstance(frame, pd.DataFrame) or not set(wanted) <= set(frame.columns):
        must = f"trace must be a DataFrame with the columns {', '.join(wanted)}"
        todo = "Pass what the trace method of a fitted ChainedImputer returns."
        raise InputTypeError(sentence("trace_plot", must, type(trace).__name__, todo))
    if frame.empty:
        todo = "Columns that go missing in one order (monotone) need no rounds."
        raise DataError(sentence("trace_plot", "the trace must have rounds", "none", todo))
    known = list(pd.unique(frame["column"]))
    chosen = known[::-1][:_TRACED] if columns is None else list(columns)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise ParameterError(sentence("trace_plot", "columns must be in the trace", offenders(unknown)))
    height = 1.35 * len(chosen) + 1.2
    figure = Figure(figsize=(8.4, height), dpi=130, facecolor="white")
    axes = figure.subplots(len(chosen), 2, sharex=True, squeeze=False)
    chains = list(pd.unique(frame["chain"]))
    shown = short_names([str(name) for name in chosen], 24)
    for i, name in enumerate(chosen):
        part = frame[frame["column"] == name]
        for j, what in enumerate(("mean", "sd")):
            axis = axes[i, j]
            for k, chain in enumerate(chains):
                line = part[part["chain"] == chain].sort_values("round")
                axis.plot(line["round"], line[what], color=PALETTE[k % len(PALETTE)], lw=1.3, alpha=0.85)
            axis.tick_params(labelsize=8, colors=INK, length=2)
            axis.locator_params(axis="y", nbins=4)
            for side in ("top", "right"):
                axis.spines[side].set_visible(False)
            axis.grid(color=FAINT, lw=0.5)
            if i == len(chosen) - 1:
                axis.set_xlabel("round", color=INK, size=9)
                axis.xaxis.get_major_locator().set_params(integer=True)
        axes[i, 0].set_ylabel(shown[i], color=INK, size=9, rotation=0, ha="right", va="center")
    axes[0, 0].set_title("mean of the filled-in values", color=INK, size=9.5)
    axes[0, 1].set_title("standard deviation", color=INK, size=9.5)
    told = f"{len(chains)} {'chain' if len(chains) == 1 else 'chains'}"
    told += f", {len(chosen)} of {len(known)} columns" if len(known) > len(chosen) else ""
    figure.suptitle(f"Do the rounds settle?  ({told})", color=INK, size=12, weight="bold")
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.1 / height))
    write_figure(figure, path)
    return figure


def filled_plot(X: Any, filled: Any, path: Any = None, *, max_columns: int = 12) -> Figure:
    """Draw observed values against those that were filled in, column by column.

    Densities of numbers; bars of categories, and of few whole numbers, where fractions count at the
    nearest. A difference is no error by itself: under MAR the missing values are others than the
    observed ones. Best guesses are narrower than draws.

    Parameters
    ----------
    X : DataFrame, array, list of rows or tensor, shape (n, p)
        The table with its holes.
    filled : the same table filled, or a list of such (draws), or mapping of names to either
    path : path-like, optional
    max_columns : int, default=12
        Those with the most holes.

    Examples
    --------
    >>> holes = pd.DataFrame({"a": [1.0, 2.0, 3.0, np.nan, np.nan]})
    >>> len(filled_plot(holes, holes.fillna(2.5)).axes)
    1
    """
    check_number("filled_plot", "max_columns", max_columns, low=1, integer=True)
    frame, _ = take_in(X, where="filled_plot")
    frame = frame.reset_index(drop=True)
    named = dict(filled) if isinstance(filled, dict) else {"filled in": filled}
    tables = {name: [_matched(frame, t) for t in _listed(made)] for name, made in named.items()}
    holes = frame.isna().to_numpy()
    order = [j for j in np.argsort(-holes.sum(axis=0), kind="stable") if holes[:, j].any()][:max_columns]
    if not order:
        raise DataError(sentence("filled_plot", "X must have holes", "none"))
    panels = []
    for j in order:
        every = pd.concat([frame.iloc[:, [j]], *(t.iloc[:, [j]] for ts in tables.values() for t in ts)])
        column = next(iter(Schema.infer(every.reset_index(drop=True), where="filled_plot")))
        gone = holes[:, j]
        values = {"observed": column.encode(frame.iloc[:, j], "filled_plot")[~gone]}
        for name, made in tables.items():
            parts = [column.encode(t.iloc[:, j], "filled_plot")[gone] for t in made]
            cells = np.concatenate(parts)
            values[name] = cells[~np.isnan(cells)]  # holes may be left
        panels.append((str(frame.columns[j]), f"{gone.mean():.0%} missing", labels_of(column), values))
    return panel_figure(panels, "Observed against filled in", path)


def _listed(made: Any) -> list[Any]:
    tables = isinstance(made, (list, tuple)) and len(made) > 0 and np.ndim(made[0]) == 2
    return list(made) if tables else [made]


def _matched(frame: pd.DataFrame, table: Any) -> pd.DataFrame:
    made, _ = take_in(table, where="filled_plot")
    if made.shape != frame.shape:
        must = f"filled must have the shape of X {frame.shape}"
        raise DataError(sentence("filled_plot", must, str(made.shape)))
    return made.reset_index(drop=True).set_axis(frame.columns, axis=1)
