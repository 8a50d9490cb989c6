"""``augsynth fit | sample``: generators trained, saved and drawn from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from augsynth.cli.endings import INTERRUPTED, complain, gentle_end, sentences
from augsynth.cli.options import Force

__all__ = ["fit", "sample"]


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
    with sentences(), gentle_end():
        from augsynth.recipe.fitting import Fitting, resume_words

        job = Fitting(data, generator, target=target, groups=groups or [], settings=settings or [], seed=seed)
        job.set_trainer(steps=steps, seconds=seconds, device=device, checkpoint=checkpoint, pictures=pictures)
        job.check_output(model, force=force)
        try:
            job.run(complain)
        except KeyboardInterrupt:
            complain(f"Interrupted. No model was written. {resume_words(checkpoint)}")
            raise typer.Exit(INTERRUPTED) from None
        typer.echo(job.write(model))


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
    with sentences(), gentle_end():
        from augsynth.recipe.sampling import check_output, open_model, wanted, write_sample

        generator = open_model(model)
        check_output(generator, out, model=model, force=force)
        wants = wanted(generator, rows, label or [], counts)
        n = write_sample(generator, wants, out, seed=seed, force=force, facts={"model": Path(model).name})
        noun = "images" if Path(out).is_dir() else "rows"
        typer.echo(f"{n:,} {noun} written to {out}")
