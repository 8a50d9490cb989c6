"""What every check looks at: training, new and held-out rows in one encoding, and fair samples of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from augsynth.core.arrays import take_rows
from augsynth.core.random import keyed_rng
from augsynth.encode.distance import MixedDistance
from augsynth.encode.layout import Block, Layout
from augsynth.encode.neighbors import NeighborIndex
from augsynth.encode.scores import NormalScores

__all__ = ["Evidence", "Rows", "match_cells"]

_MATCH, _CAP, _HALVES = 301, 302, 303
_SHOWN_LEVELS = 30  # the most frequent levels of a column have a coordinate each, the others share one


@dataclass(frozen=True, eq=False)
class Rows:
    """One of the three samples.

    Attributes
    ----------
    z : ndarray (n, p)
        Encoded features: numbers in data units, level codes, NaN where missing. For
        pictures, clips and texts: fixed features, which no label has touched.
    labels, groups, cells : ndarray (n,) of int
        Codes of the class, of the sensitive group and of the two together; 0 where there
        are none. For a numeric target `labels` is 0, and `target` holds the numbers.
    target : ndarray (n,) of float
        Class codes, or the numbers of a numeric target; NaN where there is no target.
    keys : ndarray (n,) of uint64
        Equal for rows that are equal in every feature to the letter.
    X : container
        The rows as given (a DataFrame for tables).
    """

    z: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    cells: np.ndarray
    target: np.ndarray
    keys: np.ndarray
    X: Any

    def __len__(self) -> int:
        return len(self.z)

    def take(self, places: np.ndarray) -> Rows:
        """Return some of the rows."""
        return Rows(
            self.z[places],
            self.labels[places],
            self.groups[places],
            self.cells[places],
            self.target[places],
            self.keys[places],
            take_rows(self.X, places),
        )


@dataclass(frozen=True, eq=False)
class Evidence:
    """Training rows, new rows and real rows that nobody has trained on.

    Attributes
    ----------
    train, made : Rows
    holdout : Rows or None
        None: measures of fidelity fall back on the training rows, and say so.
    layout : Layout
        Of ``z``. `joint_layout` has the target as one more, last column.
    classes, groups, cells : list of str
        Names by code.
    target_kind : str
        "class", "number" or "none".
    modality : str
        "table", "image", "audio", "text", or "features" for the user's own.
    left_out : list of str
        Columns of tables that are in ``X`` but not in ``z``: identifiers and free text.
    max_rows : int or None
        Most rows of each sample for whatever costs more than sorting; None for all.
    """

    train: Rows
    made: Rows
    holdout: Rows | None
    layout: Layout
    classes: Sequence[str] = ()
    groups: Sequence[str] = ()
    cells: Sequence[str] = ()
    target_kind: str = "none"
    modality: str = "table"
    left_out: Sequence[str] = ()
    max_rows: int | None = 10_000
    seed: int = 0
    notes: Sequence[str] = field(default_factory=list)

    @property
    def reference(self) -> Rows:
        """The real rows that new ones are compared with: held out if there are any."""
        return self.train if self.holdout is None else self.holdout

    def with_made(self, made: Rows, holdout: Rows | None = None) -> Evidence:
        """Return the same evidence about other new rows (a control), and other held-out rows if given."""
        other = replace(self, made=made, holdout=self.holdout if holdout is None else holdout)
        for name in ("distance", "_design", "_ranges", "_indices"):  # none of them depends on the new rows
            other.__dict__[name] = getattr(self, name)
        return other

    # ---- samples

    @cached_property
    def matched(self) -> tuple[Rows, Rows]:
        """New and reference rows, as many of one as of the other in every cell, in the same order of cells.

        What was asked for (so many rows of each class and group) is thus no difference
        between the two; everything within the cells is. Under "same distribution" the two
        may be exchanged within cells, which is what permutation tests need. At most
        ``max_rows`` of each.
        """
        places = match_cells(self.made.cells, self.reference.cells, self.max_rows, self.seed)
        return self.made.take(places[0]), self.reference.take(places[1])

    def capped(self, rows: Rows, most: int | None = None) -> Rows:
        """Return at most ``most`` (or `max_rows`) of the rows, drawn at random, in their order."""
        limit = self.max_rows if most is None else min(most, self.max_rows or most)
        if limit is None or len(rows) <= limit:
            return rows
        rng = keyed_rng(self.seed, _CAP, len(rows))
        return rows.take(np.sort(rng.choice(len(rows), limit, replace=False)))

    @cached_property
    def halves(self) -> tuple[Rows, Rows] | None:
        """Two halves of the held-out rows, split within cells; None where there are too few."""
        if self.holdout is None or len(self.holdout) < 4:
            return None
        rng = keyed_rng(self.seed, _HALVES)
        order = rng.permutation(len(self.holdout))
        order = order[np.argsort(self.holdout.cells[order], kind="stable")]
        return self.holdout.take(np.sort(order[0::2])), self.holdout.take(np.sort(order[1::2]))

    # ---- coordinates, learned from the training rows

    @cached_property
    def distance(self) -> MixedDistance:
        """The distance of rows: standardised numbers, and one unit for a category that differs."""
        return MixedDistance.fit(self.train.z, self.layout, missing="state")

    @cached_property
    def _indices(self) -> dict[int, tuple[Rows, NeighborIndex]]:
        return {}

    def index(self, rows: Rows) -> NeighborIndex:
        """Return the nearest-neighbour index of some rows, in this distance; made once for each object."""
        if id(rows) not in self._indices:
            self._indices[id(rows)] = rows, NeighborIndex(rows.z, self.distance)
        return self._indices[id(rows)][1]

    @cached_property
    def joint_layout(self) -> Layout:
        """The layout of `joint`."""
        if self.target_kind == "none":
            return self.layout
        low, high = (float(f(self.train.target)) for f in (np.nanmin, np.nanmax))
        n_levels = len(self.classes) if self.target_kind == "class" else 0
        return Layout((*self.layout.blocks, Block("target", n_levels=n_levels, low=low, high=high)))

    def joint(self, rows: Rows) -> np.ndarray:
        """Return the encoded rows with the target, where there is one, as the last column."""
        return rows.z if self.target_kind == "none" else np.column_stack([rows.z, rows.target])

    @cached_property
    def _design(self) -> tuple[NormalScores, list[np.ndarray]]:
        layout = self.joint_layout
        z = self.joint(self.train)
        if self.holdout is None:  # the training rows are compared with the new ones: learn from both alike
            z = np.vstack([z, self.joint(self.made)])
        numeric = Layout(tuple(block for block in layout if block.is_numeric))
        scores = NormalScores(atom_share=None).fit(z[:, layout.numeric], numeric)
        common = []
        for j in layout.categorical:
            codes = z[:, j]
            counts = np.bincount(codes[~np.isnan(codes)].astype(int), minlength=layout[int(j)].n_levels)
            common.append(np.argsort(-counts, kind="stable")[:_SHOWN_LEVELS])
        return scores, common

    @cached_property
    def _ranges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ends and spread of the training numbers; columns of which nothing is known have no ends."""
        known = self.joint(self.train)[:, self.joint_layout.numeric]
        gaps = np.isnan(known)
        low = np.where(gaps, np.inf, known).min(axis=0)
        high = np.where(gaps, -np.inf, known).max(axis=0)
        none = gaps.all(axis=0)
        spread = np.nanstd(np.where(none, 0.0, known), axis=0)
        return np.where(none, -np.inf, low), np.where(none, np.inf, high), np.where(spread > 0, spread, 1.0)

    def design(self, rows: Rows) -> np.ndarray:
        """Return rows as vectors (n, d) for measures that need a linear space, target included.

        Numbers become normal scores of the training rows (beyond their range one more for each
        standard deviation: the last quantiles alone would say anything), missing
        ones 0 with a coordinate that says so; a category has a coordinate a level, scaled so
        that two different categories lie one apart, rare levels together.
        """
        layout, z = self.joint_layout, self.joint(rows)
        scores, common = self._design
        numbers = z[:, layout.numeric]
        gaps = np.isnan(numbers)
        low, high, scale = self._ranges
        inside = np.clip(numbers, low, high)
        parts = [np.where(gaps, 0.0, scores.encode(inside) + (numbers - inside) / scale)]
        holed = np.isnan(self.joint(self.train)[:, layout.numeric]).any(axis=0)
        parts.append(gaps[:, holed].astype(float))
        for j, levels in zip(layout.categorical, common, strict=True):
            codes = np.where(np.isnan(z[:, j]), -1, z[:, j]).astype(int)
            hot = (codes[:, None] == levels).astype(float)
            other = (
                (1.0 - hot.sum(axis=1, keepdims=True))
                if len(levels) < layout[int(j)].n_levels
                else hot[:, :0]
            )
            parts.append(np.hstack([hot, other]) * np.sqrt(0.5))
        return np.hstack(parts)


def match_cells(
    a: np.ndarray, b: np.ndarray, most: int | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return places in two samples, equally many of every cell, both ordered by cell.

    Parameters
    ----------
    a, b : ndarray of int
        Cells of the rows of the two samples.
    most : int, optional
        Most places of each; cells are cut in proportion, none of them to nothing.

    Examples
    --------
    >>> first, second = match_cells(np.array([0, 0, 0, 1]), np.array([1, 0, 0, 1, 2]))
    >>> len(first), len(second)
    (3, 3)
    """
    rng = keyed_rng(seed, _MATCH)
    shared = np.intersect1d(a, b)
    room = {cell: min(int((a == cell).sum()), int((b == cell).sum())) for cell in shared}
    total = sum(room.values())
    share = 1.0 if most is None or total <= most else most / total
    chosen: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for cell in shared:
        wanted = max(1, int(room[cell] * share))
        for side, cells in zip(chosen, (a, b), strict=True):
            side.append(np.sort(rng.permutation(np.flatnonzero(cells == cell))[:wanted]))
    empty = np.empty(0, dtype=int)
    return np.concatenate([*chosen[0], empty]), np.concatenate([*chosen[1], empty])
