"""Recipes with an imputer: as a step before resampling, and as the task itself."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from augsynth import registry
from augsynth.cli import app
from augsynth.core.errors import OutputExistsError, RecipeError
from augsynth.impute.donors import DonorImputer
from augsynth.recipe import load, parse
from augsynth.recipe.filling import FilledPipeline
from augsynth.recipe.hidden_cells import HiddenCells
from augsynth.recipe.impute_run import run_imputing
from augsynth.recipe.run import run

FIRST = {
    "name": "first",
    "output": {"report": False},
    "data": {"path": "sklearn:wine", "thin": {"class_2": 15}, "holes": {"share": 0.2, "mechanism": "MCAR"}},
    "imputer": {"kind": "donors"},
    "generator": {"kind": "bootstrap"},
    "compare": {"folds": 2, "repeats": 1, "scoring": "balanced_accuracy", "estimator": "logistic_regression"},
}
ONLY = {
    "name": "only",
    "task": "impute",
    "data": {"path": "sklearn:wine", "holes": {"share": 0.2}},
    "imputer": {"kind": "donors"},
    "draws": 2,
}


def problems(raw, *overrides):
    with pytest.raises(RecipeError) as caught:
        parse(raw, overrides)
    return caught.value.problems


class Spy(DonorImputer):
    """Remembers the rows that it learned from and those that it filled, by their first column."""

    fits, fills = [], []

    def fit(self, X, y=None):
        Spy.fits.append(X["row"].tolist())
        return super().fit(X, y)

    def fill(self, X, y=None):
        Spy.fills.append(X["row"].tolist())
        return super().fill(X, y)

    def transform(self, X):
        Spy.fills.append(X["row"].tolist())
        return super().transform(X)


@pytest.fixture
def spied(tmp_path, monkeypatch):
    """Register an imputer that is watched, and write a table with a number for each row."""
    monkeypatch.setitem(registry._COMPONENTS["imputer"], "spy", "nowhere:Spy")
    monkeypatch.setitem(registry._CLASSES, ("imputer", "spy"), Spy)
    monkeypatch.setattr(Spy, "fits", [])
    monkeypatch.setattr(Spy, "fills", [])
    rng = np.random.default_rng(0)
    n = 160
    level = rng.normal(size=n)
    X = pd.DataFrame({"row": np.arange(n) + 0.5, "a": level, "b": level + 0.3 * rng.normal(size=n)})
    X["word"] = np.where(level > 0, "up", "down")
    X.loc[::5, "a"], X.loc[1::5, "b"], X.loc[2::5, "word"] = np.nan, np.nan, None
    X["y"] = np.where(level + 0.5 * rng.normal(size=n) > 0.8, "rare", "usual")
    path = tmp_path / "t.csv"
    X.to_csv(path, index=False)
    return path, X


def test_every_problem_of_a_recipe_that_fills_is_told_at_once():
    found = problems(
        {
            "name": "bad",
            "task": "impute",
            "sead": 1,
            "data": {
                "path": "sklearn:wine",
                "holes": {"share": 2, "mechanism": "MARR"},
                "thin": {"class_0": 5},
            },
            "imputer": {"kind": "chained", "n_rouns": 3, "method": ["a", 1]},
            "generator": {"kind": "kde"},
            "draws": -1,
        }
    )
    told = {line.split(":")[0]: line for line in found}
    wanted = {
        "sead": "did you mean 'seed'?",
        "data.holes.share": "must be less than 1",
        "data.holes.mechanism": "did you mean 'MAR'?",
        "data.thin": "is for recipes that make rows",
        "imputer.n_rouns": "did you mean 'n_rounds'?",
        "generator": "unknown key",
        "draws": "greater than or equal to 0",
    }
    assert set(wanted) <= set(told), found
    assert all(wanted[path] in told[path] for path in wanted), found


@pytest.mark.parametrize(
    ("raw", "overrides", "path"),
    [
        (ONLY, ["task=imput"], "task: must be augment or impute; given 'imput'; did you mean 'impute'?"),
        (ONLY, ["imputer=null"], "imputer: must be a mapping"),
        (ONLY, ["imputer.kind=donor"], "imputer.kind: unknown kind 'donor'"),
        (ONLY, ["imputer={kind: generative}"], "imputer.generator: is required"),
        (
            ONLY,
            ["imputer={kind: generative, generator: {kind: kdee}}"],
            "imputer.generator.kind: unknown kind 'kdee'",
        ),
        (ONLY, ["data.path=sklearn:digits", "data.modality=images"], "data.modality: only tables have cells"),
        (
            ONLY,
            ["data={path: t.csv}", "imputer.use_target=true"],
            "imputer.use_target: needs the column of the labels",
        ),
        (FIRST, ["imputer.n_neighbrs=3"], "imputer.n_neighbrs: unknown key; did you mean 'n_neighbors'?"),
        (FIRST, ["data={path: sklearn:digits, modality: images}"], "imputer: is for tables; images has none"),
        (FIRST, ["data.holes.share=0"], "data.holes.share: must be greater than 0"),
    ],
)
def test_one_problem_each(raw, overrides, path):
    found = problems(raw, *overrides)
    assert len(found) == 1 and found[0].startswith(path), found


def test_holes_on_purpose_go_with_their_table():
    recipe = parse(ONLY, ["data.path=people.csv"])
    assert recipe.data.holes is None and recipe.data.target == ""
    assert recipe.notes == ["data.path is now people.csv: data.holes of sklearn:wine was dropped."]


def test_the_imputer_learns_from_training_rows_alone_in_the_run_and_in_every_fold(spied, tmp_path):
    path, X = spied
    recipe = parse(FIRST, [f"data.path={path}", "data.target=y", "imputer={kind: spy}"])
    result = run(recipe, directory=tmp_path / "out")
    assert result.comparison.failures.empty
    held_out = set(result.parts.X_test["row"])
    training = set(X["row"]) - held_out
    assert set(Spy.fits[0]) == training  # once for the files
    assert [len(rows) for rows in Spy.fills[:2]] == [len(training), len(held_out)]
    assert set(Spy.fills[1]) == held_out
    inside = Spy.fits[1:]
    assert len(inside) > 4  # nothing, class weights, tuned threshold and the method, in two folds
    for rows in inside:
        assert set(rows) < training and len(rows) == len(set(rows))  # no held-out row, no copy
    # the rows of the bootstrap are copies, so an imputer that learned from them would have seen some twice
    enlarged, provenance = result.X, pd.read_csv(tmp_path / "out" / "provenance.csv")
    assert not enlarged.isna().any().any() and not result.parts.X_test.isna().any().any()
    real = (provenance["kind"] == "real").to_numpy()
    before = X.set_index("row").loc[enlarged["row"][real]].drop(columns="y")
    assert provenance["imputed_cells"][real].tolist() == before.isna().sum(axis=1).tolist()
    assert (provenance["imputed_cells"][~real] == 0).all()
    assert any("fitted to training rows only" in note for note in result.notes)


def test_a_recipe_with_holes_on_purpose_runs_and_repeats(tmp_path):
    result = run(parse(FIRST), directory=tmp_path / "a")
    assert result.parts.holed.isna().to_numpy().mean() == pytest.approx(0.2, abs=0.02)
    assert not result.X.isna().any().any()
    run(load(tmp_path / "a" / "recipe.yaml"), directory=tmp_path / "b")
    for name in ("enlarged.csv", "held_out.csv", "provenance.csv", "recipe.yaml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_groups_of_made_rows_come_from_filled_columns(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"sex": ["f", "m"] * 60, "x": rng.normal(size=120), "y": rng.choice(["a", "b"], 120)}
    )
    frame.loc[::7, "sex"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    told = [
        f"data.path={tmp_path / 't.csv'}",
        "data.target=y",
        "data.groups=[sex]",
        "resampler={kind: over, by: class+group}",
    ]
    result = run(parse(FIRST, [*told, "compare.scoring=roc_auc"]), directory=tmp_path / "out")
    assert set(result.X["sex"]) == {"f", "m"} and result.counts["after"].nunique() == 1
    assert result.comparison.failures.empty


def test_a_pipeline_that_fills_is_a_pipeline_where_nothing_was_resampled():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc"))
    y = (X["a"] > 0).astype(int).rename("y")
    X = X.mask(rng.random(X.shape) < 0.2)
    model = FilledPipeline([("imputer", DonorImputer(random_state=0)), ("estimator", LogisticRegression())])
    expected = LogisticRegression().fit(DonorImputer(random_state=0).fit_transform(X), y)
    got = model.fit(X, y).predict_proba(X)
    assert np.array_equal(got, expected.predict_proba(model[0].transform(X)))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    told, out = [], tmp_path_factory.mktemp("fill") / "out"
    return run_imputing(parse(ONLY), directory=out, tell=told.append), out, told


def test_the_files_of_a_filled_table_agree(filled):
    result, out, told = filled
    names = {"filled.csv", "filled_1.csv", "filled_2.csv", "missing.csv", "errors.csv"}
    names |= {"holes.png", "recipe.yaml", "report.json"}
    assert {path.name for path in out.iterdir()} == names == {path.name for path in result.files}
    report = json.loads((out / "report.json").read_text())
    missing = pd.read_csv(out / "missing.csv").to_numpy(bool)
    truth = result.parts.truth.to_numpy(float)
    tables = [pd.read_csv(out / f"filled{end}.csv") for end in ("", "_1", "_2")]
    for table in tables:
        assert not table.isna().any().any() and len(table) == 178 and "target" in table
        cells = table.drop(columns="target").to_numpy(float)
        assert (cells[~missing] == truth[~missing]).all()  # what was there stays
    assert not tables[1].equals(tables[2])
    assert report["missing_cells"] == missing.sum() == pytest.approx(0.2 * missing.size, rel=0.05)
    assert report["verdict"]["word"] == "helps"
    assert [line["column"] for line in report["columns"]] == list(result.parts.truth.columns)
    assert "133 training rows" in told[1] and "20% of the cells were taken out" in report["notes"][0]


def test_errors_are_those_on_held_out_rows_by_hand(filled):
    result, out, _ = filled
    test = ~result.parts.training
    holes = result.parts.X.isna().to_numpy()
    name = "alcohol"
    at = test & holes[:, 0]
    truth, made = result.parts.truth[name], pd.read_csv(out / "filled.csv")[name]
    spread = result.parts.X[name][~test].std(ddof=0)
    by_hand = np.sqrt((((made - truth)[at] / spread) ** 2).mean())
    line = result.errors.set_index("name").loc[name]
    assert line["error"] == pytest.approx(by_hand) and line["n"] == at.sum()
    mean = result.parts.X[name][~test].mean()
    assert line["baseline"] == pytest.approx(np.sqrt((((mean - truth)[at] / spread) ** 2).mean()))


def test_a_filled_table_repeats_and_is_not_overwritten(filled, tmp_path):
    _, out, _ = filled
    run_imputing(load(out / "recipe.yaml"), directory=tmp_path / "again")
    for name in ("filled.csv", "filled_2.csv", "errors.csv", "recipe.yaml"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()
    with pytest.raises(OutputExistsError, match="--force"):
        run_imputing(parse(ONLY), directory=out)


def test_a_table_with_holes_of_its_own_no_labels_groups_and_a_split(tmp_path, spied):
    path, X = spied
    X.drop(columns="y").assign(split=["train", "test"] * 80, code="007").to_csv(path, index=False)
    raw = {
        **ONLY,
        "data": {"path": str(path), "groups": ["word"], "drop": ["code"]},
        "imputer": {"kind": "spy"},
    }
    out = tmp_path / "out"
    result = run_imputing(parse(raw), directory=out)
    assert Spy.fits == [X["row"][::2].tolist()]
    made = pd.read_csv(out / "filled.csv", dtype=str)
    assert list(made) == ["row", "a", "b", "word", "split", "code"] and set(made["code"]) == {"007"}
    assert not made.isna().any().any()
    assert set(result.groups["group"]) >= {"up", "down"} and set(result.groups["kind"]) == {
        "numeric",
        "categorical",
    }


def test_a_verdict_needs_an_interval_and_enough_rows():
    rng = np.random.default_rng(0)
    truth = pd.DataFrame({"a": rng.normal(size=200), "b": np.where(rng.random(200) < 0.5, "x", "y")})
    hidden = rng.random(truth.shape) < 0.3
    training = pd.DataFrame({"a": rng.normal(size=500), "b": "x"})
    words = {
        "helps": truth,
        "hurts": truth.assign(a=truth["a"] + 3.0),
        "no evidence": pd.DataFrame({"a": training["a"].mean(), "b": ["x"] * 200}),
    }
    for word, made in words.items():
        assert HiddenCells(truth, hidden, made, training).verdict().word == word
    few = HiddenCells(truth.iloc[:9], hidden[:9], truth.iloc[:9], training).verdict()
    assert few.word == "no evidence" and np.isnan(few.low)
    perfect = HiddenCells(truth, hidden, truth, training).by_column().set_index("name")
    assert (perfect["error"] == 0).all() and perfect.loc["b", "baseline"] == pytest.approx(
        (truth["b"][hidden[:, 1]] == "y").mean()
    )


def test_the_command_line_runs_and_validates_them(tmp_path):
    def call(*arguments):
        return CliRunner().invoke(app, [str(each) for each in arguments])

    assert (
        call("validate", "table_impute_generative").stdout
        == "table_impute_generative: the recipe is valid.\n"
    )
    asked = [
        "table_impute_chained",
        "imputer.kind=donors",
        "data.path=sklearn:wine",
        "draws=0",
        "-o",
        tmp_path / "o",
    ]
    asked.append("data.holes={share: 0.2}")
    done = call("run", *asked)
    assert done.exit_code == 0, done.output
    assert "Verdict: HELPS" in done.stdout and "alcalinity_of_ash" in done.stdout
    assert "filled.csv" in done.stdout and "of the cells were taken out on purpose" in done.stdout
    assert call("run", *asked).exit_code == 4
    quiet = call("run", *asked, "--force", "--quiet")
    assert quiet.exit_code == 0 and quiet.stderr == "" and quiet.stdout.startswith("Verdict: ")
