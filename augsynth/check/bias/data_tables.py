"""The tables of data bias: rows and rates of each group, and missing cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from augsynth.check.bias.levels import Levels
from augsynth.check.intervals import holm
from augsynth.check.intervals import wilson as share_interval
from augsynth.core.errors import DataError, ParameterError, offenders, sentence

__all__ = [
    "missing_table",
    "rate_table",
    "reference_shares",
    "representation",
    "rows_needed",
    "wilson",
]

_FEW = 5.0  # expected rows below which chi-squared is drawn by simulation instead


def wilson(hits: Any, rows: Any, alpha: float = 0.05, intervals: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval of rates, simultaneous over so many (Sidak); NaN where there are no rows.

    Reference: Wilson (1927), doi:10.1080/01621459.1927.10502953.

    Examples
    --------
    >>> low, high = wilson([5], [50])
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (0.043, 0.214)
    """
    x, n = np.asarray(hits, dtype=float), np.asarray(rows, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return share_interval(x / n, n, (1 - alpha) ** (1 / max(intervals, 1)))


def rows_needed(rate: Any = 0.5, width: float = 0.1, alpha: float = 0.05) -> np.ndarray:
    """Return how many rows make Wilson's interval of a rate at most so wide from end to end.

    Parameters
    ----------
    rate : float or array
        What the rate is thought to be; one half is the most demanding.
    width : float
        0.1 is plus or minus five points.

    Returns
    -------
    ndarray of int

    Examples
    --------
    >>> int(rows_needed(0.5, 0.1)), int(rows_needed(0.1, 0.1))
    (381, 141)
    """
    if not 0 < width < 1:
        raise ParameterError(sentence("rows_needed", "width must be between 0 and 1", repr(width)))
    p = np.asarray(rate, dtype=float)
    z2 = stats.norm.isf(alpha / 2) ** 2
    # width^2 (n + z^2)^2 = 4 z^2 (n p (1 - p) + z^2 / 4): a quadratic equation in n
    half = z2 * (width**2 - 2 * p * (1 - p))
    root = (-half + np.sqrt(np.maximum(half**2 - width**2 * z2**2 * (width**2 - 1), 0))) / width**2
    return np.ceil(np.maximum(root, 1) - 1e-9).astype(int)


def representation(
    levels: Levels, shares: Mapping[str, float] | None, counted: int | None, *, alpha: float, seed: int
) -> tuple[pd.DataFrame, float]:
    """Return rows and shares of each group, against reference shares if given, and the p-value of the fit.

    Parameters
    ----------
    counted : int or None
        Rows that the shares were counted in; None for shares that are simply known.
    """
    counts = levels.counts
    n = int(counts.sum())
    low, high = wilson(counts, n, alpha, len(counts))
    table = pd.DataFrame(
        {
            "attribute": levels.name,
            "group": levels.labels,
            "rows": counts,
            "share": counts / n,
            "low": low,
            "high": high,
        }
    )
    if shares is None:
        return table, float("nan")
    absent = [group for group in shares if group not in levels.labels and shares[group] > 0]
    if absent:
        empty = {"attribute": levels.name, "group": absent, "rows": 0, "share": 0.0, "low": 0.0}
        more = pd.DataFrame(empty | {"high": wilson(0, n, alpha, len(counts))[1]})
        table = pd.concat([table, more], ignore_index=True)
    wanted = table["group"].map(lambda group: shares.get(group, 0.0)).to_numpy(dtype=float)
    wanted = wanted / wanted.sum()
    rows = table["rows"].to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        table["reference"] = wanted
        table["ratio"] = rows / n / wanted
        spread = wanted * (1 - wanted) * (1 / n + (1 / counted if counted else 0))
        table["standardised"] = (rows / n - wanted) / np.sqrt(spread)
    p = _share_p_values(rows, wanted, n, counted, table["standardised"].to_numpy())
    table["p_adjusted"] = holm(np.nan_to_num(p, nan=1.0))
    return table, _fit_p_value(rows, wanted, counted, seed)


def _share_p_values(
    rows: np.ndarray, wanted: np.ndarray, n: int, counted: int | None, standardised: np.ndarray
) -> np.ndarray:
    """Return two-sided p-values of each group's share; exact where the normal curve does not fit."""
    if counted:
        p = two_shares(rows, np.full(len(rows), n), np.round(wanted * counted), np.full(len(rows), counted))
    else:
        p = 2 * stats.norm.sf(np.abs(standardised))
        for place in np.flatnonzero((np.minimum(wanted, 1 - wanted) * n < _FEW) & (wanted > 0)):
            p[place] = stats.binomtest(int(rows[place]), n, min(float(wanted[place]), 1.0)).pvalue
    return np.where(wanted == 0, np.where(rows > 0, 0.0, 1.0), p)


def _fit_p_value(rows: np.ndarray, wanted: np.ndarray, counted: int | None, seed: int) -> float:
    """Return the chance of counts at least as far from the reference shares (Pearson's chi-squared)."""
    if (rows[wanted == 0] > 0).any():
        return 0.0
    rows, wanted = rows[wanted > 0], wanted[wanted > 0]
    if len(rows) < 2:
        return float("nan")
    n = rows.sum()
    if counted:
        both = np.stack([rows, wanted * counted])
        return float(stats.chi2_contingency(both, correction=False).pvalue)
    expected = n * wanted
    value = float(np.sum((rows - expected) ** 2 / expected))
    if expected.min() >= _FEW:
        return float(stats.chi2.sf(value, len(rows) - 1))
    from augsynth.core.random import keyed_rng

    drawn = keyed_rng(seed, 401).multinomial(int(n), wanted, size=1999)
    far = ((drawn - expected) ** 2 / expected).sum(axis=1) >= value * (1 - 1e-12)
    return float((1 + far.sum()) / 2000)


def reference_shares(reference: Any, levels: Levels, where: str) -> dict[str, float]:
    """Return the shares that a mapping gives for the groups, as texts."""
    try:
        known = {str(group): float(share) for group, share in dict(reference).items()}
    except (TypeError, ValueError):
        must = "reference must map groups to shares"
        raise DataError(sentence(where, must, repr(reference)[:80])) from None
    wrong = [group for group, share in known.items() if not (np.isfinite(share) and share >= 0)]
    if wrong or not known or not sum(known.values()):
        must = "reference must give a share of at least 0 for each group"
        raise DataError(sentence(where, must, offenders(wrong) or "no share above 0"))
    absent = [group for group in levels.labels if group not in known]
    if len(absent) == len(levels.labels):
        must = f"reference must name groups of {levels.name}, such as {offenders(levels.labels[:2])}"
        raise DataError(sentence(where, must, offenders(list(known))))
    total = sum(known.values())
    if total <= 2 and abs(total - 1) > 0.02:  # above, they are counts or per cent
        todo = "Name every group, or give counts of people."
        raise DataError(sentence(where, "shares of reference must add to 1", f"a sum of {total:g}", todo))
    return {group: share / total for group, share in known.items()}


def rate_table(
    levels: Levels, target: np.ndarray, classes: Sequence[str], alpha: float, width: float
) -> pd.DataFrame:
    """Return the rate of each class (or the mean of a number, if there are no classes) in each group."""
    rows = levels.counts
    if not len(classes):
        return _means(levels, target, alpha)
    shown = range(len(classes)) if len(classes) > 2 else [1]
    parts = []
    for k in shown:
        hits = np.bincount(levels.codes, weights=target == k, minlength=len(rows)).astype(int)
        low, high = wilson(hits, rows, alpha, len(rows))
        with np.errstate(invalid="ignore", divide="ignore"):
            rate = hits / rows
        guess = (hits + 1) / (rows + 2)
        parts.append(
            pd.DataFrame(
                {
                    "attribute": levels.name,
                    "group": levels.labels,
                    "label": classes[k],
                    "rows": rows,
                    "hits": hits,
                    "rate": rate,
                    "low": low,
                    "high": high,
                    "more_for_rate": np.maximum(rows_needed(guess, width, alpha) - rows, 0),
                    "more_for_recall": np.maximum(rows_needed(0.5, width, alpha) - hits, 0),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _means(levels: Levels, target: np.ndarray, alpha: float) -> pd.DataFrame:
    found = pd.Series(target).groupby(levels.codes).agg(["size", "mean", "std"])
    found = found.reindex(range(len(levels.labels)))
    n = found["size"].to_numpy(dtype=float)
    level = 1 - (1 - alpha) ** (1 / max(len(n), 1))
    reach = stats.t.isf(level / 2, np.maximum(n - 1, 1)) * found["std"].to_numpy() / np.sqrt(n)
    reach = np.where(n >= 2, reach, np.nan)
    return pd.DataFrame(
        {
            "attribute": levels.name,
            "group": levels.labels,
            "rows": np.nan_to_num(n).astype(int),
            "mean": found["mean"].to_numpy(),
            "low": found["mean"].to_numpy() - reach,
            "high": found["mean"].to_numpy() + reach,
            "deviation": found["std"].to_numpy(),
        }
    )


def missing_table(frame: pd.DataFrame, groupings: Sequence[Levels]) -> pd.DataFrame:
    """Return which columns are missing more (or less) often in which group than in the others.

    Chi-squared tests with one degree of freedom (Fisher's exact test where fewer than 5 are
    expected), with Holm's allowance for all columns and groups.
    """
    parts = []
    absent = frame.isna()
    for column in absent.columns[absent.any(axis=0) & ~absent.all(axis=0)]:
        holes = absent[column].to_numpy()
        for levels in groupings:
            if str(column) in levels.name.split(" x ") or len(levels.labels) < 2:
                continue
            rows = levels.counts
            gone = np.bincount(levels.codes, weights=holes, minlength=len(rows)).astype(int)
            others = holes.sum() - gone, len(frame) - rows
            parts.append(
                pd.DataFrame(
                    {
                        "column": column,
                        "attribute": levels.name,
                        "group": levels.labels,
                        "rows": rows,
                        "missing": gone,
                        "share": gone / np.maximum(rows, 1),
                        "share_elsewhere": others[0] / np.maximum(others[1], 1),
                        "p": two_shares(gone, rows, *others),
                    }
                )
            )
    columns = ["column", "attribute", "group", "rows", "missing", "share", "share_elsewhere", "p_adjusted"]
    if not parts:
        return pd.DataFrame(columns=columns)
    table = pd.concat(parts, ignore_index=True)
    table["p_adjusted"] = holm(table.pop("p").to_numpy())
    return table


def two_shares(a: np.ndarray, n: np.ndarray, b: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Return two-sided p-values of "the shares a / n and b / m are equal"."""
    share = (a + b) / np.maximum(n + m, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (a / n - b / m) / np.sqrt(share * (1 - share) * (1 / n + 1 / m))
    p = 2 * stats.norm.sf(np.abs(z))
    fewest = np.minimum.reduce([share * n, (1 - share) * n, share * m, (1 - share) * m])
    for place in np.flatnonzero((fewest < _FEW) & (n > 0) & (m > 0)):
        cells = [[a[place], n[place] - a[place]], [b[place], m[place] - b[place]]]
        p[place] = stats.fisher_exact(cells).pvalue
    return np.where((n > 0) & (m > 0), np.minimum(np.nan_to_num(p, nan=1.0), 1.0), 1.0)
