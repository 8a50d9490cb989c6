"""Diffusion of tokens: cells are hidden one by one, and the network learns to bring them back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from augsynth.generate.autoregressive_objective import token_plan
from augsynth.nn.backbones import ConditionEmbedding
from augsynth.nn.masked import MaskedNetwork
from augsynth.nn.objective import Objective
from augsynth.nn.randomness import RowNoise

__all__ = ["MaskedDiffusionObjective"]

BOUND_DRAWS = 8  # random orders a row that the bound averages over


class MaskedDiffusionObjective(Objective):
    """The bound on the log-probability of token rows whose cells are hidden at random times.

    Forwards, every cell is hidden at a time of its own, uniform between 0 and 1. The
    network learns to guess all hidden cells from those still seen; backwards, cells are
    revealed in ``n_steps`` steps. In the limit of many steps the bound depends on the times only
    through which cells are hidden, so it is the average, over random orders, of the
    log-probability of revealing one cell after the other.

    Parameters
    ----------
    sizes : sequence of int, (p,)
        Number of tokens of each column.
    gaps : sequence of bool, (p,)
        True where a column's last token says "missing".
    condition : ConditionEmbedding or None
    backbone : MLPBackbone
    n_steps : int, optional
        Steps in which a row is revealed; by default one a column, up to 32. Cells that are revealed
        in the same step are drawn independently: fewer steps are faster and less exact.
    ordered : sequence of bool, (p,), optional
        True where neighbouring tokens are neighbouring numbers.
    smooth : sequence of float, (p,), optional
        Share of each column's tokens that are stretches of a continuous number.

    Notes
    -----
    Deviation: times are stratified (each row has a uniform number of hidden cells, spread
    evenly over the batch) and, backwards, each step reveals as many cells as the next,
    in place of a random number: the same distribution in the limit, with less noise.

    References
    ----------
    J. Austin et al., "Structured Denoising Diffusion Models in Discrete State-Spaces", 2021,
    arXiv:2107.03006. J. Shi et al., "Simplified and Generalized Masked Diffusion for Discrete
    Data", 2024, arXiv:2406.04329. S. Sahoo et al., "Simple and Effective Masked Diffusion Language
    Models", 2024, arXiv:2406.07524.

    Examples
    --------
    >>> from augsynth.nn.backbones import MLPBackbone
    >>> model = MaskedDiffusionObjective([2, 5], [False, True], None, MLPBackbone(8, depth=2))
    >>> model.draw(torch.zeros(3, dtype=torch.long), torch.Generator().manual_seed(0)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        sizes: Sequence[int],
        gaps: Sequence[bool],
        condition: ConditionEmbedding | None,
        backbone: Any,
        *,
        n_steps: int | None = None,
        ordered: Sequence[bool] | None = None,
        smooth: Sequence[float] | None = None,
    ):
        super().__init__()
        self.network = MaskedNetwork(sizes, gaps, condition, backbone, ordered=ordered, smooth=smooth)
        p = len(self.network.sizes)
        self.n_steps = min(p, 32 if n_steps is None else int(n_steps))

    def plan(self, n: int) -> Mapping[str, Any]:
        """Return the measured defaults for ``n`` rows."""
        return token_plan(n)

    def losses(
        self, z: Tensor, c: Tensor, w: Tensor | None, *, step: int, generator: torch.Generator
    ) -> Iterable[tuple[str, Tensor]]:
        """Yield the one loss: minus the bound at one time a row, in nats a row."""
        n, p = z.shape
        offset = torch.rand(n, generator=generator, device=generator.device).to(z.device)
        count = ((torch.arange(n, device=z.device) + offset) / n * p).long().clamp(max=p - 1)
        rank = _ranks(n, p, generator, z.device)
        hidden = (rank >= count.unsqueeze(1)).float()
        cells = self.network.cell_log_prob(z, hidden == 0, c)
        each = (cells * hidden).sum(1) * (p / hidden.sum(1))
        yield "model", -(each if w is None else each * w).mean()

    def bound(self, z: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Return an estimate, in expectation a lower bound, of the log-probability of rows, (n,).

        A row's probability, where one cell a step is revealed, is its mean over all orders of
        the cells; this is the log of the mean over eight random ones. Where several cells
        are revealed in a step, it is the model's own, not that of its faster draws.
        """
        n, p = z.shape
        totals = []
        for _ in range(BOUND_DRAWS):
            rank = _ranks(n, p, generator, z.device)
            total = torch.zeros(n, device=z.device)
            for count in range(p):
                cells = self.network.cell_log_prob(z, rank < count, c)
                total = total + torch.where(rank == count, cells, 0.0).sum(1)
            totals.append(total)
        return torch.logsumexp(torch.stack(totals), 0) - math.log(BOUND_DRAWS)

    def draw(self, c: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one row of tokens for each cell of the condition, (n, p)."""
        n, p = len(c), len(self.network.sizes)
        nothing = torch.zeros(n, p, dtype=torch.long, device=c.device)

        def noise(k: int) -> Tensor:
            return torch.rand(n, k, generator=generator, device=generator.device).to(c.device)

        return self._reveal(nothing, torch.zeros_like(nothing, dtype=torch.bool), c, noise, real=False)

    def complete(self, z: Tensor, observed: Tensor, c: Tensor, noise: RowNoise) -> Tensor:
        """Draw the cells that are not observed given those that are, (n, p); never "missing"."""
        return self._reveal(z.long(), observed, c, noise, real=True)

    def _reveal(
        self, z: Tensor, observed: Tensor, c: Tensor, noise: Callable[[int], Tensor], *, real: bool
    ) -> Tensor:
        network, p = self.network, z.shape[1]
        # the observed come first; the others are numbered from nought in their own random order
        rank = torch.argsort(torch.argsort(torch.where(observed, -1.0, noise(p)), dim=1), dim=1)
        place = rank - observed.sum(1, keepdim=True)
        when = place * self.n_steps // p
        z, seen = z.clone(), observed
        weights = network.out()[network.pick]
        for step in range(self.n_steps):
            uniform = noise(p)
            hidden = network.hidden(network.read(z, seen), c)
            raw = torch.nn.functional.linear(hidden, weights, network.bias).float()
            now = ~observed & (when == step)
            z = torch.where(now, network.head.draw(raw + network.bar if real else raw, uniform), z)
            seen = seen | now
        return z


def _ranks(n: int, p: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Return a random order of the cells of each row, (n, p): each cell's place in it."""
    random = torch.rand(n, p, generator=generator, device=generator.device).to(device)
    return torch.argsort(torch.argsort(random, dim=1), dim=1)
