"""Do new rows look like real ones? Columns, pairs, classifiers, distances, densities, pictures."""

from augsynth.check.fidelity.c2st import C2ST
from augsynth.check.fidelity.detector import classifier_auc, js_lower_bound
from augsynth.check.fidelity.kernels import MMD, Energy, energy_distance, maximum_mean_discrepancy
from augsynth.check.fidelity.marginals import Marginals, column_distances
from augsynth.check.fidelity.pairs import Pairs, associations
from augsynth.check.fidelity.trend import Trend
from augsynth.check.finding import Check

__all__ = [
    "CHECKS",
    "associations",
    "classifier_auc",
    "column_distances",
    "energy_distance",
    "js_lower_bound",
    "maximum_mean_discrepancy",
]

CHECKS: tuple[type[Check], ...] = (C2ST, Marginals, Pairs, Trend, Energy, MMD)
