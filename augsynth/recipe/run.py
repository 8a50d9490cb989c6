"""A run of a recipe: split first, augment the training part only, judge inside it, write."""

from __future__ import annotations

import contextlib
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
from augsynth.check.utility.folds import one_thread
from augsynth.core import arrays
from augsynth.core.errors import ParameterError, sentence
from augsynth.core.progress import quiet
from augsynth.recipe.estimators import held_out_figures, judge, judge_name
from augsynth.recipe.filling import FilledPipeline, FilledResampler, build_imputer, fill_parts
from augsynth.recipe.outputs import output_names, write_outputs
from augsynth.recipe.parts import Parts, cell_names, read_parts, subsample
from augsynth.recipe.policies import spelled
from augsynth.recipe.reporting import makes_report, report_of_run
from augsynth.recipe.schema import CompareSection, Recipe
from augsynth.recipe.tables import SKLEARN, Destination
from augsynth.recipe.wording import duration, warned

__all__ = ["Plan", "Run", "run"]

Tell = Callable[[str], None]
_SMALL = 10_000  # training rows
_AGAIN_S = 20.0
_MANY_SAME = 0.2  # share of the new rows


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
        rows = f"{self.rows:,}" if self.rows == self.of_rows else f"{self.rows:,} of {self.of_rows:,}"
        how = f"{self.folds} folds x {self.repeats} repeats on {rows} training rows"
        text = f"{how}, {self.estimator}, {self.scoring}: about {duration(self.seconds)}"
        return text + (f" ({'; '.join(self.cuts)})" if self.cuts else "")


@dataclass
class Run:
    """What a run found and wrote.

    Attributes
    ----------
    recipe : Recipe
    parts : Parts
        The training and test rows.
    X, y : DataFrame, ndarray of images, list of clips or Series of texts; Series
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
    report : Report or None
        The checks of the new rows; None if the recipe asks for none, or there are none.
    """

    recipe: Recipe
    parts: Parts
    X: Any
    y: pd.Series
    resampler: Any
    held_out: pd.DataFrame
    counts: pd.DataFrame = field(default_factory=pd.DataFrame)
    comparison: Any = None
    plan: Plan | None = None
    notes: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    report: Any = None

    def cells(self) -> tuple[pd.Series, pd.Series]:
        """Name the cell of each training row and of each row of the enlarged table, as they are balanced."""
        by_group = "group" in str(self.recipe.resampler.parameters.get("by", "class"))
        enlarged = getattr(self.resampler, "sensitive_features_", None)
        before = cell_names(self.parts.y, self.parts.groups if by_group else None)
        return before, cell_names(self.y, enlarged if by_group else None)


def run(
    recipe: Recipe,
    *,
    directory: str | Path | None = None,
    force: bool = False,
    tell: Tell | None = None,
    progress: bool | None = None,
    pictures: str | None = None,
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
    progress : bool, optional
        None: bars on a terminal only; True: plain lines elsewhere too; False: neither.
    pictures : str, optional
        A folder for loss curves and sheets of samples while the generator is trained.

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
    silence = quiet() if progress is False else contextlib.nullcontext()
    with warnings.catch_warnings(record=True) as caught, silence:
        warnings.simplefilter("always")
        result = _learn(recipe, tell, progress, pictures)
    history = getattr(getattr(result.resampler, "generator_", None), "history_", None)
    alarms = [f"training, step {step:,}: {text}" for step, text in getattr(history, "alarms", [])]
    result.notes = [
        *recipe.notes,
        *result.notes,
        *result.parts.notes,
        *warned(caught),
        *alarms,
        *_unchanged(result),
    ]
    tell("writing")
    result.files = write_outputs(result, destination)
    return result


def _learn(recipe: Recipe, tell: Tell, progress: bool | None, pictures: str | None) -> Run:
    started = time.perf_counter()
    parts, size = read_parts(recipe.data, recipe.seed)
    tell(f"data: {size}; {len(parts.y):,} {parts.noun} train, {len(parts.y_test):,} held out")
    seconds = {"read": time.perf_counter() - started}
    # Threads that wait for each other cost a small table many times what they save.
    with one_thread() if len(parts.y) < _SMALL else contextlib.nullcontext():
        if recipe.imputer is not None:
            tell(f"filling holes: {recipe.imputer.kind}, fitted to the training part")
            parts = fill_parts(parts, recipe, seconds)
        result = _augment_and_score(recipe, parts, seconds, tell, pictures)
        if recipe.compare is not None:
            started = time.perf_counter()
            _compare(recipe, recipe.compare, result, tell, progress)
            seconds["compare"] = time.perf_counter() - started
        if makes_report(recipe):
            started = time.perf_counter()
            result.report = report_of_run(result, tell, progress)
            seconds["report"] = time.perf_counter() - started
    return result


def _augment_and_score(
    recipe: Recipe, parts: Parts, seconds: dict[str, float], tell: Tell, pictures: str | None = None
) -> Run:
    started = time.perf_counter()
    tell(f"augmenting the training part: {_describe(recipe)}")
    resampler, X, y = augment(recipe, parts.X, parts.y, parts.groups, pictures, rate=parts.rate)
    seconds["augment"] = time.perf_counter() - started
    tell(f"augmented: {len(parts.y):,} -> {len(y):,} {parts.noun} in {duration(seconds['augment'])}")

    name = _judge_name(recipe, parts)
    estimators = {how: _make_judge(name, recipe, parts, parts.X) for how in ("plain", "augmented")}
    estimators["plain"].fit(parts.X, parts.y)
    started = time.perf_counter()  # the first fit also paid for imports
    estimators["augmented"].fit(X, y)
    seconds["judge"] = (time.perf_counter() - started) * len(parts.y) / max(len(y), 1)
    figures = {how: held_out_figures(each, parts.X_test, parts.y_test) for how, each in estimators.items()}

    result = Run(recipe, parts, X, y, resampler, held_out=pd.DataFrame(figures).T, seconds=seconds)
    result.counts = _counts(result)
    return result


def _judge_name(recipe: Recipe, parts: Parts) -> str:
    asked = recipe.compare.estimator if recipe.compare else "auto"
    return judge_name(asked, len(parts.y), modality=parts.modality)


def _make_judge(name: str, recipe: Recipe, parts: Parts, X: Any) -> Any:
    return judge(name, X, random_state=recipe.seed, rate=parts.rate or 16000)


def build_resampler(
    recipe: Recipe, seed: int | None = None, pictures: str | None = None, *, rate: int | None = None
) -> Any:
    """Make the unfitted resampler of a recipe, with its generator; everything below follows the seed.

    ``pictures`` names a folder for pictures of the training, where the generator is trained in steps;
    ``rate`` is the sample rate of the clips, for edits that do not say one.
    """
    spec: dict[str, Any] = {"kind": recipe.resampler.kind, **recipe.resampler.parameters}
    known = inspect.signature(registry.resolve("resampler", recipe.resampler.kind)).parameters
    if "generator" in known and recipe.generator is not None:
        spec["generator"] = {"kind": recipe.generator.kind, **recipe.generator.parameters}
        if "perturbation" in spec["generator"]:
            policy = spelled(spec["generator"]["perturbation"], recipe.data.modality, rate)
            spec["generator"]["perturbation"] = policy
        if pictures:
            spec["generator"] = with_pictures(spec["generator"], pictures)
    if "random_state" in known:
        spec.setdefault("random_state", seed)
    return registry.build("resampler", spec)


def with_pictures(spec: dict[str, Any], pictures: str) -> dict[str, Any]:
    """Have a trained generator draw loss curves and samples while it is trained."""
    if "trainer" not in inspect.signature(registry.resolve("generator", spec["kind"])).parameters:
        must = f"the generator {spec['kind']!r} is not trained in steps"
        raise ParameterError(sentence("run", must, "--pictures", "Leave it out."))
    trainer = dict(spec.get("trainer") or {})
    return {
        **spec,
        "trainer": {**trainer, "options": {**(trainer.get("options") or {}), "pictures": pictures}},
    }


def augment(
    recipe: Recipe,
    X: Any,
    y: pd.Series,
    groups: pd.DataFrame | None = None,
    pictures: str | None = None,
    *,
    rate: int | None = None,
) -> tuple[Any, Any, pd.Series]:
    """Enlarge a training table; return the fitted resampler, the rows and the labels."""
    resampler = build_resampler(recipe, recipe.seed, pictures, rate=rate)
    X_new, y_new = resampler.fit_resample(X, y, sensitive_features=groups)
    return resampler, X_new, pd.Series(y_new, name=y.name)


def _describe(recipe: Recipe) -> str:
    parameters = recipe.resampler.parameters
    by = parameters.get("stratify") if recipe.resampler.kind == "bootstrap" else parameters.get("by", "class")
    how = {"over": "over-sampling", "under": "under-sampling"}.get(
        recipe.resampler.kind, recipe.resampler.kind
    )
    made = f", rows from {recipe.generator.kind}" if recipe.generator else ""
    return how + (f" by {by}" if by else "") + made


def _unchanged(result: Run) -> list[str]:
    """Note that a policy left many copies as they were: those are plain copies."""
    n, parts = len(result.parts.y), result.parts
    if parts.modality == "table" or _generator_kind(result) != "perturbed" or len(result.y) == n:
        return []
    rows = result.X.tolist() if isinstance(result.X, pd.Series) else result.X
    sources = result.resampler.provenance_["source"].to_numpy(dtype=np.int64)[n:]
    same = np.mean([np.array_equal(rows[n + k], rows[source]) for k, source in enumerate(sources)])
    if same < _MANY_SAME:
        return []
    return [f"{same:.0%} of the new {parts.noun} are plain copies: the policy left them as they were."]


def _generator_kind(result: Run) -> str | None:
    """Return the kind of the generator, if there is one."""
    return result.recipe.generator.kind if result.recipe.generator else None


def _counts(result: Run) -> pd.DataFrame:
    before, after = (cells.value_counts() for cells in result.cells())
    counts = pd.DataFrame({"before": before, "after": after}).fillna(0).astype(int).sort_index()
    return counts.sort_values("before", ascending=False, kind="stable")


def make_plan(recipe: Recipe, section: CompareSection, result: Run, rows: np.ndarray) -> Plan:
    """Decide repeats and folds so that the comparison on ``rows`` stays near the recipe's budget."""
    name = _judge_name(recipe, result.parts)
    plan = Plan(name, section.scoring, section.folds, section.repeats, len(rows), len(result.parts.y), 0.0)
    each = _seconds_a_fold(recipe, result, name, rows)
    while each * plan.folds * plan.repeats > recipe.budget and (plan.repeats > 1 or plan.folds > 3):
        if plan.repeats > 1:
            plan.repeats -= 1
        else:
            plan.folds -= 1
    if (plan.folds, plan.repeats) != (section.folds, section.repeats):
        asked = f"{section.folds} x {section.repeats}"
        plan.cuts.append(f"cut from {asked} to keep near budget={recipe.budget:g} s")
    plan.seconds = each * plan.folds * plan.repeats
    return plan


def _seconds_a_fold(recipe: Recipe, result: Run, name: str, rows: np.ndarray) -> float:
    """Time one augmentation and one fit on these rows; a fold takes one of the first, nine of the second.

    (Nothing, class weights and the method fit once, the tuned threshold six times.)
    """
    parts, spent = result.parts, result.seconds["augment"]
    X, y = result.X, result.y
    with one_thread(), quiet():
        # The first augmentation also paid for imports: a short one is timed again.
        if len(rows) < len(parts.y) or spent < _AGAIN_S:
            groups = parts.groups.iloc[rows] if parts.groups is not None else None
            started = time.perf_counter()
            X, y = arrays.take_rows(parts.X, rows), parts.y.iloc[rows]
            _, X, y = augment(recipe, X, y, groups, rate=parts.rate)
            spent = time.perf_counter() - started
        started = time.perf_counter()
        _make_judge(name, recipe, parts, X).fit(X, y)
    filling = result.seconds.get("impute", 0.0) * len(rows) / max(len(parts.y), 1)
    return spent + 9 * (filling + time.perf_counter() - started)


def _compare(recipe: Recipe, section: CompareSection, result: Run, tell: Tell, progress: bool | None) -> None:
    from augsynth.check import compare

    parts = result.parts
    rows = subsample(parts.y, section.rows or len(parts.y), recipe.seed)
    plan = make_plan(recipe, section, result, rows)
    tell(f"comparing: {plan.sentence()}")
    X, y = arrays.take_rows(parts.X, rows), arrays.take_rows(parts.y, rows)
    groups = None if parts.groups is None else parts.groups.iloc[rows].reset_index(drop=True)
    label = recipe.generator.kind if recipe.generator else recipe.resampler.kind
    result.plan = plan
    estimator = _make_judge(plan.estimator, recipe, parts, X)
    resampler = build_resampler(recipe, rate=parts.rate)  # without a seed: each fold gets one of its own
    if parts.holed is not None:  # every training fold has an imputer of its own
        imputer = build_imputer(recipe)
        resampler = FilledResampler(imputer, resampler, recipe.data)
        estimator = FilledPipeline([("imputer", imputer), ("estimator", estimator)])
        X = arrays.take_rows(parts.holed, rows)
    result.comparison = compare(
        estimator,
        {label: resampler},
        X,
        y,
        sensitive_features=groups,
        scoring=plan.scoring,
        cv=plan.folds,
        n_repeats=plan.repeats,
        random_state=recipe.seed,
        progress=progress,
    )
