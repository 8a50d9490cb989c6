"""What every comparison says where no rows are held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np

from augsynth.check.evidence import Evidence
from augsynth.check.finding import Finding

__all__ = ["NO_HOLDOUT", "tells_reference"]

NO_HOLDOUT = "Compared with the training rows: no rows are held out."

_Run = Callable[[Any, Evidence, np.random.Generator], Finding]


def tells_reference(run: _Run) -> _Run:
    """Have a check's ``run`` add to its caution that new rows were compared with training rows, if so.

    Generators, scores and readers have seen those, so rows that are copies look right.
    """

    @wraps(run)
    def told(check: Any, evidence: Evidence, rng: np.random.Generator) -> Finding:
        found = run(check, evidence, rng)
        if evidence.holdout is not None or not np.isfinite(found.value):
            return found
        return replace(found, caution=f"{found.caution} {NO_HOLDOUT}".strip())

    return told
