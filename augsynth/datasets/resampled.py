"""A Dataset with as many slots of each class, group or both as are wanted."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import AugsynthError, DataError, ParameterError, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import ItemKeys, Streams, item_rng, step_key
from augsynth.datasets.base import (
    WrappedDataset,
    check_labels_stay,
    described,
    fetch,
    most_copies,
    repeats_of,
    slot_of,
)
from augsynth.resample.cells import Cells, cells_of
from augsynth.resample.strategy import allocate, apportion, wanted_totals

__all__ = ["ResampledDataset"]

_WHERE = "ResampledDataset"
_ORDER, _DRAW = step_key("ResampledDataset order"), step_key("ResampledDataset draw")
_FACTOR = re.compile(r"x(\d+\.?\d*|\.\d+)")
_GOLDEN = (math.sqrt(5) - 1) / 2


class ResampledDataset(WrappedDataset):
    """Balance a training Dataset: classes, groups or both come as often as you say, exactly.

    Every epoch holds exactly the wanted number of slots of each cell, and ``len`` is the
    same in all. Where a cell's slots are no multiple of its records, the records that come
    once more than the others rotate, so that over the epochs each comes equally often. A
    slot keeps its class (and group) in all epochs, and any run of slots holds the cells in
    their proportions, shuffled or not. Repeats of a record are different copies: a
    `PerturbedDataset` around or inside this one perturbs each in its own way.

    Parameters
    ----------
    base : map-style Dataset
    by : {"class", "group", "class+group", "target_bins"}, default="class"
        What a cell is; see :func:`augsynth.target_counts`. Classes keep their mix of groups
        where groups are given, and groups their mix of classes.
    sampling_strategy : str, float, mapping, callable or None, default="auto"
        Which cells have how many slots in all, as in `OverSampler`: "auto" brings each cell
        up to the largest. A mapping {cell: total} may also shrink cells, and a total may be a
        factor in words, ``"x2.5"``; ``"x2.5"`` alone holds for every cell. None leaves the
        proportions as they are, and needs no labels.
    length : int, optional
        Slots in all: the totals of the strategy are scaled to it (largest remainders round up).
    bootstrap : bool, default=False
        Draw with replacement, anew in every epoch: within cells, whose totals stay exact, or
        from all records with ``sampling_strategy=None`` (Efron's bootstrap).
    labels, groups : array-like, (n,), optional
        Of the base's items; labels are found by themselves in most sets.
    seed : int, default=0

    Raises
    ------
    DataError, ParameterError
        One sentence: for missing labels, a single class, a cell that has no records.

    Notes
    -----
    Cost: 8 bytes a record, none a slot (the count of epochs takes 4 bytes a slot once items
    are asked for); a look-up takes the same time for a thousand slots and a billion.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> base = TensorDataset(torch.arange(6.0)[:, None], torch.tensor([0, 0, 0, 0, 1, 1]))
    >>> train = ResampledDataset(base, length=10)
    >>> sorted(train.labels.tolist())
    [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    >>> train.target_counts.to_dict(), sorted(set(train.records(epoch=0).tolist()))
    ({0: 5, 1: 5}, [0, 1, 2, 3, 4, 5])
    """

    def __init__(
        self,
        base: Any,
        *,
        by: str = "class",
        sampling_strategy: Any = "auto",
        length: int | None = None,
        bootstrap: bool = False,
        labels: Any = None,
        groups: Any = None,
        seed: int = 0,
    ):
        super().__init__(base, labels=labels, groups=groups, seed=seed)
        if length is not None:
            check_number(_WHERE, "length", length, low=1, high=2**31 - 2, integer=True)
        self.by, self.sampling_strategy = by, sampling_strategy
        self.length, self.bootstrap = length, bool(bootstrap)
        cells, parts = self._cells()
        totals = _totals(cells, sampling_strategy, length)
        self._cell_of_part = cells.codes[parts.first_rows]
        self._index_of_cells = cells.index
        self._lay_out(parts, allocate(cells, parts, dict(enumerate(totals.tolist()))))
        self._streams = Streams(self.seed)
        self._again = repeats_of(base)
        self._base_copies = most_copies(base) * (1 if self._again is None else int(self._again.max()) + 1)
        self._begin()

    def _cells(self) -> tuple[Cells, Cells]:
        """Return the cells that have totals, and the finer ones that each slot stays in."""
        if self.sampling_strategy is None:
            all_one = Cells(np.zeros(len(self.base), dtype=np.intp), pd.Index(["all"]))
            self._keeps_labels = self._given_labels is not None
            if self.bootstrap or self._given_labels is None:
                return all_one, all_one
            return all_one, cells_of(self._given_labels, by="class", where=_WHERE)
        check_labels_stay(self.base, _WHERE)
        groups = self._base_groups_found()
        labels = self._labels_if_any() if self.by == "group" else self._base_labels()
        if groups is None and "group" in self.by:
            raise DataError(
                sentence(
                    _WHERE, f"groups must be given for by={self.by!r}", "none", "Pass groups=, one a record."
                )
            )
        self._keeps_labels = labels is not None
        cells = cells_of(labels, groups, by=self.by, where=_WHERE)
        if self.by == "target_bins" or labels is None or groups is None:
            return cells, cells
        return cells, cells_of(labels, groups, by="class+group", where=_WHERE)

    def _labels_if_any(self) -> np.ndarray | None:
        try:
            return self._base_labels()  # read, if need be: a slot keeps its class
        except AugsynthError:
            return None

    def _lay_out(self, parts: Cells, wanted: np.ndarray) -> None:
        """Put the parts one after the other, their records in an order of their own."""
        shuffled = item_rng(self.seed, 0, 0, step=_ORDER).permutation(len(parts.codes))
        self._order = shuffled[np.argsort(parts.codes[shuffled], kind="stable")]
        counts = parts.counts
        self._slots = int(wanted.sum())
        if not 0 < self._slots < 2**31 - 1:
            must = "the wanted totals must add up to at least 1 slot and less than 2**31"
            raise ParameterError(sentence(_WHERE, must, f"{self._slots}"))
        self._starts = np.cumsum(wanted) - wanted  # slots before each part
        self._firsts = np.cumsum(counts) - counts  # records before each part
        self._counts, self._wanted = counts, wanted
        self._table = [
            list(map(int, column)) for column in (self._starts, self._firsts, counts, wanted % counts)
        ]
        self._stride = _coprime(self._slots)
        self._repeats = self._slots if self.bootstrap else int(np.max(-(-wanted // counts)))

    def __len__(self) -> int:
        return self._slots

    @property
    def target_counts(self) -> pd.Series:
        """Slots of each cell, by its key."""
        slots = np.bincount(self._cell_of_part, self._wanted, minlength=len(self._index_of_cells))
        return pd.Series(slots.astype(np.int64), index=self._index_of_cells, name="slots")

    @property
    def max_copies(self) -> int:
        """How many items are made from one record, at most."""
        return self._repeats * self._base_copies

    # -- which record a slot holds -------------------------------------------------------

    def _place(self, i: int, epoch: int) -> tuple[int, int, int]:
        """Return the item of the base in slot ``i``, the number of its repeat, and its part."""
        starts, firsts, counts, extras = self._table
        place = i * self._stride % self._slots  # golden steps: every run of slots has its share of each part
        part = bisect_right(starts, place) - 1
        n = counts[part]
        if self.bootstrap:
            u = self._streams.at(epoch, i, path=_DRAW).random()
            return int(self._order[firsts[part] + int(u * n)]), i, part
        j = place - starts[part]
        return int(self._order[firsts[part] + (j + epoch * extras[part]) % n]), j // n, part

    def records(self, epoch: int = 0) -> np.ndarray:
        """Return which item of the base each slot holds in an epoch, (len,) int."""
        slots = np.arange(self._slots, dtype=np.int64)
        places = slots * self._stride % self._slots
        parts = np.searchsorted(self._starts, places, side="right") - 1
        n = self._counts[parts]
        if self.bootstrap:
            u = ItemKeys(self.seed, epoch, slots, path=_DRAW).uniforms(1)[:, 0]
            return self._order[self._firsts[parts] + (u * n).astype(np.int64)]
        shift = epoch * (self._wanted % self._counts) % self._counts
        return self._order[self._firsts[parts] + (places - self._starts[parts] + shift[parts]) % n]

    def _inner_epoch(self, epoch: int, repeat: int) -> int:
        # Repeats of an item are different epochs of it, so what the base draws differs too.
        return epoch * self._repeats + repeat

    def _at(self, i: int, epoch: int) -> Any:
        j, repeat, _ = self._place(i, epoch)
        return fetch(self.base, j, self._inner_epoch(epoch, repeat), where=_WHERE)

    def _at_many(self, indices: Sequence[int], epochs: Sequence[int]) -> list[Any]:
        if not isinstance(self.base, WrappedDataset):
            return super()._at_many(indices, epochs)
        places = [self._place(i, epoch)[:2] for i, epoch in zip(indices, epochs, strict=True)]
        inner = [self._inner_epoch(e, repeat) for e, (_, repeat) in zip(epochs, places, strict=True)]
        return self.base._at_many([j for j, _ in places], inner)

    def _slot(self, i: int, epoch: int) -> tuple[int, int]:
        j, repeat, _ = self._place(i, epoch)
        record, copy = slot_of(self.base, j, self._inner_epoch(epoch, repeat))
        if self._again is not None:  # a Subset that holds a record several times
            copy += int(self._again[j]) * most_copies(self.base)
        return record, repeat * self._base_copies + copy

    def _describe(self, i: int, epoch: int) -> dict[str, Any]:
        j, repeat, part = self._place(i, epoch)
        told = {"base_index": j, "cell": self._index_of_cells[self._cell_of_part[part]]}
        return told | described(self.base, j, self._inner_epoch(epoch, repeat))

    # -- labels --------------------------------------------------------------------------

    @property
    def labels_vary(self) -> bool:
        """Whether a slot may have another label in another epoch."""
        rotates = self.bootstrap or bool((self._wanted % self._counts).any())
        unknown = not self._keeps_labels or (self.sampling_strategy is None and self.bootstrap)
        return rotates and (unknown or self.by == "target_bins")

    @property
    def labels(self) -> np.ndarray:
        """The label of every slot, (len,), without reading items.

        The same in all epochs, but for ``sampling_strategy=None`` without labels and for
        "target_bins": then those of the epoch that `set_epoch` set, or of epoch 0.
        """
        return self._base_labels()[self.records(self.epoch or 0)]

    def _groups(self) -> np.ndarray | None:
        groups = self._base_groups_found()
        return None if groups is None else groups[self.records(self.epoch or 0)]


def _totals(cells: Cells, strategy: Any, length: int | None) -> np.ndarray:
    """Return the wanted slots of each cell, (n_cells,)."""
    counts = cells.counts
    if isinstance(strategy, str) and strategy.startswith("x"):
        strategy, length = None, _grown(int(counts.sum()), strategy) if length is None else length
    totals = counts.astype(np.int64)
    if strategy is not None:
        for cell, total in _wanted(cells, strategy).items():
            totals[cell] = total
    return totals if length is None else apportion(length, totals)


def _wanted(cells: Cells, strategy: Any) -> dict[int, int]:
    if callable(strategy):
        answer = strategy(pd.Series(cells.index[cells.codes], name="cell"))
        strategy = answer if isinstance(answer, Mapping) else strategy
    if not isinstance(strategy, Mapping):
        return wanted_totals(cells, strategy, direction="over", where=_WHERE)
    have = dict(zip(cells.index.tolist(), cells.counts.tolist(), strict=True))
    plain = {
        key: _grown(have[key], total) if isinstance(total, str) and key in have else total
        for key, total in strategy.items()
    }
    # Cells may grow or shrink here: each is held against the rules of its own direction.
    shrinking = {k: v for k, v in plain.items() if k in have and _is_number(v) and v < have[k]}
    growing = {k: v for k, v in plain.items() if k not in shrinking}
    wanted = wanted_totals(cells, growing, direction="over", where=_WHERE)
    return wanted | wanted_totals(cells, shrinking, direction="under", where=_WHERE)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number))


def _grown(n: int, factor: str) -> int:
    found = _FACTOR.fullmatch(factor)
    if found is None:
        must = "a factor must be written as 'x' and a number, such as 'x2.5'"
        raise ParameterError(sentence(_WHERE, must, repr(factor)))
    return math.floor(n * float(found[1]) + 0.5)


def _coprime(n: int) -> int:
    """Return a step near n times the golden ratio that visits all of n slots."""
    step = max(1, round(n * _GOLDEN))
    while math.gcd(step, n) != 1:
        step += 1
    return step
