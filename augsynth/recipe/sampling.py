"""Rows from a saved generator, for the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from augsynth.core.errors import (
    AugsynthError,
    ConditionError,
    DataError,
    ModelFileError,
    ParameterError,
    offenders,
    sentence,
)
from augsynth.core.random import keyed_rng, resolve_seed
from augsynth.recipe.wording import meant

__all__ = ["draw"]


def draw(model: str | Path, n: int, labels: list[str], seed: int | None) -> pd.DataFrame:
    """Draw ``n`` labelled rows from a saved generator.

    Parameters
    ----------
    model : str or Path
        What ``generator.save`` wrote.
    n : int
        Rows.
    labels : list of str
        Wanted values such as ``y=malignant`` or ``sex=Female``: the label by the name of
        the target or as ``y``, groups by their names. What is not named is drawn at the
        fitted frequencies.
    seed : int or None

    Raises
    ------
    ConditionError
        For a label or group that the generator never saw.
    """
    from augsynth.core.persistence import load
    from augsynth.generate.base import BaseGenerator

    if not Path(model).is_file():
        raise DataError(f"{model}: there is no such file. Name a saved generator, such as model.safetensors.")
    generator = load(model)
    if not isinstance(generator, BaseGenerator):
        raise DataError(sentence(str(model), "must hold a saved generator", type(generator).__name__))
    try:
        X, y, groups = (
            _draw_wanted(generator, n, labels, seed)
            if labels
            else generator.sample_labelled(n, random_state=seed)
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, AugsynthError):
            raise
        reason = f"one that cannot draw ({type(error).__name__}: {' '.join(str(error).split())})"
        raise ModelFileError(sentence(str(model), "must hold a whole, fitted generator", reason)) from error
    table = X.copy() if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X)).add_prefix("x")
    for values, name in ((groups, "group"), (y, "y")):
        for column, cells in _named(values, name).items():
            if column not in table.columns:
                table[column] = cells
    return table


def _named(values: Any, name: str) -> dict[str, Any]:
    """Return labels or groups as named columns, whatever container the generator was fitted with."""
    if values is None:
        return {}
    if isinstance(values, pd.DataFrame):
        return {str(column): values[column].to_numpy() for column in values}
    if isinstance(values, pd.Series):
        return {name if values.name is None else str(values.name): values.array}
    array = np.asarray(values)
    return {name: array} if array.ndim == 1 else {f"{name}_{j}": array[:, j] for j in range(array.shape[1])}


def _draw_wanted(generator: Any, n: int, labels: list[str], seed: int | None) -> tuple[Any, Any, Any]:
    condition = generator.condition_
    every = np.arange(condition.n_cells)
    y, groups = condition.decode(every)
    columns = {**_named(groups, "group"), **_named(y, "y")}
    target = next(iter(_named(y, "y")), None)
    allowed = np.ones(len(every), dtype=bool)
    for text in labels:
        name, equals, value = text.partition("=")
        name = target if name == "y" and "y" not in columns and target else name
        if not equals or name not in columns:
            given = f"{text!r}{meant(name, columns)}"
            todo = f"Names: {', '.join(columns) or 'none, the generator was fitted without labels'}."
            raise ParameterError(sentence("--label", "must read NAME=VALUE", given, todo))
        known = [str(each) for each in columns[name]]
        fits = np.array([each in (value, str(yaml_value(value))) for each in known])
        if not fits.any():
            todo = f"Values: {offenders(sorted(set(known)), 8)}."
            raise ConditionError(
                sentence("--label", f"{name} must be one that the generator saw", value, todo)
            )
        allowed &= fits
    if not allowed.any():
        given = " and ".join(labels)
        raise ConditionError(sentence("--label", "the combination must occur in the training rows", given))
    root = resolve_seed(seed)
    share = np.where(allowed, condition.weights, 0.0)
    cells = keyed_rng(root, 0).choice(every, size=n, p=share / share.sum()).astype(np.int32)
    return (generator.draw(cells, random_state=root).rows, *condition.decode(cells, keyed_rng(root, 1)))


def yaml_value(text: str) -> Any:
    """Read ``1`` as a number and ``true`` as a truth value, as in a recipe."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
