"""Sequential trees: each column given the ones before it, conditions first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from augsynth.core.errors import ParameterError, offenders, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import ItemKeys, resolve_seed
from augsynth.generate.base import BaseGenerator
from augsynth.generate.tree_column import ColumnForm, FamilyRows, TreeColumn

__all__ = ["TreeGenerator"]

_PARTICLES = 24
_ALONE = 50  # a class of fewer rows has trees of its own
_MANY = 32  # candidates a row for means
_COMPLETE_ROWS = 1024  # rows completed at once: bounds the particles in memory


class TreeGenerator(BaseGenerator):
    """Draw tables column by column, each from a decision tree over the columns before it.

    The usual first choice for tables: nearly as faithful as real rows, ready in
    seconds, at home with mixed columns, missing cells and repeated values. The label
    and groups come first, so every column may depend on them; rare classes count more
    than their share when trees are grown, and a class of fewer than 50 rows has trees of
    its own. A leaf does not hand out the values it holds: it is an even density between
    them (values that repeat often keep their exact probability), first of the class, then
    of all in the leaf, then mixed with its parent node.

    Parameters
    ----------
    min_samples_leaf : int, default=20
        The dial between fidelity and memorisation: fewest training rows in a leaf.
        With 5, new rows lie measurably closer to training rows than to unseen ones;
        with 50, that is gone and rare detail with it.
    smoothing : float, default=5.0
        Rows' worth of the next larger set of rows mixed in. More of it hides the
        training rows a little better and loosens the ties between columns.
    order : list of column names, optional
        In which the columns are drawn; those not named follow. Default: as in ``X``.
    schema : mapping or Schema, optional
        Column kinds that are not what inference would say.
    random_state : None, int or Generator

    Attributes
    ----------
    columns_ : dict of int to list of TreeColumn
        One a column in the order of drawing: -1 for all larger classes together, the
        class's code for a thin one.

    Notes
    -----
    The dial, on Adult (32,561 training rows, mean of three seeds; C2ST and closer-share: 0.5
    is ideal, copies of the training rows have a closer-share of .75; ``benchmarks/tables.py``
    defines the measures):

    ================  =========  =======  ====  ============
    min_samples_leaf  smoothing  AUC      C2ST  closer-share
    ================  =========  =======  ====  ============
    5                 5          .925     .548  .583
    10                5          .924     .545  .564
    20                0          .925     .544  .551
    20                5          .925     .546  .548
    20                20         .925     .545  .536
    50                5          .922     .546  .529
    100               5          .914     .558  .521
    ================  =========  =======  ====  ============

    Columns of tightly bound numbers ask for small leaves and little smoothing: on Credit
    default C2ST is .620 with (10, 5), .635 with (20, 5), .662 with (20, 20), .685 with (50, 5).

    Cost: one tree a column (and thin class), O(p^2 n log n) in all; a draw of n rows O(n p depth).

    ``log_prob`` is the exact density of the draws: probabilities of levels, repeated
    values, integers (the unit cell round each) and missing cells, densities of all
    others; minus infinity outside the range seen. ``complete`` draws each missing cell
    in turn and lets the observed columns that come later choose among 24 candidates a
    row (sequential importance resampling), so they count too.

    Deviation: the paper draws observed values from the leaf; here they are smoothed.

    References
    ----------
    Reiter, "Using CART to generate partially synthetic public use microdata", Journal of
    Official Statistics 21(3), 2005. Doucet, de Freitas and Gordon, "Sequential Monte
    Carlo methods in practice", 2001, doi:10.1007/978-1-4757-3437-9.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"job": ["cook", "clerk"] * 50, "hours": [38.5, None] * 50})
    >>> new = TreeGenerator(random_state=0).fit(X).sample(200)
    >>> bool((new["hours"].isna() == (new["job"] == "clerk")).mean() > 0.9)
    True
    """

    refits_quickly: ClassVar[bool] = True
    missing_is_a_value: ClassVar[bool] = True

    def __init__(
        self,
        *,
        min_samples_leaf: int = 20,
        smoothing: float = 5.0,
        order: Sequence[Any] | None = None,
        schema: Any = None,
        random_state: Any = None,
    ):
        self.min_samples_leaf = min_samples_leaf
        self.smoothing = smoothing
        self.order = order
        self.schema = schema
        self.random_state = random_state

    def _fit(self, z: np.ndarray, c: np.ndarray, w: np.ndarray | None, rng: np.random.Generator) -> None:
        check_number("TreeGenerator", "min_samples_leaf", self.min_samples_leaf, low=1, integer=True)
        check_number("TreeGenerator", "smoothing", self.smoothing, low=0)
        weights = np.ones(len(z)) if w is None else w
        kept = weights > 0
        z, c, weights = z[kept], c[kept], weights[kept]
        atom_rows = min(self.min_samples_leaf, max(2, int(np.ceil(0.05 * len(z)))))
        self.forms_ = [ColumnForm(j, self.layout_[j], z[:, j], weights, atom_rows) for j in self._positions()]
        conditions, classes = self._conditions(c), self.condition_.class_of_cell[c]
        # Too few rows show where a class differs: borrowing from others would blur it away.
        thin = np.bincount(classes) < _ALONE
        self.family_ = np.where(thin, np.arange(len(thin)), -1)
        self.columns_ = {}
        for family in np.unique(self.family_[classes]).tolist():
            members = np.flatnonzero(self.family_[classes] == family)
            rows = FamilyRows(z[members], conditions[members], classes[members], weights[members])
            self.columns_[family] = [
                TreeColumn(
                    form,
                    self.forms_[:k],
                    rows,
                    leaf_rows=self.min_samples_leaf,
                    smoothing=float(self.smoothing),
                    seed=resolve_seed(rng) % 2**32,
                )
                for k, form in enumerate(self.forms_)
            ]

    def _positions(self) -> list[int]:
        names = self.codec_.names
        if self.order is None:
            return list(range(len(names)))
        if isinstance(self.order, (str, bytes)) or not isinstance(self.order, Iterable):
            must = "order must be a list of columns of X"
            raise ParameterError(sentence("TreeGenerator", must, repr(self.order)))
        known = [column.name for column in self.codec_.schema]
        odd = [name for name in self.order if name not in known]
        if odd or len(set(self.order)) < len(self.order):
            must = "order must name columns of X, each once"
            raise ParameterError(sentence("TreeGenerator", must, offenders(odd or list(self.order))))
        first = [names.index(name) for name in self.order if name in names]
        return first + [j for j in range(len(names)) if j not in first]

    def _conditions(self, c: np.ndarray) -> np.ndarray:
        return self.condition_.attributes[c].astype(np.float32)

    def _by_family(self, c: np.ndarray) -> Iterator[tuple[list[TreeColumn], np.ndarray]]:
        families = self.family_[self.condition_.class_of_cell[c]]
        for family in np.unique(families).tolist():
            yield self.columns_[family], np.flatnonzero(families == family)

    def _sample(self, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        out = np.empty((len(c), len(self.layout_)))
        for columns, rows in self._by_family(c):
            z, conditions = np.empty((len(rows), len(self.layout_))), self._conditions(c[rows])
            classes = self.condition_.class_of_cell[c[rows]]
            for k, (form, column) in enumerate(zip(self.forms_, columns, strict=True)):
                place = column.route(self.forms_[:k], z, conditions, classes)
                z[:, form.position] = column.draw(form, place, rng.random((3, len(rows))))
            out[rows] = z
        return out

    def _log_prob(self, z: np.ndarray, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        total = np.zeros(len(z))
        for columns, rows in self._by_family(c):
            part, conditions = z[rows], self._conditions(c[rows])
            classes = self.condition_.class_of_cell[c[rows]]
            for k, (form, column) in enumerate(zip(self.forms_, columns, strict=True)):
                place = column.route(self.forms_[:k], part, conditions, classes)
                with np.errstate(divide="ignore"):
                    total[rows] += np.log(column.density(form, place, part[:, form.position]))
        return total

    def _complete(self, z: np.ndarray, observed: np.ndarray, c: np.ndarray, keys: ItemKeys) -> np.ndarray:
        out = np.empty_like(z)
        for part, particles, log_weight, last in self._particles(z, observed, c, keys, _PARTICLES):
            chosen = _choose(log_weight, last.uniforms(_PARTICLES))
            out[part] = particles[np.arange(len(part)), chosen]
        return out

    def _expect(self, z: np.ndarray, observed: np.ndarray, c: np.ndarray, keys: ItemKeys) -> np.ndarray:
        """Average over candidates by their weights: an estimate, by the noise of the keys."""
        out = np.empty_like(z)
        for part, particles, log_weight, _ in self._particles(z, observed, c, keys, _MANY):
            weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
            weight /= weight.sum(axis=1, keepdims=True)
            out[part] = np.einsum("nm,nmp->np", weight, particles)
            for j in self.layout_.categorical:
                levels = (
                    particles[:, :, j].astype(np.intp)
                    + self.layout_[j].n_levels * np.arange(len(part))[:, None]
                )
                mass = np.bincount(
                    levels.ravel(), weight.ravel(), minlength=len(part) * self.layout_[j].n_levels
                )
                out[part, j] = mass.reshape(len(part), -1).argmax(axis=1)
        return out

    def _particles(
        self, z: np.ndarray, observed: np.ndarray, c: np.ndarray, keys: ItemKeys, m: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, ItemKeys]]:
        """Yield (rows, m candidates of each (n, m, p), their log weights (n, m), keys for what follows)."""
        step = max(1, _COMPLETE_ROWS * _PARTICLES // m)
        for columns, rows in self._by_family(c):
            for begin in range(0, len(rows), step):
                part = rows[begin : begin + step]
                own = keys.take(part)
                yield (
                    part,
                    *self._walk(columns, z[part], observed[part], c[part], own, m),
                    own.child(len(columns)),
                )

    def _walk(
        self,
        columns: list[TreeColumn],
        z: np.ndarray,
        observed: np.ndarray,
        c: np.ndarray,
        keys: ItemKeys,
        m: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the missing cells column by column; the observed ones weigh, and thin out, the candidates."""
        n, p = z.shape
        order = [form.position for form in self.forms_]
        # Up to a row's first missing cell its candidates are all alike, and none has more weight.
        first = (~observed[:, order]).argmax(axis=1)
        late = np.argsort(first, kind="stable")
        started = np.searchsorted(first[late], np.arange(p), side="right")
        row, keys = np.repeat(late, m), keys.take(late)
        particles = np.concatenate([z[row], np.zeros((n * m, p))], axis=1)  # cells, and their places
        conditions, classes = self._conditions(c)[row], self.condition_.class_of_cell[c][row]
        log_weight = np.zeros((n, m))
        for k, (form, column) in enumerate(zip(self.forms_, columns, strict=True)):
            j, some = form.position, int(started[k])
            if some:
                now = slice(0, some * m)
                before = particles[now, :p], conditions[now], classes[now], particles[now, p:]
                place = column.route(self.forms_[:k], *before)
                own = keys.take(np.arange(some)).child(k)
                self._step(form, column, place, particles[now], log_weight[:some], observed[row[now], j], own)
            if form.scale is not None:
                particles[:, p + j] = form.scale.encode(particles[:, j])
        back = np.argsort(late)
        return particles[:, :p].reshape(n, m, p)[back], log_weight[back]

    def _step(
        self,
        form: ColumnForm,
        column: TreeColumn,
        place: np.ndarray,
        particles: np.ndarray,
        log_weight: np.ndarray,
        observed: np.ndarray,
        keys: ItemKeys,
    ) -> None:
        """Draw or weigh the cells of one column, in place."""
        n, m = log_weight.shape
        j = form.position
        hidden, seen = np.flatnonzero(~observed), np.flatnonzero(observed)
        u = keys.uniforms(3 * m + 1 if len(hidden) else 1)
        if len(hidden):
            noise = u[:, 1:].reshape(n, 3, m).transpose(1, 0, 2).reshape(3, -1)
            particles[hidden, j] = column.draw(form, place[:, hidden], noise[:, hidden], missing=False)
        if len(seen):
            with np.errstate(divide="ignore"):
                likely = np.log(column.density(form, place[:, seen], particles[seen, j]))
            log_weight.reshape(-1)[seen] += np.maximum(likely, -1e6)
            _resample(particles, log_weight, u[:, 0])


def _resample(particles: np.ndarray, log_weight: np.ndarray, u: np.ndarray) -> None:
    """Redraw, in place, the candidates of rows whose weight rests on few of them (systematic resampling)."""
    m = log_weight.shape[1]
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    few = np.flatnonzero(1 / (weight**2).sum(axis=1) < m / 2)
    if not len(few):
        return
    points = (np.arange(m) + u[few, None]) / m
    running = np.cumsum(weight[few], axis=1)
    running[:, -1] = 1.0
    picked = (points[:, :, None] > running[:, None, :]).sum(axis=2)
    where = (few[:, None] * m + np.arange(m)).ravel()
    particles[where] = particles[(few[:, None] * m + picked).ravel()]
    log_weight[few] = 0.0


def _choose(log_weight: np.ndarray, u: np.ndarray) -> np.ndarray:
    gumbel = -np.log(-np.log(np.maximum(u, 2.0**-54)))
    return (log_weight + gumbel).argmax(axis=1)
