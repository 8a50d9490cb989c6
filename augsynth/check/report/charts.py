"""Charts whose text keeps its size at any width: counts, gains, groups before and after, losses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from augsynth.check.report.markup import Axis, drawing, figure, middle_cut, tag

__all__ = ["Gain", "count_bars", "forest", "group_dots", "loss_lines"]

_MOST_LINES = 24


@dataclass(frozen=True)
class Gain:
    """One line of a forest plot: a difference with its interval; ``word`` colours it."""

    name: str
    difference: float
    low: float
    high: float
    word: str = ""
    note: str = ""


def _row(name: str, bar: Markup, told: Any, title: str | None = None) -> Markup:
    parts = [
        tag("div", name, class_="name", title=title),
        tag("div", bar, class_="bar"),
        tag("div", told, class_="told"),
    ]
    return tag("li", *parts, class_="row")


def count_bars(counts: pd.DataFrame, noun: str) -> Markup:
    """Draw the rows of each class or cell before, and the new ones on top."""
    shown = counts.head(_MOST_LINES)
    most = float(max(shown["after"].max(), 1))
    lines = []
    for _, row in shown.iterrows():
        before, new = int(row["before"]), int(row["new"])
        old, more = 100 * before / most, 100 * new / most
        bars = [
            tag("rect", x="0", width=f"{old:.2f}%", y=3, height=14, class_="fillreal"),
            tag("rect", x=f"{old:.2f}%", width=f"{more:.2f}%", y=3, height=14, class_="fillnew"),
        ]
        label = f"{row['name']}: {before:,} {noun} before, {before + new:,} after"
        told = f"{before:,} → {before + new:,}" if new else f"{before:,}"
        name = middle_cut(row["name"], 36)
        lines.append(_row(name, drawing(*bars, height=20, label=label), told, title=str(row["name"])))
    key = tag(
        "ul",
        tag("li", tag("span", class_="swatch real"), f"real {noun}"),
        tag("li", tag("span", class_="swatch new"), f"new {noun}"),
        class_="key",
    )
    return key + tag("ul", *lines, class_="rows")


def forest(groups: Mapping[str, Sequence[Gain]], label: str) -> Markup:
    """Draw differences with their intervals about a line at zero; right is better."""
    every = [gain for gains in groups.values() for gain in gains]
    axis = Axis(
        [0.0, *(end for gain in every for end in (gain.low, gain.high, gain.difference))], margin=0.08
    )
    decimals = _decimals(every)
    lines = []
    for heading, gains in groups.items():
        if heading:
            lines.append(tag("li", heading, class_="row group"))
        for gain in gains[:_MOST_LINES]:
            lines.append(_gain_line(gain, axis, decimals))
        if len(gains) > _MOST_LINES:
            lines.append(tag("li", f"… and {len(gains) - _MOST_LINES} more", class_="row group"))
    lines.append(_scale(axis, label, sign=True))
    return tag("ul", *lines, class_="rows")


def _scale(axis: Axis, label: str, *, sign: bool = False) -> Markup:
    ticks = [
        tag("text", told, x=axis.at(value), y=12, text_anchor="middle", class_="tick")
        for value, told in axis.told(sign=sign)
        if 0.04 < axis.share(value) < 0.96
    ]
    name = tag("span", label, class_="note")
    parts = [
        tag("div", name, class_="name"),
        tag("div", drawing(*ticks, height=18, label="scale"), class_="bar"),
    ]
    return tag("li", *parts, class_="row scale")


def _gain_line(gain: Gain, axis: Axis, decimals: int) -> Markup:
    zero = tag("line", x1=axis.at(0), x2=axis.at(0), y1=0, y2=30, class_="zero")
    if not math.isfinite(gain.difference):
        return _row(
            middle_cut(gain.name, 40), drawing(zero, height=30, label="undefined"), gain.note or "undefined"
        )
    colour = {"helps": "good", "hurts": "bad"}.get(gain.word, "plain")
    parts = [zero]
    told = f"{gain.difference:+.{decimals}f}"
    if math.isfinite(gain.low):
        ends = {"x1": axis.at(gain.low), "x2": axis.at(gain.high), "y1": 15, "y2": 15}
        parts.append(tag("line", **ends, class_=f"interval {colour}"))
        told += f" {_interval(gain.low, gain.high, decimals)}"
    parts.append(tag("circle", cx=axis.at(gain.difference), cy=15, r=6, class_=f"dot {colour}"))
    said: list[Any] = [tag("span", told)]
    outside = math.isfinite(gain.low) and gain.low * gain.high > 0
    if gain.note or gain.word in ("helps", "hurts") or outside:
        words = gain.note or (gain.word if gain.word in ("helps", "hurts") else "only by itself")
        said += [" ", tag("span", words, class_=f"{colour}-text")]
    picture = drawing(*parts, height=30, label=f"{gain.name}: {told} {gain.word}")
    return _row(middle_cut(gain.name, 40), picture, Markup("").join(map(_text, said)), title=gain.name)


def _interval(low: float, high: float, decimals: int) -> str:
    """Write an interval, with one digit more where an end beside zero would read as zero."""
    while decimals < 6 and low * high > 0 and min(abs(low), abs(high)) < 0.5 * 10.0**-decimals:
        decimals += 1
    return f"[{low:+.{decimals}f}, {high:+.{decimals}f}]"


def _text(each: Any) -> Markup:
    return each if isinstance(each, Markup) else Markup.escape(each)


def _decimals(gains: Sequence[Gain]) -> int:
    halves = [(gain.high - gain.low) / 2 for gain in gains if math.isfinite(gain.high - gain.low)]
    sizes = [half for half in halves if half > 0]
    return int(np.clip(1 - math.floor(math.log10(np.median(sizes))), 2, 4)) if sizes else 3


def group_dots(
    frame: pd.DataFrame,
    metric: str,
    *,
    words: tuple[str, str] = ("without the new rows", "with them"),
    rate: bool = False,
    inside: bool = False,
) -> Markup:
    """Draw a metric of each group before (blue) and after (orange), with intervals; a rate's end at 0 and 1.

    ``inside``: the two are the rows elsewhere and those inside a subgroup, not before and after.

    ``frame`` has columns group, n, before, before_low, before_high, after, after_low,
    after_high.
    """
    columns = [name for name in frame.columns if name.startswith(("before", "after"))]
    frame = frame.assign(**{name: frame[name].clip(0.0, 1.0) for name in columns}) if rate else frame
    axis = Axis(frame[columns].to_numpy(dtype=float).ravel(), margin=0.06)
    lines = []
    for _, row in frame.head(_MOST_LINES).iterrows():
        parts: list[Any] = [tag("line", x1="0", x2="100%", y1=16, y2=16, class_="rule")]
        said = []
        for when, y, colour in (("before", 11, "real"), ("after", 22, "new")):
            value, low, high = (float(row.get(f"{when}{end}", math.nan)) for end in ("", "_low", "_high"))
            if not math.isfinite(value):
                continue
            if math.isfinite(low) and math.isfinite(high):
                parts.append(
                    tag(
                        "line",
                        x1=axis.at(low),
                        x2=axis.at(high),
                        y1=y,
                        y2=y,
                        class_=f"interval thin {colour}",
                    )
                )
            parts.append(tag("circle", cx=axis.at(value), cy=y, r=5, class_=f"dot {colour}"))
            said.append(figure(value))
        told = " → ".join(said) or "undefined"
        if inside and len(said) == 2:
            told = f"{said[1]} inside, {said[0]} elsewhere"
        note = str(row.get("note", "") or "")
        name = f"{middle_cut(row['group'], 34)}"
        rows = f" ({int(row['n']):,} rows)" if "n" in row and math.isfinite(row["n"]) else ""
        picture = drawing(*parts, height=32, label=f"{metric}, {row['group']}: {told} {note}")
        lines.append(_row(name + rows, picture, f"{told} {note}".strip(), title=str(row["group"])))
    lines.append(_scale(axis, metric))
    entries = [
        tag("li", tag("span", class_=f"swatch {side}"), told)
        for side, told in zip(("real", "new"), words, strict=True)
    ]
    return tag("ul", *entries, class_="key") + tag("ul", *lines, class_="rows")


def loss_lines(curves: Mapping[str, Sequence[tuple[int, float]]], label: str) -> Markup:
    """Draw losses over steps, each on its own scale where there are several."""
    pictures = []
    for k, (name, points) in enumerate(curves.items()):
        good = [(float(x), float(y)) for x, y in points if math.isfinite(y)]
        if len(good) < 2:
            continue
        width, height = 520.0, 170.0
        across, up = (
            Axis([x for x, _ in good], margin=0.0),
            Axis(np.quantile([y for _, y in good], [0.0, 0.98])),
        )
        path = " ".join(
            f"{'M' if place == 0 else 'L'}{40 + across.share(x) * (width - 50):.1f} "
            f"{10 + (1 - up.share(y)) * (height - 40):.1f}"
            for place, (x, y) in enumerate(good)
        )
        parts = [tag("path", d=path, class_=f"line s{k % 6}")]
        for value, told_here in up.told(most=3):
            y = 10 + (1 - up.share(value)) * (height - 40)
            parts.insert(0, tag("line", x1=40, x2=width - 10, y1=y, y2=y, class_="rule"))
            parts.append(tag("text", told_here, x=36, y=y + 4, text_anchor="end", class_="tick"))
        for value in (across.low, across.high):
            end = "start" if value == across.low else "end"
            x = 40 + across.share(value) * (width - 50)
            parts.append(tag("text", f"step {value:,.0f}", x=x, y=height - 8, text_anchor=end, class_="tick"))
        told = (
            f"{label} of {name}, from {figure(good[0][1])} at the start to {figure(good[-1][1])} at the end"
        )
        pictures.append(tag("div", tag("h3", name), drawing(*parts, width=width, height=height, label=told)))
    return tag("div", *pictures, class_="pair")
