"""``augsynth enlarge``: perturbed copies of samples on disk."""

from __future__ import annotations

import errno
from typing import Annotated

import typer

from augsynth.cli.endings import FAILED, INTERRUPTED, complain, gentle_end, sentences
from augsynth.cli.options import Force

__all__ = ["enlarge"]


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
    with sentences(), gentle_end():
        from augsynth.recipe.enlarging import Enlarging, stopped_words
        from augsynth.recipe.summary import console

        columns = {"text_column": text_column, "target": target, "group_column": group_column}
        options = (policy, copies, keep_originals, balance, stratified, seed, format)
        job = Enlarging(source, out, *options, reading={**columns, "sample_rate": sample_rate})
        try:
            job.open()
            manifest = job.run(jobs=jobs, force=force)
        except KeyboardInterrupt:
            complain(f"Interrupted. {stopped_words(out)}")
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            complain(f"Error: {out}: the disk is full. {stopped_words(out)}")
            raise typer.Exit(FAILED) from None
        job.summarise(manifest, console())
