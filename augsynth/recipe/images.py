"""Images on disk: a folder of class folders, or an .npz file with images and labels."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from augsynth.core.errors import DataError, offenders, sentence
from augsynth.encode.dataset import read_dataset

__all__ = ["ClassFolders", "holds_images", "read_images"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
DIGITS = "sklearn:digits"


def holds_images(source: str) -> bool:
    """Tell whether a source is images by its name alone: a folder, or an .npz file.

    Examples
    --------
    >>> holds_images("faces.npz"), holds_images("people.csv"), holds_images("sklearn:digits")
    (True, False, False)
    """
    return source.endswith((".npz", "/", "\\")) or Path(source).is_dir()


class ClassFolders:
    """Images in folders named by their class, as a map-style dataset: items are (PIL image, class).

    Parameters
    ----------
    root : path
        Every folder in it is a class; every image below that folder, at any depth, is of the class.
        Hidden folders and files that are no images are passed over.

    Raises
    ------
    DataError
        If there is no such folder, or no image in its folders.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root)
        if not self.root.is_dir():
            raise DataError(f"{root}: there is no such folder. A path is relative to the current directory.")
        places = sorted(each for each in self.root.iterdir() if each.is_dir() and each.name[0] != ".")
        self.files = [(path, place.name) for place in places for path in _images_in(place)]
        self.classes = sorted({name for _, name in self.files})
        if not self.files:
            loose = len(_images_in(self.root))
            must = "images must lie in folders named by their class, such as cats/001.png"
            given = f"{loose} images beside each other" if loose else f"{len(places)} folders without images"
            raise DataError(sentence(str(root), must, given, f"Known endings: {', '.join(SUFFIXES)}."))

    def __len__(self) -> int:
        return len(self.files)

    @property
    def targets(self) -> list[str]:
        """The class of every image, without reading any."""
        return [label for _, label in self.files]

    def __getitem__(self, i: int) -> tuple[Any, str]:
        from PIL import Image

        path, label = self.files[i]
        try:
            with Image.open(path) as image:
                image.load()
                return image, label
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f"{path}: this image cannot be read ({' '.join(str(error).split())}).") from error


def _images_in(place: Path) -> list[Path]:
    found = (path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in found if not path.name.startswith("."))


def read_images(source: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Read images (n, h, w) or (n, h, w, c), and their labels (n,) if there are any.

    Parameters
    ----------
    source : str
        A folder of class folders; an .npz file with the arrays ``images`` and ``labels``
        (nothing in it is executed); or ``sklearn:digits`` (1,797 digits of 8 x 8 pixels).

    Raises
    ------
    DataError
        For anything that is absent, unreadable, or of several sizes.
    """
    if source == DIGITS:
        from sklearn.datasets import load_digits

        digits = load_digits()
        return digits.images.astype(np.uint8), digits.target
    if source.endswith(".npz"):
        return _read_npz(Path(source))
    folders = ClassFolders(source)
    found = read_dataset(folders, where=source)
    return found.images, found.labels


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    if not path.is_file():
        raise DataError(f"{path}: there is no such file. A path is relative to the current directory.")
    try:
        with np.load(path, allow_pickle=False) as opened:
            arrays = {name: opened[name] for name in ("images", "labels") if name in opened.files}
            names = list(opened.files)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: this file cannot be read as arrays ({reason}).") from error
    if "images" not in arrays:
        todo = "Save it with numpy.savez(path, images=..., labels=...)."
        given = f"arrays {offenders(names)}" if names else "no array"
        raise DataError(sentence(str(path), "must hold the arrays images and labels", given, todo))
    images, labels = arrays["images"], arrays.get("labels")
    if images.ndim not in (3, 4):
        must = "images must have the shape (n, h, w), (n, h, w, c) or (n, c, h, w)"
        raise DataError(sentence(str(path), must, str(images.shape)))
    if labels is not None and labels.shape != (len(images),):
        given = f"{len(images)} images, labels of shape {labels.shape}"
        raise DataError(sentence(str(path), "there must be one label an image", given))
    if labels is not None and labels.dtype.kind in "US":
        labels = labels.astype(str).astype(object)
    return images, labels
