"""Two networks against each other: the pair that every adversarial model trains, and its losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from augsynth.nn.randomness import noise

__all__ = ["LOSSES", "AdversarialLoss", "Adversaries", "gradient_penalty"]


class Adversaries(nn.Module, ABC):
    """A network that makes rows and one that judges them, for one form of data.

    Rows ``x`` (n, ...) live in a continuous space that both networks share; coded
    rows ``z`` are what the codec and the training loop know. All noise comes from the
    ``generator`` that a method is handed. A subclass sets ``noise_dim``, ``maker`` and
    ``critic`` (with every parameter in one of the two) and, if its critic judges several
    rows together, ``packing``.

    Attributes
    ----------
    noise_dim : int
        Length of the noise that a row is made of.
    uniform : bool
        Whether the noise is uniform, or Gaussian; of mean zero and variance one in both cases.
    packing : int
        Rows that the critic sees side by side.
    maker, critic : Module
        The networks; each is a player of its own.
    loss, discriminator_steps
        What :class:`augsynth.generate.gan.GANGenerator` takes where the user does not choose.
    penalty : mapping or None
        The gradient penalty that comes with ``loss``, unless a stabiliser bounds the slope.
    """

    loss: ClassVar[str] = "wasserstein"
    penalty: ClassVar[Mapping[str, Any] | None] = None
    discriminator_steps: ClassVar[int] = 1
    noise_dim: int
    uniform: bool = False
    packing: int = 1
    maker: nn.Module
    critic: nn.Module

    def draw_noise(self, n: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Draw the noise (n, noise_dim) of ``n`` rows."""
        shape = (n, self.noise_dim)
        if not self.uniform:
            return noise(shape, generator, device)
        drawn = torch.rand(shape, generator=generator, device=generator.device).to(device)
        return (drawn - 0.5) * 12.0**0.5

    @abstractmethod
    def make(self, noise: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Make rows ``x`` (n, ...) from noise (n, noise_dim) and cells (n,), differentiably."""

    @abstractmethod
    def real(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Bring coded rows into the space of :meth:`make`."""

    @abstractmethod
    def judge(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return a score (m,), higher for real, and features (m, f); ``m = n // packing``.

        With packing, rows ``k i`` to ``k i + k - 1`` are judged together and the critic is
        told the cell of the first of them. (Batches come sorted by cell, so the rest are nearly
        always of that cell; where they are not, they are not in the other batch either.)
        """

    def forward(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Judge: what a call of the module means."""
        return self.judge(x, c)

    @abstractmethod
    def decide(self, noise: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Return final coded rows (n, ...): row i depends on noise i and cell i only."""

    def conditions(self, z: Tensor, c: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor] | None:
        """Choose the rows of a batch to learn from and their cells; None takes it as it is.

        A choice that looks at cells only leaves the rows of each cell as they are
        distributed, and both networks see the same cells: so rare cells may be seen more
        often without any change in what is learned of them.
        """
        return None

    def start(self, z: Tensor, c: Tensor, w: Tensor | None = None) -> None:
        """Look at the training rows, once, before training (never before a load); nothing by default."""

    def settle(self, z: Tensor, c: Tensor, w: Tensor | None = None, *, generator: torch.Generator) -> None:
        """Put the averaged weights right after training; nothing by default."""

    def plan(self, n: int) -> Mapping[str, Any]:
        """Say how a pair is best trained on ``n`` rows: see ``Objective.plan``."""
        return {}

    def optimizer_settings(self, player: str) -> dict[str, Any]:
        """Say how the "generator" or the "discriminator" is optimised: see ``Objective``."""
        return {"betas": (0.5, 0.9)}


@dataclass(frozen=True)
class AdversarialLoss:
    """What the scores of real and fake rows cost each side, score by score.

    Attributes
    ----------
    real, fake : callable
        The discriminator's cost of scores of real rows (with the target that stands for
        "real", 1 unless labels are smoothed) and of fake rows.
    maker : callable
        The generator's cost of the scores of its rows.
    probability : bool
        Whether the sigmoid of a score is the probability of "real".
    """

    real: Callable[[Tensor, float], Tensor]
    fake: Callable[[Tensor], Tensor]
    maker: Callable[[Tensor], Tensor]
    probability: bool = False

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        # The functions have no names that pickle could find; the loss has.
        return _named, (next(name for name, loss in LOSSES.items() if loss is self),)

    def discriminator(self, real: Tensor, fake: Tensor, *, w: Tensor | None = None, target: float = 1.0):
        """Return the discriminator's loss, a scalar; ``w`` (m,) weighs the rows."""
        on_real, on_fake = self.real(real, target), self.fake(fake)
        return on_real.mean() + on_fake.mean() if w is None else (w * on_real).mean() + (w * on_fake).mean()

    def generator(self, fake: Tensor, *, w: Tensor | None = None) -> Tensor:
        """Return the generator's loss, a scalar; ``w`` (m,) weighs the rows."""
        cost = self.maker(fake)
        return cost.mean() if w is None else (w * cost).mean()


def _named(name: str) -> AdversarialLoss:
    return LOSSES[name]


def _cross_entropy(score: Tensor, target: float) -> Tensor:
    return target * F.softplus(-score) + (1.0 - target) * F.softplus(score)


LOSSES: dict[str, AdversarialLoss] = {
    # Goodfellow et al. 2014, arXiv:1406.2661: both sides of one game, and the practical variant
    "minimax": AdversarialLoss(_cross_entropy, F.softplus, lambda s: -F.softplus(s), True),
    "non-saturating": AdversarialLoss(_cross_entropy, F.softplus, lambda s: F.softplus(-s), True),
    # Lim and Ye 2017, arXiv:1705.02894
    "hinge": AdversarialLoss(lambda s, t: F.relu(t - s), lambda s: F.relu(1.0 + s), lambda s: -s),
    # Mao et al. 2017, arXiv:1611.04076, with labels 1 (real) and 0 (fake)
    "least-squares": AdversarialLoss(
        lambda s, t: 0.5 * (s - t) ** 2, lambda s: 0.5 * s**2, lambda s: 0.5 * (s - 1.0) ** 2
    ),
    # Arjovsky et al. 2017, arXiv:1701.07875; what bounds the slope is a penalty beside it
    "wasserstein": AdversarialLoss(lambda s, t: -s, lambda s: s, lambda s: -s),
}


def gradient_penalty(
    judge: Callable[[Tensor], Tensor],
    x: Tensor,
    other: Tensor | None = None,
    *,
    packing: int = 1,
    centre: float = 1.0,
    generator: torch.Generator,
) -> Tensor:
    """Return how far the slope of a critic is from ``centre``: the mean square, differentiable.

    Parameters
    ----------
    judge : callable
        Rows (n, ...) to scores (m,).
    x, other : Tensor, (n, ...)
        The slope is taken at random points between the two; without ``other`` at ``x``.
    packing : int
        Rows that are judged together: they share one random place, and one slope.
    centre : float
        1 of Gulrajani et al.; 0 of Mescheder et al.

    References
    ----------
    I. Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, arXiv:1704.00028.
    L. Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018,
    arXiv:1801.04406.
    """
    points = x.detach()
    if other is not None:
        m = len(x) // packing
        share = torch.rand(m, generator=generator, device=generator.device).to(x.device)
        share = share.repeat_interleave(packing).view(-1, *(1,) * (x.dim() - 1))
        points = torch.lerp(points, other.detach().to(points), share.to(points))  # made rows may be bfloat16
    points = points.requires_grad_(True)
    score = judge(points)
    (slope,) = torch.autograd.grad(score.sum(), points, create_graph=True)
    square = slope.reshape(len(score), -1).square().sum(1)
    if centre == 0.0:
        return square.mean()
    return ((square + 1e-12).sqrt() - centre).square().mean()
