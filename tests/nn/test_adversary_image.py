"""The pair of networks that makes and judges images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from augsynth.encode.image import ImageLayout
from augsynth.nn.adversary_image import ImageAdversaries
from augsynth.nn.backbones import ConditionEmbedding
from augsynth.nn.convnets import ConvBackbone
from augsynth.nn.randomness import forked

CELLS = torch.tensor([0, 0, 1, 1, 2, 2], dtype=torch.int32)


def pair_of(layout, variant="plain", **options):
    with forked(0):
        condition = ConditionEmbedding(np.arange(3)[:, None], [3], 4)
        return ImageAdversaries(layout, condition, ConvBackbone(4, variant=variant), noise_dim=5, **options)


def noise(seed=0):
    return torch.randn(6, 5, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "layout", [ImageLayout(1, 8, 8, 17), ImageLayout(3, 13, 28), ImageLayout(1, 7, 7, 2)]
)
@pytest.mark.parametrize("variant", ["plain", "dcgan"])
def test_made_and_real_images_live_in_one_space(layout, variant):
    pair, generator = pair_of(layout, variant), torch.Generator().manual_seed(0)
    made = pair.make(noise(), CELLS, generator)
    assert made.shape == (6, *layout.shape) and made.abs().max() <= 1
    coded = pair.decide(noise(), CELLS, generator)
    assert coded.dtype == (torch.uint8 if layout.levels else torch.float32)
    assert torch.equal(pair.pixels.write(pair.real(coded, generator)), coded)
    score, features = pair.judge(made, CELLS)
    assert score.shape == (6,) and features.shape == (6, 16)
    score.sum().backward()
    assert all(p.grad is not None for p in pair.maker.parameters())


def test_every_parameter_belongs_to_one_player():
    pair = pair_of(ImageLayout(1, 8, 8, 17))
    maker, critic = set(map(id, pair.maker.parameters())), set(map(id, pair.critic.parameters()))
    assert not maker & critic and maker | critic == set(map(id, pair.parameters()))


def test_the_critic_sees_levels_and_the_gradient_passes_by_the_rounding():
    pair = pair_of(ImageLayout(1, 8, 8, 5))
    seeds = noise().requires_grad_()
    made = pair.make(seeds, CELLS, torch.Generator())
    steps = (made + 1) * 2
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-5)
    (slope,) = torch.autograd.grad(made[1].sum(), seeds)
    (plain,) = torch.autograd.grad(pair.maker(seeds, CELLS)[1].sum(), seeds)
    torch.testing.assert_close(slope, plain)
    assert slope[1].abs().max() > 0 and slope[[0, 2, 3, 4, 5]].abs().max() == 0


def test_packs_are_judged_together_and_apart_from_others():
    pair = pair_of(ImageLayout(1, 8, 8, 17), packing=2)
    x = pair.make(noise(), CELLS, torch.Generator()).detach().requires_grad_()
    score, features = pair.judge(x, CELLS)
    assert score.shape == (3,) and len(features) == 3
    (slope,) = torch.autograd.grad(score[1], x)
    seen = slope.flatten(1).abs().amax(1) > 0
    assert seen.tolist() == [False, False, True, True, False, False]


def test_both_players_hear_the_condition():
    pair = pair_of(ImageLayout(1, 8, 8))
    same = noise()[:1].expand(3, 5)
    made = pair.make(same, torch.arange(3), torch.Generator())
    assert (made[0] - made[1]).abs().max() > 1e-3
    score, features = pair.judge(made[:1].expand(3, 1, 8, 8), torch.arange(3))
    assert score.std() > 0 and (features - features[0]).abs().max() < 1e-6


@pytest.mark.parametrize("variant", ["plain", "dcgan"])
def test_drawn_rows_are_independent(variant):
    pair = pair_of(ImageLayout(1, 9, 9, 256), variant)
    pair.make(noise(), CELLS, torch.Generator())  # running averages move
    pair.eval()
    whole = pair.decide(noise(), CELLS, torch.Generator())
    other = noise(1)
    other[3] = noise()[3]
    assert torch.equal(pair.decide(other, CELLS, torch.Generator())[3], whole[3])


def test_batch_norm_and_penalties_on_slopes_keep_apart():
    literal, plain = pair_of(ImageLayout(1, 28, 28), "dcgan"), pair_of(ImageLayout(1, 28, 28))
    assert literal.penalty is None and literal.loss == "non-saturating"
    assert plain.penalty is not None and plain.loss == "hinge"
    norms = (nn.BatchNorm2d, nn.GroupNorm)
    assert any(isinstance(m, nn.BatchNorm2d) for m in literal.critic.modules())
    assert not any(isinstance(m, norms) for m in plain.critic.modules())
    assert literal.optimizer_settings("generator")["betas"] == (0.5, 0.999)
    assert literal.plan(1000)["learning_rate"] == 2e-4
    assert plain.plan(100)["steps"] <= plain.plan(10_000)["steps"] <= plain.plan(10**7)["steps"] == 6000
