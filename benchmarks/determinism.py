"""Items that depend on seed, epoch and index alone: counted mismatches, beside the bare libraries.

    python benchmarks/determinism.py                  # a million draws; about 8 minutes
    python benchmarks/determinism.py --draws 60000    # the same matrix, smaller
    python benchmarks/determinism.py --quick          # shows that it runs
    python benchmarks/determinism.py --only overhead
    python benchmarks/determinism.py --report         # only write the tables again

matrix     PerturbedDataset of 16 x 16 pictures whose classes have policies of ours, of albumentations and of
           torchvision (flip, shift, brightness and contrast each). Workers {0, 1, 2, 4} x {fork, spawn} x
           persistent {no, yes} x world size {1, 2} x resume points; every item's digest against that of one
           process that reads items one by one. Each pass is another epoch, order and batch size.
libraries  The same three steps in a plain Dataset, every record the same picture (so that two items are equal
           only if their draws are): duplicates within an epoch, items that the next epoch repeats, items that
           are as with 0 workers, items that are the same when the epoch is resumed half way.
overhead   CPU-microseconds of an item, keyed beside the same steps with an unkeyed generator.
"""

from __future__ import annotations

import harness  # first: pins the threads

# isort: split
import hashlib
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from augsynth.core.random import ItemKeys, Streams
from augsynth.datasets import PerturbedDataset
from augsynth.perturb import Compose, as_perturbation
from augsynth.perturb.albumentations_tree import library
from augsynth.perturb.geometry import FlipLeftRight, Shift
from augsynth.perturb.image import BrightnessContrast

WORKERS = (0, 1, 2, 4)
METHODS = ("fork", "spawn")
POLICIES = ("native", "albumentations", "torchvision")
EPOCHS = 5
SIZE = 16
BATCHED = "native, in batches of 64"  # as DataLoaders read
LIMITS_US = {"native": 10.0, "albumentations": 45.0}
PROTOCOL = {
    "mismatch": "an item whose digest (64 bits of BLAKE2b over the pixels) differs from the reference's",
    "resume": "the pass begins at that place of the epoch's order",
    "world": "ranks hold datasets of their own and read every other place of the order",
    "spawned": "workers that do not persist are spawned anew for every pass: two resume points, not 20",
    "overhead": "CPU time of one thread, medians of turns; keyed less unkeyed",
}


# ------------------------------------------------------------------ policies and sets
def policy_of(name: str) -> Any:
    """Return flip, shift, brightness and contrast, in one of three libraries."""
    if name == "native":
        return Compose([FlipLeftRight(), Shift(0.2), BrightnessContrast()])
    if name == "albumentations":
        A = library()
        shift = A.Affine(translate_percent=(-0.2, 0.2), p=1)
        return A.Compose([A.HorizontalFlip(p=0.5), shift, A.RandomBrightnessContrast(p=1)])
    return v2.Compose(
        [v2.RandomHorizontalFlip(), v2.RandomAffine(0, translate=(0.2, 0.2)), v2.ColorJitter(0.2, 0.2)]
    )


def pictures(n: int) -> np.ndarray:
    """Return different pictures (n, 16, 16, 3) of uint8."""
    return np.random.default_rng(0).integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)


class Records(Dataset):
    """Pictures in memory; labels 0, 1, 2, 0, ... choose the policy."""

    def __init__(self, n: int):
        self.x = pictures(n)
        self.targets = (np.arange(n) % 3).tolist()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return self.x[i], self.targets[i]


class Bare(Dataset):
    """One picture over and over, edited as the libraries' guides do."""

    def __init__(self, name: str, n: int):
        self.name, self.n = name, n
        self.x = (pictures(1)[0] / np.float32(255)).astype(np.float32)
        self.policy = policy_of(name)
        if name == "albumentations":
            self.policy.set_random_seed(137)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        if self.name == "albumentations":
            return self.policy(image=self.x)["image"], 0
        return self.policy(torch.from_numpy(self.x).permute(2, 0, 1)).numpy(), 0


class Same(Dataset):
    """One picture over and over, to be wrapped."""

    def __init__(self, n: int):
        self.n = n
        self.x = (pictures(1)[0] / np.float32(255)).astype(np.float32)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return self.x, 0


class Digests(Dataset):
    """(index, digest) of the items of a set; picklable, so digests are made in the workers."""

    def __init__(self, dataset: Any):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, indices: Sequence[int]) -> np.ndarray:
        many = getattr(self.dataset, "__getitems__", None)
        items = many(indices) if many else [self.dataset[i] for i in indices]
        return np.array([(i, digest(x)) for i, (x, _) in zip(indices, items, strict=True)], dtype=np.int64)


def digest(x: np.ndarray) -> int:
    """Return 63 bits that stand for an array."""
    data = hashlib.blake2b(np.ascontiguousarray(x).tobytes(), digest_size=8).digest()
    return int.from_bytes(data, "little") >> 1


def as_is(batch: Any) -> Any:
    """Return a batch as the dataset made it."""
    return batch


class Order:
    """A sampler whose order can be changed between passes (persistent workers keep their loader)."""

    def __init__(self) -> None:
        self.places: list[int] = []

    def __iter__(self) -> Any:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def loader_of(
    dataset: Any, order: Order, workers: int, method: str, stays: bool, batch_size: int
) -> DataLoader:
    """Return a DataLoader of digests."""
    options: dict[str, Any] = {"persistent_workers": stays}
    if workers:
        options["multiprocessing_context"] = method
    return DataLoader(
        Digests(dataset),
        batch_size=batch_size,
        sampler=order,
        num_workers=workers,
        collate_fn=as_is,
        generator=torch.Generator().manual_seed(batch_size),
        **options,
    )


# ------------------------------------------------------------------ matrix
def configurations() -> list[tuple[int, str, bool]]:
    """Return (workers, start method, persistent) of every loader."""
    with_workers = itertools.product([w for w in WORKERS if w], METHODS, (False, True))
    return [(0, "", False), *with_workers]


def resumes_of(method: str, stays: bool, world: int, resumes: int) -> int:
    """Return how many resume points a configuration is read from; those of ranks differ."""
    return min(resumes, 2) // world if method == "spawn" and not stays else resumes


def slots_for(draws: int, resumes: int) -> int:
    """Return how many slots make the wanted number of draws (a pass reads half an epoch or more)."""
    passes = sum(resumes_of(m, stays, world, resumes) for _, m, stays in configurations() for world in (1, 2))
    return max(30, 3 * round(draws / passes / 0.5 / 3))


def wrapped(slots: int) -> PerturbedDataset:
    """Return three classes with a policy each: a third as many records, their originals and two copies."""
    policy = dict(enumerate(policy_of(name) for name in POLICIES))
    return PerturbedDataset(Records(slots // 3), policy, copies=2, keep_originals=True, seed=11)


def references(dataset: PerturbedDataset) -> np.ndarray:
    """Return the digests (epochs, slots) of items read one by one."""
    return np.array(
        [[digest(dataset.at(i, epoch)[0]) for i in range(len(dataset))] for epoch in range(EPOCHS)]
    )


def matrix_rows(draws: int, resumes: int, results: harness.Results, *, redo: bool) -> None:
    """Read every configuration that the file lacks, and count what differs from the reference."""
    slots = slots_for(draws, resumes)
    known = references(wrapped(slots))
    for (workers, method, stays), world in itertools.product(configurations(), (1, 2)):
        points = resumes_of(method, stays, world, resumes)
        row: dict[str, Any] = {
            "part": "matrix",
            "set": "wrapped",
            "workers": workers,
            "method": method,
            "persistent": stays,
            "world": world,
        }
        slots_read = [old["slots"] for old in results.rows() if all(old.get(k) == row[k] for k in row)]
        if slots in slots_read and not redo:
            continue
        started = harness.cpu_seconds()
        read, wrong, lost = read_configuration(workers, method, stays, world, points, known)
        row |= {"resumes": points, "slots": slots, "draws": int(read.sum()), "mismatches": int(wrong.sum())}
        row |= {f"draws_{name}": int(read[k]) for k, name in enumerate(POLICIES)}
        row |= {f"mismatches_{name}": int(wrong[k]) for k, name in enumerate(POLICIES)}
        row |= {"lost": lost, "cpu_s": harness.cpu_seconds() - started}
        results.add(row)
        name = f"{workers} workers {method} {'persistent' if stays else ''} world {world}"
        told = f"{row['draws']} draws, {row['mismatches']} mismatches, {row['cpu_s']:.0f} CPU-s"
        harness.say(f"{name}: {told}")


def read_configuration(
    workers: int, method: str, stays: bool, world: int, points: int, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return draws and mismatches (3,) by policy, and how many items were lost or read twice."""
    slots = known.shape[1]
    read, wrong, lost = np.zeros(3, np.int64), np.zeros(3, np.int64), 0
    for rank in range(world):
        dataset, order = wrapped(slots), Order()  # every rank has sets of its own
        kind = np.asarray(dataset.labels)
        loader = loader_of(dataset, order, workers, method, stays, 16 + 7 * workers + rank)
        for k in range(points):
            epoch = k % EPOCHS
            dataset.set_epoch(epoch)
            shuffled = np.random.default_rng([99, epoch]).permutation(slots)[rank::world]
            begins = (k + rank / world) / points  # the ranks' resume points lie between each other's
            order.places = shuffled[int(len(shuffled) * begins) :].tolist()
            made = np.concatenate(list(loader))
            lost += int((made[:, 0] != order.places).sum()) if len(made) == len(order.places) else slots
            differs = made[:, 1] != known[epoch, made[:, 0]]
            read += np.bincount(kind[made[:, 0]], minlength=3)
            wrong += np.bincount(kind[made[:, 0]][differs], minlength=3)
    return read, wrong, lost


# ------------------------------------------------------------------ bare libraries
def library_rows(n: int, results: harness.Results) -> None:
    """Count duplicates and repeats of the bare libraries and of the wrapper, in one harness."""
    sets: dict[str, Callable[[], Any]] = {
        "albumentations, bare": lambda: Bare("albumentations", n),
        "torchvision, bare": lambda: Bare("torchvision", n),
        **{
            f"{name}, wrapped": lambda name=name: PerturbedDataset(Same(n), policy_of(name))
            for name in POLICIES
        },
    }
    for name, make in sets.items():
        alone = np.concatenate(epochs_of(make(), 0, "", 1)[0])[:, 1]
        loaders = [(0, ""), (1, "fork"), (2, "fork"), (4, "fork")]
        if name.startswith("albumentations"):
            loaders.append((2, "spawn"))  # slow to start; the others are as under fork
        for workers, method in loaders:
            first, second = (np.concatenate(e)[:, 1] for e in epochs_of(make(), workers, method, 2))
            half = np.concatenate(epochs_of(make(), workers, method, 1, start=n // 2)[0])[:, 1]
            row = {
                "part": "libraries", "set": name, "workers": workers, "method": method, "items": n,
                "duplicates": int(n - len(np.unique(first))),
                "repeated_next_epoch": int((first == second).sum()),
                "as_with_0_workers": int((first == alone).sum()),
                "as_when_resumed": int((first[n // 2 :] == half).sum()),
            }  # fmt: skip
            results.add({"persistent": False, "world": 1, **row})
            harness.say(f"{name}, {workers} workers {method}: {row}")


def epochs_of(dataset: Any, workers: int, method: str, passes: int, start: int = 0) -> list[list[np.ndarray]]:
    """Return the digests of passes of a loader that is made as a run begins: seeded, and in order."""
    torch.manual_seed(137)
    order = Order()
    order.places = list(range(start, len(dataset)))
    loader = loader_of(dataset, order, workers, method, False, 4)
    return [list(loader) for _ in range(passes)]


# ------------------------------------------------------------------ overhead
def overhead_rows(turns: int, items: int, results: harness.Results) -> None:
    """Time keyed beside unkeyed draws of the same steps."""
    x = pictures(1)[0]
    for name in (*POLICIES, BATCHED):
        unkeyed, keyed = unkeyed_of(name, x), keyed_of(name, x)
        costs: dict[str, list[float]] = {"unkeyed": [], "keyed": []}
        for function in (unkeyed, keyed):
            for i in range(100):
                function(i)
        for _ in range(turns):
            for key, function in (("unkeyed", unkeyed), ("keyed", keyed)):
                start = time.process_time()
                for i in range(items):
                    function(i)
                costs[key].append((time.process_time() - start) / items * 1e6)
        row: dict[str, Any] = {f"{key}_us": float(np.median(values)) for key, values in costs.items()}
        difference = np.subtract(costs["keyed"], costs["unkeyed"])
        row |= {"overhead_us": float(np.median(difference)), "limit_us": LIMITS_US.get(name)}
        row |= {"overhead_least_us": float(difference.min()), "overhead_most_us": float(difference.max())}
        row |= {"turns": turns, "items": items}
        results.add({"part": "overhead", "set": name, "workers": 0, "method": "", "persistent": False,
                     "world": 1, **row})  # fmt: skip
        harness.say(f"{name}: {row}")


def unkeyed_of(name: str, x: np.ndarray) -> Callable[[int], Any]:
    """Return the steps as their library runs them."""
    policy = policy_of(name.partition(",")[0])
    if name.startswith("native"):
        rng, steps = np.random.default_rng(0), policy.perturbations

        def edit(i: int) -> Any:
            made = x
            for step in steps:
                made = step.apply(made, step.draw(made, rng))
            return made

        return edit
    if name == "albumentations":
        return lambda i: policy(image=x)["image"]
    tensor = torch.from_numpy(x).permute(2, 0, 1).contiguous()
    return lambda i: policy(tensor)


def keyed_of(name: str, x: np.ndarray) -> Callable[[int], Any]:
    """Return the steps as a PerturbedDataset runs them: alone, or every 64th call for a batch."""
    policy = as_perturbation(policy_of(name.partition(",")[0])).fit(None)
    streams = Streams(3)
    if name == BATCHED:
        batch = [x] * 64

        def edit(i: int) -> Any:
            if i % 64 == 0:
                policy.edit_many(batch, ItemKeys(3, 0, np.arange(i, i + 64)))

        return edit
    picture: Any = torch.from_numpy(x).permute(2, 0, 1).contiguous() if name == "torchvision" else x
    return lambda i: policy.apply(picture, policy.draw(picture, streams.at(0, i)))


# ------------------------------------------------------------------ report
NOTE = """Item i of a `PerturbedDataset` against the same item read alone in one process. Each cell of the
matrix reads epochs in shuffled orders from its resume points on; with a world of 2, two ranks with sets of
their own read every other place, from resume points of their own. Workers that are spawned anew for every
pass are read from two resume points only.
"""
LIBRARIES = """Every record is the same picture, so that two items are equal only if their draws are.
*Duplicates*: items that repeat an earlier one of the epoch. *Next epoch*: items that the second pass gives
again. *0 workers*: items as without workers, same seeds. *Resumed*: items of the second half, when a fresh
run with the same seeds begins there.
"""


def report(results: harness.Results) -> str:
    """Return the tables of the result file."""
    rows = results.rows()
    parts = {
        part: [row for row in rows if row["part"] == part] for part in ("matrix", "libraries", "overhead")
    }
    text = ["# Items by seed, epoch and index", ""]
    if parts["matrix"]:
        total = {k: sum(row[k] for row in parts["matrix"]) for k in ("draws", "mismatches", "lost", "cpu_s")}
        each = ", ".join(
            f"{name} {sum(row[f'mismatches_{name}'] for row in parts['matrix'])} of "
            f"{sum(row[f'draws_{name}'] for row in parts['matrix']):,}"
            for name in POLICIES
        )
        text += [NOTE, f"**{total['mismatches']} mismatches in {total['draws']:,} draws** ({each}); "
                 f"{total['lost']} lost or out of order; {total['cpu_s']:.0f} CPU-s.", ""]  # fmt: skip
        header = ("workers", "start", "persistent", "world", "resume points", "draws", "mismatches")
        body = [
            (str(r["workers"]), r["method"] or "-", "yes" if r["persistent"] else "no", str(r["world"]),
             str(r["resumes"]), f"{r['draws']:,}", str(r["mismatches"]))
            for r in parts["matrix"]
        ]  # fmt: skip
        text += [harness.table(header, body, markdown=True), ""]
    if parts["libraries"]:
        header = ("items", "workers", "duplicates", "next epoch", "0 workers", "resumed")
        body = [
            (r["set"], f"{r['workers']} {r['method']}".strip(), f"{r['duplicates']} of {r['items']}",
             str(r["repeated_next_epoch"]), str(r["as_with_0_workers"]),
             f"{r['as_when_resumed']} of {r['items'] - r['items'] // 2}")
            for r in parts["libraries"]
        ]  # fmt: skip
        text += [
            "## Beside the bare libraries",
            "",
            LIBRARIES,
            harness.table(header, body, markdown=True),
            "",
        ]
    if parts["overhead"]:
        header = ("three steps", "unkeyed us", "keyed us", "overhead us", "least to most", "wanted")
        body = [
            (r["set"], f"{r['unkeyed_us']:.1f}", f"{r['keyed_us']:.1f}", f"{r['overhead_us']:.1f}",
             f"{r['overhead_least_us']:.1f} to {r['overhead_most_us']:.1f}",
             f"<= {r['limit_us']:.0f}" if r["limit_us"] else "-")
            for r in parts["overhead"]
        ]  # fmt: skip
        text += ["## What keys cost", "", harness.table(header, body, markdown=True), ""]
    run = results.read()["runs"][-1] if results.rows() else {}
    versions = harness.versions(("augsynth", "numpy", "torch", "torchvision", "albumentations"))
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    loads = [row["load_average"] for row in rows if row.get("load_average") is not None]
    load = f"load {min(loads)} to {max(loads)}" if loads else "load unknown"
    text.append(
        f"{run.get('cpu')}, {run.get('cores')} cores, one thread, {load}; {listed}; {run.get('date')}."
    )
    return "\n".join(text) + "\n"


def main() -> None:
    """Run what the command line asks for."""
    p = harness.parser(__doc__ or "", seeds=1, methods=("matrix", "libraries", "overhead"), resumable=True)
    p.add_argument(
        "--draws", type=int, default=1_000_000, help="item draws of the matrix (default 1,000,000)"
    )
    p.add_argument("--resumes", type=int, default=20, help="resume points of a configuration (default 20)")
    p.add_argument("--report", action="store_true", help="only write the tables again")
    arguments = p.parse_args()
    name = "determinism_quick" if arguments.quick else "determinism"
    key = ("part", "set", "workers", "method", "persistent", "world")
    results = harness.Results(arguments.out / f"{name}.json", key=key, protocol=PROTOCOL)
    wanted = () if arguments.report else arguments.only or ("matrix", "libraries", "overhead")
    draws, resumes = (6_000, 3) if arguments.quick else (arguments.draws, arguments.resumes)
    if "overhead" in wanted:
        overhead_rows(3 if arguments.quick else 15, 640 if arguments.quick else 1_920, results)
    if "libraries" in wanted:
        library_rows(64 if arguments.quick else 512, results)
    if "matrix" in wanted:
        matrix_rows(draws, resumes, results, redo=arguments.redo)
    text = report(results)
    (arguments.out / f"{name}.md").write_text(text, encoding="utf-8")
    harness.say(text)


if __name__ == "__main__":
    main()
