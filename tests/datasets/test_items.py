from collections import namedtuple

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors

from augsynth.core.errors import InputTypeError
from augsynth.datasets.items import NO_LABEL, modality_of, take_apart

PICTURE = np.zeros((4, 6, 3), np.uint8)
Pair = namedtuple("Pair", "image label")


@pytest.mark.parametrize(
    ("item", "label"),
    [
        (PICTURE, NO_LABEL),
        ((PICTURE,), NO_LABEL),
        ((PICTURE, 3), 3),
        ([PICTURE, 3], 3),
        (Pair(PICTURE, 3), 3),
        ((PICTURE, 3, "path.png"), 3),
        ({"image": PICTURE, "label": 3}, 3),
        ({"x": PICTURE, "y": 3, "path": "p"}, 3),
        ({"image": PICTURE, "labels": 3}, 3),
        ((torch.zeros(1, 8000), 8000, "yes", "speaker"), "yes"),
    ],
)
def test_samples_and_labels_are_found_and_put_back(item, label):
    parts = take_apart(item)
    assert parts.label == label
    again = parts.put("new")
    assert type(again) is (type(item) if not isinstance(item, np.ndarray) else str)
    assert take_apart(again).x == "new" if not isinstance(again, str) else again == "new"
    if isinstance(item, (tuple, list)):
        assert len(again) == len(item) and all(a is b for a, b in zip(again[1:], item[1:], strict=True))
    if isinstance(item, dict):
        assert list(again) == list(item)


def test_a_label_can_be_put():
    assert take_apart((PICTURE, 3, "p")).put(0, label=[0.5, 0.5]) == (0, [0.5, 0.5], "p")
    assert take_apart({"x": 1, "label": 2}).put(0, label=9) == {"x": 0, "label": 9}


@pytest.mark.parametrize("box_type", [np.array, torch.tensor, list])
def test_detection_targets(box_type):
    boxes = box_type([[1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 6.0, 4.0]])
    target = {"boxes": boxes, "labels": torch.tensor([7, 8]), "masks": np.ones((2, 4, 6), bool), "id": 5}
    target |= {"area": np.array([4.0, 24.0]), "names": ["cat", "dog"]}
    parts = take_apart((PICTURE, target))
    assert parts.marks["boxes"].shape == (2, 4) and parts.marks["mask"].shape == (2, 4, 6)
    marks = {
        "boxes": parts.marks["boxes"][:1] * 2,
        "labels": parts.marks["labels"][:1],
        "mask": parts.marks["mask"][:1],
    }
    image, again = parts.put(PICTURE, marks=marks)
    assert type(again["boxes"]) is type(boxes) and again["id"] == 5
    assert np.asarray(again["boxes"]).tolist() == [[2, 0, 6, 4]]
    assert again["labels"].tolist() == [7] and isinstance(again["labels"], torch.Tensor)
    assert again["masks"].shape == (1, 4, 6)
    assert again["area"].tolist() == [4.0] and again["names"] == ["cat"]  # what is kept a box follows it


@pytest.mark.parametrize("style", ["XYXY", "XYWH", "CXCYWH"])
def test_boxes_of_every_style_come_back_in_it(style):
    values = {"XYXY": [1, 1, 3, 2], "XYWH": [1, 1, 2, 1], "CXCYWH": [2, 1.5, 2, 1]}[style]
    boxes = tv_tensors.BoundingBoxes(torch.tensor([values]).float(), format=style, canvas_size=(4, 6))
    parts = take_apart({"image": PICTURE, "boxes": boxes})
    assert parts.marks["boxes"].tolist() == [[1, 1, 3, 2]]
    again = parts.put(PICTURE, marks=parts.marks)["boxes"]
    assert type(again) is tv_tensors.BoundingBoxes and again.format == boxes.format
    assert torch.equal(again, boxes)


def test_a_mask_as_target():
    mask = tv_tensors.Mask(torch.eye(4).to(torch.uint8))
    parts = take_apart((PICTURE, mask))
    assert parts.label is NO_LABEL
    again = parts.put(PICTURE, marks={"mask": 1 - parts.marks["mask"]})
    assert type(again[1]) is tv_tensors.Mask and torch.equal(again[1], 1 - mask)
    as_picture = take_apart({"image": PICTURE, "mask": Image.fromarray(np.eye(4, dtype=np.uint8))})
    assert isinstance(as_picture.put(PICTURE, marks=as_picture.marks)["mask"], Image.Image)


def test_items_without_a_sample():
    with pytest.raises(InputTypeError, match=r"must have one of the keys image, .*; given keys 'picture'"):
        take_apart({"picture": 1})
    with pytest.raises(InputTypeError, match="must hold a sample"):
        take_apart(())


@pytest.mark.parametrize(
    ("x", "modality"),
    [
        ("words", "text"),
        (Image.new("L", (4, 4)), "image"),
        (np.zeros((28, 28)), "image"),
        (torch.zeros(3, 8, 8), "image"),
        (np.zeros(8000), "audio"),
        (torch.zeros(1, 8000), "audio"),
        (np.zeros(14), "table"),
    ],
)
def test_modalities(x, modality):
    assert modality_of(x) == modality
