"""Score a made table with SDMetrics in an environment of its own: started by the scripts, not by hand.

Argument: a folder with train.csv, new.csv, holdout.csv and categorical.json; prints
{"scores": {...}, "cpu_s": {...}} as JSON. Defaults of the package throughout.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")


def main() -> None:
    """Score."""
    warnings.simplefilter("ignore")
    import numpy as np
    import pandas as pd
    from sdmetrics.reports.single_table import DiagnosticReport, QualityReport
    from sdmetrics.single_table import DCROverfittingProtection, LogisticDetection, NewRowSynthesis

    folder = Path(sys.argv[1])
    left_out = sys.argv[2:]
    texts = json.loads((folder / "categorical.json").read_text())
    train, new, held = (
        pd.read_csv(folder / f"{name}.csv", dtype=dict.fromkeys(texts, "str"))
        for name in ("train", "new", "holdout")
    )
    columns = {c: {"sdtype": "categorical" if c in texts else "numerical"} for c in train}
    metadata = {"columns": columns}
    np.random.seed(0)  # noqa: NPY002 (they draw from the global generator)

    def quality(kind):
        report = kind()
        report.generate(train, new, metadata, verbose=False)
        return float(report.get_score())

    measures = {
        "quality": lambda: quality(QualityReport),
        "diagnostic": lambda: quality(DiagnosticReport),
        "logistic_detection": lambda: float(LogisticDetection.compute(train, new, metadata)),
        "new_row": lambda: float(NewRowSynthesis.compute(train, new, metadata)),
        "overfitting": lambda: float(
            DCROverfittingProtection.compute(train, new, held, {"tables": {"rows": metadata}}, "rows")
        ),
    }
    scores, seconds = {}, {}
    for name, measure in measures.items():
        if name in left_out:
            continue
        started = time.process_time()
        try:
            scores[name] = measure()
        except Exception as error:  # a score that cannot be made is said, and the others go on
            scores[name] = f"{type(error).__name__}: {error}"[:200]
        seconds[name] = time.process_time() - started
    print(json.dumps({"scores": scores, "cpu_s": seconds, "version": version("sdmetrics")}))


if __name__ == "__main__":
    main()
