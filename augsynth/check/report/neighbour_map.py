"""A map in which each row lies beside its neighbours: spots that only real or only new rows fill."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from augsynth.check.evidence import Evidence
from augsynth.check.kept import once
from augsynth.check.report.maps import MOST_COLOURS, class_colours, class_key
from augsynth.check.report.markup import drawing, middle_cut, tag
from augsynth.check.utility.folds import one_thread
from augsynth.core.random import keyed_rng

__all__ = ["MOST_EACH", "neighbour_map", "neighbour_places"]

MOST_EACH = 700  # real rows, and as many new ones: 4 CPU-seconds
_FEWEST_EACH = 60
_PERPLEXITY, _STEPS, _STREAM = 30.0, 750, 351
_FAR = 50.0  # standard units: what lies beyond is an island anyway, and squares stay finite
_WIDE, _HIGH, _LAYERS = 340.0, 300.0, 8
_MOST_NAMES = 12  # of more classes there would be a thicket


def neighbour_places(evidence: Evidence) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the plane (2 k, 2) of real rows, then as many new ones, and their class codes (2 k,).

    A t-SNE of at most `MOST_EACH` real and as many new rows in the coordinates of
    `Evidence.design`: as many of each class on both sides, and as many of one class as of
    another as far as there are. It starts at the principal components, in one thread and
    with the seed of the evidence: the same rows give the same map. None where fewer than 60
    rows have a counterpart, or nothing differs.

    References
    ----------
    van der Maaten, Hinton (2008), Visualizing data using t-SNE, JMLR 9, 2579-2605. Kobak, Berens
    (2019), doi:10.1038/s41467-019-13056-x, for the start at the principal components.
    """
    return once(evidence, ("neighbour map", evidence.seed), lambda: _embedded(evidence))


def _embedded(evidence: Evidence) -> tuple[np.ndarray, np.ndarray] | None:
    from sklearn.manifold import TSNE

    new, real = evidence.matched
    some = _balanced(real.labels, MOST_EACH, keyed_rng(evidence.seed, _STREAM))
    if len(some) < _FEWEST_EACH:
        return None
    design = np.vstack([evidence.design(rows.take(some)) for rows in (real, new)])
    design = np.clip(design, -_FAR, _FAR)
    if design.shape[1] < 2 or not np.isfinite(design).all() or not (np.ptp(design, axis=0) > 1e-9).any():
        return None
    perplexity = min(_PERPLEXITY, (len(design) - 1) / 4)
    seed = int(keyed_rng(evidence.seed, _STREAM, 1).integers(2**31))
    model = TSNE(2, perplexity=perplexity, init="pca", max_iter=_STEPS, random_state=seed)
    with one_thread(), np.errstate(all="ignore"):
        places = model.fit_transform(design)
    codes = np.concatenate([rows.labels[some] for rows in (real, new)])
    return (places, codes) if np.isfinite(places).all() else None


def _balanced(labels: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return at most ``most`` places, as many of each class as there are, small ones whole.

    Examples
    --------
    >>> some = _balanced(np.repeat([0, 1, 2], [90, 50, 3]), 43, np.random.default_rng(0))
    >>> np.bincount(np.repeat([0, 1, 2], [90, 50, 3])[some]).tolist()
    [20, 20, 3]
    """
    codes, counts = np.unique(labels, return_counts=True)
    taken: list[np.ndarray] = []
    left = most
    order = np.argsort(counts, kind="stable")
    for k, place in enumerate(order):  # from the smallest: what it lacks goes to the others
        n = min(int(counts[place]), left // (len(order) - k))
        left -= n
        taken.append(rng.permutation(np.flatnonzero(labels == codes[place]))[:n])
    return np.sort(np.concatenate(taken)) if taken else np.empty(0, dtype=int)


def neighbour_map(evidence: Evidence, noun: str = "rows") -> tuple[Markup, str] | None:
    """Draw real and new rows on one map, the classes beside it, and say how it is to be read."""
    found = neighbour_places(evidence)
    if found is None:
        return None
    places, codes = found
    n = len(places) // 2
    at = _on_paper(places)
    is_new = np.arange(2 * n) >= n
    entries = [("real", "swatch real"), ("new", "swatch new")]
    key = tag("ul", *(tag("li", tag("span", class_=c), f"{w} {noun}") for w, c in entries), class_="key")
    kinds = _dots(at, [("dotsreal", ~is_new), ("dotsnew", is_new)])
    told = f"Neighbour map of {n:,} real and {n:,} new {noun}"
    panels = [tag("div", tag("h3", "by origin"), key, _picture(kinds, told))]
    names = list(evidence.classes) if evidence.target_kind == "class" else []
    shown = np.unique(codes)
    if len(shown) > 1 and len(names) <= _MOST_NAMES:
        panels.append(_by_class(at, codes, names, told))
    classes = ", equally many of each class as far as there are" if names and len(shown) > 1 else ""
    note = (
        f"A neighbour embedding (t-SNE) of {n:,} real and {n:,} new {noun}{classes}: what is much alike lies "
        "side by side. Look for spots of one colour: where only new ones lie, they are like no real ones "
        "shown; where only real ones lie, the new ones leave something out. Distances between clusters, "
        "their sizes and their places mean nothing. It is a picture; the figures above are the tests."
    )
    width = None if len(panels) > 1 else "max-width:560px"
    return tag("div", *panels, class_="pair", style=width), note


def _on_paper(places: np.ndarray) -> np.ndarray:
    """Return the places in units of the drawing, one scale for both directions."""
    low, span = places.min(axis=0), np.ptp(places, axis=0)
    scale = min((_WIDE - 14) / max(span[0], 1e-9), (_HIGH - 14) / max(span[1], 1e-9))
    room = np.array([_WIDE, _HIGH]) - scale * span
    return (places - low) * scale + room / 2


def _dots(at: np.ndarray, styles: Sequence[tuple[str, np.ndarray]]) -> list[Markup]:
    """Draw dots in layers that take turns, so that no colour lies over all others."""
    layer = np.arange(len(at)) % _LAYERS
    parts = []
    for k in range(_LAYERS):
        for style, own in styles:
            path = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in at[own & (layer == k)])
            if path:
                parts.append(tag("path", d=path, class_=f"points {style}"))
    return parts


def _picture(parts: list[Markup], told: str) -> Markup:
    frame = tag("rect", x=0.5, y=0.5, width=_WIDE - 1, height=_HIGH - 1, class_="frame")
    return drawing(frame, *parts, width=_WIDE, height=_HIGH, label=told)


def _by_class(at: np.ndarray, codes: np.ndarray, names: list[str], told: str) -> Markup:
    """Draw the same map by class: in colours, or with the names of more classes than there are colours."""
    title = tag("h3", "the same map, by class")
    if len(names) <= MOST_COLOURS:
        dots = _dots(at, class_colours(codes, "s"))
        return tag("div", title, class_key(names, codes), _picture(dots, f"{told}, by class"))
    dots = _dots(at, [("dotsfaint", np.ones(len(at), dtype=bool))])
    for code in np.unique(codes):
        here = at[codes == code]
        x, y = here[np.argmin(np.abs(here - np.median(here, axis=0)).sum(axis=1))]
        name = middle_cut(names[int(code)], 14)
        dots.append(tag("text", name, x=x, y=y + 5, text_anchor="middle", class_="onmap"))
    key = tag("ul", tag("li", "the name stands where the middle of a class lies"), class_="key")
    return tag("div", title, key, _picture(dots, f"{told}, by class"))
