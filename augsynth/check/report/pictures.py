"""Pictures inside the page: real and new ones of each class, and pairs side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from augsynth.check.evidence import Evidence, Rows
from augsynth.check.preservation.contact_sheet import drawable
from augsynth.check.report.markup import clean, figure, middle_cut, tag
from augsynth.encode.image import is_image

__all__ = ["Side", "contact_sheets", "has_pictures", "pair_pictures", "pair_rows", "shown_text"]

MOST_CLASSES = 12
_LARGEST, _SHEET_WIDE, _MOST_ACROSS, _FEW_NUMBERS = 64, 290, 8, 60


def has_pictures(evidence: Evidence) -> bool:
    """Whether the rows can be shown as pictures."""
    return evidence.modality == "image" or (evidence.modality == "features" and is_image(evidence.train.X))


def contact_sheets(evidence: Evidence) -> Markup:
    """Show real and new pictures of each class, the first ones; classes with the most new ones come first."""
    made, real = evidence.made, evidence.train
    levels = _levels(real)
    codes = np.unique(made.labels, return_counts=True)
    shown = codes[0][np.argsort(-codes[1], kind="stable")][:MOST_CLASSES]
    blocks = []
    for code in shown:
        name = evidence.classes[code] if evidence.classes else "all"
        parts = [tag("h3", middle_cut(name))]
        for words, rows in (("real", real), ("new", made)):
            places = np.flatnonzero(rows.labels == code)
            parts.append(tag("p", f"{words}, {len(places):,} in all"))
            if len(places):
                parts.append(_sheet(rows, places, levels, f"{words} pictures of class {name}"))
        blocks.append(tag("div", *parts))
    return tag("div", *blocks, class_="sheet")


def _sheet(rows: Rows, places: np.ndarray, levels: tuple[float, float], label: str) -> Markup:
    pictures = [_bytes(rows.X, int(place), levels) for place in places[: 2 * _MOST_ACROSS]]
    height, width = (max(each.shape[axis] for each in pictures) for axis in (0, 1))
    across = max(3, min(_MOST_ACROSS, _SHEET_WIDE // max(width, 32)))
    pictures = pictures[: 2 * across]
    down = -(-len(pictures) // across)
    sheet = np.zeros((down * (height + 1), across * (width + 1), 4), dtype=np.uint8)
    for k, each in enumerate(pictures):
        y, x = k // across * (height + 1), k % across * (width + 1)
        h, w = each.shape[:2]  # those of several sizes stand in the middle of their places
        y, x = y + (height - h) // 2, x + (width - w) // 2
        sheet[y : y + h, x : x + w, :3] = each
        sheet[y : y + h, x : x + w, 3] = 255
    scale = max(1, _SHEET_WIDE // sheet.shape[1])
    return _image(sheet, label, scale)


@dataclass(frozen=True)
class Side:
    """One row of each pair: what it is called, its places in some rows, and how far it is from the first."""

    words: str
    places: Sequence[int]
    rows: Rows
    distances: Sequence[float] | None = None

    def told(self, k: int) -> str:
        """Say what it is and how far."""
        return (
            self.words if self.distances is None else f"{self.words}, {figure(float(self.distances[k]))} away"
        )


def pair_pictures(evidence: Evidence, sides: Sequence[Side]) -> Markup:
    """Show pictures side by side, a line a pair."""
    levels = _levels(evidence.train)
    blocks = []
    for k in range(len(sides[0].places)):
        parts = []
        for side in sides:
            pixels = _bytes(side.rows.X, int(side.places[k]), levels)
            scale = max(1, 84 // max(pixels.shape[:2]))
            parts.append(tag("div", _image(pixels, side.told(k), scale), tag("div", side.told(k))))
        blocks.append(tag("div", *parts, class_="twins"))
    return tag("div", *blocks, class_="sheet")


def _levels(rows: Rows) -> tuple[float, float]:
    some = np.linspace(0, len(rows) - 1, min(50, len(rows))).astype(int)
    pictures = [np.asarray(drawable(rows.X[place])) for place in some]
    return min(float(each.min()) for each in pictures), max(float(each.max()) for each in pictures)


def _bytes(X: Any, place: int, levels: tuple[float, float]) -> np.ndarray:
    """Return a picture as (h, w, 3) bytes on the scale of the real ones, large ones thinned out."""
    array = np.asarray(drawable(X[place]), dtype=float)
    step = -(-max(array.shape[:2]) // _LARGEST)
    array = array[::step, ::step]
    low, high = levels
    array = np.clip((array - low) / ((high - low) or 1.0), 0, 1) * 255
    return np.rint(array if array.ndim == 3 else np.repeat(array[:, :, None], 3, axis=2)).astype(np.uint8)


def _image(pixels: np.ndarray, label: str, scale: int) -> Markup:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    height, width = pixels.shape[:2]
    return tag("img", src=source, alt=clean(label), width=width * scale, height=height * scale).replace(
        Markup("</img>"), Markup("")
    )


def shown_text(value: Any, most: int = 240) -> str:
    """Return a text or clip as a line."""
    if isinstance(value, str):
        text = " ".join(clean(value).split())
        return text if len(text) <= most else text[: most - 1] + "…"
    numbers = np.ravel(value)
    if len(numbers) <= _FEW_NUMBERS:
        return ", ".join(f"{number:.4g}" for number in numbers.astype(float))
    return f"{np.shape(value)[-1]:,} samples"


def pair_rows(sides: Sequence[Side], columns: Sequence[Any]) -> Markup:
    """Show rows of tables below each other; what differs from the first of each pair is marked."""
    head = tag("tr", *(tag("th", name, scope="col") for name in ("row", "distance", *map(str, columns))))
    body = []
    for k in range(len(sides[0].places)):
        rows = [[_written(side.rows.X.iloc[int(side.places[k])][name]) for name in columns] for side in sides]
        for side, cells in zip(sides, rows, strict=True):
            marks = [
                tag("td", tag("span", cell, class_="differs") if cell != first else cell)
                for cell, first in zip(cells, rows[0], strict=True)
            ]
            far = "" if side.distances is None else figure(float(side.distances[k]))
            parts = [tag("th", side.words, scope="row"), tag("td", far), *marks]
            body.append(tag("tr", *parts, class_="first" if side is sides[0] else None))
    caption = tag("caption", "Values that differ from the first row of a pair are marked")
    return tag("table", caption, tag("thead", head), tag("tbody", *body), class_="pairs")


def _written(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        if not np.isfinite(value):
            return "missing"
        number = float(value)
        return f"{number:.4g}" if abs(number) < 1000 else f"{number:,.0f}"
    return middle_cut("missing" if pd.isna(value) else value, 40)
