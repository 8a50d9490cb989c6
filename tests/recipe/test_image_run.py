"""Recipes of images: what is read and refused, what is written, and that pictures show what they say."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from augsynth.core.errors import DataError, RecipeError
from augsynth.recipe import parse
from augsynth.recipe.estimators import held_out_figures, judge, judge_name
from augsynth.recipe.parts import read_parts
from augsynth.recipe.pictures import plot_samples
from augsynth.recipe.run import run

DIGITS = {
    "name": "digits",
    "output": {"report": False},
    "data": {"path": "sklearn:digits", "modality": "images", "thin": {"8": 12}},
    "generator": {"kind": "bootstrap"},
    "compare": {"folds": 2, "repeats": 1, "rows": 300},
}
FILES = {"comparison.png", "counts.png", "enlarged.npz", "held_out.npz", "samples.png"}
FILES |= {"model.safetensors", "provenance.csv", "recipe.yaml", "report.json"}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    told = []
    out = tmp_path_factory.mktemp("run") / "out"
    return run(parse(DIGITS), directory=out, tell=told.append), out, told


def test_a_run_on_images_writes_images_and_a_verdict(done):
    result, out, told = done
    assert {path.name for path in out.iterdir()} == FILES
    assert told[0] == "data: 1,797 images of 8 x 8; 1,229 images train, 450 held out"
    report = json.loads((out / "report.json").read_text())
    assert report["images"] == [8, 8] and report["columns"] == [] and report["training"] is None
    assert set(report["verdict"]["word"]) == {"bootstrap"}
    counts = {row["cell"]: (row["before"], row["after"]) for row in report["counts"]}
    assert counts["8"][0] == 12 and len({after for _, after in counts.values()}) == 1
    with np.load(out / "enlarged.npz", allow_pickle=False) as opened:
        images, labels = opened["images"], opened["labels"]
    n = report["rows"]["training"]
    np.testing.assert_array_equal(images, result.X)
    np.testing.assert_array_equal(images[:n], result.parts.X)
    assert images.dtype == np.uint8 and labels.shape == (len(images),) and len(images) == 10 * counts["8"][1]
    provenance = pd.read_csv(out / "provenance.csv")
    copies = provenance.index[provenance["kind"] != "real"]
    np.testing.assert_array_equal(images[copies], images[provenance["source"][copies]])
    np.testing.assert_array_equal(labels[copies], labels[provenance["source"][copies]])


def test_the_outputs_are_a_source_of_their_own(done, tmp_path):
    _, out, _ = done
    again = parse({**DIGITS, "data": {"path": str(out / "held_out.npz")}, "compare": None})
    assert again.data.modality == "images" and again.data.target == "label"
    result = run(again, directory=tmp_path / "again")
    assert result.parts.X.shape[1:] == (8, 8) and result.comparison is None


def test_a_folder_is_split_by_class_and_never_mixed(tmp_path):
    rng = np.random.default_rng(0)
    for name, n in (("a", 12), ("b", 4)):
        (tmp_path / "in" / name).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)).save(
                tmp_path / "in" / name / f"{i}.png"
            )
    recipe = parse({**DIGITS, "data": {"path": str(tmp_path / "in"), "test_size": 0.25}, "compare": None})
    parts, size = read_parts(recipe.data, 0)
    assert size == "16 images of 5 x 4 x 3"
    assert parts.y.value_counts().to_dict() == {"a": 9, "b": 3}
    train, test = ({image.tobytes() for image in X} for X in (parts.X, parts.X_test))
    assert len(train) == 12 and len(test) == 4 and not train & test


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"path": "a.npz", "groups": ["sex"]}, "data.groups: is for tables"),
        ({"path": "a.npz", "modality": "table"}, "data.modality: a table is a file"),
        ({"path": "a.csv", "modality": "images"}, "data.modality: images come from a folder"),
        ({"path": "sklearn:wine", "modality": "images"}, "data.modality: images come from a folder"),
        ({"path": "a.npz", "modality": "image"}, "did you mean 'images'"),
    ],
)
def test_sections_that_do_not_fit_images(data, told):
    with pytest.raises(RecipeError) as caught:
        parse({**DIGITS, "data": data})
    assert told in str(caught.value)


def test_images_without_labels_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 3, 3)))
    with pytest.raises(DataError, match="need labels"):
        read_parts(parse({**DIGITS, "data": {"path": str(tmp_path / "a.npz")}}).data, 0)


@pytest.mark.parametrize("name", ["auto", "logistic_regression", "random_forest", "svc"])
def test_judges_of_images_see_every_pixel(name):
    rng = np.random.default_rng(0)
    y = pd.Series(rng.integers(0, 2, 120))
    X = rng.integers(0, 40, (120, 4, 4, 3), dtype=np.uint8)
    X[y == 1, 3, 3, 2] += 200  # one pixel of one colour tells the classes apart
    name = judge_name(name, len(y), modality="images")
    fitted = judge(name, X[:90], random_state=0).fit(X[:90], y[:90])
    figures = held_out_figures(fitted, X[90:], y[90:].reset_index(drop=True))
    assert figures["balanced_accuracy"] > 0.8 and figures["roc_auc"] > 0.9


def test_the_sheet_shows_the_classes_that_have_new_images(tmp_path):
    real = np.zeros((4, 6, 6, 3), dtype=np.uint8)
    real[..., 0] = 255
    new = np.zeros((2, 6, 6, 3), dtype=np.uint8)
    new[..., 2] = 255
    cells = pd.Series(["a", "a", "b", "b"])
    drawn = plot_samples(real, cells, new, pd.Series(["b", "b"]), tmp_path / "s.png", title="t")
    assert drawn == ["b"]
    pixels = np.asarray(Image.open(tmp_path / "s.png").convert("RGB")).reshape(-1, 3)
    seen = {tuple(row) for row in np.unique(pixels, axis=0)}
    assert {(255, 0, 0), (0, 0, 255)} <= seen


def test_dates_of_a_text_table_are_read_as_dates(tmp_path):
    path = tmp_path / "visits.csv"
    days = pd.date_range("2024-01-01", periods=40).strftime("%Y-%m-%d").to_numpy(dtype=object)
    days[3] = None
    frame = pd.DataFrame({"day": days, "x": range(40), "y": ["a", "b"] * 20})
    frame.to_csv(path, index=False)
    raw = {"name": "visits", "data": {"path": str(path), "target": "y", "dates": ["day"]}, "compare": None}
    raw["generator"] = {"kind": "bootstrap"}
    X = read_parts(parse(raw).data, 0)[0].X
    assert pd.api.types.is_datetime64_any_dtype(X["day"]) and X["day"].isna().sum() <= 1
    frame.assign(day="soon").to_csv(path, index=False)
    with pytest.raises(DataError, match=r"'soon'.*\(40 such cells\)"):
        read_parts(parse(raw).data, 0)
