"""How often the report alarms when nothing is wrong, and what it says of the controls.

    python benchmarks/false_alarms.py                       # 200 runs
    python benchmarks/false_alarms.py --quick
    python benchmarks/false_alarms.py --controls            # Adult and Credit default at full size

Every run draws training rows, "new" rows and held-out rows anew as disjoint parts of the same real
table, and lets every check judge the new ones. A check of level 5 % should fall below .05 in about 10
of 200 runs; more than 16 would be a fault. The sets take turns: Adult, Credit default, and a coarse toy
of a few categories and counts, in which equal rows are common. *Controls*: real rows held out, copies
of training rows, and independent columns, in the place of the new rows.
"""

from __future__ import annotations

import harness  # first: pins the threads
from harness import say

# isort: split
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from data import _table, data_folder

from augsynth.check.checks import default_checks
from augsynth.check.controls import make_controls
from augsynth.check.finding import FAILED
from augsynth.check.gathering import gather
from augsynth.check.report.examination import examine

ROWS, MOST = 1000, 16
SETS = ("adult", "credit_default", "coarse")
PROTOCOL = {
    "what": f"training, new and held-out rows: disjoint parts of {ROWS} real rows each, drawn anew",
    "raw": "runs with a p-value of at most .05, by check; family: runs in which any check fails (Holm, 5 %)",
}


def coarse(n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw a few categories and counts."""
    sex = rng.choice(["female", "male"], n)
    grade = rng.choice(list("ABCDE"), n, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    visits = rng.poisson(np.where(grade < "C", 1.0, 2.5))
    X = pd.DataFrame({"sex": sex, "grade": grade, "visits": visits, "size": rng.integers(1, 6, n)})
    X["plan"] = rng.choice(["basic", "plus", None], n, p=[0.6, 0.3, 0.1])
    return X, (rng.random(n) < 0.2 + 0.1 * np.minimum(visits, 4)).astype(int)


def drawn(name: str, n: int, rng: np.random.Generator, folder: Path | None) -> list[tuple[pd.DataFrame, Any]]:
    """Return three disjoint tables."""
    if name == "coarse":
        return [coarse(n, rng) for _ in range(3)]
    X, y, _ = _table(name, data_folder(folder))
    parts = rng.permutation(len(X))[: 3 * n].reshape(3, n)
    return [(X.iloc[part].reset_index(drop=True), y[part]) for part in parts]


def one_run(name: str, seed: int, n: int, folder: Path | None) -> dict[str, Any]:
    """Return the p-values of all checks on real rows against real rows."""
    train, new, held = drawn(name, n, np.random.default_rng([seed, 88]), folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evidence = gather(*train, *new, holdout=held, group_columns=["sex"], random_state=seed)
        (findings, _, seconds), cost = harness.measured(examine, evidence, default_checks(), controls=False)
    judged = [each for each in findings if each.p_value == each.p_value]
    return {
        "p": {each.name: each.p_value for each in judged},
        "failed": [each.name for each in judged if each.status == FAILED],
        "seconds": {key: round(value, 3) for key, value in seconds.items()},
        "cpu_s": cost.cpu_s,
    }


def one_control(name: str, control: str, folder: Path | None) -> dict[str, Any]:
    """Judge a control in the place of the new rows: half of the rows train, a quarter is held out."""
    X, y, _ = _table(name, data_folder(folder))
    order = np.random.default_rng(5).permutation(len(X))
    cuts = np.split(order, [len(X) // 2, 3 * len(X) // 4])
    train, new, held = ((X.iloc[part].reset_index(drop=True), y[part]) for part in cuts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evidence = gather(*train, *new, holdout=held, group_columns=["sex"], random_state=0)
        if control != "real hold-out":
            evidence = make_controls(evidence)[0][control]
        (findings, _, _), cost = harness.measured(examine, evidence, default_checks(), controls=False)
    judged = [each for each in findings if each.p_value == each.p_value]
    return {
        "p": {each.name: each.p_value for each in judged},
        "value": {each.name: each.value for each in judged},
        "failed": [each.name for each in judged if each.status == FAILED],
        "cpu_s": cost.cpu_s,
    }


def tables(rows: list[dict[str, Any]]) -> str:
    """Return a line a check, and how many reports alarmed."""
    n = max(row["rows"] for row in rows)
    rows = [row for row in rows if row["rows"] == n]
    checks = list(dict.fromkeys(check for row in rows for check in row["p"]))
    lines = []
    for check in checks:
        own = [row for row in rows if check in row["p"]]
        p = np.array([row["p"][check] for row in own])
        by = [f"{np.sum([r['p'].get(check, 1) <= 0.05 for r in rows if r['set'] == s])}" for s in SETS]
        failed = sum(check in row["failed"] for row in own)
        lines.append(
            [check, str(len(own)), str(int(np.sum(p <= 0.05))), *by, f"{np.sum(p <= 0.01)}", str(failed)]
        )
    header = ["check", "runs", "p <= .05", *SETS, "p <= .01", "failed (Holm)"]
    alarmed = sum(bool(row["failed"]) for row in rows)
    count = Counter(row["set"] for row in rows)
    text = harness.table(header, lines, markdown=True)
    text += (
        f"\n\n{len(rows)} runs of {n} rows ({', '.join(f'{s}: {count[s]}' for s in SETS)}); reports with any "
    )
    return text + f"failed check: {alarmed} ({alarmed / len(rows):.1%}; 5 % are allowed)."


def control_table(rows: list[dict[str, Any]]) -> str:
    """Return which checks each control fails."""
    lines = [[row["set"], row["control"], ", ".join(row["failed"]) or "none"] for row in rows]
    return harness.table(["set", "in the place of the new rows", "fails"], lines, markdown=True)


def main() -> None:
    """Run."""
    p = harness.parser(__doc__, seeds=200, methods=SETS, resumable=True)
    p.add_argument("--controls", action="store_true", help="the controls at full size instead")
    arguments = p.parse_args()
    n = 300 if arguments.quick else ROWS
    store = harness.Results(
        arguments.out / "false_alarms.json", key=("set", "seed", "rows"), protocol=PROTOCOL
    )
    beside = harness.Results(
        arguments.out / "false_alarms_controls.json", key=("set", "control"), protocol=PROTOCOL
    )
    sets = arguments.only or SETS
    if arguments.controls:
        for name in [s for s in sets if s != "coarse"]:
            for control in ("real hold-out", "copy", "independent columns"):
                row = beside.run_missing(
                    {"set": name, "control": control},
                    lambda name=name, control=control: one_control(name, control, arguments.data),
                    redo=arguments.redo,
                )
                if row:
                    say(f"{name} {control}: {row['failed']}")
    else:
        for seed in harness.seeds_of(arguments):
            name = sets[seed % len(sets)]
            row = store.run_missing(
                {"set": name, "seed": seed, "rows": n},
                lambda name=name, seed=seed: one_run(name, seed, n, arguments.data),
                redo=arguments.redo,
            )
            if row and (row["failed"] or seed % 20 == 0):
                say(f"{name} {seed}: {row['failed']}")
    text = (tables(store.rows()) if store.rows() else "") + "\n\n"
    text += control_table(beside.rows()) if beside.rows() else ""
    (arguments.out / "false_alarms.md").write_text(text.strip() + "\n", encoding="utf-8")
    say(text)


if __name__ == "__main__":
    main()
