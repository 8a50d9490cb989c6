"""Looking inside a training run: steps a second, waits for the device, dominant kernel, measured peaks."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import time
import types
from typing import Any

import torch
from torch import nn

WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpy")
READS = ("aten::_local_scalar_dense",)  # a number that the processor asked of the device
FAR = 100_000  # planned steps of a probe: far enough that hardly any of its steps is a logged one


class PlainFabric:
    """What the training loop asks of Fabric, on one device: mixed precision and backward."""

    def __init__(self, accelerator: str = "cpu", devices: Any = 1, precision: str = "32-true"):
        self.accelerator, self.precision = accelerator, precision

    def autocast(self) -> Any:
        """Return the context of mixed precision, or an empty one."""
        if self.precision == "bf16-mixed":
            return torch.autocast(self.accelerator, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def backward(self, loss: torch.Tensor) -> None:
        """Compute the gradients."""
        loss.backward()


def have_fabric() -> str:
    """Make ``lightning_fabric`` importable on a machine without it; return what is used."""
    if importlib.util.find_spec("lightning_fabric") is not None:
        return "lightning_fabric"
    if importlib.util.find_spec("lightning") is not None:
        sys.modules["lightning_fabric"] = importlib.import_module("lightning.fabric")
        return "lightning.fabric"
    stand_in = types.ModuleType("lightning_fabric")
    stand_in.Fabric = PlainFabric  # type: ignore[attr-defined]
    sys.modules["lightning_fabric"] = stand_in
    return "a stand-in of Fabric: it is not installed"


FABRIC = have_fabric()

from augsynth.nn.running import Run
from augsynth.nn.trainer import Trainer


# ------------------------------------------------------------------ one training run
class ProbeTrainer(Trainer):
    """A trainer that times and profiles steps of the real loop, and stops."""

    seconds_timed = 4.0
    steps_profiled = 8
    warm_up = 10
    found: dict[str, Any]

    def _run(
        self,
        objective: nn.Module,
        rows: Any,
        settings: Any,
        device: torch.device,
        seed: int,
        on_step: Any,
        plan: Any,
    ) -> Any:
        start = time.perf_counter()
        run = Run(objective, rows, settings, device, seed)  # type: ignore[arg-type]
        run.start(FAR)
        for _ in range(self.warm_up):
            run.advance()
        self.found = {
            "planned_steps": self.planned_steps(rows.n, rows.batch, plan),
            "batch": rows.batch,
            "steps_per_s": self._pace(run, device),
            "fabric": FABRIC,
        }
        self.found["flops_per_step"] = flops_of(run)
        self.found |= profiled(run, device, self.steps_profiled, self.found["steps_per_s"])
        history = run.finish()
        self.found["loop_s"] = time.perf_counter() - start
        return history

    def _pace(self, run: Run, device: torch.device) -> float:
        """Return steps a second over some seconds, the device's work included."""
        wait = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
        wait()
        start, steps = time.perf_counter(), 0
        while True:
            for _ in range(5):
                run.advance()
            steps += 5
            if steps % 50 == 0 or device.type == "cpu":
                wait()
                if time.perf_counter() - start >= self.seconds_timed:
                    break
        wait()
        return steps / (time.perf_counter() - start)


class _NoModules:
    """In the place of the counter's module tracker, whose hooks refuse gradients of gradients."""

    parents = frozenset({"Global"})

    def __enter__(self) -> _NoModules:
        return self

    def __exit__(self, *_: Any) -> None:
        return None


def flops_of(run: Run) -> float | None:
    """Return the floating-point operations of one step's matrix products and convolutions."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _NoModules()  # type: ignore[assignment]
    try:
        with counter:
            run.advance()
    except Exception:  # a custom function that the counter does not know: no count, no matter
        return None
    return float(counter.get_total_flops())


def device_time(event: Any, own: bool = True) -> float:
    """Return microseconds on the device of a profiler's entry (named differently in older versions)."""
    prefix = "self_" if own else ""
    for name in (f"{prefix}device_time_total", f"{prefix}cuda_time_total"):
        if hasattr(event, name):
            return float(getattr(event, name))
    return 0.0


def profiled(run: Run, device: torch.device, steps: int, steps_per_s: float) -> dict[str, Any]:
    """Return waits, reads and copies a step, and which kernel takes most of the device's time."""
    from torch.profiler import ProfilerActivity, profile

    while run.step % run.log_every + steps >= run.log_every:
        run.advance()  # a logged step reads its losses, which the others do not
    on_gpu = device.type == "cuda"
    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if on_gpu else [])
    if on_gpu:
        torch.cuda.synchronize()
    with profile(activities=kinds, record_shapes=True, with_flops=True) as seen:
        for _ in range(steps):
            run.advance()
        if on_gpu:
            torch.cuda.synchronize()
    averages = list(seen.key_averages())
    counts = {e.key: e.count for e in averages}
    end = 1 if on_gpu else 0  # the one that ends the profile
    out: dict[str, Any] = {
        "steps_profiled": steps,
        "waits_per_step": max(sum(counts.get(k, 0) for k in WAITS) - end, 0) / steps,
        "reads_per_step": sum(counts.get(k, 0) for k in READS) / steps,
        "copies_per_step": sum(n for k, n in counts.items() if k.startswith("Memcpy")) / steps,
        "launches_per_step": sum(n for k, n in counts.items() if "LaunchKernel" in k) / steps,
    }
    return out | (_kernels(seen, averages, steps, steps_per_s) if on_gpu else _operators(averages))


def _operators(averages: list[Any]) -> dict[str, Any]:
    top = max(averages, key=lambda e: e.self_cpu_time_total)
    total = sum(e.self_cpu_time_total for e in averages)
    share = top.self_cpu_time_total / max(total, 1e-9)
    return {"dominant_kernel": top.key, "dominant_share": share, "busy_share": None}


def _kernels(seen: Any, averages: list[Any], steps: int, steps_per_s: float) -> dict[str, Any]:
    kernels = [e for e in averages if "CUDA" in str(getattr(e, "device_type", "")) and device_time(e) > 0]
    if not kernels:
        return {"dominant_kernel": None, "dominant_share": None, "busy_share": None}
    total, top = sum(device_time(e) for e in kernels), max(kernels, key=device_time)
    out: dict[str, Any] = {
        "dominant_kernel": top.key[:120],
        "dominant_share": device_time(top) / total,
        "device_us_per_step": total / steps,
        # without the profiler's own cost: device time a step over the time of an unprofiled step
        "busy_share": min(1.0, total / steps * 1e-6 * steps_per_s),
    }
    operators = [e for e in seen.key_averages(group_by_input_shape=True) if e.key.startswith("aten::")]
    best = max(operators, key=device_time, default=None)
    if best is not None and device_time(best) > 0:
        micros = device_time(best)
        out |= {
            "dominant_operator": best.key,
            "dominant_operator_share": micros / total,
            "dominant_operator_shapes": str(best.input_shapes)[:160],
            "dominant_operator_flops_per_s": float(best.flops or 0) / (micros * 1e-6),
            "dominant_operator_values_per_s": best.count * _values(best.input_shapes) / (micros * 1e-6),
        }
    return out


def _values(shapes: Any) -> float:
    """Return how many numbers tensors of these shapes hold (nested lists of shapes, too)."""
    if not isinstance(shapes, (list, tuple)) or not shapes:
        return 0.0
    if all(isinstance(n, int) for n in shapes):
        product = 1.0
        for n in shapes:
            product *= n
        return product
    return sum(_values(inner) for inner in shapes)


# ------------------------------------------------------------------ peaks
def peaks(device: str, *, quick: bool = False) -> dict[str, float]:
    """Measure, on this device, bytes a second of a copy and operations a second of matrix products."""
    on_gpu = device.startswith("cuda")
    n, side = (2**28, 8192) if on_gpu and not quick else (2**21, 256)
    a = torch.zeros(n, dtype=torch.float32, device=device)
    b = torch.empty_like(a)
    out = {"copy_bytes_per_s": 8 * n / _best(lambda: b.copy_(a), on_gpu)}
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    for name, dtype in kinds.items():
        x = torch.randn(side, side, device=device).to(dtype)
        y = torch.randn(side, side, device=device).to(dtype)
        out[f"matmul_{name}_flops_per_s"] = 2 * side**3 / _best(lambda x=x, y=y: x @ y, on_gpu)
    return out


def _best(call: Any, on_gpu: bool, repeats: int = 8) -> float:
    """Return the shortest seconds of some calls, after two that do not count."""
    times = []
    for k in range(repeats + 2):
        if on_gpu:
            torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        if on_gpu:
            torch.cuda.synchronize()
        if k >= 2:
            times.append(time.perf_counter() - start)
    return min(times)


def against_peaks(found: dict[str, Any], peaks: dict[str, float], precision: str) -> dict[str, Any]:
    """Return the shares of the measured peaks: of the whole step, and of its dominant operator.

    The operator's bytes are its inputs once, so the share of the bandwidth is a lower bound.
    """
    name, size = ("bfloat16", 2) if precision == "bf16-mixed" else ("float32", 4)
    arithmetic, bandwidth = peaks[f"matmul_{name}_flops_per_s"], peaks["copy_bytes_per_s"]
    out: dict[str, Any] = {}
    if found.get("flops_per_step"):
        out["step_share_of_arithmetic_peak"] = found["flops_per_step"] * found["steps_per_s"] / arithmetic
    if "dominant_operator" in found:
        out["dominant_share_of_arithmetic_peak"] = found["dominant_operator_flops_per_s"] / arithmetic
        out["dominant_share_of_bandwidth"] = size * found["dominant_operator_values_per_s"] / bandwidth
    return out
