"""Marks of a page: escaped tags, numbers for the eye, positions on an axis."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup, escape

__all__ = ["Axis", "clean", "drawing", "figure", "middle_cut", "percent", "spaced", "tag"]

# What HTML may not hold, and marks that would turn the direction of the text after them.
_UNFIT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)


def clean(text: Any) -> str:
    r"""Return text without control characters, lone surrogates and direction marks.

    Examples
    --------
    >>> clean("a\x00b")
    'a�b'
    """
    return _UNFIT.sub("\ufffd", str(text))


def tag(name: str, *inside: Any, **attributes: Any) -> Markup:
    """Return an element; its text and attributes are escaped, `Markup` inside stays as it is.

    A trailing underscore of an attribute is dropped and other underscores are dashes; None leaves it out.

    Examples
    --------
    >>> tag("b", "<i>", class_="x")
    Markup('<b class="x">&lt;i&gt;</b>')
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    body = Markup("").join(each if isinstance(each, Markup) else escape(clean(each)) for each in inside)
    return Markup(f"<{name}{told}>{body}</{name}>")


def drawing(*inside: Any, height: float, label: str, width: float | None = None, class_: str = "") -> Markup:
    """Return an inline SVG picture with a text for those who cannot see it.

    Without a ``width`` it is as wide as its place, and x positions are percentages; with
    one it is scaled as a whole.
    """
    size: dict[str, Any] = {"width": "100%", "height": height}
    if width is not None:
        size = {"viewBox": f"0 0 {_number(width)} {_number(height)}"}
    return tag("svg", *inside, **size, role="img", aria_label=clean(label), class_=class_ or None)


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else clean(value)


def percent(share: float) -> str:
    """Return a position on a picture as wide as its place."""
    return f"{100 * share:.2f}%"


def figure(value: Any, unit: str = "") -> str:
    """Return a number with three digits or so; a dash for none.

    Examples
    --------
    >>> figure(0.71234), figure(12345.6), figure(float("nan")), figure(0.05, "share of rows")
    ('0.712', '12,346', '–', '5.0 %')
    """
    if value is None or not isinstance(value, (int, float, np.number)) or not math.isfinite(value):
        return "–"
    size = abs(float(value))
    if unit.startswith("share"):
        return f"{100 * value:.1f} %" if size < 0.9995 or size > 1.0005 else f"{100 * value:.0f} %"
    if isinstance(value, (int, np.integer)) or float(value).is_integer():
        return f"{int(value):,}"
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 0.0995:
        return f"{value:.3f}"
    return f"{value:.4f}" if size >= 0.00095 else f"{value:.2g}"


def spaced(sentence: str) -> str:
    """Return a sentence whose shares all have the same space before the sign.

    Examples
    --------
    >>> spaced("5.0% of 3 % of rows")
    '5.0 % of 3 % of rows'
    """
    return re.sub(r"(?<=\d)%", " %", sentence)


def middle_cut(name: Any, most: int = 28) -> str:
    """Return a name cut in the middle to a length that fits."""
    text = clean(name)
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


class Axis:
    """Where numbers lie on a line, as shares of its length.

    Examples
    --------
    >>> axis = Axis([0.0, 10.0], margin=0.0)
    >>> axis.share(5.0), axis.ticks()
    (0.5, [0.0, 5.0, 10.0])
    """

    def __init__(self, values: Iterable[float], *, margin: float = 0.05) -> None:
        found = [float(each) for each in values if each is not None and math.isfinite(each)]
        low, high = (min(found), max(found)) if found else (0.0, 1.0)
        room = (high - low) * margin if high > low else abs(high) * 0.1 or 1.0
        self.low, self.high = low - room, high + room

    def share(self, value: float) -> float:
        """Return the place of a number, kept within the line."""
        return min(1.0, max(0.0, (float(value) - self.low) / (self.high - self.low)))

    def at(self, value: float) -> str:
        """Return the place of a number as a percentage."""
        return percent(self.share(value))

    def ticks(self, most: int = 4) -> Sequence[float]:
        """Return round numbers on the line."""
        span = self.high - self.low
        power = 10.0 ** math.floor(math.log10(span / most))
        step = next((k * power for k in (1.0, 2.0, 5.0, 10.0) if span / (k * power) <= most), 10 * power)
        first = math.ceil(self.low / step - 1e-9)
        return [round(k * step, 12) + 0.0 for k in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def told(self, unit: str = "", *, sign: bool = False, most: int = 5) -> list[tuple[float, str]]:
        """Return round numbers on the line with their texts, all with the same decimals."""
        ticks = self.ticks(most)
        step = ticks[1] - ticks[0] if len(ticks) > 1 else (self.high - self.low) / 2
        share = unit.startswith("share")
        decimals = max(0, -math.floor(math.log10(step * (100 if share else 1)) + 1e-9))
        plus = "+" if sign else ""
        texts = [
            f"{100 * tick:.{decimals}f} %" if share else f"{tick:{plus if tick else ''},.{decimals}f}"
            for tick in ticks
        ]
        return list(zip(ticks, texts, strict=True))
