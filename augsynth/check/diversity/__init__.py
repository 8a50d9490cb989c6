"""How many different rows are there? Support size, modes, classes and groups covered."""

from augsynth.check.finding import Check

__all__ = ["CHECKS"]

CHECKS: tuple[type[Check], ...] = ()
