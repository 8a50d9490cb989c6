"""Rows from a saved model: a function of (model, seed, condition, i), streamed, whole or absent."""

import json
import os

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from augsynth.core.errors import ConditionError, DataError, OutputExistsError, ParameterError
from augsynth.generate.bootstrap import BootstrapGenerator
from augsynth.generate.kde import KDEGenerator
from augsynth.recipe import sampling, writers
from augsynth.recipe.images import ClassFolders, read_images
from augsynth.recipe.sampling import blocks, table_of, wanted, write_sample

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def tables():
    X = pd.DataFrame({"x": RNG.normal(size=90), "k": RNG.choice(["u", "v"], 90), "sex": ["f", "m"] * 45})
    y = pd.Series(RNG.choice(["a", "b", "c"], 90), name="kind")
    return KDEGenerator().fit(X, y, sensitive_features=X[["sex"]])


@pytest.fixture(scope="module")
def images():
    pixels = RNG.integers(0, 256, (12, 4, 5, 3), dtype=np.uint8)
    pixels[0, 0, 0] = 255
    return BootstrapGenerator().fit(pixels, np.array(["a/b", "a:b", ".."] * 4)), pixels


def drawn(generator, n, labels=(), counts=None, seed=3):
    parts = [
        table_of(b) for w in wanted(generator, n, list(labels), counts) for b in blocks(generator, w, seed)
    ]
    return pd.concat(parts, ignore_index=True)


def test_a_row_depends_on_seed_condition_and_position_alone(tables, monkeypatch):
    monkeypatch.setattr(sampling, "TABLE_BLOCK", 64)
    short, long = drawn(tables, 70, ["kind=b"]), drawn(tables, 300, ["kind=b"])
    pd.testing.assert_frame_equal(short, long.head(70))
    several = drawn(tables, None, counts="a=40,b=70")
    pd.testing.assert_frame_equal(several.iloc[40:].reset_index(drop=True), short)
    pd.testing.assert_frame_equal(drawn(tables, 50), drawn(tables, 129).head(50))
    assert not drawn(tables, 70, ["kind=b"], seed=4)["x"].equals(short["x"])
    assert not drawn(tables, 70, ["kind=c"])["x"].equals(short["x"])
    assert len(set(long["x"])) == 300  # no block repeats another


def test_conditions_are_exact_and_frequencies_are_those_of_fit(tables):
    asked = drawn(tables, None, ["sex=f"], "a=5,c=7")
    assert asked["kind"].tolist() == ["a"] * 5 + ["c"] * 7 and set(asked["sex"]) == {"f"}
    many = drawn(tables, 4000)
    share = tables.condition_.weights / tables.condition_.weights.sum()
    found = many.groupby(["kind", "sex"]).size() / 4000
    # 4,000 draws: a standard error of at most 0.008 for each share
    np.testing.assert_allclose(np.sort(found), np.sort(share), atol=0.035)


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ((5, [], "a=2"), ParameterError, "given both"),
        ((None, [], "a=2,a=3"), ParameterError, "each class once; given 'kind=a' more than once"),
        ((None, [], "a"), ParameterError, "CLASS=ROWS"),
        ((None, [], "a=-2"), ParameterError, "CLASS=ROWS"),
        ((None, [], " , "), ParameterError, "each class once"),
        ((None, [], "z=2"), ConditionError, "'a', 'b', 'c'"),
        ((5, ["sexx=f"], None), ParameterError, "did you mean 'sex'"),
        ((5, ["kind=a", "kind=b"], None), ConditionError, "combination must occur"),
    ],
)
def test_what_cannot_be_read_gets_a_sentence(tables, arguments, error, told):
    with pytest.raises(error, match=told):
        wanted(tables, *arguments)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv.gz", "t.parquet"])
def test_tables_are_streamed_the_same_whatever_the_chunks(tables, tmp_path, monkeypatch, name):
    monkeypatch.setattr(sampling, "TABLE_BLOCK", 64)
    wants = wanted(tables, None, [], "a=100,b=50")
    for folder, size in (("one", 40), ("two", 1000)):
        assert write_sample(tables, wants, tmp_path / folder / name, seed=1, row_group=size) == 150
    if name.endswith("parquet"):
        groups = pq.ParquetFile(tmp_path / "one" / name).metadata
        assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [40, 40, 40, 30]
        frames = [pd.read_parquet(tmp_path / folder / name) for folder in ("one", "two")]
        pd.testing.assert_frame_equal(*frames)
        pd.testing.assert_frame_equal(frames[0], drawn(tables, None, counts="a=100,b=50", seed=1))
    else:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        assert len(pd.read_csv(tmp_path / "one" / name, sep=None, engine="python")) == 150
    assert sorted(os.listdir(tmp_path / "one")) == [name]


def test_a_column_that_starts_empty_is_text(tmp_path):
    with writers.table_file(tmp_path / "t.parquet", row_group=2) as table:
        table.add(pd.DataFrame({"x": [1, 2], "t": [None, None]}))
        table.add(pd.DataFrame({"x": [3], "t": ["late"]}))
    assert pd.read_parquet(tmp_path / "t.parquet")["t"].tolist()[2] == "late"


def test_images_go_to_class_folders_that_read_back(images, tmp_path):
    generator, pixels = images
    wants = wanted(generator, None, [], "a/b=3,a:b=2,..=70")
    out = tmp_path / "deep" / "made"
    write_sample(generator, wants, out, seed=5, facts={"model": "m"})
    assert sorted(os.listdir(out)) == ["_.", "a_b", "a_b_2", "manifest.csv", "manifest.json"]
    listing = pd.read_csv(out / "manifest.csv")
    assert listing["file"].iloc[[0, 3, 74]].tolist() == [
        "a_b/000001.png",
        "a_b_2/000001.png",
        "_./000070.png",
    ]
    assert listing["label"].value_counts().to_dict() == {"..": 70, "a/b": 3, "a:b": 2}
    about = json.loads((out / "manifest.json").read_text())
    assert (
        about["images"] == {"a_b": 3, "a_b_2": 2, "_.": 70} and about["seed"] == 5 and about["model"] == "m"
    )
    real = {image.tobytes() for image in pixels}
    assert {np.asarray(Image.open(out / file)).tobytes() for file in listing["file"]} <= real
    again, labels = read_images(str(out))
    assert again.shape == (75, 4, 5, 3) and again.dtype == np.uint8 and list(labels).count("_.") == 70
    more = wanted(generator, None, [], "..=99")
    write_sample(generator, more, tmp_path / "more", seed=5)
    for i in (1, 64, 65, 70):  # the same image, whatever else was asked for
        file = f"_./{i:06d}.png"
        assert (out / file).read_bytes() == (tmp_path / "more" / file).read_bytes()


def test_a_folder_is_replaced_only_if_it_is_ours_and_only_with_force(images, tmp_path):
    generator, _ = images
    wants = wanted(generator, None, [], "..=2")
    write_sample(generator, wants, tmp_path / "out")
    with pytest.raises(OutputExistsError, match="--force"):
        write_sample(generator, wants, tmp_path / "out")
    write_sample(generator, wanted(generator, None, [], "..=1"), tmp_path / "out", force=True)
    assert len(ClassFolders(tmp_path / "out")) == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputExistsError, match="other things"):
        write_sample(generator, wants, tmp_path / "mine", force=True)
    assert sorted(os.listdir(tmp_path)) == ["mine", "out"]


def test_a_stopped_run_leaves_the_old_folder(images, tmp_path, monkeypatch):
    generator, _ = images
    write_sample(generator, wanted(generator, None, [], "..=2"), tmp_path / "out", seed=1)
    before = sorted((tmp_path / "out").rglob("*"))
    calls = []

    def stop(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    original = writers.ImageFolder.add
    monkeypatch.setattr(writers.ImageFolder, "add", stop)
    with pytest.raises(KeyboardInterrupt):
        write_sample(generator, wanted(generator, 200, [], None), tmp_path / "out", force=True)
    assert sorted((tmp_path / "out").rglob("*")) == before and os.listdir(tmp_path) == ["out"]


def test_the_kind_of_output_must_fit_the_model(images, tables, tmp_path):
    with pytest.raises(DataError, match="images go to a folder"):
        sampling.check_output(images[0], str(tmp_path / "o.parquet"), model="m", force=False)
    with pytest.raises(DataError, match="a table goes to a file"):
        sampling.check_output(tables, str(tmp_path) + "/", model="m", force=False)
