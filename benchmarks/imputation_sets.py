"""The tables of the imputation benchmark: cut by a seed, amputed, split into training and hold-out rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from data import _loader, data_folder

SETS = (
    "wine", "german_credit", "california_housing", "abalone", "breast_cancer", "credit_default", "adult",
)  # fmt: skip
OWN_HOLES = ("horse_colic",)
MECHANISMS = ("MCAR", "MAR", "MNAR")
SHARES = (0.1, 0.3, 0.5)
ROWS = 450
ROWS_OF = {"credit_default": 300, "adult": 300}  # what a hundred trees a column and round can be asked for
HOLD_OUT = 1 / 3


@dataclass(frozen=True)
class Table:
    """A whole table: features (numbers as float64, categories as pandas categories) and its target."""

    name: str
    X: pd.DataFrame
    y: np.ndarray
    is_class: bool

    @property
    def categorical(self) -> list[str]:
        """The names of the categorical columns."""
        return [c for c in self.X if isinstance(self.X[c].dtype, pd.CategoricalDtype)]


@dataclass(frozen=True)
class Case:
    """One cell of the grid: the true table, the same with holes, and which rows train."""

    table: Table
    mechanism: str
    share: float
    seed: int
    holes: pd.DataFrame
    train: np.ndarray
    test: np.ndarray

    def key(self) -> dict[str, object]:
        """Return the fields that name this cell in the results."""
        return {
            "data": self.table.name,
            "mechanism": self.mechanism,
            "share": self.share,
            "seed": self.seed,
        }

    def digest(self) -> str:
        """Return a short hash of the table with its holes and of the split."""
        rows = pd.util.hash_pandas_object(self.holes, index=False, categorize=False)
        content = rows.to_numpy().tobytes() + self.train.tobytes() + self.test.tobytes()
        return hashlib.sha256(content).hexdigest()[:12]

    def part(self, rows: np.ndarray, *, true: bool = False) -> pd.DataFrame:
        """Return rows with holes, or as they are in truth."""
        frame = self.table.X if true else self.holes
        return frame.iloc[rows].reset_index(drop=True)


def _bundled(name: str) -> tuple[pd.DataFrame, pd.Series, bool]:
    from sklearn import datasets

    found = {"wine": datasets.load_wine, "breast_cancer": datasets.load_breast_cancer}[name](as_frame=True)
    return found.data, found.target, True


@lru_cache(maxsize=4)
def _whole(name: str, folder: Path) -> tuple[pd.DataFrame, np.ndarray, bool]:
    if name in ("wine", "breast_cancer"):
        X, y, is_class = _bundled(name)
    else:
        X, y, info = _loader(folder).load(name)
        is_class = info["task"] != "regression"
    target = pd.factorize(y, sort=True)[0] if is_class else np.asarray(y, dtype=float)
    return X.copy(), target, is_class


def load_table(name: str, *, rows: int | None = None, seed: int = 0, folder: Path | None = None) -> Table:
    """Load a set and draw ``rows`` of its complete rows by the seed (all where it has fewer).

    A set with holes of its own keeps all rows. Numbers become float64; levels that the drawn
    rows lack and columns that are constant in them are dropped.
    """
    X, y, is_class = _whole(name, data_folder(folder) if name not in ("wine", "breast_cancer") else Path())
    if name not in OWN_HOLES:
        complete = np.flatnonzero(X.notna().all(axis=1))
        chosen = np.sort(
            np.random.default_rng([seed, 77]).permutation(complete)[: rows or ROWS_OF.get(name, ROWS)]
        )
        X, y = X.iloc[chosen].reset_index(drop=True), y[chosen]
    out = {}
    for c in X:
        column = X[c]
        if isinstance(column.dtype, pd.CategoricalDtype):
            out[c] = column.cat.remove_unused_categories()
        else:
            out[c] = column.astype(np.float64)
        if out[c].nunique() < 2:
            del out[c]
    return Table(name, pd.DataFrame(out), y, is_class)


def holes(table: Table, mechanism: str, share: float, seed: int) -> np.ndarray:
    """Return which cells are taken away, (n, p) bool: ``share`` of all cells."""
    stream = [seed, MECHANISMS.index(mechanism), int(round(share * 100))]
    rng = np.random.default_rng(stream)
    if mechanism == "MCAR":
        missing = rng.random(table.X.shape) < share
    else:
        from augsynth.impute.amputation import ampute

        amputed = ampute(table.X, mechanism=mechanism, share=share, random_state=int(rng.integers(2**31)))
        missing = np.asarray(pd.DataFrame(amputed).isna())
    # No row and no column loses everything: some of the peers cannot read that.
    for i in np.flatnonzero(missing.all(axis=1)):
        missing[i, rng.integers(missing.shape[1])] = False
    return missing


def make_case(table: Table, mechanism: str, share: float, seed: int) -> Case:
    """Take cells away and split the rows; levels are those of the whole table for all methods."""
    rng = np.random.default_rng([seed, 99])
    order = rng.permutation(len(table.X))
    n_test = int(round(len(order) * HOLD_OUT))
    test, train = np.sort(order[:n_test]), np.sort(order[n_test:])
    if mechanism == "own":
        return Case(table, mechanism, share, seed, table.X, train, test)
    missing = pd.DataFrame(holes(table, mechanism, share, seed), columns=table.X.columns, index=table.X.index)
    return Case(table, mechanism, share, seed, table.X.mask(missing), train, test)
