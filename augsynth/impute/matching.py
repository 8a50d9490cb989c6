"""Predictive mean matching: an observed value of a row with nearly the same prediction."""

from __future__ import annotations

import numpy as np

from augsynth.core.persistence import persistent

__all__ = ["Matcher"]

_CHUNK = 1 << 15  # rows matched at a time


@persistent
class Matcher:
    """Draw an observed value of one of the donors whose predicted means lie nearest.

    Parameters
    ----------
    predicted : ndarray (n,)
        Predicted means of the donors.
    values : ndarray (n,)
        Their observed values.
    n_donors : int, default=5
        How many nearest donors are drawn from, all equally likely; of donors that are
        equally far, each with the same chance.

    Notes
    -----
    Drawn values are observed ones: whole numbers stay whole, bounds hold, a skewed
    column stays skewed. Exact with ties: donors of one prediction form a group, and a
    group that only partly belongs to the nearest k shares those places among all its
    donors, as a random order of the ties would on average. Cost: a sort of the donors,
    then O(log n + k) a row.

    References
    ----------
    Little, "Missing-data adjustments in large surveys", JBES 6(3), 1988,
    doi:10.1080/07350015.1988.10509663. Morris, White and Royston, "Tuning multiple
    imputation by predictive mean matching and local residual draws", BMC Medical
    Research Methodology 14:75, 2014, doi:10.1186/1471-2288-14-75.

    Examples
    --------
    >>> matcher = Matcher(np.array([1.0, 2.0, 9.0]), np.array([10.0, 20.0, 90.0]), 2)
    >>> matcher.draw(np.array([1.4, 1.4, 8.0]), np.array([0.2, 0.7, 0.1])).tolist()
    [10.0, 20.0, 90.0]
    """

    def __init__(self, predicted: np.ndarray, values: np.ndarray, n_donors: int = 5):
        order = np.argsort(predicted, kind="stable")
        ranked = predicted[order]
        first = np.ones(len(order), dtype=bool)
        first[1:] = ranked[1:] != ranked[:-1]
        self._starts = np.flatnonzero(first)
        self._means = ranked[self._starts]
        self._counts = np.diff(np.append(self._starts, len(order)))
        self._values = values[order]
        self.n_donors = min(int(n_donors), len(order))

    def draw(self, predicted: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return a donor's value for each predicted mean (n,), chosen by uniform numbers u (n,)."""
        out = np.empty(len(predicted))
        for start in range(0, len(out), _CHUNK):
            part = slice(start, start + _CHUNK)
            out[part] = self._values[self._chosen(predicted[part], u[part])]
        return out

    def _chosen(self, predicted: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Return the ranks of the chosen donors (n,)."""
        k, groups = self.n_donors, len(self._means)
        window = min(2 * k, groups)
        at = np.searchsorted(self._means, predicted)
        low = np.clip(at - k, 0, groups - window)
        index = low[:, None] + np.arange(window)
        far = np.abs(self._means[index] - predicted[:, None])
        # the window holds the k nearest groups, k below and k above; ties: the lower one first
        order = np.argsort(far, axis=1, kind="stable")
        index = np.take_along_axis(index, order, axis=1)
        far = np.take_along_axis(far, order, axis=1)
        counts = self._counts[index]
        if (counts == 1).all() and (far[:, 1:] != far[:, :-1]).all():  # no ties: a seat is a donor
            seats = np.minimum((u * k).astype(np.intp), k - 1)
            return self._starts[index[np.arange(len(u)), seats]]
        return self._seated(index, far, counts, u * k)

    def _seated(self, index: np.ndarray, far: np.ndarray, counts: np.ndarray, seat: np.ndarray) -> np.ndarray:
        """Return the donor on each seat in [0, k): groups in order of distance, equally far ones as one."""
        k = self.n_donors
        rows = np.arange(len(seat))
        last = np.cumsum(counts, axis=1)
        here = (last <= seat[:, None]).sum(axis=1)
        reach = far[rows, here]
        # two groups may lie equally far, one below and one above: a row in the middle takes from both
        level = far == reach[:, None]
        before = np.where(far < reach[:, None], counts, 0).sum(axis=1)
        size = np.where(level, counts, 0).sum(axis=1)
        share = (seat - before) / np.minimum(size, k - before)
        place = np.minimum((share * size).astype(np.intp), size - 1)
        within = np.cumsum(np.where(level, counts, 0), axis=1)
        group = (within <= place[:, None]).sum(axis=1)
        place -= np.where(group > 0, within[rows, np.maximum(group - 1, 0)], 0)
        return self._starts[index[rows, group]] + place
