"""The use that matters: whether making rows of a rare class helps, and whether they are any good.

    python benchmarks/rare_class.py                        # everything that is missing in the result file
    python benchmarks/rare_class.py --only trees --redo    # re-run one method, keep the rest
    python benchmarks/rare_class.py --report               # only write the tables again

Adult and Credit default, thinned to 30, 100 or 300 positive and 4,000 negative
training rows (positive: the minority label), five seeds. Every method fills the
positive class up to the negatives. Two classifiers are trained on real and made rows
and tested on the whole real test set: logistic regression (standardised numbers,
one-hot categories) and XGBoost (fixed parameters, see measures.py).

nothing    the thinned rows as they are, threshold 0.5
weights    class weights "balanced"
threshold  the threshold with the best balanced accuracy in 5-fold cross-validation
           inside the training rows
copies     random oversampling
real       real positive rows that the thinning left out: the ceiling
"""

from __future__ import annotations

import harness  # first: pins the threads
from harness import say

# isort: split
import argparse
import math
import statistics
from typing import Any

import numpy as np
import pandas as pd
from data import Split, load_split, thinned
from measures import Coded, Yardstick, classifier, fidelity_in_class
from methods import Made, NotHere, make, registered

DATA = ("adult", "credit_default")
POSITIVES = (30, 100, 300)
NEGATIVES = 4000
BASELINES = ("nothing", "weights", "threshold")
CONTROLS = {"real": "real", "copies": "copy", "imblearn_smote": "imblearn_smote"}
MODELS = ("logistic", "xgboost")
SCORES = ("average_precision", "balanced_accuracy", "recall")
FIDELITY = ("class_c2st", "class_marginal", "class_pair", "class_closer", "class_copies")
PROTOCOL = {"what": __doc__, "negatives": NEGATIVES, "positives": POSITIVES}


# ------------------------------------------------------------------ classifiers
def learner(model: str, kinds: np.ndarray, sizes: list[int], weights: bool):
    """Return an unfitted classifier over coded rows (missing: NaN)."""
    if model == "xgboost":
        return classifier()
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    levels = [np.arange(-1, n + 1) for n in sizes]  # -1: missing, n: a level that no real row has
    prepare = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), np.flatnonzero(~kinds)),
        (
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value=-1),
                OneHotEncoder(categories=levels, dtype=np.float32),
            ),
            np.flatnonzero(kinds),
        ),
        sparse_threshold=1.0,
    )
    return make_pipeline(
        prepare, LogisticRegression(max_iter=500, class_weight="balanced" if weights else None)
    )


def fit_scores(
    model: str, train: Coded, test_X: np.ndarray, yard: Yardstick, *, weights: bool = False
) -> np.ndarray:
    """Fit on the rows and return the positive probability of the test rows."""
    sizes = [len(yard.levels[name]) for name in yard.columns if name in yard.levels]
    built = learner(model, yard.is_category, sizes, weights)
    extra = {}
    if weights and model == "xgboost":
        share = train.y.mean()
        extra["sample_weight"] = np.where(train.y == 1, 0.5 / share, 0.5 / (1 - share))
    return built.fit(train.X, train.y, **extra).predict_proba(test_X)[:, 1]


def tuned_threshold(model: str, train: Coded, yard: Yardstick, seed: int) -> float:
    """Return the cut with the best balanced accuracy over 5 folds of the training rows."""
    from sklearn.model_selection import StratifiedKFold

    score = np.empty(len(train))
    for fit, held in StratifiedKFold(5, shuffle=True, random_state=seed).split(train.X, train.y):
        score[held] = fit_scores(model, train.take(fit), train.X[held], yard)
    return best_cut(score, train.y)


def best_cut(score: np.ndarray, y: np.ndarray) -> float:
    """Return the threshold (positive: score > threshold) with the best balanced accuracy."""
    order = np.argsort(-score, kind="stable")
    s, t = score[order], y[order]
    balanced = np.cumsum(t) / t.sum() - np.cumsum(1 - t) / (1 - t).sum()
    ends = np.append(s[:-1] != s[1:], True)  # a cut cannot part equal scores
    best = int(np.argmax(np.where(ends, balanced, -np.inf)))
    return float((s[best] + s[min(best + 1, len(s) - 1)]) / 2) if best + 1 < len(s) else float(s[best] - 1e-9)


def scores_of(score: np.ndarray, cut: float, y: np.ndarray, prevalence: float) -> dict[str, float]:
    """Return the test scores; precision also at the prevalence of the thinned training rows."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    said, weight = score > cut, np.where(y == 1, prevalence / y.mean(), (1 - prevalence) / (1 - y.mean()))
    recall, specificity = float(said[y == 1].mean()), float((~said[y == 0]).mean())
    return {
        "average_precision": float(average_precision_score(y, score)),
        "average_precision_rare": float(average_precision_score(y, score, sample_weight=weight)),
        "auc": float(roc_auc_score(y, score)),
        "recall": recall,
        "balanced_accuracy": (recall + specificity) / 2,
    }


# ------------------------------------------------------------------ one cell
def left_out_positives(full: Split, thin: Split, n: int, seed: int) -> pd.DataFrame:
    """Return real positive training rows that the thinning of this seed left out."""
    rng = np.random.default_rng([seed, 20_240])
    rest = rng.permutation(np.flatnonzero(full.y_train == 1))[int(thin.y_train.sum()) :]
    return full.X_train.iloc[rest[:n]].reset_index(drop=True)


def made_positives(method: str, full: Split, thin: Split, seed: int) -> Made:
    """Return the positives that fill the class up to the negatives."""
    n = int((thin.y_train == 0).sum() - (thin.y_train == 1).sum())
    wanted = np.ones(n, np.int64)
    if method == "real":
        rows = left_out_positives(full, thin, n, seed)
        return Made(rows, np.ones(len(rows), np.int64), harness.Cost(0, 0), harness.Cost(0, 0))
    return make(CONTROLS.get(method, method), thin.X_train, thin.y_train, wanted, seed)


def run_one(method: str, full: Split, thin: Split, yard: Yardstick, seed: int) -> dict[str, Any]:
    """Return the result row of one method on one thinned data set."""
    train, test = yard.code(thin.X_train, thin.y_train), yard.code(thin.X_test, thin.y_test)
    row: dict[str, Any] = {
        "data": full.name,
        "positives": int(thin.y_train.sum()),
        "seed": seed,
        "method": method,
    }
    fitted = train
    if method not in BASELINES:
        made = made_positives(method, full, thin, seed)
        coded = yard.code(made.X, made.y)
        row |= {"made": len(coded), "fit_cpu_s": made.fit.cpu_s, "sample_cpu_s": made.sample.cpu_s}
        row |= fidelity_in_class(coded, train, test, yard.is_category, seed=seed)
        fitted = Coded(np.concatenate([train.X, coded.X]), np.concatenate([train.y, coded.y]))
    for model in MODELS:
        score = fit_scores(model, fitted, test.X, yard, weights=method == "weights")
        cut = tuned_threshold(model, train, yard, seed) if method == "threshold" else 0.5
        row[model] = scores_of(score, cut, test.y, float(train.y.mean()))
    return row


# ------------------------------------------------------------------ report
def interval(differences: list[float]) -> tuple[float, float]:
    """Return mean and half width of the 95 % t interval over the seeds."""
    n = len(differences)
    if n < 2:
        return statistics.fmean(differences), math.nan
    from scipy.stats import t

    return statistics.fmean(differences), float(t.ppf(0.975, n - 1)) * statistics.stdev(
        differences
    ) / math.sqrt(n)


def paired(
    rows: list[dict], method: str, against: str, data: str, n: int, model: str, score: str
) -> list[float]:
    """Return the differences of two methods, seed by seed."""
    found = {
        (r["method"], r["seed"]): r[model][score] for r in rows if r["data"] == data and r["positives"] == n
    }
    seeds = sorted(s for m, s in found if m == method and (against, s) in found)
    return [found[method, s] - found[against, s] for s in seeds]


def signed(mean: float, half: float, digits: int = 3) -> str:
    """Write a difference with its interval; a star where the interval leaves out zero."""
    if math.isnan(half):
        return f"{mean:+.{digits}f}"
    return f"{mean:+.{digits}f} ± {half:.{digits}f}" + (" *" if abs(mean) > half else "  ")


def summary_table(rows: list[dict], methods: list[str]) -> str:
    """Return wins and losses against nothing over all cells, and the mean difference."""
    lines = []
    cells = sorted({(r["data"], r["positives"]) for r in rows})
    for method in methods:
        line = [method]
        for model in MODELS:
            for score in SCORES:
                all_d = [paired(rows, method, "nothing", d, n, model, score) for d, n in cells]
                spans = [interval(d) for d in all_d if d]
                up = sum(m > h for m, h in spans)
                down = sum(-m > h for m, h in spans)
                line.append(f"{statistics.fmean(m for m, _ in spans):+.3f} ({up}/{down})")
        lines.append(line)
    short = {"average_precision": "AP", "balanced_accuracy": "bal. acc.", "recall": "recall"}
    header = ["method"] + [f"{'LR' if m == 'logistic' else 'XGB'} {short[s]}" for m in MODELS for s in SCORES]
    return harness.table(header, lines, markdown=True)


def against_table(rows: list[dict], methods: list[str], score: str) -> str:
    """Return mean differences, wins and losses against every baseline, both classifiers together."""
    present = {r["method"] for r in rows}
    against = [m for m in ("nothing", "weights", "threshold", "copies", "imblearn_smote") if m in present]
    cells = sorted({(r["data"], r["positives"], model) for r in rows for model in MODELS})
    lines = []
    for method in methods:
        line = [method]
        for other in against:
            listed = [paired(rows, method, other, d, n, model, score) for d, n, model in cells]
            spans = [interval(d) for d in listed if d]
            up, down = sum(m > h for m, h in spans), sum(-m > h for m, h in spans)
            same = method == other or all(m == 0 for m, _ in spans)
            line.append("" if same else f"{statistics.fmean(m for m, _ in spans):+.3f} ({up}/{down})")
        lines.append(line)
    return harness.table(["method", *(f"against {m}" for m in against)], lines, markdown=True)


def fidelity_table(rows: list[dict], methods: list[str]) -> str:
    """Return the fidelity within the rare class, means over data sets and seeds, by training positives."""
    lines = []
    sizes = sorted({r["positives"] for r in rows})
    for method in methods:
        own = [r for r in rows if r["method"] == method and "class_c2st" in r]
        if own:
            cells = [
                f"{statistics.fmean(r[field] for r in own if r['positives'] == n):.3f}"
                if any(r["positives"] == n for r in own)
                else "-"
                for field in FIDELITY[:4]
                for n in sizes
            ]
            cost = statistics.fmean(r["fit_cpu_s"] + r["sample_cpu_s"] for r in own)
            lines.append([method, *cells, f"{cost:.1f}"])
    names = {
        "class_c2st": "C2ST",
        "class_marginal": "marginal",
        "class_pair": "pair",
        "class_closer": "closer",
    }
    header = ["method"] + [f"{names[f]} {n}" for f in FIDELITY[:4] for n in sizes] + ["CPU-s"]
    return harness.table(header, lines, markdown=True)


def cell_table(rows: list[dict], methods: list[str], data: str, model: str) -> str:
    """Return absolute means and paired differences against nothing of one data set and classifier."""
    lines = []
    sizes = sorted({r["positives"] for r in rows if r["data"] == data})
    for method in methods:
        line = [method]
        for n in sizes:
            own = [r for r in rows if (r["data"], r["positives"], r["method"]) == (data, n, method)]
            for score in SCORES:
                if not own:
                    line.append("-")
                    continue
                mean = statistics.fmean(r[model][score] for r in own)
                change = paired(rows, method, "nothing", data, n, model, score)
                line.append(
                    f"{mean:.3f}" + ("" if method == "nothing" else f" ({signed(*interval(change)).strip()})")
                )
        lines.append(line)
    short = {"average_precision": "AP", "balanced_accuracy": "bal. acc.", "recall": "recall"}
    return harness.table(
        ["method"] + [f"{short[s]}, {n}" for n in sizes for s in SCORES], lines, markdown=True
    )


HEAD = """# Rare classes: does making rows help?

Adult and Credit default, {positives} positive and {negatives:,} negative training rows, {seeds} seeds;
the positives filled up to the negatives; tested on the whole real test set. `real` adds real positives
that the thinning left out: the ceiling. Every interval is a 95 % t interval of the paired difference
over the seeds (n = {seeds}: other training rows each time; the test set of Adult stays the same), not
corrected for the number of comparisons. {cpu}, one thread.

## Change against doing nothing

Mean over the {cells} cells (data set x positives); in brackets, the number of cells whose interval lies
above / below zero. Average precision (AP) does not depend on a threshold. Recall and balanced accuracy
are at 0.5, where doing nothing hardly ever says "positive": compare them with `weights` and `threshold`,
which make no rows.
"""
AGAINST_HEAD = """## {score} against every baseline

Mean paired difference over the {cells} cells and both classifiers; in brackets, the number of intervals
above / below zero, of {twice}.
"""
FIDELITY_HEAD = """## Fidelity within the rare class

Made positives against held-out real ones, by the number of training positives, means over data sets and
seeds. C2ST: 0.5 is indistinguishable, 1 is plainly fake (many copies of few rows are). marginal, pair:
0 is ideal. closer: 0.5 is ideal, 1 is copying. CPU-s: fit and sample of {negatives:,} rows.
"""


def report(rows: list[dict], runs: list[dict]) -> str:
    """Return the Markdown report of all rows."""
    ranked = [*BASELINES, *CONTROLS]
    methods = sorted({r["method"] for r in rows}, key=lambda m: (ranked.index(m) if m in ranked else 99, m))
    augmenting = [m for m in methods if m != "nothing"]
    facts = {
        "positives": ", ".join(map(str, sorted({r["positives"] for r in rows}))),
        "negatives": NEGATIVES,
        "seeds": len({r["seed"] for r in rows}),
        "cells": len({(r["data"], r["positives"]) for r in rows}),
        "cpu": runs[-1]["cpu"] if runs else "",
    }
    parts = [HEAD.format(**facts), summary_table(rows, augmenting)]
    for score in SCORES[:2]:
        said = score.replace("_", " ").capitalize()
        parts += [AGAINST_HEAD.format(score=said, twice=2 * facts["cells"], **facts)]
        parts += [against_table(rows, [m for m in augmenting if m not in BASELINES], score)]
    parts += [FIDELITY_HEAD.format(**facts), fidelity_table(rows, augmenting)]
    for data in sorted({r["data"] for r in rows}):
        for model in MODELS:
            head = f"## {data}, {model}\n\nMean (difference to nothing, 95 % interval; * leaves out zero)."
            parts += [head, cell_table(rows, methods, data, model)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


# ------------------------------------------------------------------ main
def main() -> None:
    """Run the rare-class benchmark; only what the result file lacks."""
    known = [*BASELINES, *CONTROLS, *registered()]
    parser = harness.parser(__doc__, seeds=5, methods=known)
    parser.add_argument("--sets", nargs="+", default=list(DATA), help="data sets")
    parser.add_argument(
        "--positives", nargs="+", type=int, default=list(POSITIVES), help="positive training rows"
    )
    parser.add_argument("--redo", action="store_true", help="run also what the result file has already")
    parser.add_argument(
        "--report", action="store_true", help="run nothing, write the tables from the result file"
    )
    arguments = parser.parse_args()
    stem = "rare_class" + ("_quick" if arguments.quick else "")
    results = harness.Results(
        arguments.out / f"{stem}.json", key=("data", "positives", "seed", "method"), protocol=PROTOCOL
    )
    if not arguments.report:
        run_missing(arguments, arguments.only or known, results)
    content = results.read()
    text = report(content["rows"], content["runs"])
    (arguments.out / f"{stem}.md").write_text(text, encoding="utf-8")
    say(text)


def run_missing(arguments: argparse.Namespace, methods: list[str], results: harness.Results) -> None:
    """Run every cell that the result file lacks (or all, with --redo), one row a time."""
    for seed in harness.seeds_of(arguments):
        for name in arguments.sets:
            full = load_split(name, seed, folder=arguments.data)
            yard = Yardstick(pd.concat([full.X_train, full.X_test]))
            for n in arguments.positives[:1] if arguments.quick else arguments.positives:
                thin = thinned(full, n, NEGATIVES, seed)
                for method in methods:
                    key = {"data": name, "positives": n, "seed": seed, "method": method}
                    if results.has(**key) and not arguments.redo:
                        continue
                    try:
                        row, cost = harness.measured(run_one, method, full, thin, yard, seed)
                    except NotHere as reason:
                        say(f"{key}: left out: {reason}")
                        continue
                    results.add(row | {"total_cpu_s": round(cost.cpu_s, 2)})
                    brief = {m: round(row[m]["average_precision"], 3) for m in MODELS}
                    say(f"{name} {n} seed {seed} {method}: AP {brief}, {cost.cpu_s:.1f} CPU-s")


if __name__ == "__main__":
    main()
