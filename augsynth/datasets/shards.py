"""Shards of an enlarged set, written here or in several processes: the same bytes either way."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import ConcatDataset, Subset

from augsynth.core import errors
from augsynth.core.errors import AugsynthError, DataError, ParameterError, sentence
from augsynth.core.files import folder_name
from augsynth.core.progress import quiet
from augsynth.datasets.base import WrappedDataset, fetch, slot_of
from augsynth.datasets.fields import Layout, label_value, values_of
from augsynth.datasets.files import naming_file
from augsynth.datasets.manifest import ITEMS, MANIFEST, FileNote, ShardNote, note_of
from augsynth.datasets.writers import FORMATS, Format

__all__ = ["WHERE", "Job", "class_folders", "label_text", "read_items", "write_shards"]

WHERE = "materialize"
_TOGETHER = 64  # items that are edited at once
_DIGITS = 7
DATA = "data"  # the folder of shards that hold many items


@dataclass(frozen=True)
class Job:
    """What is written, where and how; the same in every process.

    Attributes
    ----------
    dataset : map-style Dataset
    folder, parts : Path
        Of the whole files, and of those that are being written.
    format : str
    layout : Layout
    epoch, shard_size : int
    folders : dict
        The folder of each label, by the label's text.
    groups : ndarray or None
        The group of each item.
    """

    dataset: Any
    folder: Path
    parts: Path
    format: str
    layout: Layout
    epoch: int
    shard_size: int
    folders: Mapping[str, str]
    groups: np.ndarray | None

    @property
    def writer(self) -> Format:
        """The format of the files."""
        return FORMATS[self.format]

    def items_of(self, number: int) -> range:
        """Return the items of a shard."""
        first = number * self.shard_size
        return range(first, min(first + self.shard_size, len(self.dataset)))

    @property
    def n_shards(self) -> int:
        """How many shards there are."""
        return -(-len(self.dataset) // self.shard_size)

    def write(self, number: int, advance: Callable[[int], None]) -> ShardNote:
        """Write a shard under temporary names, then give its files their own."""
        items = self.items_of(number)
        notes: list[FileNote] = []
        rows: list[dict[str, Any]] = []
        kept: list[dict[str, Any]] = []
        for start in range(items.start, items.stop, _TOGETHER):
            block = range(start, min(start + _TOGETHER, items.stop))
            values = self._values(block)
            rows += [self._told(i, row) for i, row in zip(block, values, strict=True)]
            if self.writer.one_file_an_item:
                notes += [self._one(i, row) for i, row in zip(block, values, strict=True)]
            else:
                kept += values
            advance(len(block))
        if kept:
            where = f"{WHERE}: items {items.start} to {items.stop - 1}"
            notes = [self._file(f"{DATA}/{number:05d}{self.writer.suffix}", kept, where)]
        self._publish(notes)
        return ShardNote(number, items.start, len(items), tuple(notes), rows)

    def _values(self, items: range) -> list[dict[str, Any]]:
        found = read_items(self.dataset, items, self.epoch)
        values = []
        for i, item in zip(items, found, strict=True):
            with naming_file(self.dataset, i, self.epoch):
                values.append(values_of(item, self.layout, i, WHERE))
        return values

    def _one(self, i: int, values: Mapping[str, Any]) -> FileNote:
        text = label_text(values.get(self.layout.label))
        if text not in self.folders:
            must = "an item must have one of the labels that its dataset tells"
            todo = "Pass the dataset the labels of its items."
            raise DataError(sentence(WHERE, must, f"{text!r} at item {i}", todo))
        name = f"{self.folders[text]}/{i:0{_DIGITS}d}{self.writer.suffix}"
        return self._file(name, values, f"{WHERE}: item {i}")

    def _file(self, name: str, values: Any, where: str) -> FileNote:
        part = self.parts / name.replace("/", "-")
        self.writer.write(part, values, self.layout, where)
        note = note_of(self.parts, part.name)
        return FileNote(name, note.size, note.sha256)

    def _publish(self, notes: Sequence[FileNote]) -> None:
        """Give the files of a shard their names, now that all of them are whole."""
        for note in notes:
            part, target = self.parts / note.name.replace("/", "-"), self.folder / note.name
            if not self.writer.one_file_an_item:
                with part.open("rb+") as stream:
                    os.fsync(stream.fileno())
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(part, target)

    def _told(self, i: int, values: Mapping[str, Any]) -> dict[str, Any]:
        head = {"label": label_text(values.get(self.layout.label))}
        if self.groups is not None:
            head["group"] = label_text(self.groups[i])
        return head | _origin(self.dataset, i, self.epoch)


def label_text(label: Any) -> str:
    """Return a label as a text: itself, or as JSON; nothing for none."""
    plain = label_value(label)
    return "" if plain is None else plain if isinstance(plain, str) else json.dumps(plain)


def class_folders(labels: Any, classes: Sequence[str] | None) -> dict[str, str]:
    """Return the folder of each label, by its text: of its class's name where there is one.

    Examples
    --------
    >>> class_folders([2, 0, 2], ["cat", "dog", "a/b"]), class_folders(None, None)
    ({'0': 'cat', '2': 'a_b'}, {'': 'all'})
    """
    if labels is None:
        return {"": "all"}
    folders: dict[str, str] = {}
    taken = {MANIFEST, ITEMS}
    for label in sorted(set(np.asarray(labels).tolist()), key=lambda v: (isinstance(v, str), v)):
        named = isinstance(label, int) and classes is not None and 0 <= label < len(classes)
        name = plain = folder_name(classes[label] if named and classes is not None else label)
        number = 1
        while name.lower() in taken:  # labels may differ in a letter that no folder can have
            number += 1
            name = f"{plain}_{number}"
        taken.add(name.lower())
        folders[label_text(label)] = name
    return folders


def read_items(dataset: Any, items: Sequence[int], epoch: int) -> list[Any]:
    """Return items as the stream gives them in an epoch."""
    if isinstance(dataset, WrappedDataset):
        return dataset.at_many(items, epoch)
    return [fetch(dataset, i, epoch, where=WHERE) for i in items]


def _origin(dataset: Any, i: int, epoch: int) -> dict[str, Any]:
    """Tell which record an item is of, which copy, what kind, and everything that was drawn, as JSON."""
    before = 0
    while not isinstance(dataset, WrappedDataset):
        if type(dataset) is Subset:
            dataset, i = dataset.dataset, int(dataset.indices[i])
        elif type(dataset) is ConcatDataset:
            part = int(np.searchsorted(dataset.cumulative_sizes, i, side="right"))
            before += dataset.cumulative_sizes[part - 1] if part else 0
            i -= dataset.cumulative_sizes[part - 1] if part else 0
            dataset = dataset.datasets[part]
        else:
            record, copy = slot_of(dataset, i, epoch)
            return {"record": record + before, "copy": copy, "kind": "real", "parameters": "{}"}
    told = dataset.describe(i, epoch)
    record, copy = int(told.pop("record")), int(told.pop("copy"))
    for name in ("index", "epoch", "seed"):
        told.pop(name)
    kind = told.pop("kind", None) or _inner_kind(told, copy)
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return {"record": record + before, "copy": copy, "kind": kind, "parameters": text}


def _inner_kind(told: Mapping[str, Any], copy: int) -> str:
    if told.get("method", "none") != "none":
        return "mixed"
    inner = told.get("of", {})
    kind = str(inner.get("kind") or (_inner_kind(inner, copy) if inner else "real"))
    return "copied" if kind == "real" and copy else kind


# -- in this process, and in others ----------------------------------------------------------


def write_shards(
    job: Job, numbers: Sequence[int], jobs: int, advance: Callable[[int], None]
) -> Generator[ShardNote, None, None]:
    """Write shards, and give the note of each once it is whole."""
    if jobs == 1 or len(numbers) < 2:
        with _one_thread(), quiet():
            for number in numbers:
                yield job.write(number, advance)
        return
    with _processes(job, min(jobs, len(numbers))) as connections:
        waiting = list(reversed(numbers))
        idle, busy = list(connections), 0
        while waiting or busy:
            while waiting and idle:
                idle.pop().send(waiting.pop())
                busy += 1
            for ready in wait(connections):
                kind, said = _received(ready)  # type: ignore[arg-type]
                if kind == "advance":
                    advance(said)
                elif kind == "shard":
                    idle.append(ready)  # type: ignore[arg-type]
                    busy -= 1
                    yield ShardNote.from_dict(said)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()  # the last bits of a sum depend on it
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _processes(job: Job, n: int) -> Iterator[list[Connection]]:
    """Start processes that write shards, and end them however the block ends."""
    context = multiprocessing.get_context("spawn")
    started, connections = [], []
    try:
        for _ in range(n):
            ours, theirs = context.Pipe()
            process = context.Process(target=_write_for, args=(theirs, job), daemon=True)
            with _deaf():
                _start(process)
            theirs.close()  # so that the other end hears when this process dies
            started.append(process)
            connections.append(ours)
        yield connections
    finally:
        for connection in connections:
            connection.close()
        for process in started:
            process.terminate()
            process.join()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Let processes that are started ignore Ctrl-C from their first moment: the one that asks decides."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _start(process: Any) -> None:
    try:
        process.start()
    except (AttributeError, TypeError, ValueError, RuntimeError, ImportError) as error:
        raise _not_sent(error) from error
    except Exception as error:
        if "pickl" not in str(error).lower() and "Pickl" not in type(error).__name__:
            raise
        raise _not_sent(error) from error


def _not_sent(error: Exception) -> ParameterError:
    must = "with jobs > 1 the dataset must be such that other processes can be given it"
    given = f"one that cannot be pickled ({' '.join(str(error).split())[:160]})"
    todo = "Name its functions at the top of a module, or use jobs=1."
    return ParameterError(sentence(WHERE, must, given, todo))


def _received(connection: Connection) -> tuple[str, Any]:
    try:
        kind, said = connection.recv()
    except (EOFError, OSError):
        todo = "In a script, call it under if __name__ == '__main__':, or use jobs=1."
        raise AugsynthError(f"{WHERE}: a process that writes shards ended too soon. {todo}") from None
    if kind == "system":
        raise OSError(*said)
    if kind == "error":
        name, text = said
        known = getattr(errors, name, AugsynthError)
        raise known(text) if name in errors.__all__ else AugsynthError(f"{WHERE}: {name}: {text}")
    return kind, said


def _write_for(connection: Connection, job: Job) -> None:
    """Write the shards that the other end asks for, until it is gone."""
    parent = os.getppid()

    def advance(n: int) -> None:
        if os.getppid() != parent:
            raise SystemExit
        connection.send(("advance", n))

    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError), _one_thread(), quiet():
        while True:
            number = connection.recv()
            try:
                connection.send(("shard", job.write(number, advance).to_dict()))
            except (EOFError, BrokenPipeError, ConnectionResetError):
                raise
            except OSError as error:
                connection.send(("system", (error.errno, error.strerror, error.filename)))
            except Exception as error:
                connection.send(("error", (type(error).__name__, str(error))))
