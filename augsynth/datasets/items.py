"""What an item of a dataset is made of: the sample, its label, and the marks that belong to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from augsynth.core.errors import InputTypeError, offenders, sentence

__all__ = ["NO_LABEL", "Parts", "modality_of", "rate_of", "size_of", "take_apart"]

_SAMPLE_KEYS = ("image", "audio", "waveform", "text", "pixel_values", "x", "inputs", "features")
_LABEL_KEYS = ("label", "y", "target", "class")
_MARK_KEYS = {"mask": "mask", "masks": "mask", "segmentation": "mask", "boxes": "boxes", "bboxes": "boxes"}
_PER_BOX = {"labels", "class_labels", "names", "area", "iscrowd", "scores", "difficult", "truncated"}
_PER_BOX |= {"occluded", "ids", "category_id", "category_ids", "categories", "instance_ids", "attributes"}
_SLOWEST_RATE_HZ = 1000


class _NoLabel:
    def __repr__(self) -> str:
        return "no label"

    def __reduce__(self) -> str:
        return "NO_LABEL"


NO_LABEL = _NoLabel()


@dataclass
class Parts:
    """An item taken apart.

    Attributes
    ----------
    x : object
        The sample: a picture, a clip, a text, a row.
    label : object
        ``NO_LABEL`` where there is none.
    marks : dict
        ``mask``, ``boxes`` as numpy arrays, where the item has them, and with boxes ``labels``: the
        numbers of the boxes, so that what else is kept a box (labels, areas) follows those left.
    """

    x: Any
    label: Any
    item: Any = field(repr=False)
    place: Any = field(default=None, repr=False)  # key or position of x
    label_place: Any = field(default=None, repr=False)
    target_place: Any = field(default=None, repr=False)  # position of a mapping that holds the marks
    marks: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, tuple[Any, Any]] = field(default_factory=dict, repr=False)
    per_box: dict[Any, Any] = field(default_factory=dict, repr=False)

    def put(self, x: Any, *, marks: dict[str, Any] | None = None, label: Any = NO_LABEL) -> Any:
        """Return the item with another sample (and marks, and label) in the same form."""
        changed: dict[Any, Any] = {self.place: x}
        if label is not NO_LABEL and self.label_place is not None:
            changed[self.label_place] = label
        if marks:
            size = size_of(x)
            back = {key: _give_back(marks[name], like, size) for name, (key, like) in self.origins.items()}
            if self.per_box:
                left = np.asarray(marks["labels"], dtype=np.intp)
                back |= {key: _taken(values, left) for key, values in self.per_box.items()}
            if self.target_place is None or None in back:  # marks beside x, or a target that is one itself
                changed |= {(self.target_place if key is None else key): v for key, v in back.items()}
            else:
                changed[self.target_place] = {**self.item[self.target_place], **back}
        if self.place is None:
            return x
        if isinstance(self.item, Mapping):
            return {**self.item, **changed}
        values = [changed.get(k, value) for k, value in enumerate(self.item)]
        return type(self.item)(*values) if hasattr(self.item, "_fields") else type(self.item)(values)


def take_apart(item: Any, *, where: str = "item") -> Parts:
    """Find the sample, the label and the marks in an item of a dataset.

    Understood are ``x``; ``(x,)``; ``(x, label, ...)``; ``(x, target)`` with a target that is a
    mapping with ``boxes``, ``masks`` and ``labels`` (torchvision's detection sets) or one of
    torchvision's tv_tensors, or a mask as large as the picture; ``(waveform, rate, label, ...)``
    (torchaudio's sets); mappings with ``image``, ``audio``, ``text`` or ``x`` and ``label``,
    ``mask``, ``boxes``. Key points and lists of annotations are not.

    Raises
    ------
    InputTypeError
        For a mapping without a sample, or an empty tuple.

    Examples
    --------
    >>> parts = take_apart({"image": np.zeros((4, 4)), "label": 3})
    >>> parts.label, sorted(parts.put(np.ones((2, 2))))
    (3, ['image', 'label'])
    """
    if isinstance(item, Mapping):
        return _of_mapping(item, where)
    if not isinstance(item, (tuple, list)):
        return Parts(item, NO_LABEL, item)
    if not item:
        raise InputTypeError(sentence(where, "an item must hold a sample", "an empty item"))
    if len(item) == 1:
        return Parts(item[0], NO_LABEL, item, 0)
    if len(item) > 2 and _is_rate(item[0], item[1]):
        return Parts(item[0], item[2], item, 0, 2)
    target = item[1]
    if isinstance(target, Mapping):
        parts = Parts(item[0], target.get("label", NO_LABEL), item, 0, None, 1)
        return _with_marks(parts, target)
    if type(target).__module__.startswith("torchvision.tv_tensors"):
        name = "mask" if type(target).__name__ == "Mask" else "boxes"
        parts = Parts(item[0], NO_LABEL, item, 0, None, 1)
        parts.marks[name], parts.origins[name] = _as_array(target, name), (None, target)
        return parts
    if _is_mask(item[0], target):
        last = 2 if len(item) > 2 else None
        parts = Parts(item[0], NO_LABEL if last is None else item[2], item, 0, last, 1)
        parts.marks["mask"], parts.origins["mask"] = _as_array(target, "mask"), (None, target)
        return parts
    return Parts(item[0], target, item, 0, 1)


def _is_mask(x: Any, target: Any) -> bool:
    """Tell whether what stands beside a picture is as large as it: a mask, and no label."""
    size, of_target = size_of(x), size_of(target)
    return size is not None and size == of_target and modality_of(x) == "image"


def size_of(x: Any) -> tuple[int, int] | None:
    """Return (height, width) of a picture in any container, or None for what is none."""
    if type(x).__module__.startswith("PIL.") and hasattr(x, "height"):
        return int(x.height), int(x.width)
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) not in (2, 3):
        return None
    if isinstance(x, torch.Tensor):  # channels come first
        return int(shape[-2]), int(shape[-1])
    return int(shape[0]), int(shape[1])


def _of_mapping(item: Mapping[Any, Any], where: str) -> Parts:
    place = next((key for key in _SAMPLE_KEYS if key in item), None)
    if place is None:
        must = f"an item must have one of the keys {', '.join(_SAMPLE_KEYS)}"
        raise InputTypeError(sentence(where, must, f"keys {offenders(list(item), 8)}"))
    label_place = next((key for key in _LABEL_KEYS if key in item), None)
    if label_place is None and "labels" in item and np.ndim(item["labels"]) == 0:
        label_place = "labels"
    label = NO_LABEL if label_place is None else item[label_place]
    return _with_marks(Parts(item[place], label, item, place, label_place), item)


def _with_marks(parts: Parts, found: Mapping[Any, Any]) -> Parts:
    for key, name in _MARK_KEYS.items():
        if found.get(key) is not None and name not in parts.marks:
            parts.marks[name], parts.origins[name] = _as_array(found[key], name), (key, found[key])
    if "boxes" in parts.marks:
        n = len(parts.marks["boxes"])
        parts.marks["labels"] = np.arange(n)
        taken = {key for key, _ in parts.origins.values()}
        parts.per_box = {k: v for k, v in found.items() if k not in taken and _is_per_box(k, v, n)}
    return parts


def _is_per_box(key: Any, values: Any, n: int) -> bool:
    held = isinstance(values, (list, tuple, np.ndarray, torch.Tensor)) and np.ndim(values) >= 1
    return key in _PER_BOX and held and len(values) == n


def _taken(values: Any, left: np.ndarray) -> Any:
    if isinstance(values, (list, tuple)):
        return type(values)([values[k] for k in left])
    return values[torch.from_numpy(left)] if isinstance(values, torch.Tensor) else values[left]


def _as_array(mark: Any, name: str) -> np.ndarray:
    array = mark.detach().cpu().numpy() if isinstance(mark, torch.Tensor) else np.asarray(mark)
    if name != "boxes":
        return array
    style = getattr(getattr(mark, "format", None), "name", "XYXY")
    boxes = np.asarray(array, dtype=np.float64).reshape(-1, 4)
    if style not in ("XYXY", "XYWH", "CXCYWH"):
        must = "boxes must be XYXY, XYWH or CXCYWH"
        raise InputTypeError(sentence("boxes", must, style, "Convert them with torchvision's v2 first."))
    if style == "XYXY":
        return boxes
    start = boxes[:, :2] - (boxes[:, 2:] / 2 if style == "CXCYWH" else 0)
    return np.concatenate([start, start + boxes[:, 2:]], axis=1)


def _give_back(array: np.ndarray, like: Any, size: tuple[int, int] | None) -> Any:
    """Return marks in the container, type and style that they came in."""
    if isinstance(like, torch.Tensor):
        style = getattr(getattr(like, "format", None), "name", "XYXY")
        if style != "XYXY":
            extent = array[:, 2:] - array[:, :2]
            start = array[:, :2] + (extent / 2 if style == "CXCYWH" else 0)
            array = np.concatenate([start, extent], axis=1)
        tensor = torch.from_numpy(np.ascontiguousarray(array)).to(like.dtype)
        if type(like) is torch.Tensor:
            return tensor
        from torchvision import tv_tensors

        if hasattr(like, "canvas_size"):  # the picture may have another size now
            return tv_tensors.wrap(tensor, like=like, canvas_size=size or like.canvas_size)
        return tv_tensors.wrap(tensor, like=like)
    if type(like).__module__.startswith("PIL."):
        from PIL import Image

        return Image.fromarray(array)
    if isinstance(like, (list, tuple)):
        return type(like)(array.tolist())
    return array.astype(like.dtype, copy=False)


def _is_rate(x: Any, rate: Any) -> bool:
    whole = isinstance(rate, (int, np.integer)) and not isinstance(rate, bool)
    return (
        whole and rate >= _SLOWEST_RATE_HZ and getattr(x, "ndim", 0) in (1, 2) and modality_of(x) == "audio"
    )


def rate_of(item: Any) -> int | None:
    """Return the sample rate that an item tells, as torchaudio's do, or None."""
    if isinstance(item, (tuple, list)) and len(item) > 2 and _is_rate(item[0], item[1]):
        return int(item[1])
    return None


def modality_of(x: Any) -> str:
    """Tell what a sample is: "text", "image", "audio" or "table".

    One axis of numbers is a clip from 256 numbers on and a row of a table below that;
    two axes are a picture, unless the first has one or two channels and the second is long.
    """
    if isinstance(x, (str, bytes)):
        return "text"
    if type(x).__module__.startswith("PIL."):
        return "image"
    shape = tuple(getattr(x, "shape", np.shape(x)))
    if len(shape) >= 3:
        return "image"
    if len(shape) == 2:
        return "audio" if shape[0] <= 2 and shape[1] >= 256 else "image"
    return "audio" if len(shape) == 1 and shape[0] >= 256 else "table"
