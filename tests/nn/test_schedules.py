"""Noise schedules against their closed forms."""

import math

import numpy as np
import pytest
import torch

from augsynth.core.errors import ParameterError
from augsynth.nn.schedules import HIGH, LOW, CosineSchedule, EDMSchedule, LinearSchedule, schedule

T = torch.linspace(0.0, 1.0, 1001, dtype=torch.float64)
ALL = [LinearSchedule(), CosineSchedule(), EDMSchedule()]


@pytest.mark.parametrize("made", ALL, ids=lambda s: s.name)
def test_noise_rises_and_samplers_end_without_any(made):
    assert (made.sigma(T).diff() >= 0).all() and (made.ratio(T)[:-10].diff() > 0).all()
    assert (made.alpha(T).diff() <= 0).all()
    grid = made.grid(18)
    assert grid.shape == (19,) and (grid.diff() < 0).all() and grid[-1] == 0.0
    assert 100.0 < grid[0] <= HIGH
    trained = made.trained(T)
    assert (trained.diff() >= 0).all() and trained[0] >= LOW and trained[-1] <= HIGH


@pytest.mark.parametrize("made", ALL[:2], ids=lambda s: s.name)
def test_variance_is_preserved_from_the_row_to_noise(made):
    assert torch.allclose(made.alpha(T) ** 2 + made.sigma(T) ** 2, torch.ones_like(T))
    assert made.alpha(T)[0] == 1.0 and made.sigma(T)[0] == 0.0
    assert made.alpha(T)[-1] < 0.01 and made.sigma(T)[-1] > 0.9999


def test_linear_is_the_limit_of_a_thousand_rates():
    rates = np.linspace(1e-4, 0.02, 1000)  # Ho et al., section 4
    stepwise = np.sqrt(np.cumprod(1.0 - rates))
    continuous = LinearSchedule().alpha(torch.arange(1, 1001, dtype=torch.float64) / 1000).numpy()
    assert np.abs(stepwise - continuous).max() < 0.002


def test_cosine_is_the_published_formula():
    t = 0.3
    f = [math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2 for u in (t, 0.0)]  # their equation 17
    assert CosineSchedule().alpha(torch.tensor(t, dtype=torch.float64)).item() ** 2 == pytest.approx(
        f[0] / f[1]
    )


def test_edm_grid_and_training_noise_are_the_published_ones():
    n = 18
    mine = EDMSchedule().grid(n).numpy()
    i = np.arange(n)  # their equation 5, at data of standard deviation 0.5
    theirs = (80 ** (1 / 7) + i / (n - 1) * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    assert np.allclose(mine[:-1] / 2, theirs)
    share = (torch.arange(20000, dtype=torch.float64) + 0.5) / 20000
    logs = (EDMSchedule().trained(share) / 2).log()
    assert logs.mean().item() == pytest.approx(-1.2, abs=0.01)
    assert logs.std().item() == pytest.approx(1.2, abs=0.02)


def test_unknown_names_are_refused():
    assert schedule("cosine") == CosineSchedule()
    with pytest.raises(ParameterError, match="schedule must be"):
        schedule("sigmoid")
