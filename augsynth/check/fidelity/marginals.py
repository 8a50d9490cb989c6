"""Column by column: how far each is from the real one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence
from augsynth.check.fidelity.coding import code_columns
from augsynth.check.fidelity.exchange import (
    N_PERMUTATIONS,
    PairedCheck,
    as_samples,
    joint_chance,
    reach,
    whole,
)
from augsynth.check.finding import Finding
from augsynth.check.intervals import holm
from augsynth.check.permutation import CLAIMED, tail_p_value, worded
from augsynth.check.reference import tells_reference

__all__ = ["Marginals", "column_distances"]

_STEPS = 256  # places at which distribution functions are compared under relabelling


def column_distances(a: Any, b: Any, *, categorical: Sequence[int] = ()) -> np.ndarray:
    """Tell how far each column of new rows is from the real one: 0 is equal, 1 is nothing in common.

    For numbers that is the Kolmogorov-Smirnov distance (the largest difference of the two
    distribution functions), for categories the total variation distance (half the sum of the
    differences of the shares), both over the cells that are not missing. One less these are
    the "KSComplement" and "TVComplement" that other libraries report.

    Parameters
    ----------
    a, b : array-like (n, d), (m, d)
        New and real rows: numbers and level codes; NaN is missing.
    categorical : sequence of int
        Positions of the columns of level codes.

    Returns
    -------
    ndarray (d,)
        NaN for a column that is missing altogether on one side.

    Examples
    --------
    >>> column_distances([[1.0, 0], [2.0, 0]], [[2.0, 0], [3.0, 1]], categorical=[1])
    array([0.5, 0.5])
    """
    first, second = as_samples(a, b, "column_distances", gaps=True, least=1)
    codes = set(np.arange(first.shape[1])[list(categorical)].tolist())
    return np.array([_distance(first[:, j], second[:, j], j in codes) for j in range(first.shape[1])])


def _distance(x: np.ndarray, y: np.ndarray, categorical: bool) -> float:
    x, y = x[~np.isnan(x)], y[~np.isnan(y)]
    if not len(x) or not len(y):
        return float("nan")
    values, inverse = np.unique(np.concatenate([x, y]), return_inverse=True)
    shares = [np.bincount(part, minlength=len(values)) / len(part) for part in np.split(inverse, [len(x)])]
    if categorical:
        return float(0.5 * np.abs(shares[0] - shares[1]).sum())
    return float(np.abs(np.cumsum(shares[0] - shares[1])).max())


class Marginals(PairedCheck):
    """Distance of each column from the real one; a column that is far off cannot hide among good ones.

    The figure is the mean over columns of the Kolmogorov-Smirnov distance (numbers), the
    total variation distance (categories), or the difference of the shares of missing cells
    where that is larger. The p-value is that of the worst column, each in units of its own
    spread under relabelling within classes and groups. Independent columns pass this check:
    it sees nothing of how columns go together.
    """

    name, title = "marginals", "Each column by itself"

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the figure alone."""
        return float(np.nanmean(_figures(evidence)))

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the figure with its interval, null value, p-value and sentence."""
        exchange = whole(evidence)
        figures = _figures(evidence)
        columns = _judged(evidence)
        gaps = _gaps(evidence)
        distances, absent = _relabelled(evidence, columns)
        every = np.hstack([distances, absent])
        seen, permuted, halved = every[0], every[1 : 1 + N_PERMUTATIONS], every[1 + N_PERMUTATIONS :]
        p, z = joint_chance(seen, permuted)
        p_columns = np.array([tail_p_value(seen[s], permuted[:, s]) for s in range(len(seen))])
        p_columns = np.minimum(1.0, 2 * p_columns.reshape(2, -1).min(axis=0))
        worse = np.maximum(distances, absent)
        value, null = float(np.nanmean(figures)), float(np.mean(worse[1 : 1 + N_PERMUTATIONS]))
        low, high = reach(value, np.maximum(*np.split(halved, 2, axis=1)).mean(axis=1))
        table = pd.DataFrame(
            {
                "column": [exchange.layout[j].name for j in columns],
                "kind": ["number" if exchange.layout[j].is_numeric else "category" for j in columns],
                "distance": figures,
                "null": worse[1 : 1 + N_PERMUTATIONS].mean(axis=0),
                "missing_new": gaps[0],
                "missing_real": gaps[1],
                "p_holm": holm(p_columns),
            }
        )
        order = np.argsort(-np.max(z.reshape(2, -1), axis=0), kind="stable")
        table = table.iloc[order].reset_index(drop=True)
        return Finding(
            self.part, self.name, self.title, value, "distance of columns (0 to 1)", low, high, null, p,
            len(exchange), _sentence(value, null, p, table), _CAUTION, details={"columns": table},
        )  # fmt: skip


_CAUTION = (
    "Columns that are right one by one may still go together wrongly: see pairs and the classifier test."
)


def _sentence(value: float, null: float, p: float, table: pd.DataFrame) -> str:
    off = table[table["p_holm"] <= 0.05]
    told = f"The columns of new rows lie on average {value:.3f} from the real ones"
    told += f" ({null:.3f} expected of equally good rows)"
    calm = "; no single column stands out"
    if not len(off):
        return worded(told, calm, p, calm, claimed=CLAIMED)
    worst = off.iloc[0]
    more = f" and {len(off) - 1} more differ" if len(off) > 1 else " differs"
    gap = worst["missing_new"] - worst["missing_real"]
    if abs(gap) >= worst["distance"] - 1e-9:
        reason = f"missing in {worst['missing_new']:.1%} of new and {worst['missing_real']:.1%} of real rows"
    else:
        reason = f"distance {worst['distance']:.3f}"
    return worded(told, f"; {worst['column']} ({reason}){more}", p, calm, claimed=CLAIMED)


def _judged(evidence: Evidence) -> np.ndarray:
    """Return the columns that may differ: all but the classes, which are matched."""
    p = len(evidence.joint_layout)
    return np.arange(p - (evidence.target_kind == "class"))


def _gaps(evidence: Evidence) -> np.ndarray:
    exchange, columns = whole(evidence), _judged(evidence)
    return np.isnan(exchange.z[:, columns]).reshape(2, len(exchange), -1).mean(axis=1)


def _figures(evidence: Evidence) -> np.ndarray:
    exchange, columns, layout = whole(evidence), _judged(evidence), evidence.joint_layout
    new, real = exchange.z[: len(exchange), columns], exchange.z[len(exchange) :, columns]
    found = column_distances(new, real, categorical=[j for j in columns if not layout[int(j)].is_numeric])
    return np.fmax(found, np.abs(np.subtract(*_gaps(evidence))))


def _relabelled(evidence: Evidence, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distances (R, q) of columns and differences of their missing shares, as `Exchange.sums` does."""
    exchange = whole(evidence)
    coded = code_columns(exchange.z, exchange.layout, _STEPS)
    first, second = exchange.sums(coded.hot(columns))
    ends = np.cumsum(coded.sizes[columns])
    distances = np.zeros((len(first), len(columns)), dtype=np.float64)
    absent = np.zeros_like(distances)
    for place, j in enumerate(columns):
        part = slice(ends[place] - coded.sizes[j], ends[place])
        x, y = first[:, part].astype(float), second[:, part].astype(float)
        if coded.missing[j]:
            total = [np.maximum(each.sum(axis=1), 1.0) for each in (x, y)]
            absent[:, place] = np.abs(x[:, -1] / total[0] - y[:, -1] / total[1])
            x, y = x[:, :-1], y[:, :-1]
        if not x.shape[1]:
            continue
        difference = x / np.maximum(x.sum(axis=1, keepdims=True), 1.0)
        difference -= y / np.maximum(y.sum(axis=1, keepdims=True), 1.0)
        if exchange.layout[int(j)].is_numeric:
            distances[:, place] = np.abs(np.cumsum(difference, axis=1)).max(axis=1)
        else:
            distances[:, place] = 0.5 * np.abs(difference).sum(axis=1)
    return distances, absent
