"""Completing tables: ours beside scikit-learn's imputers, miceforest and MissForest, on the same holes.

    python benchmarks/imputation.py                              # what the result file lacks
    python benchmarks/imputation.py --sets wine --only mean chained --redo
    python benchmarks/imputation.py --cache FOLDER               # keep the peers' completions for reruns
    python benchmarks/imputation.py --summary                    # only the tables of what is there

Grid: sets x mechanism (MCAR, MAR, MNAR) x share of holes (10, 30, 50 %), and one set with holes of
its own (downstream only, five folds). The rows of a set are drawn by the seed; two thirds train.
Every method gets the same cells; errors are those of the training rows' masked cells, and of the
hold-out rows', which the training rows' imputer completes. The measures: imputation_measures.py; the
contestants: imputation_methods.py. Costs are CPU-seconds of one process with one thread: ``point``
is fit and completion of the training rows, ``draw`` the same for all draws.
"""

from __future__ import annotations

import harness  # first: pins the threads
from harness import say

# isort: split
import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import imputation_measures
import imputation_methods
import imputation_sets
import imputation_summary
import numpy as np
from imputation_measures import Yardstick, downstream
from imputation_methods import OTHER_WAYS, OURS, PEERS, Completed, complete, full_name
from imputation_sets import MECHANISMS, OWN_HOLES, ROWS, ROWS_OF, SETS, SHARES, Case, load_table, make_case

DRAWS = 3  # the column draws says how many a row has
FOLDS = 5
QUICK_ROWS = 120
KEY = ("data", "mechanism", "share", "seed", "method")
PROTOCOL = {
    "what": __doc__,
    "measures": imputation_measures.__doc__,
    "methods": imputation_methods.__doc__,
    "rows": {name: ROWS_OF.get(name, ROWS) for name in SETS},
    "hold_out": imputation_sets.HOLD_OUT,
}
LIBRARIES = (*harness.LIBRARIES, "lightgbm", "miceforest", "MissForest")
KEPT = ("train", "test", "draws")


def cached(folder: Path | None, case: Case, method: str, yard: Yardstick, m: int) -> tuple[dict, dict]:
    """Return completed codes (train, test, draws) and costs, from the cache where it has them."""
    name = (
        f"{case.table.name}_{case.mechanism}_{case.share}_{case.seed}_{full_name(method)}_{case.digest()}.npz"
    )
    path = folder / name.replace(":", "-") if folder and method.partition(":")[0] in PEERS else None
    if path and path.exists():
        with np.load(path) as kept:
            return {k: kept[k] for k in KEPT}, json.loads(str(kept["costs"]))
    train, test = case.part(case.train), case.part(case.test)
    done: Completed = complete(method, train, test, case.seed, m)
    codes = {
        "train": yard.code(done.train),
        "test": yard.code(done.test),
        "draws": np.array([yard.code(d) for d in done.draws]),
    }
    costs: dict[str, Any] = {
        "point_cpu_s": done.point_cost.cpu_s,
        "test_cpu_s": done.test_cost.cpu_s,
        "draw_cpu_s": None if done.draw_cost is None else done.draw_cost.cpu_s,
        "point_wall_s": done.point_cost.wall_s,
        "notes": done.notes,
    }
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, **codes, costs=json.dumps(costs))
        part.replace(path)
    return codes, costs


def grid_row(case: Case, method: str, folder: Path | None, m: int) -> dict[str, Any]:
    """Return the measures of one method in one cell of the grid."""
    yard = Yardstick(case.table)
    truth = yard.code(case.table.X)
    missing = np.isnan(yard.code(case.holes))
    codes, costs = cached(folder, case, method, yard, m)
    for part, rows in (("train", case.train), ("test", case.test)):
        known = ~missing[rows]
        if not np.allclose(codes[part][known], truth[rows][known]):
            costs["notes"] = {**costs["notes"], "changed_observed_cells": True}
    row: dict[str, Any] = dict(
        yard.errors(codes["train"], truth[case.train], missing[case.train]),
        holes=case.digest(),
        rows=len(case.train),
        draws=len(codes["draws"]),
        masked=int(missing[case.train].sum()),
        energy=yard.energy(codes["train"], truth[case.train]),
    )
    held = yard.errors(codes["test"], truth[case.test], missing[case.test])
    row |= {f"{k}_test": held[k] for k in ("rmse", "mae", "pfc")}
    if len(codes["draws"]):
        row["energy_draw"] = float(np.mean([yard.energy(d, truth[case.train]) for d in codes["draws"]]))
        drawn = [yard.errors(d, truth[case.train], missing[case.train]) for d in codes["draws"]]
        row |= {
            f"{k}_draw": float(np.mean([d[k] for d in drawn]))
            for k in ("rmse", "pfc")
            if drawn[0][k] is not None
        }
    y, is_class = case.table.y, case.table.is_class
    parts = (codes["train"], y[case.train], codes["test"], y[case.test])
    row["downstream"] = downstream(yard, *parts, is_class)
    return row | costs


def truth_row(case: Case) -> dict[str, Any]:
    """Return the downstream score without any holes: what no imputer can be expected to beat."""
    yard = Yardstick(case.table)
    z, y = yard.code(case.table.X), case.table.y
    parts = (z[case.train], y[case.train], z[case.test], y[case.test])
    return {"holes": case.digest(), "downstream": downstream(yard, *parts, case.table.is_class)}


def folds_row(case: Case, method: str, folder: Path | None, m: int) -> dict[str, Any]:
    """Return the downstream score of a set with holes of its own: mean of stratified folds."""
    from sklearn.model_selection import StratifiedKFold

    yard, scores, spent = Yardstick(case.table), [], 0.0
    y = case.table.y
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=case.seed).split(case.holes, y)
    for train, test in splits:
        codes, costs = cached(folder, replace(case, train=train, test=test), method, yard, 0)
        scores.append(downstream(yard, codes["train"], y[train], codes["test"], y[test], True))
        spent += costs["point_cpu_s"]
    cost = {"point_cpu_s": spent / FOLDS}
    return {"holes": case.digest(), "downstream": float(np.mean(scores)), "by_fold": scores, **cost}


def run_cell(case: Case, methods: list[str], results: harness.Results, arguments: argparse.Namespace) -> None:
    """Run what the result file lacks in one cell of the grid."""
    own, holes = case.mechanism == "own", case.digest()
    if not own:
        truth = {**case.key(), "method": "truth"}
        results.run_missing(truth, partial(truth_row, case), fresh=lambda old: old.get("holes") == holes)
    for method in methods:
        if method in OTHER_WAYS and (own or not case.table.categorical):
            continue
        make = partial(folds_row if own else grid_row, case, method, arguments.cache, arguments.draws)
        key = {**case.key(), "method": method}
        row = results.run_missing(key, make, redo=arguments.redo, fresh=lambda old: old.get("holes") == holes)
        if row is not None:
            fields = ("rmse", "pfc", "energy", "energy_draw", "downstream", "point_cpu_s")
            shown = {k: round(row[k], 4) for k in fields if row.get(k) is not None}
            say(f"{' '.join(str(v) for v in key.values())}: {shown}")


def write_summary(results: harness.Results, arguments: argparse.Namespace, stem: str) -> None:
    """Print the tables and write them beside the rows."""
    text = imputation_summary.report(results.rows())
    (arguments.out / f"{stem}.md").write_text(text, encoding="utf-8")
    say("\n" + text)


def parse() -> argparse.Namespace:
    """Return the command line."""
    parser = harness.parser(__doc__, seeds=1, methods=[*PEERS, *OURS], resumable=True)
    parser.add_argument("--sets", nargs="+", default=[*SETS, *OWN_HOLES], help="data sets")
    parser.add_argument("--mechanisms", nargs="+", default=list(MECHANISMS), choices=MECHANISMS)
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES), help="shares of holes")
    parser.add_argument("--cache", type=Path, default=None, help="folder that keeps the peers' completions")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"random completions (default {DRAWS})")
    parser.add_argument("--summary", action="store_true", help="run nothing, write the tables")
    return parser.parse_args()


def main() -> None:
    """Run the imputation benchmark."""
    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    stem = "imputation_quick" if arguments.quick else "imputation"
    harness.LIBRARIES = LIBRARIES
    results = harness.Results(arguments.out / f"{stem}.json", key=KEY, protocol=PROTOCOL)
    results.run["versions"] = harness.versions(LIBRARIES)
    rows = QUICK_ROWS if arguments.quick else None
    methods = arguments.only or [*PEERS, *OURS]
    grid = [] if arguments.summary else arguments.sets
    for name in grid:
        for seed in harness.seeds_of(arguments):
            table = load_table(name, rows=rows, seed=seed, folder=arguments.data)
            if name in OWN_HOLES:
                run_cell(make_case(table, "own", 0.0, seed), methods, results, arguments)
                continue
            for mechanism in arguments.mechanisms:
                for share in arguments.shares[1:2] if arguments.quick else arguments.shares:
                    try:
                        case = make_case(table, mechanism, share, seed)
                    except ImportError as error:
                        say(f"{name} {mechanism} {share}: left out: {error}")
                        continue
                    run_cell(case, methods, results, arguments)
    write_summary(results, arguments, stem)


if __name__ == "__main__":
    main()
