"""Whether `compare` keeps its word: how often it says "helps" when nothing helps, and when something does.

    python benchmarks/compare_honesty.py                 # what is missing in the result file
    python benchmarks/compare_honesty.py --quick         # a few runs of each case
    python benchmarks/compare_honesty.py --only null     # or oracle
    python benchmarks/compare_honesty.py --report        # only print the tables again

Every run draws new data (two Gaussian classes), calls `compare` once with its defaults
(5 folds x 5 repeats, baselines nothing and class weights) and ROC AUC as the score, and
also measures the true effect: the AUC gained on 20,000 fresh rows, at the size
of a training fold, over three training sets a run.

null      200 runs: augmentations that add no information and keep the class shares
    copies            as many stratified bootstrap copies as there are rows
    jittered copies   the same, with noise of 5 % of each feature's standard deviation
    bootstrap         the training rows replaced by a stratified bootstrap of themselves
    noise rows        10 % of rows added whose labels have nothing to do with their features
oracle    40 runs a case: fresh draws from the true distribution fill the rare class up
"""

from __future__ import annotations

import harness  # first: pins the threads

# isort: split
import argparse
import statistics
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from augsynth.check import compare

NULLS = ("copies", "jittered copies", "bootstrap", "noise rows")
MODELS = ("logistic regression", "tree")
NULL_WORLD = (600, 10, 0.15, 1.5)
# rows, features, share of the rare class, distance of the class means (in standard deviations), model
ORACLES = (
    (500, 40, 0.10, 2.0, "logistic regression"),
    (1000, 40, 0.10, 1.5, "logistic regression"),
    (1000, 40, 0.06, 2.0, "logistic regression"),
    (1000, 80, 0.10, 2.0, "logistic regression"),
    (2000, 120, 0.10, 2.0, "logistic regression"),
    (4000, 150, 0.05, 2.0, "logistic regression"),
    (500, 10, 0.10, 2.0, "tree"),
)
PROTOCOL = {
    "score": "ROC AUC, compare at its defaults: 5 folds x 5 repeats, baselines nothing and class weights",
    "true_gain": "AUC on 20,000 fresh rows, training sets of 80 % of the rows, mean of three a run",
    "required": "'helps' at most 16 times in 200 nulls; at least 80 % where the true gain is at least .03",
}


class World:
    """Two Gaussian classes with unit covariance, a random direction between their means."""

    def __init__(self, n: int, d: int, share: float, distance: float, seed: int):
        self.n, self.share = n, share
        self.rng = np.random.default_rng([7, seed])
        direction = self.rng.normal(size=d)
        self.shift = distance * direction / np.linalg.norm(direction)

    def labels(self, n: int) -> np.ndarray:
        y = np.zeros(n, dtype=int)
        y[: round(n * self.share)] = 1
        return y

    def rows(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return rng.normal(size=(len(y), len(self.shift))) + np.outer(y, self.shift)


class Augmentation:
    """A resampler of this benchmark: one of the nulls, or the oracle."""

    def __init__(self, kind: str, world: World, random_state: int | None = None):
        self.kind, self.world, self.random_state = kind, world, random_state

    def fit_resample(self, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(self.random_state)
        if self.kind == "oracle":
            made = np.ones(int((y == 0).sum() - (y == 1).sum()), dtype=int)
            return np.vstack([X, self.world.rows(made, rng)]), np.r_[y, made]
        if self.kind == "noise rows":
            made = y[rng.choice(len(y), len(y) // 10, replace=False)]
            return np.vstack([X, X[rng.choice(len(y), len(made))]]), np.r_[y, made]
        places = np.concatenate([rng.choice(np.flatnonzero(y == c), (y == c).sum()) for c in (0, 1)])
        if self.kind == "bootstrap":
            return X[places], y[places]
        noise = 0.05 * X.std(axis=0) if self.kind == "jittered copies" else 0.0
        copies = X[places] + noise * rng.normal(size=X.shape)
        return np.vstack([X, copies]), np.r_[y, y[places]]


def model(name: str) -> Any:
    return LogisticRegression(max_iter=500) if name == MODELS[0] else DecisionTreeClassifier(max_depth=5)


def true_gain(world: World, name: str, kind: str) -> float:
    """Return the mean AUC gained at the size of a training fold, on 20,000 fresh rows."""
    rng = world.rng
    y_test = np.repeat([0, 1], 10_000)
    X_test = world.rows(y_test, rng)
    gains = []
    for repeat in range(3):
        y = world.labels(int(0.8 * world.n))
        X = world.rows(y, rng)
        seed = int(rng.integers(2**31))
        score = []
        for rows in ((X, y), Augmentation(kind, world, seed).fit_resample(X, y)):
            fitted = model(name)
            if "random_state" in fitted.get_params():
                fitted.set_params(random_state=repeat)
            score.append(roc_auc_score(y_test, fitted.fit(*rows).predict_proba(X_test)[:, 1]))
        gains.append(score[1] - score[0])
    return float(np.mean(gains))


def one_run(n: int, d: int, share: float, distance: float, name: str, kind: str, seed: int) -> dict[str, Any]:
    """Draw a data set, compare once, measure the truth."""
    world = World(n, d, share, distance, seed)
    y = world.labels(n)
    X = world.rows(y, world.rng)
    result, cost = harness.measured(
        compare, model(name), {kind: Augmentation(kind, world)}, X, y, scoring="roc_auc", random_state=seed
    )
    frame = result.to_frame()
    nothing = frame[(frame["scope"] == "all") & (frame["against"] == "nothing")].iloc[0]
    return {
        "verdict": str(result.verdicts.loc[kind, "in all"]),
        "against_nothing": str(result.verdicts.loc[kind, "nothing"]),
        "against_weights": str(result.verdicts.loc[kind, "class weights"]),
        "difference": round(float(nothing["difference"]), 5),
        "low": round(float(nothing["low"]), 5),
        "high": round(float(nothing["high"]), 5),
        "true_gain": round(true_gain(world, name, kind), 5),
        "cpu_s": round(cost.cpu_s, 3),
    }


def cases(quick: bool, only: list[str] | None) -> list[dict[str, Any]]:
    """Return every run: 200 nulls, and 40 of each oracle."""
    listed = []
    per_null, per_oracle = (1, 2) if quick else (25, 40)
    for name in MODELS:
        for kind in NULLS:
            listed += [
                {"part": "null", "kind": kind, "model": name, "world": list(NULL_WORLD), "seed": seed}
                for seed in range(per_null)
            ]
    for *world, name in ORACLES:
        listed += [
            {"part": "oracle", "kind": "oracle", "model": name, "world": world, "seed": 1000 + seed}
            for seed in range(per_oracle)
        ]
    return [case for case in listed if not only or case["part"] in only]


def table(rows: list[dict[str, Any]], part: str) -> str:
    """Return one line a case: how often which word, true gain, coverage of the interval."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row["part"] == part:
            groups.setdefault((row["kind"], row["model"], *row["world"]), []).append(row)
    lines = [
        "| augmentation | model | rows x features, rare share | true gain (se) | interval half-width "
        "| helps | no evidence | hurts | helps against nothing alone | interval holds the mean true gain |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (kind, name, n, d, share, _), runs in groups.items():
        gains = [run["true_gain"] for run in runs]
        truth = statistics.fmean(gains)
        error = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else float("nan")
        half = statistics.fmean((run["high"] - run["low"]) / 2 for run in runs)
        words = [sum(run["verdict"] == word for run in runs) for word in ("helps", "no evidence", "hurts")]
        alone = sum(run["against_nothing"] == "helps" for run in runs)
        held = sum(run["low"] <= truth <= run["high"] for run in runs)
        counts = " | ".join(f"{word}/{len(runs)}" for word in words)
        lines.append(
            f"| {kind} | {name} | {n} x {d}, {share:.0%} | {truth:+.4f} ({error:.4f}) | {half:.3f} "
            f"| {counts} | {alone}/{len(runs)} | {held}/{len(runs)} |"
        )
    every = [row for row in rows if row["part"] == part]
    helped = sum(row["verdict"] == "helps" for row in every)
    cpu = sum(row["cpu_s"] for row in every)
    lines.append(f"\n{part}: 'helps' in {helped} of {len(every)} runs; {cpu:.0f} CPU-s in compare")
    return "\n".join(lines)


def main() -> None:
    p = harness.parser(__doc__ or "", seeds=1, methods=("null", "oracle"))
    p.add_argument("--redo", action="store_true", help="run again what the result file has already")
    p.add_argument("--report", action="store_true", help="only print the tables")
    arguments: argparse.Namespace = p.parse_args()
    name = "compare_honesty_quick.json" if arguments.quick else "compare_honesty.json"
    key = ("part", "kind", "model", "world", "seed")
    results = harness.Results(arguments.out / name, key=key, protocol=PROTOCOL)
    for case in [] if arguments.report else cases(arguments.quick, arguments.only):
        if arguments.redo or not results.has(**case):
            results.add(case | one_run(*case["world"], case["model"], case["kind"], case["seed"]))
    for part in ("null", "oracle"):
        print(table(results.rows(), part), end="\n\n")


if __name__ == "__main__":
    main()
