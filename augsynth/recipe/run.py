"""A run of a recipe: split first, augment the training part only, judge by cross-validation inside it, write."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augsynth import registry
from augsynth.core.errors import AugsynthWarning
from augsynth.recipe.estimators import held_out_figures, judge, judge_name
from augsynth.recipe.outputs import output_names, write_outputs
from augsynth.recipe.parts import Parts, cell_counts, divide, subsample
from augsynth.recipe.schema import CompareSection, Recipe
from augsynth.recipe.tables import SKLEARN, Destination, read_source
from augsynth.recipe.wording import duration

__all__ = ["Plan", "Run", "run"]

Tell = Callable[[str], None]


@dataclass
class Plan:
    """How the comparison is done, and what was cut to keep it within the budget."""

    estimator: str
    scoring: str
    folds: int
    repeats: int
    rows: int
    of_rows: int
    seconds: float
    cuts: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """Say the plan in one line, before it starts."""
        part = (
            f"{self.rows:,} training rows"
            if self.rows == self.of_rows
            else f"{self.rows:,} of {self.of_rows:,} training rows"
        )
        text = f"{self.folds} folds x {self.repeats} repeats on {part}, {self.estimator}, {self.scoring}: about {duration(self.seconds)}"
        return text + (f" ({'; '.join(self.cuts)})" if self.cuts else "")


@dataclass
class Run:
    """What a run found and wrote.

    Attributes
    ----------
    recipe : Recipe
    parts : Parts
        The training and test rows.
    X, y : DataFrame, Series
        The enlarged training table: real rows first, in order.
    resampler : object
        The fitted resampler, with ``provenance_`` and, if it has one, ``generator_``.
    comparison : Comparison or None
        The verdict; None if the recipe asks for none.
    plan : Plan or None
    counts : DataFrame
        Rows ``before`` and ``after``, for each class (or class and group).
    held_out : DataFrame
        Figures on the test rows, one row each for ``plain`` and ``augmented``.
    notes : list of str
    files : list of Path
    seconds : dict
        Wall time of the stages.
    """

    recipe: Recipe
    parts: Parts
    X: pd.DataFrame
    y: pd.Series
    resampler: Any
    counts: pd.DataFrame
    held_out: pd.DataFrame
    comparison: Any = None
    plan: Plan | None = None
    notes: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def run(
    recipe: Recipe, *, directory: str | Path | None = None, force: bool = False, tell: Tell | None = None
) -> Run:
    """Carry out a recipe and write its outputs.

    Parameters
    ----------
    recipe : Recipe
        From `augsynth.recipe.load`.
    directory : str or Path, optional
        Where the files go; the default is the recipe's ``output.dir``.
    force : bool, default False
        Whether outputs of an earlier run may be replaced.
    tell : callable, optional
        Is given one line at each stage.

    Returns
    -------
    Run

    Raises
    ------
    OutputExistsError
        Before any work, if a file would be overwritten.
    DataError
        If the table cannot be used.
    """
    tell = tell or (lambda line: None)
    destination = Destination(directory or recipe.output.dir, force=force)
    inputs = [] if recipe.data.path.startswith(SKLEARN) else [recipe.data.path]
    destination.check(output_names(recipe), inputs=inputs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = _learn(recipe, tell)
    result.notes = [*recipe.notes, *result.parts.notes, *_warned(caught)]
    tell("writing")
    result.files = write_outputs(result, destination)
    return result


def _learn(recipe: Recipe, tell: Tell) -> Run:
    started = time.perf_counter()
    frame = read_source(recipe.data.path, missing=recipe.data.missing, separator=recipe.data.separator)
    parts = divide(frame, recipe.data, recipe.seed)
    tell(
        f"data: {len(frame):,} rows x {frame.shape[1]} columns; {len(parts.y):,} rows train, {len(parts.y_test):,} held out"
    )
    seconds = {"read": time.perf_counter() - started}

    started = time.perf_counter()
    tell(f"augmenting the training part: {_describe(recipe)}")
    resampler, X, y = augment(recipe, parts.X, parts.y)
    seconds["augment"] = time.perf_counter() - started
    tell(f"augmented: {len(parts.y):,} -> {len(y):,} rows in {duration(seconds['augment'])}")

    name = judge_name(recipe.compare.estimator if recipe.compare else "auto", len(parts.y))
    estimators = {how: judge(name, parts.X, random_state=recipe.seed) for how in ("plain", "augmented")}
    estimators["plain"].fit(parts.X, parts.y)
    started = time.perf_counter()  # the first fit also paid for imports
    estimators["augmented"].fit(X, y)
    seconds["judge"] = (time.perf_counter() - started) * len(parts.y) / max(len(y), 1)
    figures = {how: held_out_figures(each, parts.X_test, parts.y_test) for how, each in estimators.items()}

    result = Run(
        recipe, parts, X, y, resampler, _counts(recipe, parts, X, y), pd.DataFrame(figures).T, seconds=seconds
    )
    if recipe.compare is not None:
        started = time.perf_counter()
        _compare(recipe, recipe.compare, result, name, tell)
        seconds["compare"] = time.perf_counter() - started
    return result


def build_resampler(recipe: Recipe, seed: int | None = None) -> Any:
    """Make the unfitted resampler of a recipe, with its generator; everything below follows the seed."""
    spec: dict[str, Any] = {"kind": recipe.resampler.kind, **recipe.resampler.parameters}
    known = inspect.signature(registry.resolve("resampler", recipe.resampler.kind)).parameters
    if "generator" in known and recipe.generator is not None:
        spec["generator"] = {"kind": recipe.generator.kind, **recipe.generator.parameters}
    if "random_state" in known:
        spec.setdefault("random_state", seed)
    return registry.build("resampler", spec)


def groups_of(recipe: Recipe, X: pd.DataFrame) -> pd.DataFrame | None:
    """Return the group columns of the rows, or None if the recipe names none."""
    return X[recipe.data.groups] if recipe.data.groups else None


def augment(recipe: Recipe, X: pd.DataFrame, y: pd.Series) -> tuple[Any, pd.DataFrame, pd.Series]:
    """Enlarge a training table; return the fitted resampler, the rows and the labels."""
    resampler = build_resampler(recipe, recipe.seed)
    X_new, y_new = resampler.fit_resample(X, y, sensitive_features=groups_of(recipe, X))
    return resampler, X_new, pd.Series(y_new, name=y.name)


def _describe(recipe: Recipe) -> str:
    by = recipe.resampler.parameters.get("by", "class")
    made = f", rows from {recipe.generator.kind}" if recipe.generator else ""
    return f"{recipe.resampler.kind}-sampling by {by}{made}"


def _counts(recipe: Recipe, parts: Parts, X: pd.DataFrame, y: pd.Series) -> pd.DataFrame:
    groups = recipe.data.groups if "group" in str(recipe.resampler.parameters.get("by", "class")) else []
    before, after = cell_counts(parts.y, parts.X[groups]), cell_counts(y, X[groups])
    counts = pd.DataFrame({"before": before, "after": after}).fillna(0).astype(int)
    return counts.sort_values("before", ascending=False, kind="stable")


def make_plan(
    recipe: Recipe, section: CompareSection, y: pd.Series, name: str, once: Callable[[np.ndarray], float]
) -> Plan:
    """Decide rows, repeats and folds so that the comparison stays near the recipe's budget.

    Parameters
    ----------
    recipe, section
        What is wanted.
    y : Series
        Training labels.
    name : str
        The estimator.
    once : callable
        Is given rows, and returns the seconds that one fold on them takes.
    """
    chosen = subsample(y, section.rows or len(y), recipe.seed)
    plan = Plan(name, section.scoring, section.folds, section.repeats, len(chosen), len(y), 0.0)
    each = once(chosen)
    asked = (plan.folds, plan.repeats)
    while each * plan.folds * plan.repeats > recipe.budget and (plan.repeats > 1 or plan.folds > 3):
        if plan.repeats > 1:
            plan.repeats -= 1
        else:
            plan.folds -= 1
    if (plan.folds, plan.repeats) != asked:
        plan.cuts.append(f"cut from {asked[0]} x {asked[1]} to keep near budget={recipe.budget:g} s")
    plan.seconds = each * plan.folds * plan.repeats
    return plan


def _compare(recipe: Recipe, section: CompareSection, result: Run, name: str, tell: Tell) -> None:
    from augsynth.check import compare

    X, y, seconds = result.parts.X, result.parts.y, result.seconds

    def once(rows: np.ndarray) -> float:
        if len(rows) == len(y):
            return seconds["augment"] + 8 * seconds["judge"]  # the tuned threshold alone costs five fits
        started = time.perf_counter()
        augment(recipe, X.iloc[rows].reset_index(drop=True), y.iloc[rows].reset_index(drop=True))
        return time.perf_counter() - started + 8 * seconds["judge"] * len(rows) / len(y)

    plan = make_plan(recipe, section, y, name, once)
    rows = subsample(y, section.rows or len(y), recipe.seed)
    tell(f"comparing: {plan.sentence()}")
    X, y = X.iloc[rows].reset_index(drop=True), y.iloc[rows].reset_index(drop=True)
    label = recipe.generator.kind if recipe.generator else recipe.resampler.kind
    result.plan = plan
    result.comparison = compare(
        judge(name, X, random_state=recipe.seed),
        {label: build_resampler(recipe)},  # without a seed: each fold gets one of its own
        X,
        y,
        sensitive_features=groups_of(recipe, X),
        scoring=plan.scoring,
        cv=plan.folds,
        n_repeats=plan.repeats,
        random_state=recipe.seed,
    )


def _warned(caught: list[warnings.WarningMessage]) -> list[str]:
    """Return what was warned of, each once: ours as they are, others with their kind."""
    lines = [
        str(each.message)
        if issubclass(each.category, AugsynthWarning)
        else f"{each.category.__name__}: {each.message}"
        for each in caught
        if not issubclass(each.category, (DeprecationWarning, FutureWarning, ResourceWarning))
    ]
    return list(dict.fromkeys(" ".join(line.split()) for line in lines))
