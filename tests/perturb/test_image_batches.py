"""Batches of pictures: to the last bit what one after the other gives, in any container."""

import numpy as np
import pytest
import torch
from PIL import Image

from augsynth.core.random import ItemKeys
from augsynth.perturb import Compose, Maybe, OneOf
from augsynth.perturb.geometry import FlipLeftRight, FlipUpDown, ResizedCrop, Shift
from augsynth.perturb.image import Brightness, BrightnessContrast, Colour, Contrast
from augsynth.perturb.image_policies import image_medium, image_strong, image_weak
from augsynth.perturb.image_quality import Blur, Erasing, GaussianNoise, JpegCompression
from augsynth.perturb.warps import Affine, Rotate

EDITS = [
    FlipLeftRight(),
    FlipUpDown(),
    Shift((-0.6, 0.6), (-0.6, 0.6)),
    Shift((-0.6, 0.6), fill="reflect"),
    Shift(fill="wrap"),
    Shift((-0.6, 0.6), fill=0.25),
    Rotate((-90, 90)),
    Affine(fill="reflect"),
    Affine(fill=1),
    ResizedCrop((0.2, 1)),
    Brightness(),
    Contrast((0, 3)),
    BrightnessContrast(),
    Colour((-90, 90)),
    Blur((0, 2)),
    GaussianNoise(),
    JpegCompression(),
    Erasing(),
    Erasing(fill="mean"),
    Erasing(fill="noise"),
    image_weak(),
    image_medium(),
    image_strong(),
    Compose([OneOf([Maybe(Blur()), Brightness()]), Shift()]),
]
SHAPES = [(12, 9), (7, 16, 3), (12, 9, 1), (8, 8, 4), (5, 6, 7), (1, 1, 3)]
FORMS = [(dtype, shape) for dtype in ("uint8", "float32", "float64") for shape in SHAPES]
FORMS += [(dtype, shape) for dtype in ("uint16", "float16", "int64", "bool") for shape in SHAPES[:2]]
N = 9  # from 8 on, numbers of a batch are drawn at once


def name_of(edit):
    return type(edit).__name__


def pictures(rng, dtype, shape, n=N):
    """Random pictures with a flat one, a tiny range, and (for floats) one of normalised values."""
    if np.dtype(dtype).kind == "f":
        x = rng.random((n, *shape)).astype(dtype)
        x[1] = 0.5
        x[2] = (x[2] - 0.4) * 3
    else:
        x = rng.integers(0, 256, (n, *shape)).astype(dtype)
        x[1] = 1
    return x


def one_by_one(edit, xs, keys):
    return [edit.apply(x, edit.draw(x, keys.at(k))) for k, x in enumerate(xs)]


def keys_of(n=N):
    return ItemKeys(5, 2, np.arange(n) * 3, 1)


def as_arrays(xs):
    return [np.asarray(x) for x in xs]


@pytest.mark.parametrize("edit", EDITS, ids=name_of)
@pytest.mark.parametrize(("dtype", "shape"), FORMS)
def test_stacks_and_lists_of_arrays(edit, dtype, shape):
    x = pictures(np.random.default_rng(0), dtype, shape)
    before = x.copy()
    x.setflags(write=False)
    expected = one_by_one(edit, x, keys_of())
    assert all(e.dtype == x.dtype and e.shape == shape for e in expected)
    together = edit.edit_many(x, keys_of())
    assert isinstance(together, np.ndarray)
    np.testing.assert_array_equal(together, np.stack(expected))
    listed = edit.edit_many(list(x), keys_of())
    assert isinstance(listed, list)
    np.testing.assert_array_equal(np.stack(listed), np.stack(expected))
    np.testing.assert_array_equal(x, before)
    for picture, edited in zip(x, expected, strict=True):  # the range is kept
        if dtype.startswith("float") and picture.min() >= 0 and picture.max() <= 1 and not _fills(edit):
            assert edited.min() >= 0
            assert edited.max() <= 1


def _fills(edit):
    return getattr(edit, "fill", "") == 1


@pytest.mark.parametrize("edit", EDITS, ids=name_of)
@pytest.mark.parametrize("kind", ["L", "RGB", "RGBA", "uint8", "float32", "float16", "tensor 2d"])
def test_containers(edit, kind):
    rng = np.random.default_rng(1)
    if kind in ("L", "RGB", "RGBA"):
        shape = {"L": (10, 13), "RGB": (10, 13, 3), "RGBA": (10, 13, 4)}[kind]
        xs = [Image.fromarray(x) for x in pictures(rng, "uint8", shape)]
    else:
        shape = (10, 13) if kind == "tensor 2d" else (10, 13, 3)
        arrays = pictures(rng, "float32" if "d" in kind else kind, shape)
        xs = [torch.from_numpy(np.moveaxis(a, -1, 0).copy() if a.ndim == 3 else a) for a in arrays]
    expected = one_by_one(edit, xs, keys_of())
    together = edit.edit_many(xs, keys_of())
    for x, one, other in zip(xs, expected, together, strict=True):
        assert type(one) is type(x) is type(other)
        if isinstance(x, Image.Image):
            assert one.mode == other.mode == x.mode
            assert one.size == x.size
        else:
            assert one.dtype == other.dtype == x.dtype
            assert one.shape == x.shape
    for one, other in zip(as_arrays(expected), as_arrays(together), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("edit", EDITS, ids=name_of)
def test_a_tensor_and_a_pil_image_are_edited_as_the_array_is(edit):
    array = pictures(np.random.default_rng(2), "uint8", (11, 14, 3))[0]
    params = edit.draw(array, keys_of().at(0))
    expected = edit.apply(array, params)
    np.testing.assert_array_equal(np.asarray(edit.apply(Image.fromarray(array), params)), expected)
    tensor = torch.from_numpy(np.moveaxis(array, -1, 0).copy())
    np.testing.assert_array_equal(edit.apply(tensor, params).numpy(), np.moveaxis(expected, -1, 0))
    wide = np.zeros((11, 28, 3), np.uint8)  # a view that is not contiguous
    wide[:, ::2] = array
    np.testing.assert_array_equal(edit.apply(wide[:, ::2], params), expected)


@pytest.mark.parametrize("edit", EDITS, ids=name_of)
def test_lists_of_several_sizes_and_of_large_pictures(edit):
    rng = np.random.default_rng(3)
    for shapes in ([(9, 9, 3), (5, 7, 3), (9, 9)], [(160, 150, 3)] * 2):
        xs = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
        keys = keys_of(len(xs))
        for one, other in zip(one_by_one(edit, xs, keys), edit.edit_many(xs, keys), strict=True):
            np.testing.assert_array_equal(one, other)


def test_empty_batches():
    assert Shift().edit_many([], ItemKeys(0, 0, np.arange(0))) == []
    assert image_weak().edit_many([], ItemKeys(0, 0, np.arange(0))) == []
