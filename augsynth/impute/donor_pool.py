"""Rows that lend their cells: the pool of donors, completed so that all can be compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from augsynth.core.persistence import persistent
from augsynth.encode.distance import MixedDistance
from augsynth.encode.layout import Block, Layout
from augsynth.encode.neighbors import NeighborIndex
from augsynth.impute.donor_metric import associations, spread_of_categories
from augsynth.impute.self_check import column_starts

__all__ = ["DonorPool", "kernel"]

_FLOOR = 0.02  # weight of a column that tells nothing, as a share of the one that tells most
_CATEGORY = 1.0  # squared distance of two categories that differ; of two random numbers it is 2
_ROUNDS = 1  # of filling the donors from each other; more move no error by 0.2 %


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
    group : ndarray (m,) of int
        Donors lend to rows of their own group first; -1 for none.
    centre, scale, starts : ndarray (p,)
        Of the numbers; each column's mean or most frequent level, in data units.
    weights : ndarray (p, p)
        Row j: how much each column counts when donors for column j are looked for.
    doubt : ndarray (p,)
        Squared distance by which a donor's filled cell, unlike an observed one, is off.
    n_neighbors, max_donors : int
    """

    layout: Layout
    z: np.ndarray
    scores: np.ndarray
    group: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    starts: np.ndarray
    weights: np.ndarray
    doubt: np.ndarray
    n_neighbors: int
    max_donors: int

    @classmethod
    def fit(
        cls,
        z: np.ndarray,
        layout: Layout,
        group: np.ndarray,
        *,
        n_neighbors: int,
        max_donors: int,
        factors: np.ndarray,
        learned: bool = True,
    ) -> DonorPool:
        """Learn from rows in random order: scales, weights, and what stands in the donors' own holes.

        ``factors`` (p,) multiply the weights of the columns.
        """
        seen = ~np.isnan(z)
        # The first so many observed cells of each column, in each group.
        rank = pd.DataFrame(seen.astype(np.int32)).groupby(group).cumsum().to_numpy()
        kept = (seen & (rank <= max_donors)).any(axis=1)
        z, group = z[kept], group[kept]
        p = len(layout)
        distance = MixedDistance.fit(z, layout)
        centre, scale = np.zeros(p), np.ones(p)
        centre[distance.numeric], scale[distance.numeric] = distance.centre, distance.scale
        starts = column_starts(z, layout)
        weights = np.ones((p, p))
        pool = cls(layout, z, z, group, centre, scale, starts, weights, np.ones(p), n_neighbors, max_donors)
        scores = pool.scored(z)
        shares = associations(scores, layout)
        weights = _weights(shares, factors, learned)
        doubt = (1.0 - shares.max(axis=1, initial=0.0)) * spread_of_categories(scores, layout)
        doubt[layout.categorical] *= _CATEGORY
        scores = np.where(np.isnan(scores), pool.scored(starts[None]), scores)
        pool = replace(pool, weights=weights, doubt=doubt, scores=scores)
        for _ in range(_ROUNDS if np.isnan(z).any() else 0):
            pool = replace(pool, scores=pool.scored(pool.completed(z, group)))
        return pool

    def scored(self, z: np.ndarray) -> np.ndarray:
        """Return rows with their numbers in standard deviations."""
        scores = z.copy()
        for j in self.layout.numeric:  # halved first: the difference of huge numbers may overflow
            scores[:, j] = (z[:, j] * 0.5 - self.centre[j] * 0.5) / self.scale[j] * 2.0
        return scores

    def completed(self, z: np.ndarray, group: np.ndarray, *, exclude: np.ndarray | None = None) -> np.ndarray:
        """Fill each hole of rows (n, p) with the mean of its donors, or their most frequent level.

        A row is compared by its observed cells alone; a row without any gets `starts`.
        ``exclude`` (n,) are positions in the pool that may not lend to each row.
        """
        holes, filled = np.isnan(z), z.copy()
        empty = holes.all(axis=1)
        filled[empty] = self.starts
        scores = self.scored(z)
        for j in map(int, np.flatnonzero(holes[~empty].any(axis=0))):
            rows = np.flatnonzero(holes[:, j] & ~empty)
            for part, donors in self.lenders(~np.isnan(self.z[:, j]), group[rows]):
                some = rows[part]
                if exclude is not None and len(donors) == 1:
                    filled[some[exclude[some] == donors[0]], j] = self.starts[j]  # nobody else can lend
                    some = some[exclude[some] != donors[0]]
                out = None if exclude is None or len(donors) == 1 else exclude[some]
                distance, position = self.nearest(
                    donors, self.weights[j], scores[some], self.n_neighbors, out
                )
                filled[some, j] = self._blended(j, kernel(distance), position)
        return filled

    def lenders(self, able: np.ndarray, group: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield rows (positions in ``group``) and the donors that they share.

        Donors are of the rows' group; all donors where it has fewer than `n_neighbors`.
        ``able`` (m,) bool says which may lend at all.
        """
        wide = np.ones(len(group), dtype=bool)
        for g in np.unique(group[group >= 0]):
            donors = np.flatnonzero(able & (self.group == g))
            if len(donors) >= self.n_neighbors:
                wide[group == g] = False
                yield np.flatnonzero(group == g), donors[: self.max_donors]
        if wide.any():
            yield np.flatnonzero(wide), np.flatnonzero(able)[: self.max_donors]

    def nearest(
        self,
        donors: np.ndarray,
        weights: np.ndarray,
        scores: np.ndarray,
        k: int,
        exclude: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return distances and positions (n, k or fewer) of the nearest donors; of two under ``exclude``.

        The last column that is compared is 0 in every row, so that it adds to a donor's
        squared distance what its filled cells are expected to add.
        """
        if not (weights > 0).any():
            weights = np.ones(len(weights))
        guess = np.sqrt(np.isnan(self.z[donors]) @ (weights * self.doubt))
        known = np.hstack([self.scores[donors], guess[:, None]])
        distance = MixedDistance.fit(
            known,
            Layout((*self.layout.blocks, Block("guess"))),
            standardize=False,
            penalty=_CATEGORY**0.5,
            weights=np.append(weights, float(guess.any())),
        )
        queries = np.hstack([scores, np.zeros((len(scores), 1))])
        if exclude is None:
            far, found = NeighborIndex(known, distance).query(queries, min(k, len(donors)))
            return far, donors[found]
        place = np.full(len(self.z), -1)
        place[donors] = np.arange(len(donors))
        most = min(k, len(donors) - 1)
        far, found = NeighborIndex(known, distance).query(queries, most, exclude=place[exclude])
        return far, donors[found]

    def _blended(self, j: int, weight: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Return the mean or most frequent level (n,) of column j over some donors."""
        values = self.z[position, j]
        weight = weight / weight.sum(axis=1, keepdims=True)
        if self.layout[j].is_numeric:
            return np.clip((values * weight).sum(axis=1), values.min(axis=1), values.max(axis=1))
        votes = np.zeros(weight.shape)
        for i in range(weight.shape[1]):
            votes += weight[:, i : i + 1] * (values == values[:, i : i + 1])
        # Of equally frequent levels, that of the nearest donor: argmax takes the first.
        best = np.argmax(votes.round(12), axis=1)[:, None]
        return np.take_along_axis(values, best, axis=1)[:, 0]


def _weights(shares: np.ndarray, factors: np.ndarray, learned: bool) -> np.ndarray:
    """Return how much each column counts for each other, (p, p), the largest of a row being 1."""
    weights = np.ones(shares.shape)
    if learned:
        best = shares.max(axis=1, initial=0.0)[:, None]
        weights = np.where(best > 0.0, shares**2 + _FLOOR * best**2, 1.0)
    weights *= factors
    np.fill_diagonal(weights, 0.0)
    return weights / np.maximum(weights.max(axis=1, keepdims=True), np.finfo(float).tiny)


def kernel(distance: np.ndarray, k: int | None = None) -> np.ndarray:
    """Return weights (n, K) that fall off with the distance, in units of that to neighbour k (the last)."""
    k = distance.shape[1] if k is None else min(k, distance.shape[1])
    last = distance[:, k - 1 : k]
    with np.errstate(invalid="ignore", divide="ignore"):
        near = np.where(last > 0.0, distance / last, 0.0)
    weight = np.exp(-2.0 * np.where(np.isfinite(near), near, 1.0) ** 2)
    weight[:, k:] = 0.0
    return weight
