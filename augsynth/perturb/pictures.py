"""Pictures in any container: checked on the way in, the same kind on the way out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from augsynth.core.errors import DataError, InputTypeError, sentence
from augsynth.perturb.containers import dense

__all__ = ["Form", "Levels", "Stack", "gather", "hold_picture", "stack_pictures", "take_picture"]

Levels = tuple[float, float]

_TODO = "Check the file, or leave the record out."
# cv2 works on these as they are; others are edited in one that holds them.
_WORKING = {"uint8": "uint8", "uint16": "uint16", "float32": "float32", "float64": "float64"}
_WORKING |= {"float16": "float32", "bool": "float32"}
_PLAIN_MODES = ("L", "RGB", "RGBA", "LA", "F", "I", "I;16")
_SMALL_BYTES = 1 << 16  # below this, stacking pays: a call costs more than the pixels


class Form:
    """The container, dtype and shape that a picture came in, to give it back in.

    Attributes
    ----------
    like : object
        The picture itself (PIL image or tensor), or None for arrays.
    dtype : numpy dtype
        Of the pixels as they came; edits may work in a wider one.
    shape : tuple of int
    turned : bool
        Whether channels came first and were moved last.
    n_colours : int
        Channels that colour edits change: all but the alpha channel of a PIL image.
    """

    __slots__ = ("dtype", "like", "n_colours", "shape", "turned")

    def __init__(self, like: Any, pixels: np.ndarray, *, turned: bool):
        self.like = like
        self.dtype = pixels.dtype
        self.shape = pixels.shape
        self.turned = turned
        self.n_colours = pixels.shape[-1]

    def give_back(self, pixels: np.ndarray) -> Any:
        """Return pixels (h, w, c), or in the shape and order they came in, as the picture came."""
        if pixels.dtype != self.dtype:
            pixels = _narrowed(pixels, self.dtype)
        if self.turned:
            pixels = _channels_first(pixels)
        elif pixels.shape != self.shape:
            pixels = pixels.reshape(self.shape)
        return pixels if self.like is None else _wrapped(pixels, self.like)


def take_picture(where: str, x: Any, *, any_order: bool = False) -> tuple[np.ndarray, Form, Levels]:
    """Return the pixels of a picture (h, w, c), how it came, and the range of its values.

    Parameters
    ----------
    where : str
        Who asks, for the messages.
    x : PIL image, ndarray (h, w) or (h, w, c), tensor (h, w) or (c, h, w)
    any_order : bool, default=False
        Leave tensors channels first: for edits that treat every value alike.

    Returns
    -------
    pixels : ndarray (h, w, c) of uint8, uint16, float32 or float64, contiguous
        A view of ``x`` where there can be one: never write to it.
    form : Form
    levels : (low, high)
        The dtype's for uint8 and uint16; (0, 1) for floats and bools within it; (0, 255)
        for other whole numbers within it; otherwise the least and the greatest value.

    Raises
    ------
    InputTypeError
        If it is no picture.
    DataError
        If it has no pixels, or holds NaN or infinity.
    """
    if type(x) is np.ndarray:
        pixels, like = x, None
        if (
            x.dtype == np.uint8
            and x.ndim == 3
            and x.shape[2] <= 4 < x.shape[0]
            and x.flags.c_contiguous
            and x.size
        ):
            return x, Form(None, x, turned=False), (0.0, 255.0)  # the usual case, without further ado
    else:
        pixels, like = _opened(where, x)
    tensor_like = like is not None and hasattr(like, "detach")
    _check_shape(where, pixels, tensor_like)
    form = Form(like, pixels, turned=tensor_like and pixels.ndim == 3 and not any_order)
    working = _WORKING.get(pixels.dtype.name, "float64")
    if pixels.dtype.name != working or not pixels.dtype.isnative:
        pixels = pixels.astype(working)
    if not pixels.flags.c_contiguous:
        pixels = np.ascontiguousarray(pixels)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    elif form.turned:
        pixels = _channels_last(pixels)
    form.n_colours = pixels.shape[-1]
    if like is not None and not tensor_like and like.mode in ("RGBA", "LA"):
        form.n_colours -= 1
    return pixels, form, _levels(where, pixels, form.dtype)


def _opened(where: str, x: Any) -> tuple[np.ndarray, Any]:
    """Return an array of the pixels, and the picture (as it can be given back) that they came in."""
    family = type(x).__module__.partition(".")[0]
    if family == "PIL" and hasattr(x, "getbands"):
        try:
            if x.mode not in _PLAIN_MODES:  # palettes, CMYK, YCbCr, ...: tones are edited as RGB
                return np.asarray(x.convert("L" if x.mode == "1" else "RGB")), x
            return np.asarray(x), x
        except (OSError, SyntaxError) as error:  # files are read only now
            must = "a picture must be readable"
            raise DataError(sentence(where, must, f"{type(error).__name__}: {error}", _TODO)) from error
    if hasattr(x, "detach") and hasattr(x, "cpu"):
        cpu = dense(x, where)
        half = cpu.is_floating_point() and cpu.element_size() == 2  # numpy has no bfloat16
        return (cpu.float() if half else cpu).numpy(), x
    if isinstance(x, np.ndarray):
        return np.asarray(x), None
    must = "a picture must be a PIL image, an array (h, w) or (h, w, c), or a tensor (h, w) or (c, h, w)"
    given = repr(x) if x is None or isinstance(x, (str, bytes, int, float)) else type(x).__name__
    raise InputTypeError(sentence(where, must, given[:80], _TODO))


def _check_shape(where: str, pixels: np.ndarray, tensor_like: bool) -> None:
    if pixels.dtype.kind not in "buif":
        raise InputTypeError(sentence(where, "a picture must hold numbers", f"dtype {pixels.dtype}", _TODO))
    shape = pixels.shape
    if pixels.size == 0:
        raise DataError(sentence(where, "a picture must have pixels", f"shape {shape}", _TODO))
    if pixels.ndim not in (2, 3):
        must = (
            "a picture must be (c, h, w) or (h, w)"
            if tensor_like
            else "a picture must be (h, w, c) or (h, w)"
        )
        raise DataError(sentence(where, must, f"shape {shape}", "Batches of pictures go to edit_many."))
    if pixels.ndim == 3:
        first, last = (shape[2], shape[0]) if tensor_like else (shape[0], shape[2])
        if first <= 4 and last >= 8 and shape[1] >= 8:
            must = f"channels of {'a tensor come first' if tensor_like else 'an array come last'}"
            todo = "Turn it with permute(2, 0, 1)." if tensor_like else "Turn it with np.moveaxis(x, 0, 2)."
            raise DataError(sentence(where, must, f"shape {shape}", todo))


def _levels(where: str, pixels: np.ndarray, dtype: np.dtype) -> Levels:
    if pixels.dtype == np.uint8:
        return 0.0, 255.0
    if pixels.dtype == np.uint16:
        return 0.0, 65535.0
    low, high = float(pixels.min()), float(pixels.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        odd = pixels.size - int(np.isfinite(pixels).sum())
        given = f"{odd} of {pixels.size} values that are NaN or infinite"
        raise DataError(sentence(where, "every value of a picture must be finite", given, _TODO))
    top = 255.0 if dtype.kind in "iu" else 1.0
    return (0.0, top) if low >= 0 and high <= top else (low, high)


def _narrowed(pixels: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return pixels in the dtype they came in."""
    if dtype == np.bool_:
        return pixels >= 0.5
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return np.clip(np.rint(pixels), bounds.min, bounds.max).astype(dtype)
    return pixels.astype(dtype)


def _channels_last(planes: np.ndarray) -> np.ndarray:
    if planes.shape[0] in (3, 4):  # ten times as fast as numpy's copy
        import cv2

        return np.asarray(cv2.merge(list(planes)))
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def _channels_first(pixels: np.ndarray) -> np.ndarray:
    planes = np.empty((pixels.shape[2], *pixels.shape[:2]), dtype=pixels.dtype)
    if pixels.shape[2] in (3, 4) and _WORKING.get(pixels.dtype.name) == pixels.dtype.name:
        import cv2

        cv2.split(pixels, list(planes))
        return planes
    planes[...] = pixels.transpose(2, 0, 1)
    return planes


def _wrapped(pixels: np.ndarray, like: Any) -> Any:
    """Return an array as the tensor or PIL image that ``like`` is."""
    if hasattr(like, "detach"):
        import torch

        if not pixels.flags.writeable or not pixels.flags.c_contiguous:
            pixels = pixels.copy()
        tensor = torch.from_numpy(pixels).to(dtype=like.dtype, device=like.device)
        if type(like) is torch.Tensor:
            return tensor
        from torchvision import tv_tensors

        return tv_tensors.wrap(tensor, like=like)
    from PIL import Image

    picture = Image.fromarray(pixels)
    if like.mode in _PLAIN_MODES or like.mode == "P":  # the palette knows none of the new colours
        return picture
    if like.mode == "1":
        return picture.convert("1", dither=Image.Dither.NONE)
    return picture.convert(like.mode)


def hold_picture(where: str, x: Any) -> tuple[Any, Form | None]:
    """Return a picture's pixels for several edits in a row, and its form to give it back in.

    Pictures that every edit must see as they came stay as they are, with None: those with an
    alpha channel, and those whose dtype the edits do not work in.
    """
    pixels, form, _ = take_picture(where, x)
    plain = pixels.dtype == form.dtype and pixels.shape[-1] == form.n_colours
    return (pixels, form) if plain else (x, None)


class Stack:
    """Pictures of one size and dtype, side by side.

    Attributes
    ----------
    pixels : ndarray (n, h, w, c), contiguous
    low, high : ndarray (n,)
        The range of the values of each, as `take_picture` says.
    form : Form
        Of each picture.
    """

    def __init__(self, where: str, stack: np.ndarray, form: Form, *, as_list: bool):
        working = _WORKING.get(stack.dtype.name, "float64")
        pixels = np.ascontiguousarray(stack.astype(working, copy=False))
        if pixels.ndim == 3:
            pixels = pixels[..., None]
        self.pixels, self.form, self.as_list = pixels, form, as_list
        n = len(pixels)
        if pixels.dtype.kind == "u":
            top = 255.0 if pixels.dtype == np.uint8 else 65535.0
            self.low, self.high = np.zeros(n), np.full(n, top)
        else:
            levels = [_levels(where, picture, form.dtype) for picture in pixels]
            self.low, self.high = np.array(levels).T

    @property
    def is_plain(self) -> bool:
        """Whether several edits in a row may see the pixels alone; see `hold_picture`."""
        return self.pixels.dtype == self.form.dtype and self.pixels.shape[-1] == self.form.n_colours

    def give_back(self, pixels: np.ndarray) -> Any:
        """Return edited pixels as the list or the stack that the pictures came in."""
        if self.as_list and self.form.like is None and pixels.dtype == self.form.dtype:
            return list(pixels.reshape(len(pixels), *self.form.shape))
        if self.as_list and hasattr(self.form.like, "detach") and pixels.dtype == self.form.dtype:
            import torch

            planes = pixels.transpose(0, 3, 1, 2) if self.form.turned else pixels
            whole = np.ascontiguousarray(planes).reshape(len(pixels), *self.form.shape)
            # Each has memory of its own: saving a view of a tensor saves all of it.
            return [tensor.clone() for tensor in torch.from_numpy(whole)]
        if self.as_list:
            return [self.form.give_back(picture) for picture in pixels]
        if pixels.dtype != self.form.dtype:
            pixels = _narrowed(pixels, self.form.dtype)
        return pixels.reshape(len(pixels), *self.form.shape)


def stack_pictures(where: str, xs: Any, *, any_order: bool = False) -> Stack | None:
    """Return a batch as one stack, or None where its pictures are better edited one by one.

    Parameters
    ----------
    where : str
    xs : ndarray (n, h, w) or (n, h, w, c), or list of pictures
    any_order : bool, default=False
        As in `take_picture`.

    Returns
    -------
    Stack or None
        None for pictures of several sizes or dtypes, for large ones in a list (there
        is nothing to gain but copies), and for what is no picture (the one by one says so).
    """
    if isinstance(xs, np.ndarray):
        if xs.dtype.kind not in "buif" or xs.ndim not in (3, 4) or not xs.size:
            return None
        _, form, _ = take_picture(where, xs[0], any_order=any_order)
        return Stack(where, xs, form, as_list=False)
    first = xs[0]
    kind, alike = type(first), _alike(first)
    if alike is None or not all(type(x) is kind and _alike(x) == alike for x in xs):
        return None
    if kind is np.ndarray:
        stack = np.stack(xs)
    elif hasattr(first, "detach"):
        import torch

        stack = torch.stack(list(xs)).numpy()
    else:
        stack = np.stack([np.asarray(x) for x in xs])
    if stack[0].nbytes > _SMALL_BYTES:
        return None
    _, form, _ = take_picture(where, first, any_order=any_order)
    if form.turned:
        stack = stack.transpose(0, 2, 3, 1)
    return Stack(where, stack, form, as_list=True)


def gather(xs: Any, edited: Iterable[Any]) -> list[Any]:
    """Return edited pictures as a list, side by side in memory where they are arrays of one kind.

    Fresh memory for each of a batch of large pictures costs more than many an edit; one
    block for all of them can have large pages. Results then share it: it is free when
    the last of them is.
    """
    pictures = iter(edited)
    first = xs[0]
    if not all(type(x) is np.ndarray and x.shape == first.shape and x.dtype == first.dtype for x in xs):
        return list(pictures)
    block = np.empty((len(xs), *first.shape), dtype=first.dtype)
    for k, picture in enumerate(pictures):
        if picture.shape != first.shape or picture.dtype != first.dtype:
            return [*block[:k], picture, *pictures]
        block[k] = picture
    return list(block)


def _alike(x: Any) -> tuple[Any, ...] | None:
    """Return what pictures that can be stacked have in common, or None for what cannot."""
    if type(x) is np.ndarray:
        return (x.shape, x.dtype) if x.nbytes <= _SMALL_BYTES and x.dtype.kind in "buif" else None
    if hasattr(x, "detach"):
        plain = not x.requires_grad and x.device.type == "cpu" and x.element_size() != 2
        plain = plain and str(x.layout) == "torch.strided"
        return (x.shape, x.dtype) if plain and type(x).__name__ == "Tensor" else None
    if hasattr(x, "getbands") and x.mode in ("L", "RGB", "RGBA", "LA"):
        return x.size, x.mode
    return None
