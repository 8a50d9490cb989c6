"""Changes to a recipe from the command line: ``key=value``, the value read as YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from augsynth.core.errors import RecipeError
from augsynth.recipe.wording import kind_name

__all__ = ["from_yaml", "override"]


class _Loader(yaml.SafeLoader):
    """YAML without aliases (a page of them can stand for gigabytes) and without repeated keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.get_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not allowed", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):
                raise yaml.MarkedYAMLError(problem="a key must be a word", problem_mark=key.start_mark)
            if key.value in seen:
                what = f"the key {key.value!r} stands here twice"
                raise yaml.MarkedYAMLError(problem=what, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def from_yaml(text: str, where: str) -> Any:
    """Read YAML that can hold plain values only; what is wrong comes with its line and column."""
    loader = None
    try:
        loader = _Loader(text)  # its constructor reads already
        return loader.get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        what = getattr(error, "problem", None) or " ".join(str(error).split())
        raise RecipeError([f"{where}: not valid YAML: {what}{place}"]) from None
    except (RecursionError, ValueError) as error:
        raise RecipeError([f"{where}: not a recipe: {type(error).__name__}"]) from None
    finally:
        if loader is not None:
            loader.dispose()


# What belongs to a table, and so goes with it when another table takes its place.
_OF_THE_TABLE = (
    "target",
    "groups",
    "bands",
    "drop",
    "split",
    "thin",
    "holes",
    "missing",
    "separator",
    "dates",
    "modality",
)


def override(raw: dict[str, Any], overrides: list[str]) -> tuple[list[str], list[str]]:
    """Apply overrides to ``raw`` in place; return (notes, problems)."""
    notes: list[str] = []
    problems: list[str] = []
    given: dict[str, Any] = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key or not all(key.split(".")):
            problems.append(f"{text}: an override must read key=value, such as data.path=people.csv")
            continue
        try:
            given[key] = from_yaml(value, text)
        except RecipeError as error:
            problems += error.problems
    for key in sorted(given, key=lambda key: (not key.endswith((".kind", "data.path")), key.count("."))):
        if key == "data.path":
            notes += _forget(raw, "data", "path", _OF_THE_TABLE, given)
        if key.endswith(".kind"):
            notes += _forget(raw, key.removesuffix(".kind"), "kind", None, given)
        node: Any = raw
        *parents, last = key.split(".")
        for depth, part in enumerate(parents):
            child = node.get(part)
            if child is None:
                child = {}
            if not isinstance(child, Mapping):
                parent = ".".join(parents[: depth + 1])
                problems.append(f"{key}: {parent} is {kind_name(child)}, it has no keys")
                break
            node[part] = {**child}
            node = node[part]
        else:
            node[last] = given[key]
    return notes, problems


def _forget(
    raw: dict[str, Any], section: str, of: str, keys: tuple[str, ...] | None, given: Mapping[str, Any]
) -> list[str]:
    """Drop the settings that made sense for the previous table or kind only."""
    node: Any = raw
    new = given[f"{section}.{of}"]
    for part in section.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    if not isinstance(node, dict) or node.get(of) in (None, new):
        return []
    gone = [key for key in node if key != of and (keys is None or key in keys)]
    restated = [f"{key}." for key in given]
    lost = [f"{section}.{key}" for key in gone]
    lost = [key for key in lost if key != "data.target"]  # every table has one of its own
    told = [key for key in lost if not any(start.startswith(f"{key}.") for start in restated)]
    for key in gone:
        del node[key]
    if not told:
        return []
    verb = "was" if len(told) == 1 else "were"
    return [f"{section}.{of} is now {new}: {', '.join(told)} of {node[of]} {verb} dropped."]
