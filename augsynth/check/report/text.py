"""A report as plain text."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from augsynth.check.finding import NOT_JUDGED
from augsynth.check.report.answers import figure_words, status_words
from augsynth.check.report.markup import figure

if TYPE_CHECKING:
    from augsynth.check.report.report import Report

__all__ = ["report_text"]

_WIDTH = 108


def report_text(report: Report) -> str:
    """Return verdict, answers, one line a judged check and the notes."""
    verdict = report.verdict
    lines = [f"{verdict.word.upper()}  {verdict.sentence}", ""]
    for each in verdict.answers:
        lines.append(f"{each.question} {each.word}")
        lines += [
            textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  ")
            for text in each.sentences
        ]
    judged = [each for each in report.findings if each.status != NOT_JUDGED]
    if judged:
        lines.append("")
        wide = max(len(f"{each.title} [{each.name}]") for each in judged)
        for found in judged:
            value, null = figure_words(found), figure(found.null, found.unit)
            words = status_words(found)
            title = f"{found.title} [{found.name}]"
            lines.append(f"{title:<{wide}}  {value:>9}  if nothing differed {null:>9}  {words}")
    if report.notes:
        lines += [
            "",
            *(textwrap.fill(f"Note: {note}", _WIDTH, subsequent_indent="  ") for note in report.notes),
        ]
    return "\n".join(lines)
