"""Checks of pictures on digits: real ones pass, planted defects are found, controls are what they say."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_digits

from augsynth.check.checks import default_checks
from augsynth.check.controls import make_controls
from augsynth.check.finding import COPY, INDEPENDENT, SMOTE
from augsynth.check.gathering import gather
from augsynth.check.pictures import (
    ClassificationAccuracyCheck,
    FrechetCheck,
    KernelCheck,
    PictureControlCheck,
    PixelsCheck,
    classification_accuracy,
    classifier_features,
)
from augsynth.check.pictures.controls import _encoder
from augsynth.check.pictures.features import fit_reader
from augsynth.check.pictures.linear import fit_linear
from augsynth.check.pictures.pixels import pixel_statistics, radial_power
from augsynth.check.pictures.reading import agreement_p_value
from augsynth.check.pictures.space import CLASSIFIER, FIXED, compared, reading_space, space_of
from augsynth.check.report.examination import examine
from augsynth.core.errors import DataError

X, y = load_digits(n_class=4, return_X_y=True)
X = X.reshape(-1, 8, 8).astype(np.uint8)
ORDER = np.random.default_rng(3).permutation(len(X))
TRAIN, NEW, HELD = ORDER[:240], ORDER[240:480], ORDER[480:]


def evidence_of(made, labels, **given):
    kind = {"holdout": (X[HELD], y[HELD]), **given}
    return gather(X[TRAIN], y[TRAIN], made, labels, **kind)


def p_values(evidence):
    checks = [
        FrechetCheck(), KernelCheck(), PixelsCheck(), ClassificationAccuracyCheck(network=False),
        PictureControlCheck(),
    ]  # fmt: skip
    assert all(check.applies(evidence) == "" for check in checks)
    return {check.name: check.run(evidence, np.random.default_rng(0)) for check in checks}


@pytest.fixture(scope="module")
def real():
    return evidence_of(X[NEW], y[NEW])


def test_real_pictures_pass(real):
    found = p_values(real)
    assert all(each.p_value > 0.01 for each in found.values())
    assert all(np.isfinite([each.value, each.null, each.low, each.high]).all() for each in found.values())
    assert found["control_accuracy"].value > 0.95
    assert found["frechet"].low <= found["frechet"].value <= found["frechet"].high
    assert abs(found["frechet"].value - found["frechet"].null) < 0.3 * found["frechet"].null


def test_blur_is_named(real):
    padded = np.pad(X[NEW].astype(float), ((0, 0), (1, 1), (1, 1)), mode="edge")
    soft = (padded[:, 1:-1, :-2] + 2 * padded[:, 1:-1, 1:-1] + padded[:, 1:-1, 2:]) / 4
    found = p_values(evidence_of(soft.round().astype(np.uint8), y[NEW]))
    assert found["pixels"].p_value < 1e-4 and found["frechet"].p_value < 1e-4
    assert "blur" in found["pixels"].sentence
    assert found["kernel_distance"].p_value < 1e-4


def test_wrong_contrast_is_named():
    pale = (X[NEW] * 0.7).round().astype(np.uint8)
    check = PixelsCheck()
    found = check.run(evidence_of(pale, y[NEW]), np.random.default_rng(0))
    table = found.details["statistics"].set_index("statistic")
    assert found.p_value < 1e-4 and table.loc["contrast", "difference"] < -1
    assert table.loc["brightness", "new"] == pytest.approx(0.7 * table.loc["brightness", "real"], rel=0.1)


def test_flipped_labels_are_found_in_their_class():
    labels = y[NEW].copy()
    threes = np.flatnonzero(labels == 3)
    labels[threes] = 1
    found = p_values(evidence_of(X[NEW], labels))
    assert found["control_accuracy"].p_value < 1e-4
    assert "Worst: 1" in found["control_accuracy"].sentence
    table = found["control_accuracy"].details["by_cell"].set_index("cell")
    assert table.loc["1", "read_as"] == "3" and table.loc["0", "agree"] > 0.9


def test_labels_at_random_teach_nothing():
    labels = np.random.default_rng(1).permutation(y[NEW])
    found = ClassificationAccuracyCheck(network=False).run(
        evidence_of(X[NEW], labels), np.random.default_rng(0)
    )
    assert found.p_value < 1e-4 and found.value < 0.6 and found.details["trained_on_real"] > 0.95


def test_agreement_in_one_cell_is_fishers_exact_test():
    made, real_hits = np.arange(30) < 18, np.arange(30) < 26
    wanted = stats.fisher_exact([[18, 12], [26, 4]], alternative="less").pvalue
    assert agreement_p_value(made, real_hits, np.zeros(30, dtype=int)) == pytest.approx(wanted)


def test_features_are_learned_once_and_from_half_of_the_training_rows(real):
    space = space_of(real)
    assert space.kind == CLASSIFIER and len(space.rest) == 120
    controls, notes = make_controls(real)
    assert not notes and all(space_of(each) is space for each in controls.values())
    alone = evidence_of(X[NEW], y[NEW], holdout=None)
    made, reference = compared(alone, space_of(alone))
    rest = {row.tobytes() for row in X[TRAIN][space_of(alone).rest]}
    assert len(made) == len(reference) and all(row.tobytes() in rest for row in np.asarray(reference.X))
    unlabelled = gather(X[TRAIN], None, X[NEW], None, holdout=(X[HELD], None))
    assert space_of(unlabelled).kind == FIXED
    assert FrechetCheck().run(unlabelled, np.random.default_rng(0)).p_value > 0.001


def test_controls_are_made_of_pixels(real):
    controls, _ = make_controls(real)
    assert np.allclose(_encoder(real)(X[TRAIN]), real.train.z, atol=1e-4)
    assert np.allclose(_encoder(real)(X[HELD]), real.holdout.z, atol=1e-3)
    for name in (INDEPENDENT, SMOTE, COPY):
        made = controls[name].made
        assert made.X.dtype == np.uint8 and made.X.shape == (len(NEW), 8, 8)
        assert (np.bincount(made.labels) == np.bincount(real.made.labels)).all()
    made = controls[INDEPENDENT].made
    for label in range(4):
        own, from_ = np.asarray(made.X)[made.labels == label], X[TRAIN][y[TRAIN] == label]
        assert all(set(own[:, i, j]) <= set(from_[:, i, j]) for i in range(8) for j in range(8))
        assert np.abs(own.mean(axis=0) - from_.mean(axis=0)).max() < 3  # standard error at most .9
    values = {name: PixelsCheck().value(each, np.random.default_rng(0)) for name, each in controls.items()}
    assert values[INDEPENDENT] > values[SMOTE] > values[COPY]


def test_classifier_features_are_the_same_bytes_twice():
    some = TRAIN[:100]
    found = [classifier_features(X[some], y[some], X[HELD], random_state=4)[0] for _ in range(2)]
    assert found[0].shape == (len(HELD), 64) and found[0].tobytes() == found[1].tobytes()
    reader = fit_reader(X[some], y[some], seed=4)
    assert (reader.labels(found[0]) == reader.read(X[HELD]).argmax(axis=1)).all()
    assert np.mean(reader.labels(found[0]) == y[HELD]) > 0.9
    with pytest.raises(DataError, match="two classes"):
        classifier_features(X[:5], np.zeros(5), X[:2])
    with pytest.raises(DataError, match="4 labels for 5 pictures"):
        classifier_features(X[:5], y[:4], X[:2])


def test_new_pictures_as_good_as_real_ones_teach_as_much():
    assert classification_accuracy(X[NEW], y[NEW], X[HELD], y[HELD]) > 0.95


def test_colour_pictures_and_lists_of_pictures_go_in():
    colour = np.stack([X, X // 2, 16 - X], axis=-1)
    swapped = colour[NEW][..., ::-1]
    evidence = gather(
        list(colour[TRAIN]), y[TRAIN], list(swapped), y[NEW], holdout=(list(colour[HELD]), y[HELD])
    )
    found = PixelsCheck().run(evidence, np.random.default_rng(0))
    assert found.p_value < 1e-4 and reading_space(evidence).kind == CLASSIFIER
    assert np.isfinite(FrechetCheck().value(evidence, np.random.default_rng(0)))


def test_power_by_radius_sums_to_the_variance():
    pixels = np.random.default_rng(0).random((5, 9, 12))
    assert radial_power(pixels).sum(axis=1) == pytest.approx(pixels.var(axis=(1, 2)))
    waves = np.tile(np.sin(2 * np.pi * np.arange(16) / 16), (1, 16, 1))
    assert radial_power(waves, 8)[0].argmax() == 0
    assert not pixel_statistics(np.zeros((2, 1, 1, 1))).isna().any(axis=None)


def test_linear_reader_is_the_best_there_is_for_normal_classes():
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=(4000, 2)), np.repeat([5, 9], 2000)
    z[labels == 9, 0] += 2.0
    hits = np.mean(fit_linear(z[::2], labels[::2]).read(z[1::2]) == labels[1::2])
    assert hits == pytest.approx(stats.norm.cdf(1.0), abs=0.025)  # three standard errors


def test_too_little_to_compare_is_said():
    evidence = evidence_of(X[NEW][:10], y[NEW][:10])
    assert "20 are needed" in FrechetCheck().applies(evidence)
    assert np.isnan(PictureControlCheck().run(evidence, np.random.default_rng(0)).value)


def test_many_features_are_tested_in_their_leading_components():
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(240, 300)) * np.linspace(2.0, 0.1, 300)
    real, held, moved = wide[:80], wide[80:160], wide[160:] * 1.6
    labels = np.arange(80) % 2
    alike = gather(real, labels, held, labels, holdout=(wide[160:], labels))
    apart = gather(real, labels, moved, labels, holdout=(held, labels))
    first, second = (
        FrechetCheck().run(replace(each, modality="features"), np.random.default_rng(0))
        for each in (alike, apart)
    )
    assert first.p_value > 0.05 and second.p_value < 1e-6
    assert "200 leading principal components" in first.sentence
    assert first.details["permutations"] == 199


@pytest.mark.parametrize("pictures", [True, False])
@pytest.mark.parametrize("kind", ["class", "one class", "number", "none", "alien"])
def test_ids_of_a_report_are_unique_for_rows_of_every_kind(kind, pictures):
    rows = X[:60] if pictures else X[:60].reshape(60, -1)[:, 18:22].astype(float)
    labels = {
        "class": y[:60], "one class": np.zeros(60, dtype=int), "number": y[:60] + X[:60].mean(axis=(1, 2)),
        "none": None, "alien": y[:60],
    }[kind]  # fmt: skip
    parts = [None if labels is None else labels[start : start + 20] for start in (0, 20, 40)]
    if kind == "alien":
        parts[1] = parts[1] + 50
    evidence = gather(rows[:20], parts[0], rows[20:40], parts[1], holdout=(rows[40:], parts[2]))
    count = Counter(check.name for check in default_checks())
    shared = [
        check for check in default_checks() if count[check.name] > 1
    ]  # the others have an id of their own
    names = [each.name for each in examine(evidence, shared, controls=False)[0]]
    assert len(set(names)) == len(names) and set(names) == {check.name for check in shared}


def test_of_two_checks_of_one_name_no_two_apply(real):
    table = gather(X[TRAIN].reshape(len(TRAIN), -1), y[TRAIN], X[NEW].reshape(len(NEW), -1), y[NEW])
    for evidence in (real, table):
        apply = [check.name for check in default_checks() if not check.applies(evidence)]
        assert len(set(apply)) == len(apply)
