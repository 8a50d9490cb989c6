"""Balanced by class and group, exactly; edited copies; written to disk as they would be streamed.

The groups are two scanners, one of which hardly ever saw a seven.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

from augsynth import PerturbedDataset, ResampledDataset
from augsynth.datasets.materialize import materialize
from augsynth.datasets.materialized import MaterializedDataset
from augsynth.perturb.image_policies import image_medium

digits = load_digits()
rng = np.random.default_rng(0)
scanner = rng.choice(["old", "new"], len(digits.target), p=[0.2, 0.8])
keep = np.flatnonzero((digits.target < 3) | ((digits.target == 7) & (rng.random(len(scanner)) < 0.15)))
pictures = torch.tensor(digits.images[keep] * 15, dtype=torch.uint8)[:, None]
labels, scanner = torch.tensor(digits.target[keep]), scanner[keep]
base = TensorDataset(pictures, labels)


def table(y, groups):
    """Count each digit of each scanner."""
    return {f"{d} {g}": int(((y == d) & (groups == g)).sum()) for d in (0, 1, 2, 7) for g in ("new", "old")}


if __name__ == "__main__":  # worker processes may read this file again
    print("before:", table(labels.numpy(), scanner))

    # Every cell as often as the largest, in every epoch; each repeat is a copy of its own.
    balanced = ResampledDataset(base, by="class+group", groups=scanner, seed=0)
    train = PerturbedDataset(balanced, image_medium(flip=0), seed=0)
    print("after: ", table(train.labels, train.groups))

    seen = torch.cat([y for _, y in DataLoader(train, batch_size=64, shuffle=True)])
    print("an epoch through a DataLoader:", torch.bincount(seen)[[0, 1, 2, 7]].tolist())
    told = train.describe(0, epoch=1)
    print("item 0 in epoch 1: record", told["record"], "copy", told["copy"])

    # The same set as files: killed and called again, it goes on; the bytes are those of the stream.
    manifest = materialize(train, "balanced_digits", epoch=1, progress=False)
    on_disk = MaterializedDataset("balanced_digits")
    same = all(np.array_equal(np.asarray(on_disk[i][0]), np.asarray(train.at(i, 1)[0])) for i in range(50))
    print("on disk:", len(on_disk), "items; equal to the stream:", same)
