"""Role -> kind -> class: the only place where components have string names.

Recipes, the command line and saved models name a component by its role and kind;
nothing else can be named, so a hostile file cannot import code. A class of your own
joins by :func:`register`.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from augsynth.core.errors import ParameterError, offenders, sentence

__all__ = ["build", "kind_of", "names", "register", "resolve", "roles", "target"]

_COMPONENTS: dict[str, dict[str, str]] = {
    "generator": {
        "autoregressive": "augsynth.generate.autoregressive:AutoregressiveGenerator",
        "bootstrap": "augsynth.generate.bootstrap:BootstrapGenerator",
        "diffusion": "augsynth.generate.diffusion:DiffusionGenerator",
        "flow": "augsynth.generate.flow:FlowGenerator",
        "function": "augsynth.generate.function:FunctionGenerator",
        "gan": "augsynth.generate.gan:GANGenerator",
        "gmm": "augsynth.generate.gmm:GaussianMixtureGenerator",
        "independent": "augsynth.generate.independent:IndependentGenerator",
        "kde": "augsynth.generate.kde:KDEGenerator",
        "perturbed": "augsynth.generate.perturbed:PerturbGenerator",
        "regression": "augsynth.generate.regression:RegressionGenerator",
        "smote": "augsynth.generate.smote:SmoteGenerator",
        "trees": "augsynth.generate.trees:TreeGenerator",
        "vae": "augsynth.generate.vae:VAEGenerator",
    },
    "imputer": {
        "chained": "augsynth.impute.chained:ChainedImputer",
        "donors": "augsynth.impute.donors:DonorImputer",
        "generative": "augsynth.impute.generative:GenerativeImputer",
    },
    "resampler": {
        "bootstrap": "augsynth.resample.bootstrap:BootstrapResampler",
        "over": "augsynth.resample.over:OverSampler",
        "under": "augsynth.resample.under:UnderSampler",
    },
    "perturbation": {
        "affine": "augsynth.perturb.warps:Affine",
        "albumentations": "augsynth.perturb.albumentations:AlbumentationsPerturbation",
        "audio_medium": "augsynth.perturb.audio_policies:audio_medium",
        "audio_strong": "augsynth.perturb.audio_policies:audio_strong",
        "audio_weak": "augsynth.perturb.audio_policies:audio_weak",
        "audiomentations": "augsynth.perturb.audiomentations:AudiomentationsPerturbation",
        "back_translation": "augsynth.perturb.translation:BackTranslation",
        "background_mix": "augsynth.perturb.background:BackgroundMix",
        "band_pass": "augsynth.perturb.audio_filters:BandPass",
        "blur": "augsynth.perturb.image_quality:Blur",
        "brightness": "augsynth.perturb.image:Brightness",
        "brightness_contrast": "augsynth.perturb.image:BrightnessContrast",
        "case_change": "augsynth.perturb.letters:CaseChange",
        "category_flip": "augsynth.perturb.table:CategoryFlip",
        "clipping": "augsynth.perturb.audio:Clipping",
        "colour": "augsynth.perturb.image:Colour",
        "compose": "augsynth.perturb.combine:Compose",
        "contrast": "augsynth.perturb.image:Contrast",
        "equalizer": "augsynth.perturb.audio_filters:Equalizer",
        "erasing": "augsynth.perturb.image_quality:Erasing",
        "flip_left_right": "augsynth.perturb.geometry:FlipLeftRight",
        "flip_up_down": "augsynth.perturb.geometry:FlipUpDown",
        "frequency_mask": "augsynth.perturb.spectrogram:FrequencyMask",
        "gain": "augsynth.perturb.audio:Gain",
        "gaussian_noise": "augsynth.perturb.image_quality:GaussianNoise",
        "image_medium": "augsynth.perturb.image_policies:image_medium",
        "image_randaugment": "augsynth.perturb.image_policies:image_randaugment",
        "image_strong": "augsynth.perturb.image_policies:image_strong",
        "image_trivialaugment": "augsynth.perturb.image_policies:image_trivialaugment",
        "image_weak": "augsynth.perturb.image_policies:image_weak",
        "jitter": "augsynth.perturb.table:ScaledJitter",
        "jpeg": "augsynth.perturb.image_quality:JpegCompression",
        "maybe": "augsynth.perturb.combine:Maybe",
        "missingness": "augsynth.perturb.table:Missingness",
        "noise_at_snr": "augsynth.perturb.audio:NoiseAtSNR",
        "one_of": "augsynth.perturb.combine:OneOf",
        "pitch_shift": "augsynth.perturb.stretch:PitchShift",
        "polarity": "augsynth.perturb.audio:Polarity",
        "random_delete": "augsynth.perturb.text:RandomDelete",
        "random_insert": "augsynth.perturb.text:RandomInsert",
        "random_swap": "augsynth.perturb.text:RandomSwap",
        "resized_crop": "augsynth.perturb.geometry:ResizedCrop",
        "rotate": "augsynth.perturb.warps:Rotate",
        "shift": "augsynth.perturb.geometry:Shift",
        "some_of": "augsynth.perturb.combine:SomeOf",
        "spectrogram_mask": "augsynth.perturb.spectrogram:SpectrogramMask",
        "synonym_swap": "augsynth.perturb.text:SynonymSwap",
        "text_medium": "augsynth.perturb.text_policies:text_medium",
        "text_strong": "augsynth.perturb.text_policies:text_strong",
        "text_weak": "augsynth.perturb.text_policies:text_weak",
        "time_mask": "augsynth.perturb.spectrogram:TimeMask",
        "time_shift": "augsynth.perturb.audio:TimeShift",
        "time_stretch": "augsynth.perturb.stretch:TimeStretch",
        "torchvision": "augsynth.perturb.torchvision:TorchvisionPerturbation",
        "typos": "augsynth.perturb.letters:Typos",
        "value_swap": "augsynth.perturb.table:ValueSwap",
    },
    "stabiliser": {
        "balanced-conditions": "augsynth.nn.stabilise.batches:BalancedConditions",
        "differentiable-augmentation": "augsynth.nn.stabilise.inputs:DifferentiableAugmentation",
        "experience-replay": "augsynth.nn.stabilise.batches:ExperienceReplay",
        "feature-matching": "augsynth.nn.stabilise.matching:FeatureMatching",
        "gradient-penalty": "augsynth.nn.stabilise.slopes:GradientPenalty",
        "instance-noise": "augsynth.nn.stabilise.inputs:InstanceNoise",
        "label-smoothing": "augsynth.nn.stabilise.inputs:LabelSmoothing",
        "packing": "augsynth.nn.stabilise.batches:Packing",
        "similarity-penalty": "augsynth.nn.stabilise.matching:SimilarityPenalty",
        "spectral-norm": "augsynth.nn.stabilise.slopes:SpectralNorm",
        "unrolling": "augsynth.nn.stabilise.lookahead:Unrolling",
    },
    "thesaurus": {
        "file": "augsynth.perturb.thesaurus:Thesaurus",
        "learned": "augsynth.perturb.word_neighbours:LearnedNeighbours",
        "wordnet": "augsynth.perturb.wordnet:WordNet",
    },
    "trainer": {"trainer": "augsynth.nn.trainer:Trainer"},
    "backbone": {
        "conv": "augsynth.nn.convnets:ConvBackbone",
        "gated": "augsynth.nn.gated:GatedBackbone",
        "mlp": "augsynth.nn.backbones:MLPBackbone",
        "unet": "augsynth.nn.unet:UNetBackbone",
    },
}
_CLASSES: dict[tuple[str, str], type] = {}


def roles() -> list[str]:
    """Return the roles that have components."""
    return sorted(_COMPONENTS)


def names(role: str) -> list[str]:
    """Return the kinds of a role, in alphabetical order.

    Examples
    --------
    >>> names("resampler")
    ['bootstrap', 'over', 'under']
    """
    return sorted(_kinds(role))


def register(role: str, kind: str, cls: type) -> None:
    """Make a class of your own known under a name, for recipes and saved models.

    Parameters
    ----------
    role, kind : str
        Where and how it is named, such as ``("generator", "mine")``.
    cls : type
        The class. A name that is taken is refused.
    """
    known = _COMPONENTS.setdefault(role, {})
    if kind in known and _CLASSES.get((role, kind)) is not cls:
        raise ParameterError(sentence("register", f"{role} kind must be new", repr(kind)))
    known[kind] = f"{cls.__module__}:{cls.__qualname__}"
    _CLASSES[role, kind] = cls


def resolve(role: str, kind: str) -> type:
    """Return the class of a role and kind, importing its module only now.

    Raises
    ------
    ParameterError
        For an unknown role or kind, with the nearest known one.
    """
    known = _kinds(role)
    if kind not in known:
        near = difflib.get_close_matches(str(kind), known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(known))}."
        raise ParameterError(sentence("registry", f"{role} must be a known kind", repr(kind), hint))
    if (role, kind) not in _CLASSES:
        module, _, name = known[kind].partition(":")
        _CLASSES[role, kind] = getattr(importlib.import_module(module), name)
    return _CLASSES[role, kind]


def target(role: str, kind: str) -> str:
    """Return "module:Class" of a role and kind, without importing it.

    Examples
    --------
    >>> target("resampler", "under")
    'augsynth.resample.under:UnderSampler'
    """
    return _kinds(role)[kind]


def kind_of(component: object) -> tuple[str, str] | None:
    """Return (role, kind) of an instance or class, or None if it is not registered."""
    cls = component if inspect.isclass(component) else type(component)
    target = f"{cls.__module__}:{cls.__qualname__}"
    for role, known in _COMPONENTS.items():
        for kind, path in known.items():
            if path == target:
                return role, kind
    return None


def build(role: str, spec: str | Mapping[str, Any]) -> Any:
    """Make a component from its kind and parameters.

    Parameters
    ----------
    role : str
        Such as "generator".
    spec : str or mapping
        A kind, or ``{"kind": ..., parameter: value, ...}``; a parameter named like a
        role may be such a mapping itself.

    Examples
    --------
    >>> build("resampler", {"kind": "under", "by": "class"})
    UnderSampler()
    """
    options: dict[str, Any] = {"kind": spec} if isinstance(spec, str) else dict(spec)
    if "kind" not in options:
        raise ParameterError(sentence(role, "a component must have a key 'kind'", offenders(options)))
    cls = resolve(role, options.pop("kind"))
    for name, value in options.items():
        if name.removesuffix("s") in _COMPONENTS and name.endswith("s") and isinstance(value, (list, tuple)):
            role_of = name.removesuffix("s")
            options[name] = [build(role_of, v) if isinstance(v, (str, Mapping)) else v for v in value]
        elif name in _COMPONENTS and isinstance(value, (str, Mapping)):
            if isinstance(value, Mapping) and "kind" not in value and len(_COMPONENTS[name]) == 1:
                value = {"kind": next(iter(_COMPONENTS[name])), **value}
            options[name] = build(name, value)
    known = set(inspect.signature(cls).parameters)
    unknown = [name for name in options if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(known))}."
        raise ParameterError(sentence(cls.__name__, "parameters must be known", offenders(unknown), hint))
    return cls(**options)


def _kinds(role: str) -> dict[str, str]:
    if role not in _COMPONENTS:
        raise ParameterError(
            sentence("registry", "role must be known", repr(role), f"There are: {', '.join(roles())}.")
        )
    return _COMPONENTS[role]
