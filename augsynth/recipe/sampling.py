"""Rows from a saved generator, block by block: row i depends on model, seed, condition and i alone."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

from augsynth.core import arrays
from augsynth.core.errors import (
    AugsynthError,
    ConditionError,
    DataError,
    ModelFileError,
    ParameterError,
    offenders,
    sentence,
)
from augsynth.core.progress import track
from augsynth.core.random import keyed_rng, resolve_seed
from augsynth.encode.image import ImageCodec, ImageLayout
from augsynth.recipe.tables import Destination, table_format
from augsynth.recipe.wording import meant
from augsynth.recipe.writers import check_folder, image_folder, table_file

__all__ = ["Block", "Wanted", "blocks", "check_output", "image_codec", "open_model", "table_of", "wanted"]
__all__ += ["write_sample"]

TABLE_BLOCK, IMAGE_BLOCK = 1024, 64  # rows drawn at once, the last block too; the rest of it is dropped


@dataclass(frozen=True)
class Wanted:
    """How many rows of one condition.

    Attributes
    ----------
    name : str
        The condition in words, e.g. ``income=yes``; empty for the fitted frequencies.
    share : ndarray, (n_cells,)
        The probability of each cell of the generator under that condition.
    n : int
    """

    name: str
    share: np.ndarray
    n: int


class Block(NamedTuple):
    """Rows of one condition in their container, with labels and groups (None where there are none)."""

    X: Any
    y: Any
    groups: Any


def open_model(model: str | Path) -> Any:
    """Read a saved, fitted generator.

    Raises
    ------
    DataError, ModelFileError
        If the file is absent, is no model, or holds something else than a fitted generator.
    """
    from augsynth.core.persistence import load
    from augsynth.generate.base import BaseGenerator

    if not Path(model).is_file():
        raise DataError(f"{model}: there is no such file. Name a saved generator, such as model.safetensors.")
    generator = load(model)
    if not isinstance(generator, BaseGenerator):
        raise DataError(sentence(str(model), "must hold a saved generator", type(generator).__name__))
    if not hasattr(generator, "condition_"):
        raise ModelFileError(sentence(str(model), "must hold a whole, fitted generator", "one never fitted"))
    return generator


def image_codec(generator: Any) -> ImageCodec | None:
    """Return what turns the generator's images into levels; None if it makes tables or texts.

    Raises
    ------
    DataError
        If it makes clips, whose sample rate it does not know.
    """
    if isinstance(getattr(generator, "layout_", None), ImageLayout):
        codec: ImageCodec = generator.codec_
        return codec
    rows = getattr(generator, "rows_", None)
    if generator._encodes or rows is None or arrays.is_text(rows):
        return None
    edits = getattr(getattr(generator, "perturbation_", None), "modality", "any")
    if isinstance(rows, list) and (edits == "audio" or len({np.shape(row) for row in rows}) > 1):
        todo = "Draw clips in Python: write_clip(path, clip, rate) of augsynth.encode.audio writes each."
        must = "the generator must be of a table, of texts, or of images of one size"
        raise DataError(sentence("sample", must, "one of clips or images of several sizes", todo))
    return None if arrays.is_table(rows) else ImageCodec().fit(rows)


def wanted(generator: Any, n: int | None, labels: list[str], counts: str | None) -> list[Wanted]:
    """Read what is asked for: ``n`` rows under ``labels``, or ``counts`` of classes.

    Parameters
    ----------
    generator : fitted generator
    n : int, optional
        Rows; 100 where neither it nor ``counts`` is given.
    labels : list of str
        Wanted values such as ``y=malignant`` or ``sex=Female``: the label by the name of
        the target or as ``y``, groups by their names. What is not named is drawn at the
        fitted frequencies.
    counts : str, optional
        Rows of each class, such as ``"benign=10, malignant=200"``.

    Raises
    ------
    ParameterError, ConditionError
        For what cannot be read, and for a label or group that the generator never saw.
    """
    columns, target = _conditions(generator.condition_)
    if counts is None:
        return [_wanted(generator.condition_, columns, target, labels, 100 if n is None else n)]
    if n is not None:
        raise ParameterError("sample: --rows and --counts say the same; given both. Leave one out.")
    if target is None:
        raise ParameterError("--counts: the generator was fitted without labels; given classes. Say --rows.")
    found = []
    for text in filter(None, (part.strip() for part in counts.split(","))):
        name, equals, number = text.rpartition("=")
        if not equals or not number.strip().isdigit():
            todo = 'Such as --counts "benign=10,malignant=200".'
            raise ParameterError(sentence("--counts", "must read CLASS=ROWS,...", repr(text), todo))
        asked = [*labels, f"{target}={name.strip()}"]
        found.append(_wanted(generator.condition_, columns, target, asked, int(number)))
    repeated = sorted({each.name for each in found if [other.name for other in found].count(each.name) > 1})
    if repeated or not found:
        given = f"{offenders(repeated)} more than once" if repeated else repr(counts)
        raise ParameterError(sentence("--counts", "must name each class once", given))
    return found


def blocks(generator: Any, want: Wanted, seed: int | None) -> Iterator[Block]:
    """Draw the rows of one condition, in blocks of a fixed height that do not pile up in memory.

    The noise of a block is keyed by (seed, condition, position): more rows, or other
    conditions beside this one, leave the first rows as they were.
    """
    root, condition = resolve_seed(seed), generator.condition_
    key = zlib.crc32(want.name.encode())
    height = TABLE_BLOCK if image_codec(generator) is None else IMAGE_BLOCK
    for start in range(0, want.n, height):
        rng = keyed_rng(root, key, start // height)
        cells = rng.choice(len(want.share), size=height, p=want.share).astype(np.int32)
        try:
            rows = generator.draw(cells, random_state=resolve_seed(rng)).rows
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, AugsynthError):
                raise
            reason = f"one that cannot draw ({type(error).__name__}: {' '.join(str(error).split())})"
            raise ModelFileError(sentence("sample", "the generator must be whole", reason)) from error
        kept = np.arange(min(height, want.n - start))
        y, groups = condition.decode(cells[kept], rng)
        yield Block(arrays.take_rows(rows, kept), y, groups)


def table_of(block: Block) -> pd.DataFrame:
    """Return a block as one table: its columns, then groups and label where they are no columns yet."""
    X = block.X
    if arrays.is_text(X):
        name = getattr(X, "name", None)
        table = pd.DataFrame({"text" if name is None else str(name): list(X)})
    else:
        table = X.copy() if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X)).add_prefix("x")
    for column, cells in {**named(block.groups, "group"), **named(block.y, "y")}.items():
        if column not in table.columns:
            table[column] = cells
    return table


def named(values: Any, name: str) -> dict[str, Any]:
    """Return labels or groups as named columns, whatever container the generator was fitted with."""
    if values is None:
        return {}
    if isinstance(values, pd.DataFrame):
        return {str(column): values[column].to_numpy() for column in values}
    if isinstance(values, pd.Series):
        return {name if values.name is None else str(values.name): values.array}
    array = np.asarray(values)
    return {name: array} if array.ndim == 1 else {f"{name}_{j}": array[:, j] for j in range(array.shape[1])}


def check_output(generator: Any, out: str, *, model: str, force: bool) -> None:
    """Refuse, before anything is drawn, an output of the wrong kind or one that is there already.

    Raises
    ------
    DataError, OutputExistsError
    """
    path = Path(out)
    if image_codec(generator) is None:
        if path.is_dir() or out.endswith(("/", "\\")):
            raise DataError(f"{out}: a table goes to a file. Name one, such as {path / 'new.parquet'}.")
        table_format(path)
        Destination(path.parent, force=force).check([path.name], inputs=[model])
        return
    if path.suffix and not path.is_dir():
        todo = f"Name one, such as {path.with_suffix('')}."
        raise DataError(f"{out}: images go to a folder, a class a folder in it. {todo}")
    Destination(path.parent, force=True).check([], inputs=[model])
    check_folder(path, force=force)


def write_sample(
    generator: Any,
    wants: list[Wanted],
    out: str | Path,
    *,
    seed: int | None = None,
    force: bool = False,
    row_group: int | None = None,
    facts: dict[str, Any] | None = None,
) -> int:
    """Draw what is wanted and write it as it comes: a table file, or class folders of images.

    Memory stays constant: one block of rows, and one row group of a Parquet file. Returns
    the number of rows.
    """
    seed, codec = resolve_seed(seed), image_codec(generator)
    total = sum(want.n for want in wants)
    with track(total, "sampling") as advance:
        if codec is None:
            with table_file(out, **({} if row_group is None else {"row_group": row_group})) as table:
                for want in wants:
                    for block in blocks(generator, want, seed):
                        table.add(table_of(block))
                        advance(len(block.X))
                if not table.rows:
                    raise ParameterError(sentence("sample", "there must be a row to write", "0 rows"))
            return total
        about = {**(facts or {}), "seed": seed, "asked": {want.name or "all": want.n for want in wants}}
        with image_folder(out, codec, facts=about, force=force) as folder:
            for want in wants:
                for block in blocks(generator, want, seed):
                    labels = {**named(block.y, "label"), **named(block.groups, "group")}
                    folder.add(block.X, labels)
                    advance(len(block.X))
    return total


def _conditions(condition: Any) -> tuple[dict[str, np.ndarray], str | None]:
    """Return the value of each named condition in each cell, and the name of the label."""
    y, groups = condition.decode(np.flatnonzero(condition.is_labelled))
    of_label = named(y, "y")
    columns = {}
    for name, values in {**named(groups, "group"), **of_label}.items():
        cells = np.full(condition.n_cells, None, dtype=object)  # a cell of unlabelled rows fits nothing
        cells[condition.is_labelled] = [str(value) for value in values]
        columns[name] = cells
    return columns, next(iter(of_label), None)


def _wanted(
    condition: Any, columns: dict[str, np.ndarray], target: str | None, labels: list[str], n: int
) -> Wanted:
    allowed = np.asarray(condition.is_labelled).copy()
    said = []
    for text in labels:
        name, equals, value = text.partition("=")
        name = target if name == "y" and "y" not in columns and target else name
        if not equals or name not in columns:
            given = f"{text!r}{meant(name, columns)}"
            todo = f"Names: {', '.join(columns) or 'none, the generator was fitted without labels'}."
            raise ParameterError(sentence("--label", "must read NAME=VALUE", given, todo))
        fits = np.isin(columns[name], [value, str(_yaml_value(value))])
        if not fits.any():
            known = sorted({each for each in columns[name] if each is not None})
            todo = f"Values: {offenders(known, 8)}."
            raise ConditionError(
                sentence("--label", f"{name} must be one that the generator saw", value, todo)
            )
        said.append(f"{name}={columns[name][fits][0]}")
        allowed &= fits
    share = np.where(allowed, condition.weights, 0.0)
    if not share.any():
        given = " and ".join(labels)
        raise ConditionError(sentence("--label", "the combination must occur in the training rows", given))
    return Wanted(", ".join(sorted(said)), share / share.sum(), n)


def _yaml_value(text: str) -> Any:
    """Read ``1`` as a number and ``true`` as a truth value, as in a recipe."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
