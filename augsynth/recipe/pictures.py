"""Pictures of a run: how many rows before and after, and the new rows' columns beside the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augsynth.encode.image import ImageCodec
from augsynth.recipe.writers import to_bytes

__all__ = ["plot_counts", "plot_marginals", "plot_samples"]

REAL, NEW = "#3b6ea5", "#e08a3c"
_MAX_CELLS = 30


def _figure(width: float, height: float, layout: Any = "constrained") -> Any:
    # A Figure of its own, without pyplot: no window, no global list of figures, no change of backend.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=130, layout=layout)


def _short(value: Any, limit: int = 28) -> str:
    text = str(value).replace("$", r"\$")  # or matplotlib sets it as mathematics
    return text if len(text) <= limit else text[: limit - 1] + "…"


def plot_counts(counts: pd.DataFrame, path: Path, *, title: str, noun: str = "rows") -> None:
    """Draw the rows of each class (or class and group) before, and what came on top.

    Parameters
    ----------
    counts : DataFrame
        Columns ``before`` and ``after``; the index names the cells.
    path : Path
        A PNG file.
    title : str
    noun : str
        What is counted.
    """
    shown = counts.iloc[:_MAX_CELLS]
    figure = _figure(7.2, 1.5 + 0.36 * len(shown))
    axes = figure.subplots()
    places = np.arange(len(shown))
    before, after = shown["before"].to_numpy(), shown["after"].to_numpy()
    kept = np.minimum(before, after)
    axes.barh(places, kept, color=REAL, label=f"real {noun}")
    axes.barh(places, np.maximum(after - before, 0), left=kept, color=NEW, label=f"new {noun}")
    removed = np.maximum(before - after, 0)
    if removed.any():
        axes.barh(places, removed, left=kept, color="none", edgecolor="#999999", hatch="///", label="removed")
    for place, low, high in zip(places, before, after, strict=True):
        text = f" {low:,}" if low == high else f" {low:,} → {high:,}"
        axes.text(max(low, high), place, text, va="center", fontsize=8)
    axes.set_yticks(places, [_short(name) for name in shown.index])
    axes.invert_yaxis()
    axes.set_xlim(0, max(before.max(), after.max(), 1) * 1.22)
    axes.set_xlabel(f"training {noun}")
    more = f" (first {_MAX_CELLS} of {len(counts)} cells)" if len(counts) > _MAX_CELLS else ""
    axes.set_title(_short(title, 90) + more, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(fontsize=8, frameon=False, ncols=3, loc="outside lower right")
    figure.savefig(path)


def _distance(real: pd.Series, new: pd.Series) -> float:
    """Largest gap of the distribution functions (numbers), or half the sum of the gaps of the shares."""
    real, new = real.dropna(), new.dropna()
    if real.empty or new.empty:
        return 0.0
    if pd.api.types.is_numeric_dtype(real):
        a, b = np.sort(real.to_numpy(float)), np.sort(new.to_numpy(float))
        grid = np.concatenate([a, b])
        gap = np.searchsorted(a, grid, side="right") / len(a) - np.searchsorted(b, grid, side="right") / len(
            b
        )
        return float(np.abs(gap).max())
    shares = real.astype(str).value_counts(normalize=True)
    return float(shares.sub(new.astype(str).value_counts(normalize=True), fill_value=0).abs().sum() / 2)


def _draw_marginal(axes: Any, real: pd.Series, new: pd.Series) -> None:
    parts = [(real.dropna(), REAL, "real"), (new.dropna(), NEW, "new")]
    if pd.api.types.is_numeric_dtype(real) and not pd.api.types.is_bool_dtype(real):
        both = np.concatenate([part.to_numpy(float) for part, _, _ in parts])
        low, high = np.quantile(both, [0.005, 0.995])
        edges = np.linspace(low, high if high > low else low + 1, 25)
        for part, color, label in parts:
            values = np.clip(part.to_numpy(float), edges[0], edges[-1])
            shares = np.histogram(values, edges)[0] / max(len(values), 1)
            axes.stairs(shares, edges, fill=True, color=color, alpha=0.55, label=label)
        return
    order = pd.concat([part.astype(str) for part, _, _ in parts]).value_counts().index[:8]
    for shift, (part, color, label) in zip((-0.2, 0.2), parts, strict=True):
        shares = part.astype(str).value_counts(normalize=True).reindex(order, fill_value=0)
        axes.barh(np.arange(len(order)) + shift, shares, height=0.4, color=color, label=label)
    axes.set_yticks(np.arange(len(order)), [_short(name, 14) for name in order], fontsize=6)
    axes.invert_yaxis()


def plot_marginals(real: pd.DataFrame, new: pd.DataFrame, path: Path, *, title: str) -> Sequence[str]:
    """Draw the columns whose distribution differs most between real and new rows, nine at most.

    Both tables should hold the same classes in the same shares. Returns the names of the columns drawn.
    """
    far = {name: _distance(real[name], new[name]) for name in real.columns if _can_draw(real[name])}
    chosen = sorted(far, key=lambda name: -far[name])[:9]
    rows = -(-max(len(chosen), 1) // 3)
    height = 0.9 + 2.0 * rows
    figure = _figure(9, height, layout=None)  # the room is known: measuring every label would take a second
    figure.subplots_adjust(0.11, 0.55 / height, 0.985, 1 - 0.65 / height, wspace=0.42, hspace=0.38)
    grid = figure.subplots(rows, 3, squeeze=False).ravel()
    for axes, name in zip(grid, chosen, strict=False):
        _draw_marginal(axes, real[name], new[name])
        axes.set_title(f"{_short(name)}  (distance {far[name]:.2f})", fontsize=8)
        axes.tick_params(labelsize=6)
        axes.locator_params(axis="x", nbins=5)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(chosen) :]:
        axes.set_visible(False)
    if chosen:
        handles = grid[0].get_legend_handles_labels()
        figure.legend(
            *handles, fontsize=8, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(0.99, 0)
        )
    figure.suptitle(_short(title, 110), fontsize=10)
    figure.savefig(path)
    return chosen


def _can_draw(column: pd.Series) -> bool:
    kind = column.dtype
    return not (pd.api.types.is_datetime64_any_dtype(kind) or pd.api.types.is_timedelta64_dtype(kind))


_PER_CLASS = 10


def plot_samples(
    real: np.ndarray, real_cells: pd.Series, new: np.ndarray, new_cells: pd.Series, path: Path, *, title: str
) -> list[str]:
    """Draw real images beside made ones, a line a class; the first ones, not chosen ones.

    Parameters
    ----------
    real, new : ndarray, (n, h, w), (n, h, w, c) or (n, c, h, w)
    real_cells, new_cells : Series of str
        The class of each image.
    path : Path
        A PNG file.
    title : str

    Returns
    -------
    list of str
        The classes drawn: those that have new images.
    """
    codec = ImageCodec().fit(real)
    cells = [cell for cell in sorted(set(real_cells)) if (new_cells == cell).any()]
    shown = cells[:_MAX_CELLS]
    height, width = codec.layout.height, codec.layout.width
    line = 0.55 * height / max(height, width)
    figure = _figure(12.4, 0.85 + (line + 0.08) * len(shown), layout=None)
    top = 1 - 0.6 / figure.get_figheight()
    for side, (images, labels, word) in enumerate(((real, real_cells, "real"), (new, new_cells, "made"))):
        left = 0.07 + 0.475 * side
        figure.text(left, top + 0.08 / figure.get_figheight(), word, color=(REAL, NEW)[side], fontsize=10)
        for i, cell in enumerate(shown):
            first = np.flatnonzero((labels == cell).to_numpy())[:_PER_CLASS]
            bottom = top - (line + 0.08) * (i + 1) / figure.get_figheight()
            axes = figure.add_axes((left, bottom, 0.44, line / figure.get_figheight()))
            axes.imshow(_strip(to_bytes(images[first], codec)), cmap="gray", vmin=0, vmax=255)
            axes.set_axis_off()
            axes.set_anchor("W")
            if side == 0:
                middle = bottom + 0.5 * line / figure.get_figheight()
                figure.text(0.06, middle, _short(cell, 14), ha="right", va="center", fontsize=8)
    more = f" (first {len(shown)} of {len(cells)} classes)" if len(cells) > len(shown) else ""
    figure.suptitle(_short(title, 100) + more, fontsize=10, x=0.01, ha="left")
    figure.savefig(path)
    return shown


def _strip(pixels: np.ndarray) -> np.ndarray:
    """Put images (n, channels, h, w) side by side, a white line between: (h, w', 3) bytes."""
    n, channels, height, width = pixels.shape
    colours = pixels[:, :3] if channels >= 3 else pixels[:, :1].repeat(3, axis=1)
    padded = np.full((_PER_CLASS, height, width + 1, 3), 255, dtype=np.uint8)
    padded[:n, :, :width] = colours.transpose(0, 2, 3, 1)
    return padded.transpose(1, 0, 2, 3).reshape(height, -1, 3)
