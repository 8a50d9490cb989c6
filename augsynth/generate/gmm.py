"""Gaussian mixtures: each class as a sum of a few bells, with exact conditionals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import logsumexp

from augsynth.core.parameters import check_number, check_option
from augsynth.core.random import ItemKeys
from augsynth.generate.atoms import MISSING, SMOOTH, cell_states, find_atoms
from augsynth.generate.bandwidth import column_scales, effective_size
from augsynth.generate.base import BaseGenerator
from augsynth.generate.completion import normals
from augsynth.generate.mixture import NUMBERS_TRIED, EMSettings, Mixture, MixtureRows, climb, select_mixture

__all__ = ["GaussianMixtureGenerator"]

MIN_ROWS = 5  # below this, the spread of the whole table counts as one more row
POINT_SCALE = 1e-6  # scale where a column is constant within a cell, in units of its spread in the table
ROWS_A_COMPONENT = 10
REFIT_TOL = 1e-5  # nats a row, at which climbing under other weights ends
MOST_PATTERNS = 200  # of seen numbers: full covariances cost a matrix inversion for each of them
MOST_WORK = 2e8  # patterns times d ** 3, up to which one full covariance is tried all the same


class GaussianMixtureGenerator(BaseGenerator):
    """Draw from a mixture of Gaussians fitted to each class and group.

    A component is a Gaussian over the numbers times independent categorical columns
    (a latent class model); the mixture makes them dependent. One component with full
    covariances has the class densities of quadratic discriminant analysis. Density,
    conditionals and draws are exact.

    Parameters
    ----------
    n_components : int or "bic"
        Components a cell; "bic" tries 1, 2, 3, ... 32 until the Bayes information
        criterion has risen twice in a row (on at most 5,000 rows of the cell). Thin
        cells get fewer: a component needs 10 rows, and 2 (d + 1) for full covariances
        over d numbers.
    covariance_type : {"auto", "full", "tied", "diag", "spherical"}
        As in scikit-learn, on numbers in units of their spread within the cell. Cells
        with fewer than 2 (d + 1) rows get a diagonal one. "auto" takes "full" or "diag",
        whichever has the lower criterion. Where the cell's rows have more than 200 different
        patterns of missing and repeated numbers it tries "full" with one component only, or
        not at all, since its cost grows with them.
    reg_covar : float > 0
        Added to variances, in units of a column's variance: keeps components from
        shrinking onto single rows. A component with a share s of the rows gets reg_covar / s.
    atoms : float in (0, 1] or None
        A number that more than this share of a column's rows repeat (zeros, caps) is a
        point mass with a probability of its own in every component; ``log_prob`` there
        holds log masses. None treats every number as Gaussian.
    n_init : int
        Random starts (k-means++) that compete, for 15 steps on at most 2,000 rows.
    max_iter : int
        EM steps at most; EM stops when a step gains less than 1e-4 nats a row.
    schema, random_state
        As in every generator.

    Attributes
    ----------
    mixtures_ : list of Mixture
        Fitted mixtures; ``mixture_of_cell_`` says which serves a cell.
    bic_ : list of dict
        Of each mixture: covariance type -> number of components -> criterion, where tried.
    center_, scale_ : ndarray (n_mixtures, d)
        Standard units of the numbers: ``number = center + scale * standard``.

    Notes
    -----
    Missing cells are handled by EM, not filled in: every row counts by the marginal
    of its seen cells (missing at random), and ``log_prob`` of a row with missing cells
    is that marginal. Drawn rows are given a pattern of missing cells that occurred in
    the cell, drawn by its frequency within the row's component. For integer columns
    ``log_prob`` is the continuous density at the integer. Level probabilities are drawn
    towards the cell's by one row a component, so that no level is impossible.

    Fit costs EM steps x rows x components x d ** 2 (Adult, 32,561 rows: about 20 CPU-s
    at the defaults, 4 with "diag"); a draw costs d ** 2 a row. Cells of fewer rows than one
    component needs are fitted on all rows of their class, with a ThinCellWarning.

    Deviation: the standard deviation floor and the level prior make this penalised
    maximum likelihood; the penalised likelihood never falls during EM.

    References
    ----------
    McLachlan, Peel (2000), Finite Mixture Models, doi:10.1002/0471721182.
    Schwarz (1978), Estimating the dimension of a model, doi:10.1214/aos/1176344136.
    Hunt, Jorgensen (2003), Mixture model clustering for mixed data with missing
    information, doi:10.1016/S0167-9473(02)00190-1.

    Examples
    --------
    >>> import numpy as np
    >>> from augsynth.generate.gmm import GaussianMixtureGenerator
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(-5, 1, (100, 2)), rng.normal(5, 1, (100, 2))])
    >>> generator = GaussianMixtureGenerator(random_state=0).fit(X)
    >>> len(generator.mixtures_[0])
    2
    >>> bool(generator.complete(np.array([[5.0, np.nan]]))[0, 1] > 0)
    True
    """

    _allows_missing = True
    refits_quickly: ClassVar[bool] = True

    def __init__(
        self,
        *,
        n_components: int | str = "bic",
        covariance_type: str = "auto",
        reg_covar: float = 1e-4,
        atoms: float | None = 0.1,
        n_init: int = 3,
        max_iter: int = 200,
        schema: Any = None,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.atoms = atoms
        self.n_init = n_init
        self.max_iter = max_iter
        self.schema = schema
        self.random_state = random_state

    def _check_parameters(self) -> None:
        where = type(self).__name__
        if isinstance(self.n_components, str):
            check_option(where, "n_components", self.n_components, ("bic",))
        else:
            check_number(where, "n_components", self.n_components, low=1, integer=True)
        shapes = ("auto", "full", "tied", "diag", "spherical")
        check_option(where, "covariance_type", self.covariance_type, shapes)
        check_number(where, "reg_covar", self.reg_covar, low=0, low_open=True)
        if self.atoms is not None:
            check_number(where, "atoms", self.atoms, low=0, low_open=True, high=1)
        check_number(where, "n_init", self.n_init, low=1, integer=True)
        check_number(where, "max_iter", self.max_iter, low=1, integer=True)

    # Fit -----------------------------------------------------------------------------

    def _fit(self, z: np.ndarray, c: np.ndarray, w: np.ndarray | None, rng: np.random.Generator) -> None:
        self._check_parameters()
        numeric = self.layout_.numeric
        weights = np.ones(len(z)) if w is None else np.asarray(w, dtype=float)
        self.atoms_ = [find_atoms(z[:, j], self.atoms) for j in numeric]
        states = cell_states(z[:, numeric], self.atoms_)
        smooth = np.where(states == SMOOTH, z[:, numeric], np.nan)
        table = column_scales(smooth, weights, "std")
        table = np.where(table > 0, table, np.nanmax(np.abs(z[:, numeric]), axis=0, initial=1.0))
        middle = _weighted_means(smooth, weights, np.zeros(len(numeric)))
        full = self.covariance_type in ("full", "tied")
        needed = max(MIN_ROWS, 2 * (len(numeric) + 1)) if full else MIN_ROWS
        self.pool_ = pool = self.condition_.pool(needed, where=type(self).__name__)
        keys = [pool.members(cell) for cell in range(self.condition_.n_cells)]
        groups = sorted(set(keys))
        self.mixture_of_cell_ = np.array([groups.index(key) for key in keys])
        self.mixtures_: list[Mixture] = []
        self.bic_: list[dict[str, dict[int, float]]] = []
        self.center_, self.scale_ = np.empty((2, len(groups), len(numeric)))
        self.patterns_: list[np.ndarray] = []
        self.pattern_shares_: list[np.ndarray] = []
        for group in range(len(groups)):
            rows = self._rows_of(group, z, c, weights)
            x = np.where(states[rows] == SMOOTH, z[np.ix_(rows, numeric)], np.nan)
            self.center_[group] = _weighted_means(x, weights[rows], middle)
            self.scale_[group] = _scales(x, weights[rows], table)
            share = weights[rows] / weights[rows].mean()
            self._fit_group(self._mixture_rows(z[rows], group, share), np.isnan(z[rows]), rng)

    def _rows_of(self, group: int, z: np.ndarray, c: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the training rows of a mixture, those with the same numbers seen side by side."""
        cells = self.pool_.members(int(np.flatnonzero(self.mixture_of_cell_ == group)[0]))
        rows = np.flatnonzero(np.isin(c, cells) & (weights > 0))
        numeric = self.layout_.numeric
        if not len(numeric):
            return rows
        smooth = cell_states(z[np.ix_(rows, numeric)], self.atoms_) == SMOOTH
        _, pattern = np.unique(smooth, axis=0, return_inverse=True)
        return rows[np.argsort(pattern.reshape(-1), kind="stable")]  # EM then works on slices

    def _refit(self, z: np.ndarray, c: np.ndarray, w: np.ndarray, rng: np.random.Generator) -> None:
        """Climb from the fitted mixtures under other weights: their sizes, shapes and units stay."""
        before = self.mixtures_
        self.mixtures_, self.patterns_, self.pattern_shares_ = [], [], []
        for group, mixture in enumerate(before):
            rows = self._rows_of(group, z, c, w)
            prepared = self._mixture_rows(z[rows], group, w[rows] / w[rows].mean())
            settings = replace(self._settings(mixture.covariance_type, prepared), tol=REFIT_TOL)
            self._keep(climb(prepared, mixture, settings, self.max_iter), prepared, np.isnan(z[rows]))

    def _settings(self, shape: str, rows: MixtureRows) -> EMSettings:
        few = effective_size(rows.w) < MIN_ROWS and rows.x.shape[1] > 0
        return EMSettings(shape, self.reg_covar, self.n_init, self.max_iter, pseudo_rows=1.0 if few else 0.0)

    def _rows_needed(self, shape: str) -> int:
        """Rows that one component of a shape needs."""
        free = 2 * (len(self.layout_.numeric) + 1) if shape == "full" else 0
        return max(ROWS_A_COMPONENT, free)

    def _shapes(self, rows: MixtureRows, n: float) -> list[str]:
        """Covariance types that are tried for these rows."""
        enough = n >= max(MIN_ROWS, 2 * (len(self.layout_.numeric) + 1))
        if self.covariance_type != "auto":
            return [self.covariance_type if enough or self.covariance_type == "spherical" else "diag"]
        d, patterns = rows.x.shape[1], len(rows.numbers.shown)
        full = enough and d > 1 and (patterns <= MOST_PATTERNS or patterns * d**3 <= MOST_WORK)
        return ["diag", "full"] if full else ["diag"]

    def _fit_group(self, rows: MixtureRows, missing: np.ndarray, rng: np.random.Generator) -> None:
        n = effective_size(rows.w)
        choices = []
        for shape in self._shapes(rows, n):
            settings = self._settings(shape, rows)
            largest = max(1, int(n) // self._rows_needed(shape))
            costly = shape == "full" and len(rows.numbers.shown) > MOST_PATTERNS
            if costly and self.covariance_type == "auto":
                largest = 1
            if isinstance(self.n_components, str):
                choices.append((settings, [k for k in NUMBERS_TRIED if k <= largest]))
            else:
                choices.append((settings, [min(int(self.n_components), largest)]))
        mixture, tried = select_mixture(rows, choices, rng)
        self.bic_.append(tried)
        self._keep(mixture, rows, missing)

    def _keep(self, mixture: Mixture, rows: MixtureRows, missing: np.ndarray) -> None:
        """Store a mixture, and how often each pattern of missing cells occurs in its components."""
        patterns, index = np.unique(missing, axis=0, return_inverse=True)
        share = _responsibilities(mixture.joint(rows)) * rows.w[:, None]
        counts = np.stack([np.bincount(index.reshape(-1), r, minlength=len(patterns)) for r in share.T])
        self.mixtures_.append(mixture)
        self.patterns_.append(patterns)
        self.pattern_shares_.append(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300))

    def _mixture_rows(self, z: np.ndarray, group: int, w: np.ndarray | None = None) -> MixtureRows:
        """Split a table into standard numbers and codes: categories, then states of atomic columns."""
        numeric, categorical = self.layout_.numeric, self.layout_.categorical
        states = cell_states(z[:, numeric], self.atoms_)
        with np.errstate(invalid="ignore"):
            x = (z[:, numeric] - self.center_[group]) / self.scale_[group]
        x[states != SMOOTH] = np.nan
        atomic = [j for j, atoms in enumerate(self.atoms_) if atoms.size]
        state_codes = np.where(states == MISSING, np.nan, states)[:, atomic]
        sizes = [self.layout_[j].n_levels for j in categorical] + [self.atoms_[j].size + 1 for j in atomic]
        codes = np.concatenate([z[:, categorical], state_codes], axis=1)
        return MixtureRows(x, codes, sizes, np.ones(len(z)) if w is None else w)

    def _by_mixture(self, c: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        group = self.mixture_of_cell_[c]
        for key in np.unique(group):
            yield int(key), np.flatnonzero(group == key)

    # Draw ----------------------------------------------------------------------------

    def _sample(self, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        d, width = len(self.layout_.numeric), len(self.layout_) + len(self.atoms_)
        noise, u = rng.standard_normal((len(c), d)), rng.random((len(c), 2 + width))
        z = np.empty((len(c), len(self.layout_)))
        for group, rows in self._by_mixture(c):
            mixture = self.mixtures_[group]
            reached = np.cumsum(mixture.weights)
            component = np.searchsorted(reached[:-1], u[rows, 0] * reached[-1], side="right")
            x = mixture.gaussians.draw(component, noise[rows]) if d else noise[rows]
            drawn = self._assemble(group, x, component, u[rows, 2:])
            shares = np.cumsum(self.pattern_shares_[group], axis=1)
            drawn[self.patterns_[group][_invert(shares, component, u[rows, 1])]] = np.nan
            z[rows] = drawn
        return z

    def _assemble(self, group: int, x: np.ndarray, component: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Make table rows of standard numbers and of levels drawn by their component."""
        numeric, categorical = self.layout_.numeric, self.layout_.categorical
        z = np.empty((len(x), len(self.layout_)))
        z[:, numeric] = self.center_[group] + self.scale_[group] * x
        mixture = self.mixtures_[group]
        for i, j in enumerate(categorical):
            z[:, j] = _invert(np.cumsum(mixture.table(i), axis=1), component, u[:, i])
        atomic = [j for j, atoms in enumerate(self.atoms_) if atoms.size]
        for i, j in enumerate(atomic, start=len(categorical)):
            state = _invert(np.cumsum(mixture.table(i), axis=1), component, u[:, i])
            values = np.concatenate([[np.nan], self.atoms_[j]])
            z[:, numeric[j]] = np.where(state == SMOOTH, z[:, numeric[j]], values[state])
        return z

    # Evaluate and complete -----------------------------------------------------------

    def _log_prob(self, z: np.ndarray, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        value = np.empty(len(z))
        for group, rows in self._by_mixture(c):
            prepared = self._mixture_rows(z[rows], group)
            jacobian = prepared.numbers.seen @ np.log(self.scale_[group])
            value[rows] = logsumexp(self.mixtures_[group].joint(prepared), axis=1) - jacobian
        return value

    def _complete(self, z: np.ndarray, observed: np.ndarray, c: np.ndarray, keys: ItemKeys) -> np.ndarray:
        d, width = len(self.layout_.numeric), len(self.layout_) + len(self.atoms_)
        u = keys.uniforms(1 + width + d)
        noise = normals(u[:, 1 + width :])
        result = np.empty_like(z)
        for group, rows in self._by_mixture(c):
            mixture = self.mixtures_[group]
            prepared = self._mixture_rows(np.where(observed[rows], z[rows], np.nan), group)
            reached = np.cumsum(_responsibilities(mixture.joint(prepared)), axis=1)
            component = (reached < u[rows, :1] * reached[:, -1:]).sum(axis=1)
            x = mixture.gaussians.fill(prepared.numbers, component, noise[rows]) if d else noise[rows]
            result[rows] = self._assemble(group, x, component, u[rows, 1:])
        return result

    def _expect(self, z: np.ndarray, observed: np.ndarray, c: np.ndarray, keys: ItemKeys) -> np.ndarray:
        numeric, result = self.layout_.numeric, np.empty_like(z)
        for group, rows in self._by_mixture(c):
            mixture = self.mixtures_[group]
            prepared = self._mixture_rows(z[rows], group)
            share = _responsibilities(mixture.joint(prepared))
            means = np.zeros((len(rows), len(numeric)))
            levels = [mixture.table(i) for i in range(len(mixture.bounds) - 1)]
            atomic = [j for j, atoms in enumerate(self.atoms_) if atoms.size]
            for k in range(len(mixture) if len(numeric) else 0):
                still = np.zeros_like(means)
                x = mixture.gaussians.fill(prepared.numbers, np.full(len(rows), k), still)
                x = self.center_[group] + self.scale_[group] * x
                for j, table in zip(atomic, levels[len(self.layout_.categorical) :], strict=True):
                    x[:, j] = table[k, 0] * x[:, j] + table[k, 1:] @ self.atoms_[j]
                means += share[:, k : k + 1] * x
            made = np.empty((len(rows), z.shape[1]))
            made[:, numeric] = means
            for j, table in zip(self.layout_.categorical, levels, strict=False):
                made[:, j] = (share @ table).argmax(axis=1)
            result[rows] = made
        return result


def _weighted_means(x: np.ndarray, w: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Mean of every column's seen numbers."""
    seen = ~np.isnan(x)
    total = w @ seen
    return np.where(total > 0, (w @ np.where(seen, x, 0.0)) / np.where(total > 0, total, 1.0), otherwise)


def _scales(x: np.ndarray, w: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Standard unit of every column of some cells: the table's where they have too few rows."""
    if len(w) < MIN_ROWS:
        return table
    scale, seen = column_scales(x, w, "std"), (~np.isnan(x)).any(axis=0)
    return np.where(scale > 0, scale, np.where(seen, POINT_SCALE, 1.0) * table)


def _responsibilities(joint: np.ndarray) -> np.ndarray:
    """Probability of every component given the seen cells, (n, K)."""
    top = joint.max(axis=1, keepdims=True)
    share = np.exp(joint - top)
    return share / share.sum(axis=1, keepdims=True)


def _invert(reached: np.ndarray, table: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Draw a position from row ``table`` of the cumulative sums ``reached``, one for each u."""
    last = reached[:, -1]
    result = np.empty(len(u), dtype=np.intp)
    for key in np.unique(table):
        rows = table == key
        result[rows] = np.searchsorted(reached[key], u[rows] * last[key], side="right")
    return np.minimum(result, reached.shape[1] - 1)
