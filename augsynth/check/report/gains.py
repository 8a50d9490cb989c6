"""Who gained and who lost: gains of models, of classes and of groups, with intervals."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from augsynth.check.downstream.trained import BOTH, MATCHED, NEW, NEW_MATCHED, REAL, WEIGHTED
from augsynth.check.finding import FAILED, NOT_JUDGED, PASSED
from augsynth.check.report.answers import QUESTIONS, Answer
from augsynth.check.report.charts import Gain, forest, group_dots
from augsynth.check.verdict import HELPS, HURTS

if TYPE_CHECKING:
    from augsynth.check.bias.slices import SliceReport
    from augsynth.check.comparison import Comparison
    from augsynth.check.downstream import Trial
    from augsynth.check.report.report import Report

__all__ = ["gain_blocks", "group_blocks", "judge_gains", "judge_trial"]

NOTHING = "nothing"
_SETS = {
    BOTH: "real and new rows",
    NEW: "new rows alone",
    WEIGHTED: "real rows, class weights",
    MATCHED: "real rows, as many as new",
    NEW_MATCHED: "new rows, as many as real",
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
    return Answer("downstream", question, word, status, told or list(trial.notes))


def judge_gains(trial: Trial | None, comparison: Comparison | None, groups_named: bool) -> Answer:
    """Answer which classes and groups gained and which lost."""
    question = QUESTIONS["bias"]
    levels = _levels_of(trial, comparison)
    gained = [f"{each.name} ({each.difference:+.3f})" for each in levels if each.word == HELPS]
    lost = [f"{each.name} ({each.difference:+.3f})" for each in levels if each.word == HURTS]
    if not levels:
        return Answer(
            "bias",
            question,
            NOT_JUDGED,
            NOT_JUDGED,
            ["No class or group could be scored with and without the new rows."],
        )
    told = []
    if gained:
        told.append(f"Gained: {_some(gained)}.")
    if lost:
        told.append(f"Lost: {_some(lost)}.")
    open_ = [each.name for each in levels if each.word not in (HELPS, HURTS)]
    if open_:
        few = sum(each.word == "too few" for each in levels)
        thin = f", {few} of them with too few rows" if few else ""
        told.append(f"No evidence either way for {len(open_)} of {len(levels)} classes and groups{thin}.")
    known = [each for each in levels if math.isfinite(each.low)]
    if known and not gained and not lost:
        most = max(known, key=lambda each: abs(each.difference))
        interval = f"[{most.low:+.3f}, {most.high:+.3f}]"
        told.append(f"The largest change is in the {most.name}: {most.difference:+.3f} {interval}.")
    if not groups_named:
        told.append("No groups were named, so only classes were looked at.")
    word = (
        "some lost"
        if lost and not gained
        else "some gained, some lost"
        if lost
        else "some gained"
        if gained
        else "no evidence"
    )
    return Answer("bias", question, word, FAILED if lost else PASSED if gained else NOT_JUDGED, told)


def _some(names: list[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _levels_of(trial: Trial | None, comparison: Comparison | None) -> list[Gain]:
    """Return the gains of classes and groups, named so that a sentence can hold them."""
    if comparison is not None:
        frame = comparison.to_frame()
        frame = frame[frame["scope"].isin(["class", "group"]) & (frame["against"] == NOTHING)]
        several = len(comparison.methods) > 1
        found = []
        for _, row in frame.iterrows():
            what = "recall" if row["scope"] == "class" else comparison.metric_words
            by = f", {row['method']}" if several else ""
            found.append(_compared(row, f"{what} of {row['level']}{by}"))
        return found
    if trial is None or trial.reason:
        return []
    what = "mean absolute error" if trial.metric == "R2" else "accuracy"
    classes = [replace(each, name=f"recall of {each.name}") for each in _class_gains(trial)]
    return [*classes, *(replace(each, name=f"{what} of {each.name}") for each in _group_gains(trial))]


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


def _group_gains(trial: Trial) -> list[Gain]:
    frame = trial.by_group
    if not len(frame):
        return []
    frame = frame[(frame["trained_on"] == BOTH) & (frame["class"] == "all")]
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
    blocks.append(chart(caption, forest(lines, f"change of {trial.metric}"), note=" ".join(trial.notes)))
    by_class, by_group = _class_gains(trial), _group_gains(trial)
    levels = {
        name: gains
        for name, gains in (("Recall of each class", by_class), ("Accuracy of each group", by_group))
        if gains
    }
    if trial.metric == "R2" and by_group:
        levels = {"Mean absolute error of each group (left is better)": by_group}
    if levels:
        blocks.append(
            chart("Held-out rows: who gains with the new rows", forest(levels, "change with the new rows"))
        )
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
        lines = report.slices.summary().splitlines()
        if drawn is not None:
            blocks.append(
                chart("Subgroups that nobody named, and in which the model errs most", drawn, note=lines[0])
            )
        else:
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
        what = f"recall of class {name}" if name != "all" else "accuracy" if rate else "mean absolute error"
        blocks.append(chart(f"By group: {what}", group_dots(table, what, rate=rate)))
    return blocks


def _slice_drawing(slices: SliceReport) -> Any:
    """Draw the subgroups that held on other rows: mean loss inside and elsewhere."""
    frame = slices.confirmed
    if not len(frame):
        return None
    table = pd.DataFrame({"group": frame["slice"], "n": frame["rows"], "before": frame["elsewhere"]})
    for column, source in (("after", "loss"), ("after_low", "low"), ("after_high", "high")):
        table[column] = frame[source]
    return group_dots(table, "mean loss", words=("elsewhere", "in the subgroup"))
