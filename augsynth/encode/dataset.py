"""Map-style datasets (torch's, torchvision's, anybody's) read into one stack of images and its labels."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from augsynth.core.errors import DataError, InputTypeError, offenders, sentence

__all__ = ["DatasetImages", "is_dataset", "read_dataset"]

_SHOWN_AS = {"1": "L", "P": "RGB", "PA": "RGBA", "LA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB"}
_NO_LABEL = object()


@dataclass(frozen=True)
class DatasetImages:
    """What a dataset held, read once from its first item to its last.

    Attributes
    ----------
    images : ndarray or Tensor
        Tensors stay tensors (n, c, h, w) or (n, h, w) of their type; PIL images become
        bytes (n, h, w) or (n, h, w, c); arrays are stacked as they are.
    labels : ndarray, (n,), or None
        Labels as the dataset gives them; integer targets stay integers.
    classes : list of str or None
        The names behind integer labels, where the dataset (or the one that it wraps) has ``classes``.
    """

    images: Any
    labels: np.ndarray | None
    classes: list[str] | None = None


def is_dataset(X: Any) -> bool:
    """Tell whether X is a map-style dataset: it has items and a length, and is no array, frame, list or text.

    Examples
    --------
    >>> class Faces:
    ...     def __len__(self):
    ...         return 1
    ...     def __getitem__(self, i):
    ...         return np.zeros((8, 8)), "smiles"
    >>> is_dataset(Faces()), is_dataset(np.zeros((3, 8, 8))), is_dataset([1, 2])
    (True, False, False)
    """
    if isinstance(X, (type, Sequence, Mapping, Set, bytearray, memoryview)) or hasattr(X, "__array__"):
        return False
    if type(X).__module__.startswith("scipy.sparse"):
        return False
    return hasattr(X, "__getitem__") and hasattr(X, "__len__")


def read_dataset(dataset: Any, *, where: str = "read_dataset") -> DatasetImages:
    """Read every item of a map-style dataset: images of one size, and their labels if it has any.

    Each item is read once, so what a random transform gives at that reading is what is
    learned: leave augmentation to the dataset that trains the classifier.

    Parameters
    ----------
    dataset : map-style Dataset
        Items are ``(image, label)``, ``image``, or mappings with ``image`` and ``label``;
        an image is a PIL image, an array (h, w) or (h, w, c), or a tensor (c, h, w) or
        (h, w). TensorDataset, ImageFolder, Subset, ConcatDataset and your own all are.
    where : str
        Who asks, for the messages.

    Returns
    -------
    DatasetImages

    Raises
    ------
    DataError, InputTypeError
        For an empty dataset, items that cannot be read, images of several sizes, labels
        that are no single values; each with the first offenders and their number.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> found = read_dataset(TensorDataset(torch.zeros(5, 1, 8, 8), torch.arange(5)))
    >>> tuple(found.images.shape), found.labels.tolist()
    ((5, 1, 8, 8), [0, 1, 2, 3, 4])
    """
    n = len(dataset)
    if n == 0:
        raise DataError(sentence(where, "a dataset must hold at least one item", "none"))
    stack = first = tensor = None
    labels: list[Any] = []
    odd: dict[int, tuple[int, ...]] = {}
    for i in range(n):
        item, label = _parts(_item(dataset, i, where), i, where)
        image, is_tensor = _pixels(item, i, where)
        if stack is None:
            first, tensor = image, is_tensor
            stack = np.empty((n, *image.shape), dtype=image.dtype)
        if image.shape != stack.shape[1:]:
            odd[i] = image.shape
        elif not odd:
            if not np.can_cast(image.dtype, stack.dtype):
                stack = stack.astype(np.result_type(stack.dtype, image.dtype))
            stack[i] = image
        labels.append(label)
    if stack is None or first is None or odd:
        raise DataError(_several_sizes(first, odd, where))
    return DatasetImages(_wrap(stack, bool(tensor)), _labels(labels, where), _classes(dataset))


def _item(dataset: Any, i: int, where: str) -> Any:
    try:
        return dataset[i]
    except MemoryError:
        raise
    except Exception as error:  # a dataset's own code may raise anything
        reason = " ".join(str(error).split())[:200]
        given = f"{type(error).__name__} at item {i} ({reason})"
        raise DataError(sentence(where, "every item of the dataset must be readable", given)) from error


def _parts(item: Any, i: int, where: str) -> tuple[Any, Any]:
    """Return (image, label) of an item; the label is _NO_LABEL where there is none."""
    if isinstance(item, Mapping):
        if "image" not in item:
            given = f"a mapping with {offenders(list(item))} at item {i}"
            raise InputTypeError(sentence(where, "an item must have the key 'image'", given))
        return item["image"], item.get("label", _NO_LABEL)
    if isinstance(item, (tuple, list)):
        if not item:
            raise InputTypeError(sentence(where, "an item must hold an image", f"nothing at item {i}"))
        return item[0], item[1] if len(item) > 1 else _NO_LABEL
    return item, _NO_LABEL


def _pixels(image: Any, i: int, where: str) -> tuple[np.ndarray, bool]:
    """Return the pixels of one image, and whether it was a tensor."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(image, torch.Tensor):
        return image.detach().cpu().numpy(), True
    mode = getattr(image, "mode", None)
    if isinstance(mode, str) and hasattr(image, "convert"):  # a PIL image
        image = np.asarray(image.convert(_SHOWN_AS[mode]) if mode in _SHOWN_AS else image)
    if not hasattr(image, "__array__"):
        must = "an image must be a PIL image, an array or a tensor"
        raise InputTypeError(sentence(where, must, f"{type(image).__name__} at item {i}"))
    array = np.asarray(image)
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        given = f"dtype {array.dtype}, shape {array.shape} at item {i}"
        raise InputTypeError(sentence(where, "pixels must be numbers", given))
    return array, False


def _several_sizes(first: Any, odd: dict[int, tuple[int, ...]], where: str) -> str:
    shown = [f"{shape} at item {i}" for i, shape in list(odd.items())[:4]]
    rest = f" and {len(odd) - len(shown)} more" if len(odd) > len(shown) else ""
    given = f"{first.shape} at item 0, but {', '.join(shown)}{rest}"
    todo = "Resize or crop them, with the dataset's transform, say."
    return sentence(where, "all images must have one size and as many channels", given, todo)


def _wrap(stack: np.ndarray, tensor: bool) -> Any:
    if not tensor:
        return stack
    import torch

    return torch.from_numpy(stack)


def _labels(labels: list[Any], where: str) -> np.ndarray | None:
    absent = [i for i, label in enumerate(labels) if label is _NO_LABEL]
    if len(absent) == len(labels):
        return None
    if absent:
        given = f"none at item {offenders(absent)}"
        raise DataError(sentence(where, "every item or none must have a label", given))
    cells = [_scalar(label, i, where) for i, label in enumerate(labels)]
    kinds = {type(cell) for cell in cells}
    if kinds == {str}:
        return np.array(cells, dtype=object)
    array = np.array(cells) if len(kinds) == 1 and kinds <= {int, float, bool} else None
    if array is None:  # missing labels among others, or numbers and texts
        array = np.empty(len(cells), dtype=object)
        array[:] = cells
    return array


def _scalar(label: Any, i: int, where: str) -> Any:
    if hasattr(label, "item") and getattr(label, "shape", None) in ((), (1,)):
        return label.item()
    if label is None or isinstance(label, (str, int, float)):
        return label
    given = f"{type(label).__name__} {str(label)[:40]!r} at item {i}"
    todo = "One-hot labels: give their argmax."
    raise InputTypeError(sentence(where, "a label must be one number or text", given, todo))


def _classes(dataset: Any) -> list[str] | None:
    """Return the names of the classes, looking through Subset and ConcatDataset."""
    names = getattr(dataset, "classes", None)
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
        return list(names)
    if hasattr(dataset, "dataset"):
        return _classes(dataset.dataset)
    found = [_classes(part) for part in getattr(dataset, "datasets", [])]
    return found[0] if found and all(names == found[0] for names in found) else None
