"""Maps: real and new rows in the plane, and how pairs of columns differ."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from augsynth.check.evidence import Evidence
from augsynth.check.report.markup import drawing, figure, middle_cut, tag

__all__ = ["MOST_COLOURS", "class_colours", "class_key", "heat_map", "row_map", "worst_pairs"]

_POINTS, _SIDE = 900, 340.0
MOST_COLOURS = 6
_COLOURS = (2, 3, 4, 5, 0, 1)  # of the style sheet; 0 and 1 look like real and new
MOST_COLUMNS = 24


def row_map(evidence: Evidence, noun: str = "rows") -> tuple[Markup, float] | None:
    """Draw matched real and new rows on the two main directions of the real ones; and their share of spread.

    The directions are principal components of the real rows in the coordinates of
    `Evidence.design`; both panels have the same axes, those of the real rows.
    """
    from sklearn.decomposition import PCA

    new, real = evidence.matched
    if len(real) < 5:
        return None
    some = np.linspace(0, len(real) - 1, min(_POINTS, len(real))).astype(int)
    design = evidence.design(real)
    if design.shape[1] < 2 or not np.isfinite(design).all():
        return None
    plane = PCA(2, random_state=0).fit(design)
    share = float(np.nansum(plane.explained_variance_ratio_))
    if not share > 0:
        return None
    places = [plane.transform(design[some]), plane.transform(evidence.design(new.take(some)))]
    low, high = np.quantile(places[0], [0.005, 0.995], axis=0)
    low, high = low - 0.15 * (high - low), high + 0.15 * (high - low)
    several = len(np.unique(real.labels[some])) > 1
    shown = several and evidence.target_kind == "class" and len(evidence.classes) <= MOST_COLOURS
    panels = []
    for kind, rows, points in zip(("real", "new"), (real, new), places, strict=True):
        title, labels = f"{kind} {noun}", rows.labels[some]
        dots = class_colours(labels, "s") if shown else [(f"dots{kind}", np.ones(len(some), dtype=bool))]
        panels.append(tag("div", tag("h3", title), _panel(points, dots, low, high, title)))
    key = class_key(evidence.classes, real.labels[some]) if shown else Markup("")
    return key + tag("div", *panels, class_="pair"), share


def class_colours(labels: np.ndarray, letter: str) -> list[tuple[str, np.ndarray]]:
    """Return the style of each class and whose it is; first those that stand for nothing else on the page."""
    return [(f"{letter}{_COLOURS[code]}", labels == code) for code in np.unique(labels)]


def class_key(names: Sequence[str], labels: np.ndarray) -> Markup:
    """Return the key of the classes that are there."""
    codes = np.unique(labels)
    entries = [
        tag("li", tag("span", class_=f"swatch f{_COLOURS[code]}"), middle_cut(names[code])) for code in codes
    ]
    return tag("ul", *entries, class_="key")


def _panel(
    points: np.ndarray, dots: Sequence[tuple[str, np.ndarray]], low: np.ndarray, high: np.ndarray, title: str
) -> Markup:
    span = np.where(high > low, high - low, 1.0)
    at = np.clip((points - low) / span, 0.0, 1.0) * (_SIDE - 12) + 6
    parts: list[Markup] = [
        tag("rect", x=0.5, y=0.5, width=_SIDE - 1, height=_SIDE * 0.72 - 1, class_="control frame")
    ]
    for style, own in dots:
        path = "".join(f"M{x:.0f} {0.72 * y:.0f}h0" for x, y in at[own])
        parts.append(tag("path", d=path, class_=f"points {style}"))
    outside = int((((points < low) | (points > high)).any(axis=1)).sum())
    told = f"Map of {len(points):,} {title}; {outside:,} lie beyond its edges and are drawn on them"
    return drawing(*parts, width=_SIDE, height=_SIDE * 0.72, label=told)


def heat_map(values: np.ndarray, names: Sequence[str], words: str) -> Markup:
    """Draw a square matrix of differences; blue is weaker among new rows, orange stronger.

    At most `MOST_COLUMNS` columns: those with the greatest differences.
    """
    order = np.argsort(-np.nan_to_num(np.abs(values)).max(axis=0), kind="stable")[:MOST_COLUMNS]
    order = np.sort(order)
    values, names = values[np.ix_(order, order)], [str(names[k]) for k in order]
    most = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    cell = 26.0 if len(names) > 14 else 34.0
    left, top = 150.0, 112.0
    parts: list[Markup] = []
    for i, name in enumerate(names):
        y = top + i * cell
        parts.append(
            tag(
                "text", middle_cut(name, 22), x=left - 8, y=y + cell / 2 + 4, text_anchor="end", class_="tick"
            )
        )
        x = left + i * cell + cell / 2 + 3
        turned = f"rotate(-50 {x:.1f} {top - 8:.1f})"
        parts.append(tag("text", middle_cut(name, 20), x=x, y=top - 8, transform=turned, class_="tick"))
        parts += _cells(values[i], names, i, (left, y, cell), most)
    width, height = left + len(names) * cell + 70, top + len(names) * cell + 6
    told = f"{words}: {len(names)} columns, greatest difference {figure(most)}"
    style = "min-width:520px;max-width:860px" if len(names) > 8 else "max-width:560px"
    picture = drawing(*parts, width=width, height=height, label=told, class_="heat")
    ends = [tag("span", figure(-most)), tag("span", class_="ramp"), tag("span", f"+{figure(most)}")]
    scale = tag("ul", tag("li", *ends), class_="key", aria_label="Colour scale")
    return scale + tag("div", picture, style=style)


def worst_pairs(values: np.ndarray, names: Sequence[str], most: int = 8) -> pd.DataFrame:
    """Return the pairs of columns whose difference is greatest, greatest first."""
    first, second = np.triu_indices(len(names), 1)
    sizes = np.nan_to_num(np.abs(values[first, second]))
    order = np.argsort(-sizes, kind="stable")[:most]
    order = order[sizes[order] > 0]
    return pd.DataFrame(
        {
            "column": [str(names[k]) for k in first[order]],
            "and": [str(names[k]) for k in second[order]],
            "new less real": [f"{value:+.2f}" for value in values[first[order], second[order]]],
        }
    )


def _cells(
    values: np.ndarray, names: Sequence[str], i: int, place: tuple[float, float, float], most: float
) -> list[Markup]:
    left, y, cell = place
    parts = []
    for j, value in enumerate(values):
        if i == j or not math.isfinite(value):
            continue
        strength = min(abs(float(value)) / most, 1.0)
        told = tag("title", f"{names[i]} and {names[j]}: {value:+.2f}")
        ground = {"x": left + j * cell + 1, "y": y + 1, "width": cell - 2, "height": cell - 2}
        parts.append(tag("rect", **ground, class_="heatzero"))
        colour = "heatmore" if value > 0 else "heatless"
        parts.append(tag("rect", told, **ground, class_=colour, fill_opacity=f"{strength:.2f}"))
    return parts
