"""Ways to look for held-out rows among what the new rows were made from, and how likely chance makes each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from augsynth.check.evidence import Evidence
from augsynth.check.kept import once
from augsynth.check.privacy.flips import more_held
from augsynth.check.privacy.membership import heldout_suspected
from augsynth.check.privacy.references import References, nearest, references
from augsynth.check.privacy.twins import count_twins
from augsynth.check.privacy.views import GIVEN, Sight, ratios, sights, usual_ratios

__all__ = ["EQUAL", "LEVEL", "NEAR", "TWINS", "Look", "leak_p_value", "looks", "looks_table", "pairs_seen"]

LEVEL = 1e-4  # from which on held-out rows are said to be what new rows were made from
NEAR, TWINS, EQUAL = "near copies", "near twins, beside real rows", "equal rows"
_TWIN = 0.05  # so much nearer to one held-out row than to the next real row
_BEYOND, _FEWEST, _COMMON = 10.0, 0.01, 0.01  # times what real rows do; least share; real rows have twins
_STEPS = 2  # ranks
_SHOWN = 12


@dataclass(frozen=True, eq=False)
class Look:
    """One way to look.

    Attributes
    ----------
    words : str
        What was looked for.
    p_value : float
        How likely chance makes it.
    held, other : float
        The shares seen: with held-out rows, and what stands beside.
    rows, places : ndarray of int
        New rows, and the held-out row beside which each was seen.
    """

    words: str
    p_value: float
    held: float = float("nan")
    other: float = float("nan")
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    places: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))


def looks(evidence: Evidence) -> list[Look]:
    """Return what every way of looking shows; looked once."""
    return once(evidence, ("looks for held-out rows",), lambda: _looked(evidence))


def leak_p_value(evidence: Evidence) -> float:
    """Return the smallest chance, times the number of looks."""
    found = looks(evidence)
    return min(1.0, len(found) * min(each.p_value for each in found))


def looks_table(found: Sequence[Look]) -> pd.DataFrame:
    """Return the looks, one a row."""
    return pd.DataFrame(
        {
            "look": [each.words for each in found],
            "held_out": [each.held for each in found],
            "beside": [each.other for each in found],
            "p_value": [each.p_value for each in found],
        }
    )


def pairs_seen(evidence: Evidence, found: Sequence[Look]) -> pd.DataFrame:
    """Return the new rows nearest to a held-out row, as the strongest look that names such rows saw them.

    Empty if none does: attacks on membership suspect rows, but name no new row.
    """
    named = [each for each in found if len(each.rows)]
    best = min(named, key=lambda look: look.p_value) if named else Look("", 1.0)
    apart = evidence.distance.pairs(evidence.made.z[best.rows], evidence.reference.z[best.places])
    order = np.argsort(apart, kind="stable")[:_SHOWN]
    return pd.DataFrame(
        {"new": best.rows[order], "holdout": best.places[order], "distance_holdout": apart[order]}
    )


def _looked(evidence: Evidence) -> list[Look]:
    refs = references(evidence)
    found = [_nearest_look(evidence, refs), _twin_look(evidence, refs), _equal_look(evidence)]
    found.append(Look("attacks on membership", heldout_suspected(evidence)))
    return [*found, *(_sight_look(each, evidence, refs) for each in sights(evidence))]


def _beside(refs: References, rows: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the new rows that lie beside held-out rows, and those."""
    held = positions >= refs.n_pairs
    return rows[held], refs.holdout[positions[held] - refs.n_pairs]


def _nearest_look(evidence: Evidence, refs: References) -> Look:
    near, n = nearest(evidence), refs.n_pairs
    alone = near.n_tied == 1
    rows, at = near.made[alone], near.positions[alone, 0]
    held = float((at >= n).mean()) if len(at) else float("nan")
    return Look("nearest real row", more_held(at, n), held, 1.0 - held, *_beside(refs, rows, at))


def _sight_look(sight: Sight, evidence: Evidence, refs: References) -> Look:
    m, n = len(nearest(evidence).made), refs.n_pairs
    held = int((sight.positions >= n).sum())
    usual, looked_at = sight.real
    oftener = float(stats.hypergeom.sf(held - 1, m + looked_at, held + usual, m)) if held else 1.0
    p = max(oftener, more_held(sight.positions, n))
    other = (len(sight.positions) - held) / m
    return Look(f"{NEAR}: {sight.name}", p, held / m, other, *_beside(refs, sight.rows, sight.positions))


def _twin_look(evidence: Evidence, refs: References) -> Look:
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
    return Look(TWINS, p, share, common, *_beside(refs, rows, at))


# ---- rows that are equal to the letter


def _equal_look(evidence: Evidence) -> Look:
    """Count the new rows that equal a held-out row and no training row; every row is looked at.

    Two tests, twice the smaller p-value: that of `count_twins` with the parts of training and
    held-out rows exchanged, and the chance that rows agree in two columns of many values.
    """
    made, train, held = evidence.made, evidence.train, evidence.reference
    keys, first = np.unique(held.keys, return_index=True)
    at = np.minimum(np.searchsorted(keys, made.keys), len(keys) - 1)
    equal = (keys[at] == made.keys) & ~np.isin(made.keys, train.keys)
    rows, places = np.flatnonzero(equal), first[at[equal]]
    share, usual = len(rows) / len(made), float(np.isin(train.keys, held.keys).mean())
    if not len(rows):
        return Look(EQUAL, 1.0, share, usual, rows, places)
    twins = count_twins(made.keys, held.keys, train.keys, (made.cells, held.cells, train.cells))
    p = min(1.0, 2.0 * min(twins.p_value, _coincidence(evidence, np.unique(places))))
    return Look(EQUAL, p, share, usual, rows, places)


def _coincidence(evidence: Evidence, places: np.ndarray) -> float:
    """Return the chance that so many held-out rows are met by accident, from two columns of many values.

    The number of rows met then follows a Poisson distribution. Values that a training row has
    do not count: a generator may have them from there. One row alone is never enough: it may
    be a special one (all zero, all at their limits).
    """
    two = _two_columns(evidence)
    if two is None or evidence.modality == "text":  # features of a text all follow from it
        return 1.0
    a, b, chance = two
    train, held = evidence.train.z, evidence.reference.z[places]
    unseen = ~np.isin(held[:, a], train[:, a]) & ~np.isin(held[:, b], train[:, b])
    met = int((unseen & np.isfinite(held[:, a]) & np.isfinite(held[:, b])).sum())
    tries = float(len(np.unique(evidence.made.keys))) * len(evidence.reference)
    return float(stats.poisson.sf(met - 1, tries * chance)) if met > 1 else 1.0


def _two_columns(evidence: Evidence) -> tuple[int, int, float] | None:
    """Return two columns, and the chance that two rows agree in both; it is smallest in these.

    The first column is the one in which the fewest pairs of real rows agree. In the other,
    rows that agree in the first do as all rows, or as those next to each other in the first
    do: whichever is more.
    """
    real = np.vstack([evidence.train.z, evidence.reference.z])
    agree = {int(j): _agreement(real[:, j]) for j in evidence.layout.numeric}
    first, *others = sorted(agree, key=lambda j: agree[j])[:_SHOWN] or [-1]
    if not others:
        return None
    beside = {j: max(agree[j], _side_by_side(real[:, first], real[:, j])) for j in others}
    best = min(others, key=lambda j: beside[j])
    return first, best, agree[first] * beside[best]


def _agreement(column: np.ndarray) -> float:
    """Return the share of the pairs of rows that have the same value, one added; missing cells are one."""
    counts = np.unique(column, return_counts=True)[1].astype(float)
    n = len(column)
    return float(min(1.0, (0.5 * np.sum(counts * (counts - 1)) + 1) / (0.5 * n * (n - 1))))


def _side_by_side(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of rows next to each other in one column that are so in the other, beyond chance."""
    ranks = stats.rankdata(np.nan_to_num(second))[np.argsort(first, kind="stable")]
    near = float((np.abs(np.diff(ranks)) <= _STEPS).sum())
    return (max(0.0, near - 2 * _STEPS) + 1.0) / len(ranks)
