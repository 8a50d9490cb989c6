"""Held-out log-likelihood of a generator that has one, and bits per dimension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import NotFittedError

from augsynth.check.evidence import Evidence
from augsynth.check.finding import Check, Finding
from augsynth.core.arrays import count_rows
from augsynth.core.errors import AugsynthError, DataError, InputTypeError, sentence

__all__ = ["HeldOutLikelihood", "LogLikelihood", "held_out_log_prob"]

_Z = 1.959964


@dataclass(frozen=True)
class HeldOutLikelihood:
    """What `held_out_log_prob` found.

    Attributes
    ----------
    mean, error : float
        Mean log-density of a held-out row in nats, over the rows that are possible at all, and
        its standard error.
    bits_per_dimension : float
        ``-mean / (n_dimensions ln 2)``.
    train_mean : float
        The same mean over training rows; NaN where none were given.
    difference, low, high : float
        Training less held-out mean, with its 95 % interval: far above 0, the generator knows
        its training rows better than others like them.
    impossible, train_impossible : float
        Share of rows with density 0, which the means leave out.
    n_dimensions, n : int
    """

    mean: float
    error: float
    bits_per_dimension: float
    train_mean: float
    difference: float
    low: float
    high: float
    impossible: float
    train_impossible: float
    n_dimensions: int
    n: int


def held_out_log_prob(
    generator: Any,
    X: Any,
    y: Any = None,
    *,
    sensitive_features: Any = None,
    train: Sequence[Any] | None = None,
    n_dimensions: int | None = None,
    random_state: Any = None,
) -> HeldOutLikelihood:
    r"""Tell how probable a fitted generator finds rows it has not seen.

    Parameters
    ----------
    generator : fitted, with ``log_prob(X, y, sensitive_features=..., random_state=...)``
        Its log-densities are in nats a row, given label and group, in data units.
    X, y, sensitive_features
        Held-out rows.
    train : (X, y) or (X, y, sensitive_features), optional
        Rows it was fitted on, for the difference.
    n_dimensions : int, optional
        Default: the numbers of a row (columns; pixels times channels).
    random_state : None, int or Generator
        For generators whose density is a Monte Carlo bound.

    Returns
    -------
    HeldOutLikelihood

    Raises
    ------
    InputTypeError
        If the generator has no ``log_prob``.

    Notes
    -----
    Bits per dimension are :math:`-\log p(x) / (d \ln 2)`. They compare generators of the same
    rows in the same units: a column in metres and in millimetres differs by 10 bits. A
    probability of whole numbers (pixels 0 to 255) and a density of them are comparable only
    if the density is that of x + u with u uniform on [0, 1): its mean log-density at such
    dequantised rows is at most the log-probability of the whole numbers (Theis et al., 2016).
    A density at whole numbers themselves has no upper limit; a narrow bump on each raises it
    and no picture gets better. Nothing is dequantised here: pass X with the noise that the
    generator was fitted with. A high likelihood does not show that draws look right, nor the
    other way round.

    References
    ----------
    Theis, van den Oord, Bethge (2016), A note on the evaluation of generative models,
    arXiv:1511.01844.

    Examples
    --------
    >>> class Standard:
    ...     def log_prob(self, X, y=None, *, sensitive_features=None, random_state=None):
    ...         return -0.5 * (X**2).sum(axis=1) - 0.5 * X.shape[1] * np.log(2 * np.pi)
    >>> X = np.random.default_rng(0).normal(size=(4000, 3))
    >>> found = held_out_log_prob(Standard(), X)
    >>> round(found.bits_per_dimension, 1)  # half the logarithm of 2 pi e to base 2 is 2.047
    2.0
    """
    if isinstance(generator, type):
        must = "the generator must be an object and not its class"
        raise InputTypeError(sentence("held_out_log_prob", must, generator.__name__))
    if not callable(getattr(generator, "log_prob", None)):
        given = f"{type(generator).__name__}, which has none"
        raise InputTypeError(sentence("held_out_log_prob", "the generator must have log_prob", given))
    if train is not None and not (isinstance(train, (tuple, list)) and len(train) in (1, 2, 3)):
        must = "train must be (X, y) or (X, y, sensitive_features)"
        raise InputTypeError(sentence("held_out_log_prob", must, type(train).__name__))
    held = _log_prob(generator, X, y, sensitive_features, random_state)
    possible, impossible = _split(held)
    if not len(possible):
        must = "some held-out row must have a density above 0"
        raise DataError(sentence("held_out_log_prob", must, f"{len(held)} rows of density 0"))
    mean, error = float(possible.mean()), float(possible.std() / np.sqrt(len(possible)))
    d = n_dimensions or int(np.size(X.iloc[:1].to_numpy() if hasattr(X, "iloc") else np.asarray(X[:1])))
    known, difference, width, gone = [float("nan")] * 4
    if train is not None:
        rows, labels, groups = (*train, None, None)[:3]
        own, gone = _split(_log_prob(generator, rows, labels, groups, random_state))
        known = float(own.mean()) if len(own) else float("nan")
        difference = known - mean
        width = _Z * float(np.hypot(own.std() / np.sqrt(max(len(own), 1)), error))
    return HeldOutLikelihood(
        mean, error, float(-mean / (d * np.log(2.0))), known, difference, difference - width,
        difference + width, impossible, gone, d, count_rows(X),
    )  # fmt: skip


def _log_prob(generator: Any, X: Any, y: Any, groups: Any, random_state: Any) -> np.ndarray:
    given = {"sensitive_features": groups, "random_state": random_state}
    asked = {name: value for name, value in given.items() if value is not None}
    try:
        return np.asarray(generator.log_prob(X, y, **asked), dtype=float)
    except AugsynthError:
        raise
    except NotFittedError:
        must, todo = "the generator must be fitted", "Call its fit first, on rows other than these."
        raise DataError(
            sentence("held_out_log_prob", must, f"an unfitted {type(generator).__name__}", todo)
        ) from None
    except (TypeError, ValueError) as problem:
        must = "X must be rows as the generator was fitted on"
        raise DataError(sentence("held_out_log_prob", must, " ".join(str(problem).split()))) from problem


def _split(found: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the log-densities that are finite and the share of the others."""
    possible = found[np.isfinite(found)]
    return possible, 1.0 - len(possible) / len(found)


class LogLikelihood(Check):
    """Held-out log-likelihood of the generator that made the rows; shown, not judged.

    Parameters
    ----------
    generator : fitted, with ``log_prob``
    holdout, train : (X, y) or (X, y, sensitive_features)
        Real rows as the generator takes them.
    refused : str, default=""
        Why the generator gives no density of these rows, where that is known.
    """

    part, name, title = "fidelity", "log_likelihood", "How probable held-out rows are to the generator"
    controlled: ClassVar[Sequence[str]] = ()

    def __init__(
        self,
        generator: Any,
        holdout: Sequence[Any],
        train: Sequence[Any] | None = None,
        *,
        refused: str = "",
    ):
        self.generator = generator
        self.holdout = holdout
        self.train = train
        self.refused = refused

    def applies(self, evidence: Evidence) -> str:
        """Return "" if the generator has densities, else the reason why not."""
        found = callable(getattr(self.generator, "log_prob", None))
        return self.refused if found else f"{type(self.generator).__name__} gives no densities."

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the figure alone."""
        return self._found(rng).mean

    def _found(self, rng: np.random.Generator) -> HeldOutLikelihood:
        X, y, groups = (*self.holdout, None, None)[:3]
        seed = int(rng.integers(2**31))
        return held_out_log_prob(
            self.generator, X, y, sensitive_features=groups, train=self.train, random_state=seed
        )

    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the figure with its interval and sentence."""
        found = self._found(rng)
        told = f"A held-out row has a log-density of {found.mean:.2f} nats"
        told += f" ({found.bits_per_dimension:.2f} bits per dimension)"
        if np.isfinite(found.difference):
            told += f"; a training row {found.difference:+.2f} ({found.low:.2f} to {found.high:.2f})"
            if found.low > 0:
                told += ": the generator knows its training rows better than others like them"
        caution = (
            "Comparable between generators of the same rows in the same units only; no measure of looks."
        )
        if found.impossible > 0:
            caution += f" {found.impossible:.1%} of the held-out rows have density 0 and are left out."
        return Finding(
            self.part, self.name, self.title, found.mean, "nats a row", found.mean - _Z * found.error,
            found.mean + _Z * found.error, n=found.n, sentence=f"{told}.", caution=caution,
            details={name: getattr(found, name) for name in found.__dataclass_fields__},
        )  # fmt: skip
