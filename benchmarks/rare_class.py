"""The use that matters: whether making rows of a rare class helps, and whether they are any good.

    python benchmarks/rare_class.py                        # everything that is missing in the result file
    python benchmarks/rare_class.py --only trees --redo    # re-run one method, keep the rest
    python benchmarks/rare_class.py --only gan --seeds 3 --sizes 100 --estimate   # what would it cost?
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
import itertools
import statistics
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from budget import estimate
from data import Split, load_split, thinned
from measures import Coded, Yardstick, classifier, fidelity_in_class
from methods import Made, generator, make, registered
from rare_report import BASELINES, CONTROLS, MODELS, NEGATIVES, report

DATA = ("adult", "credit_default")
POSITIVES = (30, 100, 300)
JUDGING_CPU_S = 1.5  # two classifiers and the fidelity of one row
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


# ------------------------------------------------------------------ main
def main() -> None:
    """Run the rare-class benchmark; only what the result file lacks."""
    known = [*BASELINES, *CONTROLS, *registered()]
    parser = harness.parser(__doc__, seeds=5, methods=known, resumable=True)
    parser.add_argument("--sets", nargs="+", default=list(DATA), help="data sets")
    parser.add_argument(
        "--positives", "--sizes", nargs="+", type=int, default=list(POSITIVES), help="positive training rows"
    )
    parser.add_argument(
        "--report", action="store_true", help="run nothing, write the tables from the result file"
    )
    parser.add_argument("--estimate", action="store_true", help="run nothing, say what it would cost")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    stem = "rare_class" + ("_quick" if arguments.quick else "")
    results = harness.Results(
        arguments.out / f"{stem}.json", key=("data", "positives", "seed", "method"), protocol=PROTOCOL
    )
    if not arguments.report:
        say_estimate(arguments, arguments.only or known, results)
        if arguments.estimate:
            return
        run_missing(arguments, arguments.only or known, results)
    content = results.read()
    text = report(content["rows"], content["runs"])
    (arguments.out / f"{stem}.md").write_text(text, encoding="utf-8")
    say(text)


def sizes_of(arguments: argparse.Namespace) -> list[int]:
    """Return the numbers of positive rows to run."""
    return arguments.positives[:1] if arguments.quick else arguments.positives


def say_estimate(arguments: argparse.Namespace, methods: list[str], results: harness.Results) -> None:
    """Say how many rows are missing and what they will cost: as rows of the file did, else by a few steps."""
    rows, total = results.rows(), 0.0
    there = {(r["data"], r["positives"], r["seed"], r["method"]) for r in rows}
    cells = itertools.product(arguments.sets, sizes_of(arguments), harness.seeds_of(arguments))
    wanted = [(*cell, method) for cell in cells for method in methods]
    missing = [key for key in wanted if arguments.redo or key not in there]
    for method in methods:
        n = sum(key[-1] == method for key in missing)
        known = [r["total_cpu_s"] for r in rows if r["method"] == method and "total_cpu_s" in r]
        if not n:
            continue
        try:
            each = statistics.fmean(known) if known else probed(method, arguments)
        except Exception as reason:
            say(f"{method}: {n} rows, no estimate: {type(reason).__name__}: {reason}")
            continue
        total += n * each
        say(f"{method}: {n} rows of about {each:.0f} CPU-s")
    say(f"about {total / 60:.1f} CPU-minutes for {len(missing)} missing rows")


def probed(method: str, arguments: argparse.Namespace) -> float:
    """Return the estimated CPU-seconds of one row of a generator, on the first set and size."""
    full = load_split(arguments.sets[0], arguments.first_seed, folder=arguments.data)
    thin = thinned(full, sizes_of(arguments)[-1], NEGATIVES, arguments.first_seed)
    found = estimate(generator(method, 0), thin.X_train, thin.y_train, rows=NEGATIVES)
    return found.cpu_s + JUDGING_CPU_S


def run_missing(arguments: argparse.Namespace, methods: list[str], results: harness.Results) -> None:
    """Run every cell that the result file lacks (or all, with --redo), one row a time."""
    for seed in harness.seeds_of(arguments):
        for name in arguments.sets:
            full = load_split(name, seed, folder=arguments.data)
            yard = Yardstick(pd.concat([full.X_train, full.X_test]))
            for n in sizes_of(arguments):
                thin = thinned(full, n, NEGATIVES, seed)
                for method in methods:
                    key = {"data": name, "positives": n, "seed": seed, "method": method}
                    row = results.run_missing(
                        key, partial(timed_row, method, full, thin, yard, seed), redo=arguments.redo
                    )
                    if row is not None:
                        brief = {m: round(row[m]["average_precision"], 3) for m in MODELS}
                        say(f"{name} {n} seed {seed} {method}: AP {brief}, {row['total_cpu_s']:.1f} CPU-s")


def timed_row(method: str, full: Split, thin: Split, yard: Yardstick, seed: int) -> dict[str, Any]:
    """Return the result row with what all of it took."""
    row, cost = harness.measured(run_one, method, full, thin, yard, seed)
    return row | {"total_cpu_s": round(cost.cpu_s, 2)}


if __name__ == "__main__":
    main()
