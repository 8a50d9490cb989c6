"""Imputers in files: another process fills and draws the same cells, to the last bit."""

import resource
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.exceptions import NotFittedError

from augsynth import load
from augsynth.core.errors import ModelFileError
from augsynth.core.persistence import pack, unpack
from augsynth.generate.gmm import GaussianMixtureGenerator
from augsynth.generate.trees import TreeGenerator
from augsynth.impute.chained import ChainedImputer
from augsynth.impute.donors import DonorImputer
from augsynth.impute.generative import GenerativeImputer
from augsynth.impute.grown_trees import GrownTrees
from augsynth.testing.holes import toy_holes

RNG = np.random.default_rng(0)
COLUMNS = ["income", "rooms", "visits", "town", "size", "since"]
KINDS = {
    "donors": DonorImputer(5, within=("town",), random_state=0),
    "auto": ChainedImputer(n_rounds=1, random_state=0),
    "bayes": ChainedImputer("bayes", n_rounds=1, use_target=True, random_state=0),
    "trees": ChainedImputer("trees", n_rounds=1, random_state=0),
    "mixed": ChainedImputer({"income": "pmm", "town": "trees", "rooms": "bayes"}, n_rounds=1, random_state=0),
    "gmm": GenerativeImputer(GaussianMixtureGenerator(n_components=2), random_state=0),
    "sequential": GenerativeImputer(TreeGenerator(), n_rounds=2, random_state=0),
}
CHILD = """
import sys, pathlib
import pandas as pd
from augsynth import load
folder = pathlib.Path(sys.argv[1])
for path in sorted(folder.glob("*.safetensors")):
    imputer, rows = load(path), pd.read_parquet(folder / ("many.pq" if path.stem == "many" else "rows.pq"))
    for i, table in enumerate([imputer.transform(rows), *imputer.impute(rows, 2)]):
        table.to_parquet(folder / f"{path.stem}{i}.pq")
"""


def many_rows():
    """So many that boosting takes the forests' place."""
    rows = np.random.default_rng(1).normal(size=(3_100, 2))
    rows[:, 1] += np.abs(rows[:, 0])
    rows[:300, 1] = np.nan
    return pd.DataFrame(rows, columns=["a", "b"])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imputers")
    X, y = toy_holes()
    X = X[COLUMNS].reset_index(drop=True)
    fitted = {}
    for name, imputer in KINDS.items():
        fitted[name] = imputer.fit(X, y)
        imputer.save(folder / f"{name}.safetensors")
    tables = dict.fromkeys(KINDS, X) | {"many": many_rows()}
    fitted["many"] = ChainedImputer(n_rounds=1, random_state=0).fit(tables["many"])
    fitted["many"].save(folder / "many.safetensors")
    X.to_parquet(folder / "rows.pq")
    tables["many"].to_parquet(folder / "many.pq")
    subprocess.run([sys.executable, "-W", "ignore", "-c", CHILD, str(folder)], check=True)
    return folder, fitted, tables


@pytest.mark.parametrize("name", [*KINDS, "many"])
def test_another_process_fills_and_draws_the_same(saved, name):
    folder, fitted, tables = saved
    own = [fitted[name].transform(tables[name]), *fitted[name].impute(tables[name], 2)]
    for i, table in enumerate(own):
        theirs = pd.read_parquet(folder / f"{name}{i}.pq")
        assert (table.isna().sum() == 0).all()
        pd.testing.assert_frame_equal(table, theirs, check_exact=True, check_dtype=False)
        for column in table.select_dtypes("float"):
            assert table[column].to_numpy().tobytes() == theirs[column].to_numpy().tobytes()


def test_what_was_loaded_can_be_saved_again_and_says_what_it_said(saved):
    folder, fitted, tables = saved
    again = load(folder / "trees.safetensors")
    again.save(folder / "again")
    third = load(folder / "again")
    pd.testing.assert_frame_equal(
        third.transform(tables["trees"]), fitted["trees"].transform(tables["trees"])
    )
    pd.testing.assert_frame_equal(third.self_check_, fitted["trees"].self_check_)
    assert third.order_ == fitted["trees"].order_ and repr(third) == repr(fitted["trees"])
    trace = third.trace(1, 1, random_state=0)
    pd.testing.assert_frame_equal(trace, fitted["trees"].trace(1, 1, random_state=0))


@pytest.mark.slow
def test_a_deep_generator_comes_back(saved, tmp_path):
    from augsynth.generate.vae import VAEGenerator
    from augsynth.nn.trainer import Trainer

    X = saved[2]["gmm"]
    made = GenerativeImputer(VAEGenerator(trainer=Trainer(steps=2)), n_draws=2, random_state=0).fit(X)
    made.save(tmp_path / "m")
    again = load(tmp_path / "m")
    pd.testing.assert_frame_equal(again.transform(X), made.transform(X), check_exact=True)
    pd.testing.assert_frame_equal(again.impute(X, 1)[0], made.impute(X, 1)[0], check_exact=True)


def test_new_rows_and_set_output_survive(saved, tmp_path):
    X = np.array([[1.0, 2.0], [2.0, np.nan], [3.0, 6.1], [4.0, 8.0]] * 5)
    imputer = ChainedImputer("pmm", add_indicator=True, random_state=0).set_output(transform="pandas").fit(X)
    imputer.save(tmp_path / "m")
    new = np.array([[5.0, np.nan], [np.nan, 3.0]])
    pd.testing.assert_frame_equal(load(tmp_path / "m").transform(new), imputer.transform(new))


@pytest.mark.parametrize(
    "model",
    [
        ExtraTreesRegressor(7, min_samples_leaf=3, random_state=0),
        RandomForestRegressor(5, max_features=0.5, random_state=0),
        HistGradientBoostingRegressor(max_iter=20, early_stopping=False, random_state=0),
        ExtraTreesClassifier(7, random_state=0),
    ],
    ids=lambda m: type(m).__name__,
)
def test_trees_as_arrays_predict_the_same_bits(model):
    x = RNG.normal(size=(400, 3)).astype(np.float32)
    y = x[:, 0] * x[:, 1] + RNG.normal(size=400)
    labels = np.digitize(y, [-1, 0, 1]) * 2  # 0, 2, 4, 6
    classifier = hasattr(model, "predict_proba")
    model.fit(x, labels if classifier else y)
    arrays = {}
    again = unpack(pack(GrownTrees.of(model), arrays), arrays)
    fresh = RNG.normal(size=(150, 3)).astype(np.float32)
    for rows in (fresh, fresh[:1]):
        if classifier:
            assert (again.predict_proba(rows) == model.predict_proba(rows)).all()
            assert (again.classes_ == model.classes_).all()
        else:
            assert (again.predict(rows) == model.predict(rows)).all()
    assert GrownTrees.of(again) is again


def test_several_outputs_and_a_tree_of_one_leaf():
    x = RNG.normal(size=(60, 2)).astype(np.float32)
    for y in (np.column_stack([x[:, 0], x[:, 1] ** 2, x[:, 0] > 0]), np.ones(60)):
        forest = RandomForestRegressor(4, random_state=0).fit(x, y)
        assert (GrownTrees.of(forest).predict(x) == forest.predict(x)).all()


def test_a_circle_of_nodes_in_a_file_is_refused():
    forest = RandomForestRegressor(1, random_state=0).fit(RNG.normal(size=(30, 1)), RNG.normal(size=30))
    trees = GrownTrees.of(forest)
    trees.trees[0].left[:] = 0
    arrays = {}
    with pytest.raises(ModelFileError, match="must come after it"):
        unpack(pack(trees, arrays), arrays)


def test_an_imputer_that_is_not_fitted_is_not_saved(tmp_path):
    for imputer in (DonorImputer(), ChainedImputer(), GenerativeImputer(TreeGenerator())):
        with pytest.raises(NotFittedError, match=f"{type(imputer).__name__} instance is not fitted yet"):
            imputer.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spoil", ["cut", "flipped", "text", "empty"])
def test_a_spoilt_file_gets_one_sentence(saved, tmp_path, spoil):
    path = tmp_path / "m.safetensors"
    whole = bytearray((saved[0] / "trees.safetensors").read_bytes())
    if spoil == "flipped":  # a byte of an array: sizes and header are right
        whole[-500] ^= 4
    path.write_bytes({"cut": whole[:-40], "text": b"a,b\n1,2\n", "empty": b""}.get(spoil, bytes(whole)))
    with pytest.raises(
        ModelFileError, match=r"^load\('.*m.safetensors'\): the file must be a model"
    ) as found:
        load(path)
    assert "\n" not in str(found.value)


def test_a_full_disk_leaves_the_old_file(saved, tmp_path):
    path = tmp_path / "m.safetensors"
    load(saved[0] / "donors.safetensors").save(path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))  # the kernel writes no more to a file
    try:
        with pytest.raises(OSError) as found:
            saved[1]["trees"].save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "could not be written" in str(found.value) and "\n" not in str(found.value)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [path.name]
