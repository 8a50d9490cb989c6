"""What new rows are worth to a model: trials on held-out rows, and how many to add."""

from augsynth.check.downstream.curve import RatioCurve, ratio_curve
from augsynth.check.downstream.trial import Trial, hold_out_trial

__all__ = ["RatioCurve", "Trial", "hold_out_trial", "ratio_curve"]
