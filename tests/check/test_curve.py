"""`ratio_curve`: the rows it adds, what it says of known makers, and the choice inside."""

from __future__ import annotations

import json

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB

from augsynth import BootstrapGenerator, GaussianMixtureGenerator
from augsynth.check.downstream import ratio_curve
from augsynth.check.downstream.curve import CHOSEN, NEW_ONLY
from augsynth.core.errors import DataError, InputTypeError, LeakError, ParameterError

FAST = {"cv": 4, "n_repeats": 3, "random_state": 0}
D = 100


def draw(y, rng):
    X = rng.normal(size=(len(y), D))
    X[:, 0] += 2.0 * y
    return X


class Maker(BaseEstimator):
    """Rows from the truth, of the classes asked for; labels flipped if ``wrong``."""

    calls = 0

    def __init__(self, wrong=False, sampling_strategy="auto", random_state=None):
        self.wrong, self.sampling_strategy, self.random_state = wrong, sampling_strategy, random_state

    def fit_resample(self, X, y):
        Maker.calls += 1
        rng = np.random.default_rng(self.random_state)
        extra = np.concatenate(
            [np.full(n - (y == k).sum(), k) for k, n in self.sampling_strategy.items()]
        ).astype(int)
        rng.shuffle(extra)
        made = draw(1 - extra if self.wrong else extra, rng)
        return np.vstack([X, made]), np.concatenate([y, extra])


def data(n=300, share=0.4, seed=0):
    rng = np.random.default_rng(seed)
    y = (np.arange(n) < n * share).astype(int)
    return draw(y, rng), y


@pytest.fixture(scope="module")
def helped():
    X, y = data()
    Maker.calls = 0
    curve = ratio_curve(
        LogisticRegression(C=10, max_iter=500), Maker(), X, y, ratios=(0, 2, 10), scoring="roc_auc", **FAST
    )
    return curve, Maker.calls


def test_rows_from_the_truth_help_and_more_help_more(helped):
    curve, _ = helped
    table = curve.table.set_index("ratio")
    assert table.loc[10.0, "score"] > table.loc[2.0, "score"] > table.loc[0.0, "score"]
    assert table.loc[10.0, "verdict"] == table.loc[CHOSEN, "verdict"] == curve.verdict == "helps"
    assert curve.chosen.sum() == 12 and curve.chosen[10.0] >= 8
    assert "adding helps" in curve.summary() and "bright side" in str(curve)


def test_a_curve_as_plain_values(helped):
    curve, _ = helped
    told = json.loads(json.dumps(curve.to_dict(), allow_nan=False))
    assert told["verdict"] == curve.verdict == "helps" and told["metric"] == curve.metric
    assert "\n".join(told["sentences"]) == curve.summary()
    assert [each["ratio"] for each in told["ratios"]] == [0.0, 2.0, 10.0, NEW_ONLY, CHOSEN]
    assert [each["score"] for each in told["ratios"]] == curve.table["score"].tolist()
    assert {each["ratio"]: each["folds"] for each in told["chosen"]} == curve.chosen.to_dict()
    assert len(told["folds"]) == len(curve.folds) and told["settings"]["splits"] == 12


def test_rows_are_made_once_for_all_ratios(helped):
    curve, calls = helped
    assert calls == 12 * (1 + 3)  # outer folds, and three inner ones each
    added = curve.table.set_index("ratio")["rows_added"]
    assert added[0.0] == 0 and added[2.0] == 450 and added[10.0] == 2250 and added[NEW_ONLY] == 225


def test_figures_of_a_ratio_by_hand(helped):
    """The chosen row is made of the curve's own fold scores; ratio 0 is the plain model."""
    from augsynth.check.utility.splits import make_splits

    curve, _ = helped
    X, y = data()
    splits, _ = make_splits(X, y, classification=True, strata=None, groups=None, cv=4, n_repeats=3, seed=0)
    wide = curve.folds.pivot(index=["repeat", "fold"], columns="ratio", values="score")
    for split in splits[:3]:
        from sklearn.metrics import roc_auc_score

        model = LogisticRegression(C=10, max_iter=500).fit(X[split.train], y[split.train])
        auc = roc_auc_score(y[split.test], model.decision_function(X[split.test]))
        told = wide.loc[(split.repeat, split.fold)]
        assert told[0.0] == pytest.approx(auc)
        assert told[CHOSEN] in [told[ratio] for ratio in (0.0, 2.0, 10.0)]
    assert curve.table.set_index("ratio").loc[CHOSEN, "score"] == pytest.approx(wide[CHOSEN].mean())


def test_wrong_labels_are_not_chosen():
    X, y = data(share=0.3)
    curve = ratio_curve(GaussianNB(), Maker(wrong=True), X, y, ratios=(1, 4), scoring="roc_auc", **FAST)
    table = curve.table.set_index("ratio")
    assert table.loc[4.0, "verdict"] == "hurts"
    assert curve.chosen.get(0.0, 0) >= 10 and curve.verdict == "no evidence"
    assert table.loc[NEW_ONLY, "verdict"] == "hurts"


def test_the_rarest_class_alone_and_a_resampler_of_imblearn(tmp_path):
    X, y = data(n=120, share=0.25)
    curve = ratio_curve(
        GaussianNB(), SMOTE(k_neighbors=3), X, y, ratios=(1, 3), add="rarest", choose_inside=0,
        scoring="balanced_accuracy", cv=3, n_repeats=1, random_state=0,
    )  # fmt: skip
    assert curve.table["ratio"].tolist() == [0.0, 1.0, 3.0]  # new rows alone would be of one class
    assert curve.table["rows_added"].tolist() == [0, 20, 60]
    curve.plot(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"
    again = ratio_curve(
        GaussianNB(), SMOTE(k_neighbors=3), X, y, ratios=(1,), add="rarest", choose_inside=0,
        scoring="balanced_accuracy", cv=3, n_repeats=1, random_state=0,
    )  # fmt: skip
    assert again.table["score"][0] == curve.table["score"][0]


def test_generators_groups_and_numbers():
    X, y = data(n=60, share=0.5)
    groups = np.where(np.arange(60) % 3 == 0, "F", "M")
    small = {"cv": 2, "n_repeats": 1, "random_state": 0, "choose_inside": 2}
    curve = ratio_curve(
        GaussianNB(), BootstrapGenerator(), X, y, ratios=(1,), sensitive_features=groups,
        sample_weight=np.ones(60), **small,
    )  # fmt: skip
    assert np.isfinite(curve.table["score"]).all()
    target = X[:, 0] * 2 + 1
    curve = ratio_curve(
        LinearRegression(), GaussianMixtureGenerator(), X[:, :2], target, ratios=(1,), **small
    )
    assert curve.metric == "r2" and np.isfinite(curve.table["score"]).all()
    with pytest.raises(InputTypeError, match="regression needs a generator"):
        ratio_curve(LinearRegression(), SMOTE(), X, target, **small)


class Backwards(Maker):
    def fit_resample(self, X, y):
        X, y = super().fit_resample(X, y)
        return X[::-1], y[::-1]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"ratios": (0,)}, ParameterError, "one above 0"),
        ({"ratios": (-1, 2)}, ParameterError, "at least 0"),
        ({"add": "some"}, ParameterError, "add"),
        ({"choose_inside": 1}, ParameterError, "at least 2, or 0"),
        ({"generator": 3}, InputTypeError, "generator or a resampler"),
        ({"generator": Backwards()}, DataError, "real rows first"),
        ({"alpha": 2}, ParameterError, "alpha must be between"),
    ],
)
def test_bad_input_gets_one_sentence(change, error, words):
    X, y = data(n=40)
    asked = {"generator": Maker(), **FAST} | change
    with pytest.raises(error, match=words):
        ratio_curve(GaussianNB(), asked.pop("generator"), X, y, **asked)


def test_a_fitted_generator_is_refused():
    from sklearn.frozen import FrozenEstimator

    X, y = data(n=40)
    frozen = FrozenEstimator(BootstrapGenerator().fit(X, y))
    with pytest.raises(LeakError, match="already fitted"):
        ratio_curve(GaussianNB(), frozen, X, y, **FAST)
