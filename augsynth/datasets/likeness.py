"""Drawn rows made to look like the items of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from augsynth.core.errors import DataError, InputTypeError, offenders, sentence
from augsynth.datasets.items import NO_LABEL, Parts, take_apart

__all__ = ["Likeness", "row_of"]

_WHERE = "SyntheticDataset"
_TODO = "Pass transform=, which makes the x of an item from a drawn row."


def row_of(rows: Any, k: int) -> Any:
    """Return row ``k`` of a container as the sample of an item.

    Rows of numbers become tensors, DataFrame rows dicts by column; pictures and clips stay
    arrays or tensors, texts stay texts.

    Examples
    --------
    >>> row_of(pd.DataFrame({"age": [20, 30], "sex": ["f", "m"]}), 1)
    {'age': 30, 'sex': 'm'}
    """
    if isinstance(rows, pd.DataFrame):
        values = ((name, rows[name].array[k]) for name in rows.columns)
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in values}
    if isinstance(rows, pd.Series):
        return rows.iloc[k]
    row = rows[k]
    if isinstance(row, list) and row and all(isinstance(value, (int, float)) for value in row):
        return torch.tensor(row)
    if isinstance(row, np.ndarray) and row.ndim == 1 and rows.dtype.kind in "biuf":
        return torch.from_numpy(row)
    return row


@dataclass(frozen=True)
class Likeness:
    """The form of a dataset's items, into which rows are put.

    Attributes
    ----------
    parts : Parts
        An item of the dataset.
    """

    parts: Parts

    @classmethod
    def of(cls, item: Any, has_labels: bool) -> Likeness:
        """Learn the form from one item; raise where rows cannot take it."""
        parts = take_apart(item, where=_WHERE)
        if parts.label is not NO_LABEL and not has_labels:
            given = "a generator fitted without y"
            raise DataError(
                sentence(_WHERE, "the base's items have labels, so draws must", given, "Fit it with y.")
            )
        known = {parts.place, parts.label_place} - {None}
        if isinstance(item, Mapping):
            other = [key for key in item if key not in known]
        else:  # the rate beside a clip is that of every clip
            size = len(item) if isinstance(item, (tuple, list)) else 1
            other = [] if parts.label_place == 2 and size == 3 else list(range(size))[len(known) or 1 :]
        if other or parts.marks or np.ndim(parts.label if parts.label is not NO_LABEL else 0):
            must = "items of the base must be x, (x, label) or mappings of both, for draws to look like them"
            given = (
                f"{type(item).__name__} with {offenders(other or sorted(parts.marks) or ['several labels'])}"
            )
            raise InputTypeError(sentence(_WHERE, must, given))
        return cls(parts)

    def item(self, x: Any, label: Any, *, as_it_is: bool = False) -> Any:
        """Return an item of this sample and label; ``as_it_is`` leaves the sample alone."""
        if not as_it_is:
            x = _made_like(x, self.parts.x)
        return (
            self.parts.put(x) if self.parts.label is NO_LABEL else self.parts.put(x, label=self._label(label))
        )

    def _label(self, label: Any) -> Any:
        plain = label.item() if isinstance(label, np.generic) else label
        like = self.parts.label
        seen = like.item() if hasattr(like, "item") else like
        if isinstance(seen, str) != isinstance(plain, str):
            given = f"{plain!r} and {seen!r}"
            todo = "Fit the generator with the labels of the base."
            raise DataError(
                sentence(_WHERE, "labels of draws and of the base must be of one type", given, todo)
            )
        if isinstance(like, torch.Tensor):
            return torch.full_like(like, plain)
        if isinstance(like, np.generic):
            return like.dtype.type(plain)
        return type(like)(plain) if isinstance(like, (int, float)) else plain


def _made_like(x: Any, like: Any) -> Any:
    """Return a drawn sample in the container and number type of another."""
    if type(like).__module__.startswith("PIL."):
        made = _as_picture(x, like)
    elif isinstance(like, torch.Tensor):
        made = _as_tensor(x, like)
    elif isinstance(like, np.ndarray) and isinstance(x, (np.ndarray, torch.Tensor)):
        made = _same_kind(np.asarray(x), like)
    else:
        made = x
    if type(made) is not type(like) or _form(made) != _form(like):
        must = "draws must look like the base's items"
        raise DataError(sentence(_WHERE, must, f"{_told(x)} and {_told(like)}", _TODO))
    return made


def _as_picture(x: Any, like: Any) -> Any:
    from PIL import Image

    pixels = np.asarray(x)
    if isinstance(x, torch.Tensor) and pixels.ndim == 3:
        pixels = pixels.transpose(1, 2, 0).squeeze(axis=2) if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        return x
    made = Image.fromarray(np.ascontiguousarray(pixels))
    return made if made.mode == like.mode or like.mode not in ("1", "P", "LA") else made.convert(like.mode)


def _as_tensor(x: Any, like: torch.Tensor) -> Any:
    if isinstance(x, np.ndarray) and x.dtype.kind in "biuf":
        if like.ndim == 3 and x.ndim in (2, 3) and tuple(x.shape) != tuple(like.shape):
            x = x[None] if x.ndim == 2 else np.ascontiguousarray(x.transpose(2, 0, 1))
        if x.dtype == np.uint8 and like.dtype.is_floating_point and x.ndim == 3:
            return torch.from_numpy(x).to(like.dtype) / 255
        x = torch.from_numpy(x)
    if isinstance(x, torch.Tensor) and x.dtype.is_floating_point == like.dtype.is_floating_point:
        x = x.to(like.dtype)
    return x if type(like) is torch.Tensor or not isinstance(x, torch.Tensor) else x.as_subclass(type(like))


def _same_kind(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    return x.astype(like.dtype) if x.dtype.kind == like.dtype.kind else x


def _form(x: Any) -> Any:
    if hasattr(x, "shape"):
        return tuple(x.shape), x.dtype
    return (x.size, x.mode) if type(x).__module__.startswith("PIL.") else None


def _told(x: Any) -> str:
    form = _form(x)
    return type(x).__name__ if form is None else f"{type(x).__name__} {form[0]} {form[1]}"
