"""What is measured in each group: shares and means of rows, with the rows that each of them is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import type_of_target

from augsynth.check.utility.metric import rarer_class
from augsynth.core.errors import DataError, ParameterError, offenders, sentence
from augsynth.encode.condition import group_frame

__all__ = [
    "Measure", "Tally", "Targets", "attributes", "macro_recall", "measures", "names_asked", "r_squared",
    "refuse_two_kinds", "tally",
]  # fmt: skip

_MOST_CLASSES = 50
JOINED = " x "


@dataclass(frozen=True, eq=False)
class Measure:
    """One figure of a group: the mean of `value` over the rows where `inside`.

    Attributes
    ----------
    name, words : str
        A stable name, and how a sentence says it.
    value, inside : ndarray (n,)
        A number a row (0 or 1 for a rate), and the rows that count.
    lacking : str
        What a group without such rows has none of, such as "positives".
    better : str
        "high", "low" or "" where neither is.
    kind : str
        "rate" or "mean".
    criterion : str
        The fairness criterion that equal values would meet; "" for none.
    """

    name: str
    words: str
    value: np.ndarray
    inside: np.ndarray
    lacking: str
    better: str = ""
    kind: str = "rate"
    criterion: str = ""


@dataclass(frozen=True, eq=False)
class Targets:
    """Labels and predictions, read once.

    Attributes
    ----------
    kind : str
        "binary", "multiclass" or "number".
    true : ndarray (n,)
        Class codes, or numbers.
    classes : list
        Labels by code; of two, the positive one is code 1.
    """

    kind: str
    true: np.ndarray
    classes: list[Any]
    where: str

    @classmethod
    def of(cls, y_true: Any, predictions: Sequence[Any], pos_label: Any, where: str) -> tuple[Targets, list]:
        """Read labels and one or more predictions of them; return the predictions in the same codes.

        Raises
        ------
        DataError
            If something is missing, of another length, or scores stand where labels belong.
        """
        columns = [_column(y_true, "y_true", where)]
        columns += [_column(each, "y_pred", where) for each in predictions]
        if any(len(each) != len(columns[0]) for each in columns):
            given = " and ".join(f"{len(each)} rows" for each in columns)
            raise DataError(sentence(where, "y_true and y_pred must have the same length", given))
        refuse_two_kinds(columns, where)
        first = columns[0]
        numeric = pd.api.types.is_numeric_dtype(first) and not pd.api.types.is_bool_dtype(first)
        if numeric:
            floats = [_floats(each, where) for each in columns]
            distinct = pd.unique(floats[0])
            is_number = len(distinct) > 2 and (
                type_of_target(floats[0]) == "continuous" or len(distinct) > max(20, 0.2 * len(first))
            )
            if is_number and pos_label is None:
                return cls("number", floats[0], [], where), floats[1:]
            _check_labels(floats, where)
        values = [each.to_numpy(dtype=object) for each in columns]
        codes, levels = pd.factorize(np.concatenate(values))
        classes, order = _sorted_classes(list(levels), pos_label, codes[: len(first)], where)
        codes = order[codes]
        if len(classes) > _MOST_CLASSES:
            must = f"y_true may hold at most {_MOST_CLASSES} classes"
            raise DataError(sentence(where, must, f"{len(classes)}", "Join the rare ones."))
        parts = np.split(codes, np.cumsum([len(each) for each in columns])[:-1])
        kind = "binary" if len(classes) <= 2 else "multiclass"
        return cls(kind, parts[0], classes, where), list(parts[1:])


def _column(values: Any, name: str, where: str) -> pd.Series:
    if isinstance(values, pd.DataFrame) and values.shape[1] == 1:
        values = values.iloc[:, 0]
    if not isinstance(values, pd.Series):
        array = np.asarray(values)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise DataError(sentence(where, f"{name} must hold one value a row", f"shape {array.shape}"))
        values = pd.Series(array)
    if not len(values):
        raise DataError(sentence(where, f"{name} must hold rows", "none"))
    missing = values.isna()
    if missing.any():
        given = f"{int(missing.sum())} missing, first in row {int(np.flatnonzero(missing)[0])}"
        raise DataError(sentence(where, f"{name} may not be missing", given, "Drop those rows."))
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    return values.reset_index(drop=True).infer_objects()


def refuse_two_kinds(columns: Sequence[pd.Series], where: str) -> None:
    """Raise DataError where labels stand as numbers here and as text there: 1 is not "1"."""
    kinds = list(dict.fromkeys(filter(None, map(_kind, columns))))
    if len(kinds) > 1:
        must = "y_true and predictions must hold labels of one type"
        todo = "Bring them to one type, such as y.astype(str)."
        raise DataError(sentence(where, must, " and ".join(kinds), todo))


def _kind(column: pd.Series) -> str:
    """Return "numbers" (bools count as 0 and 1), "text" or "dates"; "" for a mixture."""
    if pd.api.types.is_numeric_dtype(column):
        return "numbers"
    found = pd.api.types.infer_dtype(column, skipna=True)
    if found in ("integer", "floating", "mixed-integer-float", "boolean", "decimal"):
        return "numbers"
    return {"string": "text", "datetime64": "dates", "datetime": "dates", "date": "dates"}.get(found, "")


def names_asked(metrics: Any, where: str) -> list[Any]:
    """Return the names of the metrics that are wanted."""
    if isinstance(metrics, str):
        return [metrics]
    if not isinstance(metrics, Iterable):
        must = "metrics must be a name or a list of names"
        raise ParameterError(sentence(where, must, repr(metrics)))
    return list(metrics)


def _floats(column: pd.Series, where: str) -> np.ndarray:
    try:
        floats = column.astype(float).to_numpy()
    except (TypeError, ValueError):
        must = "y_true and y_pred must both hold numbers, or both hold labels"
        raise DataError(sentence(where, must, f"numbers and {column.dtype}")) from None
    if not np.isfinite(floats).all():
        given = f"{int((~np.isfinite(floats)).sum())} infinite"
        raise DataError(sentence(where, "y_true and y_pred must be finite", given))
    return floats


def _check_labels(floats: list[np.ndarray], where: str) -> None:
    known = np.unique(floats[0])
    for each in floats[1:]:
        odd = np.setdiff1d(each, known)
        odd = odd[odd != np.round(odd)]
        if len(odd):
            must = "y_pred must hold labels where y_true does"
            todo = "Pass labels as y_pred, and scores or probabilities as y_score."
            raise DataError(sentence(where, must, offenders(odd.tolist()), todo))


def _sorted_classes(
    levels: list[Any], pos_label: Any, true: np.ndarray, where: str
) -> tuple[list[Any], np.ndarray]:
    """Return the classes, sorted, of two the positive one last, and the new code of each old one."""
    try:
        order = sorted(range(len(levels)), key=lambda k: levels[k])
    except TypeError:
        order = sorted(range(len(levels)), key=lambda k: str(levels[k]))
    classes = [levels[k] for k in order]
    if len(classes) == 1 and classes[0] in (0, 1, -1):  # the other class exists, if not here
        classes = [0 if classes[0] == 1 else classes[0], 1]
        order = [levels.index(each) if each in levels else -1 for each in classes]
    if pos_label is not None and pos_label not in classes:
        must = "pos_label must be one of the labels"
        raise ParameterError(sentence(where, must, repr(pos_label), f"Labels are {offenders(classes)}."))
    if len(classes) == 2 or pos_label is not None:
        positive = pos_label
        if positive is None and 1 in classes:
            positive = 1
        if positive is None:
            positive = levels[int(rarer_class(true))]
        if len(classes) > 2:  # one class against the rest
            codes = np.array([int(level == positive) for level in levels])
            return [f"not {positive}", positive], codes
        at = classes.index(positive)
        classes, order = [classes[1 - at], classes[at]], [order[1 - at], order[at]]
    codes = np.zeros(len(levels), dtype=int)
    for new, old in enumerate(order):
        if old >= 0:
            codes[old] = new
    return classes, codes


def measures(targets: Targets, pred: np.ndarray, score: np.ndarray | None = None) -> list[Measure]:
    """Return what is measured of these predictions: rates for classes, errors for numbers."""
    true = targets.true
    every = np.ones(len(true), dtype=bool)
    if targets.kind == "number":
        error = pred - true
        return [
            Measure("mean_error", "mean error (prediction minus truth)", error, every, "rows", kind="mean"),
            Measure(
                "mean_absolute_error", "mean absolute error", np.abs(error), every, "rows", "low", "mean"
            ),
        ]
    right = pred == true
    accuracy = Measure("accuracy", "accuracy", right, every, "rows", "high")
    if targets.kind == "multiclass":
        listed = [accuracy]
        for code, label in enumerate(targets.classes):
            own, said = true == code, pred == code
            lacking = f"rows of class {label}"
            listed.append(Measure(f"recall[{label}]", f"recall of class {label}", said, own, lacking, "high"))
            words = f"share predicted as class {label}"
            listed.append(Measure(f"selection_rate[{label}]", words, said, every, "rows"))
        return listed
    said = pred == 1
    listed = [
        Measure(
            "selection_rate", "selection rate", said, every, "rows", criterion="demographic parity"
        ),
        Measure(
            "true_positive_rate", "true-positive rate (recall)", said, true == 1, "positives", "high",
            criterion="equal opportunity",
        ),
        Measure("false_positive_rate", "false-positive rate", said, true == 0, "negatives", "low"),
        accuracy,
        Measure("precision", "precision", right, said, "predicted positives", "high"),
    ]  # fmt: skip
    if score is not None:
        listed.append(
            Measure("calibration", "mean score minus rate", score - true, every, "rows", kind="mean")
        )
    return listed


@dataclass(frozen=True, eq=False)
class Tally:
    """A measure in every group.

    Attributes
    ----------
    values, deviations, rows, counts : ndarray (g,)
        Mean (NaN where the group has no such rows), standard deviation, rows that count, and what they
        are worth under weights (Kish's effective size; the same without).
    """

    values: np.ndarray
    deviations: np.ndarray
    rows: np.ndarray
    counts: np.ndarray


def tally(
    value: np.ndarray, inside: np.ndarray, codes: np.ndarray, g: int, weights: np.ndarray | None = None
) -> Tally:
    """Count a measure in all groups at once.

    Examples
    --------
    >>> hits, positives = np.array([1, 0, 1, 1]), np.array([True, True, False, True])
    >>> tally(hits, positives, np.array([0, 0, 0, 1]), 3).values
    array([0.5, 1. , nan])
    """
    if not inside.all():
        codes, value = codes[inside], value[inside]
        weights = None if weights is None else weights[inside]
    rows = np.bincount(codes, minlength=g).astype(float)
    total = rows if weights is None else np.bincount(codes, weights, minlength=g)
    number = value.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(codes, number if weights is None else number * weights, minlength=g) / total
        square = (number - mean[codes]) ** 2
        square = np.bincount(codes, square if weights is None else square * weights, minlength=g)
        counts = total
        if weights is not None:
            counts = total**2 / np.bincount(codes, weights**2, minlength=g)
        deviation = np.sqrt(square / total * counts / (counts - 1))
    return Tally(mean, deviation, rows, np.where(total > 0, counts, 0.0))


def attributes(sensitive_features: Any, n: int, where: str) -> dict[str, tuple[np.ndarray, list[str]]]:
    """Return codes and names of the groups of each sensitive column, and of all columns together.

    Raises
    ------
    DataError
        If there are none, of another length, or some are missing.
    """
    frame = group_frame(sensitive_features, where=where)
    if frame is None or not frame.shape[1]:
        todo = "Pass a column such as X['sex'], or a DataFrame of several."
        raise DataError(sentence(where, "sensitive_features must be given", "none", todo))
    if len(frame) != n:
        must = f"sensitive_features must have {n} rows as y_true has"
        raise DataError(sentence(where, must, f"{len(frame)} rows"))
    found: dict[str, tuple[np.ndarray, list[str]]] = {}
    together, names = np.zeros(n, dtype=np.int64), [""]
    for column in frame:
        codes, levels = pd.factorize(frame[column], sort=False)
        texts = [str(level) for level in levels]
        order = _order(list(levels), texts)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        own, texts = rank[codes], [texts[k] for k in order]
        found[str(column)] = own, texts
        together, used = _compact(together * len(texts) + own)
        names = [
            f"{names[u // len(texts)]}{JOINED}{texts[u % len(texts)]}".removeprefix(JOINED) for u in used
        ]
    if frame.shape[1] > 1:
        found[JOINED.join(found)] = together, names
    return found


def _order(levels: list[Any], texts: list[str]) -> list[int]:
    try:
        return sorted(range(len(levels)), key=lambda k: levels[k])
    except TypeError:
        return sorted(range(len(levels)), key=lambda k: texts[k])


def _compact(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used, codes = np.unique(codes, return_inverse=True)
    return codes, used


def r_squared(
    true: np.ndarray, pred: np.ndarray, codes: np.ndarray, g: int, weights: np.ndarray | None = None
) -> Tally:
    """Return R2 of every group; its deviation is that of the influence of single rows (delta method)."""
    every = np.ones(len(true), dtype=bool)
    square = (pred - true) ** 2
    lost = tally(square, every, codes, g, weights)
    centre = tally(true, every, codes, g, weights)
    around = (true - centre.values[codes]) ** 2
    spread = tally(around, every, codes, g, weights).values
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.where(spread > 1e-14 * np.maximum(centre.values**2, 1e-300), spread, np.nan)
        left = lost.values / spread
        influence = (square - left[codes] * around) / spread[codes]
    known = np.isfinite(influence)
    moved = tally(influence, known, codes, g, weights)
    return Tally(1 - left, moved.deviations, lost.rows, lost.counts)


def macro_recall(tallies: Sequence[Tally]) -> Tally:
    """Return the mean of the recalls of all classes, undefined where a class has no rows."""
    values = np.array([each.values for each in tallies])
    counts = np.array([each.counts for each in tallies])
    with np.errstate(invalid="ignore", divide="ignore"):
        inner = (values * counts + 0.5) / (counts + 1)
        error = np.sqrt(np.sum(inner * (1 - inner) / counts, axis=0)) / len(tallies)
    fewest = counts.min(axis=0)
    rows = np.array([each.rows for each in tallies]).min(axis=0)
    return Tally(values.mean(axis=0), error * np.sqrt(fewest), rows, fewest)
