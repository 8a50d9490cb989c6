"""What losses and stabilisers do: eight Gaussians on a ring, two small networks, and no other help.

    python benchmarks/gan_ring.py                       # all, three seeds; about 8 CPU-minutes
    python benchmarks/gan_ring.py --only minimax hinge
    python benchmarks/gan_ring.py --quick

The points are learned as they are by two plain perceptrons (PointAdversaries), so that
what is seen is the doing of the loss and the stabiliser. A table of the same two columns
at the generator's defaults ("table") is the last row. *Modes*: Gaussians that get at least a
quarter of their share of good samples. *Good*: share of samples within three standard deviations of
a centre; real points have 0.989. *Even*: one minus the total variation distance between the
shares of the modes and an eighth each. The second part trains one setting at learning rates over two
orders of magnitude and five seeds.
"""

from __future__ import annotations

import harness  # first: pins the threads
from harness import say

# isort: split
from pathlib import Path
from typing import Any

import numpy as np
import torch

from augsynth.core.errors import TrainingError
from augsynth.generate.gan import GANGenerator
from augsynth.nn.adversary_points import PointAdversaries
from augsynth.nn.stabilise import (
    ExperienceReplay,
    FeatureMatching,
    GradientPenalty,
    InstanceNoise,
    LabelSmoothing,
    Packing,
    SimilarityPenalty,
    SpectralNorm,
    Unrolling,
)
from augsynth.nn.trainer import Trainer

N_MODES, RADIUS, SD = 8, 1.5, 0.05
ROWS, SAMPLES, STEPS, BATCH, RATE = 4000, 2000, 1500, 128, 3e-3
NS: dict[str, Any] = {"loss": "non-saturating"}
SETTINGS: dict[str, dict[str, Any]] = {
    "minimax": {"loss": "minimax"},
    "non-saturating": NS,
    "hinge": {"loss": "hinge"},
    "least-squares": {"loss": "least-squares"},
    "wasserstein": {
        "loss": "wasserstein",
        "discriminator_steps": 2,
        "stabilisers": (GradientPenalty(strength=0.5),),
    },
    "+ label smoothing": {**NS, "stabilisers": (LabelSmoothing(),)},
    "+ instance noise": {**NS, "stabilisers": (InstanceNoise(strength={"start": 0.5, "share": 0.8}),)},
    "+ feature matching": {**NS, "stabilisers": (FeatureMatching(strength=0.1),)},
    "+ random features": {**NS, "stabilisers": (FeatureMatching(strength=0.2, features="random"),)},
    "+ replay": {**NS, "stabilisers": (ExperienceReplay(),)},
    "+ unrolling": {**NS, "stabilisers": (Unrolling(steps=3, rate={"start": 1e-3}),)},
    "+ similarity": {**NS, "stabilisers": (SimilarityPenalty(strength=0.1),)},
    "+ packing": {**NS, "stabilisers": (Packing(rows=2),)},
    "+ spectral norm": {**NS, "stabilisers": (SpectralNorm(bound=3.0),)},
    "+ gradient penalty": {**NS, "stabilisers": (GradientPenalty(strength=1.0, at="real"),)},
    "+ no averaging": {**NS, "options": {"ema": 0.0}},
}
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
SENSITIVE, SHORT = ("+ gradient penalty",), STEPS
PROTOCOL = {
    "what": f"{N_MODES} Gaussians of sd {SD} on a ring of radius {RADIUS}; {ROWS} points, "
    f"{STEPS} steps of {BATCH}, {SAMPLES} samples",
    "networks": "two perceptrons of two hidden layers of 64, noise of 8 Gaussian numbers",
    "stabilisers": "added to the non-saturating loss; some strengths were chosen after a look at these seeds",
}


class PointGAN(GANGenerator):
    """The generator on points as they are: no bins, no tree, nothing but the game."""

    def _before(self, rows: Any, cells: Any, rng: Any) -> None:
        pass

    def _coder(self) -> Any:
        return _Plain()

    def _rows(self, z: np.ndarray) -> torch.Tensor:
        return torch.tensor(z, dtype=torch.float32)

    def _decode_rows(self, coded: np.ndarray, rng: Any) -> np.ndarray:
        return coded.astype(np.float64)

    def _pair(self, layout: Any, packing: int, options: dict[str, Any]) -> PointAdversaries:
        return PointAdversaries(len(layout), self._condition(8), packing=packing, **options)


class _Plain:
    def fit(self, z: np.ndarray, layout: Any) -> _Plain:
        return self


def centres() -> np.ndarray:
    """Return the centres (8, 2) of the Gaussians."""
    angle = 2 * np.pi * np.arange(N_MODES) / N_MODES
    return RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def ring(n: int, seed: int) -> np.ndarray:
    """Return points (n, 2)."""
    rng = np.random.default_rng([seed, 7])
    return centres()[rng.integers(N_MODES, size=n)] + SD * rng.normal(size=(n, 2))


def judge(points: np.ndarray) -> dict[str, float]:
    """Return modes covered, share of good samples, evenness."""
    apart = np.linalg.norm(points[:, None] - centres()[None], axis=2)
    good = apart.min(1) < 3 * SD
    counts = np.bincount(apart.argmin(1)[good], minlength=N_MODES)
    share = counts / max(counts.sum(), 1)
    return {
        "modes": float((counts >= 0.25 * len(points) / N_MODES).sum()),
        "good": float(good.mean()),
        "even": 1.0 - 0.5 * float(np.abs(share - 1 / N_MODES).sum()) if good.any() else 0.0,
    }


def fit(setting: str, seed: int, rate: float | None, steps: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Train one setting; return its samples and its result row."""
    X = ring(ROWS, seed)
    row: dict[str, Any] = {"setting": setting, "seed": seed, "rate": rate or 0.0, "steps": steps}
    if setting == "table":
        model: GANGenerator = GANGenerator(random_state=seed)
    else:
        options = dict(SETTINGS[setting])
        own = options.pop("options", {"ema": 0.99})
        trainer = Trainer(
            steps=steps, batch_size=BATCH, learning_rate=rate or RATE, options={**own, "progress": False}
        )
        model = PointGAN(trainer=trainer, random_state=seed, **options)
    try:
        _, cost = harness.measured(model.fit, X)
    except TrainingError as error:
        return np.full((1, 2), np.nan), row | {"modes": 0.0, "good": 0.0, "even": 0.0, "alarms": [str(error)]}
    points = np.asarray(model.sample(SAMPLES, random_state=seed))
    said = [text.partition(":")[0] for _, text in model.history_.alarms]
    return points, row | judge(points) | {"alarms": said, "cpu_s": cost.cpu_s}


def packed(points: np.ndarray) -> str:
    """Write the first points in hundredths, for the picture."""
    return " ".join(str(v) for v in np.round(100 * points[:400]).astype(int).ravel())


def picture(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the samples of the first seed of every setting."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    found = {row["setting"]: row for row in rows if "points" in row}
    names = [name for name in [*SETTINGS, "table"] if name in found]
    columns = 6
    height = -(-len(names) // columns)
    figure, axes = plt.subplots(height, columns, figsize=(1.7 * columns, 1.9 * height), squeeze=False)
    for axis in axes.ravel():
        axis.axis("off")
    for axis, name in zip(axes.ravel(), names, strict=False):
        points = np.array(found[name]["points"].split(), dtype=float).reshape(-1, 2) / 100
        axis.scatter(*centres().T, s=60, color="0.85", linewidths=0)
        axis.scatter(*points.T, s=1.5, color="C0", linewidths=0)
        axis.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), aspect="equal")
        axis.set_title(f"{name}\n{found[name]['modes']:.0f} of 8, {found[name]['good']:.0%} good", fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def tables(rows: list[dict[str, Any]]) -> str:
    """Return both tables in markdown."""
    rows = [row for row in rows if row["steps"] == STEPS] or rows  # not those of --quick
    main = [row for row in rows if row["rate"] == 0.0]
    lines = []
    for name in [n for n in [*SETTINGS, "table"] if any(row["setting"] == n for row in main)]:
        own = [row for row in main if row["setting"] == name]
        alarms = sorted({a for row in own for a in row["alarms"]})
        cells = [harness.mean_sd([r[f] for r in own], d) for f, d in (("modes", 1), ("good", 2), ("even", 2))]
        cost = harness.mean_sd([row.get("cpu_s") for row in own], 1)
        lines.append([name, str(len(own)), *cells, cost, ", ".join(alarms) or "-"])
    text = harness.table(
        ["setting", "seeds", "modes", "good", "even", "CPU-s", "alarms"], lines, markdown=True
    )
    tried = [row for row in rows if row["rate"] > 0.0]
    lines = []
    for name in sorted({row["setting"] for row in tried}):
        for seed in sorted({row["seed"] for row in tried}):
            cells = []
            for rate in RATES:
                at = [r for r in tried if (r["setting"], r["seed"], r["rate"]) == (name, seed, rate)]
                star = " *" if at and at[0]["alarms"] else ""
                cells.append(f"{at[0]['modes']:.0f} ({at[0]['good']:.2f}){star}" if at else "-")
            lines.append([f"{name}, seed {seed}", *cells])
    text += "\n\nThis illustrates and does not rank: the spread between seeds is large."
    if not lines:
        return text
    header = ["modes (good)", *(f"rate {rate:g}" for rate in RATES)]
    note = "One setting, rates over two orders of magnitude; * where an alarm was raised."
    return f"{text}\n\n{note}\n\n" + harness.table(header, lines, markdown=True)


def main() -> None:
    """Run the ring benchmark."""
    known = [*SETTINGS, "table", "sensitivity"]
    arguments = harness.parser(__doc__, seeds=3, methods=known).parse_args()
    names = arguments.only or known
    steps = 100 if arguments.quick else STEPS
    store = harness.Results(
        arguments.out / "gan_ring.json", key=("setting", "seed", "rate", "steps"), protocol=PROTOCOL
    )
    for name in [n for n in names if n != "sensitivity"]:
        for seed in harness.seeds_of(arguments):
            points, row = fit(name, seed, None, steps)
            store.add(row | ({"points": packed(points)} if seed == 0 and row["good"] > 0 else {}))
            say(f"{name:24s} seed {seed}: {row['modes']:.0f} modes, {row['good']:.3f} good, {row['alarms']}")
    if "sensitivity" in names:
        short = 50 if arguments.quick else SHORT
        seeds = [0] if arguments.quick else range(5)
        for name, rate, seed in [(n, r, s) for n in SENSITIVE for r in RATES for s in seeds]:
            row = fit(name, seed, rate, short)[1]
            store.add(row)
            say(f"{name:24s} rate {rate:g} seed {seed}: {row['modes']:.0f} modes, {row['good']:.3f} good")
    rows = store.rows()
    picture(rows, arguments.out / "gan_ring.png")
    text = tables(rows)
    (arguments.out / "gan_ring.md").write_text(text + "\n", encoding="utf-8")
    say(text)


if __name__ == "__main__":
    main()
