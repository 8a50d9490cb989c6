"""A run of a recipe that fills holes: split first, learn from the training rows, fill all, judge, write."""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.utility.folds import one_thread
from augsynth.core.errors import DataError
from augsynth.core.progress import quiet
from augsynth.core.random import keyed_rng
from augsynth.recipe.filling import build_imputer
from augsynth.recipe.hidden_cells import HiddenCells, Verdict, hide_cells
from augsynth.recipe.holes import HoledTable, read_holes, take_out, write_filled
from augsynth.recipe.imputing import column_report
from augsynth.recipe.outputs import plain, versions
from augsynth.recipe.parts import (
    check_columns,
    find_split,
    group_columns,
    kept_whole,
    split_by_column,
    split_by_lot,
)
from augsynth.recipe.schema import ImputeRecipe
from augsynth.recipe.tables import SKLEARN, Destination, write_table
from augsynth.recipe.wording import duration, warned

__all__ = ["HoledParts", "ImputeRun", "read_holed_parts", "run_imputing"]

_SMALL = 10_000  # training rows
_PICTURE = 6  # key of the random stream
_DRAWN, _DRAWN_ROWS = 5, 5000  # random completions and rows that are drawn
_CLASSES = 20  # different labels, above which they are numbers and the split is by lot alone


@dataclass
class HoledParts:
    """A table with holes, its training rows, and the truth where cells were taken out on purpose.

    Attributes
    ----------
    table : HoledTable
    truth : DataFrame
        The columns that are filled, before cells were taken out.
    training : ndarray of bool, (n,)
    y : Series or None
    """

    table: HoledTable
    truth: pd.DataFrame
    training: np.ndarray
    y: pd.Series | None
    notes: list[str] = field(default_factory=list)

    @property
    def X(self) -> pd.DataFrame:
        """The columns that are filled, with their holes."""
        return self.table.frame[list(self.truth.columns)]


@dataclass
class ImputeRun:
    """What a run found and wrote.

    Attributes
    ----------
    recipe : ImputeRecipe
    parts : HoledParts
    imputer : fitted imputer
        It has seen the training rows only.
    report : DataFrame
        One line a column with holes, as in `column_report`; errors are those on held-out rows.
    errors : DataFrame
        The same for every column in which known cells of held-out rows were hidden.
    groups : DataFrame
        Errors by group; empty without ``data.groups``.
    verdict : Verdict
    """

    recipe: ImputeRecipe
    parts: HoledParts
    imputer: Any
    filled: pd.DataFrame
    report: pd.DataFrame
    errors: pd.DataFrame
    groups: pd.DataFrame
    verdict: Verdict
    notes: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def read_holed_parts(recipe: ImputeRecipe) -> HoledParts:
    """Read the table, take cells out if the recipe asks for it, and set the test rows aside.

    Raises
    ------
    DataError
        If a column does not exist, or nothing is left to fill.
    """
    data, notes = recipe.data, list[str]()
    table = read_holes(data.path, dates=data.dates, missing=data.missing, separator=data.separator)
    named = [*data.drop, *data.groups, *([data.split] if data.split else [])]
    check_columns(table.frame, [*named, *([data.target] if data.target else [])])
    split = data.split or find_split(table.frame, notes)
    outside = {data.target, *data.drop, split}
    shown = [name for name in table.frame.columns if name not in outside]
    if not shown:
        raise DataError("data: no column is left to fill. Drop fewer columns.")
    truth = table.frame[shown]
    if data.holes is not None:
        kept = [name for name in kept_whole(table.frame, data) if name in table.frame]
        table.frame = take_out(table.frame, data.holes.share, data.holes.mechanism, kept, recipe.seed)
        table.texts = None  # they would give the cells away
        told = f"{data.holes.share:.0%} of the cells were taken out on purpose ({data.holes.mechanism})"
        notes.append(f"{told}; the errors are those on them, in held-out rows.")
    y = table.frame[data.target] if data.target else None
    if split:
        training = split_by_column(table.frame[split], split)
    else:
        classes = y is not None and y.nunique() <= _CLASSES and y.notna().all()
        strata = y if classes else pd.Series(np.zeros(len(table.frame)))
        training = split_by_lot(strata, data.test_size, recipe.seed)  # type: ignore[arg-type]
    return HoledParts(table, truth, training, y, notes)


def run_imputing(
    recipe: ImputeRecipe,
    *,
    directory: str | Path | None = None,
    force: bool = False,
    tell: Callable[[str], None] | None = None,
    progress: bool | None = None,
) -> ImputeRun:
    """Carry out a recipe with ``task: impute`` and write its outputs; see `augsynth.recipe.run.run`.

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
        parts = read_holed_parts(recipe)
        few = parts.training.sum() < _SMALL
        with one_thread() if few else contextlib.nullcontext():
            result = _learn(recipe, parts, tell)
            tell("writing")
            result.files = _write(result, destination, caught, tell)
    return result


def output_names(recipe: ImputeRecipe) -> list[str]:
    """Name the files that a run of the recipe writes."""
    style = recipe.output.format
    draws = [f"filled_{k + 1}.{style}" for k in range(recipe.draws)]
    return [
        f"filled.{style}",
        *draws,
        f"missing.{style}",
        "errors.csv",
        "report.json",
        "recipe.yaml",
        "holes.png",
    ]


def _learn(recipe: ImputeRecipe, parts: HoledParts, tell: Callable[[str], None]) -> ImputeRun:
    X, training = parts.X, parts.training
    n, holes = len(X), int(X.isna().to_numpy().sum())
    tell(f"data: {n:,} rows x {X.shape[1]} columns, {holes:,} missing cells ({holes / X.size:.1%})")
    tell(f"fitting: {recipe.imputer.kind} on {int(training.sum()):,} training rows")
    started = time.perf_counter()
    imputer = build_imputer(recipe)
    imputer.fit(X[training], None if parts.y is None else parts.y[training])
    seconds = {"fit": time.perf_counter() - started}
    tell(f"fitted in {duration(seconds['fit'])}; filling {n:,} rows")
    started = time.perf_counter()
    filled = imputer.fill(X, _labels(imputer, parts.y))
    seconds["fill"] = time.perf_counter() - started
    cells = _held_out(recipe, parts, imputer)
    errors = cells.by_column()
    report = column_report(imputer, X, filled, checked=errors)
    groups = pd.DataFrame()
    if recipe.data.groups:
        banded = group_columns(parts.truth[~training].reset_index(drop=True), recipe.data)
        groups = cells.by_group(_joined(banded))
    return ImputeRun(recipe, parts, imputer, filled, report, errors, groups, cells.verdict(), seconds=seconds)


def _labels(imputer: Any, y: pd.Series | None) -> pd.Series | None:
    return y if y is not None and getattr(imputer, "has_target_", False) else None


def _joined(groups: pd.DataFrame | None) -> pd.Series:
    columns = [] if groups is None else [_names(groups[name]) for name in groups.columns]
    return columns[0].str.cat(columns[1:], sep=" / ") if columns else pd.Series(dtype=str)


def _names(values: pd.Series) -> pd.Series:
    return values.astype(object).where(values.notna(), "(missing)").astype(str)


def _held_out(recipe: ImputeRecipe, parts: HoledParts, imputer: Any) -> HiddenCells:
    """Fill hidden cells of held-out rows: those taken out on purpose, else some that are known.

    The labels are not told here: rows that are predicted have none.
    """
    held_out = parts.X[~parts.training]
    truth = parts.truth[~parts.training]
    if recipe.data.holes is not None:
        hidden = held_out.isna().to_numpy() & truth.notna().to_numpy()
    else:
        hidden = hide_cells(held_out, recipe.seed)
        held_out = held_out.mask(hidden)
    return HiddenCells(truth, hidden, imputer.fill(held_out), parts.X[parts.training])


def _write(
    run: ImputeRun,
    destination: Destination,
    caught: list[warnings.WarningMessage],
    tell: Callable[[str], None],
) -> list[Path]:
    recipe, parts, style = run.recipe, run.parts, run.recipe.output.format
    columns = list(parts.truth.columns)
    shown: list[pd.DataFrame] = []  # random completions for the picture
    rows = np.sort(keyed_rng(recipe.seed, _PICTURE).permutation(len(parts.X))[:_DRAWN_ROWS])

    def numbered() -> Iterator[tuple[Path, pd.DataFrame]]:
        y = _labels(run.imputer, parts.y)
        draws = run.imputer.iter_imputed(parts.X, recipe.draws, y=y, random_state=recipe.seed)
        for k, draw in enumerate(draws, 1):
            tell(f"draw {k} of {recipe.draws}")
            if k <= _DRAWN:
                shown.append(draw.iloc[rows])
            yield folder / f"filled_{k}.{style}", whole(draw)

    def whole(filled: pd.DataFrame) -> pd.DataFrame:
        table = parts.table.frame.copy(deep=False)
        for name in columns:
            table[name] = filled[name]
        return table

    with destination.staged() as folder:
        write_filled(parts.table, [(folder / f"filled.{style}", whole(run.filled))])
        if recipe.draws:
            write_filled(parts.table, numbered())
        write_table(parts.X.isna().astype(int), folder / f"missing.{style}")
        run.errors.to_csv(folder / "errors.csv", index=False)
        filled = {"random completions": shown} if shown else {"best guesses": run.filled.iloc[rows]}
        _picture(parts.X.iloc[rows], filled, folder / "holes.png")
        (folder / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
        run.notes = [*recipe.notes, *parts.notes, *warned(caught)]
        written = sorted([*(path.name for path in folder.iterdir()), "report.json"])
        text = json.dumps(_report(run, written), indent=2, ensure_ascii=False, allow_nan=False)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    return [destination.directory / name for name in written]


def _picture(X: pd.DataFrame, filled: dict[str, Any], path: Path) -> None:
    from augsynth.check.imputers.missing_plot import filled_plot

    holes = X.isna()
    names = [name for name in X.columns if 0 < holes[name].sum() < len(X)]
    if names:
        made = {
            told: [table[names] for table in (tables if isinstance(tables, list) else [tables])]
            for told, tables in filled.items()
        }
        filled_plot(X[names], made, path)


def _report(run: ImputeRun, files: list[str]) -> dict[str, Any]:
    parts = run.parts
    report = {
        "name": run.recipe.name,
        "verdict": {**run.verdict._asdict(), "sentence": verdict_sentence(run)},
        "recipe": run.recipe.model_dump(mode="json"),
        "notes": run.notes,
        "rows": {"training": int(parts.training.sum()), "held_out": int((~parts.training).sum())},
        "missing_cells": int(parts.X.isna().to_numpy().sum()),
        "columns": run.report,
        "held_out": run.errors,
        "groups": run.groups,
        "seconds": {name: round(value, 2) for name, value in run.seconds.items()},
        "files": files,
        "versions": versions(),
    }
    found: dict[str, Any] = plain(report)
    return found


def verdict_sentence(run: ImputeRun) -> str:
    """Say in one sentence whether the imputer beats the column means on held-out rows."""
    word, gain, low, high, rows = run.verdict
    judged = run.errors[(run.errors["n"] > 0) & run.errors["name"].astype(str).isin(run.report["column"])]
    better = int((judged["error"] < judged["baseline"]).sum())
    interval = "" if np.isnan(low) else f"95 % interval of what is saved [{low:.0%}, {high:.0%}]; "
    saved = f"{gain:.0%} smaller" if gain >= 0 else f"{-gain:.0%} larger"
    return (
        f"{run.recipe.imputer.kind}: its error is {saved} than that of column means and most frequent values "
        f"({interval}squared errors of numbers, wrong categories), over {rows:,} held-out "
        f"rows; better in {better} of the {len(judged)} columns with holes ({word})."
    )
