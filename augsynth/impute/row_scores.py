"""What makes a row likely to lose cells: the weighted sum of its standardised cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.arrays import from_tensor
from augsynth.core.errors import DataError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_number
from augsynth.encode.schema import Schema

__all__ = ["row_weights", "score_columns", "standard"]

_WHERE = "ampute"


def row_weights(weights: Any, frame: pd.DataFrame, sets: np.ndarray, mechanism: str) -> np.ndarray:
    """Return the weight of every column in the score of every pattern (k, p)."""
    p = frame.shape[1]
    if weights is None:
        given = np.ones(p)
    elif isinstance(weights, Mapping):
        for name, value in weights.items():
            check_number(_WHERE, f"weights[{name!r}]", value)
        given = np.array([float(weights.get(name, 0.0)) for name in frame.columns])
    else:
        given = _weight_array(weights, sets.shape)
    if mechanism == "MCAR":
        return np.zeros(sets.shape)
    return np.where(sets == (mechanism == "MNAR"), given, 0.0)


def _weight_array(weights: Any, shape: tuple[int, ...]) -> np.ndarray:
    must = f"weights must be finite, one a column ({shape[1]}) or one a pattern and column {shape}"
    try:
        given = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        todo = "Or name them: a mapping of column to number."
        raise ParameterError(sentence(_WHERE, must, repr(weights)[:80], todo)) from None
    if given.shape not in (shape[1:], shape):
        raise ParameterError(sentence(_WHERE, must, f"shape {given.shape}"))
    if not np.isfinite(given).all():
        raise ParameterError(sentence(_WHERE, must, offenders(given[~np.isfinite(given)])))
    return given


def score_columns(frame: pd.DataFrame, y: Any, weight: np.ndarray, mechanism: str) -> np.ndarray:
    """Return standardised cells (n, p + 1), 0 where missing or not needed; the last column is y."""
    n, p = frame.shape
    cells = np.zeros((n, p + 1))
    needed = np.flatnonzero(weight.any(axis=0))
    if len(needed):
        for j, column in zip(needed, Schema.infer(frame.iloc[:, needed], where=_WHERE), strict=True):
            values = column.encode(frame.iloc[:, j], _WHERE)
            cells[:, j] = standard(_by_rarity(values) if column.kind == "categorical" else values)
    if y is not None and mechanism == "MAR":
        series = _target(y, n)
        target = next(iter(Schema.infer(series.to_frame("y"), where=_WHERE)))
        values = target.encode(series, _WHERE)
        cells[:, p] = standard(_by_rarity(values) if target.kind == "categorical" else values)
    return cells


def _target(y: Any, n: int) -> pd.Series:
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
        y = y.iloc[:, 0]
    if not isinstance(y, (pd.Series, pd.api.extensions.ExtensionArray)):
        y = np.asarray(from_tensor(y, where=_WHERE))
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    must = f"y must have one entry a row of X ({n})"
    if y.ndim != 1:
        raise DataError(sentence(_WHERE, must, f"shape {y.shape}"))
    if len(y) != n:
        raise DataError(sentence(_WHERE, must, str(len(y))))
    return pd.Series(y).reset_index(drop=True)


def _by_rarity(codes: np.ndarray) -> np.ndarray:
    """Replace the code of each level by the rank of its frequency, 0 for the most frequent."""
    seen = ~np.isnan(codes)
    counts = np.bincount(codes[seen].astype(np.intp))
    rank = np.empty(len(counts))
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    out = np.full(len(codes), np.nan)
    out[seen] = rank[codes[seen].astype(np.intp)]
    return out


def standard(values: np.ndarray) -> np.ndarray:
    """Centre and scale to variance 1; missing and constant cells become 0."""
    seen = ~np.isnan(values)
    if not seen.any():
        return np.zeros(len(values))
    part = values[seen] - values[seen].mean()
    largest = np.abs(part).max()
    part = part / (largest or 1.0)  # the variance of huge numbers would overflow
    spread = part.std()
    out = np.zeros(len(values))
    if spread > 1e-12:
        out[seen] = part / spread
    return out
