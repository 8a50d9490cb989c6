"""A generator that looks ahead: its loss after the discriminator's next steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from augsynth.core.parameters import check_number, check_option
from augsynth.nn.adversarial import Adversaries
from augsynth.nn.backbones import ConditionEmbedding
from augsynth.nn.stabilise.base import Round, Stabiliser

__all__ = ["Unrolling"]


class Unrolling(Stabiliser):
    """Let the generator face the discriminator as it will be some steps ahead.

    The steps are taken on a copy: the discriminator and its optimiser stay as they were.

    Parameters
    ----------
    steps : int, default=5
        Discriminator steps ahead.
    rate : float, default=0.1
        Step length of those steps, which are plain gradient descent.
    through : bool, default=True
        Whether the generator's gradient goes through the steps, and the generator
        works against the discriminator's whole loss (as published); or it only sees where the steps
        lead and keeps its own loss, which costs half as much.

    Notes
    -----
    Deviation: the paper steps ahead with the discriminator's own optimiser; plain gradient
    steps need no copy of its state. The discriminator's embedding of the condition stays where it is.

    References
    ----------
    L. Metz et al., "Unrolled Generative Adversarial Networks", 2017, arXiv:1611.02163.

    Examples
    --------
    >>> Unrolling(steps=3)
    Unrolling(steps=3)
    """

    def __init__(self, *, steps: int = 5, rate: float = 0.1, through: bool = True):
        self.steps = steps
        self.rate = rate
        self.through = through

    def check(self) -> None:
        """Check the parameters."""
        check_number("Unrolling", "steps", self.steps, low=1, integer=True)
        check_number("Unrolling", "rate", self.rate, low=0, low_open=True)
        check_option("Unrolling", "through", self.through, (False, True))

    def generator_loss(self, real: Tensor, fake: Tensor, c: Tensor, round: Round, memory: Any) -> Tensor:
        """Return the generator's loss under the discriminator some steps ahead."""
        weights = _weights(round.pair)
        shown = fake if self.through else fake.detach()
        with torch.enable_grad():
            for _ in range(self.steps):
                on_real = functional_call(round.pair, weights, (real.detach(), c))[0]
                on_fake = functional_call(round.pair, weights, (shown, c))[0]
                loss = round.loss.discriminator(on_real, on_fake, target=round.target)
                slopes = torch.autograd.grad(
                    loss, list(weights.values()), create_graph=self.through, allow_unused=True
                )
                weights = {
                    name: p if g is None else p - self.rate * g
                    for (name, p), g in zip(weights.items(), slopes, strict=True)
                }
                if not self.through:
                    weights = {name: p.detach().requires_grad_(True) for name, p in weights.items()}
        on_fake = functional_call(round.pair, weights, (fake, c))[0]
        if not self.through:
            return round.loss.generator(on_fake)
        on_real = functional_call(round.pair, weights, (real.detach(), c))[0]
        return -round.loss.discriminator(on_real, on_fake, target=round.target)


def _weights(pair: Adversaries) -> dict[str, Tensor]:
    """Name the critic's weights that take the steps."""
    # Torch cannot differentiate the gradient of a bag of embeddings.
    bags = [m for m in pair.critic.modules() if isinstance(m, ConditionEmbedding)]
    kept = {id(p) for bag in bags for p in bag.parameters()}
    return {f"critic.{name}": p for name, p in pair.critic.named_parameters() if id(p) not in kept}
