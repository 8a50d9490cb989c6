"""Whole image sets: train a classifier on made images only, test it on real ones, beside the controls.

    python benchmarks/images.py                                   # digits, three seeds, every method
    python benchmarks/images.py --sets fashion --seeds 1 --only vae
    python benchmarks/images.py --sets fashion --rows 10000       # fewer training images
    OMP_NUM_THREADS=2 python benchmarks/images.py --only gan --redo   # on two idle cores

Every method is shown the training images and makes as many of each label as there
are (digits) or 10,000 (Fashion-MNIST, ``--made``). What each measure is: the head of
image_measures.py. Generators run at their defaults unless ``--steps`` says otherwise.
Fashion-MNIST without ``--only`` runs the controls and the VAE; the other deep
generators have to be named there (on a processor they take long).

real        the real training images themselves; fidelity and closeness of other real images
copy        training images drawn with replacement
perturbed   copies moved by up to 1 pixel (digits) or 2 pixels and flipped sideways (Fashion-MNIST)
smote       lines between neighbours of one class, on the pixels
regression  the mean image of the class
"""

from __future__ import annotations

import harness  # first: pins the threads
from harness import say

# isort: split
import argparse
import os
from functools import cached_property, partial
from typing import Any

import image_measures as measures
import numpy as np
import torch
from budget import estimate
from image_data import ImageSplit, load_images
from image_methods import CONTROLS, DEEP, image_generator, make_images

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

SETS = ("digits", "fashion")
DEFAULT_SETS = ("digits",)
HEADLINE = {"digits": "svc", "fashion": "cnn"}
FASHION_DEFAULT = ("real", "copy", "perturbed", "smote", "regression", "vae")
MADE = {"digits": None, "fashion": 10_000}
WALL_LIMIT_S = 90
BARS = {
    "digits": {"vae": 0.95, "diffusion": 0.95, "gan": 0.92},
    "fashion": {"vae": 0.85},
}
PROTOCOL = {
    "what": __doc__,
    "measures": measures.__doc__,
    "classifier": {"digits": "SVC() and LogisticRegression(max_iter=2000)", "fashion": measures.CNN},
    "share": "accuracy over that of the same classifier and seed trained on all real training images",
    "seconds": "within_90_s: wall time of fit and sample; threads and load stand beside it",
    "bars": BARS,
}


class Judge:
    """The measures of one split: what is the same for all methods is made once."""

    def __init__(self, split: ImageSplit, seed: int):
        self.split, self.seed = split, seed
        rng = np.random.default_rng([seed, 9])
        self.test_rows = rng.permutation(len(split.y_test))

    @cached_property
    def feature_model(self) -> Any:
        """The classifier whose features are compared (Fashion-MNIST)."""
        split = self.split
        return measures.fit_cnn(split.X_train, split.y_train, top=split.top, seed=0)

    def features(self, X: np.ndarray) -> np.ndarray:
        """Return images in the space of precision and recall."""
        if self.split.name == "digits":
            return measures.flat(X, self.split.top)
        return measures.cnn_outputs(self.feature_model, X, top=self.split.top, features=True)

    def accuracy(self, X: np.ndarray, y: np.ndarray) -> dict[str, float]:
        """Return the accuracies of the fixed classifiers trained on these images."""
        s = self.split
        return measures.accuracies(s.name, X, y, s.X_test, s.y_test, top=s.top, seed=self.seed)

    def fidelity(self, made: np.ndarray) -> dict[str, float]:
        """Return precision, recall, density and coverage against as many test images."""
        rng = np.random.default_rng([self.seed, 10])
        n = min(len(made), len(self.split.y_test), measures.FIDELITY_ROWS)
        real = self.split.X_test[self.test_rows[:n]]
        return measures.prdc(self.features(made[rng.permutation(len(made))[:n]]), self.features(real)) | {
            "fidelity_rows": n
        }

    def memory(self, made: np.ndarray, held_out: np.ndarray) -> dict[str, float]:
        """Return the share of made images nearer to training than to held-out ones, and the copies."""
        s, rng = self.split, np.random.default_rng([self.seed, 11])
        asked = made[rng.permutation(len(made))[:1000]]
        sides = (measures.flat(part, s.top) for part in (asked, s.X_train, held_out))
        draws = max(1, min(5, len(s.X_train) // len(held_out)))
        return {
            "closer": measures.closer(*sides, seed=self.seed, draws=draws),
            "copies": measures.copies(asked, s.X_train),
        }


def real_row(judge: Judge) -> dict[str, Any]:
    """Return the measures of real images: what no method can be expected to beat."""
    s = judge.split
    half, other = np.array_split(judge.test_rows, 2)
    return {
        "made": len(s.y_train),
        "accuracy": judge.accuracy(s.X_train, s.y_train),
        **judge.fidelity(s.X_train),
        **judge.memory(s.X_test[half], s.X_test[other]),
    }


def labels_wanted(split: ImageSplit, made: int | None) -> np.ndarray:
    """Return the labels to ask for: those of the training images, or so many in their shares."""
    if made is None or made >= len(split.y_train):
        return split.y_train
    return split.y_train[np.linspace(0, len(split.y_train) - 1, made).astype(np.intp)]


def run_one(method: str, judge: Judge, made: int | None, steps: int | None = None) -> dict[str, Any]:
    """Return the fields of one method on one split."""
    s = judge.split
    row: dict[str, Any] = {"rows": len(s.y_train), "note": s.note, "threads": torch.get_num_threads()}
    if method == "real":
        return row | real_row(judge)
    wanted = labels_wanted(s, made)
    found = make_images(method, s.name, s.X_train, s.y_train, wanted, judge.seed, steps)
    wall = found.fit.wall_s + found.sample.wall_s
    return row | {
        "made": len(wanted),
        "accuracy": judge.accuracy(found.X, wanted),
        **judge.fidelity(found.X),
        **judge.memory(found.X, s.X_test),
        "fit_cpu_s": found.fit.cpu_s, "fit_wall_s": found.fit.wall_s,
        "sample_cpu_s": found.sample.cpu_s, "sample_wall_s": found.sample.wall_s,
        "within_90_s": wall <= WALL_LIMIT_S,
        **found.notes,
    }  # fmt: skip


# ------------------------------------------------------------------ report
def with_shares(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to every row the share of the real-trained accuracy of its set and seed."""
    real = {(r["data"], r["seed"]): r["accuracy"] for r in rows if r["method"] == "real"}
    out = []
    for row in rows:
        base = real.get((row["data"], row["seed"]), {})
        out.append(row | {f"share_{k}": v / base[k] for k, v in row["accuracy"].items() if k in base})
    return out


HEAD = """# {name}: a classifier trained on made images, tested on real ones

Made images: {made}; accuracy of the {kind} trained on all real training images {real}. {cpu}.
Means ± standard deviations over the seeds. CPU-s, wall-s: fit and sample. Measures: the head of
`image_measures.py`.

"""


def report(rows: list[dict[str, Any]], name: str, cpu: str = "") -> str:
    """Return the Markdown table of one set: means and standard deviations over the seeds."""
    rows = with_shares([row for row in rows if row["data"] == name])
    ranked = [*CONTROLS, *DEEP]
    methods = sorted({r["method"] for r in rows}, key=lambda m: (ranked.index(m) if m in ranked else 99, m))
    kinds = list(dict.fromkeys(k for r in rows for k in r["accuracy"]))
    fields = {f"share_{k}": f"share of real, {k.upper() if k != 'logistic' else k}" for k in kinds}
    fields |= {k: k for k in ("precision", "recall", "density", "coverage", "closer", "copies")}
    lines = []
    for method in methods:
        own = [r for r in rows if r["method"] == method]
        cells = [harness.mean_sd([r.get(field) for r in own]) for field in fields]
        for unit in ("cpu_s", "wall_s"):
            spent = [r[f"fit_{unit}"] + r[f"sample_{unit}"] for r in own if f"fit_{unit}" in r]
            cells.append(harness.mean_sd(spent, 1))
        threads = "/".join(sorted({str(r["threads"]) for r in own}))
        lines.append([method, str(len(own)), *cells, threads])
    shown = ["method", "seeds", *fields.values(), "CPU-s", "wall-s", "threads"]
    made = sorted({r["made"] for r in rows if r["method"] != "real"})
    real = [r["accuracy"][HEADLINE[name]] for r in rows if r["method"] == "real"]
    facts = {
        "name": name,
        "cpu": cpu,
        "made": ", ".join(f"{n:,}" for n in made) or "none",
        "kind": HEADLINE[name].upper(),
        "real": harness.mean_sd(real),
    }
    head = HEAD.format(**facts)
    return head + harness.table(shown, lines, markdown=True) + "\n"


# ------------------------------------------------------------------ main
def methods_of(name: str, arguments: argparse.Namespace) -> list[str]:
    """Return the methods to run on a set; the real images always come first."""
    default = FASHION_DEFAULT if name == "fashion" else (*CONTROLS, *DEEP)
    asked = list(arguments.only or default)
    return ["real", *(m for m in asked if m != "real")]


def say_estimates(methods: list[str], split: ImageSplit, arguments: argparse.Namespace, made: int) -> None:
    """Say what one fit and sample of every deep generator will take."""
    for method in methods:
        if method not in DEEP:
            continue
        try:
            model = image_generator(method, split.name, 0)
            found = estimate(model, split.X_train, split.y_train, rows=made, steps=arguments.steps)
        except Exception as reason:
            say(f"{split.name} {method}: no estimate: {type(reason).__name__}: {reason}")
            continue
        say(
            f"{split.name} {method}: about {found.fit_cpu_s:.0f} CPU-s to fit ({found.steps:,} steps) and "
            f"{found.sample_cpu_s:.0f} to sample, a seed"
        )


def run_set(name: str, arguments: argparse.Namespace) -> None:
    """Run what the result file of one set lacks, and write its table."""
    stem = f"images_{name}{'_quick' if arguments.quick else ''}"
    results = harness.Results(
        arguments.out / f"{stem}.json", key=("data", "method", "seed"), protocol=PROTOCOL
    )
    methods = methods_of(name, arguments)
    steps = arguments.steps or (20 if arguments.quick else None)
    rows = arguments.rows or (300 if arguments.quick else None)
    for seed in harness.seeds_of(arguments):
        try:
            split = load_images(name, seed, folder=arguments.data, rows=rows)
        except harness.NotHere as reason:
            say(f"{name}: left out: {reason}")
            return
        judge = Judge(split, seed)
        made = arguments.made or MADE[name]
        wanted = len(labels_wanted(split, made))
        if seed == arguments.first_seed and arguments.estimate:
            say_estimates(methods, split, arguments, wanted)
            return
        for method in methods:
            key = {"data": name, "method": method, "seed": seed}
            redo = arguments.redo and (method != "real" or arguments.only is None or "real" in arguments.only)
            row = results.run_missing(key, partial(run_one, method, judge, made, steps), redo=redo)
            if row is not None:
                shown = {k: round(v, 4) for k, v in row.items() if isinstance(v, float)}
                say(f"{name} {method} seed {seed}: {row['accuracy']} {shown}")
    content = results.read()
    text = report(content["rows"], name, content["runs"][-1]["cpu"] if content["runs"] else "")
    (arguments.out / f"{stem}.md").write_text(text, encoding="utf-8")
    say("\n" + text)


def main() -> None:
    """Run the image benchmark."""
    parser = harness.parser(__doc__, seeds=3, methods=[*CONTROLS, *DEEP], resumable=True)
    parser.add_argument("--sets", nargs="+", default=list(DEFAULT_SETS), choices=SETS, help="image sets")
    parser.add_argument("--rows", type=int, default=None, help="so many training images (default: all)")
    parser.add_argument("--made", type=int, default=None, help="so many made images (default: see above)")
    parser.add_argument("--steps", type=int, default=None, help="training steps of the deep generators")
    parser.add_argument("--estimate", action="store_true", help="only say what the deep generators will take")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.sets:
        run_set(name, arguments)
    say(f"threads {torch.get_num_threads()}, load {harness.load_average()}")


if __name__ == "__main__":
    main()
