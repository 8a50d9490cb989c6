"""New rows beside the training row and the held-out row that they are closest to."""

from __future__ import annotations

import numpy as np
import pandas as pd

from augsynth.check.evidence import Evidence
from augsynth.check.privacy.references import nearest, references

__all__ = ["suspicious_pairs"]

_SHOWN = 12
_LOOKED_AT = 200


def suspicious_pairs(evidence: Evidence, shown: int = _SHOWN) -> pd.DataFrame:
    """Return the new rows that lie nearest to a training row, for how near held-out rows are.

    Returns
    -------
    DataFrame
        Columns new, train, distance_train, holdout, distance_holdout: places in the new,
        the training and the held-out rows, most suspicious first.
    """
    refs, near = references(evidence), nearest(evidence)
    n = refs.n_pairs
    # the ratio of the nearest training row to the nearest other reference tells which to look at closer
    first = near.positions[:, 0] < n
    ratio = near.distances[:, 0] / np.maximum(near.distances[:, 1], 1e-300)
    ratio[~first] = np.inf
    rows = np.argsort(ratio, kind="stable")[:_LOOKED_AT]
    z = evidence.made.z[near.made[rows]]
    to_train, train = evidence.index(evidence.train).query(z, 1)
    to_held, held = evidence.index(evidence.reference).query(z, 1)
    table = pd.DataFrame(
        {
            "new": near.made[rows],
            "train": train[:, 0],
            "distance_train": to_train[:, 0],
            "holdout": held[:, 0],
            "distance_holdout": to_held[:, 0],
        }
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        suspicion = (table["distance_train"] / table["distance_holdout"]).fillna(1.0).to_numpy()
    order = np.lexsort((table["distance_train"], suspicion))[:shown]
    return table.iloc[order].reset_index(drop=True)


def pairs_of(
    evidence: Evidence, rows: np.ndarray, positions: np.ndarray, shown: int = _SHOWN
) -> pd.DataFrame:
    """Return the same table for given new rows and the references that they resemble in some view.

    Parameters
    ----------
    rows : places of new rows
    positions : the reference of each; held-out ones are left out
    """
    refs = references(evidence)
    train = positions < refs.n_pairs
    rows, places = rows[train], refs.train[positions[train]]
    apart = evidence.distance.pairs(evidence.made.z[rows], evidence.train.z[places])
    order = np.argsort(apart, kind="stable")[:shown]
    held_apart, held = evidence.index(evidence.reference).query(evidence.made.z[rows[order]], 1)
    return pd.DataFrame(
        {
            "new": rows[order],
            "train": places[order],
            "distance_train": apart[order],
            "holdout": held[:, 0],
            "distance_holdout": held_apart[:, 0],
        }
    )
