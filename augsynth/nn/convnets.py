"""Convolutional networks for images, told the condition in every stage."""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn
from torch.nn import functional as F

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.encode.image import ImageLayout

__all__ = ["ConvBackbone", "ConvDecoder", "ConvEncoder", "Stage", "stage_sizes"]

LEAST = 4  # an axis is halved while both halves keep this many pixels
WIDEST = 8  # channels double with every stage, up to this many times the width
INITIAL = 0.02  # Radford et al. draw every first weight from N(0, 0.02)


def stage_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sizes that an image passes through, the full one first.

    Examples
    --------
    >>> stage_sizes(28, 28), stage_sizes(64, 9)
    ([(28, 28), (14, 14), (7, 7)], [(64, 9), (32, 5), (16, 5), (8, 5), (4, 5)])
    """
    sizes = [(height, width)]
    while max(sizes[-1]) >= 2 * LEAST:
        sizes.append(tuple((s + 1) // 2 if s >= 2 * LEAST else s for s in sizes[-1]))  # type: ignore[arg-type]
    return sizes


class Stage(nn.Module):
    """What follows a convolution: a norm, scale and shift that the context tells, the activation.

    Parameters
    ----------
    channels : int
    n_context : int
        Length of the context vector; 0 for none.
    norm : {"group", "batch", "none"}
    activation : {"silu", "relu", "leaky"}
    """

    def __init__(self, channels: int, n_context: int, *, norm: str, activation: str):
        super().__init__()
        self.norm: nn.GroupNorm | nn.BatchNorm2d | None = None
        if norm == "group":
            self.norm = nn.GroupNorm(next(g for g in (8, 4, 2, 1) if channels % g == 0), channels)
        elif norm == "batch":
            self.norm = nn.BatchNorm2d(channels)
        self.told = nn.Linear(n_context, 2 * channels) if n_context else None
        if self.told is not None:
            nn.init.zeros_(self.told.bias)
        self.activation = activation

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map (n, channels, h, w) to the same shape; no row sees another one but through batch norm."""
        if self.norm is not None:
            x = self.norm(x)
        if self.told is not None and context is not None:
            scale, shift = self.told(context)[:, :, None, None].chunk(2, dim=1)
            x = torch.addcmul(x + shift, x, scale)
        if self.activation == "leaky":
            return F.leaky_relu(x, 0.2)
        return F.relu(x) if self.activation == "relu" else F.silu(x)


class _Residuals(nn.Module):
    """Convolutions at the size of the stage, each added to what goes into it."""

    def __init__(self, depth: int, channels: int, n_context: int, **kinds: str):
        super().__init__()
        self.stages = nn.ModuleList(Stage(channels, n_context, **kinds) for _ in range(depth))
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        for stage, convolution in zip(self.stages, self.convolutions, strict=True):
            x = x + convolution(stage(x, context))
        return x


class ConvEncoder(nn.Module):
    """Images to vectors, by strided convolutions.

    Parameters
    ----------
    layout : ImageLayout
    n_outputs : int
        Length of the vector.
    width : int
        Channels after the first convolution; they double with every further one.
    depth : int
        Residual convolutions a stage.
    n_context : int
        Length of the context vector that every stage sees; 0 for none.
    norm, activation : str
        As in :class:`Stage`.

    Attributes
    ----------
    n_features : int
        Length of what :meth:`features` returns.
    """

    def __init__(
        self,
        layout: ImageLayout,
        n_outputs: int,
        *,
        width: int,
        depth: int = 0,
        n_context: int = 0,
        norm: str = "group",
        activation: str = "silu",
    ):
        super().__init__()
        sizes = stage_sizes(layout.height, layout.width)
        kinds = {"norm": norm, "activation": activation}
        channels, self.convolutions, self.stages = layout.channels, nn.ModuleList(), nn.ModuleList()
        self.residuals = nn.ModuleList()
        # An image of 7 x 7 and less has one stage, at its own size.
        turns = list(zip(sizes[1:], sizes[:-1], strict=True)) or [(sizes[0], sizes[0])]
        for k, ((height, wide), (before, broad)) in enumerate(turns):
            strides = 1 + (height < before), 1 + (wide < broad)
            made = width * min(2**k, WIDEST)
            self.convolutions.append(
                nn.Conv2d(channels, made, 5 if k == 0 else 3, strides, 2 if k == 0 else 1)
            )
            # Radford et al.: no batch norm where the discriminator reads the image
            first = "none" if norm == "batch" and k == 0 else norm
            self.residuals.append(_Residuals(depth, made, n_context, **kinds))
            self.stages.append(Stage(made, n_context, norm=first, activation=activation))
            channels = made
        last = sizes[-1]
        self.n_features = channels * last[0] * last[1]
        self.last = nn.Linear(self.n_features, n_outputs)

    def features(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map images (n, channels, h, w) to the last stage, flat: (n, n_features)."""
        for convolution, residuals, stage in zip(self.convolutions, self.residuals, self.stages, strict=True):
            x = stage(residuals(convolution(x), context), context)
        return x.flatten(1)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Map images (n, channels, h, w) and their context to vectors (n, n_outputs)."""
        return self.last(self.features(x, context))


class ConvDecoder(nn.Module):
    """Vectors to images of any size, by transposed convolutions that are cropped to it.

    Parameters
    ----------
    n_inputs : int
        Length of the vector.
    layout : ImageLayout
        For the height and the width.
    n_channels_out : int
        Channels of the output; what they mean is up to the likelihood.
    width, depth, n_context, norm, activation
        As in :class:`ConvEncoder`, the stages in opposite order.
    """

    def __init__(
        self,
        n_inputs: int,
        layout: ImageLayout,
        n_channels_out: int,
        *,
        width: int,
        depth: int = 0,
        n_context: int = 0,
        norm: str = "group",
        activation: str = "silu",
    ):
        super().__init__()
        self.sizes = stage_sizes(layout.height, layout.width)[::-1]
        kinds = {"norm": norm, "activation": activation}
        steps = len(self.sizes) - 1
        channels = width * min(2 ** max(steps - 1, 0), WIDEST)
        self.first = nn.Linear(n_inputs, channels * self.sizes[0][0] * self.sizes[0][1])
        self.convolutions, self.stages = nn.ModuleList(), nn.ModuleList()
        self.residuals = nn.ModuleList()
        for k in range(max(steps, 1)):
            self.residuals.append(_Residuals(depth, channels, n_context, **kinds))
            self.stages.append(Stage(channels, n_context, **kinds))
            left = steps - k - 1  # how often the image doubles after this one
            made = n_channels_out if left <= 0 else width * min(2 ** (left - 1), WIDEST)
            self.convolutions.append(_upward(channels, made, self.sizes[k : k + 2]))
            channels = made

    def forward(self, codes: Tensor, context: Tensor | None = None) -> Tensor:
        """Map vectors (n, n_inputs) and their context to images (n, n_channels_out, h, w)."""
        x = self.first(codes).unflatten(1, (-1, *self.sizes[0]))
        targets = self.sizes[1:] or self.sizes
        for size, convolution, residuals, stage in zip(
            targets, self.convolutions, self.residuals, self.stages, strict=True
        ):
            x = convolution(stage(residuals(x, context), context))[:, :, : size[0], : size[1]]
        return x


class ConvBackbone(BaseEstimator):
    """The size of convolutional networks, chosen before the images are seen.

    Images are halved until they are 4 to 7 pixels wide and high, and doubled back, so
    that any height and width will do: 8, 28, 33 or 64 pixels and more.

    Parameters
    ----------
    width : int, default=32
        Channels at half the size of the image; they double with every halving, up to eightfold.
    depth : int, default=0
        Residual convolutions a stage, besides the one that changes the size.
    variant : {"plain", "dcgan"}, default="plain"
        "plain" normalises each image by itself (group norm) and starts from torch's own
        weights. "dcgan" keeps the guidelines of the DCGAN paper: batch norm in every
        stage but the discriminator's first, ReLU on the way up, leaky ReLU of slope 0.2
        on the way down, first weights from N(0, 0.02).

    Notes
    -----
    With ``width=32`` and images of 28 x 28 a decoder costs 1.7 million multiplications
    an image, an encoder 1.0. Batch norm uses running averages once trained, so that
    rows are drawn independently all the same.

    Deviation: the kernels are 3 x 3 downwards (5 x 5 at the image) and 4 x 4 upwards,
    which divide by the stride, where the paper has 5 x 5.

    References
    ----------
    A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with Deep
    Convolutional Generative Adversarial Networks", 2016, arXiv:1511.06434. E. Perez et al.,
    "FiLM: Visual Reasoning with a General Conditioning Layer", 2018, arXiv:1709.07871.
    Y. Wu, K. He, "Group Normalization", 2018, arXiv:1803.08494.

    Examples
    --------
    >>> backbone, layout = ConvBackbone(8), ImageLayout(1, 28, 28)
    >>> codes = backbone.encoder(layout, 5)(torch.zeros(2, 1, 28, 28))
    >>> codes.shape, backbone.decoder(5, layout, 3)(codes).shape
    (torch.Size([2, 5]), torch.Size([2, 3, 28, 28]))
    """

    def __init__(self, width: int = 32, *, depth: int = 0, variant: str = "plain"):
        self.width = width
        self.depth = depth
        self.variant = variant

    def encoder(self, layout: ImageLayout, n_outputs: int, n_context: int = 0, **kinds: Any) -> ConvEncoder:
        """Make a network from images to vectors; ``kinds`` overrides ``norm`` and ``activation``."""
        return self._finish(
            ConvEncoder(layout, n_outputs, n_context=n_context, **(self._settings("leaky") | kinds))
        )

    def decoder(
        self, n_inputs: int, layout: ImageLayout, n_channels_out: int, n_context: int = 0, **kinds: Any
    ) -> ConvDecoder:
        """Make a network from vectors to images; ``kinds`` overrides ``norm`` and ``activation``."""
        settings = self._settings("relu") | kinds
        return self._finish(ConvDecoder(n_inputs, layout, n_channels_out, n_context=n_context, **settings))

    def build(self, n_inputs: int, n_outputs: int, n_context: int = 0) -> NoReturn:
        """Refuse rows of tables: they have no neighbourhoods.

        Raises
        ------
        ParameterError
        """
        must = "a convolutional backbone must see images"
        raise ParameterError(sentence("ConvBackbone", must, "rows of a table", "Use MLPBackbone."))

    def _settings(self, activation: str) -> dict[str, Any]:
        check_number("ConvBackbone", "width", self.width, low=1, integer=True)
        check_number("ConvBackbone", "depth", self.depth, low=0, integer=True)
        check_option("ConvBackbone", "variant", self.variant, ("plain", "dcgan"))
        kinds = {"norm": "group", "activation": "silu"}
        if self.variant == "dcgan":
            kinds = {"norm": "batch", "activation": activation}
        return {"width": int(self.width), "depth": int(self.depth), **kinds}

    def _finish(self, network: Any) -> Any:
        if self.variant == "dcgan":
            for module in network.modules():
                if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                    nn.init.normal_(module.weight, std=INITIAL)
                elif isinstance(module, nn.BatchNorm2d):
                    nn.init.normal_(module.weight, 1.0, INITIAL)
        return network


def _upward(channels: int, made: int, sizes: list[tuple[int, int]]) -> nn.Module:
    """Return what doubles the axes that grow, or keeps the size where there is nothing to grow to."""
    if len(sizes) == 1:
        return nn.Conv2d(channels, made, 3, padding=1)
    grows = [after > before for before, after in zip(*sizes, strict=True)]
    kernel, stride = tuple(4 if g else 3 for g in grows), tuple(2 if g else 1 for g in grows)
    return nn.ConvTranspose2d(channels, made, kernel, stride, padding=1)  # type: ignore[arg-type]
