"""Perturbations made of perturbations: all of them, some of them, or perhaps one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from augsynth.core import arrays
from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import ItemKeys, keyed, step_key
from augsynth.perturb.base import Perturbation, as_batch, take_where
from augsynth.perturb.pictures import gather, hold_picture, stack_pictures

__all__ = ["Compose", "Maybe", "OneOf", "SomeOf"]

_INSIDE = step_key("inside")


class _Combined(Perturbation):
    """Several perturbations in one; each step has a random stream of its own."""

    perturbations: Sequence[Perturbation]

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit a copy of every step."""
        self._check_steps()
        for name in ("_step_keys", "_blind"):
            self.__dict__.pop(name, None)
        self.steps_ = [clone(p).fit(X, y) for p in self.perturbations]
        self._step_keys = self._keys()
        # Steps that look at nothing are drawn in one go.
        self._blind = None if self.needs_x else list(zip(self.steps_, self._step_keys, strict=True))
        return self

    def _check_steps(self) -> None:
        where = type(self).__name__
        if not isinstance(self.perturbations, (list, tuple)) or not self.perturbations:
            must = "perturbations must be a non-empty list of perturbations"
            raise ParameterError(sentence(where, must, repr(self.perturbations)))
        odd = [p for p in self.perturbations if not isinstance(p, Perturbation)]
        if odd:
            todo = "Wrap other things with augsynth.perturb.as_perturbation."
            raise ParameterError(sentence(where, "every step must be a Perturbation", repr(odd[0]), todo))

    @property
    def per_row(self) -> bool:  # type: ignore[override]
        """Whether the steps take blocks of rows."""
        return any(step.per_row for step in self._steps)

    @property
    def needs_x(self) -> bool:  # type: ignore[override]
        """Whether a step looks at the sample before it draws."""
        return any(step.needs_x or step.per_row for step in self._steps)

    @property
    def learns(self) -> bool:  # type: ignore[override]
        """Whether a step learns from rows."""
        return any(step.learns for step in self._steps)

    @property
    def of_pixels(self) -> bool:  # type: ignore[override]
        """Whether every step edits pixels."""
        return all(step.of_pixels for step in self._steps)

    @property
    def moves(self) -> bool:
        """Whether a step moves pixels."""
        return any(step.moves for step in self._steps)

    @property
    def moves_points(self) -> bool:  # type: ignore[override]
        """Whether every step that moves pixels moves key points with them."""
        return all(step.moves_points or not step.moves for step in self._steps)

    @property
    def modality(self) -> str:  # type: ignore[override]
        """What the steps edit."""
        return next((step.modality for step in self._steps if step.modality != "any"), "any")

    @property
    def stream_name(self) -> str:
        """The name of the combination and of what it combines."""
        return f"{type(self).__name__}({','.join(step.stream_name for step in self._steps)})"

    @property
    def _steps(self) -> Sequence[Perturbation]:
        fitted = self.__dict__.get("steps_")
        if fitted is None:
            self._check_steps()
            return self.perturbations
        return fitted  # type: ignore[no-any-return]

    def _keys(self) -> list[int]:
        # By name and occurrence: a step added or removed leaves the others' draws alone.
        known: list[int] | None = self.__dict__.get("_step_keys")
        if known is not None and "steps_" in self.__dict__:
            return known
        seen, keys = dict[str, int](), []
        for step in self._steps:
            name = step.stream_name
            seen[name] = seen.get(name, -1) + 1
            keys.append(step_key(name, seen[name]))
        return keys


class Compose(_Combined):
    """Apply every step, one after the other.

    Parameters
    ----------
    perturbations : list of Perturbation
    """

    def __init__(self, perturbations: Sequence[Perturbation] = ()):
        self.perturbations = perturbations

    @property
    def stream_name(self) -> str:
        """A chain is named as such: its steps are keyed by their own names below it."""
        return "Compose"

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return the parameters of every step; each sees what the ones before it made."""
        rng, blind = keyed(rng), self.__dict__.get("_blind")
        if blind is not None:
            return {"steps": [step.draw(x, rng.child(key)) for step, key in blind]}
        steps = self._steps
        drawn: list[dict[str, Any]] = []
        shown = 0  # how many steps the x at hand has gone through
        for k, (step, key) in enumerate(zip(steps, self._keys(), strict=True)):
            if step.needs_x:
                for done in range(shown, k):
                    x = steps[done].apply(x, drawn[done])
                shown = k
            drawn.append(step.draw(x, rng.child(key)))
        return {"steps": drawn}

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Apply every step with its parameters."""
        form = None
        if not isinstance(x, np.ndarray) and self.of_pixels:
            x, form = hold_picture("Compose", x)
        for step, drawn in zip(self._steps, params["steps"], strict=True):
            x = step.apply(x, drawn)
        return x if form is None else form.give_back(x)

    def apply_marks(
        self, marks: dict[str, Any], params: dict[str, Any], *, size: tuple[int, int]
    ) -> dict[str, Any]:
        """Return what belongs to a sample after every step."""
        return _move_marks(marks, list(zip(self._steps, params["steps"], strict=True)), size)

    def explain(self, x: Any, params: dict[str, Any]) -> dict[str, Any]:
        """Tell what every step did."""
        told = []
        for step, drawn in zip(self._steps, params["steps"], strict=True):
            told.append({"edit": step.stream_name, **step.explain(x, drawn)})
            x = step.apply(x, drawn)
        return {"steps": told}

    def edit_many(self, xs: Any, keys: ItemKeys) -> Any:
        """Edit a batch, a step at a time (large pictures: one by one, while they are at hand)."""
        stack = None
        if not isinstance(xs, np.ndarray) and len(xs) and self.of_pixels:
            stack = stack_pictures("Compose", xs)
            if stack is None:
                return gather(xs, (self.apply(x, self.draw(x, keys.at(k))) for k, x in enumerate(xs)))
            if stack.is_plain:
                xs = stack.pixels
        for step, key in zip(self._steps, self._keys(), strict=True):
            xs = step.edit_many(xs, keys.child(key))
        return xs if stack is None or not stack.is_plain else stack.give_back(xs)


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

    def _used(self, u: np.ndarray) -> np.ndarray:
        check_number(type(self).__name__, "n", self.n, low=1, high=len(self._steps), integer=True)
        return u.argsort(axis=1) < self.n

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return which steps are used (a row each, for tables) and the parameters of those."""
        rng, steps = keyed(rng), self._steps
        rows = arrays.count_rows(x) if self.per_row else 1
        used = self._used(rng.random((rows, len(steps))))
        drawn: list[dict[str, Any] | None] = []
        for k, (step, key) in enumerate(zip(steps, self._keys(), strict=True)):
            drawn.append(step.draw(x, rng.child(key)) if used[:, k].any() else None)
            if drawn[-1] is not None and any(later.needs_x for later in steps[k + 1 :]):
                x = _where(used[:, k], step.apply(x, drawn[-1]), x, step.per_row)
        return {"used": used, "steps": drawn}

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Apply the chosen steps with their parameters."""
        for k, (step, drawn) in enumerate(zip(self._steps, params["steps"], strict=True)):
            used = params["used"][:, k]
            if used.any():
                x = _where(used, step.apply(x, drawn), x, step.per_row)
        return x

    def apply_marks(
        self, marks: dict[str, Any], params: dict[str, Any], *, size: tuple[int, int]
    ) -> dict[str, Any]:
        """Return what belongs to a sample after the chosen steps."""
        steps = zip(self._steps, params["steps"], params["used"][0], strict=True)
        return _move_marks(marks, [(step, drawn) for step, drawn, used in steps if used], size)

    def explain(self, x: Any, params: dict[str, Any]) -> dict[str, Any]:
        """Tell which steps were chosen, and what those did."""
        if self.per_row:
            return params
        told: list[dict[str, Any] | None] = []
        for step, drawn, used in zip(self._steps, params["steps"], params["used"][0], strict=True):
            if not used or drawn is None:
                told.append(None)
                continue
            told.append({"edit": step.stream_name, **step.explain(x, drawn)})
            x = step.apply(x, drawn)
        return {"used": params["used"], "steps": told}

    def edit_many(self, xs: Any, keys: ItemKeys) -> Any:
        """Edit a batch, a step at a time."""
        used = self._used(keys.uniforms(len(self._steps)))
        for k, (step, key) in enumerate(zip(self._steps, self._keys(), strict=True)):
            xs = _edit_where(step, xs, keys.child(key), used[:, k])
        return xs


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
        self.step_ = clone(self._step).fit(X, y)
        return self

    @property
    def per_row(self) -> bool:  # type: ignore[override]
        """Whether the perturbation takes blocks of rows."""
        return self._step.per_row

    @property
    def needs_x(self) -> bool:  # type: ignore[override]
        """Whether the perturbation looks at the sample before it draws."""
        return self._step.needs_x or self._step.per_row

    @property
    def learns(self) -> bool:  # type: ignore[override]
        """Whether the perturbation learns from rows."""
        return self._step.learns

    @property
    def of_pixels(self) -> bool:  # type: ignore[override]
        """Whether the perturbation edits pixels."""
        return self._step.of_pixels

    @property
    def moves(self) -> bool:
        """Whether the perturbation moves pixels."""
        return self._step.moves

    @property
    def moves_points(self) -> bool:  # type: ignore[override]
        """Whether the perturbation moves key points."""
        return self._step.moves_points

    @property
    def modality(self) -> str:  # type: ignore[override]
        """What the perturbation edits."""
        return self._step.modality

    @property
    def stream_name(self) -> str:
        """The name of what is, or is not, applied."""
        return f"Maybe({self._step.stream_name})"

    @property
    def _step(self) -> Perturbation:
        step = getattr(self, "step_", self.perturbation)
        if not isinstance(step, Perturbation):
            raise ParameterError(sentence("Maybe", "perturbation must be a Perturbation", repr(step)))
        return step

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return whether each sample is edited, and the parameters of the edit."""
        check_number("Maybe", "p", self.p, low=0, high=1)
        rng = keyed(rng)
        used = rng.random(arrays.count_rows(x) if self.per_row else 1) < self.p
        return {"used": used, "step": self._step.draw(x, rng.child(_INSIDE)) if used.any() else None}

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Apply the edit where it was drawn."""
        if not params["used"].any():
            return x
        return _where(params["used"], self._step.apply(x, params["step"]), x, self.per_row)

    def apply_marks(
        self, marks: dict[str, Any], params: dict[str, Any], *, size: tuple[int, int]
    ) -> dict[str, Any]:
        """Return what belongs to a sample, edited where the sample is."""
        return self._step.apply_marks(marks, params["step"], size=size) if params["used"][0] else marks

    def explain(self, x: Any, params: dict[str, Any]) -> dict[str, Any]:
        """Tell whether the edit was applied, and what it did."""
        if self.per_row or not params["used"].any():
            return params
        return {"used": params["used"], "step": self._step.explain(x, params["step"])}

    def edit_many(self, xs: Any, keys: ItemKeys) -> Any:
        """Edit those of a batch for which it was drawn."""
        check_number("Maybe", "p", self.p, low=0, high=1)
        return _edit_where(self._step, xs, keys.child(_INSIDE), keys.uniforms(1)[:, 0] < self.p)


def _move_marks(
    marks: dict[str, Any], steps: list[tuple[Perturbation, Any]], size: tuple[int, int]
) -> dict[str, Any]:
    """Return what belongs to a sample after some steps, each of which may change the picture's size."""
    masked = marks.get("mask") is not None
    if marks and not masked and len(steps) > 1:
        marks = {**marks, "mask": np.zeros(size, np.uint8)}  # goes along to tell the size
    for step, drawn in steps:
        marks = step.apply_marks(marks, drawn, size=size)
        if marks.get("mask") is not None:
            size = marks["mask"].shape[-2:]
    return marks if masked else {name: value for name, value in marks.items() if name != "mask"}


def _edit_where(step: Perturbation, xs: Any, keys: ItemKeys, used: np.ndarray) -> Any:
    """Edit the samples of a batch where ``used`` (n,)."""
    if used.all():
        return step.edit_many(xs, keys)
    where = np.flatnonzero(used)
    if not len(where):
        return xs
    if isinstance(xs, np.ndarray):
        edited = step.edit_many(xs[where], keys.take(where))
        stacked = isinstance(edited, np.ndarray)  # a list where the edited ones have several shapes
        if stacked and edited.dtype == xs.dtype and edited.shape[1:] == xs.shape[1:]:
            xs = xs.copy()
            xs[where] = edited
            return xs
        rows = list(xs)
    else:
        rows = list(xs)  # not xs[k]: a Series would look for labels
        edited = step.edit_many([rows[k] for k in where], keys.take(where))
    for k, x in zip(where, edited, strict=True):
        rows[k] = x
    return as_batch(xs, rows)


def _where(used: np.ndarray, edited: Any, x: Any, per_row: bool) -> Any:
    return take_where(used, edited, x) if per_row else edited if used[0] else x
