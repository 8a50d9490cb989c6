"""The variational autoencoder of images: classes, densities, reconstructions, traversals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.svm import SVC

import augsynth
from augsynth.core.errors import DataError, ParameterError
from augsynth.generate.vae import VAEGenerator
from augsynth.generate.vae_line import Line
from augsynth.nn.backbones import MLPBackbone
from augsynth.nn.convnets import ConvBackbone
from augsynth.nn.trainer import Trainer

SMALL = ConvBackbone(8)
TWO = Trainer(steps=2)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    keep = y < 4
    return X[keep].reshape(-1, 8, 8), y[keep]


@pytest.fixture(scope="module")
def fitted(digits):
    X, y = digits
    trainer = Trainer(steps=250, batch_size=64)
    return VAEGenerator(backbone=ConvBackbone(16), trainer=trainer, random_state=0).fit(X[:400], y[:400])


def stripes(n=60, shape=(8, 8), levels=2, seed=0):
    """Return images of vertical (class 0) and horizontal (class 1) stripes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    at = rng.integers(0, 4, n)
    down, right = np.indices(shape[:2])
    line = np.where(y[:, None, None] == 0, right, down) + at[:, None, None]
    return ((line % 4 < 2) * (levels - 1)), y


def test_a_classifier_learns_from_its_images(fitted, digits):
    X, y = digits
    wanted = np.tile(np.arange(4), 100)
    S = fitted.sample(y=wanted, random_state=0)
    assert S.shape == (400, 8, 8) and S.dtype == X.dtype
    assert set(np.unique(S)) <= set(range(17))
    score = SVC().fit(S.reshape(400, -1), wanted).score(X[400:].reshape(-1, 64), y[400:])
    assert score > 0.93


def test_reconstructions_are_near_and_know_their_class(fitted, digits):
    X, y = digits
    back = fitted.reconstruct(X[400:], y[400:])
    assert back.shape == X[400:].shape
    error = ((back - X[400:]) ** 2).mean()
    spread = ((X[400:] - X[:400].mean(axis=0)) ** 2).mean()
    assert error < 0.35 * spread
    assert np.array_equal(fitted.decode(fitted.encode(X[400:], y[400:]), y[400:]), back)


def test_the_bound_prefers_the_right_class_and_images_of_the_kind(fitted, digits):
    X, y = digits
    held, own = X[400:460], y[400:460]
    right = fitted.log_prob(held, own, random_state=0)
    assert (right > fitted.log_prob(held, (own + 1) % 4, random_state=0)).mean() > 0.9
    assert right.mean() > -64 * np.log(17)  # better than even odds for every pixel
    shuffled = np.random.default_rng(0).permuted(held.reshape(60, 64), axis=1).reshape(60, 8, 8)
    assert right.mean() > fitted.log_prob(shuffled, own, random_state=0).mean() + 30


def test_the_bound_of_masses_stays_below_zero_and_densities_follow_the_units():
    X, y = stripes()
    vae = VAEGenerator(backbone=SMALL, trainer=TWO, likelihood="bernoulli", random_state=0).fit(X, y)
    assert (vae.log_prob(X, y) < 0).all()
    bright = VAEGenerator(backbone=SMALL, trainer=TWO, likelihood="gaussian", random_state=0)
    one = bright.fit(X / 1.0, y).log_prob(X / 1.0, y, random_state=0)
    ten = bright.fit(10.0 * X, y).log_prob(10.0 * X, y, random_state=0)
    np.testing.assert_allclose(one - ten, 64 * np.log(10.0), rtol=1e-5)


@pytest.mark.parametrize("likelihood", ["auto", "bernoulli", "gaussian", "discretised", 0.05])
def test_each_likelihood_saves_and_loads_to_the_same_bytes(tmp_path, likelihood):
    X, y = stripes(levels=17)
    vae = VAEGenerator(backbone=SMALL, trainer=TWO, likelihood=likelihood, random_state=0).fit(X, y)
    vae.save(tmp_path / "vae.safetensors")
    loaded = augsynth.load(tmp_path / "vae.safetensors")
    drawn = vae.sample(y=[0, 1, 1], random_state=1)
    assert np.array_equal(drawn, loaded.sample(y=[0, 1, 1], random_state=1))
    assert np.array_equal(drawn[:2], vae.sample(y=[0, 1], random_state=1))  # row by row
    assert np.array_equal(vae.traverse(2, y=0), loaded.traverse(2, y=0))


@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 7, 3), (13, 10, 3), (28, 28, 1)])
def test_colours_and_odd_sizes_come_back_as_they_came(shape):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (20, *shape), dtype=np.uint8)
    vae = VAEGenerator(backbone=SMALL, trainer=TWO, random_state=0).fit(X)
    S = vae.sample(3, random_state=0)
    assert S.shape == (3, *shape) and S.dtype == np.uint8
    tensor = torch.as_tensor(X.transpose(0, 3, 1, 2)).float() / 255 + 0.001 * rng.random()
    made = VAEGenerator(backbone=SMALL, trainer=TWO, random_state=0).fit(tensor).sample(2, random_state=0)
    assert made.shape == (2, shape[2], *shape[:2]) and made.dtype == torch.float32


def test_traversals_move_one_latent_number_at_a_time(fitted, digits):
    X, y = digits
    images = fitted.traverse(3, steps=5, y=2)
    assert images.shape == (15, 8, 8)
    change = np.abs(np.diff(images.reshape(3, 5, 64), axis=1)).sum(axis=(1, 2))
    assert (change > 0).all()
    start = fitted.encode(X[:1], y[:1])[0]
    chosen = fitted.traverse([4], steps=7, y=int(y[0]), start=start)
    assert chosen.shape == (7, 8, 8)
    line = Line(np.zeros(3), np.ones(3), np.array([1.0, 2.0, 3.0]))
    points = line.points([2, 0], 3)
    assert points.tolist() == [[0, 0, -2], [0, 0, 1], [0, 0, 4], [0, 0, 0], [1, 0, 0], [2, 0, 0]]
    assert line.strongest(line.ends()) == [2, 1, 0]


def test_pictures_are_drawn_and_written(tmp_path, fitted, digits):
    X, y = digits
    figure = fitted.plot_reconstructions(X[:15], y[:15], path=tmp_path / "a.png")
    assert len(figure.axes) == 4 * 12 and (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert len(fitted.plot_traversal(2, steps=4, y=1).axes) == 8


def test_tables_can_be_reconstructed_and_traversed_too():
    X = np.random.default_rng(0).normal(size=(40, 3))
    vae = VAEGenerator(backbone=MLPBackbone(16), trainer=TWO, random_state=0).fit(X)
    assert vae.reconstruct(X).shape == (40, 3) and vae.traverse(2, steps=4).shape == (8, 3)
    with pytest.raises(DataError, match="only a generator of images"):
        vae.plot_traversal(2)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"likelihood": "categorical"}, "likelihood must be"),
        ({"backbone": MLPBackbone(8)}, "backbone must be a ConvBackbone"),
        ({"backbone": ConvBackbone(0)}, "width"),
    ],
)
def test_bad_parameters_get_a_sentence(settings, says):
    with pytest.raises(ParameterError, match=says):
        VAEGenerator(trainer=TWO, **settings).fit(*stripes())


def test_bad_questions_get_a_sentence(fitted):
    with pytest.raises(DataError, match=r"start must have shape \(16,\)"):
        fitted.traverse(2, y=0, start=np.zeros(3))
    with pytest.raises(ParameterError, match="dimensions"):
        fitted.traverse([99], y=0)
    with pytest.raises(ParameterError, match="images"):
        VAEGenerator(backbone=SMALL, trainer=TWO).fit(np.random.default_rng(0).normal(size=(20, 3)))
