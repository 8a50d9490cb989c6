"""Copies beside what they were made of: texts line by line, clips as spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augsynth.encode.spectrum import log_mel

__all__ = ["plot_clips", "write_samples"]

_PER_CELL, _MAX_CELLS, _LONGEST = 5, 12, 500


def _first_of_each(cells: pd.Series, sources: np.ndarray, n_real: int) -> list[tuple[str, list[int]]]:
    """Return the cells that have new rows, each with the positions of its first ones; not chosen ones."""
    new = np.arange(n_real, len(cells))
    new = new[sources[new] >= 0]
    names = cells.to_numpy()
    return [(name, new[names[new] == name][:_PER_CELL].tolist()) for name in sorted(set(names[new]))]


def write_samples(
    X: Sequence[str], cells: pd.Series, sources: np.ndarray, n_real: int, path: Path, *, title: str
) -> None:
    """Write the first new texts of each class, each under the text that it was made of.

    Parameters
    ----------
    X : sequence of str, (n,)
        Real texts first, new ones after them.
    cells : Series of str, (n,)
        The class of each.
    sources : ndarray of int, (n,)
        Position of the parent of each, -1 for none.
    n_real : int
    path : Path
        A text file.
    title : str
    """
    texts, lines = list(X), [title]
    for name, positions in _first_of_each(cells, sources, n_real):
        lines += ["", f"{name}"]
        for k in positions:
            lines += ["", f"  real  {_line(texts[sources[k]])}", f"  new   {_line(texts[k])}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1] + "…"


def plot_clips(
    X: Sequence[Any],
    cells: pd.Series,
    sources: np.ndarray,
    n_real: int,
    path: Path,
    *,
    title: str,
    rate: int,
) -> None:
    """Draw the log-mel spectrograms of the first new clips of each class, each beside its parent.

    Parameters
    ----------
    X : sequence of clips, (n,)
    cells, sources, n_real, path, title
        As in `write_samples`; a PNG file.
    rate : int
        Samples a second.
    """
    from matplotlib.figure import Figure

    found = _first_of_each(cells, sources, n_real)
    shown = found[:_MAX_CELLS]
    figure = Figure(figsize=(11, 0.9 + 1.2 * max(len(shown), 1)), dpi=110, layout="constrained")
    grid = figure.subplots(max(len(shown), 1), 2 * 3, squeeze=False)
    for row, (name, positions) in zip(grid, shown, strict=False):
        for column in range(3):
            for side, word in enumerate(("real", "new")):
                axes = row[2 * column + side]
                axes.set_xticks([])
                axes.set_yticks([])
                if column >= len(positions):
                    axes.set_visible(False)
                    continue
                k = positions[column]
                bands = log_mel(X[k if side else sources[k]], rate)
                top = float(bands.max())
                axes.imshow(bands, origin="lower", aspect="auto", vmin=top - 70, vmax=top, cmap="magma")
                axes.set_title(word, fontsize=7, pad=2)
        row[0].set_ylabel(str(name)[:14].replace("$", r"\$"), fontsize=8)
    more = f" (first {len(shown)} of {len(found)} classes)" if len(found) > len(shown) else ""
    figure.suptitle(title.replace("$", r"\$") + more, fontsize=10, x=0.01, ha="left")
    figure.savefig(path)
