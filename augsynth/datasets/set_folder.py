"""The folder of an enlarged set, and what a run that has not ended keeps in it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from augsynth.core.errors import AugsynthError, DataError, OutputExistsError, offenders, sentence
from augsynth.datasets.manifest import (
    ITEMS,
    MADE_BY,
    MANIFEST,
    Manifest,
    ShardNote,
    note_of,
    write_items,
    write_json,
)
from augsynth.datasets.shards import DATA, Job

__all__ = ["SetFolder"]

_STATE = ".unfinished"  # what a run that has not ended keeps in its folder
_OURS = re.compile(r"\d{7,}\.(png|wav)")
_OUR_SHARDS = re.compile(r"\d{5,}\.(npz|parquet)")
_CALLED = {
    "format": "format",
    "items": "length",
    "epoch": "epoch",
    "seeds": "seed",
    "shard_size": "shard_size",
    "layout": "form of the items",
    "folders": "labels",
    "versions": "versions of the libraries",
    "dataset": "dataset or policy",
    "probe": "content of the items",
}


class SetFolder:
    """The folder of a set: who may write there, which shards are whole, how a run ends.

    While a run goes on, ``.unfinished`` holds its plan, a note of every whole shard, and the
    files that are being written. At the end only the set and its manifest are left.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.state = folder / _STATE
        self.parts = self.state / "parts"
        self._plan = self.state / "plan.json"
        self._made = False

    def check(self, *, force: bool) -> None:
        """Refuse, before any work, a folder that cannot be ours."""
        for parent in (self.folder, *self.folder.parents):
            if parent.exists() or parent.is_symlink():
                if not parent.is_dir():
                    raise OutputExistsError(f"{self.folder}: {parent} is a file. Choose another folder.")
                break
        if self.folder.is_dir() and not force and self._is_foreign():
            held = offenders(sorted(path.name for path in self.folder.iterdir()))
            must = "the folder must be empty, or hold this set"
            todo = "Choose another folder, or write among them with force (--force)."
            raise OutputExistsError(sentence(str(self.folder), must, held, todo))

    def _is_foreign(self) -> bool:
        ours = self.state.exists() or self._earlier() is not None
        return not ours and any(self.folder.iterdir())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let one run at a time write here; the lock of a killed run is gone with it."""
        self._made = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            import fcntl
        except ImportError:  # not on Windows
            yield
            return
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # a file system without locks
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    said = "another run is writing to this folder. Let it end, or choose another one"
                    raise AugsynthError(f"{self.folder}: {said}.") from None
            yield
        finally:
            os.close(handle)

    def begin(self, plan: Mapping[str, Any], *, resume: bool, force: bool) -> Manifest | None:
        """Make way for a run; return the manifest if the same set is there already."""
        earlier = self._earlier()
        if earlier is not None:
            same = {k: v for k, v in earlier.items() if k in plan} == plan
            if not same and not force and self._has_begun():
                raise OutputExistsError(_another(self.folder, earlier, plan))
            if same and not resume and not force:
                todo = "Go on with it (resume), or replace it with force (--force)."
                raise OutputExistsError(f"{self.folder}: this set is there already, or begun. {todo}")
            if not same or not resume:
                self._clear(earlier)
        shutil.rmtree(self.parts, ignore_errors=True)  # what a killed run was writing
        self.parts.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob(".manifest.*.part"):
            leftover.unlink(missing_ok=True)
        with contextlib.suppress(DataError):  # none, or a damaged one
            finished = Manifest.read(self.folder)
            if finished.listing.is_whole(self.folder):
                return finished
        if not self._plan.exists():
            write_json(self._plan, plan)
        return None

    def missing(self, job: Job, finished: Manifest | None) -> list[int]:
        """Return the shards that are not there byte for byte."""
        notes = finished.notes() if finished else (self.noted(number) for number in range(job.n_shards))
        return [k for k, note in enumerate(notes) if note is None or not note.is_whole(self.folder)]

    @contextlib.contextmanager
    def cleared(self) -> Iterator[None]:
        """Leave no half files behind, if the block ends by an error, a full disk or an interrupt."""
        try:
            yield
        finally:
            shutil.rmtree(self.parts, ignore_errors=True)
            if not self._has_begun():
                shutil.rmtree(self.state, ignore_errors=True)
                with contextlib.suppress(OSError):  # not empty
                    if self._made:
                        self.folder.rmdir()

    def _has_begun(self) -> bool:
        return (self.folder / MANIFEST).exists() or any((self.state / "shards").glob("*.json"))

    def _earlier(self) -> dict[str, Any] | None:
        """Return the plan of the run that wrote here before, if any."""
        for path in (self._plan, self.folder / MANIFEST):
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if isinstance(found, dict) and found.get("made_by") == MADE_BY:
                return found
        return None

    def _clear(self, earlier: Mapping[str, Any]) -> None:
        """Remove an earlier set: files that are named as such, where it put them, and nothing else."""
        for name in (MANIFEST, ITEMS):  # first: from now on the set is not whole
            (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.state, ignore_errors=True)
        for name, ours in [(DATA, _OUR_SHARDS), *((each, _OURS) for each in earlier["folders"].values())]:
            inner = self.folder / Path(str(name)).name
            if not inner.is_dir() or inner.is_symlink():
                continue
            for path in inner.iterdir():
                if ours.fullmatch(path.name):
                    path.unlink()
            with contextlib.suppress(OSError):  # not empty
                inner.rmdir()

    def _note_path(self, number: int) -> Path:
        return self.state / "shards" / f"{number:05d}.json"

    def noted(self, number: int) -> ShardNote | None:
        """Return the note of a shard that an earlier run wrote, or None."""
        try:
            return ShardNote.from_dict(json.loads(self._note_path(number).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def note(self, shard: ShardNote, finished: Manifest | None) -> None:
        """Note that a shard is whole; against the manifest, where there is one already."""
        if finished is None:
            write_json(self._note_path(shard.number), shard.to_dict())
        elif finished.facts["shards"][shard.number] != shard.in_short():
            first, last = shard.first, shard.first + shard.items - 1
            given = f"others for items {first} to {last}"
            todo = "Write it anew with force (--force)."
            raise DataError(sentence(str(self.folder), "items must be those of the manifest", given, todo))

    def end(self, job: Job, plan: Mapping[str, Any], finished: Manifest | None) -> Manifest:
        """Write the manifest, and clear away what only an unended run needs."""
        if finished is None:
            short: list[dict[str, Any]] = []
            counts = write_items(
                self.folder / ITEMS,
                self._all(job, short),
                one_file_an_item=job.writer.one_file_an_item,
                groups=job.groups is not None,
            )
            listing = note_of(self.folder, ITEMS)
            told = {"file": listing.name, "bytes": listing.size, "sha256": listing.sha256}
            facts = {**plan, "counts": counts, "listing": told, "shards": short}
            write_json(self.folder / MANIFEST, facts)
        shutil.rmtree(self.state, ignore_errors=True)
        return Manifest.read(self.folder)

    def _all(self, job: Job, short: list[dict[str, Any]]) -> Iterator[ShardNote]:
        for number in range(job.n_shards):
            note = self.noted(number)
            if note is None:
                raise DataError(f"{self.folder}: the note of shard {number} is gone. Run it again.")
            short.append(note.in_short())
            yield note


def _another(folder: Path, earlier: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    for key, called in _CALLED.items():
        before, now = earlier.get(key), plan[key]
        if before != now:
            short = len(f"{before}{now}") < 160
            given = f"{_spelt(now)}, and {_spelt(before)} there" if short else "another one"
            must = f"the folder belongs to another set, whose {called} must be the same to go on"
            todo = "Choose another folder, or replace it with force (--force)."
            return sentence(str(folder), must, given, todo)
    return f"{folder}: the folder belongs to another set. Choose another one, or replace it (--force)."


def _spelt(value: Any) -> str:
    return ", ".join(map(repr, value)) if isinstance(value, list) else repr(value)
