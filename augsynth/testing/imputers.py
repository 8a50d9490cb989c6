"""Contract checks for your own imputers: rows with holes, draws, dtypes, hostile tables."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from functools import cached_property
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from augsynth.core.errors import AugsynthWarning, LeakError, ParameterError
from augsynth.testing.comparing import equal, expect, global_generators_watched
from augsynth.testing.holes import changed_cells, expect_same, own_columns, toy_holes
from augsynth.testing.hostile_holes import HOSTILE_CHECKS

__all__ = ["check_imputer", "imputer_checks"]

_DRAWS = 2


def check_imputer(imputer: Any, X: Any = None, y: Any = None) -> None:
    """Raise AssertionError unless an imputer keeps the contract on rows with holes.

    scikit-learn's own checks hold no missing cells. These do: a row's result must depend on
    that row alone, observed cells must stay to the last bit, nothing may be left missing
    where something was learned; dtypes, index and columns must stay; draws must follow their
    seed; and hostile tables must end in the right thing or in one clear sentence.

    Parameters
    ----------
    imputer : imputer
        Unfitted, with ``fit``, ``transform`` and, for random draws, ``impute``; every check
        fits a clone. Use a small budget.
    X, y : DataFrame with holes, and labels; optional
        Default: `toy_holes`, 14 columns of as many dtypes.

    Raises
    ------
    AssertionError
        One sentence: what does not hold, and the first columns.

    Notes
    -----
    Cost: about 20 fits, most of them on 40 rows.

    Examples
    --------
    >>> from augsynth import DonorImputer
    >>> X, y = toy_holes(20)
    >>> check_imputer(DonorImputer(), X[["income", "town"]], y)
    """
    for _, check in imputer_checks(imputer, X, y):
        check()


def imputer_checks(imputer: Any, X: Any = None, y: Any = None) -> list[tuple[str, Callable[[], None]]]:
    """Return the (name, check) pairs of `check_imputer`; they share one fit on ``X``."""
    if X is None:
        X, y = toy_holes()
    subject = Subject(imputer, X, y)
    checks: list[Callable[[Subject], None]] = [
        _check_inputs_untouched,
        _check_rows_alone,
        _check_observed_cells,
        _check_nothing_left,
        _check_container,
        _check_levels,
        _check_fit_transform,
        _check_seeds,
        _check_draws,
        _check_draws_of_rows_alone,
        _check_whole_draws,
        _check_global_generators,
        _check_copies,
        _check_names_and_output,
        _check_indicators,
        _check_labels,
        *HOSTILE_CHECKS,
    ]
    return [(c.__name__.removeprefix("_check_"), _bound(c, subject)) for c in checks]


def _bound(check: Callable[[Subject], None], subject: Subject) -> Callable[[], None]:
    def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AugsynthWarning)  # a toy may do no better than its means
            check(subject)

    return run


class Subject:
    """An imputer under test and the table that it is tried on."""

    def __init__(self, imputer: Any, X: pd.DataFrame, y: Any):
        self.imputer, self.X, self.y = imputer, X, y

    def fit(self, X: Any, y: Any = None, **parameters: Any) -> Any:
        """Fit a clone; labels are made up where it wants some and there are none."""
        fresh = clone(self.imputer).set_params(**{"random_state": 0, **parameters})
        if y is None and getattr(fresh, "use_target", False):
            y = np.arange(X.shape[0]) % 2
        return fresh.fit(X, y)

    @cached_property
    def fitted(self) -> Any:
        return self.fit(self.X, self.y)

    @cached_property
    def filled(self) -> pd.DataFrame:
        return own_columns(self.fitted.transform(self.X), self.X)

    @cached_property
    def draws(self) -> list[pd.DataFrame]:
        return self.fitted.impute(self.X, _DRAWS, random_state=1)


def _check_inputs_untouched(subject: Subject) -> None:
    before, params = subject.X.copy(deep=True), repr(subject.imputer.get_params())
    fitted = subject.fit(subject.X, subject.y, random_state=None)
    fitted.transform(subject.X)
    fitted.impute(subject.X, 1, random_state=0)
    expect(subject.X.equals(before), "fit, transform or impute changed X")
    expect(
        repr(fitted.get_params()) == params or repr(clone(fitted).get_params()) == params,
        "fit changed a constructor parameter",
    )


def _check_rows_alone(subject: Subject) -> None:
    X, whole = subject.X, subject.filled
    rng = np.random.default_rng(0)
    orders = {
        "every third row": np.arange(0, len(X), 3),
        "rows in another order": rng.permutation(len(X)),
        "one row": np.array([len(X) // 2]),
        "rows twice": np.repeat(np.arange(5, 9), 2),
    }
    for how, rows in orders.items():
        made = own_columns(subject.fitted.transform(X.iloc[rows]), X)
        expect_same(made, whole.iloc[rows], f"transform of {how} differs from that of the whole table")


def _check_observed_cells(subject: Subject) -> None:
    for how, made in {"transform": subject.filled, "impute": subject.draws[0]}.items():
        changed = changed_cells(made, subject.X)
        expect(not changed, f"{how} changed observed cells of {', '.join(changed[:3])}")


def _check_nothing_left(subject: Subject) -> None:
    learnt = [j for j in range(subject.X.shape[1]) if subject.X.iloc[:, j].notna().any()]
    for how, made in {"transform": subject.filled, "impute": subject.draws[0]}.items():
        left = made.iloc[:, learnt].isna().any()
        expect(not left.any(), f"{how} left missing cells in {', '.join(map(str, left.index[left][:3]))}")


def _check_container(subject: Subject) -> None:
    X = subject.X
    for how, made in {"transform": subject.filled, "impute": subject.draws[0]}.items():
        expect(isinstance(made, pd.DataFrame), f"{how} returned {type(made).__name__}, not a DataFrame")
        expect(list(made.columns) == list(X.columns), f"{how} changed the columns")
        expect(made.index.equals(X.index), f"{how} changed the index")
        differ = [str(c) for c in X.columns if made[c].dtype != X[c].dtype]
        expect(not differ, f"{how} changed the dtype of {', '.join(differ[:3])}")
    numbers = [c for c in X.columns if isinstance(X[c].dtype, np.dtype) and X[c].dtype.kind == "f"]
    if not numbers:
        return
    array = np.ascontiguousarray(X[numbers].to_numpy(np.float32))
    fitted = subject.fit(array, subject.y)
    made = fitted.transform(array)
    expect(
        isinstance(made, np.ndarray) and made.dtype == array.dtype, "an array of float32 came back as another"
    )
    expect(isinstance(fitted.transform(array.tolist()), np.ndarray), "a list did not come back as an array")
    expect(len(fitted.impute(array, 1)) == 1, "impute(array, 1) is not a list of one")


def _check_levels(subject: Subject) -> None:
    for name in subject.X.columns:
        if pd.api.types.is_numeric_dtype(subject.X[name]) or subject.X[name].dtype.kind in "mM":
            continue
        known = set(subject.X[name].dropna().unique())
        for how, made in {"transform": subject.filled, "impute": subject.draws[0]}.items():
            unknown = set(made[name].dropna().unique()) - known
            expect(
                not unknown, f"{how} made levels of {name!r} that nobody has: {sorted(map(str, unknown))[:3]}"
            )


def _check_fit_transform(subject: Subject) -> None:
    fresh = clone(subject.imputer).set_params(random_state=0)
    made = own_columns(fresh.fit_transform(subject.X, subject.y), subject.X)
    expect_same(
        made, subject.filled, "fit_transform differs from fit and transform, and so does a second fit"
    )


def _check_seeds(subject: Subject) -> None:
    one, two = (subject.fit(subject.X, subject.y, random_state=3) for _ in range(2))
    expect(
        equal(one.impute(subject.X, 1), two.impute(subject.X, 1)), "the same random_state gave other draws"
    )
    expect_same(one.transform(subject.X), two.transform(subject.X), "the same random_state gave other values")


def _check_draws(subject: Subject) -> None:
    fitted, X, drawn = subject.fitted, subject.X, subject.draws
    expect(isinstance(drawn, list) and len(drawn) == _DRAWS, f"impute(X, {_DRAWS}) is no list of {_DRAWS}")
    more = fitted.impute(X, _DRAWS + 1, random_state=1)
    for k in range(_DRAWS):
        expect_same(more[k], drawn[k], f"draw {k} of {_DRAWS} is another one of {_DRAWS + 1}")
    other = fitted.impute(X, 1, random_state=2)
    expect(not equal(other[0], drawn[0]), "another seed gave the same draw")
    expect(not equal(drawn[0], drawn[1]), "two draws of one call are equal")


def _check_draws_of_rows_alone(subject: Subject) -> None:
    X = subject.X[~subject.X.astype(str).duplicated(keep=False)]
    rows = np.random.default_rng(0).permutation(len(X))[: max(len(X) // 2, 1)]
    whole = subject.fitted.impute(X, 1, random_state=1)[0]
    part = subject.fitted.impute(X.iloc[rows], 1, random_state=1)[0]
    expect_same(part, whole.iloc[rows], "a draw of some rows, in another order, differs from that of all")


def _check_whole_draws(subject: Subject) -> None:
    for name in subject.X.columns:
        cells = subject.X[name]
        if not (isinstance(cells.dtype, np.dtype) and cells.dtype.kind == "f" and cells.notna().any()):
            continue
        if (cells.dropna() % 1 == 0).all():
            expect(bool((subject.draws[0][name] % 1 == 0).all()), f"draws of {name!r} are not whole numbers")


def _check_global_generators(subject: Subject) -> None:
    with global_generators_watched():
        fitted = subject.fit(subject.X, subject.y, random_state=None)
        fitted.transform(subject.X)
        fitted.impute(subject.X, 1)


def _check_copies(subject: Subject) -> None:
    again = ForkingPickler.loads(ForkingPickler.dumps(subject.fitted))
    expect_same(
        own_columns(again.transform(subject.X), subject.X), subject.filled, "a pickled copy fills otherwise"
    )
    expect_same(
        again.impute(subject.X, 1, random_state=1)[0], subject.draws[0], "a pickled copy draws otherwise"
    )
    fresh = clone(subject.fitted)
    expect(not hasattr(fresh, "n_features_in_"), "a clone is fitted")
    copied = copy.deepcopy(subject.fitted)
    expect_same(
        own_columns(copied.transform(subject.X), subject.X), subject.filled, "a deep copy fills otherwise"
    )


def _check_names_and_output(subject: Subject) -> None:
    fitted, X = copy.deepcopy(subject.fitted), subject.X
    names = list(fitted.get_feature_names_out())
    expect(names[: X.shape[1]] == list(X.columns), "get_feature_names_out does not give the columns")
    expect(fitted.n_features_in_ == X.shape[1], "n_features_in_ is not the number of columns")
    made = fitted.set_output(transform="pandas").transform(X)
    expect(
        isinstance(made, pd.DataFrame) and list(made.columns) == names,
        "set_output('pandas') gives other columns",
    )
    expect(made.index.equals(X.index), "set_output('pandas') loses the index")
    expect_same(own_columns(made, X), subject.filled, "set_output('pandas') changes values")
    try:
        fitted.transform(X.iloc[:, ::-1])
    except ValueError:
        return
    raise AssertionError("transform took columns in another order without a word")


def _check_indicators(subject: Subject) -> None:
    if "add_indicator" not in subject.imputer.get_params():
        return
    X = subject.X
    fitted = (
        subject.fitted if subject.imputer.add_indicator else subject.fit(X, subject.y, add_indicator=True)
    )
    made = fitted.transform(X)
    holed = [name for name in X.columns if X[name].isna().any()]
    wanted = [*X.columns, *(f"missingindicator_{name}" for name in holed)]
    expect(list(made.columns) == wanted, "add_indicator does not add one column for each with holes")
    expect(
        list(fitted.get_feature_names_out()) == wanted, "get_feature_names_out does not name the indicators"
    )
    for name in holed:
        flags = made[f"missingindicator_{name}"].to_numpy(dtype=bool)
        expect(bool((flags == X[name].isna().to_numpy()).all()), f"the indicator of {name!r} is wrong")
    expect_same(own_columns(made, X), subject.filled, "add_indicator changes what is filled in")


def _check_labels(subject: Subject) -> None:
    if subject.y is None or "use_target" not in subject.imputer.get_params():
        return
    X, y = subject.X.iloc[:40], pd.Series(subject.y).iloc[:40]
    told = subject.fit(X, y, use_target=True)
    made = told.fill(X, y)
    expect(not made.isna().any().any(), "fill(X, y) left missing cells")
    expect(list(made.columns) == list(X.columns), "fill(X, y) changed the columns")
    own_columns(told.transform(X), X)  # without labels, as in a Pipeline that predicts
    expect(len(told.impute(X, 1, y=y, random_state=0)) == 1, "impute(X, 1, y=y) is not a list of one")
    for how, holder in {
        "under its own name": X.assign(**{str(y.name): y}),
        "under another name": X.assign(answer=y),
    }.items():
        try:
            subject.fit(holder, y, use_target=True)
        except LeakError:
            continue
        raise AssertionError(f"fit took a target that stands in X {how}")
    silent = subject.fit(X, y, use_target=False)
    try:
        silent.fill(X, y)
    except ParameterError:
        return
    raise AssertionError("fill took labels that an imputer with use_target=False never learned from")
