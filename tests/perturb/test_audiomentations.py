"""Transforms of audiomentations, drawn by key (where the library is installed)."""

import json
import warnings

import numpy as np
import pytest
import torch

from augsynth.core.errors import DataError, InputTypeError, ParameterError
from augsynth.core.isolation import global_states
from augsynth.core.random import item_rng
from augsynth.perturb.audiomentations import AudiomentationsPerturbation
from augsynth.perturb.foreign import as_perturbation
from augsynth.testing import check_perturbation

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the library's own imports
    M = pytest.importorskip("audiomentations")

CLIP = np.random.default_rng(0).normal(0, 0.1, 800).astype(np.float32)


def chain(noise=True, **options):
    steps = [M.Gain(p=0.8), M.PolarityInversion(p=0.5)]
    return M.Compose([M.AddGaussianNoise(p=0.5), *steps] if noise else steps, **options)


def edit(perturbation, k, x=CLIP):
    return perturbation.apply(x, perturbation.draw(x, item_rng(1, 0, k)))


@pytest.mark.parametrize("policy", [chain(), chain(shuffle=True), M.OneOf([M.Gain(p=1), M.Reverse(p=1)])])
def test_the_contract_is_kept(policy):
    check_perturbation(as_perturbation(policy), CLIP)
    check_perturbation(as_perturbation(policy), torch.from_numpy(CLIP))


def test_edits_are_replayed_and_nothing_is_left_behind():
    one, two = as_perturbation(chain()), as_perturbation(chain())
    before = global_states()
    made = [edit(one, k) for k in range(20)]
    assert all(np.array_equal(a, edit(two, k)) for k, a in enumerate(made))
    assert global_states() == before
    assert len({a.tobytes() for a in made}) > 14


def test_a_step_removed_leaves_the_draws_of_the_others():
    whole, part = as_perturbation(chain()), as_perturbation(chain(noise=False))
    shared = 0
    for k in range(20):
        params = whole.draw(CLIP, item_rng(1, 0, k))
        noisy, plain = whole.apply(CLIP, params), part.apply(CLIP, params)
        told = whole.explain(CLIP, params)
        names = [edit["transform"] for edit in told["applied"]]
        rest = [edit for edit in told["applied"] if edit["transform"] != "AddGaussianNoise"]
        assert rest == part.explain(CLIP, params)["applied"] and json.dumps(told)
        if "AddGaussianNoise" not in names:
            assert np.array_equal(noisy, plain)
            shared += 1
    assert 3 <= shared <= 17


def test_only_what_is_read_is_borrowed():
    assert AudiomentationsPerturbation(chain(noise=False))._which() == ("random",)
    assert AudiomentationsPerturbation(chain())._which() == ("random", "numpy")


def test_dtypes_channels_and_sentences():
    gain = as_perturbation(M.Gain(min_gain_db=-6.0, max_gain_db=-6.0, p=1.0))
    for dtype in (np.float32, np.float64):
        assert np.allclose(edit(gain, 0, CLIP.astype(dtype)), CLIP * 10**-0.3, atol=1e-6)
        assert edit(gain, 0, CLIP.astype(dtype)).dtype == dtype
    whole = np.rint(CLIP * 2**15).astype(np.int16)
    assert (
        np.abs(edit(gain, 0, whole) - whole * 10**-0.3).max() <= 1 and edit(gain, 0, whole).dtype == np.int16
    )
    assert edit(gain, 0, np.stack([CLIP, CLIP])).shape == (2, 800)
    with pytest.raises(DataError, match="NaN|finite"):
        edit(gain, 0, np.full(9, np.nan, np.float32))
    with pytest.raises(InputTypeError):
        edit(gain, 0, "clip.wav")
    with pytest.raises(ParameterError, match="sample_rate must be a number > 0"):
        AudiomentationsPerturbation(M.Gain(), sample_rate=0).fit(None)
    with pytest.raises(ParameterError, match="must be a transform of audiomentations"):
        AudiomentationsPerturbation(3).fit(None)
