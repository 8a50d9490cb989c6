"""Numbers to normal scores and back: every numeric column becomes a standard normal one.

A score is the normal quantile of a smoothed empirical distribution function, linear
between knots; beyond the smallest and largest number it goes on in a straight line,
so that the map is one-to-one on all numbers and densities can be carried over.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.persistence import persistent
from augsynth.encode.layout import Layout, refuse_gaps

__all__ = ["NormalScores"]

KNOTS = 256
ATOM_SHARE = 0.02  # a value with this share of the rows is given back exactly


@persistent
class NormalScores:
    """Turn the numeric columns of an encoded table into normal scores, and back.

    Parameters
    ----------
    n_knots : int, default=256
        Most knots of a column's distribution function.
    atom_share : float or None, default=0.02
        Share of the rows from which on a repeated value is an atom; None for none, so
        that decoding undoes encoding exactly.

    Attributes
    ----------
    numeric_ : ndarray of int
        Positions of the columns that are changed; level codes stay as they are.

    Notes
    -----
    The score of an atom is the middle of its stretch of scores, and every score of
    that stretch comes back as the value.
    Missing cells stay NaN. Fitting sorts each column once.

    Examples
    --------
    >>> import numpy as np
    >>> from augsynth.encode.layout import Block, Layout
    >>> z = np.random.default_rng(0).exponential(size=(500, 1))
    >>> scores = NormalScores().fit(z, Layout((Block("a"),)))
    >>> s = scores.encode(z)
    >>> bool(abs(s.mean()) < 0.01), bool(abs(s.std() - 1) < 0.05), bool(np.allclose(scores.decode(s), z))
    (True, True, True)
    """

    def __init__(self, n_knots: int = KNOTS, *, atom_share: float | None = ATOM_SHARE):
        if not 2 <= n_knots <= 100_000:
            raise ParameterError(sentence("NormalScores", "n_knots must be from 2 to 100000", str(n_knots)))
        self.n_knots = n_knots
        self.atom_share = atom_share

    def fit(self, z: np.ndarray, layout: Layout) -> NormalScores:
        """Learn the distribution of each numeric column of the rows ``z`` (n, p)."""
        self.numeric_ = layout.numeric
        # A missing number is left out of a row; a missing category needs a level of its own.
        self.full_ = {j: layout[j].name for j in layout.categorical.tolist() if not layout[j].missing}
        self.values_: list[np.ndarray] = []
        self.scores_: list[np.ndarray] = []
        self.low_: list[np.ndarray] = []
        self.high_: list[np.ndarray] = []
        for j in self.numeric_:
            column = np.asarray(z[:, j], dtype=np.float64)
            self._fit_column(column[~np.isnan(column)])
        return self

    def _fit_column(self, x: np.ndarray) -> None:
        unique, counts = np.unique(x if len(x) else np.zeros(1), return_counts=True)
        n = counts.sum()
        after = np.cumsum(counts)
        middle = (after - 0.5 * counts) / n
        atom = np.zeros(len(unique), dtype=bool)
        if self.atom_share is not None:
            atom = counts >= max(self.atom_share * n, 2)
        keep = np.ones(len(unique), dtype=bool)
        if len(unique) > self.n_knots:
            wanted = np.linspace(0.0, 1.0, self.n_knots)
            keep[:] = False
            keep[np.searchsorted(middle, wanted).clip(0, len(unique) - 1)] = True
            keep |= atom
            keep[[0, -1]] = True
        values, scores = unique[keep], ndtri(middle[keep])
        if len(values) == 1:  # constant within the rows at hand: any slope will do
            values, scores = np.array([values[0], values[0] + 1.0]), np.array([0.0, 1.0])
            low, high = scores.copy(), scores.copy()
        else:
            low = np.where(atom[keep], ndtri(((after - counts) / n)[keep].clip(0.25 / n)), scores)
            high = np.where(atom[keep], ndtri((after / n)[keep].clip(max=1 - 0.25 / n)), scores)
        self.values_.append(values)
        self.scores_.append(scores)
        self.low_.append(low)
        self.high_.append(high)

    def encode(self, z: np.ndarray) -> np.ndarray:
        """Turn rows ``z`` (n, p) into scores (n, p) float64.

        Raises
        ------
        DataError
            For a missing category in a column that had none in fit.
        """
        out = np.array(z, dtype=np.float64)
        for j, name in self.full_.items():
            refuse_gaps(name, np.isnan(out[:, j]))
        for k, j in enumerate(self.numeric_):
            out[:, j] = _line(out[:, j], self.values_[k], self.scores_[k])
        return out

    def decode(self, scores: np.ndarray, *, clip: bool = False) -> np.ndarray:
        """Turn scores (n, p) into rows ``z``; ``clip`` keeps them in the range seen."""
        out = np.array(scores, dtype=np.float64)
        for k, j in enumerate(self.numeric_):
            # An atom is two knots with one value: the ends of its stretch of scores.
            knots = np.stack([self.low_[k], self.high_[k]], axis=1).ravel()
            values = np.repeat(self.values_[k], 2)
            kept = np.append(True, np.diff(knots) > 0)
            inner = np.interp(out[:, j], knots[kept], values[kept])
            tails = _line(out[:, j], self.scores_[k], self.values_[k])
            beyond = (out[:, j] < knots[0]) | (out[:, j] > knots[-1])
            out[:, j] = np.where(np.isnan(out[:, j]), np.nan, np.where(beyond & (not clip), tails, inner))
        return out

    def log_jacobian(self, z: np.ndarray) -> np.ndarray:
        """Sum the logs of the slopes d(score)/d(number) over the seen numeric cells of each row, (n,)."""
        total = np.zeros(len(z))
        for k, j in enumerate(self.numeric_):
            values, scores = self.values_[k], self.scores_[k]
            at = np.clip(np.searchsorted(values, z[:, j], side="right") - 1, 0, len(values) - 2)
            slope = (scores[at + 1] - scores[at]) / (values[at + 1] - values[at])
            total += np.where(np.isnan(z[:, j]), 0.0, np.log(slope))
        return total


def _line(x: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate linearly between knots, and go on along the outer pieces beyond them."""
    at = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
    slope = (values[at + 1] - values[at]) / (knots[at + 1] - knots[at])
    return values[at] + (x - knots[at]) * slope
