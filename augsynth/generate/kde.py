"""Kernel density estimates: every real row, blurred."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.core.random import ItemKeys
from augsynth.generate.atoms import MISSING, SMOOTH, among_seen, cell_states, find_atoms, seen_levels
from augsynth.generate.bandwidth import (
    column_scales,
    cross_validated_widths,
    effective_size,
    rule_factor,
    rule_weight,
)
from augsynth.generate.base import BaseGenerator, Drawn
from augsynth.generate.kernels import KERNELS, SMALLEST_UNIFORM, level_kernel, log_sum, pick

__all__ = ["KDEGenerator"]

MIN_ROWS = 5  # a cell with fewer rows takes its spread from its class
POINT_WIDTH = 1e-6  # bandwidth where a column is constant within a cell, in units of its spread in the table
CHUNK = 2**18  # kernel values held at once: 2 MiB, about one core's cache
FAR = -8.0  # log price of a differing state where a row that no centre reaches is completed


class KDEGenerator(BaseGenerator):
    """Draw a real row of the wanted class and group, and blur it with a kernel.

    The density of a cell (class x group) is the weighted mean of one product kernel
    a training row: a numeric kernel for numbers, a categorical one for categories.
    It is exact to draw from, to evaluate and to complete. The generator keeps the
    training rows and its draws stay close to them (on Adult, 87 % lie closer to a training
    row than to a fresh one), so it is no protection of privacy; and a kernel density is a poor
    idea in many dimensions: see Notes.

    Parameters
    ----------
    kernel : {"gaussian", "epanechnikov", "linear", "exponential", "cosine", "tophat"}
        Shape for numbers. Bandwidths are standard deviations of the kernel, whatever its shape.
    bandwidth : {"scott", "silverman", "cv"}, float or sequence of float
        A rule of thumb (times the column's spread within the cell), leave-one-out
        likelihood (one factor on Scott's bandwidths a cell), a multiple of the column's
        spread, or one bandwidth a numeric column in data units (constant columns left out).
    scale : {"robust", "std"}
        Spread of a column: min(standard deviation, IQR / 1.349), or the standard deviation.
    smoothing : {"rule", "cv"} or float in [0, 1]
        Weight with which a category is redrawn (unordered: evenly from all levels seen,
        Aitchison-Aitken; ordered: ``weight ** steps``, Li-Racine). "rule" is 1 / (n + 1).
    bounds : None or "observed"
        None lets numbers spill over the smallest and largest number seen; "observed"
        cuts every kernel at these and rescales it, so that draws stay inside and the
        density outside is 0.
    atoms : float in (0, 1] or None
        A number that more than this share of a column's rows repeat (zeros, caps) is
        a point mass: it is kept as it is, and ``log_prob`` there holds log masses.
        None smooths every number.
    schema, random_state
        As in every generator.

    Notes
    -----
    Missing cells are a state of their own: they match missing cells only. So missing
    cells are drawn as often as in training, and a row whose missing pattern the cell
    never saw has density 0. For integer columns ``log_prob`` is the continuous density at
    the integer, not the mass that rounding collects. Under weights the centres are
    drawn in proportion to them, and rules of thumb use the effective number of rows.

    Fit costs a sort (rules) or about 0.3 CPU-s a cell ("cv"); sampling costs a table
    look-up a row; ``log_prob`` and ``complete`` cost rows x training rows x columns,
    in blocks of bounded memory. The error of a density estimate falls as
    n ** (-2 / (d + 4)): beyond about six dependent columns the kernels are either so
    narrow that rows are copied, or so wide that dependence is washed out. Left-out
    likelihood follows the outliers: in heavy tails "cv" smooths more than the rules, too much.

    Deviation: scikit-learn's KernelDensity has one radial kernel of one width; here
    the kernel is a product over the columns, which mixes kinds and scales.

    References
    ----------
    Scott (1992), Multivariate Density Estimation, doi:10.1002/9780470316849.
    Li, Racine (2003), doi:10.1016/S0047-259X(02)00025-8.
    Duin (1976), On the choice of smoothing parameters for Parzen estimators,
    doi:10.1109/TC.1976.1674577 (leave-one-out likelihood).

    Examples
    --------
    >>> import numpy as np
    >>> from augsynth.generate.kde import KDEGenerator
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> X[:100, 0] += 5.0
    >>> y = np.repeat(["rare", "common"], 100)
    >>> generator = KDEGenerator(random_state=0).fit(X, y)
    >>> generator.sample(y=["rare", "common"]).shape
    (2, 2)
    >>> bool(generator.sample(y=["rare"] * 50).mean(axis=0)[0] > 4)
    True
    """

    _allows_missing = True
    refits_quickly: ClassVar[bool] = True

    def __init__(
        self,
        *,
        kernel: str = "gaussian",
        bandwidth: str | float | Sequence[float] = "scott",
        scale: str = "robust",
        smoothing: str | float = "rule",
        bounds: str | None = None,
        atoms: float | None = 0.1,
        schema: Any = None,
        random_state: Any = None,
    ) -> None:
        self.kernel = kernel
        self.bandwidth = bandwidth
        self.scale = scale
        self.smoothing = smoothing
        self.bounds = bounds
        self.atoms = atoms
        self.schema = schema
        self.random_state = random_state

    def _check_parameters(self) -> None:
        where = type(self).__name__
        check_option(where, "kernel", self.kernel, KERNELS)
        check_option(where, "scale", self.scale, ("robust", "std"))
        check_option(where, "bounds", self.bounds, (None, "observed"))
        if self.atoms is not None:
            check_number(where, "atoms", self.atoms, low=0, low_open=True, high=1)
        if isinstance(self.smoothing, str):
            check_option(where, "smoothing", self.smoothing, ("rule", "cv"))
        else:
            check_number(where, "smoothing", self.smoothing, low=0, high=1)
        if isinstance(self.bandwidth, str):
            check_option(where, "bandwidth", self.bandwidth, ("scott", "silverman", "cv"))
        elif np.ndim(self.bandwidth) == 0:
            check_number(where, "bandwidth", self.bandwidth, low=0, low_open=True)
        else:
            given, wanted = np.asarray(self.bandwidth, dtype=float), len(self.layout_.numeric)
            if given.shape != (wanted,) or not (np.isfinite(given) & (given > 0)).all():
                names = ", ".join(self.layout_[j].name for j in self.layout_.numeric[:5])
                raise ParameterError(
                    sentence(
                        where,
                        f"a sequence for bandwidth must hold one positive number for each of the {wanted} "
                        f"numeric columns ({names}{', ...' if wanted > 5 else ''})",
                        repr(self.bandwidth),
                    )
                )

    def _fit(self, z: np.ndarray, c: np.ndarray, w: np.ndarray | None, rng: np.random.Generator) -> None:
        self._check_parameters()
        n_cells = self.condition_.n_cells
        weights = np.ones(len(z)) if w is None else np.asarray(w, dtype=float)
        kept = np.flatnonzero(weights > 0)
        order = kept[np.argsort(c[kept], kind="stable")]
        self.source_, self.centers_, self.weights_ = order, z[order], weights[order]
        self.starts_ = np.searchsorted(c[order], np.arange(n_cells + 1))
        self.atoms_ = [
            find_atoms(column, self.atoms) if block.is_numeric else np.empty(0)
            for block, column in zip(self.layout_, z.T, strict=True)
        ]
        self.states_ = cell_states(self.centers_, self.atoms_)
        self.levels_ = seen_levels(self.centers_, self.layout_.categorical)
        self.cumulative_ = np.empty(len(order))
        self.widths_ = np.ones((n_cells, z.shape[1]))
        table = self._spread(np.arange(len(order)))
        largest = np.nanmax(np.abs(self.centers_[:, self.layout_.numeric]), axis=0, initial=1.0)
        point = POINT_WIDTH * np.where(table > 0, table, largest)
        self.pool_ = pool = self.condition_.pool(MIN_ROWS, where=type(self).__name__)
        for cell in range(n_cells):
            rows = self._rows(cell)
            if rows.size:
                self.cumulative_[rows] = np.cumsum(self.weights_[rows] / self.weights_[rows].max())
                spread = self._spread(np.concatenate([self._rows(member) for member in pool.members(cell)]))
                if rows.size < MIN_ROWS:  # a class of one row has no spread of its own either
                    spread = np.where(spread > 0, spread, table)
                self.widths_[cell] = self._cell_widths(rows, np.where(spread > 0, spread, point), rng)

    def _rows(self, cell: int) -> np.ndarray:
        return np.arange(self.starts_[cell], self.starts_[cell + 1])

    def _spread(self, rows: np.ndarray) -> np.ndarray:
        """Scale of every numeric column over its smoothed cells."""
        cells = np.ix_(rows, self.layout_.numeric)
        smoothed = np.where(self.states_[cells] == SMOOTH, self.centers_[cells], np.nan)
        return column_scales(smoothed, self.weights_[rows], self.scale)

    def _cell_widths(self, rows: np.ndarray, spread: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Bandwidths (data units) of the numeric and redraw weights of the categorical columns of a cell."""
        numeric, categorical = self.layout_.numeric, self.layout_.categorical
        n = effective_size(self.weights_[rows])
        smoothed = (self.states_[rows] == SMOOTH).mean(axis=0)[numeric]  # share that the rule's n counts
        rule = "silverman" if isinstance(self.bandwidth, str) and self.bandwidth == "silverman" else "scott"
        factors = np.array([rule_factor(rule, n * share, len(numeric)) for share in smoothed])
        if not isinstance(self.bandwidth, str):
            factors = np.asarray(self.bandwidth, dtype=float)
        numbers = factors if np.ndim(self.bandwidth) else factors * spread
        weight = rule_weight(n) if isinstance(self.smoothing, str) else float(self.smoothing)
        if "cv" in (self.bandwidth if isinstance(self.bandwidth, str) else "", self.smoothing):
            center, states = self.centers_[rows], self.states_[rows]
            multiple, weight = cross_validated_widths(
                np.where(states[:, numeric] == SMOOTH, center[:, numeric], np.nan) / numbers,
                among_seen(center, self.levels_)[:, categorical],
                states,
                [(len(self.levels_[j]), self.layout_[j].ordered) for j in categorical],
                self.weights_[rows],
                self.kernel,
                rng,
                weight=None if isinstance(self.smoothing, str) and self.smoothing == "cv" else weight,
                factor=None if isinstance(self.bandwidth, str) and self.bandwidth == "cv" else 1.0,
            )
            numbers = numbers * multiple
        widths = np.full(len(self.layout_), weight)
        widths[numeric] = numbers
        return widths

    # Draw ----------------------------------------------------------------------------

    def _sample(self, c: np.ndarray, rng: np.random.Generator) -> Drawn:
        u = rng.random((len(c), 1 + len(self.layout_)))
        chosen = np.empty(len(c), dtype=np.intp)
        for cell in np.unique(c):
            members, rows = np.flatnonzero(c == cell), self._rows(cell)
            reached = self.cumulative_[rows]
            at = np.searchsorted(reached, u[members, 0] * reached[-1], side="right")
            chosen[members] = rows[np.minimum(at, rows.size - 1)]
        z = self._blur(chosen, c, u[:, 1:], np.ones((len(c), len(self.layout_)), dtype=bool))
        return Drawn(z, source=self.source_[chosen][:, None])

    def _blur(self, chosen: np.ndarray, c: np.ndarray, u: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Draw from the kernels of the chosen centres, in the wanted cells of the table."""
        z = self.centers_[chosen]
        moved = wanted & (self.states_[chosen] == SMOOTH)
        kernel = KERNELS[self.kernel]
        for j in self.layout_.numeric:
            rows = np.flatnonzero(moved[:, j])
            center, width = z[rows, j], self.widths_[c[rows], j]
            low, high = self._mass_between(center, width, j)
            share = low + np.maximum(u[rows, j], SMALLEST_UNIFORM) * (high - low)
            drawn = center + kernel.ppf(share) * width
            block = self.layout_[j]
            z[rows, j] = drawn if self.bounds is None else np.clip(drawn, block.low, block.high)
        for j in self.layout_.categorical:
            block = self.layout_[j]
            for cell in np.unique(c):
                rows = np.flatnonzero(moved[:, j] & (c == cell))
                levels = level_kernel(block.n_levels, block.ordered, self.widths_[cell, j], self.levels_[j])
                z[rows, j] = levels.draw(z[rows, j], u[rows, j])
        return z

    def _mass_between(
        self, center: np.ndarray, width: np.ndarray | float, j: int
    ) -> tuple[np.ndarray | float, np.ndarray | float]:
        """Shares of a kernel's mass below the lower and the upper bound."""
        if self.bounds is None:
            return 0.0, 1.0
        kernel, block = KERNELS[self.kernel], self.layout_[j]
        return kernel.cdf(_gap(block.low, center, width)), kernel.cdf(_gap(block.high, center, width))

    # Evaluate ------------------------------------------------------------------------

    def _log_prob(self, z: np.ndarray, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        value = np.empty(len(z))
        for members, rows in self._chunks(c):
            columns = range(len(self.layout_))
            terms = self._log_kernels(z[members], rows, c[members[0]], columns, new=-np.inf)
            terms += np.log(self.weights_[rows] / self.weights_[rows].sum())
            value[members] = log_sum(terms)
        return value

    def _chunks(self, group: np.ndarray, cell_of: Any = int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (rows of the table, centres of their cell) in blocks of bounded memory."""
        for key in np.unique(group):
            members, rows = np.flatnonzero(group == key), self._rows(cell_of(key))
            step = max(1, CHUNK // max(rows.size, 1))
            for start in range(0, members.size, step):
                yield members[start : start + step], rows

    def _log_kernels(
        self, z: np.ndarray, rows: np.ndarray, cell: int, used: Any, *, tails: bool = False, new: float = 0.0
    ) -> np.ndarray:
        """Sum of the log kernels over the columns used, (rows of z, centres).

        With ``tails`` nothing is impossible: Gaussian kernels, a redraw weight of at least
        1 percent, and a fixed price where states differ: for rows that no centre reaches.
        A level that no training row holds counts ``new``, whatever the centre.
        """
        total = np.zeros((len(z), rows.size))
        states = cell_states(z, self.atoms_)
        kernel = KERNELS["gaussian" if tails else self.kernel]
        for j in used:
            state, center_state, center = states[:, j], self.states_[rows, j], self.centers_[rows, j]
            width, block = self.widths_[cell, j], self.layout_[j]
            if block.is_numeric:
                terms = kernel.log_density(_gap(z[:, j, None], center, width)) - np.log(width)
                if self.bounds is not None and not tails:
                    low, high = self._mass_between(center, width, j)
                    terms -= np.log(high - low)
                    terms[(z[:, j] < block.low) | (z[:, j] > block.high)] = -np.inf
            else:
                weight = max(width, 0.01) if tails else width
                levels = level_kernel(block.n_levels, block.ordered, weight, self.levels_[j])
                terms = levels.log_mass(z[:, j, None], center)
                terms[~np.isin(z[:, j], self.levels_[j])] = new
            if state.any() or center_state.any():
                differ = state[:, None] != center_state
                terms[differ | (state != 0)[:, None]] = 0.0
                terms[differ] = FAR if tails else -np.inf
            total += terms
        return total

    # Complete ------------------------------------------------------------------------

    def _by_pattern(
        self, observed: np.ndarray, c: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield (rows of the table, centres of their cell, which columns they show) in blocks."""
        patterns, pattern = np.unique(observed, axis=0, return_inverse=True)
        group = c.astype(np.int64) * len(patterns) + pattern.ravel()
        for members, rows in self._chunks(group, lambda key: int(key) // len(patterns)):
            yield members, rows, observed[members[0]]

    def _complete(self, z: np.ndarray, observed: np.ndarray, c: np.ndarray, keys: ItemKeys) -> np.ndarray:
        u = keys.uniforms(1 + z.shape[1])
        chosen = np.full(len(z), -1, dtype=np.intp)
        for members, rows, seen in self._by_pattern(observed, c):
            usable = (self.states_[rows][:, ~seen] != MISSING).all(axis=1)
            terms = self._log_kernels(z[members], rows, c[members[0]], np.flatnonzero(seen))
            chosen[members] = pick(terms + self._log_weights(rows, usable), rows, u[members, 0])
        filled = self._blur(np.maximum(chosen, 0), c, u[:, 1:], ~observed & (chosen >= 0)[:, None])
        result = np.where(observed | (chosen < 0)[:, None], z, filled)
        for i in np.flatnonzero(chosen < 0):
            result[i] = self._complete_alone(z[i], observed[i].copy(), int(c[i]), keys.take(np.array([i])))
        return result

    def _expect(self, z: np.ndarray, observed: np.ndarray, c: np.ndarray, keys: ItemKeys) -> np.ndarray:
        """Average the middles of the kernels, each weighted by the observed cells."""
        result = z.copy()
        for members, rows, seen in self._by_pattern(observed, c):
            cell, shown = c[members[0]], np.flatnonzero(seen)
            known = self.states_[rows] != MISSING
            terms = self._log_kernels(z[members], rows, cell, shown)
            terms += self._log_weights(rows, known[:, ~seen].all(axis=1))
            far = np.isinf(terms.max(axis=1))
            if far.any():
                terms[far] = self._log_kernels(z[members[far]], rows, cell, shown, tails=True)
                terms[far] += np.log(self.weights_[rows])
            share = np.exp(terms - terms.max(axis=1, keepdims=True))
            for j in np.flatnonzero(~seen):
                near = (share * known[:, j]).any(axis=1)
                result[members[near], j] = self._middle(int(j), share[near] * known[:, j], rows, cell)
                if not near.all():  # missing in all that are near: the whole table serves
                    every = self.weights_ * (self.states_[:, j] != MISSING)
                    result[members[~near], j] = self._middle(int(j), every[None], np.arange(len(every)), cell)
        return result

    def _middle(self, j: int, share: np.ndarray, rows: np.ndarray, cell: int) -> np.ndarray:
        """Mean or most probable level of column ``j`` over centres that weigh ``share`` (n, centres)."""
        values, block = np.nan_to_num(self.centers_[rows, j]), self.layout_[j]
        if block.is_numeric:
            return share @ values / share.sum(axis=1)
        levels = level_kernel(block.n_levels, block.ordered, self.widths_[cell, j], self.levels_[j])
        every = np.arange(block.n_levels, dtype=float)[:, None]
        return (share @ np.exp(levels.log_mass(every, values)).T).argmax(axis=1)

    def _log_weights(self, rows: np.ndarray, usable: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(np.where(usable, self.weights_[rows], 0.0))

    def _complete_alone(self, row: np.ndarray, observed: np.ndarray, cell: int, keys: ItemKeys) -> np.ndarray:
        """Complete a row that no centre reaches: column by column, by the nearest centres."""
        c = np.array([cell])
        for j in np.flatnonzero(~observed):
            rows = self._rows(cell)
            if (self.states_[rows, j] == MISSING).all():  # never seen in the cell: the whole table serves
                rows = np.arange(len(self.centers_))
            terms = self._log_kernels(row[None], rows, cell, np.flatnonzero(observed), tails=True)
            terms += self._log_weights(rows, self.states_[rows, j] != MISSING)
            wanted = np.arange(len(row))[None] == j
            u = keys.child(int(j)).uniforms(1 + len(row))
            drawn = self._blur(pick(terms, rows, u[:, 0]), c, u[:, 1:], wanted)
            row = np.where(wanted[0], drawn[0], row)
            observed[j] = True
        return row


def _gap(x: Any, center: Any, width: Any) -> Any:
    """Distance from a centre in bandwidths."""
    with np.errstate(over="ignore"):
        return (x - center) / width
