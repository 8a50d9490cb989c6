"""Tables with holes, read so that what is not missing comes out again as it was written.

A column of whole numbers with gaps stays one (pandas alone makes it a column of floats),
and a text table keeps every cell that it had to the letter: leading zeros, trailing zeros
and the words for true and false.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import DataError, sentence
from augsynth.core.files import atomic_path
from augsynth.core.random import keyed_rng
from augsynth.impute.amputation import ampute
from augsynth.recipe.tables import (
    SKLEARN,
    open_read,
    open_write,
    read_dates,
    read_source,
    read_table,
    table_format,
)

__all__ = ["HoledTable", "read_holes", "take_out", "write_filled"]

_HOLES = 4  # key of the random stream
_WHOLE = r"\s*[+-]?\d+\s*"
_CODE = r"\s*0\d+\s*"
_SEPARATORS = {"csv": ",", "tsv": "\t"}


def take_out(
    frame: pd.DataFrame, share: float, mechanism: str, keep: Sequence[str], seed: int
) -> pd.DataFrame:
    """Take cells out on purpose; the columns of ``keep`` stay whole, and whole numbers stay whole numbers."""
    shown = [name for name in frame.columns if name not in keep]
    rng = keyed_rng(seed, _HOLES)
    thinned = ampute(frame[shown], mechanism, share, random_state=int(rng.integers(2**31)))
    made = frame.copy(deep=False)
    for name in shown:
        whole = pd.api.types.is_integer_dtype(frame[name].dtype) and thinned[name].isna().any()
        made[name] = thinned[name].astype("Int64") if whole else thinned[name]
    return made


@dataclass
class HoledTable:
    """A table as it was read.

    Attributes
    ----------
    frame : DataFrame
        Its columns in the dtypes that hold their gaps: Int64, boolean, ...
    texts : DataFrame or None
        The cells as a text file has them.
    separator : str
        Of a text file.
    fields : object or None
        The schema of a Parquet file.
    nameless : list of str
        Columns without a name in a text file, such as pandas' index.
    """

    frame: pd.DataFrame
    texts: pd.DataFrame | None = None
    separator: str = ","
    fields: Any = None
    nameless: Sequence[str] = ()

    def typed_like(self, other: pd.DataFrame) -> None:
        """Give columns the dtypes that they have in another table: an empty one has none of its own."""
        for name in self.frame.columns:
            if name not in other.columns or self.frame[name].dtype == other[name].dtype:
                continue
            wanted, given = other[name].dtype, self.frame[name].dtype
            if pd.api.types.is_integer_dtype(wanted) and self.frame[name].isna().any():
                wanted = "UInt64" if pd.api.types.is_unsigned_integer_dtype(wanted) else "Int64"
            if pd.api.types.is_bool_dtype(wanted) and self.frame[name].isna().any():
                wanted = "boolean"
            if self.frame[name].isna().all() or pd.api.types.is_numeric_dtype(given):
                with contextlib.suppress(TypeError, ValueError):  # the imputer says what does not fit
                    self.frame[name] = self.frame[name].astype(wanted)


def read_holes(
    source: str | Path,
    *,
    dates: Sequence[str] = (),
    missing: Sequence[str] | None = None,
    separator: str | None = None,
) -> HoledTable:
    """Read a table that may have gaps: a file, or a set of scikit-learn's.

    Parameters
    ----------
    source : str or Path
    dates : sequence of str
        Columns of a text table that hold dates or times.
    missing, separator
        As in `read_table`.

    Raises
    ------
    DataError
        Whatever `read_table` refuses.
    """
    if str(source).startswith(SKLEARN):
        return HoledTable(read_source(str(source)))
    frame = read_table(source, missing=missing, separator=separator, least_columns=1)
    style = table_format(source)
    if style.kind == "parquet":
        return _of_parquet(Path(source), style.compression, frame)
    separator = separator or _SEPARATORS[style.kind]
    with open_read(Path(source), style.compression) as stream:
        texts = pd.read_csv(
            stream,
            sep=separator,
            header=None,
            dtype=str,
            keep_default_na=False,
            na_filter=False,
            index_col=False,
            skip_blank_lines=frame.shape[1] > 1,
        )
    header, texts = texts.iloc[0].tolist(), texts.iloc[1:].reset_index(drop=True)
    if texts.shape != frame.shape:
        raise DataError(
            sentence(str(source), "the file must stay as it is while it is read", "one that changed")
        )
    texts.columns = frame.columns
    frame = read_dates(frame, dates)
    for name in frame.columns:
        frame[name] = _with_gaps(frame[name], texts[name])
    nameless = [name for name, text in zip(frame.columns, header, strict=True) if not text]
    return HoledTable(frame, texts, separator, nameless=nameless)


def _with_gaps(values: pd.Series, texts: pd.Series) -> pd.Series:
    """Return whole numbers and truth values as such where gaps made them another thing, codes as texts."""
    seen = values.notna()
    if not seen.any():
        return values
    if pd.api.types.is_numeric_dtype(values.dtype) and texts[seen].str.fullmatch(_CODE).any():
        return texts.where(seen)  # 00123 is a code, and its mean would mean nothing
    if seen.all():
        return values
    if values.dtype == np.float64 and texts[seen].str.fullmatch(_WHOLE).all():
        numbers = pd.to_numeric(texts[seen].str.strip())
        if numbers.dtype == np.int64:
            whole = pd.Series(0, index=values.index, dtype="Int64", name=values.name)
            whole[seen], whole[~seen] = numbers, pd.NA
            return whole
    if values.dtype == object and values[seen].map(lambda cell: isinstance(cell, bool)).all():
        return values.astype("boolean")
    return values


def _of_parquet(path: Path, compression: str, frame: pd.DataFrame) -> HoledTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_read(path, compression) as stream:
        fields = pq.read_schema(stream)
    nullable = {pa.bool_(): pd.BooleanDtype()} | {
        getattr(pa, name.lower())(): getattr(pd, f"{name}Dtype")()
        for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
    }
    gaps = [
        field.name
        for field in fields
        if field.type in nullable and field.name in frame and frame[field.name].isna().any()
    ]
    if gaps:
        with open_read(path, compression) as stream:
            whole = pq.read_table(stream, columns=gaps).to_pandas(types_mapper=nullable.get)
        for name in gaps:
            frame[name] = whole[name].array
    return HoledTable(frame, fields=fields)


def write_filled(table: HoledTable, filled: Iterable[tuple[Path, pd.DataFrame]]) -> list[Path]:
    """Write one or several completions of a table; all of the files appear at the end, or none.

    Parameters
    ----------
    table : HoledTable
        What they are completions of.
    filled : iterable of (path, DataFrame)
        Made one after the other: one completion is in memory at a time.
    """
    written = []
    with contextlib.ExitStack() as stack:
        for path, frame in filled:
            temporary = stack.enter_context(atomic_path(path))
            _write(table, frame, path, temporary)
            written.append(path)
    return written


def _write(table: HoledTable, frame: pd.DataFrame, path: Path, temporary: Path) -> None:
    style = table_format(path)
    if style.kind == "parquet":
        _write_parquet(table, frame, temporary, style.compression)
        return
    texts = frame if table.texts is None else _as_written(table, frame)
    separator = (
        table.separator if table.texts is not None and style.kind == "csv" else _SEPARATORS[style.kind]
    )
    with open_write(temporary, style.compression) as stream:
        names = ["" if name in table.nameless else name for name in texts.columns]
        texts.to_csv(stream, header=names, index=False, sep=separator, lineterminator="\n", encoding="utf-8")


def _write_parquet(table: HoledTable, frame: pd.DataFrame, temporary: Path, compression: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pa.Table.from_pandas(frame, preserve_index=False)
    if table.fields is not None:
        known = {field.name: field.type for field in table.fields}
        types = [
            known.get(field.name, field.type)
            if not pa.types.is_null(known.get(field.name, field.type))
            else field.type
            for field in rows.schema
        ]
        with contextlib.suppress(
            pa.ArrowInvalid, pa.ArrowNotImplementedError
        ):  # a mean in a column of decimals, say
            rows = rows.cast(
                pa.schema(
                    [pa.field(f.name, t) for f, t in zip(rows.schema, types, strict=True)],
                    metadata=rows.schema.metadata,
                )
            )
    with open_write(temporary, compression) as stream:
        pq.write_table(rows, stream)


def _as_written(table: HoledTable, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the cells as texts: those that were there to the letter, the others as the column says them."""
    written = {}
    for name in frame.columns:
        if table.texts is None or name not in table.texts:
            written[name] = frame[name]
            continue
        cells = table.texts[name].to_numpy(dtype=object, copy=True)
        before, after = table.frame[name], frame[name]
        holes = (before.isna() & after.notna()).to_numpy()
        if holes.any():
            cells[holes] = _words(after[holes], before[~holes], table.texts[name][~holes])
        written[name] = cells
    return pd.DataFrame(written)


def _words(values: pd.Series, seen: pd.Series, texts: pd.Series) -> list[str]:
    """Say filled cells as the seen ones of the column are said."""
    if pd.api.types.is_bool_dtype(values.dtype) or not (
        pd.api.types.is_numeric_dtype(values.dtype) or values.dtype.kind in "mM"
    ):
        known = dict(zip(seen.astype(object)[::-1], texts[::-1], strict=True))  # the first of each stays
        return [known.get(value, str(value)) for value in values.astype(object)]
    if values.dtype.kind == "M":
        days = texts.str.strip().str.len().max() <= len("2024-05-31")
        return [f"{value:%Y-%m-%d}" if days else value.isoformat(sep=" ") for value in values]
    if pd.api.types.is_integer_dtype(values.dtype):
        return [str(int(value)) for value in values]
    return [repr(float(value)) for value in values]
