"""Recipes read and checked: from a file, or from what YAML gave."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from augsynth.core.errors import RecipeError
from augsynth.recipe.catalogue import find, read_text, shipped
from augsynth.recipe.overrides import from_yaml, override
from augsynth.recipe.problems import problem, recipe_problems
from augsynth.recipe.schema import TASKS, ImputeRecipe, Recipe
from augsynth.recipe.wording import kind_name, meant

__all__ = ["load", "parse"]


def load(name: str | Path, overrides: Iterable[str] = ()) -> Recipe | ImputeRecipe:
    """Read a recipe by name or path, apply overrides such as ``data.path=people.csv``, and check all of it.

    Raises
    ------
    RecipeError
        With every problem, each with its path in the recipe.
    """
    path = find(name)
    recipe = parse(from_yaml(read_text(path), str(path)), overrides, where=path.name)
    if path in shipped().values():  # holes of its example, which the user never chose
        recipe._notes = [note for note in recipe.notes if ": data.holes of " not in note]
    return recipe


def parse(raw: Any, overrides: Iterable[str] = (), *, where: str = "recipe") -> Recipe | ImputeRecipe:
    """Check a recipe that has been read already; the same as `load` otherwise."""
    if not isinstance(raw, Mapping):
        must = "a recipe must be a mapping of keys such as data and generator"
        raise RecipeError([f"{where}: {must}; given {kind_name(raw)}"])
    raw = copy.deepcopy(dict(raw))
    notes, problems = override(raw, list(overrides))
    recipe: Recipe | ImputeRecipe | None = None
    task = raw.get("task", TASKS[0])
    if task not in TASKS:
        problems.append(f"task: must be {' or '.join(TASKS)}; given {task!r:.80}{meant(task, TASKS)}")
        task = next(iter(difflib.get_close_matches(str(task), TASKS, n=1)), TASKS[0])
        raw["task"] = task
    model = ImputeRecipe if task == "impute" else Recipe
    try:
        recipe = model.model_validate(raw)
    except ValidationError as error:
        problems += [problem(each, model) for each in error.errors()]
    problems += recipe_problems(raw)
    if problems or recipe is None:
        raise RecipeError(problems)
    recipe._notes = notes
    return recipe
