"""The tables, groups, targets and references of data bias, checked and brought into one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import type_of_target

from augsynth.check.bias.data_tables import reference_shares
from augsynth.check.bias.levels import Levels, crossed, levels_of
from augsynth.core.arrays import is_table, take_in
from augsynth.core.errors import DataError, InputTypeError, ParameterError, offenders, sentence

__all__ = ["groupings_of", "reference_groups", "second_table", "shares_of", "table_and_groups", "target_of"]

_WHERE = "data_bias"
_MOST_ATTRIBUTES = 6
_MOST_EMPTY = 1000


def table_and_groups(
    X: Any, sensitive_features: Any, group_columns: Sequence[Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows, and the columns of their groups."""
    if X is None or isinstance(X, str) or not hasattr(X, "__len__") or not is_table(X):
        raise InputTypeError(
            sentence(_WHERE, "X must be a table", type(X).__name__, "Pass the table of attributes as X.")
        )
    if not len(X):
        raise DataError(sentence(_WHERE, "X must have rows", "none"))
    frame = take_in(X, where=_WHERE)[0].reset_index(drop=True)
    if sensitive_features is None and not len(group_columns):
        must = "groups must be named"
        todo = "Pass sensitive_features, or columns of X as group_columns."
        raise DataError(sentence(_WHERE, must, "none", todo))
    if len(group_columns):
        named = [group_columns] if isinstance(group_columns, str) else list(group_columns)
        absent = [name for name in named if name not in frame.columns]
        if absent:
            raise DataError(sentence(_WHERE, "group_columns must name columns of X", offenders(absent)))
        groups = frame[named]
    else:
        groups = _frame_of_groups(sensitive_features)
    if len(groups) != len(frame):
        must = f"sensitive_features must have {len(frame)} rows as X has"
        raise DataError(sentence(_WHERE, must, f"{len(groups)} rows"))
    if groups.shape[1] > _MOST_ATTRIBUTES:
        must = f"there must be at most {_MOST_ATTRIBUTES} group columns"
        raise DataError(sentence(_WHERE, must, f"{groups.shape[1]}", "find_slices searches many columns."))
    return frame, groups


def _frame_of_groups(sensitive_features: Any) -> pd.DataFrame:
    if isinstance(sensitive_features, pd.DataFrame):
        return sensitive_features.reset_index(drop=True)
    if isinstance(sensitive_features, pd.Series):
        name = "group" if sensitive_features.name is None else sensitive_features.name
        return sensitive_features.rename(name).to_frame().reset_index(drop=True)
    array = np.asarray(sensitive_features, dtype=object)
    frame = pd.DataFrame(array.reshape(-1, 1) if array.ndim == 1 else array).infer_objects()
    frame.columns = ["group"] if frame.shape[1] == 1 else [f"group_{j}" for j in range(frame.shape[1])]
    return frame


def groupings_of(parts: list[pd.DataFrame]) -> tuple[list[list[Levels]], list[str]]:
    """Return the levels of every group column and of all crossed, and what the first table lacks."""
    whole = pd.concat(parts, ignore_index=True)
    made = [levels_of(whole[name], where=_WHERE) for name in whole.columns]
    empty: list[str] = []
    if len(made) > 1:
        both = made[0]
        for each in made[1:]:
            both = crossed(both, each)
        if np.prod([float(len(each.labels)) for each in made]) <= _MOST_EMPTY:
            told = [""]
            for each in made:
                told = [f"{head} / {label}" if head else label for head in told for label in each.labels]
            here = {both.labels[code] for code in both.codes[: len(parts[0])]}
            empty = [name for name in told if name not in here]
        made.append(both)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    split = [np.split(each.codes, ends) for each in made]
    return [
        [replace(each, codes=codes[k]) for each, codes in zip(made, split, strict=True)]
        for k in range(len(parts))
    ], empty


def reference_groups(reference: Any, groups: pd.DataFrame, group_columns: Sequence[Any]) -> pd.DataFrame:
    """Return the group columns of a reference table."""
    if isinstance(reference, str) or not hasattr(reference, "__len__"):
        must = "reference must be shares of groups (a dict), or a table of the group columns"
        raise InputTypeError(sentence(_WHERE, must, repr(reference)[:60]))
    table = _frame_of_groups(reference)
    if isinstance(reference, pd.DataFrame):
        absent = [name for name in groups.columns if name not in table.columns]
        if absent:
            must = "the reference table must have the group columns"
            raise DataError(sentence(_WHERE, must, f"none called {offenders(absent)}"))
        return table[list(groups.columns)]
    if table.shape[1] != groups.shape[1]:
        must = f"the reference must have {groups.shape[1]} group columns"
        raise DataError(sentence(_WHERE, must, str(table.shape[1])))
    return table.set_axis(groups.columns, axis=1)


def shares_of(
    reference: Any, groupings: list[Levels], by_table: bool
) -> dict[str, tuple[dict[str, float], int | None]]:
    """Return the reference shares of each attribute that has some, and the rows they were counted in."""
    if reference is None:
        return {}
    if by_table:
        return {
            levels.name: (
                dict(zip(levels.labels, levels.counts / len(levels.codes), strict=True)),
                len(levels.codes),
            )
            for levels in groupings
        }
    nested = {key: each for key, each in reference.items() if isinstance(each, Mapping)}
    if not nested:
        nested = {groupings[0].name: reference}
    known = {levels.name: levels for levels in groupings}
    unknown = [key for key in nested if str(key) not in known]
    if unknown:
        must = f"reference must name {', '.join(map(repr, known))}"
        raise DataError(sentence(_WHERE, must, offenders(unknown)))
    return {str(key): (reference_shares(each, known[str(key)], _WHERE), None) for key, each in nested.items()}


def target_of(y: Any, n: int, pos_label: Any) -> tuple[np.ndarray, list[str], str]:
    """Return class codes (the shown class of two as 1) or numbers, names of the classes, and the kind."""
    if y is None:
        return np.zeros(n), [], "none"
    values = pd.Series(np.ravel(np.asarray(y))).infer_objects()
    if len(values) != n:
        raise DataError(sentence(_WHERE, f"y must have one label a row of X ({n})", f"{len(values)} labels"))
    if values.isna().any():
        missing = f"{int(values.isna().sum())} missing labels"
        raise DataError(sentence(_WHERE, "every row needs a label", missing, "Drop those rows."))
    number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if number and (type_of_target(values) == "continuous" or values.nunique() > max(20, 0.2 * n)):
        numbers = values.to_numpy(dtype=float)
        if not np.isfinite(numbers).all():
            raise DataError(sentence(_WHERE, "y must be finite", "infinite numbers"))
        return numbers, [], "number"
    levels = levels_of(values.astype(object).rename("y"), where=_WHERE)
    codes, names = levels.codes, levels.labels
    if pos_label is not None and str(pos_label) not in names:
        raise ParameterError(sentence(_WHERE, "pos_label must be a class of y", repr(pos_label)))
    if len(names) == 2:
        shown = names.index(str(pos_label)) if pos_label is not None else int(np.argmin(levels.counts))
        if shown == 0:
            codes, names = 1 - codes, names[::-1]
    elif len(names) == 1:
        names = [*names, f"not {names[0]}"][::-1]
        codes = np.ones_like(codes)
    return codes, names, "class"


def second_table(
    other: Sequence[Any], group_columns: Sequence[Any], groups: pd.DataFrame, classes: list[str], kind: str
) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Return the rows, the group columns and class codes of a second table."""
    if not isinstance(other, (tuple, list)) or len(other) not in (2, 3):
        must = "other must be (X, y) or (X, y, sensitive_features)"
        raise InputTypeError(sentence(_WHERE, must, type(other).__name__))
    if kind != "class":
        raise DataError(sentence(_WHERE, "label shift needs classes as y", f"{kind} as target"))
    frame, second = table_and_groups(other[0], other[2] if len(other) == 3 else None, group_columns)
    if list(second.columns) != list(groups.columns):
        must = "both tables must have the same group columns"
        raise DataError(sentence(_WHERE, must, f"{list(groups.columns)} and {list(second.columns)}"))
    labels = pd.Series(np.ravel(np.asarray(other[1]))).infer_objects().astype(object)
    told = levels_of(labels.rename("y"), where=_WHERE)
    unknown = [name for name in told.labels if name not in classes]
    if unknown or len(labels) != len(frame):
        must = "other must have one of the classes of y in every row"
        raise DataError(sentence(_WHERE, must, offenders(unknown) if unknown else f"{len(labels)} labels"))
    return frame, second, np.array([classes.index(name) for name in told.labels])[told.codes]
