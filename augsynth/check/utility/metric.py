"""What is measured: scorers, the class that they are about, and whether a threshold matters to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    get_scorer,
    jaccard_score,
    make_scorer,
    precision_score,
    recall_score,
)

from augsynth.check.utility.calibration import neg_calibration_error
from augsynth.core.errors import ParameterError, sentence

__all__ = ["Metric", "build_metrics", "rarer_class"]

_RANKING = ("decision_function", "predict_proba")
# scorers that mean one class of two: scikit-learn ties them to the label 1
_ABOUT_ONE_CLASS: dict[str, tuple[Callable[..., float], dict[str, Any]]] = {
    "average_precision": (average_precision_score, {"response_method": _RANKING}),
    "f1": (f1_score, {"zero_division": 0}),
    "precision": (precision_score, {"zero_division": 0}),
    "recall": (recall_score, {"zero_division": 0}),
    "jaccard": (jaccard_score, {"zero_division": 0}),
    "neg_brier_score": (brier_score_loss, {"response_method": "predict_proba", "greater_is_better": False}),
}
_OWN: dict[str, Callable[..., float]] = {"neg_calibration_error": neg_calibration_error}
# shares and areas, by name: all between 0 and 1
_SHARES = (
    "accuracy", "average_precision", "balanced_accuracy", "f1", "jaccard", "precision", "recall", "roc_auc",
    "top_k_accuracy",
)  # fmt: skip
_SCORER_TYPE: type = type(make_scorer(accuracy_score))


@dataclass(frozen=True)
class Metric:
    """One score, greater is better.

    Attributes
    ----------
    name : str
        Column name.
    scorer : callable
        ``scorer(estimator, X, y) -> float``.
    words : str
        How a sentence says it, such as ``average precision of class 1``.
    thresholded : bool
        Whether it looks at predicted labels, so that moving the threshold moves it.
    tunable : bool
        Whether scikit-learn can tune a threshold for it (a scorer of ``make_scorer``).
    weighable : bool
        Whether the scorer takes ``sample_weight``.
    bounded : bool
        Whether it is known to lie between 0 and 1 (or -1 and 0), so that differences end at -1 and +1.
    """

    name: str
    scorer: Callable[..., float]
    words: str
    thresholded: bool = True
    tunable: bool = True
    weighable: bool = True
    bounded: bool = False

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: np.ndarray | None = None) -> float:
        """Return the score of a fitted estimator on these rows."""
        if sample_weight is not None and self.weighable:
            return float(self.scorer(estimator, X, y, sample_weight=sample_weight))
        return float(self.scorer(estimator, X, y))


class _Recorder(DummyClassifier):
    """A classifier that notes whether it was asked for labels."""

    asked_for_labels = False

    def predict(self, X: Any) -> Any:
        self.asked_for_labels = True
        return super().predict(X)

    def decision_function(self, X: Any) -> Any:
        scores = super().predict_proba(X)
        return scores[:, 1] if scores.shape[1] == 2 else scores


def rarer_class(labels: np.ndarray) -> Any:
    """Return the class with the fewest rows, the last one of equals."""
    classes, counts = np.unique(labels, return_counts=True)
    return classes[len(counts) - 1 - int(np.argmin(counts[::-1]))]


def build_metrics(scoring: Any, estimator: Any, X: Any, labels: np.ndarray, pos_label: Any) -> list[Metric]:
    """Turn ``scoring`` into metrics; the first one is the one that the verdict rests on.

    Parameters
    ----------
    scoring : None, str, callable, list or dict
        None chooses average precision (two classes, and a model that ranks),
        balanced accuracy (more classes) or R2 (regression).
    X, labels
        A sample on which every scorer is tried with a constant classifier.

    Raises
    ------
    ParameterError
        If a name is unknown, or does not fit these labels.
    """
    classification = is_classifier(estimator)
    if scoring is None:
        scoring = _default_scoring(estimator, classification, len(np.unique(labels)))
    named: dict[str, Any]
    if isinstance(scoring, Mapping):
        named = dict(scoring)
    elif isinstance(scoring, (list, tuple)):
        named = {_name_of(entry): entry for entry in scoring}
    else:
        named = {_name_of(scoring): scoring}
    if not named:
        raise ParameterError(sentence("compare", "scoring must name at least one metric", repr(scoring)))
    return [_metric(name, entry, classification, X, labels, pos_label) for name, entry in named.items()]


def _default_scoring(estimator: Any, classification: bool, n_classes: int) -> str:
    if not classification:
        return "r2"
    ranks = hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")
    return "average_precision" if n_classes == 2 and ranks else "balanced_accuracy"


def _name_of(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, _SCORER_TYPE):
        entry = getattr(entry, "_score_func", entry)
    return str(getattr(entry, "__name__", type(entry).__name__))


def _words(name: str) -> str:
    words = ("negative " if name.startswith("neg_") else "") + name.removeprefix("neg_").replace("_", " ")
    for short, long in (("roc auc", "ROC AUC"), ("f1", "F1"), ("r2", "R2")):
        words = words.replace(short, long)
    return words


def _metric(
    name: str, entry: Any, classification: bool, X: Any, labels: np.ndarray, pos_label: Any
) -> Metric:
    words = _words(name)
    two = classification and len(np.unique(labels)) == 2
    if isinstance(entry, str) and entry in _ABOUT_ONE_CLASS and two:
        function, options = _ABOUT_ONE_CLASS[entry]
        scorer = make_scorer(function, pos_label=pos_label, **options)
        words = f"{words} of class {pos_label!s}"
    elif isinstance(entry, str) and entry in _OWN:
        scorer = _OWN[entry]
    elif isinstance(entry, str):
        try:
            scorer = get_scorer(entry)
        except ValueError as error:
            raise ParameterError(
                sentence(
                    "compare",
                    "scoring must be the name of a scikit-learn scorer or a callable",
                    repr(entry),
                    "See sklearn.metrics.get_scorer_names().",
                )
            ) from error
    elif callable(entry):
        scorer = entry
    else:
        raise ParameterError(sentence("compare", "scoring must be names or callables", repr(entry)))
    tunable = isinstance(scorer, _SCORER_TYPE)
    weighable = tunable or scorer in _OWN.values()
    if not classification:
        return Metric(name, scorer, words, tunable=tunable, weighable=weighable)
    asked = _asks_for_labels(scorer, X, labels, strict=isinstance(entry, str), name=name)
    bounded = isinstance(entry, str) and (entry.startswith(_SHARES) or entry in _OWN)
    return Metric(name, scorer, words, asked, tunable, weighable, bounded)


def _asks_for_labels(
    scorer: Callable[..., float], X: Any, labels: np.ndarray, strict: bool, name: str
) -> bool:
    """Try the scorer on a constant classifier and watch what it asks for."""
    recorder = _Recorder(strategy="prior").fit(X, labels)
    try:
        scorer(recorder, X, labels)
    except Exception as error:
        if strict:
            raise ParameterError(
                sentence(
                    "compare",
                    f"scoring={name!r} must fit labels with {len(np.unique(labels))} classes",
                    f"{type(error).__name__}: {error}",
                    "For several classes use balanced_accuracy, f1_macro or roc_auc_ovr.",
                )
            ) from error
        return True  # unknown: demand more of a method rather than less
    return recorder.asked_for_labels
