"""Checks of what an augmentation is worth."""

from augsynth.check.comparison import Comparison
from augsynth.check.intervals import corrected_interval, holm
from augsynth.check.utility import compare

__all__ = ["Comparison", "compare", "corrected_interval", "holm"]
