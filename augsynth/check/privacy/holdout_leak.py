"""Whether held-out rows, or near twins of them, were among what the new rows were made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from augsynth.check.evidence import Evidence
from augsynth.check.finding import FAILED, NOT_JUDGED, PASSED, Check, Finding
from augsynth.check.intervals import wilson
from augsynth.check.privacy.closer import LEVEL, _contributions, _effective, _real, more_held
from augsynth.check.privacy.membership import heldout_suspected
from augsynth.check.privacy.references import QUICK, References, nearest, needs_holdout, references
from augsynth.check.privacy.views import GIVEN, Sight, ratios, sights, usual_ratios

__all__ = ["HoldoutLeak", "leaked", "withdrawn"]

_TWIN = 0.05  # so much nearer to one held-out row than to the next real row
_BEYOND, _FEWEST, _COMMON = 10.0, 0.01, 0.01  # times what real rows do; least share; real rows have twins
_SHOWN = 12
_NEAR, _TWINS = "near copies", "near twins, beside real rows"
_WITHDRAWN = (
    "Not judged: held-out rows, or near twins of them, were among what the new rows were made from, so that "
    "this figure shows nothing."
)


@dataclass(frozen=True, eq=False)
class _Look:
    """One way to look: how likely chance makes it, the shares it saw, the new rows and their references."""

    words: str
    p_value: float
    held: float = float("nan")
    other: float = float("nan")
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    positions: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))


class HoldoutLeak(Check):
    """The share of new rows that are closer to a held-out row than to a training row.

    If nothing was made from the held-out rows they may be exchanged with the training rows,
    pair by pair: so it is tested exactly whether more new rows have a held-out row as the
    nearest real one, whether more are near copies of one held-out row than of one training
    row (in every view of `NearCopies`), and whether attacks on membership find the held-out
    rows. A generator that was trained on both treats them alike: so it is also asked whether
    new rows lie beside single held-out rows far oftener than real rows do. The smallest
    p-value counts, times the number of looks, and only up to 0.0001: above, it is told as 1.
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
        return float(1.0 - _contributions(near, _real(references(evidence).n_pairs)).mean())

    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the share with its interval, and what each look shows."""
        refs, near = references(evidence), nearest(evidence)
        share = float(1.0 - _contributions(near, _real(refs.n_pairs)).mean())
        low, high = wilson(share, _effective(near))
        looks = _looks(evidence, refs)
        best = min(looks, key=lambda look: look.p_value)
        p = min(1.0, len(looks) * best.p_value)
        found = p <= LEVEL
        return Finding(
            self.part, self.name, self.title, share, "share of new rows", low, high, 0.5,
            p if found else 1.0, len(near.made), _sentence(share, best, found),
            "It rests on training and held-out rows that were drawn alike: held-out rows of another time or "
            "place may look the same way, and are then no yardstick either. What was seen without keeping "
            "single rows does not show.",
            details={
                "looks": _table(looks),
                **({"held_out_pairs": _pairs(evidence, refs, looks)} if found else {}),
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


# ---- looks


def _looks(evidence: Evidence, refs: References) -> list[_Look]:
    found = [_nearest_look(evidence, refs), _twin_look(evidence, refs), _membership_look(evidence)]
    return [*found, *(_sight_look(each, evidence, refs) for each in sights(evidence))]


def _nearest_look(evidence: Evidence, refs: References) -> _Look:
    near, n = nearest(evidence), refs.n_pairs
    alone = near.n_tied == 1
    rows, at = near.made[alone], near.positions[alone, 0]
    held = float((at >= n).mean()) if len(at) else float("nan")
    return _Look("nearest real row", more_held(at, n), held, 1.0 - held, rows, at)


def _sight_look(sight: Sight, evidence: Evidence, refs: References) -> _Look:
    m, n = len(nearest(evidence).made), refs.n_pairs
    held = int((sight.positions >= n).sum())
    usual, looked_at = sight.real
    oftener = float(stats.hypergeom.sf(held - 1, m + looked_at, held + usual, m)) if held else 1.0
    p = max(oftener, more_held(sight.positions, n))
    other = (len(sight.positions) - held) / m
    return _Look(f"{_NEAR}: {sight.name}", p, held / m, other, sight.rows, sight.positions)


def _membership_look(evidence: Evidence) -> _Look:
    return _Look("attacks on membership", heldout_suspected(evidence))


def _twin_look(evidence: Evidence, refs: References) -> _Look:
    """Count the held-out rows that have a new row for a near twin, where hardly any real row has one."""
    near, n = nearest(evidence), refs.n_pairs
    usual, _ = usual_ratios(refs, GIVEN, refs.z, evidence.distance)
    beside = (ratios(near.distances) <= _TWIN) & (near.distances[:, 0] > 0)
    rows, at = near.made[beside], near.positions[beside, 0]
    m, looked_at = len(near.made), len(usual)
    common, share = float((usual <= _TWIN).mean()), float((at >= n).sum() / m)
    met = len(np.unique(at[at >= n]))  # new rows around one held-out row are one
    p = 1.0
    if common <= _COMMON and met >= m * max(_FEWEST, _BEYOND * common):
        real = round(common * looked_at)
        p = float(stats.hypergeom.sf(met - 1, m + looked_at, met + real, m))
    return _Look(_TWINS, p, share, common, rows, at)


# ---- words


def _sentence(share: float, best: _Look, found: bool) -> str:
    told = f"{share:.1%} of the new rows lie closer to a held-out row than to a training row (50 % by chance)"
    if not found:
        return f"{told}: no sign that the new rows were made from held-out rows."
    more = ""
    if best.words == _TWINS:
        more = (
            f"; {best.held:.1%} have one held-out row for a near twin, and {best.other:.2%} of real rows do"
        )
    elif best.words.startswith(_NEAR):
        more = f"; {best.held:.1%} are near copies of one held-out row, {best.other:.1%} of one training row"
    return (
        f"Held-out rows, or near twins of them, were among what the new rows were made from: {told}{more}. "
        "So no figure that rests on held-out rows holds."
    )


def _table(looks: Sequence[_Look]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "look": [each.words for each in looks],
            "held_out": [each.held for each in looks],
            "beside": [each.other for each in looks],
            "p_value": [each.p_value for each in looks],
        }
    )


def _pairs(evidence: Evidence, refs: References, looks: Sequence[_Look]) -> pd.DataFrame:
    """Return the new rows nearest to a held-out row, as the strongest look that names rows saw them."""
    best = min((each for each in looks if len(each.rows)), key=lambda look: look.p_value)
    rows, positions = best.rows, best.positions
    held = positions >= refs.n_pairs
    rows, places = rows[held], refs.holdout[positions[held] - refs.n_pairs]
    apart = evidence.distance.pairs(evidence.made.z[rows], evidence.reference.z[places])
    order = np.argsort(apart, kind="stable")[:_SHOWN]
    return pd.DataFrame({"new": rows[order], "holdout": places[order], "distance_holdout": apart[order]})
