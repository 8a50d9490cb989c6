"""Faults that a hostile reader found, each with the case that showed it."""

import albumentations as A
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from augsynth.core.errors import DataError, ParameterError
from augsynth.datasets import MaterializedDataset, PerturbedDataset, ResampledDataset
from augsynth.datasets.labels import find_labels
from augsynth.perturb import Brightness, FlipLeftRight, GaussianNoise, Shift, TimeShift

MASK = np.zeros((24, 32), np.uint8)
MASK[4:12, 5:20] = 200
MASK[9:20, 22:30] = 200
PICTURE = np.repeat(MASK[..., None], 3, axis=2)


def drawn_boxes(picture):
    """Return the bounding box of what is bright."""
    rows, columns = np.nonzero(np.asarray(picture)[..., 0] > 100)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize(
    "transform",
    [
        A.HorizontalFlip(p=0.5),
        A.Compose([A.VerticalFlip(p=0.5), A.RandomBrightnessContrast(0, 0, p=1), A.HorizontalFlip(p=0.5)]),
        A.OneOf([A.HorizontalFlip(p=1), A.Transpose(p=1), A.NoOp(p=1)], p=1),
        A.RandomRotate90(p=1),
    ],
    ids=["flip", "chain", "one_of", "turns"],
)
def test_marks_follow_the_picture_of_albumentations(transform):
    box = [drawn_boxes(PICTURE)]
    base = [{"image": PICTURE, "mask": MASK, "boxes": np.array(box, float)}] * 2
    data = PerturbedDataset(base, transform, copies=12)
    for i in range(24):
        item, again = data.at(i), data.at(i)
        assert np.array_equal(item["mask"], item["image"][..., 0])
        assert np.array_equal(item["mask"], again["mask"]) and np.array_equal(item["boxes"], again["boxes"])
        assert np.allclose(item["boxes"], [drawn_boxes(item["image"])], atol=1e-3)


@pytest.mark.parametrize(
    "transform",
    [
        v2.ColorJitter(0.5),
        v2.RandomAffine(20),
        v2.RandomRotation(30),
        v2.RandomResizedCrop(16),
        v2.RandomErasing(p=1),
        v2.RandomPerspective(p=1),
    ],
    ids=lambda t: type(t).__name__,
)
def test_bare_transforms_of_torchvision_serve(transform):
    base = TensorDataset(
        torch.from_numpy(PICTURE.transpose(2, 0, 1).copy())[None].repeat(4, 1, 1, 1), torch.arange(4)
    )
    data = PerturbedDataset(base, transform, copies=2)
    items = [data.at(i)[0] for i in range(8)]
    assert all(torch.equal(x, data.at(i)[0]) for i, x in enumerate(items))
    assert len({tuple(x.flatten().tolist()) for x in items}) > 4
    repr(data._policies[0])


@pytest.mark.parametrize("kind", ["pil", "array", "tensor", "channel"])
def test_a_mask_beside_its_picture_moves_with_it(kind):
    make = {
        "pil": lambda: (Image.fromarray(PICTURE), Image.fromarray(MASK)),
        "array": lambda: (PICTURE, MASK),
        "tensor": lambda: (torch.from_numpy(PICTURE.transpose(2, 0, 1).copy()), torch.from_numpy(MASK)),
        "channel": lambda: (
            torch.from_numpy(PICTURE.transpose(2, 0, 1).copy()),
            torch.from_numpy(MASK)[None],
        ),
    }[kind]
    picture, mask = PerturbedDataset([make()], FlipLeftRight()).at(0)
    assert type(mask) is type(make()[1])
    assert np.array_equal(np.asarray(mask).reshape(24, 32), MASK[:, ::-1])
    labelled = PerturbedDataset([(*make(), 7)], FlipLeftRight(), labels=[7]).at(0)
    assert labelled[2] == 7 and np.array_equal(np.asarray(labelled[1]).reshape(24, 32), MASK[:, ::-1])


def test_as_many_boxes_as_channels_are_no_channels():
    item = {
        "image": torch.zeros(3, 8, 8),
        "boxes": torch.tensor([[0.0, 0, 2, 2], [3, 3, 5, 5], [7, 0, 8, 1]]),
    }
    made = PerturbedDataset([item], Shift((0.5, 0.5), (0, 0), fill=1.0)).at(0)
    assert made["image"].shape == (3, 8, 8) and made["image"].sum() > 0 and len(made["boxes"]) < 3
    one = {"image": PICTURE, "boxes": np.array([[28.0, 0, 30, 2]]), "image_id": torch.tensor([7])}
    made = PerturbedDataset([one], Shift((0.5, 0.5), (0, 0))).at(0)
    assert len(made["boxes"]) == 0 and made["image_id"].tolist() == [7]


def test_boxes_are_told_the_size_of_a_picture_that_was_cut():
    boxes = tv_tensors.BoundingBoxes(torch.tensor([[5.0, 4, 20, 12]]), format="XYXY", canvas_size=(24, 32))
    item = {"image": torch.from_numpy(PICTURE.transpose(2, 0, 1).copy()), "boxes": boxes}
    made = PerturbedDataset([item], v2.Compose([v2.Resize((12, 16))])).at(0)
    assert tuple(made["boxes"].canvas_size) == (12, 16)


def nothing(x):
    x.sum()


def scribble(x):
    x.putpixel((0, 0), (255, 255, 255))
    return x


def fail(x):
    raise RuntimeError("no luck")


def test_functions_of_the_user():
    base = TensorDataset(torch.zeros(2, 4), torch.zeros(2))
    with pytest.raises(
        DataError, match="Item 1 of the base: nothing: the function must return the edited sample; given none"
    ):
        PerturbedDataset(base, nothing)[1]
    with pytest.raises(DataError, match=r"Item 0 of the base: fail: .*given RuntimeError \(no luck\)"):
        PerturbedDataset(base, fail)[0]
    picture = Image.new("RGB", (8, 8))
    data = PerturbedDataset([(picture, 0)], scribble, keep_originals=True)
    assert np.asarray(data.at(1)[0]).sum() == 765 and np.asarray(data.at(0)[0]).sum() == 0


def test_epochs_of_numpy_are_epochs():
    data = PerturbedDataset([(PICTURE, 0)] * 2, Brightness(0.5))
    for kind in (np.int8, np.int32, np.uint32):
        assert np.array_equal(data.at(1, kind(3))[0], data.at(1, 3)[0])
        assert data.describe(1, kind(3)) == data.describe(1, 3)
    for bad in (-1, 1.5, None, 2**40):
        with pytest.raises(ParameterError, match="epoch must be a whole number"):
            data.at(1, bad)


def test_subsets_count_from_the_end_and_hold_repeats_however_nested():
    inner = PerturbedDataset([(PICTURE, 0)] * 4, Brightness(0.5), copies=2)
    outer = PerturbedDataset(Subset(inner, [-1]), FlipLeftRight())
    assert outer.slot(0)[0] == 3 and np.array_equal(outer.at(0, 2)[0], inner.at(7, 2)[0][:, ::-1])
    with pytest.raises(DataError, match="a Subset must hold indices below 8; given 99 at item 0"):
        PerturbedDataset(Subset(inner, [99]), FlipLeftRight()).at(0)
    twice = PerturbedDataset(
        Subset(Subset([(PICTURE, 0)] * 3, [0, 0, 0, 0]), [0, 1, 2, 3]), GaussianNoise((0.1, 0.1))
    )
    assert len({twice.at(i)[0].tobytes() for i in range(4)}) == 4


def test_wrappers_inside_concatenations_draw_their_own_numbers():
    inner = PerturbedDataset([(PICTURE, 0)] * 2, Brightness((0.1, 0.5)))
    outer = PerturbedDataset(ConcatDataset([inner]), Brightness((0.1, 0.5)))
    assert outer.describe(1)["parameters"] != inner.describe(1)["parameters"]


class Unkept(Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, i):
        return PICTURE, i % 3


def test_groups_are_balanced_without_changing_a_slots_class():
    data = ResampledDataset(Unkept(), by="group", groups=["a"] * 9 + ["b"] * 3)
    assert not data.labels_vary
    for epoch in range(4):
        assert [data.at(i, epoch)[1] for i in range(len(data))] == data.labels.tolist()


def test_the_rate_of_an_item_is_that_of_a_named_policy():
    clip = np.sin(np.arange(4000) / 5).astype(np.float32)
    data = PerturbedDataset([(clip, 8000, 0)], "weak")
    edits = [p for p in data._policies[0].steps_ if isinstance(p, TimeShift)]
    assert [edit.sample_rate for edit in edits] == [8000]
    grid = np.zeros((8, 8))
    assert find_labels([(grid, 5, 0), (grid, 2019, 1)]).tolist() == [5, 2019]  # classes, no rates


def test_labels_of_several_kinds_stay_apart():
    whole = TensorDataset(torch.zeros(2, 1), torch.tensor([0, 1]))
    assert find_labels(ConcatDataset([whole, Named()])).tolist() == [0, 1, "x", "y"]


class Named(Dataset):
    targets = ["x", "y"]

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return torch.zeros(1), self.targets[i]


def test_labels_with_line_ends_are_read_back(tmp_path):
    data = PerturbedDataset([("one text", "a\rb"), ("and another", "c\nd")] * 3, "text_weak", copies=1)
    data.materialize(tmp_path / "set")
    assert MaterializedDataset(tmp_path / "set").labels.tolist() == ["a\rb", "c\nd"] * 3


def test_setting_the_epoch_gives_no_warning_to_set_it(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    data = PerturbedDataset([(PICTURE, 0)], Brightness(0.5))
    data.set_epoch(0)
    data[0]
