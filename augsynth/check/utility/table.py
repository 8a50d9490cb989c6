"""A comparison as text: aligned tables, and one sentence a method."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from augsynth.check.utility.baselines import NOTHING
from augsynth.check.utility.fold_scores import WORST
from augsynth.check.utility.verdict import FAILED, HELPS, HURTS, IN_ALL, LABELS_ONLY, NOT_APPLICABLE

if TYPE_CHECKING:
    from augsynth.check.utility.comparison import Comparison

__all__ = ["difference_format", "failure_lines", "interval_text", "number_format", "sentences", "text_table"]


MIN_ROWS = 20  # below this many rows, a class or group is shown but not judged
_MOST_CELLS = 8  # with more classes within groups, the table shows the worst ones only


def number_format(scores: Any) -> int:
    """Return the decimals that suit these scores: 3 up to 10, fewer above."""
    largest = float(np.nanmax(np.abs(np.asarray(scores, dtype=float)), initial=0.0))
    return 3 if largest < 10 else max(0, 3 - int(np.floor(np.log10(largest))))


def difference_format(frame: pd.DataFrame) -> int:
    """Return the decimals that show two digits of a typical interval, at most two more than scores have."""
    decimals = number_format(frame["score"])
    halves = ((frame["high"] - frame["low"]) / 2).to_numpy(dtype=float)
    halves = halves[np.isfinite(halves) & (halves > 0)]
    if not len(halves):
        return decimals
    wanted = 1 - int(np.floor(np.log10(np.median(halves))))
    return int(np.clip(wanted, decimals, decimals + 2))


def interval_text(low: float, high: float, decimals: int) -> str:
    """Return ``[-0.010, +0.018]``."""
    return f"[{low:+.{decimals}f}, {high:+.{decimals}f}]"


def failure_lines(failures: pd.DataFrame, splits: int) -> list[str]:
    """Return a line a method that failed: on how many folds, and why."""
    return [
        f"{method} failed on {_of_folds(len(part), splits)}: {part['error'].iloc[0]}"
        for method, part in failures.groupby("method", sort=False)
    ]


def _of_folds(failed: int, splits: int) -> str:
    return f"all {splits} folds" if failed == splits else f"{failed} of {splits} folds"


def _align(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def text_table(result: Comparison) -> str:
    """Return the whole comparison as text, at most about 110 characters wide."""
    frame = result.to_frame()
    main = frame[(frame["scope"] == "all") & (frame["metric"] == result.metric)]
    decimals = difference_format(main)
    broken = failure_lines(result.failures, result.settings["splits"])
    blocks = [_title(result)]
    if broken:
        blocks.append([textwrap.fill(f"FAILED: {each}", 110, subsequent_indent="  ") for each in broken])
    blocks += [_score_table(result, decimals), _difference_table(result, frame, decimals)]
    blocks += _level_tables(result, frame)
    told = [*sentences(result), *(f"Note: {note}" for note in result.notes if note not in broken)]
    blocks.append([textwrap.fill(each, 110, subsequent_indent="  ") for each in told])
    return "\n\n".join("\n".join(block) for block in blocks)


def _title(result: Comparison) -> list[str]:
    settings = result.settings
    splits, repeats = settings["splits"], settings["repeats"]
    folds = f"{splits // repeats} folds x {repeats} repeats" if repeats > 1 else f"{splits} folds"
    classes = ", ".join(f"{count} of class {name}" for name, count in settings["classes"].items())
    return [
        f"Does it help? {result.metric_words}, {folds}, {settings['rows']} rows"
        + (f" ({classes})" if classes and len(settings["classes"]) <= 6 else ""),
    ]


def _score_table(result: Comparison, decimals: int) -> list[str]:
    main = result.folds[(result.folds["metric"] == result.metric) & (result.folds["scope"] == "all")]
    scores = main.groupby("method", sort=False)["score"].mean()
    rows = [["", "score", "training rows", "seconds a fold:", "resample", "fit"]]
    missing: list[str] = []
    for name in [*result.baselines, *result.methods]:
        if result.baselines.get(name):
            missing.append(f"{name}: not applicable, {result.baselines[name]}")
        elif name not in scores:
            missing.append(f"{name}: failed on every fold")
        else:
            cost = result.costs.loc[name]
            seconds = (cost["seconds_resample"], cost["seconds_fit"])
            told = [f"{each:.2g}" if each else "" for each in seconds]
            rows.append([name, f"{scores[name]:.{decimals}f}", f"{cost['rows']:.0f}", "", *told])
    return _align(rows, right=(1, 2, 4, 5)) + missing


def _difference_table(result: Comparison, frame: pd.DataFrame, decimals: int) -> list[str]:
    confidence = f"{1 - result.settings['alpha']:.0%}".replace("%", " %")
    rows = [["", "against", "difference", f"{confidence} interval", "verdict"]]
    for method in result.methods:
        mine = frame[(frame["method"] == method) & (frame["scope"] == "all")]
        word = str(result.verdicts.loc[method, IN_ALL])
        failed = int(result.costs.loc[method, "failed"])
        if word == FAILED:
            rows.append([method, IN_ALL, "", "", FAILED])
            continue
        if failed:
            word += f" (failed on {_of_folds(failed, result.settings['splits'])})"
        for _, row in mine[mine["metric"] == result.metric].iterrows():
            rows.append([method, *_cells(row, decimals)])
            method = ""
        rows.append(["", IN_ALL, "", "", word])
        for _, row in mine[mine["metric"] != result.metric].iterrows():
            if row["against"] == NOTHING:
                rows.append([f"  {row['metric']}", *_cells(row, number_format([row["score"]]))])
    return _align(rows, right=(2,))


def _cells(row: pd.Series, decimals: int) -> list[str]:
    if not np.isfinite(row["difference"]):
        return [row["against"], "", row["flag"] or "undefined", row["verdict"]]
    return [
        row["against"],
        f"{row['difference']:+.{decimals}f}",
        interval_text(row["low"], row["high"], decimals),
        _word(row),
    ]


def _word(row: pd.Series) -> str:
    if row["flag"]:
        return f"{row['verdict']} ({row['flag']})"
    outside = row["low"] > 0 or row["high"] < 0
    if row["verdict"] and row["verdict"] not in (HELPS, HURTS) and outside:
        return f"{row['verdict']} (Holm: p = {row['p_holm']:.2g})"
    return str(row["verdict"])


def _level_tables(result: Comparison, frame: pd.DataFrame) -> list[list[str]]:
    blocks: list[list[str]] = []
    titles = {
        "class": "Recall by class, against nothing",
        "group": f"{result.metric_words} by group, against nothing",
        "gap": "Gap between the best and the worst group, against nothing (smaller is better)",
        "class+group": "Recall of each class within each group, against nothing",
        WORST: "The worst group of each fold, against nothing",
    }
    for scope, title in titles.items():
        part = frame[(frame["scope"] == scope) & (frame["against"] == NOTHING)]
        part = part[~((part["flag"] == FAILED) & (part["n_folds"] == 0))]
        if part.empty or (scope == "class+group" and part["level"].nunique() > _MOST_CELLS):
            continue
        decimals = number_format(part["score"])
        of_scope = {"class": "classes", "group": "groups", "class+group": "cells"}.get(scope, "")
        counts = result.settings.get(of_scope, {})
        rows = [["", "", "rows", "nothing", "with it", "difference", "interval", "verdict"]]
        for method, mine in part.groupby("method", sort=False):
            name = str(method)
            for _, row in mine.iterrows():
                level = "" if scope == "gap" else str(row["level"])
                if scope == WORST:
                    level = f"{row['metric'].removeprefix(WORST).strip()}, {level}".removesuffix(", all")
                rows.append(
                    [
                        name,
                        level,
                        str(counts.get(level, "")),
                        f"{row['score_against']:.{decimals}f}",
                        f"{row['score']:.{decimals}f}",
                        *_cells(row, decimals)[1:],
                    ]
                )
                name = ""
        told = _left_out(result, part) if scope == WORST else ""
        blocks.append([title + told, *_align(rows, right=(2, 3, 4, 5))])
    return blocks


def _left_out(result: Comparison, part: pd.DataFrame) -> str:
    """Say which classes have no worst group, and why."""
    shown = set(part["level"])
    thin = [name for name in result.settings["classes"] if f"class {name}" not in shown]
    if not thin:
        return ""
    named = ", ".join(thin[:6]) + (f" and {len(thin) - 6} more" if len(thin) > 6 else "")
    return f"\n(not of class {named}: fewer than two groups have {MIN_ROWS} rows of it)"


def sentences(result: Comparison) -> list[str]:
    """Say, for each method, what was found and how sure that is."""
    frame = result.to_frame()
    frame = frame[(frame["metric"] == result.metric) & (frame["scope"] == "all")]
    decimals = difference_format(frame)
    confidence = f"{1 - result.settings['alpha']:.0%}".replace("%", " %")
    told: list[str] = []
    for method in result.methods:
        mine = frame[frame["method"] == method].set_index("against")
        word = result.verdicts.loc[method, IN_ALL]
        failed = int(result.costs.loc[method, "failed"])
        if failed:
            opening = FAILED if word == FAILED else "no evidence, because it failed"
            told.append(f"{method}: {opening} on {_of_folds(failed, result.settings['splits'])}.")
            continue
        if word == NOT_APPLICABLE:
            told.append(
                f"{method}: not applicable, it {LABELS_ONLY}, and {result.metric_words} does not depend on "
                "them; see the recall of classes and groups."
            )
            continue
        opening = {HELPS: "helps", HURTS: "hurts"}.get(str(word), "no evidence that it helps")
        parts = [
            f"{row['difference']:+.{decimals}f} against {against}, "
            f"{confidence} interval {interval_text(row['low'], row['high'], decimals)}"
            for against, row in mine.iterrows()
        ]
        told.append(f"{method}: {opening}. {result.metric_words}: {'; '.join(parts)}.{_why(result, method)}")
    return told


def _why(result: Comparison, method: str) -> str:
    """Explain a word in all that the words against single baselines do not foretell."""
    words = result.verdicts.loc[method]
    single = words.drop(IN_ALL)
    if words[IN_ALL] in (HELPS, HURTS) or not (single == HELPS).any():
        return ""
    beaten = " and ".join(name for name, word in single.items() if word == HELPS)
    rest = " and ".join(name for name, word in single.items() if word != HELPS)
    if not rest:
        return " It beats each alone, but not all at once after allowing for the number of methods."
    return f" It beats {beaten}, but is not shown to beat {rest}: that alternative is cheaper."
