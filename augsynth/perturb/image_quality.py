"""Losses of quality: blur, noise, compression, and parts that are hidden."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number
from augsynth.perturb.audio import white_noise
from augsynth.perturb.clips import Range, between, seated
from augsynth.perturb.geometry import MOST_CHANNELS, fill_colour
from augsynth.perturb.image_edit import ImagePerturbation, ends_of
from augsynth.perturb.pictures import Levels

__all__ = ["Blur", "Erasing", "GaussianNoise", "JpegCompression"]


class Blur(ImagePerturbation):
    """Blur a picture with a Gaussian.

    Parameters
    ----------
    sigma_px : float or (least, most), default=(0, 1)
        Standard deviation in pixels; below 0.1 nothing is done. The kernel ends at three of
        them (rounded to whole pixels); beyond the edge the picture is reflected.

    Examples
    --------
    >>> Blur(1)(np.array([[0.0, 0, 1, 0, 0]]), random_state=0).round(2)
    array([[0.11, 0.25, 0.4 , 0.25, 0.11]])
    """

    tones_only: ClassVar[bool] = False

    def __init__(self, sigma_px: Range = (0.0, 1.0)):
        self.sigma_px = sigma_px

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the standard deviations, evenly between the ends."""
        return {"sigma_px": between(ends_of("Blur", "sigma_px", self.sigma_px, low=0, high=500), u[:, 0])}

    def _edit(self, pixels: np.ndarray, params: dict[str, Any], levels: Levels) -> np.ndarray:
        sigma = params["sigma_px"]
        if sigma < 0.1:  # the neighbours would weigh less than a thousandth of a grey level
            return pixels
        import cv2

        side = 2 * max(round(3 * sigma), 1) + 1
        depth = cv2.CV_64F if pixels.dtype == np.float64 else cv2.CV_32F
        bell = cv2.getGaussianKernel(side, sigma, depth)  # with it, twice as fast as cv2.GaussianBlur
        edited = [cv2.sepFilter2D(part, -1, bell, bell) for part in _parts(pixels)]
        return _joined(edited, pixels.shape)


def _parts(pixels: np.ndarray) -> list[np.ndarray]:
    """Return the channels of a picture in fours, as much as one call of cv2 takes."""
    channels = pixels.shape[-1]
    if channels <= MOST_CHANNELS:
        return [pixels]
    starts = range(0, channels, MOST_CHANNELS)
    return [np.ascontiguousarray(pixels[..., k : k + MOST_CHANNELS]) for k in starts]


def _joined(parts: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    whole = [part.reshape(*shape[:2], -1) for part in parts]  # cv2 drops a single channel's axis
    return whole[0] if len(whole) == 1 else np.concatenate(whole, axis=2)


class GaussianNoise(ImagePerturbation):
    """Add noise to every value, as a sensor in bad light does.

    The noise of each picture is its own. It is Gaussian to 16 bits: one of 65,536 equally
    likely normal quantiles, which is several times as fast as drawing it to the last bit.

    Parameters
    ----------
    sigma : float or (least, most), default=(0.01, 0.05)
        Standard deviation, as a share of the range of the values.

    Examples
    --------
    >>> grey = np.full((64, 64), 0.5)
    >>> noisy = GaussianNoise(0.1)(grey, random_state=0)
    >>> round(float((noisy - grey).std()), 2)
    0.1
    """

    n_uniforms: ClassVar[int] = 2

    def __init__(self, sigma: Range = (0.01, 0.05)):
        self.sigma = sigma

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the standard deviations, evenly between the ends, and the seed of each picture's noise."""
        sigma = between(ends_of("GaussianNoise", "sigma", self.sigma, low=0, high=1), u[:, 0])
        return {"sigma": sigma, "noise_seed": (u[:, 1] * 2.0**53).astype(np.int64)}

    def _edit(self, pixels: np.ndarray, params: dict[str, Any], levels: Levels) -> np.ndarray:
        low, high = levels
        noise = white_noise(params["noise_seed"], pixels.size)
        noise *= np.float32(params["sigma"] * (high - low))
        if pixels.dtype.kind == "u":
            import cv2

            depth = cv2.CV_8U if pixels.dtype == np.uint8 else cv2.CV_16U
            flat = pixels.reshape(1, -1)
            return np.asarray(cv2.add(flat, noise.reshape(1, -1), dtype=depth)).reshape(pixels.shape)
        number = pixels.dtype.type
        edited = pixels + noise.reshape(pixels.shape)
        return np.clip(edited, number(low), number(high), out=edited)


class JpegCompression(ImagePerturbation):
    """Compress a picture as JPEG and read it again.

    Pictures of 3 channels are compressed as colours, of 4 as colours and a grey one; every
    channel of others as a grey picture. Floats and 16 bits go through 8 bits.

    Parameters
    ----------
    quality : int or (least, most), default=(50, 95)
        1 to 100, each whole number between the ends equally likely.

    Examples
    --------
    >>> flat = np.full((8, 8), 100, dtype=np.uint8)
    >>> bool((JpegCompression(90)(flat, random_state=0) == 100).all())
    True
    """

    def __init__(self, quality: Range = (50, 95)):
        self.quality = quality

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the qualities."""
        least, most = ends_of("JpegCompression", "quality", self.quality, low=1, high=100)
        for end in (least, most):
            check_number("JpegCompression", "quality", end if end % 1 else int(end), integer=True)
        return {"quality": (least + np.floor(u[:, 0] * (most - least + 1))).astype(np.int64)}

    def _edit(self, pixels: np.ndarray, params: dict[str, Any], levels: Levels) -> np.ndarray:
        low, high = levels
        if pixels.dtype == np.uint8:
            return _compressed(pixels, params["quality"])
        if high == low:
            return pixels
        scale = 255 / (high - low)
        bytes_ = np.rint((pixels.astype(np.float64) - low) * scale).clip(0, 255).astype(np.uint8)
        back = _compressed(bytes_, params["quality"]) / scale + low
        if pixels.dtype.kind == "u":
            back = np.rint(back)
        return np.clip(back, low, high).astype(pixels.dtype)


def _compressed(pixels: np.ndarray, quality: int) -> np.ndarray:
    import cv2

    channels = pixels.shape[-1]
    setting = [cv2.IMWRITE_JPEG_QUALITY, quality]
    if channels == 3:  # cv2 counts blue, green, red
        _, coded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), setting)
        if hasattr(cv2, "IMREAD_COLOR_RGB"):  # since 4.11
            return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB))
        read: Any = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        return np.asarray(cv2.cvtColor(read, cv2.COLOR_BGR2RGB))
    if channels == 1:
        _, coded = cv2.imencode(".jpg", pixels, setting)
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE))[..., None]
    widths = [3, 1] if channels == 4 else [1] * channels
    parts = np.split(pixels, np.cumsum(widths)[:-1], axis=2)
    return np.concatenate([_compressed(np.ascontiguousarray(part), quality) for part in parts], axis=2)


class Erasing(ImagePerturbation):
    """Hide a rectangle of a picture (Random Erasing).

    Parameters
    ----------
    area : float or (least, most), default=(0.02, 0.2)
        Share of the picture's area.
    ratio : float or (least, most), default=(0.3, 3.3)
        Width by height of the rectangle, over that of the picture; evenly in ratio. Where
        it would be larger than the picture it is cut to fit.
    fill : {"mean", "noise"}, number or colour, default=0
        What is put there: the mean colour of the picture, a colour for every pixel evenly
        over the range of the values, or a value (one a channel) in units of the pixels.

    Notes
    -----
    Deviation: the paper draws again until a rectangle fits, and its ratio is that of the
    rectangle by itself. Masks and boxes stay: what is hidden is still there.

    References
    ----------
    Zhong et al., "Random erasing data augmentation", 2017, arXiv:1708.04896.

    Examples
    --------
    >>> erased = Erasing(0.25, ratio=1)(np.ones((8, 8)), random_state=0)
    >>> int((erased == 0).sum())
    16
    """

    n_uniforms: ClassVar[int] = 5

    def __init__(
        self,
        area: Range = (0.02, 0.2),
        *,
        ratio: Range = (0.3, 3.3),
        fill: str | float | Sequence[float] = 0,
    ):
        self.area = area
        self.ratio = ratio
        self.fill = fill

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return area, ratio, place among the possible ones, and the seed of each picture's noise."""
        if isinstance(self.fill, str) and self.fill not in ("mean", "noise"):
            must = "fill must be 'mean', 'noise', a number or a list of one a channel"
            raise ParameterError(sentence("Erasing", must, repr(self.fill)))
        area = ends_of("Erasing", "area", self.area, low=0, high=1)
        ratio = ends_of("Erasing", "ratio", self.ratio, low=0, low_open=True)
        drawn = {"area": between(area, u[:, 0]), "ratio": between(ratio, u[:, 1], log=True)}
        seed = (u[:, 4] * 2.0**53).astype(np.int64)
        return {**drawn, "x": u[:, 2], "y": u[:, 3], "noise_seed": seed}

    def _edit(self, pixels: np.ndarray, params: dict[str, Any], levels: Levels) -> np.ndarray:
        height, width = pixels.shape[:2]
        tall = min(round(height * math.sqrt(params["area"] / params["ratio"])), height)
        wide = min(round(width * math.sqrt(params["area"] * params["ratio"])), width)
        left, top = int(params["x"] * (width - wide + 1)), int(params["y"] * (height - tall + 1))
        edited = pixels.copy()
        if not tall or not wide:
            return edited
        filling = self._filling(pixels, (tall, wide, pixels.shape[-1]), params["noise_seed"], levels)
        if filling.ndim == 1:  # row by row, which is faster than pixel by pixel
            filling = np.tile(filling, wide)
        rows = edited.reshape(height, -1)[top : top + tall]
        rows[:, left * pixels.shape[-1] : (left + wide) * pixels.shape[-1]] = filling.reshape(
            -1, wide * pixels.shape[-1]
        )
        return edited

    def _filling(self, pixels: np.ndarray, shape: tuple[int, ...], seed: int, levels: Levels) -> np.ndarray:
        if not isinstance(self.fill, str):
            return fill_colour(self.fill, pixels)
        low, high = levels
        if self.fill == "mean":
            values = pixels.reshape(-1, pixels.shape[-1]).mean(axis=0, dtype=np.float64)
        else:
            values = low + (high - low) * seated(seed).random(shape)
        return (np.rint(values) if pixels.dtype.kind == "u" else values).astype(pixels.dtype)
