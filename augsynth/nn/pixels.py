"""Coded pixels to numbers that networks read, and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Pixels"]


class Pixels(nn.Module):
    """Read level codes as numbers in [-1, 1], and write such numbers as level codes.

    Parameters
    ----------
    levels : int
        Number of levels; 0 for pixels that are numbers in [-1, 1] already.

    Examples
    --------
    >>> Pixels(3).read(torch.tensor([0, 1, 2], dtype=torch.uint8)).tolist()
    [-1.0, 0.0, 1.0]
    >>> Pixels(3).write(torch.tensor([-0.9, 0.2, 7.0])).tolist()
    [0, 1, 2]
    """

    def __init__(self, levels: int):
        super().__init__()
        self.levels = levels

    def read(self, z: Tensor) -> Tensor:
        """Map coded pixels of any shape to float32 in [-1, 1]."""
        return z.float() if self.levels == 0 else z.float() * (2.0 / (self.levels - 1)) - 1.0

    def write(self, x: Tensor) -> Tensor:
        """Map numbers to coded pixels: clamped, and rounded to the nearest level."""
        x = x.float().clamp(-1.0, 1.0)
        if self.levels == 0:
            return x
        return torch.round((x + 1.0) * (0.5 * (self.levels - 1))).to(torch.uint8)
