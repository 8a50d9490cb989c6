"""What all edits of texts share: checked on the way in, spliced, the same container on the way out."""

from __future__ import annotations

import re
from abc import abstractmethod
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np

from augsynth.core.parameters import check_number
from augsynth.core.random import ItemKeys
from augsynth.perturb.base import Perturbation, as_batch
from augsynth.perturb.tokens import Edit, Protect, check_text, check_texts, protected, splice

__all__ = ["TextPerturbation", "capped", "hits"]


class TextPerturbation(Perturbation):
    """An edit of one text: a str in, a str out.

    Subclasses write ``_check`` (of their parameters) and ``_draw``. Parameters are
    ``{"edits": [(begin, end, new), ...]}``, positions in characters. Texts without a
    word come back as they are.
    """

    modality: ClassVar[str] = "text"
    protect: Protect

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters, and that every text is one (None: there are none yet).

        Raises
        ------
        ParameterError, InputTypeError, DataError
        """
        self._ready()
        if X is not None:
            check_texts(type(self).__name__, X)
        return self

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return where the text is edited, and what comes there.

        Raises
        ------
        InputTypeError
            If ``x`` is not a str.
        """
        keep = self._ready()
        return {"edits": self._draw(check_text(type(self).__name__, x), keep, rng)}

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Return the edited text."""
        return splice(check_text(type(self).__name__, x), params["edits"])

    def edit_many(self, xs: Any, keys: ItemKeys) -> Any:
        """Edit a batch of texts: a list, an array or a Series, and back comes the same."""
        texts = check_texts(type(self).__name__, xs)
        keep = self._ready()
        rows = [splice(x, self._draw(x, keep, keys.at(k))) for k, x in enumerate(texts)]
        return as_batch(xs, rows)

    def _ready(self) -> re.Pattern[str] | None:
        """Return the pattern of what is protected; parameters are checked when they are new."""
        now = tuple(self.__dict__.get(name) for name in self._names())
        known = self.__dict__.get("_known")
        if known is None or known[0] != now:
            self._check()
            known = self._known = (now, protected(type(self).__name__, self.protect))
        return known[1]

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return _names_of(cls)

    @abstractmethod
    def _check(self) -> None:
        """Raise unless the parameters make sense."""

    @abstractmethod
    def _draw(self, text: str, keep: re.Pattern[str] | None, rng: np.random.Generator) -> list[Edit]:
        """Return the edits of one text, in order."""

    def _share(self, **names: float) -> None:
        for name, value in names.items():
            check_number(type(self).__name__, name, value, low=0, high=1)

    def _least(self, name: str, value: int) -> None:
        check_number(type(self).__name__, name, value, low=0, integer=True)

    def _most(self, name: str, value: int | None) -> None:
        if value is not None:
            check_number(type(self).__name__, name, value, low=1, integer=True)


@lru_cache(maxsize=64)
def _names_of(cls: type) -> tuple[str, ...]:
    return tuple(cls._get_param_names())  # type: ignore[attr-defined]


def hits(n: int, p: float, rng: np.random.Generator, least: int = 0) -> list[tuple[int, float]]:
    """Draw which of n words are hit, and a uniform number for each of those, from one call.

    Where fewer than ``least`` are, those next in turn are hit instead (none if p is 0).
    """
    if n == 0 or p == 0:
        return []
    u = rng.random(n)
    where = (u < p).nonzero()[0]
    if len(where) < least:
        where = np.sort(u.argsort()[:least])
        # Which words they are rests on the leading digits; the trailing ones are still uniform.
        return list(zip(where.tolist(), ((u[where] * 2**20) % 1).tolist(), strict=True))
    # Given that it fell below p, u / p is uniform in its turn.
    return list(zip(where.tolist(), (u[where] / p).tolist(), strict=True))


def capped(edits: list[Edit], most: int | None, rng: np.random.Generator) -> list[Edit]:
    """Return at most ``most`` of the edits, chosen at random, in order."""
    if most is None or len(edits) <= most:
        return edits
    chosen = np.sort(rng.random(len(edits)).argsort()[:most])
    return [edits[k] for k in chosen.tolist()]
