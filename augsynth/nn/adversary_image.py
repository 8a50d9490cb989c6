"""The two networks of a generative adversarial model for images."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from augsynth.encode.image import ImageLayout
from augsynth.nn.adversarial import Adversaries
from augsynth.nn.backbones import ConditionEmbedding
from augsynth.nn.pixels import Pixels

__all__ = ["ImageAdversaries", "ImageCritic", "ImageMaker"]

FEATURES = 4  # times the backbone's width: what the critic's score is a linear map of


class ImageMaker(nn.Module):
    """From noise and condition to images in [-1, 1].

    Parameters
    ----------
    layout : ImageLayout
    condition : ConditionEmbedding or None
    backbone : ConvBackbone
    noise_dim : int
    """

    def __init__(
        self, layout: ImageLayout, condition: ConditionEmbedding | None, backbone: Any, noise_dim: int
    ):
        super().__init__()
        self.condition = condition
        told = 0 if condition is None else condition.weight.shape[1]
        self.body = backbone.decoder(noise_dim + told, layout, layout.channels, told)

    def forward(self, noise: Tensor, c: Tensor) -> Tensor:
        """Map noise (n, noise_dim) and cells (n,) to images (n, channels, h, w)."""
        if self.condition is None:
            return torch.tanh(self.body(noise))
        told = self.condition(c)
        return torch.tanh(self.body(torch.cat([noise, told], dim=1), told))


class ImageCritic(nn.Module):
    """From images and conditions to scores, some images at a time.

    Parameters
    ----------
    layout : ImageLayout
    condition : ConditionEmbedding or None
    backbone : ConvBackbone
    packing : int
        Images that are judged together, as channels of one.
    """

    def __init__(
        self, layout: ImageLayout, condition: ConditionEmbedding | None, backbone: Any, packing: int = 1
    ):
        super().__init__()
        self.packing, self.condition = packing, condition
        packed = ImageLayout(layout.channels * packing, layout.height, layout.width, layout.levels)
        width = FEATURES * int(backbone.width)
        # A norm over a whole image would hide how bright it is; and penalties on slopes want none.
        kinds = {"activation": "leaky"} | ({} if backbone.variant == "dcgan" else {"norm": "none"})
        self.body = backbone.encoder(packed, width, **kinds)
        self.last = nn.Linear(width, 1)
        told = 0 if condition is None else condition.weight.shape[1]
        self.project = nn.Linear(told, width, bias=False) if told else None

    def forward(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Map images (n, channels, h, w) and cells (n,) to scores and features of n / packing packs."""
        k = self.packing
        packs = x.reshape(len(x) // k, k * x.shape[1], *x.shape[2:])
        features = F.leaky_relu(self.body(packs), 0.2)
        score = self.last(features).squeeze(1)
        if self.project is not None and self.condition is not None:
            told = self.project(self.condition(c[::k]))
            score = score + (told * features).sum(1) / math.sqrt(features.shape[1])
        return score, features


class ImageAdversaries(Adversaries):
    """Maker and critic of images, in the manner of DCGAN.

    The maker doubles a small map until it is an image; the critic halves the image
    again. The maker is told the condition beside the noise and in every stage, the
    critic by projection on its last features.

    Parameters
    ----------
    layout : ImageLayout
    condition : ConditionEmbedding or None
        What both are told; each gets an embedding of its own.
    backbone : ConvBackbone
        Size of both networks. Its variant "dcgan" keeps the guidelines of the paper:
        strided and fractionally strided convolutions, batch norm in both networks but
        at the image, ReLU and tanh in the maker, leaky ReLU of slope 0.2 in the critic,
        first weights from N(0, 0.02), Adam at 2e-4 with betas (0.5, 0.999). "plain" has
        group norm in the maker and no norm in the critic, as penalties on its slope need.
    noise_dim : int, default=64
    packing : int, default=1
        Images that the critic judges together (Lin et al. 2018).

    Notes
    -----
    With "plain" the game is hinge with a zero-centred penalty on the slope at real
    images, with "dcgan" the non-saturating one of the paper, and no penalty.

    Images whose pixels have levels are rounded to them before the critic sees them, and
    the gradient passes by the rounding, so that the critic cannot tell by that alone.

    References
    ----------
    A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with Deep
    Convolutional Generative Adversarial Networks", 2016, arXiv:1511.06434. T. Miyato,
    M. Koyama, "cGANs with Projection Discriminator", 2018, arXiv:1802.05637. Z. Lin et al.,
    "PacGAN", 2018, arXiv:1712.04086. L. Mescheder et al., "Which Training Methods for GANs
    do actually Converge?", 2018, arXiv:1801.04406.

    Examples
    --------
    >>> from augsynth.nn.convnets import ConvBackbone
    >>> pair = ImageAdversaries(ImageLayout(1, 8, 8, 17), None, ConvBackbone(8), noise_dim=4)
    >>> cells = torch.zeros(6, dtype=torch.int32)
    >>> made = pair.make(torch.randn(6, 4), cells, torch.Generator())
    >>> made.shape, pair.judge(made, cells)[0].shape
    (torch.Size([6, 1, 8, 8]), torch.Size([6]))
    """

    loss: ClassVar[str] = "hinge"
    penalty: ClassVar[Mapping[str, Any] | None] = {"at": "real", "strength": 1.0}

    def __init__(
        self,
        layout: ImageLayout,
        condition: ConditionEmbedding | None,
        backbone: Any,
        *,
        noise_dim: int = 64,
        packing: int = 1,
    ):
        super().__init__()
        self.layout, self.noise_dim, self.packing = layout, int(noise_dim), int(packing)
        self.literal = backbone.variant == "dcgan"
        if self.literal:  # the game of the paper; a slope through batch statistics means little
            self.loss, self.penalty = "non-saturating", None  # type: ignore[misc]
        self.pixels = Pixels(layout.levels)
        self.maker = ImageMaker(layout, condition, backbone, self.noise_dim)
        self.critic = ImageCritic(layout, copy.deepcopy(condition), backbone, self.packing)

    def make(self, noise: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Make images (n, channels, h, w) in [-1, 1], on the levels if there are any."""
        x = self.maker(noise, c)
        if not self.layout.levels:
            return x
        return x + (self.pixels.read(self.pixels.write(x)) - x).detach()

    def real(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Map coded images to numbers in [-1, 1]."""
        return self.pixels.read(z)

    def judge(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores and features of packs of images."""
        return self.critic(x, c)

    def decide(self, noise: Tensor, c: Tensor, generator: torch.Generator) -> Tensor:
        """Return coded images."""
        return self.pixels.write(self.maker(noise, c))

    def plan(self, n: int) -> Mapping[str, Any]:
        """Say how many steps of how many images, and how fast: measured on images of 8 x 8."""
        steps = int(min(max(25.0 * math.sqrt(n), 1500), 6000))
        if self.literal:
            return {"steps": 2 * steps, "batch_size": 128, "learning_rate": 2e-4}
        return {"steps": steps, "batch_size": 64, "learning_rate": 1e-3}

    def optimizer_settings(self, player: str) -> dict[str, Any]:
        """Return Adam's averages: those of the DCGAN paper, or with less momentum."""
        return {"betas": (0.5, 0.999) if self.literal else (0.0, 0.99)}
