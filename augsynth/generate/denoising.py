"""What a diffusion model of images learns by: guessing the clean image behind a noisy one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from augsynth.encode.image import ImageLayout
from augsynth.nn import denoiser
from augsynth.nn.backbones import ConditionEmbedding
from augsynth.nn.objective import Objective
from augsynth.nn.pixels import Pixels
from augsynth.nn.randomness import noise
from augsynth.nn.schedules import Schedule

__all__ = ["FORGOTTEN", "STEPS", "DenoisingObjective"]

FORGOTTEN = 0.1  # share of training images whose condition is withheld, if there is guidance
STEPS = 18


class DenoisingObjective(Objective):
    """Guess clean images from noisy ones, at every noise of a schedule.

    Why this learns a distribution: of all guesses D the mean of the clean images given
    the noisy one has the least squared error, and by Tweedie's formula that mean
    knows the score, the gradient of the log-density of the noisy images:
    ``score(x; sigma) = (D(x; sigma) - x) / sigma^2``. The score is all that the
    deterministic path from pure noise to clean images needs.

    Parameters
    ----------
    layout : ImageLayout
    condition : ConditionEmbedding or None
        What the network is told.
    backbone : UNetBackbone
        Anything whose ``build(layout, n_context)`` makes a network of (images, log noise, context).
    schedule : Schedule
        Which noises are trained on, and which a sampler stops at.
    guidance : float
        How far guesses move away from those without the condition; 0 not at all.
    n_steps : int
        Evaluations of the network an image (twice as many with guidance).
    center, spread : float
        Mean and standard deviation of the training images' pixels in [-1, 1].
    """

    def __init__(
        self,
        layout: ImageLayout,
        condition: ConditionEmbedding | None,
        backbone: Any,
        *,
        schedule: Schedule,
        guidance: float = 0.0,
        n_steps: int = STEPS,
        center: float = 0.0,
        spread: float = 0.5,
    ):
        super().__init__()
        self.layout, self.condition, self.schedule = layout, condition, schedule
        self.guidance, self.n_steps = float(guidance), int(n_steps)
        self.center, self.spread = float(center), float(spread)
        self.pixels = Pixels(layout.levels)
        self.network = backbone.build(layout, 0 if condition is None else condition.weight.shape[1])

    def plan(self, n: int) -> Mapping[str, Any]:
        """Say how many images, and how fast: measured on images of 8 x 8 (small networks, many steps)."""
        small = n < 8000
        return {
            "steps": int(np.clip(56 * math.sqrt(n), 300, 4500)),
            "batch_size": min(32 if small else 64, n),
            "learning_rate": 6e-3 if small else 4e-3,
            "ema": 0.995 if small else 0.998,
            "clip": 1.0,
        }

    def read(self, z: Tensor) -> Tensor:
        """Map coded images to numbers of mean zero and variance one."""
        return (self.pixels.read(z) - self.center) / self.spread

    def _told(self, c: Tensor) -> Tensor | None:
        return None if self.condition is None else self.condition(c)

    def losses(
        self, z: Tensor, c: Tensor, w: Tensor | None, *, step: int, generator: torch.Generator
    ) -> Iterable[tuple[str, Tensor]]:
        """Yield the one loss: the squared error at every pixel, all noises weighing the same."""
        told = self._told(c)
        if told is not None and self.guidance:
            kept = torch.rand(len(c), generator=generator, device=generator.device) >= FORGOTTEN
            told = told * kept.to(told.device)[:, None]
        ratio = self.schedule.trained(denoiser.stratified(len(z), generator, z.device))
        loss = denoiser.denoising_loss(
            lambda x, level: self.network(x, level, told), self.read(z), ratio, generator
        )
        yield "model", loss.mean() if w is None else (w * loss).mean()

    def guess(self, x: Tensor, ratio: Tensor, told: Tensor | None) -> Tensor:
        """Return the clean images (of variance one) behind noisy ones, within the range of pixels."""
        if told is None or self.guidance == 0.0:
            made = denoiser.denoised(lambda x, level: self.network(x, level, told), x, ratio)
        else:
            both = torch.cat([told, torch.zeros_like(told)])
            pair = denoiser.denoised(
                lambda x, level: self.network(x, level, both), x.repeat(2, 1, 1, 1), ratio.repeat(2)
            )
            own, any_ = pair.chunk(2)
            made = denoiser.guided(own, any_, self.guidance)
        # A mean of pixels lies where pixels do.
        return made.clamp((-1.0 - self.center) / self.spread, (1.0 - self.center) / self.spread)

    def draw(self, c: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one coded image for each cell."""
        told, ratios = self._told(c), self.schedule.grid(self.n_steps)
        first = float(ratios[0])
        x = noise((len(c), *self.layout.shape), generator, c.device) * math.sqrt(1.0 + first**2)
        x = denoiser.solve(lambda x, ratio: self.guess(x, ratio, told), x, ratios)
        return self.pixels.write(x * self.spread + self.center)
