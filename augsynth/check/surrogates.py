"""Text with halves of surrogate pairs, which no file, screen or column of strings can hold, spelled out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.records import writable

__all__ = ["spelled_out"]


def spelled_out(data: Any) -> Any:
    r"""Return rows, labels or groups whose texts and names can be written; what can be already is not copied.

    Halves of surrogate pairs come from files read with ``errors="surrogateescape"`` and from
    JSON. Different texts stay different.

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
    if not changed and _fine(frame.columns):
        return frame
    frame = frame.copy()
    frame.columns = pd.Index([_told(each) for each in frame.columns], dtype=object)
    for k, values in changed.items():
        frame.isetitem(k, values)
    return frame


def _spelled(column: pd.Series) -> Any:
    """Return the values of a column that has such texts; None if it has none."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = column.cat.categories
        told = [_told(each) for each in levels]
        return None if _fine(levels) else column.cat.rename_categories(told).array
    return None if column.dtype != object or _fine(column) else _objects(column)


def _objects(values: Any) -> np.ndarray:
    held = np.empty(len(values), dtype=object)
    held[:] = [_told(each) for each in values]
    return held


def _fine(values: Any) -> bool:
    return all(not isinstance(each, str) or writable(each) == each for each in values)


def _told(value: Any) -> Any:
    return writable(value) if isinstance(value, str) else value
