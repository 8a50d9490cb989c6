"""Containers in and out: what came in as a DataFrame, array, list or tensor goes back as one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import DataError, InputTypeError, offenders, sentence
from augsynth.core.persistence import persistent

__all__ = [
    "Container",
    "as_rows",
    "check_weights",
    "concat_rows",
    "count_rows",
    "from_tensor",
    "has_columns",
    "is_missing",
    "is_table",
    "is_text",
    "take_in",
    "take_rows",
    "unmask",
]

LARGEST_WEIGHT = 1e150


@persistent
@dataclass(frozen=True)
class Container:
    """How a table looked when it came in.

    Attributes
    ----------
    kind : {"frame", "array", "list", "tensor"}
    dtype : numpy dtype or None
        Of an array, list or tensor.
    sparse : dict
        Column name to dtype of the columns of a DataFrame that pandas keeps sparse.
    narrow : str
        "bfloat16" of a tensor of that type, which numpy lacks: its numbers are handled as float32.
    """

    kind: str
    dtype: Any = None
    sparse: dict[Any, Any] = field(default_factory=dict)
    narrow: str = ""

    def give_back(self, frame: pd.DataFrame) -> Any:
        """Return a decoded frame in the container that came in, rows numbered from 0."""
        if self.kind == "frame":
            return frame.astype(self.sparse) if self.sparse else frame
        array = np.empty(frame.shape, dtype=self.dtype)
        for j in range(frame.shape[1]):
            array[:, j] = frame.iloc[:, j].to_numpy()
        return self.wrap(array)

    def wrap(self, array: np.ndarray) -> Any:
        """Return an array (n, p) of the right dtype as the array, list or tensor it stands for."""
        if self.kind == "list":
            return array.tolist()
        if self.kind == "tensor":
            import torch

            made = torch.from_numpy(array)
            return made.to(getattr(torch, self.narrow)) if self.narrow else made
        return array


def take_in(X: Any, *, where: str) -> tuple[pd.DataFrame, Container]:
    """Turn a table of any supported kind into a DataFrame, without a copy where possible.

    Parameters
    ----------
    X : DataFrame, ndarray, list of rows or torch tensor, shape (n, p)
        At least one row and one column.
    where : str
        Who asks, for the messages.

    Returns
    -------
    frame : DataFrame
        The rows; column names as given, or 0, 1, ...
    container : Container
        What turns decoded frames back into the kind of ``X``.

    Raises
    ------
    InputTypeError, DataError
        For sparse, complex, one-dimensional, empty or ragged input and for
        duplicate column names.
    """
    if isinstance(X, pd.DataFrame):
        sparse = {c: d for c, d in X.dtypes.items() if isinstance(d, pd.SparseDtype)}
        return _take_frame(X, sparse, where), Container("frame", sparse=sparse)
    if is_text(X):
        must = "Expected 2D array, got 1D array instead: X must have shape (rows, columns)"
        todo = "Generators that copy or edit rows as they are (bootstrap, perturbed) take texts."
        raise DataError(sentence(where, must, f"{len(X)} texts", todo))
    if isinstance(X, pd.Series):
        raise DataError(_one_dimensional(where, f"a Series of {len(X)} values"))
    X = as_rows(X, where=where)
    kind = "list" if isinstance(X, (list, tuple)) else "array"
    narrow = ""
    if _is_tensor(X):
        kind, narrow = "tensor", "bfloat16" if str(X.dtype) == "torch.bfloat16" else ""
        X = from_tensor(X, where=where)
    array = _as_array(X, where)
    if array.ndim != 2:
        shown = f"{array.ndim}D array instead of shape {array.shape}"
        raise DataError(_one_dimensional(where, shown) if array.ndim < 2 else _not_flat(where, array.shape))
    _check_shape(array.shape, where)
    frame = pd.DataFrame(array, copy=False)
    if array.dtype == object:
        frame = frame.infer_objects()
    return frame, Container(kind, array.dtype, narrow=narrow)


def _take_frame(X: pd.DataFrame, sparse: dict[Any, Any], where: str) -> pd.DataFrame:
    _check_shape(X.shape, where)
    repeated = X.columns[X.columns.duplicated()].unique()
    if len(repeated):
        raise DataError(
            sentence(
                where, "column names must differ", f"duplicates of {offenders(repeated)}", "Rename them."
            )
        )
    kinds = sorted({type(name).__name__ for name in X.columns})
    if "str" in kinds and len(kinds) > 1:  # scikit-learn refuses them too
        must, todo = "column names must be all text or none", "Rename with X.columns.astype(str)."
        raise InputTypeError(sentence(where, must, f"names of the types {', '.join(kinds)}", todo))
    return X.astype({c: d.subtype for c, d in sparse.items()}) if sparse else X.assign(**{})


def _as_array(X: Any, where: str) -> np.ndarray:
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise DataError(sentence(where, "rows must have equal lengths", str(error))) from error
    if array.dtype.kind == "c":
        raise DataError(
            f"{where}: Complex data not supported; given {array.dtype}. Pass real and imaginary parts."
        )
    if array.dtype.kind in "US" and isinstance(X, (list, tuple)):
        array = np.array(X, dtype=object)  # keeps the numbers of mixed rows as numbers
    return array


def _check_shape(shape: tuple[int, ...], where: str) -> None:
    # The wording is scikit-learn's, which its own checks look for.
    if shape[1] == 0:
        raise DataError(
            f"{where}: Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required."
        )
    if shape[0] == 0:
        raise DataError(
            f"{where}: Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is required."
        )


def _one_dimensional(where: str, given: str) -> str:
    return (
        f"{where}: Expected 2D array, got 1D array instead: X must have shape (rows, columns); "
        f"given {given}. Reshape your data with X.reshape(-1, 1) (one column) or X.reshape(1, -1) (one row)."
    )


def _not_flat(where: str, shape: tuple[int, ...]) -> str:
    return sentence(
        where,
        "X must be a table of shape (rows, columns)",
        f"Found array with dim {len(shape)}, shape {shape}",
        "Generators that copy or edit rows as they are (bootstrap, perturbed) take any shape.",
    )


def _is_tensor(X: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(X, torch.Tensor)


def from_tensor(X: Any, *, where: str) -> Any:
    """Return a tensor as an array, bfloat16 as float32; anything else as it is."""
    if not _is_tensor(X):
        return X
    if str(X.dtype) == "torch.bfloat16":
        X = X.float()
    try:
        array: np.ndarray = X.detach().cpu().numpy()
    except (TypeError, RuntimeError):  # 8-bit floats, sparse tensors
        must, todo = "X must be a dense tensor of a type that numpy knows", "Pass X.float()."
        given = f"{X.dtype}, layout {X.layout}"
        raise InputTypeError(sentence(where, must, given, todo)) from None
    return array


def as_rows(X: Any, *, where: str) -> Any:
    """Return ``X`` as it is, or as an array if it only knows how to become one."""
    if is_text(X):
        return X
    if type(X).__module__.startswith("scipy.sparse"):
        must = "X must be dense, sparse input is not supported"
        raise InputTypeError(sentence(where, must, type(X).__name__, "Convert it with X.toarray()."))
    if isinstance(X, np.ma.MaskedArray):
        return unmask(X)  # numpy hands out what lies under a mask without a word
    if isinstance(X, (list, tuple)) or len(getattr(X, "shape", ())):
        return X
    if hasattr(X, "shape"):
        must = "X must be a DataFrame, an array, a list of rows or a tensor"
        raise InputTypeError(sentence(where, must, f"a single value ({X!r:.40})"))
    if not hasattr(X, "__array__"):
        must = "X must be a DataFrame, an array, a list of rows or a tensor"
        raise InputTypeError(sentence(where, must, f"{type(X).__name__} ({X!r:.40})"))
    return np.asarray(X)


def unmask(array: np.ma.MaskedArray) -> np.ndarray:
    """Return a masked array as a plain one, NaN where it is masked."""
    if not np.ma.is_masked(array):
        return np.asarray(array)
    plain: Any = array.astype(
        np.result_type(array.dtype, np.float32) if array.dtype.kind in "biuf" else object
    )
    return plain.filled(np.nan)


def is_table(X: Any) -> bool:
    """Tell whether rows are rows of columns, rather than images, clips or texts.

    A list of one-dimensional arrays is a table if they are equally long, else a list of clips.

    Examples
    --------
    >>> is_table([[1, 2]]), is_table(["a text"]), is_table(np.zeros((5, 28, 28)))
    (True, False, False)
    >>> is_table([np.zeros(5), np.zeros(7)]), is_table(pd.Series(["a text"]))
    (False, False)
    """
    first = _first_of(X)
    if first is None:
        return (len(X.shape) if hasattr(X, "shape") else np.ndim(X[:1])) <= 2
    if isinstance(first, (str, bytes)):
        return False
    if hasattr(first, "getbands"):  # a PIL image
        return False
    if not hasattr(first, "shape"):
        return np.ndim([first]) <= 2
    rank = len(first.shape)
    return rank == 0 or (rank == 1 and len({np.shape(x) for x in X}) == 1)


def has_columns(X: Any) -> bool:
    """Tell whether all rows have as many features: not so for texts, or pictures and clips in a list."""
    return len(X.shape) > 1 if hasattr(X, "shape") else is_table(X)


def is_text(X: Any) -> bool:
    """Tell whether rows are texts: a list, a one-dimensional array, a Series or an Arrow array of str.

    Examples
    --------
    >>> is_text(["a", "b"]), is_text(pd.Series([None, "b"])), is_text(np.array([["a", "b"]]))
    (True, True, False)
    """
    return isinstance(_first_of(X), (str, bytes))


def _first_of(X: Any) -> Any:
    """Return the first row of a container of objects that is not missing; None where rows are columns."""
    if isinstance(X, np.ndarray) and (X.ndim != 1 or X.dtype.kind not in "OUST"):
        return None
    if _is_arrow(X):
        kind = str(X.type)
        return "" if kind in ("string", "large_string", "string_view") else None
    plain = (list, tuple, np.ndarray, pd.Series, pd.api.extensions.ExtensionArray)
    if not isinstance(X, plain) or (hasattr(X, "dtype") and isinstance(X.dtype, pd.SparseDtype)):
        return None
    if isinstance(X, pd.Series) and X.dtype.kind in "biufcmM":
        return None
    return next((x for x in X if not is_missing(x)), None)


def is_missing(x: Any) -> bool:
    """Tell whether an entry is None, NA or NaN."""
    return x is None or x is pd.NA or x is pd.NaT or (isinstance(x, float) and x != x)


def _is_arrow(X: Any) -> bool:
    return type(X).__module__.startswith("pyarrow.") and hasattr(X, "type") and hasattr(X, "take")


def count_rows(X: Any) -> int:
    """Return the number of rows of any supported container."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def take_rows(X: Any, positions: np.ndarray) -> Any:
    """Return the rows at ``positions`` in the same container, numbered from 0."""
    if isinstance(X, (pd.DataFrame, pd.Series)):
        return X.take(positions).reset_index(drop=True)
    if isinstance(X, (list, tuple)):
        return [X[i] for i in positions]
    if _is_tensor(X):
        import torch

        return X[torch.from_numpy(np.asarray(positions, dtype=np.int64))]
    if _is_arrow(X) or isinstance(X, pd.api.extensions.ExtensionArray):
        return X.take(np.asarray(positions, dtype=np.int64))
    return np.asarray(X)[positions]


def concat_rows(parts: Sequence[Any]) -> Any:
    """Stack containers of one kind; dtypes (category levels, nullable, ...) are kept."""
    first = parts[0]
    if len(parts) == 1:
        return first.reset_index(drop=True) if isinstance(first, (pd.DataFrame, pd.Series)) else first
    if isinstance(first, pd.DataFrame):
        whole = pd.concat(parts, ignore_index=True)
        changed = {c: first[c].dtype for c in first.columns if whole[c].dtype != first[c].dtype}
        return whole.astype(changed) if changed else whole
    if isinstance(first, pd.Series):
        whole = pd.concat(parts, ignore_index=True)
        return whole.astype(first.dtype) if whole.dtype != first.dtype else whole
    if isinstance(first, (list, tuple)):
        return [row for part in parts for row in part]
    if _is_tensor(first):
        import torch

        return torch.cat(list(parts))
    if _is_arrow(first):
        import pyarrow as pa

        chunks = [chunk for part in parts for chunk in getattr(part, "chunks", [part])]
        return pa.chunked_array(chunks, first.type) if hasattr(first, "chunks") else pa.concat_arrays(chunks)
    if isinstance(first, pd.api.extensions.ExtensionArray):
        return concat_rows([pd.Series(part) for part in parts]).array
    return np.concatenate([np.asarray(part) for part in parts])


def check_weights(sample_weight: Any, n: int, where: str) -> np.ndarray | None:
    """Return weights as floats (n,), or None; raise DataError unless they can serve."""
    if sample_weight is None:
        return None
    try:
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(sentence(where, "sample_weight must hold numbers", str(error))) from None
    if weights.ndim == 0:
        weights = np.full(n, float(weights))
    if weights.shape != (n,):
        raise DataError(sentence(where, f"sample_weight must have shape ({n},)", f"{weights.shape}"))
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise DataError(
            sentence(
                where,
                "sample_weight must be finite, non-negative and not all zero",
                offenders(weights[~(np.isfinite(weights) & (weights >= 0))].tolist()) or "all zero",
            )
        )
    if weights.max() > LARGEST_WEIGHT:
        must = f"sample_weight must be at most {LARGEST_WEIGHT:g}, or their sums overflow"
        raise DataError(sentence(where, must, str(weights.max()), "Divide them by their mean."))
    return weights
