"""Images pixel by pixel: masses that sum to one, and draws at their frequencies."""

import itertools
import math

import numpy as np
import pytest
import torch

from augsynth.encode.image import ImageLayout
from augsynth.generate.autoregressive_image import GatedPixelObjective
from augsynth.nn.backbones import ConditionEmbedding
from augsynth.nn.gated import GatedBackbone
from augsynth.nn.randomness import forked, keyed_generator
from augsynth.nn.trainer import Trainer

SMALL = GatedBackbone(8, depth=2, kernel=3)


def made(layout, seed=0, cells=0):
    with forked(seed):
        condition = ConditionEmbedding(np.arange(cells)[:, None], [cells], 4) if cells else None
        model = GatedPixelObjective(layout, condition, SMALL)
        for p in model.network.heads.parameters():
            torch.nn.init.normal_(p, std=0.7)  # far from equal odds
    return model.eval()


@torch.no_grad()
def test_masses_of_every_image_sum_to_one_and_draws_follow_them():
    model = made(ImageLayout(1, 2, 3, 2), cells=2)
    every = torch.tensor(list(itertools.product([0, 1], repeat=6)), dtype=torch.uint8).view(-1, 1, 2, 3)
    for cell in (0, 1):
        log_mass = model.log_prob(every, torch.full((64,), cell))
        assert log_mass.exp().sum().item() == pytest.approx(1.0, abs=1e-5)
        drawn = model.draw(torch.full((20000,), cell), keyed_generator(cell))
        codes = (drawn.flatten(1).long() * 2 ** torch.arange(5, -1, -1)).sum(1)
        share = torch.bincount(codes, minlength=64) / 20000
        # Standard error of a share p of n draws: sqrt(p (1 - p) / n).
        error = torch.sqrt(log_mass.exp() * (1 - log_mass.exp()) / 20000) + 1e-6
        assert ((share - log_mass.exp()) / error).abs().max() < 4.5


@torch.no_grad()
def test_two_channels_and_many_levels_sum_to_one_too():
    model = made(ImageLayout(2, 1, 1, 40))  # a mixture of logistics, by its borders
    every = torch.tensor(list(itertools.product(range(40), repeat=2)), dtype=torch.uint8).view(-1, 2, 1, 1)
    total = model.log_prob(every, torch.zeros(1600)).exp().sum()
    assert total.item() == pytest.approx(1.0, abs=1e-4)


@torch.no_grad()
def test_continuous_pixels_have_a_density():
    model = made(ImageLayout(1, 1, 1, 0))
    grid = (torch.arange(2560) + 0.5) / 2560
    density = model.log_prob((2 * grid - 1).view(-1, 1, 1, 1), torch.zeros(2560)).exp()
    assert 2 * density.mean().item() == pytest.approx(1.0, abs=1e-4)  # over [-1, 1]
    drawn = model.draw(torch.zeros(9), keyed_generator(0))
    assert drawn.dtype == torch.float32 and drawn.abs().max() <= 1


def test_training_finds_a_rule_between_pixels():
    rng = np.random.default_rng(0)
    left = np.array(list(itertools.product(range(4), repeat=3))).reshape(64, 1, 3, 1)
    images = torch.as_tensor(np.concatenate([left, 3 - left], axis=3).astype(np.uint8))
    with forked(0):
        model = GatedPixelObjective(ImageLayout(1, 3, 2, 4), None, SMALL)
    options = {"ema": 0.9}
    Trainer(steps=100, batch_size=64, learning_rate=1e-2, options=options).run(
        model, images, torch.zeros(64, dtype=torch.int32), rng=rng
    )
    with torch.no_grad():
        bits = -model.log_prob(images, torch.zeros(64)).mean().item() / math.log(2)
        drawn = model.draw(torch.zeros(64), keyed_generator(0)).long()
    # The left pixels are free (2 bits each of three), the right ones follow from them.
    assert 6.0 <= bits < 6.5
    assert (drawn[..., 0] + drawn[..., 1] == 3).float().mean() > 0.95
