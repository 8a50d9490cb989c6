"""Trials on held-out rows: the scores by other means, and what is said of known cases."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB

from augsynth.check.controls import make_controls
from augsynth.check.downstream import hold_out_trial
from augsynth.check.downstream.trained import BOTH, MATCHED, NEW, NEW_MATCHED, REAL, WEIGHTED
from augsynth.check.downstream.trial_tables import Estimate
from augsynth.check.downstream.weighted_scores import score_table
from augsynth.check.gathering import gather


def draw(n, rng, share=0.3, distance=1.2, d=6):
    y = (rng.random(n) < share).astype(int)
    X = rng.normal(size=(n, d))
    X[:, 0] += distance * y
    return pd.DataFrame(X, columns=[f"x{j}" for j in range(d)]), y


def evidence(n=200, n_new=200, n_test=500, seed=0, wrong=False, groups=False, d=6):
    rng = np.random.default_rng(seed)
    parts = [draw(size, rng, d=d) for size in (n, n_new, n_test)]
    (X, y), (X_new, y_new), (X_test, y_test) = parts
    extra = {}
    if groups:
        sex = [np.where(rng.random(size) < 0.4, "F", "M") for size in (n, n_new, n_test)]
        extra = {"sensitive_features": sex[0], "sensitive_features_new": sex[1]}
        holdout = (X_test, y_test, sex[2])
    else:
        holdout = (X_test, y_test)
    return gather(X, y, X_new, 1 - y_new if wrong else y_new, holdout=holdout, random_state=seed, **extra)


def row(trial, trained_on, metric=None):
    frame = trial.scores[(trial.scores["learner"] == trial.main) & (trial.scores["trained_on"] == trained_on)]
    return frame[frame["metric"] == (metric or trial.metric)].iloc[0]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_weighted_scores_agree_with_scikit_learn(n_classes):
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(n_classes), size=80).round(1)  # many ties
    proba /= proba.sum(axis=1, keepdims=True)
    y, w = rng.integers(0, n_classes, 80), rng.integers(0, 4, 80).astype(float)
    found = {name: each[0] for name, each in score_table(proba, y, w[None], positive=1).items()}
    told = proba.argmax(axis=1)
    want = {
        "accuracy": metrics.accuracy_score(y, told, sample_weight=w),
        "balanced accuracy": metrics.balanced_accuracy_score(y, told, sample_weight=w),
        "macro-F1": metrics.f1_score(y, told, average="macro", sample_weight=w),
        "log-loss": metrics.log_loss(y, proba, sample_weight=w),
        "Brier score": metrics.brier_score_loss(y, proba[:, 1] if n_classes == 2 else proba, sample_weight=w),
    }
    if n_classes == 2:
        want["average precision"] = metrics.average_precision_score(y, proba[:, 1], sample_weight=w)
    assert set(found) == set(want)
    for name, value in want.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name


def test_number_scores_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    y, told, w = rng.normal(size=50), rng.normal(size=50), rng.integers(0, 4, 50).astype(float)
    found = score_table(told, y, w[None], positive=0)
    assert found["R2"][0] == pytest.approx(metrics.r2_score(y, told, sample_weight=w))
    error = metrics.mean_absolute_error(y, told, sample_weight=w)
    assert found["mean absolute error"][0] == pytest.approx(error)


def test_the_error_of_an_estimate_is_the_sum_of_both_variances():
    boot, halves = np.array([0.5, 1.0, 2.0, 3.0]), np.array([0.0, 2.0])
    found = Estimate.of(boot, halves)
    assert found.value == 0.5
    assert found.error == pytest.approx(np.sqrt(1.0 + 2.0))  # variances of (1, 2, 3) and of (0, 2)
    assert found.freedom == pytest.approx(9.0 / (1.0 / 2 + 4.0 / 1))
    assert Estimate.of(np.zeros(5), np.zeros(4)).p_above() == 1.0


@pytest.fixture(scope="module")
def helped():
    """Few real rows in many columns, and many new ones from the truth."""
    found = evidence(n=100, n_new=2000, n_test=1500, groups=True, d=20)
    return found, hold_out_trial(found, learners=LogisticRegression(C=100.0), random_state=1)


def test_rows_from_the_truth_help_and_are_no_worse_alone(helped):
    _, trial = helped
    both = row(trial, BOTH)
    assert both["verdict"] == "helps" and both["diff_low"] > 0
    gain, tstr = trial.findings()
    assert (gain.part, gain.name, tstr.name) == ("downstream", "gain", "tstr")
    assert gain.value == pytest.approx(both["difference"]) and gain.p_value > 0.5
    assert tstr.p_value > 0.05 and "not shown to be worse" in tstr.sentence
    assert tstr.null == pytest.approx(row(trial, MATCHED)["value"])
    assert NEW_MATCHED in trial.predictions  # more new rows than real ones: cut to as many for the test
    assert "the new rows help" in str(trial)


def test_figures_are_those_of_the_predictions(helped):
    found, trial = helped
    y = found.holdout.labels
    for name in (REAL, BOTH, NEW):
        score = metrics.average_precision_score(y, trial.probabilities[name][:, 1])
        assert row(trial, name)["value"] == pytest.approx(score)
        assert (trial.predictions[name] == trial.probabilities[name].argmax(axis=1)).all()
    recall = metrics.recall_score(y, trial.predictions[BOTH], average=None)
    mine = trial.by_class[trial.by_class["trained_on"] == BOTH].set_index("class")
    assert mine["recall"].to_numpy() == pytest.approx(recall)
    assert mine["rows"].tolist() == np.bincount(y).tolist()
    groups = trial.by_group[trial.by_group["trained_on"] == REAL].set_index(["group", "class"])
    inside = found.holdout.groups == 0
    right = trial.predictions[REAL] == y
    assert groups.loc[("F", "all"), "value"] == pytest.approx(right[inside].mean())
    assert groups.loc[("F", "1"), "value"] == pytest.approx(right[inside & (y == 1)].mean())


def test_wrong_labels_hurt_and_fail():
    trial = hold_out_trial(evidence(wrong=True), learners=GaussianNB(), random_state=0)
    gain, tstr = trial.findings()
    assert row(trial, BOTH)["verdict"] == "hurts" and gain.p_value < 0.001 and tstr.p_value < 0.001
    assert row(trial, BOTH, "log-loss")["difference"] > 0  # in its own direction: more is worse
    assert row(trial, BOTH, "log-loss")["smaller_is_better"]


def test_the_default_learners_and_repeatability():
    found = evidence(n=60, n_new=60, n_test=120)
    first, second = (hold_out_trial(found, random_state=3, n_halves=2, n_bootstrap=20) for _ in range(2))
    pd.testing.assert_frame_equal(first.scores, second.scores)
    assert first.scores["learner"].unique().tolist() == ["gradient boosting", "linear model"]
    assert set(first.costs["trained_on"]) >= {REAL, BOTH, NEW, WEIGHTED, MATCHED}


def test_the_same_rows_again_are_no_difference_to_a_mean():
    """Every training row twice: naive Bayes cannot tell, up to rounding of its variances."""
    rng = np.random.default_rng(0)
    X, y = draw(150, rng)
    again = X.iloc[::-1].reset_index(drop=True)
    found = gather(X, y, again, y[::-1], holdout=draw(200, rng))
    trial = hold_out_trial(found, learners=GaussianNB())
    assert row(trial, BOTH)["difference"] == pytest.approx(0.0, abs=1e-12)
    assert row(trial, NEW)["verdict"] == "no evidence"


def test_without_a_holdout_or_labels_it_says_why():
    rng = np.random.default_rng(0)
    X, y = draw(30, rng)
    trial = hold_out_trial(gather(X, y, X[:9], y[:9]))
    assert "held out" in trial.reason and all(np.isnan(each.value) for each in trial.findings())
    assert "held out" in trial.findings()[0].caution and str(trial).startswith("Not tried")
    held, _ = draw(30, rng)
    assert "needs labels" in hold_out_trial(gather(X, None, X[:9], None, holdout=(held, None))).reason


def test_a_trial_as_plain_values(helped):
    _, trial = helped
    told = json.loads(json.dumps(trial.to_dict(), allow_nan=False))
    assert told["metric"] == trial.metric and told["main"] == trial.main and told["reason"] == ""
    kept = pd.DataFrame(told["scores"])
    assert len(kept) == len(trial.scores) and list(kept) == list(trial.scores)
    assert kept["value"].tolist() == trial.scores["value"].tolist()  # to the last bit
    assert [each["recall"] for each in told["by_class"]] == trial.by_class["recall"].tolist()
    assert told["sentences"] == [each.sentence for each in trial.findings()]
    assert (told["fair"]["low"], told["fair"]["high"]) == trial.fair.bounds(trial.alpha)
    assert told["settings"] == {"alpha": 0.05} and told["few"] is False and "predictions" not in told
    X = np.arange(8.0)[:, None]
    untried = hold_out_trial(gather(X, None, X + 0.5, None)).to_dict()
    assert untried["scores"] == [] and "needs labels" in untried["reason"]
    assert untried["chance"] is None and json.dumps(untried, allow_nan=False)


def test_new_rows_of_one_class_cannot_train_alone():
    rng = np.random.default_rng(0)
    (X, y), (X_new, _), holdout = draw(80, rng), draw(40, rng), draw(100, rng)
    trial = hold_out_trial(gather(X, y, X_new, np.ones(40, int), holdout=holdout), learners=GaussianNB())
    assert NEW not in trial.predictions and BOTH in trial.predictions
    assert np.isnan(row(trial, NEW)["value"]) and row(trial, NEW)["verdict"] == "not judged"
    tstr = trial.findings()[1]
    assert np.isnan(tstr.p_value) and "all of class 1" in tstr.caution


def test_numbers_and_few_held_out_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(360, 2))
    y = X[:, 0] + 0.5 * rng.normal(size=360)
    trial = hold_out_trial(
        gather(X[:100], y[:100], X[100:200], y[100:200], holdout=(X[200:], y[200:])),
        learners={"ols": LinearRegression()},
    )
    want = LinearRegression().fit(X[:100], y[:100]).score(X[200:], y[200:])
    assert trial.metric == "R2" and row(trial, REAL)["value"] == pytest.approx(want)
    assert trial.findings()[1].p_value > 0.05 and trial.by_class.empty
    few = hold_out_trial(evidence(n=80, n_new=80, n_test=30), learners=GaussianNB())
    assert row(few, BOTH)["verdict"] == "not judged" and np.isnan(few.findings()[0].p_value)


def test_controls_stand_beside():
    found = evidence(n=150, n_new=150, n_test=300)
    trial = hold_out_trial(found, learners=GaussianNB(), controls=make_controls(found)[0], n_halves=3)
    for finding in trial.findings():
        assert set(finding.controls) == {"real hold-out", "copy", "independent columns", "SMOTE"}
        assert all(np.isfinite(each) for each in finding.controls.values())


def test_scores_of_many_classes_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth, proba = rng.integers(0, 60, 400), rng.dirichlet(np.ones(60), 400)
    found = score_table(proba, truth, np.ones((1, 400)), 1)
    told = proba.argmax(axis=1)
    assert found["balanced accuracy"][0] == pytest.approx(metrics.balanced_accuracy_score(truth, told))
    assert found["macro-F1"][0] == pytest.approx(metrics.f1_score(truth, told, average="macro"))
