"""What can be done with the latent numbers of an autoencoder: encode, decode, reconstruct, traverse."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from augsynth.core.errors import DataError, sentence
from augsynth.core.parameters import check_number
from augsynth.generate.deep import TorchGenerator
from augsynth.generate.vae_line import Line
from augsynth.generate.vae_objective import VAEObjective
from augsynth.nn.latent_diffusion import LatentDiffusion
from augsynth.nn.prior import LatentPrior
from augsynth.nn.randomness import keyed_generator

__all__ = ["LatentGenerator"]

PRIOR_ROWS = 1024  # draws that tell the middle and the reach of a traversal


class LatentGenerator(TorchGenerator):
    """A deep generator whose rows have latent numbers that can be looked at and moved."""

    objective_: VAEObjective
    prior_: LatentPrior | LatentDiffusion

    def encode(self, X: Any, y: Any = None, *, sensitive_features: Any = None) -> np.ndarray:
        """Return the latent means of rows.

        Parameters
        ----------
        X, y, sensitive_features
            As in ``fit``.

        Returns
        -------
        ndarray, (n, latent_dim)
        """
        _, z, c, _ = self._take_query(X, y, sensitive_features, 0, "encode")
        if not hasattr(self, "objective_"):
            return np.zeros((len(z), 0), dtype=np.float32)
        return self._in_blocks(
            lambda rows, cells, _: self.objective_.encode(rows, cells)[0],
            (self._rows(z), torch.as_tensor(c)),
            0,
        )

    def decode(self, latents: np.ndarray, y: Any = None, *, sensitive_features: Any = None) -> Any:
        """Return the most probable row of each latent code, as ``sample`` would return it.

        Parameters
        ----------
        latents : array, (n, latent_dim)
        y, sensitive_features
            As in ``sample``; labels or groups that are not given are drawn (seed 0).
        """
        where = f"{type(self).__name__}.decode"
        latents = np.asarray(latents, dtype=np.float32)
        dim = self.objective_.latent_dim if hasattr(self, "objective_") else 0
        if latents.ndim != 2 or latents.shape[1] != dim:
            raise DataError(sentence(where, f"latents must have shape (n, {dim})", str(latents.shape)))
        c = self._cells(len(latents), y, sensitive_features, 0)
        if dim == 0:
            return self._decode(np.empty((len(latents), 0)), c)
        return self._decode_codes(torch.as_tensor(latents), c)

    def reconstruct(self, X: Any, y: Any = None, *, sensitive_features: Any = None) -> Any:
        """Return what is left of rows once they went through their latent means.

        Parameters
        ----------
        X, y, sensitive_features
            As in ``fit``.
        """
        _, z, c, _ = self._take_query(X, y, sensitive_features, 0, "reconstruct")
        if not hasattr(self, "objective_"):
            return self._decode(z, c)
        model = self.objective_
        coded = self._in_blocks(
            lambda rows, cells, _: model.ends.mode(model.outputs(model.encode(rows, cells)[0], cells)),
            (self._rows(z), torch.as_tensor(c)),
            0,
        )
        return self._decode(self._decode_rows(coded, None), c)

    def traverse(
        self,
        dimensions: Sequence[int] | int = 8,
        *,
        steps: int = 9,
        y: Any = None,
        sensitive_features: Any = None,
        start: np.ndarray | None = None,
    ) -> Any:
        """Return rows along one latent number at a time, the others held where they are.

        Parameters
        ----------
        dimensions : int or sequence of int, default=8
            Which latent numbers; or how many, those that move the output the most.
        steps : int, default=9
            Rows a latent number, from 2.5 standard deviations of the prior below its mean to as many above.
        y, sensitive_features : scalar, optional
            The condition; drawn (seed 0) where not given.
        start : array, (latent_dim,), optional
            A code, such as a row of what ``encode`` returns; by default the prior's mean.

        Returns
        -------
        rows
            ``len(dimensions) * steps`` rows as ``sample`` returns them, one latent number after the other.
        """
        where = f"{type(self).__name__}.traverse"
        check_number(where, "steps", steps, low=2, integer=True)
        if not hasattr(self, "objective_"):
            raise DataError(sentence(where, "the rows of fit must differ", "columns of one value each"))
        model, dim = self.objective_, self.objective_.latent_dim
        c = np.repeat(self._cells(1, y, sensitive_features, 0), PRIOR_ROWS)
        codes = self.prior_.draw(torch.as_tensor(c), keyed_generator(0)).double().numpy()
        if start is not None and np.shape(start) != (dim,):
            raise DataError(sentence(where, f"start must have shape ({dim},)", str(np.shape(start))))
        line = Line.through(codes, start)
        if isinstance(dimensions, (int, np.integer)):
            check_number(where, "dimensions", dimensions, low=1, high=dim, integer=True)
            ends = torch.as_tensor(line.ends(), dtype=torch.float32)
            raw = self._in_blocks(
                lambda codes, cells, _: model.outputs(codes, cells).flatten(1),
                (ends, torch.as_tensor(np.resize(c, 2 * dim))),
                0,
            )
            chosen = line.strongest(raw)[: int(dimensions)]
        else:
            chosen = [int(k) for k in dimensions]
        for k in chosen:
            check_number(where, "dimensions", k, low=0, high=dim - 1, integer=True)
        points = torch.as_tensor(line.points(chosen, steps), dtype=torch.float32)
        return self._decode_codes(points, np.resize(c, len(points)))

    def plot_reconstructions(
        self,
        X: Any,
        y: Any = None,
        *,
        sensitive_features: Any = None,
        path: str | os.PathLike[str] | None = None,
    ) -> Any:
        """Draw images above their reconstructions; return the figure, and write it to ``path`` if given."""
        from augsynth.generate.vae_pictures import reconstructions

        return reconstructions(
            X, self.reconstruct(X, y, sensitive_features=sensitive_features), self._axes(), path
        )

    def plot_traversal(
        self,
        dimensions: Sequence[int] | int = 8,
        *,
        path: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> Any:
        """Draw images along latent numbers, one a line; ``options`` are those of :meth:`traverse`."""
        from augsynth.generate.vae_pictures import traversal

        steps = options.setdefault("steps", 9)
        return traversal(self.traverse(dimensions, **options), steps, self._axes(), path)

    def _axes(self) -> str:
        """Return how the axes of an image are ordered, or say that there are none."""
        if not self._sees_images:
            must = "only a generator of images draws them"
            raise DataError(sentence(type(self).__name__, must, "one of a table", "Use traverse."))
        return self.codec_.axes

    def _decode_codes(self, codes: Tensor, c: np.ndarray) -> Any:
        coded = self._in_blocks(
            lambda codes, cells, _: self.objective_.ends.mode(self.objective_.outputs(codes, cells)),
            (codes, torch.as_tensor(c)),
            0,
        )
        return self._decode(self._decode_rows(coded, None), c)
