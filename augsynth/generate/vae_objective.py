"""What a variational autoencoder learns by: the evidence bound, for rows of tables and for images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from augsynth.generate.vae_completion import complete_rows
from augsynth.nn.backbones import ConditionEmbedding
from augsynth.nn.latent_diffusion import LatentDiffusion
from augsynth.nn.objective import Objective
from augsynth.nn.pixel_ends import ImageEnds
from augsynth.nn.prior import LatentPrior
from augsynth.nn.randomness import RowNoise, noise
from augsynth.nn.rows import RowEnds

__all__ = ["BOUND_SAMPLES", "ImageVAEObjective", "VAEObjective"]

WARM_UP = 0.2  # share of the steps over which beta rises
BOUND_SAMPLES = 64


class VAEObjective(Objective):
    """The evidence lower bound of a conditional autoencoder, with ``beta`` times its Kullback-Leibler term.

    Parameters
    ----------
    ends : RowEnds or ImageEnds
        How rows are read, and the likelihood that the decoder's output stands for.
    condition : ConditionEmbedding or None
        What the encoder and the decoder are told.
    backbone : MLPBackbone or ConvBackbone
        Size of the encoder and of the decoder.
    width : int
        Length of the vectors that rows of tables are read into.
    latent_dim : int
    beta : float
        0 leaves a plain autoencoder: codes without noise, no Kullback-Leibler term.
    """

    prior: LatentPrior | LatentDiffusion | None = None
    latent_dim: int
    encoder: nn.Module
    decoder: nn.Module

    def __init__(
        self,
        ends: RowEnds | ImageEnds,
        condition: ConditionEmbedding | None,
        backbone: Any,
        *,
        width: int,
        latent_dim: int,
        beta: float,
    ):
        super().__init__()
        self.ends, self.condition, self.latent_dim, self.beta = ends, condition, latent_dim, float(beta)
        told = 0 if condition is None else condition.weight.shape[1]
        self.encoder, self.decoder = self._networks(backbone, width, told)
        self.planned = 1

    def _networks(self, backbone: Any, width: int, told: int) -> tuple[nn.Module, nn.Module]:
        """Return the untrained encoder and decoder; ``told`` is the length of what the condition says."""
        encoder = backbone.build(width, 2 * self.latent_dim, told)
        return encoder, backbone.build(self.latent_dim, self.ends.n_outputs, told)

    def begin(self, planned_steps: int) -> None:
        """Learn how long the warm-up of beta is."""
        self.planned = planned_steps

    def _told(self, c: Tensor) -> Tensor | None:
        return None if self.condition is None else self.condition(c)

    def encode(self, z: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the log-variance (n, d) of the codes of rows."""
        out = self.encoder(self.ends.read(z), self._told(c))
        mean, log_variance = out.chunk(2, dim=1)
        return mean, log_variance.clamp(-12.0, 6.0)

    def outputs(self, codes: Tensor, c: Tensor) -> Tensor:
        """Return the decoder's outputs for codes (n, d)."""
        return self.decoder(codes, self._told(c))

    def sample_codes(self, z: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one code a row from its posterior."""
        mean, log_variance = self.encode(z, c)
        if self.beta == 0:
            return mean
        return mean + noise(mean.shape, generator, mean.device) * (0.5 * log_variance).exp()

    def losses(
        self, z: Tensor, c: Tensor, w: Tensor | None, *, step: int, generator: torch.Generator
    ) -> Iterable[tuple[str, Tensor]]:
        """Yield the one loss: reconstruction plus beta times divergence, in nats a row."""
        mean, log_variance = self.encode(z, c)
        codes, divergence = mean, torch.zeros(())
        if self.beta > 0:
            codes = mean + noise(mean.shape, generator, mean.device) * (0.5 * log_variance).exp()
            divergence = 0.5 * (mean**2 + log_variance.exp() - 1.0 - log_variance).sum(1)
        beta = self.beta * min(1.0, (step + 1) / (WARM_UP * self.planned))
        loss = beta * divergence - self.ends.log_prob(self.outputs(codes, c), z)
        yield "model", loss.mean() if w is None else (w * loss).mean()

    def draw(self, c: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one coded row for each cell."""
        prior = self.prior or LatentPrior.normal(self.latent_dim, 1)
        return self.ends.draw(self.outputs(prior.draw(c, generator), c), generator)

    def complete(self, z: Tensor, observed: Tensor, c: Tensor, noise: RowNoise, *, draws: int = 1) -> Tensor:
        """Draw the cells that are not observed given those that are, (n, p); more draws side by side."""
        return complete_rows(self, z, observed, c, noise, draws=draws).flatten(1)

    def bound(self, z: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Return the importance-weighted bound on the log-probability of coded rows, (n,)."""
        mean, log_variance = self.encode(z, c)
        shape = (BOUND_SAMPLES, *mean.shape)
        e = noise(shape, generator, mean.device)
        codes = (mean + e * (0.5 * log_variance).exp()).flatten(0, 1)
        log_q = -0.5 * (e**2 + log_variance + math.log(2 * math.pi)).sum(2)
        every = c.repeat(BOUND_SAMPLES)
        prior = self.prior or LatentPrior.normal(self.latent_dim, 1)
        density = prior.log_prob(codes.cpu().double().numpy(), every.cpu().numpy())
        log_p = torch.as_tensor(density, dtype=codes.dtype, device=codes.device)
        log_p = log_p + self.ends.log_prob(
            self.outputs(codes, every), z.repeat(BOUND_SAMPLES, *[1] * (z.dim() - 1))
        )
        return torch.logsumexp(log_p.view(shape[:2]) - log_q, dim=0) - math.log(BOUND_SAMPLES)


class ImageVAEObjective(VAEObjective):
    """The same bound with convolutional networks."""

    ends: ImageEnds

    def _networks(self, backbone: Any, width: int, told: int) -> tuple[nn.Module, nn.Module]:
        layout = self.ends.layout
        encoder = backbone.encoder(layout, 2 * self.latent_dim, told)
        return encoder, backbone.decoder(self.latent_dim, layout, self.ends.n_outputs, told)

    def plan(self, n: int) -> Mapping[str, Any]:
        """Say how many steps of how many images: measured on images of 8 x 8 and 28 x 28."""
        batch = 2 ** int(min(max(round(math.log2(max(n, 1) / 20)), 5), 7))
        return {"steps": int(min(max(8.0 * math.sqrt(n), 1000), 5000)), "batch_size": batch}
