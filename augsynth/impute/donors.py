"""Fill missing cells from the most similar rows that have them: hot-deck imputation."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import ParameterError, ThinCellWarning, offenders, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.core.random import ItemKeys
from augsynth.encode.schema import Schema
from augsynth.impute.base import BaseImputer
from augsynth.impute.donor_draw import drawn
from augsynth.impute.donor_pool import DonorPool
from augsynth.impute.self_check import errors_on_masked

__all__ = ["DonorImputer"]

_CHECK_ROWS = 500


class DonorImputer(BaseImputer):
    """Fill missing cells from similar rows that have them.

    For each column, rows are compared by the columns that tell of it: column k counts by
    the squared share of the column's variance that k explains alone. `transform` gives
    the mean of the nearest donors (weights fall off with the distance), or their most
    frequent category. `impute` gives a row the cells of one donor drawn among its
    nearest, so values are real ones and what belongs together stays together; where
    that donor has a hole too, the next donor drawn steps in.

    Parameters
    ----------
    n_neighbors : int, default=20
        Donors that a cell is taken from.
    within : names of columns of X, default=()
        A donor must agree with the row in these, where the row has them. The name
        ``"target"`` stands for y under ``use_target=True``. A combination with fewer
        than `n_neighbors` donors of a column borrows from all rows; a ThinCellWarning
        names it.
    weights : "learned", "equal", or mapping of column name to number, default="learned"
        "equal": every column counts alike. A mapping multiplies the learned weights
        (1 where not named; 0 keeps a column out of the comparison).
    max_donors : int, default=10_000
        Donors a column (and combination of `within`), at random; the time grows with it.
    use_target : bool, default=False
        Whether y is one more column to compare by: ``fit(X, y)``, then ``fill`` and
        ``impute`` may be told y.
    add_indicator : bool, default=False
        Whether `transform` appends a 0/1 column for each column with holes in fit.
    schema : Schema or mapping, optional
        Kinds of columns, where they cannot be guessed.
    random_state : None, int or Generator
        For the choice of donors in large tables, and `impute`.

    Attributes
    ----------
    pool_ : DonorPool
        The donors, and the weights by which rows are compared.
    groups_ : DataFrame
        Combinations of `within` with their rows and, of the column where it is least,
        their donors.
    within_, group_cells_ : list of int, ndarray (n_groups, len(within))
        Positions of the columns of `within` among the coded ones, and what the groups hold.
    self_check_ : DataFrame
        As for all imputers; no row here is its own donor.

    Notes
    -----
    Time: about 6 microseconds a missing cell and 1,000 donors of 20 columns: 31 CPU-seconds
    for 100,000 rows of 20 with 20 % missing, 5 of them in `fit`. Memory beyond the table:
    the donors twice, and blocks of some 100 MB. Each draw of `impute` takes its donors
    from a bootstrap sample of the pool (Rubin and Schenker 1986), as donors are a sample
    too. A row with several holes is compared by weights averaged over the columns that had
    holes in fit, so that one donor can serve them all: its draws follow each column's best
    predictors less closely than those of a row with one hole do.

    Deviation: donors' own holes are filled from each other first, for comparing only, and
    what such a cell is expected to be off counts as distance. Comparing by the columns that
    both rows have, as is usual, had larger errors at 30 % missing on every table tried.

    References
    ----------
    Andridge and Little (2010), A review of hot deck imputation for survey non-response,
    doi:10.1111/j.1751-5823.2010.00103.x. Rubin and Schenker (1986), Multiple imputation
    for interval estimation from simple random samples with ignorable nonresponse,
    doi:10.1080/01621459.1986.10478280. Troyanskaya et al. (2001), Missing value
    estimation methods for DNA microarrays, doi:10.1093/bioinformatics/17.6.520.

    Examples
    --------
    >>> table = pd.DataFrame({"size": [1.0, 1.1, 3.0, 3.1, None], "kind": ["a", "a", "b", "b", "b"]})
    >>> DonorImputer(2, random_state=0).fit_transform(table)["size"].round(2).tolist()
    [1.0, 1.1, 3.0, 3.1, 3.05]
    >>> [t["size"].iloc[4].item() for t in DonorImputer(2, random_state=0).fit(table).impute(table, 3)]
    [3.1, 3.0, 3.0]
    """

    def __init__(
        self,
        n_neighbors: int = 20,
        *,
        within: Sequence[Hashable] = (),
        weights: str | Mapping[Any, float] = "learned",
        max_donors: int = 10_000,
        use_target: bool = False,
        add_indicator: bool = False,
        schema: Schema | Mapping[Any, str] | None = None,
        random_state: Any = None,
    ):
        self.n_neighbors = n_neighbors
        self.within = within
        self.weights = weights
        self.max_donors = max_donors
        self.use_target = use_target
        self.add_indicator = add_indicator
        self.schema = schema
        self.random_state = random_state

    def _check_parameters(self, where: str) -> None:
        check_number(where, "n_neighbors", self.n_neighbors, low=1, integer=True)
        check_number(where, "max_donors", self.max_donors, low=self.n_neighbors, integer=True)
        if isinstance(self.within, (str, bytes)) or not isinstance(self.within, Iterable):
            todo = "Use () for none." if self.within is None else f"Use ({self.within!r},)."
            must = "within must be a sequence of column names"
            raise ParameterError(sentence(where, must, repr(self.within), todo))
        self._refuse_unknown("within", list(self.within), where)
        if not isinstance(self.weights, Mapping):
            check_option(where, "weights", self.weights, ("learned", "equal"))
            return
        self._refuse_unknown("weights", list(self.weights), where)
        for name, value in self.weights.items():
            check_number(where, f"weights[{name!r}]", value, low=0.0)

    def _refuse_unknown(self, parameter: str, names: list[Any], where: str) -> None:
        known = [*self.codec_.columns, *(["target"] if self.use_target else [])]
        unknown = [name for name in names if name not in known]
        if unknown:
            must = f"{parameter} must name columns of X" + (' or "target"' if self.use_target else "")
            raise ParameterError(
                sentence(where, must, offenders(unknown), f"There are {offenders(known, 8)}.")
            )

    def _fit(self, z: np.ndarray, rng: np.random.Generator) -> None:
        names = [*self.codec_.names, *(["target"] if self.has_target_ else [])]
        # Columns that do not vary are not in z: all rows agree in them.
        self.within_ = [names.index(name) for name in self.within if name in names]
        z = z[rng.permutation(len(z))]
        z = z[~np.isnan(z).all(axis=1)]
        group, counts = np.full(len(z), -1), np.zeros(0, dtype=np.intp)
        self.group_cells_: np.ndarray = np.empty((0, len(self.within_)))
        if self.within_:
            whole = ~np.isnan(z[:, self.within_]).any(axis=1)
            part = z[np.ix_(whole, self.within_)]
            self.group_cells_, group[whole], counts = np.unique(
                part, axis=0, return_inverse=True, return_counts=True
            )
        factors = np.ones(len(names))
        if isinstance(self.weights, Mapping):
            factors = np.array([float(self.weights.get(name, 1.0)) for name in names])
        self.pool_ = DonorPool.fit(
            z,
            self.layout_,
            group,
            n_neighbors=self.n_neighbors,
            max_donors=self.max_donors,
            factors=factors,
            learned=self.weights != "equal",
        )
        self._name_groups(z, group, counts)

    def _name_groups(self, z: np.ndarray, group: np.ndarray, counts: np.ndarray) -> None:
        """Tabulate the combinations of `within`, and warn of those that must borrow."""
        schema = {c.name: c for c in self.codec_.schema}
        names = [*self.codec_.names, "target"]
        columns = {}
        for i, j in enumerate(self.within_):
            column = schema.get(names[j], self.target_)
            columns[names[j]] = column.decode(self.group_cells_[:, i])  # type: ignore[union-attr]
        self.groups_ = pd.DataFrame(columns)
        if not len(self.group_cells_):
            return
        seen = pd.DataFrame(~np.isnan(z[group >= 0])).groupby(group[group >= 0]).sum()
        self.groups_["n"] = counts
        # Only columns with holes need donors.
        needy = np.isnan(z).any(axis=0)
        self.groups_["donors"] = seen.loc[:, needy].min(axis=1) if needy.any() else counts
        thin = self.groups_[self.groups_["donors"] < self.n_neighbors]
        if len(thin):
            shown = [
                ", ".join(f"{name}={row[name]!r}" for name in columns) + f" ({row['donors']} donors)"
                for row in thin.to_dict("records")
            ]
            warnings.warn(
                f"DonorImputer: {len(thin)} of {len(self.groups_)} combinations of within have fewer "
                f"than {self.n_neighbors} donors of some column and borrow from all rows there: "
                f"{offenders(shown)}.",
                ThinCellWarning,
                stacklevel=4,
            )

    def _groups_of(self, z: np.ndarray) -> np.ndarray:
        """Return the combination of each row (n,); -1 where a cell of it is missing or it is new."""
        if not self.within_:
            return np.full(len(z), -1)
        known = {row.tobytes(): g for g, row in enumerate(self.group_cells_ + 0.0)}
        cells = np.ascontiguousarray(z[:, self.within_]) + 0.0
        return np.array([known.get(row.tobytes(), -1) for row in cells])

    def _point(self, z: np.ndarray) -> np.ndarray:
        return self.pool_.completed(z, self._groups_of(z))

    def _draw(self, z: np.ndarray, keys: ItemKeys, rng: np.random.Generator) -> np.ndarray:
        return drawn(self.pool_, z, self._groups_of(z), keys, rng)

    def _errors(self, z: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
        pool = self.pool_
        rows = np.sort(rng.permutation(len(pool.z))[:_CHECK_ROWS])
        group = pool.group[rows]
        return errors_on_masked(
            pool.z[rows],
            self.layout_,
            lambda masked: pool.completed(masked, group, exclude=rows),
            rng,
            rows=len(rows),
        )
