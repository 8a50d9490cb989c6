"""Moves of a picture that fall between its pixels: rotation, and affine maps in one go."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from augsynth.perturb.clips import Range, between
from augsynth.perturb.geometry import MOST_CHANNELS, Fill, Geometric, check_fill, fill_colour
from augsynth.perturb.image_edit import Pictures, block_for, ends_of
from augsynth.perturb.marks import Move
from augsynth.perturb.pictures import Levels

__all__ = ["Affine", "Rotate"]


class _Warp(Geometric):
    """A move that falls between pixels: linear interpolation by cv2."""

    def _edit(self, pixels: np.ndarray, params: dict[str, Any], levels: Levels) -> np.ndarray:
        height, width = pixels.shape[:2]
        matrix = np.array([_by_middles(self._move(params, (height, width)))]).reshape(2, 3)
        return _warped(pixels, matrix, self.fill)

    def _edit_stack(
        self, pixels: Pictures, params: dict[str, np.ndarray], low: np.ndarray, high: np.ndarray
    ) -> np.ndarray:
        size = pixels[0].shape[0], pixels[0].shape[1]
        names, columns = list(params), [values.tolist() for values in params.values()]
        moves = (self._move(dict(zip(names, row, strict=True)), size) for row in zip(*columns, strict=True))
        matrices = np.array([_by_middles(move) for move in moves]).reshape(-1, 2, 3)
        warped = block_for(pixels)
        for target, picture, matrix in zip(warped, pixels, matrices, strict=True):
            target[...] = _warped(picture, matrix, self.fill)
        return warped


def _by_middles(move: Move) -> Move:
    """Return a move in cv2's counting, where whole numbers are the middles of pixels."""
    a, b, c, d, e, f = move
    return a, b, c + 0.5 * (a + b) - 0.5, d, e, f + 0.5 * (d + e) - 0.5


def _warped(picture: np.ndarray, matrix: np.ndarray, fill: Fill) -> np.ndarray:
    import cv2

    height, width, channels = picture.shape
    if channels > MOST_CHANNELS:
        parts = [
            _warped(np.ascontiguousarray(picture[..., k : k + MOST_CHANNELS]), matrix, _part(fill, k))
            for k in range(0, channels, MOST_CHANNELS)
        ]
        return np.concatenate(parts, axis=2)
    if isinstance(fill, str):
        border = {"edge": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT_101, "wrap": cv2.BORDER_WRAP}[
            fill
        ]
        value: Any = 0
    else:
        border, value = cv2.BORDER_CONSTANT, fill_colour(fill, picture).tolist()
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(
        picture, matrix, (width, height), flags=flags, borderMode=border, borderValue=value
    )
    return warped if channels > 1 else warped.reshape(height, width, 1)


def _part(fill: Fill, first: int) -> Fill:
    return fill if isinstance(fill, (str, int, float)) else fill[first : first + MOST_CHANNELS]


class Rotate(_Warp):
    """Turn a picture about its middle; its size stays, its corners are cut off.

    Parameters
    ----------
    degrees : float or (least, most), default=(-15, 15)
        Above 0 is to the left (counter-clockwise).
    fill : {"edge", "reflect", "wrap"}, number or colour, default="edge"
        See `Shift`.

    Examples
    --------
    >>> Rotate(90)(np.array([[1, 2], [3, 4]], dtype=np.uint8), random_state=0)
    array([[2, 4],
           [1, 3]], dtype=uint8)
    """

    def __init__(self, degrees: Range = (-15.0, 15.0), *, fill: Fill = "edge"):
        self.degrees = degrees
        self.fill = fill

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the angles, evenly between the ends."""
        check_fill("Rotate", self.fill)
        return {"degrees": between(ends_of("Rotate", "degrees", self.degrees, low=-360, high=360), u[:, 0])}

    def _move(self, params: dict[str, Any], size: tuple[int, int]) -> Move:
        return _about_middle(size, params["degrees"])


class Affine(_Warp):
    """Turn, scale, shear and shift a picture in one go, so that it is blurred only once.

    About its middle: first sheared, then scaled, turned, and shifted. Its size stays.

    Parameters
    ----------
    degrees : float or (least, most), default=(-10, 10)
        Above 0 is to the left (counter-clockwise).
    scale : float or (least, most), default=(0.9, 1.1)
        Above 1 is larger; evenly in ratio.
    shear_degrees : float or (least, most), default=(-5, 5)
        By how much uprights lean to the right.
    shift : float or (least, most), default=(-0.05, 0.05)
        Shares of the width and of the height (drawn apart).
    fill : {"edge", "reflect", "wrap"}, number or colour, default="edge"
        See `Shift`.

    Examples
    --------
    >>> ramp = np.tile(np.arange(8.0) / 8, (4, 1))
    >>> Affine(0, scale=2, shear_degrees=0, shift=0)(ramp, random_state=0)[0].round(3)
    array([0.219, 0.281, 0.344, 0.406, 0.469, 0.531, 0.594, 0.656])
    """

    n_uniforms: ClassVar[int] = 5

    def __init__(
        self,
        degrees: Range = (-10.0, 10.0),
        *,
        scale: Range = (0.9, 1.1),
        shear_degrees: Range = (-5.0, 5.0),
        shift: Range = (-0.05, 0.05),
        fill: Fill = "edge",
    ):
        self.degrees = degrees
        self.scale = scale
        self.shear_degrees = shear_degrees
        self.shift = shift
        self.fill = fill

    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return angles, scales, shears and shifts, each drawn by itself."""
        check_fill("Affine", self.fill)
        scale = ends_of("Affine", "scale", self.scale, low=0, low_open=True)
        shear = ends_of("Affine", "shear_degrees", self.shear_degrees, low=-80, high=80)
        shift = ends_of("Affine", "shift", self.shift, low=-1, high=1)
        return {
            "degrees": between(ends_of("Affine", "degrees", self.degrees, low=-360, high=360), u[:, 0]),
            "scale": between(scale, u[:, 1], log=True),
            "shear_degrees": between(shear, u[:, 2]),
            "x": between(shift, u[:, 3]),
            "y": between(shift, u[:, 4]),
        }

    def _move(self, params: dict[str, Any], size: tuple[int, int]) -> Move:
        shift = params["x"] * size[1], params["y"] * size[0]
        return _about_middle(size, params["degrees"], params["scale"], params["shear_degrees"], shift)


def _about_middle(
    size: tuple[int, int],
    degrees: float,
    scale: float = 1.0,
    shear_degrees: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Move:
    """Return where each place comes from: shift, turn, scale and shear undone about the middle."""
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    if abs(cos) < 1e-12 or abs(sin) < 1e-12:  # quarter turns are exact
        cos, sin = float(round(cos)), float(round(sin))
    lean = math.tan(math.radians(shear_degrees))
    # Back: out = R S H (in), H: x - lean * y with y down, R to the left.
    a, b = (cos + lean * sin) / scale, (lean * cos - sin) / scale
    d, e = sin / scale, cos / scale
    middle_x, middle_y = size[1] / 2, size[0] / 2
    at_x, at_y = middle_x + shift[0], middle_y + shift[1]
    return a, b, middle_x - a * at_x - b * at_y, d, e, middle_y - d * at_x - e * at_y
