"""Copies of real rows: the empirical distribution of each cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from augsynth.core import arrays
from augsynth.generate.base import BaseGenerator, Drawn
from augsynth.generate.cells import CellRows

__all__ = ["BootstrapGenerator"]


class BootstrapGenerator(BaseGenerator):
    """Draw real rows with replacement; random over-sampling when used by OverSampler.

    Rows may be of any kind (tables, images, clips, strings): they are copied as they
    are. Fit keeps a reference to the rows; a draw costs O(n).

    Parameters
    ----------
    random_state : None, int or Generator
        Seed of ``sample`` when the call gives none.

    References
    ----------
    Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics,
    1979. https://doi.org/10.1214/aos/1176344552

    Examples
    --------
    >>> import numpy as np
    >>> g = BootstrapGenerator().fit(np.array([[1.0], [2.0], [3.0]]), [0, 0, 1])
    >>> g.sample(y=[1, 1]).tolist()
    [[3.0], [3.0]]
    """

    _encodes = False
    _kind = "copied"

    def __init__(self, *, random_state: Any = None):
        self.random_state = random_state

    def _fit(self, X: Any, c: np.ndarray, w: np.ndarray | None, rng: np.random.Generator) -> None:
        self.rows_ = X
        self.cells_ = CellRows(c, self.condition_.n_cells, w)

    def _sample(self, c: np.ndarray, rng: np.random.Generator) -> Drawn:
        positions = self.cells_.pick(c, rng)
        return Drawn(arrays.take_rows(self.rows_, positions), positions[:, None])
