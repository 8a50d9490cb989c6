"""The judges: classifiers that take a table as it comes, and the figures that they score on held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from augsynth.encode.spectrum import log_mel

__all__ = ["FlatPixels", "LogMelStatistics", "held_out_figures", "judge", "judge_name"]

_SMALL = 1000  # training rows below which a linear judge is the steadier one
_KERNEL_ROWS = 10_000  # training rows above which the cost of a kernel machine, their square, is too much
_MAX_LEVELS = 200  # of a categorical column; rarer levels are taken together


def judge_name(name: str, n_rows: int, *, modality: str = "table") -> str:
    """Say which ``auto`` is: boosted trees on large tables, svc on images, a linear one otherwise."""
    if name != "auto":
        return name
    if modality in ("audio", "text"):
        return "logistic_regression"
    if modality == "images":
        return "svc" if n_rows <= _KERNEL_ROWS else "logistic_regression"
    return "logistic_regression" if n_rows < _SMALL else "gradient_boosting"


def judge(name: str, X: Any, *, random_state: int, rate: int = 16000) -> Any:
    """Make an unfitted classifier that takes ``X`` as it is: a table with holes, images, clips, texts.

    Parameters
    ----------
    name : {"gradient_boosting", "logistic_regression", "random_forest", "svc"}
    X : DataFrame, ndarray of images, list of clips or Series of texts
        Only its column types are looked at. Of images every pixel is a number; clips are
        heard through `LogMelStatistics`; texts are weighed word by word and pair by pair (TF-IDF).
    random_state : int
    rate : int, default=16000
        Samples a second, of clips.
    """
    if isinstance(X, pd.Series):
        return _judge_of_texts(name, random_state)
    if isinstance(X, list):
        return _judge_of_clips(name, random_state, rate)
    if not isinstance(X, pd.DataFrame):
        return _judge_of_images(name, random_state)
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    numeric = [column for column in X.columns if _is_number(X[column])]
    other = [column for column in X.columns if column not in numeric]
    if name in ("logistic_regression", "svc"):
        numbers = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
        words = OneHotEncoder(handle_unknown="ignore", max_categories=_MAX_LEVELS, sparse_output=False)
        final = _final(name, random_state)
    else:
        numbers = SimpleImputer(keep_empty_features=True) if name == "random_forest" else "passthrough"
        words = OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=np.nan if name == "gradient_boosting" else -1,
            encoded_missing_value=np.nan if name == "gradient_boosting" else -2,
            max_categories=_MAX_LEVELS,
        )
        final = _final(name, random_state, len(other))
    columns = ColumnTransformer([("categories", words, other), ("numbers", numbers, numeric)])
    return make_pipeline(columns, final)


def _judge_of_images(name: str, random_state: int) -> Any:
    from sklearn.pipeline import make_pipeline

    return make_pipeline(FlatPixels(), _final(name, random_state))


def _judge_of_clips(name: str, random_state: int, rate: int) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(LogMelStatistics(rate), StandardScaler(), _final(name, random_state))


def _judge_of_texts(name: str, random_state: int) -> Any:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    if name == "logistic_regression":  # rows of length 1 want a lighter penalty than standard scores
        return make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000))
    if name == "gradient_boosting":  # which takes no sparse rows
        return make_pipeline(words, TruncatedSVD(50, random_state=random_state), _final(name, random_state))
    return make_pipeline(words, _final(name, random_state))


class FlatPixels(TransformerMixin, BaseEstimator):
    """Images (n, ...) as rows of pixels (n, p), on one scale up to 1 for all of them.

    Examples
    --------
    >>> FlatPixels().fit_transform(np.full((5, 8, 8), 16)).shape
    (5, 64)
    """

    def fit(self, X: Any, y: Any = None) -> FlatPixels:
        """Learn the brightest pixel."""
        self.brightest_ = float(np.abs(np.asarray(X, dtype=np.float64)).max()) or 1.0
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Flatten and scale."""
        return np.asarray(X, dtype=np.float64).reshape(len(X), -1) / self.brightest_


class LogMelStatistics(TransformerMixin, BaseEstimator):
    """Clips of any lengths as rows of numbers: how loud each of 40 mel bands is, and how it changes.

    Parameters
    ----------
    rate : int, default=16000
        Samples a second.

    Examples
    --------
    >>> clips = [np.sin(np.arange(n) / 3.0) for n in (4000, 5000)]
    >>> LogMelStatistics(8000).fit_transform(clips).shape
    (2, 160)
    """

    def __init__(self, rate: int = 16000):
        self.rate = rate

    def fit(self, X: Any, y: Any = None) -> LogMelStatistics:
        """Learn nothing."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, X: Any) -> np.ndarray:
        """Return mean, spread, mean change and 90th percentile of each band over time, in dB."""
        rows = []
        for clip in X:
            bands = log_mel(clip, self.rate)
            change = np.abs(np.diff(bands, axis=1)).mean(axis=1) if bands.shape[1] > 1 else 0.0 * bands[:, 0]
            rows.append([bands.mean(axis=1), bands.std(axis=1), change, np.quantile(bands, 0.9, axis=1)])
        return np.array(rows).reshape(len(rows), -1)


def _final(name: str, random_state: int, n_categorical: int = 0) -> Any:
    if name == "logistic_regression":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=1000)
    if name == "svc":
        from sklearn.svm import SVC

        return SVC(C=10.0)
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    if name == "random_forest":
        return RandomForestClassifier(n_estimators=100, min_samples_leaf=2, random_state=random_state)
    # The encoder puts the categorical columns first.
    return HistGradientBoostingClassifier(
        categorical_features=list(range(n_categorical)) or None,
        random_state=random_state,
        early_stopping=False,
    )


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def held_out_figures(estimator: Any, X: Any, y: pd.Series) -> dict[str, Any]:
    """Score a fitted classifier on rows that it never saw: overall, and the recall of each class."""
    from sklearn.metrics import average_precision_score, balanced_accuracy_score, recall_score, roc_auc_score

    predicted = estimator.predict(X)
    labels = list(estimator.classes_)
    recalls = recall_score(y, predicted, labels=labels, average=None, zero_division=0)
    figures: dict[str, Any] = {"balanced_accuracy": float(balanced_accuracy_score(y, predicted))}
    if len(labels) == 2:
        rare = 0 if (y == labels[0]).sum() <= (y == labels[1]).sum() else 1
        if hasattr(estimator, "predict_proba"):
            chance = estimator.predict_proba(X)[:, rare]
        else:
            chance = estimator.decision_function(X) * (1 if rare == 1 else -1)
        figures["roc_auc"] = float(roc_auc_score(y == labels[rare], chance))
        figures[f"average_precision of {labels[rare]}"] = float(
            average_precision_score(y == labels[rare], chance)
        )
    figures |= {f"recall of {label}": float(value) for label, value in zip(labels, recalls, strict=True)}
    return figures
