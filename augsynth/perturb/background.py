"""Background sounds of the user's own, mixed under audio clips."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import gcd
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from scipy.signal import resample_poly

from augsynth.core.errors import DataError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.encode.audio import read_clip
from augsynth.perturb.audio import SILENT, mixed_at, refused_silence
from augsynth.perturb.clips import AudioPerturbation, Range, between, bounds, power, take_clip

__all__ = ["BackgroundMix"]

Source = str | os.PathLike[str] | Sequence[Any] | np.ndarray


class BackgroundMix(AudioPerturbation):
    """Mix a stretch of one of your own recordings under a clip, at an exact signal-to-noise ratio.

    A recording longer than the clip is cut at a random place, a shorter one goes round
    and round from a random sample on. A stretch that happens to be silent leaves the clip
    as it is. Recordings of another sample rate are resampled when they are read. They are
    read once, at ``fit`` or at the first clip, and kept in memory.

    Parameters
    ----------
    source : path of a folder or a wav file, or list of paths or of arrays
        Folders are searched with all that is in them. Arrays are (n,) or (channels, n) of
        the same sample rate. Recordings with other channels than the clip are averaged.
    snr_db : float or (least, most), default=(3, 20)
        Decibels that the clip's power lies above the background's.
    sample_rate : int, default=16000
        Of the clips, in hertz.
    silent : {"error", "keep"}, default="error"
        No background stands at a given ratio to a silent clip: say so, or leave such a
        clip as it is.

    Raises
    ------
    DataError
        For files that are missing, broken or silent, and for a silent clip unless
        ``silent="keep"``.

    Examples
    --------
    >>> hum = np.sin(np.arange(500) * 0.05)
    >>> clip = np.sin(np.arange(2000) * 0.7)
    >>> noisy = BackgroundMix([hum], snr_db=6)(clip, random_state=0)
    >>> round(float(10 * np.log10((clip**2).mean() / ((noisy - clip) ** 2).mean())), 3)
    6.0
    """

    n_uniforms: ClassVar[int] = 3

    def __init__(
        self,
        source: Source = (),
        *,
        snr_db: Range = (3.0, 20.0),
        sample_rate: int = 16000,
        silent: str = "error",
    ):
        self.source = source
        self.snr_db = snr_db
        self.sample_rate = sample_rate
        self.silent = silent

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Read the recordings."""
        self.recordings_ = self._read()
        return self

    def _recordings(self) -> list[np.ndarray]:
        if not hasattr(self, "recordings_"):
            self.fit()
        return self.recordings_

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return which recording (evenly), where in it, as a share, and the ratio in decibels."""
        check_option("BackgroundMix", "silent", self.silent, ["error", "keep"])
        ends = bounds("BackgroundMix", "snr_db", self.snr_db, low=-200, high=200)
        return {
            "recording": (u[:, 0] * len(self._recordings())).astype(np.int64),
            "place": u[:, 1],
            "snr_db": between(ends, u[:, 2]),
        }

    def _edit(self, clip: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        if power(clip) < SILENT:
            return refused_silence("BackgroundMix", clip, self.silent)
        recording = self._recordings()[params["recording"]]
        channels = 1 if clip.ndim == 1 else len(clip)
        if len(recording) not in (1, channels):
            recording = recording.mean(axis=0, keepdims=True)
        stretch = _stretch(recording, clip.shape[-1], params["place"])
        stretch = stretch[0] if clip.ndim == 1 else np.broadcast_to(stretch, clip.shape)
        return mixed_at(clip, stretch, params["snr_db"])

    def _read(self) -> list[np.ndarray]:
        where = "BackgroundMix"
        check_number(where, "sample_rate", self.sample_rate, low=1, integer=True)
        one = isinstance(self.source, (str, os.PathLike))
        listed: list[Any] = [self.source] if one else list(self.source)  # type: ignore[list-item, arg-type]
        if isinstance(self.source, np.ndarray) and self.source.ndim == 1:
            listed = [self.source]
        found: list[np.ndarray] = []
        for entry in listed:
            if isinstance(entry, (str, os.PathLike)):
                found += [self._from_file(path) for path in _wav_files(Path(entry))]
            else:
                taken = take_clip(where, entry)[0]
                scale = np.float32(2.0**-15 if taken.dtype == np.int16 else 1.0)
                found.append(np.atleast_2d(taken).astype(np.float32) * scale)
        if not found:
            must = "source must be a folder, a wav file, or a list of files or arrays"
            raise DataError(sentence(where, must, repr(self.source), "Give at least one recording."))
        silent = [k for k, recording in enumerate(found) if power(recording) < SILENT]
        if silent:
            must = "recordings must not be silent"
            given = f"{len(silent)} silent of {len(found)}, the first is number {silent[0]}"
            raise DataError(sentence(where, must, given, "Leave silent ones out."))
        return found

    def _from_file(self, path: Path) -> np.ndarray:
        clip, rate = read_clip(path)
        clip = np.atleast_2d(clip)
        if rate == self.sample_rate:
            return clip
        common = gcd(rate, self.sample_rate)
        return resample_poly(clip, self.sample_rate // common, rate // common, axis=-1).astype(np.float32)


def _wav_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() == ".wav" and not p.name.startswith("."))
    if not found:
        todo = "Give a folder with recordings, or the files themselves."
        must = "a folder of recordings must hold wav files"
        raise DataError(sentence("BackgroundMix", must, f"none in {path.name!r}", todo))
    return found


def _stretch(recording: np.ndarray, n: int, place: float) -> np.ndarray:
    """Return n samples of a recording (channels, m): a piece, or the whole again and again."""
    m = recording.shape[1]
    if m >= n:
        start = int(place * (m - n + 1))
        return recording[:, start : start + n]
    return np.take(recording, np.arange(int(place * m), int(place * m) + n), axis=1, mode="wrap")
