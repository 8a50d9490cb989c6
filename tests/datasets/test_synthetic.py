"""Synthetic datasets: labels and counts exactly, forms of items, draws ahead and online."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.frozen import FrozenEstimator
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from augsynth import BootstrapGenerator, GaussianMixtureGenerator, SmoteGenerator
from augsynth.core.errors import AugsynthError, ConditionError, DataError, InputTypeError, ParameterError
from augsynth.datasets import MixedDataset, PerturbedDataset, ResampledDataset, SyntheticDataset
from augsynth.perturb.base import ParametricPerturbation


class Shift(ParametricPerturbation):
    """Add one uniform number, so that every draw shows."""

    def parameters(self, u):
        return {"shift": u[:, 0]}

    def apply(self, x, params):
        return x + params["shift"]


class Items(Dataset):
    """Any list as a dataset."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def rows(n=40, n_rare=8, seed=0):
    y = np.repeat([0, 1], [n - n_rare, n_rare])
    X = np.random.default_rng(seed).normal(size=(n, 3)) + 10 * y[:, None]
    return X, y


def fitted():
    X, y = rows()
    return GaussianMixtureGenerator().fit(X, y)


def test_labels_are_exactly_those_asked_for():
    generator = fitted()
    asked = SyntheticDataset(generator, y=[1, 0, 0, 1])
    assert asked.labels.tolist() == [1, 0, 0, 1] and [y for _, y in (asked[i] for i in range(4))] == [
        1,
        0,
        0,
        1,
    ]
    for i in range(4):  # classes lie 10 apart: what is drawn is of the class that the label says
        x, y = asked[i]
        assert isinstance(x, torch.Tensor) and x.dtype == torch.float64 and (x.mean() > 5) == (y == 1)
    counted = SyntheticDataset(generator, y={1: 30, 0: 2})
    assert np.bincount(counted.labels).tolist() == [2, 30] and counted.is_synthetic.all()
    free = SyntheticDataset(generator, n=1000)
    rare = free.labels.mean()  # at the fitted frequencies
    assert len(free) == 1000 and abs(rare - 0.2) < 4 * np.sqrt(0.16 / 1000)


def test_groups_can_be_asked_for():
    X, y = rows()
    g = np.where(np.arange(40) % 4 < 3, "f", "m")
    generator = SmoteGenerator().fit(X, y, sensitive_features=g)
    data = SyntheticDataset(generator, y={(0, "m"): 5, (1, "f"): 3})
    assert data.labels.tolist() == [0] * 5 + [1] * 3 and data.groups.tolist() == ["m"] * 5 + ["f"] * 3


def test_real_and_synthetic_at_a_ratio():
    X, y = rows()
    base = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    data = SyntheticDataset(fitted(), base=base, ratio=0.5)
    assert len(data) == 60 and data.is_synthetic.tolist() == [False] * 40 + [True] * 20
    assert np.bincount(data.labels[40:]).tolist() == [16, 4]  # each class in its share
    assert all(torch.equal(data[i][0], base[i][0]) for i in range(40))
    for i in (40, 59):
        assert [type(v) for v in data[i]] == [torch.Tensor] * 2 and data[i][1].dtype == torch.int64
        assert int(data[i][1]) == data.labels[i]
    balanced = SyntheticDataset(fitted(), base=base, ratio="auto")
    assert np.bincount(balanced.labels).tolist() == [32, 32]
    totals = SyntheticDataset(fitted(), base=base, ratio={1: 20})
    assert np.bincount(totals.labels).tolist() == [32, 20]
    x, labels = next(iter(DataLoader(balanced, batch_size=64)))
    assert x.shape == (64, 3) and labels.sum() == 32


def test_ahead_is_drawn_once_and_online_in_every_epoch():
    generator = fitted()
    ahead = SyntheticDataset(generator, y={0: 600, 1: 600}, seed=3)
    assert torch.equal(ahead.at(700, 0)[0], ahead.at(700, 5)[0])
    online = SyntheticDataset(generator, y={0: 600, 1: 600}, draw="online", seed=3)
    first, second = (torch.stack([online.at(i, e)[0] for i in range(1200)]) for e in (0, 1))
    assert len(torch.unique(torch.cat([first, second]), dim=0)) == 2400  # nothing comes twice
    other = SyntheticDataset(generator, y={0: 600, 1: 600}, draw="online", seed=3)
    order = np.random.default_rng(0).permutation(1200)
    assert all(torch.equal(other.at(int(i), 1)[0], second[i]) for i in order)
    assert len(other._blocks) <= 6
    loaded = torch.cat([x for x, _ in DataLoader(online, batch_size=100, num_workers=2)])
    assert torch.equal(loaded, first)  # nobody set the epoch: it was 0 in both workers
    assert not hasattr(ahead.generator, "condition_") and online.generator is generator
    copy = pickle.loads(pickle.dumps(online))
    assert torch.equal(copy.at(7, 1)[0], second[7])


def test_descriptions_lead_back_to_the_generator():
    X, y = rows()
    generator = SmoteGenerator().fit(X, y)
    base = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    for draw in ("ahead", "online"):
        data = SyntheticDataset(generator, base=base, ratio=1.0, draw=draw)
        told = data.describe(45, epoch=2)
        again = generator.draw(data._cells[:512], random_state=told["generator_seed"])
        assert np.array_equal(again.rows[told["row"]], data.at(45, 2)[0].numpy())
        assert told["kind"] == "synthetic" and told["generator"] == "SmoteGenerator" and told["record"] == 45
        assert told["source"] == again.source[told["row"]].tolist() and told["label"] == data.labels[45]
        assert data.describe(3)["kind"] == "real"


def test_pictures_look_like_those_of_the_base():
    rng = np.random.default_rng(0)
    grey, y = rng.integers(0, 256, (20, 8, 8), dtype=np.uint8), np.arange(20) % 2
    colour = rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    for stack in (grey, colour):
        generator = BootstrapGenerator().fit(stack, y)
        pil = SyntheticDataset(
            generator,
            base=Items([(Image.fromarray(a), int(k)) for a, k in zip(stack, y, strict=True)]),
            ratio=0.5,
        )
        picture, label = pil[25]
        assert isinstance(picture, Image.Image) and type(label) is int
        assert any((np.asarray(picture) == a).all() for a in stack[y == label])
        chw = stack[:, None] if stack.ndim == 3 else stack.transpose(0, 3, 1, 2)
        floats = torch.from_numpy(np.ascontiguousarray(chw)).float() / 255
        made, label = SyntheticDataset(generator, base=TensorDataset(floats, torch.from_numpy(y)), n=4)[22]
        assert any(torch.equal(made, floats[k]) for k in np.flatnonzero(y == int(label)))
        alone, _ = SyntheticDataset(generator, n=3)[0]
        assert isinstance(alone, np.ndarray) and alone.dtype == np.uint8 and alone.shape == stack.shape[1:]
    mapped = Items([{"image": a, "label": "ab"[k]} for a, k in zip(colour, y, strict=True)])
    made = SyntheticDataset(
        BootstrapGenerator().fit(colour, np.array(list("ab"))[y]), base=mapped, ratio=1.0
    )[30]
    assert set(made) == {"image", "label"} and made["label"] in "ab" and made["image"].shape == (8, 8, 3)


def test_tables_texts_and_transforms():
    frame = pd.DataFrame({"age": [20, 30, 40, 50] * 5, "sex": ["f", "m"] * 10})
    generator = BootstrapGenerator().fit(frame, [0, 1] * 10)
    row, label = SyntheticDataset(generator, n=5)[2]
    assert set(row) == {"age", "sex"} and type(row["age"]) is int and row["sex"] == "fm"[label]
    batch, _ = next(iter(DataLoader(SyntheticDataset(generator, n=5), batch_size=5)))
    assert batch["age"].shape == (5,) and len(batch["sex"]) == 5
    texts = ["one text", "another", "a third one", "more"] * 5
    words = BootstrapGenerator().fit(texts, [0, 1] * 10)
    made = SyntheticDataset(words, base=Items([(t, k % 2) for k, t in enumerate(texts)]), ratio=1.0)
    assert made[30][0] in texts and len(made) == 40
    longer = SyntheticDataset(generator, n=5, transform=lambda row: torch.tensor([row["age"] / 10]))
    assert longer[0][0].shape == (1,)
    bare = SyntheticDataset(
        BootstrapGenerator().fit(rows()[0]), base=TensorDataset(torch.from_numpy(rows()[0])), ratio=2
    )
    assert len(bare) == 120 and bare[100][0].shape == (3,) and len(bare[100]) == 1


def test_it_nests_and_keeps_labels():
    X, y = rows()
    base = Subset(TensorDataset(torch.from_numpy(X), torch.from_numpy(y)), range(5, 40))
    data = SyntheticDataset(
        FrozenEstimator(fitted()), base=PerturbedDataset(base, Shift(), copies=2), ratio=1.0, draw="online"
    )
    assert len(data) == 140 and len({data.slot(i, 0) for i in range(140)}) == 140
    outer = MixedDataset(ResampledDataset(PerturbedDataset(data, Shift()), sampling_strategy={1: 112}))
    assert np.bincount(outer.labels).tolist() == [108, 112]
    x, soft = outer.at(130, 1)
    assert torch.equal(outer.at(130, 1)[0], x) and float(soft.sum()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, ParameterError, "exactly one of n, y"),
        ({"n": 3, "y": [0]}, ParameterError, "given n and y"),
        ({"ratio": 1.0}, ParameterError, "with base"),
        ({"n": 0}, ParameterError, "n must be"),
        ({"y": []}, ParameterError, "at least one item"),
        ({"y": {0: 0}}, ParameterError, "at least one item"),
        ({"y": {0: -2}}, ParameterError, "number of draws of 0"),
        ({"y": {0: 1, (1, "f"): 2}}, ParameterError, "all be"),
        ({"y": {7: 3}}, ConditionError, "7"),
        ({"n": 3, "draw": "later"}, ParameterError, "'ahead' or 'online'"),
    ],
)
def test_bad_input_gets_a_sentence(options, error, words):
    with pytest.raises(error, match=words):
        SyntheticDataset(fitted(), **options)


def test_what_does_not_fit_together_is_said():
    X, y = rows()
    base = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    with pytest.raises(ParameterError, match="SmoteGenerator that is not fitted. Call fit"):
        SyntheticDataset(SmoteGenerator(), n=3)
    with pytest.raises(ParameterError, match="fitted augsynth generator"):
        SyntheticDataset(SmoteGenerator, n=3)
    with pytest.raises(DataError, match="fitted without y. Fit it with y"):
        SyntheticDataset(GaussianMixtureGenerator().fit(X), base=base, ratio=1.0)
    with pytest.raises(AugsynthError, match="without y"):
        SyntheticDataset(GaussianMixtureGenerator().fit(X), y=[0, 1])
    with pytest.raises(DataError, match=r"look like the base's items; given Tensor \(3,\)"):
        SyntheticDataset(
            fitted(), base=TensorDataset(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])), ratio=1.0
        )
    names = np.array(["a", "b"])[y]
    with pytest.raises(DataError, match="of one type"):
        SyntheticDataset(SmoteGenerator().fit(X, names), base=base, n=3)
    masked = Items([{"image": np.zeros((4, 4)), "label": 0, "mask": np.zeros((4, 4))}] * 3)
    with pytest.raises(InputTypeError, match="'mask'"):
        SyntheticDataset(fitted(), base=masked, n=3)
