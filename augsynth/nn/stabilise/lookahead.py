"""A generator that looks ahead: its loss after the discriminator's next steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from augsynth.core.parameters import check_number, check_option
from augsynth.nn.adversarial import Adversaries
from augsynth.nn.backbones import ConditionEmbedding
from augsynth.nn.stabilise.base import Round, Stabiliser, check_strength, strength_at

__all__ = ["Unrolling"]

FAINTEST = 1e-4  # slopes below are not blown up to whole steps


class Unrolling(Stabiliser):
    """Let the generator face the discriminator as it will be some steps ahead.

    The steps are taken on a copy: the discriminator and its optimiser stay as they were.

    Parameters
    ----------
    steps : int, default=5
        Discriminator steps ahead.
    rate : float or mapping, default=1e-3
        How far a weight goes in such a step, in the root mean square of each tensor: near the
        trainer's learning rate. ``{"start": 1e-3}`` falls to zero over the run, as that rate does.
    through : bool, default=True
        Whether the generator's gradient goes through the steps, and the generator
        works against the discriminator's whole loss (as published); or it only sees where the steps
        lead and keeps its own loss, which costs half as much.

    Notes
    -----
    Deviation: the paper steps ahead with the discriminator's own optimiser. Here every
    tensor's gradient is divided by its root mean square (held fixed in the differentiation), so
    that steps are of Adam's size without a copy of its state; plain gradient steps are either
    useless or explode, as the gradient's size changes a hundredfold in a run. All steps see
    the rows of one batch. The discriminator's embedding of the condition stays where it is.

    References
    ----------
    L. Metz et al., "Unrolled Generative Adversarial Networks", 2017, arXiv:1611.02163.

    Examples
    --------
    >>> Unrolling(steps=3)
    Unrolling(steps=3)
    """

    def __init__(self, *, steps: int = 5, rate: Any = 1e-3, through: bool = True):
        self.steps = steps
        self.rate = rate
        self.through = through

    def check(self) -> None:
        """Check the parameters."""
        check_number("Unrolling", "steps", self.steps, low=1, integer=True)
        check_strength("Unrolling", self.rate, name="rate")
        check_option("Unrolling", "through", self.through, (False, True))

    def generator_loss(self, real: Tensor, fake: Tensor, c: Tensor, round: Round, memory: Any) -> Tensor:
        """Return the generator's loss under the discriminator some steps ahead."""
        weights = _weights(round.pair)
        rate = strength_at(self.rate, round.progress)
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
                    name: p if g is None else p - rate * g / _size(g)
                    for (name, p), g in zip(weights.items(), slopes, strict=True)
                }
                if not self.through:
                    weights = {name: p.detach().requires_grad_(True) for name, p in weights.items()}
        on_fake = functional_call(round.pair, weights, (fake, c))[0]
        if not self.through:
            return round.loss.generator(on_fake)
        on_real = functional_call(round.pair, weights, (real.detach(), c))[0]
        return -round.loss.discriminator(on_real, on_fake, target=round.target)


def _size(slope: Tensor) -> Tensor:
    return slope.detach().square().mean().sqrt().clamp(min=FAINTEST)


def _weights(pair: Adversaries) -> dict[str, Tensor]:
    """Name the critic's weights that take the steps."""
    # Torch cannot differentiate the gradient of a bag of embeddings.
    bags = [m for m in pair.critic.modules() if isinstance(m, ConditionEmbedding)]
    kept = {id(p) for bag in bags for p in bag.parameters()}
    return {f"critic.{name}": p for name, p in pair.critic.named_parameters() if id(p) not in kept}
