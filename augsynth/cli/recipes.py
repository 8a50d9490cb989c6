"""``augsynth list | show | validate | run``: recipes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from augsynth.cli.endings import complain, gentle_end, sentences
from augsynth.cli.options import Force
from augsynth.core.errors import ParameterError

__all__ = ["list_command", "run", "show", "validate"]

RecipeName = Annotated[str, typer.Argument(help="The name of a recipe that comes along, or the path of one.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Overrides, e.g. data.path=my.csv data.target=y"),
]


def list_command(
    what: Annotated[
        str, typer.Argument(help="recipes, generators, resamplers, imputers, perturbations, or all")
    ] = "all",
) -> None:
    """List the recipes, generators, resamplers, imputers and perturbations, one line each."""
    from augsynth import registry
    from augsynth.recipe.catalogue import first_line, shipped_headers

    def lines_of(role: str) -> Callable[[], dict[str, str]]:
        return lambda: {kind: first_line(role, kind) for kind in registry.names(role)}

    roles = ("generator", "resampler", "imputer", "perturbation")
    tables = {"recipes": shipped_headers} | {f"{role}s": lines_of(role) for role in roles}
    with sentences():
        if what not in ("all", *tables):
            raise ParameterError(f"list: there are {', '.join(tables)} and all; given {what!r}.")
    for title, lines in tables.items():
        if what in ("all", title):
            found = lines()
            width = max((len(name) for name in found), default=0)
            typer.echo(f"{title}:")
            for name, line in found.items():
                typer.echo(f"  {name:<{width}}  {line}")


def show(recipe: RecipeName) -> None:
    """Print a recipe, header and all; copy it to make one of your own."""
    with sentences():
        from augsynth.recipe.catalogue import find, read_text

        typer.echo(read_text(find(recipe)).rstrip())


def validate(recipe: RecipeName, overrides: Overrides = None) -> None:
    """Check a recipe without running it: every problem at once, and its columns if the table is there."""
    with sentences():
        from augsynth.recipe import load
        from augsynth.recipe.impute_run import read_holed_parts
        from augsynth.recipe.parts import read_parts
        from augsynth.recipe.schema import ImputeRecipe
        from augsynth.recipe.tables import SKLEARN

        checked = load(recipe, overrides or [])
        for note in checked.notes:
            complain(f"note: {note}")
        data = checked.data
        if data.path.startswith(SKLEARN) or Path(data.path).exists():
            if isinstance(checked, ImputeRecipe):
                read_holed_parts(checked)
            else:
                read_parts(data, checked.seed)
        else:
            complain(f"note: data.path: {data.path} is not there, so its columns were not checked.")
        typer.echo(f"{checked.name}: the recipe is valid.")


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
    with sentences(), gentle_end() as asked_to_stop:
        from augsynth.recipe import load
        from augsynth.recipe.schema import ImputeRecipe
        from augsynth.recipe.summary import console, summarise, summarise_impute_run

        loaded = load(recipe, overrides or [])
        screen = console(stderr=True)
        for note in [] if quiet else loaded.notes:
            screen.print(f"note: {note}", style="yellow", markup=False, highlight=False)

        def tell(line: str) -> None:
            if asked_to_stop:
                raise KeyboardInterrupt
            if not quiet:
                screen.print(line, style="cyan", markup=False, highlight=False)

        if isinstance(loaded, ImputeRecipe):
            from augsynth.recipe.impute_run import run_imputing

            filled = run_imputing(loaded, directory=out, force=force, tell=tell, progress=not quiet)
            summarise_impute_run(filled, console(), quiet=quiet)
            return
        from augsynth.recipe.run import run as run_recipe

        done = run_recipe(
            loaded, directory=out, force=force, tell=tell, progress=not quiet, pictures=pictures
        )
        summarise(done, console(), quiet=quiet)
