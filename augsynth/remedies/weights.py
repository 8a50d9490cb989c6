"""Cells weigh the same in the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.base import clone

from augsynth.remedies.base import Blind, Fitted, fit_weighted, takes_weights, why_no_remedy
from augsynth.resample.weights import balanced_weights

__all__ = ["CellWeights"]


@dataclass(frozen=True)
class CellWeights:
    """Every class x group cell weighs the same in the training loss (`balanced_weights`).

    Parameters
    ----------
    by : str, default="class+group"
        As in `balanced_weights`; "reweighing" for Kamiran and Calders.
    """

    by: str = "class+group"
    name: str = "cell weights"

    def why_not(self, estimator: Any, y: Any, sensitive_features: Any) -> str:
        """Return "" where it applies, else the reason why not."""
        reason = why_no_remedy(estimator, sensitive_features)
        return reason or ("" if takes_weights(estimator) else "the estimator takes no sample_weight")

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
        """Fit a clone with weights; ``sample_weight`` sets the proportions within a cell."""
        weights = balanced_weights(y, sensitive_features, by=self.by, sample_weight=sample_weight)
        return Blind(fit_weighted(clone(estimator), X, y, weights))
