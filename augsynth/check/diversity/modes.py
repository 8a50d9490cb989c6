"""How often new rows visit each kind of row, beside real ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from augsynth.check.diversity.clusters import modes_of
from augsynth.check.diversity.matched import MatchedCheck, caution_of
from augsynth.check.diversity.swaps import Swaps, exchange, partners
from augsynth.check.evidence import Evidence
from augsynth.check.finding import Finding
from augsynth.check.permutation import CLAIMED, tail_p_value, worded

__all__ = ["ModesCheck"]

_SWAPS, _DRAWS = 999, 400
_RARE = 0.25  # share of the visits of real rows below which a mode counts as missed
_STEADY = 5  # real visits below which it does not


class ModesCheck(MatchedCheck):
    """Which kinds of rows are missing, too rare or too frequent.

    The modes are clusters of the training rows; new and held-out rows are counted in each.
    The figure is the share of new rows that would have to move to another mode for all to
    be visited as often as by held-out rows (the total variation distance). The test
    swaps new and held-out rows within class and group, and looks at the largest difference of
    one mode and at the sum of squares over all.
    """

    name = "modes"
    title = "Kinds of rows that are covered"

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the share of rows that would have to move."""
        return _apart(*_counts(evidence)[:2])

    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the whole finding."""
        modes = modes_of(evidence)
        a, b, new, real = _counts(evidence)
        made, held = evidence.matched
        k, n = len(a), len(new)
        hot = (new[:, None] == np.arange(k)).astype(float)
        hot -= (real[:, None] == np.arange(k))[partners(made.cells, rng)]
        swaps, joined = (exchange(each, _SWAPS, rng) for each in (hot, hot @ modes.unions))
        unit = np.sqrt((hot**2).sum(axis=0))
        null = float(0.5 * np.abs(swaps.swapped * unit).sum(axis=1).mean() / n)
        value, p = _apart(a, b), _p_value(swaps, joined)
        low, high = _interval(a, b, rng)
        table = _table(a, b, swaps, modes.told)
        details = {"modes": table, **_tables(evidence, new, real)}
        caution = caution_of(evidence)
        return Finding(
            self.part, self.name, self.title, value, "share of rows in the wrong mode", low, high, null, p,
            n, _sentence(table, value, null, p), caution, details=details,
        )  # fmt: skip


def _counts(evidence: Evidence) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    modes = modes_of(evidence)
    new, real = (modes.of(evidence, rows) for rows in evidence.matched)
    k = len(modes.told)
    return np.bincount(new, minlength=k), np.bincount(real, minlength=k), new, real


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(0.5 * np.abs(a / a.sum() - b / b.sum()).sum())


def _p_value(swaps: Swaps, joined: Swaps) -> float:
    """Return the smaller of two p-values, doubled: of the largest difference, and of all together.

    The largest difference is that of a mode or of neighbouring ones joined. The sum of
    squares under swaps is close to a scaled chi-square, so a curve goes on where no swap
    reaches the value seen.
    """
    total, drawn = float((swaps.z**2).sum()), (swaps.swapped**2).sum(axis=1)
    return float(min(1.0, 2 * min(tail_p_value(total, drawn), joined.p_greatest(two_sided=True))))


def _interval(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Return the bootstrap interval of the distance (normal form: both are biased away from 0)."""
    new, real = (rng.multinomial(each.sum(), each / each.sum(), size=_DRAWS) for each in (a, b))
    error = float((0.5 * np.abs(new / a.sum() - real / b.sum()).sum(axis=1)).std())
    value = _apart(a, b)
    return max(0.0, value - 1.96 * error), min(1.0, value + 1.96 * error)


def _missed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a < _RARE * b) & (b >= _STEADY)


def _table(a: np.ndarray, b: np.ndarray, swaps: Swaps, told: list[str]) -> pd.DataFrame:
    """Return a row a mode, those that differ most first."""
    single = np.minimum(1.0, 2 * stats.norm.sf(np.abs(swaps.z)) * len(a))
    state = np.where(swaps.z < 0, "too rare", "too frequent")
    state = np.where(single > 0.05, "as real rows", state)
    state = np.where(_missed(a, b) & (single <= 0.05), "missing", state)
    frame = pd.DataFrame(
        {
            "mode": np.arange(len(a)),
            "typical": told,
            "real_share": b / b.sum(),
            "new_share": a / a.sum(),
            "z": swaps.z,
            "p_adjusted": single,
            "state": state,
        }
    )
    return frame.iloc[np.argsort(-np.abs(swaps.z), kind="stable")].reset_index(drop=True)


def _tables(evidence: Evidence, new: np.ndarray, real: np.ndarray) -> dict[str, pd.DataFrame]:
    """Return for each class, group and both how many modes are visited and how far the visits are apart."""
    made, held = evidence.matched
    k = max(new.max(), real.max()) + 1
    tables = {}
    for by, names in (("labels", evidence.classes), ("groups", evidence.groups), ("cells", evidence.cells)):
        if len(names) < 2:
            continue
        lines = []
        for code in np.unique(getattr(made, by)):
            a = np.bincount(new[getattr(made, by) == code], minlength=k)
            b = np.bincount(real[getattr(held, by) == code], minlength=k)
            lines.append(
                {
                    "name": names[code],
                    "rows": int(a.sum()),
                    "visited": int((a > 0).sum()),
                    "visited_by_real": int((b > 0).sum()),
                    "missing": int(_missed(a, b).sum()),
                    "wrong_mode": _apart(a, b),
                }
            )
        tables[f"by_{by}"] = pd.DataFrame(lines)
    return tables


def _sentence(table: pd.DataFrame, value: float, null: float, p: float) -> str:
    def shares(mode: pd.Series) -> str:
        return f"({mode['real_share']:.1%} of real rows, {mode['new_share']:.1%} of new ones)"

    lost = table[(table["state"] == "missing") & (p < CLAIMED)]
    told = f"{len(table) - len(lost)} of {len(table)} kinds of rows are covered"
    if len(lost):
        first = lost.iloc[0]
        told += f"; {len(lost)} missing, first {first['typical']} {shares(first)}"
    told += f". {value:.1%} of new rows would have to be of another kind (by chance alone {null:.1%})"
    odd = table[table["state"].str.startswith("too")]
    claim = ""
    if not len(lost) and len(odd):
        first = odd.iloc[0]
        claim = f"; {first['state']}: {first['typical']} {shares(first)}"
    return worded(told, claim, p, claimed=CLAIMED)
