"""Gated masked convolutions: no pixel is told itself or what comes later, and all that came before."""

import pytest
import torch

from augsynth.encode.image import ImageLayout
from augsynth.nn.gated import GatedBackbone
from augsynth.nn.randomness import forked


@pytest.mark.parametrize(("channels", "kernel", "depth"), [(1, 3, 6), (3, 5, 3)])
def test_each_value_is_told_all_earlier_ones_and_no_other(channels, kernel, depth):
    height, width = 5, 6
    with forked(0):
        network = GatedBackbone(8, depth=depth, kernel=kernel).build(ImageLayout(channels, height, width), 2)
    x = torch.randn(1, channels, height, width, requires_grad=True)
    made = network(x)
    for i in range(height):
        for j in range(width):
            for k in range(channels):
                (gradient,) = torch.autograd.grad(made[0, k, :, i, j].sum(), x, retain_graph=True)
                seen = gradient[0].ne(0).permute(1, 2, 0).flatten()  # in the order of drawing
                place = (i * width + j) * channels + k
                assert not seen[place:].any(), (i, j, k)
                assert seen[:place].all(), (i, j, k)


def test_the_condition_reaches_the_first_pixel():
    with forked(0):
        network = GatedBackbone(8, depth=2).build(ImageLayout(1, 4, 4), 2, 3)
    context = torch.randn(1, 3, requires_grad=True)
    network(torch.zeros(1, 1, 4, 4), context)[..., 0, 0].sum().backward()
    assert (context.grad != 0).all()


def test_row_by_row_is_the_same_as_all_at_once():
    with forked(0):
        network = GatedBackbone(8, depth=3).build(ImageLayout(2, 5, 4), 3)
    x = torch.randn(2, 2, 5, 4)
    whole = network(x)
    told = [known[:, :, 3:4] for known in network.above(x[:, :, :4], None)]
    features = network.across([k[..., :3] for k in told], x[:, :, 3:4, :3], None)[..., 2:]
    assert torch.allclose(
        network.tell(features, x[:, :, 3:4, 2:3], 1)[..., 0, 0], whole[:, 1, :, 3, 2], atol=1e-5
    )
