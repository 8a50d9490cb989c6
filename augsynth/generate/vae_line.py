"""Straight lines through a latent space, one number at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

__all__ = ["Line"]

REACH = 2.5  # standard deviations to either side


@dataclass(frozen=True)
class Line:
    """Where a traversal starts, and how far it goes in each latent number.

    Attributes
    ----------
    start : ndarray, (d,)
        The code whose numbers are held while one moves.
    middle, reach : ndarray, (d,)
        Each moves from ``middle - reach`` to ``middle + reach``.
    """

    start: np.ndarray
    middle: np.ndarray
    reach: np.ndarray

    @classmethod
    def through(cls, codes: np.ndarray, start: np.ndarray | None) -> Self:
        """Take middle and reach from draws (n, d) of the prior; they start at their mean by default."""
        middle = codes.mean(axis=0)
        own = middle if start is None else np.asarray(start, dtype=np.float64)
        return cls(own, middle, REACH * codes.std(axis=0))

    def ends(self) -> np.ndarray:
        """Return the last codes of every number upwards, then those downwards, (2 d, d)."""
        return np.concatenate([self.start + np.diag(self.reach), self.start - np.diag(self.reach)])

    def strongest(self, raw: np.ndarray) -> list[int]:
        """Sort the numbers by how far apart the outputs (2 d, ...) of their ends are, widest first."""
        up, down = np.split(raw.reshape(len(raw), -1), 2)
        return [int(k) for k in np.argsort(-np.abs(up - down).sum(axis=1), kind="stable")]

    def points(self, dimensions: Sequence[int], steps: int) -> np.ndarray:
        """Return the codes along the given numbers, one after the other, (len * steps, d).

        Examples
        --------
        >>> Line(np.zeros(2), np.zeros(2), np.array([1.0, 3.0])).points([1], 3).tolist()
        [[0.0, -3.0], [0.0, 0.0], [0.0, 3.0]]
        """
        line = np.tile(self.start, (len(dimensions), steps, 1))
        for place, k in enumerate(dimensions):
            line[place, :, k] = self.middle[k] + np.linspace(-self.reach[k], self.reach[k], steps)
        return line.reshape(-1, len(self.start))
