"""Pictures and clips as rows of numbers that a linear classifier reads well."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from augsynth.core.errors import DataError, sentence

__all__ = ["ClipFeatures", "PictureFeatures", "averages", "picture_array"]

_SIDES, _THUMB, _CELLS, _ANGLES = (16, 32), 12, 7, 8
_BANDS, _CEPSTRA, _PARTS = 32, 16, 4
_FLOOR = 1e-4  # of the mean energy of a clip: what lies 40 dB below it says nothing
_WHERE = "label_preservation"


class PictureFeatures(TransformerMixin, BaseEstimator):
    """Pictures of any container and size as rows: thumbnails, and directions of edges in a grid of cells.

    Directions are over the full circle, so that what is turned looks turned; each cell is
    scaled by its own strength. Costs about 0.2 ms a picture of 28 pixels.

    Attributes
    ----------
    top_ : float
        The brightest value of the pictures; 255 for bytes.
    shape_ : (height, width, channels)
        That pictures are brought to: of the largest, but 16 to 32 pixels a side.

    References
    ----------
    Dalal and Triggs, "Histograms of oriented gradients for human detection", CVPR 2005,
    doi:10.1109/CVPR.2005.177 (here without overlapping blocks).
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the brightest value, where the dtype does not say it, and the size."""
        arrays = [picture_array(x) for x in X]
        self.top_ = max((_top(array) for array in arrays), default=1.0)
        height, width, channels = (max(array.shape[axis] for array in arrays) for axis in range(3))
        self.shape_ = int(np.clip(height, *_SIDES)), int(np.clip(width, *_SIDES)), channels
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return rows (n, d) of float32; d is at most 1,000 for pictures of three channels."""
        small = np.empty((len(X), *self.shape_), dtype=np.float32)
        for i, x in enumerate(X):
            array = picture_array(x)
            if array.shape[2] > self.shape_[2]:
                array = array.mean(axis=2, keepdims=True)
            small[i] = _resized(array, *self.shape_[:2])  # one channel is spread over all
        small /= np.float32(self.top_)
        odd = np.flatnonzero(~np.isfinite(small.reshape(len(small), -1)).all(axis=1))
        if len(odd):
            given = f"NaN or infinity in {len(odd)}, the first at {int(odd[0])}"
            raise DataError(sentence(_WHERE, "pictures must hold finite numbers", given))
        return np.hstack([_thumbnails(small), _directions(small.mean(axis=3))])


def picture_array(x: Any) -> np.ndarray:
    """Return a picture as an array (h, w, c)."""
    if hasattr(x, "detach"):
        array = x.detach().cpu().numpy()
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
    else:
        array = np.asarray(x.convert("RGB") if hasattr(x, "getbands") and x.mode != "L" else x)
        if array.ndim == 3 and array.shape[0] <= 4 < array.shape[2]:
            array = array.transpose(1, 2, 0)
    return array[:, :, None] if array.ndim == 2 else array


def _top(array: np.ndarray) -> float:
    return 255.0 if array.dtype == np.uint8 else max(float(array.max(initial=0)), 1.0)


def _resized(array: np.ndarray, height: int, width: int) -> np.ndarray:
    array = array.astype(np.float32)
    if array.shape[:2] == (height, width):
        return array
    down, across = averages(array.shape[0], height), averages(array.shape[1], width)
    return np.stack([down @ array[:, :, k] @ across.T for k in range(array.shape[2])], axis=2)


@lru_cache(maxsize=256)
def averages(before: int, after: int) -> np.ndarray:
    """Return the matrix (after, before) that averages each stretch of a line."""
    edges = np.linspace(0, before, after + 1)
    starts = np.arange(before)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    overlap = np.maximum(overlap, 0)
    return (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)


def _pooled(maps: np.ndarray, rows: int, columns: int) -> np.ndarray:
    down, across = averages(maps.shape[1], rows), averages(maps.shape[2], columns)
    return np.einsum("ah,nhwc,bw->nabc", down, maps, across, optimize=True)


def _thumbnails(small: np.ndarray) -> np.ndarray:
    n, height, width, _ = small.shape
    return _pooled(small, min(_THUMB, height), min(_THUMB, width)).reshape(n, -1)


def _directions(grey: np.ndarray) -> np.ndarray:
    n, height, width = grey.shape
    padded = np.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    strength = np.hypot(across, down)
    place = (np.arctan2(down, across) / (2 * np.pi)) % 1.0 * _ANGLES
    low = np.floor(place).astype(int)
    share = (place - low) * strength
    maps = np.zeros((n, height, width, _ANGLES), dtype=np.float32)
    at = np.indices(grey.shape, sparse=True)
    maps[(*at, low % _ANGLES)] = strength - share
    maps[(*at, (low + 1) % _ANGLES)] = share
    rows, columns = (min(side, _CELLS, max(2, round(side / 4))) for side in (height, width))
    cells = _pooled(maps, rows, columns)
    squares = (cells**2).sum(axis=3, keepdims=True)
    norm = np.sqrt(squares) + np.sqrt(squares.mean(axis=(1, 2), keepdims=True)) + 1e-6
    return np.sqrt(cells / norm).reshape(n, -1).astype(np.float32)


class ClipFeatures(TransformerMixin, BaseEstimator):
    """Clips of any lengths as rows: means and spreads of 16 mel cepstra over each quarter of a clip.

    How loud a clip is is left out. Costs about 0.25 ms a clip of half a second at 8 kHz.

    Parameters
    ----------
    sample_rate : float, default=16000
        In hertz.

    References
    ----------
    Davis and Mermelstein, "Comparison of parametric representations for monosyllabic word
    recognition", IEEE Trans. ASSP 28(4), 1980, doi:10.1109/TASSP.1980.1163420.
    """

    def __init__(self, sample_rate: float = 16000):
        self.sample_rate = sample_rate

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn nothing."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, X: Any) -> np.ndarray:
        """Return rows (n, 4 * 32)."""
        size = max(int(2 ** round(np.log2(0.032 * self.sample_rate))), 16)
        bank = _mel_bank(size, self.sample_rate)
        return np.stack([_cepstra(_bands(_mono(x), size, bank)) for x in X])


def _mono(x: Any) -> np.ndarray:
    clip = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)
    clip = clip.astype(np.float64) / (2**15 if clip.dtype == np.int16 else 1)
    clip = clip.mean(axis=0) if clip.ndim == 2 else clip
    if clip.ndim != 1 or not np.isfinite(clip).all():
        given = f"shape {clip.shape}" if clip.ndim != 1 else "NaN or infinity"
        raise DataError(sentence(_WHERE, "a clip must be finite numbers (n,) or (channels, n)", given))
    return clip


def _bands(clip: np.ndarray, size: int, bank: np.ndarray) -> np.ndarray:
    """Return log energies (frames, bands), at least one frame a quarter."""
    hop = size // 2
    clip = np.pad(clip, (0, max(0, size + hop * (_PARTS - 1) - len(clip))))
    frames = np.lib.stride_tricks.sliding_window_view(clip, size)[::hop] * np.hanning(size)
    energy = np.abs(np.fft.rfft(frames)) ** 2 @ bank
    return np.log(energy / max(float(energy.mean()), 1e-12) + _FLOOR)


def _cepstra(bands: np.ndarray) -> np.ndarray:
    angles = np.pi * np.outer(np.arange(1, _CEPSTRA + 1), np.arange(_BANDS) + 0.5) / _BANDS
    frames = bands @ np.cos(angles).T * np.sqrt(2 / _BANDS)  # without the zeroth, which is loudness
    parts = np.array_split(frames, _PARTS)
    return np.concatenate([np.concatenate([part.mean(axis=0), part.std(axis=0)]) for part in parts])


@lru_cache(maxsize=16)
def _mel_bank(size: int, sample_rate: float) -> np.ndarray:
    """Return triangular filters (frequencies, bands), equally wide on the mel scale."""
    top = 2595 * np.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, _BANDS + 2) / 2595) - 1)
    hertz = np.fft.rfftfreq(size, 1 / sample_rate)
    rising = (hertz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz[:, None]) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None)
