"""What a comparison is asked, and what of it does not change from fold to fold."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

from augsynth.check.utility.fold_scores import cell_name, take
from augsynth.check.utility.folds import Plan
from augsynth.check.utility.inputs import column, group_names, rows_and_labels
from augsynth.check.utility.leak import row_keys
from augsynth.check.utility.metric import Metric, build_metrics, rarer_class
from augsynth.check.utility.splits import Split
from augsynth.check.utility.table import MIN_ROWS
from augsynth.core.arrays import check_weights
from augsynth.core.errors import AugsynthWarning, ParameterError, sentence

__all__ = [
    "Asked", "check_numbers", "counts_of", "flags_of", "make_plan", "note_twins", "plan_metrics",
    "rarest_in_training",
]  # fmt: skip

_PROBABILITIES = ("neg_log_loss", "neg_brier_score", "neg_calibration_error")


@dataclass(frozen=True)
class Asked:
    """The arguments of a comparison but for the estimator, the resamplers and the rows."""

    seed: int
    remedies: Any = ()
    calibrate: str | None = None
    sensitive_features: Any = None
    groups: Any = None
    sample_weight: Any = None
    scoring: Any = None
    cv: Any = 5
    n_repeats: int | None = None
    n_jobs: int | None = None
    pos_label: Any = None
    alpha: float = 0.05
    frozen_allowed: bool = False
    progress: bool | None = None


def make_plan(estimator: Any, X: Any, y: Any, asked: Asked) -> Plan:
    """Check rows, labels and groups and put them together; the metrics come later."""
    X, y, labels = rows_and_labels(X, y, is_classifier(estimator))
    plan = Plan(
        estimator=estimator,
        X=X,
        y=y,
        labels=labels,
        metrics=[],
        classes=list(np.unique(labels)) if is_classifier(estimator) else [],
        sensitive_features=asked.sensitive_features,
        strata=group_names(asked.sensitive_features, len(labels)),
        groups=_sortable(column("groups", asked.groups, len(labels))),
        sample_weight=check_weights(asked.sample_weight, len(labels), "compare"),
        seed=asked.seed,
        frozen_allowed=asked.frozen_allowed,
    )
    flags = flags_of(plan)
    names = [] if plan.strata is None else list(np.unique(plan.strata))
    cells = [(level, name) for level in plan.classes for name in names]
    return replace(
        plan,
        big_groups=[name for name in names if ("group", name) not in flags],
        big_cells=frozenset(cell for cell in cells if ("class+group", cell_name(*cell)) not in flags),
    )


def plan_metrics(plan: Plan, asked: Asked) -> list[Metric]:
    """Return the metrics, each tried on a few rows of every class."""
    labels, positive = plan.labels, None
    if not plan.classes:
        sample = np.arange(min(50, len(labels)))
    else:
        positive = _positive_class(labels, asked.pos_label)
        sample = np.sort(np.concatenate([np.flatnonzero(labels == level)[:20] for level in plan.classes]))
    rows = take(plan.X, sample)
    metrics = build_metrics(asked.scoring, plan.estimator, rows, labels[sample], positive)
    if asked.calibrate is not None and plan.classes and hasattr(plan.estimator, "predict_proba"):
        more = [name for name in _PROBABILITIES if name not in {each.name for each in metrics}]
        metrics += build_metrics(more, plan.estimator, rows, labels[sample], positive) if more else []
    return metrics


def _sortable(groups: Any) -> Any:
    """Return ids of clusters, as numbers where they are of types that have no order among them."""
    try:
        np.unique([] if groups is None else groups)
    except TypeError:
        return pd.factorize(np.asarray(groups), use_na_sentinel=False)[0]
    return groups


def counts_of(plan: Plan) -> dict[str, Any]:
    """Return the rows in all, by class, by group and by class within group."""
    groups, rows = np.unique([] if plan.strata is None else plan.strata, return_counts=True)
    return {
        "rows": len(plan.labels),
        "classes": {str(level): int((plan.labels == level).sum()) for level in plan.classes},
        "groups": {str(group): int(count) for group, count in zip(groups, rows, strict=True)},
        "cells": {
            cell_name(level, group): int(((plan.labels == level) & (plan.strata == group)).sum())
            for level in plan.classes
            for group in groups
        },
    }


def check_numbers(asked: Asked, where: str = "compare") -> None:
    """Raise ParameterError for an alpha, a number of repeats or of workers that makes no sense."""
    alpha, n_repeats, n_jobs = asked.alpha, asked.n_repeats, asked.n_jobs
    if not 0 < alpha < 1:
        raise ParameterError(sentence(where, "alpha must be between 0 and 1", repr(alpha), "Use 0.05."))
    if n_repeats is not None and n_repeats < 1:
        raise ParameterError(sentence(where, "n_repeats must be at least 1", repr(n_repeats), "Use 5."))
    if n_jobs is not None and (not isinstance(n_jobs, Integral) or n_jobs == 0):
        must = "n_jobs must be a whole number of processes, -1 for all, or None"
        raise ParameterError(sentence(where, must, repr(n_jobs)))


def _positive_class(labels: np.ndarray, pos_label: Any) -> Any:
    if pos_label is None:
        return rarer_class(labels)
    if pos_label not in np.unique(labels):
        raise ParameterError(
            sentence("compare", "pos_label must be a class of y", repr(pos_label), "Leave it out.")
        )
    return pos_label


def flags_of(plan: Plan) -> dict[tuple[str, Any], str]:
    """Return "too few" for the classes and groups with too few rows to be judged."""
    labels, classes = plan.labels, plan.classes
    flags = {("class", level): "too few" for level in classes if int((labels == level).sum()) < MIN_ROWS}
    for group in [] if plan.strata is None else np.unique(plan.strata):
        inside = labels[plan.strata == group]
        if min([int((inside == level).sum()) for level in classes] or [len(inside)]) < MIN_ROWS:
            flags["group", group] = "too few"
        for level in classes:
            if int((inside == level).sum()) < MIN_ROWS:
                flags["class+group", cell_name(level, group)] = "too few"
    return flags


def rarest_in_training(plan: Plan, splits: list[Split]) -> int:
    """Return the fewest training rows that a class has in any fold, 0 in regression."""
    counts = [int((plan.labels[split.train] == level).sum()) for split in splits for level in plan.classes]
    return min(counts, default=0)


def note_twins(X: Any, splits: list[Split], notes: list[str]) -> None:
    """Say when test rows have identical twins in training: the data's own fault, so only a warning."""
    keys = row_keys(X)
    if keys is None:
        return
    first = [split for split in splits if split.repeat == 0]
    twins = sum(int(np.isin(keys[split.test], keys[split.train]).sum()) for split in first)
    share = twins / sum(len(split.test) for split in first)
    if share >= 0.01:
        note = (
            f"{share:.0%} of the test rows have an identical row in training: the data holds duplicates. "
            "If they are the same records, pass groups= to keep them together."
        )
        notes.append(note)
        warnings.warn(f"compare: {note}", AugsynthWarning, stacklevel=4)
