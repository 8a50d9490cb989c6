"""Stabilisers of what a batch is: balanced cells, rows side by side, a memory of former fakes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from augsynth.core.parameters import check_number
from augsynth.nn.adversarial import Adversaries
from augsynth.nn.stabilise.base import Round, Stabiliser, check_strength, strength_at

__all__ = ["BalancedConditions", "ExperienceReplay", "Packing"]


class BalancedConditions(Stabiliser):
    """Show rare classes and groups more often than they occur.

    Rows of a batch are drawn anew with probabilities that depend on their cell alone,
    so within each cell they are distributed as the data; real and fake rows have the
    same cells. The critic is told the cell, so what it teaches of a cell does not
    depend on how often that cell is shown, and no weight is needed to correct for it.
    Labels that nobody asked for are still drawn at their true frequencies.

    Parameters
    ----------
    strength : float or mapping, default=0.5
        Cells are shown in proportion to their rows to the power of one minus this: 0
        as they occur, 1 all alike.

    Notes
    -----
    Deviation: CTGAN picks a category of a random column by log-frequency, and asks for
    those same frequencies when it samples without a condition; here only training is balanced.

    References
    ----------
    L. Xu et al., "Modeling Tabular Data using Conditional GAN", 2019, arXiv:1907.00503.

    Examples
    --------
    >>> BalancedConditions(strength=1.0)
    BalancedConditions(strength=1.0)
    """

    def __init__(self, *, strength: Any = 0.5):
        self.strength = strength

    def check(self) -> None:
        """Check the parameters."""
        check_strength("BalancedConditions", self.strength, high=1.0)

    def choose(self, c: Tensor, round: Round, memory: Any) -> Tensor | None:
        """Draw rows again, rare cells more often."""
        power = strength_at(self.strength, round.progress)
        if power == 0.0 or round.counts is None or len(round.counts) < 2:
            return None
        odds = round.counts[c.long()].float().clamp(min=1.0).pow(-power).to(round.generator.device)
        drawn = torch.multinomial(odds, len(c), replacement=True, generator=round.generator)
        return drawn.to(c.device)


class Packing(Stabiliser):
    """Let the discriminator judge several rows side by side: a lack of variety shows at once.

    Parameters
    ----------
    rows : int, default=2
        Rows that are judged together.

    References
    ----------
    Z. Lin et al., "PacGAN: The power of two samples in generative adversarial networks", 2018,
    arXiv:1712.04086.

    Examples
    --------
    >>> Packing(rows=3)
    Packing(rows=3)
    """

    def __init__(self, *, rows: int = 2):
        self.rows = rows

    def check(self) -> None:
        """Check the parameters."""
        check_number("Packing", "rows", self.rows, low=1, high=64, integer=True)


class _Buffer(nn.Module):
    rows: Tensor
    cells: Tensor

    def __init__(self, packs: int, packing: int, shape: torch.Size):
        super().__init__()
        self.register_buffer("rows", torch.zeros(packs, packing, *shape))
        self.register_buffer("cells", torch.zeros(packs, packing, dtype=torch.int32))


class ExperienceReplay(Stabiliser):
    """Show the discriminator former fakes too, so that the generator cannot go round in circles.

    A part of every fake batch comes from a memory, whose rows are replaced at random by new ones.

    Parameters
    ----------
    size : int, default=2048
        Rows that are remembered.
    share : float, default=0.25
        Share of the fakes that come from the memory, at most a half: many old fakes make the
        discriminator slow to answer the present ones.

    Notes
    -----
    The memory is saved with the weights, so a resumed run is exact. A remembered row is
    shown with the cell that it was made for.

    References
    ----------
    A. Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial
    Training", 2017, arXiv:1612.07828.

    Examples
    --------
    >>> ExperienceReplay(size=512)
    ExperienceReplay(size=512)
    """

    def __init__(self, *, size: int = 2048, share: float = 0.25):
        self.size = size
        self.share = share

    def check(self) -> None:
        """Check the parameters."""
        check_number("ExperienceReplay", "size", self.size, low=1, integer=True)
        check_number("ExperienceReplay", "share", self.share, low=0, high=0.5, low_open=True)

    def prepare(self, pair: Adversaries, example: Tensor) -> nn.Module:
        """Make an empty memory."""
        return _Buffer(max(1, self.size // pair.packing), pair.packing, example.shape[1:])

    def replay(self, fake: Tensor, c: Tensor, round: Round, memory: Any) -> tuple[Tensor, Tensor] | None:
        """Mix former fakes in, and remember some of these."""
        k, packs = round.pair.packing, len(memory.rows)
        part = min(int(self.share * (len(fake) // k)), packs)
        if part == 0:
            return None
        rows = fake.detach().view(-1, k, *fake.shape[1:])
        cells = c.to(torch.int32).view(-1, k)
        # Batches come sorted by cell: packs at even distances, so that each cell is shown old and new ones.
        step = len(rows) // part
        own = torch.arange(part, device=fake.device) * step + round.turn % step
        kept = rows[own].to(memory.rows.dtype), cells[own]
        # How much is filled follows from the turn: nothing must be read back from the device.
        filled = round.turn * part
        if filled < packs:
            at = (torch.arange(part, device=fake.device) + filled) % packs
            memory.rows[at], memory.cells[at] = kept
            return None
        draw = torch.randint(packs, (2, part), generator=round.generator, device=round.generator.device)
        at, into = draw.to(fake.device)
        shown = rows.index_copy(0, own, memory.rows[at].to(fake.dtype)).flatten(0, 1)
        told = cells.index_copy(0, own, memory.cells[at]).flatten()
        memory.rows[into], memory.cells[into] = kept
        return shown, told.to(c.dtype)
