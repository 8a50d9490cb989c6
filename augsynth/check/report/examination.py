"""Every check on the new rows, and on each control in their place."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from augsynth.check.controls import make_controls
from augsynth.check.evidence import Evidence
from augsynth.check.finding import Check, Finding, judge
from augsynth.check.report.markup import spaced
from augsynth.check.utility.folds import one_thread
from augsynth.core.random import keyed_rng

__all__ = ["examine"]

_STREAM = 321
_NOTHING_TO_MATCH = "No new row is of a class and group that real rows have: there is nothing to compare."


def examine(
    evidence: Evidence,
    checks: Sequence[Check],
    *,
    alpha: float = 0.05,
    controls: bool | Mapping[str, Evidence] = True,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[list[Finding], list[str], dict[str, float]]:
    """Run the checks that apply, put the controls beside each, and judge them together.

    ``controls`` are made here, unless they come along (of `make_controls`) or are not wanted.

    Returns
    -------
    findings : list of Finding
    notes : list of str
    seconds : dict
        CPU-seconds of each check, its controls included.
    """
    beside: Mapping[str, Evidence] = {}
    notes: list[str] = []
    if isinstance(controls, Mapping):
        beside = controls
    elif controls:
        beside, notes = make_controls(evidence)
    findings: list[Finding] = []
    silent: list[Finding] = []
    seconds: dict[str, float] = {}
    alien = not len(evidence.matched[0])
    with one_thread():
        for check in checks:
            tell(check.title)
            started = time.process_time()
            reason = _NOTHING_TO_MATCH if alien else check.applies(evidence)
            if reason:
                silent.append(Finding(check.part, check.name, check.title, float("nan"), caution=reason))
                findings.append(silent[-1])
                continue
            found = check.run(evidence, _rng(evidence, check, "new rows"))
            figures = {
                name: _figure(check, other, name)
                for name, other in beside.items()
                if name in check.controlled
            }
            told = spaced(_unnumbered(found.sentence, evidence.modality))
            findings.append(replace(found, controls=figures, sentence=told, caution=spaced(found.caution)))
            seconds[check.name] = time.process_time() - started
    # Of two checks of one name, for different kinds of rows, the one that applies speaks, else the first.
    first = {each.name: each for each in reversed(silent) if each.name not in seconds}
    findings = [each for each in findings if each not in silent or first.get(each.name) is each]
    return judge(findings, alpha), [*evidence.notes, *notes], seconds


def _unnumbered(sentence: str, modality: str) -> str:
    """Name features of pictures, clips and texts in words: their numbers tell nobody anything.

    Examples
    --------
    >>> _unnumbered("What gives them away: feature 26, feature 4 and feature 9.", "image")
    'What gives them away: picture features.'
    """
    kind = _FEATURES.get(modality)
    if kind is None:
        return sentence
    several = re.sub(r"feature \d+((,| and|, and) feature \d+)+", f"{kind}s", sentence)
    return re.sub(r"feature \d+", f"a {kind}", several)


_FEATURES = {"image": "picture feature", "audio": "sound feature", "text": "word feature"}


def _figure(check: Check, evidence: Evidence, name: str) -> float:
    if not len(evidence.matched[0]) or check.applies(evidence):
        return float("nan")
    return float(check.value(evidence, _rng(evidence, check, name)))


def _rng(evidence: Evidence, check: Check, name: str) -> np.random.Generator:
    """Return a stream by name: leaving a check out leaves the others as they were."""
    return keyed_rng(evidence.seed, _STREAM, zlib.crc32(f"{check.name}/{name}".encode()))
