"""Twenty-five planted defects: which checks of the report flag which, and what SDMetrics scores them.

    python benchmarks/planted_defects.py                    # ten seeds
    python benchmarks/planted_defects.py --quick
    python benchmarks/planted_defects.py --only "copies 1 %" "mode dropped" --redo
    AUGSYNTH_SDMETRICS_PYTHON=.../bin/python python benchmarks/planted_defects.py --beside --seeds 1

3,000 training rows, new rows and held-out rows each. New rows are fresh real rows with one
defect (`defects.py`). *Flagged*: seeds in which any check of the report fails, with Holm's allowance for
all its judged checks at 5 % (the family level of the report). The line "none" shows the false alarms.
"""

from __future__ import annotations

import harness  # first: pins the threads
from harness import say

# isort: split
import warnings
from collections import Counter
from typing import Any

from defects import DEFECTS, World, adult_world, planted, simulated_world, symmetric_world
from sdmetrics_beside import sdmetrics_scores

from augsynth.check.checks import default_checks
from augsynth.check.finding import FAILED
from augsynth.check.gathering import gather
from augsynth.check.report.examination import examine

ROWS = 3000
PROTOCOL = {
    "what": f"{ROWS} training, new and held-out rows each; the new ones are fresh real rows with one defect",
    "flagged": "a check fails at the family level of the report: Holm over all judged checks, 5 %",
    "controls": "not computed here: they do not enter the verdicts",
}


def examined(world: World, name: str, seed: int, n: int) -> dict[str, Any]:
    """Return the p-values, statuses and figures of all checks."""
    train, new, held = planted(world, name, n, seed)
    columns = [world.group] if DEFECTS[name].grouped else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evidence = gather(*train, *new, holdout=held, group_columns=columns, random_state=seed)
        (findings, _, seconds), cost = harness.measured(examine, evidence, default_checks(), controls=False)
    judged = [each for each in findings if each.p_value == each.p_value]
    return {
        "p": {each.name: each.p_value for each in judged},
        "failed": [each.name for each in judged if each.status == FAILED],
        "value": {each.name: each.value if abs(each.value) < 1e300 else None for each in findings},
        "seconds": {key: round(value, 3) for key, value in seconds.items()},
        "cpu_s": cost.cpu_s,
    }


def beside(world: World, name: str, seed: int, n: int) -> dict[str, Any]:
    """Return SDMetrics' scores of the same tables."""
    left_out = ("overfitting",) if "cop" in name else ("overfitting", "new_row")
    found = sdmetrics_scores(*planted(world, name, n, seed), left_out=left_out)
    return {"scores": found["scores"], "seconds": found["cpu_s"], "version": found["version"]}


def tables(rows: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
    """Return a line a defect and world."""
    lines, n = [], max(row["rows"] for row in rows)
    for name in DEFECTS:
        for world in ("simulated", "adult", "symmetric"):
            own = [r for r in rows if (r["defect"], r["world"], r["rows"]) == (name, world, n)]
            if not own:
                continue
            failed = Counter(check for row in own for check in row["failed"])
            raw = Counter(check for row in own for check, p in row["p"].items() if p <= 0.05)
            flagged = sum(bool(row["failed"]) for row in own)
            by = ", ".join(f"{check} {count}" for check, count in failed.most_common(6))
            weak = [c for c, k in raw.most_common(3) if not failed[c]] if flagged < len(own) else []
            by += f" (raw: {', '.join(f'{c} {raw[c]}' for c in weak)})" if weak else ""
            lines.append([name, world, f"{flagged} of {len(own)}", by or "-", *_theirs(theirs, name, world)])
    header = ["defect", "world", "flagged", "by (seeds)"]
    header += ["SD quality", "SD diagnostic", "SD logistic detection", "SD new rows"]
    note = (
        "Scores of SDMetrics run from 0 to 1, and 1 is best; one seed. They have no level at which they "
        "fail; the line of no defect is the yardstick. Its overfitting score stands in attacks.md."
    )
    return harness.table(header, lines, markdown=True) + "\n\n" + note


def _theirs(rows: list[dict[str, Any]], name: str, world: str) -> list[str]:
    own = [r for r in rows if (r["defect"], r["world"]) == (name, world)]
    scores = own[0]["scores"] if own else {}
    keys = ("quality", "diagnostic", "logistic_detection", "new_row")
    cells = [scores.get(key) for key in keys]
    return [f"{c:.3f}" if isinstance(c, float) else "-" if c is None else "error" for c in cells]


def main() -> None:
    """Run the suite."""
    p = harness.parser(__doc__, seeds=10, methods=list(DEFECTS), resumable=True)
    p.add_argument("--worlds", nargs="+", default=["simulated", "adult", "symmetric"])
    p.add_argument("--beside", action="store_true", help="SDMetrics instead of our checks")
    arguments = p.parse_args()
    n = 600 if arguments.quick else ROWS
    made = {"simulated": simulated_world, "symmetric": symmetric_world}
    worlds = [adult_world(arguments.data) if w == "adult" else made[w]() for w in arguments.worlds]
    key = ("world", "defect", "seed", "rows")
    store, peer = (
        harness.Results(arguments.out / file, key=key, protocol=PROTOCOL)
        for file in ("planted_defects.json", "planted_defects_sdmetrics.json")
    )
    one, results = (beside, peer) if arguments.beside else (examined, store)
    for seed in harness.seeds_of(arguments):
        for name in arguments.only or list(DEFECTS):
            for world in [w for w in worlds if w.name in DEFECTS[name].worlds]:
                row = results.run_missing(
                    {"world": world.name, "defect": name, "seed": seed, "rows": n},
                    lambda world=world, name=name, seed=seed: one(world, name, seed, n),
                    redo=arguments.redo,
                )
                if row:
                    say(f"{world.name} {name} {seed}: {row.get('failed', row.get('scores'))}")
    if store.rows():
        text = tables(store.rows(), peer.rows())
        (arguments.out / "planted_defects.md").write_text(text + "\n", encoding="utf-8")
        say(text)


if __name__ == "__main__":
    main()
