import copy
import json
import pickle
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import ConcatDataset, DataLoader, Dataset, RandomSampler, Subset, TensorDataset
from torchvision import tv_tensors

from augsynth.core.errors import DataError, InputTypeError, ParameterError
from augsynth.core.random import item_rng, step_key
from augsynth.datasets import PerturbedDataset
from augsynth.datasets.epochs import EpochCounter
from augsynth.perturb import Compose, Maybe, OneOf, ParametricPerturbation, Perturbation, ScaledJitter, SomeOf


class Add(ParametricPerturbation):
    """Add one number of (0, 1) to a sample."""

    def parameters(self, u):
        return {"amount": u[:, 0]}

    def apply(self, x, params):
        return x + params["amount"]


class Scale(Add):
    def apply(self, x, params):
        return x * (1 + params["amount"])


class Noise(Perturbation):
    def draw(self, x, rng):
        return {"noise": rng.standard_normal(x.shape)}

    def apply(self, x, params):
        return x + params["noise"]


class Refuse(Add):
    def apply(self, x, params):
        if x[0] == 3:
            raise DataError("Refuse: x must not be 3; given 3.")
        return x


class MoveRight(ParametricPerturbation):
    """Shift pictures and what belongs to them by one pixel."""

    modality = "image"

    def parameters(self, u):
        return {"pixels": np.ones(len(u), dtype=int)}

    def apply(self, x, params):
        return np.roll(x, params["pixels"], axis=1)

    def apply_marks(self, marks, params, *, size):
        marks = dict(marks)
        if "boxes" in marks:
            marks["boxes"] = np.minimum(marks["boxes"] + [[1, 0, 1, 0]], [[size[1], size[0]] * 2])
        if "mask" in marks:
            marks["mask"] = np.roll(marks["mask"], 1, axis=-1)
        return marks


def shout(x, rng):
    return x.upper() if rng.random() < 0.5 else x


ROWS = np.arange(12.0).reshape(6, 2)
LABELS = np.array([0, 1, 0, 1, 2, 2])
POLICY = Compose([Add(), Maybe(Scale(), p=0.5), OneOf([Noise(), Scale()])])


class Pairs(Dataset):
    """Pairs (row, label) without copies."""

    def __init__(self, rows=ROWS, labels=LABELS):
        self.rows, self.targets = rows, labels

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i], int(self.targets[i])


def wrapped(**options):
    return PerturbedDataset(Pairs(), POLICY, **{"seed": 7, **options})


def items(data, epoch=0):
    return np.stack([data.at(i, epoch)[0] for i in range(len(data))])


# -- what is in the set ----------------------------------------------------------------------


def test_the_set_really_grows():
    assert len(wrapped(copies=3)) == 18 and len(wrapped(copies=3, keep_originals=True)) == 24
    data = wrapped(copies=2, keep_originals=True)
    assert np.array_equal(items(data)[:6], ROWS)  # the originals come first, as they were
    assert len(np.unique(items(data), axis=0)) == 18  # and every copy is another
    assert data.labels.tolist() == LABELS.tolist() * 3
    assert [data[i][1] for i in range(18)] == LABELS.tolist() * 3


def test_an_item_is_what_its_key_draws():
    data = PerturbedDataset(Pairs(), Compose([Add(), Scale()]), copies=2, seed=5)
    rng = item_rng(5, 3, 4, 1)  # epoch 3, record 4, its second copy
    added, scaled = (rng.child(step_key(name)).random() for name in ("Add", "Scale"))
    assert np.allclose(data.at(10, 3)[0], (ROWS[4] + added) * (1 + scaled))


def test_keeping_originals_does_not_change_the_copies():
    assert np.array_equal(items(wrapped(copies=2, keep_originals=True))[6:], items(wrapped(copies=2)))


def test_records_keep_their_draws_in_subsets_and_under_more_copies():
    whole = items(wrapped())
    part = items(PerturbedDataset(Subset(Subset(Pairs(), [5, 3, 1]), [2, 0]), POLICY, seed=7))
    assert np.array_equal(part, whole[[1, 5]])
    assert np.array_equal(items(wrapped(copies=4))[:6], whole)


def test_a_record_that_comes_twice_is_perturbed_twice():
    data = PerturbedDataset(Subset(Pairs(), [2, 4, 2, 2]), POLICY, copies=2, seed=7)
    assert len(np.unique(items(data), axis=0)) == 8
    assert [data.slot(i) for i in range(4)] == [(2, 0), (4, 0), (2, 2), (2, 4)]


def test_seeds_and_epochs_differ():
    first = items(wrapped())
    assert (first != items(wrapped(), epoch=1)).any(axis=1).all()
    assert (first != items(wrapped(seed=8))).any(axis=1).all()
    assert np.array_equal(first, items(wrapped()))


def test_a_step_added_or_removed_leaves_the_others_alone():
    def drawn(*steps):
        data = PerturbedDataset(Pairs(), Compose(list(steps)), seed=1)
        found = [data.describe(i)["parameters"]["steps"] for i in range(6)]
        return {step.stream_name: [steps_[k] for steps_ in found] for k, step in enumerate(steps)}

    whole = drawn(Scale(), Maybe(Scale()), SomeOf([Add(), Scale()], n=1), Add())
    fewer = drawn(Maybe(Scale()), Add())
    assert fewer["Add"] == whole["Add"] and fewer["Maybe(Scale)"] == whole["Maybe(Scale)"]
    assert drawn(Add(), Add())["Add"] != whole["Add"]  # the dict holds the second of the two


def test_a_wrapper_around_one_of_the_same_seed_draws_other_numbers():
    data = PerturbedDataset(PerturbedDataset(Pairs(), Add()), Add())
    told = data.describe(2)
    assert told["parameters"]["amount"] != told["of"]["parameters"]["amount"]


def test_nested_wrappers_follow_the_outer_epoch_and_key_every_copy():
    inner = PerturbedDataset(Pairs(), Add(), copies=2, keep_originals=True, seed=1)
    outer = PerturbedDataset(inner, Scale(), copies=2, seed=2)
    assert len(outer) == 36 and len(np.unique(items(outer), axis=0)) == 36
    assert len({outer.slot(i) for i in range(36)}) == 36
    x = inner.at(8, 4)[0]
    amount = outer.describe(8, epoch=4)["parameters"]["amount"]
    assert np.array_equal(outer.at(8, 4)[0], x * (1 + amount))
    outer[0]
    assert inner._epochs().last(0) == 0  # only the outer one counts


# -- epochs ----------------------------------------------------------------------------------


def test_without_set_epoch_a_second_pass_is_another_one():
    data = wrapped()
    passes = [np.stack([data[i][0] for i in range(6)]) for _ in range(3)]
    for epoch, seen in enumerate(passes):
        assert np.array_equal(seen, items(data, epoch))
    data.set_epoch(1)
    assert data.epoch == 1
    assert np.array_equal(np.stack([data[i][0] for i in range(6)]), passes[1])
    data.set_epoch(None)
    assert data.epoch is None and np.array_equal(data[0][0], data.at(0, 3)[0])


def test_batches_are_the_items():
    data = wrapped(copies=2, keep_originals=True)
    order = [17, 3, 9, 9, -1, 6]
    batch = np.stack([x for x, _ in data.at_many(order, 2)])
    assert np.array_equal(batch, items(data, 2)[order])
    asked = data.__getitems__([9, 9])  # asked for twice: two epochs
    assert np.array_equal(asked[0][0], data.at(9, 0)[0]) and np.array_equal(asked[1][0], data.at(9, 1)[0])


@pytest.mark.parametrize("bad", [-1, 1.5, "two", 2**31])
def test_bad_epochs(bad):
    with pytest.raises(ParameterError, match="set_epoch: epoch must be a whole number"):
        wrapped().set_epoch(bad)


def test_copies_of_a_counter_count_on_alone():
    counter = EpochCounter(3)
    assert [counter.next(0), counter.next(0), counter.next(2)] == [0, 1, 0]
    for again in (copy.deepcopy(counter), pickle.loads(pickle.dumps(counter))):
        assert again.next(0) == 2 and again.next(1) == 0
    assert counter.next(0) == 2 and counter.last(0) == 2


@pytest.mark.parametrize("persistent", [False, True])
def test_forked_workers_see_epochs_and_count_together(persistent):
    data = wrapped(copies=2)
    loader = DataLoader(
        data, batch_size=5, num_workers=2, persistent_workers=persistent, multiprocessing_context="fork"
    )

    def seen():
        return np.concatenate([x.numpy().copy() for x, _ in loader])

    for epoch in range(2):
        assert np.array_equal(seen(), items(data, epoch))
    data.set_epoch(7)  # reaches workers that are running
    assert np.array_equal(seen(), items(data, 7))


def test_shuffling_changes_the_order_only():
    data = wrapped()
    shuffled = DataLoader(data, sampler=RandomSampler(data, generator=torch.Generator().manual_seed(1)))
    seen = np.concatenate([x.numpy() for x, _ in shuffled])
    assert {tuple(x) for x in seen} == {tuple(x) for x in items(data)}


# -- policies --------------------------------------------------------------------------------


def test_a_policy_for_each_class():
    data = PerturbedDataset(Pairs(), {0: Add(), "*": None}, copies=2)
    changed = (items(data) != np.tile(ROWS, (2, 1))).any(axis=1)
    assert changed.tolist() == (data.labels == 0).tolist()
    assert data.describe(1)["kind"] == "real" and data.describe(0)["kind"] == "perturbed"


def test_a_policy_for_each_class_and_group():
    groups = np.array(["f", "f", "m", "m", "f", "m"])
    policies = {(0, "m"): Add(), ("*", "f"): Scale(), "*": None}
    data = PerturbedDataset(Pairs(), policies, groups=groups)
    names = [data.describe(i).get("policy") for i in range(6)]
    assert names == ["Scale", "Scale", "Add", None, "Scale", None]
    assert data.groups.tolist() == groups.tolist()


def test_policies_must_fit_the_classes():
    with pytest.raises(ParameterError, match=r"must be labels, .*; given 9; there are '0', '1', '2'"):
        PerturbedDataset(Pairs(), {9: Add(), "*": None})
    with pytest.raises(ParameterError, match=r"must cover every class; given nothing for '1', '2'. Add '\*'"):
        PerturbedDataset(Pairs(), {0: Add()})
    with pytest.raises(ParameterError, match="an empty dict"):
        PerturbedDataset(Pairs(), {})


def test_a_lambda_gets_a_sentence_before_any_worker_starts():
    with pytest.raises(ParameterError, match="lambda"):
        PerturbedDataset(Pairs(), lambda x: x)


def test_a_function_with_its_own_rng():
    texts = [("small", 0), ("words", 1)] * 10
    data = PerturbedDataset(texts, shout, labels=[0, 1] * 10)
    assert {text for text, _ in (data[i] for i in range(20))} == {"small", "SMALL", "words", "WORDS"}


def test_tables_learn_their_scale_from_the_rows():
    rows = torch.randn(200, 3) * torch.tensor([1.0, 10.0, 100.0])
    data = PerturbedDataset(TensorDataset(rows, torch.zeros(200).long()), ScaledJitter(0.1))
    new = torch.stack([data.at(i)[0] for i in range(200)])
    assert new.dtype == rows.dtype
    share = (new - rows).std(0) / rows.std(0)
    assert torch.all((share > 0.08) & (share < 0.12))  # .1, four standard errors and what is clipped


def test_stratified_copies_are_spread():
    data = PerturbedDataset(Pairs(), Add(), copies=8, stratified=True)
    for record in range(6):
        amounts = [data.describe(record + 6 * c)["parameters"]["amount"] for c in range(8)]
        assert sorted(int(8 * a) for a in amounts) == list(range(8))
    batch = np.stack([x for x, _ in data.at_many(range(48))])
    assert np.array_equal(batch, items(data))
    over_epochs = PerturbedDataset(Pairs(), Add(), stratified=True)
    amounts = [over_epochs.describe(2, epoch=e)["parameters"]["amount"] for e in range(8)]
    assert sorted(int(8 * a) for a in amounts) == list(range(8))


# -- forms of items --------------------------------------------------------------------------


def test_masks_and_boxes_move_with_the_picture():
    picture = np.zeros((4, 6), np.uint8)
    picture[1:3, 2:4] = 9
    boxes = tv_tensors.BoundingBoxes(torch.tensor([[2.0, 1, 4, 3]]), format="XYXY", canvas_size=(4, 6))
    base = [{"image": picture, "mask": picture > 0, "boxes": boxes, "label": 1}]
    found = PerturbedDataset(base, MoveRight()).at(0)
    assert np.array_equal(found["image"], np.roll(picture, 1, 1))
    assert np.array_equal(found["mask"], found["image"] > 0)
    assert found["boxes"].tolist() == [[3, 1, 5, 3]] and isinstance(found["boxes"], tv_tensors.BoundingBoxes)
    image, target = PerturbedDataset(
        [(picture, {"boxes": boxes, "labels": torch.ones(1)})] * 2, MoveRight()
    ).at(1)
    assert target["boxes"].tolist() == [[3, 1, 5, 3]] and target["labels"].tolist() == [1]


def test_named_policies_on_pictures_of_every_container():
    digits = load_digits().images[:8].astype(np.uint8) * 15
    tensors = TensorDataset(torch.from_numpy(digits)[:, None], torch.arange(8))
    pictures = [(Image.fromarray(d), k) for k, d in enumerate(digits)]
    arrays = [(d, k) for k, d in enumerate(digits)]
    sets = [PerturbedDataset(base, "medium", copies=2, seed=3) for base in (tensors, pictures, arrays)]
    for i in (0, 5, 9, 15):
        tensor, picture, array = (data.at(i)[0] for data in sets)
        assert isinstance(tensor, torch.Tensor) and isinstance(picture, Image.Image)
        assert np.array_equal(tensor[0].numpy(), array) and np.array_equal(np.asarray(picture), array)
    for data in sets:
        singles = [np.asarray(data.at(i)[0]) for i in range(16)]
        assert np.array_equal(np.stack([np.asarray(x) for x, _ in data.at_many(range(16))]), singles)


def test_descriptions_are_json_and_tell_every_parameter():
    data = wrapped(keep_originals=True)
    assert data.describe(2) == {"index": 2, "epoch": 0, "record": 2, "copy": 0, "seed": 7, "kind": "real"}
    told = data.describe(8, epoch=5)
    assert json.loads(json.dumps(told)) == told
    assert told["record"] == 2 and told["epoch"] == 5 and told["kind"] == "perturbed"
    assert [set(step) for step in told["parameters"]["steps"]] == [
        {"edit", "amount"},
        {"edit", "used", "step"},
        {"edit", "used", "steps"},
    ]
    assert [step["edit"] for step in told["parameters"]["steps"]] == [
        "Add",
        "Maybe(Scale)",
        "OneOf(Noise,Scale)",
    ]
    data[8], data[8]
    assert data.describe(8)["epoch"] == 1  # the one in which it was asked for last


def test_reading_changes_neither_the_base_nor_the_global_generators():
    rows = ROWS.copy()
    rows.setflags(write=False)
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    items(PerturbedDataset(Pairs(rows), POLICY))
    assert torch.equal(torch_before, torch.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002


# -- what goes wrong -------------------------------------------------------------------------


def test_items_that_cannot_be_read_or_edited_are_named():
    class Broken(Pairs):
        def __getitem__(self, i):
            if i == 4:
                raise OSError("cannot identify image file 'a.png'")
            return super().__getitem__(i)

    data = PerturbedDataset(Broken(), Add())
    with pytest.raises(
        DataError, match=r"every item of the base must be readable; given OSError at item 4 \(can"
    ):
        data[4]
    with pytest.raises(DataError, match="OSError at item 4"):
        data.__getitems__([0, 4])
    rows = PerturbedDataset(Pairs(np.arange(6.0)[:, None]), Refuse())
    for read in (lambda: rows[3], lambda: rows.__getitems__([1, 3])):
        with pytest.raises(DataError, match="Item 3 of the base: Refuse: x must not be 3"):
            read()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"copies": 0}, "copies must be a whole number >= 1"),
        ({"copies": 1.5}, "copies must be a whole number"),
        ({"seed": -1}, "seed must be a whole number >= 0"),
        ({"seed": None}, "seed must be a whole number"),
        ({"labels": [1, 2]}, r"labels must hold one value an item \(6\)"),
        ({"groups": [1, 2]}, r"groups must hold one entry an item \(6\)"),
    ],
)
def test_bad_options(options, sentence):
    with pytest.raises((ParameterError, DataError), match=f"PerturbedDataset: {sentence}"):
        PerturbedDataset(Pairs(), Add(), **options)


def test_bad_bases_and_indices():
    with pytest.raises(InputTypeError, match="map-style"):
        PerturbedDataset(iter([]), Add())
    with pytest.raises(DataError, match="at least one item"):
        PerturbedDataset([], Add())
    for bad in (6, -7):
        with pytest.raises(IndexError, match="below 6"):
            wrapped()[bad]
    with pytest.raises(DataError, match="labels must be found"):
        _ = PerturbedDataset([ROWS[0]] * 3, Add()).labels


def test_concatenations_hold_wrappers():
    both = ConcatDataset([wrapped(), Pairs()])
    outer = PerturbedDataset(both, Scale(), seed=1)
    assert len(outer) == 12 and outer.labels.tolist() == LABELS.tolist() * 2
    x = wrapped().at(2, 3)[0]
    assert np.array_equal(outer.at(2, 3)[0], x * (1 + outer.describe(2, epoch=3)["parameters"]["amount"]))


def test_several_processes_are_told_to_set_the_epoch(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    data = wrapped()
    with pytest.warns(UserWarning, match="each process counts epochs alone"):
        data[0]
    pinned = wrapped()
    pinned._counter.pin(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pinned[0]
