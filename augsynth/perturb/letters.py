"""Edits of the letters of a text: typos, and upper and lower case."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.perturb.text_edit import TextPerturbation, capped, hits
from augsynth.perturb.tokens import Edit, Protect, marks, word_spans

__all__ = ["CaseChange", "Typos"]

_TYPOS = ("neighbour", "drop", "double", "transpose")
_STYLES = ("lower", "upper", "title", "letters")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
# Scripts written without spaces, or where a letter is a syllable: a slip there is another word.
_UNTYPED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def _keyboard() -> dict[str, str]:
    """Return the keys that touch each key of a QWERTY keyboard, whose rows are half a key apart."""
    near: dict[str, set[str]] = {key: set() for row in _ROWS for key in row}
    for r, row in enumerate(_ROWS):
        for c, key in enumerate(row):
            beside = [row[j] for j in (c - 1, c + 1) if 0 <= j < len(row)]
            below = [_ROWS[r + 1][j] for j in (c - 1, c) if r + 1 < 3 and 0 <= j < len(_ROWS[r + 1])]
            for other in beside + below:
                near[key].add(other)
                near[other].add(key)
    lower = {key: "".join(sorted(keys)) for key, keys in near.items()}
    return lower | {key.upper(): keys.upper() for key, keys in lower.items()}


_NEAR = _keyboard()


class Typos(TextPerturbation):
    """Mistype some letters: a key beside the right one, a letter left out, doubled, or two exchanged.

    Parameters
    ----------
    p : float, default=0.02
        Probability of a typo at each letter of the words that are long enough.
    kinds : sequence of {"neighbour", "drop", "double", "transpose"}, default all
        Slips to choose from, all as likely. Letters that are not on a QWERTY keyboard have
        no neighbours and get one of the others.
    min_letters : int, default=4
        Shorter words are spared.
    max_typos : int, optional
        Most typos in a text.
    protect : sequence of str, or regular expression, optional
        Words (in a list), or whatever a pattern matches, that no edit may touch.

    Notes
    -----
    A letter goes with its combining marks. Words of Chinese, Japanese, Korean, Thai and
    their neighbours are spared: one sign more or less makes another word. A letter that
    the typo before it has moved is not hit again.

    References
    ----------
    Belinkov and Bisk, "Synthetic and natural noise both break neural machine
    translation", ICLR 2018, arXiv:1711.02173.

    Examples
    --------
    >>> Typos(p=0.1)("Please call me tomorrow", random_state=0)
    'Pleaase call me tmoorrrow'
    """

    def __init__(
        self,
        p: float = 0.02,
        *,
        kinds: Sequence[str] = _TYPOS,
        min_letters: int = 4,
        max_typos: int | None = None,
        protect: Protect = None,
    ):
        self.p = p
        self.kinds = kinds
        self.min_letters = min_letters
        self.max_typos = max_typos
        self.protect = protect

    def _check(self) -> None:
        self._share(p=self.p)
        self._most("max_typos", self.max_typos)
        check_number("Typos", "min_letters", self.min_letters, low=1, integer=True)
        _check_list("Typos", "kinds", self.kinds, _TYPOS)

    def _draw(self, text: str, keep: re.Pattern[str] | None, rng: np.random.Generator) -> list[Edit]:
        drawn = hits(len(text), self.p, rng)
        if not drawn:
            return []
        spans = word_spans(text, keep)
        begins, edits, moved = [begin for begin, _ in spans], list[Edit](), 0
        for at, v in drawn:
            k = bisect_right(begins, at) - 1
            if k < 0 or at >= spans[k][1] or at < moved:
                continue
            edit = self._slip(text, spans[k], at, v)
            if edit is not None:
                edits.append(edit)
                moved = max(edit[1], at + 1)
        return capped(edits, self.max_typos, rng)

    def _slip(self, text: str, span: tuple[int, int], at: int, v: float) -> Edit | None:
        """Return the typo at a letter of a word, or None where the word or the letter is spared."""
        word = text[slice(*span)]
        letters = [found.span() for found in _clusters().finditer(word)] if not word.isascii() else None
        if not text[at].isalpha() or _length(word, letters) < self.min_letters or _UNTYPED.search(word):
            return None
        begin, end, after = at, at + 1, at + 2
        if letters is not None:
            begin, end = next(
                (a + span[0], b + span[0]) for a, b in letters if a + span[0] <= at < b + span[0]
            )
            after = next((b + span[0] for a, b in letters if a + span[0] == end), end)
        letter = text[begin:end]
        follows = text[end:after] if after <= span[1] else ""
        near = _NEAR.get(letter, "")
        kinds = [
            kind
            for kind in self.kinds
            if (near or kind != "neighbour") and (follows[:1].isalpha() or kind != "transpose")
        ]
        if not kinds:
            return None
        v *= len(kinds)
        kind = kinds[int(v)]
        if kind == "neighbour":
            return begin, end, near[int((v - int(v)) * len(near))]
        if kind == "transpose":
            return begin, after, follows + letter
        return begin, end, "" if kind == "drop" else letter * 2


@lru_cache(maxsize=1)
def _clusters() -> re.Pattern[str]:
    return re.compile(rf"[^{marks()}][{marks()}]*", re.DOTALL)


def _length(word: str, letters: list[tuple[int, int]] | None) -> int:
    if letters is None:
        return len(word) - word.count("'") - word.count("-")
    return sum(word[begin].isalpha() for begin, _ in letters)


class CaseChange(TextPerturbation):
    """Write a text in lower or upper case, with capitals, or with the case of some letters turned.

    Parameters
    ----------
    styles : sequence of {"lower", "upper", "title", "letters"}, default all
        One is chosen at random, all as likely: every word in lower case, in upper case, with
        an upper first letter; or single letters turned into the other case.
    p_letters : float, default=0.05
        Probability that a letter is turned, for the style "letters".
    protect : sequence of str, or regular expression, optional
        Words (in a list), or whatever a pattern matches, that no edit may touch.

    Examples
    --------
    >>> CaseChange(["upper"])("See www.a.org, 2 cats", random_state=0)
    'SEE www.a.org, 2 CATS'
    """

    def __init__(self, styles: Sequence[str] = _STYLES, *, p_letters: float = 0.05, protect: Protect = None):
        self.styles = styles
        self.p_letters = p_letters
        self.protect = protect

    def _check(self) -> None:
        self._share(p_letters=self.p_letters)
        _check_list("CaseChange", "styles", self.styles, _STYLES)

    def _draw(self, text: str, keep: re.Pattern[str] | None, rng: np.random.Generator) -> list[Edit]:
        style = self.styles[int(rng.random() * len(self.styles))]
        spans, edits = word_spans(text, keep), list[Edit]()
        if style == "letters":
            drawn = [at for at, _ in hits(len(text), self.p_letters, rng)]
            begins = [begin for begin, _ in spans]
            for at in drawn:
                k = bisect_right(begins, at) - 1
                if k >= 0 and at < spans[k][1] and text[at].swapcase() != text[at]:
                    edits.append((at, at + 1, text[at].swapcase()))
            return edits
        for begin, end in spans:
            word = text[begin:end]
            new = _styled(word, style)
            if new != word:
                edits.append((begin, end, new))
        return edits


def _styled(word: str, style: str) -> str:
    if style == "title":
        return word[:1].upper() + word[1:].lower()
    return word.lower() if style == "lower" else word.upper()


def _check_list(where: str, name: str, values: Any, known: Sequence[str]) -> None:
    if isinstance(values, str) or not isinstance(values, Sequence) or not len(values):
        must = f"{name} must be a list of some of {', '.join(map(repr, known))}"
        raise ParameterError(sentence(where, must, repr(values)))
    for value in values:
        check_option(where, name, value, known)
