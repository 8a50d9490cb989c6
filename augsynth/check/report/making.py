"""What a report holds beside its checks: whom the data serve, what the generator's density says."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from augsynth.check.bias.data import DataBias, data_bias
from augsynth.check.bias.paired import PairedGroups, before_after
from augsynth.check.bias.slices import SliceReport, find_slices
from augsynth.check.downstream import Trial
from augsynth.check.downstream.trained import BOTH, REAL
from augsynth.check.evidence import Evidence, Rows
from augsynth.check.fidelity import LogLikelihood
from augsynth.check.finding import Check
from augsynth.check.records import writable
from augsynth.core.arrays import count_rows, take_rows
from augsynth.core.errors import AugsynthError, AugsynthWarning, InputTypeError, sentence

__all__ = ["bias_of", "density_checks", "group_names", "group_table", "labels_of", "missing_real_rows"]
__all__ += ["paired_groups", "worst_slices"]

_MOST_LIKELIHOOD = 2000  # rows whose density is asked for
_MOST_CELLS = 8
_FEWEST_SLICED = 200  # held-out rows


def group_names(sensitive_features: Any, group_columns: Sequence[Any]) -> list[str]:
    """Return the names of the attributes that make the groups."""
    if len(group_columns):
        named = [group_columns] if isinstance(group_columns, str) else group_columns
        return [writable(str(name)) for name in named]
    if isinstance(sensitive_features, pd.DataFrame):
        return [writable(str(name)) for name in sensitive_features.columns]
    name = getattr(sensitive_features, "name", None)
    return ["group" if name is None else writable(str(name))]


def group_table(evidence: Evidence, rows: Rows, names: Sequence[str]) -> pd.DataFrame:
    """Return the groups of rows, an attribute a column."""
    texts = pd.Series(np.asarray(evidence.groups, dtype=object)[rows.groups], dtype=object)
    parts = texts.str.split(" / ", expand=True) if len(names) > 1 else pd.DataFrame({0: texts})
    if parts.shape[1] != len(names) or parts.isna().to_numpy().any():  # a value holds the mark itself
        return pd.DataFrame({" / ".join(names): texts})
    return parts.set_axis(list(names), axis=1)


def labels_of(evidence: Evidence, codes: np.ndarray) -> np.ndarray:
    """Return labels by code, or numbers as they are."""
    if evidence.target_kind != "class":
        return np.asarray(codes, dtype=float)
    return np.asarray(evidence.classes, dtype=object)[np.asarray(codes, dtype=int)]


def bias_of(evidence: Evidence, names: Sequence[str], alpha: float, notes: list[str]) -> DataBias | None:
    """Return whom the training rows serve, and how the new rows shift it; None without groups or labels."""
    if not evidence.groups or evidence.target_kind == "none":
        return None
    sides = []
    for rows in (evidence.train, evidence.made):
        frame = rows.X if isinstance(rows.X, pd.DataFrame) else pd.DataFrame({"row": np.arange(len(rows))})
        target = rows.target if evidence.target_kind == "number" else rows.labels
        sides.append((frame, labels_of(evidence, target), group_table(evidence, rows, names)))
    X, y, groups = sides[0]
    after = [
        pd.concat([first, second], ignore_index=True) if isinstance(first, pd.DataFrame)
        else np.concatenate([first, second])
        for first, second in zip(*sides, strict=True)
    ]  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AugsynthWarning)
            found = data_bias(
                X, y, sensitive_features=groups, other=after, alpha=alpha, random_state=evidence.seed
            )
            return replace(found, settings={**found.settings, "other": "with the new rows"})
    except AugsynthError as error:
        notes.append(f"Groups of the data were not looked at: {' '.join(str(error).split())}")
        return None


def paired_groups(
    evidence: Evidence, trial: Trial, names: Sequence[str], alpha: float, notes: list[str]
) -> PairedGroups | None:
    """Return who gained and who lost among held-out rows, by the models of a trial; None without groups."""
    if not evidence.groups or evidence.holdout is None or not {REAL, BOTH} <= set(trial.predictions):
        return None
    held = evidence.holdout
    truth = held.target if evidence.target_kind == "number" else held.labels
    y_true, before, after = (
        labels_of(evidence, each) for each in (truth, trial.predictions[REAL], trial.predictions[BOTH])
    )
    try:
        return before_after(
            y_true, before, after, sensitive_features=group_table(evidence, held, names), alpha=alpha
        )
    except AugsynthError as error:
        notes.append(f"Groups before and after were not compared: {' '.join(str(error).split())}")
        return None


def worst_slices(evidence: Evidence, trial: Trial, alpha: float, notes: list[str]) -> SliceReport | None:
    """Return the subgroups, named by nobody, in which the model with the new rows errs most."""
    held = evidence.holdout
    if held is None or not isinstance(held.X, pd.DataFrame) or BOTH not in trial.predictions:
        return None
    most = min(evidence.max_rows or len(held), len(held))
    places = np.unique(np.linspace(0, len(held) - 1, most).astype(int))
    if len(places) < _FEWEST_SLICED:
        return None
    truth = (held.target if evidence.target_kind == "number" else held.labels)[places]
    frame = held.X.iloc[places].drop(columns=list(evidence.left_out))
    told = trial.predictions[BOTH][places]
    loss = np.abs(truth - told) if evidence.target_kind == "number" else (truth != told).astype(float)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AugsynthWarning)
            return find_slices(frame, loss=loss, alpha=alpha, random_state=evidence.seed)
    except AugsynthError as error:
        notes.append(f"Subgroups were not searched: {' '.join(str(error).split())}")
        return None


def missing_real_rows(bias: DataBias | None) -> list[str]:
    """Say which cells need more real rows, and how many; synthetic ones repeat what is known of them."""
    if bias is None or "more_for_recall" not in bias.rates:
        return []
    thin = bias.thin
    thin = thin[(thin["attribute"] != "all rows") & (thin["more_for_recall"] > 0)].sort_values("hits")
    width = bias.settings["width"] / 2
    told = [
        f"{row.attribute} {row.group}, class {row.label}: {row.hits:,} real rows; {row.more_for_recall:,} "
        f"more would tell its recall within {100 * width:g} % either way."
        for row in thin.head(_MOST_CELLS).itertuples()
    ]
    return told + ([f"{len(thin) - _MOST_CELLS} more such cells."] if len(thin) > _MOST_CELLS else [])


def density_checks(generator: Any, train: Sequence[Any], holdout: Sequence[Any] | None) -> list[Check]:
    """Return the check of held-out likelihood of the generator, if there is one.

    Where it cannot be made the check says why: without held-out rows, without `log_prob`, or
    if the generator has no density of rows like these (it may refuse only when it is asked).
    """
    if generator is not None and (isinstance(generator, type) or not hasattr(generator, "sample")):
        must = "generator must be the fitted generator that made the rows"
        raise InputTypeError(sentence("report", must, repr(generator), "Or leave it out."))
    if generator is None:
        return []
    if holdout is None:
        return [LogLikelihood(generator, (), refused="Needs real rows that the generator has not seen.")]
    held, known = _some(holdout, _MOST_LIKELIHOOD), _some(train, _MOST_LIKELIHOOD)
    refused = ""
    if callable(getattr(generator, "log_prob", None)):
        try:  # on one row first
            _density(generator, _some(holdout, 1))
        except (AugsynthError, NotImplementedError) as error:
            told = f": {_line(error)}." if str(error) else "."
            refused = f"{type(generator).__name__} gives no density of these rows{told}"
        except Exception as error:  # a fault of somebody's generator costs this figure, not the report
            told = f"log_prob of {type(generator).__name__} failed with {type(error).__name__}"
            refused = f"{told}: {_line(error)}." if str(error) else f"{told}."
    return [LogLikelihood(generator, held, known, refused=refused)]


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _density(generator: Any, rows: Sequence[Any]) -> Any:
    X, y, groups = rows
    return generator.log_prob(X, y) if groups is None else generator.log_prob(X, y, sensitive_features=groups)


def _some(rows: Sequence[Any], most: int) -> tuple[Any, Any, Any]:
    """Return every so manieth row, label and group."""
    n = count_rows(rows[0])
    places = np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))
    X, y, groups = (*rows, None, None)[:3]
    taken = [None if each is None else take_rows(each, places) for each in (X, y, groups)]
    return taken[0], taken[1], taken[2]
