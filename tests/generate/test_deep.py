"""The base of deep generators: one method to write, exact repetition, blocks, the checkpoint."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import augsynth
from augsynth import registry
from augsynth.core.errors import ConditionError, DataError, ModelFileError
from augsynth.generate.deep import DRAW_ROWS, TorchGenerator
from augsynth.generate.vae import VAEGenerator
from augsynth.nn.backbones import MLPBackbone
from augsynth.nn.objective import Objective
from augsynth.nn.pixels import Pixels
from augsynth.nn.randomness import noise
from augsynth.nn.rows import RowEnds
from augsynth.nn.trainer import Trainer

rng = np.random.default_rng(0)
X, y = rng.normal(size=(200, 3)), rng.integers(0, 2, 200)


class Shares(Objective):
    """The simplest deep model: one table of logits, the same for every row."""

    def __init__(self, ends):
        super().__init__()
        self.ends, self.raw = ends, torch.nn.Parameter(torch.zeros(1, ends.n_outputs))

    def losses(self, z, c, w, *, step, generator):
        yield "model", -self.ends.log_prob(self.raw.expand(len(z), -1), z).mean()

    def draw(self, c, generator):
        return self.ends.draw(self.raw.expand(len(c), -1), generator)


class SharesGenerator(TorchGenerator):
    def _build(self, layout, n_condition):
        return Shares(RowEnds(self.coder_.sizes_.tolist(), [False] * len(layout), width=4))


def small(**kwargs):
    return VAEGenerator(
        **{"trainer": Trainer(steps=8), "backbone": MLPBackbone(16), "random_state": 0, **kwargs}
    )


def test_a_model_needs_only_build():
    table = np.column_stack([rng.integers(0, 3, 500), rng.exponential(size=500)])
    made = (
        SharesGenerator(trainer=Trainer(steps=300, learning_rate=0.05), random_state=0)
        .fit(table)
        .sample(4000)
    )
    for k in range(3):
        share = (table[:, 0] == k).mean()
        assert abs((made[:, 0] == k).mean() - share) < 4 * np.sqrt(share * (1 - share) / 4000) + 0.02
    assert abs(made[:, 1].mean() - table[:, 1].mean()) < 0.15


def test_same_seed_same_bytes_whatever_the_number_of_rows():
    a, b = small().fit(X, y), small().fit(X, y)
    many = a.sample(y=[0, 1] * (DRAW_ROWS + 300), random_state=1)
    np.testing.assert_array_equal(many, b.sample(y=[0, 1] * (DRAW_ROWS + 300), random_state=1))
    for n in (1, 7, DRAW_ROWS // 2, DRAW_ROWS // 2 + 1):
        np.testing.assert_array_equal(many[: 2 * n], a.sample(y=[0, 1] * n, random_state=1))
    assert not np.array_equal(many, a.sample(y=[0, 1] * (DRAW_ROWS + 300), random_state=2))


def test_the_global_generators_are_left_alone():
    before = torch.get_rng_state()
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002
    small().fit(X, y).sample(10)
    assert torch.equal(before, torch.get_rng_state())
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002


def test_an_interrupted_fit_goes_on_to_the_same_model(tmp_path):
    class Interrupting(Trainer):
        def run(self, *args, **kwargs):
            def stop(step, losses):
                if step == 5:
                    raise KeyboardInterrupt

            return super().run(*args, **kwargs, on_step=[stop])

    path = tmp_path / "fit.ckpt"
    settings = {"steps": 8, "checkpoint": path, "options": {"check_every": 2}}
    with pytest.raises(KeyboardInterrupt):
        small(trainer=Interrupting(**settings)).fit(X, y)
    assert path.exists()
    resumed = small(trainer=Trainer(**settings)).fit(X, y)
    assert resumed.history_.resumed_from == 4
    whole = small(trainer=Trainer(steps=8, options={"check_every": 2})).fit(X, y)
    np.testing.assert_array_equal(whole.sample(50, random_state=0), resumed.sample(50, random_state=0))


def test_copies_draw_the_same():
    vae = small().fit(X, y)
    np.testing.assert_array_equal(copy.deepcopy(vae).sample(9, random_state=0), vae.sample(9, random_state=0))


def test_a_file_with_other_weights_fails_in_words(tmp_path):
    vae = small().fit(X, y)
    state = vae._state()
    state["weights_"] = {name: value[:1] for name, value in state["weights_"].items()}
    with pytest.raises(ModelFileError, match="weights"):
        small()._set_state(state)


class Mean(Objective):
    """The simplest model of images: the mean image of each cell, plus noise."""

    def __init__(self, layout, embedding):
        super().__init__()
        self.pixels, self.shape, self.embedding = Pixels(layout.levels), layout.shape, embedding

    def _mean(self, c):
        return self.embedding(c).view(-1, *self.shape)

    def losses(self, z, c, w, *, step, generator):
        yield "model", ((self._mean(c) - self.pixels.read(z)) ** 2).mean()

    def draw(self, c, generator):
        x = self._mean(c) + 0.05 * noise((len(c), *self.shape), generator, c.device)
        return self.pixels.write(x)


class MeanGenerator(TorchGenerator):
    _takes_images = True

    def _build(self, layout, n_condition):
        return Mean(layout, self._condition(len(layout)))


def stripes(n=120):
    """Two kinds of tiny bytes images: light rows, or light columns."""
    y = np.arange(n) % 3 == 0
    images = np.zeros((n, 4, 6), dtype=np.uint8)
    images[y, ::2] = 250
    images[~y, :, ::2] = 250
    return images, np.where(y, "rows", "columns")


def means():
    return MeanGenerator(trainer=Trainer(steps=80, learning_rate=0.1), random_state=0)


def test_images_come_back_as_they_went_in_and_of_the_asked_class(tmp_path, monkeypatch):
    monkeypatch.setitem(registry._COMPONENTS["generator"], "mean", f"{__name__}:MeanGenerator")
    monkeypatch.setitem(registry._CLASSES, ("generator", "mean"), MeanGenerator)
    images, y = stripes()
    model = means().fit(images, y)
    made = model.sample(y=["rows"] * 70 + ["columns"] * 3)
    assert made.dtype == np.uint8 and made.shape == (73, 4, 6)
    assert (made[:70, 0] > 200).all() and (made[:70, 1] < 50).all() and (made[70:, :, 0] > 200).all()
    assert np.array_equal(made[:5], model.sample(y=["rows"] * 5))
    model.save(tmp_path / "m.safetensors")
    again = augsynth.load(tmp_path / "m.safetensors")
    assert np.array_equal(made, again.sample(y=["rows"] * 70 + ["columns"] * 3))
    assert model.sample(0).shape == (0, 4, 6)
    labelled = model.sample_labelled(9)
    assert labelled.X.shape == (9, 4, 6) and set(labelled.y) <= {"rows", "columns"}


def test_colour_tensors_and_single_rows():
    images, y = stripes()
    colour = torch.from_numpy(np.repeat(images[:, None], 3, axis=1)).float() / 255
    made = means().fit(colour, y).sample(y=["rows"])
    assert made.shape == (1, 3, 4, 6) and made.dtype == torch.float32
    assert float(made.max()) <= 1.0


def test_oversampling_balances_images():
    from augsynth.resample import OverSampler

    images, y = stripes()
    X_new, y_new = OverSampler(means(), random_state=0).fit_resample(images, y)
    assert X_new.dtype == np.uint8 and X_new.shape == (160, 4, 6)
    assert (X_new[:120] == images).all()
    assert (y_new == "rows").sum() == (y_new == "columns").sum() == 80


def test_a_table_generator_says_that_images_are_not_for_it():
    with pytest.raises(DataError, match="X must be a table"):
        SharesGenerator().fit(stripes()[0])


def test_rows_without_a_label_train_and_are_never_asked_for():
    table = rng.normal(size=(60, 2))
    labels = np.array(["a", "b", None] * 20, dtype=object)
    model = small().fit(table, labels)
    assert model.condition_.counts.tolist() == [20, 20, 20]
    assert set(model.sample_labelled(300).y) == {"a", "b"}
    with pytest.raises(ConditionError):
        model.sample(y=["c"])
    other = small().fit(table[labels != None], labels[labels != None])  # noqa: E711
    assert not np.array_equal(model.sample(y=["a"] * 5), other.sample(y=["a"] * 5))


def test_a_dataset_brings_its_labels():
    images, y = stripes()
    pairs = torch.utils.data.TensorDataset(
        torch.from_numpy(images)[:, None], torch.as_tensor(y == "rows", dtype=torch.int64)
    )
    model = means().fit(pairs)
    made = model.sample(y=[1] * 3)
    assert made.shape == (3, 1, 4, 6) and made.dtype == torch.uint8
    assert bool((made[:, 0, 0] > 200).all())
    assert model.condition_.has_y
