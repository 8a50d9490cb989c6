"""Stabilisers of what the discriminator sees and is told: noise, augmentation, soft labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_option
from augsynth.nn.randomness import noise
from augsynth.nn.stabilise.base import Round, Stabiliser, check_strength, strength_at, uniform

__all__ = ["DifferentiableAugmentation", "InstanceNoise", "LabelSmoothing"]


class LabelSmoothing(Stabiliser):
    """Ask the discriminator to be no surer than this of real rows: one-sided label smoothing.

    Parameters
    ----------
    strength : float or mapping, default=0.1
        The target for real rows is one minus this; fakes keep zero.

    Notes
    -----
    For the losses that have a target for real rows: minimax, non-saturating,
    least-squares and (as the margin) hinge. The Wasserstein loss has none.

    References
    ----------
    T. Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498.

    Examples
    --------
    >>> LabelSmoothing(strength={"start": 0.2, "share": 0.5})
    LabelSmoothing(strength={'share': 0.5, 'start': 0.2})
    """

    def __init__(self, *, strength: Any = 0.1):
        self.strength = strength

    def check(self) -> None:
        """Check the parameters."""
        check_strength("LabelSmoothing", self.strength, high=0.5)

    def target(self, round: Round) -> float:
        """Return one minus the strength."""
        return 1.0 - strength_at(self.strength, round.progress)


class InstanceNoise(Stabiliser):
    """Blur real and fake rows with noise that fades, so that their distributions overlap.

    Parameters
    ----------
    strength : float or mapping, default={"start": 0.3, "share": 1.0}
        Standard deviation of the noise, in the units of the rows that the critic sees.

    References
    ----------
    C. K. Sonderby et al., "Amortised MAP Inference for Image Super-resolution", 2017,
    arXiv:1610.04490. M. Arjovsky, L. Bottou, "Towards Principled Methods for Training GANs", 2017,
    arXiv:1701.04862.

    Examples
    --------
    >>> InstanceNoise(strength=0.2)
    InstanceNoise(strength=0.2)
    """

    def __init__(self, *, strength: Any = None):
        self.strength = strength

    @property
    def _strength(self) -> Any:
        return {"start": 0.3, "share": 1.0} if self.strength is None else self.strength

    def check(self) -> None:
        """Check the parameters."""
        check_strength("InstanceNoise", self._strength)

    def inputs(self, x: Tensor, round: Round, memory: Any) -> Tensor:
        """Add the noise."""
        scale = strength_at(self._strength, round.progress)
        return x if scale == 0.0 else x + scale * noise(x.shape, round.generator, x.device)


class DifferentiableAugmentation(Stabiliser):
    """Augment real and fake images alike, with gradients: for little data.

    Parameters
    ----------
    policy : sequence of {"colour", "translation", "cutout"}, default=("colour", "translation")
        Brightness, saturation and contrast; moves by up to an eighth of the size; a square
        of half the size blanked out.
    strength : float or mapping, default=1.0
        1 is as published, less is milder.

    References
    ----------
    S. Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020,
    arXiv:2006.10738.

    Examples
    --------
    >>> DifferentiableAugmentation(policy=("translation",))
    DifferentiableAugmentation(policy=('translation',))
    """

    def __init__(self, *, policy: Sequence[str] = ("colour", "translation"), strength: Any = 1.0):
        self.policy = policy
        self.strength = strength

    def check(self) -> None:
        """Check the parameters."""
        check_strength("DifferentiableAugmentation", self.strength, high=1.0)
        for name in self.policy:
            check_option("DifferentiableAugmentation", "policy", name, ("colour", "translation", "cutout"))

    def inputs(self, x: Tensor, round: Round, memory: Any) -> Tensor:
        """Augment a batch of images."""
        if x.dim() != 4:
            must = "rows must be images (use InstanceNoise for tables)"
            raise ParameterError(
                sentence("DifferentiableAugmentation", must, f"rows of {x[0].numel()} numbers")
            )
        scale = strength_at(self.strength, round.progress)
        for name in self.policy if scale else ():
            x = _EDITS[name](x, scale, round.generator)
        return x


def _colour(x: Tensor, scale: float, generator: torch.Generator) -> Tensor:
    u = uniform((3, len(x), 1, 1, 1), generator, x.device)
    x = x + scale * (u[0] - 0.5)
    if x.shape[1] > 1:
        grey = x.mean(1, keepdim=True)
        x = grey + (x - grey) * (1.0 + scale * (2.0 * u[1] - 1.0))
    centre = x.mean((1, 2, 3), keepdim=True)
    return centre + (x - centre) * (1.0 + scale * (u[2] - 0.5))


def _translation(x: Tensor, scale: float, generator: torch.Generator) -> Tensor:
    n, channels, height, width = x.shape
    reach = [max(1, round(scale * size / 8)) for size in (height, width)]
    u = uniform((2, n, 1), generator, x.device)
    moved = [(u[i] * (2 * r + 1)).long().clamp(max=2 * r) for i, r in enumerate(reach)]
    padded = F.pad(x, (reach[1], reach[1], reach[0], reach[0]), value=-1.0)
    down = (torch.arange(height, device=x.device) + moved[0]).view(n, 1, height, 1)
    across = (torch.arange(width, device=x.device) + moved[1]).view(n, 1, 1, width)
    which = torch.arange(n, device=x.device).view(n, 1, 1, 1)
    layers = torch.arange(channels, device=x.device).view(1, channels, 1, 1)
    return padded[which, layers, down, across]


def _cutout(x: Tensor, scale: float, generator: torch.Generator) -> Tensor:
    n, _, height, width = x.shape
    u = uniform((2, n, 1), generator, x.device)
    keep = []
    for i, size in enumerate((height, width)):
        side = max(1, round(scale * size / 2))
        first = (u[i] * (size - side + 1)).long()
        at = torch.arange(size, device=x.device)
        keep.append((at >= first) & (at < first + side))
    return x * ~(keep[0].view(n, 1, height, 1) & keep[1].view(n, 1, 1, width))


_EDITS = {"colour": _colour, "translation": _translation, "cutout": _cutout}
