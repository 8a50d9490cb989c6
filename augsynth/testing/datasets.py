"""Whether item i of a Dataset is a function of its number and the epoch, whatever the workers."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.isolation import global_states
from augsynth.core.parameters import check_number, check_option
from augsynth.perturb.function import check_importable
from augsynth.testing.comparing import digest, expect, used_generators

__all__ = ["check_deterministic"]

_WRAP = "Wrap the set without its random transform: PerturbedDataset(base, transform)"


def check_deterministic(
    dataset: Any,
    *,
    num_workers: Sequence[int] = (0, 1, 2),
    start_methods: Sequence[str] = ("fork", "spawn"),
    persistent: Sequence[bool] = (False, True),
    items: int = 16,
) -> None:
    """Raise AssertionError unless a Dataset gives the same items whatever the workers and the order.

    Any map-style Dataset can be checked: yours with transforms of torchvision or
    albumentations, a Subset, a wrapper of augsynth. Items are read one by one, backwards, in
    batches of several sizes, by DataLoaders with every number of workers, start method and
    persistence, and from several positions on. Where ``set_epoch`` is known, an epoch must
    come back when it is set again, and reach workers that are already running; where nobody
    sets it, wrappers of augsynth must give another pass other items. Reading must leave the
    global generators as they were, and descriptions must be JSON.

    Parameters
    ----------
    dataset : map-style Dataset
    num_workers : sequence of int
    start_methods : sequence of {"fork", "spawn", "forkserver"}
        Those that the system lacks are left out.
    persistent : sequence of bool
        Whether workers stay from one pass to the next.
    items : int, default=16
        How many items are read, evenly spread.

    Raises
    ------
    AssertionError
        One sentence: the first item that differs, between what, and the likely cause.

    Notes
    -----
    A spawned worker takes a few seconds to start: ``start_methods=("fork",)`` is quick.
    Wrappers of augsynth count the passes of this check as epochs unless one is set.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> check_deterministic(TensorDataset(torch.arange(20)), num_workers=(0,))
    """
    check_number("check_deterministic", "items", items, low=1, integer=True)
    for name, listed in (
        ("num_workers", num_workers),
        ("start_methods", start_methods),
        ("persistent", persistent),
    ):
        if isinstance(listed, str) or not isinstance(listed, Sequence) or not listed:
            must = f"{name} must be a sequence, in brackets"
            raise ParameterError(sentence("check_deterministic", must, repr(listed)))
    for method in start_methods:
        check_option("check_deterministic", "start_methods", method, ("fork", "spawn", "forkserver"))
    n = len(dataset)
    expect(n > 0, "check_deterministic: a dataset must have items; given none.")
    indices = sorted({round(place) for place in np.linspace(0, n - 1, min(items, n))})
    found = _Subject(dataset, indices)
    before = found.epochs()
    try:
        found.check_in_process()
        found.check_loaders(num_workers, start_methods, persistent)
        found.check_counted_epochs()
    finally:
        found.set_epochs(before)
    found.check_descriptions()


class _Subject:
    """A dataset under test, and what its items were when they were read one by one."""

    def __init__(self, dataset: Any, indices: list[int]):
        self.dataset = dataset
        self.indices = indices
        self.clocks = list(_clocks(dataset))
        self.known: dict[int, dict[int, str]] = {}  # epoch -> index -> digest

    # -- epochs --------------------------------------------------------------------------

    def epochs(self) -> list[Any]:
        return [getattr(clock, "epoch", None) for clock in self.clocks]

    def set_epochs(self, epochs: Sequence[Any]) -> None:
        for clock, epoch in zip(self.clocks, epochs, strict=True):
            if epoch is not None or hasattr(clock, "at"):
                clock.set_epoch(epoch)

    def pin(self, epoch: int | None) -> None:
        for clock in self.clocks:
            clock.set_epoch(epoch)

    # -- checks --------------------------------------------------------------------------

    def check_in_process(self) -> None:
        """Read items alone, again, backwards, in batches, and from later positions on."""
        states = global_states()
        for epoch in (0, 1):
            self.pin(epoch)
            self.known[epoch] = self._read(self.indices)
            if epoch == 0:
                again = self._read(self.indices)
                used = used_generators(states)
                self._compare(again, 0, "when it is read again", _cause(used))
            if not self.clocks:
                break
        used = used_generators(states)
        expect(
            not used,
            f"check_deterministic: reading items must leave the global generators as they were; "
            f"{' and '.join(used)} moved. {_WRAP}.",
        )
        self.pin(0)
        moved = "it keeps something from one item to the next"
        self._compare(self._read(self.indices[::-1]), 0, "when items are read backwards", moved)
        for size in (1, 3, 7):
            made: dict[int, str] = {}
            for start in range(0, len(self.indices), size):
                made |= self._read_batch(self.indices[start : start + size])
            self._compare(made, 0, f"in batches of {size}", "what __getitems__ returns depends on the batch")
        for cut in {len(self.indices) // 3, len(self.indices) - 1}:
            self._compare(self._read(self.indices[cut:]), 0, f"when reading begins at item {cut}", moved)

    def check_loaders(
        self, num_workers: Sequence[int], start_methods: Sequence[str], persistent: Sequence[bool]
    ) -> None:
        """Read items through DataLoaders, in another order and batch size each time."""
        there = multiprocessing.get_all_start_methods()
        turn = 0
        for workers in num_workers:
            methods = [m for m in start_methods if m in there] if workers else [""]
            for method in methods:
                if method == "spawn":
                    self._check_sent()
                for stays in persistent if workers else (False,):
                    turn += 1
                    self._check_loader(workers, method, stays, turn)

    def _check_loader(self, workers: int, method: str, stays: bool, turn: int) -> None:
        import torch
        from torch.utils.data import DataLoader

        order = np.random.default_rng(turn).permutation(self.indices).tolist()
        how = f"with num_workers={workers}"
        if workers:
            how += f" ({method}{', persistent' if stays else ''})"
        options: dict[str, Any] = {"num_workers": workers, "persistent_workers": stays}
        if workers:
            options["multiprocessing_context"] = method
        self.pin(0)
        loader: Any = DataLoader(
            _Digests(self.dataset),  # type: ignore[arg-type]
            batch_size=1 + turn % 5,
            sampler=order,
            collate_fn=list,
            generator=torch.Generator().manual_seed(turn),
            **options,
        )
        process = "something in it depends on the process: a worker's number, its seed, or a cache"
        unheard = "the epoch did not reach the running workers, each of which has a copy of it"
        states = global_states()
        for epoch in (0, 1, 0) if stays and self.clocks else (0,):
            self.pin(epoch)
            made = dict(pair for batch in loader for pair in batch)
            cause = unheard if epoch and made == self.known[0] else process
            self._compare(made, epoch, how, cause)
        used = used_generators(states)
        expect(
            not used, f"check_deterministic: {how}, reading moved the global generators {' and '.join(used)}."
        )
        if stays and all(hasattr(clock, "at") for clock in self.clocks) and self.clocks:
            self.pin(None)
            passes = [dict(pair for batch in loader for pair in batch) for _ in range(2)]
            self._expect_new(passes, f"{how}, where nobody sets the epoch")

    def check_counted_epochs(self) -> None:
        """Read two passes of a wrapper of augsynth without setting the epoch."""
        if not self.clocks or not all(hasattr(clock, "at") for clock in self.clocks):
            return
        self.pin(None)
        self._expect_new([self._read(self.indices), self._read(self.indices)], "where nobody sets the epoch")

    def check_descriptions(self) -> None:
        """Describe items, as JSON."""
        if not hasattr(self.dataset, "describe"):
            return
        for i in self.indices:
            told = self.dataset.describe(i)
            try:
                json.dumps(told, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise AssertionError(
                    f"check_deterministic: describe({i}) must be what JSON can hold; given {error}."
                ) from error

    # -- pieces --------------------------------------------------------------------------

    def _read(self, indices: Sequence[int]) -> dict[int, str]:
        return {i: digest(self.dataset[i]) for i in indices}

    def _read_batch(self, indices: Sequence[int]) -> dict[int, str]:
        return dict(_Digests(self.dataset).__getitems__(indices))

    def _compare(self, made: Mapping[int, str], epoch: int, how: str, cause: str) -> None:
        wrong = [i for i in self.indices if i in made and made[i] != self.known[epoch][i]]
        if wrong:
            at = f" of epoch {epoch}" if self.clocks else ""
            count = f"; {len(wrong)} of {len(made)} do" if len(made) > 1 else ""
            raise AssertionError(
                f"check_deterministic: item {wrong[0]}{at} differs {how} from when it was read first{count}. "
                f"Likely cause: {cause}."
            )

    def _expect_new(self, passes: Sequence[Mapping[int, str]], how: str) -> None:
        if self.known[0] != self.known[1]:  # something is random
            expect(passes[0] != passes[1], f"check_deterministic: {how}, the second pass repeats the first.")

    def _check_sent(self) -> None:
        try:
            check_importable(self.dataset, "check_deterministic")
        except ParameterError as error:
            raise AssertionError(
                str(error).replace("a policy must be made", "a dataset must be made")
            ) from error


class _Digests:
    """A dataset of (index, digest) of another's items."""

    def __init__(self, dataset: Any):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> tuple[int, str]:
        return i, digest(self.dataset[i])

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[int, str]]:
        many = getattr(self.dataset, "__getitems__", None)
        items = many(list(indices)) if callable(many) else [self.dataset[i] for i in indices]
        return [(i, digest(item)) for i, item in zip(indices, items, strict=True)]


def _clocks(dataset: Any) -> Iterator[Any]:
    """Yield the outermost sets that know epochs, through Subsets and concatenations."""
    if callable(getattr(dataset, "set_epoch", None)):
        yield dataset
        return
    inner = getattr(dataset, "datasets", None)
    if not isinstance(inner, (list, tuple)):
        inner = [dataset.dataset] if hasattr(dataset, "dataset") else []
    for part in inner:
        yield from _clocks(part)


def _cause(used: Sequence[str]) -> str:
    if used:
        names = " and ".join(used)
        return (
            f"it draws from the global generator of {names}, so an item depends on what was drawn before it, "
            f"and on the worker. {_WRAP}"
        )
    return (
        "it holds a generator of its own that moves on with every item (as transforms of albumentations do), "
        f"and each worker has a copy of that, so that workers and epochs repeat each other. {_WRAP}"
    )
