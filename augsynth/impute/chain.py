"""Chained equations: rounds over the columns, each predicted from all others, to a point or at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from augsynth.core.persistence import persistent
from augsynth.core.random import ItemKeys, KeyedGenerator, keyed_rng, resolve_seed
from augsynth.encode.layout import Layout
from augsynth.impute.column_model import ColumnModel, CompletedRows
from augsynth.impute.design import Design
from augsynth.impute.gaussian_fill import GaussianFill
from augsynth.impute.self_check import column_starts

__all__ = ["Chain", "is_monotone"]

Maker = Callable[[], ColumnModel]
Recorder = Callable[[int, int, np.ndarray], None]
_COMPLETED_AT_ONCE = 1 << 15  # rows
_RIDERS = 1 << 17  # rows that ride on a chain at a time
_ROUNDS_A_STREAM = 4  # rounds whose numbers are made at once


@persistent
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
    models : dict
        The point models, by column.
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
        counts = self.holes.sum(axis=0)
        self.order = np.argsort(counts, kind="stable")
        self.n_complete = int((counts == 0).sum())
        self.design = Design(z, layout)
        self.starts = column_starts(z, layout)
        self.monotone = is_monotone(self.holes[:, self.order])

    @cached_property
    def holes(self) -> np.ndarray:
        """Which cells are missing, (n, p)."""
        return np.isnan(self.z)

    @cached_property
    def _sorted(self) -> list[np.ndarray]:
        return [np.sort(self.z[~self.holes[:, j], j]) for j in range(len(self.layout))]

    # ---- the point completion

    def fit(self, rng: np.random.Generator) -> Chain:
        """Fit the point models, which `point` applies once.

        Ordinary rounds fill a row's predictors with the help of the very value that is to
        be predicted from them, and regressions on such fills inflate what they find, round
        after round. So each column's model learns from rows whose holes, and the column
        itself, were filled as if the column were missing: what it will meet.
        """
        seed = resolve_seed(rng)
        holed = self.design.holed(self.z)
        self.gaussian = GaussianFill(holed, keyed_rng(seed, 0))
        self.models: dict[int, ColumnModel] = {}
        for j in map(int, self.order):
            seen = np.flatnonzero(~self.holes[:, j])
            blind = holed[seen]
            blind[:, self.design.slices[j]] = np.nan
            rows = self._started(self.z[seen], blind)
            view, own = rows.view(j), keyed_rng(seed, 1, j)
            self.models[j] = self.makers[j]().fit(view, self.z[seen, j], own, drawn=False)
        return self

    def _started(self, z: np.ndarray, holed: np.ndarray) -> CompletedRows:
        """Return rows with every hole at its conditional mean under the joint normal distribution."""
        holes = np.isnan(z)
        matrix = np.asfortranarray(self.gaussian.expect(holed))
        filled = np.where(holes, self.design.decode(matrix), z)
        return CompletedRows(filled, self.design, matrix=matrix)

    def point(self, z: np.ndarray) -> np.ndarray:
        """Return rows (n, p) with every hole filled by the point models; each row on its own."""
        out = np.empty_like(z)
        for start in range(0, len(z), _COMPLETED_AT_ONCE):  # bounds the memory; rows are independent
            part = slice(start, start + _COMPLETED_AT_ONCE)
            out[part] = self._completed(z[part])
        return out

    def _completed(self, z: np.ndarray) -> np.ndarray:
        holes = np.isnan(z)
        state = self._started(z, self.design.holed(z))
        found = []
        for j, model in self.models.items():
            rows = np.flatnonzero(holes[:, j])
            if len(rows):
                found.append((j, rows, model.expect(state.view(j, rows))))
        for j, rows, expected in found:  # after all of them: the models learned from starts
            state.put(j, rows, expected)
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
            rounds = 1 if nested else n_rounds
            if len(rows) == len(open_) and np.array_equal(z[rows], self.z[open_], equal_nan=True):
                run = _Run(self, z[:0], [(open_, keys.take(rows))])  # the training rows themselves
                run.go(seed, rounds, nested=nested)
                out[rows] = run.state.z[open_]
                continue
            for start in range(0, len(rows), _RIDERS):  # the same chain again: memory does not grow
                some = rows[start : start + _RIDERS]
                places = np.arange(len(self.z), len(self.z) + len(some))
                run = _Run(self, z[some], [(open_, train_keys), (places, keys.take(some))])
                run.go(seed, rounds, nested=nested)
                out[some] = run.state.z[len(self.z) :]
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
        self._numbers: dict[int, tuple[int, np.ndarray, np.ndarray]] = {}
        z = np.concatenate([chain.z, riders])
        self.holes = np.isnan(z)
        filled = z.copy()
        for j, ranked in enumerate(chain._sorted):  # start: any observed value of the column
            rows, u = self._uniforms(j, 0)
            filled[rows, j] = ranked[np.minimum((u[:, 0] * len(ranked)).astype(np.intp), len(ranked) - 1)]
        self.state = CompletedRows(filled, chain.design)

    def _uniforms(self, j: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows whose column ``j`` is missing, and their uniform numbers (n, 2) of a round."""
        few, at = divmod(step, _ROUNDS_A_STREAM)
        if j not in self._numbers or self._numbers[j][0] != few:
            rows, numbers = [], []
            for positions, keys in self.noise:
                here = np.flatnonzero(self.holes[positions, j])
                own = keys.take(here).child(few * len(self.chain.layout) + j + 1)
                rows.append(positions[here])
                numbers.append(own.uniforms(2 * _ROUNDS_A_STREAM))
            self._numbers[j] = few, np.concatenate(rows), np.concatenate(numbers)
        _, rows_, numbers_ = self._numbers[j]
        return rows_, numbers_[:, 2 * at : 2 * at + 2]

    def go(self, seed: int, n_rounds: int, *, nested: bool, recorder: Recorder | None = None) -> None:
        """Run the rounds; ``nested``: each column is predicted from those before it alone."""
        chain, n = self.chain, len(self.chain.z)
        stream = KeyedGenerator()
        visited = [k for k, j in enumerate(chain.order) if self.holes[:, j].any()]
        for step in range(n_rounds):
            for k in visited:
                j = int(chain.order[k])
                rows, u = self._uniforms(j, step + 1)
                among = np.sort(chain.order[:k]) if nested else None
                seen = np.flatnonzero(~self.holes[:n, j])
                rng = stream.seat(seed, step, j)  # one each: riders' holes must not move the others
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
