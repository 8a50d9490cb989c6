"""Single values that JSON has no form for, as text and back: times, decimals, bytes, intervals, pictures."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any

import pandas as pd

from augsynth.core.errors import ModelFileError, sentence
from augsynth.core.pictures import picture_from, picture_parts

__all__ = ["pack_scalar", "unpack_scalar"]

# Of each class, what its constructor (below) is given back. Subclasses come before their bases.
_PARTS: list[tuple[type, str, Callable[[Any], list[Any]]]] = [
    (type(pd.NaT), "NaT", lambda value: []),
    (type(pd.NA), "NA", lambda value: []),
    (pd.Timestamp, "Timestamp", lambda value: [value.isoformat(), value.unit, str(value.tz or "")]),
    (pd.Timedelta, "Timedelta", lambda value: [value.isoformat(), value.unit]),
    (pd.Period, "Period", lambda value: [str(value), value.freqstr]),
    (pd.Interval, "Interval", lambda value: [value.left, value.right, value.closed]),
    (datetime.datetime, "datetime", lambda value: [value.isoformat()]),
    (datetime.date, "date", lambda value: [value.isoformat()]),
    (datetime.time, "time", lambda value: [value.isoformat()]),
    (datetime.timedelta, "timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    (decimal.Decimal, "Decimal", lambda value: [str(value)]),
    (bytes, "bytes", lambda value: [value.hex()]),
    (complex, "complex", lambda value: [value.real, value.imag]),
    (slice, "slice", lambda value: [value.start, value.stop, value.step]),
]


def _timestamp(text: str, unit: str, zone: str) -> pd.Timestamp:
    made = pd.Timestamp(text).as_unit(unit)
    return made.tz_convert(zone) if zone else made


def _tensor_parts(value: Any) -> list[Any] | None:
    """Return the numbers of a plain torch tensor, such as a picture in a list; None for anything else.

    Raises
    ------
    ModelFileError
        For tensors whose numbers numpy has no form for: sparse, quantized, nested, of the device
        "meta", bfloat16 and float8.
    """
    if type(value).__module__ != "torch" or type(value).__name__ != "Tensor":
        return None
    must = "a tensor must hold a plain number at each place, of a type that numpy has"
    if value.device.type == "meta":
        given, todo = "one on the device 'meta'", "Load the values first."
    elif value.is_nested or str(value.layout) != "torch.strided":
        given = "a nested one" if value.is_nested else f"one of the layout {str(value.layout)[6:]}"
        todo = "Make it dense first."
    elif value.is_quantized:
        given, todo = f"one of {str(value.dtype)[6:]}", "Use .dequantize()."
    else:
        try:
            return [value.detach().cpu().resolve_conj().resolve_neg().numpy()]
        except TypeError:
            given, todo = f"one of {str(value.dtype)[6:]}", "Use .float()."
    raise ModelFileError(sentence("save", must, given, todo))


def _tensor(array: Any) -> Any:
    import torch

    return torch.from_numpy(array.copy())


_MAKERS: dict[str, Callable[..., Any]] = {
    "tensor": _tensor,
    "picture": picture_from,
    "NaT": lambda: pd.NaT,
    "NA": lambda: pd.NA,
    "Timestamp": _timestamp,
    "Timedelta": lambda text, unit: pd.Timedelta(text).as_unit(unit),
    "Period": lambda text, freq: pd.Period(text, freq=freq),
    "Interval": lambda left, right, closed: pd.Interval(left, right, closed=closed),
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": datetime.timedelta,
    "Decimal": decimal.Decimal,
    "bytes": bytes.fromhex,
    "complex": complex,
    "slice": slice,
}


def pack_scalar(value: Any) -> tuple[str, list[Any]] | None:
    """Return the kind of a value and its parts, or None for what is no such value.

    Examples
    --------
    >>> kind, parts = pack_scalar(decimal.Decimal("1.50"))
    >>> unpack_scalar(kind, parts)
    Decimal('1.50')
    """
    for cls, kind, parts in _PARTS:
        if type(value) is cls:
            return kind, parts(value)
    for kind, found in (("picture", picture_parts(value)), ("tensor", _tensor_parts(value))):
        if found is not None:
            return kind, found
    return None


def unpack_scalar(kind: str, parts: list[Any]) -> Any:
    """Return the value that :func:`pack_scalar` took apart."""
    return _MAKERS[kind](*parts)
