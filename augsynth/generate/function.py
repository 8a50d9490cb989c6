"""The user's own simulator or renderer as a generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core import arrays
from augsynth.core.errors import DataError, ParameterError, sentence
from augsynth.generate.base import BaseGenerator, Drawn

__all__ = ["FunctionGenerator"]


class FunctionGenerator(BaseGenerator):
    """Make rows with a function of yours: a simulator, a procedural renderer, a rule.

    ``fit`` learns which labels and groups exist and what rows look like (columns,
    dtypes, shape); the function makes the rows. Cannot be saved: a function is code.

    Parameters
    ----------
    function : callable
        ``function(y, rng)``, or ``function(y, rng, sensitive_features)`` if the
        generator is fitted with groups. ``y`` is the wanted labels, (n,), in the
        container of ``fit`` (an int ``n`` where fit had no labels); ``rng`` is a numpy
        Generator. Returns n rows like those of ``fit``. It is called once for every
        4,096 rows, so randomness from ``rng`` alone is repeatable.
    random_state : None, int or Generator

    Raises
    ------
    DataError
        If the function returns another number of rows, columns or shape.

    Examples
    --------
    >>> import numpy as np
    >>> def dice(y, rng):
    ...     return np.where(np.asarray(y) == "loaded", 6, rng.integers(1, 7, len(y)))[:, None]
    >>> g = FunctionGenerator(dice).fit(np.array([[3], [6]]), ["fair", "loaded"])
    >>> g.sample(y=["loaded", "loaded"], random_state=0).tolist()
    [[6], [6]]
    """

    _encodes = False

    def __init__(self, function: Callable[..., Any] | None = None, *, random_state: Any = None):
        self.function = function
        self.random_state = random_state

    def _fit(self, X: Any, c: np.ndarray, w: np.ndarray | None, rng: np.random.Generator) -> None:
        if not callable(self.function):
            raise ParameterError(
                sentence("FunctionGenerator", "function must be callable", repr(self.function))
            )
        self.rows_ = arrays.take_rows(X, np.zeros(1, dtype=np.intp))

    def _sample(self, c: np.ndarray, rng: np.random.Generator) -> Drawn:
        y, groups = self.condition_.decode(c, rng)
        wanted = len(c) if y is None else y
        made = self.function(wanted, rng) if groups is None else self.function(wanted, rng, groups)  # type: ignore[misc]
        return Drawn(self._like_training(made, len(c)))

    def _like_training(self, made: Any, n: int) -> Any:
        given = arrays.count_rows(made)
        if given != n:
            raise DataError(sentence("FunctionGenerator", f"function must return {n} rows", str(given)))
        if isinstance(self.rows_, pd.DataFrame):
            if not isinstance(made, pd.DataFrame) or set(made.columns) != set(self.rows_.columns):
                raise DataError(
                    sentence(
                        "FunctionGenerator",
                        f"function must return a DataFrame with columns {list(self.rows_.columns)}",
                        str(list(getattr(made, "columns", [type(made).__name__]))),
                    )
                )
            return made[self.rows_.columns].astype(self.rows_.dtypes.to_dict()).reset_index(drop=True)
        if isinstance(self.rows_, np.ndarray):
            made = np.asarray(made)
            if made.shape[1:] != self.rows_.shape[1:]:
                must = f"function must return rows of shape {self.rows_.shape[1:]}"
                raise DataError(sentence("FunctionGenerator", must, str(made.shape[1:])))
            return made.astype(self.rows_.dtype, copy=False)
        return made
