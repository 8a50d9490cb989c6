"""A small table with every kind of column and holes in it, and how filled tables are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from augsynth.testing.comparing import expect

__all__ = ["changed_cells", "expect_same", "own_columns", "toy_holes"]


def toy_holes(n: int = 60, *, share: float = 0.15, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Return a small table with holes in columns of every dtype, and labels.

    Parameters
    ----------
    n : int, default=60
        Rows, at least 20. The first two are whole; no two are equal.
    share : float, default=0.15
        Of the cells that are missing, at random, in each column but the second.
    seed : int

    Returns
    -------
    X : DataFrame, (n, 14)
        Its index does not start at 0, and its columns hang together.
    y : Series, (n,)
        "no" and "yes".

    Examples
    --------
    >>> X, y = toy_holes()
    >>> X.shape, int(X["member"].isna().sum())
    ((60, 14), 0)
    """
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n)
    three = np.digitize(level + 0.5 * rng.normal(size=n), [-0.5, 0.7])
    days = np.rint(400 + 100 * level + 30 * rng.normal(size=n)).astype(int)
    words, sizes = np.array(["cook", "clerk", "judge"], dtype=object), np.array(["S", "M", "L"], dtype=object)
    columns: dict[str, Any] = {
        "income": np.exp(3 + 0.5 * level + 0.2 * rng.normal(size=n)),
        "member": rng.random(n) < 1 / (1 + np.exp(-level)),  # numpy's bool has no missing value
        "height": (170 + 8 * level + 4 * rng.normal(size=n)).astype(np.float32),
        "rooms": np.rint(5 + 2 * level + rng.normal(size=n)),
        "visits": pd.array(rng.poisson(np.exp(1 + 0.4 * level)), dtype="Int64"),
        "smokes": pd.array(rng.random(n) < 0.4, dtype="boolean"),
        "town": pd.array(np.array(["Ulm", "Bonn", "Kiel"])[three], dtype="str"),
        "post": words[three],
        "job": pd.Categorical(words[rng.integers(0, 3, n)], categories=[*words, "mayor"]),
        "size": pd.Categorical(sizes[three], categories=list(sizes), ordered=True),
        "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(days, unit="D"),
        "stay": pd.to_timedelta(days, unit="h"),
        "code": pd.array(np.array(["a", "b"])[(level > 0).astype(int)], dtype="string[pyarrow]"),
        "steps": pd.array(np.rint(1000 + 300 * level).astype(int), dtype="int64[pyarrow]"),
    }
    X = pd.DataFrame(columns, index=1000 + 3 * np.arange(n))
    hidden = rng.random(X.shape) < share
    hidden[:2] = hidden[:, 1] = False
    for j, name in enumerate(X.columns):
        X[name] = X[name].mask(hidden[:, j])
    labels = np.where(level + rng.normal(size=n) > 0.4, "yes", "no")
    return X.astype({"member": bool, "post": object}), pd.Series(labels, index=X.index, name="label")


def own_columns(filled: Any, X: Any) -> Any:
    """Return the columns of ``X`` out of a filled table, which may hold indicators after them."""
    return filled.iloc[:, : X.shape[1]] if isinstance(filled, pd.DataFrame) else filled[:, : X.shape[1]]


def expect_same(made: Any, wanted: Any, failure: str) -> None:
    """Raise AssertionError, with the first columns that differ, unless two tables are equal."""
    one, two = pd.DataFrame(made), pd.DataFrame(wanted)
    expect(one.shape == two.shape, f"{failure}: shape {one.shape}, not {two.shape}")
    differing = [
        f"{name!r} in {_number_different(one.iloc[:, j], two.iloc[:, j])} rows"
        for j, name in enumerate(two.columns)
        if not one.iloc[:, j].reset_index(drop=True).equals(two.iloc[:, j].reset_index(drop=True))
    ]
    expect(not differing, f"{failure}: {', '.join(differing[:3])}")


def _number_different(one: pd.Series, two: pd.Series) -> str:
    a, b = one.astype(object).to_numpy(), two.astype(object).to_numpy()
    same = [x is y or (pd.isna(x) and pd.isna(y)) or x == y for x, y in zip(a, b, strict=True)]
    return f"{len(same) - sum(same)} of {len(same)}"


def changed_cells(filled: pd.DataFrame, X: pd.DataFrame) -> list[str]:
    """Name the columns in which a cell that was observed is another one now, to the last bit."""
    changed = []
    for j, name in enumerate(X.columns):
        seen = X.iloc[:, j].notna().to_numpy()
        before, after = X.iloc[:, j][seen], filled.iloc[:, j][seen]
        if isinstance(before.dtype, np.dtype) and before.dtype.kind == "f":
            same = before.to_numpy().tobytes() == after.to_numpy(before.dtype).tobytes()
        else:
            same = before.astype(object).tolist() == after.astype(object).tolist()
        if not same:
            changed.append(str(name))
    return changed
