"""Pair by pair: whether columns go together as the real ones do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence
from augsynth.check.fidelity.coding import Coded, code_columns
from augsynth.check.fidelity.exchange import (
    N_PERMUTATIONS,
    Exchange,
    PairedCheck,
    as_samples,
    joint_chance,
    reach,
    whole,
    within,
)
from augsynth.check.finding import Finding
from augsynth.check.intervals import holm
from augsynth.check.permutation import CLAIMED, tail_p_value, worded
from augsynth.check.reference import tells_reference
from augsynth.core.random import keyed_rng
from augsynth.encode.layout import Block, Layout

__all__ = ["Pairs", "PairTables", "associations", "pair_tables"]

_CLASSES = 8
_MOST_PAIRS = 1_000
_WORK = 1.5e9  # additions of one relabelled table of all pairs
_STREAM = 333


def associations(a: Any, *, categorical: Sequence[int] = ()) -> np.ndarray:
    """Tell how strongly each two columns go together, on one scale for numbers and categories.

    Two columns of numbers: the correlation of the normal scores of at most 8 equally full
    classes of each (from -1 to 1; a rank correlation). Anything with a category: Cramer's V of
    the table of classes, corrected for its bias (0 to 1). Rows with a missing cell count as a
    class of their own in V, and not in correlations.

    Parameters
    ----------
    a : array-like (n, d)
        Numbers and level codes; NaN is missing.
    categorical : sequence of int
        Positions of the columns of level codes.

    Returns
    -------
    ndarray (d, d)
        Symmetric, 1 on the diagonal; 0 where a column is constant.

    References
    ----------
    Bergsma (2013), A bias-correction for Cramer's V, doi:10.1016/j.jkss.2012.10.002.

    Examples
    --------
    >>> x = np.arange(80.0)
    >>> associations(np.column_stack([x, -x, x % 2]), categorical=[2]).round(2)
    array([[ 1., -1.,  0.],
           [-1.,  1.,  0.],
           [ 0.,  0.,  1.]])
    """
    rows, _ = as_samples(a, a, "associations", gaps=True)
    d = rows.shape[1]
    mask = np.zeros(d, dtype=bool)
    mask[list(categorical)] = True
    levels = [int(np.nanmax(rows[:, j], initial=0)) + 1 if mask[j] else 0 for j in range(d)]
    coded = code_columns(rows, Layout(tuple(Block(str(j), n_levels=levels[j]) for j in range(d))), _CLASSES)
    first, second = np.triu_indices(d, 1)
    out = np.eye(d)
    if len(first):
        width = int(coded.sizes.max())
        counts = np.asarray(coded.tables(first, second, width).sum(axis=0)).reshape(
            1, len(first), width, width
        )
        out[first, second] = out[second, first] = _strength(
            counts, _numbers(coded, first, second), coded, first, second
        )[0]
    return out


@dataclass(frozen=True, eq=False)
class PairTables:
    """Joint tables of classes of every pair of columns, of new and of real rows, as in `Exchange.parts`.

    Attributes
    ----------
    first, second : ndarray (q,) of int
        The two columns of each pair.
    new, real : ndarray (R, q, w, w)
        Counts.
    coded : Coded
    exchange : Exchange
    n_pairs : int
        How many pairs there are; q of them were looked at.
    """

    first: np.ndarray
    second: np.ndarray
    new: np.ndarray
    real: np.ndarray
    coded: Coded
    exchange: Exchange
    n_pairs: int

    def shown(self) -> PairTables:
        """Return the tables of what was seen alone (R = 1)."""
        return PairTables(
            self.first, self.second, self.new[:1], self.real[:1], self.coded, self.exchange, self.n_pairs
        )


def pair_tables(evidence: Evidence, *, relabelled: bool = True) -> PairTables:
    """Return the joint tables of a piece of evidence, made once for all checks of pairs."""
    if not relabelled:
        return within(evidence, "pair tables, seen", lambda: _tables(evidence, False))
    return within(evidence, "pair tables", lambda: _tables(evidence, True))


def _tables(evidence: Evidence, relabelled: bool) -> PairTables:
    first, second = np.triu_indices(len(evidence.joint_layout), 1)
    n_pairs = len(first)
    if n_pairs > _MOST_PAIRS:
        kept = np.sort(keyed_rng(evidence.seed, _STREAM).permutation(n_pairs)[:_MOST_PAIRS])
        first, second = first[kept], second[kept]
    most = int(max(500, _WORK / (2 * max(1, len(first)) * N_PERMUTATIONS)))
    exchange = whole(evidence).smaller(most)
    coded = code_columns(exchange.z, exchange.layout, int(np.clip(np.sqrt(len(exchange) / 8), 3, _CLASSES)))
    width = int(coded.sizes.max())
    cells = coded.tables(first, second, width)
    if relabelled:
        new, real = exchange.sums(cells)
    else:
        new, real = (
            np.asarray(part.sum(axis=0))
            for part in (cells.tocsr()[: len(exchange)], cells.tocsr()[len(exchange) :])
        )
    shape = (-1, len(first), width, width)
    return PairTables(first, second, new.reshape(shape), real.reshape(shape), coded, exchange, n_pairs)


def _numbers(coded: Coded, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Tell of each pair whether both columns are of numbers."""
    scored = np.array([len(each) > 0 for each in coded.scores])
    return scored[first] & scored[second]


def score_table(coded: Coded, columns: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the score of each class (q, width) of these columns, and 1 for each class that has one."""
    scores, there = np.zeros((len(columns), width)), np.zeros((len(columns), width))
    for place, j in enumerate(columns):
        own = coded.scores[j]
        scores[place, : len(own)] = own
        there[place, : len(own) - int(coded.missing[j])] = 1.0
    return scores, there


def _strength(
    counts: np.ndarray, numbers: np.ndarray, coded: Coded, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Return the association (R, q) of tables (R, q, w, w)."""
    out = np.zeros(counts.shape[:2])
    if numbers.any():
        out[:, numbers] = _correlation(counts[:, numbers], coded, first[numbers], second[numbers])
    if (~numbers).any():
        out[:, ~numbers] = _cramer(counts[:, ~numbers])
    return out


def _correlation(counts: np.ndarray, coded: Coded, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    width = counts.shape[-1]
    (s, there), (t, here) = (score_table(coded, columns, width) for columns in (first, second))
    table = counts * (there[:, :, None] * here[:, None, :]).astype(np.float32)
    n = np.maximum(table.sum(axis=(2, 3), dtype=np.float64), 1.0)
    rows, columns = table.sum(axis=3, dtype=np.float64), table.sum(axis=2, dtype=np.float64)
    mean = [np.einsum("rqi,qi->rq", side, each) / n for side, each in ((rows, s), (columns, t))]
    square = [np.einsum("rqi,qi->rq", side, each**2) / n for side, each in ((rows, s), (columns, t))]
    cross = np.einsum("rqi,qi->rq", np.einsum("rqij,qj->rqi", table, t.astype(np.float32)), s) / n
    spread = np.sqrt(np.maximum((square[0] - mean[0] ** 2) * (square[1] - mean[1] ** 2), 0.0))
    return np.where(spread > 1e-9, (cross - mean[0] * mean[1]) / np.maximum(spread, 1e-9), 0.0)


def _cramer(counts: np.ndarray) -> np.ndarray:
    rows, columns = counts.sum(axis=3), counts.sum(axis=2)
    n = np.maximum(rows.sum(axis=2), 1.0)
    expected = rows[..., :, None] * columns[..., None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(expected > 0, counts**2 / expected, 0.0)
    phi = ratio.sum(axis=(2, 3)) - 1.0
    r, c = (rows > 0).sum(axis=2), (columns > 0).sum(axis=2)
    less = np.maximum(n - 1.0, 1.0)
    phi = np.maximum(0.0, phi - (r - 1) * (c - 1) / less)
    free = np.minimum(r - (r - 1) ** 2 / less, c - (c - 1) ** 2 / less) - 1.0
    return np.where(free > 1e-9, np.sqrt(np.minimum(1.0, phi / np.maximum(free, 1e-9))), 0.0)


def _residual(new: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return how far the two tables lie apart (R, q), over and above what their margins make of them."""
    parts = []
    for counts in (new, real):
        share = counts / np.maximum(counts.sum(axis=(2, 3), keepdims=True), 1.0)
        parts.append(share - share.sum(axis=3, keepdims=True) * share.sum(axis=2, keepdims=True))
    return np.asarray(0.5 * np.abs(parts[0] - parts[1]).sum(axis=(2, 3)))


def _differences(tables: PairTables) -> tuple[np.ndarray, np.ndarray]:
    """Return the associations of new and of real rows, (R, q) each."""
    numbers = _numbers(tables.coded, tables.first, tables.second)
    new, real = (
        _strength(each, numbers, tables.coded, tables.first, tables.second)
        for each in (tables.new, tables.real)
    )
    return new, real


class Pairs(PairedCheck):
    """Mean absolute difference of the association of every two columns, the target among them.

    The p-value is that of the worst pair, by the difference of its association or of its
    whole table of classes (beyond what the margins make of it), each in units of its own
    spread under relabelling within classes and groups. At most 1,000 pairs, drawn at random;
    where there are many pairs, fewer rows.
    """

    name, title = "pairs", "How columns go together, pair by pair"

    def applies(self, evidence: Evidence) -> str:
        """Return "" if there is something to compare, else the reason why not."""
        if len(evidence.joint_layout) < 2:
            return "There is one column only: no pairs."
        return super().applies(evidence)

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the figure alone."""
        new, real = _differences(pair_tables(evidence, relabelled=False))
        return float(np.abs(new - real).mean())

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the figure with its interval, null value, p-value and sentence."""
        tables = pair_tables(evidence)
        new, real = _differences(tables)
        apart = np.abs(new - real)
        every = np.hstack([apart, _residual(tables.new, tables.real)])
        null = apart[1 : 1 + N_PERMUTATIONS]
        p, z = joint_chance(every[0], every[1 : 1 + N_PERMUTATIONS])
        value = float(apart[0].mean())
        low, high = reach(value, apart[1 + N_PERMUTATIONS :].mean(axis=1))
        names = [block.name for block in tables.exchange.layout]
        each = np.array(
            [tail_p_value(every[0, s], every[1 : 1 + N_PERMUTATIONS, s]) for s in range(every.shape[1])]
        )
        each = np.minimum(1.0, 2 * each.reshape(2, -1).min(axis=0))
        frame = pd.DataFrame(
            {
                "first": [names[j] for j in tables.first],
                "second": [names[j] for j in tables.second],
                "new": new[0],
                "real": real[0],
                "difference": new[0] - real[0],
                "table_distance": every[0, len(new[0]) :],
                "p_holm": holm(each),
            }
        ).iloc[np.argsort(-z.reshape(2, -1).max(axis=0), kind="stable")]
        frame = frame.reset_index(drop=True)
        looked = (
            ""
            if tables.n_pairs == len(tables.first)
            else f" {len(tables.first):,} of {tables.n_pairs:,} pairs were drawn."
        )
        return Finding(
            self.part, self.name, self.title, value, "difference of associations (0 to 2)", low, high,
            float(null.mean()), p, len(tables.exchange), _sentence(value, float(null.mean()), p, frame),
            f"Pairs do not show what three columns do together.{looked}",
            details={"pairs": frame, "names": names, **_matrices(tables, new[0], real[0])},
        )  # fmt: skip


def _matrices(tables: PairTables, new: np.ndarray, real: np.ndarray) -> dict[str, np.ndarray]:
    """Return associations as matrices for a heat map; NaN for pairs that were not drawn."""
    size = len(tables.exchange.layout)
    out = {}
    for name, values in (("matrix_new", new), ("matrix_real", real), ("matrix_difference", new - real)):
        matrix = np.full((size, size), np.nan)
        np.fill_diagonal(matrix, 0.0 if name == "matrix_difference" else 1.0)
        matrix[tables.first, tables.second] = matrix[tables.second, tables.first] = values
        out[name] = matrix
    return out


def _sentence(value: float, null: float, p: float, frame: pd.DataFrame) -> str:
    told = f"The association of two columns is off by {value:.3f} on average"
    told += f" ({null:.3f} expected of equally good rows)"
    off = frame[frame["p_holm"] <= 0.05]
    calm = "; no pair stands out"
    if not len(off):
        return worded(told, calm, p, calm, claimed=CLAIMED)
    worst = off.iloc[0]
    if abs(worst["difference"]) > 0.05:
        reason = f"{worst['new']:.2f} in place of {worst['real']:.2f}"
    else:
        reason = "equally strong, but of another form"
    more = f", and {len(off) - 1} more pairs differ" if len(off) > 1 else ""
    claim = f"; worst: {worst['first']} with {worst['second']} ({reason}){more}"
    return worded(told, claim, p, calm, claimed=CLAIMED)
