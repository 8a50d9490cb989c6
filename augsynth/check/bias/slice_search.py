"""The search for rows that go wrong: conditions, their conjunctions, and the worst of them one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from augsynth.check.bias.levels import OTHER, levels_of

__all__ = ["Condition", "conditions_of", "members", "search"]

_LEVELS = 20  # categories of a column that are conditions; the rarer ones are none
_MOST_CONDITIONS = 400  # in conjunctions: those of the largest bound
_SAME = 0.5  # shared rows over all rows of two slices from which on they are one
_BEAM = 50  # conjunctions of two that a third condition is tried on


@dataclass(frozen=True, eq=False)
class Condition:
    """One condition on one column, and the rows (n,) of bool that meet it."""

    column: str
    text: str
    rows: np.ndarray


def conditions_of(frame: pd.DataFrame, bins: int, fewest: int, where: str) -> list[Condition]:
    """Return the conditions that enough rows meet, and enough do not.

    Categories: each of the 20 commonest. Numbers: every run of neighbouring quantile
    intervals. And "is missing".
    """
    found = []
    for name in frame.columns:
        levels = levels_of(frame[name], bins=bins, most=_LEVELS + 1, where=where)
        runs = len(levels.edges) + 1 if len(levels.edges) else 0
        listed: list[tuple[str, np.ndarray]] = [
            (f"{levels.name} {_run(levels.edges, i, j)}", (levels.codes >= i) & (levels.codes <= j))
            for i in range(runs)
            for j in range(i, runs)
            if j - i + 1 < runs
        ]
        listed += [
            (levels.conditions[code], levels.codes == code)
            for code in range(runs, len(levels.labels))
            if levels.labels[code] != OTHER
        ]
        found += [
            Condition(str(name), text, rows)
            for text, rows in listed
            if fewest <= np.count_nonzero(rows) <= len(frame) - fewest
        ]
    return found


def _run(edges: Sequence[str], i: int, j: int) -> str:
    if i == 0:
        return f"< {edges[j]}"
    return f">= {edges[i - 1]}" if j == len(edges) else f"from {edges[i - 1]} to < {edges[j]}"


def members(conditions: Sequence[Condition], chosen: Sequence[int]) -> np.ndarray:
    """Return the rows (n,) of bool that meet all the chosen conditions."""
    rows: np.ndarray = np.logical_and.reduce([conditions[place].rows for place in chosen])
    return rows


def search(
    conditions: Sequence[Condition], loss: np.ndarray, rows: np.ndarray, *, depth: int, fewest: int, top: int
) -> list[tuple[int, ...]]:
    """Return up to ``top`` conjunctions of at most ``depth`` conditions, the worst first.

    Each is the one whose mean loss lies furthest above the others', in standard errors,
    after the excess of those before it has been taken out; longer ones pay for their number.
    One that shares more than half of its rows with an earlier one is merged with it.
    The search ends where the worst that is left is what so many looks find by chance.

    Parameters
    ----------
    loss : ndarray (n,)
    rows : ndarray of int (k,)
        The rows to look at.
    """
    if not conditions or top < 1:
        return []
    r = loss[rows].astype(np.float64)
    r = r - r.mean()
    spread = r.std()
    if not spread > 0:
        return []
    r /= spread
    hits = np.stack([each.rows[rows] for each in conditions], axis=1).astype(np.float32)
    table = _Table(hits, [each.column for each in conditions], fewest, depth, float(np.abs(r).max()))
    found: list[tuple[int, ...]] = []
    taken: list[np.ndarray] = []
    for _ in range(3 * top):
        best = table.worst(r)
        if best is None or best in found or len(found) == top:
            break
        inside = np.asarray(hits[:, list(best)].all(axis=1))
        if all(_overlap(inside, other) <= _SAME for other in taken):  # else one of those, told differently
            found.append(best)
            taken.append(inside)
        r[inside] -= r[inside].mean()
        r -= r.mean()
    return found


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    either = int((a | b).sum())
    return float((a & b).sum() / either) if either else 0.0


class _Table:
    """Counts of all conditions and pairs, kept while the losses change."""

    def __init__(self, hits: np.ndarray, columns: list[str], fewest: int, depth: int, most: float):
        self.hits, self.fewest, self.depth, self.most = hits, fewest, depth, most
        self.counts = hits.sum(axis=0).astype(float)
        self.n = len(hits)
        names = np.array(columns, dtype=object)
        self.columns = names
        self.pairs: np.ndarray | None = None

    def _kept(self, r: np.ndarray) -> np.ndarray:
        """Return the conditions worth combining: by the most that a part of their rows may be off."""
        gains = np.maximum(r, 0.0).astype(np.float32) @ self.hits
        bound = gains / np.sqrt(np.maximum(gains / self.most, self.fewest))
        return np.sort(np.argsort(-bound, kind="stable")[:_MOST_CONDITIONS])

    def _score(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        enough = (counts >= self.fewest) & (counts <= self.n - self.fewest)
        with np.errstate(invalid="ignore", divide="ignore"):
            z = sums / np.sqrt(counts * (1 - counts / self.n))
        return np.where(enough, z, -np.inf)

    def worst(self, r: np.ndarray) -> tuple[int, ...] | None:
        """Return the conjunction that stands out most, None if none stands out."""
        small = r.astype(np.float32)
        z = self._score((small @ self.hits).astype(float), self.counts)
        best: tuple[int, ...] = (int(np.argmax(z)),)
        value = _beyond_chance(float(z.max()), len(z))
        if self.depth >= 2 and len(z) > 1:
            if self.pairs is None:
                self.kept = self._kept(r)
                part = self.hits[:, self.kept]
                self.pairs = (part.T @ part).astype(float)
                names = self.columns[self.kept]
                self.pairs[names[:, None] == names] = 0  # one condition a column
                self.pairs[np.tril_indices(len(names))] = 0
            part = self.hits[:, self.kept]
            scores = self._score((part.T @ (part * small[:, None])).astype(float), self.pairs)
            tried = max(int((self.pairs >= self.fewest).sum()), 1)
            order = np.argsort(scores, axis=None)[::-1][:_BEAM]
            listed = [(int(a), int(b)) for a, b in zip(*np.unravel_index(order, scores.shape), strict=True)]
            top = _beyond_chance(float(scores[listed[0]]), tried)
            if top > value:
                value, best = top, tuple(int(self.kept[place]) for place in listed[0])
            if self.depth >= 3:
                value, best = self._third(small, listed, tried, value, best)
        return best if value > 0 else None

    def _third(
        self, r: np.ndarray, pairs: list[tuple[int, int]], tried: int, value: float, best: tuple[int, ...]
    ) -> tuple[float, tuple[int, ...]]:
        for a, b in pairs:
            first, second = int(self.kept[a]), int(self.kept[b])
            inside = (self.hits[:, first] > 0) & (self.hits[:, second] > 0)
            part = self.hits[inside]
            z = self._score((r[inside] @ part).astype(float), part.sum(axis=0).astype(float))
            z[(self.columns == self.columns[first]) | (self.columns == self.columns[second])] = -np.inf
            third = int(np.argmax(z))
            top = _beyond_chance(float(z[third]), tried * len(z) // 3)
            if top > value:
                value, best = top, tuple(sorted((first, second, third)))
        return value, best


def _beyond_chance(z: float, looks: int) -> float:
    """Return how far (in log odds) a z-value exceeds what so many looks find by chance."""
    return 0.5 * z * z - float(np.log(max(looks, 1))) if z > 0 else -np.inf
