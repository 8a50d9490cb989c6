"""Copies, near copies, disguises, closer shares: planted leaks are found, honest rows are not accused."""

import warnings

import numpy as np
import pandas as pd
import pytest

from augsynth.check.gathering import gather
from augsynth.check.privacy import CHECKS, WHAT_IT_PROVES, closer_share
from augsynth.check.privacy.closer import CloserShare
from augsynth.check.privacy.copies import Copies
from augsynth.check.privacy.identifiers import Identifiers
from augsynth.check.privacy.membership import Membership
from augsynth.check.privacy.near_copies import NearCopies
from augsynth.check.privacy.singling_out import SinglingOut

N, P = 1000, 8


def _numbers(rng, n):
    mix = np.random.default_rng(5).normal(size=(P, P)) / np.sqrt(P) + 0.5 * np.eye(P)
    return pd.DataFrame(rng.normal(size=(n, P)) @ mix, columns=[f"x{j}" for j in range(P)])


def _codes(rng, n, p=6):
    """Coarse rows: latent classes with four levels a column, so that half of the rows have a twin."""
    hidden = rng.integers(3, size=n)
    columns = {}
    for j in range(p):
        chances = np.random.default_rng(j).dirichlet(np.full(4, 0.6), size=3)
        codes = (rng.random(n)[:, None] > chances[hidden].cumsum(axis=1)[:, :3]).sum(axis=1)
        columns[f"c{j}"] = np.array(list("abcd"))[codes]
    return pd.DataFrame(columns)


def _evidence(train, made, holdout, **options):
    labels = [np.arange(len(each)) % 2 for each in (train, made, holdout)]
    return gather(train, labels[0], made, labels[1], holdout=(holdout, labels[2]), **options)


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    return tuple(_numbers(rng, N) for _ in range(3))


def _planted(train, fresh, share, change=lambda rows: rows):
    k = int(share * len(fresh))
    rows = pd.concat([fresh.iloc[k:], change(train.iloc[:k])], ignore_index=True)
    return rows


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_planted_copies_are_counted(samples, share):
    train, fresh, holdout = samples
    evidence = _evidence(train, _planted(train, fresh, share), holdout)
    for check in (Copies(), NearCopies()):
        found = check.run(evidence, np.random.default_rng(0))
        assert found.low <= share <= found.high
        assert found.p_value < 0.01  # ten pairs of one sign, times seven views
    pairs = Copies().run(evidence, np.random.default_rng(0)).details["pairs"]
    for new, old in zip(pairs["new"], pairs["train"], strict=True):
        assert (evidence.made.z[new] == evidence.train.z[old]).all()


def test_half_a_percent_of_copies_is_flagged():
    rng = np.random.default_rng(1)
    train, fresh, holdout = (_numbers(rng, 2000) for _ in range(3))
    found = Copies().run(_evidence(train, _planted(train, fresh, 0.005), holdout), rng)
    assert found.value == 0.005
    assert found.p_value < 5e-5


def _noisy(rows):
    return rows + np.random.default_rng(2).normal(size=rows.shape) * 0.02 * rows.std().to_numpy()


def _edited(rows):
    rows = rows.copy()
    rows.iloc[:, [1, 4]] += 1.5
    return rows


def _affine(rows):
    return rows * np.array([3.0, -1.0] * (P // 2)) + np.arange(P)


@pytest.mark.parametrize(
    ("share", "change", "views"),
    [
        (0.05, _noisy, {"near", "nearest"}),
        (0.05, _edited, {"edited"}),
        (1.0, lambda rows: -rows, {"mirrored"}),
        (0.1, lambda rows: -rows, {"mirrored"}),
        (1.0, _affine, {"mirrored"}),
    ],
)
def test_near_copies_and_disguises_are_found(samples, share, change, views):
    train, fresh, holdout = samples
    evidence = _evidence(train, _planted(train, fresh, share, change), holdout)
    assert Copies().run(evidence, np.random.default_rng(0)).value == 0.0
    found = NearCopies().run(evidence, np.random.default_rng(0))
    table = found.details["views"]
    assert table["view"][table["p_value"].argmin()] in views
    assert found.p_value < 1e-8
    assert 0.6 * share < found.value <= share
    own = found.details["pairs"]
    assert (own["new"] - (N - int(share * N)) == own["train"]).mean() > 0.9


def test_honest_rows_pass(samples):
    """One draw; the levels over many draws are measured by the benchmarks."""
    train, fresh, holdout = samples
    evidence = _evidence(train, fresh, holdout)
    for kind in CHECKS:
        check = kind()
        if not check.applies(evidence):
            found = check.run(evidence, np.random.default_rng(0))
            assert found.p_value > 0.005, check.name
            assert "private" not in found.sentence


def test_level_of_the_closer_share():
    """60 honest runs at level 5 %: 3 expected, standard error 1.7."""
    alarms = 0
    for run in range(60):
        rng = np.random.default_rng([run, 8])
        train, made, holdout = rng.normal(size=(3, 150, 3))
        alarms += closer_share(made * 0.7, train, holdout)[2] <= 0.05
    assert alarms <= 8


def test_coarse_rows_are_not_called_copies():
    """A generator that favours what is frequent equals training rows often, and is not accused."""
    rng = np.random.default_rng(3)
    train, holdout, more = (_codes(rng, 800) for _ in range(3))
    frequent = more[more.duplicated(keep=False)].sample(600, replace=True, random_state=0)
    evidence = _evidence(train, frequent.reset_index(drop=True), holdout)
    found = Copies().run(evidence, rng)
    assert found.value > found.null > 0.3  # more than real rows do, and yet no sign of memory
    assert found.p_value > 0.05
    copied = _evidence(train, train.sample(frac=1.0, random_state=0).reset_index(drop=True), holdout)
    assert Copies().run(copied, rng).p_value < 1e-8


def test_closer_share_sees_rows_between_neighbours(samples):
    train, _, holdout = samples
    between = (train + train.sample(frac=1.0, random_state=0).to_numpy() * 0.1) / 1.1
    found = CloserShare().run(_evidence(train, between, holdout), np.random.default_rng(0))
    assert found.value > 0.9 and found.low > 0.85 and found.p_value < 1e-6
    pairs = found.details["pairs"]
    assert list(pairs) == ["new", "train", "distance_train", "holdout", "distance_holdout"]
    assert len(pairs) == 12 and (pairs["distance_train"] < pairs["distance_holdout"]).all()


def test_ties_count_half():
    """All four references at one distance from the new row: neither closer nor farther."""
    corners = np.array([[1.0, 0], [-1, 0]]), np.array([[0, 1.0], [0, -1]])
    share, _, _ = closer_share(np.zeros((5, 2)), *corners)
    assert share == 0.5


def test_membership_and_singling_out_see_copies(samples):
    train, _, holdout = samples
    evidence = _evidence(train, train.sample(frac=1.0, random_state=0).reset_index(drop=True), holdout)
    found = Membership().run(evidence, np.random.default_rng(0))
    assert found.value == 1.0 and found.p_value < 1e-6
    assert (found.details["attacks"]["hits at 1%"] > 0.9).any()
    found = SinglingOut().run(evidence, np.random.default_rng(0))
    assert found.value > 0.2 and found.p_value < 1e-4


def test_identifiers():
    rng = np.random.default_rng(4)
    made, train, holdout = (_numbers(rng, 400) for _ in range(3))
    for k, each in enumerate((made, train, holdout)):
        each["account"] = [f"{k}-{i}-{v:.6f}" for i, v in enumerate(rng.random(400))]
    found = Identifiers().run(_evidence(train, made, holdout), rng)
    assert found.value == 0.0 and found.p_value == 1.0
    made.loc[:11, "account"] = train["account"].to_numpy()[:12]
    found = Identifiers().run(_evidence(train, made, holdout), rng)
    assert found.value == 0.03 and found.p_value < 1e-4
    assert "account" in found.sentence
    # whole numbers and dates that are nearly unique count, too; measured numbers that are new do not
    assert {"account", "x0"} <= set(found.details["columns"]["column"])
    bare = _evidence(train, made.assign(x0=np.nan, account=None), holdout)  # nothing to be taken over
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Identifiers().run(bare, rng)
    assert found.value == 0.0 and not {"account", "x0"} & set(found.details["columns"]["column"])
    none = _evidence(
        train[["x0"]].assign(c="a"), made[["x0"]].assign(x0=np.nan, c="a"), holdout[["x0"]].assign(c="a")
    )
    assert Identifiers().applies(none).startswith("No column that has values in the new rows identifies")


def test_without_holdout_copies_are_counted_and_nothing_is_judged(samples):
    train, fresh, _ = samples
    evidence = gather(train, None, _planted(train, fresh, 0.05), None)
    for kind in CHECKS:
        check = kind()
        reason = check.applies(evidence)
        if check.name in ("copies", "identifiers"):
            found = check.run(evidence, np.random.default_rng(0))
            assert np.isnan(found.p_value) and "holdout" in found.caution
            assert found.value == pytest.approx(0.05)
        else:
            assert "holdout" in reason


def test_words():
    assert "no leak was found by these tests" in WHAT_IT_PROVES.lower()
    assert [kind.name for kind in CHECKS] == [
        "holdout_leak",
        "copies",
        "near_copies",
        "closer_share",
        "membership",
        "singling_out",
        "identifiers",
    ]
