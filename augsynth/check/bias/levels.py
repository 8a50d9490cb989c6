"""Columns of any kind as a few levels with readable names: groups, and conditions of slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import DataError, sentence

__all__ = ["Levels", "crossed", "levels_of"]

MISSING, OTHER = "missing", "(other)"
FEW_NUMBERS = 10  # numbers with at most so many values are levels as they are


@dataclass(frozen=True, eq=False)
class Levels:
    """The level of each row of a column.

    Attributes
    ----------
    name : str
        Of the column, or of several crossed ones.
    codes : ndarray of int (n,)
    labels : list of str
        By code: a value, "missing", "(other)", or the bounds of a number.
    conditions : list of str
        By code, as one would say it: "sex = f", "age < 25", "income is missing".
    edges : list of str
        What the intervals of a number begin at, but for the first; the codes are in their order.
    """

    name: str
    codes: np.ndarray
    labels: list[str]
    conditions: list[str]
    edges: Sequence[str] = ()

    @property
    def counts(self) -> np.ndarray:
        """Rows of each level."""
        return np.bincount(self.codes, minlength=len(self.labels))


def levels_of(column: pd.Series, *, bins: int = 4, most: int = 1000, where: str = "data_bias") -> Levels:
    """Return a column's levels: values, quantile intervals of numbers and dates, and "missing".

    Parameters
    ----------
    bins : int, default=4
        Quantile intervals of a number or date with more than 10 values.
    most : int, default=1000
        Levels beyond the most frequent ones are "(other)" together.

    Examples
    --------
    >>> found = levels_of(pd.Series([1.0, None, 1.0, 2.0], name="rooms"))
    >>> found.conditions, found.codes.tolist()
    (['rooms = 1', 'rooms = 2', 'rooms is missing'], [0, 2, 0, 1])
    """
    name = str(column.name)
    absent = column.isna().to_numpy()
    kind = pd.api.types
    plain = kind.is_numeric_dtype(column) and not kind.is_bool_dtype(column)
    edges: list[str] = []
    numeric = plain or kind.is_datetime64_any_dtype(column) or kind.is_timedelta64_dtype(column)
    if numeric and column.nunique() > FEW_NUMBERS:
        codes, labels, conditions, edges = _intervals(column, absent, bins, where)
    else:
        codes, labels = _values(column, absent, plain, most)
        conditions = [f"{name} is another value" if each == OTHER else f"{name} = {each}" for each in labels]
    if absent.any():
        codes = np.where(absent, len(labels), codes)
        labels, conditions = [*labels, MISSING], [*conditions, f"{name} is missing"]
    return Levels(name, codes.astype(np.intp), labels, conditions, edges)


def _values(column: pd.Series, absent: np.ndarray, plain: bool, most: int) -> tuple[np.ndarray, list[str]]:
    codes, values = pd.factorize(column.astype(object) if not plain else column, sort=False)
    listed = list(values)
    try:
        order = sorted(range(len(listed)), key=lambda place: listed[place])
    except TypeError:  # values of several kinds
        order = sorted(range(len(listed)), key=lambda place: str(listed[place]))
    rank = np.empty(len(listed) + 1, dtype=np.intp)
    rank[order] = np.arange(len(listed))
    rank[-1] = -1
    codes = rank[codes]
    labels = [_told(listed[place]) for place in order]
    if len(labels) > most:
        counts = np.bincount(codes[~absent], minlength=len(labels))
        kept = np.sort(np.argsort(-counts, kind="stable")[: most - 1])
        narrowed = np.full(len(labels), len(kept))
        narrowed[kept] = np.arange(len(kept))
        codes = np.where(absent, -1, narrowed[codes])
        labels = [labels[place] for place in kept] + [OTHER]
    return codes, labels


def _intervals(
    column: pd.Series, absent: np.ndarray, bins: int, where: str
) -> tuple[np.ndarray, list[str], list[str], list[str]]:
    name = str(column.name)
    timed = not pd.api.types.is_numeric_dtype(column)
    present = column[~absent]
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        present = present.dt.tz_convert("UTC").dt.tz_localize(None)
    numbers = (
        present.astype("datetime64[ns]").astype("int64").to_numpy(dtype=float)
        if pd.api.types.is_datetime64_any_dtype(column)
        else present.astype("int64").to_numpy(dtype=float)
        if timed
        else present.to_numpy(dtype=float)
    )
    if not np.isfinite(numbers).all():
        must, given = (
            f"column {name!r} must be finite",
            f"{int((~np.isfinite(numbers)).sum())} infinite cells",
        )
        raise DataError(sentence(where, must, given, "Replace them, for instance by missing ones."))
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))
    edges = edges[edges > numbers.min()]  # an interval is from one edge on to below the next
    codes = np.zeros(len(column), dtype=np.intp)
    codes[~absent] = np.searchsorted(edges, numbers, side="right")
    if timed:
        times = pd.to_datetime(edges.astype("int64")) if "datetime" in str(column.dtype) else None
        told = [str(each.date()) for each in times] if times is not None else [
            str(pd.Timedelta(int(each))) for each in edges
        ]  # fmt: skip
    else:
        told = [f"{each:.6g}" for each in edges]
    if not len(told):
        return codes, ["any"], [f"{name} is there"], []
    labels = [f"< {told[0]}"]
    conditions = [f"{name} < {told[0]}"]
    for low, high in zip(told[:-1], told[1:], strict=True):
        labels.append(f"{low} to < {high}")
        conditions.append(f"{low} <= {name} < {high}")
    return codes, [*labels, f">= {told[-1]}"], [*conditions, f"{name} >= {told[-1]}"], told


def _told(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)


def crossed(first: Levels, second: Levels) -> Levels:
    """Return the observed combinations of the levels of two columns.

    Examples
    --------
    >>> sex, old = levels_of(pd.Series(["f", "m"], name="sex")), levels_of(pd.Series([1, 0], name="old"))
    >>> crossed(sex, old).labels
    ['f / 1', 'm / 0']
    """
    width = max(len(second.labels), 1)
    pairs, codes = np.unique(first.codes.astype(np.int64) * width + second.codes, return_inverse=True)
    heads, tails = pairs // width, pairs % width
    return Levels(
        f"{first.name} x {second.name}",
        codes,
        [f"{first.labels[a]} / {second.labels[b]}" for a, b in zip(heads, tails, strict=True)],
        [f"{first.conditions[a]} and {second.conditions[b]}" for a, b in zip(heads, tails, strict=True)],
    )
