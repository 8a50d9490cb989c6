"""The file that an item of a dataset comes from, for the messages."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import ConcatDataset, Subset

from augsynth.core.errors import AugsynthError
from augsynth.datasets.base import WrappedDataset, slot_of

__all__ = ["file_of", "naming_file"]

_ATTRIBUTES = ("files", "samples", "imgs", "images")  # of (path, label) or of paths


def file_of(dataset: Any, i: int, epoch: int = 0) -> str:
    """Return the path of the file that item ``i`` is made from, where the innermost set keeps paths; else "".

    Examples
    --------
    >>> class Folder(list):
    ...     samples = [("a.jpg", 0), ("b.jpg", 1)]
    >>> file_of(Subset(Folder("xy"), [1]), 0)
    'b.jpg'
    """
    record, _ = slot_of(dataset, i, epoch)
    while isinstance(dataset, WrappedDataset) or type(dataset) is Subset:
        dataset = dataset.base if isinstance(dataset, WrappedDataset) else dataset.dataset
    if type(dataset) is ConcatDataset and 0 <= record < len(dataset):
        part = int(np.searchsorted(dataset.cumulative_sizes, record, side="right"))
        before = dataset.cumulative_sizes[part - 1] if part else 0
        return file_of(dataset.datasets[part], record - before, epoch)
    for name in _ATTRIBUTES:
        kept = getattr(dataset, name, None)
        if isinstance(kept, (list, tuple)) and 0 <= record < len(kept):
            entry = kept[record]
            entry = entry[0] if isinstance(entry, (list, tuple)) and entry else entry
            if isinstance(entry, (str, os.PathLike)):
                return os.fspath(entry)
    return ""


@contextlib.contextmanager
def naming_file(dataset: Any, i: int, epoch: int) -> Iterator[None]:
    """Put the file of an item before a sentence about it that does not name it."""
    try:
        yield
    except AugsynthError as error:
        path, text = file_of(dataset, i, epoch), str(error)
        if not path or path in text:
            raise
        raise type(error)(f"{path}: {text}") from error
