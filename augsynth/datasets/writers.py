"""The formats of an enlarged set on disk; the same items give the same bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from augsynth.core.errors import DataError, offenders, sentence
from augsynth.datasets.array_shards import ArrayShard, write_arrays
from augsynth.datasets.fields import Field, Layout

__all__ = ["FORMATS", "Format", "format_for", "give_back"]

_PNG_LEVEL = 1  # of zlib: others take up to 40 % longer, for a tenth of the size


class Format(ABC):
    """How items are kept in files.

    Attributes
    ----------
    name : str
    suffix : str
    one_file_an_item : bool
        Files of items in folders of classes; else one file a shard.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    one_file_an_item: ClassVar[bool]

    @abstractmethod
    def problem(self, layout: Layout, values: Mapping[str, Any]) -> str:
        """Return why items of this layout cannot be kept exactly ("" if they can)."""

    @abstractmethod
    def write(self, path: Path, values: Any, layout: Layout, where: str) -> None:
        """Write the values of an item, or of a list of items, to a file that is not there yet."""


class FileFormat(Format):
    """One file an item, in a folder of its class."""

    one_file_an_item = True

    @abstractmethod
    def read(self, path: Path, layout: Layout) -> dict[str, Any]:
        """Return the values that the file holds: all but the label."""


class ShardFormat(Format):
    """One file a shard."""

    one_file_an_item = False

    @abstractmethod
    def open(self, path: Path, layout: Layout) -> Any:
        """Return what gives the values of an item by its row in the shard."""


def _only_sample_and_label(layout: Layout) -> str:
    if layout.others:
        return f"items hold {offenders(layout.others)} beside the sample and its label"
    label = layout[layout.label] if layout.label else None
    if label is not None and (label.ndim or label.kind in ("pil", "list", "tuple")) and label.kind != "text":
        return "labels are soft: more than one number each"
    return ""


# -- pictures ----------------------------------------------------------------------------


class PngFolder(FileFormat):
    """Pictures as PNG, which loses nothing, in class folders."""

    name, suffix = "folder", ".png"

    def problem(self, layout: Layout, values: Mapping[str, Any]) -> str:
        """Return why pictures cannot be kept as PNG."""
        if layout.modality != "image":
            return f"the samples are no pictures ({layout.modality})"
        odd = _only_sample_and_label(layout)
        return odd or self._odd(np.asarray(values[layout.x]), layout[layout.x])

    def _odd(self, pixels: np.ndarray, field: Field) -> str:
        if pixels.ndim != field.ndim and field.kind != "pil":
            return f"the pictures have {field.ndim} axes or {pixels.ndim}"
        flat = _channels_last(pixels, field)
        whole = pixels.dtype == np.uint8 and (
            flat.ndim == 2 or (flat.ndim == 3 and flat.shape[2] in (1, 2, 3, 4))
        )
        deep = pixels.dtype in (np.uint16, np.bool_) and (flat.ndim == 2 or flat.shape[2:] == (1,))
        if (whole or deep) and flat.size:
            return ""
        return f"PNG holds bytes, and the pictures are {pixels.dtype} of shape {pixels.shape}"

    def write(self, path: Path, values: Any, layout: Layout, where: str) -> None:
        """Write one picture."""
        from PIL import Image

        field, pixels = layout[layout.x], np.asarray(values[layout.x])
        if odd := self._odd(pixels, field):
            raise DataError(f"{where}: {odd}. Use format='npz'.")
        flat = _channels_last(pixels, field)
        flat = flat[..., 0] if flat.ndim == 3 and flat.shape[2] == 1 else flat
        Image.fromarray(np.ascontiguousarray(flat)).save(path, format="PNG", compress_level=_PNG_LEVEL)

    def read(self, path: Path, layout: Layout) -> dict[str, Any]:
        """Read one picture."""
        from PIL import Image

        try:
            with Image.open(path) as image:
                image.load()
                pixels = np.asarray(image)
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(
                f"{path}: this picture cannot be read ({' '.join(str(error).split())})."
            ) from error
        field = layout[layout.x]
        if field.kind != "pil" and field.ndim == 3:
            pixels = pixels[..., None] if pixels.ndim == 2 else pixels
            pixels = pixels.transpose(2, 0, 1) if field.kind == "tensor" else pixels
        return {layout.x: pixels}


def _channels_last(pixels: np.ndarray, field: Field) -> np.ndarray:
    first = field.kind == "tensor" and pixels.ndim == 3  # arrays and PIL have them last already
    return pixels.transpose(1, 2, 0) if first else pixels


# -- clips -------------------------------------------------------------------------------


class WavFolder(FileFormat):
    """Clips as wav files in class folders: 16 bits where they hold the clip exactly, else floats."""

    name, suffix = "wav", ".wav"

    def problem(self, layout: Layout, values: Mapping[str, Any]) -> str:
        """Return why clips cannot be kept as wav files."""
        if layout.modality != "audio":
            return f"the samples are no clips ({layout.modality})"
        if not layout.rate:
            return "the items do not say their sample rate, as (clip, rate, label) does"
        return _only_sample_and_label(layout) or self._odd(np.asarray(values[layout.x]), layout)

    def _odd(self, clip: np.ndarray, layout: Layout) -> str:
        if clip.ndim != layout[layout.x].ndim:
            return f"the clips have {layout[layout.x].ndim} axes or {clip.ndim}"
        if clip.dtype == np.float64 and (clip.astype(np.float32) != clip).any():
            return "a wav file holds 32 bits a sample, and the clips need 64"
        good = clip.dtype in (np.int16, np.float32, np.float64)
        return "" if good else f"a wav file holds floats or int16, and the clips are {clip.dtype}"

    def write(self, path: Path, values: Any, layout: Layout, where: str) -> None:
        """Write one clip."""
        from augsynth.encode.audio import write_clip

        clip = np.asarray(values[layout.x])
        if odd := self._odd(clip, layout):
            raise DataError(f"{where}: {odd}. Use format='npz'.")
        write_clip(path, clip, int(values[layout.rate]), encoding=_encoding(clip))

    def read(self, path: Path, layout: Layout) -> dict[str, Any]:
        """Read one clip."""
        from augsynth.encode.audio import read_clip

        clip, rate = read_clip(path)
        field = layout[layout.x]
        dtype = np.dtype(field.dtype)
        clip = (clip * 32768.0).astype(np.int16) if dtype == np.int16 else clip.astype(dtype)
        return {layout.x: clip[None] if field.ndim == 2 and clip.ndim == 1 else clip, layout.rate: rate}


def _encoding(clip: np.ndarray) -> str:
    if clip.dtype == np.int16:
        return "pcm16"
    whole = clip * 32768.0
    exact = (whole == np.rint(whole)).all() and whole.min() >= -32768 and whole.max() <= 32767
    return "pcm16" if exact else "float32"


# -- arrays ------------------------------------------------------------------------------


class NpzShards(ShardFormat):
    """Items of any form as arrays, stacked; ragged ones end to end, with their shapes."""

    name, suffix = "npz", ".npz"

    def problem(self, layout: Layout, values: Mapping[str, Any]) -> str:
        """Return nothing: arrays hold everything."""
        return ""

    def write(self, path: Path, values: Any, layout: Layout, where: str) -> None:
        """Write the values of some items."""
        write_arrays(path, values, layout, where)

    def open(self, path: Path, layout: Layout) -> Any:
        """Map the arrays of a shard."""
        return ArrayShard(path, layout)


# -- tables ------------------------------------------------------------------------------


class ParquetShards(ShardFormat):
    """Texts and rows of numbers as tables, a column a value."""

    name, suffix = "parquet", ".parquet"

    def problem(self, layout: Layout, values: Mapping[str, Any]) -> str:
        """Return why items cannot be rows of a table."""
        if layout.modality not in ("text", "table"):
            return f"the samples are neither texts nor rows of numbers ({layout.modality})"
        wide = [f.name for f in layout.fields if f.ndim > (f.name == layout.x) and f.kind != "text"]
        return f"{offenders(wide)} holds more than one number an item" if wide else ""

    def write(self, path: Path, values: Any, layout: Layout, where: str) -> None:
        """Write the values of some items."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns: dict[str, Any] = {}
        for field in layout.fields:
            column = [row[field.name] for row in values]
            if field.ndim == 1 and field.kind != "text":
                if len({len(row) for row in column}) > 1:
                    raise DataError(f"{where}: rows are of several lengths. Use format='npz'.")
                stack = np.stack(column)
                columns |= {f"{field.name}{j}": pa.array(stack[:, j]) for j in range(stack.shape[1])}
                continue
            try:
                whole = column if field.kind in ("text", "bool", "int", "float") else np.stack(column)
                columns[field.name] = pa.array(whole, pa.string() if field.kind == "text" else None)
            except (UnicodeError, pa.ArrowException, OverflowError) as error:
                reason = " ".join(str(error).split())[:120]
                raise DataError(f"{where}: {field.name!r} cannot be a column ({reason}).") from error
        pq.write_table(pa.table(columns), path, compression="zstd")

    def open(self, path: Path, layout: Layout) -> Any:
        """Read the table of a shard."""
        return _ParquetShard(path, layout)


class _ParquetShard:
    def __init__(self, path: Path, layout: Layout):
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._layout = layout
        try:
            self._table = pq.read_table(path, partitioning=None)
        except (OSError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"{path}: this shard cannot be read ({reason}).") from error
        self._columns: dict[str, Any] = {}
        for field in layout.fields:
            if field.ndim == 1 and field.kind != "text":
                names = [name for name in self._table.column_names if name[len(field.name) :].isdigit()]
                names = [name for name in names if name.startswith(field.name)]
                self._columns[field.name] = np.stack([self._table[name].to_numpy() for name in names], axis=1)
            elif field.kind in ("text", "bool", "int", "float"):
                self._columns[field.name] = self._table[field.name].to_pylist()
            else:
                self._columns[field.name] = self._table[field.name].to_numpy()

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {name: column[row] for name, column in self._columns.items()}


FORMATS: dict[str, Format] = {f.name: f for f in (PngFolder(), NpzShards(), WavFolder(), ParquetShards())}
_FIRST_CHOICE = {"image": "folder", "audio": "wav", "text": "parquet", "table": "parquet"}


def format_for(layout: Layout, values: Mapping[str, Any], wanted: str, where: str) -> Format:
    """Return the format that was asked for, or the natural one of these items.

    Raises
    ------
    DataError
        If the format cannot keep such items exactly.
    """
    chosen = FORMATS[_FIRST_CHOICE[layout.modality] if wanted == "auto" else wanted]
    problem = chosen.problem(layout, values)
    if problem and wanted == "auto":
        return FORMATS["npz"]
    if problem:
        must = f"format={wanted!r} must be able to keep every item exactly"
        raise DataError(sentence(where, must, f"items that it cannot: {problem}", "Use format='npz'."))
    return chosen


def give_back(values: Mapping[str, Any], layout: Layout) -> Any:
    """Return an item in the form and containers that it had."""
    return layout.rebuild({field.name: _contained(values[field.name], field) for field in layout.fields})


_PYTHON: dict[str, Any] = {"bool": bool, "int": int, "float": float, "text": str}


def _contained(value: Any, field: Field) -> Any:
    if field.kind in _PYTHON:
        return _PYTHON[field.kind](value)
    if field.kind == "pil":
        from PIL import Image

        return Image.fromarray(np.ascontiguousarray(value))
    array = np.asarray(value, dtype=field.dtype)
    if field.kind == "tensor":
        return torch.from_numpy(np.array(array))
    if field.kind == "list":
        return array.tolist()
    if field.kind == "tuple":
        return field.as_tuple(array.tolist())
    return array[()] if field.kind == "scalar" else array
