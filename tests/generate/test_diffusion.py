"""Diffusion models of images."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

import augsynth
from augsynth.core.errors import DataError, ParameterError
from augsynth.encode.image import ImageLayout
from augsynth.generate.denoising import DenoisingObjective
from augsynth.generate.diffusion import DiffusionGenerator
from augsynth.nn.backbones import ConditionEmbedding, MLPBackbone
from augsynth.nn.randomness import forked, keyed_generator
from augsynth.nn.schedules import schedule
from augsynth.nn.trainer import Trainer
from augsynth.nn.unet import UNetBackbone

X, Y = load_digits(return_X_y=True)
X = X.reshape(-1, 8, 8)
SMALL = {"backbone": UNetBackbone(8), "trainer": Trainer(steps=2, batch_size=16), "random_state": 0}


def objective(**options):
    with forked(0):
        condition = ConditionEmbedding(np.arange(3)[:, None], [3], 6)
        model = DenoisingObjective(
            ImageLayout(1, 8, 8, 17), condition, UNetBackbone(8), schedule=schedule("edm", 64), **options
        )
        for p in model.parameters():
            if not p.any():
                torch.nn.init.normal_(p, std=0.1)
    return model.eval()


@torch.no_grad()
def test_guidance_zero_is_conditional_and_more_moves_away_from_the_rest():
    plain, strong = objective(), objective(guidance=1.5)
    x, ratio = torch.randn(4, 1, 8, 8, generator=keyed_generator(0)), torch.full((4,), 5.0)
    told = plain.condition(torch.tensor([0, 1, 2, 0]))
    own, none = plain.guess(x, ratio, told), plain.guess(x, ratio, torch.zeros_like(told))
    inside = (own.abs() < 1.5) & (none.abs() < 1.5)  # guesses are cut to the range of pixels
    moved = strong.guess(x, ratio, told)
    assert torch.allclose(moved[inside], (own + 1.5 * (own - none))[inside].clamp(-2, 2), atol=1e-4)
    weak = objective(guidance=1e-9)
    assert torch.allclose(weak.guess(x, ratio, told), own, atol=1e-5)


def test_training_loss_starts_at_one_whatever_the_noise():
    model = objective(center=-0.4, spread=0.7)
    for p in model.network.last.parameters():
        torch.nn.init.zeros_(p)
    z = torch.as_tensor(np.random.default_rng(0).integers(0, 17, (400, 1, 8, 8)), dtype=torch.uint8)
    model.spread, model.center = model.pixels.read(z).std().item(), model.pixels.read(z).mean().item()
    ((_, loss),) = model.losses(z, torch.zeros(400).int(), None, step=0, generator=keyed_generator(0))
    # 25,600 targets of variance one: standard error sqrt(2 / 25,600) = 0.009.
    assert loss.item() == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize("name", ["edm", "linear"])
def test_two_images_are_told_apart_and_drawn_again(name):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    images = np.zeros((200, 8, 8), dtype=np.uint8)
    images[y == 0, 2:6, 2:6], images[y == 1, :, 3:5] = 15, 15
    model = DiffusionGenerator(
        backbone=UNetBackbone(8),
        trainer=Trainer(steps=80, batch_size=16, learning_rate=1e-2),
        schedule=name,
        n_steps=18,
        random_state=0,
    ).fit(images, y)
    made = model.sample(y=[0, 1] * 20)
    for label in (0, 1):
        off = np.abs(made[label::2].astype(float) - images[y == label][0]).mean()
        assert off < 2.0, (name, label, off)  # the other image is 3.75 away, noise 7.5


def test_seeds_saving_and_conditions(tmp_path):
    model = DiffusionGenerator(n_steps=3, guidance=1.0, **SMALL).fit(X[:200], Y[:200])
    made = model.sample(y=[3] * 5, random_state=1)
    assert made.shape == (5, 8, 8) and made.dtype == X.dtype and set(np.unique(made)) <= set(range(17))
    more = model.sample(y=[3] * 70, random_state=1)
    assert np.array_equal(more[:5], made)  # an image does not depend on how many are drawn
    model.save(tmp_path / "m.safetensors")
    assert np.array_equal(augsynth.load(tmp_path / "m.safetensors").sample(y=[3] * 5, random_state=1), made)


def test_labels_that_are_missing_or_absent_train_too():
    labels = Y[:120].astype(float)
    labels[::3] = np.nan
    made = DiffusionGenerator(n_steps=2, **SMALL).fit(X[:120], labels).sample(y=[1.0, 2.0])
    assert made.shape == (2, 8, 8)
    assert DiffusionGenerator(n_steps=2, guidance=2.0, **SMALL).fit(X[:50]).sample(3).shape == (3, 8, 8)


def test_wrong_settings_get_a_sentence():
    for options in ({"schedule": "warm"}, {"guidance": -1}, {"n_steps": 0}, {"backbone": MLPBackbone(8)}):
        with pytest.raises(ParameterError):
            DiffusionGenerator(**{**SMALL, **options}).fit(X[:20], Y[:20])
    model = DiffusionGenerator(n_steps=2, **SMALL).fit(X[:50], Y[:50])
    with pytest.raises(DataError, match="must be of a table"):
        model.log_prob(X[:3], Y[:3])


def test_tables_are_completed_and_have_a_bound():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 300)
    table = pd.DataFrame({"a": a, "b": a * 10.0, "c": rng.normal(size=300)})
    options = {"steps": 60, "batch_size": 64, "learning_rate": 1e-2, "options": {"ema": 0.9}}
    model = DiffusionGenerator(backbone=MLPBackbone(32), trainer=Trainer(**options), random_state=0)
    model.fit(table, a > 0)
    asked = pd.DataFrame({"a": [0, 1, 2, 1], "b": [np.nan] * 4, "c": [0.5, np.nan, -1.0, 0.0]})
    made = model.complete(asked, [False, True, True, True], random_state=0)
    assert made["a"].tolist() == [0, 1, 2, 1] and made["c"].iloc[0] == 0.5 and not made.isna().any(axis=None)
    bound = model.log_prob(table, a > 0, random_state=1)
    assert np.isfinite(bound).all()
    swapped = model.log_prob(table.assign(b=table["b"].to_numpy()[::-1]), a > 0, random_state=1)
    assert bound.mean() > swapped.mean()
