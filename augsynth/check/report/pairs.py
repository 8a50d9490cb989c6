"""New rows beside what they are nearest to: as pictures, rows or texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from augsynth.check.evidence import Evidence
from augsynth.check.finding import Finding
from augsynth.check.report.pictures import Side, has_pictures, pair_pictures, pair_rows, shown_text

if TYPE_CHECKING:
    from augsynth.check.report.report import Report

__all__ = ["near_duplicate_blocks", "pair_blocks", "without_rows"]

_MOST_PAIRS, _MOST_COLUMNS = 6, 12
_OF_ROWS = ("values", "found")  # details of findings that quote cells of real rows
_WARNING = (
    "These are rows of your real tables. Before you pass this page on to people who may not see them, "
    "make it with show_rows=False (augsynth check --no-rows)."
)
_NEAREST = ("new", "train", "distance_train", "holdout", "distance_holdout")


def _pairs(report: Report, columns: Sequence[str]) -> pd.DataFrame | None:
    """Return the first table of pairs among the details of the findings that has these columns."""
    for each in report.findings:
        for table in each.details.values():
            if isinstance(table, pd.DataFrame) and set(columns) <= set(table.columns) and len(table):
                return table.head(_MOST_PAIRS).reset_index(drop=True)
    return None


def without_rows(found: Finding) -> Finding:
    """Return a finding whose details hold no value of a real row."""
    kept = {name: each for name, each in found.details.items() if name not in _OF_ROWS}
    return replace(found, details=kept)


def pair_blocks(report: Report) -> list[dict[str, Any]]:
    """Show the new rows that lie suspiciously near to a training row."""
    evidence, pairs = report.evidence, _pairs(report, _NEAREST)
    if evidence is None or pairs is None or not report.settings.get("show_rows", True):
        return []
    sides = [
        Side("new", pairs["new"], evidence.made),
        Side("nearest in training", pairs["train"], evidence.train, pairs["distance_train"]),
    ]
    if evidence.holdout is not None:
        sides.append(Side("nearest held out", pairs["holdout"], evidence.holdout, pairs["distance_holdout"]))
    caption = "The new rows nearest to a training row, for how near held-out rows are"
    return [{"kind": "text", "text": _WARNING}, _shown(evidence, sides, caption)]


def near_duplicate_blocks(report: Report) -> list[dict[str, Any]]:
    """Show the new rows that are nearly equal to each other."""
    evidence, pairs = report.evidence, _pairs(report, ("first", "second", "distance"))
    if evidence is None or pairs is None:
        return []
    sides = [
        Side("a new row", pairs["first"], evidence.made),
        Side("another", pairs["second"], evidence.made, pairs["distance"]),
    ]
    return [_shown(evidence, sides, "New rows that are nearly equal to each other")]


def _shown(evidence: Evidence, sides: list[Side], caption: str) -> dict[str, Any]:
    from augsynth.check.report.sections import chart, shown_frame

    if has_pictures(evidence):
        return chart(caption, pair_pictures(evidence, sides))
    if isinstance(evidence.made.X, pd.DataFrame):
        columns = list(evidence.made.X.columns)
        many = len(columns) > _MOST_COLUMNS
        note = f"The first {_MOST_COLUMNS} of {len(columns)} columns." if many else ""
        return chart(caption, pair_rows(sides, columns[:_MOST_COLUMNS]), scroll=True, note=note)
    texts = {
        side.words: [shown_text(_row(side.rows.X, int(place))) for place in side.places] for side in sides
    }
    far = {f"distance, {side.words}": side.distances for side in sides if side.distances is not None}
    frame = pd.DataFrame(texts | {name: list(values) for name, values in far.items()})
    return {"kind": "table", "frame": shown_frame(frame), "caption": caption, "most": _MOST_PAIRS}


def _row(X: Any, place: int) -> Any:
    return X.iloc[place] if hasattr(X, "iloc") else X[place]
