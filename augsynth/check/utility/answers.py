"""Models that can be asked once, or that look at groups, as estimators that scorers understand."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import ClassifierTags, RegressorTags, Tags
from sklearn.utils.metaestimators import available_if

from augsynth.check.utility.leak import row_keys
from augsynth.core.arrays import count_rows
from augsynth.core.errors import DataError, InputTypeError, ParameterError, sentence
from augsynth.core.parameters import check_option
from augsynth.core.random import resolve_seed

__all__ = ["Answers", "FitPredict", "answers_of"]

GIVES = ("probabilities", "labels", "numbers")


def _tagged(tags: Tags, classifier: bool) -> Tags:
    tags.estimator_type = "classifier" if classifier else "regressor"
    tags.classifier_tags = ClassifierTags() if classifier else None
    tags.regressor_tags = None if classifier else RegressorTags()
    tags.target_tags.required = True
    return tags


def _has(name: str) -> Callable[[Any], bool]:
    return lambda self: getattr(self, name) is not None


class Answers(BaseEstimator):
    """What a model said of some rows, as a fitted estimator that says it again of the same rows.

    Parameters
    ----------
    told : ndarray (n,)
        Labels or numbers.
    proba : ndarray (n, n_classes), optional
    classes : ndarray (n_classes,), optional
        None for a regressor.
    ranks : ndarray, optional
        What ``decision_function`` said.
    """

    def __init__(self, told: Any, proba: Any = None, classes: Any = None, ranks: Any = None):
        self.told, self.proba, self.classes, self.ranks = told, proba, classes, ranks

    @property
    def classes_(self) -> Any:
        """The classes, in the order of the columns of ``predict_proba``."""
        if self.classes is None:
            raise AttributeError("a regressor has no classes_")
        return self.classes

    def at(self, places: np.ndarray) -> Answers:
        """Return the answers about some of the rows."""
        parts = (None if each is None else each[places] for each in (self.proba, self.ranks))
        proba, ranks = parts
        return Answers(self.told[places], proba, self.classes, ranks)

    def fit(self, X: Any, y: Any) -> Self:
        """Do nothing: the answers are given."""
        return self

    def predict(self, X: Any) -> Any:
        """Return the labels or numbers of the rows."""
        return self._of(X, self.told)

    @available_if(_has("proba"))
    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities of the rows."""
        return self._of(X, self.proba)

    @available_if(_has("ranks"))
    def decision_function(self, X: Any) -> Any:
        """Return the scores of the rows."""
        return self._of(X, self.ranks)

    def score(self, X: Any, y: Any) -> float:
        """Return the accuracy, or R2 of a regressor."""
        from sklearn.metrics import accuracy_score, r2_score

        return float((r2_score if self.classes is None else accuracy_score)(y, self.predict(X)))

    def _of(self, X: Any, values: Any) -> Any:
        if count_rows(X) != len(values):
            must = "recorded predictions are asked for about the rows that they were made for"
            raise DataError(sentence("compare", must, f"{count_rows(X)} rows instead of {len(values)}"))
        return values

    def __sklearn_tags__(self) -> Tags:
        return _tagged(super().__sklearn_tags__(), self.classes is not None)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def answers_of(model: Any, X: Any, classes: Any, **groups: Any) -> Answers:
    """Ask a fitted model everything it can say of the rows, once."""
    told = np.asarray(model.predict(X, **groups))
    if classes is None:
        return Answers(told)
    found = {}
    for name in ("predict_proba", "decision_function"):
        found[name] = np.asarray(getattr(model, name)(X, **groups)) if hasattr(model, name) else None
    return Answers(told, found["predict_proba"], np.asarray(model.classes_), found["decision_function"])


class FitPredict(BaseEstimator):
    """A training function of your own, such as a torch loop, as an estimator for `compare`.

    Parameters
    ----------
    function : callable
        ``function(X_train, y_train, X_test, *, sample_weight, seed)`` trains from scratch and
        returns, for the rows of ``X_test``, probabilities (n, classes), classes sorted (or
        (n,) of the second of two), labels or numbers. Rows come as they were given to
        `compare`: stacks of pictures, tensors, lists. ``sample_weight`` and ``seed`` are
        passed only if it has parameters of these names.
    gives : {"probabilities", "labels", "numbers"}
        What it returns; "numbers" for regression.
    random_state : None, int or Generator
        Where ``seed`` comes from.

    Notes
    -----
    ``fit`` keeps the training rows, and the first prediction of each set of rows trains: what
    asks for predictions of several sets (a tuned threshold does) trains as often.

    Examples
    --------
    >>> from augsynth import BootstrapGenerator, OverSampler, compare
    >>> def nearest_mean(X_train, y_train, X_test, *, seed):
    ...     means = np.stack([X_train[y_train == k].mean(axis=0) for k in np.unique(y_train)])
    ...     apart = ((X_test[:, None] - means) ** 2).reshape(len(X_test), len(means), -1).sum(axis=2)
    ...     return np.exp(-apart) / np.exp(-apart).sum(axis=1, keepdims=True)
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(60) % 2
    >>> pictures = rng.normal(size=(60, 4, 4)) * 0.5 + y[:, None, None]
    >>> result = compare(FitPredict(nearest_mean), OverSampler(BootstrapGenerator()), pictures, y,
    ...                  cv=3, n_repeats=1, random_state=0)
    >>> result.failures.empty
    True
    """

    def __init__(self, function: Any, *, gives: str = "probabilities", random_state: Any = None):
        self.function = function
        self.gives = gives
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Keep the training rows; the function runs when predictions are asked for."""
        _check_function(self.function)
        check_option("FitPredict", "gives", self.gives, GIVES)
        known = inspect.signature(self.function).parameters
        self._takes = {
            name
            for name in ("sample_weight", "seed")
            if name in known or any(each.kind is each.VAR_KEYWORD for each in known.values())
        }
        if sample_weight is not None and "sample_weight" not in self._takes:
            must = "weights need a function with the parameter sample_weight"
            raise ParameterError(sentence("FitPredict", must, f"parameters {', '.join(known)}"))
        self._rows = (X, y, sample_weight)
        self._last: tuple[Any, np.ndarray] | None = None
        self.seed_ = resolve_seed(self.random_state) % 2**31
        if self.gives != "numbers":
            self.classes_ = np.unique(np.asarray(y))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the labels (the most probable class) or numbers of the rows (n,)."""
        told = self._told(X)
        return self.classes_[told.argmax(axis=1)] if self.gives == "probabilities" else told

    @available_if(lambda self: self.gives == "probabilities")
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the class probabilities of the rows (n, n_classes)."""
        return self._told(X)

    def _told(self, X: Any) -> np.ndarray:
        keys = row_keys(X)  # the object may be the same and its rows others
        if keys is not None and self._last is not None and np.array_equal(keys, self._last[0]):
            return self._last[1]
        rows, y, weight = self._rows
        offered = {"sample_weight": weight, "seed": self.seed_}
        extra = {name: offered[name] for name in sorted(self._takes)}
        told = self.function(rows, y, X, **extra)
        told = np.asarray(told.detach().cpu() if hasattr(told, "detach") else told)
        told = self._checked(told, count_rows(X))
        self._last = (keys, told)
        return told

    def _checked(self, told: np.ndarray, n: int) -> np.ndarray:
        shape: tuple[int, ...] = (n,)
        if self.gives == "probabilities":
            if told.shape == (n,) and len(self.classes_) == 2:
                told = np.column_stack([1.0 - told, told])
            shape = (n, len(self.classes_))
        if told.shape != shape:
            must = f"the function must return {self.gives} of shape {shape}"
            todo = f"Say gives= one of {', '.join(GIVES)}."
            raise DataError(sentence("FitPredict", must, f"shape {told.shape}", todo))
        if self.gives == "probabilities":
            told = told.astype(float)
            if not np.isfinite(told).all() or (told < 0).any() or (told > 1 + 1e-6).any():
                raise DataError(sentence("FitPredict", "probabilities must lie in [0, 1]", "others"))
        return told

    def __sklearn_tags__(self) -> Tags:
        return _tagged(super().__sklearn_tags__(), self.gives != "numbers")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_rows")


def asks_once(model: Any) -> bool:
    """Tell whether a fitted model (or one inside it) trains whenever it predicts."""
    if isinstance(model, FitPredict):
        return True
    parts = model.get_params(deep=True).values() if hasattr(model, "get_params") else ()
    return any(isinstance(each, FitPredict) for each in parts)


def _check_function(function: Any) -> None:
    if not callable(function) or isinstance(function, type):
        must = "function must be callable as function(X_train, y_train, X_test)"
        raise InputTypeError(sentence("FitPredict", must, repr(function)))


def takes_weights(function: Any) -> bool:
    """Tell whether a training function takes weights."""
    _check_function(function)
    known = inspect.signature(function).parameters.values()
    return any(each.name == "sample_weight" or each.kind is each.VAR_KEYWORD for each in known)
