"""Every generator that takes images keeps the contract with them: forms, conditions, seeds, files, labels."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import augsynth
from augsynth import OverSampler, registry
from augsynth.core.errors import ConditionError, DataError, ParameterError

DIGITS, LABELS = load_digits(return_X_y=True)
IMAGES, Y = DIGITS[:90].reshape(-1, 8, 8), LABELS[:90] % 3
SMALL = {"kind": "trainer", "steps": 2, "batch_size": 16}
BACKBONES = {"autoregressive": "gated", "diffusion": "unet", "gan": "conv", "vae": "conv"}


def takes_images(kind):
    return getattr(registry.resolve("generator", kind), "_takes_images", False)


KINDS = [kind for kind in registry.names("generator") if takes_images(kind)]


def small(kind, **options):
    spec = {"kind": kind, "random_state": 0, **options}
    if kind != "regression":
        spec["trainer"] = SMALL
    if kind in BACKBONES:
        spec["backbone"] = {"kind": BACKBONES[kind], "width": 8}
    return registry.build("generator", spec)


@pytest.fixture(scope="module", params=KINDS)
def fitted(request):
    return small(request.param).fit(IMAGES, Y)


def test_whole_levels_come_back_as_floats(fitted):
    made = fitted.sample(y=[0, 1, 2] * 5)
    assert made.shape == (15, 8, 8) and made.dtype == np.float64
    assert (made == np.rint(made)).all() and made.min() >= 0 and made.max() <= 16


def test_rows_are_functions_of_seed_condition_and_place(fitted):
    many = fitted.sample(y=[0, 1, 2] * 30, random_state=4)
    assert np.array_equal(many, fitted.sample(y=[0, 1, 2] * 30, random_state=4))
    assert np.array_equal(many[:7], fitted.sample(y=([0, 1, 2] * 30)[:7], random_state=4))
    others = fitted.sample(
        y=[0, 1, 1] * 30, random_state=4
    )  # what the neighbours are asked to be is no matter
    assert np.array_equal(many[::3], others[::3])


def test_saved_and_loaded_it_draws_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "m.safetensors")
    again = augsynth.load(tmp_path / "m.safetensors")
    assert np.array_equal(fitted.sample(y=[2] * 5), again.sample(y=[2] * 5))


def test_bad_questions_get_a_sentence(fitted):
    with pytest.raises(ConditionError):
        fitted.sample(y=[7])
    if hasattr(fitted, "log_prob"):
        with pytest.raises(DataError):
            fitted.log_prob(np.zeros((2, 9, 9)), [0, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_in_colour_and_tensors(kind):
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (40, 9, 10, 3), dtype=np.uint8)
    made = small(kind).fit(colour, [0, 1] * 20).sample(y=[1, 0, 1])
    assert made.shape == (3, 9, 10, 3) and made.dtype == np.uint8
    tensor = torch.from_numpy(colour.transpose(0, 3, 1, 2).copy()).float() / 255
    made = small(kind).fit(tensor).sample(3)
    assert made.shape == (3, 3, 9, 10) and made.dtype == torch.float32
    assert torch.isfinite(made).all() and made.min() >= 0 and made.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_oversampling_images_keeps_the_real_ones(kind):
    keep = np.r_[np.flatnonzero(Y == 0)[:4], np.flatnonzero(Y == 1)]
    X, y = IMAGES[keep], Y[keep]
    X_new, y_new = OverSampler(small(kind), random_state=0).fit_resample(X, y)
    assert np.array_equal(X_new[: len(X)], X) and X_new.dtype == X.dtype
    assert np.bincount(y_new).tolist() == [np.sum(Y == 1)] * 2


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "regression"])
def test_images_without_a_label_train_too(kind):
    labels = Y.astype(float)
    labels[::4] = np.nan
    model = small(kind).fit(IMAGES, labels)
    assert set(model.sample_labelled(60).y) <= {0.0, 1.0, 2.0}


@pytest.mark.parametrize("kind", KINDS)
def test_one_image_and_constant_images(kind):
    made = small(kind).fit(IMAGES[:1]).sample(2)
    assert made.shape == (2, 8, 8)
    made = small(kind).fit(np.full((12, 8, 8), 3, dtype=np.uint8), [0, 1] * 6).sample(y=[1])
    assert made.shape == (1, 8, 8) and made.dtype == np.uint8


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("flow", "regression")])
def test_a_backbone_of_rows_is_refused_in_words(kind):
    model = small(kind).set_params(backbone=registry.build("backbone", {"kind": "mlp", "width": 8}))
    with pytest.raises(ParameterError, match="backbone must be"):
        model.fit(IMAGES, Y)
