"""Edits that move the pixels of a picture, and its masks and boxes with them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number
from augsynth.perturb.clips import Range, between
from augsynth.perturb.image_edit import ImagePerturbation, Pictures, block_for, ends_of
from augsynth.perturb.marks import Move, move_marks, places
from augsynth.perturb.pictures import Levels

__all__ = [
    "Fill",
    "FlipLeftRight",
    "FlipUpDown",
    "Geometric",
    "ResizedCrop",
    "Shift",
    "check_fill",
    "fill_colour",
]

Fill = str | float | Sequence[float]
_BORDERS = ("edge", "reflect", "wrap")
MOST_CHANNELS = 4  # that one call of cv2 moves


class Geometric(ImagePerturbation):
    """An edit that moves pixels: `_move` says from where, for the picture, masks and boxes."""

    tones_only: ClassVar[bool] = False
    moves_points: ClassVar[bool] = True
    fill: Fill = 0

    @abstractmethod
    def _move(self, params: dict[str, Any], size: tuple[int, int]) -> Move:
        """Return where each place of the edited picture comes from; see `marks`."""

    def apply_marks(
        self, marks: dict[str, Any], params: dict[str, Any], *, size: tuple[int, int]
    ) -> dict[str, Any]:
        """Return masks (nearest pixel), boxes (cut at the picture) and key points after the same edit.

        Boxes that keep less than a tenth of their area are left out, with their labels.
        """
        return move_marks(marks, self._move(params, size), size, self.fill)


class _Flip(Geometric):
    n_uniforms: ClassVar[int] = 0
    _axis: ClassVar[int]

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return that the picture is flipped, which is not drawn."""
        return {"flipped": np.ones(len(u), dtype=bool)}

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return that the picture is flipped, which is not drawn."""
        return {"flipped": True}

    def _edit(self, pixels: np.ndarray, params: dict[str, Any], levels: Levels) -> np.ndarray:
        import cv2

        flipped = np.empty_like(pixels)
        cv2.flip(pixels, self._axis, flipped)
        return flipped

    def _edit_stack(
        self, pixels: Pictures, params: dict[str, np.ndarray], low: np.ndarray, high: np.ndarray
    ) -> np.ndarray:
        import cv2

        flip, axis, flipped = cv2.flip, self._axis, block_for(pixels)
        for picture, target in zip(pixels, flipped, strict=True):
            flip(picture, axis, target)
        return flipped


class FlipLeftRight(_Flip):
    """Mirror a picture: left becomes right.

    Always; `Maybe(FlipLeftRight())` does it to every other picture. Text and digits do
    not keep their meaning. Key points move and keep their names: a left eye that is now on
    the right is a left eye still.

    Examples
    --------
    >>> FlipLeftRight()(np.array([[1, 2, 3]], dtype=np.uint8), random_state=0)
    array([[3, 2, 1]], dtype=uint8)
    """

    _axis: ClassVar[int] = 1

    def _move(self, params: dict[str, Any], size: tuple[int, int]) -> Move:
        return -1.0, 0.0, float(size[1]), 0.0, 1.0, 0.0


class FlipUpDown(_Flip):
    """Turn a picture upside down, as in a lake.

    Always; `Maybe(FlipUpDown())` does it to every other picture. For pictures without
    an up, as from a microscope or a satellite.

    Examples
    --------
    >>> FlipUpDown()(np.array([[1], [2]], dtype=np.uint8), random_state=0)
    array([[2],
           [1]], dtype=uint8)
    """

    _axis: ClassVar[int] = 0

    def _move(self, params: dict[str, Any], size: tuple[int, int]) -> Move:
        return 1.0, 0.0, 0.0, 0.0, -1.0, float(size[0])


class Shift(Geometric):
    """Move a picture sideways and up or down, by whole pixels; its size stays.

    Parameters
    ----------
    x, y : float or (least, most), default=(-0.1, 0.1)
        Shares of the width and of the height, -1 to 1; above 0 is to the right and down.
    fill : {"edge", "reflect", "wrap"}, number or colour, default="edge"
        What stands where the picture moved away: its edge drawn out, its reflection, what
        fell off the other end, or a value (one a channel), in units of the pixels.

    Examples
    --------
    >>> Shift(1 / 3, 0, fill=0)(np.array([[1, 2, 3]], dtype=np.uint8), random_state=0)
    array([[0, 1, 2]], dtype=uint8)
    """

    n_uniforms: ClassVar[int] = 2

    def __init__(self, x: Range = (-0.1, 0.1), y: Range = (-0.1, 0.1), *, fill: Fill = "edge"):
        self.x = x
        self.y = y
        self.fill = fill

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the shares, evenly between the ends."""
        check_fill("Shift", self.fill)
        x, y = (ends_of("Shift", name, getattr(self, name), low=-1, high=1) for name in ("x", "y"))
        return {"x": between(x, u[:, 0]), "y": between(y, u[:, 1])}

    def _move(self, params: dict[str, Any], size: tuple[int, int]) -> Move:
        height, width = size
        return 1.0, 0.0, -float(round(params["x"] * width)), 0.0, 1.0, -float(round(params["y"] * height))

    def _edit(self, pixels: np.ndarray, params: dict[str, Any], levels: Levels) -> np.ndarray:
        height, width = pixels.shape[:2]
        right, down = round(params["x"] * width), round(params["y"] * height)
        shifted = np.empty_like(pixels)
        _shift_into(shifted, pixels, right, down, self.fill)
        return shifted

    def _edit_stack(
        self, pixels: Pictures, params: dict[str, np.ndarray], low: np.ndarray, high: np.ndarray
    ) -> np.ndarray:
        height, width = pixels[0].shape[:2]
        right = np.rint(params["x"] * width).astype(np.int64).tolist()
        down = np.rint(params["y"] * height).astype(np.int64).tolist()
        shifted, fill = block_for(pixels), self.fill
        for target, picture, r, d in zip(shifted, pixels, right, down, strict=True):
            _shift_into(target, picture, r, d, fill)
        return shifted


def _shift_into(target: np.ndarray, picture: np.ndarray, right: int, down: int, fill: Fill) -> None:
    """Write a picture (h, w, c), moved by whole pixels, into another array of its shape."""
    height, width = picture.shape[:2]
    left, top = max(right, 0), max(down, 0)
    end, bottom = min(width + right, width), min(height + down, height)
    if left >= end or top >= bottom:  # nothing of it stays
        rows, _ = places(np.arange(height) - down, height, fill)
        columns, _ = places(np.arange(width) - right, width, fill)
        target[...] = picture[rows[:, None], columns] if isinstance(fill, str) else fill_colour(fill, picture)
        return
    stays = picture[top - down : bottom - down, left - right : end - right]
    if fill == "edge" or not (isinstance(fill, str) or picture.shape[2] > MOST_CHANNELS):
        import cv2

        border = cv2.BORDER_REPLICATE if fill == "edge" else cv2.BORDER_CONSTANT
        value = 0 if fill == "edge" else fill_colour(fill, picture).tolist()
        margins = top, height - bottom, left, width - end
        cv2.copyMakeBorder(stays, *margins, border, target, value)  # type: ignore[call-overload]
        return
    target[top:bottom, left:end] = stays
    if not isinstance(fill, str):
        colour = fill_colour(fill, picture)
        target[:top] = colour
        target[bottom:] = colour
        target[top:bottom, :left] = colour
        target[top:bottom, end:] = colour
        return
    if right:
        bare = np.arange(left) if right > 0 else np.arange(end, width)
        columns, _ = places(bare - right, width, fill)
        target[top:bottom, bare[0] : bare[-1] + 1] = picture[top - down : bottom - down, columns]
    if down:
        bare = np.arange(top) if down > 0 else np.arange(bottom, height)
        rows, _ = places(bare - down, height, fill)
        columns, _ = places(np.arange(width) - right, width, fill)
        target[bare[0] : bare[-1] + 1] = picture[rows[:, None], columns]


def fill_colour(fill: Any, picture: np.ndarray) -> np.ndarray:
    """Return a fill as a value a channel, in the dtype of the picture."""
    channels = picture.shape[-1]
    if isinstance(fill, (int, float)) and (picture.dtype.kind == "f" or fill == 0):
        return np.full(channels, fill, dtype=picture.dtype)
    values = np.ravel(fill)
    if len(values) not in (1, channels):
        must = f"fill must be one number, or one for each of {channels} channels"
        raise ParameterError(sentence("fill", must, repr(fill)))
    if picture.dtype.kind == "u":
        values = np.clip(np.rint(values), 0, np.iinfo(picture.dtype).max)
    return np.broadcast_to(values, (channels,)).astype(picture.dtype)


def check_fill(where: str, fill: Any) -> None:
    """Raise the sentence unless a fill is one of the named, or numbers."""
    if isinstance(fill, str) and fill in _BORDERS:
        return
    values = fill if isinstance(fill, (tuple, list)) else [fill]
    if not isinstance(fill, str) and len(values) and all(isinstance(v, (int, float)) for v in values):
        for value in values:
            check_number(where, "fill", value)
        return
    must = "fill must be 'edge', 'reflect', 'wrap', a number or a list of one a channel"
    raise ParameterError(sentence(where, must, repr(fill)))


class ResizedCrop(Geometric):
    """Cut out a part of a picture and enlarge it to the size of the whole (linearly).

    Parameters
    ----------
    area : float or (least, most), default=(0.6, 1)
        Share of the picture's area, above 0 and at most 1.
    ratio : float or (least, most), default=(0.8, 1.25)
        Width by height of the part, over that of the picture: 1 distorts nothing. Evenly
        in ratio; the part is cut to fit where it would be larger than the picture.

    Notes
    -----
    Deviation: torchvision's transform of this kind measures the ratio of the part by
    itself, so that pictures that are not square are always distorted.

    References
    ----------
    Szegedy et al., "Going deeper with convolutions", 2015, arXiv:1409.4842.

    Examples
    --------
    >>> bool((ResizedCrop(1, ratio=1)(np.eye(4), random_state=0) == np.eye(4)).all())
    True
    """

    n_uniforms: ClassVar[int] = 4
    fill: ClassVar[Fill] = "edge"  # type: ignore[misc]

    def __init__(self, area: Range = (0.6, 1.0), *, ratio: Range = (0.8, 1.25)):
        self.area = area
        self.ratio = ratio

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return area and ratio of the part, and where it lies among its possible places."""
        area = ends_of("ResizedCrop", "area", self.area, low=0, high=1, low_open=True)
        ratio = ends_of("ResizedCrop", "ratio", self.ratio, low=0, low_open=True)
        drawn = {"area": between(area, u[:, 0]), "ratio": between(ratio, u[:, 1], log=True)}
        return {**drawn, "x": u[:, 2], "y": u[:, 3]}

    def _part(self, params: dict[str, Any], size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return left, top, width and height of the part, in pixels."""
        height, width = size
        tall = min(max(round(height * math.sqrt(params["area"] / params["ratio"])), 1), height)
        wide = min(max(round(width * math.sqrt(params["area"] * params["ratio"])), 1), width)
        return int(params["x"] * (width - wide + 1)), int(params["y"] * (height - tall + 1)), wide, tall

    def _move(self, params: dict[str, Any], size: tuple[int, int]) -> Move:
        left, top, wide, tall = self._part(params, size)
        return wide / size[1], 0.0, float(left), 0.0, tall / size[0], float(top)

    def _edit(self, pixels: np.ndarray, params: dict[str, Any], levels: Levels) -> np.ndarray:
        import cv2

        height, width, channels = pixels.shape
        left, top, wide, tall = self._part(params, (height, width))
        part = pixels[top : top + tall, left : left + wide]
        if channels > MOST_CHANNELS:
            part = np.ascontiguousarray(part)
        edited = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)
        return edited.reshape(height, width, channels)
