"""Copies of real rows: the empirical distribution of each cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from augsynth.core import arrays
from augsynth.generate.base import BaseGenerator, Drawn

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
        self.order_ = np.argsort(c, kind="stable")
        self.starts_ = np.concatenate([[0], np.cumsum(self.condition_.counts)])
        self.row_weights_ = None if w is None else w[self.order_]

    def _sample(self, c: np.ndarray, rng: np.random.Generator) -> Drawn:
        positions = self._pick(c, rng)
        return Drawn(arrays.take_rows(self.rows_, positions), positions[:, None])

    def _pick(self, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return one training row's position (n,) for each wanted cell."""
        if self.row_weights_ is None:
            offsets = (rng.random(len(c)) * self.condition_.counts[c]).astype(np.intp)
            return self.order_[self.starts_[c] + offsets]
        # One cumulative sum over all rows: a cell is a stretch of it.
        running = np.concatenate([[0.0], np.cumsum(self.row_weights_)])
        low, high = running[self.starts_[c]], running[self.starts_[c + 1]]
        found = np.searchsorted(running, low + rng.random(len(c)) * (high - low), side="right") - 1
        return self.order_[np.clip(found, self.starts_[c], self.starts_[c + 1] - 1)]
