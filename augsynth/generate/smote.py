"""New rows between a real row and one of its nearest neighbours of the same class."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from augsynth.core.errors import AugsynthWarning
from augsynth.core.parameters import check_number, check_option
from augsynth.encode.distance import MixedDistance
from augsynth.encode.neighbors import NeighborIndex
from augsynth.generate.base import BaseGenerator, Drawn

__all__ = ["SmoteGenerator"]


@dataclass(eq=False)
class _Family:
    """The rows of one cell, and among whom their partners are looked up."""

    parents: np.ndarray  # (n,) positions of the cell's own rows
    pool: np.ndarray  # (m,) positions of the rows that may be partners
    place: np.ndarray  # (n,) where each parent lies in the pool
    index: NeighborIndex
    chances: np.ndarray | None  # (n,) running sum of the parents' chances; None if equal
    partners: np.ndarray  # (n, k) positions in the pool, valid where known
    known: np.ndarray  # (n,) bool

    def draw_parents(self, n: int, rng: np.random.Generator) -> np.ndarray:
        u = rng.random(n)
        if self.chances is None:
            return (u * len(self.parents)).astype(np.intp)
        found = np.searchsorted(self.chances, u * self.chances[-1], side="right")
        return np.minimum(found, len(self.parents) - 1)

    def partners_of(self, which: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Return the nearest k rows, (n, k) positions in the pool; each parent is looked up once."""
        missing = np.unique(which[~self.known[which]])
        if len(missing):
            place = self.place[missing]
            rows, k = z[self.parents[missing]], self.partners.shape[1]
            self.partners[missing] = self.index.query(rows, k, exclude=place)[1]
            self.known[missing] = True
        return self.partners[which]


class SmoteGenerator(BaseGenerator):
    """Draw rows on the segment between a real row and a near row of its class (SMOTE).

    A parent is drawn from the wanted cell (class x group), and a partner from the
    parent's nearest rows in that cell. Numbers lie on the segment between the two, at
    one uniform position a row; every category is the most frequent one among the
    parent's nearest rows. Tables of numbers, of categories, and of both are served
    alike, with any number of classes.

    Parameters
    ----------
    k_neighbors : int, default=5
        How many nearest rows may be partners, and vote for categories.
    selection : {"regular", "borderline", "adasyn"}
        Which rows become parents: all alike; those in danger (at least half, but not
        all, of their nearest rows of any class belong to other classes); or all, in
        proportion to the share of other classes among these nearest rows.
    n_neighbors : int, optional
        Number of nearest rows of any class for that share; by default 10 for
        "borderline" and `k_neighbors` for "adasyn".
    standardize : bool, default=True
        Measure numeric columns in standard deviations of the cell; otherwise in data
        units, as in the paper: then columns with large numbers decide alone.
    schema : Schema, mapping or None
        Kinds of the columns where they should not be inferred.
    random_state : None, int or Generator
        Seed of ``sample`` when the call gives none.

    Attributes
    ----------
    z_ : ndarray (n, p)
        The encoded training rows: a saved generator contains them, so it is no
        protection of privacy. An array of float64 is referred to, not copied.
    cells_ : ndarray (n,)
        Their cells.
    pool_ : PoolMap
        Whose rows serve a thin cell.

    Notes
    -----
    *Distance.* See :class:`augsynth.encode.distance.MixedDistance`: a category that
    differs costs the median standard deviation of the numeric columns (1 in a table of
    categories), a missing cell leaves its column out and rescales the rest.

    *Categories.* The `k_neighbors` nearest rows vote, a missing cell being one more
    value; on a draw the parent's own value wins if it is among the best, else one of
    them at random. Ordinal columns vote too. *Missing numbers.* A cell is interpolated
    where parent and partner are observed, else it is the parent's, missing or not.
    Whole-number columns are rounded when decoded.

    *Thin cells.* A cell of `k_neighbors` rows or fewer keeps its own rows as parents and
    looks for partners among all rows of its class (ThinCellWarning); a class as thin
    uses the rows it has, and a class of one row is copied.

    *Weights.* ``sample_weight`` multiplies the chance of a row to become a parent.

    *Provenance.* ``source`` holds parent and partner; the partner is -1 where it plays no
    part (copies, tables without numbers).

    *Cost.* Fit takes no time; neighbours are found for the parents that are drawn, once,
    exactly, at about 1 ns a pair of rows of the cell; "borderline" and "adasyn" compare
    a cell with the whole table at its first draw. Neighbour lists do not depend on
    threads or block sizes.

    Deviation: regular and borderline parents are drawn at random rather than in turn;
    "borderline" is Borderline-SMOTE1, and falls back to all rows, with a warning, if
    none is in danger; "adasyn" keeps its chances but draws at random instead of
    rounding counts, and falls back likewise if no row has a neighbour of another
    class; tables of categories use the number of differing columns, not the value
    difference metric, and only the neighbours vote.

    References
    ----------
    Chawla, Bowyer, Hall, Kegelmeyer (2002), SMOTE (and SMOTE-NC), JAIR 16,
    doi:10.1613/jair.953. Han, Wang, Mao (2005), Borderline-SMOTE,
    doi:10.1007/11538059_91. He, Bai, Garcia, Li (2008), ADASYN,
    doi:10.1109/IJCNN.2008.4633969.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [9.0, 5.0], [8.0, 5.0]])
    >>> smote = SmoteGenerator(k_neighbors=1, random_state=0).fit(X, [0, 0, 0, 1, 1])
    >>> new = smote.sample(y=[0, 1, 1])
    >>> bool(new[0, 0] == new[0, 1]), new[1:, 1].tolist()
    (True, [5.0, 5.0])
    """

    _kind = "interpolated"

    def __init__(
        self,
        *,
        k_neighbors: int = 5,
        selection: str = "regular",
        n_neighbors: int | None = None,
        standardize: bool = True,
        schema: Any = None,
        random_state: Any = None,
    ):
        self.k_neighbors = k_neighbors
        self.selection = selection
        self.n_neighbors = n_neighbors
        self.standardize = standardize
        self.schema = schema
        self.random_state = random_state

    def _fit(self, z: np.ndarray, c: np.ndarray, w: np.ndarray | None, rng: np.random.Generator) -> None:
        where = type(self).__name__
        check_number(where, "k_neighbors", self.k_neighbors, low=1, integer=True)
        check_option(where, "selection", self.selection, ("regular", "borderline", "adasyn"))
        check_option(where, "standardize", self.standardize, (True, False))
        if self.n_neighbors is not None:
            check_number(where, "n_neighbors", self.n_neighbors, low=1, integer=True)
        self.z_, self.cells_, self.row_weights_ = z, c, w
        self.pool_ = self.condition_.pool(self.k_neighbors + 1, where=where)
        self._families: dict[int, _Family] = {}

    def _sample(self, c: np.ndarray, rng: np.random.Generator) -> Drawn:
        if (c == c[0]).all():
            return Drawn(*self._draw(self._family(int(c[0])), len(c), rng))
        rows = np.empty((len(c), len(self.layout_)))
        source = np.full((len(c), 2), -1, dtype=np.int32)
        for cell in np.unique(c):
            asked = np.flatnonzero(c == cell)
            rows[asked], source[asked] = self._draw(self._family(int(cell)), len(asked), rng)
        return Drawn(rows, source)

    def _draw(self, family: _Family, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        which = family.draw_parents(n, rng)
        parent = family.parents[which]
        rows = self.z_.take(parent, axis=0)
        source = np.stack([parent, np.full(n, -1)], axis=1).astype(np.int32)
        k = family.partners.shape[1]
        if k == 0:
            return rows, source
        near = family.pool[family.partners_of(which, self.z_)]
        partner = near[np.arange(n), (rng.random(n) * k).astype(np.intp)]
        step = rng.random((n, 1))
        numeric, categorical = self.layout_.numeric, self.layout_.categorical
        if len(numeric):
            source[:, 1] = partner
        if not len(categorical):
            return _between(rows, self.z_, partner, step), source
        numbers = _between(rows, self.z_, partner, step)
        rows[:, numeric] = numbers[:, numeric]
        for j in categorical:
            rows[:, j] = _vote(self.z_[near, j], rows[:, j], rng)
        return rows, source

    def _family(self, cell: int) -> _Family:
        """Return the rows that serve a cell; made at its first draw, and not saved."""
        if not hasattr(self, "_families"):  # loaded or copied
            self._families = {}
        if cell not in self._families:
            self._families[cell] = self._make_family(cell)
        return self._families[cell]

    def _make_family(self, cell: int) -> _Family:
        parents = np.flatnonzero(self.cells_ == cell)
        members = self.pool_.members(cell)
        pool = parents if len(members) == 1 else np.flatnonzero(np.isin(self.cells_, members))
        rows = self.z_[pool]
        distance = MixedDistance.fit(rows, self.layout_, standardize=self.standardize)
        k = min(self.k_neighbors, len(pool) - 1)
        return _Family(
            parents=parents,
            pool=pool,
            place=np.searchsorted(pool, parents),
            index=NeighborIndex(rows, distance),
            chances=self._chances(cell, parents, distance.penalty),
            partners=np.empty((len(parents), k), dtype=np.int32),
            known=np.zeros(len(parents), dtype=bool),
        )

    def _chances(self, cell: int, parents: np.ndarray, penalty: float) -> np.ndarray | None:
        """Running sum of each parent's chance to be drawn; None if all are alike."""
        chance = np.ones(len(parents)) if self.row_weights_ is None else self.row_weights_[parents]
        if self.selection != "regular":
            picked = chance * self._hardness(cell, parents, penalty)
            if picked.any():
                chance = picked
            else:
                why = "is in danger" if self.selection == "borderline" else "has a neighbour of another class"
                warnings.warn(
                    f"{type(self).__name__}: no row of {self.condition_.names[cell]!r} {why}, "
                    "so all its rows are parents alike.",
                    AugsynthWarning,
                    stacklevel=2,
                )
        return None if (chance == chance[0]).all() else np.cumsum(chance)

    def _hardness(self, cell: int, parents: np.ndarray, penalty: float) -> np.ndarray:
        """Chance factor of each parent by its nearest rows of any class."""
        default = 10 if self.selection == "borderline" else self.k_neighbors
        m = min(self.n_neighbors or default, len(self.z_) - 1)
        if m == 0:
            return np.zeros(len(parents))
        distance = MixedDistance.fit(self.z_, self.layout_, standardize=self.standardize, penalty=penalty)
        near = NeighborIndex(self.z_, distance).query(self.z_[parents], m, exclude=parents)[1]
        class_of_row = self.condition_.class_of_cell[self.cells_]
        others = (class_of_row[near] != self.condition_.class_of_cell[cell]).sum(axis=1)
        if self.selection == "borderline":
            return ((2 * others >= m) & (others < m)).astype(np.float64)
        return others / m

    def __getstate__(self) -> dict[str, Any]:
        """Leave the neighbour lists out of pickles and copies: they are found again when needed."""
        state = dict(super().__getstate__())
        state.pop("_families", None)
        return state


def _between(a: np.ndarray, z: np.ndarray, partner: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Points on the segments from `a` to rows of `z`; `a` where either is missing."""
    new = z.take(partner, axis=0)
    new -= a
    new *= step
    new += a
    if np.isnan(new.sum()):
        missing = np.isnan(new)
        new[missing] = a[missing]
    return new


def _vote(near: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Most frequent value of each row of `near` (n, k), NaN too; ties to `own` (n,), else at random."""
    values = np.where(np.isnan(near), -1.0, near)
    own = np.where(np.isnan(own), -1.0, own)
    score = (values[:, :, None] == values[:, None, :]).sum(axis=2) + 0.5 * (values == own[:, None])
    score += 0.25 * rng.random(near.shape)
    best = np.take_along_axis(values, score.argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(best < 0, np.nan, best)
