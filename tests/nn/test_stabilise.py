"""What each stabiliser does, on toys where it can be computed or seen."""

import numpy as np
import pytest
import torch
from torch import nn

from augsynth import registry
from augsynth.core.errors import ParameterError
from augsynth.generate.gan_objective import GANObjective
from augsynth.nn.adversarial import LOSSES, Adversaries
from augsynth.nn.adversary_points import PointAdversaries
from augsynth.nn.randomness import forked, keyed_generator
from augsynth.nn.stabilise import (
    BalancedConditions,
    DifferentiableAugmentation,
    ExperienceReplay,
    FeatureMatching,
    GradientPenalty,
    InstanceNoise,
    LabelSmoothing,
    Packing,
    Round,
    SimilarityPenalty,
    SpectralNorm,
    Unrolling,
    strength_at,
)


def objective_of(*stabilisers, loss="non-saturating", seed=0, **options):
    with forked(seed):
        pair = PointAdversaries(2, **options)
        return GANObjective(pair, loss=loss, stabilisers=stabilisers, counts=np.array([100]))


def turn_of(objective, progress=0.0, turn=0, key=0):
    generator = keyed_generator(0, (key,))
    made = Round(objective.pair, objective.loss, generator, progress=progress, turn=turn)
    for stabiliser, memory in zip(objective.stabilisers, objective.memories, strict=True):
        stabiliser.begin(made, memory)
        made.target = stabiliser.target(made) or made.target
    return made


def teach(objective, real, fake, steps=300, rate=1e-2, progress=0.0, first=0):
    """Train the critic on given real and fake rows; return its scores of both."""
    c = torch.zeros(len(real), dtype=torch.int32)
    adam = torch.optim.Adam(objective.pair.critic.parameters(), rate)
    parts = list(zip(objective.stabilisers, objective.memories, strict=True))
    for step in range(first, first + steps):
        at = turn_of(objective, progress, step, key=step)
        shown, told = fake, c
        for s, memory in parts:
            shown, told = s.replay(shown, told, at, memory) or (shown, told)
        x, other = objective._inputs(real, at), objective._inputs(shown, at)
        on_real, on_fake = objective.pair.judge(x, c)[0], objective.pair.judge(other, told)[0]
        loss = objective.loss.discriminator(on_real, on_fake, target=at.target)
        for s, memory in parts:
            loss = loss + (s.discriminator_penalty(x, other, c, at, memory) or 0.0)
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        return objective.pair.judge(real, c)[0], objective.pair.judge(fake, c)[0]


def blobs(n=128, apart=4.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    real, fake = 0.1 * torch.randn(2, n, 2, generator=generator)
    return real + torch.tensor([apart, 0.0]), fake


def test_strengths_follow_a_line_to_its_end():
    line = {"start": 2.0, "end": 1.0, "share": 0.5}
    assert [strength_at(line, p) for p in (0.0, 0.25, 0.5, 0.9)] == [2.0, 1.5, 1.0, 1.0]
    with pytest.raises(ParameterError, match="'start'"):
        InstanceNoise(strength={"from": 1.0}).check()
    with pytest.raises(ParameterError, match="share"):
        GradientPenalty(strength={"start": 1.0, "share": 0.0}).check()


@pytest.mark.parametrize("kind", registry.names("stabiliser"))
def test_every_one_is_built_by_name_and_checks_its_parameters(kind):
    made = registry.build("stabiliser", kind)
    made.check()
    for name in made.get_params():
        with pytest.raises(ParameterError, match=f"{name}|policy"):
            type(made)(**{name: ("odd",) if name == "policy" else -1}).check()


def test_label_smoothing_keeps_the_discriminator_below_its_target():
    real, fake = blobs()
    sure, _ = teach(objective_of(), real, fake)
    soft, rejected = teach(objective_of(LabelSmoothing(strength=0.1)), real, fake)
    assert float(torch.sigmoid(sure).mean()) > 0.99
    assert float(torch.sigmoid(soft).mean()) == pytest.approx(0.9, abs=0.02)  # the optimum of the loss
    assert float(torch.sigmoid(rejected).mean()) < 0.03  # one-sided: fakes keep their target


def test_instance_noise_leaves_the_saturating_generator_a_gradient():
    real, fake = blobs()
    slopes = []
    for stabilisers in ((), (InstanceNoise(strength=2.0),)):
        objective = objective_of(*stabilisers, loss="minimax")
        teach(objective, real, fake, steps=200)
        x = fake.clone().requires_grad_(True)
        objective.loss.generator(objective.pair.judge(x, torch.zeros(len(x)))[0]).backward()
        slopes.append(float(x.grad.norm()))
    assert slopes[1] > 20 * slopes[0]


def test_instance_noise_fades():
    noise, at = InstanceNoise(strength={"start": 1.0, "share": 0.5}), turn_of(objective_of(), progress=0.25)
    x = torch.zeros(20_000, 1)
    assert float(noise.inputs(x, at, None).std()) == pytest.approx(0.5, abs=0.02)
    assert noise.inputs(x, turn_of(objective_of(), progress=0.5), None) is x


@pytest.mark.parametrize("features", ["discriminator", "random", torch.nn.Identity()])
def test_feature_matching_alone_moves_the_made_rows_to_the_real_ones(features):
    objective = objective_of(FeatureMatching(features=features, alone=True))
    real, _ = blobs(apart=1.5)
    rows, c = real, torch.zeros(len(real), dtype=torch.int32)
    adam = torch.optim.Adam(objective.pair.maker.parameters(), 5e-3)

    def gap():
        drawn = objective.draw(torch.zeros(500, dtype=torch.int32), keyed_generator(1))
        return float((drawn.mean(0) - real.mean(0)).norm().detach())

    before = gap()
    for step in range(150):
        loss = objective._generator_turn(rows, c, None, turn_of(objective, key=step))
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert gap() < 0.2 * before


def test_replay_keeps_former_fakes_rejected():
    # Fakes are left of the real rows first, then right of them: who forgets accepts the left again.
    real, former = blobs(apart=1.0)
    now = former + torch.tensor([2.0, 0.0])
    accepted = []
    for stabilisers in ((), (ExperienceReplay(size=2048),)):
        objective = objective_of(*stabilisers)
        _, rejected = teach(objective, real, former, steps=40)
        assert float(rejected.mean()) < -0.5
        for memory in objective.memories:
            assert bool((memory.rows[:, 0, 0] < 0.9).all())
        teach(objective, real, now, steps=120, first=40)
        with torch.no_grad():
            accepted.append(float(objective.pair.judge(former, torch.zeros(len(former)))[0].mean()))
    assert accepted[1] < accepted[0] - 0.5, accepted


def test_replay_remembers_in_its_state_and_starts_with_the_present():
    objective = objective_of(ExperienceReplay(size=64, share=0.5), packing=2)
    memory, fake = objective.memories[0], torch.arange(64.0).view(32, 2)
    c = torch.arange(32, dtype=torch.int32)
    assert {"memories.0.rows", "memories.0.cells"} <= set(objective.state_dict())
    replay = objective.stabilisers[0]
    for turn in range(4):
        assert replay.replay(fake + 100 * turn, c, turn_of(objective, turn=turn), memory) is None
    packs = fake.view(16, 2, 2)
    assert torch.equal(memory.rows[8:16], packs[1::2] + 100)  # of all cells, not of the first ones
    shown, told = replay.replay(fake - 1000, c, turn_of(objective, turn=4), memory)
    shown, told = shown.view(16, 2, 2), told.view(16, 2)
    assert torch.equal(shown[1::2], packs[1::2] - 1000) and bool((shown[::2] >= 0).all())
    assert torch.equal(told[1::2], c.view(16, 2)[1::2])
    assert torch.equal(told[:, 1] - told[:, 0], torch.ones(16))


class Bilinear(Adversaries):
    """Maker and critic of one number each: the score is their product."""

    noise_dim = 1

    def __init__(self, x, a):
        super().__init__()
        self.maker = nn.ParameterList([nn.Parameter(torch.tensor([x]))])
        self.critic = nn.ParameterList([nn.Parameter(torch.tensor([a]))])

    def make(self, noise, c, generator):
        return self.maker[0].expand(len(noise), 1)

    def real(self, z, generator):
        return z

    def judge(self, x, c):
        return (x * self.critic[0]).sum(1), x

    def decide(self, noise, c, generator):
        return self.make(noise, c, generator)


@pytest.mark.parametrize("through", [True, False])
def test_unrolling_by_hand(through):
    # Wasserstein, real rows at 0: loss a x, whose slope x is divided by its size |x|, held fixed: a goes to
    # a - k rate x / |x|, and what the generator minimises is -x times that: slope -a + 2 k rate through the
    # steps, -a + k rate beside them.
    pair, k, rate, x, a = Bilinear(2.0, 0.5), 3, 0.1, 2.0, 0.5
    at = Round(pair, LOSSES["wasserstein"], keyed_generator(0))
    fake = pair.make(torch.zeros(4, 1), torch.zeros(4), at.generator)
    unrolling = Unrolling(steps=k, rate=rate, through=through)
    loss = unrolling.generator_loss(torch.zeros(4, 1), fake, torch.zeros(4), at, None)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(-x * (a - k * rate))
    assert float(pair.maker[0].grad) == pytest.approx(-a + (2 if through else 1) * k * rate)
    assert float(pair.critic[0].detach()) == 0.5  # the discriminator stays where it was


def test_unrolling_ends_the_circles_of_a_bilinear_game():
    far = []
    for steps in (0, 3):
        pair = Bilinear(1.0, 0.0)
        at = Round(pair, LOSSES["wasserstein"], keyed_generator(0))
        zero, c = torch.zeros(1, 1), torch.zeros(1)
        for _ in range(200):
            for player in ("critic", "maker"):
                fake, p = pair.make(zero, c, at.generator), getattr(pair, player)[0]
                if player == "critic":
                    loss = at.loss.discriminator(pair.judge(zero, c)[0], pair.judge(fake.detach(), c)[0])
                elif steps:
                    loss = Unrolling(steps=steps, rate=0.02).generator_loss(zero, fake, c, at, None)
                else:
                    loss = at.loss.generator(pair.judge(fake, c)[0])
                p.data -= 0.1 * torch.autograd.grad(loss, p)[0]
        far.append(float((pair.maker[0] ** 2 + pair.critic[0] ** 2).detach()) ** 0.5)
    assert far[0] > 0.9 and far[1] < 0.1  # steps of a fixed size end in a small neighbourhood


def test_similarity_penalty_by_hand_and_in_effect():
    at = turn_of(objective_of())
    fake, noise = torch.tensor([[0.0], [2.0], [9.0]]), torch.tensor([[0.0], [1.0], [5.0]])
    penalty = SimilarityPenalty(strength=3.0)
    got = penalty.generator_penalty(fake, fake, noise, torch.tensor([0, 0, 1]), at, None)
    assert float(got) == pytest.approx(3.0 * 1.0 / 2.01, rel=1e-4)  # the pair of one cell only
    objective = objective_of(penalty)
    maker = objective.pair.maker
    with torch.no_grad():
        maker.last.weight *= 1e-2  # collapsed

    def spread():
        return float(objective.draw(torch.zeros(200), keyed_generator(1)).std().detach())

    before, adam = spread(), torch.optim.Adam(maker.parameters(), 1e-2)
    for step in range(30):
        loss = objective._generator_turn(
            torch.zeros(64, 2), torch.zeros(64), None, turn_of(objective, key=step)
        )
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert spread() > 20 * before


def test_packing_sees_a_lack_of_variety_that_no_single_row_shows():
    # Real pairs have two signs, made pairs share one; every single row is as often + as -.
    generator = torch.Generator().manual_seed(0)
    sign = 2.0 * torch.randint(2, (512, 1), generator=generator) - 1.0
    pair = sign[::2].repeat_interleave(2, 0)
    real, fake = (s + 0.1 * torch.randn(512, 2, generator=generator) for s in (sign, pair))
    gaps = []
    for packing in (1, 2):
        on_real, on_fake = teach(objective_of(packing=packing), real, fake, steps=150)
        gaps.append(float(torch.sigmoid(on_real).mean() - torch.sigmoid(on_fake).mean()))
    assert gaps[0] < 0.1 and gaps[1] > 0.3  # half of the real pairs can be told from the made ones


def test_spectral_norm_bounds_the_slope_and_rests_in_evaluation():
    real, fake = blobs(apart=1.0)
    objective = objective_of(SpectralNorm(), loss="hinge")
    teach(objective, real, fake, steps=80)
    weights = [layer.weight for layer in [*objective.pair.critic.layers, objective.pair.critic.last]]
    for weight in weights:
        top = float(torch.linalg.matrix_norm(weight.detach(), 2))
        assert top == pytest.approx(1.0, abs=0.05)
    state = {k: v.clone() for k, v in objective.state_dict().items()}
    assert any(k.endswith(".u") for k in state)
    x = torch.randn(200, 2, generator=keyed_generator(0), requires_grad=True)
    objective.eval()
    (slope,) = torch.autograd.grad(objective.pair.judge(x, torch.zeros(200))[0].sum(), x)
    assert float(slope.norm(dim=1).max()) <= 1.1
    assert all(torch.equal(v, state[k]) for k, v in objective.state_dict().items())


def test_spectral_norm_is_relaxed_to_the_plain_weights():
    objective = objective_of(SpectralNorm(strength={"start": 1.0, "share": 0.5}))
    turn_of(objective, progress=0.9)
    layer = objective.pair.critic.layers[1]
    assert torch.allclose(layer.weight, layer.parametrizations.weight.original)


@pytest.mark.parametrize("at", ["between", "real"])
def test_gradient_penalty_holds_the_slope(at):
    real, fake = blobs(apart=1.0)
    slopes = []
    for stabilisers in ((), (GradientPenalty(strength=10.0, at=at),)):
        objective = objective_of(*stabilisers, loss="wasserstein" if at == "between" else "non-saturating")
        teach(objective, real, fake, steps=80)
        x = (torch.lerp(real, fake, 0.5) if at == "between" else real).requires_grad_(True)
        (slope,) = torch.autograd.grad(objective.pair.judge(x, torch.zeros(len(x)))[0].sum(), x)
        slopes.append(float(slope.norm(dim=1).mean()))
        real = real.detach()
    if at == "between":
        assert slopes[0] > 5.0 and slopes[1] == pytest.approx(1.0, abs=0.3)
    else:
        assert slopes[1] < 0.3 * slopes[0]


def test_balanced_conditions_show_cells_alike_and_rows_within_them_as_they_are():
    c = torch.tensor([0] * 900 + [1] * 100, dtype=torch.int32)
    at = turn_of(objective_of())
    at.counts = torch.tensor([900, 100])
    for strength, share in ((1.0, 0.5), (0.5, 1 / (1 + 3.0)), (0.0, None)):
        chosen = BalancedConditions(strength=strength).choose(c, at, None)
        if share is None:
            assert chosen is None
            continue
        rare = (c[chosen] == 1).float().mean()
        assert float(rare) == pytest.approx(share, abs=0.064)  # four standard errors
        odd = chosen[c[chosen] == 0] % 2  # nothing but the cell decides
        assert float(odd.float().mean()) == pytest.approx(0.5, abs=0.095)


def test_augmentations_move_pixels_as_they_say_and_let_gradients_through():
    at, x = turn_of(objective_of()), torch.rand(64, 3, 16, 16, generator=keyed_generator(0))
    x.requires_grad_(True)
    moved = DifferentiableAugmentation(policy=("translation",)).inputs(x.detach(), at, None)
    shifts = [(i, j) for i in range(5) for j in range(5)]  # by up to two pixels
    same = torch.stack(
        [
            (moved[:, :, 2:14, 2:14] == x.detach()[:, :, i : i + 12, j : j + 12]).flatten(1).all(1)
            for i, j in shifts
        ]
    )
    assert bool((same.sum(0) == 1).all()) and int(same.any(1).sum()) > 15
    cut = DifferentiableAugmentation(policy=("cutout",)).inputs(x, at, None)
    assert [(int((row == 0).sum())) for row in cut] == [3 * 8 * 8] * 64
    edited = DifferentiableAugmentation(policy=("colour", "translation", "cutout")).inputs(x, at, None)
    (slope,) = torch.autograd.grad(edited.square().sum(), x)
    assert bool(slope.isfinite().all()) and float(slope.abs().sum()) > 0
    assert DifferentiableAugmentation(strength=0.0).inputs(x, at, None) is x
    with pytest.raises(ParameterError, match="images"):
        DifferentiableAugmentation().inputs(torch.zeros(3, 2), at, None)


def test_augmentation_keeps_a_critic_of_few_images_from_learning_them_by_heart():
    generator = keyed_generator(0)
    real, fake, unseen = torch.randn(3, 12, 1, 8, 8, generator=generator)  # all of one distribution
    gaps = []
    for augment in (None, DifferentiableAugmentation(policy=("colour", "translation", "cutout"))):
        with forked(0):
            critic = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
        adam, at = torch.optim.Adam(critic.parameters(), 3e-3), turn_of(objective_of())
        for _ in range(150):
            x, other = (
                (real, fake) if augment is None else (augment.inputs(v, at, None) for v in (real, fake))
            )
            loss = LOSSES["non-saturating"].discriminator(critic(x), critic(other))
            adam.zero_grad()
            loss.backward()
            adam.step()
        with torch.no_grad():
            gaps.append(float(torch.sigmoid(critic(real)).mean() - torch.sigmoid(critic(unseen)).mean()))
    assert gaps[1] < 0.85 * gaps[0]


def test_packing_and_the_objective_agree_on_the_rows_of_a_pack():
    assert Packing(rows=3).rows == 3
    objective = objective_of(packing=3)
    z, c = torch.randn(10, 2), torch.zeros(10, dtype=torch.int32)
    turns = dict(objective.losses(z, c, torch.ones(10), step=0, generator=keyed_generator(0)))
    assert set(turns) == {"discriminator", "generator"} and all(t.dim() == 0 for t in turns.values())
