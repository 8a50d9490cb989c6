"""Floor 2: edits of one sample that keep its label."""

from augsynth.perturb.base import ParametricPerturbation, Perturbation
from augsynth.perturb.combine import Compose, Maybe, OneOf, SomeOf
from augsynth.perturb.table import CategoryFlip, Missingness, ScaledJitter, ValueSwap

__all__ = [
    "CategoryFlip",
    "Compose",
    "Maybe",
    "Missingness",
    "OneOf",
    "ParametricPerturbation",
    "Perturbation",
    "ScaledJitter",
    "SomeOf",
    "ValueSwap",
]
