"""One thread for small networks: faster beside other work, and the same bytes on any number of cores."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits
from torch import nn

__all__ = ["few_threads"]

SMALL = 1_000_000_000  # parameters times rows a block; below it a second thread gains little
_LOCK = threading.Lock()
_inside = 0
_restore = contextlib.ExitStack()


@contextmanager
def few_threads(model: nn.Module, rows: int) -> Iterator[None]:
    """Run the block on one processor thread if the model is small; then put the number back.

    Threads that wait spin, so that two of them beside another busy process can be
    ten times slower than one; and the last bits of a sum depend on their number.
    """
    if rows * sum(p.numel() for p in model.parameters()) >= SMALL:
        yield
        return
    global _inside
    with _LOCK:  # several fits may run at once in threads: the first one in sets, the last one out restores
        if _inside == 0:
            _restore.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
            _restore.enter_context(threadpool_limits(limits=1, user_api="blas"))
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0:
                _restore.close()
