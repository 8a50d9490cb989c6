"""Precision, recall, density, coverage: balls around rows that say where one side has rows of the other."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from augsynth.check.evidence import Evidence
from augsynth.check.fidelity.exchange import PairedCheck, as_samples, whole, within
from augsynth.check.finding import Finding
from augsynth.check.permutation import tail_p_value
from augsynth.check.reference import tells_reference
from augsynth.core.errors import AugsynthWarning, sentence
from augsynth.core.parameters import check_number

__all__ = ["Coverage", "Density", "Manifolds", "Precision", "Recall", "manifolds"]

K = 5
MOST = 2_000  # rows a side: cost grows with the square
_EMPTY = 0.5  # share of empty balls above which the figures are undefined
_LIST = 48  # nearest pooled rows that are kept a row: the fifth of one side is always among them


class Manifolds(NamedTuple):
    """The four figures of `manifolds`."""

    precision: float
    recall: float
    density: float
    coverage: float


def manifolds(a: Any, b: Any, *, k: int = K) -> Manifolds:
    """Tell how many new rows lie among real ones, and how many real rows have new ones around them.

    Every row has a ball that reaches to its k-th nearest neighbour on its own side.
    *precision*: share of the new rows within the ball of a real row. *recall*: share of the
    real rows within the ball of a new row. *density*: number of balls of real rows that a new
    row lies in, over k. *coverage*: share of the balls of real rows that hold a new row.

    Parameters
    ----------
    a, b : array-like (n, d), (m, d)
        New and real rows in coordinates whose Euclidean distance makes sense.
    k : int, default=5
        Needs more than k rows a side.

    Returns
    -------
    Manifolds

    Notes
    -----
    A row on the surface of a ball is outside. So rows that are all equal give 0 for all
    figures, though nothing is wrong: balls of radius 0 are empty, and a warning says so (the
    checks of a report leave such figures undefined). Precision and recall are
    lifted by single outliers, whose balls are large. Density may exceed 1 (many new rows in the
    middle of the real ones; it says nothing about their variety), and none of the four sees
    that rows are copies. In many columns all lose sight of shape.
    Cost: n m, n^2 and m^2 distances, all in memory.

    References
    ----------
    Kynkaanniemi et al. (2019), Improved precision and recall metric, arXiv:1904.06991.
    Naeem et al. (2020), Reliable fidelity and diversity metrics, arXiv:2002.09797.
    Raisa et al. (2025), on their failures, arXiv:2505.22450.

    Examples
    --------
    >>> real = [[0.0], [1.0], [3.0], [6.0]]
    >>> manifolds([[0.5], [9.0], [9.5]], real, k=1)
    Manifolds(precision=0.3333333333333333, recall=1.0, density=0.6666666666666666, coverage=0.5)
    """
    check_number("manifolds", "k", k, low=1, integer=True)
    new, real = as_samples(a, b, "manifolds", least=k + 1)
    own = cdist(real, real)
    empty = float((np.partition(own, k, axis=1)[:, k] == 0).mean())
    if empty > _EMPTY:
        told = sentence(
            "manifolds",
            f"most real rows must have fewer than {k} equal ones, or their balls are empty",
            f"{empty:.0%} of them with {k} or more",
            "The figures say little here: count equal rows, or add columns.",
        )
        warnings.warn(told, AugsynthWarning, stacklevel=2)
    return _figures(cdist(new, new), own, cdist(new, real), k)


def _figures(new: np.ndarray, real: np.ndarray, across: np.ndarray, k: int) -> Manifolds:
    """Return the figures from distances of new with new, real with real, and new with real rows."""
    reach = [np.partition(each, k, axis=1)[:, k] for each in (new, real)]  # itself is the nearest
    inside = across < reach[1]
    return Manifolds(
        float(inside.any(axis=1).mean()),
        float((across < reach[0][:, None]).any(axis=0).mean()),
        float(inside.sum(axis=1).mean() / k),
        float((across.min(axis=0) < reach[1]).mean()),
    )


def _squared(x: np.ndarray) -> np.ndarray:
    """Return squared distances of rows, rounded so that equal ones are equal."""
    x = x - x.mean(axis=0)
    own = np.einsum("ij,ij->i", x, x)
    found = x @ x.T
    found *= -2.0
    found += own
    found += own[:, None]
    unit = 1e-10 * max(1.0, float(own.mean()))
    found /= unit
    np.rint(found, out=found)
    np.fill_diagonal(found, 0.0)
    return np.maximum(found, 0.0, out=found)


def _matrix(evidence: Evidence) -> np.ndarray:
    return _squared(whole(evidence).smaller(MOST).design)


def _seen(squared: np.ndarray) -> Manifolds:
    n = len(squared) // 2
    return _figures(squared[:n, :n], squared[n:, n:], squared[:n, n:], K)


def _only(evidence: Evidence) -> Manifolds:
    """Return the four figures of a piece of evidence; NaN where most balls of real rows are empty."""

    def make() -> Manifolds:
        squared = _matrix(evidence)
        n = len(squared) // 2
        radius = np.partition(squared[n:, n:], K, axis=1)[:, K]
        return _seen(squared) if (radius == 0).mean() <= _EMPTY else Manifolds(*[float("nan")] * 4)

    return within(evidence, "manifolds", make)


def _relabelled(evidence: Evidence) -> np.ndarray:
    """Return the four figures (B, 4) under relabelling, from lists of nearest pooled rows."""

    def make() -> np.ndarray:
        exchange = whole(evidence).smaller(MOST)
        squared = _matrix(evidence)
        n, length = len(squared), min(_LIST, len(squared) - 1)
        np.fill_diagonal(squared, -1.0)  # each row is the first of its own list
        near = np.argpartition(squared, length, axis=1)[:, : length + 1]
        far = np.take_along_axis(squared, near, axis=1)
        order = np.argsort(far, axis=1, kind="stable")[:, 1:]
        near, far = np.take_along_axis(near, order, axis=1), np.take_along_axis(far, order, axis=1)
        rows = np.arange(n)
        out = np.empty((len(exchange.labels), 4))
        for each, labels in zip(out, exchange.labels, strict=True):
            own = labels[near] == labels[:, None]
            count = np.cumsum(own, axis=1, dtype=np.int16)
            place = np.where(count[:, -1] >= K, np.argmax(count >= K, axis=1), length - 1)
            inside = ~own & (far < far[rows, place][:, None])
            within_real, within_new = inside[~labels], inside[labels]
            half = n / 2
            each[0] = len(np.unique(near[~labels][within_real])) / half
            each[1] = len(np.unique(near[labels][within_new])) / half
            each[2] = within_real.sum() / (K * half)
            each[3] = within_real.any(axis=1).sum() / half
        return out

    return within(evidence, "manifolds, relabelled", make)


class _Ball(PairedCheck):
    """A figure of `manifolds`, on at most 2,000 rows a side; judged if it is too low."""

    place: ClassVar[int]
    unit: ClassVar[str]
    words: ClassVar[str]
    limits: ClassVar[str]

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the figure alone."""
        return _only(evidence)[self.place]

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the figure with its interval, null value, p-value and sentence."""
        exchange = whole(evidence).smaller(MOST)
        value, caution = self.value(evidence, rng), self.limits
        if not np.isfinite(value):
            told = "Most real rows have five equal ones: their balls are empty and the figure is undefined."
            return Finding(
                self.part,
                self.name,
                self.title,
                value,
                self.unit,
                n=len(exchange),
                sentence=told,
                caution=told,
            )
        permuted = _relabelled(evidence)[:, self.place]
        null, p = float(permuted.mean()), tail_p_value(-value, -permuted)
        width = 1.96 * max(float(permuted.std()), np.sqrt(max(value * (1 - value), 0.0) / len(exchange)))
        low, high = (
            max(0.0, value - width),
            value + width if self.name == "density" else min(1.0, value + width),
        )
        told = self.told(value, null)
        return Finding(
            self.part, self.name, self.title, value, self.unit, low, high, null, p, len(exchange), told,
            caution,
        )  # fmt: skip

    def told(self, value: float, null: float) -> str:
        """Return the sentence."""
        return f"{self.words.format(value)} ({null:.1%} expected of equally good rows)."


class Precision(_Ball):
    """Share of new rows within the ball of a real row (Kynkaanniemi et al.)."""

    name, title, place = "precision", "Precision: new rows among real ones", 0
    unit, words = "share of new rows", "{:.1%} of new rows lie among real ones"
    limits = "A single real outlier has a large ball: precision is easily too high."


class Recall(_Ball):
    """Share of real rows within the ball of a new row (Kynkaanniemi et al.)."""

    name, title, place = "recall", "Recall: real rows among new ones", 1
    unit, words = "share of real rows", "{:.1%} of real rows lie among new ones"
    limits = "A single new outlier has a large ball: recall is easily too high."


class Density(_Ball):
    """Number of balls of real rows that a new row lies in, over five (Naeem et al.); may exceed 1."""

    name, title, place = "density", "Density: how deep new rows lie among real ones", 2
    unit, words = (
        "balls of real rows, over 5",
        "{}: near {:.1f} real rows each, where as many real rows have {:.1f} (density {:.2f})",
    )
    limits = "Not a share: above 1 where new rows crowd amid the real ones. It says nothing of variety."

    def told(self, value: float, null: float) -> str:
        """Return the sentence."""
        where = "New rows lie among the real ones"
        if value < 0.9 * null:
            where = "New rows lie at the edge of the real cloud"
        elif value > 1.1 * null:
            where = "New rows crowd in the middle of the real cloud"
        return self.words.format(where, K * value, K * null, value) + "."


class Coverage(_Ball):
    """Share of the balls of real rows that hold a new row (Naeem et al.)."""

    name, title, place = "coverage", "Coverage: real rows with a new one beside them", 3
    unit, words = "share of real rows", "{:.1%} of real rows have a new row beside them"
    limits = "Copies of the training rows cover well: see memorisation."
