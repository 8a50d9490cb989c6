"""The fields of an item: what a file must hold so that the item comes back as it was."""

from __future__ import annotations

import collections
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from augsynth.core.errors import DataError, InputTypeError, offenders, sentence
from augsynth.datasets.items import NO_LABEL, modality_of, rate_of, take_apart

__all__ = ["Field", "Layout", "digest", "label_value", "layout_of", "picture_of", "values_of"]

_NOUNS = {"image": "images", "audio": "clips", "text": "text", "table": "x"}
_WORDS = {"alone": "x alone", "tuple": "a tuple", "list": "a list", "mapping": "a mapping"}
PLAIN_MODES = {"L": "|u1", "RGB": "|u1", "RGBA": "|u1", "LA": "|u1", "1": "|b1", "I;16": "<u2", "I": "<i4"}
_PALETTES = ("P", "PA")


@dataclass(frozen=True)
class Field:
    """One value of an item.

    Attributes
    ----------
    name : str
        What it is called in a file.
    path : tuple of int or str
        Where it lies in the item.
    kind : str
        "pil", "tensor", "array", "list", "tuple", "scalar" (numpy's), "text", "bool", "int" or "float".
    dtype : str
        Of tensors, arrays and numpy's scalars.
    ndim : int
    type_name : str
    names : tuple of str
        Of a named tuple and its fields.
    """

    name: str
    path: tuple[int | str, ...]
    kind: str
    dtype: str = ""
    ndim: int = 0
    type_name: str = ""
    names: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        told = asdict(self) | {"path": list(self.path)}
        return told if self.names else {k: v for k, v in told.items() if k not in ("type_name", "names")}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Field:
        """Return the field that `to_dict` told."""
        return cls(**{**told, "path": tuple(told["path"]), "names": tuple(told.get("names", ()))})

    def as_tuple(self, values: list[Any]) -> tuple[Any, ...]:
        """Return values in a tuple, named as it was."""
        if not self.names:
            return tuple(values)
        made: tuple[Any, ...] = _named_tuple(self.type_name, self.names)(*values)
        return made


@dataclass(frozen=True)
class Layout:
    """The form of all items of a dataset, read off its first one.

    Attributes
    ----------
    form : {"alone", "tuple", "list", "mapping"}
    fields : tuple of Field
    modality : {"image", "audio", "text", "table"}
    x, label, rate : str
        The names of the fields of the sample, its label and its sample rate ("" for none).
    type_name : str
    names : tuple of str
        Of a named tuple and its fields, where items are such; of the same name, it is another
        class when it is read back.
    empties : tuple of (int, path)
        Empty mappings in an item, and where among its fields they come.
    """

    form: str
    fields: tuple[Field, ...]
    modality: str
    x: str
    label: str = ""
    rate: str = ""
    type_name: str = ""
    names: tuple[str, ...] = ()
    empties: tuple[tuple[int, tuple[int | str, ...]], ...] = ()

    def __getitem__(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    @property
    def others(self) -> list[str]:
        """The names of the fields beside the sample, its label and its rate."""
        return [f.name for f in self.fields if f.name not in (self.x, self.label, self.rate)]

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        told = asdict(self) | {"fields": [field.to_dict() for field in self.fields]}
        for name in ("type_name", "names", "empties"):  # few items have them
            if not told[name]:
                del told[name]
        return told

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Layout:
        """Return the layout that `to_dict` told."""
        fields = tuple(Field.from_dict(field) for field in told["fields"])
        empties = tuple((at, tuple(path)) for at, path in told.get("empties", ()))
        names = tuple(told.get("names", ()))
        return cls(**{**told, "fields": fields, "empties": empties, "names": names})

    def rebuild(self, values: Mapping[str, Any]) -> Any:
        """Return an item of this form with the values of its fields."""
        if self.form == "alone":
            return values[self.x]
        found: list[tuple[tuple[Any, ...], Any]] = [(f.path, values[f.name]) for f in self.fields]
        for at, path in self.empties:
            found.insert(at, (path, {}))
        item: dict[Any, Any] = {}
        for path, value in found:
            inner = item
            for key in path[:-1]:
                inner = inner.setdefault(key, {})
            inner[path[-1]] = value
        if self.form == "mapping":
            return item
        if self.names:
            return _named_tuple(self.type_name, self.names)(*item.values())
        return tuple(item.values()) if self.form == "tuple" else list(item.values())


@functools.cache
def _named_tuple(name: str, names: tuple[str, ...]) -> Any:
    """Return a class of named tuples, whose instances other processes can be sent."""
    try:
        made: Any = collections.namedtuple(name, names)  # type: ignore[misc]
    except (ValueError, TypeError) as error:
        raise DataError(f"layout: a named tuple must have names for its fields ({error}).") from error
    # By what makes the class again: no module has it.
    type.__setattr__(made, "__reduce__", lambda self: (_named_again, (name, names, tuple(self))))
    return made


def _named_again(name: str, names: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    return _named_tuple(name, names)(*values)


def layout_of(item: Any, *, where: str) -> Layout:
    """Read the layout off an item.

    Raises
    ------
    InputTypeError, DataError
        For an item that holds something which no file format here can (None, objects).
    """
    parts = take_apart(item, where=where)
    if not isinstance(parts.x, (str, torch.Tensor)) and (parts.x is None or not _kind(parts.x)):
        must = "a sample must be a picture, a clip, a text or a row of numbers"
        raise InputTypeError(sentence(where, must, f"{_named(parts.x)} at item 0"))
    modality = modality_of(parts.x)
    names = {_path(parts.place): _NOUNS[modality]}
    if parts.label is not NO_LABEL:
        place = parts.label_place if parts.label_place is not None else parts.target_place
        nested = parts.label_place is None
        names[(place, "label") if nested else _path(place)] = "label" if modality == "text" else "labels"
    form = "alone" if parts.place is None else "tuple" if isinstance(item, tuple) else "list"
    form = "mapping" if isinstance(item, Mapping) else form
    rate = ""
    if rate_of(item) is not None:
        names[1,], rate = "rate", "rate"
    found = [((), item)] if form == "alone" else _flat(item)
    fields, empties = [], []
    for at, (path, value) in enumerate(found):
        if _is_empty(value):
            empties.append((at, path))
            continue
        name = names.get(path, ".".join(map(str, path)) if form == "mapping" else f"item.{_dotted(path)}")
        fields.append(_field(name, path, value, where))
    _check_names([field.name for field in fields], where)
    label = next((name for name in ("label", "labels") if name in names.values()), "")
    names_of_type = tuple(getattr(item, "_fields", ()))
    type_name = type(item).__name__ if names_of_type else ""
    head = (form, tuple(fields), modality, _NOUNS[modality], label, rate)
    return Layout(*head, type_name, names_of_type, tuple(empties))


def _check_names(names: list[str], where: str) -> None:
    """Raise where two values would lie under one name, or under that of a part of another."""
    parts = {f"{name}.{part}" for name in names for part in ("shape", "values", "offsets", "lengths")}
    numbered = {name for name in names for other in names if other != name and _is_numbered(name, other)}
    odd = sorted({name for name in names if names.count(name) > 1 or name in parts} | numbered)
    if odd:
        todo = "Rename them: 'image', 'x' and 'label' are kept as images, x and labels."
        raise DataError(
            sentence(where, "the names of an item's values must differ in a file", offenders(odd), todo)
        )


def _is_numbered(name: str, other: str) -> bool:
    return name.startswith(other) and name[len(other) :].isdigit()


def _dotted(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))


def _path(place: Any) -> tuple[Any, ...]:
    return () if place is None else (place,)


def _flat(item: Any, above: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    pairs = item.items() if isinstance(item, Mapping) else enumerate(item)
    out = []
    for key, value in pairs:
        nested = isinstance(value, Mapping) and len(value) > 0
        out += _flat(value, (*above, key)) if nested else [((*above, key), value)]
    return out


def _is_empty(value: Any) -> bool:
    return isinstance(value, Mapping) and not value


def _kind(value: Any) -> str:
    if type(value).__module__.startswith("PIL."):
        return "pil"
    if isinstance(value, torch.Tensor):
        return "tensor"
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return "array"
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return "scalar"
    if isinstance(value, (list, tuple)) and np.asarray(value).dtype.kind in "biuf":
        return "tuple" if isinstance(value, tuple) else "list"
    for kind, name in ((bool, "bool"), (int, "int"), (float, "float"), (str, "text")):
        if isinstance(value, kind):
            return name
    return ""


def _named(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def _field(name: str, path: tuple[Any, ...], value: Any, where: str) -> Field:
    kind = _kind(value)
    if not kind:
        must = "every part of an item must be a picture, an array, a tensor, a number or a text"
        raise InputTypeError(sentence(where, must, f"{_named(value)} as {name!r} at item 0"))
    array = _as_array(value, kind, name, 0, where)
    dtype = array.dtype.str if kind in ("tensor", "array", "scalar", "list", "tuple", "pil") else ""
    names = tuple(getattr(value, "_fields", ())) if kind == "tuple" else ()
    return Field(name, path, kind, dtype, array.ndim, type(value).__name__ if names else "", names)


def _as_array(value: Any, kind: str, name: str, i: int, where: str) -> np.ndarray:
    if kind == "pil":
        return np.asarray(picture_of(value, i, where))
    if kind == "tensor":
        tensor = value.detach().cpu().as_subclass(torch.Tensor)
        if tensor.dtype not in _NUMPY_TYPES:
            given = f"{tensor.dtype} as {name!r} at item {i}"
            raise DataError(
                sentence(where, "tensors must be of a type that numpy has", given, "Use .float().")
            )
        return tensor.numpy()
    if kind == "text":
        return np.frombuffer(value.encode("utf-8", "surrogatepass"), dtype=np.uint8)
    return np.asarray(value)


_NUMPY_TYPES = {
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.uint16, torch.uint32, torch.uint64, torch.float16, torch.float32, torch.float64),
}


def picture_of(image: Any, i: int, where: str) -> Any:
    """Return a PIL image whose mode its pixels tell; palettes are looked up."""
    if image.mode in PLAIN_MODES:
        return image
    if image.mode in _PALETTES:
        see_through = image.mode == "PA" or "transparency" in image.info
        return image.convert("RGBA" if see_through else "RGB")
    known = ", ".join(PLAIN_MODES)
    given = f"{image.mode} at item {i}"
    raise DataError(
        sentence(where, f"pictures must have one of the modes {known}", given, "Use .convert('RGB').")
    )


def values_of(item: Any, layout: Layout, i: int, where: str) -> dict[str, Any]:
    """Return the values of an item by the names of their fields: arrays, numbers and texts.

    Raises
    ------
    DataError
        If the item has not the form of the first one.
    """
    found = dict([((), item)] if layout.form == "alone" else _flat_if(item, i, where))
    bare = {path for _, path in layout.empties}
    paths = {field.path for field in layout.fields} | bare
    filled = {path for path in bare if path in found and not _is_empty(found[path])}
    if set(found) != paths or filled:
        odd = sorted(map(_dotted, (set(found) ^ paths) | filled))
        must = f"all items must have one form ({_WORDS[layout.form]} of {len(paths)} values in item 0)"
        raise DataError(sentence(where, must, f"another at item {i}, which differs in {odd[:3]}"))
    if tuple(getattr(item, "_fields", ())) != layout.names:
        must = "all items must have one form"
        given = f"{type(item).__name__} at item {i}, and {layout.type_name or 'no named tuple'} at item 0"
        raise DataError(sentence(where, must, given))
    values = {}
    for field in layout.fields:
        value = found[field.path]
        kind = _kind(value)
        if kind != field.kind or (kind == "tuple" and tuple(getattr(value, "_fields", ())) != field.names):
            must = f"all items must have one form ({field.name!r} in item 0: {field.kind})"
            raise DataError(sentence(where, must, f"{_named(value)} at item {i}"))
        array = _as_array(value, kind, field.name, i, where)
        if kind in ("list", "tuple") and not array.size:  # what is empty is of any type
            array = array.astype(field.dtype)
        if field.dtype and array.dtype.str != field.dtype and kind != "pil":
            must = f"{field.name!r} must be of one type in all items ({np.dtype(field.dtype)} in item 0)"
            raise DataError(sentence(where, must, f"{array.dtype} at item {i}"))
        values[field.name] = value if kind in ("bool", "int", "float", "text") else array
    return values


def _flat_if(item: Any, i: int, where: str) -> list[tuple[tuple[Any, ...], Any]]:
    if isinstance(item, (Mapping, tuple, list)):
        return _flat(item)
    raise DataError(sentence(where, "all items must have one form", f"{_named(item)} at item {i}"))


def label_value(value: Any) -> Any:
    """Return a label as plain Python: a number, a text, or a list of numbers."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def digest(values: Mapping[str, Any]) -> str:
    """Return a number of the values of an item that another item will not have (SHA-256)."""
    found = hashlib.sha256()
    for name, value in values.items():
        array = np.asarray(value)
        found.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        text = isinstance(value, str)
        found.update(
            value.encode("utf-8", "surrogatepass") if text else np.ascontiguousarray(array).tobytes()
        )
    return found.hexdigest()
