"""One imputer on one table with hidden cells: what it fills in, how long it takes."""

from __future__ import annotations

import time
import warnings
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from augsynth.check.utility.folds import one_thread
from augsynth.core.errors import DataError, sentence
from augsynth.core.random import keyed_rng, seeded
from augsynth.encode.table import TableCodec
from augsynth.impute.self_check import column_starts

__all__ = ["COLUMN_MEAN", "Hidden", "Task", "Trial", "run_trial"]

COLUMN_MEAN = "column mean"
_FIT, _DRAW = 301, 302  # streams of the seed


@dataclass(frozen=True)
class Task:
    """The table as it is, before any cell is hidden.

    Attributes
    ----------
    frame : DataFrame (n, columns)
    codec : TableCodec
    z : ndarray (n, p)
        Coded rows; NaN where the table has holes of its own.
    scale : ndarray (p,)
        Standard deviation of each numeric column, 1 for the others.
    y : ndarray (n,) or None
    seed : int
    """

    frame: pd.DataFrame
    codec: TableCodec
    z: np.ndarray
    scale: np.ndarray
    y: np.ndarray | None
    seed: int


@dataclass(frozen=True)
class Hidden:
    """The same table with cells hidden, cut into training and hold-out rows.

    Attributes
    ----------
    repeat : int
    frame : DataFrame
    rows, columns : ndarray of int (K,)
        Where the hidden cells are, in ``Task.z``.
    truth, starts : ndarray (K,), (p,)
        What they hold, coded; mean or mode of each column in the training rows.
    train, test : ndarray of int
    """

    repeat: int
    frame: pd.DataFrame
    rows: np.ndarray
    columns: np.ndarray
    truth: np.ndarray
    starts: np.ndarray
    train: np.ndarray
    test: np.ndarray


@dataclass
class Trial:
    """What an imputer made of it.

    Attributes
    ----------
    cells, draws : ndarray (K,), (m, K)
        The hidden cells, filled at their best and at random; None where it does not draw.
    left : int
        Hidden cells that it left missing: they count as filled with the column mean.
    z, frame : ndarray (n, p), DataFrame
        The table with all its holes filled.
    seconds : dict
        CPU seconds to "fit", to "transform" and for one "draw".
    notes : list of str
    error : str
        Empty unless it failed.
    """

    name: str
    repeat: int
    cells: np.ndarray = field(default_factory=lambda: np.empty(0))
    draws: np.ndarray | None = None
    left: int = 0
    z: np.ndarray | None = None
    frame: pd.DataFrame | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str = ""


def hide(task: Task, hidden: pd.DataFrame, train: np.ndarray, test: np.ndarray, repeat: int) -> Hidden:
    """Describe an amputed copy of the table."""
    names = task.codec.names
    rows, columns = np.nonzero(hidden[names].isna().to_numpy() & ~np.isnan(task.z))
    left = task.z.copy()
    left[rows, columns] = np.nan
    starts = column_starts(left[train], task.codec.layout)
    judged = ~np.isnan(starts[columns])  # not where a training column was left without a cell
    rows, columns = rows[judged], columns[judged]
    return Hidden(repeat, hidden, rows, columns, task.z[rows, columns], starts, train, test)


def run_trial(name: str, imputer: Any, task: Task, hidden: Hidden, m: int) -> Trial:
    """Fit an imputer on the training rows with holes, and have it fill all rows; None is the column mean."""
    if imputer is None:
        return _column_mean(task, hidden)
    trial = Trial(name, hidden.repeat)
    key = zlib.crc32(name.encode())  # by name: adding an imputer leaves the others as they were
    with one_thread(), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            fresh = seeded(clone(imputer, safe=False), task.seed, _FIT, hidden.repeat, key)
            _run(fresh, task, hidden, m, trial, key)
        except Exception as error:  # one imputer must not take the others down with it
            trial.error = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    kinds = {each.category: str(each.message) for each in reversed(warned)}
    trial.notes += [" ".join(text.split())[:300] for text in kinds.values()]
    return trial


def _column_mean(task: Task, hidden: Hidden) -> Trial:
    z = task.z.copy()
    z[hidden.rows, hidden.columns] = np.nan
    z = np.where(np.isnan(z), hidden.starts, z)
    whole = pd.DataFrame(task.codec.decode(z)).set_axis(hidden.frame.index)
    cells = hidden.starts[hidden.columns]
    return Trial(COLUMN_MEAN, hidden.repeat, cells, z=z, frame=whole, seconds={"fit": 0.0, "transform": 0.0})


def _run(imputer: Any, task: Task, hidden: Hidden, m: int, trial: Trial, key: int) -> None:
    own = hasattr(imputer, "impute") and hasattr(imputer, "fill")
    told = bool(own and getattr(imputer, "use_target", False))
    if told and task.y is None:
        must = "an imputer with use_target=True needs y"
        raise DataError(sentence("imputation", must, "none", "Pass y, or say use_target=False."))
    filler: _Own | _Foreign = _Own(imputer, told) if own else _Foreign(imputer, task)
    parts = [(rows, hidden.frame.iloc[rows]) for rows in (hidden.train, hidden.test)]
    labels = None if task.y is None else task.y[hidden.train]
    start = time.process_time()
    filler.fit(parts[0][1], labels)
    trial.seconds["fit"] = time.process_time() - start
    start = time.process_time()
    filled = [filler.point(part, None if k else labels) for k, (_, part) in enumerate(parts)]
    trial.frame, trial.z = _joined(task, hidden, filled)
    trial.seconds["transform"] = time.process_time() - start
    cells = trial.z[hidden.rows, hidden.columns]
    trial.left = int(np.isnan(cells).sum())
    if trial.left:
        trial.notes.append(f"left {trial.left} hidden cells missing; they count as the column mean")
    trial.cells = np.where(np.isnan(cells), hidden.starts[hidden.columns], cells)
    trial.notes += filler.notes
    if filler.draws and m:
        _draw(filler, parts, labels, task, hidden, m, trial, key)


def _draw(
    filler: _Own | _Foreign,
    parts: list[tuple[np.ndarray, pd.DataFrame]],
    labels: np.ndarray | None,
    task: Task,
    hidden: Hidden,
    m: int,
    trial: Trial,
    key: int,
) -> None:
    """Have the hidden cells drawn m times: all rows at once, unless only some know their label."""
    seed = int(keyed_rng(task.seed, _DRAW, hidden.repeat, key).integers(2**31))
    together = pd.concat([part for _, part in parts], ignore_index=True)
    start = time.process_time()
    if filler.told:
        made = [filler.drawn(part, None if k else labels, m, seed) for k, (_, part) in enumerate(parts)]
        whole = [list(pair) for pair in zip(*made, strict=True)]
    else:
        whole = [[draw] for draw in filler.drawn(together, None, m, seed)]
    trial.seconds["draw"] = (time.process_time() - start) / m
    drawn = [_joined(task, hidden, tables)[1][hidden.rows, hidden.columns] for tables in whole]
    trial.draws = np.where(np.isnan(drawn), hidden.starts[hidden.columns], np.array(drawn))


def _joined(task: Task, hidden: Hidden, parts: list[pd.DataFrame]) -> tuple[pd.DataFrame, np.ndarray]:
    """Put training and hold-out rows together again, in order; observed cells are the table's own."""
    whole = pd.concat(parts, ignore_index=True)
    order = np.argsort(np.concatenate([hidden.train, hidden.test]), kind="stable")
    whole = whole.iloc[order].set_axis(hidden.frame.index)
    z = task.codec.encode(whole, "imputation")
    kept = task.z.copy()
    kept[hidden.rows, hidden.columns] = np.nan
    return whole, np.where(np.isnan(kept), z, kept)


class _Own:
    """An imputer of this library."""

    draws = True

    def __init__(self, imputer: Any, told: bool) -> None:
        self.imputer, self.told, self.notes = imputer, told, list[str]()

    def fit(self, part: pd.DataFrame, y: np.ndarray | None) -> None:
        self.imputer.fit(part, y) if self.told else self.imputer.fit(part)

    def point(self, part: pd.DataFrame, y: np.ndarray | None) -> pd.DataFrame:
        return self.imputer.fill(part, y) if self.told else self.imputer.fill(part)

    def drawn(self, part: pd.DataFrame, y: np.ndarray | None, m: int, seed: int) -> list[pd.DataFrame]:
        more = {"y": y} if self.told else {}
        return self.imputer.impute(part, m, random_state=seed, **more)


class _Foreign:
    """A scikit-learn transformer: sees the table if it can, else numbers and level codes."""

    told = False

    def __init__(self, imputer: Any, task: Task) -> None:
        self.imputer, self.codec = imputer, task.codec
        self.draws = bool(getattr(imputer, "sample_posterior", False))
        self.notes: list[str] = []
        self.coded = False

    def fit(self, part: pd.DataFrame, y: np.ndarray | None) -> None:
        numeric = all(c.kind in ("continuous", "integer") for c in self.codec.schema)
        if numeric:
            self.coded = True  # its codes are its numbers
            self.imputer.fit(self._given(part))
            return
        try:
            self.imputer.fit(part)
            self._named(self.imputer.transform(part.iloc[:2]), part.iloc[:2])
        except Exception:
            self.coded = True
            self.imputer.fit(self._given(part))
            self.notes.append("cannot take the table as it is: it was given numbers and level codes, rounded")

    def _given(self, part: pd.DataFrame) -> pd.DataFrame:
        if not self.coded:
            return part
        z = self.codec.encode(part, "imputation")
        return pd.DataFrame(z, columns=[str(name) for name in self.codec.names])

    def point(self, part: pd.DataFrame, y: np.ndarray | None) -> pd.DataFrame:
        given = self._given(part)
        made = self._named(self.imputer.transform(given), given)
        if not self.coded:
            return made
        z = np.array(made, dtype=np.float64)
        for j, block in enumerate(self.codec.layout):
            if not block.is_numeric:
                z[:, j] = np.clip(np.rint(z[:, j]), 0, block.n_levels - 1)
        return _decoded(self.codec, z)

    def drawn(self, part: pd.DataFrame, y: np.ndarray | None, m: int, seed: int) -> list[pd.DataFrame]:
        return [self.point(part, y) for _ in range(m)]  # draws anew at every call

    def _named(self, made: Any, given: pd.DataFrame) -> pd.DataFrame:
        """Return what came out under the columns that went in."""
        array = made.toarray() if hasattr(made, "toarray") else made
        frame = array if isinstance(array, pd.DataFrame) else pd.DataFrame(np.asarray(array))
        names = [str(name) for name in given.columns]
        try:
            told = [str(name) for name in self.imputer.get_feature_names_out()]
        except Exception:  # none, or none that are known
            told = []
        if len(told) == frame.shape[1]:
            for shown in (told, [name.split("__", 1)[-1] for name in told]):
                if set(names) <= set(shown):
                    places = [shown.index(name) for name in names]
                    return frame.iloc[:, places].set_axis(given.columns, axis=1).infer_objects()
        if frame.shape[1] < len(names):
            must = f"the imputer must give back the {len(names)} columns that it got"
            raise DataError(sentence("imputation", must, f"{frame.shape[1]}"))
        return frame.iloc[:, : len(names)].set_axis(given.columns, axis=1).infer_objects()


def _decoded(codec: TableCodec, z: np.ndarray) -> pd.DataFrame:
    """Return the table of coded rows; whole numbers that became means stay means."""
    frame = codec.decode(z)
    place = {name: j for j, name in enumerate(codec.names)}
    for column in codec.schema:
        plain = isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf" and not column.origin
        if column.name in place and column.kind == "integer" and plain:
            frame[column.name] = z[:, place[column.name]]
    return frame
