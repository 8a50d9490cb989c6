"""The diffusion prior: shapes that no Gaussian has, conditions, seeds."""

import numpy as np
import pytest
import torch

import augsynth
from augsynth.core.errors import DataError
from augsynth.core.persistence import pack, unpack
from augsynth.generate.vae import VAEGenerator
from augsynth.nn.latent_diffusion import LatentDiffusion
from augsynth.nn.randomness import keyed_generator
from augsynth.nn.trainer import Trainer


@pytest.fixture(scope="module")
def prior():
    rng = np.random.default_rng(0)
    c = rng.integers(0, 2, 3000).astype(np.int32)
    angle = rng.uniform(0, 2 * np.pi, 3000)
    radius = np.where(c == 0, 1.0, 2.0) + rng.normal(0, 0.1, 3000)  # two rings, one a cell
    codes = np.stack([radius * np.cos(angle) + 5.0, 30.0 * radius * np.sin(angle)], axis=1)
    made = LatentDiffusion(np.arange(2)[:, None], np.array([2]), width=64, depth=2)
    return made.fit(codes, c, rng=rng, most_steps=300)


def test_rings_come_back_with_their_radius(prior):
    c = torch.arange(2).repeat_interleave(1000)
    codes = prior.draw(c, keyed_generator(0)).numpy()
    radius = np.hypot(codes[:, 0] - 5.0, codes[:, 1] / 30.0).reshape(2, 1000)
    # A Gaussian of the same covariance has radii with a standard deviation of half their mean.
    assert np.abs(radius.mean(axis=1) - [1.0, 2.0]).max() < 0.12
    assert (radius.std(axis=1) < [0.25, 0.35]).all()
    angle = np.arctan2(codes[:, 1] / 30.0, codes[:, 0] - 5.0).reshape(2, 1000)
    quarters = [np.histogram(a, bins=4, range=(-np.pi, np.pi))[0] for a in angle]
    assert (np.abs(np.array(quarters) - 250) < 100).all()


def test_a_row_is_its_own_and_saved_ones_draw_the_same(prior):
    c = torch.zeros(8, dtype=torch.int32)
    codes = prior.draw(c, keyed_generator(1))
    other = prior.draw(torch.tensor([0] * 4 + [1] * 4), keyed_generator(1))
    assert torch.allclose(codes[:4], other[:4], atol=1e-4) and not torch.allclose(codes[4:], other[4:])
    arrays = {}
    packed = pack(prior, arrays)
    assert torch.equal(unpack(packed, arrays).draw(c, keyed_generator(1)), codes)


def test_no_density(prior):
    with pytest.raises(DataError, match="needs the prior"):
        prior.log_prob(np.zeros((1, 2)), np.zeros(1, dtype=int))


def test_an_autoencoder_draws_from_it_and_keeps_it(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 3)), np.repeat([0, 1], 40)
    model = VAEGenerator(prior="diffusion", trainer=Trainer(steps=5), random_state=0).fit(X, y)
    made = model.sample(y=[0, 1, 1])
    model.save(tmp_path / "m.safetensors")
    assert made.shape == (3, 3) and np.array_equal(
        augsynth.load(tmp_path / "m.safetensors").sample(y=[0, 1, 1]), made
    )
    with pytest.raises(DataError, match="needs the prior"):
        model.log_prob(X, y)
