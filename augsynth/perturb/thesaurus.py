"""Where synonyms come from: a file or a dict of yours.

WordNet is in `wordnet`, neighbours learned from the training texts in `word_neighbours`.
"""

from __future__ import annotations

import csv
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator

from augsynth import registry
from augsynth.core.errors import DataError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_option
from augsynth.perturb.inflection import inflected, stems

__all__ = ["Thesaurus", "WordSource", "as_word_source"]

_HEADERS = ("word", "words", "term", "headword", "token", "entry")


class WordSource(BaseEstimator, ABC):
    """Something that knows other words for a word.

    Attributes
    ----------
    learns : bool
        Whether it must be fitted on texts before use.
    english : bool
        Whether rules of English grammar (endings, "a" and "an") hold.
    """

    learns: ClassVar[bool] = False

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Read or learn the words."""
        return self

    @property
    def english(self) -> bool:
        """Whether the words are English."""
        return getattr(self, "language", None) == "english"

    def ready(self, where: str) -> Self:
        """Return self, fit for use; one that learns must have been fitted."""
        return self

    @abstractmethod
    def alternatives(self, word: str) -> Sequence[str]:
        """Return other words for a word in lower case; none, where it is unknown."""


class Thesaurus(WordSource):
    """Synonyms from a file of yours, or from a dict.

    Parameters
    ----------
    source : path or mapping
        A mapping of word to a synonym or a list of them; or a file in UTF-8:
        ``.csv`` and ``.tsv`` (the word, then its synonyms in further cells, or parted by
        ``;`` or ``|`` in one; a first line that says "word" is skipped), ``.json`` (an object
        of word to synonyms, or a list of groups of words that stand for each other), and
        lines ``word: synonym, synonym`` in any other (``#`` begins a comment).
    symmetric : bool, default=False
        Whether each synonym is given the word as a synonym in turn.
    language : {"english", None}, default="english"
        Whether forms that the source lacks are made by English endings: with "big: large",
        "happy: glad" and "cat: feline", "cats" becomes "felines". None: words as they stand.

    Raises
    ------
    DataError
        In ``fit`` (or at the first edit), if the file is not what it should be.

    Examples
    --------
    >>> Thesaurus({"walk": ["stroll", "go"]}).alternatives("walked")
    ('strolled',)
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        *,
        symmetric: bool = False,
        language: str | None = "english",
    ):
        self.source = source
        self.symmetric = symmetric
        self.language = language

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Read the source."""
        check_option("Thesaurus", "language", self.language, ["english", None])
        if isinstance(self.source, Mapping):
            pairs: Iterable[tuple[str, list[str]]] = _from_mapping(self.source, "Thesaurus")
        elif isinstance(self.source, (str, os.PathLike)):
            pairs = _from_file(Path(self.source))
        else:
            todo = "Write one line for each word: happy: glad, joyful."
            must = "source must be a dict of word to synonyms, or the path of a file"
            raise ParameterError(sentence("Thesaurus", must, repr(self.source), todo))
        table: dict[str, dict[str, None]] = {}
        for word, synonyms in pairs:
            for synonym in synonyms:
                if synonym.lower() != word.lower():
                    table.setdefault(word.lower(), {})[synonym] = None
                    if self.symmetric:
                        table.setdefault(synonym.lower(), {})[word] = None
        if not table:
            must = "a thesaurus must hold at least one word with a synonym"
            raise DataError(sentence("Thesaurus", must, "none"))
        self.table_ = {word: tuple(found) for word, found in table.items()}
        self._forms: dict[str, tuple[str, ...]] = {}
        return self

    def ready(self, where: str) -> Self:
        """Return self; the source is read when it is first needed."""
        return self if hasattr(self, "table_") else self.fit()

    def alternatives(self, word: str) -> tuple[str, ...]:
        """Return the synonyms of a word in lower case, in the same form."""
        known = self.ready("Thesaurus").table_.get(word)
        if known is not None or self.language is None:
            return known or ()
        forms = self.__dict__.setdefault("_forms", {})
        if word not in forms:
            if len(forms) >= 100_000:  # a stream of rare words must not fill the memory
                forms.clear()
            forms[word] = self._inflected(word)
        return forms[word]

    def _inflected(self, word: str) -> tuple[str, ...]:
        for lemma, ending in stems(word):
            if lemma in self.table_:
                made = [inflected(synonym, ending) for synonym in self.table_[lemma]]
                return tuple(form for form in made if form is not None and form != word)
        return ()


def as_word_source(given: Any, where: str) -> WordSource:
    """Return the source of words that is meant: one of ours, a name, a dict or a path.

    Raises
    ------
    ParameterError
    """
    if isinstance(given, WordSource):
        return given
    kinds = registry.names("thesaurus")
    if isinstance(given, str) and given in kinds:
        return registry.resolve("thesaurus", given)()
    if isinstance(given, Mapping) and given.get("kind") in kinds:
        return registry.build("thesaurus", given)
    if isinstance(given, (str, os.PathLike, Mapping)):
        return Thesaurus(given)
    must = "thesaurus must be a dict, the path of a file, 'wordnet', or LearnedNeighbours()"
    todo = "A dict such as {'happy': ['glad']} is the shortest."
    raise ParameterError(sentence(where, must, repr(given), todo))


def _from_mapping(mapping: Mapping[Any, Any], where: str) -> list[tuple[str, list[str]]]:
    pairs = []
    for word, synonyms in mapping.items():
        listed = [synonyms] if isinstance(synonyms, str) else synonyms
        if (
            not isinstance(word, str)
            or not word.strip()
            or not isinstance(listed, (list, tuple, set, frozenset))
        ):
            raise DataError(
                sentence(where, "every entry must be a word and its synonyms", f"{word!r}: {synonyms!r}")
            )
        odd = [synonym for synonym in listed if not isinstance(synonym, str) or not synonym.strip()]
        if odd:
            must = f"synonyms of {word!r} must be words"
            raise DataError(sentence(where, must, offenders(odd)))
        ordered = sorted(listed) if isinstance(listed, (set, frozenset)) else listed
        pairs.append((word.strip(), [synonym.strip() for synonym in ordered]))
    return pairs


def _from_file(path: Path) -> Iterable[tuple[str, list[str]]]:
    where = f"Thesaurus {path.name}"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        must = "source must be a file that can be read"
        raise DataError(sentence("Thesaurus", must, f"{str(path)!r} ({error.strerror})")) from error
    except UnicodeDecodeError as error:
        must = "the file must be text in UTF-8"
        todo = "Save it as UTF-8."
        raise DataError(
            sentence(where, must, f"byte {error.object[error.start]:#04x} at {error.start}", todo)
        ) from error
    if path.suffix.lower() == ".json":
        return _from_json(text, where)
    if path.suffix.lower() in (".csv", ".tsv"):
        return _from_cells(text, "," if path.suffix.lower() == ".csv" else "\t", where)
    return _from_lines(text, where)


def _from_json(text: str, where: str) -> list[tuple[str, list[str]]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(sentence(where, "the file must be JSON", str(error))) from error
    if isinstance(content, dict):
        return _from_mapping(content, where)
    if isinstance(content, list) and all(isinstance(group, list) for group in content):
        groups = [(group[0], group[1:]) for group in content if len(group) > 1 and isinstance(group[0], str)]
        if len(groups) == len(content):
            pairs = []
            for first, rest in groups:
                for word, others in _from_mapping({first: rest}, where):
                    whole = [word, *others]
                    pairs += [(one, [other for other in whole if other != one]) for one in whole]
            return pairs
    must = "the JSON must be an object of word to synonyms, or a list of groups of words"
    raise DataError(sentence(where, must, f"a {type(content).__name__}"))


def _from_cells(text: str, delimiter: str, where: str) -> Iterator[tuple[str, list[str]]]:
    try:
        rows = list(csv.reader(text.splitlines(), delimiter=delimiter))
    except csv.Error as error:
        raise DataError(sentence(where, "the file must be a table of cells", str(error))) from error
    for k, row in enumerate(rows):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (k == 0 and cells[0].lower() in _HEADERS and len(cells) > 1):
            continue
        synonyms = [part.strip() for cell in cells[1:] for part in re.split("[;|]", cell) if part.strip()]
        if not cells[0] or not synonyms:
            must = "every line must hold a word and at least one synonym"
            raise DataError(sentence(where, must, f"{delimiter.join(row)!r} in line {k + 1}"))
        yield cells[0], synonyms


def _from_lines(text: str, where: str) -> Iterator[tuple[str, list[str]]]:
    for k, line in enumerate(text.splitlines()):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        word, colon, rest = content.partition(":")
        synonyms = [part.strip() for part in re.split("[,;|]", rest) if part.strip()]
        if not colon or not word.strip() or not synonyms:
            must = "every line must read 'word: synonym, synonym'"
            raise DataError(sentence(where, must, f"{line[:60]!r} in line {k + 1}"))
        yield word.strip(), synonyms
