"""Pairs of rows that are (nearly) the same, and how near is nearly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from augsynth.encode.distance import MixedDistance
from augsynth.encode.neighbors import NeighborIndex

__all__ = ["NearDuplicates", "capped_degree", "near_duplicates", "near_radius", "same_rows"]

RATE = 0.05  # near-duplicate pairs that a batch of real rows has on average
_MOST = 32  # near-duplicates of a row that are looked up
_TIED = 0.25  # pairs of equal real rows, over rows, from which on only equal rows count
_KNOWN = 5  # nearest rows from which the closest pairs are gathered
_TAIL = 20  # closest pairs from which rarer ones are foreseen
_SHOWN = 200


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """The near-duplicate pairs of a batch of rows.

    Attributes
    ----------
    rows : ndarray (s,) of int
        Places of the batch among the rows given: all, or fewer where every row has so many
        near-duplicates that a smaller batch tells as much.
    degree : ndarray (s,) of int
        Near-duplicates of each row of the batch within it.
    first, second : ndarray of int
        Places of the two rows of each pair in the batch; of equal rows, only a chain.
    distance : ndarray
    twins : ndarray (s,) of int, or None
        Equal for equal rows, where only those count.
    """

    rows: np.ndarray
    degree: np.ndarray
    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    twins: np.ndarray | None = None

    @property
    def count(self) -> int:
        """Number of near-duplicate pairs."""
        return int(self.degree.sum()) // 2

    def within(self, codes: np.ndarray) -> pd.DataFrame:
        """Count rows and near-duplicate pairs inside each class, group or cell (codes of the rows given)."""
        codes = codes[self.rows]
        frame = pd.DataFrame({"rows": pd.Series(codes).value_counts(sort=False).sort_index()})
        if self.twins is None:
            same = codes[self.first] == codes[self.second]
            pairs = pd.Series(codes[self.first][same]).value_counts()
        else:
            sizes = pd.DataFrame({"code": codes, "twin": self.twins}).value_counts().reset_index(name="m")
            pairs = (sizes["m"] * (sizes["m"] - 1) // 2).groupby(sizes["code"]).sum()
        frame["pairs"] = pairs.reindex(frame.index, fill_value=0).astype(int)
        return frame

    def table(self, places: np.ndarray) -> pd.DataFrame:
        """Return the closest pairs as row numbers, ``places`` being those of the rows given."""
        order = np.argsort(self.distance, kind="stable")[:_SHOWN]
        ends = (places[self.rows[each[order]]] for each in (self.first, self.second))
        return pd.DataFrame(
            dict(zip(("first", "second"), ends, strict=True)) | {"distance": self.distance[order]}
        )


def same_rows(z: np.ndarray, distance: MixedDistance) -> np.ndarray:
    """Return a code a row, equal for rows at distance 0."""
    first, inverse = distance.prepare(z).distinct()
    return np.arange(len(z)) if first is None or inverse is None else inverse


def near_radius(z: np.ndarray, distance: MixedDistance, size: int) -> float:
    """Return the distance below which a batch of real rows has few pairs: `RATE` on average.

    Parameters
    ----------
    z : ndarray (m, p)
        Real rows, encoded.
    size : int
        Rows of the batch.

    Returns
    -------
    float
        0 where real rows are so coarse that equal ones are common: then only equal rows
        count. Where equal rows are rare, a quarter of their number is allowed on top.

    Notes
    -----
    The number of pairs below a small distance r grows as r^d; where the m rows have too few
    close pairs to read the distance off, d comes from their 20 closest pairs (Hill's estimate).

    References
    ----------
    Hill (1975), doi:10.1214/aos/1176343247.
    """
    m = len(z)
    if m < 20:
        return 0.0
    counts = np.bincount(same_rows(z, distance))
    ties = float((counts * (counts - 1) // 2).sum())
    if ties > _TIED * m:
        return 0.0
    found, place = NeighborIndex(z, distance).query(z, min(_KNOWN, m - 1), exclude=np.arange(m))
    ends, apart = _edges(found, place, np.inf)
    positive = np.sort(apart[(apart > 0) & np.isfinite(apart)])
    if len(positive) < _TAIL:
        return 0.0
    allowed = RATE * m * (m - 1) / max(size * (size - 1), 1) + 0.25 * ties
    whole = int(min(allowed, len(positive) / 4))
    if whole:
        below = int(np.searchsorted(positive, positive[whole]))  # whole steps of a grid are taken or left
        if below:
            return float(positive[below - 1])
    far = positive[_TAIL - 1]
    slope = float(np.mean(np.log(far / positive[: _TAIL - 1])))
    return float(min(far * (min(allowed, 1.0) / _TAIL) ** slope, 0.99 * positive[0]))


def near_duplicates(
    z: np.ndarray, distance: MixedDistance, radius: float, rng: np.random.Generator
) -> NearDuplicates:
    """Find all pairs of rows at most ``radius`` apart, in a batch small enough that they can be listed.

    Cost: a nearest-neighbour search of the rows in themselves.
    """
    rows = np.arange(len(z))
    if radius == 0.0:
        twins = same_rows(z, distance)
        order = np.argsort(twins, kind="stable")
        chain = twins[order][1:] == twins[order][:-1]
        first, second = order[:-1][chain], order[1:][chain]
        return NearDuplicates(rows, np.bincount(twins)[twins] - 1, first, second, np.zeros(len(first)), twins)
    while True:
        k = min(_MOST, len(rows) - 1)
        part = z[rows]
        found, place = NeighborIndex(part, distance).query(part, k, exclude=np.arange(len(rows)))
        full = k < len(rows) - 1 and (found[:, -1] <= radius).any()
        if not full:
            break
        rows = np.sort(rng.permutation(rows)[: -(-len(rows) // 2)])
    ends, apart = _edges(found, place, radius)
    degree = np.bincount(ends.ravel(), minlength=len(rows))
    return NearDuplicates(rows, degree, ends[:, 0], ends[:, 1], apart)


def capped_degree(z: np.ndarray, distance: MixedDistance, radius: float) -> np.ndarray:
    """Return how many near-duplicates each row has among the others, up to 32 if not equal."""
    if radius == 0.0:
        twins = same_rows(z, distance)
        return np.bincount(twins)[twins] - 1
    k = min(_MOST, len(z) - 1)
    found, _ = NeighborIndex(z, distance).query(z, k, exclude=np.arange(len(z)))
    return (found <= radius).sum(axis=1)


def _edges(found: np.ndarray, place: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Return each pair (m, 2) once, and its distance."""
    row, column = np.nonzero(found <= radius)
    ends = np.sort(np.column_stack([row, place[row, column]]), axis=1)
    _, once = np.unique(ends[:, 0] * np.int64(len(found)) + ends[:, 1], return_index=True)
    return ends[once], found[row, column][once]
