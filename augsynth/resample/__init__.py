"""How many rows of which, and resamplers that see to it."""

from augsynth.resample.bootstrap import BootstrapResampler
from augsynth.resample.over import OverSampler
from augsynth.resample.strategy import target_counts
from augsynth.resample.under import UnderSampler

__all__ = ["BootstrapResampler", "OverSampler", "UnderSampler", "target_counts"]
