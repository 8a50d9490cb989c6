"""Controls of pictures: pixels drawn by themselves, and blends of neighbouring pictures (SMOTE)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from augsynth.check.controls import drawn
from augsynth.check.evidence import Evidence, Rows
from augsynth.check.kept import once
from augsynth.check.preservation.readers import default_view
from augsynth.check.utility.leak import row_keys
from augsynth.encode.image import ImageCodec
from augsynth.encode.neighbors import NeighborIndex

__all__ = ["blended_pictures", "independent_pixels"]

_NEIGHBORS = 5
_LEARNED_FROM = 3000
_WHERE = "controls"


def independent_pixels(evidence: Evidence, wanted: np.ndarray, rng: np.random.Generator) -> Rows:
    """Return pictures of the wanted cells whose every pixel is from another training picture of the cell.

    Raises
    ------
    DataError
        For training pictures of several sizes.
    """
    train = evidence.train
    codec = ImageCodec().fit(train.X, _WHERE)
    z = codec.encode(train.X, _WHERE).reshape(len(train), -1)
    made = np.empty((len(wanted), z.shape[1]), dtype=z.dtype)
    for cell in np.unique(wanted):
        own, room = np.flatnonzero(wanted == cell), np.flatnonzero(train.cells == cell)
        for j in range(z.shape[1]):
            made[own, j] = z[room[rng.integers(len(room), size=len(own))], j]
    return _rows(evidence, made, codec, wanted, rng)


def blended_pictures(evidence: Evidence, wanted: np.ndarray, rng: np.random.Generator) -> Rows:
    """Return pictures of the wanted cells on the line between a training picture and one of its neighbours.

    The five nearest of the same cell in the evidence's features; pixels are blended.

    Raises
    ------
    DataError
        For training pictures of several sizes.

    References
    ----------
    Chawla et al., "SMOTE: synthetic minority over-sampling technique", JAIR 16, 2002, doi:10.1613/jair.953.
    """
    train = evidence.train
    codec = ImageCodec().fit(train.X, _WHERE)
    z = codec.encode(train.X, _WHERE).reshape(len(train), -1)
    first = drawn(train.cells, wanted, rng)
    other = first.copy()
    for cell in np.unique(wanted):
        own, room = np.flatnonzero(wanted == cell), np.flatnonzero(train.cells == cell)
        k = min(_NEIGHBORS, len(room) - 1)
        if k:
            index = NeighborIndex(train.z[room], evidence.distance)
            _, near = index.query(train.z[room], k, exclude=np.arange(len(room)))
            base = np.searchsorted(room, first[own])
            other[own] = room[near[base, rng.integers(k, size=len(own))]]
    share = rng.random((len(wanted), 1))
    made = (1.0 - share) * z[first] + share * z[other]
    made = np.rint(made).astype(z.dtype) if codec.layout.levels else made.astype(z.dtype)
    return _rows(evidence, made, codec, wanted, rng)


def _rows(
    evidence: Evidence, made: np.ndarray, codec: ImageCodec, wanted: np.ndarray, rng: np.random.Generator
) -> Rows:
    train = evidence.train
    X = codec.decode(made.reshape(len(made), *codec.layout.shape))
    first = train.take(drawn(train.cells, wanted, rng))
    keys = row_keys(X)
    return Rows(
        _encoder(evidence)(X), first.labels, first.groups, first.cells, first.target,
        first.keys if keys is None else keys, X,
    )  # fmt: skip


def _encoder(evidence: Evidence) -> Callable[[Any], np.ndarray]:
    """Return what turns pictures into the evidence's features: a linear map of the fixed ones."""
    return once(evidence, "encoder", lambda: _learned_encoder(evidence))


def _learned_encoder(evidence: Evidence) -> Callable[[Any], np.ndarray]:
    train = evidence.train
    view = default_view("image", train.X, sample_rate=0.0)
    # all samples: with fewer rows than features a map learned from some is wrong for others
    samples = [rows for rows in (train, evidence.holdout, evidence.made) if rows is not None]
    parts = [
        rows.take(np.linspace(0, len(rows) - 1, min(len(rows), _LEARNED_FROM)).astype(int))
        for rows in samples
    ]
    shown = np.vstack([np.asarray(view.transform(rows.X), dtype=float) for rows in parts])
    known = np.vstack([rows.z for rows in parts])
    if shown.shape == known.shape and np.allclose(shown, known):
        return lambda X: np.asarray(view.transform(X), dtype=float)
    centre, level = shown.mean(axis=0), known.mean(axis=0)
    weights = np.linalg.lstsq(shown - centre, known - level, rcond=1e-8)[0]
    return lambda X: (np.asarray(view.transform(X)) - centre) @ weights + level
