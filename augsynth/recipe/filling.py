"""Holes filled before everything else: the imputer learns from training rows alone, in every fold."""

from __future__ import annotations

import time
import warnings
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from augsynth import registry
from augsynth.recipe.parts import Parts, group_columns
from augsynth.recipe.schema import DataSection, ImputeRecipe, Recipe
from augsynth.recipe.wording import warned

__all__ = ["FilledPipeline", "FilledResampler", "build_imputer", "fill_parts", "row_counts"]

_NOTE = "augsynth_filled_by"


def build_imputer(recipe: Recipe | ImputeRecipe) -> Any:
    """Make the unfitted imputer of a recipe; its seed is the recipe's unless it states its own."""
    if recipe.imputer is None:
        return None
    spec = {"kind": recipe.imputer.kind, **recipe.imputer.parameters}
    spec.setdefault("random_state", recipe.seed)
    return registry.build("imputer", spec)


def fill_parts(parts: Parts, recipe: Recipe, seconds: dict[str, float]) -> Parts:
    """Fill the training rows and, with what was learned from them, the test rows; remember what they were."""
    imputer = build_imputer(recipe)
    if imputer is None:
        return parts
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        imputer.fit(parts.X, parts.y)
        X, X_test = imputer.transform(parts.X), imputer.transform(parts.X_test)
    cells = [int(table.isna().to_numpy().sum()) for table in (parts.X, parts.X_test)]
    size = [table.size for table in (parts.X, parts.X_test)]
    told = [
        f"{n:,} of {of:,} cells of the {name} rows"
        for n, of, name in zip(cells, size, ("training", "held-out"), strict=True)
    ]
    how = recipe.imputer.kind if recipe.imputer else ""
    notes = [
        *parts.notes,
        f"{' and '.join(told)} were missing; {how} filled them, fitted to training rows only.",
    ]
    seconds["impute"] = time.perf_counter() - started
    groups, groups_test = (
        group_columns(table, recipe.data) if recipe.data.groups else None for table in (X, X_test)
    )
    return Parts(
        X, parts.y, X_test, parts.y_test, groups, [*notes, *warned(caught)], rate=parts.rate, holed=parts.X,
        groups_test=groups_test,
    )  # fmt: skip


class _Held:
    """A fitted imputer that travels with the rows that it filled; pandas copies notes, this is not copied."""

    def __init__(self, imputer: Any):
        self.imputer = imputer

    def __deepcopy__(self, memo: Any) -> _Held:
        return self

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__


class FilledResampler(BaseEstimator):
    """A resampler that fills the holes first: rows are made from whole rows.

    Parameters
    ----------
    imputer : imputer
    resampler : resampler
        With ``fit_resample``.
    data : DataSection
        How groups are cut out of the filled columns.
    """

    def __init__(self, imputer: Any, resampler: Any, data: DataSection):
        self.imputer = imputer
        self.resampler = resampler
        self.data = data

    def fit_resample(self, X: pd.DataFrame, y: Any, *, sensitive_features: Any = None) -> tuple[Any, Any]:
        """Fill, resample, and note on the result which imputer filled it."""
        imputer = clone(self.imputer).fit(X, y)
        filled = imputer.transform(X)
        groups = None
        if sensitive_features is not None and self.data.groups:
            groups = group_columns(filled.reset_index(drop=True), self.data)
        X_new, y_new = clone(self.resampler).fit_resample(filled, y, sensitive_features=groups)
        X_new.attrs[_NOTE] = _Held(imputer)
        return X_new, y_new


class FilledPipeline(Pipeline):
    """An imputer and an estimator; rows that a `FilledResampler` made are not imputed again.

    Without this the imputer would learn from made rows, and never from the holes.
    """

    steps: list[tuple[str, Any]]

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit both, or the estimator alone on rows that come with the imputer that filled them."""
        held = getattr(X, "attrs", {}).get(_NOTE)
        if held is None:
            return super().fit(X, y, **params)
        name, _ = self.steps[0]
        last, estimator = self.steps[-1]
        X = X.copy(deep=False)
        X.attrs = {}
        own = {key.removeprefix(f"{last}__"): value for key, value in params.items()}
        self.steps = [(name, held.imputer), (last, clone(estimator).fit(X, y, **own))]
        return self


def row_counts(holed: pd.DataFrame | None, n: int) -> np.ndarray | None:
    """Return how many cells of each of ``n`` output rows were filled in: real rows come first."""
    if holed is None:
        return None
    counts = np.zeros(n, dtype=np.int64)
    counts[: len(holed)] = holed.isna().sum(axis=1)
    return counts
