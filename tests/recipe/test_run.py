"""A run: what it writes, that it repeats, that nothing is written when it fails or is stopped."""

import errno
import json
import os
import warnings

import numpy as np
import pandas as pd
import pytest

from augsynth.core.errors import AugsynthWarning, DataError, OutputExistsError
from augsynth.core.persistence import load as load_model
from augsynth.generate.bootstrap import BootstrapGenerator
from augsynth.recipe import parse
from augsynth.recipe import run as run_module
from augsynth.recipe.estimators import held_out_figures, judge
from augsynth.recipe.run import make_plan, run
from augsynth.recipe.schema import CompareSection

SMALL = {
    "name": "small",
    "output": {"report": False},
    "data": {"path": "sklearn:breast_cancer", "thin": {"malignant": 25}, "drop": ["mean_radius"]},
    "generator": {"kind": "bootstrap"},
    "compare": {"folds": 2, "repeats": 1, "scoring": "roc_auc"},  # no threshold to tune: quick
}
FILES = {"comparison.png", "counts.png", "enlarged.csv", "held_out.csv", "marginals.png"}
FILES |= {"model.safetensors", "provenance.csv", "recipe.yaml", "report.json"}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    told = []
    out = tmp_path_factory.mktemp("run") / "out"
    return run(parse(SMALL), directory=out, tell=told.append), out, told


def test_the_files_agree_with_each_other_and_with_a_hand_count(done):
    result, out, _ = done
    assert {path.name for path in out.iterdir()} == FILES == {path.name for path in result.files}
    report = json.loads((out / "report.json").read_text())
    enlarged, provenance = pd.read_csv(out / "enlarged.csv"), pd.read_csv(out / "provenance.csv")
    assert report["counts"] == [
        {"cell": "benign", "before": 268, "after": 268},
        {"cell": "malignant", "before": 25, "after": 268},
    ]
    assert enlarged["target"].value_counts().to_dict() == {"benign": 268, "malignant": 268}
    assert (provenance["kind"] == "real").sum() == 293 == report["rows"]["training"]
    assert (provenance["kind"] == "copied").sum() == 243
    # copies are rows of the training part: nothing of the held-out part may be among them
    held_out = pd.read_csv(out / "held_out.csv")
    rows = {tuple(row) for row in enlarged.drop(columns="target").to_numpy()}
    assert not rows & {tuple(row) for row in held_out.drop(columns="target").to_numpy()}
    assert report["verdict"]["word"] == {"bootstrap": report["comparison"]["verdicts"]["bootstrap"]["in all"]}
    assert set(report["files"]) == FILES
    assert "thinned from 159 to 25" in report["notes"][0]


def test_the_model_is_the_generator_and_the_recipe_repeats_the_run(done, tmp_path):
    result, out, told = done
    model = load_model(out / "model.safetensors")
    assert isinstance(model, BootstrapGenerator)
    assert len(model.sample(y=["malignant"] * 3, random_state=0)) == 3
    from augsynth.recipe import load

    run(load(out / "recipe.yaml"), directory=tmp_path / "again")
    for name in ("enlarged.csv", "provenance.csv", "held_out.csv", "recipe.yaml"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()
    assert any(line.startswith("comparing: 2 folds x 1 repeats on 293 training rows") for line in told)


def test_nothing_is_overwritten_without_force(done, tmp_path):
    _, out, _ = done
    before = (out / "report.json").stat().st_mtime_ns
    with pytest.raises(OutputExistsError, match="--force"):
        run(parse(SMALL), directory=out)
    assert (out / "report.json").stat().st_mtime_ns == before
    table = tmp_path / "enlarged.csv"
    pd.DataFrame({"x": range(40), "y": ["a", "b"] * 20}).to_csv(table, index=False)
    recipe = parse(SMALL, [f"data.path={table}", "data.target=y"])
    with pytest.raises(OutputExistsError, match="own input"):
        run(recipe, directory=tmp_path, force=True)


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_run_that_is_stopped_while_writing_leaves_nothing(tmp_path, monkeypatch, failure):
    from augsynth.recipe import outputs

    def stop(*args, **kwargs):
        raise failure

    monkeypatch.setattr(outputs, "plot_marginals", stop)
    with pytest.raises(type(failure)):
        run(parse(SMALL, ["compare=null"]), directory=tmp_path / "out")
    assert os.listdir(tmp_path) == []


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    n = 160
    frame = pd.DataFrame(
        {
            "age": rng.integers(20, 60, n).astype(float),
            "job": rng.choice(["clerk", "cook", "pilot"], n),
            "member": rng.random(n) < 0.5,
            "sex": rng.choice(["f", "m"], n),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 500, n), unit="D"),
            "income": np.where(rng.random(n) < 0.3, "high", "low"),
        }
    )
    frame.loc[::7, "age"] = np.nan
    frame.loc[::9, "job"] = None
    return frame


def test_mixed_columns_missing_cells_and_groups(tmp_path, people):
    people.to_parquet(tmp_path / "people.parquet")
    raw = {
        "name": "mixed",
        "data": {"path": str(tmp_path / "people.parquet"), "target": "income", "groups": ["sex"]},
        "generator": {"kind": "bootstrap"},
        "resampler": {"kind": "over", "by": "class+group"},
        "compare": {"folds": 2, "repeats": 1, "scoring": "roc_auc"},
        "output": {"format": "parquet", "report": False},
    }
    result = run(parse(raw), directory=tmp_path / "out")
    assert result.comparison.failures.empty
    assert result.counts["after"].nunique() == 1 and len(result.counts) == 4
    enlarged = pd.read_parquet(tmp_path / "out" / "enlarged.parquet")
    assert list(enlarged.columns) == list(people.columns)
    assert enlarged["since"].dtype.kind == "M" and enlarged["member"].dtype == bool


@pytest.mark.parametrize("name", ["logistic_regression", "gradient_boosting", "random_forest"])
def test_judges_take_tables_as_they_come(people, name):
    X, y = people.drop(columns="income"), people["income"]
    estimator = judge(name, X, random_state=0).fit(X.iloc[:120], y.iloc[:120])
    unseen = X.iloc[120:].assign(job="astronaut")
    figures = held_out_figures(estimator, unseen, y.iloc[120:])
    predicted = estimator.predict(unseen)
    recall = {label: (predicted[y.iloc[120:] == label] == label).mean() for label in ("high", "low")}
    assert figures["recall of high"] == pytest.approx(recall["high"])
    assert figures["balanced_accuracy"] == pytest.approx(np.mean(list(recall.values())))


def test_the_plan_is_cut_to_the_budget_and_says_so(monkeypatch, done):
    result, _, _ = done
    monkeypatch.setattr(run_module, "_seconds_a_fold", lambda *args: 10.0)
    section, rows = CompareSection(folds=5, repeats=4), np.arange(len(result.parts.y))
    for budget, folds, repeats in [(1000, 5, 4), (160, 5, 3), (60, 5, 1), (45, 4, 1), (1, 3, 1)]:
        recipe = parse(SMALL, [f"budget={budget}"])
        plan = make_plan(recipe, section, result, rows)
        assert (plan.folds, plan.repeats) == (folds, repeats)
        assert ("cut from 5 x 4" in plan.sentence()) == (budget < 1000)


def test_warnings_become_notes_once_each(tmp_path, monkeypatch):
    def noisy(*args):
        for n in (1, 2):
            warnings.warn(f"{'the same long opening ' * 4}{n}", AugsynthWarning, stacklevel=2)
        warnings.warn("the scale is odd", UserWarning, stacklevel=2)
        warnings.warn("old name", FutureWarning, stacklevel=2)
        return plain(*args)

    plain = run_module._augment_and_score
    monkeypatch.setattr(run_module, "_augment_and_score", noisy)
    result = run(parse(SMALL, ["compare=null", "data.thin={}"]), directory=tmp_path / "out")
    opening = "the same long opening " * 4
    assert result.notes == [f"{opening}1", "UserWarning: the scale is odd"]


def test_bootstrap_recipes_need_no_generator(tmp_path):
    raw = {"name": "b", "data": {"path": "sklearn:wine"}, "resampler": {"kind": "bootstrap"}, "compare": None}
    result = run(parse(raw), directory=tmp_path / "out")
    names = {path.name for path in result.files}
    assert "model.safetensors" not in names and "comparison.png" not in names
    assert len(pd.read_csv(tmp_path / "out" / "enlarged.csv")) == len(result.parts.y)


def test_a_table_that_is_none(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\0\1\2")
    with pytest.raises(DataError, match="binary"):
        run(parse(SMALL, [f"data.path={tmp_path / 't.csv'}", "data.target=y"]), directory=tmp_path / "out")
    assert os.listdir(tmp_path) == ["t.csv"]
