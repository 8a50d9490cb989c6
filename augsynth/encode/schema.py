"""What kind each column of a table is: inferred, or said by the user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import DataError, InputTypeError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_option
from augsynth.core.persistence import persistent

__all__ = ["KINDS", "MAX_LEVELS", "Column", "Schema"]

KINDS = ("continuous", "integer", "categorical", "ordinal", "boolean", "datetime")
MAX_LEVELS = 10_000
LARGEST = 1e150  # squares of larger numbers overflow


@persistent
@dataclass(frozen=True, eq=False)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : hashable
        As in the table.
    kind : str
        One of ``KINDS``. Durations count as "datetime".
    dtype : dtype
        The pandas dtype that decoded values get.
    levels : Index or None
        The categories, in order (categorical, ordinal, boolean).
    low, high : float
        Range seen; datetimes in their integer unit, relative to ``origin``.
    missing : bool
        Whether a missing cell was seen.
    origin : int
        Subtracted from integers and datetimes before they become floats, so that
        64-bit values keep their exactness.
    """

    name: Any
    kind: str
    dtype: Any
    levels: pd.Index | None = None
    low: float = float("nan")
    high: float = float("nan")
    missing: bool = False
    origin: int = 0

    @property
    def is_numeric(self) -> bool:
        """Whether its encoded form is a number rather than a level code."""
        return self.levels is None

    @property
    def is_constant(self) -> bool:
        """Whether there is nothing to learn: one value in every row, or none at all."""
        if self.levels is None:
            return (self.low == self.high and not self.missing) or bool(np.isnan(self.low))
        return self.low == self.high and not self.missing or len(self.levels) == 0 or bool(np.isnan(self.low))

    def encode(self, values: pd.Series, where: str = "encode") -> np.ndarray:
        """Return the cells as floats: numbers, or level codes; missing is NaN."""
        if self.levels is not None:
            return self._encode_levels(values, where)
        numbers = _to_floats(values, self.origin, self.name, where)
        _check_finite(numbers, self.name, where)
        return numbers

    def _encode_levels(self, values: pd.Series, where: str) -> np.ndarray:
        assert_levels = self.levels
        absent = values.isna().to_numpy()
        if isinstance(values.dtype, pd.CategoricalDtype):
            positions = assert_levels.get_indexer(values.cat.categories)  # type: ignore[union-attr]
            codes = np.append(positions, -1)[values.cat.codes.to_numpy()]
        else:
            codes = assert_levels.get_indexer(pd.Index(values.astype(object)))  # type: ignore[union-attr]
        unseen = (codes < 0) & ~absent
        if unseen.any():
            raise DataError(
                sentence(
                    where,
                    f"column {self.name!r} must hold categories seen in fit",
                    f"unseen {offenders(pd.unique(values[unseen].astype(object)).tolist())}",
                    "Add rows of it to the training data, or merge it with a known category.",
                )
            )
        out = codes.astype(np.float64)
        out[absent] = np.nan
        return out

    def decode(self, encoded: np.ndarray) -> pd.Series:
        """Return encoded cells (n,) as a Series of the column's dtype."""
        if self.levels is not None:
            return self._decode_levels(encoded)
        if self.kind == "continuous":
            return _cast_floats(encoded, self.dtype, self.name)
        return _cast_integers(encoded, self.dtype, self.origin, self.name)

    def _decode_levels(self, encoded: np.ndarray) -> pd.Series:
        absent = np.isnan(encoded)
        codes = np.where(absent, -1, encoded).astype(np.intp)
        if isinstance(self.dtype, pd.CategoricalDtype):
            positions = self.dtype.categories.get_indexer(self.levels)
            full = np.append(positions, -1)[codes]
            return pd.Series(pd.Categorical.from_codes(full, dtype=self.dtype), name=self.name)
        if len(self.levels) == 0:  # type: ignore[arg-type]
            return pd.Series([None] * len(codes), dtype=self.dtype, name=self.name)
        values = pd.Series(self.levels.take(np.maximum(codes, 0)), name=self.name)  # type: ignore[union-attr]
        if absent.any():
            values = values.astype(object)
            values[absent] = None
        return values.astype(self.dtype)


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
        said = {c.name: c.kind for c in overrides} if isinstance(overrides, Schema) else dict(overrides or {})
        unknown = [name for name in said if name not in frame.columns]
        if unknown:
            raise ParameterError(sentence(where, "schema must name columns of X", offenders(unknown)))
        return cls(tuple(_infer(frame[name], said.get(name), where) for name in frame.columns))


def _infer(values: pd.Series, said: Any, where: str) -> Column:
    levels = None
    if isinstance(said, (list, tuple, pd.Index)):
        levels, said = pd.Index(said), "ordinal"
    if said is not None:
        check_option(where, f"schema[{values.name!r}]", said, KINDS)
    kind = said or _guess(values, where)
    if kind == "datetime" and not _is_time(values.dtype):
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
    if _is_time(dtype):
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


def _is_time(dtype: Any) -> bool:
    if isinstance(dtype, pd.ArrowDtype):
        return dtype.kind in "mM" or str(dtype).startswith("date")
    return getattr(dtype, "kind", "") in ("m", "M")


def _is_whole(values: pd.Series) -> bool:
    head = pd.to_numeric(values.iloc[:64].dropna()).to_numpy(dtype=np.float64)
    if len(head) and not _all_whole(head):
        return False  # most continuous columns end here, before a pass over all rows
    numbers = pd.to_numeric(values.dropna()).to_numpy(dtype=np.float64)
    return len(numbers) > 0 and _all_whole(numbers)


def _all_whole(numbers: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(
            np.all(np.isfinite(numbers))
            and np.all(np.abs(numbers) < 2**53)
            and np.all(numbers == np.rint(numbers))
        )


def _levelled(values: pd.Series, kind: str, levels: pd.Index | None, where: str) -> Column:
    dtype = values.dtype
    if levels is None and isinstance(dtype, pd.CategoricalDtype):
        levels = pd.Index(dtype.categories)
    if levels is None:
        found = pd.unique(values.dropna().astype(object))
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
    column = Column(values.name, kind, values.dtype, origin=origin)
    return _with_range(column, column.encode(values, where))


def _with_range(column: Column, encoded: np.ndarray) -> Column:
    missing = bool(np.isnan(encoded).any())
    present = encoded[~np.isnan(encoded)] if missing else encoded
    low, high = (float(present.min()), float(present.max())) if len(present) else (float("nan"), float("nan"))
    return Column(column.name, column.kind, column.dtype, column.levels, low, high, missing, column.origin)


def _origin(values: pd.Series, kind: str) -> int:
    present = values.dropna()
    if not len(present):
        return 0
    if kind == "datetime":
        return int(_times_as_int(present).min())
    low, high = int(present.min()), int(present.max())
    return low if max(abs(low), abs(high)) >= 2**53 else 0


def _times_as_int(present: pd.Series) -> np.ndarray:
    if isinstance(present.dtype, pd.ArrowDtype):
        present = present.astype(
            "datetime64[ns]"
            if present.dtype.kind == "M" or "date" in str(present.dtype)
            else "timedelta64[ns]"
        )
    array = present.array
    return np.asarray(getattr(array, "asi8", array), dtype=np.int64)


def _parse_times(values: pd.Series, where: str) -> pd.Series:
    try:
        return pd.to_datetime(values)
    except (ValueError, TypeError) as error:
        raise DataError(sentence(where, f"column {values.name!r} must hold dates", str(error))) from error


def _to_floats(values: pd.Series, origin: int, name: Any, where: str) -> np.ndarray:
    if values.dtype == np.float64:
        return values.to_numpy()
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiu" and not origin:
        return values.to_numpy(dtype=np.float64)
    absent = values.isna().to_numpy()
    out = np.full(len(values), np.nan)
    present = values[~absent]
    try:
        if _is_time(values.dtype):
            out[~absent] = (_times_as_int(present) - origin).astype(np.float64)
        elif origin:
            out[~absent] = [float(int(v) - origin) for v in present]
        else:
            out[~absent] = pd.to_numeric(present).to_numpy(dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(sentence(where, f"column {name!r} must hold numbers", str(error))) from error
    return out


def _check_finite(numbers: np.ndarray, name: Any, where: str) -> None:
    with np.errstate(invalid="ignore"):
        bad = np.abs(numbers) > LARGEST  # false for NaN, true for inf
    if not bad.any():
        return
    values = numbers[bad]
    must = (
        "must hold finite numbers"
        if np.isinf(values).any()
        else f"must hold numbers below {LARGEST:g} in size"
    )
    raise DataError(
        sentence(where, f"column {name!r} {must}", offenders(values.tolist()), "Replace or rescale them.")
    )


def _cast_floats(encoded: np.ndarray, dtype: Any, name: Any) -> pd.Series:
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        return pd.Series(encoded.astype(dtype, copy=False), name=name)
    values = pd.Series(encoded, name=name)
    if "decimal" in str(dtype):
        import decimal

        scale = decimal.Decimal(1).scaleb(-dtype.pyarrow_dtype.scale)
        cells = [None if np.isnan(v) else decimal.Decimal(repr(float(v))).quantize(scale) for v in encoded]
        return pd.Series(cells, dtype=dtype, name=name)
    if not isinstance(dtype, np.dtype):
        return values.astype("Float64").astype(dtype)
    return values.astype(dtype)


def _cast_integers(encoded: np.ndarray, dtype: Any, origin: int, name: Any) -> pd.Series:
    absent = np.isnan(encoded)
    rounded = np.rint(encoded)
    if isinstance(dtype, np.dtype) and dtype.kind in "fO":
        return pd.Series(rounded, name=name).astype(dtype)
    whole = _add_origin(np.where(absent, 0.0, rounded), origin, dtype)
    if _is_time(dtype):
        unit = "ns" if isinstance(dtype, pd.ArrowDtype) else pd.api.types.pandas_dtype(dtype)
        return _cast_times(whole, absent, dtype, unit, name)
    if isinstance(dtype, np.dtype):
        return pd.Series(whole.astype(dtype, copy=False), name=name)
    values = pd.Series(whole, name=name, dtype="Int64" if whole.dtype == np.int64 else "UInt64")
    if absent.any():
        values[absent] = pd.NA
    return values.astype(dtype)


def _add_origin(whole: np.ndarray, origin: int, dtype: Any) -> np.ndarray:
    """Add the origin in 64-bit integers, kept inside what the dtype can hold."""
    base = getattr(dtype, "numpy_dtype", dtype)
    base = np.dtype(np.int64) if getattr(base, "kind", "") not in ("i", "u") else base
    limits = np.iinfo(base)
    low, high = int(limits.min) - origin, int(limits.max) - origin
    clipped = np.clip(whole, float(low), float(high))
    wide = np.uint64 if base.kind == "u" else np.int64
    exact = np.clip(clipped, -(2.0**63), 2.0**63 - 1024).astype(np.int64)
    return (exact.astype(wide) + wide(origin)) if origin else exact.astype(wide)


def _cast_times(whole: np.ndarray, absent: np.ndarray, dtype: Any, unit: Any, name: Any) -> pd.Series:
    whole = np.where(absent, np.iinfo(np.int64).min, whole)  # the code of "not a time"
    if isinstance(dtype, pd.ArrowDtype):
        kind = "timedelta64[ns]" if dtype.kind == "m" else "datetime64[ns]"
        return pd.Series(whole.view(kind), name=name).astype(dtype)
    if isinstance(dtype, pd.DatetimeTZDtype):
        naive = pd.Series(whole.view(f"datetime64[{dtype.unit}]"), name=name)
        return naive.dt.tz_localize("UTC").dt.tz_convert(dtype.tz)
    return pd.Series(whole.view(dtype), name=name)
