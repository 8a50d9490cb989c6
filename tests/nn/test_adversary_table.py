"""The networks of adversarial table models: fused draws, gradients, digits, and exact frequencies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from augsynth.nn.adversary_table import TableAdversaries
from augsynth.nn.backbones import ConditionEmbedding, MLPBackbone
from augsynth.nn.randomness import forked
from augsynth.nn.token_counts import TreeCounts, set_right, start_values
from augsynth.nn.token_space import SlotLinear, TokenSpace, straight_through

SIZES = [7, 2, 30, 5, 1, 28]
PARENTS = [-1, 0, -1, 2, -1, 3]


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def some_rows(sizes, n, seed=0):
    rng = np.random.default_rng(seed)
    return torch.as_tensor(np.stack([rng.integers(k, size=n) for k in sizes], axis=1))


def pair_of(sizes, parents=None, *, cells=0, width=8, packing=1, ordered=None):
    with forked(0):
        condition = None
        if cells:
            condition = ConditionEmbedding(np.arange(cells)[:, None], [cells], 4)
        space = TokenSpace(sizes, parents, ordered)
        return TableAdversaries(
            space, condition, MLPBackbone(width, depth=1), noise_dim=3, packing=packing
        ).eval()


def drawn(pair, n, c=None, seed=0):
    g = stream(seed)
    c = torch.zeros(n, dtype=torch.int32) if c is None else c
    with torch.no_grad():
        return pair.decide(torch.randn(n, pair.noise_dim, generator=g), c, g)


# ---- the space ----------------------------------------------------------------------


def test_onehots_and_places_come_back():
    space = TokenSpace(SIZES, PARENTS)
    z = some_rows(SIZES, 50)
    assert torch.equal(space.tokens(space.places(z)), z)
    x = space.onehot(z)
    assert x.shape == (50, space.width)
    assert (x.sum(1) == len(SIZES)).all()
    assert x[:, space.seen() == 0].sum() == 0
    loose = TokenSpace(SIZES)
    assert [(b.columns, b.size) for b in loose.buckets] == [(2, 30), (2, 7), (1, 2), (1, 1)]
    assert len(TokenSpace([256] * 100).buckets) == 1


def test_fused_draw_is_that_of_a_loop_over_columns():
    space = TokenSpace(SIZES, PARENTS)
    raw = torch.randn(40, space.width, generator=stream(1))
    tables = [torch.randn(t.shape, generator=stream(2)) for t in space.tables()]
    uniform = torch.rand(40, space.n_digits, generator=stream(3))
    x, places = space.choose(raw, uniform, tables)
    tokens = space.tokens(places)
    assert torch.equal(x, space.onehot(tokens))
    order, slot = space.order.tolist(), space.slot.tolist()
    place = {j: k for k, j in enumerate(order)}
    bucket_of = {k: b for b, u in enumerate(space.buckets) for k in range(u.first, u.first + u.columns)}
    for j, size in enumerate(SIZES):  # the plain way: one column after the other
        k = place[j]
        logits = raw[:, slot[k] : slot[k] + size]
        if PARENTS[j] >= 0:
            rows = space.rows[tokens[:, PARENTS[j]] + space.row_base[k]]
            logits = logits + tables[bucket_of[k]][rows, :size]
        heights = torch.softmax(logits, 1).cumsum(1)
        wanted = (heights < uniform[:, k, None]).sum(1).clamp(max=size - 1)
        assert torch.equal(tokens[:, j], wanted), j


def test_rows_are_onehot_and_their_gradient_is_the_softmax_gradient():
    logits = torch.randn(6, 3, 5, dtype=torch.float64, generator=stream()).requires_grad_()
    pull = torch.randn(6, 3, 5, dtype=torch.float64, generator=stream(1))
    x, token = straight_through(logits, torch.rand(6, 3, generator=stream(2)))
    assert ((x == 0) | (x == 1)).all()
    assert torch.equal(x.argmax(-1), token)
    (got,) = torch.autograd.grad((x * pull).sum(), logits)
    (wanted,) = torch.autograd.grad((torch.softmax(logits, -1) * pull).sum(), logits)
    assert torch.allclose(got.double(), wanted, atol=1e-6)


def test_draws_have_the_frequencies_of_the_softmax():
    n = 40_000
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0, -torch.inf])
    _, token = straight_through(logits.expand(n, 1, 5), torch.rand(n, 1, generator=stream()))
    share, p = torch.bincount(token.flatten(), minlength=5) / n, torch.softmax(logits, 0)
    error = (p * (1 - p) / n).sqrt()  # standard error of a share
    assert ((share - p).abs() <= 4 * error).all()


def test_ordered_columns_share_weights_between_neighbours():
    with forked(0):
        linear = SlotLinear(TokenSpace([40, 40], ordered=[True, False]), 64, 1.0)
    with torch.no_grad():
        linear.free.zero_()
        weights = linear().view(2, 40, 64)
    assert len(linear.smooth) == 1
    step = (weights[:, 1:] - weights[:, :-1]).square().mean((1, 2))
    size = weights.square().mean((1, 2))
    smooth = int(size.argmax())
    assert size[1 - smooth] == 0  # levels without an order have free weights only
    assert step[smooth] < 0.1 * size[smooth]


# ---- high cardinality ---------------------------------------------------------------


def test_ten_thousand_levels_take_two_hundred_slots():
    pair = pair_of([10_000, 3], [-1, 0])
    assert pair.space.width < 250
    assert sum(p.numel() for p in pair.parameters()) < 100_000
    z = torch.stack([torch.arange(10_000), torch.arange(10_000) % 3], dim=1)
    assert torch.equal(pair.space.tokens(pair.space.places(z)), z)


def test_any_distribution_of_many_levels_can_be_said_and_no_other_level_is_drawn():
    rng = np.random.default_rng(0)
    size = 1003  # not a square: the last first digit has fewer second digits
    share = rng.dirichlet(np.full(size, 0.3))
    z = torch.as_tensor(rng.choice(size, (20_000, 1), p=share))
    pair = pair_of([size])
    with torch.no_grad():
        pair.maker.head.free.zero_()
    c = torch.zeros(len(z), dtype=torch.int32)
    pair.start(z, c)
    made = drawn(pair, 20_000)
    assert int(made.max()) < size
    real, fake = (torch.bincount(t.flatten(), minlength=size).double().numpy() for t in (z, made))
    often = real >= 20
    # the pair was told the real counts m; a made count has variance m
    gap = (real - fake)[often] / np.sqrt(real[often])
    assert often.sum() > 100
    assert np.sqrt(np.mean(gap**2)) == pytest.approx(1.0, abs=5 / math.sqrt(2 * often.sum()))


# ---- the pair -----------------------------------------------------------------------


def test_start_says_the_tree_and_the_cells():
    rng = np.random.default_rng(0)
    n = 20_000
    c = rng.integers(2, size=n)
    a = rng.integers(4, size=n)
    a = np.where((c == 1) & (rng.random(n) < 0.5), 3, a)  # the cell moves the parent
    b = np.where(rng.random(n) < 0.9, a, rng.integers(4, size=n))  # the parent moves the child
    z, c = torch.as_tensor(np.stack([a, b], 1)), torch.as_tensor(c, dtype=torch.int32)
    pair = pair_of([4, 4], [-1, 0], cells=2)
    with torch.no_grad():
        pair.maker.head.free.zero_()
    pair.start(z, c)
    made = drawn(pair, n, c)
    for cell in (0, 1):
        rows = c == cell
        real, fake = (torch.bincount(t[rows, 0].long(), minlength=4) / rows.sum() for t in (z, made))
        assert (real - fake).abs().max() < 4 * math.sqrt(2 * 0.25 / int(rows.sum())) + 0.005
    for token in range(4):
        real, fake = (
            torch.bincount(t[t[:, 0] == token, 1].long(), minlength=4) / (t[:, 0] == token).sum()
            for t in (z, made)
        )
        # the child's cell is counted twice (through its parent, too), so its share is only near
        assert (real - fake).abs().max() < 0.06


def test_settling_puts_frequencies_right():
    z = some_rows([5, 4, 6], 4000)
    z[:, 1] = torch.where(z[:, 0] > 2, z[:, 1] // 2, z[:, 1])
    c = torch.as_tensor(np.random.default_rng(1).integers(2, size=4000), dtype=torch.int32)
    pair = pair_of([5, 4, 6], [-1, 0, -1], cells=2)
    with torch.no_grad():
        for p in pair.maker.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=stream(p.numel())))

    def error():
        space = pair.space
        found = TreeCounts.of(space, drawn(pair, 4000, c, seed=9), c)
        wanted = TreeCounts.of(space, z, c)
        pairs = zip(found.pairs, wanted.pairs, strict=True)
        return sum(float((f - r).abs().sum()) for f, r in pairs) / 4000, float(
            (found.own - wanted.own).abs().sum()
        ) / 4000

    before = error()
    pair.settle(z, c, generator=stream(5))
    after = error()
    # 20 pairs and 15 tokens of 4,000 random rows: about .8 * sqrt(k / n) each
    assert after[0] < min(0.5 * before[0], 0.12)
    assert after[1] < min(0.5 * before[1], 0.15)


def test_counts_are_those_by_hand_and_weights_count():
    space = TokenSpace([2, 3], [-1, 0])
    z = torch.tensor([[0, 1], [0, 1], [1, 2]])
    c = torch.tensor([0, 1, 1])
    counts = TreeCounts.of(space, z, c, torch.tensor([1.0, 2.0, 4.0]), n_cells=2)
    own = counts.own[space.slot[space.back][0] + torch.arange(2)]
    assert own.tolist() == [3.0, 4.0]
    linked = next(t for t, b in zip(counts.pairs, space.buckets, strict=True) if b.linked)
    assert linked.tolist() == [[0.0, 3.0, 0.0], [0.0, 0.0, 4.0]]
    assert counts.rows.tolist() == [1.0, 6.0]
    assert counts.cells.sum(1).tolist() == [2.0, 12.0]
    twice = counts.plus(counts)
    assert twice.own.tolist() == (2 * counts.own).tolist()
    assert twice.cells.tolist() == (2 * counts.cells).tolist()
    tables, bias = space.tables(), torch.zeros(space.width)
    start_values(space, (counts, counts), bias, tables, None)
    before = [t.clone() for t in tables]
    with torch.no_grad():
        set_right(space, counts, counts, tables, bias, None, 1.0)  # nothing to put right
    assert all(torch.equal(a, b) for a, b in zip(before, tables, strict=True))


def test_long_tables_are_counted_in_blocks(monkeypatch):
    space, z = TokenSpace(SIZES, PARENTS), some_rows(SIZES, 100)
    c, w = torch.arange(100) % 3, torch.rand(100, generator=stream())
    whole = TreeCounts.of(space, z, c, w, n_cells=3)
    monkeypatch.setattr("augsynth.nn.token_counts.BLOCK", 33)
    parts = TreeCounts.of(space, z, c, w, n_cells=3)
    assert torch.allclose(whole.own, parts.own)
    assert torch.allclose(whole.cells, parts.cells)
    assert all(torch.allclose(a, b) for a, b in zip(whole.pairs, parts.pairs, strict=True))


def test_rows_are_decided_one_by_one():
    pair = pair_of(SIZES, PARENTS, cells=3)
    noise = torch.randn(64, 3, generator=stream())
    c = torch.arange(64) % 3
    with torch.no_grad():
        first = pair.decide(noise, c, stream(1))
        other = noise.clone()
        other[10:] = 0.0
        again = pair.decide(other, c, stream(1))
    assert torch.equal(first[:10], again[:10])
    assert all(int(first[:, j].min()) >= 0 and int(first[:, j].max()) < k for j, k in enumerate(SIZES))


def test_judging_a_hard_row_is_the_sum_of_an_embedding_a_cell():
    pair = pair_of(SIZES, ordered=[True, False, True, False, False, False])
    z = some_rows(SIZES, 9)
    weights = pair.critic.read()
    flat = pair.space.places(z) + pair.space.slot
    assert torch.allclose(pair.real(z, stream()) @ weights, weights[flat].sum(1), atol=1e-5)


@pytest.mark.parametrize("packing", [1, 3])
def test_packs_are_judged_together(packing):
    pair = pair_of(SIZES, PARENTS, cells=2, packing=packing)
    z, c = some_rows(SIZES, 12), torch.arange(12) // 6
    x = pair.real(z, stream()).requires_grad_()
    score, features = pair.judge(x, c)
    assert score.shape == (12 // packing,)
    assert features.shape == (12 // packing, 8)
    (slope,) = torch.autograd.grad(score[0], x, create_graph=True)
    assert bool(slope[:packing].any())
    assert not slope[packing:].any()
    slope.square().sum().backward()  # differentiable twice
    told = pair.judge(x, 1 - c)[0]
    assert not torch.allclose(told, score)


def test_gradients_reach_every_weight():
    pair = pair_of(SIZES, PARENTS, cells=2, ordered=[True] * 6)
    c = torch.arange(32) % 2
    g = stream()
    x = pair.make(torch.randn(32, 3, generator=g), c, g)
    score, _ = pair.judge(x, c)
    score.sum().backward()
    silent = [name for name, p in pair.named_parameters() if p.requires_grad and p.numel() and p.grad is None]
    assert silent == []
