"""How rates and shares differ between two tables, of which the second may hold the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from augsynth.check.bias.data_tables import two_shares, wilson
from augsynth.check.bias.levels import Levels
from augsynth.check.intervals import holm

__all__ = ["Pairing", "rate_shift", "share_shift"]

_FEW = 5.0  # expected rows below which a share is tested exactly


@dataclass(frozen=True)
class Pairing:
    """How a second table relates to the first one.

    Attributes
    ----------
    enlarged : bool
        It is the first table's rows and new ones, in any order; otherwise it is independent of the first.
    drawn : bool
        Its (new) rows' labels and groups are a sample; otherwise so many of each were asked for.
    """

    enlarged: bool = False
    drawn: bool = True


def rate_shift(
    here: Levels,
    there: Levels,
    targets: tuple[np.ndarray, np.ndarray],
    classes: Sequence[str],
    alpha: float,
    pairing: Pairing,
) -> pd.DataFrame:
    """Return how each group's label rates differ between two tables (the second minus the first).

    Intervals are simultaneous over all groups and labels; p-values have Holm's allowance.
    """
    groups = list(dict.fromkeys([*here.labels, *there.labels]))
    shown = range(len(classes)) if len(classes) > 2 else [1]
    hits, rows = [], []
    for levels, target in zip((here, there), targets, strict=True):
        codes = np.array([groups.index(label) for label in levels.labels], dtype=int)[levels.codes]
        rows.append(np.tile(np.bincount(codes, minlength=len(groups)), len(shown)))
        hits.append(
            np.concatenate([np.bincount(codes, target == k, minlength=len(groups)) for k in shown]).astype(
                int
            )
        )
    labels = np.repeat([classes[k] for k in shown], len(groups))
    table = pd.DataFrame({"attribute": here.name, "group": groups * len(shown), "label": labels})
    return pd.concat([table, _changes(hits, rows, alpha, pairing, len(table), "rate")], axis=1)


def share_shift(here: Levels, there: Levels, alpha: float, pairing: Pairing) -> pd.DataFrame:
    """Return how each group's share of the rows differs between two tables (the second minus the first)."""
    groups = list(dict.fromkeys([*here.labels, *there.labels]))
    hits, rows = [], []
    for levels in (here, there):
        codes = np.array([groups.index(label) for label in levels.labels], dtype=int)[levels.codes]
        hits.append(np.bincount(codes, minlength=len(groups)))
        rows.append(np.full(len(groups), len(codes)))
    table = pd.DataFrame({"attribute": here.name, "group": groups})
    looks = 1 if len(groups) == 2 else len(groups)  # of two groups, one says what the other does
    changes = _changes(hits, rows, alpha, pairing, looks, "share")
    return pd.concat([table, changes.drop(columns=["rows_here", "rows_there"])], axis=1)


def _changes(
    hits: Sequence[np.ndarray],
    rows: Sequence[np.ndarray],
    alpha: float,
    pairing: Pairing,
    looks: int,
    name: str,
) -> pd.DataFrame:
    """Return figures of both tables, the change, its interval and p-value.

    Of an enlarged table only the new rows are set against the first one's: its change is their
    difference times the new rows' part.

    References
    ----------
    Newcombe (1998), Interval estimation for the difference between independent proportions:
    comparison of eleven methods, Statistics in Medicine 17, 873-890, method 10.
    """
    (a, n), (b, m) = zip(hits, rows, strict=True)
    x, k = (b - a, m - n) if pairing.enlarged else (b, m)
    with np.errstate(invalid="ignore", divide="ignore"):
        p, q, both = a / n, x / k, b / m
        part = k / m
    p_low, p_high = wilson(a, n, alpha, looks)
    q_low, q_high = wilson(x, k, alpha, looks) if pairing.drawn else (q, q)
    low = part * (q - p - np.sqrt((q - q_low) ** 2 + (p_high - p) ** 2))
    high = part * (q - p + np.sqrt((q_high - q) ** 2 + (p - p_low) ** 2))
    nothing_new = pairing.enlarged & (k == 0) & (n > 0)
    tested = two_shares(a, n, x, k) if pairing.drawn else _one_share(a, n, q)
    return pd.DataFrame(
        {
            "rows_here": n, "rows_there": m, f"{name}_here": p, f"{name}_there": both, "difference": both - p,
            "low": np.where(nothing_new, 0.0, low), "high": np.where(nothing_new, 0.0, high),
            "p_adjusted": holm(tested),
        }
    )  # fmt: skip


def _one_share(a: np.ndarray, n: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return two-sided p-values of "the share behind a of n is the wanted one"."""
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (a - n * wanted) / np.sqrt(n * wanted * (1 - wanted))
    p = 2 * stats.norm.sf(np.abs(z))
    known = (n > 0) & np.isfinite(wanted)
    for place in np.flatnonzero(known & (np.minimum(wanted, 1 - wanted) * n < _FEW)):
        p[place] = stats.binomtest(int(a[place]), int(n[place]), min(float(wanted[place]), 1.0)).pvalue
    return np.where(known, np.nan_to_num(p, nan=1.0), 1.0)
