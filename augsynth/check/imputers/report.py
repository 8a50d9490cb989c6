"""What a check of imputers found: verdicts, tables, words and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from augsynth.check.imputers.downstream import HOLD_OUT
from augsynth.check.imputers.trial import COLUMN_MEAN
from augsynth.check.intervals import Interval, corrected_interval
from augsynth.check.records import plain, records
from augsynth.core.errors import ParameterError, sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BEATS", "FAILED", "NOTHING", "UNSURE", "WORSE", "ImputationReport"]

BEATS, WORSE = "beats the column mean", "worse than the column mean"
UNSURE, NOTHING, FAILED = "no evidence that it beats the column mean", "changed nothing", "failed"


@dataclass(repr=False)
class ImputationReport:
    """What `imputation` found. ``print`` it for the whole story.

    Attributes
    ----------
    verdicts : Series
        Of each imputer: "beats the column mean", "no evidence that it beats the column mean",
        "worse than the column mean", "changed nothing" (it fills in the column mean) or "failed".
    failures : dict
        Name to reason, of those that failed.
    settings : dict
        Mechanism, share, rows, repeats, seed, CPU seconds in all.
    notes : dict
        Name to what it warned of.
    controls : dict
        Score of the learner "before hiding" and with "no imputation", means over repeats.
    """

    verdicts: pd.Series
    failures: dict[str, str]
    settings: dict[str, Any]
    notes: dict[str, list[str]]
    controls: dict[str, float]
    examples: tuple[Any, Any, Mapping[str, Any]] = field(repr=False)
    _frames: dict[str, pd.DataFrame] = field(repr=False)

    @classmethod
    def of(
        cls,
        columns: pd.DataFrame,
        totals: pd.DataFrame,
        groups: pd.DataFrame,
        *,
        names: Sequence[str],
        failures: dict[str, str],
        settings: dict[str, Any],
        examples: Any,
    ) -> ImputationReport:
        """Judge the scores of all repeats."""
        done = [name for name in names if name not in failures]
        ratio = settings["share"] / (1 - settings["share"])
        by_column = _columns(columns, done, ratio)
        by_imputer = _imputers(columns, totals, done, ratio)
        words = {name: by_imputer.loc[name, "verdict"] if name in done else FAILED for name in names}
        controls = totals["controls"].dropna().tolist() if "controls" in totals else []
        notes = {
            str(name): list({note[:60]: note for notes in reversed(list(part)) for note in notes}.values())
            for name, part in totals.groupby("imputer", sort=False)["notes"]
        }
        return cls(
            verdicts=pd.Series(words, name="verdict", dtype=object),
            failures=dict(failures),
            settings=settings,
            notes={name: told for name, told in notes.items() if told},
            controls=pd.DataFrame(controls).mean().to_dict() if controls else {},
            examples=examples,
            _frames={"imputer": by_imputer, "column": by_column, "group": groups, "repeat": columns},
        )

    def to_frame(self, by: str = "imputer") -> pd.DataFrame:
        """Return the figures by "imputer", "column", "group" or "repeat".

        By imputer: ``numeric`` (RMSE) and ``mae`` in standard deviations, ``categorical`` (share falsely
        classified), ``gain`` (the share of the column mean's error that it saves, mean of the columns)
        with its interval ``low`` to ``high``, ``verdict``; ``energy`` and ``energy_draw`` (distance of
        completed rows to the truth); ``covered`` (hidden numbers within the range of the draws) and its
        ``nominal`` share, ``means_covered`` (intervals of column means that hold the truth, 90 % nominal)
        of ``means``; ``score`` of the learner, ``score_gain`` over the column mean with ``score_low`` to
        ``score_high``; CPU seconds to fit, to transform, and of one draw.
        By column: ``error``, ``baseline``, ``gain`` and its interval, ``mae``, ``shape`` and ``shape_draw``.
        By group: mean loss of a hidden cell in units of the column mean's, and that of all other rows.
        By repeat: the raw errors of every column.
        """
        if by not in self._frames:
            must = "by must be 'imputer', 'column', 'group' or 'repeat'"
            raise ParameterError(sentence("ImputationReport", must, repr(by)))
        return self._frames[by].copy()

    def summary(self) -> str:
        """Return one sentence or more an imputer."""
        from augsynth.check.imputers.text import sentences

        return "\n".join(sentences(self))

    def __str__(self) -> str:
        """Return the whole story as text."""
        from augsynth.check.imputers.text import written

        return written(self)

    def __repr__(self) -> str:
        """Return the verdicts in one line."""
        return f"<ImputationReport; {', '.join(f'{name}: {word}' for name, word in self.verdicts.items())}>"

    def plot(self, path: Any = None, *, kind: str = "error") -> Figure:
        """Draw errors by column and group ("error"), or what was filled in against the truth ("values").

        Written to ``path`` (PNG, PDF or SVG) if one is given.
        """
        from augsynth.check.imputers.plot import error_plot, values_plot

        if kind not in ("error", "values"):
            must = "kind must be 'error' or 'values'"
            raise ParameterError(sentence("ImputationReport.plot", must, repr(kind)))
        return error_plot(self, path) if kind == "error" else values_plot(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the raw errors, ready for JSON."""
        from augsynth.check.imputers.text import sentences

        return {
            "verdicts": dict(self.verdicts),
            "sentences": sentences(self),
            "imputers": records(self._frames["imputer"].reset_index()),
            "columns": records(self._frames["column"]),
            "groups": records(self._frames["group"]),
            "controls": {name: plain(value) for name, value in self.controls.items()},
            "failures": self.failures,
            "notes": self.notes,
            "settings": {name: plain(value) for name, value in self.settings.items()},
        }


def _word(interval: Interval, moved: bool) -> str:
    low, high = interval.bounds()
    if not moved:
        return NOTHING
    return BEATS if low > 0 else WORSE if high < 0 else UNSURE


def _gains(columns: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the share of the column mean's error saved, (repeats, columns); the unit is its mean error."""
    keys = ["repeat", "column"]
    base = columns[columns["imputer"] == COLUMN_MEAN].set_index(keys)["error"].unstack()
    own = columns[columns["imputer"] == name].set_index(keys)["error"].unstack()
    unit = base.mean()
    return (base - own)[unit.index[unit > 0]] / unit[unit > 0]


def _columns(columns: pd.DataFrame, names: Sequence[str], ratio: float) -> pd.DataFrame:
    found = []
    plain = columns[columns["imputer"] == COLUMN_MEAN].groupby("column", sort=False)["error"].mean()
    for name in names:
        gains = _gains(columns, name)
        for column, part in columns[columns["imputer"] == name].groupby("column", sort=False):
            row = {"imputer": name, "column": column, "kind": part["kind"].iloc[0], "n": int(part["n"].sum())}
            row |= {"error": part["error"].mean(), "baseline": plain[column]}
            judged = column in gains.columns  # the column mean is never wrong: nothing to gain
            interval = corrected_interval(gains[column] if judged else [], ratio)
            low, high = interval.bounds()
            row |= {"gain": interval.mean, "low": low, "high": high}
            row["verdict"] = _word(interval, bool(part["moved"].any()))
            found.append(row | part[["mae", "shape", "shape_draw"]].mean().to_dict())
    return pd.DataFrame(found)


def _imputers(
    columns: pd.DataFrame, totals: pd.DataFrame, names: Sequence[str], ratio: float
) -> pd.DataFrame:
    found = {}
    for name in [*names, COLUMN_MEAN]:
        part, whole = columns[columns["imputer"] == name], totals[totals["imputer"] == name]
        kinds = part.groupby("kind")["error"].mean()
        row: dict[str, Any] = {kind: kinds.get(kind, np.nan) for kind in ("numeric", "categorical")}
        row["mae"] = part["mae"].mean()
        gains = _gains(columns, name).mean(axis=1)
        interval = corrected_interval(gains, ratio)
        low, high = interval.bounds()
        row |= {"gain": interval.mean, "low": low, "high": high}
        row["verdict"] = _word(interval, bool(part["moved"].any())) if name != COLUMN_MEAN else ""
        for key in ("energy", "energy_draw", "covered"):
            row[key] = whole[key].mean()
        row["nominal"] = whole["nominal"].max()  # of the first repeat: the others draw once
        row["means"] = int(whole["means"].sum())
        row["means_covered"] = whole["mean_hits"].sum() / row["means"] if row["means"] else np.nan
        if "score" in whole:
            row |= _scores(whole, totals[totals["imputer"] == COLUMN_MEAN])
        seconds = ["seconds_fit", "seconds_transform", "seconds_draw"]
        row |= whole[seconds].mean().to_dict() | {"left": int(whole["left"].sum())}
        found[name] = row
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("imputer")


def _scores(whole: pd.DataFrame, plain: pd.DataFrame) -> dict[str, float]:
    gaps = whole.set_index("repeat")["score"] - plain.set_index("repeat")["score"]
    interval = corrected_interval(gaps, HOLD_OUT / (1 - HOLD_OUT))
    low, high = interval.bounds()
    return {
        "score": whole["score"].mean(),
        "score_gain": interval.mean,
        "score_low": low,
        "score_high": high,
    }
