"""Outputs that are written as they come, in constant memory, and appear whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import OutputExistsError
from augsynth.core.files import atomic_path, folder_name
from augsynth.encode.image import ImageCodec
from augsynth.recipe.tables import TableFormat, open_write, table_format

__all__ = ["ImageFolder", "TableFile", "folder_name", "image_folder", "table_file", "to_bytes"]

ROW_GROUP = 65_536
MANIFEST = "manifest.json"


class TableFile:
    """A table that grows by parts; open one with `table_file`."""

    def __init__(self, stream: Any, style: TableFormat, row_group: int):
        self._stream, self._style, self._row_group = stream, style, row_group
        self._waiting: list[pd.DataFrame] = []
        self._parquet: Any = None
        self.rows = 0

    def add(self, part: pd.DataFrame) -> None:
        """Append rows; Parquet gets them in row groups of one size, whatever the parts."""
        self.rows += len(part)
        if self._style.kind != "parquet":
            self._add_text(part)
            return
        self._waiting.append(part)
        if sum(map(len, self._waiting)) >= self._row_group:
            whole = pd.concat(self._waiting, ignore_index=True)
            full = len(whole) // self._row_group * self._row_group
            self._add_groups(whole.iloc[:full])
            self._waiting = [whole.iloc[full:]] if full < len(whole) else []

    def close(self) -> None:
        """Write what is waiting, and the end of the file."""
        if self._waiting:
            self._add_groups(pd.concat(self._waiting, ignore_index=True))
        if self._parquet is not None:
            self._parquet.close()

    def _add_text(self, part: pd.DataFrame) -> None:
        text = io.TextIOWrapper(self._stream, encoding="utf-8", newline="", write_through=True)
        separator, first = "," if self._style.kind == "csv" else "\t", self.rows == len(part)
        part.to_csv(text, index=False, header=first, sep=separator, lineterminator="\n")
        text.flush()
        text.detach()

    def _add_groups(self, rows: pd.DataFrame) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._parquet is None:
            self._schema = _schema(pa.Table.from_pandas(rows, preserve_index=False).schema)
            self._parquet = pq.ParquetWriter(self._stream, self._schema)
        table = pa.Table.from_pandas(rows, schema=self._schema, preserve_index=False)
        self._parquet.write_table(table, row_group_size=self._row_group)


def _schema(schema: Any) -> Any:
    """Take columns that were empty so far for text, as nothing else can come later than missing text."""
    import pyarrow as pa

    for i, field in enumerate(schema):
        if pa.types.is_null(field.type):
            schema = schema.set(i, field.with_type(pa.string()))
    return schema


@contextlib.contextmanager
def table_file(path: str | Path, *, row_group: int = ROW_GROUP) -> Iterator[TableFile]:
    r"""Open a table to be written part by part; it appears when the block ends well.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "t.csv"
    >>> with table_file(path) as table:
    ...     table.add(pd.DataFrame({"x": [1]}))
    ...     table.add(pd.DataFrame({"x": [2]}))
    >>> path.read_text()
    'x\n1\n2\n'
    """
    style = table_format(path)
    with atomic_path(path) as temporary, open_write(temporary, style.compression) as stream:
        table = TableFile(stream, style, row_group)
        yield table
        table.close()


def to_bytes(images: Any, codec: ImageCodec) -> np.ndarray:
    """Return images as bytes (n, channels, h, w): the first level is 0, the last 255."""
    z = codec.encode(images)
    if codec.layout.levels == 256:
        return z
    share = z / max(codec.layout.levels - 1, 1) if codec.layout.levels else (z + 1.0) / 2.0
    return np.rint(255.0 * share).astype(np.uint8)


class ImageFolder:
    """A folder of class folders that grows by parts; open one with `image_folder`."""

    def __init__(self, root: Path, codec: ImageCodec):
        self._root, self._codec = root, codec
        self._names: dict[Any, str] = {}
        self.counts: dict[str, int] = {}
        self._listing: Any = None

    def add(self, images: Any, labels: dict[str, Any]) -> None:
        """Write images to the folder of their class, the first of ``labels``, numbered from 1."""
        from PIL import Image

        columns = {name: list(values) for name, values in labels.items()}
        classes = next(iter(columns.values()), ["all"] * len(images))
        if self._listing is None:
            self._listing = (self._root / "manifest.csv").open("w", encoding="utf-8", newline="")
            csv.writer(self._listing).writerow(["file", *columns])
        listing = csv.writer(self._listing)
        for i, pixels in enumerate(to_bytes(images, self._codec)):
            folder = self._folder(classes[i])
            self.counts[folder] += 1
            file = f"{folder}/{self.counts[folder]:06d}.png"
            channels_last = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
            Image.fromarray(np.ascontiguousarray(channels_last)).save(self._root / file)
            listing.writerow([file, *(values[i] for values in columns.values())])

    def _folder(self, label: Any) -> str:
        if label not in self._names:
            name = plain = folder_name(label)
            taken, number = {each.lower() for each in self._names.values()}, 1
            while name.lower() in taken:  # two labels may differ in a letter that no folder can have
                number += 1
                name = f"{plain}_{number}"
            self._names[label] = name
            self.counts[name] = 0
            (self._root / name).mkdir()
        return self._names[label]

    def stop(self) -> None:
        """Close the listing, without a manifest."""
        if self._listing is not None:
            self._listing.close()

    def close(self, facts: dict[str, Any]) -> None:
        """Write the manifest."""
        self.stop()
        codec = self._codec
        pixels = f"{codec.low:g} + byte / 255 * {codec.high - codec.low:g}"
        about = {**facts, "images": self.counts, "shape": list(codec.layout.shape), "pixel": pixels}
        text = json.dumps(about, indent=2, ensure_ascii=False)
        (self._root / MANIFEST).write_text(text + "\n", encoding="utf-8")


@contextlib.contextmanager
def image_folder(
    path: str | Path, codec: ImageCodec, *, facts: dict[str, Any], force: bool = False
) -> Iterator[ImageFolder]:
    """Open a folder of images; it appears, with a manifest, when the block ends well.

    Raises
    ------
    OutputExistsError
        If there is something already; with ``force``, unless an earlier manifest says that
        it was written here.
    """
    target = Path(path)
    check_folder(target, force=force)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.parent / f".{target.name[:32]}.{secrets.token_hex(4)}.part"
    old = staged.with_suffix(".old")
    staged.mkdir()
    folder = ImageFolder(staged, codec)
    try:
        yield folder
        folder.close(facts)
        check_folder(target, force=force)  # somebody may have written there since
        if target.exists():
            os.rename(target, old)
        os.rename(staged, target)
    finally:
        folder.stop()
        if old.exists() and not target.exists():
            os.rename(old, target)
        for leftover in (staged, old):
            shutil.rmtree(leftover, ignore_errors=True)


def check_folder(target: Path, *, force: bool) -> None:
    """Refuse to replace files, folders of something else, and (without force) earlier images."""
    if not target.exists() and not target.is_symlink():
        return
    if target.is_symlink() or not target.is_dir():
        raise OutputExistsError(f"{target}: this is no folder of its own. Choose another --out.")
    if not any(target.iterdir()):
        return
    if not force:
        raise OutputExistsError(
            f"{target}: the folder is not empty. Choose another --out, or replace it with --force."
        )
    if not (target / MANIFEST).is_file():
        said = f"the folder holds other things than an earlier sample (no {MANIFEST})"
        raise OutputExistsError(f"{target}: {said}. Choose another --out.")
