"""Whether a set that is written to disk survives being killed: the same SHA-256 of every file.

    python benchmarks/materialize_kills.py            # about 8 minutes
    python benchmarks/materialize_kills.py --quick    # two kills of each
    python benchmarks/materialize_kills.py --only clips

Pictures (Fashion-MNIST, PNG), clips (spoken digits, wav) and texts (SMS, Parquet) with
their originals and copies under the ready policy "medium". One run is left alone. Then a
run into another folder is killed with SIGKILL (its workers with it, or left to
themselves) at a moment drawn at random, and started again, and killed again;
when one comes to its end, its files are compared with those of the undisturbed run and
the next begins in an empty folder, until there were ten kills. Every second start uses two
processes. "before" is what share of the shards was whole when it was killed.
"""

from __future__ import annotations

import harness  # first: pins the threads

# isort: split
import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from data import _loader, data_folder
from harness import say

SETS = ("pictures", "clips", "texts")
SHARD = {"pictures": 256, "clips": 32, "texts": 512}
RECORDS = {"pictures": 1500, "clips": 240, "texts": 4000}
COPIES = 3


class Samples:
    """Samples in memory, as a map-style dataset."""

    def __init__(self, items: list[Any], targets: list[Any]):
        self.items, self.targets = items, targets

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        return self.items[i]


def samples_of(name: str, folder: Path, quick: bool) -> Samples:
    """Load the records of a set."""
    load = _loader(folder)
    n = RECORDS[name] // (4 if quick else 1)
    if name == "pictures":
        images, labels, _ = load.load_images("fashion_mnist", n)
        x = list(images[:n])
    elif name == "clips":
        clips, labels, _ = load.load_audio("fsdd_subset", n)
        x = list(clips[:n])
    else:
        texts, labels, _ = load.load_text("sms_spam")
        x = list(texts[:n])
    plain = [label.item() if hasattr(label, "item") else label for label in list(labels)[:n]]
    if name == "clips":
        return Samples([(clip, 8000, label) for clip, label in zip(x, plain, strict=True)], plain)
    return Samples(list(zip(x, plain, strict=True)), plain)


def write(name: str, out: Path, jobs: int, folder: Path, quick: bool) -> None:
    """Write a set, or go on with it; this runs in a process of its own."""
    from augsynth.datasets import PerturbedDataset
    from augsynth.perturb.audio_policies import audio_medium

    policy: Any = audio_medium(sample_rate=8000) if name == "clips" else "medium"
    base = samples_of(name, folder, quick)
    train = PerturbedDataset(base, policy, copies=COPIES, keep_originals=True, seed=11)
    print("ready", flush=True)
    train.materialize(out, shard_size=SHARD[name] // (4 if quick else 1), jobs=jobs)


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def whole(out: Path) -> int:
    """Count the shards that a run has noted as whole."""
    return len(list((out / ".unfinished" / "shards").glob("*.json")))


def started(
    name: str, out: Path, jobs: int, arguments: argparse.Namespace
) -> tuple[subprocess.Popen[bytes], float]:
    """Start a process that writes; return it, with the seconds until it was about to."""
    command = [sys.executable, __file__, "--write", name, "--to", str(out), "--jobs", str(jobs)]
    command += ["--data", str(data_folder(arguments.data)), *(["--quick"] if arguments.quick else [])]
    began = time.perf_counter()
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
    if process.stdout is None or process.stdout.readline() != b"ready\n":
        raise RuntimeError(f"{name}: a run did not begin")
    return process, time.perf_counter() - began


def run_set(name: str, arguments: argparse.Namespace, place: Path) -> dict[str, Any]:
    """Kill runs of one set until there were enough kills; return what was found."""
    draw = random.Random(f"{name} {arguments.first_seed}")
    undisturbed = place / "undisturbed"
    process, imports = started(name, undisturbed, 1, arguments)
    began = time.perf_counter()
    if process.wait():
        raise RuntimeError(f"{name}: the undisturbed run failed")
    wanted, lasted = hashes(undisturbed), time.perf_counter() - began
    shards = len(json.loads((undisturbed / "manifest.json").read_text(encoding="utf-8"))["shards"])
    kills: list[dict[str, Any]] = []
    finished: list[bool] = []
    out, starts = place / "killed", 0
    while len(kills) < arguments.kills or not finished or out.exists():
        jobs, starts = 1 + starts % 2, starts + 1
        process, imports = started(name, out, jobs, arguments)
        # Two processes import everything anew before they write.
        stop_at = time.perf_counter() + draw.uniform(0, 0.6) * lasted + imports * (jobs - 1)
        if len(kills) < arguments.kills:
            while process.poll() is None and time.perf_counter() < stop_at:
                time.sleep(0.002)
        if len(kills) < arguments.kills and process.poll() is None:
            group = len(kills) % 4 < 2
            (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
            before = whole(out)
            parts = len(list((out / ".unfinished" / "parts").glob("*")))
            kills.append({"before": before / shards, "half_files": parts, "jobs": jobs, "workers_too": group})
            say(f"{name}: kill {len(kills)}, {before} of {shards} shards whole, {parts} temporary files")
        elif process.wait():
            raise RuntimeError(f"{name}: a run that went on failed")
        else:
            finished.append(hashes(out) == wanted)
            say(f"{name}: came to its end, {'equal' if finished[-1] else 'NOT EQUAL'}")
            shutil.rmtree(out)
    return {
        "set": name,
        "items": len((undisturbed / "manifest.csv").read_text(encoding="utf-8").splitlines()) - 1,
        "files": len(wanted),
        "shards": shards,
        "kills": kills,
        "ends": len(finished),
        "equal": sum(finished),
    }


def text(rows: list[dict[str, Any]]) -> str:
    """Lay out what was found."""
    header = ["", "items", "files", "shards", "kills", "before (%)", "came to an end", "all SHA-256 equal"]
    lines = []
    for row in rows:
        before = ", ".join(f"{100 * kill['before']:.0f}" for kill in row["kills"])
        sizes = [f"{row[key]:,}" for key in ("items", "files", "shards")]
        lines.append(
            [
                row["set"],
                *sizes,
                str(len(row["kills"])),
                before,
                str(row["ends"]),
                f"{row['equal']} of {row['ends']}",
            ]
        )
    return harness.table(header, lines)


def main() -> None:
    p = harness.parser(__doc__ or "", seeds=1, methods=SETS)
    p.add_argument("--kills", type=int, default=10, help="kills of each set (default 10)")
    p.add_argument("--write", choices=SETS, help=argparse.SUPPRESS)
    p.add_argument("--to", type=Path, help=argparse.SUPPRESS)
    p.add_argument("--jobs", type=int, default=1, help=argparse.SUPPRESS)
    arguments = p.parse_args()
    if arguments.write:
        write(arguments.write, arguments.to, arguments.jobs, data_folder(arguments.data), arguments.quick)
        return
    arguments.kills = 2 if arguments.quick else arguments.kills
    name = "materialize_kills_quick" if arguments.quick else "materialize_kills"
    results = harness.Results(arguments.out / f"{name}.json", key=("set",), protocol={"what": __doc__})
    for each in SETS:
        if arguments.only is None or each in arguments.only:
            with tempfile.TemporaryDirectory() as place:
                results.add(run_set(each, arguments, Path(place)))
    found = text(results.rows())
    (arguments.out / f"{name}.md").write_text(
        f"# Killed while writing\n\n```\n{found}\n```\n", encoding="utf-8"
    )
    say(found)


if __name__ == "__main__":
    main()
