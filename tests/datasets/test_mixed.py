"""Mixed datasets and the mixing collate: partners, soft labels, boxes, forms of items."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

from augsynth.core.errors import DataError, InputTypeError, ParameterError
from augsynth.datasets import MixCollate, MixedDataset, PerturbedDataset, ResampledDataset
from augsynth.perturb.base import ParametricPerturbation
from augsynth.testing import check_deterministic


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


def one_hots(n, n_classes=None):
    """Record k is the k-th unit vector, so a mixture tells its partner and weight."""
    return TensorDataset(torch.eye(n, dtype=torch.float64), torch.arange(n) % (n_classes or n))


def pictures(n, size=(3, 8, 8)):
    values = torch.arange(n, dtype=torch.float32).reshape(-1, *[1] * len(size)) * torch.ones(size)
    return TensorDataset(values, torch.arange(n))


def test_the_description_says_what_the_item_is():
    data = MixedDataset(one_hots(12), alpha=0.5, seed=3)
    for i in range(12):
        x, soft = data.at(i, 2)
        told = data.describe(i, 2)
        expected = np.zeros(12)
        expected[i] += told["weight"]
        expected[told["partner"]] += 1 - told["weight"]
        np.testing.assert_allclose(x.numpy(), expected, atol=1e-12)
        np.testing.assert_allclose(soft.numpy(), expected, atol=1e-6)
        assert (
            told["partner"] != i and told["method"] == "mixup" and told["partner_record"] == told["partner"]
        )
        assert soft.dtype == torch.float32 and float(soft.sum()) == pytest.approx(1)


def test_partners_are_all_others_alike_and_weights_beta():
    n, epochs = 10, 300
    data = MixedDataset(one_hots(n), alpha=0.4)
    told = [data.describe(i, e) for e in range(epochs) for i in range(n)]
    pairs = np.zeros((n, n))
    for row in told:
        pairs[row["index"], row["partner"]] += 1
    assert (np.diag(pairs) == 0).all()
    off = pairs[~np.eye(n, dtype=bool)]
    assert stats.chisquare(off).pvalue > 1e-3
    weights = [row["weight"] for row in told]
    assert stats.kstest(weights, stats.beta(0.4, 0.4).cdf).pvalue > 1e-3


def test_cutmix_counts_the_pixels():
    data = MixedDataset(pictures(20, (3, 12, 16)), "cutmix", seed=1)
    for i in range(20):
        x, soft = data.at(i, 0)
        shares = np.bincount(x.numpy().ravel().astype(int), minlength=20) / x.numel()
        np.testing.assert_allclose(soft.numpy(), shares, atol=1e-6)
        told = data.describe(i, 0)
        left, top, right, bottom = told["box"]
        assert (x[:, top:bottom, left:right] == told["partner"]).all()
        assert told["weight"] == pytest.approx(1 - (right - left) * (bottom - top) / (12 * 16))


@pytest.mark.parametrize("method", ["mixup", "cutmix", "cutmixup"])
def test_items_are_functions_of_seed_epoch_and_index(method):
    data = MixedDataset(pictures(30), method, p=0.7, seed=5)
    one = [data.at(i, 3) for i in range(30)]
    order = np.random.default_rng(0).permutation(30)
    together = data.at_many(order.tolist(), 3)
    for k, i in enumerate(order):
        assert torch.equal(together[k][0], one[i][0]) and torch.equal(together[k][1], one[i][1])
    other = [
        MixedDataset(pictures(30), method, p=0.7, seed=s).at(i, e)
        for s, e in ((5, 4), (6, 3))
        for i in range(30)
    ]
    assert sum(torch.equal(a[0], b[0]) for a, b in zip(one + one, other, strict=True)) < 20
    told = [data.describe(i, 3)["method"] for i in range(30)]
    assert set(told) <= {"none", "mixup", "cutmix"} and (method in told or method == "cutmixup")
    for (x, soft), kind, i in zip(one, told, range(30), strict=True):
        if kind == "none":
            assert (x == i).all() and soft[i] == 1


def test_labels_in_and_soft_labels_out():
    x = torch.eye(6)
    texts = Items([(row, label) for row, label in zip(x, "bababc", strict=True)])
    data = MixedDataset(texts)
    assert data.n_classes == 3 and data.classes == ["a", "b", "c"] and data.labels.tolist() == list("bababc")
    weight, partner = (data.describe(0)[k] for k in ("weight", "partner"))
    expected = np.zeros(3)
    expected["abc".index("b")] += weight
    expected["abc".index("bababc"[partner])] += 1 - weight
    np.testing.assert_allclose(data.at(0)[1].numpy(), expected, atol=1e-6)
    subset = Subset(one_hots(8), [0, 1, 2])
    assert MixedDataset(subset).at(0)[1].shape == (3,) and MixedDataset(subset, n_classes=8).at(0)[
        1
    ].shape == (8,)
    given = MixedDataset(Items(list(x)), labels=[0, 1, 0, 1, 0, 1])  # items without labels
    assert given.at(2)[1].shape == (2,)
    soft = MixedDataset(TensorDataset(x, torch.full((6, 2), 0.5)), n_classes=2)
    assert soft.at(1)[1].tolist() == [0.5, 0.5]
    numbers = MixedDataset(TensorDataset(x, torch.arange(6.0)))
    told = numbers.describe(4)
    assert float(numbers.at(4)[1]) == pytest.approx(
        4 * told["weight"] + told["partner"] * (1 - told["weight"])
    )


def test_forms_of_items_are_kept():
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    pil = MixedDataset(Items([(Image.fromarray(a), k % 2) for k, a in enumerate(raw)]), seed=1)
    picture, soft = pil.at(0)
    told = pil.describe(0)
    exact = told["weight"] * raw[0].astype(float) + (1 - told["weight"]) * raw[told["partner"]]
    assert isinstance(picture, Image.Image) and np.abs(np.asarray(picture) - exact).max() <= 0.5 + 1e-4
    mapped = MixedDataset(
        Items([{"image": a, "label": k % 2, "name": str(k)} for k, a in enumerate(raw)])
    ).at(2)
    assert mapped["name"] == "2" and mapped["image"].dtype == np.uint8 and mapped["label"].shape == (2,)
    clips = [(torch.randn(1, 800), 8000, k % 3, "speaker") for k in range(4)]
    clip, rate, label, who = MixedDataset(Items(clips), "cutmix").at(1)
    assert clip.shape == (1, 800) and rate == 8000 and label.shape == (3,) and who == "speaker"


def test_wrappers_nest_in_any_order():
    base = TensorDataset(torch.rand(40, 3, 8, 8), torch.arange(40) % 2)
    inner = ResampledDataset(PerturbedDataset(base, Shift(), copies=2), sampling_strategy={0: 50})
    data = MixedDataset(inner, "cutmixup", seed=2)
    twice = MixedDataset(Subset(data, range(60)), n_classes=2)
    assert len(data) == 90 and np.array_equal(data.labels, inner.labels) and len(twice.labels) == 60
    # The two mixers of one seed do not draw alike.
    alike = [data.describe(i, 1)["partner"] % 60 == twice.describe(i, 1)["partner"] for i in range(60)]
    assert np.mean(alike) < 0.2
    x, soft = twice.at(7, 1)
    assert float(soft.sum()) == pytest.approx(1) and torch.equal(twice.at(7, 1)[0], x)
    outer = PerturbedDataset(data, Shift())
    assert torch.equal(outer.at(5, 1)[1], data.at(5, 1)[1])
    balanced = ResampledDataset(data, length=10)
    assert np.bincount(balanced.labels).tolist() == [5, 5] and balanced.at(0, 3)[1].shape == (2,)


def test_forked_and_spawned_workers_give_the_same():
    base = TensorDataset(torch.rand(24, 3, 8, 8), torch.arange(24) % 2)
    data = MixedDataset(ResampledDataset(PerturbedDataset(base, Shift()), length=30), "cutmixup")
    here = [data.at_many(range(30), e) for e in range(2)]
    for context in ("fork", "spawn"):
        fresh = MixedDataset(ResampledDataset(PerturbedDataset(base, Shift()), length=30), "cutmixup")
        loader = DataLoader(
            fresh, batch_size=4, num_workers=1, multiprocessing_context=context, persistent_workers=True
        )
        for epoch in range(2):  # nobody sets the epoch: it is counted
            x, soft = (torch.cat(part) for part in zip(*loader, strict=True))
            assert torch.equal(x, torch.stack([item[0] for item in here[epoch]]))
            assert torch.equal(soft, torch.stack([item[1] for item in here[epoch]]))
        del loader


def test_the_shipped_check_finds_nothing():
    base = TensorDataset(torch.rand(20, 3, 8, 8), torch.arange(20) % 2)
    balanced = ResampledDataset(PerturbedDataset(base, Shift()), sampling_strategy={0: 17})
    for data in (
        MixedDataset(Subset(balanced, range(25)), n_classes=2),
        ResampledDataset(base, bootstrap=True),
    ):
        check_deterministic(data, num_workers=(0, 1), start_methods=("fork",), items=8)


def test_collate_mixes_batches_the_same_in_any_worker():
    base = one_hots(24)
    plain = MixCollate("mixup", n_classes=24, seed=1)
    passes = []
    for workers in (0, 2):
        loader = DataLoader(
            base, batch_size=6, num_workers=workers, collate_fn=MixCollate(n_classes=24, seed=1)
        )
        passes.append([[x for x, _ in loader] for _ in range(2)])
    assert all(torch.equal(a, b) for e in range(2) for a, b in zip(passes[0][e], passes[1][e], strict=True))
    assert not torch.equal(passes[0][0][0], passes[0][1][0])  # the second pass differs
    items = [base[i] for i in range(6)]
    first, second = plain(items), plain(items)
    plain.set_epoch(0)
    assert torch.equal(plain(items)[0], first[0]) and not torch.equal(first[0], second[0])
    assert torch.allclose(first[0][:, :24].float(), first[1]) and first[1].dtype == torch.float32
    mapping = MixCollate("cutmix", n_classes=2)([{"image": torch.rand(3, 8, 8), "label": k} for k in (0, 1)])
    assert mapping["label"].shape == (2, 2)
    clips, rates, labels = MixCollate(n_classes=3)([(torch.randn(1, 400), 8000, k) for k in (0, 2)])
    assert clips.shape == (2, 1, 400) and rates.tolist() == [8000] * 2 and labels.shape == (2, 3)
    with pytest.raises(InputTypeError, match="samples and their labels"):
        MixCollate(n_classes=3)([torch.zeros(3)] * 2)


@pytest.mark.parametrize(
    ("items", "options", "error", "words"),
    [
        ([(torch.zeros(1, 300), 0), (torch.zeros(1, 200), 1)], {}, DataError, r"\(1, 300\) at item \d and"),
        ([("a text", 0), ("another", 1)], {}, InputTypeError, "Texts"),
        ([(torch.zeros(3), 0)] * 1, {}, DataError, "at least two items"),
        ([(torch.zeros(3), 0), (torch.zeros(3), 1)], {"method": "mix"}, ParameterError, "'cutmixup'"),
        ([(torch.zeros(3), 0), (torch.zeros(3), 1)], {"alpha": -1}, ParameterError, "alpha"),
        ([(torch.zeros(3), 0), (torch.zeros(3), 5)], {"n_classes": 3}, DataError, "at least 6"),
        ([torch.zeros(3), torch.zeros(3)], {}, DataError, "labels must be found"),
        ([(torch.tensor([np.nan]), 0), (torch.zeros(1), 1)], {}, DataError, "sample 0"),
        ([{"image": torch.zeros(3, 4, 4), "label": k, "mask": torch.zeros(4, 4)} for k in (0, 1)], {}, InputTypeError, "mask"),
        ([(3, 0), (4, 1)], {}, InputTypeError, "given int"),
    ],
)  # fmt: skip
def test_bad_input_gets_a_sentence(items, options, error, words):
    with pytest.raises(error, match=words):
        MixedDataset(Items(items), **options).at(0)
