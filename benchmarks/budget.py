"""What a fit at its defaults will cost, from a few training steps: scripts say it before they start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness import measured

FEW, MORE = 3, 13
ASKED = 64


@dataclass(frozen=True)
class Estimate:
    """CPU-seconds of one fit and of sampling: estimated, or measured where nothing is trained in steps."""

    fit_cpu_s: float
    sample_cpu_s: float
    steps: int | None = None

    @property
    def cpu_s(self) -> float:
        """All of it."""
        return self.fit_cpu_s + self.sample_cpu_s


def estimate(model: Any, X: Any, y: Any, *, rows: int, steps: int | None = None) -> Estimate:
    """Fit with 3 and with 13 steps, and scale by the steps planned; other models are fitted once.

    Sampling is scaled from 64 rows, so small models look dearer than they are.
    """
    planned = None
    if not hasattr(model, "trainer"):
        _, cost = measured(model.fit, X, y)
        fit = cost.cpu_s
    else:
        from augsynth import registry

        def one(n: int) -> float:
            model.set_params(trainer=registry.build("trainer", {"kind": "trainer", "steps": n}))
            return measured(model.fit, X, y)[1].cpu_s

        one(1)  # the first fit of a process pays for imports
        few, more = one(FEW), one(MORE)
        a_step = max(more - few, 0.0) / (MORE - FEW)
        own = registry.build("trainer", "trainer")
        planned = steps or own.planned_steps(len(y), plan=model.objective_.plan(len(y)))
        fit = max(few - FEW * a_step, 0.0) + planned * a_step
    asked = y[: min(ASKED, len(y))]
    _, sample = measured(model.sample, y=asked, random_state=0)
    return Estimate(fit, sample.cpu_s * rows / len(asked), planned)
