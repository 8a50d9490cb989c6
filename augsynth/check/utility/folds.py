"""One method on one split: resample the training part, fit, score the untouched test part."""

from __future__ import annotations

import contextlib
import copy
import inspect
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from augsynth.check.utility import baselines
from augsynth.check.utility.answers import answers_of, asks_once
from augsynth.check.utility.calibration import Calibrated, PriorCorrected, held_back, recalibrated
from augsynth.check.utility.fold_scores import fold_scores, take
from augsynth.check.utility.leak import refuse_test_rows
from augsynth.check.utility.metric import Metric
from augsynth.check.utility.splits import Split
from augsynth.core.errors import LeakError
from augsynth.core.random import keyed_rng, seeded

__all__ = ["Outcome", "Plan", "kept_warnings", "n_rows", "one_thread", "resample_part", "run_method", "take"]

_MODEL_STREAM, _METHOD_STREAM, _THRESHOLD_STREAM, _HELD_STREAM = 102, 103, 104, 105


@dataclass(frozen=True)
class Plan:
    """Everything that does not change from fold to fold.

    ``strata`` names the sensitive group of every row; ``big_groups`` are those
    with enough rows to be judged, ``big_cells`` the (class, group) pairs.
    """

    estimator: Any
    X: Any
    y: Any
    labels: np.ndarray
    metrics: list[Metric]
    classes: list[Any]
    sensitive_features: Any = None
    strata: np.ndarray | None = None
    big_groups: list[str] = field(default_factory=list)
    big_cells: frozenset[tuple[Any, str]] = frozenset()
    groups: np.ndarray | None = None
    sample_weight: np.ndarray | None = None
    seed: int = 0
    frozen_allowed: bool = False
    inner_folds: int = 5


@dataclass(frozen=True)
class Outcome:
    """What one method did on one split; ``error`` is "" unless it failed, ``warned`` the warnings it gave."""

    method: str
    repeat: int
    fold: int
    scores: list[tuple[str, str, Any, float]]
    seconds_resample: float = 0.0
    seconds_fit: float = 0.0
    rows: int = 0
    error: str = ""
    warned: tuple[tuple[type[Warning], str], ...] = ()


_limited = False  # whether this process is under the limit already: looking the libraries up takes a while


@contextmanager
def one_thread() -> Iterator[None]:
    """Numerical libraries use one thread: results do not depend on how the folds are spread."""
    global _limited
    outer, torch = _limited, sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 1
    with contextlib.nullcontext() if outer else threadpool_limits(limits=1):
        _limited = True
        if torch is not None and before != 1:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            _limited = outer
            if torch is not None and before != 1:
                torch.set_num_threads(before)


def run_method(plan: Plan, split: Split, method: str, resampler: Any) -> Outcome:
    """Fit one method (a baseline's name, or a resampler) on one split and score it."""
    rows, seconds = 0, [0.0, 0.0]
    with one_thread(), kept_warnings() as warned:
        try:
            model, rows, seconds = _fit(plan, split, method, resampler)
            scores = fold_scores(plan, split, model)
        except LeakError:
            raise
        except Exception as error:  # one method must not take the others down with it
            told = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            return Outcome(method, split.repeat, split.fold, [], seconds[0], seconds[1], rows, told)
    kept = tuple({(each.category, str(each.message)): None for each in warned or ()})
    return Outcome(method, split.repeat, split.fold, scores, seconds[0], seconds[1], rows, "", kept)


@contextmanager
def kept_warnings() -> Iterator[list[warnings.WarningMessage] | None]:
    """Keep warnings back, to be told once and not on every fold; in threads they cannot be kept apart."""
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    with warnings.catch_warnings(record=True) as warned:
        yield warned


def _fit(plan: Plan, split: Split, method: str, component: Any) -> tuple[Any, int, list[float]]:
    """Return the fitted model, its training rows, and the seconds to resample and to fit."""
    # the same model seed for every method: identical training rows give identical scores
    model = seeded(clone(plan.estimator), plan.seed, _MODEL_STREAM, split.repeat, split.fold)
    if component is None:
        model, rows, seconds = _fit_baseline(plan, split, method, model)
    elif not hasattr(component, "fit_resample") and not isinstance(component, Calibrated):
        return _fit_remedy(plan, split, method, component, model)
    else:
        model, rows, seconds = _fit_resampled(plan, split, method, component, model)
    if asks_once(plan.estimator):
        start = time.perf_counter()
        model = answers_of(model, take(plan.X, split.test), plan.classes or None)
        seconds[1] += time.perf_counter() - start
    return model, rows, seconds


def _fit_baseline(plan: Plan, split: Split, method: str, model: Any) -> tuple[Any, int, list[float]]:
    X, y = take(plan.X, split.train), take(plan.y, split.train)
    weight = take(plan.sample_weight, split.train)
    start = time.perf_counter()
    if method == baselines.CLASS_WEIGHTS:
        baselines.fit_with_class_weights(model, X, y, weight)
    elif method == baselines.TUNED_THRESHOLD:
        inner_seed = int(keyed_rng(plan.seed, _THRESHOLD_STREAM, split.repeat, split.fold).integers(2**31))
        model = baselines.fit_tuned_threshold(
            model,
            X,
            y,
            weight,
            metric=plan.metrics[0],
            groups=take(plan.groups, split.train),
            folds=plan.inner_folds,
            seed=inner_seed,
        )
    else:
        baselines.fit_estimator(model, X, y, weight)
    return model, n_rows(X), [0.0, time.perf_counter() - start]


def _fit_remedy(
    plan: Plan, split: Split, method: str, remedy: Any, model: Any
) -> tuple[Any, int, list[float]]:
    """Fit a remedy; it may look at the groups of the test rows, and is asked about these once."""
    X = take(plan.X, split.train)
    # a remedy and its twin without the remedy start from the same seed: they differ by it alone
    key = zlib.crc32((getattr(remedy, "seeded_as", None) or method).encode())
    kept = {}
    if plan.groups is not None and "groups" in inspect.signature(remedy.fit).parameters:
        kept["groups"] = take(plan.groups, split.train)  # not split by folds inside either
    start = time.perf_counter()
    fitted = remedy.fit(
        model,
        X,
        take(plan.y, split.train),
        sensitive_features=take(plan.sensitive_features, split.train),
        sample_weight=take(plan.sample_weight, split.train),
        random_state=int(keyed_rng(plan.seed, _METHOD_STREAM, split.repeat, split.fold, key).integers(2**31)),
        **kept,
    )
    groups = take(plan.sensitive_features, split.test)
    told = answers_of(fitted, take(plan.X, split.test), plan.classes or None, sensitive_features=groups)
    return told, n_rows(X), [0.0, time.perf_counter() - start]


def _fit_resampled(
    plan: Plan, split: Split, method: str, component: Any, model: Any
) -> tuple[Any, int, list[float]]:
    mended = component if isinstance(component, Calibrated) else None
    part, held = split, np.empty(0, dtype=int)
    if mended is not None and mended.how != "prior":
        seed = int(keyed_rng(plan.seed, _HELD_STREAM, split.repeat, split.fold).integers(2**31))
        train, held = held_back(plan.labels[split.train], take(plan.groups, split.train), seed)
        part, held = replace(split, train=split.train[train]), split.train[held]
    X, y = take(plan.X, part.train), take(plan.y, part.train)
    weight = take(plan.sample_weight, part.train)
    start = time.perf_counter()
    # by name: adding a method leaves the others as they were
    key = zlib.crc32((mended.of if mended is not None else method).encode())
    resampler = mended.resampler if mended is not None else component
    fresh = seeded(clone(resampler, safe=False), plan.seed, _METHOD_STREAM, split.repeat, split.fold, key)
    X_new, y_new, weight = resample_part(plan, part, fresh, X, y, weight)
    seconds_resample = time.perf_counter() - start
    if not plan.frozen_allowed:
        refuse_test_rows(method, X, take(plan.X, split.test), X_new)
    start = time.perf_counter()
    baselines.fit_estimator(model, X_new, y_new, weight)
    if len(held):
        kept = take(plan.sample_weight, held)
        model = recalibrated(model, take(plan.X, held), take(plan.y, held), mended.how, kept)  # type: ignore[union-attr]
    elif mended is not None:
        model = PriorCorrected.of(model, y, y_new)
    return model, n_rows(X_new), [seconds_resample, time.perf_counter() - start]


def n_rows(X: Any) -> int:
    """Return the number of rows of any container."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def _finds_groups(resampler: Any) -> bool:
    """Tell whether a resampler reads the groups from columns of the rows, and so must not be given any."""
    columns = getattr(resampler, "group_columns", None)
    return columns is not None and (not hasattr(columns, "__len__") or len(columns) > 0)


def resample_part(
    plan: Plan, split: Split, resampler: Any, X: Any, y: Any, weight: np.ndarray | None
) -> tuple[Any, Any, np.ndarray | None]:
    """Resample the training part; groups, clusters and weights go with it where they are taken."""
    known = inspect.signature(resampler.fit_resample).parameters
    offered = {
        "sensitive_features": take(plan.sensitive_features, split.train),
        "groups": take(plan.groups, split.train),
        "sample_weight": weight,
    }
    if _finds_groups(resampler):
        offered["sensitive_features"] = None
    extra = {name: value for name, value in offered.items() if value is not None and name in known}
    X_new, y_new = resampler.fit_resample(copy.copy(X), copy.copy(y), **extra)[:2]
    if weight is None:
        return X_new, y_new, None
    given_back = getattr(resampler, "sample_weight_", None)
    if given_back is not None:
        return X_new, y_new, np.asarray(given_back, dtype=float)
    indices = getattr(resampler, "sample_indices_", None)
    if indices is not None and len(indices) == len(y_new):
        return X_new, y_new, weight[np.asarray(indices)]
    if len(y_new) < len(y):
        raise ValueError("the resampler dropped rows without saying which, so their weights are lost")
    means = pd.Series(weight).groupby(plan.labels[split.train]).mean()
    added = pd.Series(np.asarray(y_new)[len(weight) :]).map(means).to_numpy(dtype=float)
    return X_new, y_new, np.concatenate([weight, added])
