"""The image sets of the benchmarks: where they lie, how they are split, how they are thinned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from data import _loader, data_folder
from harness import NotHere


@dataclass(frozen=True)
class ImageSplit:
    """Images (n, h, w) split into training and test; ``top`` is the brightest value there can be."""

    name: str
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    top: float
    note: str

    def with_train(self, rows: np.ndarray) -> ImageSplit:
        """Return the split with these training images only."""
        return replace(self, X_train=self.X_train[rows], y_train=self.y_train[rows])


def digits(seed: int) -> ImageSplit:
    """scikit-learn's digits, 8 x 8, whole values 0 to 16, split 70/30 by the seed."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    X, y = load_digits(return_X_y=True)
    parts = train_test_split(X.reshape(-1, 8, 8), y, test_size=0.3, stratify=y, random_state=seed)
    X_train, X_test, y_train, y_test = parts
    return ImageSplit("digits", X_train, y_train, X_test, y_test, 16.0, "70/30, stratified, by seed")


@lru_cache(maxsize=1)
def _fashion(folder: Path) -> ImageSplit:
    loader = _loader(folder)
    if "fashion_mnist" not in loader.names("images"):
        raise NotHere("Fashion-MNIST is not among the data sets here")
    try:
        X, y, info = loader.load_images("fashion_mnist")
    except OSError as error:
        raise NotHere(f"Fashion-MNIST cannot be read here: {type(error).__name__}") from error
    train = info["split"] == "train"
    return ImageSplit("fashion", X[train], y[train], X[~train], y[~train], 255.0, "the split of the origin")


def fashion(seed: int, *, folder: Path | None = None, rows: int | None = None) -> ImageSplit:
    """Fashion-MNIST, 28 x 28 bytes, with the split of its origin; ``rows`` keeps so many a split in classes.

    Raises
    ------
    NotHere
        Where the set is not in the folder of the data sets.
    """
    try:
        split = _fashion(data_folder(folder))
    except SystemExit as reason:  # the table scripts cannot go on without the folder, these can
        raise NotHere(str(reason)) from None
    if rows is None or rows >= len(split.y_train):
        return split
    per_class = dict.fromkeys(range(10), rows // 10)
    thin = split.with_train(chosen(split.y_train, per_class, seed))
    return replace(thin, note=f"{split.note}; {rows:,} training images, as many of each class, by seed")


def load_images(name: str, seed: int, *, folder: Path | None = None, rows: int | None = None) -> ImageSplit:
    """Load a set by name; ``rows`` limits the training images."""
    if name == "fashion":
        return fashion(seed, folder=folder, rows=rows)
    if name != "digits":
        raise NotHere(f"no image set {name!r}: there are digits and fashion")
    split = digits(seed)
    if rows is None or rows >= len(split.y_train):
        return split
    return split.with_train(chosen(split.y_train, dict.fromkeys(range(10), rows // 10), seed))


def chosen(y: np.ndarray, counts: dict[int, int], seed: int) -> np.ndarray:
    """Return positions of so many images of each class, drawn by the seed; larger draws hold smaller ones."""
    picked = []
    for label, n in counts.items():
        order = np.random.default_rng([seed, 20_250, label]).permutation(np.flatnonzero(y == label))
        picked.append(order[:n])
    return np.sort(np.concatenate(picked))
