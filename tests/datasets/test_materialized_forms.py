"""Named tuples, tuples and empty mappings come back from disk as they were."""

import collections
import pickle
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from augsynth.core.errors import DataError
from augsynth.datasets import MaterializedDataset, PerturbedDataset
from augsynth.datasets.fields import Layout, layout_of
from augsynth.datasets.materialize import materialize
from augsynth.perturb import Brightness, ResizedCrop

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
TENSOR = torch.from_numpy(PICTURE.transpose(2, 0, 1).copy())


class Item(NamedTuple):
    image: object
    label: int


Triple = collections.namedtuple("Triple", ["x", "target", "note"])  # noqa: PYI024

FORMS = {
    "named": Item(TENSOR, 3),
    "named with a mapping": Triple(PICTURE, {"area": 2.5, "more": {}}, "road"),
    "empty": (TENSOR, {}),
    "empty between": (TENSOR, {}, 4),
    "empty within": {"image": TENSOR, "meta": {}, "label": 1, "inner": {"a": 1, "b": {}, "c": 2}},
    "tuple within": (TENSOR, 1, (1, 2, 3)),
    "list within": [TENSOR, 1, [1, 2, 3]],
    "named within": Item(TENSOR, 1)._replace(label={"place": Triple(1, 2, 3)}),
    "two pictures and a number": (PICTURE, PICTURE, 2),
    "two pictures and a number, named": Triple(PICTURE, PICTURE, 2),
}


def same(a, b):
    if isinstance(a, (np.ndarray, torch.Tensor)):
        return type(a) is type(b) and a.dtype == b.dtype and bool((a == b).all())
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (tuple, list)):
        kinds = type(a).__name__ == type(b).__name__ and getattr(a, "_fields", 0) == getattr(b, "_fields", 0)
        return kinds and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("form", FORMS)
def test_forms_come_back(tmp_path, form):
    data = PerturbedDataset([FORMS[form]] * 3, Brightness(), copies=1, keep_originals=True)
    again = MaterializedDataset(materialize(data, tmp_path / "set", shard_size=4).folder)
    assert all(same(data.at(i), again[i]) for i in range(6))
    assert same(pickle.loads(pickle.dumps(again[4])), again[4])
    before = (tmp_path / "set" / "manifest.json").read_bytes()
    materialize(data, tmp_path / "set", shard_size=4)  # finds the set whole
    assert (tmp_path / "set" / "manifest.json").read_bytes() == before


def test_named_tuples_go_through_workers(tmp_path):
    data = materialize([Item(TENSOR, k) for k in range(4)], tmp_path / "set")
    loader = DataLoader(MaterializedDataset(data.folder), batch_size=2, num_workers=1)
    batches = list(loader)
    assert type(batches[0]).__name__ == "Item" and batches[1].label.tolist() == [2, 3]
    assert torch.equal(batches[0].image, torch.stack([TENSOR, TENSOR]))


def test_other_items_keep_the_manifest_that_they_had():
    told = layout_of((TENSOR, 1), where="here").to_dict()
    assert set(told) == {"form", "fields", "modality", "x", "label", "rate"}
    assert Layout.from_dict(told) == layout_of((TENSOR, 1), where="here")


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([(TENSOR, {}), (TENSOR,)], "differs in"),
        ([(TENSOR, {}), (TENSOR, 5)], "differs in"),
        ([(TENSOR, {}), (TENSOR, {"a": 1})], "differs in"),
        ([(TENSOR, {"a": 1}), (TENSOR, {})], "differs in"),
        ([Item(TENSOR, 1), (TENSOR, 1)], "tuple at item 1, and Item at item 0"),
        ([(TENSOR, 1), Item(TENSOR, 1)], "Item at item 1, and no named tuple at item 0"),
    ],
)
def test_items_of_two_forms(tmp_path, items, text):
    with pytest.raises(DataError, match=f"all items must have one form.*{text}"):
        materialize(items, tmp_path / "set", format="npz")


def test_a_hostile_manifest_makes_no_class():
    layout = layout_of(Item(TENSOR, 1), where="here")
    told = layout.to_dict() | {"names": ["image", "__class__"]}
    with pytest.raises(DataError, match="names for its fields"):
        Layout.from_dict(told).rebuild({"images": 1, "labels": 2})


def test_empty_lists_are_of_the_type_of_the_others(tmp_path):
    items = [(TENSOR, {"labels": [1, 2]}), (TENSOR, {"labels": []}), (TENSOR, {"labels": [3]})]
    again = MaterializedDataset(materialize(items, tmp_path / "set").folder)
    assert [again[i][1]["labels"] for i in range(3)] == [[1, 2], [], [3]]


def test_tuples_of_other_names_are_another_form(tmp_path):
    other = collections.namedtuple("Other", ["a", "b", "c"])  # noqa: PYI024
    with pytest.raises(DataError, match="one form .'item.2' in item 0: tuple.*Other at item 1"):
        materialize([(TENSOR, 1, Triple(1, 2, 3)), (TENSOR, 1, other(1, 2, 3))], tmp_path / "set")


def test_boxes_of_whole_numbers_are_written_beside_their_originals(tmp_path):
    base = [(PICTURE, {"boxes": [[0, 0, 3, 3], [2, 1, 6, 5]], "labels": [1, 2], "keypoints": [[[1, 2, 1]]]})]
    data = PerturbedDataset(base * 4, ResizedCrop((0.1, 0.4)), copies=4, keep_originals=True)
    again = MaterializedDataset(materialize(data, tmp_path / "set").folder)
    assert all(same(data.at(i), again[i]) for i in range(len(data)))
    assert {len(again[i][1]["labels"]) for i in range(len(data))} >= {0, 1, 2}
