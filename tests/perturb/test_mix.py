"""MixUp and CutMix of batches: blends and areas by hand, soft labels, odd input."""

import numpy as np
import pytest
import torch
from scipy import stats

from augsynth.core.errors import DataError, InputTypeError, ParameterError
from augsynth.perturb.mix import cut_axes, draw_mixing, mix_batch


def one_hot_pictures(n, shape=(3, 16, 16)):
    """Pictures (n, n + c, h, w)-like: the value of every pixel names the picture."""
    return np.arange(n, dtype=np.float32).reshape(-1, *[1] * len(shape)) * np.ones(shape, np.float32)


def test_mixup_blends_pixels_and_labels_by_the_same_weight():
    x = np.eye(6, dtype=np.float64)  # row k is the one-hot of class k, so the mixture is the soft label
    mixed, soft = mix_batch(x, np.arange(6), alpha=0.7, n_classes=6, random_state=3)
    np.testing.assert_allclose(mixed, soft, atol=1e-6)
    np.testing.assert_allclose(soft.sum(axis=1), 1.0, atol=1e-6)
    assert soft.dtype == np.float32


def test_every_row_is_a_partner_once():
    _, soft = mix_batch(np.eye(40), np.arange(40), n_classes=40, random_state=0)
    own = np.diag(soft)
    partner = soft - np.diag(own)
    assert ((partner > 0).sum(axis=1) <= 1).all() and ((partner > 0).sum(axis=0) <= 1).all()


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_weights_are_beta(alpha):
    u = np.random.default_rng(0).random((4000, 5))
    weights = draw_mixing(u, (8, 8), method="mixup", alpha=alpha, where="test").weights
    assert stats.kstest(weights, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


@pytest.mark.parametrize("kind", ["array hwc", "array chw", "tensor chw", "array hw"])
def test_cutmix_labels_are_the_counted_shares_of_pixels(kind):
    shape = {"array hwc": (16, 12, 3), "array hw": (16, 12)}.get(kind, (3, 16, 12))
    n = 32
    x = one_hot_pictures(n, shape)
    x = torch.from_numpy(x) if kind.startswith("tensor") else x
    mixed, soft = mix_batch(x, np.arange(n), method="cutmix", n_classes=n, random_state=1)
    assert type(mixed) is type(x) and type(soft) is type(x)
    flat = np.asarray(mixed).reshape(n, -1)
    for k in range(n):
        shares = np.bincount(flat[k].astype(int), minlength=n) / flat.shape[1]
        np.testing.assert_allclose(np.asarray(soft)[k], shares, atol=1e-6)
    assert (np.asarray(soft).max(axis=1) < 1).mean() > 0.7


def test_cutmix_box_by_hand():
    # Weight 0.75: half of each side; centred at (0.5 * 8, 0.5 * 4) = (4, 2).
    mixing = draw_mixing(np.array([[0, 0, 0.75, 0.5, 0.5]]), (8, 4), method="cutmix", alpha=1.0, where="test")
    assert mixing.starts.tolist() == [[2, 1]] and mixing.stops.tolist() == [[6, 3]]
    assert mixing.weights.tolist() == [1 - 8 / 32]
    # At the corner three quarters of the box fall off, and the label knows.
    corner = draw_mixing(np.array([[0, 0, 0.75, 0.0, 0.0]]), (8, 4), method="cutmix", alpha=1.0, where="test")
    assert corner.starts.tolist() == [[0, 0]] and corner.stops.tolist() == [[2, 1]]
    assert corner.weights.tolist() == [1 - 2 / 32]


def test_cutmix_of_clips_pastes_a_stretch():
    x = one_hot_pictures(8, (1, 400))
    mixed, soft = mix_batch(x, np.arange(8), method="cutmix", n_classes=8, random_state=2)
    for k in range(8):
        changed = np.flatnonzero(mixed[k, 0] != k)
        assert len(changed) == 0 or np.ptp(changed) == len(changed) - 1
        assert soft[k, k] == pytest.approx(1 - len(changed) / 400)
    assert cut_axes((400,), False) == (0,) and cut_axes((2, 400), True) == (1,)
    assert cut_axes((5, 3, 8, 8), True) == (2, 3) and cut_axes((5, 8, 8, 3), False) == (1, 2)


def test_cutmixup_is_one_or_the_other_at_even_odds():
    u = np.random.default_rng(1).random((4000, 5))
    is_cut = draw_mixing(u, (32, 32), method="cutmixup", alpha=1.0, where="test").is_cut
    assert abs(is_cut.mean() - 0.5) < 4 * 0.5 / np.sqrt(4000)
    x = one_hot_pictures(64, (16, 16))
    mixed, soft = mix_batch(x, np.arange(64), method="cutmixup", n_classes=64, random_state=0)
    # Whichever it was, the mean of the pixels is what the soft label says.
    np.testing.assert_allclose(mixed.mean(axis=(1, 2)), soft @ np.arange(64), rtol=1e-4)


def test_p_leaves_the_rest_untouched():
    x = np.random.default_rng(0).normal(size=(2000, 4)).astype(np.float32)
    mixed, soft = mix_batch(x, np.arange(2000) % 2, p=0.3, n_classes=2, random_state=0)
    same = (mixed == x).all(axis=1)
    assert abs(same.mean() - 0.7) < 4 * np.sqrt(0.21 / 2000)
    np.testing.assert_array_equal(soft[same], np.eye(2)[np.arange(2000) % 2][same])


def test_types_and_seeds():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    y = np.arange(10) % 3
    a, soft_a = mix_batch(pictures, y, n_classes=3, random_state=5)
    b, soft_b = mix_batch(torch.from_numpy(pictures).permute(0, 3, 1, 2), y, n_classes=3, random_state=5)
    assert a.dtype == np.uint8 and b.dtype == torch.uint8
    np.testing.assert_array_equal(a, b.permute(0, 2, 3, 1).numpy())
    np.testing.assert_array_equal(soft_a, soft_b.numpy())
    c, _ = mix_batch(pictures, y, n_classes=3, random_state=6)
    assert (a != c).any()
    half, _ = mix_batch(torch.rand(4, 6, dtype=torch.bfloat16), y[:4], n_classes=3, random_state=0)
    assert half.dtype == torch.bfloat16
    cut, _ = mix_batch(pictures > 100, y, method="cutmix", n_classes=3, random_state=0)
    assert cut.dtype == bool


def test_soft_labels_and_numbers_go_in():
    x = np.eye(4)
    soft_in = np.full((4, 2), 0.5)
    np.testing.assert_allclose(mix_batch(x, soft_in, random_state=0)[1], 0.5)
    targets = np.array([0.0, 10.0, 20.0, 30.0])
    mixed, mixed_targets = mix_batch(targets[:, None], targets, random_state=0)
    np.testing.assert_allclose(mixed[:, 0], mixed_targets, rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "words"),
    [
        (np.zeros((3, 2)), [0, 1, 2], {}, DataError, "n_classes must be given"),
        (np.zeros((3, 2)), [0, 1, 5], {"n_classes": 3}, DataError, "from 0 to 2; given 5"),
        (np.zeros((3, 2)), ["a", "b", "c"], {"n_classes": 3}, InputTypeError, "Number the classes"),
        (np.zeros((3, 2)), [0, 1], {"n_classes": 2}, DataError, r"shape \(3,\)"),
        (np.zeros((3, 2)), np.zeros((3, 4)), {"n_classes": 2}, DataError, "2 columns"),
        (np.zeros((3, 2)), [0.0, np.nan, 1.0], {}, DataError, "NaN or inf at 1"),
        (np.array([[1.0], [np.nan]]), [0, 1], {"n_classes": 2}, DataError, "sample 1"),
        (np.array(["a", "b"]), [0, 1], {"n_classes": 2}, InputTypeError, "texts cannot be mixed"),
        (["a", "b"], [0, 1], {"n_classes": 2}, InputTypeError, "given list"),
        (np.zeros((0, 2)), [], {"n_classes": 2}, DataError, "at least one sample"),
        (
            np.zeros((2, 2), dtype=bool),
            [0, 1],
            {"n_classes": 2, "random_state": 0},
            InputTypeError,
            "booleans",
        ),
        (np.zeros((2, 2)), [0, 1], {"n_classes": 2, "method": "blend"}, ParameterError, "'mixup'"),
        (np.zeros((2, 2)), [0, 1], {"n_classes": 2, "alpha": 0}, ParameterError, "alpha"),
        (np.zeros((2, 2)), [0, 1], {"n_classes": 2, "p": 1.5}, ParameterError, "p must"),
    ],
)
def test_bad_input_gets_a_sentence(x, y, options, error, words):
    with pytest.raises(error, match=words):
        mix_batch(x, y, **options)
