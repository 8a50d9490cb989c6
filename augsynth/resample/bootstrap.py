"""The bootstrap: the same table drawn again, by row, by stratum or by cluster."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from imblearn.base import BaseSampler

from augsynth.core import arrays
from augsynth.core.errors import DataError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_option
from augsynth.core.random import keyed_rng, resolve_seed
from augsynth.encode.condition import group_frame
from augsynth.resample.base import ResamplerMixin, Rows, as_container, take
from augsynth.resample.cells import BY, Cells, cells_of
from augsynth.resample.strategy import apportion

__all__ = ["BootstrapResampler"]


class BootstrapResampler(ResamplerMixin, BaseSampler):
    """Draw rows, or whole clusters of rows, with or without replacement.

    Any target goes: classes, numbers, several columns, or none. The rows that were
    never drawn are the out-of-bag rows, good for an honest estimate of error.

    Parameters
    ----------
    n_samples : int or float, optional
        How many rows (clusters, if ``groups`` are given) to draw: a number, or a
        fraction of those there are. None draws as many as there are.
    replacement : bool, default=True
        Whether a row or cluster may be drawn more than once. Without replacement, and
        ``n_samples`` below all, this is subsampling.
    stratify : {"class", "group", "class+group", "target_bins"}, optional
        Draw within each cell, with the share of every cell kept (largest remainders
        round up). With clusters, all rows of a cluster must lie in one cell.
    group_columns : sequence, default=()
        Columns of X that hold the groups, instead of ``sensitive_features``.
    random_state : None, int or Generator

    Attributes
    ----------
    sample_indices_ : ndarray of int
        Positions of the drawn rows, in their original order, cluster by cluster.
    oob_indices_ : ndarray of int
        Positions of the rows that were not drawn.
    groups_ : object or None
        The cluster of each drawn row, as given (a cluster drawn twice keeps its name).
    sampling_strategy_ : dict
        Units (rows or clusters) drawn of each stratum.
    provenance_ : DataFrame
        One row an output row; the first copy of a row is "real", others "copied".
    sample_weight_, sensitive_features_ : object or None
        Of the drawn rows.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    References
    ----------
    Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics,
    1979. https://doi.org/10.1214/aos/1176344552. Field and Welsh, "Bootstrapping
    clustered data", JRSS B, 2007. https://doi.org/10.1111/j.1467-9868.2007.00593.x

    Examples
    --------
    >>> import numpy as np
    >>> sampler = BootstrapResampler(random_state=0)
    >>> X, y = sampler.fit_resample(np.arange(8).reshape(-1, 1), np.linspace(0, 1, 8))
    >>> X.shape, sorted({*sampler.sample_indices_, *sampler.oob_indices_}) == list(range(8))
    ((8, 1), True)
    """

    _sampling_type = "bypass"
    _accepts_sparse = True

    def __init__(
        self,
        *,
        n_samples: int | float | None = None,
        replacement: bool = True,
        stratify: str | None = None,
        group_columns: Sequence[Any] = (),
        random_state: Any = None,
    ):
        self.n_samples = n_samples
        self.replacement = replacement
        self.stratify = stratify
        self.group_columns = group_columns
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Check the input and count; resampling is :meth:`fit_resample`, which names the parameters."""
        groups = as_container(params.pop("groups", None))
        self._plan(self._read(X, y, **params, by=self._by()), groups)
        return self

    def fit_resample(
        self,
        X: Any,
        y: Any = None,
        *,
        groups: Any = None,
        sensitive_features: Any = None,
        sample_weight: Any = None,
    ) -> tuple[Any, Any]:
        """Draw the table again.

        Parameters
        ----------
        X : DataFrame, ndarray (of any number of dimensions), list, tensor or sparse matrix
        y : array-like, optional
            Any target; only ``stratify`` by class looks at it.
        groups : array-like, (n,), optional
            The cluster of each row; clusters are drawn whole.
        sensitive_features : array-like, optional
            Groups to stratify by.
        sample_weight : array-like, (n,), optional
            Weights; they go along with their rows.

        Returns
        -------
        X, y : as given (y is None if it was)
        """
        rows = self._read(X, y, sensitive_features, sample_weight, by=self._by())
        groups = as_container(groups)
        units, strata, sizes = self._plan(rows, groups)
        seed = resolve_seed(self.random_state)
        drawn = []
        for stratum in range(len(strata)):
            members = np.flatnonzero(strata.codes == stratum)
            rng = keyed_rng(seed, stratum)
            drawn.append(rng.choice(members, size=sizes[stratum], replace=bool(self.replacement)))
        chosen = np.sort(np.concatenate(drawn))
        if units is None:
            positions = chosen
        else:
            order = np.argsort(units.codes, kind="stable")
            starts = np.concatenate([[0], np.cumsum(units.counts)])
            pieces = [order[starts[unit] : starts[unit + 1]] for unit in chosen]
            positions = np.concatenate([np.zeros(0, dtype=np.intp), *pieces])
        self.oob_indices_ = np.setdiff1d(np.arange(rows.n), positions)
        self.groups_ = None if groups is None else take(groups, positions)
        return self._keep_rows(rows, positions, seed)

    def _by(self) -> str | None:
        where = type(self).__name__
        if self.stratify is not None:
            check_option(where, "stratify", self.stratify, BY)
        return self.stratify

    def _plan(self, rows: Rows, groups: Any) -> tuple[Cells | None, Cells, np.ndarray]:
        """Return clusters (None: single rows), the stratum of each unit, and units to draw of each."""
        where = type(self).__name__
        units = None if groups is None else _clusters(groups, rows.n, where)
        n_units = rows.n if units is None else len(units)
        if self.stratify is None:
            strata = cells_of(np.zeros(n_units, dtype=int), by="class", where=where)
        else:
            strata = rows.cells(self.stratify, where)
            if units is not None:
                strata = _strata_of_clusters(units, strata, where)
        total = self._n_draws(n_units, "row" if units is None else "cluster", where)
        sizes = apportion(total, strata.counts)
        keys = ["all"] if self.stratify is None else strata.index.tolist()
        self.sampling_strategy_ = OrderedDict(zip(keys, sizes.tolist(), strict=True))
        return units, strata, sizes

    def _n_draws(self, n_units: int, noun: str, where: str) -> int:
        asked = self.n_samples
        if asked is None:
            return n_units
        good = isinstance(asked, Real) and not isinstance(asked, bool) and np.isfinite(asked) and asked > 0
        if not good:
            raise ParameterError(
                sentence(
                    where, "n_samples must be None, a positive number or a positive fraction", repr(asked)
                )
            )
        total = int(asked) if isinstance(asked, Integral) else max(1, round(float(asked) * n_units))
        if not self.replacement and total > n_units:
            raise ParameterError(
                sentence(
                    where,
                    f"without replacement n_samples must be at most the {n_units} {noun}s there are",
                    repr(asked),
                )
            )
        return total

    def __sklearn_tags__(self) -> Any:
        """Any target or none, any rows."""
        tags = super().__sklearn_tags__()
        tags.sampler_tags.sample_indices = True
        tags.target_tags.required = False
        tags.target_tags.multi_output = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _clusters(groups: Any, n: int, where: str) -> Cells:
    if arrays.count_rows(groups) != n:
        given = f"{arrays.count_rows(groups)}"
        raise DataError(sentence(where, f"groups must have one entry a row of X ({n})", given))
    return cells_of(None, group_frame(groups, where=f"{where} groups"), by="group", where=where)


def _strata_of_clusters(units: Cells, strata: Cells, where: str) -> Cells:
    """Return the stratum of each cluster; all of its rows must agree."""
    of_cluster = strata.codes[units.first_rows]
    mixed = np.unique(units.codes[strata.codes != of_cluster[units.codes]])
    if len(mixed):
        raise DataError(
            sentence(
                where,
                "with stratify, all rows of a cluster must lie in one cell",
                f"clusters {offenders(units.index[mixed].tolist())} that span several",
                "Stratify by something constant within clusters, or leave one of the two out.",
            )
        )
    return Cells(of_cluster, strata.index)
