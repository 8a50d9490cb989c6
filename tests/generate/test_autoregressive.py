"""Rows drawn cell after cell: densities that sum to one, and draws and completions that follow them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

import augsynth
from augsynth.core.errors import DataError, ParameterError
from augsynth.core.random import ItemKeys
from augsynth.generate.autoregressive import AutoregressiveGenerator
from augsynth.generate.autoregressive_objective import MaskedRowsObjective
from augsynth.nn.backbones import MLPBackbone
from augsynth.nn.randomness import RowNoise, forked, keyed_generator
from augsynth.nn.trainer import Trainer

SMALL = MLPBackbone(32, depth=2)
SIZES = [3, 2, 4]
EVERY = torch.tensor(list(product(*map(range, SIZES))))


def objective(any_order=True, order=(1, 2, 0)):
    """A hand-set model: random weights, large enough for strong dependence."""
    with forked(3):
        made = MaskedRowsObjective(SIZES, [False] * 3, None, SMALL, order=order, any_order=any_order)
        with torch.no_grad():
            made.network.out.free.normal_(0, 0.6)
    return made.eval().requires_grad_(False)


def row_noise(n, seed):
    return RowNoise(ItemKeys(seed, 0, np.arange(n)))


def table(n=600, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    a = rng.integers(0, 3, n)
    b = np.where(rng.random(n) < 0.9, a, rng.integers(0, 3, n))
    x = np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n) + 2 * a)
    X = pd.DataFrame({"a": pd.Categorical(list("uvw"), ordered=False)[a], "k": 7, "b": b * 10, "x": x})
    return X, y


@pytest.mark.parametrize("any_order", [True, False])
def test_the_density_sums_to_one_and_draws_follow_it(any_order):
    model, n = objective(any_order), 20_000
    share = model.log_prob(EVERY, torch.zeros(24, dtype=torch.int32)).double().exp().numpy()
    assert share.sum() == pytest.approx(1.0, abs=1e-5) and share.max() > 5 * np.median(share)
    drawn = model.draw(torch.zeros(n, dtype=torch.int32), keyed_generator(0)).numpy()
    found = np.bincount(drawn @ np.array([8, 4, 1]), minlength=24) / n
    assert (np.abs(found - share) <= 4.5 * np.sqrt(share * (1 - share) / n) + 1e-4).all()


def test_completions_of_a_fixed_order_follow_bayes_law():
    model, n = objective(any_order=False), 2000
    share = model.log_prob(EVERY, torch.zeros(24, dtype=torch.int32)).double().exp().numpy()
    joint = share.reshape(SIZES)
    known = torch.tensor([[2, 0, 3]]).expand(n, 3)
    seen = torch.tensor([[True, False, True]]).expand(n, 3)  # the first cell drawn is the one that is missing
    drawn = model.complete(known, seen, torch.zeros(n, dtype=torch.int32), row_noise(len(known), 1))
    assert (drawn[:, [0, 2]] == known[:, [0, 2]]).all()
    wanted = joint[2, 1, 3] / joint[2, :, 3].sum()
    error = np.sqrt(wanted * (1 - wanted) / n)
    bias = 2 / 64  # of choosing among 64 draws
    assert abs(float(drawn[:, 1].float().mean()) - wanted) < 4 * error + bias


def test_a_gap_at_the_end_of_the_order_is_drawn_exactly():
    model, n = objective(), 20_000
    joint = model.log_prob(EVERY, torch.zeros(24, dtype=torch.int32)).double().exp().numpy().reshape(SIZES)
    known, seen = torch.tensor([[0, 1, 2]]).expand(n, 3), torch.tensor([[False, True, True]]).expand(n, 3)
    drawn = model.complete(known, seen, torch.zeros(n, dtype=torch.int32), row_noise(len(known), 2))[:, 0]
    wanted = joint[:, 1, 2] / joint[:, 1, 2].sum()
    found = np.bincount(drawn, minlength=3) / n
    assert (np.abs(found - wanted) <= 4 * np.sqrt(wanted * (1 - wanted) / n) + 1e-5).all()


def test_a_row_does_not_depend_on_its_neighbours():
    model = objective()
    z = EVERY[torch.randperm(24, generator=torch.Generator().manual_seed(0))]
    seen = torch.rand(24, 3, generator=torch.Generator().manual_seed(1)) < 0.5
    c = torch.zeros(24, dtype=torch.int32)
    whole = model.complete(z, seen, c, row_noise(len(z), 4))
    other = z.clone()
    other[1:] = (z[1:] + 1) % torch.tensor(SIZES)
    assert (model.complete(other, seen, c, row_noise(len(other), 4))[0] == whole[0]).all()


def test_hidden_sets_are_even_and_half_of_them_begin_the_order():
    model = objective(order=(2, 0, 1))
    seen = model.seen(3000, keyed_generator(0), torch.device("cpu"))
    kept, free = seen[:1500], seen[1500:]
    assert (kept[:, 2] >= kept[:, 0]).all() and (kept[:, 0] >= kept[:, 1]).all()
    for part in (kept, free):
        counts = np.bincount(part.sum(1), minlength=4)
        assert counts[3] == 0 and np.abs(counts[:3] - 500).max() <= 2
    assert np.abs(free.float().mean(0).numpy() - 1 / 3).max() < 4 * np.sqrt(2 / 9 / 1500)


def test_any_gaps_are_filled_given_any_cells():
    X, y = table(2000)
    model = AutoregressiveGenerator(
        backbone=SMALL, trainer=Trainer(steps=250, batch_size=256, learning_rate=5e-3), random_state=0
    ).fit(X, y)
    made = model.sample(y=y, random_state=0)
    agree = (made["a"].cat.codes * 10 == made["b"]).mean()
    assert agree == pytest.approx(0.933, abs=0.03)  # standard error .006, and what training leaves
    gaps = X.copy()
    gaps.loc[::2, "a"] = np.nan
    gaps.loc[1::2, ["b", "x"]] = np.nan
    full = model.complete(gaps, y, random_state=1)
    assert not full.isna().any().any() and (full["k"] == 7).all()
    assert (full.loc[1::2, "a"] == X.loc[1::2, "a"]).all()
    assert (full["a"].cat.codes * 10 == full["b"]).mean() == pytest.approx(0.933, abs=0.03)
    slope = np.polyfit(full["a"].cat.codes, full["x"], 1)[0]
    assert slope == pytest.approx(2.0, abs=0.15)


def test_a_thin_class_keeps_its_own_distribution():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [1500, 40])
    X = pd.DataFrame({"a": rng.normal(3.0 * y, 1.0), "b": rng.normal(-2.0 * y, 1.0)})
    X["c"] = pd.Categorical(np.where(rng.random(len(y)) < np.where(y == 1, 0.8, 0.1), "yes", "no"))
    model = AutoregressiveGenerator(backbone=SMALL, trainer=Trainer(steps=200), random_state=0).fit(X, y)
    made = model.sample(y=np.ones(1000, dtype=int), random_state=1)
    # standard errors of 40 rows: .16 of a mean, .06 of a share
    assert made["a"].mean() == pytest.approx(X["a"][y == 1].mean(), abs=0.4)
    assert made["b"].mean() == pytest.approx(X["b"][y == 1].mean(), abs=0.4)
    assert (made["c"] == "yes").mean() == pytest.approx((X["c"][y == 1] == "yes").mean(), abs=0.15)


def test_orders_are_named_and_kept(tmp_path):
    X, y = table()
    model = AutoregressiveGenerator(
        backbone=SMALL, trainer=Trainer(steps=5), random_state=0, order=["x", "k", "a", "b"]
    ).fit(X, y)
    assert model.order_ == [2, 0, 1] and not model.objective_.any_order
    model.save(tmp_path / "model.safetensors")
    again = augsynth.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.log_prob(X, y), model.log_prob(X, y))
    with pytest.raises(DataError, match="bits per dimension are of images"):
        model.bits_per_dimension(X, y)
    array = X[["b", "x"]].to_numpy()
    assert AutoregressiveGenerator(
        backbone=SMALL, trainer=Trainer(steps=2), random_state=0, order=[1, 0]
    ).fit(array).order_ == [1, 0]


@pytest.mark.parametrize("order", ["backwards", ["a", "b"], ["a", "a", "b", "x"]])
def test_a_wrong_order_is_refused(order):
    X, y = table(50)
    with pytest.raises(ParameterError, match="order must"):
        AutoregressiveGenerator(order=order, trainer=Trainer(steps=1)).fit(X, y)


def test_draws_among_which_later_cells_choose_weigh_what_they_should():
    # Sums over what the first two cells may be; the second is "missing" more or less often, as the first is.
    with forked(5):
        model = MaskedRowsObjective(
            [3, 3, 2], [False, True, False], None, SMALL, order=[0, 1, 2], any_order=False
        )
        with torch.no_grad():
            model.network.out.free.normal_(0, 0.8)
    rows = torch.tensor(list(product(range(3), range(2), [1])))
    c, n = torch.zeros(len(rows), dtype=torch.int32), 4000
    with torch.no_grad():
        right = model.log_prob(rows, c).double().exp()
        given = torch.tensor([[False, False, True]]).expand(n, 3)
        uniform = torch.rand(n, 3, generator=keyed_generator(0))
        drawn, weight = model._walk(rows[:1].repeat(n, 1), given, torch.zeros(n), uniform, whole=True)
    mass = weight.double().exp()
    for row, wanted in zip(rows, right, strict=True):
        each = mass * (drawn == row).all(1)
        assert abs(each.mean() - wanted) < 4 * each.std() / n**0.5
