"""Floor 2: edits of one sample that keep its label."""

from augsynth.perturb.base import Compose, Maybe, OneOf, Perturbation, SomeOf
from augsynth.perturb.table import CategoryFlip, Missingness, ScaledJitter, ValueSwap

__all__ = [
    "CategoryFlip",
    "Compose",
    "Maybe",
    "Missingness",
    "OneOf",
    "Perturbation",
    "ScaledJitter",
    "SomeOf",
    "ValueSwap",
]
