"""Rebalancing images: one class of Fashion-MNIST thinned to 50 training images; does filling it up help?

    python benchmarks/rare_image.py                      # everything that is missing in the result file
    python benchmarks/rare_image.py --estimate           # run nothing, say what it would cost
    python benchmarks/rare_image.py --only gan --redo    # re-run one method, keep the rest
    python benchmarks/rare_image.py --report             # only write the tables again

50 training images of one class (Shirt, the hardest; fixed before any result was seen)
and 600 of each of the other nine, drawn by the seed; every method makes the 550 images that
the class lacks. A fixed small network (image_measures.SmallCNN, 400 steps of 128 images, same
first weights for all methods of a seed) is trained on real and made images and tested on
the 10,000 test images of the origin.

nothing     the thinned images as they are
weights     the loss weighted against class frequency (mean weight one)
copy        images of the class drawn with replacement
perturbed   copies moved by up to 2 pixels and flipped sideways (classic perturbations)
smote       lines between neighbours of the class, on the pixels
real        550 more real images of the class: the ceiling
vae, gan, diffusion, autoregressive
            fitted on all 5,450 training images, conditioned on the class; the training steps
            are explicit (STEPS, ``--steps``), so that the default run costs about an hour of CPU time

The intervals are 95 % t intervals of the paired difference over the seeds: other training
images and another first network each time, but the same test images. They say nothing about
other classes or other sets, and are not corrected for the number of comparisons.
"""

from __future__ import annotations

import harness  # first: pins the threads
from harness import say

# isort: split
import argparse
import os
import statistics
from functools import partial
from typing import Any

import numpy as np
import torch
from budget import estimate
from image_data import ImageSplit, chosen, digits, fashion
from image_measures import cnn_outputs, fit_cnn
from image_methods import DEEP, image_generator, make_images
from rare_report import interval, signed

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

RARE, OTHERS, CLASS = 50, 600, 6
CNN_STEPS = 400
BASELINES = ("nothing", "weights")
METHODS = (*BASELINES, "copy", "perturbed", "smote", "real", *DEEP)
AGAINST = ("nothing", "weights", "copy", "perturbed")
SCORES = ("recall", "precision", "balanced_accuracy", "average_precision")
STEPS: dict[str, int] = {"vae": 900, "gan": 800, "diffusion": 700, "autoregressive": 250}
PROTOCOL = {"what": __doc__, "rare": RARE, "others": OTHERS, "cnn_steps": CNN_STEPS, "steps": STEPS}


def thinned(
    split: ImageSplit, label: int, rare: int, others: int, seed: int
) -> tuple[ImageSplit, np.ndarray]:
    """Return the thinned split, and real images of the class that were left out, as many as it lacks."""
    counts = {int(k): rare if k == label else others for k in np.unique(split.y_train)}
    full = chosen(split.y_train, {label: others}, seed)
    kept = chosen(split.y_train, counts, seed)
    return split.with_train(kept), split.X_train[np.setdiff1d(full, kept)]


def class_scores(probability: np.ndarray, y: np.ndarray, label: int) -> dict[str, float]:
    """Return recall, precision and average precision of one class, and the mean recall of all."""
    from sklearn.metrics import average_precision_score

    said, true = probability.argmax(1), y == label
    recalls = [float((said[y == k] == k).mean()) for k in np.unique(y)]
    hit = float(((said == label) & true).sum())
    return {
        "recall": hit / float(true.sum()),
        "precision": hit / float((said == label).sum()) if (said == label).any() else 0.0,
        "balanced_accuracy": float(np.mean(recalls)),
        "accuracy": float((said == y).mean()),
        "average_precision": float(average_precision_score(true, probability[:, label])),
    }


def run_one(
    method: str, thin: ImageSplit, left_out: np.ndarray, seed: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return the fields of one method and seed."""
    label, n = arguments.label, len(left_out)
    X, y = thin.X_train, thin.y_train
    row: dict[str, Any] = {"images": len(y), "rare": int((y == label).sum()), "made": 0}
    class_weights = None
    if method == "weights":
        counts = np.bincount(y)
        class_weights = len(y) / (len(counts) * counts)
    elif method != "nothing":
        extra = left_out
        if method != "real":
            found = make_images(method, thin.name, X, y, np.full(n, label), seed, steps_of(method, arguments))
            extra = found.X
            row |= {"fit_cpu_s": found.fit.cpu_s, "sample_cpu_s": found.sample.cpu_s, **found.notes}
        X, y = np.concatenate([X, extra.astype(X.dtype)]), np.concatenate([y, np.full(n, label)])
        row["made"] = n
    cnn_steps = 40 if arguments.quick else CNN_STEPS
    model = fit_cnn(X, y, top=thin.top, seed=seed, class_weights=class_weights, steps=cnn_steps)
    return row | class_scores(cnn_outputs(model, thin.X_test, top=thin.top), thin.y_test, label)


def steps_of(method: str, arguments: argparse.Namespace) -> int | None:
    """Return the training steps of a deep generator."""
    if method not in DEEP:
        return None
    return arguments.steps or (5 if arguments.quick else STEPS[method])


def timed_row(method: str, *args: Any) -> dict[str, Any]:
    """Return the fields with what all of it took."""
    row, cost = harness.measured(run_one, method, *args)
    return row | {"total_cpu_s": round(cost.cpu_s, 2)}


# ------------------------------------------------------------------ report
def paired(rows: list[dict[str, Any]], method: str, against: str, score: str) -> list[float]:
    """Return the differences of two methods, seed by seed."""
    found = {(r["method"], r["seed"]): r[score] for r in rows}
    return [
        found[m, s] - found[against, s] for m, s in sorted(found) if m == method and (against, s) in found
    ]


def score_table(rows: list[dict[str, Any]], methods: list[str], score: str) -> str:
    """Return means of one score, and the paired differences with their intervals."""
    against = [m for m in AGAINST if any(r["method"] == m for r in rows)]
    lines = []
    for method in methods:
        own = [r for r in rows if r["method"] == method]
        line = [method, str(len(own)), harness.mean_sd([r[score] for r in own])]
        for other in against:
            differences = paired(rows, method, other, score) if other != method else []
            line.append(signed(*interval(differences)).strip() if differences else "")
        if score == SCORES[0]:
            spent = [r["fit_cpu_s"] + r["sample_cpu_s"] for r in own if "fit_cpu_s" in r]
            line.append(f"{statistics.fmean(spent):.1f}" if spent else "-")
        lines.append(line)
    header = ["method", "seeds", score.replace("_", " "), *(f"against {m}" for m in against)]
    return harness.table(header + (["CPU-s"] if score == SCORES[0] else []), lines, markdown=True)


HEAD = """# Rebalancing images: class {label} of {data} thinned to {rare} training images

{rare} images of the class among {images:,}; {made} more are made (or real: the ceiling). A fixed small
network on real and made images, {seeds} seeds, the real test set. Means ± standard deviations; differences
are paired, with 95 % t intervals over the seeds only (other training images and first weights each
time; the same test images), * where the interval leaves out zero, not corrected for the number of
comparisons.
CPU-s: fit and sample. Training steps of the generators: {steps}. {cpu}, one thread.
"""


def report(rows: list[dict[str, Any]], cpu: str = "") -> str:
    """Return the Markdown report of the rows."""
    methods = sorted({r["method"] for r in rows}, key=lambda m: METHODS.index(m) if m in METHODS else 99)
    parts = []
    for data, label in sorted({(r["data"], r["label"]) for r in rows}):
        own = [r for r in rows if (r["data"], r["label"]) == (data, label)]
        steps = {r["method"]: r["steps"] for r in own if "steps" in r}
        facts = {"label": label, "data": data, "rare": own[0]["rare"], "images": own[0]["images"], "cpu": cpu}
        facts |= {"made": max(r["made"] for r in own), "seeds": len({r["seed"] for r in own})}
        parts.append(HEAD.format(**facts, steps=", ".join(f"{k} {v:,}" for k, v in steps.items()) or "none"))
        there = [m for m in methods if any(r["method"] == m for r in own)]
        for score in SCORES:
            parts += [f"## {score.replace('_', ' ').capitalize()}", score_table(own, there, score)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


# ------------------------------------------------------------------ main
def say_estimate(
    missing: list[tuple[str, int]],
    thin: ImageSplit,
    rows: list[dict[str, Any]],
    arguments: argparse.Namespace,
) -> None:
    """Say what the missing rows will cost: as rows of the file did, else by a few training steps."""
    total = 0.0
    for method in dict.fromkeys(m for m, _ in missing):
        n = sum(m == method for m, _ in missing)
        known = [r["total_cpu_s"] for r in rows if r["method"] == method]
        each = statistics.fmean(known) if known else 20.0  # the classifier alone
        if method in DEEP and not known:
            try:
                model = image_generator(method, thin.name, 0)
                X, y = thin.X_train, thin.y_train
                made = OTHERS - RARE
                each += estimate(model, X, y, rows=made, steps=steps_of(method, arguments)).cpu_s
            except Exception as reason:
                say(f"{method}: no estimate: {type(reason).__name__}: {reason}")
        total += n * each
        say(f"{method}: {n} rows of about {each:.0f} CPU-s")
    say(f"about {total / 60:.1f} CPU-minutes for {len(missing)} missing rows")


def run(arguments: argparse.Namespace, results: harness.Results) -> None:
    """Run what the result file lacks, seed by seed."""
    rare, others = (10, 30) if arguments.quick else (arguments.rare, OTHERS)
    splits = {}
    for seed in harness.seeds_of(arguments):
        full = digits(seed) if arguments.quick else fashion(seed, folder=arguments.data)
        splits[seed] = thinned(full, arguments.label, rare, others, seed)
    data = "digits" if arguments.quick else "fashion"
    methods = arguments.only or METHODS
    base = {"data": data, "label": arguments.label}
    missing = [
        (m, s) for s in splits for m in methods if arguments.redo or not results.has(**base, method=m, seed=s)
    ]
    if not arguments.quick:
        say_estimate(missing, splits[arguments.first_seed][0], results.rows(), arguments)
    if arguments.estimate:
        return
    for method, seed in missing:
        row = results.run_missing(
            {**base, "method": method, "seed": seed},
            partial(timed_row, method, *splits[seed], seed, arguments),
            redo=arguments.redo,
        )
        if row is not None:
            brief = ", ".join(f"{score} {row[score]:.3f}" for score in SCORES)
            say(f"{data} {arguments.label} {method} seed {seed}: {brief}, {row['total_cpu_s']:.1f} CPU-s")


def main() -> None:
    """Run the rare-image benchmark."""
    parser = harness.parser(__doc__, seeds=5, methods=METHODS, resumable=True)
    parser.add_argument(
        "--class", dest="label", type=int, default=CLASS, help=f"the thinned class, 0 to 9 ({CLASS})"
    )
    parser.add_argument("--rare", type=int, default=RARE, help=f"its training images ({RARE})")
    parser.add_argument("--steps", type=int, default=None, help=f"training steps of the generators ({STEPS})")
    parser.add_argument("--report", action="store_true", help="run nothing, write the tables again")
    parser.add_argument("--estimate", action="store_true", help="run nothing, say what it would cost")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    stem = "rare_image" + ("_quick" if arguments.quick else "")
    results = harness.Results(
        arguments.out / f"{stem}.json", key=("data", "label", "method", "seed"), protocol=PROTOCOL
    )
    if not arguments.report:
        try:
            run(arguments, results)
        except harness.NotHere as reason:
            say(f"nothing was run: {reason}")
            return
        if arguments.estimate:
            return
    content = results.read()
    text = report(content["rows"], content["runs"][-1]["cpu"] if content["runs"] else "")
    (arguments.out / f"{stem}.md").write_text(text, encoding="utf-8")
    say("\n" + text)


if __name__ == "__main__":
    main()
