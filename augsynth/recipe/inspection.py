"""A first look at a synthetic table beside the real one: columns, types, labels, copies.

It says whether the tables fit together and how many rows are copies. It does not say
whether the synthetic rows are useful: that takes a comparison (``augsynth run``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from augsynth.core.errors import DataError, offenders
from augsynth.recipe.wording import meant

__all__ = ["Inspection", "inspect_tables"]


@dataclass
class Inspection:
    """What was found.

    Attributes
    ----------
    problems : list of str
        Reasons why the tables do not fit together.
    rows : tuple of int
        Rows of the real and of the synthetic table.
    contained : int
        Real rows, from the first on, that open the synthetic table unchanged: an
        enlarged table starts with them.
    copies, repeats : int
        Among the other synthetic rows: those equal to a real row in every column, and
        those equal to an earlier synthetic row.
    labels : DataFrame or None
        Rows of each label in both tables.
    """

    problems: list[str] = field(default_factory=list)
    rows: tuple[int, int] = (0, 0)
    contained: int = 0
    copies: int = 0
    repeats: int = 0
    labels: pd.DataFrame | None = None

    @property
    def new(self) -> int:
        """Synthetic rows beyond the real ones that open the table."""
        return self.rows[1] - self.contained


def _family(column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column):
        return "true/false"
    if pd.api.types.is_numeric_dtype(column):
        return "numbers"
    return "dates" if pd.api.types.is_datetime64_any_dtype(column) else "text"


def inspect_tables(real: pd.DataFrame, synthetic: pd.DataFrame, target: str | None = None) -> Inspection:
    """Compare a synthetic or enlarged table with the real one.

    Parameters
    ----------
    real, synthetic : DataFrame
    target : str, optional
        The column of the labels.

    Raises
    ------
    DataError
        If the real table has no such target.
    """
    if target is not None and target not in real.columns:
        raise DataError(f"--target: the real table has no column {target!r}{meant(target, real.columns)}.")
    found = Inspection(rows=(len(real), len(synthetic)))
    absent = [name for name in real.columns if name not in synthetic.columns]
    extra = [name for name in synthetic.columns if name not in real.columns]
    if absent:
        found.problems.append(f"the synthetic table lacks columns: {offenders(absent)}")
    if extra:
        found.problems.append(f"the real table lacks columns: {offenders(extra)}")
    shared = [name for name in real.columns if name in synthetic.columns]
    for name in shared:
        kinds = _family(real[name]), _family(synthetic[name])
        if kinds[0] != kinds[1] and not real[name].isna().all():
            found.problems.append(
                f"{name} holds {kinds[0]} in the real table and {kinds[1]} in the synthetic one"
            )
    if target in shared:
        _check_labels(real, synthetic, str(target), found)
    if shared and not absent:
        _count_copies(real[shared], synthetic[shared], found)
    return found


def _check_labels(real: pd.DataFrame, synthetic: pd.DataFrame, target: str, found: Inspection) -> None:
    counts = {
        name: table[target].astype(str).value_counts()
        for name, table in (("real", real), ("synthetic", synthetic))
    }
    found.labels = (
        pd.DataFrame(counts).fillna(0).astype(int).sort_values("real", ascending=False, kind="stable")
    )
    unknown = found.labels.index[found.labels["real"] == 0].tolist()
    if unknown:
        found.problems.append(f"the synthetic table has labels that the real one lacks: {offenders(unknown)}")


def _count_copies(real: pd.DataFrame, synthetic: pd.DataFrame, found: Inspection) -> None:
    keys_real, keys = _row_keys(real), _row_keys(synthetic)
    n = min(len(keys_real), len(keys))
    differs = np.flatnonzero(keys_real[:n] != keys[:n])
    # Only the whole real table counts as the opening: a few equal first rows are copies.
    found.contained = n if not len(differs) and len(keys) >= len(keys_real) else 0
    new = keys[found.contained :]
    found.copies = int(np.isin(new, keys_real).sum())
    found.repeats = int(pd.Series(new).duplicated().sum())


def _row_keys(table: pd.DataFrame) -> np.ndarray:
    plain = pd.DataFrame(
        {
            name: table[name].astype(float) if _family(table[name]) == "numbers" else table[name].astype(str)
            for name in table.columns
        }
    )
    return pd.util.hash_pandas_object(plain, index=False).to_numpy()
