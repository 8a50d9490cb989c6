"""A small U-Net for images, told a noise level and a condition in every block."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.nn import functional as F

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number
from augsynth.encode.image import ImageLayout
from augsynth.nn.convnets import Stage, stage_sizes
from augsynth.nn.noise_levels import NoiseEmbedding

__all__ = ["UNet", "UNetBackbone"]

BROAD = 16  # pixels a side beyond which neighbouring pixels are read as one
WIDEST = 4  # channels double with every halving, up to this many times the width


class _Block(nn.Module):
    """Two convolutions, added to what goes in; the second starts at zero."""

    def __init__(self, channels: int, made: int, n_told: int):
        super().__init__()
        self.first = Stage(channels, 0, norm="group", activation="silu")
        self.widen = nn.Conv2d(channels, made, 3, padding=1)
        self.second = Stage(made, n_told, norm="group", activation="silu")
        self.finish = nn.Conv2d(made, made, 3, padding=1)
        self.past = nn.Conv2d(channels, made, 1) if channels != made else nn.Identity()
        nn.init.zeros_(self.finish.weight)
        nn.init.zeros_(self.finish.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        return self.past(x) + self.finish(self.second(self.widen(self.first(x)), told))


class _Attention(nn.Module):
    """Every place of the image looks at every other one; starts as nothing."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.inward = nn.Conv2d(channels, 3 * channels, 1)
        self.outward = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.outward.weight)
        nn.init.zeros_(self.outward.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.inward(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)
        weight = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(query.shape[2]), dim=2)
        return x + self.outward((weight @ value).transpose(1, 2).unflatten(2, x.shape[2:]))


class UNet(nn.Module):
    """Images to images of the same size, through smaller and smaller ones and back.

    Parameters
    ----------
    layout : ImageLayout
    n_context : int
        Length of the context vector; 0 for none.
    width : int
        Channels at full size.
    depth : int
        Residual blocks a size, on the way down and again on the way up.
    attention : bool
        Whether the places of the smallest size see each other.
    """

    def __init__(
        self, layout: ImageLayout, n_context: int, *, width: int, depth: int = 1, attention: bool = True
    ):
        super().__init__()
        self.height, self.width = layout.height, layout.width
        self.patch = 1
        while max(self.height, self.width) > BROAD * self.patch:
            self.patch *= 2
        tall, wide = (-(-side // self.patch) for side in (self.height, self.width))
        self.sizes = stage_sizes(tall, wide)
        pixels, told = layout.channels * self.patch**2, 2 * width
        channels = [width * min(2**k, WIDEST) for k in range(len(self.sizes))]
        self.noise = NoiseEmbedding(told, n_context)
        self.first = nn.Conv2d(pixels, width, 3, padding=1)
        self.down, self.smaller = nn.ModuleList(), nn.ModuleList()
        self.up, self.larger = nn.ModuleList(), nn.ModuleList()
        for k, made in enumerate(channels):
            blocks = [_Block(made, made, told) for _ in range(depth)]
            self.down.append(nn.ModuleList(blocks))
            back = [_Block(2 * made if j == 0 else made, made, told) for j in range(depth)]
            self.up.append(nn.ModuleList(back))
            if k + 1 < len(channels):
                (before, broad), (after, narrow) = self.sizes[k], self.sizes[k + 1]
                strides = 1 + (after < before), 1 + (narrow < broad)
                self.smaller.append(nn.Conv2d(made, channels[k + 1], 3, strides, 1))
                self.larger.append(nn.Conv2d(channels[k + 1], made, 1))
        self.middle = _Block(channels[-1], channels[-1], told)
        self.attention = _Attention(channels[-1]) if attention else None
        self.norm = Stage(width, 0, norm="group", activation="silu")
        self.last = nn.Conv2d(width, pixels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, log_level: Tensor, context: Tensor | None = None) -> Tensor:
        """Map images (n, c, h, w), log noise levels (n,) and contexts (n, n_context) to images."""
        told = self.noise(log_level, context)
        x = self.first(self._patched(x))
        kept = []
        for k, blocks in enumerate(self.down):
            x = _through(blocks, x, told)
            kept.append(x)
            if k < len(self.smaller):
                x = self.smaller[k](x)
        x = self.middle(x, told)
        if self.attention is not None:
            x = self.attention(x)
        for k in range(len(self.up) - 1, -1, -1):
            if k < len(self.larger):
                x = F.interpolate(self.larger[k](x), size=self.sizes[k], mode="nearest")
            x = _through(self.up[k], torch.cat([x, kept[k]], dim=1), told)
        x = self.last(self.norm(x))
        if self.patch > 1:
            x = F.pixel_shuffle(x, self.patch)
        return x[:, :, : self.height, : self.width]

    def _patched(self, x: Tensor) -> Tensor:
        if self.patch == 1:
            return x
        below, right = (-side % self.patch for side in (self.height, self.width))
        return F.pixel_unshuffle(F.pad(x, (0, right, 0, below)), self.patch)


def _through(blocks: Any, x: Tensor, told: Tensor) -> Tensor:
    for block in blocks:
        x = block(x, told)
    return x


class UNetBackbone(BaseEstimator):
    """The size of a U-Net, chosen before the images are seen.

    Images of more than 16 pixels a side are read in patches of 2 x 2 (of 4 x 4 beyond
    32), then halved until they are 4 to 7 patches wide and high; any size will do.

    Parameters
    ----------
    width : int, default=32
        Channels at full size; they double with every halving, up to fourfold.
    depth : int, default=1
        Residual blocks (of two convolutions) a size, downwards and again upwards.
    attention : bool, default=True
        Whether the places of the smallest size see each other.

    Notes
    -----
    Deviation: the published networks read single pixels and have attention at several
    sizes; patches make a step three to four times cheaper.

    References
    ----------
    O. Ronneberger, P. Fischer, T. Brox, "U-Net", 2015, arXiv:1505.04597. J. Ho, A. Jain,
    P. Abbeel, "Denoising Diffusion Probabilistic Models", 2020, arXiv:2006.11239. E. Hoogeboom
    et al., "simple diffusion", 2023, arXiv:2301.11093 (patches).

    Examples
    --------
    >>> network = UNetBackbone(8).build(ImageLayout(1, 28, 28), 5)
    >>> network(torch.zeros(2, 1, 28, 28), torch.zeros(2), torch.zeros(2, 5)).shape
    torch.Size([2, 1, 28, 28])
    """

    def __init__(self, width: int = 32, *, depth: int = 1, attention: bool = True):
        self.width = width
        self.depth = depth
        self.attention = attention

    def build(self, layout: ImageLayout, n_context: int = 0, *rest: int) -> UNet:
        """Make a network of this size for images of a layout.

        Raises
        ------
        ParameterError
            For rows of tables.
        """
        if not isinstance(layout, ImageLayout):
            self._refuse()
        check_number("UNetBackbone", "width", self.width, low=1, integer=True)
        check_number("UNetBackbone", "depth", self.depth, low=1, integer=True)
        return UNet(
            layout, n_context, width=int(self.width), depth=int(self.depth), attention=bool(self.attention)
        )

    def _refuse(self) -> NoReturn:
        must = "a U-Net must see images"
        raise ParameterError(sentence("UNetBackbone", must, "rows of a table", "Use MLPBackbone."))
