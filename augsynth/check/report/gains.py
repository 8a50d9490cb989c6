"""Who gained and who lost: gains of models, of classes and of groups, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from augsynth.check.bias.data_tables import wilson
from augsynth.check.downstream.trained import BOTH, MATCHED, NEW, NEW_MATCHED, REAL, WEIGHTED
from augsynth.check.finding import FAILED, NOT_JUDGED, PASSED
from augsynth.check.report.answers import QUESTIONS, Answer
from augsynth.check.report.charts import Gain, forest, group_dots
from augsynth.check.report.markup import spaced
from augsynth.check.utility.verdict import HELPS, HURTS

if TYPE_CHECKING:
    from augsynth.check.bias.slices import SliceReport
    from augsynth.check.downstream import Trial
    from augsynth.check.report.report import Report
    from augsynth.check.utility.comparison import Comparison

__all__ = ["gain_blocks", "group_blocks", "judge_gains", "judge_trial"]

NOTHING = "nothing"
ONE_AT_A_TIME = (
    "Each interval is of one line at a time; the words beside them allow for several: what is clear "
    "only by itself is no evidence among so many lines."
)
_SETS = {
    BOTH: "real and new rows",
    NEW: "new rows alone",
    WEIGHTED: "real rows, class weights",
    MATCHED: "real rows, cut to the number of new ones",
    NEW_MATCHED: "new rows, cut to the number of real ones",
}


def judge_trial(trial: Trial) -> Answer:
    """Answer whether the new rows are worth anything from a trial on held-out rows."""
    question = QUESTIONS["downstream"]
    if trial.reason:
        return Answer("downstream", question, NOT_JUDGED, NOT_JUDGED, [f"Not judged: {trial.reason}."])
    mine = trial.scores
    mine = mine[
        (mine["learner"] == trial.main) & (mine["metric"] == trial.metric) & (mine["trained_on"] == BOTH)
    ]
    word = str(mine["verdict"].iloc[0])
    status = {HELPS: PASSED, HURTS: FAILED}.get(word, NOT_JUDGED)
    told = [each.sentence for each in trial.findings() if each.sentence]
    value, change = float(mine["value"].iloc[0]), float(mine["difference"].iloc[0])
    brief = f"{trial.metric} {value - change:.3f} without them, {value:.3f} with them"
    known = math.isfinite(value) and math.isfinite(change)
    return Answer("downstream", question, word, status, told or list(trial.notes), brief if known else "")


def judge_gains(
    trial: Trial | None,
    comparison: Comparison | None,
    groups_named: bool,
    *,
    method: str | None = None,
    rarer: str | None = None,
) -> Answer:
    """Answer which classes and groups gained and which lost, each with its change.

    ``method`` of the comparison made the rows; ``rarer`` is the class whose recall by group comes first.
    """
    question = QUESTIONS["bias"]
    levels = _levels_of(trial, comparison, method, rarer)
    if not levels:
        told = ["No class or group could be scored with and without the new rows."]
        return Answer("bias", question, NOT_JUDGED, NOT_JUDGED, told)
    gained = [each for each in levels if each.word == HELPS]
    lost = [each for each in levels if each.word == HURTS]
    rest = [each for each in levels if each.word not in (HELPS, HURTS, "too few")]
    thin = [each for each in levels if each.word == "too few"]
    told = [f"Gained: {_some(gained)}."] if gained else []
    told += [f"Lost: {_some(lost)}."] if lost else []
    told += [f"No evidence either way: {_some(rest)}."] if rest else []
    told += [f"Too few rows to judge: {_some(thin)}."] if thin else []
    known = [each for each in levels if math.isfinite(each.low)]
    if known and not gained and not lost:
        most = max(known, key=lambda each: abs(each.difference))
        interval = f"[{most.low:+.3f}, {most.high:+.3f}]"
        alone = "" if most.low <= 0 <= most.high else f"; clear by itself, but one of {len(known)} looked at"
        told.append(f"The largest change is in the {most.name}: {most.difference:+.3f} {interval}{alone}.")
    if any(each.name.startswith("accuracy of ") for each in levels):
        told.append(_THRESHOLD)
    if not groups_named:
        told.append("No groups were named, so only classes were looked at.")
    word = "some gained" if gained else "no evidence"
    if lost:
        word = "some gained, some lost" if gained else "some lost"
    return Answer("bias", question, word, FAILED if lost else PASSED if gained else NOT_JUDGED, told)


_AS_MANY = "Cut to the same number of each class and group, new and real rows can be compared fairly."
_THRESHOLD = (
    "Recall and accuracy are those of the default threshold: another one trades the one for the other."
)


def _some(levels: Sequence[Gain], most: int = 12) -> str:
    """Name every level with its change; of many, those with the greatest losses and gains."""
    left = len(levels) - most
    if left > 0:
        ranked = sorted(levels, key=lambda each: each.difference if math.isfinite(each.difference) else 0.0)
        extreme = [*ranked[: most // 2], *ranked[-(most - most // 2) :]]
        levels = [each for each in levels if any(each is other for other in extreme)]
    told = [
        f"{each.name} {f'{each.difference:+.3f}' if math.isfinite(each.difference) else 'undefined'}"
        for each in levels
    ]
    return ", ".join(told) + (f" and {left} more between these" if left > 0 else "")


def _levels_of(
    trial: Trial | None, comparison: Comparison | None, method: str | None, rarer: str | None
) -> list[Gain]:
    """Return the gains of classes and groups, named so that a sentence can hold them."""
    tried = trial is not None and not trial.reason
    # of several methods of which none is known to have made the rows, the trial of the rows themselves
    if comparison is not None and not (method is None and len(comparison.methods) > 1 and tried):
        frame = comparison.to_frame()
        frame = frame[frame["scope"].isin(["class", "group"]) & (frame["against"] == NOTHING)]
        if method is not None:
            frame = frame[frame["method"] == method]
        several = method is None and len(comparison.methods) > 1
        found = []
        for _, row in frame.iterrows():
            what = "recall" if row["scope"] == "class" else comparison.metric_words
            by = f", {row['method']}" if several else ""
            found.append(_compared(row, f"{what} of {row['level']}{by}"))
        return found
    if trial is None or trial.reason:
        return []
    what = "mean absolute error" if trial.metric == "R2" else "accuracy"
    by_group = _group_gains(trial, rarer) if rarer is not None else []
    return [
        *(replace(each, name=f"recall of {rarer} in {each.name}") for each in by_group),
        *(replace(each, name=f"recall of {each.name}") for each in _class_gains(trial)),
        *(replace(each, name=f"{what} of {each.name}") for each in _group_gains(trial)),
    ]


def _compared(row: pd.Series, name: str) -> Gain:
    word, flag = str(row["verdict"]), str(row["flag"])
    return Gain(name, row["difference"], row["low"], row["high"], flag or word, flag)


def _tried(row: pd.Series, name: str) -> Gain:
    word = "too few" if row["verdict"] == NOT_JUDGED else str(row["verdict"])
    return Gain(
        name,
        row["difference"],
        row["diff_low"],
        row["diff_high"],
        word,
        "too few rows" if word == "too few" else "",
    )


def _class_gains(trial: Trial) -> list[Gain]:
    frame = trial.by_class
    if not len(frame):
        return []
    return [_tried(row, str(row["class"])) for _, row in frame[frame["trained_on"] == BOTH].iterrows()]


def _group_gains(trial: Trial, label: str = "all") -> list[Gain]:
    frame = trial.by_group
    if not len(frame):
        return []
    frame = frame[(frame["trained_on"] == BOTH) & (frame["class"] == label)]
    return [_tried(row, str(row["group"])) for _, row in frame.iterrows()]


def gain_blocks(report: Report) -> list[dict[str, Any]]:
    """Draw the gains: in all by learner or method, then by class and by group."""
    from augsynth.check.report.sections import chart, finding_block, shown_frame

    blocks: list[dict[str, Any]] = []
    if report.comparison is not None:
        blocks += _comparison_blocks(report.comparison)
    trial = report.trial
    if trial is None or trial.reason:
        return blocks
    frame = trial.scores[(trial.scores["metric"] == trial.metric) & (trial.scores["trained_on"] != REAL)]
    frame = frame[frame["difference"].notna()]  # rows of one class train no model: the notes say so
    lines = {
        str(learner): [
            _tried(row, _SETS.get(str(row["trained_on"]), str(row["trained_on"])))
            for _, row in part.iterrows()
        ]
        for learner, part in frame.groupby("learner", sort=False)
    }
    caption = f"Held-out rows: change of {trial.metric} against the real rows alone"
    beside = [_AS_MANY] if MATCHED in set(frame["trained_on"]) else []
    note = " ".join([*trial.notes, *beside, ONE_AT_A_TIME])
    blocks.append(chart(caption, forest(lines, f"change of {trial.metric}"), note=note))
    levels = _level_charts(report)
    if levels:
        note = f"{_THRESHOLD} {ONE_AT_A_TIME}" if trial.metric != "R2" else ONE_AT_A_TIME
        drawn = forest(levels, "change with the new rows")
        blocks.append(chart("Held-out rows: who gains with the new rows", drawn, note=note))
    found = [finding_block(each) for each in report.findings if each.part == "downstream"]
    blocks.append({"kind": "findings", "findings": found})
    columns = [name for name in trial.scores.columns if name not in ("smaller_is_better",)]
    blocks.append(
        {
            "kind": "more",
            "summary": "All scores",
            "frame": shown_frame(trial.scores[columns]),
            "caption": "Scores on the held-out rows",
            "most": 100,
        }
    )
    return blocks


def _level_charts(report: Report) -> dict[str, list[Gain]]:
    """Return the gains that a chart shows, by what they are gains of."""
    trial = report.trial
    if trial.metric == "R2":
        found = {"Mean absolute error of each group (left is better)": _group_gains(trial)}
    else:
        rarer = report.settings.get("rarer_class")
        first = _group_gains(trial, str(rarer)) if rarer is not None else []
        found = {
            f"Recall of {rarer} in each group": first,
            "Recall of each class": _class_gains(trial),
            "Accuracy of each group": _group_gains(trial),
        }
    return {name: gains for name, gains in found.items() if gains}


def _comparison_blocks(comparison: Comparison) -> list[dict[str, Any]]:
    from augsynth.check.report.sections import chart, shown_frame

    frame = comparison.to_frame()
    overall = frame[(frame["metric"] == comparison.metric) & (frame["scope"] == "all")]
    lines = {
        str(method): [_compared(row, f"against {row['against']}") for _, row in part.iterrows()]
        for method, part in overall.groupby("method", sort=False)
    }
    words = comparison.metric_words
    note = " ".join(f"{name}: not applicable, {why}." for name, why in comparison.baselines.items() if why)
    blocks = [chart(f"Cross-validated: {words}", forest(lines, f"change of {words}"), note=note)]
    levels: dict[str, list[Gain]] = {}
    titles = {
        "class": "recall of class",
        "group": f"{words} of group",
        "gap": "gap between groups (smaller is better)",
    }
    for scope, title in titles.items():
        part = frame[(frame["scope"] == scope) & (frame["against"] == NOTHING)]
        for method, mine in part.groupby("method", sort=False):
            levels[f"{method}: {title}"] = [_compared(row, str(row["level"])) for _, row in mine.iterrows()]
    if levels:
        blocks.append(
            chart(
                "Cross-validated: who gains, against doing nothing", forest(levels, "change against nothing")
            )
        )
    table = overall[
        ["method", "against", "score", "score_against", "difference", "low", "high", "p_holm", "verdict"]
    ]
    return [
        *blocks,
        {
            "kind": "more",
            "summary": "As a table",
            "frame": shown_frame(table),
            "caption": "Comparison",
            "most": 60,
        },
    ]


def group_blocks(report: Report) -> list[dict[str, Any]]:
    """Draw metrics of groups before and after; name gaps, and subgroups that nobody listed."""
    from augsynth.check.report.sections import chart, shown_frame

    trial = report.trial
    if trial is None or trial.reason:
        return []
    blocks: list[dict[str, Any]] = []
    if report.groups is not None:
        told = report.groups.sentences()
        first = [line for line in told if not line.endswith(" rows.") or len(told) <= _FEW_LINES]
        rest = [line for line in told if line not in first]
        blocks.append({"kind": "list", "lines": [*first, _OF_THESE_MODELS]})
        if rest:
            blocks.append(
                {"kind": "hidden", "summary": f"{len(rest)} changes of groups, in words", "lines": rest}
            )
    if len(trial.by_group):
        blocks += _group_charts(trial)
    if report.groups is not None:
        for name, caption in (("gaps", "Gaps between groups, before and after"), ("changes", "Every change")):
            table = report.groups.to_frame(name)
            if len(table):
                shown = {"frame": shown_frame(table), "caption": caption, "most": 80}
                blocks.append({"kind": "more", "summary": caption, **shown})
    if report.slices is not None:
        drawn = _slice_drawing(report.slices)
        lines = [spaced(line) for line in report.slices.summary().splitlines()]
        if drawn is not None:
            blocks.append(
                chart(
                    "Subgroups that nobody named, and in which the model with the new rows errs most",
                    drawn,
                    note=lines[0],
                )
            )
        elif blocks:  # without groups, nothing found is no section of its own
            blocks.append({"kind": "list", "lines": lines})
    return blocks


_OF_THESE_MODELS = (
    "These changes are of two fitted models; the intervals of the charts also hold the chance of training."
)
_MOST_CLASSES, _FEW_LINES = 4, 6


def _group_charts(trial: Trial) -> list[dict[str, Any]]:
    from augsynth.check.report.sections import chart

    blocks = []
    for place, (name, part) in enumerate(trial.by_group.groupby("class", sort=False)):
        if place > _MOST_CLASSES:
            break
        sides = [part[part["trained_on"] == which].set_index("group") for which in (REAL, BOTH)]
        table = pd.DataFrame({"group": sides[0].index, "n": sides[0]["rows"].to_numpy()})
        for when, side in zip(("before", "after"), sides, strict=True):
            for column, source in (("", "value"), ("_low", "low"), ("_high", "high")):
                table[when + column] = side[source].reindex(table["group"]).to_numpy()
        rate = trial.metric != "R2"
        if rate:
            table = _with_wilson(table)
        what = f"recall of class {name}" if name != "all" else "accuracy" if rate else "mean absolute error"
        blocks.append(chart(f"By group: {what}", group_dots(table, what, rate=rate)))
    return blocks


def _with_wilson(table: pd.DataFrame) -> pd.DataFrame:
    """Widen intervals of rates to Wilson's, which do not shrink to nothing at 0 and 1."""
    for when in ("before", "after"):
        low, high = wilson(table[when] * table["n"], table["n"])
        table[f"{when}_low"] = np.fmin(low, table[f"{when}_low"])
        table[f"{when}_high"] = np.fmax(high, table[f"{when}_high"])
    return table


def _slice_drawing(slices: SliceReport) -> Any:
    """Draw the subgroups that held on other rows: the loss inside and elsewhere."""
    frame = slices.confirmed
    if not len(frame):
        return None
    table = pd.DataFrame({"group": frame["slice"], "n": frame["rows"], "before": frame["elsewhere"]})
    for column, source in (("after", "loss"), ("after_low", "low"), ("after_high", "high")):
        table[column] = frame[source]
    unit = slices.settings["unit"]
    what = {"error rate": "share wrong", "mean loss": "mean absolute error"}.get(unit, unit)
    words = ("elsewhere", "inside the subgroup")
    return group_dots(table, f"{what} by the model trained with the new rows", words=words, inside=True)
