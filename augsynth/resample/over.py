"""More rows of the cells that have too few, from any generator."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from imblearn.over_sampling.base import BaseOverSampler
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from augsynth.core import arrays
from augsynth.core.errors import ParameterError, sentence
from augsynth.core.random import keyed_rng, resolve_seed
from augsynth.encode.schema import Schema
from augsynth.generate.base import BaseGenerator
from augsynth.resample.base import ResamplerMixin, Rows
from augsynth.resample.cells import Cells
from augsynth.resample.enlarge import Enlarged, bin_of_part, enlarge, split_target, with_target
from augsynth.resample.strategy import Strategy, allocate, wanted_totals

__all__ = ["OverSampler"]


class OverSampler(ResamplerMixin, BaseOverSampler):
    """Balance classes, groups or both with new rows from any generator.

    The real rows come first, in order and unchanged; new rows follow, cell by cell.
    Containers, dtypes, column order and names come back as they went in, with the
    index numbered from 0. For use as a step of ``augsynth.make_pipeline``, or within
    ``Resampled`` in a plain scikit-learn Pipeline; never at predict time.

    Parameters
    ----------
    generator : generator, or FrozenEstimator of a fitted one
        What makes the rows. It is cloned and fitted on all rows; one wrapped in
        ``sklearn.frozen.FrozenEstimator`` is used as it is.
    sampling_strategy : str, float, mapping or callable, default="auto"
        Which cells grow, and to what total; see :func:`augsynth.target_counts`.
    by : {"class", "group", "class+group", "target_bins"}, default="class"
        What is balanced. With groups, each class grows with its mix of groups kept, and
        each group with its mix of classes (largest remainders round up).
        ``"target_bins"`` balances ranges of a continuous target: copied and perturbed
        rows keep the target of their parent; otherwise the target is one more column
        of the table that the generator learns, clipped to its bin.
    group_columns : sequence, default=()
        Columns of X that hold the groups, instead of ``sensitive_features``; new rows
        have exactly the wanted value there.
    random_state : None, int or Generator
        Drives the fit and the draws; a generator's own ``random_state`` wins if set.

    Attributes
    ----------
    generator_ : generator
        The fitted clone (the given one, if frozen).
    target_counts_ : Series
        Total of every cell afterwards.
    sampling_strategy_ : dict
        Rows to add to each growing cell (imbalanced-learn's meaning).
    provenance_ : DataFrame
        One row an output row: kind (real, copied, perturbed, interpolated, generated),
        source and source_2 (index labels of the parents in X), generator, seed, and
        pooled (rows of a larger cell served for this one).
    sample_weight_ : ndarray or None
        Copied, perturbed and interpolated rows carry their parents' mean weight,
        generated ones the mean of their cell.
    sensitive_features_ : object or None
        The groups of all rows, as given.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    Counts are rows, not weights. ``sample_weight`` reaches the fit of a generator that
    learns a distribution; one that copies or interpolates draws its parents evenly, as
    their weights travel with the copies and must not count twice. Arrays are filled
    block by block: beyond input and output, memory is what the generator keeps.

    Examples
    --------
    >>> import numpy as np
    >>> from augsynth.generate.bootstrap import BootstrapGenerator
    >>> X, y = np.array([[1.0], [2.0], [3.0], [9.0]]), [0, 0, 0, 1]
    >>> sampler = OverSampler(BootstrapGenerator(), random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> X_new.ravel().tolist(), y_new
    ([1.0, 2.0, 3.0, 9.0, 9.0, 9.0], [0, 0, 0, 1, 1, 1])
    >>> sampler.provenance_["source"].tolist()
    [0, 1, 2, 3, 3, 3]
    """

    def __init__(
        self,
        generator: Any,
        *,
        sampling_strategy: Strategy = "auto",
        by: str = "class",
        group_columns: Sequence[Any] = (),
        random_state: Any = None,
    ):
        self.generator = generator
        self.sampling_strategy = sampling_strategy
        self.by = by
        self.group_columns = group_columns
        self.random_state = random_state

    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Check the input and count; resampling is :meth:`fit_resample`, which names the parameters."""
        generator = self._inner()
        rows = self._read(X, y, **params, by=self.by)
        where = type(self).__name__
        if arrays.is_table(X):
            frame, container = arrays.take_in(X, where=where)
            if generator._encodes or container.dtype == object:
                generator._check_missing(Schema.infer(frame, generator.schema, where=where), where)
        self._plan(rows)
        return self

    def fit_resample(
        self, X: Any, y: Any, *, sensitive_features: Any = None, sample_weight: Any = None
    ) -> tuple[Any, Any]:
        """Fit the generator, and add rows until the cells have their wanted totals.

        Parameters
        ----------
        X : DataFrame, ndarray, list or tensor, (n, p)
            Training rows (any shape for generators that copy or edit rows as given).
        y : array-like, (n,)
            Labels, or a one-vs-all indicator; numbers with ``by="target_bins"``.
        sensitive_features : array-like, optional
            The group of each row. The generator is conditioned on it.
        sample_weight : array-like, (n,), optional
            Weights; see ``sample_weight_``.

        Returns
        -------
        X, y : as given, with the new rows after the real ones

        Raises
        ------
        DataError, ParameterError, ConditionError
            One sentence each.
        """
        generator = self._inner()
        rows = self._read(X, y, sensitive_features, sample_weight, by=self.by)
        parts, added = self._plan(rows)
        seed = resolve_seed(self.random_state)
        joint = self.by == "target_bins" and generator._encodes
        self.generator_ = self._fit_generator(generator, rows, parts, joint, seed)
        codes = np.repeat(np.arange(len(parts)), added)
        own = self.generator_.random_state
        draw_seed = resolve_seed(own) if own is not None else resolve_seed(keyed_rng(seed, 1))
        cells = self._generator_cells(rows, parts, draw_seed)[codes]
        made = enlarge(
            rows.X if not joint else with_target(rows),
            self.generator_.iter_drawn(cells, random_state=draw_seed),
            cells,
            where=type(self).__name__,
        )
        if self._is_frozen:
            made.source = None  # positions among other rows than these
        y_new = None
        if self.by == "target_bins":
            made.X, y_new = split_target(rows, made, parts, codes, joint=joint, where=type(self).__name__)
        return self._finish(rows, made, parts, codes, y_new, draw_seed)

    @property
    def _is_frozen(self) -> bool:
        return isinstance(self.generator, FrozenEstimator)

    def _inner(self) -> BaseGenerator:
        generator = self.generator.estimator if self._is_frozen else self.generator
        where = type(self).__name__
        if not isinstance(generator, BaseGenerator):
            todo = "Pass one such as SmoteGenerator(), an object and not its class."
            raise ParameterError(
                sentence(where, "generator must be an augsynth generator", repr(generator), todo)
            )
        if self._is_frozen:
            check_is_fitted(generator, "condition_")
            if self.by == "target_bins":
                todo = "Pass the generator itself, to be fitted on X and y together."
                raise ParameterError(
                    sentence(where, "by='target_bins' needs a generator to fit", "a frozen one", todo)
                )
        return generator

    def _plan(self, rows: Rows) -> tuple[Cells, np.ndarray]:
        """Set the counts; return the finest cells and the rows to add to each."""
        where = type(self).__name__
        cells, parts = rows.cells(self.by, where), rows.parts(self.by, where)
        totals = wanted_totals(cells, self.sampling_strategy, direction="over", where=where)
        keys, counts = cells.index.tolist(), cells.counts
        self.sampling_strategy_ = OrderedDict((keys[i], int(totals[i] - counts[i])) for i in sorted(totals))
        counts[list(totals)] = list(totals.values())
        self.target_counts_ = pd.Series(counts, index=cells.index, name="rows")
        return parts, allocate(cells, parts, totals) - parts.counts

    def _fit_generator(
        self, generator: BaseGenerator, rows: Rows, parts: Cells, joint: bool, seed: int
    ) -> BaseGenerator:
        if self._is_frozen:
            validate_data(generator, X=rows.X, skip_check_array=True, reset=False)
            return generator
        fitted = clone(generator)
        unset = {
            name: int(resolve_seed(keyed_rng(seed, 0, i)))
            for i, (name, value) in enumerate(sorted(fitted.get_params().items()))
            if name.rpartition("__")[2] == "random_state" and value is None
        }
        fitted.set_params(**unset)
        weights = rows.weights if _learns_weights(generator) else None
        table = with_target(rows) if joint else rows.X
        labels: Any = _condition_labels(rows, parts, self.by)
        if not isinstance(rows.y, (pd.Series, pd.DataFrame)) and not isinstance(
            labels.dtype, pd.CategoricalDtype
        ):
            labels = labels.to_numpy()  # a function of the user sees arrays if arrays were given
        groups = rows.groups if rows.sensitive_features is None else rows.sensitive_features
        return fitted.fit(table, labels, sensitive_features=groups, sample_weight=weights)

    def _generator_cells(self, rows: Rows, parts: Cells, seed: int) -> np.ndarray:
        """Return the generator's own code of each part."""
        first = parts.first_rows
        labels = _condition_labels(rows, parts, self.by).iloc[first]
        groups = None if rows.groups is None else rows.groups.iloc[first]
        return self.generator_.condition_.encode(
            labels.reset_index(drop=True),
            None if groups is None else groups.reset_index(drop=True),
            rng=keyed_rng(seed, 4),
            where=type(self).__name__,
        )

    def _finish(
        self, rows: Rows, made: Enlarged, parts: Cells, codes: np.ndarray, y_new: np.ndarray | None, seed: int
    ) -> tuple[Any, Any]:
        generator = self.generator_
        positions = np.concatenate([np.arange(rows.n), parts.first_rows[codes]])
        self.provenance_ = made.passport(rows.index, parts, codes, generator, seed)
        even = not _learns_weights(generator)  # parents drawn by their weights must not hand them on too
        self.sample_weight_ = made.weights(rows.weights, parts, codes, of_parents=even)
        self.sensitive_features_ = self._give_groups(rows, positions)
        return made.X, made.labels(rows.y, positions, rows.n, y_new)

    def __sklearn_tags__(self) -> Any:
        """Follow the generator in what X may hold."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        if hasattr(self.generator, "__sklearn_tags__"):
            inner = get_tags(self.generator).input_tags
            tags.input_tags.allow_nan = inner.allow_nan
            tags.input_tags.string = inner.string
            tags.input_tags.categorical = inner.categorical
        return tags


def _learns_weights(generator: BaseGenerator) -> bool:
    """Whether the weights of the rows go into what is drawn, rather than along with copies of the rows."""
    return generator._kind == "generated"


def _condition_labels(rows: Rows, parts: Cells, by: str) -> pd.Series:
    """Return the label that the generator is conditioned on, one a row."""
    if by == "target_bins":
        return pd.Series(bin_of_part(parts)[parts.codes])
    labels = rows.labels
    # Many numeric labels would be taken for a continuous target and binned.
    return labels.astype("category") if labels.nunique() > 100 else labels
