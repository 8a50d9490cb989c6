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
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from augsynth.check import baselines
from augsynth.check.leak import refuse_test_rows
from augsynth.check.metric import Metric
from augsynth.check.splits import Split
from augsynth.core.errors import LeakError
from augsynth.core.random import keyed_rng, seeded

__all__ = ["Outcome", "Plan", "one_thread", "run_method", "take"]

_MODEL_STREAM, _METHOD_STREAM, _THRESHOLD_STREAM = 102, 103, 104


@dataclass(frozen=True)
class Plan:
    """Everything that does not change from fold to fold.

    ``strata`` names the sensitive group of every row; ``big_groups`` are those
    with enough rows to be judged.
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


def take(X: Any, positions: np.ndarray) -> Any:
    """Return the rows at these positions, in the same container."""
    if X is None:
        return None
    if hasattr(X, "iloc"):
        return X.iloc[positions]
    if isinstance(X, (list, tuple)):
        return [X[position] for position in positions]
    return X[positions]


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
    with one_thread(), _kept_warnings() as warned:
        try:
            model, rows, seconds = _fit(plan, split, method, resampler)
            scores = _score(plan, split, model)
        except LeakError:
            raise
        except Exception as error:  # one method must not take the others down with it
            told = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            return Outcome(method, split.repeat, split.fold, [], seconds[0], seconds[1], rows, told)
    kept = tuple({(each.category, str(each.message)): None for each in warned or ()})
    return Outcome(method, split.repeat, split.fold, scores, seconds[0], seconds[1], rows, "", kept)


@contextmanager
def _kept_warnings() -> Iterator[list[warnings.WarningMessage] | None]:
    """Keep warnings back, to be told once and not on every fold; in threads they cannot be kept apart."""
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    with warnings.catch_warnings(record=True) as warned:
        yield warned


def _fit(plan: Plan, split: Split, method: str, resampler: Any) -> tuple[Any, int, list[float]]:
    X, y = take(plan.X, split.train), take(plan.y, split.train)
    weight = take(plan.sample_weight, split.train)
    # the same model seed for every method: identical training rows give identical scores
    model = seeded(clone(plan.estimator), plan.seed, _MODEL_STREAM, split.repeat, split.fold)
    start = time.perf_counter()
    seconds_resample = 0.0
    if resampler is not None:
        key = zlib.crc32(method.encode())  # by name: adding a method leaves the others as they were
        fresh = seeded(clone(resampler, safe=False), plan.seed, _METHOD_STREAM, split.repeat, split.fold, key)
        X_new, y_new, weight = _resample(plan, split, fresh, X, y, weight)
        seconds_resample = time.perf_counter() - start
        if not plan.frozen_allowed:
            refuse_test_rows(method, X, take(plan.X, split.test), X_new)
        X, y = X_new, y_new
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
    return model, _n_rows(X), [seconds_resample, time.perf_counter() - start]


def _n_rows(X: Any) -> int:
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def _resample(
    plan: Plan, split: Split, resampler: Any, X: Any, y: Any, weight: np.ndarray | None
) -> tuple[Any, Any, np.ndarray | None]:
    known = inspect.signature(resampler.fit_resample).parameters
    offered = {
        "sensitive_features": take(plan.sensitive_features, split.train),
        "groups": take(plan.groups, split.train),
        "sample_weight": weight,
    }
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


def _score(plan: Plan, split: Split, model: Any) -> list[tuple[str, str, Any, float]]:
    """Return (metric, scope, level, score) records of the test part."""
    labels = plan.labels[split.test]
    X, y = take(plan.X, split.test), take(plan.y, split.test)
    weight = take(plan.sample_weight, split.test)
    first = plan.metrics[0]
    records: list[tuple[str, str, Any, float]] = []
    for metric in plan.metrics:
        score = metric(model, X, y, weight) if _defined(labels, plan.classes) else float("nan")
        records.append((metric.name, "all", "all", score))
    if plan.classes:
        right = np.asarray(model.predict(X)) == labels
        for level in plan.classes:
            of_class = labels == level
            share = float(right[of_class].mean()) if of_class.any() else float("nan")
            records.append(("recall", "class", level, share))
    if plan.strata is not None:
        here = plan.strata[split.test]
        by_group: dict[str, float] = {}
        for group in np.unique(plan.strata):
            rows = np.flatnonzero(here == group)
            score = float("nan")
            if len(rows) and _defined(labels[rows], plan.classes):
                score = first(model, take(X, rows), take(y, rows), take(weight, rows))
            by_group[group] = score
            records.append((first.name, "group", group, score))
        judged = [by_group[group] for group in plan.big_groups]
        if len(judged) >= 2:
            records.append((f"{first.name} gap", "gap", "all", float(np.max(judged) - np.min(judged))))
    return records


def _defined(labels: np.ndarray, classes: list[Any]) -> bool:
    """Whether a score of these rows means anything: with one class left, most do not."""
    return not classes or len(np.unique(labels)) >= min(2, len(classes))
