"""The user's own simulator or renderer as a generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core import arrays
from augsynth.core.errors import DataError, ParameterError, offenders, sentence
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
        where = "FunctionGenerator"
        if not (np.ndim(made) if hasattr(made, "shape") else isinstance(made, (list, tuple))):
            raise DataError(sentence(where, f"function must return {n} rows", f"{made!r:.40}"))
        given = arrays.count_rows(made)
        if given != n:
            raise DataError(sentence(where, f"function must return {n} rows", str(given)))
        if isinstance(self.rows_, pd.DataFrame):
            if not isinstance(made, pd.DataFrame) or set(made.columns) != set(self.rows_.columns):
                must = f"function must return a DataFrame with columns {list(self.rows_.columns)}"
                got = str(list(getattr(made, "columns", [type(made).__name__])))
                raise DataError(sentence(where, must, got))
            cells = {name: _cast(made[name], dtype, repr(name)) for name, dtype in self.rows_.dtypes.items()}
            return pd.DataFrame(cells, columns=self.rows_.columns).reset_index(drop=True)
        if isinstance(self.rows_, np.ndarray):
            made = np.asarray(made)
            if made.shape[1:] != self.rows_.shape[1:]:
                must = f"function must return rows of shape {self.rows_.shape[1:]}"
                raise DataError(sentence(where, must, str(made.shape[1:])))
            return _cast(made, self.rows_.dtype, "the rows")
        return made


def _cast(values: Any, dtype: Any, name: str) -> Any:
    """Return values in the dtype of the training rows, or say that it would change them."""
    must = f"function must return {name} as {dtype}, as in fit"
    kinds = (getattr(dtype, "kind", ""), getattr(values.dtype, "kind", ""))
    if kinds[0] in "iub" and kinds[1] == "f":
        numbers = np.asarray(values, dtype=np.float64)
        odd = numbers[numbers != np.rint(numbers)]  # NaN too: it is not equal to itself
        if odd.size:
            raise DataError(sentence("FunctionGenerator", must, offenders(odd.ravel()), "Round them."))
    try:
        return values if values.dtype == dtype else values.astype(dtype)
    except (TypeError, ValueError) as error:
        raise DataError(sentence("FunctionGenerator", must, str(error))) from error
