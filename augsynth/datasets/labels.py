"""The labels of a dataset, found without reading its items where that is possible."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset

from augsynth.core.errors import AugsynthError, DataError, InputTypeError, offenders, sentence
from augsynth.datasets.items import NO_LABEL, take_apart

__all__ = ["as_labels", "check_map_style", "classes_of", "find_labels", "kept_labels"]

_ATTRIBUTES = ("targets", "labels", "_labels", "y", "samples", "_samples", "imgs")


def check_map_style(dataset: Any, where: str) -> Any:
    """Return a dataset that has items and a length; raise the sentence for anything else."""
    if isinstance(dataset, IterableDataset) or not (
        hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
    ):
        must = "the base must be a map-style Dataset, with __getitem__ and __len__"
        raise InputTypeError(sentence(where, must, type(dataset).__name__))
    if len(dataset) == 0:
        raise DataError(sentence(where, "the base must hold at least one item", "none"))
    return dataset


def find_labels(dataset: Any, labels: Any = None, *, where: str = "labels") -> np.ndarray:
    """Return one label an item, (n,).

    Labels that are given win. Otherwise they come from TensorDataset's second tensor, from
    the attributes that torchvision's and most other sets keep them in (``targets``,
    ``labels``, ``samples``; their ``target_transform`` is applied), through Subset and
    ConcatDataset however they are nested; and as a last resort from reading every item.

    Raises
    ------
    DataError
        If there are none, they are of the wrong number, missing, or not single values.

    Examples
    --------
    >>> data = TensorDataset(torch.zeros(4, 2), torch.tensor([3, 1, 3, 2]))
    >>> find_labels(Subset(Subset(data, [1, 2, 3]), [0, 2])).tolist()
    [1, 2]
    """
    if labels is not None:
        return as_labels(labels, len(dataset), where)
    found = kept_labels(dataset, where)
    return as_labels(_read(dataset, where) if found is None else found, len(dataset), where)


def as_labels(labels: Any, n: int, where: str, name: str = "labels") -> np.ndarray:
    """Return labels (n,) as an array, checked."""
    if isinstance(labels, torch.Tensor):
        labels = labels.detach().cpu().numpy()
    if hasattr(labels, "to_numpy"):
        labels = labels.to_numpy()
    if isinstance(labels, (list, tuple)):
        labels = pd.Series(list(labels)).to_numpy()  # keeps 1 and "1" apart, which numpy does not
    array = np.asarray(labels)
    if array.shape != (n,):
        must = f"{name} must hold one value an item ({n})"
        raise DataError(sentence(where, must, f"shape {array.shape}"))
    if array.dtype == object and any(np.ndim(label) for label in array):
        given = f"{next(type(label).__name__ for label in array if np.ndim(label))}s"
        raise DataError(sentence(where, f"{name} must be single values", given))
    if array.dtype.kind in "fO":
        missing = np.flatnonzero(pd.isna(array))
        if len(missing):
            must = f"every item must have one of the {name}"
            raise DataError(sentence(where, must, f"none for items {offenders(missing.tolist())}"))
    return array


def kept_labels(dataset: Any, where: str) -> Any:
    """Return the labels that a dataset keeps beside its items, or None."""
    if isinstance(dataset, Subset):
        inner = kept_labels(dataset.dataset, where)
        return None if inner is None else np.asarray(inner)[np.asarray(dataset.indices, dtype=np.intp)]
    if isinstance(dataset, ConcatDataset):
        parts = [kept_labels(part, where) for part in dataset.datasets]
        if any(part is None for part in parts):
            return None
        kinds = {np.asarray(part).dtype.kind in "US" for part in parts}
        # numpy would turn 0 into "0" where another part has texts.
        parts = [np.asarray(part).astype(object) for part in parts] if len(kinds) > 1 else parts
        return np.concatenate(parts)
    if isinstance(dataset, TensorDataset):
        tensors = dataset.tensors
        return tensors[1].cpu().numpy() if len(tensors) > 1 and tensors[1].ndim == 1 else None
    for name in _ATTRIBUTES:
        kept = getattr(dataset, name, None)
        if kept is None or callable(kept) or not hasattr(kept, "__len__") or len(kept) != len(dataset):
            continue
        if "samples" in name or name == "imgs":
            if not isinstance(kept[0], (tuple, list)) or len(kept[0]) != 2:
                continue
            kept = [label for _, label in kept]
        array = np.asarray(kept.cpu() if isinstance(kept, torch.Tensor) else kept)
        if array.ndim == 1:
            array = _transformed(array, getattr(dataset, "target_transform", None))
            _check_first(dataset, array, name, where)
            return array
    return None


def _transformed(labels: np.ndarray, transform: Any) -> np.ndarray:
    if transform is None:
        return labels
    values, places = np.unique(labels, return_inverse=True)
    return np.asarray([transform(value.item()) for value in values])[places]


def _check_first(dataset: Any, labels: np.ndarray, name: str, where: str) -> None:
    """Catch a dataset whose attribute is not what its items say (a transform of its own, say)."""
    if not isinstance(dataset, Dataset) or hasattr(dataset, "set_epoch"):
        return
    try:
        said = take_apart(dataset[0]).label
    except Exception:  # an item that cannot be read is told of when it is asked for
        return
    said = said.item() if hasattr(said, "item") and np.ndim(said) == 0 else said
    if isinstance(said, (int, str)) and said != labels[0]:
        must = f"the labels in {type(dataset).__name__}.{name} must be those of the items"
        given = f"{labels[:1].tolist()[0]!r} there and {said!r} in item 0"
        raise DataError(sentence(where, must, given, "Pass labels=, one an item."))


def _read(dataset: Any, where: str) -> list[Any]:
    labels = []
    todo = "Pass labels=, one an item."
    for i in range(len(dataset)):
        try:
            label = take_apart(dataset[i], where=where).label
        except AugsynthError:
            raise
        except Exception as error:  # a dataset's own code may raise anything
            given = f"{type(error).__name__} at item {i} ({' '.join(str(error).split())[:200]})"
            raise DataError(sentence(where, "every item must be readable", given)) from error
        label = label.item() if hasattr(label, "item") and np.ndim(label) == 0 else label
        if label is NO_LABEL or np.ndim(label):
            given = f"{type(label).__name__} at item {i}" if label is not NO_LABEL else f"none at item {i}"
            raise DataError(sentence(where, "labels must be found in the dataset", given, todo))
        labels.append(label)
    return labels


def classes_of(dataset: Any) -> list[str] | None:
    """Return the names behind integer labels, where a dataset (or one that it holds) has them."""
    while True:
        classes = getattr(dataset, "classes", None)
        if isinstance(classes, (list, tuple)) and classes:
            return [str(name) for name in classes]
        inner = getattr(dataset, "dataset", None) or getattr(dataset, "base", None)
        if inner is None and isinstance(dataset, ConcatDataset):
            inner = dataset.datasets[0]
        if inner is None:
            return None
        dataset = inner
