"""The space in which pictures are compared, made once for a report and all its controls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from augsynth.check.evidence import Evidence, Rows, match_cells
from augsynth.check.kept import once
from augsynth.check.pictures.features import PictureReader, fit_reader
from augsynth.check.pictures.inception import inception_features, inception_is_here
from augsynth.check.pictures.linear import LinearReader, fit_linear
from augsynth.core.random import keyed_rng

__all__ = [
    "CLASSIFIER", "FIXED", "GIVEN", "INCEPTION", "LINEAR", "Space", "compared", "halves", "reading_space",
    "space_of",
]  # fmt: skip

CLASSIFIER, INCEPTION, FIXED, GIVEN, LINEAR = "classifier", "inception", "fixed", "given", "linear"
_HALF = 334
_FEWEST = 60  # training pictures: below, a network learns nothing worth measuring in
_TOLD = {"features": "features given", "audio": "fixed features of clips", "text": "fixed features of texts"}
_MOST = 10_000  # pictures that the network learns from


@dataclass(eq=False)
class Space:
    """Features of rows, remembered for each sample.

    Attributes
    ----------
    kind : str
        "classifier", "inception", "fixed", "given", or "linear" (fixed, with a linear reader).
    told : str
        What the features are, for a sentence.
    rest : ndarray of int
        Places of the training rows that the features were not learned from.
    reader : PictureReader, LinearReader or None
    """

    kind: str
    told: str
    rest: np.ndarray
    reader: PictureReader | LinearReader | None = None
    scale: float = 1.0
    _seen: WeakKeyDictionary[Rows, np.ndarray] = field(default_factory=WeakKeyDictionary, repr=False)

    def features(self, rows: Rows) -> np.ndarray:
        """Return the features (n, d), scaled as a whole so that training features have mean square 1."""
        if rows not in self._seen:
            self._seen[rows] = self._raw(rows) / self.scale
        return self._seen[rows]

    def labels(self, rows: Rows) -> np.ndarray:
        """Return the class that the reader takes each row for."""
        if isinstance(self.reader, PictureReader):
            return self.reader.labels(self.features(rows) * self.scale)
        return self.reader.read(rows.z) if self.reader else np.full(len(rows), -1)

    def _raw(self, rows: Rows) -> np.ndarray:
        if isinstance(self.reader, PictureReader):
            return self.reader.features(rows.X)
        return inception_features(rows.X) if self.kind == INCEPTION else rows.z


def space_of(evidence: Evidence, features: str = "auto") -> Space:
    """Return the features in which the evidence is compared; the same object for all its controls.

    Parameters
    ----------
    features : {"auto", "classifier", "inception", "fixed"}
        "auto": for pictures, those of the Inception network where its weights and a GPU are here,
        else of a classifier trained on half of the training pictures, else (without labels, or
        with fewer than 60 pictures) the fixed ones of the evidence; for anything else the
        evidence's own, which are the user's where the user gave any.
    """
    kind = _kind(evidence, features)
    return once(evidence.train, ("space", kind, evidence.seed), lambda: _made(evidence, kind))


def compared(evidence: Evidence, space: Space) -> tuple[Rows, Rows]:
    """Return new and real rows, matched by cell, of which the features have learned neither.

    With a hold-out those of ``evidence.matched``; else the half of the training rows that
    the features were not learned from stands for the real ones.
    """
    if evidence.holdout is not None or len(space.rest) == len(evidence.train):
        return evidence.matched
    return once(evidence, ("compared", space.kind), lambda: _rest(evidence, space))


def _rest(evidence: Evidence, space: Space) -> tuple[Rows, Rows]:
    real = evidence.train.take(space.rest)
    places = match_cells(evidence.made.cells, real.cells, evidence.max_rows, evidence.seed)
    return evidence.made.take(places[0]), real.take(places[1])


def reading_space(evidence: Evidence) -> Space:
    """Return the space whose reader tells classes: the network for pictures, else linear discriminants."""
    kind = _kind(evidence, CLASSIFIER)
    return space_of(evidence, kind if kind == CLASSIFIER else LINEAR)


def _kind(evidence: Evidence, features: str) -> str:
    if features == LINEAR:
        return LINEAR
    if evidence.modality != "image":
        return GIVEN
    can_learn = evidence.target_kind == "class" and len(evidence.train) >= _FEWEST
    can_learn = can_learn and len(np.unique(evidence.train.labels)) > 1
    if features == "auto":
        if inception_is_here() and _has_gpu():
            return INCEPTION
        return CLASSIFIER if can_learn else FIXED
    return FIXED if features == CLASSIFIER and not can_learn else features


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _made(evidence: Evidence, kind: str) -> Space:
    train = evidence.train
    every = np.arange(len(train))
    if kind in (CLASSIFIER, LINEAR):
        own, rest = halves(train.cells, evidence.seed)
        cut = np.sort(keyed_rng(evidence.seed, _HALF, 1).permutation(own)[:_MOST])
        half = train.take(cut)
        if kind == LINEAR:
            told = f"fixed features, read by linear discriminants of {len(cut):,} of the training rows"
            return Space(kind, told, rest, fit_linear(half.z, half.labels))
        reader = fit_reader(half.X, half.labels, seed=evidence.seed)
        told = f"features of a classifier trained on {len(cut):,} of the training pictures"
        return Space(kind, told, rest, reader, _scale(reader.features(half.X)))
    if kind == INCEPTION:
        told = "features of torchvision's Inception network"
        return Space(kind, told, every)
    told = _TOLD.get(evidence.modality, "fixed features of edges and brightness")
    return Space(kind, told, every, None, _scale(train.z - train.z.mean(axis=0)))


def halves(cells: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return places of two halves, split within cells."""
    order = keyed_rng(seed, _HALF).permutation(len(cells))
    order = order[np.argsort(cells[order], kind="stable")]
    return np.sort(order[0::2]), np.sort(order[1::2])


def _scale(features: Any) -> float:
    """Return the root of the mean square; 1 for features that are all zero."""
    return float(np.sqrt(np.mean(np.square(features)))) or 1.0
