"""Rows with missing cells: encoded once, completed as often as asked."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri
from sklearn.base import clone

from augsynth.core import arrays
from augsynth.core.errors import DataError, sentence
from augsynth.core.random import ItemKeys, keyed_rng, step_key
from augsynth.encode.table import fill_holes

__all__ = ["Completion", "middle", "normals", "reweighted", "row_keys"]

BLOCK = 2**16  # rows that a hook sees at once
_PATH = step_key("complete")


def row_keys(seed: int, n: int) -> ItemKeys:
    """Return the keys of the rows 0 to n - 1 under a seed, for their missing cells."""
    return ItemKeys(seed, 0, np.arange(n), path=_PATH)


def normals(uniforms: np.ndarray) -> np.ndarray:
    """Turn uniform numbers into standard normal ones; a uniform 0 counts as the smallest number above it."""
    return ndtri(np.maximum(uniforms, 2.0**-54))


def middle(draws: np.ndarray, categorical: np.ndarray) -> np.ndarray:
    """Return the mean of several completions (m, n, p), in the categorical columns the commonest level."""
    result = draws.mean(axis=0)
    rows = np.arange(draws.shape[1])
    for j in categorical if draws.shape[1] and len(draws) > 1 else []:
        codes = draws[:, :, j].astype(np.intp)
        n_levels = int(codes.max()) + 1
        counts = np.bincount((codes + rows * n_levels).ravel(), minlength=len(rows) * n_levels)
        votes = counts[codes + rows * n_levels]  # of each draw's level; of equals the first draw wins
        result[:, j] = draws[votes.argmax(axis=0), rows, j]
    return result


class Completion:
    """Rows asked of a fitted generator, with what its hooks need to know of them.

    Parameters
    ----------
    generator : BaseGenerator
        Fitted, and one that has ``_complete``.
    X, y, sensitive_features
        As in its ``complete``.
    seed : int
        Draws the groups that are not given.
    verb : str
        The method that is named in errors.

    Attributes
    ----------
    z : ndarray (n, p)
        The encoded rows, NaN where a cell is missing.
    observed : ndarray of bool (n, p)
    """

    def __init__(
        self, generator: Any, X: Any, y: Any, sensitive_features: Any, *, seed: int, verb: str
    ) -> None:
        frame, self.z, self._c, _ = generator._take_query(X, y, sensitive_features, seed, verb)
        if frame is None:
            must = "the generator must be of a table"
            raise DataError(sentence(f"{type(generator).__name__}.{verb}", must, "one of images"))
        self._generator, self._frame, self._where = generator, frame, f"{type(generator).__name__}.{verb}"
        self._container = arrays.take_in(X, where=verb)[1]
        self.observed = ~np.isnan(self.z)

    def draw(self, keys: ItemKeys) -> np.ndarray:
        """Return ``z`` (n, p) with its missing cells drawn; all noise of a row comes from its key."""
        return self._filled(self._generator._complete, keys)

    def expect(self, keys: ItemKeys) -> np.ndarray:
        """Return ``z`` (n, p) with the means (numbers) and modes (categories) of its missing cells."""
        return self._filled(self._generator._expect, keys)

    def _filled(self, hook: Any, keys: ItemKeys) -> np.ndarray:
        if len(keys) != len(self.z):
            must = f"keys must have one entry for each of the {len(self.z)} rows"
            raise DataError(sentence(self._where, must, f"{len(keys)}"))
        result = self.z.copy()
        for begin in range(0, len(self.z), BLOCK):
            rows = np.arange(begin, min(begin + BLOCK, len(self.z)))
            rows = rows[~self.observed[rows].all(axis=1)]
            if len(rows):
                seen = self.observed[rows]
                made = hook(self.z[rows], seen, self._c[rows], keys.take(rows))
                result[rows] = np.where(seen, self.z[rows], made)
        return result

    def table(self, z: np.ndarray, *, means: bool = False) -> Any:
        """Return the rows in the container that was given, the holes of its cells filled from ``z``.

        Parameters
        ----------
        z : ndarray (n, p)
        means : bool
            Whole numbers are left unrounded where the column's dtype is a float.
        """
        codec = self._generator.codec_
        decoded = codec.decode(z, self._generator._given(self._c))
        if means:
            for column in codec.schema:
                is_float = isinstance(column.dtype, np.dtype) and column.dtype.kind == "f"
                if column.kind == "integer" and is_float and column.name in codec.names:
                    exact = z[:, codec.names.index(column.name)] + column.origin
                    decoded[column.name] = pd.Series(exact, dtype=column.dtype)
        return self._container.give_back(fill_holes(self._frame.reset_index(drop=True), decoded))


def reweighted(generator: Any, X: Any, y: Any = None, *, sample_weight: np.ndarray, seed: int) -> Any:
    """Return a generator fitted to the same rows under other weights; the given one stays as it is.

    Under weights drawn from Exp(1) (the Bayesian bootstrap) its parameters are, for many
    rows, one draw from their posterior.

    Parameters
    ----------
    generator : BaseGenerator
        Fitted to ``X`` and ``y``. Those with a hook ``_refit(z, c, w, rng)`` start from what they are.
    sample_weight : ndarray (n,)
    seed : int

    References
    ----------
    Rubin, "The Bayesian bootstrap", Annals of Statistics 9(1), 1981, doi:10.1214/aos/1176345338.
    """
    if not hasattr(generator, "_refit"):
        return clone(generator).set_params(random_state=seed).fit(X, y, sample_weight=sample_weight)
    made = copy.copy(generator)
    _, z, c, _ = generator._take_query(X, y, None, seed, "refit")
    made._refit(z, c, sample_weight, keyed_rng(seed))
    return made
