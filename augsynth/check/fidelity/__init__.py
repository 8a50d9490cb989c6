"""Do new rows look like real ones? Columns, pairs, classifiers, distances, densities, pictures."""

from augsynth.check.finding import Check

__all__ = ["CHECKS"]

CHECKS: tuple[type[Check], ...] = ()
