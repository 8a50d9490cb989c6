"""A guard against held-out rows that are training rows, and new rows that are held-out rows."""

from __future__ import annotations

import numpy as np
from scipy import stats

from augsynth.check.evidence import Rows
from augsynth.core.errors import LeakError, sentence

__all__ = ["refuse_seen_rows"]

_LEVEL = 1e-6  # chance of a false alarm where rows are equal by accident
_COARSE = 0.05  # share of equal real rows from which on equal rows prove nothing


def refuse_seen_rows(train: Rows, made: Rows, holdout: Rows) -> list[str]:
    """Raise if many more held-out rows equal training rows, or new rows held-out rows, than chance makes.

    Chance is what training rows show among themselves, so a coarse table, in which
    real rows are often equal, is not accused. What is less than that is returned as notes.
    Held-out rows that come back changed a little are found by the check `holdout_leak`.

    Raises
    ------
    LeakError
        With the number of rows.
    """
    among = _repeats(train.keys)
    found = np.isin(holdout.keys, train.keys)
    if _beyond(found, among):
        raise LeakError(
            sentence(
                "report",
                "holdout must hold real rows that nothing was fitted on",
                f"{int(found.sum()):,} of its {len(found):,} rows are training rows",
                "Split first, and fit the generator on the training part only.",
            )
        )
    notes = [f"{int(found.sum()):,} held-out rows are training rows to the letter."] if found.any() else []
    known = np.isin(train.keys, holdout.keys)
    found = np.isin(made.keys, holdout.keys) & ~np.isin(made.keys, train.keys)
    once = np.unique(made.keys, return_index=True)[1]  # a row that is made again and again is one find
    if among.mean() < _COARSE and _beyond(found[once], known):
        raise LeakError(
            sentence(
                "report",
                "the new rows must come from the training rows alone",
                f"{int(found.sum()):,} of {len(found):,} new rows are rows of holdout",
                "Fit the generator on the training part only.",
            )
        )
    if found.any():
        notes.append(f"{int(found.sum()):,} of the new rows are rows of the hold-out to the letter.")
    return notes if among.mean() < _COARSE else []


def _repeats(keys: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return counts[inverse] > 1


def _beyond(found: np.ndarray, usual: np.ndarray) -> bool:
    """Tell whether rows are found more often than usual, by far more than chance (Fisher's exact test)."""
    if found.sum() < 2 or found.mean() <= usual.mean():
        return False
    table = [[found.sum(), (~found).sum()], [usual.sum(), (~usual).sum()]]
    return bool(stats.fisher_exact(table, alternative="greater").pvalue < _LEVEL)
