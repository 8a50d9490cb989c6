"""Checks of constructor parameters, all with the same sentence."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any

from augsynth.core.errors import ParameterError, sentence

__all__ = ["check_number", "check_option"]


def check_number(
    where: str,
    name: str,
    value: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    low_open: bool = False,
    high_open: bool = False,
    integer: bool = False,
) -> None:
    """Raise unless ``value`` is a finite number (or whole number) within its bounds.

    Parameters
    ----------
    where, name : str
        The class and the parameter, for the message.
    value : object
        What the user gave.
    low, high : float, optional
        Bounds; ``low_open`` and ``high_open`` leave the bound itself out.
    integer : bool, default=False
        Whether only whole numbers are allowed.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> check_number("KDE", "bandwidth", 0.0, low=0, low_open=True)
    Traceback (most recent call last):
        ...
    augsynth.core.errors.ParameterError: KDE: bandwidth must be a number > 0; given 0.0.
    """
    kind = numbers.Integral if integer else numbers.Real
    good = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
    if good and low is not None:
        good = value > low if low_open else value >= low
    if good and high is not None:
        good = value < high if high_open else value <= high
    if good:
        return
    bounds = []
    if low is not None:
        bounds.append(f"{'>' if low_open else '>='} {low:g}")
    if high is not None:
        bounds.append(f"{'<' if high_open else '<='} {high:g}")
    noun = "a whole number" if integer else "a number"
    raise ParameterError(
        sentence(where, f"{name} must be {noun} {' and '.join(bounds)}".rstrip(), repr(value))
    )


def check_option(where: str, name: str, value: Any, options: Iterable[Any]) -> None:
    """Raise unless ``value`` is one of ``options``.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> check_option("KDE", "kernel", "round", ["gaussian", "cosine"])
    Traceback (most recent call last):
        ...
    augsynth.core.errors.ParameterError: KDE: kernel must be 'gaussian' or 'cosine'; given 'round'.
    """
    known = list(options)
    if any(type(value) is type(option) and value == option for option in known):
        return
    listed = [repr(option) for option in known]
    text = listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} or {listed[-1]}"
    raise ParameterError(sentence(where, f"{name} must be {text}", repr(value)))
