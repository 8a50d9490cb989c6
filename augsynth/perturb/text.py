"""Edits of the words of a text: synonyms, and words inserted, swapped and deleted.

All of them draw a list of splices ``(begin, end, new)`` and apply it, so what is not
edited stays byte for byte, and an edit can be read, stored and replayed. Typos and case
are in `letters`, policies in `text_policies`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from augsynth.perturb.text_edit import TextPerturbation, capped, hits
from augsynth.perturb.thesaurus import WordSource, as_word_source
from augsynth.perturb.tokens import Edit, Protect, cased_like, word_spans

__all__ = ["RandomDelete", "RandomInsert", "RandomSwap", "SynonymSwap"]

_SPACES = " \t"
_OPENING = " \t\r\n([{\"'«“‘¿¡"
_CLOSING = ".,;:!?)]}\"'»”’…\r\n"


class _WithThesaurus(TextPerturbation):
    """An edit that asks a thesaurus."""

    thesaurus: Any
    p: float
    min_words: int

    def _hit(
        self, n: int, known: Callable[[int], Sequence[str]], rng: np.random.Generator
    ) -> list[tuple[int, float]]:
        """Draw which of n words are hit, of those that have synonyms; at least ``min_words`` of them."""
        drawn = [hit for hit in hits(n, self.p, rng) if known(hit[0])]
        if len(drawn) >= self.min_words or not self.p:
            return drawn
        have = [k for k in range(n) if known(k)]
        return [(have[k], v) for k, v in hits(len(have), 1e-9, rng, least=self.min_words)]

    def fit(self, X: Any, y: Any = None) -> Self:
        """Let a copy of the thesaurus learn from the texts (and labels), if it is one that learns."""
        super().fit(X, y)
        self.thesaurus_ = clone(self._given).fit(X, y)
        return self

    @property
    def learns(self) -> bool:  # type: ignore[override]
        """Whether the thesaurus learns from texts."""
        return self._given.learns

    @property
    def _given(self) -> WordSource:
        known = self.__dict__.get("_source")
        if known is None or known[0] is not self.thesaurus:
            known = self._source = (self.thesaurus, as_word_source(self.thesaurus, type(self).__name__))
        return known[1]

    @property
    def _words(self) -> WordSource:
        fitted = self.__dict__.get("thesaurus_")
        return self._given.ready(type(self).__name__) if fitted is None else fitted


class SynonymSwap(_WithThesaurus):
    """Replace some words by synonyms, in the same case.

    Parameters
    ----------
    thesaurus : Thesaurus, LearnedNeighbours, "wordnet", mapping, or path
        Where synonyms come from: a file of yours, a dict of word to synonyms, WordNet if
        it is on this machine, or neighbours learned from the training texts.
    p : float, default=0.1
        Probability that a word that has synonyms is replaced by one of them.
    min_words : int, default=0
        Fewest words to replace in a text that has so many with synonyms.
    max_words : int, optional
        Most words to replace in a text.
    protect : sequence of str, or regular expression, optional
        Words (in a list), or whatever a pattern matches, that no edit may touch.

    Notes
    -----
    After "a" and "an", in English, only synonyms that keep the article right are taken.

    References
    ----------
    Zhang, Zhao and LeCun, "Character-level convolutional networks for text
    classification", 2015, arXiv:1509.01626. Wei and Zou, 2019, arXiv:1901.11196.

    Examples
    --------
    >>> SynonymSwap({"happy": ["glad"]}, p=1)("Happy, happy cats!", random_state=0)
    'Glad, glad cats!'
    """

    def __init__(
        self,
        thesaurus: Any = None,
        *,
        p: float = 0.1,
        min_words: int = 0,
        max_words: int | None = None,
        protect: Protect = None,
    ):
        self.thesaurus = thesaurus
        self.p = p
        self.min_words = min_words
        self.max_words = max_words
        self.protect = protect

    def _check(self) -> None:
        self._share(p=self.p)
        self._least("min_words", self.min_words)
        self._most("max_words", self.max_words)

    def _draw(self, text: str, keep: re.Pattern[str] | None, rng: np.random.Generator) -> list[Edit]:
        spans, words, edits = word_spans(text, keep), self._words, list[Edit]()

        def known(k: int) -> Sequence[str]:
            options = words.alternatives(text[slice(*spans[k])].lower())
            after = options and k and words.english
            return _after_article(text[slice(*spans[k - 1])], options) if after else options

        for k, v in self._hit(len(spans), known, rng):
            begin, end = spans[k]
            options = known(k)
            edits.append((begin, end, cased_like(options[int(v * len(options))], text[begin:end])))
        return capped(edits, self.max_words, rng)


def _after_article(before: str, options: Sequence[str]) -> Sequence[str]:
    """Return the options that may follow the word before them: "a" and "an" choose."""
    article = before.lower()
    if article not in ("a", "an"):
        return options
    return [word for word in options if (word[0] in "aeiou") == (article == "an")]


class RandomInsert(_WithThesaurus):
    """Insert synonyms of some words at random places.

    Parameters
    ----------
    thesaurus : Thesaurus, LearnedNeighbours, "wordnet", mapping, or path
        Where synonyms come from; see `SynonymSwap`.
    p : float, default=0.1
        Probability, for each word that has synonyms, that one of them is inserted.
    min_words : int, default=0
        Fewest words to insert into a text that has so many with synonyms.
    max_words : int, optional
        Most words to insert into a text.
    protect : sequence of str, or regular expression, optional
        Words that are not looked up, and before which nothing is inserted.

    Notes
    -----
    Deviation: Wei and Zou insert a fixed share of the words, at least one; here each word
    has its own chance.

    References
    ----------
    Wei and Zou, "EDA: easy data augmentation techniques for boosting performance on text
    classification tasks", EMNLP 2019, arXiv:1901.11196.

    Examples
    --------
    >>> RandomInsert({"happy": ["glad"]}, p=1)("So happy today", random_state=0)
    'glad So happy today'
    """

    def __init__(
        self,
        thesaurus: Any = None,
        *,
        p: float = 0.1,
        min_words: int = 0,
        max_words: int | None = None,
        protect: Protect = None,
    ):
        self.thesaurus = thesaurus
        self.p = p
        self.min_words = min_words
        self.max_words = max_words
        self.protect = protect

    def _check(self) -> None:
        self._share(p=self.p)
        self._least("min_words", self.min_words)
        self._most("max_words", self.max_words)

    def _draw(self, text: str, keep: re.Pattern[str] | None, rng: np.random.Generator) -> list[Edit]:
        spans, words, edits = word_spans(text, keep), self._words, list[Edit]()

        def known(k: int) -> Sequence[str]:
            return words.alternatives(text[slice(*spans[k])].lower())

        for k, v in self._hit(len(spans), known, rng):
            word, options = text[slice(*spans[k])], known(k)
            v *= len(options)
            new = options[int(v)]
            if len(word) > 1 and word.isupper():
                new = new.upper()
            place = int((v - int(v)) * (len(spans) + 1))
            if place < len(spans):
                edits.append((spans[place][0], spans[place][0], f"{new} "))
            else:
                edits.append((spans[-1][1], spans[-1][1], f" {new}"))
        edits = capped(edits, self.max_words, rng)
        edits.sort(key=lambda edit: edit[0])
        return edits


class RandomSwap(TextPerturbation):
    """Let some words change places with other words of the text.

    What stands between the words (spaces, punctuation, numbers) keeps its place.

    Parameters
    ----------
    p : float, default=0.05
        Probability, for each word, that it is sent to the place of another.
    min_words : int, default=0
        Fewest words that are sent away, in a text of two words and more.
    protect : sequence of str, or regular expression, optional
        Words (in a list), or whatever a pattern matches, that no edit may touch.

    Notes
    -----
    Deviation: Wei and Zou swap a fixed share of the words, at least one pair; here each
    word has its own chance.

    References
    ----------
    Wei and Zou, EMNLP 2019, arXiv:1901.11196.

    Examples
    --------
    >>> RandomSwap(p=0.5)("one, two three (four)", random_state=3)
    'four, two three (one)'
    """

    def __init__(self, p: float = 0.05, *, min_words: int = 0, protect: Protect = None):
        self.p = p
        self.min_words = min_words
        self.protect = protect

    def _check(self) -> None:
        self._share(p=self.p)
        self._least("min_words", self.min_words)

    def _draw(self, text: str, keep: re.Pattern[str] | None, rng: np.random.Generator) -> list[Edit]:
        spans = word_spans(text, keep)
        n = len(spans)
        drawn = hits(n, self.p, rng, self.min_words)
        if n < 2 or not drawn:
            return []
        order = list(range(n))
        for k, v in drawn:
            other = int(v * (n - 1))
            other += other >= k
            order[k], order[other] = order[other], order[k]
        return [(*spans[k], text[slice(*spans[j])]) for k, j in enumerate(order) if k != j]


class RandomDelete(TextPerturbation):
    """Delete some words, with one of the spaces beside them; never all.

    Parameters
    ----------
    p : float, default=0.05
        Probability that a word is deleted. Where all are hit, one of them stays.
    min_words : int, default=0
        Fewest words to delete, in a text that has more.
    protect : sequence of str, or regular expression, optional
        Words (in a list), or whatever a pattern matches, that no edit may touch.

    References
    ----------
    Wei and Zou, EMNLP 2019, arXiv:1901.11196.

    Examples
    --------
    >>> RandomDelete(p=0.4)("one two, three four.", random_state=5)
    'one two, three.'
    """

    def __init__(self, p: float = 0.05, *, min_words: int = 0, protect: Protect = None):
        self.p = p
        self.min_words = min_words
        self.protect = protect

    def _check(self) -> None:
        self._share(p=self.p)
        self._least("min_words", self.min_words)

    def _draw(self, text: str, keep: re.Pattern[str] | None, rng: np.random.Generator) -> list[Edit]:
        spans, edits = word_spans(text, keep), list[Edit]()
        drawn = hits(len(spans), self.p, rng, self.min_words)
        if drawn and len(drawn) == len(spans):
            drawn.remove(max(drawn, key=lambda hit: hit[1]))
        for k, _ in drawn:
            begin, end = spans[k]
            after = text[end : end + 1]
            if (begin == 0 or text[begin - 1] in _OPENING) and after and after in _SPACES:
                while end < len(text) and text[end] in _SPACES:
                    end += 1
            elif begin and text[begin - 1] in _SPACES and (not after or after in _CLOSING):
                begin = _space_before(text, begin, edits)
            edits.append((begin, end, ""))
        return edits


def _space_before(text: str, begin: int, edits: list[Edit]) -> int:
    """Return where the spaces before ``begin`` start; edits that have taken them already are removed."""
    while begin:
        if edits and edits[-1][1] == begin:
            begin = edits.pop()[0]
        elif text[begin - 1] in _SPACES:
            begin -= 1
        else:
            break
    return begin
