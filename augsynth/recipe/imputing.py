"""``augsynth impute``: a table with holes in, one or several filled tables out, and how well it was done."""

from __future__ import annotations

import difflib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from augsynth import registry
from augsynth.core.errors import DataError, ParameterError, RecipeError, offenders, sentence
from augsynth.core.parameters import check_number
from augsynth.impute.generative import completes, completing
from augsynth.recipe.hints import hints
from augsynth.recipe.holes import HoledTable, read_holes, write_filled
from augsynth.recipe.overrides import override
from augsynth.recipe.problems import component_problems
from augsynth.recipe.tables import SKLEARN, Destination, table_format
from augsynth.recipe.wording import duration, meant, warned

__all__ = ["ImputeColumns", "Imputing", "column_report", "imputer_spec", "methods"]

_READING = ("dates", "missing", "separator")
_CHAINED = ("pmm", "bayes")  # methods of the chained imputer; its "trees" is a generator's name too
_MANY = 20  # rows, from which values that are all different look like an id
_FEW = 10  # hidden cells, below which nothing is said of a column


@dataclass(frozen=True)
class ImputeColumns:
    """Which columns are what.

    Attributes
    ----------
    target : str or None
        The column of the labels; it is not filled.
    use_target : bool
        Whether the imputer learns from it.
    ignore : sequence of str
        Columns that stay as they are and are not learned from, such as an id.
    groups : sequence of str
        Columns of groups to impute within, for the methods that can.
    """

    target: str | None = None
    use_target: bool = False
    ignore: Sequence[str] = ()
    groups: Sequence[str] = ()

    @property
    def outside(self) -> list[str]:
        """The columns that the imputer is not shown as features."""
        return [*self.ignore, *([self.target] if self.target else [])]


def methods() -> list[str]:
    """Return what ``--method`` may name: kinds of imputers, and of generators that complete rows."""
    kinds = (kind for kind in registry.names("imputer") if kind != "generative")
    return [*kinds, *_CHAINED, *completing()]


def imputer_spec(method: str) -> dict[str, Any]:
    """Return the component that a method names: a generator stands for a generative imputer with it.

    Examples
    --------
    >>> imputer_spec("gmm")
    {'kind': 'generative', 'generator': {'kind': 'gmm'}}
    """
    if method in registry.names("imputer"):
        return {"kind": method}
    if method in _CHAINED:
        return {"kind": "chained", "method": method}
    if method in registry.names("generator") and completes(method):
        return {"kind": "generative", "generator": {"kind": method}}
    if method in registry.names("generator"):
        there = f"there are: {', '.join(methods())}"
        raise RecipeError([f"--method: the generator {method!r} does not fill missing cells; {there}"])
    known = [*registry.names("imputer"), *_CHAINED, *registry.names("generator")]  # without importing them
    near = difflib.get_close_matches(method, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(methods())}"
    raise RecipeError([f"--method: unknown method {method!r}; {hint}"])


class Imputing:
    """One filling of one table.

    Parameters
    ----------
    source : str
        A table, or a set of scikit-learn's.
    method : str
        As in `imputer_spec`.
    fit_on : str, optional
        Another table to learn from; by default the table itself.
    columns : ImputeColumns
    settings : sequence of str
        Parameters of the imputer such as ``n_donors=10``, the value read as YAML; and how text
        tables are read, as in a recipe: ``data.separator=;``, ``data.missing=['?']``.
    seed : int

    Attributes
    ----------
    report : DataFrame
        After `run`: see `column_report`.
    notes : list of str
        What was warned of.

    Raises
    ------
    RecipeError
        With every problem of the parameters.
    """

    def __init__(
        self,
        source: str,
        method: str = "chained",
        *,
        fit_on: str | None = None,
        columns: ImputeColumns | None = None,
        settings: Sequence[str] = (),
        seed: int = 0,
    ):
        self.source, self.fit_on, self.columns = source, fit_on, columns or ImputeColumns()
        self.method = method
        raw: dict[str, Any] = {"imputer": imputer_spec(method), "data": {}}
        said = [text if text.startswith("data.") else f"imputer.{text}" for text in settings]
        problems = override(raw, said)[1]
        self.spec, self.reading = raw["imputer"], raw["data"]
        problems += [
            f"data.{key}: unknown key{meant(key, _READING)}; known: {', '.join(_READING)}"
            for key in self.reading
            if key not in _READING
        ]
        if self.columns.use_target:
            self.spec["use_target"] = True
            if not self.columns.target:
                problems.append("--use-target: needs the column of the labels; name it with --target")
        if self.columns.groups:
            self.spec["within"] = list(self.columns.groups)
        problems += component_problems("imputer", self.spec, "imputer")
        if problems:
            raise RecipeError([_as_option(text) for text in problems])
        self.spec.setdefault("random_state", seed)
        self.seed = seed
        self.report, self.notes = pd.DataFrame(), list[str]()
        self.imputer: Any = None

    def check_output(self, out: str, *, draws: int | None, force: bool) -> None:
        """Refuse, before any work, to overwrite an input or (without force) an existing file."""
        if draws is not None:
            check_number("--draws", "m", draws, low=1, integer=True)
        if Path(out).is_dir() or out.endswith(("/", "\\")):
            raise ParameterError(
                f"{out}: a table goes to a file. Name one, such as {Path(out) / 'filled.csv'}."
            )
        table_format(out)
        inputs = [name for name in (self.source, self.fit_on) if name and not name.startswith(SKLEARN)]
        names = [path.name for path in _paths(out, draws)]
        Destination(Path(out).parent, force=force).check(names, inputs=inputs)

    def run(self, tell: Callable[[str], None]) -> None:
        """Read the tables and fit the imputer."""
        self._table = self._read(self.source)
        training = self._table if self.fit_on is None else self._read(self.fit_on)
        self._shown = [name for name in self._table.frame.columns if name not in self.columns.outside]
        if training is not self._table:
            self._fit_together(training)
        self._table.typed_like(training.frame)
        X, holes = training.frame[self._shown], self._table.frame[self._shown].isna()
        size = f"{len(holes):,} rows x {len(self._shown)} columns"
        share = holes.to_numpy().mean() if holes.size else 0.0
        tell(f"data: {size}, {int(holes.to_numpy().sum()):,} missing cells ({share:.1%})")
        known = " and the labels" if self.columns.use_target else ""
        tell(f"fitting: {self.method} on {len(X):,} rows{known}")
        self.notes += [*_ids_among(X), *hints(X)]
        self._tell = tell
        started = time.perf_counter()
        self.imputer = registry.build("imputer", self.spec)
        y = training.frame[self.columns.target] if self.columns.target else None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.imputer.fit(X, y)
        self.notes += warned(caught)
        tell(f"fitted in {duration(time.perf_counter() - started)}; filling")

    def write(self, out: str, *, draws: int | None = None) -> list[Path]:
        """Fill the table and write it: one completion at the conditional means, or random draws."""
        paths = _paths(out, draws)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            written = write_filled(self._table, zip(paths, self._completions(draws), strict=True))
        self.notes = list(dict.fromkeys([*self.notes, *warned(caught)]))
        return written

    def _completions(self, draws: int | None) -> Iterator[pd.DataFrame]:
        frame = self._table.frame
        X = frame[self._shown]
        y = frame[self.columns.target] if self.columns.use_target and self.columns.target in frame else None
        made = [self.imputer.fill(X, y)] if draws is None else self.imputer.iter_imputed(X, draws, y=y)
        for k, filled in enumerate(made, 1):
            if draws is not None:
                self._tell(f"draw {k} of {draws}")
            self.report = column_report(self.imputer, X, filled, drawn=draws is not None)
            whole = frame.copy(deep=False)
            for name in self._shown:
                whole[name] = filled[name]
            yield whole

    def _read(self, source: str) -> HoledTable:
        reading: Mapping[str, Any] = {
            key: [value] if isinstance(value, str) and key != "separator" else value
            for key, value in self.reading.items()
        }
        table = read_holes(source, **reading)
        target = self.columns.target
        wanted = [*self.columns.ignore, *self.columns.groups]
        wanted += [target] if target and (self.fit_on is None or source == self.fit_on) else []
        if unknown := [name for name in wanted if name not in table.frame.columns]:
            near = meant(unknown[0], table.frame.columns).removeprefix("; ")
            hint = near[:1].upper() + near[1:] or f"There are: {offenders(list(table.frame.columns), 12)}."
            raise DataError(sentence(source, "the columns must be in the table", offenders(unknown), hint))
        return table

    def _fit_together(self, training: HoledTable) -> None:
        names = set(training.frame.columns)
        absent = [name for name in self._shown if name not in names]
        extra = [name for name in training.frame.columns if name not in (*self._shown, *self.columns.outside)]
        if absent or extra:
            given = "; ".join(
                f"{offenders(listed)} in {where} only"
                for listed, where in ((absent, self.source), (extra, self.fit_on))
                if listed
            )
            todo = "Leave a column out with --ignore, or the labels with --target."
            raise DataError(sentence("--fit-on", "both tables must have the same columns", given, todo))


def _ids_among(X: pd.DataFrame) -> list[str]:
    """Name the columns of texts or whole numbers that have another value in every row."""
    found = []
    for name, values in X.items():
        seen = values.dropna()
        kinds = pd.api.types
        able = kinds.is_integer_dtype(seen.dtype) or kinds.is_string_dtype(seen.dtype)
        if able and len(seen) >= _MANY and seen.is_unique:
            found.append(name)
    if not found:
        return []
    of = f"columns {offenders(found)} have" if len(found) > 1 else f"column {found[0]!r} has"
    return [f"{of} another value in every row, as an id has, which tells nothing: --ignore leaves it out."]


def _as_option(text: str) -> str:
    if text.startswith("imputer.within"):
        return "--group: this method does not impute within groups; leave it out, or use --method donors"
    return text.replace("imputer.", "--set ", 1)


def _paths(out: str, draws: int | None) -> list[Path]:
    """Return the file, or one numbered file a draw: filled_1.csv.gz, filled_2.csv.gz, ..."""
    path = Path(out)
    if draws is None:
        return [path]
    suffixes = [each for each in path.suffixes[-2:] if not each[1:].isdigit()]
    ending = "".join(suffixes) if table_format(path).compression else path.suffix
    stem = path.name.removesuffix(ending)
    return [path.with_name(f"{stem}_{k + 1}{ending}") for k in range(draws)]


@dataclass
class _Line:
    column: str
    missing: int
    left: int
    how: str
    error: float = float("nan")
    baseline: float = float("nan")
    word: str = ""
    kind: str = field(default="")


def column_report(
    imputer: Any,
    X: pd.DataFrame,
    filled: pd.DataFrame,
    *,
    drawn: bool = False,
    checked: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Say of each column with holes how it was filled, and how well the imputer fills it.

    Parameters
    ----------
    imputer : fitted imputer
    X, filled : DataFrame
        Before and after.
    drawn : bool
        Whether the cells are random draws.
    checked : DataFrame, optional
        Errors by column ``name``, with ``kind``, ``n``, ``error`` and ``baseline``; the imputer's
        own check by default.

    Returns
    -------
    DataFrame
        One row a column with holes: ``column``, ``missing`` cells, those ``left``, ``how``,
        ``error`` and ``baseline`` (the column mean's or most frequent value's) on seen cells that
        were hidden, in standard deviations of the column or as the share that is wrong; and a
        ``word`` where it did no better.
    """
    names = dict(zip(X.columns, X.columns, strict=True))
    if checked is None:
        checked = imputer.self_check_
        names = dict(zip(X.columns, imputer.codec_.columns, strict=True))
    checked = checked.set_index("name")
    lines = []
    for name in X.columns:
        missing = int(X[name].isna().sum())
        if not missing:
            continue
        line = _Line(str(name), missing, int(filled[name].isna().sum()), "")
        own = names[name]
        if own in checked.index:
            found = checked.loc[own]
            line.error, line.baseline, line.kind = (
                float(found["error"]),
                float(found["baseline"]),
                str(found["kind"]),
            )
            line.word = _word(line, int(found["n"]))
        line.how = _how(X[name], line, drawn)
        lines.append(vars(line))
    return pd.DataFrame(lines, columns=list(_Line.__annotations__))


def _how(values: pd.Series, line: _Line, drawn: bool) -> str:
    if line.left == line.missing:
        return "left as it is"
    if values.nunique() == 1:
        return "its only value"
    if drawn:
        return "drawn at random"
    return "most probable value" if line.kind == "categorical" else "conditional mean"


def _word(line: _Line, n: int) -> str:
    typical = "most frequent value" if line.kind == "categorical" else "column mean"
    if n < _FEW:
        return f"too few cells to say ({n})"
    return f"no better than the {typical}" if line.error >= line.baseline else ""
