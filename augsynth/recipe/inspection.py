"""Why two tables do not fit together: columns, types, labels."""

from __future__ import annotations

import pandas as pd

from augsynth.core.errors import offenders

__all__ = ["problems_of"]


def _family(column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column):
        return "true/false"
    if pd.api.types.is_numeric_dtype(column):
        return "numbers"
    return "dates" if pd.api.types.is_datetime64_any_dtype(column) else "text"


def problems_of(
    real: pd.DataFrame, other: pd.DataFrame, target: str | None = None, word: str = "synthetic"
) -> list[str]:
    """Return every reason why another table does not fit the real one, in sentences; none if it does.

    Parameters
    ----------
    real, other : DataFrame
    target : str, optional
        The column of the labels.
    word : str
        What the other table is called.

    Examples
    --------
    >>> problems_of(pd.DataFrame({"a": [1]}), pd.DataFrame({"a": ["x"]}))
    ['a holds numbers in the real table and text in the synthetic one']
    """
    problems = []
    absent = [name for name in real.columns if name not in other.columns]
    extra = [name for name in other.columns if name not in real.columns]
    if absent:
        problems.append(f"the {word} table lacks columns: {offenders(absent)}")
    if extra:
        problems.append(f"the real table lacks columns of the {word} one: {offenders(extra)}")
    for name in real.columns:
        if name not in other.columns or real[name].isna().all() or other[name].isna().all():
            continue
        kinds = _family(real[name]), _family(other[name])
        if kinds[0] != kinds[1]:
            problems.append(f"{name} holds {kinds[0]} in the real table and {kinds[1]} in the {word} one")
    if target in real.columns and target in other.columns and _are_labels(real[target]):
        known = set(_texts(real[target]))
        unknown = [label for label in dict.fromkeys(_texts(other[target])) if label not in known]
        if unknown:
            problems.append(f"the {word} table has labels that the real one lacks: {offenders(unknown)}")
    return problems


def _texts(labels: pd.Series) -> pd.Series:
    """Return labels as texts, whole numbers alike whether or not some are missing."""
    labels = labels.dropna().infer_objects()
    if pd.api.types.is_float_dtype(labels) and (labels % 1 == 0).all():
        labels = labels.astype("int64")
    return labels.astype(str)


def _are_labels(column: pd.Series) -> bool:
    """Whether these are classes: new numbers of a numeric target are no problem."""
    numbers = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return not numbers or column.nunique() <= max(20, 0.2 * len(column))
