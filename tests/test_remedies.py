"""Remedies: what each does on data where the truth is known, determinism, and clear refusals."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from augsynth.check import compare
from augsynth.core.errors import DataError, ParameterError, ThinCellWarning
from augsynth.nn import running
from augsynth.nn.trainer import Trainer
from augsynth.remedies import (
    REMEDIES,
    CellWeights,
    CorrelationFree,
    GroupThresholds,
    IndependentClassifier,
    IndependentNetwork,
    remedy,
    thresholds,
)
from augsynth.resample.weights import balanced_weights

SHORT = Trainer(steps=100, batch_size=128, options={"progress": False, "ema": 0.9})


def rows(n=900, seed=0):
    """Group b is a third, with its positive rows shifted, so that one threshold misses them."""
    rng = np.random.default_rng(seed)
    group = np.where(rng.random(n) < 1 / 3, "b", "a")
    y = (rng.random(n) < 0.35).astype(int)
    X = pd.DataFrame(
        {
            "score": 1.5 * y - 1.2 * (group == "b") + rng.normal(size=n),
            "noise": rng.normal(size=n),
            "job": rng.choice(["cook", "clerk", "none"], n),
            "group": group,
        }
    )
    X.loc[rng.random(n) < 0.05, "noise"] = np.nan
    return X, np.where(y == 1, "yes", "no"), pd.Series(group, name="group")


def pipeline(model=None):
    hot = OneHotEncoder(handle_unknown="ignore")
    encode = make_column_transformer((StandardScaler(), ["score"]), (hot, ["job", "group"]))
    return make_pipeline(encode, LogisticRegression() if model is None else model)


def rates(predicted, y, group):
    """Return the recall of "yes" and the false-alarm rate, by group."""
    said = pd.Series(np.asarray(predicted) == "yes")
    return said[y == "yes"].groupby(group[y == "yes"].to_numpy()).mean(), said[y == "no"].groupby(
        group[y == "no"].to_numpy()
    ).mean()


@pytest.mark.parametrize("name", REMEDIES)
def test_protocol_and_determinism(name, monkeypatch):
    monkeypatch.setattr(
        IndependentClassifier,
        "_trainer",
        lambda self, n: Trainer(steps=20, batch_size=128, options=SHORT.options),
    )
    X, y, group = rows(300)
    X.index = X.index[::-1]
    found = remedy(name)
    assert found.name == name and found.why_not(pipeline(), y, group) == ""
    if name == "independence penalty":
        X = X.iloc[:, :2]
    states = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    estimator = pipeline() if "job" in X else LogisticRegression()
    fits = [found.fit(estimator, X, y, sensitive_features=group, random_state=3) for _ in range(2)]
    assert not hasattr(estimator, "classes_")  # a clone was fitted
    assert list(fits[0].classes_) == ["no", "yes"]
    labels = [each.predict(X, sensitive_features=group) for each in fits]
    assert (labels[0] == labels[1]).all() and set(labels[0]) <= {"no", "yes"}
    chances = fits[0].predict_proba(X, sensitive_features=group)
    assert chances.shape == (300, 2) and np.allclose(chances.sum(axis=1), 1)
    assert (np.random.get_state()[1] == states[0]).all()  # noqa: NPY002
    assert (torch.get_rng_state() == states[1]).all()


def test_cell_weights_are_balanced_weights_in_fit():
    X, y, group = rows()
    found = CellWeights().fit(pipeline(), X, y, sensitive_features=group)
    by_hand = pipeline().fit(X, y, logisticregression__sample_weight=balanced_weights(y, group))
    assert (found.predict_proba(X) == by_hand.predict_proba(X)).all()


def test_correlation_remover_leaves_no_linear_trace_of_the_group():
    X, y, group = rows()
    seen = {}

    class Spy(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen["X"] = X
            return super().fit(X, y, sample_weight)

    for estimator in (pipeline(Spy()), Spy()):  # with an encoder of its own, and without
        found = CorrelationFree().fit(estimator, X, y, sensitive_features=group)
        inside = (group == "b").to_numpy(float)
        cross = (seen["X"] - seen["X"].mean(axis=0)).T @ (inside - inside.mean())
        assert np.abs(cross).max() / len(y) < 1e-8
        strange = X.assign(group="c", job="pilot")
        assert len(found.predict(strange, sensitive_features=["c"] * len(X))) == len(X)


def test_group_thresholds_equalise_error_rates():
    X, y, group = rows(3000)
    test = rows(3000, seed=1)
    estimator = pipeline()
    plain = rates(clone(estimator).fit(X[["score"]].assign(job="cook", group="a"), y).predict(
        test[0].assign(job="cook", group="a")), *test[1:])  # fmt: skip
    gap = max(abs(each["a"] - each["b"]) for each in plain)
    found = GroupThresholds().fit(estimator, X, y, sensitive_features=group, random_state=0)
    after = rates(found.predict(test[0], sensitive_features=test[2]), *test[1:])
    assert gap > 0.25 and max(abs(each["a"] - each["b"]) for each in after) < 0.1  # s.e. of a gap: .03
    even = GroupThresholds(constraint="demographic_parity").fit(
        estimator, X, y, sensitive_features=group, random_state=0
    )
    said = even.predict(test[0], sensitive_features=test[2]) == "yes"
    assert abs(said[test[2] == "a"].mean() - said[test[2] == "b"].mean()) < 0.08


def persons(n=150, seed=0):
    """Four rows a person, all with one label that no feature tells."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n), 4)
    y, group = (rng.integers(0, 2, n)[person] for _ in range(2))
    X = np.column_stack([rng.normal(size=(4 * n, 2)), 10.0 * person])
    return X, y, np.where(group, "a", "b"), np.array([f"p{each}" for each in person])


def test_thresholds_come_from_persons_that_the_model_has_not_seen(monkeypatch):
    seen = {}

    def spy(estimator, X, y, weight, parts):
        seen["parts"] = parts
        return scored(estimator, X, y, weight, parts)

    scored = thresholds._held_out_scores
    monkeypatch.setattr(thresholds, "_held_out_scores", spy)
    X, y, group, person = persons()
    GroupThresholds().fit(LogisticRegression(), X, y, sensitive_features=group, groups=person, random_state=0)
    for train, test in seen["parts"]:
        assert not set(person[train]) & set(person[test])
    assert sorted(np.concatenate([test for _, test in seen["parts"]])) == list(range(600))


def test_compare_keeps_persons_together_in_the_folds_of_remedies():
    X, y, group, person = persons(60)
    asked = []

    class Spy(GroupThresholds):
        def fit(self, *rows, groups=None, **options):
            asked.append((len(rows[1]), groups))
            return super().fit(*rows, groups=groups, **options)

    class Plain(CellWeights):  # takes no groups, and is given none
        pass

    options = {"sensitive_features": group, "cv": 3, "n_repeats": 1, "scoring": "roc_auc"}
    result = compare(LogisticRegression(), (), X, y, remedies=[Spy(), Plain()], groups=person, **options)
    assert result.failures.empty and len(asked) == 3
    assert all(len(groups) == rows and len(set(groups)) < rows for rows, groups in asked)
    asked.clear()
    compare(LogisticRegression(), (), X, y, remedies=[Spy()], **options)
    assert [groups for _, groups in asked] == [None] * 3


def test_compare_with_persons_tunes_on_scores_of_other_persons():
    """A neighbour knows every row of a person that it has seen: on split persons it seems to err never."""
    X, y, group, person = persons()
    y = np.where(y == 1, "yes", "no")
    fitted = {}
    for groups in (None, person):
        scores = thresholds._held_out_scores(
            KNeighborsClassifier(1), X, y, None, thresholds._inner_parts((y == "yes") * 1, groups, 3, 0)
        )
        fitted[groups is None] = np.mean((scores > 0.5) == (y == "yes"))
    assert fitted[True] > 0.95 and 0.4 < fitted[False] < 0.6


def test_the_hold_out_of_the_penalty_keeps_persons_together(monkeypatch):
    X, y, group, person = persons(60)
    held = []
    before = running.Rows.of.__func__

    def spy(cls, *given, **options):
        rows = before(cls, *given, **options)
        held.append((rows.train.numpy(), rows.held.numpy()))
        return rows

    monkeypatch.setattr(running.Rows, "of", classmethod(spy))
    patient = Trainer(steps=10, options={"progress": False, "patience": 2})
    model = IndependentClassifier(trainer=patient, random_state=0)
    model.fit(X, y, sensitive_features=group, groups=person)
    model.fit(X, y, sensitive_features=group)
    (train, aside), (split, apart) = held
    assert not set(person[train]) & set(person[aside]) and len(train) + len(aside) == 240
    assert len(aside) == 24 and set(person[split]) & set(person[apart])
    IndependentNetwork().fit(None, X, y, sensitive_features=group, groups=person, random_state=0)


def test_few_persons_get_a_sentence():
    X, y, group, person = persons(6)
    with pytest.raises(DataError, match="given clusters that make 1 fold"):
        GroupThresholds().fit(LogisticRegression(), X, y, sensitive_features=group, groups=y)
    with pytest.raises(DataError, match="24 rows as X has"):
        GroupThresholds().fit(LogisticRegression(), X, y, sensitive_features=group, groups=person[:3])
    with pytest.raises(DataError, match="may not be missing; given 1 missing"):
        lost = np.array([None, *person[1:]], dtype=object)
        GroupThresholds().fit(LogisticRegression(), X, y, sensitive_features=group, groups=lost)


def test_thin_and_unseen_groups_share_thresholds():
    X, y, group = rows(300)
    thin = group.where(np.arange(300) > 3, "c")
    with pytest.warns(ThinCellWarning, match="given 'c'"):
        found = GroupThresholds().fit(pipeline(), X, y, sensitive_features=thin, random_state=0)
    assert len(found.predict(X, sensitive_features=["never seen"] * 300)) == 300


def test_scores_without_probabilities_will_do():
    X, y, group = rows(300)
    found = GroupThresholds().fit(pipeline(LinearSVC()), X, y, sensitive_features=group, random_state=0)
    assert not hasattr(found, "predict_proba") and set(found.predict(X, sensitive_features=group)) <= set(y)


def test_independent_classifier_tells_classes_but_not_groups():
    X, y, group = rows(2000)
    y = np.where((y == "yes") & ((group == "a") | (X["noise"] > 0)), "yes", "no")  # fewer "yes" in b
    gaps = {}
    for strength in (0, 3):
        model = IndependentClassifier(strength, trainer=SHORT, random_state=0)
        said = model.fit(X, y, sensitive_features=group).predict_proba(X)[:, 1]
        gaps[strength] = abs(said[group == "a"].mean() - said[group == "b"].mean())
        assert (model.predict(X) == y).mean() > np.mean(y == "no")
    assert gaps[0] > 0.1 and gaps[3] < 0.04


def test_independent_classifier_and_a_sensitive_number():
    rng = np.random.default_rng(0)
    age = rng.normal(40, 10, 800)
    X = np.column_stack([rng.normal(size=800), age])
    y = (X[:, 0] + (age - 40) / 10 + rng.normal(size=800) > 0).astype(int)
    found = []
    for strength in (0, 5):
        model = IndependentClassifier(strength, trainer=SHORT, random_state=0)
        said = model.fit(X, y, sensitive_features=age).predict_proba(X)[:, 1]
        found.append(abs(np.corrcoef(said, age)[0, 1]))
    assert found[0] > 0.5 and found[1] < 0.2


def test_independent_classifier_takes_any_table():
    X, y, group = rows(200)
    X["when"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(200), unit="D")
    X["whole"] = pd.array(np.arange(200), dtype="Int64")
    X.loc[3, "whole"] = pd.NA
    model = IndependentClassifier(hidden=(8,), trainer=Trainer(steps=5, options={"progress": False}))
    model.fit(X, y, sensitive_features=X[["group", "job"]], sample_weight=np.ones(200))
    assert model.predict(X.assign(job="pilot").iloc[:1]).shape == (1,)
    with pytest.raises(DataError, match="columns of the training rows"):
        model.predict(X.drop(columns="job"))


def test_reasons_and_sentences():
    X, y, group = rows(60)
    for each in REMEDIES.values():
        assert each.why_not(Ridge(), y, group) == "the target is a number, not a class"
        assert each.why_not(pipeline(), y, None) == "there are no sensitive features"
        assert each.why_not(pipeline(), y, ["a"] * 60) == "there is only one group"
    assert "3 classes" in GroupThresholds().why_not(pipeline(), np.arange(60) % 3, group)
    assert "fewer than 10" in GroupThresholds().why_not(pipeline(), [1] * 5 + [0] * 55, group)
    with pytest.raises(ParameterError, match="'cell weights', 'correlation remover'"):
        remedy("weights")
    with pytest.raises(ParameterError, match="constraint must be"):
        GroupThresholds("parity").fit(pipeline(), X, y, sensitive_features=group)
    with pytest.raises(ParameterError, match="strength must be"):
        IndependentClassifier(-1).fit(X, y)
    with pytest.raises(DataError, match="at least two classes"):
        IndependentNetwork().fit(None, X, ["no"] * 60, sensitive_features=group)
    with pytest.raises(DataError, match="60 rows as X has"):
        IndependentClassifier().fit(X, y, sensitive_features=group[:9])
