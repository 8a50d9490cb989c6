"""Containers of pictures, and what is none; the ready policies."""

import numpy as np
import pytest
import torch
from PIL import Image

from augsynth import registry
from augsynth.core.errors import DataError, InputTypeError
from augsynth.core.random import ItemKeys, KeyedGenerator
from augsynth.perturb.geometry import FlipLeftRight, Shift
from augsynth.perturb.image import Brightness
from augsynth.perturb.image_policies import image_medium, image_strong, image_weak
from augsynth.perturb.image_quality import Erasing

ORDINARY = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("x", "error", "told"),
    [
        (None, InputTypeError, "given None"),
        ("cat.jpg", InputTypeError, "'cat.jpg'"),
        ([[1, 2]], InputTypeError, "given list"),
        (np.array([[None]]), InputTypeError, "dtype object"),
        (np.array([["a"]]), InputTypeError, "must hold numbers"),
        (np.zeros((4, 4), np.complex64), InputTypeError, "must hold numbers"),
        (np.zeros((0, 5)), DataError, "must have pixels"),
        (np.zeros((5, 5, 0), np.uint8), DataError, "must have pixels"),
        (torch.zeros(3, 0, 5), DataError, "must have pixels"),
        (np.zeros(5), DataError, "shape (5,)"),
        (np.zeros((2, 5, 5, 3)), DataError, "edit_many"),
        (np.array([[0.0, np.nan], [1, np.inf]]), DataError, "2 of 4 values"),
        (torch.full((3, 4, 4), np.nan), DataError, "48 of 48"),
        (np.zeros((3, 32, 32), np.uint8), DataError, "np.moveaxis"),
        (torch.zeros(32, 32, 3), DataError, "permute"),
    ],
)
@pytest.mark.parametrize("edit", [Shift(), Brightness(), image_weak()], ids=["shift", "brightness", "weak"])
def test_what_is_no_picture_gets_the_sentence(x, error, told, edit):
    with pytest.raises(error) as caught:
        edit(x, random_state=0)
    assert told in str(caught.value)
    assert str(caught.value).count("\n") == 0
    with pytest.raises(error):
        edit.edit_many([ORDINARY, x], ItemKeys(0, 0, np.arange(2)))


def test_a_corrupt_file_gets_the_sentence(tmp_path):
    path = tmp_path / "broken.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    for edit in (Shift(), image_weak()):
        with Image.open(path) as picture, pytest.raises(DataError, match="must be readable"):
            edit(picture, random_state=0)


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "F", "I", "I;16"]
)
def test_every_mode_of_pil(mode):
    if mode in ("I;16", "LA", "F"):
        array = {"I;16": ORDINARY[..., 0].astype(np.uint16) * 200, "F": ORDINARY[..., 0] / np.float32(255)}
        picture = Image.fromarray(array.get(mode, ORDINARY[..., :2]))
    else:
        picture = Image.fromarray(ORDINARY).convert(mode)
    assert picture.mode == mode
    for edit in (FlipLeftRight(), Brightness(0.2), Erasing(0.3)):
        edited = edit(picture, random_state=0)
        assert edited.mode == ("RGB" if mode == "P" else mode)
        assert edited.size == picture.size
    if mode not in ("P", "YCbCr", "HSV", "CMYK"):
        flipped = FlipLeftRight()(picture)
        np.testing.assert_array_equal(np.asarray(flipped), np.asarray(picture)[:, ::-1])
    if mode in ("RGBA", "LA"):
        lighter = np.asarray(Brightness(0.2)(picture))
        np.testing.assert_array_equal(lighter[..., -1], np.asarray(picture)[..., -1])
        assert (lighter[..., :-1] >= np.asarray(picture)[..., :-1]).all()


def test_tensors_come_back_with_type_and_device():
    from torchvision import tv_tensors

    x = tv_tensors.Image(torch.from_numpy(ORDINARY).permute(2, 0, 1))
    flipped = FlipLeftRight()(x)
    assert isinstance(flipped, tv_tensors.Image)
    assert torch.equal(flipped.as_subclass(torch.Tensor), x.as_subclass(torch.Tensor).flip(2))
    half = torch.rand(3, 5, 5).to(torch.bfloat16)
    assert torch.equal(FlipLeftRight()(half), half.flip(2))
    same_sides = torch.arange(27, dtype=torch.uint8).reshape(3, 3, 3)
    assert torch.equal(FlipLeftRight()(same_sides), same_sides.flip(2))
    assert torch.equal(image_weak(shift=0, tone=0)(same_sides, random_state=0), same_sides)
    wants_grad = torch.rand(1, 4, 4, requires_grad=True)
    assert not FlipLeftRight()(wants_grad).requires_grad


def test_results_are_not_the_input_nor_each_other():
    x = ORDINARY.copy()
    FlipLeftRight()(x)[:] = 0
    Shift(0)(x)[:] = 0
    Brightness(0)(x)[:] = 0
    np.testing.assert_array_equal(x, ORDINARY)


@pytest.mark.parametrize("policy", [image_weak, image_medium, image_strong])
def test_policies_at_no_strength_change_little(policy):
    grey = np.full((28, 28), 100, np.uint8)
    for seed in range(5):
        edited = policy()(grey, random_state=seed)
        assert edited.shape == grey.shape
    np.testing.assert_array_equal(image_weak(shift=0, tone=0)(ORDINARY, random_state=1), ORDINARY)


def test_weak_moves_a_digit_by_at_most_a_pixel_and_mirrors_nothing():
    digit = np.zeros((28, 28), np.uint8)
    digit[5:20, 8:12] = 200
    digit[18:20, 8:20] = 200
    for seed in range(40):
        edited = image_weak(tone=0)(digit, random_state=seed)
        moved = [np.roll(digit, (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        assert any((edited == m).all() for m in moved)


@pytest.mark.parametrize("kind", ["image_randaugment", "image_trivialaugment"])
def test_torchvisions_policies_are_drawn_by_key(kind):
    policy = registry.build("perturbation", kind)
    draws = [policy.apply(ORDINARY, policy.draw(ORDINARY, KeyedGenerator().seat(s))) for s in (0, 0, 1, 2, 3)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert draws[0].shape == ORDINARY.shape
    assert draws[0].dtype == np.uint8
    assert any((d != draws[0]).any() for d in draws[2:])


def test_registered_kinds_are_the_classes():
    for kind in (
        "affine",
        "blur",
        "colour",
        "erasing",
        "flip_up_down",
        "gaussian_noise",
        "jpeg",
        "resized_crop",
    ):
        edited = registry.build("perturbation", kind)(ORDINARY, random_state=0)
        assert edited.shape == ORDINARY.shape
