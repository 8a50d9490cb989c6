"""The imputer of chained equations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from augsynth.core.errors import ParameterError, offenders, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.core.persistence import persistent
from augsynth.core.random import ItemKeys, keyed_rng, resolve_seed
from augsynth.encode.layout import Block
from augsynth.impute.base import BaseImputer
from augsynth.impute.cells import draw_keys
from augsynth.impute.chain import Chain
from augsynth.impute.column_model import ColumnModel
from augsynth.impute.design import center_and_scale
from augsynth.impute.linear_columns import BayesLinearColumn, LogisticColumn, MatchedLinearColumn
from augsynth.impute.stacked_columns import StackedColumn
from augsynth.impute.tree_columns import TreeColumn

__all__ = ["ChainedImputer"]

# method -> the models of numeric and of categorical columns
_MODELS: dict[str, tuple[type[ColumnModel], type[ColumnModel]]] = {
    "auto": (StackedColumn, StackedColumn),
    "pmm": (MatchedLinearColumn, LogisticColumn),
    "bayes": (BayesLinearColumn, LogisticColumn),
    "trees": (TreeColumn, TreeColumn),
}
_DRAW_ROUNDS, _TREE_ROUNDS = 10, 5
_THIN = 10  # observed cells that each column has among the kept rows, if it has as many


class ChainedImputer(BaseImputer):
    """Fill each column's holes from a model of it given all other columns, in rounds: MICE, for mixed tables.

    `transform` gives conditional means and most probable categories; `impute` gives
    draws whose spread is right, with the parameters of every model drawn as well, for
    pooling by Rubin's rules.

    Parameters
    ----------
    method : {"auto", "pmm", "bayes", "trees"} or mapping, default="auto"
        The model of a column: ``"pmm"`` is Bayesian ridge regression with predictive
        mean matching (draws are observed values) for numbers, and multinomial logistic
        regression for categories; ``"bayes"`` the same with normal residuals; ``"trees"``
        trees with matching; ``"auto"`` a stack of linear models and trees. A mapping
        gives a column's name its method; columns that it leaves out get ``"auto"``.
    n_rounds : int, optional
        Rounds over the columns of each random draw, by default 10, and 5 where trees take
        part. (The point completion takes one: it starts where a linear chain would end.)
    n_donors : int, default=5
        From how many observed values matching draws.
    max_rows : int, default=20000
        Training rows that are kept and learned from, a random sample if there are more.
    use_target, add_indicator, schema, random_state
        As in `BaseImputer`.

    Attributes
    ----------
    methods_ : dict
        The method of each column.
    order_ : list
        The columns in the order of visits: by ascending number of missing cells.
    monotone_ : bool
        Whether the kept rows miss cells in a nested way, which one pass of a draw exploits.
    chain_ : Chain
        The kept rows and the models.

    Notes
    -----
    The point completion starts at the conditional means of a joint normal distribution
    (EM); each column's model then learns from rows whose holes, and the column itself,
    were filled so, as if the column were missing. A chain of conditional means would
    fill predictors from the answer and inflate what it finds, the more the more is missing.

    Fit costs one model a column on at most `max_rows` rows, each draw ten rounds of them; a
    table of one incomplete column, or of a nested pattern, takes one round a draw. Rows that
    are not training rows ride along in draws: their cells never enter a model.
    For pooling, the outcome of the analysis must be among the columns, or ``use_target``.
    100,000 x 20 with 20 % holes: "pmm" fits and transforms in 2 CPU-seconds, draws in 5.

    Deviation: the point completion, as above; parameters of multinomial models and trees,
    and the donors of matching, are drawn by a bootstrap.

    References
    ----------
    Van Buuren and Groothuis-Oudshoorn, "mice: Multivariate imputation by chained
    equations in R", Journal of Statistical Software 45(3), 2011,
    doi:10.18637/jss.v045.i03. Van Buuren, "Flexible Imputation of Missing Data", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(20.0)
    >>> X = np.column_stack([x, 2.0 * x + 1.0])
    >>> X[3, 1] = np.nan
    >>> imputer = ChainedImputer("pmm", random_state=0).fit(X)
    >>> imputer.transform(X)[3].round(2).tolist()
    [3.0, 7.0]
    >>> [float(draw[3, 1]) in X[:, 1] for draw in imputer.impute(X, m=2)]
    [True, True]
    """

    def __init__(
        self,
        method: Any = "auto",
        *,
        n_rounds: int | None = None,
        n_donors: int = 5,
        max_rows: int = 20_000,
        use_target: bool = False,
        add_indicator: bool = False,
        schema: Any = None,
        random_state: Any = None,
    ):
        self.method = method
        self.n_rounds = n_rounds
        self.n_donors = n_donors
        self.max_rows = max_rows
        self.use_target = use_target
        self.add_indicator = add_indicator
        self.schema = schema
        self.random_state = random_state

    def _check_parameters(self, where: str) -> None:
        for name, low in (("n_rounds", 1), ("n_donors", 1), ("max_rows", 2)):
            value = getattr(self, name)
            if value is not None or name != "n_rounds":
                check_number(where, name, value, low=low, integer=True)
        if not isinstance(self.method, Mapping):
            check_option(where, "method", self.method, _MODELS)
            return
        for value in self.method.values():
            check_option(where, "every value of method", value, _MODELS)
        known = list(self.codec_.columns) + ["target"] * self.has_target_
        unknown = [name for name in self.method if name not in known]
        if unknown:
            must = "the keys of method must be columns"
            raise ParameterError(sentence(where, must, offenders(unknown), f"Columns: {offenders(known)}."))

    def _fit(self, z: np.ndarray, rng: np.random.Generator) -> None:
        names = list(self.codec_.names) + ["target"] * self.has_target_
        chosen = self.method if isinstance(self.method, Mapping) else dict.fromkeys(names, self.method)
        self.methods_ = {name: chosen.get(name, "auto") for name in names}
        makers = [
            _Maker(self.methods_[name], block, self.n_donors)
            for name, block in zip(names, self.layout_, strict=True)
        ]
        self.chain_ = Chain(_kept(z, self.max_rows, rng), self.layout_, makers)
        self.chain_.fit(rng)
        self.order_ = [names[j] for j in self.chain_.order]
        self.monotone_ = self.chain_.monotone

    def _point(self, z: np.ndarray) -> np.ndarray:
        return self.chain_.point(z)

    def _draw(self, z: np.ndarray, keys: ItemKeys, rng: np.random.Generator) -> np.ndarray:
        train_keys = self._train_keys(keys.seed, int(keys.copy[0]))
        grown = any(method in ("auto", "trees") for method in self.methods_.values())
        rounds = self.n_rounds or (_TREE_ROUNDS if grown else _DRAW_ROUNDS)
        return self.chain_.draw(z, keys, train_keys, rng, rounds)

    def _errors(self, z: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
        """Tell of rows that the models held out, where they know; masking cells flatters who learned them."""
        told = super()._errors(z, rng)
        for j, model in self.chain_.models.items():
            if np.isnan(model.error):
                continue
            seen = self.chain_.z[~self.chain_.holes[:, j], j]
            unit = center_and_scale(seen)[1] if self.layout_[j].is_numeric else 1.0
            told.loc[j, ["n", "error", "baseline"]] = len(seen), model.error / unit, model.baseline / unit
        return told

    def _train_keys(self, seed: int, draw: int) -> ItemKeys:
        """Return the keys that `impute` would give the training rows: the noise of a row is its own."""
        rows = self.chain_.z[self.chain_.holes.any(axis=1)]
        return draw_keys(rows[:, : len(self.codec_.names)], seed, draw)

    def trace(self, m: int = 3, n_rounds: int = 20, *, random_state: Any = None) -> pd.DataFrame:
        """Return means and standard deviations of the drawn cells, round by round, of m chains.

        Chains that have converged are mixed and show no trend: `augsynth.check.trace_plot` draws
        them, `augsynth.impute.convergence.split_r_hat` puts a number on it. The chains are those of
        the training rows, so no table is asked for.

        Parameters
        ----------
        m : int, default=3
        n_rounds : int, default=20
        random_state : None, int or Generator

        Returns
        -------
        DataFrame
            chain, round, column, mean, sd; of categories, ``mean`` is the share of the
            level that is commonest among the observed cells.
        """
        where = f"{type(self).__name__}.trace"
        check_is_fitted(self, "codec_")
        check_number(where, "m", m, low=1, integer=True)
        check_number(where, "n_rounds", n_rounds, low=1, integer=True)
        seed = resolve_seed(self.random_state if random_state is None else random_state)
        names = list(self.codec_.names) + ["target"] * self.has_target_
        found: list[tuple[int, int, Any, float, float]] = []
        for chain in range(m if hasattr(self, "chain_") else 0):

            def note(step: int, j: int, cells: np.ndarray, chain: int = chain) -> None:
                if not self.layout_[j].is_numeric:
                    cells = (cells == self.chain_.starts[j]).astype(float)
                found.append((chain, step, names[j], float(cells.mean()), float(cells.std())))

            self.chain_.record(self._train_keys(seed, chain), keyed_rng(seed, 7, chain), n_rounds, note)
        return pd.DataFrame(found, columns=["chain", "round", "column", "mean", "sd"])


@persistent
@dataclass(frozen=True)
class _Maker:
    """Make new models of a column."""

    method: str
    block: Block
    n_donors: int

    def __call__(self) -> ColumnModel:
        model = _MODELS[self.method][0 if self.block.is_numeric else 1]
        return model(self.block, n_donors=self.n_donors)


def _kept(z: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return at most ``most`` rows, and a few more for columns that would have hardly a cell in them."""
    if len(z) <= most:
        return z.copy()
    shuffled = rng.permutation(len(z))
    kept = shuffled[:most]
    extra = [kept]
    seen = ~np.isnan(z)
    for j in np.flatnonzero(seen[kept].sum(axis=0) < _THIN):
        rest = shuffled[most:]
        extra.append(rest[seen[rest, j]][:_THIN])
    return z[np.unique(np.concatenate(extra))]
