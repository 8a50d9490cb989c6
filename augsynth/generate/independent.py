"""Columns drawn independently: the control that every generator must beat."""

from __future__ import annotations

from typing import Any

import numpy as np

from augsynth.generate.base import BaseGenerator
from augsynth.generate.cells import CellRows

__all__ = ["IndependentGenerator"]


class IndependentGenerator(BaseGenerator):
    """Draw every column by itself from the rows of the asked cell.

    Its marginals within a class are perfect and its relations between columns are
    gone, so it is the yardstick for scores that look at one column at a time. Use it
    as a control, not to make data. Fit and draw cost O(n p); all rows are kept.

    Parameters
    ----------
    schema : mapping or Schema, optional
        Column kinds that are not what inference would say.
    random_state : None, int or Generator

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 0.0], [1.0, 1.0]] * 50)
    >>> new = IndependentGenerator(random_state=0).fit(X).sample(400)
    >>> bool(abs(np.corrcoef(new.T)[0, 1]) < 0.2)
    True
    """

    def __init__(self, *, schema: Any = None, random_state: Any = None):
        self.schema = schema
        self.random_state = random_state

    def _fit(self, z: np.ndarray, c: np.ndarray, w: np.ndarray | None, rng: np.random.Generator) -> None:
        self.rows_ = z
        self.cells_ = CellRows(c, self.condition_.n_cells, w)

    def _sample(self, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        columns = [self.rows_[self.cells_.pick(c, rng), j] for j in range(self.rows_.shape[1])]
        return np.stack(columns, axis=1)
