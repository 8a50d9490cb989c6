"""Edits of the tones of a picture: brightness, contrast, colour.

Moves are in `geometry` and `warps`, losses of quality in `image_quality`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np

from augsynth.perturb.clips import Range, between
from augsynth.perturb.image_edit import ImagePerturbation, Pictures, block_for, ends_of
from augsynth.perturb.pictures import Levels

__all__ = ["Brightness", "BrightnessContrast", "Colour", "Contrast"]


class _Line(ImagePerturbation):
    """An edit that maps every value along a straight line, cut at the range of the values.

    Bytes are looked up in a table of 256 entries; `stringzilla` (which comes with
    albumentations) does so at the speed of a copy where the processor can.
    """

    any_order: ClassVar[bool] = True
    _by_mean: ClassVar[bool] = False

    @abstractmethod
    def _line(self, params: dict[str, Any], low: Any, high: Any, mean: Any) -> tuple[Any, Any]:
        """Return gain and offset; numbers for one picture or arrays for many, in the same arithmetic."""

    def _edit(self, pixels: np.ndarray, params: dict[str, Any], levels: Levels) -> np.ndarray:
        mean = _mean(pixels) if self._by_mean else 0.0
        gain, offset = self._line(params, *levels, mean)
        if pixels.dtype == np.uint8:
            edited = pixels.copy()
            _byte_mapper()(edited.reshape(-1).data, _curves(gain, offset).data)
            return edited
        return _along(pixels, gain, offset, levels)

    def _edit_stack(
        self, pixels: Pictures, params: dict[str, np.ndarray], low: np.ndarray, high: np.ndarray
    ) -> np.ndarray:
        mean = np.array([_mean(picture) for picture in pixels]) if self._by_mean else 0.0
        gain, offset = (np.broadcast_to(v, len(pixels)) for v in self._line(params, low, high, mean))
        edited = block_for(pixels)
        if edited.dtype == np.uint8:
            mapped = _byte_mapper()
            curves = _curves(gain[:, None], offset[:, None])
            for picture, target, curve in zip(pixels, edited.reshape(len(edited), -1), curves, strict=True):
                target[:] = picture.reshape(-1)
                mapped(target.data, curve.data)
        else:
            for k, picture in enumerate(pixels):
                edited[k] = _along(picture, float(gain[k]), float(offset[k]), (low[k], high[k]))
        return edited


_RAMP = np.arange(256.0)


def _curves(gain: Any, offset: Any) -> np.ndarray:
    """Return what every byte becomes (256,), or (n, 256) for arrays (n, 1), rounded to the nearest."""
    curves = _RAMP * gain
    curves += offset
    np.rint(curves, out=curves)
    np.maximum(curves, 0, out=curves)
    return np.minimum(curves, 255, out=curves).astype(np.uint8)


@lru_cache(maxsize=1)
def _byte_mapper() -> Callable[[memoryview, memoryview], Any]:
    """Return a function that maps bytes in place by a table."""
    try:
        from stringzilla import translate
    except ImportError:
        return _mapped_by_cv2
    return partial(translate, inplace=True)


def _mapped_by_cv2(data: memoryview, table: memoryview) -> None:
    import cv2

    array = np.asarray(data)
    cv2.LUT(array, np.asarray(table), array)


def _along(pixels: np.ndarray, gain: float, offset: float, levels: Levels) -> np.ndarray:
    if pixels.dtype == np.uint16:
        return np.rint(np.clip(pixels * float(gain) + offset, *levels)).astype(np.uint16)
    number = pixels.dtype.type
    edited = pixels * number(gain)
    edited += number(offset)
    low, high = number(levels[0]), number(levels[1])
    return np.clip(edited, low, high, out=edited)


def _mean(pixels: np.ndarray) -> float:
    """Return the mean of all values of a contiguous picture (exact for whole numbers)."""
    import cv2

    return float(cv2.sumElems(pixels.reshape(-1))[0]) / pixels.size


class Brightness(_Line):
    """Make a picture lighter or darker: the same amount is added to every value.

    Parameters
    ----------
    amount : float or (least, most), default=(-0.2, 0.2)
        Shares of the range of the values; above 0 is lighter.

    Examples
    --------
    >>> Brightness(0.2)(np.array([[0, 100, 250]], dtype=np.uint8), random_state=0)
    array([[ 51, 151, 255]], dtype=uint8)
    """

    def __init__(self, amount: Range = (-0.2, 0.2)):
        self.amount = amount

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the amounts, evenly between the ends."""
        return {"amount": between(ends_of("Brightness", "amount", self.amount, low=-1, high=1), u[:, 0])}

    def _line(self, params: dict[str, Any], low: Any, high: Any, mean: Any) -> tuple[Any, Any]:
        return 1.0, params["amount"] * (high - low)


class Contrast(_Line):
    """Spread the values of a picture about their mean, or draw them together.

    Parameters
    ----------
    factor : float or (least, most), default=(0.8, 1.25)
        Above 1 is more contrast, 0 leaves flat grey; evenly in ratio (if the least is not 0).

    Examples
    --------
    >>> Contrast(2)(np.array([[100, 110, 120]], dtype=np.uint8), random_state=0)
    array([[ 90, 110, 130]], dtype=uint8)
    """

    _by_mean: ClassVar[bool] = True

    def __init__(self, factor: Range = (0.8, 1.25)):
        self.factor = factor

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the factors."""
        return {"factor": _factors("Contrast", "factor", self.factor, u[:, 0])}

    def _line(self, params: dict[str, Any], low: Any, high: Any, mean: Any) -> tuple[Any, Any]:
        return params["factor"], (1.0 - params["factor"]) * mean


class BrightnessContrast(_Line):
    """Change contrast and brightness in one go, rounded and cut only once.

    Parameters
    ----------
    brightness : float or (least, most), default=(-0.2, 0.2)
        See `Brightness`.
    contrast : float or (least, most), default=(0.8, 1.25)
        See `Contrast`.

    Examples
    --------
    >>> edit = BrightnessContrast(0.2, contrast=2)
    >>> edit(np.array([[0, 100, 200]], dtype=np.uint8), random_state=0)
    array([[  0, 151, 255]], dtype=uint8)
    """

    n_uniforms: ClassVar[int] = 2
    _by_mean: ClassVar[bool] = True

    def __init__(self, brightness: Range = (-0.2, 0.2), *, contrast: Range = (0.8, 1.25)):
        self.brightness = brightness
        self.contrast = contrast

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return amounts and factors, drawn apart."""
        amount = ends_of("BrightnessContrast", "brightness", self.brightness, low=-1, high=1)
        factor = _factors("BrightnessContrast", "contrast", self.contrast, u[:, 1])
        return {"amount": between(amount, u[:, 0]), "factor": factor}

    def _line(self, params: dict[str, Any], low: Any, high: Any, mean: Any) -> tuple[Any, Any]:
        offset = (1.0 - params["factor"]) * mean + params["amount"] * (high - low)
        return params["factor"], offset


def _factors(where: str, name: str, value: Range, u: np.ndarray) -> np.ndarray:
    ends = ends_of(where, name, value, low=0)
    return between(ends, u, log=ends[0] > 0)


class Colour(ImagePerturbation):
    """Turn the hues of a picture and make its colours stronger or paler.

    One linear map of red, green and blue that keeps every grey and the lightness (luma) of
    every colour, up to the cut at the range of the values. Pictures of 3 channels are
    red, green, blue; of 4, the first three are. Any other number of channels has no
    colours and stays as it is.

    Parameters
    ----------
    hue_degrees : float or (least, most), default=(-15, 15)
        By how much hues turn, of 360; red to yellow to green is above 0.
    saturation : float or (least, most), default=(0.7, 1.4)
        Above 1 is stronger, 0 is grey; evenly in ratio (if the least is not 0).

    Notes
    -----
    Deviation: hues are turned in the plane of the two colour differences of the luma of
    ITU-R BT.601 (as SVG's hueRotate does) and not on the hexagon of HSV, whose 180 whole
    hues a byte would round.

    Examples
    --------
    >>> grey = np.full((1, 1, 3), 77, dtype=np.uint8)
    >>> Colour(90, saturation=2)(grey, random_state=0).ravel().tolist()
    [77, 77, 77]
    """

    n_uniforms: ClassVar[int] = 2

    def __init__(self, hue_degrees: Range = (-15.0, 15.0), *, saturation: Range = (0.7, 1.4)):
        self.hue_degrees = hue_degrees
        self.saturation = saturation

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return turns (evenly between the ends) and factors of saturation, drawn apart."""
        hue = ends_of("Colour", "hue_degrees", self.hue_degrees, low=-360, high=360)
        saturation = _factors("Colour", "saturation", self.saturation, u[:, 1])
        return {"hue_degrees": between(hue, u[:, 0]), "saturation": saturation}

    def _edit(self, pixels: np.ndarray, params: dict[str, Any], levels: Levels) -> np.ndarray:
        channels = pixels.shape[-1]
        if channels not in (3, 4):
            return pixels
        import cv2

        matrix: Any = np.eye(channels, dtype=np.float64 if pixels.dtype == np.float64 else np.float32)
        matrix[:3, :3] = _colour_map(params["hue_degrees"], params["saturation"])
        edited = np.asarray(cv2.transform(pixels, matrix))
        return edited if pixels.dtype.kind == "u" else _within(edited, pixels, levels)


def _within(edited: np.ndarray, pixels: np.ndarray, levels: Levels) -> np.ndarray:
    low, high = pixels.dtype.type(levels[0]), pixels.dtype.type(levels[1])
    edited = np.clip(edited, low, high)
    grey = (pixels[..., :1] == pixels[..., 1:3]).all(axis=-1)  # floats would be off in the last bit
    edited[grey] = pixels[grey]
    return edited


_LUMA = np.array([0.299, 0.587, 0.114])
_TO_PLANE = np.array([_LUMA, np.array([0, 0, 1]) - _LUMA, np.array([1, 0, 0]) - _LUMA])
_TO_PLANE[1:] *= [[0.493], [0.877]]  # the two differences on one scale, as in television
_FROM_PLANE = np.linalg.inv(_TO_PLANE)


def _colour_map(hue_degrees: float, saturation: float) -> np.ndarray:
    """Return the matrix (3, 3) that turns hues and scales saturation."""
    angle = math.radians(hue_degrees)
    cos, sin = saturation * math.cos(angle), saturation * math.sin(angle)
    turned = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    return _FROM_PLANE @ turned @ _TO_PLANE
