"""One column of a sequential-tree model: its form, and its tree over a family of classes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from augsynth.core.persistence import persistent
from augsynth.encode.layout import Block
from augsynth.encode.tree_routes import RoutingTree
from augsynth.generate.tree_leaves import LeafTable
from augsynth.generate.tree_levels import level_directions
from augsynth.generate.tree_scale import CONTINUOUS, MISSING, ColumnScale

__all__ = ["ColumnForm", "FamilyRows", "TreeColumn"]

_CLASSIFIED = 64  # more levels than this are grouped by regression on directions
_DIRECTIONS = 4
_WHOLE = 1e-3  # share of draws from the column over all classes: nothing seen is impossible


@persistent
class ColumnForm:
    """What all classes share of a column: its scale, and its distribution over all rows.

    Parameters
    ----------
    position : int
        In ``z``.
    block : Block
    values, weights : ndarray, (n,)
        All training cells.
    atom_rows : int
        A number that occurs so often keeps its exact value.
    """

    def __init__(self, position: int, block: Block, values: np.ndarray, weights: np.ndarray, atom_rows: int):
        self.position, self.block = position, block
        if np.isnan(values).all():  # in the rows that weigh anything: no more is known than the range
            values, weights = np.append(values, self._stand_ins()), np.append(weights, [1e-9] * 2)
        self.scale = (
            ColumnScale(values, integer=block.integer, atom_rows=atom_rows) if block.is_numeric else None
        )
        everywhere = np.zeros(len(values), dtype=np.intp)
        code, score = self.codes(values)
        self.whole = LeafTable(everywhere, 1, code, score, weights, scale=self.scale, max_pieces=256)

    def _stand_ins(self) -> list[float]:
        return (
            [self.block.low, self.block.high] if self.block.is_numeric else [0.0, self.block.n_levels - 1.0]
        )

    def codes(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the atom code and the place in [0, 1] of encoded cells."""
        if self.scale is None:
            return np.where(np.isnan(values), MISSING, values).astype(np.intp), np.zeros(len(values))
        return self.scale.code(values), np.nan_to_num(self.scale.encode(values))

    def levels(self, values: np.ndarray) -> np.ndarray:
        """Return level codes of a categorical column, ``n_levels`` where missing."""
        return np.where(np.isnan(values), self.block.n_levels, values).astype(np.intp)

    def decode(self, is_piece: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Return encoded cells of drawn atoms and pieces."""
        code = np.where(is_piece, MISSING, value).astype(np.intp)
        if self.scale is None:
            return np.where(code == MISSING, np.nan, code)
        out = self.scale.decode(value)
        atoms = self.scale.atoms if len(self.scale.atoms) else np.zeros(1)
        return np.where(is_piece, out, np.where(code == MISSING, np.nan, atoms[np.maximum(code, 0)]))

    def density(self, table: LeafTable, place: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the probability or density (n,) of encoded cells in the leaves of a table."""
        code, score = self.codes(values)
        mass = table.atom_mass(place, code)
        if self.scale is None:
            return mass
        if not self.scale.by_density:
            ends = [self.scale.encode(values + half) for half in (0.5, -0.5)]
            cell = table.piece_mass_below(place, ends[0]) - table.piece_mass_below(place, ends[1])
            return mass + np.where(np.isnan(values), 0.0, cell)
        spread = table.piece_density(place, score) * self.scale.slope(values)
        return mass + np.where((code == CONTINUOUS) | self.scale.integer & (code != MISSING), spread, 0.0)


class FamilyRows(NamedTuple):
    """Encoded rows (n, p), the codes of their conditions (n, k) and class (n,), and their weights (n,)."""

    z: np.ndarray
    conditions: np.ndarray
    classes: np.ndarray
    weights: np.ndarray


@persistent
class TreeColumn:
    """A column given the conditions and the columns before it, for a family of classes.

    Parameters
    ----------
    form : ColumnForm
    earlier : list of ColumnForm
        The columns before it.
    rows : FamilyRows
        The training rows of the family.
    leaf_rows : int
        Fewest rows in a leaf.
    smoothing : float
        Rows' worth of the parent node mixed into a leaf.
    seed : int
    """

    def __init__(
        self,
        form: ColumnForm,
        earlier: list[ColumnForm],
        rows: FamilyRows,
        *,
        leaf_rows: int,
        smoothing: float,
        seed: int,
    ):
        z, conditions, classes, weights = rows
        own = z[:, form.position]
        code, score = form.codes(own)
        levels = np.unique(code)
        leaf_rows = min(leaf_rows, max(len(z) // 2, 1))
        if not form.block.is_numeric and len(levels) <= min(_CLASSIFIED, len(z) // 2):
            learner: Any = DecisionTreeClassifier(min_samples_leaf=leaf_rows, random_state=seed)
            target = np.searchsorted(levels, code)
            wide = np.eye(len(levels))[target]
        else:
            learner = DecisionTreeRegressor(min_samples_leaf=leaf_rows, random_state=seed)
            target = wide = _target(form, earlier, z, conditions, weights)
        self.smoothing = smoothing
        self.places = [_level_places(column, z, wide, weights) for column in earlier]
        features = self._features(earlier, z, conditions)
        evened = _evened(weights, classes)
        learner.fit(features, target, sample_weight=evened)
        self.tree = RoutingTree(learner.tree_)
        node = self.tree.apply(features)
        group = self.tree.groups(2 * leaf_rows)
        self.leaf_nodes, leaf = np.unique(node, return_inverse=True)
        self.group_nodes, grouped = np.unique(group[node], return_inverse=True)
        self.group_of_leaf = np.searchsorted(self.group_nodes, group[self.leaf_nodes])
        self.n_classes = int(classes.max()) + 1
        self.cells, cell = np.unique(leaf * self.n_classes + classes, return_inverse=True)
        sizes = [
            (cell, len(self.cells), 32, weights),
            (leaf, len(self.leaf_nodes), 32, evened),
            (grouped, len(self.group_nodes), 128, evened),
        ]
        self.tables = [
            LeafTable(at.reshape(-1), n, code, score, mass, scale=form.scale, max_pieces=pieces)
            for at, n, pieces, mass in sizes
        ]

    def route(
        self,
        earlier: list[ColumnForm],
        z: np.ndarray,
        conditions: np.ndarray,
        classes: np.ndarray,
        scaled: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the places (4, n) of rows: leaf x class (-1 if unseen), leaf, group of leaves, whole.

        ``scaled`` (n, p) holds what the scales say of the numbers of ``z``, if it is known already.
        """
        features = self._features(earlier, z, conditions, scaled)
        leaf = np.searchsorted(self.leaf_nodes, self.tree.apply(features))
        wanted = leaf * self.n_classes + classes
        cell = np.minimum(np.searchsorted(self.cells, wanted), len(self.cells) - 1)
        cell = np.where(self.cells[cell] == wanted, cell, -1)
        return np.stack([cell, leaf, self.group_of_leaf[leaf], np.zeros_like(leaf)])

    def draw(
        self, form: ColumnForm, place: np.ndarray, noise: np.ndarray, *, missing: bool = True
    ) -> np.ndarray:
        """Return encoded cells (n,) drawn by uniforms ``noise`` (3, n); never missing unless ``missing``."""
        u, v, which = noise
        edges = np.cumsum(self._shares(form, place, missing), axis=0)
        table_of_row = np.minimum((which >= edges / edges[-1]).sum(axis=0), len(edges) - 1)
        is_piece = np.zeros(len(u), dtype=bool)
        value = np.zeros(len(u))
        for k, table in enumerate([*self.tables, form.whole]):
            at = np.flatnonzero(table_of_row == k)
            if len(at):
                is_piece[at], value[at] = table.draw(place[k, at], u[at], v[at], missing=missing)
        return form.decode(is_piece, value)

    def density(self, form: ColumnForm, place: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the probability or density (n,) of encoded cells at their places."""
        share = self._shares(form, place, True)
        total = np.zeros(len(values))
        for k, table in enumerate([*self.tables, form.whole]):
            at = np.flatnonzero(share[k])
            total[at] += share[k, at] * form.density(table, place[k, at], values[at])
        return total

    def _features(
        self,
        earlier: list[ColumnForm],
        z: np.ndarray,
        conditions: np.ndarray,
        scaled: np.ndarray | None = None,
    ) -> np.ndarray:
        k = conditions.shape[1]
        features = np.zeros((len(z), max(k + len(earlier), 1)), dtype=np.float32)
        features[:, :k] = conditions
        for j, (column, places) in enumerate(zip(earlier, self.places, strict=True), start=k):
            cells = z[:, column.position]
            if places is not None:
                features[:, j] = places[column.levels(cells)]
            elif scaled is not None:
                features[:, j] = scaled[:, column.position]
            else:
                features[:, j] = column.scale.encode(cells)  # type: ignore[union-attr]
        return features

    def _shares(self, form: ColumnForm, place: np.ndarray, missing: bool) -> np.ndarray:
        """Return how much of each draw comes from its four places, (4, n)."""
        tiny = 1e-12
        own = np.where(place[0] >= 0, self.tables[0].rows[place[0]], 0.0)
        leaf = self.tables[1].rows[place[1]]
        stay = own / (own + self.smoothing + tiny)
        further = (1 - stay) * leaf / (leaf + self.smoothing + tiny)
        share = (1 - _WHOLE) * np.stack([stay, further, 1 - stay - further, np.zeros_like(stay)])
        share[3] = _WHOLE
        if not missing:
            for k, table in enumerate([*self.tables, form.whole]):
                share[k] *= 1 - table.missing[place[k]]
        return share


def _evened(weights: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Raise rare classes by the square root of their rarity, so that trees see where they differ."""
    share = np.bincount(classes, weights)[classes]
    evened = weights / np.sqrt(np.maximum(share, 1e-300))
    return evened * (weights.sum() / evened.sum())


def _level_places(
    column: ColumnForm, z: np.ndarray, target: np.ndarray, weights: np.ndarray
) -> np.ndarray | None:
    """Order the levels of an earlier column by what they say about the target."""
    if column.block.is_numeric:
        return None
    levels = column.levels(z[:, column.position])
    return level_directions(levels, column.block.n_levels, target, weights, 1)[:, 0].astype(np.float32)


def _target(
    form: ColumnForm, earlier: list[ColumnForm], z: np.ndarray, conditions: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return what a regression tree is grown on, (n, t): ranks, or where a level stands."""
    own = z[:, form.position]
    if form.scale is not None:
        absent = np.isnan(own)
        ordered = np.sort(own)
        rank = np.searchsorted(ordered, own, "left") + np.searchsorted(ordered, own, "right")
        rank = np.where(absent, 0.5, rank / (2 * len(own)))
        return np.stack([rank, absent], axis=1) if absent.any() else rank[:, None]
    # Many levels: they are told apart by what comes before them, and by how frequent they are.
    levels = form.levels(own)
    count = np.bincount(levels, weights, minlength=form.block.n_levels + 1)
    context = [conditions, np.log1p(count)[levels][:, None]]
    context += [column.codes(z[:, column.position])[1][:, None] for column in earlier]
    known = np.concatenate(context, axis=1).astype(np.float64)
    known = (known - known.mean(axis=0)) / (known.std(axis=0) + 1e-9)
    return level_directions(levels, form.block.n_levels, known, weights, _DIRECTIONS)[levels]
