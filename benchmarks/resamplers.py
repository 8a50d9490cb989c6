"""Time and memory of SMOTE, side by side with imbalanced-learn in one run.

    python benchmarks/resamplers.py            # about 5 minutes
    python benchmarks/resamplers.py --quick    # small tables, one repeat: shows that it runs
    python benchmarks/resamplers.py --only adult

Every call runs in a fresh process of one thread, the contestants in turns. Data are
loaded, libraries imported and a tiny table resampled before the count starts; the count is
one `fit_resample`. "ratio" is the peer's CPU-seconds by ours, pair by pair. Memory:
"total" is the peak of the process, "extra" the peak beyond what was there before
the call (the input is there), "beyond output" that without the returned arrays.

adult     training rows without a missing cell (imbalanced-learn refuses them), 8 of 14
          columns are categories; SMOTENC against OverSampler(SmoteGenerator()). Ours is
          run as it comes (standardised numbers), in the peer's own distance ("data
          units"), and on all rows, missing cells included
credit    the numeric columns of Credit default
gauss     100,000 x 20 float64, 5 % rare
million   1,000,000 x 20 float64, 5 % rare
"""

from __future__ import annotations

import harness  # first: pins the threads

# isort: split
import argparse
from pathlib import Path
from typing import Any

import numpy as np
from data import load_split
from harness import measured_isolated, say

TASKS = ("adult", "credit", "gauss", "million")
OURS, RAW, WHOLE, PEER = "augsynth", "augsynth, data units", "augsynth, all rows", "imbalanced-learn"
MB = 2**20


def table_of(task: str, *, quick: bool, whole: bool, folder: Path | None) -> tuple[Any, Any, list[Any]]:
    """Return rows, labels and the names of categorical columns."""
    if task in ("gauss", "million"):
        n = 5_000 if quick else {"gauss": 100_000, "million": 1_000_000}[task]
        rng = np.random.default_rng(0)
        y = (rng.random(n) < 0.05).astype(np.int64)
        X = rng.standard_normal((n, 20))
        X += 0.5 * y[:, None]
        return X, y, []
    split = load_split("adult" if task == "adult" else "credit_default", folder=folder)
    X, y = split.X_train, split.y_train
    if not whole:
        complete = ~X.isna().any(axis=1).to_numpy()
        X, y = X[complete].reset_index(drop=True), y[complete]
    if quick:
        X, y = X.iloc[:4000].reset_index(drop=True), y[:4000]
    categorical = list(split.categorical)
    if task == "credit":
        return np.ascontiguousarray(X.drop(columns=categorical).to_numpy(dtype=np.float64)), y, []
    return X, y, categorical


def sampler_of(contestant: str, categorical: list[Any]) -> Any:
    """Return an unfitted resampler."""
    if contestant == PEER:
        from imblearn.over_sampling import SMOTE, SMOTENC

        if categorical:
            return SMOTENC(categorical_features=categorical, random_state=0)
        return SMOTE(random_state=0)
    from augsynth import OverSampler, SmoteGenerator

    return OverSampler(SmoteGenerator(standardize=contestant != RAW), random_state=0)


def prepare(task: str, contestant: str, quick: bool, folder: Path | None) -> tuple[Any, Any, Any]:
    """Load the data and warm the contestant up."""
    X, y, categorical = table_of(task, quick=quick, whole=contestant == WHOLE, folder=folder)
    sampler = sampler_of(contestant, categorical)
    few = np.sort(np.concatenate([np.flatnonzero(y == k)[:count] for k, count in ((0, 60), (1, 30))]))
    sampler.fit_resample(X[few] if isinstance(X, np.ndarray) else X.iloc[few], y[few])
    return sampler, X, y


def size_mb(table: Any) -> float:
    """Return the memory of an array or DataFrame."""
    return (table.nbytes if isinstance(table, np.ndarray) else table.memory_usage(deep=True).sum()) / MB


def resample(prepared: tuple[Any, Any, Any]) -> dict[str, Any]:
    """Resample once (this is measured) and describe the result."""
    sampler, X, y = prepared
    X_new, y_new = sampler.fit_resample(X, y)
    counts = np.unique(y_new, return_counts=True)[1]
    if counts.min() != counts.max():
        raise RuntimeError(f"classes are not balanced: {counts}")
    return {
        "rows": len(X),
        "new_rows": len(X_new) - len(X),
        "columns": X.shape[1],
        "input_mb": size_mb(X) + size_mb(y),
        "output_mb": size_mb(X_new) + size_mb(y_new),
    }


def run_task(task: str, repeats: int, *, quick: bool, folder: Path | None) -> dict[str, Any]:
    """Run the contestants of a task in turns; return costs, ratios and sizes."""
    names = [PEER, OURS, RAW, WHOLE] if task == "adult" else [PEER, OURS, RAW]
    shapes: dict[str, dict[str, Any]] = {}

    def measure(contestant: str) -> tuple[Any, harness.Cost]:
        result, cost = measured_isolated(resample, task, contestant, quick, folder, setup=prepare)
        shapes[contestant] = result
        return result, cost

    summary = harness.side_by_side(
        {name: name for name in names},  # type: ignore[misc]
        repeats=repeats,
        measure=measure,
    )
    costs = summary["costs"]
    rows = {}
    for name in names:
        extra = [c["peak_rss_mb"] - c["rss_before_mb"] for c in costs[name]]
        faster = [p["cpu_s"] / max(c["cpu_s"], 1e-9) for p, c in zip(costs[PEER], costs[name], strict=True)]
        rows[name] = {
            **shapes[name],
            "cpu_s": harness.spread([c["cpu_s"] for c in costs[name]]),
            "wall_s": harness.spread([c["wall_s"] for c in costs[name]]),
            "times_faster": harness.spread(faster),
            "total_mb": harness.spread([c["peak_rss_mb"] for c in costs[name]]),
            "extra_mb": harness.spread(extra),
            "beyond_output_mb": harness.spread([e - shapes[name]["output_mb"] for e in extra]),
        }
    for name in names:
        rows[name]["extra_share"] = rows[name]["extra_mb"]["median"] / rows[PEER]["extra_mb"]["median"]
    return {"task": task, "repeats": repeats, "contestants": rows}


def text(row: dict[str, Any]) -> str:
    """Lay out one task."""
    header = ["", "rows", "new", "CPU-s", "times faster", "total MB", "extra MB", "beyond output", "input MB"]
    lines = []
    for name, r in row["contestants"].items():
        cpu, ratio = r["cpu_s"], r["times_faster"]
        lines.append(
            [
                name,
                f"{r['rows']:,}",
                f"{r['new_rows']:,}",
                f"{cpu['median']:.2f} ({cpu['min']:.2f}-{cpu['max']:.2f})",
                f"{ratio['median']:.1f} ({ratio['min']:.1f}-{ratio['max']:.1f})",
                f"{r['total_mb']['median']:.0f}",
                f"{r['extra_mb']['median']:.0f}",
                f"{r['beyond_output_mb']['median']:.0f}",
                f"{r['input_mb']:.0f}",
            ]
        )
    return f"{row['task']}, {row['repeats']} repeats: median (range)\n" + harness.table(header, lines)


def main() -> None:
    p = harness.parser(__doc__ or "", seeds=1, methods=TASKS)
    p.add_argument("--repeats", type=int, default=5, help="repeats of each contestant (default 5)")
    p.add_argument("--report", action="store_true", help="only print the tables")
    arguments: argparse.Namespace = p.parse_args()
    name = "resamplers_quick.json" if arguments.quick else "resamplers.json"
    results = harness.Results(arguments.out / name, key=("task",), protocol={"what": __doc__})
    repeats = 1 if arguments.quick else arguments.repeats
    for task in TASKS if not arguments.report else ():
        if arguments.only is None or task in arguments.only:
            results.add(run_task(task, repeats, quick=arguments.quick, folder=arguments.data))
    for row in results.rows():
        say(text(row) + "\n")


if __name__ == "__main__":
    main()
