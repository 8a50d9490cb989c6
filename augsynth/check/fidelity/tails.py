"""The ends of columns: whether extreme values are as frequent and spreads as wide as in the real rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence
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
from augsynth.check.permutation import CLAIMED, worded
from augsynth.check.reference import tells_reference

__all__ = ["Tails", "tail_shares"]

_LEVELS = (0.01, 0.02, 0.05, 0.25)
_FEWEST = 10  # pooled rows beyond a quantile


def tail_shares(a: Any, b: Any, *, level: float = 0.01) -> np.ndarray:
    """Tell which share of the new rows lies beyond the ends of the real ones, column by column.

    Parameters
    ----------
    a, b : array-like (n, d), (m, d)
        New and real rows of numbers; NaN is missing.
    level : float, default=0.01
        The ends are the quantiles ``level`` and ``1 - level`` of the real column.

    Returns
    -------
    ndarray (d, 4)
        Shares below of new and real rows, then shares above; real ones are at most ``level``.

    Examples
    --------
    >>> tail_shares([[-9.0], [0.5]], [[0.0], [1.0], [2.0], [3.0]], level=0.25).tolist()
    [[1.0, 0.25, 0.0, 0.25]]
    """
    first, second = as_samples(a, b, "tail_shares", gaps=True)
    out = np.full((first.shape[1], 4), np.nan)
    for j in range(len(out)):
        x, y = (each[~np.isnan(each[:, j]), j] for each in (first, second))
        if len(x) and len(y):
            low = np.quantile(y, level, method="higher")
            high = np.quantile(y, 1 - level, method="lower")
            out[j] = [np.mean(x < low), np.mean(y < low), np.mean(x > high), np.mean(y > high)]
    return out


class Tails(PairedCheck):
    """How many new rows lie in the outer parts of each column of numbers, against real rows.

    Ends are quantiles of the pooled rows (1, 2, 5 and 25 % on either side, as far as ten rows lie
    beyond). The figure is the mean, over columns and both ends, of the difference of
    the shares of new and real rows beyond the 1 % (below 500 rows: 5 %) quantile, relative to
    that level: 0 is equal; 2 is that one side has no such rows. The p-value is that of the
    worst end of the worst column, of one end or of both together (a spread too narrow or too
    wide), or of how far rows lie beyond the 5 % quantiles, under relabelling within classes and groups.
    """

    name, title = "tails", "Extreme values and spread"

    def applies(self, evidence: Evidence) -> str:
        """Return "" if there are columns of numbers, else the reason why not."""
        if not len(evidence.joint_layout.numeric):
            return "There is no column of numbers."
        return super().applies(evidence)

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the figure alone."""
        exchange = whole(evidence)
        flags, shown = _beyond(evidence)
        k = len(exchange)
        apart = np.abs(flags[:k].mean(axis=0) - flags[k:].mean(axis=0))
        return float(apart[: 2 * len(exchange.layout.numeric)].mean() / shown)

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the figure with its interval, null value, p-value and sentence."""
        exchange = whole(evidence)
        flags, shown = _beyond(evidence)
        first, second = exchange.sums(flags)
        sizes = [part.sum(axis=1, keepdims=True) for part in exchange.parts]
        apart = np.abs(first / sizes[0] - second / sizes[1]).astype(float)
        p, z = joint_chance(apart[0], apart[1 : 1 + N_PERMUTATIONS])
        count = len(exchange.layout.numeric)
        relative = apart[:, : 2 * count].mean(axis=1) / shown
        value, null = float(relative[0]), float(relative[1 : 1 + N_PERMUTATIONS].mean())
        low, high = reach(value, relative[1 + N_PERMUTATIONS :])
        table = _table(evidence, apart, z, shown)
        return Finding(
            self.part, self.name, self.title, value, f"relative to a tail of {shown:.0%}", low, high, null, p,
            len(exchange), _sentence(value, null, p, table, shown), details={"columns": table},
        )  # fmt: skip


def _beyond(evidence: Evidence) -> tuple[np.ndarray, float]:
    """Return flags (2 k, M): below and above the shown level, other levels, both ends; that level."""
    exchange = whole(evidence)
    z = exchange.z[:, exchange.layout.numeric]
    n, count = z.shape
    shown = 0.01 if 0.01 * n >= _FEWEST else 0.05
    levels = [level for level in _LEVELS if level * n >= _FEWEST] or [0.25]
    order = [shown] + [level for level in levels if level != shown]
    flags: dict[float, np.ndarray] = {}
    for level in order:
        part = np.zeros((n, 2 * count), dtype=np.float32)
        for j in range(count):
            seen = z[~np.isnan(z[:, j]), j]
            if len(seen):
                low = np.quantile(seen, level, method="higher")
                high = np.quantile(seen, 1 - level, method="lower")
                part[:, j], part[:, count + j] = z[:, j] < low, z[:, j] > high
        flags[level] = part
    both = [each[:, :count] + each[:, count:] for each in flags.values()]
    return np.hstack([*flags.values(), *both, *_excess(z)]), shown


def _excess(z: np.ndarray) -> list[np.ndarray]:
    """Return how far below and above the 5 % quantiles each number lies, on a logarithmic scale."""
    out = []
    for sign in (-1.0, 1.0):
        part = np.zeros(z.shape, dtype=np.float32)
        for j in range(z.shape[1]):
            seen = ~np.isnan(z[:, j])
            if seen.any():
                x = sign * z[seen, j]
                over = np.maximum(x - np.quantile(x, 0.95, method="lower"), 0.0)
                some = over[over > 0]
                part[seen, j] = np.log1p(over / (np.median(some) if len(some) else 1.0))
        out.append(part)
    return out


def _table(evidence: Evidence, apart: np.ndarray, z: np.ndarray, shown: float) -> pd.DataFrame:
    exchange = whole(evidence)
    k, columns = len(exchange), exchange.layout.numeric
    new, real = exchange.z[:k, columns], exchange.z[k:, columns]
    with np.errstate(all="ignore"):
        shares = tail_shares(new, real, level=shown)
        spread = [_spread(each) for each in (new, real)]
    own = np.arange(apart.shape[1]) % len(columns)
    p = np.ones(len(columns))
    for j in range(len(columns)):
        places = np.flatnonzero(own == j)
        p[j] = joint_chance(apart[0, places], apart[1 : 1 + N_PERMUTATIONS, places])[0]
    table = pd.DataFrame(
        {
            "column": [exchange.layout[int(j)].name for j in columns],
            "below_new": shares[:, 0],
            "below_real": shares[:, 1],
            "above_new": shares[:, 2],
            "above_real": shares[:, 3],
            "spread_ratio": np.where(
                spread[1] > 0, spread[0] / np.where(spread[1] > 0, spread[1], 1.0), np.nan
            ),
            "p_holm": holm(p),
        }
    )
    worst = np.array([z[own == j].max() for j in range(len(columns))])
    return table.iloc[np.argsort(-worst, kind="stable")].reset_index(drop=True)


def _spread(x: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each column, without overflow and without missing cells."""
    top = np.array([np.abs(v[~np.isnan(v)]).max(initial=0.0) or 1.0 for v in x.T])
    return np.array([np.std(v[~np.isnan(v)]) if (~np.isnan(v)).any() else np.nan for v in (x / top).T]) * top


def _sentence(value: float, null: float, p: float, table: pd.DataFrame, shown: float) -> str:
    told = f"The shares of rows in the tails are off by {value:.0%} of themselves"
    told += f" ({null:.0%} expected of equally good rows)"
    off = table[table["p_holm"] <= 0.05]
    calm = "; no column stands out"
    if not len(off):
        return worded(told, calm, p, calm, claimed=CLAIMED)
    worst = off.iloc[0]
    more = f" ({len(off) - 1} more columns differ)" if len(off) > 1 else ""
    if not np.isfinite([worst["below_new"], worst["below_real"]]).all():
        return worded(told, f"; worst: {worst['column']}, which has no value on one side{more}", p, calm)
    claim = (
        f"; worst: {worst['column']}, with {worst['below_new']:.1%} of new rows below and "
        f"{worst['above_new']:.1%} above what {shown:.0%} of the real rows lie beyond, and a spread of "
        f"{worst['spread_ratio']:.2f} times the real one{more}"
    )
    return worded(told, claim, p, calm, claimed=CLAIMED)
