"""A phase vocoder: frames of a clip read at one pace, written at another, their phases kept whole."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view

__all__ = ["OVERLAP", "Frames", "frames_for", "revoice"]

OVERLAP = 4  # frames over every sample: with a Hann window going in and out they add up to 1.5


@dataclass(frozen=True)
class Frames:
    """Sizes of the frames, in samples.

    Attributes
    ----------
    read : int
        Length of a frame of the clip, a multiple of 4.
    written : int
        Length that it is resampled to, a multiple of 4; the pitch rises by ``read / written``.
    twist : float
        Samples by which a step's phase is to run on, so that the mean pitch is exact where
        no two lengths have the ratio asked for.
    """

    read: int
    written: int
    twist: float = 0.0

    @property
    def hop(self) -> int:
        """Samples between two frames as written."""
        return self.written // OVERLAP

    @property
    def lag(self) -> int:
        """Samples of the clip that one step between two frames stands for."""
        return self.read // OVERLAP


def frames_for(size: int, pitch: float = 1.0) -> Frames:
    """Return frames of about ``size`` samples that raise the pitch by a ratio.

    Lengths are products of small primes (fast transforms); the nearest two have the ratio
    to within a few cents, and ``twist`` makes up the rest.

    Examples
    --------
    >>> frames_for(1024)
    Frames(read=1024, written=1024, twist=0.0)
    >>> frames = frames_for(1024, 1.5)
    >>> frames.read / frames.written
    1.5
    """
    if pitch == 1.0:
        read = next(n for n in range(max(size // 4 * 4, 16), 2 * size + 64, 4) if _largest_prime(n) <= 7)
        return Frames(read, read)
    ratios, pairs = _pairs(size)
    k = bisect.bisect_left(ratios, math.log(pitch))
    near = [j for j in (k - 1, k) if 0 <= j < len(ratios)]
    read, written = pairs[min(near, key=lambda j: abs(ratios[j] - math.log(pitch)))]
    return Frames(read, written, pitch * (written // OVERLAP) - read // OVERLAP)


@lru_cache(maxsize=16)
def _pairs(size: int) -> tuple[list[float], list[tuple[int, int]]]:
    """Return the log ratios, rising, of all pairs of lengths (read, written) within two octaves."""
    reads = [n for n in range(size * 4 // 5 // 4 * 4, size * 13 // 10, 4) if _largest_prime(n) <= 13]
    writes = [n for n in range(8, size * 6, 4) if _largest_prime(n) <= 23]
    pairs = [(r, w) for r in reads for w in writes if r <= 4.2 * w and w <= 4.2 * r]
    pairs.sort(key=lambda pair: (pair[0] / pair[1], abs(pair[0] - size)))
    return [math.log(r / w) for r, w in pairs], pairs


@lru_cache(maxsize=4096)
def _largest_prime(n: int) -> int:
    found, p = 1, 2
    while n > 1:
        while n % p == 0:
            n, found = n // p, p
        p += 1
    return found


@lru_cache(maxsize=64)
def _hann(n: int, scale: float = 1.0) -> np.ndarray:
    window = (scale * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n))).astype(np.float32)
    window.setflags(write=False)
    return window


def revoice(
    clip: np.ndarray, centres: np.ndarray, frames: Frames, *, anew: np.ndarray, n_out: int
) -> np.ndarray:
    """Write frames of a clip one hop apart, in phase with each other.

    Parameters
    ----------
    clip : ndarray of float32, (channels, n)
    centres : ndarray of int, (m,)
        The sample at the middle of each frame, rising; the first is that of one hop before
        the start. Beyond the clip lies silence.
    frames : Frames
    anew : ndarray of bool, (m,)
        Frames that keep the clip's own phases (an attack is in them).
    n_out : int
        Samples wanted.

    Returns
    -------
    ndarray of float32, (channels, n_out)
    """
    size, lag, count = frames.read, frames.lag, len(centres)
    left = size // 2 + lag + max(0, -int(centres[0]))
    right = max(0, int(centres[-1]) + size // 2 - clip.shape[1])
    padded = np.zeros((len(clip), left + clip.shape[1] + right), dtype=np.float32)
    padded[:, left : left + clip.shape[1]] = clip
    rows = sliding_window_view(padded, size, axis=-1)
    starts, window = centres + (left - size // 2), _hann(size)
    # Each frame twice: here, and one step earlier. Their phases differ by just what the written
    # step must add, so nothing has to be unwrapped.
    both = np.empty((2, len(clip), count, size), dtype=np.float32)
    np.multiply(rows[:, starts], window, out=both[0])
    np.multiply(rows[:, starts - lag], window, out=both[1])
    here, before = scipy.fft.rfft(both, axis=-1, overwrite_x=True)
    here *= _turns(here, before, anew, 2 * np.pi * frames.twist / size)
    kept = here[..., : frames.written // 2 + 1]  # above the new half of the sample rate: nothing
    waves = scipy.fft.irfft(kept, frames.written, axis=-1)
    waves *= _hann(frames.written, frames.written / (size * 1.5))
    waves = waves.reshape(len(clip), count, OVERLAP, frames.hop)
    out = np.zeros((len(clip), count + OVERLAP - 1, frames.hop), dtype=np.float32)
    for part in range(OVERLAP):
        out[:, part : part + count] += waves[:, :, part]
    start = frames.written // 2 + frames.hop
    return out.reshape(len(clip), -1)[:, start : start + n_out]


def _turns(here: np.ndarray, before: np.ndarray, anew: np.ndarray, twist: float) -> np.ndarray:
    """Return the rotation (frames, bins) of each bin: that of the peak whose region it lies in.

    All channels turn alike, so that where a sound comes from stays.
    """
    count, bins = here.shape[1:]
    energy = (here.real**2 + here.imag**2).sum(axis=0)
    at = _peaks(energy)
    frame = at // bins
    first = np.searchsorted(frame, np.arange(count + 1))
    ends = np.empty(len(at) + 1, dtype=np.int64)
    ends[0], ends[-1] = 0, count * bins
    ends[1:-1] = np.where(frame[1:] > frame[:-1], frame[1:] * bins, (at[1:] + at[:-1] + 1) >> 1)
    lengths = np.diff(ends)

    later = at[first[1] :]  # peaks of all frames but the first
    spun = np.zeros(len(later), dtype=np.complex128)
    for mine, earlier in zip(here, before, strict=True):
        spun += mine.ravel()[later - bins] * earlier.ravel()[later].conj()
    size = np.abs(spun)
    spun = np.where(size > 0, spun / np.where(size > 0, size, 1.0), 1.0)
    if twist:
        spun *= np.exp(1j * twist * (later % bins))

    # Which peak of the frame before each goes on from: the one in whose region it lies.
    parents = np.repeat(np.arange(len(at)), lengths)[later - bins]
    turns = np.concatenate([np.ones(first[1], dtype=np.complex128), spun])
    above = np.concatenate([np.zeros(first[1], dtype=np.int64), parents])
    steps = first.tolist()
    for u in range(1, count):
        a, b = steps[u], steps[u + 1]
        if anew[u]:
            turns[a:b] = 1.0
        else:
            turns[a:b] *= turns[above[a:b]]
    return np.repeat(turns.astype(np.complex64), lengths).reshape(count, bins)


def _peaks(energy: np.ndarray) -> np.ndarray:
    """Return the flat positions of bins above their two neighbours on both sides; at least one a frame."""
    found = np.zeros(energy.shape, dtype=bool)
    if energy.shape[1] > 4:
        rises, rises_two = energy[:, 1:] > energy[:, :-1], energy[:, 2:] > energy[:, :-2]
        inner = rises[:, 1:-2] & ~rises[:, 2:-1]
        inner &= rises_two[:, :-2]
        inner &= ~rises_two[:, 2:]
        found[:, 2:-2] = inner
    found[~found.any(axis=1), energy.shape[1] // 2] = True
    return np.flatnonzero(found)
