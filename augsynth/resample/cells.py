"""Which cell each row belongs to: its class, its group, both, or a bin of its target."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import DataError, InputTypeError, sentence
from augsynth.core.parameters import check_option
from augsynth.encode.condition import group_frame

__all__ = ["BY", "Cells", "cells_of", "cross"]

BY = ("class", "group", "class+group", "target_bins")
N_BINS = 10  # bins of a continuous target, before thin ones are merged
MIN_BIN_ROWS = 5


@dataclass(frozen=True)
class Cells:
    """The cell of each row: ``index[codes[i]]`` is the key of row ``i``.

    Attributes
    ----------
    codes : ndarray of int, (n,)
    index : Index or MultiIndex
        The observed keys, sorted: labels, groups, or ``(class, group, ...)``.
    """

    codes: np.ndarray
    index: pd.Index

    @property
    def counts(self) -> np.ndarray:
        """Rows of each cell, (n_cells,) int."""
        return np.bincount(self.codes, minlength=len(self.index))

    @property
    def first_rows(self) -> np.ndarray:
        """Position of the first row of each cell, (n_cells,) int."""
        return np.unique(self.codes, return_index=True)[1]

    def __len__(self) -> int:
        """Return the number of observed cells."""
        return len(self.index)


def cells_of(y: Any, sensitive_features: Any = None, *, by: str, where: str) -> Cells:
    """Sort the rows into the cells that ``by`` names."""
    check_option(where, "by", by, BY)
    if by == "target_bins":
        return _bin_cells(y, where)
    if by == "class":
        return _label_cells(_one_column(y, "y", where), "class", where)
    if sensitive_features is None:
        raise DataError(
            sentence(
                where,
                f"by={by!r} needs the group of each row",
                "no groups",
                "Pass sensitive_features, or name columns of X in group_columns.",
            )
        )
    groups = _group_cells(sensitive_features, where)
    if by == "group":
        return groups
    classes = _label_cells(_one_column(y, "y", where), "class", where)
    if len(classes.codes) != len(groups.codes):
        given = f"{len(classes.codes)} and {len(groups.codes)} rows"
        raise DataError(sentence(where, "y and sensitive_features must be equally long", given))
    return cross(classes, groups)


def cross(first: Cells, second: Cells) -> Cells:
    """Return the observed combinations of two kinds of cell, sorted by the first, then the second."""
    width = len(second)
    observed, codes = np.unique(first.codes.astype(np.int64) * width + second.codes, return_inverse=True)
    heads, tails = _as_tuples(first.index), _as_tuples(second.index)
    keys = [heads[pair // width] + tails[pair % width] for pair in observed.tolist()]
    names = [*first.index.names, *second.index.names]
    return Cells(codes, pd.MultiIndex.from_tuples(keys, names=names))


def _as_tuples(index: pd.Index) -> list[tuple[Any, ...]]:
    return index.tolist() if isinstance(index, pd.MultiIndex) else [(key,) for key in index.tolist()]


def _plain(values: Any) -> Any:
    """Return a list or an array of what may be any iterable or a tensor."""
    if hasattr(values, "detach"):
        return values.detach().cpu().numpy()
    return values if hasattr(values, "shape") else list(values)


def _label_cells(values: pd.Series, name: Any, where: str) -> Cells:
    # factorize(sort=True) orders mixed ints and strings too; a categorical keeps its own order.
    codes, labels = pd.factorize(values, sort=True)
    missing = int((codes < 0).sum())
    if missing:
        raise DataError(
            sentence(
                where,
                "y must not have missing values; Input y contains NaN",
                f"{missing} of {len(codes)} rows",
                "Drop those rows, or give them a label of their own (fillna).",
            )
        )
    return Cells(codes, pd.Index(labels.tolist(), name=name))


def _group_cells(sensitive_features: Any, where: str) -> Cells:
    frame = group_frame(sensitive_features, where=where)
    if frame is None or frame.shape[1] == 0:
        raise DataError(sentence(where, "sensitive_features must have at least one column", "none"))
    columns = [_label_cells(frame.iloc[:, i], frame.columns[i], where) for i in range(frame.shape[1])]
    return functools.reduce(cross, columns)


def _bin_cells(y: Any, where: str) -> Cells:
    series = _one_column(y, "y", where)
    try:
        values = series.to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            sentence(
                where, "by='target_bins' needs a y of numbers", f"{series.dtype} values", "Use by='class'."
            )
        ) from None
    if not np.isfinite(values).all():
        raise DataError(
            sentence(where, "y must be finite (no NaN, no inf)", f"{np.sum(~np.isfinite(values))} such rows")
        )
    low, high = np.quantile(values, [0.01, 0.99])
    edges = np.unique(np.linspace(low, high, N_BINS + 1))
    edges = np.concatenate([[min(values.min(), edges[0])], edges[1:-1], [max(values.max(), edges[-1])]])
    edges = _merge_thin(values, np.unique(edges))
    codes = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, max(len(edges) - 2, 0))
    if len(edges) < 2:
        return Cells(codes, pd.Index([float(values[0])], name="target_bin"))
    return Cells(codes, pd.IntervalIndex.from_breaks(edges, closed="right", name="target_bin"))


def _merge_thin(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Remove the inner edges that leave a bin with fewer than ``MIN_BIN_ROWS`` rows."""
    kept = edges.tolist()
    while len(kept) > 2:
        codes = np.clip(np.searchsorted(kept, values, side="left") - 1, 0, len(kept) - 2)
        counts = np.bincount(codes, minlength=len(kept) - 1)
        thin = int(np.argmin(counts))
        if counts[thin] >= MIN_BIN_ROWS:
            break
        upwards = thin == 0 or (thin < len(counts) - 1 and thin < int(np.argmax(counts)))
        kept.pop(thin + 1 if upwards else thin)  # merge with the neighbour on the side of the fullest bin
    return np.asarray(kept)


def _one_column(y: Any, name: str, where: str) -> pd.Series:
    if y is None:
        raise DataError(
            sentence(where, f"requires {name} to be passed, but the target {name} is None", "None")
        )
    if isinstance(y, str) or getattr(y, "ndim", 1) == 0 or not hasattr(y, "__iter__"):
        raise InputTypeError(sentence(where, f"{name} must hold one value a row", repr(y)))
    if isinstance(y, pd.Series):
        return y.reset_index(drop=True)
    if isinstance(y, pd.DataFrame):
        values: Any = y
    else:
        values = pd.DataFrame(_plain(y))
    if values.shape[1] != 1:
        raise DataError(sentence(where, f"{name} must have one column", f"{values.shape[1]} columns"))
    return values.iloc[:, 0].reset_index(drop=True)
