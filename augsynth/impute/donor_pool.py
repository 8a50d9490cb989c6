"""Rows that lend their cells: the pool of donors, completed so that all can be compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from augsynth.core.persistence import persistent
from augsynth.encode.distance import MixedDistance
from augsynth.encode.layout import Block, Layout
from augsynth.encode.neighbors import NeighborIndex
from augsynth.impute.donor_metric import associations, spread_of_categories
from augsynth.impute.self_check import column_starts

__all__ = ["DonorPool", "Found", "kernel"]

_FLOOR = 0.02  # weight of a column that tells nothing, as a share of the one that tells most
_CATEGORY = 1.0  # squared distance of two categories that differ


Found = tuple[np.ndarray, np.ndarray]  # kernel weights and positions in the pool, both (n, k)


@persistent
@dataclass(frozen=True, eq=False)
class DonorPool:
    """Donors, and how rows are compared with them for each column to fill.

    Attributes
    ----------
    layout : Layout
    z : ndarray (m, p)
        The donors' cells as they were observed, NaN = missing.
    scores : ndarray (m, p)
        The donors with their holes filled, numbers in standard deviations: for comparing only.
    centre, scale : ndarray (p,)
        Of the numbers.
    starts : ndarray (p,)
        Each column's mean or most frequent level, in data units.
    weights : ndarray (p, p)
        Row j: how much each column counts when donors for column j are looked for.
    doubt : ndarray (p,)
        Squared distance by which a donor's filled cell, unlike an observed one, may be wrong.
    group : ndarray (m,) of int
        Donors lend to rows of their own group only; -1 for none.
    reach : ndarray (m,) of int
        The donors that each column may take are those with its cell observed.
    """

    layout: Layout
    z: np.ndarray
    scores: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    starts: np.ndarray
    weights: np.ndarray
    doubt: np.ndarray
    group: np.ndarray
    n_neighbors: int
    max_donors: int
    count: np.ndarray | None = None  # how often a bootstrap took each donor

    @classmethod
    def fit(
        cls,
        z: np.ndarray,
        layout: Layout,
        group: np.ndarray,
        *,
        n_neighbors: int,
        max_donors: int,
        learned: bool,
        factors: np.ndarray,
    ) -> DonorPool:
        """Learn from rows in random order: scales, weights, and what stands in the donors' own holes."""
        p = len(layout)
        seen = ~np.isnan(z)
        early = np.cumsum(seen, axis=0) <= max_donors  # the first so many observed cells of each column
        kept = (seen & early).any(axis=1)
        z, group = z[kept], group[kept]
        distance = MixedDistance.fit(z, layout)
        centre, scale = np.zeros(p), np.ones(p)
        centre[distance.numeric], scale[distance.numeric] = distance.centre, distance.scale
        bare = cls(
            layout, z, z, centre, scale, column_starts(z, layout), np.ones((p, p)), np.zeros(p), group,
            n_neighbors, max_donors,
        )  # fmt: skip
        scores = bare.scored(z)
        shares = associations(scores, layout)
        weights = np.ones((p, p))
        if learned:
            best = shares.max(axis=1, initial=0.0)[:, None]
            weights = np.where(best > 0.0, shares**2 + _FLOOR * best**2, 1.0)
            weights /= weights.max(axis=1, keepdims=True)
        weights = weights * factors
        np.fill_diagonal(weights, 0.0)
        doubt = (1.0 - shares.max(axis=1, initial=0.0)) * spread_of_categories(scores, layout)
        doubt[layout.categorical] *= _CATEGORY
        pool = replace(bare, weights=weights, doubt=doubt, scores=bare._started(scores))
        for _ in range(2):
            pool = replace(pool, scores=pool.scored(pool._completed(z, pool.scores)))
        return pool

    def scored(self, z: np.ndarray) -> np.ndarray:
        """Return rows with their numbers in standard deviations."""
        scores = z.copy()
        for j in self.layout.numeric:  # exact halving: the difference of huge numbers may overflow
            scores[:, j] = (z[:, j] * 0.5 - self.centre[j] * 0.5) / self.scale[j] * 2.0
        return scores

    def _started(self, scores: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(scores), self.scored(self.starts[None]), scores)

    def completed(self, z: np.ndarray) -> np.ndarray:
        """Fill each hole of rows (n, p) with the mean of its donors, or their most frequent level.

        A row is compared by its observed cells alone; a row without any gets `starts`.
        """
        return self._completed(z, self.scored(z))

    def _completed(self, z: np.ndarray, scores: np.ndarray) -> np.ndarray:
        holes = np.isnan(z)
        filled = z.copy()
        empty = holes.all(axis=1)
        filled[empty] = self.starts
        for j in np.flatnonzero(holes.any(axis=0)):
            rows = np.flatnonzero(holes[:, j] & ~empty)
            if len(rows):
                filled[rows, j] = self.expected(j, scores[rows], None)
        return filled

    def expected(self, j: int, scores: np.ndarray, exclude: np.ndarray | None) -> np.ndarray:
        """Return the kernel mean or mode (n,) of the donors for column j."""
        weight, position = self.search(j, scores, exclude)
        return self.blended(j, weight, position)

    def blended(self, j: int, weight: np.ndarray, position: np.ndarray) -> np.ndarray:
        values = self.z[position, j]
        weight = weight / weight.sum(axis=1, keepdims=True)
        if self.layout[j].is_numeric:
            low, high = values.min(axis=1), values.max(axis=1)
            return np.clip((values * weight).sum(axis=1), low, high)
        votes = np.einsum("ij,ijk->ik", weight, (values[:, :, None] == values[:, None, :]).astype(float))
        # Of equally frequent levels, the one of the nearest donor: argmax takes the first.
        return np.take_along_axis(values, np.argmax(votes.round(12), axis=1)[:, None], axis=1)[:, 0]

    def search(self, j: int, scores: np.ndarray, exclude: np.ndarray | None) -> Found:
        donors = np.flatnonzero(~np.isnan(self.z[:, j]))[: self.max_donors]
        return self._among(donors, self.weights[j], scores, exclude)

    def _among(
        self, donors: np.ndarray, weights: np.ndarray, scores: np.ndarray, exclude: np.ndarray | None
    ) -> Found:
        if not (weights > 0).any():
            weights = np.ones(len(weights))
        index, counts = self._index(donors, weights)
        k = min(self.n_neighbors, index.n_rows - (exclude is not None))
        queries = np.hstack([scores, np.zeros((len(scores), 1))])
        distance, position = index.query(queries, k, exclude=exclude)
        return kernel(distance), donors[position]

    def _index(self, donors: np.ndarray, weights: np.ndarray) -> tuple[NeighborIndex, None]:
        """Index donors by their completed rows, and by how much of those is a guess.

        The last column is 0 in every query, so it adds to a donor's squared distance
        what its filled cells are expected to add.
        """
        guess = np.sqrt(np.isnan(self.z[donors]) @ (weights * self.doubt))
        layout = Layout((*self.layout.blocks, Block("guess")))
        rows = np.hstack([self.scores[donors], guess[:, None]])
        distance = MixedDistance.fit(
            rows, layout, standardize=False, penalty=_CATEGORY**0.5, weights=np.append(weights, guess.any() * 1.0)
        )
        return NeighborIndex(rows, distance), None


def kernel(distance: np.ndarray) -> np.ndarray:
    """Return weights (n, k) that fall off with the distance, in units of that to the last neighbour."""
    last = distance[:, -1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        near = np.where(last > 0.0, distance / last, 0.0)
    return np.exp(-2.0 * np.where(np.isfinite(near), near, 1.0) ** 2)
