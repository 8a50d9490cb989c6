"""Pictures inside the page: real and new ones of each class, and pairs side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from augsynth.check.contact_sheet import _picture
from augsynth.check.evidence import Evidence, Rows
from augsynth.check.report.markup import clean, figure, middle_cut, tag

__all__ = ["contact_sheets", "pair_pictures", "pair_rows", "shown_text"]

MOST_CLASSES = 12
_LARGEST, _SHEET_WIDE = 64, 290


def contact_sheets(evidence: Evidence) -> Markup:
    """Show real and new pictures of each class, the first ones; classes with the most new ones come first."""
    made, real = evidence.made, evidence.train
    levels = _levels(real)
    codes = np.unique(made.labels, return_counts=True)
    shown = codes[0][np.argsort(-codes[1], kind="stable")][:MOST_CLASSES]
    blocks = []
    for code in shown:
        name = evidence.classes[code] if evidence.classes else "all"
        parts = [tag("h4", middle_cut(name))]
        for words, rows in (("real", real), ("new", made)):
            places = np.flatnonzero(rows.labels == code)
            parts.append(tag("p", f"{words}, {len(places):,} in all"))
            if len(places):
                parts.append(_sheet(rows, places, levels, f"{words} pictures of class {name}"))
        blocks.append(tag("div", *parts))
    return tag("div", *blocks, class_="sheet")


def _sheet(rows: Rows, places: np.ndarray, levels: tuple[float, float], label: str) -> Markup:
    first = _bytes(rows.X, int(places[0]), levels)
    height, width = first.shape[:2]
    across = max(3, min(8, _SHEET_WIDE // max(width, 32)))
    pictures = [_bytes(rows.X, int(place), levels) for place in places[: 2 * across]]
    pictures = [each if each.shape[:2] == (height, width) else np.zeros_like(first) for each in pictures]
    down = -(-len(pictures) // across)
    sheet = np.zeros((down * (height + 1), across * (width + 1), 4), dtype=np.uint8)
    for k, each in enumerate(pictures):
        y, x = k // across * (height + 1), k % across * (width + 1)
        sheet[y : y + height, x : x + width, :3] = each
        sheet[y : y + height, x : x + width, 3] = 255
    scale = max(1, _SHEET_WIDE // sheet.shape[1])
    return _image(sheet, label, scale)


def pair_pictures(evidence: Evidence, pairs: pd.DataFrame) -> Markup:
    """Show new pictures beside the training picture and the held-out picture nearest to each."""
    levels = _levels(evidence.train)
    sides = [("new", evidence.made), ("train", evidence.train), ("holdout", evidence.reference)]
    words = {"new": "new", "train": "nearest in training", "holdout": "nearest held out"}
    if evidence.holdout is None:
        sides = sides[:2]
    blocks = []
    for _, pair in pairs.iterrows():
        parts = []
        for name, rows in sides:
            pixels = _bytes(rows.X, int(pair[name]), levels)
            scale = max(1, 84 // max(pixels.shape[:2]))
            far = f", {figure(pair[f'distance_{name}'])} away" if name != "new" else ""
            parts.append(tag("div", _image(pixels, f"{words[name]}{far}", scale), f"{words[name]}{far}"))
        blocks.append(tag("div", *parts, class_="twins triple"))
    return tag("div", *blocks, class_="sheet")


def _levels(rows: Rows) -> tuple[float, float]:
    some = np.linspace(0, len(rows) - 1, min(50, len(rows))).astype(int)
    pictures = [np.asarray(_picture(rows.X[place])) for place in some]
    return min(float(each.min()) for each in pictures), max(float(each.max()) for each in pictures)


def _bytes(X: Any, place: int, levels: tuple[float, float]) -> np.ndarray:
    """Return a picture as (h, w, 3) bytes on the scale of the real ones, large ones thinned out."""
    array = np.asarray(_picture(X[place]), dtype=float)
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
    return f"{np.shape(value)[-1]:,} samples"


def pair_rows(evidence: Evidence, pairs: pd.DataFrame, columns: Sequence[Any]) -> Markup:
    """Show new rows above the training row and the held-out row nearest to each; what differs is marked."""
    sides = [("new", "new", evidence.made), ("nearest in training", "train", evidence.train)]
    if evidence.holdout is not None:
        sides.append(("nearest held out", "holdout", evidence.reference))
    head = tag("tr", *(tag("th", name, scope="col") for name in ("row", "distance", *map(str, columns))))
    body = []
    for _, pair in pairs.iterrows():
        mine = [_written(evidence.made.X.iloc[int(pair["new"])][name]) for name in columns]
        for words, name, rows in sides:
            cells = [_written(rows.X.iloc[int(pair[name])][column]) for column in columns]
            far = figure(pair[f"distance_{name}"]) if name != "new" else ""
            marks = [
                tag("td", tag("span", cell, class_="differs") if cell != own else cell)
                for cell, own in zip(cells, mine, strict=True)
            ]
            body.append(
                tag(
                    "tr",
                    tag("th", words, scope="row"),
                    tag("td", far),
                    *marks,
                    class_="first" if name == "new" else None,
                )
            )
    caption = tag(
        "caption", "New rows and what they are nearest to; values that differ from the new row are marked"
    )
    return tag("table", caption, tag("thead", head), tag("tbody", *body), class_="pairs")


def _written(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}" if np.isfinite(value) else "missing"
    return middle_cut("missing" if pd.isna(value) else value, 40)
