"""How a network is told the noise level of each row."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["NoiseEmbedding"]


class NoiseEmbedding(nn.Module):
    """Turn the logarithm of a noise level, and a context vector, into one vector.

    Parameters
    ----------
    n_outputs : int
    n_context : int
        Length of the context; 0 for none.

    Examples
    --------
    >>> NoiseEmbedding(8, 3)(torch.zeros(2), torch.zeros(2, 3)).shape
    torch.Size([2, 8])
    """

    waves: Tensor

    def __init__(self, n_outputs: int, n_context: int = 0):
        super().__init__()
        self.register_buffer("waves", torch.exp(torch.linspace(math.log(0.1), math.log(4.0), 16)), False)
        self.level = nn.Linear(32, n_outputs)
        self.context = nn.Linear(n_context, n_outputs, bias=False) if n_context else None
        self.last = nn.Linear(n_outputs, n_outputs)

    def forward(self, log_level: Tensor, context: Tensor | None = None) -> Tensor:
        """Map log levels (n,) and contexts (n, n_context) to vectors (n, n_outputs)."""
        angles = log_level[:, None] * self.waves
        hidden = self.level(torch.cat([angles.sin(), angles.cos()], dim=1) * math.sqrt(2.0))
        if self.context is not None and context is not None:
            hidden = hidden + self.context(context)
        return F.silu(self.last(F.silu(hidden)))
