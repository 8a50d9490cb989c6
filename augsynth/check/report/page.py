"""One self-contained page: text, tables and pictures in one file that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any

from jinja2 import Environment
from markupsafe import Markup

from augsynth.check.finding import FAILED, PASSED
from augsynth.check.report.markup import clean
from augsynth.check.report.sections import sections_of
from augsynth.check.report.strip import KEY

if TYPE_CHECKING:
    from augsynth.check.report.report import Report

__all__ = ["page"]

# The page is whole without it; it only copies the datasheet.
_SCRIPT = (
    'var b=document.getElementById("copy");if(b&&navigator.clipboard){b.hidden=false;'
    'b.addEventListener("click",function(){navigator.clipboard.writeText('
    'document.getElementById("datasheet-text").textContent).then(function(){'
    'document.getElementById("copied").textContent="copied"})})}'
)
_WORDS = {"helps": "They help", "hurts": "They hurt", "no evidence": "No evidence that they help"}
CLASSES = {PASSED: "good", FAILED: "bad", "helps": "good", "hurts": "bad"}


def page(report: Report) -> str:
    """Return the report as HTML."""
    files = resources.files("augsynth.check.report")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_clean)
    template = environment.from_string(files.joinpath("page.html").read_text(encoding="utf-8"))
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    settings, verdict = report.settings, report.verdict
    failed = [(each.name, each.title) for each in report.findings if each.status == FAILED]
    word = _WORDS.get(verdict.word, verdict.word)
    context: dict[str, Any] = {
        "policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
        f"form-action 'none'; script-src 'sha256-{digest}'",
        "title": f"{settings['title']}: {verdict.word}",
        "style": Markup(files.joinpath("page.css").read_text(encoding="utf-8")),
        "script": Markup(_SCRIPT),
        "over": f"{settings['title']}: {settings['rows_new']:,} new {settings['noun']} "
        f"beside {settings['rows_train']:,} real ones",
        "verdict": {"word": word, "sentence": verdict.sentence, "class": CLASSES.get(verdict.word, "plain")},
        "chips": _chips(report),
        "answers": [
            {**each.to_dict(), "class": CLASSES.get(each.status, "plain")} for each in verdict.answers
        ],
        "failed": failed,
        "sections": sections_of(report),
        "key": KEY,
        "footer": f"Made by augsynth {settings['version']}, seed {settings['seed']}, "
        f"{sum(report.seconds.values()):,.0f} CPU-seconds. "
        "This page holds everything that it shows and fetches nothing.",
    }
    return template.render(**context)


def _clean(value: Any) -> Any:
    """Keep marks that HTML may not hold out of the page."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _chips(report: Report) -> list[tuple[str, str]]:
    settings = report.settings
    judged = [each for each in report.findings if each.status in (PASSED, FAILED)]
    chips = [
        (f"training {settings['noun']}", f"{settings['rows_train']:,}"),
        (f"new {settings['noun']}", f"{settings['rows_new']:,}"),
        (f"{settings['noun']} held out", f"{settings['rows_holdout']:,}"),
    ]
    if settings["classes"]:
        chips.append(("classes", f"{settings['classes']:,}"))
    if settings["groups"]:
        chips.append(("groups", f"{settings['groups']:,}"))
    chips.append(("checks failed", f"{sum(each.status == FAILED for each in judged)} of {len(judged)}"))
    return chips
