"""A decision threshold for each group, so that the groups' error rates match."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from augsynth.core.arrays import check_weights, take_rows
from augsynth.core.errors import DataError, ThinCellWarning, offenders, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.core.random import keyed_rng, resolve_seed
from augsynth.remedies.base import (
    SCORES,
    Fitted,
    clusters_of,
    fit_weighted,
    group_names,
    why_no_remedy,
)

__all__ = ["GroupThresholds"]

_FOLDS, _DECIDE = 501, 502
_POOLED = "(other groups)"
_LEAST = 5  # rows of each class that a group needs for thresholds of its own
CONSTRAINTS = ("equalized_odds", "demographic_parity", "true_positive_rate_parity")
Part = tuple[np.ndarray, np.ndarray]
OBJECTIVES = ("balanced_accuracy_score", "accuracy_score")


@dataclass(frozen=True)
class GroupThresholds:
    """The decision threshold of each group is moved until the groups' rates match.

    fairlearn's ``ThresholdOptimizer``, on scores of rows that the model was not fitted on
    (inner folds); the model is then fitted on all training rows.

    Parameters
    ----------
    constraint : {"equalized_odds", "demographic_parity", "true_positive_rate_parity"}
        Which rates: both error rates, the selection rate, or the rate of hits.
    objective : {"balanced_accuracy_score", "accuracy_score"}
        What is best among the thresholds that match.
    folds : int, default=3
        Inner folds.

    Notes
    -----
    Costs ``folds + 1`` fits. Matching rates exactly needs chance: a row between two thresholds gets its
    label by a draw, which is a function of the seed and of the row's place among the rows to predict.
    ``predict_proba`` is the model's own: thresholds change decisions, not probabilities, so a
    comparison by a ranking score calls it "not applicable". Groups with
    fewer than 5 rows of a class share thresholds (with a warning), as do groups not seen in training.
    Weights go into the model, not into the rates.

    References
    ----------
    M. Hardt, E. Price, N. Srebro (2016), Equality of opportunity in supervised learning, arXiv:1610.02413.
    """

    constraint: str = "equalized_odds"
    objective: str = "balanced_accuracy_score"
    folds: int = 3
    name: str = "group thresholds"
    labels_only: ClassVar[bool] = True

    def why_not(self, estimator: Any, y: Any, sensitive_features: Any) -> str:
        """Return "" where it applies, else the reason why not."""
        reason = why_no_remedy(estimator, sensitive_features)
        if reason:
            return reason
        classes, counts = np.unique(np.ravel(np.asarray(y)), return_counts=True)
        if len(classes) != 2:
            return f"there are {len(classes)} classes, and a threshold needs two"
        if not (hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")):
            return "the estimator gives labels only, no scores"
        if counts.min() < 2 * _LEAST:
            return f"a class has fewer than {2 * _LEAST} rows to tune on"
        return ""

    def fit(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sensitive_features: Any,
        sample_weight: Any = None,
        groups: Any = None,
        random_state: Any = None,
    ) -> Fitted:
        """Fit clones in inner folds for the thresholds, and one on all rows.

        ``groups`` (n,) names the cluster (person, block) of each row: inner folds do not split them.
        """
        where = type(self).__name__
        check_option(where, "constraint", self.constraint, CONSTRAINTS)
        check_option(where, "objective", self.objective, OBJECTIVES)
        check_number(where, "folds", self.folds, low=2, integer=True)
        seed = resolve_seed(random_state)
        classes, codes = np.unique(np.ravel(np.asarray(y)), return_inverse=True)
        if len(classes) != 2:
            raise DataError(sentence(where, "y must have two classes", f"{len(classes)}"))
        weight = check_weights(sample_weight, len(codes), where)
        names = group_names(sensitive_features)
        kept = _groups_with_enough(names, codes)
        told = np.where(np.isin(names, kept), names, _POOLED if len(kept) else names[0])
        parts = _inner_parts(codes, groups, self.folds, seed)
        scores = _held_out_scores(estimator, X, y, weight, parts)
        model = fit_weighted(clone(estimator), X, y, weight)
        return _Thresholded(model, classes, seed)._fit(self, scores, codes, told.astype(str))


def _inner_parts(codes: np.ndarray, groups: Any, folds: int, seed: int) -> list[Part]:
    """Return (train, test) positions of the inner folds; clusters of rows stay together."""
    inner = int(keyed_rng(seed, _FOLDS).integers(2**31))
    if groups is None:
        room = min(folds, int(np.bincount(codes).min()))
        return list(StratifiedKFold(room, shuffle=True, random_state=inner).split(codes, codes))
    clusters = clusters_of(groups, len(codes), "GroupThresholds")
    room = min(folds, *(len(np.unique(clusters[codes == code])) for code in (0, 1)))
    parts = []
    if room >= 2:
        split = StratifiedGroupKFold(room, shuffle=True, random_state=inner).split(codes, codes, clusters)
        parts = [part for part in split if len(part[1])]
    if not parts or any(len(np.unique(codes[train])) < 2 for train, _ in parts):
        must = "inner folds that do not split the clusters of groups must leave both classes to train on"
        given = f"clusters that make {room} fold{'' if room == 1 else 's'}"
        raise DataError(sentence("GroupThresholds", must, given, "Leave groups out, or get more clusters."))
    return parts


def _held_out_scores(estimator: Any, X: Any, y: Any, weight: Any, parts: list[Part]) -> np.ndarray:
    scores = np.empty(sum(len(test) for _, test in parts))
    for train, test in parts:
        part = None if weight is None else weight[train]
        y_part = take_rows(y if hasattr(y, "shape") else np.asarray(y), train)
        model = fit_weighted(clone(estimator), take_rows(X, train), y_part, part)
        scores[test] = _scores(model, take_rows(X, test))
    return scores


def _scores(model: Any, X: Any) -> np.ndarray:
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(X), dtype=float)[:, 1]
    return np.asarray(model.decision_function(X), dtype=float)


def _groups_with_enough(names: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the groups with thresholds of their own; the rest together must have enough too."""
    groups, places = np.unique(names, return_inverse=True)
    counts = np.zeros((len(groups), 2), dtype=int)
    np.add.at(counts, (places, codes), 1)
    enough = counts.min(axis=1) >= _LEAST
    thin = groups[~enough]
    while enough.any() and not enough.all() and counts[~enough].sum(axis=0).min() < _LEAST:
        rows = np.where(enough, counts.sum(axis=1), np.iinfo(int).max)
        enough[np.argmin(rows)] = False  # the smallest of the others joins the pool
    if len(thin):
        must = f"a group needs {_LEAST} rows of each class for thresholds of its own"
        warnings.warn(
            sentence("GroupThresholds", must, offenders(thin.tolist()), "They share thresholds."),
            ThinCellWarning,
            stacklevel=3,
        )
    return groups[enough]


class _Score(BaseEstimator):
    """Stands for a fitted model where its scores are known already: they are the only column."""

    def fit(self, X: Any, y: Any = None) -> _Score:
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.asarray(X)[:, 0]

    def __sklearn_is_fitted__(self) -> bool:
        return True


class _Thresholded:
    def __init__(self, model: Any, classes: np.ndarray, seed: int):
        self.model, self.classes_, self.seed = model, classes, seed

    def _fit(
        self, remedy: GroupThresholds, scores: np.ndarray, codes: np.ndarray, names: np.ndarray
    ) -> _Thresholded:
        from fairlearn.postprocessing import ThresholdOptimizer

        self.groups_ = np.unique(names)
        largest = max(self.groups_, key=lambda group: int((names == group).sum()))
        self.others_ = _POOLED if _POOLED in self.groups_ else str(largest)
        optimizer = ThresholdOptimizer(
            estimator=_Score(),
            constraints=remedy.constraint,
            objective=remedy.objective,
            prefit=True,
            predict_method="predict",
        )
        self.optimizer_ = optimizer.fit(scores[:, None], codes, sensitive_features=names)
        return self

    def predict(self, X: Any, *, sensitive_features: Any) -> np.ndarray:
        names = group_names(sensitive_features)
        names = np.where(np.isin(names, self.groups_), names, self.others_)
        state = int(keyed_rng(self.seed, _DECIDE).integers(2**31))
        scores = _scores(self.model, X)[:, None]
        chosen = self.optimizer_.predict(scores, sensitive_features=names, random_state=state)
        labels: np.ndarray = self.classes_[np.asarray(chosen).astype(int)]
        return labels

    def __getattr__(self, name: str) -> Any:
        if name not in SCORES or not hasattr(self.model, name):
            raise AttributeError(f"{type(self).__name__} has no {name}")
        scores = getattr(self.model, name)
        return lambda X, *, sensitive_features=None: np.asarray(scores(X))
