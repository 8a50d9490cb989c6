"""Does an augmentation help? A paired, repeated cross-validation with an honest verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, overload

from augsynth.check.utility import baselines
from augsynth.check.utility.calibration import Calibrated, why_not_calibrated
from augsynth.check.utility.comparison import Comparison
from augsynth.check.utility.comparisons import Comparisons
from augsynth.check.utility.folds import Plan
from augsynth.check.utility.inputs import (
    applicable_remedies,
    check_estimator,
    named_learners,
    named_resamplers,
)
from augsynth.check.utility.leak import refuse_frozen
from augsynth.check.utility.plan import (
    Asked,
    check_numbers,
    counts_of,
    flags_of,
    make_plan,
    note_twins,
    plan_metrics,
    rarest_in_training,
)
from augsynth.check.utility.running import run_all
from augsynth.check.utility.splits import make_splits
from augsynth.core.errors import ParameterError, sentence
from augsynth.core.random import resolve_seed

__all__ = ["compare"]


@overload
def compare(
    estimator: Mapping[str, Any] | list[Any] | tuple[Any, ...],
    resamplers: Any,
    X: Any,
    y: Any,
    **options: Any,
) -> Comparisons: ...
@overload
def compare(
    estimator: Any,
    resamplers: Any,
    X: Any,
    y: Any,
    *,
    remedies: Any = (),
    calibrate: str | None = None,
    sensitive_features: Any = None,
    groups: Any = None,
    sample_weight: Any = None,
    scoring: Any = None,
    cv: Any = 5,
    n_repeats: int | None = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    pos_label: Any = None,
    alpha: float = 0.05,
    generator_fitted_elsewhere: bool = False,
    progress: bool | None = None,
) -> Comparison: ...
def compare(  # type: ignore[misc]  # a signature for several estimators says **options
    estimator: Any,
    resamplers: Any,
    X: Any,
    y: Any,
    *,
    remedies: Any = (),
    calibrate: str | None = None,
    sensitive_features: Any = None,
    groups: Any = None,
    sample_weight: Any = None,
    scoring: Any = None,
    cv: Any = 5,
    n_repeats: int | None = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    pos_label: Any = None,
    alpha: float = 0.05,
    generator_fitted_elsewhere: bool = False,
    progress: bool | None = None,
) -> Comparison | Comparisons:
    """Say whether augmentation helped: helps, no evidence, or hurts (or failed), with intervals.

    Every method and every baseline is trained on the same training folds and
    scored on the same untouched test folds; augmentation happens inside the
    training folds only. The baselines are *nothing*, *class weights* and a
    *tuned threshold*, each where it applies. A method *helps* if it is better
    than every applicable baseline, *hurts* if it is worse than nothing, each
    beyond chance: corrected resampled t intervals (Nadeau and Bengio), and
    Holm's allowance for the number of methods tried.

    Parameters
    ----------
    estimator : estimator, or dict or list of estimators
        A classifier, regressor or Pipeline. With categories in a DataFrame pass
        ``make_pipeline(preprocess, classifier)``: resamplers see the raw rows. A training
        function (pictures, torch models) becomes one as ``FitPredict(function)``.
        Several are compared on the same folds, and judged together.
    resamplers : dict, list or single resampler
        Objects with ``fit_resample``, by name. They are cloned, never changed.
        May be empty where remedies are given.
    X, y : array-like, DataFrame or list; array-like of shape (n,)
        Rows and one label (or number) a row.
    remedies : str or sequence of str, optional
        What else helps groups, beside the resamplers: names of `augsynth.remedies.REMEDIES`
        ("cell weights", "correlation remover", "group thresholds", "independence penalty",
        or "all"), or remedies. Those that do not apply are noted. Beside the independence
        penalty, which replaces the estimator, stands its network without penalty.
    calibrate : {"sigmoid", "isotonic", "prior"}, optional
        Show each resampler once more with probabilities mended, as resampling distorts
        them: calibrated on a fifth of the real training rows, held back inside the fold
        ("sigmoid", "isotonic"), or by the closed form for
        changed class shares ("prior", costs nothing). Log-loss, Brier score and
        calibration error are then shown too. "isotonic" wants 1,000 rows held back: with
        fewer it says 0 or 1 of some rows, and the log-loss explodes.
    sensitive_features : array-like, Series or DataFrame, optional
        Groups to report on, and passed on to resamplers that take them (not to those whose
        ``group_columns`` name the groups in ``X``). Shown for
        each: the score, the recall of each class within it, and the worst group of a
        fold (of those with 20 rows of the class; a minimum over groups is lower the
        smaller the fold, for every method alike).
    groups : array-like of shape (n,), optional
        Clusters (persons, blocks) that must not be split between training and test, nor by the
        inner folds of tuned thresholds, calibrations and remedies.
    sample_weight : array-like of shape (n,), optional
        Used to fit and to score.
    scoring : str, callable, list or dict, optional
        scikit-learn scorers, greater is better. The verdict rests on the first;
        others are shown with intervals. By default average precision (two
        classes), balanced accuracy (more classes), R2 (regression).
    cv : int, splitter or list of (train, test)
        A number is stratified and shuffled; a splitter is used as it is.
    n_repeats : int, optional
        5 for a number of folds, 1 for a splitter.
    n_jobs : int, optional
        Workers, through joblib: the backend of ``joblib.parallel_config`` is
        kept. Results do not depend on it.
    random_state : None, int, Generator or RandomState
        Drives the folds, and every unset ``random_state`` below.
    pos_label : label, optional
        The class that precision, recall, F1 and average precision are about:
        by default the rarer one.
    alpha : float
        1 minus the confidence of the intervals; chance of a false verdict.
    generator_fitted_elsewhere : bool
        Allow an already fitted (frozen) component. Say it only if it has never
        seen a row of ``X``.
    progress : bool, optional
        None: on a terminal only.

    Returns
    -------
    Comparison, or Comparisons for several estimators
        ``print`` it for a table; ``verdicts``, ``to_frame()``, ``plot(path)``.

    Raises
    ------
    LeakError
        If a resampler returns test rows, or is already fitted.
    DataError, ParameterError, InputTypeError
        For rows, arguments or objects that cannot be used.

    Notes
    -----
    Cost: folds x repeats x (methods + baselines) fits; the tuned threshold takes
    six where the others take one. ``to_frame()`` has the seconds.

    The default of 5 x 5: repeats shrink only the ``1 / J`` part of the variance
    ``1 / J + n_test / n_train``; five leave the interval 8 % wider than
    endless repeats would.

    What it can see: the interval is cautious (in ``benchmarks/compare_honesty.py``
    1.2 to 3.6 times as wide as the scatter of the estimate asks for). A gain of .03 in
    ROC AUC was found in every run with 2,000 rows and 200 of the rare class, and in
    fewer than half with 500 and 50: with few rare rows "no evidence" is the usual answer.

    Deviation: Nadeau and Bengio treat random splits; for repeated k-fold the
    same form is used with ``n_test / n_train = 1 / (k - 1)`` (Bouckaert and Frank).

    References
    ----------
    Nadeau and Bengio (2003), doi:10.1023/A:1024068626366. Bouckaert and Frank
    (2004), doi:10.1007/978-3-540-24775-3_3. Holm (1979), Scandinavian Journal of
    Statistics 6(2). Berger (1982), intersection-union tests,
    doi:10.1080/00401706.1982.10487790.

    Examples
    --------
    >>> from imblearn.over_sampling import RandomOverSampler
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = make_classification(300, weights=[0.85], random_state=0)
    >>> result = compare(LogisticRegression(), {"copies": RandomOverSampler()}, X, y,
    ...                  cv=4, n_repeats=2, random_state=0)
    >>> result.verdicts.loc["copies", "in all"]
    'no evidence'

    Copies of the rare class spoil the probabilities, and the closed form mends them:

    >>> mended = compare(LogisticRegression(), {"copies": RandomOverSampler()}, X, y,
    ...                  calibrate="prior", cv=4, n_repeats=1, random_state=0).to_frame()
    >>> mended = mended[(mended["metric"] == "neg_log_loss") & (mended["against"] == "nothing")]
    >>> (mended.set_index("method")["difference"] < -0.05).to_dict()
    {'copies': True, 'copies, prior': False}
    """
    asked = Asked(
        resolve_seed(random_state), remedies, calibrate, sensitive_features, groups, sample_weight, scoring,
        cv, n_repeats, n_jobs, pos_label, alpha, generator_fitted_elsewhere, progress,
    )  # fmt: skip
    if isinstance(estimator, (Mapping, list, tuple)):
        learners = named_learners(estimator)
        return Comparisons({name: _one(each, resamplers, X, y, asked) for name, each in learners.items()})
    return _one(estimator, resamplers, X, y, asked)


def _one(estimator: Any, resamplers: Any, X: Any, y: Any, asked: Asked) -> Comparison:
    check_estimator(estimator)
    named = named_resamplers(resamplers, may_be_none=bool(asked.remedies))
    if not asked.frozen_allowed:
        for name, component in ({"the estimator": estimator} | named).items():
            refuse_frozen(name, component)
    check_numbers(asked)
    plan = make_plan(estimator, X, y, asked)
    splits, notes = make_splits(
        plan.X,
        plan.labels,
        classification=bool(plan.classes),
        strata=plan.strata,
        groups=plan.groups,
        cv=asked.cv,
        n_repeats=asked.n_repeats,
        seed=asked.seed,
    )
    note_twins(plan.X, splits, notes)
    rarest = rarest_in_training(plan, splits)
    metrics = plan_metrics(plan, asked)
    plan = replace(plan, metrics=metrics, inner_folds=baselines.inner_folds(rarest))
    against = baselines.applicable_baselines(estimator, metrics[0], len(plan.classes), rarest)
    methods = named | _mended(named, plan, asked, notes)
    treated, told = applicable_remedies(asked.remedies, estimator, plan.y, asked.sensitive_features, methods)
    methods, notes = methods | treated, [*notes, *told]
    if not methods:
        raise ParameterError(sentence("compare", "there must be a method that applies", " ".join(told)))
    outcomes, seconds = run_all(plan, splits, methods, against, asked.n_jobs, asked.progress)
    settings = counts_of(plan) | {"alpha": asked.alpha, "seed": asked.seed, "seconds": seconds}
    silent = [name for name, each in methods.items() if getattr(each, "labels_only", False)]
    return Comparison.of(
        outcomes, splits, list(methods), against, metrics, flags_of(plan), notes, settings, silent
    )


def _mended(named: dict[str, Any], plan: Plan, asked: Asked, notes: list[str]) -> dict[str, Any]:
    """Return each resampler once more, its probabilities recalibrated on real rows."""
    if asked.calibrate is None:
        return {}
    reason = why_not_calibrated(plan.estimator, asked.calibrate, bool(plan.classes))
    if reason:
        notes.append(f"calibrate={asked.calibrate!r}: not applicable, {reason}.")
        return {}
    if asked.calibrate != "prior":
        notes.append(
            f"{asked.calibrate}: a fifth of each training fold's real rows is held back to calibrate on."
        )
    return {
        f"{name}, {asked.calibrate}": Calibrated(each, name, asked.calibrate) for name, each in named.items()
    }
