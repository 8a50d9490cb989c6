"""A phase vocoder: frames of a clip read at one pace, written at another, their phases kept whole."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft

__all__ = ["OVERLAP", "Frames", "frames_for", "revoice"]

OVERLAP = 3  # frames over every sample: the fewest at which Hann windows, in and out, add up evenly
_NEAR = math.log(2) / 1200  # within one cent of a ratio, the lengths with the fastest transforms are taken


@dataclass(frozen=True)
class Frames:
    """Sizes of the frames, in samples.

    Attributes
    ----------
    read, written : int
        Length of a frame of the clip, and the length that it is resampled to, both even;
        the pitch rises by ``read / written``.
    lag : int
        Samples of the clip that one step between two written frames stands for.
    twist : float
        What ``lag`` lacks, as it is whole: the phases of a step run on by so many samples,
        so that the mean pitch is exact where no two lengths have the ratio asked for.
    """

    read: int
    written: int
    lag: int
    twist: float = 0.0

    @property
    def hop(self) -> int:
        """Samples between two frames as written."""
        return round(self.written / OVERLAP)


def frames_for(size: int, pitch: float = 1.0) -> Frames:
    """Return frames of about ``size`` samples that raise the pitch by a ratio.

    Lengths are products of small primes (fast transforms); two have the ratio to within
    some cents, and ``twist`` makes up the rest.

    Examples
    --------
    >>> frames_for(960)
    Frames(read=960, written=960, lag=320, twist=0.0)
    >>> frames = frames_for(960, 1.5)
    >>> frames.read / frames.written
    1.5
    """
    if pitch == 1.0:
        least = max(size // 6 * 6, 12)
        read = next(n for n in range(least, 2 * least + 100, 6) if _largest_prime(n) <= 7)
        return Frames(read, read, read // OVERLAP)
    ratios, pairs = _pairs(size)
    wanted = math.log(pitch)
    k = bisect.bisect_left(ratios, wanted)
    low = min(bisect.bisect_left(ratios, wanted - _NEAR), max(k - 1, 0))
    high = max(bisect.bisect_right(ratios, wanted + _NEAR), min(k + 1, len(ratios)))
    near = [j for j in range(low, high) if abs(ratios[j] - wanted) <= _NEAR]
    if near:
        best = min(near, key=lambda j: pairs[j][2])
    else:
        best = min(range(low, high), key=lambda j: abs(ratios[j] - wanted))
    read, written, _ = pairs[best]
    step = pitch * round(written / OVERLAP)
    return Frames(read, written, round(step), step - round(step))


@lru_cache(maxsize=16)
def _pairs(size: int) -> tuple[list[float], list[tuple[int, int, int]]]:
    """Return the log ratios, rising, of all lengths (read, written, cost) within two octaves."""
    reads = [n for n in range(size * 15 // 16 // 2 * 2, size * 5 // 4, 2) if _largest_prime(n) <= 13]
    writes = [n for n in range(12, size * 6, 2) if _largest_prime(n) <= 23]
    pairs = [
        (r, w, 2 * r * (8 + _largest_prime(r)) + w * (8 + _largest_prime(w)))
        for r in reads
        for w in writes
        if r <= 4.2 * w and w <= 4.2 * r
    ]
    pairs.sort(key=lambda pair: pair[0] / pair[1])
    return [math.log(r / w) for r, w, _ in pairs], pairs


@lru_cache(maxsize=4096)
def _largest_prime(n: int) -> int:
    found, p = 1, 2
    while n > 1:
        while n % p == 0:
            n, found = n // p, p
        p += 1
    return found


@lru_cache(maxsize=64)
def _hann(n: int) -> np.ndarray:
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)).astype(np.float32)
    window.setflags(write=False)
    return window


@lru_cache(maxsize=64)
def _window_out(frames: Frames) -> np.ndarray:
    """Return a Hann window, scaled so that frames, windowed in and out, add up to the clip."""
    hann, hop = _hann(frames.written).astype(np.float64), frames.hop
    whole = np.zeros(-(-frames.written // hop) * hop)
    whole[: frames.written] = hann**2
    added = np.tile(whole.reshape(-1, hop).sum(axis=0), len(whole) // hop)[: frames.written]
    window = (hann / added * (frames.written / frames.read)).astype(np.float32)
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
    shape, strides = (len(clip), padded.shape[1] - size + 1, size), (*padded.strides, padded.itemsize)
    rows: np.ndarray = np.ndarray(shape, np.float32, buffer=padded, strides=strides)  # all windows, no copy
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
    waves *= _window_out(frames)
    hop, parts = frames.hop, -(-frames.written // frames.hop)
    if parts * hop > frames.written:
        waves = np.concatenate(
            [waves, np.zeros((*waves.shape[:2], parts * hop - frames.written), np.float32)], -1
        )
    waves = waves.reshape(len(clip), count, parts, hop)
    out = np.zeros((len(clip), count + parts - 1, hop), dtype=np.float32)
    for part in range(parts):
        out[:, part : part + count] += waves[:, :, part]
    start = frames.written // 2 + hop
    return out.reshape(len(clip), -1)[:, start : start + n_out]


def _turns(here: np.ndarray, before: np.ndarray, anew: np.ndarray, twist: float) -> np.ndarray:
    """Return the rotation (frames, bins) of each bin: that of the peak whose region it lies in.

    All channels turn alike, so that where a sound comes from stays.
    """
    count, bins = here.shape[1:]
    energy = here.real**2
    energy += here.imag**2
    at, first = _peaks(energy[0] if len(here) == 1 else energy.sum(axis=0))
    # A region ends half way to the next peak, and with its frame.
    ends = np.empty(len(at) + 1, dtype=np.int64)
    ends[0], ends[-1] = 0, count * bins
    np.right_shift(at[1:] + (at[:-1] + 1), 1, out=ends[1:-1])
    ends[first[1:-1]] = np.arange(1, count) * bins
    lengths = np.diff(ends)

    later = at[first[1] :]  # peaks of all frames but the first
    above = later - bins  # the same bins, one frame before
    spun = here[0].ravel()[above] * before[0].ravel()[later].conj()
    for mine, earlier in zip(here[1:], before[1:], strict=True):
        spun += mine.ravel()[above] * earlier.ravel()[later].conj()
    size = np.abs(spun)
    silent = np.flatnonzero(size == 0)
    spun[silent], size[silent] = 1.0, 1.0
    spun.view(np.float32).reshape(-1, 2)[:] /= size[:, None]  # much faster than dividing complex numbers
    turns = np.ones(len(at), dtype=np.complex128)
    turns[first[1] :] = spun
    if twist:
        turns[first[1] :] *= np.exp(1j * twist * (later % bins))

    # Each peak goes on from the one in whose region it lay a frame before.
    owners = np.repeat(np.arange(len(at), dtype=np.int32), lengths)
    parents, steps, fresh = owners[above].astype(np.int64), first.tolist(), anew.tolist()
    for u in range(1, count):
        part = turns[steps[u] : steps[u + 1]]
        if fresh[u]:
            part[:] = 1.0
        else:
            part *= turns.take(parents[steps[u] - steps[1] : steps[u + 1] - steps[1]])
    return np.repeat(turns.astype(np.complex64), lengths).reshape(count, bins)


def _peaks(energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return bins above their two neighbours on both sides, and where each frame's begin.

    Positions are flat, rising; at least one is in every frame. The second array has an
    entry more than there are frames.
    """
    count, bins = energy.shape
    flat = energy.ravel()
    rises, rises_two = flat[1:] > flat[:-1], flat[2:] > flat[:-2]
    found = np.zeros(energy.size, dtype=bool)
    inner = found[2:-2]
    np.greater(rises[1:-2], rises[2:-1], out=inner)  # of truth values: the one and not the other
    inner &= rises_two[:-2]
    inner &= ~rises_two[2:]
    by_frame = found.reshape(count, bins)
    by_frame[:, :2] = by_frame[:, -2:] = False
    starts = np.arange(count + 1) * bins
    at = np.flatnonzero(found)
    first = np.searchsorted(at, starts)
    if len(set(first.tolist())) <= count:  # a frame without a peak
        by_frame[first[1:] == first[:-1], bins // 2] = True
        at = np.flatnonzero(found)
        first = np.searchsorted(at, starts)
    return at, first
