"""The log-mel spectrogram of a clip: how loud each band of hearing is over time."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["log_mel"]

_FRAME_S, _HOP_S = 0.032, 0.016
_FLOOR = 1e-10  # silence is -100 dB


def log_mel(clip: Any, rate: float, n_bands: int = 40) -> np.ndarray:
    """Return the log-mel spectrogram (n_bands, n_frames) of a clip, in dB; channels are averaged.

    Frames of 32 ms, every 16 ms, under a Hann window; bands are triangles, evenly spaced in mel.
    A clip shorter than a frame is filled up with silence.

    Parameters
    ----------
    clip : array (n,) or (channels, n)
    rate : float
        Samples a second.
    n_bands : int, default=40
    """
    mono = np.asarray(clip, dtype=np.float64)
    mono = mono.mean(axis=0) if mono.ndim == 2 else mono
    size, hop = max(round(_FRAME_S * rate), 16), max(round(_HOP_S * rate), 8)
    if len(mono) < size:
        mono = np.pad(mono, (0, size - len(mono)))
    frames = np.lib.stride_tricks.sliding_window_view(mono, size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    return 10.0 * np.log10(power @ _bands(size, rate, n_bands) / size + _FLOOR).T


def _bands(size: int, rate: float, n_bands: int) -> np.ndarray:
    """Return the weights (n_frequencies, n_bands) of overlapping triangles."""
    frequency = np.fft.rfftfreq(size, 1.0 / rate)
    mel = 2595.0 * np.log10(1.0 + frequency / 700.0)
    width = mel[-1] / (n_bands + 1)
    centres = width * np.arange(1, n_bands + 1)
    return np.clip(1.0 - np.abs(mel[:, None] - centres) / width, 0.0, None)
