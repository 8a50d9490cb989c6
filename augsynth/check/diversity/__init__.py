"""How many different rows are there? Support size, modes, classes and groups covered."""

from augsynth.check.diversity.modes import ModesCheck
from augsynth.check.diversity.support import SupportSize, SupportSizeCheck, support_size
from augsynth.check.diversity.variety import VarietyCheck, effective_number
from augsynth.check.finding import Check

__all__ = ["CHECKS", "SupportSize", "effective_number", "support_size"]

CHECKS: tuple[type[Check], ...] = (SupportSizeCheck, ModesCheck, VarietyCheck)
