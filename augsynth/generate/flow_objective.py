"""What a flow learns by: the exact log-likelihood of tokens and scores, or of pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from augsynth.nn.backbones import ConditionEmbedding
from augsynth.nn.flows import Flow
from augsynth.nn.heads import TokenEmbedding
from augsynth.nn.objective import Objective
from augsynth.nn.randomness import noise
from augsynth.nn.token_chain import TokenChain

__all__ = ["BOUND_DRAWS", "TOLD", "PixelFlowObjective", "RowFlowObjective"]

TOLD = 64  # length of the vector that tells the condition and the tokens
MARGIN = 0.05  # pixels are squeezed into this distance from 0 and 1 before the logit
BOUND_DRAWS = 16


class RowFlowObjective(Objective):
    """Likelihood of table rows: tokens one after the other, then the scores given all tokens.

    Parameters
    ----------
    sizes : sequence of int, (q,)
        Tokens of each token column.
    states : ndarray of int, (d,)
        The token column whose token 0 says that a score is there; -1 where it always is.
    condition : ConditionEmbedding or None
        Of length 64.
    backbones : (MLPBackbone, MLPBackbone)
        Size of the network of the tokens, and of each coupling.
    n_layers : int
    coupling : {"spline", "affine"}
    """

    states: Tensor

    def __init__(
        self,
        sizes: list[int],
        states: Any,
        condition: ConditionEmbedding | None,
        backbones: tuple[Any, Any],
        *,
        n_layers: int,
        coupling: str,
    ):
        super().__init__()
        self.q, self.d, self.condition = len(sizes), len(states), condition
        size = {name: int(getattr(backbones[0], name, 2)) for name in ("width", "depth")}
        told = 0 if condition is None else TOLD
        self.chain = TokenChain(sizes, n_context=told, **size) if sizes else None
        self.tokens_in = TokenEmbedding(sizes, TOLD) if sizes and self.d else None
        self.register_buffer("states", torch.as_tensor(states, dtype=torch.long), persistent=False)
        self.always = bool((self.states < 0).all())
        n_context = 0 if condition is None and self.tokens_in is None else TOLD
        self.flow = None
        if self.d:
            self.flow = Flow(
                self.d,
                backbones[1],
                n_layers=n_layers,
                n_context=n_context,
                coupling=coupling,
                linear=self.always,
            )

    def plan(self, n: int) -> Mapping[str, Any]:
        """Say the steps, rows a step and rate for ``n`` rows."""
        return {"steps": int(min(max(4 * math.sqrt(n), 200), 20_000)), "learning_rate": 3e-3}

    def _told(self, c: Tensor) -> Tensor | None:
        return None if self.condition is None else self.condition(c)

    def _context(self, tokens: Tensor, told: Tensor | None) -> Tensor | None:
        if self.tokens_in is None:
            return told
        return self.tokens_in(tokens) if told is None else told + self.tokens_in(tokens)

    def _seen(self, tokens: Tensor) -> Tensor | None:
        if self.always:
            return None
        return (tokens[:, self.states.clamp(min=0)] == 0) | (self.states < 0)

    def log_prob(self, z: Tensor, c: Tensor, generator: torch.Generator, *, draws: int = 1) -> Tensor:
        """Return log-probability of tokens plus log-density of scores, at a place of each stretch, (n,).

        Several ``draws`` average the density over that many places.
        """
        tokens, told = z[:, : self.q].long(), self._told(c)
        total = z.new_zeros(len(z)) if self.chain is None else self.chain.log_prob(tokens, told)
        if self.flow is None:
            return total
        low, high = z[:, self.q : self.q + self.d], z[:, self.q + self.d :]
        where, n = generator.device, len(z)
        share = torch.rand(draws * n, self.d, generator=generator, device=where).to(z.device)
        scores = low.repeat(draws, 1) + share * (high - low).repeat(draws, 1)
        seen, context = self._seen(tokens), self._context(tokens, told)
        context = None if context is None else context.repeat(draws, 1)
        if seen is not None:
            seen = seen.repeat(draws, 1)
            scores = torch.where(seen, scores, 0.0)
        density = self.flow.log_prob(scores, context, seen).view(draws, n)
        return total + torch.logsumexp(density, dim=0) - math.log(draws)

    def losses(
        self, z: Tensor, c: Tensor, w: Tensor | None, *, step: int, generator: torch.Generator
    ) -> Iterable[tuple[str, Tensor]]:
        """Yield the one loss: nats a row, scores in units of the normal distribution."""
        loss = -self.log_prob(z, c, generator)
        yield "model", loss.mean() if w is None else (w * loss).mean()

    def draw(self, c: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one coded row for each cell."""
        told, n, where = self._told(c), len(c), generator.device
        uniform = torch.rand(n, self.q, generator=generator, device=where).to(c.device)
        tokens = uniform.long() if self.chain is None else self.chain.draw(uniform, told)
        u = noise((n, self.d), generator, c.device)
        if self.flow is None:
            return torch.cat([tokens.to(u.dtype), u, u], dim=1)
        seen = self._seen(tokens)
        scores, _ = self.flow.inverse(
            u if seen is None else torch.where(seen, u, 0.0), self._context(tokens, told), seen
        )
        if seen is not None:
            scores = torch.where(seen, scores, torch.nan)
        return torch.cat([tokens.to(u.dtype), scores, scores], dim=1)


class PixelFlowObjective(Objective):
    """Likelihood of small images: dequantised pixels, as logits, through a flow.

    Parameters
    ----------
    shape : (channels, height, width)
    levels : int
        Levels of a pixel; 0 for continuous pixels in [-1, 1].
    condition : ConditionEmbedding or None
    backbone : MLPBackbone
    n_layers : int
    coupling : {"spline", "affine"}
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        levels: int,
        condition: ConditionEmbedding | None,
        backbone: Any,
        *,
        n_layers: int,
        coupling: str,
    ):
        super().__init__()
        self.shape, self.levels, self.condition = shape, levels, condition
        d = math.prod(shape)
        n_context = 0 if condition is None else TOLD
        self.flow = Flow(d, backbone, n_layers=n_layers, n_context=n_context, coupling=coupling)

    def plan(self, n: int) -> Mapping[str, Any]:
        """Say the steps and the rate for ``n`` images."""
        return {"steps": int(min(max(15 * math.sqrt(n), 300), 20_000)), "learning_rate": 1e-3}

    def _told(self, c: Tensor) -> Tensor | None:
        return None if self.condition is None else self.condition(c)

    def log_prob(self, z: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Return the log-probability of images of levels (its bound of one draw), or log-density, (n,)."""
        flat = z.flatten(1)
        if self.levels:
            where = generator.device
            u = torch.rand(flat.shape, generator=generator, device=where).to(z.device)
            share, volume = (flat + u) / self.levels, -math.log(self.levels)
        else:
            share, volume = (flat + 1.0) / 2.0, -math.log(2.0)
        inner = MARGIN + (1.0 - 2.0 * MARGIN) * share
        x = inner.log() - torch.log1p(-inner)
        slope = (math.log(1.0 - 2.0 * MARGIN) - inner.log() - torch.log1p(-inner)).sum(1)
        return self.flow.log_prob(x, self._told(c)) + slope + volume * flat.shape[1]

    def bound(self, z: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Return the bound of 16 draws of the noise, (n,); exact for continuous pixels."""
        draws = BOUND_DRAWS if self.levels else 1
        found = [self.log_prob(z, c, generator) for _ in range(draws)]
        return torch.logsumexp(torch.stack(found), dim=0) - math.log(draws)

    def losses(
        self, z: Tensor, c: Tensor, w: Tensor | None, *, step: int, generator: torch.Generator
    ) -> Iterable[tuple[str, Tensor]]:
        """Yield the one loss: nats an image."""
        loss = -self.log_prob(z, c, generator)
        yield "model", loss.mean() if w is None else (w * loss).mean()

    def draw(self, c: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one coded image for each cell."""
        u = noise((len(c), self.flow.d), generator, c.device)
        x, _ = self.flow.inverse(u, self._told(c))
        share = ((torch.sigmoid(x) - MARGIN) / (1.0 - 2.0 * MARGIN)).clamp(0.0, 1.0)
        if not self.levels:
            return (2.0 * share - 1.0).view(-1, *self.shape)
        return (share * self.levels).floor().clamp(max=self.levels - 1).to(torch.uint8).view(-1, *self.shape)
