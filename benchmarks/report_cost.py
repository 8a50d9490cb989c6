"""What the default report costs on Adult, by check, beside SDMetrics' comparable parts.

    python benchmarks/report_cost.py
    AUGSYNTH_SDMETRICS_PYTHON=.../bin/python python benchmarks/report_cost.py --beside --rows 8000
    python benchmarks/report_cost.py --quick

The training split as training rows (32,561 of 15 columns), as many new rows from the sequential trees,
and the test split held out. Memory: the peak of a fresh process, of everything in it.
"""

from __future__ import annotations

import harness  # first: pins the threads
from harness import say

# isort: split
import time
import warnings
from pathlib import Path
from typing import Any

from data import load_split
from sdmetrics_beside import sdmetrics_scores

from augsynth.check.checks import default_checks
from augsynth.check.gathering import gather
from augsynth.check.report.examination import examine
from augsynth.registry import build

PROTOCOL = {
    "what": "the default checks with four controls on Adult: training split, new rows, test split",
    "new rows": "the package's sequential trees, fitted on the training rows; not counted",
}


def rows_of(n: int | None, folder: Path | None) -> tuple[Any, Any, Any]:
    """Return training, new and held-out tables of the first rows."""
    split = load_split("adult", folder=folder)
    train = split.X_train.iloc[:n], split.y_train[:n]
    generator = build("generator", {"kind": "trees", "random_state": 0}).fit(*train)
    new = generator.sample(y=train[1]), train[1]
    return train, new, (split.X_test.iloc[:n], split.y_test[:n])


def report_cost(parts: tuple[Any, Any, Any]) -> dict[str, Any]:
    """Return the CPU-seconds of each check with its controls, and of the rest."""
    train, new, held = parts
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.process_time()
        evidence = gather(*train, *new, holdout=held, group_columns=["sex"], random_state=0)
        gathered = time.process_time() - started
        findings, _, seconds = examine(evidence, default_checks())
    total = time.process_time() - started
    return {
        "gather": gathered,
        "controls and the rest": total - gathered - sum(seconds.values()),
        **seconds,
        "failed": [each.name for each in findings if each.status == "failed"],
    }


def tables(rows: list[dict[str, Any]]) -> str:
    """Return costs by check, beside the peer's."""
    text = ""
    for row in sorted(rows, key=lambda row: (row["who"] != "augsynth", row["rows"])):
        if row["who"] == "augsynth":
            text += f"The default checks with four controls: {row['cpu_s']:.0f} CPU-s, peak memory "
            text += (
                f"{row['peak_mb'] / 1024:.2f} GiB (of which {row['before_mb'] / 1024:.2f} before the first "
            )
            text += f"check), {row['rows']:,} rows.\n\n"
        else:
            text += (
                f"SDMetrics {row['version']} on {row['rows']:,} rows of each: {row['cpu_s']:.0f} CPU-s.\n\n"
            )
        lines = sorted(row["parts"].items(), key=lambda item: -item[1])
        text += harness.table(["part", "CPU-s"], [[k, f"{v:.1f}"] for k, v in lines], markdown=True)
        if row.get("not_run"):
            text += f"\n\nNot run: {row['not_run']}."
        text += "\n\n"
    return text.rstrip()


def main() -> None:
    """Run."""
    p = harness.parser(__doc__, seeds=1, methods=())
    p.add_argument("--beside", action="store_true", help="SDMetrics instead of our checks")
    p.add_argument("--rows", type=int, default=None, help="the first so many rows (default: all)")
    arguments = p.parse_args()
    wanted = 2000 if arguments.quick else arguments.rows
    store = harness.Results(arguments.out / "report_cost.json", key=("who", "rows"), protocol=PROTOCOL)
    if arguments.beside:
        parts = rows_of(wanted, arguments.data)
        found = sdmetrics_scores(*parts, left_out=("overfitting",))
        row = {"who": "SDMetrics", "rows": len(parts[0][0]), "cpu_s": sum(found["cpu_s"].values())}
        note = "DCROverfittingProtection, which compares all rows with all rows column by column"
        row |= {
            "parts": found["cpu_s"],
            "scores": found["scores"],
            "version": found["version"],
            "not_run": note,
        }
        store.add(row)
    else:
        found, cost = harness.measured_isolated(report_cost, wanted, arguments.data, setup=rows_of)
        failed = found.pop("failed")
        n = wanted or len(load_split("adult", folder=arguments.data).X_train)
        row = {"who": "augsynth", "rows": n, "cpu_s": cost.cpu_s, "parts": found, "failed": failed}
        store.add(row | {"peak_mb": cost.peak_rss_mb, "before_mb": cost.rss_before_mb})
    own = [row for row in store.rows() if row["who"] == "augsynth"]
    most = max((row["rows"] for row in own), default=0)
    text = tables([row for row in store.rows() if row["who"] != "augsynth" or row["rows"] == most])
    (arguments.out / "report_cost.md").write_text(text + "\n", encoding="utf-8")
    say(text)


if __name__ == "__main__":
    main()
