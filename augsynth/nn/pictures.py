"""Pictures of training: loss curves and sheets of images."""

from __future__ import annotations

import math
import os

import numpy as np

from augsynth.core.files import atomic_path
from augsynth.nn.history import History

__all__ = ["image_sheet", "loss_curves"]


def image_sheet(
    images: np.ndarray, path: str | os.PathLike[str], *, columns: int = 8, low: float | None = None
) -> None:
    """Write images (n, channels, h, w) side by side to a PNG file, a gap between them.

    Parameters
    ----------
    images : ndarray, (n, channels, height, width)
        Any scale; black is ``low`` (the smallest pixel where not given), white the largest.
    path : path
    columns : int, default=8
    """
    from PIL import Image

    n, channels, height, width = images.shape
    floor = float(images.min(initial=0.0)) if low is None else low
    top = max(float(images.max(initial=1.0)), floor + 1e-9)
    grey = np.rint(255 * np.clip((images - floor) / (top - floor), 0, 1)).astype(np.uint8)
    grey = grey[:, :3] if channels >= 3 else grey[:, :1].repeat(3, axis=1)
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, 3), 128, dtype=np.uint8)
    for i, image in enumerate(grey):
        top_edge, left = 1 + (i // columns) * (height + 1), 1 + (i % columns) * (width + 1)
        sheet[top_edge : top_edge + height, left : left + width] = image.transpose(1, 2, 0)
    zoom = max(1, math.ceil(32 / max(height, width)))  # tiny images could not be seen
    with atomic_path(path) as temporary:
        Image.fromarray(sheet.repeat(zoom, axis=0).repeat(zoom, axis=1)).save(temporary, format="png")


def loss_curves(history: History, path: str | os.PathLike[str]) -> None:
    """Draw the losses of each player, the hold-out loss, and what was watched, to a PNG file."""
    from matplotlib.figure import Figure

    own = {k: v for k, v in history.watched.items() if not k.startswith("gradient ")}
    figure = Figure(figsize=(8, 6.5 if own else 3.5), layout="constrained")
    axes = figure.subplots(2 if own else 1, 1, squeeze=False)[:, 0]
    for name, points in history.losses.items():
        axes[0].plot(*zip(*points, strict=True), label=name, linewidth=1.2)
    if history.holdout:
        axes[0].plot(*zip(*history.holdout, strict=True), "o-", label="hold-out", markersize=3)
    axes[0].set_ylabel("loss")
    for name, points in own.items():
        axes[1].plot(*zip(*points, strict=True), label=name, linewidth=1.2)
    for ax in axes:
        ax.set_xlabel("step")
        ax.grid(alpha=0.3)
        if ax.lines:
            ax.legend(frameon=False)
    for step, _ in history.alarms:
        axes[0].axvline(step, color="tab:red", linestyle=":", linewidth=1)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
