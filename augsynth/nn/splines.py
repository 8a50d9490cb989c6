"""Monotone rational-quadratic splines: flexible one-to-one maps of a number, with exact inverse and slope."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["BOUND", "n_spline_parameters", "rational_quadratic"]

BOUND = 5.0  # the spline acts in [-BOUND, BOUND]; beyond it the map is the identity
LEAST_SHARE = 1e-3  # least width and height of a piece, as a share of the whole
LEAST_SLOPE = 1e-3


def n_spline_parameters(bins: int) -> int:
    """Return how many free numbers a spline of ``bins`` pieces has: widths, heights, inner slopes."""
    return 3 * bins - 1


def rational_quadratic(
    x: Tensor, raw: Tensor, *, inverse: bool = False, bound: float = BOUND
) -> tuple[Tensor, Tensor]:
    """Map numbers through monotone rational-quadratic splines; all-zero parameters leave them as they are.

    Parameters
    ----------
    x : Tensor, any shape
    raw : Tensor, (*x.shape, 3 * bins - 1)
        Free parameters: bins widths, bins heights, bins - 1 slopes at the inner knots.
    inverse : bool, default=False
        Map back.
    bound : float
        Half the width of the interval on which the spline acts. Outside it (and in
        slope at its ends) the map is the identity.

    Returns
    -------
    y, log_slope : Tensor, each of the shape of x
        The images, and log dy/dx.

    References
    ----------
    C. Durkan et al., "Neural Spline Flows", 2019, arXiv:1906.04032. J. Gregory, R.
    Delbourgo, "Piecewise rational quadratic interpolation to monotonic data", 1982.

    Examples
    --------
    >>> x, raw = torch.tensor([-7.0, 0.5]), torch.zeros(2, 11)
    >>> [v.tolist() for v in rational_quadratic(x, raw)]
    [[-7.0, 0.5], [0.0, 0.0]]
    """
    bins = (raw.shape[-1] + 1) // 3
    inside = x.abs() < bound
    at = torch.where(inside, x, 0.0)
    knots_x, knots_y = (_knots(raw[..., k * bins : (k + 1) * bins], bound) for k in (0, 1))
    slopes = LEAST_SLOPE + F.softplus(raw[..., 2 * bins :] + math.log(math.expm1(1.0 - LEAST_SLOPE)))
    slopes = F.pad(slopes, (1, 1), value=1.0)
    known = knots_y if inverse else knots_x
    piece = (at.unsqueeze(-1) >= known[..., 1:-1]).sum(-1, keepdim=True)
    x0, x1 = (knots_x.gather(-1, piece + k).squeeze(-1) for k in (0, 1))
    y0, y1 = (knots_y.gather(-1, piece + k).squeeze(-1) for k in (0, 1))
    d0, d1 = (slopes.gather(-1, piece + k).squeeze(-1) for k in (0, 1))
    width, height = x1 - x0, y1 - y0
    mean = height / width
    bend = d0 + d1 - 2.0 * mean
    share = _solve(at - y0, height, mean, d0, bend) if inverse else (at - x0) / width
    mixed = share * (1.0 - share)
    below = mean + bend * mixed
    y = x0 + share * width if inverse else y0 + height * (mean * share**2 + d0 * mixed) / below
    rise = d1 * share**2 + 2.0 * mean * mixed + d0 * (1.0 - share) ** 2
    log_slope = 2.0 * mean.log() + rise.log() - 2.0 * below.log()
    log_slope = -log_slope if inverse else log_slope
    return torch.where(inside, y, x), torch.where(inside, log_slope, 0.0)


def _knots(raw: Tensor, bound: float) -> Tensor:
    """Return the knots (..., bins + 1) of free widths, from -bound to bound."""
    bins = raw.shape[-1]
    shares = LEAST_SHARE + (1.0 - LEAST_SHARE * bins) * torch.softmax(raw, dim=-1)
    inner = 2.0 * bound * shares[..., :-1].cumsum(-1) - bound
    return F.pad(F.pad(inner, (1, 0), value=-bound), (0, 1), value=bound)


def _solve(rise: Tensor, height: Tensor, mean: Tensor, d0: Tensor, bend: Tensor) -> Tensor:
    """Return the share of a piece's width at which the spline has risen by ``rise``."""
    a = height * (mean - d0) + rise * bend
    b = height * d0 - rise * bend
    c = -mean * rise
    root = (b * b - 4.0 * a * c).clamp(min=0.0).sqrt()
    return (2.0 * c / (-b - root)).clamp(0.0, 1.0)
