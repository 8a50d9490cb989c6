"""Levels and ranges: what no real row has, and what no new row has."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse, stats

from augsynth.check.evidence import Evidence
from augsynth.check.fidelity.exchange import N_PERMUTATIONS, PairedCheck, reach, whole
from augsynth.check.finding import Finding
from augsynth.check.permutation import CLAIMED, worded
from augsynth.check.reference import tells_reference

__all__ = ["NewCategories"]

_LOST = 0.05  # a level is dropped if new rows have at most this share of what the real ones have ...
_FROM = 6  # ... and the real ones at least so many: fewer may be an accident


class NewCategories(PairedCheck):
    """Levels and numbers outside the training rows, and levels that new rows have dropped.

    The figure is the share of new rows with a level, a missing cell or a number that the
    training rows (their levels; their range) do not have, plus the share of real rows whose
    level new rows (almost) never have. Held-out rows tell how often new levels and extremes
    turn up by themselves. The p-value is that of the worst column or level, as if each such row
    were new or real with even chances, with Bonferroni's allowance; without held-out rows, new
    levels are judged by the share of training rows that are alone with a level or an extreme
    (Good and Turing).
    """

    name, title = "new_categories", "Levels and ranges that only one side has"

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the figure alone."""
        exchange = whole(evidence)
        k = len(exchange)
        levels = _Levels(evidence)
        counts = [np.asarray(part.sum(axis=0)).reshape(1, -1) for part in (levels.hot[:k], levels.hot[k:])]
        strange = _strange(evidence)[:k].any(axis=1).mean()
        return float(strange + levels.lost(*counts).sum() / k)

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the figure with its interval, null value, p-value and sentence."""
        exchange, levels = whole(evidence), _Levels(evidence)
        k = len(exchange)
        strange = _strange(evidence)
        flags = np.column_stack([strange, strange.any(axis=1)]).astype(np.float32)
        first = exchange.sums(flags)[0].astype(float)
        lost = levels.lost(*exchange.sums(levels.hot.tocsc()))
        sizes = exchange.parts[0].sum(axis=1)
        share = first[:, -1] / sizes + lost.sum(axis=1) / sizes
        low, high = reach(float(share[0]), share[1 + N_PERMUTATIONS :])
        chance = levels.chance(lost[0])
        if evidence.holdout is not None:
            usual = float(strange[k:].any(axis=1).mean())
            chance = min(1.0, 2 * min(chance, _chance(strange[:k].sum(axis=0), strange.sum(axis=0))))
        else:
            usual = _alone(evidence)
            rate = min(1.0, usual + 3.0 / len(evidence.train))
            chance = min(1.0, 2 * min(chance, float(stats.binom.sf(first[0, -1] - 1, k, rate))))
        null = usual + float(lost[1 : 1 + N_PERMUTATIONS].sum(axis=1).mean()) / k
        table = _table(evidence, strange, levels, lost[0])
        return Finding(
            self.part, self.name, self.title, float(share[0]), "share of rows", low, high, null, chance, k,
            _sentence(float(first[0, -1] / k), usual, chance, table), details={"columns": table},
        )  # fmt: skip


class _Levels:
    """Every level (and the missing state) of every column of categories, as indicators of the pooled rows."""

    def __init__(self, evidence: Evidence):
        exchange = whole(evidence)
        z, blocks = exchange.z, []
        owner: list[int] = []
        self.level: list[int] = []
        kept = exchange.layout.categorical
        if evidence.target_kind == "class":
            kept = kept[:-1]
        start = 0
        for j in kept:
            codes = np.where(np.isnan(z[:, j]), -1, z[:, j]).astype(np.int64)
            found, own = np.unique(codes, return_inverse=True)
            blocks.append(own + start)
            owner += [int(j)] * len(found)
            self.level += found.tolist()
            start += len(found)
        places = np.concatenate([*blocks, np.zeros(0, dtype=np.int64)])
        rows = np.tile(np.arange(len(z)), len(blocks))
        ones = np.ones(len(places), dtype=np.float32)
        self.hot = sparse.csr_matrix((ones, (rows, places)), shape=(len(z), max(start, 1)))
        self.column = np.array(owner or [-1])

    def lost(self, new: np.ndarray, real: np.ndarray) -> np.ndarray:
        """Return how many real rows (R, L) have a level that new rows have dropped."""
        return np.where((new <= _LOST * real) & (real >= _FROM), real - new, 0.0).astype(float)

    def chance(self, lost: np.ndarray) -> float:
        """Return the chance that any level is dropped as clearly as the clearest one (L,)."""
        totals = np.asarray(self.hot.sum(axis=0)).ravel()
        real = np.asarray(self.hot[self.hot.shape[0] // 2 :].sum(axis=0)).ravel()
        return _chance(np.where(lost > 0, real, 0.0), np.where(totals >= _FROM, totals, 0.0))


def _chance(one_side: np.ndarray, both: np.ndarray) -> float:
    """Return Bonferroni's p-value of the most one-sided of several counts.

    Under "same distribution" each of the rows counted is as likely new as real; the binomial
    tail bounds that of relabelling within cells, and needs no draws.
    """
    counted = both > 0
    if not counted.any():
        return 1.0
    tails = stats.binom.sf(one_side[counted] - 1, both[counted], 0.5)
    return float(min(1.0, counted.sum() * tails.min()))


def _strange(evidence: Evidence) -> np.ndarray:
    """Tell which cells (2 k, p) of the pooled rows hold what no training row has in that column."""
    exchange = whole(evidence)
    train, z = evidence.joint(evidence.train), exchange.z
    out = np.zeros(z.shape, dtype=bool)
    for j, block in enumerate(exchange.layout):
        gap, seen = np.isnan(z[:, j]), train[~np.isnan(train[:, j]), j]
        if not len(seen):
            out[:, j] = ~gap
        elif block.is_numeric:
            out[:, j] = (z[:, j] < seen.min()) | (z[:, j] > seen.max())
        else:
            out[:, j] = ~gap & ~np.isin(z[:, j], np.unique(seen))
        if len(seen) == len(train):
            out[:, j] |= gap
    return out


def _alone(evidence: Evidence) -> float:
    """Return the share of training rows that alone have a level, a smallest or a largest number."""
    train = evidence.joint(evidence.train)
    alone = np.zeros(len(train), dtype=bool)
    for j, block in enumerate(evidence.joint_layout):
        seen = np.flatnonzero(~np.isnan(train[:, j]))
        values, inverse, counts = np.unique(train[seen, j], return_inverse=True, return_counts=True)
        single = counts == 1
        if block.is_numeric:
            single[1:-1] = False
        alone[seen[single[inverse]]] = True
    return float(alone.mean())


def _table(evidence: Evidence, strange: np.ndarray, levels: _Levels, lost: np.ndarray) -> pd.DataFrame:
    exchange = whole(evidence)
    k, rows = len(exchange), []
    for j, block in enumerate(exchange.layout):
        own = levels.column == j
        if strange[:k, j].any() or lost[own].any():
            gone = [levels.level[place] for place in np.flatnonzero(own & (lost > 0))]
            rows.append(
                {
                    "column": block.name,
                    "new_rows_outside": int(strange[:k, j].sum()),
                    "real_rows_outside": int(strange[k:, j].sum()),
                    "dropped_levels": len(gone),
                    "dropped_real_rows": int(lost[own].sum()),
                    "dropped": ", ".join(_level_name(evidence, j, code) for code in gone[:5]),
                }
            )
    names = [
        "column",
        "new_rows_outside",
        "real_rows_outside",
        "dropped_levels",
        "dropped_real_rows",
        "dropped",
    ]
    table = pd.DataFrame(rows, columns=names)
    order = np.argsort(
        -(table["new_rows_outside"] + table["dropped_real_rows"]).to_numpy(dtype=float), kind="stable"
    )
    return table.iloc[order].reset_index(drop=True)


def _level_name(evidence: Evidence, j: int, code: int) -> str:
    """Return a level as the table has it, through a real row that has it."""
    if code < 0:
        return "missing"
    name = evidence.joint_layout[j].name
    for rows in (evidence.reference, evidence.train, evidence.made):
        place = np.flatnonzero(rows.z[:, j] == code) if j < rows.z.shape[1] else np.zeros(0, dtype=int)
        if len(place) and hasattr(rows.X, "columns"):
            found = [column for column in rows.X.columns if str(column) == name]
            if found:
                return str(rows.X[found[0]].iloc[int(place[0])])
    return f"level {code}"


def _sentence(strange: float, usual: float, p: float, table: pd.DataFrame) -> str:
    told = (
        f"{strange:.2%} of new rows have a level or a number that no training row has ({usual:.2%} expected)"
    )
    told = told if strange else "No new row has a level or a number outside the training rows"
    outside = table[table["new_rows_outside"] > table["real_rows_outside"]]
    if strange > usual and len(outside) and p < CLAIMED:
        told += (
            f", most of them in {outside.sort_values('new_rows_outside', ascending=False).iloc[0]['column']}"
        )
    gone = table[table["dropped_levels"] > 0]
    if not len(gone):
        return worded(told, "; no level of the real rows is lost", p, "; no level of the real rows is lost")
    worst = gone.sort_values("dropped_real_rows", ascending=False).iloc[0]
    more = (
        f" and {int(gone['dropped_levels'].sum() - 1)} more levels"
        if gone["dropped_levels"].sum() > 1
        else ""
    )
    claim = (
        f"; new rows lack {worst['dropped'].split(', ')[0]!r} of {worst['column']}{more}, which "
        f"{int(worst['dropped_real_rows'])} of the real rows beside them have"
    )
    return worded(told, claim, p, "; no more levels are lost than by chance", claimed=CLAIMED)
