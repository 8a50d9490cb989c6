"""The base of deep generators: one method to write, exact repetition, blocks, the checkpoint."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from augsynth.core.errors import ModelFileError
from augsynth.generate.deep import DRAW_ROWS, TorchGenerator
from augsynth.generate.vae import VAEGenerator
from augsynth.nn.backbones import MLPBackbone
from augsynth.nn.objective import Objective
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
