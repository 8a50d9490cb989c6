"""The epoch of every item, counted where all worker processes see it."""

from __future__ import annotations

import ctypes
import multiprocessing.context
from multiprocessing.sharedctypes import RawArray
from typing import Any

import numpy as np

from augsynth.core.parameters import check_number

__all__ = ["EpochCounter"]


class EpochCounter:
    """How often each item was asked for, in memory that forked and spawned workers share.

    An item's epoch is that number until `pin` sets one epoch for all. Workers see both at
    once, persistent ones too. (Two workers that ask for one item at the same moment may
    get one epoch between them: pin the epoch where a sampler repeats items.)

    Parameters
    ----------
    n : int
        Number of items; 4 bytes each.
    """

    def __init__(self, n: int):
        self._share(RawArray(ctypes.c_int32, n + 1))
        self._view[0] = -1

    def _share(self, memory: Any) -> None:
        self._memory = memory
        self._view = np.frombuffer(memory, dtype=np.int32)

    @property
    def pinned(self) -> int | None:
        """The epoch that `pin` set, or None."""
        epoch = int(self._view[0])
        return None if epoch < 0 else epoch

    def pin(self, epoch: int | None) -> None:
        """Set the epoch of every item, for every worker; None goes back to counting."""
        if epoch is not None:
            check_number("set_epoch", "epoch", epoch, low=0, high=2**31 - 1, integer=True)
        self._view[0] = -1 if epoch is None else epoch

    def next(self, i: int) -> int:
        """Return the epoch of item ``i`` and count that it was asked for."""
        view = self._view
        epoch = int(view[0])
        if epoch >= 0:
            return epoch
        epoch = int(view[i + 1])
        view[i + 1] = epoch + 1
        return epoch

    def last(self, i: int) -> int:
        """Return the epoch in which item ``i`` was asked for last (0 before it ever was)."""
        epoch = int(self._view[0])
        return epoch if epoch >= 0 else max(int(self._view[i + 1]) - 1, 0)

    def __getstate__(self) -> dict[str, Any]:
        if multiprocessing.context.get_spawning_popen() is not None:
            return {"memory": self._memory}  # a worker is being started: it gets the memory itself
        return {"counts": self._view.copy()}  # a copy or a file: it counts on from here, on its own

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "memory" in state:
            self._share(state["memory"])
            return
        self._share(RawArray(ctypes.c_int32, len(state["counts"])))
        self._view[:] = state["counts"]
