"""The one picture that all findings share: the figure, what it would be if nothing differed, its controls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from augsynth.check.finding import CONTROLS, COPY, FAILED, HOLDOUT, INDEPENDENT, PASSED, SMOTE, Finding
from augsynth.check.report.markup import Axis, drawing, figure, tag

__all__ = ["KEY", "described", "strip"]

_MARKS: Mapping[str, str] = {
    HOLDOUT: "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z",
    COPY: "M-4 -4h8v8h-8z",
    INDEPENDENT: "M0 -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z",
    SMOTE: "M0 -5l5.2 9h-10.4z",
}
_CLASSES = {FAILED: "bad", PASSED: "good"}
_HEIGHT, _UPPER, _LOWER = 56, 14, 33


def strip(found: Finding) -> Markup:
    """Draw a finding: dot and interval above, controls below, a line where there would be no difference."""
    if not math.isfinite(found.value):
        return Markup("")
    inside = _null_range(found)
    axis = Axis([found.value, found.low, found.high, found.null, *found.controls.values(), *inside])
    parts: list[Any] = [
        tag("line", x1="0", x2="100%", y1=_UPPER, y2=_UPPER, class_="rule"),
        tag("line", x1="0", x2="100%", y1=_LOWER, y2=_LOWER, class_="rule"),
    ]
    if inside:
        low, high = axis.share(inside[0]), axis.share(inside[1])
        parts.append(
            tag(
                "rect",
                x=f"{100 * low:.2f}%",
                width=f"{100 * (high - low):.2f}%",
                y=3,
                height=38,
                class_="null",
            )
        )
    if math.isfinite(found.null):
        at = axis.at(found.null)
        told = f"if nothing differed: {figure(found.null, found.unit)}"
        parts.append(tag("line", tag("title", told), x1=at, x2=at, y1=3, y2=41, class_="nullline"))
    for name in CONTROLS:
        value = found.controls.get(name, float("nan"))
        if math.isfinite(value):
            parts.append(_marker(name, axis.at(value), f"{name}: {figure(value, found.unit)}"))
    good = found.status != PASSED or found.part != "downstream"  # not shown to be worse is no good news
    colour = _CLASSES.get(found.status, "plain") if good else "plain"
    if math.isfinite(found.low) and math.isfinite(found.high):
        ends = {"x1": axis.at(found.low), "x2": axis.at(found.high), "y1": _UPPER, "y2": _UPPER}
        parts.append(tag("line", **ends, class_=f"interval {colour}"))
    parts.append(tag("circle", cx=axis.at(found.value), cy=_UPPER, r=6, class_=f"dot {colour}"))
    for value, told in axis.told(found.unit):
        at = axis.at(value)
        parts.append(tag("line", x1=at, x2=at, y1=_LOWER + 7, y2=_LOWER + 10, class_="ruledark"))
        if 0.03 < axis.share(value) < 0.97:
            parts.append(tag("text", told, x=at, y=_HEIGHT - 1, class_="tick", text_anchor="middle"))
    return drawing(*parts, height=_HEIGHT, label=described(found), class_="strip")


def _null_range(found: Finding) -> list[float]:
    ends = [found.details.get(name) for name in ("null_low", "null_high")]
    good = [float(each) for each in ends if isinstance(each, (int, float)) and math.isfinite(each)]
    return good if len(good) == 2 else []


def _marker(name: str, at: str, told: str) -> Markup:
    path = tag("path", d=_MARKS[name], class_=f"control {name.split()[0].lower()}")
    return tag("svg", tag("title", told), path, x=at, y=_LOWER, overflow="visible")


def described(found: Finding) -> str:
    """Say a strip in words."""
    told = [f"{found.title}: {figure(found.value, found.unit)}"]
    if math.isfinite(found.low):
        told.append(f"95 % interval {figure(found.low, found.unit)} to {figure(found.high, found.unit)}")
    if math.isfinite(found.null):
        told.append(f"if nothing differed {figure(found.null, found.unit)}")
    told += [
        f"{name} {figure(value, found.unit)}"
        for name, value in found.controls.items()
        if math.isfinite(value)
    ]
    return "; ".join(told)


def _key() -> Markup:
    def entry(shape: Markup, words: str) -> Markup:
        picture = tag("svg", shape, viewBox="-9 -9 18 18", width=18, height=18, aria_hidden="true")
        return tag("li", picture, words)

    line = tag("line", x1=-8, x2=8, y1=0, y2=0, class_="interval plain")
    dot = tag("g", line, tag("circle", r=5, class_="dot plain"))
    null = tag("line", x1=0, x2=0, y1=-8, y2=8, class_="nullline")
    entries = [entry(dot, "the new rows, with a 95 % interval"), entry(null, "if nothing differed")]
    words = {
        HOLDOUT: "real rows held out",
        COPY: "copies of training rows",
        INDEPENDENT: "independent columns",
        SMOTE: "SMOTE",
    }
    for name in CONTROLS:
        path = tag("path", d=_MARKS[name], class_=f"control {name.split()[0].lower()}")
        entries.append(entry(path, words[name]))
    return tag("ul", *entries, class_="key", aria_label="Key to the strips")


KEY = _key()
