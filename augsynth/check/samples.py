"""Samples of rows as arrays of numbers: what functions of bare arrays accept, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np

from augsynth.core.errors import DataError, InputTypeError, offenders, sentence

__all__ = ["as_numbers", "as_samples", "one_sample"]


def as_numbers(values: Any, name: str, where: str) -> np.ndarray:
    """Return an array of floats of any shape.

    Raises
    ------
    InputTypeError
        For texts, complex numbers, None, and rows of several lengths.
    """
    must, given = f"{name} must be an array of numbers", type(values).__name__
    try:
        values = values.detach().cpu() if hasattr(values, "detach") else values
        array = np.asarray(values)
        if array.dtype.kind in "US" or (array.dtype == object and any(_odd(each) for each in array.flat)):
            given = "None" if values is None else "text, or things that are no numbers"
        elif array.dtype.kind == "c":
            given = "complex numbers"
        elif array.dtype.kind not in "mM":
            return np.asarray(values, dtype=np.float64)
        else:
            given = "dates or times"
    except (TypeError, ValueError):
        pass
    raise InputTypeError(sentence(where, must, given))


def _odd(each: Any) -> bool:
    return each is None or isinstance(each, (str, bytes, complex))


def one_sample(rows: Any, name: str, where: str, *, gaps: bool = False, least: int = 2) -> np.ndarray:
    """Return rows as an array (n, d) of finite numbers (NaN only with ``gaps``).

    Raises
    ------
    InputTypeError, DataError
        For other things, or fewer than ``least`` rows.
    """
    array = as_numbers(rows, name, where)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.shape[1]:
        raise DataError(sentence(where, f"{name} must be an array (n, d)", f"shape {array.shape}"))
    if len(array) < least:
        count = f"at least {least} " if least > 1 else ""
        raise DataError(sentence(where, f"there must be {count}{name}", str(len(array) or "none")))
    bad = ~np.isfinite(array) & ~(np.isnan(array) & gaps)
    if bad.any():
        must = f"{name} must be finite"
        raise DataError(sentence(where, must, offenders(array[bad].tolist()), "Fill or drop these rows."))
    return array


def as_samples(
    a: Any, b: Any, where: str, *, gaps: bool = False, least: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Return new and real rows as two arrays (n, d) of numbers.

    Raises
    ------
    InputTypeError, DataError
        Unless both are numbers with as many columns, finite (NaN only with ``gaps``), and have
        at least ``least`` rows.
    """
    first, second = (
        one_sample(rows, name, where, gaps=gaps, least=least)
        for rows, name in ((a, "new rows"), (b, "real rows"))
    )
    if first.shape[1] != second.shape[1]:
        given = f"{first.shape[1]} and {second.shape[1]}"
        raise DataError(sentence(where, "new and real rows must have as many columns", given))
    return first, second
