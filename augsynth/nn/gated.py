"""Masked convolutions with gates: every pixel is told the ones above and to the left, and no other."""

from __future__ import annotations

from typing import cast

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.nn import functional as F

from augsynth.core.parameters import check_number
from augsynth.encode.image import ImageLayout

__all__ = ["GatedBackbone", "GatedPixels"]


class _Gate(nn.Module):
    """tanh of one half times the logistic of the other; the context moves both."""

    def __init__(self, width: int, n_context: int):
        super().__init__()
        self.told = nn.Linear(n_context, 2 * width) if n_context else None

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        if self.told is not None and context is not None:
            x = x + self.told(context)[:, :, None, None]
        signal, gate = x.chunk(2, dim=1)
        return torch.tanh(signal) * torch.sigmoid(gate)


class _Layer(nn.Module):
    """One step of both stacks.

    The features of the vertical stack at a row know the rows above it (of the image),
    those of the horizontal one also the pixels to the left. In the first layer the
    kernels end above, and to the left of, the pixel itself.
    """

    def __init__(self, channels: int, width: int, kernel: int, n_context: int, *, first: bool):
        super().__init__()
        self.reach, self.tall, self.first = kernel // 2, kernel // 2 + 1, first
        self.down = nn.Conv2d(channels, 2 * width, (self.tall, kernel))
        self.gate_down = _Gate(width, n_context)
        self.right = nn.Conv2d(channels, 2 * width, (1, self.reach + (not first)))
        self.across = nn.Conv2d(2 * width, 2 * width, 1)
        self.gate_right = _Gate(width, n_context)
        self.last = nn.Conv2d(width, width, 1)

    def vertical(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return (what the horizontal stack is told, the next features)."""
        above = self.tall - 1 + self.first
        raw = self.down(F.pad(x, (self.reach, self.reach, above, 0)))
        raw = raw[:, :, : x.shape[2]]  # the first layer's last row would be below the image
        return self.across(raw), self.gate_down(raw, context)

    def horizontal(self, x: Tensor, told: Tensor, context: Tensor | None) -> Tensor:
        raw = self.right(F.pad(x, (self.reach, 0, 0, 0)))[:, :, :, : x.shape[3]]
        made = self.last(self.gate_right(raw + told, context))
        return made if self.first else x + made


class GatedPixels(nn.Module):
    """Images to what is known of every pixel before it is seen: parameters of its distribution.

    Parameters
    ----------
    layout : ImageLayout
    n_each : int
        Parameters a channel of a pixel.
    n_context : int
        Length of the context vector; 0 for none.
    width, depth, kernel : int
        As in :class:`GatedBackbone`.

    Notes
    -----
    The channels of a pixel come one after the other: the parameters of the second are
    told the first, those of the third both.
    """

    def __init__(
        self, layout: ImageLayout, n_each: int, n_context: int = 0, *, width: int, depth: int, kernel: int
    ):
        super().__init__()
        self.channels = layout.channels
        self.layers = nn.ModuleList(
            _Layer(layout.channels + 1 if k == 0 else width, width, kernel, n_context, first=k == 0)
            for k in range(depth)
        )
        self.mix = nn.ModuleList(nn.Conv2d(width + k, 2 * width, 1) for k in range(layout.channels))
        self.heads = nn.ModuleList(nn.Conv2d(2 * width, n_each, 1) for _ in range(layout.channels))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map images (n, c, h, w) in [-1, 1] to parameters (n, c, n_each, h, w)."""
        features = self.across(self.above(x, context), x, context)
        return torch.stack([self.tell(features, x, k) for k in range(self.channels)], dim=1)

    def above(self, x: Tensor, context: Tensor | None) -> list[Tensor]:
        """Return what each layer's horizontal stack is told of the rows above, each (n, 2 width, h, w)."""
        told: list[Tensor] = []
        features, layers = _framed(x), cast("list[_Layer]", list(self.layers))
        for layer in layers:
            known, features = layer.vertical(features, context)
            told.append(known)
        return told

    def across(self, told: list[Tensor], x: Tensor, context: Tensor | None) -> Tensor:
        """Return the features (n, width, h, w) of rows of pixels, given what is told of the rows above."""
        features, layers = _framed(x), cast("list[_Layer]", list(self.layers))
        for layer, known in zip(layers, told, strict=True):
            features = layer.horizontal(features, known, context)
        return features

    def tell(self, features: Tensor, x: Tensor, channel: int) -> Tensor:
        """Return the parameters (n, n_each, h, w) of a channel, given the features and earlier channels."""
        known = torch.cat([features, x[:, :channel]], dim=1) if channel else features
        return self.heads[channel](F.silu(self.mix[channel](known)))


def _framed(x: Tensor) -> Tensor:
    """Add a channel of ones, by which the border differs from grey."""
    return torch.cat([x, x.new_ones(len(x), 1, *x.shape[2:])], dim=1)


class GatedBackbone(BaseEstimator):
    """The size of a network of gated masked convolutions, chosen before the images are seen.

    Parameters
    ----------
    width : int, default=24
        Channels of each of the two stacks.
    depth : int, default=4
        Layers.
    kernel : int, default=5
        Side of the (masked) kernels; odd. A pixel is told what lies within
        ``depth * (kernel // 2)`` pixels above and to its sides.

    Notes
    -----
    Each pixel depends on those above it and, in its own row, those to its left: two
    stacks of convolutions, one for either, leave no blind spot in between.

    References
    ----------
    A. van den Oord et al., "Conditional Image Generation with PixelCNN Decoders", 2016, arXiv:1606.05328.

    Examples
    --------
    >>> network = GatedBackbone(8, depth=2).build(ImageLayout(3, 9, 10), 17)
    >>> network(torch.zeros(2, 3, 9, 10)).shape
    torch.Size([2, 3, 17, 9, 10])
    """

    def __init__(self, width: int = 24, *, depth: int = 4, kernel: int = 5):
        self.width = width
        self.depth = depth
        self.kernel = kernel

    def build(self, layout: ImageLayout, n_each: int, n_context: int = 0) -> GatedPixels:
        """Make a network of this size with ``n_each`` outputs a channel of a pixel."""
        where = "GatedBackbone"
        check_number(where, "width", self.width, low=1, integer=True)
        check_number(where, "depth", self.depth, low=1, integer=True)
        check_number(where, "kernel", self.kernel, low=3, integer=True)
        size = {"width": int(self.width), "depth": int(self.depth), "kernel": int(self.kernel) // 2 * 2 + 1}
        return GatedPixels(layout, n_each, n_context, **size)
