"""The application, its commands in the order of the help, and the entry point."""

from __future__ import annotations

import sys

import typer

from augsynth.cli.models import fit, sample
from augsynth.cli.recipes import list_command, run, show, validate
from augsynth.cli.samples import enlarge
from augsynth.cli.tables import check, impute

__all__ = ["app", "main"]

app = typer.Typer(
    name="augsynth",
    help="More labelled rows where they matter, and an honest verdict on whether they helped.",
    epilog="Exit codes: 0 fine, 1 failed, 2 bad usage or recipe, 3 bad data, 4 output exists, 130 stopped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("list")(list_command)
for command in (show, validate, run, enlarge, fit, sample, check, impute):
    app.command()(command)


def main() -> None:
    """Entry point of the ``augsynth`` command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a label that the terminal cannot show is no reason to fail
    app()
