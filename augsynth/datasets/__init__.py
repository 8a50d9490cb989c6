"""Floor 6: torch Datasets around yours, whose items are functions of (seed, epoch, index)."""

from augsynth.datasets.base import WrappedDataset
from augsynth.datasets.enlarged import EnlargedDataset
from augsynth.datasets.manifest import Manifest
from augsynth.datasets.materialize import materialize
from augsynth.datasets.materialized import MaterializedDataset
from augsynth.datasets.mix_collate import MixCollate
from augsynth.datasets.mixed import MixedDataset
from augsynth.datasets.perturbed import PerturbedDataset
from augsynth.datasets.resampled import ResampledDataset
from augsynth.datasets.synthetic import SyntheticDataset

__all__ = [
    "EnlargedDataset",
    "Manifest",
    "MaterializedDataset",
    "MixCollate",
    "MixedDataset",
    "PerturbedDataset",
    "ResampledDataset",
    "SyntheticDataset",
    "WrappedDataset",
    "materialize",
]
