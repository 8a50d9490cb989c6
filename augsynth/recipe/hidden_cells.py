"""How well an imputer fills cells that are known and were hidden from it, beside the column means."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from augsynth.core.random import keyed_rng

__all__ = ["HiddenCells", "Verdict", "hide_cells"]

_HIDDEN = 5  # key of the random stream
_SHARE = 0.2
_Z = 1.96
_FEW = 20  # rows, below which there is no verdict


class Verdict(NamedTuple):
    """Whether an imputer beats the column means: a word, and the gain with its 95 % interval.

    The gain is the share of the column means' error that it saves: 1 is the truth.
    """

    word: str
    gain: float
    low: float
    high: float
    rows: int


class HiddenCells:
    """Cells of rows that the imputer never saw: the truth, what it put there, and what a mean would be.

    Parameters
    ----------
    truth : DataFrame, (n, p)
        The rows, as far as they are known.
    hidden : ndarray of bool, (n, p)
        The cells that were hidden.
    filled : DataFrame, (n, p)
        What the imputer made of the rows.
    training : DataFrame
        Whose means, most frequent values and standard deviations serve.
    """

    def __init__(self, truth: pd.DataFrame, hidden: np.ndarray, filled: pd.DataFrame, training: pd.DataFrame):
        self.columns = list(truth.columns)
        self.hidden = hidden
        self.numeric = [_is_number(truth[name]) for name in self.columns]
        losses = [
            np.zeros(hidden.shape),
            np.zeros(hidden.shape),
        ]  # squared or 0/1: of the imputer, of the means
        for j, name in enumerate(self.columns):
            at = hidden[:, j]
            if at.any():
                for loss, values in zip(
                    losses,
                    _losses(truth[name][at], filled[name][at], training[name], self.numeric[j]),
                    strict=True,
                ):
                    loss[at, j] = values
        self.loss, self.loss_of_means = losses

    def by_column(self) -> pd.DataFrame:
        """Return ``name``, ``kind``, ``n``, ``error`` and ``baseline`` of each column.

        Errors are root mean squares in standard deviations of the column, or shares that are wrong.
        """
        return pd.DataFrame(
            [self._line(j, np.ones(len(self.hidden), bool)) for j in range(len(self.columns))]
        )

    def _line(self, j: int, rows: np.ndarray) -> dict[str, Any]:
        at = self.hidden[:, j] & rows
        scale = np.sqrt if self.numeric[j] else float
        figures = [
            float(scale(loss[at, j].mean())) if at.any() else float("nan")
            for loss in (self.loss, self.loss_of_means)
        ]
        kind = "numeric" if self.numeric[j] else "categorical"
        line = {"name": self.columns[j], "kind": kind, "n": int(at.sum())}
        return {**line, "error": figures[0], "baseline": figures[1]}

    def by_group(self, groups: pd.Series) -> pd.DataFrame:
        """Return the same for each group, over all columns of a kind."""
        found = []
        names = groups.astype(str).to_numpy()
        for group in sorted(set(names)):
            for kind in ("numeric", "categorical"):
                chosen = np.array([number == (kind == "numeric") for number in self.numeric])
                at = self.hidden & (names == group)[:, None] & chosen
                if not at.any():
                    continue
                scale = np.sqrt if kind == "numeric" else float
                figures = [float(scale(loss[at].mean())) for loss in (self.loss, self.loss_of_means)]
                line = {"group": group, "kind": kind, "n": int(at.sum())}
                found.append({**line, "error": figures[0], "baseline": figures[1]})
        return pd.DataFrame(found)

    def verdict(self) -> Verdict:
        """Say whether the loss a row is smaller than that of the column means, beyond chance.

        The loss of a row is the mean over its hidden cells, squared errors in variances of the
        column or 0 and 1; the interval is that of the mean over rows. All are told in shares of
        what the column means lose.
        """
        count = self.hidden.sum(axis=1)
        rows = count > 0
        gain = (self.loss_of_means - self.loss).sum(axis=1)[rows] / count[rows]
        whole = float((self.loss_of_means.sum(axis=1)[rows] / count[rows]).mean()) if rows.any() else 0.0
        gain = gain / (whole or 1.0)
        if len(gain) < _FEW:
            return Verdict(
                "no evidence", float(gain.mean()) if len(gain) else 0.0, float("nan"), float("nan"), len(gain)
            )
        half = _Z * gain.std(ddof=1) / np.sqrt(len(gain))
        low, high = float(gain.mean() - half), float(gain.mean() + half)
        word = "helps" if low > 0 else "hurts" if high < 0 else "no evidence"
        return Verdict(word, float(gain.mean()), low, high, len(gain))


def hide_cells(X: pd.DataFrame, seed: int) -> np.ndarray:
    """Choose a fifth of the cells that are seen (n, p) bool; every row keeps one."""
    seen = X.notna().to_numpy()
    hidden = seen & (keyed_rng(seed, _HIDDEN).random(seen.shape) < _SHARE)
    hidden[hidden.sum(axis=1) == seen.sum(axis=1)] = False
    return hidden


def _is_number(values: pd.Series) -> bool:
    dtype = values.dtype
    return (
        pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    ) or dtype.kind in "mM"


def _losses(
    truth: pd.Series, made: pd.Series, training: pd.Series, numeric: bool
) -> tuple[np.ndarray, np.ndarray]:
    seen = training.dropna()
    if not numeric:
        typical = seen.astype(object).mode().iloc[0] if len(seen) else None
        true, guess = truth.astype(object).to_numpy(), made.astype(object).to_numpy()
        wrong = np.array([a is b or a == b for a, b in zip(true, guess, strict=True)])
        return ~wrong, np.array([value != typical for value in true])
    true, guess, known = (_numbers(values) for values in (truth, made, seen))
    unit = float(known.std()) if len(known) > 1 else 0.0
    middle = float(known.mean()) if len(known) else 0.0
    return ((guess - true) / (unit or 1.0)) ** 2, ((middle - true) / (unit or 1.0)) ** 2


def _numbers(values: pd.Series) -> np.ndarray:
    if values.dtype.kind in "mM":
        return values.to_numpy().astype("int64").astype(float)
    return values.to_numpy(dtype=float, na_value=np.nan)
