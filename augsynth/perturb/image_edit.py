"""What every edit of a picture is: pixels in and out of any container, one by one or a stack at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from augsynth.core.random import ItemKeys
from augsynth.perturb.base import ParametricPerturbation
from augsynth.perturb.clips import Range, bounds
from augsynth.perturb.pictures import Levels, gather, stack_pictures, take_picture

__all__ = ["ImagePerturbation", "Pictures", "block_for", "ends_of"]

Pictures = np.ndarray | Sequence[np.ndarray]  # (n, h, w, c), or n times (h, w, c)


class ImagePerturbation(ParametricPerturbation):
    """An edit of a picture: PIL image, array (h, w) or (h, w, c), tensor (h, w) or (c, h, w).

    Container, dtype and size come back as they went in; any number of channels, any size
    down to one pixel. Whole numbers are rounded to the nearest and stay in the range of
    their dtype; floats stay in 0 to 1 if they are all in it, else (normalised
    pictures) between their own least and greatest value. The alpha channel of a PIL image
    keeps its values in edits of tone; palettes come back as RGB.

    Subclasses write ``_edit`` and, where a batch has a faster way, ``_edit_stack``.
    """

    modality: ClassVar[str] = "image"
    of_pixels: ClassVar[bool] = True
    any_order: ClassVar[bool] = False  # whether the edit treats every value alike
    tones_only: ClassVar[bool] = True  # whether alpha stays

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Return the edited picture; the same parameters give the same pixels.

        Raises
        ------
        InputTypeError, DataError
            If it is no picture, has no pixels, or holds NaN or infinity.
        """
        pixels, form, levels = take_picture(type(self).__name__, x, any_order=self.any_order)
        if self.tones_only and form.n_colours != pixels.shape[-1]:
            edited = pixels.copy()
            colours = np.ascontiguousarray(pixels[..., : form.n_colours])
            edited[..., : form.n_colours] = self._edit(colours, params, levels)
            return form.give_back(edited)
        return form.give_back(self._edit(pixels, params, levels))

    @abstractmethod
    def _edit(self, pixels: np.ndarray, params: dict[str, Any], levels: Levels) -> np.ndarray:
        """Return an edited copy (or the same) of contiguous pixels (h, w, c)."""

    def _edit_stack(
        self, pixels: Pictures, params: dict[str, np.ndarray], low: np.ndarray, high: np.ndarray
    ) -> np.ndarray:
        """Return edited copies (n, h, w, c) of contiguous pictures, bit-equal to ``_edit`` of each."""
        edited = block_for(pixels)
        for k, (row, levels) in enumerate(zip(_rows(params), zip(low, high, strict=True), strict=True)):
            edited[k] = self._edit(pixels[k], row, levels)
        return edited

    def edit_many(self, xs: Any, keys: ItemKeys) -> Any:
        """Draw and apply for a batch: to the last bit what one after the other gives."""
        if not len(xs):
            return xs
        stack = stack_pictures(type(self).__name__, xs, any_order=self.any_order)
        if stack is None and isinstance(xs, np.ndarray):
            return super().edit_many(xs, keys)
        drawn = self.parameters(keys.uniforms(self.n_uniforms))
        if stack is None and all(type(x) is np.ndarray and _is_usual(x, xs[0].shape) for x in xs):
            return list(self._edit_stack(xs, drawn, np.zeros(len(xs)), np.full(len(xs), 255.0)))
        if stack is None:
            return gather(xs, (self.apply(x, row) for x, row in zip(xs, _rows(drawn), strict=True)))
        pixels, n_colours = stack.pixels, stack.form.n_colours
        if self.tones_only and n_colours != pixels.shape[-1]:
            edited = pixels.copy()
            colours = np.ascontiguousarray(pixels[..., :n_colours])
            edited[..., :n_colours] = self._edit_stack(colours, drawn, stack.low, stack.high)
            return stack.give_back(edited)
        return stack.give_back(self._edit_stack(pixels, drawn, stack.low, stack.high))


def block_for(pixels: Pictures) -> np.ndarray:
    """Return an array (n, h, w, c) for edited pictures."""
    return np.empty((len(pixels), *pixels[0].shape), dtype=pixels[0].dtype)


def _is_usual(x: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether a picture can be edited beside others of a shape as it lies in memory."""
    usual = x.dtype == np.uint8 and x.ndim == 3 and x.shape == shape and x.flags.c_contiguous
    return usual and x.shape[2] <= 4 < x.shape[0]


def _rows(params: dict[str, np.ndarray]) -> Sequence[dict[str, Any]]:
    """Return the parameters of each picture, as plain numbers."""
    names = list(params)
    return [
        dict(zip(names, row, strict=True)) for row in zip(*(v.tolist() for v in params.values()), strict=True)
    ]


def ends_of(
    where: str,
    name: str,
    value: Range,
    *,
    low: float | None = None,
    high: float | None = None,
    low_open: bool = False,
) -> tuple[float, float]:
    """Return the two ends of a parameter's range, checked once for each value; see `bounds`."""
    try:
        return _ends(where, name, tuple(value) if isinstance(value, list) else value, low, high, low_open)
    except TypeError:  # not hashable: no range either, or an array
        return bounds(where, name, value, low=low, high=high, low_open=low_open)


@lru_cache(maxsize=1024, typed=True)
def _ends(where: str, name: str, value: Any, low: Any, high: Any, low_open: bool) -> tuple[float, float]:
    return bounds(where, name, value, low=low, high=high, low_open=low_open)
