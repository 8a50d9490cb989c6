"""Two guards against a resampler that has seen the rows it is judged on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.frozen import FrozenEstimator

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


def _plain_frame(X: Any) -> pd.DataFrame | None:
    """Rows as float64 and text columns, the same for every container; None where rows cannot be compared."""
    if sparse.issparse(X):
        return None
    if not isinstance(X, pd.DataFrame):
        array = np.asarray(X)
        if array.ndim == 0 or not len(array):
            return None
        X = pd.DataFrame(array.reshape(len(array), -1))
    columns: dict[int, Any] = {}
    for position in range(X.shape[1]):
        column = X.iloc[:, position]
        if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_complex_dtype(column.dtype):
            columns[position] = column.to_numpy(dtype=float, na_value=np.nan)
        else:
            columns[position] = column.astype(str).to_numpy(dtype=object)
    return pd.DataFrame(columns)


def row_keys(X: Any) -> np.ndarray | None:
    """Return one 64-bit key a row: equal rows, equal keys. None where rows cannot be compared."""
    frame = _plain_frame(X)
    if frame is None:
        return None
    return pd.util.hash_pandas_object(frame, index=False).to_numpy()


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
    train, test, made = _plain_frame(X_train), _plain_frame(X_test), _plain_frame(X_resampled)
    if train is None or test is None or made is None or made.shape[1] != test.shape[1]:
        return
    keys_train, keys_test, keys_made = (
        pd.util.hash_pandas_object(frame, index=False).to_numpy() for frame in (train, test, made)
    )
    found = np.isin(keys_test, keys_made) & ~np.isin(keys_test, keys_train)
    if not found.any():
        return
    unseen = np.zeros(int(found.sum()), dtype=int)
    for position in train.columns:
        known = train[position].to_numpy()
        if known.dtype == object or len(np.unique(known)) < _FINE * len(known):
            continue
        values = test.loc[found, position].to_numpy(dtype=float)
        unseen += np.isfinite(values) & (values != np.round(values)) & ~np.isin(values, known)
    if (unseen >= 2).any() or (unseen >= 1).sum() >= 2:
        raise LeakError(
            sentence(
                f"compare: {name}",
                "a resampler may use the rows of its training fold only",
                f"{int((unseen >= 1).sum())} test rows among the rows that it returned",
                "It holds on to rows from outside the fold: let it learn in fit_resample alone.",
            )
        )
