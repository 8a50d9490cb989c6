"""Exact quotas, rotation over the epochs, labels and descriptions of resampled datasets."""

import time

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset

from augsynth.core.errors import AugsynthWarning, DataError, ParameterError
from augsynth.datasets import PerturbedDataset, ResampledDataset
from augsynth.perturb.base import ParametricPerturbation


class Shift(ParametricPerturbation):
    """Add one uniform number, so that every draw shows."""

    def parameters(self, u):
        return {"shift": u[:, 0]}

    def apply(self, x, params):
        return x + params["shift"]


def toy(counts, groups=None):
    """A dataset whose sample is its record number."""
    y = np.repeat(np.arange(len(counts)), counts)
    return TensorDataset(torch.arange(len(y), dtype=torch.float64)[:, None], torch.from_numpy(y)), y


def test_every_epoch_holds_exactly_the_quotas():
    base, y = toy([50, 20, 3])
    data = ResampledDataset(base)
    assert len(data) == 150 and data.target_counts.to_dict() == {0: 50, 1: 50, 2: 50}
    for epoch in range(5):
        records = data.records(epoch)
        assert np.bincount(y[records]).tolist() == [50, 50, 50]
        assert np.array_equal(y[records], data.labels)  # a slot keeps its class
        times = np.bincount(records, minlength=73)
        assert set(times[:50]) == {1} and set(times[50:70]) == {2, 3} and set(times[70:]) == {16, 17}


def test_over_the_epochs_every_record_comes_equally_often():
    base, _ = toy([7, 5, 3])
    data = ResampledDataset(base, sampling_strategy={0: 10, 1: 5, 2: 11}, seed=4)
    epochs = 7 * 3  # 10 slots of 7 records come round after 7 epochs, 11 of 3 after 3
    total = sum(np.bincount(data.records(e), minlength=15) for e in range(epochs))
    assert total[:7].tolist() == [10 * epochs // 7] * 7
    assert total[7:12].tolist() == [epochs] * 5
    assert total[12:].tolist() == [11 * epochs // 3] * 3


def test_one_look_up_agrees_with_all_of_them():
    base, _ = toy([40, 9])
    for data in (ResampledDataset(base, seed=2), ResampledDataset(base, bootstrap=True, seed=2)):
        for epoch in (0, 3):
            assert [data.slot(i, epoch)[0] for i in range(len(data))] == data.records(epoch).tolist()
            assert len({data.slot(i, epoch) for i in range(len(data))}) == len(
                data
            )  # no (record, copy) twice
            assert [int(data.at(i, epoch)[0]) for i in range(len(data))] == data.records(epoch).tolist()


def test_cells_of_class_and_group():
    base, y = toy([60, 30])
    g = np.where(np.arange(90) % 10 < 8, "f", "m")
    data = ResampledDataset(base, by="class+group", groups=g)
    counts = pd.crosstab(data.labels, data.groups)
    assert (counts.to_numpy() == 48).all() and len(data) == 4 * 48
    assert data.target_counts.to_dict() == {(c, s): 48 for c in (0, 1) for s in "fm"}
    # Classes keep their mix of groups, groups their mix of classes: largest remainders.
    by_class = ResampledDataset(base, groups=g, sampling_strategy={1: 45})
    assert pd.crosstab(by_class.labels, by_class.groups).to_numpy().tolist() == [[48, 12], [36, 9]]
    by_group = ResampledDataset(base, by="group", groups=g, seed=1)
    assert pd.crosstab(by_group.labels, by_group.groups).to_numpy().tolist() == [[48, 48], [24, 24]]
    for epoch in range(3):
        assert np.array_equal(y[by_group.records(epoch)], by_group.labels)
        assert np.array_equal(g[by_group.records(epoch)], by_group.groups)


def test_totals_factors_and_lengths():
    base, _ = toy([60, 30, 10])
    totals = lambda **options: ResampledDataset(base, **options).target_counts.tolist()  # noqa: E731
    assert totals(sampling_strategy={2: "x2.5"}) == [60, 30, 25]
    assert totals(sampling_strategy={0: 15, 2: "x0.5", 1: 40}) == [15, 40, 5]
    assert totals(sampling_strategy="x2.5") == [150, 75, 25]
    assert totals(sampling_strategy="minority") == [60, 30, 60]
    assert totals(sampling_strategy=lambda cells: cells.value_counts().clip(lower=20).to_dict()) == [
        60,
        30,
        20,
    ]
    assert totals(length=1000) == [334, 333, 333]
    assert totals(length=31) == [11, 10, 10]  # fewer than there are: they rotate
    assert totals(sampling_strategy=None, length=10) == [10]
    two, _ = toy([80, 10])
    assert ResampledDataset(two, sampling_strategy=0.5).target_counts.tolist() == [80, 40]


def test_shrunken_cells_show_every_record_in_the_end():
    base, _ = toy([100, 10])
    data = ResampledDataset(base, length=20)
    seen = np.concatenate([data.records(e) for e in range(10)])
    assert np.bincount(seen).tolist() == [1] * 100 + [10] * 10


def test_without_balancing_everything_comes_in_its_proportion():
    base = TensorDataset(torch.arange(10.0))  # no labels at all
    data = ResampledDataset(base, sampling_strategy=None, length=25)
    counts = sum(np.bincount(data.records(e), minlength=10) for e in range(2))
    assert len(data) == 25 and counts.tolist() == [5] * 10
    assert data[3] == (torch.tensor(float(data.records(0)[3])),)


def test_any_run_of_slots_holds_the_cells_in_proportion():
    base, _ = toy([900, 90, 10])
    data = ResampledDataset(base, sampling_strategy={0: 900, 1: 450, 2: 150})
    onehot = np.eye(3)[data.labels]
    share = onehot.mean(axis=0)
    for run in (64, 100, 500):
        windows = np.cumsum(np.vstack([np.zeros(3), onehot]), axis=0)
        held = windows[run:] - windows[:-run]
        assert np.abs(held - run * share).max() < 4  # random order: a standard deviation of 4 and more at 64


def test_bootstrap_draws_anew_with_replacement():
    base, y = toy([600, 400])
    plain = ResampledDataset(base, sampling_strategy=None, bootstrap=True, seed=3)
    counts = np.bincount(plain.records(0), minlength=1000)
    assert abs((counts == 0).mean() - np.exp(-1)) < 4 * 0.01  # Efron: the share that is left out
    assert (plain.records(0) != plain.records(1)).mean() > 0.99
    assert y[plain.records(0)].sum() != y[plain.records(1)].sum()  # classes are drawn too
    many = np.concatenate([plain.records(e) for e in range(60)])
    assert stats.chisquare(np.bincount(many, minlength=1000)).pvalue > 1e-3
    plain.set_epoch(1)
    assert np.array_equal(plain.labels, y[plain.records(1)])
    cells = ResampledDataset(base, bootstrap=True)
    for epoch in range(3):
        assert np.bincount(y[cells.records(epoch)]).tolist() == [600, 600]
        assert np.array_equal(y[cells.records(epoch)], cells.labels)


def test_repeats_are_perturbed_differently_inside_and_outside():
    base, _ = toy([6, 2])
    for data in (
        PerturbedDataset(ResampledDataset(base), Shift()),
        ResampledDataset(PerturbedDataset(base, Shift())),
        PerturbedDataset(ResampledDataset(base, bootstrap=True), Shift()),
        PerturbedDataset(ResampledDataset(Subset(base, [0, 0, 1, 2, 2, 2, 3, 6, 7])), Shift()),
        ResampledDataset(PerturbedDataset(base, Shift(), copies=2, keep_originals=False), bootstrap=True),
    ):
        values = np.array([[float(data.at(i, e)[0]) for i in range(len(data))] for e in range(2)])
        # Each value is its record's number and an uniform number: none comes twice.
        assert len(np.unique(values)) == values.size
        assert np.array_equal(np.floor(values[0]).astype(int) >= 6, data.labels == 1)


def test_loaders_subsets_and_concatenations():
    base, _ = toy([30, 6])
    data = ResampledDataset(Subset(ConcatDataset([base, base]), list(range(10, 72))))
    data.set_epoch(2)
    batch = torch.cat([y for _, y in DataLoader(data, batch_size=7, shuffle=True)])
    assert torch.bincount(batch).tolist() == [50, 50]
    nested = ResampledDataset(Subset(data, range(0, 100, 2)), sampling_strategy="x2")
    assert len(nested) == 100 and nested.at(5, 3)[0] == nested.at(5, 3)[0]


def test_ranges_of_a_number_are_balanced():
    values = np.random.default_rng(0).exponential(size=500).astype(np.float32)
    base = TensorDataset(torch.arange(500.0), torch.from_numpy(values))
    data = ResampledDataset(base, by="target_bins")
    assert data.target_counts.nunique() == 1 and data.labels_vary
    edges = np.array([interval.right for interval in data.target_counts.index])
    bins = np.searchsorted(edges, values[data.records(2)])
    assert np.bincount(bins).tolist() == data.target_counts.tolist()
    data.set_epoch(2)
    assert np.array_equal(data.labels, values[data.records(2)]) and data[3][1] == data.labels[3]


def test_descriptions():
    base, y = toy([5, 2])
    data = ResampledDataset(PerturbedDataset(base, Shift()), seed=9)
    told = data.describe(3, epoch=1)
    assert told["cell"] == y[told["record"]] == data.labels[3]
    assert told["base_index"] == told["record"] and told["of"]["kind"] == "perturbed"
    shown = told["record"] + told["of"]["parameters"]["shift"]
    assert float(data.at(3, 1)[0]) == pytest.approx(shown)


def test_a_million_slots_are_quick_and_small():
    rng = np.random.default_rng(0)
    y = rng.choice(5, 10_000, p=[0.6, 0.3, 0.08, 0.015, 0.005])
    g = rng.choice(["f", "m"], 10_000, p=[0.8, 0.2])
    base = TensorDataset(torch.zeros(10_000, 1), torch.from_numpy(y))
    start = time.process_time()
    data = ResampledDataset(base, by="class+group", groups=g, length=1_000_000)
    built = time.process_time() - start
    start = time.process_time()
    for i in range(0, 1_000_000, 50):
        data.slot(i, 3)
    assert built < 0.2 and (time.process_time() - start) / 20_000 < 5e-6
    counts = pd.crosstab(data.labels, data.groups).to_numpy()
    assert (counts == 100_000).all()
    kept = [v for v in vars(data).values() if isinstance(v, np.ndarray) and v is not data._base_groups]
    assert sum(v.nbytes for v in kept) < 10_000 * 16 + 1000


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"labels": [0, 1]}, DataError, r"one value an item \(6\)"),
        ({"labels": [0, 0, 0, 0, 1, np.nan]}, DataError, "none for items 5"),
        ({"labels": [0] * 6}, DataError, "at least two cells"),
        ({"by": "group"}, DataError, "groups must be given"),
        ({"by": "color"}, ParameterError, "by must be"),
        ({"sampling_strategy": {7: 10}}, ParameterError, "must have rows in the data"),
        ({"sampling_strategy": {0: 2.5}}, ParameterError, "whole number of rows"),
        ({"sampling_strategy": {0: "2.5x"}}, ParameterError, "'x2.5'"),
        ({"sampling_strategy": {0: 0, 1: 0}}, ParameterError, "at least 1 slot"),
        ({"sampling_strategy": "most"}, ParameterError, "'not majority'"),
        ({"sampling_strategy": lambda cells: 3}, ParameterError, "must return a mapping"),
        ({"length": 0}, ParameterError, "length"),
        ({"seed": -1}, ParameterError, "seed"),
        ({"groups": ["f"] * 5, "by": "group"}, DataError, r"one entry an item \(6\)"),
    ],
)
def test_bad_input_gets_a_sentence(options, error, words):
    base, _ = toy([4, 2])
    with pytest.raises(error, match=words):
        ResampledDataset(base, **options)


def test_datasets_that_cannot_serve():
    plain = ResampledDataset(toy([8, 4])[0], sampling_strategy=None, bootstrap=True)
    for wrap in (
        ResampledDataset,
        lambda base: PerturbedDataset(Subset(base, range(6)), {0: Shift(), 1: None}),
    ):
        with pytest.raises(ParameterError, match="keep their labels; given a ResampledDataset"):
            wrap(plain)
    with pytest.raises(DataError, match="at least one item"):
        ResampledDataset(TensorDataset(torch.zeros(0, 1), torch.zeros(0)))
    with pytest.raises(DataError, match="labels must be found"):
        ResampledDataset(TensorDataset(torch.zeros(4, 1)))
    base, _ = toy([4, 4])
    with pytest.warns(AugsynthWarning, match="no row"):
        ResampledDataset(base, by="class+group", groups=["f"] * 4 + ["f", "m", "f", "m"])
