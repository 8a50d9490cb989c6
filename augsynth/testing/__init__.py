"""Contract checks for your own generators, resamplers, imputers, perturbations and Datasets.

Each ``check_*`` function runs every check and raises AssertionError at the first that
fails; each ``*_checks`` function returns them by name, for ``pytest.mark.parametrize``.
"""

from augsynth.testing.datasets import check_deterministic
from augsynth.testing.generators import (
    check_generator,
    check_resampler,
    generator_checks,
    resampler_checks,
    toy_table,
)
from augsynth.testing.holes import toy_holes
from augsynth.testing.imputers import check_imputer, imputer_checks
from augsynth.testing.perturbations import check_perturbation, perturbation_checks

__all__ = [
    "check_deterministic",
    "check_generator",
    "check_imputer",
    "check_perturbation",
    "check_resampler",
    "generator_checks",
    "imputer_checks",
    "perturbation_checks",
    "resampler_checks",
    "toy_holes",
    "toy_table",
]
