"""`compare` with remedies, several learners, mended probabilities, worst groups and training functions."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from imblearn import FunctionSampler
from imblearn.over_sampling import RandomOverSampler
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.metrics import recall_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from augsynth import BootstrapGenerator, OverSampler
from augsynth.check import compare
from augsynth.check.utility.answers import FitPredict
from augsynth.check.utility.calibration import PriorCorrected, calibration_error
from augsynth.check.utility.comparisons import Comparisons
from augsynth.check.utility.fold_scores import WORST
from augsynth.check.utility.inputs import applicable_remedies
from augsynth.check.utility.metric import build_metrics
from augsynth.check.utility.splits import make_splits
from augsynth.check.utility.verdict import differences
from augsynth.core.errors import DataError, InputTypeError, ParameterError

FAST = {"cv": 3, "n_repeats": 1, "random_state": 0}
TWO = FAST | {"cv": 2}


def two_groups(n=400, share=0.3, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    sex = np.where(rng.random(n) < 0.4, "F", "M")
    X = rng.normal(size=(n, 4))
    X[:, 0] += 1.5 * y + (sex == "F")
    return X, y, pd.Series(sex, name="sex")


def rows(result, **wanted):
    frame = result.to_frame()
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    return frame.reset_index(drop=True)


@pytest.fixture(scope="module")
def with_remedies():
    X, y, sex = two_groups()
    names = ["cell weights", "correlation remover", "group thresholds"]
    return compare(
        LogisticRegression(),
        {"copies": RandomOverSampler()},
        X,
        y,
        sensitive_features=sex,
        remedies=names,
        calibrate="prior",
        scoring="balanced_accuracy",
        **TWO,
    )


def test_remedies_run_beside_the_resamplers(with_remedies):
    names = ["copies", "copies, prior", "cell weights", "correlation remover", "group thresholds"]
    assert with_remedies.methods == names and with_remedies.failures.empty
    text = str(with_remedies)
    assert "Recall of each class within each group" in text and "The worst group of each fold" in text
    json.dumps(with_remedies.to_dict(), allow_nan=False)


def test_a_plain_call_is_not_changed_by_what_else_is_asked(with_remedies):
    X, y, sex = two_groups()
    options = {"sensitive_features": sex, "scoring": "balanced_accuracy", **TWO}
    plain = compare(LogisticRegression(), {"copies": RandomOverSampler()}, X, y, **options)
    figures = ["metric", "scope", "level", "against", "score", "difference", "low", "high", "p_value"]
    alone, beside = (rows(each, method="copies") for each in (plain, with_remedies))
    beside = beside[beside["metric"].isin(set(alone["metric"]))].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone[figures], beside[figures])
    assert plain.verdicts.loc["copies", "in all"] == "no evidence"


def test_remedies_see_the_groups_of_the_test_rows_by_hand(with_remedies):
    """Group thresholds are another function of X in each group: recall by hand on the recorded folds."""
    from augsynth.remedies import remedy

    X, y, sex = two_groups()
    splits, _ = make_splits(
        X, y, classification=True, strata=sex.to_numpy(object), groups=None, cv=2, n_repeats=1, seed=0
    )
    split = splits[0]
    fitted = remedy("cell weights").fit(
        LogisticRegression(), X[split.train], y[split.train], sensitive_features=sex.iloc[split.train]
    )
    told = fitted.predict(X[split.test], sensitive_features=sex.iloc[split.test])
    folds = with_remedies.folds.query("method == 'cell weights' and fold == 0")
    by_cell = folds[folds["scope"] == "class+group"].set_index("level")["score"]
    worst = folds[(folds["scope"] == WORST) & (folds["metric"] == f"{WORST} recall")].set_index("level")[
        "score"
    ]
    for group in "FM":
        inside = (sex.iloc[split.test] == group).to_numpy()
        recall = recall_score(y[split.test][inside], told[inside], average=None)
        assert by_cell[[f"0, {group}", f"1, {group}"]].to_numpy() == pytest.approx(recall)
    assert worst["class 1"] == min(by_cell["1, F"], by_cell["1, M"])
    assert worst["any class"] == by_cell.min()


def test_worst_groups_are_judged_and_small_ones_are_not():
    X, y, _ = two_groups()
    groups = np.array(["A", "B"])[np.arange(400) % 2].astype(object)
    groups[np.flatnonzero(y == 1)[:5]] = "few"
    result = compare(LogisticRegression(), RandomOverSampler(), X, y, sensitive_features=groups, **FAST)
    few = rows(result, scope="class+group", level="1, few")
    assert (few["flag"] == "too few").all() and (few["verdict"] == "no evidence").all()
    worst = rows(result, scope=WORST, level="class 1")
    assert np.isfinite(worst["difference"]).all()  # the minimum is over groups with enough rows
    assert result.settings["cells"]["1, few"] == 5


def test_clusters_may_have_ids_of_several_types():
    rng = np.random.default_rng(0)
    X, y = pd.DataFrame({"a": rng.normal(size=60)}), np.tile([0, 1], 30)
    ids = np.array([k if k % 2 else f"p{k}" for k in range(15) for _ in range(4)], dtype=object)
    told = [
        compare(LogisticRegression(), {"copies": OverSampler(BootstrapGenerator())}, X, y, groups=groups,
                cv=3, n_repeats=1, random_state=0, progress=False)
        for groups in (ids, np.repeat(np.arange(15), 4))
    ]  # fmt: skip
    pd.testing.assert_frame_equal(told[0].folds, told[1].folds)


def test_resamplers_that_find_their_groups_are_given_none():
    X, y, sex = two_groups(n=160)
    table = pd.DataFrame(X, columns=[*"abcd"]).assign(sex=sex.to_numpy())
    model = make_pipeline(make_column_transformer(("drop", ["sex"]), remainder="passthrough"), GaussianNB())
    sampler = OverSampler(BootstrapGenerator(), by="class+group", group_columns=("sex",))
    options = {"sensitive_features": table["sex"], **TWO}
    result = compare(model, {"found": sampler}, table, y, **options)
    assert result.failures.empty and "class+group" in set(result.to_frame()["scope"])


def test_what_gives_labels_only_is_not_applicable_to_a_ranking_score():
    X, y, sex = two_groups(n=160)
    names = ["cell weights", "correlation remover", "group thresholds"]
    model = RidgeClassifier()  # ranks by decision_function alone
    options = {"sensitive_features": sex, "remedies": names, **TWO}
    result = compare(model, (), X, y, **options)
    assert result.failures.empty and result.metric == "average_precision"
    assert (result.verdicts.loc["group thresholds"] == "not applicable").all()
    assert result.verdicts.loc["cell weights", "in all"] == "no evidence"
    still = rows(result, method="group thresholds")
    ranked = still["metric"].str.contains("average_precision")
    assert (still[ranked]["flag"] == "gives labels only").all() and still[ranked]["difference"].isna().all()
    assert still[still["scope"] == "class"]["difference"].abs().max() > 0  # but recall is shown
    assert "gives labels only" in str(result)


def test_the_penalty_stands_beside_its_network_without_penalty():
    _, y, sex = two_groups(n=40)
    named = ["independence penalty", "cell weights"]
    found, notes = applicable_remedies(named, LogisticRegression(), y, sex, ())
    assert list(found) == ["independence penalty", "network without penalty", "cell weights"]
    assert found["network without penalty"] == replace(
        found["independence penalty"], strength=0.0, name="network without penalty"
    )
    assert "between these two" in notes[0]


def test_intervals_of_differences_of_shares_end_at_one():
    folds = pd.DataFrame(
        [
            (0, fold, method, metric, "all", "all", float(fold % 2 == (method == "a")))
            for fold in range(4)
            for method in ("a", "nothing")
            for metric in ("recall", "free")
        ],
        columns=["repeat", "fold", "method", "metric", "scope", "level", "score"],
    )
    options = {
        "test_train_ratio": 0.5,
        "alpha": 0.05,
        "flags": {},
        "failed": {},
        "judged": [("recall", "all")],
    }
    frame = differences(folds, ["a"], ["nothing"], **options, bounded={"recall"}).set_index("metric")
    ends = ["low", "high", "low_holm", "high_holm"]
    assert frame.loc["recall", ends].to_list() == [-1.0, 1.0, -1.0, 1.0]
    assert frame.loc["free", "low"] < -1 and frame.loc["free", "high"] > 1
    X, y = np.zeros((4, 1)), np.array([0, 0, 1, 1])
    names = ["recall", "roc_auc", "neg_calibration_error", "neg_log_loss", "matthews_corrcoef"]
    told = build_metrics(names, LogisticRegression(), X, y, 1)
    assert [each.bounded for each in told] == [True, True, True, False, False]


def test_remedies_that_do_not_apply_are_noted_with_the_reason():
    X, y, _ = two_groups(n=120)
    result = compare(LogisticRegression(), RandomOverSampler(), X, y, remedies="cell weights", **FAST)
    assert any(
        note == "cell weights: not applicable, there are no sensitive features." for note in result.notes
    )
    with pytest.raises(ParameterError, match="a method that applies"):
        compare(LogisticRegression(), (), X, y, remedies="cell weights", **FAST)
    with pytest.raises(ParameterError, match="no such remedy|name"):
        compare(LogisticRegression(), (), X, y, remedies="no such remedy", **FAST)
    with pytest.raises(InputTypeError, match="names or remedies"):
        compare(LogisticRegression(), (), X, y, remedies=[3], **FAST)


def test_several_learners_are_judged_together():
    X, y, _ = two_groups(n=200)
    methods = {"copies": RandomOverSampler(), "same": FunctionSampler()}
    learners = {"linear": LogisticRegression(), "bayes": GaussianNB()}
    result = compare(learners, methods, X, y, **FAST)
    assert isinstance(result, Comparisons) and list(result) == ["linear", "bayes"]
    alone = compare(GaussianNB(), methods, X, y, **FAST)
    pd.testing.assert_frame_equal(result["bayes"].verdicts, alone.verdicts)
    assert result.verdicts.loc[("linear", "same"), "difference"] == 0.0
    assert set(result.to_frame()["learner"]) == set(learners)
    text = str(result)
    assert "4 pairs of learner and method" in text and "bright side" in text
    json.dumps(result.to_dict(), allow_nan=False)
    listed = compare([GaussianNB(), GaussianNB()], methods, X, y, **FAST)
    assert list(listed) == ["GaussianNB", "GaussianNB 2"]


def test_holm_runs_over_learners_and_methods():
    """One pair at p = .015 (one-sided .0075 < .025): enough alone, not among four with the others at 1."""

    class One:
        def __init__(self, p):
            frame = pd.DataFrame(
                {"metric": "s", "scope": "all", "method": ["a", "b"], "against": "nothing", "score": 1.0}
            )
            frame = frame.assign(score_against=0.9, difference=[0.1, 0.0], low=0.0, high=0.2, flag="")
            self.frame = frame.assign(p_value=[p, 1.0], verdict="no evidence")
            self.metric = self.metric_words = "s"
            self.methods, self.baselines, self.settings = ["a", "b"], {"nothing": ""}, {"alpha": 0.05}
            self.costs = pd.DataFrame(
                0.0, index=["a", "b"], columns=["rows", "seconds_resample", "seconds_fit"]
            )

        def to_frame(self):
            return self.frame

    alone = Comparisons({"x": One(0.015)}).verdicts["verdict"]
    both = Comparisons({"x": One(0.015), "z": One(1.0)}).verdicts["verdict"]
    assert alone.tolist() == ["helps", "no evidence"] and set(both) == {"no evidence"}


@pytest.mark.parametrize("how", ["sigmoid", "isotonic", "prior"])
def test_copies_spoil_the_log_loss_and_calibration_mends_it(how):
    rng = np.random.default_rng(0)
    y = (np.arange(1500) < 150).astype(int)
    X = rng.normal(size=(1500, 3))
    X[:, 0] += 1.5 * y
    result = compare(LogisticRegression(), {"copies": RandomOverSampler()}, X, y, calibrate=how, **FAST)
    for metric, spoilt in (
        ("neg_log_loss", 0.15),
        ("neg_calibration_error", 0.15),
        ("neg_brier_score", 0.05),
    ):
        found = rows(result, metric=metric, against="nothing").set_index("method")["difference"]
        assert found["copies"] < -spoilt
        if metric != "neg_log_loss" or how != "isotonic":  # isotonic steps reach 0, an endless log-loss
            assert found[f"copies, {how}"] > -0.04
            assert found[f"copies, {how}"] > found["copies"] + 0.8 * spoilt


def test_prior_correction_is_the_closed_form():
    """Gaussian classes of equal variance: the log-odds at other class shares differ by a constant."""
    X = np.linspace(-2, 2, 9)[:, None]

    class Bayes:
        classes_ = np.array([0, 1])

        def __init__(self, share):
            self.share = share

        def predict_proba(self, X):
            odds = np.exp(2 * X[:, 0]) * self.share / (1 - self.share)
            return np.column_stack([1 / (1 + odds), odds / (1 + odds)])

    mended = PriorCorrected.of(Bayes(0.5), [0] * 9 + [1], [0] * 9 + [1] * 9)
    assert mended.predict_proba(X) == pytest.approx(Bayes(0.1).predict_proba(X))


def test_calibration_error_of_known_probabilities():
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    y = (rng.random(20_000) < p).astype(int)
    right = calibration_error(y, np.column_stack([1 - p, p]), [0, 1])
    assert right < 0.015  # .8 sqrt(p (1 - p) 10 / n) is .007
    squared = np.column_stack([1 - p**2, p**2])  # mean |p - p^2| = 1 / 6
    assert calibration_error(y, squared, [0, 1]) == pytest.approx(1 / 6, abs=0.01)


def test_calibration_error_counts_weights_as_copies():
    rng = np.random.default_rng(0)
    p, y, weight = rng.random(40), rng.integers(0, 2, 40), rng.integers(0, 4, 40)
    proba = np.column_stack([1 - p, p])
    copies = calibration_error(y.repeat(weight), proba.repeat(weight, axis=0), [0, 1], n_bins=1)
    assert calibration_error(y, proba, [0, 1], n_bins=1, sample_weight=weight) == pytest.approx(copies)
    metric = build_metrics("neg_calibration_error", LogisticRegression(), proba, y, 1)[0]
    model = LogisticRegression().fit(proba, y)
    assert metric(model, proba, y, weight) != metric(model, proba, y)


def test_calibrate_is_refused_or_noted_where_it_makes_no_sense():
    X, y, _ = two_groups(n=90)
    with pytest.raises(ParameterError, match="calibrate must be one of"):
        compare(GaussianNB(), RandomOverSampler(), X, y, calibrate="platt", **FAST)
    twice = FunctionSampler(func=lambda X, y: (np.vstack([X, X]), np.concatenate([y, y])), validate=False)
    result = compare(LinearRegression(), {"twice": twice}, X, X[:, 0] * 2, calibrate="sigmoid", **FAST)
    assert any("the target is a number" in note for note in result.notes) and result.methods == ["twice"]


# ---- training functions


def pictures(n=80, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4 // 3  # one of four
    return (rng.normal(size=(n, 6, 6)) * 0.4 + y[:, None, None]).clip(0, 1), y


def nearest_mean(X_train, y_train, X_test, *, sample_weight=None, seed):
    means = np.stack([X_train[y_train == k].mean(axis=0) for k in np.unique(y_train)])
    apart = ((X_test[:, None] - means) ** 2).reshape(len(X_test), len(means), -1).sum(axis=2)
    return np.exp(-apart) / np.exp(-apart).sum(axis=1, keepdims=True)


def test_a_training_function_on_pictures():
    X, y = pictures()
    called = []

    def told(X_train, y_train, X_test, *, seed):
        called.append((X_train.shape, X_test.shape, seed))
        return nearest_mean(X_train, y_train, X_test, seed=seed)

    methods = {"copies": OverSampler(BootstrapGenerator())}
    result = compare(FitPredict(told), methods, X, y, scoring=["roc_auc", "accuracy"], **FAST)
    assert result.failures.empty and len(called) == 3 * 2  # trained once a method and fold
    assert all(len(train) == len(test) == 3 for train, test, _ in called)
    assert result.baselines["class weights"] == "the training function has no parameter sample_weight"
    assert rows(result, metric="roc_auc", scope="all")["score"].min() > 0.9


def test_a_torch_model_learns_pictures_as_tensors():
    torch = pytest.importorskip("torch")
    X, y = pictures(60)

    def train(X_train, y_train, X_test, *, sample_weight, seed):
        generator = torch.Generator().manual_seed(seed)
        w = (torch.rand(36, 2, generator=generator, dtype=torch.float64) * 0.1).requires_grad_()
        b = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        labels = torch.as_tensor(np.asarray(y_train))
        weight = torch.ones(len(labels)) if sample_weight is None else torch.as_tensor(sample_weight)
        step = torch.optim.Adam([w, b], lr=0.1)
        for _ in range(40):
            loss = torch.nn.functional.cross_entropy(X_train.flatten(1) @ w + b, labels, reduction="none")
            step.zero_grad()
            (loss * weight).mean().backward()
            step.step()
        return (X_test.flatten(1) @ w + b).softmax(dim=1)

    methods = {"copies": OverSampler(BootstrapGenerator())}
    result = compare(FitPredict(train), methods, torch.as_tensor(X), y, scoring="balanced_accuracy", **FAST)
    assert result.failures.empty, result.failures["error"].iloc[0]
    assert rows(result, scope="all")["score"].min() > 0.8
    assert list(result.verdicts.columns) == ["nothing", "class weights", "tuned threshold", "in all"]


def test_training_functions_of_labels_and_of_numbers():
    X, y, sex = two_groups(n=120)
    labels = FitPredict(lambda X, y, X_test: np.full(len(X_test), np.bincount(y).argmax()), gives="labels")
    result = compare(labels, RandomOverSampler(), X, y, sensitive_features=sex, **FAST)
    assert result.metric == "balanced_accuracy" and result.failures.empty
    numbers = FitPredict(lambda X, y, X_test: X_test[:, 0] * 2.0, gives="numbers")
    twice = FunctionSampler(func=lambda X, y: (np.vstack([X, X]), np.concatenate([y, y])), validate=False)
    result = compare(numbers, {"twice": twice}, X, X[:, 0] * 2.0, **FAST)
    assert result.metric == "r2" and rows(result, scope="all")["score"].iloc[0] == pytest.approx(1.0)


def test_what_training_functions_may_not_return():
    X, y, _ = two_groups(n=60)
    with pytest.raises(InputTypeError, match=r"FitPredict\(function\)"):
        compare(nearest_mean, RandomOverSampler(), X, y, **FAST)
    for told, words in (
        (np.zeros(3), "must return probabilities"),
        (np.full((20, 2), 7.0), r"lie in \[0, 1\]"),
    ):
        with pytest.raises(DataError, match=words):
            compare(FitPredict(lambda X, y, X_test, told=told: told), RandomOverSampler(), X, y, **FAST)
    with pytest.raises(ParameterError, match="sample_weight"):
        FitPredict(lambda X, y, X_test: X_test).fit(X, y, sample_weight=np.ones(60))
