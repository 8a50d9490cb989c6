"""MixUp and CutMix while a DataLoader puts its batches together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from torch.utils.data import default_collate

from augsynth.core.errors import InputTypeError, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import item_rng, step_key
from augsynth.datasets.epochs import EpochCounter
from augsynth.datasets.items import NO_LABEL, take_apart
from augsynth.perturb.mix import check_mixing, mix_batch

__all__ = ["MixCollate"]

_PATH = step_key("MixCollate")
_PLACES = 2**16
_LOOKED_AT = 16  # numbers of each sample that tell a batch from others


class MixCollate:
    """Mix the samples of every batch with one another: ``DataLoader(..., collate_fn=MixCollate(...))``.

    What is drawn is a function of the seed, of what is in the batch, and of how often the same
    batch came before (workers count together), so it is the same for any number of workers.
    `MixedDataset` does it by item, whatever the batch; this reads each item once.

    Parameters
    ----------
    method : {"mixup", "cutmix", "cutmixup"}, default="mixup"
    alpha, p : float, default=1.0
        As in `mix_batch`.
    n_classes : int, optional
        Needed where labels are classes.
    collate : callable, optional
        What makes the batch first; default torch's ``default_collate``.
    seed : int, default=0

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import DataLoader, TensorDataset
    >>> base = TensorDataset(torch.rand(8, 3, 4, 4), torch.arange(8) % 2)
    >>> x, soft = next(iter(DataLoader(base, batch_size=4, collate_fn=MixCollate(n_classes=2))))
    >>> tuple(x.shape), tuple(soft.shape)
    ((4, 3, 4, 4), (4, 2))
    """

    def __init__(
        self,
        method: str = "mixup",
        *,
        alpha: float = 1.0,
        p: float = 1.0,
        n_classes: int | None = None,
        collate: Callable[[list[Any]], Any] | None = None,
        seed: int = 0,
    ):
        check_mixing(method, alpha, p, "MixCollate")
        check_number("MixCollate", "seed", seed, low=0, high=2**63 - 1, integer=True)
        self.method, self.alpha, self.p, self.n_classes = method, alpha, p, n_classes
        self.collate, self.seed = collate, int(seed)
        self._counter = _BatchCounter(2 * _PLACES)

    def __call__(self, items: list[Any]) -> Any:
        """Return the batch of some items, mixed."""
        batch = (self.collate or default_collate)(items)
        parts = take_apart(batch, where="MixCollate")
        single = take_apart(items[0], where="MixCollate") if items else parts
        if single.label_place == 2 and isinstance(batch, (tuple, list)) and len(batch) > 2:
            parts = replace(parts, label=batch[2], label_place=2)  # beside clips stand their rates
        if parts.label is NO_LABEL or parts.label_place is None or parts.marks:
            must = "a batch must be samples and their labels, without masks or boxes"
            raise InputTypeError(sentence("MixCollate", must, type(parts.item).__name__))
        digest = _digest(parts.x, parts.label)
        rng = item_rng(self.seed, self._counter.times(digest), digest, step=_PATH)
        x, soft = mix_batch(
            parts.x,
            parts.label,
            method=self.method,
            alpha=self.alpha,
            p=self.p,
            n_classes=self.n_classes,
            random_state=rng,
        )
        return parts.put(x, label=soft)

    def set_epoch(self, epoch: int | None) -> None:
        """Draw as in one epoch, in all workers; None goes back to counting."""
        self._counter.pin(epoch)


class _BatchCounter(EpochCounter):
    """How often a batch came before, by a digest of it, in memory that workers share."""

    def times(self, digest: int) -> int:
        pinned = self.pinned
        if pinned is not None:
            return pinned
        place = 1 + 2 * (digest % _PLACES)
        name = (digest >> 32) & 0x7FFFFFFF
        # Another batch in this place is forgotten: what comes once, as with shuffling, counts 0 always.
        known = int(self._view[place]) == name and int(self._view[place + 1]) > 0
        count = int(self._view[place + 1]) if known else 0
        self._view[place], self._view[place + 1] = name, count + 1
        return count


def _digest(x: Any, labels: Any) -> int:
    """Return 63 bits that tell batches apart: of the labels, and of some numbers of each sample."""
    found = hashlib.blake2b(digest_size=8)
    for values in (x, labels):
        flat = values.reshape(len(values), -1) if hasattr(values, "reshape") else np.reshape(values, (-1, 1))
        some = flat[:, :: max(1, flat.shape[1] // _LOOKED_AT)]
        if hasattr(some, "detach"):
            some = some.detach().double().cpu().numpy()  # numpy knows no bfloat16
        found.update(np.ascontiguousarray(some).tobytes())
    return int.from_bytes(found.digest(), "little") >> 1
