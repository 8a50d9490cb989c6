"""Normalising flows: invertible networks whose change of volume is known exactly."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from augsynth.nn.splines import n_spline_parameters, rational_quadratic

__all__ = ["Coupling", "Flow", "LULinear"]

BINS = 8
LARGEST_LOG_SCALE = 3.0  # of one affine coupling


class Coupling(nn.Module):
    """Change some coordinates one by one, by maps that the other coordinates and a context choose.

    Parameters
    ----------
    moved : Tensor of bool, (d,)
        Which coordinates are changed; the others are read.
    backbone : MLPBackbone
        Size of the network that chooses the maps; its last layer starts at zero, so
        that the coupling starts as the identity.
    n_context : int
        Length of the context vector, which every layer of that network is told; 0 for none.
    kind : {"spline", "affine"}
    bins : int, default=8
        Pieces of a spline.

    References
    ----------
    L. Dinh et al., "Density estimation using Real NVP", 2017, arXiv:1605.08803.
    C. Durkan et al., "Neural Spline Flows", 2019, arXiv:1906.04032.
    """

    movers: Tensor
    readers: Tensor

    def __init__(
        self, moved: Tensor, backbone: Any, n_context: int, *, kind: str = "spline", bins: int = BINS
    ):
        super().__init__()
        self.kind = kind
        self.register_buffer("movers", torch.nonzero(moved).flatten())
        self.register_buffer("readers", torch.nonzero(~moved).flatten())
        self.n_each = n_spline_parameters(bins) if kind == "spline" else 2
        # a network that reads nothing is still handed one constant number
        self.net = backbone.build(max(len(self.readers), 1), len(self.movers) * self.n_each, n_context)
        last = self.net.first if self.net.last is None else self.net.last
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(
        self, x: Tensor, context: Tensor | None, seen: Tensor | None, *, inverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the changed rows (n, d) and the log-determinant (n,); see :meth:`Flow.forward`."""
        read = x[:, self.readers] if len(self.readers) else x.new_zeros(len(x), 1)
        raw = self.net(read, context).to(x.dtype).view(len(x), len(self.movers), self.n_each)
        part = x[:, self.movers]
        if self.kind == "spline":
            moved, log_slope = rational_quadratic(part, raw, inverse=inverse)
        else:
            log_slope = LARGEST_LOG_SCALE * torch.tanh(raw[..., 0] / LARGEST_LOG_SCALE)
            shift = raw[..., 1]
            if inverse:
                log_slope = -log_slope
                moved = (part - shift) * log_slope.exp()
            else:
                moved = part * log_slope.exp() + shift
        if seen is not None:
            here = seen[:, self.movers]
            moved, log_slope = torch.where(here, moved, part), torch.where(here, log_slope, 0.0)
        return x.index_copy(1, self.movers, moved), log_slope.sum(1)


class LULinear(nn.Module):
    """Mix all coordinates by an invertible matrix, kept as a permutation and two triangles.

    References
    ----------
    D. P. Kingma, P. Dhariwal, "Glow", 2018, arXiv:1807.03039.
    """

    order: Tensor
    back: Tensor

    def __init__(self, d: int):
        super().__init__()
        self.register_buffer("order", torch.randperm(d))
        self.register_buffer("back", torch.argsort(self.order))
        self.lower = nn.Parameter(torch.zeros(d, d))
        self.upper = nn.Parameter(torch.zeros(d, d))
        self.log_diagonal = nn.Parameter(torch.zeros(d))
        self.shift = nn.Parameter(torch.zeros(d))

    def _triangles(self) -> tuple[Tensor, Tensor]:
        lower = torch.tril(self.lower, -1) + torch.eye(len(self.lower)).to(self.lower)
        return lower, torch.triu(self.upper, 1) + torch.diag(self.log_diagonal.exp())

    def forward(
        self, x: Tensor, context: Tensor | None, seen: Tensor | None, *, inverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the mixed rows and the log-determinant; every coordinate must be seen."""
        lower, upper = self._triangles()
        total = self.log_diagonal.sum().expand(len(x))
        if not inverse:
            with torch.autocast(x.device.type, enabled=False):  # rounded numbers would have another density
                return x[:, self.order] @ upper.T @ lower.T + self.shift, total
        y = torch.linalg.solve_triangular(lower, (x - self.shift).T, upper=False, unitriangular=True)
        y = torch.linalg.solve_triangular(upper, y, upper=True).T
        return y[:, self.back], -total


class Flow(nn.Module):
    """A density of rows of numbers: a standard normal one, carried over by invertible layers.

    Every pair of couplings splits the coordinates anew at random: the first changes
    one half given the other, the second the other way round.

    Parameters
    ----------
    d : int
        Numbers a row.
    backbone : MLPBackbone
        Size of the network in each coupling.
    n_layers : int
        Number of couplings.
    n_context : int
        Length of the context vector; 0 for none.
    coupling : {"spline", "affine"}
    linear : bool, default=False
        Whether learned matrices mix the coordinates between pairs of couplings. Then
        every coordinate must be seen in every row.

    Examples
    --------
    >>> from augsynth.nn.backbones import MLPBackbone
    >>> flow = Flow(3, MLPBackbone(8, depth=1), n_layers=2)
    >>> flow.log_prob(torch.zeros(5, 3)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        d: int,
        backbone: Any,
        *,
        n_layers: int,
        n_context: int = 0,
        coupling: str = "spline",
        linear: bool = False,
    ):
        super().__init__()
        self.d = d
        layers: list[nn.Module] = []
        for k in range(0, n_layers, 2):
            if linear and d > 1:
                layers.append(LULinear(d))
            moved = torch.zeros(d, dtype=torch.bool)
            moved[torch.randperm(d)[: (d + 1) // 2]] = True
            sides = [moved, ~moved if d > 1 else moved]
            layers += [Coupling(side, backbone, n_context, kind=coupling) for side in sides[: n_layers - k]]
        self.layers = nn.ModuleList(layers)

    def forward(
        self, x: Tensor, context: Tensor | None = None, seen: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Carry rows (n, d) to standard normal ones; return them and the log-determinant (n,).

        ``seen`` (n, d) tells which numbers a row has: the others must be 0, stay so, and the
        density is that of the seen ones alone.
        """
        total = x.new_zeros(len(x))
        for layer in self.layers:
            x, change = layer(x, context, seen)
            total = total + change
        return x, total

    def inverse(
        self, u: Tensor, context: Tensor | None = None, seen: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Carry standard normal rows back; return rows and the log-determinant of this way."""
        total = u.new_zeros(len(u))
        for layer in reversed(self.layers):
            u, change = layer(u, context, seen, inverse=True)
            total = total + change
        return u, total

    def log_prob(self, x: Tensor, context: Tensor | None = None, seen: Tensor | None = None) -> Tensor:
        """Return the log-density of rows, (n,), in nats."""
        u, total = self(x, context, seen)
        base = -0.5 * (u**2 + math.log(2.0 * math.pi))
        return total + (base if seen is None else torch.where(seen, base, 0.0)).sum(1)
