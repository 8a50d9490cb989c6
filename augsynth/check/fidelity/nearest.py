"""Mean squared error to the nearest real row: often reported, and no measure of quality."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from augsynth.check.evidence import Evidence, Rows
from augsynth.check.fidelity.exchange import as_samples, within
from augsynth.check.finding import Check, Finding
from augsynth.check.reference import tells_reference

__all__ = ["NearestMSE", "nearest_mse"]

_MOST = 2_000


def nearest_mse(a: Any, b: Any) -> float:
    """Tell the mean squared difference, per column, of each new row from the real row nearest to it.

    Small is not good: copies have 0, and blurred rows in the middle of all have less than
    honest new ones. A picture that is shifted by two pixels is far from itself. Read it beside
    the same figure of held-out rows.

    Parameters
    ----------
    a, b : array-like (n, d), (m, d)
        New and real rows, in units that make their columns comparable.

    Examples
    --------
    >>> nearest_mse([[0.0], [3.0]], [[0.0], [1.0]])
    2.0
    """
    new, real = as_samples(a, b, "nearest_mse", least=1)
    found = NearestNeighbors(n_neighbors=1).fit(real).kneighbors(new)[0][:, 0]
    return float(np.mean(found**2) / new.shape[1])


class NearestMSE(Check):
    """Mean squared error to the nearest training row, per column, in standard units; shown, never judged.

    At most 2,000 rows are looked up among all training rows, in the distance of mixed tables
    (one unit for a category that differs). The null value is that of held-out
    rows.
    """

    part, name, title = "fidelity", "nearest_mse", "Mean squared error to the nearest real row"

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the figure alone."""
        return float(np.mean(_errors(evidence, evidence.made)))

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the figure with its interval and the same figure of held-out rows."""
        errors = _errors(evidence, evidence.made)
        value = float(errors.mean())
        width = 1.96 * float(errors.std()) / np.sqrt(len(errors))
        null = float("nan")
        told = f"New rows lie {value:.3f} squared standard units a column from the nearest training row"
        if evidence.holdout is not None:
            null = float(_errors(evidence, evidence.holdout).mean())
            told += f"; real rows that nothing was fitted on lie {null:.3f}"
        return Finding(
            self.part, self.name, self.title, value, "squared standard units a column",
            max(0.0, value - width), value + width, null, n=len(errors), sentence=f"{told}.",
            caution="Small is not good: copies have 0, blurred rows less than honest ones. Not judged.",
        )  # fmt: skip


def _errors(evidence: Evidence, rows: Rows) -> np.ndarray:
    def make() -> Any:
        return evidence.index(evidence.train)

    index = within(evidence, "index of training rows", make)
    found = index.query(evidence.capped(rows, _MOST).z, 1)[0][:, 0]
    return np.asarray(found**2 / rows.z.shape[1])
