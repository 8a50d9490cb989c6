"""Diffusion of tokens: its bound, its steps, and what it fills in."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from augsynth.core.random import ItemKeys
from augsynth.generate.masked_diffusion import MaskedDiffusionObjective
from augsynth.nn.backbones import MLPBackbone
from augsynth.nn.randomness import RowNoise, forked, keyed_generator
from augsynth.nn.trainer import Trainer

SIZES = [3, 2, 4]
EVERY = torch.tensor(list(product(*map(range, SIZES))))


def model(spread=0.6, **settings):
    with forked(3):
        made = MaskedDiffusionObjective(
            SIZES, [False, False, True], None, MLPBackbone(32, depth=2), **settings
        )
        with torch.no_grad():
            made.network.out.free.normal_(0, 1.0).mul_(spread)
            made.network.bias.normal_(0, 0.5)
    return made.eval().requires_grad_(False)


def row_noise(n, seed):
    return RowNoise(ItemKeys(seed, 0, np.arange(n)))


def cells(n):
    return torch.zeros(n, dtype=torch.int32)


def test_the_bound_is_the_log_probability_of_independent_columns():
    made = model(spread=0.0)
    found = made.bound(EVERY, cells(24), keyed_generator(0))
    hidden = made.network.hidden(made.network.read(EVERY, torch.zeros_like(EVERY, dtype=torch.bool)), None)
    wanted = sum(
        torch.log_softmax(made.network.column(hidden, j), 1).gather(1, EVERY[:, j : j + 1])[:, 0]
        for j in range(3)
    )
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert found.exp().sum().item() == pytest.approx(1.0, abs=1e-4)


def test_the_bound_is_below_the_log_probability_and_draws_follow_the_orders():
    made, n = model(), 40_000
    # the exact distribution of one cell a step: the mean over the six orders
    share = torch.zeros(24)
    for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]):
        total = torch.zeros(24)
        seen = torch.zeros_like(EVERY, dtype=torch.bool)
        for j in order:
            total = total + made.network.cell_log_prob(EVERY, seen, cells(24))[:, j]
            seen = seen.clone()
            seen[:, j] = True
        share += total.exp() / 6
    assert share.sum().item() == pytest.approx(1.0, abs=1e-4)
    bounds = torch.stack([made.bound(EVERY, cells(24), keyed_generator(k)) for k in range(60)])
    error = bounds.std(0) / np.sqrt(60)
    assert (bounds.mean(0) <= share.log() + 4 * error).all()
    drawn = made.draw(cells(n), keyed_generator(0)).numpy()
    found = np.bincount(drawn @ np.array([8, 4, 1]), minlength=24) / n
    wanted = share.numpy()
    assert (np.abs(found - wanted) <= 4.5 * np.sqrt(wanted * (1 - wanted) / n) + 1e-4).all()


def test_cells_of_one_step_are_independent_and_missing_is_never_filled_in():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 1000)
    z = torch.as_tensor(np.stack([a, a, rng.integers(0, 2, 1000) * 2], axis=1))
    agree = {}
    for n_steps in (1, 3):
        with forked(0):
            made = MaskedDiffusionObjective(
                [3, 3, 3], [False, False, True], None, MLPBackbone(32, depth=2), n_steps=n_steps
            )
        trainer = Trainer(steps=150, batch_size=256, learning_rate=1e-2, options={"ema": 0.9})
        trainer.run(made, z, cells(1000), rng=np.random.default_rng(0))
        with torch.no_grad():
            drawn = made.draw(cells(2000), keyed_generator(1))
            agree[n_steps] = (drawn[:, 0] == drawn[:, 1]).float().mean().item()
    assert agree[1] == pytest.approx(1 / 3, abs=0.06) and agree[3] > 0.97
    seen = torch.tensor([[True, False, False]]).expand(1000, 3)
    with torch.no_grad():
        full = made.complete(z, seen, cells(1000), row_noise(len(z), 2))
    assert (full[:, 0] == z[:, 0]).all() and (full[:, 1] == z[:, 0]).float().mean() > 0.97
    assert (full[:, 2] < 2).all() and (z[:, 2] == 2).any()


def test_a_row_does_not_depend_on_its_neighbours():
    made = model()
    seen = torch.rand(24, 3, generator=torch.Generator().manual_seed(1)) < 0.4
    whole = made.complete(EVERY, seen, cells(24), row_noise(len(EVERY), 4))
    other = EVERY.clone()
    other[1:] = (EVERY[1:] + 1) % torch.tensor(SIZES)
    assert (made.complete(other, seen, cells(24), row_noise(len(other), 4))[0] == whole[0]).all()
