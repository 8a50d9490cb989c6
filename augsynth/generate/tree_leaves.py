"""What a leaf holds: a distribution of one column, as atoms and pieces of even density."""

from __future__ import annotations

import numpy as np

from augsynth.core.persistence import persistent
from augsynth.generate.tree_scale import CONTINUOUS, MISSING, ColumnScale

__all__ = ["LeafTable"]

_LONELY = 1 / 64  # half-width, on [0, 1], of the piece round the only value of a leaf


@persistent
class LeafTable:
    """The distribution of one column in each of many leaves.

    A leaf has atoms (codes with a probability: levels, repeated values, missing) and
    pieces (intervals of [0, 1] with an even density). Each value of a leaf becomes one
    piece that reaches half-way to its neighbours; ``max_pieces`` bounds their number.

    Parameters
    ----------
    leaf : ndarray of int, (n,)
        Leaf of each training row.
    n_leaves : int
    code : ndarray of int, (n,)
        Atom of each row, or ``CONTINUOUS``.
    score : ndarray, (n,)
        Place in [0, 1] of each row (used where continuous).
    weights : ndarray, (n,)
    scale : ColumnScale or None
        None for a categorical column.

    Attributes
    ----------
    rows : ndarray, (n_leaves,)
        Weight of the training rows in each leaf.
    start : ndarray of int, (n_leaves + 1,)
        Where the entries of each leaf begin: its atoms by code (missing first), then
        its pieces from low to high.
    """

    def __init__(
        self,
        leaf: np.ndarray,
        n_leaves: int,
        code: np.ndarray,
        score: np.ndarray,
        weights: np.ndarray,
        *,
        scale: ColumnScale | None = None,
        max_pieces: int = 32,
    ):
        self.integer = scale is not None and scale.integer
        atom = code != CONTINUOUS
        span = int(code.max(initial=0)) + 2
        key, place = np.unique(leaf[atom] * span + code[atom] + 1, return_inverse=True)
        atom_mass = np.bincount(place, weights[atom], minlength=len(key))
        pieces = _pieces(leaf[~atom], score[~atom], weights[~atom], scale, max_pieces)
        leaves = np.concatenate([key // span, pieces[0]]).astype(np.intp)
        is_piece = np.repeat([False, True], [len(key), len(pieces[0])])
        low = np.concatenate([key % span - 1.0, pieces[1]])
        high = np.concatenate([key % span - 1.0, pieces[2]])
        mass = np.concatenate([atom_mass, pieces[3]])
        order = np.lexsort((low, is_piece, leaves))
        self.is_piece, self.low, self.high = is_piece[order], low[order], high[order]
        self.leaf = leaves[order]
        self.start = np.searchsorted(self.leaf, np.arange(n_leaves + 1))
        self.rows = np.bincount(leaves, mass, minlength=n_leaves)
        self.mass = mass[order] / self.rows[self.leaf]
        self.before = np.concatenate([[0.0], np.cumsum(self.mass)])
        first = np.minimum(self.start[:-1], max(len(self.low) - 1, 0))
        is_missing = (
            ~self.is_piece[first] & (self.low[first] == MISSING) & (self.leaf[first] == np.arange(n_leaves))
        )
        self.missing = np.where(is_missing, self.mass[first], 0.0)

    def draw(
        self, leaf: np.ndarray, u: np.ndarray, v: np.ndarray, *, missing: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (is_piece, atom code or place in [0, 1]) from uniforms u and v, each (n,)."""
        if not missing:  # the missing atom comes first, so larger u never hit it
            u = self.missing[leaf] + u * (1 - self.missing[leaf])
        entry = np.searchsorted(self.before, self.before[self.start[leaf]] + u, side="right") - 1
        first = self.start[leaf] + (self.missing[leaf] > 0) * (not missing)
        entry = np.clip(entry, np.minimum(first, self.start[leaf + 1] - 1), self.start[leaf + 1] - 1)
        return self.is_piece[entry], self.low[entry] + (self.high[entry] - self.low[entry]) * v

    def atom_mass(self, leaf: np.ndarray, code: np.ndarray) -> np.ndarray:
        """Return the probability of an atom in a leaf; 0 where it has none."""
        at = np.flatnonzero(~self.is_piece)
        span = int(max(self.low[at].max(initial=0), code.max(initial=0))) + 2
        known = self.leaf[at] * span + self.low[at].astype(np.intp) + 1
        wanted = leaf * span + code + 1
        place = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
        if len(known) == 0:
            return np.zeros(len(leaf))
        return np.where((known[place] == wanted) & (code != CONTINUOUS), self.mass[at[place]], 0.0)

    def piece_mass_below(self, leaf: np.ndarray, score: np.ndarray) -> np.ndarray:
        """Return the probability, in a leaf, of pieces below a place in [0, 1]."""
        at = np.flatnonzero(self.is_piece)
        if len(at) == 0:
            return np.zeros(len(leaf))
        total = np.concatenate([[0.0], np.cumsum(self.mass[at])])
        begin = np.searchsorted(self.leaf[at], leaf)
        place = np.searchsorted(2.0 * self.leaf[at] + self.low[at], 2.0 * leaf + score, side="right") - 1
        inside = place >= begin
        place = np.maximum(place, 0)
        entry = at[place]
        width = np.maximum(self.high[entry] - self.low[entry], 1e-300)
        part = np.clip((score - self.low[entry]) / width, 0, 1) * self.mass[entry]
        return np.where(inside, total[place] - total[begin] + part, 0.0)

    def piece_density(self, leaf: np.ndarray, score: np.ndarray) -> np.ndarray:
        """Return the density, in a leaf, on [0, 1]."""
        at = np.flatnonzero(self.is_piece)
        if len(at) == 0:
            return np.zeros(len(leaf))
        place = np.searchsorted(2.0 * self.leaf[at] + self.low[at], 2.0 * leaf + score, side="right") - 1
        entry = at[np.maximum(place, 0)]
        inside = (place >= 0) & (self.leaf[entry] == leaf) & (score <= self.high[entry])
        width = np.maximum(self.high[entry] - self.low[entry], 1e-300)
        return np.where(inside, self.mass[entry] / width, 0.0)


def _pieces(
    leaf: np.ndarray, score: np.ndarray, weights: np.ndarray, scale: ColumnScale | None, max_pieces: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (leaf, low, high, mass) of the pieces."""
    if len(leaf) == 0:
        empty = np.zeros(0)
        return empty.astype(np.intp), empty, empty, empty
    order = np.lexsort((score, leaf))
    leaf, score, weights = leaf[order], score[order], weights[order]
    new = np.concatenate([[True], (np.diff(leaf) != 0) | (np.diff(score) != 0)])
    mass = np.bincount(np.cumsum(new) - 1, weights)
    leaf, score = leaf[new], score[new]
    first = np.concatenate([[True], np.diff(leaf) != 0])
    last = np.concatenate([first[1:], [True]])
    begin = np.flatnonzero(first)
    count = np.diff(np.concatenate([begin, [len(leaf)]]))
    middle = (score[1:] + score[:-1]) / 2
    gap = np.concatenate([np.diff(score), [0.0]])
    low, high = np.concatenate([[0.0], middle]), np.concatenate([middle, [0.0]])
    gap_before = np.concatenate([[0.0], gap[:-1]])
    low[first] = score[first] - np.where(count > 1, gap[first] / 2, _LONELY)
    high[last] = score[last] + np.where(count > 1, gap_before[last] / 2, _LONELY)
    low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
    # Neighbouring pieces are joined where a leaf has too many.
    rank = np.arange(len(leaf)) - np.repeat(begin, count)
    joined = rank * np.minimum(np.repeat(count, count), max_pieces) // np.repeat(count, count)
    head = np.flatnonzero(first | np.concatenate([[True], np.diff(joined) != 0]))
    tail = np.concatenate([head[1:] - 1, [len(leaf) - 1]])
    mass = np.add.reduceat(mass, head)
    leaf, low, high = leaf[head], low[head], high[tail]
    if scale is not None and scale.integer:
        low, high = _whole_cells(low, high, first[head], scale)
    return leaf, low, high, mass


def _whole_cells(
    low: np.ndarray, high: np.ndarray, first: np.ndarray, scale: ColumnScale
) -> tuple[np.ndarray, np.ndarray]:
    """Move the ends of pieces to half-integers, so that every integer has its whole cell."""
    under, over = (np.interp(ends, scale.scores, scale.values) for ends in (low, high))
    under = np.where(first, np.ceil(under) - 0.5, np.floor(under) + 0.5)
    over = np.floor(over) + 0.5
    under, over = np.maximum(under, scale.values[0]), np.minimum(over, scale.values[-1])
    over = np.maximum(over, under + 1)
    return np.interp(under, scale.values, scale.scores), np.interp(over, scale.values, scale.scores)
