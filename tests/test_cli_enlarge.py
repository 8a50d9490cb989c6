"""``augsynth enlarge``: what it writes, what it says, how it refuses, how it goes on."""

import errno
import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from augsynth.cli import app
from augsynth.core.errors import ParameterError
from augsynth.datasets.enlarged import EnlargedDataset
from augsynth.datasets.manifest import Manifest
from augsynth.datasets.materialized import MaterializedDataset
from augsynth.datasets.shards import Job
from augsynth.encode.audio import write_clip
from augsynth.perturb import ScaledJitter

COUNTS = {"one": 9, "two": 4, "three": 6}


def call(*arguments):
    done = CliRunner().invoke(app, ["enlarge", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def hashes(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    bunch = load_digits()
    for number, (name, count) in enumerate(COUNTS.items(), 1):
        (folder / name).mkdir()
        for k, image in enumerate(bunch.images[bunch.target == number][:count]):
            Image.fromarray((image * 15).astype(np.uint8)).save(folder / name / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for name, count in {"no": 2, "yes": 4}.items():
        (folder / name).mkdir()
        for k in range(count):
            tone = 0.3 * np.sin(np.arange(2000) * 0.01 * (k + 3))
            write_clip(folder / name / f"{k}.wav", tone.astype(np.float32), 8000)
    return folder


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "messages.csv"
    said = [f"this is message number {k} of them" for k in range(12)]
    frame = {"message": said, "kind": ["ham", "spam", "ham"] * 4, "sender": list("abba") * 3, "n": range(12)}
    pd.DataFrame(frame).to_csv(path, index=False)
    return path


def test_pictures(digits, tmp_path):
    out = tmp_path / "big"
    done = call(digits, "--out", out, "--copies", 2, "--policy", "weak")
    assert done.exit_code == 0
    assert (
        f"{digits}: 19 pictures become 57 (policy weak, 2 copies each, originals kept, seed 0)" in done.stdout
    )
    lines = [line.split()[:4] for line in done.stdout.splitlines()]
    assert all([name, str(n), str(3 * n), f"+{2 * n}"] in lines for name, n in COUNTS.items())
    assert "manifest.csv" in done.stdout and all(line == line.rstrip() for line in done.stdout.splitlines())
    assert Manifest.read(out).counts == {name: 3 * n for name, n in sorted(COUNTS.items())}
    found = MaterializedDataset(out, verify=True)
    first = sorted(digits.rglob("*.png"))[0]
    assert np.array_equal(found[0][0], Image.open(first)) and found[0][1] == "one"
    before = hashes(out)
    assert call(digits, "--out", out, "--copies", 2, "--policy", "weak").exit_code == 0
    assert hashes(out) == before
    other = call(digits, "--out", out, "--copies", 2, "--policy", "weak", "--seed", 1)
    assert (
        other.exit_code == 4 and "whose seed must be the same to go on; given 1, and 0 there" in other.stderr
    )
    assert call(digits, "--out", out, "--copies", 1, "--policy", "weak", "--force").exit_code == 0
    assert len(MaterializedDataset(out, verify=True)) == 38


def test_balanced_classes(digits, tmp_path):
    call(digits, "--out", tmp_path / "a", "--copies", 0, "--balance", "class")
    manifest = Manifest.read(tmp_path / "a")
    assert manifest.counts == {"one": 9, "three": 9, "two": 9}
    items = manifest.items()
    made = items[items["kind"] == "perturbed"]
    assert made["label"].value_counts().to_dict() == {"two": 5, "three": 3}
    assert (
        made.groupby("record").size().max() - made[made["label"] == "two"].groupby("record").size().min() <= 1
    )
    assert not items.duplicated(["record", "copy"]).any()
    call(
        digits, "--out", tmp_path / "b", "--copies", 2, "--balance", "class", "--no-originals", "--stratified"
    )
    assert Manifest.read(tmp_path / "b").counts == {"one": 18, "three": 18, "two": 18}
    assert set(Manifest.read(tmp_path / "b").items()["kind"]) == {"perturbed"}


def test_clips(clips, tmp_path):
    assert call(clips, "--out", tmp_path / "a", "--copies", 1, "--balance", "class").exit_code == 0
    found = MaterializedDataset(tmp_path / "a", verify=True)
    assert found.manifest.format == "wav" and found.manifest.counts == {"no": 8, "yes": 8}
    clip, rate, label = found[0]
    assert (clip.shape, clip.dtype, rate, label) == ((2000,), np.float32, 8000, "no")
    write_clip(clips / "yes" / "z.wav", np.zeros(1000, dtype=np.float32), 4000)
    try:
        other = call(clips, "--out", tmp_path / "b", "--copies", 1)
        assert other.exit_code == 3 and "given 4000 Hz. Give --sample-rate 8000" in other.stderr
        assert call(clips, "--out", tmp_path / "b", "--sample-rate", 4000, "--policy", "gain").exit_code == 0
        assert {item[0].shape for item in MaterializedDataset(tmp_path / "b")} == {(1000,)}
    finally:
        (clips / "yes" / "z.wav").unlink()


def test_texts_and_groups(messages, tmp_path):
    given = [messages, "--text-column", "message", "--target", "kind", "--group-column", "sender"]
    done = call(*given, "--out", tmp_path / "a", "--balance", "class+group", "--copies", 1)
    assert done.exit_code == 0
    assert ["spam", "/", "b", "2", "8", "+6"] in [line.split()[:6] for line in done.stdout.splitlines()]
    items = Manifest.read(tmp_path / "a").items()
    assert items.groupby(["label", "group"]).size().tolist() == [8, 8, 8, 8]
    frame = pd.read_parquet(tmp_path / "a" / "data")
    assert list(frame) == ["text", "label"] and frame["text"][3] == "this is message number 3 of them"
    assert call(*given, "--out", tmp_path / "b", "--balance", "group", "--copies", 1).exit_code == 0
    assert Manifest.read(tmp_path / "b").items()["group"].value_counts().to_dict() == {"a": 12, "b": 12}


def test_arrays(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 3), dtype=np.uint8)
    path = tmp_path / "faces.npz"
    np.savez(path, images=images, labels=[0, 1, 1, 1, 0, 1], skin=["a", "b", "a", "b", "b", "b"])
    given = [path, "--group-column", "skin", "--copies", 1, "--policy", "flip_left_right"]
    assert call(*given, "--out", tmp_path / "a").exit_code == 0
    with np.load(tmp_path / "a" / "data" / "00000.npz", allow_pickle=False) as found:
        assert np.array_equal(found["images"], np.concatenate([images, images[:, :, ::-1]]))
        assert found["labels"].tolist() == [0, 1, 1, 1, 0, 1] * 2
    wrong = call(path, "--group-column", "hair", "--out", tmp_path / "b")
    assert wrong.exit_code == 3 and "Arrays: images, labels, skin." in wrong.stderr


def test_a_stopped_run_says_how_to_go_on(digits, tmp_path, monkeypatch):
    given = [digits, "--copies", 60, "--policy", "flip_left_right"]
    call(*given, "--out", tmp_path / "a")
    for error, code, told in (
        (KeyboardInterrupt(), 130, "Interrupted. 1,024 items are written whole; the same command goes on"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            1,
            "the disk is full. 1,024 items are written whole",
        ),
    ):
        out, write = tmp_path / f"{code}", Job.write
        with monkeypatch.context() as patch:

            def broken(self, number, advance, error=error, write=write):
                if number:
                    raise error
                return write(self, number, advance)

            patch.setattr(Job, "write", broken)
            done = call(*given, "--out", out)
        assert done.exit_code == code and told in done.stderr.splitlines()[-1]
        assert call(*given, "--out", out).exit_code == 0
        assert hashes(out) == hashes(tmp_path / "a")


def test_refusals(digits, clips, messages, tmp_path):
    out = tmp_path / "out"

    def refused(code, told, source, *options):
        done = call(source, "--out", out, *options)
        assert done.exit_code == code and told in done.stderr and done.stdout == ""
        assert len(done.stderr.splitlines()) == 1 and not out.exists()

    text = ("--text-column", "message")
    refused(
        3, "a table needs a column of texts; given none named. Name it: --text-column 'message'.", messages
    )
    refused(3, "augsynth run", messages)
    refused(
        3, "--target must name a column; given 'label'. There are: message, kind, sender, n.", messages, *text
    )
    text = (*text, "--target", "kind")
    refused(2, "--balance group needs the group of each sample", messages, *text, "--balance", "group")
    refused(2, "--balance must be", messages, *text, "--balance", "klass")
    refused(2, "must be one for texts; given 'image_weak'", messages, *text, "--policy", "image_weak")
    refused(2, "Did you mean 'medium'?", messages, *text, "--policy", "midium")
    refused(2, "copies must be at least 1; given 0", messages, *text, "--copies", 0)
    refused(3, "must hold texts; given int in row 0", messages, "--text-column", "n", "--target", "kind")
    refused(3, "Use format='npz'", messages, *text, "--format", "folder")
    refused(2, "--text-column is of no use with class folders", clips, *text[:2])
    refused(2, "--sample-rate is of no use with class folders", digits, "--sample-rate", 8000)
    refused(3, "there is no such file or folder", tmp_path / "nothing.csv", *text)
    for inside in (digits, digits / "more", digits.parent):
        done = call(digits, "--out", inside)
        assert done.exit_code == 4 and "a folder of its own, apart from its source" in done.stderr
    frame = pd.read_csv(messages)
    frame.loc[[3, 5], "message"] = None
    frame.to_csv(tmp_path / "holes.csv", index=False)
    refused(3, "a value in 'message'; given none in rows 3, 5. Drop", tmp_path / "holes.csv", *text)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    foreign = call(digits, "--out", tmp_path / "mine")
    assert foreign.exit_code == 4 and "must be empty, or hold this set; given 'thesis.txt'" in foreign.stderr


def test_a_corrupt_picture_is_named(digits, tmp_path):
    import shutil

    shutil.copytree(digits, tmp_path / "in")
    (tmp_path / "in" / "two" / "2.png").write_bytes(b"\x89PNG no more")
    done = call(tmp_path / "in", "--out", tmp_path / "out")
    assert done.exit_code == 3 and "2.png: this image cannot be read" in done.stderr


def test_help_is_readable():
    done = CliRunner().invoke(app, ["enlarge", "--help"], env={"COLUMNS": "100", "TERM": "dumb"})
    for option in ("--keep-originals", "--no-originals", "--balance", "--text-column", "--sample-rate"):
        assert option in done.stdout
    assert "goes on where it stopped" in " ".join(done.stdout.split())


# -- the Dataset behind it -------------------------------------------------------------------


def base_of(n=10):
    import torch
    from torch.utils.data import TensorDataset

    return TensorDataset(torch.arange(float(n))[:, None], (torch.arange(n) > 6).long())


def test_originals_once_then_copies():
    train = EnlargedDataset(base_of(), ScaledJitter(0.1), copies=2, balance="class", seed=3)
    assert len(train) == 42 and np.bincount(train.labels).tolist() == [21, 21]
    assert [float(train.at(i)[0]) for i in range(10)] == list(range(10))
    assert all(train.at(i)[1] == train.labels[i] for i in range(42))
    slots = [train.slot(i) for i in range(42)]
    assert len(set(slots)) == 42 and max(copy for _, copy in slots) < train.max_copies
    counts = np.bincount([record for record, _ in slots])
    assert counts[:7].tolist() == [3] * 7 and counts[7:].tolist() == [7] * 3
    batch = train.at_many(list(range(42)), epoch=2)
    assert all((batch[i][0] == train.at(i, 2)[0]).all() for i in range(42))
    assert train.describe(3)["kind"] == "real" and train.describe(30)["kind"] == "perturbed"


def test_what_cannot_be_enlarged():
    with pytest.raises(ParameterError, match="fills the smaller classes up"):
        EnlargedDataset(base_of(), ScaledJitter(0.1), copies=0)
    with pytest.raises(ParameterError, match="at least 1 where the originals are left out"):
        EnlargedDataset(base_of(6), ScaledJitter(0.1), copies=0, balance="class", keep_originals=False)
    even = EnlargedDataset(base_of(6), ScaledJitter(0.1), copies=0, balance="class")
    assert len(even) == 6 and even.labels.tolist() == [0] * 6
