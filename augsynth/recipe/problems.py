"""What is wrong with a recipe, in one sentence each, with its path and what was probably meant."""

from __future__ import annotations

import contextlib
import inspect
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from augsynth import registry
from augsynth.core.errors import AugsynthError
from augsynth.recipe.clips import holds_clips
from augsynth.recipe.images import holds_images
from augsynth.recipe.policies import MODALITIES, spelled
from augsynth.recipe.tables import SKLEARN
from augsynth.recipe.wording import meant
from augsynth.resample.cells import BY

__all__ = ["component_problems", "problem", "recipe_problems", "takes_generator"]


def problem(error: Any, model: Any) -> str:
    """Turn one of pydantic's errors into the sentence of this package."""
    place = [part for part in error["loc"] if part != "[key]" and part not in ("str", "int", "float", "bool")]
    where = ".".join(str(part) for part in place)
    if error["type"] == "extra_forbidden":
        fields = _fields_at(model, place[:-1])
        near = meant(place[-1], fields)
        return f"{where}: unknown key{near}" if near else f"{where}: unknown key; known: {', '.join(fields)}"
    if error["type"] == "missing":
        return f"{where}: is required"
    if error["type"] == "value_error":
        return f"{where}: {error['ctx']['error']}"
    must = error["msg"].replace("Input should be a valid ", "must be a ").partition(", unable to parse")[0]
    must = (
        must.replace("Input should", "must")
        .replace("String should", "must")
        .replace("a dictionary", "a mapping")
        .replace("a integer", "an integer")
    )
    if error["type"] == "model_type":
        must = "must be a mapping"
    given = "" if isinstance(error["input"], dict) else f"; given {error['input']!r:.80}"
    return f"{where}: {must}{given}"


def _fields_at(model: Any, place: list[Any]) -> list[str]:
    for part in place:
        hint = model.model_fields[part].annotation
        model = next(each for each in (typing.get_args(hint) or (hint,)) if hasattr(each, "model_fields"))
    return list(model.model_fields)


def recipe_problems(raw: Mapping[str, Any]) -> list[str]:
    """List what is wrong with the components of a recipe, taken one by one and together."""
    problems: list[str] = []
    for role in ("imputer", "generator", "resampler"):
        if isinstance(raw.get(role), Mapping):
            problems += component_problems(role, _in_full(raw[role], raw.get("data")), role)
    problems += _imputer_problems(raw)
    if raw.get("task") == "impute":
        return problems
    resampler = raw.get("resampler", {"kind": "over"})
    kind = resampler.get("kind") if isinstance(resampler, Mapping) else None
    if isinstance(kind, str) and kind in registry.names("resampler"):
        takes = takes_generator(kind)
        if takes and raw.get("generator") is None:
            kinds = ", ".join(registry.names("generator"))
            problems.append(f"generator: is required by the resampler {kind!r}; kinds: {kinds}")
        if not takes and raw.get("generator") is not None:
            problems.append(f"generator: the resampler {kind!r} takes none; say generator=null")
        if isinstance(resampler, Mapping) and "generator" in resampler:
            problems.append("resampler.generator: say it in the section generator")
        if isinstance(resampler, Mapping) and "group_columns" in resampler:
            problems.append("resampler.group_columns: say it in data.groups")
        if isinstance(resampler, Mapping) and "by" in resampler:
            problems += _by_problems(resampler["by"], raw.get("data"))
    return problems


def _imputer_problems(raw: Mapping[str, Any]) -> list[str]:
    """List what is wrong with what an imputer would be given."""
    imputer, data = raw.get("imputer"), raw.get("data")
    if not isinstance(imputer, Mapping) or not isinstance(data, Mapping):
        return []
    modality = str(data.get("modality") or _modality_of(data))
    if raw.get("task") != "impute" and modality != "table":
        return [f"imputer: is for tables; {modality} has none. Leave it out"]
    if raw.get("task") == "impute" and imputer.get("use_target") is True and not _names_target(data):
        return ["imputer.use_target: needs the column of the labels; name it in data.target"]
    return []


def _names_target(data: Mapping[str, Any]) -> bool:
    return bool(data.get("target")) or str(data.get("path", "")).startswith(SKLEARN)


def _in_full(spec: Mapping[str, Any], data: Any) -> Mapping[str, Any]:
    """Return a component with the kinds of its policy in full, as the modality has them."""
    if "perturbation" not in spec or not isinstance(data, Mapping):
        return spec
    modality = str(data.get("modality") or _modality_of(data))
    if modality not in MODALITIES:
        return spec
    return {**spec, "perturbation": spelled(spec["perturbation"], modality)}


def _modality_of(data: Mapping[str, Any]) -> str:
    path = str(data.get("path", ""))
    if data.get("text"):
        return "text"
    return ("audio" if holds_clips(path) else "images") if holds_images(path) else "table"


def _by_problems(by: Any, data: Any) -> list[str]:
    """List what is wrong with what is balanced: an unknown word, or groups that no column gives."""
    if by not in BY:
        return [f"resampler.by: must be {' or '.join(BY)}; given {by!r:.80}{meant(by, BY)}"]
    if "group" in by and isinstance(data, Mapping) and not data.get("groups"):
        return [f"resampler.by: {by!r} needs columns of groups; name them in data.groups"]
    return []


def takes_generator(kind: str) -> bool:
    """Whether the resampler of that kind draws its rows from a generator."""
    return "generator" in inspect.signature(registry.resolve("resampler", kind)).parameters


def component_problems(role: str, spec: Mapping[str, Any], path: str) -> list[str]:
    """List what is wrong with one component: its kind, its parameters, and the components nested in it."""
    kinds = ", ".join(registry.names(role))
    if "kind" not in spec:
        return [] if "." not in path else [f"{path}.kind: is required; kinds: {kinds}"]
    kind = spec["kind"]
    if kind not in registry.names(role):
        return [f"{path}.kind: unknown kind {kind!r}; kinds: {kinds}{meant(kind, registry.names(role))}"]
    try:
        cls = registry.resolve(role, str(kind))
    except (AugsynthError, ImportError) as error:
        return [f"{path}.kind: {kind!r} cannot be loaded ({error})"]
    if kind == "function":
        return [f"{path}.kind: 'function' needs a Python function, which a recipe cannot hold"]
    known = inspect.signature(cls).parameters
    required = [name for name, parameter in known.items() if parameter.default is parameter.empty]
    problems = [
        f"{path}.{name}: is required"
        for name in required
        if name not in spec and not (role == "resampler" and name == "generator")
    ]
    for name, value in spec.items():
        where = f"{path}.{name}"
        if name == "kind":
            continue
        if name not in known:
            problems.append(f"{where}: unknown key{meant(name, known) or '; known: ' + ', '.join(known)}")
        elif name in registry.roles() and isinstance(value, Mapping):
            only = registry.names(name) if len(registry.names(name)) == 1 else []
            problems += component_problems(name, {"kind": only[0], **value} if only else value, where)
        elif name == "perturbation" and isinstance(value, str):
            problems += component_problems(name, {"kind": value}, where)
        elif isinstance(value, (list, tuple)) and name.removesuffix("s") == "perturbation":
            for k, step in enumerate(value):
                inner = {"kind": step} if isinstance(step, str) else step
                place = f"{where}[{k}]"
                if isinstance(inner, Mapping):
                    problems += component_problems("perturbation", inner, place)
                else:
                    problems.append(f"{place}: must be the name of an edit, or a mapping; given {step!r:.80}")
        else:
            problems += _type_problems(cls, name, value, where)
    return problems


def _type_problems(cls: type, name: str, value: Any, where: str) -> list[str]:
    with contextlib.suppress(Exception):  # a hint that pydantic cannot read is no reason to refuse
        hint = typing.get_type_hints(
            inspect.getattr_static(cls, "__init__") if inspect.isclass(cls) else cls
        ).get(name)
        adapter: Any = TypeAdapter(hint or Any, config=ConfigDict(arbitrary_types_allowed=True))
        try:
            adapter.validate_python(value)
        except ValidationError:
            text = str(hint) if typing.get_origin(hint) else getattr(hint, "__name__", str(hint))
            return [f"{where}: must be {text.replace('typing.', '')}; given {value!r:.80}"]
    return []
