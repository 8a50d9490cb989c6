"""From tables, pictures or clips as users have them to the evidence that checks look at."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import type_of_target

from augsynth.check.evidence import Evidence, Rows
from augsynth.check.overlap import refuse_seen_rows
from augsynth.check.picture_rows import check_pictures, picture_rows, sizes_note
from augsynth.check.preservation.readers import default_view
from augsynth.check.surrogates import spelled_out
from augsynth.check.utility.leak import row_keys
from augsynth.core.arrays import count_rows, is_table, is_text, take_in
from augsynth.core.errors import AugsynthWarning, DataError, InputTypeError, offenders, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import resolve_seed
from augsynth.encode.condition import group_frame, group_texts
from augsynth.encode.image import is_image
from augsynth.encode.layout import Block, Layout
from augsynth.encode.schema import Schema
from augsynth.encode.table import TableCodec

__all__ = ["gather"]

_WHERE = "report"
_MOST_LEVELS = 1000  # a text column with more levels in total is an identifier or free text
_MOST_FEATURES = 48
_GROUPS_OF = {
    "X": "Pass them as sensitive_features=.",
    "X_new": "Pass them as sensitive_features_new=.",
    "holdout": "Pass them as the third element: holdout=(X, y, sensitive_features).",
}


def gather(
    X: Any,
    y: Any,
    X_new: Any,
    y_new: Any,
    *,
    holdout: Sequence[Any] | None = None,
    sensitive_features: Any = None,
    sensitive_features_new: Any = None,
    group_columns: Sequence[Any] = (),
    features: Any = None,
    max_rows: int | None = 10_000,
    random_state: Any = 0,
) -> Evidence:
    """Bring training, new and held-out rows into one form.

    Parameters
    ----------
    X, y : rows and labels that the generator was fitted on; ``y`` may be None
    X_new, y_new : new rows and labels
        An enlarged table, which opens with the rows of ``X`` unchanged, counts without them.
    holdout : (X, y) or (X, y, sensitive_features), optional
        Real rows that nothing was fitted on.
    sensitive_features, sensitive_features_new : array-like or DataFrame, optional
        Groups of ``X`` and of ``X_new``.
    group_columns : names of columns of ``X`` that are the groups, instead
    features : callable, optional
        Turns rows into an array (n, d); the default for pictures, clips and texts are fixed
        features, and tables stand for themselves.
    random_state : None, int, Generator or RandomState, default=0
        Of every draw that the checks make from these rows.

    Raises
    ------
    DataError, InputTypeError
        If the samples do not fit together.
    """
    if max_rows is not None:
        check_number(_WHERE, "max_rows", max_rows, low=10, integer=True)
    group_columns = [group_columns] if isinstance(group_columns, str) else list(group_columns)
    group_columns = spelled_out(group_columns)
    held = _held_out(holdout)
    parts = [(X, y, sensitive_features), (X_new, y_new, sensitive_features_new)] + ([held] if held else [])
    parts = [tuple(map(spelled_out, each)) for each in parts]
    names = ["X", "X_new", "holdout"][: len(parts)]
    flat = hasattr(X, "__len__") and is_table(X)
    tables = [_rows(each[0], name, flat) for each, name in zip(parts, names, strict=True)]
    modality, remarks = _modality(tables, names, features)
    frames, z, layout, left_out = _encoded(tables, names, modality, features)
    lengths = [count_rows(each) for each in tables]
    targets, classes, kind = _targets([each[1] for each in parts], names, lengths)
    groups, group_names = _groups(
        [each[2] for each in parts], frames if modality == "table" else None, group_columns, names, lengths
    )
    rows, cell_names = [], []
    labels = [each.astype(int) if kind == "class" else np.zeros(len(each), dtype=int) for each in targets]
    pairs = np.concatenate([np.column_stack(each) for each in zip(labels, groups, strict=True)])
    found, codes = np.unique(pairs, axis=0, return_inverse=True)
    for label, group in found:
        told = ([classes[label]] if classes else []) + ([group_names[group]] if group_names else [])
        cell_names.append(", ".join(told) or "all")
    cells = np.split(np.ravel(codes), np.cumsum(lengths)[:-1])
    for k, frame in enumerate(frames):
        keys = row_keys(
            z[k] if modality == "table" else frame
        )  # without identifiers: a copy under a new name is one
        keys = np.arange(lengths[k], dtype=np.uint64) + np.uint64(k << 40) if keys is None else keys
        rows.append(Rows(z[k], labels[k], groups[k], cells[k], targets[k], keys, frame))
    made, notes = _without_real(rows[0], rows[1])
    notes = [*notes, *remarks]
    alien = [classes[k] for k in np.setdiff1d(made.labels, rows[0].labels)] if classes else []
    if alien:
        notes = [
            *notes,
            f"No training row is of class {offenders(alien)}: such new rows are not compared.",
        ]
    if held:
        notes = [*notes, *refuse_seen_rows(rows[0], made, rows[2])]
    return Evidence(
        rows[0], made, rows[2] if held else None, layout, classes, group_names, cell_names, kind, modality,
        left_out, max_rows, resolve_seed(random_state), notes,
    )  # fmt: skip


def _held_out(holdout: Any) -> tuple[Any, Any, Any] | None:
    if holdout is None:
        return None
    if not isinstance(holdout, (tuple, list)) or len(holdout) not in (2, 3):
        must = "holdout must be (X, y) or (X, y, sensitive_features) of real rows"
        raise InputTypeError(sentence(_WHERE, must, type(holdout).__name__, "Pass holdout=(X_test, y_test)."))
    return (*holdout, None) if len(holdout) == 2 else tuple(holdout)  # type: ignore[return-value]


def _rows(X: Any, name: str, flat: bool) -> Any:
    if X is None or not hasattr(X, "__len__") and not hasattr(X, "shape"):
        raise InputTypeError(
            sentence(_WHERE, f"{name} must be rows: a table, images, clips or texts", repr(X))
        )
    if not count_rows(X):
        raise DataError(sentence(_WHERE, f"{name} must hold at least one row", "none"))
    if flat:
        return take_in(X, where=f"{_WHERE}: {name}")[0].reset_index(drop=True)
    if hasattr(X, "detach"):
        X = X.detach().cpu().numpy()
    return picture_rows(X)


def _modality(tables: list[Any], names: list[str], features: Any) -> tuple[str, list[str]]:
    """Return what the rows are, the same in all samples, and what is to be said of pictures."""
    if features is not None:
        return "features", []
    kinds = [_kind(each) for each in tables]
    for kind, name in zip(kinds, names, strict=True):
        if kind != kinds[0]:
            must = "all samples must hold the same kind of rows"
            raise DataError(sentence(_WHERE, must, f"{kinds[0]} in X and {kind} in {name}"))
    if kinds[0] != "image":
        return kinds[0], []
    for each, name in zip(tables, names, strict=True):
        check_pictures(each, name, _WHERE)
    return "image", sizes_note(tables)


def _kind(X: Any) -> str:
    if isinstance(X, pd.DataFrame):
        return "table"
    if is_text(X):
        return "text"
    first: Any = next((each for each in X if each is not None), 0)
    return "image" if is_image(X) or hasattr(first, "getbands") or np.ndim(first) > 1 else "audio"


def _encoded(
    tables: list[Any], names: list[str], modality: str, features: Any
) -> tuple[list[Any], list[np.ndarray], Layout, list[str]]:
    if modality != "table":
        z, layout = _featured(tables, names, modality, features)
        return tables, z, layout, []
    frames = _aligned(tables, names)
    whole = pd.concat(frames, ignore_index=True)
    left_out = [name for name in whole if _is_identifier(frames[0][name], whole[name])]
    kept = whole.drop(columns=left_out)
    if not kept.shape[1]:
        raise DataError(sentence(_WHERE, "X must have a column that is no identifier", offenders(left_out)))
    codec = TableCodec().fit(kept, Schema.infer(kept, where=_WHERE))
    encoded = codec.encode(kept, _WHERE)
    layout = codec.layout
    if not encoded.shape[1]:  # constant columns only
        encoded, layout = np.zeros((len(kept), 1)), Layout((Block("constant", low=0.0, high=0.0),))
    ends = np.cumsum([len(frame) for frame in frames])[:-1]
    return (
        frames,
        [np.ascontiguousarray(part, dtype=float) for part in np.split(encoded, ends)],
        layout,
        left_out,
    )


def _is_identifier(real: pd.Series, all_rows: pd.Series) -> bool:
    kind = pd.api.types
    if kind.is_numeric_dtype(all_rows) or kind.is_datetime64_any_dtype(all_rows):
        return False
    distinct = real.astype(str).nunique()
    if distinct > 50 and distinct > 0.9 * real.notna().sum():
        return True
    return bool(all_rows.astype(str).nunique() > _MOST_LEVELS)


def _aligned(frames: list[pd.DataFrame], names: list[str]) -> list[pd.DataFrame]:
    """Return the tables with the columns of the first, in its order."""
    first = list(frames[0].columns)
    for frame, name in zip(frames[1:], names[1:], strict=True):
        absent = [column for column in first if column not in frame.columns]
        extra = [column for column in frame.columns if column not in first]
        if absent or extra:
            told = (f"{name} lacks {offenders(absent)}" if absent else "") + (
                f"{'; ' if absent else ''}{name} also has {offenders(extra)}" if extra else ""
            )
            raise DataError(sentence(_WHERE, "all tables must have the same columns", told))
        for column in first:
            kinds = _family(frames[0][column]), _family(frame[column])
            if kinds[0] != kinds[1] and frames[0][column].notna().any() and frame[column].notna().any():
                must = f"column {column!r} must hold the same kind of values in all tables"
                raise DataError(sentence(_WHERE, must, f"{kinds[0]} in X and {kinds[1]} in {name}"))
    return [frame[first] for frame in frames]


def _family(column: pd.Series) -> str:
    kind = pd.api.types
    if kind.is_numeric_dtype(column) and not kind.is_bool_dtype(column):
        return "numbers"
    return "dates" if kind.is_datetime64_any_dtype(column) else "categories"


def _featured(
    tables: list[Any], names: list[str], modality: str, features: Any
) -> tuple[list[np.ndarray], Layout]:
    from scipy import sparse
    from sklearn.decomposition import PCA

    lengths = [count_rows(each) for each in tables]
    if modality == "text":
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import HashingVectorizer

        words = HashingVectorizer(n_features=2**14, ngram_range=(1, 2))
        made = [words.transform([str(text) for text in each]) for each in tables]
        reduce: Any = TruncatedSVD(min(_MOST_FEATURES, sum(lengths)), random_state=0)
    else:
        view = features or default_view(modality, tables[0], sample_rate=16_000.0).transform
        made = [np.asarray(view(each), dtype=float) for each in tables]
        for each, table, name in zip(made, tables, names, strict=True):
            if each.ndim != 2 or len(each) != count_rows(table) or not np.isfinite(each).all():
                must = "features must give one row of finite numbers for each row"
                raise DataError(sentence(_WHERE, must, f"an array of shape {each.shape} for {name}"))
        reduce = PCA(min(_MOST_FEATURES, made[0].shape[1], sum(lengths)), random_state=0)
    if made[0].shape[1] > _MOST_FEATURES or modality == "text":
        # on all rows alike: directions learned from one sample would tell it from the others
        with np.errstate(invalid="ignore"):  # rows that are all alike have no spread to share out
            reduce.fit(sparse.vstack(made) if modality == "text" else np.vstack(made))
        made = [reduce.transform(each) for each in made]
    whole = np.vstack(made)
    blocks = (
        Block(f"feature {j}", low=whole[:, j].min(), high=whole[:, j].max()) for j in range(whole.shape[1])
    )
    return made, Layout(tuple(blocks))


def _targets(
    targets: list[Any], names: list[str], lengths: list[int]
) -> tuple[list[np.ndarray], list[str], str]:
    """Return the target of each sample as numbers, the names of the classes, and the kind of target."""
    given = [each is not None for each in targets]
    if not any(given):
        return [np.full(n, np.nan) for n in lengths], [], "none"
    if not all(given):
        absent = [name for name, there in zip(names, given, strict=True) if not there]
        raise DataError(
            sentence(
                _WHERE, "labels must be given for all samples or for none", f"none for {offenders(absent)}"
            )
        )
    values = [pd.Series(np.ravel(np.asarray(each))) for each in targets]
    for each, name, n in zip(values, names, lengths, strict=True):
        if len(each) != n:
            raise DataError(
                sentence(_WHERE, f"y must have one label a row of {name} ({n})", f"{len(each)} labels")
            )
        if each.isna().any():
            raise DataError(
                sentence(_WHERE, "every row needs a label", f"{int(each.isna().sum())} missing in {name}")
            )
    first = values[0].infer_objects()
    numeric = pd.api.types.is_numeric_dtype(first) and not pd.api.types.is_bool_dtype(first)
    if numeric:
        values = [_as_numbers(each, name) for each, name in zip(values, names, strict=True)]
    if numeric and (type_of_target(first) == "continuous" or first.nunique() > max(20, 0.2 * len(first))):
        return [each.to_numpy() for each in values], [], "number"
    texts = [each.astype(str) for each in values]
    levels, codes = np.unique(
        np.concatenate([each.to_numpy(dtype=object).astype(str) for each in texts]), return_inverse=True
    )
    names_ = [level.removesuffix(".0") if numeric else str(level) for level in levels]
    if numeric:
        order = np.argsort([float(level) for level in levels], kind="stable")
        rank = np.argsort(order, kind="stable")
        codes, names_ = rank[codes], [names_[k] for k in order]
    return list(np.split(codes.astype(float), np.cumsum(lengths)[:-1])), names_, "class"


def _as_numbers(labels: pd.Series, name: str) -> pd.Series:
    numbers = pd.to_numeric(labels, errors="coerce").astype(float)
    wrong = numbers.isna()
    if wrong.any():
        must = "labels must be numbers in all samples, as they are in X"
        raise DataError(sentence(_WHERE, must, f"{offenders(labels[wrong].tolist())} in {name}"))
    return numbers


def _groups(
    given: list[Any],
    frames: list[pd.DataFrame] | None,
    group_columns: Sequence[Any],
    names: list[str],
    lengths: list[int],
) -> tuple[list[np.ndarray], list[str]]:
    if len(group_columns):
        if frames is None:
            raise DataError(
                sentence(
                    _WHERE, "group_columns needs a table", "rows without columns", "Pass sensitive_features."
                )
            )
        absent = [name for name in group_columns if name not in frames[0].columns]
        if absent:
            raise DataError(sentence(_WHERE, "group_columns must name columns of X", offenders(absent)))
        given = [
            frame[list(group_columns)].astype(object).where(frame[list(group_columns)].notna(), "missing")
            for frame in frames
        ]
    if all(each is None for each in given):
        return [np.zeros(n, dtype=int) for n in lengths], []
    tables = []
    for each, name, n in zip(given, names, lengths, strict=True):
        frame = group_frame(each, where=_WHERE)
        if frame is None or len(frame) != n:
            got = "none" if frame is None else f"{len(frame)} rows"
            todo = _GROUPS_OF[name] if frame is None else ""
            raise DataError(sentence(_WHERE, f"sensitive_features of {name} must have {n} rows", got, todo))
        tables.append(group_texts(frame).astype(str))
    levels, codes = np.unique(np.concatenate(tables), return_inverse=True)
    return list(np.split(codes, np.cumsum(lengths)[:-1])), [str(level) for level in levels]


def _without_real(train: Rows, made: Rows) -> tuple[Rows, list[str]]:
    """Leave out the real rows that open an enlarged table."""
    n = len(train)
    if len(made) < n or (made.keys[:n] != train.keys).any():
        return made, []
    if len(made) == n:
        warnings.warn("report: the new rows are the real rows, unchanged.", AugsynthWarning, stacklevel=4)
        return made, ["The new rows are the training rows, unchanged and in order."]
    return made.take(np.arange(n, len(made))), [
        f"The new table opens with the {n:,} real rows; the other {len(made) - n:,} are checked."
    ]
