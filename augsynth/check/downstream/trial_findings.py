"""A trial in plain words: two findings and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from augsynth.check.downstream.trained import BOTH, MATCHED, NEW, NEW_MATCHED, REAL, WEIGHTED
from augsynth.check.finding import Finding
from augsynth.check.utility.table import interval_text

if TYPE_CHECKING:
    from augsynth.check.downstream.trial import Trial

__all__ = ["trial_findings", "trial_text"]

_TITLES = {"gain": "A model trained with the new rows", "tstr": "A model trained on the new rows alone"}
_NOT_SHOWN = (
    "The interval holds the chance of which rows were held out and which were trained on, "
    "not the variation between runs of the generator."
)
_WORDS = {
    "helps": "the new rows help",
    "hurts": "the new rows hurt",
    "no evidence": "no evidence that the new rows help or hurt",
    "not judged": "too few held-out rows to judge",
}


def trial_findings(trial: Trial) -> list[Finding]:
    """Return the findings "gain" and "tstr"; a failed one means that the new rows are worse.

    Their p-values are one-sided, as in all findings: how often new rows that are no worse would
    do as badly. The intervals, and the p-values of the tables in ``details``, are two-sided.
    """
    if trial.reason:
        nan = float("nan")
        return [
            Finding("downstream", name, title, nan, caution=trial.reason) for name, title in _TITLES.items()
        ]
    return [_gain(trial), _alone(trial)]


def _main(trial: Trial) -> pd.DataFrame:
    frame = trial.scores
    mine = frame[(frame["learner"] == trial.main) & (frame["metric"] == trial.metric)]
    return mine.set_index("trained_on")


def _details(trial: Trial) -> dict[str, pd.DataFrame]:
    tables = {"scores": trial.scores, "by_class": trial.by_class, "by_group": trial.by_group}
    # the p-value of a finding is one-sided ("no worse than that by chance"), that of these tables is not
    told = {name: table.rename(columns={"p_value": "p_two_sided"}) for name, table in tables.items()}
    return {name: table for name, table in told.items() if len(table)}


def _gain(trial: Trial) -> Finding:
    rows = _main(trial)
    real, both = rows.loc[REAL], rows.loc[BOTH]
    metric, confidence = trial.metric, f"{1 - trial.alpha:.0%}".replace("%", " %")
    told = (
        f"Trained on real and new rows together, {trial.main} reaches {_a(metric)} of "
        f"{both['value']:.3f} on the held-out rows, instead of {real['value']:.3f} on the real rows "
        f"alone: {both['difference']:+.4f}, {confidence} interval "
        f"{interval_text(both['diff_low'], both['diff_high'], 4)}; {_WORDS[str(both['verdict'])]}."
    )
    if WEIGHTED in rows.index:
        weights = rows.loc[WEIGHTED]
        told += f" Class weights, which cost nothing, change it by {weights['difference']:+.4f}."
    p = _p_worse(both) if both["verdict"] != "not judged" else float("nan")
    beside = {name: each["gain"] for name, each in trial.controls.items()}
    return Finding(
        "downstream", "gain", _TITLES["gain"], float(both["difference"]), f"change of {metric}",
        float(both["diff_low"]), float(both["diff_high"]), 0.0, p, _new_rows(trial, BOTH), told,
        _caution(trial), beside, _details(trial),
    )  # fmt: skip


def _alone(trial: Trial) -> Finding:
    rows = _main(trial)
    name = NEW_MATCHED if NEW_MATCHED in rows.index else NEW
    new, as_many, real = rows.loc[name], rows.loc[MATCHED], rows.loc[REAL]
    value, null = float(new["value"]), float(as_many["value"])  # of as many rows, so that they compare
    fair = trial.fair
    if not np.isfinite(new["value"]) or not np.isfinite(null):
        note = next((each for each in trial.notes if "of class" in each), "No model can be trained on them.")
        return Finding("downstream", "tstr", _TITLES["tstr"], value, trial.metric, caution=note)
    low, high = fair.bounds(trial.alpha)
    judged = not trial.few
    word = "worse" if fair.p_below() <= trial.alpha / 2 else "not shown to be worse"
    alone = float(rows.loc[NEW, "value"])
    told = (
        f"Trained on the new rows alone, {trial.main} reaches {_a(trial.metric)} of {alone:.3f} on "
        f"the held-out rows{_chance(trial)}; on all real rows {real['value']:.3f}. With as many rows of each "
        f"class and group, new ones give {value:.3f} and real ones {null:.3f}: "
        f"{fair.value:+.4f}, interval {interval_text(low, high, 4)}; the new rows are {word}."
    )
    beside = {control: each["tstr"] for control, each in trial.controls.items()}
    return Finding(
        "downstream", "tstr", _TITLES["tstr"], value, trial.metric, float(new["low"]), float(new["high"]),
        null, fair.p_below() if judged else float("nan"), _new_rows(trial, NEW), told, _caution(trial),
        beside,
    )  # fmt: skip


def _caution(trial: Trial) -> str:
    """Say why the figures are not judged, if they are not, and what the interval does not hold."""
    why = next((note for note in trial.notes if trial.few and "not judged" in note), "")
    return f"{why} {_NOT_SHOWN}".strip()


def _chance(trial: Trial) -> str:
    return f" (chance: {trial.chance:.3f})" if np.isfinite(trial.chance) else ""


def _a(metric: str) -> str:
    return f"an {metric}" if metric[0] in "aeioR" else f"a {metric}"


def _p_worse(row: pd.Series) -> float:
    half = float(row["p_value"]) / 2
    return half if row["difference"] < 0 else 1.0 - half


def _new_rows(trial: Trial, name: str) -> int:
    costs = trial.costs[trial.costs["learner"] == trial.main].set_index("trained_on")["rows"]
    return int(costs[NEW])


def trial_text(trial: Trial) -> str:
    """Return the scores and the sentences as text."""
    if trial.reason:
        return f"Not tried: {trial.reason}."
    frame = trial.scores[trial.scores["metric"] == trial.metric]
    shown = frame[["learner", "trained_on", "value", "difference", "diff_low", "diff_high", "verdict"]]
    table = shown.to_string(index=False, float_format=lambda x: f"{x:.4f}", na_rep="")
    told = [each.sentence or each.caution for each in trial.findings()]
    return "\n".join([f"Scores on the held-out rows: {trial.metric}", table, *told, *trial.notes])
