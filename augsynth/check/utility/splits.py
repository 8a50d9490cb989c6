"""The training and test folds of a paired, repeated cross-validation."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, check_cv

from augsynth.core.errors import (
    AugsynthWarning,
    DataError,
    LeakError,
    ParameterError,
    offenders,
    sentence,
)
from augsynth.core.random import keyed_rng

__all__ = ["Split", "make_splits"]

_SPLIT_STREAM = 101  # a stream of its own, so that folds do not depend on what is compared


@dataclass(frozen=True)
class Split:
    """One training part and one test part, as row positions."""

    repeat: int
    fold: int
    train: np.ndarray
    test: np.ndarray


def make_splits(
    X: Any,
    labels: np.ndarray,
    *,
    classification: bool,
    strata: np.ndarray | None,
    groups: np.ndarray | None,
    cv: Any,
    n_repeats: int | None,
    seed: int,
) -> tuple[list[Split], list[str]]:
    """Return every split of every repeat, and notes for the reader about them.

    A number of folds is stratified by class (and by sensitive group where every
    cell is large enough), never splits a cluster of ``groups``, and is lowered,
    loudly, when the rarest class cannot fill the folds.
    """
    notes: list[str] = []
    if isinstance(cv, (int, np.integer)) and not isinstance(cv, bool):
        folds = _possible_folds(int(cv), labels, groups, classification, notes)
        target = _stratify_by(labels, strata, folds) if classification else labels
        splitters = [
            _default_splitter(folds, classification, groups is not None, _fold_seed(seed, repeat))
            for repeat in range(5 if n_repeats is None else n_repeats)
        ]
    else:
        target = labels
        splitters = _user_splitters(cv, n_repeats or 1, seed)
    splits = [
        Split(repeat, fold, np.asarray(train), np.asarray(test))
        for repeat, splitter in enumerate(splitters)
        for fold, (train, test) in enumerate(splitter.split(X, target, groups))
    ]
    if len(splits) < 2:
        raise ParameterError(
            sentence("compare", "cv must give at least two splits", str(len(splits)), "Use 5 folds.")
        )
    _refuse_overlap(splits, groups)
    return splits, notes


def _fold_seed(seed: int, repeat: int) -> int:
    return int(keyed_rng(seed, _SPLIT_STREAM, repeat).integers(2**31))


def _possible_folds(
    wanted: int, labels: np.ndarray, groups: np.ndarray | None, classification: bool, notes: list[str]
) -> int:
    if wanted < 2:
        raise ParameterError(sentence("compare", "cv must be at least 2 folds", str(wanted), "Use 5."))
    room, what = len(labels), "rows"
    if groups is not None:
        room, what = len(np.unique(groups)), "clusters in groups"
    if classification:
        classes, codes = np.unique(labels, return_inverse=True)
        if groups is None:
            counts = np.bincount(codes, minlength=len(classes))
        else:
            counts = np.array([len(np.unique(groups[codes == code])) for code in range(len(classes))])
        rarest = int(np.argmin(counts))
        if counts[rarest] < room:
            room = int(counts[rarest])
            what = f"{'rows' if groups is None else 'clusters with rows'} of class {classes[rarest]!s}"
    if room < 2:
        raise DataError(
            sentence(
                "compare",
                "every class needs a row to train on and a row to test on, so at least two",
                f"{room} {what}",
                "Drop that class, join it with another one, or collect more of it.",
            )
        )
    if room < wanted:
        note = f"Only {room} folds instead of {wanted}: there are no more {what}."
        warnings.warn(f"compare: {note}", AugsynthWarning, stacklevel=5)
        notes.append(note)
    return min(room, wanted)


def _stratify_by(labels: np.ndarray, strata: np.ndarray | None, folds: int) -> np.ndarray:
    """Class x group codes; cells too thin for the folds fall back to their class."""
    _, classes = np.unique(labels, return_inverse=True)
    if strata is None:
        return classes
    _, groups = np.unique(strata, return_inverse=True)
    cells = classes * (groups.max() + 1) + groups
    found, codes, counts = np.unique(cells, return_inverse=True, return_counts=True)
    thin = counts[codes] < folds
    rest = len(found) + classes
    # what the thin cells of a class leave over must fill the folds as well, or nothing is gained
    if thin.any() and np.bincount(classes[thin]).max() < folds:
        return classes
    return np.where(thin, rest, codes)


def _default_splitter(folds: int, classification: bool, grouped: bool, seed: int) -> Any:
    kinds: dict[tuple[bool, bool], Any] = {
        (True, False): StratifiedKFold,
        (True, True): StratifiedGroupKFold,
        (False, False): KFold,
        (False, True): GroupKFold,
    }
    return kinds[classification, grouped](folds, shuffle=True, random_state=seed)


def _user_splitters(cv: Any, n_repeats: int, seed: int) -> list[Any]:
    if isinstance(cv, str) or not (hasattr(cv, "split") or isinstance(cv, Iterable)):
        raise ParameterError(
            sentence(
                "compare",
                "cv must be a number of folds, a splitter or a list of (train, test) positions",
                repr(cv),
                "Use cv=5.",
            )
        )
    splitter = check_cv(cv)
    if n_repeats == 1:
        return [splitter]
    if not hasattr(cv, "random_state") or not getattr(cv, "shuffle", True):
        raise ParameterError(
            sentence(
                "compare",
                "n_repeats above 1 needs a splitter that shuffles, or every repeat is the same",
                f"{cv!r} with n_repeats={n_repeats}",
                "Pass a number of folds, or n_repeats=1.",
            )
        )
    repeats = []
    for repeat in range(n_repeats):
        fresh = copy.copy(cv)
        fresh.random_state = _fold_seed(seed, repeat)
        repeats.append(fresh)
    return repeats


def _refuse_overlap(splits: list[Split], groups: np.ndarray | None) -> None:
    for split in splits:
        shared = np.intersect1d(split.train, split.test)
        what = "row"
        if groups is not None and not len(shared):
            shared = np.intersect1d(groups[split.train], groups[split.test])
            what = "cluster of groups"
        if len(shared):
            raise LeakError(
                sentence(
                    "compare",
                    f"no {what} may be in the training and in the test part of one split",
                    offenders(shared.tolist()),
                    "Use a splitter that keeps them apart.",
                )
            )
