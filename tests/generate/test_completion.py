"""Completion: what is the same for every generator that fills missing cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from augsynth import GaussianMixtureGenerator, KDEGenerator, TreeGenerator
from augsynth.core.errors import DataError
from augsynth.core.random import ItemKeys
from augsynth.generate.autoregressive import AutoregressiveGenerator
from augsynth.generate.completion import middle
from augsynth.generate.diffusion import DiffusionGenerator
from augsynth.nn.backbones import MLPBackbone
from augsynth.nn.trainer import Trainer

DEEP = {"backbone": MLPBackbone(16, depth=2), "trainer": Trainer(steps=2), "random_state": 0}
GENERATORS = [
    TreeGenerator(random_state=0),
    GaussianMixtureGenerator(random_state=0),
    KDEGenerator(random_state=0),
    AutoregressiveGenerator(**DEEP),
    AutoregressiveGenerator(order="left-to-right", **DEEP),
    DiffusionGenerator(**DEEP),
]


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda g: type(g).__name__)
def test_a_completed_row_does_not_depend_on_the_others(generator):
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(size=(120, 3)) @ rng.normal(size=(3, 3)), columns=list("abc"))
    X["k"] = pd.Categorical(np.where(X["a"] > 0, "u", "v"))
    model = clone(generator).fit(X)
    holes = X.mask(rng.random(X.shape) < 0.3)
    keys = ItemKeys(5, 0, np.arange(120))
    order = rng.permutation(120)[:50]
    whole, part = (
        next(model.iter_completed(rows, [key]))
        for rows, key in ((holes, keys), (holes.iloc[order], keys.take(order)))
    )
    pd.testing.assert_frame_equal(whole.iloc[order].reset_index(drop=True), part.reset_index(drop=True))


@pytest.mark.parametrize("generator", GENERATORS[:3], ids=lambda g: type(g).__name__)
def test_means_and_modes_are_those_of_the_draws(generator):
    rng = np.random.default_rng(4)
    X = pd.DataFrame(rng.normal(size=(300, 2)) @ [[1.0, 0.8], [0.0, 0.6]], columns=["a", "b"])
    X["k"] = pd.Categorical(np.where(X["a"] + 0.5 * rng.normal(size=300) > 0, "u", "v"))
    model, n = clone(generator).fit(X), 3000
    asked = pd.DataFrame({"a": np.full(n, np.nan), "b": 1.0, "k": pd.Categorical([None] * n, list("uv"))})
    drawn, wanted = model.complete(asked, random_state=0), model.expect(asked.iloc[:400])
    error = drawn["a"].std() / np.sqrt(n) + wanted["a"].std() / np.sqrt(400)
    # candidates of trees leave a bias of some hundredths of a standard deviation
    assert abs(drawn["a"].mean() - wanted["a"].mean()) < 4 * error + 0.03 * X["a"].std()
    assert wanted["k"].mode()[0] == drawn["k"].mode()[0] == "u"


def test_keys_must_be_as_many_as_rows():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 2)))
    model = GaussianMixtureGenerator(n_components=1).fit(X)
    with pytest.raises(DataError, match="one entry for each of the 30 rows; given 29"):
        next(model.iter_completed(X.mask(X > 1), [ItemKeys(0, 0, np.arange(29))]))


def test_the_commonest_level_wins_and_of_equals_the_first_drawn():
    rng = np.random.default_rng(5)
    draws = rng.integers(0, 4, (7, 50, 2)).astype(float)
    got = middle(draws, np.array([1]))
    np.testing.assert_array_equal(got[:, 0], draws[:, :, 0].mean(axis=0))
    for i in range(50):
        votes = draws[:, i, 1].tolist()
        assert got[i, 1] == max(votes, key=votes.count)  # max takes the first of equals
    assert middle(draws[:, :0], np.array([1])).shape == (0, 2)
