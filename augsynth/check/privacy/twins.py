"""Equal rows: how many of some rows equal a training row, and whether that is more than real rows would."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augsynth.check.permutation import stratified_p_value

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
    test within cells. Where real rows repeat themselves, the same test is also made of rare
    twins alone, which equal one real row and no other (twice the smaller p-value). A good
    generator prefers what is frequent: so it must also have met more of the training rows
    that are unique among all real rows than of the held-out rows that are (the two may be
    exchanged), and the larger p-value counts.

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
    keys, place = np.unique(np.concatenate([train, holdout]), return_inverse=True)
    first, second = np.split(np.ravel(place), [len(train)])
    in_first, in_second = (np.bincount(each, minlength=len(keys)) for each in (first, second))
    at = np.minimum(np.searchsorted(keys, made), len(keys) - 1)
    known = keys[at] == made
    alone = in_first + in_second == 1  # met once among the real rows
    # a rare twin: the key occurs once among the other real rows, and that is a training row
    rare = known & alone[at] & (in_first[at] == 1)
    rare_real = np.concatenate(
        [((in_first == 1) & (in_second == 1))[second], ((in_first == 2) & (in_second == 0))[first]]
    )
    natural = np.concatenate([in_first[second] > 0, in_first[first] > 1])
    in_train, in_holdout = known & (in_first[at] > 0), known & (in_second[at] > 0)
    real_cells = np.concatenate([cells[2], cells[1]])
    p = _more_often(in_train, cells[0], natural, real_cells)
    met = np.zeros(len(keys), dtype=bool)
    met[at[known]] = True
    lone = alone[first], alone[second]
    hit = met[first][lone[0]], met[second][lone[1]]
    if natural.any():
        p = min(1.0, 2.0 * p, 2.0 * _more_often(rare, cells[0], rare_real, real_cells))
        p = max(p, _more_often(hit[0], cells[1][lone[0]], hit[1], cells[2][lone[1]]))
    lone_train, lone_holdout = ((int(each.sum()), len(each)) for each in hit)
    return Twins(in_train, in_holdout, float(natural.mean()), lone_train, lone_holdout, p)


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
