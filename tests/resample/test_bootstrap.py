"""BootstrapResampler: sizes, strata, clusters and out-of-bag rows."""

import numpy as np
import pandas as pd
import pytest

from augsynth.core.errors import DataError, ParameterError
from augsynth.resample.bootstrap import BootstrapResampler

X = np.arange(20.0).reshape(10, 2)
Y = np.array([0] * 7 + [1] * 3)


@pytest.mark.parametrize(
    "y",
    [
        None,
        Y,
        np.linspace(0, 1, 10),
        np.eye(10, dtype=int),
        list("aaaaaaaaaa"),
        pd.Series(range(10), dtype="Int64"),
    ],
    ids=["none", "classes", "continuous", "several columns", "one class", "nullable"],
)
def test_any_target(y):
    sampler = BootstrapResampler(random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    drawn = sampler.sample_indices_
    np.testing.assert_array_equal(X_new, X[drawn])
    if y is None:
        assert y_new is None
    else:
        assert type(y_new) is type(y)
        np.testing.assert_array_equal(np.asarray(y_new), np.asarray(y)[drawn])
    assert sorted(set(drawn) | set(sampler.oob_indices_)) == list(range(10))
    assert not set(drawn) & set(sampler.oob_indices_)


@pytest.mark.parametrize(("asked", "rows"), [(None, 10), (4, 4), (0.5, 5), (1.5, 15), (25, 25), (0.01, 1)])
def test_sizes(asked, rows):
    assert len(BootstrapResampler(n_samples=asked, random_state=0).fit_resample(X)[0]) == rows


def test_without_replacement_is_a_subsample():
    sampler = BootstrapResampler(n_samples=0.6, replacement=False, random_state=0)
    sampler.fit_resample(X, Y, sample_weight=np.arange(10.0))
    assert len(np.unique(sampler.sample_indices_)) == 6
    assert len(sampler.oob_indices_) == 4
    assert sampler.sample_weight_.tolist() == sampler.sample_indices_.tolist()
    with pytest.raises(ParameterError, match="at most the 10 rows"):
        BootstrapResampler(n_samples=11, replacement=False).fit_resample(X)


def test_strata_keep_their_shares():
    sampler = BootstrapResampler(stratify="class", n_samples=20, random_state=0)
    _, y_new = sampler.fit_resample(X, Y)
    assert np.bincount(y_new).tolist() == [14, 6]
    assert dict(sampler.sampling_strategy_) == {0: 14, 1: 6}
    groups = list("ffmmmmm") + list("fmm")
    sampler = BootstrapResampler(stratify="class+group", random_state=0)
    _, y_new = sampler.fit_resample(X, Y, sensitive_features=groups)
    got = pd.Series(list(zip(y_new.tolist(), sampler.sensitive_features_, strict=True))).value_counts()
    assert got.to_dict() == {(0, "f"): 2, (0, "m"): 5, (1, "f"): 1, (1, "m"): 2}


def test_clusters_stay_whole():
    clusters = np.array(list("aabbbccdde"))
    sampler = BootstrapResampler(random_state=2)
    X_new, _ = sampler.fit_resample(X, Y, groups=clusters)
    drawn = pd.Series(sampler.groups_).value_counts()
    sizes = pd.Series(clusters).value_counts()
    times = drawn / sizes[drawn.index]
    assert (times == times.round()).all()
    assert times.sum() == 5  # as many clusters as there are
    assert set(clusters[sampler.oob_indices_]).isdisjoint(drawn.index)
    assert len(X_new) == len(sampler.groups_)
    assert (sampler.provenance_["kind"] == "copied").sum() == len(X_new) - len(set(sampler.sample_indices_))


def test_clusters_within_strata():
    clusters = np.array([1, 1, 2, 2, 3, 3, 3, 4, 4, 5])  # 1-3 in class 0, 4-5 in class 1
    sampler = BootstrapResampler(stratify="class", n_samples=2, replacement=False, random_state=0)
    sampler.fit_resample(X, Y, groups=clusters)
    chosen = set(sampler.groups_.tolist())
    assert len(chosen & {1, 2, 3}) == 1
    assert len(chosen & {4, 5}) == 1
    with pytest.raises(DataError, match="clusters 9"):
        sampler.fit_resample(X, Y, groups=np.full(10, 9))


def test_bootstrap_distribution_of_the_mean():
    """The variance of the bootstrap mean is the population variance over n (Efron 1979)."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 1))
    means = [BootstrapResampler(random_state=s).fit_resample(values)[0].mean() for s in range(400)]
    expected = values.var() / 50
    # the variance of 400 draws has a relative standard error of sqrt(2 / 399) = 0.071
    assert abs(np.var(means) / expected - 1) < 4 * 0.071
    assert abs(np.mean(means) - values.mean()) < 4 * np.sqrt(expected / 400)


def test_bad_values_get_one_sentence():
    for n_samples in (0, -1, "half", True, float("nan")):
        with pytest.raises(ParameterError, match="n_samples"):
            BootstrapResampler(n_samples=n_samples).fit_resample(X)
    with pytest.raises(ParameterError, match="stratify"):
        BootstrapResampler(stratify="sex").fit_resample(X, Y)
    with pytest.raises(DataError, match="groups must have one entry"):
        BootstrapResampler().fit_resample(X, Y, groups=[1, 2])
    with pytest.raises(DataError, match="requires y"):
        BootstrapResampler(stratify="class").fit_resample(X)
    with pytest.raises(DataError, match="one entry a row"):
        BootstrapResampler().fit_resample(X, [1, 2])
