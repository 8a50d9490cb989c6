"""``augsynth check``: tables beside each other."""

from __future__ import annotations

from typing import Annotated

import typer

from augsynth.cli.endings import DATA, sentences

__all__ = ["check"]


def check(
    table: Annotated[str, typer.Argument(help="The real table.")],
    synthetic: Annotated[str, typer.Argument(help="The synthetic or enlarged table.")],
    target: Annotated[str | None, typer.Option("--target", "-t", help="The column of the labels.")] = None,
) -> None:
    """Compare a synthetic table with the real one: columns, types, labels, copies. No verdict on its use."""
    with sentences():
        from augsynth.recipe.inspection import inspect_tables
        from augsynth.recipe.summary import console, summarise_inspection
        from augsynth.recipe.tables import read_source

        found = inspect_tables(read_source(table), read_source(synthetic), target)
        summarise_inspection(found, console())
        if found.problems:
            raise typer.Exit(DATA)
