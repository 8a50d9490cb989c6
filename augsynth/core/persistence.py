"""Saved models: one safetensors file, arrays as tensors and a JSON header; no pickle.

Loading resolves classes through :mod:`augsynth.registry` and the list of
``@persistent`` value classes, never by a path in the file; safetensors checks every
array's size against the file before it is read. A hostile file can fail, not execute.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import zlib
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from augsynth import registry
from augsynth.core.errors import ModelFileError, offenders, sentence
from augsynth.core.files import atomic_path
from augsynth.core.scalars import pack_scalar, unpack_scalar

__all__ = ["load", "pack", "persistent", "save", "unpack"]

FORMAT = 1
_STORED = {"bool", "float16", "float32", "float64"} | {
    f"{u}int{b}" for u in ("", "u") for b in (8, 16, 32, 64)
}
_VALUE_CLASSES: dict[str, type] = {}
T = TypeVar("T", bound=type)


def persistent(cls: T) -> T:
    """Allow instances of a value class inside saved models.

    What is saved is their ``__dict__``, or what their ``_state()`` returns and
    ``_set_state(state)`` takes, where they hold what is no data.
    """
    _VALUE_CLASSES[_name_of(cls)] = cls
    return cls


def _name_of(cls: type) -> str:
    # With the module, as two modules may have a class of the same name; a key of a table, never an import.
    return f"{cls.__module__}.{cls.__qualname__}"


def save(component: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted component to one file, without pickle.

    Parameters
    ----------
    component : registered component
        A generator of augsynth, or of your own after ``augsynth.registry.register``.
    path : path
        Usually ``something.safetensors``. Written whole or not at all.

    Raises
    ------
    ModelFileError
        If a part of it cannot be stored without pickle (a Python function, say).
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    arrays: dict[str, np.ndarray] = {}
    header = {"format": FORMAT, "object": pack(component, arrays)}
    odd = {str(array.dtype) for array in arrays.values() if array.dtype.name not in _STORED}
    if odd:
        raise ModelFileError(
            sentence("save", "arrays must be of a type that safetensors holds", offenders(odd))
        )
    # safetensors wants one tensor at least; the marker also names the file's kind.
    stored = {"augsynth": np.zeros(1, np.uint8)}
    stored |= {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    body = json.dumps(header, allow_nan=False)
    # One entry: of several, safetensors does not keep the order, and so not the bytes.
    metadata = {"augsynth": f"{_checksum(body, stored)} {body}"}
    with atomic_path(path) as temporary:
        try:
            save_file(stored, str(temporary), metadata=metadata)
        except SafetensorError as error:
            raise OSError(f"save({os.fspath(path)!r}): the file could not be written ({error}).") from error


def load(path: str | os.PathLike[str]) -> Any:
    """Read a component that :func:`save` wrote.

    Raises
    ------
    ModelFileError
        If the file is absent, damaged, of another kind, or names an unknown class.
    """
    from safetensors import SafetensorError, safe_open

    if not isinstance(path, (str, os.PathLike)):
        raise ModelFileError(sentence("load", "path must be a path", repr(path)))
    try:
        with safe_open(os.fspath(path), framework="numpy") as opened:
            text = (opened.metadata() or {}).get("augsynth")
            if text is None:
                raise ModelFileError(_bad(path, "a safetensors file of something else"))
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, UnicodeDecodeError) as error:
        raise ModelFileError(_bad(path, f"{type(error).__name__}: {error}")) from error
    if not text.startswith("{"):
        told, _, text = text.partition(" ")
        if told != _checksum(text, arrays):
            raise ModelFileError(_bad(path, "one whose bytes have changed since (their checksum is another)"))
    try:
        header = json.loads(text)
        if header["format"] != FORMAT:
            raise ModelFileError(_bad(path, f"format {header['format']!r} (this version reads {FORMAT})"))
        return unpack(header["object"], arrays)
    except ModelFileError:
        raise
    except Exception as error:  # what a damaged or hostile file may bring about has no end
        raise ModelFileError(_bad(path, f"a damaged header ({type(error).__name__}: {error})")) from error


def _checksum(text: str, arrays: dict[str, np.ndarray]) -> str:
    value = zlib.crc32(text.encode())
    for name in sorted(arrays):
        value = zlib.crc32(np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data, value)
    return f"{value:08x}"


def _bad(path: object, given: str) -> str:
    return sentence(f"load({os.fspath(path)!r})", "the file must be a model that augsynth saved", given)  # type: ignore[call-overload]


def pack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Turn a value into JSON; its arrays go into ``arrays`` under running names."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, np.generic):
        return value if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, list):
        return [pack(item, arrays) for item in value]
    if isinstance(value, (tuple, set, frozenset)):
        items = value if isinstance(value, tuple) else sorted(value)
        return {f"${type(value).__name__}": [pack(item, arrays) for item in items]}
    if isinstance(value, dict):
        return {"$dict": [[pack(k, arrays), pack(v, arrays)] for k, v in value.items()]}
    if isinstance(value, (np.ndarray, np.generic)):
        return _pack_array(np.asarray(value), arrays, scalar=isinstance(value, np.generic))
    if isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
        return _pack_pandas(value, arrays)
    if isinstance(value, (np.dtype, pd.api.extensions.ExtensionDtype)):
        return _pack_dtype(value, arrays)
    scalar = pack_scalar(value)
    if scalar is not None:
        return {"$scalar": scalar[0], "value": [pack(part, arrays) for part in scalar[1]]}
    if _VALUE_CLASSES.get(_name_of(type(value))) is type(value):
        return {"$value": _name_of(type(value)), "state": pack(_state_of_value(value), arrays)}
    return _pack_component(value, arrays)


def unpack(packed: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Turn what :func:`pack` made back into the value."""
    if isinstance(packed, list):
        return [unpack(item, arrays) for item in packed]
    if not isinstance(packed, dict):
        return packed
    tag = next(iter(packed))
    body = packed[tag]
    if tag == "$float":
        return float(body)
    if tag in ("$tuple", "$set", "$frozenset"):
        return {"$tuple": tuple, "$set": set, "$frozenset": frozenset}[tag](unpack(body, arrays))
    if tag == "$dict":
        return {unpack(k, arrays): unpack(v, arrays) for k, v in body}
    if tag == "$index":
        return _unpack_index(packed, arrays)
    if tag in ("$array", "$objects"):
        return _unpack_array(packed, arrays)
    if tag == "$table":
        return _unpack_table(packed, arrays)
    if tag in ("$dtype", "$category"):
        return _unpack_dtype(packed, arrays)
    if tag == "$scalar":
        return unpack_scalar(body, [unpack(item, arrays) for item in packed["value"]])
    if tag == "$value":
        if body not in _VALUE_CLASSES:
            raise ModelFileError(
                f"load: the file holds a part that this version does not know; given {body!r}."
            )
        made: Any = object.__new__(_VALUE_CLASSES[body])
        _set_state(made, unpack(packed["state"], arrays))
        return made
    if tag == "$component":
        return _unpack_component(packed, arrays)
    raise ModelFileError(f"load: the header holds an unknown entry; given {tag!r}.")


def _state_of_value(value: Any) -> dict[str, Any]:
    if hasattr(value, "_state"):
        return value._state()
    classes = type(value).__mro__
    cached = {k for base in classes for k, v in vars(base).items() if isinstance(v, cached_property)}
    return {k: v for k, v in vars(value).items() if k not in cached}


def _set_state(made: Any, state: dict[str, Any]) -> None:
    if hasattr(made, "_set_state"):
        made._set_state(state)
    else:
        vars(made).update(state)


def _pack_component(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    known = registry.kind_of(value)
    if known is None or not hasattr(value, "get_params"):
        raise ModelFileError(
            sentence(
                "save",
                "every part must be data or a registered component",
                f"{type(value).__name__} ({value!r:.60})",
                "Register your class with augsynth.registry.register(role, kind, cls).",
            )
        )
    if hasattr(value, "_state"):
        state = value._state()
    else:
        state = {k: v for k, v in vars(value).items() if k.endswith("_") and not k.startswith("_")}
    return {
        "$component": list(known),
        "params": pack(value.get_params(deep=False), arrays),
        "state": pack(state, arrays),
    }


def _unpack_component(packed: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    role, kind = packed["$component"]
    made = registry.resolve(role, kind)(**unpack(packed["params"], arrays))
    _set_state(made, unpack(packed["state"], arrays))
    return made


def _pack_array(array: np.ndarray, arrays: dict[str, np.ndarray], *, scalar: bool) -> Any:
    if array.dtype.kind in "OUS":
        items = [pack(item, arrays) for item in array.ravel().tolist()]
        return {"$objects": items, "shape": list(array.shape), "dtype": array.dtype.str, "scalar": scalar}
    name = f"a{len(arrays)}"
    arrays[name] = array.view(np.int64) if array.dtype.kind in "mM" else array
    packed = {"$array": name, "shape": list(array.shape), "dtype": array.dtype.str, "scalar": scalar}
    # The order in memory decides the last bits of matrix products.
    by_columns = array.flags.f_contiguous and not array.flags.c_contiguous
    return {**packed, "order": "F"} if by_columns else packed


def _unpack_array(packed: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    dtype = np.dtype(packed["dtype"])
    if "$objects" in packed:
        array = np.empty(len(packed["$objects"]), dtype=object)
        array[:] = unpack(packed["$objects"], arrays)
        if dtype.kind not in "OUS":
            raise ModelFileError(f"load: an array of objects must be of objects or text; given {dtype}.")
        if dtype.kind in "US" and dtype.itemsize > 4 * max(map(len, array), default=0) + 4:
            raise ModelFileError("load: a text array must not be wider than its longest text.")
        array = array.astype(dtype)
    else:
        array = arrays[packed["$array"]]
        array = array.view(dtype) if dtype.kind in "mM" else array
    array = array.reshape(packed["shape"])
    if packed.get("order") == "F":
        return np.asfortranarray(array)
    return array[()] if packed["scalar"] else array


def _pack_pandas(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, pd.Index):
        return _pack_index(value, arrays)
    frame = value if isinstance(value, pd.DataFrame) else value.to_frame()
    return {
        "$table": type(value).__name__ if type(value) is pd.Series else "DataFrame",
        "rows": len(frame),
        "columns": [_pack_column(frame.iloc[:, i], arrays) for i in range(frame.shape[1])],
        "names": pack(frame.columns, arrays) if frame is value else None,
        "name": pack(getattr(value, "name", None), arrays),
    }


def _pack_index(value: pd.Index, arrays: dict[str, np.ndarray]) -> Any:
    multi = isinstance(value, pd.MultiIndex)
    levels = [value.get_level_values(i) for i in range(value.nlevels)] if multi else [value]
    columns = [_pack_column(pd.Series(level), arrays) for level in levels]
    return {"$index": columns, "names": [pack(name, arrays) for name in value.names], "multi": multi}


def _unpack_index(packed: dict[str, Any], arrays: dict[str, np.ndarray]) -> pd.Index:
    columns = [_unpack_column(column, arrays) for column in packed["$index"]]
    names = [unpack(name, arrays) for name in packed["names"]]
    if packed["multi"]:
        return pd.MultiIndex.from_arrays(columns, names=names)
    return pd.Index(columns[0], dtype=columns[0].dtype, name=names[0], tupleize_cols=False)


def _pack_column(column: pd.Series, arrays: dict[str, np.ndarray]) -> Any:
    """Pack the cells of a column: as an Arrow stream, or one by one where Arrow would change them."""
    import pyarrow as pa

    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        column = column.sparse.to_dense()
    cells = column.cat.categories if isinstance(dtype, pd.CategoricalDtype) else column
    described = pack(dtype, arrays)
    if cells.dtype != object or all(type(cell) is str or cell is None for cell in cells):
        with contextlib.suppress(pa.ArrowException, OverflowError, TypeError, UnicodeEncodeError):
            table = pa.Table.from_pandas(column.to_frame("c0").reset_index(drop=True), preserve_index=False)
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
            name = f"a{len(arrays)}"
            arrays[name] = np.frombuffer(sink.getvalue(), dtype=np.uint8)
            return {"arrow": name, "dtype": described}
    if isinstance(dtype, pd.CategoricalDtype):
        return {"codes": pack(column.cat.codes.to_numpy(), arrays), "dtype": described}
    return {"cells": [pack(cell, arrays) for cell in column], "dtype": described}


def _unpack_column(packed: dict[str, Any], arrays: dict[str, np.ndarray]) -> pd.Series:
    import pyarrow as pa

    dtype = unpack(packed["dtype"], arrays)
    if "codes" in packed:
        return pd.Series(pd.Categorical.from_codes(unpack(packed["codes"], arrays), dtype=dtype))
    if "cells" in packed:
        cells = np.empty(len(packed["cells"]), dtype=object)
        for i, cell in enumerate(packed["cells"]):
            cells[i] = unpack(cell, arrays)
        return pd.Series(cells, dtype=dtype)
    buffer = pa.py_buffer(arrays[packed["arrow"]].tobytes())
    column = pa.ipc.open_stream(buffer).read_all().column(0)
    if isinstance(dtype, pd.api.extensions.ExtensionDtype) and hasattr(dtype, "__from_arrow__"):
        return pd.Series(dtype.__from_arrow__(column))
    if dtype == np.dtype("O"):
        return pd.Series(column.to_pylist(), dtype=object)
    return column.to_pandas().astype(dtype)


def _unpack_table(packed: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    columns = [_unpack_column(column, arrays) for column in packed["columns"]]
    if packed["$table"] == "Series":
        return columns[0].rename(unpack(packed["name"], arrays))
    if any(len(column) != packed["rows"] for column in columns):  # pandas would fill the rest up, at any cost
        raise ModelFileError(f"load: every column of a table must have its {packed['rows']} rows.")
    frame = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(packed["rows"]))
    frame.columns = unpack(packed["names"], arrays)
    return frame


def _pack_dtype(dtype: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(dtype, pd.CategoricalDtype):
        return {"$category": pack(pd.Index(dtype.categories), arrays), "ordered": bool(dtype.ordered)}
    if isinstance(dtype, pd.ArrowDtype):
        # The type as an empty Arrow stream: its text form does not always parse back.
        return {"$dtype": "arrow", "sample": _arrow_bytes(dtype, arrays)}
    if isinstance(dtype, pd.StringDtype):
        missing = "nan" if dtype.na_value is np.nan else "NA"
        return {"$dtype": "string", "storage": dtype.storage, "missing": missing}
    numpy = isinstance(dtype, np.dtype)
    return {"$dtype": "numpy" if numpy else str(dtype), "text": dtype.str if numpy else ""}


def _arrow_bytes(dtype: pd.ArrowDtype, arrays: dict[str, np.ndarray]) -> str:
    import pyarrow as pa

    name = f"a{len(arrays)}"
    buffer = pa.schema([pa.field("c0", dtype.pyarrow_dtype)]).serialize()
    arrays[name] = np.frombuffer(buffer, dtype=np.uint8)
    return name


def _unpack_dtype(packed: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    if "$category" in packed:
        return pd.CategoricalDtype(unpack(packed["$category"], arrays), ordered=packed["ordered"])
    if packed["$dtype"] == "arrow":
        import pyarrow as pa

        schema = pa.ipc.read_schema(pa.py_buffer(arrays[packed["sample"]].tobytes()))
        return pd.ArrowDtype(schema.field(0).type)
    if packed["$dtype"] == "string":
        return pd.StringDtype(packed["storage"], na_value=np.nan if packed["missing"] == "nan" else pd.NA)
    if packed["$dtype"] == "numpy":
        return np.dtype(packed["text"])
    return pd.api.types.pandas_dtype(packed["$dtype"])
