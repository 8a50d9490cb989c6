"""One figure of a check: with its interval, its value under "same distribution", its controls, a sentence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from augsynth.check.intervals import holm
from augsynth.check.records import plain

if TYPE_CHECKING:
    from augsynth.check.evidence import Evidence

__all__ = ["CONTROLS", "FAILED", "NOT_JUDGED", "PARTS", "PASSED", "Check", "Finding", "frame_of", "judge"]

PASSED, FAILED, NOT_JUDGED = "passed", "failed", "not judged"
PARTS = ("downstream", "bias", "fidelity", "diversity", "memorisation")
HOLDOUT, COPY, INDEPENDENT, SMOTE = CONTROLS = ("real hold-out", "copy", "independent columns", "SMOTE")


@dataclass(frozen=True, eq=False)
class Finding:
    """What one check found.

    Attributes
    ----------
    part, name, title : str
        One of `PARTS`; a short name such as "c2st"; a heading in plain words.
    value : float
        The figure; NaN where it is undefined.
    unit : str
        What the figure counts, such as "AUC" or "share of new rows".
    low, high : float
        A 95 % interval of the figure; NaN where there is none.
    null : float
        What the figure is expected to be, at these sample sizes, if the new rows came
        from the distribution of the real ones.
    p_value : float
        Chance of a figure at least as bad under "same distribution"; NaN if it is only
        shown, not judged.
    n : int
        New rows that the figure rests on.
    sentence : str
        What it means, for a reader who does not know the measure.
    caution : str
        What it does not show, or why it is not judged.
    controls : dict
        The same figure of each control; NaN where a control could not be made.
    details : dict
        Tables, arrays and pictures for whoever looks closer, by name.
    p_adjusted : float
        The p-value with Holm's allowance for all judged checks of the report.
    status : str
        "passed", "failed" or "not judged".
    """

    part: str
    name: str
    title: str
    value: float
    unit: str = ""
    low: float = float("nan")
    high: float = float("nan")
    null: float = float("nan")
    p_value: float = float("nan")
    n: int = 0
    sentence: str = ""
    caution: str = ""
    controls: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    p_adjusted: float = float("nan")
    status: str = NOT_JUDGED

    @property
    def excess(self) -> float:
        """How far the figure lies on the way from its null value (0) to that of independent columns (1)."""
        far = self.controls.get(INDEPENDENT, float("nan")) - self.null
        return (self.value - self.null) / far if far else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, tables among the details as records; arrays are left out."""
        from augsynth.check.records import records

        names = ("part", "name", "title", "value", "unit", "low", "high", "null", "p_value", "p_adjusted")
        told = {name: plain(getattr(self, name)) for name in (*names, "n", "status", "sentence", "caution")}
        details = {
            name: records(each) if isinstance(each, pd.DataFrame) else plain(each)
            for name, each in self.details.items()
            if isinstance(each, (pd.DataFrame, Mapping, str, int, float, np.generic))
        }
        return {**told, "controls": plain(self.controls), "details": details}


class Check(ABC):
    """One measure of new rows. Subclasses write `value` and `run`; all randomness comes from ``rng``.

    ``value`` is asked for each control, with the control's rows in the place of the
    new ones, so it should be cheap; `run` gives the whole finding but for its controls.
    """

    part: ClassVar[str]
    name: ClassVar[str]
    title: ClassVar[str]
    controlled: ClassVar[Sequence[str]] = CONTROLS

    def applies(self, evidence: Evidence) -> str:
        """Return "" if the check can be made, else the reason why not."""
        return ""

    @abstractmethod
    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the figure alone."""

    @abstractmethod
    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the figure with its interval, null value, p-value and sentence."""


def judge(findings: Sequence[Finding], alpha: float = 0.05) -> list[Finding]:
    """Give each finding its status: together, the checks of a perfect generator fail with chance `alpha`.

    Holm's allowance runs over all findings with a p-value, so one false alarm of any
    of them has at most chance `alpha`.

    Examples
    --------
    >>> chances = {"c2st": 1e-6, "mmd": 0.04, "tails": 0.3}
    >>> found = [Finding("fidelity", name, "", 0.0, p_value=p) for name, p in chances.items()]
    >>> [each.status for each in judge(found)]
    ['failed', 'passed', 'passed']
    """
    places = [place for place, each in enumerate(findings) if np.isfinite(each.p_value)]
    adjusted = holm([findings[place].p_value for place in places]) if places else np.empty(0)
    judged = list(findings)
    for place, p in zip(places, adjusted, strict=True):
        status = FAILED if p <= alpha else PASSED
        judged[place] = replace(judged[place], p_adjusted=float(p), status=status)
    return judged


def frame_of(findings: Sequence[Finding]) -> pd.DataFrame:
    """Return a row a finding: part, name, figures, status, a column a control, and the sentence."""
    columns = ["part", "name", "value", "unit", "low", "high", "null", "p_value", "p_adjusted", "status", "n"]
    rows = []
    for each in findings:
        row = {name: getattr(each, name) for name in columns}
        row |= {control: each.controls.get(control, float("nan")) for control in CONTROLS}
        rows.append(row | {"sentence": each.sentence, "caution": each.caution})
    return pd.DataFrame(rows, columns=[*columns, *CONTROLS, "sentence", "caution"])
