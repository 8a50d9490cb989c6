"""Convolutional networks: any size, the condition heard in every stage, no row that sees another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from augsynth.core.errors import ParameterError
from augsynth.encode.image import ImageLayout
from augsynth.nn.convnets import ConvBackbone, stage_sizes
from augsynth.nn.randomness import forked

SIZES = [(8, 8), (7, 7), (5, 9), (28, 28), (33, 17), (64, 64), (1, 1), (64, 2)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("variant", ["plain", "dcgan"])
def test_any_size_comes_back(size, variant):
    layout = ImageLayout(3, *size)
    backbone = ConvBackbone(4, depth=1, variant=variant)
    x, told = torch.rand(3, *layout.shape), torch.rand(3, 2)
    codes = backbone.encoder(layout, 5, 2)(x, told)
    images = backbone.decoder(5, layout, 2, 2)(codes, told)
    assert codes.shape == (3, 5) and images.shape == (3, 2, *size)
    assert torch.isfinite(images).all()
    if 1 not in size:  # a lone pixel is its own mean: group norm leaves nothing of it
        assert images.std() > 0


def test_sizes_are_halved_while_both_halves_keep_four_pixels():
    assert stage_sizes(8, 8) == [(8, 8), (4, 4)]
    assert stage_sizes(28, 28) == [(28, 28), (14, 14), (7, 7)]
    assert stage_sizes(9, 7) == [(9, 7), (5, 7)]
    assert stage_sizes(3, 2) == [(3, 2)]
    assert min(min(s) for h in range(4, 70) for s in stage_sizes(h, h)) == 4


@pytest.mark.parametrize("variant", ["plain", "dcgan"])
def test_no_row_depends_on_another_once_trained(variant):
    layout, backbone = ImageLayout(2, 13, 9), ConvBackbone(4, depth=1, variant=variant)
    with forked(0):
        encoder, decoder = backbone.encoder(layout, 4, 3), backbone.decoder(4, layout, 2, 3)
    rng = np.random.default_rng(0)
    x = torch.as_tensor(rng.normal(size=(6, 2, 13, 9)), dtype=torch.float32).requires_grad_()
    told = torch.as_tensor(rng.normal(size=(6, 3)), dtype=torch.float32)
    whole = nn.ModuleList([encoder, decoder])
    decoder(encoder(x, told), told)  # batch norm sees a batch
    whole.eval()
    out = decoder(encoder(x, told), told)
    (slope,) = torch.autograd.grad(out[2].sum(), x)
    assert slope[2].abs().max() > 0
    assert slope[[0, 1, 3, 4, 5]].abs().max() == 0


def test_padding_is_the_same_for_every_row():
    layout = ImageLayout(1, 11, 11)
    with forked(0):
        encoder = ConvBackbone(4).encoder(layout, 3)
    row = torch.rand(1, 1, 11, 11, generator=torch.Generator().manual_seed(0))
    out = encoder(row.repeat(5, 1, 1, 1))
    torch.testing.assert_close(out, out[:1].expand(5, 3), rtol=0, atol=1e-6)


def test_the_condition_is_heard_in_every_stage():
    layout = ImageLayout(1, 28, 28)
    with forked(0):
        network = ConvBackbone(4, depth=1).decoder(3, layout, 1, 2)
    told = torch.eye(2)
    out = network(torch.zeros(2, 3), told)
    assert (out[0] - out[1]).abs().max() > 1e-3
    out.square().sum().backward()
    heard = [p.grad.abs().max() for name, p in network.named_parameters() if "told.weight" in name]
    assert len(heard) == 4 and min(heard) > 0


def test_the_literal_variant_keeps_the_guidelines():
    layout = ImageLayout(1, 64, 64)
    with forked(0):
        backbone = ConvBackbone(16, variant="dcgan")
        critic, maker = backbone.encoder(layout, 1), backbone.decoder(100, layout, 1)
    for network in (critic, maker):
        kinds = {type(module).__name__ for module in network.modules()}
        assert not kinds & {"MaxPool2d", "AvgPool2d", "Upsample", "GroupNorm"}
    assert all(m.stride == (2, 2) for m in critic.modules() if isinstance(m, nn.Conv2d))
    assert all(m.stride == (2, 2) for m in maker.modules() if isinstance(m, nn.ConvTranspose2d))
    assert critic.stages[0].norm is None and isinstance(critic.stages[1].norm, nn.BatchNorm2d)
    assert isinstance(maker.stages[-1].norm, nn.BatchNorm2d)
    assert {s.activation for s in critic.stages} == {"leaky"}
    assert {s.activation for s in maker.stages} == {"relu"}
    weight = maker.convolutions[0].weight.detach()
    # 131,072 weights: the standard error of their deviation is a five-hundredth of it
    assert abs(weight.std() / 0.02 - 1) < 0.01


def test_tables_and_bad_settings_get_a_sentence():
    with pytest.raises(ParameterError, match="must see images.*MLPBackbone"):
        ConvBackbone().build(3, 2)
    for settings, says in [({"width": 0}, "width"), ({"depth": -1}, "depth"), ({"variant": "x"}, "variant")]:
        with pytest.raises(ParameterError, match=says):
            ConvBackbone(**settings).encoder(ImageLayout(1, 8, 8), 2)
