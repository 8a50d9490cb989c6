"""Classification accuracy score: how well a classifier trained on new rows alone reads real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence, Rows, match_cells
from augsynth.check.finding import Check, Finding
from augsynth.check.intervals import wilson
from augsynth.check.permutation import swapped_labels, tail_p_value
from augsynth.check.pictures.features import fit_reader
from augsynth.check.pictures.linear import fit_linear
from augsynth.check.pictures.space import halves
from augsynth.check.reference import tells_reference
from augsynth.core.arrays import count_rows, is_table, is_text
from augsynth.core.errors import DataError, InputTypeError, sentence
from augsynth.core.random import resolve_seed

__all__ = ["ClassificationAccuracyCheck", "classification_accuracy"]

_PERMUTATIONS = 199
_LOOKS, _MOST = 25_000, 5_000  # of the two networks
_FEWEST = 20
_WHERE = "classification_accuracy"


def classification_accuracy(X: Any, y: Any, X_test: Any, y_test: Any, *, random_state: int = 0) -> float:
    """Return how many real pictures a classifier trained on these (made) pictures reads rightly.

    Put the figure of a classifier trained on as many real pictures beside it: that is
    what there is to reach.

    Parameters
    ----------
    X, y : pictures and labels to train on
    X_test, y_test : real pictures and labels that nothing was trained on
    random_state : int, default=0

    Returns
    -------
    float
        Share of ``X_test``.

    Raises
    ------
    InputTypeError, DataError
        For what is no pictures, fewer than two classes, and labels of another length.

    Notes
    -----
    Deviation: the small network of `classifier_features` in place of a ResNet-50.
    Cost: about 10 CPU-s for 10,000 pictures of 28 x 28.

    References
    ----------
    Ravuri and Vinyals, "Classification accuracy score for conditional generative models",
    NeurIPS 2019, arXiv:1905.10887.
    """
    for pictures, name in ((X, "X"), (X_test, "X_test")):
        listed = hasattr(pictures, "__len__") and not isinstance(pictures, str)
        if not listed or is_table(pictures) or is_text(pictures):
            must = f"{name} must be pictures (n, h, w), (n, h, w, c) or (n, c, h, w)"
            raise InputTypeError(sentence(_WHERE, must, _told(pictures)))
    truth = np.ravel(np.asarray(y_test))
    if len(truth) != count_rows(X_test):
        given = f"{len(truth)} labels for {count_rows(X_test)} pictures"
        raise DataError(sentence(_WHERE, "every picture of X_test needs a label", given))
    reader = fit_reader(X, y, seed=resolve_seed(random_state), where=_WHERE)
    read = reader.labels(reader.features(X_test))
    return float(np.mean(read == truth))


def _told(rows: Any) -> str:
    """Return what was given instead of pictures."""
    shape = getattr(rows, "shape", None)
    return type(rows).__name__ + ("" if shape is None else f" of shape {tuple(shape)}")


class ClassificationAccuracyCheck(Check):
    """Accuracy on real rows of a classifier trained on new rows alone, beside one trained on real rows.

    Parameters
    ----------
    network : bool, default=True
        Whether to train two small networks on pixels as well (about 10 CPU-s); they are shown,
        not judged.
    """

    part, name, title = "fidelity", "classification_accuracy", "Classification accuracy score"

    def __init__(self, network: bool = True):
        self.network = network

    def applies(self, evidence: Evidence) -> str:
        """Pictures, clips, texts and features with at least two classes."""
        if evidence.modality == "table":
            return "For pictures, clips, texts and features of your own."
        if evidence.target_kind != "class":
            return "There are no labels to learn."
        made, _, test = _sides(evidence)
        if len(made) < _FEWEST or len(test) < _FEWEST or len(np.unique(made.labels)) < 2:
            return f"Too few new or real rows of the same classes: {len(made)} and {len(test)}."
        return ""

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the accuracy of linear discriminants on fixed features."""
        made, _, test = _sides(evidence)
        return float(np.mean(fit_linear(made.z, made.labels).read(test.z) == test.labels))

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return that accuracy, and the one after exchanging new and real training rows at random."""
        made, real, test = _sides(evidence)
        pooled, labels = np.vstack([made.z, real.z]), np.concatenate([made.labels, real.labels])

        def accuracy(chosen: np.ndarray) -> float:
            reader = fit_linear(pooled[chosen], labels[chosen])
            return float(np.mean(reader.read(test.z) == test.labels))

        seen = np.arange(len(pooled)) < len(made)
        value, by_real = accuracy(seen), accuracy(~seen)
        permuted = np.array([accuracy(each) for each in swapped_labels(made.cells, _PERMUTATIONS, rng)])
        jitter = 1e-9 * rng.random(len(permuted) + 1)  # breaks ties at random, or few test rows make it timid
        p = tail_p_value(-value + jitter[0], -permuted + jitter[1:])
        low, high = wilson(value, len(test))
        told = (
            f"A linear classifier of fixed features trained on {len(made):,} new rows alone reads "
            f"{value:.1%} of {len(test):,} real rows rightly; trained on as many real ones {by_real:.1%}."
        )
        details: dict[str, Any] = {"trained_on_real": by_real}
        if self.network and evidence.modality == "image":
            networks = _networks(made, real, test, evidence.seed)
            details["networks"] = networks
            new, true = networks["accuracy"]
            told += f" Small networks of pixels: {new:.1%} and {true:.1%}."
        return Finding(
            self.part, self.name, self.title, value, "share of real rows", low, high, float(permuted.mean()),
            p, len(made), told, "Judged by the linear classifier; networks vary with each training.",
            details=details,
        )  # fmt: skip


def _sides(evidence: Evidence) -> tuple[Rows, Rows, Rows]:
    """Return new rows, as many real training rows of the same cells, and real test rows."""
    train, test = evidence.train, evidence.holdout
    if test is None:
        own, rest = halves(train.cells, evidence.seed)
        train, test = train.take(own), train.take(rest)
    places = match_cells(evidence.made.cells, train.cells, evidence.max_rows, evidence.seed)
    made, real = evidence.made.take(places[0]), train.take(places[1])
    known = np.isin(test.labels, made.labels)
    return made, real, evidence.capped(test.take(np.flatnonzero(known)))


def _networks(made: Rows, real: Rows, test: Rows, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(made))[:_MOST])
    asked = test.take(np.sort(rng.permutation(len(test))[:_MOST]))
    rows = []
    for told, side in (("new rows", made), ("real rows", real)):
        part = side.take(chosen)
        reader = fit_reader(part.X, part.labels, seed=seed, looks=_LOOKS)
        read = reader.labels(reader.features(asked.X))
        rows.append({"trained_on": told, "n": len(part), "accuracy": float(np.mean(read == asked.labels))})
    return pd.DataFrame(rows)
