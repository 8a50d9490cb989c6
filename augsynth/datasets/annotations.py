"""What an item of a dataset says of places in its picture: found, given back, or told of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch

from augsynth.core.errors import DataError, InputTypeError, sentence
from augsynth.perturb.containers import dense

__all__ = ["CONVERT", "as_mark", "give_back", "is_per_box", "mark_of", "places_in", "taken"]

Size = tuple[int, int]
_MARK_KEYS = {"mask": "mask", "masks": "mask", "segmentation": "mask", "boxes": "boxes", "bboxes": "boxes"}
_MARK_KEYS |= {"keypoints": "points"}
_TV_MARKS = {"Mask": "mask", "BoundingBoxes": "boxes", "KeyPoints": "points"}
# Keys of COCO, VOC, KITTI and their like that tell where something is.
_PLACES = {*_MARK_KEYS, "bbox", "box", "bndbox", "polygon", "polygons", "landmarks", "points", "contours"}
# The last word of names that hold one entry a box.
_PER_BOX = {"label", "class", "category", "categorie", "name", "id", "area", "score", "confidence", "weight"}
_PER_BOX |= {"iscrowd", "crowd", "difficult", "truncated", "occluded", "attribute", "track", "instance"}
_PER_BOX |= {"ignore", "visibility", "pose", "classe", "confidences", "group"}
_OF_PICTURES = ("image", "img", "file", "orig", "original", "picture", "video", "frame")
_DEEPEST, _LOOKED_AT = 5, 4
_INSIDE = 0.5  # of a pixel: how far beyond the middle of the outermost one a place is in the picture

CONVERT = (
    "Convert it with torchvision.datasets.wrap_dataset_for_transforms_v2, or give a mapping beside the "
    "picture with any of 'boxes' (k, 4: left, top, right, bottom) and 'labels', 'masks', 'keypoints' "
    "(n, k, 3); edits of colour alone take it as it is."
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


def is_per_box(key: Any, values: Any, n: int) -> bool:
    """Tell whether an entry beside n boxes holds one value for each of them, by its name and length."""
    if not isinstance(values, (list, tuple, np.ndarray, torch.Tensor)) or getattr(values, "ndim", 1) == 0:
        return False
    words = str(key).lower().split("_")
    last = words[-1] if words[-1] in _PER_BOX else words[-1].removesuffix("s")
    return len(values) == n and last in _PER_BOX and words[0] not in _OF_PICTURES


def taken(values: Any, left: np.ndarray) -> Any:
    """Return the entries of a list, array or tensor that are left, in its container."""
    if isinstance(values, (list, tuple)):
        return type(values)([values[k] for k in left])
    return values[torch.from_numpy(left)] if isinstance(values, torch.Tensor) else values[left]


def give_back(array: np.ndarray, like: Any, size: Size | None) -> Any:
    """Return marks in the container, type and style that they came in."""
    if isinstance(like, torch.Tensor):
        return _as_tensor(array, like, size)
    if type(like).__module__.startswith("PIL."):
        from PIL import Image

        return Image.fromarray(array)
    if isinstance(like, (list, tuple)):
        return type(like)(array.tolist())
    return _whole_if(array, like.dtype.kind in "iu").astype(like.dtype, copy=False)


def _as_tensor(array: np.ndarray, like: torch.Tensor, size: Size | None) -> Any:
    style = getattr(getattr(like, "format", None), "name", "XYXY")
    if style != "XYXY":
        extent = array[:, 2:] - array[:, :2]
        start = array[:, :2] + (extent / 2 if style == "CXCYWH" else 0)
        array = np.concatenate([start, extent], axis=1)
    whole = not like.is_floating_point() and like.dtype != torch.bool
    tensor = torch.from_numpy(np.ascontiguousarray(_whole_if(array, whole))).to(like.dtype).to(like.device)
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
        if _is_place(key, value):
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
        place = next((key for key, inner in pairs if _is_place(key, inner)), None)
        if place is not None:
            return f"{place!r} in {name}"
    elif isinstance(value, (list, tuple)):
        pairs = enumerate(value[:_LOOKED_AT])
    found = (_places(f"{name}[{key!r}]", inner, is_as_large, depth - 1) for key, inner in pairs)
    return next((text for text in found if text), "")


def _is_place(key: Any, value: Any) -> bool:
    """Whether an entry is named as a place, and has some: a list, array or mapping that is not empty."""
    if not isinstance(key, str) or key.lower() not in _PLACES:
        return False
    if isinstance(value, (Mapping, list, tuple)):
        return len(value) > 0
    return isinstance(value, (np.ndarray, torch.Tensor)) and value.ndim > 0 and value.shape[0] > 0


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"
