"""Do new rows look like real ones? Columns, pairs, classifiers, distances, densities, pictures."""

from augsynth.check.fidelity.c2st import C2ST
from augsynth.check.fidelity.control import ControlAccuracy
from augsynth.check.fidelity.detector import classifier_auc, js_lower_bound
from augsynth.check.fidelity.kernels import MMD, Energy, energy_distance, maximum_mean_discrepancy
from augsynth.check.fidelity.likelihood import HeldOutLikelihood, LogLikelihood, held_out_log_prob
from augsynth.check.fidelity.manifolds import Coverage, Density, Manifolds, Precision, Recall, manifolds
from augsynth.check.fidelity.marginals import Marginals, column_distances
from augsynth.check.fidelity.nearest import NearestMSE, nearest_mse
from augsynth.check.fidelity.novelty import NewCategories
from augsynth.check.fidelity.pairs import Pairs, associations
from augsynth.check.fidelity.projections import SlicedWasserstein, sliced_wasserstein
from augsynth.check.fidelity.tails import Tails, tail_shares
from augsynth.check.fidelity.trend import Trend
from augsynth.check.finding import Check

__all__ = [
    "CHECKS",
    "HeldOutLikelihood",
    "LogLikelihood",
    "Manifolds",
    "associations",
    "classifier_auc",
    "column_distances",
    "energy_distance",
    "held_out_log_prob",
    "js_lower_bound",
    "manifolds",
    "maximum_mean_discrepancy",
    "nearest_mse",
    "sliced_wasserstein",
    "tail_shares",
]

CHECKS: tuple[type[Check], ...] = (
    C2ST,
    Marginals,
    Tails,
    NewCategories,
    Pairs,
    Trend,
    Energy,
    MMD,
    SlicedWasserstein,
    Precision,
    Recall,
    Density,
    Coverage,
    ControlAccuracy,
    NearestMSE,
)
