"""Train CTGAN or TVAE in the environment of their own: started by ``tables.py``, not by hand.

Argument: a folder with order.json and train.csv.gz; leaves costs.json and, after a
full training, made.csv.gz there. Defaults of the package throughout, no GPU.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

SHORT = (1, 4)  # epochs timed when the training is not in full


def timed(function, *args):
    """Call and return (result, CPU seconds, wall seconds)."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = function(*args)
    return result, time.process_time() - cpu, time.perf_counter() - wall


def fitted(kind, frame, discrete, seed, **options):
    """Fit one model and return it with its CPU and wall seconds."""
    model = kind(enable_gpu=False, **options)
    model.set_random_state(seed)
    _, cpu, wall = timed(model.fit, frame, discrete)
    return model, cpu, wall


def main(place: Path) -> None:
    """Read the order, train, write costs and rows."""
    import ctgan
    import pandas as pd
    import torch

    torch.set_num_threads(1)
    order = json.loads((place / "order.json").read_text())
    discrete, seed = order["discrete"], order["seed"]
    frame = pd.read_csv(place / "train.csv.gz", keep_default_na=False, dtype=dict.fromkeys(discrete, str))
    kind = {"ctgan": ctgan.CTGAN, "tvae": ctgan.TVAE}[order["method"]]
    costs = {"peer_versions": {name: version(name) for name in ("ctgan", "torch", "pandas", "numpy")}}
    if order["full"]:
        model, cpu, wall = fitted(kind, frame, discrete, seed)
        costs |= {"epochs": 300, "scaled": False}
    else:
        fitted(
            kind, frame.iloc[:1000], discrete, seed, epochs=1
        )  # the first fit of a process pays for imports
        (model, cpu_a, wall_a), (model, cpu_b, wall_b) = (
            fitted(kind, frame, discrete, seed, epochs=n) for n in SHORT
        )
        step = SHORT[1] - SHORT[0]
        cpu, wall = cpu_a + (cpu_b - cpu_a) / step * 299, wall_a + (wall_b - wall_a) / step * 299
        costs |= {"epochs": list(SHORT), "scaled": True, "cpu_s_an_epoch": (cpu_b - cpu_a) / step}
    made, sample_cpu, sample_wall = timed(model.sample, order["rows"])
    costs |= {"fit_cpu_s": cpu, "fit_wall_s": wall, "sample_cpu_s": sample_cpu, "sample_wall_s": sample_wall}
    if order["full"]:
        if order["method"] == "ctgan":  # its only way to ask for a label: a nudge, not a promise
            rare = frame["label__"].value_counts().index[-1]
            asked = model.sample(2000, condition_column="label__", condition_value=rare)
            costs["label_as_asked"] = float((asked["label__"] == rare).mean())
        made.to_csv(place / "made.csv.gz", index=False)
    (place / "costs.json").write_text(json.dumps(costs))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
