"""Words for messages: what was probably meant, and what a value is."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterable
from typing import Any

from augsynth.core.errors import AugsynthWarning

__all__ = ["duration", "kind_name", "meant", "warned"]


def meant(word: Any, known: Iterable[Any]) -> str:
    """Suggest the known word that is nearest, or nothing if none is near."""
    near = difflib.get_close_matches(str(word), [str(each) for each in known], n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def kind_name(value: Any) -> str:
    """Name the type of a YAML value in plain words."""
    names = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false"}
    names |= {int: "a number", float: "a number"}
    return "nothing" if value is None else names.get(type(value), type(value).__name__)


def duration(seconds: float) -> str:
    """Say a time in the unit that people would use.

    Examples
    --------
    >>> duration(0.31), duration(42.4), duration(600)
    ('0.3 s', '42 s', '10 min')
    """
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"


def warned(caught: list[warnings.WarningMessage]) -> list[str]:
    """Return what was warned of, each once: ours as they are, others with their kind."""
    lines: dict[str, str] = {}
    for each in caught:
        if issubclass(each.category, (DeprecationWarning, FutureWarning, ResourceWarning)):
            continue
        ours = issubclass(each.category, AugsynthWarning)
        line = " ".join(f"{'' if ours else each.category.__name__ + ': '}{each.message}".split())
        said = re.sub(r"^\w+\.\w+: ", "", line)  # methods of one object warn of the same thing
        lines.setdefault(said[:60], line)  # and folds do in slightly other words
    return list(lines.values())
