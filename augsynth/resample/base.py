"""What all resamplers share: reading rows, labels, groups and weights, and giving them back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils.validation import validate_data

from augsynth.core import arrays
from augsynth.core.errors import DataError, ParameterError, offenders, sentence
from augsynth.encode.attribute import check_hashable
from augsynth.encode.condition import group_frame
from augsynth.resample.cells import Cells, cells_of, cross

__all__ = [
    "KINDS",
    "ResamplerMixin",
    "Rows",
    "as_container",
    "index_labels",
    "read_target",
    "take",
]

KINDS = ("real", "copied", "perturbed", "interpolated", "generated")


@dataclass
class Rows:
    """The rows given to ``fit_resample``, checked.

    Attributes
    ----------
    X, y, sensitive_features : object
        As given.
    n : int
    labels : Series or None
        One label a row; numbers with ``by="target_bins"``.
    groups : DataFrame or None
        One column a group feature.
    weights : ndarray or None, (n,)
    index : Index
        The original label of each row.
    """

    X: Any
    y: Any
    sensitive_features: Any
    n: int
    labels: Any
    groups: pd.DataFrame | None
    weights: np.ndarray | None
    index: pd.Index

    def cells(self, by: str, where: str) -> Cells:
        """Return the cells that the strategy speaks of."""
        return cells_of(self.labels, self.groups, by=by, where=where)

    def parts(self, by: str, where: str) -> Cells:
        """Return the finest cells: class (or target bin), and group where groups are given."""
        base = cells_of(self.labels, by="target_bins" if by == "target_bins" else "class", where=where)
        if self.groups is None:
            return base
        return cross(base, cells_of(None, self.groups, by="group", where=where))


class ResamplerMixin:
    """Reading and giving back, for every resampler."""

    _accepts_sparse = False

    def _fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        # The hook of imbalanced-learn's template, which the public method replaces.
        return self.fit_resample(X, y, **params)  # type: ignore[attr-defined]

    def _read(
        self, X: Any, y: Any, sensitive_features: Any = None, sample_weight: Any = None, *, by: str | None
    ) -> Rows:
        """Check everything given; ``by=None`` leaves y as it is, whatever it holds."""
        where = type(self).__name__
        X = X if arrays.is_text(X) else as_container(X)
        y, sensitive_features = as_container(y), as_container(sensitive_features)
        frame, n = _check_rows(X, where, accepts_sparse=self._accepts_sparse)
        if arrays.has_columns(X):
            validate_data(self, X=X, skip_check_array=True)
        labels = None if by is None else read_target(y, where, continuous=by == "target_bins")
        for name, values in (("y", labels if by else y), ("sensitive_features", sensitive_features)):
            if values is None:
                continue
            given = f"{arrays.count_rows(values)}" if np.ndim(values) else f"a single value ({values!r:.40})"
            if not np.ndim(values) or arrays.count_rows(values) != n:
                raise DataError(sentence(where, f"{name} must have one entry a row of X ({n})", given))
        groups = self._groups(frame, sensitive_features, where)
        weights = arrays.check_weights(sample_weight, n, where)
        index = X.index if isinstance(X, (pd.DataFrame, pd.Series)) else pd.RangeIndex(n)
        return Rows(X, y, sensitive_features, n, labels, groups, weights, index)

    def _groups(self, frame: pd.DataFrame | None, sensitive_features: Any, where: str) -> pd.DataFrame | None:
        given = getattr(self, "group_columns", ())
        if given is not None and not isinstance(given, Iterable):
            must = "group_columns must be a list of columns of X"
            raise ParameterError(sentence(where, must, repr(given)))
        columns = [given] if isinstance(given, str) else list(() if given is None else given)
        if not columns:
            return group_frame(sensitive_features, where=where)
        if sensitive_features is not None:
            raise ParameterError(
                sentence(
                    where, "groups come from sensitive_features or from group_columns", "both", "Drop one."
                )
            )
        known = [] if frame is None else list(frame.columns)
        unknown = [column for column in columns if column not in known]
        if frame is None or unknown:
            raise DataError(
                sentence(
                    where,
                    "group_columns must name columns of X",
                    f"{offenders(unknown)}; X has {offenders(known, 8)}",
                )
            )
        return group_frame(frame[columns], where=where)

    def _give_groups(self, rows: Rows, positions: np.ndarray) -> Any:
        """Return the groups of the rows at ``positions`` as they were given."""
        if rows.sensitive_features is not None:
            return take(rows.sensitive_features, positions)
        return None if rows.groups is None else take(rows.groups, positions)

    def _keep_rows(self, rows: Rows, positions: np.ndarray, seed: int) -> tuple[Any, Any]:
        """Finish a resampler that only takes rows: set its attributes, return (X, y)."""
        repeated = pd.Series(positions).duplicated().to_numpy()
        self.sample_indices_ = positions
        self.provenance_ = provenance(
            rows.index,
            source=positions[:, None],
            kind=repeated.astype(np.int8),
            generator=None,
            seed=seed,
            pooled=np.zeros(len(positions), dtype=bool),
        )
        self.sample_weight_ = None if rows.weights is None else rows.weights[positions]
        self.sensitive_features_ = self._give_groups(rows, positions)
        return take(rows.X, positions), None if rows.y is None else take(rows.y, positions)


def as_container(values: Any) -> Any:
    """Return a container that rows can be taken from: other array-likes become arrays."""
    if sparse.issparse(values):
        return values if values.format in ("csr", "csc") else values.tocsr()
    if isinstance(values, np.ma.MaskedArray):
        return arrays.unmask(values)
    known = (pd.DataFrame, pd.Series, np.ndarray, list, tuple)
    if values is None or isinstance(values, known) or hasattr(values, "detach"):
        return values
    return np.asarray(values)


def take(values: Any, positions: np.ndarray) -> Any:
    """Return rows in their container, sparse matrices included."""
    return values[positions] if sparse.issparse(values) else arrays.take_rows(values, positions)


def provenance(
    index: pd.Index,
    *,
    source: np.ndarray,
    kind: np.ndarray,
    generator: str | None,
    seed: int,
    pooled: np.ndarray,
) -> pd.DataFrame:
    """Write the passport of every row.

    Parameters
    ----------
    index : Index
        Labels of the original rows.
    source : ndarray of int, (n, 1) or (n, 2)
        Positions of the parents, -1 for none.
    kind : ndarray of int, (n,)
        Positions in ``KINDS``.
    generator : str or None
        Who made the rows that are not real.
    seed : int
    pooled : ndarray of bool, (n,)
        Whether rows of a larger cell served for this one.
    """
    real = kind == 0
    second = source[:, 1] if source.shape[1] > 1 else np.full(len(source), -1)
    made_by = pd.Categorical.from_codes(
        np.where(real | (generator is None), -1, 0).astype(np.int8), categories=[generator or ""]
    )
    return pd.DataFrame(
        {
            "kind": pd.Categorical.from_codes(kind, categories=list(KINDS)),
            "source": index_labels(index, source[:, 0]),
            "source_2": index_labels(index, second),
            "generator": made_by,
            "seed": pd.arrays.IntegerArray(np.full(len(kind), seed, dtype=np.int64), real.copy()),
            "pooled": pooled,
        },
        copy=False,
    )


def index_labels(index: pd.Index, positions: np.ndarray) -> Any:
    """Return the index labels at ``positions``; -1 gives a missing value."""
    none = positions < 0
    if isinstance(index, pd.RangeIndex):  # no copy of the whole index
        labels = np.maximum(positions, 0).astype(np.int64)
        labels *= index.step
        labels += index.start
        return pd.arrays.IntegerArray(labels, none)
    if pd.api.types.is_integer_dtype(index.dtype):
        values = index.to_numpy().astype(np.int64, copy=False)
        return pd.arrays.IntegerArray(values[np.where(none, 0, positions)], none)
    labels = np.empty(len(positions), dtype=object)
    labels[~none] = index.to_flat_index().astype(object).to_numpy()[positions[~none]]
    return pd.Series(labels).infer_objects()


def read_target(y: Any, where: str, *, continuous: bool = False) -> pd.Series:
    """Return one label a row; a one-vs-all indicator becomes class positions.

    Raises
    ------
    DataError
        For no y, missing labels, multilabel and (unless allowed) continuous targets.
    """
    if y is None:
        raise DataError(f"{where}: requires y to be passed, but the target y is None. Pass one label a row.")
    if sparse.issparse(y):
        y = y.toarray()
    if not (hasattr(y, "shape") or isinstance(y, (list, tuple))) or np.ndim(y) not in (1, 2):
        must = "y must hold one label a row"
        raise DataError(sentence(where, must, f"{type(y).__name__} of {np.ndim(y)} dimensions"))
    frame = y if isinstance(y, pd.DataFrame) else _as_frame(y)
    if frame.shape[1] > 1:
        labels = _read_indicator(frame, where)
    else:
        labels = frame.iloc[:, 0].reset_index(drop=True).infer_objects()
    check_hashable(labels, where)
    if pd.api.types.is_complex_dtype(labels.dtype):
        raise DataError(f"{where}: Complex data not supported; given y of {labels.dtype}.")
    if pd.api.types.is_float_dtype(labels.dtype):
        numbers = labels.to_numpy(dtype=np.float64, na_value=np.nan)
        if not np.isfinite(numbers).all():
            bad = "NaN" if np.isnan(numbers).any() else "infinity"
            raise DataError(f"{where}: y must be finite; Input y contains {bad}. Drop those rows.")
        if not continuous and (numbers != np.rint(numbers)).any():
            raise DataError(
                f"{where}: Unknown label type: y must hold classes; given continuous numbers such as "
                f"{offenders(numbers[numbers != np.rint(numbers)][:1])}. Use by='target_bins' to "
                "balance ranges of a continuous target, or BootstrapResampler."
            )
    return labels


def _as_frame(y: Any) -> pd.DataFrame:
    if hasattr(y, "detach"):
        y = y.detach().cpu().numpy()
    if isinstance(y, pd.Series):
        return y.to_frame()
    return pd.DataFrame(y if hasattr(y, "shape") else list(y), copy=False)


def _read_indicator(frame: pd.DataFrame, where: str) -> pd.Series:
    values = frame.to_numpy()
    if not np.isin(values, [0, 1]).all() or (values.astype(np.int64).sum(axis=1) != 1).any():
        raise DataError(
            f"{where}: Multilabel and multioutput targets are not supported; given y of {frame.shape[1]} "
            "columns. Pass one label a row, or a one-vs-all indicator (one 1 a row); "
            "BootstrapResampler takes any y."
        )
    return pd.Series(values.astype(np.int64).argmax(axis=1))


def _check_rows(X: Any, where: str, *, accepts_sparse: bool) -> tuple[pd.DataFrame | None, int]:
    """Return X as a table if it is one, and its number of rows."""
    if sparse.issparse(X) and accepts_sparse:
        if X.shape[0] == 0 or X.shape[1] == 0:
            raise DataError(
                sentence(where, "X must have at least one row and one column", f"shape {X.shape}")
            )
        return None, X.shape[0]
    if not arrays.is_table(X):
        if arrays.count_rows(X) == 0:
            raise DataError(sentence(where, "X must have at least one row", f"shape {np.shape(X)}"))
        return None, arrays.count_rows(X)
    frame, _ = arrays.take_in(X, where=where)
    return frame, len(frame)
