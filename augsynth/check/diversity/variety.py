"""How different new rows of one class and group are from each other, beside real ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from augsynth.check.diversity.matched import MatchedCheck, caution_of
from augsynth.check.diversity.swaps import exchange, partners
from augsynth.check.evidence import Evidence, Rows
from augsynth.check.finding import Finding
from augsynth.check.permutation import CLAIMED, worded
from augsynth.core.errors import DataError, sentence

__all__ = ["VarietyCheck", "effective_number"]

_SWAPS = 999
_FEW = 5  # rows of a cell below which it has no spread to speak of
_KERNEL_ROWS = 300
_FLAT = 1e-4  # share of the largest variance below which a direction is empty


def effective_number(a: np.ndarray, scale: float | None = None) -> float:
    """Return how many clearly different rows an array holds (the Vendi score, Gaussian similarity).

    Parameters
    ----------
    a : ndarray (n, d)
    scale : float, optional
        Distance at which two rows are half-way similar (exp(-1/2)); the median distance by default.

    References
    ----------
    Friedman, Dieng (2023), The Vendi score, TMLR, arXiv:2210.02410.

    Examples
    --------
    >>> round(effective_number(np.array([[0.0], [0.0], [9.0], [9.0]]), 1.0), 3)
    2.0
    """
    a = np.asarray(a, dtype=float)
    if a.ndim != 2 or not len(a):
        raise DataError(
            sentence("effective_number", "a must be an array (n, d) with a row or more", f"{a.shape}")
        )
    squared = ((a[:, None] - a[None]) ** 2).sum(-1) if a.shape[1] < 3 else _squared(a)
    if scale is None:
        apart = np.sqrt(squared[np.triu_indices(len(a), 1)])
        scale = float(np.median(apart)) if len(apart) and np.median(apart) > 0 else 1.0
    values = np.linalg.eigvalsh(np.exp(-0.5 * squared / scale**2) / len(a))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def _squared(a: np.ndarray) -> np.ndarray:
    size = (a**2).sum(axis=1)
    return np.maximum(size[:, None] + size[None] - 2 * a @ a.T, 0.0)


class VarietyCheck(MatchedCheck):
    """How wide the spread within class and group is, beside that of real rows.

    The figure is the root mean squared distance between two new rows of one class and
    group over that of held-out rows. The test looks for less spread in any one column
    (distance from the middle of its class and group, by rank; rarity of a category) and in
    all directions together, swapping new and held-out rows.

    References
    ----------
    Brown, Forsythe (1974), doi:10.1080/01621459.1974.10482955, for the distances from the median.
    """

    name = "variety"
    title = "Spread within class and group"

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the ratio of spreads."""
        return _ratio(*(_squares(evidence.design(rows), rows.cells) for rows in evidence.matched))[0]

    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the whole finding."""
        made, real = evidence.matched
        vectors = [evidence.design(rows) for rows in (made, real)]
        squares = [_squares(each, made.cells) for each in vectors]
        value, low, high = _ratio(*squares)
        names, scores = _scores(evidence, made, real, np.vstack(vectors))
        n, place = len(made), partners(made.cells, rng)
        swaps = exchange(scores[n:][place] - scores[:n], _SWAPS, rng)
        p = swaps.p_greatest()
        columns = pd.DataFrame(
            {
                "column": names,
                "ratio": _column_ratios(evidence, made, real, len(names)),
                "z": -swaps.z,
                "p_adjusted": np.minimum(1.0, norm.sf(swaps.z) * len(names)),
            }
        )
        columns = columns.iloc[np.argsort(columns["z"], kind="stable")].reset_index(drop=True)
        details = {"columns": columns, **_tables(evidence, vectors, squares, rng)}
        told = f"Within class and group, new rows lie {value:.2f} times as far apart as real ones"
        first = columns.iloc[0]
        width = f" ({first['ratio']:.2f} times as wide)" if np.isfinite(first["ratio"]) else ""
        claim = f"; among the columns, clearly too narrow is {first['column']}{width}"
        told = worded(told, claim, p, claimed=CLAIMED)
        caution = caution_of(evidence)
        return Finding(
            self.part, self.name, self.title, value, "spread over that of real rows", low, high, 1.0, p, n,
            told, caution, details=details,
        )  # fmt: skip


def _centred(x: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return rows less the mean of their cell."""
    _, code = np.unique(cells, return_inverse=True)
    sums = np.zeros((code.max() + 1, x.shape[1]))
    np.add.at(sums, code, x)
    return x - (sums / np.bincount(code)[:, None])[code]


def _squares(x: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return squared distances (n,) from the mean of the cell, free of the loss of a degree of freedom."""
    _, code, counts = np.unique(cells, return_inverse=True, return_counts=True)
    size = counts[code]
    factor = np.where(size >= _FEW, size / np.maximum(size - 1, 1), np.nan)
    return (_centred(x, cells) ** 2).sum(axis=1) * factor


def _ratio(new: np.ndarray, real: np.ndarray) -> tuple[float, float, float]:
    """Return the ratio of spreads and its 95 % interval (delta method on the logarithm)."""
    new, real = new[np.isfinite(new)], real[np.isfinite(real)]
    if len(new) < _FEW or len(real) < _FEW or not new.any() or not real.any():
        return float("nan"), float("nan"), float("nan")
    error = np.sqrt(sum((each.std(ddof=1) / each.mean()) ** 2 / len(each) for each in (new, real))) / 2
    value = float(np.sqrt(new.mean() / real.mean()))
    return value, float(value * np.exp(-1.96 * error)), float(value * np.exp(1.96 * error))


def _scores(evidence: Evidence, made: Rows, real: Rows, both: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return what is compared: a name and a score (2 k,) each, which do not know which rows are new."""
    layout = evidence.joint_layout
    z = np.vstack([evidence.joint(made), evidence.joint(real)])
    cells = np.concatenate([made.cells, real.cells])
    _, code = np.unique(cells, return_inverse=True)
    names, scores = [], []
    for j, block in enumerate(layout):
        x = z[:, j]
        if block.is_numeric:
            middle = pd.Series(x).groupby(code).transform("median").to_numpy()
            away = np.abs(x - middle)
            seen = np.isfinite(away)
            score = np.full(len(x), 0.5)
            score[seen] = rankdata(away[seen]) / (seen.sum() + 1)
        else:
            level = pd.Series(np.where(np.isnan(x), -1, x))
            same = level.groupby([code, level]).transform("size").to_numpy()
            score = 1.0 - same / np.bincount(code)[code]
        names.append(block.name)
        scores.append(score)
    inner = _centred(both, cells)
    values, axes = np.linalg.eigh(np.cov(inner.T).reshape(inner.shape[1], -1))
    kept = values > _FLAT * max(values.max(), 1e-300)
    for name, x in (
        ("all columns together", inner),
        ("all directions, each by its spread", inner @ axes[:, kept] / np.sqrt(values[kept])),
    ):
        names.append(name)
        scores.append(rankdata((x**2).sum(axis=1)) / len(x))
    return names, np.column_stack(scores)


def _column_ratios(evidence: Evidence, made: Rows, real: Rows, n: int) -> np.ndarray:
    """Return the ratio of standard deviations (numbers) or of chances to differ (categories) within cells."""
    ratios = np.full(n, np.nan)
    a, b = evidence.joint(made), evidence.joint(real)
    for j, block in enumerate(evidence.joint_layout):
        spreads = []
        for x, cells in ((a[:, j], made.cells), (b[:, j], real.cells)):
            seen = np.isfinite(x) if block.is_numeric else np.ones(len(x), dtype=bool)
            if not seen.any():
                spreads.append(np.nan)
            elif block.is_numeric:
                spreads.append(float(np.sqrt((_centred(x[seen, None], cells[seen]) ** 2).mean())))
            else:
                hot = pd.crosstab(cells, np.where(np.isnan(x), -1, x)).to_numpy(dtype=float)
                size = hot.sum(axis=1)
                spreads.append(float((size - (hot**2).sum(axis=1) / size).sum() / len(x)))
        if spreads[1] and np.isfinite(spreads).all():
            ratios[j] = spreads[0] / spreads[1]
    return ratios


def _tables(
    evidence: Evidence, vectors: list[np.ndarray], squares: list[np.ndarray], rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """Return spread, generalised variance and effective number of each class, group and both."""
    made, real = evidence.matched
    inner = [_centred(x, made.cells) for x in vectors]
    values, axes = np.linalg.eigh(np.cov(inner[1].T).reshape(inner[1].shape[1], -1))
    axes = axes[:, values > 0.01 * values.max()]
    tables = {}
    for by, names in (("labels", evidence.classes), ("groups", evidence.groups), ("cells", evidence.cells)):
        if len(names) < 2:
            continue
        lines = []
        for code in np.unique(getattr(made, by)):
            own = [getattr(rows, by) == code for rows in (made, real)]
            value, low, high = _ratio(squares[0][own[0]], squares[1][own[1]])
            line = {"name": names[code], "rows": int(own[0].sum()), "spread": value, "low": low, "high": high}
            parts = [x[some] for x, some in zip(vectors, own, strict=True)]
            line["volume"] = _volume(*(x[some] @ axes for x, some in zip(inner, own, strict=True)))
            lines.append(line | _effective(parts, rng))
        tables[f"by_{by}"] = pd.DataFrame(lines)
    return tables


def _volume(new: np.ndarray, real: np.ndarray) -> float:
    """Return the ratio of generalised standard deviations, per direction."""
    if min(len(new), len(real)) < 3 * new.shape[1] + 2:
        return float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [np.linalg.slogdet(np.cov(x.T).reshape(x.shape[1], -1))[1] for x in (new, real)]
        return float(np.exp((logs[0] - logs[1]) / (2 * new.shape[1])))


def _effective(parts: list[np.ndarray], rng: np.random.Generator) -> dict[str, float]:
    if min(map(len, parts)) < _FEW:
        return {"effective": float("nan"), "effective_real": float("nan")}
    new, real = (x[rng.permutation(len(x))[:_KERNEL_ROWS]] for x in parts)
    apart = np.sqrt(_squared(real)[np.triu_indices(len(real), 1)])
    scale = float(np.median(apart)) / 2 or 1.0
    return {"effective": effective_number(new, scale), "effective_real": effective_number(real, scale)}
