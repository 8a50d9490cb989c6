"""What the columns of an encoded table are: the map that every generator reads.

An encoded table is a float matrix ``z`` (n, p), one column a table column: numbers
in data units, categories as level codes 0, 1, ..., missing cells as NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from augsynth.core.errors import DataError, sentence
from augsynth.core.persistence import persistent

__all__ = ["Block", "Layout", "refuse_gaps"]


@persistent
@dataclass(frozen=True)
class Block:
    """One encoded column.

    Attributes
    ----------
    name : str
        The table column's name, as text.
    n_levels : int
        Number of categories; 0 for a numeric column.
    ordered : bool
        Whether the levels have an order (ordinal columns).
    integer : bool
        Whether decoded numbers are rounded (integers, dates).
    low, high : float
        Smallest and largest number seen (numeric columns), in data units.
    missing : bool
        Whether a missing cell was seen.
    """

    name: str
    n_levels: int = 0
    ordered: bool = False
    integer: bool = False
    low: float = float("nan")
    high: float = float("nan")
    missing: bool = False

    @property
    def is_numeric(self) -> bool:
        """Whether the column holds numbers rather than level codes."""
        return self.n_levels == 0


@persistent
@dataclass(frozen=True)
class Layout:
    """The blocks of an encoded table, in column order."""

    blocks: tuple[Block, ...]

    def __len__(self) -> int:
        return len(self.blocks)

    def __iter__(self):
        return iter(self.blocks)

    def __getitem__(self, index: int) -> Block:
        return self.blocks[index]

    @cached_property
    def numeric(self) -> np.ndarray:
        """Positions of the numeric columns, (p_num,) int."""
        return np.array([i for i, b in enumerate(self.blocks) if b.is_numeric], dtype=np.intp)

    @cached_property
    def categorical(self) -> np.ndarray:
        """Positions of the categorical columns, (p_cat,) int."""
        return np.array([i for i, b in enumerate(self.blocks) if not b.is_numeric], dtype=np.intp)

    @cached_property
    def n_levels(self) -> np.ndarray:
        """Number of levels of each column, (p,) int; 0 where numeric."""
        return np.array([b.n_levels for b in self.blocks], dtype=np.intp)


def refuse_gaps(name: str, gap: np.ndarray) -> None:
    """Raise DataError if a cell of a column is missing, ``gap`` (n,) bool, in which none was in fit."""
    if gap.any():
        raise DataError(
            sentence(
                f"column {name!r}",
                "must have no missing cell, since none was seen in fit",
                f"{int(gap.sum())} missing",
                "Fill them, or fit on rows that show how cells go missing.",
            )
        )
