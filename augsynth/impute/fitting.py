"""What several models of one table need: their parts checked and fitted, equal rows found."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import get_tags

from augsynth.core import arrays
from augsynth.core.errors import AugsynthWarning, ParameterError, sentence
from augsynth.impute.base import BaseImputer
from augsynth.impute.cells import content_keys, refuse_target_in

__all__ = [
    "as_list",
    "check_parts",
    "fit_one",
    "follow",
    "joined",
    "refuse_target",
    "without_twins",
]


def check_parts(estimator: Any, imputer: Any, where: str) -> None:
    """Raise ParameterError unless an estimator predicts, and an imputer draws."""
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        todo = "Pass one such as LogisticRegression(), an object and not its class."
        raise ParameterError(sentence(where, "estimator must have fit", repr(estimator), todo))
    if not is_classifier(estimator) and not is_regressor(estimator):
        must, given = "estimator must be a classifier or a regressor", type(estimator).__name__
        raise ParameterError(sentence(where, must, given, "Only their predictions can be pooled."))
    if isinstance(imputer, type) or not hasattr(imputer, "impute"):
        todo = "Pass one that draws at random, such as ChainedImputer()."
        raise ParameterError(sentence(where, "imputer must have impute", repr(imputer), todo))


def refuse_target(frame: pd.DataFrame, y: Any, where: str) -> None:
    """Raise LeakError where a column of X is the target, or one of several."""
    for one in [y[name] for name in y.columns] if isinstance(y, pd.DataFrame) else [y]:
        if one is not None:
            refuse_target_in(frame, one, where)


def fit_one(estimator: Any, X: Any, y: Any, params: dict[str, Any], covariance: Any) -> tuple[Any, Any]:
    """Return a fitted estimator, and the covariance of its coefficients if a function is given."""
    estimator.fit(X, y, **params)
    return estimator, None if covariance is None else np.asarray(covariance(estimator, X, y), dtype=float)


def without_twins(X: Any, frame: pd.DataFrame, imputer: Any) -> tuple[list[Any], np.ndarray | None]:
    """Return parts of a table in which no two rows share noise, and each row's place in the parts end to end.

    Imputers give equal rows draws of their own; predictions that depend on the row alone need
    one draw for them all. Equal rows are completed once. Rows that differ, but that our
    imputers code alike (in a category that fit has not seen, or a column that was constant),
    go to different parts. The place is None where the one part is the table as it is.
    """
    holes = frame.isna().any(axis=1).to_numpy()
    some = np.flatnonzero(holes)
    if not len(some):
        return [X], None
    part = frame.iloc[some]
    codes = np.column_stack([pd.factorize(part.iloc[:, j])[0] for j in range(part.shape[1])])
    _, first, back = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    turn = _turns(X, some[first], imputer)
    if len(first) == len(some) and not turn.any():
        return [X], None
    # Rows without holes come last in the first part: whatever their noise, they do not need it.
    shown = np.concatenate([some[first], np.flatnonzero(~holes)])
    turn = np.concatenate([turn, np.zeros(len(shown) - len(turn), dtype=turn.dtype)])
    order = np.argsort(turn, kind="stable")
    place = np.empty(len(frame), dtype=np.int64)
    place[shown[order]] = np.arange(len(order))
    place[some] = place[some[first]][back.ravel()]
    return [arrays.take_rows(X, shown[turn == k]) for k in range(int(turn.max()) + 1)], place


def _turns(X: Any, rows: np.ndarray, imputer: Any) -> np.ndarray:
    """Return how many of the rows before each (n,) an imputer of ours would take for the same row."""
    if not isinstance(imputer, BaseImputer):
        return np.zeros(len(rows), dtype=np.int64)
    where = f"{type(imputer).__name__}.impute"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AugsynthWarning)  # impute will say it
        frame, _ = imputer._take(arrays.take_rows(X, rows), None, where)
    z = imputer._encode(frame, None, where)[:, : len(imputer.codec_.names)]
    return np.where(np.isnan(z).any(axis=1), content_keys(z)[1], 0)


def joined(said: list[Any], place: np.ndarray | None) -> Any:
    """Return what a model says of the parts of a table, row by row of the table."""
    if place is None:
        return said[0]
    if isinstance(said[0], list):
        return [joined(list(outputs), place) for outputs in zip(*said, strict=True)]
    return np.concatenate([np.asarray(part) for part in said])[place]


def as_list(said: Any) -> list[Any]:
    """Return the outputs of a prediction, one array an output."""
    return said if isinstance(said, list) else [said]


def follow(tags: Any, estimator: Any, imputer: Any) -> Any:
    """Let tags follow an estimator in what it is, and an imputer in what X may hold."""
    inner, outer = get_tags(estimator), get_tags(imputer)
    for name in ("estimator_type", "classifier_tags", "regressor_tags", "target_tags"):
        setattr(tags, name, copy.deepcopy(getattr(inner, name)))
    tags.input_tags.allow_nan = outer.input_tags.allow_nan
    tags.input_tags.sparse = False
    for name in ("string", "categorical"):
        both = getattr(inner.input_tags, name) and getattr(outer.input_tags, name)
        setattr(tags.input_tags, name, both)
    if getattr(imputer, "use_target", False):  # one target is one column of the imputer
        tags.target_tags.multi_output = False
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_label = False
    return tags
