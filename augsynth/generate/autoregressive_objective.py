"""What an autoregressive model of table rows learns by: to guess the hidden cells of a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from augsynth.nn.backbones import ConditionEmbedding
from augsynth.nn.masked import MaskedNetwork, pick
from augsynth.nn.objective import Objective
from augsynth.nn.randomness import RowNoise

__all__ = ["MaskedRowsObjective", "PARTICLES", "token_plan"]

KEPT = 0.5  # share of a batch that is trained on the beginnings of the one order that is drawn in
PARTICLES = 64  # draws a row, among which the observed later cells choose, where the order is fixed


def token_plan(n: int) -> dict[str, Any]:
    """Say how long a masked network of table rows is trained: about the square root of the rows."""
    return {
        "steps": int(np.clip(8 * np.sqrt(n), 200, 20_000)),
        "batch_size": int(2 ** np.clip(np.round(np.log2(max(n, 1) / 4)), 5, 10)),
        "learning_rate": 3e-3,
        "ema": 0.998 if n >= 10_000 else 0.99,
        # short tables are soon learned by heart: rows held out choose more decay there, not fewer steps
        "weight_decay": float(np.clip(2.0 * (1000 / max(n, 1)) ** 0.55, 0.02, 3.0)),
    }


class MaskedRowsObjective(Objective):
    """The log-probability of the hidden cells of a row given the others, over random sets of hidden cells.

    Parameters
    ----------
    sizes : sequence of int, (p,)
        Number of tokens of each column.
    gaps : sequence of bool, (p,)
        True where a column's last token says "missing".
    condition : ConditionEmbedding or None
    backbone : MLPBackbone
    order : sequence of int, (p,)
        The order in which cells are drawn, and in which ``log_prob`` multiplies.
    any_order : bool, default=True
        Learn every set of hidden cells (half of the batch) beside the beginnings of
        ``order`` (the other half); else ``order`` alone.
    ordered : sequence of bool, (p,), optional
        True where neighbouring tokens are neighbouring numbers.
    smooth : sequence of float, (p,), optional
        Share of each column's tokens that are stretches of a continuous number.
    """

    rank: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        gaps: Sequence[bool],
        condition: ConditionEmbedding | None,
        backbone: Any,
        *,
        order: Sequence[int],
        any_order: bool = True,
        ordered: Sequence[bool] | None = None,
        smooth: Sequence[float] | None = None,
    ):
        super().__init__()
        self.network = MaskedNetwork(sizes, gaps, condition, backbone, ordered=ordered, smooth=smooth)
        self.steps_of_row = [int(j) for j in order]
        self.any_order = any_order
        rank = torch.empty(len(self.steps_of_row), dtype=torch.long)
        rank[torch.tensor(self.steps_of_row, dtype=torch.long)] = torch.arange(len(rank))
        self.register_buffer("rank", rank, persistent=False)
        self.kept = KEPT if any_order else 1.0

    def plan(self, n: int) -> Mapping[str, Any]:
        """Return the measured defaults for ``n`` rows."""
        return token_plan(n)

    def seen(self, n: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Choose which cells of ``n`` rows are seen, (n, p): every number of them is as likely."""
        p = len(self.rank)
        random = torch.rand(n, p, generator=generator, device=generator.device).to(device)
        offset = torch.rand(n, generator=generator, device=generator.device).to(device)
        rank = torch.argsort(torch.argsort(random, dim=1), dim=1)
        kept = round(self.kept * n)
        if kept:
            rank = torch.where((torch.arange(n, device=device) < kept).unsqueeze(1), self.rank, rank)
        # the numbers of both parts are spread evenly: neighbours in the batch differ by one stratum
        parts = [torch.arange(k, device=device) / max(k, 1) for k in (kept, n - kept)]
        place = torch.cat(parts)
        count = ((place + offset / max(n, 1)) * p).long().clamp(max=p - 1)
        return rank < count.unsqueeze(1)

    def losses(
        self, z: Tensor, c: Tensor, w: Tensor | None, *, step: int, generator: torch.Generator
    ) -> Iterable[tuple[str, Tensor]]:
        """Yield the one loss: minus the log-probability in nats a row, in expectation over hidden sets."""
        observed = self.seen(len(z), generator, z.device)
        cells = self.network.cell_log_prob(z, observed, c)
        hidden = (~observed).float()
        each = (cells * hidden).sum(1) * (z.shape[1] / hidden.sum(1))
        yield "model", -(each if w is None else each * w).mean()

    def log_prob(self, z: Tensor, c: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the exact log-probability of rows of tokens, (n,), in the order that is drawn in."""
        observed = torch.ones_like(z, dtype=torch.bool)
        return self._walk(z.long(), observed, c, None)[1]

    def draw(self, c: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one row of tokens for each cell of the condition, (n, p), cell after cell."""
        p = len(self.rank)
        uniform = torch.rand(len(c), p, generator=generator, device=generator.device).to(c.device)
        nothing = torch.zeros(len(c), p, dtype=torch.long, device=c.device)
        return self._walk(nothing, torch.zeros_like(nothing, dtype=torch.bool), c, uniform)[0]

    def complete(self, z: Tensor, observed: Tensor, c: Tensor, noise: RowNoise) -> Tensor:
        """Draw the cells that are not observed given those that are, (n, p); never "missing"."""
        n, p = z.shape
        if self.any_order:
            return self._fill(z.long(), observed, c, noise(p))
        choice = noise(1)[:, 0]
        uniform = noise(PARTICLES * p).view(n * PARTICLES, p)
        many = z.long().repeat_interleave(PARTICLES, 0)
        known = observed.repeat_interleave(PARTICLES, 0)
        drawn, weight = self._walk(many, known, c.repeat_interleave(PARTICLES, 0), uniform, whole=True)
        chosen = pick(weight.view(n, PARTICLES), choice)
        return drawn.view(n, PARTICLES, p)[torch.arange(n, device=z.device), chosen]

    def _walk(
        self, z: Tensor, given: Tensor, c: Tensor, uniform: Tensor | None, *, whole: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Go through the cells in order: keep the given, sum their log-probabilities, draw the others."""
        network, z = self.network, z.clone()
        table, weights = network.cells(), network.out()
        seen = torch.zeros_like(given)
        x = network.read(z, seen)
        total = x.new_zeros(len(z))
        for j in self.steps_of_row:
            logits = network.column(network.hidden(x, c), j, weights).float()
            allowed = self._real(logits, j) if whole else logits
            if uniform is not None:
                z[:, j] = torch.where(given[:, j], z[:, j], pick(allowed, uniform[:, j]))
            told = torch.log_softmax(logits, 1).gather(1, z[:, j : j + 1]).squeeze(1)
            # a draw that may not be "missing" weighs as much as it is likely not to be
            left = allowed.logsumexp(1) - logits.logsumexp(1) if whole else 0.0
            total = total + torch.where(given[:, j], told, left)
            start = network.cells.starts[j]
            x = x + table[start + z[:, j]] - table[start + network.sizes[j]]
        return z, total

    def _fill(self, z: Tensor, observed: Tensor, c: Tensor, uniform: Tensor) -> Tensor:
        """Draw the unobserved cells one after the other, each given all that is observed or drawn."""
        network, z = self.network, z.clone()
        table, weights = network.cells(), network.out()
        x = network.read(z, observed)
        for j in self.steps_of_row:
            logits = self._real(network.column(network.hidden(x, c), j, weights).float(), j)
            drawn = pick(logits, uniform[:, j])
            z[:, j] = torch.where(observed[:, j], z[:, j], drawn)
            start = network.cells.starts[j]
            step = table[start + z[:, j]] - table[start + network.sizes[j]]
            x = x + torch.where(observed[:, j : j + 1], 0.0, step)
        return z

    def _real(self, logits: Tensor, j: int) -> Tensor:
        """Rule out the token "missing", where a column has one beside others."""
        if not self.network.gaps[j] or self.network.sizes[j] == 1:
            return logits
        return torch.cat([logits[:, :-1], torch.full_like(logits[:, -1:], -torch.inf)], dim=1)
