"""What the checks of diversity share: they compare the new rows with held-out rows of the same cells."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

from augsynth.check.evidence import Evidence
from augsynth.check.finding import Check
from augsynth.check.reference import NO_HOLDOUT

__all__ = ["MatchedCheck", "caution_of"]


class MatchedCheck(Check, ABC):
    """A check on equally many new and real rows of every class and group."""

    part = "diversity"
    least: ClassVar[int] = 40

    def applies(self, evidence: Evidence) -> str:
        """Return "" if enough rows can be compared."""
        n = len(evidence.matched[0])
        if n >= self.least:
            return ""
        return f"Only {n} new rows have real ones of their class and group; {self.least} such are needed."


def caution_of(evidence: Evidence) -> str:
    """Return what to say where no rows are held out."""
    return "" if evidence.holdout is not None else NO_HOLDOUT
