"""The classifier test, its bound, the chance values, control of labels, likelihood."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from augsynth.check.fidelity import LogLikelihood, classifier_auc, held_out_log_prob, js_lower_bound
from augsynth.check.fidelity.c2st import C2ST
from augsynth.check.fidelity.control import ControlAccuracy
from augsynth.check.fidelity.detector import detect
from augsynth.check.fidelity.exchange import joint_chance
from augsynth.check.fidelity.label_model import label_model
from augsynth.check.gathering import gather
from augsynth.check.permutation import tail_p_value
from augsynth.core.errors import InputTypeError, ParameterError

RNG = np.random.default_rng


def test_auc_of_shifted_normals_is_that_of_the_best_test():
    rng = RNG(0)
    d = 1.5
    a, b = rng.normal(size=(1500, 1)) + d, rng.normal(size=(1500, 1))
    best = stats.norm.cdf(d / np.sqrt(2))
    assert best - 0.04 < classifier_auc(a, b) < best + 0.03  # standard error .009; trees lose a little


def test_a_destroyed_correlation_reaches_eighty():
    rng = RNG(0)
    x = rng.normal(size=(2000, 2))
    real = np.column_stack([x[:, 0], 0.9 * x[:, 0] + np.sqrt(0.19) * x[:, 1]])
    assert classifier_auc(rng.normal(size=(2000, 2)), real) > 0.78


def test_a_destroyed_curve_reaches_ninety():
    rng = RNG(0)
    x = rng.normal(size=2000)
    real = np.column_stack([x, x**2 + 0.1 * rng.normal(size=2000)])
    new = np.column_stack([x, rng.permutation(real[:, 1])])
    assert classifier_auc(new, real) > 0.89


def test_a_destroyed_triple_with_all_pairs_kept_is_seen():
    rng = RNG(0)
    real = rng.normal(size=(3000, 3))
    real[:, 2] = np.abs(real[:, 2]) * np.sign(real[:, 0] * real[:, 1])
    assert classifier_auc(rng.normal(size=(3000, 3)), real) > 0.70


def test_bound_is_below_the_divergence_of_shifted_normals():
    d, rng = 1.0, RNG(0)

    def bits(x):
        p, q = stats.norm.pdf(x - d), stats.norm.pdf(x)
        m = 0.5 * (p + q)
        return 0.5 * (p * np.log2(p / m) + q * np.log2(q / m))

    true = integrate.quad(bits, -8, 9)[0]
    z = np.concatenate([rng.normal(size=20_000) + d, rng.normal(size=20_000)])
    labels = np.repeat([True, False], 20_000)
    bound, low, high = js_lower_bound(d * z - d * d / 2, labels)  # the exact log-odds attain it
    assert low < true < high
    assert bound == pytest.approx(true, abs=0.01)
    found = detect(z[::10, None], np.zeros(1, bool), np.zeros(4000, int), rng)
    bound, low, high = found.divergence(rng)
    assert 0.7 * true < bound
    assert low < true


def test_bound_needs_both_labels():
    with pytest.raises(ParameterError, match="both labels"):
        js_lower_bound([0.0, 1.0], [True, True])


def test_held_out_scores_of_equal_samples_prove_nothing():
    rng = RNG(3)
    found = detect(rng.normal(size=(800, 4)), np.zeros(4, bool), np.zeros(800, int), rng)
    assert abs(found.auc - 0.5) < 0.07
    assert found.p_value > 0.01
    assert found.divergence(rng)[1] == 0.0


def mixed(n, rng):
    x = rng.normal(size=n)
    y = (x + 0.5 * rng.normal(size=n) > 0).astype(int)
    return pd.DataFrame({"x": x, "w": 0.8 * x + 0.6 * rng.normal(size=n), "c": rng.choice(list("abc"), n)}), y


def test_c2st_names_the_column_and_what_is_left_without_it():
    rng = RNG(0)
    (X, y), (X_new, y_new), held = (mixed(n, rng) for n in (400, 500, 500))
    X_new["w"] = X_new["w"].round(0) + 0.123
    got = C2ST().run(gather(X, y, X_new, y_new, holdout=held), RNG(1))
    assert got.value > 0.9
    assert got.low < got.value < got.high
    assert got.p_value < 1e-6
    assert got.details["columns"]["column"][0] == "w"
    assert got.details["withheld"]["auc"][0] < 0.6
    assert 0.3 < got.details["js_low"] <= got.details["js_bits"] <= 1
    assert "gives them away is w" in got.sentence


# ---- chances
def test_chances_are_shares_within_and_go_on_beyond():
    values = RNG(0).normal(size=499)
    assert tail_p_value(np.sort(values)[-10], values) == 11 / 500
    assert tail_p_value(4.0, values) == pytest.approx(stats.norm.sf(4.0), rel=10)
    assert tail_p_value(1.0, np.ones(499)) == 1.0
    p, z = joint_chance(np.array([0.0, 5.0]), np.column_stack([np.zeros(499), values]))
    assert p < 1e-3
    assert z[0] == 0.0


# ---- control of labels
@pytest.fixture(scope="module")
def groups():
    rng = RNG(0)
    parts = [mixed(n, rng) for n in (1000, 700, 700)]
    return [(X.assign(sex=rng.choice(["f", "m"], len(X), p=[0.3, 0.7])), y) for X, y in parts]


def test_control_is_right_of_honest_rows(groups):
    (X, y), new, held = groups
    got = ControlAccuracy().run(gather(X, y, *new, holdout=held, group_columns=["sex"]), RNG(0))
    assert got.p_value > 0.02
    assert abs(got.value - got.null) < 0.06
    assert got.value == pytest.approx(np.mean((new[0]["x"] > 0) == new[1]), abs=0.05)


def test_a_label_flip_in_one_group_is_found_and_named(groups):
    (X, y), (X_new, y_new), held = groups
    flipped = np.where((X_new["sex"] == "f") & (np.arange(len(y_new)) % 3 == 0), 1 - y_new, y_new)
    got = ControlAccuracy().run(gather(X, y, X_new, flipped, holdout=held, group_columns=["sex"]), RNG(0))
    assert got.p_value < 5e-4
    worst = got.details["slices"].iloc[0]
    assert worst["name"].endswith("f")
    assert worst["new"] < worst["real"] - 0.1


def test_copies_are_read_by_models_that_have_not_seen_them(groups):
    (X, _), _, held = groups
    rng = RNG(5)
    noise = rng.integers(0, 2, len(X))  # labels that nothing tells
    copies = gather(X, noise, X[::-1], noise[::-1], holdout=(held[0], rng.integers(0, 2, 700)))
    assert ControlAccuracy().value(copies, RNG(0)) < 0.57


def faint(n, rng):
    """Labels that the best classifier there is gets wrong in three of ten."""
    x = rng.normal(size=(n, 8))
    X = pd.DataFrame(x, columns=list("abcdefgh"))
    return X.assign(sex=rng.choice(["f", "m"], n)), (x[:, 0] + 1.4 * rng.normal(size=n) > 0).astype(int)


def test_one_wrong_label_in_thirteen_is_found_among_faint_ones():
    p = []
    for seed in range(100, 106):
        rng = RNG(seed)
        train, (X, y), held = (faint(900, rng) for _ in range(3))
        some = rng.random(900) < 0.15
        wrong = np.where(some, rng.permutation(y), y)  # of those, half stay what they are
        evidence = gather(*train, X, wrong, holdout=held, group_columns=["sex"], random_state=seed)
        p.append(ControlAccuracy().run(evidence, RNG(0)).p_value)
    # a z of about 2.4: of six, three or more with chance .98; without power with chance .002
    assert np.sum(np.array(p) < 0.05) >= 3


def test_the_models_of_labels_are_weighed_by_what_they_are_worth():
    rng = RNG(0)
    x = rng.normal(size=(3, 900, 4))
    chance = 1 / (1 + np.exp(-1.5 * x[..., 0]))
    plain = (rng.random((3, 900)) < chance).astype(int)
    crossed = (x[..., 0] * x[..., 1] > 0).astype(int)
    noise = rng.integers(0, 2, (3, 900))
    found = {}
    for name, y in {"plain": plain, "crossed": crossed, "noise": noise}.items():
        evidence = gather(x[0], y[0], x[1], y[1], holdout=(x[2], y[2]))
        found[name] = label_model(evidence), evidence
    model, evidence = found["crossed"]  # the linear model is worth nothing, and takes nothing away
    assert np.mean(model.chances(evidence.made).argmax(axis=1) == crossed[1]) > 0.93
    model, evidence = found["noise"]  # neither is worth anything
    assert np.abs(model.chances(evidence.made)[:, 1] - 0.5).mean() < 0.05
    model, evidence = found["plain"]
    said = model.chances(evidence.made)
    assert said.sum(axis=1) == pytest.approx(np.ones(900))
    assert np.abs(said[:, 1] - chance[1]).mean() < 0.06
    assert label_model(evidence) is model


def test_no_label_has_a_say_in_the_weights_of_its_own_fold():
    """They are the best ones in the rows of all other folds; see `label_model`."""
    rng = RNG(3)
    x = rng.normal(size=(60, 4))
    y = (x[:, 0] + rng.normal(size=60) > 0).astype(int)
    evidence = gather(x, y, rng.normal(size=(60, 4)), rng.permutation(y))
    model = label_model(evidence)
    rows, share = evidence.train.take(model.places), model.share
    logs = model.evidences(rows, model.folds)

    def likely(weights, some):
        chance = share * np.exp(np.tensordot(weights, logs[:, some], axes=1))
        chance /= chance.sum(axis=1, keepdims=True)
        return np.log(chance[np.arange(some.sum()), rows.labels[some]]).mean()

    steps = np.array([[0.05, 0], [0, 0.05], [0.05, 0.05], [0.05, -0.05]])
    for fold, weights in enumerate(model.weights):
        best = likely(weights, model.folds != fold)
        others = [np.clip(weights + each, 0, 2) for each in [*steps, *-steps]]
        assert all(likely(other, model.folds != fold) <= best + 1e-9 for other in others)
    assert len(np.unique(model.weights.round(6), axis=0)) > 1


def test_doubt_is_the_likelihood_ratio_of_a_fifth_of_wrong_labels():
    rng = RNG(0)
    y = rng.choice(2, (3, 2000), p=[0.8, 0.2])
    x = rng.normal(size=(3, 2000, 1)) + 2.0 * y[..., None]
    evidence = gather(x[0], y[0], x[1], y[1], holdout=(x[2], y[2]))
    ratio = np.exp(np.where(y[1] == 0, 1, -1) * (2 * x[1, :, 0] - 2))  # of the other class's density
    got, wanted = label_model(evidence).doubts(evidence.made), np.log(0.8 + 0.2 * ratio)
    assert np.corrcoef(got, wanted)[0, 1] > 0.97
    assert got.mean() == pytest.approx(wanted.mean(), abs=0.03)


def test_a_class_of_one_training_row_does_not_stop_the_check():
    rng = RNG(0)
    x = rng.normal(size=(3, 60, 2))
    y = np.zeros((3, 60), dtype=int)
    y[:, 0] = 1
    got = ControlAccuracy().run(gather(x[0], y[0], x[1], y[1], holdout=(x[2], y[2])), RNG(0))
    assert 0.05 < got.p_value <= 1 and got.value > 0.9


def test_a_figure_ahead_of_the_others_gets_more_of_the_level():
    rng = RNG(0)
    drawn = rng.normal(size=(400, 6))
    plain = np.array([joint_chance(drawn[k], np.delete(drawn, k, axis=0))[0] for k in range(400)])
    ahead = np.array([1.0, 0, 0, 0, 0, 0])
    moved = np.array([joint_chance(drawn[k], np.delete(drawn, k, axis=0), ahead)[0] for k in range(400)])
    for p in (plain, moved):
        assert np.mean(p <= 0.05) == pytest.approx(
            0.05, abs=0.01
        )  # exact: every row in the place of the seen
    seen = np.array([2.3, 0, 0, 0, 0, 0])
    assert joint_chance(seen, drawn, ahead)[0] < 0.6 * joint_chance(seen, drawn)[0]


def test_the_sentence_says_what_decides(groups):
    (X, y), (X_new, y_new), held = groups
    flipped = np.where(np.arange(len(y_new)) % 4 == 0, 1 - y_new, y_new)
    told = [
        ControlAccuracy().run(gather(X, y, X_new, labels, holdout=held), RNG(0)).sentence
        for labels in (y_new, flipped)
    ]
    assert "What decides is how likely each label is" in told[1] and "What decides" not in told[0]


def test_a_numeric_target_that_is_ignored_is_found():
    rng = RNG(0)

    def rows(n):
        x = rng.normal(size=n)
        return pd.DataFrame({"x": x}), 2.0 * x + 0.2 * rng.normal(size=n)

    train, (X_new, y_new), held = rows(400), rows(300), rows(300)
    honest = ControlAccuracy().run(gather(*train, X_new, y_new, holdout=held), RNG(0))
    assert honest.value > 0.97
    assert honest.p_value > 0.02
    ignored = ControlAccuracy().run(gather(*train, X_new, rng.permutation(y_new), holdout=held), RNG(0))
    assert abs(ignored.value) < 0.15
    assert ignored.p_value < 1e-6
    same = ControlAccuracy().run(gather(*train, X_new, np.full(300, 1.5), holdout=held), RNG(0))
    assert np.isnan(same.value) and "nan" not in same.sentence
    assert "for one of the two is the same in all of them" in same.sentence


# ---- likelihood
class Normal:
    def __init__(self, spread=1.0):
        self.spread = spread

    def log_prob(self, X, y=None, *, sensitive_features=None, random_state=None):
        return stats.norm.logpdf(X, scale=self.spread).sum(axis=1)


def test_bits_per_dimension_of_a_normal_density():
    X = RNG(0).normal(size=(20_000, 3))
    found = held_out_log_prob(Normal(), X)
    entropy = 0.5 * np.log2(2 * np.pi * np.e)
    assert found.bits_per_dimension == pytest.approx(entropy, abs=4 * found.error / (3 * np.log(2)))
    assert held_out_log_prob(Normal(2.0), X).mean < found.mean
    assert found.n_dimensions == 3


def test_rows_known_by_heart_stand_out():
    rng = RNG(0)
    train, held = 0.5 * rng.normal(size=(300, 2)), rng.normal(size=(300, 2))
    found = held_out_log_prob(Normal(0.5), held, train=(train, None))
    assert found.low > 0
    assert found.difference == pytest.approx(found.train_mean - found.mean)
    got = LogLikelihood(Normal(0.5), (held, None), (train, None)).run(None, rng)
    assert "knows its training rows better" in got.sentence
    assert np.isnan(got.p_value)


def test_generators_without_densities_are_refused():
    with pytest.raises(InputTypeError, match="must have log_prob; given object"):
        held_out_log_prob(object(), np.zeros((3, 1)))
