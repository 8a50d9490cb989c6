"""The masked network of token rows: what it sees, what it says, and how draws are made."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from augsynth.nn.backbones import ConditionEmbedding, MLPBackbone
from augsynth.nn.masked import CellTable, MaskedNetwork, pick
from augsynth.nn.randomness import forked

SIZES, GAPS = [2, 7, 3, 2, 9], [False, True, False, True, False]


def network(**settings):
    with forked(0):
        condition = ConditionEmbedding(np.array([[0], [1]]), [2], 4)
        made = MaskedNetwork(SIZES, GAPS, condition, MLPBackbone(16, depth=2), **settings)
        with torch.no_grad():
            made.bias.copy_(torch.randn(len(made.bias)))
    return made


def rows(n=6, seed=0):
    rng = np.random.default_rng(seed)
    z = torch.as_tensor(np.stack([rng.integers(0, s, n) for s in SIZES], axis=1))
    return z, torch.as_tensor(rng.random((n, len(SIZES))) < 0.5), torch.as_tensor(rng.integers(0, 2, n))


def test_one_columns_logits_are_its_part_of_all_of_them():
    model = network(ordered=[False, True, False, False, True])
    z, observed, c = rows()
    every = model.cell_log_prob(z, observed, c)
    hidden = model.hidden(model.read(z, observed), c)
    for j, size in enumerate(SIZES):
        told = torch.log_softmax(model.column(hidden, j), 1)
        assert told.shape == (6, size)
        torch.testing.assert_close(told.gather(1, z[:, j : j + 1])[:, 0], every[:, j])


def test_what_hides_is_not_seen_and_what_is_seen_matters():
    model = network()
    z, observed, c = rows()
    other = torch.where(observed, z, (z + 1) % torch.tensor(SIZES))
    torch.testing.assert_close(model.read(z, observed), model.read(other, observed), rtol=0, atol=0)
    moved = model.read((z + 1) % torch.tensor(SIZES), observed)
    assert ((moved - model.read(z, observed)).abs().amax(1) > 0).tolist() == observed.any(1).tolist()


def test_it_starts_at_the_columns_frequencies():
    model = network()
    z, _, c = rows(400)
    with torch.no_grad():
        model.out.free.zero_()
    model.start_at(z)
    hidden = model.hidden(model.read(z, torch.zeros_like(z, dtype=torch.bool)), c)
    for j, size in enumerate(SIZES):
        counts = np.bincount(z[:, j], minlength=size) + 0.5
        share = torch.softmax(model.column(hidden, j), 1)[0].detach().numpy()
        np.testing.assert_allclose(share, counts / counts.sum(), rtol=1e-4)


def test_missing_tokens_can_be_ruled_out():
    model = network()
    for j, (start, stop) in enumerate(model.spans):
        barred = torch.isinf(model.bar[start:stop]).tolist()
        assert barred == [False] * (stop - start - 1) + [GAPS[j]]


def test_neighbouring_bins_share_what_they_learn():
    with forked(0):
        table = CellTable([3, 41], [0, 40], 5, scale=1.0)
    before = table().detach().clone()
    table()[3 + 20].sum().backward()
    with torch.no_grad():
        for parameter in table.parameters():
            parameter -= 0.1 * parameter.grad
    moved = (table() - before).abs().sum(1).detach()
    assert moved[:3].abs().max() == 0.0 and moved[-1] == 0.0  # categories, and the hidden cell's own vector
    assert moved[3 + 20] > moved[3 + 21] > 4 * moved[3 + 35]


def test_picks_follow_the_logits():
    logits = torch.tensor([[0.0, 1.0, -torch.inf, 2.0, -torch.inf]])
    n = 20_000
    uniform = torch.rand(n, generator=torch.Generator().manual_seed(0))
    uniform[:2] = torch.tensor([0.0, 1.0 - 2.0**-24])
    drawn = pick(logits.expand(n, 5), uniform)
    share = np.bincount(drawn, minlength=5) / n
    wanted = torch.softmax(logits[0], 0).numpy()
    error = np.sqrt(wanted * (1 - wanted) / n)
    assert (np.abs(share - wanted) <= 4 * error).all() and drawn[:2].tolist() == [0, 3]


@pytest.mark.parametrize("sizes", [[1, 3], [4]])
def test_columns_of_one_token_are_certain(sizes):
    with forked(0):
        model = MaskedNetwork(sizes, [False] * len(sizes), None, MLPBackbone(8, depth=1))
    z = torch.zeros(3, len(sizes), dtype=torch.long)
    hidden = model.hidden(model.read(z, torch.zeros_like(z, dtype=torch.bool)), None)
    if sizes[0] == 1:
        assert torch.log_softmax(model.column(hidden, 0), 1).abs().max() == 0.0
    assert model.column(hidden, len(sizes) - 1).shape == (3, sizes[-1])


def test_stretches_of_a_number_learn_apart_more_slowly():
    with forked(0):
        table = CellTable([3, 41], [0, 40], 5, scale=1.0, smooth=[0.0, 1.0])
    table().sum().backward()
    pace = table.free.grad[:, 0].tolist()
    assert pace[:3] == [1.0] * 3 and pace[-1] == 1.0
    np.testing.assert_allclose(pace[3:-1], 0.1, rtol=1e-5)
