"""The data sets of the benchmarks: where they lie, how they are split, how they are thinned."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


def data_folder(given: Path | None = None) -> Path:
    """Return the folder with ``load.py``: the one given, $AUGSYNTH_DATA, or ../shared/data."""
    folder = Path(given or os.environ.get("AUGSYNTH_DATA") or DEFAULT_FOLDER)
    if not (folder / "load.py").exists():
        raise SystemExit(
            f"no data sets in {folder.name!r} (load.py is missing): give --data FOLDER or set AUGSYNTH_DATA"
        )
    return folder


@lru_cache(maxsize=4)
def _loader(folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("benchmark_data_sets", folder / "load.py")
    if spec is None or spec.loader is None:
        raise SystemExit("load.py of the data sets cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Split:
    """A table split into training and test rows; ``y`` is 1 for the minority class, else 0."""

    name: str
    X_train: pd.DataFrame
    y_train: np.ndarray
    X_test: pd.DataFrame
    y_test: np.ndarray
    note: str
    groups: tuple[str, ...] = ()
    categorical: tuple[str, ...] = field(default=())


@lru_cache(maxsize=4)
def _table(name: str, folder: Path) -> tuple[pd.DataFrame, np.ndarray, dict]:
    X, y, info = _loader(folder).load(name)
    return X, (y == info["minority_label"]).to_numpy().astype(np.int64), info


def load_split(name: str, seed: int = 0, *, folder: Path | None = None) -> Split:
    """Load a set: its own split where it has one (Adult: UCI), else 70/30 stratified by the seed."""
    from sklearn.model_selection import train_test_split

    X, y, info = _table(name, data_folder(folder))
    if info["split"] is not None:
        inside = (info["split"] == "train").to_numpy()
        train, test = np.flatnonzero(inside), np.flatnonzero(~inside)
        note = "the split of the origin"
    else:
        train, test = train_test_split(np.arange(len(y)), test_size=0.3, stratify=y, random_state=seed)
        note = "70/30, stratified, by seed"
    X_train, X_test = (X.iloc[rows].reset_index(drop=True) for rows in (train, test))
    return Split(
        name, X_train, y[train], X_test, y[test], note, tuple(info["groups"]), tuple(info["categorical"])
    )


def thinned(split: Split, n_positive: int, n_negative: int, seed: int) -> Split:
    """Keep so many positive and negative training rows, drawn by the seed; the test set stays whole.

    The draws are nested: of one seed, the 30 positive rows are among the 100,
    the 100 among the 300, and the negative rows are the same.
    """
    rng = np.random.default_rng([seed, 20_240])
    positive = rng.permutation(np.flatnonzero(split.y_train == 1))[:n_positive]
    negative = rng.permutation(np.flatnonzero(split.y_train == 0))[:n_negative]
    rows = np.sort(np.concatenate([positive, negative]))
    return Split(
        split.name,
        split.X_train.iloc[rows].reset_index(drop=True),
        split.y_train[rows],
        split.X_test,
        split.y_test,
        split.note,
        split.groups,
        split.categorical,
    )
