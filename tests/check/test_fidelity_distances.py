"""Distances of two samples against closed forms, other libraries and brute force."""

import numpy as np
import pytest
from scipy import stats

from augsynth.check.fidelity import (
    energy_distance,
    manifolds,
    maximum_mean_discrepancy,
    nearest_mse,
    sliced_wasserstein,
)
from augsynth.core.errors import AugsynthWarning, DataError, InputTypeError, ParameterError


def shifted(n, m, d=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + m, rng.normal(size=(n, d))


def absolute_normal(m, s):
    """Mean of |N(m, s^2)|."""
    return s * np.sqrt(2 / np.pi) * np.exp(-(m**2) / (2 * s**2)) + m * (1 - 2 * stats.norm.cdf(-m / s))


@pytest.mark.parametrize("m", [0.0, 0.5, 2.0])
def test_energy_distance_of_shifted_normals(m):
    closed = 2 * absolute_normal(m, np.sqrt(2)) - 2 * absolute_normal(0.0, np.sqrt(2))
    found = [energy_distance(*shifted(400, m, seed=s)) for s in range(12)]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) - closed) < 4 * error


def test_energy_distance_agrees_with_scipy_in_one_column():
    a, b = shifted(60, 0.7, seed=3)
    b = np.vstack([b, b[:7] * 2])
    ours = energy_distance(a, b, unbiased=False)
    assert np.sqrt(ours) == pytest.approx(stats.energy_distance(a[:, 0], b[:, 0]), abs=1e-12)


@pytest.mark.parametrize("m", [0.0, 1.0])
def test_kernel_discrepancy_of_shifted_normals(m):
    s, d = 1.3, 2
    base = (s**2 / (s**2 + 2)) ** (d / 2)
    closed = 2 * base * (1 - np.exp(-(d * m**2) / (2 * (s**2 + 2))))
    found = [maximum_mean_discrepancy(*shifted(300, m, d, seed=k), bandwidths=s) for k in range(12)]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(np.mean(found) - closed) < 4 * error


def test_kernel_discrepancy_by_hand():
    a, b = np.array([[0.0], [2.0]]), np.array([[1.0], [4.0], [4.0]])
    k = lambda x, y: np.mean([np.exp(-((x - y) ** 2) / (2 * s * s)) for s in (0.5, 2.0)])  # noqa: E731
    own = k(0, 2), (2 * k(1, 4) + k(4, 4)) / 3
    across = np.mean([k(x, y) for x in (0, 2) for y in (1, 4, 4)])
    found = maximum_mean_discrepancy(a, b, bandwidths=[0.5, 2.0])
    assert found == pytest.approx(own[0] + own[1] - 2 * across, abs=1e-12)


def test_sliced_wasserstein_of_a_shift_is_the_mean_projected_shift():
    rng = np.random.default_rng(0)
    x, shift = rng.normal(size=(50, 3)), np.array([1.0, -2.0, 0.5])
    ways = np.random.default_rng(5).normal(size=(100, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    assert sliced_wasserstein(x + shift, x, random_state=5) == pytest.approx(
        np.abs(ways @ shift).mean(), abs=1e-12
    )


def test_sliced_wasserstein_of_unequal_samples_agrees_with_scipy():
    a, b = shifted(31, 0.4, seed=1)
    b = np.vstack([b, [[9.0]]])
    assert sliced_wasserstein(a, b) == pytest.approx(stats.wasserstein_distance(a[:, 0], b[:, 0]), abs=1e-12)


# ---- balls around rows: figures of the published code on arrays that anyone can make
def waves():
    i, j = np.arange(1, 41), np.arange(1, 51)
    new = 1.5 * np.column_stack([np.sin(i * 1.7), np.cos(i * 2.3), (i * 0.618034) % 1]) + 0.3
    return new, np.column_stack([np.sin(j * 1.3), np.cos(j * 0.7), (j * 0.754878) % 1])


@pytest.mark.parametrize(
    ("k", "published"),
    [
        (1, (0.175, 0.44, 0.3, 0.2)),
        (3, (0.475, 0.94, 0.39166666666666666, 0.56)),
        (5, (0.5, 1.0, 0.39, 0.7)),
    ],
)
def test_manifolds_agree_with_prdc(k, published):
    assert manifolds(*waves(), k=k) == pytest.approx(published, abs=1e-12)


def test_manifolds_by_brute_force():
    new, real = waves()
    reach = [sorted(np.linalg.norm(real - row, axis=1))[5] for row in real]
    inside = [[np.linalg.norm(x - y) < r for y, r in zip(real, reach, strict=True)] for x in new]
    found = manifolds(new, real)
    assert found.precision == np.mean([any(each) for each in inside])
    assert found.density == pytest.approx(np.mean([sum(each) / 5 for each in inside]), abs=1e-12)
    assert found.coverage == np.mean(np.any(inside, axis=0))


def test_manifolds_of_equal_rows_are_zero_and_density_may_exceed_one():
    with pytest.warns(AugsynthWarning, match="100% of them with 5 or more"):
        assert manifolds(np.zeros((9, 2)), np.zeros((9, 2))) == (0.0, 0.0, 0.0, 0.0)
    real = np.random.default_rng(0).normal(size=(300, 2))
    assert manifolds(real[:100] * 0.01, real).density > 1.1


def test_nearest_mse_of_copies_is_zero():
    a, b = shifted(30, 1.0, 4)
    assert nearest_mse(b[::-1], b) == 0.0
    assert nearest_mse(a, b) == pytest.approx(
        np.mean([min(np.mean((x - y) ** 2) for y in b) for x in a]), abs=1e-12
    )


@pytest.mark.parametrize(
    "measure", [energy_distance, maximum_mean_discrepancy, sliced_wasserstein, manifolds, nearest_mse]
)
def test_wrong_input_is_told_in_one_sentence(measure):
    good = np.zeros((20, 2))
    with pytest.raises(DataError, match="as many columns; given 2 and 3"):
        measure(good, np.zeros((20, 3)))
    with pytest.raises(DataError, match="must be finite"):
        measure(good, np.where(np.eye(20, 2), np.inf, 0.0))
    with pytest.raises(InputTypeError, match="array of numbers"):
        measure(good, [["a", "b"]] * 20)
    with pytest.raises(DataError, match="at least|there must be"):
        measure(good, np.zeros((0, 2)))


def test_wrong_options():
    with pytest.raises(ParameterError, match="bandwidths"):
        maximum_mean_discrepancy(np.zeros((3, 1)), np.zeros((3, 1)), bandwidths=[0.0])
    with pytest.raises(ParameterError, match="k must be"):
        manifolds(np.zeros((9, 1)), np.zeros((9, 1)), k=0)
