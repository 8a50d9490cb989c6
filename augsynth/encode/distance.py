"""How far apart two rows of a mixed table are, with missing cells allowed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_option
from augsynth.core.persistence import persistent
from augsynth.encode.layout import Layout

__all__ = ["MixedDistance", "PreparedRows"]

_HALF = 2.0**-4  # numbers near the float limit may be subtracted after this exact scaling


@dataclass(frozen=True, eq=False)
class PreparedRows:
    """Rows in the coordinates of a distance.

    Attributes
    ----------
    x : ndarray (n, p_num) float64
        Centred, scaled and weighted numbers; 0 where missing.
    codes : ndarray (n, p_cat) int32
        Level codes; -1 where missing.
    seen : ndarray (n, p_num + p_cat) bool, or None
        Which cells are observed; None if all are.
    """

    x: np.ndarray
    codes: np.ndarray
    seen: np.ndarray | None

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, index: np.ndarray | slice) -> PreparedRows:
        """Return some of the rows."""
        seen = None if self.seen is None else self.seen[index]
        return PreparedRows(self.x[index], self.codes[index], seen)

    def gaps(self) -> np.ndarray:
        """Return which columns have a missing cell, (p_num + p_cat,) bool."""
        if self.seen is None:
            return np.zeros(self.x.shape[1] + self.codes.shape[1], dtype=bool)
        return np.logical_not(self.seen.all(axis=0))

    def distinct(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the first positions of equal rows, and the distinct row of each row; None if all differ."""
        n, p_num = self.x.shape
        key = np.zeros(n, dtype=np.uint64)
        factors = (
            np.random.default_rng(0).integers(1, 2**63, p_num + self.codes.shape[1], dtype=np.uint64) | 1
        )
        x = self.x + 0.0  # -0.0 becomes 0.0
        if self.seen is not None:
            x[~self.seen[:, :p_num]] = np.nan
        bits = x.view(np.uint64)
        for j in range(p_num):
            key += (bits[:, j] ^ (bits[:, j] >> np.uint64(29))) * factors[j]
        for j in range(self.codes.shape[1]):
            key += (self.codes[:, j].astype(np.uint64) + np.uint64(7)) * factors[p_num + j]
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        if len(first) == n:
            return None, None
        twin = first[inverse]
        if (bits[twin] != bits).any() or (self.codes[twin] != self.codes).any():  # keys collided
            table = np.hstack([bits, self.codes.astype(np.uint64)])
            _, first, inverse = np.unique(table, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first)  # distinct rows in the order of their first positions
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return first[order], rank[np.ravel(inverse)]


@persistent
@dataclass(frozen=True, eq=False)
class MixedDistance:
    r"""Euclidean distance over numbers, with a constant cost for every category that differs.

    .. math:: d(a, b)^2 = \frac{\sum_j w_j}{\sum_{j \in S} w_j} \sum_{j \in S} w_j\, \delta_j(a, b)^2

    where S are the columns observed in both rows, :math:`\delta_j` is the difference
    in units of the column's scale for a number, and for a category 0 if the levels
    agree and ``penalty`` if not. Rows that share no observed column are infinitely
    far apart. Build one with :meth:`fit`.

    Attributes
    ----------
    numeric, categorical : ndarray of int
        Positions of the columns that count (columns of weight 0 are left out).
    centre, scale : ndarray (p_num,)
        What is subtracted from and divided out of the numbers.
    weights : ndarray (p_num + p_cat,)
        Weight of each column that counts, numeric columns first.
    penalty : float
        Distance between two rows that differ in one category only (of weight 1).
    missing : str
        "rescale": the rule above. "state": a missing cell is a value of its own,
        equal to another missing cell and ``penalty`` away from every observed one.
    unit : float
        A power of two by which prepared numbers are multiplied against overflow.

    References
    ----------
    Chawla, Bowyer, Hall, Kegelmeyer (2002), SMOTE: the categorical penalty of
    section 6.1, doi:10.1613/jair.953. Dixon (1979), Pattern recognition with partly
    missing data: the rescaled partial distance, doi:10.1109/TSMC.1979.4310090.
    """

    numeric: np.ndarray
    categorical: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    penalty: float
    missing: str
    unit: float

    @classmethod
    def fit(
        cls,
        z: np.ndarray,
        layout: Layout,
        *,
        standardize: bool = True,
        penalty: float | None = None,
        weights: np.ndarray | None = None,
        missing: str = "rescale",
    ) -> MixedDistance:
        """Learn the scales from encoded rows.

        Parameters
        ----------
        z : ndarray (n, p)
            Encoded rows (numbers in data units, level codes, NaN = missing).
        layout : Layout
            What the columns are.
        standardize : bool, default=True
            Divide numbers by their standard deviation (population form); otherwise
            distances are in raw data units and large columns dominate.
        penalty : float, optional
            Distance of one differing category. Default: the median standard
            deviation of the numeric columns after scaling, as in SMOTE-NC (so 1 if
            standardised), over the columns that vary; 1 if none does.
        weights : array (p,), optional
            Weight of each column's squared difference; 0 leaves a column out.
        missing : {"rescale", "state"}
            See the class.
        """
        check_option("MixedDistance", "missing", missing, ("rescale", "state"))
        w = _column_weights(weights, len(layout))
        numeric, categorical = (part[w[part] > 0] for part in (layout.numeric, layout.categorical))
        centre, spread, top = np.zeros(len(numeric)), np.zeros(len(numeric)), np.zeros(len(numeric))
        for i, j in enumerate(numeric):
            centre[i], spread[i], top[i] = _centre_and_spread(z[:, j])
        scale = np.where(spread > 0, spread, 1.0) if standardize else np.ones(len(numeric))
        if penalty is None:
            varying = spread > 0
            penalty = float(np.median((spread / scale)[varying])) if varying.any() else 1.0
        reach = max([penalty, *(top / scale * np.sqrt(w[numeric]))])
        # A power of two, so that whole numbers stay exact and ties stay ties.
        unit = float(2.0 ** -np.ceil(np.log2(reach))) if np.isfinite(reach) else 2.0**-1022
        ordered = np.concatenate([w[numeric], w[categorical]])
        return cls(numeric, categorical, centre, scale, ordered, float(penalty), missing, unit)

    @property
    def mismatch(self) -> np.ndarray:
        """Squared cost of a missing or differing cell of each column, in prepared units."""
        return self.weights * (self.penalty * self.unit) ** 2

    def prepare(self, z: np.ndarray) -> PreparedRows:
        """Bring encoded rows (n, p) into the coordinates of the distance."""
        n, p_num = len(z), len(self.numeric)
        x = np.empty((n, p_num))
        codes = np.empty((n, len(self.categorical)), dtype=np.int32)
        seen = np.ones((n, p_num + len(self.categorical)), dtype=bool)
        factor = np.sqrt(self.weights[:p_num]) * self.unit
        for i, j in enumerate(self.numeric):
            x[:, i] = (z[:, j] * _HALF - self.centre[i] * _HALF) / self.scale[i]
            x[:, i] *= factor[i] / _HALF
        seen[:, :p_num] = np.isnan(x)
        x[seen[:, :p_num]] = 0.0
        for i, j in enumerate(self.categorical):
            seen[:, p_num + i] = np.isnan(z[:, j])
            codes[:, i] = np.where(seen[:, p_num + i], -1.0, z[:, j])
        np.logical_not(seen, out=seen)
        return PreparedRows(x, codes, None if seen.all() else seen)

    def squared(self, a: PreparedRows, b: PreparedRows, index: np.ndarray) -> np.ndarray:
        """Squared distances (n, m), in prepared units, of row i of `a` to rows ``index[i]`` of `b`."""
        x = b.x.take(index, axis=0)
        x -= a.x[:, None, :]
        differ = b.codes.take(index, axis=0) != a.codes[:, None, :]
        cost, p_num = self.mismatch, len(self.numeric)
        if a.seen is None and b.seen is None:
            return self._total(x, differ)
        shape = (*index.shape, len(self.weights))
        seen_a = np.broadcast_to(True if a.seen is None else a.seen[:, None, :], shape)
        seen_b = np.broadcast_to(True if b.seen is None else b.seen.take(index, axis=0), shape)
        both = seen_a & seen_b
        x[~both[..., :p_num]] = 0.0
        if self.missing == "state":  # a missing category is code -1: it differs from all but -1
            one = (seen_a ^ seen_b)[..., :p_num]
            return self._total(x, differ) + _weighted(one, cost[:p_num])
        differ &= both[..., p_num:]
        shared = _weighted(both, self.weights)
        # Summed in the same way, so that the factor of complete pairs is exactly 1.
        every = _weighted(np.ones(len(self.weights), dtype=bool), self.weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            total = self._total(x, differ) * (every / shared)
        return np.where(shared > 0, total, np.inf)

    def _total(self, x: np.ndarray, differ: np.ndarray) -> np.ndarray:
        total = np.einsum("ijk,ijk->ij", x, x)
        if differ.shape[-1]:
            total += _weighted(differ, self.mismatch[len(self.numeric) :])
        return total

    def pairs(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the distances (n,) between the encoded rows ``a[i]`` and ``b[i]``."""
        first, second = self.prepare(a), self.prepare(b)
        return np.sqrt(self.squared(first, second, np.arange(len(first))[:, None])[:, 0]) / self.unit


def _weighted(flags: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum of the weights where flagged (..., p), in the same order whatever the shape (a product is not)."""
    if not len(weights) or (weights == weights[0]).all():
        return np.count_nonzero(flags, axis=-1) * (weights[0] if len(weights) else 0.0)
    total = flags[..., 0] * weights[0]
    for j in range(1, len(weights)):
        total += flags[..., j] * weights[j]
    return total


def _column_weights(weights: np.ndarray | None, p: int) -> np.ndarray:
    w = np.ones(p) if weights is None else np.asarray(weights, dtype=float)
    if w.shape != (p,) or not np.isfinite(w).all() or (w < 0).any() or not (w > 0).any():
        must = f"weights must be {p} finite numbers >= 0, not all 0"
        raise ParameterError(sentence("MixedDistance", must, repr(weights)))
    return w


def _centre_and_spread(column: np.ndarray) -> tuple[float, float, float]:
    """Median, standard deviation and largest distance from the median of the observed cells."""
    v = column[~np.isnan(column)]
    if not len(v) or v.min() == v.max():
        return (float(v[0]) if len(v) else 0.0), 0.0, 0.0
    centre = float(np.median(v * _HALF)) / _HALF  # the median keeps one outlier from shifting all rows
    d = v * _HALF - centre * _HALF
    top = float(np.abs(d).max())
    d /= top
    largest = np.finfo(float).max * _HALF
    return centre, min(float(d.std()) * top, largest) / _HALF, min(top, largest) / _HALF
