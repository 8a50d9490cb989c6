"""Equal rows: how many of some rows equal a training row, and whether that is more than real rows would."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augsynth.check.privacy.exchange import stratified_p_value

__all__ = ["Twins", "count_twins", "repeats"]


@dataclass(frozen=True)
class Twins:
    """Equal rows between new, training and held-out rows.

    Attributes
    ----------
    in_train, in_holdout : ndarray (m,) of bool
        Which new rows equal a training row, a held-out row.
    natural : float
        Share of real rows (held-out rows, and training rows beside the others) that equal a
        training row.
    lone_train, lone_holdout : (int, int)
        Of the rows that are unique among all real rows: how many a new row equals, and
        how many there are.
    p_value : float
        One-sided.
    """

    in_train: np.ndarray
    in_holdout: np.ndarray
    natural: float
    lone_train: tuple[int, int]
    lone_holdout: tuple[int, int]
    p_value: float


def count_twins(
    made: np.ndarray,
    train: np.ndarray,
    holdout: np.ndarray,
    cells: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Twins:
    """Compare keys: equal rows have equal keys.

    Where no two real rows are equal, new rows are queries like held-out rows and like
    training rows that look for a twin among the other training rows: Fisher's exact
    test within cells. Where real rows repeat themselves a good generator does too, and
    prefers what is frequent: then it must also have met more of the training rows that
    are unique among all real rows than of the held-out rows that are (the two may be
    exchanged), and the larger of the two p-values counts.

    Parameters
    ----------
    made, train, holdout : ndarray of uint64
    cells : the cells of the three, optional

    Examples
    --------
    >>> train, holdout = np.arange(1000), np.arange(1000, 2000)
    >>> made = np.concatenate([train[:8], np.arange(2000, 2992)])
    >>> found = count_twins(made, train, holdout)
    >>> int(found.in_train.sum()), found.natural, found.p_value < 0.001
    (8, 0.0, True)
    """
    if cells is None:
        of_made, of_train, of_held = (np.zeros(len(each), dtype=int) for each in (made, train, holdout))
        cells = of_made, of_train, of_held
    in_train, in_holdout = np.isin(made, train), np.isin(made, holdout)
    keys, place, counts = np.unique(train, return_inverse=True, return_counts=True)
    again = counts[np.ravel(place)] > 1  # training rows with a twin among the other training rows
    held_in_train = np.isin(holdout, keys)
    real, real_cells = np.concatenate([held_in_train, again]), np.concatenate([cells[2], cells[1]])
    p = _more_often(in_train, cells[0], real, real_cells)
    pooled = np.concatenate([train, holdout])
    _, where, often = np.unique(pooled, return_inverse=True, return_counts=True)
    lone = often[np.ravel(where)] == 1
    met = lone & np.isin(pooled, made)
    first, second = slice(0, len(train)), slice(len(train), None)
    if real.any():
        unique_cells = np.concatenate([cells[1], cells[2]])
        exchanged = _more_often(
            met[first][lone[first]],
            unique_cells[first][lone[first]],
            met[second][lone[second]],
            unique_cells[second][lone[second]],
        )
        p = max(p, exchanged)
    lone_train, lone_holdout = ((int(met[part].sum()), int(lone[part].sum())) for part in (first, second))
    return Twins(in_train, in_holdout, float(real.mean()), lone_train, lone_holdout, p)


def repeats(keys: np.ndarray) -> int:
    """Return how many rows repeat an earlier one.

    Examples
    --------
    >>> repeats(np.array([3, 3, 1, 3]))
    2
    """
    return len(keys) - len(np.unique(keys))


def _more_often(
    first: np.ndarray, first_cells: np.ndarray, second: np.ndarray, second_cells: np.ndarray
) -> float:
    """Test within cells whether the first rows are flagged more often than the second."""
    n = int(max(first_cells.max(initial=0), second_cells.max(initial=0))) + 1
    hits, draws = np.bincount(first_cells[first], minlength=n), np.bincount(first_cells, minlength=n)
    other, others = np.bincount(second_cells[second], minlength=n), np.bincount(second_cells, minlength=n)
    # new rows of a cell that no real row has are compared with all real rows
    if ((draws > 0) & (others == 0) & (hits > 0)).any():
        hits, draws, other, others = (np.array([each.sum()]) for each in (hits, draws, other, others))
    return stratified_p_value(hits, draws, hits + other, draws + others)
