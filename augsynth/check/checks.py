"""The checks of a report, by part, in the order in which they are read."""

from __future__ import annotations

from augsynth.check.diversity import CHECKS as DIVERSITY
from augsynth.check.fidelity import CHECKS as FIDELITY
from augsynth.check.finding import Check
from augsynth.check.pictures import CHECKS as PICTURES
from augsynth.check.privacy import CHECKS as PRIVACY

__all__ = ["default_checks"]


def default_checks() -> list[Check]:
    """Return a new object of every check: fidelity, diversity, memorisation."""
    kinds: tuple[type[Check], ...] = (*FIDELITY, *PICTURES, *DIVERSITY, *PRIVACY)
    return [kind() for kind in kinds]
