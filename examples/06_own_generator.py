"""A generator of your own: two hooks, and every consumer takes it.

The hooks see encoded rows: ``z`` (n, p) holds numbers in their units and level codes of
categories, ``c`` (n,) holds the cell (class and group) of each row. Labels, dtypes, missing
values, seeds, saving and the exactness of conditions are the base class's business.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_wine

import augsynth
from augsynth import BaseGenerator, OverSampler, registry
from augsynth.testing import check_generator


class BridgeGenerator(BaseGenerator):
    """New rows between two real rows of the cell: each column from one of them or, if numeric, between.

    Parameters
    ----------
    reach : float
        0 stays at the first parent; 1 may go as far as the second.
    """

    _kind = "interpolated"

    def __init__(self, *, reach=0.5, schema=None, random_state=None):
        self.reach = reach
        self.schema = schema
        self.random_state = random_state

    def _fit(self, z, c, w, rng):
        self.rows_ = z
        self.members_ = [np.flatnonzero(c == cell) for cell in range(self.condition_.n_cells)]
        self.numeric_ = np.array([column.is_numeric for column in self.layout_])

    def _sample(self, c, rng):
        parents = np.stack([rng.choice(self.members_[cell], 2) for cell in c])
        first, second = self.rows_[parents[:, 0]], self.rows_[parents[:, 1]]
        step = rng.uniform(0, self.reach, (len(c), 1))
        between = first + step * (second - first)
        return np.where(self.numeric_ & ~np.isnan(between), between, first)


registry.register("generator", "bridge", BridgeGenerator)  # so that recipes and saved models know it
check_generator(BridgeGenerator(random_state=0))
print("the contract holds: labels exact, dtypes kept, seeds honoured, inputs untouched, saved without pickle")

X, y = load_wine(return_X_y=True, as_frame=True)
X_more, y_more = OverSampler(BridgeGenerator(reach=0.8), random_state=0).fit_resample(X, y)
print("rows of each class:", pd.Series(y_more).value_counts().to_dict())

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "bridge.safetensors"
    BridgeGenerator(random_state=0).fit(X, y).save(path)
    again = augsynth.load(path)
    print("saved and loaded:", again, again.sample(y=[2, 2]).shape)
