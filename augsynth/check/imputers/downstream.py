"""What a learner makes of completed rows: trained on filled training rows, scored on filled hold-out rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone, is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import get_scorer
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from augsynth.check.imputers.trial import COLUMN_MEAN, Hidden, Task, Trial
from augsynth.check.utility.folds import one_thread
from augsynth.core.errors import DataError, ParameterError, sentence
from augsynth.core.random import seeded

__all__ = ["BEFORE", "HOLD_OUT", "NO_IMPUTATION", "Learner", "labels_of", "split"]

BEFORE, NO_IMPUTATION = "before hiding", "no imputation"
_MODEL = 303  # a stream of the seed
HOLD_OUT = 0.3
_MOST_LEVELS = 255  # that boosted trees take as categories
_MOST_CLASSES = 20


@dataclass(frozen=True)
class Learner:
    """A learner and its score.

    Attributes
    ----------
    estimator : estimator
    coded : bool
        Whether it gets coded rows (the default learner) rather than the table.
    classifies : bool
    scorer : callable
    words : str
    wrap : callable
        From a DataFrame to the container that the user gave.
    """

    estimator: Any
    coded: bool
    classifies: bool
    scorer: Callable[..., float]
    words: str
    wrap: Callable[[pd.DataFrame], Any]

    @classmethod
    def of(cls, estimator: Any, task: Task, scoring: Any, wrap: Callable[[pd.DataFrame], Any]) -> Learner:
        """Choose what the user left open: boosted trees, and ROC AUC, balanced accuracy or R2."""
        y: Any = task.y
        coded = estimator is None
        if estimator is None:
            categories = np.array([0 < block.n_levels <= _MOST_LEVELS for block in task.codec.layout])
            settings = {"max_iter": 40, "max_leaf_nodes": 15, "learning_rate": 0.15}
            made = HistGradientBoostingClassifier if _are_classes(y) else HistGradientBoostingRegressor
            estimator = made(categorical_features=categories, **settings)
        classifies = is_classifier(estimator)
        if scoring is None:
            ranks = hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")
            two = classifies and len(np.unique(y)) == 2
            scoring = "r2" if not classifies else "roc_auc" if two and ranks else "balanced_accuracy"
        words = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", "score")
        words = {"roc_auc": "ROC AUC", "r2": "R2"}.get(words, words.replace("_", " "))
        try:
            scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
        except ValueError:
            todo = "See sklearn.metrics.get_scorer_names()."
            raise ParameterError(
                sentence("imputation", "scoring must be a scorer or its name", repr(scoring), todo)
            ) from None
        return cls(estimator, coded, classifies, scorer, words, wrap)

    def score(self, task: Task, hidden: Hidden, trial: Trial) -> float:
        """Return the score of the learner on the hold-out rows of a completed table, NaN if it fails."""
        try:
            return self._score(task, hidden, trial.z, trial.frame)
        except Exception as error:
            told = f"{type(error).__name__}: {error}".strip().splitlines()[0][:200]
            if trial.name == COLUMN_MEAN:
                must = "the estimator must fit and score completed rows"
                todo = "Try it on X without holes; with categories pass make_pipeline(preprocess, estimator)."
                raise DataError(sentence("imputation", must, told, todo)) from error
            trial.notes.append(f"the estimator failed on its completed rows: {told}")
            return float("nan")

    def controls(self, task: Task, hidden: Hidden, mean: Trial) -> dict[str, float]:
        """Return the scores before cells were hidden, and without imputation if the learner takes holes."""
        blank = task.z.copy()
        blank[hidden.rows, hidden.columns] = np.nan
        found = {BEFORE: (task.z, task.frame), NO_IMPUTATION: (blank, hidden.frame)}
        scores = {}
        for name, (z, frame) in found.items():
            try:
                scores[name] = self._score(task, hidden, z, frame)
            except Exception:  # it does not take holes
                if name == BEFORE and mean.frame is not None:  # the table had some of its own
                    scores[name] = self._score(task, hidden, *_own_holes_filled(task, mean))
        return scores

    def _score(self, task: Task, hidden: Hidden, z: Any, frame: Any) -> float:
        X = [z[rows] if self.coded else self.wrap(frame.iloc[rows]) for rows in (hidden.train, hidden.test)]
        y = [task.y[rows] for rows in (hidden.train, hidden.test)]  # type: ignore[index]
        if self.classifies and len(np.unique(y[1])) < 2:
            return float("nan")
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = seeded(clone(self.estimator), task.seed, _MODEL, hidden.repeat).fit(X[0], y[0])
            return float(self.scorer(model, X[1], y[1]))


def _own_holes_filled(task: Task, mean: Trial) -> tuple[np.ndarray, pd.DataFrame]:
    filled: Any = mean.z
    z = np.where(np.isnan(task.z), filled, task.z)
    return z, task.codec.decode(z)


def labels_of(y: Any, n: int) -> np.ndarray | None:
    """Return one label a row, checked."""
    if y is None:
        return None
    array = np.asarray(y.detach().cpu()) if hasattr(y, "detach") else np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (n,):
        raise DataError(sentence("imputation", f"y must hold one label a row ({n})", f"shape {array.shape}"))
    missing = int(pd.isna(array).sum())
    if missing:
        raise DataError(
            sentence("imputation", "every row needs a label", f"{missing} missing", "Drop those rows.")
        )
    return pd.Series(array).infer_objects().to_numpy() if array.dtype == object else array


def split(y: np.ndarray | None, n: int, n_repeats: int, state: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut rows into training and hold-out rows, by label where labels are classes."""
    if y is not None and _are_classes(y):
        counts = np.unique(y, return_counts=True)[1]
        if counts.min() >= 2 and len(counts) <= 0.2 * n:
            splitter = StratifiedShuffleSplit(n_repeats, test_size=HOLD_OUT, random_state=state)
            return [(np.sort(a), np.sort(b)) for a, b in splitter.split(np.zeros(n), y)]
    plain = ShuffleSplit(n_repeats, test_size=HOLD_OUT, random_state=state)
    return [(np.sort(a), np.sort(b)) for a, b in plain.split(np.zeros(n))]


def _are_classes(y: Any) -> bool:
    """Tell labels from numbers: numbers of more than a few values are a target to regress on."""
    if y.dtype.kind not in "fiu":
        return True
    values = np.unique(y)
    return len(values) <= _MOST_CLASSES and bool((values == np.rint(values)).all())
