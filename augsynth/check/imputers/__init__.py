"""Are filled-in cells any good? Errors on hidden cells, coverage, Little's test, pictures of holes."""

from augsynth.check.imputers.evaluation import imputation
from augsynth.check.imputers.little import LittleTest, little_mcar
from augsynth.check.imputers.missing_plot import filled_plot, pattern_plot, trace_plot
from augsynth.check.imputers.report import ImputationReport

__all__ = [
    "ImputationReport",
    "LittleTest",
    "filled_plot",
    "imputation",
    "little_mcar",
    "pattern_plot",
    "trace_plot",
]
