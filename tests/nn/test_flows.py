"""Flows: log-determinants against autograd, exact inverses, densities that integrate to one."""

import math
from itertools import product

import pytest
import torch

from augsynth.nn.backbones import MLPBackbone
from augsynth.nn.flows import Coupling, Flow, LULinear
from augsynth.nn.randomness import forked
from augsynth.nn.splines import n_spline_parameters, rational_quadratic
from augsynth.nn.token_chain import TokenChain


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def shaken(build, scale=0.3):
    """Build a module in double precision, every parameter moved away from its start."""
    with forked(0):
        module = build().double()
        for p in module.parameters():
            p.data += scale * torch.randn(p.shape, dtype=torch.float64)
    return module


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=stream(seed), dtype=torch.float64)


def test_the_slope_of_a_spline_is_its_derivative_and_its_inverse_undoes_it():
    x = torch.linspace(-6, 6, 400, dtype=torch.float64).requires_grad_()
    raw = 2.0 * numbers(400, n_spline_parameters(6))
    y, log_slope = rational_quadratic(x, raw)
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(log_slope, slope.log(), rtol=1e-9, atol=1e-9)
    back, log_back = rational_quadratic(y, raw, inverse=True)
    torch.testing.assert_close(back, x, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(log_back, -log_slope, rtol=1e-6, atol=1e-6)


def test_a_spline_is_monotone_smooth_and_beyond_its_bound_the_identity():
    x = torch.linspace(-5.5, 5.5, 20001, dtype=torch.float64)
    raw = numbers(1, n_spline_parameters(8)).expand(len(x), -1)
    y, log_slope = rational_quadratic(x, raw)
    assert (y.diff() > 0).all()
    beyond = x.abs() >= 5.0
    assert torch.equal(y[beyond], x[beyond])
    # the slope has no jumps at the knots: halving the step halves its largest change
    coarse, fine = log_slope[::2].diff().abs().max(), log_slope.diff().abs().max()
    assert 1.8 < coarse / fine < 2.2


@pytest.mark.parametrize("n_context", [0, 3])
@pytest.mark.parametrize(("coupling", "linear"), [("spline", False), ("spline", True), ("affine", True)])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_log_determinant_is_autograds_and_the_inverse_undoes(d, coupling, linear, n_context):
    flow = shaken(
        lambda: Flow(
            d, MLPBackbone(8, depth=2), n_layers=4, n_context=n_context, coupling=coupling, linear=linear
        )
    )
    x = numbers(6, d)
    context = numbers(6, n_context, seed=1) if n_context else None
    u, total = flow(x, context)
    for i in range(6):
        told = None if context is None else context[i : i + 1]
        jacobian = torch.autograd.functional.jacobian(
            lambda row, told=told: flow(row[None], told)[0][0], x[i]
        )
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], total[i], rtol=1e-6, atol=1e-6)
    back, total_back = flow.inverse(u, context)
    torch.testing.assert_close(back, x, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(total_back, -total, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("coupling", ["spline", "affine"])
def test_a_density_in_two_dimensions_integrates_to_one(coupling):
    flow = shaken(lambda: Flow(2, MLPBackbone(8, depth=1), n_layers=4, coupling=coupling, linear=True), 0.2)
    line = torch.linspace(-15, 15, 500, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    mass = flow.log_prob(grid).detach().exp().sum() * (line[1] - line[0]) ** 2
    assert abs(float(mass) - 1.0) < 2e-3


def test_one_affine_coupling_on_one_number_is_a_normal_distribution():
    flow = shaken(lambda: Flow(1, MLPBackbone(4, depth=0), n_layers=1, coupling="affine"))
    log_scale, shift = flow.layers[0].net.first.bias.tolist()
    log_scale = 3.0 * math.tanh(log_scale / 3.0)
    x = numbers(20, 1)
    expected = torch.distributions.Normal(-shift * math.exp(-log_scale), math.exp(-log_scale))
    torch.testing.assert_close(flow.log_prob(x), expected.log_prob(x[:, 0]))


def test_matrices_of_two_triangles():
    mixing = shaken(lambda: LULinear(4))
    x = numbers(3, 4)
    matrix = torch.autograd.functional.jacobian(lambda row: mixing(row[None], None, None)[0][0], x[0])
    y, total = mixing(x, None, None)
    torch.testing.assert_close(y, x @ matrix.T + mixing.shift)
    torch.testing.assert_close(total[0], torch.linalg.slogdet(matrix)[1])


def test_numbers_that_a_row_lacks_change_nothing_and_cost_nothing():
    flow = shaken(lambda: Flow(3, MLPBackbone(8, depth=1), n_layers=4, n_context=2), 0.1)
    seen = torch.tensor([[True, False, True]] * 5)
    x = torch.where(seen, numbers(5, 3), 0.0)
    context = numbers(5, 2, seed=1)
    u, total = flow(x, context, seen)
    assert (u[:, 1] == 0).all()
    for i in range(5):

        def carried(pair, i=i):
            row = torch.stack([pair[0], pair.new_zeros(()), pair[1]])
            return flow(row[None], context[i : i + 1], seen[:1])[0][0, [0, 2]]

        jacobian = torch.autograd.functional.jacobian(carried, x[i, [0, 2]])
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], total[i])
    torch.testing.assert_close(flow.inverse(u, context, seen)[0], x)
    # the density is that of two numbers
    line = torch.linspace(-8, 8, 320, dtype=torch.float64)
    pairs = torch.cartesian_prod(line, line)
    rows = torch.stack([pairs[:, 0], torch.zeros(len(pairs)), pairs[:, 1]], dim=1)
    told, here = context[:1].expand(len(rows), -1), seen[:1].expand(len(rows), -1)
    mass = flow.log_prob(rows, told, here).detach().exp().sum() * (line[1] - line[0]) ** 2
    assert abs(float(mass) - 1.0) < 2e-3


def test_a_new_coupling_is_the_identity_and_an_odd_number_of_layers_is_kept():
    with forked(0):
        coupling = Coupling(torch.tensor([True, False]), MLPBackbone(4), 0)
        flow = Flow(4, MLPBackbone(4), n_layers=3)
    x = torch.randn(7, 2, generator=stream())
    y, total = coupling(x, None, None)
    torch.testing.assert_close(y, x)
    torch.testing.assert_close(total, torch.zeros(7), atol=1e-6, rtol=0)
    assert len(flow.layers) == 3


def test_chained_tokens_have_probabilities_that_sum_to_one_and_are_drawn_by_them():
    sizes = [3, 2, 4]
    with forked(0):
        chain = TokenChain(sizes, n_context=5, width=8, depth=3)
        for p in chain.parameters():
            p.data += 0.3 * torch.randn(p.shape)
    rows = torch.tensor(list(product(*map(range, sizes))))
    told = torch.randn(1, 5, generator=stream())
    chance = chain.log_prob(rows, told.expand(len(rows), -1)).detach().exp()
    assert abs(float(chance.sum()) - 1.0) < 1e-5
    n = 20_000
    drawn = chain.draw(torch.rand(n, 3, generator=stream(1)), told.expand(n, -1))
    place = drawn[:, 0] * 8 + drawn[:, 1] * 4 + drawn[:, 2]
    share = torch.bincount(place, minlength=24) / n
    error = (chance * (1 - chance) / n).sqrt()
    assert (
        (share - chance).abs() < 4.5 * error + 2 / n
    ).all()  # 4.5 deviations, and a row or two of the rare
