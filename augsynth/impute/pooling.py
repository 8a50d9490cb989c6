"""One answer from several completed tables: Rubin's rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

from augsynth.core.errors import DataError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.impute.pooled import JointTest, Pooled, dof_observed

__all__ = ["JointTest", "Pooled", "pool", "pool_models"]

_WHERE = "pool"


class _Scale(NamedTuple):
    """Where estimates are nearly normal: the way there, back, and the slope of the way there."""

    to: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]
    low: float
    high: float


_SCALES = {
    "logit": _Scale(special.logit, special.expit, lambda q: 1 / (q * (1 - q)), 0.0, 1.0),
    "fisher": _Scale(np.arctanh, np.tanh, lambda q: 1 / (1 - q**2), -1.0, 1.0),
    "log": _Scale(np.log, np.exp, lambda q: 1 / q, 0.0, np.inf),
}


def pool(
    estimates: Any,
    variances: Any,
    *,
    n_rows: int | None = None,
    dof_complete: float | None = None,
    level: float = 0.95,
    names: Sequence[Any] | None = None,
    transform: str | None = None,
) -> Pooled:
    """Pool the same estimate from several completed tables, with all its uncertainty.

    Parameters
    ----------
    estimates : array-like, (m,) or (m, k)
        One estimate, or k of them, from each of m >= 2 completed tables. A DataFrame's
        columns, or the index of a list of Series, are the names.
    variances : array-like, of the shape of ``estimates``, or (m, k, k)
        Squared standard errors, or covariance matrices. Where these and the estimates both have
        names, they are matched by them.
    n_rows : int, optional
        Rows of the table: short for ``dof_complete=n_rows - k`` (k = 1 for a scalar).
    dof_complete : float, optional
        Degrees of freedom of the estimates were nothing missing, such as rows less
        coefficients. Default: infinite, which is too narrow for small tables.
    level : float, default=0.95
        Of the intervals.
    names : list, optional
        Of the k estimates.
    transform : {None, "logit", "fisher", "log"}, optional
        Pool shares such as an accuracy or an AUC ("logit"), correlations ("fisher") or
        ratios ("log") where they are nearly normal, by the delta method; the estimate,
        its standard error and interval come back in the user's units. The test is then of
        a share of one half, a correlation of zero, a ratio of one.

    Returns
    -------
    Pooled

    Raises
    ------
    ParameterError, DataError
        One table, missing or infinite numbers, negative variances, shapes or names that do not match.

    Notes
    -----
    The estimates must come from random draws (``imputer.impute``) that used the outcome
    of the analysis (``use_target=True``): point completions have no spread between them.
    ``missing_information`` is Rubin's large-sample fraction (zero where no draws differ);
    software that puts adjusted degrees of freedom into it reports slightly more. With no
    variance within, the degrees of freedom are m - 1.

    References
    ----------
    Rubin, "Multiple Imputation for Nonresponse in Surveys", Wiley 1987,
    doi:10.1002/9780470316696. Barnard and Rubin, "Small-sample degrees of freedom with
    multiple imputation", Biometrika 1999, doi:10.1093/biomet/86.4.948.

    Examples
    --------
    >>> pooled = pool([1.0, 2.0, 3.0], [0.5, 0.5, 0.5], dof_complete=20)
    >>> pooled.estimate, round(pooled.total, 3), round(pooled.relative_increase, 3)
    (2.0, 1.833, 2.667)
    >>> round(pooled.dof, 2), round(pooled.missing_information, 2)
    (2.15, 0.81)
    """
    labels = _names_of(estimates, names)
    q = _numbers(estimates, "estimates")
    u = _numbers(_matched(variances, _inner_names(estimates)), "variances")
    scalar = q.ndim == 1
    q, variances, covariances = _shapes(q, u)
    m, k = q.shape
    labels = list(range(k)) if labels is None else labels
    if len(labels) != k:
        raise ParameterError(sentence(_WHERE, f"names must be {k}, one an estimate", str(len(labels))))
    check_number(_WHERE, "level", level, low=0, high=1, low_open=True, high_open=True)
    scale = _scale(transform, q)
    if scale is not None:
        slope = scale.slope(q)
        variances = variances * slope**2
        if covariances is not None:
            covariances = covariances * (slope[:, :, None] * slope[:, None, :])
        q = scale.to(q)
    mean, away = q.mean(axis=0), q - q.mean(axis=0)
    complete = _dof_complete(n_rows, dof_complete, k)
    moments = _moments(mean, variances.mean(axis=0), (away**2).sum(axis=0) / (m - 1), m, complete)
    reach = stats.t.isf((1 - level) / 2, moments["dof"]) * moments["standard_error"]
    moments |= {"estimate": mean, "low": mean - reach, "high": mean + reach}
    if scale is not None:
        for name in ("estimate", "low", "high"):
            moments[name] = scale.back(moments[name])
        moments["standard_error"] = moments["standard_error"] / scale.slope(moments["estimate"])
    told = {name: float(value[0]) if scalar else value for name, value in moments.items()}
    return Pooled(
        **told,
        m=m,
        level=float(level),
        names=labels,
        dof_complete=complete,
        location=mean,
        within_covariance=None if covariances is None else covariances.mean(axis=0),
        between_covariance=None if covariances is None else away.T @ away / (m - 1),
    )


def pool_models(fits: Sequence[Any], *, level: float = 0.95, dof_complete: float | None = None) -> Pooled:
    """Pool fitted regression models, one a completed table, with ``params`` and ``cov_params()``.

    So fits of statsmodels pool as they are. For estimators of scikit-learn see
    `augsynth.impute.multiple.MultipleImputed`, whose ``pooled`` computes the covariance.

    Parameters
    ----------
    fits : list of results
        At least two.
    level : float, default=0.95
    dof_complete : float, optional
        Default: the first fit's ``df_resid``, if it has one.

    Raises
    ------
    ParameterError
        Where a fit lacks ``params`` or ``cov_params``.
    """
    fits = list(fits)
    if any(not hasattr(fit, "params") or not hasattr(fit, "cov_params") for fit in fits):
        must = "every fit must have params and cov_params(), as those of statsmodels"
        given = offenders(sorted({type(fit).__name__ for fit in fits}))
        raise ParameterError(sentence("pool_models", must, given, "Call pool(estimates, covariances)."))
    if dof_complete is None and fits:
        dof_complete = getattr(fits[0], "df_resid", None)
    covariances = [fit.cov_params() for fit in fits]
    return pool([fit.params for fit in fits], covariances, dof_complete=dof_complete, level=level)


def _moments(mean: np.ndarray, within: np.ndarray, between: np.ndarray, m: int, complete: float) -> dict:
    """Return Rubin's quantities, (k,) each."""
    extra = (1 + 1 / m) * between
    total = within + extra
    share = np.divide(extra, total, out=np.zeros_like(total), where=total > 0)  # lambda
    old = np.divide(m - 1, share**2, out=np.full_like(total, np.inf), where=share > 0)
    observed = dof_observed(complete, share)
    with np.errstate(divide="ignore"):  # 1 / (0 + 0) is infinity, as it should be
        dof = 1 / (1 / old + 1 / observed)
    dof = np.where((within == 0) & (extra > 0), m - 1, dof)
    r = np.divide(extra, within, out=np.where(extra > 0, np.inf, 0.0), where=within > 0)
    # (r + 2 / (old + 3)) / (r + 1), written so that an infinite r is no trouble
    information = np.minimum(share + 2 / (old + 3) * (1 - share), 1.0)
    error = np.sqrt(total)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = mean / error
    return {
        "standard_error": error,
        "dof": dof,
        "statistic": statistic,
        "p_value": 2 * stats.t.sf(np.abs(statistic), dof),
        "within": within,
        "between": between,
        "total": total,
        "relative_increase": r,
        "missing_information": information,
    }


def _dof_complete(n_rows: int | None, dof_complete: float | None, k: int) -> float:
    if dof_complete is not None:
        if isinstance(dof_complete, float) and np.isposinf(dof_complete):
            return np.inf
        check_number(_WHERE, "dof_complete", dof_complete, low=0, low_open=True)
        return float(dof_complete)
    if n_rows is None:
        return np.inf
    check_number(_WHERE, "n_rows", n_rows, low=k + 1, integer=True)
    return float(n_rows - k)


def _names_of(estimates: Any, names: Sequence[Any] | None) -> list[Any] | None:
    if names is not None:
        return list(names)
    if isinstance(estimates, pd.DataFrame):
        return list(estimates.columns)
    if isinstance(estimates, (list, tuple)) and estimates and isinstance(estimates[0], pd.Series):
        first = estimates[0].index
        if any(not isinstance(row, pd.Series) or not row.index.equals(first) for row in estimates):
            must = "the estimates of all tables must have the same names in the same order"
            given = next(
                list(row.index) if isinstance(row, pd.Series) else type(row).__name__
                for row in estimates
                if not isinstance(row, pd.Series) or not row.index.equals(first)
            )
            raise DataError(sentence(_WHERE, must, f"{list(first)} and {given}"))
        return list(first)
    return None


def _inner_names(values: Any) -> pd.Index | None:
    """Return the names of the k estimates that a container carries; None where it has but positions."""
    if isinstance(values, (list, tuple)) and values and isinstance(values[0], (pd.Series, pd.DataFrame)):
        values = values[0]
    elif isinstance(values, pd.Series):
        return None  # one number a table
    found = getattr(values, "columns", getattr(values, "index", None))
    return found if isinstance(found, pd.Index) and not isinstance(found, pd.RangeIndex) else None


def _matched(variances: Any, names: pd.Index | None) -> Any:
    """Return variances in the order of the names of the estimates, where both have names."""
    if names is None:
        return variances
    if isinstance(variances, (list, tuple)):
        return [_in_order(each, names) for each in variances]
    return _in_order(variances, names, square=False)


def _in_order(values: Any, names: pd.Index, *, square: bool = True) -> Any:
    axes = {pd.Series: [0], pd.DataFrame: [0, 1] if square else [1]}.get(type(values), [])
    for axis in axes:
        own = values.axes[axis]
        if isinstance(own, pd.RangeIndex) or own.equals(names) or len(own) == len(names) == 1:
            continue
        if not own.is_unique or not names.is_unique or set(own) != set(names):
            must = "variances must have the names of the estimates"
            given = f"{offenders(own, 8)} for the estimates of {offenders(names, 8)}"
            raise DataError(sentence(_WHERE, must, given, "Rename them, or pass plain arrays."))
        values = values.reindex(names, axis=axis)
    return values


def _numbers(values: Any, what: str) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        must = f"{what} must be numbers, as many from every table"
        raise DataError(sentence(_WHERE, must, str(error))) from None
    if array.ndim == 0 or not len(array):
        raise DataError(sentence(_WHERE, f"{what} must be one from every table", repr(values)))
    bad = ~np.isfinite(array)
    if bad.any():
        tables = np.flatnonzero(bad.reshape(len(array), -1).any(axis=1))
        todo = "Leave out models that failed to fit, or mend them."
        given = f"NaN or inf from table {offenders(tables)}"
        raise DataError(sentence(_WHERE, f"{what} must be finite", given, todo))
    return array


def _shapes(q: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return estimates and variances (m, k), and covariances (m, k, k) where there are any."""
    if q.ndim not in (1, 2) or (q.ndim == 2 and q.shape[1] == 0):
        raise DataError(sentence(_WHERE, "estimates must have shape (m,) or (m, k)", str(q.shape)))
    if len(q) < 2:
        todo = "Draw more completions: imputer.impute(X, m=5)."
        given = f"{len(q)} table" + "s" * (len(q) != 1)
        raise DataError(sentence(_WHERE, "pooling needs estimates from at least 2 tables", given, todo))
    if u.shape != q.shape and (q.ndim == 1 or u.shape != (*q.shape, q.shape[1])):
        must = f"variances must have the shape of the estimates {q.shape}"
        must += f" or be covariances {(*q.shape, q.shape[1])}" if q.ndim == 2 else ""
        raise DataError(sentence(_WHERE, must, f"shape {u.shape}"))
    if u.ndim == 3 and not np.allclose(u, u.transpose(0, 2, 1), rtol=1e-6, atol=1e-12 * np.abs(u).max()):
        raise DataError(sentence(_WHERE, "covariances must be symmetric", "some that are not"))
    diagonal = np.diagonal(u, axis1=1, axis2=2) if u.ndim == 3 else u
    negative = diagonal[diagonal < 0]
    if len(negative):
        todo = "Pass squared standard errors."
        raise DataError(sentence(_WHERE, "variances must not be negative", offenders(negative), todo))
    return q.reshape(len(q), -1), diagonal.reshape(len(q), -1), u if u.ndim == 3 else None


def _scale(transform: str | None, q: np.ndarray) -> _Scale | None:
    check_option(_WHERE, "transform", transform, [None, *_SCALES])
    if transform is None:
        return None
    scale = _SCALES[transform]
    outside = q[(q <= scale.low) | (q >= scale.high)]
    if len(outside):
        must = f"transform={transform!r} needs estimates between {scale.low:g} and {scale.high:g}"
        raise DataError(sentence(_WHERE, must, offenders(outside), "Pool without a transform."))
    return scale
