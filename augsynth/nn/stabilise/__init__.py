"""Small parts that keep two adversaries in balance, each from its paper."""

from augsynth.nn.stabilise.base import Round, Stabiliser, strength_at
from augsynth.nn.stabilise.batches import BalancedConditions, ExperienceReplay, Packing
from augsynth.nn.stabilise.inputs import DifferentiableAugmentation, InstanceNoise, LabelSmoothing
from augsynth.nn.stabilise.lookahead import Unrolling
from augsynth.nn.stabilise.matching import FeatureMatching, SimilarityPenalty
from augsynth.nn.stabilise.slopes import GradientPenalty, SpectralNorm

__all__ = [
    "BalancedConditions",
    "DifferentiableAugmentation",
    "ExperienceReplay",
    "FeatureMatching",
    "GradientPenalty",
    "InstanceNoise",
    "LabelSmoothing",
    "Packing",
    "Round",
    "SimilarityPenalty",
    "SpectralNorm",
    "Stabiliser",
    "Unrolling",
    "strength_at",
]
