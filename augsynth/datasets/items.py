"""What an item of a dataset is made of: the sample, its label, and the marks that belong to it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from augsynth.core.errors import AugsynthWarning, DataError, InputTypeError, offenders, sentence
from augsynth.datasets.annotations import (
    as_mark,
    give_back,
    mark_of,
    moved_points,
    places_in,
    seen_points,
    taken,
)
from augsynth.datasets.entry_names import has_one_a_box

__all__ = ["NO_LABEL", "Parts", "modality_of", "rate_of", "size_of", "take_apart"]

_SAMPLE_KEYS = ("image", "audio", "waveform", "text", "pixel_values", "x", "inputs", "features")
_LABEL_KEYS = ("label", "y", "target", "class")
_SLOWEST_RATE_HZ = 1000
_PLAIN = (int, float, str, bytes, np.generic)


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
        ``mask``, ``boxes``, ``points`` as numpy arrays, where the item has them, and with boxes
        ``labels``: the numbers of the boxes, so that what else is kept a box (labels, areas) follows
        those left.
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
    doubtful: tuple[Any, ...] = field(default=(), repr=False)  # entries that may hold one value a box
    n_boxes: int = field(default=0, repr=False)

    def put(self, x: Any, *, marks: dict[str, Any] | None = None, label: Any = NO_LABEL) -> Any:
        """Return the item with another sample (and marks, and label) in the same form."""
        changed: dict[Any, Any] = {self.place: x}
        if label is not NO_LABEL and self.label_place is not None:
            changed[self.label_place] = label
        if marks:
            back = self._back(marks, size_of(x))
            if self.target_place is None or not isinstance(self.item[self.target_place], Mapping):
                changed |= {(self.target_place if key is None else key): v for key, v in back.items()}
            else:
                changed[self.target_place] = _with(self.item[self.target_place], back)
        if self.place is None:
            return x
        if isinstance(self.item, Mapping):
            return _with(self.item, changed)
        values = [changed.get(k, value) for k, value in enumerate(self.item)]
        return type(self.item)(*values) if hasattr(self.item, "_fields") else type(self.item)(values)

    def _back(self, marks: dict[str, Any], size: tuple[int, int] | None) -> dict[Any, Any]:
        """Return marks, and what is kept a box, in their containers by their keys."""
        left = np.asarray(marks["labels"], dtype=np.intp) if "boxes" in self.origins else None
        back = {}
        for name, (key, like) in self.origins.items():
            array = marks[name]
            if name == "points":
                array = moved_points(as_mark(like, name), array, size)
                # (n, k, 3) are points of objects; (p, 3) are points of the picture, in no box.
                if left is not None and array.ndim > 2 and len(array) == self.n_boxes:
                    array = array[left]
            back[key] = give_back(array, like, size, "keypoints" if name == "points" else name)
        if left is not None:
            if len(left) < self.n_boxes:
                self._warn_of_doubtful()
            back |= {key: taken(values, left) for key, values in self.per_box.items()}
        return back

    def _warn_of_doubtful(self) -> None:
        for key in self.doubtful:  # one text a name, so that it is shown once
            text = f"boxes left the picture, and {key!r}, which has as many values, stays whole"
            todo = f"If it holds one value a box, call it 'box_{key}'; if not, this is right."
            warnings.warn(f"PerturbedDataset: {text}. {todo}", AugsynthWarning, stacklevel=2)

    def mark(self, name: str, key: Any, value: Any) -> None:
        """Note what stands at a key (None: as the target) as a mark."""
        array = as_mark(value, name)
        if name == "points":
            array = array[seen_points(array)][:, :2]
        self.marks[name], self.origins[name] = array, (key, value)

    def with_boxes(self, beside: Mapping[Any, Any], *, named: bool = True) -> None:
        """Number the boxes, and find what beside them is kept a box: by name and length, or length alone."""
        self.n_boxes = n = len(self.marks["boxes"])
        self.marks["labels"] = np.arange(n)
        found = {key: has_one_a_box(key if named else "labels", v, n) for key, v in beside.items()}
        self.per_box = {key: beside[key] for key, kept in found.items() if kept}
        self.doubtful = tuple(key for key, kept in found.items() if kept is None)

    def check_in_pixels(self) -> None:
        """Raise if boxes or key points are shares of the picture, 0 to 1, which edits take for pixels.

        Raises
        ------
        DataError
        """
        for name, least in (("boxes", 1), ("points", 2)):
            places = self.marks.get(name)
            if places is None or len(places) < least or not np.isfinite(places).all():
                continue
            if places.min() >= 0 and places.max() <= 1 and (places != np.rint(places)).any():
                key = "keypoints" if name == "points" else name
                given = f"shares of the picture, such as {np.round(places[0], 3).tolist()}"
                todo = "Multiply them by its width and height."
                raise DataError(sentence(key, f"{key} must be in pixels", given, todo))

    def left_behind(self) -> str:
        """Tell of places in the picture that are said in a form that cannot move ("" for none)."""
        whole = isinstance(self.item, Mapping)
        if self.place is None or (not whole and all(isinstance(value, _PLAIN) for value in self.item[1:])):
            return ""
        known = {self.place, *self.per_box, *(key for key, _ in self.origins.values())}
        target = None if self.target_place is None else self.item[self.target_place]
        inner: Any = self.item if whole else target
        beside: list[tuple[Any, Any]] = []
        if isinstance(inner, Mapping):
            beside = [(key, value) for key, value in inner.items() if key not in known]
            known = set()
        if not whole:
            known |= {self.place, self.target_place}
            beside += [(k, value) for k, value in enumerate(self.item) if k not in known]
        size = size_of(self.x)
        return places_in(beside, lambda value: size is not None and size in _sizes_of(value))


def _with(item: Mapping[Any, Any], changed: Mapping[Any, Any]) -> Any:
    """Return a mapping with other values, of its class where that is a kind of dict."""
    if type(item) is dict or not isinstance(item, dict):
        return {**item, **changed}
    made = copy.copy(item)
    made.update(changed)
    return made


def take_apart(item: Any, *, where: str = "item") -> Parts:
    """Find the sample, the label and the marks in an item of a dataset.

    Understood are ``x``; ``(x,)``; ``(x, label, ...)``; ``(x, target)`` with a target that is a
    mapping with ``boxes``, ``masks`` and ``labels`` (torchvision's detection sets) or one of
    torchvision's tv_tensors, or a mask as large as the picture; ``(waveform, rate, label, ...)``
    (torchaudio's sets); mappings with ``image``, ``audio``, ``text`` or ``x`` and ``label``,
    ``mask``, ``boxes``, ``keypoints`` (n, k, 3). Lists of annotations (COCO) and nested mappings
    (VOC) are not: `Parts.left_behind` tells of those.

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
    name = mark_of(None, target)
    if name is not None:
        parts = Parts(item[0], NO_LABEL, item, 0, None, 1)
        parts.mark(name, None, target)
        if name == "boxes":
            parts.with_boxes({k: value for k, value in enumerate(item) if k > 1}, named=False)
        return parts
    if _is_mask(item[0], target):
        last = 2 if len(item) > 2 else None
        parts = Parts(item[0], NO_LABEL if last is None else item[2], item, 0, last, 1)
        parts.mark("mask", None, target)
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


def _sizes_of(value: Any) -> tuple[Any, ...]:
    """Return the size of a picture or mask; of an array (k, h, w) that of its masks too."""
    several = isinstance(value, np.ndarray) and value.ndim == 3
    return (size_of(value), value.shape[1:]) if several else (size_of(value),)


def _of_mapping(item: Mapping[Any, Any], where: str) -> Parts:
    place = next((key for key in _SAMPLE_KEYS if key in item), None)
    if place is None:
        must = f"an item must have one of the keys {', '.join(_SAMPLE_KEYS)}"
        raise InputTypeError(sentence(where, must, f"keys {offenders(list(item), 8)}"))
    label_place = next((key for key in _LABEL_KEYS if key in item), None)
    if label_place is None and "labels" in item and np.ndim(item["labels"]) == 0:
        label_place = "labels"
    label = NO_LABEL if label_place is None else item[label_place]
    if _is_mask(item[place], label):
        parts = Parts(item[place], NO_LABEL, item, place)
        parts.mark("mask", label_place, label)
        return _with_marks(parts, item, but=place)
    return _with_marks(Parts(item[place], label, item, place, label_place), item, but=place)


def _with_marks(parts: Parts, found: Mapping[Any, Any], *, but: Any = None) -> Parts:
    for key, value in found.items():
        name = None if key == but else mark_of(key, value)
        if name is not None and name not in parts.marks:
            parts.mark(name, key, value)
    if "boxes" in parts.marks:
        taken_keys = {key for key, _ in parts.origins.values()}
        parts.with_boxes({k: v for k, v in found.items() if k not in taken_keys and k != but})
    return parts


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
