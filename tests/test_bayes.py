"""The class by Bayes' law: against closed forms, and through scikit-learn's own checks."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.datasets import load_iris, load_wine
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from augsynth import BayesClassifier, BootstrapGenerator, GaussianMixtureGenerator, KDEGenerator, VAEGenerator
from augsynth.core.errors import ParameterError, ThinCellWarning
from augsynth.generate.base import BaseGenerator
from augsynth.nn.trainer import Trainer


def one_gaussian(**options):
    """Return a full-covariance Gaussian a class; next to nothing is added to its variances."""
    return GaussianMixtureGenerator(
        n_components=1, covariance_type="full", atoms=None, reg_covar=1e-12, **options
    )


class Boxes(BaseGenerator):
    """Uniform densities on [0, 1] and on [2, 4]."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def _fit(self, z, c, w, rng):
        pass

    def _sample(self, c, rng):
        return np.zeros((len(c), 1))

    def _log_prob(self, z, c, rng):
        low, high = np.array([0.0, 2.0])[c], np.array([1.0, 4.0])[c]
        inside = (z[:, 0] >= low) & (z[:, 0] <= high)
        return np.where(inside, -np.log(high - low), -np.inf)


@pytest.mark.parametrize("priors", [None, "uniform", [0.2, 0.5, 0.3]])
@pytest.mark.parametrize("data", [load_iris, load_wine])
def test_one_full_gaussian_a_class_is_quadratic_discriminant_analysis(data, priors):
    X, y = data(return_X_y=True)
    model = BayesClassifier(one_gaussian(), priors=priors).fit(X, y)
    given = np.full(3, 1 / 3) if isinstance(priors, str) else priors
    peer = QuadraticDiscriminantAnalysis(priors=given).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=1e-9)
    np.testing.assert_array_equal(model.predict(X), peer.predict(X))


def test_density_of_all_classes_and_log_odds_in_closed_form():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (300, 1)), rng.normal(3, 2, (100, 1))])
    y = np.repeat(["a", "b"], [300, 100])
    model = BayesClassifier(one_gaussian()).fit(X, y)
    at = np.array([[-2.0], [0.5], [60.0]])
    a, b = (norm(X[y == k].mean(), X[y == k].std()).logpdf(at[:, 0]) for k in "ab")
    expected = np.logaddexp(np.log(0.75) + a, np.log(0.25) + b)
    np.testing.assert_allclose(model.score_samples(at), expected, rtol=1e-6)
    np.testing.assert_allclose(model.outlier_score(at), -expected, rtol=1e-6)
    np.testing.assert_allclose(model.decision_function(at), np.log(1 / 3) + b - a, rtol=1e-6)
    assert model.classes_.tolist() == ["a", "b"]


def test_priors_by_label_weigh_the_classes():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = BayesClassifier(one_gaussian(), priors={"virginica": 2, "setosa": 1, "versicolor": 1})
    np.testing.assert_allclose(model.fit(X, names).class_prior_, [0.25, 0.25, 0.5])
    weighted = BayesClassifier(one_gaussian()).fit(X, y, sample_weight=np.where(y == 1, 2.0, 1.0))
    np.testing.assert_allclose(weighted.class_prior_, [0.25, 0.5, 0.25])


def test_a_row_that_no_class_can_have_gets_the_priors_and_an_infinite_outlier_score():
    X, y = np.array([[0.2], [0.7], [0.8], [3.0]]), [0, 0, 0, 1]
    model = BayesClassifier(Boxes()).fit(X, y)
    found = model.predict_proba([[0.5], [3.5], [9.0]])
    np.testing.assert_allclose(found, [[1, 0], [0, 1], [0.75, 0.25]])
    np.testing.assert_allclose(model.outlier_score([[0.5], [9.0]]), [-np.log(0.75), np.inf])


def test_frames_with_categories_and_a_bound_that_is_the_same_every_time():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 40)
    X = pd.DataFrame({"x": rng.normal(size=80) + 3 * y, "kind": np.where(rng.random(80) < 0.9, y, 1 - y)})
    X["kind"] = X["kind"].map({0: "red", 1: "blue"})
    exact = BayesClassifier(GaussianMixtureGenerator(random_state=0)).fit(X, y)
    assert exact.score(X, y) > 0.9
    assert exact.feature_names_in_.tolist() == ["x", "kind"]
    bound = BayesClassifier(VAEGenerator(trainer=Trainer(steps=30), random_state=0), random_state=3).fit(X, y)
    np.testing.assert_array_equal(bound.predict_proba(X), bound.predict_proba(X))


def test_kernel_densities_tell_irises_apart():
    X, y = load_iris(return_X_y=True)
    assert cross_val_score(BayesClassifier(KDEGenerator()), X, y).mean() > 0.92


def test_what_cannot_serve_gets_a_sentence():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ParameterError, match="must have log_prob; given BootstrapGenerator"):
        BayesClassifier(BootstrapGenerator()).fit(X, y)
    with pytest.raises(ParameterError, match="must be a generator"):
        BayesClassifier(KDEGenerator).fit(X, y)
    for priors in ("equal", [0.5, 0.5], [-1, 1, 1], {0: 1.0, 1: 1.0}, [0, 0, 0]):
        with pytest.raises(ParameterError, match="priors must be"):
            BayesClassifier(KDEGenerator(), priors=priors).fit(X, y)


EXPECTED = {
    # A generator treats a cell of few rows with more caution, and counts rows for that, not weights.
    "check_sample_weight_equivalence_on_dense_data": "few rows of much weight are still few rows",
}


@parametrize_with_checks(
    [BayesClassifier(GaussianMixtureGenerator(n_components=1, random_state=0), random_state=0)],
    expected_failed_checks=lambda _: EXPECTED,
)
def test_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ThinCellWarning)  # the suite's classes have few rows
        check(estimator)
