"""A Dataset with its originals and as many perturbed copies as were asked for, or as balance it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.datasets.base import WrappedDataset, described, fetch, most_copies, slot_of
from augsynth.datasets.perturbed import PerturbedDataset
from augsynth.datasets.resampled import ResampledDataset
from augsynth.resample.cells import cells_of

__all__ = ["EnlargedDataset"]

_WHERE = "EnlargedDataset"
_BALANCES = (None, "class", "group", "class+group")


class EnlargedDataset(WrappedDataset):
    """Enlarge a training Dataset: every original once, then perturbed copies, balanced if you like.

    Parameters
    ----------
    base : map-style Dataset
    policy : Perturbation, str, callable or dict
        As in `PerturbedDataset`.
    copies : int, default=3
        Perturbed copies of every record; with ``balance``, of those in the largest cell. 0
        with ``balance`` only fills the smaller cells up.
    keep_originals : bool, default=True
    balance : {None, "class", "group", "class+group"}, default=None
        Make as many copies of the smaller classes (groups, cells) as bring all to the size
        that the largest one reaches. Records of a cell have equally many copies, to within one.
    stratified : bool, default=False
    groups : array-like, (n,) or (n, k), optional
    seed : int, default=0

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> from augsynth.perturb import ScaledJitter
    >>> base = TensorDataset(torch.arange(6.0)[:, None], torch.tensor([0, 0, 0, 0, 1, 1]))
    >>> train = EnlargedDataset(base, ScaledJitter(0.1), copies=1, balance="class")
    >>> len(train), np.bincount(train.labels).tolist(), train.labels[:6].tolist()
    (16, [8, 8], [0, 0, 0, 0, 1, 1])
    """

    def __init__(
        self,
        base: Any,
        policy: Any,
        *,
        copies: int = 3,
        keep_originals: bool = True,
        balance: str | None = None,
        stratified: bool = False,
        groups: Any = None,
        seed: int = 0,
    ):
        super().__init__(base, groups=groups, seed=seed)
        check_option(_WHERE, "balance", balance, _BALANCES)
        check_number(_WHERE, "copies", copies, low=0, high=2**20, integer=True)
        if copies == 0 and balance is None:
            todo = "With balance='class' 0 is enough: it fills the smaller classes up."
            raise ParameterError(sentence(_WHERE, "copies must be at least 1", "0", todo))
        self.policy, self.copies, self.keep_originals = policy, int(copies), bool(keep_originals)
        self.balance, self.stratified = balance, bool(stratified)
        self._kept = len(base) if keep_originals else 0
        self._made = self._copied(base if balance is None else self._balanced())
        self._begin()

    def _balanced(self) -> ResampledDataset | None:
        """Return the base resampled to what is to be made of each cell, or None for nothing."""
        labels = None if self.balance == "group" else self._base_labels()
        cells = cells_of(labels, self._base_groups_found(), by=str(self.balance), where=_WHERE)
        each = int(cells.counts.max()) * (self.copies + self.keep_originals)
        wanted = each - cells.counts * self.keep_originals
        if not wanted.any():
            if not self._kept:
                must = "copies must be at least 1 where the originals are left out"
                raise ParameterError(sentence(_WHERE, must, str(self.copies)))
            return None
        totals = {key: int(count) for key, count in zip(cells.index.tolist(), wanted, strict=True)}
        return ResampledDataset(
            self.base,
            by=str(self.balance),
            sampling_strategy=totals,
            groups=self._base_groups_found(),
            seed=self.seed,
        )

    def _copied(self, base: Any) -> PerturbedDataset | None:
        if base is None:
            return None
        each = self.copies if self.balance is None else 1
        return PerturbedDataset(
            base, self.policy, copies=each, stratified=self.stratified, groups=self._passed(), seed=self.seed
        )

    def _passed(self) -> Any:
        return self._base_groups_found() if self.balance is None else None  # else the base has them

    def __len__(self) -> int:
        return self._kept + (0 if self._made is None else len(self._made))

    @property
    def max_copies(self) -> int:
        """How many items are made from one record, at most."""
        made = 0 if self._made is None else self._made.max_copies
        return made + (most_copies(self.base) if self._kept else 0)

    # -- items ---------------------------------------------------------------------------

    def _of_made(self, i: int) -> tuple[PerturbedDataset, int]:
        if self._made is None:
            raise IndexError(f"{_WHERE}: there are {self._kept} items; given {i}.")
        return self._made, i - self._kept

    def _at(self, i: int, epoch: int) -> Any:
        if i < self._kept:
            return fetch(self.base, i, epoch, where=_WHERE)
        made, place = self._of_made(i)
        return made._at(place, epoch)

    def _at_many(self, indices: Sequence[int], epochs: Sequence[int]) -> list[Any]:
        out: list[Any] = [None] * len(indices)
        together = [k for k, i in enumerate(indices) if i >= self._kept]
        for k, i in enumerate(indices):
            if i < self._kept:
                out[k] = self._at(i, epochs[k])
        if together and self._made is not None:
            places = [indices[k] - self._kept for k in together]
            made = self._made._at_many(places, [epochs[k] for k in together])
            for k, item in zip(together, made, strict=True):
                out[k] = item
        return out

    def _slot(self, i: int, epoch: int) -> tuple[int, int]:
        if i < self._kept:
            return slot_of(self.base, i, epoch)
        made, place = self._of_made(i)
        record, copy = made._slot(place, epoch)
        return record, copy + (most_copies(self.base) if self._kept else 0)

    def _describe(self, i: int, epoch: int) -> dict[str, Any]:
        if i < self._kept:
            return {"kind": "real", **described(self.base, i, epoch)}
        made, place = self._of_made(i)
        return made._describe(place, epoch)

    # -- labels --------------------------------------------------------------------------

    def _labels(self) -> np.ndarray:
        return np.concatenate(self._of_both(self._base_labels(), "labels"))

    def _groups(self) -> np.ndarray | None:
        groups = self._base_groups_found()
        return None if groups is None else np.concatenate(self._of_both(groups, "groups"))

    def _of_both(self, values: np.ndarray, name: str) -> list[np.ndarray]:
        made = [] if self._made is None else [getattr(self._made, name)]
        return [values, *made] if self._kept else made
