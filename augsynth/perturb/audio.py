"""Edits of audio clips: gain, shift, polarity, clipping, noise.

Filters are in `audio_filters`, tempo and pitch in `stretch`, the user's own background
sounds in `background`, masks of spectrograms in `spectrogram`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import scipy.fft
from scipy.special import ndtri

from augsynth.core.errors import DataError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.perturb.clips import AudioPerturbation, Range, between, bounds, gain_of, power, seated

__all__ = ["Clipping", "Gain", "NoiseAtSNR", "Polarity", "TimeShift", "mixed_at", "refused_silence"]

SILENT = 1e-20  # a mean square below -200 dB of full scale
_FLAT_BELOW_HZ = 20.0  # coloured noise spends no power where nobody hears it


class Gain(AudioPerturbation):
    """Make a clip louder or softer.

    Floats may go beyond full scale (the edit can then be undone); int16 saturates.

    Parameters
    ----------
    gain_db : float or (least, most), default=(-12, 6)
        Decibels of amplitude: 6.02 doubles it.

    Examples
    --------
    >>> clip = np.array([0.1, -0.2], dtype=np.float32)
    >>> Gain(20)(clip, random_state=0)
    array([ 1., -2.], dtype=float32)
    """

    n_uniforms: ClassVar[int] = 1

    def __init__(self, gain_db: Range = (-12.0, 6.0)):
        self.gain_db = gain_db

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the gains in decibels, evenly between the ends."""
        return {"gain_db": between(bounds("Gain", "gain_db", self.gain_db, low=-200, high=200), u[:, 0])}

    def _edit(self, clip: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        return clip * clip.dtype.type(gain_of(params["gain_db"]))


class TimeShift(AudioPerturbation):
    """Move a clip forth or back in time, by whole samples; its length stays.

    Parameters
    ----------
    shift_s : float or (least, most), default=(-0.1, 0.1)
        Seconds; above 0 the sound comes later. More than the clip is long leaves silence.
    sample_rate : float, default=16000
        In hertz.
    fill : {"silence", "wrap"}, default="silence"
        What stands where the sound moved away: zeros, or what fell off the other end.

    Examples
    --------
    >>> TimeShift(2, sample_rate=1)(np.array([1.0, 2.0, 3.0]), random_state=0)
    array([0., 0., 1.])
    """

    n_uniforms: ClassVar[int] = 1

    def __init__(self, shift_s: Range = (-0.1, 0.1), *, sample_rate: float = 16000, fill: str = "silence"):
        self.shift_s = shift_s
        self.sample_rate = sample_rate
        self.fill = fill

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the shifts in seconds, evenly between the ends."""
        check_number("TimeShift", "sample_rate", self.sample_rate, low=0, low_open=True)
        check_option("TimeShift", "fill", self.fill, ["silence", "wrap"])
        return {"shift_s": between(bounds("TimeShift", "shift_s", self.shift_s), u[:, 0])}

    def _edit(self, clip: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        shift, n = round(params["shift_s"] * self.sample_rate), clip.shape[-1]
        if self.fill == "wrap":
            return np.roll(clip, shift, axis=-1)
        moved = np.zeros_like(clip)
        if 0 <= shift < n:
            moved[..., shift:] = clip[..., : n - shift]
        elif -n < shift < 0:
            moved[..., :shift] = clip[..., -shift:]
        return moved


class Polarity(AudioPerturbation):
    """Turn a clip upside down: nobody hears it, every sample changes its sign.

    Always; `Maybe(Polarity())` does it to every other clip. Twice gives the clip back
    (int16: all but the sample -32768, whose opposite int16 does not hold).

    Examples
    --------
    >>> Polarity()(np.array([0.5, -0.25]), random_state=0)
    array([-0.5 ,  0.25])
    """

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the sign, which is not drawn."""
        return {"sign": np.full(len(u), -1.0)}

    def _edit(self, clip: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        return -clip


class Clipping(AudioPerturbation):
    """Cut off the peaks of a clip, as an overdriven microphone does.

    Parameters
    ----------
    level : float or (least, most), default=(0, 10)
        How much is cut: the percentage of samples (0 to 100), or by how many decibels
        the threshold lies below the clip's own peak.
    unit : {"percent", "db"}, default="percent"

    Examples
    --------
    >>> Clipping(6.0206, unit="db")(np.array([1.0, -0.75, 0.25]), random_state=0).round(3)
    array([ 0.5 , -0.5 ,  0.25])
    """

    n_uniforms: ClassVar[int] = 1

    def __init__(self, level: Range = (0.0, 10.0), *, unit: str = "percent"):
        self.level = level
        self.unit = unit

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the levels, evenly between the ends."""
        check_option("Clipping", "unit", self.unit, ["percent", "db"])
        most = 100 if self.unit == "percent" else 200
        return {"level": between(bounds("Clipping", "level", self.level, low=0, high=most), u[:, 0])}

    def _edit(self, clip: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        loud = np.abs(clip)
        if self.unit == "db":
            threshold = loud.max() * clip.dtype.type(gain_of(-params["level"]))
        else:
            cut = int(params["level"] / 100 * loud.size)  # so many samples lie above the threshold
            rank = max(loud.size - 1 - cut, 0)
            threshold = np.partition(loud, rank, axis=None)[rank]
        return np.clip(clip, -threshold, threshold)


class NoiseAtSNR(AudioPerturbation):
    """Add noise at a signal-to-noise ratio that is met exactly, clip by clip.

    Powers are means of squares over the whole clip and all its channels; each channel
    gets noise of its own. White noise is Gaussian to 16 bits: one of 65,536 equally
    likely normal quantiles (none beyond 4.4 standard deviations), which is three times
    as fast as drawing it to the last bit. Costs 70 microseconds for 16,000 samples,
    coloured noise 180.

    Parameters
    ----------
    snr_db : float or (least, most), default=(5, 30)
        Decibels that the clip's power lies above the noise's.
    color : {"white", "pink", "brown"}, default="white"
        Power even over frequency, falling as 1/f, or as 1/f^2 (both flat below 20 Hz).
    sample_rate : float, default=16000
        In hertz; only coloured noise asks for it.
    silent : {"error", "keep"}, default="error"
        No noise stands at a given ratio to silence (power below -200 dB of full
        scale): say so, or leave such a clip as it is.

    Raises
    ------
    DataError
        For a silent clip, unless ``silent="keep"``.

    Examples
    --------
    >>> clip = np.sin(np.arange(8000) * 0.3)
    >>> noisy = NoiseAtSNR(10)(clip, random_state=0)
    >>> round(float(10 * np.log10((clip**2).mean() / ((noisy - clip) ** 2).mean())), 3)
    10.0
    """

    n_uniforms: ClassVar[int] = 2

    def __init__(
        self,
        snr_db: Range = (5.0, 30.0),
        *,
        color: str = "white",
        sample_rate: float = 16000,
        silent: str = "error",
    ):
        self.snr_db = snr_db
        self.color = color
        self.sample_rate = sample_rate
        self.silent = silent

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the ratios in decibels, evenly between the ends, and the seed of each clip's noise."""
        check_option("NoiseAtSNR", "color", self.color, list(_SLOPES))
        check_option("NoiseAtSNR", "silent", self.silent, ["error", "keep"])
        check_number("NoiseAtSNR", "sample_rate", self.sample_rate, low=0, low_open=True)
        ends = bounds("NoiseAtSNR", "snr_db", self.snr_db, low=-200, high=200)
        return {"snr_db": between(ends, u[:, 0]), "noise_seed": (u[:, 1] * 2.0**53).astype(np.int64)}

    def _edit(self, clip: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        if power(clip) < SILENT:
            return refused_silence("NoiseAtSNR", clip, self.silent)
        noise = colored_noise(params["noise_seed"], clip.shape, self.color, float(self.sample_rate))
        return mixed_at(clip, noise, params["snr_db"])


_SLOPES = {"white": 0.0, "pink": 0.5, "brown": 1.0}  # how amplitude falls with frequency


def refused_silence(where: str, clip: np.ndarray, silent: str) -> np.ndarray:
    """Return a silent clip as it is where ``silent`` is "keep"; else raise the sentence."""
    if silent == "keep":
        return clip
    todo = "Leave silent clips out, or set silent='keep' to leave them as they are."
    given = f"{clip.shape[-1]} samples of at most {np.abs(clip).max():.3g}"
    raise DataError(sentence(where, "a clip must not be silent to have a signal-to-noise ratio", given, todo))


def mixed_at(clip: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Return clip + noise, the noise scaled so that their powers are in this ratio.

    Noise without any power is not there: the clip comes back as it is.
    """
    behind = power(noise)
    if behind < SILENT:
        return clip
    scaled = noise * clip.dtype.type((power(clip) / behind) ** 0.5 / gain_of(snr_db))
    scaled += clip
    return scaled


@lru_cache(maxsize=1)
def _quantiles() -> np.ndarray:
    """Return 65,536 normal quantiles, scaled to variance 1."""
    z = ndtri((np.arange(65536) + 0.5) / 65536)
    z = (z / np.sqrt(np.mean(z**2))).astype(np.float32)
    z.setflags(write=False)
    return z


def white_noise(seed: int, n: int) -> np.ndarray:
    """Return n samples of white Gaussian noise of variance 1, float32: a pure function of the seed."""
    bits = seated(seed).bit_generator.random_raw(-(-n // 4)).view(np.uint16)[:n]
    return _quantiles().take(bits)


def colored_noise(seed: int, shape: tuple[int, ...], color: str, sample_rate: float) -> np.ndarray:
    """Return noise of a shape (n,) or (channels, n), float32; each channel has its own."""
    if color == "white" or shape[-1] == 1:
        return white_noise(seed, math.prod(shape)).reshape(shape)
    n = scipy.fft.next_fast_len(shape[-1], real=True)
    spectrum = scipy.fft.rfft(white_noise(seed, math.prod(shape[:-1]) * n).reshape(*shape[:-1], n), axis=-1)
    spectrum *= _amplitudes(n, color, sample_rate)
    return scipy.fft.irfft(spectrum, n, axis=-1)[..., : shape[-1]]


@lru_cache(maxsize=64)
def _amplitudes(n: int, color: str, sample_rate: float) -> np.ndarray:
    hertz = np.fft.rfftfreq(n, 1 / sample_rate)
    falling = np.maximum(hertz, min(_FLAT_BELOW_HZ, sample_rate / 4)) ** -_SLOPES[color]
    falling[0] = 0.0  # no constant offset
    falling = falling.astype(np.float32)
    falling.setflags(write=False)
    return falling
