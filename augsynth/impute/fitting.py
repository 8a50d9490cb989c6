"""What several models of one table need: their parts checked, seeded and fitted, equal rows found."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import get_tags

from augsynth.core.errors import ParameterError, sentence
from augsynth.impute.cells import refuse_target_in

__all__ = ["as_list", "check_parts", "first_of_equal", "fit_one", "follow", "refuse_target", "seeded"]


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


def seeded(component: Any, seed: int) -> Any:
    """Give a component, and those inside it, a seed where they have none; return it."""
    params = component.get_params(deep=True) if hasattr(component, "get_params") else {}
    unset = {
        name: seed % 2**31
        for name, value in params.items()
        if value is None and name.rpartition("__")[2] == "random_state"
    }
    return component.set_params(**unset) if unset else component


def fit_one(estimator: Any, X: Any, y: Any, params: dict[str, Any], covariance: Any) -> tuple[Any, Any]:
    """Return a fitted estimator, and the covariance of its coefficients if a function is given."""
    estimator.fit(X, y, **params)
    return estimator, None if covariance is None else np.asarray(covariance(estimator, X, y), dtype=float)


def first_of_equal(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray] | None:
    """Return positions of rows of which no two with holes are equal, and where each row is among them.

    None where there are no equal rows with holes. Imputers give equal rows draws of their own;
    predictions that depend on the row alone need one draw for them all.
    """
    holes = frame.isna().any(axis=1).to_numpy()
    some = frame[holes]
    if not some.duplicated().any():
        return None
    codes = np.column_stack([pd.factorize(some.iloc[:, j])[0] for j in range(some.shape[1])])
    _, first, back = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    whole = np.flatnonzero(~holes)
    place = np.empty(len(frame), dtype=np.int64)
    place[whole] = np.arange(len(whole))
    place[holes] = len(whole) + back.ravel()
    return np.concatenate([whole, np.flatnonzero(holes)[first]]), place


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
