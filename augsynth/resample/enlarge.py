"""Real rows and new rows into one table, with where the new ones came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core import arrays
from augsynth.core.errors import InputTypeError, ParameterError, sentence
from augsynth.generate.base import BaseGenerator, Drawn
from augsynth.resample.base import KINDS, Rows, provenance, take
from augsynth.resample.cells import Cells

__all__ = ["Enlarged", "bin_of_part", "enlarge", "split_target", "with_target"]


@dataclass
class Enlarged:
    """A table with its new rows.

    Attributes
    ----------
    X : object
        Real rows, then new rows, in the container given.
    source : ndarray of int (m, k) or None
        Parents of the new rows, positions among the real ones; -1 for none.
    cells : ndarray of int, (m,)
        The generator's cell of each new row.
    """

    X: Any
    source: np.ndarray | None
    cells: np.ndarray

    def passport(
        self, index: pd.Index, parts: Cells, codes: np.ndarray, generator: BaseGenerator, seed: int
    ) -> pd.DataFrame:
        """Return the provenance of all rows.

        A row is marked as pooled when a parent lies in another cell, or when the
        generator says in its ``pool_`` (a PoolMap) that its cell was.
        """
        n, m = len(index), len(codes)
        source = np.full((n + m, 2), -1, dtype=np.int32 if n < 2**31 else np.int64)
        source[:n, 0] = np.arange(n)
        pooled = np.zeros(n + m, dtype=bool)
        if self.source is not None and m:
            source[n:, : min(self.source.shape[1], 2)] = self.source[:, :2]
            for parent in self.source.T:
                pooled[n:] |= (parts.codes[parent] != codes) & (parent >= 0)
        if hasattr(generator, "pool_"):
            pooled[n:] |= generator.pool_.pooled[self.cells]
        kind = np.zeros(n + m, dtype=np.int8)
        kind[n:] = KINDS.index(generator._kind)
        return provenance(
            index, source=source, kind=kind, generator=type(generator).__name__, seed=seed, pooled=pooled
        )

    def weights(
        self, given: np.ndarray | None, parts: Cells, codes: np.ndarray, *, of_parents: bool
    ) -> np.ndarray | None:
        """Return the weight of every row: that of its cell's rows, or ``of_parents``, in the mean."""
        if given is None:
            return None
        new = (np.bincount(parts.codes, weights=given) / parts.counts)[codes]
        if of_parents and self.source is not None and len(codes):
            known = self.source >= 0
            total = np.where(known, given[self.source], 0.0).sum(axis=1)
            number = known.sum(axis=1)
            new = np.where(number > 0, total / np.maximum(number, 1), new)
        return np.concatenate([given, new])

    def labels(self, y: Any, positions: np.ndarray, n: int, new: np.ndarray | None) -> Any:
        """Return the labels of every row in the container of ``y``; ``new`` holds drawn targets."""
        if new is None:
            return take(y, positions)
        real, pattern = take(y, positions[:n]), take(y, positions[n:])
        if isinstance(pattern, pd.DataFrame):
            made: Any = pd.DataFrame({pattern.columns[0]: _cast(new, pattern.dtypes.iloc[0])})
        elif isinstance(pattern, pd.Series):
            made = pd.Series(_cast(new, pattern.dtype), name=pattern.name)
        elif isinstance(pattern, list):
            made = _cast(new, np.asarray(real).dtype).tolist()
        elif hasattr(pattern, "detach"):
            made = pattern.new_tensor(new).reshape(pattern.shape)
        else:
            made = _cast(new, pattern.dtype).reshape(pattern.shape)
        return arrays.concat_rows([real, made])


def enlarge(X: Any, blocks: Iterable[Drawn], cells: np.ndarray, *, where: str) -> Enlarged:
    """Append the new rows of ``cells`` to ``X``: arrays are filled in place, other containers stacked."""
    sources = []
    texts = isinstance(X, np.ndarray) and X.dtype.kind in "US"  # new ones may be longer than their type
    if isinstance(X, np.ndarray) and not texts:
        out = np.empty((len(X) + len(cells), *X.shape[1:]), dtype=X.dtype)
        out[: len(X)] = X
        start = len(X)
        for block in blocks:
            rows = np.asarray(_same_kind(X, block.rows, where))
            out[start : start + len(rows)] = rows
            start += len(rows)
            sources.append(block.source)
        whole: Any = out
    else:
        parts = [take(X, np.arange(arrays.count_rows(X)))]
        for block in blocks:
            parts.append(_same_kind(X, block.rows, where))
            sources.append(block.source)
        whole = arrays.concat_rows(parts)
    known = [source for source in sources if source is not None]
    return Enlarged(whole, np.concatenate(known) if known else None, cells)


def with_target(rows: Rows) -> Any:
    """Return X with the continuous target as its last column."""
    target = rows.labels
    if isinstance(rows.X, pd.DataFrame):
        return rows.X.reset_index(drop=True).assign(**{_target_name(rows.X): target})
    values = target.to_numpy(dtype=np.float64)
    table = np.asarray(rows.X.detach().cpu() if hasattr(rows.X, "detach") else rows.X)
    dtype = np.result_type(table.dtype, np.float64) if table.dtype.kind in "fiub" else object
    return np.column_stack([table.astype(dtype, copy=False), values.astype(dtype, copy=False)])


def split_target(
    rows: Rows, made: Enlarged, parts: Cells, codes: np.ndarray, *, joint: bool, where: str
) -> tuple[Any, np.ndarray]:
    """Return X without its target column, and the new rows' targets, each inside its bin."""
    target = rows.labels
    real = target.to_numpy(dtype=np.float64)
    if not joint:
        if len(codes) == 0:
            return made.X, np.zeros(0)
        if made.source is None or (made.source[:, 0] < 0).any():
            given = "one whose rows have no parent"
            todo = "Use one that learns columns, such as TreeGenerator or SmoteGenerator."
            raise ParameterError(
                sentence(where, "by='target_bins' needs a generator that knows the target", given, todo)
            )
        return made.X, real[made.source[:, 0]]
    if isinstance(made.X, pd.DataFrame):
        drawn = made.X.iloc[rows.n :, -1].to_numpy(dtype=np.float64)
        table: Any = made.X.iloc[:, :-1]
    else:
        drawn = made.X[rows.n :, -1].astype(np.float64)
        table = _like(rows.X, made.X[:, :-1])
    bins = bin_of_part(parts)
    ranges = pd.Series(real).groupby(bins[parts.codes]).agg(["min", "max"]).to_numpy()[bins[codes]]
    return table, np.clip(drawn, ranges[:, 0], ranges[:, 1])


def bin_of_part(parts: Cells) -> np.ndarray:
    """Return the number of the target bin of each part, (n_parts,) int."""
    index = parts.index
    return pd.factorize(index.get_level_values(0) if isinstance(index, pd.MultiIndex) else index, sort=True)[
        0
    ]


def _target_name(frame: pd.DataFrame) -> Any:
    if all(not isinstance(column, str) for column in frame.columns):
        numbers = [column for column in frame.columns if isinstance(column, (int, np.integer))]
        return max(numbers, default=-1) + 1 if len(numbers) == frame.shape[1] else "target"
    name = "target"
    while name in frame.columns:
        name += "_"
    return name


def _like(X: Any, array: np.ndarray) -> Any:
    """Return ``array`` in the container and dtype of ``X``."""
    if isinstance(X, (list, tuple)):
        return array.tolist()
    if hasattr(X, "detach"):
        import torch

        return torch.from_numpy(np.ascontiguousarray(array)).to(X.dtype)
    return _cast(array, X.dtype)


def _cast(values: np.ndarray, dtype: Any) -> Any:
    if pd.api.types.is_integer_dtype(dtype):
        values = np.rint(values.astype(np.float64))
    if isinstance(dtype, np.dtype):
        return values.astype(dtype, copy=False)
    return pd.array(values).astype(dtype)


def _same_kind(X: Any, rows: Any, where: str) -> Any:
    frames = isinstance(X, pd.DataFrame), isinstance(rows, pd.DataFrame)
    lists = isinstance(X, (list, tuple)), isinstance(rows, (list, tuple))
    if frames[0] != frames[1] or lists[0] != lists[1]:
        raise InputTypeError(
            sentence(
                where,
                f"the generator must have been fitted on the container of X ({type(X).__name__})",
                f"rows in a {type(rows).__name__}",
            )
        )
    return rows
