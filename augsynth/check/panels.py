"""Panels that compare the values of columns: densities of numbers, bars of categories and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from augsynth.check.preservation.plot import INK, write_figure
from augsynth.encode.column import Column

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FAINT", "PALETTE", "bare", "labels_of", "panel_figure", "short_names"]

FAINT = "#d5dae0"
_FIRST = "#aab4bd"
# Okabe and Ito's, which colour-blind readers can tell apart
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8d6e00")
_GRID = 200
_SMOOTHED = 2000  # values a curve is drawn from
_COUNTED = 12  # different whole numbers, up to which they are bars


def panel_figure(
    panels: Sequence[tuple[str, str, Any, dict[str, np.ndarray]]], title: str, path: Any
) -> Figure:
    """Draw a panel a column: the first series filled in grey, the others as lines (numbers) or bars."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    across = min(3, len(panels))
    down = -(-len(panels) // across)
    height = 1.95 * down + 0.95
    figure = Figure(figsize=(max(3.3 * across, 5.0), height), dpi=130, facecolor="white")
    axes = figure.subplots(down, across, squeeze=False)
    shown = short_names([name for name, *_ in panels], 24)
    for k, axis in enumerate(axes.ravel()):
        if k >= len(panels):
            axis.set_visible(False)
            continue
        _, told, levels, values = panels[k]
        counts = _few_whole(next(iter(values.values()))) if levels is None else None
        if isinstance(levels, list):
            _bars(axis, values, levels)
        elif counts is not None:
            nearest = {name: _nearest(part, counts) for name, part in values.items()}
            _bars(axis, nearest, [f"{count:.0f}" for count in counts], _COUNTED, ranked=False)
        else:
            _density(axis, values, levels)
        axis.set_title(shown[k], loc="left", size=8.5, color=INK, weight="bold")
        axis.set_title(told, loc="right", size=7.5, color="#757f8a")
    names = list(panels[0][3])
    colours = [_FIRST, *(PALETTE[k % len(PALETTE)] for k in range(len(names) - 1))]
    figure.legend(
        handles=[Patch(color=colour, label=name) for name, colour in zip(names, colours, strict=True)],
        loc="upper right", ncols=min(len(names), 5), frameon=False, fontsize=9, labelcolor=INK,
        bbox_to_anchor=(0.995, 1 - 0.28 / height),
    )  # fmt: skip
    figure.text(0.012, 1 - 0.26 / height, title, size=13, weight="bold", color=INK)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.55 / height))
    write_figure(figure, path)
    return figure


def _few_whole(values: np.ndarray) -> np.ndarray | None:
    """Return the distinct values, ascending, if they are few whole numbers: a density would smear them."""
    found = np.unique(values)
    few = 0 < len(found) <= _COUNTED and bool((found == np.rint(found)).all())
    return found if few else None


def _nearest(values: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the place of the nearest of the values found, which ascend."""
    return np.searchsorted((found[1:] + found[:-1]) / 2, values)


def _density(axis: Axes, values: dict[str, np.ndarray], write: Any = None) -> None:
    """Draw smoothed densities, all with the bandwidth of the first one, which is drawn as an area."""
    whole = np.concatenate([part for part in values.values() if len(part)] or [np.zeros(1)])
    low, high = np.quantile(whole, [0.002, 0.998])
    full = spread = (high - low) or max(abs(high), 1.0)
    first = next(iter(values.values()))
    if len(first) > 1:
        quartiles = np.subtract(*np.quantile(first, [0.75, 0.25])) / 1.34
        spread = min(s for s in (np.std(first), quartiles or np.inf, spread) if s > 0)
    if high == low:
        spread *= 0.1
    width = max(1.06 * spread * max(len(first), 2) ** -0.2, 0.01 * full)
    grid = np.linspace(low - 3.5 * width, high + 3.5 * width, _GRID)  # where a curve has come to nothing
    top = 0.0
    for k, part in enumerate(values.values()):
        # some of the sorted values stand for all: the curve is as smooth
        some = np.sort(part)[np.linspace(0, len(part) - 1, min(len(part), _SMOOTHED)).astype(int)]
        gaps = (grid[:, None] - some) / width
        heights = np.exp(-0.5 * gaps**2).mean(axis=1) if len(some) else np.zeros(len(grid))
        if k == 0:
            axis.fill_between(grid, heights, color=_FIRST, alpha=0.55, lw=0)
            top = float(heights.max())
        else:
            axis.plot(grid, heights, color=PALETTE[(k - 1) % len(PALETTE)], lw=1.7)
    if top:
        axis.set_ylim(0, min(axis.get_ylim()[1], 3.5 * top))
    bare(axis)
    axis.set_yticks([])
    axis.spines["bottom"].set_visible(True)
    axis.spines["bottom"].set_color(FAINT)
    axis.tick_params(axis="x", labelsize=7.5, colors=INK, length=2)
    axis.locator_params(axis="x", nbins=5 if write is None else 3)
    if write is not None:
        axis.xaxis.set_major_formatter(write)


def labels_of(column: Column) -> Any:
    """Return the names of a column's levels, what writes its dates, or None for plain numbers."""
    if column.levels is not None:
        return [str(level) for level in column.levels]
    if column.kind != "datetime":
        return None
    return lambda value, _: str(column.decode(np.array([value])).iloc[0])[:10]


def _bars(
    axis: Axes, values: dict[str, np.ndarray], levels: list[str], most: int = 6, *, ranked: bool = True
) -> None:
    """Draw the share of each level, the most frequent ones first if they are ranked."""
    shares = np.array(
        [np.bincount(part.astype(int), minlength=len(levels)) / max(len(part), 1) for part in values.values()]
    )
    order = np.argsort(-shares[0], kind="stable") if ranked else np.arange(len(levels))
    kept, names = shares[:, order[:most]], short_names([levels[j] for j in order[:most]], 9)
    if len(levels) > most:
        kept = np.hstack([kept, shares[:, order[most:]].sum(axis=1, keepdims=True)])
        names.append("others")
    width = 0.84 / len(kept)
    for k, line in enumerate(kept):
        colour = _FIRST if k == 0 else PALETTE[(k - 1) % len(PALETTE)]
        axis.bar(np.arange(len(names)) - 0.42 + (k + 0.5) * width, line, width * 0.92, color=colour)
    bare(axis)
    axis.set_yticks([])
    crowded = sum(len(name) for name in names) > 28
    style: dict[str, Any] = {"fontsize": 7 if crowded else 7.5, "color": INK}
    style |= {"rotation": 24, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    axis.set_xticks(np.arange(len(names)), names, **style)
    axis.tick_params(axis="x", length=0)


def bare(axis: Axes, *, hide: bool = False) -> None:
    """Take spines and tick marks away; the labels too where asked."""
    for side in axis.spines.values():
        side.set_visible(False)
    axis.tick_params(length=0)
    if hide:
        axis.set_xticks([])
        axis.set_yticks([])


def short_names(names: Sequence[str], most: int = 18) -> list[str]:
    """Cut names in the middle to a length that fits; those that differ stay different.

    Examples
    --------
    >>> short_names(["abdominocentesis_appearance", "abdominocentesis_protein"], 14)
    ['abdomi…earance', 'abdomi…protein']
    """
    made: dict[str, str] = {}
    for name in names:
        cut, k = _cut(name, most), 1
        while cut in made.values() and made.get(name) != cut:
            k += 1
            mark = f" #{k}"
            cut = _cut(name, most - len(mark)) + mark
        made[name] = cut
    return [made[name] for name in names]


def _cut(name: str, most: int) -> str:
    if len(name) <= most:
        return name
    head = (most - 1) // 2
    return f"{name[:head]}…{name[len(name) - (most - 1 - head) :]}"
