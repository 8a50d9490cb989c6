"""Checks of pictures: distances between features, reading by classifiers, pixels and spectra."""

from augsynth.check.pictures.distances import FrechetCheck, KernelCheck
from augsynth.check.pictures.features import classifier_features
from augsynth.check.pictures.frechet import frechet_distance, frechet_infinity
from augsynth.check.pictures.inception import inception_features
from augsynth.check.pictures.kernel import kernel_distance

__all__ = [
    "CHECKS",
    "FrechetCheck",
    "KernelCheck",
    "classifier_features",
    "frechet_distance",
    "frechet_infinity",
    "inception_features",
    "kernel_distance",
]

CHECKS = (FrechetCheck, KernelCheck)
