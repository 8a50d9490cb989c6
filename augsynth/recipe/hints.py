"""What a table with holes may mean by its cells: words for missing ones, codes that look like numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from augsynth.core.errors import offenders

__all__ = ["hints"]

_MARKS = ("-", "--", ".", "missing", "unknown", "na", "n/a", "none", "nil")  # in a column of numbers
_MANY = 20  # seen cells, below which nothing is said
_CODES = 10  # different whole numbers, up to which they may be codes


def hints(X: pd.DataFrame) -> list[str]:
    """Say, in a line each, which cells look like words for missing and which numbers look like codes.

    Examples
    --------
    >>> hints(pd.DataFrame({"age": ["31", "?", "45"]}))[0].split(":")[0]
    "column 'age' holds '?', which may stand for missing"
    """
    return [*_marks(X), *_codes(X)]


def _marks(X: pd.DataFrame) -> list[str]:
    names: list[str] = []
    marks: dict[str, None] = {}
    for name, values in X.items():
        seen = values.dropna()
        if pd.api.types.is_numeric_dtype(seen.dtype) or not pd.api.types.is_string_dtype(seen.dtype):
            continue
        cells = seen.astype(str)
        found = [cell for cell in pd.unique(cells) if cell.strip() == "?"]
        odd = pd.unique(cells[pd.to_numeric(cells, errors="coerce").isna()])
        if len(odd) < cells.nunique() and all(cell.strip().lower() in (*_MARKS, "?") for cell in odd):
            found = list(odd)
        if found:
            names.append(str(name))
            marks |= dict.fromkeys(found)
    if not marks:
        return []
    usual = ["", "NA"] if X.isna().to_numpy().any() else []  # data.missing takes their place
    told = ", ".join(f"'{mark}'" for mark in [*usual, *marks])
    holds = f"column {names[0]!r} holds" if len(names) == 1 else f"columns {offenders(names)} hold"
    return [f'{holds} {offenders(list(marks))}, which may stand for missing: --set "data.missing=[{told}]"']


def _codes(X: pd.DataFrame) -> list[str]:
    names = []
    for name, values in X.items():
        kinds = pd.api.types
        if not values.isna().any() or kinds.is_bool_dtype(values.dtype):
            continue
        if kinds.is_numeric_dtype(values.dtype) and values.notna().sum() >= _MANY:
            found = values.dropna().unique()
            if 2 <= len(found) <= _CODES and (np.asarray(found, float) % 1 == 0).all():
                names.append(str(name))
    if not names:
        return []
    first = names[0] if names[0].isidentifier() else repr(names[0])
    few = f"column {names[0]!r} holds" if len(names) == 1 else f"columns {offenders(names)} hold"
    return [
        f"{few} few whole numbers, and means are filled in: fractions, or rounded. If they are codes: "
        f'--set "schema={{{first}: categorical}}"'
    ]
