"""Contract checks for your own generators and resamplers, and a small table to run them on."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from augsynth.core import arrays, persistence
from augsynth.core.errors import ConditionError, ModelFileError
from augsynth.generate.base import BLOCK_ROWS, BaseGenerator
from augsynth.testing.comparing import equal, expect, global_generators_watched

__all__ = ["check_generator", "check_resampler", "generator_checks", "resampler_checks", "toy_table"]


def toy_table(n: int = 120, *, missing: bool = True, seed: int = 0) -> tuple[pd.DataFrame, pd.Series]:
    """Return a small table with every kind of column, and a rare label "yes".

    Parameters
    ----------
    n : int, default=120
        Rows, at least 40.
    missing : bool, default=True
        Whether some cells are missing.

    Returns
    -------
    X : DataFrame, (n, 9)
        Also a constant and, with ``missing``, an all-missing column; its index does
        not start at 0.
    y : Series, (n,)
        "no" and (one row in five) "yes".
    """
    rng = np.random.default_rng(seed)
    rare = np.arange(n) % 5 == 0
    X = pd.DataFrame(
        {
            "income": rng.lognormal(3 + rare, 0.5),
            "age": rng.integers(18, 90, n),
            "job": pd.Categorical(rng.choice(["cook", "clerk"], n), categories=["cook", "clerk", "judge"]),
            "size": pd.Categorical(rng.choice(["S", "M", "L"], n), categories=["S", "M", "L"], ordered=True),
            "member": rng.random(n) < 0.3 + 0.4 * rare,
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
            "sex": rng.choice(["f", "m"], n),
            "visits": pd.array(rng.integers(0, 4, n), dtype="Int64"),
            "country": "here",
        },
        index=np.arange(n) + 1000,
    )
    if missing:
        X["empty"] = np.nan
        X.loc[X.index[3::7], "visits"] = pd.NA
        X.loc[X.index[2::9], "income"] = np.nan
        X.loc[X.index[5::11], "job"] = np.nan
    return X, pd.Series(np.where(rare, "yes", "no"), index=X.index, name="label")


def check_generator(generator: BaseGenerator, X: Any = None, y: Any = None) -> None:
    """Raise AssertionError unless a generator keeps the contract.

    Parameters
    ----------
    generator : BaseGenerator
        Unfitted; every check fits a clone. Use a small budget.
    X, y : rows and labels, optional
        Default: :func:`toy_table`.

    Examples
    --------
    >>> from augsynth import BootstrapGenerator
    >>> check_generator(BootstrapGenerator())
    """
    for _, check in generator_checks(generator, X, y):
        check()


def generator_checks(
    generator: BaseGenerator, X: Any = None, y: Any = None
) -> list[tuple[str, Callable[[], None]]]:
    """Return the (name, check) pairs of :func:`check_generator`."""
    if X is None:
        X, y = toy_table(missing=bool(generator._allows_missing))
    checks: list[Callable[[BaseGenerator, Any, Any], None]] = [
        _check_inputs_untouched,
        _check_container_kept,
        _check_labels_exact,
        _check_seeds,
        _check_chunks,
        _check_global_generators_untouched,
        _check_save_load,
        _check_group_column_exact,
        _check_log_prob,
        _check_complete,
    ]
    return [(c.__name__.removeprefix("_check_"), _bound(c, generator, X, y)) for c in checks]


def check_resampler(resampler: Any, X: Any = None, y: Any = None) -> None:
    """Raise AssertionError unless a resampler keeps the contract beyond imbalanced-learn's checks.

    Parameters
    ----------
    resampler : object with ``fit_resample``
    X, y : rows and labels, optional
        Default: :func:`toy_table`.
    """
    for _, check in resampler_checks(resampler, X, y):
        check()


def resampler_checks(resampler: Any, X: Any = None, y: Any = None) -> list[tuple[str, Callable[[], None]]]:
    """Return the (name, check) pairs of :func:`check_resampler`."""
    if X is None:
        X, y = toy_table(missing=False)
    checks = [_check_resampled_types, _check_provenance, _check_resampler_seeds]
    return [(c.__name__.removeprefix("_check_"), _bound(c, resampler, X, y)) for c in checks]


def _bound(check: Callable[..., None], *arguments: Any) -> Callable[[], None]:
    return lambda: check(*arguments)


def _check_inputs_untouched(generator: BaseGenerator, X: Any, y: Any) -> None:
    before, params = copy.deepcopy(X), repr(generator.get_params())
    fitted = clone(generator)
    fitted.fit(X, y)
    fitted.sample(5, random_state=0)
    expect(equal(X, before), "fit or sample changed X")
    expect(repr(fitted.get_params()) == params, "fit changed a constructor parameter")


def _check_container_kept(generator: BaseGenerator, X: Any, y: Any) -> None:
    new = clone(generator).fit(X, y).sample(17, random_state=0)
    expect(type(new) is type(X), f"sample returned {type(new).__name__}, not {type(X).__name__}")
    expect(arrays.count_rows(new) == 17, f"sample(17) returned {arrays.count_rows(new)} rows")
    if isinstance(X, pd.DataFrame):
        expect(list(new.columns) == list(X.columns), "columns changed")
        expect(new.dtypes.equals(X.dtypes), f"dtypes changed:\n{new.dtypes.compare(X.dtypes)}")
        expect(new.index.equals(pd.RangeIndex(17)), "the index is not 0, 1, ...")


def _check_labels_exact(generator: BaseGenerator, X: Any, y: Any) -> None:
    fitted = clone(generator).fit(X, y)
    labels = pd.unique(pd.Series(y))
    wanted = list(np.repeat(labels, 3))
    drawn = fitted.draw(fitted.condition_.encode(wanted), random_state=0)
    got = fitted.condition_.decode(drawn.cells)[0]
    expect(list(got) == wanted, "the labels are not those asked for")
    expect(arrays.count_rows(drawn.rows) == len(wanted), "rows were lost or added")
    if drawn.source is not None:
        truth = np.asarray(y)
        parents_differ = [
            truth[p] != label
            for row, label in zip(drawn.source, wanted, strict=True)
            for p in row[:1]
            if p >= 0
        ]
        expect(not any(parents_differ), "a row's parent has another label")
    try:
        fitted.sample(y=["a label that fit never saw"])
    except ConditionError:
        return
    raise AssertionError("an unknown label did not raise ConditionError")


def _check_seeds(generator: BaseGenerator, X: Any, y: Any) -> None:
    one, two = (clone(generator).set_params(random_state=3).fit(X, y) for _ in range(2))
    expect(equal(one.sample(20), two.sample(20)), "the same random_state gave other rows")
    expect(
        equal(one.sample(20, random_state=5), one.sample(20, random_state=5)),
        "sample with a seed is not repeatable",
    )
    expect(
        not equal(one.sample(20, random_state=5), one.sample(20, random_state=6)),
        "another seed gave the same rows",
    )


def _check_chunks(generator: BaseGenerator, X: Any, y: Any) -> None:
    fitted = clone(generator).fit(X, y)
    c = np.zeros(2 * BLOCK_ROWS + 5, dtype=np.int32)
    whole = fitted.draw(c, random_state=1).rows
    parts = arrays.concat_rows([d.rows for d in fitted.iter_drawn(c, random_state=1)])
    expect(equal(whole, parts), "rows depend on the sampling chunks")


def _check_global_generators_untouched(generator: BaseGenerator, X: Any, y: Any) -> None:
    with global_generators_watched():
        clone(generator).fit(X, y).sample(5)


def _check_save_load(generator: BaseGenerator, X: Any, y: Any) -> None:
    fitted = clone(generator).fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        try:
            fitted.save(path)
        except ModelFileError:
            expect(not any(Path(folder).iterdir()), "a refused save left a file")
            return
        again = persistence.load(path)
        expect(
            equal(fitted.sample(20, random_state=2), again.sample(20, random_state=2)),
            "a loaded model draws other rows",
        )


def _check_group_column_exact(generator: BaseGenerator, X: Any, y: Any) -> None:
    if not isinstance(X, pd.DataFrame) or "sex" not in X:
        return
    fitted = clone(generator).fit(X, y, sensitive_features=X["sex"])
    labels, groups = np.repeat(pd.unique(pd.Series(y)), 4), ["f", "m"] * 4
    new = fitted.sample(y=list(labels[:8]), sensitive_features=groups[: len(labels[:8])], random_state=0)
    expect(list(new["sex"]) == groups[: len(new)], "a conditioned group column has another value")


def _check_log_prob(generator: BaseGenerator, X: Any, y: Any) -> None:
    if not hasattr(generator, "log_prob"):
        return
    fitted = clone(generator).fit(X, y)
    density = fitted.log_prob(X, y, random_state=0)
    expect(density.shape == (arrays.count_rows(X),), f"log_prob has shape {density.shape}")
    expect(not np.isnan(density).any(), "log_prob is NaN for a training row")


def _check_complete(generator: BaseGenerator, X: Any, y: Any) -> None:
    if not hasattr(generator, "complete") or not isinstance(X, pd.DataFrame):
        return
    holes = X.copy()
    name = X.columns[0]
    holes.loc[holes.index[:9], name] = np.nan
    done = clone(generator).fit(X, y).complete(holes, y, random_state=0)
    learnt = [c for c in X.columns if X[c].notna().any()]
    expect(not done[learnt].isna().any().any(), "complete left a missing cell")
    seen = holes.notna().to_numpy()
    same = done.astype(object).to_numpy()[seen] == holes.astype(object).to_numpy()[seen]
    expect(bool(np.all(same)), "complete changed an observed cell")
    expect(done.dtypes.equals(X.dtypes), "complete changed a dtype")


def _check_resampled_types(resampler: Any, X: Any, y: Any) -> None:
    X_new, y_new = clone(resampler).fit_resample(X, y)
    expect(type(X_new) is type(X) and type(y_new) is type(y), "the containers changed")
    expect(len(X_new) == len(y_new), "X and y have different lengths")
    if isinstance(X, pd.DataFrame):
        expect(X_new.dtypes.equals(X.dtypes), "dtypes changed")
        expect(X_new.index.equals(pd.RangeIndex(len(X_new))), "the index is not 0, 1, ...")


def _check_provenance(resampler: Any, X: Any, y: Any) -> None:
    fitted = clone(resampler)
    X_new, _ = fitted.fit_resample(X, y)
    passports = fitted.provenance_
    expect(len(passports) == len(X_new), "provenance_ does not have one row an output row")
    kinds = {"real", "copied", "perturbed", "interpolated", "generated", "imputed"}
    expect(set(passports["kind"].astype(str)) <= kinds, "provenance_ has an unknown kind")


def _check_resampler_seeds(resampler: Any, X: Any, y: Any) -> None:
    seeded = clone(resampler).set_params(random_state=4)
    one, two = seeded.fit_resample(X, y), clone(seeded).fit_resample(X, y)
    expect(equal(one[0], two[0]) and equal(one[1], two[1]), "the same random_state gave other rows")
    with global_generators_watched():
        clone(resampler).fit_resample(X, y)
