"""Pictures as they are given, seen through before anything looks at them: stacks, lists, object arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from augsynth.check.preservation.reader_features import picture_array
from augsynth.core.errors import DataError, offenders, sentence

__all__ = ["check_pictures", "picture_rows", "sizes_note"]

_MOST_SIZES = 4
_TODO = "Leave it out, or mend it."


def picture_rows(X: Any) -> Any:
    """Return an object array as a stack of numbers where it is one, else as a list of pictures.

    Examples
    --------
    >>> held = np.empty(2, dtype=object)
    >>> held[0], held[1] = np.zeros((3, 4)), np.ones((3, 4))
    >>> picture_rows(held).shape
    (2, 3, 4)
    """
    if not isinstance(X, np.ndarray) or X.dtype != object:
        return X
    alike = {getattr(each, "shape", None) for each in X}
    if None not in alike and len(alike) == 1 and all(each.dtype != object for each in X):
        return np.stack(list(X))
    try:
        return np.stack([np.asarray(each.tolist()) for each in X]) if X.ndim > 1 else list(X)
    except ValueError:  # of no one shape
        return list(X)


def check_pictures(X: Any, name: str, where: str) -> None:
    """Look at every picture once.

    Raises
    ------
    DataError
        With the first that is none, is empty, or holds other things than finite real numbers.
    """
    if hasattr(X, "dtype") and not hasattr(X, "detach"):
        odd = _wrong(X)
        if odd:
            raise DataError(sentence(where, f"{name} must hold pictures of finite numbers", odd))
        return
    for i, each in enumerate(X):
        odd = "None" if each is None else _wrong_one(each)
        if odd:
            must = f"{name} must hold pictures (h, w) or (h, w, channels) of finite numbers"
            raise DataError(sentence(where, must, f"{odd} at {i}", _TODO))


def _wrong_one(picture: Any) -> str:
    shape = np.shape(picture) if not hasattr(picture, "getbands") else (*picture.size, 3)
    if isinstance(picture, str) or len(shape) not in (2, 3):
        return offenders([picture]) if not shape else f"shape {tuple(shape)}"
    return _wrong(np.asarray(picture) if not hasattr(picture, "detach") else picture_array(picture))


def _wrong(array: Any) -> str:
    """Say what is wrong with pixels; nothing if nothing is."""
    if not array.size:
        return f"an empty picture, shape {tuple(array.shape)}"
    if array.dtype.kind not in "biuf":
        return f"dtype {array.dtype}"
    if array.dtype.kind == "f":
        bad = int((~np.isfinite(array)).sum())
        return f"{bad:,} pixels that are NaN or infinite" if bad else ""
    return ""


def sizes_note(samples: Sequence[Any]) -> list[str]:
    """Say that pictures are of several sizes, and what follows; nothing if they are of one."""
    sizes = dict.fromkeys(size for X in samples for size in _sizes(X))
    if len(sizes) < 2:
        return []
    shown = ", ".join(f"{height} x {width}" for height, width in list(sizes)[:_MOST_SIZES])
    more = f" and {len(sizes) - _MOST_SIZES} more" if len(sizes) > _MOST_SIZES else ""
    return [
        f"The pictures are of several sizes (height x width: {shown}{more}). They are brought to one before "
        "they are compared, and a size that only one side has may give it away: resize or crop them for a "
        "fair view."
    ]


def _sizes(X: Any) -> list[tuple[int, int]]:
    shapes = [picture_array(each).shape for each in (X[:1] if hasattr(X, "dtype") else X)]
    return list(dict.fromkeys((int(shape[0]), int(shape[1])) for shape in shapes))
