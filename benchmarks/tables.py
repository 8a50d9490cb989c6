"""Whole tables: train on made rows, test on real ones, beside the controls and the peers.

    python benchmarks/tables.py                             # what the result files lack, three seeds
    python benchmarks/tables.py --only trees vae --redo     # run these again; the others stay
    python benchmarks/tables.py --only gan --sets adult --seeds 1 --first-seed 2
    python benchmarks/tables.py --only ctgan tvae --full-peers --seeds 1 --sets adult

Finished rows stay in the result file and are skipped; several processes may write into
one file. A row of a peer whose cost was scaled counts as missing with ``--full-peers``.

Every method is shown the training rows and makes as many, with the training labels
as the condition. What each measure is: the head of measures.py. Generators run at
their defaults. One thread. The last column is the CPU time (fit and sample) as a share
of CTGAN's.
"""

from __future__ import annotations

import harness  # first: pins the threads
from harness import say

# isort: split
import argparse
from functools import partial
from pathlib import Path
from typing import Any

import measures
import numpy as np
import pandas as pd
from data import Split, load_split, thinned
from measures import Coded, Yardstick, c2st, closer, copies, fidelity, marginal, pairs, tstr
from methods import CONTROLS, PEERS, Made, from_peer, generator, make, registered

DATA = ("adult", "credit_default")
QUICK_ROWS = 3000
SHOWN = {
    "tstr_auc": "AUC", "tstr_f1": "macro-F1", "c2st": "C2ST", "closer": "closer", "copies": "copies",
    "marginal": "marginal", "pair": "pair", "association": "assoc.",
}  # fmt: skip
PROTOCOL = {
    "what": "as many rows as there are training rows, of the training labels; judged on the real test rows",
    "measures": measures.__doc__,
    "real": "TSTR: the training rows; the rest: a random half of the test rows judged against the other half",
    "split": {"adult": "the split of the origin", "credit_default": "70/30, stratified, by seed"},
    "scaled": "true: CPU time of the peer's 300 epochs scaled from 5, its preparation once; rows not judged",
}


def real_row(train: Coded, test: Coded, is_category: np.ndarray, seed: int) -> dict[str, float]:
    """Return the measures of another real sample: what no method can be expected to beat."""
    order = np.random.default_rng([seed, 5]).permutation(len(test))
    half, other = test.take(order[: len(test) // 2]), test.take(order[len(test) // 2 :])
    return {
        **tstr(train, test),
        "c2st": c2st(half, other, seed=seed),
        "closer": closer(half, train, other, is_category, seed=seed),
        "copies": copies(half, train),
        "marginal": marginal(half, train, is_category),
        "marginal_test": marginal(half, other, is_category),
        **pairs(half, train, is_category),
    }


def asked_and_got(kind: str, split: Split, seed: int) -> dict[str, float]:
    """Ask for label and group cell by cell: the share of rows that came, and of groups as asked."""
    column = split.groups[0]
    small = thinned(split, 300, 900, seed)
    rng = np.random.default_rng([seed, 6])
    cells = rng.integers(0, len(small.y_train), 1000)
    y, group = small.y_train[cells], small.X_train[column].iloc[cells].reset_index(drop=True)
    model = generator(kind, seed)
    if hasattr(model, "trainer"):
        from augsynth import registry

        model.set_params(trainer=registry.build("trainer", {"kind": "trainer", "steps": 20}))
    model.fit(small.X_train, small.y_train, sensitive_features=small.X_train[[column]])
    made = model.sample(y=y, sensitive_features=group.to_frame(), random_state=seed)
    return {
        "rows_as_asked": len(made) / len(y),
        "group_as_asked": float((made[column].astype(object) == group.astype(object)).mean()),
    }


def made_row(
    method: str, split: Split, seed: int, arguments: argparse.Namespace
) -> tuple[Made | None, dict[str, Any]]:
    """Make the rows of one method; return them and the fields of cost."""
    if method in PEERS:
        made, costs = from_peer(
            method,
            split.X_train,
            split.y_train,
            seed,
            full=arguments.full_peers,
            python=arguments.peers_python,
        )
        return made, costs
    made = make(method, split.X_train, split.y_train, split.y_train, seed)
    costs = {
        "fit_cpu_s": made.fit.cpu_s, "fit_wall_s": made.fit.wall_s,
        "sample_cpu_s": made.sample.cpu_s, "sample_wall_s": made.sample.wall_s,
    }  # fmt: skip
    if method not in CONTROLS:
        costs |= asked_and_got(method, split, seed)
    return made, costs


def run_one(
    method: str, split: Split, yard: Yardstick, seed: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return the result row of one method, data set and seed."""
    train, test = yard.code(split.X_train, split.y_train), yard.code(split.X_test, split.y_test)
    row: dict[str, Any] = {"data": split.name, "method": method, "seed": seed, "rows": len(train)}
    if method == "real":
        return row | real_row(train, test, yard.is_category, seed)
    made, costs = made_row(method, split, seed, arguments)
    if made is None:
        return row | costs
    coded = yard.code(made.X, made.y)
    found = fidelity(coded, train, test, yard.is_category, seed=seed)
    trts = tstr(train, coded)["tstr_auc"]  # do the made rows look like the label they were asked for?
    return row | found | {"label_auc": trts} | costs


def cpu_s(rows: list[dict[str, Any]]) -> float | None:
    """Return the mean CPU-seconds of fit and sample, None where no row has any."""
    spent = [r["fit_cpu_s"] + r["sample_cpu_s"] for r in rows if "fit_cpu_s" in r]
    return float(np.mean(spent)) if spent else None


def print_table(rows: list[dict[str, Any]], name: str, *, markdown: bool = False) -> str:
    """Return the table of one data set, means and standard deviations over the seeds."""
    ranked = ["real", *CONTROLS, *PEERS]
    found = {row["method"] for row in rows if row["data"] == name}
    methods = sorted(found, key=lambda m: (ranked.index(m) if m in ranked else len(ranked), m))
    by_method = {m: [r for r in rows if r["data"] == name and r["method"] == m] for m in methods}
    peer = cpu_s(by_method.get("ctgan", []))
    lines = []
    for method, own in by_method.items():
        cells = [harness.mean_sd([row.get(field) for row in own]) for field in SHOWN]
        cost = [
            harness.mean_sd([row.get(field) for row in own], 1) for field in ("fit_cpu_s", "sample_cpu_s")
        ]
        label = method + (" (cost scaled)" if any(row.get("scaled") for row in own) else "")
        spent = cpu_s(own)
        share = "-" if peer is None or spent is None else f"{spent / peer:.3f}"
        lines.append([label, str(len(own)), *cells, *cost, share])
    head = [name, "seeds", *SHOWN.values(), "fit CPU-s", "sample CPU-s", "CPU / CTGAN's"]
    return harness.table(head, lines, markdown=markdown)


def run_set(name: str, methods: list[str], arguments: argparse.Namespace) -> None:
    """Run what the result file of one set lacks, row by row, and write its table."""
    stem = f"tables_{name}{'_quick' if arguments.quick else ''}"
    results = harness.Results(
        arguments.out / f"{stem}.json", key=("data", "method", "seed"), protocol=PROTOCOL
    )
    for seed in harness.seeds_of(arguments):
        split = load_split(name, seed, folder=arguments.data)
        if arguments.quick:
            share = split.y_train.mean()
            split = thinned(split, int(QUICK_ROWS * share), int(QUICK_ROWS * (1 - share)), seed)
        yard = Yardstick(pd.concat([split.X_train, split.X_test]))
        for method in methods:
            if method in PEERS and seed and not arguments.full_peers:
                continue  # one timing is enough
            row = results.run_missing(
                {"data": name, "method": method, "seed": seed},
                partial(run_one, method, split, yard, seed, arguments),
                redo=arguments.redo,
                fresh=lambda old: not (arguments.full_peers and old.get("scaled")),
            )
            if row is not None:
                shown = {k: round(v, 4) for k, v in row.items() if isinstance(v, float)}
                say(f"{name} {method} {seed}: {shown}")
    rows = results.rows()
    (arguments.out / f"{stem}.md").write_text(print_table(rows, name, markdown=True) + "\n", encoding="utf-8")
    say("\n" + print_table(rows, name) + "\n")


def main() -> None:
    """Run the table benchmark."""
    known = ["real", *CONTROLS, *registered(), *PEERS]
    parser = harness.parser(__doc__, seeds=3, methods=known, resumable=True)
    parser.add_argument("--sets", nargs="+", default=list(DATA), help="data sets")
    parser.add_argument(
        "--full-peers", action="store_true", help="train CTGAN and TVAE for all their 300 epochs"
    )
    parser.add_argument(
        "--peers-python", type=Path, default=None, help="interpreter of the peers' environment"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.sets:
        run_set(name, arguments.only or known, arguments)
    say(f"threads {harness.machine()['threads']['OMP_NUM_THREADS']}, load {harness.load_average()}\n")


if __name__ == "__main__":
    main()
