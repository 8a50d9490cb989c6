"""Bad input to the checks of bare arrays: one sentence each, and no figure."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from augsynth import BootstrapGenerator, GaussianMixtureGenerator, OverSampler, balanced_weights, check
from augsynth.check.gathering import gather
from augsynth.core.errors import AugsynthError, AugsynthWarning
from augsynth.nn.independence import IndependencePenalty, dependence
from augsynth.remedies import CellWeights

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 60, 3))
Y, S = np.arange(60) % 2, np.array(["f", "m"] * 30)[RNG.permutation(60)]
GAP = np.where(np.arange(60)[:, None] == 3, np.nan, A)
PICTURES = RNG.random((60, 6, 6))
LOGISTIC = LogisticRegression()


def groups(*given, **more):
    return check.group_metrics(*given, sensitive_features=S, **more)


def paired(*given, **more):
    return check.before_after(*given, sensitive_features=S, **more)


def failing(y_true, y_pred):
    raise KeyError("no")


def curve(ratios):
    return check.ratio_curve(LOGISTIC, BootstrapGenerator(), A, Y, ratios=ratios, cv=3)


def trial(**more):
    return check.hold_out_trial(gather(A, Y, B, Y, holdout=(A + B, Y)), **more)


def compare(**more):
    return check.compare(LOGISTIC, OverSampler(BootstrapGenerator()), A, Y, cv=2, n_repeats=1, **more)


CASES = {
    "labels as text before": lambda: paired(Y, Y.astype(str), Y),
    "labels as text": lambda: groups(Y.astype(str), Y),
    "predictions as text": lambda: groups(Y, Y.astype(str)),
    "slices, labels as text": lambda: check.find_slices(A, Y.astype(str), Y),
    "slices, missing labels": lambda: check.find_slices(A, np.where(Y == 1, np.nan, 0), Y),
    "slices, loss": lambda: check.find_slices(A, loss="x"),
    "slices, huge loss": lambda: check.find_slices(A, loss=Y * 1e308),
    "metrics 3": lambda: groups(Y, Y, metrics=3),
    "metric no function": lambda: groups(Y, Y, metrics={"x": 3}),
    "metric fails": lambda: groups(Y, Y, metrics={"x": failing}),
    "metric None": lambda: groups(Y, Y, metrics={"x": lambda y_true, y_pred: None}),
    "before, metrics 3": lambda: paired(Y, Y, Y, metrics=3),
    "before, seed": lambda: paired(Y, Y, Y, random_state=-1),
    "trial, seed": lambda: trial(random_state=2.5),
    "gather, seed": lambda: gather(A, Y, B, Y, random_state="x"),
    "gap seed": lambda: check.gap_interval([1, 2], [10, 10], random_state=2.5),
    "gap text": lambda: check.gap_interval(["a", "b"], [10, 10]),
    "gap None": lambda: check.gap_interval(None, [10, 10]),
    "mean gap text": lambda: check.mean_gap_interval("x", [1, 2], [10, 10]),
    "closer NaN": lambda: check.closer_share(GAP, A, B),
    "closer inf": lambda: check.closer_share(A, A, np.where(np.isnan(GAP), np.inf, A)),
    "closer none new": lambda: check.closer_share(A[:0], A, B),
    "closer none train": lambda: check.closer_share(A, A[:0], B),
    "closer columns": lambda: check.closer_share(A[:, :2], A, B),
    "closer texts": lambda: check.closer_share(["a", "b"], A, B),
    "closer frame of texts": lambda: check.closer_share(pd.DataFrame({"a": ["x"]}), A, B),
    "closer pictures": lambda: check.closer_share(PICTURES, PICTURES, PICTURES),
    "support NaN": lambda: check.support_size(GAP, A),
    "support inf": lambda: check.support_size(GAP + np.inf, A),
    "support radius -1": lambda: check.support_size(A, radius=-1),
    "support radius NaN": lambda: check.support_size(A, radius=float("nan")),
    "support radius text": lambda: check.support_size(A, radius="x"),
    "kernel texts": lambda: check.kernel_distance(A.astype(str), B),
    "kernel huge": lambda: check.kernel_distance(A * 1e150, B),
    "kernel complex": lambda: check.kernel_distance(A + 1j, B),
    "frechet texts": lambda: check.frechet_distance(A, [["a"] * 3] * 4),
    "frechet huge": lambda: check.frechet_distance(A * 1e200, B),
    "sliced seed -1": lambda: check.sliced_wasserstein(A, B, random_state=-1),
    "sliced seed 2.5": lambda: check.sliced_wasserstein(A, B, random_state=2.5),
    "sliced seed text": lambda: check.sliced_wasserstein(A, B, random_state="x"),
    "bandwidths": lambda: check.maximum_mean_discrepancy(A, B, bandwidths="x"),
    "auc, column 9": lambda: check.classifier_auc(A, B, categorical=[9]),
    "auc, column a": lambda: check.classifier_auc(A, B, categorical=["a"]),
    "auc, None": lambda: check.classifier_auc(A, B, categorical=None),
    "auc, text": lambda: check.classifier_auc(A, B, categorical="from_dtype"),
    "accuracy of tables": lambda: check.classification_accuracy(A, Y, A, Y),
    "accuracy of texts": lambda: check.classification_accuracy(PICTURES, Y, ["a"] * 60, Y),
    "accuracy of a frame": lambda: check.classification_accuracy(pd.DataFrame(A), Y, PICTURES, Y),
    "accuracy, labels": lambda: check.classification_accuracy(PICTURES, Y[:9], PICTURES, Y),
    "accuracy, test labels": lambda: check.classification_accuracy(PICTURES, Y, PICTURES, Y[:9]),
    "weights, continuous": lambda: balanced_weights(A[:, 0]),
    "weights, dates": lambda: balanced_weights(pd.Series(pd.date_range("2020", periods=60))),
    "weights 3": lambda: balanced_weights(3),
    "weights None": lambda: balanced_weights(None),
    "reference text": lambda: check.data_bias(A, Y, sensitive_features=S, reference="nope"),
    "reference 3": lambda: check.data_bias(A, Y, sensitive_features=S, reference=3),
    "shares": lambda: check.data_bias(A, Y, sensitive_features=S, reference={"f": 0.9, "m": 0.5}),
    "no table": lambda: check.data_bias(None, Y, sensitive_features=S),
    "attack 3": lambda: check.shadow_attack(3, A),
    "attack of a class": lambda: check.shadow_attack(BootstrapGenerator, A),
    "attack, short y": lambda: check.shadow_attack(BootstrapGenerator(), A, Y[:9]),
    "attack, max_rows": lambda: check.shadow_attack(BootstrapGenerator(), A, max_rows=-1),
    "density, unfitted": lambda: check.held_out_log_prob(GaussianMixtureGenerator(), A),
    "density of a class": lambda: check.held_out_log_prob(GaussianMixtureGenerator, A),
    "density, columns": lambda: check.held_out_log_prob(GaussianMixtureGenerator().fit(A), A[:, :2]),
    "density, train": lambda: check.held_out_log_prob(GaussianMixtureGenerator().fit(A), A, train=3),
    "ratios of text": lambda: curve(["x"]),
    "ratios 1": lambda: curve(1),
    "ratios huge": lambda: curve([0, 1e9]),
    "trial of None": lambda: check.hold_out_trial(None),
    "trial, learners 3": lambda: trial(learners=3),
    "trial, no learner": lambda: trial(learners={}),
    "trial, class": lambda: trial(learners=LogisticRegression),
    "trial, bootstrap": lambda: trial(n_bootstrap=-1),
    "trial, alpha": lambda: trial(alpha=5),
    "trial, halves": lambda: trial(n_halves=0),
    "remedies 3": lambda: compare(remedies=3),
    "remedies None": lambda: compare(remedies=None),
    "remedy class": lambda: compare(remedies=[CellWeights]),
    "FitPredict": lambda: check.compare(check.FitPredict(3), OverSampler(BootstrapGenerator()), A, Y),
    "penalty of arrays": lambda: IndependencePenalty()(A[:, 0], Y),
    "penalty of None": lambda: IndependencePenalty()(None, torch.tensor(Y)),
    "penalty, given": lambda: IndependencePenalty()(torch.tensor(A[:, 0]), torch.tensor(Y), given=Y.tolist()),
    "dependence of scalars": lambda: dependence(torch.tensor(1.0), torch.tensor(2.0)),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_gets_one_sentence(case):
    with pytest.raises(AugsynthError) as caught:
        CASES[case]()
    told = str(caught.value)
    assert re.fullmatch(r"[\w.: ]+: [^\n]+; given [^\n]+\.", told), told


def test_errors_name_the_function_that_was_called():
    with pytest.raises(AugsynthError, match="^classification_accuracy: "):
        CASES["accuracy, labels"]()


def test_equal_numbers_of_several_types_are_the_same_labels():
    for said in (Y.astype(bool), Y.astype(float), pd.Series(Y, dtype="Int64")):
        changes = paired(Y, Y, said).changes
        assert (changes["change"] == 0).all()
        assert groups(Y.astype(bool), said).by_group.query("metric == 'accuracy'")["value"].eq(1).all()


def test_dates_with_a_time_zone_can_be_sliced():
    table = pd.DataFrame({"when": pd.date_range("2020", periods=60, tz="Europe/Berlin"), "a": A[:, 0]})
    assert len(check.find_slices(table, loss=Y).slices) >= 0


@pytest.mark.parametrize("measure", ["distance", "hsic"])
@pytest.mark.parametrize("width", [1, 3])
def test_the_penalty_has_no_scale(measure, width):
    said = torch.tensor(A[:, :width], dtype=torch.float32, requires_grad=True)
    other = said.detach()[:, 0] + 0.1
    penalty = IndependencePenalty(measure)
    usual, huge = penalty(said, other), penalty(said * 1e25, other)
    assert usual > 0.1
    assert huge.item() == pytest.approx(usual.item(), rel=1e-3)
    huge.backward()
    assert torch.isfinite(said.grad).all()


def test_a_penalty_that_never_acts_says_so_once():
    said, group = torch.tensor(A[:, 0]), torch.tensor(Y)
    penalty = IndependencePenalty()
    with pytest.warns(AugsynthWarning, match="given 60 rows of 60 classes"):
        assert penalty(said, group, given=torch.arange(60)) == 0
    assert penalty(said[:3], group[:3]) == 0  # no second warning: it would be an error here
    with pytest.warns(AugsynthWarning, match="given 3 rows"):
        IndependencePenalty()(said[:3], group[:3])
