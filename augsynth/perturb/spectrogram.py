"""Masks of spectrograms (SpecAugment): a few bands of frequency or stretches of time go silent."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from augsynth.core.errors import DataError, InputTypeError, ParameterError, sentence
from augsynth.core.parameters import check_number
from augsynth.perturb.base import ParametricPerturbation
from augsynth.perturb.containers import dense

__all__ = ["FrequencyMask", "SpectrogramMask", "TimeMask"]

Fill = float | str


class _Masking(ParametricPerturbation):
    """A mask over spectrograms (frequency, time) or (channels, frequency, time) of floats."""

    modality: ClassVar[str] = "audio"
    fill: Fill

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Return a masked copy, in the container and dtype of ``x``.

        Raises
        ------
        InputTypeError, DataError
            If ``x`` is no spectrogram of floats, or empty.
        """
        where = type(self).__name__
        array, tensor = _take_spectrogram(where, x)
        value = _fill_value(where, self.fill, array)
        masked = array.copy()
        for axis, start, end in self._stripes(params, array.shape[-2:]):
            masked[(..., slice(start, end), slice(None)) if axis == 0 else (..., slice(start, end))] = value
        if tensor is None:
            return masked
        import torch

        return torch.from_numpy(masked).to(tensor.device)

    @abstractmethod
    def _stripes(self, params: dict[str, Any], shape: tuple[int, ...]) -> list[tuple[int, int, int]]:
        """Return what to mask of (frequency, time): axis, start, end."""

    def _check(self, **whole: int) -> None:
        for name, value in whole.items():
            check_number(type(self).__name__, name, value, low=0, integer=True)


class FrequencyMask(_Masking):
    """Silence a few bands of frequency of a spectrogram.

    Parameters
    ----------
    width : int, default=27
        Most channels a mask covers (F of the paper); each covers 0 to so many, evenly.
    n_masks : int, default=1
    fill : float or {"mean", "min"}, default="mean"
        What stands under a mask: a number, or the mean or least value of the spectrogram.
        Zero, as in the paper, is the mean where spectrograms are centred.

    References
    ----------
    Park, Chan, Zhang, Chiu, Zoph, Cubuk and Le, "SpecAugment: a simple data augmentation
    method for automatic speech recognition", Interspeech 2019, arXiv 1904.08779.

    Examples
    --------
    >>> masked = FrequencyMask(8, fill=0.0)(np.ones((40, 100)), random_state=1)
    >>> masked.shape, int((masked[:, 0] == 0).sum()) <= 8
    ((40, 100), True)
    """

    def __init__(self, width: int = 27, *, n_masks: int = 1, fill: Fill = "mean"):
        self.width = width
        self.n_masks = n_masks
        self.fill = fill

    @property
    def n_uniforms(self) -> int:  # type: ignore[override]
        """A width and a place for each mask."""
        self._check(width=self.width, n_masks=self.n_masks)
        return 2 * self.n_masks

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return widths in channels, and places as shares of what is left, (n, n_masks)."""
        return {"channels": _whole(u[:, : self.n_masks], self.width), "channel_at": u[:, self.n_masks :]}

    def _stripes(self, params: dict[str, Any], shape: tuple[int, ...]) -> list[tuple[int, int, int]]:
        return _stripes(0, shape[0], params["channels"], params["channel_at"])


class TimeMask(_Masking):
    """Silence a few stretches of time of a spectrogram.

    Parameters
    ----------
    width : int, default=100
        Most frames a mask covers (T of the paper); each covers 0 to so many, evenly.
    n_masks : int, default=1
    most_share : float, default=1.0
        A mask covers no more than this share of the frames (p of the paper).
    fill : float or {"mean", "min"}, default="mean"

    References
    ----------
    Park et al., "SpecAugment", Interspeech 2019, arXiv 1904.08779.

    Examples
    --------
    >>> masked = TimeMask(50, most_share=0.1, fill=0.0)(np.ones((40, 100)), random_state=0)
    >>> int((masked[0] == 0).sum()) <= 10
    True
    """

    def __init__(self, width: int = 100, *, n_masks: int = 1, most_share: float = 1.0, fill: Fill = "mean"):
        self.width = width
        self.n_masks = n_masks
        self.most_share = most_share
        self.fill = fill

    @property
    def n_uniforms(self) -> int:  # type: ignore[override]
        """A width and a place for each mask."""
        self._check(width=self.width, n_masks=self.n_masks)
        check_number("TimeMask", "most_share", self.most_share, low=0, high=1)
        return 2 * self.n_masks

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return widths in frames, and places as shares of what is left, (n, n_masks)."""
        return {"frames": _whole(u[:, : self.n_masks], self.width), "frame_at": u[:, self.n_masks :]}

    def _stripes(self, params: dict[str, Any], shape: tuple[int, ...]) -> list[tuple[int, int, int]]:
        widths = np.minimum(params["frames"], int(self.most_share * shape[1]))
        return _stripes(1, shape[1], widths, params["frame_at"])


class SpectrogramMask(_Masking):
    """Silence bands of frequency and stretches of time of a spectrogram (SpecAugment).

    Defaults are the paper's policy LD: two masks each, of at most 27 channels and 100
    frames. Masks may lie over each other. A share of frames bounds those of time, as
    100 frames would cover a short clip whole.

    Parameters
    ----------
    frequency_width, time_width : int, default=27, 100
        Most channels (of 80 in the paper) and frames that one mask covers.
    frequency_masks, time_masks : int, default=2, 2
    most_share : float, default=0.2
        A mask covers no more than this share of the frames (p of the paper; there 1.0
        for utterances of seconds, 0.2 in its policy for noisy telephone speech).
    fill : float or {"mean", "min"}, default="mean"

    Notes
    -----
    Deviation: no time warp, which the paper found to contribute least and cost most.
    `TimeStretch` on the waveform does what it is for.

    References
    ----------
    Park et al., "SpecAugment", Interspeech 2019, arXiv 1904.08779.

    Examples
    --------
    >>> spectrogram = np.arange(8000.0).reshape(80, 100)
    >>> SpectrogramMask()(spectrogram, random_state=0).shape
    (80, 100)
    """

    def __init__(
        self,
        *,
        frequency_width: int = 27,
        time_width: int = 100,
        frequency_masks: int = 2,
        time_masks: int = 2,
        most_share: float = 0.2,
        fill: Fill = "mean",
    ):
        self.frequency_width = frequency_width
        self.time_width = time_width
        self.frequency_masks = frequency_masks
        self.time_masks = time_masks
        self.most_share = most_share
        self.fill = fill

    def _parts(self) -> tuple[FrequencyMask, TimeMask]:
        return (
            FrequencyMask(self.frequency_width, n_masks=self.frequency_masks, fill=self.fill),
            TimeMask(self.time_width, n_masks=self.time_masks, most_share=self.most_share, fill=self.fill),
        )

    @property
    def n_uniforms(self) -> int:  # type: ignore[override]
        """A width and a place for each mask."""
        return sum(part.n_uniforms for part in self._parts())

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return widths and places of both kinds of masks."""
        bands, stretches = self._parts()
        k = bands.n_uniforms
        return {**bands.parameters(u[:, :k]), **stretches.parameters(u[:, k:])}

    def _stripes(self, params: dict[str, Any], shape: tuple[int, ...]) -> list[tuple[int, int, int]]:
        return [stripe for part in self._parts() for stripe in part._stripes(params, shape)]


def _whole(u: np.ndarray, most: int) -> np.ndarray:
    return (u * (most + 1)).astype(np.int64)


def _stripes(axis: int, size: int, widths: np.ndarray, places: np.ndarray) -> list[tuple[int, int, int]]:
    found = []
    for width, place in zip(np.minimum(widths, size).tolist(), places.tolist(), strict=True):
        start = int(place * (size - width + 1))
        if width:
            found.append((axis, start, start + width))
    return found


def _take_spectrogram(where: str, x: Any) -> tuple[np.ndarray, Any]:
    tensor = None
    if type(x).__module__.partition(".")[0] == "torch" and hasattr(x, "detach"):
        tensor, x = x, dense(x, where).numpy()
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        given = f"{x.dtype} in a {type(x).__name__}" if hasattr(x, "dtype") else type(x).__name__
        raise InputTypeError(sentence(where, "a spectrogram must be an array or tensor of floats", given))
    if x.ndim not in (2, 3) or x.size == 0:
        must = "a spectrogram must be (frequency, time) or (channels, frequency, time), and not empty"
        todo = "Waveforms have edits of their own: TimeStretch, BandPass." if x.ndim == 1 else ""
        raise DataError(sentence(where, must, f"shape {x.shape}", todo))
    return x, tensor


def _fill_value(where: str, fill: Fill, array: np.ndarray) -> Any:
    if isinstance(fill, str):
        if fill not in ("mean", "min"):
            raise ParameterError(sentence(where, "fill must be a number, 'mean' or 'min'", repr(fill)))
        value = float(array.mean(dtype=np.float64) if fill == "mean" else array.min())
        if not np.isfinite(value):
            must = f"a spectrogram must be finite to be filled with its {fill}"
            odd = int((~np.isfinite(array)).sum())
            raise DataError(sentence(where, must, f"{odd} NaN or infinite cells", "Set fill to a number."))
        return value
    check_number(where, "fill", fill)
    return fill
