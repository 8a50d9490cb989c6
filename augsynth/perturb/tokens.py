"""Words of a text and where they stand; edits as pieces put in their places."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from augsynth.core.errors import DataError, InputTypeError, ParameterError, offenders, sentence

__all__ = [
    "Edit",
    "Protect",
    "cased_like",
    "check_text",
    "check_texts",
    "marks",
    "protected",
    "splice",
    "word_spans",
]

Edit = tuple[int, int, str]
Protect = str | re.Pattern[str] | Sequence[str] | None

# A word is a run of letters, with single apostrophes and hyphens inside. Whatever touches a
# digit, an underscore or a hash ("4u", "snake_case", "#tag") is no word, and stays. Every
# repeat is possessive: no text, however hostile, takes more than time in its length.
_ASCII_WORDS = re.compile(r"(?<![\w#])[A-Za-z]++(?:['-][A-Za-z]++(?!\w))*+(?!\w)", re.ASCII)
_OWNERS = ("'s", "’s")
_ENDS = ("com", "org", "net", "edu", "gov", "info", "biz", "io", "co", "uk", "de", "fr", "eu", "ru", "tv")
_SMILEYS = re.compile(r"(?<!\w)[:;=xX]['-]?[dDpPoOxXsS](?!\w)(?<![xX][oOxXsS])")
# Addresses, mentions, tags of markup, entities and smileys hold letters that are not words.
# Each is looked for only where the text has the sign that it cannot be without.
_BY_SIGN = (
    ("@", re.compile(r"(?<![\w.+-])[\w.+-]*+@[\w.-]+")),
    ("<", re.compile(r"</?[A-Za-z][^<>]*>")),
    ("&", re.compile(r"&\#?\w+;")),
    ("://", re.compile(r"\b(?:https?|ftp|file)://\S+", re.IGNORECASE)),
    (":", _SMILEYS),
    (";", _SMILEYS),
    ("=", _SMILEYS),
    ("xD", _SMILEYS),
    ("XD", _SMILEYS),
)
_DOT = re.compile(r"\.[A-Za-z]")
_DOTTED = re.compile(
    r"\bwww\.\S+|\b(?:[a-z]\.){2,}+"
    r"|(?<![\w.-])[\w-]++(?:\.[\w-]++)++(?:" + "|".join(rf"(?<=\.{end})" for end in _ENDS) + r")(?:/\S*)?",
    re.IGNORECASE,
)


def word_spans(text: str, keep: re.Pattern[str] | None = None) -> list[tuple[int, int]]:
    """Return where the words of a text begin and end.

    Parameters
    ----------
    text : str
    keep : compiled pattern, optional
        Words that touch one of its matches are left out.

    Notes
    -----
    A run of letters is one word, with the combining marks that belong to them. Scripts
    without spaces (Chinese, Japanese, Thai) make long words: put spaces between the words
    of such texts first. About 8 microseconds for a text of 16 words.

    Examples
    --------
    >>> text = "Don't mail me@work.org 4u, see www.a.org"
    >>> [text[a:b] for a, b in word_spans(text)]
    ["Don't", 'mail', 'see']
    """
    pattern = _ASCII_WORDS if text.isascii() else _words_with_marks()
    spans = [found.span() for found in pattern.finditer(text)]
    fixed = [pattern for sign, pattern in _BY_SIGN if sign in text]
    if _DOT.search(text):
        fixed.append(_DOTTED)
    if keep is not None:
        fixed.append(keep)
    if fixed:
        kept = {found.span() for pattern in fixed for found in pattern.finditer(text) if found.group()}
        return _apart(spans, sorted(kept))
    return spans


def _apart(spans: list[tuple[int, int]], kept: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans that touch none of the kept ones; both in order."""
    if not kept:
        return spans
    left, k = [], 0
    for span in spans:
        while k < len(kept) and kept[k][1] <= span[0]:
            k += 1
        if k == len(kept) or kept[k][0] >= span[1]:
            left.append(span)
    return left


@lru_cache(maxsize=1)
def marks() -> str:
    """Return the combining marks as the inside of a character class: accents, vowel signs, joiners."""
    # No mark lives in the ideographs, in Hangul, or in the private planes.
    homes = [(0x300, 0x3400), (0xA000, 0xAC00), (0xFB00, 0x17000), (0x1BC00, 0x1F000), (0xE0100, 0xE01F0)]
    codes = (code for home in homes for code in range(*home))
    found = [0x200C, 0x200D, *(code for code in codes if unicodedata.category(chr(code)) in ("Mn", "Mc"))]
    breaks = np.flatnonzero(np.diff(sorted(found)) > 1) + 1
    runs = np.split(np.array(sorted(found)), breaks)
    return "".join(f"{chr(run[0])}-{chr(run[-1])}" for run in runs)


@lru_cache(maxsize=1)
def _words_with_marks() -> re.Pattern[str]:
    run = rf"(?:[^\W\d_]++[{marks()}]*+)++"
    return re.compile(rf"(?<![\w#{marks()}]){run}(?:['’\-\u2010]{run}(?!\w))*+(?!\w)")


def protected(where: str, protect: Protect) -> re.Pattern[str] | None:
    """Return one pattern of all that an edit must leave alone.

    Parameters
    ----------
    where : str
        Who asks, for the messages.
    protect : None, str, compiled pattern, or sequence of str
        A string is a regular expression; a sequence lists words, of any case.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> protected("Typos", ["New York", "free"]).findall("Free trips to new york")
    ['Free', 'new york']
    """
    if protect is None or isinstance(protect, re.Pattern):
        return protect
    if isinstance(protect, str):
        try:
            return re.compile(protect)
        except re.error as error:
            must = "protect must be a regular expression, or a list of words"
            given = f"{protect!r} ({error})"
            raise ParameterError(sentence(where, must, given, "Give single words as a list.")) from error
    odd = [word for word in protect if not isinstance(word, str) or not word.strip()]
    if odd:
        raise ParameterError(sentence(where, "protect must list words", offenders(odd)))
    if not len(protect):
        return None
    words = "|".join(re.escape(word.strip()) for word in sorted(protect, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)


def splice(text: str, edits: Sequence[Edit]) -> str:
    """Return a text with pieces of it replaced.

    Parameters
    ----------
    text : str
    edits : sequence of (begin, end, new)
        In order, none over another; ``new`` takes the place of ``text[begin:end]``.

    Examples
    --------
    >>> splice("a cat sat", [(2, 5, "dog"), (9, 9, " down")])
    'a dog sat down'
    """
    if not edits:
        return text
    pieces, at = list[str](), 0
    for begin, end, new in edits:
        pieces += (text[at:begin], new)
        at = end
    pieces.append(text[at:])
    return "".join(pieces)


def cased_like(word: str, model: str) -> str:
    """Return a word in the case of another: all upper, first upper, or as it is.

    Examples
    --------
    >>> cased_like("glad", "HAPPY"), cased_like("glad", "Happy"), cased_like("NASA", "agency")
    ('GLAD', 'Glad', 'NASA')
    """
    if model.islower():
        return word
    if model.endswith(_OWNERS) and word.endswith(_OWNERS):
        return cased_like(word[:-2], model[:-2]) + word[-2:]
    if model.isupper() and len(model) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if model[:1].isupper() else word


def check_text(where: str, text: Any) -> str:
    """Return a text as it is, or raise the sentence for what is none."""
    if isinstance(text, str):
        return text
    raise InputTypeError(sentence(where, "a text must be a str", _named(text), _todo(text)))


def check_texts(where: str, texts: Any) -> list[str]:
    """Return a list of the texts in a list, array or Series, or raise with the first that are none.

    Raises
    ------
    InputTypeError
        If the container is none of these (a single text, bytes, a table).
    DataError
        If it holds anything but texts: None, NaN, bytes, numbers.
    """
    if not isinstance(texts, (list, tuple, np.ndarray, pd.Series)) or getattr(texts, "ndim", 1) != 1:
        given = f"a {type(texts).__name__}" + (f" of shape {texts.shape}" if hasattr(texts, "shape") else "")
        must = "texts must be a list, a one-dimensional array or a Series of str"
        todo = "Put a single text into a list." if isinstance(texts, str) else ""
        raise InputTypeError(sentence(where, must, given, todo))
    listed = texts.tolist() if isinstance(texts, (np.ndarray, pd.Series)) else list(texts)
    odd = [k for k, text in enumerate(listed) if not isinstance(text, str)]
    if odd:
        first = ", ".join(f"{_named(listed[k])} at {k}" for k in odd[:3])
        given = first if len(odd) <= 3 else f"{first} ({len(odd)} of {len(listed)} in all)"
        raise DataError(sentence(where, "every text must be a str", given, _todo(listed[odd[0]])))
    return listed


def _named(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{type(value).__name__} {shown[:36]}..."


def _todo(value: Any) -> str:
    if isinstance(value, bytes):
        return "Decode bytes first: text.decode('utf-8')."
    return "Leave such records out, or put an empty text in their place."
