"""Alarms: on histories made up for the purpose, and on games that do go wrong."""

import math

import numpy as np
import pytest
import torch

from augsynth.core.errors import TrainingError
from augsynth.generate.gan_objective import GANObjective
from augsynth.nn.adversary_points import PointAdversaries
from augsynth.nn.alarm import alarms, coverage, spread
from augsynth.nn.history import History
from augsynth.nn.randomness import forked
from augsynth.nn.stabilise import GradientPenalty
from augsynth.nn.trainer import Trainer

N = 60


def history(**series):
    """Build a history of 60 points; a series is a function of the share done."""
    usual = {
        "generator": lambda t: 0.7, "discriminator": lambda t: 1.3, "gradient generator": lambda t: 1.0,
        "D(x)": lambda t: 0.6, "D(G(z))": lambda t: 0.4, "coverage": lambda t: 0.8, "spread": lambda t: 0.9,
    }  # fmt: skip
    points = {
        name: [(10 * (i + 1), float(function(i / N))) for i in range(N)]
        for name, function in (usual | series).items()
    }
    losses = {name: points.pop(name) for name in ("generator", "discriminator")}
    return History(losses=losses, watched=points)


def kinds(told, **options):
    return {text.partition(":")[0] for text in alarms(told, **({"probability": True} | options))}


def test_a_healthy_history_says_nothing():
    rng = np.random.default_rng(0)
    wiggle = {"D(G(z))": lambda t: 0.4 + 0.1 * rng.normal(), "coverage": lambda t: 0.3 + 0.05 * rng.normal()}
    assert kinds(history(**wiggle)) == set()
    assert kinds(History()) == set()


@pytest.mark.parametrize(
    ("kind", "series"),
    [
        ("saturation", {"D(G(z))": lambda t: 0.4 * math.exp(-20 * t),
                        "gradient generator": lambda t: math.exp(-20 * t)}),
        ("imbalance", {"D(G(z))": lambda t: 0.01, "D(x)": lambda t: 0.99}),
        ("oscillation", {"D(G(z))": lambda t: 0.5 + 0.45 * math.sin(50 * t)}),
        ("divergence", {"discriminator": lambda t: 1.3 * math.exp(8 * t)}),
        ("mode collapse", {"coverage": lambda t: 0.05}),
        ("mode collapse", {"spread": lambda t: 0.1}),
    ],
)  # fmt: skip
def test_each_kind_is_named_alone(kind, series):
    assert kinds(history(**series)) == {kind}


def test_scores_that_are_no_probabilities_are_not_read_as_such():
    told = history(**{"D(G(z))": lambda t: -9.0, "D(x)": lambda t: 9.0})
    assert kinds(told, probability=False) == set()


def test_each_kind_is_said_once_and_collapse_not_before_half_time():
    told = history(coverage=lambda t: 0.05)
    assert kinds(told, planned=100 * N) == set()
    told.alarms.append((7, "mode collapse: said before"))
    assert kinds(told) == set()


def test_coverage_by_hand():
    real = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    assert float(coverage(real, torch.tensor([[0.5], [0.6]]), neighbors=1)) == 0.5
    assert float(coverage(real, real, neighbors=1)) == 1.0


def test_coverage_of_two_samples_of_one_distribution():
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 1000, 2, generator=generator)
    assert float(coverage(real, fake)) == pytest.approx(1 - 2**-5, abs=0.02)  # three standard errors


def test_spread_compares_rows_of_one_cell_only():
    real, c = torch.tensor([[0.0], [2.0], [50.0], [52.0]]), torch.tensor([0, 0, 1, 1])
    assert float(spread(real, torch.tensor([[0.0], [1.0], [9.0], [10.0]]), c)) == pytest.approx(0.5)


def ring(n, rng):
    angle = 2 * np.pi * rng.integers(8, size=n) / 8
    points = 1.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.1 * rng.normal(size=(n, 2))
    return torch.tensor(points, dtype=torch.float32)


def play(loss, *, steps=250, rate=2e-3, seed=0, **options):
    with forked(seed):
        objective = GANObjective(PointAdversaries(2), loss=loss, counts=np.array([1000]), **options)
    rng = np.random.default_rng(seed)
    rows = ring(1000, rng)
    trainer = Trainer(steps=steps, batch_size=64, learning_rate=rate, options={"progress": False})
    return trainer.run(objective, rows, torch.zeros(1000, dtype=torch.int32), rng=rng)


def test_a_game_that_is_stabilised_raises_no_alarm():
    told = play("non-saturating", stabilisers=(GradientPenalty(strength=1.0, at="real"),), steps=500)
    assert told.alarms == []
    assert {"D(x)", "D(G(z))", "coverage", "spread", "gradient generator"} <= set(told.watched)


def test_a_discriminator_with_too_many_turns_saturates_the_minimax_game():
    # Lipton's advice, turned round: ten turns at a high rate, and no gradient is left for the maker.
    told = play("minimax", discriminator_steps=10, rate=2e-2, steps=150)
    assert told.alarms, {k: v[-3:] for k, v in told.watched.items()}
    said = {text.partition(":")[0] for _, text in told.alarms}
    assert said & {"saturation", "imbalance", "mode collapse"}


def test_an_absurd_rate_ends_in_words():
    try:
        told = play("wasserstein", rate=1e3, steps=200)
    except TrainingError as error:
        assert "must stay finite" in str(error)
    else:
        assert any(text.startswith("divergence") for _, text in told.alarms)
