"""The classifier two-sample test: how well trees tell new rows from real ones, and by what."""

from __future__ import annotations

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence
from augsynth.check.fidelity.detector import Detection, detect, tree_features
from augsynth.check.fidelity.exchange import PairedCheck, named, whole
from augsynth.check.finding import Finding
from augsynth.check.permutation import CLAIMED, worded
from augsynth.check.reference import tells_reference

__all__ = ["C2ST"]

_ASKED = 4_000  # held-out rows on which the importance of columns is measured
_LOUD = 0.005  # AUC that a column must carry to be named


class C2ST(PairedCheck):
    """How well gradient-boosted trees tell new rows from real ones that they have not seen.

    The figure is the area under the ROC curve; 0.5 is chance. The strongest single figure of
    fidelity: whatever sets new rows apart (a column, a pair, a triple, a value that is too
    round) can show in it. Five folds, every class and group as often new as real; the test
    is exact within a fold given its model.

    The details say which columns give new rows away (the AUC that is lost when a column is
    shuffled among held-out rows, then what is left when the worst are withheld), and bound
    the Jensen-Shannon divergence from below.
    """

    name, title = "c2st", "Can a classifier tell new rows from real ones?"

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the figure alone."""
        return _detected(evidence, rng).auc

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the figure with its interval, null value, p-value and sentence."""
        found = _detected(evidence, rng)
        names = [block.name for block in evidence.joint_layout]
        value, p = found.auc, found.p_value
        low, high = max(0.0, value - 1.96 * found.error), min(1.0, value + 1.96 * found.error)
        importance = _importance(evidence, found, rng)
        table = pd.DataFrame({"column": names, "importance": importance})
        table = table.sort_values("importance", ascending=False, kind="stable").reset_index(drop=True)
        bits, least, most = found.divergence(rng)
        loud = np.flatnonzero(importance > _LOUD)
        worst = loud[np.argsort(-importance[loud], kind="stable")][:3] if p < CLAIMED else loud[:0]
        withheld = _withheld(evidence, worst, names, rng)
        told = _sentence(value, [names[j] for j in worst], withheld, (bits, least), p)
        return Finding(
            self.part, self.name, self.title, value, "AUC", low, high, 0.5, p, len(whole(evidence)), told,
            "Other classifiers may see more; an AUC near .5 proves only that this one sees nothing.",
            details={
                "columns": table,
                "withheld": withheld,
                "js_bits": bits,
                "js_low": least,
                "js_high": most,
                "scores": found.scores,
                "labels": found.labels,
            },
        )  # fmt: skip


def _categorical(evidence: Evidence) -> np.ndarray:
    return np.array([not block.is_numeric for block in evidence.joint_layout])


def _detected(evidence: Evidence, rng: np.random.Generator, without: tuple[int, ...] = ()) -> Detection:
    exchange = whole(evidence)
    kept = np.setdiff1d(np.arange(exchange.z.shape[1]), without)
    cells = np.unique(exchange.new.cells, return_inverse=True)[1]
    return detect(exchange.z[:, kept], _categorical(evidence)[kept], np.tile(cells, 2), rng)


def _importance(evidence: Evidence, found: Detection, rng: np.random.Generator) -> np.ndarray:
    """Return the AUC that shuffling each column among held-out rows costs; one fold after another."""
    features = tree_features(whole(evidence).z, _categorical(evidence))
    lost = np.zeros(features.shape[1])
    most = max(40, _ASKED // len(found.models))
    for fold, model in enumerate(found.models):
        inside = np.flatnonzero(found.folds == fold)
        inside = rng.permutation(inside)[:most]
        labels = found.labels[inside]
        if labels.all() or not labels.any():
            continue
        one = np.zeros(len(inside), dtype=int)
        rows = features[inside]
        before = Detection(found.scores[inside], labels, one, one, [model]).auc
        for j in range(features.shape[1]):
            other = rows.copy()
            other[:, j] = rng.permutation(other[:, j])
            lost[j] += before - Detection(model.decision_function(other), labels, one, one, [model]).auc
    return lost / len(found.models)


def _withheld(
    evidence: Evidence, worst: np.ndarray, names: list[str], rng: np.random.Generator
) -> pd.DataFrame:
    """Return the AUC without the column that tells most, and without the worst of them together."""
    rows = []
    for count in sorted({1, len(worst)} if len(worst) else set()):
        if count < len(names):
            without = tuple(int(j) for j in worst[:count])
            area = _detected(evidence, rng, without).auc
            rows.append({"without": named([names[j] for j in without]), "auc": area})
    return pd.DataFrame(rows, columns=["without", "auc"])


def _sentence(
    value: float, worst: list[str], withheld: pd.DataFrame, bits: tuple[float, float], p: float
) -> str:
    told = f"A classifier tells new rows from real ones with AUC {value:.2f} (chance: .50)"
    claim = f"; what gives them away is {named(worst)}" if worst else ""
    if len(withheld):
        last = withheld.iloc[-1]
        claim += f" (AUC {last['auc']:.2f} without {'it' if len(worst) == 1 else 'them'})"
    if bits[1] > 0:
        claim += f"; a row gives away at least {bits[1]:.2f} bit of whether it is new (1 bit: always)"
    calm = ": it finds no difference that holds up on rows it has not seen"
    return worded(told, claim, p, calm, claimed=CLAIMED)
