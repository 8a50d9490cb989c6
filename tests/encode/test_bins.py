"""Tokens of numbers and categories: atoms, bins, missing cells, densities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from augsynth.core.errors import DataError, ParameterError
from augsynth.encode.bins import Binner
from augsynth.encode.layout import Block, Layout

NUMBER = Layout((Block("a"),))


def fit(column, **kwargs):
    return Binner(**kwargs).fit(np.asarray(column, float)[:, None], NUMBER)


def test_few_distinct_values_are_exact_atoms():
    x = np.repeat([0.1, 0.2, 7.0], [5, 30, 65])
    binner = fit(x)
    tokens = binner.encode(x[:, None])
    assert binner.sizes_.tolist() == [3] and tokens.dtype == np.uint8
    assert (binner.decode(tokens, np.random.default_rng(0))[:, 0] == x).all()


def test_many_values_give_at_most_256_bins_of_like_size_and_decode_near():
    x = np.random.default_rng(0).lognormal(size=20_000)
    binner = fit(x)
    tokens = binner.encode(x[:, None])[:, 0]
    counts = np.bincount(tokens)
    assert 200 < binner.sizes_[0] <= 256 and counts.max() < 3 * counts.mean()
    back = binner.decode(tokens[:, None], np.random.default_rng(1))[:, 0]
    assert (binner.encode(back[:, None])[:, 0] == tokens).mean() > 0.99
    # Redrawn values follow the same distribution: the two-sample test at 20,000 rows sees differences of .02.
    assert stats.ks_2samp(x, back).statistic < 0.01
    assert len(np.intersect1d(back, x)) < 300


def test_a_heavy_value_in_a_continuous_column_is_given_back_exactly():
    rng = np.random.default_rng(0)
    x = np.concatenate([np.zeros(3000), rng.exponential(size=7000)])
    back = fit(x)
    made = back.decode(back.encode(x[:, None]), rng)[:, 0]
    assert ((made == 0) == (x == 0)).all()


def test_short_columns_are_not_memorised():
    x = np.random.default_rng(0).normal(size=40)
    binner = fit(x)
    assert binner.sizes_[0] <= 8
    made = binner.decode(binner.encode(x[:, None]), np.random.default_rng(1))[:, 0]
    assert len(np.intersect1d(made, x)) == 0


def test_missing_cells_have_a_token_only_where_they_were_seen():
    layout = Layout((Block("a", missing=True), Block("b", n_levels=3, missing=True), Block("c")))
    z = np.array([[1.0, 0.0, 1.0], [np.nan, 2.0, 2.0], [3.0, np.nan, 3.0]])
    binner = Binner().fit(z, layout)
    assert binner.missing_token_.tolist() == [2, 3, -1] and binner.sizes_.tolist() == [3, 4, 3]
    tokens = binner.encode(z)
    np.testing.assert_array_equal(binner.decode(tokens, np.random.default_rng(0)), z)
    with pytest.raises(DataError, match="column 'c'"):
        binner.encode(np.array([[1.0, 0.0, np.nan]]))


def test_a_full_column_with_missing_cells_still_fits_a_byte():
    x = np.random.default_rng(0).normal(size=10_000)
    x[::10] = np.nan
    binner = fit(x)
    assert binner.sizes_[0] <= 256 and binner.dtype_ == np.uint8


def test_ten_thousand_levels_take_two_bytes():
    z = np.arange(10_000.0)[:, None]
    binner = Binner().fit(z, Layout((Block("a", n_levels=10_000),)))
    tokens = binner.encode(z)
    assert tokens.dtype == np.uint16 and tokens[-1, 0] == 9_999


def test_density_integrates_to_one():
    rng = np.random.default_rng(0)
    x = rng.normal(size=3000)
    binner = fit(x)
    tokens = binner.encode(x[:, None])[:, 0]
    mass = np.bincount(tokens, minlength=binner.sizes_[0]) / len(x)
    grid = np.linspace(x.min(), x.max(), 400_001)[:, None]
    token = binner.encode(grid)
    density = mass[token[:, 0]] * np.exp(binner.log_density(grid, token))
    assert abs(np.trapezoid(density, grid[:, 0]) - 1.0) < 1e-3
    far = np.array([[99.0], [-99.0]])
    assert (binner.log_density(far, binner.encode(far)) == -np.inf).all()


def test_held_out_numbers_never_fall_between_bins():
    rng = np.random.default_rng(0)
    binner = fit(rng.normal(size=3000))
    x = rng.uniform(-2, 2, size=(5000, 1))
    assert np.isfinite(binner.log_density(x, binner.encode(x))).all()


def test_max_bins_is_checked():
    with pytest.raises(ParameterError, match="max_bins"):
        Binner(1)


def test_stretches_are_told_from_single_values():
    rng = np.random.default_rng(0)
    z = np.column_stack([rng.normal(size=2000), rng.integers(0, 5, 2000), rng.integers(0, 3, 2000)])
    layout = Layout((Block("a"), Block("b"), Block("c", n_levels=3)))
    assert Binner(max_bins=50).fit(z.astype(float), layout).stretches() == [1.0, 0.0, 0.0]
