"""Resampled and TrainOnly: training is augmented, prediction never is."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from imblearn.over_sampling import RandomOverSampler
from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from augsynth.compose import Resampled, TrainOnly
from augsynth.core.errors import ParameterError
from augsynth.generate.bootstrap import BootstrapGenerator
from augsynth.generate.independent import IndependentGenerator
from augsynth.generate.kde import KDEGenerator
from augsynth.perturb.base import Perturbation
from augsynth.perturb.table import ScaledJitter
from augsynth.resample.bootstrap import BootstrapResampler
from augsynth.resample.over import OverSampler
from augsynth.resample.under import UnderSampler

RNG = np.random.default_rng(0)
Y = np.array([0] * 72 + [1] * 18)
X = RNG.normal(size=(90, 3)) + Y[:, None]
SEX = np.where(np.arange(90) % 3 == 0, "f", "m")


class Recorder(ClassifierMixin, BaseEstimator):
    """A classifier that keeps what it was given."""

    def fit(self, X, y, sample_weight=None):
        self.X_, self.y_, self.weights_ = X, y, sample_weight
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        self.asked_ = X
        return np.zeros(len(X), dtype=int)


class AddOne(Perturbation):
    """An edit of one sample whose result is known."""

    def draw(self, x, rng):
        return {"by": 1}

    def apply(self, x, params):
        return x + params["by"]


class Shout(AddOne):
    """An edit of a text."""

    def apply(self, x, params):
        return x + "!" * params["by"]


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def over(**options):
    return OverSampler(BootstrapGenerator(), random_state=0, **options)


def test_fits_on_resampled_rows_and_predicts_on_rows_as_they_are():
    model = Resampled(Recorder(), over()).fit(X, Y)
    assert np.bincount(model.estimator_.y_).tolist() == [72, 72]
    np.testing.assert_array_equal(model.estimator_.X_[:90], X)
    assert model.predict(X[:5]).shape == (5,)
    assert model.estimator_.asked_.shape == (5, 3)
    assert model.classes_.tolist() == [0, 1]
    assert model.n_features_in_ == 3
    assert len(model.resampler_.provenance_) == 144
    assert not hasattr(model.resampler, "provenance_")


def test_methods_follow_the_estimator():
    assert hasattr(Resampled(LogisticRegression(), over()), "predict_proba")
    assert hasattr(Resampled(LogisticRegression(), over()), "decision_function")
    assert not hasattr(Resampled(Ridge(), over()), "predict_proba")
    assert not hasattr(Resampled(LogisticRegression(), over()), "transform")
    assert hasattr(Resampled(StandardScaler(), over()), "transform")
    assert is_classifier(Resampled(LogisticRegression(), over()))
    assert is_regressor(Resampled(Ridge(), BootstrapResampler()))
    model = Resampled(GaussianNB(), over()).fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), model.estimator_.predict_proba(X))
    np.testing.assert_array_equal(model.predict_log_proba(X), model.estimator_.predict_log_proba(X))
    assert model.score(X, Y) == model.estimator_.score(X, Y)
    scaled = Resampled(StandardScaler(), over()).fit(X, Y)
    np.testing.assert_array_equal(scaled.transform(X), scaled.estimator_.transform(X))


def test_weights_after_resampling_reach_the_estimator():
    weights = np.arange(1.0, 91)
    model = Resampled(Recorder(), over()).fit(X, Y, sample_weight=weights)
    got = model.estimator_.weights_
    assert got[:90].tolist() == weights.tolist()
    parents = model.resampler_.provenance_["source"][90:].to_numpy(int)
    assert got[90:].tolist() == weights[parents].tolist()
    assert Resampled(Recorder(), over()).fit(X, Y).estimator_.weights_ is None
    generated = Resampled(Recorder(), OverSampler(IndependentGenerator(), random_state=0))
    generated.fit(X, Y, sample_weight=weights)
    np.testing.assert_allclose(generated.estimator_.weights_[90:], weights[72:].mean())
    inside = Resampled(make_pipeline(StandardScaler(), Recorder()), over()).fit(X, Y, sample_weight=weights)
    assert inside.estimator_[-1].weights_.tolist() == got.tolist()
    with pytest.raises(ParameterError, match="whose fit takes it"):
        Resampled(KNeighborsClassifier(), over()).fit(X, Y, sample_weight=weights)


def test_what_the_resampler_does_not_take_is_said():
    foreign = RandomOverSampler(random_state=0)
    assert np.bincount(Resampled(Recorder(), foreign).fit(X, Y).estimator_.y_).tolist() == [72, 72]
    with pytest.raises(ParameterError, match="sample_weight needs a resampler"):
        Resampled(Recorder(), foreign).fit(X, Y, sample_weight=np.ones(90))
    with pytest.raises(ParameterError, match="sensitive_features needs a resampler"):
        Resampled(Recorder(), foreign).fit(X, Y, sensitive_features=SEX)
    with pytest.raises(ParameterError, match="must have fit_resample"):
        Resampled(Recorder(), StandardScaler()).fit(X, Y)
    with pytest.raises(ParameterError, match="metadata routing"):
        Resampled(Recorder(), over()).fit(X, Y, groups=SEX)


def test_groups_reach_the_resampler():
    model = Resampled(Recorder(), over(by="class+group")).fit(X, Y, sensitive_features=SEX)
    # 24 f and 48 m in class 0; 6 f and 12 m in class 1
    assert model.resampler_.target_counts_.tolist() == [48] * 4
    assert len(model.estimator_.y_) == 4 * 48


def test_mixed_table_with_the_encoder_inside():
    table = pd.DataFrame({"v": X[:, 0], "sex": pd.Categorical(SEX)})
    encode = make_column_transformer((OneHotEncoder(), ["sex"]), (StandardScaler(), ["v"]))
    model = Resampled(
        make_pipeline(encode, LogisticRegression()), over(by="class+group", group_columns=["sex"])
    )
    assert model.fit(table, Y).predict(table[:4]).shape == (4,)
    assert model.feature_names_in_.tolist() == ["v", "sex"]


def test_plain_pipeline_grid_search_cross_validate_and_calibration():
    inner = Resampled(LogisticRegression(), OverSampler(KDEGenerator(), random_state=0))
    pipe = Pipeline([("scale", StandardScaler()), ("model", inner)])
    grid = {
        "model__resampler__generator__bandwidth": ["scott", 0.5],
        "model__resampler__sampling_strategy": [0.5, 1.0],
        "model__estimator__C": [0.1, 1.0],
    }
    search = GridSearchCV(pipe, grid, cv=2, scoring="recall", error_score="raise").fit(X, Y)
    assert search.best_estimator_["model"].resampler_.generator_.bandwidth in ("scott", 0.5)
    # twice the positives in training: recall must not drop below that of no resampling
    scores = cross_validate(pipe, X, Y, cv=3, scoring="recall", error_score="raise")["test_score"]
    plain = cross_validate(LogisticRegression(), X, Y, cv=3, scoring="recall")["test_score"]
    assert scores.mean() >= plain.mean()
    calibrated = CalibratedClassifierCV(inner, cv=3).fit(X, Y)
    assert calibrated.predict_proba(X).shape == (90, 2)


def test_scores_are_taken_on_rows_as_they_are():
    """A constant answer of 0 has the accuracy of the real test rows' class share, 80 %."""
    model = Resampled(DummyClassifier(strategy="constant", constant=0), over())
    scores = cross_validate(model, X, Y, cv=StratifiedKFold(3), return_train_score=True)
    np.testing.assert_allclose(scores["test_score"], 0.8)
    np.testing.assert_allclose(scores["train_score"], 0.8)


def test_fold_rows_only_come_from_the_training_fold():
    numbered = np.column_stack([X, np.arange(90)])
    result = cross_validate(
        Resampled(Recorder(), over()), numbered, Y, cv=3, return_estimator=True, return_indices=True
    )
    for model, train in zip(result["estimator"], result["indices"]["train"], strict=True):
        assert set(model.estimator_.X_[:, 3].astype(int)) == set(train)


@pytest.mark.parametrize("who", ["resampled", "resampler", "nobody"])
def test_metadata_routing_inside_cross_validation(routing, who):
    resampler = over(by="class+group")
    if who == "resampler":
        resampler.set_fit_resample_request(sensitive_features=True)
        model = Resampled(Recorder(), resampler)
    elif who == "nobody":
        model = Resampled(Recorder(), resampler)
    else:
        model = Resampled(Recorder(), resampler).set_fit_request(sensitive_features=True)
    for estimator in (model, make_pipeline(StandardScaler(), model)):
        result = cross_validate(
            estimator,
            X,
            Y,
            cv=3,
            params={"sensitive_features": SEX},
            return_estimator=True,
            error_score="raise",
        )
        for fitted in result["estimator"]:
            last = fitted[-1] if isinstance(fitted, Pipeline) else fitted
            assert last.resampler_.target_counts_.tolist() == [32] * 4


def test_routed_weights_and_clusters(routing):
    weights = np.arange(1.0, 91)
    recorder = Recorder().set_score_request(sample_weight=False)
    model = Resampled(recorder, over()).set_fit_request(sample_weight=True)
    result = cross_validate(
        model, X, Y, cv=3, params={"sample_weight": weights}, return_estimator=True, return_indices=True
    )
    for fitted, train in zip(result["estimator"], result["indices"]["train"], strict=True):
        assert fitted.estimator_.weights_[:60].tolist() == weights[train].tolist()
    scale = StandardScaler().set_fit_request(sample_weight=False)
    inner = make_pipeline(scale, Recorder().set_fit_request(sample_weight=True))
    assert len(Resampled(inner, over()).fit(X, Y, sample_weight=weights).estimator_[-1].weights_) == 144
    clusters = np.arange(90) // 2
    sampler = BootstrapResampler(random_state=0).set_fit_resample_request(groups=True)
    fitted = Resampled(Recorder(), sampler).fit(X, Y, groups=clusters)
    assert len(np.unique(fitted.resampler_.groups_)) < 45
    scorer = make_scorer(recall_score).set_score_request(sample_weight=True)
    assert cross_validate(model, X, Y, cv=3, scoring=scorer, params={"sample_weight": weights})


def test_routed_groups_reach_a_sampler_in_imbalanced_learns_pipeline(routing):
    from imblearn.pipeline import make_pipeline as sampler_pipeline

    sampler = UnderSampler(by="class+group", random_state=0).set_fit_resample_request(sensitive_features=True)
    model = sampler_pipeline(sampler, Recorder())
    result = cross_validate(
        model, X, Y, cv=3, params={"sensitive_features": SEX}, return_estimator=True, error_score="raise"
    )
    assert [len(fitted[-1].y_) for fitted in result["estimator"]] == [16] * 3


def test_train_only_edits_training_rows_only():
    step = TrainOnly(AddOne())
    np.testing.assert_array_equal(step.fit_transform(X), X + 1)
    assert step.transform(X) is X
    model = make_pipeline(TrainOnly(AddOne()), Recorder()).fit(X, Y)
    np.testing.assert_array_equal(model[-1].X_, X + 1)
    model.predict(X)
    np.testing.assert_array_equal(model[-1].asked_, X)
    images = RNG.normal(size=(4, 3, 3)).astype(np.float32)
    edited = TrainOnly(AddOne()).fit_transform(images)
    assert edited.dtype == np.float32
    np.testing.assert_array_equal(edited, images + 1)
    assert TrainOnly(Shout()).fit_transform(["a", "b"]) == ["a!", "b!"]


def test_train_only_keeps_types_index_and_seed():
    table = pd.DataFrame({"v": X[:, 0], "sex": pd.Categorical(SEX)}, index=np.arange(90) * 2)
    first = TrainOnly(ScaledJitter(scale=0.2), random_state=1).fit_transform(table)
    again = TrainOnly(ScaledJitter(scale=0.2), random_state=1).fit_transform(table)
    pd.testing.assert_frame_equal(first, again)
    assert first.index.equals(table.index)
    assert first.dtypes.to_dict() == table.dtypes.to_dict()
    assert (first["sex"] == table["sex"]).all()
    assert not np.allclose(first["v"], table["v"])
    other = TrainOnly(ScaledJitter(scale=0.2), random_state=2).fit_transform(table)
    assert not np.allclose(first["v"], other["v"])
    with pytest.raises(ParameterError, match="given the class ScaledJitter"):
        TrainOnly(ScaledJitter).fit(table)
