"""Items are functions of seed, epoch and index, over workers, ranks and resume points; and the check that says so."""

import ctypes
import multiprocessing
import random

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset, get_worker_info
from torchvision.transforms import v2

from augsynth.datasets import PerturbedDataset
from augsynth.perturb import Compose, ScaledJitter
from augsynth.perturb.albumentations_tree import library
from augsynth.testing import check_deterministic
from augsynth.testing.comparing import digest

A = library()
PICTURES = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
FORK = {"start_methods": ("fork",), "items": 8}


class Pictures(Dataset):
    """Pictures, through a transform if there is one."""

    def __init__(self, transform=None):
        self.transform = transform
        self.targets = [i % 3 for i in range(len(PICTURES))]

    def __len__(self):
        return len(PICTURES)

    def __getitem__(self, i):
        x = PICTURES[i]
        return (x if self.transform is None else self.transform(x)), self.targets[i]


class Bare:
    def __init__(self, transform):
        self.transform = transform

    def __call__(self, x):
        return self.transform(image=x)["image"]


def through_torchvision(x):
    return v2.ColorJitter(0.5)(torch.from_numpy(x).permute(2, 0, 1))


def by_worker(x):
    info = get_worker_info()
    return x + (0 if info is None else info.id + 1)


def noisy(x):
    return x + random.gauss(0, 1)


class Remembering:
    before = 0

    def __call__(self, x):
        x, self.before = x + self.before, x[0, 0, 0]
        return x


class Epochs(Pictures):
    """Edits by epoch, which workers hear of only where it is in shared memory."""

    def __init__(self, shared):
        super().__init__()
        self.now = multiprocessing.RawValue(ctypes.c_int, 0) if shared else Plain()

    def set_epoch(self, epoch):
        self.now.value = epoch

    def __getitem__(self, i):
        return PICTURES[i] + np.random.default_rng([self.now.value, i]).integers(0, 9, dtype=np.uint8), i


class Plain:
    value = 0


def wrapped(**options):
    steps = [A.HorizontalFlip(p=0.5), A.Affine(translate_percent=(-0.2, 0.2), p=1)]
    policy = {
        0: Compose([ScaledJitterOfPictures()]),
        1: A.Compose([*steps, A.RandomBrightnessContrast(p=0.8)]),
        2: v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.3, 0.3)]),
    }
    return PerturbedDataset(Pictures(), policy, copies=2, keep_originals=True, seed=5, **options)


class ScaledJitterOfPictures(ScaledJitter):
    """Noise of ours on pictures."""

    per_row = False
    learns = False

    def fit(self, X, y=None):
        return self

    def draw(self, x, rng):
        return {"noise": rng.integers(0, 9, x.shape, dtype=np.uint8)}

    def apply(self, x, params):
        return x + params["noise"]


# -- the wrapper -----------------------------------------------------------------------------


@pytest.mark.parametrize("stratified", [False, True])
def test_wrapped_policies_of_three_libraries_are_deterministic(stratified):
    check_deterministic(wrapped(stratified=stratified), num_workers=(0, 1, 2), **FORK)


def test_spawned_workers_give_the_same_items_too():
    check_deterministic(wrapped(), num_workers=(1,), start_methods=("spawn",), persistent=(True,))


def test_subsets_and_concatenations_of_wrappers_pass():
    for dataset in (Subset(wrapped(), [3, 30, 55]), ConcatDataset([wrapped(), Subset(wrapped(), [1, 40])])):
        check_deterministic(dataset, num_workers=(0, 2), persistent=(True,), **FORK)


def test_ranks_and_resumed_passes_read_what_one_process_reads():
    alone = wrapped()
    known = [[digest(alone.at(i, epoch)) for i in range(len(alone))] for epoch in range(3)]
    wrong = read = 0
    for workers, world in [(0, 1), (0, 2), (2, 1), (2, 2)]:
        for rank in range(world):
            dataset = wrapped()
            for epoch, start in [(0, 0), (2, 7), (1, 20)]:
                dataset.set_epoch(epoch)
                order = (
                    np.random.default_rng([1, epoch]).permutation(len(dataset))[rank::world][start:].tolist()
                )
                loader = DataLoader(
                    dataset, batch_size=5, sampler=order, num_workers=workers, collate_fn=list,
                    multiprocessing_context="fork" if workers else None,
                )  # fmt: skip
                items = [item for batch in loader for item in batch]
                assert len(items) == len(order)
                wrong += sum(digest(x) != known[epoch][i] for i, x in zip(order, items, strict=True))
                read += len(order)
    assert read > 500 and wrong == 0


# -- the check -------------------------------------------------------------------------------


def test_sets_without_randomness_pass():
    check_deterministic(TensorDataset(torch.arange(5)), num_workers=(0, 2), **FORK)
    check_deterministic(Pictures(), num_workers=(0, 2), **FORK)
    check_deterministic(Epochs(shared=True), num_workers=(0, 2), **FORK)


@pytest.mark.parametrize(
    ("dataset", "text"),
    [
        (Pictures(Bare(A.Compose([A.RandomBrightnessContrast(p=1)]))),
         "item 0 differs when it is read again .* it holds a generator of its own .* Wrap the set"),
        (Pictures(through_torchvision),
         "item 0 differs when it is read again .* draws from the global generator of torch, .* PerturbedDataset"),
        (Pictures(noisy), "draws from the global generator of random,"),
        (Pictures(by_worker), r"item 0 differs with num_workers=1 \(fork\) .*; 8 of 8 do. .* on the process"),
        (Pictures(Remembering()), "differs when it is read again"),
        (Epochs(shared=False),
         r"of epoch 1 differs with num_workers=1 \(fork, persistent\) .* did not reach the running workers"),
    ],
)  # fmt: skip
def test_others_fail_with_a_sentence(dataset, text):
    with pytest.raises(AssertionError, match=text):
        check_deterministic(dataset, num_workers=(0, 1), **FORK)


def test_a_wrapper_is_told_of_the_randomness_of_its_base():
    dataset = PerturbedDataset(Pictures(noisy), A.HorizontalFlip(p=0.5))
    with pytest.raises(AssertionError, match="global generator of random"):
        check_deterministic(dataset, num_workers=(0,))


def test_lambdas_and_descriptions_and_empty_sets():
    with pytest.raises(AssertionError, match=r"a lambda at .*\(at Pictures.transform\)"):
        check_deterministic(Pictures(lambda x: x), num_workers=(1,), start_methods=("spawn",))
    told = wrapped()
    told.describe = lambda i: {"x": np.zeros(3)}
    with pytest.raises(AssertionError, match=r"describe\(0\) must be what JSON can hold"):
        check_deterministic(told, num_workers=(0,))
    with pytest.raises(AssertionError, match="must have items"):
        check_deterministic(Subset(wrapped(), []))


def test_the_epoch_is_left_as_it_was():
    dataset = wrapped()
    dataset.set_epoch(4)
    check_deterministic(dataset, num_workers=(0,), items=3)
    assert dataset.epoch == 4
    dataset.set_epoch(None)
    check_deterministic(dataset, num_workers=(0,), items=3)
    assert dataset.epoch is None
