"""Floor 2: edits of one sample that keep its label: pictures, clips, texts, rows of tables.

Names are loaded when they are first used, as in ``augsynth`` itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    "albumentations": ["AlbumentationsPerturbation"],
    "audio": ["Clipping", "Gain", "NoiseAtSNR", "Polarity", "TimeShift"],
    "audio_filters": ["BandPass", "Equalizer"],
    "audio_policies": ["audio_medium", "audio_strong", "audio_weak"],
    "audiomentations": ["AudiomentationsPerturbation"],
    "background": ["BackgroundMix"],
    "base": ["ParametricPerturbation", "Perturbation"],
    "combine": ["Compose", "Maybe", "OneOf", "SomeOf"],
    "foreign": ["as_perturbation"],
    "function": ["FunctionPerturbation"],
    "geometry": ["FlipLeftRight", "FlipUpDown", "ResizedCrop", "Shift"],
    "image": ["Brightness", "BrightnessContrast", "Colour", "Contrast"],
    "image_policies": [
        "image_medium",
        "image_randaugment",
        "image_strong",
        "image_trivialaugment",
        "image_weak",
    ],
    "image_quality": ["Blur", "Erasing", "GaussianNoise", "JpegCompression"],
    "mix": ["mix_batch"],
    "spectrogram": ["FrequencyMask", "SpectrogramMask", "TimeMask"],
    "stretch": ["PitchShift", "TimeStretch"],
    "table": ["CategoryFlip", "Missingness", "ScaledJitter", "ValueSwap"],
    "text": ["RandomDelete", "RandomInsert", "RandomSwap", "SynonymSwap"],
    "letters": ["CaseChange", "Typos"],
    "text_policies": ["text_medium", "text_strong", "text_weak"],
    "thesaurus": ["Thesaurus"],
    "torchvision": ["TorchvisionPerturbation"],
    "translation": ["BackTranslation"],
    "warps": ["Affine", "Rotate"],
    "word_neighbours": ["LearnedNeighbours"],
    "wordnet": ["WordNet"],
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'augsynth.perturb' has no attribute {name!r}")
    value = getattr(import_module(f"augsynth.perturb.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
