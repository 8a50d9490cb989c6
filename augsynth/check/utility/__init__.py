"""Does an augmentation help? `compare`: a paired, repeated cross-validation with an honest verdict."""

from augsynth.check.utility.answers import FitPredict
from augsynth.check.utility.compare import compare
from augsynth.check.utility.comparison import Comparison
from augsynth.check.utility.comparisons import Comparisons

__all__ = ["Comparison", "Comparisons", "FitPredict", "compare"]
