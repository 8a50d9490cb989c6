"""Training and held-out rows in equal number, and the nearest of them to each new row."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from augsynth.check.evidence import Evidence, match_cells
from augsynth.check.kept import once
from augsynth.core.random import keyed_rng
from augsynth.encode.neighbors import NeighborIndex

__all__ = [
    "FULL",
    "QUICK",
    "MIN_PAIRS",
    "Nearest",
    "References",
    "made_places",
    "nearest",
    "needs_holdout",
    "references",
]

MIN_PAIRS = 20
FULL, QUICK = 5000, 2500  # new rows that are looked up: for the findings, and for each control
_MADE = 401
_TIED = 16  # rows at the same distance that are told apart; more are mixed anyway


@dataclass(frozen=True, eq=False)
class References:
    """As many training as held-out rows in every cell.

    Attributes
    ----------
    train, holdout : ndarray (k,) of int
        Places in the two samples; row i of one is of the same cell as row i of the other.
    z : ndarray (2 k, p)
        Their encoded rows, training rows first.
    index : NeighborIndex
        Of ``z``.
    kept : dict
        What checks have found out about the references alone, for the next new rows.
    """

    train: np.ndarray
    holdout: np.ndarray
    z: np.ndarray
    index: NeighborIndex
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def n_pairs(self) -> int:
        """Rows of each kind."""
        return len(self.train)


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest references of some new rows.

    Attributes
    ----------
    made : ndarray (m,) of int
        Places of the new rows.
    distances : ndarray (m, k)
        Ascending.
    positions : ndarray (m, k) of int
        Rows of the references; below ``n_pairs`` it is a training row.
    """

    made: np.ndarray
    distances: np.ndarray
    positions: np.ndarray

    @cached_property
    def tied(self) -> np.ndarray:
        """Which of the positions are as near as the nearest, (m, k) of bool."""
        return self.distances <= self.distances[:, :1]

    @cached_property
    def n_tied(self) -> np.ndarray:
        """How many are, (m,) of int."""
        return self.tied.sum(axis=1)

    @property
    def alone(self) -> np.ndarray:
        """The references that are nearer to a new row than all others, for the new rows that have such."""
        return self.positions[self.n_tied == 1, 0]

    @property
    def crowded(self) -> np.ndarray:
        """Which new rows have more references at one distance than were looked up, (m,) of bool."""
        k = self.distances.shape[1]
        return self.n_tied == k if k > 2 else np.zeros(len(self.distances), dtype=bool)


def needs_holdout(evidence: Evidence) -> str:
    """Return why training rows cannot be compared with held-out ones, or ""."""
    if evidence.holdout is None:
        return (
            "Needs real rows that the generator has not seen: without them, rows near training rows cannot "
            "be told from rows that are merely likely. Pass holdout=(X, y)."
        )
    shared = np.intersect1d(evidence.train.cells, evidence.holdout.cells)
    pairs = sum(
        min(int((evidence.train.cells == cell).sum()), int((evidence.holdout.cells == cell).sum()))
        for cell in shared
    )
    if pairs < MIN_PAIRS:
        return f"Needs at least {MIN_PAIRS} held-out rows of the classes and groups of the training rows."
    return ""


def references(evidence: Evidence, draw: int = 0) -> References:
    """Return one draw of equally many training and held-out rows; kept for the next check that asks."""
    holdout = evidence.holdout
    if holdout is None:
        raise ValueError("no held-out rows")
    key = ("references", id(evidence.train), evidence.max_rows, evidence.seed, draw)
    # the training rows are kept with it, so that their id stays theirs
    return once(holdout, key, lambda: (_drawn(evidence, draw), evidence.train))[0]


def _drawn(evidence: Evidence, draw: int) -> References:
    train, held = evidence.train, evidence.reference
    places = match_cells(train.cells, held.cells, evidence.max_rows, evidence.seed + 7919 * draw)
    z = np.vstack([train.z[places[0]], held.z[places[1]]])
    return References(*places, z, NeighborIndex(z, evidence.distance))


def made_places(evidence: Evidence, most: int = FULL) -> np.ndarray:
    """Return the places of at most ``most`` new rows, ascending; of all, if `max_rows` is None."""
    n = len(evidence.made)
    limit = n if evidence.max_rows is None and most == FULL else min(most, evidence.max_rows or n)
    if n <= limit:
        return np.arange(n)
    return np.sort(keyed_rng(evidence.seed, _MADE, n).choice(n, limit, replace=False))


def nearest(evidence: Evidence, draw: int = 0, most: int = FULL) -> Nearest:
    """Return the nearest references of the new rows; kept for the next check that asks."""
    return once(evidence, ("nearest", draw, most), lambda: _looked_up(evidence, draw, most))


def _looked_up(evidence: Evidence, draw: int, most: int) -> Nearest:
    refs, places = references(evidence, draw), made_places(evidence, most)
    return Nearest(places, *refs.index.query(evidence.made.z[places], min(_TIED, len(refs.z))))
