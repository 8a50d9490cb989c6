"""Real and new values of each column side by side, those that differ most first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup

from augsynth.check.evidence import Evidence
from augsynth.check.report.markup import clean, drawing, figure, middle_cut, tag

__all__ = ["Marginal", "marginals", "small_multiples"]

MOST_PANELS = 24
_BINS, _FEW, _MOST_LEVELS = 24, 10, 6
_WIDE, _HIGH = 240.0, 112.0


@dataclass(frozen=True)
class Marginal:
    """A column of the matched rows: ``gap`` is the largest difference of a share of rows (0 to 1)."""

    name: str
    real: pd.Series
    new: pd.Series
    numeric: bool
    gap: float


def marginals(evidence: Evidence) -> list[Marginal]:
    """Return the columns, those that differ most first: greatest gap of the shares below any value.

    For categories it is half the sum of the differences of their shares. Compared are the
    matched rows: equally many of each class and group.
    """
    new, real = evidence.matched
    if not isinstance(real.X, pd.DataFrame) or not len(real):
        return []
    left_out = set(evidence.left_out)
    columns = [(str(name), real.X[name], new.X[name]) for name in real.X.columns if name not in left_out]
    if evidence.target_kind == "number":
        columns.append(("target", pd.Series(real.target), pd.Series(new.target)))
    found = [_marginal(*each) for each in columns]
    return sorted(found, key=lambda each: -each.gap)


def _marginal(name: str, real: pd.Series, new: pd.Series) -> Marginal:
    kind = pd.api.types
    numeric = not kind.is_bool_dtype(real) and (
        kind.is_numeric_dtype(real) or kind.is_datetime64_any_dtype(real)
    )
    if not numeric:
        sides = [side.astype(object).where(side.notna(), "missing").astype(str) for side in (real, new)]
        shares = [side.value_counts(normalize=True) for side in sides]
        gap = float(shares[0].sub(shares[1], fill_value=0.0).abs().sum() / 2)
        return Marginal(name, sides[0], sides[1], False, gap)
    numbers = [_numbers(side) for side in (real, new)]
    missing = abs(float(numbers[0].isna().mean() - numbers[1].isna().mean()))
    a, b = (np.sort(side.dropna().to_numpy()) for side in numbers)
    every = np.concatenate([a, b])
    gap = 0.0
    if len(a) and len(b):
        below = [np.searchsorted(side, every, side="right") / len(side) for side in (a, b)]
        gap = float(np.abs(below[0] - below[1]).max())
    return Marginal(name, numbers[0], numbers[1], True, max(gap, missing))


def _numbers(column: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column):
        days = (pd.to_datetime(column) - pd.Timestamp(0, tz=getattr(column.dt, "tz", None))) / pd.Timedelta(
            "365.2425D"
        )
        return (days + 1970.0).astype(float)  # as years: 2024.5
    values = pd.to_numeric(column, errors="coerce").astype(float)
    return values.where(np.isfinite(values))


def small_multiples(found: Sequence[Marginal]) -> Markup:
    """Draw a small panel a column: real rows as an area, new ones as a line; bars for categories."""
    panels = []
    for each in found[:MOST_PANELS]:
        told = f"largest difference {figure(each.gap, 'share')}"
        picture = _panel(each, f"{each.name}: {told} of rows")
        panels.append(
            tag("div", tag("h3", middle_cut(each.name, 34), title=clean(each.name)), tag("p", told), picture)
        )
    key = tag(
        "ul",
        tag("li", tag("span", class_="swatch real"), "real"),
        tag("li", tag("span", class_="swatch new"), "new"),
        class_="key",
    )
    return key + tag("div", *panels, class_="small")


def _panel(each: Marginal, label: str) -> Markup:
    if not each.numeric:
        order = each.real.value_counts(normalize=True)
        extra = [level for level in each.new.value_counts().index if level not in order.index]
        levels = [*order.index[:_MOST_LEVELS], *extra[: max(0, _MOST_LEVELS - len(order))]]
        return _bars(each, levels, len(set(order.index) | set(extra)), label)
    whole = pd.concat([each.real, each.new]).dropna()
    distinct = np.unique(whole)
    if 0 < len(distinct) <= _FEW:
        names = [figure(value) for value in distinct[:_MOST_LEVELS]]
        if len(set(names)) == len(names):
            written = dict(zip(distinct, names, strict=False))
            real, new = (
                side.map(lambda value: written.get(value, "others")) for side in (each.real, each.new)
            )
            return _bars(Marginal(each.name, real, new, False, each.gap), names, len(distinct), label)
    return _densities(each, whole.to_numpy(), label)


def _bars(each: Marginal, levels: Sequence[str], n_levels: int, label: str) -> Markup:
    shares = [side.value_counts(normalize=True) for side in (each.real, each.new)]
    lines = [(level, [float(share.get(level, 0.0)) for share in shares]) for level in levels]
    rest = [max(0.0, 1.0 - sum(pair[k] for _, pair in lines)) for k in range(2)]
    if n_levels > len(levels) and max(rest) > 1e-9:
        lines.append((f"{n_levels - len(levels):,} others", rest))
    most = max((max(pair) for _, pair in lines), default=1.0) or 1.0
    step, parts = 17.0, []
    for k, (level, pair) in enumerate(lines):
        y = k * step
        parts.append(tag("text", middle_cut(level, 14), x=94, y=y + 11, text_anchor="end", class_="tick"))
        for j, (share, colour) in enumerate(zip(pair, ("fillreal", "fillnew"), strict=True)):
            width = max(share / most * (_WIDE - 102), 0.6 if share else 0.0)
            parts.append(tag("rect", x=98, y=y + 1 + 7 * j, width=width, height=6, class_=colour))
    return drawing(*parts, width=_WIDE, height=max(step * len(lines), 20.0), label=label)


def _densities(each: Marginal, whole: np.ndarray, label: str) -> Markup:
    if not len(whole):
        return drawing(
            tag("text", "all missing", x=0, y=20, class_="tick"), width=_WIDE, height=30, label=label
        )
    low, high = np.quantile(whole, [0.003, 0.997])
    if high <= low:
        low, high = float(whole.min()), float(whole.max())
    if high <= low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    sides = [np.clip(side.dropna().to_numpy(), low, high) for side in (each.real, each.new)]
    shares = [np.histogram(side, edges)[0] / max(len(side), 1) for side in sides]
    top = float(max(share.max() for share in shares)) or 1.0
    room = _HIGH - 20
    paths = []
    for share in shares:
        steps = [
            f"L{k / _BINS * _WIDE:.1f} {room * (1 - value / top):.1f}H{(k + 1) / _BINS * _WIDE:.1f}"
            for k, value in enumerate(share)
        ]
        paths.append("M0 " + f"{room:.1f}" + "".join(steps) + f"L{_WIDE:.0f} {room:.1f}")
    parts = [
        tag("path", d=paths[0] + "z", class_="washreal"),
        tag("path", d=paths[0], class_="linereal"),
        tag("path", d=paths[1], class_="linenew"),
        tag("text", figure(low), x=0, y=_HIGH - 5, class_="tick"),
        tag("text", figure(high), x=_WIDE, y=_HIGH - 5, text_anchor="end", class_="tick"),
    ]
    return drawing(*parts, width=_WIDE, height=_HIGH, label=label)
