"""Every recipe that comes along: its header, its validity, and a run of it with a tiny budget."""

import json
import re
from pathlib import Path

import pytest

from augsynth.recipe import load, shipped
from augsynth.recipe.impute_run import run_imputing
from augsynth.recipe.run import run

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))
FILLING = [name for name in NAMES if "_impute_" in name]
STEPS = ["generator.trainer={steps: 2, batch_size: 64}"]
FEW = ["data.test_size=0.8", "compare.rows=200", "compare.scoring=balanced_accuracy"]
TINY = {
    "audio_balance_perturb": ["generator.perturbation=weak"],
    "image_balance_diffusion": [*STEPS, "data.test_size=0.8", "generator.n_steps=2", "compare=null"],
    "image_balance_gan": [*STEPS, "data.test_size=0.8", "compare=null"],
    "image_balance_perturb": FEW,
    "image_balance_vae": [*STEPS, *FEW],
    "table_balance_autoregressive": [*STEPS, "compare=null"],  # the two vae recipes are compared
    "table_balance_diffusion": [*STEPS, "compare=null"],
    "table_balance_flow": [*STEPS, "compare=null"],
    "table_balance_gan": [*STEPS, "compare=null"],
    "table_balance_vae": STEPS,
    "table_parity_groups": ["compare.scoring=balanced_accuracy"],
}
# Without a threshold to tune, and with two folds, the comparison takes a second.
QUICK = ["compare.folds=2", "compare.repeats=1", "compare.scoring=roc_auc"]


def test_the_recipes_are_found_by_name():
    assert list(shipped()) == NAMES and len(NAMES) >= 20


@pytest.mark.parametrize("name", NAMES)
def test_header_and_validity(name):
    text = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
    header = [line for line in text.splitlines() if line.startswith("#")]
    assert text.startswith("# ") and any(line.startswith("# Needs: ") for line in header)
    assert f"# Run:   augsynth run {name}" in header
    assert any(re.search(r"About \d+ (second|minute)s?\b", line) for line in header)
    recipe = load(name)
    assert recipe.name == name and recipe.description and recipe.notes == []
    assert recipe.output.dir == f"augsynth_output/{name}"


@pytest.mark.parametrize("name", FILLING)
def test_a_run_that_fills_holes(name, tmp_path):
    """Every hole is filled, and the imputer beats the column means on rows that it never saw."""
    quick = ["imputer.n_rounds=1"] if load(name).imputer.kind == "chained" else []
    recipe = load(name, ["draws=1", "data.path=sklearn:wine", "data.holes={share: 0.15}", *quick])
    result = run_imputing(recipe, directory=tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(report["files"])
    assert {"filled.csv", "filled_1.csv", "missing.csv", "errors.csv"} <= set(report["files"])
    assert not result.filled.isna().any().any() and report["missing_cells"] > 300
    assert report["verdict"]["word"] == "helps"


@pytest.mark.parametrize("name", sorted({*NAMES} - {*FILLING}))
def test_a_run_with_a_tiny_budget(name, tmp_path, toy_sources, monkeypatch):
    monkeypatch.chdir(toy_sources)  # the clips and texts that two of them read
    tiny = TINY.get(name, [])
    quick = QUICK if load(name).compare and "compare=null" not in tiny else []
    recipe = load(name, ["output.report=false", *quick, *tiny])
    result = run(recipe, directory=tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(report["files"])
    if recipe.compare:
        assert result.comparison.failures.empty
        assert set(report["verdict"]["word"].values()) <= {"helps", "no evidence", "hurts"}
    if recipe.resampler.kind == "over":
        assert result.counts["after"].nunique() == 1
        assert (tmp_path / "out" / "model.safetensors").exists()
    trained = tiny[:1] == STEPS
    assert (tmp_path / "out" / "losses.png").exists() == trained
    assert (tmp_path / "out" / "samples.png").exists() == name.startswith(("image_", "audio_"))
    assert (tmp_path / "out" / "samples.txt").exists() == name.startswith("text_")
    alarms = [each["text"] for each in (report["training"] or {"alarms": []})["alarms"]]
    assert all(any(text in note for note in report["notes"]) for text in alarms)
    if trained:
        assert report["training"]["steps"] == 2
