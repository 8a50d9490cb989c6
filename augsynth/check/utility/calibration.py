"""Probabilities after resampling: how wrong they are, and two ways to mend them on real rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from augsynth.core.errors import DataError, ParameterError, sentence

__all__ = [
    "CALIBRATIONS", "Calibrated", "PriorCorrected", "calibration_error", "held_back", "neg_calibration_error",
    "recalibrated", "why_not_calibrated",
]  # fmt: skip

CALIBRATIONS = ("sigmoid", "isotonic", "prior")
HELD_BACK = 5  # one real training row of so many is kept for the calibration
_BINS = 10


@dataclass(frozen=True)
class Calibrated:
    """A method of a comparison whose probabilities are mended: which one, and how."""

    resampler: Any
    of: str
    how: str


def calibration_error(
    y: Any, proba: np.ndarray, classes: Any, n_bins: int = _BINS, sample_weight: Any = None
) -> float:
    """Return how far probabilities lie from observed shares, on average (0 is best).

    For each class, rows are put into ``n_bins`` bins of equal size by their probability;
    the mean absolute difference of mean probability and share of the class is averaged
    over bins and classes (two classes: that of either). Chance alone gives about
    ``0.8 sqrt(p (1 - p) n_bins / n)``: compare models on the same rows.

    Parameters
    ----------
    y : array-like (n,)
    proba : ndarray (n, k)
    classes : array-like (k,)
    sample_weight : array-like (n,), optional
        Bins hold equal numbers of rows; means, shares and the average over bins are weighted.

    References
    ----------
    Nixon et al. (2019), Measuring calibration in deep learning, arXiv:1904.01685.

    Examples
    --------
    >>> y = np.array([0, 0, 0, 1] * 25)
    >>> calibration_error(y, np.tile([0.75, 0.25], (100, 1)), [0, 1], n_bins=1)
    0.0
    >>> calibration_error(y, np.tile([0.5, 0.5], (100, 1)), [0, 1], n_bins=1)
    0.25
    """
    y = np.asarray(y)
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    n_bins = max(1, min(n_bins, len(y)))
    errors = []
    for k, level in enumerate(classes):
        order = np.argsort(proba[:, k], kind="stable")
        apart = (weight * (proba[:, k] - (y == level)))[order]
        errors.append(sum(abs(part.sum()) for part in np.array_split(apart, n_bins)) / weight.sum())
    return float(np.mean(errors))


def neg_calibration_error(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """Return minus the `calibration_error` of a fitted classifier: a scorer."""
    told = np.asarray(estimator.predict_proba(X))
    return -calibration_error(y, told, estimator.classes_, sample_weight=sample_weight)


class PriorCorrected(ClassifierMixin, BaseEstimator):
    """Probabilities of a model trained on resampled rows, as if the classes had their real shares.

    By Bayes' rule every probability is multiplied by the real share of its class over its
    share in training, and the row is scaled to 1. Exact where rows were added (or left
    out) at random within classes and the model is right about them.

    Parameters
    ----------
    model : fitted classifier with predict_proba
    ratio : ndarray (n_classes,)
        Real share over training share of each class.

    References
    ----------
    Saerens, Latinne and Decaestecker (2002), doi:10.1162/089976602753284446.
    """

    def __init__(self, model: Any, ratio: Any):
        self.model, self.ratio = model, ratio

    @classmethod
    def of(cls, model: Any, y_real: Any, y_trained: Any) -> PriorCorrected:
        """Count the classes before and after resampling."""
        real, trained = np.asarray(y_real), np.asarray(y_trained)
        shares = [(np.mean(real == level), np.mean(trained == level)) for level in model.classes_]
        return cls(model, np.array([before / after if after else 1.0 for before, after in shares]))

    @property
    def classes_(self) -> Any:
        """The classes of the model."""
        return self.model.classes_

    def fit(self, X: Any, y: Any) -> Self:
        """Do nothing: the model is fitted."""
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return corrected probabilities (n, n_classes)."""
        weighed = np.asarray(self.model.predict_proba(X), dtype=float) * self.ratio
        scaled: np.ndarray = weighed / np.maximum(weighed.sum(axis=1, keepdims=True), 1e-300)
        return scaled

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each row."""
        return np.asarray(self.classes_)[self.predict_proba(X).argmax(axis=1)]

    def __sklearn_is_fitted__(self) -> bool:
        return True


def held_back(labels: np.ndarray, groups: np.ndarray | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return positions to train on and positions held back for calibration (one of five, by class)."""
    counts = np.unique(labels, return_counts=True)[1]
    folds = min(HELD_BACK, int(counts.min()))
    if folds < 2:
        must = "calibration holds back a real training row of every class, so each needs two"
        raise DataError(
            sentence("compare", must, f"{int(counts.min())} of the rarest", "Use calibrate='prior'.")
        )
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    train, held = next(iter(kind(folds, shuffle=True, random_state=seed).split(labels, labels, groups)))
    return train, held


def recalibrated(model: Any, X: Any, y: Any, how: str, weight: np.ndarray | None = None) -> Any:
    """Return a fitted classifier with its probabilities calibrated on these (held-back, real) rows."""
    every = np.arange(len(y))  # the model is not fitted again, so one "fold" of all rows will do
    mended = CalibratedClassifierCV(FrozenEstimator(model), method=how, cv=[(every, every)], ensemble=False)
    return mended.fit(X, y, sample_weight=weight)


def why_not_calibrated(estimator: Any, how: str, is_classifier: bool) -> str:
    """Return why ``calibrate`` does not apply to an estimator, "" where it does.

    Raises
    ------
    ParameterError
        If ``how`` is unknown.
    """
    if how not in CALIBRATIONS:
        must = f"calibrate must be one of {', '.join(map(repr, CALIBRATIONS))} or None"
        raise ParameterError(sentence("compare", must, repr(how)))
    if not is_classifier:
        return "the target is a number, not a class"
    scores = hasattr(estimator, "predict_proba") or (
        how != "prior" and hasattr(estimator, "decision_function")
    )
    return "" if scores else "the estimator gives no probabilities"
