"""An enlarged set written to disk: the items of the stream, byte for byte, and a manifest of them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from augsynth.core.errors import (
    AugsynthError,
    AugsynthWarning,
    DataError,
    OutputExistsError,
    offenders,
    sentence,
)
from augsynth.core.parameters import check_number, check_option
from augsynth.core.progress import track
from augsynth.datasets.base import WrappedDataset, fetch
from augsynth.datasets.fields import Layout, digest, layout_of, values_of
from augsynth.datasets.identity import identity_of, seed_of, versions_of
from augsynth.datasets.labels import check_map_style, classes_of, find_labels
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
from augsynth.datasets.shards import DATA, WHERE, Job, class_folders, write_shards
from augsynth.datasets.writers import FORMATS, format_for

__all__ = ["materialize"]

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


def materialize(
    dataset: Any,
    out: str | os.PathLike[str],
    *,
    format: str = "auto",
    jobs: int = 1,
    resume: bool = True,
    epoch: int = 0,
    shard_size: int = 1024,
    force: bool = False,
    progress: bool | None = None,
) -> Manifest:
    """Write every item of a Dataset to disk, exactly as the stream gives it in an epoch.

    Read it back with `MaterializedDataset`, or with anything that reads PNG, wav, npz or
    Parquet. A run that was killed goes on when the same call is made again; its files and
    its manifest are then, byte for byte, those of a run that nobody disturbed, whatever
    ``jobs``. ``manifest.json`` says what was written, with the SHA-256 of every shard;
    ``manifest.csv`` where each item comes from: file, label, record, copy, drawn parameters.

    Parameters
    ----------
    dataset : map-style Dataset
        Such as a `PerturbedDataset`; its items must not depend on anything but their index
        and the epoch, as a random transform of the base would make them.
    out : path
        A folder, made if it is absent.
    format : {"auto", "folder", "wav", "npz", "parquet"}, default="auto"
        Pictures as PNG, or clips with their rate as wav, in folders of classes; arrays of any
        items; a table of texts or rows. "auto" takes the natural one of the first item, and
        npz for what that cannot keep exactly (pictures of floats, masks, soft labels).
    jobs : int, default=1
        Processes; each is started afresh, so a script calls this under
        ``if __name__ == "__main__":``.
    resume : bool, default=True
        Go on where an earlier run of the same set stopped.
    epoch : int, default=0
        Which epoch of the stream.
    shard_size : int, default=1024
        Items that are written, noted and found again together; and in one file, for npz
        and parquet.
    force : bool, default=False
        Replace another set in ``out``, and write among foreign files there. Of those only
        files of the same name are replaced; nothing else is ever removed.
    progress : bool, optional
        None shows a bar on a terminal.

    Returns
    -------
    Manifest

    Raises
    ------
    OutputExistsError
        If ``out`` holds something else, or another run is writing there.
    DataError
        For an item that cannot be read or kept, with its number. What is whole stays.

    Notes
    -----
    Files have temporary names until they are whole. Cost beside making the items: some
    0.2 ms an item for PNG of 32 pixels and 20 ms for 224, and 50 microseconds for describing it.

    Examples
    --------
    >>> import tempfile, numpy as np, torch
    >>> from torch.utils.data import TensorDataset
    >>> from augsynth.datasets import PerturbedDataset
    >>> from augsynth.perturb import ScaledJitter
    >>> base = TensorDataset(torch.rand(6, 3), torch.arange(6) % 2)
    >>> train = PerturbedDataset(base, ScaledJitter(0.1), copies=2)
    >>> manifest = materialize(train, tempfile.mkdtemp(), format="npz")
    >>> arrays = np.load(manifest.folder / "data" / "00000.npz")
    >>> bool((arrays["x"][7] == train.at(7, epoch=0)[0].numpy()).all()), arrays["labels"].tolist()
    (True, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    """
    check_option(WHERE, "format", format, ["auto", *FORMATS])
    check_number(WHERE, "jobs", jobs, low=1, integer=True)
    check_number(WHERE, "epoch", epoch, low=0, high=2**31 - 1, integer=True)
    check_number(WHERE, "shard_size", shard_size, low=1, integer=True)
    check_map_style(dataset, WHERE)
    place = _Place(Path(out))
    place.check(force=force)
    layout, first = _form(dataset, epoch)
    kept = format_for(layout, first, format, WHERE)
    labels = find_labels(dataset, where=WHERE) if layout.label and kept.one_file_an_item else None
    folders = class_folders(labels, classes_of(dataset)) if kept.one_file_an_item else {}
    job = Job(
        *(dataset, place.folder, place.parts, kept.name, layout, epoch, shard_size, folders),
        _groups_of(dataset),
    )
    plan = _plan(job)
    with place.locked():
        finished = place.begin(plan, resume=resume, force=force)
        missing = place.missing(job, finished)
        with (
            place.cleared(),
            track(len(dataset), f"writing {place.folder.name}", enabled=progress) as advance,
        ):
            advance(len(dataset) - sum(len(job.items_of(number)) for number in missing))
            with contextlib.closing(write_shards(job, missing, jobs, advance)) as notes:
                for note in notes:
                    place.note(note, finished)
        return place.end(job, plan, finished)


def _form(dataset: Any, epoch: int) -> tuple[Layout, Mapping[str, Any]]:
    item = fetch(dataset, 0, epoch, where=WHERE)
    layout = layout_of(item, where=WHERE)
    return layout, values_of(item, layout, 0, WHERE)


def _groups_of(dataset: Any) -> Any:
    return dataset.groups if isinstance(dataset, WrappedDataset) else None


def _plan(job: Job) -> dict[str, Any]:
    """Describe what a run writes; two runs with one plan write the same bytes."""
    identity = identity_of(job.dataset)
    plan = {
        "made_by": MADE_BY,
        "format": job.format,
        "items": len(job.dataset),
        "epoch": job.epoch,
        "seeds": seed_of(identity),
        "shard_size": job.shard_size,
        "dataset": identity,
        "layout": job.layout.to_dict(),
        "classes": classes_of(job.dataset),
        "folders": dict(job.folders),
        "versions": versions_of(identity, job.format),
        "probe": _probe(job),
    }
    loaded: dict[str, Any] = json.loads(json.dumps(plan))  # as it is read back: no tuples
    return loaded


def _probe(job: Job) -> str:
    """Return the SHA-256 of a few items: of other data, or of items that change, it is another one."""
    n = len(job.dataset)
    found = []
    for i in sorted({0, n // 3, n // 2, n - 1}):
        twice = [
            digest(values_of(fetch(job.dataset, i, job.epoch, where=WHERE), job.layout, i, WHERE))
            for _ in range(2)
        ]
        if twice[0] != twice[1]:
            text = f"item {i} of one epoch is another each time it is read, so a stopped run cannot go on"
            todo = "Use edits of ours in place of a random transform of the base."
            warnings.warn(f"{WHERE}: {text}. {todo}", AugsynthWarning, stacklevel=4)
        found.append(twice[0])
    return found[0] if len(found) == 1 else digest({str(k): each for k, each in enumerate(found)})


class _Place:
    """The folder of a set, and what a run that has not ended keeps in it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.state = folder / _STATE
        self.parts = self.state / "parts"
        self._plan = self.state / "plan.json"

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
        ours = self._plan.exists() or (self.folder / MANIFEST).exists() or self.state.exists()
        return not ours and any(self.folder.iterdir())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let one run at a time write here; the lock of a killed run is gone with it."""
        try:
            import fcntl
        except ImportError:  # not on Windows
            yield
            return
        self.folder.mkdir(parents=True, exist_ok=True)
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
        if (self.folder / MANIFEST).exists():
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
            given = f"{now!r}, and {before!r} there" if short else "another one"
            must = f"the folder belongs to another set, whose {called} must be the same to go on"
            todo = "Choose another folder, or replace it with force (--force)."
            return sentence(str(folder), must, given, todo)
    return f"{folder}: the folder belongs to another set. Choose another one, or replace it (--force)."
