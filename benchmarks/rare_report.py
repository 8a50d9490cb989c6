"""The tables of the rare-class benchmark: paired differences over the seeds, with their intervals."""

from __future__ import annotations

import math
import statistics

import harness

NEGATIVES = 4000
BASELINES = ("nothing", "weights", "threshold")
CONTROLS = {"real": "real", "copies": "copy", "imblearn_smote": "imblearn_smote"}
MODELS = ("logistic", "xgboost")
SCORES = ("average_precision", "balanced_accuracy", "recall")
FIDELITY = ("class_c2st", "class_marginal", "class_pair", "class_closer", "class_copies")


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
