"""Perturbed copies of real rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from augsynth.core import arrays
from augsynth.core.errors import ParameterError, sentence
from augsynth.core.random import keyed_rng, resolve_seed
from augsynth.generate.base import BaseGenerator, Drawn
from augsynth.generate.cells import CellRows
from augsynth.perturb.base import Perturbation
from augsynth.perturb.combine import Compose
from augsynth.perturb.table import CategoryFlip, ScaledJitter

__all__ = ["PerturbGenerator"]


class PerturbGenerator(BaseGenerator):
    """Copy real rows of the asked class and edit the copies.

    Any perturbation works, over any kind of row: table edits run on whole blocks,
    others sample by sample. Columns that the generator is conditioned on are never
    edited. Cost: that of the perturbation.

    Parameters
    ----------
    perturbation : Perturbation, optional
        Default for tables: ``Compose([ScaledJitter(), CategoryFlip()])``.
    random_state : None, int or Generator

    Examples
    --------
    >>> import numpy as np
    >>> from augsynth.perturb import ScaledJitter
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]])
    >>> g = PerturbGenerator(ScaledJitter(0.01), random_state=0).fit(X, [0, 0, 0, 1, 1])
    >>> bool((g.sample(y=[1] * 5) > 9).all())
    True
    """

    _encodes = False
    _kind = "perturbed"

    def __init__(self, perturbation: Perturbation | None = None, *, random_state: Any = None):
        self.perturbation = perturbation
        self.random_state = random_state

    def _fit(self, X: Any, c: np.ndarray, w: np.ndarray | None, rng: np.random.Generator) -> None:
        chosen = self.perturbation
        if chosen is None:
            if np.ndim(X) != 2:
                must = "perturbation must be given for rows that are not a table"
                raise ParameterError(sentence("PerturbGenerator", must, "none"))
            chosen = Compose([ScaledJitter(), CategoryFlip()])
        if not isinstance(chosen, Perturbation):
            raise ParameterError(
                sentence("PerturbGenerator", "perturbation must be a Perturbation", repr(chosen))
            )
        self.perturbation_ = clone(chosen).fit(X)
        self.rows_ = X
        self.cells_ = CellRows(c, self.condition_.n_cells, w)

    def _sample(self, c: np.ndarray, rng: np.random.Generator) -> Drawn:
        positions = self.cells_.pick(c, rng)
        copies = arrays.take_rows(self.rows_, positions)
        seed = resolve_seed(rng)
        if self.perturbation_.per_row:
            edited = self.perturbation_(copies, random_state=seed)
            if self.given_:
                edited = edited.assign(**{name: copies[name] for name in self.given_})
            return Drawn(edited, positions[:, None])
        policy = self.perturbation_
        edited = [policy.apply(x, policy.draw(x, keyed_rng(seed, i))) for i, x in enumerate(copies)]
        rows = edited if isinstance(copies, list) else np.stack(edited).astype(copies.dtype, copy=False)
        return Drawn(rows, positions[:, None])
