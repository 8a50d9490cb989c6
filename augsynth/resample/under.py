"""Fewer rows of the cells that have too many."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from imblearn.under_sampling.base import BaseUnderSampler

from augsynth.core.random import keyed_rng, resolve_seed
from augsynth.resample.base import ResamplerMixin, Rows
from augsynth.resample.strategy import Strategy, allocate, wanted_totals

__all__ = ["UnderSampler"]


class UnderSampler(ResamplerMixin, BaseUnderSampler):
    """Balance classes, groups or both by leaving rows out at random.

    The kept rows stay in their order. With groups, each class (or group) shrinks with
    its mix of groups (or classes) kept, remainders rounded to the largest.

    Parameters
    ----------
    sampling_strategy : str, float, mapping or callable, default="auto"
        Which cells shrink, and to what total; see :func:`augsynth.target_counts`.
    by : {"class", "group", "class+group", "target_bins"}, default="class"
        What is balanced.
    group_columns : sequence, default=()
        Columns of X that hold the groups, instead of ``sensitive_features``.
    replacement : bool, default=False
        Whether a row of a shrinking cell may be drawn more than once.
    random_state : None, int or Generator

    Attributes
    ----------
    sample_indices_ : ndarray of int
        Positions of the kept rows.
    sampling_strategy_ : dict
        Rows to keep of each shrinking cell (imbalanced-learn's meaning).
    target_counts_ : Series
        Total of every cell.
    provenance_ : DataFrame
        One row an output row: kind, source, source_2, generator, seed, pooled.
    sample_weight_, sensitive_features_ : object or None
        Of the kept rows.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> X, y = UnderSampler(random_state=0).fit_resample(np.arange(6).reshape(-1, 1), [0, 0, 0, 0, 1, 1])
    >>> y
    [0, 0, 1, 1]
    """

    _accepts_sparse = True

    def __init__(
        self,
        *,
        sampling_strategy: Strategy = "auto",
        by: str = "class",
        group_columns: Sequence[Any] = (),
        replacement: bool = False,
        random_state: Any = None,
    ):
        self.sampling_strategy = sampling_strategy
        self.by = by
        self.group_columns = group_columns
        self.replacement = replacement
        self.random_state = random_state

    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Check the input and count; resampling is :meth:`fit_resample`, which names the parameters."""
        self._plan(self._read(X, y, **params, by=self.by))
        return self

    def fit_resample(
        self, X: Any, y: Any, *, sensitive_features: Any = None, sample_weight: Any = None
    ) -> tuple[Any, Any]:
        """Leave rows out until the cells have their wanted totals.

        Parameters
        ----------
        X : DataFrame, ndarray (of any number of dimensions), list, tensor or sparse matrix
            Training rows.
        y : array-like, (n,)
            Labels, or a one-vs-all indicator.
        sensitive_features : array-like, optional
            The group of each row.
        sample_weight : array-like, (n,), optional
            Weights; they go along with their rows and do not change the counts.

        Returns
        -------
        X, y : as given, with fewer rows
        """
        rows = self._read(X, y, sensitive_features, sample_weight, by=self.by)
        parts, wanted, shrinking = self._plan(rows)
        seed = resolve_seed(self.random_state)
        order = np.argsort(parts.codes, kind="stable")
        starts = np.concatenate([[0], np.cumsum(parts.counts)])
        kept = []
        for part in range(len(parts)):
            members = order[starts[part] : starts[part + 1]]
            if shrinking[part] and (self.replacement or wanted[part] < len(members)):
                rng = keyed_rng(seed, part)
                members = rng.choice(members, size=wanted[part], replace=bool(self.replacement))
            kept.append(members)
        return self._keep_rows(rows, np.sort(np.concatenate(kept)), seed)

    def _plan(self, rows: Rows) -> tuple[Any, np.ndarray, np.ndarray]:
        """Set the counts; return the finest cells, their totals and whether they shrink."""
        where = type(self).__name__
        cells, parts = rows.cells(self.by, where), rows.parts(self.by, where)
        totals = wanted_totals(cells, self.sampling_strategy, direction="under", where=where)
        keys = cells.index.tolist()
        self.sampling_strategy_ = OrderedDict((keys[i], totals[i]) for i in sorted(totals))
        counts = cells.counts
        counts[list(totals)] = list(totals.values())
        self.target_counts_ = pd.Series(counts, index=cells.index, name="rows")
        shrinking = np.isin(cells.codes[parts.first_rows], list(totals))
        return parts, allocate(cells, parts, totals), shrinking

    def __sklearn_tags__(self) -> Any:
        """Any rows, sparse ones and missing cells included."""
        tags = super().__sklearn_tags__()
        tags.sampler_tags.sample_indices = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags
