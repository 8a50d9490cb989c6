"""Perturbations: draw the parameters, then apply them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from augsynth.core import arrays
from augsynth.core.random import ItemKeys, KeyedGenerator, resolve_seed

__all__ = [
    "ParametricPerturbation",
    "Perturbation",
    "as_batch",
    "perturb_rows",
    "take_where",
]


class Perturbation(BaseEstimator, ABC):
    """An edit of a sample that keeps its label.

    ``draw`` is the only random line and ``apply`` is pure, so an edit can be replayed
    from its parameters, and applied to what belongs to the sample (a mask, boxes). A
    table perturbation (``per_row``) takes a block of rows as one ``x``.

    Attributes
    ----------
    modality : str
        What ``x`` is: "image", "audio", "text", "table", or "any".
    needs_x : bool
        Whether ``draw`` looks at ``x``; False saves chains the work of showing it.
    learns : bool
        Whether ``fit`` learns from rows; those that do must be fitted before use.
    of_pixels : bool
        Whether it edits pixels (h, w, c) of any of their dtypes: chains of such edits take
        a picture out of its container once.
    moves : bool
        Whether it moves pixels, so that what belongs to them must follow: told by whether the
        class writes `apply_marks`.
    moves_points : bool
        Whether its `apply_marks` moves key points too; those that move pixels and not them are
        refused for items that have some.
    """

    per_row: ClassVar[bool] = False
    modality: ClassVar[str] = "any"
    needs_x: ClassVar[bool] = True
    learns: ClassVar[bool] = False
    of_pixels: ClassVar[bool] = False
    moves_points: ClassVar[bool] = False

    @property
    def moves(self) -> bool:
        """Whether it moves pixels, and what belongs to them."""
        return type(self).apply_marks is not Perturbation.apply_marks

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what the edit needs from training rows (nothing, for most)."""
        return self

    @abstractmethod
    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return the parameters of one edit of ``x``."""

    @abstractmethod
    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Return the edited ``x``; the same parameters give the same result."""

    def apply_marks(
        self, marks: dict[str, Any], params: dict[str, Any], *, size: tuple[int, int]
    ) -> dict[str, Any]:
        """Return what belongs to a sample after the same edit.

        Parameters
        ----------
        marks : dict
            ``mask`` (h, w) or (k, h, w), ``boxes`` (k, 4) as left, top, right, bottom in
            pixels, ``labels`` (k,) of the boxes, ``points`` (p, 2) as x and y in pixels, where
            (0, 0) is the middle of the first one; any of them.
        params : dict
            What ``draw`` gave.
        size : (height, width)
            Of the picture before the edit.

        Returns
        -------
        dict
            As it came, for edits that move nothing. All points, wherever they are now; NaN for
            those that are lost.
        """
        return marks

    def explain(self, x: Any, params: dict[str, Any]) -> dict[str, Any]:
        """Tell what an edit of ``x`` did: its parameters, unless there is more to tell."""
        return params

    def edit_many(self, xs: Any, keys: ItemKeys) -> Any:
        """Draw and apply for a batch: to the last bit what one after the other gives.

        Parameters
        ----------
        xs : list of samples, or ndarray (n, ...)
        keys : ItemKeys
            One key a sample.

        Returns
        -------
        list or ndarray
            As ``xs``.
        """
        return as_batch(xs, [self.apply(x, self.draw(x, keys.at(k))) for k, x in enumerate(xs)])

    @property
    def stream_name(self) -> str:
        """The name that the random stream is keyed by where this is a step among others."""
        return type(self).__name__

    def __call__(self, x: Any, *, random_state: Any = None) -> Any:
        """Draw and apply at once."""
        return self.apply(x, self.draw(x, KeyedGenerator().seat(resolve_seed(random_state))))


class ParametricPerturbation(Perturbation):
    """An edit whose parameters are a function of a fixed number of uniform numbers.

    Subclasses write `parameters` and `apply`; batches are then drawn at once, copies can
    be stratified, and an ``_apply_many(X, params)`` over a stack (n, ...) and parameters
    (n,), where there is one, edits them at once.
    """

    needs_x: ClassVar[bool] = False
    n_uniforms: ClassVar[int] = 1

    @abstractmethod
    def parameters(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parameters, arrays (n, ...), that uniform numbers (n, n_uniforms) stand for."""

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return the parameters of one edit."""
        drawn = self.parameters(rng.random(self.n_uniforms)[None])
        return {name: _plain(values[0]) for name, values in drawn.items()}

    def edit_many(self, xs: Any, keys: ItemKeys) -> Any:
        """Draw and apply for a batch: to the last bit what one after the other gives."""
        drawn = self.parameters(keys.uniforms(self.n_uniforms))
        at_once = getattr(self, "_apply_many", None)
        if at_once is not None and isinstance(xs, np.ndarray) and xs.dtype != object:
            return at_once(xs, drawn)
        rows = ({name: _plain(v[k]) for name, v in drawn.items()} for k in range(len(keys)))
        return as_batch(xs, [self.apply(x, params) for x, params in zip(xs, rows, strict=True)])


def perturb_rows(perturbation: Perturbation, X: Any, keys: ItemKeys) -> Any:
    """Edit every row of a container of samples: pictures, clips, texts, or the rows of a table at once.

    Returns
    -------
    object
        As ``X``: a list, an array, a Series; a table perturbation gives the table.
    """
    if perturbation.per_row:
        return perturbation.apply(X, perturbation.draw(X, keys.at(0)))
    return perturbation.edit_many(X, keys)


def as_batch(xs: Any, rows: list[Any]) -> Any:
    """Stack rows where the batch was a stack and they still have one shape; a Series gives a Series."""
    if isinstance(xs, pd.Series):
        return pd.Series(rows, index=xs.index, name=xs.name, dtype=xs.dtype)
    if not isinstance(xs, np.ndarray):
        return rows
    if xs.dtype.kind in "OUST":
        whole = np.empty(len(rows), dtype=object)
        for k, row in enumerate(rows):  # at once, rows of one length would become a matrix
            whole[k] = row
        return whole if xs.dtype == object else whole.astype(str)
    if rows and len({(row.shape, row.dtype) for row in rows}) == 1:
        return np.stack(rows)
    return rows if rows else xs


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def take_where(used: np.ndarray, edited: Any, x: Any) -> Any:
    """Return the rows of ``edited`` where ``used`` (n,), those of ``x`` elsewhere."""
    n = arrays.count_rows(x)
    # Stacking and taking keeps every dtype, which assignment into a frame would not.
    return arrays.take_rows(arrays.concat_rows([x, edited]), np.arange(n) + n * used)
