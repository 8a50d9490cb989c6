"""MultipleImputed against what its parts say by hand, scikit-learn's checks, and intervals of a known slope."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.special import ndtri
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeClassifier,
)
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, cross_val_predict, cross_validate
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from augsynth.core.errors import AugsynthWarning, DataError, LeakError, ParameterError
from augsynth.impute.base import BaseImputer
from augsynth.impute.coefficients import coefficients_of, covariance_of
from augsynth.impute.multiple import MultipleImputed
from augsynth.impute.pooling import pool


class LineImputer(BaseImputer):
    """Numbers by a normal linear model of the complete columns, parameters drawn; levels by frequency."""

    def __init__(self, *, use_target=False, add_indicator=False, schema=None, random_state=None):
        self.use_target = use_target
        self.add_indicator = add_indicator
        self.schema = schema
        self.random_state = random_state

    def _fit(self, z, rng):
        self.z_ = z
        self.levels_ = [z[~np.isnan(z[:, j]), j] for j in range(z.shape[1])]

    def _errors(self, z, rng):
        return pd.DataFrame(columns=["name", "kind", "n", "error", "baseline"])

    def _point(self, z):
        means = [
            v.mean() if b.is_numeric else np.median(v)
            for v, b in zip(self.levels_, self.layout_, strict=True)
        ]
        return np.where(np.isnan(z), means, z)

    def _draw(self, z, keys, rng):
        whole = [
            j
            for j, b in enumerate(self.layout_)
            if b.is_numeric and not np.isnan(self.z_[:, j]).any() and not np.isnan(z[:, j]).any()
        ]
        out = z.copy()
        for j, block in enumerate(self.layout_):
            u = keys.child(j).uniforms(1)[:, 0]
            cells = np.quantile(self.levels_[j], u, method="inverted_cdf")
            if block.is_numeric and j not in whole:
                D, t = np.column_stack([np.ones(len(self.z_)), self.z_[:, whole]]), self.z_[:, j]
                D, t = D[~np.isnan(t)], t[~np.isnan(t)]
                S = np.linalg.pinv(D.T @ D)
                b = S @ D.T @ t
                dof = max(len(t) - D.shape[1], 1)
                sigma = np.sqrt(((t - D @ b) ** 2).sum() / rng.chisquare(dof))
                b = b + sigma * rng.multivariate_normal(np.zeros(len(b)), S)
                cells = np.column_stack([np.ones(len(z)), z[:, whole]]) @ b + sigma * ndtri(
                    u.clip(1e-12, 1 - 1e-12)
                )
            out[:, j] = np.where(np.isnan(z[:, j]), cells, z[:, j])
        return out


def table(n=120, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = X @ [1.0, 1.0, 0.0] + rng.normal(size=n)
    X[rng.random(n) < 0.4, 0] = np.nan
    return X, y


X, Y = table()
C = np.where(Y > 0.5, "yes", "no")
NEW = table(40, seed=1)[0]


def multiple(estimator, m=3, *, use_target=False, **options):
    return MultipleImputed(estimator, LineImputer(use_target=use_target), m, random_state=0, **options)


LEAKS = {
    # Its target is the first column of its table: exactly what must be refused.
    "check_regressors_no_decision_function": "a column of X that equals y is refused as a leak",
}


@parametrize_with_checks(
    [
        multiple(Ridge(), 2),
        multiple(LogisticRegression(), 2),
        multiple(RidgeClassifier(), 2),
        multiple(Ridge(), 2, use_target=True),
    ],
    expected_failed_checks=lambda model: LEAKS if isinstance(model.estimator, Ridge) else {},
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_every_part_by_hand():
    model = multiple(Ridge()).fit(X, Y)
    completions = model.imputer_.impute(X, 3, random_state=0)
    for fit, completed in zip(model.estimators_, completions, strict=True):
        assert fit.coef_ == pytest.approx(Ridge().fit(completed, Y).coef_)
    news = model.imputer_.impute(NEW, 3, random_state=0)
    each = np.array([fit.predict(new) for fit, new in zip(model.estimators_, news, strict=True)])
    assert model.predict(NEW) == pytest.approx(each.mean(axis=0))
    assert model.spread(NEW) == pytest.approx(each.std(axis=0, ddof=1))
    holes = np.isnan(NEW).any(axis=1)
    assert model.spread(NEW)[holes].mean() > 2 * model.spread(NEW)[~holes].mean()
    assert model.score(NEW, each.mean(axis=0)) == pytest.approx(1)


def test_classifiers_average_probabilities():
    model = multiple(LogisticRegression()).fit(X, C)
    news = model.imputer_.impute(NEW, 3, random_state=0)
    each = np.array([fit.predict_proba(new) for fit, new in zip(model.estimators_, news, strict=True)])
    assert model.predict_proba(NEW) == pytest.approx(each.mean(axis=0))
    assert model.predict_log_proba(NEW) == pytest.approx(np.log(each.mean(axis=0)))
    assert (model.predict(NEW) == model.classes_[each.mean(axis=0).argmax(axis=1)]).all()
    assert model.decision_function(NEW).shape == (40,)
    assert model.spread(NEW) == pytest.approx(each.std(axis=0, ddof=1))
    assert 0 <= model.score(X, C, sample_weight=np.arange(120)) <= 1


class Odd(ClassifierMixin, BaseEstimator):
    """Says "b" to rows whose first cell is above nought; no probabilities."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.where(np.asarray(X)[:, 0] > 0, "b", "a")


def test_labels_without_probabilities_are_voted_on():
    model = multiple(Odd(), 5).fit(X, np.where(Y > 0, "b", "a"))
    assert not hasattr(model, "predict_proba") and not hasattr(model, "decision_function")
    votes = np.mean([new[:, 0] > 0 for new in model.imputer_.impute(NEW, 5, random_state=0)], axis=0)
    assert (model.predict(NEW) == np.where(votes > 0.5, "b", "a")).all()
    said = np.array([new[:, 0] > 0 for new in model.imputer_.impute(NEW, 5, random_state=0)])
    assert model.spread(NEW)[:, 1] == pytest.approx(said.std(axis=0, ddof=1))


def test_a_threshold_of_ones_own_is_kept():
    picky = FixedThresholdClassifier(LogisticRegression(), threshold=0.9, pos_label="yes")
    model = multiple(picky).fit(X, C)
    assert (model.predict(NEW) == "yes").mean() < (
        multiple(LogisticRegression()).fit(X, C).predict(NEW) == "yes"
    ).mean()
    whole = NEW[~np.isnan(NEW).any(axis=1)]
    assert (model.predict(whole) == "yes").sum() <= (model.predict_proba(whole)[:, 1] > 0.8).sum()


def test_a_row_is_predicted_alone_and_the_same_each_time():
    twins = np.vstack([NEW, NEW[::-1], NEW[:7]])  # equal rows get equal predictions
    for model in (multiple(KNeighborsRegressor()).fit(X, Y), multiple(DecisionTreeClassifier()).fit(X, C)):
        told = model.predict(NEW)
        assert np.array_equal(told, model.predict(NEW))
        assert np.array_equal(told, np.concatenate([model.predict(NEW[i : i + 1]) for i in range(len(NEW))]))
        assert np.array_equal(np.concatenate([told, told[::-1], told[:7]]), model.predict(twins))
    frame = pd.DataFrame(twins, index=np.arange(len(twins))[::-1] * 3)
    assert np.array_equal(
        multiple(KNeighborsRegressor()).fit(X, Y).predict(frame.to_numpy()),
        multiple(KNeighborsRegressor()).fit(pd.DataFrame(X), Y).predict(frame),
    )


def test_rows_that_only_the_imputer_takes_for_equal_are_predicted_alone():
    frame = pd.DataFrame(X[:60], columns=list("abc")).assign(job=np.resize(["p", "q"], 60), site=1.0)
    model = multiple(make_pipeline(encoder(), KNeighborsRegressor(3)), 2).fit(frame, Y[:60])
    row = frame[frame["a"].isna()].iloc[:1]
    new = pd.concat([row.assign(job="q"), *[row.assign(job=job) for job in ("s", None, "t", "s")]])
    new = pd.concat([new.assign(a=1.0).iloc[1:3], new, row.assign(site=2.0), row.assign(site=3.0), frame[:9]])
    with pytest.warns(AugsynthWarning, match="not seen in fit"):
        told = model.predict(new)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AugsynthWarning)
        alone = np.concatenate([model.predict(new.iloc[i : i + 1]) for i in range(len(new))])
    assert np.array_equal(told, alone)


def test_seeds():
    one, two = (multiple(RandomForestRegressor(3)).fit(X, Y).predict(NEW) for _ in range(2))
    assert np.array_equal(one, two)
    own = MultipleImputed(Ridge(), LineImputer(random_state=7), 2)
    assert np.array_equal(own.fit(X, Y).predict(NEW), clone(own).fit(X, Y).predict(NEW))
    free = MultipleImputed(Ridge(), LineImputer(), 2).fit(X, Y)
    assert np.array_equal(free.predict(NEW), free.predict(NEW))
    assert not np.array_equal(free.predict(NEW), clone(free).fit(X, Y).predict(NEW))
    forest = multiple(RandomForestRegressor(3, random_state=5)).fit(X, Y)
    assert {fit.random_state for fit in forest.estimators_} == {5}
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    multiple(RandomForestRegressor(3)).fit(X, Y).predict(NEW)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_jobs_do_not_matter():
    with joblib.parallel_config("threading"):
        two = multiple(Ridge(), n_jobs=2).fit(X, Y).predict(NEW)
    assert np.array_equal(multiple(Ridge()).fit(X, Y).predict(NEW), two)


def mixed():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "age": pd.array(rng.integers(20, 60, 150), dtype="Int64"),
            "job": pd.Categorical(rng.choice(["a", "b", "c"], 150)),
            "pay": rng.normal(size=150),
        },
        index=np.arange(150) * 2,
    )
    y = pd.Series(
        np.where(frame["pay"] + (frame["job"] == "a") > 0.3, "hi", "lo"), index=frame.index, name="rank"
    )
    frame.loc[::5, "age"] = pd.NA
    frame.loc[2::8, "job"] = np.nan
    frame.loc[4::6, "pay"] = np.nan
    return frame, y


def encoder():
    return make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["job"]), remainder="passthrough")


def test_mixed_table_in_pipelines_searches_and_cross_validation():
    frame, y = mixed()
    model = multiple(make_pipeline(encoder(), LogisticRegression(max_iter=500)), 2)
    assert cross_validate(model, frame, y, cv=3)["test_score"].mean() > 0.7
    assert cross_val_predict(model, frame, y, cv=3, method="predict_proba").shape == (150, 2)
    grid = {"estimator__logisticregression__C": [0.1, 1.0], "imputer__use_target": [False, True], "m": [2]}
    search = GridSearchCV(model, grid, cv=2).fit(frame, y)
    assert set(search.best_params_) == set(grid)
    assert list(search.best_estimator_.feature_names_in_) == ["age", "job", "pay"]
    piped = make_pipeline(FunctionTransformer(lambda X: X), model).fit(frame, y)
    assert piped.predict(frame.iloc[:3]).shape == (3,)


def test_indicators_reach_the_estimator():
    model = MultipleImputed(Ridge(), LineImputer(add_indicator=True), 2, random_state=0).fit(X, Y)
    assert model.estimators_[0].n_features_in_ == 4
    named = pd.DataFrame(X, columns=["a", "b", "c"])
    model = MultipleImputed(Ridge(), LineImputer(add_indicator=True), 2, random_state=0).fit(named, Y)
    assert list(model.estimators_[0].feature_names_in_) == ["a", "b", "c", "missingindicator_a"]
    assert model.predict(named).shape == (120,)


def test_several_outputs():
    both = np.column_stack([C, np.where(X[:, 1] > 0, "up", "down")])
    model = multiple(RandomForestClassifier(5, random_state=0)).fit(X, both)
    assert model.predict(NEW).shape == (40, 2) and set(model.predict(NEW)[:, 1]) == {"up", "down"}
    assert [part.shape for part in model.predict_proba(NEW)] == [(40, 2)] * 2
    assert [part.shape for part in model.spread(NEW)] == [(40, 2)] * 2
    assert len(model.predict_log_proba(NEW)) == 2
    labels = np.column_stack([Y > 0, Y > 1, X[:, 2] > 0]).astype(int)
    multilabel = multiple(KNeighborsClassifier(3)).fit(X, labels)
    assert multilabel.predict(NEW).shape == (40, 3)
    assert multiple(Ridge()).fit(X, np.column_stack([Y, -Y])).predict(NEW).shape == (40, 2)


class Weighed(RegressorMixin, BaseEstimator):
    def fit(self, X, y, sample_weight=None, note=None):
        self.weights_, self.note_ = sample_weight, note
        return self

    def predict(self, X):
        return np.zeros(len(X))


def test_weights_reach_the_estimators():
    weights = np.arange(120.0)
    assert (multiple(Weighed()).fit(X, Y, sample_weight=weights).estimators_[2].weights_ == weights).all()
    inside = multiple(make_pipeline(StandardScaler(), Weighed())).fit(X, Y, sample_weight=weights)
    assert (inside.estimators_[0][-1].weights_ == weights).all()
    assert multiple(Weighed()).fit(X, Y).estimators_[0].weights_ is None
    with pytest.raises(ParameterError, match="takes it; given KNeighborsRegressor"):
        multiple(KNeighborsRegressor()).fit(X, Y, sample_weight=weights)
    with pytest.raises(ParameterError, match="only with metadata routing"):
        multiple(Weighed()).fit(X, Y, note=1)


def test_metadata_routing():
    weights = np.arange(120.0)
    with sklearn.config_context(enable_metadata_routing=True):
        model = multiple(Weighed().set_fit_request(note=True)).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=False)
        done = cross_validate(
            model,
            X,
            Y,
            cv=3,
            params={"sample_weight": weights, "note": 5},
            return_estimator=True,
            return_indices=True,
        )
        for fitted, rows in zip(done["estimator"], done["indices"]["train"], strict=True):
            assert (fitted.estimators_[0].weights_ == weights[rows]).all()
            assert fitted.estimators_[1].note_ == 5


def test_the_target_in_the_table_is_refused():
    for holder in (np.column_stack([X, Y]), pd.DataFrame(X).assign(target=C)):
        y = Y if isinstance(holder, np.ndarray) else C
        estimator = Ridge() if isinstance(holder, np.ndarray) else LogisticRegression()
        if isinstance(holder, pd.DataFrame):
            holder = holder.set_axis(["a", "b", "c", "d"], axis=1)
        with pytest.raises(LeakError, match="must not hold the target.*equal to y in every row"):
            multiple(estimator).fit(holder, y)
    named = pd.DataFrame(X, columns=["a", "b", "c"])
    with pytest.raises(LeakError, match="column 'b', of the name of y"):
        multiple(Ridge()).fit(named, pd.Series(Y, name="b"))
    with pytest.raises(LeakError, match="column 'c'"):
        multiple(Ridge()).fit(named, pd.DataFrame({"p": Y, "c": Y}))


def test_the_label_helps_filling_only_where_it_is_told():
    without, told = (multiple(LinearRegression(), 20, use_target=flag).fit(X, Y) for flag in (False, True))
    assert told.imputer_.has_target_ and not without.imputer_.has_target_
    # 40 % of the cells of the first column know nothing of y, so its slope shrinks
    assert without.pooled_coef_.loc["x0", "estimate"] < 0.8 < told.pooled_coef_.loc["x0", "estimate"]
    assert told.predict(NEW).shape == (40,)


def test_pooled_coefficients_are_rubins():
    model = multiple(LinearRegression(), 4, use_target=True, covariance="model").fit(X, Y)
    completions = model.imputer_.impute(X, 4, y=Y, random_state=0)
    q, u = [], []
    for completed in completions:
        D = np.column_stack([np.ones(120), completed])
        b, rss, *_ = np.linalg.lstsq(D, Y)
        q.append(b)
        u.append(np.linalg.inv(D.T @ D) * rss / 116)
    expected = pool(q, np.array(u), dof_complete=116, names=["intercept", "x0", "x1", "x2"])
    pd.testing.assert_frame_equal(model.pooled().to_frame(), expected.to_frame())
    assert model.pooled().test(["x1", "x2"]).p_value == pytest.approx(expected.test(["x1", "x2"]).p_value)
    assert model.coefficients_.shape == (4, 4)
    assert model.pooled_coef_["between"].to_numpy() == pytest.approx(np.std(q, axis=0, ddof=1))
    own = multiple(LinearRegression(), 4, use_target=True, covariance=lambda est, X, y: np.eye(4)).fit(X, Y)
    assert own.pooled(dof_complete=50).within == pytest.approx(np.ones(4))


def test_covariances_of_linear_models_against_other_ways():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(400, 2)) * [1.0, 1e4]
    c = (rng.random(400) < 1 / (1 + np.exp(-A[:, 0]))).astype(int)
    plain = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000)
    fit = make_pipeline(StandardScaler(), plain).fit(A, c)
    D = np.column_stack([np.ones(400), fit[:-1].transform(A)])
    b = coefficients_of(fit).to_numpy()

    def loss(b):
        return np.logaddexp(0, D @ b).sum() - c @ (D @ b)

    h = 1e-3 * np.eye(3)  # the Hessian by differences
    hessian = [
        [(loss(b + i + j) - loss(b + i - j) - loss(b - i + j) + loss(b - i - j)) / 4e-6 for j in h] for i in h
    ]
    assert covariance_of(fit, A, c) == pytest.approx(np.linalg.inv(hessian), rel=1e-3, abs=1e-5)
    frame = pd.DataFrame(A, columns=["a", "b"])
    assert list(coefficients_of(LinearRegression().fit(frame, c)).index) == ["intercept", "a", "b"]
    bare = LinearRegression(fit_intercept=False).fit(frame, c)
    assert list(coefficients_of(bare).index) == ["a", "b"] and covariance_of(bare, frame, c).shape == (2, 2)
    three = LogisticRegression().fit(frame, rng.choice(["p", "q", "r"], 400))
    assert coefficients_of(three).loc[("q", "a")] == three.coef_[1, 0]


def test_what_cannot_be_pooled_is_said():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of its defaults
        chosen = LogisticRegressionCV(Cs=2, cv=2).fit(NEW[:, 1:2], C[:40])
    with pytest.raises(ParameterError, match="LogisticRegression of two classes"):
        covariance_of(chosen, NEW[:, 1:2], C[:40])
    with pytest.warns(AugsynthWarning, match="LogisticRegression.C=1. is penalised.*C=numpy.inf"):
        multiple(LogisticRegression(), 2, use_target=True, covariance="model").fit(X, C)
    multiple(LogisticRegression(C=np.inf), 2, use_target=True, covariance="model").fit(X, C)
    fitted = multiple(Ridge()).fit(X, Y)
    with pytest.raises(ParameterError, match="variance within"):
        fitted.pooled()
    with pytest.raises(ParameterError, match="must have coef_; given KNeighborsRegressor"):
        _ = multiple(KNeighborsRegressor()).fit(X, Y).coefficients_
    with pytest.raises(ParameterError, match="LinearRegression, or LogisticRegression"):
        multiple(Ridge(), covariance="model").fit(X, Y)
    with pytest.warns(AugsynthWarning, match="use_target=True"):
        multiple(LinearRegression(), covariance="model").fit(X, Y).pooled()
    with pytest.raises(ParameterError, match="unweighted rows"):
        multiple(LinearRegression(), covariance="model").fit(X, Y, sample_weight=np.ones(120))
    with pytest.raises(DataError, match="full rank; given rank 3 of 4"):
        multiple(LinearRegression(), covariance="model").fit(np.column_stack([X[:, 1:], X[:, 1]]), Y)
    with pytest.raises(DataError, match="more rows than coefficients"):
        multiple(LinearRegression(), covariance="model").fit(X[:4], Y[:4])


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ({"estimator": Ridge}, "estimator must have fit"),
        ({"estimator": StandardScaler()}, "classifier or a regressor; given StandardScaler"),
        ({"imputer": LineImputer}, "imputer must have impute"),
        ({"imputer": StandardScaler()}, "imputer must have impute"),
        ({"m": 0}, "m must be a whole number >= 1"),
        ({"m": 2.5}, "m must be a whole number"),
        ({"covariance": "hc3"}, "covariance must be None, 'model' or a function"),
    ],
)
def test_bad_parts_get_a_sentence(parts, word):
    parts = {"estimator": Ridge(), "imputer": LineImputer(), **parts}
    with pytest.raises(ParameterError, match=word):
        MultipleImputed(**parts).fit(X, Y)


def test_m_that_is_set_after_fit_waits_for_the_next_one():
    for model, y in ((multiple(Ridge(), 3), Y), (multiple(RidgeClassifier(), 3), C)):
        model.fit(X, y)
        said, spread = model.predict(NEW), model.spread(NEW)
        model.set_params(m=5)
        np.testing.assert_array_equal(model.predict(NEW), said)
        np.testing.assert_array_equal(model.spread(NEW), spread)
        assert len(model.fit(X, y).estimators_) == 5


def test_one_completion():
    model = multiple(DummyClassifier(), 1).fit(X, C)
    assert model.predict(NEW).shape == (40,)
    with pytest.raises(ParameterError, match="at least 2 completions"):
        model.spread(NEW)
    with pytest.raises(DataError, match="at least 2 tables"):
        multiple(LinearRegression(), 1, use_target=True, covariance="model").fit(X, Y).pooled()


def test_intervals_cover_a_slope_where_single_imputation_fails():
    covered, single = [], []
    for seed in range(80):
        A, y = table(100, seed=100 + seed)
        A = A[:, :2]
        model = multiple(LinearRegression(), 5, use_target=True, covariance="model").fit(A, y)
        row = model.pooled().to_frame().loc["x0"]
        covered.append(row["low"] <= 1 <= row["high"])
        filled = A.copy()
        gone = np.isnan(A[:, 0])
        D = np.column_stack([np.ones(100), A[:, 1], y])
        filled[gone, 0] = D[gone] @ np.linalg.lstsq(D[~gone], A[~gone, 0])[0]
        fit = LinearRegression().fit(filled, y)
        half = 1.985 * covariance_of(fit, filled, y)[1, 1] ** 0.5
        single.append(abs(fit.coef_[0] - 1) <= half)
    # standard error sqrt(.95 x .05 / 80) = .024
    assert np.mean(covered) > 0.95 - 3 * 0.024
    assert np.mean(single) < 0.8


def test_ridge_classifier_decides_by_vote():
    model = multiple(RidgeClassifier()).fit(X, C)
    assert set(model.predict(NEW)) == {"no", "yes"} and model.decision_function(NEW).shape == (40,)


def test_rows_that_are_unlike_the_training_rows():
    model = multiple(Ridge()).fit(X.tolist(), Y.tolist())
    assert np.isfinite(model.predict(NEW[:3].tolist())).all()
    gone = NEW[:4].copy()
    gone[:, 1] = np.nan  # a column that is missing only now
    gone[3] = np.nan
    assert np.isfinite(model.predict(gone)).all()
    with pytest.raises(DataError, match="finite"):
        model.predict(np.where(np.isnan(NEW), np.inf, NEW))
    frame, y = mixed()
    fitted = multiple(make_pipeline(encoder(), LogisticRegression(max_iter=500)), 2).fit(frame, y)
    other = frame.assign(job=frame["job"].astype(object))
    other.iloc[1, 1] = "pilot"
    with pytest.warns(AugsynthWarning, match="not seen in fit.*'pilot'"):
        assert len(fitted.predict(other)) == 150


def test_an_imputer_that_was_fitted_elsewhere():
    elsewhere = LineImputer().fit(table(500, seed=9)[0])
    model = MultipleImputed(Ridge(), FrozenEstimator(elsewhere), 2, random_state=0).fit(X, Y)
    assert np.array_equal(model.predict(NEW), clone(model).fit(X, Y).predict(NEW))
    expected = elsewhere.impute(X, 2, random_state=0)[0]
    assert model.estimators_[0].coef_ == pytest.approx(Ridge().fit(expected, Y).coef_)
