"""Tables that break measures: constants, gaps, many levels, few rows, huge numbers, copies, no labels."""

import warnings

import numpy as np
import pandas as pd
import pytest

from augsynth.check.downstream import hold_out_trial
from augsynth.check.fidelity import CHECKS
from augsynth.check.finding import Finding
from augsynth.check.gathering import gather

RNG = np.random.default_rng


def plain(n, rng):
    return pd.DataFrame({"a": rng.normal(size=n), "b": rng.integers(0, 3, n).astype(str)})


def constant(n, rng):
    return pd.DataFrame({"a": np.ones(n), "b": ["x"] * n})


def gaps(n, rng):
    some = np.where(rng.random(n) < 0.5, np.nan, rng.normal(size=n))
    return pd.DataFrame(
        {"a": some, "b": rng.choice(np.array(["u", "v", None], dtype=object), n), "c": rng.normal(size=n)}
    )


def levels(n, rng):
    return pd.DataFrame({"a": rng.normal(size=n), "b": rng.integers(0, 400, n).astype(str)})


def huge(n, rng):
    return pd.DataFrame(
        {"a": rng.normal(size=n) * 1e140, "b": rng.normal(size=n) * 1e-140, "c": rng.integers(0, 2, n)}
    )


def one_column(n, rng):
    return pd.DataFrame({"a": rng.normal(size=n)})


def copies(n, rng):
    return pd.DataFrame({"a": rng.integers(0, 2, n).astype(float), "b": rng.integers(0, 2, n).astype(str)})


CASES = [
    pytest.param(make, n, target, id=f"{make.__name__}-{n}-{target}")
    for make, n, target in [
        (plain, 10, "class"),
        (plain, 3, "class"),
        (plain, 50, "number"),
        (plain, 40, "every"),
        (constant, 40, "class"),
        (gaps, 50, "class"),
        (levels, 80, "class"),
        (huge, 40, "class"),
        (one_column, 30, "none"),
        (copies, 40, "class"),
    ]
]


def targets(kind, n, rng):
    made = {"class": rng.integers(0, 2, n), "number": rng.normal(size=n), "every": np.arange(n).astype(str)}
    return made.get(kind)


@pytest.mark.parametrize(("make", "n", "target"), CASES)
def test_every_check_gives_a_finding_or_a_reason(make, n, target):
    rng = RNG(0)
    samples = [(make(m, rng), targets(target, m, rng)) for m in (2 * n, n, n)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        known = gather(*samples[0], *samples[1], holdout=samples[2])
    for kind in CHECKS:
        check = kind()
        reason = check.applies(known)
        if reason:
            assert reason.endswith(".")
            continue
        got = check.run(known, RNG(1))
        assert isinstance(got, Finding)
        assert got.name == check.name
        assert np.isnan(got.p_value) or 0 <= got.p_value <= 1, check.name
        assert np.isfinite(got.value) or got.caution, check.name
        assert not np.isfinite(got.value) or not got.low > got.high
        assert got.sentence.endswith(".")
        assert "nan" not in got.sentence, got.sentence
        assert isinstance(check.value(known, RNG(1)), float)
        got.to_dict()


def test_missing_altogether_and_no_holdout():
    rng = RNG(0)
    X, X_new = gaps(160, rng), gaps(60, rng)
    X_new["a"] = np.nan
    known = gather(X, rng.integers(0, 2, 160), X_new, rng.integers(0, 2, 60))
    for kind in CHECKS:
        got = kind().run(known, RNG(1))
        assert got.sentence.endswith(".")
        if got.name in ("marginals", "c2st"):
            assert got.p_value < 1e-3


@pytest.mark.parametrize("side", ["training", "new", "held out"])
def test_a_column_without_a_value_on_one_side(side):
    rng = RNG(0)
    samples = {told: (plain(n, rng), rng.integers(0, 2, n)) for told, n in
               [("training", 120), ("new", 60), ("held out", 60)]}  # fmt: skip
    samples[side][0]["a"] = np.nan
    known = gather(*samples["training"], *samples["new"], holdout=samples["held out"])
    for kind in CHECKS:
        got = kind().run(known, RNG(1))
        assert got.sentence.endswith(".") and "nan" not in got.sentence, got.sentence
    assert hold_out_trial(known, n_halves=2, n_bootstrap=20).scores["value"].notna().any()


def test_the_same_seed_gives_the_same_figures():
    rng = RNG(0)
    rows = [(plain(m, rng), rng.integers(0, 2, m)) for m in (60, 30, 30)]
    twice = [gather(*rows[0], *rows[1], holdout=rows[2], random_state=3) for _ in range(2)]
    for kind in CHECKS:
        first, second = (kind().run(each, RNG(1)) for each in twice)
        assert first.value == second.value
        assert np.array_equal(first.p_value, second.p_value, equal_nan=True)


def test_without_a_holdout_every_comparison_says_so():
    rng = np.random.default_rng(0)
    real, new = rng.normal(size=(2, 60, 2))
    alone, beside = gather(real, None, new, None), gather(real, None, new, None, holdout=(real + 0.5, None))
    for kind in CHECKS:
        check = kind()
        if not check.applies(alone) and np.isfinite(check.value(alone, np.random.default_rng(0))):
            told, other = (check.run(each, np.random.default_rng(0)).caution for each in (alone, beside))
            assert told.endswith("no rows are held out.") and "no rows are held out" not in other
