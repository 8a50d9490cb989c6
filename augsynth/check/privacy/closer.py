"""Whether new rows are closer to the rows that the generator was trained on than to other real rows."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence
from augsynth.check.finding import Check, Finding
from augsynth.check.intervals import wilson
from augsynth.check.permutation import permutation_p_value, worded
from augsynth.check.privacy.flips import flipped, more_held
from augsynth.check.privacy.leak_looks import LEVEL, leak_p_value
from augsynth.check.privacy.pairs import suspicious_pairs
from augsynth.check.privacy.references import QUICK, Nearest, nearest, needs_holdout, references
from augsynth.check.samples import one_sample
from augsynth.core.errors import DataError, sentence

__all__ = ["CloserShare", "closer_share", "contributions", "effective", "of_train"]

_DRAWS = 2  # of the larger sample, where the sizes differ
_FLIPS = 499


class CloserShare(Check):
    """The share of new rows that are closer to a training row than to a held-out one."""

    part: ClassVar[str] = "memorisation"
    name: ClassVar[str] = "closer_share"
    title: ClassVar[str] = "New rows that lie closer to a training row than to a held-out row"

    def applies(self, evidence: Evidence) -> str:
        """Held-out rows are needed."""
        return needs_holdout(evidence)

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the share, of one draw and fewer new rows: for the controls."""
        near = nearest(evidence, most=QUICK)
        return float(contributions(near, of_train(references(evidence).n_pairs)).mean())

    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the share with its interval and the exact test of exchange."""
        shares, permuted, reach, apart = [], [], [], []
        for draw in _draws(evidence):
            n, near = references(evidence, draw).n_pairs, nearest(evidence, draw)
            shares.append(contributions(near, of_train(n)).mean())
            flips = [contributions(near, labels).mean() for labels in flipped(n, _FLIPS, rng)]
            permuted.append(np.sort(flips))
            reach.append(_reach(near, n))
            apart.append(effective(near))
        share = float(np.mean(shares))
        # the mean of draws spreads at most like draws that rise and fall together
        p = permutation_p_value(share, np.mean(permuted, axis=0))
        if share > 0.5:
            with np.errstate(under="ignore"):
                p = min(p, float(np.exp(-2.0 * (share - 0.5) ** 2 / max(max(reach), 1e-300))))
        low, high = wilson(share, float(np.mean(apart)))
        near, refs = nearest(evidence), references(evidence)
        tied = float(np.mean(contributions(near, of_train(refs.n_pairs)) == 0.5))
        return Finding(
            self.part, self.name, self.title, share, "share of new rows", low, high, 0.5, p, len(near.made),
            _sentence(share, p, _leaked(evidence, near, refs.n_pairs), refs.n_pairs, len(_draws(evidence))),
            "This share alone proves no privacy: single copied rows leave it near 50 %."
            + (f" {tied:.0%} of the new rows are as close to both and count half." if tied >= 0.01 else ""),
            details={
                "pairs": suspicious_pairs(evidence),
                "distances": _distances(near, refs.n_pairs),
                "pairs_of_references": refs.n_pairs,
                "distance": "numbers in standard deviations of training rows, 1 for a category that differs",
            },
        )  # fmt: skip


class Closeness(NamedTuple):
    """What `closer_share` returns."""

    share: float
    interval: tuple[float, float]
    p_value: float


def closer_share(new: Any, train: Any, holdout: Any) -> Closeness:
    """Return the share of rows closer to a training than to a held-out row, its interval and p-value.

    Parameters
    ----------
    new : ndarray (m, d)
        Rows to examine; distances are Euclidean, in the units given.
    train, holdout : ndarray (n, d)
        Equally many rows of the two references; otherwise the larger one is cut.

    Returns
    -------
    Closeness
        ``share``: about 0.5 if nothing was memorised; ties count half. ``interval``: 95 %; new
        rows with the same nearest reference count as one. ``p_value``: one-sided, exact
        (references exchanged in pairs).

    Raises
    ------
    InputTypeError, DataError
        Unless all three are finite numbers of the same columns, with rows.

    References
    ----------
    Platzer and Reutterer (2021), Holdout-based empirical assessment of mixed-type synthetic
    data, doi:10.3389/fdata.2021.679939. That it proves no privacy: Yao et al. (2025),
    arXiv:2505.01524.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> train, holdout = rng.normal(size=(2, 300, 4))
    >>> share, interval, p = closer_share(train + 0.01, train, holdout)
    >>> share, p < 1e-9
    (1.0, True)
    """
    from augsynth.encode.distance import MixedDistance
    from augsynth.encode.layout import Block, Layout
    from augsynth.encode.neighbors import NeighborIndex

    named = ((new, "new rows"), (train, "training rows"), (holdout, "held-out rows"))
    new, train, holdout = (one_sample(rows, name, "closer_share", least=1) for rows, name in named)
    widths = [part.shape[1] for part in (new, train, holdout)]
    if len(set(widths)) > 1:
        must = "new, training and held-out rows must have as many columns"
        raise DataError(sentence("closer_share", must, ", ".join(map(str, widths))))
    n = min(len(train), len(holdout))
    rng = np.random.default_rng(0)
    parts = [part[np.sort(rng.choice(len(part), n, replace=False))] for part in (train, holdout)]
    z = np.vstack(parts)
    layout = Layout(tuple(Block(str(j)) for j in range(z.shape[1])))
    index = NeighborIndex(z, MixedDistance.fit(z, layout, standardize=False))
    near = Nearest(np.arange(len(new)), *index.query(new, min(16, len(z))))
    share = float(contributions(near, of_train(n)).mean())
    flips = np.array([contributions(near, labels).mean() for labels in flipped(n, _FLIPS, rng)])
    p = permutation_p_value(share, flips)
    if share > 0.5:
        p = min(p, float(np.exp(-2.0 * (share - 0.5) ** 2 / _reach(near, n))))
    return Closeness(share, wilson(share, effective(near)), p)


def _draws(evidence: Evidence) -> range:
    sizes = {len(evidence.train), len(evidence.holdout) if evidence.holdout is not None else 0}
    return range(1 if len(sizes) == 1 else _DRAWS)


def of_train(n: int) -> np.ndarray:
    """Return which of the references are training rows, (2 n,) of bool."""
    return np.arange(2 * n) < n


def contributions(near: Nearest, labels: np.ndarray) -> np.ndarray:
    """Return 1 for new rows whose nearest references are training rows, 0 for held-out ones, 0.5 for both."""
    training = labels[near.positions] & near.tied
    found = training.any(axis=1)
    every = training.sum(axis=1) == near.n_tied
    return np.where(near.crowded, 0.5, 0.5 * found + 0.5 * every)


def _reach(near: Nearest, n: int) -> float:
    """Return the sum of the squared changes of the share that a swap of one pair can make (McDiarmid)."""
    tied = near.tied
    alone = near.n_tied == 1
    counts = np.bincount(near.positions[alone, 0], minlength=2 * n).astype(float)
    change = np.abs(counts[:n] - counts[n:])
    rows = np.flatnonzero(~alone & ~near.crowded)
    if len(rows):
        pair = np.where(tied[rows], near.positions[rows] % n, -1)
        touched = np.unique(np.column_stack([np.repeat(rows, pair.shape[1]), pair.ravel()]), axis=0)
        change += 0.5 * np.bincount(touched[touched[:, 1] >= 0, 1], minlength=n)
    return float(np.sum((change / len(near.made)) ** 2))


def effective(near: Nearest) -> float:
    """Return how many independent new rows the share rests on: rows around one reference are one."""
    counts = np.unique(near.positions[:, 0], return_counts=True)[1].astype(float)
    return float(counts.sum() ** 2 / np.sum(counts**2))


def _distances(near: Nearest, n: int) -> pd.DataFrame:
    """Return the distance of each new row to the nearest reference, and of which kind it is."""
    kind = np.where(near.positions[:, 0] < n, "training", "held-out")
    return pd.DataFrame({"distance": near.distances[:, 0], "nearest": kind})


def _leaked(evidence: Evidence, near: Nearest, n: int) -> bool:
    """Tell whether far fewer are closer to training rows, and `HoldoutLeak` says the same."""
    return more_held(near.alone, n) <= LEVEL and leak_p_value(evidence) <= LEVEL


def _sentence(share: float, p: float, leaked: bool, n: int, draws: int) -> str:
    told = (
        f"{share:.1%} of the new rows lie closer to a training row than to a held-out row "
        f"(50 % if nothing was memorised; {n:,} of each"
        + (f", mean of {draws} draws" if draws > 1 else "")
        + ")"
    )
    claim = ": more than chance explains, so the generator holds on to rows that it was trained on"
    calm = ": no sign of memorised rows in this share"
    if leaked:
        calm = ": far fewer than chance explains, as if it had been trained on the held-out rows"
    return worded(told, claim, p if share > 0.5 else 1.0, calm)
