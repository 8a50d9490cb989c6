"""Stabilisers of the discriminator's slope: a penalty on its gradient, and spectral normalisation."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from augsynth.core.parameters import check_number, check_option
from augsynth.nn.adversarial import Adversaries, gradient_penalty
from augsynth.nn.stabilise.base import Round, Stabiliser, check_strength, strength_at

__all__ = ["GradientPenalty", "SpectralNorm"]


class GradientPenalty(Stabiliser):
    """Keep the slope of the discriminator near one between real and fake rows, or near zero at real rows.

    Parameters
    ----------
    strength : float or mapping, default=10.0
        Weight of the penalty.
    at : {"between", "real"}, default="between"
        "between" is the penalty of the Wasserstein GAN, with slope one; "real" is the
        zero-centred penalty at real rows (R1), for the other losses, where 1 to 10 is usual.

    Notes
    -----
    The Wasserstein loss brings ``GradientPenalty(strength=10)`` along unless one is given.
    The penalty is differentiated twice: a discriminator step costs about three times as much.

    References
    ----------
    I. Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, arXiv:1704.00028.
    L. Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018,
    arXiv:1801.04406.

    Examples
    --------
    >>> GradientPenalty(strength=1.0, at="real")
    GradientPenalty(at='real', strength=1.0)
    """

    bounds_slope: ClassVar[bool] = True

    def __init__(self, *, strength: Any = 10.0, at: str = "between"):
        self.strength = strength
        self.at = at

    def check(self) -> None:
        """Check the parameters."""
        check_strength("GradientPenalty", self.strength)
        check_option("GradientPenalty", "at", self.at, ("between", "real"))

    def discriminator_penalty(
        self, real: Tensor, fake: Tensor, c: Tensor, round: Round, memory: Any
    ) -> Tensor | None:
        """Return the weighted penalty."""
        weight = strength_at(self.strength, round.progress)
        if weight == 0.0:
            return None
        between = self.at == "between"
        penalty = gradient_penalty(
            lambda x: round.pair.judge(x, c)[0],
            real,
            fake if between else None,
            packing=round.pair.packing,
            centre=1.0 if between else 0.0,
            generator=round.generator,
        )
        return weight * penalty if between else 0.5 * weight * penalty


class _Spectral(nn.Module):
    """Divide a weight by its largest singular value over ``bound``, raised to ``power``."""

    u: Tensor
    power: Tensor

    def __init__(self, weight: Tensor, transposed: bool, bound: float):
        super().__init__()
        self.transposed, self.bound = transposed, bound
        matrix = self._matrix(weight.detach())
        self.register_buffer("u", F.normalize(torch.randn(len(matrix)), dim=0))
        self.register_buffer("power", torch.ones(()))
        for _ in range(15):  # starts near the top singular vector; a step a turn follows it from there
            self._turn(matrix)

    def _matrix(self, weight: Tensor) -> Tensor:
        return (weight.transpose(0, 1) if self.transposed else weight).flatten(1)

    def _turn(self, matrix: Tensor) -> None:
        v = F.normalize(matrix.T @ self.u, dim=0)
        self.u.copy_(F.normalize(matrix @ v, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        matrix = self._matrix(weight)
        with torch.no_grad():
            if self.training:
                self._turn(matrix.detach())
            u = self.u.clone()  # the graph must not see later turns
            v = F.normalize(matrix.T @ u, dim=0)
        return weight / ((u @ (matrix @ v)).clamp(min=1e-12) / self.bound) ** self.power


class SpectralNorm(Stabiliser):
    """Divide every weight of the discriminator by its largest singular value: a bounded slope at no cost.

    Parameters
    ----------
    strength : float or mapping, default=1.0
        Weights are divided by that power of the value; 0 leaves them as they are.
    bound : float, default=1.0
        The largest singular value that every weight is left with. Rows of few numbers whose
        details are fine need a steeper discriminator than a bound of one allows.

    Notes
    -----
    One power iteration a forward pass in training, none in evaluation; its vectors are
    saved with the weights.

    References
    ----------
    T. Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018,
    arXiv:1802.05957.

    Examples
    --------
    >>> SpectralNorm()
    SpectralNorm()
    """

    bounds_slope: ClassVar[bool] = True

    def __init__(self, *, strength: Any = 1.0, bound: float = 1.0):
        self.strength = strength
        self.bound = bound

    def check(self) -> None:
        """Check the parameters."""
        check_strength("SpectralNorm", self.strength, high=1.0)
        check_number("SpectralNorm", "bound", self.bound, low=0, low_open=True)

    def prepare(self, pair: Adversaries, example: Tensor) -> None:
        """Normalise every linear map, convolution and embedding of the critic."""
        for module in list(pair.critic.modules()):
            weight = getattr(module, "weight", None)
            if isinstance(weight, nn.Parameter) and weight.dim() >= 2 and weight.shape[0] > 0:
                turned = isinstance(module, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d))
                parametrize.register_parametrization(
                    module, "weight", _Spectral(weight, turned, float(self.bound))
                )

    def begin(self, round: Round, memory: Any) -> None:
        """Follow the schedule."""
        power = strength_at(self.strength, round.progress)
        for module in round.pair.critic.modules():
            if isinstance(module, _Spectral):
                module.power.fill_(power)
