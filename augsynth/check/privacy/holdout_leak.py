"""Whether held-out rows, or near twins of them, were among what the new rows were made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from augsynth.check.evidence import Evidence
from augsynth.check.finding import FAILED, NOT_JUDGED, PASSED, Check, Finding
from augsynth.check.intervals import wilson
from augsynth.check.privacy.closer import contributions, effective, of_train
from augsynth.check.privacy.leak_looks import (
    EQUAL,
    LEVEL,
    NEAR,
    TWINS,
    Look,
    leak_p_value,
    looks,
    looks_table,
    pairs_seen,
)
from augsynth.check.privacy.references import QUICK, nearest, needs_holdout, references

__all__ = ["HoldoutLeak", "leaked", "withdrawn"]

_WITHDRAWN = (
    "Not judged: held-out rows, or near twins of them, were among what the new rows were made from, so that "
    "this figure shows nothing."
)


class HoldoutLeak(Check):
    """The share of new rows that are closer to a held-out row than to a training row.

    If nothing was made from the held-out rows they may be exchanged with the training rows,
    pair by pair: so it is tested exactly whether more new rows have a held-out row as the
    nearest real one, whether more are near copies of one held-out row than of one training
    row (in every view of `NearCopies`), and whether attacks on membership find the held-out
    rows. A generator that was trained on both treats them alike: so it is also asked whether
    new rows lie beside single held-out rows far oftener than real rows do, and whether they
    equal held-out rows where chance makes no equal rows. The smallest p-value counts, times
    the number of looks, and only up to 0.0001: above, it is told as 1.
    """

    part: ClassVar[str] = "memorisation"
    name: ClassVar[str] = "holdout_leak"
    title: ClassVar[str] = "Held-out rows among what the new rows were made from"

    def applies(self, evidence: Evidence) -> str:
        """Held-out rows are needed."""
        return needs_holdout(evidence)

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the share, of fewer new rows: for the controls."""
        near = nearest(evidence, most=QUICK)
        return float(1.0 - contributions(near, of_train(references(evidence).n_pairs)).mean())

    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the share with its interval, and what each look shows."""
        near, seen = nearest(evidence), looks(evidence)
        share = float(1.0 - contributions(near, of_train(references(evidence).n_pairs)).mean())
        low, high = wilson(share, effective(near))
        p = leak_p_value(evidence)
        found = p <= LEVEL
        return Finding(
            self.part, self.name, self.title, share, "share of new rows", low, high, 0.5,
            p if found else 1.0, len(near.made), _sentence(share, seen, found),
            "It rests on training and held-out rows that were drawn alike: held-out rows of another time or "
            "place may look the same way, and are then no yardstick either. What was seen without keeping "
            "single rows does not show.",
            details={
                "looks": looks_table(seen),
                **({"held_out_pairs": pairs_seen(evidence, seen)} if found else {}),
            },
        )  # fmt: skip


def leaked(findings: Sequence[Finding]) -> Finding | None:
    """Return the finding that the held-out rows leaked, if it is among them and failed."""
    return next((each for each in findings if each.name == HoldoutLeak.name and each.status == FAILED), None)


def withdrawn(findings: Sequence[Finding]) -> list[Finding]:
    """Take back whatever passed, if the held-out rows leaked: it passed on rows that prove nothing."""
    if leaked(findings) is None:
        return list(findings)
    gone = {"status": NOT_JUDGED, "p_value": float("nan"), "p_adjusted": float("nan"), "caution": _WITHDRAWN}
    return [replace(each, **gone) if each.status == PASSED else each for each in findings]  # type: ignore[arg-type]


def _sentence(share: float, seen: Sequence[Look], found: bool) -> str:
    told = f"{share:.1%} of the new rows lie closer to a held-out row than to a training row (50 % by chance)"
    equal = next(len(look.rows) for look in seen if look.words == EQUAL)
    if not found:
        calm = f"{told}: no sign that the new rows were made from held-out rows"
        if equal:
            calm += (
                f", though {equal:,} equal one and no training row: chance may make as many"
                if equal > 1
                else ", though 1 equals one and no training row: one alone proves nothing"
            )
        return f"{calm}."
    best, more = min(seen, key=lambda look: look.p_value), ""
    if best.words == TWINS:
        more = (
            f"; {best.held:.1%} have one held-out row for a near twin, and {best.other:.2%} of real rows do"
        )
    elif best.words.startswith(NEAR):
        more = f"; {best.held:.1%} are near copies of one held-out row, {best.other:.1%} of one training row"
    if equal:
        more += (
            f"; {equal:,} equal{'' if equal > 1 else 's'} a held-out row, and no training row, to the letter"
        )
    also = (
        ""
        if best.words == EQUAL
        else " None does either if these were drawn at another time or place, which may look the same."
    )
    return (
        f"Held-out rows, or near twins of them, were among what the new rows were made from: {told}{more}. "
        f"So no figure that rests on held-out rows holds.{also}"
    )
