"""Synonyms from WordNet, where it is on this machine already: nothing is ever downloaded."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from augsynth.core.errors import ParameterError, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.perturb.inflection import inflected, stems
from augsynth.perturb.thesaurus import WordSource

__all__ = ["WordNet"]

_MOST_WORDS = 100_000


class WordNet(WordSource):
    """Synonyms from an English WordNet that is on this machine.

    Parameters
    ----------
    senses : int, default=1
        How many of the most frequent senses of a word to take synonyms from. Rarer senses
        are more often wrong.
    reader : {"wn", "nltk", None}, default=None
        Library that reads it; None takes the first that has its data on disk.

    Raises
    ------
    ParameterError
        If neither library has its data here, with what to do.

    References
    ----------
    Miller, "WordNet: a lexical database for English", Communications of the ACM 1995,
    doi:10.1145/219717.219748.
    """

    language = "english"

    def __init__(self, *, senses: int = 1, reader: str | None = None):
        self.senses = senses
        self.reader = reader

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Find the data."""
        check_number("WordNet", "senses", self.senses, low=1, integer=True)
        check_option("WordNet", "reader", self.reader, ["wn", "nltk", None])
        self._look_up()
        return self

    def _look_up(self) -> Callable[[str], list[list[str]]]:
        """Return the function that gives the synonyms of each sense of a word."""
        known = self.__dict__.get("_reading")
        if known is None or known[0] != self.reader:
            openers = {"wn": _open_wn, "nltk": _open_nltk}
            asked = [self.reader] if self.reader else list(openers)
            found = next((read for name in asked if (read := openers[name]()) is not None), None)
            if found is None:
                must = "WordNet must be on this machine: nothing is downloaded here"
                given = f"no data of {' or '.join(asked)}"
                todo = (
                    "Once, yourself: python -m wn download oewn:2024, or python -m nltk.downloader wordnet."
                )
                raise ParameterError(sentence("WordNet", must, given, todo))
            known = self._reading = (self.reader, found)
        return known[1]

    def __getstate__(self) -> dict[str, Any]:
        # Workers open the data themselves: databases do not travel.
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("_reading", "_forms")}

    def alternatives(self, word: str) -> Sequence[str]:
        """Return the synonyms of a word in lower case, in the same form."""
        forms: dict[tuple[str, int], tuple[str, ...]] = self.__dict__.setdefault("_forms", {})
        key = (word, self.senses)
        if key not in forms:
            if len(forms) >= _MOST_WORDS:
                forms.clear()
            forms[key] = self._found(word)
        return forms[key]

    def _found(self, word: str) -> tuple[str, ...]:
        look_up = self._look_up()
        direct = self._synonyms(look_up(word), word)
        if direct:
            return direct
        for lemma, ending in stems(word):
            made = [inflected(synonym, ending) for synonym in self._synonyms(look_up(lemma), lemma)]
            if any(made):
                return tuple(form for form in made if form is not None and form != word)
        return ()

    def _synonyms(self, senses: list[list[str]], word: str) -> tuple[str, ...]:
        found = [lemma.replace("_", " ") for sense in senses[: self.senses] for lemma in sense]
        return tuple(dict.fromkeys(lemma for lemma in found if lemma.lower() != word))


def _open_wn() -> Callable[[str], list[list[str]]] | None:
    if importlib.util.find_spec("wn") is None:
        return None
    wn = importlib.import_module("wn")
    # Opening the database makes it where there is none: look before.
    if not Path(wn.config.database_path).exists():
        return None
    with contextlib.suppress(Exception):
        lexicons = wn.lexicons(lang="en")
        if lexicons:
            first = f"{lexicons[0].id}:{lexicons[0].version}"
            words = wn.Wordnet(lexicon=first)
            return lambda word: [list(sense.lemmas()) for sense in words.synsets(word)]
    return None


def _open_nltk() -> Callable[[str], list[list[str]]] | None:
    if importlib.util.find_spec("nltk") is None:
        return None
    with contextlib.suppress(LookupError):
        reader = importlib.import_module("nltk.corpus").wordnet
        reader.ensure_loaded()

        def senses(word: str) -> list[list[str]]:
            # The reader looks up base forms too ("cats" gives the senses of "cat"): those
            # senses without the word itself are left to the rules of inflection.
            listed = [list(sense.lemma_names()) for sense in reader.synsets(word)]
            return [names for names in listed if word in [name.lower() for name in names]]

        return senses
    return None
