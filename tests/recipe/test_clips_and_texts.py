"""Recipes of clips and of texts: what is read and refused, what is written, whose sample rate edits follow."""

import json

import numpy as np
import pandas as pd
import pytest

from augsynth.core.errors import DataError, OutputExistsError, RecipeError
from augsynth.encode.audio import read_clip, write_clip
from augsynth.encode.spectrum import log_mel
from augsynth.recipe import parse
from augsynth.recipe.clips import read_clips, write_clips
from augsynth.recipe.estimators import LogMelStatistics, judge
from augsynth.recipe.parts import read_parts
from augsynth.recipe.policies import spelled
from augsynth.recipe.run import build_resampler, run
from augsynth.recipe.sampling import blocks, image_codec, open_model, table_of, wanted

QUICK = {"folds": 2, "repeats": 1, "scoring": "roc_auc"}
NO_REPORT = {"report": False}


def clips_recipe(root, **more):
    generator = {"kind": "perturbed", "perturbation": ["weak", {"kind": "maybe", "perturbation": "polarity"}]}
    data = {"path": str(root / "clips")}
    return {
        "name": "clips",
        "data": data,
        "generator": generator,
        "compare": QUICK,
        "output": NO_REPORT,
    } | more


def texts_recipe(root, **more):
    data = {"path": str(root / "texts.csv"), "text": "text", "target": "label"}
    generator = {"kind": "perturbed", "perturbation": {"kind": "compose", "perturbations": ["typos", "weak"]}}
    return {
        "name": "texts",
        "data": data,
        "generator": generator,
        "compare": QUICK,
        "output": NO_REPORT,
    } | more


@pytest.fixture(scope="module")
def clips_run(toy_sources, tmp_path_factory):
    told, out = [], tmp_path_factory.mktemp("clips") / "out"
    return run(parse(clips_recipe(toy_sources)), directory=out, tell=told.append), out, told


def test_a_run_on_clips_writes_clips_and_a_verdict(clips_run):
    result, out, told = clips_run
    assert told[0].startswith("data: 32 clips of 0.") and told[0].endswith(
        "at 4,000 Hz; 24 clips train, 8 held out"
    )
    assert {path.name for path in out.iterdir()} == {path.name for path in result.files}
    report = json.loads((out / "report.json").read_text())
    assert report["modality"] == "audio" and report["sample_rate"] == 4000
    assert report["counts"] == [
        {"cell": "low", "before": 18, "after": 18},
        {"cell": "high", "before": 6, "after": 18},
    ]
    assert set(report["verdict"]["word"]) == {"perturbed"}
    provenance = pd.read_csv(out / "provenance.csv")
    listing = pd.read_csv(out / "enlarged" / "manifest.csv")
    assert provenance["file"].tolist() == listing["file"].tolist() and len(listing) == 36
    assert listing["label"].tolist() == result.y.tolist()
    for k, name in enumerate(listing["file"]):
        clip, rate = read_clip(out / "enlarged" / name)
        np.testing.assert_array_equal(clip, result.X[k])  # floats: nothing is cut off
        assert rate == 4000
        parent = result.X[int(provenance["source"][k])]
        assert (provenance["kind"][k] == "real") == np.array_equal(clip, parent)
    held_out = read_clips(str(out / "held_out"))
    assert sorted(map(len, held_out[0])) == sorted(map(len, result.parts.X_test))


def test_edits_follow_the_rate_of_the_files_in_every_fit(clips_run):
    result, out, _ = clips_run
    steps = result.resampler.generator_.perturbation_.perturbations
    shifts = [step.sample_rate for step in steps[0].perturbations if hasattr(step, "sample_rate")]
    assert shifts == [4000]
    assert "sample_rate" not in (out / "recipe.yaml").read_text()
    recipe = parse(clips_recipe(out.parent, data={"path": "clips/", "modality": "audio"}))
    said = {"kind": "time_shift", "sample_rate": 8000}
    recipe.generator.perturbation = ["time_shift", said]
    steps = build_resampler(recipe, rate=4000).generator.perturbation
    assert [step["sample_rate"] for step in steps] == [4000, 8000]
    assert spelled("medium", "text") == {"kind": "text_medium"}


def test_clips_are_replaced_by_force_but_nothing_else_is(clips_run, toy_sources, tmp_path):
    _, out, _ = clips_run
    recipe = parse(clips_recipe(toy_sources, compare=None, seed=3))
    with pytest.raises(OutputExistsError, match="--force"):
        run(recipe, directory=out)
    run(recipe, directory=tmp_path / "a")
    before = (tmp_path / "a" / "provenance.csv").read_bytes()
    run(parse(clips_recipe(toy_sources, compare=None, seed=4)), directory=tmp_path / "a", force=True)
    assert (tmp_path / "a" / "provenance.csv").read_bytes() != before
    assert not list(tmp_path.rglob(".*"))
    (tmp_path / "b" / "enlarged").mkdir(parents=True)
    (tmp_path / "b" / "enlarged" / "mine.txt").write_text("")
    with pytest.raises(OutputExistsError, match="holds other things"):
        run(recipe, directory=tmp_path / "b", force=True)


def test_a_run_on_texts(toy_sources, tmp_path):
    result = run(parse(texts_recipe(toy_sources)), directory=tmp_path / "out")
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {path.name for path in result.files}
    enlarged, provenance = pd.read_csv(out / "enlarged.csv"), pd.read_csv(out / "provenance.csv")
    assert list(enlarged.columns) == ["text", "label"]
    assert enlarged["label"].value_counts().to_dict() == {"ham": 45, "spam": 45}
    new = provenance["kind"] == "perturbed"
    assert new.sum() == 34 and (enlarged["label"][new] == "spam").all()
    parents = enlarged["text"][provenance["source"][new]].to_numpy()
    assert (enlarged["text"][new].to_numpy() != parents).mean() > 0.5
    shown = (out / "samples.txt").read_text()
    assert shown.count("  real  ") == 5 and enlarged["text"][new].iloc[0] in shown
    assert not set(pd.read_csv(out / "held_out.csv")["text"]) & set(enlarged["text"][~new])
    same = (enlarged["text"][new].to_numpy() == parents).mean()
    told = [note for note in result.notes if "are plain copies" in note]
    assert len(told) == (same >= 0.2) and all(note.startswith(f"{same:.0%}") for note in told)
    idle = {"kind": "perturbed", "perturbation": {"kind": "typos", "p": 0.0}}
    lazy = run(parse(texts_recipe(toy_sources, generator=idle, compare=None)), directory=tmp_path / "lazy")
    assert any(note.startswith("100% of the new texts are plain copies") for note in lazy.notes)
    assert result.comparison.failures.empty
    report = json.loads((out / "report.json").read_text())
    assert report["modality"] == "text" and report["columns"] == []


def test_texts_are_sampled_into_a_table_and_clips_are_not(clips_run, toy_sources, tmp_path):
    run(parse(texts_recipe(toy_sources, compare=None)), directory=tmp_path / "out")
    model = open_model(tmp_path / "out" / "model.safetensors")
    want = wanted(model, None, [], "spam=3")[0]
    table = table_of(next(blocks(model, want, 0)))
    assert list(table.columns) == ["text", "label"] and table["label"].tolist() == ["spam"] * 3
    assert all(isinstance(text, str) for text in table["text"])
    with pytest.raises(DataError, match="given one of clips"):
        image_codec(open_model(clips_run[1] / "model.safetensors"))


def test_groups_thinning_and_a_split_column_of_texts(tmp_path):
    rng = np.random.default_rng(0)
    n = 80
    frame = pd.DataFrame({"words": [f"None of text {k} {'ab'[k % 2] * 3}" for k in range(n)]})
    frame["kind"] = np.where(np.arange(n) % 2, "x", "y")
    frame["who"] = rng.choice(["f", "m"], n)
    frame["split"] = np.where(np.arange(n) < 60, "train", "test")
    frame.loc[3, "words"] = "NA"  # a text as any other
    frame.to_csv(tmp_path / "t.csv", index=False)
    data = {"path": str(tmp_path / "t.csv"), "text": "words", "target": "kind", "groups": ["who"]}
    raw = texts_recipe(tmp_path, data={**data, "thin": {"x": 20}}, compare=None)
    raw["resampler"] = {"kind": "over", "by": "class+group"}
    result = run(parse(raw), directory=tmp_path / "out")
    assert result.counts["after"].nunique() == 1 and len(result.counts) == 4
    assert len(result.parts.y_test) == 20 and (result.parts.y == "x").sum() == 20
    enlarged = pd.read_csv(tmp_path / "out" / "enlarged.csv")
    assert list(enlarged.columns) == ["words", "who", "kind"]
    for estimator in ("svc", "random_forest", "logistic_regression"):
        fitted = judge(estimator, result.X, random_state=0).fit(result.X, result.y)
        assert fitted.score(result.parts.X_test, result.parts.y_test) > 0.9
    frame.loc[[6, 8], "words"] = ""
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"every cell of 'words' must be a text; .* row 7, 9 \(2 in all\)"):
        read_parts(parse(raw).data, 0)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"path": "t.csv", "modality": "text", "target": "y"}, "data.modality: text needs the column"),
        ({"path": "a.npz", "text": "t"}, "data.modality: must be text where data.text names a column"),
        ({"path": "a.npz", "modality": "audio"}, "data.modality: audio comes from a folder"),
        ({"path": "t.csv", "modality": "audio", "target": "y"}, "data.modality: audio comes from a folder"),
        ({"path": "t.csv", "modality": "sound", "target": "y"}, "must be images or audio or text or table"),
        ({"path": "c/", "modality": "audio", "groups": ["a"]}, "data.groups: is for tables; clips have none"),
        ({"path": "t.csv", "text": "t", "target": "y", "dates": ["d"]}, "data.dates: is for tables; texts"),
    ],
)
def test_data_that_does_not_fit_together(data, sentence):
    with pytest.raises(RecipeError) as caught:
        parse({"name": "a", "data": data, "generator": {"kind": "perturbed"}})
    assert any(sentence in line for line in caught.value.problems)


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        ("image_mediun", "generator.perturbation.kind: unknown kind 'image_mediun'"),
        (
            {"kind": "rotate", "degree": 3},
            "generator.perturbation.degree: unknown key; did you mean 'degrees'?",
        ),
        (["gain", "gian"], "generator.perturbation[1].kind: unknown kind 'gian'"),
        ([3], "generator.perturbation[0]: must be the name of an edit, or a mapping; given 3"),
        (
            {"kind": "compose", "perturbations": ["gain", {"kind": "maybe", "perturbation": "gian"}]},
            "generator.perturbation.perturbations[1].perturbation.kind: unknown kind 'gian'",
        ),
    ],
)
def test_policies_are_checked_before_the_run(policy, sentence):
    with pytest.raises(RecipeError) as caught:
        parse(
            {
                "name": "a",
                "data": {"path": "sklearn:digits", "modality": "images"},
                "generator": {"kind": "perturbed", "perturbation": policy},
            }
        )
    assert len(caught.value.problems) == 1 and caught.value.problems[0].startswith(sentence)


def test_clips_of_several_rates_and_labels_of_one_folder_name(tmp_path):
    tone = np.ones((2, 50), dtype=np.float32)
    for name, rate in (("a", 8000), ("b", 8000), ("c", 4000)):
        (tmp_path / "clips" / name).mkdir(parents=True)
        write_clip(tmp_path / "clips" / name / f"{name}.wav", tone, rate)
    with pytest.raises(DataError, match=r"most have 8000 Hz\); given 'c.wav: 4000 Hz'"):
        read_clips(str(tmp_path / "clips"))
    files = write_clips([tone] * 4, ["a/b", "a:b", "A_b", "a/b"], tmp_path / "out", 8000)
    assert files == ["a_b/000001.wav", "a_b_2/000001.wav", "A_b_3/000001.wav", "a_b/000002.wav"]


def test_the_spectrogram_finds_a_tone():
    rate, time = 8000, np.arange(8000) / 8000
    mel = 2595 * np.log10(1 + np.array([500.0, 4000.0]) / 700)
    band = round(mel[0] / (mel[1] / 41)) - 1  # centres are evenly spaced in mel
    loud = log_mel(np.sin(2 * np.pi * 500 * time), rate)
    assert (loud.argmax(axis=0) == band).all() and loud.shape[0] == 40
    half = log_mel(0.5 * np.sin(2 * np.pi * 500 * time), rate)
    np.testing.assert_allclose(loud[band] - half[band], 20 * np.log10(2), atol=1e-6)
    stereo = np.stack([np.sin(2 * np.pi * 500 * time)] * 2)
    np.testing.assert_allclose(log_mel(stereo, rate), loud)
    rows = LogMelStatistics(rate).fit_transform([np.ones(3), np.zeros(8000), np.ones(300, dtype=np.int16)])
    assert rows.shape == (3, 160) and np.isfinite(rows).all()
