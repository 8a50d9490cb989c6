"""What a run found, for the eye: counts, verdict, methods against baselines, files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from augsynth.check.report.answers import figure_words, status_words
from augsynth.check.report.markup import clean, figure

if TYPE_CHECKING:
    from augsynth.check.report import Report
    from augsynth.recipe.impute_run import ImputeRun
    from augsynth.recipe.imputing import Imputing
    from augsynth.recipe.run import Run

__all__ = [
    "console",
    "count_table",
    "report_lines",
    "summarise",
    "summarise_impute_run",
    "summarise_imputing",
    "summarise_report",
]

_STYLES = {"helps": "bold green", "hurts": "bold red"}
_WIDE = 1000
_MAX_CELLS, _MAX_NOTES, _MAX_COLUMNS = 20, 8, 60


class _Spelled:
    """A stream that spells out what it cannot show: names of files and columns may hold anything."""

    def __init__(self, stream: Any):
        self._stream = stream
        self.encoding = stream.encoding or "utf-8"

    def write(self, text: str) -> int:
        self._stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return bool(self._stream.isatty())

    def fileno(self) -> int:
        return int(self._stream.fileno())


class _PlainLines(_Spelled):
    """One that also takes whole lines and drops the blanks that a table leaves at their ends."""

    def write(self, text: str) -> int:
        lines = text.split("\n")
        super().write("\n".join([*(line.rstrip() for line in lines[:-1]), lines[-1]]))
        return len(text)


def console(stderr: bool = False) -> Console:
    """Make a console: colours on a terminal; elsewhere plain lines, as long as they need to be."""
    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty():
        shown: Any = _Spelled(stream)
        return Console(file=shown, highlight=False, emoji=False)
    plain: Any = _PlainLines(stream)
    return Console(file=plain, highlight=False, emoji=False, no_color=True, force_terminal=False, width=_WIDE)


def _table(*columns: str, right: tuple[int, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for place, name in enumerate(columns):
        table.add_column(Text(name), justify="right" if place in right else "left", no_wrap=place > 0)
    return table


def _cells(*values: Any, style: str = "") -> list[Text]:
    return [value if isinstance(value, Text) else Text(str(value), style=style) for value in values]


def summarise(run: Run, screen: Console, *, quiet: bool = False) -> None:
    """Print what a run found and where its files are."""
    if not quiet:
        screen.print()
        _heading(screen, f"{run.recipe.name}: training {run.parts.noun}")
        screen.print(
            Padding(count_table(run.counts, _cell_heading(run), screen.encoding), (0, 0, 1, 2), expand=False)
        )
        if run.comparison is not None:
            words = run.comparison.metric_words
            _heading(screen, f"Does it help? Cross-validated inside the training part, {words}")
            screen.print(Padding(_comparison_table(run.comparison), (0, 0, 1, 2), expand=False))
            if run.parts.groups is not None:
                _heading(screen, f"By group, against nothing, {words}")
                screen.print(Padding(_group_table(run.comparison), (0, 0, 1, 2), expand=False))
        _heading(
            screen,
            f"Held-out {run.parts.noun} ({len(run.parts.y_test):,}): one split, no interval, "
            "an illustration only",
        )
        screen.print(Padding(_held_out_table(run.held_out), (0, 0, 1, 2), expand=False))
    _verdict(run, screen)
    if run.report is not None:
        report_lines(run.report, screen, questions=("fidelity", "diversity", "memorisation"))
    if quiet:
        screen.print(Text(f"files: {run.files[0].parent}"))
        return
    _notes(run, screen)
    _heading(screen, f"Files in {run.files[0].parent}")
    width = max(len(path.name) for path in run.files)
    for path in run.files:
        name = path.name.split(".")[0]
        clips = name == "model" and run.parts.modality == "audio"
        about = "the fitted generator: augsynth.load(path).sample(100)" if clips else _ABOUT.get(name, "")
        about = _ABOUT_PAGE if path.name == "report.html" else about
        screen.print(Text(f"  {path.name:<{width}}  {_size(_bytes_of(path)):>9}  {about}"))


_ABOUT = {
    "enlarged": "the training rows, then the new ones",
    "held_out": "rows that nothing was fitted to",
    "provenance": "where each row of the enlarged table comes from",
    "model": "the fitted generator: augsynth sample model.safetensors --rows 100 --out new",
    "report": "everything above, for programs",
    "recipe": "the recipe as it was run: augsynth run recipe.yaml",
    "counts": "rows before and after",
    "comparison": "the forest plot",
    "samples": "new ones beside real ones, class by class",
    "losses": "the losses of the training, step by step",
    "marginals": "new rows beside real ones, column by column",
}


_ABOUT_PAGE = "the page to read: verdict, gains, checks, datasheet; open it in a browser"


def report_lines(report: Report, screen: Console, *, questions: Sequence[str]) -> None:
    """Print the answers to some of the questions of a report, in a line or two each."""
    for answer in report.verdict.answers:
        if answer.part not in questions:
            continue
        style = {"passed": "bold green", "failed": "bold red"}.get(answer.status, "bold yellow")
        screen.print(Text(f"{answer.question} ", style="bold").append(answer.word.upper(), style=style))
        for line in answer.sentences:
            screen.print(Padding(Text(clean(line)), (0, 0, 0, 2), expand=False))
    screen.print()


def summarise_report(report: Report, files: list[Path], screen: Console) -> None:
    """Print the verdict, the answers, a line a judged check, the notes and the files."""
    screen.print()
    word = report.verdict.word
    style = _STYLES.get(word, "bold yellow")
    screen.print(Text("Verdict: ", style="bold").append(word.upper(), style=style))
    screen.print(Padding(Text(report.verdict.sentence), (0, 0, 1, 2), expand=False))
    report_lines(report, screen, questions=[answer.part for answer in report.verdict.answers])
    judged = [each for each in report.findings if each.status != "not judged"]
    if judged:
        table = _table("check", "figure", "if nothing differed", "independent columns", "", right=(1, 2, 3))
        for each in judged:
            beside = each.controls.get("independent columns", float("nan"))
            figures = [figure_words(each), *(figure(value, each.unit) for value in (each.null, beside))]
            colour = "bold red" if each.status == "failed" else "green"
            words = Text(status_words(each), style=colour)
            table.add_row(*_cells(f"{each.title} [{each.name}]", *figures, words))
        screen.print(Padding(table, (0, 0, 1, 2), expand=False))
    for note in report.notes[:_MAX_NOTES]:
        screen.print(Text(f"note: {clean(note)}", style="yellow"))
    for path in files:
        screen.print(Text(f"written: {path} ({_size(_bytes_of(path))})"))


def _heading(screen: Console, text: str) -> None:
    screen.print(Text(text, style="bold"))


def _cell_heading(run: Run) -> str:
    by = str(run.recipe.resampler.parameters.get("by", "class"))
    names = [] if run.parts.groups is None or "group" not in by else list(run.parts.groups.columns)
    return " / ".join([run.recipe.data.target, *map(str, names)])


def count_table(counts: pd.DataFrame, heading: str, encoding: str | None) -> Table:
    """Lay out how many there are of each class ``before`` and ``after``, with bars."""
    blocks = "█░" if (encoding or "").lower().startswith("utf") else "#+"
    table = _table(heading, "before", "after", "new", "", right=(1, 2, 3))
    most = max(int(counts["after"].max()), 1)
    for name, row in counts.head(_MAX_CELLS).iterrows():
        before, after = int(row["before"]), int(row["after"])
        change = f"{after - before:+,}" if after != before else "."
        bar = Text(blocks[0] * round(24 * min(before, after) / most), style="blue")
        bar.append(blocks[1] * round(24 * max(after - before, 0) / most), style="yellow")
        table.add_row(*_cells(name, f"{before:,}", f"{after:,}", change, bar))
    if len(counts) > _MAX_CELLS:
        table.add_row(*_cells(f"... and {len(counts) - _MAX_CELLS} more", "", "", "", ""))
    return table


def _comparison_table(comparison: Any) -> Table:
    table = _table("method", "score", "against", "difference", "95 % interval", "verdict", right=(1, 3))
    frame = comparison.to_frame()
    frame = frame[(frame["metric"] == comparison.metric) & (frame["scope"] == "all")]
    for baseline, reason in comparison.baselines.items():
        mine = frame[frame["against"] == baseline]
        score = "" if reason or mine.empty else f"{mine['score_against'].iloc[0]:.3f}"
        table.add_row(
            *_cells(baseline, score, f"not applicable: {reason}" if reason else "", "", "", "", style="dim")
        )
    for method in comparison.methods:
        mine = frame[frame["method"] == method]
        for place, (_, row) in enumerate(mine.iterrows()):
            name, score = (method, f"{row['score']:.3f}") if place == 0 else ("", "")
            word = Text(str(row["verdict"]), style=_STYLES.get(str(row["verdict"]), ""))
            interval = f"[{row['low']:+.3f}, {row['high']:+.3f}]"
            table.add_row(*_cells(name, score, row["against"], f"{row['difference']:+.3f}", interval, word))
    return table


def _group_table(comparison: Any) -> Table:
    table = _table("group", "nothing", "with it", "difference", "95 % interval", "verdict", right=(1, 2, 3))
    frame = comparison.to_frame()
    frame = frame[frame["scope"].isin(["group", "gap"]) & (frame["against"] == "nothing")]
    for _, row in frame.iterrows():
        name = "gap, best to worst" if row["scope"] == "gap" else row["level"]
        if not pd.notna(row["low"]):
            table.add_row(*_cells(name, "", "", "", "", row["flag"] or "undefined"))
            continue
        scores = f"{row['score_against']:.3f}", f"{row['score']:.3f}", f"{row['difference']:+.3f}"
        word = row["flag"] or Text(str(row["verdict"]), style=_STYLES.get(str(row["verdict"]), ""))
        table.add_row(*_cells(name, *scores, f"[{row['low']:+.3f}, {row['high']:+.3f}]", word))
    return table


def _held_out_table(held_out: pd.DataFrame) -> Table:
    table = _table("", *map(str, held_out.index), right=(1, 2))
    for name in held_out.columns[:_MAX_CELLS]:
        table.add_row(*_cells(name, *(f"{value:.3f}" for value in held_out[name])))
    return table


_MEANING = {
    "helps": "It beats doing nothing, class weights and a tuned threshold, as far as each applies.",
    "hurts": "It is worse than doing nothing; do not use it here.",
    "no evidence": "The intervals do not rule out chance; that is an answer, not an error. "
    "Class weights or a tuned threshold cost less.",
}


def _verdict(run: Run, screen: Console) -> None:
    if run.comparison is None:
        screen.print(Text("Verdict: none, the recipe asks for no comparison (compare: null).", style="bold"))
        screen.print()
        return
    for method, line in zip(run.comparison.methods, run.comparison.summary().splitlines(), strict=True):
        word = str(run.comparison.verdicts.loc[method, "in all"])
        screen.print(
            Text("Verdict: ", style="bold").append(word.upper(), style=_STYLES.get(word, "bold yellow"))
        )
        screen.print(Padding(Text(line), (0, 0, 0, 2), expand=False))
        if "It beats" not in line:  # the sentence explains itself already
            screen.print(Padding(Text(_MEANING.get(word, "")), (0, 0, 0, 2), expand=False))
    if run.plan is not None and run.plan.rows < run.plan.of_rows:
        part = f"{run.plan.rows:,} of {run.plan.of_rows:,} training rows"
        told = f"Judged on {part} (compare.rows=null takes all)."
        screen.print(Padding(Text(told), (0, 0, 0, 2), expand=False))
    screen.print()


def _notes(run: Run, screen: Console) -> None:
    notes = [*run.notes, *(run.comparison.notes if run.comparison is not None else [])]
    notes = list(dict.fromkeys(note.removeprefix("compare: ") for note in notes))
    for note in notes[:_MAX_NOTES]:
        screen.print(Text(f"note: {note}", style="yellow"))
    if len(notes) > _MAX_NOTES:
        screen.print(Text(f"note: {len(notes) - _MAX_NOTES} more in report.json", style="yellow"))
    if notes:
        screen.print()


def _bytes_of(path: Path) -> int:
    inside = path.rglob("*") if path.is_dir() else [path]
    return sum(each.stat().st_size for each in inside if each.is_file())


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:,.1f} kB"


def summarise_imputing(job: Imputing, files: list[Path], screen: Console) -> None:
    """Print how each column was filled, how well, and where it did no better than its mean."""
    report = job.report
    if report.empty:
        screen.print(Text("No cell is missing: the table is written as it is."))
    else:
        screen.print(Padding(imputing_table(report), (0, 0, 0, 2), expand=False))
        screen.print(Text(_IMPUTING_UNITS))
    for note in job.notes[:_MAX_NOTES]:
        screen.print(Text(f"note: {note}", style="yellow"))
    for path in files:
        screen.print(Text(f"written: {path} ({_size(_bytes_of(path))})"))


_IMPUTING_UNITS = (
    "error: on seen cells that were hidden from it; of numbers in standard deviations of the "
    "column, of categories the share that is wrong. mean / mode: the same for the column's mean, or "
    "its most frequent value."
)


def imputing_table(report: pd.DataFrame) -> Table:
    """Lay out the report of an imputer, a column a line."""
    judged = report["word"].ne("").any()  # rich cuts the names short beside a column that is empty
    table = _table(
        "column", "missing", "filled with", "error", "mean / mode", *([""] if judged else []), right=(1, 3, 4)
    )
    for _, row in report.head(_MAX_COLUMNS).iterrows():
        left = f" ({row['left']:,} left)" if 0 < row["left"] < row["missing"] else ""
        figures = [f"{row[name]:.3f}" if pd.notna(row[name]) else "" for name in ("error", "baseline")]
        word = Text(row["word"], style="yellow" if row["word"].startswith("no better") else "dim")
        cells = [row["column"], f"{row['missing']:,}", row["how"] + left, *figures, word]
        table.add_row(*_cells(*cells[: 6 if judged else 5]))
    if len(report) > _MAX_COLUMNS:
        table.add_row(*_cells(f"... and {len(report) - _MAX_COLUMNS} more"))
    return table


def summarise_impute_run(run: ImputeRun, screen: Console, *, quiet: bool = False) -> None:
    """Print how a recipe filled its table, whether that beats the column means, and where the files are."""
    from augsynth.recipe.impute_run import verdict_sentence

    if not quiet:
        screen.print()
        _heading(screen, f"{run.recipe.name}: columns with holes, errors on held-out rows")
        screen.print(Padding(imputing_table(run.report), (0, 0, 0, 2), expand=False))
        screen.print(Padding(Text(_IMPUTING_UNITS), (0, 0, 1, 2), expand=False))
        if len(run.groups):
            _heading(screen, "By group: is one imputed worse?")
            table = _table("group", "kind", "cells", "error", "mean / mode", right=(2, 3, 4))
            for _, row in run.groups.head(_MAX_COLUMNS).iterrows():
                figures = f"{row['n']:,}", f"{row['error']:.3f}", f"{row['baseline']:.3f}"
                table.add_row(*_cells(row["group"], row["kind"], *figures))
            screen.print(Padding(table, (0, 0, 1, 2), expand=False))
    word = run.verdict.word
    screen.print(Text("Verdict: ", style="bold").append(word.upper(), style=_STYLES.get(word, "bold yellow")))
    screen.print(Padding(Text(verdict_sentence(run)), (0, 0, 1, 2), expand=False))
    if quiet:
        screen.print(Text(f"files: {run.files[0].parent}"))
        return
    for note in run.notes[:_MAX_NOTES]:
        screen.print(Text(f"note: {note}", style="yellow"))
    _heading(screen, f"Files in {run.files[0].parent}")
    _files(run.files, _ABOUT_FILLED, screen)


_ABOUT_FILLED = {
    "filled": "the table, each hole at its conditional mean or most probable value: for prediction",
    "missing": "which cells were holes (1)",
    "errors": "errors on held-out rows, by column",
    "holes": "observed cells beside filled ones",
    "report": "everything above, for programs",
    "recipe": "the recipe as it was run: augsynth run recipe.yaml",
}


def _files(files: list[Path], about: dict[str, str], screen: Console) -> None:
    width = max(len(path.name) for path in files)
    for path in files:
        name = path.name.split(".")[0]
        said = about.get(
            name, "a random completion: analyse each, then pool" if name.startswith("filled_") else ""
        )
        screen.print(Text(f"  {path.name:<{width}}  {_size(_bytes_of(path)):>9}  {said}"))
