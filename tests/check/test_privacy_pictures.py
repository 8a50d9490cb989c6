"""Pictures that were copied and moved, mirrored or made noisy are near copies; real ones are not."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from augsynth.check.gathering import gather
from augsynth.check.privacy.holdout_leak import HoldoutLeak
from augsynth.check.privacy.near_copies import NearCopies
from augsynth.check.privacy.picture_views import greys, spectra

N, K = 450, 45


@pytest.fixture(scope="module")
def digits():
    rng = np.random.default_rng(0)
    images = np.pad(load_digits().images, ((0, 0), (3, 3), (3, 3)))[rng.permutation(1797)]
    return images[:N], images[N : 2 * N], images[2 * N : 3 * N]


def _moved(images):
    return np.roll(images, (1, -2), axis=(1, 2))


def _noisy(images):
    return _moved(images) + np.random.default_rng(1).normal(size=images.shape) * 0.3


def _evidence(train, holdout, made):
    return gather(train, None, made, None, holdout=(holdout, None))


@pytest.mark.parametrize("change", [_moved, _noisy, lambda images: images[:, :, ::-1]])
def test_moved_and_mirrored_copies_are_near_copies(digits, change):
    train, holdout, fresh = digits
    made = np.concatenate([change(train[:K]), fresh[K:]])
    found = NearCopies().run(_evidence(train, holdout, made), np.random.default_rng(0))
    assert found.p_value < 1e-6
    assert found.sentence.endswith("they are copies, moved, mirrored or with noise.")
    pairs = found.details["pairs"]
    assert (pairs["new"] == pairs["train"]).mean() > 0.9


def test_moved_copies_of_held_out_pictures_are_told(digits):
    train, holdout, fresh = digits
    evidence = _evidence(train, holdout, np.concatenate([_moved(holdout[:K]), fresh[K:]]))
    assert HoldoutLeak().run(evidence, np.random.default_rng(0)).p_value < 1e-6


def test_real_pictures_are_no_near_copies(digits):
    """One draw; the test exchanges pairs, so its level is exact."""
    evidence = _evidence(*digits)
    assert NearCopies().run(evidence, np.random.default_rng(0)).p_value > 0.05
    assert HoldoutLeak().run(evidence, np.random.default_rng(0)).p_value == 1.0


def test_spectra_of_pictures_of_several_sizes(digits):
    images = [*digits[0][:3], np.zeros((9, 20))]
    rows = gather(images, None, images[1:], None).train
    found = spectra(greys(rows, np.arange(4)), (14, 20))
    assert found.shape == (4, 13 * 7) and np.isfinite(found).all()
