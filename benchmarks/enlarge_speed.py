"""What it costs to enlarge a Dataset: 10,000 records to 1,000,000 balanced slots, and to mix items.

    python benchmarks/enlarge_speed.py                  # what is missing in the result file
    python benchmarks/enlarge_speed.py --quick          # small: shows that it runs
    python benchmarks/enlarge_speed.py --only resampled
    python benchmarks/enlarge_speed.py --report         # only print the tables again

slots   20 cells (10 classes x 2 groups), from several thousand records to a few, to equal totals:
    resampled          ResampledDataset(by="class+group", length=...)
    resampled boot     the same with bootstrap=True
    weighted sampler   torch's WeightedRandomSampler with weights of one over the records of the cell
    index list         a list of positions drawn in each cell with replacement, behind a Subset
mixing  batches of 128 pictures, and items one by one:
    mix_batch, torchvision v2 MixUp and CutMix (one weight a batch), MixedDataset by item and in batches
"""

from __future__ import annotations

import harness  # first: pins the threads

# isort: split
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Subset, TensorDataset, WeightedRandomSampler

from augsynth.datasets import MixedDataset, ResampledDataset
from augsynth.perturb.mix import mix_batch

SLOTS = ("resampled", "resampled boot", "weighted sampler", "index list")
MIXING = ("mix_batch", "torchvision", "MixedDataset item", "MixedDataset batch")
SHARES = (0.5, 0.2, 0.1, 0.08, 0.05, 0.03, 0.02, 0.012, 0.006, 0.002)
PROTOCOL = {
    "cost": "CPU-seconds, one thread; medians of repeats",
    "quota_error": "largest difference of a cell's slots in an epoch from its wanted total",
    "uneven": "slots of the most used record of a cell less those of the least used, largest over the cells",
    "kept_mb": "arrays and lists that the object keeps, labels and records of the base not counted",
    "required": "built in < 200 ms, < 5 us a look-up, quota error 0",
}


NOTE = """Wanted: equal totals of 20 cells (10 classes x 2 groups) from
10,000 records. *Quota error*: largest difference of a cell from its total in one epoch. *Uneven*: slots of
the most used record of a cell less those of the least used, largest over the cells. *Never*: records that
the epoch leaves out. *Kept*: with the count of epochs (4 bytes a slot), or with an epoch's order. A record
that the sampler or the list repeats is the same item again; slots are numbered copies, each perturbed in
its own way. torchvision draws one weight (one box) for a whole batch, ours one for each picture.
"""


class World:
    """Records of 20 cells, the smallest of a few records."""

    def __init__(self, n: int, slots: int):
        rng = np.random.default_rng(0)
        self.y = rng.choice(10, n, p=SHARES)
        self.g = rng.choice(["a", "b"], n, p=[0.7, 0.3])
        self.y[:20], self.g[:20] = np.arange(20) // 2, np.resize(["a", "b"], 20)  # no cell is empty
        self.cell = self.y * 2 + (self.g == "b")
        self.counts = np.bincount(self.cell, minlength=20)
        self.slots, self.wanted = slots, slots // 20
        self.base = TensorDataset(torch.zeros(n, 1), torch.from_numpy(self.y))


def median_cpu(function: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """Return the last result and the median CPU-seconds of calls."""
    costs = []
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        costs.append(time.process_time() - start)
    return result, statistics.median(costs)


def kept_mb(thing: Any, spare: tuple[Any, ...] = ()) -> float:
    """Return the size of the arrays, tensors and lists that an object keeps."""
    size = 0
    for value in vars(thing).values():
        if any(value is other for other in spare):
            continue
        if isinstance(value, (np.ndarray, torch.Tensor)):
            size += value.nbytes
        elif isinstance(value, list):
            size += sys.getsizeof(value) + sum(sys.getsizeof(v) for v in value)
    return size / 2**20


def per_call_us(function: Callable[[int], Any], indices: list[int]) -> float:
    """Return the CPU-microseconds of a call."""
    start = time.process_time()
    for i in indices:
        function(i)
    return (time.process_time() - start) / len(indices) * 1e6


def evenness(world: World, records: np.ndarray) -> dict[str, float]:
    """Say how far the slots of an epoch are from their totals, and the records of a cell from each other."""
    times = np.bincount(records, minlength=len(world.cell))
    cells = np.bincount(world.cell[records], minlength=20)
    uneven = [np.ptp(times[world.cell == c]) for c in range(20) if world.counts[c]]
    return {
        "quota_error": int(np.abs(cells - world.wanted).max()),
        "quota_error_share": float(np.abs(cells - world.wanted).max() / world.wanted),
        "uneven": int(max(uneven)),
        "never": int((times == 0).sum()),
    }


def slots_row(name: str, world: World, repeats: int) -> dict[str, Any]:
    """Measure one way to have balanced slots."""
    look = np.random.default_rng(1).integers(0, world.slots, 100_000).tolist()
    if name.startswith("resampled"):
        data, built = median_cpu(
            lambda: ResampledDataset(
                world.base,
                by="class+group",
                groups=world.g,
                length=world.slots,
                bootstrap=name.endswith("boot"),
            ),
            repeats,
        )
        records, epoch = median_cpu(lambda: data.records(1), 3)
        return {
            "built_ms": built * 1e3,
            "epoch_ms": epoch * 1e3,
            "look_up_us": per_call_us(lambda i: data.slot(i, 1), look),
            "kept_mb": kept_mb(data, (data._base_groups, data._given_labels)) + 4 * world.slots / 2**20,
            **evenness(world, records),
        }
    if name == "weighted sampler":
        weights = torch.from_numpy(1.0 / world.counts[world.cell])
        sampler, built = median_cpu(lambda: WeightedRandomSampler(weights, world.slots), repeats)
        drawn, epoch = median_cpu(lambda: list(sampler), 3)  # a whole epoch's order
        return {
            "built_ms": built * 1e3,
            "epoch_ms": epoch * 1e3,
            "look_up_us": None,
            "kept_mb": kept_mb(sampler) + world.slots * 8 / 2**20,
            **evenness(world, np.array(drawn)),
        }

    def index_list() -> Subset:
        rng = np.random.default_rng(0)
        places = [rng.choice(np.flatnonzero(world.cell == c), world.wanted) for c in range(20)]
        return Subset(world.base, np.concatenate(places).tolist())

    subset, built = median_cpu(index_list, min(repeats, 3))
    return {
        "built_ms": built * 1e3,
        "epoch_ms": 0.0,
        "look_up_us": per_call_us(lambda i: subset.indices[i], look),
        "kept_mb": kept_mb(subset),
        **evenness(world, np.array(subset.indices)),
    }


class Pictures(Dataset):
    """Pictures in memory, as floats."""

    def __init__(self, n: int, size: int):
        self.x = torch.rand(n, 3, size, size)
        self.labels = torch.arange(n) % 10

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[i], self.labels[i]


def mixing_row(name: str, method: str, size: int, repeats: int) -> dict[str, Any]:
    """Measure microseconds a picture of one way to mix."""
    n = 128
    data = Pictures(n, size)
    if name == "mix_batch":
        run: Callable[[], Any] = lambda: mix_batch(  # noqa: E731
            data.x, data.labels, method=method, n_classes=10, random_state=0
        )
    elif name == "torchvision":
        from torchvision.transforms import v2

        mixer = (v2.MixUp if method == "mixup" else v2.CutMix)(num_classes=10, alpha=1.0)
        run = lambda: mixer(data.x, data.labels)  # noqa: E731
    else:
        mixed = MixedDataset(data, method)
        places = list(range(n))
        run = (
            (lambda: mixed.at_many(places))
            if name.endswith("batch")
            else lambda: [mixed.at(i) for i in places]
        )
    return {"us_a_picture": median_cpu(run, repeats)[1] / n * 1e6}


def report(rows: list[dict[str, Any]], *, markdown: bool) -> str:
    """Return both tables."""
    slots = [row for row in rows if row["part"] == "slots"]
    head = [
        "way",
        "slots",
        "built ms",
        "an epoch's order ms",
        "look-up us",
        "kept MB",
        "quota error",
        "uneven",
        "never",
    ]
    lines = [
        [
            row["method"], f"{row['size']:,}", f"{row['built_ms']:.1f}", f"{row['epoch_ms']:.0f}",
            "-" if row["look_up_us"] is None else f"{row['look_up_us']:.2f}", f"{row['kept_mb']:.1f}",
            f"{row['quota_error']} ({100 * row['quota_error_share']:.2f} %)", row["uneven"], row["never"],
        ]
        for row in slots
    ]  # fmt: skip
    first = harness.table(head, lines, markdown=markdown)
    mixing = [row for row in rows if row["part"] == "mixing"]
    lines = [[row["method"], f"{row['size']} px", f"{row['us_a_picture']:.1f}"] for row in mixing]
    return first + "\n\n" + harness.table(["way", "pictures", "us a picture"], lines, markdown=markdown)


def main() -> None:
    parser = harness.parser(__doc__ or "", seeds=1, methods=SLOTS + MIXING, resumable=True)
    parser.add_argument("--report", action="store_true", help="only print the tables again")
    arguments = parser.parse_args()
    stem = "enlarge_speed_quick" if arguments.quick else "enlarge_speed"
    results = harness.Results(
        arguments.out / f"{stem}.json", key=("part", "method", "size"), protocol=PROTOCOL
    )
    if not arguments.report:
        n, slots, repeats = (1000, 20_000, 2) if arguments.quick else (10_000, 1_000_000, 7)
        world = World(n, slots)
        for name in SLOTS:
            if arguments.only is None or name in arguments.only:
                key = {"part": "slots", "method": name, "size": slots}
                results.run_missing(
                    key, lambda name=name: slots_row(name, world, repeats), redo=arguments.redo
                )
        for name in MIXING:
            for method in ("mixup", "cutmix"):
                for size in (32,) if arguments.quick else (32, 224):
                    if arguments.only is None or name in arguments.only:
                        key = {"part": "mixing", "method": f"{name} {method}", "size": size}
                        make = lambda a=(name, method, size): mixing_row(*a, repeats)  # noqa: E731
                        results.run_missing(key, make, redo=arguments.redo)
    rows = results.rows()
    harness.say(report(rows, markdown=False))
    run = results.read()["runs"][-1] if results.read()["runs"] else {}
    note = f"{run.get('cpu', '')}, one thread, CPU time. {NOTE}"
    text = f"# Enlarging a Dataset: cost and exactness\n\n{note}\n{report(rows, markdown=True)}\n"
    (arguments.out / f"{stem}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
