"""What a trial trains, and on what: the default models, and the sets of training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.class_weight import compute_sample_weight

from augsynth.check.evidence import Evidence, Rows, match_cells
from augsynth.check.fidelity.detector import binnable
from augsynth.check.utility.baselines import fit_estimator
from augsynth.core.arrays import concat_rows, take_rows
from augsynth.core.errors import InputTypeError, offenders, sentence
from augsynth.core.random import keyed_rng, seeded

__all__ = [
    "BOTH", "MATCHED", "NEW", "NEW_MATCHED", "REAL", "WEIGHTED",
    "Learner", "TrainingSet", "default_learners", "given_learners", "half_of", "training_sets",
]  # fmt: skip

REAL, BOTH, NEW = "real", "real + new", "new only"
WEIGHTED = "real, class weights"
MATCHED, NEW_MATCHED = "real, cut to the number of new", "new, cut to the number of real"
_SHOWN_LEVELS = 250  # histogram gradient boosting takes at most 255 levels of a category
_EVEN = 1.2  # classes that differ less in size need no weights
_MOST_OF = 0.95  # new rows that match this share of themselves need no set of their own
_NEWTON_SIZE = 400  # coefficients up to which Newton's method beats L-BFGS
_HALF, _MATCH = 341, 342


@dataclass(frozen=True)
class TrainingSet:
    """Places of training rows and of new rows; ``weighted``: every class weighs the same."""

    real: np.ndarray
    new: np.ndarray
    weighted: bool = False

    def half(self, keep_real: np.ndarray, keep_new: np.ndarray) -> TrainingSet:
        """Return the part inside two halves, given as masks."""
        return replace(self, real=self.real[keep_real[self.real]], new=self.new[keep_new[self.new]])

    def __len__(self) -> int:
        return len(self.real) + len(self.new)


def training_sets(evidence: Evidence, most_rows: int | None) -> dict[str, TrainingSet]:
    """Return what is trained on; with more than ``most_rows`` rows the same share of real and of new ones."""
    train, made = evidence.train, evidence.made
    share = min(1.0, (most_rows or len(train) + len(made)) / (len(train) + len(made)))
    real, new = (_thinned(rows, share, evidence.seed, k) for k, rows in enumerate((train, made)))
    none = np.empty(0, dtype=int)
    sets = {REAL: TrainingSet(real, none), BOTH: TrainingSet(real, new), NEW: TrainingSet(none, new)}
    counts = np.unique(train.labels, return_counts=True)[1]
    if evidence.target_kind == "class" and counts.max() > _EVEN * counts.min():
        sets[WEIGHTED] = TrainingSet(real, none, weighted=True)
    if evidence.target_kind == "number":
        few = min(len(real), len(new))
        rng = keyed_rng(evidence.seed, _MATCH)
        as_new, as_real = np.sort(rng.permutation(len(new))[:few]), np.sort(rng.permutation(len(real))[:few])
    else:
        as_new, as_real = match_cells(made.cells[new], train.cells[real], seed=evidence.seed)
    sets[MATCHED] = TrainingSet(real[as_real], none)
    if len(as_new) < _MOST_OF * len(new):
        sets[NEW_MATCHED] = TrainingSet(none, new[as_new])
    return sets


def _thinned(rows: Rows, share: float, seed: int, stream: int) -> np.ndarray:
    places = np.arange(len(rows))
    return places if share >= 1 else np.sort(_drawn(rows, share, keyed_rng(seed, _HALF, stream)))


def half_of(rows: Rows, rng: np.random.Generator) -> np.ndarray:
    """Return a mask of half of the rows, drawn within classes."""
    mask = np.zeros(len(rows), dtype=bool)
    mask[_drawn(rows, 0.5, rng)] = True
    return mask


def _drawn(rows: Rows, share: float, rng: np.random.Generator) -> np.ndarray:
    kept = []
    for label in np.unique(rows.labels):
        own = rng.permutation(np.flatnonzero(rows.labels == label))
        wanted = len(own) * share  # an odd row stays or goes by chance, one always stays
        kept.append(own[: max(1, int(wanted + rng.random()))])
    return np.concatenate(kept) if kept else np.empty(0, dtype=int)


class Learner:
    """A model, and the form of the rows that it takes.

    Parameters
    ----------
    name : str
    estimator : classifier or regressor
    evidence : Evidence
    view : str
        "encoded": level codes and numbers; "vectors": a linear space; "rows": as given.
    """

    def __init__(self, name: str, estimator: Any, evidence: Evidence, view: str = "rows"):
        self.name, self.estimator, self.view = name, estimator, view
        self._evidence = replace(evidence, target_kind="none")  # features alone, in every view
        self._n_classes = len(evidence.classes) if evidence.target_kind == "class" else 0
        self._frequent: list[np.ndarray | None] = []
        if view == "encoded":
            self._frequent = [self._levels(j) for j in range(len(evidence.layout))]
        self._kept: dict[int, tuple[Rows, np.ndarray]] = {}  # the rows too, so that their id stays theirs

    def features(self, rows: Rows) -> Any:
        """Return the features of rows in the form that the model takes (kept for the next time)."""
        if self.view == "rows":
            return rows.X
        if id(rows) not in self._kept:
            self._kept[id(rows)] = rows, self._viewed(rows)
        return self._kept[id(rows)][1]

    def _viewed(self, rows: Rows) -> np.ndarray:
        if self.view == "vectors":
            return self._evidence.design(rows)
        z = rows.z.copy()
        for j, levels in enumerate(self._frequent):
            if levels is not None:  # levels beyond the frequent ones are missing to the model
                rank = np.full(self._evidence.layout[j].n_levels, np.nan)
                rank[levels] = np.arange(len(levels))
                known = ~np.isnan(z[:, j])
                z[known, j] = rank[z[known, j].astype(int)]
        return z

    def _levels(self, j: int) -> np.ndarray | None:
        block = self._evidence.layout[j]
        if block.is_numeric or block.n_levels <= _SHOWN_LEVELS:
            return None
        codes = self._evidence.train.z[:, j]
        counts = np.bincount(codes[~np.isnan(codes)].astype(int), minlength=block.n_levels)
        return np.argsort(-counts, kind="stable")[:_SHOWN_LEVELS]

    def fit(self, train: Rows, made: Rows, chosen: TrainingSet, seed: int) -> Any:
        """Return the model fitted on the rows of a training set; None where these are of one class."""
        target = np.concatenate([train.target[chosen.real], made.target[chosen.new]])
        if self._n_classes:
            target = target.astype(int)
            if len(np.unique(target)) < 2:
                return None
        if len(target) < 2:
            return None
        parts = [(self.features(train), chosen.real), (self.features(made), chosen.new)]
        X = concat_rows([take_rows(rows, places) for rows, places in parts if len(places)])
        X = X if self.view == "rows" else binnable(X)
        weight = compute_sample_weight("balanced", target) if chosen.weighted else None
        return fit_estimator(seeded(clone(self.estimator), seed), X, target, weight)

    def predict(self, model: Any, rows: Rows) -> np.ndarray:
        """Return probabilities (n, all classes), or numbers (n,)."""
        X = self.features(rows)
        if not self._n_classes:
            return np.asarray(model.predict(X), dtype=float)
        proba = np.zeros((len(rows), self._n_classes))
        if hasattr(model, "predict_proba"):
            proba[:, np.asarray(model.classes_, dtype=int)] = model.predict_proba(X)
        else:
            proba[np.arange(len(rows)), np.asarray(model.predict(X), dtype=int)] = 1.0
        return proba


def default_learners(evidence: Evidence) -> list[Learner]:
    """Return gradient boosting, which the verdict rests on, and a linear model beside it."""
    categorical = [not block.is_numeric for block in evidence.layout]
    if evidence.target_kind == "number":
        boosted: Any = HistGradientBoostingRegressor(
            max_iter=60, learning_rate=0.15, early_stopping=False, categorical_features=categorical
        )
        linear: Any = Ridge(alpha=1.0)
    else:
        n_classes = max(2, len(evidence.classes))
        rounds = 60 if n_classes == 2 else max(8, 100 // n_classes)  # a round is a tree a class
        boosted = HistGradientBoostingClassifier(
            max_leaf_nodes=31 if n_classes == 2 else 15,
            max_iter=rounds,
            learning_rate=0.15 if n_classes == 2 else 0.3,
            early_stopping=False,
            categorical_features=categorical,
        )
        width = replace(evidence, target_kind="none").design(evidence.train.take(np.arange(1))).shape[1]
        small = width * (n_classes if n_classes > 2 else 1) <= _NEWTON_SIZE
        linear = LogisticRegression(max_iter=200, solver="newton-cholesky" if small else "lbfgs")
    return [
        Learner("gradient boosting", boosted, evidence, "encoded"),
        Learner("linear model", linear, evidence, "vectors"),
    ]


def given_learners(learners: Any, evidence: Evidence) -> list[Learner]:
    """Return a user's models as learners: they get the rows as they were given."""
    if learners is None:
        return default_learners(evidence)
    named = learners if isinstance(learners, Mapping) else {type(learners).__name__: learners}
    wrong = [each for each in named.values() if isinstance(each, type) or not hasattr(each, "fit")]
    if wrong or not named:
        must = "learners must be an estimator or a dict of estimators"
        todo = "Pass one such as LogisticRegression(), an object and not its class."
        given = offenders(wrong) if wrong else "none"
        raise InputTypeError(sentence("hold_out_trial", must, given, todo))
    return [Learner(str(name), estimator, evidence) for name, estimator in named.items()]
