"""Simple English morphology: the ending of a word is taken off, and put on its synonym.

Rules for regular words and a list of verbs and nouns that follow none: a form that the
rules cannot make is not made.
"""

from __future__ import annotations

import re

__all__ = ["inflected", "stems"]


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_VERBS = _words(
    "be become begin bend bet bind bite bleed blow break breed bring build burst buy cast catch choose "
    "cling come cost creep cut deal dig do draw drink drive eat fall feed feel fight find flee fling "
    "fly forbid forget forgive freeze get give go grind grow hang have hear hide hit hold hurt keep "
    "know lay lead leave lend let lie light lose make mean meet pay put quit read rid ride ring rise "
    "run say see seek sell send set shake shed shine shoot show shrink shut sing sink sit sleep slide "
    "sling slit speak spend spin spit split spread spring stand steal stick sting stink stride strike "
    "string strive swear sweep swim swing take teach tear tell think throw thrust tread understand "
    "undergo undertake upset wake wear weave weep win wind withdraw write overcome foresee mislead "
    "misunderstand overtake rebuild redo repay rewrite uphold withhold"
)
_NOUNS = _words(
    "man woman child person foot tooth goose mouse louse ox sheep deer fish series species aircraft "
    "knife wife life leaf loaf half calf shelf self thief wolf elf money information advice furniture "
    "equipment news people police"
)
_DOUBLING = _words(
    "admit allot begin commit compel confer control defer deter emit equip excel expel forget incur "
    "infer occur omit patrol permit prefer propel rebel recur refer regret repel submit transfer "
    "transmit"
)
_SHUT = re.compile(r"^[^aeiou]*(?:qu)?[aeiou][^aeiouwxy]$")


def stems(word: str) -> list[tuple[str, str]]:
    """Return what a word in lower case may be the form of, with the ending that makes it so.

    Examples
    --------
    >>> stems("parties")
    [('party', 's'), ('partie', 's')]
    >>> stems("stopped")
    [('stopp', 'ed'), ('stoppe', 'ed'), ('stop', 'ed')]
    """
    if word.endswith(("'s", "’s")):
        return [(word[:-2], word[-2:])]
    found = []
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        if word.endswith("ies"):
            found.append((word[:-3] + "y", "s"))
        if word.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
            found.append((word[:-2], "s"))
        found.append((word[:-1], "s"))
    if word.endswith("ying") and len(word) > 4:
        found.append((word[:-4] + "ie", "ing"))
    for ending in ("ed", "ing"):
        stem = word[: -len(ending)]
        if word.endswith(ending) and len(stem) > 2:
            if stem.endswith("i") and ending == "ed":
                found.append((stem[:-1] + "y", ending))
            found += [(stem, ending), (stem + "e", ending)]
            if stem[-1] == stem[-2]:
                found.append((stem[:-1], ending))
    return found


def inflected(word: str, ending: str) -> str | None:
    """Return a word with an ending of `stems`, or None where no rule makes that form.

    Examples
    --------
    >>> inflected("party", "s"), inflected("chat", "ing"), inflected("halt", "ed"), inflected("go", "ed")
    ('parties', 'chatting', 'halted', None)
    """
    if ending in ("'s", "’s"):
        return word + ending
    if not (word.isascii() and word.isalpha() and word.islower()) or len(word) < 2:
        return None
    after_consonant = len(word) > 2 and word[-2] not in "aeiou"
    if ending == "s":
        if word in _NOUNS:
            return None
        if word.endswith("y") and after_consonant:
            return word[:-1] + "ies"
        return word + ("es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s")
    if ending == "ed" and word in _VERBS:
        return None
    if word in _DOUBLING or _SHUT.match(word):
        return word + word[-1] + ending
    if ending == "ed":
        if word.endswith("y") and after_consonant:
            return word[:-1] + "ied"
        return word + ("d" if word.endswith("e") else "ed")
    if word.endswith("ie"):
        return word[:-2] + "ying"
    silent = word.endswith("e") and not word.endswith(("ee", "oe", "ye")) and len(word) > 2
    return (word[:-1] if silent else word) + "ing"
