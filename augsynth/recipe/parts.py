"""The parts of a table: training and test rows, set apart before anything is learned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core import arrays
from augsynth.core.errors import DataError, offenders, sentence
from augsynth.core.random import keyed_rng
from augsynth.recipe.clips import read_clips
from augsynth.recipe.holes import take_out
from augsynth.recipe.images import read_images
from augsynth.recipe.schema import DataSection
from augsynth.recipe.tables import read_dates, read_source
from augsynth.recipe.wording import meant

__all__ = ["Parts", "cell_names", "check_columns", "divide", "divide_samples", "find_split", "group_columns"]
__all__ += ["kept_whole", "read_parts", "split_by_column", "split_by_lot", "subsample"]

_SPLIT, _THIN, _SUBSAMPLE = 1, 2, 3  # keys of the random streams
_NOUNS = {"table": "rows", "images": "images", "audio": "clips", "text": "texts"}
_SPLIT_WORDS = {"train": True, "training": True, "test": False, "testing": False, "holdout": False}


@dataclass
class Parts:
    """Training and test rows of a table (or images), and what was decided on the way.

    Attributes
    ----------
    X : DataFrame, ndarray of images, list of clips or Series of texts
        Training rows; numbered from 0.
    y : Series
        Their labels.
    X_test, y_test : as X, y
        Rows held out; nothing is fitted to them.
    groups : DataFrame or None
        The group columns of the training rows; numeric ones cut into bands.
    notes : list of str
        Decisions that the reader of the report should know.
    modality : {"table", "images", "audio", "text"}
    rate : int or None
        Samples a second, of clips.
    holed : DataFrame or None
        The training rows before their holes were filled, if an imputer did.
    groups_test : DataFrame or None
        The group columns of the test rows.
    """

    X: Any
    y: pd.Series
    X_test: Any
    y_test: pd.Series
    groups: pd.DataFrame | None = None
    notes: list[str] = field(default_factory=list)
    modality: str = "table"
    rate: int | None = None
    holed: pd.DataFrame | None = None
    groups_test: pd.DataFrame | None = None

    @property
    def noun(self) -> str:
        """What the rows are, for messages."""
        return _NOUNS[self.modality]


def read_parts(data: DataSection, seed: int) -> tuple[Parts, str]:
    """Read what the section names and set the test rows aside; also say in words what was read."""
    if data.modality == "images":
        images, labels = read_images(data.path)
        parts = divide_samples(images, labels, data, seed)
        return parts, f"{len(images):,} images of {' x '.join(map(str, images.shape[1:]))}"
    if data.modality == "audio":
        clips, names, rate = read_clips(data.path)
        parts = divide_samples(clips, names, data, seed)
        parts.rate = rate
        lengths = [clip.shape[-1] / rate for clip in (min(clips, key=_length), max(clips, key=_length))]
        return parts, f"{len(clips):,} clips of {lengths[0]:.2f} to {lengths[1]:.2f} s at {rate:,} Hz"
    # "None" and "nan" are texts as any other: only an empty cell is missing.
    missing = [""] if data.modality == "text" and data.missing is None else data.missing
    frame = read_source(data.path, missing=missing, separator=data.separator)
    frame = read_dates(frame, data.dates)
    if data.holes is not None:
        frame = take_out(frame, data.holes.share, data.holes.mechanism, kept_whole(frame, data), seed)
    parts = divide(frame, data, seed)
    if data.modality == "text":
        return parts, f"{len(frame):,} texts"
    return parts, f"{len(frame):,} rows x {frame.shape[1]} columns"


def kept_whole(frame: pd.DataFrame, data: DataSection) -> list[str]:
    """Return the columns that never lose cells on purpose: labels, the split, what is dropped."""
    split = [str(name) for name in frame.columns if str(name).lower() == "split"]
    return [data.target, *data.drop, *split, *([data.split] if data.split else [])]


def _length(clip: np.ndarray) -> int:
    return clip.shape[-1]


def divide_samples(
    samples: np.ndarray | list[np.ndarray], labels: np.ndarray | None, data: DataSection, seed: int
) -> Parts:
    """Set the test images or clips aside, each class its share, then thin the training ones.

    Raises
    ------
    DataError
        If there are no labels, or none that can be used.
    """
    if labels is None:
        todo = "Give the .npz file an array named labels."
        raise DataError(sentence(data.path, "images of a recipe need labels", "none", todo))
    notes: list[str] = []
    y = _check_labels(pd.Series(labels, name=data.target), data.target)
    training = split_by_lot(y, data.test_size, seed)
    kept = _thin(y, training, data.thin, seed, notes)
    _check_training(y[kept], data.target)
    rows = [np.flatnonzero(mask) for mask in (kept, ~training)]
    take = [arrays.take_rows(values, part) for part in rows for values in (samples, y)]
    return Parts(take[0], take[1], take[2], take[3], None, notes, data.modality)


def divide(frame: pd.DataFrame, data: DataSection, seed: int) -> Parts:
    """Set the test rows aside (stratified, or by the split column), then thin the training rows.

    Raises
    ------
    DataError
        If a column does not exist, or the labels cannot be used.
    """
    wanted = [
        data.target,
        *([data.text] if data.text else []),
        *data.groups,
        *data.drop,
        *([data.split] if data.split else []),
    ]
    check_columns(frame, wanted)
    notes: list[str] = []
    split = data.split or find_split(frame, notes)
    y = _check_labels(frame[data.target], data.target)
    out = {data.target, *data.drop, *([split] if split else [])}
    if gone := [name for name in data.groups if name in out]:
        raise DataError(sentence("data.groups", "groups must stay in the table", offenders(gone)))
    X = frame.drop(columns=list(out))
    if X.shape[1] == 0:
        raise DataError("data: no column is left beside the target. Drop fewer columns.")
    training = split_by_column(frame[split], split) if split else split_by_lot(y, data.test_size, seed)
    kept = _thin(y, training, data.thin, seed, notes)
    _check_training(y[kept], data.target)
    groups, groups_test = (group_columns(X[mask].reset_index(drop=True), data) for mask in (kept, ~training))
    rows: Any = X if data.text is None else _texts(X, data.text, kept | ~training)
    take = [table[mask].reset_index(drop=True) for mask in (kept, ~training) for table in (rows, y)]
    return Parts(take[0], take[1], take[2], take[3], groups, notes, data.modality, groups_test=groups_test)


def _texts(X: pd.DataFrame, name: str, used: np.ndarray) -> pd.Series:
    """Return the column of the texts; every row that is used must have one."""
    texts = X[name]
    odd = [k for k in np.flatnonzero(used) if not isinstance(texts.iloc[k], str)]
    if odd:
        given = f"{offenders([texts.iloc[k] for k in odd])} in row {offenders([int(k) + 1 for k in odd])}"
        todo = "Drop those rows, or name the column that holds the texts."
        must = f"every cell of {name!r} must be a text"
        raise DataError(sentence("data.text", must, f"{given} ({len(odd):,} in all)", todo))
    return texts


def group_columns(X: pd.DataFrame, data: DataSection) -> pd.DataFrame | None:
    """Return the columns of groups, numeric ones cut into bands as the recipe says."""
    columns = {}
    for name in data.groups:
        if name not in data.bands:
            columns[name] = X[name]
            continue
        if not pd.api.types.is_numeric_dtype(X[name]):
            raise DataError(
                sentence("data.bands", "banded columns must hold numbers", f"{X[name].dtype} in {name!r}")
            )
        edges = [f"{edge:g}" for edge in data.bands[name]]
        middle = [f"{low} to {high}" for low, high in zip(edges, edges[1:], strict=False)]
        words = [f"below {edges[0]}", *middle, f"{edges[-1]} or more"]
        bins = [-np.inf, *data.bands[name], np.inf]
        cut = pd.cut(X[name], bins, right=False, labels=words)
        columns[f"{name} band"] = cut.astype(object).where(cut.notna(), None)
    return pd.DataFrame(columns) if columns else None


def check_columns(frame: pd.DataFrame, wanted: list[str]) -> None:
    """Raise DataError unless the columns are in the table."""
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


def find_split(frame: pd.DataFrame, notes: list[str]) -> str | None:
    """Return the column that says train or test, if there is one of that name."""
    name = next((str(each) for each in frame.columns if str(each).lower() == "split"), None)
    if name is None or not {str(value).lower() for value in frame[name].unique()} <= set(_SPLIT_WORDS):
        return None
    notes.append(f"The column {name!r} says train or test, so it makes the split and is no feature.")
    return name


def split_by_column(values: pd.Series, name: str) -> np.ndarray:
    """Return the training rows (n,) bool, as a column says them."""
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


def split_by_lot(y: pd.Series, test_size: float, seed: int) -> np.ndarray:
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


def cell_names(y: pd.Series, groups: pd.DataFrame | None = None) -> pd.Series:
    """Name the class, or the class and group, of each row in readable text."""
    text = y.astype(str).reset_index(drop=True)
    if groups is not None:
        for name in groups.columns:
            text = text + " / " + groups[name].astype(str).reset_index(drop=True)
    return text
