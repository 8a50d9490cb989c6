"""One column of a sequential-tree model: its tree, its leaves, and how features are made."""

from __future__ import annotations

from typing import Any

import numpy as np

from augsynth.core.persistence import persistent
from augsynth.encode.layout import Block
from augsynth.generate.tree_leaves import LeafTable
from augsynth.generate.tree_routes import RoutingTree, level_directions
from augsynth.generate.tree_scale import CONTINUOUS, MISSING, ColumnScale

__all__ = ["TreeColumn"]

_CLASSIFIED = 64  # more levels than this are grouped by regression on directions
_DIRECTIONS = 4
_WHOLE = 1e-3  # share of draws from the column's whole distribution: nothing seen is impossible


@persistent
class TreeColumn:
    """A column given the conditions and the columns before it.

    Parameters
    ----------
    position : int
        In ``z``.
    block : Block
    values : ndarray, (n,)
        The training cells.
    atom_rows : int
        A number that occurs so often keeps its exact value.

    Attributes
    ----------
    is_classified : bool
        Whether the tree is grown on the levels themselves.
    """

    def __init__(self, position: int, block: Block, values: np.ndarray, atom_rows: int):
        self.position, self.block = position, block
        self.scale = (
            ColumnScale(values, integer=block.integer, atom_rows=atom_rows) if block.is_numeric else None
        )
        few = min(_CLASSIFIED, len(values) // 2)
        self.is_classified = not block.is_numeric and len(np.unique(values)) <= few

    def fit(
        self,
        learner: Any,
        z: np.ndarray,
        conditions: np.ndarray,
        classes: np.ndarray,
        earlier: list[TreeColumn],
        weights: np.ndarray,
        leaf_rows: int,
        smoothing: float,
    ) -> None:
        """Grow the tree and fill its leaves; ``earlier`` holds the columns before this one."""
        own = z[:, self.position]
        code, score = self._codes(own)
        target = self._target(own, code, conditions, earlier, z, weights)
        wide = np.eye(int(target.max()) + 1)[target] if target.ndim == 1 else target
        self.features = [column.as_feature(z, wide, weights) for column in earlier]
        learner.fit(self._features(z, conditions), target, sample_weight=weights)
        self.tree = RoutingTree(learner.tree_)
        node = self.tree.apply(self._features(z, conditions))
        group = self.tree.groups(2 * leaf_rows)
        self.leaf_nodes, leaf = np.unique(node, return_inverse=True)
        self.group_nodes, grouped = np.unique(group[node], return_inverse=True)
        self.group_of_leaf = np.searchsorted(self.group_nodes, group[self.leaf_nodes])
        self.n_classes = int(classes.max()) + 1
        self.cells, cell = np.unique(leaf * self.n_classes + classes, return_inverse=True)
        levels = [
            (cell, len(self.cells), 32),
            (leaf, len(self.leaf_nodes), 32),
            (grouped, len(self.group_nodes), 128),
        ]
        levels.append((np.zeros(len(z), dtype=np.intp), 1, 256))
        self.tables = [
            LeafTable(at.reshape(-1), n, code, score, weights, scale=self.scale, max_pieces=pieces)
            for at, n, pieces in levels
        ]
        self.smoothing = smoothing

    def route(self, z: np.ndarray, conditions: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return the places (4, n) of rows: cell (leaf x class), leaf, group, whole; cell -1 if unseen."""
        node = self.tree.apply(self._features(z, conditions))
        leaf = np.searchsorted(self.leaf_nodes, node)
        wanted = leaf * self.n_classes + classes
        cell = np.minimum(np.searchsorted(self.cells, wanted), len(self.cells) - 1)
        cell = np.where(self.cells[cell] == wanted, cell, -1)
        return np.stack([cell, leaf, self.group_of_leaf[leaf], np.zeros_like(leaf)])

    def draw(self, place: np.ndarray, rng: np.random.Generator, *, missing: bool = True) -> np.ndarray:
        """Return a cell (n,) for each row, encoded as in ``z``; never missing unless ``missing``."""
        u, v, which = rng.random((3, place.shape[1]))
        share = self._shares(place, missing)
        edges = np.cumsum(share, axis=0)
        level = np.minimum((which >= edges / edges[-1]).sum(axis=0), len(self.tables) - 1)
        is_piece = np.zeros(len(u), dtype=bool)
        value = np.zeros(len(u))
        for k, table in enumerate(self.tables):
            at = np.flatnonzero(level == k)
            if len(at):
                is_piece[at], value[at] = table.draw(place[k, at], u[at], v[at], missing=missing)
        return self._decode(is_piece, value)

    def density(self, place: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the probability or density (n,) of encoded cells at their places."""
        share = self._shares(place, True)
        code, score = self._codes(values)
        total = np.zeros(len(values))
        for k, table in enumerate(self.tables):
            at = np.flatnonzero(share[k] > 0)
            total[at] += share[k, at] * self._density(table, place[k, at], values[at], code[at], score[at])
        return total

    def as_feature(self, z: np.ndarray, target: np.ndarray, weights: np.ndarray) -> tuple[Any, Any]:
        """Return what turns this column into a feature for a target: (column, level places or None)."""
        if self.block.is_numeric:
            return self.position, self.scale
        places = level_directions(self._levels(z), self.block.n_levels, target, weights, 1)[:, 0]
        return self.position, places.astype(np.float32)

    def _features(self, z: np.ndarray, conditions: np.ndarray) -> np.ndarray:
        features = np.empty((len(z), conditions.shape[1] + max(len(self.features), 1)), dtype=np.float32)
        features[:, : conditions.shape[1]] = conditions
        features[:, conditions.shape[1] :] = 0.0
        for k, (position, how) in enumerate(self.features, start=conditions.shape[1]):
            column = z[:, position]
            if isinstance(how, ColumnScale):
                features[:, k] = how.encode(column)
            else:
                features[:, k] = how[np.where(np.isnan(column), len(how) - 1, column).astype(np.intp)]
        return features

    def _levels(self, z: np.ndarray) -> np.ndarray:
        column = z[:, self.position]
        return np.where(np.isnan(column), self.block.n_levels, column).astype(np.intp)

    def _codes(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the atom code and the place in [0, 1] of encoded cells."""
        if self.scale is None:
            return np.where(np.isnan(values), MISSING, values).astype(np.intp), np.zeros(len(values))
        return self.scale.code(values), np.nan_to_num(self.scale.encode(values))

    def _target(
        self,
        own: np.ndarray,
        code: np.ndarray,
        conditions: np.ndarray,
        earlier: list[TreeColumn],
        z: np.ndarray,
        weights: np.ndarray,
    ) -> np.ndarray:
        if self.is_classified:
            return np.unique(code, return_inverse=True)[1].reshape(-1)
        absent = np.isnan(own)
        if self.scale is not None:
            ordered = np.sort(own)
            rank = np.searchsorted(ordered, own, "left") + np.searchsorted(ordered, own, "right")
            rank = np.where(absent, 0.5, rank / (2 * len(own)))
            return np.stack([rank, absent], axis=1) if absent.any() else rank[:, None]
        # Many levels: they are told apart by what comes before them, and by how frequent they are.
        count = np.bincount(self._levels(z), weights, minlength=self.block.n_levels + 1)
        seen = [conditions, np.log1p(count)[self._levels(z)][:, None]]
        seen += [
            np.nan_to_num(column._codes(z[:, column.position])[1], nan=0.5)[:, None] for column in earlier
        ]
        context = np.concatenate(seen, axis=1).astype(np.float64)
        context = (context - context.mean(axis=0)) / (context.std(axis=0) + 1e-9)
        places = level_directions(self._levels(z), self.block.n_levels, context, weights, _DIRECTIONS)
        return places[self._levels(z)]

    def _shares(self, place: np.ndarray, missing: bool) -> np.ndarray:
        """Return how much of each draw comes from the cell, leaf, group and whole, (4, n)."""
        own = np.where(place[0] >= 0, self.tables[0].rows[place[0]], 0.0)
        leaf = self.tables[1].rows[place[1]]
        tiny = 1e-12
        stay = own / (own + self.smoothing + tiny)
        further = (1 - stay) * leaf / (leaf + self.smoothing + tiny)
        share = np.stack([stay, further, 1 - stay - further, np.zeros_like(stay)])
        share *= 1 - _WHOLE
        share[3] = _WHOLE
        if not missing:
            for k, table in enumerate(self.tables):
                share[k] *= 1 - table.missing[place[k]]
        return share

    def _density(
        self, table: LeafTable, place: np.ndarray, values: np.ndarray, code: np.ndarray, score: np.ndarray
    ) -> np.ndarray:
        mass = table.atom_mass(place, code)
        if self.scale is None:
            return mass
        if self.scale.integer:
            ends = [self.scale.encode(values + half) for half in (0.5, -0.5)]
            cell = table.piece_mass_below(place, ends[0]) - table.piece_mass_below(place, ends[1])
            return mass + np.where(np.isnan(values), 0.0, cell)
        spread = table.piece_density(place, score) * self.scale.slope(values)
        return mass + np.where(code == CONTINUOUS, spread, 0.0)

    def _decode(self, is_piece: np.ndarray, value: np.ndarray) -> np.ndarray:
        code = np.where(is_piece, MISSING, value).astype(np.intp)
        if self.scale is None:
            return np.where(code == MISSING, np.nan, code)
        out = self.scale.decode(value)
        atoms = self.scale.atoms if len(self.scale.atoms) else np.zeros(1)
        return np.where(is_piece, out, np.where(code == MISSING, np.nan, atoms[np.maximum(code, 0)]))
