"""What imputing a large table costs: 100,000 and 1,000,000 rows, 20 columns, a fifth of the cells missing.

    python benchmarks/imputation_large.py              # what is missing in the result file
    python benchmarks/imputation_large.py --quick      # 5,000 rows: shows that it runs
    python benchmarks/imputation_large.py --only auto

tables  numbers   20 numeric columns: 5 normal factors through random weights and noise; every third column
                  is the exponential of that, every third has half the square of the first factor on top
        mixed     the same, the last 6 columns cut at quantiles into 3 to 8 categories
methods auto      ChainedImputer(): fits on 20,000 rows, completes all
        ridge     scikit-learn's IterativeImputer() (Bayesian ridge) on standardised numbers and dummies
Every row of the result file is one process: fit and transform of the whole table, timed apart from making it.
"""

from __future__ import annotations

import harness  # first: pins the threads

# isort: split
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

from augsynth.impute.chained import ChainedImputer

METHODS = ("auto", "ridge")
TABLES = ("numbers", "mixed")
COLUMNS, FACTORS, SHARE = 20, 5, 0.2
PROTOCOL = {
    "cost": "CPU-seconds of fit and of transform on the whole table, one thread",
    "memory": "peak resident memory beyond that before fit, which holds the input; over the input's own size",
    "rmse": "over the missing cells of a column in its standard deviations, mean over the columns",
    "wrong": "share of missing categories filled with another level, mean over the columns",
    "required": "auto: 100,000 rows in <= 40 CPU-seconds, 1,000,000 rows in <= 4 times the input's memory",
}
NOTE = """Cells are missing completely at random. *Memory*: peak beyond what was held before fit, as a
multiple of the input (8 bytes a number, 1 a category), its completed copy included."""


def make(table: str, n: int, seed: int) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """Return the kind of a table, its truth and the same with holes."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n, FACTORS))
    x = factors @ rng.standard_normal((FACTORS, COLUMNS)) / np.sqrt(FACTORS)
    x += 0.5 * rng.standard_normal((n, COLUMNS))
    x[:, ::3] = np.exp(x[:, ::3] / 1.5)
    x[:, 1::3] += 0.5 * factors[:, :1] ** 2
    truth = pd.DataFrame({f"x{j}": x[:, j].copy() for j in range(COLUMNS)})
    if table == "mixed":
        for k, name in enumerate(list(truth)[-6:]):
            truth[name] = pd.qcut(truth[name], 3 + k, labels=[f"q{level}" for level in range(3 + k)])
            truth[name] = truth[name].cat.as_unordered()
    holed = truth.mask(rng.random((n, COLUMNS)) < SHARE)
    return table, truth, holed


def complete_auto(holed: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Return the completed table, and the CPU-seconds of fit."""
    imputer = ChainedImputer(random_state=0)
    begin = time.process_time()
    imputer.fit(holed)
    fitted = time.process_time() - begin
    return imputer.transform(holed), fitted


def complete_ridge(holed: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """The same by IterativeImputer; a level is the largest of its dummies."""
    kinds = {name: isinstance(holed[name].dtype, pd.CategoricalDtype) for name in holed}
    numbers = holed[[name for name in holed if not kinds[name]]]
    mean, sd = numbers.mean(), numbers.std()
    parts = [((numbers - mean) / sd).to_numpy()]
    for name in [name for name in holed if kinds[name]]:
        dummies = pd.get_dummies(holed[name], dtype=float).to_numpy(copy=True)
        dummies[holed[name].isna()] = np.nan
        parts.append(dummies)
    x = np.hstack(parts)
    imputer = IterativeImputer(random_state=0)
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        imputer.fit(x)
    fitted = time.process_time() - begin
    filled = imputer.transform(x)
    out, at = holed.copy(), numbers.shape[1]
    for k, name in enumerate(numbers):
        out[name] = filled[:, k] * sd[name] + mean[name]
    for name in [name for name in holed if kinds[name]]:
        levels = holed[name].cat.categories
        codes = filled[:, at : at + len(levels)].argmax(axis=1)
        out[name] = holed[name].where(holed[name].notna(), pd.Series(levels[codes], index=holed.index))
        at += len(levels)
    return out, fitted


class Prepared:
    """A table made in the measured process before the clock starts."""

    def __init__(self, method: str, table: str, n: int, seed: int):
        self.method = method
        _, self.truth, self.holed = make(table, n, seed)
        self.completed: pd.DataFrame | None = None


def run(prepared: Prepared) -> dict[str, Any]:
    """Complete the table, then measure the errors (which costs little of either)."""
    complete = complete_auto if prepared.method == "auto" else complete_ridge
    begin = time.process_time()
    completed, fitted = complete(prepared.holed)
    total = time.process_time() - begin
    rmse, wrong = [], []
    for name in prepared.holed:
        hole = prepared.holed[name].isna().to_numpy()
        truth, made = prepared.truth[name][hole], completed[name][hole]
        if isinstance(truth.dtype, pd.CategoricalDtype):
            wrong.append(float(np.mean(truth.astype(str).to_numpy() != made.astype(str).to_numpy())))
        else:
            rest = truth.to_numpy() - made.to_numpy()
            rmse.append(float(np.sqrt(np.mean(rest**2)) / prepared.truth[name].std()))
    size = float(prepared.holed.memory_usage(index=False, deep=True).sum()) / 2**20
    return {
        "fit_cpu_s": fitted,
        "transform_cpu_s": total - fitted,
        "rmse": float(np.mean(rmse)),
        "wrong": float(np.mean(wrong)) if wrong else None,
        "input_mb": size,
    }


def row(method: str, table: str, n: int, seed: int) -> dict[str, Any]:
    """Run one method on one table in a process of its own."""
    found, cost = harness.measured_isolated(run, method, table, n, seed, setup=Prepared)
    return {
        "method": method, "table": table, "n": n, "seed": seed, **found,
        "wall_s": cost.wall_s, "extra_mb": cost.extra_mb, "memory_ratio": cost.extra_mb / found["input_mb"],
    }  # fmt: skip


def report(rows: list[dict[str, Any]], *, markdown: bool) -> str:
    """Return the table of results."""
    head = ["table", "rows", "method", "fit CPU-s", "transform CPU-s", "memory / input", "RMSE", "wrong"]
    lines = [
        [
            r["table"], f"{r['n']:,}", r["method"], f"{r['fit_cpu_s']:.1f}", f"{r['transform_cpu_s']:.1f}",
            f"{r['memory_ratio']:.1f}", f"{r['rmse']:.3f}",
            "-" if r["wrong"] is None else f"{r['wrong']:.3f}",
        ]
        for r in sorted(rows, key=lambda r: (r["n"], TABLES.index(r["table"]), METHODS.index(r["method"])))
    ]  # fmt: skip
    return harness.table(head, lines, markdown=markdown)


def main() -> None:
    parser = harness.parser(__doc__ or "", seeds=1, methods=METHODS, resumable=True)
    parser.add_argument("--rows", type=int, nargs="+", default=None, help="only these numbers of rows")
    arguments = parser.parse_args()
    stem = "imputation_large_quick" if arguments.quick else "imputation_large"
    results = harness.Results(
        arguments.out / f"{stem}.json", key=("method", "table", "n", "seed"), protocol=PROTOCOL
    )
    sizes = arguments.rows or ([5_000] if arguments.quick else [100_000, 1_000_000])
    for seed in harness.seeds_of(arguments):
        for n in sizes:
            for table in TABLES:
                for method in arguments.only or METHODS:
                    key = {"method": method, "table": table, "n": n, "seed": seed}
                    results.run_missing(key, lambda key=key: row(**key), redo=arguments.redo)
    rows = results.rows()
    harness.say(report(rows, markdown=False))
    about = results.read()["runs"][-1] if results.read()["runs"] else {}
    load = ", ".join(sorted({f"{r['load_average']}" for r in rows}))
    note = f"{about.get('cpu', '')}, one thread, run at low priority; load average {load}.\n{NOTE}"
    text = f"# Imputation of large tables\n\n{note}\n\n{report(rows, markdown=True)}\n"
    (arguments.out / f"{stem}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
