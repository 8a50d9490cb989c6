"""Edits of audio clips that change the balance of frequencies."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from scipy.signal import sosfilt

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number
from augsynth.perturb.clips import AudioPerturbation, Range, between, bounds, gain_of

__all__ = ["BandPass", "Equalizer", "band_pass_sections", "peaking_section"]


class BandPass(AudioPerturbation):
    """Keep a band of frequencies, as a telephone or a small loudspeaker does.

    A Butterworth high-pass and a low-pass one after the other, causal, so no sound comes
    before its cause. Each edge is drawn evenly in ratio; -3 dB there, and
    ``6 * order`` decibels an octave beyond. Costs 150 microseconds for 16,000 samples.

    Parameters
    ----------
    low_hz : float or (least, most), default=(50, 400)
        Lower edge, in hertz.
    high_hz : float or (least, most), optional
        Upper edge; below half the sample rate. Default: 0.25 to 0.45 of the sample rate.
    order : int, default=2
        Of each side: 2, 4, 6 or 8.
    sample_rate : float, default=16000
        In hertz.

    References
    ----------
    Bristow-Johnson, "Cookbook formulae for audio equalizer biquad filter coefficients",
    W3C Note, 2021 (first 1994).

    Examples
    --------
    >>> clip = np.sin(2 * np.pi * 100 * np.arange(16000) / 16000)  # 100 Hz, one second
    >>> thin = BandPass(1000, high_hz=4000)(clip, random_state=0)
    >>> round(float(20 * np.log10(thin[8000:].std() / clip[8000:].std())))
    -40
    """

    n_uniforms: ClassVar[int] = 2

    def __init__(
        self,
        low_hz: Range = (50.0, 400.0),
        *,
        high_hz: Range | None = None,
        order: int = 2,
        sample_rate: float = 16000,
    ):
        self.low_hz = low_hz
        self.high_hz = high_hz
        self.order = order
        self.sample_rate = sample_rate

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the edges in hertz, evenly in ratio."""
        rate, where = self.sample_rate, "BandPass"
        check_number(where, "sample_rate", rate, low=0, low_open=True)
        check_number(where, "order", self.order, low=2, high=8, integer=True)
        high = (0.25 * rate, 0.45 * rate) if self.high_hz is None else self.high_hz
        low = _below_nyquist(
            where, "low_hz", bounds(where, "low_hz", self.low_hz, low=0, low_open=True), rate
        )
        top = _below_nyquist(where, "high_hz", bounds(where, "high_hz", high, low=0, low_open=True), rate)
        if self.order % 2 or low[1] >= top[0]:
            must = "order must be even, and low_hz lie below high_hz"
            raise ParameterError(sentence(where, must, f"order={self.order}, low_hz={low}, high_hz={top}"))
        return {"low_hz": between(low, u[:, 0], log=True), "high_hz": between(top, u[:, 1], log=True)}

    def _edit(self, clip: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        sections = band_pass_sections(params["low_hz"], params["high_hz"], self.order, self.sample_rate)
        return sosfilt(np.array(sections), clip.astype(np.float64), axis=-1).astype(clip.dtype)


class Equalizer(AudioPerturbation):
    """Raise or lower a few bands of frequencies, as another room or microphone would.

    The range from ``low_hz`` to ``high_hz`` is cut into ``bands`` parts of equal ratio;
    in each, a peaking filter stands at a random frequency with a random gain. Costs 170
    microseconds for three bands over 16,000 samples.

    Parameters
    ----------
    gain_db : float or (least, most), default=(-9, 9)
        Decibels at the middle of a band.
    bands : int, default=3
    width_octaves : float, default=1.5
        Between the points of half the gain.
    low_hz, high_hz : float, optional
        Where bands may lie; default 60 Hz to 0.42 of the sample rate.
    sample_rate : float, default=16000
        In hertz.

    References
    ----------
    Bristow-Johnson, "Cookbook formulae for audio equalizer biquad filter coefficients",
    W3C Note, 2021 (first 1994).

    Examples
    --------
    >>> clip = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    >>> Equalizer(0)(clip, random_state=0).dtype
    dtype('float32')
    """

    def __init__(
        self,
        gain_db: Range = (-9.0, 9.0),
        *,
        bands: int = 3,
        width_octaves: float = 1.5,
        low_hz: float = 60.0,
        high_hz: float | None = None,
        sample_rate: float = 16000,
    ):
        self.gain_db = gain_db
        self.bands = bands
        self.width_octaves = width_octaves
        self.low_hz = low_hz
        self.high_hz = high_hz
        self.sample_rate = sample_rate

    @property
    def n_uniforms(self) -> int:  # type: ignore[override]
        """A frequency and a gain for each band."""
        check_number("Equalizer", "bands", self.bands, low=1, high=64, integer=True)
        return 2 * self.bands

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return frequencies in hertz and gains in decibels, (n, bands)."""
        rate, where, bands = self.sample_rate, "Equalizer", self.bands
        check_number(where, "sample_rate", rate, low=0, low_open=True)
        check_number(where, "width_octaves", self.width_octaves, low=0.05, high=10)
        ends = _below_nyquist(
            where,
            "(low_hz, high_hz)",
            bounds(
                where,
                "(low_hz, high_hz)",
                (self.low_hz, 0.42 * rate if self.high_hz is None else self.high_hz),
                low=0,
                low_open=True,
            ),
            rate,
        )
        gains = bounds(where, "gain_db", self.gain_db, low=-60, high=60)
        part = (np.arange(bands) + u[:, :bands]) / bands
        return {"hz": between(ends, part, log=True), "gain_db": between(gains, u[:, bands:])}

    def _edit(self, clip: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        sections = [
            peaking_section(hz, db, self.width_octaves, self.sample_rate)
            for hz, db in zip(params["hz"].tolist(), params["gain_db"].tolist(), strict=True)
        ]
        return sosfilt(np.array(sections), clip.astype(np.float64), axis=-1).astype(clip.dtype)


def _below_nyquist(where: str, name: str, ends: tuple[float, float], rate: float) -> tuple[float, float]:
    if ends[1] >= rate / 2:
        must = f"{name} must lie below half the sample rate, {rate / 2:g} Hz"
        raise ParameterError(sentence(where, must, f"{ends[1]:g} Hz", "Is sample_rate right?"))
    return ends


def band_pass_sections(low_hz: float, high_hz: float, order: int, sample_rate: float) -> list[list[float]]:
    """Return second-order sections (b0, b1, b2, a0, a1, a2) of a high-pass and a low-pass."""
    sections = []
    for hz, sign in ((low_hz, 1.0), (high_hz, -1.0)):
        w = 2 * math.pi * hz / sample_rate
        cosine, sine = math.cos(w), math.sin(w)
        for k in range(order // 2):  # Butterworth: poles evenly over a circle
            alpha = sine * math.cos(math.pi * (2 * k + 1) / (2 * order))
            b = (1 + sign * cosine) / 2 / (1 + alpha)
            a = [1.0, -2 * cosine / (1 + alpha), (1 - alpha) / (1 + alpha)]
            sections.append([b, -2 * sign * b, b, *a])
    return sections


def peaking_section(hz: float, gain_db: float, width_octaves: float, sample_rate: float) -> list[float]:
    """Return one second-order section that raises a band by ``gain_db`` and leaves the rest."""
    w = 2 * math.pi * hz / sample_rate
    cosine, sine = math.cos(w), math.sin(w)
    alpha = sine * math.sinh(math.log(2) / 2 * width_octaves * w / sine)
    root = gain_of(gain_db / 2)
    up, down = alpha * root, alpha / root
    scale = 1 + down
    return [
        (1 + up) / scale,
        -2 * cosine / scale,
        (1 - up) / scale,
        1.0,
        -2 * cosine / scale,
        (1 - down) / scale,
    ]
