"""The tables of the imputation benchmark: ranks, shares of cells, ratios of time and energy."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

import numpy as np
from harness import table
from imputation_methods import DEFAULT, OTHER_WAYS, OURS, PEERS
from imputation_sets import MECHANISMS, OWN_HOLES
from scipy.stats import rankdata

Row = dict[str, Any]
Cells = dict[tuple[str, str, float], dict[str, Row]]
ERRORS = {"rmse": "numbers: RMSE", "mae": "numbers: MAE", "pfc": "categories: falsely classified"}
CLOSE = 1.02
MAIN = [m for m in PEERS if m not in OTHER_WAYS]


def by_cell(rows: Sequence[Row]) -> Cells:
    """Return cell -> method -> row; over several seeds the numbers are means."""
    found: dict[tuple[str, str, float], dict[str, list[Row]]] = {}
    for row in rows:
        if row["mechanism"] != "own":
            cell = found.setdefault((row["data"], row["mechanism"], row["share"]), {})
            cell.setdefault(row["method"], []).append(row)
    return {cell: {m: _mean(listed) for m, listed in methods.items()} for cell, methods in found.items()}


def _mean(rows: list[Row]) -> Row:
    if len(rows) == 1:
        return rows[0]
    numbers = {k for k, v in rows[0].items() if isinstance(v, float) and k != "share"}
    return {**rows[0], **{k: fmean(r[k] for r in rows) for k in numbers}}


def value(cell: dict[str, Row], method: str, field: str) -> float | None:
    """Return a measure of a method in a cell, None where it is not there."""
    return cell.get(method, {}).get(field)


def methods_of(cells: Cells, field: str) -> list[str]:
    """Return the methods that have this measure, peers first, in their usual order."""
    found = {m for cell in cells.values() for m, row in cell.items() if row.get(field) is not None}
    order = [m for m in ("truth", *PEERS, *OURS) if m in found]
    return order + sorted(found - set(order))


def average_ranks(cells: Cells, field: str, methods: Sequence[str]) -> tuple[dict[str, float], int]:
    """Return average ranks (1 is best; ties share) over the cells that all these methods have."""
    ranks = []
    for cell in cells.values():
        values = [value(cell, m, field) for m in methods]
        if all(v is not None for v in values):
            ranks.append(rankdata([round(v, 10) for v in values]))  # type: ignore[arg-type]
    if not ranks:
        return {}, 0
    return dict(zip(methods, np.mean(ranks, axis=0), strict=True)), len(ranks)


def whole(cells: Cells) -> Cells:
    """Return the cells that all main peers and the default have finished: only these are compared."""
    return {k: c for k, c in cells.items() if all(m in c for m in (*MAIN, DEFAULT))}


def complete_in(cells: Cells, field: str, methods: Sequence[str]) -> list[str]:
    """Return the methods that have the measure in as many cells as any of them."""
    counts = {m: sum(value(c, m, field) is not None for c in cells.values()) for m in methods}
    return [m for m in methods if counts[m] == max(counts.values()) > 0]


def close_to_best(cells: Cells, field: str) -> tuple[int, int, list[tuple[float, str]]]:
    """Return (cells where the default is within 2 % of the best peer, cells, the losses)."""
    close, losses, total = 0, [], 0
    for key, cell in cells.items():
        ours = value(cell, DEFAULT, field)
        peers = {m: value(cell, m, field) for m in PEERS}
        known = {m: v for m, v in peers.items() if v is not None}
        if ours is None or not known:
            continue
        total += 1
        best = min(known, key=lambda m: known[m])
        if ours <= CLOSE * known[best] + 1e-12:
            close += 1
        else:
            name = " ".join(str(k) for k in key)
            losses.append((ours / known[best], f"{name}: {ours:.4f} against {known[best]:.4f} ({best})"))
    return close, total, sorted(losses, reverse=True)


def ratios(cells: Cells, over: tuple[str, str], under: tuple[str, str]) -> list[float]:
    """Return measure of one method / measure of another, cell by cell."""
    out = []
    for cell in cells.values():
        a, b = value(cell, *over), value(cell, *under)
        if a is not None and b:
            out.append(a / b)
    return out


# ------------------------------------------------------------------ tables
def mean_table(cells: Cells, field: str) -> str:
    """Return means of a measure by mechanism and share, over the sets that all rows of the table have."""
    methods = complete_in(cells, field, [m for m in methods_of(cells, field) if m != "truth"])
    shares = sorted({share for _, _, share in cells})
    columns = [(k, s) for k in MECHANISMS for s in shares]
    lines = []
    for m in methods:
        line = [m]
        for mechanism, share in columns:
            whole = [
                cell
                for key, cell in cells.items()
                if key[1:] == (mechanism, share) and all(value(cell, n, field) is not None for n in methods)
            ]
            line.append(f"{fmean(value(c, m, field) for c in whole):.3f}" if whole else "-")  # type: ignore[misc]
        lines.append(line)
    return table([field, *(f"{k} {s:.0%}" for k, s in columns)], lines, markdown=True)


def rank_table(cells: Cells) -> str:
    """Return average ranks by error: among the peers and the default, and among all."""
    fields = ["rmse", "mae", "pfc", "rmse_test", "pfc_test", "energy", "downstream"]
    first = [*MAIN, DEFAULT]
    everyone = methods_of(cells, "energy")
    columns: dict[str, dict[str, float]] = {}
    for f in fields:
        signed = _negated(cells) if f == "downstream" else cells
        for label, methods in (("", first), (" (all)", everyone)):
            there = complete_in(signed, f, [m for m in methods if m in methods_of(signed, f)])
            found, n = average_ranks(signed, f, there)
            columns[f"{f}{label} n={n}"] = found
    lines = [[m, *(f"{found[m]:.2f}" if m in found else "-" for found in columns.values())] for m in everyone]
    return table(["average rank", *columns], lines, markdown=True)


def _negated(cells: Cells) -> Cells:
    return {
        key: {
            m: {**row, "downstream": None if row.get("downstream") is None else -row["downstream"]}
            for m, row in cell.items()
        }
        for key, cell in cells.items()
    }


def goal_lines(cells: Cells) -> list[str]:
    """Return the figures that the default is judged by."""
    lines = []
    closes = {field: close_to_best(cells, field) for field in ("rmse", "pfc")}
    for field, (close, total, _) in closes.items():
        if total:
            lines.append(
                f"{ERRORS[field]}: {DEFAULT} within 2 % of the best peer in {close} of {total} cells"
                f" ({close / total:.0%})"
            )
    close = sum(c[0] for c in closes.values())
    total = sum(c[1] for c in closes.values())
    if total:
        lines.append(f"both kinds together: {close} of {total} ({close / total:.0%})")
    for forest in ("forest", "forest:dummies"):
        time = ratios(cells, (forest, "point_cpu_s"), (DEFAULT, "point_cpu_s"))
        if time:
            lines.append(
                f"CPU-seconds of IterativeImputer with a random forest ({forest}) / {DEFAULT}: median"
                f" {median(time):.1f}, least {min(time):.1f}, at least 10 in"
                f" {sum(t >= 10 for t in time)} of {len(time)} cells"
            )
    for other in ("ridge", "miceforest"):
        energy = ratios(cells, (DEFAULT, "energy_draw"), (other, "energy_draw"))
        if energy:
            name = "sample_posterior" if other == "ridge" else other
            lines.append(
                f"energy distance of draws, {DEFAULT} / {name}: median {median(energy):.3f}, at most 0.8 in"
                f" {sum(e <= 0.8 for e in energy)} of {len(energy)} cells, greatest {max(energy):.2f}"
            )
    others = {m: ratios(cells, (m, "energy_draw"), ("ridge", "energy_draw")) for m in OURS if m != DEFAULT}
    told = [f"{m} {median(found):.3f} (n={len(found)})" for m, found in others.items() if found]
    if told:
        lines.append(f"the same median of our other methods, / sample_posterior: {', '.join(told)}")
    return lines


def loss_lines(cells: Cells) -> list[str]:
    """Return the cells where the default is more than 2 % behind the best peer, worst first."""
    lines = []
    for field, label in (("rmse", "RMSE"), ("pfc", "falsely classified")):
        for ratio, text in close_to_best(cells, field)[2]:
            lines.append(f"* {label} +{ratio - 1:.1%}: {text}")
    return lines


def cost_table(cells: Cells) -> str:
    """Return the median CPU-seconds of every method by set."""
    sets = sorted({key[0] for key in cells})
    methods = methods_of(cells, "point_cpu_s")
    lines = []
    for m in methods:
        line = [m]
        for name in sets:
            spent = [value(c, m, "point_cpu_s") for key, c in cells.items() if key[0] == name]
            known = [s for s in spent if s is not None]
            line.append(f"{median(known):.2f}" if known else "-")
        lines.append(line)
    return table(["CPU-seconds, fit and completion", *sets], lines, markdown=True)


def own_holes_table(rows: Sequence[Row]) -> str:
    """Return the downstream scores of the sets with holes of their own."""
    lines = []
    for row in rows:
        if row["mechanism"] == "own":
            spread = float(np.std(row["by_fold"], ddof=1))
            score = f"{row['downstream']:.3f} ± {spread:.3f}"
            lines.append([row["data"], row["method"], score, f"{row['point_cpu_s']:.2f}"])
    return table(["own holes", "method", "accuracy, folds", "CPU-s"], lines, markdown=True) if lines else ""


def report(rows: Sequence[Row]) -> str:
    """Return the text of all tables."""
    everything = by_cell([r for r in rows if r["data"] not in OWN_HOLES])
    cells = whole(everything)
    sets = sorted({key[0] for key in cells})
    parts = [
        "# Completing tables: the default of augsynth beside its peers",
        "What the columns mean: the heads of imputation_measures.py and imputation_methods.py.",
        "One seed. california_housing and abalone have one column of categories, so about 30 masked"
        " categories at 10 %: one of them is 3 %, and the best of several peers is partly luck."
        " CPU-seconds of one thread on a busy machine (the load is in the rows).",
        f"{len(cells)} cells of {len(everything)} are finished by all and compared, of {len(sets)} sets:"
        f" {', '.join(f'{s} {sum(k[0] == s for k in cells)}' for s in sets)}.",
        "\n".join(f"* {line}" for line in goal_lines(cells)),
        "Average ranks over the cells of the grid, 1 is best; `_test` are hold-out rows."
        " Plain columns: peers and the default; (all): every contestant.",
        rank_table(cells),
    ]
    for field in ("rmse", "mae", "pfc", "energy", "energy_draw", "downstream"):
        parts.append(f"Mean {field} over the sets:\n\n{mean_table(cells, field)}")
    parts += [cost_table(cells), own_holes_table(rows), "Where the default is behind the best peer:"]
    parts.append("\n".join(loss_lines(cells)) or "nowhere")
    return "\n\n".join(p for p in parts if p) + "\n"
