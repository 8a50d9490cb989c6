"""Pictures as rows that know a copy again: thumbnails, and spectra, which no shift or mirror changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from augsynth.check.evidence import Rows
from augsynth.check.preservation.reader_features import averages, picture_array
from augsynth.core.arrays import take_rows

__all__ = ["greys", "spectra", "thumbnails"]

_PIXELS = 8
_LARGEST, _FREQUENCIES = 32, 8
_AT_ONCE = 500


def greys(rows: Rows, places: np.ndarray) -> list[np.ndarray]:
    """Return grey pictures (h, w), at most 32 pixels a side."""
    made = []
    for x in take_rows(rows.X, places):
        grey = picture_array(x).mean(axis=2)
        height, width = (min(side, _LARGEST) for side in grey.shape)
        made.append(_sized(grey, height, width))
    return made


def thumbnails(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Return averages over a grid of 8 x 8, (n, 64)."""
    return np.array([_sized(each, _PIXELS, _PIXELS).ravel() for each in pictures])


def spectra(pictures: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Return what no shift and no mirror changes: roots of the strengths of coarse patterns, (n, d).

    A shift turns the phases of a spectrum and leaves its magnitudes, a mirror swaps two of
    them, which are added. What leaves the picture and comes in at its edges changes them a little.

    Examples
    --------
    >>> picture = np.zeros((12, 12))
    >>> picture[3:6, 2:7] = np.arange(15).reshape(3, 5)
    >>> moved = np.roll(picture, (2, 3), axis=(0, 1))[:, ::-1]
    >>> first, second = spectra([picture, moved], (12, 12))
    >>> bool(np.allclose(first, second)), len(first)
    (True, 66)
    """
    k = min(_FREQUENCIES, *((side - 1) // 2 for side in shape))
    rows = np.r_[0 : k + 1, -k:0]
    found = []
    for start in range(0, len(pictures), _AT_ONCE):
        stack = np.array([_sized(each, *shape) for each in pictures[start : start + _AT_ONCE]])
        both = [np.abs(np.fft.rfft2(part))[:, rows, : k + 1] ** 2 for part in (stack, stack[:, :, ::-1])]
        found.append((both[0] + both[1]).reshape(len(stack), -1) ** 0.25)
    return np.vstack(found)


def _sized(grey: np.ndarray, height: int, width: int) -> np.ndarray:
    if grey.shape == (height, width):
        return grey
    return averages(grey.shape[0], height) @ grey @ averages(grey.shape[1], width).T
