"""The preconditioned denoiser: what a network is shown, what it must say, and how rows come of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from augsynth.nn.randomness import noise

__all__ = ["denoised", "denoising_loss", "guided", "score", "solve", "stratified"]

Network = Callable[[Tensor, Tensor], Tensor]  # (noisy rows of unit variance, log ratio) -> same shape


def _wide(ratio: Tensor, x: Tensor) -> Tensor:
    return ratio.view(-1, *[1] * (x.dim() - 1))


def scales(ratio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the factors of the noisy row (kept, shown) and of the network's answer.

    For rows of variance one they give the network inputs and targets of variance one
    at every noise, and the least possible factor of its error.

    Examples
    --------
    >>> [round(float(s), 3) for s in scales(torch.tensor(1.0))]
    [0.5, 0.707, 0.707]
    """
    total = ratio**2 + 1.0
    return 1.0 / total, total.rsqrt(), ratio * total.rsqrt()


def denoised(network: Network, x: Tensor, ratio: Tensor) -> Tensor:
    """Return the guess D(x; ratio) of the clean rows, given rows with noise of the ratios (n,)."""
    kept, shown, answered = (_wide(s, x) for s in scales(ratio))
    return kept * x + answered * network(shown * x, ratio.log())


def score(guess: Tensor, x: Tensor, ratio: Tensor) -> Tensor:
    """Return the gradient of the log-density of noisy rows, by Tweedie's formula (D - x) / ratio^2."""
    return (guess - x) / _wide(ratio, x) ** 2


def stratified(n: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Return ``n`` numbers in (0, 1), one in every n-th of it, in order: less noise in the loss."""
    jitter = torch.rand(n, generator=generator, device=generator.device)
    return ((torch.arange(n, device=generator.device) + jitter) / n).to(device)


def denoising_loss(network: Network, x: Tensor, ratio: Tensor, generator: torch.Generator) -> Tensor:
    """Return the squared error of the network's answer, mean over the numbers of each row, (n,).

    Its target is what would make the guess exact; weighing rows so is the same as
    weighing the guess's error by (1 + ratio^2) / ratio^2.
    """
    kept, shown, answered = (_wide(s, x) for s in scales(ratio))
    noisy = x + _wide(ratio, x) * noise(x.shape, generator, x.device)
    target = (x - kept * noisy) / answered
    return ((network(shown * noisy, ratio.log()) - target) ** 2).flatten(1).mean(1)


def guided(told: Tensor, untold: Tensor, strength: float) -> Tensor:
    """Move the guess that knows the condition away from the one that does not; strength 0 leaves it."""
    return told + strength * (told - untold)


def solve(denoise: Callable[[Tensor, Tensor], Tensor], x: Tensor, ratios: Tensor) -> Tensor:
    """Follow the deterministic path from noisy rows to clean ones, in one evaluation a step.

    A multistep method of second order in the logarithm of the noise.

    Parameters
    ----------
    denoise : callable
        (x, ratio (n,)) -> guess of the clean rows.
    x : Tensor, (n, ...)
        Rows with noise of the first ratio.
    ratios : Tensor, (steps + 1,)
        Falling; the last one is zero.

    Notes
    -----
    With the exact guess of a mixture of two Gaussians, 18 evaluations on the "edm" grid
    of 8 x 8 images put no quantile more than 0.017 (in probability) from its place,
    24 no more than 0.008; Heun's method is off by 0.072 and 0.032. The first step
    alone is the first-order method (DDIM).

    References
    ----------
    C. Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion
    Probabilistic Models", 2022, arXiv:2211.01095.
    """
    before: Tensor | None = None
    stride_before = 1.0
    levels = [float(r) for r in ratios]
    for now, then in zip(levels[:-1], levels[1:], strict=True):
        if now == then:  # long grids stay at the largest ratio for a while
            continue
        guess = denoise(x, x.new_full((len(x),), now))
        share = then / now
        if share == 0.0:
            return guess
        stride = -torch.log(torch.tensor(share, dtype=torch.float64)).item()
        toward = guess
        if before is not None:
            toward = guess + (guess - before) * (0.5 * stride / stride_before)
        x = share * x + (1.0 - share) * toward
        before, stride_before = guess, stride
    return x
