"""Two guards against a resampler that has seen the rows it is judged on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.frozen import FrozenEstimator

from augsynth.core.arrays import is_table, is_text
from augsynth.core.errors import LeakError, sentence

__all__ = ["refuse_frozen", "refuse_test_rows", "row_keys"]

_FINE = 0.95  # share of distinct training values from which on equal values are no coincidence


def refuse_frozen(name: str, component: Any) -> None:
    """Raise when a component carries something that was fitted before the split.

    Raises
    ------
    LeakError
        If a `sklearn.frozen.FrozenEstimator` is found at any depth.
    """
    for where, part in _parts(component):
        if isinstance(part, FrozenEstimator):
            raise LeakError(
                sentence(
                    f"compare: {name}",
                    "everything that learns must learn inside the training folds",
                    f"an already fitted {type(part.estimator).__name__} at {where}, "
                    "which may have seen the test rows",
                    "Pass it unfitted; if it was fitted on other data, say generator_fitted_elsewhere=True.",
                )
            )


def _parts(component: Any) -> list[tuple[str, Any]]:
    parts = [("the top", component)]
    if hasattr(component, "get_params"):
        parts += list(component.get_params(deep=True).items())
    elif hasattr(component, "__dict__"):
        parts += list(vars(component).items())
    return parts


def _cells(X: Any) -> np.ndarray | None:
    """Return rows as float64 or, for columns that are not numbers, as objects; None where impossible."""
    if sparse.issparse(X):
        return None
    if not isinstance(X, pd.DataFrame):
        try:
            array = np.asarray(X)
        except ValueError:  # clips of several lengths, pictures of several sizes
            return None
        if array.dtype == object and not is_text(X) and not is_table(X):
            return None
        if array.ndim == 0 or not len(array):
            return None
        array = array.reshape(len(array), -1)
        if array.dtype.kind in "biuf":
            return array.astype(float)
        X = pd.DataFrame(array)
    columns = [_column(X.iloc[:, position]) for position in range(X.shape[1])]
    if not columns or all(column.dtype != object for column in columns):
        return np.column_stack(columns).astype(float) if columns else None
    cells = np.empty(X.shape, dtype=object)
    for position, column in enumerate(columns):
        cells[:, position] = column
    return cells


def _column(column: pd.Series) -> np.ndarray:
    """Return float64 for numbers and times, text for everything else, whatever the container was."""
    kind = pd.api.types
    if kind.is_datetime64_any_dtype(column.dtype):
        return column.to_numpy(dtype="datetime64[us]").view("int64").astype(float)
    if kind.is_timedelta64_dtype(column.dtype):
        return column.to_numpy(dtype="timedelta64[us]").view("int64").astype(float)
    if kind.is_numeric_dtype(column.dtype) and not kind.is_complex_dtype(column.dtype):
        return column.to_numpy(dtype=float, na_value=np.nan)
    return column.astype(str).to_numpy(dtype=object)


def row_keys(X: Any) -> np.ndarray | None:
    """Return one 64-bit key a row: equal rows, equal keys. None where rows cannot be compared."""
    cells = _cells(X)
    return None if cells is None else _keys(cells)


def _keys(cells: np.ndarray) -> np.ndarray:
    if cells.dtype == object:
        hashed = np.column_stack([_hashed(cells[:, position]) for position in range(cells.shape[1])])
    else:
        hashed = _hashed(cells)
    odd = np.random.default_rng(0).integers(2**63, size=cells.shape[1], dtype=np.uint64) * 2 + 1
    return (hashed * odd).sum(axis=1, dtype=np.uint64)


def _hashed(cells: np.ndarray) -> np.ndarray:
    if cells.dtype == object:
        # all cells, not the first: a column of texts may start with a missing one
        numbers = pd.api.types.infer_dtype(cells, skipna=False) in ("floating", "empty")
        if not numbers:
            return pd.util.hash_array(cells, categorize=True)
        cells = cells.astype(float)
    cells = np.where(np.isnan(cells), np.nan, cells + 0.0)  # one NaN, and no negative zero
    bits = np.ascontiguousarray(cells).view(np.uint64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)  # splitmix64: every bit counts
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def refuse_test_rows(name: str, X_train: Any, X_test: Any, X_resampled: Any) -> None:
    """Raise when the resampled rows contain test rows that no training row explains.

    A row of a coarse table (a few categories) may be made again by pure chance.
    A made row counts as a leak only when it equals a test row in every column,
    is no training row, and holds values of fine-grained numeric columns that no
    training row has: two such values in one row, or one in at least two rows.

    Raises
    ------
    LeakError
        Naming the resampler and the number of test rows found.
    """
    train, test, made = _cells(X_train), _cells(X_test), _cells(X_resampled)
    if train is None or test is None or made is None or made.shape[1] != test.shape[1]:
        return
    keys_test = _keys(test)
    found = np.isin(keys_test, _keys(made)) & ~np.isin(keys_test, _keys(train))
    if not found.any():
        return
    unseen = np.zeros(int(found.sum()), dtype=int)
    for position in range(train.shape[1]):
        known = train[:, position]
        if not isinstance(known[0], float) or len(np.unique(known)) < _FINE * len(known):
            continue
        values = test[found, position].astype(float)
        unseen += np.isfinite(values) & (values != np.round(values)) & ~np.isin(values, known.astype(float))
    if (unseen >= 2).any() or (unseen >= 1).sum() >= 2:
        raise LeakError(
            sentence(
                f"compare: {name}",
                "a resampler may use the rows of its training fold only",
                f"{int((unseen >= 1).sum())} test rows among the rows that it returned",
                "It holds on to rows from outside the fold: let it learn in fit_resample alone.",
            )
        )
