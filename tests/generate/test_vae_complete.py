"""Completion by an autoencoder: exact sums over hidden cells, and draws that follow Bayes' law."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

from augsynth import VAEGenerator
from augsynth.core.random import ItemKeys
from augsynth.generate.vae_objective import VAEObjective
from augsynth.nn.backbones import MLPBackbone
from augsynth.nn.heads import TokenHead
from augsynth.nn.hidden_cells import HiddenCells
from augsynth.nn.randomness import RowNoise, forked
from augsynth.nn.rows import RowEnds
from augsynth.nn.trainer import Trainer

SIZES, PARENTS, LAST = [3, 2, 5, 4, 2], [-1, 0, 1, 1, -1], [2, -1, 4, -1, -1]
EVERY = torch.tensor(list(product(*map(range, SIZES))))


def head(parents):
    with forked(0), torch.no_grad():
        made = TokenHead(SIZES, parents)
        for table in [] if made.links is None else made.links.tables:
            table.normal_(0, 2)
        raw = 2 * torch.randn(1, made.n_outputs)
    return made.requires_grad_(False), raw


def compatible(row, observed):
    """Which rows agree with the observed cells and are not missing where others are hidden."""
    fits = ((row == EVERY) | ~observed).all(1)
    for j, last in enumerate(LAST):
        if not observed[j] and last >= 0:
            fits &= EVERY[:, j] != last
    return fits


@pytest.mark.parametrize("parents", [PARENTS, None], ids=["linked", "apart"])
def test_hidden_cells_are_summed_out_exactly(parents):
    made, raw = head(parents)
    joint = made.log_prob(raw.expand(len(EVERY), -1), EVERY).double()
    cells, row = HiddenCells(made, torch.tensor(LAST)), torch.tensor([1, 1, 3, 2, 0])
    masks = torch.tensor(list(product([True, False], repeat=5)))
    found = cells.log_prob(raw.expand(32, -1), row.expand(32, -1), masks)
    wanted = torch.stack([joint[compatible(row, observed)].logsumexp(0) for observed in masks])
    assert (found - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("parents", [PARENTS, None], ids=["linked", "apart"])
def test_hidden_cells_are_drawn_by_bayes_law(parents):
    made, raw = head(parents)
    joint, n = made.log_prob(raw.expand(len(EVERY), -1), EVERY).double(), 20_000
    row, observed = torch.tensor([1, 1, 3, 2, 0]), torch.tensor([False, False, True, True, False])
    uniform = torch.rand(n, 5, generator=torch.Generator().manual_seed(0))
    cells = HiddenCells(made, torch.tensor(LAST))
    drawn = cells.draw(raw.expand(n, -1), row.expand(n, -1), observed.expand(n, -1), uniform)
    fits = compatible(row, observed)
    share = torch.softmax(joint[fits], 0).numpy()
    found = np.array([(drawn == one).all(1).double().mean() for one in EVERY[fits]])
    assert (np.abs(found - share) <= 4.5 * np.sqrt(share * (1 - share) / n) + 1e-4).all()
    assert found.sum() == pytest.approx(1.0)


def small_model():
    """A hand-set model of one latent number and three linked columns, the last of which may be missing."""
    sizes, gaps = [3, 2, 4], [False, False, True]
    with forked(1), torch.no_grad():
        ends = RowEnds(sizes, gaps, width=8, parents=[-1, 0, 0])
        model = VAEObjective(ends, None, MLPBackbone(8, depth=1), width=8, latent_dim=1, beta=1.0)
        for parameter in model.decoder.parameters():
            parameter.normal_(0, 1.2)
        for table in ends.tokens_out.links.tables:
            table.normal_(0, 0.7)
    return model.eval().requires_grad_(False)


def exact(model):
    """The joint distribution of the rows, by a sum over a fine grid of the latent number."""
    rows = torch.tensor(list(product(range(3), range(2), range(4))))
    grid = torch.linspace(-6, 6, 1201)[:, None]
    weight = torch.softmax(-0.5 * grid[:, 0].double() ** 2, 0)
    raw = model.outputs(grid, torch.zeros(1201, dtype=torch.int32))
    each = [weight @ model.ends.log_prob(raw, row.expand(1201, 3)).double().exp() for row in rows]
    return torch.stack(each).view(3, 2, 4).numpy()


@pytest.mark.parametrize("hidden", [(0,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_completions_follow_the_integral_over_the_latent_number(hidden):
    model, n = small_model(), 4000
    joint = exact(model)
    assert joint.sum() == pytest.approx(1.0, abs=1e-4)
    row, observed = torch.tensor([2, 0, 1]), torch.tensor([j not in hidden for j in range(3)])
    noise = RowNoise(ItemKeys(0, 0, np.arange(n)))
    drawn = model.complete(
        row.expand(n, 3), observed.expand(n, 3), torch.zeros(n, dtype=torch.int32), noise
    ).numpy()
    real = joint[:, :, :3]  # the last token of the last column says "missing"
    where = tuple(slice(None) if j in hidden else int(row[j]) for j in range(3))
    wanted = real[where] / real[where].sum()
    found = np.zeros(wanted.shape)
    np.add.at(found, tuple(drawn[:, j] for j in hidden), 1 / n)
    # 32 codes a row leave a bias of the order 1 / 32 of the largest share at most
    assert (np.abs(found - wanted) <= 4 * np.sqrt(wanted * (1 - wanted) / n) + 0.02).all()


@pytest.mark.parametrize("settings", [{}, {"likelihood": "gaussian"}, {"prior": "normal"}, {"beta": 0.0}])
def test_tables_are_completed_row_by_row(settings):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=80), "k": list("uvwu") * 20, "b": rng.integers(0, 5, 80)})
    gappy = X.astype({"b": "Int64"})
    gappy.loc[rng.random(80) < 0.3, "b"] = pd.NA
    gappy.loc[rng.random(80) < 0.3, "k"] = None
    model = VAEGenerator(
        backbone=MLPBackbone(16, depth=1), trainer=Trainer(steps=3), random_state=0, **settings
    ).fit(gappy)
    keys = ItemKeys(1, 0, np.arange(80))
    whole = next(model.iter_completed(gappy, [keys]))
    assert not whole.isna().any().any() and whole.dtypes.equals(gappy.dtypes)
    order = rng.permutation(80)[:30]
    part = next(model.iter_completed(gappy.iloc[order], [keys.take(order)]))
    pd.testing.assert_frame_equal(part.reset_index(drop=True), whole.iloc[order].reset_index(drop=True))
    assert not model.expect(gappy).isna().any().any()


def test_what_was_learned_fills_the_gaps():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 900)
    x = 3.0 * a + 0.5 * rng.normal(size=900)
    y = -x + 0.3 * rng.normal(size=900)
    X = pd.DataFrame({"a": pd.Categorical(np.array(list("uvw"))[a]), "x": x, "y": y})
    model = VAEGenerator(backbone=MLPBackbone(64), trainer=Trainer(steps=300), random_state=0).fit(X)
    asked = X.iloc[:300].copy()
    asked.loc[:, "x"] = np.nan
    # x ranges over 2.5 standard deviations either way; given y, 0.3 are left, and what the model lacks.
    assert np.corrcoef(model.complete(asked, random_state=0)["x"], X["x"][:300])[0, 1] > 0.8
    assert np.sqrt(np.mean((model.expect(asked)["x"] - X["x"][:300]) ** 2)) < 0.3 * X["x"].std()
    untold = X.iloc[:300].assign(a=pd.Categorical([None] * 300, list("uvw")))
    assert (model.expect(untold)["a"] == X["a"][:300]).mean() > 0.95
