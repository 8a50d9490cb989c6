"""Whether intervals that are pooled over completions hold what they promise.

    python benchmarks/imputation_coverage.py                     # what the result file does not have
    python benchmarks/imputation_coverage.py --only pmm --redo   # one method again
    python benchmarks/imputation_coverage.py --quick             # 20 replications: shows that it runs
    python benchmarks/imputation_coverage.py --report            # only write the tables again

y = x1 + x2 + e with standard normal x1, x2 (correlation 0.5) and e, 300 rows, 1,000
replications (fewer where they take hours). In the tables `one`, 40 % of x1 is missing;
in `two`, about 30 % of x1 and 30 % of x2, so that the chain needs its rounds. Holes:
MCAR, or MAR: more of them where y (one) is large, or y and x2 are (one, both), or y is (two).

A method completes the table 20 times, y among its columns. Least squares of y on x1 and x2 in each,
pooled by Rubin's rules with Barnard and Rubin's degrees of freedom: bias of the slopes,
share of the 95 % intervals that hold the truth, and their mean width.

full       the table before it had holes: what there is to know
complete   rows without holes only
mean       column means, once
single     the conditional means of chained "pmm", once: what `transform` gives
posterior  scikit-learn's IterativeImputer(sample_posterior=True), 20 times
pmm, bayes, auto   ChainedImputer of that method (auto: its default)
gmm        GenerativeImputer of a Gaussian mixture of one component
"""

from __future__ import annotations

import harness  # first: pins the threads
from harness import say

# isort: split
import argparse
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from augsynth import ChainedImputer, GenerativeImputer, pool
from augsynth.generate.gmm import GaussianMixtureGenerator

N, M = 300, 20
WORLDS = (("one", "MCAR"), ("one", "MAR y"), ("one", "MAR y, x2"), ("two", "MCAR"), ("two", "MAR y"))
FIRST_SEED = 100_000  # the matching of "pmm" was chosen on the tables of seeds 0 to 299
SLOW = {  # 1,000 would take hours
    "auto": {"one": 100, "two": 40},
    "posterior": {"one": 100, "two": 100},
    "pmm": {"two": 300},
    "bayes": {"two": 300},
    "gmm": {"two": 300},
}
CHAINED = ("pmm", "bayes", "auto")
METHODS = ("full", "complete", "mean", "single", "posterior", *CHAINED, "gmm")
TRUTH = np.array([0.0, 1.0, 1.0])
PROTOCOL = {"what": __doc__, "rows": N, "completions": M}


# ------------------------------------------------------------------ the worlds
def world(columns: str, mechanism: str, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a table (y, x1, x2) and the same with holes."""
    x1 = rng.standard_normal(N)
    x2 = 0.5 * x1 + np.sqrt(0.75) * rng.standard_normal(N)
    y = x1 + x2 + rng.standard_normal(N)
    whole = pd.DataFrame({"y": y, "x1": x1, "x2": x2})
    pull = {"MCAR": np.zeros(N), "MAR y": y / 2.0, "MAR y, x2": (y / 2.0 + x2) / 1.5}[mechanism]
    holed = whole.copy()
    share = 0.4 if columns == "one" else 0.3
    for name in ("x1",) if columns == "one" else ("x1", "x2"):
        holed.loc[rng.random(N) < chances(pull, share), name] = np.nan
    return whole, holed


def chances(pull: np.ndarray, share: float) -> np.ndarray:
    """Return logistic probabilities (n,) with slope 1 in ``pull`` and the mean ``share``."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2.0
        p = 1.0 / (1.0 + np.exp(-(pull + middle)))
        low, high = (middle, high) if p.mean() < share else (low, middle)
    return p


# ------------------------------------------------------------------ the methods
def least_squares(table: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients (intercept, x1, x2) and their squared standard errors, of columns y, x1, x2."""
    numbers = np.asarray(table, dtype=float)
    X, y = np.column_stack([np.ones(len(numbers)), numbers[:, 1:]]), numbers[:, 0]
    inverse = np.linalg.inv(X.T @ X)
    b = inverse @ X.T @ y
    residual = y - X @ b
    return b, np.diag(inverse) * (residual @ residual) / (len(y) - 3)


def posterior(holed: pd.DataFrame, seed: int) -> list[pd.DataFrame]:
    """Return the completions of scikit-learn's posterior draws."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged, which draws never do
        made = [
            IterativeImputer(sample_posterior=True, random_state=seed * 1000 + k).fit_transform(holed)
            for k in range(M)
        ]
    return [pd.DataFrame(table, columns=holed.columns) for table in made]


def completions(method: str, whole: pd.DataFrame, holed: pd.DataFrame, seed: int) -> list[Any]:
    """Return one table, or the M of multiple imputation."""
    simple: dict[str, Callable[[], list[pd.DataFrame]]] = {
        "full": lambda: [whole],
        "complete": lambda: [holed.dropna()],
        "mean": lambda: [holed.fillna(holed.mean())],
        "single": lambda: [ChainedImputer("pmm", random_state=seed).fit_transform(holed)],
        "posterior": lambda: posterior(holed, seed),
    }
    if method in simple:
        return simple[method]()
    imputer: Any
    if method == "gmm":
        imputer = GenerativeImputer(GaussianMixtureGenerator(n_components=1), random_state=seed)
    else:
        imputer = ChainedImputer(method, random_state=seed)
    return imputer.fit(holed.to_numpy()).impute(holed.to_numpy(), M)


def interval(tables: list[Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return estimates (3,) and the ends of their 95 % intervals."""
    fits = [least_squares(table) for table in tables]
    if len(tables) == 1:
        from scipy.stats import t

        (b, variance), reach = fits[0], t.ppf(0.975, len(tables[0]) - 3)
        return b, b - reach * np.sqrt(variance), b + reach * np.sqrt(variance)
    pooled = pool([b for b, _ in fits], [v for _, v in fits], dof_complete=N - 3)
    return tuple(np.asarray(part, dtype=float) for part in (pooled.estimate, pooled.low, pooled.high))


def run(columns: str, mechanism: str, method: str, replications: int) -> dict[str, Any]:
    """Return bias, coverage and width of the slopes over all replications."""
    found, cpu = [], harness.cpu_seconds()
    for seed in range(FIRST_SEED, FIRST_SEED + replications):
        rng = np.random.default_rng([seed, WORLDS.index((columns, mechanism))])
        found.append(interval(completions(method, *world(columns, mechanism, rng), seed)))
    b, low, high = (np.array([one[k] for one in found]) for k in range(3))
    return {
        "replications": replications,
        "bias": (b - TRUTH).mean(axis=0).round(4).tolist(),
        "sd": b.std(axis=0, ddof=1).round(4).tolist(),
        "coverage": ((low <= TRUTH) & (high >= TRUTH)).mean(axis=0).round(4).tolist(),
        "width": (high - low).mean(axis=0).round(4).tolist(),
        "cpu_s": round(harness.cpu_seconds() - cpu, 1),
    }


# ------------------------------------------------------------------ the tables
def report(rows: list[dict[str, Any]]) -> str:
    """Return the tables in markdown."""
    order = {name: k for k, name in enumerate(METHODS)}
    parts = []
    for world_ in WORLDS:
        these = [row for row in rows if (row["columns"], row["mechanism"]) == world_]
        lines = []
        for row in sorted(these, key=lambda row: order[row["method"]]):
            se = 100 * statistics.fmean(
                np.sqrt(np.clip(c * (1 - c), 1e-9, 1) / row["replications"]) for c in row["coverage"][1:]
            )
            lines.append(
                [
                    row["method"],
                    *(f"{value:+.3f}" for value in row["bias"][1:]),
                    *(f"{100 * value:.1f}" for value in row["coverage"][1:]),
                    f"{se:.1f}",
                    *(f"{value:.3f}" for value in row["width"][1:]),
                    str(row["replications"]),
                    f"{1000 * row['cpu_s'] / row['replications']:.0f}",
                ]
            )
        if lines:
            header = [
                "method",
                "bias x1",
                "bias x2",
                "cover x1 %",
                "cover x2 %",
                "± se",
                "width x1",
                "width x2",
            ]
            header += ["tables", "CPU-ms a table"]
            parts.append(f"### {world_[0]}, {world_[1]}\n\n" + harness.table(header, lines, markdown=True))
    return "\n\n".join(parts)


def write_report(results: harness.Results, path: Path) -> None:
    """Print the tables, and write them with the machines that made them."""
    content = results.read()
    text = report(content["rows"])
    say(text)
    about = [
        f"- {run['date']}: {run['cpu']}, {run['cores']} cores, load {run['load_average']}, "
        + ", ".join(f"{name} {version}" for name, version in run["versions"].items())
        for run in content["runs"]
    ]
    what = "\n".join(line for line in (__doc__ or "").splitlines() if not line.startswith("    python"))
    path.write_text(f"# Coverage\n\n{what.strip()}\n\n{text}\n\n## Runs\n\n" + "\n".join(about) + "\n")


def main() -> None:
    p = harness.parser(__doc__ or "", seeds=1000, methods=METHODS, resumable=True)
    p.add_argument("--report", action="store_true", help="only write the tables")
    arguments: argparse.Namespace = p.parse_args()
    name = "imputation_coverage_quick" if arguments.quick else "imputation_coverage"
    results = harness.Results(
        arguments.out / f"{name}.json", key=("columns", "mechanism", "method"), protocol=PROTOCOL
    )
    for method in [] if arguments.report else arguments.only or METHODS:
        for columns, mechanism in WORLDS:
            replications = arguments.seeds or (
                20 if arguments.quick else SLOW.get(method, {}).get(columns, 1000)
            )
            key = {"columns": columns, "mechanism": mechanism, "method": method}
            row = results.run_missing(
                key,
                lambda key=key, replications=replications: run(**key, replications=replications),
                redo=arguments.redo,
            )
            if row:
                said = f"bias {row['bias']}, coverage {row['coverage']}, {row['cpu_s']} CPU-s"
                say(f"{columns} {mechanism} {method}: {said}")
    write_report(results, arguments.out / f"{name}.md")


if __name__ == "__main__":
    main()
