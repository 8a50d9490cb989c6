"""Whether the new rows give away which real rows the generator was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from augsynth.check.evidence import Evidence
from augsynth.check.finding import Check, Finding
from augsynth.check.kept import once
from augsynth.check.permutation import permutation_p_value, worded
from augsynth.check.privacy.flips import flipped
from augsynth.check.privacy.rates import auc_interval, hit_rate
from augsynth.check.privacy.references import (
    FULL,
    QUICK,
    References,
    made_places,
    needs_holdout,
    references,
)
from augsynth.core.random import keyed_rng
from augsynth.encode.neighbors import NeighborIndex

__all__ = ["Membership", "heldout_suspected"]

_STREAM = 451
_FLIPS = 999
_NEIGHBORS = 5
_TOPS = (0.001, 0.005, 0.01)  # shares of the records, the most suspected ones


class Membership(Check):
    """How well attacks that see the new rows alone tell training rows from held-out rows.

    Each record is scored by the distance to the nearest new row and to the five
    nearest ones, both also as a share of the distance to other real rows (a density
    ratio, as in DOMIAS). The best attack counts; the p-value allows for all of them,
    and for looking at the most suspected records beside the whole ranking.

    References
    ----------
    Chen, Yu, Zhang and Fritz (2020), GAN-Leaks, arXiv:1909.03935. van Breugel, Sun, Qian and
    van der Schaar (2023), DOMIAS, arXiv:2302.12580. Deviation: densities from nearest
    neighbours, in the mixed distance, with held-out and other training rows as reference.
    """

    part: ClassVar[str] = "memorisation"
    name: ClassVar[str] = "membership"
    title: ClassVar[str] = "Guessing from the new rows who was among the training rows"

    def applies(self, evidence: Evidence) -> str:
        """Held-out rows are needed."""
        return needs_holdout(evidence)

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the area under the ROC curve of the best attack, from fewer new rows: for the controls."""
        return float(_trial(evidence, QUICK).areas.max())

    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the area of the best attack with its interval, and hits at few false alarms."""
        trial = _trial(evidence, FULL)
        n = trial.scores.shape[1] // 2
        best = int(np.argmax(trial.areas))
        areas, p = _exchanged(trial, n, rng)
        table = _table(trial, n)
        row = table.iloc[best]
        return Finding(
            self.part, self.name, self.title, float(trial.areas[best]), "AUC of the best attack",
            float(row["low"]), float(row["high"]), float(areas.max(axis=1).mean()), p,
            len(made_places(evidence)), _sentence(trial.names[best], row, p, n),
            f"The interval allows for the best of {len(trial.names)} attacks. Attacks that know more (the "
            "generator itself, other data of the kind, many releases) can be stronger: see shadow_attack.",
            details={"attacks": table, "records": n},
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Trial:
    names: tuple[str, ...]
    scores: np.ndarray  # (attacks, 2 n), higher for members
    areas: np.ndarray


def _trial(evidence: Evidence, most: int) -> _Trial:
    return once(evidence, ("membership", most), lambda: _tried(evidence, most))


def _tried(evidence: Evidence, most: int) -> _Trial:
    refs = references(evidence)
    made = NeighborIndex(evidence.made.z[made_places(evidence, most)], evidence.distance)
    if "beside" not in refs.kept:
        refs.kept["beside"] = _beside(evidence, refs)
    records, real = refs.kept["beside"]
    k = min(_NEIGHBORS, made.n_rows)
    far = made.query(records, k)[0]
    positive = real[(real > 0) & np.isfinite(real)]
    least = 1e-3 * float(np.median(positive)) if len(positive) else 1e-9
    nearest_, several = (np.log(each + least) for each in (far[:, 0], far.mean(axis=1)))
    nearest_real, several_real = (np.log(each + least) for each in (real[:, 0], real.mean(axis=1)))
    scores = {
        "nearest new row": -nearest_,
        f"{k} nearest new rows": -several,
        "nearest new row beside the nearest real row": nearest_real - nearest_,
        f"{k} nearest new rows beside as many real rows": several_real - several,
    }
    n = len(records) // 2
    values = np.array([np.nan_to_num(each, posinf=700.0, neginf=-700.0) for each in scores.values()])
    areas = np.array([_area(stats.rankdata(each), n) for each in values])
    return _Trial(tuple(scores), values, areas)


def _beside(evidence: Evidence, refs: References) -> tuple[np.ndarray, np.ndarray]:
    """Return the records, training rows first, and how far from each the nearest others are."""
    keep = np.arange(refs.n_pairs)
    if evidence.max_rows is not None and len(keep) > FULL:
        keep = np.sort(keyed_rng(evidence.seed, _STREAM).choice(len(keep), FULL, replace=False))
    records = refs.z[np.concatenate([keep, keep + refs.n_pairs])]
    own = np.arange(len(records))
    index = NeighborIndex(records, evidence.distance)
    return records, index.query(records, min(_NEIGHBORS, len(own) - 1), exclude=own)[0]


def _area(ranks: np.ndarray, n: int) -> float:
    return float((ranks[:n].sum() - n * (n + 1) / 2) / n**2)


def heldout_suspected(evidence: Evidence) -> float:
    """Return the chance that the attacks suspect held-out rows so much more than training rows."""
    difference, spread = _differences(_trial(evidence, FULL))
    used = spread > 0
    if not used.any():
        return 1.0
    z = float((-difference.sum(axis=1)[used] / spread[used]).max())
    return _bound(z, int(used.sum()))


def _bound(z: float, n: int) -> float:
    """Return Hoeffding's bound on the largest of several sums with random signs, in standard deviations."""
    return float(min(1.0, n * np.exp(-0.5 * z**2))) if z > 0 else 1.0


def _differences(trial: _Trial) -> tuple[np.ndarray, np.ndarray]:
    """Return what each pair adds to each statistic, (statistics, n), and the spread of their sums."""
    n = trial.scores.shape[1] // 2
    ranks = np.array([stats.rankdata(each) for each in trial.scores])
    tops = [_top(rank, share) for rank in ranks for share in _TOPS if share * 2 * n >= 4]
    linear = np.vstack([ranks, *tops]) if tops else ranks
    difference = linear[:, :n] - linear[:, n:]
    return difference, np.sqrt(np.sum(difference**2, axis=1))


def _exchanged(trial: _Trial, n: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return the areas (flips, attacks) if pairs are exchanged, and the p-value of the largest statistic."""
    difference, spread = _differences(trial)
    used = spread > 0
    signs = np.where(flipped(n, _FLIPS, rng)[:, :n], 1.0, -1.0)
    sums = signs @ difference.T
    areas = 0.5 + sums[:, : len(trial.names)] / (2.0 * n**2)
    if not used.any():
        return areas, 1.0
    z = difference.sum(axis=1)[used] / spread[used]
    p = permutation_p_value(float(z.max()), (sums[:, used] / spread[used]).max(axis=1))
    return areas, min(p, _bound(float(z.max()), int(used.sum())))


def _top(ranks: np.ndarray, share: float) -> np.ndarray:
    """Return 1 for the records most suspected; those at the limit share what is left."""
    wanted = share * len(ranks)
    limit = np.sort(ranks)[::-1][int(np.ceil(wanted)) - 1]
    above, at = ranks > limit, ranks == limit
    return above + at * (wanted - above.sum()) / at.sum()


def _table(trial: _Trial, n: int) -> pd.DataFrame:
    rows = []
    confidence = 1 - 0.05 / len(trial.names)  # the best of them is shown
    for name, scores in zip(trial.names, trial.scores, strict=True):
        area, low, high = auc_interval(scores[:n], scores[n:], confidence)
        row: dict[str, object] = {"attack": name, "auc": area, "low": low, "high": high}
        for label, share in (("1%", 0.01), ("0.1%", 0.001)):
            found = hit_rate(scores[:n], scores[n:], share)
            row |= {
                f"hits at {label}": found.rate,
                f"hits at {label}, low": found.low,
                f"hits at {label}, high": found.high,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def _sentence(name: str, row: pd.Series, p: float, n: int) -> str:
    told = (
        f"The best of the attacks ({name}) tells training rows from held-out rows with AUC {row['auc']:.3f} "
        f"(chance: 0.500) and finds {row['hits at 1%']:.1%} of the {n:,} training rows at 1 % false alarms, "
        f"{row['hits at 0.1%']:.1%} at 0.1 %"
    )
    return worded(told, ": the new rows give members away", p, ": no better than guessing")
