"""A classifier from any generator that knows densities: the class by Bayes' law."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import check_array, column_or_1d, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from augsynth.core import arrays
from augsynth.core.errors import DataError, ParameterError, offenders, sentence
from augsynth.core.random import resolve_seed

__all__ = ["BayesClassifier"]


class BayesClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Tell the class of a row from how likely each class's generator finds it.

    p(class | row) is in proportion to p(class) p(row | class): the generator learns
    the second factor, the labels (or you) say the first. The same densities tell how
    unusual a row is, whatever its class. A good classifier by this route is a check that
    the generator knows what tells the classes apart.

    Parameters
    ----------
    generator : generator
        Anything with ``log_prob``: kernel densities, Gaussian mixtures, autoencoders
        (a bound), flows, autoregressive networks. Cloned and fitted with the labels.
    priors : None, "uniform", mapping or array-like, optional
        Probabilities of the classes: their frequencies (None), all the same, a mapping of
        labels to weights, or weights in the order of ``classes_``. Weights need not sum to one.
    random_state : None, int or Generator
        Seed of the densities that are Monte Carlo bounds, fixed at ``fit``: the same
        row gets the same answer every time.

    Attributes
    ----------
    generator_ : generator
        The fitted clone.
    classes_ : ndarray
    class_prior_ : ndarray, (n_classes,)
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    Predicting costs one ``log_prob`` a class. A row that no class can have (density zero
    under all of them) gets the class probabilities p(class), and an infinite outlier
    score. With one Gaussian of full covariance a class this is quadratic discriminant analysis;
    with the independent kernels of a product it is a naive Bayes classifier.

    References
    ----------
    A. Ng, M. Jordan, "On discriminative vs. generative classifiers", 2001.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from augsynth import GaussianMixtureGenerator
    >>> X, y = load_iris(return_X_y=True)
    >>> model = BayesClassifier(GaussianMixtureGenerator(n_components=1, atoms=None)).fit(X, y)
    >>> bool(model.score(X, y) > 0.95), bool(model.outlier_score(X + 9).min() > model.outlier_score(X).max())
    (True, True)
    """

    def __init__(self, generator: Any, *, priors: Any = None, random_state: Any = None):
        self.generator = generator
        self.priors = priors
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, sample_weight: Any = None) -> Self:
        """Fit a clone of the generator to the rows and their labels.

        Parameters
        ----------
        X : DataFrame, array or images
            Whatever the generator takes.
        y : array-like, (n,)
            Class labels.
        sample_weight : array-like, (n,), optional
            Weights, for the generator and the class frequencies.

        Raises
        ------
        ParameterError
            If the generator has no ``log_prob``, or priors are no probabilities.
        """
        where = type(self).__name__
        if isinstance(self.generator, type) or not hasattr(self.generator, "fit"):
            todo = "Pass one such as GaussianMixtureGenerator()."
            raise ParameterError(sentence(where, "generator must be a generator", repr(self.generator), todo))
        if not hasattr(self.generator, "log_prob"):
            given = f"{type(self.generator).__name__}, which only draws rows"
            todo = "Pass one such as GaussianMixtureGenerator, KDEGenerator or FlowGenerator."
            raise ParameterError(sentence(where, "generator must have log_prob", given, todo))
        if y is None:
            raise DataError(f"{where} requires y to be passed, but the target y is None.")
        labels = column_or_1d(y, warn=True)
        if labels.dtype.kind == "f":
            check_array(labels, ensure_2d=False, input_name="y")
        check_classification_targets(labels)
        rows = arrays.as_rows(X, where=where)
        self.seed_ = resolve_seed(self.random_state)
        weights = arrays.check_weights(sample_weight, len(labels), where)
        self.generator_ = clone(self.generator).fit(rows, labels, sample_weight=weights)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.generator_, name):
                setattr(self, name, getattr(self.generator_, name))
        self.classes_, codes = np.unique(labels, return_inverse=True)
        self.class_prior_ = self._class_prior(np.bincount(codes, weights), where)
        return self

    def _class_prior(self, mass: np.ndarray, where: str) -> np.ndarray:
        must = "priors must be None, 'uniform', or a non-negative weight for each class"
        if self.priors is None:
            given = mass
        elif isinstance(self.priors, str):
            if self.priors != "uniform":
                raise ParameterError(sentence(where, must, repr(self.priors)))
            given = np.ones(len(mass))
        elif isinstance(self.priors, Mapping):
            known = dict(self.priors)
            missing = [label for label in self.classes_.tolist() if label not in known]
            if missing:
                raise ParameterError(sentence(where, must, f"none for class {offenders(missing)}"))
            given = np.array([known[label] for label in self.classes_.tolist()], dtype=np.float64)
        else:
            given = np.asarray(self.priors, dtype=np.float64)
        if given.shape != mass.shape or not np.isfinite(given).all() or (given < 0).any() or not given.sum():
            raise ParameterError(sentence(where, must, repr(self.priors)))
        return given / given.sum()

    def _joint(self, X: Any) -> np.ndarray:
        """Return log p(class) + log p(row | class), (n, n_classes)."""
        check_is_fitted(self, "generator_")
        rows = arrays.as_rows(X, where=type(self).__name__)
        n = arrays.count_rows(rows)
        # the same noise for every class: what is random in a bound cancels in part
        density = [
            self.generator_.log_prob(rows, np.repeat(self.classes_[k : k + 1], n), random_state=self.seed_)
            for k in range(len(self.classes_))
        ]
        with np.errstate(divide="ignore"):
            return np.stack(density, axis=1) + np.log(self.class_prior_)

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the log-density of rows whatever their class, (n,): nats, data units."""
        return logsumexp(self._joint(X), axis=1)

    def outlier_score(self, X: Any) -> np.ndarray:
        """Return how unusual rows are, (n,): minus their log-density; higher is stranger."""
        return -self.score_samples(X)

    def _log_posterior(self, X: Any) -> np.ndarray:
        joint = self._joint(X)
        with np.errstate(divide="ignore"):
            prior = np.log(self.class_prior_)
        joint[np.isneginf(joint).all(axis=1)] = prior
        return joint - logsumexp(joint, axis=1, keepdims=True)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes, (n, n_classes)."""
        return np.exp(self._log_posterior(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logs of :meth:`predict_proba`: minus infinity where that is too small for a float."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return log-probabilities (n, n_classes); of two classes, the log odds of the second, (n,).

        These go on where ``predict_proba`` has no more digits.
        """
        found = self._log_posterior(X)
        return found[:, 1] - found[:, 0] if len(self.classes_) == 2 else found

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row, (n,)."""
        best = self._log_posterior(X).argmax(axis=1)
        return self.classes_[best]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if hasattr(self.generator, "fit") and not isinstance(self.generator, type):
            tags.input_tags = get_tags(self.generator).input_tags
        return tags
