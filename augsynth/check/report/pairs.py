"""New rows beside what they are nearest to, and what that does and does not prove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from augsynth.check.report.pictures import pair_pictures, pair_rows, shown_text

if TYPE_CHECKING:
    from augsynth.check.report.report import Report

__all__ = ["nearest_pairs", "pair_blocks"]

_MOST_PAIRS, _MOST_COLUMNS = 6, 12


def nearest_pairs(report: Report) -> pd.DataFrame | None:
    """Return the pairs of the memorisation checks: new, train, distance_train, holdout, distance_holdout."""
    for each in report.findings:
        for table in each.details.values():
            if isinstance(table, pd.DataFrame) and {"new", "train", "distance_train"} <= set(table.columns):
                return table
    return None


def pair_blocks(report: Report) -> list[dict[str, Any]]:
    """Show the nearest pairs as pictures or rows."""
    from augsynth.check.report.sections import chart, shown_frame

    evidence, pairs = report.evidence, nearest_pairs(report)
    if evidence is None or pairs is None or pairs.empty:
        return []
    pairs = pairs.head(_MOST_PAIRS)
    caption = "The new rows nearest to a training row, for how near held-out rows are"
    if evidence.modality == "image":
        return [chart(caption, pair_pictures(evidence, pairs))]
    if isinstance(evidence.made.X, pd.DataFrame):
        columns = list(evidence.made.X.columns)
        return [
            chart(
                caption, pair_rows(evidence, pairs, columns[:_MOST_COLUMNS]), scroll=True, note=_more(columns)
            )
        ]
    if evidence.modality == "text":
        sides = {"new": evidence.made, "train": evidence.train, "holdout": evidence.reference}
        frame = pd.DataFrame(
            {
                name: [shown_text(_row(rows.X, int(place))) for place in pairs[name]]
                for name, rows in sides.items()
            }
        )
        return [{"kind": "table", "frame": shown_frame(frame), "caption": caption, "most": _MOST_PAIRS}]
    return [{"kind": "table", "frame": shown_frame(pairs), "caption": caption, "most": _MOST_PAIRS}]


def _more(columns: list[Any]) -> str:
    return f"The first {_MOST_COLUMNS} of {len(columns)} columns." if len(columns) > _MOST_COLUMNS else ""


def _row(X: Any, place: int) -> Any:
    value = X.iloc[place] if hasattr(X, "iloc") else X[place]
    return value.item() if isinstance(value, np.generic) else value
