"""One estimator fitted on several random completions of a table with holes; their answers pooled."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from augsynth.core import arrays
from augsynth.core.errors import AugsynthWarning, DataError, ParameterError, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import resolve_seed, seeded
from augsynth.core.routing import routed_fit, weight_parameter
from augsynth.impute.coefficients import coefficients_of, covariance_of, warn_of_penalty
from augsynth.impute.fitting import (
    as_list,
    check_parts,
    fit_one,
    follow,
    joined,
    refuse_target,
    without_twins,
)
from augsynth.impute.pooled import Pooled
from augsynth.impute.pooling import pool

__all__ = ["MultipleImputed"]

_TRIAL_ROWS = 1000  # on which fit looks whether an estimator's labels follow its probabilities


def _estimator_has(name: str) -> Callable[[Any], bool]:
    """Tell whether the estimator (fitted, if there is one) has a method; raises as it does."""

    def check(self: Any) -> bool:
        getattr(self.estimators_[0] if hasattr(self, "estimators_") else self.estimator, name)
        return True

    return check


class MultipleImputed(MetaEstimatorMixin, BaseEstimator):
    """Fit an estimator on each of m random completions of the training rows, and pool what they say.

    New rows are completed m times by the same fitted imputer, the k-th completion goes
    to the k-th model, and the predictions are averaged: regressors by their mean,
    classifiers by their mean probabilities, or by vote where labels do not follow
    probabilities. A row's prediction depends on that row alone, and is the same each time.

    Parameters
    ----------
    estimator : classifier or regressor
        Or a pipeline with one at its end, such as a ColumnTransformer that encodes the
        completed mixed table before it; cloned m times.
    imputer : imputer
        With ``fit`` and ``impute``, such as ``ChainedImputer()``; cloned. Its
        ``use_target`` says whether the label takes part in filling (see Notes); under its
        ``add_indicator`` the estimator sees the indicators.
    m : int, default=5
        Completions. 5 to 10 do for predictions; for intervals take at least the
        percentage of incomplete rows.
    covariance : {None, "model"} or function, default=None
        For `pooled`: how uncertain the coefficients are in one completed table. ``"model"``
        is the textbook formula of LinearRegression and of two-class LogisticRegression (a
        penalty is warned of); a function ``covariance(estimator, X, y)`` returns a matrix
        (k, k) for the coefficients in the order of ``coefficients_``.
    random_state : None, int or Generator
        Of the completions, and of the imputer and estimator where they have none of their own
        (all m estimators get the same). None falls back to the imputer's own.
    n_jobs : int, optional
        Models that are fitted at once.

    Attributes
    ----------
    estimators_ : list of m estimators
    imputer_ : imputer
    classes_ : ndarray
        Of a classifier.
    coefficients_ : DataFrame, (m, k)
        Of linear models: intercept and coefficients of each.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    The label, used or kept out: for *inference* (`pooled`: a coefficient and its interval)
    the outcome belongs in the imputation model, ``use_target=True``; without it filled cells
    know nothing of the outcome, and coefficients shrink towards zero (Moons et al.). For
    *prediction* keep it out (the default): new rows come without a label, so they would be
    filled otherwise than the training rows were. A column of ``X`` that is the target, or
    has its name, is refused.

    Cost: one fit of the imputer and m completions and fits; predicting asks the imputer for
    m completions of the new rows, which costs a chained imputer about as much as its draws
    in fit. Predict many rows at once.

    References
    ----------
    Rubin, "Multiple Imputation for Nonresponse in Surveys", Wiley 1987,
    doi:10.1002/9780470316696. Moons, Donders, Stijnen and Harrell, "Using the outcome for
    imputation of missing predictor values was preferred", J. Clin. Epidemiol. 2006,
    doi:10.1016/j.jclinepi.2006.01.009.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from augsynth.impute.chained import ChainedImputer
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 2))
    >>> y = X[:, 0] + X[:, 1] + rng.normal(size=80)
    >>> X[:30, 0] = np.nan
    >>> imputer = ChainedImputer("pmm", use_target=True)
    >>> model = MultipleImputed(LinearRegression(), imputer, 5, covariance="model", random_state=0)
    >>> pooled = model.fit(X, y).pooled().to_frame()
    >>> bool(pooled.loc["x0", "low"] < 1 < pooled.loc["x0", "high"])
    True
    """

    def __init__(
        self,
        estimator: Any,
        imputer: Any,
        m: int = 5,
        *,
        covariance: Any = None,
        random_state: Any = None,
        n_jobs: int | None = None,
    ):
        self.estimator = estimator
        self.imputer = imputer
        self.m = m
        self.covariance = covariance
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None, **fit_params: Any) -> Self:
        """Fit the imputer, and the estimator on each completion of the rows.

        Parameters
        ----------
        X : DataFrame, ndarray or list, (n, p)
            Training rows, with holes.
        y : array-like, (n,) or (n, number of outputs)
        sample_weight : array-like, (n,), optional
            Handed on to the estimators; the imputer counts every row once.
        **fit_params
            Only with metadata routing enabled: what the estimator's ``fit`` asked for.

        Returns
        -------
        self

        Raises
        ------
        LeakError
            Where ``X`` holds the target.
        ParameterError
            For a component or parameter that cannot serve.
        """
        where = type(self).__name__
        self._check_parameters(where, weighted=sample_weight is not None)
        if y is None:
            raise DataError(f"{where} requires y to be passed, but the target y is None.")
        frame, _ = arrays.take_in(X, where=where)
        refuse_target(frame, y, where)
        if getattr(self.imputer, "use_target", False) and np.shape(np.asarray(y))[1:] == (1,):
            y = column_or_1d(y, warn=True)
        routed = routed_fit(self, fit_params)
        params = {} if routed is None else dict(routed.estimator.fit)
        if sample_weight is not None:
            params[weight_parameter(self.estimator, where)] = sample_weight
        own = self.random_state
        self._seed = resolve_seed(getattr(self.imputer, "random_state", None) if own is None else own)
        self.imputer_ = seeded(clone(self.imputer), self._seed).fit(X, y)
        told = y if getattr(self.imputer_, "has_target_", False) else None
        measure = covariance_of if self.covariance == "model" else self.covariance
        fitted = Parallel(n_jobs=self.n_jobs)(
            delayed(fit_one)(seeded(clone(self.estimator), self._seed), completed, y, params, measure)
            for completed in self._completions(X, self.m, told)
        )
        self.estimators_, self._covariances = [fit for fit, _ in fitted], [found for _, found in fitted]
        if self.covariance == "model":
            warn_of_penalty(self.estimators_[0], where)
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(self.imputer_, name):
                setattr(self, name, getattr(self.imputer_, name))
        self._n_rows = len(frame)
        if is_classifier(self.estimator):
            self._learn_levels(X, y)
        return self

    def _check_parameters(self, where: str, *, weighted: bool) -> None:
        check_parts(self.estimator, self.imputer, where)
        check_number(where, "m", self.m, low=1, integer=True)
        if self.covariance not in (None, "model") and not callable(self.covariance):
            must = "covariance must be None, 'model' or a function"
            raise ParameterError(sentence(where, must, repr(self.covariance)))
        if self.covariance == "model" and weighted:
            todo = "Pass a function that knows what the weights mean."
            must = "covariance='model' is that of unweighted rows"
            raise ParameterError(sentence(where, must, "sample_weight", todo))

    def _learn_levels(self, X: Any, y: Any) -> None:
        """Note the labels of each output, and whether the estimator's own labels follow its probabilities."""
        labels = np.asarray(y)
        labels = labels[:, None] if labels.ndim == 1 else labels
        self._levels = [np.unique(labels[:, j]) for j in range(labels.shape[1])]
        first = self.estimators_[0]
        self._by_vote = not hasattr(first, "predict_proba")
        if not self._by_vote:
            some = arrays.take_rows(X, np.arange(min(self._n_rows, _TRIAL_ROWS)))
            trial = next(self._completions(some, 1))
            told, shares = np.asarray(first.predict(trial)), as_list(first.predict_proba(trial))
            fits = [np.shape(share)[1] for share in shares] == [len(levels) for levels in self._levels]
            self._by_vote = not fits or not np.array_equal(told, self._labels(shares).reshape(told.shape))

    def _completions(self, X: Any, m: int, y: Any = None) -> Iterator[Any]:
        """Yield m completions of rows, with the indicators that the imputer adds."""
        how = getattr(self.imputer_, "iter_imputed", self.imputer_.impute)
        known = {} if y is None else {"y": y}
        for completed in how(X, m, random_state=self._seed, **known):
            flagged = getattr(self.imputer_, "add_indicator", False)
            yield self.imputer_._with_indicators(X, completed) if flagged else completed

    def _each(self, X: Any, method: str) -> Iterator[Any]:
        """Yield what each model says of its completion of the rows."""
        check_is_fitted(self, "estimators_")
        frame, _ = arrays.take_in(X, where=type(self).__name__)
        parts, place = without_twins(X, frame, self.imputer_)
        completions = [self._completions(part, len(self.estimators_)) for part in parts]
        for estimator, *completed in zip(self.estimators_, *completions, strict=True):
            yield joined([getattr(estimator, method)(part) for part in completed], place)

    def _mean(self, X: Any, method: str) -> Any:
        total: list[np.ndarray] = []
        for said in self._each(X, method):
            parts = [np.asarray(part, dtype=np.float64) for part in as_list(said)]
            total = [old + new for old, new in zip(total, parts, strict=True)] if total else parts
        mean = [part / len(self.estimators_) for part in total]
        return mean if isinstance(said, list) else mean[0]

    def _votes(self, X: Any) -> list[np.ndarray]:
        """Return the share of models for each label (n, number of labels), one array an output."""
        shares: list[np.ndarray] = []
        for said in self._each(X, "predict"):
            told = np.asarray(said)
            told = told[:, None] if told.ndim == 1 else told
            if not shares:
                shares = [np.zeros((len(told), len(levels))) for levels in self._levels]
            for j, levels in enumerate(self._levels):
                shares[j][np.arange(len(told)), np.searchsorted(levels, told[:, j])] += 1
        return [share / len(self.estimators_) for share in shares]

    def _labels(self, shares: list[np.ndarray]) -> np.ndarray:
        """Return the label of the greatest share, one column an output."""
        pairs = zip(self._levels, shares, strict=True)
        return np.stack([levels[share.argmax(axis=1)] for levels, share in pairs], axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Predict rows with or without holes: the mean, or the label of the greatest mean probability."""
        check_is_fitted(self, "estimators_")
        if not is_classifier(self.estimator):
            return self._mean(X, "predict")
        shares = self._votes(X) if self._by_vote else as_list(self._mean(X, "predict_proba"))
        labels = self._labels(shares)
        return labels if len(self._levels) > 1 else labels[:, 0]

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Return the models' mean class probabilities, in the form of the estimator."""
        return self._mean(X, "predict_proba")

    @available_if(_estimator_has("predict_proba"))
    def predict_log_proba(self, X: Any) -> Any:
        """Return logarithms of the mean class probabilities."""
        means = self._mean(X, "predict_proba")
        with np.errstate(divide="ignore"):
            return [np.log(part) for part in means] if isinstance(means, list) else np.log(means)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: Any) -> Any:
        """Return the models' mean decision values."""
        return self._mean(X, "decision_function")

    def spread(self, X: Any) -> Any:
        """Return how much the models and completions disagree on each row: the missing cells' uncertainty.

        Parameters
        ----------
        X : as in fit

        Returns
        -------
        ndarray, or a list of them
            Standard deviation over the m predictions of a regressor (n,), or over the m
            probabilities of a classifier (n, number of classes); of votes where there are
            no probabilities. It is not a prediction interval: noise and the training
            sample add to it.
        """
        check_is_fitted(self, "estimators_")
        if (m := len(self.estimators_)) < 2:
            must = "the spread of predictions needs at least 2 completions"
            raise ParameterError(sentence(f"{type(self).__name__}.spread", must, f"m={m}"))
        classifies = is_classifier(self.estimator)
        if classifies and not hasattr(self.estimators_[0], "predict_proba"):
            votes = [np.sqrt(m / (m - 1) * share * (1 - share)) for share in self._votes(X)]
            return votes if len(self._levels) > 1 else votes[0]
        said = list(self._each(X, "predict_proba" if classifies else "predict"))
        parts = [np.std(part, axis=0, ddof=1) for part in zip(*map(as_list, said), strict=True)]
        return parts if isinstance(said[0], list) else parts[0]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return accuracy of a classifier's, or R^2 of a regressor's pooled predictions."""
        measure = accuracy_score if is_classifier(self.estimator) else r2_score
        return float(measure(y, self.predict(X), sample_weight=sample_weight))

    @property
    def classes_(self) -> Any:
        """The classes of a fitted classifier."""
        check_is_fitted(self, "estimators_")
        return self.estimators_[0].classes_

    @property
    def coefficients_(self) -> pd.DataFrame:
        """Intercept and coefficients of the m linear models, (m, k)."""
        check_is_fitted(self, "estimators_")
        return pd.DataFrame([coefficients_of(fit) for fit in self.estimators_])

    @property
    def pooled_coef_(self) -> pd.DataFrame:
        """Mean and between-completion standard deviation of each coefficient, without an interval."""
        table = self.coefficients_
        return pd.DataFrame({"estimate": table.mean(), "between": table.std()})

    def pooled(self, *, level: float = 0.95, dof_complete: float | None = None) -> Pooled:
        """Pool the coefficients of linear models by Rubin's rules: estimates with intervals.

        Parameters
        ----------
        level : float, default=0.95
        dof_complete : float, optional
            Default: rows less coefficients.

        Returns
        -------
        Pooled
            With ``to_frame()`` and ``test(names)``.

        Raises
        ------
        ParameterError
            Without ``covariance``, or for a model without coefficients.

        Warns
        -----
        AugsynthWarning
            Where the imputer was kept from the outcome.
        """
        where = f"{type(self).__name__}.pooled"
        table = self.coefficients_
        if self._covariances[0] is None:
            must = "an interval needs the variance within each completed table"
            raise ParameterError(sentence(where, must, "covariance=None", 'Say covariance="model".'))
        if not getattr(self.imputer_, "has_target_", True):
            warnings.warn(
                f"{where}: the imputer was kept from the outcome, which shrinks coefficients towards zero. "
                "For inference say use_target=True on the imputer.",
                AugsynthWarning,
                stacklevel=2,
            )
        dof = float(max(self._n_rows - table.shape[1], 1)) if dof_complete is None else dof_complete
        return pool(table, np.array(self._covariances), level=level, dof_complete=dof)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return who asks for what."""
        fitting = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=fitting)

    def __sklearn_tags__(self) -> Any:
        """Follow the estimator in what it is, and the imputer in what X may hold."""
        return follow(super().__sklearn_tags__(), self.estimator, self.imputer)
