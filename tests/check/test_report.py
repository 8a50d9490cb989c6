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
from augsynth.check.report.answers import Answer, Compared, answer_part, judge_worth, status_words, verdict_of
from augsynth.check.report.charts import Gain
from augsynth.check.report.gains import _some, _with_wilson, judge_gains
from augsynth.check.report.markup import middle_cut
from augsynth.core.errors import InputTypeError, OutputExistsError, ParameterError
from augsynth.generate.trees import TreeGenerator


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


def test_a_page_may_go_without_real_rows(quick, monkeypatch):
    (X, y), (X_new, y_new), held = parts()
    secret = X.assign(job=[f"job of {i}" for i in range(len(X))])
    new = X_new.assign(job=secret["job"].to_numpy()[: len(X_new)])
    held = (held[0].assign(job=[f"other job {i}" for i in range(len(held[0]))]), held[1])
    module = sys.modules["augsynth.check.report.report"]
    chosen = [kind for kind in PRIVACY if kind.name in ("copies", "closer_share", "identifiers")]
    monkeypatch.setattr(module, "default_checks", lambda: [kind() for kind in chosen])
    whole, without = (
        report(secret, y, new, y_new, holdout=held, controls=False, show_rows=shown, random_state=0)
        for shown in (True, False)
    )
    assert "rows of your real tables" in whole.html() and "job of 1" in whole.html()
    assert "stands beside controls" not in whole.html()  # none were made
    assert "job of 1" not in without.html() and "job of 1" not in json.dumps(without.to_dict())


@pytest.mark.parametrize("generator", [3, TreeGenerator])
def test_what_is_no_generator_is_refused(quick, generator):
    (X, y), (X_new, y_new), held = parts()
    with pytest.raises(InputTypeError, match="must be the fitted generator"):
        report(X, y, X_new, y_new, holdout=held, generator=generator, random_state=0)


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
    assert any("more would tell its recall within 5 % either way" in line for line in found.more_real_rows())
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


def test_the_verdict_says_what_failed_and_by_how_much():
    hurts = Answer("downstream", "", "hurts", FAILED, brief="R2 0.900 without them, 0.800 with them")
    narrow, tstr = (
        found_as("diversity", "variety", FAILED, 1e-9),
        found_as("downstream", "tstr", FAILED, 1e-9),
    )
    gain, closer = (
        found_as("downstream", "gain", FAILED, 1e-9),
        found_as("memorisation", "closer_share", FAILED, 1e-9),
    )
    found = verdict_of(hurts, hurts, [gain, tstr, narrow, closer], holdout=True, noun="images")
    assert found.sentence == (
        "The new images hurt a model (R2 0.900 without them, 0.800 with them); 4 of 4 checks failed: they vary "
        "less than they should, they lie closer to the training rows than they should and on their own they "
        "teach a model less than real ones."
    )
    words = [
        answer_part("memorisation", each).word
        for each in ([closer], [found_as("memorisation", "copies", FAILED)])
    ]
    assert words == ["signs of it", "yes"]


def test_the_worst_finding_answers_first_and_silence_is_no_proof():
    findings = [
        found_as("fidelity", "mild", FAILED, 0.04),
        found_as("fidelity", "gross", FAILED, 1e-9),
        found_as("fidelity", "fine", PASSED, 0.7),
        found_as("diversity", "modes", PASSED, 0.5),
        found_as("memorisation", "shown", NOT_JUDGED),
    ]
    real, varied, copied = (answer_part(part, findings) for part in ("fidelity", "diversity", "memorisation"))
    assert real.word == "differences found" and list(real.sentences) == ["gross told.", "mild told."]
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


def frame_of_comparison():
    rows = [
        ("class", "ill", "recipe", 0.2, "helps"),
        ("class", "ill", "other", -0.3, "hurts"),
        ("group", "f", "recipe", 0.01, "no evidence"),
    ]
    names = ["scope", "level", "method", "difference", "verdict"]
    frame = pd.DataFrame(rows, columns=names).assign(against="nothing", low=-1.0, high=1.0, flag="")
    verdicts = pd.DataFrame({"in all": ["helps", "hurts"]}, index=["recipe", "other"])
    return SimpleNamespace(
        to_frame=lambda: frame, methods=["recipe", "other"], metric_words="recall", verdicts=verdicts,
        summary=lambda: "recipe: helps.\nother: hurts.", to_dict=dict,
    )  # fmt: skip


def test_only_the_method_that_made_the_rows_gains_and_loses():
    told = judge_gains(None, frame_of_comparison(), True, method="recipe")
    assert told.word == "some gained" and not any("other" in line for line in told.sentences)
    assert told.sentences[:2] == [
        "Gained: recall of ill +0.200.",
        "No evidence either way: recall of f +0.010.",
    ]
    both = judge_gains(None, frame_of_comparison(), True)
    assert both.word == "some gained, some lost" and "recall of ill, other -0.300" in both.sentences[1]


def test_a_method_must_be_one_of_the_comparison(quick, monkeypatch):
    (X, y), (X_new, y_new), held = parts()
    module = sys.modules["augsynth.check.report.report"]
    compared = frame_of_comparison()
    with pytest.raises(
        ParameterError, match="must name a method of the comparison: recipe, other; given 'x'"
    ):
        report(X, y, X_new, y_new, holdout=held, comparison=compared, method="x")
    stated = {}
    assert module._own_method(compared, "other", stated, None) == "other" == stated["method"]
    assert module._own_method(compared, None, {"method": "recipe"}, None) == "recipe"
    assert module._own_method(compared, None, {"method": "by hand"}, None) is None


def test_every_level_is_named_and_of_many_the_extremes():
    few = [Gain(f"g{k}", k / 100, -1.0, 1.0) for k in range(12)]
    assert all(f"{each.name} {each.difference:+.3f}" in _some(few) for each in few)
    many = [Gain(f"g{k:02}", k / 100, -1.0, 1.0) for k in range(40)]
    told = _some(many)
    assert "g00 +0.000" in told and "g39 +0.390" in told and "g20" not in told and "28 more" in told


def test_rates_of_nothing_and_of_everything_keep_an_interval():
    nan = float("nan")
    table = pd.DataFrame({"group": ["a", "b"], "n": [19, 8]})
    for when in ("before", "after"):
        table[when], table[f"{when}_low"], table[f"{when}_high"] = [0.0, 1.0], [0.0, nan], [0.06, nan]
    wide = _with_wilson(table)
    z2 = 1.959964**2
    assert wide["before_high"][0] == pytest.approx(z2 / (19 + z2), abs=1e-5)  # Wilson's end at 0 of n
    assert wide["after_low"][1] == pytest.approx(8 / (8 + z2), abs=1e-5) and wide["after_high"][1] == 1.0


def test_few_compared_rows_are_no_good_news():
    fine = [found_as("fidelity", "fine", PASSED, 0.7)]
    few, some, all_ = Compared(43, 602, [("ill", 43, 602)]), Compared(200, 602), Compared(500, 602)
    told = answer_part("fidelity", fine, few)
    assert told.status == NOT_JUDGED and told.word == "too few to say"
    assert told.sentences[0].startswith("Compared were 43 of 602 new rows (by class: ill 43 of 602)")
    told = answer_part("fidelity", fine, some)
    assert told.status == PASSED and "200 of 602" in told.sentences[-1]
    assert len(answer_part("fidelity", fine, all_).sentences) == 1
    failed = [found_as("fidelity", "gross", FAILED, 1e-9)]
    assert answer_part("fidelity", failed, few).status == FAILED  # what was seen was seen
    weak = Finding(
        "fidelity", "c2st", "", 0.5, low=0.4, high=0.6, null=0.5, status=PASSED,
        controls={"independent columns": 0.55},
    )  # fmt: skip
    assert "this test has no power" in answer_part("fidelity", [weak], all_).sentences[-1]


def test_rows_without_real_ones_beside_them_are_counted(quick):
    (X, y), (X_new, _), held = parts()
    found = report(X, y, X_new, ["yes"] * 80, holdout=held, group_columns="sex", random_state=0)
    there = {sex: int(((held[1] == "yes") & (held[0]["sex"] == sex)).sum()) for sex in ("f", "m")}
    expected = sum(min(int((X_new["sex"] == sex).sum()), n) for sex, n in there.items())
    counted = Compared.of(found.evidence)
    assert (counted.rows, counted.new, list(counted.by_class)) == (expected, 80, [("yes", expected, 80)])
    gain = next(each for each in found.findings if each.name == "gain")
    assert status_words(gain) in ("not shown to be worse", "worse", NOT_JUDGED)
    assert found.groups is not None and set(found.groups.changes["attribute"]) == {"all", "sex"}
