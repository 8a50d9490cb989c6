"""The manifest of an enlarged set on disk: what it is, what its files must be, where each item came from."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from augsynth.core.errors import DataError, offenders, sentence
from augsynth.core.files import atomic_path
from augsynth.datasets.fields import Layout

__all__ = ["ITEMS", "MADE_BY", "MANIFEST", "FileNote", "Manifest", "ShardNote", "note_of", "write_json"]

MANIFEST, ITEMS = "manifest.json", "manifest.csv"
MADE_BY = "augsynth materialize"
_COLUMNS = (
    "item",
    "file",
    "row",
    "label",
    "group",
    "record",
    "copy",
    "kind",
    "parameters",
    "bytes",
    "sha256",
)


@dataclass(frozen=True)
class FileNote:
    """A file as it must be: its name under the folder, its size, its SHA-256."""

    name: str
    size: int
    sha256: str

    def is_whole(self, folder: Path) -> bool:
        """Tell whether the file is there, byte for byte."""
        path = folder / self.name
        try:
            return path.stat().st_size == self.size and note_of(folder, self.name).sha256 == self.sha256
        except OSError:
            return False


def note_of(folder: Path, name: str) -> FileNote:
    """Return the note of a file that is there."""
    path = folder / name
    with path.open("rb") as stream:
        return FileNote(name, path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest())


@dataclass(frozen=True)
class ShardNote:
    """A run of items that was written: its files, and what is told of each item.

    Attributes
    ----------
    number, first, items : int
    files : tuple of FileNote
        One, or one an item.
    rows : list of dict
        ``label``, ``group``, ``record``, ``copy``, ``kind`` and ``parameters`` of each item.
    """

    number: int
    first: int
    items: int
    files: tuple[FileNote, ...]
    rows: Sequence[Mapping[str, Any]]

    @property
    def sha256(self) -> str:
        """The SHA-256 of its file; of the lines that ``sha256sum`` would print, where it has several."""
        if len(self.files) == 1:
            return self.files[0].sha256
        lines = "".join(f"{file.sha256}  {file.name}\n" for file in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()

    def is_whole(self, folder: Path) -> bool:
        """Tell whether all its files are there, byte for byte."""
        return all(file.is_whole(folder) for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        files = [[file.name, file.size, file.sha256] for file in self.files]
        return {**vars(self), "files": files, "rows": list(self.rows)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> ShardNote:
        """Return the note that `to_dict` told."""
        return cls(**{**told, "files": tuple(FileNote(*file) for file in told["files"])})

    def in_short(self) -> dict[str, Any]:
        """Return what the manifest says of the shard."""
        name = {"file": self.files[0].name} if len(self.files) == 1 else {"files": len(self.files)}
        size = sum(file.size for file in self.files)
        return {"first": self.first, "items": self.items, **name, "bytes": size, "sha256": self.sha256}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all: a line a key, and a line an entry of its lists of mappings."""
    lines = [f" {json.dumps(key)}: {_in_lines(value)}" for key, value in content.items()]
    text = "{\n" + ",\n".join(lines) + "\n}"
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8", newline="\n")


def _in_lines(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return "[\n  " + ",\n  ".join(map(_in_lines, value)) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write_items(
    path: Path, shards: Iterable[ShardNote], *, one_file_an_item: bool, groups: bool
) -> dict[str, int]:
    """Write one line an item, whole or not at all; return how many items there are of each label."""
    counts: dict[str, int] = {}
    dropped = {"row"} if one_file_an_item else {"bytes", "sha256"}
    dropped |= set() if groups else {"group"}
    columns = [name for name in _COLUMNS if name not in dropped]
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream, lineterminator="\r\n")
        lines.writerow(columns)
        for shard in shards:
            for k, told in enumerate(shard.rows):
                file = shard.files[k if one_file_an_item else 0]
                row = {"item": shard.first + k, "file": file.name, "row": k, **told}
                row |= {"bytes": file.size, "sha256": file.sha256}
                lines.writerow([row[name] for name in columns])
                counts[told["label"]] = counts.get(told["label"], 0) + 1
    return dict(sorted(counts.items()))


@dataclass(frozen=True)
class Manifest:
    """What an enlarged set on disk is, read off its ``manifest.json``.

    Attributes
    ----------
    folder : Path
    facts : dict
        Everything in ``manifest.json``: the dataset that was written (policies, seeds),
        epoch, versions of the libraries, form of the items, labels, shards with SHA-256.

    Examples
    --------
    >>> import tempfile, torch
    >>> from torch.utils.data import TensorDataset
    >>> from augsynth.datasets import PerturbedDataset
    >>> from augsynth.perturb import ScaledJitter
    >>> base = TensorDataset(torch.ones(10, 2), torch.arange(10) % 2)
    >>> train = PerturbedDataset(base, ScaledJitter(0.1), keep_originals=True)
    >>> manifest = train.materialize(tempfile.mkdtemp())
    >>> len(manifest), manifest.format, manifest.counts
    (20, 'parquet', {'0': 10, '1': 10})
    >>> manifest.items()["kind"].value_counts().to_dict()
    {'real': 10, 'perturbed': 10}
    """

    folder: Path
    facts: Mapping[str, Any]

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Manifest:
        """Read the manifest of a folder.

        Raises
        ------
        DataError
            If there is none, or the run that writes the folder has not ended.
        """
        place = Path(folder)
        try:
            facts = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            must, todo = f"the folder must hold a {MANIFEST}", "Let the run that writes it come to its end."
            raise DataError(sentence(str(folder), must, "none", todo)) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{place / MANIFEST}: this file cannot be read ({error}).") from error
        if not isinstance(facts, dict) or facts.get("made_by") != MADE_BY:
            must = "the folder must hold an enlarged set of augsynth"
            raise DataError(sentence(str(folder), must, f"a {MANIFEST} of something else"))
        return cls(place, facts)

    def __len__(self) -> int:
        return int(self.facts["items"])

    @property
    def format(self) -> str:
        """The format of the files: "folder", "wav", "npz" or "parquet"."""
        return str(self.facts["format"])

    @property
    def counts(self) -> dict[str, int]:
        """How many items there are of each label, by its text."""
        return dict(self.facts["counts"])

    @property
    def sha256(self) -> str:
        """A number of the whole set: the SHA-256 of what the manifest says of files and items."""
        said = [self.facts["listing"], self.facts["shards"]]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    @property
    def layout(self) -> Layout:
        """The form of the items."""
        return Layout.from_dict(self.facts["layout"])

    def items(self) -> pd.DataFrame:
        """Read one row an item: file, label, record, copy, kind, and drawn parameters as JSON."""
        texts = {"label": str, "group": str, "parameters": str, "sha256": str, "file": str}
        return pd.read_csv(self.folder / ITEMS, dtype=texts, keep_default_na=False)

    def notes(self) -> Iterator[ShardNote]:
        """Tell what the files of each shard must be."""
        rows = self._rows() if self._one_file_an_item else None
        for number, told in enumerate(self.facts["shards"]):
            if rows is None:
                files = [FileNote(told["file"], told["bytes"], told["sha256"])]
            else:
                mine = [next(rows) for _ in range(told["items"])]
                files = [FileNote(row["file"], int(row["bytes"]), row["sha256"]) for row in mine]
            yield ShardNote(number, told["first"], told["items"], tuple(files), ())

    @property
    def _one_file_an_item(self) -> bool:
        return self.format in ("folder", "wav")

    def _rows(self) -> Iterator[dict[str, str]]:
        with (self.folder / ITEMS).open(encoding="utf-8", newline="") as stream:
            yield from csv.DictReader(stream)

    @property
    def listing(self) -> FileNote:
        """What the file of items must be."""
        told = self.facts["listing"]
        return FileNote(told["file"], told["bytes"], told["sha256"])

    def verify(self) -> None:
        """Read every file and compare its SHA-256.

        Raises
        ------
        DataError
            With the files that are not as they were written.
        """
        damaged = [] if self.listing.is_whole(self.folder) else [ITEMS]
        if not damaged:
            files = (file for note in self.notes() for file in note.files)
            damaged = [file.name for file in files if not file.is_whole(self.folder)]
        if damaged:
            todo = "Run the same command again: it writes what is missing."
            must = "every file must be as it was written"
            given = f"{offenders(damaged)} changed or missing"
            raise DataError(sentence(str(self.folder), must, given, todo))
