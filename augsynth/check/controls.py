"""What every figure stands beside: real rows held out, copies, independent columns, SMOTE."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence, Rows
from augsynth.check.finding import COPY, HOLDOUT, INDEPENDENT, SMOTE
from augsynth.check.utility.leak import row_keys
from augsynth.core.errors import AugsynthError, AugsynthWarning
from augsynth.core.random import keyed_rng
from augsynth.registry import build

__all__ = ["drawn", "make_controls"]

_STREAM = 311


def make_controls(evidence: Evidence) -> tuple[dict[str, Evidence], list[str]]:
    """Return the same evidence about each control in the place of the new rows, and notes.

    *real hold-out*: one half of the held-out rows against the other (so at half the
    size); *copy*: training rows; *independent columns* and *SMOTE*: rows made from the
    training rows. Copies and made rows have the classes and groups of the new rows, at
    most ``max_rows`` of them.
    """
    controls: dict[str, Evidence] = {}
    notes: list[str] = []
    if evidence.halves is not None:
        controls[HOLDOUT] = evidence.with_made(*evidence.halves)
    asked = evidence.capped(evidence.made)
    rng = keyed_rng(evidence.seed, _STREAM)
    known = np.isin(asked.cells, evidence.train.cells)
    asked = asked.take(np.flatnonzero(known))
    if not len(asked):
        return controls, [
            "No new row is of a class and group that the training rows have: no control can be made."
        ]
    controls[COPY] = evidence.with_made(evidence.train.take(drawn(evidence.train.cells, asked.cells, rng)))
    for name, make in _makers(evidence.modality):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AugsynthWarning)
                controls[name] = evidence.with_made(make(evidence, asked.cells, rng))
        except AugsynthError as error:
            notes.append(f"The control {name!r} could not be made: {' '.join(str(error).split())}")
    return controls, notes


def _makers(modality: str) -> list[tuple[str, Callable[[Evidence, np.ndarray, np.random.Generator], Rows]]]:
    """Return what makes each control: from pixels for pictures, from encoded features for the rest."""
    if modality == "image":
        from augsynth.check.pictures.controls import blended_pictures, independent_pixels

        return [(INDEPENDENT, independent_pixels), (SMOTE, blended_pictures)]
    return [(INDEPENDENT, _independent), (SMOTE, _between)]


def drawn(cells: np.ndarray, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return places of rows of the wanted cells, without repeats as long as there are enough."""
    places = np.empty(len(wanted), dtype=int)
    for cell in np.unique(wanted):
        own, room = np.flatnonzero(wanted == cell), np.flatnonzero(cells == cell)
        rounds = -(-len(own) // len(room))
        places[own] = np.concatenate([rng.permutation(room) for _ in range(rounds)])[: len(own)]
    return places


def _independent(evidence: Evidence, wanted: np.ndarray, rng: np.random.Generator) -> Rows:
    """Return rows whose every column (or feature) is drawn by itself from the wanted cell."""
    train = evidence.train
    first = train.take(drawn(train.cells, wanted, rng))
    columns = [train.z[drawn(train.cells, wanted, rng), j] for j in range(train.z.shape[1])]
    target = train.target[drawn(train.cells, wanted, rng)]
    return _made(first, np.column_stack(columns), target)


def _between(evidence: Evidence, wanted: np.ndarray, rng: np.random.Generator) -> Rows:
    """Return SMOTE's rows in the encoded space."""
    train = evidence.train
    frame = _frame(evidence, train)
    generator = build("generator", {"kind": "smote", "random_state": int(rng.integers(2**31))})
    generator.fit(frame, train.cells)
    z = np.asarray(generator.sample(y=wanted), dtype=float)
    first = train.take(drawn(train.cells, wanted, rng))
    target = first.target if evidence.target_kind != "number" else z[:, -1]
    return _made(first, z[:, : train.z.shape[1]], target)


def _frame(evidence: Evidence, rows: Rows) -> pd.DataFrame:
    """Return encoded rows as a table whose level codes are categories."""
    joint = evidence.target_kind == "number"
    z = evidence.joint(rows) if joint else rows.z
    layout = evidence.joint_layout if joint else evidence.layout
    columns = {}
    for j, block in enumerate(layout):
        columns[j] = pd.Series(z[:, j]) if block.is_numeric else pd.Series(pd.Categorical(z[:, j]))
    return pd.DataFrame(columns)


def _made(first: Rows, z: np.ndarray, target: np.ndarray) -> Rows:
    """Return made rows; their ``X`` is that of real rows of the same cells, for want of their own."""
    keys = row_keys(z)
    return Rows(
        z, first.labels, first.groups, first.cells, target, first.keys if keys is None else keys, first.X
    )
