"""Curves and spreads: whether one column depends on another as in the real rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence
from augsynth.check.fidelity.exchange import N_PERMUTATIONS, PairedCheck, joint_chance, reach
from augsynth.check.fidelity.pairs import PairTables, pair_tables, score_table
from augsynth.check.finding import Finding
from augsynth.check.permutation import CLAIMED, worded
from augsynth.check.reference import tells_reference

__all__ = ["Trend"]


class Trend(PairedCheck):
    """Difference of the conditional means (and spreads) of each column of numbers, given each other column.

    A column b is cut in at most 8 classes of normal scores, and so is the column a that is
    given; compared are the curves E[b | a] - E[b], and the spreads about them. The figure is
    the root mean square of the difference of the curves in standard deviations of b, mean
    over all ordered pairs. A curve like y = x^2 has no correlation and all its trend. The
    p-value is that of the worst curve or spread under relabelling within classes and groups.
    """

    name, title = "trend", "Curves: means of one column given another"

    def applies(self, evidence: Evidence) -> str:
        """Return "" if there are curves to compare, else the reason why not."""
        layout = evidence.joint_layout
        if len(layout) < 2 or not _targets(evidence).any():
            return "There is no column of numbers beside another one: no curves."
        return super().applies(evidence)

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the figure alone."""
        curves = _curves(evidence, pair_tables(evidence, relabelled=False))
        return float(curves.off.mean()) if curves.off.size else float("nan")

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the figure with its interval, null value, p-value and sentence."""
        tables = pair_tables(evidence)
        curves = _curves(evidence, tables)
        every = np.hstack([curves.off, curves.spread])
        p, z = joint_chance(every[0], every[1 : 1 + N_PERMUTATIONS])
        null = float(curves.off[1 : 1 + N_PERMUTATIONS].mean())
        value = float(curves.off[0].mean())
        low, high = reach(value, curves.off[1 + N_PERMUTATIONS :].mean(axis=1))
        names = [block.name for block in tables.exchange.layout]
        frame = pd.DataFrame(
            {
                "of": [names[j] for j in curves.of],
                "given": [names[j] for j in curves.given],
                "curve_off": curves.off[0],
                "curve_null": curves.off[1 : 1 + N_PERMUTATIONS].mean(axis=0),
                "spread_off": curves.spread[0],
                "z": z.reshape(2, -1).max(axis=0),
            }
        )
        order = np.argsort(-frame["z"].to_numpy(), kind="stable")
        told = (
            f"Given another column, the mean of a column is off by {value:.3f} standard deviations on average"
        )
        told += f" ({null:.3f} expected of equally good rows)"
        worst = frame.iloc[order[0]]
        what = "mean" if z[order[0]] >= z[order[0] + len(frame)] else "spread"
        told = worded(
            told, f"; worst: the {what} of {worst['of']} given {worst['given']}", p, claimed=CLAIMED
        )
        details = {"curves": frame.iloc[order].reset_index(drop=True), **_shown(curves, int(order[0]), names)}
        return Finding(
            self.part, self.name, self.title, value, "standard deviations", low, high, null, p,
            len(tables.exchange), told, "Curves on at most 8 classes of the column that is given.",
            details=details,
        )  # fmt: skip


class _Curves:
    """Differences (R, m) of curves and spreads of ordered pairs, and the curves that were seen."""

    def __init__(self) -> None:
        self.of: list[int] = []
        self.given: list[int] = []
        self.off = np.empty((0, 0))
        self.spread = np.empty((0, 0))
        self.new = np.empty((0, 0))
        self.real = np.empty((0, 0))


def _targets(evidence: Evidence) -> np.ndarray:
    """Tell which columns have conditional means: numbers; among classes the target if it has two."""
    found = np.array([block.is_numeric for block in evidence.joint_layout])
    if evidence.target_kind == "class":
        found[-1] = len(evidence.classes) == 2
    return found


def _curves(evidence: Evidence, tables: PairTables) -> _Curves:
    numeric = _targets(evidence)
    parts = []
    out = _Curves()
    for turned in (False, True):
        given, of = (tables.second, tables.first) if turned else (tables.first, tables.second)
        kept = np.flatnonzero(numeric[of])
        new, real = (
            each[:, kept].swapaxes(2, 3) if turned else each[:, kept] for each in (tables.new, tables.real)
        )
        scores, there = _scores(tables, of[kept], new.shape[-1])
        parts.append(_compare(new, real, scores, there))
        out.of += of[kept].tolist()
        out.given += given[kept].tolist()
    out.off, out.spread, out.new, out.real = (
        np.concatenate(each, axis=-1 if k < 2 else 0) for k, each in enumerate(zip(*parts, strict=True))
    )
    return out


def _scores(tables: PairTables, of: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    scores, there = score_table(tables.coded, of, width)
    for place, j in enumerate(of):
        if not len(tables.coded.scores[j]):  # a target of two classes
            share = float(np.mean(tables.coded.codes[:, j] == 1))
            spread = np.sqrt(share * (1 - share)) or 1.0
            scores[place, :2] = np.array([-share, 1 - share]) / spread
            there[place, :2] = 1.0
    return scores, there


def _compare(
    new: np.ndarray, real: np.ndarray, scores: np.ndarray, there: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    means, spreads, counts = [], [], []
    for table in (new, real):
        count = np.einsum("rqab,qb->rqa", table, there.astype(np.float32))
        some = np.maximum(count, 1.0)
        mean = np.einsum("rqab,qb->rqa", table, (scores * there).astype(np.float32)) / some
        square = np.einsum("rqab,qb->rqa", table, (scores**2 * there).astype(np.float32)) / some
        whole = (mean * count).sum(axis=2, keepdims=True) / np.maximum(count.sum(axis=2, keepdims=True), 1.0)
        means.append(np.where(count > 0, mean - whole, 0.0))
        spreads.append(np.sqrt(np.maximum(square - mean**2, 0.0)))
        counts.append(count)
    both = 2.0 * counts[0] * counts[1] / np.maximum(counts[0] + counts[1], 1.0)  # 0 where one side has none
    weight = both / np.maximum(both.sum(axis=2, keepdims=True), 1.0)
    off = np.sqrt((weight * (means[0] - means[1]) ** 2).sum(axis=2))
    return off, np.sqrt((weight * (spreads[0] - spreads[1]) ** 2).sum(axis=2)), means[0][0], means[1][0]


def _shown(curves: _Curves, worst: int, names: list[str]) -> dict[str, object]:
    return {
        "worst_of": names[curves.of[worst]],
        "worst_given": names[curves.given[worst]],
        "worst_new": curves.new[worst],
        "worst_real": curves.real[worst],
    }
