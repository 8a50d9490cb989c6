"""What the memorisation checks say of generators on Adult and Credit default, and what the searches cost.

    python benchmarks/attacks.py                  # what is missing in the result file
    python benchmarks/attacks.py --quick          # small: shows that it runs
    python benchmarks/attacks.py --only trees1 search
    python benchmarks/attacks.py --report         # only print the tables again

attacks   trees with leaves of 1 and 20 rows, bootstrap, SMOTE, KDE: n new rows from n training rows beside n
          held-out rows (SDMetrics on 1,000 of them where $AUGSYNTH_SDMETRICS_PYTHON names its Python)
search    nearest row of each of 200,000 mixed rows of 20 columns among 200,000: CPU-seconds, peak memory
"""

from __future__ import annotations

import harness  # first: pins the threads

# isort: split
import time
from functools import partial
from typing import Any

import numpy as np
from data import load_split
from sdmetrics_beside import sdmetrics_scores

from augsynth.check.gathering import gather
from augsynth.check.privacy import CHECKS
from augsynth.encode.distance import MixedDistance
from augsynth.encode.layout import Block, Layout
from augsynth.encode.neighbors import NeighborIndex
from augsynth.registry import build

GENERATORS: dict[str, dict[str, Any]] = {
    "trees1": {"kind": "trees", "min_samples_leaf": 1},
    "trees20": {"kind": "trees", "min_samples_leaf": 20},
    "bootstrap": {"kind": "bootstrap"},
    "smote": {"kind": "smote"},
    "kde": {"kind": "kde"},
}
_PEER_ROWS = 1000  # its time grows with the square
SETS = ("adult", "credit_default")
FRESH = "real rows"  # as many other real rows in the place of the new ones
PROTOCOL = {
    "value": "the figure of each check; p_value: raw, one-sided, training and held-out rows exchanged",
    "cpu_s": "CPU-seconds of all memorisation checks on the new rows, one thread, without controls",
    "peak_mb": "peak resident memory of a process that does the search alone, its libraries included",
}


def attack_row(name: str, generator: str, seed: int, n: int) -> dict[str, Any]:
    """Fit a generator on n rows, make n, and look at them beside n held-out rows."""
    split = load_split(name, seed)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(split.y_train))[: 2 * n]
    train, other = np.sort(rows[:n]), np.sort(rows[n:])
    held = rng.permutation(len(split.y_test))[: len(train)]
    X, y = split.X_train.iloc[train].reset_index(drop=True), split.y_train[train]
    X_held, y_held = split.X_test.iloc[held].reset_index(drop=True), split.y_test[held]
    if generator == FRESH:
        X_new, y_new = split.X_train.iloc[other].reset_index(drop=True), split.y_train[other]
    else:
        fitted = build("generator", {**GENERATORS[generator], "random_state": seed}).fit(X, y)
        X_new, y_new = fitted.sample(y=y, random_state=seed + 1), y
    evidence = gather(X, y, X_new, y_new, holdout=(X_held, y_held), random_state=seed)
    started, found = time.process_time(), {}
    for kind in CHECKS:
        check = kind()
        if check.applies(evidence):
            continue
        each = check.run(evidence, np.random.default_rng(seed))
        found[check.name] = {k: getattr(each, k) for k in ("value", "low", "high", "null", "p_value")}
    row: dict[str, Any] = {"n": len(train), "checks": found, "cpu_s": time.process_time() - started}
    try:
        some = slice(0, _PEER_ROWS)
        tables = ((X[some], y[some]), (X_new[some], y_new[some]), (X_held[some], y_held[some]))
        row["sdmetrics"] = sdmetrics_scores(*tables, left_out=("quality", "diagnostic", "logistic_detection"))
    except harness.NotHere as reason:
        harness.say(f"SDMetrics left out: {reason}")
    return row


def mixed_rows(n: int, seed: int) -> tuple[np.ndarray, Layout]:
    """Return encoded rows of 12 numeric and 8 categorical columns that hang together."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 4))
    numbers = hidden @ np.random.default_rng(0).normal(size=(4, 12)) + rng.normal(size=(n, 12))
    codes = np.clip(np.round(hidden[:, [0, 1, 2, 3] * 2] * 1.5 + 4 + rng.normal(size=(n, 8)) * 0.5), 0, 8)
    blocks = [Block(f"x{j}") for j in range(12)] + [Block(f"c{j}", n_levels=9) for j in range(8)]
    return np.hstack([numbers, codes]), Layout(tuple(blocks))


def search_cost(n: int) -> float:
    """Look up the nearest of n rows for each of n others; return the mean distance."""
    (z, layout), (asked, _) = mixed_rows(n, 1), mixed_rows(n, 2)
    index = NeighborIndex(z, MixedDistance.fit(z, layout, missing="state"))
    return float(index.query(asked, 1)[0].mean())


def search_row(n: int) -> dict[str, Any]:
    """Measure the search in a process of its own."""
    _, cost = harness.measured_isolated(search_cost, n)
    return {"n": n, "cpu_s": cost.cpu_s, "peak_mb": cost.peak_rss_mb}


def report(rows: list[dict[str, Any]], *, markdown: bool) -> str:
    """Return both tables."""
    names = [kind.name for kind in CHECKS]
    lines = []
    for row in (row for row in rows if row["part"] == "attacks"):
        cells = [row["set"], row["method"], f"{row['n']:,}"]
        for name in names:
            each = row["checks"].get(name)
            cells.append("-" if each is None else f"{each['value']:.4f} ({each['p_value']:.1g})")
        scores = row.get("sdmetrics", {}).get("scores", {})
        over = scores.get("overfitting")
        cells += [f"{over:.3f}" if isinstance(over, float) else "-", f"{row['cpu_s']:.0f}"]
        lines.append(cells)
    head = ["set", "new rows", "n", *(f"{name} (p)" for name in names), "SDMetrics overfitting", "CPU-s"]
    told = harness.table(head, lines, markdown=markdown)
    lines = [
        [f"{row['n']:,} x {row['n']:,}", f"{row['cpu_s']:.0f}", f"{row['peak_mb']:.0f}"]
        for row in rows
        if row["part"] == "search"
    ]
    return told + "\n\n" + harness.table(["search", "CPU-s", "peak MB"], lines, markdown=markdown)


def main() -> None:
    methods = (*GENERATORS, FRESH, "search")
    parser = harness.parser(__doc__ or "", seeds=1, methods=methods, resumable=True)
    parser.add_argument("--report", action="store_true", help="only print the tables again")
    parser.add_argument("--rows", type=int, default=8000, help="rows of each sample (default 8000)")
    arguments = parser.parse_args()
    stem = "attacks_quick" if arguments.quick else "attacks"
    path = arguments.out / f"{stem}.json"
    results = harness.Results(path, key=("part", "set", "method", "seed"), protocol=PROTOCOL)
    wanted = arguments.only or methods
    if not arguments.report:
        for seed in harness.seeds_of(arguments):
            for name in SETS[:1] if arguments.quick else SETS:
                for method in (each for each in wanted if each != "search"):
                    n = 1000 if arguments.quick else arguments.rows
                    key = {"part": "attacks", "set": name, "method": method, "seed": seed}
                    results.run_missing(key, partial(attack_row, name, method, seed, n), redo=arguments.redo)
        if "search" in wanted:
            for n in (20_000,) if arguments.quick else (50_000, 200_000):
                key = {"part": "search", "set": "-", "method": f"{n}", "seed": 0}
                results.run_missing(key, partial(search_row, n), redo=arguments.redo)
    harness.say(report(results.rows(), markdown=False))
    title = "# Memorisation: what the checks say of generators, and what searches cost\n\n"
    machine = results.read()["runs"][-1] if results.read()["runs"] else {}
    note = f"{machine.get('cpu', '')}, one thread. Figure and raw p-value of each check. "
    path.with_suffix(".md").write_text(
        title + note + "\n\n" + report(results.rows(), markdown=True) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
