"""Accuracy of control: whether a new row shows the label that was asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence, match_cells
from augsynth.check.fidelity.exchange import PairedCheck, joint_chance, whole, within
from augsynth.check.fidelity.label_model import FOLDS, label_model
from augsynth.check.finding import Finding
from augsynth.check.intervals import holm, wilson
from augsynth.check.permutation import CLAIMED, tail_p_value, worded
from augsynth.check.reference import tells_reference
from augsynth.core.random import keyed_rng

__all__ = ["ControlAccuracy"]

_FEWEST = 5  # rows of a class or group, below which it is not named
_N_RELABELLINGS = 999
_AHEAD = 0.7  # standard deviations: about three quarters of the level go to all rows together
_AT_ONCE = 2_000_000  # random numbers
_STREAM = 336


class ControlAccuracy(PairedCheck):
    """Whether a classifier of real training rows finds the requested label in the new rows.

    The figure is the share of new rows in which it does (for a numeric target: the
    correlation of what is read and what was asked for). Held-out rows of the same classes and
    groups tell how often it is right at all. A classifier is boosted trees and a logistic
    regression, weighted by what they are worth on rows left out. There are three, each of two
    thirds of at most ``max_rows`` training rows; a copy of a training row is read by the one that
    has not seen it.

    The p-value rests not on right or wrong but on how badly each label fits its row (the
    likelihood ratio of a fifth of the labels wrong, see `LabelModel.doubts`; for a numeric target
    the absolute error): of all rows, and of each class, group and cell; all rows together get
    about three quarters of the level. New rows are exchanged with all real ones of their class and
    group, held-out rows and training rows alike, each read by a model that has not seen it.

    Notes
    -----
    Of 3,000 new rows with 5 % wrong labels, where the best classifier there is errs on 28 % of right
    ones, even the true densities find that in about half of all cases at the level of a report.

    References
    ----------
    Genovese, Roeder and Wasserman (2006), False discovery control with p-value weighting,
    doi:10.1093/biomet/93.3.509.
    """

    name, title = "control_accuracy", "Do new rows show the label that was asked for?"

    def applies(self, evidence: Evidence) -> str:
        """Return "" if there is a label that can be read, else the reason why not."""
        if evidence.target_kind == "none":
            return "There are no labels."
        if len(np.unique(evidence.train.target)) < 2:
            return "All training rows have the same label."
        if evidence.modality == "image" and evidence.target_kind == "class":
            return "Pictures are read by a network, in a check of their own."
        if len(evidence.train) < 4 * max(FOLDS, len(evidence.classes)):
            return "There are too few training rows of a label to learn it from."
        return super().applies(evidence)

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the figure alone."""
        return self._figure(evidence, _read(evidence), slice(0, len(whole(evidence))))

    @staticmethod
    def _figure(evidence: Evidence, read: np.ndarray, side: slice) -> float:
        exchange = whole(evidence)
        asked = np.concatenate([exchange.new.target, exchange.real.target])
        if evidence.target_kind == "class":
            return float(np.mean(read[side] == asked[side]))
        if np.std(read[side]) <= 0 or np.std(asked[side]) <= 0:
            return float("nan")
        return float(np.corrcoef(read[side], asked[side])[0, 1])

    @tells_reference
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the figure with its interval, that of held-out rows, p-value and sentence."""
        exchange, read = whole(evidence), _read(evidence)
        k = len(exchange)
        value = self._figure(evidence, read, slice(0, k))
        null = self._figure(evidence, read, slice(k, 2 * k))
        wrong = _wrong(evidence, read)
        names, slices = _slices(evidence)
        size = slices[:k].sum(axis=0)
        cells, by_cell = _excess(evidence)
        first = np.searchsorted(exchange.new.cells, cells)  # the matched rows are in the order of their cells
        excess = by_cell @ slices[first]
        p, z = joint_chance(excess[0], excess[1:], np.where(np.arange(len(names)) == 0, _AHEAD, 0.0))
        each = holm([tail_p_value(excess[0, s], excess[1:, s]) for s in range(len(names))])
        table = pd.DataFrame(names, columns=["kind", "name"])
        table["n"] = size.astype(int)
        errors = (wrong[:k] @ slices[:k] / size, wrong[k:] @ slices[k:] / size)
        if evidence.target_kind == "class":
            table["new"], table["real"] = 1 - errors[0], 1 - errors[1]
        else:
            table["error_new"], table["error_real"] = errors
        table["p_holm"] = each
        table = table.iloc[np.argsort(-z, kind="stable")].reset_index(drop=True)
        low, high = _interval(value, k, evidence.target_kind)
        unit = "share of new rows" if evidence.target_kind == "class" else "correlation"
        return Finding(
            self.part, self.name, self.title, value, unit, low, high, null, p, k,
            _sentence(value, null, p, table, evidence), "Far more than on real rows is no good sign either: "
            "rows that are all typical of their class teach little.", details={"slices": table},
        )  # fmt: skip


def _read(evidence: Evidence) -> np.ndarray:
    """Return what is read in the pooled rows (2 k,)."""

    def make() -> np.ndarray:
        exchange, model = whole(evidence), label_model(evidence)
        folds = None
        if evidence.holdout is None:  # the real ones are training rows: which?
            cells = evidence.made.cells, evidence.train.cells
            folds = model.own_folds(match_cells(*cells, evidence.max_rows, evidence.seed)[1])
        sides = ((exchange.new, None), (exchange.real, folds))
        if evidence.target_kind == "number":
            return np.concatenate([model.numbers(*side) for side in sides])
        return np.concatenate([model.chances(*side).argmax(axis=1) for side in sides]).astype(float)

    return within(evidence, "labels read", make)


def _wrong(evidence: Evidence, read: np.ndarray) -> np.ndarray:
    """Return how wrong each reading is: 0 or 1 for classes, the absolute error (cut at 99 %) for numbers."""
    asked = np.concatenate([whole(evidence).new.target, whole(evidence).real.target])
    if evidence.target_kind == "class":
        return (read != asked).astype(float)
    return _apart(read, asked) / (np.std(evidence.train.target) or 1.0)


def _apart(read: np.ndarray, asked: np.ndarray) -> np.ndarray:
    apart = np.abs(read - asked)
    return np.minimum(apart, np.quantile(apart, 0.99))


def _excess(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Return cells, and how much worse labels fit new rows than real ones, seen and relabelled (1 + B, C).

    A cell counts with n m / (n + m), which is right for n new and m real rows that scatter alike.
    """
    model, new = label_model(evidence), whole(evidence).new
    sides = [(new, None), (evidence.train.take(model.places), model.folds)]
    if evidence.holdout is not None:
        sides.append((evidence.capped(evidence.holdout), None))
    if evidence.target_kind == "class":
        doubts = np.concatenate([model.doubts(*side) for side in sides])
    else:
        read = np.concatenate([model.numbers(*side) for side in sides])
        doubts = _apart(read, np.concatenate([rows.target for rows, _ in sides]))
    cells = np.concatenate([rows.cells for rows, _ in sides])
    made = np.arange(len(cells)) < len(new)
    codes = np.unique(new.cells)
    rng = keyed_rng(evidence.seed, _STREAM, len(new))
    figures = [_relabelled(doubts[made & (cells == c)], doubts[~made & (cells == c)], rng) for c in codes]
    return codes, np.column_stack(figures)


def _relabelled(new: np.ndarray, real: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the weighted difference of means, as seen and for relabellings of the rows of one cell."""
    n, m = len(new), len(real)
    both = np.concatenate([new, real])
    sums = [np.array([new.sum()])]
    step = max(1, _AT_ONCE // (n + m))
    for start in range(0, _N_RELABELLINGS, step):
        order = rng.random((min(step, _N_RELABELLINGS - start), n + m), dtype=np.float32)
        sums.append(both[np.argpartition(order, n - 1, axis=1)[:, :n]].sum(axis=1))
    return np.concatenate(sums) - n * both.mean()  # is n m / (n + m) times the difference of the means


def _slices(evidence: Evidence) -> tuple[list[tuple[str, str]], np.ndarray]:
    """Return kind and name of every class, group and cell with enough rows, and flags (2 k, S)."""
    exchange = whole(evidence)
    new = exchange.new
    names, flags = [("all", "all")], [np.ones(len(new), dtype=bool)]
    for kind, codes, known in (
        ("class", new.labels, evidence.classes),
        ("group", new.groups, evidence.groups),
        ("class and group", new.cells, evidence.cells if evidence.groups else ()),
    ):
        for code, name in enumerate(known):
            own = codes == code
            if _FEWEST <= own.sum() < len(new):
                names.append((kind, str(name)))
                flags.append(own)
    return names, np.tile(np.column_stack(flags), (2, 1)).astype(np.float32)


def _interval(value: float, n: int, kind: str) -> tuple[float, float]:
    """Return a 95 % interval: Wilson's for a share, Fisher's for a correlation."""
    if kind == "class":
        return wilson(value, n)
    if not np.isfinite(value) or n < 4:
        return float("nan"), float("nan")
    turned, error = np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12)), 1.959964 / np.sqrt(n - 3)
    return float(np.tanh(turned - error)), float(np.tanh(turned + error))


def _sentence(value: float, null: float, p: float, table: pd.DataFrame, evidence: Evidence) -> str:
    against = "held-out rows" if evidence.holdout is not None else "training rows that it has not seen"
    if evidence.target_kind == "class":
        told = f"A classifier of real rows finds the requested label in {value:.1%} of new rows"
        told += f" ({null:.1%} of {against})"
    elif not np.isfinite(value):
        told = (
            "What a model of real rows reads in new rows cannot go with the requested number, for one of the "
        )
        told += f"two is the same in all of them (r = {null:.2f} in {against})"
    else:
        told = "What a model of real rows reads in new rows goes with the requested number by "
        told += f"r = {value:.2f} ({null:.2f} in {against})"
    off = table[(table["p_holm"] <= 0.05) & (table["kind"] != "all")]
    claim = ""
    if len(off):
        worst = off.iloc[0]
        claim = f"; least so in {worst['kind']} {worst['name']}"
        if evidence.target_kind == "class":
            claim += f": {worst['new']:.1%} against {worst['real']:.1%}"
    said = worded(told, claim, p, claimed=CLAIMED)
    if evidence.target_kind == "class" and p <= 0.05:
        said += " What decides is how likely each label is to it, in new rows and in all real ones."
    return said
