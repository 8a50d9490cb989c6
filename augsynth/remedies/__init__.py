"""What else helps thin groups, to compare augmentation with: weights, features, thresholds, a penalty."""

from augsynth.remedies.base import Fitted, Remedy
from augsynth.remedies.correlation import CorrelationFree
from augsynth.remedies.independence import IndependentClassifier, IndependentNetwork
from augsynth.remedies.named import REMEDIES, remedy
from augsynth.remedies.thresholds import GroupThresholds
from augsynth.remedies.weights import CellWeights

__all__ = [
    "REMEDIES",
    "CellWeights",
    "CorrelationFree",
    "Fitted",
    "GroupThresholds",
    "IndependentClassifier",
    "IndependentNetwork",
    "Remedy",
    "remedy",
]
