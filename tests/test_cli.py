"""The command line: what it prints, its exit codes, and what it leaves behind when it is stopped."""

import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from augsynth import registry
from augsynth.cli import app
from augsynth.core import persistence
from augsynth.generate.bootstrap import BootstrapGenerator

QUICK = ["generator.kind=bootstrap", "compare=null", "data.path=sklearn:wine", "output.report=false"]


def call(*arguments):
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "out"
    assert call("run", "table_balance_kde", *QUICK, "--out", folder).exit_code == 0
    return folder


def test_list_names_everything_and_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['augsynth', 'list'];"
        "from augsynth.cli import app\n"
        "try: app()\nexcept SystemExit: pass\n"
        "bad = {'torch', 'sklearn', 'pandas', 'numpy', 'matplotlib'} & set(sys.modules); assert not bad, bad"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    for role in ("generator", "resampler"):
        for kind in registry.names(role):
            line = next(line for line in told.splitlines() if line.split()[:1] == [kind])
            assert len(line.split()) > 3 and "cannot be read" not in line
    assert "table_balance_vae" in told
    assert call("list", "nonsense").exit_code == 2


def test_show_prints_the_recipe_with_its_header():
    done = call("show", "table_balance_kde")
    assert done.exit_code == 0 and done.stdout.startswith("# Balance") and "kind: kde" in done.stdout
    assert call("show", "table_balance_kdee").exit_code == 2


def test_validate_reports_every_problem_with_its_path():
    assert call("validate", "table_balance_kde").stdout == "table_balance_kde: the recipe is valid.\n"
    done = call("validate", "table_balance_kde", "compare.foldz=3", "generator.kind=kdee", "seed=-1")
    assert done.exit_code == 2 and done.stdout == ""
    assert done.stderr.startswith("The recipe has 3 problems:")
    assert "compare.foldz: unknown key; did you mean 'folds'?" in done.stderr


def test_validate_looks_at_the_table_if_it_is_there(tmp_path):
    path = tmp_path / "people.csv"
    given = ["table_balance_kde", f"data.path={path}", "data.target=income"]
    absent = call("validate", *given)
    assert absent.exit_code == 0 and "not there, so its columns were not checked" in absent.stderr
    pd.DataFrame({"age": np.arange(40), "incomes": ["yes", "no"] * 20}).to_csv(path, index=False)
    wrong = call("validate", *given)
    assert wrong.exit_code == 3 and wrong.stdout == "" and "Did you mean 'incomes'?" in wrong.stderr


def test_run_ends_with_counts_verdict_and_files(out):
    done = call("run", "table_balance_kde", *QUICK, "--out", out, "--force")
    assert done.exit_code == 0
    assert "class_0" in done.stdout and "Verdict" in done.stdout and "enlarged.csv" in done.stdout
    assert "note: data.path is now sklearn:wine" in done.stderr
    for text in (done.stdout, done.stderr):
        assert not [c for c in text if ord(c) < 32 and c != "\n"]  # no control characters off a terminal
        assert all(line == line.rstrip() for line in text.splitlines())


def test_exit_codes(out, tmp_path):
    assert call("run", "table_balance_kde", *QUICK, "--out", out).exit_code == 4
    assert call("run", "no_such_recipe").exit_code == 2
    assert call("run", "table_balance_kde", "--no-such-option").exit_code == 2
    assert call("run", "table_balance_kde", "data.path=none.csv", "data.target=y").exit_code == 3
    unknown = call("run", "table_balance_kde", *QUICK, "data.drop=[colour]", "--out", tmp_path / "o")
    assert unknown.exit_code == 3
    wrong = call("run", "table_balance_kde", *QUICK, "resampler.by=colour", "--out", tmp_path / "o")
    assert wrong.exit_code == 2 and "resampler.by: must be class or group" in wrong.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("failure", "code", "told"),
    [
        (KeyboardInterrupt(), 130, "Interrupted. No file was written or changed."),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "the disk is full; nothing was written"),
        (OSError(errno.EROFS, "Read-only file system"), 1, "writing is not permitted"),
        (MemoryError(), 1, "the memory is full"),
    ],
)
def test_a_stopped_run_ends_in_one_sentence_and_no_file(tmp_path, monkeypatch, failure, code, told):
    from augsynth.recipe import outputs

    def stop(*args, **kwargs):
        raise failure

    monkeypatch.setattr(outputs, "plot_counts", stop)
    done = call("run", "table_balance_kde", *QUICK, "--out", tmp_path / "o")
    assert done.exit_code == code and told in done.stderr.splitlines()[-1]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_killed_process_leaves_no_half_file(tmp_path, number):
    """Stop it while the comparison is under way, which is where a run spends its time."""
    command = [sys.executable, "-m", "augsynth.cli", "run", "table_balance_kde", "--out", str(tmp_path / "o")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("compar"):
            break
    time.sleep(0.1)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    assert os.listdir(tmp_path) == []
    if number != signal.SIGKILL:
        assert told.splitlines()[-1] == "Interrupted. No file was written or changed."


def test_sample_draws_exactly_what_is_asked(out, tmp_path):
    model, path = out / "model.safetensors", tmp_path / "new.csv.gz"
    done = call("sample", model, "-n", 7, "--label", "target=class_2", "--out", path, "--seed", 1)
    assert done.exit_code == 0 and "7 rows" in done.stdout
    drawn = pd.read_csv(path)
    assert drawn["target"].tolist() == ["class_2"] * 7 and "alcohol" in drawn
    before = path.read_bytes()
    assert call("sample", model, "--out", path).exit_code == 4
    assert path.read_bytes() == before
    call("sample", model, "-n", 7, "-l", "y=class_2", "-o", path, "--seed", 1, "--force")
    assert path.read_bytes() == before
    assert call("sample", model, "-l", "y=class_9", "-o", tmp_path / "b.csv").exit_code == 3
    assert call("sample", model, "-l", "colour=red", "-o", tmp_path / "b.csv").exit_code == 2
    assert call("sample", out / "report.json", "-o", tmp_path / "b.csv").exit_code == 3
    assert call("sample", model, "-o", tmp_path / "b.docx").exit_code == 3
    assert os.listdir(tmp_path) == ["new.csv.gz"]


def test_sample_knows_groups(tmp_path):
    X = pd.DataFrame({"x": np.arange(8.0), "sex": ["f", "m"] * 4})
    y = pd.Series([0, 0, 1, 1] * 2, name="ill")
    BootstrapGenerator().fit(X, y, sensitive_features=X[["sex"]]).save(tmp_path / "m.safetensors")
    path = tmp_path / "t.csv"
    wanted = ["-n", 5, "--label", "ill=1", "--label", "sex=f"]
    assert call("sample", tmp_path / "m.safetensors", *wanted, "--out", path).exit_code == 0
    drawn = pd.read_csv(path)
    assert list(drawn) == ["x", "sex", "ill"]
    assert set(drawn["sex"]) == {"f"} and set(drawn["ill"]) == {1} and set(drawn["x"]) <= {2.0, 6.0}


def test_sample_takes_rows_of_each_class_and_says_what_does_not_fit(out, tmp_path):
    model, path = out / "model.safetensors", tmp_path / "new.parquet"
    done = call("sample", model, "--counts", "class_0=3,class_2=4", "--out", path, "--seed", 1)
    assert done.exit_code == 0 and done.stdout == f"7 rows written to {path}\n"
    assert pd.read_parquet(path)["target"].tolist() == ["class_0"] * 3 + ["class_2"] * 4
    assert (
        call("sample", model, "--counts", "class_0=3", "--rows", 5, "--out", path, "--force").exit_code == 2
    )
    folder = call("sample", model, "--rows", 5, "--out", f"{tmp_path}/")
    assert folder.exit_code == 3 and "a table goes to a file" in folder.stderr
    assert os.listdir(tmp_path) == ["new.parquet"]


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    root = tmp_path_factory.mktemp("pets")
    pixels = np.random.default_rng(0).integers(0, 256, (12, 6, 6), dtype=np.uint8)
    for i, image in enumerate(pixels):
        place = root / ("cat", "dog", "eel")[i % 3]
        place.mkdir(exist_ok=True)
        Image.fromarray(image).save(place / f"{i}.png")
    return root


def test_fit_and_sample_images_from_folder_to_folder(pets, tmp_path):
    model = tmp_path / "m.safetensors"
    done = call("fit", pets, "--generator", "bootstrap", "--model", model)
    assert (
        done.exit_code == 0 and done.stdout.startswith(f"{model} (") and "bootstrap, fitted in" in done.stdout
    )
    assert "data: 12 images of 6 x 6, cat: 4, dog: 4, eel: 4" in done.stderr
    drawn = call("sample", model, "--counts", "eel=3", "--out", tmp_path / "new")
    assert drawn.exit_code == 0 and sorted(os.listdir(tmp_path / "new")) == [
        "eel",
        "manifest.csv",
        "manifest.json",
    ]
    assert sorted(os.listdir(tmp_path / "new" / "eel")) == ["000001.png", "000002.png", "000003.png"]
    assert call("sample", model, "--out", tmp_path / "new").exit_code == 4
    assert call("sample", model, "--rows", 2, "--out", tmp_path / "new", "--force").exit_code == 0
    assert call("sample", model, "--out", tmp_path / "t.csv").exit_code == 3


def test_the_digits_are_fitted_as_images_if_asked(tmp_path):
    asked = ["--set", "data.modality=images", "--model", tmp_path / "m.safetensors"]
    wine = call("fit", "sklearn:wine", "-g", "bootstrap", *asked)
    assert (
        wine.exit_code == 2 and "data.modality" in wine.stderr and not (tmp_path / "m.safetensors").exists()
    )
    done = call("fit", "sklearn:digits", "-g", "bootstrap", *asked)
    assert done.exit_code == 0 and "data: 1,797 images of 8 x 8" in done.stderr
    assert call("sample", tmp_path / "m.safetensors", "-n", 3, "--out", tmp_path / "new").exit_code == 0
    listing = pd.read_csv(tmp_path / "new" / "manifest.csv")
    assert [(tmp_path / "new" / file).exists() for file in listing["file"]] == [True] * 3


def test_fit_says_device_steps_and_time_and_resumes(tmp_path):
    model, kept = tmp_path / "m.safetensors", tmp_path / "run.ckpt"
    small = ["--set", "backbone={kind: mlp, width: 8}", "--set", "trainer.batch_size=32"]
    command = ["fit", "sklearn:wine", "-g", "vae", "-m", model, *small, "--steps", 20, "--device", "cpu"]
    whole = call(*command)
    assert whole.exit_code == 0 and "vae, 20 steps in" in whole.stdout and "on cpu" in whole.stdout
    assert "training on cpu: 20 steps of 32 rows, about" in whole.stderr
    assert "data: 178 rows x 13 columns, class_1: 71" in whole.stderr
    assert call(*command).exit_code == 4
    before = model.read_bytes()

    from augsynth.nn import running

    original, saved = running.Run.save, []

    def save(self):
        original(self)
        saved.append(self.step)
        if len(saved) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running.Run, "save", save)
        stopped = call(*command, "--force", "--checkpoint", kept)
    assert stopped.exit_code == 130
    said = (
        f"Interrupted. No model was written. {kept} holds step 3 of 20; the same command goes on from there."
    )
    assert stopped.stderr.splitlines()[-1] == said
    resumed = call(*command, "--force", "--checkpoint", kept, "--pictures", tmp_path / "pictures")
    assert os.listdir(tmp_path / "pictures") == ["losses.png"]
    assert resumed.exit_code == 0 and "taken up at step 3" in resumed.stdout
    assert f"{kept} holds step 3 of 20: going on from there." in resumed.stderr
    fresh, cut = persistence.load(model), tmp_path / "whole.safetensors"
    cut.write_bytes(before)
    assert b"run.ckpt" not in model.read_bytes()  # whoever gets a model learns no paths
    for name, value in persistence.load(cut).objective_.state_dict().items():
        assert (value == fresh.objective_.state_dict()[name]).all()
    assert not kept.exists()  # the model is there, the checkpoint has done its work


def test_fit_reads_text_tables_as_a_recipe_does(tmp_path):
    path, model = tmp_path / "visits.csv", tmp_path / "m.safetensors"
    days = pd.date_range("2024-01-01", periods=40).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"day": days, "x": range(40), "sex": ["f", "m"] * 20, "ill": [0, 0, 1, 1] * 10})
    frame.to_csv(path, index=False, sep=";")
    told = ["--set", "data.separator=';'", "--set", "data.dates=[day]", "-t", "ill", "--group", "sex"]
    done = call("fit", path, "-g", "bootstrap", "-m", model, *told)
    assert done.exit_code == 0, done.stderr
    sample = ["--counts", "1=3", "--label", "sex=f", "--out", tmp_path / "new.parquet", "--seed", 1]
    assert call("sample", model, *sample).exit_code == 0
    drawn = pd.read_parquet(tmp_path / "new.parquet")
    assert (
        list(drawn) == ["day", "x", "sex", "ill"] and set(drawn["ill"]) == {1} and set(drawn["sex"]) == {"f"}
    )
    assert pd.api.types.is_datetime64_any_dtype(drawn["day"])
    wrong = call("fit", path, "-g", "bootstrap", "-m", tmp_path / "n", "--set", "data.separators=;")
    assert wrong.exit_code == 2 and "did you mean 'separator'" in wrong.stderr


def test_fit_refuses_in_words(tmp_path, pets):
    model = tmp_path / "m.safetensors"
    for arguments, code, told in [
        (["sklearn:wine", "-g", "vea"], 2, "did you mean 'vae'"),
        (["sklearn:wine", "-g", "vae", "--set", "latnt=3"], 2, "--set latnt: unknown key; did you mean"),
        (["sklearn:wine", "-g", "kde", "--steps", 5], 2, "is not trained in steps; given --steps"),
        (["sklearn:wine", "-g", "kde", "-t", "targe"], 3, "Did you mean 'target'?"),
        ([pets, "-g", "bootstrap", "-t", "y"], 2, "images bring their labels"),
        ([pets, "-g", "kde"], 3, "shape"),
        ([tmp_path / "none.csv", "-g", "kde"], 3, "no such file"),
    ]:
        done = call("fit", *arguments, "--model", model)
        assert done.exit_code == code and told in done.stderr, done.stderr
    assert os.listdir(tmp_path) == []


def test_show_of_a_file_that_is_no_text(tmp_path):
    (tmp_path / "r.bin").write_bytes(b"\xff\xfe")
    done = call("show", tmp_path / "r.bin")
    assert done.exit_code == 2 and "cannot be read" in done.stderr


def test_sample_of_a_generator_that_was_never_fitted(tmp_path):
    persistence.save(BootstrapGenerator(), tmp_path / "m.safetensors")
    done = call("sample", tmp_path / "m.safetensors", "--out", tmp_path / "s.csv")
    assert done.exit_code == 3 and "must hold a whole, fitted generator" in done.stderr
    assert not (tmp_path / "s.csv").exists()
