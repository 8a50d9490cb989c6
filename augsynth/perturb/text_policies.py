"""Ready policies for texts: weak, medium, strong."""

from __future__ import annotations

from typing import Any

from augsynth.perturb.base import Perturbation
from augsynth.perturb.combine import Compose, Maybe, OneOf
from augsynth.perturb.letters import CaseChange, Typos
from augsynth.perturb.text import RandomDelete, RandomInsert, RandomSwap, SynonymSwap
from augsynth.perturb.tokens import Protect

__all__ = ["text_medium", "text_strong", "text_weak"]


def text_weak(*, protect: Protect = None) -> Perturbation:
    """Return edits that few readers notice: perhaps lower case, perhaps one typo.

    Parameters
    ----------
    protect : sequence of str, or regular expression, optional
        Words (in a list), or whatever a pattern matches, that no edit may touch.

    Examples
    --------
    >>> text_weak()("See you tomorrow at the Station", random_state=3)
    'See you tomorRow at the Station'
    """
    return Compose(
        [
            Maybe(CaseChange(["lower", "letters"], p_letters=0.02, protect=protect), p=0.3),
            Maybe(Typos(p=0.03, max_typos=1, protect=protect), p=0.5),
        ]
    )


def text_medium(thesaurus: Any = None, *, protect: Protect = None) -> Perturbation:
    """Return one edit of the words of each text: of every tenth word, on average, and of one at least.

    With a thesaurus: synonyms swapped or inserted, words swapped or deleted. Without: words
    swapped or deleted, or typos (which may leave a short text as it is).

    Parameters
    ----------
    thesaurus : Thesaurus, LearnedNeighbours, "wordnet", mapping, or path, optional
        Where synonyms come from; see `SynonymSwap`.
    protect : sequence of str, or regular expression, optional
        Words (in a list), or whatever a pattern matches, that no edit may touch.

    References
    ----------
    Wei and Zou, "EDA: easy data augmentation techniques for boosting performance on text
    classification tasks", EMNLP 2019, arXiv:1901.11196.

    Examples
    --------
    >>> text_medium({"station": ["stop"]})("See you tomorrow at the Station", random_state=4)
    'See you the Station'
    """
    words: list[Perturbation] = [
        RandomSwap(0.05, min_words=1, protect=protect),
        RandomDelete(0.1, min_words=1, protect=protect),
    ]
    if thesaurus is None:
        return OneOf([*words, Typos(0.03, protect=protect)])
    return OneOf(
        [
            SynonymSwap(thesaurus, p=0.2, min_words=1, protect=protect),
            RandomInsert(thesaurus, p=0.1, min_words=1, protect=protect),
            *words,
        ]
    )


def text_strong(thesaurus: Any = None, *, protect: Protect = None) -> Perturbation:
    """Return edits of words and letters, all at once: many texts become hard to read.

    Parameters
    ----------
    thesaurus : Thesaurus, LearnedNeighbours, "wordnet", mapping, or path, optional
        Where synonyms come from; see `SynonymSwap`.
    protect : sequence of str, or regular expression, optional
        Words (in a list), or whatever a pattern matches, that no edit may touch.

    Examples
    --------
    >>> text_strong()("See you tomorrow at the Station", random_state=1)
    'See tomorrow the at Station'
    """
    steps: list[Perturbation] = []
    if thesaurus is not None:
        steps = [
            SynonymSwap(thesaurus, p=0.3, protect=protect),
            RandomInsert(thesaurus, p=0.1, protect=protect),
        ]
    return Compose(
        [
            *steps,
            RandomSwap(0.1, protect=protect),
            RandomDelete(0.1, protect=protect),
            Maybe(Typos(0.03, protect=protect), p=0.5),
            Maybe(CaseChange(protect=protect), p=0.3),
        ]
    )
