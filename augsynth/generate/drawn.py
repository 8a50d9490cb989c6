"""What a generator hands out: rows with their parents, rows with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Drawn", "Labelled"]


class Labelled(NamedTuple):
    """Rows with their labels and groups (None where the generator has none)."""

    X: Any
    y: Any
    sensitive_features: Any


@dataclass
class Drawn:
    """Rows that a hook made, and whence.

    Attributes
    ----------
    rows : ndarray or container
        Encoded rows (n, p) from a hook that encodes; rows as given otherwise.
    source : ndarray of int, (n, k), optional
        Positions of the parents among the training rows, -1 where there is none.
    cells : ndarray of int, (n,), optional
        The cell of each row; filled in by the base class.
    """

    rows: Any
    source: np.ndarray | None = None
    cells: np.ndarray | None = None
