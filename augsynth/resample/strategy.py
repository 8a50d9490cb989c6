"""How many rows of which: sampling strategies as pure functions of the labels and the groups."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import AugsynthWarning, DataError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_option
from augsynth.resample.cells import Cells, cells_of

__all__ = ["allocate", "apportion", "target_counts", "wanted_totals"]

DIRECTIONS = ("over", "under")
MAX_LISTED = 10_000

Strategy = str | float | Mapping[Any, int] | Callable[[pd.Series], Mapping[Any, int]]


def target_counts(
    y: Any,
    sensitive_features: Any = None,
    *,
    sampling_strategy: Strategy = "auto",
    by: str = "class",
    direction: str = "over",
) -> pd.Series:
    """Say how many rows of each class, group or cell a balanced table has in all.

    Parameters
    ----------
    y : array-like, (n,)
        Labels; numbers with ``by="target_bins"``; not looked at with ``by="group"``.
    sensitive_features : array-like, Series or DataFrame, (n,) or (n, k), optional
        The groups. Required when ``by`` names groups.
    sampling_strategy : str, float, mapping or callable, default="auto"
        imbalanced-learn's grammar, over cells instead of classes:

        - a string names the cells that change: ``"minority"`` (over only) and
          ``"majority"`` (under only): that one cell; ``"not minority"``,
          ``"not majority"``, ``"all"``. They go up to the largest cell (over) or down
          to the smallest (under). ``"auto"`` is ``"not majority"`` when over-sampling
          and ``"not minority"`` when under-sampling.
        - a float in (0, 1], for exactly two cells: rows of the smaller / rows of the
          larger, wanted.
        - a mapping from cell to its wanted **total**; cells not named stay as they are.
        - a callable that is given the cell of each row (a Series: labels, groups, or
          tuples) and returns such a mapping.
    by : {"class", "group", "class+group", "target_bins"}
        What a cell is. The keys are labels, groups (tuples if there are several group
        columns), ``(class, group, ...)`` tuples, or intervals of a continuous target.
        With ``"class+group"``, ``"auto"`` brings every observed cell up to the largest
        cell of all. ``"target_bins"`` are 10 equal steps between the 1st and the 99th
        percentile, the outer ones open to the extremes, those with fewer than 5 rows
        merged with their neighbour. (Quantile bins would hold equal counts: nothing
        to balance.)
    direction : {"over", "under"}
        Whether cells may only grow or only shrink.

    Returns
    -------
    Series of int
        Wanted totals, one entry an observed cell, sorted by key.

    Raises
    ------
    ParameterError
        A strategy that makes no sense, or that goes against the direction.
    DataError
        Missing labels or groups, or a single cell.

    Notes
    -----
    A combination of class and group that has no row cannot be made: a mapping that names
    one raises, a string that would have to balance it warns.

    Examples
    --------
    >>> from augsynth.resample.strategy import target_counts
    >>> target_counts(["a", "a", "a", "b"]).to_dict()
    {'a': 3, 'b': 3}
    >>> target_counts([0, 0, 0, 1, 1], list("fmmfm"), by="class+group").to_dict()
    {(0, 'f'): 2, (0, 'm'): 2, (1, 'f'): 2, (1, 'm'): 2}
    """
    where = "target_counts"
    cells = cells_of(y, sensitive_features, by=by, where=where)
    totals = pd.Series(cells.counts, index=cells.index, name="rows")
    for position, total in wanted_totals(cells, sampling_strategy, direction=direction, where=where).items():
        totals.iloc[position] = total
    return totals


def wanted_totals(cells: Cells, strategy: Strategy, *, direction: str, where: str) -> dict[int, int]:
    """Return the wanted total of each cell that the strategy names, by position in ``cells.index``."""
    check_option(where, "direction", direction, DIRECTIONS)
    if len(cells) < 2:
        raise DataError(
            sentence(
                where,
                "balancing needs at least two cells (more than one class or group)",
                f"1 class or cell, {offenders(cells.index.tolist())}, in {len(cells.codes)} rows",
                "Check y and the groups.",
            )
        )
    if isinstance(strategy, str):
        return _totals_of_name(cells, strategy, direction, where)
    if isinstance(strategy, Mapping):
        return _totals_of_mapping(cells, strategy, direction, where)
    if isinstance(strategy, Real) and not isinstance(strategy, (bool, np.bool_)):
        return _totals_of_ratio(cells, float(strategy), direction, where)
    if callable(strategy):
        answer = strategy(pd.Series(cells.index[cells.codes], name="cell"))
        if isinstance(answer, Mapping):
            return _totals_of_mapping(cells, answer, direction, where)
        given = f"a {type(answer).__name__}"
        raise ParameterError(
            sentence(where, "a sampling_strategy function must return a mapping from cell to total", given)
        )
    raise ParameterError(
        sentence(
            where,
            "sampling_strategy must be a string, a ratio in (0, 1], a mapping from cell to wanted total, "
            "or a function that returns one",
            repr(strategy),
        )
    )


def _totals_of_name(cells: Cells, name: str, direction: str, where: str) -> dict[int, int]:
    counts = cells.counts
    largest, smallest = int(np.argmax(counts)), int(np.argmin(counts))
    if name == "auto":
        name = "not majority" if direction == "over" else "not minority"
    listed = {
        "minority": [smallest],
        "majority": [largest],
        "not minority": [i for i in range(len(cells)) if i != smallest],
        "not majority": [i for i in range(len(cells)) if i != largest],
        "all": list(range(len(cells))),
    }
    listed.pop("majority" if direction == "over" else "minority")
    if name not in listed:
        options = ", ".join(repr(option) for option in ("auto", *listed))
        raise ParameterError(
            sentence(
                where, f"a sampling_strategy name for {direction}-sampling is one of {options}", repr(name)
            )
        )
    _warn_unobserved(cells, where)
    level = int(counts.max() if direction == "over" else counts.min())
    return dict.fromkeys(listed[name], level)


def _totals_of_ratio(cells: Cells, ratio: float, direction: str, where: str) -> dict[int, int]:
    if not 0 < ratio <= 1:
        raise ParameterError(
            sentence(
                where, "a sampling_strategy ratio (smaller / larger cell) must lie in (0, 1]", repr(ratio)
            )
        )
    if len(cells) != 2:
        raise ParameterError(
            sentence(
                where,
                "a sampling_strategy ratio needs exactly two cells",
                f"{len(cells)} cells",
                "Pass a mapping from cell to wanted total.",
            )
        )
    counts = cells.counts
    largest = int(np.argmax(counts))
    smallest = 1 - largest
    if direction == "over":
        changed, total = smallest, int(counts[largest] * ratio)
    else:
        changed, total = largest, int(counts[smallest] / ratio)
    wrong = total < counts[changed] if direction == "over" else total > counts[changed]
    if wrong:
        now = counts[smallest] / counts[largest]
        raise ParameterError(
            sentence(
                where,
                f"the ratio must be at least the present one ({now:.4g}) in {direction}-sampling",
                repr(ratio),
                "Increase the ratio.",
            )
        )
    return {changed: total}


def _totals_of_mapping(cells: Cells, wanted: Mapping[Any, Any], direction: str, where: str) -> dict[int, int]:
    positions = {key: i for i, key in enumerate(cells.index.tolist())}
    unknown = [key for key in wanted if key not in positions]
    if unknown:
        raise ParameterError(
            sentence(
                where,
                "every cell of sampling_strategy must have rows in the data (no rows, nothing to learn)",
                f"{offenders(unknown)}; observed: {offenders(positions, limit=6)}",
            )
        )
    for key, total in wanted.items():
        if not isinstance(total, (Integral, np.integer)) or isinstance(total, bool) or total < 0:
            raise ParameterError(
                sentence(
                    where,
                    "sampling_strategy must give each cell a whole number of rows >= 0",
                    f"{key!r}: {total!r}",
                )
            )
    counts = cells.counts
    totals = {positions[key]: int(total) for key, total in wanted.items()}
    sign = 1 if direction == "over" else -1
    wrong = [
        f"{key!r}: {wanted[key]} (has {counts[positions[key]]})"
        for key in wanted
        if sign * (wanted[key] - counts[positions[key]]) < 0
    ]
    if wrong:
        raise ParameterError(
            sentence(
                where,
                f"with {direction}-sampling, the wanted total of a cell must be "
                f"{'at least' if direction == 'over' else 'at most'} the rows it has",
                ", ".join(wrong[:3]),
            )
        )
    return dict(sorted(totals.items()))


def apportion(total: int, counts: np.ndarray) -> np.ndarray:
    """Split ``total`` in proportion to ``counts``: largest remainders round up, ties go to the first.

    Exact in integers. A cell never crosses its own count: if ``total`` is at least
    (at most) the sum of ``counts``, every share is at least (at most) its count.

    Examples
    --------
    >>> apportion(10, np.array([1, 1, 1])).tolist()
    [4, 3, 3]
    """
    counts = np.asarray(counts, dtype=np.int64)
    whole = int(counts.sum())
    if whole == 0:
        return np.zeros_like(counts)
    shares = [divmod(int(total) * int(count), whole) for count in counts]
    parts = np.array([quotient for quotient, _ in shares], dtype=np.int64)
    remainders = np.array([remainder for _, remainder in shares], dtype=np.int64)
    parts[np.argsort(-remainders, kind="stable")[: int(total) - int(parts.sum())]] += 1
    return parts


def allocate(cells: Cells, parts: Cells, totals: Mapping[int, int]) -> np.ndarray:
    """Split the totals of cells over finer cells, in proportion to the rows these have.

    Parameters
    ----------
    cells, parts : Cells
        Of the same rows; each part lies inside one cell.
    totals : mapping from int to int
        Wanted totals by position in ``cells``; cells not named stay as they are.

    Returns
    -------
    ndarray of int, (n_parts,)
    """
    wanted = parts.counts.copy()
    owner = cells.codes[parts.first_rows]
    for cell, total in totals.items():
        members = np.flatnonzero(owner == cell)
        wanted[members] = apportion(total, parts.counts[members])
    return wanted


def _warn_unobserved(cells: Cells, where: str) -> None:
    if not isinstance(cells.index, pd.MultiIndex):
        return
    if math.prod(len(level) for level in cells.index.levels) > MAX_LISTED:
        return  # so many combinations cannot all be expected
    full = pd.MultiIndex.from_product(cells.index.levels, names=cells.index.names)
    missing = full.difference(cells.index, sort=False)
    if len(missing):
        warnings.warn(
            sentence(
                where,
                "combinations that have no row cannot be made, and so not balanced",
                offenders(missing.tolist()),
                "Gather rows of them, or use by='group'.",
            ),
            AugsynthWarning,
            stacklevel=4,
        )
