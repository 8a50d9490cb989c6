"""The coefficients of a fitted linear model, with their names and covariance."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline

from augsynth.core.errors import AugsynthWarning, DataError, ParameterError, sentence

__all__ = ["coefficients_of", "covariance_of", "warn_of_penalty"]


def coefficients_of(estimator: Any) -> pd.Series:
    """Return intercept and coefficients of a fitted linear model, by name.

    Parameters
    ----------
    estimator : estimator
        With ``coef_``, or a pipeline whose last step has it.

    Returns
    -------
    Series, (k,)
        ``"intercept"`` first, if one was fitted; with several outputs or classes, the
        names are pairs (output or class, name).

    Raises
    ------
    ParameterError
        Where there is no ``coef_``.

    Examples
    --------
    >>> coefficients_of(LinearRegression().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])).round(6).to_dict()
    {'intercept': 1.0, 'x0': 2.0}
    """
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not hasattr(last, "coef_"):
        must, todo = (
            "the fitted estimator must have coef_",
            "Use a linear model, or a pipeline that ends in one.",
        )
        raise ParameterError(sentence("coefficients", must, type(last).__name__, todo))
    slopes = np.atleast_2d(last.coef_)
    names = _feature_names(estimator, last, slopes.shape[1])
    table = pd.DataFrame(slopes, columns=names)
    if getattr(last, "fit_intercept", False):
        table.insert(0, "intercept", np.broadcast_to(np.ravel(last.intercept_), len(slopes)))
    if len(slopes) == 1:
        return table.iloc[0].rename(None)
    table.index = getattr(last, "classes_", table.index) if len(slopes) > 1 else table.index
    return table.stack()


def _feature_names(estimator: Any, last: Any, n: int) -> list[Any]:
    names: Any = getattr(last, "feature_names_in_", None)
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        try:
            names = estimator[:-1].get_feature_names_out()
        except (AttributeError, ValueError):  # a step that has no names for what it returns
            names = None
    return [f"x{j}" for j in range(n)] if names is None or len(names) != n else list(names)


def covariance_of(estimator: Any, X: Any, y: Any) -> np.ndarray:
    """Return the model-based covariance (k, k) of `coefficients_of` a fitted linear model.

    Parameters
    ----------
    estimator : LinearRegression or LogisticRegression of two classes, or a pipeline that ends in one
        Fitted on ``X`` and ``y`` without weights. What earlier steps of a pipeline learned is
        taken as given.
    X, y : array-like
        What it was fitted on.

    Returns
    -------
    ndarray (k, k)
        Least squares: the residual variance times (D'D)^-1, D the design with its column of
        ones. Logistic: the inverse of the (l2-penalised) Hessian; ``C=numpy.inf`` for plain
        maximum likelihood.

    Raises
    ------
    ParameterError
        For any other model.
    DataError
        Where the design has not full rank, or not more rows than columns.
    """
    where = "covariance"
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    design = estimator[:-1].transform(X) if isinstance(estimator, Pipeline) and len(estimator) > 1 else X
    design = np.asarray(design.toarray() if hasattr(design, "toarray") else design, dtype=np.float64)
    if getattr(last, "fit_intercept", False):
        design = np.column_stack([np.ones(len(design)), design])
    n, k = design.shape
    if isinstance(last, LinearRegression) and np.ndim(last.coef_) == 1 and not last.positive:
        if n <= k:
            raise DataError(sentence(where, "there must be more rows than coefficients", f"{n} rows for {k}"))
        left = np.ravel(y) - design @ coefficients_of(last).to_numpy()
        return _inverse(design, np.ones(n), where) * float(left @ left) / (n - k)
    if _is_smooth(last) and len(last.coef_) == 1:
        share = expit(design @ coefficients_of(last).to_numpy())
        penalty = np.full(k, _penalty(last))
        penalty[: k - last.coef_.shape[1]] = 0.0
        return _inverse(design, share * (1 - share), where, penalty)
    must = "the model must be an unweighted LinearRegression, or LogisticRegression of two classes (l2)"
    todo = "Pass a function covariance(estimator, X, y) that returns the covariance of its coefficients."
    raise ParameterError(sentence(where, must, repr(last), todo))


def warn_of_penalty(estimator: Any, where: str) -> None:
    """Warn where a logistic regression's penalty shrinks the coefficients whose intervals are wanted."""
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if _is_smooth(last) and _penalty(last) > 0:
        warnings.warn(
            f"{where}: LogisticRegression(C={last.C:g}) is penalised, so its coefficients are shrunk towards "
            "zero and their intervals miss the truth too often. For inference say C=numpy.inf (or, before "
            "scikit-learn 1.8, penalty=None).",
            AugsynthWarning,
            stacklevel=3,
        )


def _penalty(model: LogisticRegression) -> float:
    return 0.0 if model.penalty is None else 1 / model.C


def _is_smooth(model: Any) -> bool:
    return (
        type(model) is LogisticRegression  # the one that chooses C by cross-validation is a subclass
        and not model.l1_ratio
        and model.penalty in (None, "l2", "deprecated")
        and model.class_weight is None
        and model.solver != "liblinear"  # it penalises the intercept
    )


def _inverse(design: np.ndarray, weights: np.ndarray, where: str, penalty: Any = 0.0) -> np.ndarray:
    """Return (D'WD + diag(penalty))^-1, by columns of one length so that units do not matter."""
    k = design.shape[1]
    precision = design.T @ (design * weights[:, None]) + np.diag(np.broadcast_to(penalty, k))
    scale = np.sqrt(np.diag(precision))
    scale[scale == 0] = 1.0
    precision = precision / np.outer(scale, scale)
    rank = int(np.linalg.matrix_rank(precision, tol=k * 1e-13, hermitian=True))
    if rank < k:
        todo = "Leave out columns that others add up to, such as one category: OneHotEncoder(drop='first')."
        raise DataError(sentence(where, "the design must have full rank", f"rank {rank} of {k}", todo))
    return np.linalg.inv(precision) / np.outer(scale, scale)
