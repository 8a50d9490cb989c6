"""A Dataset of draws from a fitted generator, alone or beside the real items."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from augsynth.core.arrays import count_rows
from augsynth.core.errors import DataError, ParameterError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.core.random import item_rng, resolve_seed, step_key
from augsynth.datasets.base import WrappedDataset, described, fetch, slot_of
from augsynth.datasets.labels import as_labels, check_map_style, find_labels
from augsynth.datasets.likeness import Likeness, row_of
from augsynth.generate.base import BaseGenerator
from augsynth.resample.strategy import apportion, target_counts

__all__ = ["SyntheticDataset"]

_WHERE = "SyntheticDataset"
_LABELS, _ROWS = step_key("SyntheticDataset labels"), step_key("SyntheticDataset rows")


class SyntheticDataset(WrappedDataset):
    """Train on draws from a fitted generator, alone or mixed with the real items at a ratio.

    Real items come first, as they are; then synthetic ones, in the form of the real ones:
    ``(x, label)`` with the same container, type of label and type of numbers.

    Parameters
    ----------
    generator : fitted augsynth generator
    n : int, optional
        How many draws, their labels at the fitted frequencies.
    y : array-like, (m,), or mapping, optional
        The label of each draw, kept exactly; or {label: how many}, with keys
        ``(label, group, ...)`` for a generator that knows groups.
    base : map-style Dataset, optional
        The real items.
    ratio : float, str or mapping, optional
        With ``base``: draws to a real item (1.0 doubles the set), each class in its share
        (largest remainders round up); or the name of a sampling strategy ("auto": every
        class up to the largest) or a mapping of totals, of which what is missing is drawn.
    draw : {"ahead", "online"}, default="ahead"
        Draw once, now: the arrays are shared with forked workers, and pickled for spawned
        ones. Or draw anew in every epoch, in blocks of 512 when an item of one is asked for:
        equal whatever the workers, each of which draws (and keeps) the blocks that it meets.
    transform : callable, optional
        Makes the ``x`` of an item from a drawn row; without it rows are made like those of
        the base: PIL images, tensors (bytes become floats in [0, 1], channels first, where
        the base's are), arrays, texts. Without a base either: pictures, clips and texts stay
        as drawn, rows of numbers are tensors, and DataFrame rows dicts by column.
    seed : int, default=0

    Attributes
    ----------
    is_synthetic : ndarray of bool, (len,)
    generator : augsynth generator
        The given one with "online"; with "ahead" one of the same parameters, not fitted.

    Raises
    ------
    ParameterError, DataError, ConditionError
        One sentence: for a generator that is not fitted, a label that it never saw, rows
        that do not look like the base's.

    Notes
    -----
    With "online", a generator on a GPU cannot draw in forked workers: use ``num_workers=0``,
    spawned workers, or "ahead".

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> from augsynth import SmoteGenerator
    >>> X, y = np.random.default_rng(0).normal(size=(30, 2)), np.repeat([0, 1], [22, 8])
    >>> base = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    >>> train = SyntheticDataset(SmoteGenerator().fit(X, y), base=base, ratio="auto")
    >>> len(train), int(train.is_synthetic.sum()), train[43][1]
    (44, 14, tensor(1))
    """

    block_rows = 512

    def __init__(
        self,
        generator: Any,
        *,
        n: int | None = None,
        y: Any = None,
        base: Any = None,
        ratio: Any = None,
        draw: str = "ahead",
        transform: Callable[[Any], Any] | None = None,
        seed: int = 0,
    ):
        check_number(_WHERE, "seed", seed, low=0, high=2**63 - 1, integer=True)
        check_option(_WHERE, "draw", draw, ("ahead", "online"))
        inner = _fitted(generator)
        if base is not None:
            check_map_style(base, _WHERE)
        self._generator_name = type(inner).__name__
        self._real = 0 if base is None else len(base)
        self.draw, self.transform = draw, transform
        wanted, groups = _wanted(n, y, base, ratio, bool(inner.condition_.has_y))
        self._cells, self._made_labels = _cells_of(inner, wanted, groups, seed)
        super().__init__(range(len(self._cells)) if base is None else base, seed=seed)
        # What has been drawn ahead needs no fitted generator, which workers would have to be sent.
        self.generator: Any = inner if draw == "online" else clone(inner)
        self.n, self.y, self.ratio = n, y, ratio
        self._made_groups = _groups_of(inner, self._cells)
        self._blocks: OrderedDict[tuple[int, int], tuple[Any, Any]] = OrderedDict()
        self._like: Likeness | None = None
        if base is not None:
            self._like = Likeness.of(fetch(base, 0, 0, where=_WHERE), self._made_labels is not None)
        self._ahead = None
        if draw == "ahead":
            drawn = inner.draw(self._cells, random_state=self._draw_seed(0, 0))
            self._ahead = (drawn.rows, drawn.source)
        self._made(0, 0)  # what cannot be made like the base's items is told now
        self._begin()
        self._begin()

    def __len__(self) -> int:
        return self._real + len(self._cells)

    @property
    def is_synthetic(self) -> np.ndarray:
        """Which items are draws, (len,) bool."""
        return np.arange(len(self)) >= self._real

    # -- draws ---------------------------------------------------------------------------

    def _draw_seed(self, epoch: int, block: int) -> int:
        return resolve_seed(item_rng(self.seed, epoch, block, step=_ROWS))

    def _rows(self, k: int, epoch: int) -> tuple[Any, Any, int]:
        """Return a container of rows, their parents, and the place of draw ``k`` there."""
        if self._ahead is not None:
            return *self._ahead, k
        block, row = divmod(k, self.block_rows)
        kept = self._blocks.get((epoch, block))
        if kept is None:
            cells = self._cells[block * self.block_rows : (block + 1) * self.block_rows]
            drawn = self.generator.draw(cells, random_state=self._draw_seed(epoch, block))
            kept = self._blocks[epoch, block] = (drawn.rows, drawn.source)
            while len(self._blocks) > 2 * -(-len(self._cells) // self.block_rows):
                self._blocks.popitem(last=False)  # as many stay as two epochs have: they overlap in workers
        return *kept, row

    def _made(self, k: int, epoch: int) -> Any:
        """Return synthetic item ``k``, in the form of the base's."""
        rows, _, row = self._rows(k, epoch)
        x = row_of(rows, row)
        label = None if self._made_labels is None else self._made_labels[k]
        if self.transform is not None:
            x = self.transform(x)
        if self._like is not None:
            return self._like.item(x, label, as_it_is=self.transform is not None)
        label = label.item() if isinstance(label, np.generic) else label
        return x if self._made_labels is None else (x, label)

    def _at(self, i: int, epoch: int) -> Any:
        if i < self._real:
            return fetch(self.base, i, epoch, where=_WHERE)
        return self._made(i - self._real, epoch)

    def _at_many(self, indices: Sequence[int], epochs: Sequence[int]) -> list[Any]:
        real = [k for k, i in enumerate(indices) if i < self._real]
        if not real or not isinstance(self.base, WrappedDataset):
            return super()._at_many(indices, epochs)
        items = self.base._at_many([indices[k] for k in real], [epochs[k] for k in real])
        found = dict(zip(real, items, strict=True))
        return [
            found[k] if k in found else self._at(i, epoch)
            for k, (i, epoch) in enumerate(zip(indices, epochs, strict=True))
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_blocks": OrderedDict()}

    # -- what is known without reading ---------------------------------------------------

    def _slot(self, i: int, epoch: int) -> tuple[int, int]:
        if i < self._real:
            return slot_of(self.base, i, epoch)
        return _records_of(self.base) * (self._real > 0) + i - self._real, 0

    def _describe(self, i: int, epoch: int) -> dict[str, Any]:
        if i < self._real:
            return {"kind": "real"} | described(self.base, i, epoch)
        k = i - self._real
        _, source, row = self._rows(k, epoch)
        block = 0 if self._ahead is not None else k // self.block_rows
        told = {"kind": "synthetic", "generator": self._generator_name, "row": row, "draw": self.draw}
        told["generator_seed"] = self._draw_seed(0 if self._ahead is not None else epoch, block)
        if self._made_labels is not None:
            told["label"] = self._made_labels[k]
        return told if source is None else {**told, "source": [p for p in source[row].tolist() if p >= 0]}

    def _labels(self) -> np.ndarray:
        if self._made_labels is None:
            todo = "Fit it with y."
            raise DataError(sentence(_WHERE, "the generator must know labels", "one fitted without y", todo))
        return _joined(self._base_labels(), self._made_labels) if self._real else self._made_labels

    def _groups(self) -> np.ndarray | None:
        real = self._base_groups_found() if self._real else None
        if not self._real or self._made_groups is None:
            return self._made_groups if not self._real else None
        return (
            None if real is None or real.ndim != self._made_groups.ndim else _joined(real, self._made_groups)
        )


def _fitted(generator: Any) -> BaseGenerator:
    inner = generator.estimator if isinstance(generator, FrozenEstimator) else generator
    if not isinstance(inner, BaseGenerator):
        todo = "Pass one such as SmoteGenerator().fit(X, y), an object and not its class."
        given = repr(generator)[:80]
        raise ParameterError(sentence(_WHERE, "generator must be a fitted augsynth generator", given, todo))
    if not hasattr(inner, "condition_"):
        given = f"{type(inner).__name__} that is not fitted"
        raise ParameterError(sentence(_WHERE, "generator must be fitted", given, "Call fit(X, y) first."))
    return inner


def _wanted(n: Any, y: Any, base: Any, ratio: Any, has_labels: bool) -> tuple[Any, Any]:
    """Return the labels of the draws (or how many, an int), and their groups (or None)."""
    given = [name for name, value in (("n", n), ("y", y), ("ratio", ratio)) if value is not None]
    if len(given) != 1 or (ratio is not None and base is None):
        must = "exactly one of n, y and (with base) ratio must say how many to draw"
        raise ParameterError(sentence(_WHERE, must, " and ".join(given) or "none"))
    if n is not None:
        check_number(_WHERE, "n", n, low=1, high=2**31 - 2, integer=True)
        return int(n), None
    if isinstance(y, Mapping):
        return _repeated(y)
    if y is not None:
        labels = as_labels(y, count_rows(y), _WHERE, "y")
        return (labels, None) if len(labels) else _repeated({})
    if not isinstance(ratio, (str, Mapping)):
        check_number(_WHERE, "ratio", ratio, low=0, low_open=True)
        if not has_labels:
            return max(1, round(ratio * len(base))), None
    labels = find_labels(base, where=_WHERE)
    present = pd.Series(labels).value_counts(sort=False)
    if isinstance(ratio, (str, Mapping)):
        totals = target_counts(labels, sampling_strategy=ratio)
        return _repeated({label: int(total - present[label]) for label, total in totals.items()})
    parts = apportion(round(ratio * len(labels)), present.to_numpy())
    return _repeated(dict(zip(present.index.tolist(), parts.tolist(), strict=True)))


def _repeated(counts: Mapping[Any, Any]) -> tuple[np.ndarray, pd.DataFrame | None]:
    """Return each label (and group) as often as asked."""
    for key, count in counts.items():
        check_number(_WHERE, f"the number of draws of {key!r}", count, low=0, integer=True)
    keys, repeats = list(counts), [int(count) for count in counts.values()]
    if not sum(repeats):
        todo = "Use the base as it is, or ask for more."
        raise ParameterError(sentence(_WHERE, "there must be at least one item to draw", "0", todo))
    if not any(isinstance(key, tuple) for key in keys):
        return np.repeat(as_labels(keys, len(keys), _WHERE, "y"), repeats), None
    if len({len(key) if isinstance(key, tuple) else 0 for key in keys}) != 1 or len(keys[0]) < 2:
        must = "the keys of y must be labels, or all be (label, group, ...)"
        raise ParameterError(sentence(_WHERE, must, repr(keys[:3])))
    table = pd.DataFrame(keys).iloc[np.repeat(np.arange(len(keys)), repeats)].reset_index(drop=True)
    return table[0].to_numpy(), table.iloc[:, 1:]


def _cells_of(
    generator: BaseGenerator, wanted: Any, groups: Any, seed: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the generator's cell and the label (None: no labels) of each draw."""
    condition = generator.condition_
    rng = item_rng(seed, 0, 0, step=_LABELS)
    if isinstance(wanted, int):
        cells = condition.encode(None, None, n=wanted, rng=rng, where=_WHERE)
        labels, _ = condition.decode(cells, rng)
        return cells, None if labels is None else as_labels(labels, wanted, _WHERE, "y")
    if groups is not None:
        groups.columns = pd.Index(condition.group_names[: groups.shape[1]])
    return condition.encode(wanted, groups, rng=rng, where=_WHERE), wanted


def _groups_of(generator: BaseGenerator, cells: np.ndarray) -> np.ndarray | None:
    if not generator.condition_.group_names:
        return None
    groups = generator.condition_.groups_of(cells).to_numpy()
    return groups[:, 0] if groups.shape[1] == 1 else groups


def _joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    if first.dtype.kind != second.dtype.kind and not {first.dtype.kind, second.dtype.kind} <= set("biuf"):
        return np.concatenate([first.astype(object), second.astype(object)])  # numpy would make texts of all
    return np.concatenate([first, second])


def _records_of(dataset: Any) -> int:
    """Return how many records the innermost set has: draws are numbered after them."""
    if isinstance(dataset, SyntheticDataset):
        return len(dataset._cells) + (_records_of(dataset.base) if dataset._real else 0)
    inner = (
        getattr(dataset, "base", None)
        if isinstance(dataset, WrappedDataset)
        else getattr(dataset, "dataset", None)
    )
    return len(dataset) if inner is None else _records_of(inner)
