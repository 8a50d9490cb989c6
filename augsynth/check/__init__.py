"""Checks of what an augmentation or an imputer is worth, and of what it does to labels."""

from augsynth.check.comparison import Comparison
from augsynth.check.imputation import imputation
from augsynth.check.imputation_report import ImputationReport
from augsynth.check.intervals import corrected_interval, holm
from augsynth.check.label_preservation import label_preservation
from augsynth.check.little import LittleTest, little_mcar
from augsynth.check.missing_plot import filled_plot, pattern_plot, trace_plot
from augsynth.check.preservation import LabelPreservation
from augsynth.check.utility import compare

__all__ = [
    "Comparison",
    "ImputationReport",
    "LabelPreservation",
    "LittleTest",
    "compare",
    "corrected_interval",
    "filled_plot",
    "holm",
    "imputation",
    "label_preservation",
    "little_mcar",
    "pattern_plot",
    "trace_plot",
]
