"""Tables with holes to coded rows, and the filled cells back into the table."""

from __future__ import annotations

import decimal
import warnings
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.arrays import from_tensor
from augsynth.core.errors import AugsynthWarning, DataError, LeakError, offenders, sentence
from augsynth.core.random import ItemKeys
from augsynth.core.sobol import mixed
from augsynth.encode.column import Column, is_time
from augsynth.encode.schema import Schema

__all__ = [
    "content_keys",
    "draw_keys",
    "hide_unseen",
    "put_in",
    "refuse_other_kinds",
    "refuse_target_in",
    "target_column",
]


def hide_unseen(frame: pd.DataFrame, schema: Schema, where: str) -> pd.DataFrame:
    """Return the table with categories that fit has not seen as missing cells, and name them in a warning."""
    found: dict[Any, list[Any]] = {}
    for column in schema:
        values = frame[column.name]
        unseen = column.unseen(values)
        if unseen.any():
            found[column.name] = pd.unique(values[unseen].astype(object)).tolist()
            frame = frame.copy(deep=False)
            frame[column.name] = values.mask(unseen)
    if found:
        named = "; ".join(f"{name!r}: {offenders(values)}" for name, values in found.items())
        warnings.warn(
            f"{where}: categories not seen in fit are kept as they are, and count as missing "
            f"for the cells beside them; {named}.",
            AugsynthWarning,
            stacklevel=5,
        )
    return frame


def refuse_other_kinds(frame: pd.DataFrame, schema: Schema, where: str) -> None:
    """Raise DataError where a column holds times in fit and numbers now, or the other way round."""
    for column in schema:
        values = frame[column.name]
        times = is_time(values.dtype)
        if not column.is_numeric or (not times and values.dtype.kind not in "iufb"):
            continue
        if times != (column.kind == "datetime") and values.notna().any():
            must = f"column {column.name!r} must be of the kind it had in fit ({column.dtype})"
            raise DataError(sentence(where, must, str(values.dtype), "Convert it."))


def put_in(values: pd.Series, holes: np.ndarray, column: Column, z: np.ndarray, *, whole: bool) -> pd.Series:
    """Return a column with its holes filled from coded cells.

    Parameters
    ----------
    values : Series, (n,)
        The column as the user gave it; its index and dtype are kept. A column of floats or
        objects without any value (which says nothing of its kind) gets that of fit.
    holes : ndarray of bool, (n,)
    column : Column
        As in fit.
    z : ndarray, (number of holes,)
        Coded cells.
    whole : bool
        Whether integer columns get whole numbers even where their dtype could hold others.
    """
    drawn = column.decode(z)
    dtype = values.dtype
    if holes.all() and _says_nothing(dtype, column.dtype):
        return pd.Series(drawn.array, index=values.index, name=values.name)
    if _is_float(dtype):
        if column.kind == "integer" and not whole and not column.origin:
            drawn = pd.Series(z)
        limits = np.finfo(dtype)
        filled = values.to_numpy(copy=True)
        filled[holes] = np.clip(pd.to_numeric(drawn).to_numpy(np.float64), limits.min, limits.max)
        return pd.Series(filled, index=values.index, name=values.name)
    if dtype.kind == "O" and isinstance(dtype, np.dtype):
        drawn = _of_type(drawn, next((value for value in values[~holes]), None))
    if isinstance(dtype, np.dtype):
        filled = values.to_numpy(copy=True)
        filled[holes] = drawn.to_numpy()
        return pd.Series(filled, index=values.index, name=values.name, dtype=dtype)
    array = values.array.copy()
    if isinstance(dtype, pd.CategoricalDtype):
        levels = values.cat.categories
        new = [level for level in pd.unique(drawn.astype(object)) if level not in levels]
        array = (values.cat.add_categories(new) if new else values).array.copy()
        array[holes] = drawn.astype(object).to_numpy()
    else:
        array[holes] = _rounded(drawn, dtype).astype(dtype).array
    return pd.Series(array, index=values.index, name=values.name)


def _says_nothing(dtype: Any, learned: Any) -> bool:
    """Whether a column without a value has the dtype of none in particular, or one that cannot hold it."""
    if _is_float(dtype):
        return not _is_float(learned)
    plain = isinstance(dtype, np.dtype) and dtype.kind == "O"
    return plain or is_time(dtype) != is_time(learned) or pd.api.types.is_bool_dtype(dtype)


def _is_float(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind == "f"


def _of_type(drawn: pd.Series, like: Any) -> pd.Series:
    """Return numbers as the Python objects that the other cells of their column are."""
    if isinstance(like, decimal.Decimal):
        return pd.Series([decimal.Decimal(repr(float(value))) for value in drawn], dtype=object)
    if isinstance(like, int) and not isinstance(like, bool):
        return pd.Series([round(value) for value in drawn], dtype=object)
    return drawn


def _rounded(drawn: pd.Series, dtype: Any) -> pd.Series:
    """Return numbers as an integer dtype can hold them; anything else as it is."""
    if drawn.dtype == dtype or not pd.api.types.is_integer_dtype(dtype):
        return drawn
    kind = getattr(dtype, "numpy_dtype", None) or np.dtype(str(dtype).split("[")[0])
    limits = np.iinfo(kind)
    if pd.api.types.is_float_dtype(drawn.dtype):
        drawn = drawn.round()
    return drawn.clip(limits.min, limits.max).astype(kind)


def content_keys(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a number for what each row holds (n,) uint64, and how many equal rows came before it (n,).

    Noise that is keyed by them does not depend on the other rows of a table, equal ones apart.
    """
    bits = np.where(np.isnan(z), np.nan, z + 0.0).view(np.uint64)  # one NaN, and no minus nought
    key = np.zeros(len(z), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for j in range(z.shape[1]):
            key = mixed(key ^ bits[:, j])
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    fresh = np.ones(len(z), dtype=bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    start = np.maximum.accumulate(np.where(fresh, np.arange(len(z)), 0))
    before = np.empty(len(z), dtype=np.int64)
    before[order] = np.arange(len(z)) - start
    return key, before


def draw_keys(z: np.ndarray, seed: int, draw: int) -> ItemKeys:
    """Return the keys of the noise of one draw, a row each."""
    key, before = content_keys(z)
    return ItemKeys(seed, before, key, draw)


def refuse_target_in(frame: pd.DataFrame, y: Any, where: str, *, values: bool = True) -> None:
    """Raise LeakError where a column of X is the target, which no row will have when it is predicted.

    Parameters
    ----------
    values : bool, default=True
        Whether to compare values too; otherwise only the name.
    """
    name = getattr(y, "name", None)
    todo = "Leave it out of X; use_target=True lets the imputer learn from y."
    if name is not None and name in frame.columns:
        must = "X must not hold the target, which does not exist when a row is predicted"
        raise LeakError(sentence(where, must, f"column {name!r}, of the name of y", todo))
    target = np.asarray(from_tensor(y, where=where), dtype=object)
    if not values or target.ndim != 1 or len(target) != len(frame) or len(target) < 3:
        return
    present = ~pd.isna(target)
    for column in frame.columns:
        cells = frame[column].astype(object).to_numpy()
        both = present & ~pd.isna(cells)
        if both.sum() < 3 or not np.array_equal(cells[both], target[both]):
            continue
        if len(set(target[both].tolist())) > 1:
            must = "X must not hold the target, which does not exist when a row is predicted"
            raise LeakError(sentence(where, must, f"column {column!r}, equal to y in every row", todo))


def target_column(y: Any, n: int, where: str) -> pd.Series:
    """Return y as a Series (n,) under a name of its own."""
    y = from_tensor(y, where=where)
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
        y = y.iloc[:, 0]
    series = y.reset_index(drop=True) if isinstance(y, pd.Series) else pd.Series(np.ravel(np.asarray(y)))
    shape = np.asarray(y).shape
    if len(shape) > 1 and shape[-1] != 1:
        raise DataError(sentence(where, "y must have one value a row", f"shape {shape}"))
    if len(series) != n:
        raise DataError(sentence(where, f"y must have {n} values, one a row of X", str(len(series))))
    return series.rename("target")
