"""What goes with a box that leaves the picture, what moves, and what is refused because it cannot."""

import collections
import warnings

import numpy as np
import pytest
import torch

from augsynth.core.errors import AugsynthWarning, DataError, InputTypeError, ParameterError
from augsynth.datasets import MixedDataset, PerturbedDataset
from augsynth.datasets.entry_names import has_one_a_box, tells_places
from augsynth.perturb import Brightness, FlipLeftRight, Shift
from augsynth.perturb.function import FunctionPerturbation
from augsynth.perturb.marks import move_boxes

PICTURE = np.zeros((20, 30, 3), np.uint8)
WIDE = np.zeros((20, 400, 3), np.uint8)
AWAY = Shift((0.5, 0.5), (0, 0), fill=0)
BOXES = np.array([[26.0, 2, 30, 8], [2, 2, 8, 8], [5, 12, 12, 18]])  # of which the first leaves


def moved(entries, policy=AWAY, picture=PICTURE):
    return PerturbedDataset([{"image": picture, **entries}], policy).at(0)


@pytest.mark.parametrize(
    "name",
    ["labels", "gt_labels", "scores", "areas", "iscrowd", "is_crowd", "isGroupOf", "track_ids"]
    + ["trackId", "difficult", "truncated", "occluded", "category_id", "class_ids", "object_ids", "id"]
    + ["gt_names", "num_keypoints", "box_speeds", "bbox_weights", "one_hot_labels", "ann_ids", "text_labels"],
)
def test_values_of_boxes_are_known_by_their_names(name):
    assert moved({"boxes": BOXES, name: [1, 2, 3]})[name] == [2, 3]


@pytest.mark.parametrize("name", ["class_names", "input_ids", "sample_weights", "label_names", "rotations"])
def test_other_entries_stay_whole_and_are_told_of(name):
    names = ["a", "b", "c"]
    asked = has_one_a_box(name, names, 3)
    if asked is False:  # what is said of the whole picture
        assert moved({"boxes": BOXES, name: names})[name] == names
        return
    with pytest.warns(AugsynthWarning, match=f"'{name}'.* stays whole.*call it 'box_{name}'"):
        assert moved({"boxes": BOXES, name: names})[name] == names
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert moved({"boxes": BOXES, name: names}, FlipLeftRight())[name] == names  # all boxes are left
        assert moved({"boxes": BOXES, name: names[:2]})[name] == names[:2]


def test_the_warning_is_shown_once():
    data = PerturbedDataset([{"image": PICTURE, "boxes": BOXES, "rotations": [1, 2, 3]}] * 3, AWAY)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for i in range(3):
            data.at(i)
    assert len(told) == 1


def test_class_names_as_texts_may_be_those_of_the_set():
    assert has_one_a_box("classes", np.array([4, 5, 6]), 3) is True
    assert has_one_a_box("classes", ["cat", "dog", "cow"], 3) is None
    assert has_one_a_box("category", ["cat", "dog", "cow"], 3) is True
    assert has_one_a_box("labels", ["cat", "dog", "cow"], 3) is True
    assert has_one_a_box("image_labels", [1, 2, 3], 3) is False
    assert has_one_a_box("all_labels", ["cat", "dog", "cow"], 3) is None
    assert has_one_a_box("labels", [1, 2], 3) is False and has_one_a_box("speeds", [1], 1) is False
    assert has_one_a_box("size", [20, 30, 3], 3) is False and has_one_a_box(3, torch.zeros(3), 3) is None


Row = collections.namedtuple("Row", ["left", "top", "right", "bottom"])  # noqa: PYI024
Three = collections.namedtuple("Three", ["a", "b", "c"])  # noqa: PYI024


def test_named_tuples_and_tuples_come_back():
    rows = [Row(26, 2, 30, 8), Row(2, 2, 8, 8), Row(5, 12, 12, 18)]
    made = moved({"boxes": rows, "labels": Three(1, 2, 3), "scores": (0.1, 0.2, 0.3)})
    assert made["boxes"] == [Row(17, 2, 23, 8), Row(20, 12, 27, 18)] and type(made["boxes"][0]) is Row
    assert made["labels"] == (2, 3) and made["scores"] == (0.2, 0.3)
    kept = moved({"boxes": Three(*rows), "labels": Three(1, 2, 3)}, FlipLeftRight())
    assert type(kept["boxes"]) is Three and kept["labels"] == Three(1, 2, 3)
    assert kept["boxes"].a == Row(0, 2, 4, 8)


def test_lists_of_whole_numbers_stay_whole():
    made = moved({"boxes": [[1, 2, 5, 6]], "keypoints": (((1, 2, 1),),)}, FlipLeftRight())
    assert repr(made["boxes"]) == "[[25, 2, 29, 6]]" and repr(made["keypoints"]) == "(((28, 2, 1),),)"
    assert repr(moved({"boxes": [[1.5, 2, 5, 6]]}, FlipLeftRight())["boxes"]) == "[[25.0, 2.0, 28.5, 6.0]]"


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "int64"])
@pytest.mark.parametrize("tensor", [False, True])
def test_small_types_hold_places_or_say_that_they_cannot(dtype, tensor):
    def of(values):
        array = np.array(values, dtype)
        return torch.from_numpy(array) if tensor else array

    boxes, points = of([[100, 5, 120, 10]]), of([[[100, 5, 1]]])
    if dtype in ("uint8", "int8"):
        for entry, given in (({"boxes": boxes}, 300), ({"keypoints": points}, 299)):
            with pytest.raises(
                DataError, match=rf"Item 0 .*{next(iter(entry))}: .*fit.*{dtype}.*given {given}"
            ):
                moved(entry, FlipLeftRight(), WIDE)
        assert moved({"keypoints": of([[[9, 5, 1]]])}, FlipLeftRight())["keypoints"].tolist() == [
            [[20, 5, 1]]
        ]
        return
    made = moved({"boxes": boxes, "keypoints": points}, FlipLeftRight(), WIDE)
    assert made["boxes"].tolist() == [[280, 5, 300, 10]] and made["keypoints"].tolist() == [[[299, 5, 1]]]
    assert made["boxes"].dtype == boxes.dtype and made["keypoints"].dtype == points.dtype
    left = {"keypoints": of([[2, 5]])}
    if dtype == "uint16":
        with pytest.raises(DataError, match="uint16: 0 to 65535.; given -13. Use int32"):
            moved(left, Shift((-0.5, -0.5), (0, 0), fill=0))
    else:
        assert moved(left, Shift((-0.5, -0.5), (0, 0), fill=0))["keypoints"].tolist() == [[-13, 5]]


def test_bare_boxes_of_small_types():
    with pytest.raises(DataError, match="boxes: places must fit their type.*given 300"):
        move_boxes(np.array([[100, 5, 120, 10]], np.uint8), (-1, 0, 400, 0, 1, 0), (20, 400))
    with pytest.raises(DataError, match=r"finite numbers.*given \[nan, 0.0, 1.0, 2.0\] as box 1"):
        moved({"boxes": np.array([[0.0, 0, 9, 9], [np.nan, 0, 1, 2]])})


@pytest.mark.parametrize("width", [2, 3])
def test_sets_of_key_points_go_with_their_boxes_and_bare_ones_stay(width):
    points = np.concatenate([BOXES[:, :2], np.ones((3, 1))], axis=1)[:, :width]
    made = moved({"boxes": BOXES, "keypoints": points[:, None], "labels": [1, 2, 3]})
    assert made["labels"] == [2, 3] and made["keypoints"][:, 0, 0].tolist() == [17, 20]
    for bare in (points, points[None], torch.from_numpy(points), points.tolist()):
        kept = moved({"boxes": BOXES, "keypoints": bare})
        assert len(kept["boxes"]) == 2 and np.shape(kept["keypoints"]) == np.shape(bare)
        assert np.asarray(kept["keypoints"]).reshape(3, width)[1:, 0].tolist() == [17, 20]


PLACES = {
    "gt_boxes": BOXES,
    "gt_bboxes": torch.from_numpy(BOXES),
    "bbox_xyxy": BOXES.tolist(),
    "boxes_gt": BOXES,
    "boxesAbs": BOXES,
    "rboxes": np.ones((2, 5)),
    "gt_box": [1, 2, 5, 6],
    "box_coords": BOXES,
    "coords": [[1, 2], [3, 4]],
    "gt_keypoints": np.ones((1, 4, 3)),
    "keypoints_2d": np.ones((4, 2)),
    "kpts": [[1, 2], [3, 4]],
    "gt_polygons": [[1.0, 2, 3, 4, 5, 6], [1.0, 2, 3, 4, 5, 6, 7, 8]],
    "landmarks": list(range(10)),
    "points": [[3, 4], [5, 6]],
}
NO_PLACES = {
    "points": [3, 4, 5],
    "landmarks": ["Eiffel tower"],
    "meta": {"box": {"name": "x"}},
    "anchor_boxes": BOXES,
    "n_boxes": [3],
    "box_format": "xyxy",
    "bbox_mode": ["xyxy"],
    "gps_coords": [[48.1, 11.5]],
    "coords": [48.1, 11.5],
    "keypoint_names": ["nose", "eye"],
    "keypoints_3d": np.ones((1, 4, 3)),
    "joints": np.ones((24, 3)),
    "attention_mask": [1, 1, 0, 0],
    "checkbox": [1, 0, 1, 1],
    "has_boxes": True,
    "corners": np.ones((8, 3)),
    "boxing": [1, 2, 3, 4],
    "polygon_count": [4, 4],
    "points_2d": None,
}


@pytest.mark.parametrize("name", PLACES)
def test_places_under_other_names_are_refused_where_pixels_move(name):
    entry = {name: PLACES[name]}
    for item in ({"image": PICTURE, **entry}, (PICTURE, {**entry, "label": 1}), (PICTURE, [{"a": entry}])):
        with pytest.raises(InputTypeError, match=f"'{name}'.*mapping beside the picture with any of 'boxes'"):
            PerturbedDataset([item], FlipLeftRight()).at(0)
    with pytest.raises(InputTypeError, match=f"'{name}'"):
        moved({"boxes": BOXES, **entry})
    assert moved({"boxes": BOXES, **entry}, Brightness())[name] is PLACES[name]


@pytest.mark.parametrize("name", NO_PLACES)
def test_what_is_named_alike_and_is_no_place_passes(name):
    value = NO_PLACES[name]
    assert moved({name: value}, FlipLeftRight())[name] is value
    assert PerturbedDataset([(PICTURE, {name: value, "label": 1})], FlipLeftRight()).at(0)[1][name] is value
    MixedDataset([{"image": PICTURE, name: value, "label": 0}] * 2, labels=[0, 1]).at(0)


def test_annotations_are_found_wherever_they_are_in_a_list():
    crowd = [{"caption": "a"}] * 6 + [{"caption": "b", "bbox": [1, 2, 3, 4]}]
    with pytest.raises(InputTypeError, match=r"'bbox' in item\[1\]\[6\]"):
        PerturbedDataset([(PICTURE, crowd)], FlipLeftRight()).at(0)
    deep = {"a": [{"b": {"c": {"d": [{"bndbox": {"xmin": "2"}}]}}}]}
    with pytest.raises(InputTypeError, match="'bndbox' in"):
        PerturbedDataset([(PICTURE, deep)], FlipLeftRight()).at(0)


@pytest.mark.parametrize("entry", [{"boxes": [[0.1, 0.1, 0.5, 0.5]]}, {"keypoints": [[0.1, 0.3], [0.5, 1]]}])
def test_shares_of_the_picture_are_no_pixels(entry):
    with pytest.raises(DataError, match="must be in pixels; given shares.*Multiply them"):
        moved(entry, FlipLeftRight())
    assert moved(entry, Brightness())[next(iter(entry))] == next(iter(entry.values()))
    for pixels in ({"boxes": [[0.0, 0, 1, 1]]}, {"boxes": [[0.5, 0, 9, 1]]}, {"keypoints": [[0.5, 0.5]]}):
        moved(pixels, FlipLeftRight())


def larger(x):
    return np.kron(x, np.ones((2, 2, 1), x.dtype))


def test_a_function_that_moves_nothing_keeps_the_size():
    policy = FunctionPerturbation(larger, moves=False)
    for entry in ({"boxes": BOXES}, {"keypoints": [[1, 2]]}, {"annotations": [{"bbox": [1, 2, 3, 4]}]}):
        data = PerturbedDataset([{"image": PICTURE, **entry}] * 2, policy)
        for call in (lambda data=data: data.at(1), lambda data=data: data.at_many([0, 1])):
            with pytest.raises(ParameterError, match=r"given \(40, 60\) from \(20, 30\). Set moves=True"):
                call()
    assert moved({"label": 1}, policy)["image"].shape == (40, 60, 3)
    for odd in ("no", None, 1):
        with pytest.raises(ParameterError, match="moves must be True or False"):
            PerturbedDataset([PICTURE], FunctionPerturbation(larger, moves=odd))


class Target(dict):
    """A mapping of a class of its own."""


def test_a_mapping_keeps_its_class():
    target = Target(boxes=BOXES, labels=[1, 2, 3])
    made = PerturbedDataset([(PICTURE, target)], AWAY).at(0)[1]
    assert type(made) is Target and made["labels"] == [2, 3] and target["labels"] == [1, 2, 3]
    whole = PerturbedDataset([Target(image=PICTURE, label=1)], FlipLeftRight()).at(0)
    assert type(whole) is Target and whole["label"] == 1


def test_names_of_places():
    assert tells_places("bbox", {"xmin": "2"}) and not tells_places("box", {"name": "x"})
    assert not tells_places(3, BOXES) and not tells_places("boxes", "a text")
