"""Checks of what an augmentation or an imputer is worth, and of what it does to labels."""

from augsynth.check.bias import (
    GroupReport,
    PairedGroups,
    before_after,
    data_bias,
    find_slices,
    gap_interval,
    group_metrics,
    mean_gap_interval,
)
from augsynth.check.diversity import support_size
from augsynth.check.downstream import RatioCurve, Trial, hold_out_trial, ratio_curve
from augsynth.check.fidelity import (
    classifier_auc,
    energy_distance,
    held_out_log_prob,
    manifolds,
    maximum_mean_discrepancy,
    nearest_mse,
    sliced_wasserstein,
)
from augsynth.check.imputers import (
    ImputationReport,
    LittleTest,
    filled_plot,
    imputation,
    little_mcar,
    pattern_plot,
    trace_plot,
)
from augsynth.check.intervals import corrected_interval, holm
from augsynth.check.pictures import classification_accuracy, frechet_distance, kernel_distance
from augsynth.check.preservation import LabelPreservation, label_preservation
from augsynth.check.privacy import closer_share, shadow_attack, singling_out_risk
from augsynth.check.utility import Comparison, Comparisons, FitPredict, compare

__all__ = [
    "Comparison",
    "Comparisons",
    "FitPredict",
    "GroupReport",
    "ImputationReport",
    "LabelPreservation",
    "LittleTest",
    "PairedGroups",
    "RatioCurve",
    "Trial",
    "before_after",
    "classification_accuracy",
    "classifier_auc",
    "closer_share",
    "compare",
    "corrected_interval",
    "data_bias",
    "energy_distance",
    "filled_plot",
    "find_slices",
    "frechet_distance",
    "gap_interval",
    "group_metrics",
    "held_out_log_prob",
    "hold_out_trial",
    "holm",
    "imputation",
    "kernel_distance",
    "label_preservation",
    "little_mcar",
    "manifolds",
    "maximum_mean_discrepancy",
    "mean_gap_interval",
    "nearest_mse",
    "pattern_plot",
    "ratio_curve",
    "shadow_attack",
    "singling_out_risk",
    "sliced_wasserstein",
    "support_size",
    "trace_plot",
]


def __dir__() -> list[str]:
    return sorted(__all__)
