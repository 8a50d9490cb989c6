"""The conditional variational autoencoder: what it learns, against closed forms and the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression

import augsynth
from augsynth.core.errors import DataError, ParameterError
from augsynth.generate.vae import VAEGenerator, VAEObjective
from augsynth.nn.backbones import MLPBackbone
from augsynth.nn.randomness import forked
from augsynth.nn.rows import RowEnds
from augsynth.nn.trainer import Trainer

SHORT = Trainer(steps=150, learning_rate=5e-3)
SMALL = MLPBackbone(64, depth=2)


def moons(n=800, seed=0):
    """Two half circles, a category that says which half, and a gap in every tenth number."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    angle = rng.uniform(0, np.pi, n)
    a = np.where(y == 0, np.cos(angle), 1 - np.cos(angle)) + 0.05 * rng.normal(size=n)
    b = np.where(y == 0, np.sin(angle), 0.5 - np.sin(angle)) + 0.05 * rng.normal(size=n)
    side = np.where(angle > np.pi / 2, "left", "right")
    a[rng.random(n) < 0.1] = np.nan
    return pd.DataFrame({"a": a, "b": b, "side": pd.Categorical(side), "k": rng.poisson(3, n)}), y


def test_a_linear_one_finds_the_principal_components():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    x = (rng.normal(size=(2000, 6)) * np.array([3.0, 2.0, 0.3, 0.3, 0.3, 0.3])) @ basis.T
    with forked(0):
        ends = RowEnds([0] * 6, [False] * 6, width=6, variance=0.09)
        objective = VAEObjective(ends, None, MLPBackbone(6, depth=0), width=6, latent_dim=2, beta=1.0)
    z = torch.as_tensor(x, dtype=torch.float32)
    trainer = Trainer(steps=700, batch_size=256, learning_rate=0.03)
    trainer.run(objective, z, torch.zeros(2000, dtype=torch.int32), rng=rng)
    principal = np.linalg.svd(x - x.mean(axis=0))[2][:2].T
    decoder = objective.decoder.first.weight.detach().numpy()
    assert np.rad2deg(subspace_angles(principal, decoder)).max() < 2.0
    # At the optimum the model is probabilistic PCA: its covariance is the sample's.
    covariance = decoder @ decoder.T + 0.09 * np.eye(6)
    np.testing.assert_allclose(covariance, np.cov(x.T), atol=0.6)


def test_the_bound_is_the_exact_density_of_a_linear_model():
    with forked(1):
        ends = RowEnds([0, 0, 0], [False] * 3, width=3, variance=0.5)
        model = VAEObjective(ends, None, MLPBackbone(3, depth=0), width=3, latent_dim=2, beta=1.0)
    loading = model.decoder.first.weight.detach().double().numpy()
    mean = model.decoder.first.bias.detach().double().numpy()
    covariance = loading @ loading.T + 0.5 * np.eye(3)
    x = np.random.default_rng(0).multivariate_normal(mean, covariance, size=300)
    from scipy.stats import multivariate_normal

    exact = multivariate_normal(mean, covariance).logpdf(x)
    z, c = torch.as_tensor(x, dtype=torch.float32), torch.zeros(300, dtype=torch.int32)
    with torch.no_grad():
        # The posterior of an untrained encoder is far off: set the mean by hand to the exact one.
        inverse = np.linalg.inv(loading.T @ loading / 0.5 + np.eye(2))
        model.ends.numbers_in.weight.copy_(torch.eye(3))
        model.ends.numbers_in.bias.copy_(torch.as_tensor(-mean))
        first = model.encoder.first
        first.weight[:2] = torch.as_tensor(inverse @ loading.T / 0.5)
        first.bias[:2] = 0.0
        first.weight[2:] = 0.0
        first.bias[2:] = float(np.log(np.diag(inverse).max() * 1.3))
        bound = model.bound(z, c, torch.Generator().manual_seed(0)).numpy()
    # 64 samples: each estimate is off by a tenth or so, below the truth on average.
    assert abs((bound - exact).mean()) < 0.03 and bound.mean() <= exact.mean() + 0.01


@pytest.mark.parametrize("likelihood", ["categorical", "gaussian", 0.1])
def test_new_rows_keep_shape_dtypes_gaps_and_classes(likelihood):
    X, y = moons()
    vae = VAEGenerator(
        trainer=Trainer(steps=400, learning_rate=5e-3), backbone=SMALL, likelihood=likelihood, random_state=0
    ).fit(X, y)
    S = vae.sample(y=y, random_state=1)
    assert (S.dtypes == X.dtypes).all() and S.columns.equals(X.columns)
    # 800 real against 800 new rows: a share has a standard error of at most .025.
    assert abs(S["a"].isna().mean() - X["a"].isna().mean()) < 0.06
    assert abs((S["side"] == "left").mean() - (X["side"] == "left").mean()) < 0.1
    for label in (0, 1):
        gap = abs(S["b"][y == label].mean() - X["b"][y == label].mean())
        assert gap < 0.12
        assert abs(S["b"][y == label].std() / X["b"][y == label].std() - 1) < 0.3
    real, made = (np.corrcoef(d["b"], d["side"] == "left")[0, 1] for d in (X[y == 0], S[y == 0]))
    assert abs(real - made) < 0.25


def test_a_classifier_learns_from_its_rows():
    X, y = load_breast_cancer(return_X_y=True)
    X = X[:, :10]
    vae = VAEGenerator(trainer=Trainer(steps=300, learning_rate=5e-3), backbone=SMALL, random_state=0)
    S = vae.fit(X[::2], y[::2]).sample(y=y, random_state=0)
    scale = X.std(axis=0)
    score = LogisticRegression(max_iter=2000).fit(S / scale, y).score(X[1::2] / scale, y[1::2])
    assert score > 0.88


def test_a_plain_autoencoder_needs_the_fitted_prior():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4)) @ rng.normal(size=(4, 4))
    X[:, 3] = X[:, 0] - X[:, 1] + 0.1 * rng.normal(size=600)

    def error(prior):
        trainer = Trainer(steps=300, learning_rate=5e-3)
        vae = VAEGenerator(
            trainer=trainer,
            backbone=SMALL,
            likelihood=0.05,
            beta=0,
            latent_dim=3,
            prior=prior,
            random_state=0,
        )
        S = vae.fit(X).sample(2000, random_state=0)
        return np.abs(np.cov(S.T) - np.cov(X.T)).max() / np.cov(X.T).max()

    assert error("mixture") < 0.25 < error("normal")


def test_encode_and_decode_are_near_inverses():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(500, 2))
    X = pd.DataFrame(codes @ rng.normal(size=(2, 5)), columns=list("abcde"))
    vae = VAEGenerator(
        trainer=Trainer(steps=400, learning_rate=5e-3),
        backbone=SMALL,
        latent_dim=2,
        likelihood=0.05,
        random_state=0,
    ).fit(X)
    latents = vae.encode(X)
    assert latents.shape == (500, 2)
    back = vae.decode(latents)
    assert back.columns.equals(X.columns)
    explained = 1 - ((back - X).to_numpy() ** 2).sum() / ((X - X.mean()).to_numpy() ** 2).sum()
    assert explained > 0.95
    with pytest.raises(DataError, match=r"shape \(n, 2\)"):
        vae.decode(np.zeros((3, 5)))


def test_the_mixture_prior_is_the_cells_own():
    X, y = moons()
    vae = VAEGenerator(trainer=SHORT, backbone=SMALL, random_state=0).fit(X, y)
    assert len(vae.prior_.mixtures) == 2
    normal = VAEGenerator(trainer=SHORT, backbone=SMALL, prior="normal", random_state=0).fit(X, y)
    assert normal.prior_.mixtures == []
    assert np.isfinite(vae.log_prob(X, y)).all()


def test_log_prob_prefers_the_right_class_and_real_rows():
    X, y = moons()
    X["a"] = X["a"].fillna(0.0)
    vae = VAEGenerator(
        trainer=Trainer(steps=400, learning_rate=5e-3), backbone=SMALL, likelihood="gaussian", random_state=0
    ).fit(X[:600], y[:600])
    right, wrong = vae.log_prob(X[600:], y[600:]), vae.log_prob(X[600:], 1 - y[600:])
    assert (right > wrong).mean() > 0.8
    shuffled = X[600:].apply(lambda column: column.sample(frac=1, random_state=0).to_numpy())
    assert right.mean() > vae.log_prob(shuffled, y[600:]).mean() + 0.3
    again = vae.log_prob(X[600:610], y[600:610], random_state=5)
    assert np.array_equal(again, vae.log_prob(X[600:610], y[600:610], random_state=5))


@pytest.mark.parametrize("prior", ["mixture", "normal"])
def test_saved_and_loaded_it_draws_the_same_bytes(tmp_path, prior):
    X, y = moons(300)
    vae = VAEGenerator(
        trainer=Trainer(steps=20), backbone=SMALL, prior=prior, likelihood="categorical", random_state=0
    ).fit(X, y)
    vae.save(tmp_path / "vae.safetensors")
    loaded = augsynth.load(tmp_path / "vae.safetensors")
    pd.testing.assert_frame_equal(vae.sample(40, random_state=3), loaded.sample(40, random_state=3))
    assert loaded.history_ == vae.history_ and loaded.device_ == "cpu"
    np.testing.assert_array_equal(loaded.encode(X, y), vae.encode(X, y))


def test_groups_are_conditions_and_thin_cells_work():
    X, y = load_wine(return_X_y=True, as_frame=True)
    X, y = X.iloc[:, :4], y.iloc[:]
    group = pd.Series(np.where(np.arange(len(y)) % 7 == 0, "a", "b"), name="g")
    group.iloc[3] = "only one"
    vae = VAEGenerator(trainer=Trainer(steps=20), backbone=SMALL, random_state=0)
    vae.fit(X, y, sensitive_features=group)
    S = vae.sample(y=[0] * 5, sensitive_features=["only one"] * 5, random_state=0)
    assert S.shape == (5, 4) and np.isfinite(S.to_numpy()).all()


def test_tiny_and_odd_tables():
    rng = np.random.default_rng(0)
    tiny = VAEGenerator(trainer=Trainer(steps=5), random_state=0)
    assert tiny.fit(rng.normal(size=(30, 1))).sample(7).shape == (7, 1)
    assert tiny.fit(rng.normal(size=(2, 3)), [0, 1]).sample(y=[1, 1, 0]).shape == (3, 3)
    levels = pd.DataFrame({"id": pd.Categorical([f"v{i}" for i in rng.integers(0, 10_000, 12_000)])})
    wide = VAEGenerator(trainer=Trainer(steps=2, batch_size=64), backbone=MLPBackbone(16), random_state=0)
    drawn = wide.fit(levels).sample(20, random_state=0)
    assert drawn["id"].isin(levels["id"].cat.categories).all()
    two = pd.DataFrame({"a": [True, False] * 20, "b": ["x", "y"] * 20})
    made = VAEGenerator(trainer=Trainer(steps=2), likelihood="gaussian", random_state=0).fit(two).sample(9)
    assert made["a"].dtype == bool and set(made["b"]) <= {"x", "y"}


@pytest.mark.parametrize("likelihood", ["categorical", "gaussian"])
def test_a_category_that_was_never_missing_must_not_be(likelihood):
    X = pd.DataFrame({"a": np.arange(40.0), "b": list("xy") * 20})
    vae = VAEGenerator(trainer=Trainer(steps=1), backbone=SMALL, likelihood=likelihood).fit(X)
    with pytest.raises(DataError, match="column 'b': must have no missing cell.* 1 missing"):
        vae.log_prob(X.assign(b=X["b"].where(X["a"] > 0)))


def test_a_second_fit_keeps_nothing_of_the_first(tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 2))
    vae = VAEGenerator(trainer=Trainer(steps=1), backbone=SMALL, random_state=0).fit(X)
    vae.set_params(prior="normal").fit(X)
    assert not hasattr(vae, "pool_")
    vae.fit(np.ones((5, 2)))
    assert vae.encode(np.ones((3, 2))).shape == (3, 0) and not hasattr(vae, "objective_")
    vae.save(tmp_path / "m.safetensors")
    assert (augsynth.load(tmp_path / "m.safetensors").sample(2) == 1).all()


def test_weights_change_what_is_drawn():
    X = pd.DataFrame({"a": pd.Categorical(np.repeat(["x", "y"], 200)), "b": np.repeat([0.0, 9.0], 200)})
    w = np.repeat([9.0, 1.0], 200)
    vae = VAEGenerator(trainer=Trainer(steps=300, learning_rate=5e-3), backbone=SMALL, random_state=0)
    share = (vae.fit(X, sample_weight=w).sample(1000, random_state=0)["a"] == "x").mean()
    assert share > 0.75


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"latent_dim": 0}, "latent_dim"),
        ({"beta": -1}, "beta"),
        ({"prior": "flat"}, "prior must be 'mixture', 'diffusion' or 'normal'"),
        ({"likelihood": "poisson"}, "likelihood must be"),
        ({"likelihood": 0.0}, "likelihood"),
        ({"trainer": 5}, "trainer must have a method 'run'"),
        ({"backbone": "big"}, "backbone must have a method 'build'"),
    ],
)
def test_bad_parameters_get_a_sentence(settings, says):
    with pytest.raises(ParameterError, match=says):
        VAEGenerator(**settings).fit(np.random.default_rng(0).normal(size=(20, 2)))
