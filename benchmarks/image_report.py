"""What the checks of pictures cost and say: 10,000 pictures of 28 x 28, every check, all controls.

    python benchmarks/image_report.py              # what is missing in the result file
    python benchmarks/image_report.py --quick      # 600 pictures: shows that it runs
    python benchmarks/image_report.py --only blur --redo
    python benchmarks/image_report.py --alarms 100 # instead: real against real, small sets of digits

new    real      10,000 other real pictures: nothing should fail
       blur      the same, each pixel averaged with its four neighbours
       labels    the same, a third of the shirts labelled as coats
       few       500 real pictures, each 20 times, shifted by at most a pixel: many rows, little variety
Pictures are Fashion-MNIST. A row of the result file is one process: all checks, all controls.
"""

from __future__ import annotations

import harness  # first: pins the threads

# isort: split
import time
from typing import Any

import numpy as np
from image_data import load_images

from augsynth.check.checks import default_checks
from augsynth.check.evidence import Evidence
from augsynth.check.finding import CONTROLS
from augsynth.check.gathering import gather
from augsynth.check.pictures import CHECKS
from augsynth.check.report.examination import examine
from augsynth.core.random import keyed_rng

NEW = ("real", "blur", "labels", "few")
ROWS, QUICK = 10_000, 600
PROTOCOL = {
    "pictures": "training 10,000, new 10,000, hold-out 10,000; classes as they come",
    "cost": "CPU-seconds of gather and of every check with its controls, one thread",
    "memory": "peak resident memory beyond that before gather, which holds the pictures",
    "required": "real, blur, ...: at most 180 CPU-seconds",
    "alarms": "digits 8 x 8, 600 training, 300 new, 300 held out, all real; level 5 %",
}


def blurred(X: np.ndarray) -> np.ndarray:
    """Return pictures whose pixels are averaged with their four neighbours."""
    padded = np.pad(X.astype(float), ((0, 0), (1, 1), (1, 1)), mode="edge")
    sides = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    return np.rint((padded[:, 1:-1, 1:-1] + sides) / 5).astype(X.dtype)


def new_pictures(kind: str, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures and labels that are checked."""
    rng = np.random.default_rng(1)
    if kind == "blur":
        return blurred(X), y
    if kind == "labels":
        shirts = np.flatnonzero(y == 6)
        y = y.copy()
        y[rng.choice(shirts, len(shirts) // 3, replace=False)] = 4
        return X, y
    if kind == "few":
        places = np.resize(np.arange(len(X) // 20), len(X))
        shifts = rng.integers(-1, 2, size=(len(X), 2))
        return np.stack([np.roll(X[p], s, axis=(0, 1)) for p, s in zip(places, shifts, strict=True)]), y[
            places
        ]
    return X, y


class Prepared:
    """The pictures, loaded in the measured process before the clock starts."""

    def __init__(self, kind: str, n: int):
        split = load_images("fashion", 0)
        order = np.random.default_rng(0).permutation(len(split.y_train))
        a, b = order[:n], order[n : 2 * n]
        self.train = split.X_train[a], split.y_train[a]
        self.new = new_pictures(kind, split.X_train[b], split.y_train[b])
        self.held = split.X_test[:n], split.y_test[:n]


def run(prepared: Prepared) -> dict[str, Any]:
    """Run every check, and return costs and findings."""
    begin = time.process_time()
    evidence: Evidence = gather(*prepared.train, *prepared.new, holdout=prepared.held)
    gathered = time.process_time() - begin
    findings, notes, seconds = examine(evidence, default_checks(), tell=lambda line: None)
    total = time.process_time() - begin
    shown = []
    for each in findings:
        if np.isnan(each.value) and each.caution:
            continue
        kept = ("part", "name", "value", "low", "high", "null", "p_value", "p_adjusted", "status", "sentence")
        figures = {name: getattr(each, name) for name in kept}
        figures = {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in figures.items()}
        controls = {name: each.controls.get(name) for name in CONTROLS}
        figures["controls"] = {k: None if v is None or np.isnan(v) else v for k, v in controls.items()}
        shown.append({**figures, "cpu_s": seconds.get(each.name)})
    return {"cpu_s": total, "gather_cpu_s": gathered, "notes": list(notes), "findings": shown}


def row(kind: str, n: int) -> dict[str, Any]:
    """Check one set of new pictures in a process of its own."""
    found, cost = harness.measured_isolated(run, kind, n, setup=Prepared)
    return {"new": kind, "n": n, **found, "wall_s": cost.wall_s, "extra_mb": cost.extra_mb}


def alarms(runs: int, first: int) -> dict[str, Any]:
    """Return how often each check of pictures rejects at 5 % although all rows are real."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8).astype(np.uint8)
    found: dict[str, list[float]] = {}
    for k in range(first, first + runs):
        a, b, c = np.split(np.random.default_rng([5, k]).permutation(len(X))[:1200], [600, 900])
        evidence = gather(X[a], y[a], X[b], y[b], holdout=(X[c], y[c]), random_state=k)
        for kind in CHECKS:
            check = kind(network=False) if kind.name == "classification_accuracy" else kind()
            p = check.run(evidence, keyed_rng(k, 7)).p_value
            found.setdefault(check.name, []).append(p)
    return {
        name: {"runs": len(p), "at_5_percent": int(np.sum(np.array(p) <= 0.05)), "least_p": min(p)}
        for name, p in found.items()
    }


def page(rows: list[dict[str, Any]]) -> str:
    """Return the text of the result page."""
    text = ["# Checks of pictures: cost, and what they say\n"]
    runs = [each for each in rows if each["new"] in NEW]
    cost = [[r["new"], f"{r['n']:,}", f"{r['cpu_s']:.0f}", f"{r['extra_mb']:.0f}"] for r in runs]
    text.append(harness.table(["new", "pictures", "CPU-s", "peak MB"], cost, markdown=True))
    for r in runs:
        lines = []
        for f in r["findings"]:
            figures = [f["value"], f["null"], *f["controls"].values(), f["p_value"], f["cpu_s"]]
            shown = ["-" if v is None else f"{v:.3g}" for v in figures]
            lines.append([f["name"], *shown[:-1], f["status"], shown[-1]])
        header = ["check", "value", "null", *CONTROLS, "p", "status", "CPU-s"]
        text += [f"\n## {r['new']}\n", harness.table(header, lines, markdown=True)]
    for r in rows:
        if r["new"] == "alarms":
            lines = [[k, str(v["at_5_percent"]), str(v["runs"])] for k, v in r["checks"].items()]
            text.append("\n## False alarms at level 5 %: real against real, digits\n")
            text.append(harness.table(["check", "alarms", "runs"], lines, markdown=True))
    return "\n".join(text) + "\n"


def main() -> None:
    p = harness.parser(__doc__, seeds=1, methods=NEW, resumable=True)
    p.add_argument("--alarms", type=int, default=0, help="runs of real against real on digits, instead")
    arguments = p.parse_args()
    name = "image_report_quick" if arguments.quick else "image_report"
    results = harness.Results(arguments.out / f"{name}.json", key=["new"], protocol=PROTOCOL)
    if arguments.alarms:
        results.add({"new": "alarms", "n": 300, "checks": alarms(arguments.alarms, arguments.first_seed)})
    for kind in () if arguments.alarms else arguments.only or NEW:
        n = QUICK if arguments.quick else ROWS
        done = results.run_missing({"new": kind}, lambda kind=kind, n=n: row(kind, n), redo=arguments.redo)
        if done:
            harness.say(f"{kind}: {done['cpu_s']:.0f} CPU-s, {done['extra_mb']:.0f} MB beyond the pictures")
    if not arguments.quick:
        (arguments.out / f"{name}.md").write_text(page(results.rows()), encoding="utf-8")


if __name__ == "__main__":
    main()
