"""Data bias in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from augsynth.core.errors import offenders

if TYPE_CHECKING:
    from augsynth.check.bias.data import DataBias

__all__ = ["sentences", "written"]

_MOST_ROWS = 40


def sentences(found: DataBias) -> list[str]:
    """Return what stands out, one sentence each."""
    crossed = " and intersections of groups" if found.groups["attribute"].nunique() > 1 else ""
    told = [f"{found.settings['rows']:,} rows in {len(found.groups)} groups{crossed}."]
    told += _representation(found)
    told += _gaps(found)
    if found.empty:
        told.append(f"No row at all of: {offenders(found.empty, 5)}.")
    told += _thin(found)
    told += _missing(found)
    told += _shift(found)
    return told


def _representation(found: DataBias) -> list[str]:
    told = []
    for attribute, p in found.fit.items():
        part = found.groups[(found.groups["attribute"] == attribute) & (found.groups["p_adjusted"] <= 0.05)]
        if p > 0.05:
            told.append(f"{attribute}: the groups' shares agree with the reference (p = {p:.2f}).")
            continue
        few = part[part["ratio"] < 1].nsmallest(3, "ratio")
        names = [
            f"{row.group} ({row.share:.1%} of the rows, {row.reference:.1%} of the reference)"
            for row in few.itertuples()
        ]
        told.append(
            f"{attribute}: the groups' shares are not those of the reference (p {_p(p)})"
            + (f"; too few of {', '.join(names)}." if names else ".")
        )
    return told


def _gaps(found: DataBias) -> list[str]:
    told = []
    for (attribute, label), gap in found.gaps.items():
        if not np.isfinite(gap.gap):
            told.append(f"{attribute}: a difference between groups is undefined, fewer than two have rows.")
            continue
        what = "the mean of y" if label == "mean" else f"the rate of {label}"
        figures = f"{_short(gap.gap)} [{_short(gap.low)}, {_short(gap.high)}]"
        ends = f"lowest for {gap.lowest}, highest for {gap.highest}"
        if gap.shown:
            told.append(f"{attribute}: {what} differs by {figures} between groups, {ends}.")
        else:
            told.append(f"{attribute}: no evidence that {what} differs between groups ({figures}, {ends}).")
    return told


def _thin(found: DataBias) -> list[str]:
    if "more_for_recall" not in found.rates:
        return []
    thin = found.thin[(found.thin["attribute"] != "all rows") & (found.thin["rows"] > 0)].sort_values("hits")
    if not len(thin):
        return []
    names = [
        f"{row.group} has {row.hits} rows of {row.label} (and {row.rows - row.hits} others)"
        for row in thin.head(3).itertuples()
    ]
    more = f"; {len(thin) - 3} more such cells" if len(thin) > 3 else ""
    worst = thin.iloc[0]
    return [
        f"Thin cells: {', '.join(names)}{more}. To know the recall of {worst['label']} among "
        f"{worst['group']} within {found.settings['width'] / 2:.0%} either way takes "
        f"{worst['more_for_recall']:,} more real rows of that cell; synthetic ones do not add to "
        "what is known."
    ]


def _missing(found: DataBias) -> list[str]:
    if not len(found.missing):
        return []
    shown = found.missing[
        (found.missing["p_adjusted"] <= 0.05) & (found.missing["share"] > found.missing["share_elsewhere"])
    ]
    if not len(shown):
        return ["No column is shown to be missing more often in one group than in the others."]
    order = (shown["share"] - shown["share_elsewhere"]).sort_values(ascending=False).index
    names = [
        f"{row.column} in {row.group} ({row.share:.1%}, elsewhere {row.share_elsewhere:.1%})"
        for row in shown.loc[order].head(3).itertuples()
    ]
    more = f", and {len(shown) - 3} more" if len(shown) > 3 else ""
    return [f"Missing more often: {', '.join(names)}{more}."]


def _shift(found: DataBias) -> list[str]:
    if not len(found.shift):
        return []
    whole = found.shift[found.shift["attribute"] == "all rows"]
    where = found.settings.get("other", "in the second table")
    told = [_pairing(found)] + [
        f"The rate of {row.label} goes from {row.rate_here:.1%} to {row.rate_there:.1%} {where} "
        f"({_change(row.difference, row.low, row.high)})."
        for row in whole.itertuples()
    ]
    groups = found.shift[(found.shift["attribute"] != "all rows") & (found.shift["p_adjusted"] <= 0.05)]
    if len(groups):
        far = groups.loc[groups["difference"].abs().idxmax()]
        told.append(
            f"It differs most for {far['group']}: {far['rate_here']:.1%} and {far['rate_there']:.1%} "
            f"({far['label']}; difference {_change(far['difference'], far['low'], far['high'])})."
        )
    moved = found.share_shift[found.share_shift["p_adjusted"] <= 0.05]
    if len(moved):
        far = moved.loc[moved["difference"].abs().idxmax()]
        told.append(
            f"The share of {far['group']} goes from {far['share_here']:.1%} to {far['share_there']:.1%} "
            f"({_change(far['difference'], far['low'], far['high'])})."
        )
    return told


def _pairing(found: DataBias) -> str:
    """Say what the second table was taken for, and whose chance the intervals allow for."""
    new, drawn, real = found.settings["new_rows"], found.settings["drawn"], found.settings["rows"]
    if not found.settings["enlarged"]:
        chance = "chance in both" if drawn else "chance in the first only: its numbers were asked for"
        told = f"The second table is taken as {new:,} other rows, independent of the first ({chance})."
        if shared := found.settings.get("shared", 0):
            told += (
                f" Yet it holds {shared:,} of the first table's {real:,} rows, cell by cell: tables with "
                "rows in common are not independent, and the intervals are too wide. Compare new rows alone."
            )
        return told
    if not new:
        return "The second table is the first one."
    chance = (
        "in real and new rows" if drawn else "in the real rows only: the numbers of new ones were asked for"
    )
    return (
        f"The second table is the first one and {new:,} new rows ({new / (new + real):.1%} of it): changes "
        f"are what these bring, with chance {chance}."
    )


def _change(value: float, low: float, high: float) -> str:
    return f"{value:+.1%} [{low:+.1%}, {high:+.1%}]"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _p(p: float) -> str:
    return "< .001" if p < 0.001 else f"= {p:.3f}"


def written(found: DataBias) -> str:
    """Return the sentences and the tables as text."""
    parts = ["\n".join(sentences(found))]
    for name in ("groups", "rates", "missing", "shift", "share_shift"):
        table = found.to_frame(name)
        if not len(table):
            continue
        shown = table.head(_MOST_ROWS)
        with pd.option_context("display.width", 160):
            parts.append(
                f"{name}\n" + shown.to_string(index=False, float_format=lambda value: f"{value:.3f}")
            )
        if len(table) > len(shown):
            parts.append(f"... {len(table) - len(shown):,} more rows: to_frame({name!r})")
    return "\n\n".join(parts)
