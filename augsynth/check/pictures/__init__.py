"""Checks of pictures: distances between features, reading by classifiers, pixels and spectra."""

from augsynth.check.pictures.cas import ClassificationAccuracyCheck, classification_accuracy
from augsynth.check.pictures.distances import FrechetCheck, KernelCheck
from augsynth.check.pictures.features import classifier_features
from augsynth.check.pictures.frechet import frechet_distance, frechet_infinity
from augsynth.check.pictures.inception import inception_features
from augsynth.check.pictures.kernel import kernel_distance
from augsynth.check.pictures.pixels import PixelsCheck
from augsynth.check.pictures.reading import PictureControlCheck

__all__ = [
    "CHECKS",
    "ClassificationAccuracyCheck",
    "FrechetCheck",
    "KernelCheck",
    "PictureControlCheck",
    "PixelsCheck",
    "classification_accuracy",
    "classifier_features",
    "frechet_distance",
    "frechet_infinity",
    "inception_features",
    "kernel_distance",
]

CHECKS = (FrechetCheck, KernelCheck, PixelsCheck, ClassificationAccuracyCheck, PictureControlCheck)
