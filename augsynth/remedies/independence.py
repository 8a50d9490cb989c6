"""A small network whose output is independent of the groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from augsynth.core.arrays import check_weights
from augsynth.core.errors import DataError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.core.random import keyed_rng, resolve_seed
from augsynth.remedies.base import Blind, Fitted, TableView, clusters_of, group_names, why_no_remedy

__all__ = ["IndependentClassifier", "IndependentNetwork"]

_FIRST, _RUN = 0, 1
_BLOCK = 8192


class IndependentClassifier(ClassifierMixin, BaseEstimator):
    """Tell classes by a small network that is kept from telling the groups apart.

    Its loss is the cross-entropy plus ``strength`` times the distance correlation of the
    predicted probabilities and the sensitive variable (`augsynth.nn.independence.IndependencePenalty`).
    Tables of any columns are taken: numbers are standardised, categories become indicators.

    Parameters
    ----------
    strength : float, default=1.0
        Weight of the penalty; 0 is a plain network, 10 leaves almost no dependence.
    hidden : sequence of int, default=(64,)
        Widths of the hidden layers.
    within_classes : bool, default=False
        Independence within each class (as in equalised odds) rather than outright.
    measure : {"distance", "hsic"}
        What dependence is measured by.
    trainer : Trainer, optional
        How long and how fast; by default 12 epochs, 200 steps at least, of 64 to 256 rows.
    random_state : None, int or Generator

    Attributes
    ----------
    classes_ : ndarray
    n_features_in_ : int
    network_ : torch module
    history_ : History
        Losses of the training.

    Notes
    -----
    10,000 rows of 15 columns take about 3 CPU-s. The same seed gives the same model on one machine.
    Rows to predict need no group. A category that training did not have counts as missing.

    References
    ----------
    See `augsynth.nn.independence.dependence`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sex = rng.integers(0, 2, 400)
    >>> X = np.column_stack([rng.normal(size=400), sex + rng.normal(size=400)])
    >>> y = X.sum(axis=1) + rng.normal(size=400) > 0.5
    >>> gaps = {}
    >>> for strength in (0, 10):
    ...     model = IndependentClassifier(strength=strength, random_state=0)
    ...     said = model.fit(X, y, sensitive_features=sex).predict_proba(X)[:, 1]
    ...     gaps[strength] = abs(said[sex == 1].mean() - said[sex == 0].mean())
    >>> bool(gaps[0] > 0.15), bool(gaps[10] < 0.05)
    (True, True)
    """

    def __init__(
        self,
        strength: float = 1.0,
        *,
        hidden: Sequence[int] = (64,),
        within_classes: bool = False,
        measure: str = "distance",
        trainer: Any = None,
        random_state: Any = None,
    ):
        self.strength = strength
        self.hidden = hidden
        self.within_classes = within_classes
        self.measure = measure
        self.trainer = trainer
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any, *, sensitive_features: Any = None, sample_weight: Any = None, groups: Any = None
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : DataFrame or array (n, p)
        y : array-like (n,)
            Class labels.
        sensitive_features : array-like, Series or DataFrame, optional
            What to be independent of: one column of floats with more than 20 values is a
            number, all else are categories. None: a plain network.
        sample_weight : array-like (n,), optional
            Of the cross-entropy.
        groups : array-like (n,), optional
            Clusters (persons, blocks) that a hold-out of the ``trainer`` may not split.

        Raises
        ------
        DataError, ParameterError
            For rows, labels or parameters that cannot be used.
        """
        import torch

        from augsynth.nn.independence import MEASURES, IndependencePenalty, IndependentNet

        where = type(self).__name__
        check_number(where, "strength", self.strength, low=0)
        check_option(where, "measure", self.measure, MEASURES)
        for width in self.hidden:
            check_number(where, "hidden", width, low=1, integer=True)
        if y is None:
            raise DataError(f"{where} requires y to be passed, but the target y is None.")
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(sentence(where, "y must hold at least two classes", "1 class"))
        self.view_ = TableView().fit(X)
        features = self.view_.transform(X)
        self.n_features_in_ = len(self.view_.codec_.columns)
        if len(features) != len(codes):
            must = "X and y must be equally long"
            raise DataError(sentence(where, must, f"{len(features)} and {len(codes)} rows"))
        sensitive, categorical = _sensitive(sensitive_features, len(codes), where)
        weight = check_weights(sample_weight, len(codes), where)
        seed = resolve_seed(self.random_state)
        net = IndependentNet(
            features.shape[1],
            len(self.classes_),
            hidden=tuple(self.hidden),
            penalty=IndependencePenalty(self.measure),
            strength=float(self.strength) if sensitive_features is not None else 0.0,
            within_classes=bool(self.within_classes),
            categorical=categorical,
            seed=int(keyed_rng(seed, _FIRST).integers(2**62)),
        )
        z = torch.as_tensor(np.column_stack([features, sensitive]), dtype=torch.float32)
        self.history_ = self._trainer(len(z)).run(
            net,
            z,
            torch.as_tensor(codes),
            w=None if weight is None else torch.as_tensor(weight / weight.mean(), dtype=torch.float32),
            clusters=None if groups is None else clusters_of(groups, len(z), where),
            rng=keyed_rng(seed, _RUN),
        )
        self.network_ = net
        return self

    def _trainer(self, n: int) -> Any:
        from augsynth.nn.trainer import Trainer

        if self.trainer is not None:
            return self.trainer
        batch = min(n, int(np.clip(n // 4, 64, 256)))
        steps = max(200, 12 * n // batch)
        options = {"ema": 0.99, "progress": False, "weight_decay": 1e-4}
        return Trainer(steps, batch_size=batch, learning_rate=4e-3, device="cpu", options=options)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities (n, n_classes)."""
        check_is_fitted(self, "network_")
        import torch

        features = torch.as_tensor(self.view_.transform(X), dtype=torch.float32)
        with torch.no_grad():
            parts = [self.network_(block).double().softmax(dim=1) for block in features.split(_BLOCK)]
        found: np.ndarray = torch.cat(parts).numpy()
        return found

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row (n,)."""
        labels: np.ndarray = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels


def _sensitive(given: Any, n: int, where: str) -> tuple[np.ndarray, bool]:
    """Return the sensitive columns as numbers (n, k), and whether they are category codes."""
    if given is None:
        return np.zeros((n, 1)), True
    values = np.asarray(given)
    if values.dtype.kind == "f" and values.size == len(values) and len(np.unique(values)) > 20:
        if not np.isfinite(values).all():
            must = "a sensitive number must be finite in every row"
            raise DataError(sentence(where, must, f"{int((~np.isfinite(values)).sum())} that are not"))
        column = (values.reshape(-1, 1) - values.mean()) / (values.std() or 1.0)
        categorical = False
    else:
        column = np.unique(group_names(given), return_inverse=True)[1].reshape(-1, 1).astype(float)
        categorical = True
    if len(column) != n:
        must = f"sensitive_features must have {n} rows as X has"
        raise DataError(sentence(where, must, f"{len(column)} rows"))
    return column, categorical


@dataclass(frozen=True)
class IndependentNetwork:
    """The estimator is replaced by a small network with an independence penalty.

    It does not look at the estimator that it is given: `augsynth.check.compare` adds the
    network of ``strength=0`` by itself, to see what the penalty did.

    Parameters
    ----------
    strength : float, default=1.0
    within_classes : bool, default=True
        As in equalised odds.
    """

    strength: float = 1.0
    within_classes: bool = True
    name: str = "independence penalty"
    seeded_as: str = "independence penalty"

    def without(self) -> IndependentNetwork | None:
        """Return the network without the penalty, None if it has none."""
        return replace(self, strength=0.0, name="network without penalty") if self.strength else None

    def why_not(self, estimator: Any, y: Any, sensitive_features: Any) -> str:
        """Return "" where it applies, else the reason why not."""
        return why_no_remedy(estimator, sensitive_features)

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
        """Train an `IndependentClassifier`."""
        model = IndependentClassifier(
            self.strength, within_classes=self.within_classes, random_state=resolve_seed(random_state)
        )
        model.fit(X, y, sensitive_features=sensitive_features, sample_weight=sample_weight, groups=groups)
        return Blind(model)
