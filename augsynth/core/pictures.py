"""PIL's pictures as data and back, to the last bit: for saved models."""

from __future__ import annotations

from typing import Any

import numpy as np

from augsynth.core.errors import ModelFileError, sentence

__all__ = ["picture_from", "picture_parts"]

# The bytes of a pixel (of mode "1": eight pixels a byte).
_BYTES = {"1": 0, "L": 1, "P": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4, "YCbCr": 3, "HSV": 3, "LAB": 3}
_BYTES |= {"I": 4, "F": 4, "I;16": 2}


def picture_parts(picture: Any) -> list[Any] | None:
    """Return mode, size, pixels, palette, transparency, palette's mode of a PIL image; None for no image.

    Examples
    --------
    >>> from PIL import Image
    >>> picture_from(*picture_parts(Image.new("L", (2, 1), 7))).getpixel((1, 0))
    7
    """
    if not type(picture).__module__.startswith("PIL.") or getattr(picture, "mode", None) not in _BYTES:
        return None
    pixels = np.frombuffer(picture.tobytes(), dtype=np.uint8)  # which also reads a file's palette
    clear = picture.info.get("transparency")
    if picture.mode != "P":
        return [picture.mode, *picture.size, pixels, None, clear]
    colours = "RGBA" if picture.palette is not None and "A" in picture.palette.mode else "RGB"
    return [picture.mode, *picture.size, pixels, picture.getpalette(colours), clear, colours]


def picture_from(
    mode: str, width: int, height: int, pixels: Any, palette: Any, transparency: Any, colours: str = "RGB"
) -> Any:
    """Return the picture that `picture_parts` took apart.

    Raises
    ------
    ModelFileError
        If the mode is not known, or there are not as many bytes or colours as such a picture has;
        nothing is made before.
    """
    if mode not in _BYTES:
        must = f"a picture must have one of the modes {', '.join(_BYTES)}"
        raise ModelFileError(sentence("load", must, repr(mode)))
    need = height * (-(-width // 8) if mode == "1" else _BYTES[mode] * width)
    if width < 0 or height < 0 or pixels.dtype != np.uint8 or pixels.shape != (need,):
        must = f"a picture of {width} x {height} pixels of mode {mode} must have {need} bytes"
        raise ModelFileError(sentence("load", must, f"{pixels.dtype} of shape {pixels.shape}"))
    if palette is not None and not _is_palette(palette, colours):
        must = f"a palette must be at most 256 colours of {len(colours)} bytes each"
        raise ModelFileError(sentence("load", must, f"{colours!r} of {len(palette)} numbers"))
    from PIL import Image

    picture = Image.frombytes(mode, (width, height), pixels.tobytes())
    if palette is not None:
        picture.putpalette(palette, colours)
    if transparency is not None:
        picture.info["transparency"] = transparency
    return picture


def _is_palette(palette: Any, colours: str) -> bool:
    whole = all(isinstance(value, int) and 0 <= value < 256 for value in palette)
    n, odd = divmod(len(palette), max(len(colours), 1))
    return whole and not odd and n <= 256 and colours in ("RGB", "RGBA")
