"""One thing that rows are conditioned on: the label, or a group column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.arrays import from_tensor, unmask
from augsynth.core.errors import ConditionError, DataError, offenders, sentence
from augsynth.core.persistence import persistent

__all__ = ["Attribute", "check_hashable", "give_label", "learn_label", "sorted_levels", "take_label"]

N_TARGET_BINS = 10
MAX_CLASSES = 1_000


@persistent
@dataclass(frozen=True, eq=False)
class Attribute:
    """A condition and its levels; a continuous label is cut into quantile bins."""

    name: Any
    levels: pd.Index
    edges: np.ndarray | None = None  # of a continuous label, cut into bins
    sketch: np.ndarray | None = None  # (bins, points) quantiles inside each bin

    def encode(self, values: pd.Series, where: str) -> np.ndarray:
        """Return level codes (n,); raise ConditionError for an unknown level."""
        if self.edges is not None:
            numbers = values.to_numpy(dtype=np.float64)
            return np.searchsorted(self.edges[1:-1], numbers, side="right")
        codes = self.levels.get_indexer(pd.Index(values.astype(object)))
        unknown = pd.unique(values[codes < 0].astype(object)).tolist()
        if unknown:
            raise ConditionError(
                sentence(
                    where,
                    f"{self.name} must be one that fit saw ({offenders(self.levels.tolist(), 8)})",
                    offenders(unknown),
                    "Fit on rows that have it.",
                )
            )
        return codes

    def decode(self, codes: np.ndarray, rng: np.random.Generator | None) -> pd.Series:
        """Return levels (n,); a value inside each bin where the label is continuous."""
        if self.edges is None:
            return pd.Series(self.levels.take(codes))
        u = np.full(len(codes), 0.5) if rng is None else rng.random(len(codes))
        points = self.sketch.shape[1]  # type: ignore[union-attr]
        place = u * (points - 1)
        low = np.minimum(place.astype(int), points - 2)
        rows = self.sketch[codes]  # type: ignore[index]
        take = np.arange(len(codes))
        return pd.Series(rows[take, low] + (place - low) * (rows[take, low + 1] - rows[take, low]))


def take_label(y: Any, where: str, *, missing: bool = False) -> tuple[pd.Series, dict[str, Any]]:
    """Return y as a Series with numbered rows, and its form for the way back; ``missing`` lets gaps pass."""
    if isinstance(y, pd.DataFrame):
        if y.shape[1] != 1:
            raise DataError(sentence(where, "y must be one column", f"shape {y.shape}"))
        y = y.iloc[:, 0]
    if isinstance(y, pd.Series):
        series, form = y.reset_index(drop=True), {"kind": "series", "name": y.name, "dtype": y.dtype}
    else:
        y = unmask(y) if isinstance(y, np.ma.MaskedArray) else y
        array = np.asarray(from_tensor(y, where=where))
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise DataError(sentence(where, "y must be one-dimensional", f"shape {array.shape}"))
        kind = "list" if isinstance(y, (list, tuple)) else "array"
        form = {"kind": kind, "name": None, "dtype": array.dtype}
        series = pd.Series(array)
        if array.dtype == object:
            series = series.infer_objects()
    if pd.api.types.is_complex_dtype(series.dtype):
        raise DataError(f"{where}: Complex data not supported; given y of {series.dtype}.")
    check_hashable(series, where)
    gaps = series.isna().to_numpy()
    if gaps.all() and missing:
        raise DataError(sentence(where, "y must hold at least one label", "none", "Leave y out instead."))
    if gaps.any() and not missing:
        raise DataError(
            sentence(
                where,
                "y must not be missing; Input y contains NaN",
                f"missing in row {offenders(np.flatnonzero(gaps).tolist())}",
                "Drop those rows.",
            )
        )
    known = series[~gaps]
    if pd.api.types.is_float_dtype(known.dtype) and not np.isfinite(known.to_numpy(dtype=float)).all():
        raise DataError(f"{where}: y must be finite; Input y contains infinity or a value too large.")
    return series, form


def check_hashable(labels: pd.Series, where: str) -> None:
    """Raise DataError for labels that are lists, tuples, arrays and the like."""
    if labels.dtype != object and not isinstance(labels.dtype, pd.ArrowDtype):
        return
    odd = [value for value in labels if isinstance(value, (list, tuple, dict, set, np.ndarray))]
    if odd:
        must, todo = "a label must be a single value", "Join them into one text, or pass groups apart."
        raise DataError(sentence(where, must, offenders(odd), todo))


def give_label(values: pd.Series, form: dict[str, Any]) -> Any:
    """Return labels in the container that came in."""
    if form["kind"] == "series":
        return values.astype(form["dtype"]).rename(form["name"])
    array = values.to_numpy().astype(form["dtype"], copy=False)
    return array.tolist() if form["kind"] == "list" else array


def learn_label(label: pd.Series, where: str) -> Attribute:
    """Learn the levels of a label, or its bins if it is continuous."""
    numeric = pd.api.types.is_numeric_dtype(label.dtype) and not pd.api.types.is_bool_dtype(label.dtype)
    distinct = label.nunique()
    if numeric:
        numbers = label.to_numpy(dtype=np.float64)
        whole = bool((numbers == np.rint(numbers)).all())
        if (not whole and distinct > 2) or (distinct > 100 and distinct > len(label) / 5):
            return _binned(numbers)
    if distinct > MAX_CLASSES:
        raise DataError(
            sentence(
                where,
                f"y may have at most {MAX_CLASSES:,} labels",
                f"{distinct:,}",
                "Merge rare labels; a numeric target is cut into bins.",
            )
        )
    return Attribute("y", sorted_levels(label))


def _binned(numbers: np.ndarray) -> Attribute:
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, N_TARGET_BINS + 1)))
    if len(edges) == 2:
        edges = np.array([edges[0], edges.mean(), edges[1]])
    codes = np.searchsorted(edges[1:-1], numbers, side="right")
    kept = np.unique(codes)
    if len(kept) < len(edges) - 1:  # an empty bin merges with its neighbour
        edges = np.concatenate([[edges[0]], edges[1:-1][kept[1:] - 1], [edges[-1]]])
        codes = np.searchsorted(edges[1:-1], numbers, side="right")
    at = np.linspace(0, 1, 17)
    sketch = np.stack([np.quantile(numbers[codes == b], at) for b in range(len(edges) - 1)])
    names = [
        f"[{a:.6g}, {b:.6g}{']' if i == len(edges) - 2 else ')'}"
        for i, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True))
    ]
    return Attribute("y", pd.Index(names, dtype=object), edges, sketch)


def sorted_levels(values: pd.Series) -> pd.Index:
    """Return the distinct values, in order where they have one."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return pd.Index(values.cat.categories[np.unique(values.cat.codes)], dtype=object)
    found = pd.unique(values.astype(object))
    try:
        return pd.Index(sorted(found), dtype=object)
    except TypeError:
        return pd.Index(found, dtype=object)
