"""Whether new rows are exact copies of training rows."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from augsynth.check.evidence import Evidence
from augsynth.check.finding import Check, Finding
from augsynth.check.permutation import FIRM, worded
from augsynth.check.privacy.references import needs_holdout
from augsynth.check.privacy.twins import Twins, count_twins, repeats

__all__ = ["Copies"]

_SHOWN = 12


class Copies(Check):
    """The share of new rows that equal a training row to the letter."""

    part: ClassVar[str] = "memorisation"
    name: ClassVar[str] = "copies"
    title: ClassVar[str] = "New rows that are exact copies of training rows"

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the share; every row is looked at."""
        return float(np.isin(evidence.made.keys, evidence.train.keys).mean())

    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the share with an exact interval, and how often real rows equal a training row."""
        made, train, holdout = evidence.made, evidence.train, evidence.holdout
        again = repeats(made.keys)
        if holdout is None:
            return _unjudged(self, evidence, again)
        cells = made.cells, train.cells, holdout.cells
        twins = count_twins(made.keys, train.keys, holdout.keys, cells)
        found, m = int(twins.in_train.sum()), len(made)
        low, high = _exact(found, m)
        enough = not needs_holdout(evidence)
        return Finding(
            self.part, self.name, self.title, found / m, "share of new rows", low, high, twins.natural,
            twins.p_value if enough else float("nan"), m, _sentence(twins, m, len(holdout), again),
            _caution(evidence, twins, enough),
            details={
                "pairs": _pairs(evidence),
                "counts": _counts(evidence, twins, again),
            },
        )  # fmt: skip


def _unjudged(check: Check, evidence: Evidence, again: int) -> Finding:
    in_train = np.isin(evidence.made.keys, evidence.train.keys)
    found, m = int(in_train.sum()), len(evidence.made)
    low, high = _exact(found, m)
    return Finding(
        check.part, check.name, check.title, found / m, "share of new rows", low, high, n=m,
        sentence=f"{found:,} of {m:,} new rows ({found / m:.2%}) equal a training row; "
        f"{again:,} repeat another new row.",
        caution=f"{needs_holdout(evidence)} How many equal rows are natural is thus not known.",
        details={"pairs": _pairs(evidence)},
    )  # fmt: skip


def _exact(found: int, n: int) -> tuple[float, float]:
    """Return the interval of Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404."""
    interval = stats.binomtest(found, n).proportion_ci(0.95, "exact")
    return float(interval.low), float(interval.high)


def _sentence(twins: Twins, m: int, n_holdout: int, again: int) -> str:
    found, held = int(twins.in_train.sum()), int(twins.in_holdout.sum())
    natural = f"{twins.natural:.2%} of real rows do" if twins.natural else "no real row does"
    told = f"{found:,} of {m:,} new rows ({found / m:.2%}) equal a training row; {natural}. "
    told += f"{held:,} equal one of the {n_holdout:,} held-out rows; {again:,} repeat another new row."
    if twins.p_value >= FIRM:
        return worded(told[:-1], "", twins.p_value, ": no more than equal rows happen by themselves")
    if not twins.natural:
        return told + " Rows were copied."
    beyond = max(0.0, (found / m - twins.natural) / (1 - twins.natural))
    (met, n), (other, k) = twins.lone_train, twins.lone_holdout
    return (
        f"{told} Rows were copied, about {beyond:.1%} of them: of the rows that are unique among the real "
        f"ones, {met / max(n, 1):.1%} of the training rows came back, and {other / max(k, 1):.1%} of the "
        "held-out rows."
    )


def _caution(evidence: Evidence, twins: Twins, enough: bool) -> str:
    told = [] if enough else [needs_holdout(evidence)]
    if twins.natural > 0.2:
        told.append(
            f"The table is coarse: {twins.natural:.0%} of real rows equal another, so single copies hide."
        )
    if evidence.modality not in ("table", "features"):
        told.append("Equal means equal in every sample or pixel: see near copies for the rest.")
    return " ".join(told)


def _counts(evidence: Evidence, twins: Twins, again: int) -> pd.DataFrame:
    train = evidence.train.keys
    rows: list[tuple[str, float]] = [
        ("new rows that equal a training row", float(twins.in_train.sum())),
        ("new rows that equal a held-out row", float(twins.in_holdout.sum())),
        ("new rows that repeat another new row", float(again)),
        ("training rows that repeat another training row", float(repeats(train))),
        ("share of real rows that equal a training row", twins.natural),
        ("unique training rows that a new row equals", float(twins.lone_train[0])),
        ("unique training rows", float(twins.lone_train[1])),
        ("unique held-out rows that a new row equals", float(twins.lone_holdout[0])),
        ("unique held-out rows", float(twins.lone_holdout[1])),
    ]
    return pd.DataFrame(rows, columns=["what", "count"])


def _pairs(evidence: Evidence) -> pd.DataFrame:
    """Return copied rows beside what they copy, rare ones first: as often as it occurs among real rows."""
    made, train = evidence.made, evidence.train
    keys, first, counts = np.unique(train.keys, return_index=True, return_counts=True)
    place = np.minimum(np.searchsorted(keys, made.keys), len(keys) - 1)
    found = np.flatnonzero(keys[place] == made.keys)
    often = counts[place[found]]
    held: Any = np.zeros(len(found), dtype=int)
    if evidence.holdout is not None:
        held_keys, held_counts = np.unique(evidence.holdout.keys, return_counts=True)
        at = np.minimum(np.searchsorted(held_keys, made.keys[found]), len(held_keys) - 1)
        held = np.where(held_keys[at] == made.keys[found], held_counts[at], 0)
    order = np.argsort(often + held, kind="stable")[:_SHOWN]
    shown = found[order]
    return pd.DataFrame(
        {
            "new": shown,
            "train": first[place[shown]],
            "equal_training_rows": often[order],
            "equal_heldout_rows": held[order],
        }
    )
