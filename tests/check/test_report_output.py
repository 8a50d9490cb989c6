"""Where a report is written: odd paths end in one sentence, and no file is ever half."""

import errno
import json
import os
import pathlib
import sys

import numpy as np
import pandas as pd
import pytest

from augsynth.check.report import report
from augsynth.core import files
from augsynth.core.errors import AugsynthError, InputTypeError, ParameterError


@pytest.fixture(scope="module")
def found():
    """A small report; what it says does not matter here."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["augsynth.check.report.report"], "default_checks", list)
        return report(X, None, X[:9] + 0.5, None, controls=False, random_state=0)


@pytest.mark.parametrize("method", ["to_html", "to_json"])
@pytest.mark.parametrize(
    "path, kind, words",
    [
        (None, InputTypeError, "path must name a file (text or a pathlib.Path); given None"),
        (3, InputTypeError, "given 3"),
        (b"r.html", InputTypeError, "given b'r.html'"),
        ("", ParameterError, "path must name a file; given ''"),
        (" ", ParameterError, "given ' '"),
        ("new/", ParameterError, "given 'new/'"),
        (".", ParameterError, "given the folder '.'"),
        ("a\0b", ParameterError, r"given 'a\x00b'"),
        ("\ud800.html", ParameterError, r"none can have this name; given '\ud800.html'"),
        ("~nobody_of_this_name/r", ParameterError, "nobody has this home"),
        ("x" * 300, AugsynthError, "File name too long. Choose another path."),
        ("file/r.html", AugsynthError, "a part of its path is a file, not a folder"),
    ],
)
def test_odd_paths_end_in_one_sentence(found, method, path, kind, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("old")
    with pytest.raises(kind) as raised:
        getattr(found, method)(path)
    told = str(raised.value)
    assert words in told and told.startswith(f"Report.{method}: ") and "\n" not in told
    assert told.encode() and [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "number, words",
    [
        (errno.ENOSPC, "the disk is full. Free some space"),
        (errno.EACCES, "it is not permitted. Choose another path."),
        (errno.EROFS, "it is not permitted"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_failed_writing_leaves_the_old_file(found, number, words, tmp_path, monkeypatch):
    (tmp_path / "r.html").write_text("old")

    def fails(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "fsync", fails)
    with pytest.raises(AugsynthError, match="r.html cannot be written; ") as raised:
        found.to_html(tmp_path / "r.html")
    assert words in str(raised.value) and isinstance(raised.value.__cause__, OSError)
    assert [each.name for each in tmp_path.iterdir()] == ["r.html"] and (
        tmp_path / "r.html"
    ).read_text() == "old"


def test_home_folders_that_are_not_there_and_names_without_an_ending(found, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    found.to_html("~/new/deep/r.html")
    found.to_json(pathlib.Path("~") / "plain")
    assert (tmp_path / "new" / "deep" / "r.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert json.loads((tmp_path / "plain").read_text())["verdict"]["word"] == "not judged"


def test_a_bad_path_is_seen_before_the_page_is_made(found, monkeypatch):
    monkeypatch.setattr(type(found), "html", lambda self: pytest.fail("made"))
    with pytest.raises(ParameterError):
        found.to_html("")


def test_halves_of_surrogate_pairs_reach_page_records_and_text(tmp_path):
    """They come from files with wrong bytes and from JSON; nothing that is written may hold them."""
    rng, odd = np.random.default_rng(0), "\ud800"

    def rows(n):
        columns = {f"x{odd}": rng.normal(size=n), "job": rng.choice([f"cook{odd}", "clerk"], n)}
        columns[f"{odd}sex"] = rng.choice([f"f{odd}", "m"], n)
        cells = np.array(list(columns.values()), dtype=object).T
        X = pd.DataFrame(cells, columns=pd.Index(list(columns), dtype=object), dtype=object)
        X.isetitem(0, X.iloc[:, 0].astype(float))
        return X, np.array([f"yes{odd}", "no"], dtype=object)[rng.integers(0, 2, n)]

    (X, y), (X_new, y_new), held = rows(60), rows(30), rows(40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["augsynth.check.report.report"], "default_checks", list)
        made = report(
            X, y, X_new, y_new, holdout=held, group_columns=[f"{odd}sex"], controls=False,
            datasheet={"owner": f"A{odd}"}, random_state=0,
        )  # fmt: skip
    for text in (made.html(), str(made), made.summary(), repr(made), json.dumps(made.to_dict())):
        assert text.encode() and odd not in text
    made.to_html(tmp_path / "r.html")
    made.to_json(tmp_path / "r.json")
    told = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert told["datasheet"]["owner"] == "A\ufffd"
    assert "yes\\ud800" in {each["name"] for each in told["data"]}
    assert made.datasheet_text().encode()
    made.plot(tmp_path / "r.svg")
