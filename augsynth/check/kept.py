"""What has been learned from an object once and is used again for as long as the object lives."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["once"]

T = TypeVar("T")
_KEPT: WeakKeyDictionary[Any, dict[Hashable, Any]] = WeakKeyDictionary()


def once(owner: Any, key: Hashable, make: Callable[[], T]) -> T:
    """Return ``make()``, called only the first time for this owner and key.

    Parameters
    ----------
    owner : object
        Rows or evidence: what is kept goes when it goes. Controls share the training rows, so
        what is learned from those is learned once for all of them.
    key : hashable
        What it is, and every setting it depends on. The first part is a name of the module's own.
    make : callable
        What it returns must not hold the owner, or neither would ever go.

    Examples
    --------
    >>> class Owner: pass
    >>> mine, calls = Owner(), []
    >>> once(mine, "squares", lambda: calls.append(1) or [1, 4, 9])
    [1, 4, 9]
    >>> once(mine, "squares", lambda: calls.append(1) or [1, 4, 9]), len(calls)
    ([1, 4, 9], 1)
    """
    kept = _KEPT.setdefault(owner, {})
    if key not in kept:
        kept[key] = make()
    return kept[key]
