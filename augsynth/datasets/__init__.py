"""Floor 6: torch Datasets around yours, whose items are functions of (seed, epoch, index)."""

from augsynth.datasets.base import WrappedDataset
from augsynth.datasets.perturbed import PerturbedDataset

__all__ = ["PerturbedDataset", "WrappedDataset"]
