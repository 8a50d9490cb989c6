"""Underrepresented groups: do made rows serve the worst-served group better than weights do?

    python benchmarks/groups.py                       # what is missing in the result file
    python benchmarks/groups.py --quick               # German credit only, one repeat
    python benchmarks/groups.py --only trees vae      # these methods
    python benchmarks/groups.py --sets compas         # these data sets
    python benchmarks/groups.py --report              # only write the tables again

Adult (sex; 4,000 rows drawn by the seed, and for quick methods all of it), COMPAS (7,214 rows; race, the
four small ones together; the text of the charge left out) and German credit (1,000 rows; sex).
`augsynth.compare`,
5 folds x 2 repeats stratified by class and group, one logistic regression on one-hot and
standardised columns for all methods:

oversampling   every class x group cell brought up to the largest, inside the training folds, by each
               generator at its defaults; deep ones with a budget of 200 steps a fold, which is small
remedies       cell weights, fairlearn's correlation remover and threshold optimiser (equalised odds,
               balanced accuracy), and a small network with an independence penalty (within classes)
baselines      nothing, class weights, a threshold tuned for balanced accuracy

Worst-group recall: in each test fold, the smallest recall of the rarer class over the groups (a minimum of
noisy figures reads low, for all methods alike); "any class" is the smallest over classes and groups.
Intervals: corrected resampled t over the ten folds (Nadeau and Bengio), 95 %, each by itself.
"""

from __future__ import annotations

import harness  # first: pins the threads

# isort: split
import argparse
import warnings
from typing import Any

import numpy as np
import pandas as pd
from data import _table, data_folder
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from augsynth import OverSampler, registry
from augsynth.check import compare
from augsynth.check.intervals import corrected_interval
from augsynth.nn.trainer import Trainer
from augsynth.remedies import REMEDIES

SETS = ("german_credit", "compas", "adult", "adult_whole")
CHEAP = {"bootstrap": "copies", "smote": "SMOTE", "kde": "KDE", "gmm": "Gaussian mixture", "trees": "trees"}
DEEP = {
    "vae": "VAE",
    "gan": "GAN",
    "flow": "flow",
    "autoregressive": "autoregressive",
    "diffusion": "diffusion",
}
BASELINES = ("nothing", "class weights", "tuned threshold")
STEPS, REPEATS, FOLDS, ADULT_ROWS = 200, 2, 5, 4000
QUICK_ON_ALL = {*CHEAP.values(), "VAE", "flow"} - {
    "Gaussian mixture"
}  # the others take hours on all of Adult
FIGURES = {
    "worst_recall": ("worst group recall", "class 1"),
    "worst_any": ("worst group recall", "any class"),
    "accuracy": ("accuracy", "all"),
    "balanced_accuracy": ("balanced_accuracy", "all"),
}
PROTOCOL = {
    "split": f"{FOLDS} folds x {REPEATS} repeats, stratified by class and group, seed 0",
    "learner": "logistic regression on one-hot and standardised columns",
    "rows": f"Adult: {ADULT_ROWS} drawn, adult_whole: all; COMPAS and German credit: all",
    "deep": f"{STEPS} steps a fold, batch and rate by default",
    "intervals": "corrected resampled t, 95 %, each by itself",
}


def load(name: str, folder: Any) -> tuple[pd.DataFrame, np.ndarray, pd.Series]:
    """Return rows, labels (1 is the rarer class) and the group of each row."""
    X, y, _ = _table(name.removesuffix("_whole"), data_folder(folder))
    if name == "adult":
        rows = np.sort(np.random.default_rng(0).choice(len(X), ADULT_ROWS, replace=False))
        X, y = X.iloc[rows].reset_index(drop=True), y[rows]
    if name != "compas":
        return X, y, X["sex"].astype(str)
    X = X.drop(columns="c_charge_desc")
    race = X["race"].astype(str)
    X = X.assign(race=race.where(race.isin(["African-American", "Caucasian"]), "other").astype("category"))
    return X, y, X["race"].astype(str)


def learner() -> Any:
    hot = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"), OneHotEncoder(handle_unknown="ignore")
    )
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    encode = make_column_transformer(
        (hot, make_column_selector(dtype_exclude="number")),
        (numbers, make_column_selector(dtype_include="number")),
    )
    return make_pipeline(encode, LogisticRegression(max_iter=1000))


def oversampler(kind: str) -> OverSampler:
    settings: dict[str, Any] = {"kind": kind}
    if kind in DEEP:
        settings["trainer"] = Trainer(steps=STEPS, device="cpu", options={"progress": False})
    return OverSampler(registry.build("generator", settings), by="class+group")


def batches(only: list[str] | None) -> list[dict[str, Any]]:
    """Return what is run in one call of compare: resamplers by name, or names of remedies."""
    wanted = None if only is None else set(only)
    cheap = {told: kind for kind, told in CHEAP.items() if wanted is None or {kind, told} & wanted}
    remedies = [name for name in REMEDIES if wanted is None or name in wanted]
    first = [{"kinds": cheap, "remedies": remedies}] if cheap or remedies else []
    deep: list[dict[str, str]] = [
        {told: kind} for kind, told in DEEP.items() if wanted is None or {kind, told} & wanted
    ]
    return first + [{"kinds": each, "remedies": []} for each in deep]


def run(name: str, batch: dict[str, Any], folder: Any, repeats: int) -> list[dict[str, Any]]:
    """Return a row a method, baselines included."""
    X, y, group = load(name, folder)
    resamplers = {told: oversampler(kind) for told, kind in batch["kinds"].items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # thin cells and early training: the figures tell
        found, cost = harness.measured(
            compare, learner(), resamplers, X, y, sensitive_features=group, remedies=batch["remedies"],
            scoring=["balanced_accuracy", "accuracy"], cv=FOLDS, n_repeats=repeats, random_state=0,
            progress=False,
        )  # fmt: skip
    rows = []
    for method in [*BASELINES, *batch["kinds"], *batch["remedies"]]:
        row: dict[str, Any] = {"set": name, "method": method, "repeats": repeats}
        for figure, (metric, level) in FIGURES.items():
            folds = found.folds
            part = folds[(folds["metric"] == metric) & (folds["level"].astype(str) == level)]
            scores = part.pivot_table(index=["repeat", "fold"], columns="method", values="score")
            if method not in scores:
                continue
            row[figure] = float(scores[method].mean())
            for against in BASELINES:
                if against == method:
                    continue
                gain = (scores[method] - scores[against]).to_numpy()
                interval = corrected_interval(gain, found.settings["test_train_ratio"])
                low, high = interval.bounds(0.95)
                row[f"{figure}_over_{against}"] = [interval.mean, low, high]
        costs = found.costs.loc[method]
        row |= {"seconds_resample": costs["seconds_resample"], "seconds_fit": costs["seconds_fit"]}
        row |= {"training_rows": costs["rows"], "failed": int(costs["failed"])}
        row["error"] = next(iter(found.failures[found.failures["method"] == method]["error"]), "")
        rows.append(row | {"call_cpu_s": round(cost.cpu_s, 1), "counts": found.settings["groups"]})
    return rows


def _interval(row: dict[str, Any], figure: str, against: str) -> str:
    found = row.get(f"{figure}_over_{against}")
    if not found or found[1] != found[1]:
        return ""
    return f"{found[0]:+.3f} [{found[1]:+.3f}, {found[2]:+.3f}]"


def table(rows: list[dict[str, Any]], name: str) -> list[str]:
    own = {row["method"]: row for row in rows if row["set"] == name}
    order = [*BASELINES, *REMEDIES, *CHEAP.values(), *DEEP.values()]
    lines = [
        "| method | worst-group recall | over nothing | over class weights | worst of any class "
        "| accuracy | over nothing |",
        "|---|---|---|---|---|---|---|",
    ]
    for method in order:
        row = own.get(method)
        if row is None or "worst_recall" not in row:
            continue
        cells = [
            method, f"{row['worst_recall']:.3f}", _interval(row, "worst_recall", "nothing"),
            _interval(row, "worst_recall", "class weights"), f"{row['worst_any']:.3f}",
            f"{row['accuracy']:.3f}", _interval(row, "accuracy", "nothing"),
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def report(results: harness.Results, path: Any) -> None:
    rows = results.rows()
    lines = ["# Underrepresented groups", "", *(f"- {key}: {told}" for key, told in PROTOCOL.items())]
    runs = results.read()["runs"]
    if runs:
        run, libraries = runs[0], ", ".join(f"{key} {told}" for key, told in runs[0]["versions"].items())
        machine = f"{run['cpu']}, {run['cores']} cores, one thread, load {run['load_average']}"
        lines += [f"- machine: {machine}; Python {run['python']}, {libraries}"]
    lines += [
        "",
        "Worst-group recall: mean over folds of the smallest recall of the rarer class over the groups; "
        "worst of any class: the smallest over classes and groups.",
        "",
    ]
    for name in SETS:
        counts = next((row["counts"] for row in rows if row["set"] == name), None)
        if counts is None:
            continue
        told = ", ".join(f"{group} {n:,}" for group, n in counts.items())
        lines += [f"## {name}", "", f"Rows: {told}.", "", *table(rows, name), ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    parser = harness.parser(__doc__, seeds=1, methods=[*CHEAP, *DEEP, *REMEDIES], resumable=True)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS, help="only these data sets")
    parser.add_argument("--report", action="store_true", help="only write the tables again")
    arguments: argparse.Namespace = parser.parse_args()
    results = harness.Results(
        arguments.out / "groups.json", key=("set", "method", "repeats"), protocol=PROTOCOL
    )
    repeats = 1 if arguments.quick else REPEATS
    sets = ("german_credit",) if arguments.quick else arguments.sets
    if not arguments.report:
        for batch in batches(arguments.only):
            for name in sets:
                kinds = batch["kinds"]
                if name == "adult_whole":
                    kinds = {each: kind for each, kind in kinds.items() if each in QUICK_ON_ALL}
                told = [*kinds, *batch["remedies"]]
                missing = [each for each in told if not results.has(set=name, method=each, repeats=repeats)]
                if not told or (not missing and not arguments.redo):
                    continue
                for row in run(name, batch | {"kinds": kinds}, arguments.data, repeats):
                    results.add(row)
                    print(
                        name,
                        row["method"],
                        {key: round(row.get(key, np.nan), 3) for key in FIGURES},
                        flush=True,
                    )
                report(results, arguments.out / "groups.md")
    report(results, arguments.out / "groups.md")


if __name__ == "__main__":
    main()
