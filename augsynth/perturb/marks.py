"""What belongs to a picture, moved with it: masks, boxes, key points.

A move is an affine map from the place in the edited picture to the place in the original,
``(a, b, c, d, e, f)``: left = a * x + b * y + c, top = d * x + e * y + f, in pixels from
the outer corner (the middle of the first pixel is at 0.5).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from augsynth.core.errors import DataError, sentence

__all__ = ["Move", "fitting", "move_boxes", "move_marks", "move_mask", "move_points", "places"]

Move = tuple[float, float, float, float, float, float]

LEAST_SHARE = 0.1  # of the area of a box that must stay in the picture


def move_marks(marks: dict[str, Any], move: Move, size: tuple[int, int], fill: Any = 0) -> dict[str, Any]:
    """Return masks, boxes and key points after a move; see `Perturbation.apply_marks`.

    Masks take the nearest pixel, and what comes from outside the picture is as the fill says:
    0 for a colour, else edge, reflection or other end. Boxes are the least upright boxes
    around the moved ones, cut at the picture; those that keep less than a tenth of their area
    are left out, with their labels and (if there is one for each box) their masks. Key points
    are all given back, those outside the picture too.

    Raises
    ------
    DataError
        If a mask is not of the picture's size, or boxes are not (k, 4).
    """
    moved = dict(marks)
    if marks.get("mask") is not None:
        moved["mask"] = move_mask(np.asarray(marks["mask"]), move, size, fill)
    if marks.get("boxes") is not None:
        boxes, kept = move_boxes(np.asarray(marks["boxes"]), move, size)
        moved["boxes"] = boxes[kept]
        if marks.get("labels") is not None and len(marks["labels"]) == len(kept):
            moved["labels"] = np.asarray(marks["labels"])[kept]
        mask = moved.get("mask")
        if mask is not None and mask.ndim == 3 and len(mask) == len(kept):
            moved["mask"] = mask[kept]
    if marks.get("points") is not None:
        moved["points"] = move_points(np.asarray(marks["points"], dtype=np.float64), move)
    return moved


def move_points(points: np.ndarray, move: Move) -> np.ndarray:
    """Return key points (p, 2), x and y by the middles of pixels, after a move.

    Examples
    --------
    >>> move_points(np.array([[0.0, 1.0]]), (-1, 0, 10, 0, 1, 0)).tolist()  # mirrored, 10 wide
    [[9.0, 1.0]]
    """
    x, y = _forward(points[:, 0] + 0.5, points[:, 1] + 0.5, move)
    return np.stack([x, y], axis=1) - 0.5


def _forward(left: np.ndarray, top: np.ndarray, move: Move) -> tuple[np.ndarray, np.ndarray]:
    """Return where places of the original are in the edited picture."""
    a, b, c, d, e, f = move
    determinant = a * e - b * d
    x, y = left - c, top - f
    return (e * x - b * y) / determinant, (a * y - d * x) / determinant


def move_mask(mask: np.ndarray, move: Move, size: tuple[int, int], fill: Any = 0) -> np.ndarray:
    """Return a mask (h, w) or (k, h, w) of any dtype after a move, by the nearest pixel.

    Examples
    --------
    >>> move_mask(np.array([[1, 2, 3]]), (1, 0, -1, 0, 1, 0), (1, 3))
    array([[0, 1, 2]])
    """
    if mask.ndim not in (2, 3) or mask.shape[-2:] != tuple(size):
        must = f"a mask must be of the size of its picture, {tuple(size)}"
        raise DataError(sentence("mask", must, f"shape {mask.shape}"))
    height, width = size
    a, b, c, d, e, f = move
    x, y = np.arange(width) + 0.5, (np.arange(height) + 0.5)[:, None]
    columns, column_in = places(np.floor(a * x + (b * y if b else 0.0) + c).astype(np.int64), width, fill)
    rows, row_in = places(np.floor((d * x if d else 0.0) + e * y + f).astype(np.int64), height, fill)
    moved = mask[..., rows, columns]
    inside = row_in & column_in
    return moved if inside.all() else np.where(inside, moved, np.zeros((), mask.dtype))


def places(index: np.ndarray, n: int, fill: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return which of n pixels stands for an index, and whether one does (always, but for a colour)."""
    inside = (index >= 0) & (index < n)
    if isinstance(fill, str) and fill == "wrap":
        return index % n, np.ones_like(inside)
    if isinstance(fill, str) and fill == "reflect" and n > 1:  # the edge itself is not repeated
        index = index % (2 * n - 2)
        return np.minimum(index, 2 * n - 2 - index), np.ones_like(inside)
    return np.clip(index, 0, n - 1), inside | isinstance(fill, str)


def move_boxes(boxes: np.ndarray, move: Move, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes (k, 4) after a move, cut at the picture, and which of them keep enough (k,).

    Examples
    --------
    >>> moved, kept = move_boxes(np.array([[0.0, 0, 4, 2], [9, 0, 10, 2]]), (1, 0, -2, 0, 1, 0), (4, 10))
    >>> moved.tolist(), kept.tolist()
    ([[2.0, 0.0, 6.0, 2.0], [10.0, 0.0, 10.0, 2.0]], [True, False])
    """
    if boxes.size == 0:
        return boxes.reshape(-1, 4), np.zeros(0, dtype=bool)
    must = "boxes must be (k, 4) finite numbers: left, top, right, bottom"
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise DataError(sentence("boxes", must, f"shape {boxes.shape}"))
    odd = np.flatnonzero(~np.isfinite(boxes).all(axis=1))
    if len(odd):
        raise DataError(sentence("boxes", must, f"{boxes[odd[0]].tolist()} as box {odd[0]}"))
    corners = boxes.astype(np.float64)
    across, down = _forward(corners[:, [0, 2, 0, 2]], corners[:, [1, 1, 3, 3]], move)
    moved = np.stack([across.min(1), down.min(1), across.max(1), down.max(1)], axis=1)
    height, width = size
    cut = np.clip(moved, 0, [width, height, width, height])
    area = (moved[:, 2] - moved[:, 0]) * (moved[:, 3] - moved[:, 1])
    left = (cut[:, 2] - cut[:, 0]) * (cut[:, 3] - cut[:, 1])
    kept = (left > 0) & (left >= LEAST_SHARE * area * (1 - 1e-9))
    return fitting(cut if boxes.dtype.kind == "f" else np.rint(cut), boxes.dtype, "boxes"), kept


def fitting(places: np.ndarray, dtype: np.dtype[Any], name: str) -> np.ndarray:
    """Return places in a type, such as they came in.

    Raises
    ------
    DataError
        If a type of integers cannot hold them, as uint8 cannot those beyond 255 or before 0.
    """
    if places.dtype != dtype and dtype.kind in "iu" and places.size:
        ends = np.iinfo(dtype)
        low, high = places.min(), places.max()
        if low < ends.min or high > ends.max:
            must = f"places must fit their type after an edit too ({dtype}: {ends.min} to {ends.max})"
            given = f"{low if low < ends.min else high:g}"
            raise DataError(sentence(name, must, given, "Use int32, int64 or floats."))
    return places.astype(dtype, copy=False)
