"""Whether conditions read off the new rows single out training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence
from augsynth.check.finding import Check, Finding
from augsynth.check.intervals import wilson
from augsynth.check.permutation import permutation_p_value, worded
from augsynth.check.privacy.flips import flipped
from augsynth.check.privacy.predicates import Predicates, guessed, met, multivariate, univariate
from augsynth.check.privacy.references import made_places, needs_holdout, references
from augsynth.core.random import keyed_rng

__all__ = ["SinglingOut", "singling_out_risk"]

_STREAM = 431
_ATTACKS = 1000
_MOST_ROWS = 5000
_FLIPS = 499
_CROWD = 20  # a condition that more references meet singles out nobody, however they are exchanged
_SHOWN = 12


class SinglingOut(Check):
    """How much better conditions read off the new rows single out training rows than held-out ones.

    The risk is (main - control) / (1 - control), the larger one of conditions on one
    column and on two to six; main is the share of conditions that exactly one training
    row meets, control that of as many held-out rows. Where conditions with blind values
    do as well, the attack is void, and said to be.

    Deviation: conditions on one column are drawn evenly from the columns, so that one
    with very many values does not decide alone. The test exchanges training and held-out
    rows in pairs.

    References
    ----------
    Giomi, Boenisch, Wehmeyer and Tasnádi (2023), A unified framework for quantifying privacy
    risk in synthetic data, arXiv:2211.10459.
    """

    part: ClassVar[str] = "memorisation"
    name: ClassVar[str] = "singling_out"
    title: ClassVar[str] = "Conditions from the new rows that single out one training row"

    def applies(self, evidence: Evidence) -> str:
        """Held-out rows are needed, and columns that mean something."""
        if evidence.modality != "table":
            return "Only the columns of a table make conditions that mean something."
        return needs_holdout(evidence)

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the larger of the two risks."""
        attacks = _attacks(evidence, rng)
        return max((each.risk for each in attacks), default=float("nan"))

    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the larger risk with its interval; the p-value allows for both."""
        attacks = _attacks(evidence, rng)
        if not attacks:
            return Finding(
                self.part, self.name, self.title, float("nan"), "risk", n=len(evidence.made),
                caution="No condition holds for exactly one new row: there is nothing to attack with.",
            )  # fmt: skip
        tests = [_exchanged(each, rng) for each in attacks]
        chances = [p for p, _ in tests]
        null = float(np.maximum.reduce([risks for _, risks in tests]).mean())
        place = min(range(len(attacks)), key=lambda k: (chances[k], -attacks[k].risk))
        worst, p = attacks[place], min(1.0, len(attacks) * chances[place])
        low, high = worst.interval(len(attacks))
        return Finding(
            self.part, self.name, self.title, worst.risk, "risk", low, high, null, p,
            len(made_places(evidence)), _sentence(worst, p),
            "An interval of Wilson's counts conditions as independent"
            + (f", and allows for the worse of {len(attacks)} attacks." if len(attacks) > 1 else ".")
            + (" Conditions with blind values do as well: this attack is void." if worst.void else ""),
            details={
                "attacks": pd.DataFrame(
                    [each.row(p, len(attacks)) for each, p in zip(attacks, chances, strict=True)]
                ),
                "columns": _by_column(worst, evidence),
                "found": _found(worst, evidence),
            },
        )  # fmt: skip


class Risk(NamedTuple):
    """What `singling_out_risk` returns: the risk of an attack beyond its control, with its interval."""

    risk: float
    low: float
    high: float


def singling_out_risk(main: int, control: int, n: int, confidence: float = 0.95) -> Risk:
    """Return the risk of an attack beyond its control, and its interval.

    Parameters
    ----------
    main, control : int
        Successes against training rows and against held-out rows.
    n : int
        Attempts of each.

    References
    ----------
    Giomi et al. (2023), arXiv:2211.10459, section 3: Wilson intervals of both rates, their
    half-widths propagated.

    Examples
    --------
    >>> risk, low, high = singling_out_risk(300, 100, 1000)
    >>> round(risk, 3), round(low, 2), round(high, 2)  # (.3 - .1) / (1 - .1)
    (0.222, 0.19, 0.26)
    """
    if not n:
        return Risk(float("nan"), float("nan"), float("nan"))
    rates = main / n, control / n
    if rates[1] == 1.0:
        return Risk(float("nan"), float("nan"), float("nan"))
    risk = (rates[0] - rates[1]) / (1.0 - rates[1])
    errors = [(high - low) / 2.0 for low, high in (wilson(rate, n, confidence) for rate in rates)]
    slopes = 1.0 / (1.0 - rates[1]), (rates[0] - 1.0) / (1.0 - rates[1]) ** 2
    reach = float(np.hypot(slopes[0] * errors[0], slopes[1] * errors[1]))
    return Risk(float(risk), float(risk - reach), float(min(1.0, risk + reach)))


@dataclass(frozen=True, eq=False)
class _Attack:
    name: str
    predicates: Predicates
    asked: np.ndarray  # condition and reference of every match, crowds left out
    rows: np.ndarray
    n_pairs: int
    baseline: int
    places: tuple[np.ndarray, np.ndarray]  # of the references in the training and the held-out rows

    def successes(self, labels: np.ndarray) -> np.ndarray:
        """Return which conditions are met by exactly one reference so labelled."""
        counts = np.bincount(self.asked[labels[self.rows]], minlength=len(self.predicates))
        return counts == 1

    @property
    def counts(self) -> tuple[int, int]:
        real = np.arange(2 * self.n_pairs) < self.n_pairs
        return int(self.successes(real).sum()), int(self.successes(~real).sum())

    @property
    def risk(self) -> float:
        return singling_out_risk(*self.counts, len(self.predicates))[0]

    def interval(self, attacks: int) -> tuple[float, float]:
        """Return an interval that holds for the worst of so many attacks."""
        return singling_out_risk(*self.counts, len(self.predicates), 1 - 0.05 / attacks)[1:]

    @property
    def void(self) -> bool:
        return self.counts[0] <= self.baseline

    def row(self, p: float, attacks: int) -> dict[str, object]:
        main, control = self.counts
        n = len(self.predicates)
        low, high = self.interval(attacks)
        return {
            "attack": self.name,
            "conditions": n,
            "training": main / n,
            "heldout": control / n,
            "blind": self.baseline / n,
            "risk": self.risk,
            "low": low,
            "high": high,
            "void": self.void,
            "p_value": p,
        }


def _attacks(evidence: Evidence, rng: np.random.Generator) -> list[_Attack]:
    refs = references(evidence)
    n = min(refs.n_pairs, _MOST_ROWS)
    keep = np.sort(keyed_rng(evidence.seed, _STREAM).choice(refs.n_pairs, n, replace=False))
    real = refs.z[np.concatenate([keep, keep + refs.n_pairs])]
    made = evidence.made.z[rng.permutation(made_places(evidence))[:n]]
    attacks = []
    for name, make in (("one column", univariate), ("several columns", multivariate)):
        predicates = make(made, evidence.layout, _ATTACKS, rng)
        if not len(predicates):
            continue
        asked, rows = met(predicates, real)
        crowd = np.bincount(asked, minlength=len(predicates)) > _CROWD
        few = ~crowd[asked]
        blind = met(guessed(predicates, real, evidence.layout, rng), real[:n])[0]
        baseline = int((np.bincount(blind, minlength=len(predicates)) == 1).sum())
        places = refs.train[keep], refs.holdout[keep]
        attacks.append(_Attack(name, predicates, asked[few], rows[few], n, baseline, places))
    return attacks


def _exchanged(attack: _Attack, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Return the p-value of the successes beyond those against held-out rows, and risks under exchange."""
    main, control = attack.counts
    permuted = np.empty(_FLIPS)
    for b, labels in enumerate(flipped(attack.n_pairs, _FLIPS, rng)):
        permuted[b] = float(attack.successes(labels).sum()) - float(attack.successes(~labels).sum())
    p = permutation_p_value(float(main - control), permuted)
    # McDiarmid: exchanging a pair changes what its conditions count by at most 2 each
    pair = attack.rows % attack.n_pairs
    touched = np.unique(np.column_stack([attack.asked, pair]), axis=0)
    change = 2.0 * np.bincount(touched[:, 1], minlength=1) if len(touched) else np.zeros(1)
    if main > control and change.any():
        p = min(p, float(np.exp(-2.0 * (main - control) ** 2 / np.sum(change**2))))
    return p, permuted / max(len(attack.predicates) - 0.5 * (main + control), 1.0)


def _by_column(attack: _Attack, evidence: Evidence) -> pd.DataFrame:
    """Return how often each column takes part in a condition, and in one that singles out a training row."""
    success = attack.successes(np.arange(2 * attack.n_pairs) < attack.n_pairs)
    rows = []
    for j, block in enumerate(evidence.layout):
        used = (attack.predicates.columns == j).any(axis=1)
        rows.append(
            {"column": block.name, "conditions": int(used.sum()), "successes": int((used & success).sum())}
        )
    return pd.DataFrame(rows).sort_values("successes", ascending=False, kind="stable", ignore_index=True)


def _found(attack: _Attack, evidence: Evidence) -> pd.DataFrame:
    """Return conditions that single out a training row, in words, and that row."""
    n = attack.n_pairs
    good = np.flatnonzero(attack.successes(np.arange(2 * n) < n))[:_SHOWN]
    rows = []
    for q in good:
        row = attack.rows[(attack.asked == q) & (attack.rows < n)][0]
        rows.append(
            {"condition": _words(attack.predicates, q, evidence), "train": int(attack.places[0][row])}
        )
    return pd.DataFrame(rows, columns=["condition", "train"])


def _words(predicates: Predicates, q: int, evidence: Evidence) -> str:
    parts = []
    for j, kind, value in zip(predicates.columns[q], predicates.kinds[q], predicates.values[q], strict=True):
        if j >= 0:
            block = evidence.layout[int(j)]
            told = f"{value:.6g}" if block.is_numeric else f"level {int(value)}"
            parts.append(f"{block.name} {('=', '<=', '>=')[kind]} {told}")
    return " and ".join(parts)


def _sentence(attack: _Attack, p: float) -> str:
    main, control = attack.counts
    n = len(attack.predicates)
    told = (
        f"{main / n:.1%} of {n:,} conditions on {attack.name} that hold for one new row single out a "
        f"training row, {control / n:.1%} a held-out row, and {attack.baseline / n:.1%} of conditions with "
        "blind values do"
    )
    if attack.void:
        return f"{told}: the attack is no better than guessing, so it shows nothing."
    return worded(told, ": training rows are singled out", p, ": no more than rows that were not used")
