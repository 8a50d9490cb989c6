"""The yardsticks of the imputation benchmark, one definition each, the same for every method.

rmse, mae     on the masked cells of numbers, in standard deviations of the column's true values
pfc           share of the masked cells of categories that got a wrong level
energy        energy distance of the completed table to the true one, 2 E|X - Y| - E|X - X'| - E|Y - Y'|:
              numbers in standard deviations, categories as dummies over the root of two
downstream    accuracy (or R2) on hold-out rows of a logistic (ridge) regression that was trained on the
              completed training rows; the hold-out rows are completed by the imputer of the training rows
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from imputation_sets import Table


class Yardstick:
    """Codes and scales of one true table.

    Parameters
    ----------
    table : Table
        The true values: standard deviations and levels are read from it once.
    """

    def __init__(self, table: Table):
        self.columns = list(table.X)
        self.levels = {c: list(table.X[c].cat.categories) for c in table.categorical}
        self.is_category = np.array([c in self.levels for c in self.columns])
        z = self.code(table.X)
        with np.errstate(invalid="ignore"):
            self.mean, self.sd = np.nanmean(z, axis=0), np.nanstd(z, axis=0)

    def code(self, X: pd.DataFrame) -> np.ndarray:
        """Return (n, p) float64: numbers as they are, level codes, NaN for missing and for unknown levels."""
        out = np.empty((len(X), len(self.columns)))
        for j, c in enumerate(self.columns):
            if c in self.levels:
                code = pd.Categorical(X[c].astype(object), categories=self.levels[c]).codes.astype(float)
                out[:, j] = np.where(code < 0, np.nan, code)
            else:
                out[:, j] = X[c].to_numpy(dtype=float, na_value=np.nan)
        return out

    def frame(self, z: np.ndarray) -> pd.DataFrame:
        """Return the rows of codes as a DataFrame again."""
        out = {}
        for j, c in enumerate(self.columns):
            if c in self.levels:
                codes = np.where(np.isnan(z[:, j]), -1, z[:, j]).astype(int)
                out[c] = pd.Categorical.from_codes(codes, categories=self.levels[c])
            else:
                out[c] = z[:, j]
        return pd.DataFrame(out)

    def errors(self, z: np.ndarray, true: np.ndarray, masked: np.ndarray) -> dict[str, float | None]:
        """Return rmse, mae and pfc over the masked cells; a cell that is still missing counts as the mean."""
        number = masked & ~self.is_category
        filled = np.where(np.isnan(z) & ~self.is_category, self.mean, z)
        gap = ((filled - true) / self.sd)[number]
        wrong = (z != true)[masked & self.is_category]
        return {
            "rmse": float(np.sqrt(np.mean(gap**2))) if gap.size else None,
            "mae": float(np.abs(gap).mean()) if gap.size else None,
            "pfc": float(wrong.mean()) if wrong.size else None,
            "left": int(np.isnan(z)[masked].sum()),
        }

    def spread(self, z: np.ndarray) -> np.ndarray:
        """Return the rows in the space of the energy distance."""
        parts = []
        for j, c in enumerate(self.columns):
            if c in self.levels:
                dummies = z[:, [j]] == np.arange(len(self.levels[c]))
                parts.append(dummies / np.sqrt(2))
            else:
                parts.append(((np.where(np.isnan(z[:, j]), self.mean[j], z[:, j])) / self.sd[j])[:, None])
        return np.hstack(parts)

    def energy(self, z: np.ndarray, true: np.ndarray) -> float:
        """Return the energy distance of two tables."""
        from scipy.spatial.distance import cdist

        a, b = self.spread(z), self.spread(true)
        return float(2 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean())


def downstream(
    yard: Yardstick, train: np.ndarray, y: np.ndarray, test: np.ndarray, y_test: np.ndarray, is_class: bool
) -> float:
    """Return accuracy (classes) or R2 (numbers) of a linear learner of standardised numbers and dummies."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    learner = LogisticRegression(max_iter=300) if is_class else Ridge()
    model = make_pipeline(StandardScaler(), learner)
    return float(model.fit(yard.spread(train), y).score(yard.spread(test), y_test))
