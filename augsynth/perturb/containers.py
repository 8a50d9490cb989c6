"""Pictures in any container as arrays for another library, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from augsynth.core.errors import DataError, InputTypeError, sentence

__all__ = ["dense", "picture_array"]

_Back = Callable[[Any], Any]
_MODES = ("RGB", "RGBA", "L", "F", "I;16")


def dense(x: Any, where: str) -> Any:
    """Return a tensor on the CPU, without its class; raise the sentence for one that holds no plain values.

    Raises
    ------
    InputTypeError
        For tensors of the device "meta", sparse and quantized ones.
    """
    import torch

    must = "a tensor must hold a plain number at each place"
    if x.device.type == "meta":
        raise InputTypeError(sentence(where, must, "one on the device 'meta'", "Load the values first."))
    if x.layout is not torch.strided:
        given = f"one of the layout {str(x.layout).removeprefix('torch.')}"
        raise InputTypeError(sentence(where, must, given, "Use .to_dense()."))
    if x.is_quantized:
        raise InputTypeError(sentence(where, must, str(x.dtype), "Use .dequantize()."))
    return x.detach().cpu().as_subclass(torch.Tensor)


def picture_array(x: Any, where: str) -> tuple[np.ndarray, _Back]:
    """Return a picture as a writeable array (h, w) or (h, w, c), and the way back to what it was.

    What the library made of it goes through the second: an array becomes the container and
    (from floats) the dtype that came in; anything else stays what the library made.

    Raises
    ------
    InputTypeError, DataError
        For what is no picture, or one of a dtype or mode that libraries do not know.
    """
    if isinstance(x, np.ndarray):
        if x.dtype.char == "B" and x.ndim == 3 and x.shape[2] > 1 and x.flags.writeable and x.size:
            return x, _as_it_is
        return _from_array(x, where)
    if hasattr(x, "detach") and hasattr(x, "permute"):
        return _from_tensor(x, where)
    if type(x).__module__.startswith("PIL."):
        from PIL import Image

        if x.mode not in _MODES:  # palettes and the like are edited, and come back, as RGB
            x = x.convert("L" if x.mode == "1" else "RGB")
        return np.array(x), lambda made: Image.fromarray(made) if isinstance(made, np.ndarray) else made
    must = "a picture must be an array, a tensor or a PIL image"
    raise InputTypeError(sentence(where, must, type(x).__name__))


def _as_it_is(made: Any) -> Any:
    return made


def _from_array(x: np.ndarray, where: str) -> tuple[np.ndarray, _Back]:
    if x.ndim not in (2, 3) or 0 in x.shape:
        raise DataError(sentence(where, "a picture must have a shape (h, w) or (h, w, c)", f"{x.shape}"))
    if x.dtype not in (np.uint8, np.uint16, np.float32, np.float64, np.float16):
        must = "a picture must hold uint8, uint16 or floats between 0 and 1"
        raise DataError(sentence(where, must, str(x.dtype)))
    if x.dtype.kind == "f" and not np.isfinite(x.sum()):
        raise DataError(sentence(where, "a picture must be finite", "NaN or infinite pixels"))
    image, dtype, shape = x, x.dtype, x.shape
    if dtype in (np.float64, np.float16):
        image = x.astype(np.float32)
    elif not x.flags.writeable:
        image = x.copy()

    def back(made: Any) -> Any:
        if not isinstance(made, np.ndarray):
            return made
        if len(shape) == 3 and made.ndim == 2:
            made = made[:, :, None]
        return made.astype(dtype) if made.dtype == np.float32 and image.dtype != dtype else made

    return image, back


def _from_tensor(x: Any, where: str) -> tuple[np.ndarray, _Back]:
    import torch

    if x.ndim not in (2, 3):
        raise DataError(
            sentence(where, "a tensor must have a shape (c, h, w) or (h, w)", f"{tuple(x.shape)}")
        )
    half = x.dtype == torch.bfloat16  # which numpy does not have
    plain = dense(x, where).float() if half else dense(x, where)
    array = plain.permute(1, 2, 0) if x.ndim == 3 else plain
    image, array_back = _from_array(np.ascontiguousarray(array.numpy()), where)
    if image.base is not None or np.shares_memory(image, array.numpy()):
        image = image.copy()

    def back(made: Any) -> Any:
        made = array_back(made)
        if not isinstance(made, np.ndarray):
            return made
        made = torch.from_numpy(np.ascontiguousarray(made.transpose(2, 0, 1) if made.ndim == 3 else made))
        made = made.to(x.device, x.dtype if half else made.dtype)
        return made if type(x) is torch.Tensor else _wrapped(made, x)

    return image, back


def _wrapped(made: Any, like: Any) -> Any:
    if type(like).__module__.startswith("torchvision.tv_tensors"):
        from torchvision import tv_tensors

        return tv_tensors.wrap(made, like=like)
    return made
