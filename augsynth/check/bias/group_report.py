"""The result of `group_metrics`: tables, verdicts, sentences."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.records import plain, records
from augsynth.core.parameters import check_option

__all__ = ["GAP", "INSUFFICIENT", "NO_EVIDENCE", "GroupReport", "aligned"]

GAP, NO_EVIDENCE, INSUFFICIENT = "gap", "no evidence of a gap", "insufficient evidence"
_TABLES = ("gaps", "by_group", "pairs", "calibration")
_MOST_ROWS = 40  # of a table in print


@dataclass(frozen=True, repr=False, eq=False)
class GroupReport:
    """What a model does in each group. ``print`` it for the whole story.

    Attributes
    ----------
    by_group : DataFrame
        attribute, metric, group, value, low, high (of this group by itself), rows (that count for the
        metric), group_rows, note: "", "too few", or "undefined: no positives" where the value is NaN.
    gaps : DataFrame
        A row an attribute and metric: criterion, groups (compared), difference (largest minus smallest)
        and ratio (smallest over largest) with intervals, p_value ("all groups are equal"), p_holm (with
        allowance for all rows), lowest, highest and worst group, difference_all (with the groups of too few
        rows: fairlearn's figure), verdict, reason, words.
    pairs : DataFrame
        Every pair of groups: difference (b - a) with intervals that hold for all pairs of a metric at once.
    calibration : DataFrame
        With scores: mean score, rate, binned calibration error, and its mean and 95 % quantile if the scores
        were true chances.
    settings : dict
        Rows, task, positive class, alpha, min_rows, margin.
    """

    by_group: pd.DataFrame
    gaps: pd.DataFrame
    pairs: pd.DataFrame
    calibration: pd.DataFrame
    settings: dict[str, Any]

    @property
    def verdicts(self) -> dict[str, dict[str, str]]:
        """Return "gap", "no evidence of a gap" or "insufficient evidence" by attribute and metric."""
        return {
            str(attribute): dict(zip(part["metric"], part["verdict"], strict=True))
            for attribute, part in self.gaps.groupby("attribute", sort=False)
        }

    def to_frame(self, table: str = "gaps") -> pd.DataFrame:
        """Return one of the tables: "gaps", "by_group", "pairs" or "calibration"."""
        check_option("GroupReport.to_frame", "table", table, _TABLES)
        return getattr(self, table).copy()

    def wide(self, attribute: str | None = None) -> pd.DataFrame:
        """Return a row a group and a column a metric, as fairlearn's ``by_group`` has it."""
        first = self.by_group["attribute"].iloc[0] if attribute is None else attribute
        check_option("GroupReport.wide", "attribute", first, list(self.verdicts))
        part = self.by_group[self.by_group["attribute"] == first]
        wide = part.pivot(index="group", columns="metric", values="value")
        wide = wide.reindex(index=part["group"].unique(), columns=part["metric"].unique())
        wide.insert(0, "count", part.drop_duplicates("group").set_index("group")["group_rows"])
        return wide.rename_axis(columns=None)

    def to_dict(self) -> dict[str, Any]:
        """Return all tables as records of plain values, ready for JSON, with the sentences."""
        tables = {name: records(getattr(self, name)) for name in _TABLES}
        return {"settings": plain_settings(self.settings), "sentences": self.sentences(), **tables}

    def sentences(self) -> list[str]:
        """Return one sentence a gap that is shown, then what could not be shown or said."""
        told = [_gap_sentence(row, self) for _, row in self.gaps[self.gaps["verdict"] == GAP].iterrows()]
        for verdict in (INSUFFICIENT, NO_EVIDENCE):
            for attribute, part in self.gaps[self.gaps["verdict"] == verdict].groupby(
                "attribute", sort=False
            ):
                told.append(_rest_sentence(str(attribute), part, verdict))
        told += _calibration_sentences(self.calibration, float(self.settings["alpha"]))
        return [*told, *self._allowance()]

    def _allowance(self) -> list[str]:
        judged = self.gaps[self.gaps["p_value"].notna()]
        shown = judged[judged["verdict"] == GAP]
        if len(judged) < 2 or shown.empty:
            return []
        kept = shown[shown["p_holm"] <= self.settings["alpha"]]
        lost = ", ".join(
            f"{row['attribute']} {row['metric']}" for _, row in shown.drop(kept.index).iterrows()
        )
        which = "all of them" if not lost else f"all but {lost}" if len(kept) else "none of them"
        return [
            f"{len(judged)} gaps were looked at, so some would seem shown by chance; with Holm's allowance "
            f"for that many, {which} remain{'s' if which.startswith('none') else ''} shown."
        ]

    def summary(self) -> str:
        """Return the sentences, one a line."""
        return "\n".join(self.sentences())

    def __str__(self) -> str:
        """Return tables and sentences as text."""
        settings = self.settings
        about = f", positive class {settings['positive']}" if settings["positive"] is not None else ""
        level = _percent(1 - settings["alpha"])
        blocks = [f"Groups: {settings['rows']:,} rows, {settings['task']}{about}; {level} intervals"]
        for attribute, part in self.gaps.groupby("attribute", sort=False):
            blocks.append(_group_text(str(attribute), self.by_group[self.by_group["attribute"] == attribute]))
            blocks.append(_gap_text(part))
        blocks.append(
            "\n".join(textwrap.fill(each, 110, subsequent_indent="  ") for each in self.sentences())
        )
        return "\n\n".join(blocks)

    def __repr__(self) -> str:
        """Return the count of verdicts in one line."""
        counts = ", ".join(f"{n} {word}" for word, n in self.gaps["verdict"].value_counts().items())
        return f"<GroupReport of {self.settings['rows']:,} rows; {counts}>"


def plain_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings as plain values."""
    return {name: plain(value) for name, value in settings.items()}


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _span(low: float, high: float) -> str:
    return f"[{_number(low)}, {_number(high)}]" if np.isfinite(low) and np.isfinite(high) else ""


def _gap_sentence(row: pd.Series, report: GroupReport) -> str:
    at = report.by_group
    at = at[(at["attribute"] == row["attribute"]) & (at["metric"] == row["metric"])].set_index("group")[
        "value"
    ]

    def said(group: str) -> str:
        return f"{group} ({_number(at[group])})" if group in at.index else group

    ends = f"lowest for {said(row['lowest'])}, highest for {said(row['highest'])}"
    if row["groups"] > 2:
        ends += f", of {row['groups']} groups"
    size = f"{_number(row['difference'])} {_span(row['low'], row['high'])}"
    criterion = f"{row['criterion'][:1].upper()}{row['criterion'][1:]}"
    if row["words"].startswith("the "):  # several families at once
        text = f"{row['attribute']}: {row['words']} is {size}: {ends}."
    else:
        text = f"{row['attribute']}: the groups differ in {row['words']}, by {size}: {ends}."
    text += f" {criterion} does not hold." if criterion else ""
    if row["criterion"] == "demographic parity" and np.isfinite(row["ratio"]):
        sure = "not clearly on one side of"
        sure = "below" if row["ratio_high"] < 0.8 else "above" if row["ratio_low"] >= 0.8 else sure
        ratio = f"{_number(row['ratio'])} {_span(row['ratio_low'], row['ratio_high'])}"
        text += f" Ratio {ratio}, {sure} four fifths."
    return text + (f" Left out: {row['reason']}." if row["reason"] else "")


def _rest_sentence(attribute: str, part: pd.DataFrame, verdict: str) -> str:
    if verdict == NO_EVIDENCE:
        each = [f"{row['words']} (at most {_number(row['high'])})" for _, row in part.iterrows()]
        return (
            f"{attribute}: no evidence of a gap in {', '.join(each)}. That does not prove that there is none."
        )
    wide = part[part["high"].notna()]
    none = part[part["high"].isna()]
    told = []
    if len(wide):
        each = [f"{row['words']} (up to {_number(row['high'])})" for _, row in wide.iterrows()]
        told.append(f"no gap is shown, but large ones cannot be excluded either, in {', '.join(each)}")
    if len(none):
        each = [f"{row['words']} ({row['reason']})" for _, row in none.iterrows()]
        told.append(f"nothing can be said of {', '.join(each)}")
    return f"{attribute}: insufficient evidence: {'; '.join(told)}."


def _calibration_sentences(table: pd.DataFrame, alpha: float) -> list[str]:
    told = []
    for _, row in table.iterrows():
        if row["p_value"] <= alpha / len(table):
            score, rate, error, null = (
                _number(row[name]) for name in ("mean_score", "rate", "binned_error", "null")
            )
            told.append(
                f"{row['attribute']}: the scores of {row['group']} are not calibrated: mean score {score} "
                f"where the rate is {rate}, binned error {error} (true chances would give {null})."
            )
    return told


def _group_text(attribute: str, part: pd.DataFrame) -> str:
    metrics = list(part["metric"].unique())
    cells: dict[str, dict[str, str]] = {}
    for _, row in part.iterrows():
        mine = cells.setdefault(row["group"], {"rows": f"{row['group_rows']:,}"})
        mark = "undefined" if row["note"].startswith("undefined") else _number(row["value"])
        mine[row["metric"]] = mark + ("?" if row["note"] == "too few" else "")
    header = [attribute, "rows", *metrics]
    rows = [[group, *(mine.get(name, "") for name in header[1:])] for group, mine in cells.items()]
    lines = aligned([header, *rows[:_MOST_ROWS]], right=range(1, len(header)))
    if len(rows) > _MOST_ROWS:
        lines.append(f"... and {len(rows) - _MOST_ROWS} more groups")
    if any("?" in cell for row in rows for cell in row[2:]):
        lines.append("? = too few rows: shown, not compared")
    return "\n".join(lines)


def _gap_text(part: pd.DataFrame) -> str:
    header = ["gap", "difference", "interval", "ratio", "interval", "worst", "verdict"]
    rows = [
        [
            row["metric"],
            _number(row["difference"]),
            _span(row["low"], row["high"]),
            _number(row["ratio"]),
            _span(row["ratio_low"], row["ratio_high"]),
            row["worst"],
            row["verdict"],
        ]
        for _, row in part.iterrows()
    ]
    return "\n".join(aligned([header, *rows], right=(1, 3)))


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] | range = ()) -> list[str]:
    """Lay cells out in columns, some of them flush right."""
    widths = [max(len(str(row[place])) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            str(cell).rjust(width) if place in right else str(cell).ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
