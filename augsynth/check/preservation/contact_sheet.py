"""Originals beside their copies, policy by policy: what a person would look at first."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from augsynth.check.preservation.plot import COLOURS, INK, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from augsynth.check.preservation.result import LabelPreservation

__all__ = ["contact_sheet", "drawable"]

_CELL = {"image": (1.25, 1.5), "audio": (2.0, 1.25), "text": (2.9, 1.05), "table": (2.9, 1.3)}
_RED = COLOURS["changes labels"]
_CHARACTERS = 150


def contact_sheet(result: LabelPreservation, path: Any = None, *, rows: int = 8) -> Figure:
    """Draw a row a record: the original, then the first copy of every policy.

    A copy that is read as another class, though its original was read rightly, has a red
    frame and says what it is read as. Records whose copies are read otherwise come first,
    a class at a time.
    """
    from matplotlib.figure import Figure

    originals, copies = result.examples
    names = list(copies)
    chosen = _records(result, rows)
    wide, high = _CELL[result.modality]
    size = (wide * (1 + len(names)) + 0.3, high * len(chosen) + 0.9)
    figure = Figure(figsize=size, dpi=130, facecolor="white")
    axes = figure.subplots(len(chosen), 1 + len(names), squeeze=False)
    levels = _levels([_row(originals, i) for i in chosen]) if result.modality == "image" else None
    for line, i in zip(axes, chosen, strict=True):
        _draw(line[0], _row(originals, i), result.modality, levels)
        line[0].set_title(_cut(f"{result.classes[result.labels[i]]}"), fontsize=7.5, color=INK, pad=3)
        for axis, name in zip(line[1:], names, strict=True):
            _draw(axis, _row(copies[name], i), result.modality, levels)
            _mark(axis, result, name, i)
    for axis, name in zip(axes[0], ["original", *names], strict=True):
        axis.annotate(
            _cut(name, 22), (0.5, 1), (0, 17), "axes fraction", "offset points", ha="center",
            fontsize=8.5, fontweight="bold", color=INK, annotation_clip=False,
        )  # fmt: skip
    figure.tight_layout(rect=(0, 0, 1, 0.985), h_pad=0.6, w_pad=0.4)
    write_figure(figure, path)
    return figure


def _records(result: LabelPreservation, rows: int) -> list[int]:
    """Return records to show: class by class in turns, those first that some policy loses."""
    right = result.before.argmax(1) == result.labels
    lost = sum(
        ((reading.after[0].argmax(1) != result.labels) & right).astype(int)
        for reading in result.readings.values()
    )
    changed = np.zeros(len(result.labels), dtype=int)
    for reading in result.readings.values():
        changed += (reading.after[0].argmax(1) != result.labels) & right & reading.near[0]
    order = np.lexsort((-np.asarray(lost), -changed, ~right))
    turns: dict[int, int] = {}
    ranked = []
    for i in order:
        code = int(result.labels[i])
        turns[code] = turns.get(code, -1) + 1
        ranked.append((turns[code], -changed[i], code, int(i)))
    return [i for *_, i in sorted(ranked)[:rows]]


def _mark(axis: Axes, result: LabelPreservation, name: str, i: int) -> None:
    read = int(result.readings[name].after[0, i].argmax())
    was_right = result.before[i].argmax() == result.labels[i]
    if read == result.labels[i] or not was_right:
        return
    axis.set_title(
        _cut(f"{result.classes[result.labels[i]]} read as {result.classes[read]}", 26),
        fontsize=7.5,
        color=_RED,
        pad=3,
    )
    axis.set_axis_on()
    for spine in axis.spines.values():
        spine.set(visible=True, color=_RED, linewidth=2)


def _row(X: Any, i: int) -> Any:
    return X.iloc[i] if hasattr(X, "iloc") else X[i]


def _levels(pictures: list[Any]) -> tuple[float, float]:
    """Return the darkest and brightest value of originals: copies are shown on their scale."""
    arrays = [drawable(x) for x in pictures]
    return min(float(a.min()) for a in arrays), max(float(a.max()) for a in arrays)


def _draw(axis: Axes, x: Any, modality: str, levels: tuple[float, float] | None = None) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_axis_off()
    if modality == "image":
        low, high = levels or (None, None)
        axis.imshow(drawable(x), cmap="gray", interpolation="nearest", vmin=low, vmax=high)
    elif modality == "audio":
        clip = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x, dtype=float)
        clip = clip.mean(axis=0) if clip.ndim == 2 else clip
        step = max(1, len(clip) // 2000)
        axis.plot(clip[::step], color="#2f6690", linewidth=0.5)
        top = max(float(np.abs(clip).max(initial=0)), 1e-9)
        axis.set_ylim(-1.1 * top, 1.1 * top)
    else:
        text = x if isinstance(x, str) else ", ".join(f"{k}: {v}" for k, v in _cells(x))
        text = "\n".join(textwrap.wrap(_cut(text, _CHARACTERS), 38)[:5])
        axis.text(0.03, 0.9, text, fontsize=6.5, va="top", color=INK, parse_math=False)


def _cells(x: Any) -> list[tuple[Any, Any]]:
    pairs = x.items() if hasattr(x, "items") else enumerate(np.asarray(x).tolist())
    return [(k, f"{v:.4g}" if isinstance(v, float) else v) for k, v in pairs]


def drawable(x: Any) -> np.ndarray:
    """Return a picture as (h, w) or (h, w, 3), in the order in which it is drawn."""
    if hasattr(x, "detach"):
        array = x.detach().cpu().numpy()
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
    else:
        array = np.asarray(x)
        if array.ndim == 3 and array.shape[0] <= 4 < array.shape[2]:
            array = array.transpose(1, 2, 0)
    if array.ndim == 2:
        return array
    array = array[..., 0] if array.shape[2] < 3 else array[..., :3]
    if array.dtype != np.uint8 and array.ndim == 3:
        low, high = min(float(array.min()), 0.0), max(float(array.max()), 1.0)
        array = (array - low) / (high - low)
    return array


def _cut(text: str, n: int = 20) -> str:
    text = str(text).replace("$", r"\$")
    return text if len(text) <= n else text[: n - 1] + "…"
