"""From fold scores to differences, intervals and one word."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.intervals import Interval, corrected_interval, holm, holm_levels

__all__ = [
    "FAILED", "HELPS", "HURTS", "IN_ALL", "LABELS_ONLY", "NOT_APPLICABLE", "NO_EVIDENCE", "differences",
    "holm_of_judged", "overall_p_values", "overall_verdicts",
]  # fmt: skip

HELPS = "helps"
NO_EVIDENCE = "no evidence"
HURTS = "hurts"
FAILED = "failed"  # on every fold: nothing is known about the method
NOT_APPLICABLE = "not applicable"
LABELS_ONLY = "gives labels only"
IN_ALL = "in all"
_UNJUDGED = (FAILED, NOT_APPLICABLE)


def differences(
    folds: pd.DataFrame,
    methods: Sequence[str],
    against: Sequence[str],
    *,
    test_train_ratio: float,
    alpha: float,
    flags: Mapping[tuple[str, Any], str],
    failed: Mapping[str, int],
    judged: Sequence[tuple[str, str]],
    unmoved: Collection[tuple[str, str]] = (),
    bounded: Collection[str] = (),
) -> pd.DataFrame:
    """Compare every method with every baseline on the folds that both were scored on.

    Parameters
    ----------
    folds : DataFrame
        Columns repeat, fold, method, metric, scope, level, score.
    flags : mapping of (scope, level) to str
        "too few" where there are not enough rows to say anything.
    failed : mapping of method to int
        Folds on which a method raised.
    judged : list of (metric, scope)
        What gets a verdict; other metrics are shown without one.
    unmoved : collection of (method, metric)
        What cannot differ from nothing, because the method changes labels only.
    bounded : collection of str
        Metrics between 0 and 1: intervals of their differences end at -1 and +1.

    Returns
    -------
    DataFrame
        One row a metric, scope, level, method and baseline. Holm's adjustment
        runs, for each metric, scope and baseline, over methods and levels.
    """
    rows: list[dict[str, Any]] = []
    intervals: list[Interval] = []
    for (metric, scope, level), part in folds.groupby(["metric", "scope", "level"], sort=False):
        table = part.pivot(index=["repeat", "fold"], columns="method", values="score")
        for method in methods:
            for baseline in against:
                still = (method, metric) in unmoved
                both = table.reindex(columns=[method, baseline])
                pair = both.dropna()
                apart = [] if still else (pair[method] - pair[baseline]).to_numpy()
                found = corrected_interval(apart, test_train_ratio)
                flag = LABELS_ONLY if still else flags.get((str(scope), level), "")
                if failed.get(method):
                    flag = FAILED
                elif failed.get(baseline):
                    flag = f"{baseline} failed"
                elif not flag and scope != "all" and len(pair) < 0.8 * len(table):
                    flag = "too few"
                intervals.append(found)
                low, high = found.bounds(1 - alpha)
                rows.append(
                    {
                        "metric": metric,
                        "scope": scope,
                        "level": level,
                        "method": method,
                        "against": baseline,
                        "score": pair[method].mean(),
                        "score_against": (pair if len(pair) else both)[baseline].mean(),
                        "difference": found.mean,
                        "low": low,
                        "high": high,
                        "n_folds": found.n,
                        "flag": flag,
                    }
                )
    frame = pd.DataFrame(rows)
    frame = _judge(frame, intervals, alpha, set(judged))
    ends, inside = ["low", "high", "low_holm", "high_holm"], frame["metric"].isin(bounded)
    frame.loc[inside, ends] = frame.loc[inside, ends].clip(-1.0, 1.0)
    return frame


def _judge(
    frame: pd.DataFrame, intervals: list[Interval], alpha: float, judged: set[tuple[str, str]]
) -> pd.DataFrame:
    better, worse = _one_sided(frame, intervals)
    frame["p_value"] = np.minimum(1.0, 2 * np.minimum(better, worse))
    frame["p_holm"] = frame["p_value"]
    frame["low_holm"], frame["high_holm"] = frame["low"], frame["high"]
    frame["verdict"] = ""
    for key, family in frame.groupby(["metric", "scope", "against"], sort=False):
        if (key[0], key[1]) not in judged:
            continue
        frame.loc[family.index, "verdict"] = NO_EVIDENCE
        nowhere = family.index[(family["flag"] == FAILED) & (family["n_folds"] == 0)]
        frame.loc[nowhere, "verdict"] = FAILED
        frame.loc[family.index[family["flag"] == LABELS_ONLY], "verdict"] = NOT_APPLICABLE
        members = family.index[family["flag"] == ""]
        if not len(members):
            continue
        # two one-sided families at alpha / 2 each: a false word of either kind at most alpha in all
        up, down = holm(better[members]), holm(worse[members])
        levels_up = holm_levels(better[members], alpha / 2)
        levels_down = holm_levels(worse[members], alpha / 2)
        for place, row in enumerate(members):
            goes_up = better[row] <= worse[row]
            frame.loc[row, "p_holm"] = min(1.0, 2 * (up if goes_up else down)[place])
            level = (levels_up if goes_up else levels_down)[place]
            frame.loc[row, ["low_holm", "high_holm"]] = intervals[row].bounds(1 - 2 * level)
            if up[place] <= alpha / 2:
                frame.loc[row, "verdict"] = HELPS
            elif down[place] <= alpha / 2:
                frame.loc[row, "verdict"] = HURTS
    return frame


def _one_sided(frame: pd.DataFrame, intervals: list[Interval]) -> tuple[np.ndarray, np.ndarray]:
    """P-values of "not better" and "not worse"; a smaller gap between groups is better."""
    smaller_is_better = (frame["scope"] == "gap").to_numpy()
    above = np.array([interval.p_greater for interval in intervals])
    below = np.array([interval.p_less for interval in intervals])
    return np.where(smaller_is_better, below, above), np.where(smaller_is_better, above, below)


def overall_verdicts(
    frame: pd.DataFrame, metric: str, methods: Sequence[str], against: Sequence[str], alpha: float
) -> pd.DataFrame:
    """Return one word a method and baseline, and one in all.

    *helps*: better than every applicable baseline. The p-value of that claim is
    the largest of its one-sided p-values (an intersection-union test, which
    needs no correction for the number of baselines), with Holm's adjustment over the
    methods, at alpha / 2. *hurts*: worse than doing nothing, the same way.
    *failed*: on every fold; *not applicable*: the score cannot see what the method changes;
    both are left out of Holm's count. *no evidence*: everything else.
    """
    one_sided_up, one_sided_down = overall_p_values(frame, metric, methods, against)
    up, down = holm_of_judged(one_sided_up), holm_of_judged(one_sided_down)
    overall = frame[(frame["metric"] == metric) & (frame["scope"] == "all")]
    words: dict[str, dict[Hashable, str]] = {}
    for place, method in enumerate(methods):
        mine = overall[overall["method"] == method].set_index("against")["verdict"]
        words[method] = {baseline: str(mine[baseline]) for baseline in against}
        words[method][IN_ALL] = (
            words[method][against[0]]
            if words[method][against[0]] in _UNJUDGED
            else HELPS
            if up[place] <= alpha / 2
            else HURTS
            if down[place] <= alpha / 2
            else NO_EVIDENCE
        )
    return pd.DataFrame.from_dict(words, orient="index", columns=[*against, IN_ALL]).rename_axis("method")


def overall_p_values(
    frame: pd.DataFrame, metric: str, methods: Sequence[str], against: Sequence[str]
) -> tuple[list[float], list[float]]:
    """Return, a method, the one-sided p-values of "beats every baseline" and of "worse than nothing".

    NaN where the method failed everywhere or does not apply: that is no test.
    """
    overall = frame[(frame["metric"] == metric) & (frame["scope"] == "all")]
    one_sided_up: list[float] = []
    one_sided_down: list[float] = []
    for method in methods:
        mine = overall[overall["method"] == method].set_index("against")
        if mine.loc[against[0], "verdict"] in _UNJUDGED:
            one_sided_up.append(float("nan"))
            one_sided_down.append(float("nan"))
            continue
        usable = mine["flag"] == ""
        up = np.where(mine["difference"] > 0, mine["p_value"] / 2, 1 - mine["p_value"] / 2)
        one_sided_up.append(float(up.max()) if usable.all() else 1.0)
        nothing = mine.loc[against[0]]
        worse = nothing["difference"] < 0 and nothing["flag"] == ""
        one_sided_down.append(float(nothing["p_value"]) / 2 if worse else 1.0)
    return one_sided_up, one_sided_down


def holm_of_judged(p_values: Sequence[float]) -> np.ndarray:
    """Return Holm's adjustment over the p-values that are known; NaN stays NaN and is not counted."""
    values = np.asarray(p_values, dtype=float)
    known = ~np.isnan(values)
    if known.any():
        values[known] = holm(values[known])
    return values
