"""One column given all others: what a chain asks of a model, and the view of the rows that it gives it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Self

import numpy as np

from augsynth.encode.layout import Block, Layout
from augsynth.impute.design import Design, most_likely

__all__ = ["ColumnModel", "CompletedRows", "PredictorView"]


class ColumnModel(ABC):
    """The distribution of one column given all others, learned from completed rows.

    A chain makes one by ``Model(block, n_donors=5)``, fits it and throws it away, over
    and over: what is expensive and does not depend on the other columns' present
    values has no place in it.

    Parameters
    ----------
    block : Block
        The column: numeric or not, its number of levels, whether whole, its range.
    n_donors : int, default=5
        From how many nearest observed values predictive mean matching draws.

    Attributes
    ----------
    error, baseline : float
        Error on rows that were held out of fit (out-of-fold, out-of-bag), and that of
        the column's mean or commonest level on the same rows: root mean square, or the
        share falsely classified. NaN where not known (and always after ``drawn=True``).

    Notes
    -----
    Laws. ``expect`` and ``draw`` are pure functions of each row: no last bit may depend
    on the other rows of the view (`PredictorView.dot` keeps it; a plain matrix product
    does not). ``fit`` takes all its randomness from ``rng``, ``draw`` all of it from
    ``u``. A view has no NaN; a target never has one either, but may have one row, one
    value, or one of many levels.
    """

    error: float = float("nan")
    baseline: float = float("nan")

    def __init__(self, block: Block, *, n_donors: int = 5):
        self.block = block
        self.n_donors = n_donors

    @abstractmethod
    def fit(self, view: PredictorView, target: np.ndarray, rng: np.random.Generator, *, drawn: bool) -> Self:
        """Learn from the rows in which the column is observed.

        Parameters
        ----------
        view : PredictorView of n rows
        target : ndarray (n,)
            Numbers in data units, or level codes.
        rng : Generator
        drawn : bool
            True: parameters are one draw from their posterior (or the fit of one
            Bayesian bootstrap of the rows), as proper multiple imputation needs.
            False: the best point fit.
        """

    @abstractmethod
    def expect(self, view: PredictorView) -> np.ndarray:
        """Return conditional means (n,), or probabilities of the levels (n, n_levels)."""

    @abstractmethod
    def draw(self, view: PredictorView, u: np.ndarray) -> np.ndarray:
        """Return one value a row, (n,), drawn with the uniform numbers u (n, 2)."""


class CompletedRows:
    """Rows without holes, whose filled cells a chain replaces column by column.

    Parameters
    ----------
    z : ndarray (n, p)
        Rows with every cell filled; copied.
    design : Design
    matrix : ndarray (n, width), optional
        The design, where filled categories have probabilities in place of indicators.

    Attributes
    ----------
    z : ndarray (n, p)
        The rows as they are now; change them by `put` only.
    """

    def __init__(
        self,
        z: np.ndarray,
        design: Design,
        *,
        matrix: np.ndarray | None = None,
    ):
        self.z = np.array(z, dtype=np.float64, order="F")
        self.design = design
        self._matrix = matrix

    @property
    def matrix(self) -> np.ndarray:
        """The design (n, width) of all columns, made at the first use and kept up to date."""
        if self._matrix is None:
            self._matrix = np.empty((len(self.z), self.design.width), order="F")
            for j, part in enumerate(self.design.slices):
                self._matrix[:, part] = self.design.encode(j, self.z[:, j])
        return self._matrix

    def put(self, j: int, rows: np.ndarray, values: np.ndarray) -> None:
        """Write values (n,), or what is likeliest of probabilities (n, n_levels), into cells of a column."""
        self.z[rows, j] = most_likely(values)
        if self._matrix is not None:
            self._matrix[rows, self.design.slices[j]] = self.design.encode_expected(j, values)

    def view(
        self, target: int, rows: np.ndarray | None = None, columns: np.ndarray | None = None
    ) -> PredictorView:
        """Return some rows (positions; all by default) without column ``target``, or of some columns only."""
        return PredictorView(self, target, rows, columns)


class PredictorView:
    """Completed rows without the target column, in the forms that models want.

    A view shows the rows as they are when a form of them is first asked for. Make one
    from a matrix by `of`; chains make them by `CompletedRows.view`.

    Parameters
    ----------
    completed : CompletedRows
    target : int
        The encoded column that is left out.
    rows : ndarray of int, optional
        Positions of the rows; all by default.
    columns : ndarray of int, optional
        Encoded columns that predict; all others by default.

    Examples
    --------
    >>> layout = Layout((Block("age"), Block("job", n_levels=3), Block("pay")))
    >>> z = np.array([[30.0, 0, 5], [50.0, 2, 6], [40.0, 0, 7]])
    >>> view = PredictorView.of(z, layout, target=2)
    >>> view.raw[1].tolist()
    [50.0, 2.0]
    >>> view.design.shape
    (3, 2)
    """

    def __init__(
        self,
        completed: CompletedRows,
        target: int,
        rows: np.ndarray | None = None,
        columns: np.ndarray | None = None,
    ):
        self._completed = completed
        self.target = target
        self.rows = rows
        if columns is None:
            p = completed.z.shape[1]
            columns = np.concatenate([np.arange(target), np.arange(target + 1, p)])
        self.columns = columns  # the encoded columns of `raw`

    @classmethod
    def of(cls, z: np.ndarray, layout: Layout, target: int) -> PredictorView:
        """Return the view of complete rows z (n, p); what column ``target`` holds is not looked at."""
        z = np.array(z, dtype=np.float64)
        z[np.isnan(z[:, target]), target] = 0.0
        return CompletedRows(z, Design(z, layout)).view(target)

    def __len__(self) -> int:
        return len(self._completed.z) if self.rows is None else len(self.rows)

    @cached_property
    def raw(self) -> np.ndarray:
        """Numbers in data units and level codes, (n, p - 1): for trees. Do not write into it."""
        return self._cut(self._completed.z, self.columns)

    @cached_property
    def design_columns(self) -> np.ndarray:
        """Positions of the columns of `design` in the design of all columns, (q,) int."""
        slices = self._completed.design.slices
        keep = np.zeros(self._completed.design.width, dtype=bool)
        for j in self.columns:
            keep[slices[j]] = True
        return np.flatnonzero(keep)

    @cached_property
    def design(self) -> np.ndarray:
        """Standardised numbers and indicators of levels, (n, q): for linear models. Do not write into it."""
        return self._cut(self._completed.matrix, self.design_columns)

    def dot(self, coefficients: np.ndarray) -> np.ndarray:
        """Return ``design @ coefficients`` (q,) or (q, k), each row to the last bit the same in any view."""
        matrix = self._completed.matrix
        out = np.zeros((len(self), *coefficients.shape[1:]), order="F")
        for position, weight in zip(self.design_columns, coefficients, strict=True):
            column = matrix[:, position] if self.rows is None else matrix[self.rows, position]
            # summed column by column: matrix products round differently for other numbers of rows
            out += column * weight if coefficients.ndim == 1 else column[:, None] * weight
        return out

    def take(self, where: np.ndarray) -> PredictorView:
        """Return the view of some of these rows (positions or a mask)."""
        rows = np.arange(len(self._completed.z)) if self.rows is None else self.rows
        return PredictorView(self._completed, self.target, rows[where], self.columns)

    def _cut(self, matrix: np.ndarray, columns: np.ndarray) -> np.ndarray:
        if self.rows is None:
            return matrix[:, columns]
        return matrix[np.ix_(self.rows, columns)]
