"""One fold of a ratio curve: new rows made once, and models trained with more and more of them."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from augsynth.check.utility import baselines
from augsynth.check.utility.answers import answers_of, asks_once
from augsynth.check.utility.fold_scores import take
from augsynth.check.utility.folds import Plan, one_thread, resample_part
from augsynth.check.utility.leak import refuse_test_rows
from augsynth.check.utility.splits import Split
from augsynth.core.arrays import check_weights, concat_rows
from augsynth.core.errors import DataError, InputTypeError, sentence
from augsynth.core.random import keyed_rng, seeded
from augsynth.resample.over import OverSampler

__all__ = ["ADDS", "CurveFold", "Maker", "one_fold"]

ADDS = ("all", "rarest")
_MAKE, _MODEL, _INNER = 351, 352, 353


@dataclass(frozen=True)
class Maker:
    """What makes the new rows, and of which classes: "all" in their shares, or the "rarest" alone."""

    component: Any
    add: str
    ratios: tuple[float, ...]
    inner_folds: int
    new_only: float

    @property
    def most(self) -> float:
        """The largest ratio."""
        return max(self.ratios)


@dataclass(frozen=True)
class CurveFold:
    """Scores of one outer fold: at each ratio, on new rows alone, and the ratio chosen inside."""

    repeat: int
    fold: int
    scores: list[float]
    new_only: float
    chosen: float
    rows: list[int]
    seconds_make: float
    seconds_fit: float


@dataclass(frozen=True)
class _Enlarged:
    """Training rows with the new ones behind them, and the rank of each new row within its class."""

    X: Any
    y: Any
    weight: np.ndarray | None
    n_real: int
    rank: np.ndarray
    base: np.ndarray

    def places(self, ratio: float) -> np.ndarray:
        """Return the real rows, and the first new ones up to the ratio."""
        return np.concatenate([np.arange(self.n_real), self.new(ratio)])

    def new(self, ratio: float) -> np.ndarray:
        """Return the first new rows of each class, ``ratio`` times as many as it has real ones."""
        return self.n_real + np.flatnonzero(self.rank < np.round(ratio * self.base))


def one_fold(plan: Plan, split: Split, maker: Maker) -> CurveFold:
    """Score every ratio on the test part, and choose one by inner folds of the training part."""
    with one_thread():
        start = time.perf_counter()
        enlarged = _enlarged(plan, split, maker, 0)
        made = time.perf_counter() - start
        if not plan.frozen_allowed:
            refuse_test_rows("ratio_curve", take(plan.X, split.train), take(plan.X, split.test), enlarged.X)
        scores = [_score(plan, split, enlarged, enlarged.places(ratio), 0) for ratio in maker.ratios]
        alone = float("nan")
        if maker.add == "all":
            alone = _score(plan, split, enlarged, enlarged.new(maker.new_only), 0)
        chosen = _chosen(plan, split, maker) if maker.inner_folds else float("nan")
        rows = [len(enlarged.new(ratio)) for ratio in maker.ratios]
        spent = time.perf_counter() - start - made
    return CurveFold(split.repeat, split.fold, scores, alone, chosen, rows, made, spent)


def _chosen(plan: Plan, split: Split, maker: Maker) -> float:
    """Return the ratio with the best mean score in inner folds; of equals the smallest."""
    inner = np.zeros((0, len(maker.ratios)))
    for k, (train, test) in enumerate(_inner_splits(plan, split, maker.inner_folds)):
        part = replace(split, train=split.train[train], test=split.train[test])
        enlarged = _enlarged(plan, part, maker, k + 1)
        row = [_score(plan, part, enlarged, enlarged.places(ratio), k + 1) for ratio in maker.ratios]
        inner = np.vstack([inner, row])
    with np.errstate(invalid="ignore"):
        means = np.nanmean(inner, axis=0) if np.isfinite(inner).any() else np.zeros(len(maker.ratios))
    order = np.argsort(maker.ratios, kind="stable")
    best = order[int(np.argmax(np.round(np.nan_to_num(means[order], nan=-np.inf), 12)))]
    return float(maker.ratios[int(best)])


def _inner_splits(plan: Plan, split: Split, folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    labels, groups = plan.labels[split.train], take(plan.groups, split.train)
    seed = int(keyed_rng(plan.seed, _INNER, split.repeat, split.fold).integers(2**31))
    if plan.classes:
        folds = max(2, min(folds, int(np.unique(labels, return_counts=True)[1].min())))
        kind: Any = StratifiedKFold if groups is None else StratifiedGroupKFold
    else:
        kind = KFold if groups is None else GroupKFold
    return list(kind(folds, shuffle=True, random_state=seed).split(labels, labels, groups))


def _enlarged(plan: Plan, split: Split, maker: Maker, inner: int) -> _Enlarged:
    """Make new rows from the training part, once, for the largest ratio."""
    X, y = take(plan.X, split.train), take(plan.y, split.train)
    labels = plan.labels[split.train]
    weight = take(plan.sample_weight, split.train)
    keys = (plan.seed, _MAKE, split.repeat, split.fold, inner, zlib.crc32(b"maker"))
    fresh = seeded(clone(maker.component, safe=False), *keys)
    if not plan.classes:
        return _numbers(plan, split, fresh, maker.most, keys)
    classes, counts = np.unique(labels, return_counts=True)
    wanted = np.ones(len(classes), dtype=bool)
    if maker.add == "rarest":
        wanted = np.arange(len(classes)) == len(counts) - 1 - int(np.argmin(counts[::-1]))
    totals = {
        level.item() if hasattr(level, "item") else level: int(count + np.round(maker.most * count) * grows)
        for level, count, grows in zip(classes, counts, wanted, strict=True)
    }
    if not hasattr(fresh, "fit_resample"):
        seed = int(keyed_rng(*keys).integers(2**31))
        fresh = OverSampler(fresh, random_state=seed)
    fresh.set_params(sampling_strategy=totals)
    X_new, y_new, weight = resample_part(plan, split, fresh, X, y, weight)
    told = np.asarray(y_new)
    if len(told) < len(labels) or (told[: len(labels)] != labels).any():
        must = "the resampler must return the real rows first, unchanged, and new ones after them"
        raise DataError(sentence("ratio_curve", must, f"{len(told)} rows of {len(labels)}"))
    codes = np.searchsorted(classes, told[len(labels) :])
    rank = np.zeros(len(codes), dtype=int)
    for code in range(len(classes)):
        own = np.flatnonzero(codes == code)
        rank[own] = np.arange(len(own))
    return _Enlarged(X_new, y_new, weight, len(labels), rank, counts[codes])


def _numbers(plan: Plan, split: Split, generator: Any, most: float, keys: tuple[int, ...]) -> _Enlarged:
    """Make rows with numbers as targets; the generator draws both."""
    if not hasattr(generator, "sample_labelled"):
        must = "regression needs a generator, which draws rows with their targets"
        raise InputTypeError(sentence("ratio_curve", must, type(generator).__name__))
    X, y = take(plan.X, split.train), take(plan.y, split.train)
    weight = check_weights(take(plan.sample_weight, split.train), len(y), "ratio_curve")
    groups = take(plan.sensitive_features, split.train)
    generator.fit(X, y, sensitive_features=groups, sample_weight=weight)
    n = int(np.round(most * len(y)))
    if n:
        drawn = generator.sample_labelled(n, random_state=int(keyed_rng(*keys).integers(2**31)))
        X, y = concat_rows([X, drawn.X]), np.concatenate([np.asarray(y), np.asarray(drawn.y)])
        weight = None if weight is None else np.concatenate([weight, np.full(n, weight.mean())])
    n_real = len(split.train)
    return _Enlarged(X, y, weight, n_real, np.arange(n), np.full(n, n_real))


def _score(plan: Plan, split: Split, enlarged: _Enlarged, places: np.ndarray, inner: int) -> float:
    """Train on some of the rows and return the first metric on the test part; NaN where it is undefined."""
    labels = plan.labels[split.test]
    told = np.asarray(take(enlarged.y, places))
    if plan.classes and (len(np.unique(labels)) < 2 or len(np.unique(told)) < len(plan.classes)):
        return float("nan")
    if len(places) < 2:
        return float("nan")
    # one seed for all ratios, so that they differ in their rows alone
    model = seeded(clone(plan.estimator), plan.seed, _MODEL, split.repeat, split.fold, inner)
    weight = None if enlarged.weight is None else enlarged.weight[places]
    baselines.fit_estimator(model, take(enlarged.X, places), take(enlarged.y, places), weight)
    X = take(plan.X, split.test)
    if asks_once(plan.estimator):
        model = answers_of(model, X, plan.classes or None)
    return plan.metrics[0](model, X, take(plan.y, split.test), take(plan.sample_weight, split.test))
