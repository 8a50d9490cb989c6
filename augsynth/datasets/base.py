"""What every wrapper shares: items by (epoch, index), labels, descriptions."""

from __future__ import annotations

import operator
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch.utils.data import ConcatDataset, Dataset, Subset

from augsynth.core.errors import AugsynthError, AugsynthWarning, DataError, ParameterError, sentence
from augsynth.core.parameters import check_number
from augsynth.datasets.epochs import EpochCounter
from augsynth.datasets.labels import check_map_style, classes_of, find_labels

__all__ = [
    "WrappedDataset",
    "as_plain",
    "check_labels_stay",
    "depth_of",
    "described",
    "fetch",
    "most_copies",
    "repeats_of",
    "slot_of",
]

_LONGEST = 64  # numbers of a parameter that a description spells out


class WrappedDataset(Dataset, ABC):
    """A Dataset around another, whose item i is a pure function of (seed, epoch, i).

    Workers, start method, order, resuming and the number of processes do not matter. If
    nobody calls `set_epoch`, an item's epoch is the number of times it was asked for, which
    all workers count together; so a second pass differs from the first. The base's own
    randomness is its own affair, unless the base is such a wrapper too.

    Subclasses write `_at(i, epoch)`, and where they differ from these, `_slot(i, epoch)`,
    `_describe(i, epoch)`, `_at_many(indices, epochs)`, `_labels()` and `__len__`; their
    constructors end with `_begin()`.

    Parameters
    ----------
    base : map-style Dataset
    labels : array-like, (n,), optional
        One label an item of the base; by themselves found in most sets.
    groups : array-like, (n,) or (n, k), optional
        One group an item of the base.
    seed : int, default=0
    """

    def __init__(self, base: Any, *, labels: Any = None, groups: Any = None, seed: int = 0):
        where = type(self).__name__
        check_number(where, "seed", seed, low=0, high=2**63 - 1, integer=True)
        self.base = check_map_style(base, where)
        self._length_of_base = len(base)
        self.seed = int(seed)
        self._given_labels = None if labels is None else find_labels(base, labels, where=where)
        self._base_groups = None if groups is None else _as_groups(groups, len(base), where)
        self._counter: EpochCounter | None = None
        self._found: np.ndarray | None = None
        self._found_below: np.ndarray | None = None
        self._warned = False

    def _begin(self) -> EpochCounter:
        """Set up the counts of epochs; constructors end with it, so that forked workers share them."""
        self._counter = EpochCounter(len(self))
        return self._counter

    def __len__(self) -> int:
        return len(self.base)

    # -- items ---------------------------------------------------------------------------

    def __getitem__(self, i: int) -> Any:
        """Return item ``i`` as it is in its present epoch."""
        i = self._index(i)
        return self._at(i, self._epochs().next(i))

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Return a batch of items, edited at once; DataLoaders call this by themselves."""
        places = [self._index(i) for i in indices]
        counter = self._epochs()
        return self._at_many(places, [counter.next(i) for i in places])

    def at(self, i: int, epoch: int = 0) -> Any:
        """Return item ``i`` as it is in an epoch; nothing is counted."""
        return self._at(self._index(i), _epoch(epoch))

    def at_many(self, indices: Sequence[int], epoch: int = 0) -> list[Any]:
        """Return several items as they are in an epoch; nothing is counted."""
        return self._at_many([self._index(i) for i in indices], [_epoch(epoch)] * len(indices))

    def slot(self, i: int, epoch: int = 0) -> tuple[int, int]:
        """Return which record of the innermost set item ``i`` is made from, and which copy of it."""
        return self._slot(self._index(i), _epoch(epoch))

    def describe(self, i: int, epoch: int | None = None) -> dict[str, Any]:
        """Tell how item ``i`` came to be: record, copy and every drawn parameter.

        Parameters
        ----------
        i : int
        epoch : int, optional
            Default: the pinned one, or that in which the item was asked for last.

        Returns
        -------
        dict
            Values that JSON can hold; long arrays are described by shape.
        """
        i = self._index(i)
        if epoch is None:
            epoch = self._counter_made().last(i)
        epoch = _epoch(epoch)
        record, copy = self._slot(i, epoch)
        head = {"index": i, "epoch": epoch, "record": record, "copy": copy, "seed": self.seed}
        return cast(dict[str, Any], as_plain({**head, **self._describe(i, epoch)}))

    @abstractmethod
    def _at(self, i: int, epoch: int) -> Any: ...

    def _at_many(self, indices: Sequence[int], epochs: Sequence[int]) -> list[Any]:
        return [self._at(i, epoch) for i, epoch in zip(indices, epochs, strict=True)]

    def _slot(self, i: int, epoch: int) -> tuple[int, int]:
        return slot_of(self.base, i, epoch)

    def _describe(self, i: int, epoch: int) -> dict[str, Any]:
        return {}

    def _index(self, i: int) -> int:
        place = operator.index(i)
        self._check_base()
        n = len(self)
        if not -n <= place < n:
            raise IndexError(f"{type(self).__name__}: an index must be below {n}; given {place}.")
        return place + n if place < 0 else place

    def _check_base(self) -> None:
        """Raise if the base grew or shrank: every item would be another one."""
        n, before = len(self.base), self._length_of_base
        if n != before:
            must, given = "the base must keep its length", f"{n} items, and {before} when it was wrapped"
            raise DataError(sentence(type(self).__name__, must, given, "Wrap it again."))

    # -- epochs --------------------------------------------------------------------------

    def set_epoch(self, epoch: int | None) -> None:
        """Make every item that of one epoch, in all workers, running ones included.

        None goes back to counting. Call it before the loader's loop begins, as for a
        DistributedSampler; with several processes it is needed, as each counts alone.
        """
        self._counter_made().pin(epoch)

    @property
    def epoch(self) -> int | None:
        """The epoch that `set_epoch` set, or None where items count for themselves."""
        return self._counter_made().pinned

    def _counter_made(self) -> EpochCounter:
        return self._begin() if self._counter is None else self._counter

    def _epochs(self) -> EpochCounter:
        counter = self._counter_made()
        if not self._warned and counter.pinned is None:
            self._warned = True
            distributed = torch.distributed
            if distributed.is_available() and distributed.is_initialized():
                text = "each process counts epochs alone; call set_epoch(e) at the start of each"
                warnings.warn(f"{type(self).__name__}: {text}.", AugsynthWarning, stacklevel=3)
        return counter

    def __getstate__(self) -> dict[str, Any]:
        self._counter_made()  # made now, the counts are shared with the worker that is being started
        return self.__dict__

    # -- labels --------------------------------------------------------------------------

    @property
    def labels(self) -> np.ndarray:
        """The label of every item, (n,), without reading the items."""
        if self._found is None:
            self._found = self._labels()
        return self._found

    @property
    def groups(self) -> np.ndarray | None:
        """The group of every item, (n,) or (n, k), or None where none were given."""
        return self._groups()

    @property
    def classes(self) -> list[str] | None:
        """The names behind integer labels, where the base has them."""
        return classes_of(self.base)

    @property
    def max_copies(self) -> int:
        """How many items are made from one record, at most."""
        return most_copies(self.base)

    def _base_labels(self) -> np.ndarray:
        if self._given_labels is not None:
            return self._given_labels
        if self._found_below is None:
            self._found_below = find_labels(self.base, where=type(self).__name__)
        return self._found_below

    def _base_groups_found(self) -> np.ndarray | None:
        if self._base_groups is None:
            return _groups_of(self.base)
        return self._base_groups

    def _labels(self) -> np.ndarray:
        return self._base_labels()

    def _groups(self) -> np.ndarray | None:
        return self._base_groups_found()

    # -- files ---------------------------------------------------------------------------

    def materialize(
        self,
        out: str | os.PathLike[str],
        *,
        format: str = "auto",
        jobs: int = 1,
        resume: bool = True,
        epoch: int = 0,
        shard_size: int = 1024,
        force: bool = False,
        progress: bool | None = None,
    ) -> Any:
        """Write every item to disk as the stream gives it: PNG, wav, npz or Parquet, and a manifest.

        The same call goes on after a kill. ``help(augsynth.datasets.materialize)`` explains the options;
        `MaterializedDataset` reads the set back.
        """
        from augsynth.datasets.materialize import materialize

        how = {"format": format, "jobs": jobs, "resume": resume, "epoch": epoch, "shard_size": shard_size}
        return materialize(self, out, **how, force=force, progress=progress)  # type: ignore[arg-type]


def _epoch(epoch: Any) -> int:
    """Return an epoch as Python's int: numpy's small ones overflow in silence."""
    check_number("epoch", "epoch", epoch, low=0, high=2**31 - 1, integer=True)
    return int(epoch)


def _inner(subset: Any, i: int) -> int:
    """Return the item of the set below that a Subset has at ``i``."""
    place, n = int(subset.indices[i]), len(subset.dataset)
    if not -n <= place < n:
        must = f"a Subset must hold indices below {n}"
        raise DataError(sentence("Subset", must, f"{place} at item {i}"))
    return place + n if place < 0 else place


def fetch(dataset: Any, i: int, epoch: int, *, where: str = "dataset") -> Any:
    """Return item ``i`` of any dataset, at an epoch where it (or what it holds) knows epochs.

    Raises
    ------
    DataError
        For an item that cannot be read, with its number and the reason.
    """
    if isinstance(dataset, WrappedDataset):
        dataset._check_base()
        return dataset._at(i, epoch)
    if type(dataset) is Subset:
        return fetch(dataset.dataset, _inner(dataset, i), epoch, where=where)
    if type(dataset) is ConcatDataset:
        part = int(np.searchsorted(dataset.cumulative_sizes, i, side="right"))
        before = dataset.cumulative_sizes[part - 1] if part else 0
        return fetch(dataset.datasets[part], i - before, epoch, where=where)
    try:
        return dataset[i]
    except (AugsynthError, MemoryError):
        raise
    except Exception as error:  # a dataset's own code may raise anything
        given = f"{type(error).__name__} at item {i} ({' '.join(str(error).split())[:200]})"
        raise DataError(sentence(where, "every item of the base must be readable", given)) from error


def slot_of(dataset: Any, i: int, epoch: int) -> tuple[int, int]:
    """Return the record of the innermost set that item ``i`` is made from, and which copy it is."""
    if isinstance(dataset, WrappedDataset):
        return dataset._slot(i, epoch)
    if type(dataset) is Subset:
        return slot_of(dataset.dataset, _inner(dataset, i), epoch)
    return i, 0


def described(dataset: Any, i: int, epoch: int) -> dict[str, Any]:
    """Return ``{"of": how item i of a wrapped dataset came to be}``, or nothing for any other."""
    if isinstance(dataset, WrappedDataset):
        return {"of": dataset.describe(i, epoch)}
    return described(dataset.dataset, _inner(dataset, i), epoch) if type(dataset) is Subset else {}


def check_labels_stay(dataset: Any, where: str) -> None:
    """Raise if an item of a dataset has another label in another epoch, as in a plain bootstrap."""
    if getattr(dataset, "labels_vary", False):
        given = f"a {type(dataset).__name__} that draws from all classes anew in every epoch"
        todo = "Give it a sampling_strategy, or put it around this."
        raise ParameterError(sentence(where, "the items of the base must keep their labels", given, todo))
    for part in _inside(dataset):
        check_labels_stay(part, where)


def depth_of(dataset: Any, kind: type) -> int:
    """Return how many wrappers of a kind a dataset is, or holds one in the other."""
    return isinstance(dataset, kind) + max((depth_of(part, kind) for part in _inside(dataset)), default=0)


def _inside(dataset: Any) -> list[Any]:
    """Return the sets that a set is made of."""
    if isinstance(dataset, WrappedDataset):
        return [dataset.base]
    if type(dataset) is ConcatDataset:
        return list(dataset.datasets)
    inner = getattr(dataset, "dataset", None)
    return [] if inner is None else [inner]


def most_copies(dataset: Any) -> int:
    """Return how many items of a dataset are made from one record, at most."""
    if isinstance(dataset, WrappedDataset):
        return dataset.max_copies
    return most_copies(dataset.dataset) if type(dataset) is Subset else 1


def repeats_of(dataset: Any) -> np.ndarray | None:
    """Return how often each record of a Subset came before (n,), or None if none repeats."""
    if type(dataset) is not Subset:
        return None
    indices = np.arange(len(dataset))
    while type(dataset) is Subset:  # however they are nested
        below = np.asarray(dataset.indices, dtype=np.int64)
        below = np.where(below < 0, below + len(dataset.dataset), below)  # type: ignore[arg-type]
        indices, dataset = below[indices], dataset.dataset
    order = np.argsort(indices, kind="stable")
    ordered = indices[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    before = np.empty(len(indices), dtype=np.int64)
    before[order] = np.arange(len(indices)) - np.repeat(starts, np.diff(np.r_[starts, len(indices)]))
    return before if before.any() else None


def _as_groups(groups: Any, n: int, where: str) -> np.ndarray:
    array = groups.to_numpy() if hasattr(groups, "to_numpy") else np.asarray(groups)
    if array.ndim not in (1, 2) or len(array) != n:
        raise DataError(sentence(where, f"groups must hold one entry an item ({n})", f"shape {array.shape}"))
    return array


def _groups_of(dataset: Any) -> np.ndarray | None:
    if isinstance(dataset, WrappedDataset):
        return dataset.groups
    if type(dataset) is Subset:
        inner = _groups_of(dataset.dataset)
        return None if inner is None else inner[np.asarray(dataset.indices, dtype=np.intp)]
    return None


def as_plain(value: Any) -> Any:
    """Return what JSON can hold: numpy numbers and short arrays spelled out, long ones by shape."""
    if isinstance(value, np.generic):
        return as_plain(value.item())
    if isinstance(value, (np.ndarray, torch.Tensor)):
        if np.size(value) <= _LONGEST:
            return value.tolist()
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    if isinstance(value, Mapping):
        return {str(key): as_plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(inner) for inner in value]
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
