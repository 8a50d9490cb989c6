"""The adversarial generator: conditions, seeds, resume, files, tables and images."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits

import augsynth
from augsynth import registry
from augsynth.core.errors import ParameterError
from augsynth.generate.gan import GANGenerator
from augsynth.generate.gan_objective import GANObjective
from augsynth.nn.adversary_points import PointAdversaries
from augsynth.nn.adversary_table import TableAdversaries
from augsynth.nn.backbones import ConditionEmbedding, MLPBackbone
from augsynth.nn.convnets import ConvBackbone
from augsynth.nn.randomness import forked, keyed_generator
from augsynth.nn.stabilise import (
    BalancedConditions,
    ExperienceReplay,
    FeatureMatching,
    GradientPenalty,
    InstanceNoise,
    LabelSmoothing,
    Packing,
    SimilarityPenalty,
    SpectralNorm,
    Unrolling,
)
from augsynth.nn.trainer import Trainer
from augsynth.resample.over import OverSampler

SMALL = MLPBackbone(16, depth=1)
MANY = (
    Packing(rows=2), LabelSmoothing(), InstanceNoise(), ExperienceReplay(size=64), SpectralNorm(),
    FeatureMatching(features="random"), FeatureMatching(), SimilarityPenalty(strength=0.1),
    BalancedConditions(), GradientPenalty(strength={"start": 1.0, "share": 0.5}, at="real"),
)  # fmt: skip


def table(n=120, seed=0):
    rng = np.random.default_rng(seed)
    y = (np.arange(n) % 6 == 0).astype(int)
    return rng.normal(size=(n, 2)) + 4.0 * y[:, None], y


def small(steps=6, **options):
    return GANGenerator(backbone=SMALL, trainer=Trainer(steps=steps), random_state=0, **options)


@pytest.mark.parametrize("loss", ["minimax", "non-saturating", "hinge", "least-squares", "wasserstein"])
def test_every_loss_trains_and_is_watched(loss):
    X, y = table()
    gan = small(loss=loss, discriminator_steps=2).fit(X, y)
    assert gan.sample(y=[1, 0, 1]).shape == (3, 2)
    assert set(gan.history_.losses) == {"generator", "discriminator"}
    watched = {"D(x)", "D(G(z))", "coverage", "spread", "gradient generator", "gradient discriminator"}
    assert watched <= set(gan.history_.watched)
    penalties = [s for s in gan.objective_.stabilisers if isinstance(s, GradientPenalty)]
    assert len(penalties) == (loss in ("wasserstein", TableAdversaries.loss))


@pytest.mark.parametrize("stabilisers", [MANY, (Unrolling(steps=2), GradientPenalty())])
def test_all_stabilisers_together_survive_a_file(stabilisers, tmp_path):
    X, y = table()
    gan = small(stabilisers=stabilisers, noise={"kind": "uniform", "dim": 5}).fit(X, y)
    gan.save(tmp_path / "gan.safetensors")
    again = augsynth.load(tmp_path / "gan.safetensors")
    state, other = gan.objective_.state_dict(), again.objective_.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in state.items())
    asked = np.array([0, 1] * 300)
    np.testing.assert_array_equal(gan.sample(y=asked, random_state=3), again.sample(y=asked, random_state=3))
    assert repr(clone(again)) == repr(clone(gan))
    twin = pickle.loads(pickle.dumps(gan))
    np.testing.assert_array_equal(gan.sample(y=asked, random_state=3), twin.sample(y=asked, random_state=3))


def test_a_match_that_stands_alone_hands_over_when_it_has_faded():
    faded = FeatureMatching(alone=True, strength={"start": 1.0, "share": 0.5})
    X, y = table()
    losses = small(steps=8, loss="wasserstein", stabilisers=faded).fit(X, y).history_.losses["generator"]
    assert all(value >= 0.0 for step, value in losses if step <= 4)
    assert all(value != 0.0 for step, value in losses if step > 4)


def test_a_resumed_run_ends_as_one_that_was_never_cut_short(tmp_path):
    X, y = table()

    def fit(stop=None, **trainer):
        class Stop(Exception):
            pass

        def hear(step, losses):
            if step == stop:
                raise Stop

        gan = small(stabilisers=MANY)
        gan.trainer = Trainer(steps=12, options={"check_every": 4}, **trainer)
        run = Trainer.run
        gan.trainer.run = lambda *a, **k: run(gan.trainer, *a, on_step=(hear,), **k)
        try:
            return gan.fit(X, y)
        except Stop:
            return None

    whole = fit()
    assert fit(stop=9, checkpoint=tmp_path / "run") is None
    resumed = fit(checkpoint=tmp_path / "run")
    assert resumed.history_.resumed_from == 8
    for name, value in whole.objective_.state_dict().items():
        assert torch.equal(value, resumed.objective_.state_dict()[name]), name


def test_a_row_depends_on_its_own_place_and_cell_only():
    X, y = table()
    gan = small().fit(X, y)
    asked = np.zeros(700, dtype=int)
    other = asked.copy()
    other[1:] = 1
    a, b = (gan.sample(y=v, random_state=1) for v in (asked, other))
    np.testing.assert_array_equal(a[0], b[0])
    np.testing.assert_array_equal(a[:300], gan.sample(y=asked[:300], random_state=1))


def test_names_and_mappings_stand_for_stabilisers():
    recipe = {
        "kind": "gan", "loss": "hinge", "backbone": {"kind": "mlp", "width": 8},
        "trainer": {"kind": "trainer", "steps": 2},
        "stabilisers": ["spectral-norm", {"kind": "packing", "rows": 3}],
    }  # fmt: skip
    gan = registry.build("generator", recipe).fit(*table())
    assert gan.objective_.pair.packing == 3
    assert isinstance(gan.objective_.stabilisers[0], SpectralNorm)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"loss": "hings"}, "'hinge'"),
        ({"noise": "laplace"}, "'gaussian' or 'uniform'"),
        ({"noise": {"size": 3}}, "'kind' and 'dim'"),
        ({"discriminator_steps": 0}, ">= 1"),
        ({"stabilisers": [3]}, "augsynth.nn.stabilise"),
        ({"stabilisers": ["pakking"]}, "Did you mean 'packing'"),
        ({"stabilisers": [Packing(rows=0)]}, "rows"),
    ],
)
def test_what_makes_no_sense_gets_a_sentence(options, text):
    with pytest.raises(ParameterError, match=text):
        small(**options).fit(*table())


def test_each_cell_learns_its_own_rows_however_rare_and_labels_come_at_their_own_rate():
    # 5 % of the rows lie at 3, the others at -1: what is learned of either must not depend on the share.
    rng = np.random.default_rng(0)
    c = (rng.random(1500) < 0.05).astype(np.int32)
    rows = np.where(c == 1, 3.0, -1.0)[:, None] + 0.3 * rng.normal(size=(1500, 2))
    with forked(0):
        told = ConditionEmbedding(np.array([[0], [1]]), [2], 4)
        pair = PointAdversaries(2, told, width=32)
        balance = (BalancedConditions(strength=1.0), GradientPenalty(strength=0.5, at="real"))
        objective = GANObjective(pair, loss="non-saturating", stabilisers=balance, counts=np.bincount(c))
    trainer = Trainer(steps=400, batch_size=64, learning_rate=4e-3, options={"ema": 0.98})
    trainer.run(objective, torch.tensor(rows, dtype=torch.float32), torch.tensor(c), rng=rng)
    for cell, centre in ((0, -1.0), (1, 3.0)):
        with torch.no_grad():
            drawn = objective.draw(torch.full((500,), cell, dtype=torch.int32), keyed_generator(cell))
        assert float((drawn.mean(0) - centre).abs().max()) < 0.35
    X, y = table(n=600)
    made = small(stabilisers=("balanced-conditions",)).fit(X, y).sample_labelled(4000, random_state=0)
    assert made.y.mean() == pytest.approx(1 / 6, abs=0.024)  # four standard errors


def test_weights_of_rows_count():
    X, y = np.repeat([[0.0], [5.0]], 100, axis=0), None
    X = X + 0.01 * np.random.default_rng(0).normal(size=X.shape)
    gan = small().fit(X, y, sample_weight=np.repeat([1.0, 0.0], 100))
    assert (np.asarray(gan.sample(200, random_state=0)) < 2.5).mean() > 0.9
    light = small().fit(X, y, sample_weight=np.repeat([2.0**-20, 0.0], 100))
    np.testing.assert_array_equal(gan.sample(20, random_state=0), light.sample(20, random_state=0))


def test_packs_leave_out_rows_of_any_cell():
    X, cells = torch.randn(33, 2), (torch.arange(33) == 0).int()
    with forked(0):
        pair = PointAdversaries(2, packing=2)
        objective = GANObjective(pair, loss="hinge", stabilisers=[Packing(rows=2)], counts=np.array([32, 1]))
    round = objective._round(0, 0, keyed_generator(0))
    assert int(objective._batch(X, cells, None, slice(None), round)[1].sum()) == 1


@pytest.mark.parametrize("images", [False, True])
def test_digits_are_balanced_as_a_table_and_as_images(images):
    X, y = load_digits(return_X_y=True)
    keep = np.concatenate([np.flatnonzero(y == 0)[:60], np.flatnonzero(y == 1)[:15]])
    X, y = X[keep], y[keep]
    backbone = ConvBackbone(4) if images else SMALL
    gan = GANGenerator(backbone=backbone, trainer=Trainer(steps=3))
    sampler = OverSampler(gan, random_state=0)
    made, labels = sampler.fit_resample(X.reshape(-1, 8, 8) if images else X, y)
    assert made.shape == ((120, 8, 8) if images else (120, 64)) and np.bincount(labels).tolist() == [60, 60]
    np.testing.assert_array_equal(made[:75].reshape(75, -1), X)
    assert made.min() >= 0 and made.max() <= 16 and made.dtype == X.dtype


@pytest.mark.parametrize("variant", ["dcgan", "plain"])
def test_image_pairs_draw_rows_one_by_one(variant):
    X, y = load_digits(return_X_y=True)
    stabilisers = ("differentiable-augmentation", "packing")
    gan = GANGenerator(
        backbone=ConvBackbone(4, variant=variant),
        trainer=Trainer(steps=3, batch_size=32),
        stabilisers=stabilisers,
        random_state=0,
    ).fit(X[:200].reshape(-1, 8, 8), y[:200])
    a = gan.sample(y=[3] * 80, random_state=1)
    b = gan.sample(y=[3] + [5] * 79, random_state=1)
    np.testing.assert_array_equal(a[0], b[0])
    np.testing.assert_array_equal(a[:70], gan.sample(y=[3] * 70, random_state=1))


def test_patience_watches_a_distance_that_is_zero_for_the_same_distribution():
    class Copy(PointAdversaries):
        def make(self, noise, c, generator):
            return noise[:, :2]

    objective = GANObjective(Copy(2), loss="hinge", counts=np.array([1000]))
    z = torch.randn(1000, 2, generator=keyed_generator(0))
    c = torch.zeros(1000, dtype=torch.int32)
    near = float(objective.score(z, c, None, generator=keyed_generator(1)))
    far = float(objective.score(z + 1.0, c, None, generator=keyed_generator(1)))
    assert abs(near) < 0.02 and far > 0.5
