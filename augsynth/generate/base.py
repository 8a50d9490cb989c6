"""The one protocol of generators: fit, sample, and where exact log_prob and complete."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from augsynth.core import arrays, persistence
from augsynth.core.errors import DataError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import ItemKeys, keyed_rng, resolve_seed
from augsynth.encode.condition import ConditionCodec, columns_in_both, weigh_every_cell
from augsynth.encode.dataset import is_dataset, read_dataset
from augsynth.encode.image import ImageCodec, ImageLayout, is_image
from augsynth.encode.schema import Schema
from augsynth.encode.table import TableCodec
from augsynth.generate.completion import Completion, middle, reweighted, row_keys
from augsynth.generate.drawn import Drawn, Labelled

__all__ = [
    "BLOCK_ROWS",
    "BaseGenerator",
    "Completion",
    "Drawn",
    "Labelled",
    "middle",
    "reweighted",
    "row_keys",
]

BLOCK_ROWS = 4096  # noise is keyed by (seed, block); chunks are whole blocks
_CHUNK_BLOCKS = 16


def _has(hook: str) -> Any:
    return available_if(lambda self: hasattr(self, hook))


class BaseGenerator(BaseEstimator, ABC):
    """A conditional distribution of rows that can be learned and drawn from.

    Subclasses write the hooks ``_fit(z, c, w, rng)`` and ``_sample(c, rng)``, and
    where it is exact or a stated bound ``_log_prob(z, c, rng)``, where it is
    principled ``_complete(z, observed, c, keys)``, whose noise is keyed by row, and the
    means and modes of the same cells, ``_expect(z, observed, c, keys)``. ``z`` (n, p) float64 holds numbers
    in data units, level codes, NaN where missing; ``c`` (n,) int32 holds cells of
    ``condition_``; ``layout_`` says what the columns of ``z`` are. Columns with one
    value in every row never reach a hook; weights that do leave no cell without any.

    Attributes
    ----------
    codec_ : TableCodec or ImageCodec
        Rows to ``z`` and back (none for generators that see rows as given).
    layout_ : Layout or ImageLayout
        The columns of ``z``, or the size of its images.
    condition_ : ConditionCodec
        Labels and groups to cells and back.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only when ``X`` had text names.
    """

    _encodes: ClassVar[bool] = True
    _kind: ClassVar[str] = "generated"
    _allows_missing: ClassVar[bool] = True
    _takes_images: ClassVar[bool] = False
    _takes_unlabelled: ClassVar[bool] = False
    refits_quickly: ClassVar[bool] = False  # fast enough to be fitted again for every imputation
    missing_is_a_value: ClassVar[bool] = False  # missing cells are learned as one value more of their column
    random_state: Any = None
    schema: Any = None
    codec_: Any
    layout_: Any

    def fit(
        self, X: Any, y: Any = None, *, sensitive_features: Any = None, sample_weight: Any = None
    ) -> Self:
        """Learn the rows of each class and group.

        Parameters
        ----------
        X : DataFrame, ndarray, list or tensor, shape (n, p); or images
            Training rows, and training rows only. Deep generators take images too: arrays
            (n, h, w) or (n, h, w, c), tensors (n, c, h, w), a map-style Dataset of them
            (torchvision's ImageFolder, say), whose labels are taken if ``y`` is not given.
        y : array-like, shape (n,), optional
            Labels to condition on; continuous ones are cut into bins. Deep generators
            learn from rows whose label is missing too.
        sensitive_features : array, Series or DataFrame, shape (n,) or (n, k), optional
            Groups to condition on. A column that is also in ``X`` (same name, same
            values) comes back in new rows with exactly the asked value.
        sample_weight : array-like, shape (n,), optional
            Non-negative weights.

        Returns
        -------
        self

        Raises
        ------
        DataError, InputTypeError
            One sentence, for rows that cannot be used.
        """
        where = type(self).__name__
        if is_dataset(X):
            found = read_dataset(X, where=where)
            X, y = found.images, found.labels if y is None else y
        X = arrays.as_rows(X, where=where)
        n = arrays.count_rows(X)
        weights = arrays.check_weights(sample_weight, n, where)
        rng = keyed_rng(resolve_seed(self.random_state))
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            delattr(self, name)  # an earlier fit's network or pool is not this one's
        if self._encodes and self._takes_images and is_image(X):
            z = self._take_training_images(X, where)
        elif self._encodes:
            z = self._take_training_table(X, sensitive_features, where)
        else:
            z = X
            self._take_training_rows(X, sensitive_features, where)
        self.condition_ = ConditionCodec().fit(
            y, sensitive_features, weights=weights, n=n, unlabelled=self._takes_unlabelled, where=where
        )
        self.n_rows_ = n
        c = self.condition_.pop_codes()
        if self._encodes and len(self.layout_) == 0:
            return self  # nothing varies: decoding alone makes the rows
        self._fit(z, c, None if weights is None else weigh_every_cell(weights, c), rng)
        return self

    def sample(
        self, n: int | None = None, *, y: Any = None, sensitive_features: Any = None, random_state: Any = None
    ) -> Any:
        """Draw new rows, of exactly the asked labels and groups.

        Parameters
        ----------
        n : int, optional
            Number of rows; not needed when ``y`` or ``sensitive_features`` has a length.
        y : array-like (n,) or scalar, optional
            Wanted labels; not given, they are drawn at the fitted frequencies.
        sensitive_features : array-like, optional
            Wanted groups; not given, they are drawn at the frequencies of the label.
        random_state : None, int or Generator
            None falls back to the generator's own, then to fresh entropy.

        Returns
        -------
        X : the container of ``fit``, shape (n, p)
            The same dtypes and columns. Same seed, same rows, whatever the chunks.

        Raises
        ------
        ConditionError
            For a label, group or combination that ``fit`` never saw.
        """
        seed = self._seed(random_state)
        return self.draw(self._cells(n, y, sensitive_features, seed), random_state=seed).rows

    def sample_labelled(self, n: int, *, random_state: Any = None) -> Labelled:
        """Draw rows with labels and groups at the fitted frequencies.

        Returns
        -------
        Labelled
            A named tuple ``(X, y, sensitive_features)``.
        """
        seed = self._seed(random_state)
        c = self._cells(n, None, None, seed)
        y, groups = self.condition_.decode(c, keyed_rng(seed, 1))
        return Labelled(self.draw(c, random_state=seed).rows, y, groups)

    def iter_drawn(self, c: np.ndarray, *, random_state: Any = None) -> Iterator[Drawn]:
        """Yield the rows of cells ``c`` in chunks of whole blocks, for consumers short of memory."""
        check_is_fitted(self, "condition_")
        seed = self._seed(random_state)
        step = BLOCK_ROWS * _CHUNK_BLOCKS
        for start in range(0, len(c), step):
            drawn = [
                self._block(c, begin, seed) for begin in range(start, min(start + step, len(c)), BLOCK_ROWS)
            ]
            yield self._give(drawn, c[start : start + step])

    def draw(self, c: np.ndarray, *, random_state: Any = None) -> Drawn:
        """Return the rows of cells ``c`` (n,) at once, with their parents; for consumers."""
        check_is_fitted(self, "condition_")
        seed = self._seed(random_state)
        begins = range(0, max(len(c), 1), BLOCK_ROWS)
        return self._give([self._block(c, begin, seed) for begin in begins], c)

    def _block(self, c: np.ndarray, begin: int, seed: int) -> Drawn:
        part = c[begin : begin + BLOCK_ROWS]
        if self._encodes and len(self.layout_) == 0:
            return Drawn(np.empty((len(part), 0)))
        if len(part) == 0:
            return self._empty()
        made = self._sample(part, keyed_rng(seed, 0, begin // BLOCK_ROWS))
        return made if isinstance(made, Drawn) else Drawn(made)

    def _empty(self) -> Drawn:
        if self._encodes:
            if isinstance(self.layout_, ImageLayout):
                return Drawn(np.empty((0, *self.layout_.shape), dtype=self.layout_.dtype))
            return Drawn(np.empty((0, len(self.layout_))))
        return Drawn(arrays.take_rows(self.rows_, np.zeros(0, dtype=np.intp)))

    def _give(self, drawn: list[Drawn], c: np.ndarray) -> Drawn:
        sources = [d.source for d in drawn if d.source is not None]
        source = np.concatenate(sources) if sources else None
        if not self._encodes:
            return Drawn(arrays.concat_rows([d.rows for d in drawn]), source, c)
        z = drawn[0].rows if len(drawn) == 1 else np.concatenate([d.rows for d in drawn])
        return Drawn(self._decode(z, c), source, c)

    def _decode(self, z: np.ndarray, c: np.ndarray) -> Any:
        if isinstance(self.layout_, ImageLayout):
            return self.codec_.decode(z)
        if self.container_.kind != "frame":
            array = self.codec_.decode_array(z, self.container_.dtype)
            if array is not None:
                return self.container_.wrap(array)
        return self.container_.give_back(self.codec_.decode(z, self._given(c)))

    def _given(self, c: np.ndarray) -> pd.DataFrame | None:
        """Return the values (n, k) of the columns of X that are conditioned on."""
        return self.condition_.groups_of(c) if self.given_ else None

    @_has("_log_prob")
    def log_prob(
        self, X: Any, y: Any = None, *, sensitive_features: Any = None, random_state: Any = None
    ) -> np.ndarray:
        """Return the log-density of rows given their label and group.

        Parameters
        ----------
        X, y, sensitive_features
            As in ``fit``; a generator fitted with labels needs them here.
        random_state : None, int or Generator
            Used only where the density is a Monte Carlo bound.

        Returns
        -------
        ndarray, (n,)
            Nats, in data units: densities of numeric columns, probabilities of
            categorical ones. Minus infinity where a constant column differs, or a
            group column of ``X`` from the group that is asked about.
        """
        frame, z, c, rng = self._take_query(X, y, sensitive_features, random_state, "log_prob")
        if frame is None:
            return self._log_prob(z, c, rng)  # type: ignore[attr-defined]
        density = self._log_prob(z, c, rng) if len(self.layout_) else np.zeros(len(z))  # type: ignore[attr-defined]
        return np.where(self.codec_.off_support(frame, self._given(c)), -np.inf, density)

    @_has("_complete")
    def complete(
        self, X: Any, y: Any = None, *, sensitive_features: Any = None, random_state: Any = None
    ) -> Any:
        """Return the rows with their missing cells drawn given the observed ones.

        Parameters
        ----------
        X, y, sensitive_features
            As in ``fit``; observed cells stay as they are.
        random_state : None, int or Generator
            Another seed, another draw. The noise of a row is keyed by its position.
        """
        seed = self._seed(random_state)
        rows = Completion(self, X, y, sensitive_features, seed=seed, verb="complete")
        return rows.table(rows.draw(row_keys(seed, len(rows.z))))

    @_has("_complete")
    def iter_completed(
        self, X: Any, keys: Iterable[ItemKeys], y: Any = None, *, sensitive_features: Any = None
    ) -> Iterator[Any]:
        """Yield the rows completed once for each of some ``keys`` (n,), encoding them once; for consumers.

        All noise of a row comes from its key: it is filled alike whatever rows are beside it.
        """
        rows = Completion(self, X, y, sensitive_features, seed=0, verb="iter_completed")
        for each in keys:
            yield rows.table(rows.draw(each))

    @_has("_expect")
    def expect(self, X: Any, y: Any = None, *, sensitive_features: Any = None) -> Any:
        """Return the rows with each missing cell at its mean (numbers) or mode (categories) given the others.

        As ``complete``; means of whole numbers are not rounded in a column of a float dtype.
        """
        rows = Completion(self, X, y, sensitive_features, seed=0, verb="expect")
        return rows.table(rows.expect(row_keys(0, len(rows.z))), means=True)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted generator to one safetensors file; ``augsynth.load`` reads it.

        Raises
        ------
        ModelFileError
            If a part cannot be stored without pickle.
        """
        check_is_fitted(self, "condition_")
        persistence.save(self, path)

    @abstractmethod
    def _fit(self, z: Any, c: np.ndarray, w: np.ndarray | None, rng: np.random.Generator) -> None: ...

    @abstractmethod
    def _sample(self, c: np.ndarray, rng: np.random.Generator) -> Any: ...

    def _take_training_table(self, X: Any, sensitive_features: Any, where: str) -> np.ndarray:
        frame, self.container_ = arrays.take_in(X, where=where)
        validate_data(self, X=X, skip_check_array=True)
        schema = Schema.infer(frame, self.schema, where=where)
        self._check_missing(schema, where)
        self.given_ = columns_in_both(frame, sensitive_features)
        self.codec_ = TableCodec().fit(frame, schema, given=self.given_)
        self.layout_ = self.codec_.layout
        return self.codec_.encode(frame, where)

    def _take_training_images(self, X: Any, where: str) -> np.ndarray:
        self.given_ = []
        self.codec_ = ImageCodec().fit(X, where)
        self.layout_ = self.codec_.layout
        self.n_features_in_ = len(self.layout_)
        return self.codec_.encode(X, where)

    def _take_training_rows(self, X: Any, sensitive_features: Any, where: str) -> None:
        self.given_ = []
        if arrays.is_table(X):
            frame, container = arrays.take_in(X, where=where)
            if container.dtype == object:
                Schema.infer(frame, where=where)  # names what is neither text nor number
            self.given_ = columns_in_both(frame, sensitive_features)
        if arrays.count_rows(X) == 0:
            raise DataError(f"{where}: Found array with 0 sample(s) while a minimum of 1 is required.")
        if arrays.has_columns(X):
            validate_data(self, X=X, skip_check_array=True)

    def _check_missing(self, schema: Schema, where: str) -> None:
        if self._allows_missing:
            return
        holes = [c.name for c in schema if c.missing]
        if holes:
            must, given = "X must have no missing cells (NaN)", f"NaN in column {offenders(holes)}"
            todo = "Impute them first, or use TreeGenerator, which takes them as they are."
            raise DataError(sentence(where, must, given, todo))

    def _take_query(
        self, X: Any, y: Any, sensitive_features: Any, random_state: Any, verb: str
    ) -> tuple[pd.DataFrame | None, np.ndarray, np.ndarray, np.random.Generator]:
        """Return the table (None for images), the coded rows, their cells and the noise to use."""
        check_is_fitted(self, "condition_")
        where = f"{type(self).__name__}.{verb}"
        if self.condition_.has_y and y is None:
            raise DataError(sentence(where, "y must be given, as in fit", "none"))
        seed, frame = self._seed(random_state), None
        if isinstance(self.layout_, ImageLayout):
            z = self.codec_.encode(X, where)
        else:
            frame, _ = arrays.take_in(X, where=where)
            validate_data(self, X=X, skip_check_array=True, reset=False)
            frame = frame.set_axis(
                self.codec_.columns, axis=1
            )  # an array may be asked about a DataFrame's model
            if sensitive_features is None and self.given_:
                sensitive_features = frame[self.given_]
            z = self.codec_.encode(frame, where)
        c = self.condition_.encode(y, sensitive_features, n=len(z), rng=keyed_rng(seed, 3), where=where)
        return frame, z, c, keyed_rng(seed, 2)

    def _cells(self, n: int | None, y: Any, sensitive_features: Any, seed: int) -> np.ndarray:
        check_is_fitted(self, "condition_")
        where = f"{type(self).__name__}.sample"
        if n is not None:
            check_number(where, "n", n, low=0, integer=True)
        if n is None and (y is None or np.ndim(y) == 0) and sensitive_features is None:
            raise ParameterError(
                sentence(where, "n or an array y must say how many rows", f"n=None, y={y!r}")
            )
        if n == 0 or (y is not None and np.ndim(y) and len(y) == 0):
            return np.zeros(0, dtype=np.int32)
        return self.condition_.encode(y, sensitive_features, n=n, rng=keyed_rng(seed, 4), where=where)

    def _seed(self, random_state: Any) -> int:
        return resolve_seed(self.random_state if random_state is None else random_state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._allows_missing
        tags.input_tags.sparse = False
        tags.input_tags.categorical = True
        tags.target_tags.required = False
        return tags
