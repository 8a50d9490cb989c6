"""Whether a policy changes what a reader would call the label: of which class and group, and into what."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold

from augsynth import registry
from augsynth.check.intervals import Interval
from augsynth.check.preservation.readers import default_measure, default_reader, default_view
from augsynth.check.preservation.realism import REAL, SHUFFLED, Places, detect, shuffled
from augsynth.check.preservation.result import LabelPreservation, Reading
from augsynth.check.utility.leak import row_keys
from augsynth.core import arrays
from augsynth.core.errors import DataError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_number
from augsynth.core.random import ItemKeys, keyed_rng, resolve_seed
from augsynth.encode.condition import group_frame
from augsynth.encode.dataset import is_dataset, read_dataset
from augsynth.perturb.base import Perturbation
from augsynth.perturb.rows import edit_rows, modality_of, policy_for

__all__ = ["label_preservation"]

_WHERE = "label_preservation"
_FOLDS, _HALVES, _GROSS, _COPIES = range(4)  # streams of the seed


def label_preservation(
    X: Any,
    y: Any = None,
    policies: Any = None,
    *,
    sensitive_features: Any = None,
    estimator: Any = None,
    copies: int = 2,
    cv: int = 5,
    sample_rate: float = 16000,
    random_state: Any = None,
) -> LabelPreservation:
    """Find out which policies change labels, of which class and group, and whether copies look real.

    A model is fitted on original rows and reads, of rows that it never saw, the originals
    and their perturbed copies (cross-validation, so every row is read once). What it reads
    rightly before and otherwise after is counted by policy, class and group, with
    intervals. A second model tries to tell copies from originals.

    Parameters
    ----------
    X : rows of any kind, or a map-style Dataset of pictures
        Pictures (n, h, w) or (n, h, w, c), tensors, PIL images; clips (n, samples) or a list of
        any lengths; texts; a table. Training rows: nothing of the test part is needed.
    y : array-like, (n,)
        Labels; a Dataset's own if not given.
    policies : mapping of name to policy, or list of names
        Each one whatever `PerturbedDataset` takes: a perturbation, a name, a transform of
        albumentations or torchvision, a function.
    sensitive_features : array, Series or DataFrame, optional
        Groups; each is judged on its own too.
    estimator : classifier with ``predict_proba``, optional
        Reads the rows as given. Default, by modality: logistic regression on pixels and edges,
        on mel cepstra, on TF-IDF; boosted trees for tables.
    copies : int, default=2
        Copies of each row that are read.
    cv : int, default=5
    sample_rate : float, default=16000
        Of clips, for the default reader and for policies that are given by name.
    random_state : None, int or Generator

    Returns
    -------
    LabelPreservation
        Print it; ``to_frame()``, ``verdicts``, ``plot(path)``, ``contact_sheet(path)``.

    Raises
    ------
    DataError, ParameterError
        For fewer than two classes, a class of one row, unknown policies, rows that cannot be edited.

    Notes
    -----
    Intervals are 95 % intervals over rows (Agresti and Min; the copies of a row are averaged
    first); verdicts allow for the number of policies and classes (Holm). They hold for this
    reader: one that is bad at originals cannot judge copies, so look at its accuracy first. A
    drop may mean that copies are harder to read, not that they are something else: a class
    counts as changed only where its lost reads go mostly into one other class, most of those
    copies lie among its real rows, nearer than to any of their own class, and no three classes
    go there (which is what noise does). Equal rows stay in one fold.
    Cost: ``cv`` fits and ``1 + copies * policies`` readings, and as much again for the detector.

    References
    ----------
    Agresti and Min, "Simple improved confidence intervals for comparing matched proportions",
    Statistics in Medicine 24(5), 2005, doi:10.1002/sim.1781. Balestriero, Bottou and LeCun,
    "The effects of regularization and data augmentation are class dependent", NeurIPS 2022,
    arXiv:2204.03632. Kirichenko et al., "Understanding the detrimental class-level effects of
    data augmentation", NeurIPS 2023, arXiv:2401.01764. Lopez-Paz and Oquab,
    "Revisiting classifier two-sample tests", ICLR 2017, arXiv:1610.06545.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from augsynth.perturb import Rotate
    >>> X, y = load_digits(return_X_y=True)
    >>> some = np.isin(y, [0, 6, 9])
    >>> policies = {"half a turn": Rotate((180, 180)), "weak": "image_weak"}
    >>> found = label_preservation(X[some].reshape(-1, 8, 8), y[some], policies, cv=3, random_state=0)
    >>> found.verdicts["half a turn"]
    'changes labels'
    """
    if is_dataset(X):
        found = read_dataset(X, where=_WHERE)
        X, y = found.images, found.labels if y is None else y
    X = arrays.as_rows(X, where=_WHERE)
    labels, classes = _labels(y, arrays.count_rows(X))
    groups = _groups(sensitive_features, len(labels))
    check_number(_WHERE, "copies", copies, low=1, high=1000, integer=True)
    check_number(_WHERE, "cv", cv, low=2, high=100, integer=True)
    seed = resolve_seed(random_state)
    edits = _fitted(policies, X, np.asarray(classes, dtype=object)[labels], sample_rate)
    modality = _modality(X, edits)
    least = int(np.bincount(labels).min())
    folds = _folds(X, labels, min(cv, least), seed)
    view = default_view(modality, X, sample_rate=sample_rate)
    read_raw = view is None or estimator is not None
    reader = default_reader(modality, random_state=seed % 2**31) if estimator is None else estimator
    seen = X if view is None else view.transform(X)
    real = X if read_raw else seen
    models = [_fit(reader, arrays.take_rows(real, train), labels[train]) for train, _ in folds]
    before = _read(models, folds, real, len(classes))
    places = Places(default_measure(modality), seen, labels)
    readings, first_copies = {}, {}
    for name, edit in edits.items():
        after, near = np.empty((copies, *before.shape)), np.empty((copies, len(labels)), dtype=bool)
        for copy in range(copies):
            keys = ItemKeys(seed, 0, np.arange(len(labels)), copy, path=_COPIES)
            made = edit_rows(edit, X, keys, where=f"{_WHERE}: {name}")
            shown = made if view is None else view.transform(made)
            after[copy] = _read(models, folds, made if read_raw else shown, len(classes))
            near[copy] = places.near(shown, after[copy].argmax(1), labels)
            if copy == 0:
                first_copies[name] = made
                area = detect(reader, real, made if read_raw else shown, folds)
        readings[name] = Reading(after, near, area)
    gross = shuffled(X, modality, keyed_rng(seed, _GROSS))
    controls = _controls(real, gross if read_raw else view.transform(gross), reader, folds, seed)
    return LabelPreservation(
        labels=labels,
        classes=classes,
        groups=groups,
        before=before,
        readings=readings,
        controls=controls,
        modality=modality,
        examples=(X, first_copies),
    )


def _labels(y: Any, n: int) -> tuple[np.ndarray, list[Any]]:
    if y is None:
        raise DataError(sentence(_WHERE, "y must be given: the label of every row", "none"))
    series = pd.Series(np.asarray(y.detach().cpu()) if hasattr(y, "detach") else y).reset_index(drop=True)
    if len(series) != n:
        raise DataError(sentence(_WHERE, f"y must have one entry a row of X ({n})", str(len(series))))
    if series.isna().any():
        rows = np.flatnonzero(series.isna())
        raise DataError(sentence(_WHERE, "y must not be missing", f"none in row {offenders(rows.tolist())}"))
    codes, levels = pd.factorize(series, sort=True)
    counts = np.bincount(codes, minlength=len(levels))
    if len(levels) < 2:
        raise DataError(sentence(_WHERE, "y must have at least two classes", f"{len(levels)}"))
    thin = [level for level, count in zip(levels.tolist(), counts, strict=True) if count < 2]
    if thin:
        todo = "Leave the others out: one row cannot be both learned and read."
        raise DataError(sentence(_WHERE, "every class must have two rows or more", offenders(thin), todo))
    return codes, levels.tolist()


def _groups(sensitive_features: Any, n: int) -> pd.Series | None:
    frame = group_frame(sensitive_features, where=_WHERE)
    if frame is None:
        return None
    if len(frame) != n:
        must = f"sensitive_features must have one entry a row of X ({n})"
        raise DataError(sentence(_WHERE, must, str(len(frame))))
    if frame.shape[1] == 1:
        return frame.iloc[:, 0].reset_index(drop=True)
    return frame.astype(str).agg(", ".join, axis=1).reset_index(drop=True)


def _fitted(policies: Any, X: Any, labels: np.ndarray, sample_rate: float) -> dict[str, Perturbation]:
    if isinstance(policies, str) or not isinstance(policies, (Mapping, Sequence)) or not policies:
        must = "policies must be a mapping of names to policies, or a list of names"
        raise ParameterError(sentence(_WHERE, must, repr(policies)))
    if not isinstance(policies, Mapping):
        odd = [policy for policy in policies if not isinstance(policy, str)]
        if odd:
            todo = "Name them: {'mine': policy}."
            raise ParameterError(sentence(_WHERE, "a list must hold names", repr(odd[0])[:80], todo))
        policies = {name: name for name in policies}
    named = {str(name): policy for name, policy in policies.items()}
    heard = {name: _at_rate(policy, sample_rate) for name, policy in named.items()}
    return {name: policy_for(policy, X, labels, where=f"{_WHERE}: {name}") for name, policy in heard.items()}


def _at_rate(policy: Any, sample_rate: float) -> Any:
    """Return a named policy of clips at the rate of the clips, any other as it is."""
    known = isinstance(policy, str) and policy in registry.names("perturbation")
    if known and "sample_rate" in inspect.signature(registry.resolve("perturbation", policy)).parameters:
        return {"kind": policy, "sample_rate": sample_rate}
    return policy


def _modality(X: Any, edits: Mapping[str, Perturbation]) -> str:
    told = modality_of(X)
    if told in ("text", "image"):
        return told
    named = [edit.modality for edit in edits.values() if edit.modality in ("audio", "image")]
    return named[0] if named else told or "audio"


def _folds(X: Any, labels: np.ndarray, cv: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split into folds of like classes; equal rows stay together, or a copy's original would be known."""
    state = int(keyed_rng(seed, _FOLDS).integers(2**31))
    folds = StratifiedKFold(cv, shuffle=True, random_state=state)
    n = len(labels)
    keys = row_keys(X.numpy() if hasattr(X, "detach") else X)
    _, first, twin = np.unique(np.arange(n) if keys is None else keys, return_index=True, return_inverse=True)
    if len(first) == n or np.bincount(labels[first], minlength=labels.max() + 1).min() < cv:
        return list(folds.split(np.zeros(n), labels))
    fold_of = np.empty(len(first), dtype=int)
    for fold, (_, test) in enumerate(folds.split(np.zeros(len(first)), labels[first])):
        fold_of[test] = fold
    fold_of = fold_of[twin]
    return [(np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)) for fold in range(cv)]


def _fit(reader: Any, X: Any, labels: np.ndarray) -> Any:
    if not hasattr(reader, "predict_proba"):
        must = "estimator must be a classifier with predict_proba"
        raise ParameterError(sentence(_WHERE, must, type(reader).__name__))
    return clone(reader).fit(X, labels)


def _read(
    models: list[Any], folds: list[tuple[np.ndarray, np.ndarray]], X: Any, n_classes: int
) -> np.ndarray:
    """Return the probabilities (n, n_classes) that each row gets from the model that never saw it."""
    read = np.zeros((arrays.count_rows(X), n_classes))
    for model, (_, test) in zip(models, folds, strict=True):
        read[np.ix_(test, model.classes_)] = model.predict_proba(arrays.take_rows(X, test))
    return read


def _controls(
    X: Any, gross: Any, detector: Any, folds: list[tuple[np.ndarray, np.ndarray]], seed: int
) -> dict[str, Interval]:
    """Return what the detector says of real rows against other real rows, and of shuffled ones."""
    n = arrays.count_rows(X)
    order = keyed_rng(seed, _HALVES).permutation(n)
    a, b = order[: n // 2], order[n // 2 : 2 * (n // 2)]
    halves = _split(len(a), len(folds))
    null = detect(detector, arrays.take_rows(X, a), arrays.take_rows(X, b), halves)
    return {REAL: null, SHUFFLED: detect(detector, X, gross, folds)}


def _split(n: int, k: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rows = np.arange(n)
    return [(rows[rows % k != fold], rows[rows % k == fold]) for fold in range(k)]
