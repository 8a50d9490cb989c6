"""Hostile tables for imputers: what must come out, or the sentence that must be said."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import AugsynthWarning, DataError, InputTypeError
from augsynth.testing.comparing import expect
from augsynth.testing.holes import changed_cells, expect_same, own_columns

__all__ = ["HOSTILE_CHECKS"]


def _plain(n: int = 40) -> pd.DataFrame:
    """Return a table (n, 3) with two numbers and a category, and a hole in each column."""
    rng = np.random.default_rng(5)
    a = rng.normal(size=n)
    X = pd.DataFrame({"a": a, "b": 2 * a + 0.3 * rng.normal(size=n), "kind": np.where(a > 0, "x", "y")})
    for j in range(3):
        X.iloc[3 + j :: 7, j] = np.nan
    return X


def _heard(action: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Run something; return its result and the warnings of this package."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = action()
    return made, [str(each.message) for each in caught if issubclass(each.category, AugsynthWarning)]


def _refused(action: Callable[[], Any], kind: type[Exception], failure: str) -> None:
    try:
        action()
    except kind:
        return
    raise AssertionError(failure)


def _whole(made: pd.DataFrame, X: pd.DataFrame, how: str) -> None:
    left = own_columns(made, X).isna().any()
    expect(not left.any(), f"{how}: missing cells are left in {', '.join(map(str, left.index[left]))}")


def _check_empty_column(subject: Any) -> None:
    X = _plain().assign(nothing=np.nan)
    fitted, told = _heard(lambda: subject.fit(X))
    expect(
        any("nothing" in text for text in told), "a column without an observed cell is not named in a warning"
    )
    made = own_columns(fitted.transform(X), X)
    expect(bool(made["nothing"].isna().all()), "a column without an observed cell was filled")
    _whole(made.drop(columns="nothing"), X.drop(columns="nothing"), "beside an empty column")
    drawn = fitted.impute(X, 1, random_state=0)[0]
    expect(bool(drawn["nothing"].isna().all()), "a column without an observed cell was drawn")


def _check_empty_row(subject: Any) -> None:
    X = _plain()
    X.iloc[11] = np.nan
    fitted = subject.fit(X)
    _whole(fitted.transform(X), X, "a row without an observed cell")
    _whole(fitted.impute(X, 1, random_state=0)[0], X, "a draw of a row without an observed cell")
    _whole(fitted.transform(X.iloc[[11]]), X, "such a row alone")


def _check_rare_category(subject: Any) -> None:
    X = _plain()
    X.iloc[20, 2] = "once"
    fitted = subject.fit(X)
    made = own_columns(fitted.transform(X), X)
    expect(made["kind"].iloc[20] == "once", "a category that is seen once was changed")
    _whole(made, X, "a category that is seen once")


def _check_unseen_category(subject: Any) -> None:
    X = _plain()
    fitted = subject.fit(X)
    later = X.iloc[:10].copy()
    later.iloc[0] = [0.5, np.nan, "never seen"]
    for how, fill in {
        "transform": lambda: fitted.transform(later),
        "impute": lambda: fitted.impute(later, 1, random_state=0)[0],
    }.items():
        made, told = _heard(fill)
        expect(
            any("never seen" in text for text in told), f"{how} does not name an unseen category in a warning"
        )
        expect(made["kind"].iloc[0] == "never seen", f"{how} changed an unseen category")
        _whole(made, X, f"{how} beside an unseen category")
    typed = X.assign(kind=pd.Categorical(X["kind"], categories=["x", "y"]))
    fitted = subject.fit(typed)
    later = typed.iloc[:10].assign(kind=pd.Categorical(later["kind"]))
    made, told = _heard(lambda: fitted.transform(later))
    expect(any("never seen" in text for text in told), "an unseen level of a category dtype is not named")
    expect(made["kind"].iloc[0] == "never seen", "an unseen level of a category dtype was changed")


def _check_infinite(subject: Any) -> None:
    X = _plain()
    bad = X.copy()
    bad.iloc[0, 0] = np.inf
    _refused(lambda: subject.fit(bad), DataError, "fit took an infinite value without a word")
    fitted = subject.fit(X)
    _refused(lambda: fitted.transform(bad), DataError, "transform took an infinite value without a word")


def _check_missing_at_predict_only(subject: Any) -> None:
    X = _plain()
    X["b"] = X["b"].fillna(0.5)
    X["whole"] = np.arange(len(X)) % 5
    fitted = subject.fit(X)
    later = X.iloc[:8].astype({"whole": float})
    later.loc[later.index[:3], "b"] = np.nan
    later.iloc[1, 3] = np.nan
    _whole(fitted.transform(later), X, "columns with holes at predict time only")
    _whole(fitted.impute(later, 1, random_state=0)[0], X, "draws of columns with holes at predict time only")


def _check_few_rows(subject: Any) -> None:
    X = _plain()
    for n in (1, 2):
        few = X.iloc[[0, 1]].iloc[:n].copy()
        few.iloc[0, 0] = np.nan if n == 2 else few.iloc[0, 0]
        fitted, _ = _heard(lambda few=few: subject.fit(few))  # type: ignore[misc]
        _whole(_heard(lambda f=fitted, few=few: f.transform(few))[0], X, f"a training table of {n} rows")  # type: ignore[misc]
    later = X.iloc[:6]
    made, _ = _heard(lambda: fitted.transform(later))
    _whole(made, X, "rows after a training table of 2 rows")


def _check_one_column(subject: Any) -> None:
    X = _plain()[["a"]]
    fitted = subject.fit(X)
    _whole(fitted.transform(X), X, "a single column")
    _whole(fitted.impute(X, 1, random_state=0)[0], X, "draws of a single column")


def _check_constant_columns(subject: Any) -> None:
    X = _plain().assign(same=7.0, word="one")
    X.iloc[4, 3] = np.nan
    X.iloc[5, 4] = np.nan
    fitted = subject.fit(X)
    for made in (own_columns(fitted.transform(X), X), fitted.impute(X, 1, random_state=0)[0]):
        expect(bool((made["same"] == 7.0).all()), "a constant column was not filled with its constant")
        expect(bool((made["word"] == "one").all()), "a constant word was not filled in")
    constant = X[["same", "word"]]
    _whole(subject.fit(constant).transform(constant), constant, "nothing but constant columns")


def _check_huge_values(subject: Any) -> None:
    X = _plain()
    X["a"] *= 1e100
    X["b"] = X["b"] * 1e-100
    fitted = subject.fit(X)
    made = own_columns(fitted.transform(X), X)
    _whole(made, X, "huge and tiny values")
    finite = np.isfinite(made[["a", "b"]].to_numpy(float)).all()
    expect(bool(finite), "huge values were filled with infinite ones")
    low, high = X["a"].min(), X["a"].max()
    span = high - low
    expect(
        bool(made["a"].between(low - span, high + span).all()),
        "huge values are filled far outside their range",
    )


def _check_read_only(subject: Any) -> None:
    array = _plain()[["a", "b"]].to_numpy()
    array.flags.writeable = False
    fitted = subject.fit(array)
    expect(
        not np.isnan(own_columns(fitted.transform(array), array)).any(), "a read-only array keeps its holes"
    )
    frame = pd.DataFrame(array)
    expect_same(
        own_columns(subject.fit(frame).transform(frame), frame),
        own_columns(fitted.transform(array), array),
        "an array and a DataFrame of the same numbers are filled otherwise",
    )
    expect(bool(np.isnan(array).any()), "a read-only array was changed")


def _check_sparse(subject: Any) -> None:
    from scipy import sparse

    _refused(
        lambda: subject.fit(sparse.csr_matrix(np.eye(5))),
        InputTypeError,
        "fit took a sparse matrix without a word",
    )


def _check_no_holes(subject: Any) -> None:
    X = _plain().dropna()
    fitted = subject.fit(X)
    made = own_columns(fitted.transform(X), X)
    expect_same(made, X, "a table without holes was changed")
    later = _plain()
    filled = own_columns(fitted.transform(later), later)
    _whole(filled, later, "an imputer that saw no hole in fit")
    expect(not changed_cells(filled, later), "an imputer that saw no hole in fit changed observed cells")


def _check_many_levels(subject: Any) -> None:
    X = _plain()
    X["name"] = [f"n{k}" for k in range(len(X))]
    X.iloc[2, 3] = np.nan
    _whole(_heard(lambda: subject.fit(X).transform(X))[0], X, "a column with as many levels as rows")


HOSTILE_CHECKS: list[Callable[[Any], None]] = [
    _check_empty_column,
    _check_empty_row,
    _check_rare_category,
    _check_unseen_category,
    _check_infinite,
    _check_missing_at_predict_only,
    _check_few_rows,
    _check_one_column,
    _check_constant_columns,
    _check_huge_values,
    _check_read_only,
    _check_sparse,
    _check_no_holes,
    _check_many_levels,
]
