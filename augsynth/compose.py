"""Ways into a plain scikit-learn Pipeline: training is augmented, prediction never is."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from augsynth.core import arrays
from augsynth.core.errors import ParameterError, sentence
from augsynth.core.random import ItemKeys, resolve_seed
from augsynth.core.routing import routed_fit, weight_parameter
from augsynth.perturb.rows import edit_rows, policy_for

__all__ = ["Resampled", "TrainOnly"]

_ROUTED = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score", "transform")


def _estimator_has(name: str) -> Callable[[Any], bool]:
    """Tell whether the estimator (fitted, if there is one) has a method; raises as it does."""

    def check(self: Any) -> bool:
        getattr(getattr(self, "estimator_", self.estimator), name)
        return True

    return check


class Resampled(MetaEstimatorMixin, BaseEstimator):
    """An estimator that is trained on resampled rows and predicts on rows as they are.

    Fits in a plain scikit-learn ``Pipeline``, ``GridSearchCV``, ``cross_validate`` or
    ``CalibratedClassifierCV``, where a bare resampler does not. For mixed tables put
    the encoder inside, so that the generator sees the raw columns:
    ``Resampled(make_pipeline(encoder, classifier), OverSampler(generator))``.

    Parameters
    ----------
    estimator : estimator
        Classifier, regressor or pipeline; cloned and fitted on the resampled rows.
    resampler : resampler
        Anything with ``fit_resample(X, y)``, imbalanced-learn's own included; cloned.

    Attributes
    ----------
    estimator_ : estimator
        Fitted on the resampled rows.
    resampler_ : resampler
        With ``provenance_``, ``target_counts_`` and the rest.
    classes_ : ndarray
        Of a classifier.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    ``sample_weight`` does not change how many rows are made. It goes to the resampler,
    and the weights of all rows after resampling go to the estimator: real rows keep
    theirs, copied and interpolated rows carry their parents' mean, generated ones the
    mean of their cell. A weight is therefore not the same as a repeated row.

    With metadata routing, ``sensitive_features`` is asked for by default (as after
    ``set_fit_request(sensitive_features=True)``) and handed to the resampler;
    ``sample_weight`` is after ``set_fit_request(sample_weight=True)``. What else the two
    parts take is asked for on them, such as ``set_fit_resample_request(groups=True)`` on
    a ``BootstrapResampler``.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from augsynth import BootstrapGenerator, OverSampler
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> resampler = OverSampler(BootstrapGenerator(), random_state=0)
    >>> model = Resampled(DecisionTreeClassifier(random_state=0), resampler)
    >>> model.fit(X, y).predict(X[:2]).tolist()
    [0, 0]
    >>> model.resampler_.target_counts_.tolist()
    [357, 357]
    """

    # Who passes groups to a cross-validation of resampled estimators means the resampler.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"sensitive_features": True}

    def __init__(self, estimator: Any, resampler: Any):
        self.estimator = estimator
        self.resampler = resampler

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sensitive_features: Any = None,
        sample_weight: Any = None,
        **fit_params: Any,
    ) -> Self:
        """Resample the rows, and fit the estimator on the result.

        Parameters
        ----------
        X, y
            Training rows and their target.
        sensitive_features : array-like, optional
            Groups, for the resampler.
        sample_weight : array-like, (n,), optional
            Weights; handed on to the estimator, one for every row after resampling.
        **fit_params
            Only with metadata routing enabled: what the estimator's ``fit`` or the
            resampler's ``fit_resample`` asked for. What goes to the estimator must not
            be one value a row, as the number of rows changes.

        Returns
        -------
        self
        """
        where = type(self).__name__
        if not hasattr(self.resampler, "fit_resample"):
            todo = "Pass one such as OverSampler(generator)."
            raise ParameterError(
                sentence(where, "resampler must have fit_resample", repr(self.resampler), todo)
            )
        if isinstance(self.estimator, type) or not hasattr(self.estimator, "fit"):
            todo = "Pass one such as LogisticRegression(), an object and not its class."
            raise ParameterError(sentence(where, "estimator must have fit", repr(self.estimator), todo))
        for_estimator, for_resampler = self._route(fit_params)
        for name, values in (("sensitive_features", sensitive_features), ("sample_weight", sample_weight)):
            if values is None:
                continue
            if name not in inspect.signature(self.resampler.fit_resample).parameters:
                given = f"a {type(self.resampler).__name__}"
                todo = f"Leave {name} out, or use one of augsynth's resamplers."
                raise ParameterError(sentence(where, f"{name} needs a resampler that takes it", given, todo))
            for_resampler[name] = values
        self.resampler_ = clone(self.resampler)
        X_more, y_more = self.resampler_.fit_resample(X, y, **for_resampler)
        self.estimator_ = clone(self.estimator)
        if sample_weight is not None:
            for_estimator[weight_parameter(self.estimator_, where)] = self.resampler_.sample_weight_
        self.estimator_.fit(X_more, y_more, **for_estimator)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.resampler_, name):
                setattr(self, name, getattr(self.resampler_, name))
        return self

    def _route(self, fit_params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        routed = routed_fit(self, fit_params)
        if routed is None:
            return {}, {}
        return dict(routed.estimator.fit), dict(routed.resampler.fit_resample)

    def _delegate(self, method: str, *args: Any, **params: Any) -> Any:
        check_is_fitted(self, "estimator_")
        if params and get_config()["enable_metadata_routing"]:
            params = dict(process_routing(self, method, **params).estimator[method])
        return getattr(self.estimator_, method)(*args, **params)

    @available_if(_estimator_has("predict"))
    def predict(self, X: Any, **params: Any) -> Any:
        """Predict rows as they are."""
        return self._delegate("predict", X, **params)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: Any, **params: Any) -> Any:
        """Return class probabilities; resampling shifts them towards the cells that grew."""
        return self._delegate("predict_proba", X, **params)

    @available_if(_estimator_has("predict_log_proba"))
    def predict_log_proba(self, X: Any, **params: Any) -> Any:
        """Return logarithms of class probabilities."""
        return self._delegate("predict_log_proba", X, **params)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: Any, **params: Any) -> Any:
        """Return the estimator's decision values."""
        return self._delegate("decision_function", X, **params)

    @available_if(_estimator_has("score"))
    def score(self, X: Any, y: Any = None, **params: Any) -> float:
        """Return the estimator's score on rows as they are."""
        return self._delegate("score", X, y, **params)

    @available_if(_estimator_has("score_samples"))
    def score_samples(self, X: Any) -> Any:
        """Return the estimator's score of each row."""
        return self._delegate("score_samples", X)

    @available_if(_estimator_has("transform"))
    def transform(self, X: Any, **params: Any) -> Any:
        """Transform rows as they are."""
        return self._delegate("transform", X, **params)

    @available_if(_estimator_has("transform"))
    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fit on resampled rows, and transform the rows as they are: never the new ones."""
        return self.fit(X, y, **fit_params).transform(X)

    @property
    def classes_(self) -> np.ndarray:
        """The classes of a fitted classifier."""
        check_is_fitted(self, "estimator_")
        return self.estimator_.classes_

    def get_metadata_routing(self) -> MetadataRouter:
        """Return who asks for what."""
        fitting = MethodMapping().add(caller="fit", callee="fit")
        for method in _ROUTED:
            fitting.add(caller=method, callee=method)
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(estimator=self.estimator, method_mapping=fitting)
            .add(
                resampler=self.resampler,
                method_mapping=MethodMapping().add(caller="fit", callee="fit_resample"),
            )
        )

    def __sklearn_tags__(self) -> Any:
        """Follow the estimator in what it is, both parts in what X may hold."""
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        for name in (
            "estimator_type",
            "classifier_tags",
            "regressor_tags",
            "transformer_tags",
            "target_tags",
        ):
            setattr(tags, name, copy.deepcopy(getattr(inner, name)))
        if not hasattr(self.resampler, "__sklearn_tags__"):
            return tags
        outer = get_tags(self.resampler)
        for name in ("allow_nan", "sparse", "string", "categorical"):
            both = getattr(inner.input_tags, name) and getattr(outer.input_tags, name)
            setattr(tags.input_tags, name, both)
        if not outer.target_tags.multi_output:  # several targets a row cannot be balanced
            tags.target_tags.multi_output = False
            if tags.classifier_tags is not None:
                tags.classifier_tags.multi_label = False
        return tags


class TrainOnly(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Perturb training rows on the way through a pipeline; leave all others alone.

    ``fit_transform``, which a pipeline calls while it is fitted, returns perturbed rows
    (as many as there were, so labels and weights still match); ``transform``, which it
    calls to predict, returns its input unchanged.

    Parameters
    ----------
    perturbation : Perturbation, str, list, transform or function
        What edits the rows: whatever `augsynth.perturb.foreign.as_perturbation` takes, such
        as ``"text_medium"``; a copy is fitted on the training rows and their labels.
    random_state : None, int or Generator
        One edit a row, by seed and position. An int gives the same edits at each fit.

    Attributes
    ----------
    perturbation_ : Perturbation
        The fitted clone.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from augsynth.perturb import ScaledJitter
    >>> X = np.array([[0.5, 7.25], [1.5, 8.75], [3.0, 9.5]])
    >>> step = TrainOnly(ScaledJitter(scale=0.1), random_state=0)
    >>> bool((step.fit_transform(X) == X).all()), bool((step.transform(X) == X).all())
    (False, True)
    """

    def __init__(self, perturbation: Any, *, random_state: Any = None):
        self.perturbation = perturbation
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what the perturbation needs from training rows."""
        where = type(self).__name__
        X = arrays.as_rows(X, where=where)
        self._check(X, reset=True)
        self.perturbation_ = policy_for(self.perturbation, X, y, where=where)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Return the training rows, each with its own edit, in the container of ``X``."""
        where = type(self).__name__
        X = arrays.as_rows(X, where=where)
        self.fit(X, y)
        keys = ItemKeys(resolve_seed(self.random_state), 0, np.arange(arrays.count_rows(X)))
        edited = edit_rows(self.perturbation_, X, keys, where=where)
        if isinstance(X, pd.DataFrame):
            return edited.set_axis(X.index, axis=0)
        return edited.astype(X.dtype, copy=False) if arrays.is_table(X) and hasattr(X, "astype") else edited

    def transform(self, X: Any) -> Any:
        """Return ``X`` itself."""
        check_is_fitted(self, "perturbation_")
        self._check(X, reset=False)
        return X

    def _check(self, X: Any, *, reset: bool) -> None:
        if arrays.is_table(X):
            arrays.take_in(X, where=type(self).__name__)
        if arrays.has_columns(X):
            validate_data(self, X=X, skip_check_array=True, reset=reset)

    def __sklearn_tags__(self) -> Any:
        """Missing cells pass through."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
