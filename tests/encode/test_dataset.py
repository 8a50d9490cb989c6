"""Datasets of images: read as they are, told in one sentence when they cannot be."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy import sparse
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset
from torchvision.datasets import FakeData, ImageFolder
from torchvision.transforms import PILToTensor

from augsynth.core.errors import DataError, InputTypeError
from augsynth.encode.dataset import is_dataset, read_dataset

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)


class Items(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        item = self.items[i]
        if isinstance(item, Exception):
            raise item
        return item


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for i, pixels in enumerate(PIXELS):
        place = root / ("cat", "dog")[i % 2]
        place.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(place / f"{i}.png")
    return root


def test_what_is_a_dataset(folder):
    for yes in (TensorDataset(torch.zeros(3, 4)), ImageFolder(folder), Items([1]), FakeData(3)):
        assert is_dataset(yes)
    noes = [np.zeros(3), [1], (1,), "text", b"b", {"a": 1}, {1}, pd.DataFrame({"a": [1]}), pd.Series([1])]
    for no in [*noes, torch.zeros(3), sparse.csr_matrix((2, 2)), range(3), None, 3, Items, memoryview(b"a")]:
        assert not is_dataset(no)


def test_image_folder_gives_bytes_and_integer_targets_and_names(folder):
    found = read_dataset(ImageFolder(folder))
    assert isinstance(found.images, np.ndarray) and found.images.dtype == np.uint8
    np.testing.assert_array_equal(found.images, PIXELS[[0, 2, 4, 1, 3, 5]])
    assert found.labels.dtype.kind == "i" and found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.classes == ["cat", "dog"]
    tensors = read_dataset(ImageFolder(folder, transform=PILToTensor()))
    assert isinstance(tensors.images, torch.Tensor) and tensors.images.shape == (6, 3, 5, 4)
    np.testing.assert_array_equal(tensors.images.numpy().transpose(0, 2, 3, 1), found.images)


def test_subset_and_concat_keep_order_and_names(folder):
    whole = ImageFolder(folder)
    part = Subset(whole, [4, 0])
    both = ConcatDataset([part, whole])
    assert read_dataset(part).labels.tolist() == [1, 0] and read_dataset(part).classes == ["cat", "dog"]
    found = read_dataset(both)
    assert found.labels.tolist() == [1, 0, 0, 0, 0, 1, 1, 1] and found.classes == ["cat", "dog"]
    np.testing.assert_array_equal(found.images[:2], PIXELS[[3, 0]])


def test_tensors_stay_tensors_of_their_type():
    images, labels = torch.rand(4, 1, 3, 3, dtype=torch.float64), torch.tensor([2, 0, 1, 2])
    found = read_dataset(TensorDataset(images, labels))
    assert torch.equal(found.images, images) and found.images.dtype == torch.float64
    assert found.labels.tolist() == [2, 0, 1, 2] and found.classes is None
    assert read_dataset(TensorDataset(images)).labels is None


def test_other_items():
    grey = PIXELS[..., 0]
    bare = read_dataset(Items(list(grey)))
    assert bare.labels is None
    np.testing.assert_array_equal(bare.images, grey)
    named = read_dataset(
        Items([{"image": Image.fromarray(g), "label": "ab"[i % 2]} for i, g in enumerate(grey)])
    )
    np.testing.assert_array_equal(named.images, grey)
    assert named.labels.tolist() == list("ababab")
    partly = read_dataset(Items([(grey[0], 1), (grey[1], None)]))
    assert partly.labels.tolist() == [1, None]
    mixed = read_dataset(Items([(grey[0], np.int64(1)), (grey[1] / 255.0, np.int64(3))]))
    assert mixed.images.dtype == np.float64 and mixed.labels.tolist() == [1, 3]
    palette = read_dataset(Items([Image.fromarray(PIXELS[0]).convert("P")]))
    assert palette.images.shape == (1, 5, 4, 3)


@pytest.mark.parametrize(
    ("items", "error", "told"),
    [
        ([], DataError, "at least one item; given none"),
        ([np.zeros((4, 4)), np.zeros((4, 5)), np.zeros((4, 4)), np.zeros((3, 4))], DataError,
         r"\(4, 4\) at item 0, but \(4, 5\) at item 1, \(3, 4\) at item 3"),
        ([np.zeros((4, 4)), OSError("truncated")], DataError, r"OSError at item 1 \(truncated\)"),
        ([(np.zeros((4, 4)), 1), np.zeros((4, 4))], DataError, "every item or none must have a label"),
        ([("a text", 1)], InputTypeError, "str at item 0"),
        ([(np.array("a"), 1)], InputTypeError, "pixels must be numbers"),
        ([(np.zeros((2, 2)), np.eye(3)[0])], InputTypeError, "argmax"),
        ([{"picture": 1}], InputTypeError, "must have the key 'image'"),
        ([()], InputTypeError, "must hold an image"),
    ],
)  # fmt: skip
def test_bad_datasets_get_one_sentence(items, error, told):
    with pytest.raises(error, match=told):
        read_dataset(Items(items), where="fit")
