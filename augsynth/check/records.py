"""What a check found, as plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["plain", "records", "writable"]


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: what is not finite is None, what is no number or text is text."""
    if isinstance(value, Mapping):
        return {writable(str(key)): plain(each) for key, each in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if value is None or isinstance(value, (int, float, bool)):
        return value
    return writable(str(value))


def writable(text: str) -> str:
    r"""Return text that every file and screen can hold: halves of surrogate pairs are spelled out.

    Examples
    --------
    >>> print(writable("a\ud800"))
    a\ud800
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as mappings of plain values."""
    return [
        {writable(str(key)): plain(value) for key, value in row.items()} for row in frame.to_dict("records")
    ]
