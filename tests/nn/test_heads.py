"""Likelihoods of rows: against the textbook, against autograd, and draws against their probabilities."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from augsynth.core.errors import ParameterError
from augsynth.nn.backbones import ConditionEmbedding, MLPBackbone
from augsynth.nn.heads import GaussianHead, TokenEmbedding, TokenHead
from augsynth.nn.rows import RowEnds
from augsynth.nn.tree import dependence_tree

SIZES = [73, 9, 256, 16, 2, 16, 2, 7, 1, 3, 250]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_tokens(n, sizes, seed=0):
    rng = np.random.default_rng(seed)
    return torch.as_tensor(np.stack([rng.integers(0, k, n) for k in sizes], axis=1))


def reference(head, raw, tokens):
    """One softmax a column, in a loop."""
    total = 0
    for b, first, p, size, part in head._pieces(raw):
        wanted = tokens[:, head.order][:, first : first + p]
        for k in range(p):
            if size <= 2:
                logits = torch.stack([torch.zeros(len(raw)), part[:, k]], dim=1)
            else:
                columns = int((getattr(head, f"mask{b}")[k] == 0).sum())
                logits = part.reshape(len(raw), p, size)[:, k, :columns]
            total = total + torch.log_softmax(logits, 1)[torch.arange(len(raw)), wanted[:, k]]
    return total


def test_log_prob_and_gradient_match_a_softmax_a_column():
    head = TokenHead(SIZES)
    raw = torch.randn(6, head.n_outputs, generator=generator(), requires_grad=True)
    tokens, weights = random_tokens(6, SIZES), torch.arange(6.0)
    torch.testing.assert_close(head.log_prob(raw, tokens), reference(head, raw, tokens))
    (mine,) = torch.autograd.grad((head.log_prob(raw, tokens) * weights).sum(), raw)
    (theirs,) = torch.autograd.grad((reference(head, raw, tokens) * weights).sum(), raw)
    torch.testing.assert_close(mine, theirs)


def test_the_number_of_buckets_does_not_follow_the_number_of_columns():
    assert len(TokenHead([2, 3, 5, 10, 30, 100] * 500).buckets) <= 8
    assert TokenHead([2] * 7).n_outputs == 7


def test_draws_follow_the_probabilities():
    sizes, n = [5, 2, 4], 40_000
    head = TokenHead(sizes)
    raw = torch.randn(1, head.n_outputs, generator=generator(1)).expand(n, -1)
    drawn = head.draw(raw, torch.rand(n, 3, generator=generator(2)))
    for j, size in enumerate(sizes):
        share = np.bincount(drawn[:, j].numpy(), minlength=size) / n
        base = random_tokens(1, sizes)
        logs = []
        for token in range(size):
            row = base.clone()
            row[0, j] = token
            logs.append(float(head.log_prob(raw[:1], row)))
        expected = np.exp(logs - np.logaddexp.reduce(logs))
        assert (np.abs(share - expected) < 4.5 * np.sqrt(expected / n) + 1e-4).all()
        assert int(head.mode(raw[:1])[0, j]) == expected.argmax()


def test_a_tree_of_columns_is_a_distribution_and_is_drawn_from_exactly():
    sizes, parents = [3, 2, 4], [-1, 0, 1]
    with torch.random.fork_rng(devices=[]):
        head = TokenHead(sizes, parents)
        for k, table in enumerate(head.links.tables):
            table.data = torch.randn(table.shape, generator=generator(k))
    assert head.links.depth == 2
    raw = torch.randn(1, head.n_outputs, generator=generator(3))
    every = torch.tensor(list(itertools.product(*(range(k) for k in sizes))))
    probability = head.log_prob(raw.expand(len(every), -1), every).exp().detach().numpy()
    assert abs(probability.sum() - 1.0) < 1e-5
    n = 60_000
    drawn = head.draw(raw.expand(n, -1), torch.rand(n, 3, generator=generator(4)))
    code = (drawn * torch.tensor([8, 4, 1])).sum(1).numpy()
    share = np.bincount(code, minlength=24) / n
    assert (np.abs(share - probability) < 4.5 * np.sqrt(probability / n) + 1e-4).all()
    # The two columns at the ends of the chain depend on each other only through the one between.
    joint = probability.reshape(3, 2, 4)
    for middle in range(2):
        part = joint[:, middle] / joint[:, middle].sum()
        np.testing.assert_allclose(part, np.outer(part.sum(1), part.sum(0)), atol=1e-6)


def test_the_tree_finds_the_chain_and_leaves_independent_columns_alone():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 6, 4000)
    b = np.where(rng.random(4000) < 0.8, a, rng.integers(0, 6, 4000))
    c = np.where(rng.random(4000) < 0.8, b, rng.integers(0, 6, 4000))
    alone = rng.integers(0, 6, 4000)
    parents = dependence_tree(np.stack([a, c, alone, b], axis=1), np.full(4, 6), rng)
    links = {frozenset((j, q)) for j, q in enumerate(parents) if q >= 0}
    assert links == {frozenset((0, 3)), frozenset((1, 3))}
    few = rng.integers(0, 6, size=(30, 5))
    assert dependence_tree(few, np.full(5, 6), rng).count(-1) >= 4


def test_gaussian_head_against_scipy():
    head = GaussianHead(2, variance=0.25)
    means, values = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.3, 0.7]])
    expected = stats.norm.logpdf([0.3, 0.7], [0.0, 1.0], 0.5).sum()
    assert abs(float(head.log_prob(means, values)) - expected) < 1e-6
    assert not head.log_variance.requires_grad and GaussianHead(2).log_variance.requires_grad
    drawn = head.draw(means.expand(20_000, 2), torch.randn(20_000, 2, generator=generator()))
    assert abs(float(drawn[:, 0].std()) - 0.5) < 4 * 0.5 / np.sqrt(40_000)


def test_embedding_sum_is_the_one_hot_product():
    with torch.random.fork_rng(devices=[]):
        embedding = TokenEmbedding([3, 10_000], 8)
    tokens = torch.tensor([[2, 9_999], [0, 0]])
    expected = embedding.weight[tokens[:, 0]] + embedding.weight[3 + tokens[:, 1]]
    torch.testing.assert_close(embedding(tokens), expected)


def test_mixed_rows_keep_their_missing_cells_apart():
    with torch.random.fork_rng(devices=[]):
        ends = RowEnds([0, 4, 0, 2], [True, True, False, False], width=8, variance=1.0)
    nan = float("nan")
    z = torch.tensor([[0.5, 2.0, -1.0, 1.0], [nan, nan, 0.3, 0.0]])
    raw = torch.zeros(2, ends.n_outputs)
    # Uniform tokens (4 levels, 2 levels, a presence flag) and standard normal numbers that are seen.
    tokens = np.log(1 / 4) + 2 * np.log(1 / 2)
    expected = [tokens + stats.norm.logpdf([0.5, -1.0]).sum(), tokens + stats.norm.logpdf(0.3)]
    np.testing.assert_allclose(ends.log_prob(raw, z).detach(), expected, rtol=1e-5)
    assert torch.isfinite(ends.read(z)).all()
    drawn = ends.draw(torch.zeros(4000, ends.n_outputs), generator())
    assert drawn.shape == (4000, 4)
    gaps = torch.isnan(drawn).float().mean(0)
    assert abs(gaps[0] - 0.5) < 0.04 and abs(gaps[1] - 0.25) < 0.04 and gaps[2] == gaps[3] == 0
    assert set(drawn[:, 3].tolist()) == {0.0, 1.0} and ends.mode(raw).shape == (2, 4)


def test_backbones_and_conditions():
    with torch.random.fork_rng(devices=[]):
        linear = MLPBackbone(depth=0).build(3, 2)
        told = MLPBackbone(8, depth=3).build(3, 2, 5)
        condition = ConditionEmbedding(np.array([[0, 0], [0, 1], [1, 0]]), [2, 2], 4)
    x = torch.randn(4, 3, generator=generator())
    torch.testing.assert_close(linear(2 * x) - linear(x), linear(x) - linear(0 * x))
    a, b = (told(x, torch.full((4, 5), value)) for value in (0.0, 1.0))
    assert a.shape == (4, 2) and not torch.allclose(a, b)
    shared = condition(torch.tensor([0, 1])) - condition.weight[[2, 3]]
    torch.testing.assert_close(shared[0], shared[1])  # the label's part is the same
    with pytest.raises(ParameterError, match="width"):
        MLPBackbone(0).build(1, 1)
