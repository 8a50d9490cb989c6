"""The same comparison for several learners, judged together."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from augsynth.check.utility.baselines import NOTHING
from augsynth.check.utility.comparison import Comparison
from augsynth.check.utility.table import difference_format, failure_lines, interval_text
from augsynth.check.utility.verdict import (
    FAILED,
    HELPS,
    HURTS,
    NO_EVIDENCE,
    NOT_APPLICABLE,
    holm_of_judged,
    overall_p_values,
)

__all__ = ["Comparisons"]


@dataclass(frozen=True, repr=False)
class Comparisons(Mapping[str, Comparison]):
    """What `compare` found for several learners. ``print`` it for one table.

    A mapping of the learner's name to its `Comparison`, whose own verdicts allow for its
    own methods. ``verdicts`` allows for all learners x methods together (Holm), so it is
    the one to quote when the best of several is picked.

    Attributes
    ----------
    by_learner : dict of str to Comparison
    """

    by_learner: dict[str, Comparison]

    def __getitem__(self, name: str) -> Comparison:
        return self.by_learner[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_learner)

    def __len__(self) -> int:
        return len(self.by_learner)

    @property
    def verdicts(self) -> pd.DataFrame:
        """One row a learner and method: score, nothing, difference, low, high, verdict.

        *helps*: better than every baseline that applies to that learner; *hurts*: worse
        than nothing; both after Holm's allowance for learners x methods. A pair that
        *failed* on every fold, or is *not applicable*, is not counted.
        """
        rows: list[dict[str, Any]] = []
        up: list[float] = []
        down: list[float] = []
        for name, result in self.by_learner.items():
            against = [each for each, reason in result.baselines.items() if not reason]
            frame = result.to_frame()
            better, worse = overall_p_values(frame, result.metric, result.methods, against)
            up, down = up + better, down + worse
            main = frame[(frame["metric"] == result.metric) & (frame["scope"] == "all")]
            plain = main[main["against"] == NOTHING].set_index("method")
            for method in result.methods:
                row = plain.loc[method]
                cost = result.costs.loc[method]
                told = {
                    "learner": name,
                    "method": method,
                    "score": row["score"],
                    NOTHING: row["score_against"],
                }
                told |= {each: row[each] for each in ("difference", "low", "high")}
                told |= {each: cost[each] for each in ("rows", "seconds_resample", "seconds_fit")}
                told |= {"verdict": row["verdict"]}
                rows.append(told)
        table = pd.DataFrame(rows)
        level = min(result.settings["alpha"] for result in self.by_learner.values()) / 2
        sure_up, sure_down = holm_of_judged(up) <= level, holm_of_judged(down) <= level
        judged = ~table["verdict"].isin([FAILED, NOT_APPLICABLE])
        words = [HELPS if a else HURTS if b else NO_EVIDENCE for a, b in zip(sure_up, sure_down, strict=True)]
        table["verdict"] = table["verdict"].where(~judged, pd.Series(words))
        return table.set_index(["learner", "method"])

    def to_frame(self) -> pd.DataFrame:
        """Return the rows of each comparison, with a first column that names the learner."""
        parts = []
        for name, result in self.by_learner.items():
            part = result.to_frame()
            part.insert(0, "learner", name)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def summary(self) -> str:
        """Return one sentence on all, and one on the best."""
        table = self.verdicts
        first = next(iter(self.by_learner.values()))
        helped = [" with ".join(reversed(key)) for key in table.index[table["verdict"] == HELPS]]
        out = table["verdict"].isin([FAILED, NOT_APPLICABLE]).sum()
        told = f"{len(table)} pairs of learner and method; Holm's allowance runs over all of them"
        told += f" but {out} that failed or do not apply. " if out else ". "
        told += f"Helps: {', '.join(helped)}. " if helped else "None is shown to help. "
        scores = pd.concat([table["score"], table[NOTHING].groupby("learner").first()])
        best = scores.idxmax()
        name = f"{best[0]} with {best[1]}" if isinstance(best, tuple) else f"{best} with {NOTHING}"
        told += f"Highest {first.metric_words} of all: {name}, {scores.max():.3f}"
        return told + " (a maximum, so on the bright side)."

    def __str__(self) -> str:
        """Return the joined table and the summary as text."""
        table = self.verdicts.reset_index()
        decimals = difference_format(table)
        first = next(iter(self.by_learner.values()))
        seconds = table["seconds_resample"] + table["seconds_fit"]
        shown = pd.DataFrame(
            {
                "learner": table["learner"].mask(table["learner"].duplicated(), ""),
                "method": table["method"],
                "nothing": table[NOTHING].map(lambda x: f"{x:.{decimals}f}"),
                "with it": table["score"].map(lambda x: f"{x:.{decimals}f}" if x == x else ""),
                "difference": table["difference"].map(lambda x: f"{x:+.{decimals}f}" if x == x else ""),
                "interval": [
                    interval_text(low, high, decimals) if low == low else ""
                    for low, high in zip(table["low"], table["high"], strict=True)
                ],
                "verdict": table["verdict"],
                "seconds a fold": seconds.map(lambda x: f"{x:.2g}" if x == x else ""),
            }
        )
        lines = shown.to_string(index=False).splitlines()
        lost = {
            name: failure_lines(each.failures, each.settings["splits"])
            for name, each in self.by_learner.items()
        }
        top = [textwrap.fill(f"FAILED: {name}: {line}", 110) for name in lost for line in lost[name]]
        notes = [
            f"Note ({name}): {note}"
            for name, each in self.by_learner.items()
            for note in each.notes
            if note not in lost[name]
        ]
        told = [textwrap.fill(each, 110, subsequent_indent="  ") for each in [self.summary(), *notes]]
        head = f"Does it help? {first.metric_words}, {len(self)} learners"
        return "\n".join([head, *top, *lines, "", *told])

    def __repr__(self) -> str:
        """Return one line."""
        return f"<Comparisons of {', '.join(self.by_learner)}>"

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        from augsynth.check.records import records

        told = {name: each.to_dict() for name, each in self.by_learner.items()}
        return {"verdicts": records(self.verdicts.reset_index()), "learners": told}
