"""Policies over the rows of any container: texts, pictures, clips, tables; what came in comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from augsynth.core import arrays
from augsynth.core.errors import DataError, InputTypeError, ParameterError, offenders, sentence
from augsynth.core.random import ItemKeys
from augsynth.encode.image import MAX_CHANNELS
from augsynth.perturb.base import Perturbation
from augsynth.perturb.foreign import as_perturbation

__all__ = ["edit_rows", "modality_of", "policy_for"]

_Back = Callable[[Any], Any]
_DEFAULTS = {"text": "text_medium", "image": "image_weak", "table": ["jitter", "category_flip"]}


def modality_of(X: Any) -> str | None:
    """Tell what rows are, where their container leaves no doubt: "text", "image", "table" or None.

    Examples
    --------
    >>> modality_of(["a text"]), modality_of(np.zeros((5, 8, 8))), modality_of(np.zeros((5, 64)))
    ('text', 'image', 'table')
    >>> modality_of(np.zeros((5, 2, 16000))), modality_of([np.zeros(7000), np.zeros(8000)])
    (None, None)
    """
    if arrays.is_text(X):
        return "text"
    if arrays.is_table(X):
        return "table"
    first = X[0] if isinstance(X, (list, tuple)) else None
    shape = tuple(getattr(X, "shape", ())) if first is None else (1, *getattr(first, "shape", ()))
    if hasattr(first, "getbands") or len(shape) == 4:
        return "image"
    # No picture is that long: two channels of sound are.
    return "image" if len(shape) == 3 and 16 * min(shape[1:]) >= max(shape[1:]) else None


def policy_for(policy: Any, X: Any, y: Any = None, *, where: str) -> Perturbation:
    """Return a fitted copy of the perturbation that a policy stands for, checked against the rows.

    Parameters
    ----------
    policy : anything that `as_perturbation` takes, or None
        None is text_medium for texts, image_weak for pictures, jitter and category flips
        for tables.
    X, y : rows and labels to fit it on
    where : str
        Who asks, for the messages.

    Raises
    ------
    ParameterError
        If there is no default for such rows, or the policy edits something else.
    DataError
        If a text is missing.
    """
    kind = modality_of(X)
    if policy is None and kind is None:
        must = "perturbation must be given for rows that may be clips as well as pictures"
        todo = "Say audio_weak(sample_rate=...) or 'image_weak', for instance."
        raise ParameterError(sentence(where, must, "none", todo))
    if kind == "text":
        _check_texts(X, where)
    if policy is None and kind is not None:
        policy = _DEFAULTS[kind]
    # What looks like a table may be clips of one length: "weak" alone says too little there.
    chosen = as_perturbation(policy, None if kind == "table" else kind, where=where)
    _check_fit(chosen, X, kind, where)
    copied = clone(chosen)
    return copied.fit(X if copied.per_row else _samples(X, copied, where)[0], y)


def edit_rows(perturbation: Perturbation, X: Any, keys: ItemKeys, *, where: str) -> Any:
    """Edit every row of a container; row k by key k, but for tables, which are edited as a block.

    Raises
    ------
    DataError, InputTypeError
        If what the edits make does not fit into the container.
    """
    if perturbation.per_row:
        return perturbation.apply(X, perturbation.draw(X, keys.at(0)))
    if not arrays.count_rows(X):
        return X
    samples, back = _samples(X, perturbation, where)
    return back(perturbation.edit_many(samples, keys))


def _check_texts(X: Any, where: str) -> None:
    if isinstance(getattr(X, "dtype", None), pd.CategoricalDtype):
        todo = "Pass X.astype(str)."
        must = "texts to edit must not be categories, as new ones are none"
        raise InputTypeError(sentence(where, must, f"dtype {X.dtype.name}", todo))
    texts = X.to_pylist() if hasattr(X, "to_pylist") else list(X)
    odd = [k for k, text in enumerate(texts) if not isinstance(text, str)]
    if odd:
        given = f"{offenders([texts[k] for k in odd])} in row {offenders(odd)}"
        todo = "Drop those rows, or put an empty text in their place."
        raise DataError(sentence(where, "every text must be a str", f"{given} ({len(odd)} in all)", todo))


def _check_fit(perturbation: Perturbation, X: Any, kind: str | None, where: str) -> None:
    """Raise if a perturbation edits another kind of row than these."""
    wanted = perturbation.modality
    given = f"a {type(X).__name__} of " + (
        f"shape {tuple(X.shape)}" if hasattr(X, "shape") else type(X[0]).__name__
    )
    if wanted == "text" and kind != "text":
        todo = "Pass one column, such as X['text']." if isinstance(X, pd.DataFrame) else ""
        must = "texts to edit must be a list, a one-dimensional array or a Series of str"
        raise ParameterError(sentence(where, must, given, todo))
    if perturbation.per_row and kind != "table":
        must = "rows must be a table for a perturbation of tables"
        raise ParameterError(sentence(where, must, given, "Choose one for such rows, by name or object."))
    if perturbation.per_row:
        return
    if isinstance(X, pd.DataFrame):
        must = "a DataFrame needs a perturbation of tables, such as ScaledJitter"
        todo = "Pictures and clips come in arrays: X.to_numpy()."
        raise ParameterError(sentence(where, must, type(perturbation).__name__, todo))
    if wanted in ("image", "audio") and kind == "text":
        must = f"rows must be {'pictures' if wanted == 'image' else 'clips'} for such a perturbation"
        raise ParameterError(sentence(where, must, given))
    if wanted == "image" and kind == "table":
        must = "pictures must have a height and a width: (n, h, w) or (n, h, w, c)"
        raise ParameterError(sentence(where, must, given, "Unflatten them: X.reshape(-1, h, w)."))


def _samples(X: Any, perturbation: Perturbation, where: str) -> tuple[Any, _Back]:
    """Return the rows as a list or a stack that edits take, and the way back into the container."""
    if arrays.is_text(X):
        return _texts(X)
    if hasattr(X, "detach"):
        return list(X), lambda made: _tensor(X, made, where)
    if isinstance(X, (list, tuple)):
        return list(X), lambda made: _listed(X, made, where)
    if isinstance(X, pd.Series) or X.dtype == object:
        rows = np.empty(len(X), dtype=object)
        rows[:] = list(X)
        container = (lambda made: pd.Series(made, name=X.name, dtype=object)) if hasattr(X, "iloc") else None
        return rows, container or (lambda made: made)
    if perturbation.modality == "image" and _channels_first(X.shape):
        turned = np.ascontiguousarray(X.transpose(0, 2, 3, 1))
        return turned, lambda made: np.ascontiguousarray(_stack(turned, made, where).transpose(0, 3, 1, 2))
    return X, lambda made: _stack(X, made, where)


def _channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[1] <= MAX_CHANNELS < shape[3]


def _texts(X: Any) -> tuple[list[str], _Back]:
    if isinstance(X, pd.Series):
        return X.tolist(), lambda made: pd.Series(made, index=X.index, name=X.name, dtype=X.dtype)
    if isinstance(X, np.ndarray):
        kind = str if X.dtype.kind == "U" else X.dtype  # as wide as the longest one needs
        return X.tolist(), lambda made: np.array(made, dtype=kind)
    if hasattr(X, "to_pylist"):
        import pyarrow as pa

        chunked = hasattr(X, "chunks")
        return (
            X.to_pylist(),
            lambda made: pa.chunked_array([made], X.type) if chunked else pa.array(made, X.type),
        )
    if isinstance(X, pd.api.extensions.ExtensionArray):
        return list(X), lambda made: pd.array(made, dtype=X.dtype)
    return list(X), lambda made: made


def _stack(X: np.ndarray, made: Any, where: str) -> np.ndarray:
    """Return edited rows as an array of the shape and dtype of ``X``."""
    shapes = {np.shape(row) for row in made}
    if shapes - {X.shape[1:]}:
        given = f"{offenders(sorted(shapes - {X.shape[1:]}))} from {X.shape[1:]}"
        todo = "Pass a list of rows where sizes may differ."
        raise DataError(sentence(where, "edited rows of an array must keep their shape", given, todo))
    rows = made if isinstance(made, np.ndarray) else np.stack(made)
    if X.dtype.kind in "iub" and rows.dtype.kind == "f":  # a normalised picture would become black
        todo = "Leave conversions out of the policy, or convert X first."
        given = f"{rows.dtype} from {X.dtype}"
        raise DataError(sentence(where, "edited rows of an array must keep their dtype", given, todo))
    return rows.astype(X.dtype, copy=False)


def _tensor(X: Any, made: list[Any], where: str) -> Any:
    import torch

    stacked = _stack_like(X, made, where)
    return torch.stack(stacked).to(X.dtype)


def _stack_like(X: Any, made: list[Any], where: str) -> list[Any]:
    _listed(X, made, where)
    odd = sorted({tuple(row.shape) for row in made if row.shape != X.shape[1:]})
    if odd:
        given = f"{offenders(odd)} from {tuple(X.shape[1:])}"
        todo = "Pass a list of rows where sizes may differ."
        raise DataError(sentence(where, "edited rows of a tensor must keep their shape", given, todo))
    changed = [row.dtype for row in made if row.is_floating_point() != X.is_floating_point()]
    if changed:
        given = f"{changed[0]} from {X.dtype}"
        todo = "Leave conversions out of the policy, or convert X first."
        raise DataError(sentence(where, "edited rows of a tensor must keep their dtype", given, todo))
    return made


def _listed(X: Any, made: list[Any], where: str) -> list[Any]:
    """Return edited rows unless they are of another kind than the rows: pictures made tensors, say."""
    before, after = _family(X[0]), _family(made[0])
    if before != after:
        must = "edited rows must be of the kind that was given"
        todo = "Leave conversions out of the policy: they belong after it."
        raise InputTypeError(sentence(where, must, f"{after} from {before}", todo))
    return made


def _family(x: Any) -> str:
    if hasattr(x, "getbands"):
        return "a PIL image"
    return "a tensor" if hasattr(x, "detach") else f"a {type(x).__name__}"
