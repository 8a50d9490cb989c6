"""An enlarged set on disk, as a Dataset."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from torch.utils.data import Dataset

from augsynth.core.errors import DataError
from augsynth.datasets.fields import label_value
from augsynth.datasets.manifest import Manifest
from augsynth.datasets.writers import FORMATS, FileFormat, ShardFormat, give_back

__all__ = ["MaterializedDataset"]

_OPEN_SHARDS = 16


class MaterializedDataset(Dataset):
    """Read an enlarged set from disk: item i is what the stream gave, in the form that it had.

    Parameters
    ----------
    folder : path
        Where `materialize` wrote it.
    verify : bool, default=False
        Whether to compare the SHA-256 of every file now.

    Attributes
    ----------
    manifest : Manifest

    Raises
    ------
    DataError
        If the folder holds no such set, or only a part of one.

    Examples
    --------
    >>> import tempfile, torch
    >>> from torch.utils.data import TensorDataset
    >>> from augsynth.datasets import PerturbedDataset
    >>> from augsynth.perturb import ScaledJitter
    >>> base = TensorDataset(torch.rand(6, 3), torch.arange(6) % 2)
    >>> train = PerturbedDataset(base, ScaledJitter(0.1), copies=2)
    >>> again = MaterializedDataset(train.materialize(tempfile.mkdtemp()).folder)
    >>> bool((again[7][0] == train.at(7, epoch=0)[0]).all()), again.labels[:4].tolist()
    (True, [0, 1, 0, 1])
    """

    def __init__(self, folder: str | os.PathLike[str], *, verify: bool = False):
        self.folder = folder
        self.manifest = Manifest.read(folder)
        if verify:
            self.manifest.verify()
        self._format = FORMATS[self.manifest.format]
        self._layout = self.manifest.layout
        self._items = self.manifest.items()
        if len(self._items) != len(self.manifest):
            raise DataError(
                f"{folder}: manifest.csv must hold {len(self.manifest)} items; given another number."
            )
        self._files = [_inside(name) for name in self._items["file"].tolist()]
        self._shards: OrderedDict[str, Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, i: int) -> Any:
        """Return item ``i``."""
        i = range(len(self))[i]
        name = self._files[i]
        if isinstance(self._format, FileFormat):
            values = self._format.read(self.manifest.folder / name, self._layout)
            if self._layout.label:
                values[self._layout.label] = self._label(self._items["label"].iat[i])
        else:
            values = self._shard(name)[int(self._items["row"].iat[i])]
        return give_back(values, self._layout)

    def _shard(self, name: str) -> Any:
        if name not in self._shards:
            if not isinstance(self._format, ShardFormat):
                raise TypeError(f"{self._format.name} has no shards")
            self._shards[name] = self._format.open(self.manifest.folder / name, self._layout)
            if len(self._shards) > _OPEN_SHARDS:
                self._shards.popitem(last=False)
        return self._shards[name]

    def _label(self, text: str) -> Any:
        return text if self._layout[self._layout.label].kind == "text" else json.loads(text)

    @property
    def labels(self) -> np.ndarray | None:
        """The label of every item, (n,), without reading the items; None where they have none."""
        if not self._layout.label:
            return None
        known = {text: self._label(text) for text in self._items["label"].unique()}
        return pd.Series([known[text] for text in self._items["label"]]).to_numpy()

    @property
    def groups(self) -> np.ndarray | None:
        """The group of every item as a text, (n,), or None."""
        return self._items["group"].to_numpy() if "group" in self._items else None

    @property
    def classes(self) -> list[str] | None:
        """The names behind integer labels, where the set that was written had them."""
        return self.manifest.facts["classes"]

    def describe(self, i: int, epoch: int | None = None) -> dict[str, Any]:
        """Tell how item ``i`` came to be: record, copy, kind and every drawn parameter."""
        row = self._items.iloc[range(len(self))[i]].to_dict()
        told = {name: label_value(value) for name, value in row.items() if name not in ("bytes", "sha256")}
        return {**told, **json.loads(told.pop("parameters"))}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shards": OrderedDict()}  # open files stay in their process


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise DataError(f"{name!r}: a file of the set must lie in its folder.")
    return name
