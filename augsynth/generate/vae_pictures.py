"""Pictures of an autoencoder for images: rows beside their reconstructions, and latent traversals."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from augsynth.core.files import atomic_path

__all__ = ["reconstructions", "traversal"]

INCHES = 0.8  # side of an image on paper
MOST = 12  # images a line


def reconstructions(before: Any, after: Any, axes: str, path: str | os.PathLike[str] | None) -> Any:
    """Draw up to 36 images in lines, each line above the line of their reconstructions.

    Parameters
    ----------
    before, after : images
        In the order of axes that ``axes`` ("hw", "hwc" or "chw") names.
    axes : str
    path : path, optional
        A file to write, of the type that its ending names.

    Returns
    -------
    matplotlib.figure.Figure
    """
    first, second = _channels_last(before, axes)[: 3 * MOST], _channels_last(after, axes)[: 3 * MOST]
    lines, names = [], []
    for start in range(0, len(first), MOST):
        lines += [first[start : start + MOST], second[start : start + MOST]]
        names += ["image", "again"]
    return _sheet(lines, names, path)


def traversal(images: Any, steps: int, axes: str, path: str | os.PathLike[str] | None) -> Any:
    """Draw images in lines of ``steps``, one latent number a line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    stack = _channels_last(images, axes)
    lines = [stack[start : start + steps] for start in range(0, len(stack), steps)]
    return _sheet(lines, [""] * len(lines), path)


def _channels_last(images: Any, axes: str) -> np.ndarray:
    stack = np.asarray(images, dtype=np.float64)
    if axes == "hw":
        return stack[..., None]
    return stack.transpose(0, 2, 3, 1) if axes == "chw" else stack


def _sheet(lines: list[np.ndarray], names: list[str], path: str | os.PathLike[str] | None) -> Any:
    from matplotlib.figure import Figure

    every = np.concatenate(lines)
    low, high = float(every.min()), float(every.max())
    columns = max(len(line) for line in lines)
    figure = Figure(figsize=(INCHES * columns + 0.5, INCHES * len(lines)), layout="constrained")
    grid = figure.subplots(len(lines), columns, squeeze=False)
    for axes, line, name in zip(grid, lines, names, strict=True):
        for ax in axes:
            ax.axis("off")
        for ax, image in zip(axes, line, strict=False):
            shown = (image - low) / max(high - low, 1e-9)
            shown = shown[..., :3] if image.shape[2] >= 3 else shown[..., 0]
            ax.imshow(shown, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
        if name:
            axes[0].text(-0.15, 0.5, name, transform=axes[0].transAxes, rotation=90, va="center", fontsize=7)
    if path is not None:
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=120, format=os.path.splitext(os.fspath(path))[1][1:] or "png")
    return figure
