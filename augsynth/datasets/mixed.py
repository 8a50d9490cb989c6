"""A Dataset whose items are mixtures of two items, with soft labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from augsynth.core.errors import AugsynthError, DataError, InputTypeError, offenders, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import ItemKeys, Streams, step_key
from augsynth.datasets.base import WrappedDataset, depth_of, described, fetch, slot_of
from augsynth.datasets.items import NO_LABEL, Parts, modality_of, take_apart
from augsynth.datasets.labels import classes_of
from augsynth.perturb.containers import dense
from augsynth.perturb.mix import (
    N_UNIFORMS,
    Mixing,
    check_mixing,
    check_samples,
    cut_axes,
    draw_mixing,
    mix_samples,
)

__all__ = ["MixedDataset"]

_WHERE = "MixedDataset"
_FEW = 8  # from here on, numbers for all are drawn quicker than one by one
_PLAIN_MODES = ("L", "RGB", "RGBA", "I;16", "F")


class MixedDataset(WrappedDataset):
    """Mix every item of a training Dataset with another one: MixUp and CutMix, with soft labels.

    Which partner, how much of it and which box are functions of (seed, epoch, record, copy),
    so an item is the same whatever the batch, the worker or the order; an item of a batch
    mixer is not. Items keep their form; the label becomes a float32 tensor (n_classes,).

    Parameters
    ----------
    base : map-style Dataset
        Pictures (tensors, arrays, PIL: these come back as PIL, rounded to whole pixel
        values), clips or rows of one shape.
    method : {"mixup", "cutmix", "cutmixup"}, default="mixup"
        Blend all of two items; paste a box (clips and rows: a stretch) of the partner into
        the item; or one of the two, at even odds for each item.
    alpha : float, default=1.0
        The share of the item itself is drawn from Beta(alpha, alpha). The papers used 0.1
        to 1 for MixUp and 1 for CutMix.
    p : float, default=1.0
        Share of the items that are mixed; the others get a soft label too.
    labels : array-like, (n,), optional
        Of the base's items; by themselves found in most sets, and read from the items.
        Whole numbers are classes 0, 1, ...; other labels are numbered in sorted order; a
        floating type without ``n_classes`` is a target that is mixed as a number.
    n_classes : int, optional
        Length of the soft labels; default: from the base's ``classes`` or its labels. Give
        it for a Subset that may lack a class.
    seed : int, default=0

    Raises
    ------
    DataError, InputTypeError, ParameterError
        One sentence: for items of several shapes, with masks or boxes, or of text.

    Notes
    -----
    Each mixed item reads two items of the base. ``labels`` stay the hard ones of the base.

    References
    ----------
    Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018, arXiv:1710.09412.
    Yun et al., "CutMix", ICCV 2019, arXiv:1905.04899.

    Examples
    --------
    >>> from torch.utils.data import TensorDataset
    >>> base = TensorDataset(torch.rand(10, 3, 8, 8), torch.arange(10) % 2)
    >>> train = MixedDataset(base, "cutmix", seed=1)
    >>> picture, soft = train.at(4, epoch=0)
    >>> tuple(picture.shape), tuple(soft.shape), float(soft.sum())
    ((3, 8, 8), (2,), 1.0)
    """

    def __init__(
        self,
        base: Any,
        method: str = "mixup",
        *,
        alpha: float = 1.0,
        p: float = 1.0,
        labels: Any = None,
        n_classes: int | None = None,
        seed: int = 0,
    ):
        super().__init__(base, labels=labels, seed=seed)
        check_mixing(method, alpha, p, _WHERE)
        if len(base) < 2:
            raise DataError(sentence(_WHERE, "the base must hold at least two items to mix", "1"))
        if n_classes is not None:
            check_number(_WHERE, "n_classes", n_classes, low=1, integer=True)
        self.method, self.alpha, self.p = method, alpha, p
        self.n_classes, self._code_of = self._number(n_classes)
        # A mixer around a mixer of the same seed is keyed by its depth, or both would draw alike.
        self._path = step_key(f"MixedDataset {method}", depth_of(base, MixedDataset))
        self._streams = Streams(self.seed)
        self._begin()

    # -- labels --------------------------------------------------------------------------

    def _number(self, n_classes: int | None) -> tuple[int | None, dict[Any, int] | None]:
        """Return how many classes there are (None: numbers), and their places if not by themselves."""
        if n_classes is not None and self._given_labels is None:
            try:
                labels = self._base_labels()
            except AugsynthError:  # soft labels, say: each item says its own
                return n_classes, None
        labels = self._base_labels()
        if labels.dtype.kind == "f" and n_classes is None:
            return None, None
        if labels.dtype.kind in "biuf" and (labels == np.rint(labels)).all() and labels.min() >= 0:
            found, code_of = int(labels.max()) + 1, None
            names = classes_of(self.base)
            most = max(found, len(names)) if names else found
        else:
            values = sorted(set(labels.tolist()), key=lambda v: (isinstance(v, str), v))
            found = most = len(values)
            code_of = {value: code for code, value in enumerate(values)}
        if n_classes is not None and n_classes < found:
            raise DataError(sentence(_WHERE, f"n_classes must be at least {found}", repr(n_classes)))
        return n_classes or most, code_of

    @property
    def classes(self) -> list[str] | None:
        """The names of the columns of a soft label, where they have any."""
        return super().classes if self._code_of is None else [str(name) for name in self._code_of]

    def _soft(self, parts: Parts, i: int) -> np.ndarray:
        """Return the label of item ``i`` of the base as a soft label, or as a number."""
        label = parts.label if self._given_labels is None else self._given_labels[i]
        if label is NO_LABEL:
            todo = "Pass labels=, one an item."
            raise DataError(sentence(_WHERE, "every item must have a label", f"none at item {i}", todo))
        if isinstance(label, torch.Tensor):
            label = label.detach().cpu().numpy()
        if np.ndim(label) == 1 and len(label) == self.n_classes:
            return np.asarray(label, dtype=np.float64)
        label = label.item() if hasattr(label, "item") and np.size(label) == 1 else label
        if self.n_classes is None and isinstance(label, (int, float)):
            return np.array(float(label))
        code = label if self._code_of is None else self._code_of.get(label)
        if not isinstance(code, (int, float)) or code != int(code) or not 0 <= code < (self.n_classes or 0):
            must = f"a label must be one of {self.n_classes} classes, or hold {self.n_classes} numbers"
            raise DataError(sentence(_WHERE, must, f"{label!r:.60} at item {i}"))
        soft = np.zeros(self.n_classes or 0)
        soft[int(code)] = 1.0
        return soft

    # -- what is drawn -------------------------------------------------------------------

    def _uniforms(self, indices: Sequence[int], epochs: Sequence[int]) -> np.ndarray:
        slots = [slot_of(self.base, i, epoch) for i, epoch in zip(indices, epochs, strict=True)]
        if len(slots) < _FEW:
            keys = zip(epochs, slots, strict=True)
            return np.array(
                [self._streams.at(e, *s, path=self._path).random(N_UNIFORMS + 1) for e, s in keys]
            )
        records, copies = np.array(slots, dtype=np.uint64).T
        return ItemKeys(self.seed, epochs, records, copies, path=self._path).uniforms(N_UNIFORMS + 1)

    def _partners(self, indices: Sequence[int], u: np.ndarray) -> list[int]:
        """Return a partner for each item: any other one of the base, all equally likely."""
        others = (u[:, N_UNIFORMS] * (len(self.base) - 1)).astype(np.int64)
        return (others + (others >= np.asarray(indices))).tolist()

    def _mixing(self, u: np.ndarray, sizes: tuple[int, ...]) -> Mixing:
        return draw_mixing(u, sizes, method=self.method, alpha=self.alpha, p=self.p, where=_WHERE)

    # -- items ---------------------------------------------------------------------------

    def _at(self, i: int, epoch: int) -> Any:
        return self._at_many([i], [epoch])[0]

    def _at_many(self, indices: Sequence[int], epochs: Sequence[int]) -> list[Any]:
        u = self._uniforms(indices, epochs)
        partners = self._partners(indices, u)
        asked, n = [*indices, *partners], len(indices)
        twice = [*epochs, *epochs]
        if isinstance(self.base, WrappedDataset):
            items = self.base._at_many(asked, twice)
        else:
            items = [fetch(self.base, i, e, where=_WHERE) for i, e in zip(asked, twice, strict=True)]
        parts = [take_apart(item, where=_WHERE) for item in items]
        opened = [_open(part, i) for part, i in zip(parts, asked, strict=True)]
        softs = [self._soft(part, i) for part, i in zip(parts, asked, strict=True)]
        out: list[Any] = [None] * n
        together: dict[Any, list[int]] = {}
        for k in range(n):
            a, b = opened[k][0], opened[n + k][0]
            _check_alike(a, b, asked[k], partners[k])
            together.setdefault((type(a), tuple(a.shape), a.dtype), []).append(k)
        for where in together.values():
            mixed, weights = self._mix(
                [opened[k][0] for k in where],
                [opened[n + k][0] for k in where],
                u[where],
                [indices[k] for k in where],
            )
            for k, x, weight in zip(where, mixed, weights.tolist(), strict=True):
                label = softs[k] * weight + softs[n + k] * (1.0 - weight)
                out[k] = _put(
                    parts[k], opened[k][1](x), torch.from_numpy(np.asarray(label, dtype=np.float32))
                )
        return out

    def _mix(
        self, xs: list[Any], others: list[Any], u: np.ndarray, names: list[int]
    ) -> tuple[Any, np.ndarray]:
        """Mix items of one shape, all at once."""
        stack: Callable[[list[Any]], Any] = torch.stack if isinstance(xs[0], torch.Tensor) else np.stack
        x, other = stack(xs), stack(others)
        axes = cut_axes(tuple(x.shape[1:]), isinstance(x, torch.Tensor))
        mixing = self._mixing(u, tuple(x.shape[1 + axis] for axis in axes))
        check_samples(x, _WHERE, names)
        return mix_samples(x, other, mixing, axes), mixing.weights

    def _describe(self, i: int, epoch: int) -> dict[str, Any]:
        u = self._uniforms([i], [epoch])
        partner = self._partners([i], u)[0]
        x, _ = _open(take_apart(fetch(self.base, i, epoch, where=_WHERE), where=_WHERE), i)
        axes = cut_axes(tuple(x.shape), isinstance(x, torch.Tensor))
        mixing = self._mixing(u, tuple(x.shape[axis] for axis in axes))
        weight, is_cut = float(mixing.weights[0]), bool(mixing.is_cut[0])
        mixed = not is_cut and weight < 1
        told: dict[str, Any] = {"method": "cutmix" if is_cut else "mixup" if mixed else "none"}
        told |= {
            "partner": partner,
            "partner_record": slot_of(self.base, partner, epoch)[0],
            "weight": weight,
        }
        if is_cut:  # left, top, right, bottom; start and end of a clip
            told["box"] = [*mixing.starts[0][::-1].tolist(), *mixing.stops[0][::-1].tolist()]
        return told | described(self.base, i, epoch)


def _open(parts: Parts, i: int) -> tuple[Any, Callable[[Any], Any]]:
    """Return a sample as an array or a tensor, and what makes it a sample again."""
    x = parts.x
    found = "" if parts.marks or modality_of(x) != "image" else parts.left_behind()
    if parts.marks or found:
        marks = offenders(sorted(set(parts.marks) - {"labels"}))
        todo = "MixUp and CutMix are for classes; use PerturbedDataset here."
        must = "items must have no masks, boxes or key points"
        raise InputTypeError(sentence(_WHERE, must, f"{found or marks} at item {i}", todo))
    if type(x).__module__.startswith("torchvision.tv_tensors"):
        from torchvision import tv_tensors

        return x.as_subclass(torch.Tensor), lambda mixed: tv_tensors.wrap(mixed, like=x)
    if isinstance(x, torch.Tensor):
        dense(x, f"{_WHERE}: item {i}")
    if isinstance(x, (torch.Tensor, np.ndarray)) and x.ndim:
        return x, lambda mixed: mixed
    if type(x).__module__.startswith("PIL."):
        from PIL import Image

        return np.asarray(x if x.mode in _PLAIN_MODES else x.convert("RGB")), Image.fromarray
    given = f"{type(x).__name__} at item {i}"
    todo = "Texts and single numbers cannot be mixed."
    raise InputTypeError(
        sentence(_WHERE, "a sample must be a picture, a clip or a row of numbers", given, todo)
    )


def _check_alike(a: Any, b: Any, i: int, j: int) -> None:
    if type(a) is not type(b) or a.shape != b.shape or a.dtype != b.dtype:
        given = f"{a.dtype} {tuple(a.shape)} at item {i} and {b.dtype} {tuple(b.shape)} at item {j}"
        todo = "Resize, crop or pad them in the base's transform."
        raise DataError(sentence(_WHERE, "items must have one shape and type to be mixed", given, todo))


def _put(parts: Parts, x: Any, soft: torch.Tensor) -> Any:
    """Return the item with its new sample and its soft label, in its form."""
    if parts.label_place is not None:
        return parts.put(x, label=soft)
    if isinstance(parts.item, Mapping):
        return {**parts.put(x), "label": soft}
    if parts.place is None or len(parts.item) == 1:
        return x, soft
    must = "an item must be (x, label), x, or a mapping with 'label'"
    raise InputTypeError(sentence(_WHERE, must, f"{type(parts.item[1]).__name__} beside x"))
