"""Perturbations: draw the parameters, then apply them; and how to combine them."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, clone

from augsynth.core import arrays
from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import keyed_rng, resolve_seed

__all__ = ["Compose", "Maybe", "OneOf", "Perturbation", "SomeOf", "take_where"]


class Perturbation(BaseEstimator, ABC):
    """An edit of a sample that keeps its label.

    ``draw`` is the only random line and ``apply`` is pure, so an edit can be replayed
    from its parameters, and applied to what belongs to the sample (a mask, a label
    map). A table perturbation (``per_row``) takes a block of rows as one ``x``.
    """

    per_row: ClassVar[bool] = False

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what the edit needs from training rows (nothing, for most)."""
        return self

    @abstractmethod
    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return the parameters of one edit of ``x``."""

    @abstractmethod
    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Return the edited ``x``; the same parameters give the same result."""

    def __call__(self, x: Any, *, random_state: Any = None) -> Any:
        """Draw and apply at once."""
        return self.apply(x, self.draw(x, keyed_rng(resolve_seed(random_state))))


class _Combined(Perturbation):
    """Several perturbations in one; each step has a random stream of its own."""

    perturbations: Sequence[Perturbation]

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit a copy of every step."""
        where = type(self).__name__
        if not isinstance(self.perturbations, (list, tuple)) or not self.perturbations:
            must = "perturbations must be a non-empty list of perturbations"
            raise ParameterError(sentence(where, must, repr(self.perturbations)))
        odd = [p for p in self.perturbations if not isinstance(p, Perturbation)]
        if odd:
            raise ParameterError(sentence(where, "every step must be a Perturbation", repr(odd[0])))
        self.steps_ = [clone(p).fit(X, y) for p in self.perturbations]
        return self

    @property
    def per_row(self) -> bool:  # type: ignore[override]
        """Whether the steps take blocks of rows."""
        return any(step.per_row for step in self._steps)

    @property
    def _steps(self) -> Sequence[Perturbation]:
        return getattr(self, "steps_", self.perturbations)

    def _streams(self, rng: np.random.Generator) -> list[np.random.Generator]:
        # Keyed by class and occurrence: a step added or removed leaves the others' draws alone.
        seed, seen, streams = resolve_seed(rng), dict[str, int](), []
        for step in self._steps:
            name = type(step).__name__
            seen[name] = seen.get(name, -1) + 1
            streams.append(keyed_rng(seed, zlib.crc32(name.encode()), seen[name]))
        return streams


class Compose(_Combined):
    """Apply every step, one after the other.

    Parameters
    ----------
    perturbations : list of Perturbation
    """

    def __init__(self, perturbations: Sequence[Perturbation] = ()):
        self.perturbations = perturbations

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return the parameters of every step; each sees what the ones before it made."""
        drawn = []
        for step, stream in zip(self._steps, self._streams(rng), strict=True):
            drawn.append(step.draw(x, stream))
            x = step.apply(x, drawn[-1])
        return {"steps": drawn}

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Apply every step with its parameters."""
        for step, drawn in zip(self._steps, params["steps"], strict=True):
            x = step.apply(x, drawn)
        return x


class SomeOf(_Combined):
    """Apply ``n`` of the steps, chosen at random for every sample, in the given order.

    Parameters
    ----------
    perturbations : list of Perturbation
    n : int, default=1
    """

    def __init__(self, perturbations: Sequence[Perturbation] = (), *, n: int = 1):
        self.perturbations = perturbations
        self.n = n

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return which steps are used (a row each, for tables) and their parameters."""
        check_number(type(self).__name__, "n", self.n, low=1, high=len(self._steps), integer=True)
        streams = self._streams(rng)
        rows = arrays.count_rows(x) if self.per_row else 1
        order = rng.random((rows, len(self._steps))).argsort(axis=1)
        used = order < self.n
        drawn = []
        for k, (step, stream) in enumerate(zip(self._steps, streams, strict=True)):
            drawn.append(step.draw(x, stream))
            x = _where(used[:, k], step.apply(x, drawn[-1]), x, step.per_row)
        return {"used": used, "steps": drawn}

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Apply the chosen steps with their parameters."""
        for k, (step, drawn) in enumerate(zip(self._steps, params["steps"], strict=True)):
            used = params["used"][:, k]
            if used.any():
                x = _where(used, step.apply(x, drawn), x, step.per_row)
        return x


class OneOf(SomeOf):
    """Apply exactly one of the steps, chosen at random for every sample.

    Parameters
    ----------
    perturbations : list of Perturbation
    """

    def __init__(self, perturbations: Sequence[Perturbation] = ()):
        self.perturbations = perturbations

    n = 1  # type: ignore[assignment]


class Maybe(Perturbation):
    """Apply a perturbation to a share of the samples.

    Parameters
    ----------
    perturbation : Perturbation
    p : float, default=0.5
        Probability that a sample is edited.
    """

    def __init__(self, perturbation: Perturbation | None = None, *, p: float = 0.5):
        self.perturbation = perturbation
        self.p = p

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit a copy of the perturbation."""
        if not isinstance(self.perturbation, Perturbation):
            must = "perturbation must be a Perturbation"
            raise ParameterError(sentence("Maybe", must, repr(self.perturbation)))
        self.step_ = clone(self.perturbation).fit(X, y)
        return self

    @property
    def per_row(self) -> bool:  # type: ignore[override]
        """Whether the perturbation takes blocks of rows."""
        return self._step.per_row

    @property
    def _step(self) -> Perturbation:
        return getattr(self, "step_", self.perturbation)  # type: ignore[return-value]

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return whether each sample is edited, and the parameters of the edit."""
        check_number("Maybe", "p", self.p, low=0, high=1)
        used = rng.random(arrays.count_rows(x) if self.per_row else 1) < self.p
        return {"used": used, "step": self._step.draw(x, rng)}

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Apply the edit where it was drawn."""
        if not params["used"].any():
            return x
        return _where(params["used"], self._step.apply(x, params["step"]), x, self.per_row)


def _where(used: np.ndarray, edited: Any, x: Any, per_row: bool) -> Any:
    return take_where(used, edited, x) if per_row else edited if used[0] else x


def take_where(used: np.ndarray, edited: Any, x: Any) -> Any:
    """Return the rows of ``edited`` where ``used`` (n,), those of ``x`` elsewhere."""
    n = arrays.count_rows(x)
    # Stacking and taking keeps every dtype, which assignment into a frame would not.
    return arrays.take_rows(arrays.concat_rows([x, edited]), np.arange(n) + n * used)
