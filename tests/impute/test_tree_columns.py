"""Columns by trees, the stack of ridge and trees, and the normal start: closed forms, purity, hostile columns."""

import numpy as np
import pytest

from augsynth.encode.layout import Block, Layout
from augsynth.impute.column_model import PredictorView
from augsynth.impute.gaussian_fill import GaussianFill
from augsynth.impute.stacked_columns import StackedColumn
from augsynth.impute.tree_columns import TreeColumn

MODELS = [TreeColumn, StackedColumn]


def view_of(x, block):
    """Return the view of numeric predictors x (n, q); the target's own column comes last."""
    blocks = [Block(f"x{j}") for j in range(x.shape[1])]
    return PredictorView.of(np.column_stack([x, np.zeros(len(x))]), Layout((*blocks, block)), x.shape[1])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# ------------------------------------------------------------------ the normal start
def normal_rows(rng, n):
    covariance = np.array([[1.0, 0.8, 0.3], [0.8, 2.0, 0.5], [0.3, 0.5, 1.5]])
    mean = np.array([1.0, -2.0, 5.0])
    return rng.multivariate_normal(mean, covariance, n), mean, covariance


def test_normal_fill_is_the_conditional_mean(rng):
    x, mean, covariance = normal_rows(rng, 20_000)
    holed = np.where(rng.random(x.shape) < 0.3, np.nan, x)
    fill = GaussianFill(holed, rng)
    row = np.array([[2.0, np.nan, np.nan]])
    exact = mean[1:] + covariance[1:, 0] * (2.0 - mean[0])
    assert np.allclose(fill.expect(row)[0, 1:], exact, atol=0.06)  # se about .015, and a prior of 1/1000
    row = np.array([[2.0, -1.0, np.nan]])
    weights = np.linalg.solve(covariance[:2, :2], covariance[:2, 2])
    assert fill.expect(row)[0, 2] == pytest.approx(mean[2] + weights @ [1.0, 1.0], abs=0.06)
    assert np.allclose(fill.expect(np.full((1, 3), np.nan)), mean, atol=0.05)


def test_normal_fill_learns_means_from_cells_missing_at_random(rng):
    x, mean, _ = normal_rows(rng, 20_000)
    holed = x.copy()
    holed[x[:, 0] > 1.0, 1] = np.nan  # the mean of what is left is far off
    assert abs(np.nanmean(holed[:, 1]) - mean[1]) > 0.4
    filled = GaussianFill(holed, rng).expect(holed)
    assert filled[:, 1].mean() == pytest.approx(mean[1], abs=0.08)  # EM stops a little early


def test_normal_fill_of_a_row_does_not_depend_on_the_others(rng):
    x, *_ = normal_rows(rng, 300)
    holed = np.where(rng.random(x.shape) < 0.4, np.nan, x)
    fill = GaussianFill(holed, rng)
    together = fill.expect(holed)
    assert np.array_equal(together[::-1], fill.expect(holed[::-1]))
    assert all(np.array_equal(together[i], fill.expect(holed[i : i + 1])[0]) for i in range(40))
    seen = ~np.isnan(holed)
    assert np.array_equal(together[seen], holed[seen])


def test_normal_fill_survives_hostile_columns(rng):
    x = rng.normal(size=(50, 5))
    x[:, 1] = x[:, 0]  # singular
    x[:, 2] = 3.0  # constant
    x[:, 3] *= 1e150
    x[5:, 4] = np.nan  # hardly seen
    x[0] = np.nan
    x[1:20, 0] = np.nan
    filled = GaussianFill(x, rng).expect(x)
    assert np.isfinite(filled).all()
    assert np.allclose(filled[0, 2], 3.0)
    assert np.abs(filled[1:20, 0] - x[1:20, 1]).max() < 0.2


# ------------------------------------------------------------------ both models
@pytest.mark.parametrize("model", MODELS)
def test_a_curve_is_learned_and_the_error_is_honest(rng, model):
    x = rng.uniform(-1, 1, size=(1200, 2))
    y = np.abs(x[:, 0]) + 0.1 * rng.normal(size=1200)
    view = view_of(x, Block("y"))
    learned = model(Block("y")).fit(view.take(np.arange(600)), y[:600], rng, drawn=False)
    told = learned.expect(view.take(np.arange(600, 1200)))
    error = np.sqrt(np.mean((told - y[600:]) ** 2))
    assert error < 0.16  # the noise is .1, the column's deviation .31
    assert learned.error == pytest.approx(error, rel=0.12)  # two errors of 600 rows, se 3 % each
    assert learned.baseline == pytest.approx(y[:600].std(), rel=0.01)


@pytest.mark.parametrize("model", MODELS)
def test_classes_of_a_checkerboard(rng, model):
    x = rng.uniform(-1, 1, size=(1200, 2))
    y = ((x[:, 0] > 0) != (x[:, 1] > 0)).astype(float) + 1.0  # level 0 is never seen
    view = view_of(x, Block("y", n_levels=3))
    learned = model(Block("y", n_levels=3)).fit(view.take(np.arange(600)), y[:600], rng, drawn=False)
    chances = learned.expect(view.take(np.arange(600, 1200)))
    assert chances.shape == (600, 3)
    assert np.allclose(chances.sum(axis=1), 1.0)
    assert (chances[:, 0] == 0).all()
    assert np.mean(chances.argmax(axis=1) != y[600:]) < 0.12
    assert learned.error < 0.12 < 0.4 < learned.baseline


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("block", [Block("y"), Block("y", n_levels=3)])
def test_each_row_on_its_own(rng, model, block):
    x = rng.normal(size=(200, 3))
    y = rng.integers(0, 3, 200).astype(float) if block.n_levels else x[:, 0] ** 2
    view = view_of(x, block)
    u = rng.random((200, 2))
    for drawn in (False, True):
        learned = model(block).fit(view, y, rng, drawn=drawn)
        part = np.array([150, 3, 77])
        if drawn:
            assert np.array_equal(learned.draw(view, u)[part], learned.draw(view.take(part), u[part]))
        else:
            assert np.array_equal(learned.expect(view)[part], learned.expect(view.take(part)))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("block", [Block("y"), Block("y", n_levels=2)])
def test_draws_are_observed_values_and_have_the_spread(rng, model, block):
    n = 1500
    x = rng.normal(size=(n, 2))
    y = 2.0 * x[:, 0] + rng.normal(size=n)
    y = (y > 0).astype(float) if block.n_levels else y
    view = view_of(x, block)
    drawn = model(block).fit(view, y, rng, drawn=True).draw(view, rng.random((n, 2)))
    assert np.isin(drawn, y).all()
    assert drawn.mean() == pytest.approx(y.mean(), abs=4 * y.std() / np.sqrt(n))
    assert drawn.std() == pytest.approx(y.std(), rel=0.1)
    # and the dependence: point completions would have it too strong, draws from the margin none
    assert np.corrcoef(drawn, x[:, 0])[0, 1] == pytest.approx(np.corrcoef(y, x[:, 0])[0, 1], abs=0.06)


@pytest.mark.parametrize("model", MODELS)
def test_fits_are_repeated_by_their_seed(model):
    x = np.random.default_rng(1).normal(size=(100, 2))
    view = view_of(x, Block("y"))
    told = [
        model(Block("y")).fit(view, x[:, 0], np.random.default_rng(s), drawn=False).expect(view)
        for s in (3, 3, 4)
    ]
    assert np.array_equal(told[0], told[1])
    assert not np.array_equal(told[0], told[2])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("n", [1, 2, 25])
def test_few_rows_constants_and_huge_numbers(rng, model, drawn, n):
    x = rng.normal(size=(n, 2)) * [1.0, 1e200]
    for block, y in [
        (Block("y"), np.full(n, 7.0)),
        (Block("y"), 1e300 * (1 + rng.random(n))),
        (Block("y", n_levels=40), np.full(n, 3.0)),
        (Block("y", n_levels=40), np.arange(n, dtype=float)),
    ]:
        view = view_of(x, block)
        learned = model(block).fit(view, y, rng, drawn=drawn)
        told = learned.draw(view, rng.random((n, 2))) if drawn else learned.expect(view)
        assert len(told) == n
        assert np.isfinite(told).all()
        if drawn:
            assert np.isin(told, y).all()
        empty = view.take(np.arange(0))
        told = learned.draw(empty, np.empty((0, 2))) if drawn else learned.expect(empty)
        assert len(told) == 0


# ------------------------------------------------------------------ what each is for
def test_what_nothing_predicts_gets_its_mean(rng):
    x, y = rng.normal(size=(400, 8)), rng.normal(size=400)
    view = view_of(x, Block("y"))
    learned = StackedColumn(Block("y")).fit(view.take(np.arange(300)), y[:300], rng, drawn=False)
    told = learned.expect(view.take(np.arange(300, 400)))
    assert told.std() < 0.15
    assert learned.error <= 1.001 * learned.baseline


def test_the_stack_goes_on_beyond_the_rows_where_trees_stand_still(rng):
    x = rng.uniform(-1, 1, size=(400, 1))
    y = 3.0 * x[:, 0] + np.sign(x[:, 0])
    z = np.vstack([x, [[2.0]]])
    view = view_of(z, Block("y"))
    seen, far = view.take(np.arange(400)), view.take(np.array([400]))
    stack = StackedColumn(Block("y")).fit(seen, y, rng, drawn=False).expect(far)[0]
    trees = TreeColumn(Block("y")).fit(seen, y, rng, drawn=False).expect(far)[0]
    assert trees <= y.max()
    assert stack > 1.3 * y.max()  # 7 in truth, of 4 seen at most


def test_many_rows_are_boosted(rng):
    x = rng.uniform(-1, 1, size=(5000, 2))
    y = np.sin(4 * x[:, 0]) * x[:, 1] + 0.1 * rng.normal(size=5000)
    view = view_of(x, Block("y"))
    learned = StackedColumn(Block("y")).fit(view.take(np.arange(4000)), y[:4000], rng, drawn=False)
    told = learned.expect(view.take(np.arange(4000, 5000)))
    error = np.sqrt(np.mean((told - y[4000:]) ** 2))
    assert error < 0.15 < 0.3 < y.std()
    assert learned.error == pytest.approx(error, rel=0.15)  # 400 held-out rows, se 3.5 %
