"""Stacks of images to level codes or numbers in [-1, 1], and back as they came in."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from augsynth.core.errors import DataError, InputTypeError, offenders, sentence
from augsynth.core.persistence import persistent
from augsynth.encode.dataset import _pixels

__all__ = ["ImageCodec", "ImageLayout", "is_image"]

MAX_LEVELS = 256
MAX_CHANNELS = 4
DARK = 64  # bytes that never reach this are taken for a scale of their own (16 greys, say)


@persistent
@dataclass(frozen=True)
class ImageLayout:
    """What an encoded image is: channels first, every image of one size.

    Attributes
    ----------
    channels, height, width : int
    levels : int
        Number of levels if every pixel is one of at most 256 evenly spaced ones; 0 for
        continuous pixels.
    """

    channels: int
    height: int
    width: int
    levels: int = 0

    def __len__(self) -> int:
        return self.channels * self.height * self.width

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.height, self.width

    @property
    def dtype(self) -> np.dtype:
        """Type of encoded pixels: uint8 level codes, or float32 in [-1, 1]."""
        return np.dtype(np.uint8 if self.levels else np.float32)


def is_image(X: Any) -> bool:
    """Tell whether rows are images: a stack (n, h, w), (n, h, w, c) or (n, c, h, w) of numbers, or a list.

    Examples
    --------
    >>> is_image(np.zeros((5, 8, 8))), is_image(np.zeros((5, 64)))
    (True, False)
    """
    if isinstance(X, (list, tuple)):
        return len(X) > 0 and (len(getattr(X[0], "shape", ())) in (2, 3) or hasattr(X[0], "getbands"))
    return len(getattr(X, "shape", ())) in (3, 4)


@persistent
class ImageCodec:
    """Encode a stack of images as ``z`` (n, channels, height, width) and decode it as it came in.

    Pixels on evenly spaced levels (bytes, other whole numbers, fractions of 255,
    booleans) become uint8 level codes, any others float32 in [-1, 1].

    Attributes
    ----------
    layout : ImageLayout
    low, high : float
        The pixel values of the first and the last level; of bytes 0 and 255 (the
        brightest one seen, if that is below 64), else the range that was seen.

    Examples
    --------
    >>> images = np.array([[[0, 16], [8, 4]]], dtype=np.float64)
    >>> codec = ImageCodec().fit(images)
    >>> codec.layout
    ImageLayout(channels=1, height=2, width=2, levels=17)
    >>> bool((codec.decode(codec.encode(images)) == images).all())
    True
    """

    layout: ImageLayout

    def fit(self, images: Any, where: str = "fit") -> ImageCodec:
        """Learn the size, the order of the axes, the type and the levels."""
        self.tensor = _is_tensor(images)
        array = _as_array(images, where)
        if 0 in array.shape:
            must = "there must be at least one image, of at least one pixel"
            raise DataError(sentence(where, must, f"shape {array.shape}"))
        self.dtype = array.dtype
        self.axes = _axes(array.shape, self.tensor, where)
        stack = self._channels_first(array)
        self.low, self.high, levels = _levels(stack)
        channels, height, width = stack.shape[1:]
        self.layout = ImageLayout(channels, height, width, levels)
        return self

    def encode(self, images: Any, where: str = "encode") -> np.ndarray:
        """Return ``z`` (n, c, h, w); pixels beyond the range of fit count as its ends.

        Raises
        ------
        DataError
            For images of another size, or pixels that are not finite.
        """
        array = _as_array(images, where)
        if array.ndim != (3 if self.axes == "hw" else 4):
            raise DataError(sentence(where, f"images must be as in fit (axes {self.axes})", f"{array.shape}"))
        stack = self._channels_first(array)
        if stack.shape[1:] != self.layout.shape:
            must = "images must have the channels, height and width of fit, " + str(self.layout.shape)
            raise DataError(sentence(where, must, str(stack.shape[1:]), "Resize or crop them."))
        share = (stack.astype(np.float64) - self.low) / (self.high - self.low)
        if self.layout.levels:
            codes = np.rint(share * (self.layout.levels - 1))
            return np.clip(codes, 0, self.layout.levels - 1).astype(np.uint8)
        return np.clip(2.0 * share - 1.0, -1.0, 1.0).astype(np.float32)

    def decode(self, z: np.ndarray) -> Any:
        """Return the images of ``z`` (n, c, h, w) in the container, axes and type of fit."""
        levels = self.layout.levels
        share = z.astype(np.float64) / max(levels - 1, 1) if levels else (z.astype(np.float64) + 1.0) / 2.0
        stack = self.low + share * (self.high - self.low)
        if self.dtype.kind in "iub":
            stack = np.rint(stack)
        stack = stack.astype(self.dtype)
        if self.axes == "hw":
            stack = stack[:, 0]
        elif self.axes == "hwc":
            stack = stack.transpose(0, 2, 3, 1)
        stack = np.ascontiguousarray(stack)
        if not self.tensor:
            return stack
        import torch

        return torch.from_numpy(stack)

    def _channels_first(self, array: np.ndarray) -> np.ndarray:
        if self.axes == "hw":
            return array[:, None]
        return array.transpose(0, 3, 1, 2) if self.axes == "hwc" else array


def _is_tensor(images: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(images, torch.Tensor)


def _as_array(images: Any, where: str) -> np.ndarray:
    if _is_tensor(images):
        images = images.detach().cpu().numpy()
    if isinstance(images, (list, tuple)):
        if any(hasattr(image, "getbands") for image in images):  # PIL's: palettes are looked up
            images = [_pixels(image, i, where)[0] for i, image in enumerate(images)]
        shapes = {np.shape(image) for image in images}
        if len(shapes) > 1:
            given = offenders(sorted(map(str, shapes)))
            raise DataError(sentence(where, "images must be of one size", given, "Resize or crop them."))
    array = np.asarray(images)
    if array.dtype.kind not in "biuf":
        raise InputTypeError(sentence(where, "pixels must be numbers", f"dtype {array.dtype}"))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        given = f"NaN or infinity in image {offenders(bad.tolist())}"
        raise DataError(sentence(where, "pixels must be finite", given, "Fill or drop those images."))
    return array


def _axes(shape: tuple[int, ...], tensor: bool, where: str) -> str:
    if len(shape) == 3:
        return "hw"
    first, last = shape[1] <= MAX_CHANNELS, shape[3] <= MAX_CHANNELS
    if first and (tensor or not last):
        return "chw"
    if last:
        return "hwc"
    must = f"images must have 1 to {MAX_CHANNELS} channels, as (n, h, w), (n, h, w, c) or (n, c, h, w)"
    raise DataError(sentence(where, must, f"shape {shape}"))


def _levels(stack: np.ndarray) -> tuple[float, float, int]:
    """Return the pixel values of the first and the last level, and how many levels there are."""
    if stack.dtype.kind == "b":
        return 0.0, 1.0, 2
    low, high = float(stack.min()), float(stack.max())
    if stack.dtype == np.uint8:
        top = 255.0 if high >= DARK else max(high, 1.0)
        return 0.0, top, int(top) + 1
    whole = stack.dtype.kind in "iu" or bool((stack == np.rint(stack)).all())
    if whole and high - low < MAX_LEVELS and high > low + (stack.dtype.kind == "f"):
        return low, high, int(high - low) + 1
    for floor, scale in ((0.0, 255.0), (-1.0, 127.5)):
        if floor <= low and high <= 1.0 and stack.dtype.kind == "f":
            levels = (stack.astype(np.float64) - floor) * scale
            if np.abs(levels - np.rint(levels)).max() < 1e-3 and high > low:
                return floor, 1.0, MAX_LEVELS
            return floor, 1.0, 0
    return low, high if high > low else low + 1.0, 0
