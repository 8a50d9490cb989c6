"""Edits of pictures: what they do to pixels, by hand, and that draws are what they say."""

import colorsys

import numpy as np
import pytest
from sklearn.base import clone

from augsynth.core.errors import ParameterError
from augsynth.core.random import ItemKeys, KeyedGenerator
from augsynth.perturb import image
from augsynth.perturb.geometry import FlipLeftRight, FlipUpDown, ResizedCrop, Shift
from augsynth.perturb.image import Brightness, BrightnessContrast, Colour, Contrast
from augsynth.perturb.image_quality import Blur, Erasing, GaussianNoise, JpegCompression
from augsynth.perturb.warps import Affine, Rotate

DTYPES = ["uint8", "uint16", "float32", "float64"]


def noise(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    return rng.random(shape).astype(dtype) if kind == "f" else rng.integers(0, 256, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1, 3), (4, 7, 1), (5, 5, 3), (6, 3, 4), (3, 4, 9)])
def test_flips(dtype, shape):
    x = noise(shape, dtype)
    np.testing.assert_array_equal(FlipLeftRight()(x), x[:, ::-1])
    np.testing.assert_array_equal(FlipUpDown()(x), x[::-1])


@pytest.mark.parametrize("fill", ["edge", "reflect", "wrap", 3, (3, 1, 2)])
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_shift_is_padding_and_cropping(fill, dtype):
    for height, width in [(1, 1), (1, 4), (5, 6), (8, 3)]:
        x = noise((height, width, 3), dtype)
        space = ((height, height), (width, width), (0, 0))
        if isinstance(fill, str):
            padded = np.pad(x, space, mode=fill)
        else:
            padded = np.broadcast_to(np.asarray(fill, dtype), (3 * height, 3 * width, 3)).copy()
            padded[height : 2 * height, width : 2 * width] = x
        for right in range(-width, width + 1):
            for down in range(-height, height + 1):
                moved = Shift(right / width, down / height, fill=fill)(x)
                expected = padded[height - down : 2 * height - down, width - right : 2 * width - right]
                np.testing.assert_array_equal(moved, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("side", [1, 2, 7, 8])
def test_quarter_turns_are_exact(dtype, side):
    for channels in (1, 3, 5):
        x = noise((side, side, channels), dtype)
        for k in (-2, -1, 1, 2, 3):
            for fill in ("edge", 0):
                np.testing.assert_array_equal(Rotate(90 * k, fill=fill)(x), np.rot90(x, k))


def test_affine_on_a_ramp():
    """A linear picture shows where each pixel came from: value = column + 100 * row."""
    x = np.add.outer(100.0 * np.arange(21), np.arange(21.0))
    inner = (slice(6, 15), slice(6, 15))
    rows, columns = np.mgrid[6:15, 6:15].astype(float)
    close = {"rtol": 0, "atol": 0.2}
    double = Affine(0, scale=2, shear_degrees=0, shift=0)(x)[inner]
    np.testing.assert_allclose(double, 100 * (10 + (rows - 10) / 2) + 10 + (columns - 10) / 2, **close)
    shifted = Affine(0, scale=1, shear_degrees=0, shift=2 / 21)(x)[inner]
    np.testing.assert_allclose(shifted, 100 * (rows - 2) + columns - 2, **close)
    lean = Affine(0, scale=1, shear_degrees=45, shift=0)(x)[inner]  # what lies above goes to the right
    np.testing.assert_allclose(lean, 100 * rows + columns + (rows - 10), **close)
    angle = np.deg2rad(30)
    right, down = columns - 10, rows - 10
    from_right = np.cos(angle) * right - np.sin(angle) * down
    from_down = np.sin(angle) * right + np.cos(angle) * down
    turned = Affine(30, scale=1, shear_degrees=0, shift=0)(x)[inner]
    np.testing.assert_allclose(turned, 100 * (10 + from_down) + 10 + from_right, rtol=0, atol=3.5)
    np.testing.assert_array_equal(Rotate(30)(x), Affine(30, scale=1, shear_degrees=0, shift=0)(x))


def test_resized_crop_of_a_ramp():
    x = np.tile(np.arange(16.0), (16, 1))
    edit = ResizedCrop(0.25, ratio=1)
    params = edit.draw(x, KeyedGenerator().seat(3))
    left = int(params["x"] * 9)
    expected = left + np.clip((np.arange(16) + 0.5) / 2 - 0.5, 0, 7)
    np.testing.assert_allclose(edit.apply(x, params), np.tile(expected, (16, 1)))


def test_tones_by_hand():
    x = np.array([[0, 10, 100, 250]], dtype=np.uint8)
    assert Brightness(0.1)(x).tolist() == [[26, 36, 126, 255]]  # 25.5 each, halves to even: 35.5 is 36
    assert Brightness(-0.1)(x).tolist() == [[0, 0, 74, 224]]
    assert Contrast(2)(x).tolist() == [[0, 0, 110, 255]]  # about the mean, 90
    assert Contrast(0)(x).tolist() == [[90, 90, 90, 90]]
    assert BrightnessContrast(0.2, contrast=0.5)(x).tolist() == [[96, 101, 146, 221]]
    wide = x.astype(np.uint16)
    assert Brightness(0.1)(wide).tolist() == [[6554, 6564, 6654, 6804]]
    np.testing.assert_allclose(Contrast(2)(x / 255), np.clip((2.0 * x - 90) / 255, 0, 1))
    normalised = np.array([[-2.0, 0.0, 4.0]])  # the range that is seen is 6
    np.testing.assert_allclose(Brightness(0.5)(normalised), [[1, 3, 4]])


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_every_byte_is_mapped_along_the_line(dtype):
    values = np.arange(256.0)
    x = values.astype(np.uint8) if dtype == "uint8" else (values / 255).astype(dtype)
    one = 1.0 if dtype == "uint8" else 255.0
    edit = BrightnessContrast((-0.5, 0.5), contrast=(0.25, 4))
    worst = 0.0
    for seed in range(50):
        params = edit.draw(x, KeyedGenerator().seat(seed))
        exact = params["factor"] * (values - 127.5) + 127.5 + params["amount"] * 255
        edited = edit.apply(x.reshape(16, 16), params).ravel() * one
        worst = max(worst, np.abs(edited - np.clip(exact, 0, 255)).max())
    assert worst <= {"uint8": 0.5 + 1e-4, "float32": 1e-3, "float64": 1e-9}[dtype]


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_colour_keeps_greys_and_luma_and_turns_hues(dtype):
    top = 255 if dtype == "uint8" else 1
    grey = np.repeat((np.arange(256)[None, :, None] / 255 * top).astype(dtype), 3, axis=2)
    np.testing.assert_array_equal(Colour((-180, 180), saturation=(0, 3))(grey, random_state=1), grey)
    np.testing.assert_array_equal(Colour(90)(grey[..., :1], random_state=1), grey[..., :1])
    np.testing.assert_array_equal(Colour(90)(grey[..., 0], random_state=1), grey[..., 0])
    rgb = (np.array([[[0.6, 0.4, 0.4], [0.4, 0.6, 0.4], [0.4, 0.4, 0.6]]]) * top).astype(dtype)
    luma = np.array([0.299, 0.587, 0.114])
    step = 1 / 255 if dtype == "uint8" else 1e-6
    for degrees in (-30, 30):
        turned = Colour(degrees, saturation=1)(rgb)
        np.testing.assert_allclose(turned @ luma / top, rgb @ luma / top, atol=step)
        for before, after in zip(rgb[0] / top, turned[0] / top, strict=True):
            change = colorsys.rgb_to_hsv(*after)[0] - colorsys.rgb_to_hsv(*before)[0]
            change = (change * 360 + 180) % 360 - 180
            assert 10 < np.sign(degrees) * change < 50
    paler = Colour(0, saturation=0)(rgb).astype(float)
    np.testing.assert_allclose(paler / top, np.repeat((rgb @ luma / top)[..., None], 3, 2), atol=step)
    alpha = np.concatenate([rgb, rgb[..., :1]], axis=2)
    np.testing.assert_array_equal(Colour(30)(alpha, random_state=0)[..., 3], alpha[..., 3])


def test_blur_is_the_gaussian():
    x = np.zeros((31, 31, 5))
    x[15, 15] = 1
    blurred = Blur(2)(x)
    offsets = np.arange(-15, 16)
    bell = np.where(abs(offsets) <= 6, np.exp(-0.5 * (offsets / 2) ** 2), 0)
    expected = np.outer(bell, bell) / bell.sum() ** 2
    np.testing.assert_allclose(blurred, np.repeat(expected[..., None], 5, 2), atol=1e-12)
    flat = np.full((9, 9, 3), 77, np.uint8)
    np.testing.assert_array_equal(Blur(3)(flat), flat)
    np.testing.assert_array_equal(Blur(0)(noise((4, 4), "uint8")), noise((4, 4), "uint8"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_noise_has_its_deviation_and_is_each_pictures_own(dtype):
    top = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    x = np.full((128, 128, 3), top / 2).astype(dtype)
    first, second = (GaussianNoise(0.1)(x, random_state=s).astype(float) / top - 0.5 for s in (0, 1))
    n = first.size
    assert abs(first.std() - 0.1) < 4 * 0.1 / np.sqrt(2 * n)  # standard error of a deviation
    assert abs(first.mean()) < 4 * 0.1 / np.sqrt(n) + 0.5 / 255
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 4 / np.sqrt(n)
    np.testing.assert_array_equal(GaussianNoise(0)(x), x)


def test_jpeg_loses_more_at_lower_quality_and_keeps_colours_in_order():
    x = np.zeros((32, 32, 3), np.uint8)
    x[..., 0], x[..., 1] = np.arange(32) * 8, 40
    losses = [np.abs(JpegCompression(q)(x).astype(int) - x).mean() for q in (95, 50, 5)]
    assert losses[0] < losses[1] < losses[2]
    assert losses[0] < 2
    floats = JpegCompression(95)(x / np.float32(255))
    np.testing.assert_allclose(floats * 255, JpegCompression(95)(x), atol=1e-3)
    drawn = JpegCompression((50, 52)).parameters(np.linspace(0, 1, 300, endpoint=False)[:, None])["quality"]
    assert np.unique(drawn, return_counts=True)[1].tolist() == [100, 100, 100]


def test_erasing_hides_the_area_it_says():
    x = np.full((40, 60), 200, np.uint8)
    edit = Erasing((0.05, 0.3), ratio=(0.5, 2))
    for seed in range(50):
        params = edit.draw(x, KeyedGenerator().seat(seed))
        hidden = edit.apply(x, params) == 0
        rows, columns = hidden.any(1).sum(), hidden.any(0).sum()
        assert hidden.sum() == rows * columns  # one rectangle
        assert abs(rows - 40 * np.sqrt(params["area"] / params["ratio"])) <= 0.5
        assert abs(columns - 60 * np.sqrt(params["area"] * params["ratio"])) <= 0.5
    half = np.zeros((8, 8, 3))
    half[:4] = 1
    mean = Erasing(1, ratio=1, fill="mean")(half)
    np.testing.assert_allclose(mean, 0.5)
    colour = Erasing(1, ratio=1, fill=(1, 0.5, 0))(half)
    np.testing.assert_array_equal(colour[0, 0], [1, 0.5, 0])


UNIFORM = {
    "Shift.x": (Shift((-0.3, 0.1)), "x", (-0.3, 0.1), False),
    "Shift.y": (Shift(y=(0, 0.2)), "y", (0, 0.2), False),
    "Rotate": (Rotate((-20, 40)), "degrees", (-20, 40), False),
    "Affine.scale": (Affine(scale=(0.5, 2)), "scale", (0.5, 2), True),
    "Affine.shear": (Affine(), "shear_degrees", (-5, 5), False),
    "ResizedCrop.area": (ResizedCrop((0.3, 0.9)), "area", (0.3, 0.9), False),
    "ResizedCrop.ratio": (ResizedCrop(), "ratio", (0.8, 1.25), True),
    "Brightness": (Brightness(), "amount", (-0.2, 0.2), False),
    "Contrast": (Contrast((0.5, 2)), "factor", (0.5, 2), True),
    "Contrast from 0": (Contrast((0, 2)), "factor", (0, 2), False),
    "Colour": (Colour(), "hue_degrees", (-15, 15), False),
    "Blur": (Blur(), "sigma_px", (0, 1), False),
    "Noise": (GaussianNoise(), "sigma", (0.01, 0.05), False),
    "Erasing": (Erasing(), "x", (0, 1), False),
}


@pytest.mark.parametrize("name", UNIFORM)
def test_draws_are_even_within_their_bounds(name):
    edit, parameter, (low, high), by_ratio = UNIFORM[name]
    n = 4000
    drawn = edit.parameters(ItemKeys(11, 0, np.arange(n)).uniforms(edit.n_uniforms))[parameter]
    assert drawn.min() >= low
    assert drawn.max() <= high
    u = np.log(drawn / low) / np.log(high / low) if by_ratio else (drawn - low) / (high - low)
    # Kolmogorov-Smirnov distance from uniform: 1.95 / sqrt(n) is exceeded once in 1,000
    distance = np.abs(np.sort(u) - (np.arange(n) + 0.5) / n).max()
    assert distance < 1.95 / np.sqrt(n)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (Shift((0.2, -0.2)), "least, most"),
        (Shift(2), "<= 1"),
        (Shift(fill="black"), "'edge', 'reflect', 'wrap'"),
        (Shift(fill=(1, 2)), "3 channels"),
        (Rotate("a lot"), "degrees"),
        (Affine(scale=0), "> 0"),
        (ResizedCrop(1.5), "<= 1"),
        (Brightness(None), "amount"),
        (Contrast(-1), ">= 0"),
        (Blur(np.inf), "sigma_px"),
        (JpegCompression(50.5), "whole number"),
        (JpegCompression((0, 50)), ">= 1"),
        (Erasing(fill="black"), "'mean', 'noise'"),
    ],
)
def test_parameters_that_make_no_sense(edit, told):
    with pytest.raises(
        ParameterError, match=type(edit).__name__ if "channels" not in told else "fill"
    ) as error:
        clone(edit)(np.ones((8, 8, 3)), random_state=4)
    assert told in str(error.value)


def test_bytes_are_mapped_alike_with_and_without_stringzilla(monkeypatch):
    x = noise((33, 21, 3), "uint8")
    stack = noise((9, 5, 7), "uint8")
    keys = ItemKeys(0, 0, np.arange(9))
    edit = BrightnessContrast((-0.5, 0.5), contrast=(0.2, 5))
    before = [edit(x, random_state=s) for s in range(9)], edit.edit_many(stack, keys)
    monkeypatch.setattr(image, "_byte_mapper", lambda: image._mapped_by_cv2)
    np.testing.assert_array_equal([edit(x, random_state=s) for s in range(9)], before[0])
    np.testing.assert_array_equal(edit.edit_many(stack, keys), before[1])
