"""Which rows of one table stand in another one: cell by cell, whatever their order and types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["Shared", "shared_rows"]

_SINGLES = 20  # rows of their own that must be found again before an order does not matter
_BEYOND_CHANCE = 5  # rows found again, beyond one and a half times what twins within the table explain


@dataclass(frozen=True)
class Shared:
    """How many rows of a first table stand in a second one.

    Attributes
    ----------
    holds_first : bool
        The second table opens with the rows of the first, or holds them all in another order.
    rows : int
        Rows of the first table that are found in the second; 0 if the tables' own twins explain them.
    """

    holds_first: bool
    rows: int = 0


def shared_rows(first: Sequence[Any], second: Sequence[Any]) -> Shared:
    """Find the rows (features, groups, labels) of a first table in a second one.

    Values count, types do not; columns go by their names where both tables have them. Whole numbers,
    dates and texts must be equal exactly, other numbers so far as single precision tells them apart if one
    of the tables has no more. In another order the rows count as those of the first table only if all
    are found and 20 at least are the second table's only ones of their kind: chance does not do that, while
    any large table of two yes-or-no columns holds any small one. Cost: 0.1 s for 60,000 rows of 15 columns.

    Parameters
    ----------
    first, second : (features, groups, labels)
        Tables, tables and label codes.

    Examples
    --------
    >>> table = pd.DataFrame({"a": range(30), "b": "x"})
    >>> none, labels = pd.DataFrame(index=range(30)), np.zeros(30)
    >>> shared_rows((table, none, labels), (table[["b", "a"]][::-1], none, labels))
    Shared(holds_first=True, rows=30)
    """
    (frame, groups, labels), (frame_2, groups_2, labels_2) = first, second
    n, pairs = len(labels), [(pd.Series(labels), pd.Series(labels_2))]
    for a, b in ((frame, frame_2), (groups, groups_2)):
        matched = _columns(a, b)
        if matched is None:
            return Shared(False)
        pairs += matched
    if not n:
        return Shared(False)
    keys = np.zeros(n + len(labels_2), dtype=np.int64)
    for a, b in pairs:
        codes = _codes(a, b) + 1  # a missing value is a value
        keys = pd.factorize(keys * (int(codes.max()) + 1) + codes)[0].astype(np.int64)
    return _compared(keys[:n], keys[n:])


def _compared(keys: np.ndarray, keys_2: np.ndarray) -> Shared:
    n, m = len(keys), len(keys_2)
    kinds = int(max(keys.max(), keys_2.max(initial=0))) + 1
    here, there = np.bincount(keys, minlength=kinds), np.bincount(keys_2, minlength=kinds)
    opens = m >= n and bool((keys_2[:n] == keys).all())
    singles = int(((here == 1) & (there == 1)).sum())
    if opens or ((there >= here).all() and singles >= _SINGLES):
        return Shared(True, n)
    found, twins = int((there[keys] > 0).sum()), int((here[keys] > 1).sum())
    explained = 1.5 * twins * max(1.0, m / n) + _BEYOND_CHANCE
    return Shared(False, found if found > explained else 0)


def _columns(a: pd.DataFrame, b: pd.DataFrame) -> list[tuple[pd.Series, pd.Series]] | None:
    """Return the columns that go together: by name, else by place; None where there are no such."""
    if a.columns.is_unique and b.columns.is_unique and a.columns.isin(b.columns).all():
        return [(a[name], b[name]) for name in a.columns]
    if a.shape[1] != b.shape[1]:
        return None
    return [(a.iloc[:, k], b.iloc[:, k]) for k in range(a.shape[1])]


def _codes(a: pd.Series, b: pd.Series) -> np.ndarray:
    """Return codes of the values of both columns, equal where these are; -1 is missing."""
    sides = [_plain(each) for each in (a, b)]
    absent = np.concatenate([each.isna().to_numpy(dtype=bool) for each in sides])
    values = [each.dropna() for each in sides]
    numbers = [pd.api.types.is_numeric_dtype(each.dtype) for each in values]
    if all(numbers):
        known = _numbers(*values)
    elif any(numbers):
        known = np.concatenate([each.astype(str).to_numpy(dtype=object) for each in values])
    elif all(pd.api.types.is_datetime64_dtype(each.dtype) for each in values):
        known = np.concatenate([each.to_numpy() for each in values])
    else:
        known = np.concatenate([each.to_numpy(dtype=object) for each in values])
    codes = np.full(len(absent), -1, dtype=np.int64)
    try:
        codes[~absent] = pd.factorize(known)[0]
    except TypeError:  # lists, arrays and such in the cells
        codes[~absent] = pd.factorize(np.array([_text(each) for each in known], dtype=object))[0]
    return codes


def _plain(column: pd.Series) -> pd.Series:
    column = column.reset_index(drop=True)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype if not column.isna().any() else object)
    return column.infer_objects() if column.dtype == object else column


def _numbers(a: pd.Series, b: pd.Series) -> np.ndarray:
    """Return the numbers of both columns, in single precision where one of them has no more."""
    x, y = (each.to_numpy(dtype=each.dtype.kind + "8") if _whole(each) else _float(each) for each in (a, b))
    if x.dtype.kind in "iub" and y.dtype.kind in "iub":
        kind = np.int64 if x.dtype.kind == y.dtype.kind or not len(x) or not len(y) else object
        return np.concatenate([x.astype(kind), y.astype(kind)]) if x.dtype != y.dtype else np.r_[x, y]
    single = [_is_single(each) for each in (x, y)]
    if any(single):
        with np.errstate(over="ignore"):
            x, y = x.astype(np.float32), y.astype(np.float32)
    return np.concatenate([x, y])


def _whole(column: pd.Series) -> bool:
    return bool(pd.api.types.is_integer_dtype(column.dtype))


def _float(column: pd.Series) -> np.ndarray:
    """Return numbers as they are: single precision where the column has no more, else double."""
    kind = np.dtype(getattr(column.dtype, "numpy_dtype", column.dtype))
    return column.to_numpy(dtype=np.float32 if kind in (np.float16, np.float32) else np.float64)


def _is_single(x: np.ndarray) -> bool:
    """Whether these numbers are in single precision, or are numbers with decimals rounded to it."""
    if x.dtype != np.float64:
        return bool(x.dtype == np.float32)
    with np.errstate(over="ignore"):
        return bool((x.astype(np.float32) == x).all() and (x != np.trunc(x)).any())


def _text(cell: Any) -> str:
    array = np.asarray(cell, dtype=object)
    return f"{type(cell).__name__} {array.shape} {array.ravel().tolist()!r}"
