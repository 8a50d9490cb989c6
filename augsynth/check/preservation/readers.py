"""Models that read the label of a picture, a clip, a text or a row: quick, and good enough to judge edits."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from augsynth.check.preservation.reader_features import ClipFeatures, PictureFeatures

__all__ = ["Columns", "default_measure", "default_reader", "default_view"]


def default_reader(modality: str, *, random_state: int) -> Any:
    """Return an unfitted classifier with ``predict_proba`` for what `default_view` shows of rows.

    Pictures, clips and texts: logistic regression, of texts on TF-IDF of words and pairs of
    words. Tables: histogram gradient boosting.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if modality == "table":
        trees = HistGradientBoostingClassifier(max_iter=60, random_state=random_state)
        return make_pipeline(Columns(), trees)
    if modality == "text":
        return make_pipeline(_words(), LogisticRegression(C=10.0, max_iter=1000))
    if modality == "audio":
        return make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=500, tol=1e-3))
    # Unscaled, or the pixels at the border, which hardly vary, are blown up and a shift by one decides.
    return LogisticRegression(C=1.0, max_iter=500, tol=1e-3)


def default_view(modality: str, X: Any, *, sample_rate: float) -> Any:
    """Return what default readers see of rows, a fitted transformer; None for the rows as they are.

    It learns nothing of the rows but their size, so it may be fitted on all of them.
    """
    if modality == "audio":
        return ClipFeatures(sample_rate)
    return PictureFeatures().fit(X) if modality == "image" else None


def default_measure(modality: str) -> Any:
    """Return the unfitted transformer to coordinates in which distances between views mean something."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    if modality == "text":
        return _words()
    if modality == "table":
        return make_pipeline(Columns(), SimpleImputer(keep_empty_features=True), StandardScaler())
    return StandardScaler() if modality == "audio" else FunctionTransformer()


def _words() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")


class Columns(TransformerMixin, BaseEstimator):
    """Tables as numbers: categories and texts become the number of their level, NaN where missing."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the levels of each column that is no number."""
        frame = pd.DataFrame(X)
        self.levels_ = {
            name: pd.Index(frame[name].dropna().unique())
            for name in frame
            if not pd.api.types.is_numeric_dtype(frame[name])
        }
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return numbers (n, p); a level that was never seen is missing."""
        frame = pd.DataFrame(X)
        columns = []
        for name in frame:
            if name in self.levels_:
                codes = self.levels_[name].get_indexer(pd.Index(frame[name])).astype(float)
                columns.append(np.where(codes < 0, np.nan, codes))
            else:
                columns.append(frame[name].to_numpy(dtype=float, na_value=np.nan))
        return np.stack(columns, axis=1)
