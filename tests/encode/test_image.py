"""Images come back as they went in, and what cannot be an image is said."""

import numpy as np
import pytest
import torch

from augsynth.core.errors import DataError, InputTypeError
from augsynth.encode.image import ImageCodec, ImageLayout

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, size=(6, 5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("images", "layout"),
    [
        (BYTES, ImageLayout(3, 5, 7, 256)),
        (BYTES[..., 0], ImageLayout(1, 5, 7, 256)),
        (torch.from_numpy(BYTES.transpose(0, 3, 1, 2).copy()), ImageLayout(3, 5, 7, 256)),
        (np.ascontiguousarray(BYTES.transpose(0, 3, 1, 2)), ImageLayout(3, 5, 7, 256)),
        ((BYTES // 16)[..., 0].astype(np.float64), ImageLayout(1, 5, 7, 16)),
        ((BYTES // 16)[..., 0], ImageLayout(1, 5, 7, 16)),
        (BYTES[..., 0] > 100, ImageLayout(1, 5, 7, 2)),
        ((BYTES / 255.0).astype(np.float32), ImageLayout(3, 5, 7, 256)),
        ((BYTES / 127.5 - 1.0).astype(np.float32), ImageLayout(3, 5, 7, 256)),
        (torch.from_numpy(BYTES.transpose(0, 3, 1, 2).copy()).float() / 255, ImageLayout(3, 5, 7, 256)),
        (RNG.random((6, 5, 7)), ImageLayout(1, 5, 7, 0)),
        (RNG.normal(size=(6, 5, 7)) * 40, ImageLayout(1, 5, 7, 0)),
    ],
)
def test_round_trip(images, layout):
    codec = ImageCodec().fit(images)
    assert codec.layout == layout
    z = codec.encode(images)
    assert z.shape == (6, *layout.shape) and z.dtype == layout.dtype
    back = codec.decode(z)
    assert type(back) is type(images) and back.dtype == images.dtype and back.shape == images.shape
    np.testing.assert_allclose(np.asarray(back, dtype=float), np.asarray(images, dtype=float), atol=1e-4)
    if layout.levels and "float" not in str(images.dtype):
        assert (np.asarray(back) == np.asarray(images)).all()


def test_constant_images_come_back():
    images = np.full((4, 3, 3), 7.0)
    codec = ImageCodec().fit(images)
    assert (codec.decode(codec.encode(images)) == 7.0).all()


@pytest.mark.parametrize(
    ("images", "error", "words"),
    [
        (np.full((2, 3, 3), np.nan), DataError, "finite"),
        (np.zeros((2, 9, 9, 9)), DataError, "1 to 4 channels"),
        (np.zeros((2, 0, 3)), DataError, "at least one pixel"),
        (np.zeros((0, 5, 3)), DataError, "at least one image"),
        ([np.zeros((2, 2)), np.zeros((3, 2))], DataError, "one size"),
        (np.array([[["a"]]]), InputTypeError, "numbers"),
        (np.zeros((2, 3, 3), dtype=complex), InputTypeError, "numbers"),
    ],
)
def test_bad_images_are_refused_in_words(images, error, words):
    with pytest.raises(error, match=words):
        ImageCodec().fit(images)


def test_another_size_is_refused():
    codec = ImageCodec().fit(np.zeros((2, 4, 4)) + np.arange(4))
    with pytest.raises(DataError, match="height and width"):
        codec.encode(np.zeros((2, 5, 4)))
