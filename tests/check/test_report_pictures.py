"""Pictures as users hold them: of several sizes, in object arrays, in lists of PIL; and what is no picture."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from augsynth.check.gathering import gather
from augsynth.check.pictures import PixelsCheck
from augsynth.check.report.pictures import contact_sheets
from augsynth.core.errors import DataError, InputTypeError

Y = [0, 1] * 10


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(1, 255, shape).astype(np.uint8)


def held(pictures):
    box = np.empty(len(pictures), dtype=object)
    for i, each in enumerate(pictures):
        box[i] = each
    return box


def several(seed=0):
    return [pixels(8 + 4 * (i % 2), 6, seed=seed + i) for i in range(20)]


@pytest.mark.parametrize(
    "box",
    [
        list,
        held,
        lambda each: [Image.fromarray(x) for x in each],
        lambda each: held(list(map(Image.fromarray, each))),
    ],
)
def test_several_sizes_are_compared_shown_and_told(box):
    evidence = gather(box(several()), Y, box(several(50)), Y, holdout=(box(several(99)), Y))
    [note] = [each for each in evidence.notes if "several sizes" in each]
    assert "(height x width: 8 x 6, 12 x 6)" in note and "resize or crop" in note
    assert np.isfinite(evidence.train.z).all()
    assert np.isfinite(PixelsCheck().run(evidence, np.random.default_rng(0)).value)
    drawn = re.findall(r"base64,([^\"]+)", contact_sheets(evidence))
    sheets = [np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))) for each in drawn]
    # the real pictures of class 0 are all low, those of class 1 high; 8 of them stand in each line
    assert [sheet.shape for sheet in sheets] == [(18, 56, 4), (18, 56, 4), (26, 56, 4), (26, 56, 4)]
    mixed = gather(box(several()), None, box(several(50)), None)
    sheet = Image.open(io.BytesIO(base64.b64decode(re.findall(r"base64,([^\"]+)", contact_sheets(mixed))[0])))
    shown = np.asarray(sheet)[:12, :6]  # the first picture, 8 high, in the middle of a place 12 high
    assert (
        (shown[:2, :, 3] == 0).all() and (shown[2:10, :, 3] == 255).all() and (shown[2:10, :, :3] > 0).any()
    )


def test_an_object_array_of_one_size_is_a_stack():
    stack = pixels(20, 8, 8)
    one, two = (gather(each, Y, stack[::-1] // 2, Y) for each in (held(list(stack)), stack))
    assert np.array_equal(one.train.z, two.train.z) and one.train.X.shape == (20, 8, 8)
    assert not one.notes
    numbers, same = (gather(stack.astype(kind), Y, stack // 2, Y) for kind in (object, int))
    assert np.array_equal(numbers.train.z, same.train.z)


GOOD = [pixels(8, 8, seed=i) for i in range(19)]


@pytest.mark.parametrize(
    "bad, words",
    [
        ([*GOOD, None], "given None at 19"),
        (held([None, *GOOD]), "given None at 0"),
        ([*GOOD, pixels(0, 8)], r"an empty picture, shape \(0, 8\) at 19"),
        ([*GOOD, pixels(64)], r"shape \(64,\) at 19"),
        ([*GOOD, "a.png"], "'a.png' at 19"),
        ([pixels(2, 8, 8, 3)] * 20, r"shape \(2, 8, 8, 3\) at 0"),
        ([np.full((8, 8), np.nan), *GOOD], "64 pixels that are NaN or infinite at 0"),
        (np.full((20, 8, 8), np.inf), "1,280 pixels that are NaN or infinite"),
        ([np.full((8, 8), "a")] * 20, "given dtype <U1 at 0"),
        (np.ones((20, 8, 8)) * 1j, "given dtype complex128"),
        (["a.png"] * 20, "the same kind of rows; given image in X and text in"),
    ],
)
@pytest.mark.parametrize("place", ["X_new", "holdout"])
def test_what_is_no_picture_is_said_with_its_place(bad, words, place):
    real = pixels(20, 8, 8)
    given = {"X_new": (bad, None), "holdout": (real[::-1], bad)}[place]
    held_out = None if given[1] is None else (given[1], Y)
    with pytest.raises(DataError, match=words) as raised:
        gather(real, Y, given[0], Y, holdout=held_out)
    assert place in str(raised.value) and str(raised.value).startswith("report: ")


def test_rows_must_be_a_container():
    with pytest.raises(InputTypeError, match="X must be rows"):
        gather((each for each in GOOD), None, GOOD, None)


def test_pictures_that_are_all_alike_have_no_figure_to_differ():
    same = np.tile(np.arange(16, dtype=np.uint8).reshape(4, 4), (20, 1, 1))
    found = PixelsCheck().run(gather(same, Y, same[:12].copy(), Y[:12]), np.random.default_rng(0))
    assert np.isnan(found.value) and "varies" in found.caution
