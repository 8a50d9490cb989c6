"""Are new rows copies of real ones? Neighbours, copies, membership inference, singling out."""

from augsynth.check.finding import Check

__all__ = ["CHECKS"]

CHECKS: tuple[type[Check], ...] = ()
