"""What stands in which section of the page, and in which order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from augsynth.check.finding import FAILED, NOT_JUDGED, PASSED, Finding
from augsynth.check.privacy import WHAT_IT_PROVES
from augsynth.check.records import writable
from augsynth.check.report.answers import figure_words, status_words
from augsynth.check.report.charts import count_bars, loss_lines
from augsynth.check.report.columns import MOST_PANELS, marginals, small_multiples
from augsynth.check.report.gains import gain_blocks, group_blocks
from augsynth.check.report.leak import leak_caution
from augsynth.check.report.maps import MOST_COLUMNS, heat_map, row_map, worst_pairs
from augsynth.check.report.markup import figure, spaced
from augsynth.check.report.neighbour_map import neighbour_map
from augsynth.check.report.pairs import near_duplicate_blocks, pair_blocks
from augsynth.check.report.pictures import MOST_CLASSES, contact_sheets, has_pictures
from augsynth.check.report.strip import strip

if TYPE_CHECKING:
    from augsynth.check.report.report import Report

__all__ = ["chart", "sections_of", "shown_frame"]

Block = dict[str, Any]
_ALONE = 0.05
_CLASSES = {PASSED: "good", FAILED: "bad"}


def chart(caption: str, drawn: Any, *, note: str = "", scroll: bool = False) -> Block:
    """Return a picture with its caption."""
    return {"kind": "chart", "caption": caption, "drawn": drawn, "note": note, "scroll": scroll}


def shown_frame(frame: pd.DataFrame, most: int = 200) -> dict[str, Any]:
    """Return a table as text for the page."""
    kinds = pd.api.types
    numeric = [
        kinds.is_numeric_dtype(frame[name]) and not kinds.is_bool_dtype(frame[name]) for name in frame.columns
    ]
    rows = [
        [figure(cell) if number else _word(cell) for cell, number in zip(row, numeric, strict=True)]
        for row in frame.head(most).itertuples(index=False, name=None)
    ]
    rows += [[""] * len(frame.columns)] * max(0, len(frame) - most)  # so that the caption can count them
    return {
        "columns": [str(name).replace("_", " ") for name in frame.columns],
        "numeric": numeric,
        "rows": rows,
    }


def _word(cell: Any) -> str:
    if isinstance(cell, (float, np.floating)):
        return figure(cell)
    if isinstance(cell, (bool, np.bool_)):
        return "yes" if cell else "no"
    text = "–" if cell is None or cell is pd.NA or cell is pd.NaT else str(cell)
    return text if len(text) <= 120 else text[:119] + "…"


def sections_of(report: Report) -> list[dict[str, Any]]:
    """Return the sections that have something to show."""
    groups = ("Groups", "Groups, before and after", _GROUPS)
    if not report.settings["groups"]:
        groups = ("Subgroups", "Subgroups that nobody named", "")
    caution = leak_caution(report.findings)
    beside = _BESIDE if any(each.controls for each in report.findings) else ""
    made = [
        ("pictures", "Pictures", "Real and new, class by class", "", _picture_blocks(report)),
        ("gains", "Gains", "Who gained, who lost?", _GAINS, gain_blocks(report)),
        ("counts", "Counts", "What was added", "", _count_blocks(report)),
        ("groups", *groups, group_blocks(report)),
        ("fidelity", "Real?", "Do they look real?", _FIDELITY + beside, _fidelity_blocks(report)),
        ("diversity", "Varied?", "Are they varied?", _DIVERSITY, _diversity_blocks(report)),
        ("memorisation", "Copied?", "Does anything look copied?", "", _memorisation_blocks(report)),
        ("training", "Training", "How the model was trained", "", _training_blocks(report)),
        ("details", "Details", "Every figure", "", _detail_blocks(report)),
        ("datasheet", "Datasheet", "Datasheet, for a model card", _DATASHEET, _datasheet_block(report)),
    ]
    return [
        {
            "id": name,
            "short": short,
            "title": title,
            "lead": f"{caution} {lead}".strip() if name in _ON_HELD_OUT else lead,
            "blocks": blocks,
        }
        for name, short, title, lead, blocks in made
        if blocks
    ]


_ON_HELD_OUT = ("gains", "groups")  # sections of what models do on held-out rows
_GAINS = (
    "A dot right of the line means that a model does better with the new rows; the bar is a 95 % interval."
)
_GROUPS = "Metrics of a model trained without and with the new rows, on the same held-out rows."
_FIDELITY = (
    "New rows against as many real ones of every class and group, so that what was asked for is no "
    "difference."
)
_BESIDE = " Each figure stands beside controls that are made and measured the same way."
_DIVERSITY = "A generator that repeats itself looks real row by row; these figures look at all rows together."
_DATASHEET = "Markdown, ready to be pasted. What nobody stated says so."


def finding_block(found: Finding) -> dict[str, Any]:
    """Return a finding for the page."""
    good = math.isfinite(found.value)
    long_unit = "" if found.unit.startswith("share") else found.unit
    unit = found.unit.removeprefix("share").strip() if found.unit.startswith("share") else long_unit
    figures: list[tuple[str, str]] = []
    if good:
        known = math.isfinite(found.low) and math.isfinite(found.high)
        interval = f"{figure(found.low, found.unit)} to {figure(found.high, found.unit)}" if known else "–"
        figures = [
            ("95 % interval", interval),
            ("if nothing differed", figure(found.null, found.unit)),
            *((name, figure(value, found.unit)) for name, value in found.controls.items()),
            ("p-value", figure(found.p_value)),
            ("p-value, Holm", figure(found.p_adjusted)),
            ("new rows", f"{found.n:,}"),
        ]
    tables = [
        (name.replace("_", " "), shown_frame(frame))
        for name, frame in found.details.items()
        if found.part != "downstream"
        and isinstance(frame, pd.DataFrame)
        and 0 < len(frame.columns) <= 16
        and len(frame)
    ]
    return {
        "name": found.name,
        "class": _class_of(found),
        "status": status_words(found),
        "title": found.title,
        "figure": figure_words(found) if good else "",
        "unit": spaced(unit),
        "sentence": found.sentence,
        "caution": f"{found.caution} {_allowance(found)}".strip(),
        "strip": strip(found) if good else "",
        "figures": figures,
        "tables": tables,
    }


def _class_of(found: Finding) -> str:
    """Return the colour; a model that is not shown to be worse is no good news in itself."""
    plain = found.part == "downstream" and found.status == PASSED
    return "plain" if plain else _CLASSES.get(found.status, "plain")


def _allowance(found: Finding) -> str:
    """Say why a figure passed that would have failed alone."""
    if found.status != PASSED or not found.p_value <= _ALONE:
        return ""
    p = figure(found.p_value)
    return f"By itself it would have failed (p = {p}); judged together with the other checks it does not."


def _part(report: Report, part: str) -> list[Block]:
    mine = [each for each in report.findings if each.part == part]
    made = [each for each in mine if math.isfinite(each.value)]
    made.sort(key=lambda each: each.status != FAILED)  # what failed comes first
    blocks: list[Block] = []
    if made:
        blocks.append({"kind": "findings", "findings": [finding_block(each) for each in made]})
    reasons: dict[str, list[str]] = {}
    for each in mine:
        if not math.isfinite(each.value):
            reasons.setdefault(each.caution or "undefined", []).append(each.title.rstrip("?"))
    if reasons:
        lines = [f"{'; '.join(titles)}: {reason}" for reason, titles in reasons.items()]
        many = len(mine) - len(made)
        words = (
            f"{many} checks that were not made, and why" if many > 1 else "A check that was not made, and why"
        )
        blocks.append({"kind": "hidden", "summary": words, "lines": lines})
    return blocks


def _count_blocks(report: Report) -> list[Block]:
    blocks: list[Block] = []
    noun = report.settings["noun"]
    for of, frame in report.data.groupby("of", sort=False):
        if of == "group" and "class and group" in set(report.data["of"]):
            continue
        more = f", the {24} largest of {len(frame):,}" if len(frame) > 24 else ""
        blocks.append(chart(f"{noun.capitalize()} by {of}{more}", count_bars(frame, noun)))
    if report.bias is not None:
        blocks.append({"kind": "list", "lines": [spaced(line) for line in report.bias.sentences()]})
        told = [
            ("groups", "Rows of each group"),
            ("rates", "Labels of each group"),
            ("missing", "Missing cells"),
        ]
        for name, caption in told:
            table = report.bias.to_frame(name)
            if len(table):
                shown = {"frame": shown_frame(table), "caption": caption, "most": 60}
                blocks.append({"kind": "more", "summary": f"{caption}, before", **shown})
    frame = report.data
    blocks.append(
        {
            "kind": "more",
            "summary": "As a table",
            "frame": shown_frame(frame),
            "caption": "Counts",
            "most": 200,
        }
    )
    return blocks


def _fidelity_blocks(report: Report) -> list[Block]:
    blocks = _part(report, "fidelity")
    evidence, noun = report.evidence, report.settings["noun"]
    if evidence is None:
        return blocks
    found = marginals(evidence)
    if found:
        more = f", the {MOST_PANELS} of {len(found)} that differ most" if len(found) > MOST_PANELS else ""
        blocks.append(chart(f"Columns, real and new{more}", small_multiples(found)))
    for each in report.findings:
        matrix, names = each.details.get("matrix_difference"), each.details.get("names")
        if each.name == "pairs" and matrix is not None and names is not None and evidence.modality == "table":
            more = f", the {MOST_COLUMNS} that differ most" if len(names) > MOST_COLUMNS else ""
            words = f"How strongly two columns go together: new less real{more}"
            note = (
                "Orange: more strongly among new rows; blue: less. The table has the pairs that differ most."
            )
            values = np.asarray(matrix)
            blocks.append(chart(words, heat_map(values, names, words), note=note, scroll=True))
            frame, caption = worst_pairs(values, names), "Pairs of columns that differ most"
            if len(frame):
                blocks.append({"kind": "table", "frame": shown_frame(frame), "caption": caption, "most": 8})
    drawn = row_map(evidence, noun)
    if drawn is not None:
        note = (
            "The two main directions (principal components) of the real rows, which hold "
            f"{100 * drawn[1]:.0f} % of their spread; both panels have the same axes. "
            "Differences in other directions do not show here."
        )
        blocks.append(chart(f"Map of real and new {noun}: main directions", drawn[0], note=note))
    near = neighbour_map(evidence, noun)
    if near is not None:
        blocks.append(chart(f"Map of real and new {noun}: who lies beside whom", near[0], note=near[1]))
    return blocks


def _diversity_blocks(report: Report) -> list[Block]:
    return [*_part(report, "diversity"), *near_duplicate_blocks(report)]


def _memorisation_blocks(report: Report) -> list[Block]:
    proves = {"kind": "aside", "title": "What this does and does not prove", "text": WHAT_IT_PROVES}
    return [*_part(report, "memorisation"), *pair_blocks(report), proves]


def _training_blocks(report: Report) -> list[Block]:
    history = report.history
    losses = dict(getattr(history, "losses", {}) or {})
    if getattr(history, "holdout", None):
        losses["held out"] = history.holdout
    losses = {name: points for name, points in losses.items() if len(points) > 1}
    if not losses:
        return []
    alarms = [f"Step {step:,}: {text}" for step, text in getattr(history, "alarms", [])]
    note = f"{history.steps:,} steps on {history.device}, {history.seconds:,.0f} s."
    blocks = [chart("Loss", loss_lines(losses, "Loss"), note=note)]
    return [*blocks, {"kind": "list", "lines": alarms}] if alarms else blocks


def _picture_blocks(report: Report) -> list[Block]:
    evidence = report.evidence
    if evidence is None or not has_pictures(evidence) or not report.settings.get("show_rows", True):
        return []
    more = (
        f"The {MOST_CLASSES} classes with the most new pictures. "
        if len(evidence.classes) > MOST_CLASSES
        else ""
    )
    note = f"{more}The first ones of each class, not chosen ones."
    return [chart("Real and new pictures", contact_sheets(evidence), note=note)]


def _detail_blocks(report: Report) -> list[Block]:
    frame = report.to_frame()
    columns = ["part", "name", "status", "value", "low", "high", "null", "p_value", "p_adjusted", "n"]
    controls: Sequence[str] = [
        name for name in frame.columns if name in ("real hold-out", "copy", "independent columns", "SMOTE")
    ]
    shown = frame[[*columns, *controls]].rename(columns={"null": "if nothing differed"})
    shown["status"] = [status_words(each) for each in report.findings]
    settings = pd.DataFrame(
        [
            (name.replace("_", " "), writable(str(value)))
            for name, value in report.settings.items()
            if value not in ("", None)
        ],
        columns=["setting", "value"],
    )
    seconds = pd.DataFrame(list(report.seconds.items()), columns=["check", "CPU-seconds"])
    blocks: list[Block] = []
    if len(frame):
        blocks.append({"kind": "table", "frame": shown_frame(shown), "caption": "All figures", "most": 200})
    if report.notes:
        blocks.append({"kind": "list", "lines": list(report.notes)})
    blocks.append(
        {
            "kind": "more",
            "summary": "Settings",
            "frame": shown_frame(settings),
            "caption": "Settings",
            "most": 60,
        }
    )
    if len(seconds):
        blocks.append(
            {"kind": "more", "summary": "Time", "frame": shown_frame(seconds), "caption": "Time", "most": 60}
        )
    judged = sum(each.status != NOT_JUDGED for each in report.findings)
    alpha = report.settings["alpha"]
    words = (
        f"{judged} checks were judged together: if the new rows came from the distribution of the real ones, "
        f"the chance that any of them fails is at most {100 * alpha:g} % (Holm). Others are only shown."
    )
    return [{"kind": "text", "text": words}, *blocks]


def _datasheet_block(report: Report) -> list[Block]:
    return [{"kind": "datasheet", "text": report.datasheet_text()}]
