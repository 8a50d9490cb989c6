"""Weights against scikit-learn, hand counts and the definition of independence."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.utils.class_weight import compute_sample_weight

from augsynth.core.errors import AugsynthWarning, DataError, ParameterError
from augsynth.resample.weights import balanced_weights


def rows(n=300, seed=0):
    rng = np.random.default_rng(seed)
    group = rng.choice(["a", "b", "c"], n, p=[0.7, 0.2, 0.1])
    label = (rng.random(n) < np.where(group == "a", 0.4, 0.15)).astype(int)
    return label, group


def test_by_class_is_scikit_learns_balanced():
    y, _ = rows()
    assert balanced_weights(y) == pytest.approx(compute_sample_weight("balanced", y))


def test_every_cell_weighs_the_same():
    y, group = rows()
    weights = balanced_weights(y, group)
    totals = pd.Series(weights).groupby([y, group]).sum()
    assert len(totals) == 6 and np.ptp(totals) < 1e-9 and weights.mean() == pytest.approx(1.0)
    by_group = pd.Series(balanced_weights(y, group, by="group")).groupby(group).sum()
    assert np.ptp(by_group) < 1e-9


def test_reweighing_makes_label_and_group_independent_and_keeps_their_shares():
    y, group = rows()
    weights = balanced_weights(y, group, by="reweighing")
    table = pd.Series(weights).groupby([y, group]).sum().unstack() / len(y)
    assert np.allclose(table.sum(axis=1), pd.Series(y).value_counts(normalize=True).sort_index())
    assert np.allclose(table.sum(axis=0), pd.Series(group).value_counts(normalize=True).sort_index())
    assert np.allclose(table, np.outer(table.sum(axis=1), table.sum(axis=0)))


def test_given_weights_are_kept_in_proportion_within_cells():
    y, group = rows()
    base = np.random.default_rng(1).random(len(y)) + 0.1
    base[:3] = 0.0
    weights = balanced_weights(y, group, sample_weight=base)
    cell = (y == 0) & (group == "a")
    ratio = weights[cell] / np.where(base[cell] > 0, base[cell], 1.0)
    assert np.ptp(ratio[base[cell] > 0]) < 1e-9 and (weights[:3] == 0).all()
    assert np.ptp(pd.Series(weights).groupby([y, group]).sum()) < 1e-9


def test_several_group_columns_and_categories_without_rows():
    y = pd.Series([0, 1, 0, 1, 0, 1], index=list("uvwxyz"))
    groups = pd.DataFrame({"sex": pd.Categorical(list("ffmmff"), ["f", "m", "x"]), "old": [0, 0, 0, 0, 1, 1]})
    weights = balanced_weights(y, groups)
    assert weights.shape == (6,) and np.allclose(weights, 1.0)


def test_tensors_in_tensors_out():
    y, group = rows(60)
    weights = balanced_weights(torch.tensor(y), torch.tensor(np.unique(group, return_inverse=True)[1]))
    assert weights.dtype == torch.float32
    assert np.allclose(weights.numpy(), balanced_weights(y, group), atol=1e-6)
    loss = torch.nn.CrossEntropyLoss(reduction="none")(torch.zeros(60, 2), torch.tensor(y))
    assert (weights * loss).mean().item() == pytest.approx(np.log(2), abs=1e-6)


def test_clear_sentences():
    with pytest.raises(DataError, match="Pass sensitive_features, or use by=.class"):
        balanced_weights([0, 1], by="group")
    with pytest.raises(DataError, match="equally long"):
        balanced_weights([0, 1, 1], ["a", "b"])
    with pytest.raises(DataError, match="missing"):
        balanced_weights([0.0, np.nan])
    with pytest.raises(DataError, match="every row must have a group"):
        balanced_weights([0, 1], ["a", None])
    with pytest.raises(ParameterError, match="by must be"):
        balanced_weights([0, 1], by="sex")
    with pytest.raises(DataError, match="finite, non-negative"):
        balanced_weights([0, 1], sample_weight=[1.0, -1.0])
    with pytest.warns(AugsynthWarning, match="1 empty combination"):
        balanced_weights([0, 0, 1], ["a", "b", "b"], by="reweighing")
