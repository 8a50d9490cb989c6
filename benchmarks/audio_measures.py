"""Measures of time stretch and pitch shift: signals whose edited form is known, and distances to it.

Every signal is a function of time, so its stretched form is the same function of slower
time with its phases integrated anew, and its shifted form the same with other
frequencies: no program decides what is right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.optimize import minimize_scalar

FLOOR_DB = -60.0  # nothing below this under the loudest cell of the true spectrogram counts
DELAYS_S = np.arange(-0.06, 0.0601, 0.005)  # the best of these, to the millisecond, is granted to everybody


@dataclass(frozen=True)
class Signal:
    """A sum of partials with known frequencies and amplitudes, or of clicks at known moments."""

    name: str
    duration_s: float
    partials: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None
    clicks_s: tuple[float, ...] = ()

    def heard(self, sample_rate: int, *, rate: float = 1.0, pitch: float = 1.0) -> np.ndarray:
        """Return the signal, ``rate`` times as fast and ``pitch`` times as high, float32."""
        n = round(self.duration_s * sample_rate / rate)
        if self.partials is None:
            return _clicks([t / rate for t in self.clicks_s], n, sample_rate, pitch)
        hertz, amplitude = self.partials(np.arange(n) / sample_rate * rate)
        hertz = np.broadcast_to(hertz * pitch, (len(hertz), n))
        phase = 2 * np.pi * np.cumsum(hertz, axis=1) / sample_rate
        kept = amplitude * (hertz < 0.47 * sample_rate)
        return (0.5 * np.sin(phase + np.arange(len(hertz))[:, None]) * kept).sum(axis=0).astype(np.float32)


def _clicks(moments: list[float], n: int, sample_rate: int, pitch: float) -> np.ndarray:
    made = np.zeros(n, dtype=np.float32)
    t = np.arange(round(0.008 * sample_rate)) / sample_rate
    drop = (0.8 * np.exp(-t / 0.0015) * np.cos(2 * np.pi * 1200 * pitch * t)).astype(np.float32)
    for moment in moments:
        start = round(moment * sample_rate)
        made[start : start + len(drop)] += drop[: max(n - start, 0)]
    return made


def _chord(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    roots = np.array([220.0, 277.18, 329.63])
    hertz = np.concatenate([roots * k for k in (1, 2, 3)])[:, None]
    return hertz, np.repeat([0.5, 0.25, 0.12], 3)[:, None] * np.ones_like(t)


def _vowel(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # A voice: 110 to 170 Hz with a vibrato, harmonics under two formants, syllables.
    pitch = 140 + 30 * np.sin(2 * np.pi * 0.9 * t) + 3 * np.sin(2 * np.pi * 5.5 * t)
    hertz = pitch * np.arange(1, 21)[:, None]
    formants = 1 / (1 + ((hertz - 600) / 200) ** 2) + 0.5 / (1 + ((hertz - 1500) / 300) ** 2)
    syllables = 0.55 - 0.45 * np.cos(2 * np.pi * 3 * t)
    return hertz, 0.5 * formants * syllables


def _chirp(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (300 * 4 ** (t / 1.5))[None], 0.8 * np.ones_like(t)[None]


SIGNALS = (
    Signal("tone", 1.5, lambda t: (np.full((1, 1), 440.0), 0.8 * np.ones_like(t)[None])),
    Signal("chord", 1.5, _chord),
    Signal("chirp", 1.5, _chirp),
    Signal("voice", 1.5, _vowel),
    Signal("clicks", 1.5, clicks_s=(0.2, 0.45, 0.7, 0.95, 1.2)),
)


def _spectrogram_db(clip: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return power in decibels (frames, bins): windows of 25 ms, 10 ms apart."""
    size, hop = round(0.025 * sample_rate), round(0.010 * sample_rate)
    frames = sliding_window_view(clip, size)[::hop] * np.hanning(size)
    return 10 * np.log10(np.abs(np.fft.rfft(frames, axis=1)) ** 2 + 1e-20)


def log_spectral_distance(truth: np.ndarray, made: np.ndarray, sample_rate: int) -> float:
    """Return the root mean square difference of two log spectrograms in decibels, at the best delay.

    Cells below the floor in both are left out: their silence is no merit.
    """
    margin = round(0.06 * sample_rate)
    n = min(len(truth), len(made))
    inner = _spectrogram_db(truth[margin : n - margin], sample_rate)
    floor = inner.max() + FLOOR_DB
    inner = np.maximum(inner, floor)

    def distance(delay: float) -> float:
        start = margin + round(delay * sample_rate)
        if start < 0:
            return np.inf
        other = np.maximum(_spectrogram_db(made[start : start + n - 2 * margin], sample_rate), floor)
        frames = min(len(inner), len(other))
        a, b = inner[:frames], other[:frames]
        counted = (a > floor) | (b > floor)
        return float(np.sqrt(np.mean((a - b)[counted] ** 2)))

    near = min(DELAYS_S, key=distance)
    return min(distance(near + fine) for fine in np.arange(-0.004, 0.0041, 0.001))


def tone_error(made: np.ndarray, hertz: float, sample_rate: int) -> tuple[float, float]:
    """Return how many cents the best fitting sinusoid is off, and its power over the rest's in decibels.

    The middle half of the clip is fitted by least squares.
    """
    n = len(made)
    middle = made[n // 4 : -(n // 4)].astype(np.float64)
    t = np.arange(len(middle)) / sample_rate

    def rest(f: float) -> float:
        waves = np.stack([np.cos(2 * np.pi * f * t), np.sin(2 * np.pi * f * t)], axis=1)
        fitted = waves @ np.linalg.lstsq(waves, middle, rcond=None)[0]
        return float(((middle - fitted) ** 2).sum())

    grid = hertz + np.linspace(-20, 20, 161)
    start = grid[int(np.argmin([rest(f) for f in grid]))]
    found = minimize_scalar(
        rest, bounds=(start - 0.3, start + 0.3), method="bounded", options={"xatol": 1e-5}
    )
    over = 10 * np.log10(max(float((middle**2).sum()), 1e-20) / max(float(found.fun), 1e-20))
    return abs(1200 * float(np.log2(found.x / hertz))), float(over)
