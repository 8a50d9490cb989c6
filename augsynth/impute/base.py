"""The one protocol of imputers: fit, transform to the point completion, impute at random."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from augsynth.core import arrays, persistence
from augsynth.core.errors import AugsynthWarning, DataError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import ItemKeys, keyed_rng, resolve_seed
from augsynth.encode.column import Column
from augsynth.encode.layout import Layout
from augsynth.encode.schema import Schema
from augsynth.encode.table import TableCodec, block_of
from augsynth.impute.cells import (
    draw_keys,
    hide_unseen,
    put_in,
    refuse_other_kinds,
    refuse_target_in,
    target_column,
)
from augsynth.impute.self_check import errors_on_masked, warn_if_no_better

__all__ = ["BaseImputer"]

_BLOCK_ROWS = 1 << 15  # rows that transform codes and fills at once: memory does not grow with the table


class BaseImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator, ABC):
    """What fills missing cells, as a scikit-learn transformer and as a source of random completions.

    Subclasses write ``_fit(z, rng)``, ``_point(z)`` and ``_draw(z, keys, rng)``. ``z``
    (n, p) float64 holds numbers in data units, level codes, NaN where missing;
    ``layout_`` says what its columns are. Under ``use_target`` the target is the last
    of them. Hooks get only rows with something to fill.

    Attributes
    ----------
    codec_ : TableCodec
        Tables to ``z`` and back.
    layout_ : Layout
        The columns of ``z``.
    has_target_ : bool
        Whether the last column of ``z`` is the target.
    missing_columns_ : list
        The columns with missing cells in fit.
    self_check_ : DataFrame
        Error on seen cells that were hidden, column by column, beside that of the column's
        mean or most frequent value. Optimistic where the imputer learned from those cells;
        `augsynth.check.imputation` measures on cells that it never saw.
    n_features_in_, feature_names_in_
        As in scikit-learn.
    """

    use_target: bool = False
    add_indicator: bool = False
    schema: Any = None
    random_state: Any = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from training rows, and from training rows only.

        Parameters
        ----------
        X : DataFrame, ndarray, list or tensor, shape (n, p)
            Rows with or without missing cells (NaN, None, NA).
        y : array-like, (n,), optional
            The target: learned from only under ``use_target=True``.

        Raises
        ------
        DataError, InputTypeError
            One sentence, for rows that cannot be used.
        LeakError
            Where ``X`` holds the target.
        """
        self._forget()
        try:
            self._learn(X, y, type(self).__name__)
        except BaseException:
            self._forget()  # half a fit is none
            raise
        return self

    def _forget(self) -> None:
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            if name not in ("n_features_in_", "feature_names_in_"):
                delattr(self, name)

    def _learn(self, X: Any, y: Any, where: str) -> None:
        frame, _ = arrays.take_in(X, where=where)
        validate_data(self, X=X, skip_check_array=True)
        schema = Schema.infer(frame, self.schema, where=where)
        self.codec_ = TableCodec().fit(frame, schema)
        self.missing_columns_ = [c.name for c in schema if c.missing]
        self._warn_of_empty(schema, where)
        self._refuse_taken_names(where)
        self.target_: Column | None = self._learn_target(frame, y, where)
        blocks = self.codec_.layout.blocks + (() if self.target_ is None else (block_of(self.target_),))
        self.layout_ = Layout(blocks)
        self.has_target_ = self.target_ is not None
        rng = keyed_rng(resolve_seed(self.random_state), 6)
        z = self._encode(frame, y, where)
        self._check_parameters(where)
        self.self_check_ = pd.DataFrame(columns=["name", "kind", "n", "error", "baseline"])
        if len(self.layout_) and not np.isnan(z).all():
            self._fit(z, rng)
            self.self_check_ = self._errors(z, rng)
            if self.missing_columns_:
                warn_if_no_better(self.self_check_, where)

    def transform(self, X: Any) -> Any:
        """Return the rows with each missing cell at its conditional mean or most probable category.

        A row's result depends on that row alone. Observed cells, dtypes and index stay.

        Parameters
        ----------
        X : as in fit, shape (n, p)

        Returns
        -------
        X : the container of ``X``, shape (n, p) or (n, p + number of indicators)
            Lists come back as arrays. A column that had no observed cell in fit keeps
            its holes. Integer columns of a float dtype get means that are not whole.
        """
        filled = self._fill(X, None, f"{type(self).__name__}.transform")
        return self._with_indicators(X, filled) if self.add_indicator else filled

    def fill(self, X: Any, y: Any = None) -> Any:
        """Return what `transform` does, without indicators and told the labels.

        Parameters
        ----------
        X : as in fit, shape (n, p)
        y : array-like, (n,), optional
            Under ``use_target=True``; without it, the target counts as missing.
        """
        return self._fill(X, y, f"{type(self).__name__}.fill")

    def _fill(self, X: Any, y: Any, where: str) -> Any:
        frame, container = self._take(X, y, where)
        parts: dict[Any, list[np.ndarray]] = {name: [] for name in self.codec_.names}
        for begin in range(0, len(frame), _BLOCK_ROWS):
            rows = slice(begin, begin + _BLOCK_ROWS)
            z = self._encode(frame.iloc[rows], None if y is None else _rows_of(y, rows), where)
            open_ = self._open_rows(z)
            if open_.any():
                z[open_] = self._filled(z[open_], self._point(z[open_]), where)
            for j, name in enumerate(self.codec_.names):
                parts[name].append(z[frame[name].iloc[rows].isna().to_numpy(), j])
        return self._give(X, frame, container, parts, whole=False)

    def impute(self, X: Any, m: int = 5, *, y: Any = None, random_state: Any = None) -> list[Any]:
        """Draw the missing cells at random, m times: multiple imputation.

        Parameters
        ----------
        X : as in fit, shape (n, p)
        m : int, default=5
            How many completions. The first ones do not depend on how many follow.
        y : array-like, (n,), optional
            Under ``use_target=True``.
        random_state : None, int or Generator
            None falls back to the imputer's own, then to fresh entropy.

        Returns
        -------
        list of m completed tables, in the container of ``X``
            Noise is keyed by what a row holds: a row's draws do not depend on the others,
            equal rows apart, which get draws of their own. `augsynth.impute.pooling.pool`
            pools what is estimated from each.
        """
        return list(self.iter_imputed(X, m, y=y, random_state=random_state))

    def iter_imputed(self, X: Any, m: int = 5, *, y: Any = None, random_state: Any = None) -> Iterator[Any]:
        """Yield what `impute` lists, one completion at a time, for large tables."""
        where = f"{type(self).__name__}.impute"
        check_number(where, "m", m, low=1, integer=True)
        frame, container = self._take(X, y, where)  # here, so that bad rows are refused at once
        return self._draws(X, frame, container, m, y, random_state)

    def _draws(
        self, X: Any, frame: pd.DataFrame, container: arrays.Container, m: int, y: Any, random_state: Any
    ) -> Iterator[Any]:
        where = f"{type(self).__name__}.impute"
        seed = resolve_seed(self.random_state if random_state is None else random_state)
        z = self._encode(frame, y, where)
        open_ = self._open_rows(z)
        own = z[open_][:, : len(self.codec_.names)]
        key = draw_keys(own, seed, 0)
        for k in range(m):
            made = z.copy()
            if open_.any():
                keys = ItemKeys(seed, key.epoch, key.record, k)
                made[open_] = self._filled(z[open_], self._draw(z[open_], keys, keyed_rng(seed, 7, k)), where)
            parts = {
                name: [made[frame[name].isna().to_numpy(), j]] for j, name in enumerate(self.codec_.names)
            }
            yield self._give(X, frame, container, parts, whole=True)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns, then those of the indicators (``missingindicator_<column>``)."""
        names = super().get_feature_names_out(input_features)
        if not self.add_indicator:
            return names
        position = {name: j for j, name in enumerate(self.codec_.columns)}
        extra = [f"missingindicator_{names[position[name]]}" for name in self.missing_columns_]
        return np.concatenate([names, np.array(extra, dtype=object)])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted imputer to one safetensors file; `augsynth.load` reads it.

        What is loaded fills and draws the same cells, to the last bit where the libraries
        are the same. The file holds training rows wherever filling needs them (donors, chains).

        Parameters
        ----------
        path : path
            Usually ``something.safetensors``. Written whole or not at all.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ModelFileError
            If a part cannot be stored without pickle, such as a Generator as random_state.
        """
        check_is_fitted(self, "codec_")
        persistence.save(self, path)

    def _state(self) -> dict[str, Any]:
        """Return what fit has left behind, private attributes of subclasses too."""
        left_out = {*self.get_params(deep=False), "_metadata_request"}
        return {name: value for name, value in vars(self).items() if name not in left_out}

    # Hooks --------------------------------------------------------------------------

    def _check_parameters(self, where: str) -> None:
        """Raise ParameterError for constructor parameters that make no sense."""

    @abstractmethod
    def _fit(self, z: np.ndarray, rng: np.random.Generator) -> None: ...

    @abstractmethod
    def _point(self, z: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def _draw(self, z: np.ndarray, keys: ItemKeys, rng: np.random.Generator) -> np.ndarray: ...

    def _errors(self, z: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
        return errors_on_masked(z, self.layout_, self._point, rng)

    # In and out ---------------------------------------------------------------------

    def _take(self, X: Any, y: Any, where: str) -> tuple[pd.DataFrame, arrays.Container]:
        check_is_fitted(self, "codec_")
        if y is not None and not self.use_target:
            must = "y is only of use where the target was learned"
            raise ParameterError(sentence(where, must, "y", "Fit with use_target=True and y."))
        frame, container = arrays.take_in(X, where=where)
        validate_data(self, X=X, skip_check_array=True, reset=False)
        frame = frame.set_axis(self.codec_.columns, axis=1)
        if y is not None:
            target_column(y, len(frame), where)
        refuse_other_kinds(frame, self.codec_.schema, where)
        return hide_unseen(frame, self.codec_.schema, where), container

    def _encode(self, frame: pd.DataFrame, y: Any, where: str) -> np.ndarray:
        """Return coded rows (n, p) that are ours to write on."""
        z = np.empty((len(frame), len(self.layout_)))
        z[:, : len(self.codec_.names)] = self.codec_.encode(frame, where)
        if self.has_target_ and self.target_ is not None:
            known = y is not None
            z[:, -1] = self.target_.encode(target_column(y, len(frame), where), where) if known else np.nan
        return z

    def _open_rows(self, z: np.ndarray) -> np.ndarray:
        """Return which rows have a cell to fill (n,); the target's does not count."""
        return np.isnan(z[:, : len(self.codec_.names)]).any(axis=1)

    def _filled(self, z: np.ndarray, made: np.ndarray, where: str) -> np.ndarray:
        whole = np.where(np.isnan(z), made, z)
        for j, block in enumerate(self.layout_):
            if block.is_numeric and block.low == block.high:  # a constant with holes; no model is that exact
                whole[np.isnan(z[:, j]), j] = block.low
        left = np.flatnonzero(np.isnan(whole[:, : len(self.codec_.names)]).any(axis=0))
        if len(left):
            names = [self.codec_.names[j] for j in left]
            must = "every missing cell of a column with observed cells must be filled"
            raise DataError(sentence(where, must, f"holes left in column {offenders(names)}"))
        return whole

    def _give(
        self,
        X: Any,
        frame: pd.DataFrame,
        container: arrays.Container,
        parts: dict[Any, list[np.ndarray]],
        *,
        whole: bool,
    ) -> Any:
        given = X if isinstance(X, pd.DataFrame) else frame  # with the categories that fit has not seen
        done = given.set_axis(self.codec_.columns, axis=1).copy(deep=False)
        if container.sparse:
            done = done.astype(
                {c: d.subtype for c, d in done.dtypes.items() if isinstance(d, pd.SparseDtype)}
            )
        for column in self.codec_.schema:
            holes = done[column.name].isna().to_numpy()
            if not holes.any():
                continue
            if column.name in parts:
                at = frame[column.name].isna().to_numpy()  # holes, and hidden unseen categories
                cells = np.concatenate(parts[column.name])[holes[at]]
            elif np.isnan(column.low):
                continue  # nothing was ever seen of it
            else:
                cells = np.full(int(holes.sum()), column.low)
            done[column.name] = put_in(done[column.name], holes, column, cells, whole=whole)
        if isinstance(X, pd.DataFrame):
            return container.give_back(done.set_axis(X.columns, axis=1))
        if container.kind == "list":
            return done.to_numpy()
        return container.give_back(done)

    def _with_indicators(self, X: Any, filled: Any) -> Any:
        frame = arrays.take_in(X, where=type(self).__name__)[0].set_axis(self.codec_.columns, axis=1)
        flags = frame[self.missing_columns_].isna()
        if isinstance(filled, pd.DataFrame):
            names = self.get_feature_names_out(filled.columns)[len(self.codec_.columns) :]
            return pd.concat([filled, flags.set_axis(names, axis=1)], axis=1)
        columns = flags.to_numpy(dtype=np.float64)
        if isinstance(filled, np.ndarray):
            return np.hstack([filled, columns.astype(filled.dtype)])
        import torch

        return torch.cat([filled, torch.from_numpy(columns).to(filled.dtype)], dim=1)

    def _learn_target(self, frame: pd.DataFrame, y: Any, where: str) -> Column | None:
        if y is not None:
            refuse_target_in(frame, y, where, values=self.use_target)
        if not self.use_target:
            return None
        if y is None:
            must = "use_target=True needs the target"
            raise DataError(sentence(where, must, "y=None", "Call fit(X, y), or say use_target=False."))
        column = next(iter(Schema.infer(target_column(y, len(frame), where).to_frame(), where=where)))
        if np.isnan(column.low):
            raise DataError(sentence(where, "y must have a value in some row", "none"))
        return None if column.is_constant else column

    def _refuse_taken_names(self, where: str) -> None:
        taken = [f"missingindicator_{name}" for name in self.missing_columns_ if self.add_indicator]
        taken = [name for name in taken if name in self.codec_.columns]
        if taken:
            must = "names of indicators must be free"
            raise DataError(sentence(where, must, f"column {offenders(taken)}", "Rename it."))

    def _warn_of_empty(self, schema: Schema, where: str) -> None:
        empty = [c.name for c in schema if np.isnan(c.low)]
        if empty:
            warnings.warn(
                f"{where}: no cell of column {offenders(empty)} is observed, so its holes stay. "
                "Drop the column, or fill it with a constant of your choice.",
                AugsynthWarning,
                stacklevel=4,
            )

    def __sklearn_tags__(self) -> Any:
        """Missing cells, text and categories may come in; sparse matrices may not."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = False
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _rows_of(y: Any, rows: slice) -> Any:
    return y.iloc[rows] if isinstance(y, (pd.Series, pd.DataFrame)) else y[rows]
