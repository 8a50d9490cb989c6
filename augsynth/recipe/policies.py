"""Policies as a recipe names them: kinds in full, and the sample rate of the clips where it is not said."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from augsynth import registry

__all__ = ["MODALITIES", "spelled"]

MODALITIES = {"images": "image", "audio": "audio", "text": "text", "table": "table"}
_STRENGTHS = ("weak", "medium", "strong")
_NESTED = ("perturbation", "perturbations")


def spelled(policy: Any, modality: str, rate: int | None = None) -> Any:
    """Return a policy with kinds in full: "weak" is "image_weak" in a recipe of images.

    Parameters
    ----------
    policy : str, mapping with ``kind``, or list of these
    modality : {"images", "audio", "text", "table"}
        Of the recipe.
    rate : int, optional
        Samples a second; given to every edit that has a ``sample_rate`` and does not say it.

    Examples
    --------
    >>> spelled("weak", "images")
    {'kind': 'image_weak'}
    >>> spelled({"kind": "compose", "perturbations": ["gain", "time_shift"]}, "audio", 8000)["perturbations"]
    [{'kind': 'gain'}, {'kind': 'time_shift', 'sample_rate': 8000}]
    """
    if isinstance(policy, (list, tuple)):
        return [spelled(step, modality, rate) for step in policy]
    if not isinstance(policy, (str, Mapping)):
        return policy
    spec: dict[str, Any] = {"kind": policy} if isinstance(policy, str) else dict(policy)
    kind = spec.get("kind")
    if kind in _STRENGTHS:
        kind = spec["kind"] = f"{MODALITIES[modality]}_{kind}"
    if kind not in registry.names("perturbation"):
        return spec  # told among the problems of the recipe
    known = inspect.signature(registry.resolve("perturbation", str(kind))).parameters
    if rate is not None and "sample_rate" in known:
        spec.setdefault("sample_rate", rate)
    return {
        name: spelled(value, modality, rate) if name in _NESTED else value for name, value in spec.items()
    }
