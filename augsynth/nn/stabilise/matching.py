"""Stabilisers of the generator's aim: features to match, and variety within a batch."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_option
from augsynth.nn.adversarial import Adversaries
from augsynth.nn.stabilise.base import Round, Stabiliser, check_strength, strength_at

__all__ = ["FeatureMatching", "SimilarityPenalty"]

RANDOM_FEATURES = 256


class _RandomFeatures(nn.Module):
    """Cosines of random projections at several scales: their means are those of Gaussian kernels."""

    slope: Tensor
    phase: Tensor

    def __init__(self, width: int):
        super().__init__()
        scales = 2.0 ** (torch.arange(RANDOM_FEATURES) % 4 - 1.0)
        self.register_buffer("slope", torch.randn(width, RANDOM_FEATURES) * scales / math.sqrt(width))
        self.register_buffer("phase", 2 * math.pi * torch.rand(RANDOM_FEATURES))

    def forward(self, x: Tensor) -> Tensor:
        return math.sqrt(2.0) * torch.cos(x.flatten(1) @ self.slope + self.phase)


class FeatureMatching(Stabiliser):
    """Have the generator match the mean features of real rows.

    Parameters
    ----------
    strength : float or mapping, default=1.0
        Weight of the squared distance of the means.
    features : {"discriminator", "random"} or callable, default="discriminator"
        Whose features: the discriminator's last hidden layer; a small network of random
        cosines, which is never trained (the mean distance is that of Gaussian kernels then);
        or your own callable of rows as the critic sees them (n, ...), giving (n, f).
    alone : bool, default=False
        Whether the match replaces the adversarial loss of the generator, as published
        (while its strength is not zero), or joins it.

    Notes
    -----
    A generator with a callable of your own can be saved only if its class is registered.

    References
    ----------
    T. Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv:1606.03498.
    Y. Li et al., "Generative Moment Matching Networks", 2015, arXiv:1502.02761 (random features).

    Examples
    --------
    >>> FeatureMatching(features="random", strength=5.0)
    FeatureMatching(features='random', strength=5.0)
    """

    def __init__(self, *, strength: Any = 1.0, features: Any = "discriminator", alone: bool = False):
        self.strength = strength
        self.features = features
        self.alone = alone

    def check(self) -> None:
        """Check the parameters."""
        check_strength("FeatureMatching", self.strength)
        check_option("FeatureMatching", "alone", self.alone, (False, True))
        if isinstance(self.features, str):
            check_option("FeatureMatching", "features", self.features, ("discriminator", "random"))
        elif not callable(self.features):
            must = "features must be 'discriminator', 'random' or a callable"
            raise ParameterError(sentence("FeatureMatching", must, repr(self.features)))

    def prepare(self, pair: Adversaries, example: Tensor) -> nn.Module | None:
        """Make the random features, where they are asked for."""
        return _RandomFeatures(example[0].numel()) if self.features == "random" else None

    def _of(self, x: Tensor, c: Tensor, round: Round, memory: Any) -> Tensor:
        if self.features == "discriminator":
            return round.pair.judge(x, c)[1]
        return memory(x) if self.features == "random" else self.features(x)

    def stands_alone(self, round: Round) -> bool:
        """Return ``alone``, while there is any match to make."""
        return self.alone and strength_at(self.strength, round.progress) > 0.0

    def generator_penalty(
        self, real: Tensor, fake: Tensor, noise: Tensor, c: Tensor, round: Round, memory: Any
    ) -> Tensor | None:
        """Return the weighted squared distance of the mean features."""
        weight = strength_at(self.strength, round.progress)
        if weight == 0.0:
            return None
        with torch.no_grad():
            wanted = self._of(real, c, round, memory).mean(0)
        return weight * (self._of(fake, c, round, memory).mean(0) - wanted).square().sum()


class SimilarityPenalty(Stabiliser):
    """Punish fakes of one batch that are alike although their noise is not.

    Parameters
    ----------
    strength : float or mapping, default=1.0
        Weight of the distance of two noises over the distance of the rows made of them.

    Notes
    -----
    Neighbours in the batch that share a cell are compared (the batch is sorted by cell).
    Deviation: the paper makes a second row for each condition; here two rows of the batch
    serve, which costs nothing. Root mean squares, so that lengths do not matter.

    References
    ----------
    Q. Mao et al., "Mode Seeking Generative Adversarial Networks for Diverse Image Synthesis",
    2019, arXiv:1903.05628.

    Examples
    --------
    >>> SimilarityPenalty(strength=0.1)
    SimilarityPenalty(strength=0.1)
    """

    def __init__(self, *, strength: Any = 1.0):
        self.strength = strength

    def check(self) -> None:
        """Check the parameters."""
        check_strength("SimilarityPenalty", self.strength)

    def generator_penalty(
        self, real: Tensor, fake: Tensor, noise: Tensor, c: Tensor, round: Round, memory: Any
    ) -> Tensor | None:
        """Return the weighted mean ratio of distances over the pairs of one cell."""
        weight = strength_at(self.strength, round.progress)
        if weight == 0.0 or len(fake) < 2:
            return None
        alike = (c[1:] == c[:-1]).float()
        rows, seeds = fake.flatten(1), noise.flatten(1)
        apart = ((rows[1:] - rows[:-1]).square().mean(1) + 1e-8).sqrt()
        cause = (seeds[1:] - seeds[:-1]).square().mean(1).sqrt()
        return weight * (alike * cause / (apart + 1e-2 * cause)).sum() / alike.sum().clamp(min=1.0)
