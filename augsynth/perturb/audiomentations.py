"""Transforms of audiomentations, drawn by key."""

from __future__ import annotations

import inspect
import random
import sys
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np

from augsynth.core.errors import AugsynthError, DataError, ParameterError, sentence
from augsynth.core.isolation import GENERATORS, global_generators, lock
from augsynth.core.parameters import check_number
from augsynth.core.random import step_key
from augsynth.core.sobol import mixed
from augsynth.perturb.base import Perturbation
from augsynth.perturb.clips import edit_clip
from augsynth.perturb.function import check_importable, seed_of

__all__ = ["AudiomentationsPerturbation"]

_QUIET = ("BaseCompose", "Compose", "SomeOf")  # their module reads numpy's generator, they do not
_LOUD = ("RoomSimulator",)  # the library behind it reads numpy's generator


class AudiomentationsPerturbation(Perturbation):
    """Edit clips with a transform of audiomentations that draws by key.

    audiomentations reads the global generators of `random` and, in some transforms, of
    numpy: it runs in a scope in which those start from the item's key, and they are put back
    afterwards. Each step of a ``Compose`` starts from a key of its own (name and
    occurrence), so a step added or removed leaves the others' draws alone.

    Parameters
    ----------
    transform : transform of audiomentations for waveforms
    sample_rate : float, default=16000
        Samples a second.

    Notes
    -----
    Clips are arrays or tensors (n,) or (channels, n) of floats at full scale 1, or int16;
    they come back as they came (the library computes in float32). One call at a time in a
    process; about 20 microseconds a call, 45 more where numpy's generator is read. Copies
    are not stratified.
    """

    modality: ClassVar[str] = "audio"
    needs_x: ClassVar[bool] = False

    def __init__(self, transform: Any = None, *, sample_rate: float = 16000):
        self.transform = transform
        self.sample_rate = sample_rate

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the transform."""
        where = type(self).__name__
        check_number(where, "sample_rate", self.sample_rate, low=0, low_open=True)
        if not callable(self.transform) or not hasattr(self.transform, "p"):
            must = "transform must be a transform of audiomentations"
            raise ParameterError(sentence(where, must, repr(self.transform)[:120]))
        if type(self.transform).__name__.startswith("Spec") or not _takes_rate(self.transform):
            must = "transform must be one for waveforms"
            raise ParameterError(sentence(where, must, type(self.transform).__name__))
        check_importable(self.transform, where)
        return self

    @property
    def stream_name(self) -> str:
        """The name of the transform: a composition's steps are keyed below it."""
        return f"audiomentations.{type(self.transform).__name__}"

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return the seed of one edit."""
        return {"seed": seed_of(rng)}

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Return the clip that the transform makes from the seed."""
        where = type(self).__name__

        def edit(clip: np.ndarray) -> np.ndarray:
            samples = np.array(clip, dtype=np.float32, order="C")  # a copy: some steps work in place
            try:
                with global_generators(params["seed"], self._which()) as scope:
                    made = self._run(
                        self.transform, step_key(self.stream_name), samples, params["seed"], scope
                    )
            except AugsynthError:
                raise
            except Exception as error:  # a library's code may raise anything
                given = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
                raise DataError(
                    sentence(where, "the transform must be able to edit the clip", given)
                ) from error
            return np.asarray(made, dtype=clip.dtype)

        return edit_clip(where, x, edit)

    def _run(self, node: Any, key: int, samples: np.ndarray, seed: int, scope: global_generators) -> Any:
        scope.reseed(mixed(seed ^ key))
        if not _is_chain(node):
            return node(samples=samples, sample_rate=self.sample_rate)
        if random.random() >= node.p:
            return samples
        steps, seen = [], dict[str, int]()
        for step in node.transforms:
            name = type(step).__name__
            seen[name] = seen.get(name, -1) + 1
            steps.append((step, mixed(key ^ step_key(name, seen[name]))))
        if node.shuffle:
            random.shuffle(steps)
        for step, at in steps:
            samples = self._run(step, at, samples, seed, scope)
        return samples

    def explain(self, x: Any, params: dict[str, Any]) -> dict[str, Any]:
        """Return the seed, and what each transform that was applied had drawn."""
        parts = [
            part
            for part in _all_within(self.transform)
            if isinstance(getattr(part, "parameters", None), dict)
        ]
        with lock:  # another thread would draw anew
            for part in parts:
                part.parameters = {"should_apply": None}
            self.apply(x, params)
            told = [
                {
                    "transform": type(part).__name__,
                    **{k: v for k, v in part.parameters.items() if k != "should_apply"},
                }
                for part in parts
                if part.parameters.get("should_apply")
            ]
        return {**params, "applied": told}

    def _which(self) -> tuple[str, ...]:
        """Return the global generators that the transform reads."""
        known = self.__dict__.get("_known")
        if known is None or known[0] is not self.transform:
            kinds = {_reads(part) for part in _all_within(self.transform)}
            which = GENERATORS if "any" in kinds else ("random", "numpy") if "numpy" in kinds else ("random",)
            known = self._known = (self.transform, which)
        return known[1]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_known"}


def _takes_rate(transform: Any) -> bool:
    names = inspect.signature(type(transform).__call__).parameters
    return "sample_rate" in names or "kwargs" in names


def _is_chain(node: Any) -> bool:
    return type(node).__name__ == "Compose" and type(node).__module__.startswith("audiomentations.")


def _all_within(transform: Any) -> Iterator[Any]:
    yield transform
    for part in getattr(transform, "transforms", ()):
        yield from _all_within(part)
    if callable(getattr(transform, "noise_transform", None)):  # of background noises
        yield from _all_within(transform.noise_transform)


def _reads(part: Any) -> str:
    """Return "random", "numpy" (both) or "any", by what the modules of its classes mention."""
    kind = "random"
    for cls in type(part).__mro__:
        if cls is object or cls.__name__ in _QUIET:
            continue
        if not cls.__module__.startswith("audiomentations."):
            return "any"
        try:
            source = inspect.getsource(sys.modules[cls.__module__])
        except (OSError, KeyError):
            source = "np.random"
        if "np.random" in source or "numpy.random" in source or cls.__name__ in _LOUD:
            kind = "numpy"
    return kind
