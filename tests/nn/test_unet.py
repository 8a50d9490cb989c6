"""The U-Net: sizes, what reaches what, and rows that do not see each other."""

import pytest
import torch

from augsynth.core.errors import ParameterError
from augsynth.encode.image import ImageLayout
from augsynth.nn.randomness import forked
from augsynth.nn.unet import UNetBackbone


def woken(network):
    """Return the network with weights in place of the zeros that it starts from."""
    with forked(1):
        for p in network.parameters():
            if not p.any():
                torch.nn.init.normal_(p, std=0.1)
    return network


@pytest.mark.parametrize("size", [(1, 8, 8), (3, 28, 28), (1, 9, 13), (2, 5, 33), (3, 64, 64), (1, 1, 1)])
def test_any_size_comes_back(size):
    network = UNetBackbone(8).build(ImageLayout(*size), 4)
    made = network(torch.randn(2, *size), torch.zeros(2), torch.randn(2, 4))
    assert made.shape == (2, *size)
    assert not made.any()  # an untrained network answers nothing, whatever it sees


def test_every_pixel_noise_and_context_reach_every_pixel():
    with forked(0):
        network = woken(UNetBackbone(8).build(ImageLayout(1, 9, 18), 3))
    x = torch.randn(1, 1, 9, 18, requires_grad=True)
    level, context = torch.zeros(1, requires_grad=True), torch.randn(1, 3, requires_grad=True)
    network(x, level, context)[0, 0, 0, 0].backward()
    assert (x.grad != 0).all() and level.grad.item() != 0 and (context.grad != 0).all()


def test_rows_are_independent():
    with forked(0):
        network = woken(UNetBackbone(8).build(ImageLayout(1, 8, 8)))
    x, level = torch.randn(6, 1, 8, 8), torch.linspace(-3, 3, 6)
    moved = x.clone()
    moved[1:] += 1.0
    assert torch.allclose(network(x, level)[0], network(moved, level)[0], atol=1e-6)


def test_tables_are_refused():
    with pytest.raises(ParameterError, match="must see images"):
        UNetBackbone().build(5, 3)
