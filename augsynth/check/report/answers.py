"""The five questions of a reader, answered in sentences: worth it, for whom, real, varied, copied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from augsynth.check.evidence import Evidence
from augsynth.check.finding import FAILED, INDEPENDENT, NOT_JUDGED, PASSED, Finding
from augsynth.check.records import plain
from augsynth.check.report.markup import figure
from augsynth.check.utility.verdict import HELPS, HURTS, IN_ALL, NO_EVIDENCE

__all__ = [
    "Answer",
    "Compared",
    "Verdict",
    "answer_part",
    "figure_words",
    "judge_worth",
    "status_words",
    "verdict_of",
]

QUESTIONS = {
    "downstream": "Are they worth anything?",
    "bias": "Who gained, who lost?",
    "fidelity": "Do they look real?",
    "diversity": "Are they varied?",
    "memorisation": "Does anything look copied?",
}
_GOOD = {"fidelity": "no difference found", "diversity": "varied", "memorisation": "no sign of it"}
_BAD = {"fidelity": "differences found", "diversity": "less than they should be"}
_COPIES = ("copies", "near_copies")  # of single rows; the others look at all rows together
_CLEAN = {
    "fidelity": "told them from real rows",
    "diversity": "found them less varied than real rows",
    "memorisation": "found a sign of it",
}
_SHOWN = 3
_FEW_IN_ALL = _FEW_OF_A_CLASS = 50
_MOST_NAMED = 6
TOO_FEW = "too few to say"


@dataclass(frozen=True)
class Answer:
    """An answer to one of the questions.

    Attributes
    ----------
    part, question : str
    word : str
        The answer in a word or three.
    status : str
        "passed", "failed" or "not judged", for the colour.
    sentences : list of str
    brief : str
        The figures behind the word, for the one sentence of the verdict; "" if there are none.
    """

    part: str
    question: str
    word: str
    status: str
    sentences: Sequence[str] = ()
    brief: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**plain(asdict(self)), "sentences": [plain(each) for each in self.sentences]}


@dataclass(frozen=True)
class Verdict:
    """What comes first: one word on the worth of the new rows, one sentence, five answers.

    Attributes
    ----------
    word : str
        "helps", "no evidence", "hurts", "mixed" or "not judged".
    sentence : str
    answers : list of Answer
    opening : str
        The first part of the sentence, which is on the worth alone.
    """

    word: str
    sentence: str
    answers: Sequence[Answer] = ()
    opening: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "word": self.word,
            "sentence": self.sentence,
            "answers": [each.to_dict() for each in self.answers],
        }


@dataclass(frozen=True)
class Compared:
    """How many new rows had real rows of their class and group beside them.

    Attributes
    ----------
    rows, new : int
        New rows that were compared, and all of them.
    by_class : list of (str, int, int)
        Class, compared rows and all new rows of it; empty without classes.
    """

    rows: int
    new: int
    by_class: Sequence[tuple[str, int, int]] = ()

    @classmethod
    def of(cls, evidence: Evidence) -> Compared:
        """Count the rows that fidelity and diversity look at (before ``max_rows``, which samples them)."""
        made, real = evidence.made, evidence.reference
        size = 1 + max(int(each.cells.max(initial=0)) for each in (made, real))
        asked, there = (np.bincount(each.cells, minlength=size) for each in (made, real))
        both = np.minimum(asked, there)
        by_class = []
        for k, name in enumerate(evidence.classes):
            cells = np.unique(made.cells[made.labels == k])
            if len(cells):
                by_class.append((str(name), int(both[cells].sum()), int(asked[cells].sum())))
        return cls(int(both.sum()), len(made), by_class)

    @property
    def too_few(self) -> bool:
        """Whether so few were compared that no difference found means nothing."""
        return self.rows < _FEW_IN_ALL

    def sentence(self, noun: str = "rows") -> str:
        """Say how many were compared, where it was less than half or few of a class; else nothing."""
        thin = [each for each in self.by_class if each[1] < _FEW_OF_A_CLASS]
        if not self.too_few and 2 * self.rows >= self.new and not thin:
            return ""
        named = thin or self.by_class
        shown = ", ".join(f"{name} {some:,} of {n:,}" for name, some, n in named[:_MOST_NAMED])
        shown += f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        classes = f" (by class: {shown})" if named else ""
        return (
            f"Compared were {self.rows:,} of {self.new:,} new {noun}{classes}: "
            "those for which there are real ones of the same class and group."
        )


def status_words(found: Finding) -> str:
    """Return the status of a finding in words; a model that is not shown to be worse has not passed anything.

    Examples
    --------
    >>> status_words(Finding("downstream", "gain", "", 0.0, status="passed"))
    'not shown to be worse'
    """
    if found.part != "downstream":
        return found.status
    return {PASSED: "not shown to be worse", FAILED: "worse"}.get(found.status, found.status)


def figure_words(found: Finding) -> str:
    """Return the figure of a finding; of a number known to one side only, its lower end."""
    if found.details.get("lower_end_only"):
        return f"at least {figure(round(found.low))}"
    return figure(found.value, found.unit)


def _powerless(findings: Sequence[Finding]) -> str:
    """Say that a classifier cannot tell even independent columns, where that is so."""
    for each in findings:
        control = each.controls.get(INDEPENDENT, math.nan)
        reach = (each.high - each.low) / 2
        if each.name == "c2st" and each.status == PASSED and control - each.null < reach:
            return (
                f"A classifier does not tell even independent columns from real rows (AUC {control:.2f}), "
                "so this test has no power: too few rows, or columns that hardly go together."
            )
    return ""


def answer_part(
    part: str, findings: Sequence[Finding], compared: Compared | None = None, noun: str = "rows"
) -> Answer:
    """Answer the question of one part from its findings: the worst first."""
    mine = [each for each in findings if each.part == part]
    judged = [each for each in mine if each.status != NOT_JUDGED]
    failed = sorted((each for each in judged if each.status == FAILED), key=_badness)
    question = QUESTIONS[part]
    if failed:
        told = [each.sentence for each in failed[:_SHOWN] if each.sentence]
        if len(failed) > _SHOWN:
            left = len(failed) - _SHOWN
            told.append(f"{left} more failed, so {len(failed)} of these {len(judged)} checks in all.")
        copied = "yes" if any(each.name in _COPIES for each in failed) else "signs of it"
        return Answer(part, question, _BAD.get(part, copied), FAILED, told)
    if not judged:
        unmade = [each for each in mine if not math.isfinite(each.value)]
        reasons = list(dict.fromkeys(each.caution for each in unmade or mine if each.caution))
        why = reasons[:2] or ["None of its checks could be made."]
        return Answer(part, question, NOT_JUDGED, NOT_JUDGED, why)
    many = f"None of the {len(judged)} checks" if len(judged) > 1 else "The one check did not, and so nothing"
    n = min((each.n for each in judged if each.n), default=0)
    sizes = f" on {n:,} new rows or more" if n else ""
    told = [f"{many} {_CLEAN[part]}{sizes}. That is no proof: small differences need more rows to show."]
    if compared is None or part not in ("fidelity", "diversity"):
        return Answer(part, question, _GOOD[part], PASSED, told)
    told += [_powerless(mine)] if _powerless(mine) else []
    few = compared.sentence(noun)
    if compared.too_few:
        return Answer(part, question, TOO_FEW, NOT_JUDGED, [few, *told])
    return Answer(part, question, _GOOD[part], PASSED, [*told, few] if few else told)


def _badness(found: Finding) -> tuple[float, float]:
    excess = found.excess
    return (found.p_adjusted, -excess if math.isfinite(excess) else 0.0)


def judge_worth(comparison: Any, method: str | None = None) -> Answer:
    """Answer whether the rows are worth anything from a comparison by cross-validation.

    ``method`` made the rows: its line leads, and the others stand there for comparison.
    """
    words = comparison.verdicts[IN_ALL].astype(str)
    lines = comparison.summary().splitlines()
    names = list(words.index)
    if method in names:
        place = names.index(method)
        others = [f"For comparison: {line}" for k, line in enumerate(lines) if k != place]
        words, lines = words.iloc[[place]], [lines[place], *others]
    elif len(names) > 1:
        told = ", ".join(map(str, names[:_MOST_NAMED])) + (", ..." if len(names) > _MOST_NAMED else "")
        lines = [
            f"{len(names)} methods were compared ({told}); which of them made these rows was not said.",
            *lines,
        ]
    word = words.iloc[0] if words.nunique() == 1 else "mixed"
    status = {HELPS: PASSED, HURTS: FAILED}.get(word, NOT_JUDGED)
    return Answer("downstream", QUESTIONS["downstream"], word, status, lines)


def verdict_of(
    worth: Answer,
    gains: Answer,
    findings: Sequence[Finding],
    holdout: bool,
    noun: str = "rows",
    compared: Compared | None = None,
) -> Verdict:
    """Put the answers together; the word is that on the worth, the sentence says what failed too."""
    parts = [
        answer_part(part, findings, compared, noun) for part in ("fidelity", "diversity", "memorisation")
    ]
    opening = {
        HELPS: f"The new {noun} help a model",
        HURTS: f"The new {noun} hurt a model",
        NO_EVIDENCE: f"There is no evidence that the new {noun} help a model",
        "mixed": f"Some of the compared ways to make {noun} help more than others",
    }.get(worth.word, f"Whether the new {noun} help a model was not judged")
    opening += f" ({worth.brief})" if worth.brief else ""
    judged = [each for each in findings if each.status != NOT_JUDGED]
    failed = [each for each in judged if each.status == FAILED]
    if not judged:
        closing = "no other check could be judged"
    elif not failed:
        closing = (
            f"none of the {len(judged)} checks failed" if len(judged) > 1 else "the one check did not fail"
        )
    else:
        closing = f"{len(failed)} of {len(judged)} checks failed: {_listed(_reasons(failed, worth.word))}"
    against = "" if holdout else f" Without real {noun} held out, much of this is weaker than it could be."
    if compared is not None and compared.too_few:
        against += (
            f" Only {compared.rows:,} of {compared.new:,} new {noun} had real ones to be compared with."
        )
    return Verdict(worth.word, f"{opening}; {closing}.{against}", [worth, gains, *parts], opening)


def _reasons(failed: Sequence[Finding], word: str) -> list[str]:
    """Say what failed, once for each part; that a model does worse is not said after "hurts"."""
    told = {
        "fidelity": "they differ from real ones",
        "diversity": "they vary less than they should",
        "copies": "some look copied",
        "memorisation": "they lie closer to the training rows than they should",
        "bias": "groups are treated differently",
        "gain": "a model does worse with them",
        "tstr": "on their own they teach a model less than real ones",
    }
    names = {each.name for each in failed}
    found = {each.part for each in failed} | {each for each in ("gain", "tstr") if each in names}
    if names & set(_COPIES):
        found = found - {"memorisation"} | {"copies"}
    return [words for key, words in told.items() if key in found and not (key == "gain" and word == HURTS)]


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
