"""The command line: ``augsynth list | show | validate | run | enlarge | fit | sample | check``.

Exit codes, for scripts: 0 fine, 1 the run failed, 2 bad usage or recipe, 3 the data
cannot be used, 4 an output exists already (``--force`` replaces it), 130 interrupted.
Results go to standard output, progress and errors to standard error. Everything heavy
is imported by the command that needs it.
"""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from augsynth.core.errors import (
    AugsynthError,
    DataError,
    ModelFileError,
    OutputExistsError,
    ParameterError,
    RecipeError,
)

__all__ = ["app", "main"]

OK, FAILED, USAGE, DATA, EXISTS, INTERRUPTED = 0, 1, 2, 3, 4, 130
_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (OutputExistsError, EXISTS),
    (DataError, DATA),
    (ModelFileError, DATA),
    (RecipeError, USAGE),
    (ParameterError, USAGE),
    (AugsynthError, FAILED),
)

app = typer.Typer(
    name="augsynth",
    help="More labelled rows where they matter, and an honest verdict on whether they helped.",
    epilog="Exit codes: 0 fine, 1 failed, 2 bad usage or recipe, 3 bad data, 4 output exists, 130 stopped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RecipeName = Annotated[str, typer.Argument(help="The name of a recipe that comes along, or the path of one.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Overrides, e.g. data.path=my.csv data.target=y"),
]
Force = Annotated[bool, typer.Option("--force", help="Replace outputs that exist already.")]


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    """Turn every expected failure into one sentence on standard error and its exit code."""
    try:
        yield
    except RecipeError as error:
        many = len(error.problems)
        _complain(f"The recipe has {many} problem{'s' if many > 1 else ''}:")
        for problem in error.problems:
            _complain(f"  - {problem}")
        raise typer.Exit(USAGE) from None
    except AugsynthError as error:
        _complain(f"Error: {' '.join(str(error).split())}")
        raise typer.Exit(next(code for kind, code in _CODES if isinstance(error, kind))) from None
    except KeyboardInterrupt:
        _complain("Interrupted. No file was written or changed.")
        raise typer.Exit(INTERRUPTED) from None
    except MemoryError:
        _complain("Error: the memory is full. Use fewer rows or columns, or a machine with more memory.")
        raise typer.Exit(FAILED) from None
    except OSError as error:
        _complain(f"Error: {_of_the_system(error)}")
        raise typer.Exit(FAILED) from None


def _of_the_system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}the disk is full; nothing was written. Free some space, or choose another --out."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where}writing is not permitted; nothing was written. Choose another --out."
    return f"{where}{error.strerror or error}."


@app.command("list")
def list_command(
    what: Annotated[
        str, typer.Argument(help="recipes, generators, resamplers, perturbations, or all")
    ] = "all",
) -> None:
    """List the recipes, generators, resamplers and perturbations, one line each."""
    from augsynth import registry
    from augsynth.recipe.catalogue import first_line, shipped_headers

    def lines_of(role: str) -> Callable[[], dict[str, str]]:
        return lambda: {kind: first_line(role, kind) for kind in registry.names(role)}

    roles = ("generator", "resampler", "perturbation")
    tables = {"recipes": shipped_headers} | {f"{role}s": lines_of(role) for role in roles}
    with _sentences():
        if what not in ("all", *tables):
            raise ParameterError(f"list: there are {', '.join(tables)} and all; given {what!r}.")
    for title, lines in tables.items():
        if what in ("all", title):
            found = lines()
            width = max((len(name) for name in found), default=0)
            typer.echo(f"{title}:")
            for name, line in found.items():
                typer.echo(f"  {name:<{width}}  {line}")


@app.command()
def show(recipe: RecipeName) -> None:
    """Print a recipe, header and all; copy it to make one of your own."""
    with _sentences():
        from augsynth.recipe.catalogue import find, read_text

        typer.echo(read_text(find(recipe)).rstrip())


@app.command()
def validate(recipe: RecipeName, overrides: Overrides = None) -> None:
    """Check a recipe without running it: every problem at once, and its columns if the table is there."""
    with _sentences():
        from augsynth.recipe import load
        from augsynth.recipe.parts import read_parts
        from augsynth.recipe.tables import SKLEARN

        checked = load(recipe, overrides or [])
        for note in checked.notes:
            _complain(f"note: {note}")
        data = checked.data
        if data.path.startswith(SKLEARN) or Path(data.path).exists():
            read_parts(data, checked.seed)
        else:
            _complain(f"note: data.path: {data.path} is not there, so its columns were not checked.")
        typer.echo(f"{checked.name}: the recipe is valid.")


@app.command()
def run(
    recipe: RecipeName,
    overrides: Overrides = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Folder of the outputs; the recipe's output.dir if not given."),
    ] = None,
    pictures: Annotated[
        str | None, typer.Option(help="A folder for loss curves and sample sheets while it trains.")
    ] = None,
    force: Force = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say the verdict and the folder only.")
    ] = False,
) -> None:
    """Run a recipe: split, augment the training part, judge, and write the files."""
    with _sentences(), _gentle_end() as asked_to_stop:
        from augsynth.recipe import load
        from augsynth.recipe.summary import console, summarise

        loaded = load(recipe, overrides or [])
        screen = console(stderr=True)
        for note in [] if quiet else loaded.notes:
            screen.print(f"note: {note}", style="yellow", markup=False, highlight=False)
        from augsynth.recipe.run import run as run_recipe

        def tell(line: str) -> None:
            if asked_to_stop:
                raise KeyboardInterrupt
            if not quiet:
                screen.print(line, style="cyan", markup=False, highlight=False)

        done = run_recipe(
            loaded, directory=out, force=force, tell=tell, progress=not quiet, pictures=pictures
        )
        summarise(done, console(), quiet=quiet)


@contextlib.contextmanager
def _gentle_end() -> Iterator[list[int]]:
    """Let a polite kill (SIGTERM) clean up as Ctrl-C does; yield the signals that came.

    An exception raised inside a C callback of a library is lost, the list is not.
    """
    came: list[int] = []

    def stop(number: int, frame: Any) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield came
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@app.command()
def enlarge(
    source: Annotated[
        str,
        typer.Argument(help="Class folders of pictures or wav files, an .npz of images, a table of texts."),
    ],
    out: Annotated[str, typer.Option("--out", "-o", metavar="DIR", help="The folder to write.")],
    policy: Annotated[
        str,
        typer.Option("--policy", "-p", metavar="NAME", help="weak, medium, strong, or an edit."),
    ] = "weak",
    copies: Annotated[
        int, typer.Option("--copies", "-n", min=0, metavar="N", help="Copies of each; 0 only balances.")
    ] = 3,
    keep_originals: Annotated[
        bool, typer.Option("--keep-originals/--no-originals", help="Whether the originals come along.")
    ] = True,
    balance: Annotated[
        str | None, typer.Option(metavar="BY", help="Even out: class, group or class+group.")
    ] = None,
    stratified: Annotated[bool, typer.Option("--stratified", help="Spread the copies of each.")] = False,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Same seed, same bytes.")] = 0,
    format: Annotated[
        str, typer.Option(metavar="NAME", help="folder (PNG), wav, npz or parquet; auto: as it was.")
    ] = "auto",
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Processes; the bytes stay the same.")
    ] = 1,
    text_column: Annotated[str | None, typer.Option(metavar="NAME", help="Column of the texts.")] = None,
    target: Annotated[
        str, typer.Option("--target", "-t", metavar="NAME", help="Column of the labels.")
    ] = "label",
    group_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column (or array) of the groups.")
    ] = None,
    sample_rate: Annotated[
        int | None, typer.Option(min=1000, metavar="N", help="Resample clips to it; in hertz.")
    ] = None,
    force: Force = False,
) -> None:
    """Write perturbed copies of pictures, clips or texts; given again, it goes on where it stopped."""
    with _sentences(), _gentle_end():
        from augsynth.recipe.enlarging import Enlarging, stopped_words
        from augsynth.recipe.summary import console

        columns = {"text_column": text_column, "target": target, "group_column": group_column}
        options = (policy, copies, keep_originals, balance, stratified, seed, format)
        job = Enlarging(source, out, *options, reading={**columns, "sample_rate": sample_rate})
        try:
            job.open()
            manifest = job.run(jobs=jobs, force=force)
        except KeyboardInterrupt:
            _complain(f"Interrupted. {stopped_words(out)}")
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            _complain(f"Error: {out}: the disk is full. {stopped_words(out)}")
            raise typer.Exit(FAILED) from None
        job.summarise(manifest, console())


@app.command()
def fit(
    data: Annotated[
        str,
        typer.Argument(help="A table, a folder of class folders of images, an .npz of images and labels."),
    ],
    generator: Annotated[str, typer.Option("--generator", "-g", help="Its kind; see: augsynth list.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The file to write: model.safetensors, say.")],
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="The column of the labels; none: no condition.")
    ] = None,
    groups: Annotated[
        list[str] | None, typer.Option("--group", help="A column of groups to condition on; repeatable.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A parameter, e.g. trainer.batch_size=64 or data.separator=; ; repeatable.",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps; the model's own if left out.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Training time instead of steps.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same model.")] = 0,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="A file kept up to date; the same command goes on from it after a stop."),
    ] = None,
    pictures: Annotated[
        str | None, typer.Option(help="A folder for loss curves and sample sheets while it trains.")
    ] = None,
    force: Force = False,
) -> None:
    """Train a generator on a table or on images, and save it to one file."""
    with _sentences(), _gentle_end():
        from augsynth.recipe.fitting import Fitting, resume_words

        job = Fitting(data, generator, target=target, groups=groups or [], settings=settings or [], seed=seed)
        job.set_trainer(steps=steps, seconds=seconds, device=device, checkpoint=checkpoint, pictures=pictures)
        job.check_output(model, force=force)
        try:
            job.run(_complain)
        except KeyboardInterrupt:
            _complain(f"Interrupted. No model was written. {resume_words(checkpoint)}")
            raise typer.Exit(INTERRUPTED) from None
        typer.echo(job.write(model))


@app.command()
def sample(
    model: Annotated[
        str, typer.Argument(help="A saved generator: model.safetensors in the folder of a run.")
    ],
    out: Annotated[
        str,
        typer.Option("--out", "-o", help="The table to write (its ending says the format), or image folder."),
    ],
    rows: Annotated[int | None, typer.Option("--rows", "-n", min=1, help="Rows to draw; 100.")] = None,
    counts: Annotated[
        str | None,
        typer.Option(metavar="CLASS=ROWS,...", help="Rows of each class, e.g. benign=5,malignant=9"),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label", "-l", metavar="NAME=VALUE", help="Wanted class or group, e.g. income=yes; repeatable."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Same seed, same rows.")] = None,
    force: Force = False,
) -> None:
    """Draw new rows from a saved generator, at the fitted frequencies or of the classes and groups asked for.

    Row i depends on the model, the seed, the condition and i alone: more rows, or other
    classes beside it, leave it as it is. Any number of rows fits into memory.
    """
    with _sentences(), _gentle_end():
        from augsynth.recipe.sampling import check_output, open_model, wanted, write_sample

        generator = open_model(model)
        check_output(generator, out, model=model, force=force)
        wants = wanted(generator, rows, label or [], counts)
        n = write_sample(generator, wants, out, seed=seed, force=force, facts={"model": Path(model).name})
        noun = "images" if Path(out).is_dir() else "rows"
        typer.echo(f"{n:,} {noun} written to {out}")


@app.command()
def check(
    table: Annotated[str, typer.Argument(help="The real table.")],
    synthetic: Annotated[str, typer.Argument(help="The synthetic or enlarged table.")],
    target: Annotated[str | None, typer.Option("--target", "-t", help="The column of the labels.")] = None,
) -> None:
    """Compare a synthetic table with the real one: columns, types, labels, copies. No verdict on its use."""
    with _sentences():
        from augsynth.recipe.inspection import inspect_tables
        from augsynth.recipe.summary import console, summarise_inspection
        from augsynth.recipe.tables import read_source

        found = inspect_tables(read_source(table), read_source(synthetic), target)
        summarise_inspection(found, console())
        if found.problems:
            raise typer.Exit(DATA)


def main() -> None:
    """Entry point of the ``augsynth`` command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a label that the terminal cannot show is no reason to fail
    app()


if __name__ == "__main__":
    main()
