"""What a dataset is, in words that another process says too: its wrappers, policies, seeds and sizes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch.utils.data import ConcatDataset, Subset

from augsynth import __version__
from augsynth.datasets.base import WrappedDataset

__all__ = ["identity_of", "in_words", "seed_of", "versions_of"]

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_ALWAYS = ("numpy", "torch")
_FORMATS = {"folder": ("pillow",), "parquet": ("pyarrow",)}
_LIBRARIES = {
    "albumentations": ("albumentations", "opencv-python-headless", "opencv-python"),
    "torchvision": ("torchvision", "pillow"),
    "audiomentations": ("audiomentations",),
}
_LONGEST = 200


def identity_of(dataset: Any) -> dict[str, Any]:
    """Describe a dataset: its class, what it was made with, and what it wraps.

    Two datasets with the same description need not hold the same data: files and arrays
    are not read, but for the numbers of labels, groups and indices.

    Examples
    --------
    >>> from torch.utils.data import TensorDataset
    >>> from augsynth.datasets import PerturbedDataset
    >>> from augsynth.perturb import ScaledJitter
    >>> told = identity_of(PerturbedDataset(TensorDataset(torch.ones(4, 2)), ScaledJitter(0.1), seed=7))
    >>> told["dataset"], told["items"], told["seed"], told["policy"]["kind"], told["base"]["dataset"]
    ('PerturbedDataset', 4, 7, 'ScaledJitter', 'TensorDataset')
    """
    told: dict[str, Any] = {"dataset": type(dataset).__name__, "items": len(dataset)}
    if isinstance(dataset, WrappedDataset):
        for name in inspect.signature(type(dataset).__init__).parameters:
            if name in ("self", "base") or name.startswith("_"):
                continue
            value = getattr(dataset, f"_given_{name}", None) if name == "labels" else _own(dataset, name)
            if value is not None:
                told[name] = in_words(value)
        return told | {"base": identity_of(dataset.base)}
    if type(dataset) is Subset:
        told["indices"] = in_words(np.asarray(dataset.indices))
        return told | {"base": identity_of(dataset.dataset)}
    if type(dataset) is ConcatDataset:
        told["parts"] = [identity_of(part) for part in dataset.datasets]
    return told


def _own(dataset: Any, name: str) -> Any:
    return vars(dataset).get(name, vars(dataset).get(f"_base_{name}"))


def in_words(value: Any) -> Any:
    """Return what JSON can hold and another process says alike: no addresses, arrays by their SHA-256."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {_key(key): in_words(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [in_words(inner) for inner in value]
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        content = repr(value.tolist()).encode() if value.dtype == object else value.tobytes()
        return f"{value.dtype} {value.shape} {hashlib.sha256(content).hexdigest()[:16]}"
    if isinstance(value, BaseEstimator):
        held = {name: in_words(inner) for name, inner in value.get_params(deep=False).items()}
        return {"kind": type(value).__name__, **held}
    if inspect.isroutine(value) or inspect.isclass(value):
        return f"{value.__module__}.{value.__qualname__}"
    text = " ".join(_ADDRESS.sub("", repr(value)).split())
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}... {hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return f"{type(value).__module__.partition('.')[0]}: {text}"


def _key(key: Any) -> str:
    return ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def seed_of(identity: Mapping[str, Any]) -> list[int]:
    """Return the seeds in a description, the outermost first."""
    inner = [identity["base"]] if "base" in identity else identity.get("parts", [])
    own = [identity["seed"]] if "seed" in identity else []
    return own + [seed for each in inner for seed in seed_of(each)]


def versions_of(identity: Mapping[str, Any], format: str) -> dict[str, str]:
    """Return the versions of the libraries that the bytes depend on."""
    text = repr(identity).lower()
    names = [*_ALWAYS, *_FORMATS.get(format, ())]
    for library, packages in _LIBRARIES.items():
        names += packages if library in text else ()
    found = {"augsynth": __version__}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # a checkout, or another build of the library
    return dict(sorted(found.items()))
