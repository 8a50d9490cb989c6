"""`augsynth check`: exit codes, files, refusals, and what it says without labels or held-out rows."""

import json
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import augsynth.check.report  # noqa: F401
from augsynth.check.downstream import hold_out_trial
from augsynth.check.fidelity import CHECKS as FIDELITY
from augsynth.check.privacy import CHECKS as PRIVACY
from augsynth.cli import app


def call(*arguments):
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


@pytest.fixture(autouse=True)
def few_checks(monkeypatch):
    """Two checks and few fits: what a command does does not depend on how many there are."""
    module = sys.modules["augsynth.check.report.report"]
    chosen = [kind for kind in (*FIDELITY, *PRIVACY) if kind.name in ("marginals", "copies")]
    monkeypatch.setattr(module, "default_checks", lambda: [kind() for kind in chosen])
    monkeypatch.setattr(module, "hold_out_trial", partial(hold_out_trial, n_halves=2, n_bootstrap=20))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Real, held-out and new rows of one distribution, and copies of the real ones."""
    root, rng = tmp_path_factory.mktemp("check"), np.random.default_rng(0)

    def table(n):
        y = rng.integers(0, 2, n)
        x = rng.normal(size=(n, 2)) + y[:, None]
        sex = rng.choice(["f", "m"], n)
        return pd.DataFrame({"x": x[:, 0], "z": x[:, 1], "sex": sex, "y": np.where(y == 1, "yes", "no")})

    real = table(120)
    real.to_csv(root / "real.csv", index=False)
    table(80).to_csv(root / "test.csv", index=False)
    table(60).to_csv(root / "new.csv", index=False)
    real.iloc[:60].to_csv(root / "copies.csv", index=False)
    return root


def test_a_check_writes_page_and_json_and_says_the_verdict(files, tmp_path):
    page, data = tmp_path / "r.html", tmp_path / "r.json"
    asked = [files / "real.csv", files / "new.csv", "--target", "y", "--group-columns", "sex"]
    asked += ["--holdout", files / "test.csv", "--out", page, "--json", data, "--owner", "the <clinic>"]
    done = call(*asked)
    assert done.exit_code == 0, done.output
    assert "Verdict: " in done.stdout and "Does anything look copied?" in done.stdout
    told = json.loads(data.read_text())
    assert told["verdict"]["word"] in ("helps", "no evidence", "hurts", "not judged")
    assert told["datasheet"]["owner"] == "the <clinic>" and told["settings"]["rows_holdout"] == 80
    text = page.read_text(encoding="utf-8")
    assert "the &amp;lt;clinic" in text and "the <clinic>" not in text and "Report on new.csv" in text
    assert call(*asked).exit_code == 4  # nothing is replaced unasked
    assert page.read_text(encoding="utf-8") == text


def test_copies_fail_and_only_strict_makes_it_an_exit_code(files, tmp_path):
    asked = [files / "real.csv", files / "copies.csv", "-t", "y", "--holdout", files / "test.csv"]
    done = call(*asked, "--out", tmp_path / "a.html")
    assert done.exit_code == 0 and "copies" in done.stdout and "failed" in done.stdout
    assert call(*asked, "--out", tmp_path / "a.html", "--force", "--strict").exit_code == 1


def test_names_that_no_screen_can_show(files, tmp_path):
    """A byte that is no UTF-8 in a file's name or on the command line arrives as half of a surrogate pair."""
    odd = tmp_path / "new\udcff.csv"
    odd.write_bytes((files / "new.csv").read_bytes())
    asked = [files / "real.csv", odd, "-t", "y", "--json", tmp_path / "r.json", "--owner", "A\udcff"]
    done = call(*asked)
    assert done.exit_code == 0, done.output
    assert "new\\udcff_report.html" in done.stdout
    text = (tmp_path / "new\udcff_report.html").read_text(encoding="utf-8")
    assert "Report on new\ufffd.csv" in text and "A\ufffd" in text
    told = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert told["settings"]["title"] == "Report on new\\udcff.csv"


def test_without_labels_and_held_out_rows_it_says_what_is_missing(files):
    done = call(files / "real.csv", files / "new.csv")
    assert done.exit_code == 0, done.output
    assert "Verdict: NOT JUDGED" in done.stdout and (files / "new_report.html").exists()
    assert "whether the new rows help a model needs labels" in done.stdout
    assert "No --target: labels are looked at as one more column" in done.stdout


def test_columns_are_left_out_groups_have_commas_and_balancing_is_asked_for(files, tmp_path):
    new = pd.read_csv(files / "new.csv")
    new.assign(id=range(60)).to_csv(tmp_path / "more.csv", index=False)
    asked = [files / "real.csv", tmp_path / "more.csv", "-t", "y", "--out", tmp_path / "r.html"]
    done = call(*asked)
    assert done.exit_code == 3 and "'id'" in done.stderr and "--ignore COLUMN leaves out" in done.stderr
    data = tmp_path / "r.json"
    done = call(*asked, "--ignore", "id", "-g", "sex,z", "--json", data)
    assert done.exit_code == 0, done.output
    groups = {each["name"] for each in json.loads(data.read_text())["data"] if each["of"] == "group"}
    assert any(name.startswith("f / ") for name in groups)
    new.assign(sex="f").to_csv(tmp_path / "women.csv", index=False)
    done = call(files / "real.csv", tmp_path / "women.csv", "-t", "y", "--holdout", files / "test.csv")
    assert "Did you balance by it? Name it with --group-columns" in done.stdout, done.output


def test_misfits_and_refusals(files, tmp_path):
    real = pd.read_csv(files / "real.csv")
    real.assign(x="text", y="maybe").to_csv(tmp_path / "odd.csv", index=False)
    odd = call(files / "real.csv", tmp_path / "odd.csv", "-t", "y")
    assert odd.exit_code == 3 and "x holds numbers in the real table and text" in odd.stderr
    assert "labels that the real one lacks: 'maybe'" in odd.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "odd.csv"]
    new, apart = files / "new.csv", ["--out", tmp_path / "r.html"]
    for arguments, code, sentence in [
        ([tmp_path / "none.csv", *apart], 3, "no such file"),
        ([new, "-t", "Y", *apart], 3, "--target: the real table has no column 'Y'"),
        ([new, "-g", "sexx", *apart], 3, "did you mean 'sex'?\n"),
        (
            [new, "-g", "sex,Z", "-t", "Y", *apart],
            3,
            "column 'Y'. --group-columns: the real table has no column 'Z'.",
        ),
        ([new, "-t", "y", "--ignore", "y", *apart], 3, "'y' cannot be left out and used at once"),
        ([new, "--ignore", "w", "--out", new], 3, "--ignore: the tables have no column 'w'"),
        ([tmp_path / "a", "--holdout", tmp_path / "b", *apart], 3, "b: there is no such file"),
        ([new, "--out", new, "--force"], 4, "overwrite the run's own input"),
        ([new, "--out", tmp_path / "r", "--json", tmp_path / "r"], 4, "must name two files"),
    ]:
        done = call(files / "real.csv", *arguments)
        assert done.exit_code == code and sentence in done.stderr, done.stderr
