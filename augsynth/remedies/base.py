"""What a remedy is, and what all of them ask of an estimator and of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

from augsynth.core.arrays import take_in
from augsynth.core.errors import DataError, ParameterError, sentence
from augsynth.core.routing import weight_parameter
from augsynth.encode.condition import group_frame, group_texts
from augsynth.encode.schema import Schema
from augsynth.encode.table import TableCodec
from augsynth.impute.design import Design

__all__ = [
    "Blind",
    "Fitted",
    "Remedy",
    "TableView",
    "clusters_of",
    "fit_weighted",
    "group_names",
    "takes_weights",
    "why_no_remedy",
]

SCORES = ("predict_proba", "decision_function")  # what a fitted remedy passes on where its model has it


class Fitted(Protocol):
    """A fitted remedy: predicts rows, and may look at their groups to do so."""

    @property
    def classes_(self) -> np.ndarray:
        """The classes, in the order of the columns of ``predict_proba``."""

    def predict(self, X: Any, *, sensitive_features: Any) -> np.ndarray:
        """Return labels (n,)."""

    def predict_proba(self, X: Any, *, sensitive_features: Any) -> np.ndarray:
        """Return class probabilities (n, n_classes); only where the model has them.

        The same holds of ``decision_function``.
        """


class Remedy(Protocol):
    """A way to treat groups better that makes no rows."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    def why_not(self, estimator: Any, y: Any, sensitive_features: Any) -> str:
        """Return "" where it applies, else the reason why not."""

    def fit(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sensitive_features: Any,
        sample_weight: Any = None,
        random_state: Any = None,
    ) -> Fitted:
        """Fit a clone of an estimator (a classifier or a Pipeline) with the remedy.

        Where ``fit`` also takes ``groups`` (n,), clusters such as persons, a comparison passes them:
        inner folds may not split them.
        """


def why_no_remedy(estimator: Any, sensitive_features: Any) -> str:
    """Return why no remedy for groups applies, "" where one may."""
    if not is_classifier(estimator):
        return "the target is a number, not a class"
    if sensitive_features is None:
        return "there are no sensitive features"
    return "" if len(np.unique(group_names(sensitive_features))) > 1 else "there is only one group"


def group_names(sensitive_features: Any) -> np.ndarray:
    """Return one text a row: the levels of all sensitive columns."""
    frame = group_frame(sensitive_features, where="remedy")
    if frame is None:
        raise DataError(sentence("remedy", "there must be sensitive features", "none"))
    return group_texts(frame).astype(str)


def clusters_of(groups: Any, n: int, where: str) -> np.ndarray:
    """Return one code a row for the clusters (persons, blocks) that inner folds may not split."""
    codes = pd.factorize(pd.Series(np.ravel(np.asarray(groups))).astype(object))[0]
    if len(codes) != n:
        raise DataError(sentence(where, f"groups must have {n} rows as X has", f"{len(codes)} rows"))
    if (codes < 0).any():
        missing = f"{int((codes < 0).sum())} missing"
        raise DataError(sentence(where, "groups may not be missing", missing, "Give each such row its own."))
    return codes


def takes_weights(estimator: Any) -> bool:
    """Tell whether an estimator's ``fit`` takes weights."""
    try:
        return bool(weight_parameter(estimator, "remedy"))
    except ParameterError:
        return False


def fit_weighted(estimator: Any, X: Any, y: Any, weight: Any) -> Any:
    """Fit, handing weights to the model at the end of a Pipeline as well."""
    if weight is None:
        return estimator.fit(X, y)
    return estimator.fit(X, y, **{weight_parameter(estimator, "remedy"): weight})


@dataclass(frozen=True)
class Blind:
    """A fitted model that does not look at the groups of the rows that it predicts."""

    model: Any

    @property
    def classes_(self) -> np.ndarray:
        """The classes of the model."""
        classes: np.ndarray = self.model.classes_
        return classes

    def predict(self, X: Any, *, sensitive_features: Any = None) -> Any:
        """Return labels (n,)."""
        return self.model.predict(X)

    def __getattr__(self, name: str) -> Any:
        if name not in SCORES or not hasattr(self.model, name):
            raise AttributeError(f"{type(self).__name__} has no {name}")
        scores = getattr(self.model, name)
        return lambda X, *, sensitive_features=None: scores(X)


class TableView:
    """Tables of any columns as numbers (n, d): standardised, one indicator a level, 1 where missing."""

    def fit(self, X: Any) -> Self:
        """Learn columns, levels and scales."""
        frame = self._frame(X)
        self.codec_ = TableCodec().fit(frame, Schema.infer(frame, where="remedy"))
        z = self.codec_.encode(frame, "remedy")
        self.design_ = Design(z, self.codec_.layout)
        self.holed_ = np.flatnonzero(np.isnan(z).any(axis=0))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return rows as numbers (n, d)."""
        frame = self._frame(X)
        if list(frame.columns) != list(self.codec_.columns):
            must = "rows to predict must have the columns of the training rows"
            raise DataError(sentence("remedy", must, f"{list(frame.columns)}"))
        known = {column.name: column for column in self.codec_.schema}
        cells = {}
        for name in self.codec_.names:  # a category that training did not have counts as missing
            unseen = known[name].unseen(frame[name])
            cells[name] = frame[name].mask(unseen) if unseen.any() else frame[name]
        z = self.codec_.encode(pd.DataFrame(cells, index=frame.index), "remedy")
        gaps = np.isnan(z)[:, self.holed_].astype(float)
        numbers = np.clip(np.nan_to_num(self.design_.holed(z)), -10.0, 10.0)
        return np.hstack([numbers, gaps, np.zeros((len(z), 0 if numbers.size else 1))])

    @staticmethod
    def _frame(X: Any) -> pd.DataFrame:
        return take_in(X, where="remedy")[0].reset_index(drop=True)
