"""The one module that imports albumentations, and copies of its transforms whose nodes draw by key."""

from __future__ import annotations

import functools
import os
import random
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Self

import numpy as np

from augsynth.core.random import KeyedGenerator, generator_of, step_key
from augsynth.core.sobol import mixed

__all__ = ["KeyedRandom", "Tree", "library", "nodes_of"]

_SWITCH = "NO_ALBUMENTATIONS_UPDATE"
_BOX_LIMITS = ("min_area", "min_visibility", "min_width", "min_height", "max_accept_ratio")
# Of those that take masks too, what only hides or recolours.
_IN_PLACE = (
    *("CoarseDropout", "ConstrainedCoarseDropout", "Erasing", "GridDropout", "Morphological", "NoOp"),
    *("PixelDropout", "XYMasking", "FrequencyMasking", "TimeMasking"),
)


@functools.cache
def library() -> ModuleType:
    """Import albumentations without its look at the network for a newer version."""
    before = os.environ.get(_SWITCH)
    os.environ[_SWITCH] = "1"
    try:
        import albumentations
    finally:
        if before is None:
            del os.environ[_SWITCH]
        else:
            os.environ[_SWITCH] = before
    return albumentations


class KeyedRandom(random.Random):
    """Python's generator, reading a keyed one: going to another key costs nothing."""

    def __init__(self, rng: np.random.Generator):
        self._bits = rng.bit_generator
        # Shadowed on the instance: every method of Random draws through these two.
        self.random = rng.random  # type: ignore[method-assign]

    def __new__(cls, rng: np.random.Generator) -> Self:
        """Make one without seeding it, which takes a while."""
        return super().__new__(cls, 0)  # type: ignore[call-arg]

    def getrandbits(self, k: int, /) -> int:
        """Return a whole number of k random bits."""
        words = [int(self._bits.random_raw()) for _ in range(-(-k // 64))]  # type: ignore[attr-defined]
        return sum(word << (64 * n) for n, word in enumerate(words)) >> (64 * len(words) - k)

    def _randbelow(self, n: int) -> int:
        return int(self.random() * n) if n < 2**32 else self._randbelow_with_getrandbits(n)  # type: ignore[attr-defined]


class Tree:
    """A private copy of a transform, each node of which has a keyed generator of its own."""

    def __init__(self, transform: Any, stratified: int, *, marks: bool):
        self.name = type(transform).__name__
        self.leaves: list[tuple[str, Any]] = []
        self.reads_globals = False  # a function or class of the user's may
        self._key = np.array([0, step_key("albumentations")], dtype=np.uint64)
        self._plain: list[tuple[np.random.Philox, Any]] = []
        self._stratified: list[tuple[KeyedGenerator, int]] = []
        self._pythons: list[KeyedRandom] = []
        seats = []
        for node, place in nodes_of(transform, step_key(self.name)):
            rng = self._strata_of(place, stratified) if stratified else self._stream_of(place)
            self._pythons.append(KeyedRandom(rng))
            seats.append((node, rng, self._pythons[-1]))
            kind = type(node)
            ours = kind.__module__.startswith("albumentations.") and kind.__name__ != "Lambda"
            self.reads_globals |= not ours
            if not _steps(node):
                self.leaves.append((kind.__name__, node))
        self.transform = _for_marks(transform) if marks else _for_pictures(transform)
        for node, rng, python in seats:  # at last: a new composition gives its parts generators
            node.set_random_state(rng, python)

    def _stream_of(self, place: int) -> np.random.Generator:
        # One array is the key of every node's stream: a new seed is written once.
        philox = np.random.Philox(key=self._key, counter=[0, place, 0, 0])
        start: Any = philox.state
        start["state"]["key"] = self._key
        self._plain.append((philox, start))
        return np.random.Generator(philox)

    def _strata_of(self, place: int, stratified: int) -> KeyedGenerator:
        rng = generator_of(stratified)
        self._stratified.append((rng, place))
        return rng

    def seat(self, params: dict[str, Any]) -> None:
        """Go to a key, in every node."""
        self._key[0] = params["seed"]
        for philox, start in self._plain:
            philox.state = start
        for rng, place in self._stratified:
            path = mixed(params["path"] ^ place)
            rng.seat(params["seed"], params["epoch"], params["record"], params["copy"], path)
        for python in self._pythons:
            python.gauss_next = None  # type: ignore[attr-defined]


def nodes_of(node: Any, key: int) -> Iterator[tuple[Any, int]]:
    """Yield every transform and composition with the number of its place: names and occurrences."""
    yield node, key
    seen: dict[str, int] = {}
    for part in _steps(node):
        name = type(part).__name__
        seen[name] = seen.get(name, -1) + 1
        yield from nodes_of(part, mixed(key ^ step_key(name, seen[name])))


def _steps(node: Any) -> list[Any]:
    """Return the transforms of a composition; ColorJitter has functions by that name."""
    return node.transforms if isinstance(node, library().BaseCompose) else []


def _for_pictures(transform: Any) -> Any:
    """Return the transform, which sees no boxes: they go with the marks."""
    if getattr(transform, "processors", None):
        for node, _ in nodes_of(transform, 0):
            node.processors = {}
            if hasattr(node, "check_each_transform"):
                node.check_each_transform = ()
    return transform


def _for_marks(transform: Any) -> Any:
    """Return the transform within a composition that moves boxes and points; steps that only colour rest."""
    A = library()
    own = getattr(transform, "processors", {}).get("bboxes")
    limits: dict[str, Any] = {"min_visibility": 0.1}  # as our own edits do
    if own is not None:
        limits = {name: getattr(own.params, name) for name in _BOX_LIMITS}
    for node, _ in nodes_of(transform, 0):
        if _steps(node):
            node.transforms = [_resting(part) for part in node.transforms]
            node.processors = {}
    boxes = A.BboxParams(format="pascal_voc", label_fields=["_order"], clip=True, **limits)
    points = A.KeypointParams(format="xy", label_fields=["_points"], remove_invisible=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "no transform to process this data": then boxes stay
        whole = A.Compose(
            [_resting(transform)], bbox_params=boxes, keypoint_params=points, is_check_shapes=False
        )
    none = np.zeros(0, dtype=np.int64)
    bare = {"bboxes": np.zeros((0, 4)), "_order": none, "keypoints": np.zeros((0, 2)), "_points": none}
    return lambda **data: whole(**{**bare, **data})


def moves_pixels(transform: Any) -> bool:
    """Whether a transform, or one within it, moves pixels."""
    A = library()
    leaves = [node for node, _ in nodes_of(transform, 0) if not _steps(node)]
    return any(
        not isinstance(leaf, A.ImageOnlyTransform) and type(leaf).__name__ not in _IN_PLACE for leaf in leaves
    )


def _resting(part: Any) -> Any:
    A = library()
    return A.NoOp(p=part.p) if isinstance(part, A.ImageOnlyTransform) else part
