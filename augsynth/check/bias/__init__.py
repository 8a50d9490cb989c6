"""Whom do the data and a model serve, and whom not? Groups, gaps with intervals, slices, remedies."""

from augsynth.check.bias.calibration import calibration_table
from augsynth.check.bias.gaps import GapInterval, gap_interval, mean_gap_interval
from augsynth.check.bias.group_report import GroupReport
from augsynth.check.bias.groups import group_metrics

__all__ = [
    "GapInterval",
    "GroupReport",
    "calibration_table",
    "gap_interval",
    "group_metrics",
    "mean_gap_interval",
]
