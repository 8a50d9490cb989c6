"""The scores of one fitted model on one test part: in all, by class, by group, by class within group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from augsynth.check.utility.answers import Answers

if TYPE_CHECKING:
    from augsynth.check.utility.folds import Plan
    from augsynth.check.utility.splits import Split

__all__ = ["WORST", "cell_name", "fold_scores", "take"]

WORST = "worst group"
Record = tuple[str, str, Any, float]


def take(X: Any, positions: np.ndarray) -> Any:
    """Return the rows at these positions, in the same container."""
    if X is None:
        return None
    if hasattr(X, "iloc"):
        return X.iloc[positions]
    if isinstance(X, (list, tuple)):
        return [X[position] for position in positions]
    return X[positions]


def cell_name(level: Any, group: Any) -> str:
    """Return the name of a class within a group."""
    return f"{level}, {group}"


def fold_scores(plan: Plan, split: Split, model: Any) -> list[Record]:
    """Return (metric, scope, level, score) records of the test part."""
    labels = plan.labels[split.test]
    X, y = take(plan.X, split.test), take(plan.y, split.test)
    weight = take(plan.sample_weight, split.test)
    first = plan.metrics[0]
    records: list[Record] = []
    for metric in plan.metrics:
        score = metric(model, X, y, weight) if _defined(labels, plan.classes) else float("nan")
        records.append((metric.name, "all", "all", score))
    right: np.ndarray | None = None
    if plan.classes:
        right = np.asarray(model.predict(X)) == labels
        for level in plan.classes:
            records.append(("recall", "class", level, _share(right, labels == level)))
    if plan.strata is not None:
        here = plan.strata[split.test]
        by_group: dict[str, float] = {}
        for group in np.unique(plan.strata):
            rows = np.flatnonzero(here == group)
            score = float("nan")
            if len(rows) and _defined(labels[rows], plan.classes):
                part = model.at(rows) if isinstance(model, Answers) else model
                score = first(part, take(X, rows), take(y, rows), take(weight, rows))
            by_group[group] = score
            records.append((first.name, "group", group, score))
        judged = [by_group[group] for group in plan.big_groups]
        if len(judged) >= 2:
            records.append((f"{first.name} gap", "gap", "all", float(np.max(judged) - np.min(judged))))
            records.append((f"{WORST} {first.name}", WORST, "all", float(np.min(judged))))
        if right is not None:
            records += _cells(plan, right, labels, here)
    return records


def _cells(plan: Plan, right: np.ndarray, labels: np.ndarray, here: np.ndarray) -> list[Record]:
    """Return the recall of each class within each group, and the worst: of each class, and of all."""
    records: list[Record] = []
    worst: dict[Any, float] = {}
    for level in plan.classes:
        shares = []
        for group in np.unique(plan.strata) if plan.strata is not None else ():
            share = _share(right, (labels == level) & (here == group))
            records.append(("recall", "class+group", cell_name(level, group), share))
            if (level, group) in plan.big_cells:
                shares.append(share)
        if len(shares) >= 2:
            worst[level] = float(np.min(shares))  # NaN if one of them has no row here
    if worst:
        records += [(f"{WORST} recall", WORST, f"class {level}", share) for level, share in worst.items()]
        if len(worst) == len(plan.classes):
            records.append((f"{WORST} recall", WORST, "any class", float(np.min(list(worst.values())))))
    return records


def _share(right: np.ndarray, rows: np.ndarray) -> float:
    return float(right[rows].mean()) if rows.any() else float("nan")


def _defined(labels: np.ndarray, classes: list[Any]) -> bool:
    """Whether a score of these rows means anything: with one class left, most do not."""
    return not classes or len(np.unique(labels)) >= min(2, len(classes))
