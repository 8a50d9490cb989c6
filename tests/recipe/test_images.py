"""Images on disk: folders and .npz files, read whole or refused in a sentence."""

import numpy as np
import pytest
from PIL import Image

from augsynth.core.errors import DataError
from augsynth.recipe.images import holds_images, read_images

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pets"
    for i, name in enumerate(["cat", "dog", "cat", "dog"]):
        place = root / name / "deeper"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS[i]).save(place / f"{i}.PNG", format="png")
    (root / "cat" / "notes.txt").write_text("no image")
    (root / "cat" / "._0.png").write_text("a file system's own")
    (root / ".hidden").mkdir()
    return root


def test_class_folders(folder):
    images, labels = read_images(str(folder))
    np.testing.assert_array_equal(images, PIXELS[[0, 2, 1, 3]])
    assert labels.tolist() == ["cat", "cat", "dog", "dog"]
    assert holds_images(str(folder)) and holds_images("a.npz") and not holds_images("a.csv")


def test_class_folders_that_cannot_be_used(folder, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        read_images(str(tmp_path / "none"))
    with pytest.raises(DataError, match="2 images beside each other"):
        read_images(str(folder / "cat" / "deeper"))
    (folder / "dog" / "broken.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(DataError, match=r"broken\.png"):
        read_images(str(folder))
    Image.fromarray(PIXELS[0][:3]).save(folder / "dog" / "broken.png")
    with pytest.raises(DataError, match=r"one size.*\(3, 5, 3\) at item 2"):
        read_images(str(folder))


def test_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, images=PIXELS, labels=np.array(["a", "b", "a", "b"]))
    images, labels = read_images(str(path))
    np.testing.assert_array_equal(images, PIXELS)
    assert labels.tolist() == ["a", "b", "a", "b"]
    np.savez(path, images=PIXELS)
    assert read_images(str(path))[1] is None
    for arrays, told in [
        ({"x": PIXELS}, "arrays images and labels; given arrays 'x'"),
        ({"images": PIXELS, "labels": np.zeros(3)}, "4 images, labels of shape"),
        ({"images": PIXELS[0, 0]}, "must have the shape"),
        ({"images": np.array([{}], dtype=object)}, "cannot be read as arrays"),  # a pickle is never opened
    ]:
        np.savez(path, **arrays)
        with pytest.raises(DataError, match=told):
            read_images(str(path))
    path.write_bytes(b"PK broken")
    with pytest.raises(DataError, match="cannot be read as arrays"):
        read_images(str(path))
    with pytest.raises(DataError, match="no such file"):
        read_images(str(tmp_path / "b.npz"))


def test_the_digits_are_images_of_seventeen_levels():
    images, labels = read_images("sklearn:digits")
    assert images.shape == (1797, 8, 8) and images.dtype == np.uint8 and images.max() == 16
    assert set(labels) == set(range(10))
