"""Held-out rows that leaked into the new rows, noise or not, are told; honest rows are not accused."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from augsynth.check.fidelity.marginals import Marginals
from augsynth.check.finding import FAILED, NOT_JUDGED, PASSED, Finding, judge
from augsynth.check.gathering import gather
from augsynth.check.privacy import holdout_leak, leak_looks, leaked, withdrawn
from augsynth.check.privacy.closer import CloserShare
from augsynth.check.privacy.holdout_leak import HoldoutLeak
from augsynth.check.privacy.leak_looks import EQUAL, Look
from augsynth.check.report.answers import Answer, Verdict
from augsynth.check.report.leak import after_leak
from augsynth.check.report.report import report
from augsynth.check.report.sections import sections_of
from augsynth.registry import build

N, P = 400, 6


def _table(rng, n):
    mix = np.random.default_rng(5).normal(size=(P, P)) / np.sqrt(P) + 0.5 * np.eye(P)
    X = pd.DataFrame(rng.normal(size=(n, P)) @ mix, columns=[f"x{j}" for j in range(P)])
    return X.assign(kind=rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]))


def _noisy(rows, rng, size=0.001):
    rows = rows.copy()
    rows.iloc[:, :P] += size * rows.iloc[:, :P].std().to_numpy() * rng.normal(size=(len(rows), P))
    return rows


def _found(train, made, holdout):
    y = [np.arange(len(each)) % 2 for each in (train, made, holdout)]
    evidence = gather(train, y[0], made, y[1], holdout=(holdout, y[2]))
    return HoldoutLeak().run(evidence, np.random.default_rng(0)), evidence


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    return tuple(_table(rng, N) for _ in range(3))


@pytest.mark.parametrize("share", [1.0, 0.1])
@pytest.mark.parametrize("noise", [0.001, 0.03])
def test_held_out_rows_with_noise_are_told(samples, share, noise):
    train, fresh, holdout = samples
    k = int(share * N)
    leak = _noisy(holdout.iloc[:k], np.random.default_rng(1), noise)
    found, evidence = _found(train, pd.concat([fresh.iloc[k:], leak], ignore_index=True), holdout)
    assert found.p_value < 1e-9
    assert "were among what the new rows were made from" in found.sentence
    assert "no figure that rests on held-out rows holds" in found.sentence
    pairs = found.details["held_out_pairs"]
    assert ((pairs["new"] - (N - k)) == pairs["holdout"]).all()
    other = CloserShare().run(evidence, np.random.default_rng(0))
    assert ("held-out rows" in other.sentence.split(")")[-1]) == (share == 1.0)


def test_a_generator_that_was_trained_on_both_is_told(samples):
    """It treats training and held-out rows alike, so that no exchange of the two tells."""
    train, _, holdout = samples
    both = pd.concat([train, holdout], ignore_index=True)
    made = _noisy(both, np.random.default_rng(1)).sample(N, random_state=0).reset_index(drop=True)
    found, evidence = _found(train, made, holdout)
    assert 0.4 < found.value < 0.6 and found.p_value < 1e-50
    assert CloserShare().run(evidence, np.random.default_rng(0)).p_value > 0.01


@pytest.mark.parametrize("kind", ["smote", "kde"])
def test_a_generator_that_was_trained_on_the_hold_out_is_told(samples, kind):
    train, _, holdout = samples
    y = np.arange(N) % 2
    generator = build("generator", {"kind": kind, "random_state": 0})
    found, _ = _found(train, generator.fit(holdout, y).sample(y=y), holdout)
    assert found.p_value < 1e-6
    honest, _ = _found(train, generator.fit(train, y).sample(y=y), holdout)
    assert honest.p_value == 1.0


def test_real_rows_are_never_accused():
    """30 runs at level 0.0001; half of them with fewer columns, whose rows are often equal."""
    for run in range(30):
        rng = np.random.default_rng([run, 3])
        parts = [pd.DataFrame(rng.normal(size=(60, 3))).round(run % 2 * 1) for _ in range(3)]
        if run % 4 == 1:
            parts = [part.clip(-1, 1).astype(str) for part in parts]
        evidence = gather(parts[0], None, parts[1], None, holdout=(parts[2], None))
        found = HoldoutLeak().run(evidence, rng)
        assert found.p_value == 1.0
        assert "no sign" in found.sentence


@pytest.mark.parametrize("k", [2, 8])
@pytest.mark.parametrize("base", ["fresh", "train"])
def test_a_few_held_out_rows_to_the_letter_are_told(samples, k, base):
    """Where two columns never repeat a value, chance makes no equal rows, even if training rows came too."""
    train, fresh, holdout = samples
    rest = fresh if base == "fresh" else train
    made = pd.concat([holdout.iloc[:k], rest.iloc[k:]], ignore_index=True)
    found, _ = _found(train, made, holdout)
    assert found.p_value < 1e-4
    told = f"{k} equal a held-out row, and no training row, to the letter"
    assert told in found.sentence
    assert list(found.details["held_out_pairs"]["new"]) == list(range(k))
    assert list(found.details["held_out_pairs"]["holdout"]) == list(range(k))


def test_one_held_out_row_to_the_letter_is_mentioned(samples):
    train, fresh, holdout = samples
    found, _ = _found(train, pd.concat([holdout.iloc[:1], fresh.iloc[1:]], ignore_index=True), holdout)
    assert found.p_value == 1.0
    assert "though 1 equals one and no training row: one alone proves nothing" in found.sentence


def test_equal_rows_that_chance_makes_are_no_leak():
    """Few values, values of training rows, columns that follow from another, some of the rows or all."""
    rng = np.random.default_rng(4)

    def halves():
        whole = rng.integers(0, 3000, 300)
        return np.column_stack([whole, np.where(whole < 1500, whole, rng.integers(0, 3000, 300))])

    x = [rng.integers(0, 20_000, 300) / 100 for _ in range(3)]
    x[1][:2] = x[2][:2]
    mixed = [rng.normal(size=(300, 2)) for _ in range(3)]
    for k in range(5):  # values of two training rows, put together
        mixed[2][k] = mixed[1][k] = mixed[0][k, 0], mixed[0][k + 9, 1]
    zero = [np.where(rng.random((300, 1)) < 0.01, 0.0, rng.normal(size=(300, 3))) for _ in range(3)]
    cases = [
        [rng.normal(size=(300, 3)).round(1) for _ in range(3)],
        [np.column_stack([part, part**2, part * 9 / 5 + 32]) for part in x],
        [halves() for _ in range(3)],
        mixed,
        [zero[0][zero[0][:, 0] != 0], *zero[1:]],
    ]
    for train, made, holdout in cases:
        evidence = gather(train, None, made, None, holdout=(holdout, None))
        found = HoldoutLeak().run(evidence, rng)
        assert found.p_value == 1.0
        assert np.isin(evidence.made.keys, evidence.holdout.keys).any()
        assert "and no training row: " in found.sentence


def test_a_leak_that_the_attacks_alone_found_names_no_rows(monkeypatch):
    rng = np.random.default_rng(0)
    parts = [pd.DataFrame({"a": rng.choice(["x", "y"], 120)}) for _ in range(3)]  # every row is tied
    monkeypatch.setattr(leak_looks, "heldout_suspected", lambda evidence: 1e-9)
    evidence = gather(parts[0], None, parts[1], None, holdout=(parts[2], None))
    found = HoldoutLeak().run(evidence, rng)
    assert found.p_value < 1e-4 and not len(found.details["held_out_pairs"])


def test_two_checks_of_one_page_say_the_same(samples, monkeypatch):
    """One look is sure, and all looks together are not."""
    train, fresh, holdout = samples
    made = pd.concat([_noisy(holdout, np.random.default_rng(1)).iloc[:200], fresh.iloc[200:]])
    for p in (1e-9, 1e-4):
        calm = Look("attacks on membership", 1.0)
        seen = [Look("nearest real row", p), Look(EQUAL, 1.0), calm]
        monkeypatch.setattr(leak_looks, "looks", lambda evidence, seen=seen: seen)
        monkeypatch.setattr(holdout_leak, "looks", leak_looks.looks)
        found, evidence = _found(train, made, holdout)
        other = CloserShare().run(evidence, np.random.default_rng(0)).sentence
        assert ("trained on the held-out rows" in other) == ("no sign" not in found.sentence) == (p < 1e-5)


def test_rows_that_collapsed_are_not_accused(samples):
    train, fresh, holdout = samples
    made = fresh.iloc[np.arange(N) % 5].reset_index(drop=True)
    assert _found(train, made, holdout)[0].p_value == 1.0


def test_what_passed_on_leaked_rows_is_taken_back():
    chances = {"holdout_leak": 1e-9, "c2st": 0.4, "marginals": 1e-7}
    found = withdrawn(judge([Finding("fidelity", name, "", 0.5, p_value=p) for name, p in chances.items()]))
    assert [each.status for each in found] == [FAILED, NOT_JUDGED, FAILED]
    assert np.isnan(found[1].p_value) and "held-out rows" in found[1].caution
    calm = judge([Finding("fidelity", "holdout_leak", "", 0.5, p_value=1.0), found[2]])
    assert leaked(calm) is None and withdrawn(calm) == calm


def test_a_comparison_of_its_own_keeps_its_word():
    answers = [
        Answer("downstream", "?", "helps", PASSED, ["It helps."]),
        Answer("fidelity", "?", "no", FAILED),
    ]
    opening = "The new rows help (F1; weighted .5 without them, .6 with them)"
    verdict = Verdict("helps", f"{opening}; 2 of 9 checks failed: some look copied.", answers, opening)
    leak = judge([Finding("memorisation", "holdout_leak", "", 0.5, p_value=1e-9)])
    kept = after_leak(verdict, leak, True)
    assert kept.word == "helps" and list(kept.answers) == answers
    assert kept.sentence.startswith(f"{opening} by the comparison, which splits by itself; nothing else")
    assert after_leak(verdict, leak, False).word == NOT_JUDGED
    assert after_leak(verdict, [], False) is verdict


def test_the_report_says_it_first(monkeypatch):
    rng = np.random.default_rng(2)
    train, holdout = (_table(rng, 120) for _ in range(2))
    y = (train["x0"] > 0).astype(int), (holdout["x0"] > 0).astype(int)
    made = _noisy(holdout, rng)
    monkeypatch.setattr(sys.modules["augsynth.check.report.report"], "default_checks", _two_checks)
    named = {"holdout": (holdout, y[1]), "group_columns": ["kind"], "controls": False, "random_state": 0}
    found = report(train, y[0], made, y[1], **named)
    assert found.verdict.word == NOT_JUDGED
    assert "were among what the new rows were made from" in found.verdict.sentence
    assert found.failed == ["holdout_leak"]
    assert {each.word for each in found.verdict.answers[:4]} == {NOT_JUDGED}
    assert not [each.name for each in found.findings if each.status == PASSED]
    leads = {each["id"]: each["lead"] for each in sections_of(found)}
    for name in ("gains", "groups"):
        assert leads[name].startswith("Caution: held-out rows, or near twins of them, were among what")
    assert not leads["fidelity"].startswith("Caution")
    monkeypatch.setattr(type(found.groups), "sentences", lambda self: ["The gap became wider."])
    assert "became wider" not in found.datasheet_text()
    assert "became wider" in replace(found, findings=[]).datasheet_text()


def _two_checks():
    return [HoldoutLeak(), Marginals()]
