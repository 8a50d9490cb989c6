"""Accuracy of control: whether a classifier trained on real rows reads the label asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence
from augsynth.check.finding import Check, Finding
from augsynth.check.intervals import wilson
from augsynth.check.permutation import CLAIMED, FIRM, often, stratified_p_value
from augsynth.check.pictures.space import compared, reading_space
from augsynth.check.reference import tells_reference

__all__ = ["PictureControlCheck", "agreement_p_value"]

_FEWEST = 20


class PictureControlCheck(Check):
    """Share of new pictures that a classifier of real ones reads as what they were asked to be."""

    part, name, title = "fidelity", "control_accuracy", "Accuracy of control"

    def applies(self, evidence: Evidence) -> str:
        """Pictures with at least two classes; everything else has a check of its own."""
        if evidence.modality != "image":
            return "For pictures."
        if evidence.target_kind != "class" or len(np.unique(evidence.train.labels)) < 2:
            return "There are no labels to read, or only one."
        return ""

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the share that is read as asked for."""
        space = reading_space(evidence)
        made, _ = compared(evidence, space)
        return float(np.mean(space.labels(made) == made.labels)) if len(made) else float("nan")

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return that share beside the one of real pictures, of the same classes and groups."""
        space = reading_space(evidence)
        made, real = compared(evidence, space)
        if len(made) < _FEWEST:
            told = f"Only {len(made)} new rows have real ones of their class and group; {_FEWEST} are needed."
            return Finding(self.part, self.name, self.title, float("nan"), caution=told)
        hits = [space.labels(rows) == rows.labels for rows in (made, real)]
        value, null = (float(each.mean()) for each in hits)
        low, high = wilson(value, len(made))
        overall = agreement_p_value(hits[0], hits[1], made.cells)
        table = _by_cell(evidence, space.labels(evidence.made), hits[0], hits[1], made.cells)
        lowest = table["p_value"].min() * len(table)  # so that one bad cell among good ones is seen
        p = float(min(1.0, 2.0 * min(overall, lowest)))
        worst = table.sort_values("p_value").iloc[0]
        where = ""
        if FIRM <= p <= 0.05:
            where = f" Chance alone makes such a figure in {often(p)} cases."
        if p < CLAIMED:
            where += (
                f" Worst: {worst['cell']} ({worst['agree']:.0%} of the new ones against "
                f"{worst['agree_real']:.0%}; otherwise mostly read as {worst['read_as']})."
            )
        told = (
            f"A classifier trained on real rows reads {value:.1%} of the new ones as the label that was "
            f"asked for; of real ones that it has not seen {null:.1%}.{where}"
        )
        return Finding(
            self.part, self.name, self.title, value, "share of new rows", low, high, null, p, len(made), told,
            "A new row that is read otherwise is not sure to be wrong: the classifier errs on real ones too.",
            details={"by_cell": table, "reader": space.told},
        )  # fmt: skip


def agreement_p_value(made: np.ndarray, real: np.ndarray, cells: np.ndarray) -> float:
    """Return the chance of so few hits among the new rows if hits fell on new and real ones alike, by cell.

    The number of misses of each cell is hypergeometric, and cells add up: `stratified_p_value`.

    Parameters
    ----------
    made, real : ndarray (k,) of bool
        Matched rows, in the same order of cells.
    cells : ndarray (k,) of int

    Examples
    --------
    >>> hits = np.array([True, True, False, False])
    >>> round(agreement_p_value(~np.ones(4, bool), np.ones(4, bool), np.zeros(4, int)), 4)
    0.0143
    >>> agreement_p_value(hits, hits, np.zeros(4, int)) > 0.5
    True
    """
    code = np.unique(cells, return_inverse=True)[1]
    rows, missed, missed_real = (np.bincount(code, each) for each in (np.ones(len(code)), ~made, ~real))
    return stratified_p_value(missed, rows, missed + missed_real, 2 * rows)


def _by_cell(
    evidence: Evidence, read: np.ndarray, made: np.ndarray, real: np.ndarray, cells: np.ndarray
) -> pd.DataFrame:
    """Return a row a cell: shares, p-value, and what the others are mostly read as."""
    rows = []
    for cell in np.unique(cells):
        own, every = cells == cell, evidence.made.cells == cell
        asked = evidence.made.labels[every]
        odd = read[every][read[every] != asked]
        other = evidence.classes[int(np.bincount(odd).argmax())] if len(odd) else ""
        rows.append({
            "cell": evidence.cells[int(cell)], "n": int(every.sum()), "n_compared": int(own.sum()),
            "agree": float(made[own].mean()), "agree_real": float(real[own].mean()), "read_as": other,
            "p_value": agreement_p_value(made[own], real[own], cells[own]),
        })  # fmt: skip
    return pd.DataFrame(rows)
