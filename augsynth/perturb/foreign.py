"""One door for whatever edits samples: ours, a name, another library's, or a function of yours."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from augsynth import registry
from augsynth.core.errors import ParameterError, sentence
from augsynth.perturb.base import Perturbation
from augsynth.perturb.combine import Compose
from augsynth.perturb.function import FunctionPerturbation, check_importable

__all__ = ["as_perturbation", "check_importable"]

_STRENGTHS = ("weak", "medium", "strong")


def as_perturbation(
    policy: Any, modality: str | None = None, *, sample_rate: float | None = None, where: str = "policy"
) -> Perturbation:
    """Return the Perturbation that a policy stands for.

    Parameters
    ----------
    policy : Perturbation, str, mapping, list, transform or callable
        A perturbation of ours, as it is; a registered name (see ``registry.names("perturbation")``)
        or ``{"kind": name, ...}``; "weak", "medium" or "strong" of a modality; a list of any of
        these, which is composed; a transform of albumentations, torchvision (v2 or v1) or
        audiomentations; a function of ``x`` (and ``rng``), or an object that can be called.
    modality : {"image", "audio", "text", "table"}, optional
        What the samples are, for names that several modalities have.
    sample_rate : float, optional
        Of clips, in hertz, for names of edits that have it and do not say it.
    where : str, default="policy"
        Who asks, for the messages.

    Raises
    ------
    ParameterError
        For an unknown name (with the nearest known one), for a lambda or a nested function,
        and for what is none of the above.

    Notes
    -----
    Libraries are told by the module that a class comes from: none is imported for it.

    Examples
    --------
    >>> import numpy as np
    >>> as_perturbation(np.flip)(np.arange(3)).tolist()
    [2, 1, 0]
    """
    if isinstance(policy, Perturbation):
        return policy
    if isinstance(policy, str):
        return _named(policy, modality, sample_rate, where)
    if isinstance(policy, Mapping):
        if "kind" not in policy:
            must = "a policy that is a mapping must have a key 'kind'"
            raise ParameterError(sentence(where, must, f"keys {sorted(map(str, policy))}"))
        kind = str(policy["kind"])
        return registry.build("perturbation", {**policy, "kind": _kind(kind, modality, where)})
    if isinstance(policy, (list, tuple)):
        if not policy:
            raise ParameterError(sentence(where, "a list of edits must hold at least one", "an empty list"))
        return Compose([as_perturbation(p, modality, sample_rate=sample_rate, where=where) for p in policy])
    adapted = _adapted(policy)
    check_importable(policy, where)
    if adapted is not None:
        return adapted.fit(None)
    if callable(policy) and not inspect.isclass(policy):
        return FunctionPerturbation(policy)
    must = "a policy must be a Perturbation, a name, a transform or an importable function"
    given = f"the class {policy.__name__}" if inspect.isclass(policy) else repr(policy)[:120]
    todo = "Make an instance of it." if inspect.isclass(policy) else ""
    raise ParameterError(sentence(where, must, given, todo))


def _adapted(policy: Any) -> Perturbation | None:
    """Return the adapter of a library's transform, or None for something else."""
    if inspect.isclass(policy) or inspect.isroutine(policy):
        return None
    modules = [f"{cls.__module__}." for cls in type(policy).__mro__]
    if any(module.startswith("albumentations.") for module in modules):
        from augsynth.perturb.albumentations import AlbumentationsPerturbation

        return AlbumentationsPerturbation(policy)
    in_a_row = modules[0] == "torch.nn.modules.container."
    if in_a_row or any(module.startswith("torchvision.transforms.") for module in modules):
        from augsynth.perturb.torchvision import TorchvisionPerturbation, is_sequential

        if in_a_row and not is_sequential(policy):
            return None
        return TorchvisionPerturbation(policy)
    if any(module.startswith("audiomentations.") for module in modules):
        from augsynth.perturb.audiomentations import AudiomentationsPerturbation

        return AudiomentationsPerturbation(policy)
    if any(module.startswith("kornia.") for module in modules):
        return FunctionPerturbation(policy, generators=("torch",))
    return None


def _named(name: str, modality: str | None, sample_rate: float | None, where: str) -> Perturbation:
    spec: dict[str, Any] = {"kind": _kind(name, modality, where)}
    known = inspect.signature(registry.resolve("perturbation", spec["kind"])).parameters
    if sample_rate is not None and "sample_rate" in known:
        spec["sample_rate"] = sample_rate
    built = registry.build("perturbation", spec)
    return built if isinstance(built, Perturbation) else as_perturbation(built, modality, where=where)


def _kind(name: str, modality: str | None, where: str) -> str:
    """Return the registered kind that a name means for a modality."""
    kinds = registry.names("perturbation")
    if modality is not None and f"{modality}_{name}" in kinds:
        return f"{modality}_{name}"
    if name in kinds:
        return name
    if name in _STRENGTHS:
        known = [f"{m}_{name}" for m in ("image", "audio", "text") if f"{m}_{name}" in kinds]
        todo = f"Use one of {', '.join(known)}." if known else ""
        if modality == "table":
            must = "a strength needs pictures, clips or texts"
            given = f"{name!r} for rows of a table, which one axis of less than 256 numbers is taken for"
            raise ParameterError(sentence(where, must, given, todo))
        raise ParameterError(sentence(where, "a strength needs a modality", repr(name), todo))
    ours = kinds + [kind.partition("_")[2] for kind in kinds if kind.startswith(f"{modality}_")]
    near = difflib.get_close_matches(name, ours, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(kinds)}."
    raise ParameterError(sentence(where, "a policy must be a known name", repr(name), hint))
