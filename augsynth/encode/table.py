"""Tables to float matrices and back, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.persistence import persistent
from augsynth.encode.column import Column
from augsynth.encode.layout import Block, Layout
from augsynth.encode.schema import Schema

__all__ = ["TableCodec", "block_of", "fill_holes"]


@persistent
class TableCodec:
    """Encode a table as ``z`` (n, p) float64 and decode it with its dtypes.

    Numbers stay in data units, categories become level codes, missing cells NaN.
    Columns with nothing to learn (one value in every row, or no value at all) are
    left out of ``z`` and put back by :meth:`decode`, as are ``given`` columns, whose
    values the caller supplies.

    Attributes
    ----------
    schema : Schema
        All columns of the table.
    layout : Layout
        The columns of ``z``.
    names, given, columns : list, list, Index
        Names of the columns of ``z``, of those the caller supplies, and of all.

    Examples
    --------
    >>> table = pd.DataFrame({"age": [30, 41], "job": ["cook", "clerk"], "id": [1, 1]})
    >>> codec = TableCodec().fit(table, Schema.infer(table))
    >>> codec.encode(table).tolist()
    [[30.0, 1.0], [41.0, 0.0]]
    >>> codec.decode(codec.encode(table)).equals(table)
    True
    """

    schema: Schema
    layout: Layout
    names: list[Any]
    given: list[Any]
    columns: pd.Index

    def fit(self, frame: pd.DataFrame, schema: Schema, *, given: Sequence[Any] = ()) -> TableCodec:
        """Learn which columns vary; ``given`` names columns that stay out of ``z``."""
        self.schema = schema
        self.columns = frame.columns
        self.given = list(given)
        learned = [c for c in schema if not c.is_constant and c.name not in self.given]
        self.names = [c.name for c in learned]
        self.layout = Layout(tuple(block_of(c) for c in learned))
        self._plain = len(learned) == len(schema) and all(
            c.kind == "continuous" and c.dtype == np.float64 for c in schema
        )
        return self

    def encode(self, frame: pd.DataFrame, where: str = "encode") -> np.ndarray:
        """Return ``z`` (n, p) float64; a float64 array comes back as it is, uncopied.

        Raises
        ------
        DataError
            For an infinity, or a category not seen in fit.
        """
        columns = {c.name: c for c in self.schema}
        if self._plain and all(d == np.float64 for d in frame.dtypes):
            z = frame.to_numpy()
            # One pass for the whole matrix; the slow path below then names the column.
            if np.isfinite(np.nanmin(z, initial=0.0)) and np.isfinite(np.nanmax(z, initial=0.0)):
                return z
        z = np.empty((len(frame), len(self.names)))
        for j, name in enumerate(self.names):
            z[:, j] = columns[name].encode(frame[name], where)
        return z

    def decode(self, z: np.ndarray, given: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return the table of ``z`` (n, p), constants and given columns in their places."""
        position = {name: j for j, name in enumerate(self.names)}
        parts = {}
        for i, column in enumerate(self.schema):
            if column.name in position:
                parts[i] = column.decode(z[:, position[column.name]])
            elif given is not None and column.name in given:
                parts[i] = given[column.name].astype(column.dtype).reset_index(drop=True)
            else:
                parts[i] = column.decode(np.full(len(z), column.low))
        frame = pd.DataFrame(parts, copy=False)
        frame.columns = self.columns
        return frame

    def decode_array(self, z: np.ndarray, dtype: Any) -> np.ndarray | None:
        """Return ``z`` itself as an array of ``dtype`` where nothing has to be decoded, else None."""
        return z.astype(dtype, copy=False) if self._plain else None

    def off_support(self, frame: pd.DataFrame, given: pd.DataFrame | None = None) -> np.ndarray:
        """Return which rows (n,) differ in a column that is not learned: a constant, or a given one."""
        off = np.zeros(len(frame), dtype=bool)
        for column in self.schema:
            if column.name in self.names:
                continue
            cells = frame[column.name].astype(object)
            if given is not None and column.name in given:
                wanted: Any = given[column.name].astype(object).to_numpy()
            else:
                wanted = column.decode(np.array([column.low])).astype(object).to_numpy()[0]
            off |= (cells.notna() & (cells != wanted)).to_numpy(dtype=bool)
        return off


def block_of(column: Column) -> Block:
    """Return what a layout says of a column."""
    if column.levels is not None:
        return Block(str(column.name), len(column.levels), column.kind == "ordinal", missing=column.missing)
    whole = column.kind in ("integer", "datetime")
    return Block(str(column.name), 0, True, whole, column.low, column.high, column.missing)


def fill_holes(frame: pd.DataFrame, decoded: pd.DataFrame) -> pd.DataFrame:
    """Take decoded cells where the frame has holes; what was observed stays to the last bit."""
    holes = frame.isna()
    for name in frame.columns[holes.any()]:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = column.astype(decoded[name].dtype)  # the drawn level may be absent from these rows
        frame[name] = column.mask(holes[name], decoded[name])
    return frame
