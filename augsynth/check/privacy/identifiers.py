"""Whether names, numbers and dates that belong to one training row stand in the new rows."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence
from augsynth.check.finding import COPY, HOLDOUT, Check, Finding
from augsynth.check.intervals import wilson
from augsynth.check.permutation import worded
from augsynth.check.privacy.references import needs_holdout
from augsynth.check.privacy.twins import Twins, count_twins

__all__ = ["Identifiers"]

_UNIQUE = 0.9  # share of distinct values from which on a value belongs to one row
_FEW = 20
_SHOWN = 12


class Identifiers(Check):
    """The share of new rows with an identifying value of a training row: the worst column.

    Looked at are the columns left out of the other checks (names, keys, free text), and
    numbers and dates nearly all of whose values are different.
    """

    part: ClassVar[str] = "memorisation"
    name: ClassVar[str] = "identifiers"
    title: ClassVar[str] = "Identifying values of training rows in the new rows"
    controlled = (HOLDOUT, COPY)  # the others have no names of their own

    def applies(self, evidence: Evidence) -> str:
        """Only tables have columns, and some of them must be identifying."""
        if evidence.modality != "table":
            return "Only tables have columns."
        if not _columns(evidence):
            return (
                "No column that has values in the new rows identifies rows: none has nearly as many "
                "different values as there are rows."
            )
        return ""

    def value(self, evidence: Evidence, rng: np.random.Generator) -> float:
        """Return the share of the worst column."""
        return max(_share(evidence, name) for name in _columns(evidence))

    def run(self, evidence: Evidence, rng: np.random.Generator) -> Finding:
        """Return the share of the worst column, with its test."""
        names = _columns(evidence)
        missing = needs_holdout(evidence)
        if evidence.holdout is None or missing:
            shares = {name: _share(evidence, name) for name in names}
            worst = max(names, key=lambda name: shares[name])
            low, high = wilson(shares[worst], len(evidence.made))
            told = f"{shares[worst]:.1%} of the new rows have a value of {worst!r} that a training row has."
            return Finding(
                self.part, self.name, self.title, shares[worst], "share of new rows", low, high,
                n=len(evidence.made), sentence=told, caution=missing,
            )  # fmt: skip
        found = {name: _twins(evidence, name) for name in names}
        shares = {name: float(twins.in_train.mean()) for name, twins in found.items()}
        worst = min(names, key=lambda name: (found[name].p_value, -shares[name]))
        p = min(1.0, len(names) * found[worst].p_value)
        low, high = wilson(shares[worst], len(found[worst].in_train))
        return Finding(
            self.part, self.name, self.title, shares[worst], "share of new rows", low, high,
            found[worst].natural, p, len(evidence.made), _sentence(worst, found[worst], p),
            "A generator that draws single values from the real ones fails here even if no row is a copy: "
            "leave out or replace such columns.",
            details={"columns": _table(found), "values": _values(evidence, worst)},
        )  # fmt: skip


def _columns(evidence: Evidence) -> list[Any]:
    """Return the names of the columns whose values belong to one row each, if new rows have any there."""
    frame, kind = evidence.train.X, pd.api.types
    if not isinstance(frame, pd.DataFrame):
        return []
    names = list(evidence.left_out)
    for name in frame.columns:
        column = frame[name]
        if name in names or not (kind.is_numeric_dtype(column) or kind.is_datetime64_any_dtype(column)):
            continue
        present = int(column.notna().sum())
        if present >= _FEW and column.nunique() >= _UNIQUE * present:
            names.append(name)
    return [name for name in names if evidence.made.X[name].notna().any()]


def _keys(evidence: Evidence, name: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return numbers for the values of new, training and held-out rows, and the cells of those rows."""
    parts = [evidence.made, evidence.train] + ([] if evidence.holdout is None else [evidence.holdout])
    columns = [part.X[name] for part in parts]
    there = [column.notna().to_numpy() for column in columns]
    values = pd.concat([column[seen] for column, seen in zip(columns, there, strict=True)], ignore_index=True)
    codes = pd.factorize(values.to_numpy(dtype=object))[0]
    ends = np.cumsum([int(seen.sum()) for seen in there])[:-1]
    return np.split(codes, ends), [part.cells[seen] for part, seen in zip(parts, there, strict=True)]


def _share(evidence: Evidence, name: Any) -> float:
    keys, _ = _keys(evidence, name)
    return float(np.isin(keys[0], keys[1]).sum() / len(evidence.made))


def _twins(evidence: Evidence, name: Any) -> Twins:
    keys, cells = _keys(evidence, name)
    return count_twins(keys[0], keys[1], keys[2], (cells[0], cells[1], cells[2]))


def _table(found: dict[Any, Twins]) -> pd.DataFrame:
    rows = [
        {
            "column": str(name),
            "in_training": float(twins.in_train.mean()) if len(twins.in_train) else 0.0,
            "in_heldout": float(twins.in_holdout.mean()) if len(twins.in_holdout) else 0.0,
            "natural": twins.natural,
            "p_value": twins.p_value,
        }
        for name, twins in found.items()
    ]
    return pd.DataFrame(rows)


def _values(evidence: Evidence, name: Any) -> pd.DataFrame:
    """Return new rows and the training rows that have the same value."""
    made, train = evidence.made.X[name], evidence.train.X[name]
    first = pd.Series(np.arange(len(train)), index=train.to_numpy(dtype=object))
    first = first[first.index.notna() & ~first.index.duplicated()]
    place = first.reindex(made.to_numpy(dtype=object)).to_numpy()
    rows = np.flatnonzero(~np.isnan(place.astype(float)))[:_SHOWN]
    return pd.DataFrame(
        {"new": rows, "train": place[rows].astype(int), "value": made.iloc[rows].astype(str).to_numpy()}
    )


def _sentence(name: Any, twins: Twins, p: float) -> str:
    told = (
        f"{twins.in_train.mean():.1%} of the new rows have a value of {name!r} that stands in a training row "
        f"(of those with a value); {twins.natural:.1%} of real rows do"
    )
    claim = f", and {twins.in_holdout.mean():.1%} have one of a held-out row: values were taken over"
    return worded(told, claim, p, ": identifying values were not taken over")
