"""Exact nearest rows of a mixed table, in blocks of bounded memory.

A search first computes cheap lower bounds of all squared distances in single
precision (one matrix product a block, with columns of a few levels as one-hot
columns of the block only), keeps the best groups of rows, and ranks those by the
exact distance in double precision. Rows whose bounds leave a doubt, ties included,
are searched again with every candidate kept. So the result never depends on
rounding, on the block size or on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import KDTree

from augsynth.core.errors import ParameterError, sentence
from augsynth.encode.distance import MixedDistance, PreparedRows

__all__ = ["NeighborIndex"]

_BLOCK_CELLS = 1 << 20  # numbers handled at once when distances are computed exactly
_BLOCK_BOUNDS = 1 << 19  # lower bounds held at once: 2 MiB, so that they stay in cache
_KEPT_BYTES = 1 << 24
_FOLD = 16
_CACHE_CELLS = 1 << 24  # single precision features kept between blocks: 64 MiB
_FEW_LEVELS = 24  # below, a one-hot product is cheaper than comparing codes
_SLACK = 3  # groups beyond the k best, so that rounding leaves few doubts
_TREE_COLUMNS = 5  # a k-d tree wins up to here


_Found = tuple[np.ndarray, np.ndarray, np.ndarray]  # squared distances, distinct rows, limits of doubt


@dataclass(frozen=True, eq=False)
class _Features:
    """Rows as factors of the matrix products that bound the distances."""

    product: np.ndarray  # (n, K) float: lower bound = query product . reference product
    shared: np.ndarray | None  # (n, B + 1): weight of the shared columns
    codes: np.ndarray  # (n, C) int: columns that are compared instead


class NeighborIndex:
    """Find the exact nearest reference rows of any rows.

    Parameters
    ----------
    z : ndarray (m, p)
        Encoded reference rows (numbers in data units, level codes, NaN = missing).
    distance : MixedDistance
        How far apart two rows are.

    Notes
    -----
    Rows at the same distance are ordered by their position in `z`. Cost: about one
    nanosecond a pair of rows for 20 columns, or a k-d tree for complete numeric
    tables of at most 6 columns. Memory beyond `z`: the distinct rows in double and
    single precision (the latter at most 64 MB), and blocks of at most about 64 MB.

    Examples
    --------
    >>> import numpy as np
    >>> from augsynth.encode.layout import Block, Layout
    >>> z = np.array([[0.0, 0], [1.0, 0], [1.0, 1], [np.nan, 1]])
    >>> layout = Layout((Block("age"), Block("sex", n_levels=2)))
    >>> index = NeighborIndex(z, MixedDistance.fit(z, layout, standardize=False, penalty=2.0))
    >>> distances, positions = index.query(z[:1], 2)
    >>> positions
    array([[0, 1]])
    >>> distances
    array([[0., 1.]])
    """

    def __init__(self, z: np.ndarray, distance: MixedDistance):
        self.distance = distance
        self.n_rows = len(z)
        rows = distance.prepare(z)
        first, inverse = rows.distinct()
        self._rows = rows if first is None else rows.rows(first)
        self._first = np.arange(len(z)) if first is None else first
        self._members: np.ndarray | None = None
        if inverse is not None:
            self._members = np.argsort(inverse, kind="stable")
            self._counts = np.bincount(inverse)
            self._starts = np.cumsum(self._counts) - self._counts
        self._gaps, self._reach = self._rows.gaps(), np.abs(self._rows.x).max(initial=0.0)
        m = len(self._rows)
        self._span = m  # rows of a group lie `_span` apart: group j is j, j + span, ...
        self._depth = 1
        if m > 64:
            depth = 2 ** int(np.clip(np.round(np.log2(m / 200.0) / 2.0), 0, 7))
            self._span, self._depth = -(-m // depth), depth
        self._cache: dict[tuple, dict[int, _Features]] = {}
        self._n_levels = self._rows.codes.max(axis=0, initial=-1) + 1  # a query's other levels match nothing
        self._tree: KDTree | None = None
        plain = self._rows.seen is None and not len(distance.categorical)
        if plain and m > 64 and len(distance.numeric) <= _TREE_COLUMNS:
            self._tree = KDTree(self._rows.x)

    @property
    def _keeps(self) -> bool:
        """Whether the features of all references are small enough to keep."""
        width = 3 * len(self.distance.weights) + self._n_levels[self._n_levels <= _FEW_LEVELS].sum()
        return len(self._rows) * int(width) <= _CACHE_CELLS

    def query(
        self, z: np.ndarray, k: int = 1, *, exclude: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the k nearest reference rows of each row.

        Parameters
        ----------
        z : ndarray (n, p)
            Encoded rows to look up.
        k : int, default=1
            How many; at most the number of reference rows (less one with `exclude`).
        exclude : ndarray (n,) of int, optional
            The reference row that is not to be returned for each row (itself, when
            the references are searched with their own rows); -1 for none.

        Returns
        -------
        distances : ndarray (n, k)
            In ascending order; infinite where two rows share no observed column.
        positions : ndarray (n, k) of int
            Positions in the reference rows.

        Raises
        ------
        ParameterError
            If there are fewer than k rows to find.
        """
        most = self.n_rows - (exclude is not None)
        if not 1 <= k <= most:
            must = f"k must be between 1 and the {most} reference rows there are"
            raise ParameterError(sentence("NeighborIndex.query", must, str(k)))
        wanted = min(k + (exclude is not None), len(self._rows))
        # Freeing one untouched stretch of memory teaches glibc to keep stretches up to its size, instead
        # of handing every block's buffers back and faulting their pages in again: twice as fast.
        np.empty(_KEPT_BYTES, dtype=np.uint8)
        squared, limit = np.empty((len(z), k)), np.empty(len(z))
        positions = np.empty((len(z), k), dtype=np.intp)
        step = int(np.clip(_BLOCK_BOUNDS // self._span, 64, 512))
        if not self._keeps:  # features are made anew for each block: fewer, larger blocks
            step = int(np.clip(8 * _BLOCK_BOUNDS // self._span, 64, 1024))
        for start in range(0, len(z), step):
            part = slice(start, start + step)
            rows = self.distance.prepare(z[part])
            search = self._nearest if self._tree is None or rows.seen is not None else self._tree_nearest
            d2, index, limit[part] = search(rows, wanted)
            out = None if exclude is None else exclude[part]
            squared[part], positions[part] = self._expand(d2, index, k, out)
        doubtful = np.flatnonzero(~np.isnan(limit))
        for start in range(0, len(doubtful), step):
            some = doubtful[start : start + step]
            d2, index = self._all_within(self.distance.prepare(z[some]), limit[some], wanted)
            out = None if exclude is None else exclude[some]
            squared[some], positions[some] = self._expand(d2, index, k, out)
        with np.errstate(over="ignore"):  # two rows may lie further apart than a float can say
            return np.sqrt(squared) / self.distance.unit, positions

    # ---- candidates: distinct rows, ascending by (distance, position)

    def _tree_nearest(self, rows: PreparedRows, k: int) -> _Found:
        ask = min(2 * k + 2 * rows.x.shape[1] + 4, len(self._rows))
        far, index = self._tree.query(rows.x, k=ask)  # type: ignore[union-attr]
        d2 = self._exact(rows, index)
        bound = far[:, -1] ** 2 * (1 - 1e-12) if ask < len(self._rows) else None
        return self._settle(d2, index, bound, k)

    def _nearest(self, rows: PreparedRows, k: int) -> _Found:
        span, depth = self._span, self._depth
        best = np.empty((len(rows), 0), dtype=np.float32)
        for start, bounds in self._slabs(rows):
            if start == 0:
                best = bounds
            else:  # the last slab may be short
                np.minimum(best[:, : bounds.shape[1]], bounds, out=best[:, : bounds.shape[1]])
        keep = min(k + _SLACK, span)
        if keep < span:
            groups, bound = _smallest(best, keep)
        else:
            bound = None
            groups = np.broadcast_to(np.arange(span), (len(rows), span))
        index = (groups[:, :, None] + span * np.arange(depth)).reshape(len(rows), -1)
        return self._settle(self._exact(rows, index), index, bound, k)

    def _exact(self, rows: PreparedRows, index: np.ndarray) -> np.ndarray:
        """Exact squared distances of candidates; infinite where a position does not exist."""
        m, d2 = len(self._rows), np.empty(index.shape)
        step = max(1, _BLOCK_CELLS // (index.shape[1] * self.distance.weights.size))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            d2[part] = self.distance.squared(rows.rows(part), self._rows, np.minimum(index[part], m - 1))
        d2[index >= m] = np.inf
        return d2

    def _settle(self, d2: np.ndarray, index: np.ndarray, bound: np.ndarray | None, k: int) -> _Found:
        """Take the k best candidates, and say where a row not among them may be as near.

        `bound` (n,) is below the distance of every row that is not a candidate; None
        if all rows are. The third value is NaN, or in doubt the distance to search to.
        """
        worst = np.partition(d2, k - 1, axis=1)[:, k - 1]
        near = d2 <= worst[:, None]
        doubtful = np.zeros(len(d2), dtype=bool) if bound is None else ~(worst < bound)
        tied = (near.sum(axis=1) > k) & ~doubtful
        plain = ~tied & ~doubtful
        out_d2, out = np.full((len(d2), k), np.inf), np.zeros((len(d2), k), dtype=np.intp)
        out_d2[plain] = d2[plain][near[plain]].reshape(-1, k)
        out[plain] = index[plain][near[plain]].reshape(-1, k)
        if tied.any():
            order = np.lexsort((self._position(index[tied]), d2[tied]), axis=-1)[:, :k]
            out_d2[tied] = np.take_along_axis(d2[tied], order, axis=1)
            out[tied] = np.take_along_axis(index[tied], order, axis=1)
        return out_d2, out, np.where(doubtful, worst, np.nan)

    def _position(self, index: np.ndarray) -> np.ndarray:
        """Position of the first row that a distinct row stands for; past the end for none."""
        last = len(self._first) - 1
        return np.where(index > last, self.n_rows, self._first[np.minimum(index, last)])

    def _all_within(self, rows: PreparedRows, worst: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Rank every row whose lower bound does not exceed `worst`, (n,)."""
        found_q, found_r, total = [], [], 0
        for start, bounds in self._slabs(rows):
            q, r = np.nonzero(bounds <= worst[:, None])
            found_q.append(q)
            found_r.append(r + start)
            total += len(q)
            if total > _BLOCK_CELLS and len(rows) > 1:
                parts = np.array_split(np.arange(len(rows)), 2)
                both = [self._all_within(rows.rows(part), worst[part], k) for part in parts]
                return np.concatenate([d for d, _ in both]), np.concatenate([i for _, i in both])
        q, r = np.concatenate(found_q), np.concatenate(found_r)
        d2 = np.empty(len(q))
        step = max(1, _BLOCK_CELLS // self.distance.weights.size)
        for start in range(0, len(q), step):
            part = slice(start, start + step)
            d2[part] = self.distance.squared(rows.rows(q[part]), self._rows, r[part, None])[:, 0]
        order = np.lexsort((self._position(r), d2, q))
        starts = np.searchsorted(q[order], np.arange(len(rows)))
        take = order[starts[:, None] + np.arange(k)]
        return d2[take], r[take]

    def _expand(
        self, d2: np.ndarray, index: np.ndarray, k: int, exclude: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Turn distinct rows into the rows they stand for, without the excluded ones."""
        if self._members is not None:
            most = min(k + (exclude is not None), int(self._counts.max()))
            offset = np.arange(most)
            real = (offset < self._counts[index][..., None]).reshape(len(d2), -1)
            at = self._starts[index][..., None] + np.minimum(offset, self._counts[index][..., None] - 1)
            index = np.where(real, self._members[at].reshape(len(d2), -1), self.n_rows)
            d2 = np.where(real, np.repeat(d2, most, axis=1), np.inf)
        else:
            index = index.copy()
        if exclude is not None:
            out = index == np.asarray(exclude)[:, None]
            d2, index = np.where(out, np.inf, d2), np.where(out, self.n_rows, index)
        order = np.lexsort((index, d2), axis=-1)[:, :k]
        return np.take_along_axis(d2, order, axis=1), np.take_along_axis(index, order, axis=1)

    # ---- lower bounds by matrix products

    def _slabs(self, rows: PreparedRows) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the first position and the lower bounds (n, span) of each run of references.

        From the second run on, the bounds are written over those of the run before.
        """
        gaps = self._gaps | rows.gaps()
        wide = bool(max(self._reach, np.abs(rows.x).max(initial=0.0)) > 1e12)
        key = (gaps.tobytes(), wide)
        kept = self._cache.get(key)
        if kept is None:
            kept = {}
            self._cache = {key: kept}
        queries = self._factor(rows, gaps, wide, query=True)
        scratch = np.empty((len(rows), self._span), dtype=queries.product.dtype)
        for start in range(0, len(self._rows), self._span):
            features = kept.get(start)
            if features is None:
                run = self._rows.rows(slice(start, start + self._span))
                features = self._factor(run, gaps, wide, query=False)
                if self._keeps:
                    kept[start] = features
            out = scratch[:, : len(features.codes)] if start else None
            yield start, self._bounds(queries, features, out)

    def _factor(self, rows: PreparedRows, gaps: np.ndarray, wide: bool, *, query: bool) -> _Features:
        p, cost = len(self.distance.numeric), self.distance.mismatch
        n, dtype = len(rows), np.float64 if wide else np.float32
        seen = np.ones((1, len(cost)), dtype=bool) if rows.seen is None else rows.seen
        state = self.distance.missing == "state"
        square = rows.x**2
        parts = [-2.0 * rows.x if query else rows.x]
        base = square[:, ~gaps[:p]].sum(axis=1)
        gapped = np.flatnonzero(gaps if not state else gaps[:p])
        size = 2.0 * square.sum(axis=1) + cost.sum()
        for j in gapped:  # sum of w (a - b)^2 over the cells seen in both
            own = np.broadcast_to(seen[:, j].astype(float), (n,))
            value = square[:, j] if j < p else 0.0 * own
            if state:
                base = base + cost[j] * own
                value = value - (2.0 * cost[j] if query else 0.0) * own
            elif j >= p:
                value = cost[j] * own if query else value
            parts.append(np.stack([value, own] if query else [own, value], axis=1))
        for i, levels in enumerate(self._n_levels):
            if query and (state or not gaps[p + i]):
                base = base + cost[p + i]
            if levels <= _FEW_LEVELS:
                hot = rows.codes[:, i, None] == np.arange(-1 if state else 0, levels)
                parts.append(hot * (-cost[p + i] if query else 1.0))
        # Twice the rounding error of a sum of that many terms; the zeros of one-hot columns add none.
        slip = (len(cost) + 2 * len(gapped) + 6) * np.finfo(dtype).eps
        own = base - slip * size - 1e-36
        parts.append(np.stack([own, np.ones(n)] if query else [np.ones(n), own], axis=1))
        product = np.concatenate([part.astype(dtype) for part in parts], axis=1)
        shared = None
        if len(gapped) and not state:
            w = self.distance.weights
            cells = np.broadcast_to(seen[:, gapped], (n, len(gapped))).astype(dtype)
            rest = np.full((n, 1), w[~gaps].sum() if query else 1.0, dtype=dtype)
            shared = np.hstack([cells * w[gapped].astype(dtype) if query else cells, rest])
        codes = rows.codes[:, self._n_levels > _FEW_LEVELS]
        if query and not state:  # a missing code equals nothing
            codes = np.where(codes < 0, -2, codes)
        return _Features(product, shared, codes)

    def _bounds(self, queries: _Features, references: _Features, out: np.ndarray | None) -> np.ndarray:
        """Lower bounds of the exact squared distances."""
        bounds = np.matmul(queries.product, references.product.T, out=out)
        cost = self.distance.mismatch[len(self.distance.numeric) :].astype(bounds.dtype)
        for c, j in enumerate(np.flatnonzero(self._n_levels > _FEW_LEVELS)):
            bounds -= (queries.codes[:, c, None] == references.codes[None, :, c]) * cost[j]
        if queries.shared is not None and references.shared is not None:
            shared = queries.shared @ references.shared.T
            slip = 4.0 * queries.shared.shape[1] * np.finfo(shared.dtype).eps
            apart = None  # pairs without a shared column: none if some column has no gap
            if not queries.shared[0, -1]:
                apart = shared < self.distance.weights.min() / 2
                shared[apart] = 1.0
            total = shared.dtype.type(self.distance.weights.sum() * (1 - slip))
            bounds *= np.divide(total, shared, out=shared)
            if apart is not None:
                bounds[apart] = np.inf
        return bounds


def _smallest(values: np.ndarray, keep: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n, keep) of the smallest of each row, in no order, and the next one's value."""
    n, m = values.shape
    width = m // _FOLD
    limit = np.full(n, np.inf)
    position = None
    if width > 2 * keep:  # first the best stretches of a folded row, then the best of those
        folded = values[:, : width * _FOLD].reshape(n, _FOLD, width)
        top = np.minimum.reduce(folded, axis=1)
        best = np.argpartition(top, keep, axis=1)
        limit = np.take_along_axis(top, best[:, keep : keep + 1], axis=1)[:, 0].astype(float)
        position = (best[:, :keep, None] + width * np.arange(_FOLD)).reshape(n, -1)
        rest = np.broadcast_to(np.arange(width * _FOLD, m), (n, m - width * _FOLD))
        position = np.hstack([position, rest])
        values = np.take_along_axis(values, position, axis=1)
    order = np.argpartition(values, keep, axis=1)
    bound = np.take_along_axis(values, order[:, keep : keep + 1], axis=1)[:, 0]
    order = order[:, :keep]
    chosen = order if position is None else np.take_along_axis(position, order, axis=1)
    return chosen, np.minimum(bound, limit)
