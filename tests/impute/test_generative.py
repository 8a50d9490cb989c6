"""Imputation by generators: closed forms, draws that follow them, and words for what cannot be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from augsynth import GaussianMixtureGenerator, KDEGenerator, TreeGenerator
from augsynth.core.errors import ParameterError
from augsynth.generate.autoregressive import AutoregressiveGenerator
from augsynth.generate.smote import SmoteGenerator
from augsynth.impute.generative import GenerativeImputer, completing
from augsynth.nn.backbones import MLPBackbone
from augsynth.nn.trainer import Trainer

ONE_BELL = GaussianMixtureGenerator(n_components=1, covariance_type="full")
DEEP = AutoregressiveGenerator(backbone=MLPBackbone(16, depth=2), trainer=Trainer(steps=2))


def correlated(n=600, share=0.3, seed=0):
    rng = np.random.default_rng(seed)
    mix = np.array([[1.0, 0.8, 0.3], [0.0, 0.6, 0.5], [0.0, 0.0, 0.4]])
    X = rng.normal(size=(n, 3)) @ mix * [1.0, 10.0, 0.1] + [5.0, 0.0, -1.0]
    return X, np.where(rng.random(X.shape) < share, np.nan, X)


def mixed(n=300, seed=1):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    X = pd.DataFrame(
        {
            "a": a,
            "count": pd.array(rng.poisson(np.exp(0.5 * a)), dtype="Int64"),
            "kind": pd.Categorical(np.where(a + 0.3 * rng.normal(size=n) > 0, "u", "v")),
            "whole": np.rint(10 * a),
        },
        index=np.arange(n) + 7,
    )
    holes = X.copy()
    for j, name in enumerate(X.columns):
        holes.loc[X.index[rng.random(n) < 0.2], name] = [np.nan, pd.NA, None, np.nan][j]
    return X, holes


def conditional(mean, covariance, row):
    """Mean and covariance of the missing numbers of a row given the others."""
    m = np.isnan(row)
    slope = np.linalg.solve(covariance[np.ix_(~m, ~m)], covariance[np.ix_(~m, m)]).T
    return mean[m] + slope @ (row[~m] - mean[~m]), covariance[np.ix_(m, m)] - slope @ covariance[
        np.ix_(~m, m)
    ]


def test_the_mixture_fills_with_the_closed_form_of_its_own_parameters():
    _, holes = correlated()
    imputer = GenerativeImputer(ONE_BELL, random_state=0).fit(holes)
    model = imputer.generator_
    bell, scale = model.mixtures_[0].gaussians, model.scale_[0]
    mean = model.center_[0] + scale * bell.means[0]
    covariance = bell.covariances[0] * np.outer(scale, scale)
    filled = imputer.transform(holes)
    for row, made in zip(holes[:60], filled[:60], strict=True):
        m = np.isnan(row)
        if 0 < m.sum() < 3:
            assert made[m] == pytest.approx(conditional(mean, covariance, row)[0], rel=1e-6)


def test_the_mixture_finds_the_truth_behind_the_holes():
    X, holes = correlated(4000)
    imputer = GenerativeImputer(ONE_BELL, random_state=0).fit(holes)
    filled, mean, covariance = imputer.transform(holes), X.mean(axis=0), np.cov(X.T)
    some = [i for i in range(400) if 0 < np.isnan(holes[i]).sum() < 3]
    gaps = [
        (filled[i, np.isnan(holes[i])] - conditional(mean, covariance, holes[i])[0])
        / np.sqrt(np.diag(covariance)[np.isnan(holes[i])])
        for i in some
    ]
    # Coefficients of about 2,000 rows: their standard errors are of the order 1 / sqrt(2000) = 0.022.
    assert np.sqrt(np.mean(np.concatenate(gaps) ** 2)) < 3 * 0.022


def test_draws_spread_as_the_closed_form_says():
    _, holes = correlated(400)
    imputer = GenerativeImputer(ONE_BELL, refit=False, random_state=0).fit(holes)
    row, m = np.array([[5.5, np.nan, np.nan]]), 3000
    draws = imputer.impute(np.repeat(row, m, axis=0), 1, random_state=1)[0]
    model = imputer.generator_
    scale = model.scale_[0]
    mean = model.center_[0] + scale * model.mixtures_[0].gaussians.means[0]
    covariance = model.mixtures_[0].gaussians.covariances[0] * np.outer(scale, scale)
    center, spread = conditional(mean, covariance, row[0])
    z = (draws[:, 1:].mean(axis=0) - center) / np.sqrt(np.diag(spread) / m)
    assert (np.abs(z) < 4).all()
    ratio = np.cov(draws[:, 1:].T) / spread
    assert (np.abs(np.diag(ratio) - 1) < 4 * np.sqrt(2 / m)).all()


def test_refits_add_the_uncertainty_of_the_parameters():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 1))
    holes = np.concatenate([np.hstack([x, x + rng.normal(size=(40, 1))]), [[3.0, np.nan]]])
    spread = {}
    for refit in (False, True):
        imputer = GenerativeImputer(ONE_BELL, refit=refit, random_state=0).fit(holes)
        spread[refit] = np.var([made[0, 1] for made in imputer.impute(holes[-1:], 400, random_state=2)])
    # At x = 3 the mean of the prediction has the variance (1 + (3 - mean) ** 2 / var) / 40 of the noise's.
    wanted = 1 + (1 + (3 - x.mean()) ** 2 / x.var()) / 40
    assert abs(spread[True] / spread[False] / wanted - 1) < 4 * np.sqrt(4 / 400)


@pytest.mark.parametrize(
    "generator",
    [ONE_BELL, KDEGenerator(), TreeGenerator(), DEEP],
    ids=lambda g: type(g).__name__,
)
def test_types_stay_and_rows_stand_alone(generator):
    X, holes = mixed(150)
    imputer = GenerativeImputer(generator, n_draws=3, n_rounds=1, random_state=0)
    imputer.set_params(n_rounds=0 if generator is DEEP else 1).fit(holes)
    filled = imputer.transform(holes)
    drawn = imputer.impute(holes, 2)
    for made in (filled, *drawn):
        assert made.dtypes.equals(X.dtypes) and made.index.equals(X.index) and not made.isna().any().any()
        seen = holes.notna().to_numpy()
        assert (made.astype(object).to_numpy()[seen] == holes.astype(object).to_numpy()[seen]).all()
    assert (drawn[0]["whole"] == drawn[0]["whole"].round()).all()
    assert not drawn[0].equals(drawn[1]) and drawn[0].equals(imputer.impute(holes, 1)[0])
    order = np.random.default_rng(0).permutation(150)[:40]
    pd.testing.assert_frame_equal(imputer.transform(holes.iloc[order]), filled.iloc[order])
    part = imputer.impute(holes.iloc[order], 1)[0]
    pd.testing.assert_frame_equal(part, drawn[0].iloc[order])


def test_the_label_helps_where_it_is_used():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 200)
    X = np.column_stack([rng.normal(size=400) + 6 * y, rng.normal(size=400)])
    holes = X.copy()
    holes[::4, 0] = np.nan
    imputer = GenerativeImputer(GaussianMixtureGenerator(), use_target=True, random_state=0).fit(holes, y)
    told, untold = imputer.fill(holes, y)[::4, 0], imputer.transform(holes)[::4, 0]
    assert np.sqrt(np.mean((told - X[::4, 0]) ** 2)) < 1.3 < 2.5 < np.sqrt(np.mean((untold - X[::4, 0]) ** 2))


def test_trees_learn_from_completed_rows_rather_than_from_holes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 1)) + 0.3 * rng.normal(size=(300, 6))
    hidden = rng.random(X.shape) < 0.4
    holes, error = np.where(hidden, np.nan, X), {}
    for rounds in (0, 4):
        filled = (
            GenerativeImputer(TreeGenerator(), n_rounds=rounds, random_state=0).fit(holes).transform(holes)
        )
        error[rounds] = np.sqrt(np.mean(((filled - X) / X.std(axis=0))[hidden] ** 2))
    assert error[4] < 0.9 * error[0] and error[4] < 0.6


def test_the_means_of_a_kernel_density_are_those_of_its_draws():
    _, holes = mixed(200)
    model = KDEGenerator(random_state=0).fit(holes)
    asked = pd.concat([holes[["a"]].iloc[[3]]] * 4000).reset_index(drop=True)
    asked["a"] = 0.4
    asked = asked.reindex(columns=holes.columns).astype({"count": "Int64", "kind": holes["kind"].dtype})
    drawn, wanted = model.complete(asked, random_state=0), model.expect(asked.iloc[:1])
    error = drawn["whole"].std() / np.sqrt(4000)
    assert abs(drawn["whole"].mean() - wanted["whole"].iloc[0]) < 4 * error
    assert wanted["kind"].iloc[0] == drawn["kind"].mode()[0]


def test_what_cannot_impute_is_said_in_a_sentence():
    _, holes = correlated(50)
    with pytest.raises(ParameterError, match="completes rows.*SmoteGenerator.*Use one of.*TreeGenerator"):
        GenerativeImputer(SmoteGenerator()).fit(holes)
    with pytest.raises(ParameterError, match="refit must be"):
        GenerativeImputer(ONE_BELL, refit="often").fit(holes)
    with pytest.raises(ParameterError, match="Give it to the imputer"):
        GenerativeImputer(GaussianMixtureGenerator(schema={0: "continuous"})).fit(holes)


def test_the_kinds_that_complete_rows_are_those_that_know_how():
    assert set(completing()) == {"autoregressive", "diffusion", "gmm", "kde", "trees", "vae"}
