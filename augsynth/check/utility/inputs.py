"""The arguments of a comparison, checked and brought into one form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import type_of_target

from augsynth.check.utility.baselines import BASELINES
from augsynth.core.arrays import as_rows
from augsynth.core.errors import DataError, InputTypeError, ParameterError, offenders, sentence
from augsynth.encode.condition import group_frame, group_texts
from augsynth.remedies import REMEDIES, remedy

__all__ = [
    "applicable_remedies", "check_estimator", "column", "group_names", "named_learners", "named_resamplers",
    "rows_and_labels",
]  # fmt: skip


def named_resamplers(resamplers: Any, may_be_none: bool = False) -> dict[str, Any]:
    """Return resamplers by name, from a dict, a list or a single one."""
    if isinstance(resamplers, Mapping):
        named = {str(name): resampler for name, resampler in resamplers.items()}
    else:
        listed = list(resamplers) if isinstance(resamplers, (list, tuple)) else [resamplers]
        named = {}
        for resampler in listed:
            name = base = _name_of(resampler)
            count = 1
            while name in named:
                count += 1
                name = f"{base} {count}"
            named[name] = resampler
    if not named and not may_be_none:
        raise ParameterError(sentence("compare", "there must be at least one resampler", "none"))
    taken = [name for name in named if name in BASELINES]
    if taken:
        raise ParameterError(
            sentence("compare", "a resampler may not carry the name of a baseline", offenders(taken))
        )
    wrong = [name for name, resampler in named.items() if not hasattr(resampler, "fit_resample")]
    if wrong:
        raise InputTypeError(
            sentence(
                "compare",
                "every resampler must have fit_resample",
                offenders(wrong),
                "A generator becomes one as OverSampler(generator).",
            )
        )
    return named


def named_learners(estimators: Any) -> dict[str, Any]:
    """Return estimators by name, from a dict or a list."""
    if isinstance(estimators, Mapping):
        named = {str(name): each for name, each in estimators.items()}
    else:
        named = {}
        for each in estimators:
            name, count = type(getattr(each, "steps", [(0, each)])[-1][1]).__name__, 1
            while (told := f"{name} {count}" if count > 1 else name) in named:
                count += 1
            named[told] = each
    if not named:
        raise ParameterError(sentence("compare", "there must be at least one estimator", "none"))
    return named


def applicable_remedies(
    remedies: Any, estimator: Any, y: Any, sensitive_features: Any, taken: Iterable[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return the remedies that apply, by name, and a note on each that does not."""
    listed = list(REMEDIES) if isinstance(remedies, str) and remedies == "all" else remedies
    if isinstance(listed, str) or hasattr(listed, "why_not"):
        listed = [listed]
    if not isinstance(listed, Iterable):
        todo = f"Use {', '.join(REMEDIES)}."
        raise InputTypeError(sentence("compare", "remedies must be names or remedies", repr(listed), todo))
    found: dict[str, Any] = {}
    notes = []
    for each in listed:
        chosen = remedy(each) if isinstance(each, str) else each
        if isinstance(chosen, type) or not hasattr(chosen, "why_not"):
            raise InputTypeError(
                sentence(
                    "compare", "remedies must be names or remedies", repr(each), f"Use {', '.join(REMEDIES)}."
                )
            )
        if chosen.name in found or chosen.name in taken or chosen.name in BASELINES:
            must = "every method needs a name of its own"
            raise ParameterError(sentence("compare", must, f"{chosen.name!r} twice"))
        reason = chosen.why_not(estimator, y, sensitive_features)
        if reason:
            notes.append(f"{chosen.name}: not applicable, {reason}.")
        else:
            found[chosen.name] = chosen
    return _with_twin(found, set(taken), notes), notes


def _with_twin(found: dict[str, Any], taken: set[str], notes: list[str]) -> dict[str, Any]:
    """Add, behind a remedy that replaces the estimator, what replaces it without the remedy."""
    twins = {name: each.without() for name, each in found.items() if hasattr(each, "without")}
    if any(twin is None or twin.name in taken | set(found) for twin in twins.values()):
        return found
    told: dict[str, Any] = {}
    for name, each in found.items():
        told[name] = each
        if name in twins and twins[name].name not in told:
            twin = twins[name]
            told[twin.name] = twin
            notes.append(
                f"{name} replaces the estimator by a network; {twin.name} is that network at strength 0. "
                "The penalty's own gain is the difference between these two, not that to nothing."
            )
    return told


def _name_of(resampler: Any) -> str:
    name = type(resampler).__name__
    generator = getattr(resampler, "generator", None)
    return f"{name}({type(generator).__name__})" if generator is not None else name


def rows_and_labels(X: Any, y: Any, classification: bool) -> tuple[Any, Any, np.ndarray]:
    """Return rows, labels in their own container, and labels as a plain array."""
    if not hasattr(X, "shape"):
        X = list(as_rows(X, where="compare"))
    rows = X.shape[0] if hasattr(X, "shape") else len(X)
    y = y if hasattr(y, "iloc") else np.asarray(y)
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
        y = y.iloc[:, 0]
    labels = np.asarray(y)
    if labels.ndim != 1:
        raise DataError(
            sentence("compare", "y must hold one label a row", f"an array of shape {labels.shape}")
        )
    if len(labels) != rows:
        raise DataError(
            sentence("compare", "X and y must have the same length", f"{rows} rows and {len(labels)} labels")
        )
    missing = int(pd.isna(labels).sum())
    if missing:
        raise DataError(
            sentence("compare", "every row needs a label", f"{missing} missing labels", "Drop those rows.")
        )
    if labels.dtype == object:
        labels = pd.Series(labels).infer_objects().to_numpy()
    if not classification:
        return X, y, labels
    kind = type_of_target(labels)
    if kind not in ("binary", "multiclass"):
        raise DataError(
            sentence("compare", "a classifier needs classes as y", f"a {kind} target", "Use a regressor.")
        )
    if len(np.unique(labels)) < 2:
        raise DataError(
            sentence("compare", "y must hold at least two classes", f"only {offenders(np.unique(labels))}")
        )
    return X, y, labels


def column(name: str, values: Any, rows: int) -> np.ndarray | None:
    """Return one value a row as an array, None where nothing was given."""
    if values is None:
        return None
    array = np.asarray(values)
    if array.shape != (rows,):
        raise DataError(
            sentence("compare", f"{name} must hold one value a row ({rows})", f"shape {array.shape}")
        )
    if pd.isna(array).any():
        raise DataError(sentence("compare", f"{name} may not be missing", f"{pd.isna(array).sum()} NaN"))
    return array


def check_estimator(estimator: Any) -> None:
    """Raise InputTypeError unless ``estimator`` is an object with ``fit``."""
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        todo = "Pass one such as LogisticRegression(), an object and not its class."
        if callable(estimator) and not isinstance(estimator, type):
            todo = "A training function becomes one as FitPredict(function)."
        raise InputTypeError(sentence("compare", "estimator must be an estimator", repr(estimator), todo))


def group_names(sensitive_features: Any, rows: int) -> np.ndarray | None:
    """Return one text a row: the levels of all sensitive columns."""
    frame = group_frame(sensitive_features, where="compare")
    if frame is None:
        return None
    if len(frame) != rows:
        raise DataError(
            sentence("compare", f"sensitive_features must have {rows} rows as X has", f"{len(frame)} rows")
        )
    return group_texts(frame)
