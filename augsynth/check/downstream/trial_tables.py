"""From predictions on the hold-out to scores, differences, intervals and words."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from augsynth.check.downstream.trained import REAL
from augsynth.check.downstream.weighted_scores import SMALLER_IS_BETTER, row_weights, score_table, shares
from augsynth.check.evidence import Evidence
from augsynth.check.intervals import holm
from augsynth.check.utility.verdict import HELPS, HURTS, NO_EVIDENCE

__all__ = ["MIN_ROWS", "Estimate", "Fitted", "Scorer", "level_table", "score_frame"]

MIN_ROWS = 20  # with fewer held-out rows a class or group is shown but not judged
TOO_FEW = "not judged"
_SHARES = ("average precision", "balanced accuracy", "accuracy", "macro-F1")
Key = tuple[Hashable, ...]


@dataclass(frozen=True, eq=False)
class Fitted:
    """One set of training rows: predictions, figures of the model on all of it, and of models on halves."""

    whole: np.ndarray | None
    figures: dict[Key, np.ndarray]
    halves: list[dict[Key, np.ndarray]]

    def spread(self, key: Key) -> np.ndarray:
        """Return the figure of each model trained on a half."""
        return np.array([float(each[key][0]) for each in self.halves])


@dataclass(frozen=True, eq=False)
class Scorer:
    """The held-out rows that are scored, their bootstrap weights, and the sets of rows looked at."""

    places: np.ndarray
    truth: np.ndarray
    weights: np.ndarray
    positive: int
    members: dict[Key, np.ndarray]
    names: dict[Key, str]
    metric: str
    is_class: bool
    thin_classes: list[str]

    @classmethod
    def of(cls, evidence: Evidence, most: int | None, n_bootstrap: int, rng: np.random.Generator) -> Scorer:
        """Choose at most ``most`` held-out rows and draw the bootstrap."""
        rows = evidence.holdout
        if rows is None:
            raise ValueError("a Scorer needs held-out rows")
        n = len(rows)
        places = np.arange(n) if most is None or n <= most else np.sort(rng.choice(n, most, replace=False))
        is_class = evidence.target_kind == "class"
        labels, groups = rows.labels[places], rows.groups[places]
        members: dict[Key, np.ndarray] = {}
        names: dict[Key, str] = {}
        if is_class:
            members |= {("class", "", k): labels == k for k in range(len(evidence.classes))}
            names |= {("class", "", k): str(name) for k, name in enumerate(evidence.classes)}
        for g, group in enumerate(evidence.groups):
            members["group", g, "all"] = groups == g
            names["group", g, "all"] = str(group)
            for k in range(len(evidence.classes) if is_class else 0):
                members["group", g, k] = (groups == g) & (labels == k)
                names["group", g, k] = str(group)
        two = is_class and len(evidence.classes) == 2
        metric = "R2" if not is_class else "average precision" if two else "balanced accuracy"
        counts = np.bincount(evidence.train.labels, minlength=2)
        present = [k for k in range(len(evidence.classes)) if (labels == k).any()] if is_class else []
        thin = [evidence.classes[k] for k in present if (labels == k).sum() < MIN_ROWS]
        truth = labels if is_class else rows.target[places]
        rarer = int(counts[1] <= counts[0])
        weights = row_weights(len(places), n_bootstrap, rng)
        return cls(places, truth, weights, rarer, members, names, metric, is_class, thin)

    def figures(self, prediction: np.ndarray, weights: np.ndarray) -> dict[Key, np.ndarray]:
        """Return every score, and the share right (or mean absolute error) in every set of rows."""
        prediction = prediction[self.places]
        scores = score_table(prediction, self.truth, weights, self.positive)
        found: dict[Key, np.ndarray] = {("score", name): each for name, each in scores.items()}
        if self.members:
            told = (
                prediction.argmax(axis=1) == self.truth if self.is_class else np.abs(prediction - self.truth)
            )
            by_set = shares(told.astype(float), np.column_stack(list(self.members.values())), weights)
            found |= dict(zip(self.members, by_set.T, strict=True))
        return found

    @property
    def chance(self) -> float:
        """The score of a model that knows nothing: the class share for average precision; NaN for numbers."""
        if not self.is_class:
            return float("nan")
        if self.metric == "average precision":
            return float((self.truth == self.positive).mean())
        return 1.0 / max(len(np.unique(self.truth)), 1)

    def empty(self, weights: np.ndarray) -> dict[Key, np.ndarray]:
        """Return the figures of a model that could not be trained: all undefined."""
        two = len(self.truth), 1 + len({key[2] for key in self.members if key[0] == "class"})
        shape = (len(self.truth), 2) if self.metric == "average precision" else two
        told = np.zeros(shape) if self.is_class else np.zeros(len(self.truth))
        names = score_table(told, np.zeros(len(self.truth), dtype=int), weights[:1], 1)
        nothing = np.full(len(weights), np.nan)
        found: dict[Key, np.ndarray] = {("score", name): nothing for name in names}
        return found | dict.fromkeys(self.members, nothing)


@dataclass(frozen=True)
class Estimate:
    """A figure with its standard error and the degrees of freedom of that error."""

    value: float
    error: float
    freedom: float
    ends: tuple[float, float] = (-np.inf, np.inf)

    @classmethod
    def of(
        cls, values: np.ndarray, halves: np.ndarray, ends: tuple[float, float] = (-np.inf, np.inf)
    ) -> Estimate:
        """Add the variance over the bootstrap of the hold-out to that over models trained on halves.

        ``values`` (b + 1,): the figure, then its bootstrap values. The degrees of freedom
        are Satterthwaite's.
        """
        boot, halves = values[1:][np.isfinite(values[1:])], halves[np.isfinite(halves)]
        if len(boot) < 2 or len(halves) < 2:
            return cls(float(values[0]), float("nan"), 1.0, ends)
        held, trained = float(np.var(boot, ddof=1)), float(np.var(halves, ddof=1))
        both = held + trained
        if both <= 1e-24:
            return cls(float(values[0]), 0.0, 1.0, ends)
        freedom = both**2 / (held**2 / (len(boot) - 1) + trained**2 / (len(halves) - 1))
        return cls(float(values[0]), float(np.sqrt(both)), freedom, ends)

    def bounds(self, alpha: float) -> tuple[float, float]:
        """Return the two-sided interval at ``1 - alpha``, cut at ``ends``."""
        if not np.isfinite(self.error):
            return float("nan"), float("nan")
        reach = float(stats.t.ppf(1 - alpha / 2, self.freedom)) * self.error
        return max(self.value - reach, self.ends[0]), min(self.value + reach, self.ends[1])

    def p_above(self) -> float:
        """Return the one-sided p-value of "not above zero"."""
        if not np.isfinite(self.error) or not np.isfinite(self.value):
            return float("nan")
        if self.error == 0.0:
            return 1.0
        return float(stats.t.sf(self.value / self.error, self.freedom))

    def p_below(self) -> float:
        """Return the one-sided p-value of "not below zero"."""
        return Estimate(-self.value, self.error, self.freedom).p_above()


def difference(of: Fitted, to: Fitted, key: Key) -> Estimate:
    """Return the paired difference of two sets of training rows."""
    ends = (-1.0, 1.0) if _is_share(of, key) else (-np.inf, np.inf)
    return Estimate.of(of.figures[key] - to.figures[key], of.spread(key) - to.spread(key), ends)


def _is_share(of: Fitted, key: Key) -> bool:
    """Tell whether a figure lies between 0 and 1."""
    return key[1] in _SHARES if key[0] == "score" else ("score", "accuracy") in of.figures


def _row(of: Fitted, to: Fitted | None, key: Key, smaller_is_better: bool, alpha: float) -> dict[str, Any]:
    ends = (0.0, 1.0) if _is_share(of, key) else (-np.inf, np.inf)
    found = Estimate.of(of.figures[key], of.spread(key), ends)
    low, high = found.bounds(alpha)
    row: dict[str, Any] = {"value": found.value, "low": low, "high": high}
    if to is None:
        nan = float("nan")
        return row | dict.fromkeys(("difference", "diff_low", "diff_high", "p_value", "up", "down"), nan)
    apart = difference(of, to, key)
    low, high = apart.bounds(alpha)
    up, down = apart.p_above(), apart.p_below()
    if smaller_is_better:
        up, down = down, up
    p = min(1.0, 2 * min(up, down))
    told = {"difference": apart.value, "diff_low": low, "diff_high": high, "p_value": p}
    return row | told | {"up": up, "down": down}


def score_frame(fitted: Mapping[str, Mapping[str, Fitted]], scorer: Scorer, alpha: float) -> pd.DataFrame:
    """Return one row a learner, set of training rows and score."""
    rows = []
    for learner, by_set in fitted.items():
        for trained_on, each in by_set.items():
            to = None if trained_on == REAL else by_set[REAL]
            for key in each.figures:
                if key[0] == "score" and len(key) == 2:
                    smaller = key[1] in SMALLER_IS_BETTER
                    row = {"learner": learner, "trained_on": trained_on, "metric": key[1]}
                    rows.append(row | _row(each, to, key, smaller, alpha) | {"smaller_is_better": smaller})
    frame = pd.DataFrame(rows)
    judged = (frame["metric"] == scorer.metric) & (frame["trained_on"] != REAL)
    flag = np.full(len(frame), bool(scorer.thin_classes))
    frame = _worded(frame, judged.to_numpy(), flag, ["trained_on", "learner"], alpha)
    for _, family in frame[judged].groupby("trained_on", sort=False):  # a fixed sequence of tests
        open_words = (family["verdict"] == NO_EVIDENCE).cummax().shift(fill_value=False)
        frame.loc[open_words.index[open_words & (family["verdict"] != TOO_FEW)], "verdict"] = NO_EVIDENCE
    return frame


def level_table(fitted: Mapping[str, Fitted], scorer: Scorer, what: str, alpha: float) -> pd.DataFrame:
    """Return one row a set of training rows and class, or group and class within it."""
    rows = []
    class_names = {key[2]: name for key, name in scorer.names.items() if key[0] == "class"}
    for trained_on, each in fitted.items():
        to = None if trained_on == REAL else fitted[REAL]
        for key, members in scorer.members.items():
            if key[0] != what:
                continue
            row: dict[str, Any] = {"trained_on": trained_on}
            if what == "class":
                row["class"] = scorer.names[key]
            else:
                row |= {"group": scorer.names[key], "class": class_names.get(key[2], "all")}
            row["rows"] = int(members.sum())
            found = _row(each, to, key, not scorer.is_class, alpha)
            if what == "class":
                found = {"recall": found.pop("value")} | found
            rows.append(row | found)
    frame = pd.DataFrame(rows)
    judged = (frame["trained_on"] != REAL).to_numpy()
    return _worded(frame, judged, (frame["rows"] < MIN_ROWS).to_numpy(), ["trained_on"], alpha)


def _worded(
    frame: pd.DataFrame, judged: np.ndarray, thin: np.ndarray, family: list[str], alpha: float
) -> pd.DataFrame:
    """Add the verdict, with Holm's allowance within each family."""
    frame["verdict"] = np.where(judged, np.where(thin, TOO_FEW, NO_EVIDENCE), "")
    possible = frame[judged & ~thin & frame["up"].notna().to_numpy()]
    for _, members in possible.groupby(family, sort=False):
        for side, word in (("up", HELPS), ("down", HURTS)):
            sure = members.index[holm(members[side].to_numpy()) <= alpha / 2]
            frame.loc[sure, "verdict"] = word
    undefined = judged & frame["difference"].isna().to_numpy()
    frame.loc[undefined, "verdict"] = TOO_FEW
    return frame.drop(columns=["up", "down"])
