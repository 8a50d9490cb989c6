"""How many rows of each class, group and cell there were, and how many there are with the new ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence

__all__ = ["row_counts"]


def row_counts(evidence: Evidence) -> pd.DataFrame:
    """Return rows before, new and after of each class, group and class in a group.

    Columns ``of`` ("class", "group" or "class and group"), ``name``, ``before``, ``new``,
    ``after`` and ``held_out``. Without classes and groups there is one line for all rows.
    """
    kinds: list[tuple[str, str, list[str]]] = []
    if evidence.classes:
        kinds.append(("class", "labels", list(evidence.classes)))
    if evidence.groups:
        kinds.append(("group", "groups", list(evidence.groups)))
    if evidence.classes and evidence.groups:
        kinds.append(("class and group", "cells", list(evidence.cells)))
    samples = {"before": evidence.train, "new": evidence.made, "held_out": evidence.holdout}
    frames = []
    for of, attribute, names in kinds or [("all rows", "", ["all"])]:
        frame = pd.DataFrame({"of": of, "name": names})
        for column, rows in samples.items():
            codes = (
                np.zeros(len(rows), dtype=int) if rows is not None and not attribute
                else np.empty(0, dtype=int) if rows is None else getattr(rows, attribute)
            )  # fmt: skip
            frame[column] = np.bincount(codes, minlength=len(names))
        frame["after"] = frame["before"] + frame["new"]
        frames.append(frame.sort_values("before", ascending=False, kind="stable"))
    return pd.concat(frames, ignore_index=True)[["of", "name", "before", "new", "after", "held_out"]]
