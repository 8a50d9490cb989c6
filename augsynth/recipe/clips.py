"""Clips of a recipe: a folder of class folders of wav files, read and written."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from augsynth.core.errors import DataError, offenders, sentence
from augsynth.encode.audio import clip_paths, read_clip, write_clip
from augsynth.recipe.writers import folder_name

__all__ = ["holds_clips", "read_clips", "write_clips"]

LISTING = "manifest.csv"


def holds_clips(source: str) -> bool:
    """Tell whether a source is a folder with wav files in class folders, and no images."""
    root = Path(source)
    if not root.is_dir():
        return False
    files = (path for place in sorted(root.iterdir()) if place.is_dir() for path in place.rglob("*"))
    return next((path.suffix.lower() == ".wav" for path in files if path.is_file() and path.suffix), False)


def read_clips(source: str) -> tuple[list[np.ndarray], np.ndarray, int]:
    """Read every wav file of a folder of class folders.

    Returns
    -------
    clips : list of ndarray of float32, (n,) or (channels, n)
        Of any lengths.
    labels : ndarray of str objects, (n_clips,)
        The names of the folders.
    rate : int
        Samples a second, of all of them.

    Raises
    ------
    DataError
        If there are none, one cannot be read, or they have several rates.
    """
    paths, codes, classes = clip_paths(source)
    clips, rates = [], []
    for path in paths:
        clip, rate = read_clip(path)
        clips.append(clip)
        rates.append(rate)
    counts = Counter(rates)
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        odd = [f"{path.name}: {rate} Hz" for path, rate in zip(paths, rates, strict=True) if rate != usual]
        must = f"clips must have one sample rate (most have {usual} Hz)"
        raise DataError(sentence(source, must, offenders(odd), "Resample those files."))
    return clips, np.array(classes, dtype=object)[codes], rates[0]


def write_clips(clips: list[np.ndarray], labels: Any, folder: Path, rate: int) -> list[str]:
    """Write clips as wav files of floats (nothing is cut off) into class folders; return their names.

    A listing, ``manifest.csv``, has the file and the label of every clip, in order.
    """
    folder.mkdir()
    places: dict[Any, str] = {}
    numbers: Counter[str] = Counter()
    files = []
    for clip, label in zip(clips, labels, strict=True):
        if label not in places:
            places[label] = _free_name(folder_name(label), set(places.values()))
            (folder / places[label]).mkdir()
        numbers[places[label]] += 1
        files.append(f"{places[label]}/{numbers[places[label]]:06d}.wav")
        write_clip(folder / files[-1], clip, rate, encoding="float32")
    with (folder / LISTING).open("w", encoding="utf-8", newline="") as stream:
        listing = csv.writer(stream)
        listing.writerow(["file", "label"])
        listing.writerows(zip(files, labels, strict=True))
    return files


def _free_name(plain: str, taken: set[str]) -> str:
    name, number, lower = plain, 1, {each.lower() for each in taken}
    while name.lower() in lower:  # two labels may differ in a letter that no folder can have
        number += 1
        name = f"{plain}_{number}"
    return name
