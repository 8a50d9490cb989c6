"""The words and tables of a check of imputers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from augsynth.check.imputers.trial import COLUMN_MEAN
from augsynth.check.preservation.text import aligned

if TYPE_CHECKING:
    from augsynth.check.imputers.report import ImputationReport

__all__ = ["sentences", "written"]

_FEW = 4  # columns named in a sentence
_OFF = 0.04  # by which coverage may miss its nominal share without a word
_SHOWN = 30  # columns in the table


def written(report: ImputationReport) -> str:
    """Return the tables, and the sentences of every imputer."""
    blocks = [_head(report), _main_table(report), *_column_table(report), *_group_table(report)]
    blocks.append("\n".join(f"- {line}" for line in sentences(report)))
    notes = [f"{name}: {note}" for name, told in report.notes.items() for note in told]
    if notes:
        blocks.append("Notes\n" + "\n".join(f"- {note}" for note in notes))
    blocks.append(_foot(report))
    return "\n\n".join(block for block in blocks if block)


def sentences(report: ImputationReport) -> list[str]:
    """Say, for each imputer, what was found and how sure that is."""
    lines = []
    frame, columns = report.to_frame(), report.to_frame("column")
    for name, word in report.verdicts.items():
        if name in report.failures:
            lines.append(f"{name} failed: {report.failures[name]}")
            continue
        row = frame.loc[name]
        lines.append(f"{name} {_verdict(word, row)}")
        if word != "changed nothing":
            lines += [f"{name}: {told}" for told in _by_column(columns[columns["imputer"] == name])]
        lines += [f"{name}: {told}" for told in _as_distribution(row, frame.loc[COLUMN_MEAN])]
        if "score" in row:
            lines.append(f"{name}: {_downstream(report, row)}")
        lines += [f"{name}: {told}" for told in _groups(report, str(name))]
    return lines


def _head(report: ImputationReport) -> str:
    s = report.settings
    rows = f"{s['rows']:,} rows"
    if s["rows_given"] > s["rows"]:
        rows = f"a sample of {s['rows']:,} of {s['rows_given']:,} rows"
    return (
        f"Does it beat the column mean? {s['share']:.0%} of the cells of {rows} hidden ({s['mechanism']}), "
        f"{s['repeats']} repeats, {s['seconds']:.0f} CPU seconds in all."
    )


def _main_table(report: ImputationReport) -> str:
    frame = report.to_frame()
    kinds = [kind for kind in ("numeric", "categorical") if frame[kind].notna().any()]
    titles = {"numeric": "RMSE (sd)", "categorical": "falsely classified"}
    head = ["imputer", "verdict", *(titles[kind] for kind in kinds), "error saved", "95 % interval"]
    drawn = _has_draws(report)
    head += ["energy", *(["energy of a draw", "covered"] if drawn else [])]
    head += [*([str(report.settings["score"])] if "score" in frame else []), "CPU s"]
    rows = [head]
    for name, row in frame.iterrows():
        seconds = row[["seconds_fit", "seconds_transform"]].sum()
        plain = name == COLUMN_MEAN
        cells = [str(name), str(row["verdict"]), *(_number(row[kind]) for kind in kinds)]
        cells += ["", ""] if plain else [f"{row['gain']:.0%}", _interval(row["low"], row["high"])]
        cells += [f"{row['energy']:.4f}"]
        cells += [_number(row["energy_draw"], 4), _share(row["covered"])] if drawn else []
        cells += [_number(row["score"])] if "score" in frame else []
        rows.append([*cells, "" if plain else f"{seconds:.2f}"])
    return "\n".join(aligned(rows))


def _column_table(report: ImputationReport) -> list[str]:
    frame = report.to_frame("column")
    if frame.empty:
        return []
    wide = frame.pivot(index="column", columns="imputer", values="error")
    first = frame.drop_duplicates("column").set_index("column")
    names = [name for name in report.verdicts.index if name in wide.columns]
    order = first.index[: _SHOWN if len(first) > _SHOWN + 5 else len(first)]
    rows = [["column", "kind", "cells", "column mean", *names]]
    for column in order:
        marks = frame[frame["column"] == column].set_index("imputer")["verdict"]
        told = [
            _number(wide.loc[column, name]) + ("*" if marks.get(name, "").startswith("beats") else " ")
            for name in names
        ]
        base = first.loc[column]
        rows.append([str(column), base["kind"], str(base["n"]), _number(base["baseline"]), *told])
    title = "Error by column (sd, or share falsely classified; * beats the column mean)"
    more = (
        f"and {len(first) - len(order)} more columns: to_frame('column')" if len(order) < len(first) else ""
    )
    return ["\n".join([title, *aligned(rows), *([more] if more else [])])]


def _group_table(report: ImputationReport) -> list[str]:
    frame = report.to_frame("group")
    if frame.empty:
        return []
    rows = [["imputer", "group", "rows", "error", "others", "difference", "95 % interval", "verdict"]]
    last = ""
    for _, row in frame.iterrows():
        name, last = ("" if row["imputer"] == last else row["imputer"]), row["imputer"]
        cells = [name, f"{row['feature']}: {row['group']}", f"{row['rows']:,}", f"{row['error']:.2f}"]
        cells += [f"{row['rest']:.2f}", f"{row['difference']:+.2f}", _interval(row["low"], row["high"], 2)]
        rows.append([*cells, row["verdict"]])
    return ["\n".join(["Error by group (1: what the column mean loses on average)", *aligned(rows)])]


def _verdict(word: str, row: pd.Series) -> str:
    span = f"95 % interval {_interval(row['low'], row['high'])}"
    if word == "changed nothing":
        return "changed nothing: it filled in the column mean or most frequent category everywhere."
    if word.startswith("beats"):
        return f"beats the column mean: it saves {row['gain']:.0%} of its error, {span}."
    if word.startswith("worse"):
        return f"is worse than the column mean: its error is {-row['gain']:.0%} larger, {span}."
    return f"is not shown to beat the column mean: {row['gain']:+.0%} of its error saved, {span}."


def _by_column(part: pd.DataFrame) -> list[str]:
    lines = []
    words = {
        "worse than the column mean": "worse than the column mean",
        "changed nothing": "filled in nothing but the column mean (most frequent category)",
        "no evidence that it beats the column mean": "not shown to beat the column mean",
    }
    for verdict, told in words.items():
        names = part.loc[part["verdict"] == verdict, "column"].astype(str).tolist()
        if names:
            every = "in every column" if len(names) == len(part) else f"in {_listed(names)}"
            lines.append(f"{told} {every}.")
    return lines


def _as_distribution(row: pd.Series, plain: pd.Series) -> list[str]:
    lines = []
    if np.isfinite(row["energy_draw"]) and row["energy_draw"] < row["energy"]:
        lines.append(
            f"its draws lie nearer to the true distribution than its best guesses (energy distance "
            f"{row['energy_draw']:.4f} against {row['energy']:.4f}; column mean {plain['energy']:.4f}): "
            "use them where spread matters."
        )
    elif row["energy"] > plain["energy"]:
        lines.append(
            f"its rows lie further from the true distribution ({row['energy']:.4f}) "
            f"than the column mean's ({plain['energy']:.4f})."
        )
    if np.isfinite(row["covered"]):
        gap = row["covered"] - row["nominal"]
        word = "about right" if abs(gap) <= _OFF else "too narrow" if gap < 0 else "wider than needed"
        means = ""
        if row["means"]:
            hits = round(row["means_covered"] * row["means"])
            means = (
                f" Pooled intervals of column means hold the truth in {hits} of {row['means']} "
                "(90 % would be right)."
            )
        lines.append(
            f"the range of its draws holds {row['covered']:.0%} of the hidden numbers "
            f"({row['nominal']:.0%} would be right): {word}.{means}"
        )
    if row["left"]:
        lines.append(f"left {row['left']} hidden cells missing.")
    return lines


def _downstream(report: ImputationReport, row: pd.Series) -> str:
    low, high = row["score_low"], row["score_high"]
    if low > 0:
        word = "helps the learner"
    elif high < 0:
        word = "hurts the learner"
    else:
        word = "no evidence that it helps the learner"
    beside = ", ".join(f"{name} {value:.3f}" for name, value in report.controls.items())
    return (
        f"{word}: {report.settings['score']} {row['score']:.3f}, {row['score_gain']:+.3f} against the column "
        f"mean, 95 % interval {_interval(low, high, 3)}" + (f" ({beside})." if beside else ".")
    )


def _groups(report: ImputationReport, name: str) -> list[str]:
    frame = report.to_frame("group")
    if frame.empty:
        return []
    lines = []
    plain = frame[frame["imputer"] == COLUMN_MEAN].set_index(["feature", "group"])
    for feature, part in frame[frame["imputer"] == name].groupby("feature", sort=False):
        worse = part[part["verdict"] == "imputed worse"].sort_values("difference", ascending=False)
        for _, row in worse.iterrows():
            there = plain.loc[(feature, row["group"])]
            also = there["verdict"] == "imputed worse" and there["difference"] >= row["difference"]
            lines.append(
                f"{feature} {row['group']} is imputed worse: {row['error']:.2f} against {row['rest']:.2f} of "
                f"the others, difference {_interval(row['low'], row['high'], 2)}"
                + (" (no more than by the column mean)." if also else ".")
            )
        if worse.empty:
            lines.append(f"no evidence that a group of {feature} is imputed worse than the others.")
    return lines


def _foot(report: ImputationReport) -> str:
    told = (
        "error saved: 0 % is the column mean, 100 % the truth. energy: energy distance of the completed "
        "rows to the true ones, 0 is best."
    )
    if _has_draws(report):
        told += (
            " energy of a draw: that of a random draw instead of the best guesses. "
            "covered: hidden numbers within the range of the draws."
        )
    if report.settings["mechanism"] == "MNAR":
        return told
    return f"{told} Holes that depend on what is missing are filled worse: try mechanism='MNAR'."


def _has_draws(report: ImputationReport) -> bool:
    return bool(report.to_frame()[["energy_draw", "covered"]].notna().to_numpy().any())


def _interval(low: float, high: float, decimals: int | None = None) -> str:
    if not (np.isfinite(low) and np.isfinite(high)):
        return "undefined"
    return f"[{low:.0%}, {high:.0%}]" if decimals is None else f"[{low:+.{decimals}f}, {high:+.{decimals}f}]"


def _number(value: Any, decimals: int = 3) -> str:
    return f"{value:.{decimals}f}" if np.isfinite(value) else ""


def _share(value: float) -> str:
    return f"{value:.0%}" if np.isfinite(value) else ""


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_FEW]) + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")
