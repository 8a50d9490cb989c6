"""Samples on disk that can be enlarged, as Datasets: pictures, clips, texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import DataError, ParameterError, offenders, sentence
from augsynth.encode.audio import clip_paths, read_clip
from augsynth.recipe.images import DIGITS, SUFFIXES, ClassFolders, read_images
from augsynth.recipe.tables import SKLEARN, read_source
from augsynth.recipe.wording import meant

__all__ = ["Source", "open_source"]


@dataclass(frozen=True)
class Source:
    """What is to be enlarged.

    Attributes
    ----------
    dataset : map-style Dataset
        Items are ``(picture, class)``, ``(clip, rate, class)`` or ``{"text": ..., "label": ...}``.
    modality : {"image", "audio", "text"}
    noun : str
        What its items are called.
    format : str
        The format that is nearest to its own.
    groups : Series or None
        The group of each item.
    rate : int or None
        Of clips, in hertz.
    """

    dataset: Any
    modality: str
    noun: str
    format: str
    groups: pd.Series | None = None
    rate: int | None = None


def open_source(
    source: str,
    *,
    text_column: str | None = None,
    target: str = "label",
    group_column: str | None = None,
    sample_rate: int | None = None,
) -> Source:
    """Open a folder of class folders, an .npz file or a table with a column of texts.

    Raises
    ------
    DataError, ParameterError
        If it is none of these, or an option does not go with it.
    """
    path = Path(source)
    given = {"--text-column": text_column, "--sample-rate": sample_rate}
    if path.is_dir():
        clips = _holds_clips(path)
        _refuse(
            source,
            "class folders",
            given | {"--group-column": group_column},
            {"--sample-rate"} if clips else set(),
        )
        return _clips(source, sample_rate) if clips else _pictures(source)
    if source == DIGITS or source.endswith(".npz"):
        _refuse(source, "arrays of pictures", given, set())
        return _arrays(source, group_column)
    if not source.startswith(SKLEARN) and not path.exists():
        raise DataError(
            f"{source}: there is no such file or folder. A path is relative to the current directory."
        )
    _refuse(source, "a table", given, {"--text-column"})
    return _texts(source, text_column, target, group_column)


def _refuse(source: str, what: str, given: dict[str, Any], known: set[str]) -> None:
    odd = [name for name, value in given.items() if value is not None and name not in known]
    if odd:
        raise ParameterError(f"{source}: {', '.join(odd)} is of no use with {what}. Leave it out.")


def _holds_clips(path: Path) -> bool:
    """Tell whether class folders hold wav files; both kinds are refused."""
    found = {"pictures": 0, "wav files": 0}
    for file in path.glob("*/**/*"):
        ending = file.suffix.lower()
        found["wav files"] += ending == ".wav"
        found["pictures"] += ending in SUFFIXES
    if all(found.values()):
        given = " and ".join(f"{count} {noun}" for noun, count in found.items())
        must = "a folder must hold pictures or wav files, not both"
        raise DataError(sentence(str(path), must, given, "Enlarge them one after the other."))
    return found["wav files"] > 0


def _pictures(source: str) -> Source:
    return Source(ClassFolders(source), "image", "pictures", "auto")


class _Arrays:
    """Pictures in memory, as a map-style dataset."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        self.images, self.targets = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[np.ndarray, Any]:
        label = self.targets[i]
        return self.images[i], label.item() if isinstance(label, np.generic) else label


def _arrays(source: str, group_column: str | None) -> Source:
    images, labels = read_images(source)
    if labels is None:
        todo = "Save it with numpy.savez(path, images=..., labels=...)."
        raise DataError(sentence(source, "must hold the arrays images and labels", "no labels", todo))
    groups = None
    if group_column is not None:
        groups = _array_of(source, group_column, len(images))
    kept = "auto" if source == DIGITS else "npz"
    return Source(_Arrays(images, labels), "image", "pictures", kept, groups)


def _array_of(source: str, name: str, n: int) -> pd.Series:
    names: list[str] = []
    if source != DIGITS:
        with np.load(source, allow_pickle=False) as opened:
            names = list(opened.files)
            if name in names and opened[name].shape == (n,):
                return pd.Series(opened[name], name=name)
    must = f"--group-column must name an array with one group a picture ({n})"
    raise DataError(sentence(source, must, repr(name), f"Arrays: {', '.join(names) or 'none'}."))


class _Clips:
    """Wav files in class folders, as a map-style dataset: items are (clip, rate, class)."""

    def __init__(self, source: str, rate: int | None):
        self.paths, labels, classes = clip_paths(source)
        self.targets = np.array(classes, dtype=object)[labels]
        self.rate = read_clip(self.paths[0])[1] if rate is None else rate
        self._resamples = rate is not None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[np.ndarray, int, str]:
        clip, rate = read_clip(self.paths[i])
        if rate != self.rate and not self._resamples:
            must = f"all clips must have one sample rate ({self.rate} Hz in {self.paths[0].name})"
            todo = f"Give --sample-rate {self.rate}: clips of other rates are resampled."
            raise DataError(sentence(str(self.paths[i]), must, f"{rate} Hz", todo))
        if rate != self.rate:
            from scipy.signal import resample_poly

            shared = int(np.gcd(rate, self.rate))
            clip = resample_poly(clip, self.rate // shared, rate // shared, axis=-1).astype(np.float32)
        return clip, self.rate, str(self.targets[i])


def _clips(source: str, sample_rate: int | None) -> Source:
    clips = _Clips(source, sample_rate)
    return Source(clips, "audio", "clips", "auto", rate=clips.rate)


class _Texts:
    """A column of texts and one of labels, as a map-style dataset."""

    def __init__(self, texts: list[str], labels: list[Any]):
        self.texts, self.targets = texts, labels

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {"text": self.texts[i], "label": self.targets[i]}


def _texts(source: str, text_column: str | None, target: str, group_column: str | None) -> Source:
    frame = read_source(source)
    if text_column is None:
        wordy = [str(name) for name in frame.columns if _is_wordy(frame[name])]
        must = "enlarge edits pictures, clips and texts, so a table needs a column of texts"
        todo = (
            "For rows of numbers and categories make new ones: augsynth run table_balance_kde data.path=FILE."
        )
        if wordy:
            todo = f"Name it: --text-column {wordy[0]!r}. {todo}"
        raise DataError(sentence(source, must, "none named", todo))
    for option, name in (
        ("--text-column", text_column),
        ("--target", target),
        ("--group-column", group_column),
    ):
        if name is not None and name not in frame.columns:
            hint = meant(name, frame.columns).lstrip("; ").capitalize()
            known = f"{hint} There are: {', '.join(map(str, frame.columns[:12]))}.".strip()
            raise DataError(sentence(source, f"{option} must name a column", repr(name), known))
    for name in dict.fromkeys([text_column, target]):
        _refuse_missing(source, frame[name])
    texts = frame[text_column].tolist()
    odd = [i for i, text in enumerate(texts) if not isinstance(text, str)]
    if odd:
        must = f"the column {text_column!r} must hold texts"
        raise DataError(sentence(source, must, f"{type(texts[odd[0]]).__name__} in row {odd[0]}"))
    groups = None if group_column is None else frame[group_column]
    labels = [
        label if isinstance(label, (str, bool, int, float)) else str(label)
        for label in frame[target].tolist()
    ]
    return Source(_Texts(texts, labels), "text", "texts", "auto", groups)


def _is_wordy(column: pd.Series) -> bool:
    if not (pd.api.types.is_string_dtype(column.dtype) or column.dtype == object):
        return False
    found = column.dropna().astype(str).head(200)
    return bool(len(found)) and float(found.str.count(" ").mean()) >= 2


def _refuse_missing(source: str, column: pd.Series) -> None:
    missing = np.flatnonzero(column.isna().to_numpy())
    if len(missing):
        must = f"every row must have a value in {column.name!r}"
        todo = "Drop these rows, or fill them."
        raise DataError(sentence(source, must, f"none in rows {offenders(missing.tolist())}", todo))
