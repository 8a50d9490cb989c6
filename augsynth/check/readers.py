"""Readers: a default classifier for each kind of sample, and the features that it reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from augsynth.check.reader_features import clip_features, picture_features
from augsynth.core import arrays

__all__ = ["Reader", "features_of"]

MODALITY_NAMES = {"image": "pictures", "audio": "clips", "text": "texts", "table": "table rows"}


def features_of(X: Any, modality: str, *, where: str) -> Any:
    """Return what a classifier of this kind of sample reads: a matrix, a list of texts, or the table.

    Parameters
    ----------
    X : samples in any container
    modality : {"image", "audio", "text", "table"}
    """
    if modality == "image":
        return picture_features(list(X), where=where)
    if modality == "audio":
        return clip_features(list(X), where=where)
    if modality == "text":
        return [str(text) for text in (X.to_pylist() if hasattr(X, "to_pylist") else X)]
    return X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X)).infer_objects()


class _Cells:
    """Table rows as numbers: columns of numbers as they are, others by the place of their value."""

    def fit(self, frame: pd.DataFrame) -> _Cells:
        self.levels_ = {
            name: pd.Index(pd.unique(column.dropna()))
            for name, column in frame.items()
            if not pd.api.types.is_numeric_dtype(column)
        }
        return self

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        cells = np.empty(frame.shape)
        for j, (name, column) in enumerate(frame.items()):
            if name in self.levels_:
                codes = self.levels_[name].get_indexer(column).astype(float)
                cells[:, j] = np.where(codes < 0, np.nan, codes)
            else:
                cells[:, j] = column.to_numpy(dtype=float, na_value=np.nan)
        return cells

    def spread(self, frame: pd.DataFrame) -> np.ndarray:
        """Return cells for distances: numbers in standard deviations, one column a value for others."""
        cells = self.transform(frame)
        columns: list[np.ndarray] = []
        for j, name in enumerate(frame.columns):
            if name in self.levels_:
                columns.append((cells[:, [j]] == np.arange(len(self.levels_[name]))[None]) * np.sqrt(0.5))
            else:
                columns.append(np.nan_to_num((cells[:, [j]] - self.mean_[j]) / self.scale_[j]))
        return np.hstack(columns)

    def measure(self, frame: pd.DataFrame) -> _Cells:
        cells = self.transform(frame)
        self.mean_ = np.array([np.nanmean(c) if np.isfinite(c).any() else 0.0 for c in cells.T])
        scale = np.array([np.nanstd(c) if np.isfinite(c).any() else 0.0 for c in cells.T])
        self.scale_ = np.where(scale > 0, scale, 1.0)
        return self


class Reader:
    """A classifier fitted on the originals of the training folds, and a ruler of likeness beside it.

    Parameters
    ----------
    modality : {"image", "audio", "text", "table"}
    estimator : classifier or None
        None is the default of the modality. One that is given reads features (pictures,
        clips), the table, or TF-IDF of texts; a Pipeline over texts reads the texts.
    seed : int
    """

    def __init__(self, modality: str, estimator: Any, seed: int):
        self.modality = modality
        self.estimator = estimator
        self.seed = seed

    def fit(self, features: Any, y: np.ndarray) -> Reader:
        """Learn from originals; ``features`` as `features_of` gives them."""
        self._ruler = self._fit_ruler(features)
        self._known = self._measured(features)
        self._labels = y
        raw = self.modality == "text" and isinstance(self.estimator, Pipeline)
        self._reads_raw = raw or (self.modality == "table" and self.estimator is not None)
        model = self._default() if self.estimator is None else clone(self.estimator)
        if "random_state" in model.get_params(deep=False) and model.get_params()["random_state"] is None:
            model.set_params(random_state=self.seed % 2**32)
        self.model_ = model.fit(self._seen(features), y)
        self.classes_ = np.asarray(self.model_.classes_)
        return self

    def read(self, features: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the label that each sample is read as, and the share of belief in it (NaN if unknown)."""
        seen = self._seen(features)
        labels = np.asarray(self.model_.predict(seen))
        if not hasattr(self.model_, "predict_proba"):
            return labels, np.full(len(labels), np.nan)
        belief = np.asarray(self.model_.predict_proba(seen))
        return labels, belief.max(axis=1)

    def distances(self, features: Any, labels: np.ndarray) -> np.ndarray:
        """Return how far each sample is from the nearest training original of the label named beside it."""
        here = self._measured(features)
        found = np.full(len(labels), np.inf)
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            known = np.flatnonzero(self._labels == label)
            if len(known):
                found[rows] = _nearest(here[rows], self._known[known])
        return found

    def _default(self) -> Any:
        if self.modality == "table":
            return HistGradientBoostingClassifier(max_iter=80, early_stopping=False, random_state=self.seed % 2**32)
        if self.modality == "text":
            return LogisticRegression(C=10.0, class_weight="balanced", max_iter=500)
        width = self._known.shape[1]
        return make_pipeline(StandardScaler(), LogisticRegression(C=10.0 / width, max_iter=200, tol=1e-3))

    def _fit_ruler(self, features: Any) -> Any:
        if self.modality == "text":
            return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\S+").fit(features)
        if self.modality == "table":
            return _Cells().fit(features).measure(features)
        return None

    def _measured(self, features: Any) -> Any:
        if self.modality == "text":
            return self._ruler.transform(features)
        return self._ruler.spread(features) if self.modality == "table" else np.asarray(features)

    def _seen(self, features: Any) -> Any:
        if self.modality == "table":
            return features if self._reads_raw else self._ruler.transform(features)
        if self.modality == "text":
            return features if self._reads_raw else self._ruler.transform(features)
        return features


def _nearest(here: Any, known: Any) -> np.ndarray:
    dot = here @ known.T
    dot = dot.toarray() if sparse.issparse(dot) else np.asarray(dot)
    squares = [np.asarray(m.multiply(m).sum(axis=1)).ravel() if sparse.issparse(m) else (m**2).sum(axis=1)
               for m in (here, known)]  # fmt: skip
    apart = squares[0][:, None] + squares[1][None] - 2 * dot
    return np.sqrt(np.maximum(apart.min(axis=1), 0.0))


def rows_of(features: Any, where: np.ndarray) -> Any:
    """Return some rows of features."""
    return arrays.take_rows(features, where)
