"""The contestants of the imputation benchmark: peers at their defaults and the imputers of augsynth.

Each contestant takes training rows with holes, hold-out rows with holes, a seed and the number of
draws, and returns the completed rows with what they cost. No contestant sees a target.

Peers that read numbers only get numbers in standard deviations; categories as dummies (the largest
one wins) or as ordinal codes (rounded), as ``ENCODING`` says; ``ridge:codes`` and ``forest:dummies``
are the other way, on tables that have categories. Neither way is good in IterativeImputer: dummies of one
category tell each other, so a ridge stays at the most frequent level, and a forest jumps between levels
(and takes three times as long); codes have an order that means nothing. The draws of ridge are on codes,
twice as near to the truth as on dummies. miceforest and MissForest read categories as such.

mean         SimpleImputer, mean and most frequent
knn          KNNImputer, 5 neighbours
ridge        IterativeImputer, BayesianRidge; its draws: the same with sample_posterior=True
forest       IterativeImputer, RandomForestRegressor of 100 trees, 10 rounds
miceforest   5 rounds; the point completion without mean matching (its predictions), its draws with,
             categories drawn by their probability (its matching fails on rare levels); one draw, for its
             cost. Under pandas 3.1 its completions of hold-out rows are no better than its random start
missforest   MissForest of PyPI, LightGBM, 5 rounds
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from harness import Cost, NotHere, measured
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

PEERS = (
    "mean", "knn", "ridge", "ridge:codes", "forest", "forest:dummies", "miceforest", "missforest",
)  # fmt: skip
ENCODING = {"knn": "dummies", "ridge": "dummies", "forest": "codes"}
DRAW_ENCODING = "codes"
OTHER_WAYS = ("ridge:codes", "forest:dummies")
DEFAULT = "chained"
OURS = (
    DEFAULT, "chained:pmm", "chained:bayes", "chained:trees", "donors", "generative:gmm", "generative:trees",
    "generative:masked_diffusion", "generative:autoregressive",
)  # fmt: skip


@dataclass
class Completed:
    """Completed training and hold-out rows, draws of the training rows, and the costs of each."""

    train: pd.DataFrame
    test: pd.DataFrame
    draws: list[pd.DataFrame]
    point_cost: Cost
    test_cost: Cost
    draw_cost: Cost | None = None
    notes: dict[str, Any] = field(default_factory=dict)


def full_name(method: str) -> str:
    """Return the name with the encoding in it: what the completions depend on."""
    if method.startswith("ridge:"):
        return method
    if method == "ridge":
        return f"ridge:{ENCODING[method]}+{DRAW_ENCODING}"
    return f"{method}:{ENCODING[method]}" if method in ENCODING else method


# ------------------------------------------------------------------ numbers only
class Coder:
    """Mixed rows as a matrix of standardised numbers and dummies (or codes), and back."""

    def __init__(self, train: pd.DataFrame, encoding: str):
        self.like, self.dummies = train, encoding == "dummies"
        self.categories = {
            c: list(train[c].cat.categories) for c in train if isinstance(train[c].dtype, pd.CategoricalDtype)
        }
        # A level or a column without any observed training cell is no column of the peers' matrix.
        self.seen = {
            c: [k for k, level in enumerate(levels) if (train[c] == level).any()]
            for c, levels in self.categories.items()
        }
        numbers = train.drop(columns=list(self.categories))
        self.mean, self.sd = numbers.mean(), numbers.std(ddof=0).replace(0.0, 1.0)

    def encode(self, X: pd.DataFrame) -> np.ndarray:
        """Return the matrix; a missing category is missing in all its dummies."""
        parts = []
        for c in X:
            if c not in self.categories:
                parts.append(((X[c] - self.mean[c]) / self.sd[c]).to_numpy(dtype=float)[:, None])
                continue
            codes = X[c].cat.codes.to_numpy().astype(float)
            codes[codes < 0] = np.nan
            if self.dummies:
                hot = (codes[:, None] == np.array(self.seen[c])).astype(float)
                hot[np.isnan(codes)] = np.nan
                parts.append(hot)
            else:
                parts.append(codes[:, None])
        return np.hstack(parts)

    def decode(self, Z: np.ndarray, X: pd.DataFrame) -> pd.DataFrame:
        """Return the completed rows; observed cells of ``X`` are put back as they were."""
        out, at = {}, 0
        for c in X:
            if c not in self.categories:
                out[c] = X[c].fillna(pd.Series(Z[:, at] * self.sd[c] + self.mean[c], index=X.index))
                at += 1
                continue
            levels = self.categories[c]
            if self.dummies:
                width = len(self.seen[c])
                codes = np.array(self.seen[c])[Z[:, at : at + width].argmax(axis=1)]
            else:
                width, codes = 1, np.clip(np.rint(Z[:, at]), 0, len(levels) - 1).astype(int)
            guess = pd.Series(pd.Categorical.from_codes(codes, categories=levels), index=X.index)
            out[c] = X[c].where(X[c].notna(), guess)
            at += width
        return pd.DataFrame(out)


def _sklearn(name: str, seed: int, *, posterior: bool = False) -> Any:
    if name == "knn":
        return KNNImputer(n_neighbors=5)
    if name == "ridge":
        return IterativeImputer(sample_posterior=posterior, random_state=seed)
    forest = RandomForestRegressor(n_estimators=100, random_state=seed)
    return IterativeImputer(estimator=forest, random_state=seed)


def from_sklearn(name: str, train: pd.DataFrame, test: pd.DataFrame, seed: int, m: int) -> Completed:
    """Complete by an imputer of scikit-learn that reads numbers only (``forest:codes`` sets the encoding)."""
    kind, _, encoding = name.partition(":")

    def point() -> tuple[Any, Coder, pd.DataFrame]:
        coder = Coder(train, encoding or ENCODING[kind])
        imputer = _sklearn(kind, seed)
        return imputer, coder, coder.decode(imputer.fit_transform(coder.encode(train)), train)

    def draw() -> list[pd.DataFrame]:
        coder = Coder(train, encoding or DRAW_ENCODING)
        made = []
        for i in range(m):
            imputer = _sklearn(kind, seed * 1000 + i, posterior=True)
            made.append(coder.decode(imputer.fit_transform(coder.encode(train)), train))
        return made

    (imputer, coder, done), point_cost = measured(point)
    done_test, test_cost = measured(lambda: coder.decode(imputer.transform(coder.encode(test)), test))
    draws, draw_cost = measured(draw) if name == "ridge" and m else ([], None)
    notes = {"encoding": encoding or ENCODING[kind], "rounds": getattr(imputer, "n_iter_", None)}
    return Completed(done, done_test, draws, point_cost, test_cost, draw_cost, notes)


def from_simple(name: str, train: pd.DataFrame, test: pd.DataFrame, seed: int, m: int) -> Completed:
    """Complete by the column's mean or most frequent level."""

    def fill(X: pd.DataFrame) -> pd.DataFrame:
        out = {}
        for c in X:
            is_category = isinstance(X[c].dtype, pd.CategoricalDtype)
            imputer = SimpleImputer(strategy="most_frequent" if is_category else "mean")
            column = X[[c]].astype(object) if is_category else X[[c]]
            known = train[[c]].astype(object) if is_category else train[[c]]
            filled = imputer.fit(known).transform(column)[:, 0]
            out[c] = pd.Categorical(filled, categories=X[c].cat.categories) if is_category else filled
        return pd.DataFrame(out)

    done, point_cost = measured(fill, train)
    done_test, test_cost = measured(fill, test)
    return Completed(done, done_test, [], point_cost, test_cost)


# ------------------------------------------------------------------ miceforest, MissForest
def from_miceforest(name: str, train: pd.DataFrame, test: pd.DataFrame, seed: int, m: int) -> Completed:
    """Complete by miceforest: its predictions as the point, mean matching for the draws."""
    if importlib.util.find_spec("miceforest") is None:
        raise NotHere("miceforest (with lightgbm 4.6) is not installed")
    import miceforest

    def kernel(datasets: int, **options: Any) -> Any:
        fitted = miceforest.ImputationKernel(train, num_datasets=datasets, random_state=seed, **options)
        fitted.mice(5, num_threads=1)
        return fitted

    def point() -> tuple[Any, pd.DataFrame]:
        fitted = kernel(1, mean_match_candidates=0)
        return fitted, fitted.complete_data(dataset=0)

    def draw() -> list[pd.DataFrame]:
        return [kernel(1, mean_match_strategy=matching).complete_data(dataset=0)]

    # Its matching fails on the log odds of a probability of 0 or 1; categories are drawn by probability then.
    numbers = [c for c in train if not isinstance(train[c].dtype, pd.CategoricalDtype)]
    matching = {c: "normal" if c in numbers else "fast" for c in train if train[c].isna().any()}
    (fitted, done), point_cost = measured(point)
    done_test, test_cost = measured(lambda: fitted.impute_new_data(test).complete_data(dataset=0))
    draws, draw_cost = measured(draw) if m else ([], None)
    return Completed(done, done_test, draws, point_cost, test_cost, draw_cost)


def from_missforest(name: str, train: pd.DataFrame, test: pd.DataFrame, seed: int, m: int) -> Completed:
    """Complete by MissForest of PyPI; it wants level codes."""
    if importlib.util.find_spec("missforest") is None:
        raise NotHere("MissForest is not installed")
    from lightgbm import LGBMClassifier, LGBMRegressor
    from missforest import MissForest

    levels = {c: train[c].cat.categories for c in train if isinstance(train[c].dtype, pd.CategoricalDtype)}

    def coded(X: pd.DataFrame) -> pd.DataFrame:
        return X.assign(**{c: X[c].cat.codes.astype(float).where(X[c].cat.codes >= 0) for c in levels})

    def back(Z: pd.DataFrame, X: pd.DataFrame) -> pd.DataFrame:
        Z = Z[list(X)].reset_index(drop=True)
        codes = {c: pd.Categorical.from_codes(Z[c].astype(int), categories=levels[c]) for c in levels}
        return Z.assign(**codes)

    common = {"verbosity": -1, "linear_tree": True, "random_state": seed, "n_jobs": 1}
    model = MissForest(
        clf=LGBMClassifier(**common), rgr=LGBMRegressor(**common), categorical=list(levels) or None, verbose=0
    )
    done, point_cost = measured(lambda: back(model.fit_transform(coded(train)), train))
    done_test, test_cost = measured(lambda: back(model.transform(coded(test)), test))
    return Completed(done, done_test, [], point_cost, test_cost)


# ------------------------------------------------------------------ ours
def imputer(name: str, seed: int) -> Any:
    """Build an imputer of augsynth: ``chained``, ``chained:METHOD``, ``donors``, ``generative:KIND``.

    Raises
    ------
    NotHere
        If this version has no such imputer.
    """
    from augsynth import registry

    kind, _, detail = name.partition(":")
    try:
        if kind == "chained":
            given = {"method": detail} if detail else {}
            from augsynth.impute.chained import ChainedImputer

            return ChainedImputer(**given, random_state=seed)
        if kind == "donors":
            from augsynth.impute.donors import DonorImputer

            return DonorImputer(random_state=seed)
        from augsynth.impute.generative import GenerativeImputer

        return GenerativeImputer(registry.build("generator", {"kind": detail}), random_state=seed)
    except (ImportError, AttributeError) as error:
        raise NotHere(f"no imputer {name!r} here: {error}") from error


def from_ours(name: str, train: pd.DataFrame, test: pd.DataFrame, seed: int, m: int) -> Completed:
    """Complete by an imputer of augsynth: ``transform`` is the point, ``impute`` the draws."""
    model = imputer(name, seed)
    if not name.startswith("generative"):
        clone(model).fit(train.head(60)).transform(train.head(60))  # what is imported late is not counted
    done, point_cost = measured(lambda: model.fit(train).transform(train))
    done_test, test_cost = measured(model.transform, test)
    draws, draw_cost = measured(model.impute, train, m, random_state=seed) if m else ([], None)
    return Completed(done, done_test, draws, point_cost, test_cost, draw_cost)


def complete(name: str, train: pd.DataFrame, test: pd.DataFrame, seed: int, m: int) -> Completed:
    """Run one contestant, its warnings silenced."""
    kind = name.partition(":")[0]
    run: Callable[..., Completed] = {
        "mean": from_simple,
        "knn": from_sklearn,
        "ridge": from_sklearn,
        "forest": from_sklearn,
        "miceforest": from_miceforest,
        "missforest": from_missforest,
    }.get(kind, from_ours)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run(name, train, test, seed, m)
