"""Text with halves of surrogate pairs, which no file, screen or column of strings can hold, spelled out."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.records import writable

__all__ = ["spelled_out"]

_HALF = re.compile("(\\\\+)(ud[89a-f][0-9a-f]{2}|[\ud800-\udfff])")


def spelled_out(data: Any) -> Any:
    r"""Return rows, labels or groups whose texts and names can be written; what can be already is not copied.

    Halves of surrogate pairs come from files read with ``errors="surrogateescape"`` and from
    JSON. A text that already reads like a half that was spelled out gets another backslash, in
    any data that is given: so different texts stay different, and equal ones equal.

    Parameters
    ----------
    data : DataFrame, Series, array, list or tuple; anything else comes back as it is

    Examples
    --------
    >>> print(*spelled_out(["a\ud800", "b"]))
    a\ud800 b
    """
    if isinstance(data, pd.DataFrame):
        changed = {k: _spelled(data.iloc[:, k]) for k in range(data.shape[1])}
        return _with(data, {k: values for k, values in changed.items() if values is not None})
    if isinstance(data, pd.Series):
        values = _spelled(data)
        data = data if values is None else pd.Series(values, index=data.index, name=data.name)
        return data if _fine([data.name]) else data.rename(_told(data.name))
    if isinstance(data, np.ndarray) and data.dtype.kind in "OU":
        flat = data.ravel().tolist()
        return data if _fine(flat) else _objects(flat).reshape(data.shape)
    if isinstance(data, (list, tuple)):
        return data if _fine(data) else [_told(each) for each in data]
    return data


def _with(frame: pd.DataFrame, changed: dict[int, Any]) -> pd.DataFrame:
    names = list(frame.columns)
    if not changed and _fine(names):
        return frame
    frame = frame.copy()
    if not _fine(names):
        told = [_told(each) for each in names]
        if isinstance(frame.columns, pd.MultiIndex):
            frame.columns = pd.MultiIndex.from_tuples(
                told, names=[_told(each) for each in frame.columns.names]
            )
        else:
            frame.columns = pd.Index(told, dtype=object)
    for k, values in changed.items():
        frame.isetitem(k, values)
    return frame


def _spelled(column: pd.Series) -> Any:
    """Return the values of a column that has such texts; None if it has none."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = column.cat.categories
        told = [_told(each) for each in levels]
        return None if _fine(levels) else column.cat.rename_categories(told).array
    if isinstance(column.dtype, pd.StringDtype):
        fine = _fine(column.dropna().unique())
        return None if fine else pd.array([_told(each) for each in column], dtype=column.dtype)
    return None if column.dtype != object or _fine(column) else _objects(column)


def _objects(values: Any) -> np.ndarray:
    held = np.empty(len(values), dtype=object)
    held[:] = [_told(each) for each in values]
    return held


def _fine(values: Any) -> bool:
    return all(not isinstance(each, (str, tuple)) or _told(each) == each for each in values)


def _told(value: Any) -> Any:
    r"""Spell out a text, or the parts of a name.

    Backslashes before a half, or before what reads like one, are doubled: an odd number of them
    then stands for a half and an even one for themselves, in every text alike.
    """
    if isinstance(value, tuple):
        return tuple(_told(each) for each in value)
    if not isinstance(value, str) or (value.isascii() and "\\ud" not in value):
        return value
    return writable(_HALF.sub(lambda found: 2 * found[1] + found[2], value))
