"""Gaussian mixtures against closed forms, scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.mixture import GaussianMixture

import augsynth
from augsynth.core.errors import ParameterError, ThinCellWarning
from augsynth.core.normal import Numbers
from augsynth.generate.gaussian import Gaussians
from augsynth.generate.gmm import GaussianMixtureGenerator
from augsynth.generate.mixture import EMSettings, MixtureRows, bic, fit_mixture

TINY = 1e-12  # a regularisation that changes no digit under test


def correlated(n, d, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 10.0 * rng.normal(size=d)


def blobs(n, seed=0, spread=0.5):
    rng = np.random.default_rng(seed)
    centers = np.array([[-4.0, 0.0], [4.0, 0.0], [0.0, 6.0]])
    return centers[rng.integers(0, 3, n)] + spread * rng.normal(size=(n, 2))


def mixed_table(n=300, seed=0, holes=0.15):
    """Two far groups that differ in a number, a category, and its zeros."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 2, n)
    X = pd.DataFrame(
        {
            "x": rng.normal(size=n) + 4.0 * group,
            "gain": np.where(rng.random(n) < np.where(group == 0, 0.9, 0.2), 0.0, rng.gamma(4.0, size=n)),
            "k": np.array(["a", "b", "c"])[(rng.random(n) < 0.8) * (1 + group)],
        }
    )
    for name in X:
        X.loc[rng.random(n) < holes, name] = None
    return X


def test_one_full_component_is_scipys_normal_and_qdas_class_density():
    X, y = np.concatenate([correlated(80, 3, 1), correlated(120, 3, 2)]), np.repeat([0, 1], [80, 120])
    generator = GaussianMixtureGenerator(n_components=1, covariance_type="full", reg_covar=TINY).fit(X, y)
    at, label = correlated(30, 3, 3), np.arange(30) % 2
    truth = np.empty(30)
    for k in (0, 1):
        normal = stats.multivariate_normal(X[y == k].mean(axis=0), np.cov(X[y == k].T, ddof=0))
        truth[label == k] = normal.logpdf(at[label == k])
    np.testing.assert_allclose(generator.log_prob(at, label), truth, rtol=1e-7)
    # Equal sizes: QDA's unbiased covariances differ by n / (n - 1), which cancels in no ratio but is small.
    odds = generator.log_prob(at, np.ones(30)) - generator.log_prob(at, np.zeros(30)) + np.log(120 / 80)
    qda = QuadraticDiscriminantAnalysis().fit(X, y)
    assert (np.sign(odds) == np.sign(qda.decision_function(at))).mean() > 0.95


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_density_and_bic_equal_scikit_learn_on_complete_rows(covariance_type):
    X = blobs(400)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    peer = GaussianMixture(
        3, covariance_type=covariance_type, reg_covar=TINY, tol=1e-9, max_iter=500, random_state=0
    )
    peer.fit(X)
    settings = EMSettings(covariance_type, TINY, 3, 500, tol=1e-9)
    rows = MixtureRows(X, np.empty((400, 0)), [], np.ones(400))
    mixture = fit_mixture(rows, 3, settings, np.random.default_rng(0))
    # Far blobs: both find the same maximum.
    assert mixture.log_likelihood == pytest.approx(peer.score(X) * 400, rel=1e-6)
    assert bic(mixture, rows) == pytest.approx(peer.bic(X), rel=1e-6)
    joint = mixture.joint(rows)
    np.testing.assert_allclose(np.log(np.exp(joint).sum(axis=1)), peer.score_samples(X), atol=1e-4)


def test_bic_finds_the_number_of_far_blobs():
    generator = GaussianMixtureGenerator(random_state=0).fit(blobs(400))
    assert len(generator.mixtures_[0]) == 3
    assert min(generator.bic_[0]["diag"], key=generator.bic_[0]["diag"].get) == 3
    one = GaussianMixtureGenerator(random_state=0).fit(correlated(400, 2)).mixtures_[0]
    assert (len(one), one.covariance_type) == (1, "full")


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_penalised_likelihood_never_falls(covariance_type):
    rng = np.random.default_rng(0)
    x = blobs(300, spread=2.0)
    x[rng.random(x.shape) < 0.2] = np.nan
    codes = np.where(rng.random((300, 1)) < 0.1, np.nan, rng.integers(0, 3, (300, 1)))
    rows = MixtureRows(x, codes, [3], rng.uniform(0.2, 1.8, 300))
    mixture = fit_mixture(
        rows, 4, EMSettings(covariance_type, 0.01, 2, 60, tol=1e-12), np.random.default_rng(1)
    )
    trace = np.array(mixture.trace)
    assert trace.size > 20
    assert (np.diff(trace) >= -1e-9 * np.abs(trace[:-1])).all()


def test_moments_and_densities_of_missing_cells_against_their_formulas():
    rng = np.random.default_rng(5)
    mean, root = rng.normal(size=3), rng.normal(size=(3, 3))
    covariance = root @ root.T + 0.1 * np.eye(3)
    gaussians = Gaussians(mean[None], covariance[None])
    x = np.array([[0.3, np.nan, -1.0], [np.nan, np.nan, np.nan], [np.nan, 0.5, 0.1], [1.0, 2.0, 3.0]])
    first, second = gaussians.moments(Numbers(x), np.ones((4, 1)))
    expected_first, expected_second, density = np.zeros(3), np.zeros((3, 3)), []
    for row in x:
        o = ~np.isnan(row)
        m = ~o
        gap, left = np.where(o, row - mean, 0.0), np.zeros((3, 3))
        gain = covariance[np.ix_(m, o)] @ np.linalg.inv(covariance[np.ix_(o, o)])
        gap[m] = gain @ gap[o]
        left[np.ix_(m, m)] = covariance[np.ix_(m, m)] - gain @ covariance[np.ix_(o, m)]
        expected_first += gap
        expected_second += np.outer(gap, gap) + left
        density.append(
            stats.multivariate_normal(mean[o], covariance[np.ix_(o, o)]).logpdf(row[o]) if o.any() else 0.0
        )
    np.testing.assert_allclose(first[0], expected_first)
    np.testing.assert_allclose(second[0], expected_second, atol=1e-12)
    np.testing.assert_allclose(gaussians.log_density(Numbers(x))[:, 0], density)


def test_em_recovers_the_mean_from_values_missing_at_random():
    # b is seen where a is small: the mean of the seen b is far off, the EM estimate is not.
    rng = np.random.default_rng(6)
    a = rng.normal(size=1500)
    b = a + rng.normal(size=1500)
    X = np.column_stack([a, np.where(a < 0.0, b, np.nan)])
    generator = GaussianMixtureGenerator(
        n_components=1, covariance_type="full", reg_covar=TINY, max_iter=500
    ).fit(X)
    mean = generator.center_[0] + generator.scale_[0] * generator.mixtures_[0].gaussians.means[0]
    # Regression on half of the normal: standard error of the extrapolated mean of b, about
    # sqrt(1 / 750 + (0.8 / 0.6) ** 2 / 750 + 1 / 1500) = 0.066.
    assert np.nanmean(X[:, 1]) < -0.7
    assert abs(mean[1]) < 4 * 0.066


def test_complete_equals_the_closed_form_conditional():
    X = blobs(300, spread=1.5) @ np.array([[1.0, 0.6], [0.2, 1.0]])
    generator = GaussianMixtureGenerator(n_components=2, covariance_type="full", random_state=0).fit(X)
    n, at = 40_000, 1.0
    drawn = generator.complete(np.column_stack([np.full(n, at), np.full(n, np.nan)]), random_state=1)
    mixture, scale = generator.mixtures_[0], generator.scale_[0]
    means = generator.center_[0] + scale * mixture.gaussians.means
    covariances = mixture.gaussians.covariances * np.outer(scale, scale)
    weight = mixture.weights * stats.norm.pdf(at, means[:, 0], np.sqrt(covariances[:, 0, 0]))
    weight /= weight.sum()
    slope = covariances[:, 1, 0] / covariances[:, 0, 0]
    center = means[:, 1] + slope * (at - means[:, 0])
    width = np.sqrt(covariances[:, 1, 1] - slope * covariances[:, 0, 1])
    assert (drawn[:, 0] == at).all()

    def distribution(t):
        return stats.norm.cdf((t[:, None] - center) / width) @ weight

    # Kolmogorov-Smirnov: the 0.1 % point for n draws is 1.95 / sqrt(n).
    assert stats.kstest(drawn[:, 1], distribution).statistic < 1.95 / np.sqrt(n)


def test_complete_draws_categories_and_zeros_by_bayes_rule():
    X = mixed_table(600, holes=0.0)
    generator = GaussianMixtureGenerator(n_components=2, random_state=0).fit(X)
    n = 20_000
    asked = pd.DataFrame({"x": np.full(n, 1.7), "gain": np.nan, "k": pd.Series([None] * n, dtype=object)})
    drawn = generator.complete(asked, random_state=0)
    probe = pd.DataFrame({"x": [1.7] * 4, "gain": np.nan, "k": ["a", "b", "c", None]})
    expected = np.exp(generator.log_prob(probe))
    expected = expected[:3] / expected[3]  # p(k | x) = p(x, k) / p(x)
    assert expected.sum() == pytest.approx(1.0)
    shares = np.array([(drawn["k"] == level).mean() for level in "abc"])
    assert (np.abs(shares - expected) < 4 * np.sqrt(expected * (1 - expected) / n)).all()
    zero = np.exp(
        generator.log_prob(pd.DataFrame({"x": [1.7], "gain": [0.0], "k": [None]}))
        - generator.log_prob(probe[3:])
    )[0]
    assert abs((drawn["gain"] == 0).mean() - zero) < 4 * np.sqrt(zero * (1 - zero) / n)


def test_density_of_a_mixed_table_sums_and_integrates_to_one():
    generator = GaussianMixtureGenerator(n_components=3, random_state=0).fit(mixed_table())
    assert [a.tolist() for a in generator.atoms_] == [[], [0.0]]
    grid = np.linspace(-10, 20, 181) + 1e-3  # off the zero, which is a point mass
    gain = np.append(grid, 0.0)
    x, g, k = (v.ravel() for v in np.meshgrid(grid, gain, [0, 1, 2], indexing="ij"))
    z = np.column_stack([x, g, k])
    mass = np.exp(generator._log_prob(z, np.zeros(len(z), dtype=np.int32), np.random.default_rng(0)))
    mass = mass.reshape(grid.size, gain.size, 3).sum(axis=2)
    step = grid[1] - grid[0]
    assert mass[:, :-1].sum() * step**2 + mass[:, -1].sum() * step == pytest.approx(1.0, abs=1e-3)


def test_draws_follow_the_density_and_the_missing_patterns():
    X = mixed_table(500)
    X.loc[X["x"].isna(), "k"] = None  # k is never seen where x is missing
    generator = GaussianMixtureGenerator(n_components=2, covariance_type="full", random_state=0).fit(X)
    n = 20_000
    new = generator.sample(n, random_state=1)
    assert new.loc[new["x"].isna(), "k"].isna().all()
    for name in X:
        share = X[name].isna().mean()
        assert abs(new[name].isna().mean() - share) < 4 * np.sqrt(share * (1 - share) / n)
    mixture = generator.mixtures_[0]
    means = generator.center_[0, 0] + generator.scale_[0, 0] * mixture.gaussians.means[:, 0]
    width = generator.scale_[0, 0] * np.sqrt(mixture.gaussians.covariances[:, 0, 0])
    # x is seen more often in one component than in the other: weigh by that.
    seen = (generator.pattern_shares_[0] * ~generator.patterns_[0][:, 0]).sum(axis=1) * mixture.weights

    def distribution(t):
        return stats.norm.cdf((t[:, None] - means) / width) @ (seen / seen.sum())

    values = new["x"].dropna().to_numpy()
    assert stats.kstest(values, distribution).statistic < 1.95 / np.sqrt(values.size)


def test_weights_count_as_repetitions():
    rng = np.random.default_rng(7)
    X, w, at = correlated(60, 2), rng.integers(0, 4, 60), correlated(10, 2, seed=8)
    weighted = GaussianMixtureGenerator(n_components=1).fit(X, sample_weight=w)
    repeated = GaussianMixtureGenerator(n_components=1, atoms=None).fit(np.repeat(X, w, axis=0))
    np.testing.assert_allclose(weighted.log_prob(at), repeated.log_prob(at), rtol=1e-3)


def degenerate_tables():
    rng = np.random.default_rng(9)
    y = np.r_[np.zeros(10), np.ones(20)]
    other = rng.normal(size=30)
    yield "constant within a cell", np.column_stack([np.r_[np.full(10, 3.0), rng.normal(size=20)], other]), y
    yield (
        "all missing within a cell",
        np.column_stack([np.r_[np.full(10, np.nan), rng.normal(size=20)], other]),
        y,
    )
    yield "two rows", np.array([[0.0, 1.0], [2.0, 3.0]]), np.zeros(2)
    yield "one row a class", np.array([[0.0, 1.0], [2.0, 3.0]]), np.arange(2.0)
    yield "duplicates", np.repeat([[0.5, 1.5], [2.5, 3.5]], 20, axis=0), np.zeros(40)
    yield "huge", rng.normal(size=(30, 2)) * 1e149, y
    yield "one number, else missing", np.column_stack([np.r_[5.0, np.full(29, np.nan)], other]), y
    yield "equal columns", np.column_stack([other, other, -2.0 * other]), y
    yield "more columns than rows", rng.normal(size=(30, 40)), y


@pytest.mark.parametrize(("name", "X", "y"), [pytest.param(*t, id=t[0]) for t in degenerate_tables()])
@pytest.mark.parametrize("covariance_type", ["auto", "full", "tied", "diag", "spherical"])
@pytest.mark.filterwarnings("ignore::augsynth.core.errors.ThinCellWarning")
def test_degenerate_cells_stay_finite(name, X, y, covariance_type):
    generator = GaussianMixtureGenerator(covariance_type=covariance_type, n_init=1, random_state=0).fit(X, y)
    new = generator.sample(y=np.repeat(np.unique(y), 50))
    for label, part in zip(np.unique(y), np.split(new, len(np.unique(y))), strict=True):
        assert not (np.isnan(part).any(axis=0) & ~np.isnan(X[y == label]).any(axis=0)).any()
    assert np.isfinite(generator.log_prob(X, y)).all()
    holes = X[:3].copy()
    holes[:, 0] = np.nan
    assert np.isfinite(generator.complete(holes, y[:3])).all()
    if name == "constant within a cell":
        assert new[:50, 0] == pytest.approx(3.0, abs=1e-3)


def test_thin_cells_use_their_class_and_say_so():
    X = correlated(43, 2)
    groups = np.array(["b"] * 3 + ["a"] * 40)
    with pytest.warns(ThinCellWarning, match="group_0=b"):
        generator = GaussianMixtureGenerator(n_components=1, covariance_type="full", reg_covar=TINY).fit(
            X, np.zeros(43), sensitive_features=groups
        )
    at = correlated(5, 2, seed=2)
    truth = stats.multivariate_normal(X.mean(axis=0), np.cov(X.T, ddof=0)).logpdf(at)
    np.testing.assert_allclose(
        generator.log_prob(at, np.zeros(5), sensitive_features=["b"] * 5), truth, rtol=1e-6
    )


def test_seed_and_file(tmp_path):
    X, y = mixed_table(200), np.arange(200) % 2
    generator = GaussianMixtureGenerator(n_components=2, random_state=3).fit(X, y)
    again = GaussianMixtureGenerator(n_components=2, random_state=3).fit(X, y)
    pd.testing.assert_frame_equal(generator.sample(300, random_state=1), again.sample(300, random_state=1))
    generator.save(tmp_path / "gmm.safetensors")
    loaded = augsynth.load(tmp_path / "gmm.safetensors")
    pd.testing.assert_frame_equal(loaded.sample(300, random_state=2), generator.sample(300, random_state=2))
    np.testing.assert_array_equal(loaded.log_prob(X, y), generator.log_prob(X, y))
    pd.testing.assert_frame_equal(
        loaded.complete(X, y, random_state=0), generator.complete(X, y, random_state=0)
    )


def test_only_categories_work():
    X = pd.DataFrame({"a": list("xy") * 50, "b": list("xy") * 50})
    generator = GaussianMixtureGenerator(random_state=0).fit(X)
    assert len(generator.mixtures_[0]) == 2  # two latent classes make the columns agree
    new = generator.sample(2000, random_state=0)
    assert (new["a"] == new["b"]).mean() > 0.97
    assert generator.complete(pd.DataFrame({"a": ["x"], "b": [None]}), random_state=0)["b"][0] == "x"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_components": 0}, "n_components must be a whole number >= 1"),
        ({"n_components": "aic"}, "n_components must be 'bic'"),
        (
            {"covariance_type": "round"},
            "covariance_type must be 'auto', 'full', 'tied', 'diag' or 'spherical'",
        ),
        ({"reg_covar": 0.0}, "reg_covar must be a number > 0"),
        ({"atoms": 2.0}, "atoms must be a number > 0 and <= 1"),
        ({"n_init": 0}, "n_init must be a whole number >= 1"),
        ({"max_iter": 0}, "max_iter must be a whole number >= 1"),
    ],
)
def test_wrong_parameters_get_a_sentence(wrong, message):
    with pytest.raises(ParameterError, match=message):
        GaussianMixtureGenerator(**wrong).fit(np.random.default_rng(0).normal(size=(10, 2)))
