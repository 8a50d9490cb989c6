"""Table rows as a flow sees them: tokens for whatever repeats, stretches of scores for the rest."""

from __future__ import annotations

import numpy as np

from augsynth.core.persistence import persistent
from augsynth.encode.layout import Layout, refuse_gaps
from augsynth.encode.scores import NormalScores

__all__ = ["FlowRows"]

FEW_VALUES = 24  # a numeric column of so few values, each repeated, is one of tokens throughout
LEAST_REPEATS = 5
LEAST_SHARE = 5e-4  # an atom has at least this share of the rows, ...
LARGE_SHARE = 0.1  # ... and is one in any case from this share on
EXCESS = 4.0  # between the two: if it is so many times as frequent as the values around it
MOST_ATOMS = 250
LEAST_KNOTS, MOST_KNOTS = 12, 256  # of a column's scores


@persistent
class FlowRows:
    """Turn encoded rows into tokens and normal scores, and back.

    A numeric cell is missing, at one of its column's *atoms* (values that rows repeat
    out of proportion), or in between. Which of them is a token; only numbers in between
    have a score: one of their own, or, for whole numbers, the stretch of scores that
    is rounded to them.

    Attributes
    ----------
    sizes_ : list of int, (q,)
        Tokens of each token column: the categorical columns, then the states of the
        numeric columns that have several.
    scored_ : ndarray of int, (d,)
        Positions of the columns that have scores.
    state_of_score_ : ndarray of int, (d,)
        The token column whose token 0 says that the score is there; -1 where it always is.

    Notes
    -----
    A coded row (n, q + 2 d) holds its tokens, then the lower and the upper end of the
    stretch of scores of each number, NaN where there is none. Both ends of a number
    that is not whole are its score.

    Examples
    --------
    >>> from augsynth.encode.layout import Block
    >>> z = np.concatenate([np.zeros(50), np.linspace(1, 2, 50)])[:, None]
    >>> rows = FlowRows().fit(z, Layout((Block("gain"),)))
    >>> coded = rows.encode(z)
    >>> rows.sizes_, coded[0].tolist(), bool(np.allclose(rows.decode(coded), z))
    ([2], [1.0, nan, nan], True)
    """

    def fit(self, z: np.ndarray, layout: Layout) -> FlowRows:
        """Learn the atoms and the scores of the rows ``z`` (n, p)."""
        self.names_ = [block.name for block in layout]
        self.categorical_, self.numeric_ = layout.categorical, layout.numeric
        self.gaps_ = np.array([b.missing for b in layout]) | np.isnan(z).any(axis=0)
        self.levels_ = layout.n_levels
        self.sizes_ = [int(layout[j].n_levels + self.gaps_[j]) for j in self.categorical_]
        self.atoms_: list[np.ndarray] = []
        self.state_column_ = np.full(len(self.numeric_), -1)
        scored, states = [], []
        for k, j in enumerate(self.numeric_):
            column = z[~np.isnan(z[:, j]), j]
            atoms = _atoms(column)
            self.atoms_.append(atoms)
            between = bool((~np.isin(column, atoms)).any())
            size = int(between) + len(atoms) + int(self.gaps_[j])
            if size > 1:
                self.state_column_[k] = len(self.sizes_)
                self.sizes_.append(size)
            if between:
                scored.append(k)
                states.append(self.state_column_[k])
        self.is_scored_ = np.isin(np.arange(len(self.numeric_)), scored)
        self.scored_ = self.numeric_[np.array(scored, dtype=np.intp)]
        self.state_of_score_ = np.array(states, dtype=np.int64)
        self.whole_ = np.array([layout[j].integer for j in self.scored_], dtype=bool)
        # few rows, few knots: a density as rough as the gaps between rows would know them by heart
        knots = int(np.clip(2.0 * np.sqrt(len(z)), LEAST_KNOTS, MOST_KNOTS))
        self._scores = NormalScores(knots, atom_share=None)
        if scored:
            self._scores.fit(self._between(z), Layout(tuple(layout[j] for j in self.scored_)))
        return self

    def _between(self, z: np.ndarray) -> np.ndarray:
        """Return the numbers between atoms, (n, d), NaN elsewhere."""
        x = np.array(z[:, self.scored_])
        for i, k in enumerate(np.flatnonzero(self.is_scored_)):
            x[np.isin(x[:, i], self.atoms_[k]), i] = np.nan
        return x

    def encode(self, z: np.ndarray) -> np.ndarray:
        """Return the coded rows (n, q + 2 d) float64.

        Raises
        ------
        DataError
            For a missing cell in a column that had none in fit.
        """
        for j, name in enumerate(self.names_):
            if not self.gaps_[j]:
                refuse_gaps(name, np.isnan(z[:, j]))
        tokens = np.empty((len(z), len(self.sizes_)))
        for t, j in enumerate(self.categorical_):
            tokens[:, t] = np.where(np.isnan(z[:, j]), self.levels_[j], z[:, j])
        for k, t in enumerate(self.state_column_):
            if t >= 0:
                tokens[:, t] = self._states(k, z[:, self.numeric_[k]])
        return np.concatenate([tokens, *self._stretches(z)], axis=1)

    def _states(self, k: int, column: np.ndarray) -> np.ndarray:
        atoms, first = self.atoms_[k], int(self.is_scored_[k])
        states = np.zeros(len(column))
        if len(atoms):
            # in a column of atoms alone, an unknown number is coded as the nearest; its density is zero
            right = np.searchsorted(atoms, column).clip(1, max(len(atoms) - 1, 1))
            left = right - 1
            right = right.clip(max=len(atoms) - 1)
            nearest = np.where(column - atoms[left] <= atoms[right] - column, left, right)
            known = (atoms[nearest] == column) | (first == 0)
            states = np.where(known, nearest + first, 0.0)
        return np.where(np.isnan(column), first + len(atoms), states)

    def _stretches(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the lower and the upper ends of the scores, (n, d) each."""
        x = self._between(z)
        if not len(self.scored_):
            return x, x
        half = np.where(self.whole_, 0.5, 0.0)
        return self._scores.encode(x - half), self._scores.encode(x + half)

    def decode(self, coded: np.ndarray) -> np.ndarray:
        """Return rows ``z`` (n, p); numbers are kept in the range seen."""
        q, d = len(self.sizes_), len(self.scored_)
        tokens = np.asarray(coded[:, :q]).astype(np.int64)
        z = np.empty((len(coded), len(self.names_)))
        for t, j in enumerate(self.categorical_):
            z[:, j] = np.where(tokens[:, t] == self.levels_[j], np.nan, tokens[:, t])
        if d:
            middle = coded[:, q : q + d].astype(np.float64) / 2 + coded[:, q + d :] / 2
            z[:, self.scored_] = self._scores.decode(middle, clip=True)
        for k, t in enumerate(self.state_column_):
            if t >= 0:
                j, first = self.numeric_[k], int(self.is_scored_[k])
                values = np.concatenate([np.zeros(first), self.atoms_[k], [np.nan]])
                z[:, j] = np.where(first & (tokens[:, t] == 0), z[:, j], values[tokens[:, t]])
        return z

    def log_volume(self, z: np.ndarray) -> np.ndarray:
        """Return what carries log-densities of scores over to rows in data units, (n,).

        The logs of the lengths of the stretches of whole numbers (so that the result is
        a probability), the slopes of the scores of others; minus infinity for a number
        that its column cannot have.
        """
        total = np.zeros(len(z))
        for k, j in enumerate(self.numeric_):
            if not self.is_scored_[k]:
                total[~(np.isin(z[:, j], self.atoms_[k]) | np.isnan(z[:, j]))] = -np.inf
        if not len(self.scored_):
            return total
        low, high = self._stretches(z)
        with np.errstate(divide="ignore"):
            total += np.where(self.whole_ & ~np.isnan(low), np.log(high - low), 0.0).sum(axis=1)
        x = self._between(z)
        x[:, self.whole_] = np.nan
        return total + self._scores.log_jacobian(x)


def _atoms(column: np.ndarray) -> np.ndarray:
    """Return the values that rows repeat out of proportion, in order."""
    values, counts = np.unique(column, return_counts=True)
    if len(values) <= 1:
        return values
    if len(values) <= FEW_VALUES and counts.mean() >= LEAST_REPEATS:
        return values
    step = np.diff(values).min()
    # how many rows the two steps on either side hold, the value itself left out
    run = np.concatenate([[0], np.cumsum(counts)])
    around = (
        run[np.searchsorted(values, values + 2.5 * step)] - run[np.searchsorted(values, values - 2.5 * step)]
    )
    beside = (around - counts) / 4.0
    enough = counts >= max(LEAST_REPEATS, LEAST_SHARE * len(column))
    atom = enough & ((counts > LARGE_SHARE * len(column)) | (counts > EXCESS * (beside + 1.0)))
    if atom.sum() > MOST_ATOMS:
        atom &= counts >= np.sort(counts[atom])[-MOST_ATOMS]
    left = ~atom
    return values if left.sum() == 1 and counts[left].sum() < LEAST_REPEATS else values[atom]
