"""How often the intervals of group gaps hold the true gap, how wide they are, and what they cost.

    python benchmarks/gap_coverage.py                    # what is missing in the result file
    python benchmarks/gap_coverage.py --quick            # a few runs of each case
    python benchmarks/gap_coverage.py --only timing      # or coverage, fairlearn
    python benchmarks/gap_coverage.py --report           # only write the tables again

coverage   1,000 runs a case: 2, 5, 10, 20 groups of equal or tenfold unequal sizes (100 rows a group on
           average; for equalised odds 100 positives and 100 negatives), rates of .30 that are equal, or
           differ by .15 in one group, evenly, or between two halves. Demographic parity (one family of
           rates) and equalised odds (two, the second with half the gap). Beside ours, from the same counts:
    Tukey          all pairs (Agresti and Caffo, studentised range), the ends of their largest and smallest
                   differences; for equalised odds at the level shared by two families (Sidak)
    bootstrap      percentile bootstrap of max - min, 500 resamples within groups: an emulation of fairlearn's
                   (which resamples rows of the whole table) that is quick enough for 1,000 runs
    oracle         knows the distribution of the error of the observed gap: the observed gap less its 97.5 %
                   and 2.5 % quantiles
    Widths of ours are means over the first 30 runs of a case, of the others over all of them.
fairlearn  a few real calls of MetricFrame(n_boot=100).difference_ci()
timing     gap_interval from raw rows (counting included), both intervals and all pairs
"""

from __future__ import annotations

import harness  # first: pins the threads

# isort: split
import argparse
import statistics
import time
from typing import Any

import numpy as np

from augsynth.check.bias.gaps import _tukey, gap_interval
from augsynth.check.bias.inversion import Sample, holds, interval_of
from augsynth.check.bias.rates import tally

GROUPS = (2, 5, 10, 20)
SIZES = ("equal sizes", "unequal sizes")
RATES = ("equal", "one group", "even steps", "halves")
CRITERIA = ("demographic parity", "equalised odds")
GAP, BASE, ROWS, DRAWS = 0.15, 0.3, 100, 600
PROTOCOL = {
    "coverage": "1,000 runs a case, rate .30, a gap of 0 or .15, 100 rows a group on average, level 95 %",
    "required": "93 to 98 % in every case; standard error .007 at 95 %",
    "ours": f"hybrid resampling, {DRAWS} draws; coverage by testing the true gap, widths by full intervals",
}


def world(g: int, sizes: str, rates: str, criterion: str) -> tuple[np.ndarray, np.ndarray]:
    """Return counts and true rates (families, groups)."""
    n = np.full(g, ROWS)
    if sizes == SIZES[1]:
        scale = np.geomspace(0.3, 3.0, g)[np.random.default_rng(g).permutation(g)]
        n = np.round(ROWS * scale / scale.mean()).astype(int)
    shape = {
        "equal": np.zeros(g),
        "one group": np.r_[1.0, np.zeros(g - 1)],
        "even steps": np.linspace(0, 1, g),
        "halves": (np.arange(g) >= g // 2).astype(float),
    }[rates]
    p = BASE + GAP * shape
    if criterion == CRITERIA[0]:
        return n[None], p[None]
    return np.stack([n, n]), np.stack([p, BASE / 2 + GAP / 2 * shape])


def largest(values: np.ndarray) -> np.ndarray:
    return np.ptp(values, axis=-1).max(axis=-1)


def tukey(x: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the simple interval, a row a run."""
    k, g = n.shape
    i, j = np.triu_indices(g, 1)
    reach = _tukey(1 - 0.95 ** (1 / k), g)
    centre = (x + 1) / (n + 2)
    variance = centre * (1 - centre) / (n + 2)
    gap = np.abs(centre[..., i] - centre[..., j])
    error = reach * np.sqrt(variance[..., i] + variance[..., j])
    low = np.maximum((gap - error).max(axis=(-1, -2)), 0)
    return low, np.minimum((gap + error).max(axis=(-1, -2)), 1)


def coverage(g: int, sizes: str, rates: str, criterion: str, runs: int) -> dict[str, Any]:
    n, p = world(g, sizes, rates, criterion)
    place = [GROUPS.index(g), SIZES.index(sizes), RATES.index(rates), CRITERIA.index(criterion)]
    rng = np.random.default_rng([41, *place])
    truth = float(largest(p))
    x = rng.binomial(n, p, size=(runs, *n.shape)).astype(float)
    seen = largest(x / n)
    oracle_draws = largest(rng.binomial(n, p, size=(20_000, *n.shape)) / n) - truth
    ends = np.quantile(oracle_draws, [0.975, 0.025])
    found = {"oracle": (np.maximum(seen - ends[0], 0), np.maximum(seen - ends[1], 0)), "Tukey": tukey(x, n)}
    boots = np.array([largest(rng.binomial(n, each / n, size=(500, *n.shape)) / n) for each in x])
    found["bootstrap"] = tuple(np.quantile(boots, [0.025, 0.975], axis=1))
    cost = time.process_time()
    counts = n.astype(float)
    samples = [Sample(each / n, counts, 0 * counts, n_draws=DRAWS, seed=run) for run, each in enumerate(x)]
    held = np.mean([holds(sample, truth) for sample in samples])
    full = [interval_of(sample, 0.05)[1:3] for sample in samples[: max(runs // 33, 4)]]
    row: dict[str, Any] = {"runs": runs, "gap": truth, "cpu_s": time.process_time() - cost}
    row["ours"] = {"coverage": float(held), "width": float(np.mean([high - low for low, high in full]))}
    for name, (low, high) in found.items():
        inside = (low <= truth + 1e-12) & (truth <= high + 1e-12)
        row[name] = {"coverage": float(inside.mean()), "width": float(np.mean(high - low))}
    return row


def fairlearn_runs(g: int, rates: str, runs: int) -> dict[str, Any]:
    from fairlearn.metrics import MetricFrame, selection_rate

    n, p = world(g, SIZES[0], rates, CRITERIA[0])
    rng = np.random.default_rng([43, g, RATES.index(rates)])
    codes = np.repeat(np.arange(g), n[0])
    truth, hit, started = float(largest(p)), 0, time.process_time()
    for run in range(runs):
        chosen = (rng.random(len(codes)) < p[0][codes]).astype(int)
        frame = MetricFrame(
            metrics=selection_rate, y_true=chosen, y_pred=chosen, sensitive_features=codes,
            n_boot=100, ci_quantiles=[0.025, 0.975], random_state=run,
        )  # fmt: skip
        low, high = frame.difference_ci()
        hit += low - 1e-12 <= truth <= high + 1e-12
    return {
        "runs": runs,
        "gap": truth,
        "coverage": hit / runs,
        "cpu_s": (time.process_time() - started) / runs,
    }


def timing(rows: int, g: int, criterion: str) -> dict[str, Any]:
    rng = np.random.default_rng([47, rows, g])
    codes = rng.integers(g, size=rows)
    true, pred = (rng.random(rows) < 0.4).astype(int), (rng.random(rows) < 0.35).astype(int)
    taken = []
    for _ in range(5):
        started = time.process_time()
        masks = [np.ones(rows, dtype=bool)] if criterion == CRITERIA[0] else [true == 1, true == 0]
        counted = [tally(pred, mask, codes, g) for mask in masks]
        counts = np.array([each.counts for each in counted])
        gap_interval(np.array([each.values for each in counted]) * counts, counts)
        taken.append(time.process_time() - started)
    return {"cpu_ms": 1e3 * statistics.median(taken)}


def report(rows: list[dict[str, Any]], path: Any) -> None:
    names = ("ours", "Tukey", "bootstrap", "oracle")
    cover = [row for row in rows if row["part"] == "coverage"]
    lines = ["# Gaps between groups: coverage of 95 % intervals, mean widths, cost", ""]
    header = [
        "groups",
        "sizes",
        "rates",
        "criterion",
        *(f"{n} holds" for n in names),
        *(f"{n} width" for n in names),
    ]
    body = [
        [str(r["groups"]), r["sizes"], r["rates"], r["criterion"],
         *(f"{100 * r[n]['coverage']:.1f} %" for n in names), *(f"{r[n]['width']:.3f}" for n in names)]
        for r in cover
    ]  # fmt: skip
    lines += [PROTOCOL["coverage"] + ".", "", harness.table(header, body, markdown=True), ""]
    if cover:
        values = [r["ours"]["coverage"] for r in cover]
        inside = sum(0.93 <= v <= 0.98 for v in values)
        apart = [r for r in cover if r["gap"]]
        lines += [
            f"Ours: {inside} of {len(cover)} cases within 93 to 98 %, lowest {100 * min(values):.1f} %, "
            f"highest {100 * max(values):.1f} %.",
            "Median width over the oracle's where there is a gap (the oracle knows how the groups lie): "
            + "; ".join(
                f"{g} groups {_wider(apart, g, 'ours')} (Tukey {_wider(apart, g, 'Tukey')})" for g in GROUPS
            )
            + ". The bootstrap emulates percentile resampling within groups; it is not fairlearn's own code.",
            "",
        ]
    real = [row for row in rows if row["part"] == "fairlearn"]
    body = [
        [str(r["groups"]), r["rates"], str(r["runs"]), f"{100 * r['coverage']:.0f} %", f"{r['cpu_s']:.2f}"]
        for r in real
    ]
    head = ["groups", "rates", "runs", "holds", "CPU-s a call"]
    lines += [
        "fairlearn itself, `MetricFrame(n_boot=100).difference_ci()`:",
        "",
        harness.table(head, body, markdown=True),
        "",
    ]
    clock = [row for row in rows if row["part"] == "timing"]
    body = [[f"{r['rows']:,}", str(r["groups"]), r["criterion"], f"{r['cpu_ms']:.0f}"] for r in clock]
    head = ["rows", "groups", "criterion", "CPU-ms"]
    lines += [
        "`gap_interval` from raw rows: gap, ratio and all pairs:",
        "",
        harness.table(head, body, markdown=True),
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    harness.say("\n".join(lines))


def _wider(rows: list[dict[str, Any]], g: int, name: str) -> str:
    ratios = [row[name]["width"] / row["oracle"]["width"] for row in rows if row["groups"] == g]
    return f"{statistics.median(ratios):.2f}" if ratios else "-"


def jobs(arguments: argparse.Namespace) -> list[tuple[dict[str, Any], Any]]:
    runs = 20 if arguments.quick else 1000
    listed: list[tuple[dict[str, Any], Any]] = []
    blank = {"sizes": "", "rates": "", "criterion": "", "rows": 0}
    for criterion in CRITERIA:
        for g in GROUPS:
            for sizes in SIZES:
                for rates in RATES if g > 2 else RATES[:2]:
                    key = blank | {
                        "part": "coverage",
                        "groups": g,
                        "sizes": sizes,
                        "rates": rates,
                        "criterion": criterion,
                    }
                    listed.append(
                        (key, lambda g=g, s=sizes, r=rates, c=criterion: coverage(g, s, r, c, runs))
                    )
    for g, rates in ((2, "equal"), (2, "one group"), (10, "equal"), (10, "one group")):
        key = blank | {"part": "fairlearn", "groups": g, "rates": rates}
        listed.append((key, lambda g=g, r=rates: fairlearn_runs(g, r, 2 if arguments.quick else 10)))
    for rows in (1000, 10_000, 100_000):
        for g in GROUPS:
            for criterion in CRITERIA:
                key = blank | {"part": "timing", "rows": rows, "groups": g, "criterion": criterion}
                listed.append((key, lambda n=rows, g=g, c=criterion: timing(n, g, c)))
    return listed


def main() -> None:
    parser = harness.parser(
        __doc__ or "", seeds=1, methods=("coverage", "fairlearn", "timing"), resumable=True
    )
    parser.add_argument("--report", action="store_true", help="only write the tables again")
    arguments = parser.parse_args()
    name = "gap_coverage_quick" if arguments.quick else "gap_coverage"
    keys = ("part", "groups", "sizes", "rates", "criterion", "rows")
    results = harness.Results(arguments.out / f"{name}.json", key=keys, protocol=PROTOCOL)
    for key, make in [] if arguments.report else jobs(arguments):
        if arguments.only and key["part"] not in arguments.only:
            continue
        row = results.run_missing(key, make, redo=arguments.redo)
        if row is not None:
            harness.say(f"{key} { ({k: v for k, v in row.items() if k not in key}) }")
    report(results.rows(), arguments.out / f"{name}.md")


if __name__ == "__main__":
    main()
