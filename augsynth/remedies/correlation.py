"""Features without their correlation with the groups."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from augsynth.core.arrays import check_weights
from augsynth.remedies.base import SCORES, Fitted, TableView, fit_weighted, group_names, why_no_remedy

__all__ = ["CorrelationFree"]


@dataclass(frozen=True)
class CorrelationFree:
    """Features without their linear relation to the groups (fairlearn's ``CorrelationRemover``).

    The steps of a Pipeline before its model encode the rows; a model on its own gets
    numbers as they are, and other tables with standardised numbers and an indicator a level.

    Parameters
    ----------
    alpha : float, default=1.0
        1 takes all correlation out, 0 none.
    """

    alpha: float = 1.0
    name: str = "correlation remover"

    def why_not(self, estimator: Any, y: Any, sensitive_features: Any) -> str:
        """Return "" where it applies, else the reason why not."""
        reason = why_no_remedy(estimator, sensitive_features)
        if not reason and any(hasattr(step, "fit_resample") for _, step in getattr(estimator, "steps", ())):
            reason = "a step of the pipeline resamples rows"
        return reason

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
        """Fit a clone on encoded features without their correlation with the groups."""
        estimator = clone(estimator)
        piped = isinstance(estimator, Pipeline)
        model = estimator.steps[-1][1] if piped else estimator
        encoder: Any = estimator[:-1] if piped and len(estimator) > 1 else None
        return _Uncorrelated(model, encoder, self.alpha)._fit(X, y, sensitive_features, sample_weight)


class _Uncorrelated:
    def __init__(self, model: Any, encoder: Any, alpha: float):
        self.model, self.encoder, self.alpha = model, encoder, alpha

    def _fit(self, X: Any, y: Any, sensitive_features: Any, sample_weight: Any) -> _Uncorrelated:
        from fairlearn.preprocessing import CorrelationRemover

        if self.encoder is not None:
            self.encoder.fit(X, y)
        elif not _is_plain(X):
            self.encoder = TableView().fit(X)
        encoded = self._encoded(X)
        self.means_ = np.nan_to_num(_column_means(encoded))
        names = group_names(sensitive_features)
        self.levels_ = np.unique(names)
        self.shares_ = np.array([(names == level).mean() for level in self.levels_])
        joined = self._joined(encoded, names)
        places = list(range(encoded.shape[1], joined.shape[1]))
        self.remover_ = CorrelationRemover(sensitive_feature_ids=places, alpha=self.alpha).fit(joined)
        weight = check_weights(sample_weight, len(names), "remedy")
        self.model_ = fit_weighted(self.model, self.remover_.transform(joined), y, weight)
        self.classes_ = self.model_.classes_
        return self

    def _encoded(self, X: Any) -> np.ndarray:
        encoded = X if self.encoder is None else self.encoder.transform(X)
        if hasattr(encoded, "toarray"):
            encoded = encoded.toarray()
        return np.asarray(encoded, dtype=float)

    def _joined(self, encoded: np.ndarray, names: np.ndarray) -> np.ndarray:
        filled = np.where(np.isnan(encoded), self.means_, encoded)
        hot = (names[:, None] == self.levels_).astype(float)
        hot[~np.isin(names, self.levels_)] = self.shares_  # an unseen group: nothing to take out
        return np.hstack([filled, hot[:, 1:]])

    def _without(self, X: Any, sensitive_features: Any) -> np.ndarray:
        joined = self._joined(self._encoded(X), group_names(sensitive_features))
        features: np.ndarray = self.remover_.transform(joined)
        return features

    def predict(self, X: Any, *, sensitive_features: Any) -> Any:
        return self.model_.predict(self._without(X, sensitive_features))

    def __getattr__(self, name: str) -> Any:
        if name not in SCORES or not hasattr(self.model_, name):
            raise AttributeError(f"{type(self).__name__} has no {name}")
        scores = getattr(self.model_, name)
        return lambda X, *, sensitive_features: scores(self._without(X, sensitive_features))


def _is_plain(X: Any) -> bool:
    """Tell whether rows are numbers already."""
    kinds = (
        set(X.dtypes.map(lambda dtype: dtype.kind)) if hasattr(X, "dtypes") else {np.asarray(X).dtype.kind}
    )
    return kinds <= set("biuf")


def _column_means(encoded: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of an all-missing column: it becomes 0
        means: np.ndarray = np.nanmean(encoded, axis=0)
    return means
