"""The five questions of a reader, answered in sentences: worth it, for whom, real, varied, copied."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from augsynth.check.finding import FAILED, NOT_JUDGED, PASSED, Finding
from augsynth.check.verdict import HELPS, HURTS, IN_ALL, NO_EVIDENCE

__all__ = ["Answer", "Verdict", "answer_part", "judge_worth", "verdict_of"]

QUESTIONS = {
    "downstream": "Are they worth anything?",
    "bias": "Who gained, who lost?",
    "fidelity": "Do they look real?",
    "diversity": "Are they varied?",
    "memorisation": "Does anything look copied?",
}
_GOOD = {"fidelity": "no difference found", "diversity": "varied", "memorisation": "no sign of it"}
_BAD = {"fidelity": "no", "diversity": "no", "memorisation": "yes"}
_CLEAN = {
    "fidelity": "told them from real rows",
    "diversity": "found them less varied than real rows",
    "memorisation": "found a sign of it",
}
_SHOWN = 3


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
    """

    part: str
    question: str
    word: str
    status: str
    sentences: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "sentences": list(self.sentences)}


@dataclass(frozen=True)
class Verdict:
    """What comes first: one word on the worth of the new rows, one sentence, five answers.

    Attributes
    ----------
    word : str
        "helps", "no evidence", "hurts", "mixed" or "not judged".
    sentence : str
    answers : list of Answer
    """

    word: str
    sentence: str
    answers: Sequence[Answer] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "word": self.word,
            "sentence": self.sentence,
            "answers": [each.to_dict() for each in self.answers],
        }


def answer_part(part: str, findings: Sequence[Finding]) -> Answer:
    """Answer the question of one part from its findings: the worst first."""
    mine = [each for each in findings if each.part == part]
    judged = [each for each in mine if each.status != NOT_JUDGED]
    failed = sorted((each for each in judged if each.status == FAILED), key=_badness)
    question = QUESTIONS[part]
    if failed:
        told = [each.sentence for each in failed[:_SHOWN] if each.sentence]
        if len(failed) > _SHOWN:
            told.append(f"{len(failed) - _SHOWN} more of its {len(judged)} checks failed.")
        return Answer(part, question, _BAD[part], FAILED, told)
    if not judged:
        reasons = list(dict.fromkeys(each.caution for each in mine if each.caution))
        why = reasons[:2] or ["None of its checks could be made."]
        return Answer(part, question, NOT_JUDGED, NOT_JUDGED, why)
    many = f"None of the {len(judged)} checks" if len(judged) > 1 else "The one check did not, and so nothing"
    n = min((each.n for each in judged if each.n), default=0)
    sizes = f" on {n:,} new rows or more" if n else ""
    told = [f"{many} {_CLEAN[part]}{sizes}. That is no proof: small differences need more rows to show."]
    return Answer(part, question, _GOOD[part], PASSED, told)


def _badness(found: Finding) -> tuple[float, float]:
    excess = found.excess
    return (found.p_adjusted, -excess if math.isfinite(excess) else 0.0)


def judge_worth(comparison: Any, method: str | None = None) -> Answer:
    """Answer whether the rows are worth anything from a comparison by cross-validation."""
    words = comparison.verdicts[IN_ALL].astype(str)
    lines = comparison.summary().splitlines()
    if method in words.index:
        place = list(words.index).index(method)
        words, lines = words.iloc[[place]], [lines[place]]
    word = words.iloc[0] if words.nunique() == 1 else "mixed"
    status = {HELPS: PASSED, HURTS: FAILED}.get(word, NOT_JUDGED)
    return Answer("downstream", QUESTIONS["downstream"], word, status, lines)


def verdict_of(
    worth: Answer, gains: Answer, findings: Sequence[Finding], holdout: bool, noun: str = "rows"
) -> Verdict:
    """Put the answers together; the word is that on the worth, the sentence says what failed too."""
    parts = [answer_part(part, findings) for part in ("fidelity", "diversity", "memorisation")]
    opening = {
        HELPS: f"The new {noun} help",
        HURTS: f"The new {noun} hurt",
        NO_EVIDENCE: f"There is no evidence that the new {noun} help",
        "mixed": "Some ways of making the rows help more than others",
    }.get(worth.word, f"Whether the new {noun} help was not judged")
    judged = [each for each in findings if each.status != NOT_JUDGED]
    failed = [each for each in judged if each.status == FAILED]
    if not judged:
        closing = "no other check could be judged"
    elif not failed:
        closing = f"all {len(judged)} checks passed" if len(judged) > 1 else "the one check passed"
    else:
        failing = [each.part for each in failed]
        reasons = {
            "fidelity": "they can be told from real ones",
            "diversity": "they vary less",
            "memorisation": "some look copied",
            "bias": "groups are treated differently",
            "downstream": "a model does worse with them",
        }
        told = [words for part, words in reasons.items() if part in failing]
        closing = f"{len(failed)} of {len(judged)} checks failed: {_listed(told)}"
    against = "" if holdout else f" Without real {noun} held out, much of this is weaker than it could be."
    return Verdict(worth.word, f"{opening}; {closing}.{against}", [worth, gains, *parts])


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
