"""What an item of a dataset says of places in its picture: found, given back, or told of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch

from augsynth.core.errors import DataError, InputTypeError, sentence
from augsynth.datasets.entry_names import tells_places
from augsynth.perturb.containers import dense
from augsynth.perturb.marks import fitting

__all__ = ["CONVERT", "as_mark", "give_back", "mark_of", "places_in", "same_kind", "taken"]

Size = tuple[int, int]
_MARK_KEYS = {"mask": "mask", "masks": "mask", "segmentation": "mask", "boxes": "boxes", "bboxes": "boxes"}
_MARK_KEYS |= {"keypoints": "points"}
_TV_MARKS = {"Mask": "mask", "BoundingBoxes": "boxes", "KeyPoints": "points"}
_DEEPEST, _LOOKED_AT = 8, 4  # all mappings of a list are looked at, and the first few of other values
_INSIDE = 0.5  # of a pixel: how far beyond the middle of the outermost one a place is in the picture

CONVERT = (
    "Convert it with torchvision.datasets.wrap_dataset_for_transforms_v2, or give a mapping beside the "
    "picture with any of 'boxes' (k, 4: left, top, right, bottom) and 'labels', 'masks', 'keypoints' "
    "(n, k, 3); edits of colour alone take it as it is. What is no place in the picture needs another name."
)


def mark_of(key: Any, value: Any) -> str | None:
    """Return what an entry of an item is a mark by: "mask", "boxes", "points", or None for no mark."""
    if type(value).__module__.startswith("torchvision.tv_tensors"):
        return _TV_MARKS.get(type(value).__name__)
    name = _MARK_KEYS.get(key) if isinstance(key, str) else None
    if name is None or value is None:
        return None
    # Polygons, run lengths and COCO's rows of 51 numbers are no marks; places_in tells of them.
    if key == "segmentation" and isinstance(value, (list, tuple, Mapping)):
        return None
    return None if name == "points" and not _is_points(value) else name


def _is_points(value: Any) -> bool:
    try:
        shape = tuple(value.shape) if hasattr(value, "shape") else np.shape(value)
    except ValueError:  # lists of several lengths
        return False
    return len(shape) >= 2 and shape[-1] in (2, 3)


def as_mark(mark: Any, name: str) -> np.ndarray:
    """Return a mask as an array, boxes as left, top, right, bottom (k, 4), key points as x, y (..., 2 or 3).

    Raises
    ------
    DataError, InputTypeError
        For boxes that are not (k, 4), key points that are not (..., 2) or (..., 3), and what holds no values.
    """
    try:
        array = _as_array(mark, name)
    except ValueError as error:  # lists of several lengths
        array = np.empty(0, dtype=object)
        if name == "mask":
            raise DataError(
                sentence("mask", "a mask must be an array", " ".join(str(error).split())[:120])
            ) from error
    if name == "points":
        return _as_points(array)
    return array if name == "mask" else _as_boxes(array, mark)


def _as_array(mark: Any, name: str) -> np.ndarray:
    if not isinstance(mark, torch.Tensor):
        return np.asarray(mark)
    plain = dense(mark, name)
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()


def _as_points(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "iuf" or array.ndim < 2 or array.shape[-1] not in (2, 3):
        must = (
            "key points must be numbers (n, k, 3): x, y and visibility of k points of n objects, or (..., 2)"
        )
        raise DataError(sentence("keypoints", must, f"shape {array.shape} of {array.dtype}"))
    return array.astype(np.float64)


def _as_boxes(array: np.ndarray, mark: Any) -> np.ndarray:
    style = getattr(getattr(mark, "format", None), "name", "XYXY")
    if style not in ("XYXY", "XYWH", "CXCYWH"):
        must = "boxes must be XYXY, XYWH or CXCYWH"
        raise InputTypeError(sentence("boxes", must, style, "Convert them with torchvision's v2 first."))
    none = array.size == 0 and array.dtype != object
    if not none and (array.dtype.kind not in "biuf" or array.ndim != 2 or array.shape[1] != 4):
        must = "boxes must be numbers (k, 4): left, top, right, bottom"
        given = "lists of several lengths or of objects" if array.dtype == object else f"shape {array.shape}"
        raise DataError(sentence("boxes", must, given))
    boxes = np.asarray(array, dtype=np.float64).reshape(-1, 4)
    if style == "XYXY":
        return boxes
    start = boxes[:, :2] - (boxes[:, 2:] / 2 if style == "CXCYWH" else 0)
    return np.concatenate([start, start + boxes[:, 2:]], axis=1)


def seen_points(points: np.ndarray) -> np.ndarray:
    """Return which key points (..., 2 or 3) have a place: finite, and of a visibility above 0."""
    seen: np.ndarray = np.isfinite(points[..., :2]).all(axis=-1)
    return seen & (points[..., 2] > 0) if points.shape[-1] == 3 else seen


def moved_points(points: np.ndarray, moved: np.ndarray, size: Size | None) -> np.ndarray:
    """Return key points with the places (p, 2) of those that were seen; visibility 0 for those that left."""
    made = points.copy()
    seen = seen_points(points)
    made[seen, :2] = moved
    if points.shape[-1] == 3:
        height, width = size or (np.inf, np.inf)
        x, y = made[..., 0], made[..., 1]
        inside = (x >= -_INSIDE) & (x <= width - _INSIDE) & (y >= -_INSIDE) & (y <= height - _INSIDE)
        made[seen & ~inside] = 0
    return made


def taken(values: Any, left: np.ndarray) -> Any:
    """Return the entries of a list, array or tensor that are left, in its container."""
    if isinstance(values, (list, tuple)):
        return same_kind(values, [values[k] for k in left])
    return values[torch.from_numpy(left)] if isinstance(values, torch.Tensor) else values[left]


def same_kind(like: Any, values: list[Any]) -> Any:
    """Return values in a list or tuple as another; a plain tuple where a named one has not as many."""
    if not hasattr(like, "_fields"):
        return type(like)(values)
    return type(like)(*values) if len(values) == len(like) else tuple(values)


def give_back(array: np.ndarray, like: Any, size: Size | None, name: str = "marks") -> Any:
    """Return marks in the container, type and style that they came in.

    Raises
    ------
    DataError
        For places that a small type of integers cannot hold.
    """
    if isinstance(like, torch.Tensor):
        return _as_tensor(array, like, size, name)
    if type(like).__module__.startswith("PIL."):
        from PIL import Image

        return Image.fromarray(array)
    if isinstance(like, (list, tuple)):
        whole = len(like) > 0 and np.asarray(like).dtype.kind in "iu"
        return _listed(_whole_if(array, whole).astype(np.int64) if whole else array, like)
    return fitting(_whole_if(array, like.dtype.kind in "iu"), like.dtype, name)


def _listed(array: np.ndarray, like: Any) -> Any:
    """Return an array as a list of lists, of the types that they had."""
    if array.ndim < 2 or not len(like) or not isinstance(like[0], (list, tuple)):
        return same_kind(like, array.tolist())
    return same_kind(like, [_listed(row, like[0]) for row in array])


def _as_tensor(array: np.ndarray, like: torch.Tensor, size: Size | None, name: str) -> Any:
    style = getattr(getattr(like, "format", None), "name", "XYXY")
    if style != "XYXY":
        extent = array[:, 2:] - array[:, :2]
        start = array[:, :2] + (extent / 2 if style == "CXCYWH" else 0)
        array = np.concatenate([start, extent], axis=1)
    whole = not like.is_floating_point() and like.dtype != torch.bool
    array = _whole_if(array, whole)
    if whole:
        array = fitting(array, np.dtype(str(like.dtype).removeprefix("torch.")), name)
    tensor = torch.from_numpy(np.ascontiguousarray(array)).to(like.dtype).to(like.device)
    if type(like) is torch.Tensor:
        return tensor
    from torchvision import tv_tensors

    if hasattr(like, "canvas_size"):  # the picture may have another size now
        return tv_tensors.wrap(tensor, like=like, canvas_size=size or like.canvas_size)
    return tv_tensors.wrap(tensor, like=like)


def _whole_if(array: np.ndarray, whole: bool) -> np.ndarray:
    """Round places to whole pixels; lost ones (NaN) are before the picture."""
    return np.rint(np.where(np.isnan(array), -1, array)) if whole and array.dtype.kind == "f" else array


def places_in(beside: Iterable[tuple[Any, Any]], is_as_large: Callable[[Any], bool]) -> str:
    """Tell of the first entry that holds places in the picture, by its kind and name ("" for none).

    Parameters
    ----------
    beside : pairs of key (or position) and value
        What an item has beside the picture and its marks.
    is_as_large : callable
        Tells whether a value is an array or picture as large as the picture.
    """
    for key, value in beside:
        if tells_places(key, value):
            return f"{_kind(value)} as {key!r}"
        found = _places(repr(key) if isinstance(key, str) else f"item[{key}]", value, is_as_large, _DEEPEST)
        if found:
            return found
    return ""


def _places(name: str, value: Any, is_as_large: Callable[[Any], bool], depth: int) -> str:
    if mark_of(None, value) is not None:
        return f"{_kind(value)} as {name}"
    if is_as_large(value):
        return f"{_kind(value)} of the size of the picture as {name}"
    if not depth:
        return ""
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        pairs = value.items()
        place = next((key for key, inner in pairs if tells_places(key, inner)), None)
        if place is not None:
            return f"{place!r} in {name}"
    elif isinstance(value, (list, tuple)):
        pairs = (pair for pair in enumerate(value) if pair[0] < _LOOKED_AT or isinstance(pair[1], Mapping))
    found = (_places(f"{name}[{key!r}]", inner, is_as_large, depth - 1) for key, inner in pairs)
    return next((text for text in found if text), "")


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
