"""Reports on new rows: those of a run, and those of tables on disk."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from augsynth.core import arrays
from augsynth.core.errors import AugsynthError, DataError, OutputExistsError, offenders
from augsynth.recipe.inspection import problems_of
from augsynth.recipe.problems import takes_generator
from augsynth.recipe.schema import Recipe
from augsynth.recipe.tables import SKLEARN, Destination, read_source
from augsynth.recipe.wording import meant, warned

if TYPE_CHECKING:
    from augsynth.check.report import Report
    from augsynth.recipe.run import Run

__all__ = ["TableCheck", "makes_report", "report_of_run"]

Tell = Callable[[str], None]
_SURE, _MOVED = 0.05, 0.15  # of a column's shares: Holm's p-value, half the sum of the differences
_MOST_ROWS = 2000  # of each sample, in a run: the whole checks are `augsynth check`


def makes_report(recipe: Recipe) -> bool:
    """Whether a run of the recipe checks its new rows: they must come from a generator."""
    return recipe.output.report and takes_generator(recipe.resampler.kind)


def report_of_run(run: Run, tell: Tell, progress: bool | None) -> Report | None:
    """Check the new rows of a run on its test part; its comparison leads."""
    from augsynth.check.report import report

    parts, n = run.parts, len(run.parts.y)
    new = range(n, len(run.y))
    if not len(new):
        return None
    tell(f"checking the {len(new):,} new {parts.noun}")
    groups_new = getattr(run.resampler, "sensitive_features_", None)
    known = (
        parts.groups is not None and parts.groups_test is not None and isinstance(groups_new, pd.DataFrame)
    )
    kind = run.recipe.generator.kind if run.recipe.generator else run.recipe.resampler.kind
    try:
        found = report(
            parts.X,
            parts.y,
            arrays.take_rows(run.X, pd.RangeIndex(n, len(run.y)).to_numpy()),
            run.y.iloc[n:],
            holdout=(parts.X_test, parts.y_test, parts.groups_test if known else None),
            sensitive_features=parts.groups if known else None,
            sensitive_features_new=groups_new.iloc[n:] if known and groups_new is not None else None,
            generator=getattr(run.resampler, "generator_", None),
            comparison=run.comparison,
            datasheet={"method": kind},
            max_rows=_MOST_ROWS,
            random_state=run.recipe.seed,
            progress=False if progress is False else None,
        )
    except AugsynthError as error:  # the rows are made and judged: they are written all the same
        run.notes.append(f"The new rows could not be checked: {' '.join(str(error).split())}")
        return None
    return replace(found, settings={**found.settings, "title": run.recipe.name})


class TableCheck:
    """Tables on disk to be checked.

    Parameters
    ----------
    real, synthetic : str
        Tables: what the generator was fitted on, and the synthetic or enlarged one.
    holdout : str, optional
        Real rows that nothing was fitted on.
    target : str, optional
        The column of the labels.
    group_columns : sequence of str
        Each a column, or several with commas between.
    ignore : sequence of str
        Columns to leave out.

    Attributes
    ----------
    problems : list of str
        Why the tables do not fit together; known after `read`.
    files : list of Path
    """

    def __init__(
        self,
        real: str,
        synthetic: str,
        holdout: str | None = None,
        *,
        target: str | None = None,
        group_columns: Sequence[str] = (),
        ignore: Sequence[str] = (),
    ) -> None:
        self.real, self.synthetic, self.holdout = real, synthetic, holdout
        self.target, self.group_columns, self.ignore = target, list(group_columns), list(ignore)
        self.tables: list[pd.DataFrame] = []
        self.problems: list[str] = []
        self.files: list[Path] = []

    def check_outputs(self, page: str | None, data: str | None, *, force: bool = False) -> None:
        """Name the outputs, and refuse to overwrite an input or, without force, anything.

        The page stands beside the synthetic table by default: ``new.csv`` has ``new_report.html``.

        Raises
        ------
        OutputExistsError
        """
        if page is None:
            given = Path(self.synthetic)
            page = str(given.with_name(f"{given.name.split('.')[0].replace(SKLEARN, '')}_report.html"))
        self.files = [Path(page), *([Path(data)] if data else [])]
        if len(self.files) > 1 and self.files[0].resolve() == self.files[1].resolve():
            raise OutputExistsError(f"{data}: --out and --json must name two files.")
        inputs = [path for path in (self.real, self.synthetic, self.holdout) if path]
        for path in self.files:
            Destination(path.parent, force=force).check([path.name], inputs=inputs)

    def read(self) -> None:
        """Read the tables, and see whether the columns that were named are there and the tables fit together.

        Raises
        ------
        DataError
            With every file and column that is not there.
        """
        mistakes, tables = [], []
        for path in [self.real, self.synthetic, *([self.holdout] if self.holdout else [])]:
            try:
                tables.append(read_source(path))
            except DataError as error:
                mistakes.append(str(error))
        if not mistakes:
            mistakes = self._absent(tables)
        if mistakes:
            raise DataError(" ".join(mistakes))
        self.tables = [table.drop(columns=self.ignore, errors="ignore") for table in tables]
        real, *others = self.tables
        words = ("synthetic", "held-out")
        self.problems = [
            each
            for word, table in zip(words, others, strict=False)
            for each in problems_of(real, table, self.target, word)
        ]
        if any(set(table.columns) != set(real.columns) for table in others):
            self.problems.append("--ignore COLUMN leaves out a column that not all tables have")

    def _absent(self, tables: Sequence[pd.DataFrame]) -> list[str]:
        """Return what is wrong with the named columns; take apart groups with commas between them."""
        real = tables[0]
        asked = [
            (each,) if each in real.columns else [part.strip() for part in each.split(",")]
            for each in self.group_columns
        ]
        self.group_columns = list(dict.fromkeys(name for part in asked for name in part if name))
        known = set().union(*(table.columns for table in tables))
        told = []
        for option, names, columns, where in (
            ("--target", [self.target] if self.target else [], set(real.columns), "the real table has"),
            ("--group-columns", self.group_columns, set(real.columns), "the real table has"),
            ("--ignore", self.ignore, known, "the tables have"),
        ):
            absent = [name for name in names if name not in columns]
            if absent:
                hint = meant(absent[0], sorted(map(str, columns)))
                told.append(f"{option}: {where} no column {offenders(absent)}{hint or '.'}")
        used = [name for name in (self.target, *self.group_columns) if name in self.ignore]
        if used:
            told.append(f"--ignore: {offenders(used)} cannot be left out and used at once.")
        return told

    def run(self, tell: Tell, **options: Any) -> Report | None:
        """Return the report; None if the tables do not fit together, with the reasons in `problems`.

        ``options`` are those of `augsynth.check.report`.

        Raises
        ------
        DataError
            If a file or a column that was named is not there, or nothing can be made of the rows.
        """
        from augsynth.check.report import report

        if not self.tables:
            self.read()
        if self.problems:
            return None
        (X, y), (X_new, y_new), *rest = (_sides(table, self.target) for table in self.tables)
        tell(f"checking {len(X_new):,} rows beside {len(X):,} real ones")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = report(
                X,
                y,
                X_new,
                y_new,
                holdout=rest[0] if rest else None,
                group_columns=self.group_columns,
                **options,
            )
        title = f"Report on {Path(self.synthetic).name}"
        notes = [*found.notes, *(note for note in warned(caught) if note not in found.notes)]
        notes = [*self._hints(found), *notes]
        return replace(found, notes=notes, settings={**found.settings, "title": title})

    def _hints(self, report: Report) -> list[str]:
        """Say which options would have told more."""
        told = []
        if self.target is None:
            told.append("No --target: labels are looked at as one more column, and no model can be tried.")
        columns = next(
            (each.details.get("columns") for each in report.findings if each.name == "marginals"), None
        )
        if columns is None:
            return told
        moved = columns[
            (columns["kind"] == "category") & (columns["p_holm"] <= _SURE) & (columns["distance"] >= _MOVED)
        ]
        names = [name for name in moved["column"] if name in self.tables[0].columns]
        if names and names[0] not in self.group_columns:
            option = "--group-columns" if self.target else "--target or --group-columns"
            told.append(
                f"The shares of {names[0]!r} are very different among new rows. Did you balance by it? "
                f"Name it with {option}, so that what was asked for is no difference."
            )
        return told

    def write(self, report: Report) -> list[Path]:
        """Write the page, and the JSON if one was asked for."""
        report.to_html(self.files[0])
        if len(self.files) > 1:
            report.to_json(self.files[1])
        return self.files


def _sides(table: pd.DataFrame, target: str | None) -> tuple[pd.DataFrame, pd.Series | None]:
    return (table, None) if target is None else (table.drop(columns=target), table[target])
