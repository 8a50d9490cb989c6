"""What the name and form of an entry tell: whether it holds one value a box, and whether it tells places."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np
import torch

__all__ = ["has_one_a_box", "tells_places"]

# Words, without their plural, of what is said of every box. Ids are in it by their whole name only.
_LAST_WORDS = {"label", "score", "area", "confidence", "visibility", "pose", "attribute"}
_LAST_WORDS |= {"crowd", "iscrowd", "difficult", "truncated", "occluded", "ignore", "ignored"}
_NAMES = {"class", "category", "categorie", "classe", "name", "id", "cls", "conf", "track", "instance"}
_NAMES |= {f"{of}id" for of in ("object", "obj", "instance", "annotation", "ann", "track", "tracking")}
_NAMES |= {f"{of}{what}" for of in ("class", "category", "label", "cls") for what in ("id", "index", "idx")}
_NAMES |= {"isgroupof", "isgroup", "isinside", "isdepiction", "truncation", "occlusion", "difficulty"}
_NAMES |= {"occlusionlevel", "truncationlevel", "visible", "supercategory", "numkeypoint"}
_LISTS_OF_ALL = {"classe", "categorie", "class", "category"}  # in the plural, as texts: of the set
_A_BOX = ("box", "boxes", "bbox", "bboxes")  # names that begin so hold one value a box
_ANNOTATED = ("gt", "pred", "true", "target", "object", "objects", "ann", "anns", "annotation", "annotations")
_OF_PICTURES = {"image", "images", "img", "imgs", "file", "filename", "filenames", "orig", "original"}
_OF_PICTURES |= {"picture", "video", "frame", "size", "sizes", "shape", "scale", "pad", "path", "paths"}
_OF_PICTURES |= {"url", "urls", "caption", "captions", "text", "texts", "token", "tokens", "input"}
_OF_PICTURES |= {"attention", "mean", "std", "camera", "dataset", "scene", "global", "batch", "meta", "date"}
_IN_BOXES = {"text", "shape", "size"}  # "text_labels" are labels of boxes, "image_labels" are not
_OF_THE_SET = {"all", "known", "possible", "candidate", "unique", "sample", "image", "scene", "global"}

# Names that COCO, VOC, KITTI and their like have for places, whatever is before them.
_BOXES = {"box", "bbox", "bndbox", "rbox", "obb", "roi", "quad", "rect", "rectangle"}
_POINTS = {"keypoint", "kpt", "kp", "landmark", "polygon", "poly", "polyline", "contour", "points"}
_PAIRS = {"coord", "coordinate", "corner", "joint", "vertice"}  # often in space as well: pairs only
_OUTLINES = {"polygon", "poly", "segmentation", "contour", "landmark", "keypoint"}
_STYLES = {"xyxy", "xywh", "cxcywh", "ltrb", "ltwh", "tlwh", "tlbr", "abs", "px", "pixel", "pixels", "2d"}
_STYLES |= {"norm", "normalized", "normalised", "rel", "gt", "pred", "true", "orig", "original"}
_ELSEWHERE = {"3d", "world", "lidar", "gps", "geo", "anchor", "anchors", "prior", "default", "n", "num"}
_WHOLE_NAMES = {"mask", "masks", "segmentation", "points"}


@functools.lru_cache(maxsize=1024)  # each item is asked by the same names
def _words(key: str) -> tuple[str, ...]:
    """Return the words of "gt_bboxes", "gtBoxes" or "gt-boxes"."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).lower()
    return tuple(word for word in re.split(r"[^a-z0-9]+", parted) if word)


def has_one_a_box(key: Any, values: Any, n: int) -> bool | None:
    """Tell whether an entry beside n boxes holds one value for each; None for one that may or may not.

    By its name, if it has n values: labels, scores, areas, ids of objects, tracks and classes, crowd,
    difficult, truncated, occluded, and whatever begins with ``box_`` ("box_speeds"). Lists of texts
    as ``classes`` or ``class_names`` may be those of the whole set. What says something of
    the picture (sizes, captions, ``image_id``) has not one a box; nor has a single value of other names.

    Examples
    --------
    >>> has_one_a_box("labels", [1, 2, 3], 3), has_one_a_box("image_id", [9, 9, 9], 3)
    (True, False)
    >>> has_one_a_box("class_names", ["cat", "dog", "cow"], 3) is None
    True
    """
    if not isinstance(values, (list, tuple, np.ndarray, torch.Tensor)) or getattr(values, "ndim", 1) == 0:
        return False
    words = _words(str(key))
    if len(values) != n or not words:
        return False
    if words[0] in _A_BOX and len(words) > 1:
        return not tells_places(key, values)  # "box_coords"
    while len(words) > 1 and words[0] in _ANNOTATED:
        words = words[1:]
    joined, last = "".join(words), words[-1]
    said_of_boxes = last in _LAST_WORDS or last.removesuffix("s") in _LAST_WORDS
    if (words[0] in _OF_PICTURES or last in _OF_PICTURES) and not (said_of_boxes and words[0] in _IN_BOXES):
        return False
    plural = last.endswith("s") and last != "class"
    texts = any(isinstance(value, str) for value in values)
    if not (plural and texts and joined.removesuffix("s") in _LISTS_OF_ALL):
        if joined in _NAMES or joined.removesuffix("s") in _NAMES:
            return True
        if said_of_boxes and words[0] not in _OF_THE_SET:
            return True
    return None if n > 1 else False


def tells_places(key: Any, value: Any) -> bool:
    """Tell whether an entry says where things are in a picture, by its name and form.

    The name's last word is one of boxes, polygons or key points (``gt_boxes``, ``bbox_xyxy``,
    ``coords``), and it holds numbers as those do: fours, pairs. Scores as ``points``, texts as
    ``landmarks`` and anchors are no places.

    Examples
    --------
    >>> tells_places("gt_boxes", [[1, 2, 5, 6]]), tells_places("points", [3, 4, 5])
    (True, False)
    """
    if not isinstance(key, str) or not isinstance(value, (Mapping, list, tuple, np.ndarray, torch.Tensor)):
        return False
    if isinstance(value, (np.ndarray, torch.Tensor)):
        if value.ndim == 0 or 0 in value.shape:
            return False
    elif not len(value):
        return False
    words = _words(key)
    if not words or _ELSEWHERE & set(words):
        return False
    while len(words) > 1 and words[-1] in _STYLES:
        words = words[:-1]
    stem = words[-1] if words[-1] == "points" else _singular(words[-1])
    whole = key.lower() in _WHOLE_NAMES
    if not (whole or stem in _BOXES | _POINTS | _PAIRS):
        return False
    if isinstance(value, Mapping):
        return any(_is_numeric(inner) for inner in value.values())
    boxes = stem in _BOXES or any(_singular(word) in _BOXES for word in words)
    if key.lower() in ("mask", "masks"):
        return _is_numeric(value)
    return _has_form(value, stem, boxes)


def _singular(word: str) -> str:
    return word.removesuffix("es") if word.endswith("xes") else word.removesuffix("s")


def _has_form(value: Any, stem: str, boxes: bool) -> bool:
    shape = _shape(value)
    if shape is None:  # lists of several lengths, or of objects
        return any(isinstance(inner, (list, tuple, Mapping)) and _is_numeric(inner) for inner in value)
    if boxes:
        return shape[-1] in (4, 5, 8) or shape[-2:] == (4, 2)
    if len(shape) == 1:
        return stem in _OUTLINES and shape[0] >= 4 and (shape[0] % 2 == 0 or shape[0] % 3 == 0)
    if stem in _PAIRS:
        return shape[-1] == 2
    return shape[-1] in (2, 3) or stem in _OUTLINES


def _shape(value: Any) -> tuple[int, ...] | None:
    """Return the shape of numbers, or None for lists of several lengths and other values."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError):
        return None
    return array.shape if array.dtype.kind in "iuf" else None


def _is_numeric(value: Any) -> bool:
    """Whether the first values in it are numbers, or texts of numbers (as XML has them)."""
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return not isinstance(value, np.ndarray) or value.dtype.kind in "biuf"
    if isinstance(value, Mapping):
        return any(_is_numeric(inner) for inner in value.values())
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return any(_is_numeric(inner) for inner in value[:4])
    if isinstance(value, str):
        return re.fullmatch(r"\s*[-+]?\d+(\.\d*)?\s*", value) is not None
    return isinstance(value, Number) and not isinstance(value, bool)
