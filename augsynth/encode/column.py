"""One column of a table: its kind, and its cells to floats and back in every dtype."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import DataError, offenders, sentence
from augsynth.core.persistence import persistent

__all__ = ["KINDS", "Column", "is_time", "times_as_int"]

KINDS = ("continuous", "integer", "categorical", "ordinal", "boolean", "datetime")
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
    step : int
        Largest unit that all times seen are multiples of: whole days stay whole days.
    """

    name: Any
    kind: str
    dtype: Any
    levels: pd.Index | None = None
    low: float = float("nan")
    high: float = float("nan")
    missing: bool = False
    origin: int = 0
    step: int = 1

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
        numbers = numbers / self.step if self.step != 1 else numbers
        _check_finite(numbers, self.name, where)
        return numbers

    def unseen(self, values: pd.Series) -> np.ndarray:
        """Return which cells (n,) hold a category that fit has not seen; none of a numeric column."""
        if self.levels is None:
            return np.zeros(len(values), dtype=bool)
        return (self._positions(values) < 0) & ~values.isna().to_numpy()

    def _positions(self, values: pd.Series) -> np.ndarray:
        """Return the level of each cell (n,), -1 where it has none."""
        levels: Any = self.levels
        if isinstance(values.dtype, pd.CategoricalDtype):
            positions = levels.get_indexer(values.cat.categories)
            return np.append(positions, -1)[values.cat.codes.to_numpy()]
        return levels.get_indexer(pd.Index(values.astype(object)))

    def _encode_levels(self, values: pd.Series, where: str) -> np.ndarray:
        absent = values.isna().to_numpy()
        codes = self._positions(values)
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
        return _cast_integers(np.rint(encoded) * self.step, self.dtype, self.origin, self.name)

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


def is_time(dtype: Any) -> bool:
    """Whether a dtype holds times or durations."""
    if isinstance(dtype, pd.ArrowDtype):
        return dtype.kind in "mM" or str(dtype).startswith("date")
    return getattr(dtype, "kind", "") in ("m", "M")


def times_as_int(present: pd.Series) -> np.ndarray:
    """Return times without gaps as 64-bit integers in their unit."""
    if isinstance(present.dtype, pd.ArrowDtype):
        zone = getattr(present.dtype.pyarrow_dtype, "tz", None)
        if zone is not None:
            present = present.astype(f"datetime64[ns, {zone}]")
        else:
            is_point = present.dtype.kind == "M" or "date" in str(present.dtype)
            present = present.astype("datetime64[ns]" if is_point else "timedelta64[ns]")
    array = present.array
    return np.asarray(getattr(array, "asi8", array), dtype=np.int64)


def _to_floats(values: pd.Series, origin: int, name: Any, where: str) -> np.ndarray:
    if values.dtype == np.float64:
        return np.ascontiguousarray(values.to_numpy())  # strided in an array of rows: slow in every pass
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiu" and not origin:
        return values.to_numpy(dtype=np.float64)
    absent = values.isna().to_numpy()
    out = np.full(len(values), np.nan)
    present = values[~absent]
    try:
        if is_time(values.dtype):
            out[~absent] = (times_as_int(present) - origin).astype(np.float64)
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
    if is_time(dtype):
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
    clipped = np.clip(whole, _toward_zero(int(limits.min) - origin), _toward_zero(int(limits.max) - origin))
    size = np.abs(clipped).astype(np.uint64)
    # Modulo 2**64, signed and unsigned sums have the same bits.
    total = np.where(clipped < 0, np.negative(size), size) + np.uint64(origin % 2**64)
    return total if base.kind == "u" else total.view(np.int64)


def _toward_zero(bound: int) -> float:
    """Return the float nearest to a bound that does not lie beyond it, nor beyond 64 bits."""
    near = float(bound)
    return near if abs(int(near)) <= abs(bound) else float(np.nextafter(near, 0.0))


def _cast_times(whole: np.ndarray, absent: np.ndarray, dtype: Any, unit: Any, name: Any) -> pd.Series:
    whole = np.where(absent, np.iinfo(np.int64).min, whole)  # the code of "not a time"
    if isinstance(dtype, pd.ArrowDtype):
        times = pd.Series(whole.view("timedelta64[ns]" if dtype.kind == "m" else "datetime64[ns]"), name=name)
        zone = getattr(dtype.pyarrow_dtype, "tz", None)
        return (times if zone is None else times.dt.tz_localize("UTC").dt.tz_convert(zone)).astype(dtype)
    if isinstance(dtype, pd.DatetimeTZDtype):
        naive = pd.Series(whole.view(f"datetime64[{dtype.unit}]"), name=name)
        return naive.dt.tz_localize("UTC").dt.tz_convert(dtype.tz)
    return pd.Series(whole.view(dtype), name=name)
