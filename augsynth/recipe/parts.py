"""The parts of a table: training and test rows, set apart before anything is learned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import DataError, offenders, sentence
from augsynth.core.random import keyed_rng
from augsynth.recipe.wording import meant
from augsynth.recipe.schema import DataSection

__all__ = ["Parts", "cell_counts", "divide", "subsample"]

_SPLIT, _THIN, _SUBSAMPLE = 1, 2, 3  # keys of the random streams
_SPLIT_WORDS = {"train": True, "training": True, "test": False, "testing": False, "holdout": False}


@dataclass
class Parts:
    """Training and test rows of a table, and what was decided on the way.

    Attributes
    ----------
    X, y : DataFrame, Series
        Training rows; numbered from 0.
    X_test, y_test : DataFrame, Series
        Rows held out; nothing is fitted to them.
    notes : list of str
        Decisions that the reader of the report should know.
    """

    X: pd.DataFrame
    y: pd.Series
    X_test: pd.DataFrame
    y_test: pd.Series
    notes: list[str] = field(default_factory=list)


def divide(frame: pd.DataFrame, data: DataSection, seed: int) -> Parts:
    """Set the test rows aside (stratified, or by the split column), then thin the training rows.

    Raises
    ------
    DataError
        If a column does not exist, or the labels cannot be used.
    """
    wanted = [data.target, *data.groups, *data.drop, *([data.split] if data.split else [])]
    _check_columns(frame, wanted)
    notes: list[str] = []
    split = data.split or _find_split(frame, notes)
    y = _check_labels(frame[data.target], data.target)
    out = {data.target, *data.drop, *([split] if split else [])}
    if gone := [name for name in data.groups if name in out]:
        raise DataError(sentence("data.groups", "groups must stay in the table", offenders(gone)))
    X = frame.drop(columns=list(out))
    if X.shape[1] == 0:
        raise DataError("data: no column is left beside the target. Drop fewer columns.")
    if split:
        training = _split_by_column(frame[split], split, notes)
    else:
        training = _split_by_lot(y, data.test_size, seed)
    kept = _thin(y, training, data.thin, seed, notes)
    _check_training(y[kept], data.target)
    take = [(table[mask].reset_index(drop=True)) for mask in (kept, ~training) for table in (X, y)]
    return Parts(*take, notes=notes)


def _check_columns(frame: pd.DataFrame, wanted: list[str]) -> None:
    unknown = [name for name in wanted if name not in frame.columns]
    if unknown:
        near = meant(unknown[0], frame.columns).removeprefix("; ")
        hint = (
            near[:1].upper() + near[1:] if near else f"There are: {', '.join(map(str, frame.columns[:20]))}."
        )
        raise DataError(sentence("data", "its columns must be in the table", offenders(unknown), hint))


def _check_labels(y: pd.Series, target: str) -> pd.Series:
    if y.isna().any():
        given = f"{int(y.isna().sum())} missing in {target!r}"
        raise DataError(
            sentence("data.target", "every row must have a label", given, "Drop those rows first.")
        )
    if pd.api.types.is_float_dtype(y) and (y % 1 != 0).any():
        given = f"{y.nunique()} different numbers in {target!r}"
        todo = "Cut it into classes first; recipes serve class labels."
        raise DataError(sentence("data.target", "labels must be classes", given, todo))
    if y.nunique() < 2:
        raise DataError(sentence("data.target", "there must be at least two classes", offenders(y.unique())))
    return y


def _find_split(frame: pd.DataFrame, notes: list[str]) -> str | None:
    name = next((str(each) for each in frame.columns if str(each).lower() == "split"), None)
    if name is None or not {str(value).lower() for value in frame[name].unique()} <= set(_SPLIT_WORDS):
        return None
    notes.append(f"The column {name!r} says train or test, so it makes the split and is no feature.")
    return name


def _split_by_column(values: pd.Series, name: str, notes: list[str]) -> np.ndarray:
    words = values.astype(str).str.lower()
    unknown = sorted(set(words) - set(_SPLIT_WORDS))
    if unknown:
        todo = f"Words: {', '.join(_SPLIT_WORDS)}."
        raise DataError(sentence("data.split", f"{name!r} must say train or test", offenders(unknown), todo))
    training = words.map(_SPLIT_WORDS).to_numpy(bool)
    if training.all() or not training.any():
        raise DataError(
            sentence("data.split", "there must be training and test rows", f"only {words.iloc[0]!r}")
        )
    return training


def _split_by_lot(y: pd.Series, test_size: float, seed: int) -> np.ndarray:
    """Return the training rows (n,) bool; each class gives its share to the test part."""
    training = np.ones(len(y), dtype=bool)
    codes, _ = pd.factorize(y, sort=True)
    for code in range(codes.max() + 1):
        rows = np.flatnonzero(codes == code)
        n_test = min(max(round(test_size * len(rows)), 1), len(rows) - 1)
        chosen = keyed_rng(seed, _SPLIT, code).permutation(len(rows))[:n_test]
        training[rows[chosen]] = False
    return training


def _thin(
    y: pd.Series, training: np.ndarray, thin: dict[Any, int], seed: int, notes: list[str]
) -> np.ndarray:
    kept = training.copy()
    labels = {str(label): label for label in y.unique()}
    for position, (label, keep) in enumerate(thin.items()):
        if str(label) not in labels:
            raise DataError(
                sentence(
                    "data.thin",
                    "labels must be in the target",
                    repr(label),
                    f"There are: {offenders(labels)}.",
                )
            )
        rows = np.flatnonzero(training & (y == labels[str(label)]).to_numpy())
        if keep >= len(rows):
            notes.append(
                f"data.thin: {label} has {len(rows)} training rows, fewer than {keep}; all are kept."
            )
            continue
        order = keyed_rng(seed, _THIN, position).permutation(len(rows))
        kept[rows[order[keep:]]] = False
        notes.append(f"{label} was thinned from {len(rows)} to {keep} training rows, on purpose (data.thin).")
    return kept


def _check_training(y: pd.Series, target: str) -> None:
    thin = y.value_counts()[lambda counts: counts < 2]
    if len(thin):
        given = ", ".join(f"{label}: {rows}" for label, rows in thin.head(3).items())
        raise DataError(
            sentence(
                "data.target",
                f"each class of {target!r} needs at least 2 training rows",
                given,
                "Merge or drop it.",
            )
        )


def subsample(y: pd.Series, rows: int, seed: int, floor: int = 50) -> np.ndarray:
    """Choose about ``rows`` rows for a comparison that must stay affordable, in order.

    Classes keep their shares, except that a class keeps at least ``floor`` rows
    (or all it has): a rare class must not vanish from the comparison.
    """
    if rows >= len(y):
        return np.arange(len(y))
    codes, _ = pd.factorize(y, sort=True)
    chosen = []
    for code in range(codes.max() + 1):
        of_class = np.flatnonzero(codes == code)
        take = min(len(of_class), max(floor, round(rows * len(of_class) / len(y))))
        chosen.append(of_class[keyed_rng(seed, _SUBSAMPLE, code).permutation(len(of_class))[:take]])
    return np.sort(np.concatenate(chosen))


def cell_counts(y: pd.Series, groups: pd.DataFrame | None = None) -> pd.Series:
    """Count the rows of each class, or of each class and group; the index is readable text."""
    keys = [y.astype(str)]
    if groups is not None and groups.shape[1]:
        keys += [
            groups[name].astype(object).where(groups[name].notna(), "missing").astype(str) for name in groups
        ]
    text = keys[0].copy()
    for key in keys[1:]:
        text = text + " · " + key
    return text.value_counts().sort_index()
