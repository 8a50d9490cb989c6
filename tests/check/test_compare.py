"""`compare`: what it says of known cases, and what it refuses."""

from __future__ import annotations

import json
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from imblearn import FunctionSampler
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.metrics import recall_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from augsynth.check import compare
from augsynth.check.utility.baselines import applicable_baselines, fit_with_class_weights
from augsynth.check.utility.folds import run_method
from augsynth.check.utility.metric import build_metrics
from augsynth.check.utility.verdict import overall_verdicts
from augsynth.core.errors import AugsynthWarning, DataError, InputTypeError, LeakError, ParameterError

FAST = {"cv": 4, "n_repeats": 3, "random_state": 0}


def two_classes(n=300, d=10, share=0.2, distance=1.5, seed=0):
    rng = np.random.default_rng(seed)
    y = np.zeros(n, dtype=int)
    y[: int(n * share)] = 1
    X = rng.normal(size=(n, d))
    X[:, 0] += distance * y
    return X, y


class Oracle:
    """Fresh draws from the true distribution of `two_classes`."""

    def __init__(self, rows=2000, distance=1.5):
        self.rows, self.distance, self.random_state = rows, distance, None

    def fit_resample(self, X, y):
        rng = np.random.default_rng(self.random_state)
        made = rng.integers(0, 2, size=self.rows)
        fresh = rng.normal(size=(self.rows, X.shape[1]))
        fresh[:, 0] += self.distance * made
        return np.vstack([X, fresh]), np.concatenate([y, made])


def flip_labels(X, y):
    y = y.copy()
    y[::2] = 1 - y[::2]
    return X, y


def broken(X, y):
    if (X[:, 3] > 0).sum() % 2:  # some folds, not all
        raise ValueError("no neighbours left")
    return X, y


def row(result, method, against="nothing", scope="all", level="all"):
    frame = result.to_frame()
    found = frame[(frame["method"] == method) & (frame["against"] == against) & (frame["scope"] == scope)]
    return found[found["level"] == level].iloc[0]


@pytest.fixture(scope="module")
def known():
    """Cases whose answer is known beforehand, in one comparison."""
    X, y = two_classes(n=800, d=100)
    methods = {
        "identity": FunctionSampler(),
        "oracle": Oracle(),
        "wrong labels": FunctionSampler(func=flip_labels),
        "broken": FunctionSampler(func=broken),
    }
    sex = pd.Series(np.where(np.arange(800) % 3 == 0, "F", "M"), name="sex")
    return compare(
        LogisticRegression(),
        methods,
        X,
        y,
        scoring="roc_auc",
        sensitive_features=sex,
        n_repeats=3,
        random_state=0,
    )


def test_identity_differs_from_nothing_by_exactly_zero(known):
    found = row(known, "identity")
    assert (found["difference"], found["low"], found["high"]) == (0.0, 0.0, 0.0)
    assert found["n_folds"] == 15 and found["p_value"] == 1.0
    assert known.verdicts.loc["identity", "in all"] == "no evidence"


def test_oracle_helps_and_wrong_labels_hurt(known):
    assert (known.verdicts.loc["oracle"] == "helps").all()
    assert row(known, "oracle")["low_holm"] > 0
    assert known.verdicts.loc["wrong labels", "nothing"] == "hurts"
    assert known.verdicts.loc["wrong labels", "in all"] == "hurts"


def test_a_method_that_fails_is_reported_and_stops_nobody(known):
    failed = known.failures
    assert set(failed["method"]) == {"broken"} and 0 < len(failed) < 15
    assert failed["error"].iloc[0] == "ValueError: no neighbours left"
    assert row(known, "broken")["flag"] == "failed"
    assert known.verdicts.loc["broken", "in all"] == "no evidence"
    assert f"it failed on {len(failed)} of 15 folds" in known.summary()
    assert f"no evidence (failed on {len(failed)} of 15 folds)" in str(known)


def test_failed_everywhere_is_a_verdict_of_its_own_and_not_counted():
    X, y = two_classes(n=120)

    def unable(X, y):
        raise ValueError("no neighbours left")

    methods = {"unable": FunctionSampler(func=unable), "over": RandomOverSampler()}
    options = {"cv": 2, "n_repeats": 2, "random_state": 0}
    with pytest.warns(AugsynthWarning, match="unable failed on all 4 folds: ValueError") as told:
        both = compare({"a": GaussianNB()}, methods, X, y, **options)
    assert len(told) == 1
    result = both["a"]
    assert (result.verdicts.loc["unable"] == "failed").all()
    assert set(result.to_frame().query("method == 'unable' and metric == 'recall'")["verdict"]) == {"failed"}
    assert str(result).splitlines()[2].startswith("FAILED: unable failed on all 4 folds: ValueError: no neig")
    assert "unable: failed on all 4 folds." in result.summary() and "failed" in repr(result)
    assert any(each.get_text() == "failed" for each in result.plot().axes[0].texts)
    counted = row(result, "over")  # Holm's allowance is for one method
    assert counted["p_holm"] == counted["p_value"]
    assert both.verdicts["verdict"].to_list() == ["failed", "no evidence"]
    assert "FAILED: a: unable" in str(both) and "nan" not in str(both)


def test_threshold_does_not_apply_to_a_ranking_score(known):
    assert known.baselines["tuned threshold"] == "ROC AUC does not depend on a threshold"
    assert list(known.verdicts.columns) == ["nothing", "class weights", "in all"]
    assert "tuned threshold: not applicable, ROC AUC does not depend on a threshold" in str(known)


def test_outputs(known, tmp_path):
    text = str(known)
    for word in ("oracle: helps.", "wrong labels: hurts.", "identity: no evidence that it helps.", "seconds"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 120
    stored = json.loads(json.dumps(known.to_dict(), allow_nan=False))
    assert stored["verdicts"]["oracle"]["in all"] == "helps"
    assert len(stored["folds"]) == 15 * 6 - len(known.failures)
    known.plot(tmp_path / "forest.png")
    known.plot(tmp_path / "forest.svg")
    assert (tmp_path / "forest.png").read_bytes()[:4] == b"\x89PNG"
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["forest.png", "forest.svg"]
    svg_free = known.plot().texts
    assert any("15 paired folds" in each.get_text() for each in svg_free)
    assert (known.costs.loc["oracle", "rows"], known.costs.loc["nothing", "rows"]) == (2640, 640)


def test_class_and_group_scores_by_hand(known):
    """Recall and group AUC of "nothing", repeated with plain scikit-learn on the recorded folds."""
    X, y = two_classes(n=800, d=100)
    from augsynth.check.utility.splits import make_splits

    sex = np.where(np.arange(800) % 3 == 0, "F", "M").astype(object)
    splits, _ = make_splits(X, y, classification=True, strata=sex, groups=None, cv=5, n_repeats=1, seed=0)
    for split in splits:
        model = LogisticRegression().fit(X[split.train], y[split.train])
        recall = recall_score(y[split.test], model.predict(X[split.test]), average=None)
        told = known.folds.query(f"method == 'nothing' and repeat == 0 and fold == {split.fold}")
        by_class = told[told["scope"] == "class"].set_index("level")["score"]
        assert by_class.loc[[0, 1]].to_numpy() == pytest.approx(recall)
        for group in "FM":
            rows = split.test[sex[split.test] == group]
            # AUC by counting pairs
            score = model.decision_function(X[rows])
            pairs = score[y[rows] == 1][:, None] - score[y[rows] == 0][None, :]
            auc = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
            told_group = told[(told["scope"] == "group") & (told["level"] == group)]["score"].iloc[0]
            assert told_group == pytest.approx(auc)
        gap = told[told["scope"] == "gap"]["score"].iloc[0]
        groups = told[told["scope"] == "group"]["score"]
        assert gap == pytest.approx(groups.max() - groups.min())


def test_few_rows_are_shown_and_not_judged():
    X, y = two_classes(n=200)
    small = np.where(np.arange(200) < 5, "few", "many")  # five positive rows, no negative one
    result = compare(LogisticRegression(), Oracle(), X, y, sensitive_features=small, **FAST)
    flagged = row(result, "Oracle", scope="group", level="few")
    assert flagged["flag"] == "too few" and flagged["verdict"] == "no evidence"
    assert np.isnan(flagged["score"])  # undefined, not 0
    assert row(result, "Oracle", scope="group", level="many")["flag"] == ""
    assert "gap" not in set(result.to_frame()["scope"])  # one group that can be judged has no gap


@pytest.mark.parametrize(
    ("estimator", "scoring", "reasons"),
    [
        (LogisticRegression(), "accuracy", ["", ""]),
        (LogisticRegression(class_weight="balanced"), "accuracy", ["weighs its classes already", ""]),
        (make_pipeline(StandardScaler(), RandomForestClassifier(5)), "neg_log_loss", ["", "depend"]),
        (make_pipeline(StandardScaler(), GaussianNB()), "balanced_accuracy", ["", ""]),
        (KNeighborsClassifier(), "average_precision", ["takes no sample_weight", "depend"]),
        (RidgeClassifier(), "accuracy", ["", ""]),
    ],
)
def test_which_baselines_apply(estimator, scoring, reasons):
    X, y = two_classes(n=80, share=0.4)
    metric = build_metrics(scoring, estimator, X, y, 1)[0]
    found = applicable_baselines(estimator, metric, 2, rarest_in_training=16)
    for text, part in zip([found["class weights"], found["tuned threshold"]], reasons, strict=True):
        assert (part in text) if part else text == ""
    if not found["class weights"]:
        assert fit_with_class_weights(clone(estimator), X, y, None).predict(X).shape == (80,)


def test_class_weights_reach_the_model():
    """Balanced copies in whole multiples are class weights: both must give the same scores."""
    X, y = two_classes(n=400, share=0.2)

    def four_times(X, y):
        return np.vstack([X, *[X[y == 1]] * 3]), np.concatenate([y, *[y[y == 1]] * 3])

    methods = {"copies": FunctionSampler(func=four_times)}  # every fold keeps one rare row to four others
    result = compare(GaussianNB(), methods, X, y, scoring="neg_brier_score", **FAST)
    assert row(result, "copies", "class weights")["difference"] == pytest.approx(0.0, abs=1e-6)
    assert row(result, "copies")["difference"] < -0.01  # the probabilities suffer, as they do from weights


def test_multiclass_strings_and_regression():
    X, y = two_classes(n=120, share=0.5)
    names = np.array(["rare", "usual", "common"])[np.arange(120) % 3]
    X[:, 1] += np.arange(120) % 3
    result = compare(LogisticRegression(), [RandomOverSampler()], X, names.tolist(), cv=3, n_repeats=1)
    assert result.metric == "balanced_accuracy"
    assert result.baselines["tuned threshold"] == "there are 3 classes, and a threshold needs two"
    assert set(result.to_frame().query("scope == 'class'")["level"]) == {"rare", "usual", "common"}

    smooth = X[:, 0] * 2.0 + y
    grow = FunctionSampler(func=lambda X, y: (np.vstack([X, X]), np.concatenate([y, y])), validate=False)
    result = compare(LinearRegression(), {"twice": grow}, X, smooth, cv=3, n_repeats=1, random_state=0)
    assert list(result.verdicts.columns) == ["nothing", "in all"] and result.metric == "r2"
    assert row(result, "twice")["difference"] == pytest.approx(0.0, abs=1e-9)


def test_the_rarer_class_is_the_positive_one_whatever_it_is_called():
    X, y = two_classes(n=200)
    names = np.where(y == 1, "a rare one", "usual")
    fast = {"cv": 4, "n_repeats": 1, "random_state": 0}
    plain = compare(GaussianNB(), SMOTE(), X, y, **fast)
    named = compare(GaussianNB(), SMOTE(), X, names, **fast)
    assert named.metric_words == "average precision of class a rare one"
    assert row(plain, "SMOTE")["difference"] == pytest.approx(row(named, "SMOTE")["difference"])
    other = compare(GaussianNB(), SMOTE(), X, names, pos_label="usual", **fast)
    assert row(other, "SMOTE")["score"] > 0.9 > row(named, "SMOTE")["score"]


def test_frames_with_categories_and_several_scores():
    X, y = two_classes(n=160, share=0.3)
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": pd.Categorical(np.where(X[:, 2] > 0, "x", "z"))})
    prepare = make_column_transformer((OneHotEncoder(), ["c"]), remainder="passthrough")
    target = pd.Series(np.where(y == 1, "yes", "no"), index=np.arange(160)[::-1])
    result = compare(
        make_pipeline(prepare, LogisticRegression()),
        {"over": RandomOverSampler(), "under": RandomUnderSampler()},
        frame,
        target,
        scoring=["average_precision", "accuracy"],
        cv=4,
        n_repeats=1,
        random_state=0,
    )
    assert result.metric_words == "average precision of class yes" and result.failures.empty
    second = result.to_frame().query("metric == 'accuracy'")
    assert (second["verdict"] == "").all() and (second["low"] <= second["high"]).all()
    assert result.costs["rows"].to_dict() == {"nothing": 120, "class weights": 120, "over": 168, "under": 72}


def test_results_do_not_depend_on_the_workers():
    X, y = two_classes(n=160)
    methods = {"SMOTE": SMOTE(), "over": RandomOverSampler()}
    tree = DecisionTreeClassifier(max_features=2)  # draws at random

    def scores(n_jobs):
        result = compare(tree, methods, X, y, n_jobs=n_jobs, cv=2, n_repeats=1, random_state=5)
        return result.folds

    one = scores(1)
    pd.testing.assert_frame_equal(one, scores(1))
    pd.testing.assert_frame_equal(one, scores(2))
    for backend in ("threading", "multiprocessing"):
        with joblib.parallel_config(backend=backend), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: fork beside threads
            pd.testing.assert_frame_equal(one, scores(2))


def test_a_method_scores_the_same_alone_and_in_company():
    X, y = two_classes(n=120)
    alone = compare(GaussianNB(), {"SMOTE": SMOTE()}, X, y, cv=3, n_repeats=1, random_state=5)
    company = compare(
        GaussianNB(), {"over": RandomOverSampler(), "SMOTE": SMOTE()}, X, y, cv=3, n_repeats=1, random_state=5
    )
    assert row(alone, "SMOTE")["difference"] == row(company, "SMOTE")["difference"]


@pytest.mark.filterwarnings("ignore:The groups parameter is ignored by KFold")
def test_clusters_stay_together(monkeypatch):
    X, y = two_classes(n=120, share=0.5)
    clusters = np.arange(120) // 4
    seen = []

    def watched(plan, split, method, resampler):
        seen.append(split)
        return run_method(plan, split, method, resampler)

    monkeypatch.setattr("augsynth.check.utility.running.run_method", watched)
    compare(GaussianNB(), RandomOverSampler(), X, y, groups=clusters, cv=3, n_repeats=2, random_state=0)
    assert seen and all(not set(clusters[s.train]) & set(clusters[s.test]) for s in seen)
    with pytest.raises(LeakError, match="no cluster of groups may be in the training and in the test"):
        compare(GaussianNB(), RandomOverSampler(), X, y, groups=clusters, cv=KFold(3, shuffle=True))


@pytest.mark.parametrize("scoring", ["accuracy", lambda model, X, y: float(model.score(X, y))])
def test_weights_and_thresholds_together(scoring):
    X, y = two_classes(n=60, share=0.07)  # two rare rows in training: tuned on two inner folds
    weight = np.where(y == 1, 2.0, 1.0)
    result = compare(
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"over": RandomOverSampler(), "SMOTE": SMOTE(k_neighbors=1)},
        X,
        y,
        sample_weight=weight,
        scoring=scoring,
        cv=2,
        n_repeats=1,
        random_state=0,
    )
    assert result.failures.empty and result.baselines["tuned threshold"] == ""
    assert any("tuned for balanced accuracy" in note for note in result.notes) == callable(scoring)


class Thief:
    """A resampler that holds on to rows from outside its fold."""

    def __init__(self, X, y):
        self.X, self.y = X, y

    def fit_resample(self, X, y):
        return np.vstack([X, self.X[:50]]), np.concatenate([y, self.y[:50]])


class Carrier:
    """Anything that holds a generator."""

    def __init__(self, generator):
        self.generator = generator

    def fit_resample(self, X, y):
        return X, y


def test_leaks_are_refused():
    X, y = two_classes(n=120)
    with pytest.raises(LeakError, match=r"Thief: a resampler may use the rows .* test rows"):
        compare(GaussianNB(), Thief(X, y), X, y, **FAST)
    frozen = Carrier(FrozenEstimator(GaussianNB().fit(X, y)))
    with pytest.raises(LeakError, match="already fitted GaussianNB at generator, which may have seen"):
        compare(GaussianNB(), frozen, X, y, **FAST)
    allowed = compare(GaussianNB(), frozen, X, y, generator_fitted_elsewhere=True, **FAST)
    assert allowed.methods == ["Carrier(FrozenEstimator)"]
    overlapping = [(np.arange(60), np.arange(50, 120)), (np.arange(60, 120), np.arange(60))]
    with pytest.raises(LeakError, match="no row may be in the training and in the test part"):
        compare(GaussianNB(), RandomOverSampler(), X, y, cv=overlapping)


def test_duplicates_in_the_data_and_coarse_rows_only_warn():
    X, y = two_classes(n=120)
    coarse = (X[:, :2] > 0).astype(float)  # four different rows: any generator makes test rows by chance
    flip = FunctionSampler(func=lambda X, y: (np.vstack([X, 1 - X]), np.concatenate([y, y])))
    with pytest.warns(AugsynthWarning, match="identical row in training"):
        result = compare(GaussianNB(), {"flip": flip}, coarse, y, **FAST)
    assert result.failures.empty and "data holds duplicates" in result.notes[0]


def test_few_rows_of_a_class_mean_fewer_folds_said_loudly():
    X, y = two_classes(n=60, share=0.05)  # three rows
    with pytest.warns(AugsynthWarning, match="Only 3 folds instead of 5: there are no more rows of class 1"):
        result = compare(GaussianNB(), RandomOverSampler(), X, y, n_repeats=1)
    assert result.settings["splits"] == 3
    y[:2] = 0
    with pytest.raises(DataError, match="every class needs a row to train on"):
        compare(GaussianNB(), RandomOverSampler(), X, y)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"resamplers": {"nothing": SMOTE()}}, ParameterError, "name of a baseline"),
        ({"resamplers": GaussianNB()}, InputTypeError, r"OverSampler\(generator\)"),
        ({"resamplers": []}, ParameterError, "at least one resampler"),
        ({"y": [0, 1]}, DataError, "same length; given 60 rows and 2 labels"),
        ({"y": [None] * 60}, DataError, "60 missing labels"),
        ({"y": np.zeros(60)}, DataError, "at least two classes"),
        ({"y": np.linspace(0.1, 1, 60)}, DataError, "a continuous target"),
        ({"y": np.zeros((60, 2))}, DataError, "one label a row"),
        ({"scoring": "no such score"}, ParameterError, "name of a scikit-learn scorer"),
        ({"scoring": 3}, ParameterError, "names or callables"),
        ({"cv": 1}, ParameterError, "cv must be at least 2"),
        ({"cv": "five"}, ParameterError, "must give at least two|cv must be"),
        ({"cv": StratifiedKFold(3), "n_repeats": 2}, ParameterError, "a splitter that shuffles"),
        ({"n_repeats": 0}, ParameterError, "n_repeats must be at least 1"),
        ({"alpha": 1.5}, ParameterError, "alpha must be between 0 and 1"),
        ({"pos_label": "x"}, ParameterError, "pos_label must be a class"),
        ({"groups": [1, 2]}, DataError, "one value a row"),
        ({"sensitive_features": ["a"]}, DataError, "sensitive_features must have 60 rows"),
        (
            {"estimator": KNeighborsClassifier(), "sample_weight": np.ones(60)},
            DataError,
            "whose fit takes it",
        ),
        ({"estimator": KNeighborsClassifier(100)}, DataError, "without any augmentation"),
    ],
)
def test_bad_input_gets_one_sentence(change, error, words):
    X, y = two_classes(n=60, share=0.3)
    arguments = {"estimator": GaussianNB(), "resamplers": RandomOverSampler(), "X": X, "y": y} | change
    with pytest.raises(error, match=words):
        compare(arguments.pop("estimator"), arguments.pop("resamplers"), **arguments)


def test_several_classes_need_a_score_for_several_classes():
    X, y = two_classes(n=90)
    with pytest.raises(ParameterError, match="scoring='f1' must fit labels with 3 classes"):
        compare(GaussianNB(), RandomOverSampler(), X, np.arange(90) % 3, scoring="f1")


def test_helps_in_all_needs_every_baseline_after_holm():
    """Two methods, each beating each baseline at p = .01 or .02 (one-sided): not enough for both at .025."""
    frame = pd.DataFrame(
        [
            ("s", "all", "m1", "nothing", 1.0, 0.02, "", "helps"),
            ("s", "all", "m1", "class weights", 1.0, 0.04, "", "helps"),
            ("s", "all", "m2", "nothing", 1.0, 0.04, "", "helps"),
            ("s", "all", "m2", "class weights", 1.0, 0.02, "", "helps"),
        ],
        columns=["metric", "scope", "method", "against", "difference", "p_value", "flag", "verdict"],
    )
    words = overall_verdicts(frame, "s", ["m1", "m2"], ["nothing", "class weights"], 0.05)
    assert (words["in all"] == "no evidence").all()  # the largest is .02 for both; .02 * 2 > .025
    alone = overall_verdicts(frame[:2], "s", ["m1"], ["nothing", "class weights"], 0.05)
    assert alone.loc["m1", "in all"] == "helps"  # several baselines cost nothing, several methods do


def test_warnings_are_told_once_and_not_on_every_fold():
    def warns(X, y):
        warnings.warn("this fold is thin", UserWarning, stacklevel=1)
        return X, y

    X, y = two_classes(n=80, share=0.4)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result = compare(GaussianNB(), {"thin": FunctionSampler(func=warns)}, X, y, **FAST)
    assert [str(each.message) for each in told] == ["compare: thin warned on 12 folds: this fold is thin"]
    assert result.notes == ["thin warned on 12 folds: this fold is thin"]


def test_a_splitter_is_used_as_it_is_and_can_be_repeated():
    X, y = two_classes(n=90, share=0.4)
    once = compare(GaussianNB(), RandomOverSampler(), X, y, cv=StratifiedKFold(3))
    assert (once.settings["splits"], once.settings["repeats"]) == (3, 1)
    twice = compare(
        GaussianNB(),
        RandomOverSampler(),
        X,
        y,
        cv=StratifiedKFold(3, shuffle=True),
        n_repeats=2,
        random_state=1,
    )
    scores = twice.folds.query("method == 'nothing' and scope == 'all'").groupby("repeat")["score"].mean()
    assert scores.nunique() == 2  # other folds in the second repeat
