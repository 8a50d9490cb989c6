"""The yardsticks of the benchmarks: one definition each, the same for every method.

Rows are DataFrames, labels are 0/1 arrays. ``Yardstick`` learns level codes and
quantiles from real rows once; every measure then reads plain float32 matrices.
XGBoost has the same fixed parameters everywhere (``XGB``), one thread.

tstr         train on the made rows, test on the real test rows: AUC, macro-F1
c2st         can XGBoost tell made rows from as many real test rows? AUC, 5 folds;
             0.5 is perfect, 1 is plainly fake
marginal     mean over columns of the Kolmogorov-Smirnov distance (numbers; missing
             counts as the smallest number) or the total variation (categories)
pair         mean over column pairs (label included) of the total variation between
             two-way tables; numbers cut at the deciles of the real rows
association  mean over the same pairs of the difference in Cramér's V
closer       share of made rows nearer to a training row than to a held-out one:
             equal-sized references, ties count half; 0.5 is ideal. With more training than
             held-out rows only a part of the training rows is asked, so plain copies score
             below 1 (Adult: .74): read it beside the control *copy*
copies       share of made rows equal to a training row in every column and the label
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

XGB = {
    "n_estimators": 200,
    "max_depth": 6,
    "learning_rate": 0.1,
    "tree_method": "hist",
    "n_jobs": 1,
    "random_state": 0,
}
QUERY_ROWS = 8192


@dataclass(frozen=True)
class Coded:
    """Rows as float32: numbers as they are, categories as fixed codes, missing as NaN; labels beside."""

    X: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: np.ndarray) -> Coded:
        """Return these rows."""
        return Coded(self.X[rows], self.y[rows])

    def of_class(self, label: int) -> Coded:
        """Return the rows of one class."""
        return self.take(np.flatnonzero(self.y == label))

    def joined(self) -> np.ndarray:
        """Return features and label as one matrix."""
        return np.column_stack([self.X, self.y.astype(np.float32)])


class Yardstick:
    """Level codes, quantile bins and scales learned from real rows: the same for all methods.

    Parameters
    ----------
    real : DataFrame
        All real rows (training and test): only category levels are read from the
        test part, so that every method is coded alike.
    """

    def __init__(self, real: pd.DataFrame):
        self.columns = list(real.columns)
        self.levels: dict[str, dict] = {}
        for name in self.columns:
            if not pd.api.types.is_numeric_dtype(real[name]) or isinstance(
                real[name].dtype, pd.CategoricalDtype
            ):
                found = pd.unique(real[name].dropna().astype(object))
                self.levels[name] = {level: code for code, level in enumerate(sorted(found, key=str))}
        self.is_category = np.array([name in self.levels for name in self.columns])

    def code(self, X: pd.DataFrame, y: np.ndarray) -> Coded:
        """Code rows and labels; a category that no real row has gets a code of its own."""
        if list(X.columns) != self.columns:
            raise ValueError(f"columns differ from the real ones: {list(X.columns)}")
        out = np.empty(X.shape, np.float32)
        for j, name in enumerate(self.columns):
            if name in self.levels:
                values = X[name].astype(object)
                codes = values.map(self.levels[name])
                codes = codes.where(codes.notna() | values.isna(), len(self.levels[name]))
                out[:, j] = codes.to_numpy(dtype=float, na_value=np.nan)
            else:
                out[:, j] = pd.to_numeric(X[name]).to_numpy(dtype=float, na_value=np.nan)
        return Coded(out, np.asarray(y).astype(np.int64))


# ------------------------------------------------------------------ learners
def classifier():
    """Return XGBoost with the fixed parameters; category codes are read as numbers."""
    from xgboost import XGBClassifier

    return XGBClassifier(**XGB)


def tstr(made: Coded, test: Coded) -> dict[str, float]:
    """Train on made rows, test on real ones: AUC and macro-F1 at 0.5."""
    from sklearn.metrics import f1_score, roc_auc_score

    if len(np.unique(made.y)) < 2:
        return {"tstr_auc": 0.5, "tstr_f1": float("nan")}
    score = classifier().fit(made.X, made.y).predict_proba(test.X)[:, 1]
    return {
        "tstr_auc": float(roc_auc_score(test.y, score)),
        "tstr_f1": float(f1_score(test.y, score > 0.5, average="macro")),
    }


def c2st(made: Coded, real: Coded, *, seed: int = 0, folds: int = 5) -> float:
    """AUC of telling made rows from as many real ones, mean of stratified folds."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    n = min(len(made), len(real))
    rng = np.random.default_rng([seed, 1])
    a = made.joined()[rng.permutation(len(made))[:n]]
    b = real.joined()[rng.permutation(len(real))[:n]]
    X, t = np.concatenate([a, b]), np.repeat([1, 0], n)
    scores = []
    for fit, held in StratifiedKFold(folds, shuffle=True, random_state=seed).split(X, t):
        scores.append(roc_auc_score(t[held], classifier().fit(X[fit], t[fit]).predict_proba(X[held])[:, 1]))
    return float(np.mean(scores))


# ------------------------------------------------------------------ shapes
def ks_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of the two distribution functions; NaN counts as the smallest value."""
    a, b = np.sort(np.nan_to_num(a, nan=-np.inf)), np.sort(np.nan_to_num(b, nan=-np.inf))
    at = np.concatenate([a, b])
    difference = np.searchsorted(a, at, "right") / len(a) - np.searchsorted(b, at, "right") / len(b)
    return float(np.abs(difference).max())


def total_variation(a: np.ndarray, b: np.ndarray) -> float:
    """Half the sum of absolute differences of level shares; NaN is a level."""
    levels, codes = np.unique(np.concatenate([a, b]), return_inverse=True)
    p = np.bincount(codes[: len(a)], minlength=len(levels)) / len(a)
    q = np.bincount(codes[len(a) :], minlength=len(levels)) / len(b)
    return float(np.abs(p - q).sum() / 2)


def marginal(made: Coded, real: Coded, is_category: np.ndarray) -> float:
    """Mean over columns of KS distance (numbers) or total variation (categories)."""
    columns = [
        total_variation(made.X[:, j], real.X[:, j]) if category else ks_distance(made.X[:, j], real.X[:, j])
        for j, category in enumerate(is_category)
    ]
    return float(np.mean(columns))


def _binned(real: np.ndarray, other: np.ndarray, category: bool) -> tuple[np.ndarray, np.ndarray, int]:
    """Codes of two columns: levels, or the deciles of the real one; missing is the last code."""
    if category:
        n = int(np.nanmax(np.concatenate([real, other, [0]]))) + 1
        codes = [np.where(np.isnan(c), n, c).astype(np.intp) for c in (real, other)]
        return codes[0], codes[1], n + 1
    known = real[~np.isnan(real)]
    edges = np.unique(np.quantile(known, np.arange(1, 10) / 10)) if len(known) else np.zeros(0)
    # side "left" keeps an edge that is an atom (capital gain 0) together with what lies below it
    codes = [np.where(np.isnan(c), len(edges) + 1, np.searchsorted(edges, c, "left")) for c in (real, other)]
    return codes[0], codes[1], len(edges) + 2


def cramers_v(counts: np.ndarray) -> float:
    """Cramér's V of a two-way table of counts, bias-corrected (Bergsma 2013)."""
    counts = counts[counts.sum(1) > 0][:, counts.sum(0) > 0]
    n, (r, c) = counts.sum(), counts.shape
    if min(r, c) < 2 or n < 2:
        return 0.0
    expected = np.outer(counts.sum(1), counts.sum(0)) / n
    phi2 = max(0.0, ((counts - expected) ** 2 / expected).sum() / n - (r - 1) * (c - 1) / (n - 1))
    r, c = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    return float(np.sqrt(phi2 / max(min(r, c) - 1, 1e-12)))


def pairs(made: Coded, real: Coded, is_category: np.ndarray, *, label: bool = True) -> dict[str, float]:
    """Mean total variation, and mean difference of Cramér's V, over all two-way tables."""
    a, b = (real.joined(), made.joined()) if label else (real.X, made.X)
    kinds = [*is_category, True][: a.shape[1]]
    coded = [_binned(a[:, j], b[:, j], bool(kinds[j])) for j in range(a.shape[1])]
    variation, association = [], []
    for (ra, ma, na), (rb, mb, nb) in combinations(coded, 2):
        p = np.bincount(ra * nb + rb, minlength=na * nb).reshape(na, nb)
        q = np.bincount(ma * nb + mb, minlength=na * nb).reshape(na, nb)
        variation.append(np.abs(p / p.sum() - q / q.sum()).sum() / 2)
        association.append(abs(cramers_v(p) - cramers_v(q)))
    return {"pair": float(np.mean(variation)), "association": float(np.mean(association))}


# ------------------------------------------------------------------ memorisation
def _ranks(reference: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Mid-ranks in [0, 1] of one column among the real values; NaN stays NaN."""
    known = np.sort(reference[~np.isnan(reference)])
    if len(known) == 0:
        return np.where(np.isnan(rows), np.nan, 0.0).astype(np.float32)
    rank = (np.searchsorted(known, rows, "left") + np.searchsorted(known, rows, "right")) / (2 * len(known))
    return np.where(np.isnan(rows), np.nan, rank).astype(np.float32)


def scaled(reference: np.ndarray, is_category: np.ndarray, *matrices: np.ndarray) -> list[np.ndarray]:
    """Return matrices ready for ``nearest``: numbers as ranks among the reference rows, NaN kept apart.

    A missing number becomes -1: at distance 1 (the cap) or more from every rank.
    """
    out = []
    for matrix in matrices:
        z = np.empty(matrix.shape, np.float32)
        for j, category in enumerate(is_category):
            column = matrix[:, j] if category else _ranks(reference[:, j], matrix[:, j])
            z[:, j] = np.where(np.isnan(column), -1.0, column)
        out.append(z)
    return out


def nearest(
    queries: np.ndarray, references: np.ndarray, is_category: np.ndarray, block: int = 64
) -> np.ndarray:
    """Distance to the nearest reference row: rank differences (at most 1) plus category mismatches."""
    out = np.empty(len(queries), np.float32)
    columns = [np.ascontiguousarray(references[:, j]) for j in range(references.shape[1])]
    total = np.empty((block, len(references)), np.float32)
    work = np.empty_like(total)
    for start in range(0, len(queries), block):
        q = queries[start : start + block]
        d, w = total[: len(q)], work[: len(q)]
        d[:] = 0.0
        for j, category in enumerate(is_category):
            if category:
                d += q[:, j, None] != columns[j]
            else:
                np.subtract(q[:, j, None], columns[j], out=w)
                np.abs(w, out=w)
                if q[:, j].min() < 0 or columns[j].min() < 0:
                    np.minimum(w, 1.0, out=w)
                d += w
        out[start : start + len(q)] = d.min(axis=1)
    return out


def closer(
    made: Coded, train: Coded, held_out: Coded, is_category: np.ndarray, *, seed: int = 0, draws: int = 1
) -> float:
    """Share of made rows nearer to a training row than to a held-out one, ties half.

    Both references have the size of the smaller one. With small references, ``draws``
    repeats the drawing of the larger one and averages. At most 8,192 made rows are asked.
    """
    rng = np.random.default_rng([seed, 2])
    kinds = np.append(is_category, True)
    reference = np.concatenate([train.X, held_out.X])
    q, t, h = scaled(
        np.column_stack([reference, np.zeros(len(reference), np.float32)]),
        kinds, made.joined(), train.joined(), held_out.joined(),
    )  # fmt: skip
    q = q[rng.permutation(len(q))[:QUERY_ROWS]]
    n = min(len(t), len(h))
    shares = []
    for _ in range(draws):
        pick = [side[rng.permutation(len(side))[:n]] if len(side) > n else side for side in (t, h)]
        a, b = (nearest(q, side, kinds) for side in pick)
        shares.append((a < b).mean() + (a == b).mean() / 2)
    return float(np.mean(shares))


def copies(made: Coded, train: Coded) -> float:
    """Share of made rows that equal a training row in every column and the label."""
    seen = {row.tobytes() for row in _keys(train)}
    return float(np.mean([row.tobytes() in seen for row in _keys(made)]))


def _keys(rows: Coded) -> np.ndarray:
    return np.ascontiguousarray(np.nan_to_num(rows.joined(), nan=-1e38) + 0.0)  # + 0.0: no negative zero


# ------------------------------------------------------------------ all at once
def fidelity(
    made: Coded, train: Coded, test: Coded, is_category: np.ndarray, *, seed: int = 0
) -> dict[str, float]:
    """Return every measure of a made table.

    Marginal and pair errors are against the training rows (what the method was shown);
    C2ST and closer-share against the test rows.
    """
    return {
        **tstr(made, test),
        "c2st": c2st(made, test, seed=seed),
        "closer": closer(made, train, test, is_category, seed=seed),
        "copies": copies(made, train),
        "marginal": marginal(made, train, is_category),
        "marginal_test": marginal(made, test, is_category),
        **pairs(made, train, is_category),
    }


def fidelity_in_class(
    made: Coded, train: Coded, test: Coded, is_category: np.ndarray, *, label: int = 1, seed: int = 0
) -> dict[str, float]:
    """Return the measures within one class, all against held-out test rows of that class.

    Not against the training rows: with 30 of them, a copy would look perfect.
    """
    made, train, test = (part.of_class(label) for part in (made, train, test))
    draws = max(1, min(20, len(test) // max(len(train), 1)))
    return {
        "class_c2st": c2st(made, test, seed=seed),
        "class_closer": closer(made, train, test, is_category, seed=seed, draws=draws),
        "class_copies": copies(made, train),
        "class_marginal": marginal(made, test, is_category),
        "class_pair": pairs(made, test, is_category, label=False)["pair"],
    }


def evaluate(name: str, generator, *, seed: int = 0, rows: int | None = None) -> dict[str, float]:
    """Fit a generator on a benchmark set, sample as many rows with the training labels, and measure.

    ``rows`` thins the training set (quick looks). For tuning by hand: the scripts do the same.
    """
    import harness
    from data import load_split, thinned

    split = load_split(name, seed)
    if rows is not None:
        share = split.y_train.mean()
        split = thinned(split, round(rows * share), round(rows * (1 - share)), seed)
    yard = Yardstick(pd.concat([split.X_train, split.X_test]))
    _, fit = harness.measured(generator.fit, split.X_train, split.y_train)
    made, sample = harness.measured(generator.sample, y=split.y_train, random_state=seed)
    train, test = yard.code(split.X_train, split.y_train), yard.code(split.X_test, split.y_test)
    found = fidelity(yard.code(made, split.y_train), train, test, yard.is_category, seed=seed)
    return {**found, "fit_cpu_s": fit.cpu_s, "sample_cpu_s": sample.cpu_s}
