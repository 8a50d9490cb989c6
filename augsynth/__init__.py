"""augsynth: more labelled rows where they matter, and the truth about whether they helped.

Names are loaded when they are first used, so ``import augsynth`` is quick and loads
neither torch nor albumentations.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "ampute": "augsynth.impute.amputation",
    "AutoregressiveGenerator": "augsynth.generate.autoregressive",
    "balanced_weights": "augsynth.resample.weights",
    "BaseGenerator": "augsynth.generate.base",
    "BaseImputer": "augsynth.impute.base",
    "BayesClassifier": "augsynth.bayes",
    "BootstrapGenerator": "augsynth.generate.bootstrap",
    "BootstrapResampler": "augsynth.resample.bootstrap",
    "ChainedImputer": "augsynth.impute.chained",
    "compare": "augsynth.check",
    "Comparison": "augsynth.check",
    "Compose": "augsynth.perturb.combine",
    "ConvBackbone": "augsynth.nn.convnets",
    "DiffusionGenerator": "augsynth.generate.diffusion",
    "DonorImputer": "augsynth.impute.donors",
    "FlowGenerator": "augsynth.generate.flow",
    "FunctionGenerator": "augsynth.generate.function",
    "GANGenerator": "augsynth.generate.gan",
    "GaussianMixtureGenerator": "augsynth.generate.gmm",
    "GenerativeImputer": "augsynth.impute.generative",
    "IndependentGenerator": "augsynth.generate.independent",
    "KDEGenerator": "augsynth.generate.kde",
    "label_preservation": "augsynth.check",
    "load": "augsynth.core.persistence",
    "make_pipeline": "imblearn.pipeline",
    "Maybe": "augsynth.perturb.combine",
    "MixedDataset": "augsynth.datasets",
    "MLPBackbone": "augsynth.nn.backbones",
    "MultipleImputed": "augsynth.impute.multiple",
    "OneOf": "augsynth.perturb.combine",
    "OverSampler": "augsynth.resample.over",
    "PerturbedDataset": "augsynth.datasets",
    "PerturbGenerator": "augsynth.generate.perturbed",
    "Pipeline": "imblearn.pipeline",
    "pool": "augsynth.impute.pooling",
    "Recipe": "augsynth.recipe",
    "RegressionGenerator": "augsynth.generate.regression",
    "report": "augsynth.check.report",
    "Resampled": "augsynth.compose",
    "ResampledDataset": "augsynth.datasets",
    "save": "augsynth.core.persistence",
    "Schema": "augsynth.encode.schema",
    "SmoteGenerator": "augsynth.generate.smote",
    "SomeOf": "augsynth.perturb.combine",
    "SyntheticDataset": "augsynth.datasets",
    "target_counts": "augsynth.resample.strategy",
    "Trainer": "augsynth.nn.trainer",
    "TrainOnly": "augsynth.compose",
    "TreeGenerator": "augsynth.generate.trees",
    "UnderSampler": "augsynth.resample.under",
    "UNetBackbone": "augsynth.nn.unet",
    "VAEGenerator": "augsynth.generate.vae",
}

__all__ = [*_NAMES, "__version__"]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'augsynth' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_NAMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
