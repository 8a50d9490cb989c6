"""What is left of a verdict where held-out rows were among what the new rows were made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from augsynth.check.finding import NOT_JUDGED, Finding
from augsynth.check.privacy import leaked
from augsynth.check.report.answers import Answer, Verdict

__all__ = ["after_leak", "leak_caution"]

_LEAKED = "held-out rows, or near twins of them, were among what the new rows were made from"
_TODO = "Split first, fit the generator on the training rows alone, and report again."


def after_leak(verdict: Verdict, findings: Sequence[Finding], compared: bool) -> Verdict:
    """Return the verdict without what rests on held-out rows, if those leaked; else as it is.

    Parameters
    ----------
    compared : bool
        Whether worth and gains come from a comparison, which splits by itself.

    Examples
    --------
    >>> worth = Answer("downstream", "Are they worth anything?", "helps", "passed")
    >>> leak = Finding("memorisation", "holdout_leak", "", 0.9, status="failed")
    >>> found = after_leak(Verdict("helps", "The new rows help.", [worth]), [leak], False)
    >>> found.word, found.answers[0].word
    ('not judged', 'not judged')
    """
    if leaked(findings) is None:
        return verdict
    gone = () if compared else ("downstream", "bias")
    answers = [
        _without(each) if each.part in gone or each.status == NOT_JUDGED else each for each in verdict.answers
    ]
    if compared:
        kept = f"{verdict.opening or verdict.sentence.rstrip('.')} by the comparison, which splits by itself"
        told = f"{kept}; nothing else here can be judged, for {_LEAKED}. {_TODO}"
        return replace(verdict, sentence=told, answers=answers)
    told = f"Nothing that rests on held-out rows can be judged: {_LEAKED}. {_TODO}"
    return replace(verdict, word=NOT_JUDGED, sentence=told, answers=answers)


def leak_caution(findings: Sequence[Finding]) -> str:
    """Return what stands above figures that were measured on held-out rows, if those leaked; else ""."""
    if leaked(findings) is None:
        return ""
    return f"Caution: {_LEAKED}, so no figure here that was measured on held-out rows holds."


def _without(answer: Answer) -> Answer:
    told = [f"Not judged: {_LEAKED}."]
    return replace(answer, word=NOT_JUDGED, status=NOT_JUDGED, sentences=told)
