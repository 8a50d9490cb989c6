"""Key points and what is kept a box move with the picture; lists of annotations are refused."""

import albumentations as A
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from augsynth.core.errors import AugsynthError, DataError, InputTypeError, ParameterError
from augsynth.datasets import EnlargedDataset, MixedDataset, PerturbedDataset
from augsynth.datasets.items import take_apart
from augsynth.perturb import (
    Affine,
    Brightness,
    Compose,
    FlipLeftRight,
    FlipUpDown,
    Maybe,
    OneOf,
    ParametricPerturbation,
    ResizedCrop,
    Rotate,
    Shift,
)
from augsynth.perturb.function import FunctionPerturbation

SIZE = (40, 56)
DOTS = np.array([[12, 10], [40, 8], [27, 30]])  # x, y

MOVES = {
    "native": Compose([Maybe(FlipLeftRight()), Maybe(FlipUpDown()), Shift((-0.4, 0.4), (-0.2, 0.2), fill=0)]),
    "turned": Rotate((-180, 180), fill=0),
    "affine": Affine((-30, 30), scale=(0.9, 1.6), shear_degrees=(-10, 10), shift=(-0.1, 0.1), fill=0),
    "cropped": ResizedCrop((0.5, 1)),
    "one of": OneOf([FlipLeftRight(), FlipUpDown()]),
    "albumentations": A.Compose(
        [A.HorizontalFlip(p=0.5), A.RandomRotate90(p=1), A.Transpose(p=0.5), A.RandomBrightnessContrast(p=1)]
    ),
    "albumentations affine": A.Affine(rotate=(-40, 40), translate_px=(-5, 5), p=1),
    "albumentations crop": A.RandomSizedCrop((24, 40), (40, 56), p=1),
    "torchvision": v2.Compose([v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(), v2.RandomCrop((32, 40))]),
    "torchvision affine": v2.RandomAffine(30, translate=(0.1, 0.1)),
    "torchvision size": v2.Compose([v2.ColorJitter(0.2), v2.Resize((80, 112))]),
}


def dotted():
    """Return a black picture with a dot of a colour of its own at each place."""
    picture = np.zeros((*SIZE, 3), np.uint8)
    for k, (x, y) in enumerate(DOTS):
        picture[y - 1 : y + 2, x - 1 : x + 2, k] = 250
    return picture


def key_points(picture):
    """Return where the dots are, by the middle of what is bright, and how much of each is there."""
    weights = np.asarray(picture, dtype=np.float64)
    weights[weights < 60] = 0  # brightness that was added
    total = weights.sum((0, 1))
    x, y = np.arange(weights.shape[1]), np.arange(weights.shape[0])
    with np.errstate(invalid="ignore"):
        middle = np.stack([(weights.sum(0) * x[:, None]).sum(0), (weights.sum(1) * y[:, None]).sum(0)], 1)
        return middle / total[:, None], total


@pytest.mark.parametrize("name", MOVES)
def test_key_points_are_where_their_dots_are(name):
    visible = np.concatenate([DOTS, np.full((3, 1), 2)], axis=1).astype(np.float32)[None]
    target = {"keypoints": torch.from_numpy(visible), "labels": torch.tensor([1])}
    base = [(Image.fromarray(dotted()), target)] * 2
    data = PerturbedDataset(base, MOVES[name], copies=15)
    compared = hidden = 0
    for i in range(len(data)):
        picture, moved = data.at(i)
        points = moved["keypoints"]
        assert type(points) is torch.Tensor and points.dtype == torch.float32 and points.shape == (1, 3, 3)
        found, total = key_points(picture)
        width, height = picture.size
        for point, place, there in zip(points[0].numpy(), found, total, strict=True):
            if point[2] == 0:
                assert point.tolist() == [0, 0, 0]
                hidden += 1
                continue
            assert point[2] == 2 and -0.5 <= point[0] <= width - 0.5 and -0.5 <= point[1] <= height - 0.5
            if there > 1500 and 2 < point[0] < width - 3 and 2 < point[1] < height - 3:
                assert np.abs(point[:2] - place).max() < (
                    0.6 if name in ("native", "turned", "affine", "cropped") else 1.3
                )
                compared += 1
    assert compared > 40
    if "crop" in name or name == "native":
        assert hidden
    assert torch.equal(target["keypoints"], torch.from_numpy(visible))


def test_points_that_left_are_not_visible_and_unseen_ones_stay():
    item = {"image": dotted(), "keypoints": np.array([[[50.0, 5, 2], [3, 5, 1], [0, 0, 0]]])}
    moved = PerturbedDataset([item], Shift((0.5, 0.5), (0, 0), fill=0)).at(0)["keypoints"]
    assert moved.tolist() == [[[0, 0, 0], [31, 5, 1], [0, 0, 0]]]
    bare = {"image": dotted(), "keypoints": [[50, 5], [3, 5]]}
    moved = PerturbedDataset([bare], Shift((0.5, 0.5), (0, 0), fill=0)).at(0)["keypoints"]
    assert moved == [[78, 5], [31, 5]]


@pytest.mark.parametrize("policy", [FlipLeftRight(), A.HorizontalFlip(p=1), v2.RandomHorizontalFlip(p=1)])
@pytest.mark.parametrize("place", ["target", "entry", "alone"])
def test_key_points_of_torchvision(policy, place):
    points = tv_tensors.KeyPoints(torch.from_numpy(DOTS).float()[None], canvas_size=SIZE)
    x = torch.from_numpy(dotted().transpose(2, 0, 1).copy())
    item = {
        "target": (x, points, 7),
        "entry": (x, {"face": points, "label": 7}),
        "alone": {"image": x, "keypoints": points},
    }[place]
    made = PerturbedDataset([item], policy).at(0)
    moved = {
        "target": lambda: made[1],
        "entry": lambda: made[1]["face"],
        "alone": lambda: made["keypoints"],
    }[place]()
    assert type(moved) is tv_tensors.KeyPoints and tuple(moved.canvas_size) == SIZE
    assert torch.equal(moved.as_subclass(torch.Tensor), v2.RandomHorizontalFlip(p=1)(points))
    assert moved[0, :, 0].tolist() == (55 - DOTS[:, 0]).tolist()  # in their order: names are not swapped


def test_points_of_a_resized_picture_know_its_size():
    points = tv_tensors.KeyPoints(torch.zeros(1, 2), canvas_size=SIZE)
    moved = PerturbedDataset([(torch.zeros(3, *SIZE), points)], v2.Resize((20, 28))).at(0)[1]
    assert tuple(moved.canvas_size) == (20, 28)


def test_elastic_moves_that_lose_points_keep_the_others_in_their_places():
    grid = np.stack(np.meshgrid(np.arange(0, 56, 5), np.arange(0, 40, 5)), -1).reshape(1, -1, 2)
    points = np.concatenate([grid, np.ones((1, grid.shape[1], 1), int)], -1)
    item = {"image": dotted(), "keypoints": points}
    data = PerturbedDataset([item], A.ElasticTransform(alpha=60, sigma=6, p=1), copies=4)
    for i in range(4):
        moved = data.at(i)["keypoints"]
        assert moved.shape == points.shape and moved.dtype == points.dtype
        seen = moved[0, :, 2] == 1
        assert 40 < seen.sum() <= 96 and not moved[0, ~seen].any()
        assert np.abs(moved[0, seen, :2] - points[0, seen, :2]).max() < 25


def detection(n=3):
    """Return boxes of which the first leaves the picture to the right, and what is kept for each."""
    boxes = np.array([[50.0, 2, 56, 8], [2, 2, 8, 8], [10, 12, 20, 20]])[:n]
    points = np.stack([np.c_[boxes[:, :2], np.ones(n)], np.c_[boxes[:, 2:] - 1, np.ones(n)]], axis=1)
    return boxes, points


@pytest.mark.parametrize(
    "policy", [Shift((0.5, 0.5), (0, 0), fill=0), A.Affine(translate_px={"x": 28, "y": 0}, p=1)]
)
def test_what_is_kept_a_box_goes_with_the_boxes(policy):
    boxes, points = detection()
    target = {
        "boxes": tv_tensors.BoundingBoxes(torch.from_numpy(boxes), format="XYXY", canvas_size=SIZE),
        "labels": torch.tensor([5, 6, 7]),
        "keypoints": torch.from_numpy(points),
        "masks": tv_tensors.Mask(torch.ones(3, *SIZE, dtype=torch.uint8)),
        "track_ids": [15, 16, 17],
        "box_names": ("a", "b", "c"),
        "id": [1, 2, 3],
        "category_id": np.array([25, 26, 27]),
        "areas": torch.tensor([36.0, 36, 80]),
        "one_hot_labels": torch.eye(3),
        "image_id": [9, 9, 9],
        "size": [40, 56, 3],
    }
    x, made = PerturbedDataset([(torch.zeros(3, *SIZE), target)], policy).at(0)
    assert made["labels"].tolist() == [6, 7] and made["track_ids"] == [16, 17]
    assert made["box_names"] == ("b", "c") and made["id"] == [2, 3]
    assert made["category_id"].tolist() == [26, 27] and made["areas"].tolist() == [36, 80]
    assert made["one_hot_labels"].tolist() == [[0, 1, 0], [0, 0, 1]]
    assert made["image_id"] == [9, 9, 9] and made["size"] == [40, 56, 3]
    assert len(made["boxes"]) == len(made["masks"]) == len(made["keypoints"]) == 2
    assert np.allclose(made["keypoints"][:, 0, 0], [30, 38]) and np.allclose(made["boxes"][:, 0], [30, 38])


def test_labels_beside_boxes_in_a_tuple_and_in_a_mapping():
    boxes, _ = detection()
    tv = tv_tensors.BoundingBoxes(torch.from_numpy(boxes), format="XYXY", canvas_size=SIZE)
    away = Shift((0.5, 0.5), (0, 0), fill=0)
    _, moved, labels, note = PerturbedDataset([(torch.zeros(3, *SIZE), tv, [5, 6, 7], "road")], away).at(0)
    assert len(moved) == 2 and labels == [6, 7] and note == "road"
    item = {
        "image": torch.zeros(3, *SIZE),
        "bboxes": boxes.tolist(),
        "category": [5, 6, 7],
        "label": [1, 2, 3],
    }
    made = PerturbedDataset([item], away).at(0)
    assert made["category"] == [6, 7] and made["label"] == [2, 3] and len(made["bboxes"]) == 2


COCO = [{"bbox": [2.0, 3, 10, 8], "category_id": 4, "segmentation": [[2.0, 3, 12, 3, 12, 11]], "id": 7}]
VOC = {"annotation": {"filename": "a.jpg", "object": [{"name": "dog", "bndbox": {"xmin": "2", "ymin": "3"}}]}}
FOREIGN = {
    "coco": ((dotted(), COCO), r"'bbox' in item\[1\]\[0\]"),
    "voc": ((dotted(), VOC), r"'bndbox' in 'annotation'\['object'\]\[0\]"),
    "hub": ({"image": dotted(), "objects": {"bbox": [[1, 2, 3, 4]], "category": [3]}}, "'bbox' in 'objects'"),
    "coco in a mapping": ({"image": dotted(), "annotations": COCO}, r"'bbox' in 'annotations'\[0\]"),
    "one box": ({"image": dotted(), "label": 1, "bbox": [1, 2, 3, 4]}, "a list as 'bbox'"),
    "polygons": ((dotted(), {"segmentation": [[1.0, 2, 3, 4, 5, 6]]}), "a list as 'segmentation'"),
    "flat key points": ((dotted(), {"keypoints": [[1, 2, 2] * 17]}), "a list as 'keypoints'"),
    "landmarks": ((dotted(), {"landmarks": np.zeros((5, 2))}), "a ndarray as 'landmarks'"),
    "two masks": (
        {"image": dotted(), "mask": np.zeros(SIZE), "masks": np.zeros((1, *SIZE))},
        "a ndarray as 'masks'",
    ),
    "depth": (
        {"image": dotted(), "depth": np.zeros(SIZE)},
        "a ndarray of the size of the picture as 'depth'",
    ),
    "tuple": (
        (dotted(), (tv_tensors.BoundingBoxes(torch.zeros(1, 4), format="XYXY", canvas_size=SIZE), [3])),
        r"a BoundingBoxes as item\[1\]\[0\]",
    ),
    "second mask": (
        (dotted(), np.zeros(SIZE), np.zeros(SIZE)),
        r"a ndarray of the size of the picture as item\[2\]",
    ),
}
FOREIGN["masks of classes"] = (
    (dotted(), np.zeros((20, *SIZE))),
    r"a ndarray of the size of the .* item\[1\]",
)
MOVING = [
    FlipLeftRight(),
    Compose([Brightness(), Maybe(FlipLeftRight())]),
    A.Compose([A.RandomBrightnessContrast(), A.OneOf([A.HorizontalFlip(), A.NoOp()])]),
    v2.Compose([v2.ColorJitter(), v2.RandomApply([v2.RandomHorizontalFlip()])]),
    v2.TrivialAugmentWide(),
    np.flip,
]
STILL = [
    Brightness(),
    A.Compose([A.RandomBrightnessContrast(p=1), A.CoarseDropout(p=1), A.NoOp()]),
    v2.Compose([v2.ColorJitter(0.5), v2.RandomApply([v2.GaussianBlur(3)]), v2.RandomErasing(p=1)]),
    FunctionPerturbation(np.invert, moves=False),
]


@pytest.mark.parametrize("name", FOREIGN)
def test_annotations_that_cannot_move_are_refused_where_pixels_move(name):
    item, found = FOREIGN[name]
    for policy in MOVING:
        if name in ("two masks", "second mask") and not isinstance(
            policy, (FlipLeftRight, Compose, A.Compose)
        ):
            continue
        data = PerturbedDataset([item] * 2, policy)
        for many in (False, True):
            with pytest.raises(InputTypeError, match=f"Item . of the base: .*given {found}") as told:
                data.at_many([0, 1]) if many else data.at(1)
            assert "wrap_dataset_for_transforms_v2" in str(told.value) and "which moves pixels" in str(
                told.value
            )


def test_mixers_refuse_annotations_in_any_form():
    masked = {"image": dotted(), "keypoints": np.ones((1, 2, 3)), "label": 0}
    hub = {"image": dotted(), "objects": {"bbox": [[1, 2, 3, 4]]}, "label": 0}
    for item, text in (
        (masked, "given 'points' at item"),
        (hub, "given 'bbox' in 'objects' at item"),
        ((dotted(), COCO), r"given 'bbox' in item\[1\]"),
    ):
        with pytest.raises(InputTypeError, match=f"no masks, boxes or key points; {text}"):
            MixedDataset([item] * 2, labels=[0, 1]).at(0)


@pytest.mark.parametrize("name", FOREIGN)
def test_annotations_pass_where_nothing_moves(name):
    item, _ = FOREIGN[name]
    for policy in STILL:
        made = PerturbedDataset([item], policy).at(0)
        for key in item if isinstance(item, dict) else range(1, len(item)):
            if key != "image":
                assert repr(made[key]) == repr(item[key])


def test_what_says_nothing_of_places_passes():
    for target in ([], {}, {"label": 3, "name": "cat"}, ["a caption", "another"], {"objects": {"bbox": []}}):
        made = PerturbedDataset([(dotted(), target)], FlipLeftRight()).at(0)
        assert made[1] == target
    text = {"text": "where is it", "bbox": [1, 2, 3, 4], "mask": [1, 1, 1]}
    assert PerturbedDataset([text], "text_weak").at(0)["bbox"] == [1, 2, 3, 4]


def test_policies_of_classes_are_looked_at_one_by_one():
    base = [(dotted(), COCO), (dotted(), COCO)]
    data = EnlargedDataset(base, Brightness(0.5), copies=1)
    assert data.at(2)[1] == COCO
    mixed = PerturbedDataset(base, {0: FlipLeftRight(), 1: Brightness(0.2)}, labels=[0, 1])
    assert mixed.at(1)[1] == COCO
    with pytest.raises(InputTypeError, match="FlipLeftRight, which moves pixels"):
        mixed.at(0)


def test_the_wrapper_of_torchvision_is_what_to_convert_to():
    from torchvision.datasets import VOCDetection, wrap_dataset_for_transforms_v2

    class Voc(VOCDetection):
        def __init__(self):
            self.transforms = self.transform = self.target_transform = None

        def __len__(self):
            return 1

        def __getitem__(self, i):
            place = {"xmin": "2", "ymin": "3", "xmax": "12", "ymax": "11"}
            return Image.fromarray(dotted()), {"annotation": {"object": [{"name": "dog", "bndbox": place}]}}

    with pytest.raises(
        InputTypeError, match="Convert it with torchvision.datasets.wrap_dataset_for_transforms"
    ):
        PerturbedDataset(Voc(), FlipLeftRight()).at(0)
    wrapped = wrap_dataset_for_transforms_v2(Voc(), target_keys={"boxes", "labels"})
    _, target = PerturbedDataset(wrapped, FlipLeftRight()).at(0)
    assert target["boxes"].tolist() == [[44, 3, 54, 11]] and target["labels"].tolist() == [12]


def test_a_mask_as_the_label_of_a_mapping_moves():
    mask = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE)
    made = PerturbedDataset([{"image": dotted(), "label": mask}], FlipLeftRight()).at(0)
    assert np.array_equal(made["label"], mask[:, ::-1])


class MasksOnly(ParametricPerturbation):
    modality = "image"
    n_uniforms = 0

    def parameters(self, u):
        return {}

    def apply(self, x, params):
        return x[:, ::-1]

    def apply_marks(self, marks, params, *, size):
        return {**marks, **({"mask": marks["mask"][:, ::-1]} if "mask" in marks else {})}


def test_an_edit_that_knows_no_key_points_is_refused_them():
    masked = {"image": dotted(), "mask": np.zeros(SIZE)}
    PerturbedDataset([masked], MasksOnly()).at(0)
    item = {**masked, "keypoints": np.ones((1, 2, 3))}
    for policy in (MasksOnly(), Compose([Brightness(), MasksOnly()]), Maybe(MasksOnly())):
        with pytest.raises(ParameterError, match="key points must move .*set moves_points = True"):
            PerturbedDataset([item], policy).at(0)


def test_masks_and_boxes_cannot_follow_a_function():
    item = {"image": dotted(), "mask": np.zeros(SIZE), "label": 1}
    with pytest.raises(ParameterError, match="item 0|Item 0 of the base: flip: .*moves=False"):
        PerturbedDataset([item], np.flip).at(0)
    assert PerturbedDataset([item], FunctionPerturbation(np.invert, moves=False)).at(0)["label"] == 1
    assert PerturbedDataset([{"image": dotted(), "label": 1}], np.flip).at(0)["label"] == 1


@pytest.mark.parametrize(
    "transform",
    [v2.RandAugment(), v2.TrivialAugmentWide(), v2.AutoAugment(), v2.AugMix()],
    ids=lambda t: type(t).__name__,
)
@pytest.mark.parametrize("mark", ["mask", "boxes", "keypoints"])
def test_transforms_for_bare_pictures_refuse_marks(transform, mark):
    value = {"mask": np.zeros(SIZE), "boxes": np.ones((1, 4)), "keypoints": np.ones((1, 2, 3))}[mark]
    for policy in (transform, v2.Compose([v2.RandomHorizontalFlip(), v2.RandomApply([transform])])):
        data = PerturbedDataset([{"image": dotted(), mark: value}], policy)
        with pytest.raises(
            ParameterError, match=f"move with it; given {type(transform).__name__}, which .*image_medium"
        ):
            data.at(0)
        PerturbedDataset([(dotted(), 3)], policy).at(0)


@pytest.mark.parametrize(
    ("boxes", "given"),
    [
        (np.zeros((2, 5)), r"shape \(2, 5\)"),
        ([1.0, 2, 3, 4], r"shape \(4,\)"),
        (torch.zeros(2, 2, 4), r"shape \(2, 2, 4\)"),
        ([[1, 2, 3, 4], [1, 2]], "lists of several lengths"),
        (["a", "b"], r"shape \(2,\)"),
    ],
)
def test_boxes_of_other_shapes(boxes, given):
    with pytest.raises(DataError, match=rf"Item 0 of the base: boxes: .* \(k, 4\): left, top.*given {given}"):
        PerturbedDataset([{"image": dotted(), "boxes": boxes}], FlipLeftRight()).at(0)


def test_no_boxes_and_no_points():
    for none in ([], np.zeros((0, 4)), torch.zeros(0), torch.zeros(0, 4)):
        made = PerturbedDataset([{"image": dotted(), "boxes": none, "keypoints": []}], FlipLeftRight()).at(0)
        assert type(made["boxes"]) is type(none) and len(made["boxes"]) == 0 and made["keypoints"] == []
    item = {"image": dotted(), "boxes": np.zeros((0, 4)), "keypoints": torch.zeros(0, 17, 3)}
    for policy in (FlipLeftRight(), A.HorizontalFlip(p=1), v2.RandomHorizontalFlip(p=1)):
        assert PerturbedDataset([item], policy).at(0)["keypoints"].shape == (0, 17, 3)


def test_marks_that_hold_no_values():
    for bad, text in (
        (torch.zeros(1, 4, device="meta"), "meta"),
        (torch.zeros(1, 4).to_sparse(), "sparse_coo"),
    ):
        with pytest.raises(InputTypeError, match=f"boxes: a tensor must hold .*{text}"):
            take_apart({"image": dotted(), "boxes": bad})
    with pytest.raises(AugsynthError, match="a mask must be an array"):
        take_apart({"image": dotted(), "mask": [[1, 2], [3]]})
