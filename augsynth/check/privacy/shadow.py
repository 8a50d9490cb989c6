"""What an attacker who can fit the generator learns about who was among the training rows."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.base import clone

from augsynth.check.gathering import gather
from augsynth.check.permutation import CLAIMED, often
from augsynth.check.privacy.rates import hit_rate
from augsynth.check.utility.folds import one_thread
from augsynth.check.utility.leak import refuse_frozen
from augsynth.core.arrays import count_rows, take_rows
from augsynth.core.errors import DataError, InputTypeError, sentence
from augsynth.core.parameters import check_number
from augsynth.core.progress import busy, say
from augsynth.core.random import keyed_rng, resolve_seed

__all__ = ["ShadowAttack", "shadow_attack"]

_WHERE = "shadow_attack"
_SPLIT, _BOOT = 441, 442
_BOOTS = 200
_FALSE_ALARMS = (0.01, 0.001)


@dataclass(frozen=True, eq=False)
class ShadowAttack:
    """What an attacker finds out who fits the generator on halves of the records.

    Attributes
    ----------
    auc, low, high : float
        Area under the ROC curve, mean over the fits, and its 95 % interval over records.
    p_value : float
        One-sided: the chance of such an area if no fit depends on who was in it.
    hits : DataFrame
        Columns false_alarms, rate, low, high: members found at few false alarms.
    records : DataFrame
        Columns row, score: how much nearer the new rows lie to a record when it was used;
        most exposed first.
    n, fits : int
        Records, and fits made.
    seconds : float
        What the fits took, in CPU-seconds.
    """

    auc: float
    low: float
    high: float
    p_value: float
    hits: pd.DataFrame
    records: pd.DataFrame
    n: int
    fits: int
    seconds: float

    def __str__(self) -> str:
        found = ", ".join(
            f"{row.rate:.1%} [{row.low:.1%}, {row.high:.1%}] of the members at {row.false_alarms:.1%} "
            "false alarms"
            for row in self.hits.itertuples()
        )
        verdict = "no leak found by this attack"
        if self.p_value <= 0.05:
            verdict = f"chance alone makes such a figure in {often(self.p_value)} cases"
        if self.p_value <= CLAIMED:
            verdict = "the generator gives members away"
        return (
            f"Shadow attack on {self.n:,} records, {self.fits} fits: AUC {self.auc:.3f} "
            f"[{self.low:.3f}, {self.high:.3f}] (chance 0.500), {found}: {verdict}."
        )


def shadow_attack(
    generator: Any,
    X: Any,
    y: Any = None,
    *,
    n_pairs: int = 4,
    max_rows: int | None = 2000,
    random_state: Any = None,
    progress: bool | None = None,
) -> ShadowAttack:
    """Attack a generator by fitting it again on random halves of the records.

    Each pair of fits shares the records out, one half to each; every fit makes as many
    rows as it has seen. The score of a record is how much nearer the rows of a fit lie
    to it than those of the other pairs' fits that did not have it.

    Parameters
    ----------
    generator : an unfitted generator
    X, y : records and labels
    n_pairs : int, default=4
        Pairs of fits; at least 2. More pairs make the attack stronger, as they tell how
        near rows come to a record by themselves.
    max_rows : int or None, default=2000
        Most records, drawn at random. With fewer rows a generator memorises more of each.
    random_state : None, int or Generator
    progress : bool, optional
        Whether to say before the start what it will cost. Default: on a terminal.

    Returns
    -------
    ShadowAttack

    Raises
    ------
    DataError
        If there are fewer than 40 records.
    LeakError
        If the generator is frozen: it would not learn from the halves.

    Notes
    -----
    Cost: ``2 n_pairs`` fits on half of the records each, and as many searches.

    References
    ----------
    Carlini et al. (2022), Membership inference attacks from first principles (the offline
    likelihood-ratio attack), arXiv:2112.03570; Stadler, Oprisanu and Troncoso (2022),
    Synthetic data: anonymisation groundhog day, arXiv:2011.07018. Deviation: the score of
    a record is a distance, and halves are complements, so that each record is in as many
    fits as it is out of.

    Examples
    --------
    >>> from augsynth.registry import build
    >>> rng = np.random.default_rng(0)
    >>> copier = build("generator", {"kind": "bootstrap"})
    >>> shadow_attack(copier, rng.normal(size=(80, 3)), n_pairs=2, random_state=0).auc > 0.75
    True
    """
    check_number(_WHERE, "n_pairs", n_pairs, low=2, integer=True)
    if isinstance(generator, type) or not (hasattr(generator, "fit") and hasattr(generator, "sample")):
        todo = "Pass one such as GaussianMixtureGenerator(), an object and not its class."
        raise InputTypeError(sentence(_WHERE, "generator must be a generator", repr(generator), todo))
    if max_rows is not None:
        check_number(_WHERE, "max_rows", max_rows, low=40, integer=True)
    refuse_frozen(_WHERE, generator)
    n = count_rows(X)
    if y is not None and len(np.ravel(np.asarray(y))) != n:
        given = f"{n} and {len(np.ravel(np.asarray(y)))}"
        raise DataError(sentence(_WHERE, "X and y must be equally long", given))
    if n < 40:
        raise DataError(sentence(_WHERE, "at least 40 records are needed", f"{n}"))
    seed = resolve_seed(random_state)
    rng = keyed_rng(seed, _SPLIT)
    chosen = np.arange(n)
    if max_rows is not None and n > max_rows:
        chosen = np.sort(rng.choice(n, max_rows, replace=False))
    X, y = take_rows(X, chosen), None if y is None else np.asarray(y)[chosen]
    loud = progress or (progress is None and sys.stderr.isatty() and not busy())
    if loud:
        say(f"{_WHERE}: {2 * n_pairs} fits on {len(chosen) // 2:,} rows each")
    started = time.process_time()
    far, inside = [], []
    with one_thread():
        for k in range(2 * n_pairs):
            if k % 2 == 0:
                half = _half(y, len(chosen), rng)
            members = half if k % 2 == 0 else ~half
            far.append(_distances(generator, X, y, members, seed, k))
            inside.append(members)
            if k == 0 and loud:
                say(f"{_WHERE}: about {(time.process_time() - started) * (2 * n_pairs - 1):.0f} s to go")
    seconds = time.process_time() - started
    return _judged(np.array(far), np.array(inside), chosen, seconds, keyed_rng(seed, _BOOT))


def _half(y: Any, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random half, of each class where there are classes."""
    order = rng.permutation(n)
    if y is not None and len(np.unique(np.asarray(y).astype(str))) <= n // 10:
        codes = np.unique(np.asarray(y).astype(str), return_inverse=True)[1]
        order = order[np.argsort(codes[order], kind="stable")]
    half = np.zeros(n, dtype=bool)
    half[order[0::2]] = True
    return half


def _distances(generator: Any, X: Any, y: Any, members: np.ndarray, seed: int, k: int) -> np.ndarray:
    """Return the logarithm of each record's distance to the rows of a generator fitted on the members."""
    rows = np.flatnonzero(members)
    own = None if y is None else y[rows]
    fitted = clone(generator).fit(take_rows(X, rows), own)
    state = int(keyed_rng(seed, _SPLIT, k).integers(2**31))
    if own is None:
        made = fitted.sample(len(rows), random_state=state)
    else:
        made = fitted.sample(y=own, random_state=state)
    evidence = gather(X, None, made, None)
    far = evidence.index(evidence.made).query(evidence.train.z, 1)[0][:, 0]
    positive = far[far > 0]
    return np.log(far + (1e-3 * float(np.median(positive)) if len(positive) else 1e-9))


def _judged(
    far: np.ndarray, inside: np.ndarray, chosen: np.ndarray, seconds: float, rng: np.random.Generator
) -> ShadowAttack:
    fits, n = far.shape
    scores = _scores(far, inside)
    ones = np.ones((1, n))
    areas = _areas(scores, inside, ones)[0]
    draws = rng.multinomial(n, np.full(n, 1.0 / n), size=_BOOTS).astype(float)
    low, high = np.quantile(_areas(scores, inside, draws), [0.025, 0.975])
    gaps = np.array([np.where(inside[k], 1, -1) * (scores[k] - scores[k + 1]) for k in range(0, fits, 2)])
    most = float(np.quantile(np.abs(gaps), 0.99))  # one copied record does not outvote all others
    gaps = np.clip(gaps, -most, most)
    spread = float(np.sqrt(np.sum(gaps**2)))
    p = float(stats.norm.sf(gaps.sum() / spread)) if spread else 1.0
    hits = []
    for share in _FALSE_ALARMS:
        found = hit_rate(scores[inside], scores[~inside], share, n_members=n)
        hits.append({"false_alarms": share, "rate": found.rate, "low": found.low, "high": found.high})
    order = np.argsort(-gaps.mean(axis=0), kind="stable")
    records = pd.DataFrame({"row": chosen[order], "score": gaps.mean(axis=0)[order]})
    return ShadowAttack(
        float(areas), float(low), float(high), p, pd.DataFrame(hits), records, n, fits, seconds
    )


def _scores(far: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return for each fit how much nearer its rows are than those of other pairs' fits without the record."""
    fits = len(far)
    without = np.where(inside, np.nan, far)
    paired = np.array([np.where(inside[k], far[k + 1], far[k]) for k in range(0, fits, 2)])
    spread = np.sqrt((paired.var(axis=0, ddof=1) + paired.var(axis=0, ddof=1).mean()) / 2.0)
    scores = np.empty_like(far)
    for k in range(fits):
        others = np.arange(fits) // 2 != k // 2
        scores[k] = np.nanmean(without[others], axis=0) - far[k]
    return scores / np.maximum(spread, 1e-12)


def _areas(scores: np.ndarray, inside: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean area over the fits for weights of the records (draws, n)."""
    total = np.zeros(len(weights))
    for score, member in zip(scores, inside, strict=True):
        levels, place = np.unique(score, return_inverse=True)
        order = np.argsort(place, kind="stable")
        starts = np.searchsorted(place[order], np.arange(len(levels)))
        ranked, of_members = weights[:, order], np.where(member[order], weights[:, order], 0.0)
        own = np.add.reduceat(of_members, starts, axis=1)
        other = np.add.reduceat(ranked - of_members, starts, axis=1)
        below = np.cumsum(other, axis=1) - 0.5 * other
        total += (own * below).sum(axis=1) / (own.sum(axis=1) * other.sum(axis=1))
    return total / len(scores)
