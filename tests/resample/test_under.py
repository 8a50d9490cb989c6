"""UnderSampler: exact counts, order kept, any container."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from augsynth.core.errors import DataError
from augsynth.resample.under import UnderSampler

X = pd.DataFrame(
    {"v": np.arange(12), "day": pd.date_range("2024-01-01", periods=12)}, index=list("abcdefghijkl")
)
# class 0: 4 f, 4 m; class 1: 1 f, 3 m
Y = np.array([0] * 8 + [1] * 4)
GROUPS = pd.Series(list("ffffmmmm") + list("fmmm"), name="sex", index=X.index)


def cells(y, groups):
    return pd.Series(list(zip(y.tolist(), list(groups), strict=True))).value_counts().to_dict()


@pytest.mark.parametrize(
    ("by", "strategy", "expected"),
    [
        ("class", "auto", {(0, "f"): 2, (0, "m"): 2, (1, "f"): 1, (1, "m"): 3}),
        # m has 7 rows (4 + 3), f 5: m shrinks to 5 with its mix 4:3 kept: 2.86, 2.14 -> 3, 2
        ("group", "auto", {(0, "f"): 4, (0, "m"): 3, (1, "f"): 1, (1, "m"): 2}),
        ("class+group", "auto", {(0, "f"): 1, (0, "m"): 1, (1, "f"): 1, (1, "m"): 1}),
        ("class+group", {(0, "f"): 2, (1, "m"): 0}, {(0, "f"): 2, (0, "m"): 4, (1, "f"): 1}),
        ("class", 0.8, {(0, "f"): 3, (0, "m"): 2, (1, "f"): 1, (1, "m"): 3}),
    ],
)
def test_cells_by_hand(by, strategy, expected):
    sampler = UnderSampler(by=by, sampling_strategy=strategy, random_state=0)
    X_new, y_new = sampler.fit_resample(X, Y, sensitive_features=GROUPS, sample_weight=np.arange(12.0))
    assert cells(y_new, sampler.sensitive_features_) == expected
    kept = sampler.sample_indices_
    assert (np.diff(kept) > 0).all()
    pd.testing.assert_frame_equal(X_new, X.iloc[kept].reset_index(drop=True))
    pd.testing.assert_series_equal(sampler.sensitive_features_, GROUPS.iloc[kept].reset_index(drop=True))
    assert sampler.sample_weight_.tolist() == kept.tolist()
    assert sampler.provenance_["source"].tolist() == X.index[kept].tolist()
    assert (sampler.provenance_["kind"] == "real").all()
    assert sum(sampler.target_counts_) == len(kept)


def test_strategy_attribute_keeps_imbalanced_learns_meaning():
    sampler = UnderSampler(random_state=0).fit(X, Y)
    assert dict(sampler.sampling_strategy_) == {0: 4}
    assert sampler.target_counts_.to_dict() == {0: 4, 1: 4}


def test_replacement_draws_only_in_shrinking_cells():
    sampler = UnderSampler(replacement=True, sampling_strategy={0: 8}, random_state=1)
    sampler.fit_resample(X, Y)
    kept = sampler.sample_indices_
    assert (kept >= 8).sum() == 4
    assert len(np.unique(kept[kept < 8])) < 8
    kinds = sampler.provenance_["kind"].value_counts()
    assert kinds["copied"] == 12 - len(np.unique(kept))


@pytest.mark.parametrize("convert", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_rows(convert):
    table = np.eye(12)[:, :5] + 1
    X_new, y_new = UnderSampler(random_state=0).fit_resample(convert(table), Y)
    assert sparse.issparse(X_new)
    plain, _ = UnderSampler(random_state=0).fit_resample(table, Y)
    np.testing.assert_array_equal(X_new.toarray(), plain)
    assert np.bincount(y_new).tolist() == [4, 4]


def test_images_and_target_bins():
    images = np.arange(40 * 4).reshape(40, 2, 2)
    y = np.concatenate([np.linspace(0, 1, 34), np.linspace(9, 10, 6)])
    X_new, y_new = UnderSampler(by="target_bins", random_state=0).fit_resample(images, y)
    assert X_new.shape[1:] == (2, 2)
    assert (y_new > 5).sum() == 6
    assert len(y_new) < 40
    with pytest.raises(DataError, match="Unknown label type"):
        UnderSampler().fit_resample(images, y)


def test_same_seed_same_rows():
    first = UnderSampler(random_state=3).fit_resample(X, Y)[0]
    pd.testing.assert_frame_equal(first, UnderSampler(random_state=3).fit_resample(X, Y)[0])
    draws = {tuple(UnderSampler(random_state=s).fit_resample(X, Y)[0]["v"]) for s in range(8)}
    assert len(draws) > 1
