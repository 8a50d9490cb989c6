"""Paraphrases by translation there and back, with a function of yours."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from augsynth.core.errors import DataError, ParameterError, offenders, sentence
from augsynth.core.parameters import check_number, check_option
from augsynth.core.random import ItemKeys, KeyedGenerator
from augsynth.perturb.base import Perturbation, as_batch
from augsynth.perturb.function import check_importable, seed_of
from augsynth.perturb.tokens import check_text, check_texts

__all__ = ["BackTranslation"]


class BackTranslation(Perturbation):
    """Paraphrase texts with your own function: a model there and back, a service, a paraphraser.

    Parameters
    ----------
    translate : callable
        ``translate(texts) -> texts``, lists of str, or ``translate(text) -> text``; importable,
        so defined at the top level of a module. With an argument ``rng`` it is called text by
        text, with a numpy Generator of that text; with an argument ``seeds`` it gets a whole
        number for each text, in a list (or the one). With neither it must give the same for a
        text every time, whatever other texts are in the list.
    batched : bool, optional
        Whether it takes lists. Default: read from the type hints of its first argument
        (``str`` or ``list[str]``); True where there are none.
    batch_size : int, default=64
        Most texts to hand over at once.

    Raises
    ------
    ParameterError
        In ``fit``, if it cannot be called or imported.
    DataError
        If it returns None, another number of texts, or what are no texts.

    Notes
    -----
    Nothing is translated, or downloaded, by this library. Texts without a letter are not
    handed over. Translation is slow: write the enlarged set to disk once (``materialize``).

    References
    ----------
    Sennrich, Haddow and Birch, "Improving neural machine translation models with
    monolingual data", ACL 2016, arXiv:1511.06709. Yu et al., "QANet", ICLR 2018,
    arXiv:1804.09541.

    Examples
    --------
    >>> BackTranslation(str.swapcase, batched=False)("Good day", random_state=0)
    'gOOD DAY'
    """

    modality = "text"
    needs_x = False

    def __init__(
        self,
        translate: Callable[..., Any] | None = None,
        *,
        batched: bool | None = None,
        batch_size: int = 64,
    ):
        self.translate = translate
        self.batched = batched
        self.batch_size = batch_size

    def __sklearn_clone__(self) -> BackTranslation:
        # The function may hold a model: it is shared, not copied.
        return type(self)(self.translate, batched=self.batched, batch_size=self.batch_size)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the function and the texts."""
        self._way()
        check_importable(self.translate, "BackTranslation")
        if X is not None:
            check_texts("BackTranslation", X)
        return self

    @property
    def stream_name(self) -> str:
        """The name of the function."""
        named = getattr(self.translate, "__qualname__", type(self.translate).__qualname__)
        return f"BackTranslation({named})"

    def draw(self, x: Any, rng: np.random.Generator) -> dict[str, Any]:
        """Return the seed of one text, or nothing for a function that takes none."""
        check_text("BackTranslation", x)
        return {"seed": seed_of(rng)} if self._way()[1] else {}

    def apply(self, x: Any, params: dict[str, Any]) -> Any:
        """Return the paraphrase of a text."""
        text = check_text("BackTranslation", x)
        return self._translated([text], [params.get("seed", 0)])[0]

    def edit_many(self, xs: Any, keys: ItemKeys) -> Any:
        """Paraphrase a batch of texts, many in one call where the function allows it."""
        texts = check_texts("BackTranslation", xs)
        seeds = [seed_of(keys.at(k)) for k in range(len(texts))] if self._way()[1] else [0] * len(texts)
        rows = self._translated(texts, seeds)
        return as_batch(xs, rows)

    def _way(self) -> tuple[bool, str]:
        """Return whether the function takes lists, and how it takes chance: "rng", "seeds" or ""."""
        now = (self.translate, self.batched, self.batch_size)
        known = self.__dict__.get("_known")
        if known is None or known[0] != now:
            if not callable(self.translate):
                must = "translate must be a function of yours: of a list of texts, or of a text"
                raise ParameterError(sentence("BackTranslation", must, repr(self.translate)))
            check_option("BackTranslation", "batched", self.batched, [True, False, None])
            check_number("BackTranslation", "batch_size", self.batch_size, low=1, integer=True)
            known = self._known = (now, _way_of(self.translate, self.batched))
        return known[1]

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_known"}

    def _translated(self, texts: list[str], seeds: list[int]) -> list[str]:
        batched, chance = self._way()
        whole = list(texts)
        # What holds no letter is returned as it is, and never costs a call.
        spoken = [k for k, text in enumerate(texts) if _LETTER.search(text)]
        size = self.batch_size if batched and chance != "rng" else 1
        for start in range(0, len(spoken), size):
            some = spoken[start : start + size]
            given: Any = [texts[k] for k in some] if batched else texts[some[0]]
            more: dict[str, Any] = {}
            if chance == "rng":
                more["rng"] = KeyedGenerator().seat(seeds[some[0]])
            elif chance == "seeds":
                more["seeds"] = [seeds[k] for k in some] if batched else seeds[some[0]]
            made = self._called(given, more)
            for k, text in zip(some, _checked(made, len(some), batched), strict=True):
                whole[k] = text
        return whole

    def _called(self, given: Any, more: dict[str, Any]) -> Any:
        try:
            return self.translate(given, **more)  # type: ignore[misc]
        except (TypeError, AttributeError) as error:
            if self.batched is not None or isinstance(given, str):
                raise
            # Nobody said that it takes lists: that may well be why.
            must = "translate must take a list of texts"
            todo = "Pass batched=False if it takes one text, or batched=True to see where it fails."
            raise DataError(
                sentence("BackTranslation", must, f"{type(error).__name__}: {error}", todo)
            ) from error


_LETTER = re.compile(r"[^\W\d_]")


def _way_of(function: Callable[..., Any], batched: bool | None) -> tuple[bool, str]:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some builtins have no signature
        return batched is not False, ""
    chance = next((name for name in ("rng", "seeds") if name in parameters), "")
    if batched is None:
        try:
            hints = typing.get_type_hints(function)
        except Exception:  # hints may name what is not there
            hints = {}
        batched = hints.get(next(iter(parameters), "")) is not str
    return batched, chance


def _checked(made: Any, n: int, batched: bool) -> Sequence[str]:
    """Return what the function gave as a list of n texts, or raise the sentence."""
    where = "BackTranslation"
    must = f"translate must return {'a list of as many texts as it was given' if batched else 'a text'}"
    if not batched:
        if isinstance(made, str):
            return [made]
        todo = "Return a str." if made is None else "Pass batched=True if it takes lists."
        raise DataError(sentence(where, must, _described(made), todo))
    if isinstance(made, str) or made is None or not hasattr(made, "__len__"):
        todo = (
            "Pass batched=False if it takes one text." if isinstance(made, str) else "Return a list of str."
        )
        raise DataError(sentence(where, must, _described(made), todo))
    if len(made) != n:
        raise DataError(sentence(where, must, f"{len(made)} for {n}"))
    listed = list(made)
    odd = [text for text in listed if not isinstance(text, str)]
    if odd:
        raise DataError(sentence(where, "translate must return texts", offenders(odd)))
    return listed


def _described(made: Any) -> str:
    return "None" if made is None else f"a {type(made).__name__} ({offenders([made])[:60]})"
