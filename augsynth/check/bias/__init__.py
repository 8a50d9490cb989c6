"""Whom do the data and a model serve, and whom not? Groups, gaps with intervals, slices, remedies."""

from augsynth.check.bias.gaps import GapInterval, gap_interval, mean_gap_interval

__all__ = ["GapInterval", "gap_interval", "mean_gap_interval"]
