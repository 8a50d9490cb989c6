"""Policies of other libraries, by name, and as functions: keyed, replayable, leaving nothing behind."""

# ruff: noqa: NPY002 (functions that read the legacy generators are what is tested)

import functools
import json
import os
import pickle
import random
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from torchvision import transforms as v1
from torchvision import tv_tensors
from torchvision.transforms import v2

from augsynth.core.errors import DataError, InputTypeError, ParameterError
from augsynth.core.isolation import global_states
from augsynth.core.random import ItemKeys, Streams, item_rng
from augsynth.datasets.base import as_plain
from augsynth.perturb import Compose, Maybe
from augsynth.perturb.albumentations import AlbumentationsPerturbation
from augsynth.perturb.albumentations_tree import KeyedRandom, library
from augsynth.perturb.foreign import as_perturbation, check_importable
from augsynth.perturb.function import FunctionPerturbation
from augsynth.perturb.torchvision import TorchvisionPerturbation

A = library()
PICTURE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def with_rng(x, rng):
    return x + rng.random()


def with_globals(x):
    return x + random.random() + np.random.rand() + float(torch.rand(()))


def in_place(x):
    x += 1
    return x


class Scaled:
    def __init__(self, function):
        self.function = function

    def __call__(self, x):
        return self.function(x)


def lambda_transform(function):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of lambdas
        return A.Lambda(image=function, name="mine", p=1)


def noise(x, **parameters):
    return with_globals(x).astype(np.float32)


def nested():
    def inner(x):
        return x

    return inner


def edit(perturbation, k, x=PICTURE):
    return perturbation.apply(x, perturbation.draw(x, item_rng(3, 0, k)))


def edits(perturbation, n=40, x=PICTURE):
    return [np.asarray(edit(perturbation, k, x)) for k in range(n)]


def same(one, two):
    return len(one) == len(two) and all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def albumentations_policy(flip=True):
    steps = [A.Affine(translate_percent=(-0.4, 0.4), p=1), A.RandomBrightnessContrast(p=0.7)]
    return A.Compose([A.HorizontalFlip(p=0.5), *steps] if flip else steps)


def torchvision_policy(flip=True):
    steps = [v2.RandomAffine(0, translate=(0.4, 0.4)), v2.ColorJitter(0.5, 0.5)]
    return v2.Compose([v2.RandomHorizontalFlip(), *steps] if flip else steps)


POLICIES = {"albumentations": albumentations_policy, "torchvision": torchvision_policy}


@pytest.fixture(params=POLICIES)
def make(request):
    return POLICIES[request.param]


# -- what every adapter keeps ----------------------------------------------------------------


def test_edits_are_replayed_and_differ_between_keys(make):
    one, two = as_perturbation(make()), as_perturbation(make())
    before = global_states()
    made = edits(one)
    assert same(made, edits(two)) and same(made, edits(one))
    assert global_states() == before
    assert len({a.tobytes() for a in made}) == len(made)
    keys = ItemKeys(3, 0, np.arange(40))
    assert same(made, one.edit_many([PICTURE] * 40, keys))


def test_a_step_removed_leaves_the_draws_of_the_others(make):
    whole, part = as_perturbation(make()), as_perturbation(make(flip=False))
    shared = 0
    for k in range(40):
        params = whole.draw(PICTURE, item_rng(3, 0, k))
        plain = part.apply(PICTURE, params)
        full = whole.apply(PICTURE, params)
        mirrored = part.apply(PICTURE[:, ::-1].copy(), params)
        assert np.array_equal(full, plain) or np.array_equal(full, mirrored)
        shared += np.array_equal(full, plain)
    assert 8 <= shared <= 32  # flips are drawn with 0.5: 20 with a standard error of 3.2


def test_two_adapters_share_a_transform_and_it_stays_as_it_was(make):
    policy = make()
    before = repr(policy)
    one, two = as_perturbation(policy), as_perturbation(policy)
    alone = edits(one, 10)
    mixed = [(np.asarray(edit(one, k)), np.asarray(edit(two, k))) for k in range(10)]
    assert same(alone, [a for a, _ in mixed]) and same(alone, [b for _, b in mixed])
    assert repr(policy) == before


def test_threads_get_what_one_thread_gets(make):
    perturbation = as_perturbation(make())
    alone, seen = edits(perturbation, 12), {}
    threads = [
        threading.Thread(target=lambda k=k: seen.update({k: edits(perturbation, 12)})) for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(alone, seen[k]) for k in range(4))


def test_pickles_and_clones_edit_alike(make):
    perturbation = as_perturbation(make())
    made = edits(perturbation, 5)
    again = pickle.loads(pickle.dumps(perturbation))
    assert same(made, edits(again, 5)) and same(made, edits(clone(perturbation), 5))
    assert same(made, edits(pickle.loads(pickle.dumps(clone(again))), 5))


def test_containers_come_back_as_they_came(make):
    perturbation = as_perturbation(make())
    frozen = PICTURE.copy()
    frozen.flags.writeable = False
    grey, floats = PICTURE[:, :, 0], (PICTURE / 255).astype(np.float32)
    for x in (PICTURE, frozen, grey, grey[:, :, None], floats, floats.astype(np.float64)):
        before = x.copy()
        made = edit(perturbation, 1, x)
        assert type(made) is np.ndarray and made.dtype == x.dtype and made.shape == x.shape
        assert np.array_equal(x, before)
    for x in (torch.from_numpy(PICTURE).permute(2, 0, 1), torch.from_numpy(floats).permute(2, 0, 1)):
        before = x.clone()
        made = edit(perturbation, 1, x)
        assert type(made) is torch.Tensor and made.dtype == x.dtype and made.shape == x.shape
        assert torch.equal(x, before)
    wrapped = tv_tensors.Image(torch.from_numpy(PICTURE).permute(2, 0, 1))
    assert type(edit(perturbation, 1, wrapped)) is tv_tensors.Image
    for mode in ("RGB", "L"):
        made = edit(perturbation, 1, Image.fromarray(PICTURE).convert(mode))
        assert isinstance(made, Image.Image) and made.mode == mode and made.size == (16, 12)


def test_masks_and_boxes_move_with_the_picture():
    policies = (
        A.Compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5), A.GaussNoise(p=1), A.Resize(24, 32)]),
        v2.Compose(
            [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(), v2.ColorJitter(0.5), v2.Resize((24, 32))]
        ),
    )
    mask = np.zeros((12, 16), np.int64)
    mask[2:5, 9:12] = 300
    marks = {"mask": mask, "boxes": np.array([[9, 2, 12, 5]], np.float32), "labels": np.array([7])}
    for policy in policies:
        perturbation, seen = as_perturbation(policy), set()
        for k in range(12):
            params = perturbation.draw(PICTURE, item_rng(3, 0, k))
            assert perturbation.apply(PICTURE, params).shape == (24, 32, 3)
            moved = perturbation.apply_marks(marks, params, size=(12, 16))
            rows, columns = np.nonzero(moved["mask"])
            found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert moved["mask"].dtype == np.int64 and moved["mask"].max() == 300
            assert moved["boxes"].dtype == np.float32 and moved["labels"].tolist() == [7]
            assert np.allclose(moved["boxes"][0], found, atol=0.01)
            seen.add(tuple(found))
        assert len(seen) == 4
        assert mask.shape == (12, 16)


def test_boxes_that_leave_are_dropped_with_their_labels_and_masks():
    perturbation = as_perturbation(A.Crop(0, 0, 8, 12, p=1))
    marks = {"mask": np.ones((2, 12, 16), bool), "boxes": np.array([[9, 2, 12, 5], [1, 1, 4, 4]])}
    marks["labels"] = np.array([5, 6])
    moved = perturbation.apply_marks(marks, {"seed": 1}, size=(12, 16))
    assert moved["boxes"].tolist() == [[1, 1, 4, 4]] and moved["labels"].tolist() == [6]
    assert moved["mask"].shape == (1, 12, 8) and moved["mask"].dtype == bool


def test_marks_follow_a_chain_that_changes_the_size():
    chain = Compose([as_perturbation(v2.Resize((24, 32))), as_perturbation(A.HorizontalFlip(p=1))])
    params = chain.draw(PICTURE, item_rng(0, 0, 0))
    moved = chain.apply_marks({"boxes": np.array([[0.0, 0, 4, 4]])}, params, size=(12, 16))
    assert np.allclose(moved["boxes"], [[24, 0, 32, 8]]) and "mask" not in moved


def test_descriptions_tell_what_was_drawn():
    policy = A.Compose([A.Rotate((5, 9), p=1), A.OneOf([A.GaussianBlur(p=1), A.HorizontalFlip(p=1)], p=1)])
    perturbation = Compose([as_perturbation(policy)])
    for k in range(5):
        params = perturbation.draw(PICTURE, item_rng(3, 0, k))
        told = as_plain(perturbation.explain(PICTURE, params))["steps"][0]
        assert told["seed"] == params["steps"][0]["seed"] and json.dumps(told)
        assert [a["transform"] for a in told["applied"]][0] == "Rotate" and len(told["applied"]) == 2


# -- albumentations ---------------------------------------------------------------------------


def test_steps_of_nested_compositions_are_keyed_by_place():
    def policy(first):
        inner = A.SomeOf([A.HorizontalFlip(p=0.5), A.Transpose(p=0.5)], n=2)
        return A.Compose([*first, A.Sequential([inner], p=1)])

    square = PICTURE[:, :12]
    with_noise, without = (as_perturbation(policy(first)) for first in ([A.ToGray(p=0.5)], []))
    for k in range(20):
        grey = square[..., :1].repeat(3, 2)  # grey already: the first step changes nothing
        assert np.array_equal(edit(with_noise, k, grey), edit(without, k, grey))


def test_single_transforms_are_cloned_and_shown_like_estimators():
    policy = as_perturbation(A.Rotate((-20, 20), p=0.5))
    assert same(edits(policy, 8), edits(clone(policy), 8))
    assert set(Compose([policy]).get_params()) == {"perturbations"} and "Rotate" in repr(policy)
    assert set(policy.get_params()) == {"transform", "params"}


def test_python_draws_are_uniform_and_normal():
    generator = KeyedRandom(item_rng(0, 0, 0))
    whole = np.array([generator.randint(0, 9) for _ in range(4000)])
    assert np.abs(np.bincount(whole, minlength=10) - 400).max() < 5 * 19  # standard error 19
    assert abs(np.mean([generator.uniform(2, 4) for _ in range(4000)]) - 3) < 5 * 0.577 / 63
    generator.gauss_next = None
    assert abs(np.std([generator.gauss(0, 1) for _ in range(4000)]) - 1) < 5 / 89
    assert sorted(generator.sample(range(6), 6)) == list(range(6))
    assert 0 <= generator.getrandbits(100) < 2**100 and generator.randrange(2**70) < 2**70
    bits = np.array([generator.getrandbits(3) for _ in range(4000)])
    assert np.abs(np.bincount(bits, minlength=8) - 500).max() < 5 * 21


def test_stratified_copies_cover_the_range():
    policy = as_perturbation(A.Affine(translate_px={"x": (0, 15), "y": 0}, p=1))
    line = np.zeros((4, 16), np.uint8)
    line[:, 0] = 255
    for record in range(4):
        streams, places = Streams(1, stratified=8), []
        for copy in range(8):
            params = policy.draw(line, streams.at(0, record, copy))
            assert json.dumps(params)
            places.append(int(np.argmax(policy.apply(line, params)[0])))
        assert len({place // 2 for place in places}) >= 7  # alone, 8 draws would reach 5.2 of 8 strata


def test_functions_inside_albumentations_transforms_run_in_a_scope():
    policy = as_perturbation(A.Compose([lambda_transform(noise)]))
    before, x = global_states(), (PICTURE / 255).astype(np.float32)
    made = edits(policy, 4, x)
    assert same(made, edits(policy, 4, x)) and global_states() == before
    assert len({a.tobytes() for a in made}) == 4


def test_transforms_by_name():
    flip = as_perturbation({"kind": "albumentations", "transform": "HorizontalFlip", "params": {"p": 1.0}})
    assert np.array_equal(edit(flip, 0), PICTURE[:, ::-1])
    assert same(edits(flip, 3), edits(pickle.loads(pickle.dumps(flip)), 3))
    with pytest.raises(ParameterError, match=r"given 'HorizontalFlop'. Did you mean 'HorizontalFlip'\?"):
        AlbumentationsPerturbation("HorizontalFlop").fit(None)
    with pytest.raises(ParameterError, match=r"must be known; given 'limt'. Did you mean 'limit'\?"):
        AlbumentationsPerturbation("Rotate", params={"limt": 3}).fit(None)
    with pytest.raises(ParameterError, match="params must fit the transform; given .*height Field required"):
        AlbumentationsPerturbation("Resize").fit(None)
    with pytest.raises(ParameterError, match="name of a transform"):
        AlbumentationsPerturbation("Lambda").fit(None)
    with pytest.raises(ParameterError, match="params go with a name; given 'p'"):
        AlbumentationsPerturbation(A.NoOp(), params={"p": 1}).fit(None)


def test_bad_pictures_and_transforms_have_their_sentences():
    flip = as_perturbation(A.HorizontalFlip(p=1))
    for x, error, text in [
        (PICTURE.astype(np.int32), DataError, "uint8, uint16 or floats between 0 and 1; given int32"),
        (PICTURE[None], DataError, r"shape \(h, w\) or \(h, w, c\); given \(1, 12, 16, 3\)"),
        (np.full((4, 4), np.nan), DataError, "must be finite"),
        ("cat.png", InputTypeError, "given str"),
        (None, InputTypeError, "given NoneType"),
    ]:
        with pytest.raises(error, match=text):
            edit(flip, 0, x)
    with pytest.raises(DataError, match="able to edit the picture; given RandomCrop: .*64"):
        edit(as_perturbation(A.RandomCrop(64, 64)), 0)
    with pytest.raises(DataError, match="able to edit the picture; given RandomCrop: .*64"):
        edit(as_perturbation(v2.Compose([v2.RandomCrop(64)])), 0)
    with pytest.raises(
        ParameterError, match="nothing but the picture to draw; given MaskDropout, which needs 'mask'"
    ):
        as_perturbation(A.Compose([A.MaskDropout()]))
    assert edit(flip, 0, PICTURE[:1, :1]).shape == (1, 1, 3)


def test_the_switch_of_the_network_look_is_left_as_it_was(monkeypatch):
    monkeypatch.delenv("NO_ALBUMENTATIONS_UPDATE", raising=False)
    library.__wrapped__()
    assert "NO_ALBUMENTATIONS_UPDATE" not in os.environ
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "0")
    library.__wrapped__()
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "0"


def test_the_door_imports_no_library():
    code = (
        "import sys, augsynth.perturb.foreign as f; f.as_perturbation(len);"
        "assert not {'albumentations', 'torchvision', 'torch', 'cv2', 'audiomentations'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- torchvision ------------------------------------------------------------------------------


def test_version_one_runs_too_but_moves_no_masks():
    policy = as_perturbation(
        v1.Compose([v1.RandomHorizontalFlip(), v1.RandomOrder([v1.RandomVerticalFlip()])])
    )
    before = global_states()
    picture = Image.fromarray(PICTURE)
    made = edits(policy, 30, picture)
    assert same(made, edits(policy, 30, picture)) and global_states() == before
    assert len({a.tobytes() for a in made}) == 4
    with pytest.raises(ParameterError, match="need a transform of torchvision.transforms.v2"):
        policy.apply_marks({"mask": np.zeros((12, 16))}, {"seed": 1}, size=(12, 16))


def test_conversions_change_the_kind_as_the_library_does():
    to_tensor = as_perturbation(v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]))
    made = edit(to_tensor, 0, Image.fromarray(PICTURE))
    assert isinstance(made, torch.Tensor) and made.shape == (3, 12, 16) and made.max() <= 1
    inplace = as_perturbation(v2.Compose([v2.RandomErasing(p=1, inplace=True)]))
    x = torch.from_numpy(PICTURE).permute(2, 0, 1).clone()
    before = x.clone()
    assert not torch.equal(edit(inplace, 0, x), before) and torch.equal(x, before)


def test_sequentials_and_steps_for_boxes_run_too():
    steps = [v2.RandomHorizontalFlip(p=1), v2.ColorJitter(0.3)]
    one, two = as_perturbation(torch.nn.Sequential(*steps)), as_perturbation(v2.Compose(steps))
    assert isinstance(one, TorchvisionPerturbation) and edit(one, 0).shape == PICTURE.shape
    assert isinstance(as_perturbation(torch.nn.Sequential(torch.nn.Flatten())), FunctionPerturbation)
    tidy = as_perturbation(v2.Compose([*steps, v2.SanitizeBoundingBoxes(min_size=2)]))
    assert np.array_equal(edit(tidy, 0), edit(two, 0))
    marks = {"boxes": np.array([[0.0, 0, 4, 4], [5, 5, 6, 6]]), "labels": np.array([1, 2])}
    moved = tidy.apply_marks(marks, {"seed": 1}, size=(12, 16))
    assert moved["boxes"].tolist() == [[12, 0, 16, 4]] and moved["labels"].tolist() == [1]


def test_no_masks_at_all_are_moved():
    for policy in (A.Resize(6, 8), v2.Resize((6, 8))):
        marks = {"mask": np.zeros((0, 12, 16), bool), "boxes": np.zeros((0, 4)), "labels": np.zeros(0, int)}
        moved = as_perturbation(policy).apply_marks(marks, {"seed": 1}, size=(12, 16))
        assert (
            moved["mask"].shape == (0, 6, 8) and moved["boxes"].shape == (0, 4) and len(moved["labels"]) == 0
        )


def test_functions_inside_torchvision_transforms_run_in_the_whole_scope():
    policy = as_perturbation(v2.Compose([v2.Lambda(with_globals)]))
    before = global_states()
    assert (
        same(edits(policy, 4, PICTURE / 255), edits(policy, 4, PICTURE / 255)) and global_states() == before
    )
    assert isinstance(policy, TorchvisionPerturbation)


# -- functions, names, what cannot be imported ------------------------------------------------


@pytest.mark.parametrize(
    "function", [with_rng, with_globals, functools.partial(with_rng), Scaled(with_globals)]
)
def test_functions_are_keyed(function):
    perturbation = as_perturbation(function)
    before = global_states()
    x = np.zeros(3)
    made = edits(perturbation, 10, x)
    assert same(made, edits(perturbation, 10, x)) and global_states() == before
    assert len({float(a[0]) for a in made}) == 10
    assert same(made[:2], edits(clone(perturbation), 2, x))


def test_functions_may_change_their_argument():
    for x in (np.zeros(3), torch.zeros(3)):
        assert float(edit(as_perturbation(in_place), 0, x).sum()) == 3 and float(x.sum()) == 0


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (lambda x: x, r"given a lambda at .*test_foreign.py:\d+. Define it with def"),
        (nested(), r"given nested.inner at .*test_foreign.py:\d+, which is defined inside a function"),
        (functools.partial(lambda x, a: x, a=1), r"a lambda at .*\(at partial.func\)"),
        (Scaled(lambda x: x), r"a lambda at .*\(at Scaled.function\)"),
        ([Scaled(with_rng), lambda x: x], "a lambda at"),
        (
            A.Compose([lambda_transform(lambda x, **k: x)]),
            r"a lambda at .*\(at Compose.transforms\[0\]",
        ),
        (v2.Compose([v2.Lambda(lambda x: x)]), r"a lambda at .*\(at Compose.transforms\[0\].lambd\)"),
    ],
)
def test_what_workers_cannot_import_is_named(policy, text):
    with pytest.raises(ParameterError, match=text):
        as_perturbation(policy)
    with pytest.raises(
        ParameterError, match="Data: a policy must be made of what worker processes can import"
    ):
        check_importable(policy, "Data")


def test_what_is_no_policy_has_its_sentence():
    for policy, text in [
        (3, "given 3"),
        (None, "given None"),
        (v2.RandomHorizontalFlip, "the class RandomHorizontalFlip. Make an instance of it"),
        ([], "at least one; given an empty list"),
        ({"p": 1}, r"must have a key 'kind'; given keys \['p'\]"),
        ("jiter", r"known name; given 'jiter'. Did you mean 'jitter'\?"),
        ("medium", "a strength needs a modality; given 'medium'. Use one of image_medium"),
    ]:
        with pytest.raises(ParameterError, match=text):
            as_perturbation(policy)
    with pytest.raises(ParameterError, match=r"Did you mean 'medium'\?"):
        as_perturbation("meduim", modality="image")


def test_lists_and_perturbations_and_names():
    maybe = Maybe(FunctionPerturbation(with_rng), p=1.0)
    assert as_perturbation(maybe) is maybe
    chain = as_perturbation([maybe, with_globals, {"kind": "jitter", "scale": 0.0}])
    assert isinstance(chain, Compose) and len(chain.perturbations) == 3
    names = [step.stream_name for step in chain.perturbations]
    assert names[:2] == ["Maybe(Function(with_rng))", "Function(with_globals)"]
