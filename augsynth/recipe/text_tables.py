"""Text tables in: bytes unpacked, cells parsed, and what is wrong with a file in plain words."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from augsynth.core.errors import DataError

__all__ = ["open_read", "read_text"]

_WHOLE = r"\s*[+-]?\d+\s*"
# what pandas takes for missing by default, which it does not say in public
_MISSING = ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"]
_MISSING += ["<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]


def open_read(path: Path, compression: str) -> Any:
    """Open a file for bytes that are unpacked on their way."""
    if compression == "gz":
        return gzip.open(path, "rb")
    if compression == "bz2":
        return bz2.open(path, "rb")
    if compression == "xz":
        return lzma.open(path, "rb")
    if compression == "zst":
        import pyarrow as pa

        return io.BufferedReader(pa.input_stream(str(path), compression="zstd"))
    return path.open("rb")


def read_text(
    path: Path, compression: str, separator: str, missing: Sequence[str] | None
) -> tuple[pd.DataFrame, list[str]]:
    """Return a text table and the names in its first line; see `augsynth.recipe.tables.read_table`.

    In a table of one column an empty line is an empty cell.
    """
    with open_read(path, compression) as stream:
        start = stream.read(65536)
    if not start.strip():
        raise DataError(f"{path}: the file is empty. A table needs a header line and rows.")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{path}: a text table must be encoded in UTF-8; given UTF-16. Save it as UTF-8.")
    if b"\0" in start:
        raise DataError(f"{path}: this is a binary file, not a text table. Check the file and its ending.")
    na: dict[str, Any] = {} if missing is None else {"na_values": list(missing), "keep_default_na": False}
    try:
        with open_read(path, compression) as stream:
            header = pd.read_csv(
                stream, sep=separator, header=None, nrows=1, dtype=str, keep_default_na=False
            )
        blank = {"skip_blank_lines": header.shape[1] > 1}
        with open_read(path, compression) as stream, warnings.catch_warnings():
            warnings.simplefilter(
                "error", pd.errors.ParserWarning
            )  # it would cut rows longer than the header
            frame = pd.read_csv(stream, sep=separator, low_memory=False, index_col=False, **blank, **na)
    except pd.errors.ParserWarning:
        raise DataError(f"{path}: rows have more fields than the header. Check the file.") from None
    except pd.errors.ParserError as error:
        raise DataError(f"{path}: {_in_words(str(error))}") from None
    return _with_gaps(frame, missing), [str(name) for name in header.iloc[0]]


def _in_words(error: str) -> str:
    odd = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", error)
    if odd:
        wanted, line, given = odd.groups()
        return (
            f"rows have more fields than the header: {given} in line {line}, {wanted} in the header. "
            "Check the file; a cell that holds the separator must be quoted."
        )
    if "EOF inside string" in error:
        return "a quoted cell does not end before the file does. Check the quotes in the file."
    return f"this file cannot be read as a table ({' '.join(error.split())[:200]}). Check the file."


def _with_gaps(frame: pd.DataFrame, missing: Sequence[str] | None) -> pd.DataFrame:
    """Return whole numbers beyond 64 signed bits as such: pandas makes them texts where one is missing."""
    words = _MISSING if missing is None else list(missing)
    for name, values in frame.items():
        if pd.api.types.is_numeric_dtype(values.dtype) or values.isna().any():
            continue
        gone = values.isin(words)
        if not gone.any() or gone.all() or not values[~gone].astype("str").str.fullmatch(_WHOLE).all():
            continue
        numbers = [None if lost else int(cell) for cell, lost in zip(values, gone, strict=True)]
        try:
            frame[name] = pd.array(numbers, dtype="UInt64")
        except (TypeError, ValueError, OverflowError):  # negative ones among them
            frame[name] = pd.Series(numbers, index=frame.index, dtype=object)
    return frame
