"""SDMetrics beside our checks, in an environment of its own (it needs pandas < 3)."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from harness import NotHere

SCORER = Path(__file__).resolve().parent / "peers" / "sdmetrics_scores.py"


def sdmetrics_python() -> Path:
    """Return the interpreter that has SDMetrics: $AUGSYNTH_SDMETRICS_PYTHON."""
    found = Path(os.environ.get("AUGSYNTH_SDMETRICS_PYTHON", "none"))
    if not found.exists():
        raise NotHere("no environment with SDMetrics: set AUGSYNTH_SDMETRICS_PYTHON=.../bin/python")
    return found


def sdmetrics_scores(
    *tables: tuple[pd.DataFrame, np.ndarray], left_out: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the scores of (train, new, hold-out), the CPU-seconds of each, and the version."""
    python = sdmetrics_python()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for (X, y), file in zip(tables, ("train", "new", "holdout"), strict=True):
            X.assign(target=np.where(y == 1, "yes", "no")).to_csv(folder / f"{file}.csv", index=False)
        first = tables[0][0]
        texts = ["target", *(c for c in first if not pd.api.types.is_numeric_dtype(first[c]))]
        (folder / "categorical.json").write_text(json.dumps(texts))
        done = subprocess.run(
            [python, SCORER, folder, *left_out], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])
    return json.loads(done.stdout.splitlines()[-1])
