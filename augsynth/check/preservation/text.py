"""The words and the table of a check of label preservation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from augsynth.check.preservation.realism import REAL, SHUFFLED

if TYPE_CHECKING:
    from augsynth.check.preservation.result import LabelPreservation

__all__ = ["aligned", "written"]

_FEW = 3  # classes named in a sentence


def written(result: LabelPreservation) -> str:
    """Return the table of policies, and one sentence or more for each."""
    from augsynth.check.preservation.result import CHANGES, HARDER, KEEPS

    frame = result.to_frame()
    order = {CHANGES: 0, HARDER: 1, KEEPS: 3}
    frame = frame.iloc[sorted(range(len(frame)), key=lambda k: order.get(frame["verdict"].iloc[k], 2))]
    rows = [["policy", "verdict", "read rightly", "change", "95 % interval", "told from real"]]
    for name, row in frame.iterrows():
        span = f"[{row['low']:+.3f}, {row['high']:+.3f}]"
        rows.append(
            [str(name), row["verdict"], f"{row['after']:.3f}", f"{row['change']:+.3f}", span, _area(row)]
        )
    head = (
        f"Does a policy change the label? {frame['n'].iloc[0]:,} records of {len(result.classes)} classes; "
        f"originals are read rightly {result.accuracy:.3f} of the time."
    )
    null, gross = (result.controls[name] for name in (REAL, SHUFFLED))
    caveat = (
        "A read that is lost may mean a copy that is harder to read, and not another label: copies change "
        "labels where most lost reads go into one class and most of those lie among its real rows."
    )
    foot = (
        f"told from real: how well a detector tells copies from originals (0.5: not at all; real from real "
        f"{0.5 + null.mean:.2f}, shuffled from real {0.5 + gross.mean:.2f})."
    )
    sentences = [f"- {line}" for name in frame.index for line in _sentences(result, str(name))]
    return "\n".join([head, "", *aligned(rows), "", *sentences, "", foot, caveat])


def _area(row: pd.Series) -> str:
    return f"{row['realism_auc']:.2f}"


def _sentences(result: LabelPreservation, name: str) -> list[str]:
    from augsynth.check.preservation.result import CHANGES, HARDER, KEEPS, UNSURE

    whole = result.to_frame().loc[name]
    classes = result.to_frame("class").loc[name]
    verdict, lines = whole["verdict"], []
    if verdict == CHANGES:
        changed = classes[classes["verdict"] == CHANGES].sort_values("lost", ascending=False)
        told = [
            f"{level!s} into {row['into']!s} ({row['lost']:.0%} of it)" for level, row in changed.iterrows()
        ]
        lines.append(f"{name} changes labels: {_listed(told)}. Leave it out for those classes.")
        harder = classes[classes["verdict"] == HARDER].sort_values("change")
        if len(harder):
            told = [f"{level!s} ({row['change']:+.3f})" for level, row in harder.iterrows()]
            lines.append(f"{name} makes other classes harder to read: {_listed(told)}.")
    elif verdict == HARDER:
        worst = classes["change"].idxmin()
        lines.append(
            f"{name} makes rows harder to read, most of all {worst!s} ({classes.loc[worst, 'change']:+.3f}); "
            "no class is shown to turn into another."
        )
    elif verdict == KEEPS:
        worst = classes["low"].idxmin()
        lines.append(
            f"{name} keeps labels: at most {max(0.0, -whole['low']):.3f} of the reads are lost "
            f"(of class {worst!s}, about which least is known, {max(0.0, -classes.loc[worst, 'low']):.3f})."
        )
    elif verdict == UNSURE:
        lines.append(f"{name}: too few rows to tell; more copies do not help, more rows do.")
    if result.groups is not None and verdict != KEEPS:
        groups = result.to_frame("group").loc[name]
        worst = groups["change"].idxmin()
        lines.append(f"{name} costs group {worst!s} most ({groups.loc[worst, 'change']:+.3f}).")
    lines[0] += f" Copies are {whole['realism']}."
    return lines


def _listed(told: list[str]) -> str:
    return ", ".join(told[:_FEW]) + (f" and {len(told) - _FEW} more" if len(told) > _FEW else "")


def aligned(rows: list[list[Any]]) -> list[str]:
    """Return rows of texts as lines of a table: two columns to the left, the others to the right."""
    widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            c.ljust(w) if j < 2 else c.rjust(w) for j, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return [lines[0], "-" * len(lines[0]), *lines[1:]]
