"""Labels and groups to cell codes and back: what a row is asked to be."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import ConditionError, DataError, ThinCellWarning, offenders, sentence
from augsynth.core.persistence import persistent
from augsynth.encode.attribute import Attribute, give_label, learn_label, sorted_levels, take_label

__all__ = ["ConditionCodec", "PoolMap", "columns_in_both", "group_frame", "group_texts", "weigh_every_cell"]


def group_frame(sensitive_features: Any, *, where: str = "sensitive_features") -> pd.DataFrame | None:
    """Return groups given as array, Series, list or DataFrame as a DataFrame (n, k), or None.

    Columns without a name are called "group_0", "group_1", ...
    """
    if sensitive_features is None:
        return None
    if isinstance(sensitive_features, pd.DataFrame):
        frame = sensitive_features
    elif isinstance(sensitive_features, pd.Series):
        name = "group_0" if sensitive_features.name is None else sensitive_features.name
        frame = sensitive_features.rename(name).to_frame()
    else:
        array = np.asarray(sensitive_features)
        if array.ndim not in (1, 2):
            given = f"{type(sensitive_features).__name__} of shape {array.shape}"
            must = "sensitive_features must hold one group, or one row of groups, a row of X"
            raise DataError(sentence(where, must, given, "Pass a column, such as X['sex']."))
        frame = pd.DataFrame(array.reshape(-1, 1) if array.ndim == 1 else array)
        frame.columns = pd.Index([f"group_{j}" for j in range(frame.shape[1])])
    if not frame.columns.is_unique:
        repeated = frame.columns[frame.columns.duplicated()].unique()
        must = "the columns of sensitive_features must have distinct names"
        raise DataError(sentence(where, must, f"duplicates of {offenders(repeated)}", "Rename them."))
    missing = frame.isna().any(axis=1).to_numpy()
    if missing.any():
        raise DataError(
            sentence(
                where,
                "every row must have a group",
                f"missing in row {offenders(np.flatnonzero(missing).tolist())}",
                "Fill them, for instance with 'unknown'.",
            )
        )
    return frame.reset_index(drop=True)


def group_texts(frame: pd.DataFrame) -> np.ndarray:
    """Return one text a row (n,): the levels of all columns of a `group_frame`.

    Whole numbers read the same whether they come as floats or not.

    Examples
    --------
    >>> group_texts(pd.DataFrame({"sex": ["f", "m"], "age": [1.0, 2.0]})).tolist()
    ['f / 1', 'm / 2']
    """
    texts = []
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place].infer_objects()
        if pd.api.types.is_float_dtype(column) and column.abs().max() < 2**53 and (column % 1 == 0).all():
            column = column.astype("int64")
        texts.append(column.astype(str).to_numpy(dtype=object))
    return np.array([" / ".join(levels) for levels in zip(*texts, strict=True)], dtype=object)


@persistent
@dataclass(frozen=True)
class PoolMap:
    """Which cells' rows serve a cell that is too thin to stand alone.

    Attributes
    ----------
    cells : list of tuple of int
        For each cell, the cells whose rows it uses (itself alone, or all of its class).
    pooled : ndarray of bool, (n_cells,)
    """

    cells: list[tuple[int, ...]]
    pooled: np.ndarray

    def members(self, cell: int) -> tuple[int, ...]:
        """Return the cells whose rows serve ``cell``."""
        return self.cells[cell]


@persistent
class ConditionCodec:
    """``(y, sensitive_features)`` <-> cell codes.

    A cell is one observed combination of a label and groups; without labels and
    groups there is a single cell. Continuous labels are cut into quantile bins.

    Attributes
    ----------
    n_cells : int
    counts, weights : ndarray, (n_cells,)
        Training rows, and the sum of their weights, in each cell.
    attributes : ndarray of int, (n_cells, k)
        Level codes of the label (first, if there is one; -1 where unknown) and of each group column.
    attribute_sizes : ndarray of int, (k,)
    class_of_cell : ndarray of int, (n_cells,)
        Code of the label, -1 in cells of rows whose label is unknown.
    is_labelled : ndarray of bool, (n_cells,)
        False for cells of rows without a label: trained on, never asked for.
    names : list of str
        Each cell in words.
    """

    def fit(
        self,
        y: Any,
        sensitive_features: Any = None,
        *,
        weights: np.ndarray | None = None,
        n: int | None = None,
        unlabelled: bool = False,
        where: str = "fit",
    ) -> ConditionCodec:
        """Learn labels, groups and the cells that occur; ``unlabelled`` allows missing labels."""
        groups = group_frame(sensitive_features, where=where)
        self.has_y = y is not None
        self.group_names = [] if groups is None else list(groups.columns)
        self._attributes: list[Attribute] = []
        codes = []
        if y is not None:
            label, self._y_form = take_label(y, where, missing=unlabelled)
            known = label.notna().to_numpy()
            self._attributes.append(learn_label(label[known], where))
            found = np.full(len(label), len(self._attributes[0].levels), dtype=np.intp)  # unknown comes last
            found[known] = self._attributes[0].encode(label[known], where)
            codes.append(found)
        for name in self.group_names:
            column = groups[name]  # type: ignore[index]
            self._attributes.append(Attribute(name, sorted_levels(column)))
            codes.append(self._attributes[-1].encode(column, where))
        self._groups_form = (
            "frame"
            if isinstance(sensitive_features, pd.DataFrame)
            else ("series" if isinstance(sensitive_features, pd.Series) else "array")
        )
        self._group_dtypes = [] if groups is None else [groups[name].dtype for name in self.group_names]
        rows = len(codes[0]) if codes else int(n or 0)
        if n is not None and rows != n:
            raise DataError(sentence(where, "X, y and groups must have as many rows", f"{n} and {rows}"))
        if len({len(c) for c in codes}) > 1:
            given = " and ".join(str(len(c)) for c in codes)
            raise DataError(sentence(where, "y and sensitive_features must have as many rows", given))
        self._learn_cells(np.stack(codes, axis=1) if codes else np.zeros((rows, 0), dtype=np.intp), weights)
        return self

    def _learn_cells(self, codes: np.ndarray, weights: np.ndarray | None) -> None:
        self.attribute_sizes = np.array([len(a.levels) for a in self._attributes], dtype=np.intp)
        if codes.shape[1] == 0:
            self.attributes, self._c = np.zeros((1, 0), dtype=np.intp), np.zeros(len(codes), dtype=np.int32)
        else:
            self.attributes, inverse = _combinations(codes)
            self._c = inverse.astype(np.int32)
        self.n_cells = len(self.attributes)
        unknown = np.zeros(self.n_cells, dtype=bool)
        if self.has_y:
            unknown = self.attributes[:, 0] == self.attribute_sizes[0]
            self.attributes[unknown, 0] = -1
        self.is_labelled = ~unknown
        self.counts = np.bincount(self._c, minlength=self.n_cells)
        self.weights = np.bincount(self._c, weights=weights, minlength=self.n_cells).astype(np.float64)
        self.weights[unknown] = 0.0  # never drawn
        self.class_of_cell = self.attributes[:, 0] if self.has_y else np.zeros(self.n_cells, dtype=np.intp)
        self.names = [self._name(cell) for cell in self.attributes]

    def _name(self, cell: np.ndarray) -> str:
        parts = [
            f"{a.name}={a.levels[code] if code >= 0 else '(unknown)'}"
            for a, code in zip(self._attributes, cell, strict=True)
        ]
        return ", ".join(parts) or "all rows"

    def pop_codes(self) -> np.ndarray:
        """Return the cell codes of the rows given to :meth:`fit`, once (they are not kept)."""
        codes = self._c
        del self._c
        return codes

    @property
    def is_binned(self) -> bool:
        """Whether the label is continuous and was cut into bins."""
        return self.has_y and self._attributes[0].edges is not None

    @property
    def classes(self) -> pd.Index:
        """The labels, in order."""
        return self._attributes[0].levels if self.has_y else pd.Index([])

    def encode(
        self,
        y: Any,
        sensitive_features: Any = None,
        *,
        n: int | None = None,
        rng: np.random.Generator | None = None,
        where: str = "sample",
    ) -> np.ndarray:
        """Return the cell (n,) int32 of each asked row; what is not asked is drawn.

        Raises
        ------
        ConditionError
            For a label, group or combination that fit never saw.
        """
        groups = group_frame(sensitive_features, where=where)
        asked: dict[int, np.ndarray] = {}
        if y is not None:
            if not self.has_y:
                raise ConditionError(
                    f"{where}: the generator was fitted without y; given labels. Fit it with y."
                )
            if np.ndim(y) == 0:
                y = [y] * (n or 1)
            asked[0] = self._attributes[0].encode(take_label(y, where)[0], where)
        if groups is not None:
            for name, attribute in zip(*self._match(groups, where), strict=True):
                asked[attribute] = self._attributes[attribute].encode(groups[name], where)
        lengths = {len(codes) for codes in asked.values()} | ({n} if n is not None else set())
        if len(lengths) > 1:
            raise DataError(
                sentence(where, "n, y and sensitive_features must agree in length", str(sorted(lengths)))
            )
        return self._find_cells(asked, lengths.pop() if lengths else 1, rng, where)

    def _match(self, groups: pd.DataFrame, where: str) -> tuple[list[Any], list[int]]:
        offset = int(self.has_y)
        if len(groups.columns) != len(self.group_names):
            raise ConditionError(
                sentence(
                    where,
                    f"sensitive_features must have the {len(self.group_names)} columns of fit",
                    str(len(groups.columns)),
                )
            )
        if set(groups.columns) == set(self.group_names):
            return list(groups.columns), [offset + self.group_names.index(name) for name in groups.columns]
        return list(groups.columns), [offset + j for j in range(len(self.group_names))]

    def _find_cells(
        self, asked: dict[int, np.ndarray], n: int, rng: np.random.Generator | None, where: str
    ) -> np.ndarray:
        keys = sorted(asked)
        if not keys:
            rng = np.random.default_rng() if rng is None else rng
            every = self._chances(np.arange(self.n_cells))
            return rng.choice(self.n_cells, size=n, p=every).astype(np.int32)
        wanted = np.stack([asked[k] for k in keys], axis=1)
        unique, inverse = _combinations(wanted)
        out = np.empty(n, dtype=np.int32)
        for i, combination in enumerate(unique):
            match = (self.attributes[:, keys] == combination).all(axis=1)
            cells = np.flatnonzero(match & self.is_labelled)
            rows = np.flatnonzero(inverse == i)
            if len(cells) == 0:
                named = ", ".join(
                    f"{self._attributes[k].name}={self._attributes[k].levels[v]}"
                    for k, v in zip(keys, combination, strict=True)
                )
                raise ConditionError(
                    sentence(
                        where,
                        "the combination must occur in the training rows",
                        f"{named} ({len(rows)} rows)",
                        "Ask for an observed one, or collect rows of it.",
                    )
                )
            if len(cells) == 1:
                out[rows] = cells[0]
            else:
                rng = np.random.default_rng() if rng is None else rng
                out[rows] = rng.choice(cells, size=len(rows), p=self._chances(cells))
        return out

    def _chances(self, cells: np.ndarray) -> np.ndarray:
        """Return how likely each of some cells is: by weights, or rows where nothing weighs anything."""
        mass = self.weights[cells]
        if not mass.any():
            mass = np.where(self.is_labelled, self.counts, 0)[cells]
        return mass / mass.sum()

    def decode(self, c: np.ndarray, rng: np.random.Generator | None = None) -> tuple[Any, Any]:
        """Return (y, sensitive_features) of cells in the containers that fit was given; None where absent."""
        codes = self.attributes[c]
        y = None
        if self.has_y:
            values = self._attributes[0].decode(codes[:, 0], rng)
            y = give_label(values, self._y_form)
        if not self.group_names:
            return y, None
        return y, self._give_groups(self.groups_of(c))

    def groups_of(self, c: np.ndarray) -> pd.DataFrame:
        """Return the group columns (n, k) of cells, in their dtypes."""
        codes = self.attributes[c][:, int(self.has_y) :]
        columns = {
            name: self._attributes[int(self.has_y) + j]
            .decode(codes[:, j], None)
            .astype(self._group_dtypes[j])
            for j, name in enumerate(self.group_names)
        }
        return pd.DataFrame(columns)

    def _give_groups(self, groups: pd.DataFrame) -> Any:
        if self._groups_form == "frame":
            return groups
        if self._groups_form == "series":
            return groups.iloc[:, 0]
        array = groups.to_numpy()
        return array[:, 0] if array.shape[1] == 1 else array

    def pool(self, min_rows: int, *, where: str) -> PoolMap:
        """Pool every cell of fewer than ``min_rows`` rows with the other cells of its class.

        A class is never mixed with another. A ThinCellWarning names what was pooled,
        and classes that stay thin.
        """
        cells: list[tuple[int, ...]] = []
        pooled = np.zeros(self.n_cells, dtype=bool)
        thin = []
        for cell in range(self.n_cells):  # the unlabelled ones make up a family of their own
            family = tuple(np.flatnonzero(self.class_of_cell == self.class_of_cell[cell]).tolist())
            pooled[cell] = self.counts[cell] < min_rows and len(family) > 1 and self.is_labelled[cell]
            cells.append(family if pooled[cell] else (cell,))
            if self.is_labelled[cell] and self.counts[list(cells[cell])].sum() < min_rows:
                thin.append(self.names[cell])
        if pooled.any():
            named = [self.names[i] for i in np.flatnonzero(pooled)]
            warnings.warn(
                f"{where}: cells of fewer than {min_rows} rows use all of their class: {offenders(named)}.",
                ThinCellWarning,
                stacklevel=3,
            )
        if thin:
            warnings.warn(
                f"{where}: fewer than {min_rows} rows, so new rows stay close to them: {offenders(thin)}.",
                ThinCellWarning,
                stacklevel=3,
            )
        return PoolMap(cells, pooled)


def _combinations(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows of codes (n, k) >= 0 in lexicographic order, and which one each row is."""
    # np.unique(axis=0) sorts whole rows: twenty times slower than counting.
    key, size = np.zeros(len(codes), dtype=np.int64), 1
    for column in codes.T:
        levels = int(column.max(initial=0)) + 1
        key = key * levels + column
        size *= levels
        if size > 4 * len(codes) + 1024:
            found, key = np.unique(key, return_inverse=True)
            size = len(found)
    first = np.full(size, -1, dtype=np.intp)
    first[key[::-1]] = np.arange(len(codes))[::-1]
    rank = np.cumsum(first >= 0) - 1
    return codes[first[first >= 0]], rank[key]


def columns_in_both(frame: pd.DataFrame, sensitive_features: Any) -> list[Any]:
    """Name the group columns that stay in X: conditioned on, so not learned."""
    if not isinstance(sensitive_features, (pd.DataFrame, pd.Series)):
        return []
    groups = group_frame(sensitive_features)
    if groups is None or len(groups) != len(frame):
        return []
    return [
        name
        for name in groups.columns
        if name in frame.columns
        and (frame[name].astype(object).to_numpy() == groups[name].astype(object).to_numpy()).all()
    ]


def weigh_every_cell(weights: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return weights under which no cell weighs nothing: it may be asked for, so its rows count alike."""
    nothing = np.bincount(c, weights)[c] == 0
    return np.where(nothing, weights.mean(), weights)
