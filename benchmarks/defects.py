"""Two worlds with fresh real rows, and defects planted in them: nothing but the defect differs.

Every defect starts from real rows that nobody has seen and changes only what it names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Table = tuple[pd.DataFrame, np.ndarray]


@dataclass(frozen=True)
class World:
    """Where real rows come from, and the columns by the part that they play."""

    name: str
    draw: Callable[[int, np.random.Generator], list[Table]]  # three disjoint tables of n rows
    group: str
    shrunk: str  # a number whose variance, range and digits suffer
    tailed: str
    tied: tuple[str, str]  # two columns that depend on each other strongly
    alone: str  # a column that becomes independent
    scaled: str
    category: str
    level: str  # of the category, about 5 %
    holed: str  # a column with missing cells
    mode: Callable[[pd.DataFrame], pd.Series]
    step: float  # to which the number is rounded
    clip: tuple[float, float] = (0.02, 0.98)


def simulated(n: int, rng: np.random.Generator) -> Table:
    """Draw a mixed table: a correlation of .9, a parabola, a parity of three, a small mode, holes, groups."""
    sex = rng.choice(["female", "male"], n, p=[0.4, 0.6])
    a = rng.normal(size=n)
    b = 0.9 * a + np.sqrt(1 - 0.81) * rng.normal(size=n)
    u = rng.normal(size=n)
    parts = rng.normal(size=(n, 2))
    parity = np.abs(rng.normal(size=n)) * np.sign(parts[:, 0] * parts[:, 1])
    odd = rng.random(n) < 0.04
    income = np.exp(0.6 * rng.normal(size=n) + 0.2 * a)
    work = rng.choice(["office", "field", "shop", "home", "sea"], n, p=[0.4, 0.25, 0.2, 0.1, 0.05])
    town = np.where(rng.random(n) < 0.6, np.char.add("near ", work), rng.choice(["north", "south"], n))
    score = rng.normal(size=n) + 0.5 * u
    score[rng.random(n) < 0.08] = np.nan
    chance = 1 / (1 + np.exp(-(a + 0.7 * u - 0.8 + 0.6 * (sex == "male"))))
    X = pd.DataFrame(
        {
            "sex": pd.Categorical(sex),
            "age": rng.integers(18, 80, n),
            "a": a,
            "b": b,
            "u": u,
            "square": u**2 + 0.1 * rng.normal(size=n),
            "first": parts[:, 0],
            "second": parts[:, 1],
            "parity": parity,
            "place": np.where(odd, 7.0, 0.0) + rng.normal(size=n),
            "height": np.where(odd, -7.0, 0.0) + rng.normal(size=n),
            "income": income,
            "work": pd.Categorical(work),
            "town": pd.Categorical(town),
            "score": score,
        }
    )
    return X, (rng.random(n) < chance).astype(int)


def simulated_world() -> World:
    """Return the simulated world."""
    return World(
        "simulated", lambda n, rng: [simulated(n, rng) for _ in range(3)], "sex", "a", "income", ("a", "b"),
        "u", "income", "work", "sea", "score", lambda X: X["place"] > 3.5, 0.25,
    )  # fmt: skip


def symmetric(n: int, rng: np.random.Generator) -> Table:
    """Draw ten correlated Gaussian columns; turning all signs and the label gives the same distribution."""
    mix = np.random.default_rng(1).normal(size=(10, 10)) / np.sqrt(10) + np.eye(10)
    x = rng.normal(size=(n, 10)) @ mix
    X = pd.DataFrame(x, columns=[f"x{j}" for j in range(10)])
    X.insert(0, "sex", pd.Categorical(rng.choice(["female", "male"], n, p=[0.4, 0.6])))
    return X, (x[:, 0] + rng.normal(size=n) > 0).astype(int)


def symmetric_world() -> World:
    """Return the world in which copies can hide behind their signs."""
    return World(
        "symmetric", lambda n, rng: [symmetric(n, rng) for _ in range(3)], "sex", "x0", "x0", ("x0", "x1"),
        "x0", "x0", "sex", "male", "x0", lambda X: X["x0"] > 2, 0.25,
    )  # fmt: skip


def adult_world(folder: Path | None) -> World:
    """Return Adult: three disjoint random parts of its rows."""
    from data import _table, data_folder

    X, y, _ = _table("adult", data_folder(folder))

    def draw(n: int, rng: np.random.Generator) -> list[Table]:
        rows = rng.permutation(len(X))[: 3 * n].reshape(3, n)
        return [(X.iloc[part].reset_index(drop=True), y[part]) for part in rows]

    return World(
        "adult", draw, "sex", "age", "fnlwgt", ("education", "education_num"), "relationship",
        "hours_per_week", "occupation", "Transport-moving", "workclass", lambda X: X["capital_gain"] > 5000,
        5.0, (0.05, 0.95),
    )  # fmt: skip


# ------------------------------------------------------------------ defects
@dataclass(frozen=True)
class Planted:
    """A defect: ``make(world, train, new, rng)`` returns the new table with it."""

    make: Callable[[World, Table, Table, np.random.Generator], Table]
    worlds: tuple[str, ...] = ("simulated", "adult")
    grouped: bool = True
    keyed: bool = False  # tables have an identifier column


def _numbers(X: pd.DataFrame) -> list[Any]:
    return [c for c in X if pd.api.types.is_numeric_dtype(X[c])]


def _back(X: pd.DataFrame, old: pd.DataFrame) -> pd.DataFrame:
    """Give integer columns their type again."""
    return X.assign(
        **{c: X[c].round().astype(old[c].dtype) for c in _numbers(old) if old[c].dtype.kind == "i"}
    )


def copies(share: float) -> Callable[..., Table]:
    """Replace a share of the rows by training rows."""

    def make(world: World, train: Table, new: Table, rng: np.random.Generator) -> Table:
        X, y = new[0].copy(), new[1].copy()
        some, source = (rng.permutation(len(X))[: round(share * len(X))] for _ in range(2))
        X.iloc[some], y[some] = train[0].iloc[source].to_numpy(dtype=object), train[1][source]
        return X.astype(new[0].dtypes.to_dict()), y

    return make


def noisy_copies(world: World, train: Table, new: Table, rng: np.random.Generator) -> Table:
    """All training rows, numbers with noise of 2 % of their standard deviation."""
    X = train[0].copy()
    for c in _numbers(X):
        X[c] = X[c] + 0.02 * X[c].std() * rng.normal(size=len(X))
    return _back(X, train[0]), train[1]


def negated_copies(world: World, train: Table, new: Table, rng: np.random.Generator) -> Table:
    """All training rows with all signs turned, labels too: the distribution stays what it is."""
    return train[0].assign(**{c: -train[0][c] for c in _numbers(train[0])}), 1 - train[1]


def shuffled(column: Callable[[World], str], share: float = 1.0) -> Callable[..., Table]:
    """Shuffle a column."""

    def make(world: World, train: Table, new: Table, rng: np.random.Generator) -> Table:
        X, c = new[0].copy(), column(world)
        some = rng.permutation(len(X))[: round(share * len(X))]
        X.loc[some, c] = X.loc[rng.permutation(some), c].to_numpy()
        return X, new[1]

    return make


def edited(edit: Callable[[World, pd.DataFrame, np.random.Generator], pd.DataFrame]) -> Callable[..., Table]:
    """Change the features only."""

    def make(world: World, train: Table, new: Table, rng: np.random.Generator) -> Table:
        return _back(edit(world, new[0].copy(), rng), new[0]), new[1]

    return make


def kept(keep: Callable[[World, pd.DataFrame], pd.Series]) -> Callable[..., Table]:
    """Leave rows out."""

    def make(world: World, train: Table, new: Table, rng: np.random.Generator) -> Table:
        rows = keep(world, new[0]).to_numpy()
        return new[0][rows].reset_index(drop=True), new[1][rows]

    return make


def _invented(w: World, X: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    column = X[w.category].astype(object)
    column[rng.random(len(X)) < 0.01] = "nowhere seen"
    return X.assign(**{w.category: pd.Categorical(column)})


def _tail(w: World, X: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Multiply the largest 5 % by 1.5."""
    x = X[w.tailed].astype(float)
    return X.assign(**{w.tailed: x.where(x <= x.quantile(0.95), 1.5 * x)})


def _clipped(w: World, X: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    x = X[w.shrunk].astype(float)
    return X.assign(**{w.shrunk: x.clip(*x.quantile(list(w.clip)))})


def _without_holes(w: World, X: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    seen = X[w.holed].dropna()
    drawn = seen.iloc[rng.integers(len(seen), size=len(X))].to_numpy()
    return X.assign(**{w.holed: X[w.holed].where(X[w.holed].notna(), pd.Series(drawn, index=X.index))})


def _holes_by_group(w: World, X: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """As many holes as before, all of them in the smaller group."""
    holes = int(X[w.holed].isna().sum())
    X = _without_holes(w, X, rng)
    small = np.flatnonzero(X[w.group] == X[w.group].value_counts().index[-1])
    X.loc[rng.permutation(small)[:holes], w.holed] = np.nan
    return X


def flipped(share: float, one_group: bool) -> Callable[..., Table]:
    """Turn labels round, or shuffle them."""

    def make(world: World, train: Table, new: Table, rng: np.random.Generator) -> Table:
        X, y = new[0], new[1].copy()
        small = (X[world.group] == X[world.group].value_counts().index[-1]).to_numpy()
        some = rng.random(len(X)) < share
        if one_group:
            y[small & some] = 1 - y[small & some]
        else:
            y[some] = rng.permutation(y[some])
        return X, y

    return make


def leaked(world: World, train: Table, new: Table, rng: np.random.Generator) -> Table:
    """Give one row in a hundred the identifier of a training row."""
    X = new[0].copy()
    some, source = (rng.permutation(len(X))[: len(X) // 100] for _ in range(2))
    X.loc[some, "record"] = train[0].loc[source, "record"].to_numpy()
    return X, new[1]


def few_rows(world: World, train: Table, new: Table, rng: np.random.Generator) -> Table:
    """Return 300 fresh rows again and again, with noise of a thousandth."""
    few = rng.integers(300, size=len(new[0]))
    X = new[0].iloc[few].reset_index(drop=True)
    for c in _numbers(X):
        X[c] = X[c] + 0.001 * X[c].std() * rng.normal(size=len(X))
    return _back(X, new[0]), new[1][few]


def other_rates(world: World, train: Table, new: Table, rng: np.random.Generator) -> Table:
    """Leave out every fourth row of the smaller group."""
    small = (new[0][world.group] == new[0][world.group].value_counts().index[-1]).to_numpy()
    keep = ~(small & (rng.random(len(small)) < 0.25))
    return new[0][keep].reset_index(drop=True), new[1][keep]


def _middle(w: World, X: pd.DataFrame, factor: float) -> pd.DataFrame:
    x = X[w.shrunk].astype(float)
    return X.assign(**{w.shrunk: x.mean() + factor * (x - x.mean())})


DEFECTS: dict[str, Planted] = {
    "none": Planted(lambda w, t, n, r: n, ("simulated", "adult", "symmetric")),
    "copies 0.5 %": Planted(copies(0.005)),
    "copies 1 %": Planted(copies(0.01)),
    "copies 5 %": Planted(copies(0.05)),
    "copies 20 %": Planted(copies(0.20)),
    "copies with 2 % noise": Planted(noisy_copies),
    "negated copies": Planted(negated_copies, ("symmetric",)),
    "strong dependence destroyed": Planted(shuffled(lambda w: w.tied[1])),
    "parabola destroyed": Planted(shuffled(lambda w: "square"), ("simulated",)),
    "parity of three destroyed": Planted(
        edited(lambda w, X, r: X.assign(parity=X["parity"] * r.choice([-1, 1], len(X)))), ("simulated",)
    ),
    "mode dropped": Planted(kept(lambda w, X: ~w.mode(X))),
    "category dropped": Planted(kept(lambda w, X: (X[w.category].astype(object) != w.level))),
    "category invented": Planted(edited(_invented)),
    "variance shrunken": Planted(edited(lambda w, X, r: _middle(w, X, 0.8))),
    "tail shifted": Planted(edited(_tail)),
    "range clipped": Planted(edited(_clipped)),
    "values rounded": Planted(
        edited(lambda w, X, r: X.assign(**{w.shrunk: (X[w.shrunk] / w.step).round() * w.step}))
    ),
    "labels flipped in one group": Planted(flipped(0.2, True)),
    "labels shuffled, 10 %": Planted(flipped(0.1, False)),
    "labels shuffled, 30 %": Planted(flipped(0.3, False)),
    "identifier leaked": Planted(leaked, keyed=True),
    "support of 300 rows": Planted(few_rows),
    "missing cells filled": Planted(edited(_without_holes)),
    "missing cells in one group only": Planted(edited(_holes_by_group)),
    "one column independent": Planted(shuffled(lambda w: w.alone)),
    "group rates changed": Planted(other_rates, grouped=False),
    "unit changed (x 1.1)": Planted(
        edited(lambda w, X, r: X.assign(**{w.scaled: 1.1 * X[w.scaled]}))
    ),
}  # fmt: skip


def planted(world: World, name: str, n: int, seed: int) -> tuple[Table, Table, Table]:
    """Return training rows, new rows with the defect, and held-out rows."""
    rng = np.random.default_rng([seed, 77])
    train, new, held = world.draw(n, rng)
    if DEFECTS[name].keyed:
        codes = rng.permutation(10**7)[: 3 * n].reshape(3, n)
        for part, (X, _) in zip(codes, (train, new, held), strict=True):
            X["record"] = [f"R{code:07d}" for code in part]
    changed = DEFECTS[name].make(world, train, new, rng)
    return train, (changed[0].reset_index(drop=True), changed[1]), held
