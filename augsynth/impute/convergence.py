"""Whether the chains of chained equations have mixed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from augsynth.core.errors import DataError, sentence

__all__ = ["split_r_hat"]


def split_r_hat(trace: pd.DataFrame, *, skip: int = 5) -> pd.DataFrame:
    """Say for each column how far chains, and the halves of each, lie apart: 1 is mixed, above 1.2 is not.

    Parameters
    ----------
    trace : DataFrame
        From `ChainedImputer.trace`.
    skip : int, default=5
        First rounds, in which chains move away from their starts, that do not count.

    Returns
    -------
    DataFrame
        By column: split R-hat of the ``mean`` and of the ``sd`` of the drawn cells. NaN
        where they never change; infinite where they change between chains only.

    Raises
    ------
    DataError
        If fewer than four rounds are left.

    References
    ----------
    Gelman et al., "Bayesian Data Analysis", 3rd ed. 2013, section 11.4.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rounds = np.tile(np.arange(45), 2)
    >>> trace = pd.DataFrame({"chain": np.repeat([0, 1], 45), "round": rounds, "column": "age"})
    >>> trace["mean"], trace["sd"] = rng.normal(size=90), rounds / 10 + rng.normal(size=90)
    >>> split_r_hat(trace).round(1).loc["age"].to_dict()
    {'mean': 1.0, 'sd': 1.7}
    """
    kept = trace[trace["round"] >= skip]
    n = kept["round"].nunique() // 2
    if n < 2:
        todo = "Ask for more rounds."
        raise DataError(sentence("split_r_hat", "needs 4 rounds after those skipped", f"{2 * n}", todo))
    found = {}
    for column, rows in kept.groupby("column", sort=False):
        found[column] = {
            name: _r_hat(rows.pivot(index="chain", columns="round", values=name).to_numpy(), n)
            for name in ("mean", "sd")
        }
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("column")


def _r_hat(values: np.ndarray, n: int) -> float:
    """Return split R-hat of chains (m, rounds), in halves of n rounds."""
    halves = np.concatenate([values[:, :n], values[:, -n:]])
    within = float(halves.var(axis=1, ddof=1).mean())
    between = float(halves.mean(axis=1).var(ddof=1))
    if within == 0:
        return float("nan") if between == 0 else float("inf")
    return float(np.sqrt((n - 1) / n + between / within))
