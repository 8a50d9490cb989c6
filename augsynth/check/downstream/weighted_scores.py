"""Scores of hold-out predictions under many weightings of the rows at once: a bootstrap in a few products."""

from __future__ import annotations

import numpy as np

__all__ = ["SMALLER_IS_BETTER", "average_precisions", "row_weights", "score_table", "shares"]

SMALLER_IS_BETTER = frozenset({"log-loss", "Brier score", "mean absolute error"})
_TINY = float(np.finfo(float).eps)  # as scikit-learn does


def row_weights(n: int, n_bootstrap: int, rng: np.random.Generator) -> np.ndarray:
    """Return weights (n_bootstrap + 1, n): ones first, then how often each bootstrap drew each row."""
    weights = np.ones((n_bootstrap + 1, n))
    for row in weights[1:]:
        row[:] = np.bincount(rng.integers(0, n, size=n), minlength=n)
    return weights


def score_table(
    prediction: np.ndarray, truth: np.ndarray, weights: np.ndarray, positive: int
) -> dict[str, np.ndarray]:
    """Return every score under each weighting, the one that verdicts rest on first.

    Parameters
    ----------
    prediction : ndarray (n, k) of probabilities, or (n,) of numbers
    truth : ndarray (n,) of class codes, or of numbers
    weights : ndarray (b, n)
    positive : int
        The class that average precision is about, where there are two.

    Returns
    -------
    dict of ndarray (b,)

    Examples
    --------
    >>> proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    >>> found = score_table(proba, np.array([0, 1, 1, 0]), np.ones((1, 4)), positive=1)
    >>> [round(float(found[name][0]), 3) for name in ("average precision", "accuracy", "Brier score")]
    [0.833, 0.5, 0.225]
    """
    if prediction.ndim == 1:
        return _number_scores(prediction, truth, weights)
    k = prediction.shape[1]
    total = weights.sum(axis=1)
    guessed = prediction.argmax(axis=1)
    of_class, as_class = np.eye(k)[truth], np.eye(k)[guessed]
    rows, told, right = weights @ of_class, weights @ as_class, weights @ (of_class * as_class)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(rows > 0, right / rows, np.nan)
        f1 = np.where(rows + told > 0, 2 * right / (rows + told), np.nan)
    own = np.clip(prediction[np.arange(len(truth)), truth], _TINY, 1.0)
    errors = ((prediction - np.eye(k)[truth]) ** 2).sum(axis=1) / (2 if k == 2 else 1)
    scores = {}
    if k == 2:
        scores["average precision"] = average_precisions(prediction[:, positive], truth == positive, weights)
    return scores | {
        "balanced accuracy": np.nanmean(recall, axis=1),
        "accuracy": right.sum(axis=1) / total,
        "macro-F1": np.nanmean(f1, axis=1),
        "log-loss": weights @ -np.log(own) / total,
        "Brier score": weights @ errors / total,
    }


def _number_scores(prediction: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    total = weights.sum(axis=1)
    centred = truth - truth.mean()
    spread = weights @ centred**2 - (weights @ centred) ** 2 / total
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = np.where(spread > 0, 1.0 - weights @ (prediction - truth) ** 2 / spread, np.nan)
    return {"R2": r2, "mean absolute error": weights @ np.abs(prediction - truth) / total}


def average_precisions(score: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the average precision under each weighting; NaN where no positive row has weight.

    Parameters
    ----------
    score : ndarray (n,)
    positive : ndarray (n,) of bool
    weights : ndarray (b, n)
    """
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    sorted_weights = weights[:, order]
    seen = np.cumsum(sorted_weights, axis=1)[:, last_of_tie]
    found = np.cumsum(sorted_weights * positive[order], axis=1)[:, last_of_tie]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(seen > 0, found / seen, 0.0)
        return (np.diff(found, axis=1, prepend=0.0) * precision).sum(axis=1) / found[:, -1]


def shares(values: np.ndarray, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean of ``values`` (n,) over each set of rows, (b, m); NaN where a set is empty.

    ``members`` (n, m) says which rows are in which set.
    """
    inside = members.astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights @ (inside * values[:, None])) / (weights @ inside)
