"""The protocol of stabilisers: where a small part may step in while two adversaries train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number
from augsynth.nn.adversarial import AdversarialLoss, Adversaries

__all__ = ["Round", "Stabiliser", "check_strength", "strength_at"]


@dataclass
class Round:
    """What a stabiliser may know of the turn that is played.

    Attributes
    ----------
    pair : Adversaries
    loss : AdversarialLoss
    generator : torch.Generator
        The noise of this step.
    progress : float
        Share of the planned steps that are done, from 0 to 1.
    turn : int
        Discriminator turns since the start of training.
    target : float
        What stands for "real".
    counts : Tensor, (n_cells,)
        Training rows in each cell.
    """

    pair: Adversaries
    loss: AdversarialLoss
    generator: torch.Generator
    progress: float = 0.0
    turn: int = 0
    target: float = 1.0
    counts: Tensor | None = None


class Stabiliser(BaseEstimator):
    """A part that steps into adversarial training; every hook does nothing unless it is written.

    The object itself holds parameters only. What it must remember lives in the module
    that :meth:`prepare` returns, which is saved with the weights. A ``strength`` is a
    number, or a mapping ``{"start": 1.0, "end": 0.0, "share": 0.5}``: it moves in a
    straight line from ``start`` to ``end`` over that share of the steps and stays there.
    """

    bounds_slope: ClassVar[bool] = False  # whether it does what the Wasserstein loss needs

    def check(self) -> None:
        """Check the parameters."""

    def prepare(self, pair: Adversaries, example: Tensor) -> nn.Module | None:
        """Change the networks, once, before training; return what is to be remembered.

        ``example`` (k, ...) are rows of the space that the critic sees.
        """
        return None

    def begin(self, round: Round, memory: Any) -> None:
        """Hear that a turn begins."""

    def choose(self, c: Tensor, round: Round, memory: Any) -> Tensor | None:
        """Return which rows (n,) of a batch with cells ``c`` (n,) to learn from."""
        return None

    def target(self, round: Round) -> float | None:
        """Return what stands for "real" in the discriminator's loss."""
        return None

    def replay(self, fake: Tensor, c: Tensor, round: Round, memory: Any) -> tuple[Tensor, Tensor] | None:
        """Return the fake rows, and their cells, that the discriminator is shown."""
        return None

    def inputs(self, x: Tensor, round: Round, memory: Any) -> Tensor:
        """Change rows on their way to the critic, real and fake alike."""
        return x

    def discriminator_penalty(
        self, real: Tensor, fake: Tensor, c: Tensor, round: Round, memory: Any
    ) -> Tensor | None:
        """Return a term of the discriminator's loss; rows as the critic sees them, detached."""
        return None

    def stands_alone(self, round: Round) -> bool:
        """Return whether the penalty of the generator takes the place of its adversarial loss."""
        return False

    def generator_loss(
        self, real: Tensor, fake: Tensor, c: Tensor, round: Round, memory: Any
    ) -> Tensor | None:
        """Return what takes the place of the generator's adversarial loss."""
        return None

    def generator_penalty(
        self, real: Tensor, fake: Tensor, noise: Tensor, c: Tensor, round: Round, memory: Any
    ) -> Tensor | None:
        """Return a term of the generator's loss; rows as the critic sees them."""
        return None


def strength_at(strength: float | Mapping[str, float], progress: float) -> float:
    """Return a strength when a share of the steps is done.

    Examples
    --------
    >>> strength_at(0.1, 0.9)
    0.1
    >>> [strength_at({"start": 1.0, "share": 0.5}, p) for p in (0.0, 0.25, 0.5, 1.0)]
    [1.0, 0.5, 0.0, 0.0]
    """
    if not isinstance(strength, Mapping):
        return float(strength)
    end = float(strength.get("end", 0.0))
    left = max(0.0, 1.0 - progress / float(strength.get("share", 1.0)))
    return end + (float(strength["start"]) - end) * left


def check_strength(where: str, strength: Any, *, high: float | None = None, name: str = "strength") -> None:
    """Raise unless a strength is a number from 0 to ``high``, or a straight line between two such.

    Raises
    ------
    ParameterError
    """
    if not isinstance(strength, Mapping):
        check_number(where, name, strength, low=0, high=high)
        return
    unknown = set(strength) - {"start", "end", "share"}
    if unknown or "start" not in strength:
        must = f"{name} must be a number, or a mapping with 'start' and perhaps 'end' and 'share'"
        raise ParameterError(sentence(where, must, repr(dict(strength))))
    for key in ("start", "end"):
        check_number(where, f"{name}[{key!r}]", strength.get(key, 0.0), low=0, high=high)
    check_number(where, f"{name}['share']", strength.get("share", 1.0), low=0, high=1, low_open=True)


def uniform(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Draw numbers from [0, 1) where the generator lives, and move them to ``device``."""
    return torch.rand(shape, generator=generator, device=generator.device).to(device)
