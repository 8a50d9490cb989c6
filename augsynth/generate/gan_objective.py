"""The game of a generator and a discriminator, turn by turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from augsynth.nn import alarm
from augsynth.nn.adversarial import LOSSES, Adversaries
from augsynth.nn.objective import Objective
from augsynth.nn.stabilise import Round, Stabiliser

__all__ = ["GANObjective"]

LEAST_SLICE = 64  # a batch that would be cut into smaller slices is shown whole in every turn
WATCHED_ROWS = 256
SCORED_ROWS = 1024


class GANObjective(Objective):
    """Adversarial training: some turns of the discriminator, then one of the generator.

    Each turn of the discriminator sees rows of its own and fakes of fresh noise, made
    without a gradient; real and fake rows of a turn have the same cells. Batches are sorted by
    cell, so that rows judged together are of one.

    Parameters
    ----------
    pair : Adversaries
    loss : str
        A name in :data:`augsynth.nn.adversarial.LOSSES`.
    stabilisers : sequence of Stabiliser
    discriminator_steps : int
    counts : array of int, (n_cells,)
        Training rows in each cell.
    """

    counts: Tensor

    def __init__(
        self,
        pair: Adversaries,
        *,
        loss: str,
        stabilisers: Sequence[Stabiliser] = (),
        discriminator_steps: int = 1,
        counts: np.ndarray,
    ):
        super().__init__()
        self.pair, self.loss = pair, LOSSES[loss]
        self.stabilisers, self.turns = tuple(stabilisers), int(discriminator_steps)
        self.register_buffer("counts", torch.as_tensor(counts), persistent=False)
        self.planned = 1
        self._seen: dict[str, Tensor] = {}
        example = self._example()
        self.memories = nn.ModuleList(s.prepare(pair, example) or nn.Module() for s in self.stabilisers)

    @torch.no_grad()
    def _example(self) -> Tensor:
        self.pair.eval()
        k, generator = self.pair.packing, torch.Generator().manual_seed(0)
        rows = self.pair.make(
            torch.zeros(k, self.pair.noise_dim), torch.zeros(k, dtype=torch.int32), generator
        )
        self.pair.train()
        return rows

    def plan(self, n: int) -> Mapping[str, Any]:
        """Return what the pair says of itself."""
        return {"ema": 0.999, **self.pair.plan(n)}

    def begin(self, planned_steps: int) -> None:
        """Learn how long the schedules of the stabilisers are."""
        self.planned = planned_steps

    def players(self) -> dict[str, list[nn.Parameter]]:
        """Name the two players."""
        return {
            "discriminator": list(self.pair.critic.parameters()),
            "generator": list(self.pair.maker.parameters()),
        }

    def optimizer_settings(self, player: str) -> dict[str, Any]:
        """Return what the pair says of its players."""
        return self.pair.optimizer_settings(player)

    def losses(
        self, z: Tensor, c: Tensor, w: Tensor | None, *, step: int, generator: torch.Generator
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield the discriminator's turns, then the generator's."""
        slices = self._slices(len(z))
        rows = (z, c, w)
        for turn in range(self.turns):
            round = self._round(step, turn, generator)
            batch = self._batch(*rows, slices[turn % len(slices)], round)
            yield "discriminator", self._discriminator_turn(*batch, round)
        round = self._round(step, self.turns - 1, generator)
        batch = self._batch(*rows, slices[-1] if len(slices) > 1 else slice(None), round)
        yield "generator", self._generator_turn(*batch, round)

    def _slices(self, n: int) -> list[slice]:
        size = n // self.turns
        if self.turns == 1 or size < LEAST_SLICE:
            return [slice(None)]
        return [slice(k * size, (k + 1) * size) for k in range(self.turns)]

    def _round(self, step: int, turn: int, generator: torch.Generator) -> Round:
        round = Round(
            self.pair,
            self.loss,
            generator,
            progress=min(1.0, step / max(self.planned, 1)),
            turn=step * self.turns + turn,
            counts=self.counts,
        )
        for stabiliser, memory in zip(self.stabilisers, self.memories, strict=True):
            stabiliser.begin(round, memory)
            target = stabiliser.target(round)
            round.target = round.target if target is None else target
        return round

    def _batch(
        self, z: Tensor, c: Tensor, w: Tensor | None, part: slice, round: Round
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return real rows as the critic's space has them, cells, and weights of the packs."""
        z, c, w = z[part], c[part], None if w is None else w[part]
        chosen = self.pair.conditions(z, c, round.generator) if w is None else None
        if chosen is not None:
            z, c = chosen
        for stabiliser, memory in zip(self.stabilisers, self.memories, strict=True):
            at = stabiliser.choose(c, round, memory)
            if at is not None:
                z, c, w = z[at], c[at], None if w is None else w[at]
        k = self.pair.packing
        if len(z) % k:  # before the sort, or it would always be rows of the last cell that are left out
            at = torch.arange(max(len(z) // k, 1) * k, device=c.device) % len(z)
            z, c, w = z[at], c[at], None if w is None else w[at]
        if len(self.counts) > 1:  # rows come in random order, so a stable sort leaves each cell shuffled
            order = torch.argsort(c, stable=True)
            z, c, w = z[order], c[order], None if w is None else w[order]
        weights = None if w is None else w.view(-1, k).mean(1)
        return self.pair.real(z, round.generator), c, weights

    def _inputs(self, x: Tensor, round: Round) -> Tensor:
        for stabiliser, memory in zip(self.stabilisers, self.memories, strict=True):
            x = stabiliser.inputs(x, round, memory)
        return x

    def _discriminator_turn(self, real: Tensor, c: Tensor, w: Tensor | None, round: Round) -> Tensor:
        with torch.no_grad():
            seeds = self.pair.draw_noise(len(c), round.generator, c.device)
            fake, told = self.pair.make(seeds, c, round.generator), c
            made = fake
            for stabiliser, memory in zip(self.stabilisers, self.memories, strict=True):
                shown = stabiliser.replay(fake, c, round, memory)
                fake, told = (fake, told) if shown is None else shown
            real_seen, fake_seen = self._inputs(real, round), self._inputs(fake, round)
        on_real, on_fake = self.pair.judge(real_seen, c)[0], self.pair.judge(fake_seen, told)[0]
        self._seen |= {"D(x)": on_real.detach(), "D(G(z))": on_fake.detach()}
        self._seen |= {"real": real[:WATCHED_ROWS], "fake": made[:WATCHED_ROWS], "c": c[:WATCHED_ROWS]}
        loss = self.loss.discriminator(on_real, on_fake, w=w, target=round.target)
        for stabiliser, memory in zip(self.stabilisers, self.memories, strict=True):
            penalty = stabiliser.discriminator_penalty(real_seen, fake_seen, c, round, memory)
            loss = loss if penalty is None else loss + penalty
        return loss

    def _generator_turn(self, real: Tensor, c: Tensor, w: Tensor | None, round: Round) -> Tensor:
        parts = list(zip(self.stabilisers, self.memories, strict=True))
        seeds = self.pair.draw_noise(len(c), round.generator, c.device)
        fake = self._inputs(self.pair.make(seeds, c, round.generator), round)
        real = self._inputs(real, round)
        terms = [s.generator_loss(real, fake, c, round, memory) for s, memory in parts]
        with self._critic_at_rest():
            replaced = any(term is not None for term in terms)
            if not replaced and not any(s.stands_alone(round) for s in self.stabilisers):
                terms.append(self.loss.generator(self.pair.judge(fake, c)[0], w=w))
            terms += [s.generator_penalty(real, fake, seeds, c, round, memory) for s, memory in parts]
        return torch.stack([term for term in terms if term is not None]).sum()

    @contextmanager
    def _critic_at_rest(self) -> Iterator[None]:
        """Record no gradients of the critic's own weights: they are of no use in the generator's turn."""
        parameters = list(self.pair.critic.parameters())
        for parameter in parameters:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in parameters:
                parameter.requires_grad_(True)

    def watch(self) -> Mapping[str, Tensor]:
        """Return the mean verdicts on real and fake rows, and how varied the fakes are."""
        seen = self._seen
        if not seen:
            return {}
        verdicts = {name: seen[name].float() for name in ("D(x)", "D(G(z))")}
        if self.loss.probability:
            verdicts = {name: torch.sigmoid(scores) for name, scores in verdicts.items()}
        found = {name: scores.mean() for name, scores in verdicts.items()}
        found["coverage"] = alarm.coverage(seen["real"], seen["fake"])
        found["spread"] = alarm.spread(seen["real"], seen["fake"], seen["c"])
        return found

    def alarms(self, history: Any) -> list[str]:
        """Say what looks wrong so far."""
        return alarm.alarms(history, probability=self.loss.probability, planned=self.planned)

    @torch.no_grad()
    def score(self, z: Tensor, c: Tensor, w: Tensor | None, *, generator: torch.Generator) -> Tensor:
        """Return the energy distance of held-out and made rows: losses of a game tell nothing."""
        z, c = z[:SCORED_ROWS], c[:SCORED_ROWS]
        real = self.pair.real(z, generator).flatten(1)
        fake = self.pair.make(self.pair.draw_noise(len(c), generator, c.device), c, generator).flatten(1)
        between, inside = torch.cdist(real, fake), torch.cdist(real, real) + torch.cdist(fake, fake)
        n = len(real)
        return 2.0 * between.mean() - inside.sum() / max(n * (n - 1), 1)

    def draw(self, c: Tensor, generator: torch.Generator) -> Tensor:
        """Make one coded row for each cell."""
        return self.pair.decide(self.pair.draw_noise(len(c), generator, c.device), c, generator)
