"""Perturbed copies of real rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from augsynth.core import arrays
from augsynth.core.random import ItemKeys, resolve_seed
from augsynth.generate.base import BaseGenerator, Drawn
from augsynth.generate.cells import CellRows
from augsynth.perturb.rows import edit_rows, policy_for

__all__ = ["PerturbGenerator"]


class PerturbGenerator(BaseGenerator):
    """Copy real rows of the asked class and edit the copies.

    Any perturbation works, over any kind of row: a table; pictures (an array (n, h, w),
    (n, h, w, c) or (n, c, h, w), a tensor, a list of PIL images of any sizes); clips (an
    array or tensor (n, samples) or (n, channels, samples), a list of arrays of any
    lengths); texts (a list, an array or a Series of str). New rows come in the container
    and type of the rows; an array of fixed-width text grows as wide as it must. Columns
    that the generator is conditioned on are never edited. Cost: that of the perturbation.

    Parameters
    ----------
    perturbation : Perturbation, str, list, transform or function, optional
        What edits the copies: whatever `augsynth.perturb.foreign.as_perturbation` takes,
        such as ``"image_medium"``, a list of edits, or a transform of albumentations. It is
        fitted on the rows and their labels. By default ``text_medium`` for texts,
        ``image_weak`` for pictures (nothing is mirrored: a mirrored b is a d), scaled jitter
        and category flips for tables. Clips have no default, as edits must know the rate.
    random_state : None, int or Generator

    Raises
    ------
    ParameterError
        In ``fit``, if the perturbation edits another kind of row, or there is no default.
    DataError
        In ``fit`` for missing texts; in ``sample`` for edits that change the shape or the
        type of the rows of an array.

    Notes
    -----
    Row i is a function of the seed and i alone, but for tables, which are edited in blocks.

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

    def __init__(self, perturbation: Any = None, *, random_state: Any = None):
        self.perturbation = perturbation
        self.random_state = random_state

    def _fit(self, X: Any, c: np.ndarray, w: np.ndarray | None, rng: np.random.Generator) -> None:
        labels = None
        if self.condition_.has_y:
            labels = self.condition_.classes.to_numpy()[self.condition_.class_of_cell[c]]
        self.perturbation_ = policy_for(self.perturbation, X, labels, where=type(self).__name__)
        self.rows_ = X
        self.cells_ = CellRows(c, self.condition_.n_cells, w)

    def _sample(self, c: np.ndarray, rng: np.random.Generator) -> Drawn:
        seed = resolve_seed(rng)  # before the rows are picked: how many there are must not change it
        positions = self.cells_.pick(c, rng)
        copies = arrays.take_rows(self.rows_, positions)
        keys = ItemKeys(seed, 0, np.arange(len(c)))
        edited = edit_rows(self.perturbation_, copies, keys, where=type(self).__name__)
        if self.given_:
            edited = edited.assign(**{name: copies[name] for name in self.given_})
        return Drawn(edited, positions[:, None])
