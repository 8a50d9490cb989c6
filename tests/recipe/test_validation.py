"""Recipes: every problem at once, each with its path and what was probably meant."""

import pytest

from augsynth.core.errors import RecipeError
from augsynth.recipe import load, parse

GOOD = {
    "name": "good",
    "data": {"path": "sklearn:breast_cancer", "thin": {"malignant": 30}},
    "generator": {"kind": "kde", "bandwidth": "scott"},
}


def problems(raw, *overrides):
    with pytest.raises(RecipeError) as caught:
        parse(raw, overrides)
    return caught.value.problems


def test_a_recipe_with_ten_errors_reports_ten():
    found = problems(
        {
            "name": "bad",
            "sead": 1,
            "data": {
                "path": "sklearn:breast_cancr",
                "test_size": 1.5,
                "thin": {"malignant": 1},
                "grops": ["a"],
            },
            "generator": {"kind": "kde", "bandwith": 1.0, "kernel": ["a", "list"]},
            "resampler": {"kind": "ovr"},
            "compare": {"folds": 1, "scoring": "balanced_acuracy"},
            "output": {"format": "xlsx"},
        }
    )
    wanted = {
        "sead": "did you mean 'seed'?",
        "data.path": "did you mean 'breast_cancer'?",
        "data.test_size": "must be less than 1; given 1.5",
        "data.thin": "at least 2 training rows",
        "data.grops": "did you mean 'groups'?",
        "generator.bandwith": "did you mean 'bandwidth'?",
        "resampler.kind": "did you mean 'over'?",
        "compare.folds": "must be greater than or equal to 2; given 1",
        "compare.scoring": "did you mean 'balanced_accuracy'?",
        "output.format": "'xlsx'",
    }
    told = {line.split(":")[0]: line for line in found}
    assert set(wanted) <= set(told)
    assert all(wanted[path] in told[path] for path in wanted)
    assert len(found) == len(told)  # none is told twice


def test_nested_components_are_checked_without_training():
    raw = {**GOOD, "generator": {"kind": "vae", "trainer": {"stepz": 3, "epochs": "many"}, "beta": []}}
    found = problems(raw)
    assert "generator.trainer.stepz: unknown key; did you mean 'steps'?" in found
    assert any(line.startswith("generator.trainer.epochs: must be") for line in found)
    assert any(line.startswith("generator.beta: must be") for line in found)


def test_components_come_from_the_registry_only():
    found = problems({**GOOD, "generator": {"kind": "os.system", "command": "true"}})
    assert found[0].startswith("generator.kind: unknown kind 'os.system'")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"generator": None}, "generator: is required by the resampler 'over'"),
        ({"resampler": {"kind": "under"}}, "generator: the resampler 'under' takes none"),
        ({"resampler": {"kind": "over", "generator": "kde"}}, "resampler.generator: say it in the section"),
        (
            {"resampler": {"kind": "over", "group_columns": ["a"]}},
            "resampler.group_columns: say it in data.groups",
        ),
        ({"resampler": {"kind": "over", "by": "classes"}}, "resampler.by: must be class or group"),
        ({"resampler": {"kind": "over", "by": "class+group"}}, "resampler.by: 'class+group' needs columns"),
        ({"data": {"path": "a.csv"}}, "data.target: must name the column"),
        ({"data": None}, "data: must be a mapping"),
        ({"generator": {"kind": "function"}}, "generator.kind: 'function' needs a Python function"),
        (
            {"data": {**GOOD["data"], "bands": {"size": [1]}}},
            "data.bands: must cut columns that data.groups names",
        ),
        ({"seed": "one"}, "seed: must be an integer; given 'one'"),
    ],
)
def test_one_problem_each(change, path):
    found = problems({**GOOD, **change})
    assert len(found) == 1 and found[0].startswith(path)


def test_overrides_are_read_as_yaml_and_checked_like_the_rest():
    recipe = parse(GOOD, ["compare.folds=3", "generator.bandwidth=0.5", "data.thin.malignant=10", "seed=7"])
    assert (recipe.compare.folds, recipe.seed, recipe.data.thin) == (3, 7, {"malignant": 10})
    assert recipe.generator.parameters == {"bandwidth": 0.5}
    assert parse(GOOD, ["compare=null"]).compare is None
    assert recipe.notes == []
    found = problems(GOOD, "folds", "compare.foldz=3", "seed.x=1", "name=[")
    assert any(line.startswith("folds: an override must read key=value") for line in found)
    assert "compare.foldz: unknown key; did you mean 'folds'?" in found
    assert "seed.x: seed is a number, it has no keys" not in found  # the recipe states no seed
    assert any(line.startswith("name=[: not valid YAML") for line in found)


def test_another_table_takes_over_and_says_what_it_drops():
    recipe = parse(GOOD, ["data.path=people.csv", "data.target=income", "data.groups=[sex, race]"])
    assert recipe.data.thin == {} and recipe.data.groups == ["sex", "race"]
    assert recipe.notes == ["data.path is now people.csv: data.thin of sklearn:breast_cancer was dropped."]
    kept = parse(GOOD, ["data.thin.yes=9", "data.path=people.csv", "data.target=income"])
    assert kept.data.thin == {True: 9} or kept.data.thin == {"yes": 9}


def test_another_kind_drops_the_parameters_of_the_previous_one():
    recipe = parse(GOOD, ["generator.kind=smote", "generator.k_neighbors=3"])
    assert recipe.generator.parameters == {"k_neighbors": 3}
    assert recipe.notes == ["generator.kind is now smote: generator.bandwidth of kde was dropped."]
    assert parse(GOOD, ["generator.kind=kde"]).generator.parameters == {"bandwidth": "scott"}
    assert GOOD["generator"]["bandwidth"] == "scott"  # overrides work on a copy


def test_the_full_text_gives_the_same_recipe(tmp_path):
    recipe = parse(GOOD, ["compare.folds=4"])
    (tmp_path / "r.yaml").write_text(recipe.to_yaml())
    assert load(tmp_path / "r.yaml") == recipe


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: [a", "not valid YAML"),
        ("name: a\nname: b", "the key 'name' stands here twice (line 2"),
        ("a: &x [1]\nb: [*x, *x]", "aliases (*name) are not allowed"),
        ("- a\n- b", "a recipe must be a mapping"),
        ("", "a recipe must be a mapping"),
        ("a: !!python/object/apply:os.system ['true']", "not valid YAML"),
        ("[" * 3000, "not"),
    ],
)
def test_text_that_is_no_recipe(tmp_path, text, told):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        load(tmp_path / "r.yaml")
    assert len(caught.value.problems) == 1 and told in caught.value.problems[0]


def test_unknown_names_are_told_with_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'table_balance_kde'"):
        load("table_balanc_kde")


@pytest.mark.parametrize("text", ["name: x\n? [1, 2]\n: 3\n", "? {a: 1}\n: 3\n"])
def test_keys_that_are_no_words(tmp_path, text):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError, match="a key must be a word"):
        load(tmp_path / "r.yaml")
