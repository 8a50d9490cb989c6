"""Where latent codes are drawn from: a standard normal, or mixtures fitted to the codes of each cell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from augsynth.core.persistence import persistent
from augsynth.nn.mixture import Mixture, fit_mixture

__all__ = ["LatentPrior"]


@persistent
@dataclass
class LatentPrior:
    """Distributions of latent codes, one a cell.

    Attributes
    ----------
    dim : int
        Length of a code.
    mixtures : list of Mixture
        Empty for the standard normal.
    mixture_of : ndarray of int, (n_cells,)
        Which mixture serves which cell.
    """

    dim: int
    mixtures: list[Mixture]
    mixture_of: np.ndarray

    @classmethod
    def normal(cls, dim: int, n_cells: int) -> LatentPrior:
        """Return the standard normal prior."""
        return cls(dim, [], np.zeros(n_cells, dtype=np.intp))

    @classmethod
    def fitted(
        cls,
        codes: dict[tuple[int, ...], np.ndarray],
        members: list[tuple[int, ...]],
        rng: np.random.Generator,
    ) -> LatentPrior:
        """Fit a mixture to the codes (draws, rows, d) of each family of cells.

        Parameters
        ----------
        codes : dict
            Family of cells to codes: one or more posterior draws of each of its rows.
        members : list of tuple of int, (n_cells,)
            The family that serves each cell.
        rng : numpy Generator
        """
        families = list(codes)
        mixtures = [fit_mixture(codes[family], rng) for family in families]
        mixture_of = np.array([families.index(family) for family in members], dtype=np.intp)
        return cls(mixtures[0].means.shape[1], mixtures, mixture_of)

    def draw(self, c: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one code for each cell of ``c`` (n,), (n, d) float32, on the device of ``c``."""
        normal = torch.randn(len(c), self.dim, generator=generator, device=generator.device)
        uniform = normal[:, 0]
        if self.mixtures:
            uniform = torch.rand(len(c), generator=generator, device=generator.device)
        return self.shaped(c, uniform, normal)

    def shaped(self, c: Tensor, uniform: Tensor, normal: Tensor) -> Tensor:
        """Turn uniform (n,) and standard normal (n, d) numbers into codes of cells ``c`` (n,)."""
        if not self.mixtures:
            return normal.to(c.device)
        heights = uniform.cpu().numpy()
        own = self.mixture_of[c.cpu().numpy()]
        codes = normal.cpu().numpy().astype(np.float64)
        for k in np.unique(own):
            rows = own == k
            codes[rows] = self.mixtures[k].draw(heights[rows], codes[rows])
        return torch.as_tensor(codes, dtype=torch.float32, device=c.device)

    def log_prob(self, codes: np.ndarray, c: np.ndarray) -> np.ndarray:
        """Return the log-density of codes (n, d) in their cells, (n,)."""
        if not self.mixtures:
            return -0.5 * ((codes**2).sum(axis=1) + codes.shape[1] * math.log(2 * math.pi))
        own, out = self.mixture_of[c], np.empty(len(codes))
        for k in np.unique(own):
            out[own == k] = self.mixtures[k].log_prob(codes[own == k])
        return out
