"""Losses by hand, slopes by autograd."""

import math

import pytest
import torch

from augsynth.nn.adversarial import LOSSES, gradient_penalty
from augsynth.nn.adversary_points import PointAdversaries

S = torch.tensor([-2.0, 0.0, 1.5])


def softplus(x):
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("name", "real", "fake", "maker"),
    [
        ("minimax", lambda s: softplus(-s), softplus, lambda s: -softplus(s)),
        ("non-saturating", lambda s: softplus(-s), softplus, lambda s: softplus(-s)),
        ("hinge", lambda s: max(0, 1 - s), lambda s: max(0, 1 + s), lambda s: -s),
        ("least-squares", lambda s: (s - 1) ** 2 / 2, lambda s: s**2 / 2, lambda s: (s - 1) ** 2 / 2),
        ("wasserstein", lambda s: -s, lambda s: s, lambda s: -s),
    ],
)
def test_losses_by_hand(name, real, fake, maker):
    loss, other, w = LOSSES[name], torch.tensor([0.5, -1.0, 3.0]), torch.tensor([0.5, 1.0, 1.5])
    reals, fakes = [real(s) for s in S.tolist()], [fake(s) for s in other.tolist()]
    assert float(loss.discriminator(S, other)) == pytest.approx((sum(reals) + sum(fakes)) / 3, abs=1e-6)
    by_weight = sum(v * (a + b) for v, a, b in zip(w.tolist(), reals, fakes, strict=True)) / 3
    assert float(loss.discriminator(S, other, w=w)) == pytest.approx(by_weight, abs=1e-6)
    assert float(loss.generator(S)) == pytest.approx(sum(maker(s) for s in S.tolist()) / 3, abs=1e-6)


def test_at_the_optimum_the_minimax_game_is_worth_minus_log_four():
    even = torch.zeros(5)
    assert float(LOSSES["minimax"].discriminator(even, even)) == pytest.approx(math.log(4))


def test_only_the_saturating_loss_loses_its_gradient_on_a_rejected_fake():
    slopes = {}
    for name in ("minimax", "non-saturating"):
        s = torch.full((1,), -10.0, requires_grad=True)
        LOSSES[name].generator(s).backward()
        slopes[name] = float(s.grad)
    assert slopes["minimax"] == pytest.approx(-4.54e-5, rel=1e-3)
    assert slopes["non-saturating"] == pytest.approx(-1.0, abs=1e-4)


@pytest.mark.parametrize("packing", [1, 2])
def test_penalty_of_a_linear_critic_is_known(packing):
    a = torch.tensor([3.0, 4.0])
    x, other = torch.randn(6, 2), torch.randn(6, 2)
    generator = torch.Generator().manual_seed(0)

    def judge(points):
        return (points @ a).view(-1, packing).sum(1)

    norm = 5.0 * math.sqrt(packing)
    got = gradient_penalty(judge, x, other, packing=packing, generator=generator)
    assert float(got) == pytest.approx((norm - 1) ** 2, rel=1e-5)
    got = gradient_penalty(judge, x, packing=packing, centre=0.0, generator=generator)
    assert float(got) == pytest.approx(norm**2, rel=1e-5)


def test_penalty_is_differentiable_in_the_weights():
    a = torch.tensor([3.0, 4.0], requires_grad=True)
    generator = torch.Generator().manual_seed(0)
    gradient_penalty(lambda x: x @ a, torch.randn(4, 2), torch.randn(4, 2), generator=generator).backward()
    # d (|a| - 1)^2 / da = 2 (|a| - 1) a / |a|
    assert a.grad.tolist() == pytest.approx([4.8, 6.4], rel=1e-5)


def test_penalty_of_a_square_is_the_mean_of_its_square_slope_at_the_points():
    x, b = torch.randn(50, 3), torch.tensor(0.7, requires_grad=True)
    penalty = gradient_penalty(lambda p: b * p.square().sum(1), x, centre=0.0, generator=torch.Generator())
    assert float(penalty.detach()) == pytest.approx(float((4 * 0.49 * x.square().sum(1)).mean()), rel=1e-5)
    penalty.backward()
    assert float(b.grad) == pytest.approx(float((8 * 0.7 * x.square().sum(1)).mean()), rel=1e-5)


def test_noise_of_both_kinds_has_mean_zero_and_variance_one():
    pair, cpu = PointAdversaries(2, noise_dim=4), torch.device("cpu")
    for pair.uniform in (False, True):
        drawn = pair.draw_noise(20_000, torch.Generator().manual_seed(0), cpu)
        assert abs(float(drawn.mean())) < 0.02  # seven standard errors
        assert float(drawn.var()) == pytest.approx(1.0, abs=0.035)
    assert float(drawn.abs().max()) <= 3.0**0.5


def test_packed_rows_are_judged_together():
    pair = PointAdversaries(2, packing=3)
    score, features = pair(torch.randn(12, 2), torch.zeros(12, dtype=torch.int32))
    assert score.shape == (4,) and len(features) == 4
