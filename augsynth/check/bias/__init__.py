"""Whom do the data and a model serve, and whom not? Groups, gaps with intervals, slices, remedies."""

from augsynth.check.bias.calibration import calibration_table
from augsynth.check.bias.data import DataBias, data_bias
from augsynth.check.bias.data_tables import rows_needed
from augsynth.check.bias.gaps import GapInterval, gap_interval, mean_gap_interval
from augsynth.check.bias.group_report import GroupReport
from augsynth.check.bias.groups import group_metrics
from augsynth.check.bias.paired import PairedGroups, before_after, paired_interval
from augsynth.check.bias.slices import SliceReport, find_slices

__all__ = [
    "DataBias",
    "GapInterval",
    "GroupReport",
    "PairedGroups",
    "SliceReport",
    "before_after",
    "calibration_table",
    "data_bias",
    "find_slices",
    "gap_interval",
    "group_metrics",
    "mean_gap_interval",
    "paired_interval",
    "rows_needed",
]
