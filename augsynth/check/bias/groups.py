"""What a model does in each group: rates and errors, gaps with intervals, and what cannot be said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.bias.calibration import calibration_table
from augsynth.check.bias.figures import Figure, default_figures, own_figures
from augsynth.check.bias.gaps import GapInterval, gap_interval, mean_gap_interval, own_interval
from augsynth.check.bias.group_report import GAP, INSUFFICIENT, NO_EVIDENCE, GroupReport
from augsynth.check.bias.rates import Targets, attributes, measures, names_asked
from augsynth.check.intervals import holm
from augsynth.core.arrays import check_weights
from augsynth.core.errors import DataError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_number

__all__ = ["group_metrics"]

_WHERE = "group_metrics"


def group_metrics(
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    y_score: Any = None,
    sample_weight: Any = None,
    pos_label: Any = None,
    metrics: Sequence[str] | Mapping[str, Callable[..., float]] | None = None,
    min_rows: int = 20,
    margin: float = 0.1,
    alpha: float = 0.05,
) -> GroupReport:
    """Say what a model does in each group, how far the groups lie apart, and how sure that is.

    Parameters
    ----------
    y_true, y_pred : array-like (n,)
        Labels and predicted labels, or numbers and predicted numbers, of rows that the model has
        not been trained on.
    sensitive_features : array-like (n,) or DataFrame (n, k)
        Groups. Of several columns each is looked at alone, and all together ("sex x race").
    y_score : array-like (n,), optional
        Predicted probability of the positive class: adds calibration by group.
    sample_weight : array-like (n,), optional
        Intervals then rest on effective counts (Kish).
    pos_label : label, optional
        The positive class: 1 or True if the labels are such, else the rarer of two.
    metrics : list of str, or dict of name to callable, optional
        Only these of the default figures; or your own ``metric(y_true, y_pred)``, with
        ``sample_weight`` where weights are given (intervals by a jackknife of 20 blocks a group).
    min_rows : int, default=20
        A group with fewer rows that count (for recall: fewer positives) is shown, flagged "too few", and
        left out of the gaps.
    margin : float, default=0.1
        Where no gap is shown: if the interval reaches beyond this, the verdict is "insufficient
        evidence", else "no evidence of a gap". For means, in units of two standard deviations of rows
        (a rate's deviation is at most one half).
    alpha : float, default=0.05
        One minus the confidence of each gap's interval.

    Returns
    -------
    GroupReport
        ``print`` it; tables ``by_group``, ``gaps``, ``pairs``, ``calibration``.

    Raises
    ------
    DataError
        If labels, groups or scores are missing, infinite or of different lengths.

    Notes
    -----
    Figures by group come from fairlearn's ``MetricFrame``. A rate without rows (recall where nobody is
    positive) is undefined: NaN, with its reason, never 0 or 1. Cost: about 1 s for 100,000 rows,
    two columns of groups and their intersections.

    Examples
    --------
    >>> y_true = [1, 1, 0, 0] * 50
    >>> y_pred = [1, 1, 0, 0] * 25 + [1, 0, 0, 0] * 25
    >>> report = group_metrics(y_true, y_pred, sensitive_features=["a"] * 100 + ["b"] * 100)
    >>> report.verdicts["group_0"]["true_positive_rate"]
    'gap'
    """
    _check_parameters(min_rows, margin, alpha)
    targets, (pred,) = Targets.of(y_true, [y_pred], pos_label, _WHERE)
    n = len(targets.true)
    weights = check_weights(sample_weight, n, _WHERE)
    score = _score(y_score, targets)
    listed = measures(targets, pred, score)
    own = _own_metrics(metrics)
    by_group, gaps, pairs, calibration = [], [], [], []
    for attribute, (codes, names) in attributes(sensitive_features, n, _WHERE).items():
        if own:
            figures = own_figures(own, np.asarray(y_true), np.asarray(y_pred), codes, len(names), weights)
        else:
            figures = default_figures(targets, pred, listed, codes, len(names), weights)
            figures = _chosen(figures, metrics)
        sizes = np.bincount(codes, minlength=len(names))
        for figure in figures:
            found, told, reason = _judged(figure, names, min_rows, alpha)
            by_group.append(_group_rows(attribute, figure, names, told, sizes, alpha))
            gaps.append(_gap_row(attribute, figure, found, told, reason, margin))
            pairs.append(found.pairs.assign(attribute=attribute, metric=figure.name))
        if score is not None and not own:
            calibration.append(
                calibration_table(
                    attribute, targets.true, score, codes, names, weights=weights, min_rows=min_rows
                )
            )
    table = pd.DataFrame(gaps)
    finite = table["p_value"].notna().to_numpy()
    table.insert(table.columns.get_loc("p_value") + 1, "p_holm", np.nan)
    table.loc[finite, "p_holm"] = holm(table.loc[finite, "p_value"].to_numpy())
    return GroupReport(
        by_group=pd.concat([each for each in by_group if len(each)] or by_group[:1], ignore_index=True),
        gaps=table,
        pairs=_pair_table(pairs),
        calibration=pd.concat(calibration, ignore_index=True) if calibration else pd.DataFrame(),
        settings={
            "rows": n,
            "task": "regression" if targets.kind == "number" else targets.kind,
            "positive": None if targets.kind != "binary" else str(targets.classes[-1]),
            "alpha": alpha,
            "min_rows": min_rows,
            "margin": margin,
            "weighted": weights is not None,
        },
    )


def _own_metrics(metrics: Any) -> Mapping[str, Callable[..., float]]:
    """Return the user's own metrics; none if names were given."""
    own: Mapping[str, Callable[..., float]] = metrics if isinstance(metrics, Mapping) else {}
    wrong = [each for each in own.values() if not callable(each)]
    if wrong:
        raise ParameterError(sentence(_WHERE, "metrics must be a dict of callables", offenders(wrong)))
    return own


def _check_parameters(min_rows: int, margin: float, alpha: float) -> None:
    check_number(_WHERE, "min_rows", min_rows, low=1, integer=True)
    check_number(_WHERE, "margin", margin, low=0)
    check_number(_WHERE, "alpha", alpha, low=0, high=0.5, low_open=True)


def _score(y_score: Any, targets: Targets) -> np.ndarray | None:
    if y_score is None:
        return None
    if targets.kind != "binary":
        given = "numbers" if targets.kind == "number" else f"{len(targets.classes)} classes"
        raise DataError(sentence(_WHERE, "y_score needs two classes", given, "Leave it out."))
    score = np.asarray(y_score, dtype=float)
    if score.ndim == 2 and score.shape[1] == 2:
        score = score[:, 1]
    wrong = ~np.isfinite(score) | (score < 0) | (score > 1)
    if score.shape != targets.true.shape or wrong.any():
        given = offenders(score[wrong].tolist()) if wrong.any() else f"shape {score.shape}"
        must = f"y_score must hold {len(targets.true)} probabilities of the positive class"
        raise DataError(sentence(_WHERE, must, given, "Pass predict_proba(X)[:, 1]."))
    return score


def _chosen(figures: list[Figure], metrics: Any) -> list[Figure]:
    if metrics is None:
        return figures
    asked = names_asked(metrics, _WHERE)
    known = [each.name for each in figures]
    unknown = [name for name in asked if name not in known]
    if unknown or not asked:
        must = f"metrics must be among {', '.join(known)}, or a dict of callables"
        raise ParameterError(sentence(_WHERE, must, offenders(unknown) if unknown else "none"))
    return [each for each in figures if each.name in asked]


def _judged(
    figure: Figure, names: Sequence[str], min_rows: int, alpha: float
) -> tuple[GapInterval, np.ndarray, str]:
    """Return the gap between groups with enough rows, a note a family and group, and what is left out."""
    values = np.array([each.values for each in figure.tallies])
    rows = np.array([each.rows for each in figure.tallies])
    counts = np.array([each.counts for each in figure.tallies])
    deviations = np.array([each.deviations for each in figure.tallies])
    lacking = np.array(figure.lacking, dtype=object)[:, None]
    told = np.where(np.isfinite(values), np.where(rows < min_rows, "too few", ""), "undefined: no " + lacking)
    usable = (told == "") & (counts > 0)
    reasons = []
    for family, lack in enumerate(figure.lacking):
        for start, why in (("undefined", f"no {lack}"), ("too few", f"fewer than {min_rows} {lack}")):
            left = [
                names[int(k)] for k in np.flatnonzero(np.char.startswith(told[family].astype(str), start))
            ]
            if left:
                groups = "group " if len(left) == 1 else "groups "
                reasons.append(
                    f"{why} in {groups}{', '.join(left[:4])}" + (" and others" if len(left) > 4 else "")
                )
    options: dict[str, Any] = {"alpha": alpha, "groups": names, "families": list(figure.families)}
    kept = np.where(usable, counts, 0.0)
    if figure.kind == "rate":
        found = gap_interval(np.where(usable, values, 0.0) * kept, kept, **options)
    else:
        found = mean_gap_interval(np.where(usable, values, np.nan), deviations, kept, **options)
    return found, told, "; ".join(dict.fromkeys(reasons))


def _group_rows(
    attribute: str, figure: Figure, names: Sequence[str], told: np.ndarray, sizes: np.ndarray, alpha: float
) -> pd.DataFrame:
    """Return a row a group of a plain measure; joint ones repeat others' figures and have none."""
    columns = ["attribute", "metric", "group", "value", "low", "high", "rows", "group_rows", "note"]
    if len(figure.tallies) > 1:
        return pd.DataFrame(columns=columns)
    only = figure.tallies[0]
    errors = None if figure.kind == "rate" else only.deviations / np.sqrt(np.maximum(only.counts, 1))
    low, high = own_interval(only.values, only.counts, errors, alpha)
    table = pd.DataFrame(
        {
            "group": list(names),
            "value": only.values,
            "low": low,
            "high": high,
            "rows": only.rows.astype(int),
            "group_rows": sizes,
            "note": told[0],
        }
    )
    return table.assign(attribute=attribute, metric=figure.name)[columns]


def _gap_row(
    attribute: str, figure: Figure, found: GapInterval, told: np.ndarray, reason: str, margin: float
) -> dict[str, Any]:
    """Return the line of the table of gaps, with its verdict."""
    used = (told == "").sum(axis=1)
    short = [head for head, count in zip(figure.families, used, strict=True) if count < 2]
    defined = [
        float(np.ptp(each.values[np.isfinite(each.values)])) if np.isfinite(each.values).sum() > 1 else np.nan
        for each in figure.tallies
    ]
    reach = margin
    if figure.kind == "mean":
        weights = np.concatenate([np.where(told == "", each.rows, 0.0)[0] for each in figure.tallies])
        spread = np.concatenate([np.nan_to_num(each.deviations) for each in figure.tallies])
        reach *= 2 * float(np.sqrt(np.average(spread**2, weights=weights))) if weights.sum() else np.nan
    if found.shown:
        verdict = GAP
    elif short or not found.high <= reach:
        verdict = INSUFFICIENT
    else:
        verdict = NO_EVIDENCE
    if short and not found.shown:  # one of the families cannot be compared: the larger gap is unknown
        found = replace(found, gap=np.nan, low=np.nan, high=np.nan, p_value=np.nan, ratio=np.nan,
                        ratio_low=np.nan, ratio_high=np.nan, lowest="", highest="")  # fmt: skip
    elif verdict == INSUFFICIENT:
        reason = "; ".join(filter(None, [f"a gap of up to {found.high:.3g} cannot be excluded", reason]))
    worst = {"high": found.lowest, "low": found.highest}.get(figure.better, "")
    return {
        "attribute": attribute,
        "metric": figure.name,
        "criterion": figure.criterion,
        "groups": int(used.min()),
        "difference": found.gap,
        "low": found.low,
        "high": found.high,
        "ratio": found.ratio,
        "ratio_low": found.ratio_low,
        "ratio_high": found.ratio_high,
        "p_value": found.p_value,
        "lowest": found.lowest,
        "highest": found.highest,
        "worst": worst,
        "difference_all": float(np.max(defined)) if np.isfinite(defined).all() else np.nan,
        "verdict": verdict,
        "reason": reason,
        "words": figure.words,
    }


def _pair_table(pairs: Sequence[pd.DataFrame]) -> pd.DataFrame:
    table = pd.concat([each for each in pairs if len(each)] or pairs[:1], ignore_index=True)
    columns = ["attribute", "metric", "family", "group_a", "group_b", "difference", "low", "high", "shown"]
    return table.reindex(columns=columns)
