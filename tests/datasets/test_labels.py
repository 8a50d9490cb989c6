import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset

from augsynth.core.errors import DataError, InputTypeError
from augsynth.datasets.base import WrappedDataset
from augsynth.datasets.labels import check_map_style, classes_of, find_labels


class Items(Dataset):
    """Pairs without any attribute that holds the labels; counts what is read."""

    def __init__(self, labels):
        self._given, self.read = labels, 0

    def __len__(self):
        return len(self._given)

    def __getitem__(self, i):
        self.read += 1
        return torch.zeros(2), self._given[i]


class Kept(Items):
    """As torchvision's sets: labels in an attribute."""

    def __init__(self, labels, name="targets", kept=None, **more):
        super().__init__(labels)
        setattr(self, name, labels if kept is None else kept)
        for key, value in more.items():
            setattr(self, key, value)


PAIRS = TensorDataset(torch.zeros(4, 2), torch.tensor([3, 1, 3, 2]))


def test_tensors_subsets_and_concatenations():
    assert find_labels(PAIRS).tolist() == [3, 1, 3, 2]
    nested = Subset(Subset(PAIRS, [3, 2, 1]), [0, 2])
    assert find_labels(nested).tolist() == [2, 1]
    both = ConcatDataset([nested, Kept([7, 8])])
    assert find_labels(both).tolist() == [2, 1, 7, 8]
    assert find_labels(Subset(both, [3, 0])).tolist() == [8, 2]


@pytest.mark.parametrize("kept", [[5, 6], torch.tensor([5, 6]), np.array([5, 6])])
@pytest.mark.parametrize("name", ["targets", "labels", "_labels"])
def test_attributes_are_used_and_items_left_unread(kept, name):
    data = Kept([5, 6], name, kept)
    assert find_labels(data).tolist() == [5, 6]
    assert data.read == 1  # the first item, to see that the attribute tells the truth


def test_samples_of_an_image_folder():
    assert find_labels(Kept([1, 0], "samples", [("b.png", 1), ("a.png", 0)])).tolist() == [1, 0]


def test_a_target_transform_is_applied():
    data = Kept(["one", "two"], kept=[1, 2], target_transform={1: "one", 2: "two"}.get)
    assert find_labels(data).tolist() == ["one", "two"]


def test_an_attribute_that_lies_gets_a_sentence():
    with pytest.raises(DataError, match=r"must be those of the items; given 0 there and 1 in item 0. Pass"):
        find_labels(Kept([1, 0], kept=[0, 1]))


def test_as_a_last_resort_items_are_read():
    data = Items(["a", "b", "a"])
    assert find_labels(data).tolist() == ["a", "b", "a"] and data.read == 3


def test_given_labels_win():
    assert find_labels(PAIRS, pd.Series(["x", "y", "x", "y"])).tolist() == ["x", "y", "x", "y"]
    mixed = find_labels(PAIRS, [1, "1", 1, "1"])
    assert mixed[0] == 1 and mixed[1] == "1"


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([1, 2], r"labels must hold one value an item \(4\); given shape \(2,\)"),
        ([[1], [2], [3], [4]], r"labels must be single values; given lists"),
        ([1.0, np.nan, 2.0, np.nan], r"must have one of the labels; given none for items 1, 3"),
        ([1, None, 2, 3], r"none for items 1"),
    ],
)
def test_bad_labels(labels, sentence):
    with pytest.raises(DataError, match=sentence):
        find_labels(PAIRS, labels)


def test_labels_that_cannot_be_found():
    with pytest.raises(DataError, match=r"labels must be found .*; given none at item 0. Pass labels="):
        find_labels([torch.zeros(2)] * 3)
    with pytest.raises(DataError, match=r"labels must be found .*; given Tensor at item 0"):
        find_labels(TensorDataset(torch.zeros(3, 2), torch.zeros(3, 5)))


def test_an_item_that_cannot_be_read_is_named():
    class Broken(Items):
        def __getitem__(self, i):
            if i == 2:
                raise OSError("cannot identify image file")
            return super().__getitem__(i)

    with pytest.raises(DataError, match=r"readable; given OSError at item 2 \(cannot identify image file\)"):
        find_labels(Broken([0, 1, 2]))


def test_only_map_style_sets_with_items():
    class Stream(IterableDataset):
        def __iter__(self):
            yield 1

    for bad in (Stream(), 3, iter([])):
        with pytest.raises(InputTypeError, match="map-style"):
            check_map_style(bad, "PerturbedDataset")
    with pytest.raises(DataError, match="at least one item"):
        check_map_style(TensorDataset(torch.zeros(0, 2)), "PerturbedDataset")


def test_class_names_are_found_through_wrappers():
    class Plain(WrappedDataset):
        def _at(self, i, epoch):
            return self.base[i]

    data = Kept([0, 1], classes=["cat", "dog"])
    assert classes_of(Subset(Plain(ConcatDataset([data])), [0])) == ["cat", "dog"]
    assert classes_of(PAIRS) is None
