"""A run checks its new rows: the page stands beside the other files, and the comparison leads."""

import json
import sys
from functools import partial

import pytest

import augsynth.check.report  # noqa: F401
from augsynth.check.downstream import hold_out_trial
from augsynth.check.privacy import CHECKS as PRIVACY
from augsynth.core.errors import DataError
from augsynth.recipe import parse
from augsynth.recipe.run import run

SMALL = {
    "name": "small",
    "data": {"path": "sklearn:wine", "thin": {"class_2": 12}, "groups": ["ash"], "bands": {"ash": [2.4]}},
    "generator": {"kind": "bootstrap"},
    "compare": {"folds": 2, "repeats": 1, "scoring": "roc_auc_ovr"},
}


@pytest.fixture
def quick(monkeypatch):
    module = sys.modules["augsynth.check.report.report"]
    chosen = [kind for kind in PRIVACY if kind.name == "copies"]
    monkeypatch.setattr(module, "default_checks", lambda: [kind() for kind in chosen])
    monkeypatch.setattr(module, "hold_out_trial", partial(hold_out_trial, n_halves=2, n_bootstrap=20))
    return module


def test_a_run_writes_a_page_that_its_comparison_leads(quick, tmp_path):
    told = []
    result = run(parse(SMALL), directory=tmp_path / "out", tell=told.append)
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "report.html" in written["files"] and "checking the " in " ".join(told)
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "small: " in text and "Cross-validated: " in text and "Held-out rows: " in text
    checks = written["checks"]
    assert checks["verdict"]["word"] == result.comparison.verdicts["in all"].iloc[0]
    assert checks["failed"] == ["copies"]  # a bootstrap copies
    assert checks["settings"]["rows_train"] == len(result.parts.y)
    assert checks["settings"]["rows_new"] == len(result.y) - len(result.parts.y)
    assert {row["name"] for row in checks["data"] if row["of"] == "group"} == {"below 2.4", "2.4 or more"}
    assert checks["datasheet"]["method"] == "bootstrap"


def test_what_cannot_be_checked_is_noted_and_the_run_is_written(quick, tmp_path, monkeypatch):
    def stop(*arguments, **options):
        raise DataError("report: these rows cannot be checked.")

    monkeypatch.setattr(quick, "gather", stop)
    result = run(parse({**SMALL, "compare": None}), directory=tmp_path / "out")
    assert any("could not be checked: report: these rows" in note for note in result.notes)
    assert (tmp_path / "out" / "enlarged.csv").exists() and not (tmp_path / "out" / "report.html").exists()


def test_nothing_new_or_no_wish_no_page(quick, tmp_path):
    off = {**SMALL, "compare": None, "output": {"report": False}}
    assert run(parse(off), directory=tmp_path / "a").report is None
    bootstrap = {
        "name": "b",
        "data": {"path": "sklearn:wine"},
        "resampler": {"kind": "bootstrap"},
        "compare": None,
    }
    assert run(parse(bootstrap), directory=tmp_path / "b").report is None
