"""Sets on disk: the bytes of the stream, whatever happens while they are written."""

import errno
import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

from augsynth.core.errors import (
    AugsynthError,
    AugsynthWarning,
    DataError,
    InputTypeError,
    OutputExistsError,
    ParameterError,
)
from augsynth.datasets import MixedDataset, PerturbedDataset, ResampledDataset
from augsynth.datasets import materialize as module
from augsynth.datasets.manifest import Manifest
from augsynth.datasets.materialize import materialize
from augsynth.datasets.materialized import MaterializedDataset
from augsynth.datasets.shards import Job, class_folders
from augsynth.datasets.writers import FORMATS
from augsynth.perturb import ParametricPerturbation, ScaledJitter


class Add(ParametricPerturbation):
    """Add one whole number to the bytes of a sample, or one number to floats."""

    def parameters(self, u):
        return {"amount": u[:, 0]}

    def apply(self, x, params):
        if isinstance(x, str):
            return x + " " + "é" * int(9 * params["amount"])
        if isinstance(x, Image.Image):
            return Image.fromarray(np.asarray(x) + np.uint8(100 * params["amount"]))
        if x.dtype in (np.uint8, torch.uint8):
            return x + np.uint8(100 * params["amount"])
        return x + np.float32(params["amount"]) if isinstance(x, np.ndarray) else x + params["amount"]


class Items(Dataset):
    def __init__(self, items, classes=None):
        self.items, self.classes = items, classes

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        if isinstance(self.items[i], Exception):
            raise self.items[i]
        return self.items[i]


def same(a, b):
    """Tell whether two items are equal in form, type and every number."""
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, Image.Image):
        return a.mode == b.mode and same(np.asarray(a), np.asarray(b))
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and a == b


def hashes(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


RNG = np.random.default_rng(0)


def bytes_of(*shape):
    return RNG.integers(0, 150, shape, dtype=np.uint8)


def pictures(n=12):
    return Items([(Image.fromarray(bytes_of(5, 4, 3)), i % 3) for i in range(n)], ["cat", "dog", "a/b"])


def clips(n=9):
    noise = RNG.normal(0, 0.1, (n, 300)).astype(np.float32)
    noise[::2] = np.round(noise[::2] * 2048) / 2048
    return Items([(clip, 8000, ["yes", "no"][i % 2]) for i, clip in enumerate(noise)])


def texts(n=11):
    return Items([{"text": f"text {i}", "label": i % 2, "length": 0.1 * i} for i in range(n)])


def rows(n=10):
    return TensorDataset(torch.from_numpy(RNG.normal(size=(n, 3))), torch.arange(n) % 2)


BASES = {"folder": pictures, "wav": clips, "parquet": texts}


def wrapped(base, **options):
    return PerturbedDataset(base, Add(), copies=2, keep_originals=True, **options)


# -- round trips ---------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["auto", "npz"])
@pytest.mark.parametrize("kind", BASES)
def test_items_come_back_exactly(tmp_path, kind, format):
    train = wrapped(BASES[kind](), seed=5)
    manifest = train.materialize(tmp_path / "set", format=format, epoch=3, shard_size=8)
    assert manifest.format == (kind if format == "auto" else "npz")
    again = MaterializedDataset(tmp_path / "set", verify=True)
    assert len(again) == len(train)
    for k in range(len(train)):
        assert same(again[k], train.at(k, 3))
    assert again.labels.tolist() == train.labels.tolist() and again.classes == train.classes
    told = pickle.loads(pickle.dumps(again)).describe(len(train) - 1)
    said = train.describe(len(train) - 1, 3)
    assert told["record"] == said["record"] and told["copy"] == said["copy"]
    assert told["kind"] == "perturbed" and told["parameters"] == said["parameters"]


ODD = {
    "floats": [(torch.rand(3, 4, 4), torch.tensor(i)) for i in range(3)],
    "bytes": [(torch.from_numpy(bytes_of(3, 4, 5)), i) for i in range(3)],
    "grey": [(bytes_of(4, 5, 1), "x")] * 3,
    "sizes": [(bytes_of(4 + i, 5, 3), i) for i in range(3)],
    "modes": [(Image.fromarray(bytes_of(4, 5)), 0), (Image.fromarray(bytes_of(4, 5, 4)), 1)],
    "deep": [(np.array([[0, 65535]], dtype=np.uint16), 0)],
    "boxes": [
        {"image": bytes_of(9, 9, 3), "boxes": torch.ones(i, 4), "labels": torch.ones(i)} for i in (2, 0)
    ],
    "target": [(bytes_of(9, 9), {"masks": bytes_of(i, 9, 9), "boxes": np.ones((i, 4))}) for i in (1, 3)],
    "speech": [(torch.rand(1, 300), 8000, "yes", "anna", 3)] * 2,
    "texts": ["", "a\0", "\ud800"],
    "alone": [bytes_of(4, 5)] * 2,
    "scalars": [(RNG.normal(size=3), np.float32(i), True) for i in range(3)],
}


@pytest.mark.parametrize("name", ODD)
def test_items_of_every_form_come_back(tmp_path, name):
    base = Items(ODD[name])
    wanted = "npz" if name == "texts" else "auto"
    manifest = materialize(base, tmp_path, format=wanted, shard_size=2)
    again = MaterializedDataset(tmp_path)
    assert manifest.format == {"texts": "npz", "floats": "npz", "boxes": "npz"}.get(name, manifest.format)
    assert all(same(again[k], base[k]) for k in range(len(base)))
    with pytest.raises(IndexError):
        again[len(base)]


def test_clips_of_16_bits_take_16_bits(tmp_path):
    base = clips()
    manifest = materialize(base, tmp_path)
    sizes = [(manifest.folder / name).stat().st_size - 44 for name in manifest.items()["file"]]
    assert sizes == [600 if k % 2 == 0 else 1200 for k in range(9)]


def test_files_are_what_others_read(tmp_path):
    wrapped(pictures()).materialize(tmp_path / "p")
    from torchvision.datasets import ImageFolder

    found = ImageFolder(tmp_path / "p", allow_empty=True)
    assert found.classes == ["a_b", "cat", "dog"] and len(found) == 36
    wrapped(texts()).materialize(tmp_path / "t", shard_size=10)
    frame = pd.read_parquet(tmp_path / "t" / "data")
    assert frame.shape == (33, 3) and frame["text"][5] == "text 5"
    materialize(rows(), tmp_path / "r", format="npz")
    with np.load(tmp_path / "r" / "data" / "00000.npz", allow_pickle=False) as arrays:
        assert arrays["x"].shape == (10, 3) and arrays["labels"].tolist() == [0, 1] * 5


def test_the_manifest_says_where_items_come_from(tmp_path):
    base = pictures()
    train = PerturbedDataset(ResampledDataset(base, sampling_strategy={0: 6, 1: 4, 2: 4}), Add(), seed=1)
    manifest = train.materialize(tmp_path)
    items = manifest.items()
    assert manifest.counts == {"0": 6, "1": 4, "2": 4} == items["label"].value_counts().to_dict()
    assert items["record"].tolist() == [train.slot(k)[0] for k in range(14)]
    assert set(items["kind"]) == {"perturbed"}
    assert json.loads(items["parameters"][3])["parameters"] == train.describe(3, 0)["parameters"]
    text = (tmp_path / "manifest.json").read_text()
    facts = json.loads(text)
    assert facts["seeds"] == [1, 0] and facts["dataset"]["policy"] == {"kind": "Add"}
    assert "0x" not in text and sum(shard["items"] for shard in facts["shards"]) == 14
    plain = materialize(ResampledDataset(base, sampling_strategy="x2"), tmp_path / "plain").items()
    assert plain["kind"].value_counts().to_dict() == {"real": 12, "copied": 12}
    mixed = MixedDataset(rows()).materialize(tmp_path / "mixed")
    assert mixed.format == "npz" and set(mixed.items()["kind"]) == {"mixed"}


def test_records_through_subsets_and_unions(tmp_path):
    base = rows(6)
    both = ConcatDataset([Subset(base, [4, 5]), PerturbedDataset(Subset(base, [1, 3]), ScaledJitter(0.1))])
    items = materialize(both, tmp_path).items()
    assert items["kind"].tolist() == ["real", "real", "perturbed", "perturbed"]
    assert items["record"].tolist() == [4, 5, 3, 5]  # those of the second part count on from the first


def test_groups_are_told(tmp_path):
    train = wrapped(rows(4), groups=["a", "b", "b", "a"])
    materialize(train, tmp_path)
    assert MaterializedDataset(tmp_path).groups.tolist() == train.groups.tolist()


def test_folders_of_labels_are_distinct():
    assert class_folders(["a/b", "a:b", "A_B", "a_b"], None) == {
        "A_B": "A_B",
        "a/b": "a_b_2",
        "a:b": "a_b_3",
        "a_b": "a_b_4",
    }
    assert class_folders(["manifest.csv"], None) == {"manifest.csv": "manifest.csv_2"}
    assert class_folders([True, False], None) == {"false": "False", "true": "True"}


# -- the same bytes, whatever happens ----------------------------------------------------


class Stop(Exception):
    pass


def break_at(monkeypatch, place, after):
    """Raise at the n-th file: before it is written, between writing and renaming, or after that."""
    count = {"n": 0}

    def counted(original, first):
        def broken(*args, **kwargs):
            count["n"] += 1
            if not first:
                original(*args, **kwargs)
            if count["n"] > after:
                raise Stop
            return original(*args, **kwargs) if first else None

        return broken

    if place == "write":
        for kept in FORMATS.values():
            monkeypatch.setattr(type(kept), "write", counted(type(kept).write, first=False))
    elif place == "publish":
        monkeypatch.setattr(Job, "_publish", counted(Job._publish, first=False))
    else:
        from augsynth.datasets import set_folder

        monkeypatch.setattr(set_folder, place, counted(getattr(set_folder, place), first=True))


@pytest.mark.parametrize("place", ["write", "publish", "write_json", "write_items", "note_of"])
@pytest.mark.parametrize("kind", BASES)
def test_a_run_that_broke_goes_on_to_the_same_bytes(tmp_path, monkeypatch, kind, place):
    train = wrapped(BASES[kind]())
    undisturbed = train.materialize(tmp_path / "a", shard_size=8)
    after = {"write": 1 if kind == "parquet" else 11, "write_items": 0, "note_of": 0}.get(place, 2)
    with monkeypatch.context() as patch:
        break_at(patch, place, after)
        with pytest.raises(Stop):
            train.materialize(tmp_path / "b", shard_size=8)
    assert not (tmp_path / "b" / "manifest.json").exists()
    with pytest.raises(DataError, match=r"must hold a manifest.json; given none\. Let the run"):
        MaterializedDataset(tmp_path / "b")
    manifest = train.materialize(tmp_path / "b", shard_size=8)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    assert manifest.sha256 == undisturbed.sha256


def test_a_broken_run_leaves_whole_shards_only(tmp_path, monkeypatch):
    train = wrapped(pictures())
    with monkeypatch.context() as patch:
        break_at(patch, "write", 11)
        with pytest.raises(Stop):
            train.materialize(tmp_path / "set", shard_size=8)
    assert len(list((tmp_path / "set").rglob("*.png"))) == 8  # of 36
    with monkeypatch.context() as patch:
        break_at(patch, "write", 3)
        with pytest.raises(Stop):
            train.materialize(tmp_path / "other", shard_size=8)
    assert not (tmp_path / "other").exists()  # nothing was whole yet


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_full_disks_and_interrupts(tmp_path, monkeypatch, error):
    train = wrapped(rows())
    count = iter([None, None])

    def full(self, *args, original=FORMATS["parquet"].write):
        next(count, error)
        original(*args)
        if count.__length_hint__() == 0:
            raise error

    monkeypatch.setattr(type(FORMATS["parquet"]), "write", full)
    with pytest.raises(type(error)):
        train.materialize(tmp_path / "a", shard_size=7)
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "a" / "data").iterdir()] == ["00000.parquet"]
    train.materialize(tmp_path / "a", shard_size=7)
    train.materialize(tmp_path / "b", shard_size=7)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("kind", BASES)
def test_damage_is_found_and_mended(tmp_path, monkeypatch, kind, whole):
    train = wrapped(BASES[kind]())
    train.materialize(tmp_path / "a", shard_size=8)
    if not whole:
        with monkeypatch.context() as patch:
            break_at(patch, "write_items", 0)
            with pytest.raises(Stop):
                train.materialize(tmp_path / "b", shard_size=8)
    else:
        shutil.copytree(tmp_path / "a", tmp_path / "b")
    files = sorted(p for p in (tmp_path / "b").rglob("*") if p.suffix in (".png", ".wav", ".parquet"))
    content = files[0].read_bytes()
    files[0].write_bytes(content[:-3])  # cut short
    files[1].write_bytes(
        bytes([files[1].read_bytes()[0] ^ 1]) + files[1].read_bytes()[1:]
    )  # of the same size
    files[2].unlink()
    (tmp_path / "b" / ".unfinished" / "parts").mkdir(parents=True, exist_ok=True)
    (tmp_path / "b" / ".unfinished" / "parts" / "left.png").write_bytes(b"half")
    (tmp_path / "b" / ".manifest.json.abc.part").write_bytes(b"half")
    if whole:
        with pytest.raises(DataError, match=r"changed or missing\. Run the same command again"):
            MaterializedDataset(tmp_path / "b", verify=True)
    train.materialize(tmp_path / "b", shard_size=8)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


def test_a_damaged_manifest_is_written_anew(tmp_path):
    train = wrapped(rows())
    train.materialize(tmp_path / "a")
    for name in ("manifest.csv", "manifest.json"):
        shutil.copytree(tmp_path / "a", tmp_path / name)
        (tmp_path / name / name).write_text("{")
        with pytest.raises(DataError):
            MaterializedDataset(tmp_path / name, verify=True)
        if name == "manifest.json":
            with pytest.raises(OutputExistsError, match="must be empty, or hold this set"):
                train.materialize(tmp_path / name)
        train.materialize(tmp_path / name, force=True)
        assert hashes(tmp_path / "a") == hashes(tmp_path / name)


def test_a_whole_set_is_left_as_it_is(tmp_path, monkeypatch):
    train = wrapped(rows())
    train.materialize(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(Job, "write", None)  # nothing may be written
    train.materialize(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == times


def test_two_processes_write_the_same_bytes(tmp_path):
    base = pictures(110)
    labels = [label for _, label in base.items]
    broken = Items([*base.items], base.classes)
    broken.items[100] = OSError("truncated file")
    with pytest.raises(
        DataError, match=r"every item of the base must be readable; given OSError at item 100"
    ):
        PerturbedDataset(broken, Add(), labels=labels).materialize(tmp_path / "2", shard_size=16, jobs=2)
    assert 64 <= len(list((tmp_path / "2").rglob("*.png"))) < 110
    assert not list((tmp_path / "2").rglob("parts"))
    train = PerturbedDataset(base, Add(), labels=labels)
    two = train.materialize(tmp_path / "2", shard_size=16)
    one = train.materialize(tmp_path / "1", shard_size=16)
    assert hashes(tmp_path / "1") == hashes(tmp_path / "2") and one.sha256 == two.sha256


KILLED = """
import sys, time, numpy as np, torch
from torch.utils.data import TensorDataset
from augsynth.datasets import PerturbedDataset
from augsynth.perturb import ScaledJitter
train = PerturbedDataset(TensorDataset(torch.arange(60.0)[:, None], torch.arange(60) % 2), ScaledJitter(0.1))
if len(sys.argv) > 2:
    from augsynth.datasets.shards import Job
    write = Job.write
    def slow(self, *args):
        note = write(self, *args)
        print(note.number, flush=True)
        time.sleep(0.2 if note.number else 0)
        return note
    Job.write = slow
train.materialize(sys.argv[1], shard_size=5)
"""


def test_a_killed_process_goes_on(tmp_path):
    arguments = [sys.executable, "-c", KILLED, str(tmp_path / "b")]
    with subprocess.Popen([*arguments, "slow"], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.strip() == "3":
                os.kill(process.pid, signal.SIGKILL)
                break
    assert (tmp_path / "b" / ".unfinished").is_dir() and not (tmp_path / "b" / "manifest.json").exists()
    assert len(list((tmp_path / "b" / "data").iterdir())) == 4
    base = TensorDataset(torch.arange(60.0)[:, None], torch.arange(60) % 2)
    train = PerturbedDataset(base, ScaledJitter(0.1))
    for name in "ab":
        train.materialize(tmp_path / name, shard_size=5)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


# -- refusals --------------------------------------------------------------------------------


def test_another_set_is_not_touched(tmp_path):
    base = rows()
    wrapped(base).materialize(tmp_path, shard_size=8)
    before = hashes(tmp_path)
    others = {
        "seed": (wrapped(base, seed=1), {}),
        "dataset or policy": (PerturbedDataset(base, ScaledJitter(0.2), copies=2, keep_originals=True), {}),
        "length": (wrapped(rows(9)), {}),
        "content of the items": (wrapped(rows()), {}),
        "epoch": (wrapped(base), {"epoch": 1}),
        "format": (wrapped(base), {"format": "npz"}),
        "shard_size": (wrapped(base), {"shard_size": 9}),
    }
    for called, (train, options) in others.items():
        with pytest.raises(OutputExistsError, match=f"another set, whose {called} must be the same"):
            train.materialize(tmp_path, **{"shard_size": 8, **options})
    with pytest.raises(OutputExistsError, match="there already"):
        wrapped(base).materialize(tmp_path, shard_size=8, resume=False)
    assert hashes(tmp_path) == before


def test_force_replaces_a_set_and_nothing_else(tmp_path):
    wrapped(pictures()).materialize(tmp_path / "a")
    mine = {"notes.txt": tmp_path / "a", "mine.png": tmp_path / "a" / "cat"}
    for name, folder in mine.items():
        (folder / name).write_text("mine")
    wrapped(rows()).materialize(tmp_path / "a", force=True)
    assert {path.name for path in (tmp_path / "a").rglob("*") if path.is_file()} == {
        *mine,
        *("manifest.json", "manifest.csv", "00000.parquet"),
    }
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"must be empty, or hold this set; given 'thesis.txt'"):
        wrapped(rows()).materialize(foreign)
    with pytest.raises(OutputExistsError, match="is a file"):
        wrapped(rows()).materialize(foreign / "thesis.txt" / "set")
    wrapped(rows()).materialize(foreign, force=True)
    assert (foreign / "thesis.txt").read_text() == "mine" and len(MaterializedDataset(foreign)) == 30


def test_one_run_at_a_time(tmp_path):
    from augsynth.datasets.set_folder import SetFolder

    with SetFolder(tmp_path).locked(), pytest.raises(AugsynthError, match="another run is writing"):
        wrapped(rows()).materialize(tmp_path)


def test_what_cannot_be_kept_is_said(tmp_path):
    def sentence(items, error=DataError, **options):
        with pytest.raises(error) as found:
            materialize(Items(items), tmp_path / "set", **options)
        assert not (tmp_path / "set").exists()
        assert "\n" not in str(found.value)
        return str(found.value)

    floats = [(np.zeros((4, 4), dtype=np.float32), 0)]
    assert "PNG holds bytes, and the pictures are float32" in sentence(floats, format="folder")
    assert "do not say their sample rate" in sentence([(np.zeros(300), 0)], format="wav")
    assert "labels are soft" in sentence([(bytes_of(4, 4), torch.zeros(3))], format="folder")
    assert "given None" in sentence([(None, 1)], InputTypeError)
    assert "None at item 2" in sentence([("a", 1), ("b", 0), (None, 1)])
    assert "All" not in sentence([("a", 1), "b"]) and "another at item 1" in sentence([("a", 1), ("b",)])
    assert "float64 at item 1" in sentence([(bytes_of(4, 4), 0), (np.zeros((4, 4)), 0)])
    assert "OSError at item 1 (broken file)" in sentence([(bytes_of(4, 4), 0), OSError("broken file")])
    assert "at least one item" in sentence([])
    assert "HSV" in sentence([(Image.new("HSV", (3, 3)), 0)])
    wide = torch.zeros(300, dtype=torch.bfloat16)
    assert "a type that numpy has" in sentence([(wide, 0)])
    with pytest.raises(ParameterError, match="format must be"):
        wrapped(rows()).materialize(tmp_path / "set", format="jpeg")
    with pytest.raises(ParameterError, match="jobs must be"):
        wrapped(rows()).materialize(tmp_path / "set", jobs=0)


def test_labels_that_are_not_those_of_the_items(tmp_path):
    base = pictures()
    base.labels = [0, 1, 2] * 3 + [0, 1, 1]
    materialize(base, tmp_path / "a")  # a label that other items have is the item's own affair
    base.labels = [0] * 12
    with pytest.raises(DataError, match=r"one of the labels that its dataset tells; given '1' at item 1"):
        materialize(base, tmp_path / "b")


def test_datasets_that_other_processes_cannot_get(tmp_path):
    base = rows(4)
    base.transform = lambda x: x
    with pytest.raises(ParameterError, match=r"cannot be pickled .*use jobs=1"):
        materialize(base, tmp_path / "set", jobs=2, shard_size=1)
    assert not (tmp_path / "set").exists()


class Restless(Items):
    def __getitem__(self, i):
        return RNG.normal(size=3), i


def test_items_that_change_are_told(tmp_path):
    with pytest.warns(AugsynthWarning, match="item 0 of one epoch is another each time"):
        materialize(Restless([0]), tmp_path)


def test_hostile_names_are_refused(tmp_path):
    materialize(rows(3), tmp_path)
    listing = tmp_path / "manifest.csv"
    listing.write_text(listing.read_text().replace("data/00000.parquet", "../../secret"))
    with pytest.raises(DataError, match="must lie in its folder"):
        MaterializedDataset(tmp_path)


def test_manifests_of_others(tmp_path):
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(DataError, match="of something else"):
        Manifest.read(tmp_path)
    assert module.__doc__
