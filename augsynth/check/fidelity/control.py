"""Accuracy of control: whether a new row shows the label that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from augsynth.check.evidence import Evidence, Rows
from augsynth.check.fidelity.detector import tree_features
from augsynth.check.fidelity.exchange import N_PERMUTATIONS, PairedCheck, joint_chance, whole, within
from augsynth.check.finding import Finding
from augsynth.check.intervals import holm, wilson
from augsynth.check.permutation import CLAIMED, tail_p_value, worded
from augsynth.check.reference import tells_reference
from augsynth.core.random import keyed_rng

__all__ = ["ControlAccuracy"]

_FOLDS = 3
_UNLIKELY = 0.02  # chance of a label below which it counts as no less likely
_FEWEST = 5  # rows of a class or group, below which it is not named
_STREAM = 335


@dataclass(frozen=True, eq=False)
class _Readers:
    """Models of the label, each fitted on all of the rows ``seen`` but those of one fold."""

    models: list[Any]
    fold_of: dict[int, int]
    categorical: np.ndarray
    seen: np.ndarray

    def read(self, rows: Rows) -> np.ndarray:
        """Return the label that a model reads in each row; of a training row, one that has not seen it."""
        features = tree_features(rows.z, self.categorical, self.seen)
        fold = self._folds(rows)
        out = np.empty(len(rows))
        for k, model in enumerate(self.models):
            if (fold == k).any():
                out[fold == k] = model.predict(features[fold == k])
        return out

    def doubts(self, rows: Rows) -> np.ndarray:
        """Return minus the logarithm of the chance of the label that a row carries, at most that of 2 %."""
        features = tree_features(rows.z, self.categorical, self.seen)
        fold = self._folds(rows)
        out = np.full(len(rows), -np.log(_UNLIKELY))
        for k, model in enumerate(self.models):
            place = np.searchsorted(model.classes_, rows.target).clip(max=len(model.classes_) - 1)
            own = np.flatnonzero((fold == k) & (model.classes_[place] == rows.target))
            if len(own):
                likely = model.predict_proba(features[own])[np.arange(len(own)), place[own]]
                out[own] = -np.log(np.maximum(likely, _UNLIKELY))
        return out

    def _folds(self, rows: Rows) -> np.ndarray:
        fold = np.array([self.fold_of.get(int(key), -1) for key in rows.keys])
        return np.where(fold < 0, np.arange(len(rows)) % len(self.models), fold)


_READERS: WeakKeyDictionary[Rows, dict[tuple[int, int | None], _Readers]] = WeakKeyDictionary()


def _readers(evidence: Evidence) -> _Readers:
    known = _READERS.setdefault(evidence.train, {})
    key = evidence.seed, evidence.max_rows
    if key not in known:
        rows = evidence.capped(evidence.train)
        mask = np.array([not block.is_numeric for block in evidence.layout])
        features = tree_features(rows.z, mask)
        rng = keyed_rng(evidence.seed, _STREAM)
        folds = np.empty(len(rows), dtype=int)
        folds[np.lexsort((rng.random(len(rows)), rows.labels))] = np.arange(len(rows)) % _FOLDS
        number = evidence.target_kind == "number"
        models = []
        for k in range(_FOLDS):
            made: Any = HistGradientBoostingRegressor if number else HistGradientBoostingClassifier
            many = max(1, len(evidence.classes) // 3)
            model = made(
                max_iter=max(10, 60 // many),
                max_leaf_nodes=8,
                categorical_features=mask if mask.any() else None,
                early_stopping=False,
                random_state=0,
            )
            models.append(model.fit(features[folds != k], rows.target[folds != k]))
        known[key] = _Readers(
            models, dict(zip(rows.keys.tolist(), folds.tolist(), strict=True)), mask, rows.z
        )
    return known[key]


class ControlAccuracy(PairedCheck):
    """Whether a classifier of real training rows finds the requested label in the new rows.

    The figure is the share of new rows in which it does (for a numeric target: the
    correlation of what is read and what was asked for). Held-out rows of the same classes and
    groups tell how often it is right at all. The p-value is that of the class, group or cell
    whose labels the classifier finds least likely (mean log-likelihood), under relabelling
    within classes and groups. Three models, each of two thirds of at most ``max_rows`` training
    rows; a copy of a training row is read by the one that has not seen it.
    """

    name, title = "control_accuracy", "Do new rows show the label that was asked for?"

    def applies(self, evidence: Evidence) -> str:
        """Return "" if there is a label that can be read, else the reason why not."""
        if evidence.target_kind == "none":
            return "There are no labels."
        if evidence.modality == "image" and evidence.target_kind == "class":
            return "Pictures are read by a network, in a check of their own."
        if len(np.unique(evidence.train.target)) < 2:
            return "All training rows have the same label."
        if len(evidence.train) < 4 * max(_FOLDS, len(evidence.classes)):
            return "There are too few training rows of a label to learn it from."
        return super().applies(evidence)

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the figure alone."""
        return self._figure(evidence, _read(evidence), slice(0, len(whole(evidence))))

    @staticmethod
    def _figure(evidence: Evidence, read: np.ndarray, side: slice) -> float:
        exchange = whole(evidence)
        asked = np.concatenate([exchange.new.target, exchange.real.target])
        if evidence.target_kind == "class":
            return float(np.mean(read[side] == asked[side]))
        if np.std(read[side]) <= 0 or np.std(asked[side]) <= 0:
            return float("nan")
        return float(np.corrcoef(read[side], asked[side])[0, 1])

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the figure with its interval, that of held-out rows, p-value and sentence."""
        exchange, read = whole(evidence), _read(evidence)
        k = len(exchange)
        value = self._figure(evidence, read, slice(0, k))
        null = self._figure(evidence, read, slice(k, 2 * k))
        wrong = _wrong(evidence, read)
        names, slices = _slices(evidence)
        first, second = exchange.sums(_doubts(evidence, wrong)[:, None] * slices)
        size = slices[:k].sum(axis=0)
        excess = ((first - second) / size)[: 1 + N_PERMUTATIONS].astype(float)
        p, z = joint_chance(excess[0], excess[1:])
        each = holm([tail_p_value(excess[0, s], excess[1:, s]) for s in range(len(names))])
        table = pd.DataFrame(names, columns=["kind", "name"])
        table["n"] = size.astype(int)
        errors = (wrong[:k] @ slices[:k] / size, wrong[k:] @ slices[k:] / size)
        if evidence.target_kind == "class":
            table["new"], table["real"] = 1 - errors[0], 1 - errors[1]
        else:
            table["error_new"], table["error_real"] = errors
        table["p_holm"] = each
        table = table.iloc[np.argsort(-z, kind="stable")].reset_index(drop=True)
        low, high = _interval(value, k, evidence.target_kind)
        unit = "share of new rows" if evidence.target_kind == "class" else "correlation"
        return Finding(
            self.part, self.name, self.title, value, unit, low, high, null, p, k,
            _sentence(value, null, p, table, evidence), "Far more than on real rows is no good sign either: "
            "rows that are all typical of their class teach little.", details={"slices": table},
        )  # fmt: skip


def _read(evidence: Evidence) -> np.ndarray:
    """Return what is read in the pooled rows (2 k,)."""

    def make() -> np.ndarray:
        exchange, readers = whole(evidence), _readers(evidence)
        return np.concatenate([readers.read(exchange.new), readers.read(exchange.real)])

    return within(evidence, "labels read", make)


def _doubts(evidence: Evidence, wrong: np.ndarray) -> np.ndarray:
    """Return how little each label fits its row: what is tested, since right or wrong alone says less."""
    if evidence.target_kind != "class":
        return wrong
    exchange, readers = whole(evidence), _readers(evidence)
    return np.concatenate([readers.doubts(exchange.new), readers.doubts(exchange.real)]).astype(np.float32)


def _wrong(evidence: Evidence, read: np.ndarray) -> np.ndarray:
    """Return how wrong each reading is: 0 or 1 for classes, the absolute error (cut at 99 %) for numbers."""
    exchange = whole(evidence)
    asked = np.concatenate([exchange.new.target, exchange.real.target])
    if evidence.target_kind == "class":
        return (read != asked).astype(np.float32)
    apart = np.abs(read - asked)
    apart = np.minimum(apart, np.quantile(apart, 0.99)) / (np.std(evidence.train.target) or 1.0)
    return apart.astype(np.float32)


def _slices(evidence: Evidence) -> tuple[list[tuple[str, str]], np.ndarray]:
    """Return kind and name of every class, group and cell with enough rows, and flags (2 k, S)."""
    exchange = whole(evidence)
    new = exchange.new
    names, flags = [("all", "all")], [np.ones(len(new), dtype=bool)]
    for kind, codes, known in (
        ("class", new.labels, evidence.classes),
        ("group", new.groups, evidence.groups),
        ("class and group", new.cells, evidence.cells if evidence.groups else ()),
    ):
        for code, name in enumerate(known):
            own = codes == code
            if _FEWEST <= own.sum() < len(new):
                names.append((kind, str(name)))
                flags.append(own)
    return names, np.tile(np.column_stack(flags), (2, 1)).astype(np.float32)


def _interval(value: float, n: int, kind: str) -> tuple[float, float]:
    """Return a 95 % interval: Wilson's for a share, Fisher's for a correlation."""
    if kind == "class":
        return wilson(value, n)
    if not np.isfinite(value) or n < 4:
        return float("nan"), float("nan")
    turned, error = np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12)), 1.959964 / np.sqrt(n - 3)
    return float(np.tanh(turned - error)), float(np.tanh(turned + error))


def _sentence(value: float, null: float, p: float, table: pd.DataFrame, evidence: Evidence) -> str:
    against = "held-out rows" if evidence.holdout is not None else "training rows that it has not seen"
    if evidence.target_kind == "class":
        told = f"A classifier of real rows finds the requested label in {value:.1%} of new rows"
        told += f" ({null:.1%} of {against})"
    else:
        told = "What a model of real rows reads in new rows goes with the requested number by "
        told += f"r = {value:.2f} ({null:.2f} in {against})"
    off = table[(table["p_holm"] <= 0.05) & (table["kind"] != "all")]
    if not len(off):
        return worded(told, "", p)
    worst = off.iloc[0]
    claim = f"; least so in {worst['kind']} {worst['name']}"
    if evidence.target_kind == "class":
        claim += f": {worst['new']:.1%} against {worst['real']:.1%}"
    return worded(told, claim, p, claimed=CLAIMED)
