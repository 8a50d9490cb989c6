"""``augsynth check | impute``: tables beside each other, and tables with holes."""

from __future__ import annotations

from typing import Annotated

import typer

from augsynth.cli.endings import DATA, FAILED, complain, gentle_end, sentences
from augsynth.cli.options import Force

__all__ = ["check", "impute"]

Stated = Annotated[str | None, typer.Option(metavar="TEXT", help="For the datasheet.")]
StatedMethod = Annotated[
    str | None, typer.Option(metavar="TEXT", help="How the rows were made, for the datasheet.")
]

Method = Annotated[
    str,
    typer.Option(
        "--method",
        "-m",
        metavar="NAME",
        help="chained, pmm or bayes (chained with that model), donors, or a generator: trees, gmm, ...",
    ),
]
UseTarget = Annotated[
    bool,
    typer.Option(
        "--use-target",
        help="Let the labels help to fill the other columns; not if they are to be predicted.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A parameter, schema={pain: categorical}, or data.missing=['?'] ; repeatable.",
    ),
]

GroupColumns = Annotated[
    list[str] | None,
    typer.Option(
        "--group-columns", "-g", metavar="NAME[,NAME]", help="Sensitive columns; repeatable, or with commas."
    ),
]
Holdout = Annotated[
    str | None, typer.Option(metavar="FILE", help="Real rows that nothing was fitted on: much rests on them.")
]
Ignored = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN", help="A column to leave out, such as an id; repeatable.")
]


def check(
    table: Annotated[str, typer.Argument(help="The real table that the generator was fitted on.")],
    synthetic: Annotated[str, typer.Argument(help="The synthetic or enlarged table.")],
    target: Annotated[str | None, typer.Option("--target", "-t", help="The column of the labels.")] = None,
    groups: GroupColumns = None,
    holdout: Holdout = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FILE", help="The page; SYNTHETIC_report.html if not given."),
    ] = None,
    json: Annotated[str | None, typer.Option("--json", metavar="FILE", help="The same for programs.")] = None,
    ignore: Ignored = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Same seed, same figures.")] = 0,
    max_rows: Annotated[
        int, typer.Option(min=100, metavar="N", help="Rows of each sample for what costs most.")
    ] = 10_000,
    no_rows: Annotated[
        bool, typer.Option("--no-rows", help="No real rows on the page, so that it may be passed on.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="All rows, however long it takes.")] = False,
    method: StatedMethod = None,
    purpose: Stated = None,
    owner: Stated = None,
    licence: Stated = None,
    consent: Stated = None,
    right_to_train: Stated = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if a check fails.")] = False,
    force: Force = False,
) -> None:
    """Say what new rows are worth, for whom, and whether they look real, varied and not copied."""
    with sentences(), gentle_end() as asked_to_stop:
        from augsynth.recipe.reporting import TableCheck
        from augsynth.recipe.summary import console, summarise_report

        def tell(line: str) -> None:
            if asked_to_stop:
                raise KeyboardInterrupt
            complain(line)

        stated = {"method": method, "purpose": purpose, "owner": owner, "licence": licence}
        stated |= {"consent": consent, "right_to_train": right_to_train}
        job = TableCheck(
            table, synthetic, holdout, target=target, group_columns=groups or [], ignore=ignore or []
        )
        job.read()
        job.check_outputs(out, json, force=force)
        options = {"max_rows": None if full else max_rows, "show_rows": not no_rows}
        found = job.run(tell, datasheet=stated, random_state=seed, **options)
        if found is None:
            for problem in job.problems:
                complain(f"problem: {problem}")
            raise typer.Exit(DATA)
        files = job.write(found)
        summarise_report(found, files, console())
        if strict and found.failed:
            raise typer.Exit(FAILED)


def impute(
    source: Annotated[str, typer.Argument(help="The table with holes: CSV, TSV or Parquet.")],
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="FILE", help="The table to write; its ending says the format."),
    ],
    method: Method = "chained",
    fit_on: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Another table to learn from, such as the training rows."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", metavar="NAME", help="Column of the labels: neither filled nor used."),
    ] = None,
    use_target: UseTarget = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A column to leave alone, such as an id; repeatable."),
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="NAME", help="Impute within groups (donors only); repeatable."),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option("--draws", "-n", min=1, metavar="N", help="Random completions, in FILE_1, FILE_2, ..."),
    ] = None,
    settings: Settings = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Same seed, same bytes.")] = 0,
    force: Force = False,
) -> None:
    """Fill the holes of a table and say how well each column was filled; what was there stays to the letter.

    Without --draws each hole gets its conditional mean or most probable value, which is best
    for prediction. Standard errors need several random draws, analysed one by one and pooled.
    """
    with sentences(), gentle_end() as asked_to_stop:
        from augsynth.recipe.imputing import ImputeColumns, Imputing
        from augsynth.recipe.summary import console, summarise_imputing

        def tell(line: str) -> None:
            if asked_to_stop:
                raise KeyboardInterrupt
            complain(line)

        columns = ImputeColumns(target, use_target, ignore or [], groups or [])
        job = Imputing(source, method, fit_on=fit_on, columns=columns, settings=settings or [], seed=seed)
        job.check_output(out, draws=draws, force=force)
        job.run(tell)
        files = job.write(out, draws=draws)
        summarise_imputing(job, files, console())
