"""The three things to beat: nothing, class weights, a tuned threshold; and where each applies."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.metrics import balanced_accuracy_score, make_scorer
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, TunedThresholdClassifierCV
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter

from augsynth.check.utility.answers import FitPredict, takes_weights
from augsynth.check.utility.metric import Metric
from augsynth.core.errors import ParameterError, sentence

__all__ = [
    "BASELINES",
    "CLASS_WEIGHTS",
    "NOTHING",
    "TUNED_THRESHOLD",
    "applicable_baselines",
    "fit_estimator",
    "fit_tuned_threshold",
    "fit_with_class_weights",
    "inner_folds",
]

NOTHING = "nothing"
CLASS_WEIGHTS = "class weights"
TUNED_THRESHOLD = "tuned threshold"
BASELINES = (NOTHING, CLASS_WEIGHTS, TUNED_THRESHOLD)


def applicable_baselines(
    estimator: Any, metric: Metric, n_classes: int, rarest_in_training: int
) -> dict[str, str]:
    """Return, for each baseline, "" where it applies and else the reason why it does not."""
    if not is_classifier(estimator):
        reason = "the target is a number, not a class"
        return {NOTHING: "", CLASS_WEIGHTS: reason, TUNED_THRESHOLD: reason}
    return {
        NOTHING: "",
        CLASS_WEIGHTS: _why_not_weights(estimator),
        TUNED_THRESHOLD: _why_not_threshold(estimator, metric, n_classes, rarest_in_training),
    }


def _why_not_weights(estimator: Any) -> str:
    given = _weight_parameters(estimator)
    last = _last_step(estimator)[1]
    if isinstance(last, FitPredict) and not takes_weights(last.function):
        return "the training function has no parameter sample_weight"
    if any(value is not None for value in given.values()):
        return "the estimator weighs its classes already"
    if given or _weight_keyword(estimator):
        return ""
    return "the estimator has no class_weight and takes no sample_weight"


def _why_not_threshold(estimator: Any, metric: Metric, n_classes: int, rarest: int) -> str:
    if n_classes != 2:
        return f"there are {n_classes} classes, and a threshold needs two"
    if not metric.thresholded:
        return f"{metric.words} does not depend on a threshold"
    if not (hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")):
        return "the estimator gives labels only, no scores"
    if rarest < 2:
        return "a training fold has fewer than two rows of a class to tune on"
    return ""


def inner_folds(rarest_in_training: int) -> int:
    """Return how many folds the threshold is tuned on inside a training fold."""
    return max(2, min(5, rarest_in_training))


def _last_step(estimator: Any) -> tuple[str, Any]:
    """Return the prefix and the object of the model at the end of a (nested) Pipeline."""
    prefix = ""
    while hasattr(estimator, "steps") and len(estimator.steps):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    return prefix, estimator


def _weight_parameters(estimator: Any) -> dict[str, Any]:
    prefix, _ = _last_step(estimator)
    return {
        name: value
        for name, value in estimator.get_params(deep=True).items()
        if name.startswith(prefix) and name.rsplit("__", 1)[-1] == "class_weight"
    }


def _weight_keyword(estimator: Any) -> str:
    """Return the keyword that hands sample weights to fit, "" if there is none."""
    prefix, last = _last_step(estimator)
    return f"{prefix}sample_weight" if has_fit_parameter(last, "sample_weight") else ""


def fit_estimator(estimator: Any, X: Any, y: Any, weight: np.ndarray | None) -> Any:
    """Fit, handing weights to the model at the end of a Pipeline as well."""
    if weight is None:
        return estimator.fit(X, y)
    keyword = _weight_keyword(estimator)
    if not keyword:
        raise ParameterError(
            sentence(
                "compare",
                "sample_weight needs an estimator whose fit takes it",
                type(_last_step(estimator)[1]).__name__,
                "Leave sample_weight out or choose another estimator.",
            )
        )
    return estimator.fit(X, y, **{keyword: weight})


def fit_with_class_weights(estimator: Any, X: Any, y: Any, weight: np.ndarray | None) -> Any:
    """Fit with every class weighing the same in total (``"balanced"``)."""
    parameters = _weight_parameters(estimator)
    if parameters:
        return fit_estimator(estimator.set_params(**dict.fromkeys(parameters, "balanced")), X, y, weight)
    balanced = compute_sample_weight("balanced", y)
    return fit_estimator(estimator, X, y, balanced if weight is None else balanced * weight)


def fit_tuned_threshold(
    estimator: Any,
    X: Any,
    y: Any,
    weight: np.ndarray | None,
    *,
    metric: Metric,
    groups: np.ndarray | None,
    folds: int,
    seed: int,
) -> Any:
    """Fit, and move the decision threshold to where the metric was best in inner folds.

    A metric that is a plain function cannot be given to scikit-learn's tuner;
    the threshold is then tuned for balanced accuracy.
    """
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    inner = list(kind(folds, shuffle=True, random_state=seed).split(X, y, groups))
    scorer: Any = copy.deepcopy(metric.scorer) if metric.tunable else make_scorer(balanced_accuracy_score)
    tuned = TunedThresholdClassifierCV(estimator, scoring=scorer, cv=inner)
    if weight is None:
        return tuned.fit(X, y)
    with sklearn.config_context(enable_metadata_routing=True):  # the only way for weights into the tuner
        for part in (estimator, *estimator.get_params(deep=True).values()):
            if hasattr(part, "set_fit_request") and has_fit_parameter(part, "sample_weight"):
                part.set_fit_request(sample_weight=not hasattr(part, "transform"))
        scorer.set_score_request(sample_weight=True)
        return tuned.set_params(estimator=clone(estimator)).fit(X, y, sample_weight=weight)
