"""Shards of arrays: .npz files without dates, mapped into memory when they are read."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from augsynth.core.errors import DataError, offenders, sentence
from augsynth.datasets.fields import Field, Layout

__all__ = ["ArrayShard", "write_arrays"]

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # zip files must have a date; this one is nobody's


def write_arrays(path: Path, rows: Sequence[Mapping[str, Any]], layout: Layout, where: str) -> None:
    """Write the values of some items: stacked, or end to end with their shapes where these differ.

    The same values give the same bytes. ``numpy.load`` reads the file, without pickle.
    """
    arrays: dict[str, np.ndarray] = {}
    for field in layout.fields:
        arrays |= _stacked(field, [row[field.name] for row in rows], layout, where)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", _FIRST_DAY)
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on every system
            with archive.open(entry, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)


def _stacked(field: Field, column: list[Any], layout: Layout, where: str) -> dict[str, np.ndarray]:
    name = field.name
    if field.kind == "text" and name == layout.label and not any(text.endswith("\0") for text in column):
        return {name: np.array(column, dtype=str)}  # plain texts, as everybody's npz has labels
    if field.kind == "text":
        column = [np.frombuffer(t.encode("utf-8", "surrogatepass"), dtype=np.uint8) for t in column]
    arrays = [np.asarray(value) for value in column]
    types = sorted({str(array.dtype) for array in arrays})
    if len(types) > 1:
        must = f"{name!r} must be of one type in all items"
        raise DataError(sentence(where, must, offenders(types)))
    if len({array.shape for array in arrays}) == 1 and field.kind != "text":
        return {name: np.stack(arrays)}
    most = max(array.ndim for array in arrays)
    shapes = np.full((len(arrays), most), -1, dtype=np.int64)  # -1: an axis that this one has not
    for k, array in enumerate(arrays):
        shapes[k, : array.ndim] = array.shape
    return {name: np.concatenate([array.ravel() for array in arrays]), f"{name}.shape": shapes}


class ArrayShard:
    """The arrays of a shard, mapped into memory: only what is asked for is read."""

    def __init__(self, path: Path, layout: Layout):
        self._layout = layout
        try:
            self._arrays = _mapped(path)
        except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{path}: this shard cannot be read ({reason}).") from error
        self._starts = {
            name.removesuffix(".shape"): np.r_[0, np.cumsum(_sizes(shapes))]
            for name, shapes in self._arrays.items()
            if name.endswith(".shape")
        }

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Return the values of an item."""
        return {field.name: self._value(field, row) for field in self._layout.fields}

    def _value(self, field: Field, row: int) -> Any:
        name = field.name
        if name not in self._starts:
            value = self._arrays[name][row]
            return str(value) if field.kind == "text" else np.array(value)
        start, stop = self._starts[name][row : row + 2]
        flat = np.array(self._arrays[name][start:stop])
        if field.kind == "text":
            return flat.tobytes().decode("utf-8", "surrogatepass")
        shape = self._arrays[f"{name}.shape"][row]
        return flat.reshape(shape[shape >= 0])


def _sizes(shapes: np.ndarray) -> np.ndarray:
    return np.where(shapes < 0, 1, shapes).prod(axis=1)


def _mapped(path: Path) -> dict[str, np.ndarray]:
    arrays = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as stream:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError("compressed")
            stream.seek(entry.header_offset + 26)  # then come the lengths of name and extra field
            lengths = np.frombuffer(stream.read(4), dtype="<u2")
            stream.seek(int(lengths.sum()), 1)
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else None
            shape, fortran, dtype = (read or np.lib.format.read_array_header_2_0)(stream)
            if dtype.hasobject:
                raise ValueError("objects")
            order: Any = "F" if fortran else "C"
            empty = np.empty(shape, dtype) if 0 in shape or not dtype.itemsize else None
            at = stream.tell()
            arrays[entry.filename.removesuffix(".npy")] = (
                np.memmap(path, dtype, "r", at, shape, order) if empty is None else empty
            )
    return arrays
