"""check_perturbation finds each way to break the contract."""

# ruff: noqa: NPY002 (a perturbation that reads the legacy generator is what is tested)

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from augsynth.perturb import Compose, Maybe, Perturbation, as_perturbation
from augsynth.perturb.albumentations_tree import library
from augsynth.testing import check_perturbation, perturbation_checks

A = library()
PICTURE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


class Shifted(Perturbation):
    """Adds a number: right."""

    def draw(self, x, rng):
        return {"amount": int(rng.integers(1, 9))}

    def apply(self, x, params):
        return x + np.uint8(params["amount"])


class InPlace(Shifted):
    def apply(self, x, params):
        x += np.uint8(params["amount"])
        return x


class Global(Shifted):
    def draw(self, x, rng):
        rng.random()
        np.random.rand()
        return super().draw(x, rng)


class Counting(Shifted):
    def draw(self, x, rng):
        self.n = getattr(self, "n", 0) + 1
        return {"amount": self.n}


class Widening(Shifted):
    def apply(self, x, params):
        return x.astype(np.float32)


class Cropping(Shifted):
    def apply(self, x, params):
        return x[:-1]


class Listing(Shifted):
    def apply(self, x, params):
        return x.tolist()


class WrongBatch(Shifted):
    def edit_many(self, xs, keys):
        return [self.apply(x, self.draw(x, keys.at(0))) for x in xs]


class Eating(Shifted):
    def apply(self, x, params):
        return x + np.uint8(params.pop("amount", 0))


class Holding(Shifted):
    def __init__(self, function=None):
        self.function = function


@pytest.mark.parametrize(
    ("perturbation", "text"),
    [
        (InPlace(), "changed its input"),
        (Global(), "global generators were used: numpy"),
        (Counting(), "the same key gave another edit"),
        (Widening(), "apply returned float32, not uint8"),
        (Cropping(), r"shape \(11, 16, 3\), not \(12, 16, 3\)"),
        (Listing(), "returned list, not ndarray"),
        (WrongBatch(), "edit_many of a list differs"),
        (Eating(), "changed its parameters"),
    ],
)
def test_each_break_is_found(perturbation, text):
    with pytest.raises(AssertionError, match=text):
        check_perturbation(perturbation, PICTURE)


def test_what_cannot_be_imported_is_named():
    with pytest.raises(ValueError, match=r"a lambda at .*\(at Holding.function\)"):
        check_perturbation(Holding(lambda x: x), PICTURE)


CASES = {
    "ours": Maybe(Compose([Shifted(), Shifted()]), p=0.5),
    "albumentations": as_perturbation(A.Compose([A.HorizontalFlip(p=0.5), A.Rotate((-20, 20), p=0.7)])),
    "torchvision": as_perturbation(v2.Compose([v2.RandomHorizontalFlip(), v2.ColorJitter(0.4)])),
    "function": as_perturbation(np.flip),
}


@pytest.mark.parametrize("name", CASES)
def test_good_ones_pass(name):
    check_perturbation(CASES[name], PICTURE)


@pytest.mark.parametrize("name", ["albumentations", "torchvision"])
def test_containers_pass(name):
    check_perturbation(CASES[name], torch.from_numpy(PICTURE).permute(2, 0, 1))
    check_perturbation(CASES[name], Image.fromarray(PICTURE))


def test_shapes_may_change_where_it_is_said():
    check_perturbation(as_perturbation(v2.Resize((6, 8))), PICTURE, same_shape=False)
    assert "shape_kept" not in dict(perturbation_checks(Shifted(), PICTURE, same_shape=False))
