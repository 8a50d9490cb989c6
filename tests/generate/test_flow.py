"""The flow generator: atoms, whole numbers, densities in data units, small images."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest
from sklearn.datasets import load_digits

import augsynth
from augsynth import FlowGenerator, MLPBackbone, Trainer
from augsynth.core.errors import DataError, ParameterError
from augsynth.encode.layout import Block, Layout
from augsynth.generate.flow_rows import FlowRows

SMALL = {"backbone": MLPBackbone(16), "n_layers": 4}


def table(n=400, seed=0):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    frame = pd.DataFrame(
        {
            "age": age,
            "gain": np.where(rng.random(n) < 0.8, 0.0, rng.lognormal(8, 1, n)),
            "hours": np.where(rng.random(n) < 0.5, 40, rng.integers(10, 90, n)),
            "job": np.where(rng.random(n) < 0.3, None, np.where(age > 40, "cook", "clerk")),
            "rate": np.where(rng.random(n) < 0.2, np.nan, rng.normal(age / 10.0)),
        }
    )
    return frame, (rng.random(n) < 0.3).astype(int)


def test_rows_are_coded_as_tokens_and_stretches_and_come_back():
    frame, _ = table()
    z = frame.assign(job=frame["job"].map({"clerk": 0, "cook": 1})).to_numpy(dtype=float)
    blocks = (
        Block("age", integer=True),
        Block("gain"),
        Block("hours", integer=True),
        Block("job", n_levels=2, missing=True),
        Block("rate", missing=True),
    )
    rows = FlowRows().fit(z, Layout(blocks))
    coded = rows.encode(z)
    assert rows.sizes_ == [3, 2, 2, 2]  # job; states of gain (0), hours (40) and rate (missing)
    assert [a.tolist() for a in rows.atoms_] == [[], [0.0], [40.0], []]
    low, high = coded[:, 4:8], coded[:, 8:]
    assert (high[:, 0] > low[:, 0]).all()
    at_zero = z[:, 1] == 0
    assert np.isnan(low[at_zero, 1]).all()
    assert (low[~at_zero, 1] == high[~at_zero, 1]).all()
    back = rows.decode(coded)
    np.testing.assert_allclose(np.where(np.arange(5) == 0, np.rint(back), back), z, atol=0.2)
    np.testing.assert_array_equal(np.isnan(back), np.isnan(z))
    # neighbouring whole numbers have neighbouring stretches
    pair = rows.encode(np.array([[30, 0, 40, 0, 1.0], [31, 0, 40, 0, 1.0]]))
    np.testing.assert_allclose(pair[0, 8], pair[1, 4])


def test_repeated_values_missing_cells_and_types_come_out_exactly():
    frame, y = table()
    flow = FlowGenerator(**SMALL, trainer=Trainer(steps=150), random_state=0).fit(frame, y)
    made = flow.sample(y=np.repeat([0, 1], 300), random_state=1)
    assert made.dtypes.equals(frame.dtypes)
    assert (made.loc[made["gain"] != 0, "gain"] > 1).all()
    for share in (
        lambda rows: rows["gain"] == 0,
        lambda rows: rows["hours"] == 40,
        lambda rows: rows["job"].isna(),
        lambda rows: rows["rate"].isna(),
    ):
        wanted = share(frame).groupby(y).mean().mean()  # half of the drawn rows are of each class
        assert abs(share(made).mean() - wanted) < 0.08  # four standard errors of 600 draws
    assert made["age"].between(frame["age"].min(), frame["age"].max()).all()
    assert np.isfinite(flow.log_prob(made, np.repeat([0, 1], 300), random_state=0)).all()


@pytest.mark.parametrize("coupling", ["spline", "affine"])
def test_the_density_of_a_continuous_table_integrates_to_one_and_is_that_of_its_draws(coupling):
    rng = np.random.default_rng(0)
    X = rng.exponential(size=(150, 2)) * [1.0, 50.0]
    X[:, 1] += 20 * X[:, 0]
    flow = FlowGenerator(**SMALL, coupling=coupling, trainer=Trainer(steps=150), random_state=0).fit(X)
    edges, middles = _pieces(flow)
    grid = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(flow.log_prob(grid)).reshape(len(middles[0]), -1)
    mass = density * np.diff(edges[0])[:, None] * np.diff(edges[1])
    assert abs(mass.sum() - 1.0) < 0.01
    made = flow.sample(2000, random_state=0)
    for axis in (0, 1):
        reached = np.append(0.0, np.cumsum(mass.sum(axis=1 - axis)))
        found = kstest(np.interp(made[:, axis], edges[axis], reached), "uniform").statistic
        assert found < 1.95 / np.sqrt(2000)  # the 0.1 % level


def _pieces(flow):
    """Cut each axis where the slope of its scores changes, and often enough elsewhere."""
    scores = flow.coder_._scores
    cuts = [np.union1d(np.linspace(-6, 6, 150), knots) for knots in scores.scores_]
    edges = [scores.decode(np.stack([cut, cut], axis=1))[:, k] for k, cut in enumerate(cuts)]
    return edges, [e[:-1] / 2 + e[1:] / 2 for e in edges]


def test_whole_numbers_have_probabilities_that_sum_to_one():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"count": rng.poisson(30, 300)})
    X.loc[:89, "count"] = 100
    flow = FlowGenerator(**SMALL, trainer=Trainer(steps=150), random_state=0).fit(X)
    every = pd.DataFrame({"count": np.arange(-20, 300)})
    chance = np.exp(flow.log_prob(every, random_state=0))
    assert flow.coder_.atoms_[0].tolist() == [100.0]
    assert abs(chance.sum() - 1.0) < 0.02  # each by 16 draws of where it lies in its stretch
    assert abs(chance[every["count"] == 100][0] - 0.3) < 0.08


def test_a_column_of_few_values_gives_no_chance_to_others():
    X = np.repeat([[1.0], [2.0], [5.0]], 20, axis=0)
    flow = FlowGenerator(**SMALL, trainer=Trainer(steps=100), random_state=0).fit(X)
    assert set(flow.sample(100, random_state=0).ravel()) <= {1.0, 2.0, 5.0}
    chance = np.exp(flow.log_prob(np.array([[1.0], [2.0], [5.0], [3.0], [9.0]])))
    assert chance[3:].tolist() == [0.0, 0.0]
    assert abs(chance.sum() - 1.0) < 1e-5


def test_small_images_and_their_bits():
    X, y = load_digits(return_X_y=True)
    images = X.reshape(-1, 8, 8)[:400]
    flow = FlowGenerator(backbone=MLPBackbone(32), trainer=Trainer(steps=40), random_state=0)
    flow.fit(images, y[:400])
    made = flow.sample(y=[3, 4, 5], random_state=0)
    assert made.shape == (3, 8, 8)
    assert made.dtype == images.dtype
    assert ((made == np.rint(made)) & (made >= 0) & (made <= 16)).all()
    found = flow.log_prob(images[:50], y[:50], random_state=0)
    uniform = -64 * np.log(17)
    assert found.mean() > uniform + 40  # already better than all images alike
    assert found.max() < 0  # a probability
    continuous = FlowGenerator(backbone=MLPBackbone(8), n_layers=2, trainer=Trainer(steps=2), random_state=0)
    smooth = images[:30] / 16 + np.random.default_rng(0).normal(0, 0.01, (30, 8, 8))
    one, ten = (continuous.fit(k * smooth).log_prob(k * smooth) for k in (1.0, 10.0))
    np.testing.assert_allclose(one - ten, 64 * np.log(10), rtol=1e-3)


def test_a_saved_flow_is_the_same(tmp_path):
    frame, y = table(60)
    flow = FlowGenerator(**SMALL, trainer=Trainer(steps=3), random_state=0).fit(frame, y)
    flow.save(tmp_path / "flow.safetensors")
    again = augsynth.load(tmp_path / "flow.safetensors")
    pd.testing.assert_frame_equal(again.sample(5, random_state=1), flow.sample(5, random_state=1))
    np.testing.assert_array_equal(
        again.log_prob(frame, y, random_state=0), flow.log_prob(frame, y, random_state=0)
    )


def test_what_cannot_be_gets_a_sentence():
    X = np.zeros((5, 80, 80)) + np.arange(5)[:, None, None]
    with pytest.raises(DataError, match="at most 4,096 values"):
        FlowGenerator().fit(X)
    with pytest.raises(ParameterError, match="coupling must be"):
        FlowGenerator(coupling="cubic").fit(np.eye(4))
