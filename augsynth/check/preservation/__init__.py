"""Does a perturbation keep the label? Readers of the label before and after, sheets to look at."""

from augsynth.check.preservation.evaluation import label_preservation
from augsynth.check.preservation.result import LabelPreservation

__all__ = ["LabelPreservation", "label_preservation"]
