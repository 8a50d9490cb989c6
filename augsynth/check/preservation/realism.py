"""Do edited copies still look like real variation? A detector of real against edited, and its controls."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from augsynth.check.intervals import Interval, corrected_interval
from augsynth.core import arrays

__all__ = ["REAL", "SHUFFLED", "Places", "detect", "realism_word", "shuffled"]

REAL, SHUFFLED = "(real against real)", "(shuffled)"
_USUAL = 0.95  # share of the real rows of a class: how near they lie to each other
_FARTHER = 1.25  # what an edit leaves of itself (a blur, an edge) sets copies a little apart


def detect(reader: Any, originals: Any, copies: Any, folds: list[tuple[np.ndarray, np.ndarray]]) -> Interval:
    """Return how far above 0.5 the area under the ROC curve of a detector is, with its error.

    A clone of the reader learns to tell the originals of the training rows of a fold
    from their copies, and is tried on the test rows: a row and its copy are always on
    one side.

    Parameters
    ----------
    reader : classifier with predict_proba, unfitted
    originals, copies : rows (n, ...), in pairs
    folds : list of (training rows, test rows)
    """
    from sklearn.metrics import roc_auc_score

    areas = []
    for train, test in folds:
        model = clone(reader).fit(_both(originals, copies, train), np.repeat([0, 1], len(train)))
        scores = model.predict_proba(_both(originals, copies, test))[:, 1]
        areas.append(roc_auc_score(np.repeat([0, 1], len(test)), scores))
    sizes = [len(test) / len(train) for train, test in folds]
    return corrected_interval(np.array(areas) - 0.5, float(np.mean(sizes)))


class Places:
    """Where real rows of each class lie, and whether copies have moved among those of another.

    Parameters
    ----------
    measure : transformer, unfitted
        To the coordinates that distances are taken in.
    X, labels : the real rows and the codes of their classes
    """

    def __init__(self, measure: Any, X: Any, labels: np.ndarray):
        from sklearn.neighbors import NearestNeighbors

        self.measure = clone(measure).fit(X)
        seen = self.measure.transform(X)
        self._rows = {int(code): seen[labels == code] for code in np.unique(labels)}
        self._search = {
            code: NearestNeighbors(n_neighbors=1, algorithm="brute").fit(rows)
            for code, rows in self._rows.items()
        }
        self._own = {
            code: self._search[code].kneighbors(rows, n_neighbors=2)[0][:, 1]
            for code, rows in self._rows.items()
        }
        self._usual_ratio: dict[tuple[int, int], float] = {}

    def near(self, X: Any, codes: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Tell of each copy (n,) whether it lies among the real rows of the class that it is read as.

        That is: nearer to one of them than to any real row of its own class (its original
        included) by a factor usual among real rows of the new class, and not much farther
        from them than they are from each other.

        Parameters
        ----------
        X : the copies
        codes, own : the class that each is read as, and the class of its original
        """
        seen = self.measure.transform(X)
        found = np.zeros(len(codes), dtype=bool)
        for code, home in sorted(set(zip(codes.tolist(), own.tolist(), strict=True))):
            if code == home:
                continue
            rows = np.flatnonzero((codes == code) & (own == home))
            there, back = (self._search[c].kneighbors(seen[rows])[0][:, 0] for c in (code, home))
            reach = _FARTHER * float(np.quantile(self._own[code], _USUAL))
            found[rows] = (there <= reach) & (there < back * min(1.0, self._ratio(code, home)))
        return found

    def _ratio(self, code: int, home: int) -> float:
        """Return how much nearer real rows of a class are to it than to another: 95 % are at least so."""
        if (code, home) not in self._usual_ratio:
            away = self._search[home].kneighbors(self._rows[code])[0][:, 0]
            ratios = self._own[code] / np.maximum(away, 1e-12)
            self._usual_ratio[code, home] = float(np.quantile(ratios, _USUAL))
        return self._usual_ratio[code, home]


def _both(originals: Any, copies: Any, rows: np.ndarray) -> Any:
    return arrays.concat_rows([arrays.take_rows(originals, rows), arrays.take_rows(copies, rows)])


def realism_word(area: float, low: float) -> str:
    """Say in words how easily copies are told from real rows."""
    if not np.isfinite(area) or low <= 0.5:
        return "not told from real ones"
    if area < 0.65:
        return "close to real ones"
    return "told from real ones" if area < 0.85 else "plainly not like real ones"


def shuffled(X: Any, modality: str, rng: np.random.Generator) -> Any:
    """Return rows as a gross control: the parts of each in random order (columns of a table, each alone)."""
    if modality == "table":
        frame, container = arrays.take_in(X, where="label_preservation")
        mixed = {c: frame[c].take(rng.permutation(len(frame))).to_numpy() for c in frame.columns}
        return container.give_back(frame.reset_index(drop=True).assign(**_as_columns(frame, mixed)))
    shuffle = _shuffled_text if modality == "text" else _shuffled_array
    return _rebuilt(X, [shuffle(x, rng) for x in X])


def _as_columns(frame: Any, mixed: dict[Any, np.ndarray]) -> dict[Any, Any]:
    import pandas as pd

    return {c: pd.Series(values, dtype=frame[c].dtype) for c, values in mixed.items()}


def _shuffled_text(x: str, rng: np.random.Generator) -> str:
    words = x.split(" ")
    pairs = [words[k] for k in rng.permutation(len(words))]
    return " ".join(word[::-1] for word in pairs)


def _shuffled_array(x: Any, rng: np.random.Generator) -> Any:
    if hasattr(x, "detach"):
        import torch

        order = torch.from_numpy(rng.permutation(x.numel()))
        return x.reshape(-1)[order].reshape(x.shape)
    array = np.asarray(x)
    mixed = array.reshape(-1)[rng.permutation(array.size)].reshape(array.shape)
    if hasattr(x, "getbands"):
        from PIL import Image

        return Image.fromarray(mixed)
    return mixed


def _rebuilt(X: Any, rows: list[Any]) -> Any:
    if isinstance(X, np.ndarray) and X.dtype != object and X.dtype.kind not in "US":
        return np.stack(rows)
    if hasattr(X, "detach"):
        import torch

        return torch.stack(rows)
    if hasattr(X, "iloc"):
        return X.__class__(rows)
    return rows if isinstance(X, list) else np.array(rows, dtype=object)
