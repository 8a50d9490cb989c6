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

SHORT = 5  # epochs timed when the training is not in full
PREPARING = {"fit": 0.0, "wall": 0.0}


def timed(function, *args):
    """Call and return (result, CPU seconds, wall seconds)."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = function(*args)
    return result, time.process_time() - cpu, time.perf_counter() - wall


def count_preparation():
    """Let the peer's own preparation of the table (done once, not every epoch) count its time."""
    from ctgan.data_sampler import DataSampler
    from ctgan.data_transformer import DataTransformer

    def counted(method):
        def call(*args, **kwargs):
            cpu, wall = time.process_time(), time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                PREPARING["fit"] += time.process_time() - cpu
                PREPARING["wall"] += time.perf_counter() - wall

        return call

    for owner, name in ((DataTransformer, "fit"), (DataTransformer, "transform"), (DataSampler, "__init__")):
        setattr(owner, name, counted(getattr(owner, name)))


def fitted(kind, frame, discrete, seed, **options):
    """Fit one model and return it with its CPU and wall seconds."""
    model = kind(enable_gpu=False, **options)
    model.set_random_state(seed)
    PREPARING.update(fit=0.0, wall=0.0)
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
        count_preparation()
        fitted(
            kind, frame.iloc[:1000], discrete, seed, epochs=1
        )  # the first fit of a process pays for imports
        model, cpu, wall = fitted(kind, frame, discrete, seed, epochs=SHORT)
        once, once_wall = PREPARING["fit"], PREPARING["wall"]
        epoch = (cpu - once) / SHORT
        costs |= {"epochs": SHORT, "scaled": True, "preparing_cpu_s": once, "epoch_cpu_s": epoch}
        cpu, wall = once + 300 * epoch, once_wall + 300 * (wall - once_wall) / SHORT
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
