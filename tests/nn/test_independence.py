"""The penalty: closed forms, unbiasedness, gradients, and what it does to a model."""

import numpy as np
import pytest
import torch

from augsynth.core.errors import DataError, ParameterError
from augsynth.nn.independence import IndependencePenalty, dependence


def drawn(seed, n, *shape):
    return torch.randn((n, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("measure", ["distance", "hsic"])
def test_mean_zero_under_independence(measure):
    """Unbiased: over 400 samples of 12 the mean is within 4 standard errors of zero."""
    found = torch.stack(
        [dependence(drawn(k, 12), drawn(10_000 + k, 12, 2), measure=measure) for k in range(400)]
    )
    assert abs(found.mean()) < 4 * found.std() / 20


def test_distance_covariance_of_normal_pairs_has_its_closed_form():
    """Szekely, Rizzo and Bakirov (2007), theorem 7, for correlation .6; 20 samples of 600."""
    r = 0.6
    truth = (4 / np.pi) * (
        r * np.arcsin(r) + np.sqrt(1 - r**2) - r * np.arcsin(r / 2) - np.sqrt(4 - r**2) + 1
    )
    found = []
    for k in range(20):
        a, b = drawn(k, 600), drawn(500 + k, 600)
        found.append(dependence(a, r * a + np.sqrt(1 - r**2) * b).item())
    assert np.mean(found) == pytest.approx(truth, abs=4 * np.std(found) / np.sqrt(20))


def test_hsic_is_the_u_statistic_over_quadruples():
    """Against the sum over all ordered quadruples of 7 rows (Song et al., equation 4)."""
    a, b = drawn(1, 7), drawn(2, 7)

    def kernel(v):
        gaps = (v[:, None] - v[None]).abs()
        width = gaps[~torch.eye(7, dtype=torch.bool)].median()
        return torch.exp(-0.5 * (gaps / width) ** 2)

    from itertools import permutations

    k, m = kernel(a), kernel(b)
    total = sum(k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(7), 4))
    assert dependence(a, b, measure="hsic").item() == pytest.approx(
        (total / (7 * 6 * 5 * 4)).item(), rel=1e-9
    )


@pytest.mark.parametrize("measure", ["distance", "hsic"])
@pytest.mark.parametrize("width", [1, 3])
def test_gradients(measure, width):
    output = drawn(3, 9, width).requires_grad_()
    sensitive = torch.tensor([0, 1, 2] * 3)
    if measure == "hsic":  # the kernel width is held fixed in the gradient, so compare at fixed width only
        penalty = IndependencePenalty(measure)
        penalty(output, sensitive).backward()
        assert torch.isfinite(output.grad).all() and output.grad.abs().sum() > 0
        return
    assert torch.autograd.gradcheck(lambda o: IndependencePenalty(measure)(o, sensitive), (output,))


def test_repeated_outputs_give_finite_gradients():
    output = torch.zeros((10, 2), requires_grad=True)
    IndependencePenalty()(output, torch.arange(10) % 2).backward()
    assert torch.isfinite(output.grad).all()


def test_a_permutation_finds_dependence_that_no_correlation_shows():
    x = drawn(5, 120)
    y = x**2 + 0.3 * drawn(6, 120)
    seen = dependence(x, y)
    generator = torch.Generator().manual_seed(0)
    null = torch.stack([dependence(x, y[torch.randperm(120, generator=generator)]) for _ in range(99)])
    assert (null >= seen).sum() == 0 and abs(null.mean()) < 4 * null.std() / np.sqrt(99)


def test_categories_are_apart_or_equal_whatever_their_codes():
    output, codes = drawn(7, 40), torch.arange(40) % 4
    renamed = torch.tensor([9, -3, 100, 0])[codes]
    assert dependence(output, codes) == dependence(output, renamed)


def test_given_classes_and_thin_classes():
    labels = torch.tensor([0, 1] * 30)
    output = labels + 0.1 * drawn(8, 60)
    groups = (torch.arange(60) < 30).long()
    penalty = IndependencePenalty()
    both = [penalty(output[labels == k], groups[labels == k]) for k in (0, 1)]
    assert penalty(output, groups, given=labels) == pytest.approx(sum(both).item() / 2)
    lonely = torch.arange(6)
    assert penalty(output[:6], groups[:6], given=lonely) == 0


def test_a_trained_model_forgets_the_variable():
    x, s = drawn(9, 200, 3), (drawn(10, 200) > 0)
    x[:, 0] += 2.0 * s
    target = x.sum(dim=1, keepdim=True)
    left = []
    for strength in (0.0, 20.0):
        weight = torch.zeros((3, 1), dtype=torch.float64, requires_grad=True)
        step = torch.optim.Adam([weight], lr=0.05)
        for _ in range(80):
            said = x @ weight
            loss = (said - target).square().mean() + strength * IndependencePenalty()(said, s)
            step.zero_grad()
            loss.backward()
            step.step()
        left.append(abs(np.corrcoef((x @ weight).detach().ravel(), s)[0, 1]))
    assert left[0] > 0.4 and left[1] < 0.5 * left[0]


def test_clear_sentences():
    with pytest.raises(DataError, match="equally long"):
        IndependencePenalty()(torch.zeros(5), torch.zeros(4))
    with pytest.raises(DataError, match="at least 4 rows"):
        dependence(torch.zeros(3), torch.zeros(3))
    with pytest.raises(ParameterError, match="measure must be"):
        IndependencePenalty("correlation")
    with pytest.raises(ParameterError, match="output must be floats"):
        IndependencePenalty()(torch.arange(5), torch.arange(5))
