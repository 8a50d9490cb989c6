"""What kind each column of a table is: inferred, or said by the user."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import DataError, InputTypeError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_option
from augsynth.core.persistence import persistent
from augsynth.encode.column import KINDS, LARGEST, Column, is_time, times_as_int

__all__ = ["KINDS", "MAX_LEVELS", "Column", "Schema"]

MAX_LEVELS = 10_000


@persistent
@dataclass(frozen=True, eq=False)
class Schema:
    """The columns of a table, in order.

    Examples
    --------
    >>> table = pd.DataFrame({"age": [30, 41], "job": ["cook", "clerk"]})
    >>> [(c.name, c.kind) for c in Schema.infer(table)]
    [('age', 'integer'), ('job', 'categorical')]
    """

    columns: tuple[Column, ...]

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    @classmethod
    def infer(
        cls,
        frame: pd.DataFrame,
        overrides: Mapping[Any, Any] | Schema | None = None,
        *,
        where: str = "Schema",
    ) -> Schema:
        """Infer the kind of each column, or take the user's word for it.

        Parameters
        ----------
        frame : DataFrame, shape (n, p)
        overrides : mapping, optional
            Column name to a kind ("categorical", ...), or to the list of its levels
            in order (an ordinal column).

        Raises
        ------
        DataError, InputTypeError
            For infinities, mixed types in one column, over 10,000 levels, ...
        """
        if not (overrides is None or isinstance(overrides, (Mapping, Schema))):
            must = "schema must map column names to kinds"
            todo = f"Such as {{{frame.columns[0]!r}: 'categorical'}}."
            raise ParameterError(sentence(where, must, repr(overrides), todo))
        said = {c.name: c.kind for c in overrides} if isinstance(overrides, Schema) else dict(overrides or {})
        unknown = [name for name in said if name not in frame.columns]
        if unknown:
            raise ParameterError(sentence(where, "schema must name columns of X", offenders(unknown)))
        return cls(tuple(_infer(frame[name], said.get(name), where) for name in frame.columns))


def _infer(values: pd.Series, said: Any, where: str) -> Column:
    levels = None
    if isinstance(said, (list, tuple, pd.Index)):
        levels, said = pd.Index(said), "ordinal"
        if not levels.is_unique:
            must = f"schema[{values.name!r}] must name each level once"
            raise ParameterError(sentence(where, must, offenders(levels[levels.duplicated()].unique())))
    if said is not None:
        check_option(where, f"schema[{values.name!r}]", said, KINDS)
    kind = said or _guess(values, where)
    if kind == "datetime" and not is_time(values.dtype):
        values = _parse_times(values, where)
    if kind in ("categorical", "ordinal", "boolean"):
        return _levelled(values, kind, levels, where)
    return _numeric(values, kind, where)


def _guess(values: pd.Series, where: str) -> str:
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "ordinal" if dtype.ordered else "categorical"
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if is_time(dtype):
        return "datetime"
    if pd.api.types.is_complex_dtype(dtype):
        raise DataError(f"{where}: column {values.name!r}: Complex data not supported; given {dtype}.")
    if pd.api.types.is_integer_dtype(dtype):
        return "integer"
    if pd.api.types.is_float_dtype(dtype) or "decimal" in str(dtype):
        return "integer" if _is_whole(values) else "continuous"
    return _guess_objects(values, where)


def _guess_objects(values: pd.Series, where: str) -> str:
    present = values.dropna()
    if not isinstance(values.dtype, np.dtype):  # string dtypes hold one type by construction
        return "categorical"
    families: dict[str, Any] = {}
    counts: dict[str, int] = {}
    for value in present:
        family = _family(value)
        families.setdefault(family, value)
        counts[family] = counts.get(family, 0) + 1
    odd = next((families[f] for f in families if f == "other" or f == "complex"), None)
    if odd is not None:
        raise InputTypeError(
            f"{where}: column {values.name!r}: each argument must be a string or a number, "
            f"a truth value or a date; given {odd!r} ({type(odd).__name__})."
        )
    if len(families) > 1:
        given = ", ".join(f"{counts[f]} of kind {f} (such as {families[f]!r})" for f in families)
        raise DataError(
            sentence(
                where,
                f"column {values.name!r} must hold values of one type",
                given,
                "Convert it to one type.",
            )
        )
    family = next(iter(families), "number")
    if family == "number":
        return "integer" if _is_whole(values) else "continuous"
    return {"text": "categorical", "truth": "boolean", "time": "categorical"}[family]


def _family(value: Any) -> str:
    import datetime
    import decimal
    import numbers

    if isinstance(value, (bool, np.bool_)):
        return "truth"
    if isinstance(value, (str, bytes)):
        return "text"
    if isinstance(value, (numbers.Real, decimal.Decimal)):
        return "number"
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta)):
        return "time"
    return "complex" if isinstance(value, numbers.Complex) else "other"


def _is_whole(values: pd.Series) -> bool:
    plain = values.dtype == np.float64
    head = values.to_numpy()[:64] if plain else pd.to_numeric(values.iloc[:64].dropna()).to_numpy(np.float64)
    head = head[~np.isnan(head)]
    if len(head) and not _all_whole(head):
        return False  # most continuous columns end here, before a pass over all rows
    if plain:
        numbers = np.ascontiguousarray(values.to_numpy())  # strided in an array of rows
        gaps = np.isnan(numbers)
        numbers = numbers[~gaps] if gaps.any() else numbers
        return len(numbers) > 0 and _all_whole(numbers)
    numbers = pd.to_numeric(values.dropna()).to_numpy(dtype=np.float64)
    return len(numbers) > 0 and _all_whole(numbers)


def _all_whole(numbers: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(
            np.all(np.abs(numbers) < 2**53)  # false for infinity
            and np.all(numbers == np.rint(numbers))
        )


def _levelled(values: pd.Series, kind: str, levels: pd.Index | None, where: str) -> Column:
    dtype = values.dtype
    if levels is None and isinstance(dtype, pd.CategoricalDtype):
        levels = pd.Index(dtype.categories)
    if levels is None:
        try:
            found = pd.unique(values.dropna().astype(object))
        except TypeError:
            must = f"column {values.name!r} must hold text, numbers, truth values or dates"
            raise InputTypeError(sentence(where, must, f"cells of dtype {dtype}")) from None
        try:
            levels = pd.Index(sorted(found), dtype=object)
        except TypeError:
            levels = pd.Index(found, dtype=object)
    if len(levels) > MAX_LEVELS:
        raise DataError(
            sentence(
                where,
                f"column {values.name!r} may have at most {MAX_LEVELS:,} categories",
                f"{len(levels):,}",
                "Drop identifiers; merge rare categories; or declare the column numeric in schema.",
            )
        )
    column = Column(values.name, kind, dtype, levels)
    codes = column.encode(values, where)
    return _with_range(column, codes)


def _numeric(values: pd.Series, kind: str, where: str) -> Column:
    origin = 0
    if kind == "datetime" or (kind == "integer" and pd.api.types.is_integer_dtype(values.dtype)):
        origin = _origin(values, kind)
    step = _step(values, origin) if kind == "datetime" else 1
    column = Column(values.name, kind, values.dtype, origin=origin, step=step)
    column = _with_range(column, column.encode(values, where))
    if 0 < column.high - column.low < 1 / LARGEST:
        must = f"column {values.name!r} must vary by more than {1 / LARGEST:g}"
        raise DataError(sentence(where, must, f"{column.low!r} to {column.high!r}", "Rescale it."))
    return column


def _with_range(column: Column, encoded: np.ndarray) -> Column:
    missing = bool(np.isnan(encoded).any())
    present = encoded[~np.isnan(encoded)] if missing else encoded
    low, high = (float(present.min()), float(present.max())) if len(present) else (float("nan"), float("nan"))
    return replace(column, low=low, high=high, missing=missing)


def _step(values: pd.Series, origin: int) -> int:
    present = values.dropna()
    return max(int(np.gcd.reduce(times_as_int(present) - origin)), 1) if len(present) else 1


def _origin(values: pd.Series, kind: str) -> int:
    present = values.dropna()
    if not len(present):
        return 0
    if kind == "datetime":
        return int(times_as_int(present).min())
    low, high = int(present.min()), int(present.max())
    return low if max(abs(low), abs(high)) >= 2**53 else 0


def _parse_times(values: pd.Series, where: str) -> pd.Series:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # each date in a form of its own is fine
            return pd.to_datetime(values)
    except (ValueError, TypeError) as error:
        raise DataError(sentence(where, f"column {values.name!r} must hold dates", str(error))) from error
