"""Recipes: one YAML file says which table, which generator, how many rows, and how all that is judged.

A recipe is read with `load`, changed with ``key=value`` overrides, and checked as a
whole: every problem is reported at once, each with its path and, where one is near,
what was probably meant. Components are named by their kinds in the registry, never by
a dotted path, and nothing in a recipe is executed.

Examples
--------
>>> from augsynth.recipe import parse
>>> recipe = parse({"name": "demo", "data": {"path": "sklearn:wine"}, "generator": {"kind": "smote"}})
>>> recipe.resampler.kind, recipe.data.target
('over', 'target')
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "Recipe": "augsynth.recipe.schema",
    "Run": "augsynth.recipe.run",
    "find": "augsynth.recipe.catalogue",
    "load": "augsynth.recipe.files",
    "parse": "augsynth.recipe.files",
    "shipped": "augsynth.recipe.catalogue",
}

__all__ = [*_NAMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    # Lazy, so that the command line can list and show recipes at once.
    if name not in _NAMES:
        raise AttributeError(f"module 'augsynth.recipe' has no attribute {name!r}")
    return getattr(import_module(_NAMES[name]), name)
