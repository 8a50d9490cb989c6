"""Edits of table rows: jitter, category flips, value swaps, missing cells."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from augsynth.core import arrays
from augsynth.core.errors import ParameterError, offenders, sentence
from augsynth.core.parameters import check_number
from augsynth.encode.schema import Column, Schema
from augsynth.encode.table import TableCodec
from augsynth.perturb.base import Perturbation, take_where

__all__ = ["CategoryFlip", "Missingness", "ScaledJitter", "TablePerturbation", "ValueSwap"]


class TablePerturbation(Perturbation):
    """An edit of a block of table rows, in any container.

    ``columns`` names what may change (None: every column of the kind it edits).
    """

    per_row: ClassVar[bool] = True
    modality: ClassVar[str] = "table"
    learns: ClassVar[bool] = True
    columns: Sequence[Any] | None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the columns' kinds, scales and values from training rows."""
        where = type(self).__name__
        frame, _ = arrays.take_in(X, where=where)
        names = list(frame.columns if self.columns is None else self.columns)
        unknown = [name for name in names if name not in frame.columns]
        if unknown:
            raise ParameterError(sentence(where, "columns must be columns of X", offenders(unknown)))
        kinds = Schema.infer(frame[[name for name in frame.columns if name in names]], where=where)
        schema = Schema(tuple(c for c in kinds if not c.is_constant and self._can(c)))
        self.codec_ = TableCodec().fit(frame[[column.name for column in schema]], schema)
        self._learn(self.codec_.encode(frame[self.codec_.names], where))
        return self

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Return the rows with their edits, in the container and dtypes of ``x``."""
        frame, container = arrays.take_in(x, where=type(self).__name__)
        names = self.codec_.names
        z = self.codec_.encode(frame[names])
        edited = self._edit(z.copy(), params)
        changed = (edited != z) & ~(np.isnan(edited) & np.isnan(z))
        decoded = self.codec_.decode(edited)
        frame = frame.reset_index(drop=True)
        # Only changed cells: a float does not hold all others (a date in nanoseconds, say) to the last bit.
        for j in np.flatnonzero(changed.any(axis=0)):
            new = decoded[names[j]]
            frame[names[j]] = take_where(changed[:, j], new, frame[names[j]].astype(new.dtype))
        return container.give_back(frame)

    def _hits(self, x: Any, p: float, rng: np.random.Generator) -> np.ndarray:
        """Draw which cells (n, p) are edited."""
        check_number(type(self).__name__, "p", p, low=0, high=1)
        return rng.random((arrays.count_rows(x), len(self.codec_.names))) < p

    @abstractmethod
    def _can(self, column: Column) -> bool:
        """Whether a column is of a kind that this edits."""

    @abstractmethod
    def _learn(self, z: np.ndarray) -> None:
        """Learn from the encoded columns (n, p) that are edited."""

    @abstractmethod
    def _edit(self, z: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        """Edit a copy of these columns, in place or not."""


class ScaledJitter(TablePerturbation):
    """Add Gaussian noise to numbers, scaled by each column's own spread.

    Integers are rounded, missing cells stay missing, and values stay inside the
    range seen in training, so ages do not become negative.

    Parameters
    ----------
    scale : float, default=0.1
        Standard deviation of the noise, in standard deviations of the column.
    columns : list of names, optional
        Columns to edit; default all numeric ones.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> new = ScaledJitter(scale=0.1).fit(X)(X, random_state=0)
    >>> bool(0.08 < np.std(new - X) < 0.12)
    True
    """

    def __init__(self, scale: float = 0.1, *, columns: Sequence[Any] | None = None):
        self.scale = scale
        self.columns = columns

    def _can(self, column: Column) -> bool:
        return column.is_numeric

    def _learn(self, z: np.ndarray) -> None:
        check_number("ScaledJitter", "scale", self.scale, low=0)
        self.spread_ = np.nanstd(z, axis=0)

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return the noise (n, columns), in data units."""
        shape = (arrays.count_rows(x), len(self.spread_))
        return {"noise": rng.standard_normal(shape) * self.spread_ * self.scale}

    def _edit(self, z: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        for j, block in enumerate(self.codec_.layout):
            old = z[:, j]
            low, high = np.fmin(old, block.low), np.fmax(old, block.high)
            z[:, j] = np.clip(old + params["noise"][:, j], low, high)
        return z


class CategoryFlip(TablePerturbation):
    """Replace a share of the categories by others, drawn at their training frequencies.

    Parameters
    ----------
    p : float, default=0.05
        Probability that a cell is redrawn (it may draw its old value again).
    columns : list of names, optional
        Columns to edit; default all categorical ones.
    """

    def __init__(self, p: float = 0.05, *, columns: Sequence[Any] | None = None):
        self.p = p
        self.columns = columns

    def _can(self, column: Column) -> bool:
        return not column.is_numeric

    def _learn(self, z: np.ndarray) -> None:
        self.running_ = []
        for j, block in enumerate(self.codec_.layout):
            present = z[~np.isnan(z[:, j]), j].astype(np.intp)
            counts = np.bincount(present, minlength=block.n_levels)
            self.running_.append(np.cumsum(counts) / counts.sum())

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return which cells are redrawn (n, columns) and their new codes."""
        hits = self._hits(x, self.p, rng)
        u = rng.random(hits.shape)
        codes = [np.searchsorted(run, u[:, k], side="right") for k, run in enumerate(self.running_)]
        return {"hits": hits, "codes": np.stack(codes, axis=1) if codes else np.zeros(hits.shape)}

    def _edit(self, z: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        return np.where(params["hits"] & ~np.isnan(z), params["codes"], z)


class ValueSwap(TablePerturbation):
    """Replace a share of the cells by the value of the same column in another training row.

    Also known as swap noise. Works for every kind of column; a missing cell may be
    filled, and a filled one lost, as often as the training rows have it.

    Parameters
    ----------
    p : float, default=0.1
        Probability that a cell is replaced.
    columns : list of names, optional
        Columns to edit; default all.
    """

    def __init__(self, p: float = 0.1, *, columns: Sequence[Any] | None = None):
        self.p = p
        self.columns = columns

    def _can(self, column: Column) -> bool:
        return True

    def _learn(self, z: np.ndarray) -> None:
        self.donors_ = z.copy()  # an array of floats is not copied by the codec

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return which cells are replaced (n, columns) and the donor rows."""
        hits = self._hits(x, self.p, rng)
        return {"hits": hits, "donors": rng.integers(0, len(self.donors_), hits.shape)}

    def _edit(self, z: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        return np.where(params["hits"], np.take_along_axis(self.donors_, params["donors"], axis=0), z)


class Missingness(TablePerturbation):
    """Blank a share of the cells, so that a model learns to live with holes.

    Only columns whose dtype can be missing are edited (floats, categories, strings,
    nullable types; not plain integers and booleans).

    Parameters
    ----------
    p : float, default=0.1
        Probability that a cell is blanked.
    columns : list of names, optional
        Columns to edit; default all that can be missing.

    Raises
    ------
    ParameterError
        If a named column cannot hold a missing value.
    """

    def __init__(self, p: float = 0.1, *, columns: Sequence[Any] | None = None):
        self.p = p
        self.columns = columns

    def _can(self, column: Column) -> bool:
        dtype = column.dtype
        able = not (isinstance(dtype, np.dtype) and dtype.kind in "biu")
        if not able and self.columns is not None:
            raise ParameterError(
                sentence(
                    "Missingness",
                    f"column {column.name!r} must have a dtype that can be missing",
                    str(dtype),
                    "Convert it to a float or to pandas' nullable Int64 or boolean.",
                )
            )
        return able

    def _learn(self, z: np.ndarray) -> None:
        pass

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return which cells are blanked (n, columns)."""
        return {"hits": self._hits(x, self.p, rng)}

    def _edit(self, z: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        return np.where(params["hits"], np.nan, z)
