"""New and real rows in one pool, and what "same distribution" would have made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from augsynth.check.evidence import Evidence, Rows, match_cells
from augsynth.check.finding import Check
from augsynth.check.permutation import swapped_labels, tail_p_value
from augsynth.check.samples import as_samples
from augsynth.core.random import keyed_rng
from augsynth.encode.layout import Layout

__all__ = [
    "Exchange",
    "PairedCheck",
    "as_samples",
    "joint_chance",
    "named",
    "no_pair",
    "reach",
    "whole",
    "within",
]

N_PERMUTATIONS = 499
N_HALVES = 60
_STREAM, _HALF_STREAM = 331, 332
_FEWEST = 10  # rows a side, below which nothing is said


@dataclass(frozen=True, eq=False)
class Exchange:
    """The matched rows of both sides, and relabellings of them.

    Attributes
    ----------
    new, real : Rows
        Equally many of every cell, in the same order of cells.
    evidence : Evidence
        What they were taken from.
    """

    new: Rows
    real: Rows
    evidence: Evidence

    def __len__(self) -> int:
        return len(self.new)

    @property
    def layout(self) -> Layout:
        """The layout of `z`: features, and the target as last column."""
        return self.evidence.joint_layout

    @cached_property
    def z(self) -> np.ndarray:
        """The encoded rows (2 k, p) with their target, the new ones first."""
        return np.vstack([self.evidence.joint(self.new), self.evidence.joint(self.real)])

    @cached_property
    def design(self) -> np.ndarray:
        """The rows as vectors (2 k, d), the new ones first."""
        return np.vstack([self.evidence.design(self.new), self.evidence.design(self.real)])

    @cached_property
    def labels(self) -> np.ndarray:
        """Labellings (n_permutations, 2 k) of bool, as likely as the true one under "same distribution"."""
        rng = keyed_rng(self.evidence.seed, _STREAM, len(self))
        return swapped_labels(self.new.cells, N_PERMUTATIONS, rng)

    @cached_property
    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights (R, 2 k) of the rows as new and as real ones.

        Row 0 is what was seen, then come the relabellings, then `N_HALVES` halves of both
        sides, whose figures scatter about the whole one as the whole one does about the truth.
        """
        k = len(self)
        seen = np.repeat([True, False], k)
        rng = keyed_rng(self.evidence.seed, _HALF_STREAM, k)
        kept = np.zeros((N_HALVES, 2 * k), dtype=bool)
        cells = self.new.cells
        for row in kept:  # as many of a cell on both sides
            start = rng.integers(2) if k % 2 == 0 else 0
            for first in (0, k):
                row[first + np.lexsort((rng.random(k), cells))[start::2]] = True
        new = np.vstack([seen, self.labels, kept & seen])
        real = np.vstack([~seen, ~self.labels, kept & ~seen])
        return new.astype(np.float32), real.astype(np.float32)

    def sums(self, features: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums of features (2 k, M) over the new and over the real rows, each (R, M)."""
        new, real = self.parts
        total = np.asarray(features.sum(axis=0)).ravel()
        first = _times(new, features)
        second = np.empty_like(first)
        second[:-N_HALVES] = total - first[:-N_HALVES]
        second[-N_HALVES:] = _times(real[-N_HALVES:], features)
        return first, second

    def smaller(self, most: int) -> Exchange:
        """Return an exchange of at most so many rows a side, of every cell alike."""
        if len(self) <= most:
            return self
        key = ("smaller", most)
        kept = _kept(self.evidence)
        if key not in kept:
            places = match_cells(self.new.cells, self.real.cells, most, self.evidence.seed)
            kept[key] = Exchange(self.new.take(places[0]), self.real.take(places[1]), self.evidence)
        return kept[key]


def _kept(evidence: Evidence) -> dict[Any, Any]:
    """Return what is kept with the evidence and goes with it (a table elsewhere would hold it for ever)."""
    return evidence.__dict__.setdefault("_exchanges", {})


def whole(evidence: Evidence) -> Exchange:
    """Return the exchange of all matched rows: one for all checks of the same evidence."""
    kept = _kept(evidence)
    if "whole" not in kept:
        kept["whole"] = Exchange(*evidence.matched, evidence)
    return kept["whole"]


def within(evidence: Evidence, name: str, make: Any) -> Any:
    """Return what several checks share about the same evidence, made once."""
    kept = _kept(evidence)
    if name not in kept:
        kept[name] = make()
    return kept[name]


def no_pair(evidence: Evidence) -> str:
    """Return why new and real rows cannot be compared, or ""."""
    k = len(evidence.matched[0])
    if k >= _FEWEST:
        return ""
    return (
        f"Only {k} new rows have a real row of their class and group beside them; at least {_FEWEST} "
        "such rows are needed."
    )


class PairedCheck(Check):
    """A check that compares as many new as real rows of every class and group."""

    part = "fidelity"

    def applies(self, evidence: Evidence) -> str:
        """Return "" if there are enough rows, else the reason why not."""
        return no_pair(evidence)


def _times(weights: np.ndarray, features: Any) -> np.ndarray:
    if sparse.issparse(features):
        return np.asarray((features.T.tocsr() @ np.ascontiguousarray(weights.T)).T)
    return weights @ features


def joint_chance(
    seen: np.ndarray, permuted: np.ndarray, ahead: np.ndarray | float = 0.0
) -> tuple[float, np.ndarray]:
    """Return the chance of the largest of several standardised figures, and each figure in these units.

    Parameters
    ----------
    seen : ndarray (S,)
    permuted : ndarray (B, S)
        Figures under relabelling; one that never varies says nothing.
    ahead : float or ndarray (S,)
        Standard deviations that a figure is put ahead of the others, in what is seen and in every
        relabelling: it gets more of the level, and the test remains exact.
    """
    if not len(seen):
        return 1.0, np.zeros(0)
    every = np.vstack([seen, permuted])  # what was seen counts like the rest, so that the test is exact
    centre, spread = every.mean(axis=0), every.std(axis=0)
    tiny = spread <= 1e-12 * np.maximum(1.0, np.abs(centre))
    largest = ((every - centre) / np.where(tiny, np.inf, spread) + ahead).max(axis=1)
    own = np.maximum(permuted.std(axis=0), spread / np.sqrt(len(every)))  # ranks what is far off
    z = np.where(tiny, 0.0, (seen - permuted.mean(axis=0)) / np.where(tiny, 1.0, own))
    return tail_p_value(float(largest[0]), largest[1:]), z


def reach(value: float, halved: np.ndarray, *, floor: float = 0.0) -> tuple[float, float]:
    """Return a 95 % interval of a figure from those of half samples."""
    halved = halved[np.isfinite(halved)]
    if len(halved) < 10 or not np.isfinite(value):
        return float("nan"), float("nan")
    width = 1.96 * float(np.std(halved, ddof=1))
    return max(floor, value - width), value + width


def named(names: Sequence[str], count: int = 3) -> str:
    """Say the first few names in words."""
    listed = [str(name) for name in names][:count]
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"
