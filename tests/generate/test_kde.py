"""A kernel density estimate against enumeration, quadrature and scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.neighbors import KernelDensity

import augsynth
from augsynth.core.errors import ParameterError, ThinCellWarning
from augsynth.generate.bandwidth import column_scales, effective_size
from augsynth.generate.kde import KDEGenerator
from augsynth.generate.kernels import KERNELS


def mixed_table(n=60, seed=0):
    """One number with holes, one unordered and one ordered category with holes."""
    rng = np.random.default_rng(seed)
    color = rng.integers(0, 3, n)
    x = rng.normal(size=n) + color
    x[rng.random(n) < 0.2] = np.nan
    size = pd.Categorical.from_codes(rng.integers(-1, 4, n), categories=list("SMLX"), ordered=True)
    return pd.DataFrame({"x": x, "color": np.array(["red", "green", "blue"])[color], "size": size})


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_log_prob_equals_scikit_learn_in_one_dimension(name):
    rng = np.random.default_rng(1)
    X, at = rng.gamma(2.0, size=(80, 1)), rng.uniform(-1, 8, size=(40, 1))
    width = 0.4
    ours = KDEGenerator(kernel=name, bandwidth=[width]).fit(X).log_prob(at)
    peer = KernelDensity(kernel=name, bandwidth=width * KERNELS[name].unit).fit(X).score_samples(at)
    near = np.isfinite(ours)
    np.testing.assert_allclose(ours[near], peer[near], atol=1e-6)
    assert near.mean() > 0.5
    assert (peer[~near] < -30).all()


@pytest.mark.parametrize(("rule", "factor"), [("scott", 1.0), ("silverman", 5.0 / 4.0)])
def test_rules_of_thumb_against_their_formulas(rule, factor):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(150, 3)) * [1.0, 10.0, 0.1]
    generator = KDEGenerator(bandwidth=rule, scale="std").fit(X)
    np.testing.assert_allclose(generator.widths_[0], X.std(axis=0, ddof=1) * (150 * factor) ** (-1 / 7))
    # scipy's gaussian_kde has the same factor, from the same effective number of rows.
    weights = rng.uniform(0.5, 2.0, 150)
    peer = stats.gaussian_kde(X.T, bw_method=rule, weights=weights)
    ours = KDEGenerator(bandwidth=rule, scale="std").fit(X, sample_weight=weights)
    np.testing.assert_allclose(ours.widths_[0], np.sqrt(np.diag(peer.covariance)))


def test_robust_scale_ignores_a_far_tail_and_survives_ties():
    x = np.concatenate([np.random.default_rng(0).normal(size=2000), [1e6]])[:, None]
    assert column_scales(x, np.ones(2001))[0] == pytest.approx(1.0, abs=0.1)
    tied = np.array([[0.0]] * 9 + [[1.0]])
    assert column_scales(tied, np.ones(10))[0] == pytest.approx(tied.std(ddof=1))
    assert column_scales(np.full((5, 1), 7.0), np.ones(5))[0] == 0.0
    assert effective_size(np.array([1.0, 1.0, 0.0])) == 2.0


@pytest.mark.parametrize("kernel", ["gaussian", "tophat"])
@pytest.mark.parametrize("bounds", [None, "observed"])
def test_density_of_a_mixed_table_sums_and_integrates_to_one(kernel, bounds):
    X = mixed_table()
    generator = KDEGenerator(kernel=kernel, bounds=bounds, smoothing=0.3, bandwidth=0.8).fit(X)
    grid = np.linspace(-15, 18, 3001)
    reach = np.append(grid, np.nan)  # the last entry is the missing state
    x, color, size = (v.ravel() for v in np.meshgrid(reach, [0, 1, 2], [0, 1, 2, 3, np.nan], indexing="ij"))
    z = np.column_stack([x, color, size])
    density = np.exp(generator._log_prob(z, np.zeros(len(z), dtype=np.int32), np.random.default_rng(0)))
    by_x = density.reshape(len(reach), -1).sum(axis=1)
    assert by_x[:-1].sum() * (grid[1] - grid[0]) + by_x[-1] == pytest.approx(1.0, abs=2e-3)
    assert by_x[-1] == pytest.approx(X["x"].isna().mean())  # missing as often as in training


@pytest.mark.parametrize("bounds", [None, "observed"])
@pytest.mark.parametrize("name", sorted(KERNELS))
def test_draws_follow_the_density(name, bounds):
    rng = np.random.default_rng(4)
    X, w, width = rng.gamma(1.0, size=(30, 1)), rng.uniform(0.1, 3.0, 30), 0.8
    generator = KDEGenerator(kernel=name, bandwidth=[width], bounds=bounds).fit(X, sample_weight=w)
    drawn = generator.sample(20_000, random_state=5)[:, 0]
    kernel = KERNELS[name]
    low, high = (X.min(), X.max()) if bounds else (-np.inf, np.inf)
    if bounds:
        assert drawn.min() >= low and drawn.max() <= high

    def distribution(t):
        below = kernel.cdf((np.clip(t, low, high)[:, None] - X.T) / width)
        first, last = kernel.cdf((low - X.T) / width), kernel.cdf((high - X.T) / width)
        return ((below - first) / (last - first)) @ (w / w.sum())

    # Kolmogorov-Smirnov: the 0.1 % point for n draws is 1.95 / sqrt(n).
    assert stats.kstest(drawn, distribution).statistic < 1.95 / np.sqrt(drawn.size)


def test_missing_patterns_come_back_in_their_proportion():
    rng = np.random.default_rng(6)
    X = pd.DataFrame({"a": rng.normal(size=400), "b": rng.normal(size=400)})
    X.loc[:79, ["a", "b"]] = np.nan  # together in 20 % of the rows, never alone
    new = KDEGenerator().fit(X).sample(20_000, random_state=0)
    assert (new["a"].isna() == new["b"].isna()).all()
    assert abs(new["a"].isna().mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 20_000)


def test_a_repeated_number_is_a_point_mass():
    rng = np.random.default_rng(7)
    gain = np.where(rng.random(500) < 0.8, 0.0, rng.lognormal(3.0, 1.0, 500))
    generator = KDEGenerator().fit(gain[:, None])
    new = generator.sample(10_000, random_state=0)[:, 0]
    assert abs((new == 0).mean() - (gain == 0).mean()) < 4 * np.sqrt(0.16 / 10_000)
    assert np.exp(generator.log_prob([[0.0]]))[0] == pytest.approx((gain == 0).mean())
    assert (KDEGenerator(atoms=None).fit(gain[:, None]).sample(1000, random_state=0) != 0).all()


def test_cross_validated_bandwidth_is_close_to_the_oracle():
    # Two narrow far modes: rules of thumb see their distance and smooth far too much.
    rng = np.random.default_rng(8)
    draw = lambda n: rng.normal(size=(n, 1)) * 0.1 + rng.choice([-3.0, 3.0], size=(n, 1))  # noqa: E731
    X, fresh = draw(300), draw(4000)
    mean = lambda **kw: KDEGenerator(**kw).fit(X).log_prob(fresh).mean()  # noqa: E731
    oracle = max(mean(bandwidth=[h]) for h in np.geomspace(0.01, 1.0, 15))
    assert mean(bandwidth="scott") < oracle - 0.5
    assert mean(bandwidth="cv") > oracle - 0.03
    # A compact kernel takes the Gaussian's choice, so that no isolated row widens it.
    chosen = [KDEGenerator(bandwidth="cv", kernel=k).fit(X).widths_[0, 0] for k in ("gaussian", "tophat")]
    assert chosen[0] == chosen[1]


def test_cross_validated_smoothing_tells_noise_from_structure():
    rng = np.random.default_rng(9)
    noise = pd.DataFrame({f"c{j}": pd.Categorical(rng.integers(0, 6, 150)) for j in range(4)})
    level = rng.integers(0, 6, 150)
    same = pd.DataFrame({f"c{j}": pd.Categorical(level) for j in range(4)})
    assert KDEGenerator(smoothing="cv").fit(noise).widths_[0, 0] > 0.5
    assert KDEGenerator(smoothing="cv").fit(same).widths_[0, 0] < 0.02


def test_repeated_values_do_not_pull_the_cross_validated_bandwidth_to_zero():
    X = np.repeat(np.random.default_rng(0).normal(size=(50, 1)), 4, axis=0)
    assert KDEGenerator(bandwidth="cv").fit(X).widths_[0, 0] > 0.05


def test_bandwidths_may_come_as_an_array():
    X = np.random.default_rng(0).normal(size=(20, 2))
    listed, array = (KDEGenerator(bandwidth=given).fit(X) for given in ([0.5, 0.7], np.array([0.5, 0.7])))
    np.testing.assert_array_equal(listed.log_prob(X), array.log_prob(X))


def test_weights_count_as_repetitions():
    rng = np.random.default_rng(10)
    X, w, at = rng.normal(size=(20, 2)), rng.integers(0, 4, 20), rng.normal(size=(10, 2))
    weighted = KDEGenerator(bandwidth=[0.5, 0.7]).fit(X, sample_weight=w)
    repeated = KDEGenerator(bandwidth=[0.5, 0.7], atoms=None).fit(np.repeat(X, w, axis=0))
    np.testing.assert_allclose(weighted.log_prob(at), repeated.log_prob(at), rtol=1e-12)


def test_complete_draws_from_the_enumerated_conditional():
    X = pd.DataFrame({"x": [0.0, 1.0, 4.0, 5.0, 9.5], "k": list("aabbc"), "v": [0.0, 1.0, 2.0, 3.5, np.nan]})
    generator = KDEGenerator(bandwidth=[1.5, 0.1], smoothing=0.2).fit(X)
    n = 20_000
    asked = pd.DataFrame({"x": np.full(n, 2.5), "k": pd.Series([None] * n, dtype=object), "v": np.nan})
    new = generator.complete(asked, random_state=0)
    # Centres by their kernel at x = 2.5, the last one out because its v is missing.
    weight = stats.norm.pdf(2.5, [0.0, 1.0, 4.0, 5.0], 1.5)
    weight /= weight.sum()
    levels = np.full((4, 3), 0.2 / 3) + 0.8 * np.eye(3)[[0, 0, 1, 1]]
    expected = weight @ levels
    shares = np.array([(new["k"] == level).mean() for level in "abc"])
    assert (np.abs(shares - expected) < 4 * np.sqrt(expected * (1 - expected) / n)).all()
    truth = weight @ [0.0, 1.0, 2.0, 3.5]
    spread = np.sqrt(weight @ np.square([0.0, 1.0, 2.0, 3.5]) - truth**2 + 0.01)
    assert abs(new["v"].mean() - truth) < 4 * spread / np.sqrt(n)
    assert (new["x"] == 2.5).all()
    # v belongs to the drawn centre: v below 1.5 comes from the first two, whose level is mostly a.
    assert (new["k"][new["v"] < 1.5] == "a").mean() == pytest.approx(0.8 + 0.2 / 3, abs=0.02)


def test_complete_serves_rows_that_no_centre_reaches():
    x = np.r_[np.arange(10.0), [np.nan] * 5]
    X = pd.DataFrame({"x": x, "k": ["a"] * 10 + ["b"] * 5, "v": np.arange(15.0)})
    asked = pd.DataFrame({"x": [1e9, np.nan, np.nan], "k": ["b", None, None], "v": [np.nan, np.nan, -50.0]})
    new = KDEGenerator(kernel="tophat", smoothing=0.0).fit(X).complete(asked, random_state=0)
    assert not new.isna().any().any()
    assert new["x"][0] == 1e9 and new["v"][2] == -50.0


@pytest.mark.parametrize("ordered", [False, True])
def test_a_level_that_was_declared_but_never_seen_is_never_drawn(ordered):
    levels = pd.CategoricalDtype(list("abcd"), ordered=ordered)  # b and d are not used
    k = pd.Categorical(np.repeat(["a", "c"], [60, 40]), dtype=levels)
    X = pd.DataFrame({"x": np.arange(100.0), "k": k, "m": np.arange(100) % 2})
    asked = pd.DataFrame({"x": [50.0] * 400, "k": pd.Categorical([None] * 400, dtype=levels), "m": 1})
    for smoothing in (0.9, "cv"):
        model = KDEGenerator(smoothing=smoothing).fit(X)
        filled = model.complete(asked, random_state=0)["k"]
        assert filled.dtype == levels and set(filled) <= {"a", "c"} >= set(model.expect(asked)["k"])
        assert set(model.sample(400, random_state=0)["k"]) <= {"a", "c"}
    model = KDEGenerator(smoothing=0.9).fit(X)
    assert set(model.complete(asked, random_state=0)["k"]) == {"a", "c"}
    every = pd.DataFrame({"x": 50.0, "k": pd.Categorical(list("abcd"), dtype=levels), "m": 1})
    assert np.isneginf(model.log_prob(every)[[1, 3]]).all()
    # told such a level, the other columns decide
    odd = pd.DataFrame({"x": [3.0, 90.0], "k": pd.Categorical(["b", "d"], dtype=levels), "m": np.nan})
    assert model.complete(odd, random_state=0)["m"].notna().all()


def degenerate_tables():
    rng = np.random.default_rng(11)
    constant = np.column_stack([np.r_[np.full(10, 3.0), rng.normal(size=20)], rng.normal(size=30)])
    hole = np.column_stack([np.r_[np.full(10, np.nan), rng.normal(size=20)], rng.normal(size=30)])
    y = np.r_[np.zeros(10), np.ones(20)]
    yield "constant within a cell", constant, y
    yield "all missing within a cell", hole, y
    yield "two rows", np.array([[0.0, 1.0], [2.0, 3.0]]), np.zeros(2)
    yield "one row a class", np.array([[0.0, 1.0], [2.0, 3.0]]), np.arange(2.0)
    yield "duplicates", np.repeat([[0.0, 1.0], [2.0, 3.0]], 20, axis=0), np.zeros(40)
    yield "huge", rng.normal(size=(30, 2)) * 1e149, y
    lonely = np.r_[5.0, np.full(29, np.nan)]
    yield "one number, else missing", np.column_stack([lonely, rng.normal(size=30)]), y


@pytest.mark.parametrize(("name", "X", "y"), [pytest.param(*t, id=t[0]) for t in degenerate_tables()])
@pytest.mark.parametrize("bandwidth", ["scott", "cv"])
@pytest.mark.filterwarnings("ignore::augsynth.core.errors.ThinCellWarning")
def test_degenerate_cells_stay_finite(name, X, y, bandwidth):
    generator = KDEGenerator(bandwidth=bandwidth, smoothing="cv", random_state=0).fit(X, y)
    new = generator.sample(y=np.repeat(np.unique(y), 50))
    # A cell is missing in a draw only if a training row of that class had it missing.
    for label, part in zip(np.unique(y), np.split(new, len(np.unique(y))), strict=True):
        assert not (np.isnan(part).any(axis=0) & ~np.isnan(X[y == label]).any(axis=0)).any()
    assert not np.isnan(generator.log_prob(X, y)).any()
    assert (generator.log_prob(X, y) > -np.inf).all()
    holes = X[:3].copy()
    holes[:, 0] = np.nan
    assert not np.isnan(generator.complete(holes, y[:3])).any()
    if name == "constant within a cell":
        assert new[:50, 0] == pytest.approx(3.0, abs=1e-4)


def test_a_cell_of_one_row_takes_its_spread_from_its_class():
    rng = np.random.default_rng(12)
    X, groups = rng.normal(size=(41, 1)), np.array(["b"] + ["a"] * 40)
    with pytest.warns(ThinCellWarning, match="group_0=b"):
        generator = KDEGenerator(scale="std").fit(X, np.zeros(41), sensitive_features=groups)
    assert generator.widths_[1, 0] == pytest.approx(X.std(ddof=1))
    new = generator.sample(y=np.zeros(4000), sensitive_features=["b"] * 4000, random_state=0)
    assert abs(new.mean() - X[0, 0]) < 4 * X.std(ddof=1) / np.sqrt(4000)


def test_provenance_seed_and_file(tmp_path):
    X = mixed_table()
    y = np.arange(60) % 2
    generator = KDEGenerator(random_state=3).fit(X, y)
    wanted = generator.condition_.encode(np.repeat([0, 1], 2500))
    drawn = generator.draw(wanted, random_state=1)
    assert (y[drawn.source[:, 0]] == np.repeat([0, 1], 2500)).all()
    assert (X["x"].isna().to_numpy()[drawn.source[:, 0]] == drawn.rows["x"].isna()).all()
    generator.save(tmp_path / "kde.safetensors")
    loaded = augsynth.load(tmp_path / "kde.safetensors")
    pd.testing.assert_frame_equal(loaded.sample(500, random_state=2), generator.sample(500, random_state=2))
    np.testing.assert_array_equal(loaded.log_prob(X, y), generator.log_prob(X, y))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kernel": "round"}, "kernel must be 'gaussian', 'epanechnikov'"),
        ({"bandwidth": 0.0}, "bandwidth must be a number > 0"),
        ({"bandwidth": "wide"}, "bandwidth must be 'scott'"),
        ({"bandwidth": [1.0]}, "one positive number for each of the 2 numeric columns"),
        ({"smoothing": 1.5}, "smoothing must be a number >= 0 and <= 1"),
        ({"bounds": "given"}, "bounds must be None or 'observed'"),
        ({"scale": "iqr"}, "scale must be 'robust' or 'std'"),
        ({"atoms": 0}, "atoms must be a number > 0"),
    ],
)
def test_wrong_parameters_get_a_sentence(wrong, message):
    with pytest.raises(ParameterError, match=message):
        KDEGenerator(**wrong).fit(np.random.default_rng(0).normal(size=(10, 2)))


def test_only_categories_and_only_numbers_work():
    rng = np.random.default_rng(13)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        only = KDEGenerator(smoothing="cv", bandwidth="cv").fit(pd.DataFrame({"k": list("aabbbccd") * 5}))
    masses = np.exp(only.log_prob(pd.DataFrame({"k": list("abcd")})))
    assert masses.sum() == pytest.approx(1.0)
    assert KDEGenerator().fit(rng.normal(size=(20, 3))).sample(7).shape == (7, 3)
