"""Masks and boxes move with the picture."""

import numpy as np
import pytest

from augsynth.core.errors import DataError
from augsynth.core.random import KeyedGenerator
from augsynth.perturb import Compose
from augsynth.perturb.geometry import FlipLeftRight, FlipUpDown, ResizedCrop, Shift
from augsynth.perturb.image import Brightness
from augsynth.perturb.image_policies import image_strong
from augsynth.perturb.image_quality import Erasing
from augsynth.perturb.warps import Affine, Rotate

MOVES = [
    FlipLeftRight(),
    FlipUpDown(),
    Shift((-0.4, 0.4), (-0.4, 0.4), fill=0),
    Shift((-0.4, 0.4), (-0.4, 0.4), fill="wrap"),
    Rotate((-180, 180), fill=0),
    Affine((-40, 40), scale=(0.7, 1.5), shear_degrees=(-20, 20), shift=(-0.2, 0.2), fill=0),
    ResizedCrop((0.4, 1), ratio=(0.6, 1.7)),
]


def name_of(edit):
    return type(edit).__name__


@pytest.mark.parametrize("edit", MOVES, ids=name_of)
@pytest.mark.parametrize("size", [(60, 80), (51, 51)])
def test_a_drawn_box_is_found_where_its_mark_says(edit, size):
    exact = isinstance(edit, (FlipLeftRight, FlipUpDown, Shift))
    compared = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        left, top = rng.integers(4, size[1] - 24), rng.integers(4, size[0] - 24)
        box = np.array([[left, top, left + rng.integers(8, 20), top + rng.integers(8, 20)]], float)
        mask = np.zeros(size, np.uint8)
        mask[int(box[0, 1]) : int(box[0, 3]), int(box[0, 0]) : int(box[0, 2])] = 1
        picture = mask * np.float32(1)
        params = edit.draw(picture, KeyedGenerator().seat(seed))
        edited = edit.apply(picture, params)
        marks = {"mask": mask, "boxes": box, "labels": np.array([7])}
        moved = edit.apply_marks(marks, params, size=size)
        np.testing.assert_array_equal(marks["boxes"], box)
        # Where the picture is more object than not, the mask says object; the seam may differ.
        seam = np.abs(edited - 0.5) < 0.4
        np.testing.assert_array_equal((edited > 0.5)[~seam], (moved["mask"] > 0)[~seam])
        wrapped = getattr(edit, "fill", 0) == "wrap"
        if not len(moved["boxes"]):
            assert len(moved["labels"]) == 0
            assert wrapped or (edited > 0.5).sum() < 0.7 * mask.sum()
            continue
        assert moved["labels"].tolist() == [7]
        if wrapped:  # the other end is not in the box
            continue
        rows, columns = np.nonzero(edited > 0.5)
        if not len(rows) or (edited > 0.5).sum() < 20:
            continue
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        slack = 0 if exact else 1.6
        if isinstance(edit, (Rotate, Affine)):
            slack = 2.5  # linear interpolation rounds the corners of a turned box off
        if moved["mask"][[0, -1]].any() or moved["mask"][:, [0, -1]].any():
            slack = slack and 8  # a cut turned box reaches further than what is left of the object
        np.testing.assert_allclose(moved["boxes"][0], found, atol=slack, err_msg=str(params))
        compared += 1
    assert compared > 20 or getattr(edit, "fill", 0) == "wrap"


def test_hand_computed():
    size = (4, 10)
    marks = {
        "boxes": np.array([[0.0, 0, 4, 2], [9, 0, 10, 2], [0, 0, 10, 4]]),
        "labels": np.array(["a", "b", "c"]),
        "mask": np.arange(40).reshape(4, 10),
    }
    edit = Shift(0.8, 0, fill=0)
    moved = edit.apply_marks(marks, {"x": 0.8, "y": 0.0}, size=size)
    assert moved["boxes"].tolist() == [[8, 0, 10, 2], [8, 0, 10, 4]]  # half and a fifth of them stay
    assert moved["labels"].tolist() == ["a", "c"]
    assert moved["mask"][:, 8:].tolist() == [[0, 1], [10, 11], [20, 21], [30, 31]]
    assert not moved["mask"][:, :8].any()
    tenth = Shift(0.9, 0, fill=0).apply_marks({"boxes": marks["boxes"][2:]}, {"x": 0.9, "y": 0.0}, size=size)
    assert tenth["boxes"].tolist() == [[9, 0, 10, 4]]  # exactly a tenth is kept
    flipped = FlipLeftRight().apply_marks({"boxes": np.array([[1.0, 1, 4, 2]])}, {}, size=size)
    assert flipped["boxes"].tolist() == [[6, 1, 9, 2]]
    whole = FlipUpDown().apply_marks({"boxes": np.array([[1, 1, 4, 2]])}, {}, size=size)
    assert whole["boxes"].tolist() == [[1, 2, 4, 3]]
    assert whole["boxes"].dtype.kind == "i"


@pytest.mark.parametrize("edit", MOVES, ids=name_of)
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_masks_of_any_dtype_and_of_instances(edit, dtype):
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2 if dtype is bool else 9, (3, 12, 17)).astype(dtype)
    params = edit.draw(None, KeyedGenerator().seat(1))
    together = edit.apply_marks({"mask": masks}, params, size=(12, 17))["mask"]
    assert together.dtype == dtype
    assert together.shape == masks.shape
    for mask, moved in zip(masks, together, strict=True):
        np.testing.assert_array_equal(edit.apply_marks({"mask": mask}, params, size=(12, 17))["mask"], moved)
    assert set(np.unique(together)) <= {*np.unique(masks), 0}


@pytest.mark.parametrize("fill", ["edge", "reflect", "wrap", 0])
def test_shifted_masks_are_shifted_pictures(fill):
    picture = np.random.default_rng(0).integers(0, 256, (9, 11), dtype=np.uint8)
    edit = Shift((-1, 1), (-1, 1), fill=fill)
    for seed in range(40):
        params = edit.draw(picture, KeyedGenerator().seat(seed))
        moved = edit.apply_marks({"mask": picture}, params, size=(9, 11))["mask"]
        np.testing.assert_array_equal(moved, edit.apply(picture, params))


def test_masks_of_instances_go_with_their_boxes():
    masks = np.zeros((2, 8, 8), bool)
    masks[0, :, :2] = masks[1, :, 6:] = True
    marks = {"mask": masks, "boxes": np.array([[0.0, 0, 2, 8], [6, 0, 8, 8]]), "labels": np.array([1, 2])}
    moved = Shift(0.5, 0, fill=0).apply_marks(marks, {"x": 0.5, "y": 0.0}, size=(8, 8))
    assert moved["labels"].tolist() == [1]
    assert moved["mask"].shape == (1, 8, 8)
    assert moved["boxes"].tolist() == [[4, 0, 6, 8]]


def test_edits_of_tone_leave_marks_alone():
    marks = {"mask": np.ones((4, 4)), "boxes": np.array([[0.0, 0, 2, 2]])}
    for edit in (Brightness(), Erasing()):
        assert edit.apply_marks(marks, edit.draw(None, KeyedGenerator().seat(0)), size=(4, 4)) is marks


def test_a_chain_moves_marks_step_by_step():
    edit = Compose([FlipLeftRight(), Brightness(), Shift(0.5, 0, fill=0)])
    params = edit.draw(np.zeros((4, 8)), KeyedGenerator().seat(0))
    moved = edit.apply_marks({"boxes": np.array([[0.0, 0, 8, 4]])}, params, size=(4, 8))
    assert moved["boxes"].tolist() == [[4, 0, 8, 4]]
    strong = image_strong()
    params = strong.draw(np.zeros((4, 8)), KeyedGenerator().seat(0))
    assert strong.apply_marks({"mask": np.ones((4, 8))}, params, size=(4, 8))["mask"].shape == (4, 8)


def test_no_boxes_and_marks_that_do_not_fit():
    empty = Shift().apply_marks(
        {"boxes": np.zeros((0, 4)), "labels": np.zeros(0)}, {"x": 0.1, "y": 0}, size=(4, 4)
    )
    assert empty["boxes"].shape == (0, 4)
    with pytest.raises(DataError, match="size of its picture"):
        FlipLeftRight().apply_marks({"mask": np.zeros((3, 4))}, {}, size=(4, 4))
    with pytest.raises(DataError, match="left, top, right, bottom"):
        FlipLeftRight().apply_marks({"boxes": np.zeros((3, 5))}, {}, size=(4, 4))
