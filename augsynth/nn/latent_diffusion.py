"""A small diffusion model of latent codes: a prior that can take any shape."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from augsynth.core.errors import DataError, sentence
from augsynth.core.persistence import persistent
from augsynth.nn import denoiser
from augsynth.nn.backbones import ConditionEmbedding, MLPBackbone
from augsynth.nn.noise_levels import NoiseEmbedding
from augsynth.nn.objective import Objective
from augsynth.nn.randomness import forked, noise
from augsynth.nn.schedules import EDMSchedule
from augsynth.nn.trainer import Trainer

__all__ = ["LatentDenoising", "LatentDiffusion"]

STEPS = 24
TOLD = 64


class LatentDenoising(Objective):
    """Guess clean codes of variance one from noisy ones, by a perceptron.

    Parameters
    ----------
    dim : int
        Length of a code.
    condition : ConditionEmbedding or None
    backbone : MLPBackbone
    """

    def __init__(self, dim: int, condition: ConditionEmbedding | None, backbone: MLPBackbone):
        super().__init__()
        self.dim, self.condition = dim, condition
        self.schedule = EDMSchedule.sized(dim)
        self.noise = NoiseEmbedding(TOLD, 0 if condition is None else condition.weight.shape[1])
        self.network = backbone.build(dim, dim, TOLD)

    def plan(self, n: int) -> Mapping[str, Any]:
        """Say how long: a step is a matter of milliseconds."""
        steps = int(np.clip(30 * math.sqrt(n), 500, 5000))
        return {"steps": steps, "batch_size": min(256, n), "learning_rate": 2e-3, "ema": 0.995}

    def _answer(self, x: Tensor, level: Tensor, told: Tensor | None) -> Tensor:
        return self.network(x, self.noise(level, told))

    def losses(
        self, z: Tensor, c: Tensor, w: Tensor | None, *, step: int, generator: torch.Generator
    ) -> Iterable[tuple[str, Tensor]]:
        """Yield the one loss: the squared error of every number, all noises weighing the same."""
        told = None if self.condition is None else self.condition(c)
        ratio = self.schedule.trained(denoiser.stratified(len(z), generator, z.device))
        loss = denoiser.denoising_loss(lambda x, level: self._answer(x, level, told), z, ratio, generator)
        yield "model", loss.mean() if w is None else (w * loss).mean()

    def draw(self, c: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one code of variance one for each cell."""
        told = None if self.condition is None else self.condition(c)
        ratios = self.schedule.grid(STEPS)
        x = noise((len(c), self.dim), generator, c.device) * math.sqrt(1.0 + float(ratios[0]) ** 2)
        return denoiser.solve(
            lambda x, r: denoiser.denoised(lambda y, level: self._answer(y, level, told), x, r), x, ratios
        )


@persistent
class LatentDiffusion:
    """Where latent codes are drawn from: a diffusion model that was fitted to the codes of training rows.

    Mixtures of Gaussians describe codes cell by cell; this model can follow any
    shape, and shares what the cells have in common.

    Parameters
    ----------
    attributes : ndarray of int, (n_cells, k)
        Attribute codes of each cell, as :class:`ConditionEmbedding` takes them.
    sizes : ndarray of int, (k,)
        Number of codes of each attribute.
    width, depth : int
        Size of the network.

    References
    ----------
    A. Vahdat, K. Kreis, J. Kautz, "Score-based Generative Modeling in Latent Space", 2021,
    arXiv:2106.05931. R. Rombach et al., "High-Resolution Image Synthesis with Latent
    Diffusion Models", 2022, arXiv:2112.10752. H. Zhang et al., "Mixed-Type Tabular Data
    Synthesis with Score-based Diffusion in Latent Space", 2024, arXiv:2310.09656.
    """

    weights: dict[str, np.ndarray]

    def __init__(self, attributes: np.ndarray, sizes: np.ndarray, *, width: int = 256, depth: int = 3):
        self.attributes = np.asarray(attributes)
        self.sizes = np.asarray(sizes)
        self.width, self.depth = width, depth

    def fit(
        self,
        codes: np.ndarray,
        c: np.ndarray,
        w: np.ndarray | None = None,
        *,
        rng: np.random.Generator,
        most_steps: int | None = None,
        device: str = "cpu",
    ) -> LatentDiffusion:
        """Learn the codes (n, d) of cells ``c`` (n,), with weights ``w`` of mean one, on a device."""
        self.center = codes.mean(axis=0).astype(np.float32)
        self.scale = np.maximum(codes.std(axis=0), 1e-3).astype(np.float32)
        self.dim = codes.shape[1]
        model = self._make(int(rng.integers(2**63 - 1)))
        rows = torch.as_tensor((codes - self.center) / self.scale, dtype=torch.float32)
        weights = None if w is None else torch.as_tensor(w, dtype=torch.float32)
        planned = int(model.plan(len(rows))["steps"])
        trainer = Trainer(steps=min(planned, most_steps or planned), device=device)
        trainer.run(model, rows, torch.as_tensor(c), w=weights, rng=rng)
        self.weights = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
        return self

    def draw(self, c: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one code for each cell of ``c`` (n,), (n, d) float32, on the device of ``c``."""
        model = self._model.to(c.device)
        with torch.no_grad():
            codes = model.draw(c, generator)
        scale, center = (torch.as_tensor(a, device=c.device) for a in (self.scale, self.center))
        return codes * scale + center

    def log_prob(self, codes: np.ndarray, c: np.ndarray) -> NoReturn:
        """Refuse: the density of a diffusion model has no closed form.

        Raises
        ------
        DataError
        """
        must, given = "log_prob needs the prior 'mixture' or 'normal'", "prior='diffusion'"
        raise DataError(sentence("VAEGenerator", must, given))

    @cached_property
    def _model(self) -> LatentDenoising:
        model = self._make(0)
        model.load_state_dict({name: torch.as_tensor(value) for name, value in self.weights.items()})
        return model.eval()

    def _make(self, seed: int) -> LatentDenoising:
        with forked(seed):
            told = self.attributes.shape[1] > 0
            condition = ConditionEmbedding(self.attributes, self.sizes, TOLD) if told else None
            return LatentDenoising(self.dim, condition, MLPBackbone(self.width, depth=self.depth))
