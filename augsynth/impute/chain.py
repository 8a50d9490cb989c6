"""Chained equations: rounds over the columns, each predicted from all others, to a point or at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from augsynth.core.random import ItemKeys, keyed_rng, resolve_seed
from augsynth.encode.layout import Layout
from augsynth.impute.column_model import ColumnModel, CompletedRows, Design
from augsynth.impute.self_check import column_starts

__all__ = ["Chain", "is_monotone"]

Maker = Callable[[], ColumnModel]
Recorder = Callable[[int, int, np.ndarray], None]
_SETTLED = (
    0.02  # standard deviations (or share of levels) that a round's cells move at most when it is the last
)


class Chain:
    """The chained equations of some training rows.

    Parameters
    ----------
    z : ndarray (n, p)
        Encoded training rows; NaN = missing; every column has an observed cell.
    layout : Layout
    makers : sequence of functions
        One a column; each returns a new, unfitted `ColumnModel` of it.

    Attributes
    ----------
    order : ndarray (p,) of int
        The columns by ascending number of missing cells, the order of visits.
    n_complete : int
        How many of them, at the start of the order, miss no cell.
    n_iter : int
        Rounds that `fit` ran.
    models : list of ColumnModel
        The point models of the last round, of every column.
    monotone : bool
        Whether each row misses just the last columns of the order: then one pass, each
        column drawn given the columns before it, is exact.

    References
    ----------
    Van Buuren and Groothuis-Oudshoorn, "mice: Multivariate imputation by chained
    equations in R", Journal of Statistical Software 45(3), 2011,
    doi:10.18637/jss.v045.i03.
    """

    def __init__(self, z: np.ndarray, layout: Layout, makers: Sequence[Maker]):
        self.z, self.layout, self.makers = z, layout, makers
        self.holes = np.isnan(z)
        counts = self.holes.sum(axis=0)
        self.order = np.argsort(counts, kind="stable")
        self.n_complete = int((counts == 0).sum())
        self.design = Design(z, layout)
        self.starts = column_starts(z, layout)
        self.monotone = is_monotone(self.holes[:, self.order])
        self.n_iter = 0
        self.models: list[ColumnModel] = []
        self._sorted = [np.sort(z[~self.holes[:, j], j]) for j in range(len(layout))]

    # ---- the point chain

    def fit(self, rng: np.random.Generator, n_rounds: int) -> Chain:
        """Fit the point models: at most ``n_rounds`` rounds, fewer once the cells settle."""
        seed = resolve_seed(rng)
        state = self._started(self.z)
        models: dict[int, ColumnModel] = {}
        before = np.inf
        incomplete = self.order[self.n_complete :]
        for step in range(n_rounds if len(incomplete) else 0):
            moved = [self._visit(state, j, models, keyed_rng(seed, step, int(j))) for j in incomplete]
            self.n_iter = step + 1
            change = max(moved)
            if len(incomplete) == 1 or change <= _SETTLED or change >= before:
                break
            before = change
        for j in self.order[: self.n_complete]:  # they may be missing in other rows
            models[j] = self.makers[j]().fit(
                state.view(j), self.z[:, j], keyed_rng(seed, int(j)), drawn=False
            )
        self.models = [models[j] for j in range(len(self.layout))]
        return self

    def _visit(
        self, state: CompletedRows, j: int, models: dict[int, ColumnModel], rng: np.random.Generator
    ) -> float:
        """Fit column ``j`` anew and fill its holes; return how far they moved."""
        seen, gone = np.flatnonzero(~self.holes[:, j]), np.flatnonzero(self.holes[:, j])
        models[j] = self.makers[j]().fit(state.view(j, seen), self.z[seen, j], rng, drawn=False)
        old, new = state.z[gone, j], self._most_likely(models[j], state, j, gone)
        state.put(j, gone, new)
        if self.layout[j].is_numeric:
            return float(np.sqrt(np.mean(((new - old) / self.design.scales[j]) ** 2)))
        return float(np.mean(new != old))

    @staticmethod
    def _most_likely(model: ColumnModel, state: CompletedRows, j: int, rows: np.ndarray) -> np.ndarray:
        expected = model.expect(state.view(j, rows))
        return expected if expected.ndim == 1 else expected.argmax(axis=1).astype(np.float64)

    def _started(self, z: np.ndarray) -> CompletedRows:
        holes = np.isnan(z)
        return CompletedRows(np.where(holes, self.starts, z), self.design, ~holes)

    def point(self, z: np.ndarray) -> np.ndarray:
        """Return rows (n, p) with every hole filled by the point models; each row on its own."""
        state = self._started(z)
        holes = np.isnan(z)
        several = holes.sum(axis=1) > 1  # a single hole is final after one visit
        for step in range(max(self.n_iter, 1)):
            for j in self.order:
                rows = np.flatnonzero(holes[:, j] if step == 0 else holes[:, j] & several)
                if len(rows):
                    state.put(j, rows, self._most_likely(self.models[j], state, j, rows))
        return state.z

    # ---- random chains

    def draw(
        self,
        z: np.ndarray,
        keys: ItemKeys,
        train_keys: ItemKeys,
        rng: np.random.Generator,
        n_rounds: int,
    ) -> np.ndarray:
        """Return one random completion (n, p) of rows, by a chain of the training rows that they ride on.

        Parameters
        ----------
        z : ndarray (n, p)
        keys, train_keys : ItemKeys
            The noise of these rows, and of the training rows that have holes.
        rng : Generator
            Draws the parameters of the models.
        n_rounds : int
        """
        seed = resolve_seed(rng)
        open_ = np.flatnonzero(self.holes.any(axis=1))
        out = np.empty_like(z)
        fits = np.zeros(len(z), dtype=bool)
        if self.monotone:
            fits = _suffix(np.isnan(z)[:, self.order])
        for nested, rows in ((True, np.flatnonzero(fits)), (False, np.flatnonzero(~fits))):
            if not len(rows):
                continue
            same = z[rows].shape == self.z[open_].shape and np.array_equal(
                z[rows], self.z[open_], equal_nan=True
            )
            riders = z[:0] if same else z[rows]
            rider_keys = train_keys.take(np.arange(0)) if same else keys.take(rows)
            own_keys = keys.take(rows) if same else train_keys
            run = _Run(self, riders, [(open_, own_keys), (np.arange(len(riders)) + len(self.z), rider_keys)])
            run.go(seed, 1 if nested else n_rounds, nested=nested)
            out[rows] = run.state.z[open_] if same else run.state.z[len(self.z) :]
        return out

    def record(
        self, train_keys: ItemKeys, rng: np.random.Generator, n_rounds: int, recorder: Recorder
    ) -> None:
        """Run one chain of the training rows, and hand each visit's round, column and cells on."""
        open_ = np.flatnonzero(self.holes.any(axis=1))
        run = _Run(self, self.z[:0], [(open_, train_keys)])
        run.go(resolve_seed(rng), n_rounds, nested=False, recorder=recorder)


class _Run:
    """One random chain: the training rows, and below them the rows that ride on it."""

    def __init__(self, chain: Chain, riders: np.ndarray, noise: list[tuple[np.ndarray, ItemKeys]]):
        self.chain = chain
        self.noise = noise  # positions with their keys
        z = np.concatenate([chain.z, riders])
        self.holes = np.isnan(z)
        filled = z.copy()
        for j, ranked in enumerate(chain._sorted):  # start: any observed value of the column
            rows, u = self._uniforms(j, 0)
            filled[rows, j] = ranked[np.minimum((u[:, 0] * len(ranked)).astype(np.intp), len(ranked) - 1)]
        self.state = CompletedRows(filled, chain.design, ~self.holes)

    def _uniforms(self, j: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows whose column ``j`` is missing, and their uniform numbers (n, 2) of a round."""
        rows, numbers = [], []
        for positions, keys in self.noise:
            here = np.flatnonzero(self.holes[positions, j])
            rows.append(positions[here])
            numbers.append(keys.take(here).child(step * len(self.chain.layout) + j + 1).uniforms(2))
        return np.concatenate(rows), np.concatenate(numbers)

    def go(self, seed: int, n_rounds: int, *, nested: bool, recorder: Recorder | None = None) -> None:
        """Run the rounds; ``nested``: each column is predicted from those before it alone."""
        chain, n = self.chain, len(self.chain.z)
        visited = [k for k, j in enumerate(chain.order) if self.holes[:, j].any()]
        for step in range(n_rounds):
            for k in visited:
                j = int(chain.order[k])
                rows, u = self._uniforms(j, step + 1)
                among = np.sort(chain.order[:k]) if nested else None
                seen = np.flatnonzero(~self.holes[:n, j])
                rng = keyed_rng(seed, step, j)  # not one stream: riders' holes must not move the others
                model = chain.makers[j]().fit(
                    self.state.view(j, seen, among), chain.z[seen, j], rng, drawn=True
                )
                drawn = model.draw(self.state.view(j, rows, among), u)
                self.state.put(j, rows, drawn)
                if recorder is not None:
                    recorder(step, j, drawn)


def is_monotone(holes: np.ndarray) -> bool:
    """Say whether each row of holes (n, p), the columns in order, misses just its last columns."""
    return bool(_suffix(holes).all())


def _suffix(holes: np.ndarray) -> np.ndarray:
    return ~(holes[:, :-1] & ~holes[:, 1:]).any(axis=1)
