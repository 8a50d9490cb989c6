"""The report: verdict first, what failed, counts, datasheet, records; on whatever rows a user may have."""

import json
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from augsynth.check.downstream import hold_out_trial
from augsynth.check.fidelity import CHECKS as FIDELITY
from augsynth.check.finding import FAILED, NOT_JUDGED, PASSED, Finding
from augsynth.check.privacy import CHECKS as PRIVACY
from augsynth.check.report import Report, report
from augsynth.check.report.answers import answer_part, judge_worth, verdict_of
from augsynth.check.report.markup import middle_cut
from augsynth.core.errors import OutputExistsError, ParameterError


@pytest.fixture
def quick(monkeypatch):
    """Few checks and few fits."""
    module = sys.modules["augsynth.check.report.report"]
    chosen = [kind for kind in (*FIDELITY, *PRIVACY) if kind.name in ("marginals", "copies")]
    monkeypatch.setattr(module, "default_checks", lambda: [kind() for kind in chosen])
    monkeypatch.setattr(module, "hold_out_trial", partial(hold_out_trial, n_halves=2, n_bootstrap=20))


def people(rng, n):
    y = rng.integers(0, 2, n)
    X = pd.DataFrame({"age": rng.normal(40, 10, n) + 5 * y, "job": rng.choice(["cook", "clerk"], n)})
    X["sex"] = rng.choice(["f", "m"], n, p=[0.3, 0.7])
    return X, np.where(y == 1, "yes", "no")


def parts(seed=0, sizes=(150, 80, 100)):
    rng = np.random.default_rng(seed)
    return [people(rng, n) for n in sizes]


def test_copies_fail_and_the_verdict_says_so(quick):
    (X, y), _, held = parts()
    rng = np.random.default_rng(1)
    order = rng.permutation(len(X))[:80]
    found = report(X, y, X.iloc[order], y[order], holdout=held, random_state=0)
    assert "copies" in found.failed and "some look copied" in found.verdict.sentence
    answers = {each.part: each for each in found.verdict.answers}
    assert answers["memorisation"].word == "yes" and answers["memorisation"].status == FAILED
    assert (
        "copies" in repr(found) and "copies" in str(found) and "Does anything look copied? yes" in str(found)
    )


def test_real_rows_pass_and_the_seed_repeats_everything(quick):
    (X, y), (X_new, y_new), held = parts()
    found, again = (report(X, y, X_new, y_new, holdout=held, random_state=3) for _ in range(2))
    assert found.failed == [] and found.verdict.word in ("no evidence", "helps", "hurts")
    pd.testing.assert_frame_equal(found.to_frame(), again.to_frame())
    told, other = found.to_dict(), again.to_dict()
    told.pop("seconds"), other.pop("seconds")
    assert json.dumps(told, allow_nan=False) == json.dumps(other, allow_nan=False)


def test_counts_are_those_of_the_rows(quick):
    (X, y), (X_new, y_new), held = parts()
    enlarged, labels = pd.concat([X, X_new]), np.concatenate([y, y_new])
    found = report(X, y, enlarged, labels, holdout=held, group_columns=["sex"], random_state=0)
    cells = found.data[found.data["of"] == "class and group"].set_index("name")
    for (label, sex), row in (((a, b), cells.loc[f"{a}, {b}"]) for a in ("no", "yes") for b in ("f", "m")):
        assert row["before"] == ((y == label) & (X["sex"] == sex)).sum()
        assert row["new"] == ((y_new == label) & (X_new["sex"] == sex)).sum()
        assert row["held_out"] == ((held[1] == label) & (held[0]["sex"] == sex)).sum()
        assert row["after"] == row["before"] + row["new"]
    assert any("opens with the 150 real rows" in note for note in found.notes)
    assert found.settings["rows_new"] == 80
    # 150 rows of four cells are too few to know a recall within five points
    assert any("more would tell its recall within 5% either way" in line for line in found.more_real_rows())
    assert "**Where more real rows would do more than synthetic ones.**" in found.datasheet_text()
    assert found.groups is not None and set(found.groups.changes["attribute"]) == {"all", "sex"}


def test_files_are_whole_records_are_strict_and_nothing_is_replaced_unasked(quick, tmp_path):
    (X, y), (X_new, y_new), held = parts()
    found = report(X, y, X_new, y_new, holdout=held, random_state=0)
    assert isinstance(found, Report)
    found.to_json(tmp_path / "r.json")
    told = json.loads((tmp_path / "r.json").read_text(), parse_constant=pytest.fail)
    assert told["verdict"]["word"] == found.verdict.word and told["failed"] == found.failed
    assert [each["name"] for each in told["findings"]] == found.to_frame()["name"].tolist()
    found.to_html(tmp_path / "r.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "r.json"]
    with pytest.raises(OutputExistsError, match="r.html: this file is there already"):
        found.to_html(tmp_path / "r.html", overwrite=False)
    assert "srcdoc" in found._repr_html_()
    drawn = found.plot(tmp_path / "r.svg")
    words = {text.get_text() for text in drawn.axes[0].texts}
    judged = [each for each in found.findings if each.status != NOT_JUDGED]
    assert (
        len(judged) >= 3
        and {middle_cut(each.title, 56) for each in judged} <= words
        and (tmp_path / "r.svg").exists()
    )


def test_the_datasheet_says_what_was_stated_and_what_was_not(quick):
    (X, y), (X_new, y_new), held = parts()
    stated = {"owner": "A | B\n<b>", "licence": "CC0"}
    found = report(X, y, X_new, y_new, holdout=held, datasheet=stated, random_state=7)
    text = found.datasheet_text()
    assert "- **Owner:** A | B &lt;b>" in text and "- **Licence:** CC0" in text
    assert "- **Consent:** not stated" in text and "- **Right to train:** not stated" in text
    assert "seed 7" in text and "80 rows beside 150 real ones" in text
    assert "proves neither anonymity nor fairness" in text
    with pytest.raises(ParameterError, match="datasheet may state .* 'licens'"):
        report(X, y, X_new, y_new, datasheet={"licens": "CC0"})


@pytest.mark.parametrize("alpha", [0.0, 1.0, "much"])
def test_bad_levels(alpha):
    with pytest.raises(ParameterError, match="alpha"):
        report(np.zeros((4, 1)), None, np.ones((4, 1)), None, alpha=alpha)


def test_whatever_rows_there_are(quick):
    """No labels, no held-out rows, two rows, numbers as target, one class added, unseen labels."""
    (X, y), (X_new, y_new), held = parts(2)
    unlabelled = report(X, None, X_new, None, random_state=0)
    assert (
        unlabelled.verdict.word == "not judged"
        and "Without real rows held out" in unlabelled.verdict.sentence
    )
    assert "needs labels" in unlabelled.verdict.answers[0].sentences[0] and len(unlabelled.html()) > 10_000
    two = pd.DataFrame({"a": [1.0, 2.0]})
    assert report(two, ["u", "v"], two + 0.5, ["u", "v"], random_state=0).html()
    ages, new_ages, held_ages = X.pop("age"), X_new.pop("age"), held[0].pop("age")
    numbers = report(
        X, ages, X_new, new_ages, holdout=(held[0], held_ages), group_columns=["sex"], random_state=0
    )
    assert numbers.settings["target"] == "number" and "R2" in numbers.html()
    one = report(X, y, X_new, ["yes"] * len(X_new), holdout=held, random_state=0)
    assert one.data.loc[one.data["name"] == "no", "new"].tolist() == [0] and one.html()
    unseen = report(X, y, X_new, ["perhaps"] * len(X_new), holdout=held, random_state=0)
    assert "perhaps" in unseen.html()


def found_as(part, name, status, p=float("nan")):
    return Finding(
        part, name, name, 1.0, p_value=p, p_adjusted=p, status=status, sentence=f"{name} told.", n=50
    )


def test_the_worst_finding_answers_first_and_silence_is_no_proof():
    findings = [
        found_as("fidelity", "mild", FAILED, 0.04),
        found_as("fidelity", "gross", FAILED, 1e-9),
        found_as("fidelity", "fine", PASSED, 0.7),
        found_as("diversity", "modes", PASSED, 0.5),
        found_as("memorisation", "shown", NOT_JUDGED),
    ]
    real, varied, copied = (answer_part(part, findings) for part in ("fidelity", "diversity", "memorisation"))
    assert real.word == "no" and list(real.sentences) == ["gross told.", "mild told."]
    assert varied.status == PASSED and "That is no proof" in varied.sentences[0]
    assert copied.status == NOT_JUDGED


@pytest.mark.parametrize(
    "words, word", [(["helps"], "helps"), (["hurts"], "hurts"), (["helps", "hurts"], "mixed")]
)
def test_the_comparison_leads(words, word):
    names = [f"method {k}" for k in range(len(words))]
    lines = "\n".join(f"{name}: {each}." for name, each in zip(names, words, strict=True))
    comparison = SimpleNamespace(verdicts=pd.DataFrame({"in all": words}, index=names), summary=lambda: lines)
    worth = judge_worth(comparison)
    assert worth.word == word and list(worth.sentences)[-len(words) :] == lines.splitlines()
    assert ("which of them made these rows was not said" in worth.sentences[0]) == (len(words) > 1)
    own = judge_worth(comparison, names[-1])
    assert own.word == words[-1] and own.sentences[0] == f"{names[-1]}: {words[-1]}."
    assert all(line.startswith("For comparison: ") for line in own.sentences[1:])
    verdict = verdict_of(worth, worth, [found_as("memorisation", "copies", FAILED, 1e-9)], holdout=True)
    assert verdict.word == word and verdict.sentence.endswith("1 of 1 checks failed: some look copied.")
