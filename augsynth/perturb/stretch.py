"""Tempo and pitch of audio clips, each without the other."""

from __future__ import annotations

from math import ceil
from typing import Any, ClassVar

import numpy as np

from augsynth.core.parameters import check_number
from augsynth.perturb.clips import AudioPerturbation, Range, between, bounds
from augsynth.perturb.vocoder import Frames, frames_for, revoice

__all__ = ["PitchShift", "TimeStretch", "shift_pitch", "stretch_time"]

_FRAME_S = 0.060
_BLOCK_S = 0.002  # attacks are looked for in blocks of this length
_PAST = 12  # blocks before, all of which an attack outdoes
_OUTDOES = 10.0  # by this factor of energy
_AUDIBLE = 1e-4  # and it has this share of the loudest block's energy
_HELD = 0.375  # of a frame, before and after an attack, in which nothing is stretched


class TimeStretch(AudioPerturbation):
    """Play a clip faster or slower at the same pitch.

    Costs about 0.7 ms for 16,000 samples. Float64 is worked on as float32.

    Parameters
    ----------
    rate : float or (least, most), default=(0.8, 1.25)
        Above 1 is faster and shorter. Drawn evenly in ratio; 0.25 to 4.
    sample_rate : float, default=16000
        In hertz.
    keep_length : bool, default=True
        Return as many samples as came in: of a slower clip the loudest stretch of that
        length (an end cut off a word may make another word of it), of a faster one all
        and then silence. Otherwise ``round(n / rate)`` samples come back.

    See Also
    --------
    stretch_time : How it is done, with references.

    Examples
    --------
    >>> clip = np.sin(np.arange(8000) * 0.2)
    >>> TimeStretch(0.8, sample_rate=8000, keep_length=False)(clip, random_state=0).shape
    (10000,)
    """

    n_uniforms: ClassVar[int] = 1

    def __init__(self, rate: Range = (0.8, 1.25), *, sample_rate: float = 16000, keep_length: bool = True):
        self.rate = rate
        self.sample_rate = sample_rate
        self.keep_length = keep_length

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the rates, evenly in ratio between the ends."""
        _check_sample_rate("TimeStretch", self.sample_rate)
        ends = bounds("TimeStretch", "rate", self.rate, low=0.25, high=4)
        return {"rate": between(ends, u[:, 0], log=True)}

    def _edit(self, clip: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        rate, n = params["rate"], clip.shape[-1]
        if not self.keep_length:
            return stretch_time(clip, rate, sample_rate=self.sample_rate)
        made = stretch_time(_loudest(clip, ceil(n * rate)), rate, sample_rate=self.sample_rate, most=n)
        if made.shape[-1] == n:
            return made
        whole = np.zeros_like(clip)
        whole[..., : made.shape[-1]] = made
        return whole


class PitchShift(AudioPerturbation):
    """Play a clip higher or lower at the same tempo.

    Costs about 1 ms for 16,000 samples. Float64 is worked on as float32.

    Parameters
    ----------
    semitones : float or (least, most), default=(-4, 4)
        Above 0 is higher; 12 double every frequency. -24 to 24.
    sample_rate : float, default=16000
        In hertz.

    See Also
    --------
    shift_pitch : How it is done, with references.

    Examples
    --------
    >>> clip = np.sin(2 * np.pi * 500 * np.arange(8000) / 8000)
    >>> higher = PitchShift(12, sample_rate=8000)(clip, random_state=0)
    >>> int(np.argmax(np.abs(np.fft.rfft(higher))))  # hertz, as the clip is one second long
    1000
    """

    n_uniforms: ClassVar[int] = 1

    def __init__(self, semitones: Range = (-4.0, 4.0), *, sample_rate: float = 16000):
        self.semitones = semitones
        self.sample_rate = sample_rate

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the semitones, evenly between the ends."""
        _check_sample_rate("PitchShift", self.sample_rate)
        ends = bounds("PitchShift", "semitones", self.semitones, low=-24, high=24)
        return {"semitones": between(ends, u[:, 0])}

    def _edit(self, clip: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        return shift_pitch(clip, params["semitones"], sample_rate=self.sample_rate)


def _loudest(clip: np.ndarray, n: int) -> np.ndarray:
    """Return the n samples running that hold the most energy."""
    if n >= clip.shape[-1]:
        return clip
    block = max(1, clip.shape[-1] // 512)  # as exact as anybody could want, and eight times as fast
    count = clip.shape[-1] // block
    blocks = np.atleast_2d(clip)[:, : count * block].reshape(-1, count, block)
    energy = np.concatenate([[0.0], np.cumsum(np.einsum("cij,cij->i", blocks, blocks), dtype=np.float64)])
    length = min(-(-n // block), count)
    start = int(np.argmax(energy[length:] - energy[: len(energy) - length])) * block
    start = min(start, clip.shape[-1] - n)
    return clip[..., start : start + n]


def _check_sample_rate(where: str, sample_rate: float) -> None:
    check_number(where, "sample_rate", sample_rate, low=1000, high=400_000)


def stretch_time(clip: np.ndarray, rate: float, *, sample_rate: float, most: int | None = None) -> np.ndarray:
    """Return a clip ``rate`` times as fast at the same pitch.

    A phase vocoder with frames of 60 ms, two thirds overlapping. Bins turn with the
    spectral peak in whose region they lie (identity phase locking [1]_); how far a peak
    turns is read off two frames exactly one written step apart, so that no phase is
    unwrapped [2]_. Around attacks (energy of the slope ten times that of the 24 ms before)
    the clip is read at its own pace and with its own phases, and what that costs in time
    is made up between them [3]_; attacks too close to each other share this.

    Parameters
    ----------
    clip : ndarray of float, (n,) or (channels, n)
    rate : float
    sample_rate : float
        In hertz.
    most : int, optional
        Samples wanted; more of a longer result are not made.

    Returns
    -------
    ndarray of the dtype of ``clip``
        ``round(n / rate)`` samples, at least 1 and at most ``most``.

    Notes
    -----
    Deviation: [1]_ computes frequencies by unwrapping; boundaries of regions lie half way
    between peaks.

    References
    ----------
    .. [1] Laroche and Dolson, "Improved phase vocoder time-scale modification of audio",
       IEEE Transactions on Speech and Audio Processing 7(3), 1999, doi:10.1109/89.759041.
    .. [2] Puckette, "Phase-locked vocoder", IEEE WASPAA 1995,
       doi:10.1109/ASPAA.1995.482995.
    .. [3] Duxbury, Davies and Sandler, "Improved time-scaling of musical audio using phase
       locking at transients", AES Convention 112, 2002.

    Examples
    --------
    >>> stretch_time(np.ones((2, 1000)), 2.0, sample_rate=8000).shape
    (2, 500)
    """
    check_number("stretch_time", "rate", rate, low=0.25, high=4)
    n_out = max(1, round(clip.shape[-1] / rate))
    n_out = n_out if most is None else min(n_out, most)
    if rate == 1.0:
        return clip[..., :n_out].copy()
    return _paced(clip, frames_for(round(_FRAME_S * sample_rate)), rate, n_out, sample_rate)


def shift_pitch(clip: np.ndarray, semitones: float, *, sample_rate: float) -> np.ndarray:
    """Return a clip of the same length with all frequencies times ``2 ** (semitones / 12)``.

    As `stretch_time`, but every frame is written shorter or longer than it was read, by
    inverting its spectrum at another length: it is thereby resampled without aliasing.
    Two lengths have the ratio asked for to within some cents, mostly one; a twist of the phases
    between frames brings the mean pitch to within 0.1 cents. Formants move along.

    Parameters
    ----------
    clip : ndarray of float, (n,) or (channels, n)
    semitones : float
    sample_rate : float
        In hertz.

    Returns
    -------
    ndarray of the dtype and shape of ``clip``

    Examples
    --------
    >>> shift_pitch(np.ones((2, 1000)), -3.0, sample_rate=8000).shape
    (2, 1000)
    """
    check_number("shift_pitch", "semitones", semitones, low=-24, high=24)
    if semitones == 0.0:
        return clip.copy()
    frames = frames_for(round(_FRAME_S * sample_rate), 2.0 ** (semitones / 12))
    return _paced(clip, frames, 1.0, clip.shape[-1], sample_rate)


def _paced(clip: np.ndarray, frames: Frames, rate: float, n_out: int, sample_rate: float) -> np.ndarray:
    level = max(float(clip.max()), -float(clip.min()))
    if level == 0.0:
        return np.zeros((*clip.shape[:-1], n_out), dtype=clip.dtype)
    scale = level if not 1e-6 < level < 1e6 else 1.0  # squares have to stay inside of float32
    channels = np.atleast_2d(clip / scale if scale != 1.0 else clip).astype(np.float32, copy=False)
    written = np.arange(-1, ceil(n_out / frames.hop) + 2) * frames.hop
    centres, anew = _time_map(written, _attacks(channels, sample_rate), rate, frames)
    made = revoice(channels, centres, frames, anew=anew, n_out=n_out)
    made = made.reshape(*clip.shape[:-1], n_out).astype(clip.dtype, copy=False)
    return made * clip.dtype.type(scale) if scale != 1.0 else made


def _attacks(channels: np.ndarray, sample_rate: float) -> np.ndarray:
    """Return the samples at which a clip suddenly gets loud."""
    size = max(1, round(_BLOCK_S * sample_rate))
    n = channels.shape[1] // size
    if n < 2:
        return np.zeros(0)
    slope = np.empty((len(channels), n * size), dtype=np.float32)
    np.subtract(channels[:, 1 : n * size], channels[:, : n * size - 1], out=slope[:, 1:])
    slope[:, 0] = channels[:, 0]
    blocks = slope.reshape(len(channels), n, size)
    energy = np.einsum("cij,cij->i", blocks, blocks)
    # The loudest of the 12 blocks before: of 4, of 8, of both together.
    before = np.concatenate([np.zeros(_PAST, dtype=energy.dtype), energy])
    two = np.maximum(before[:-1], before[1:])
    four = np.maximum(two[:-2], two[2:])
    eight = np.maximum(four[:-4], four[4:])
    loudest = np.maximum(eight[:n], four[8 : 8 + n])
    found = (energy > _OUTDOES * loudest) & (energy > _AUDIBLE * energy.max())
    return np.flatnonzero(found) * size + size // 2


def _time_map(
    written: np.ndarray, attacks: np.ndarray, rate: float, frames: Frames
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sample to read for each written one (m,), and which frames hold an attack.

    Everywhere ``rate`` samples a sample, but around an attack as many as leave frames
    as they are: ``read / written``.
    """
    if not len(attacks):
        return np.rint(written * rate).astype(np.int64), np.zeros(len(written), dtype=bool)
    own, half = frames.read / frames.written, _HELD * frames.written
    # Between two attacks the pace must come down to half of the rate at the least.
    room = 4 * half * abs(rate - own) / rate + frames.hop
    start, end = float(written[0] - 2 * frames.written), float(written[-1] + 2 * frames.written)
    knots, anew = [(start, start * rate)], np.zeros(len(written), dtype=bool)
    for attack in attacks.tolist():
        middle = attack / rate
        if middle - half - knots[-1][0] >= room and end - middle - half >= room:
            knots += [(middle - half, attack - half * own), (middle + half, attack + half * own)]
            anew |= (written >= middle - half) & (written <= middle + half)
    knots.append((end, end * rate))
    at, read = zip(*knots, strict=True)
    return np.rint(np.interp(written, at, read)).astype(np.int64), anew
