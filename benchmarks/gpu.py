"""One command for a machine with a GPU and no network, in less than nine minutes.

    PYTHONPATH=. python benchmarks/gpu.py --out FOLDER
    PYTHONPATH=. python benchmarks/gpu.py --out FOLDER --data FOLDER  # real Adult: load.py and its files
    PYTHONPATH=. python benchmarks/gpu.py --device cpu --quick         # shows that it runs, proves nothing

For every deep generator, on a table of Adult's size and on 28 x 28 images, in float32 and
in bfloat16 (mixed): training steps a second, what a fit at the defaults takes (the step
rate times the planned steps, plus what is done once), sampling as many rows, one row alone;
what the profiler sees in a few steps: how often the processor waits for the device, the
kernel that takes most of the time and its share; arithmetic and bytes against the peaks
that this script measures on the same device. Then whole fits: the GAN over 300 epochs' worth of Adult, and
the VAE at its defaults; CTGAN for a few epochs where it can be imported. The result file is
written anew after every part, so a run that is cut short leaves what it had.
"""

from __future__ import annotations

import harness  # first: pins the threads
from harness import say

# isort: split
import argparse
import importlib.util
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_probe as probe
import numpy as np
import pandas as pd
import torch

from augsynth import registry

TABLE_KINDS = ("vae", "gan", "diffusion", "autoregressive", "flow")
IMAGE_KINDS = ("vae", "gan", "diffusion", "autoregressive")
PRECISIONS = ("32-true", "bf16-mixed")
TARGETS = {
    "gan": {"what": "Adult GAN, 300 epochs' worth of data", "seconds": 60},
    "vae": {"what": "Adult VAE at its defaults", "seconds": 20},
}
LEVELS = (9, 16, 7, 15, 6, 5, 2, 42)  # of Adult's eight categorical columns
ROWS, IMAGES, MINUTES = 32_561, 60_000, 8.5
CTGAN_EPOCHS = 5


# ------------------------------------------------------------------ data
def stand_in_table(rows: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Return made-up rows of Adult's shape: six numbers, eight categories, a label of 24 %."""
    rng = np.random.default_rng(seed)
    y = (rng.random(rows) < 0.24).astype(np.int64)
    inner = rng.normal(size=(rows, 4)) + y[:, None]
    X = pd.DataFrame({"age": np.clip(38 + 10 * inner[:, 0] + rng.normal(size=rows), 17, 90).round()})
    X["weight"] = np.exp(12 + 0.5 * rng.normal(size=rows)).round()
    X["years"] = np.clip(10 + 2 * inner[:, 1] + rng.normal(size=rows), 1, 16).round()
    for name, share in (("gain", 0.92), ("loss", 0.95)):
        X[name] = np.where(rng.random(rows) < share, 0.0, np.exp(8 + inner[:, 2]).round())
    X["hours"] = np.clip(40 + 8 * inner[:, 3], 1, 99).round()
    for j, levels in enumerate(LEVELS):
        code = inner[:, j % 4] + rng.normal(size=rows)
        rank = np.searchsorted(np.quantile(code, np.linspace(0, 1, levels + 1)[1:-1]), code)
        X[f"k{j}"] = pd.Categorical([f"level {v}" for v in rank])
    return X, y


def adult(folder: Path | None, rows: int) -> tuple[pd.DataFrame, np.ndarray, str]:
    """Return the training part of the real Adult where it is there, else the stand-in."""
    if folder is not None and (folder / "load.py").exists():
        from data import load_split

        split = load_split("adult", folder=folder)
        return split.X_train.iloc[:rows], split.y_train[:rows], "Adult, training part"
    return *stand_in_table(rows), "a stand-in of Adult's shape"


def stand_in_images(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return bytes (n, 28, 28): two soft blobs whose places depend on the label, ten labels."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 10, n)
    at = np.arange(28)[None, :]
    out = np.zeros((n, 28, 28), np.float32)
    for shift in (0.0, 2.5):
        angle = 2 * np.pi * y / 10 + shift + 0.2 * rng.normal(size=n)
        r, c = 14 + 7 * np.sin(angle), 14 + 7 * np.cos(angle)
        width = 2.0 + rng.random(n)
        down = np.exp(-0.5 * ((at - r[:, None]) / width[:, None]) ** 2)
        out += down[:, :, None] * np.exp(-0.5 * ((at - c[:, None]) / width[:, None]) ** 2)[:, None, :]
    return np.clip(255 * out, 0, 255).astype(np.uint8), y


# ------------------------------------------------------------------ parts
def waited(device: str) -> float:
    """Return the clock, after the device has finished."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def sampled(model: Any, wanted: np.ndarray, device: str) -> dict[str, float]:
    """Return the seconds for many rows, and for one row alone (median of five, of one where that is slow)."""
    start = waited(device)
    model.sample(y=wanted, random_state=0)
    many = waited(device) - start
    single = []
    for _ in range(5):
        start = waited(device)
        model.sample(y=wanted[:1], random_state=0)
        single.append(waited(device) - start)
        if single[0] > 1:
            break
    return {"sample_rows": len(wanted), "sample_s": many, "single_row_s": float(np.median(single))}


def pace_row(
    kind: str, X: Any, y: np.ndarray, precision: str, arguments: argparse.Namespace, peaks: dict[str, float]
) -> dict[str, Any]:
    """Return step rate, profile, estimated fit and sampling of one generator in one precision."""
    trainer = probe.ProbeTrainer(device=arguments.device, options={"precision": precision, "progress": False})
    trainer.seconds_timed = 0.5 if arguments.quick else 4.0
    trainer.steps_profiled = 3 if arguments.quick else 8
    model = registry.build("generator", {"kind": kind, "random_state": 0})
    model.set_params(trainer=trainer)
    start = waited(arguments.device)
    model.fit(X, y)
    whole = waited(arguments.device) - start
    found = trainer.found
    once = whole - found.pop("loop_s")
    row = {"kind": kind, "precision": precision, "rows": len(y), **found, "once_s": once}
    row["fit_default_s"] = once + found["planned_steps"] / found["steps_per_s"]
    row |= probe.against_peaks(found, peaks, precision)
    row["parameters"] = int(sum(p.numel() for p in model.objective_.parameters()))
    most = arguments.sampled_images if np.ndim(X) == 3 else arguments.sampled
    wanted = y[:most]
    return row | sampled(model, wanted, arguments.device)


def whole_fit(
    kind: str, X: Any, y: np.ndarray, arguments: argparse.Namespace, **budget: Any
) -> dict[str, Any]:
    """Return the measured seconds of one whole fit and sample."""
    from augsynth.nn.trainer import Trainer

    trainer = Trainer(device=arguments.device, options={"progress": False}, **budget)
    model = registry.build("generator", {"kind": kind, "random_state": 0})
    model.set_params(trainer=trainer)
    start = waited(arguments.device)
    model.fit(X, y)
    row: dict[str, Any] = {"kind": kind, "rows": len(y), "budget": str(budget), "scaled": False}
    row |= {"fit_s": waited(arguments.device) - start, "steps": int(model.history_.steps)}
    return row | sampled(model, y, arguments.device)


def ctgan_row(X: pd.DataFrame, y: np.ndarray, epochs: int) -> dict[str, Any]:
    """Return the seconds of CTGAN's 300 epochs, scaled from a few; or a sentence where it is not there."""
    if importlib.util.find_spec("ctgan") is None:
        return {"said": "CTGAN cannot be imported here, so it was not run."}
    import ctgan

    frame = X.assign(label__=y)
    discrete = [c for c in X.columns if isinstance(X[c].dtype, pd.CategoricalDtype)] + ["label__"]
    for name in discrete[:-1]:
        frame[name] = frame[name].astype(object).where(frame[name].notna(), "(missing)")
    seconds = []
    for n in (1, 1 + epochs):  # the difference is the epochs alone, without the preparation of the table
        model = ctgan.CTGAN(epochs=n)
        start = time.perf_counter()
        model.fit(frame, discrete)
        seconds.append(time.perf_counter() - start)
    an_epoch = (seconds[1] - seconds[0]) / epochs
    return {
        "kind": "ctgan", "epochs": epochs, "epoch_s": an_epoch, "once_s": seconds[0] - an_epoch,
        "fit_300_epochs_s": seconds[0] + 299 * an_epoch, "scaled": True, "rows": len(y),
        "device": str(getattr(model, "_device", "unknown")),
    }  # fmt: skip


# ------------------------------------------------------------------ the run
class Report:
    """The result file, written anew after every part, and the minutes that are left."""

    def __init__(self, path: Path, minutes: float, facts: dict[str, Any]):
        self.path, self.end = path, time.perf_counter() + 60 * minutes
        self.content: dict[str, Any] = {**facts, "table": [], "images": [], "whole_fits": [], "left_out": []}

    @property
    def left_s(self) -> float:
        """Seconds until the run should end."""
        return self.end - time.perf_counter()

    def add(self, part: str, name: str, make: Callable[[], dict[str, Any]], *, needs_s: float = 15) -> None:
        """Make a row if there is time, keep it, and say it; an error is a sentence in the file."""
        if self.left_s < needs_s:
            self._leave(f"{part} {name}: no time left ({self.left_s:.0f} s, about {needs_s:.0f} s needed)")
            return
        try:
            row = make()
        except Exception as error:
            self._leave(f"{part} {name}: {type(error).__name__}: {error}")
            return
        self.content[part].append(row)
        brief = {k: round(v, 4) for k, v in row.items() if isinstance(v, float)}
        say(f"{part} {name}: {brief or row}")
        self.write()

    def _leave(self, text: str) -> None:
        self.content["left_out"].append(text[:400])
        say(text)
        self.write()

    def write(self) -> None:
        """Write the file; what JSON does not know (NaN) becomes null."""
        harness.write_json(self.path, _finite(self.content))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def seconds_of(report: Report, kind: str, epochs: int | None = None) -> float:
    """Return what a whole fit will take, from the step rate found in float32; 60 s where it is unknown."""
    rows = [r for r in report.content["table"] if (r["kind"], r["precision"]) == (kind, "32-true")]
    if not rows:
        return 60.0
    found = rows[0]
    steps = epochs * (found["rows"] // found["batch"]) if epochs else found["planned_steps"]
    return 10 + 1.2 * (found["once_s"] + steps / found["steps_per_s"])


def judge_targets(report: Report) -> dict[str, Any]:
    """Return the design targets with what was measured; met is None unless it was on a GPU and in full."""
    out = {}
    counts = report.content["device"] != "cpu" and not report.content["quick"]
    for kind, target in TARGETS.items():
        found = [r["fit_s"] for r in report.content["whole_fits"] if r.get("kind") == kind]
        out[kind] = {**target, "measured_s": found[0] if found else None}
        out[kind]["met"] = bool(found[0] <= target["seconds"]) if found and counts else None
    return out


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Run every part, the important ones first."""
    peaks = probe.peaks(arguments.device, quick=arguments.quick)
    report.content["peaks"] = peaks
    say(f"peaks: { {k: round(v, 2) for k, v in peaks.items()} }")
    X, y, what = adult(arguments.data, 600 if arguments.quick else ROWS)
    report.content["table_is"] = what
    kinds = arguments.only or TABLE_KINDS

    def paced(part: str, kind: str, X: Any, y: np.ndarray, precision: str) -> None:
        report.add(
            part, f"{kind} {precision}", lambda: pace_row(kind, X, y, precision, arguments, peaks), needs_s=20
        )

    for kind in (k for k in TABLE_KINDS if k in kinds):
        paced("table", kind, X, y, "32-true")
    epochs = 1 if arguments.quick else 300
    for kind, budget in (("gan", {"epochs": epochs}), ("vae", {"steps": 20} if arguments.quick else {})):
        if kind in kinds:
            needed = 5 if arguments.quick else seconds_of(report, kind, budget.get("epochs"))
            make = _whole(kind, X, y, arguments, budget)
            report.add("whole_fits", kind, make, needs_s=needed)
    images, labels = stand_in_images(300 if arguments.quick else IMAGES)
    for precision in PRECISIONS[:1] if arguments.quick else PRECISIONS:
        for kind in (k for k in IMAGE_KINDS if k in kinds):
            paced("images", kind, images, labels, precision)
    if not arguments.quick:
        for kind in (k for k in TABLE_KINDS if k in kinds):
            paced("table", kind, X, y, "bf16-mixed")
    report.add("whole_fits", "ctgan", lambda: ctgan_row(X, y, CTGAN_EPOCHS), needs_s=60)


def _whole(
    kind: str, X: Any, y: np.ndarray, arguments: argparse.Namespace, budget: dict[str, Any]
) -> Callable[[], dict[str, Any]]:
    return lambda: whole_fit(kind, X, y, arguments, **budget)


def summary(report: Report) -> str:
    """Return the text table of all step rates."""
    lines = []
    for part in ("table", "images"):
        for r in report.content[part]:
            peak = r.get("step_share_of_arithmetic_peak")
            lines.append(
                [
                    f"{part} {r['kind']} {r['precision']}", f"{r['steps_per_s']:.1f}", f"{r['batch']}",
                    f"{r['fit_default_s']:.1f}", f"{r['sample_s']:.2f} ({r['sample_rows']:,})",
                    f"{1000 * r['single_row_s']:.0f}", f"{r['waits_per_step']:.1f}",
                    "-" if r.get("busy_share") is None else f"{r['busy_share']:.2f}",
                    "-" if peak is None else f"{peak:.3f}", str(r.get("dominant_kernel"))[:40],
                ]
            )  # fmt: skip
    head = ["model", "steps/s", "batch", "default fit, s", "sample, s (rows)", "one row, ms"]
    return harness.table([*head, "waits/step", "busy", "of peak", "dominant kernel"], lines, markdown=True)


def main() -> None:
    """Run the GPU benchmark."""
    parser = harness.parser(__doc__, seeds=1, methods=TABLE_KINDS)
    parser.add_argument(
        "--device", default="auto", help="auto, cuda or cpu (default: the GPU if there is one)"
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"no part starts later ({MINUTES})")
    arguments = parser.parse_args()
    there = torch.cuda.is_available()
    if arguments.device == "auto":
        if not there:
            say("There is no GPU here: nothing was run (--device cpu --quick shows that the script works).")
            return
        arguments.device = "cuda"
    arguments.sampled = 256 if arguments.quick else ROWS
    arguments.sampled_images = 8 if arguments.quick else 256
    on_gpu = arguments.device.startswith("cuda")
    facts = {
        "what": __doc__,
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "cuda": torch.version.cuda if on_gpu else None,
        "quick": arguments.quick,
        "machine": harness.machine(),
    }
    stem = "gpu" if on_gpu and not arguments.quick else f"gpu_{'quick' if arguments.quick else 'cpu'}"
    report = Report(arguments.out / f"{stem}.json", arguments.minutes, facts)
    started = time.perf_counter()
    run(arguments, report)
    report.content["targets"] = judge_targets(report)
    report.content["seconds"] = time.perf_counter() - started
    report.write()
    text = summary(report)
    (arguments.out / f"{stem}.md").write_text(text + "\n", encoding="utf-8")
    say("\n" + text)
    say(f"targets: {report.content['targets']}; {report.content['seconds']:.0f} s in all")


if __name__ == "__main__":
    main()
