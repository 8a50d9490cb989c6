"""Weights instead of rows: every class, group or cell counts the same in a loss."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.arrays import check_weights, from_tensor
from augsynth.core.errors import AugsynthWarning, DataError, InputTypeError, sentence
from augsynth.core.parameters import check_option
from augsynth.resample.cells import cells_of

__all__ = ["balanced_weights"]

_WHERE = "balanced_weights"
_BY = ("class", "group", "class+group", "reweighing")


def balanced_weights(
    y: Any, sensitive_features: Any = None, *, by: str | None = None, sample_weight: Any = None
) -> Any:
    """Weigh rows so that every class x group cell counts the same in all.

    The cheapest remedy for thin classes and groups: nothing is made, rare rows count
    for more. One weight a row, not one a class: ``fit(..., sample_weight=w)``, or in torch
    ``(w * CrossEntropyLoss(reduction="none")(logits, y)).mean()``. ``CrossEntropyLoss(weight=)``
    takes one weight a class, and is another thing.

    Parameters
    ----------
    y : array-like or tensor (n,)
        Class labels; not looked at with ``by="group"``.
    sensitive_features : array-like, Series, DataFrame or tensor, (n,) or (n, k), optional
        The groups; of several columns, every combination is a group.
    by : {"class", "group", "class+group", "reweighing"}, optional
        What counts the same in all: classes (scikit-learn's "balanced"), groups, or every
        observed combination of class and group (the default where there are groups).
        "reweighing" leaves the shares of classes and of groups as they are, and makes the
        label independent of the group.
    sample_weight : array-like (n,), optional
        Weights that the rows have already: cells then count the same in weight, and within
        a cell the proportions of these weights are kept.

    Returns
    -------
    ndarray (n,) of float64, or Tensor (n,) of float32
        Positive, with mean 1 (0 where ``sample_weight`` is). A tensor on its device if ``y`` is a tensor.

    Raises
    ------
    DataError
        Missing labels or groups, different lengths, no rows, no groups where ``by`` needs them, a
        continuous target or dates as ``y``.
    ParameterError
        An unknown ``by``.

    Warns
    -----
    AugsynthWarning
        With "reweighing", if a combination of class and group has no row: then no weights
        make the two independent.

    Notes
    -----
    A combination that has no row gets no weight: nothing is known about it. A cell of very
    few rows gets very large weights; ``weights.max()`` says how large.

    References
    ----------
    F. Kamiran, T. Calders (2012), Data preprocessing techniques for classification without
    discrimination, doi:10.1007/s10115-011-0463-8 (reweighing).

    Examples
    --------
    >>> y, sex = [0, 0, 0, 1, 1, 1], ["f", "f", "m", "m", "m", "m"]
    >>> balanced_weights(y, sex).round(2).tolist()
    [1.0, 1.0, 2.0, 0.67, 0.67, 0.67]

    In a torch loss:

    >>> import torch
    >>> labels, logits = torch.tensor(y), torch.zeros(6, 2)
    >>> weights = balanced_weights(labels, sex)
    >>> loss = torch.nn.CrossEntropyLoss(reduction="none")  # one loss a row, to be weighed
    >>> round((weights * loss(logits, labels)).mean().item(), 4)
    0.6931
    """
    tensor = y if _is_tensor(y) else None
    y, sensitive_features = from_tensor(y, where=_WHERE), from_tensor(sensitive_features, where=_WHERE)
    if by is None:
        by = "class" if sensitive_features is None else "class+group"
    check_option(_WHERE, "by", by, _BY)
    if sensitive_features is None and by != "class":
        must = f"by={by!r} needs the group of each row"
        raise DataError(sentence(_WHERE, must, "no groups", "Pass sensitive_features, or use by='class'."))
    if by != "group":
        y = y if hasattr(y, "__len__") or not hasattr(y, "__iter__") else list(y)
        _check_labels(y)
    given = cells_of(y, sensitive_features, by="class+group" if by == "reweighing" else by, where=_WHERE)
    n = len(given.codes)
    if n == 0:
        raise DataError(sentence(_WHERE, "there must be at least one row", "none"))
    base = check_weights(sample_weight, n, _WHERE)
    base = np.ones(n) if base is None else base / base.max()
    mass = np.bincount(given.codes, weights=base, minlength=len(given))
    wanted = _independent(y, sensitive_features, base) if by == "reweighing" else np.ones(len(mass))
    factor = np.divide(wanted, mass, out=np.zeros(len(mass)), where=mass > 0)
    weights = base * factor[given.codes]
    weights *= n / weights.sum()
    if tensor is None:
        return weights
    import torch

    return torch.as_tensor(weights, dtype=torch.float32, device=tensor.device)


def _check_labels(y: Any) -> None:
    """Raise unless y is labels that rows share: in a continuous target every row is a class of its own."""
    if y is None or isinstance(y, str) or not hasattr(y, "__len__") or getattr(y, "ndim", 1) == 0:
        error = DataError if y is None else InputTypeError
        raise error(sentence(_WHERE, "y must be the labels of the rows", repr(y)))
    table = pd.DataFrame(y if hasattr(y, "shape") else list(y))
    if table.shape[1] != 1:
        return  # told where cells are made
    values = table.iloc[:, 0]
    n, classes = len(values), values.nunique()
    continuous = pd.api.types.is_datetime64_any_dtype(values)
    if pd.api.types.is_float_dtype(values):
        numbers = values.dropna().to_numpy(dtype=float)
        continuous = bool((numbers != np.round(numbers)).any())
    if classes > 2 and ((continuous and classes > max(2, 0.2 * n)) or (classes == n > 20)):
        given = f"{classes:,} different values in {n:,} rows"
        todo = "Cut a continuous target into classes first, such as pd.qcut(y, 5)."
        raise DataError(sentence(_WHERE, "y must be labels that rows share", given, todo))


def _is_tensor(values: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def _independent(y: Any, sensitive_features: Any, base: np.ndarray) -> np.ndarray:
    """Return the mass that each observed cell would have if label and group were independent."""
    labels = cells_of(y, by="class", where=_WHERE)
    groups = cells_of(y, sensitive_features, by="group", where=_WHERE)
    pair = np.column_stack([labels.codes, groups.codes])
    observed = np.unique(pair, axis=0)  # in the order of the cells: by class, then by group
    if len(observed) < len(labels) * len(groups):
        empty = len(labels) * len(groups) - len(observed)
        must = "reweighing needs a row of every class in every group"
        todo = "The other combinations are weighed; label and group stay dependent."
        warnings.warn(
            sentence(_WHERE, must, f"{empty} empty combinations", todo), AugsynthWarning, stacklevel=3
        )
    of_class = pd.Series(base).groupby(labels.codes).sum().to_numpy()
    of_group = pd.Series(base).groupby(groups.codes).sum().to_numpy()
    return of_class[observed[:, 0]] * of_group[observed[:, 1]] / base.sum()
